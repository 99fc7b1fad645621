"""A step of DDIM: the network once, and the sampler's arithmetic."""
import torch

import compare
import process
from setting import Setting, shape


class Task:
    def __init__(self, w):
        self.w, self.setting = w, Setting(w)
        self.net = self.setting.network(w).eval()
        self.x = self.setting.images(*shape(w))
        B, classes = len(self.x), int(w["classes"])
        self.label = torch.randint(1, classes + 1, (B,)) if classes else None
        self.one_step = self.setting.compiled(self.plain_step)
        self.now = process.T

    def plain_step(self, x, t, before, label):
        with self.setting.autocast():
            out = self.net(x, t, label)
        return process.ddim(out.float(), x, t, before, self.w["objective"])

    def advance(self, x, t, before):
        at = torch.full((len(x),), t), torch.full((len(x),), before)
        # frozen graphs are made under no_grad only
        off = torch.no_grad if self.setting.has("compile") else torch.inference_mode
        with off():
            return self.one_step(x, *at, self.label)

    def step(self):
        self.advance(self.x, self.now, self.now - 1)
        self.now = self.now - 1 or process.T

    def compare(self, path):
        answer = compare.compare(self.net, path, self.setting, False)
        self.net.eval()
        return answer

    def facts(self):
        return compare.facts(self.net, self.x, self.label)
