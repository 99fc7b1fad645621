"""How PyTorch is used: the words of `variant` are nhwc or nchw, compile, freeze, wrapper,
autotune, foreach, and malloc, which is the driver's. Precision "medium" is bf16 autocast."""
import contextlib

import torch

import net


class Setting:
    def __init__(self, w):
        self.variant = set(w["variant"].split(","))
        self.medium = w["precision"] == "medium"
        self.format = torch.channels_last if "nhwc" in self.variant else torch.contiguous_format

    def has(self, word):
        return word in self.variant

    def network(self, w):
        return net.make(w).to(memory_format=self.format)

    def images(self, *shape):
        x = torch.randn(*shape)
        return x.to(memory_format=self.format) if x.dim() == 4 else x

    def autocast(self):
        if self.medium:
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def compiled(self, function):
        if not self.has("compile"):
            return function
        import torch._inductor.config as inductor

        inductor.freezing = self.has("freeze")
        inductor.cpp_wrapper = self.has("wrapper")
        mode = "max-autotune-no-cudagraphs" if self.has("autotune") else None
        return torch.compile(function, dynamic=False, mode=mode)


def shape(w):
    """N, C, H, W of a batch of images, or N, D of points."""
    image = [int(n) for n in w["image"].split(",")]
    return [int(w["batch"]), *([image[2], *image[:2]] if len(image) == 3 else image)]
