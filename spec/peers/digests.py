"""Records of a class of the peer over many configurations, whose keys and shapes are kept as a digest.

A file of records is safetensors with a JSON list in its metadata: for each case its config, its inputs, and
a digest of the keys and shapes. Case k has the tensors "k.y", "k.dNAME" for the gradient at each input, and
"k.sums", which is sum(g u) and sum(|g|) of each parameter's gradient g by the sorted keys. u and the cotangent
of y come from values.uniform. A case that the peer fails on has "failed", its error.
"""
import json
import os

import diffusers
import torch
from safetensors.torch import save_file

from values import uniform

COTANGENT, PROBE = 101, 102


def digest(named):
    """FNV-1a, 64 bits, of lines "key 3,4\\n" by the sorted keys."""
    h = 0xCBF29CE484222325
    for key, p in named:
        for byte in f"{key} {','.join(map(str, p.shape))}\n".encode():
            h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def sorted_parameters(model):
    return sorted(model.named_parameters(), key=lambda kv: kv[0].encode())


def facts(named):
    """What a record has of keys and shapes."""
    return {"digest": digest(named), "tensors": len(named), "elements": sum(p.numel() for _, p in named)}


def sums_of(model):
    out = []
    for _, p in sorted_parameters(model):
        g = torch.zeros_like(p) if p.grad is None else p.grad
        out.append([(g.double() * uniform(p.shape, PROBE).double()).sum(), g.double().abs().sum()])
    return torch.tensor(out).float()


def run(case, make, call):
    """The case with its digest, and its tensors by name. make(config) is a model with values, and call(model, case)
    returns its output and the inputs that have a gradient by name."""
    model = make(case["config"])
    y, leaves = call(model, case)
    (y * uniform(y.shape, COTANGENT)).sum().backward()
    tensors = {"y": y.detach().float().contiguous(), "sums": sums_of(model)}
    for name, leaf in leaves.items():
        tensors["d" + name] = (torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).float().contiguous()
    return {**case, **facts(sorted_parameters(model))}, tensors


def record(cases, path, make, call, may_fail=False):
    tensors, done = {}, []
    for k, case in enumerate(cases):
        try:
            case, found = run(case, make, call)
        except Exception as error:
            if not may_fail:
                raise
            done.append({**case, "failed": f"{type(error).__name__}: {error}"[:200]})
            continue
        done.append(case)
        tensors.update({f"{k}.{name}": x for name, x in found.items()})
    text = json.dumps(done, separators=(",", ":"))
    save_file(tensors, path, {"cases": text, "versions": f"diffusers {diffusers.__version__}, torch {torch.__version__}"})
    print(f"{path}: {len(done)} cases")


def runs(case, make, call):
    """Whether the peer can run a case."""
    try:
        run(case, make, call)
        return True
    except Exception:
        return False


def keys(cls, paths, path):
    """Writes the digests of configs of full size. No values are made."""
    found = []
    for one in paths:
        with open(one) as f:
            c = {key: value for key, value in json.load(f).items() if not key.startswith("_")}
        with torch.device("meta"):
            named = sorted_parameters(cls(**c))
        found.append({"name": os.path.basename(one).split(".")[0], "config": c, **facts(named)})
    with open(path, "w") as f:
        json.dump(found, f, separators=(",", ":"))
        f.write("\n")
