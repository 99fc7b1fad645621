"""Compares models of full size with ours: outputs, the time of a forward pass, peaks of memory.

    unet2d_full.py NAME ...      names of spec/fixtures/peers/unet2d_keys.json, or "all"

Passes of both libraries alternate, and the fastest one counts. Both have one thread, and the time is
that of the processor, since other programs may be running; with DIFFUSION_THREADS=n both have n, and the
time is that of the wall. PyTorch runs in float32 and under autocast to bfloat16, ours in the precisions
highest, high and medium.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings

import diffusers
import torch
from diffusers import UNet2DModel
from safetensors.torch import load_file, save_file

from unet2d import INPUT, KEYS, class_of, filled_model
from values import uniform

PASSES = 5
THREADS = int(os.environ.setdefault("DIFFUSION_THREADS", "1"))
clock = time.process_time if THREADS == 1 else time.perf_counter
OURS = ["highest", "high", "medium"]


class Ours:
    """The program spec/peers/unet2d_full.lua."""

    def __init__(self):
        self.process = subprocess.Popen([os.environ.get("LUA", "lua5.4"), "spec/peers/unet2d_full.lua"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("unet2d_full.lua ended at: " + " ".join(map(str, words)))
        return answer.split()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def passes(model, case):
    x, t, label = uniform(case["x"], INPUT), torch.tensor(case["t"]), class_of(case, model)

    def plain():
        with torch.no_grad():
            return model(x, t, label).sample

    def autocast():
        with torch.autocast("cpu", torch.bfloat16):
            return plain()

    return {"float32": plain, "bfloat16": autocast}


def timed(fn):
    start = clock()
    fn()
    return 1e3 * (clock() - start)


def race(peer, ours):
    """The least milliseconds of each, in turn."""
    best = {}
    for k in range(PASSES + 1):
        for name, fn in peer.items():
            best.setdefault(name, []).append(timed(fn))
        time.sleep(0.5)  # threads of the peer wait actively for a while
        for name in OURS:
            best.setdefault(name, []).append(float(ours.ask("pass", name)[THREADS == 1]))
    return {name: min(ms[1:]) for name, ms in best.items()}


def distance(ours, name, y, folder):
    path = os.path.join(folder, name)
    ours.ask("output", path, name)
    return ((load_file(path)["y"] - y).abs().max() / y.abs().max()).item()


def peak_of_peer(case_path, weights):
    """Bytes that a process of the peer's needs at its peak, to load the weights and run once."""
    words = [sys.executable, __file__, "--peak", case_path, weights]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


def report_peak(case_path, weights):
    with open(case_path) as f:
        case = json.load(f)
    with torch.device("meta"):
        model = UNet2DModel(**case["config"]).eval()
    model.load_state_dict(load_file(weights), assign=True)
    passes(model, case)["float32"]()
    with open("/proc/self/status") as f:
        print(next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM")))


def compare(found, folder):
    c = found["config"]
    size = c.get("sample_size") or 64
    case = {"config": c, "x": [1, c.get("in_channels", 3), size, size], "t": [500]}
    if c.get("num_class_embeds"):
        case["class"] = [7]
    case_path, weights = os.path.join(folder, "case.json"), os.path.join(folder, "weights.safetensors")
    with open(case_path, "w") as f:
        json.dump(case, f)
    model = filled_model(c)
    save_file({key: p.detach().contiguous() for key, p in model.named_parameters()}, weights, {"format": "pt"})
    ours, peer = Ours(), passes(model, case)
    ours.ask("load", case_path, weights)
    ours.ask("pass", "highest")
    memory = [int(word) for word in ours.ask("memory")]
    y = peer["float32"]()
    off = {name: distance(ours, name, y, folder) for name in OURS}
    off["bfloat16"] = ((peer["bfloat16"]() - y).abs().max() / y.abs().max()).item()
    ms = race(peer, ours)
    ours.close()
    del model, peer
    return off, ms, memory, peak_of_peer(case_path, weights)


def show(found, off, ms, memory, peak):
    print(f"{found['name']}: {found['elements'] / 1e6:.1f} M parameters")
    for name, other in (("highest", "float32"), ("high", "float32"), ("medium", "bfloat16")):
        print(f"  {name:8} max|d|/range {off[name]:.1e}   {ms[name]:9.1f} ms, torch {other} {ms[other]:9.1f} ms, "
              f"ratio {ms[name] / ms[other]:.2f}")
    print(f"  torch bfloat16 max|d|/range {off['bfloat16']:.1e}")
    print(f"  peak of the process {memory[0] / 2 ** 20:.0f} MiB, of tensors {memory[1] / 2 ** 20:.0f} MiB; "
          f"of a process of the peer's {peak / 2 ** 20:.0f} MiB", flush=True)
    return off["highest"] < 2e-4 and off["high"] < 2e-4 and off["medium"] < 5e-2


def main(names):
    warnings.filterwarnings("ignore")
    diffusers.logging.set_verbosity_error()
    torch.set_num_threads(THREADS)
    if names[0] == "--peak":
        return report_peak(*names[1:])
    with open(KEYS) as f:
        models = [found for found in json.load(f) if "all" in names or found["name"] in names]
    fine = True
    for found in models:
        with tempfile.TemporaryDirectory() as folder:
            fine = show(found, *compare(found, folder)) and fine
    sys.exit(0 if fine else 1)


main(sys.argv[1:])
