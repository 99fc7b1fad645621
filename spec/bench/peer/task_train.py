"""A training step: t and noise, forward, backward, clip, AdamW, average."""
import torch

import compare
import process
from setting import Setting, shape


class Task:
    def __init__(self, w):
        self.w, self.setting = w, Setting(w)
        self.net = self.setting.network(w)
        self.x0, self.classes = self.setting.images(*shape(w)), int(w["classes"])
        B = len(self.x0)
        self.label = torch.randint(1, self.classes + 1, (B,)) if self.classes else None
        self.parameters = list(self.net.parameters())
        foreach = self.setting.has("foreach")
        kind = {"foreach": True} if foreach else {"fused": True}
        self.opt = torch.optim.AdamW(self.parameters, lr=1e-4, weight_decay=0, **kind)
        self.average = [p.detach().clone() for p in self.parameters]
        self.loss = self.setting.compiled(self.plain_loss)

    def plain_loss(self, x0, t, eps, label):
        xt = process.over(process.signal, t, x0) * x0 + process.over(process.noise, t, x0) * eps
        with self.setting.autocast():
            out = self.net(xt, t, label)
        return process.loss(out.float(), x0, eps, t, self.w["objective"])

    def step(self):
        B, label = len(self.x0), self.label
        t, eps = torch.randint(1, process.T + 1, (B,)), torch.randn_like(self.x0)
        if label is not None:
            label = label * (torch.rand(B) >= 0.1)
        self.loss(self.x0, t, eps, label).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.opt.step()
        self.opt.zero_grad(set_to_none=True)
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - 0.9995)

    def compare(self, path):
        return compare.compare(self.net, path, self.setting, True)

    def facts(self):
        return compare.facts(self.net, self.x0, self.label)
