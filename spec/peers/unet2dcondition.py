"""Runs UNet2DConditionModel over configurations and records what it computes, for unet2dcondition_spec.lua.

    unet2dcondition.py                        writes spec/fixtures/peers/unet2dcondition.safetensors
    unet2dcondition.py random SEED N FILE     the same for N random configurations
    unet2dcondition.py keys CONFIG ...        writes unet2dcondition_keys.json: digests of models of full size

The file is as digests.py writes it. A case has its inputs as {name: shape}, the class and time_ids as numbers,
and a mask of tokens as lists of 0 and 1.
"""
import random
import sys
import warnings

import diffusers
import torch
from diffusers import UNet2DConditionModel

import digests
from values import fill, uniform

SEEDS = {"x": 103, "class": 104, "context": 105, "text_embeds": 106, "image_embeds": 107, "time_cond": 108, "hint": 109}
FIXTURE = "spec/fixtures/peers/unet2dcondition.safetensors"
KEYS = "spec/fixtures/peers/unet2dcondition_keys.json"
TOKENS = 5
RESNET = {"Down": "ResnetDownsampleBlock2D", "Up": "ResnetUpsampleBlock2D"}
MIDDLE = {"Cross": "UNetMidBlock2DCrossAttn", "Simple": "UNetMidBlock2DSimpleCrossAttn", "": "UNetMidBlock2D",
          None: None}


def types(way, kinds):
    return [RESNET[way] if kind == "Resnet" else f"{kind}{way}Block2D" for kind in kinds]


def config(down, up=None, mid="Cross", **more):
    """A small configuration; `down` and `up` are kinds of blocks, up in the order of the config."""
    up = list(reversed(down)) if up is None else up
    own = dict(block_out_channels=[8, 16, 24][: len(down)], layers_per_block=1, norm_num_groups=4,
               attention_head_dim=2, cross_attention_dim=6, down_block_types=types("Down", down),
               up_block_types=types("Up", up), mid_block_type=MIDDLE[mid])
    return {**own, **more}


# ==== inputs ====================================================================================

def time_width(c):
    fourier = c.get("time_embedding_type") == "fourier"
    return c.get("time_embedding_dim") or (2 if fourier else 4) * c["block_out_channels"][0]


def first(value):
    return value[0] if isinstance(value, list) else value


def context_width(c):
    return c.get("encoder_hid_dim") or first(c["cross_attention_dim"])


def added_shapes(c, size):
    """Shapes of the inputs of addition_embed_type and encoder_hid_dim_type."""
    kind, projection = c.get("addition_embed_type"), c.get("encoder_hid_dim_type")
    cross, hidden = first(c["cross_attention_dim"]), c.get("encoder_hid_dim")
    out = {}
    if kind == "text_image":
        out = {"text_embeds": [2, cross], "image_embeds": [2, cross]}
    elif kind == "text_time":
        out = {"text_embeds": [2, c["projection_class_embeddings_input_dim"] - 3 * c["addition_time_embed_dim"]]}
    elif kind in ("image", "image_hint"):
        out = {"image_embeds": [2, hidden]}
    if kind == "image_hint":
        out["hint"] = [2, 3, 8 * size[0], 8 * size[1]]
    if projection in ("text_image_proj", "image_proj"):
        out["image_embeds"] = [2, cross if projection == "text_image_proj" else hidden]
    return out


def case_of(c, size=(4, 4), **more):
    channels = c.get("in_channels", 4) - (4 if c.get("addition_embed_type") == "image_hint" else 0)
    inputs = {"context": [2, TOKENS, context_width(c)], **added_shapes(c, size)}
    if c.get("time_cond_proj_dim"):
        inputs["time_cond"] = [2, c["time_cond_proj_dim"]]
    case = {"config": c, "x": [2, channels, *size], "t": [999, 3], "inputs": inputs}
    if c.get("addition_embed_type") == "text_time":
        case["time_ids"] = [[512, 7, 1024], [0, 128, 640]]
    return {**case, **more}


def labels(n=3):
    return {"class": [n - 1, 0]}


def numbers(*values):
    return {"class": list(values)}


MASK = {"mask": [[1, 1, 0, 1, 0], [0, 1, 1, 1, 1]]}


# ==== one case for each option ==================================================================

def stable():
    """Small networks of the shapes of Stable Diffusion 1, 2, XL and its inpainting."""
    yield case_of(config(["CrossAttn", "CrossAttn", ""], block_out_channels=[8, 16, 24]))
    yield case_of(config(["CrossAttn", ""], in_channels=9))
    yield case_of(config(["CrossAttn", ""], use_linear_projection=True, attention_head_dim=[1, 4], upcast_attention=True))
    xl = dict(addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=17,
              use_linear_projection=True)
    yield case_of(config(["", "CrossAttn"], transformer_layers_per_block=[1, 2], attention_head_dim=[2, 4], **xl))


def of_transformers():
    one = ["CrossAttn"]
    yield case_of(config(one), t=[0.5, 271.25], **MASK)
    yield case_of(config(one, attention_head_dim=3))
    yield case_of(config(one, attention_head_dim=3, use_linear_projection=True))
    yield case_of(config(one, only_cross_attention=True), **MASK)
    yield case_of(config(["CrossAttn", "CrossAttn"], only_cross_attention=[True, False], cross_attention_dim=[6, 6],
                         transformer_layers_per_block=[[2], 1], reverse_transformer_layers_per_block=[[1, 2], [2, 1]]))
    yield case_of(config(["", "CrossAttn"], layers_per_block=[2, 1], mid=""))
    yield case_of(config(one, mid=None, norm_num_groups=2, norm_eps=1e-3))
    yield case_of(config(one, mid_block_scale_factor=1.5, dropout=0.2, center_input_sample=True, sample_size=[4, 6]))


def of_sizes():
    two = ["CrossAttn", ""]
    yield case_of(config(two, conv_in_kernel=1, conv_out_kernel=5, out_channels=6), size=(5, 3))
    yield case_of(config(["", "CrossAttn"], downsample_padding=0, mid=""), size=(7, 5))


def of_time():
    one = ["CrossAttn"]
    yield case_of(config(one, flip_sin_to_cos=False, freq_shift=1, act_fn="gelu"))
    yield case_of(config(one, time_embedding_dim=10, time_embedding_act_fn="mish", timestep_post_act="silu"))
    yield case_of(config(one, time_embedding_type="fourier"), t=[0.02, 3.5])
    yield case_of(config(one, time_embedding_type="fourier", flip_sin_to_cos=False, class_embed_type="timestep"),
                  t=[0.5, 2], **numbers(4, 0.25))
    yield case_of(config(one, time_cond_proj_dim=5, act_fn="mish"))
    yield case_of(config(one, resnet_time_scale_shift="scale_shift", act_fn="relu"))


def of_classes():
    one = ["CrossAttn"]
    yield case_of(config(one, num_class_embeds=3), **labels())
    yield case_of(config(one, num_class_embeds=3, class_embeddings_concat=True), t=[70, 600], **labels())
    yield case_of(config(one, class_embed_type="timestep", act_fn="gelu"), **numbers(3.5, 17))
    yield case_of(config(one, class_embed_type="identity", time_embedding_dim=6), **{"class": 6})
    yield case_of(config(one, class_embed_type="projection", projection_class_embeddings_input_dim=5), **{"class": 5})
    yield case_of(config(one, class_embed_type="simple_projection", projection_class_embeddings_input_dim=5,
                         class_embeddings_concat=True), **{"class": 5})


def of_additions():
    one = ["CrossAttn"]
    yield case_of(config(one, addition_embed_type="text", addition_embed_type_num_heads=3))
    yield case_of(config(one, addition_embed_type="text", addition_embed_type_num_heads=2, encoder_hid_dim=4))
    yield case_of(config(one, addition_embed_type="text_image", encoder_hid_dim=7, encoder_hid_dim_type="text_image_proj"))
    yield case_of(config(one, addition_embed_type="image", encoder_hid_dim=7, encoder_hid_dim_type="image_proj"))
    yield case_of(config([""], ["CrossAttn"], addition_embed_type="image_hint", encoder_hid_dim=7, in_channels=7), size=(2, 2))
    yield case_of(config(one, encoder_hid_dim=7, encoder_hid_dim_type="text_proj"), **MASK)


def of_other_blocks():
    yield case_of(config(["Attn", "CrossAttn"], ["Attn", "CrossAttn"], attention_head_dim=[3, 2]))
    own = dict(resnet_skip_time_act=True, resnet_out_scale_factor=1.4)
    yield case_of(config(["Resnet", ""], ["", "Resnet"], mid="", **own))
    simple = ["SimpleCrossAttn", "Resnet"]
    yield case_of(config(simple, mid="Simple", attention_head_dim=4, **own), **MASK)
    yield case_of(config(simple, mid="Simple", attention_head_dim=[2, 8], only_cross_attention=True))
    one = ["SimpleCrossAttn"]
    yield case_of(config(one, mid="Simple", mid_block_only_cross_attention=True, cross_attention_dim=32,
                         cross_attention_norm="group_norm"))
    yield case_of(config(one, mid="Simple", cross_attention_dim=8, cross_attention_norm="layer_norm"))
    k = dict(mid=None, norm_num_groups=None, attention_head_dim=16, conv_in_kernel=1, conv_out_kernel=1)
    yield case_of(config(["K", "KCrossAttn"], ["KCrossAttn", "K"], block_out_channels=[32, 32], time_embedding_dim=32,
                         timestep_post_act="gelu", **k), **MASK)
    yield case_of(config(["KCrossAttn", "K"], ["K", "KCrossAttn"], block_out_channels=[32, 64], **k))


def cases():
    for group in (stable, of_transformers, of_sizes, of_time, of_classes, of_additions, of_other_blocks):
        yield from group()


# ==== random configurations =====================================================================

def kinds(rng):
    """Kinds of blocks on the way down, on the way up, and in the middle."""
    n = rng.choice([1, 2, 2, 2, 3])
    pool, mid = rng.choice([(["CrossAttn", ""], ["Cross"]), (["CrossAttn", ""], ["Cross", ""]),
                            (["CrossAttn", "", "Attn", "Resnet"], ["Cross", None]),
                            (["SimpleCrossAttn", "Resnet"], ["Simple"]), (["SimpleCrossAttn", "CrossAttn", ""], ["Simple"]),
                            (["K", "KCrossAttn"], [None]), (["CrossAttn", "K", "Skip", "Attn"], ["Cross", None])])
    down = [rng.choice(pool) for _ in range(n)]
    up = list(reversed(down)) if rng.random() < 0.6 else [rng.choice(pool) for _ in range(n)]
    return down, up, rng.choice(mid)


SINGLE = {
    "center_input_sample": [True], "freq_shift": [1, 2], "flip_sin_to_cos": [False], "downsample_padding": [0],
    "norm_eps": [1e-6, 1e-3], "act_fn": ["mish", "gelu", "relu", "swish"], "resnet_time_scale_shift": ["scale_shift"],
    "mid_block_scale_factor": [1.5], "dropout": [0.2], "time_embedding_dim": [16, 32, 33], "in_channels": [1, 9],
    "out_channels": [1, 6], "use_linear_projection": [True], "upcast_attention": [True], "only_cross_attention": [True],
    "mid_block_only_cross_attention": [True, False], "resnet_skip_time_act": [True], "resnet_out_scale_factor": [1.4],
    "time_embedding_act_fn": ["silu", "gelu"], "timestep_post_act": ["silu", "mish"], "time_cond_proj_dim": [3],
    "conv_in_kernel": [1, 5], "conv_out_kernel": [1, 5], "class_embeddings_concat": [True],
    "cross_attention_norm": ["group_norm", "layer_norm"], "dual_cross_attention": [True],
}
SELDOM = {"dual_cross_attention": 0.04, "class_embeddings_concat": 0.1, "cross_attention_norm": 0.1}


def by_level(rng, c):
    """Options of which each level may have its own."""
    n = len(c["block_out_channels"])

    def drawn(values):
        return rng.choice(values) if rng.random() < 0.6 else [rng.choice(values) for _ in range(n)]
    c["attention_head_dim"] = drawn([16] if max(c["block_out_channels"]) > 24 else [2, 4, 3])
    c["layers_per_block"] = drawn([1, 1, 2])
    c["cross_attention_dim"] = rng.choice([6, 8, 32]) if rng.random() < 0.8 else [6] * n
    c["transformer_layers_per_block"] = drawn([1, 1, 2])
    if rng.random() < 0.15:
        c["transformer_layers_per_block"] = [[1, 2] if rng.random() < 0.5 else 1 for _ in range(n)]
        c["reverse_transformer_layers_per_block"] = [rng.choice([1, 2, [1, 2, 1]]) for _ in range(n)]


def conditions(rng, c):
    """Chooses a class, an addition and a projection; returns further facts of the case."""
    facts, which = {}, rng.choice([None, None, "labels", "timestep", "identity", "projection", "simple_projection"])
    if which == "labels":
        c["num_class_embeds"] = 3
        facts = labels()
    elif which:
        c["class_embed_type"] = which
        facts = numbers(*rng.sample(range(1, 9), 2)) if which == "timestep" else {"class": time_width(c)}
        if "projection" in which:
            c["projection_class_embeddings_input_dim"] = facts["class"] = 24
    one = not isinstance(c["cross_attention_dim"], list) or rng.random() < 0.1
    addition = rng.choice([None, None, "image", "image_hint", "text_time"] + ["text", "text_image"] * one)
    c["addition_embed_type"] = None if c.get("class_embeddings_concat") and rng.random() < 0.8 else addition
    c["addition_embed_type_num_heads"] = 2
    c["encoder_hid_dim_type"] = rng.choice([None, None] + ["text_proj", "text_image_proj", "image_proj"] * one)
    if c["encoder_hid_dim_type"] or addition in ("image", "image_hint"):
        c["encoder_hid_dim"] = rng.choice([4, 8])
    if c["addition_embed_type"] == "text_time":
        c["addition_time_embed_dim"], c["projection_class_embeddings_input_dim"] = rng.choice([6, 7]), 24
    if c["addition_embed_type"] == "image_hint":
        c["in_channels"] = 8
    return facts


def random_case(rng):
    down, up, mid = kinds(rng)
    wide = any(kind.startswith("K") for kind in down + up)
    widths = [rng.choice([32, 32, 64] if wide else [8, 16, 24]) for _ in down]
    c = config(down, up, mid, block_out_channels=widths, norm_num_groups=rng.choice([4, 4, 2] + [None] * wide))
    for name, values in SINGLE.items():
        if rng.random() < SELDOM.get(name, 0.2):
            c[name] = rng.choice(values)
    by_level(rng, c)
    facts = {"t": [rng.randrange(1000), rng.randrange(1000)]}
    if rng.random() < 0.2:
        c["time_embedding_type"], facts["t"] = "fourier", [0.07, 2.5]
    facts.update(conditions(rng, c))
    simple = any("Simple" in kind for kind in [*down, *up, mid or ""])
    unmasked = simple and (c.get("only_cross_attention") or c.get("mid_block_only_cross_attention"))
    if rng.random() < 0.3 and not unmasked and c["encoder_hid_dim_type"] in (None, "text_proj"):
        facts.update(MASK)
    side = 1 << len(down)
    halved = any("Resnet" in kind or "Simple" in kind for kind in down)  # by means of pixels, of even sizes
    size = (side, 2 * side) if halved or rng.random() < 0.7 else (side + rng.choice([1, 2, 3]), side + rng.choice([1, 3]))
    return case_of(c, size=size, **facts)


# ==== recording =================================================================================

def filled_model(c):
    """In double, so that the only rounding that matters is ours."""
    return fill(UNet2DConditionModel(**c)).double()


def leaf(shape, name):
    return uniform(shape, SEEDS[name]).double().requires_grad_()


def class_of(case, model):
    given, kind = case.get("class"), model.config.class_embed_type
    if isinstance(given, int):
        return leaf((2, given), "class")
    if given is None:
        return None
    return torch.tensor(given).float() if kind else torch.tensor(given)


def call(model, case):
    x = leaf(case["x"], "x")
    leaves = {name: leaf(shape, name) for name, shape in case["inputs"].items()}
    label, mask = class_of(case, model), case.get("mask")
    added = {name: leaf for name, leaf in leaves.items() if name in ("text_embeds", "image_embeds", "hint")}
    if "time_ids" in case:
        added["time_ids"] = torch.tensor(case["time_ids"])
    y = model(x, torch.tensor(case["t"]), leaves["context"], class_labels=label, timestep_cond=leaves.get("time_cond"),
              added_cond_kwargs=added, encoder_attention_mask=None if mask is None else torch.tensor(mask)).sample
    rows = {"class": label} if label is not None and label.requires_grad else {}
    return y, {"x": x, **leaves, **rows}


def main(args):
    warnings.filterwarnings("ignore")
    diffusers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    if args[:1] == ["random"]:
        rng = random.Random(int(args[1]))
        drawn = [random_case(rng) for _ in range(int(args[2]))]
        digests.record(drawn, args[3], filled_model, call, may_fail=True)
    elif args[:1] == ["keys"]:
        digests.keys(UNet2DConditionModel, args[1:], KEYS)
    else:
        digests.record(list(cases()), FIXTURE, filled_model, call)


if __name__ == "__main__":
    main(sys.argv[1:])
