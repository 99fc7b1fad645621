"""A step of DDIM as one model of OpenVINO, whose first output is the network's."""
import torch
from safetensors.torch import load_file

import compare
import net
import on_openvino
import process
from setting import shape


class Step(torch.nn.Module):
    def __init__(self, network, objective):
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, x, t, before, label=None):
        out = self.network(x, t, label)
        return out, process.ddim(out, x, t, before, self.objective)


def filled(x, rows):
    """The first rows of x, again and again."""
    return x.repeat(-(-rows // len(x)), *[1] * (x.dim() - 1))[:rows].contiguous()


class Task:
    def __init__(self, w):
        self.w, self.net = w, net.make(w).eval()
        self.x, classes = torch.randn(*shape(w)), int(w["classes"])
        self.label = torch.randint(1, classes + 1, (len(self.x),)) if classes else None
        self.now, self.call = process.T, None

    def advance(self, x, t, before, label):
        inputs = [x, t, before] + ([] if label is None else [label])
        if self.call is None:
            step = Step(self.net, self.w["objective"])
            self.call = on_openvino.compile(on_openvino.convert(step, inputs), self.w)
        return self.call(*inputs)

    def step(self):
        t = torch.full((len(self.x),), self.now)
        self.advance(self.x, t, t - 1, self.label)
        self.now = self.now - 1 or process.T

    def compare(self, path):
        """The gaps of ours and of this from PyTorch in float32."""
        tensors, rows = load_file(path), len(self.x)
        compare.load_weights(self.net, tensors)
        exact = compare.run(self.net, tensors, False)
        t = filled(tensors["t"].long(), rows)
        label = None if self.label is None else filled(tensors["class"], rows)
        out = self.advance(filled(compare.as_peers(tensors["xt"]), rows), t, t - 1, label)[0]
        own = torch.from_numpy(out[: len(exact)])
        return {
            "outputs": compare.gap(compare.as_peers(tensors["out"]), exact), "gradients": 0.0,
            "own_outputs": compare.gap(own, exact), "own_gradients": 0.0,
        }
