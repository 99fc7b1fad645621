"""Opens folders that d.hub.save wrote, with diffusers, for spec/peers/check_save.lua.

    saved.py make DIR      writes folders DIR/*/theirs of random UNet2DModels, and of UNet2DConditionModels
                           alone, as diffusers saves them
    saved.py open DIR      reads DIR/jobs.json; prints a line for each folder that our side wrote
"""
import json
import os
import random
import sys
import warnings

import torch
from safetensors.torch import load_file

os.environ.setdefault("TQDM_DISABLE", "1")
warnings.filterwarnings("ignore")
import diffusers  # noqa: E402
from diffusers.utils import logging  # noqa: E402

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)
sys.path.insert(0, os.path.dirname(__file__))
import unet2dcondition  # noqa: E402
import values  # noqa: E402

SCHEDULERS = ["DDPMScheduler", "DDIMScheduler", "PNDMScheduler", "DPMSolverMultistepScheduler"]


def random_unet(rng):
    n = rng.choice([1, 2, 3])
    attn = [rng.random() < 0.5 for _ in range(n)]
    groups = rng.choice([2, 4])
    return diffusers.UNet2DModel(
        sample_size=rng.choice([8, 16]), in_channels=rng.choice([1, 3]), out_channels=rng.choice([1, 3]),
        block_out_channels=[groups * rng.choice([2, 4]) for _ in range(n)], layers_per_block=rng.choice([1, 2]),
        down_block_types=[("Attn" if a else "") + "DownBlock2D" for a in attn],
        up_block_types=[("Attn" if a else "") + "UpBlock2D" for a in reversed(attn)],
        norm_num_groups=groups, attention_head_dim=rng.choice([None, 4]), norm_eps=rng.choice([1e-5, 1e-6]),
        downsample_padding=rng.choice([0, 1]), flip_sin_to_cos=rng.random() < 0.5, freq_shift=rng.choice([0, 1]),
        num_class_embeds=rng.choice([None, 5]), resnet_time_scale_shift=rng.choice(["default", "scale_shift"]),
        dropout=rng.choice([0.0, 0.1]), center_input_sample=rng.random() < 0.3)


def make(root, count=8):
    rng = random.Random(5)
    for i in range(count):
        where = os.path.join(root, "peer%d" % i, "theirs")
        unet = values.fill(random_unet(rng), i)
        scheduler = getattr(diffusers, rng.choice(SCHEDULERS))()
        diffusers.DDPMPipeline(unet, scheduler).save_pretrained(where)
    cases = list(unet2dcondition.cases())
    for i in range(count):
        net = unet2dcondition.filled_model(cases[5 * i]["config"]).float()
        net.save_pretrained(os.path.join(root, "cond%d" % i, "theirs"))


def drawn(path, generator, steps):
    pipe = diffusers.DDPMPipeline.from_pretrained(path)
    pipe.set_progress_bar_config(disable=True)
    return pipe(generator=torch.Generator().manual_seed(generator), num_inference_steps=steps,
                output_type="np").images * 2 - 1


def pipeline(job):
    """Draws with a pipeline that our side loaded and saved, as spec/peers/pipelines.py did."""
    case = job["case"]
    pipe = getattr(diffusers, case["pipeline"]).from_pretrained(job["path"])
    pipe.set_progress_bar_config(disable=True)
    g = [torch.Generator().manual_seed(s) for s in case["seeds"]]
    images = pipe(output_type="np", generator=g if len(g) > 1 else g[0], **case["args"]).images
    gap = (torch.as_tensor(images) * 2 - 1 - load_file(job["io"])[job["name"]]).abs().max().item()
    return {"name": job["name"], "gap": gap, "wrong": {}}


def opened(job):
    if "case" in job:
        return pipeline(job)
    cls = getattr(diffusers, job["class"])
    net, info = cls.from_pretrained(job["path"], output_loading_info=True)
    wrong = {k: v for k, v in info.items() if v}
    io = load_file(job["io"])
    given = {"class_labels": io["class"]} if "class" in io else {}
    with torch.no_grad():
        y = net.eval()(io["x"], io["t"] - 1, **given).sample
    gap = ((y - io["y"]).abs().max() / io["y"].abs().max()).item()
    out = {"name": job["name"], "gap": gap, "wrong": wrong}
    if "image" in io:
        image = torch.as_tensor(drawn(os.path.dirname(job["path"]), job["generator"], job["steps"]))
        out["image"] = (image - io["image"]).abs().max().item()
    return out


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2])
    else:
        for job in json.load(open(os.path.join(sys.argv[2], "jobs.json"))):
            print(json.dumps(opened(job)), flush=True)
