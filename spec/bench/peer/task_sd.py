"""A network of Stable Diffusion 1.5 on PyTorch, in float32, or in bf16 at precision "medium"."""
import torch
from safetensors.torch import load_file

import sd_networks
from compare import gap
from setting import Setting


class Task:
    def __init__(self, w):
        self.w, self.setting, self.kind = w, Setting(w), sd_networks.kind(w)
        self.dtype = torch.bfloat16 if self.setting.medium else torch.float32
        self.inputs, self.call = self.fitting(self.kind.inputs()), None

    def fitting(self, inputs):
        """Images in the setting's layout, and reals of a type the network takes; ids stay."""
        images = [x.to(memory_format=self.setting.format) if x.dim() == 4 else x for x in inputs]
        return [x.to(self.dtype) if x.dim() > 2 else x for x in images]

    def network(self, dtype):
        return self.kind(self.w["folder"], dtype).eval().to(memory_format=self.setting.format)

    def step(self):
        # frozen graphs are made under no_grad only
        off = torch.no_grad if self.setting.has("compile") else torch.inference_mode
        with off():
            if self.call is None:
                self.call = self.setting.compiled(self.network(self.dtype))
            return self.call(*self.inputs)

    def compare(self, path):
        tensors = load_file(path)
        given = [tensors[name] for name in self.kind.names]
        with torch.no_grad():
            exact = self.network(torch.float32)(*given)
        answer = {"outputs": gap(tensors["out"], exact), "gradients": 0.0}
        if self.setting.medium:
            with torch.no_grad():
                own = self.network(self.dtype)(*self.fitting(given)).float()
            answer.update(own_outputs=gap(own, exact), own_gradients=0.0)
        return answer
