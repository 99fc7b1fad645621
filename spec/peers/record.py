"""Runs a peer's model over configurations and records what it computes, for our specs.

A file of records is safetensors. Its metadata holds JSON: "tables", lists of keys that cases
share, and "cases", each {class, config, inputs, keys: which table, shapes}. Case k has the tensors
"k.NAME" of each output, "k.NAME.dx" of the gradient at each input, and "k.sums": for each
parameter, in the order of its table, sum(g u) and sum(|g|) of its gradient g, with u from
uniform(shape, PROBE).

A case may say "full": a path. Then the weights are written there (with the buffers, in PyTorch's form, if
it ends in .pt), nothing is differentiated, and the case gets "ms": milliseconds of each forward pass, in float32 and bfloat16.
"""
import json
import sys
import time

import diffusers
import torch
from safetensors.torch import save_file

from values import fill, uniform

COTANGENT, PROBE = 101, 102


def named(model):
    """Keys and parameters, sorted by the keys as bytes."""
    return sorted(model.named_parameters(), key=lambda kv: kv[0].encode())


def sums_of(model):
    """{sum(g u), sum(|g|)} of the gradient of each parameter."""
    out = []
    for _, p in named(model):
        g = torch.zeros_like(p) if p.grad is None else p.grad
        u = uniform(p.shape, PROBE).to(g.dtype)
        out.append([(g.double() * u.double()).sum(), g.double().abs().sum()])
    return torch.tensor(out).float()


def backward(model, outputs, leaves):
    """Gradients of sum(y c) over the outputs, c from uniform(shape, COTANGENT + i)."""
    total = 0
    for i, y in enumerate(outputs.values()):
        total = total + (y * uniform(y.shape, COTANGENT + i).to(y.dtype)).sum()
    model.zero_grad()
    total.backward()
    return {name: x.grad if x.grad is not None else torch.zeros_like(x) for name, x in leaves.items()}


def fastest(fn, n=3):
    """The least milliseconds of n calls."""
    fn()
    best = float("inf")
    for _ in range(n):
        start = time.perf_counter()
        fn()
        best = min(best, time.perf_counter() - start)
    return 1e3 * best


@torch.no_grad()
def timed(passes, model, case):
    """Milliseconds of each pass by name, in float32 and in bfloat16, which the model is left in."""
    ms = {}
    for dtype, word in ((torch.float32, ""), (torch.bfloat16, "_bf16")):
        model.to(dtype)
        for name, fn in passes(model, case, dtype).items():
            ms[name + word] = fastest(fn)
    return ms


@torch.no_grad()
def full(run, passes, model, case, tensors, k):
    """Writes the weights, and records the outputs and the times of a model of full size."""
    outputs, _ = run(model, case)
    tensors.update({f"{k}.{name}": y.contiguous() for name, y in outputs.items()})
    weights = {key: p.detach().contiguous() for key, p in model.named_parameters()}
    if case["full"].endswith(".pt"):
        torch.save({"ema": {**weights, **dict(model.named_buffers())}, "step": 1}, case["full"])
    else:
        save_file(weights, case["full"])
    return timed(passes, model, case)


def record(make, run, passes, cases):
    """Tensors, cases and tables. run(model, case) returns outputs and leaves by name."""
    tensors, listed, tables = {}, [], []
    for k, case in enumerate(cases):
        model = fill(make(case))
        keys, shapes = [key for key, _ in named(model)], [list(p.shape) for _, p in named(model)]
        if keys not in tables:
            tables.append(keys)
        listed.append({**case, "keys": tables.index(keys), "shapes": shapes})
        if "full" in case:
            listed[-1]["ms"] = full(run, passes, model, case, tensors, k)
            continue
        outputs, leaves = run(model, case)
        slopes = backward(model, {n: y for n, y in outputs.items() if y.requires_grad}, leaves)
        for name, y in outputs.items():
            tensors[f"{k}.{name}"] = y.detach().contiguous()
        for name, g in slopes.items():
            tensors[f"{k}.{name}.dx"] = g.contiguous()
        tensors[f"{k}.sums"] = sums_of(model)
    return tensors, listed, tables


def write(path, make, run, passes, cases):
    tensors, listed, tables = record(make, run, passes, cases)
    meta = {name: json.dumps(value, separators=(",", ":")) for name, value in (("cases", listed), ("tables", tables))}
    meta["versions"] = f"diffusers {diffusers.__version__}, torch {torch.__version__}"
    save_file(tensors, path, meta)


def main(make, run, passes, cases, fixture):
    """Writes the fixture of `cases`, or with two arguments the records of a JSON list of cases."""
    torch.set_num_threads(2)
    if len(sys.argv) == 3:
        with open(sys.argv[1]) as f:
            cases = json.load(f)
        fixture = sys.argv[2]
    write(fixture, make, run, passes, cases)
    print(f"{fixture}: {len(cases)} cases")
