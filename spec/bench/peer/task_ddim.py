"""A whole run of DDIM in 50 steps."""
import task_sample
from process import T


class Task(task_sample.Task):
    def step(self):
        x = self.setting.images(*self.x.shape)
        for t in range(T, 0, -T // 50):
            x = self.advance(x, t, t - T // 50)
