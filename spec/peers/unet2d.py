"""Runs UNet2DModel over configurations and records what it computes, for unet2d_spec.lua.

    unet2d.py                        writes spec/fixtures/peers/unet2d.safetensors
    unet2d.py random SEED N FILE     the same for N random configurations
    unet2d.py keys CONFIG ...        writes unet2d_keys.json: digests of models of full size

The file is as digests.py writes it; an input is x, and class may be a vector.
"""
import random
import sys
import warnings

import diffusers
import torch
from diffusers import UNet2DModel

import digests
from values import fill, uniform

INPUT, CLASS = 103, 104
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


def call(model, case):
    x = uniform(case["x"], INPUT).requires_grad_()
    return model(x, torch.tensor(case["t"]), class_of(case, model)).sample, {"x": x}


def case_of(c, more):
    return {"config": c, "x": [2, c.get("in_channels", 3), 8, 8], "t": [999, 3], **more}


def main(args):
    warnings.filterwarnings("ignore")
    diffusers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    if args[:1] == ["random"]:
        rng = random.Random(int(args[1]))
        drawn = [case_of(*random_case(rng)) for _ in range(int(args[2]))]
        digests.record(drawn, args[3], filled_model, call, may_fail=True)
    elif args[:1] == ["keys"]:
        digests.keys(UNet2DModel, args[1:], KEYS)
    else:
        rng, drawn = random.Random(15), []
        while len(drawn) < 24:
            case = case_of(*random_case(rng))
            if digests.runs(case, filled_model, call):
                drawn.append(case)
        digests.record([*[case_of(*pair) for pair in single_options()], *drawn], FIXTURE, filled_model, call)


if __name__ == "__main__":
    main(sys.argv[1:])
