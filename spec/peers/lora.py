"""Adapters of a UNet2DModel or UNet2DConditionModel, by the code of diffusers and peft.

lora.py run FOLDER LORA OUT      the output of FOLDER's unet with the adapters of LORA, for x, t and context in OUT
lora.py make FOLDER LORA OUT     adapters made by peft and saved as diffusers does, and the output with them

FOLDER is a pipeline's, or that of a UNet2DConditionModel alone.
"""
import os
import sys

import torch
from diffusers import UNet2DConditionModel, UNet2DModel
from diffusers.loaders import PeftAdapterMixin
from diffusers.loaders.lora_base import LoraBaseMixin
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file


class Unet(UNet2DModel, PeftAdapterMixin):
    """PeftAdapterMixin is a part of UNet2DConditionModel; here it is one of UNet2DModel."""


def opened(folder):
    if os.path.exists(os.path.join(folder, "unet")):
        return Unet.from_pretrained(folder, subfolder="unet")
    return UNet2DConditionModel.from_pretrained(folder)


def outputs(model, path):
    given = load_file(path)
    x, context = given["x"].permute(0, 3, 1, 2), [given["context"]] if "context" in given else []
    with torch.no_grad():
        plain = model(x, given["t"] - 1, *context).sample
    return given, plain


def write(given, y, path):
    save_file({**given, "y": y.permute(0, 2, 3, 1).contiguous()}, path, metadata={"format": "pt"})


def run(folder, lora, out):
    model = opened(folder)
    model.load_lora_adapter(lora, prefix="unet", weight_name="pytorch_lora_weights.safetensors")
    given, y = outputs(model, out)
    write(given, y, out)
    config = next(iter(model.peft_config.values()))
    print("r %d, lora_alpha %g, dropout %g" % (config.r, config.lora_alpha, config.lora_dropout))


def make(folder, lora, out):
    torch.manual_seed(1)
    model = opened(folder)
    config = LoraConfig(r=4, lora_alpha=6, init_lora_weights="gaussian", rank_pattern={"conv_in": 2},
                        alpha_pattern={"conv_in": 1},
                        target_modules=["to_q", "to_v", "to_out.0", "conv1", "conv_in", "time_emb_proj", "linear_1", "proj_in",
                                        "ff.net.0.proj"])
    model.add_adapter(config)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            p.data = torch.randn_like(p) * 0.1
    layers = get_peft_model_state_dict(model)
    metadata = model.peft_config["default"].to_dict()
    LoraBaseMixin._save_lora_weights(lora, {"unet": layers}, {"unet": metadata})
    given, y = outputs(model, out)
    write(given, y, out)


{"run": run, "make": make}[sys.argv[1]](*sys.argv[2:])
