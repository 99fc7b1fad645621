"""One op, forward, or forward and backward to all of its inputs."""
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from compare import as_peers, gap, worst
from setting import Setting


def conv(w):
    n, c, k, h, r = (int(w[key]) for key in "nckhr")
    inputs = [torch.randn(n, c, h, h), torch.randn(k, c, r, r), torch.randn(k)]
    return inputs, lambda x, weight, bias: F.conv2d(x, weight, bias, padding=(r - 1) // 2)


def norm(w):
    n, c, h = (int(w[key]) for key in "nch")
    inputs = [torch.randn(n, c, h, h), torch.randn(c), torch.randn(c)]
    return inputs, lambda x, weight, bias: F.silu(F.group_norm(x, 32, weight, bias))


def attention(w):
    n, tokens, keys, heads, width = (int(w[key]) for key in ("n", "tokens", "keys", "heads", "width"))

    def split(x):
        return x.view(n, -1, heads, width).transpose(1, 2)

    def attend(q, k, v):
        y = F.scaled_dot_product_attention(split(q), split(k), split(v))
        return y.transpose(1, 2).reshape(n, tokens, heads * width)

    return [torch.randn(n, count, heads * width) for count in (tokens, keys, keys)], attend


def linear(w):
    rows, c, k = (int(w[key]) for key in ("rows", "c", "k"))
    return [torch.randn(rows, c), torch.randn(k, c) / c**0.5, torch.randn(k)], F.linear


OPS = {"conv": conv, "norm": norm, "attention": attention, "linear": linear}


class Task:
    def __init__(self, w):
        self.setting = Setting(w)
        self.w = w
        inputs, op = OPS[w["op"]](w)
        self.plain, self.op = op, self.setting.compiled(op)
        self.take(inputs)
        self.probe = torch.randn_like(self.forward())

    def take(self, inputs):
        fitting = [x.to(memory_format=self.setting.format) if x.dim() == 4 else x for x in inputs]
        self.inputs = [x.requires_grad_(self.w["direction"] == "both") for x in fitting]

    def forward(self):
        with self.setting.autocast():
            return self.op(*self.inputs)

    def step(self):
        if self.w["direction"] == "forward":
            with torch.inference_mode():
                return self.forward()
        return torch.autograd.grad(self.forward(), self.inputs, self.probe)

    def compare(self, path):
        tensors = load_file(path)
        count = len(self.inputs)
        inputs = [as_peers(tensors[f"input.{i + 1}"]).requires_grad_() for i in range(count)]
        out = self.plain(*inputs)
        gradients = torch.autograd.grad(out, inputs, as_peers(tensors["probe"]))
        ours = [as_peers(tensors[f"gradient.{i + 1}"]) for i in range(count)]
        off = worst(gap(a, b) for a, b in zip(ours, gradients))
        return {"outputs": gap(as_peers(tensors["out"]), out.detach()), "gradients": off}
