"""Keys of single files of latent diffusion, for spec/ldm_spec.lua.

    build/peers/bin/python spec/peers/ldm.py    writes the fixture

The keys and shapes of networks of full size are listed as LDM's openaimodel.py, model.py and open_clip make them. Then
diffusers' functions give the key of each in its own classes. The fixture has digests of both.
"""
import json
import os
import warnings

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as single
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

HERE = os.path.join(os.path.dirname(__file__), "..", "fixtures", "peers")

# ---- LDM's modules ----------------------------------------------------------------------------------


def pair(out, name, *shape):
    out[name + ".weight"], out[name + ".bias"] = shape, (shape[0],)


def resnet(out, name, inp, width, time):
    pair(out, name + ".in_layers.0", inp)
    pair(out, name + ".in_layers.2", width, inp, 3, 3)
    pair(out, name + ".emb_layers.1", width, time)
    pair(out, name + ".out_layers.0", width)
    pair(out, name + ".out_layers.3", width, width, 3, 3)
    if inp != width:
        pair(out, name + ".skip_connection", width, inp, 1, 1)


def transformer(out, name, width, depth, context, linear):
    square = (width, width) if linear else (width, width, 1, 1)
    pair(out, name + ".norm", width)
    pair(out, name + ".proj_in", *square)
    pair(out, name + ".proj_out", *square)
    for k in range(depth):
        block = f"{name}.transformer_blocks.{k}"
        for attn, inp in (("attn1", width), ("attn2", context)):
            out[f"{block}.{attn}.to_q.weight"] = (width, width)
            out[f"{block}.{attn}.to_k.weight"] = out[f"{block}.{attn}.to_v.weight"] = (width, inp)
            pair(out, f"{block}.{attn}.to_out.0", width, width)
        pair(out, f"{block}.ff.net.0.proj", 8 * width, width)
        pair(out, f"{block}.ff.net.2", width, 4 * width)
        for i in (1, 2, 3):
            pair(out, f"{block}.norm{i}", width)


def unet(channels=4, width=320, mult=(1, 2, 4, 4), blocks=2, depth=(1, 1, 1, 0), middle=1, context=768, linear=False,
         added=None):
    """The parameters of UNetModel in the order of its constructor."""
    out, time = {}, 4 * width
    pair(out, "time_embed.0", time, width)
    pair(out, "time_embed.2", time, time)
    if added:
        pair(out, "label_emb.0.0", time, added)
        pair(out, "label_emb.0.2", time, time)
    pair(out, "input_blocks.0.0", width, channels, 3, 3)
    ch, n, kept = width, 0, [width]
    for level, m in enumerate(mult):
        for _ in range(blocks):
            n += 1
            resnet(out, f"input_blocks.{n}.0", ch, width * m, time)
            ch = width * m
            if depth[level]:
                transformer(out, f"input_blocks.{n}.1", ch, depth[level], context, linear)
            kept.append(ch)
        if level < len(mult) - 1:
            n += 1
            pair(out, f"input_blocks.{n}.0.op", ch, ch, 3, 3)
            kept.append(ch)
    resnet(out, "middle_block.0", ch, ch, time)
    transformer(out, "middle_block.1", ch, middle, context, linear)
    resnet(out, "middle_block.2", ch, ch, time)
    n = -1
    for level, m in reversed(list(enumerate(mult))):
        for i in range(blocks + 1):
            n += 1
            resnet(out, f"output_blocks.{n}.0", ch + kept.pop(), width * m, time)
            ch = width * m
            if depth[level]:
                transformer(out, f"output_blocks.{n}.1", ch, depth[level], context, linear)
            if level and i == blocks:
                pair(out, f"output_blocks.{n}.{2 if depth[level] else 1}.conv", ch, ch, 3, 3)
    pair(out, "out.0", ch)
    pair(out, "out.2", 4, width, 3, 3)
    return out


def vae_resnet(out, name, inp, width):
    pair(out, name + ".norm1", inp)
    pair(out, name + ".conv1", width, inp, 3, 3)
    pair(out, name + ".norm2", width)
    pair(out, name + ".conv2", width, width, 3, 3)
    if inp != width:
        pair(out, name + ".nin_shortcut", width, inp, 1, 1)


def vae_middle(out, name, width):
    vae_resnet(out, name + ".block_1", width, width)
    pair(out, name + ".attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        pair(out, f"{name}.attn_1.{part}", width, width, 1, 1)
    vae_resnet(out, name + ".block_2", width, width)


def vae(width=128, mult=(1, 2, 4, 4), blocks=2, latent=4, quant=True):
    out = {}
    pair(out, "encoder.conv_in", width, 3, 3, 3)
    ch = width
    for level, m in enumerate(mult):
        for j in range(blocks):
            vae_resnet(out, f"encoder.down.{level}.block.{j}", ch, width * m)
            ch = width * m
        if level < len(mult) - 1:
            pair(out, f"encoder.down.{level}.downsample.conv", ch, ch, 3, 3)
    vae_middle(out, "encoder.mid", ch)
    pair(out, "encoder.norm_out", ch)
    pair(out, "encoder.conv_out", 2 * latent, ch, 3, 3)
    pair(out, "decoder.conv_in", ch, latent, 3, 3)
    vae_middle(out, "decoder.mid", ch)
    for level in reversed(range(len(mult))):
        for j in range(blocks + 1):
            vae_resnet(out, f"decoder.up.{level}.block.{j}", ch, width * mult[level])
            ch = width * mult[level]
        if level:
            pair(out, f"decoder.up.{level}.upsample.conv", ch, ch, 3, 3)
    pair(out, "decoder.norm_out", ch)
    pair(out, "decoder.conv_out", 3, ch, 3, 3)
    if quant:
        pair(out, "quant_conv", 2 * latent, 2 * latent, 1, 1)
        pair(out, "post_quant_conv", latent, latent, 1, 1)
    return out


def open_clip(width, layers, projection):
    out = {"positional_embedding": (77, width), "text_projection": (width, projection), "logit_scale": (),
           "token_embedding.weight": (49408, width)}
    for k in range(layers):
        block = f"transformer.resblocks.{k}"
        pair(out, block + ".ln_1", width)
        out[block + ".attn.in_proj_weight"], out[block + ".attn.in_proj_bias"] = (3 * width, width), (3 * width,)
        pair(out, block + ".attn.out_proj", width, width)
        pair(out, block + ".ln_2", width)
        pair(out, block + ".mlp.c_fc", 4 * width, width)
        pair(out, block + ".mlp.c_proj", width, 4 * width)
    pair(out, "ln_final", width)
    return out


# ---- diffusers' keys --------------------------------------------------------------------------------


def fnv(lines):
    h = 0xCBF29CE484222325
    for byte in "".join(line + "\n" for line in sorted(lines, key=str.encode)).encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def sizes(shape):
    return ",".join(map(str, shape))


def facts(name, c, ldm, theirs, origin, model):
    """`theirs` are converted tensors by diffusers' keys, and `origin` gives the key of LDM of one of them."""
    own = {key: tuple(x.shape) for key, x in model.state_dict().items() if not key.endswith("position_ids")}
    strip = (lambda key: key.removeprefix("text_model.")) if "text" in name else (lambda key: key)
    found = {strip(key): (origin(key, x), tuple(x.shape)) for key, x in theirs.items()}
    own = {strip(key): shape for key, shape in own.items()}
    assert set(found) == set(own), (sorted(set(found) ^ set(own))[:5], name)
    assert all(found[key][1] == shape for key, shape in own.items()), name
    return {"name": name, "config": c, "tensors": len(ldm), "digest": fnv(f"{key} {sizes(s)}" for key, s in ldm.items()),
            "pairs": fnv(f"{key} {one[0]}" for key, one in found.items())}


def described(ldm):
    """Tensors without values, and their keys by identity."""
    tensors = {key: torch.empty(shape, device="meta") for key, shape in ldm.items()}
    return tensors, {id(x): key for key, x in tensors.items()}


def config(name):
    with open(os.path.join(HERE, "unet2dcondition_keys.json")) as f:
        return next(one["config"] for one in json.load(f) if one["name"] == name)


def vae_config(**more):
    return dict(block_out_channels=[128, 256, 512, 512], layers_per_block=2, down_block_types=["DownEncoderBlock2D"] * 4,
                up_block_types=["UpDecoderBlock2D"] * 4, **more)


def unet_facts(name, c, **how):
    ldm = unet(**how)
    tensors, names = described(ldm)
    with torch.device("meta"):
        model = UNet2DConditionModel(**c)
    theirs = single.convert_ldm_unet_checkpoint({"model.diffusion_model." + key: x for key, x in tensors.items()}, c)
    return facts(name, c, ldm, theirs, lambda key, x: names[id(x)], model)


def vae_facts(name, c, **how):
    ldm = vae(**how)
    tensors, names = described(ldm)
    with torch.device("meta"):
        model = AutoencoderKL(**c)
    theirs = single.convert_ldm_vae_checkpoint({"first_stage_model." + key: x for key, x in tensors.items()}, c)
    attention = {f"{side}.mid_block.attentions.0.{new}.weight": f"{side}.mid.attn_1.{old}.weight"
                 for side in ("encoder", "decoder")
                 for new, old in (("to_q", "q"), ("to_k", "k"), ("to_v", "v"), ("to_out.0", "proj_out"))}
    return facts(name, c, ldm, theirs, lambda key, x: names.get(id(x)) or attention[key], model)


class Numbered(torch.Tensor):
    """A tensor that keeps the key of its file through windows and transposition."""

    @staticmethod
    def __new__(cls, x, key):
        self = x.as_subclass(cls)
        self.key = key
        return self

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        out = super().__torch_function__(function, types, args, kwargs or {})
        if isinstance(out, torch.Tensor) and isinstance(args[0], cls):
            out.key = args[0].key
        return out


def text_facts(name, cls, c, layers, projection, prefix):
    ldm = open_clip(c["hidden_size"], layers, projection)
    tensors = {prefix + key: Numbered(torch.empty(shape, device="meta"), key)
               for key, shape in ldm.items()}
    with torch.device("meta"):
        model = cls(CLIPTextConfig(**c))
    theirs = single.convert_open_clip_checkpoint(model, tensors, prefix)
    theirs = {key: x for key, x in theirs.items() if key in model.state_dict() or "text_model." + key
              in model.state_dict() or key.removeprefix("text_model.") in model.state_dict()}
    return facts(name, c, ldm, theirs, lambda key, x: x.key, model)


REFINER = dict(
    sample_size=128, block_out_channels=[384, 768, 1536, 1536], cross_attention_dim=1280, use_linear_projection=True,
    attention_head_dim=[6, 12, 24, 24], transformer_layers_per_block=4, addition_embed_type="text_time",
    addition_time_embed_dim=256, projection_class_embeddings_input_dim=2560, layers_per_block=2,
    down_block_types=["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"])


def all_facts():
    xl = dict(mult=(1, 2, 4), depth=(0, 2, 10), middle=10, context=2048, linear=True, added=2816)
    refiner = dict(width=384, depth=(0, 4, 4, 0), middle=4, context=1280, linear=True, added=2560)
    second = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16)
    large = dict(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20,
                 projection_dim=1280)
    return [
        unet_facts("sd15-unet", config("sd15-unet")),
        unet_facts("sd15-inpaint-unet", config("sd15-inpaint-unet"), channels=9),
        unet_facts("sd21-unet", config("sd21-unet"), context=1024, linear=True),
        unet_facts("sdxl-unet", config("sdxl-unet"), **xl),
        unet_facts("refiner-unet", REFINER, **refiner),
        vae_facts("sd-vae", vae_config()),
        vae_facts("flux-vae", vae_config(latent_channels=16, use_quant_conv=False, use_post_quant_conv=False),
                  latent=16, quant=False),
        text_facts("sd21-text", CLIPTextModel, second, 24, 1024, "cond_stage_model.model."),
        text_facts("sdxl-text2", CLIPTextModelWithProjection, large, 32, 1280,
                   "conditioner.embedders.1.model."),
    ]


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    with open(os.path.join(HERE, "ldm_keys.json"), "w") as f:
        json.dump(all_facts(), f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
