"""A module of PyTorch on OpenVINO's CPU plugin, in float32, or in bf16 at precision "medium" if the CPU has it."""
import openvino as ov
import torch


def convert(module, inputs):
    """The model of the module for inputs of these sizes."""
    with torch.no_grad():
        model = ov.convert_model(module.eval(), example_input=tuple(inputs))
    model.reshape({port: list(x.shape) for port, x in zip(model.inputs, inputs)})
    return model


def compile(model, w):
    core = ov.Core()
    has_bf16 = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": int(w["threads"]),
        "INFERENCE_PRECISION_HINT": "bf16" if has_bf16 and w["precision"] == "medium" else "f32",
    }
    return Call(core.compile_model(model, "CPU", settings))


class Call:
    def __init__(self, compiled):
        self.request = compiled.create_infer_request()
        self.count = len(compiled.outputs)

    def __call__(self, *inputs):
        """The outputs: arrays that the next call overwrites."""
        shared = {i: ov.Tensor(x.numpy(), shared_memory=True) for i, x in enumerate(inputs)}
        self.request.set_input_tensors(shared)
        self.request.infer()
        return [self.request.get_output_tensor(i).data for i in range(self.count)]
