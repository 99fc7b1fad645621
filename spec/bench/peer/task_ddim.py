"""A whole run of DDIM in w["steps"] steps."""
import task_sample
from process import T


class Task(task_sample.Task):
    def step(self):
        x, stride = self.setting.images(*self.x.shape), T // int(self.w["steps"])
        for t in range(T, 0, -stride):
            x = self.advance(x, t, t - stride)
