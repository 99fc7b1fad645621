"""A network of Stable Diffusion 1.5 on OpenVINO. Another process converts it, so that PyTorch's weights are not in
memory beside OpenVINO's:  task_sd_openvino.py FOLDER PART"""
import os
import subprocess
import sys

import openvino as ov
import torch
from safetensors.torch import load_file

import on_openvino
import sd_networks
from compare import gap


def file_of(folder, part):
    return f"{folder}/{part}.xml"


def write(folder, part):
    kind = sd_networks.kind({"part": part})
    model = on_openvino.convert(kind(folder, torch.float32), kind.inputs())
    ov.save_model(model, file_of(folder, part), compress_to_fp16=False)


class Task:
    def __init__(self, w):
        self.kind = sd_networks.kind(w)
        path = file_of(w["folder"], w["part"])
        if not os.path.exists(path):
            subprocess.run([sys.executable, __file__, w["folder"], w["part"]], check=True)
        self.call = on_openvino.compile(ov.Core().read_model(path), w)
        self.inputs = self.kind.inputs()

    def step(self):
        return self.call(*self.inputs)

    def compare(self, path):
        tensors = load_file(path)
        own = torch.from_numpy(self.call(*(tensors[name] for name in self.kind.names))[0])
        return {"outputs": gap(tensors["out"], own), "gradients": 0.0}


if __name__ == "__main__":
    write(*sys.argv[1:])
