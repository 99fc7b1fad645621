"""Opens networks that d.hub.save wrote: reopened.py FOLDER...

Each folder holds io.safetensors with inputs x, z, t, label, ids or context and an output y. A network with a
context may have further inputs under their names. Prints a line of JSON for each: the largest difference over
the largest output, and the keys that are missing or unexpected.
"""
import json
import os
import sys

import diffusers
import torch
import transformers
from diffusers.utils import logging
from safetensors.torch import load_file

logging.set_verbosity_error()
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def conditioned(net, io):
    added = {name: io[name] for name in ("text_embeds", "time_ids", "image_embeds", "hint") if name in io}
    return net(io["x"], io["t"], io["context"], class_labels=io.get("class"), timestep_cond=io.get("time_cond"),
               encoder_attention_mask=io.get("mask"), added_cond_kwargs=added).sample


def output(net, io):
    if "ids" in io:
        got = net(io["ids"])
        return got.text_embeds if hasattr(got, "text_embeds") else got.last_hidden_state
    if "context" in io:
        return conditioned(net, io)
    if "label" in io:
        return net(io["x"], io["t"], class_labels=io["label"]).sample
    return net.decode(io["z"]).sample if "z" in io else net(io["x"]).sample


def class_of(config):
    if "architectures" in config:
        return getattr(transformers, config["architectures"][0])
    return getattr(diffusers, config["_class_name"])


def opened(folder):
    with open(os.path.join(folder, "config.json")) as f:
        cls = class_of(json.load(f))
    net, info = cls.from_pretrained(folder, output_loading_info=True)
    io = load_file(os.path.join(folder, "io.safetensors"))
    with torch.no_grad():
        y = output(net.eval(), io)
    gap = ((y - io["y"]).abs().max() / y.abs().max()).item()
    return {"gap": gap, "wrong": {k: str(v) for k, v in info.items() if v}}


if __name__ == "__main__":
    for folder in sys.argv[1:]:
        print(json.dumps(opened(folder)), flush=True)
