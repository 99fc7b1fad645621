"""References of AutoencoderTiny and VQModel: spec/fixtures/peers/autoencoders.safetensors.

PEERS/bin/python spec/peers/autoencoders.py                     writes the fixture
PEERS/bin/python spec/peers/autoencoders.py cases.json records  records other cases
"""
import torch
from diffusers import AutoencoderTiny, VQModel

from record import main
from values import uniform

TINY = {"encoder_block_out_channels": [6, 6], "decoder_block_out_channels": [6, 6],
        "num_encoder_blocks": [1, 1], "num_decoder_blocks": [1, 1]}
VQ = {"block_out_channels": [8, 16], "down_block_types": ["DownEncoderBlock2D"] * 2,
      "up_block_types": ["UpDecoderBlock2D"] * 2, "norm_num_groups": 4, "num_vq_embeddings": 16}
DOWN, UP = ("DownEncoderBlock2D", "AttnDownEncoderBlock2D"), ("UpDecoderBlock2D", "AttnUpDecoderBlock2D")


def tiny(x=(1, 3, 8, 8), z=(1, 4, 4, 4), **config):
    return {"class": "AutoencoderTiny", "config": {**TINY, **config}, "x": list(x), "z": list(z)}


def vq(x=(1, 3, 8, 8), z=(1, 3, 4, 4), **config):
    return {"class": "VQModel", "config": {**VQ, **config}, "x": list(x), "z": list(z)}


def spatial(**config):
    # a spatial norm has 32 groups
    return vq(norm_type="spatial", **{"block_out_channels": [32, 32], **config})


CASES = [
    tiny(),
    tiny(x=(2, 3, 4, 8), z=(2, 4, 3, 5)),
    tiny(act_fn="silu"),
    tiny(act_fn="swish"),
    tiny(act_fn="mish"),
    tiny(act_fn="gelu"),
    tiny(act_fn="ReLU"),
    tiny(in_channels=1, out_channels=2, latent_channels=5, x=(1, 1, 8, 8), z=(1, 5, 4, 4)),
    tiny(upsampling_scaling_factor=3, z=(1, 4, 2, 2)),
    tiny(latent_magnitude=2, latent_shift=0.25, scaling_factor=0.5, shift_factor=0.1),
    tiny(encoder_block_out_channels=[4, 4, 4], decoder_block_out_channels=[5],
         num_encoder_blocks=[0, 2, 1], num_decoder_blocks=[2]),
    tiny(num_encoder_blocks=[1, 3], num_decoder_blocks=[3, 1], upsample_fn="nearest-exact"),
    vq(),
    vq(layers_per_block=2, x=(2, 3, 8, 4), z=(2, 3, 4, 2)),
    vq(act_fn="relu"),
    vq(act_fn="gelu"),
    vq(act_fn="mish"),
    vq(down_block_types=DOWN, up_block_types=UP),
    vq(down_block_types=DOWN[::-1], up_block_types=UP[::-1], mid_block_add_attention=False),
    vq(vq_embed_dim=5, z=(1, 5, 4, 4)),
    vq(in_channels=1, out_channels=2, latent_channels=4, x=(1, 1, 8, 8), z=(1, 4, 4, 4)),
    vq(lookup_from_codebook=True),
    vq(block_out_channels=[8], down_block_types=DOWN[:1], up_block_types=UP[:1], z=(1, 3, 6, 6)),
    vq(block_out_channels=[8, 8, 8], down_block_types=[DOWN[0]] * 3, up_block_types=[UP[0]] * 3,
       x=(1, 3, 7, 9), z=(1, 3, 2, 3)),
    spatial(),
    spatial(down_block_types=DOWN, up_block_types=UP[::-1], x=(1, 3, 4, 4), z=(1, 3, 2, 2)),
    spatial(mid_block_add_attention=False, lookup_from_codebook=True, layers_per_block=2,
            x=(1, 3, 4, 4), z=(1, 3, 2, 2)),
]


def make(case):
    return {"AutoencoderTiny": AutoencoderTiny, "VQModel": VQModel}[case["class"]](**case["config"])


def leaf(shape, seed):
    return uniform(shape, seed).requires_grad_()


def run_tiny(model, x, z):
    with torch.no_grad():
        again = model(x).sample
    return {"latents": model.encode(x).latents, "sample": model.decode(3 * z).sample, "again": again}


def indices_of(model, h):
    """Rows from 1, as (N, H, W), and the least gap between the distances of a pixel's two best."""
    rows = model.quantize(h)[2][2].reshape(h.shape[0], *h.shape[2:]) + 1
    best = torch.cdist(h.permute(0, 2, 3, 1).reshape(-1, h.shape[1]), model.quantize.embedding.weight)
    near = best.topk(min(2, best.shape[1]), largest=False).values
    return rows, (near[:, -1] - near[:, 0]).min().reshape(1)


def run_vq(model, x, z):
    h = model.encode(x).latents
    got = model.decode(z)
    plain = model.decode(z, force_not_quantize=True).sample if not model.config.lookup_from_codebook else None
    with torch.no_grad():
        rows, gap = indices_of(model, z)
    out = {"latents": h, "sample": got.sample, "loss": got.commit_loss, "rows": rows, "gap": gap}
    if plain is not None:
        out["plain"] = plain
    else:
        shape = [z.shape[0], *z.shape[2:], z.shape[1]]
        out["looked_up"] = model.decode(rows.flatten() - 1, force_not_quantize=True, shape=shape).sample
    return out


def run(model, case):
    x, z = leaf(case["x"], 1), leaf(case["z"], 2)
    got = (run_tiny if case["class"] == "AutoencoderTiny" else run_vq)(model, x, z)
    return got, {"x": x, "z": z}


def passes(model, case, dtype):
    x, z = uniform(case["x"], 1).to(dtype), uniform(case["z"], 2).to(dtype)
    return {"encode": lambda: model.encode(x), "decode": lambda: model.decode(z)}


if __name__ == "__main__":
    main(make, run, passes, CASES, "spec/fixtures/peers/autoencoders.safetensors")
