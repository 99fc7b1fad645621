"""The UNet of guided-diffusion and improved-diffusion, and the transformer of DiT, written anew from
their formulas, under their keys.

    python spec/peers/adm.py                   writes the fixture
    python spec/peers/adm.py cases.json out    records a list of cases
"""
import math

import torch
import torch.nn.functional as F

import record
from named import Named
from values import uniform

FIXTURE = "spec/fixtures/peers/adm.safetensors"


def waves(t, width):
    angle = t[:, None] * torch.exp(-math.log(10000) * torch.arange(width // 2) / (width // 2))[None]
    return torch.cat([angle.cos(), angle.sin()], 1)


class Unet(Named):
    def __init__(self, config, image):
        super().__init__()
        self.o = dict(channels=32, mult=[1, 2], blocks=1, attn=[2], heads=None, head_channels=None, order="legacy",
                      scale_shift=False, updown=False, classes=0, out=3, factor=1, first=None)
        self.o.update(config)
        self(torch.zeros(image), torch.zeros(image[0]), torch.zeros(image[0], dtype=torch.long))

    def conv(self, x, name, out, kernel, stride=1):
        w, b = self.p(name + ".weight", out, x.shape[1], kernel, kernel), self.p(name + ".bias", out)
        return F.conv2d(x, w, b, stride=stride, padding=kernel // 2)

    def linear(self, x, name, out):
        w = self.p(name + ".weight", out, x.shape[1])
        return F.linear(x.to(w.dtype), w, self.p(name + ".bias", out))

    def norm(self, x, name):
        C = x.shape[1]
        return F.group_norm(x, 32, self.p(name + ".weight", C), self.p(name + ".bias", C))

    def resize(self, x, how):
        return F.avg_pool2d(x, 2) if how == "down" else F.interpolate(x, scale_factor=2) if how == "up" else x

    def block(self, x, name, out, how=None):
        h = self.resize(F.silu(self.norm(x, name + ".in_layers.0")), how)
        x = self.resize(x, how)
        h = self.conv(h, name + ".in_layers.2", out, 3)
        shift = self.o["scale_shift"]
        m = self.linear(F.silu(self.e), name + ".emb_layers.1", (2 if shift else 1) * out)[:, :, None, None]
        if shift:
            h = self.norm(h, name + ".out_layers.0") * (1 + m[:, :out]) + m[:, out:]
        else:
            h = self.norm(h + m, name + ".out_layers.0")
        h = self.conv(F.silu(h), name + ".out_layers.3", out, 3)
        return h + (x if x.shape[1] == out else self.conv(x, name + ".skip_connection", out, 1))

    def attention(self, x, name):
        B, C, H, W = x.shape
        heads = self.o["heads"] or C // self.o["head_channels"]
        y = self.norm(x, name + ".norm").reshape(B, C, H * W)
        w, b = self.p(name + ".qkv.weight", 3 * C, C, 1), self.p(name + ".qkv.bias", 3 * C)
        qkv = F.conv1d(y, w, b)
        if self.o["order"] == "legacy":
            q, k, v = qkv.reshape(B, heads, 3, C // heads, H * W).unbind(2)
        else:
            q, k, v = qkv.reshape(B, 3, heads, C // heads, H * W).unbind(1)
        a = (q.transpose(2, 3) @ k / math.sqrt(C // heads)).softmax(-1)
        y = (v @ a.transpose(2, 3)).reshape(B, C, H * W)
        y = F.conv1d(y, self.p(name + ".proj_out.weight", C, C, 1), self.p(name + ".proj_out.bias", C))
        return x + y.reshape(x.shape)

    def forward(self, x, t, classes):
        o = self.o
        wide, n = 4 * o["channels"], len(o["mult"])
        e = F.silu(self.linear(waves(t * o["factor"], o["channels"]), "time_embed.0", wide))
        self.e = self.linear(e, "time_embed.2", wide)
        if o["classes"]:
            self.e = self.e + self.p("label_emb.weight", o["classes"], wide)[classes]
        widths = [int(o["channels"] * m) for m in o["mult"]]
        x = self.conv(x, "input_blocks.0.0", widths[0], 3)
        skips, at = [x], 1
        for i, width in enumerate(widths):
            for _ in range(o["blocks"]):
                x = self.block(x, f"input_blocks.{at}.0", width)
                if 2 ** i in o["attn"]:
                    x = self.attention(x, f"input_blocks.{at}.1")
                skips.append(x)
                at += 1
            if i < n - 1:
                name = f"input_blocks.{at}.0"
                x = self.block(x, name, width, "down") if o["updown"] else self.conv(x, name + ".op", width, 3, 2)
                skips.append(x)
                at += 1
        x = self.attention(self.block(x, "middle_block.0", widths[-1]), "middle_block.1")
        x, at = self.block(x, "middle_block.2", widths[-1]), 0
        for i in reversed(range(n)):
            for j in range(o["blocks"] + 1):
                x = self.block(torch.cat([x, skips.pop()], 1), f"output_blocks.{at}.0", widths[i])
                k = 1
                if 2 ** i in o["attn"]:
                    x, k = self.attention(x, f"output_blocks.{at}.1"), 2
                if i > 0 and j == o["blocks"]:
                    name = f"output_blocks.{at}.{k}"
                    x = self.block(x, name, widths[i], "up") if o["updown"] else self.conv(
                        self.resize(x, "up"), name + ".conv", widths[i], 3)
                at += 1
        return self.conv(F.silu(self.norm(x, "out.0")), "out.2", o["out"], 3)


class DiT(Named):
    def __init__(self, config, image):
        super().__init__()
        self.o = dict(width=16, heads=2, depth=2, patch=2, classes=3, none=True, out=2 * image[1])
        self.o.update(config)
        self(torch.zeros(image), torch.zeros(image[0]), torch.zeros(image[0], dtype=torch.long))

    linear = Unet.linear

    def places(self, h, w):
        """Of column, then row: [sin, cos] each."""
        quarter = self.o["width"] // 4
        omega = 10000 ** -(torch.arange(quarter, dtype=torch.float64) / quarter)
        rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        parts = [f(at.reshape(-1, 1) * omega) for at in (columns, rows) for f in (torch.sin, torch.cos)]
        return torch.cat(parts, 1).float()[None]

    def norm(self, x, shift, scale):
        return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]

    def tokens(self, x, name, out):
        return F.linear(x, self.p(name + ".weight", out, x.shape[-1]), self.p(name + ".bias", out))

    def forward(self, x, t, classes):
        o, (B, C, H, W), p = self.o, x.shape, self.o["patch"]
        D = o["width"]
        x = F.conv2d(x, self.p("x_embedder.proj.weight", D, C, p, p), self.p("x_embedder.proj.bias", D), stride=p)
        x = x.flatten(2).transpose(1, 2) + self.b("pos_embed", self.places(H // p, W // p))
        e = self.linear(F.silu(self.linear(waves(t, 256), "t_embedder.mlp.0", D)), "t_embedder.mlp.2", D)
        rows = o["classes"] + (1 if o["none"] else 0)
        c = F.silu(e + self.p("y_embedder.embedding_table.weight", rows, D)[classes])
        for i in range(o["depth"]):
            name = f"blocks.{i}."
            m = self.linear(c, name + "adaLN_modulation.1", 6 * D).chunk(6, 1)
            qkv = self.tokens(self.norm(x, m[0], m[1]), name + "attn.qkv", 3 * D)
            q, k, v = qkv.reshape(B, -1, 3, o["heads"], D // o["heads"]).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, -1, D)
            x = x + m[2][:, None] * self.tokens(y, name + "attn.proj", D)
            y = F.gelu(self.tokens(self.norm(x, m[3], m[4]), name + "mlp.fc1", 4 * D), approximate="tanh")
            x = x + m[5][:, None] * self.tokens(y, name + "mlp.fc2", D)
        shift, scale = self.linear(c, "final_layer.adaLN_modulation.1", 2 * D).chunk(2, 1)
        x = self.tokens(self.norm(x, shift, scale), "final_layer.linear", p * p * o["out"])
        return x.reshape(B, H // p, W // p, p, p, o["out"]).permute(0, 5, 1, 3, 2, 4).reshape(B, o["out"], H, W)


# ==== records ================================================================================

def make(case):
    model = {"UNetModel": Unet, "DiT": DiT}[case["class"]](case["config"], case["image"])
    case["buffers"] = {k: list(b.shape) for k, b in model.named_buffers()}
    return model


def run(model, case):
    x = uniform(case["image"], 1).requires_grad_()
    classes = torch.tensor(case.get("classes", [0] * case["image"][0]))
    return {"y": model(x, torch.tensor(case["t"], dtype=torch.float32), classes)}, {"y": x}


def passes(model, case, dtype):
    x, t = uniform(case["image"], 1).to(dtype), torch.tensor(case["t"], dtype=dtype)
    classes = torch.tensor(case.get("classes", [0] * case["image"][0]))
    return {"forward": lambda: model(x, t, classes)}


IMAGE, T = [2, 3, 8, 8], [3, 700]
CASES = [{"class": "UNetModel", "image": IMAGE, "t": T, "config": config, "given": given, **more}
         for config, given, more in [
    ({"heads": 4}, {"heads": 4, "qkv_order": "legacy"}, {}),
    ({"heads": 2, "order": "new", "attn": [1, 2], "scale_shift": True, "out": 6, "classes": 3},
     {"heads": 2, "qkv_order": "new"}, {"classes": [2, 0]}),
    ({"head_channels": 16, "updown": True, "scale_shift": True, "attn": [2], "blocks": 2},
     {"head_channels": 16, "qkv_order": "legacy"}, {}),
    ({"head_channels": 32, "updown": True, "order": "new", "mult": [0.5, 1], "channels": 64, "attn": []},
     {"head_channels": 32, "qkv_order": "new"}, {}),
    ({"heads": 1, "factor": 0.25}, {"heads": 1, "T": 4000, "rescale_timesteps": True}, {"t": [3, 3700]}),
]] + [{"class": "DiT", "image": [2, 4, 8, 8], "t": T, "config": config, "given": given, **more}
      for config, given, more in [
    ({}, {"heads": 2, "classes": 3}, {"classes": [-1, 1]}),
    ({"patch": 4, "heads": 4, "none": False, "out": 4}, {"heads": 4, "classes": 3}, {"classes": [2, 1]}),
]]

if __name__ == "__main__":
    record.main(make, run, passes, CASES, FIXTURE)
