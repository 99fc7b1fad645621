"""Images that pipelines of diffusers draw, for spec/hub_pipe_spec.lua.

    build/peers/bin/python spec/peers/pipelines.py

Networks are tiny and have the values of values.py, so a fixture needs configs, arguments and
images only. A case is kept if float32 and float64 give the same image: then the run isn't
chaotic, and float32 in another order of sums gives it too.
"""
import copy
import json
import os
import sys
import warnings

import torch
from safetensors.torch import save_file

os.environ.setdefault("TQDM_DISABLE", "1")
warnings.filterwarnings("ignore")
import diffusers  # noqa: E402
from diffusers.utils import logging  # noqa: E402

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)
sys.path.insert(0, os.path.dirname(__file__))
import values  # noqa: E402

LIMIT = 2e-5
HERE = os.path.join(os.path.dirname(__file__), "..", "fixtures", "peers")

PLAIN = dict(sample_size=8, in_channels=3, out_channels=3, block_out_channels=[8, 16], layers_per_block=1,
             norm_num_groups=4, down_block_types=["DownBlock2D", "AttnDownBlock2D"],
             up_block_types=["AttnUpBlock2D", "UpBlock2D"], attention_head_dim=8)
DDPM = dict(PLAIN, downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6, attention_head_dim=None)
CLASSES = dict(PLAIN, num_class_embeds=6)
VARIANCE = dict(PLAIN, out_channels=6)
LATENT = dict(PLAIN, sample_size=4, in_channels=3, out_channels=3)
CONSISTENCY = dict(CLASSES, resnet_time_scale_shift="scale_shift", downsample_type="resnet", upsample_type="resnet")
SCORE = dict(PLAIN, time_embedding_type="fourier", freq_shift=0, flip_sin_to_cos=True)
VQ = dict(block_out_channels=[8, 8], down_block_types=["DownEncoderBlock2D"] * 2,
          up_block_types=["UpDecoderBlock2D"] * 2, norm_num_groups=4, num_vq_embeddings=16, latent_channels=3, scaling_factor=1.25)
TINY = dict(encoder_block_out_channels=[8, 8], decoder_block_out_channels=[8, 8], num_encoder_blocks=[1, 1],
            num_decoder_blocks=[1, 1], latent_channels=4, scaling_factor=1.5)
DIT = dict(num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=2, sample_size=4,
           patch_size=2, num_embeds_ada_norm=1000, norm_type="ada_norm_zero")

BETAS = dict(beta_start=0.0001, beta_end=0.02, num_train_timesteps=1000)

# LDMPipeline scales its noise before it sets the timesteps, so its schedulers of sigma must start at the
# last timestep: "trailing".
# name: pipeline, {component: (class, config)}, scheduler class and config, arguments, seeds of generators
CASES = {
    "ddpm": ("DDPMPipeline", dict(unet=("UNet2DModel", DDPM)), "DDPMScheduler",
             dict(BETAS, variance_type="fixed_large"), dict(batch_size=2, num_inference_steps=10), [0]),
    "ddpm_small": ("DDPMPipeline", dict(unet=("UNet2DModel", PLAIN)), "DDPMScheduler", dict(BETAS),
                   dict(batch_size=1, num_inference_steps=20), [3]),
    "ddpm_list": ("DDPMPipeline", dict(unet=("UNet2DModel", PLAIN)), "DDPMScheduler", dict(BETAS),
                  dict(batch_size=2, num_inference_steps=5), [7, 8]),
    "ddpm_variance": ("DDPMPipeline", dict(unet=("UNet2DModel", VARIANCE)), "DDPMScheduler",
                      dict(BETAS, variance_type="learned_range"), dict(batch_size=1, num_inference_steps=10), [1]),
    "ddpm_cosine_v": ("DDPMPipeline", dict(unet=("UNet2DModel", PLAIN)), "DDPMScheduler",
                      dict(beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction"),
                      dict(batch_size=1, num_inference_steps=10), [0]),
    "ddim": ("DDIMPipeline", dict(unet=("UNet2DModel", PLAIN)), "DDIMScheduler", dict(BETAS),
             dict(batch_size=2, num_inference_steps=4), [0]),
    "ddim_eta": ("DDIMPipeline", dict(unet=("UNet2DModel", PLAIN)), "DDIMScheduler", dict(BETAS),
                 dict(batch_size=2, num_inference_steps=10, eta=0.5), [0]),
    "ddim_of_ddpm": ("DDIMPipeline", dict(unet=("UNet2DModel", DDPM)), "DDPMScheduler",
                     dict(BETAS, variance_type="fixed_large"), dict(batch_size=1, num_inference_steps=4), [5]),
    "pndm": ("PNDMPipeline", dict(unet=("UNet2DModel", PLAIN)), "PNDMScheduler", dict(BETAS),
             dict(batch_size=1, num_inference_steps=10), [0]),
    "dpm": ("DDPMPipeline", dict(unet=("UNet2DModel", PLAIN)), "DPMSolverMultistepScheduler",
            dict(BETAS, use_karras_sigmas=True), dict(batch_size=1, num_inference_steps=8), [0]),
    "unipc": ("LDMPipeline", dict(unet=("UNet2DModel", LATENT), vqvae=("VQModel", VQ)), "UniPCMultistepScheduler",
              dict(BETAS), dict(batch_size=1, num_inference_steps=8), [0]),
    "ldm": ("LDMPipeline", dict(unet=("UNet2DModel", LATENT), vqvae=("VQModel", VQ)), "DDIMScheduler",
            dict(beta_schedule="scaled_linear", beta_start=0.0015, beta_end=0.0195, clip_sample=False),
            dict(batch_size=2, num_inference_steps=10), [0]),
    "ldm_euler": ("LDMPipeline", dict(unet=("UNet2DModel", LATENT), vqvae=("VQModel", VQ)), "EulerDiscreteScheduler",
                  dict(BETAS, timestep_spacing="trailing"), dict(batch_size=1, num_inference_steps=6), [0]),
    "dit": ("DiTPipeline", dict(transformer=("DiTTransformer2DModel", DIT), vae=("AutoencoderTiny", TINY)),
            "DDIMScheduler", dict(BETAS, clip_sample=False),
            dict(class_labels=[3, 999], num_inference_steps=8, guidance_scale=4.0), [33]),
    "dit_plain": ("DiTPipeline", dict(transformer=("DiTTransformer2DModel", DIT), vae=("AutoencoderTiny", TINY)),
                  "DPMSolverMultistepScheduler", dict(BETAS),
                  dict(class_labels=[0], num_inference_steps=6, guidance_scale=1.0), [2]),
    "consistency": ("ConsistencyModelPipeline", dict(unet=("UNet2DModel", CONSISTENCY)),
                    "CMStochasticIterativeScheduler", dict(), dict(batch_size=1, class_labels=[4]), [0]),
    "consistency_2": ("ConsistencyModelPipeline", dict(unet=("UNet2DModel", CONSISTENCY)),
                      "CMStochasticIterativeScheduler", dict(num_train_timesteps=40),
                      dict(batch_size=2, class_labels=[0, 5], num_inference_steps=4), [0]),
    "score_ve": ("ScoreSdeVePipeline", dict(unet=("UNet2DModel", SCORE)), "ScoreSdeVeScheduler",
                 dict(sigma_min=0.01, sigma_max=0.5, num_train_timesteps=20),
                 dict(batch_size=1, num_inference_steps=20), [0]),
    "karras_ve": ("KarrasVePipeline", dict(unet=("UNet2DModel", PLAIN)), "KarrasVeScheduler",
                  dict(sigma_min=0.02, sigma_max=0.9, s_churn=2), dict(batch_size=1, num_inference_steps=8), [0]),
}


# Keys and shapes of the class ToyModel of spec/support/hub_folder.lua.
TOY = {
    "block.embed.bias": [4],
    "block.embed.weight": [4, 4],
    "block.one.conv.bias": [4],
    "block.one.conv.weight": [4, 4, 3, 3],
    "block.one.norm.bias": [4],
    "block.one.norm.weight": [4],
    "block.two.conv.bias": [4],
    "block.two.conv.weight": [4, 4, 3, 3],
    "block.two.norm.bias": [4],
    "block.two.norm.weight": [4],
    "conv_in.bias": [4],
    "conv_in.weight": [4, 3, 3, 3],
    "conv_out.bias": [3],
    "conv_out.weight": [3, 4, 3, 3],
    "time.one.bias": [4],
    "time.one.weight": [4, 4],
    "time.two.bias": [4],
    "time.two.weight": [4, 4],
}


def drawn(name, fill, dtype):
    pipeline, parts, scheduler, config, args, seeds = copy.deepcopy(CASES[name])
    made = {key: values.fill(getattr(diffusers, cls)(**c), fill).to(dtype) for key, (cls, c) in parts.items()}
    made["scheduler"] = getattr(diffusers, scheduler).from_config(config)
    pipe = getattr(diffusers, pipeline)(**made)
    pipe.set_progress_bar_config(disable=True)
    g = [torch.Generator().manual_seed(s) for s in seeds]
    args["generator"] = g if len(g) > 1 else g[0]
    images = pipe(output_type="np", **args).images
    return torch.as_tensor(images).double() * 2 - 1


def stable(name):
    """The first values of the networks for which float32 and float64 agree, the image and the gap."""
    for fill in range(8):
        single = drawn(name, fill, torch.float32)
        double = randn_in_float32(lambda: drawn(name, fill, torch.float64))
        gap = (single - double).abs().max().item()
        if gap < LIMIT:
            return fill, single, gap
    return None, single, gap


def main():
    images, cases, only = {}, {}, sys.argv[1:]
    for name in only or CASES:
        fill, single, gap = stable(name)
        print("%-20s %s values %s  float32 against float64 %.1e  std %.3f" % (
            name, list(single.shape), fill, gap, single.std()), flush=True)
        if fill is None:
            print("  left out: chaotic")
            continue
        pipeline, parts, scheduler, config, args, seeds = CASES[name]
        images[name] = single.float().contiguous()
        cases[name] = dict(pipeline=pipeline, parts={k: dict(c, _class_name=cls) for k, (cls, c) in parts.items()},
                           scheduler=dict(config, _class_name=scheduler), args=args, seeds=seeds, values=fill)
    if only:
        return
    os.makedirs(HERE, exist_ok=True)
    save_file(images, os.path.join(HERE, "pipelines.safetensors"), metadata={"diffusers": diffusers.__version__})
    with open(os.path.join(HERE, "pipelines.json"), "w") as f:
        json.dump(cases, f, indent=1, sort_keys=True)
    torch.save(values.filled(TOY), os.path.join(HERE, "toy.bin"))


def randn_in_float32(run):
    """Runs with the numbers that a float32 run draws."""
    real = torch.randn

    def randn(*size, dtype=None, **more):
        x = real(*size, dtype=torch.float32, **more)
        return x.to(dtype or torch.float64)

    torch.randn = randn
    try:
        return run()
    finally:
        torch.randn = real


if __name__ == "__main__":
    main()
