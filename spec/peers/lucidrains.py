"""The UNet of denoising-diffusion-pytorch, written anew from its formulas, under its keys.

    python spec/peers/lucidrains.py                     writes the fixture
    python spec/peers/lucidrains.py cases.json out      records a list of cases
    PACKAGE=folder python spec/peers/lucidrains.py check    compares with an installed package
"""
import json
import math
import os
import sys

import torch
import torch.nn.functional as F

import record
from named import Named
from values import fill, uniform

FIXTURE = "spec/fixtures/peers/lucidrains.safetensors"


class Unet(Named):
    """config: the constructor's options, and norm, groups, layer, standard, spread, cosine, shrink, old."""

    def __init__(self, config, image, self_cond=None):
        super().__init__()
        self.o = dict(init_dim=None, dim_mults=[1, 2, 4, 8], channels=3, self_condition=False, outputs=1,
                      learned=False, learned_dim=16, theta=10000, dim_head=32, heads=4, full=None, memory=4,
                      norm="rms", groups=8, layer=False, standard=False, spread=False, cosine=0, shrink=False,
                      old=False, num_classes=0)
        self.o.update(config)
        x = torch.zeros(image)
        classes = torch.zeros(image[0], dtype=torch.long) if self.o["num_classes"] else None
        self(x, torch.zeros(image[0]), classes)

    # -- parts ------------------------------------------------------------------------------

    def conv(self, x, name, out, kernel, bias=True, standard=False, **how):
        w = self.p(name + ".weight", out, x.shape[1], kernel, kernel)
        if standard:
            flat = w.flatten(1)
            flat = (flat - flat.mean(1, keepdim=True)) / (flat.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
            w = flat.reshape(w.shape)
        return F.conv2d(x, w, self.p(name + ".bias", out) if bias else None, **how)

    def linear(self, x, name, out):
        w = self.p(name + ".weight", out, x.shape[1])
        return F.linear(x.to(w.dtype), w, self.p(name + ".bias", out))

    def rms(self, x, name):
        length = x.norm(dim=1, keepdim=True).clamp(min=1e-12)
        return x / length * self.p(name + ".g", 1, x.shape[1], 1, 1) * math.sqrt(x.shape[1])

    def attention_norm(self, x, name):
        if not self.o["layer"]:
            return self.rms(x, name)
        mean, var = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
        return (x - mean) / (var + 1e-5).sqrt() * self.p(name + ".g", 1, x.shape[1], 1, 1) + (
            self.p(name + ".b", 1, x.shape[1], 1, 1) if self.o["layer"] == "bias" else 0)

    def half(self, x, name, out, scale=None, shift=None):
        h = self.conv(x, name + ".proj", out, 3, standard=self.o["standard"], padding=1)
        if self.o["norm"] == "rms":
            h = self.rms(h, name + ".norm")
        else:
            h = F.group_norm(h, self.o["groups"], self.p(name + ".norm.weight", out), self.p(name + ".norm.bias", out))
        return F.silu(h if scale is None else h * (1 + scale) + shift)

    def block(self, x, name, out):
        m = self.linear(F.silu(self.e), name + ".mlp.1", 2 * out)[:, :, None, None]
        h = self.half(x, name + ".block1", out, m[:, :out], m[:, out:])
        h = self.half(h, name + ".block2", out)
        return h + (x if x.shape[1] == out else self.conv(x, name + ".res_conv", out, 1))

    def level(self, value, at):
        return value[min(at, len(value) - 1)] if isinstance(value, list) else value

    def attention(self, x, name, at, full):
        B, C, H, W = x.shape
        heads, D, M = self.level(self.o["heads"], at), self.level(self.o["dim_head"], at), self.o["memory"]
        outer, inner = (name + ".fn", name + ".fn.fn") if self.o["old"] else (name, name)
        y = self.attention_norm(x, outer + ".norm")
        q, k, v = self.conv(y, inner + ".to_qkv", 3 * heads * D, 1, bias=False).reshape(B, 3, heads, D, H * W).unbind(1)
        attend = self.softmax_attention if full else self.linear_attention
        y = attend(q, k, v, inner, M).reshape(B, heads * D, H, W)
        if full:
            return x + self.conv(y, inner + ".to_out", C, 1)
        return x + self.attention_norm(self.conv(y, inner + ".to_out.0", C, 1), inner + ".to_out.1")

    def softmax_attention(self, q, k, v, name, M):
        B, heads, D, N = q.shape
        scale = D ** -0.5
        if self.o["cosine"]:
            q, k, scale = F.normalize(q, dim=-1), F.normalize(k, dim=-1), self.o["cosine"]
        if M:
            m = self.p(name + ".mem_kv", 2, heads, M, D).transpose(2, 3)[:, None].expand(2, B, heads, D, M)
            k, v = torch.cat([m[0], k], -1), torch.cat([m[1], v], -1)
        scores = (q.transpose(2, 3) @ k * scale).softmax(-1)
        return (scores @ v.transpose(2, 3)).transpose(2, 3)

    def linear_attention(self, q, k, v, name, M):
        B, heads, D, N = q.shape
        if self.o["spread"]:
            v = v / N
        if M:
            m = self.p(name + ".mem_kv", 2, heads, D, M)[:, None].expand(2, B, heads, D, M)
            k, v = torch.cat([m[0], k], -1), torch.cat([m[1], v], -1)
        context = k.softmax(-1) @ v.transpose(2, 3)
        return context.transpose(2, 3) @ (q.softmax(2) * D ** -0.5)

    # -- the embedding ----------------------------------------------------------------------

    def time(self, t):
        o = self.o
        if o["learned"]:
            angle = t[:, None] * self.p("time_mlp.0.weights", o["learned_dim"] // 2)[None] * 2 * math.pi
            waves = torch.cat([t[:, None], angle.sin(), angle.cos()], 1)
        else:
            half = o["dim"] // 2
            angle = t[:, None] * torch.exp(torch.arange(half) * -(math.log(o["theta"]) / (half - 1)))[None]
            waves = torch.cat([angle.sin(), angle.cos()], 1)
        wide = 4 * o["dim"]
        return self.linear(F.gelu(self.linear(waves, "time_mlp.1", wide)), "time_mlp.3", wide)

    def label(self, classes):
        """Class k of 0.., or -1 for none."""
        rows = torch.cat([self.p("classes_emb.weight", self.o["num_classes"], self.o["dim"]),
                          self.p("null_classes_emb", self.o["dim"])[None]])
        wide = 4 * self.o["dim"]
        return self.linear(F.gelu(self.linear(rows[classes], "classes_mlp.0", wide)), "classes_mlp.2", wide)

    # -- the network ------------------------------------------------------------------------

    def smaller(self, x, name, out, last):
        if last:
            return self.conv(x, name, out, 3, padding=1)
        if self.o["shrink"]:
            return self.conv(x, name, out, 4, stride=2, padding=1)
        return self.conv(F.pixel_unshuffle(x, 2), name + ".1", out, 1)

    def larger(self, x, name, out, last):
        if last:
            return self.conv(x, name, out, 3, padding=1)
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"), name + ".1", out, 3, padding=1)

    def forward(self, x, t, classes=None, self_cond=None):
        o = self.o
        n = len(o["dim_mults"])
        full = o["full"] or [False] * (n - 1) + [True]
        dims = [o["init_dim"] or o["dim"]] + [o["dim"] * m for m in o["dim_mults"]]
        self.e = self.time(t)
        if o["num_classes"]:
            self.e = torch.cat([self.e, self.label(classes)], 1)
        if o["self_condition"]:
            x = torch.cat([torch.zeros_like(x) if self_cond is None else self_cond, x], 1)
        x = first = self.conv(x, "init_conv", dims[0], 7, padding=3)
        skips = []
        for i in range(n):
            x = self.block(x, f"downs.{i}.0", dims[i])
            skips.append(x)
            x = self.attention(self.block(x, f"downs.{i}.1", dims[i]), f"downs.{i}.2", i, full[i])
            skips.append(x)
            x = self.smaller(x, f"downs.{i}.3", dims[i + 1], i == n - 1)
        x = self.attention(self.block(x, "mid_block1", dims[n]), "mid_attn", n, True)
        x = self.block(x, "mid_block2", dims[n])
        for i in range(n):
            at = n - 1 - i
            x = self.block(torch.cat([x, skips.pop()], 1), f"ups.{i}.0", dims[at + 1])
            x = self.block(torch.cat([x, skips.pop()], 1), f"ups.{i}.1", dims[at + 1])
            x = self.larger(self.attention(x, f"ups.{i}.2", at, full[at]), f"ups.{i}.3", dims[at], at == 0)
        x = self.block(torch.cat([x, first], 1), "final_res_block", dims[0])
        return self.conv(x, "final_conv", o["outputs"] * o["channels"], 1)


# ==== records ================================================================================

def make(case):
    return Unet(case["config"], case["image"])


def run(model, case):
    x = uniform(case["image"], 1).requires_grad_()
    classes = case.get("classes")
    extra = uniform(case["image"], 2) if case.get("self_cond") else None
    y = model(x, torch.tensor(case["t"], dtype=torch.float32), None if classes is None else torch.tensor(classes), extra)
    return {"y": y}, {"y": x}


def passes(model, case, dtype):
    x = uniform(case["image"], 1).to(dtype)
    t = torch.tensor(case["t"], dtype=dtype)
    return {"forward": lambda: model(x, t)}


SMALL = {"dim": 8, "dim_mults": [1, 2], "heads": 2, "dim_head": 4}
IMAGE = [2, 3, 8, 12]
CASES = [{"class": "Unet", "image": IMAGE, "t": [3, 700], "config": {**SMALL, **config}, **more} for config, more in [
    ({}, {}),
    ({"init_dim": 6, "full": [True, False], "heads": [2, 3], "dim_head": [3, 4], "memory": 2}, {}),
    ({"self_condition": True, "outputs": 2}, {"self_cond": True}),
    ({"self_condition": True}, {}),
    ({"learned": True, "learned_dim": 6}, {"t": [0.25, -3.5]}),
    ({"num_classes": 3, "old": True, "memory": 0, "shrink": True, "full": [False, False], "heads": [4, 4, 2],
      "dim_head": [32, 32, 4]}, {"classes": [2, -1], "given": {"heads": [4, 4, 2]}}),
    ({"norm": "group", "groups": 4, "layer": True, "standard": True, "spread": True, "old": True, "memory": 0,
      "full": [False, False]}, {"given": {"groups": 4, "heads": 2, "version": "1.6.4"}}),
    ({"norm": "group", "groups": 2, "standard": True, "spread": True, "cosine": 10, "layer": True, "old": True,
      "memory": 0, "shrink": True, "full": [False, False]},
     {"given": {"groups": 2, "heads": 2, "version": "0.27.12"}}),
    ({"norm": "group", "groups": 2}, {"given": {"groups": 2, "version": "1.9.4"}}),
]]


# ==== against the package itself =============================================================

def theirs(module, config):
    names = {"heads": "attn_heads", "dim_head": "attn_dim_head", "full": "full_attn",
             "theta": "sinusoidal_pos_emb_theta", "learned": "learned_sinusoidal_cond", "groups": "resnet_block_groups",
             "learned_dim": "learned_sinusoidal_dim"}
    known = module.Unet.__init__.__code__.co_varnames
    given = {names.get(k, k): tuple(v) if isinstance(v, list) else v for k, v in config.items()}
    given["learned_variance"] = given.pop("outputs", 1) == 2
    for name in ("attn_heads", "attn_dim_head"):  # one number for the middle, where there is one alone
        if isinstance(given.get(name), tuple) and len(given[name]) > len(given["dim_mults"]):
            given[name] = given[name][-1]
    return module.Unet(**{k: v for k, v in given.items() if k in known})


def check(folder):
    """Our formulas against the package's, for the configurations that its version has."""
    sys.path.insert(0, folder)
    from denoising_diffusion_pytorch import denoising_diffusion_pytorch as plain
    given = os.environ.get("CONFIG")
    for case in [{"class": "Unet", "image": IMAGE, "t": [3, 700], "config": json.loads(given)}] if given else CASES:
        module, extra = plain, {}
        if "classes" in case:
            from denoising_diffusion_pytorch import classifier_free_guidance as module
        peer = fill(theirs(module, dict(case["config"])))
        own = fill(make(case))
        want, got = {k: v.shape for k, v in peer.state_dict().items()}, {k: v.shape for k, v in own.state_dict().items()}
        if want != got:
            print("other keys:", case["config"], sorted(set(want) ^ set(got))[:4])
            continue
        own.load_state_dict(peer.state_dict())
        x, t = uniform(IMAGE, 1), torch.tensor(case["t"], dtype=torch.float32)
        args = [] if "classes" not in case else [torch.tensor([2, 1])]
        if args:
            extra = {"cond_keep_mask": torch.tensor([True, False])}
        if case.get("self_cond"):
            args = [uniform(IMAGE, 2)]
        a = peer(x, t, *args, **extra)
        b = own(x, t, torch.tensor([2, -1]) if extra else None, args[0] if case.get("self_cond") else None)
        print(f"{(a - b).abs().max() / a.abs().max():.2e}", case["config"])


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "check":
        check(os.environ["PACKAGE"])
    else:
        record.main(make, run, passes, CASES, FIXTURE)
