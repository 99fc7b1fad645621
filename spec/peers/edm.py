"""The networks of EDM (SongUNet, DhariwalUNet), written anew from their formulas, under their keys.

    python spec/peers/edm.py                   writes the fixture
    python spec/peers/edm.py cases.json out    records a list of cases
"""
import math

import torch
import torch.nn.functional as F

import record
from named import Named
from values import uniform

FIXTURE = "spec/fixtures/peers/edm.safetensors"


class Net(Named):
    """What both networks share. `prefix` is that of all keys."""

    def __init__(self, config, image, defaults):
        super().__init__()
        self.o = dict(channels=image[1], out=image[1], label=0, augment=0, mult_emb=4, filter=[1, 1], **defaults)
        self.o.update(config)
        self.res = image[2]
        self(torch.zeros(image), torch.zeros(image[0]), None, None)

    def filter(self, name):
        f = torch.tensor(self.o["filter"], dtype=torch.float32)
        return self.b("model." + name + ".resample_filter", f.outer(f)[None, None] / f.sum() ** 2)

    def conv(self, x, name, out, kernel, up=False, down=False, fused=False, bias=True):
        f = self.filter(name) if up or down else None
        pad = (f.shape[-1] - 1) // 2 if up or down else 0
        w = self.p(f"model.{name}.weight", out, x.shape[1], kernel, kernel) if kernel else None
        b = self.p(f"model.{name}.bias", out) if kernel and bias else None
        half = kernel // 2
        if up:
            C = x.shape[1]
            x = F.conv_transpose2d(x, 4 * f.repeat(C, 1, 1, 1), groups=C, stride=2, padding=pad)
        if down and fused:
            x = F.conv2d(x, w, padding=half + pad)
            x = F.conv2d(x, f.repeat(out, 1, 1, 1), groups=out, stride=2)
            return x + b[None, :, None, None]
        if down:
            C = x.shape[1]
            x = F.conv2d(x, f.repeat(C, 1, 1, 1), groups=C, stride=2, padding=pad)
        return x if w is None else F.conv2d(x, w, b, padding=half)

    def linear(self, x, name, out, bias=True):
        w = self.p(f"model.{name}.weight", out, x.shape[1])
        return F.linear(x.to(w.dtype), w, self.p(f"model.{name}.bias", out) if bias else None)

    def norm(self, x, name, eps):
        C = x.shape[1]
        w, b = self.p(f"model.{name}.weight", C), self.p(f"model.{name}.bias", C)
        return F.group_norm(x, min(32, C // 4), w, b, eps)

    def block(self, x, name, out, up=False, down=False, attention=False):
        o, eps = self.o, self.o["eps"]
        h = self.conv(F.silu(self.norm(x, name + ".norm0", eps)), name + ".conv0", out, 3, up, down)
        m = self.linear(self.emb, name + ".affine", out * (2 if o["adaptive"] else 1))[:, :, None, None]
        if o["adaptive"]:
            h = F.silu(m[:, out:] + self.norm(h, name + ".norm1", eps) * (m[:, :out] + 1))
        else:
            h = F.silu(self.norm(h + m, name + ".norm1", eps))
        h = self.conv(h, name + ".conv1", out, 3)
        if x.shape[1] != out or up or down:
            kernel = 1 if o["resample_proj"] or x.shape[1] != out else 0
            x = self.conv(x, name + ".skip", out, kernel, up, down)
        x = (h + x) * o["skip_scale"]
        return (self.attention(x, name) + x) * o["skip_scale"] if attention else x

    def attention(self, x, name):
        B, C, H, W = x.shape
        heads = self.o["heads"] or C // self.o["head_channels"]
        qkv = self.conv(self.norm(x, name + ".norm2", self.o["eps"]), name + ".qkv", 3 * C, 1)
        q, k, v = qkv.reshape(B, heads, C // heads, 3, H * W).unbind(3)
        a = (q.transpose(2, 3) @ k / math.sqrt(C // heads)).softmax(-1)
        return self.conv((v @ a.transpose(2, 3)).reshape(B, C, H, W), name + ".proj", C, 1)

    def waves(self, t, width, endpoint):
        k = torch.arange(width // 2, dtype=torch.float32) / (width // 2 - (1 if endpoint else 0))
        angle = t[:, None] * (1 / 10000) ** k[None]
        return angle.cos(), angle.sin()

    def levels(self):
        return [(i, self.res >> i, self.o["model_channels"] * m) for i, m in enumerate(self.o["mult"])]

    def attends(self, res):
        return res in self.o["attn"]


class Song(Net):
    def __init__(self, config, image):
        super().__init__(config, image, dict(
            model_channels=128, mult=[1, 2, 2, 2], blocks=4, attn=[16], noise=1, embedding="positional",
            encoder="standard", decoder="standard", eps=1e-6, skip_scale=math.sqrt(0.5), adaptive=False,
            resample_proj=True, heads=1))

    def embed(self, t, label, augment):
        o = self.o
        width, wide = o["model_channels"] * o["noise"], o["model_channels"] * o["mult_emb"]
        if o["embedding"] == "fourier":
            freqs = self.p("model.map_noise.freqs", width // 2).requires_grad_(False)
            angle = t[:, None] * (2 * math.pi * freqs)[None]
            cos, sin = angle.cos(), angle.sin()
        else:
            cos, sin = self.waves(t, width, True)
        e = torch.cat([sin, cos], 1)
        if o["label"]:
            given = torch.zeros(len(t), o["label"]) if label is None else label
            e = e + self.linear(given * math.sqrt(o["label"]), "map_label", width)
        if o["augment"]:
            given = torch.zeros(len(t), o["augment"]) if augment is None else augment
            e = e + self.linear(given, "map_augment", width, bias=False)
        return F.silu(self.linear(F.silu(self.linear(e, "map_layer0", wide)), "map_layer1", wide))

    def encode(self, x):
        o, skips, aux = self.o, [], x
        for i, res, out in self.levels():
            stem = f"enc.{res}x{res}_"
            if i == 0:
                x = self.conv(x, stem + "conv", o["model_channels"], 3)
            else:
                x = self.block(x, stem + "down", x.shape[1], down=True)
            skips.append(x)
            if i > 0 and o["encoder"] == "skip":
                aux = self.conv(aux, stem + "aux_down", aux.shape[1], 0, down=True)
                x = skips[-1] = x + self.conv(aux, stem + "aux_skip", x.shape[1], 1)
            if i > 0 and o["encoder"] == "residual":
                aux = self.conv(aux, stem + "aux_residual", x.shape[1], 3, down=True, fused=True)
                x = skips[-1] = aux = (x + aux) / math.sqrt(2)
            for k in range(o["blocks"]):
                x = self.block(x, f"{stem}block{k}", out, attention=self.attends(res))
                skips.append(x)
        return x, skips

    def decode(self, x, skips):
        o, aux, last = self.o, None, len(self.o["mult"]) - 1
        for i, res, out in reversed(self.levels()):
            stem = f"dec.{res}x{res}_"
            if i == last:
                x = self.block(self.block(x, stem + "in0", x.shape[1], attention=True), stem + "in1", x.shape[1])
            else:
                x = self.block(x, stem + "up", x.shape[1], up=True)
            for k in range(o["blocks"] + 1):
                attention = k == o["blocks"] and self.attends(res)
                x = self.block(torch.cat([x, skips.pop()], 1), f"{stem}block{k}", out, attention=attention)
            if o["decoder"] == "skip" or i == 0:
                if o["decoder"] == "skip" and i < last:
                    aux = self.conv(aux, stem + "aux_up", o["out"], 0, up=True)
                y = self.conv(F.silu(self.norm(x, stem + "aux_norm", 1e-6)), stem + "aux_conv", o["out"], 3)
                aux = y if aux is None else aux + y
        return aux

    def forward(self, x, t, label, augment):
        self.emb = self.embed(t, label, augment)
        return self.decode(*self.encode(x))


class Dhariwal(Net):
    def __init__(self, config, image):
        super().__init__(config, image, dict(
            model_channels=192, mult=[1, 2, 3, 4], blocks=3, attn=[32, 16, 8], eps=1e-5, skip_scale=1, adaptive=True,
            resample_proj=False, heads=None, head_channels=64))

    def embed(self, t, label, augment):
        o = self.o
        width, wide = o["model_channels"], o["model_channels"] * o["mult_emb"]
        e = torch.cat(self.waves(t, width, False), 1)
        if o["augment"]:
            given = torch.zeros(len(t), o["augment"]) if augment is None else augment
            e = e + self.linear(given, "map_augment", width, bias=False)
        e = self.linear(F.silu(self.linear(e, "map_layer0", wide)), "map_layer1", wide)
        if o["label"]:
            given = torch.zeros(len(t), o["label"]) if label is None else label
            e = e + self.linear(given, "map_label", wide, bias=False)
        return F.silu(e)

    def forward(self, x, t, label, augment):
        o = self.o
        self.emb = self.embed(t, label, augment)
        skips = []
        for i, res, out in self.levels():
            stem = f"enc.{res}x{res}_"
            x = self.conv(x, stem + "conv", out, 3) if i == 0 else self.block(x, stem + "down", x.shape[1], down=True)
            skips.append(x)
            for k in range(o["blocks"]):
                x = self.block(x, f"{stem}block{k}", out, attention=self.attends(res))
                skips.append(x)
        for i, res, out in reversed(self.levels()):
            stem = f"dec.{res}x{res}_"
            if i == len(o["mult"]) - 1:
                x = self.block(self.block(x, stem + "in0", x.shape[1], attention=True), stem + "in1", x.shape[1])
            else:
                x = self.block(x, stem + "up", x.shape[1], up=True)
            for k in range(o["blocks"] + 1):
                x = self.block(torch.cat([x, skips.pop()], 1), f"{stem}block{k}", out, attention=self.attends(res))
        return self.conv(F.silu(self.norm(x, "out_norm", 1e-5)), "out_conv", o["out"], 3)


# ==== records ================================================================================

def make(case):
    model = {"SongUNet": Song, "DhariwalUNet": Dhariwal}[case["class"]](case["config"], case["image"])
    case["buffers"] = {k: list(b.shape) for k, b in model.named_buffers()}
    return model


def run(model, case):
    x = uniform(case["image"], 1).requires_grad_()
    label = None
    if case.get("classes"):
        label = torch.zeros(len(case["classes"]), model.o["label"])
        for i, k in enumerate(case["classes"]):
            if k >= 0:
                label[i, k] = 1
    augment = uniform(case["augment"], 3) if case.get("augment") else None
    y = model(x, torch.tensor(case["t"], dtype=torch.float32), label, augment)
    return {"y": y}, {"y": x}


def passes(model, case, dtype):
    x, t = uniform(case["image"], 1).to(dtype), torch.tensor(case["t"], dtype=dtype)
    return {"forward": lambda: model(x, t, None, None)}


SONG = {"model_channels": 8, "mult": [1, 2], "blocks": 1, "attn": [4]}
DHARIWAL = {"model_channels": 8, "mult": [1, 2], "blocks": 1, "attn": [8], "head_channels": 4}
IMAGE, T = [2, 3, 8, 8], [-1.5, 0.75]
CASES = [{"class": name, "image": IMAGE, "t": T, "config": {**base, **config}, **more}
         for name, base, config, more in [
    ("SongUNet", SONG, {}, {}),
    ("SongUNet", SONG, {"label": 3, "augment": 2, "attn": [8]}, {"classes": [2, -1], "augment": [2, 2]}),
    ("SongUNet", SONG, {"label": 3, "augment": 2}, {}),
    ("SongUNet", SONG, {"embedding": "fourier", "encoder": "residual", "filter": [1, 3, 3, 1], "noise": 2}, {}),
    ("SongUNet", SONG, {"encoder": "skip", "decoder": "skip", "filter": [1, 3, 3, 1], "mult": [1, 1, 2]}, {}),
    ("SongUNet", SONG, {"encoder": "residual", "decoder": "skip", "mult_emb": 2, "blocks": 2, "mult": [2, 1]}, {}),
    ("DhariwalUNet", DHARIWAL, {}, {}),
    ("DhariwalUNet", DHARIWAL, {"label": 3, "augment": 2, "blocks": 2}, {"classes": [-1, 0], "augment": [2, 2]}),
]]

if __name__ == "__main__":
    record.main(make, run, passes, CASES, FIXTURE)
