"""Runs UNet2DModel over configurations and records what it computes, for unet2d_spec.lua.

    unet2d.py                        writes spec/fixtures/peers/unet2d.safetensors
    unet2d.py random SEED N FILE     the same for N random configurations
    unet2d.py keys CONFIG ...        writes unet2d_keys.json: digests of models of full size

A file of records is safetensors with a JSON list in its metadata: for each case its config, the
shape of x, t, the class, and a digest of the keys and shapes. Case k has the tensors "k.y", "k.dx"
and "k.sums", which is sum(g u) and sum(|g|) of each parameter's gradient g by the sorted keys. u and
the cotangent of y come from values.uniform. A case that the peer fails on has "failed", its error.
"""
import json
import os
import random
import sys
import warnings

import diffusers
import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

from values import fill, uniform

COTANGENT, PROBE, INPUT, CLASS = 101, 102, 103, 104
FIXTURE = "spec/fixtures/peers/unet2d.safetensors"
KEYS = "spec/fixtures/peers/unet2d_keys.json"
KINDS = ["", "Attn", "Resnet", "Skip", "AttnSkip", "K", "KCrossAttn"]


def block(kind, way):
    if kind == "Resnet":
        return f"Resnet{'Downsample' if way == 'Down' else 'Upsample'}Block2D"
    return f"{kind}{way}Block2D"


def types(way, *kinds):
    return [block(kind, way) for kind in kinds]


def config(down, up=None, **more):
    """A small configuration; `down` and `up` are kinds of blocks, up in the order of the config."""
    up = list(reversed(down)) if up is None else up
    own = dict(block_out_channels=[8, 12, 16][: len(down)], layers_per_block=1, norm_num_groups=4,
               attention_head_dim=4, down_block_types=types("Down", *down), up_block_types=types("Up", *up))
    return {**own, **more}


def labels(n=3):
    return {"class": [n - 1, 0]}


def numbers(*values):
    return {"class": list(values)}


def single_options():
    """Pairs of a config and further facts of its case."""
    two = ["", "Attn"]
    k = dict(block_out_channels=[32, 64], norm_num_groups=8, act_fn="gelu")
    yield config(two), {}
    yield config(two, center_input_sample=True, in_channels=4, out_channels=2), {}
    yield config(two, flip_sin_to_cos=False, freq_shift=1, downsample_padding=0, norm_eps=1e-6,
                 attention_head_dim=None), {}
    yield config([""], ["Attn"], block_out_channels=[7], norm_num_groups=7, attention_head_dim=3,
                 freq_shift=5), {}
    yield config(two, time_embedding_dim=10), {}
    yield config(two, time_embedding_type="fourier"), {"t": [0.02, 37.5]}
    yield config(two, time_embedding_type="learned", num_train_timesteps=20), {"t": [0, 19]}
    yield config(two, num_class_embeds=3), labels()
    yield config(two, class_embed_type="timestep"), numbers(3.5, 17)
    yield config(two, class_embed_type="timestep", time_embedding_type="fourier"), \
        {"t": [0.5, 2], **numbers(4, 0.25)}
    yield config(two, class_embed_type="timestep", time_embedding_type="learned",
                 num_train_timesteps=20), {"t": [3, 0], **numbers(19, 0)}
    yield config(two, class_embed_type="identity", time_embedding_dim=6), {"class": "vector"}
    for act in ["swish", "mish", "gelu", "relu", "SiLU"]:
        yield config(two, act_fn=act), {}
    yield config(two, resnet_time_scale_shift="scale_shift"), {}
    yield config(two, resnet_time_scale_shift="scale_shift", attn_norm_num_groups=2), {}
    yield config(two, attn_norm_num_groups=6), {}
    yield config(two, mid_block_type=None), {}
    yield config(two, add_attention=False), {}
    yield config(two, mid_block_scale_factor=1.7), {}
    yield config(["Attn", "Attn"], downsample_type="resnet", upsample_type="resnet"), {}
    yield config(["Attn", "Attn"], downsample_type="resnet", resnet_time_scale_shift="scale_shift"), {}
    yield config(["Resnet", "Resnet"]), {}
    yield config(["Resnet", "Attn", ""], layers_per_block=2), {}
    yield config(two, attention_head_dim=5, dropout=0.3, sample_size=[8, 12]), {}
    skip = dict(block_out_channels=[16, 32], norm_num_groups=None, attention_head_dim=8)
    yield config(["Skip", "Skip"], **skip), {}
    wide = {**skip, "block_out_channels": [32, 32]}
    yield config(["Skip", "AttnSkip"], **wide), {}
    yield config(["AttnSkip", "Skip"], ["Skip", "AttnSkip"], **wide), {}
    yield config(["Skip", "AttnSkip"], time_embedding_type="fourier", mid_block_scale_factor=2 ** 0.5,
                 **wide), {"t": [0.01, 50]}
    yield config(["Skip", ""], ["", "Skip"], block_out_channels=[16, 32], norm_num_groups=8), {}
    yield config(["Skip", "Skip"], ["Attn", ""], block_out_channels=[16, 32], norm_num_groups=8), {}
    yield config(["K", "K"], **k), {}
    yield config(["KCrossAttn", "K"], ["K", "KCrossAttn"], **{**k, "attention_head_dim": 16}), {}
    yield config(["K", "KCrossAttn"], ["KCrossAttn", "K"], time_embedding_dim=32,
                 **{**k, "block_out_channels": [32, 32], "attention_head_dim": 16}), {}
    yield config(["", "Attn"], down_block_types=["UNetResDownBlock2D", "UNetResAttnDownBlock2D"]), {}


# ==== random configurations =====================================================================

def random_case(rng):
    n = rng.choice([1, 2, 2, 3])
    pool = rng.choice([["", "Attn", "Resnet"], ["", "Attn", "Resnet"], ["Skip", "AttnSkip"],
                       ["", "Attn", "Resnet", "Skip", "AttnSkip"], ["K", "KCrossAttn"], KINDS])
    down, up = [rng.choice(pool) for _ in range(n)], [rng.choice(pool) for _ in range(n)]
    wide = any(kind in ("AttnSkip", "K", "KCrossAttn") for kind in down + up)
    sizes = [32, 32, 64] if wide else [8, 12, 16, 20, 24]
    c = config(down, up, block_out_channels=[rng.choice(sizes) for _ in range(n)])
    c["norm_num_groups"] = rng.choice([4, 4, 2, None])
    c["layers_per_block"] = rng.choice([1, 1, 2])
    c["attention_head_dim"] = rng.choice([None, 4, 8, 3])
    facts = {}
    for name, values in {
        "center_input_sample": [True], "freq_shift": [1, 2], "flip_sin_to_cos": [False],
        "downsample_padding": [0], "norm_eps": [1e-6, 1e-3], "act_fn": ["mish", "gelu", "relu", "swish"],
        "resnet_time_scale_shift": ["scale_shift"], "add_attention": [False], "mid_block_type": [None],
        "attn_norm_num_groups": [2, 4], "mid_block_scale_factor": [1.5], "dropout": [0.2],
        "time_embedding_dim": [16, 32, 33], "downsample_type": ["resnet"], "upsample_type": ["resnet"],
        "in_channels": [1, 4], "out_channels": [1, 6],
    }.items():
        if rng.random() < 0.25:
            c[name] = rng.choice(values)
    kind = rng.choice(["positional", "positional", "fourier", "learned"])
    c["time_embedding_type"] = kind
    facts["t"] = {"positional": [rng.randrange(1000), rng.randrange(1000)], "fourier": [0.07, 23.0],
                  "learned": [rng.randrange(9), 8]}[kind]
    if kind == "learned":
        c["num_train_timesteps"] = 9
    which = rng.choice([None, None, "labels", "timestep", "identity"])
    if which == "labels":
        c["num_class_embeds"] = 3
        facts.update(labels())
    elif which:
        c["class_embed_type"] = which
        facts.update({"class": "vector"} if which == "identity" else numbers(*rng.sample(range(1, 9), 2)))
    return c, facts


# ==== recording =================================================================================

def digest(named):
    """FNV-1a, 64 bits, of lines "key 3,4\\n" by the sorted keys."""
    h = 0xCBF29CE484222325
    for key, p in named:
        for byte in f"{key} {','.join(map(str, p.shape))}\n".encode():
            h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def sorted_parameters(model):
    return sorted(model.named_parameters(), key=lambda kv: kv[0].encode())


def filled_model(c):
    model = fill(UNet2DModel(**c))
    if c.get("time_embedding_type") == "fourier":
        model.time_proj.weight.data.mul_(16)  # as large as first values are
    return model


def class_of(case, model):
    given = case.get("class")
    if given == "vector":
        return uniform((2, model.time_embedding.linear_2.out_features), CLASS)
    if given is None:
        return None
    kind = model.config.class_embed_type
    return torch.tensor(given).float() if kind and model.config.time_embedding_type != "learned" \
        else torch.tensor(given)


def sums_of(model):
    out = []
    for _, p in sorted_parameters(model):
        g = torch.zeros_like(p) if p.grad is None else p.grad
        out.append([(g.double() * uniform(p.shape, PROBE).double()).sum(), g.double().abs().sum()])
    return torch.tensor(out).float()


def run(case):
    """The case with its digest, and its tensors by name."""
    model = filled_model(case["config"])
    named = sorted_parameters(model)
    x = uniform(case["x"], INPUT).requires_grad_()
    y = model(x, torch.tensor(case["t"]), class_of(case, model)).sample
    (y * uniform(y.shape, COTANGENT)).sum().backward()
    case = {**case, "digest": digest(named), "tensors": len(named),
            "elements": sum(p.numel() for _, p in named)}
    return case, {"y": y.detach().contiguous(), "dx": x.grad.contiguous(), "sums": sums_of(model)}


def record(pairs, path, may_fail=False):
    tensors, cases = {}, []
    for k, (c, facts) in enumerate(pairs):
        case = {"config": c, "x": [2, c.get("in_channels", 3), 8, 8], "t": [999, 3], **facts}
        try:
            case, found = run(case)
        except Exception as error:
            if not may_fail:
                raise
            cases.append({**case, "failed": f"{type(error).__name__}: {error}"[:200]})
            continue
        cases.append(case)
        tensors.update({f"{k}.{name}": x for name, x in found.items()})
    write(path, cases, tensors)


def write(path, cases, tensors):
    text = json.dumps(cases, separators=(",", ":"))
    save_file(tensors, path, {"cases": text, "versions": f"diffusers {diffusers.__version__}, torch {torch.__version__}"})
    print(f"{path}: {len(cases)} cases")


def keys(paths):
    found = []
    for path in paths:
        with open(path) as f:
            c = {key: value for key, value in json.load(f).items() if not key.startswith("_")}
        with torch.device("meta"):
            named = sorted_parameters(UNet2DModel(**c))
        found.append({"name": os.path.basename(path).split(".")[0], "config": c, "digest": digest(named),
                      "tensors": len(named), "elements": sum(p.numel() for _, p in named)})
    with open(KEYS, "w") as f:
        json.dump(found, f, separators=(",", ":"))
        f.write("\n")


def main(args):
    warnings.filterwarnings("ignore")
    diffusers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    if args[:1] == ["random"]:
        rng = random.Random(int(args[1]))
        record([random_case(rng) for _ in range(int(args[2]))], args[3], may_fail=True)
    elif args[:1] == ["keys"]:
        keys(args[1:])
    else:
        rng, drawn = random.Random(15), []
        while len(drawn) < 24:
            case = random_case(rng)
            try:
                run({"config": case[0], "x": [2, case[0].get("in_channels", 3), 8, 8], "t": [999, 3], **case[1]})
                drawn.append(case)
            except Exception:
                pass
        record([*single_options(), *drawn], FIXTURE)


if __name__ == "__main__":
    main(sys.argv[1:])
