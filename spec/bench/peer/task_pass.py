"""What goes once over memory: random numbers, noising, a batch of a set, the optimiser."""
import torch

import process
from setting import Setting


def randn(w, setting):
    n = int(w["n"])
    return lambda: torch.randn(n)


def noising(w, setting):
    n, B = int(w["n"]), int(w["batch"])
    x0, t = torch.randn(B, n // B), torch.randint(1, process.T + 1, (B,))

    def step():
        a, s = process.over(process.signal, t, x0), process.over(process.noise, t, x0)
        return (a * x0).addcmul_(s, torch.randn_like(x0))

    return step


def gather(w, setting):
    n, B = int(w["n"]), int(w["batch"])
    images = torch.randint(0, 256, (n, 1, 28, 28), dtype=torch.uint8)
    label, order = torch.randint(1, 11, (n,)), torch.randperm(n)
    at = 0

    def step():
        nonlocal at, order
        if at + B > n:
            at, order = 0, torch.randperm(n)
        index = order[at : at + B]
        at += B
        return images[index].float().mul_(2 / 255).sub_(1), label[index]

    return step


def adamw(w, setting):
    parameters = list(setting.network(w).parameters())
    for p in parameters:
        p.grad = torch.randn_like(p) * 1e-3
    kind = {"foreach": True} if setting.has("foreach") else {"fused": True}
    opt = torch.optim.AdamW(parameters, lr=1e-4, weight_decay=0, **kind)
    average = [p.detach().clone() for p in parameters]

    def step():
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        opt.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - 0.9995)

    return step


class Task:
    def __init__(self, w):
        make = {"randn": randn, "noising": noising, "gather": gather, "adamw": adamw}[w["pass"]]
        run = make(w, Setting(w))
        compiled = Setting(w).compiled(run) if w["pass"] == "noising" else run

        def step():
            with torch.inference_mode(w["pass"] != "adamw"):
                compiled()

        self.step = step
