"""PyTorch's files for specs of the .pt reader.

    python spec/peers/pickles.py fixtures spec/fixtures/peers/pt
    python spec/peers/pickles.py forms DIR      (spec/peers/check_pt.lua)

The second writes each form as NAME.pt with the same tensors as NAME.safetensors next to it.
"""
import argparse
import collections
import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file

DTYPES = ["float32", "float64", "float16", "bfloat16", "uint8", "int8", "int16", "int32", "int64", "bool",
          "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
          "float8_e8m0fnu"]


def views():
    """Windows on one storage of the numbers -2, -1.75, ..., 3.75."""
    base = (torch.arange(24, dtype=torch.float32) / 4 - 2).reshape(4, 6)
    return collections.OrderedDict(
        base=base, transposed=base.t(), row=base[2], column=base[:, 1], every=base[1:4:2, ::3],
        expanded=base[:1].expand(3, 6), scalar=base[3, 5], empty=base[2:2], empties=torch.zeros(0, 3),
        cube=base.reshape(2, 2, 6).permute(2, 0, 1), number=torch.tensor(3.5),
        parameter=torch.nn.Parameter(base[0]), same=base)


def types():
    return {name: torch.tensor([0.0, 1.0, 2.0, 4.0]).to(getattr(torch, name)) for name in DTYPES}


def network():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))
    shared = torch.nn.Module()
    shared.first, shared.second = torch.nn.Linear(2, 2), torch.nn.ReLU()
    shared.again = shared.first
    net.append(torch.nn.Identity()).append(torch.nn.Dropout())
    return net, shared


class Unknown:
    """A class that no reader knows."""

    def __init__(self, tensor):
        self.tensor = tensor


class Words(dict):
    pass


def checkpoint():
    """What trainers write: a network, its optimizer, and objects of all kinds."""
    net, _ = network()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    net(torch.ones(4, 2)).sum().backward()
    optimizer.step()
    schedule.step()
    return {
        "epoch": 3, "global_step": 1 << 40, "huge": 1 << 80, "negative": -(1 << 40), "loss": 0.25, "done": False,
        "none": None, "name": "näme", "bytes": b"\x00\xff", "set": {1, 2}, "frozen": frozenset([3]),
        "version": "2.1", "pytorch-lightning_version": "2.1.0", "state_dict": net.state_dict(),
        "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [schedule.state_dict()],
        "hyper_parameters": argparse.Namespace(width=64, betas=(0.9, 0.999), nested={"a": [1, 2]}),
        "best": np.float64(0.5), "array": np.arange(3), "counter": collections.Counter(a=2),
        "default": collections.defaultdict(list, a=[1]), "size": torch.Size([2, 3]), "dtype": torch.float16,
        "device": torch.device("cuda", 1), "object": Unknown(torch.ones(2)), "rng": torch.get_rng_state()[:16],
    }


def opaque():
    """Tensors among values of unknown classes."""
    class_free = torch.arange(3.0)
    tagged = torch.arange(4.0)
    tagged.note = "an attribute"
    quantized = torch.quantize_per_tensor(torch.arange(3.0), 0.5, 0, torch.qint8)
    return {"free": class_free, "tagged": tagged, "sparse": torch.eye(2).to_sparse(), "quantized": quantized,
            "complex": torch.tensor([1 + 2j]), "conjugate": torch.tensor([1 + 2j]).conj().imag,
            "object": Unknown(class_free), "words": Words(inside=class_free)}


def fixtures(folder):
    net, shared = network()
    plan = {
        "views": (views(), 2), "types": (types(), 2), "checkpoint": (checkpoint(), 2), "checkpoint4": (checkpoint(), 4),
        "checkpoint5": (checkpoint(), 5), "opaque": (opaque(), 2), "one": (torch.arange(3.0), 2),
        "list": ([torch.arange(2.0), torch.arange(3.0)], 2), "module": (net, 2), "shared": (shared, 2),
        "two": ({"model": net.state_dict(), "ema": net.state_dict(), "step": 7}, 2),
        "nested": ({"encoder": {"w": torch.ones(2)}, "decoder": {"a.b": {"w": torch.ones(3)}}}, 2),
        "none": ({"epoch": 1}, 2),
    }
    for name, (value, protocol) in plan.items():
        torch.save(value, os.path.join(folder, name + ".pt"), pickle_protocol=protocol)
    torch.save(views(), os.path.join(folder, "old.pt"), _use_new_zipfile_serialization=False)
    torch.jit.script(torch.nn.Linear(1, 1)).save(os.path.join(folder, "script.pt"))


def tensors_of(value):
    return {k: v.detach().clone().contiguous() for k, v in value.items() if torch.is_tensor(v)}


def random_views(seed):
    """Windows of all sorts on a few storages."""
    g = torch.Generator().manual_seed(seed)
    pick = lambda n: int(torch.randint(n, (1,), generator=g))
    out = {}
    for k in range(40):
        rank = pick(5)
        base = torch.randn([1 + pick(5) for _ in range(rank)], generator=g).to(
            getattr(torch, DTYPES[pick(4)]))
        x = base
        for _ in range(pick(4)):
            if x.dim() and pick(2):
                x = x.transpose(pick(x.dim()), pick(x.dim()))
            elif x.dim():
                d = pick(x.dim())
                x = x[(slice(None),) * d + (slice(pick(2), None, 1 + pick(2)),)]
            else:
                x = x.expand(2, 3)
        out[f"base{k}"], out[f"view{k}"] = base, x
    return out


def forms(folder):
    net = torch.nn.TransformerEncoderLayer(8, 2, 16)
    plan = {"views": (views(), 2), "types": (types(), 2), "layer": (net.state_dict(), 2),
            "layer5": (net.state_dict(), 5), "half": (net.half().state_dict(), 2)}
    for seed in range(8):
        plan[f"random{seed}"] = (random_views(seed), 2 + seed % 4)
    for name, (value, protocol) in plan.items():
        path = os.path.join(folder, name)
        torch.save(value, path + ".pt", pickle_protocol=protocol)
        save_file(tensors_of(value), path + ".safetensors")
    torch.serialization.set_crc32_options(False)
    torch.save(views(), os.path.join(folder, "crc.pt"))
    save_file(tensors_of(views()), os.path.join(folder, "crc.safetensors"))


if __name__ == "__main__":
    os.makedirs(sys.argv[2], exist_ok=True)
    {"fixtures": fixtures, "forms": forms}[sys.argv[1]](sys.argv[2])
