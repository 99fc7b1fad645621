"""Values for the parameters of a model, the same here and in spec/support/peer_values.lua.

They come from torch's generator, so that a fixture needs the keys and shapes alone. Norms and
biases differ from their first values, so every term of a formula matters.
"""
import math
import torch


def filled(shapes, seed=0):
    """Tensors by key for {key: shape}, drawn in the order of the sorted keys."""
    g = torch.Generator().manual_seed(seed)
    out = {}
    for key in sorted(shapes, key=lambda k: k.encode()):
        shape = tuple(shapes[key])
        u = torch.rand(shape, generator=g) * 2 - 1
        if key.endswith("bias"):
            out[key] = u * 0.1
        elif len(shape) < 2:
            out[key] = 1 + u * 0.2
        else:
            out[key] = u * (1.5 / math.sqrt(math.prod(shape[1:])))
    return out


def fill(model, seed=0):
    """Gives a torch module these values, buffers untouched, and returns it in eval mode."""
    named = dict(model.named_parameters())
    values = filled({k: p.shape for k, p in named.items()}, seed)
    with torch.no_grad():
        for key, p in named.items():
            p.copy_(values[key])
    return model.eval()


def uniform(shape, seed):
    """Inputs in [-1, 1), reproducible in Lua by the same seed."""
    return torch.rand(tuple(shape), generator=torch.Generator().manual_seed(seed)) * 2 - 1
