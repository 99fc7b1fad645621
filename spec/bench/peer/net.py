"""The networks of csrc/nn in PyTorch, layer for layer and under the same names."""
import math

import torch
import torch.nn.functional as F
from torch import nn


def groups_for(channels):
    """The largest divisor of at most 32 that leaves 4 channels a group."""
    fitting = [g for g in range(1, 33) if channels % g == 0 and channels // g >= 4]
    return max(fitting, default=1)


def numbered(layers):
    return nn.ModuleDict({str(i + 1): layer for i, layer in enumerate(layers)})


class TimeEmbed(nn.Module):
    def __init__(self, width_in, width, classes, steps=1000):
        super().__init__()
        half = width_in // 2
        frequency = torch.exp(-math.log(10000) / half * torch.arange(half, dtype=torch.float64))
        angle = torch.arange(steps + 1, dtype=torch.float64)[:, None] * frequency
        waves = torch.cat([angle.cos(), angle.sin()], 1).float()
        self.register_buffer("waves", waves, persistent=False)
        self.one = nn.Linear(width_in, width)
        self.two = nn.Linear(width, width)
        self.label = nn.Embedding(classes + 1, width, padding_idx=0) if classes else None

    def forward(self, t, label):
        e = self.two(F.silu(self.one(self.waves[t])))
        if self.label is not None:
            e = e + self.label(label)
        return F.silu(e)


class NormConv(nn.Module):
    def __init__(self, inp, out, dropout=0.0):
        super().__init__()
        self.norm = nn.GroupNorm(groups_for(inp), inp)
        self.conv = nn.Conv2d(inp, out, 3, padding=1)
        self.dropout = dropout

    def forward(self, x):
        h = F.silu(self.norm(x))
        if self.dropout:
            h = F.dropout(h, self.dropout, self.training)
        return self.conv(h)


class ResBlock(nn.Module):
    def __init__(self, inp, out, width, dropout):
        super().__init__()
        self.one = NormConv(inp, out)
        self.two = NormConv(out, out, dropout)
        self.embed = nn.Linear(width, out)
        self.skip = nn.Conv2d(inp, out, 1) if inp != out else nn.Identity()

    def forward(self, x, e):
        h = self.one(x) + self.embed(e)[:, :, None, None]
        return self.skip(x) + self.two(h)


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens):
        q, k, v = self.qkv(tokens).unsqueeze(1).chunk(3, -1)
        return self.out(F.scaled_dot_product_attention(q, k, v).squeeze(1))


class AttentionBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.GroupNorm(groups_for(channels), channels)
        self.attention = Attention(channels)

    def forward(self, x):
        B, C, H, W = x.shape
        tokens = self.norm(x).permute(0, 2, 3, 1).reshape(B, H * W, C)
        return x + self.attention(tokens).view(B, H, W, C).permute(0, 3, 1, 2)


class Downsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x):
        return self.conv(x)


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks of one size, attention behind each where the level has it."""

    def __init__(self, inputs, out, width, dropout, attends):
        super().__init__()
        self.block = numbered([ResBlock(inp, out, width, dropout) for inp in inputs])
        self.attention = numbered([AttentionBlock(out) for _ in inputs]) if attends else None

    def steps(self):
        for name, block in self.block.items():
            yield block, self.attention[name] if self.attention else nn.Identity()


class UNet(nn.Module):
    def __init__(self, image, channels, mult, blocks, attention, classes, dropout):
        super().__init__()
        width, top, last = 4 * channels, channels * mult[-1], len(mult) - 1
        self.time = TimeEmbed(channels, width, classes)
        self.inp = nn.Conv2d(image[2], channels, 3, padding=1)
        now, kept, down, up = channels, [channels], [], []
        for i, m in enumerate(mult):
            out = channels * m
            level = Level([now] + [out] * (blocks - 1), out, width, dropout, 2**i in attention)
            level.shrink = Downsample(out) if i < last else None
            down.append(level)
            kept += [out] * (blocks + (i < last))
            now = out
        self.mid = nn.ModuleDict(
            {
                "one": ResBlock(top, top, width, dropout),
                "attention": AttentionBlock(top),
                "two": ResBlock(top, top, width, dropout),
            }
        )
        for i in reversed(range(len(mult))):
            out, inputs = channels * mult[i], []
            for _ in range(blocks + 1):
                inputs.append(now + kept.pop())
                now = out
            level = Level(inputs, out, width, dropout, 2**i in attention)
            level.grow = Upsample(out) if i > 0 else None
            up.append(level)
        self.down, self.up = numbered(down), numbered(up[::-1])
        self.out = NormConv(now, image[2])

    def forward(self, x, t, label=None):
        e = self.time(t, label)
        h = self.inp(x)
        kept = [h]
        for level in self.down.values():
            for block, attention in level.steps():
                h = attention(block(h, e))
                kept.append(h)
            if level.shrink is not None:
                h = level.shrink(h)
                kept.append(h)
        h = self.mid["two"](self.mid["attention"](self.mid["one"](h, e)), e)
        for level in reversed(self.up.values()):
            for block, attention in level.steps():
                h = attention(block(torch.cat([h, kept.pop()], 1), e))
            if level.grow is not None:
                h = level.grow(h)
        return self.out(h)


class MLPBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.one = nn.Linear(width, width)
        self.two = nn.Linear(width, width)

    def forward(self, h, e):
        return h + self.two(F.silu(self.one(self.norm(h) + e)))


class MLP(nn.Module):
    def __init__(self, dim, hidden, depth):
        super().__init__()
        self.time = TimeEmbed(hidden, hidden, 0)
        self.inp = nn.Linear(dim, hidden)
        self.blocks = numbered([MLPBlock(hidden) for _ in range(depth)])
        self.norm = nn.LayerNorm(hidden)
        self.out = nn.Linear(hidden, dim)
        self.gate = nn.Linear(hidden, dim)

    def forward(self, x, t, label=None):
        e = self.time(t, None)
        h = self.inp(x)
        for block in self.blocks.values():
            h = block(h, e)
        return self.out(self.norm(h)) + x * self.gate(e)


def places(side, width):
    """Fixed sines and cosines of the places of side x side tokens (He et al. 2022)."""
    half = width // 2
    frequency = torch.exp(-math.log(10000) / (half // 2) * torch.arange(half // 2, dtype=torch.float64))
    angle = torch.arange(side, dtype=torch.float64)[:, None] * frequency
    waves = torch.cat([angle.sin(), angle.cos()], 1).float()
    across, down = waves[None].expand(side, -1, -1), waves[:, None].expand(-1, side, -1)
    return torch.cat([across, down], 2).reshape(1, side * side, width)


class HeadsAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        B, N, C = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, C // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(B, N, C))


def modulated(h, shift, scale):
    return torch.addcmul(shift, h, 1 + scale)


class DiTBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.modulate = nn.Linear(width, 6 * width)
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.attention = HeadsAttention(width, heads)
        self.one = nn.Linear(width, 4 * width)
        self.two = nn.Linear(4 * width, width)

    def forward(self, x, e):
        a1, s1, g1, a2, s2, g2 = self.modulate(e).unsqueeze(1).chunk(6, 2)
        x = torch.addcmul(x, g1, self.attention(modulated(self.norm(x), a1, s1)))
        y = self.two(F.gelu(self.one(modulated(self.norm(x), a2, s2))))
        return torch.addcmul(x, g2, y)


class DiT(nn.Module):
    """Peebles & Xie 2023, with adaLN-Zero; gelu is exact, as ours."""

    def __init__(self, image, patch, width, heads, depth, classes):
        super().__init__()
        self.patch, self.side, self.channels = patch, image[0] // patch, image[2]
        self.time = TimeEmbed(width, width, classes)
        self.inp = nn.Conv2d(image[2], width, patch, stride=patch)
        self.register_buffer("places", places(self.side, width), persistent=False)
        self.blocks = numbered([DiTBlock(width, heads) for _ in range(depth)])
        self.modulate = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)
        self.out = nn.Linear(width, patch * patch * image[2])

    def forward(self, x, t, label=None):
        e, p, side = self.time(t, label), self.patch, self.side
        h = self.inp(x).flatten(2).transpose(1, 2) + self.places
        for block in self.blocks.values():
            h = block(h, e)
        shift, scale = self.modulate(e).unsqueeze(1).chunk(2, 2)
        h = self.out(modulated(self.norm(h), shift, scale))
        h = h.view(len(x), side, side, p, p, self.channels).permute(0, 5, 1, 3, 2, 4)
        return h.reshape(len(x), self.channels, side * p, side * p)


def make(w):
    """The network that a workload describes."""
    image = [int(n) for n in w["image"].split(",")]
    if w["net"] == "mlp":
        return MLP(image[0], int(w["hidden"]), int(w["depth"]))
    if w["net"] == "dit":
        return DiT(image, *(int(w[k]) for k in ("patch", "width", "heads", "depth", "classes")))
    mult, attention = ([int(n) for n in w[k].split(",")] for k in ("mult", "attention"))
    return UNet(
        image, int(w["channels"]), mult, int(w["blocks"]), attention,
        int(w["classes"]), float(w["dropout"]),
    )
