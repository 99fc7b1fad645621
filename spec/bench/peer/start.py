"""What ../start.lua times of diffusers: start.py require|sample|prepare FILE."""
import sys

import torch
from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel


def ddpm_cifar10():
    """The network of Ho et al. 2020, as google/ddpm-cifar10-32 describes it."""
    down, up = ["DownBlock2D"] * 4, ["UpBlock2D"] * 4
    down[1], up[2] = "AttnDownBlock2D", "AttnUpBlock2D"
    return UNet2DModel(
        sample_size=32, block_out_channels=(128, 256, 256, 256), layers_per_block=2,
        down_block_types=down, up_block_types=up, attention_head_dim=None,
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1,
    )


def sample(folder):
    pipeline = DDIMPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    pipeline(batch_size=1, num_inference_steps=10, output_type="np")


what, folder = sys.argv[1], sys.argv[2] + ".diffusers"
torch.manual_seed(1)
if what == "prepare":
    DDIMPipeline(ddpm_cifar10(), DDIMScheduler()).save_pretrained(folder)
elif what == "sample":
    sample(folder)
with open("/proc/self/status") as status:
    print(*(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS")))
