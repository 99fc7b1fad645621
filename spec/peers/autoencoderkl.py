"""References of AutoencoderKL: spec/fixtures/peers/autoencoderkl.safetensors.

PEERS/bin/python spec/peers/autoencoderkl.py                     writes the fixture
PEERS/bin/python spec/peers/autoencoderkl.py cases.json records  records other cases
"""
from diffusers import AutoencoderKL

from autoencoders import DOWN, UP, leaf
from record import main
from values import uniform

SMALL = {"block_out_channels": [8, 8], "down_block_types": DOWN[:1] * 2, "up_block_types": UP[:1] * 2,
         "norm_num_groups": 4}


def case(x=(1, 3, 8, 8), z=(1, 4, 4, 4), tile=None, **config):
    out = {"class": "AutoencoderKL", "config": {**SMALL, **config}, "x": list(x), "z": list(z)}
    return {**out, "tile": tile} if tile else out


CASES = [
    case(),
    case(x=(2, 3, 8, 4), z=(2, 4, 2, 3), layers_per_block=2, act_fn="mish"),
    case(down_block_types=DOWN, up_block_types=UP, act_fn="gelu"),
    case(down_block_types=DOWN[::-1], up_block_types=UP[::-1], mid_block_add_attention=False, act_fn="relu"),
    case(use_quant_conv=False, use_post_quant_conv=False, latent_channels=6, z=(1, 6, 4, 4), shift_factor=0.1159,
         scaling_factor=0.3611),
    case(use_quant_conv=False, in_channels=1, out_channels=2, x=(1, 1, 8, 8), act_fn="swish", latents_mean=[0.1] * 4,
         latents_std=[0.5] * 4, force_upcast=False),
    case(block_out_channels=[8], down_block_types=DOWN[:1], up_block_types=UP[:1], norm_num_groups=2),
    case(block_out_channels=[4, 8, 12], down_block_types=DOWN[:1] * 3, up_block_types=UP[:1] * 3, x=(1, 3, 11, 9),
         z=(1, 4, 2, 3)),
    case(sample_size=8, x=(1, 3, 16, 12), z=(1, 4, 9, 5), tile=True),
    case(x=(2, 3, 8, 14), z=(1, 4, 4, 10), tile={"size": 8, "overlap": 0.5}),
    case(block_out_channels=[4, 4, 4], down_block_types=DOWN[:1] * 3, up_block_types=UP[:1] * 3,
         x=(1, 3, 19, 22), norm_num_groups=2, z=(1, 4, 7, 6), tile={"size": 16}),
]


def make(case):
    return AutoencoderKL(**case["config"])


def tile(model, given):
    """Tiles as enable_tiling makes them, or of another size and overlap."""
    model.enable_tiling()
    if isinstance(given, dict):
        model.tile_sample_min_size = given["size"]
        model.tile_latent_min_size = int(given["size"] / 2 ** (len(model.config.block_out_channels) - 1))
        model.tile_overlap_factor = given.get("overlap", 0.25)


def run(model, case):
    x, z = leaf(case["x"], 1), leaf(case["z"], 2)
    if case.get("tile"):
        tile(model, case["tile"])
    found = model.encode(x).latent_dist
    out = {"mean": found.mean, "std": found.std, "sample": model.decode(z).sample}
    if not case.get("tile"):
        out["again"] = model.decode(found.mean + found.std * uniform(found.mean.shape, 3)).sample
        out["kl"] = found.kl()
    return out, {"x": x, "z": z}


def passes(model, case, dtype):
    x, z = uniform(case["x"], 1).to(dtype), uniform(case["z"], 2).to(dtype)
    return {"encode": lambda: model.encode(x), "decode": lambda: model.decode(z)}


if __name__ == "__main__":
    main(make, run, passes, CASES, "spec/fixtures/peers/autoencoderkl.safetensors")
