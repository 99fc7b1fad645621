"""Peaks of diffusers on a folder of Stable Diffusion: a run of two steps with guidance, decoding, and a
training step. One measure for each process:  pipeline.py FOLDER WHAT DTYPE"""
import sys

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from peft import LoraConfig

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def run(folder, dtype):
    pipe = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=dtype, low_cpu_mem_usage=True)
    pipe.set_progress_bar_config(disable=True)
    pipe("a picture", num_inference_steps=2, guidance_scale=7.5, height=512, width=512, output_type="np")


def unet(folder, dtype):
    with torch.no_grad():
        call(network(folder, dtype), dtype, 2)


def decode(folder, dtype, size=None):
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=dtype)
    if size:
        vae.enable_tiling()
        vae.tile_sample_min_size, vae.tile_latent_min_size = size, size // 8
    with torch.no_grad():
        vae.decode(torch.randn(1, 4, 64, 64, dtype=dtype))


def tiled(folder, dtype):
    decode(folder, dtype, 192)


def network(folder, dtype):
    return UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=dtype)


def call(net, dtype, n):
    context = torch.randn(n, 77, 768, dtype=dtype)
    return net(torch.randn(n, 4, 64, 64, dtype=dtype), 500, context).sample


def step(net, dtype):
    net.enable_gradient_checkpointing()
    net.train()
    call(net, dtype, 1).float().square().mean().backward()


def lora(folder, dtype):
    net = network(folder, dtype)
    net.requires_grad_(False)
    net.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    step(net, dtype)


def gradients(folder, dtype):
    step(network(folder, dtype), dtype)


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


folder, what, dtype = sys.argv[1:]
globals()[what](folder, TYPES[dtype])
print(f"{peak() * 1024}")
