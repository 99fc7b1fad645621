"""The peer's worker: makes the task that its arguments describe and does what it is told, a
line at a time: time N, compare FILE, facts, memory."""
import importlib
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # libraries may print to stdout

import torch

import speech


def resident(name):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


after_import = resident("VmRSS")


def prepare(w):
    torch.set_num_threads(int(w["threads"]))
    torch.manual_seed(0)
    if os.environ.get("ATEN_CPU_CAPABILITY") == "avx2":
        import torch._inductor.config as inductor

        inductor.cpp.simdlen = 256


class Commands:
    def __init__(self, task):
        self.task = task

    def time(self, n):
        """A turn of N steps, after 20 ms of others where they are short: what was in the
        caches belonged to the other side."""
        cpu, began, seconds = time.process_time(), time.perf_counter(), []
        while int(n) > 1 and time.perf_counter() - began < 0.02:
            self.task.step()
        for _ in range(int(n)):
            start = time.perf_counter()
            self.task.step()
            seconds.append(f"{time.perf_counter() - start:.7f}")
        wall = time.perf_counter() - began
        return {"cpu": time.process_time() - cpu, "wall": wall, "seconds": ",".join(seconds)}

    def compare(self, path):
        return self.task.compare(path)

    def facts(self, _):
        return {**self.task.facts(), "version": torch.__version__}

    def memory(self, _):
        return {"imported": after_import, "peak": resident("VmHWM")}


def main():
    w = speech.parse(sys.argv[1:])
    prepare(w)
    module = "_".join(["task", w["task"]] + ([w["by"]] if "by" in w else []))
    commands = Commands(importlib.import_module(module).Task(w))
    for line in sys.stdin:
        command, _, argument = line.rstrip("\n").partition(" ")
        print(speech.format(getattr(commands, command)(argument)), file=answers)


main()
