"""Runs diffusers' schedulers over many combinations of their options and records every step.

    python spec/peers/schedulers.py fixture > spec/fixtures/peers/schedulers.jsonl
    python spec/peers/schedulers.py all [CLASS] > matrix.jsonl  every combination, steps and start
    python spec/peers/schedulers.py random SEED COUNT [CLASS]   combinations drawn from a seed

Each line is one run, in JSON:
    c      class                          o     options of its constructor
    off    only in the fixture: how far the peer in float32 is from its columns, which are
           then those of the peer in double; absent when they are of float32
    n      steps                          from  number of the first step taken, counted from 0;
                                                absent when the run starts from noise
    set    further arguments of set_timesteps
    step   further arguments of step      signed  true: inputs in [-1, 1)
    init   [init_noise_sigma]             t     times that the network was shown
    s      sigmas, from the first used    a, w  sums of |x| and of x_i ((7 i) % 11 - 5):
                                                of the start, and after every step
    e      the first three values at the end
    double the same columns (s, t, a, w, e) from the peer run in double, where they differ
           by more than 1e-6 of the column's largest
    error  [where, exception, message]
NaN and infinity are null.

The loops are those of the peer's pipelines. The network is x t / (t + 1), as in the peer's
tests, and -x / (t t + 1) for the classes whose network is a score. Its inputs are theirs too, for the shape (2, 3, 4, 4). In double, a copy of the module is
run whose source names float64 where it named float32; normal numbers stay those of float32.
"""
import importlib.util
import inspect
import itertools
import json
import math
import random
import sys
import warnings

import numpy as np
import torch

warnings.filterwarnings("ignore")
import diffusers  # noqa: E402
import diffusers.schedulers as schedulers  # noqa: E402
from diffusers.utils import logging  # noqa: E402
from diffusers.utils.torch_utils import randn_tensor  # noqa: E402

logging.set_verbosity(logging.CRITICAL)
torch.set_num_threads(1)

SHAPE = (2, 3, 4, 4)
STEPS = (1, 2, 7, 20)
PNDM_STEPS = (4, 7, 20)  # the peer raises for fewer than four with Runge-Kutta steps

# ==== inputs ======================================================================


def filled(reverse, signed):
    batch, rest = SHAPE[0], 3 * 4 * 4
    n = batch * rest
    index = np.arange(rest)[None, :] * batch + np.arange(batch)[:, None]
    values = (n - 1 - index if reverse else index) / n
    return torch.tensor((values * 2 - 1 if signed else values).reshape(SHAPE), dtype=torch.get_default_dtype())


WEIGHTS = [(7 * i) % 11 - 5 for i in range(96)]


def sums(x):
    flat = x.detach().double().flatten()
    return flat.abs().sum().item(), (flat * torch.tensor(WEIGHTS, dtype=torch.float64)).sum().item()


# ==== the peer in double ==========================================================

DOUBLED = {}
IN_DOUBLE = (("torch.float32", "torch.float64"), ("np.float32", "np.float64"), (".float()", ".double()"),
             ("torch.Tensor([", "torch.tensor(["), ("torch.randn_like(", "randn_like_of_float32("))


def normals_of_float32(shape, generator=None, device=None, dtype=None, layout=None):
    return randn_tensor(shape, generator=generator, device=device, dtype=torch.float32).double()


def like_of_float32(x):
    return torch.randn_like(x, dtype=torch.float32).double()


def class_of(name, double):
    if not double:
        return getattr(schedulers, name)
    if name not in DOUBLED:
        module = sys.modules[getattr(schedulers, name).__module__]
        with open(module.__file__) as file:
            text = file.read()
        for old, new in IN_DOUBLE:
            text = text.replace(old, new)
        spec = importlib.util.spec_from_file_location(module.__name__ + "_double", module.__file__)
        copy = importlib.util.module_from_spec(spec)
        sys.modules[copy.__name__] = copy
        exec(compile(text, module.__file__, "exec"), copy.__dict__)
        copy.randn_tensor, copy.randn_like_of_float32 = normals_of_float32, like_of_float32
        DOUBLED[name] = getattr(copy, name)
    return DOUBLED[name]


SCORES = ("ScoreSdeVeScheduler", "KarrasVeScheduler")  # a network that grew with x would diverge

# ==== loops =======================================================================


def constructor_of(row):
    out = dict(row["o"])
    if row["c"] == "RePaintScheduler" and "trained_betas" in out:
        out["trained_betas"] = np.array(out["trained_betas"])
    return out


class Run:
    """One run: the scheduler, the network that counts what it is shown, and the records."""

    def __init__(self, row, double):
        self.row, self.where = row, "constructor"
        self.told, self.a, self.w = [], [], []
        signed = row.get("signed", False)
        self.sample, self.noise = filled(False, signed), filled(True, signed)
        self.generator = torch.Generator().manual_seed(0)
        torch.manual_seed(0)  # FlowMatchEuler's stochastic_sampling draws from the global generator
        self.variance = row["o"].get("variance_type") in ("learned", "learned_range")
        self.double = double
        self.scheduler = class_of(row["c"], double).from_config(constructor_of(row))

    def network(self, x, t):
        value = t.flatten()[0].item() if isinstance(t, torch.Tensor) else t
        self.told.append(value)
        if isinstance(t, torch.Tensor):
            t = t.flatten()[0]
        out = -x / (t * t + 1) if self.row["c"] in SCORES else x * t / (t + 1)
        return torch.cat([out, x.abs() / (1 + x.abs())], 1) if self.variance else out

    def keep(self, x):
        self.x = x
        a, w = sums(x)
        self.a.append(a)
        self.w.append(w)

    def set_timesteps(self):
        self.where = "set_timesteps"
        arguments = dict(self.row.get("set", {}))
        arguments.pop("seq", None)
        if self.row["c"].startswith("EDM") and "sigmas" in arguments:
            arguments["sigmas"] = torch.tensor(arguments["sigmas"])
        if "timesteps" in arguments or "sigmas" in arguments:
            if self.row["c"] in ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler", "SCMScheduler"):
                arguments["num_inference_steps"] = self.row["n"]
        else:
            arguments["num_inference_steps"] = self.row["n"]
        if self.row["c"] == "SCMScheduler":
            arguments.setdefault("intermediate_timesteps", 1.3 if self.row["n"] == 2 else None)
            if "timesteps" in arguments:
                arguments.setdefault("max_timesteps", None)
        if self.row["c"] == "HeliosScheduler":
            arguments["stage_index"] = 0
        self.scheduler.set_timesteps(**arguments)
        self.where = "step"

    def arguments(self):
        names = inspect.signature(self.scheduler.step).parameters
        out = dict(self.row.get("step", {}))
        if "generator" in names:
            out["generator"] = self.generator
        return out

    def noised(self, first, times):
        s = self.scheduler
        if hasattr(s, "set_begin_index"):
            s.set_begin_index(first)
        if hasattr(s, "scale_noise"):
            return s.scale_noise(self.sample, times[:1], self.noise)
        return s.add_noise(self.sample, self.noise, times[:1])

    def start(self):
        s, first = self.scheduler, self.row.get("from")
        order = getattr(s, "order", 1)
        times = s.timesteps
        if first is None:
            self.first = 0
            scale = getattr(s, "init_noise_sigma", 1.0)
            self.init = float(scale)
            return times, self.sample * scale
        self.first = first * order
        times = times[first * order:]
        return times, self.noised(first * order, times)


def plain(run):
    s = run.scheduler
    times, x = run.start()
    run.keep(x)
    arguments = run.arguments()
    for t in times:
        scaled = s.scale_model_input(x, t) if hasattr(s, "scale_model_input") else x
        x = s.step(run.network(scaled, t), t, x, **arguments).prev_sample
        run.keep(x)


def unclip(run):
    times, x = run.start()
    run.keep(x)
    for i, t in enumerate(times):
        following = None if i + 1 == len(times) else times[i + 1]
        out = run.network(x, t)
        x = run.scheduler.step(out, t, x, prev_timestep=following, generator=run.generator).prev_sample
        run.keep(x)


def score_ve(run):
    s = run.scheduler
    x = run.sample * s.init_noise_sigma
    run.init, run.first = float(s.init_noise_sigma), 0
    s.set_sigmas(run.row["n"])
    run.keep(x)
    for i, t in enumerate(s.timesteps):
        sigma = s.sigmas[i] * torch.ones(SHAPE[0])
        for _ in range(s.config.correct_steps):
            x = s.step_correct(run.network(x, sigma), x, generator=run.generator).prev_sample
        out = s.step_pred(run.network(x, sigma), t, x, generator=run.generator)
        x = out.prev_sample
        run.keep(x)
    run.keep(out.prev_sample_mean)


def score_vp(run):
    s, x = run.scheduler, run.sample
    run.init, run.first = 1.0, 0
    run.keep(x)
    for t in s.timesteps:
        x, mean = s.step_pred(run.network(x, t), x, t, generator=run.generator)
        run.keep(x)
    run.keep(mean)


def karras_ve(run):
    s = run.scheduler
    x = run.sample * s.init_noise_sigma
    run.init, run.first = float(s.init_noise_sigma), 0
    run.keep(x)
    for t in s.timesteps:
        sigma, before = s.schedule[t], s.schedule[t - 1] if t > 0 else 0
        hat, sigma_hat = s.add_noise_to_input(x, sigma, generator=run.generator)
        out = (sigma_hat / 2) * run.network((hat + 1) / 2, sigma_hat / 2)
        step = s.step(out, sigma_hat, before, hat)
        if before != 0:
            out = (before / 2) * run.network((step.prev_sample + 1) / 2, before / 2)
            step = s.step_correct(out, sigma_hat, before, hat, step.prev_sample, step["derivative"])
        x = step.prev_sample
        run.keep(x)


def repaint(run):
    s, x = run.scheduler, run.sample
    mask = torch.zeros(SHAPE, dtype=x.dtype)
    mask[..., :2] = 1
    run.init, run.first = 1.0, 0
    run.keep(x)
    last = s.timesteps[0] + 1
    for t in s.timesteps:
        if t < last:
            x = s.step(run.network(x, t), t, x, run.noise, mask, run.generator).prev_sample
        else:
            x = s.undo_step(x, last, run.generator)
        last = t
        run.keep(x)


def consistency_decoder(run):
    s = run.scheduler
    times, x = run.start()
    run.keep(x)
    for t in times:
        x = s.step(run.network(s.scale_model_input(x, t), t), t, x, run.generator).prev_sample
        run.keep(x)


def wuerstchen(run):
    s = run.scheduler
    times, x = run.start()
    run.keep(x)
    for t in times[:-1]:
        ratio = t.expand(SHAPE[0])
        x = s.step(run.network(x, ratio), ratio, x, generator=run.generator).prev_sample
        run.keep(x)


def cogvideo_dpm(run):
    s = run.scheduler
    times, x = run.start()
    run.keep(x)
    old = None
    arguments = run.row.get("step", {})
    for i, t in enumerate(times):
        back = times[i - 1] if i > 0 else None
        x, old = s.step(run.network(x, t), old, t, back, x, generator=run.generator, return_dict=False, **arguments)
        run.keep(x)


def trigonometric(run):
    s = run.scheduler
    times, x = run.start()
    run.keep(x)
    for t in times[:-1]:
        x = s.step(run.network(x, t), t, x, generator=run.generator).prev_sample
        run.keep(x)


def told_next(run):
    """The inverse schedulers start from data."""
    s = run.scheduler
    x = run.sample
    run.init, run.first = 1.0, 0
    run.keep(x)
    arguments = run.arguments()
    for t in s.timesteps:
        x = s.step(run.network(x, t), t, x, **arguments).prev_sample
        run.keep(x)


LOOPS = {
    "UnCLIPScheduler": unclip, "ScoreSdeVeScheduler": score_ve, "ScoreSdeVpScheduler": score_vp,
    "KarrasVeScheduler": karras_ve, "RePaintScheduler": repaint,
    "ConsistencyDecoderScheduler": consistency_decoder, "DDPMWuerstchenScheduler": wuerstchen,
    "CogVideoXDPMScheduler": cogvideo_dpm, "SCMScheduler": trigonometric,
    "DDIMInverseScheduler": told_next, "DPMSolverMultistepInverseScheduler": told_next,
}


# ==== records =====================================================================


def finite(values):
    return [v if math.isfinite(v) else None for v in values]


def columns_of(run):
    out = {"init": [run.init]} if hasattr(run, "init") else {}
    out["t"] = finite(float(v) for v in run.told)
    sigmas = getattr(run.scheduler, "sigmas", None)
    if sigmas is not None and not isinstance(sigmas, list):
        out["s"] = finite(sigmas.double().flatten().tolist()[getattr(run, "first", 0):])
        if len(out["s"]) > 120:
            del out["s"]
    out["a"], out["w"] = finite(run.a), finite(run.w)
    out["e"] = finite(run.x.double().flatten()[:3].tolist())
    return out


def once(row, double):
    torch.set_default_dtype(torch.float64 if double else torch.float32)
    run = None
    try:
        run = Run.__new__(Run)
        run.where = "constructor"
        Run.__init__(run, row, double)
        run.set_timesteps()
        with torch.no_grad():
            LOOPS.get(row["c"], plain)(run)
        return columns_of(run), None
    except Exception as error:  # the peer's own refusals are records too
        text = str(error).strip().split("\n")[0][:70]
        return None, [run.where, type(error).__name__, text]
    finally:
        torch.set_default_dtype(torch.float32)


def distance(x, y):
    """The largest difference of two columns in units of their largest; infinite if NaNs or lengths differ."""
    if len(x) != len(y) or [v is None for v in x] != [v is None for v in y]:
        return math.inf
    x, y = [v for v in x if v is not None], [v for v in y if v is not None]
    if not x:
        return 0
    return max(abs(p - q) for p, q in zip(x, y)) / max(max(map(abs, x)), max(map(abs, y)), 1e-9)


def rounded(value):
    if isinstance(value, float):
        return int(value) if value == int(value) and abs(value) < 1e9 else float("%.7g" % value)
    if isinstance(value, list):
        return [rounded(v) for v in value]
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return value


def compact(out):
    """A record for the fixture: columns that differ more are those of the peer in double alone,
    and `off` says by how much; both stand where one has NaN or an error and the other has not."""
    double = out.get("double", {})
    far = max((distance(out.get(key, []), double[key]) for key in double if key != "error"), default=0)
    if "error" in double or far == math.inf:
        return out
    out.pop("double", None)
    if far > 3e-6:
        out.update(double, off=float("%.2g" % far))
    return out


def record(row):
    out = dict(row)
    columns, error = once(row, False)
    doubled, error_in_double = once(row, True)
    if error:
        out["error"] = error
        if doubled:
            out["double"] = rounded(doubled)
        return out
    out.update(rounded(columns))
    if doubled:
        far = {key: distance(columns.get(key, []), doubled[key]) for key in doubled}
        out["double"] = {key: rounded(doubled[key]) for key in far if far[key] > 1e-6}
        if not out["double"]:
            del out["double"]
    else:
        out["double"] = {"error": error_in_double}
    return out


# ==== options and their values ====================================================

BETAS = [round(0.004 + 0.15 * math.sin(0.05 * (i + 1)) ** 2, 3) for i in range(30)]
KINDS = ["linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp", "laplace"]
DPM_TYPES = ["dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"]

VALUES = {
    "num_train_timesteps": [100, 2000], "beta_start": [0.0005, 0.002], "beta_end": [0.015, 0.03],
    "beta_schedule": KINDS, "trained_betas": [BETAS],
    "prediction_type": ["epsilon", "sample", "v_prediction", "flow_prediction"],
    "timestep_spacing": ["linspace", "leading", "trailing"], "steps_offset": [1, 3],
    "set_alpha_to_one": [True, False], "clip_sample": [True, False], "clip_sample_range": [0.5, 2.0],
    "thresholding": [True], "dynamic_thresholding_ratio": [0.9, 0.5], "sample_max_value": [1.5, 3.0],
    "rescale_betas_zero_snr": [True], "snr_shift_scale": [1.0, 2.0],
    "variance_type": ["fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range"],
    "solver_order": [1, 2, 3], "predictor_order": [1, 2, 3], "corrector_order": [1, 2, 3],
    "solver_type": ["midpoint", "heun"], "algorithm_type": DPM_TYPES,
    "lower_order_final": [True, False], "euler_at_final": [True], "final_sigmas_type": ["zero", "sigma_min"],
    "use_karras_sigmas": [True], "use_exponential_sigmas": [True], "use_beta_sigmas": [True],
    "use_lu_lambdas": [True], "use_flow_sigmas": [True, False], "flow_shift": [3.0, 0.5],
    "lambda_min_clipped": [-5.1, -1.5], "use_dynamic_shifting": [True], "time_shift_type": ["exponential", "linear"],
    "predict_x0": [True, False], "disable_corrector": [[0], [1, 2]],
    "sigma_min": [0.01, 0.05], "sigma_max": [40.0, 10.0], "sigma_data": [1.0, 0.3], "rho": [5.0, 3.5],
    "sigma_schedule": ["karras", "exponential"], "interpolation_type": ["linear", "log_linear"],
    "timestep_type": ["discrete", "continuous"], "skip_prk_steps": [True, False],
    "original_inference_steps": [25, 100], "timestep_scaling": [1.0, 5.0],
    "shift": [3.0, 0.5], "base_shift": [0.3, 0.8], "max_shift": [0.9, 2.0], "base_image_seq_len": [128, 512],
    "max_image_seq_len": [2048, 8192], "invert_sigmas": [True], "shift_terminal": [0.1, 0.02],
    "stochastic_sampling": [True], "scale_factors": [[0.5, 1.0]], "upscale_mode": ["nearest", "bicubic"],
    "s_noise": [1.02, 0.9], "s_churn": [0.0, 20.0], "s_min": [0.0, 1.0], "s_max": [5.0, 1e4],
    "snr": [0.05, 0.3], "sampling_eps": [1e-4, 1e-2], "correct_steps": [0, 2], "beta_min": [0.05, 0.5],
    "beta_max": [10.0, 25.0], "clip_denoised": [True, False], "eta": [0.3, 1.0], "scaler": [0.5, 2.0],
    "s": [0.02, 0.001], "gamma": [0.5], "stages": [1],
}

OWN_VALUES = {
    ("CMStochasticIterativeScheduler", "num_train_timesteps"): [60, 201],
    ("ConsistencyDecoderScheduler", "num_train_timesteps"): [1100, 1500],
    ("SCMScheduler", "prediction_type"): ["trigflow"],
    ("EDMEulerScheduler", "prediction_type"): ["epsilon", "v_prediction"],
    ("DEISMultistepScheduler", "algorithm_type"): ["deis", "dpmsolver++"],
    ("DEISMultistepScheduler", "solver_type"): ["logrho", "midpoint"],
    ("SASolverScheduler", "algorithm_type"): ["data_prediction", "noise_prediction"],
    ("SASolverScheduler", "variance_type"): [None],
    ("UniPCMultistepScheduler", "solver_type"): ["bh1", "bh2", "midpoint"],
    ("HeliosScheduler", "solver_type"): ["bh1", "bh2"],
    ("DPMSolverMultistepScheduler", "variance_type"): ["learned", "learned_range"],
    ("DPMSolverSinglestepScheduler", "variance_type"): ["learned", "learned_range"],
    ("DPMSolverMultistepInverseScheduler", "variance_type"): ["learned", "learned_range"],
    ("UnCLIPScheduler", "variance_type"): ["fixed_small_log", "learned_range"],
    ("ScoreSdeVeScheduler", "sigma_max"): [50.0, 378.0],
    ("KarrasVeScheduler", "sigma_max"): [80.0, 10.0],
    ("UniPCMultistepScheduler", "sigma_max"): [0.9, 0.6],
    ("UniPCMultistepScheduler", "sigma_min"): [0.1, 0.02],
    ("EulerDiscreteScheduler", "sigma_max"): [10.0, 3.0],
    ("MiniMaxH3Scheduler", "shift"): [3.0, 1.0],
}

# Options that an option needs in order to matter.
COMPANIONS = {
    "steps_offset": {"timestep_spacing": "leading"}, "trained_betas": {"num_train_timesteps": 30, "original_inference_steps": 25},
    "clip_sample_range": {"clip_sample": True}, "dynamic_thresholding_ratio": {"thresholding": True},
    "sample_max_value": {"thresholding": True}, "flow_shift": {"use_flow_sigmas": True},
    "time_shift_type": {"use_dynamic_shifting": True}, "base_shift": {"use_dynamic_shifting": True},
    "max_shift": {"use_dynamic_shifting": True}, "base_image_seq_len": {"use_dynamic_shifting": True},
    "max_image_seq_len": {"use_dynamic_shifting": True}, "upscale_mode": {"scale_factors": [0.5, 1.0]},
}
FLOW_NEEDS = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}

WITHOUT = {  # never run: discrete data, Brownian trees, or outputs that no image network has
    "VQDiffusionScheduler", "AmusedScheduler", "BlockRefinementScheduler", "DiscreteDDIMScheduler",
    "EntropyBoundScheduler", "DPMSolverSDEScheduler", "CosineDPMSolverMultistepScheduler", "PiflowScheduler",
    "RFD4ProteinaScheduler", "HeliosDMDScheduler", "HeliosScheduler",
}
ONLY_FROM_NOISE = {
    "ScoreSdeVeScheduler", "ScoreSdeVpScheduler", "KarrasVeScheduler", "RePaintScheduler", "UnCLIPScheduler",
    "ConsistencyDecoderScheduler", "DDPMWuerstchenScheduler", "SCMScheduler", "DDIMInverseScheduler",
    "DPMSolverMultistepInverseScheduler", "IPNDMScheduler", "LTXEulerAncestralRFScheduler",
}

STEP_OPTIONS = {
    "DDIMScheduler": [{"eta": 0.5}, {"eta": 1.0}, {"use_clipped_model_output": True}],
    "DDIMParallelScheduler": [{"eta": 0.5}],
    "CogVideoXDDIMScheduler": [{"eta": 0.5}],
    "TCDScheduler": [{"eta": 0.0}, {"eta": 1.0}],
    "EulerDiscreteScheduler": [{"s_churn": 5.0}, {"s_churn": 20.0, "s_noise": 1.01},
                               {"s_churn": 5.0, "s_tmin": 0.1, "s_tmax": 5.0}],
    "EDMEulerScheduler": [{"s_churn": 5.0}, {"s_churn": 20.0, "s_noise": 1.01, "s_tmin": 0.05, "s_tmax": 50.0}],
    "FlowMatchHeunDiscreteScheduler": [{"s_churn": 5.0}],
    "LMSDiscreteScheduler": [{"order": 1}, {"order": 2}, {"order": 3}],
}

EDM = ("EDMEulerScheduler", "EDMDPMSolverMultistepScheduler")
VP_SIGMAS = [12.0, 6.5, 3.1, 1.0, 0.4, 0.0]
FLOW_SIGMAS = [1.0, 0.8, 0.55, 0.3, 0.1]
TIMES = [981, 761, 500, 250, 90, 3]

FOUND = [  # configs found in folders that people publish
    ("DDPMScheduler", {"variance_type": "fixed_large", "clip_sample": True, "beta_schedule": "linear",
                       "beta_start": 0.0001, "beta_end": 0.02, "num_train_timesteps": 1000}),
    ("DDPMScheduler", {"variance_type": "fixed_small", "clip_sample": True}),
    ("PNDMScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                       "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}),
    ("DDIMScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                       "prediction_type": "v_prediction", "set_alpha_to_one": False, "steps_offset": 1,
                       "clip_sample": False}),
    ("EulerDiscreteScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                                "timestep_spacing": "leading", "steps_offset": 1}),
    ("EulerDiscreteScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                                "timestep_spacing": "trailing", "steps_offset": 1}),
    ("EulerAncestralDiscreteScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                                         "timestep_spacing": "trailing", "steps_offset": 1}),
    ("EulerDiscreteScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                                "prediction_type": "v_prediction", "timestep_type": "continuous",
                                "use_karras_sigmas": True, "sigma_min": 0.002, "sigma_max": 700.0,
                                "timestep_spacing": "leading", "steps_offset": 1}),
    ("DPMSolverMultistepScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                                     "use_karras_sigmas": True, "timestep_spacing": "leading", "steps_offset": 1}),
    ("UniPCMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
    ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0, "use_dynamic_shifting": True, "base_shift": 0.5,
                                         "max_shift": 1.15, "base_image_seq_len": 256, "max_image_seq_len": 4096}),
    ("LCMScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012,
                      "clip_sample": False, "set_alpha_to_one": True, "steps_offset": 1}),
    ("TCDScheduler", {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "steps_offset": 1}),
    ("CMStochasticIterativeScheduler", {"num_train_timesteps": 40, "sigma_min": 0.002, "sigma_max": 80.0}),
    ("UnCLIPScheduler", {"variance_type": "learned_range", "clip_sample_range": 10.0}),
    ("EDMEulerScheduler", {"sigma_min": 0.002, "sigma_max": 80.0, "sigma_data": 0.5}),
    # files copied from another class: unknown keys, bookkeeping, null, keys of a default value
    ("EulerDiscreteScheduler", {"_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.19.0.dev0",
                                "beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
                                "clip_sample": False, "interpolation_type": "linear", "num_train_timesteps": 1000,
                                "prediction_type": "epsilon", "sample_max_value": 1.0, "set_alpha_to_one": False,
                                "skip_prk_steps": True, "steps_offset": 1, "timestep_spacing": "leading",
                                "trained_betas": None, "use_karras_sigmas": False}),
    ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "beta_end": 0.012,
                                     "beta_schedule": "scaled_linear", "beta_start": 0.00085,
                                     "lambda_min_clipped": -math.inf, "skip_prk_steps": True, "variance_type": None,
                                     "clip_sample": False, "steps_offset": 1, "set_alpha_to_one": False}),
    ("HeunDiscreteScheduler", {"use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 8.0}),
    ("LMSDiscreteScheduler", {"use_exponential_sigmas": True, "sigma_min": 0.05, "sigma_max": 8.0}),
    ("KDPM2DiscreteScheduler", {"use_beta_sigmas": True, "sigma_min": 0.05, "sigma_max": 8.0}),
    ("FlowMatchEulerDiscreteScheduler", {"use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 0.9}),
    ("LTXEulerAncestralRFScheduler", {"shift": 3.0, "shift_terminal": 0.1, "eta": 0.7}),
    ("DDIMScheduler", {"clip_sample": False, "clip_sample_range": 0.5, "steps_offset": 1, "set_alpha_to_one": False,
                       "_use_default_values": ["steps_offset", "clip_sample"]}),
]


COG = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing",
       "snr_shift_scale": 1.0, "clip_sample": False}
ONCE_WRONG = [  # class, options, steps, whether it starts later, further arguments
    ("CogVideoXDPMScheduler", COG, 7, False, {}),
    ("DPMSolverMultistepInverseScheduler", {"trained_betas": BETAS, "num_train_timesteps": 30, "use_beta_sigmas": True},
     15, False, {}),
    ("DPMSolverSinglestepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": False,
                                      "variance_type": "learned"}, 7, False, {}),
    ("EulerDiscreteScheduler", {"interpolation_type": "log_linear", "prediction_type": "v_prediction"}, 7, False,
     {"step": {"s_churn": 5.0}}),
    ("DDPMWuerstchenScheduler", {"scaler": 2.3, "s": 0.0008}, 3, False, {"set": {"timesteps": [1.0, 0.97, 0.34, 0.0]}}),
    ("FlowMapEulerDiscreteScheduler", {"shift": 0.431}, 6, False, {}),
    ("FlowMapEulerDiscreteScheduler", {"shift": 3.0}, 4, False, {"set": {"timesteps": [1000, 700, 400, 50]}}),
    ("KarrasVeScheduler", {"s_max": 5.0}, 7, False, {}),  # normals are drawn in steps without churn too
    ("UniPCMultistepScheduler", {"use_karras_sigmas": True, "sigma_min": 0.004, "sigma_max": 400.0}, 7, True, {}),
    ("DPMSolverMultistepScheduler", {"use_exponential_sigmas": True, "sigma_max": 250.0,
                                     "final_sigmas_type": "sigma_min"}, 7, False, {}),
    ("DPMSolverMultistepScheduler", {"use_lu_lambdas": True, "sigma_min": 0.1, "sigma_max": 20.0}, 7, False, {}),
    ("LMSDiscreteScheduler", {"use_karras_sigmas": True, "sigma_min": 0.05, "sigma_max": 8.0}, 7, False, {}),
    ("LTXEulerAncestralRFScheduler", {"shift": 3.0, "use_beta_sigmas": True}, 4, False,
     {"set": {"sigmas": [0.95, 0.7, 0.4, 0.1, 0.0]}}),
    ("TCDScheduler", {}, 4, False, {"set": {"original_inference_steps": 30}}),
    ("TCDScheduler", {}, 4, False, {"set": {"strength": 0.6, "original_inference_steps": 30}}),
    ("LCMScheduler", {}, 4, False, {"set": {"strength": 0.6}}),
    ("DDIMScheduler", {"beta_start": 0.02, "beta_end": 0.001, "clip_sample": None}, 7, False, {}),
    ("DEISMultistepScheduler", {"prediction_type": "flow_prediction"}, 7, False, {}),
    ("DPMSolverSinglestepScheduler", {"use_flow_sigmas": True, "use_beta_sigmas": True, "num_train_timesteps": 30,
                                      "beta_end": 0.01}, 7, True, {}),
    ("DPMSolverMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True,
                                     "flow_shift": 12.0, "final_sigmas_type": "sigma_min"}, 7, False, {}),
    ("UniPCMultistepScheduler", {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0,
                                 "shift_terminal": 0.1}, 7, False, {}),
]


def parameters_of(name):
    signature = inspect.signature(getattr(schedulers, name).__init__)
    skipped = ("self", "kwargs", "solver_p", "tau_func", "stage_range", "scheduler_type")
    return {p.name: p.default for p in signature.parameters.values() if p.name not in skipped}


def names():
    for name in sorted(dir(schedulers)):
        value = getattr(schedulers, name)
        if inspect.isclass(value) and issubclass(value, diffusers.SchedulerMixin) and name not in WITHOUT:
            if value is not diffusers.SchedulerMixin:
                yield name


def values_of(name, option):
    return OWN_VALUES.get((name, option), VALUES[option])


def accompanied(name, option, value):
    options = {option: value}
    for key, other in COMPANIONS.get(option, {}).items():
        if key in parameters_of(name):
            options.setdefault(key, other)
    if "use_flow_sigmas" in parameters_of(name):
        if options.get("use_flow_sigmas") or options.get("prediction_type") == "flow_prediction" \
                or options.get("use_dynamic_shifting"):
            options = {**FLOW_NEEDS, **options}
    return options


def shift_of(options, tokens):
    """The mu of the peer's pipelines for an image of so many tokens."""
    low, high = options.get("base_shift", 0.5), options.get("max_shift", 1.15)
    first, last = options.get("base_image_seq_len", 256), options.get("max_image_seq_len", 4096)
    slope = (high - low) / (last - first)
    return tokens * slope + low - slope * first


def row_of(name, options, n, later, signed=False, **more):
    row = {"c": name, "o": options, "n": n}
    if later and name not in ONLY_FROM_NOISE:
        row["from"] = n - min(max(int(n * 0.6), 1), n)
    if options.get("use_dynamic_shifting"):
        tokens = 1024
        more["set"] = {"mu": round(shift_of(options, tokens), 6), "seq": tokens, **more.get("set", {})}
    if signed:
        row["signed"] = True
    row.update({k: v for k, v in more.items() if v})
    return row


def singles(name):
    yield {}
    for option, default in parameters_of(name).items():
        for value in values_of(name, option):
            if value == default and type(value) == type(default):
                continue
            yield accompanied(name, option, value)


def drawn(name, rng, sizes=(2, 2, 3, 3, 4)):
    """Some options, at random."""
    open_options = [o for o in parameters_of(name)]
    count = min(len(open_options), rng.choice(sizes))
    options = {}
    for option in rng.sample(open_options, count):
        options = {**accompanied(name, option, rng.choice(values_of(name, option))), **options}
    if options.get("beta_schedule") in ("exp", "laplace", "sigmoid") and rng.random() < 0.7:
        del options["beta_schedule"]
    curves = [k for k in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas") if options.get(k)]
    for extra in curves[1:]:
        del options[extra]
    return options


def further(name):
    """Arguments of step and of set_timesteps."""
    for step in STEP_OPTIONS.get(name, ()):
        yield {"step": step}
    accepted = inspect.signature(getattr(schedulers, name).set_timesteps).parameters
    if "timesteps" in accepted:
        times = TIMES
        if name == "CMStochasticIterativeScheduler":
            times = [39, 22, 6, 0]
        elif name == "SCMScheduler":
            times = [1.5, 1.1, 0.6, 0.2, 0.0]
        elif name == "DDPMWuerstchenScheduler":
            times = [1.0, 0.7, 0.3, 0.0]
        yield {"set": {"timesteps": times}, "count": len(times) - (name in ("SCMScheduler", "DDPMWuerstchenScheduler"))}
    if "sigmas" in accepted:
        sigmas = FLOW_SIGMAS if "Flow" in name or name == "UniPCMultistepScheduler" else VP_SIGMAS
        count = len(sigmas) - (sigmas[-1] == 0)
        if name in EDM:
            sigmas, count = [0.0, 0.3, 0.6, 1.0], 4
        elif name in ("LTXEulerAncestralRFScheduler", "MiniMaxH3Scheduler"):
            sigmas, count = FLOW_SIGMAS + [0.0], 5
        yield {"set": {"sigmas": sigmas}, "count": count}


def combinations(name, random_count=14):
    """(options, further arguments, signed inputs) of every combination of a class."""
    rng = random.Random(name)
    seen = set()
    for options in singles(name):
        key = json.dumps(options, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield options, {}, False
    for more in further(name):
        yield {}, more, False
    for known, options in FOUND:
        if known == name:
            yield options, {}, False
    if len(parameters_of(name)) > 1:
        for _ in range(random_count):
            options = drawn(name, rng)
            key = json.dumps(options, sort_keys=True)
            if key not in seen:
                seen.add(key)
                yield options, {}, True


def rows_of(name, options, more, signed):
    more = dict(more)
    count = more.pop("count", None)
    steps = PNDM_STEPS if name == "PNDMScheduler" and not options.get("skip_prk_steps") else STEPS
    for n, later in itertools.product((count,) if count else steps, (False, True)):
        if later and name in ONLY_FROM_NOISE:
            continue
        yield row_of(name, options, n, later, signed, **more)


def once_wrong(only=None):
    for name, options, n, later, more in ONCE_WRONG:
        if only is None or name.startswith(only):
            yield row_of(name, options, n, later, True, **more)


def all_rows(only):
    yield from once_wrong(only)
    for name in names():
        if only is not None and not name.startswith(only):
            continue
        for combination in combinations(name):
            yield from rows_of(name, *combination)


def fixture_rows():
    """One or two runs of each combination. The number of steps and the start take turns."""
    turn = 0
    yield from once_wrong()
    for name in names():
        for k, (options, more, signed) in enumerate(combinations(name)):
            if "Parallel" in name and k % 4:  # the parallel classes repeat DDPM and DDIM
                continue
            rows = list(rows_of(name, options, more, signed))
            small = [r for r in rows if r["n"] < 20] or rows
            chosen = rows if k == 0 else [small[turn % len(small)]]
            turn += 1
            if k % 9 == 1:
                chosen = chosen + rows[-1:]
            yield from {json.dumps(r, sort_keys=True): r for r in chosen}.values()


KEPT = ("trained_betas", "num_train_timesteps", "original_inference_steps", "steps_offset", "solver_order",
        "predictor_order", "corrector_order", "correct_steps", "base_image_seq_len", "max_image_seq_len")


def varied(options, rng):
    """The same options with other numbers."""
    out = dict(options)
    for key, value in options.items():
        if isinstance(value, float) and key not in KEPT and math.isfinite(value) and value != 0:
            out[key] = float("%.4g" % (value * rng.uniform(0.8, 1.2)))
        elif key == "num_train_timesteps" and "trained_betas" not in options:
            out[key] = rng.choice([value, 30, 77, 250, 640, 1000, 1999])
        elif key == "steps_offset":
            out[key] = rng.choice([0, 1, 2, 5])
    if out.get("base_image_seq_len") == out.get("max_image_seq_len"):
        out.pop("base_image_seq_len", None)
    for key, most in (("dynamic_thresholding_ratio", 1.0), ("sigma_max", 1.0 if "use_flow_sigmas" in out else math.inf)):
        if key in out:
            out[key] = min(out[key], most)
    return out


def lists(name, rng, steps):
    """Timesteps or sigmas of the user's, or arguments of step."""
    options = list(further(name))
    if not options or rng.random() < 0.75:
        return {}
    more = dict(rng.choice(options))
    if more.get("set", {}).get("timesteps") == TIMES:
        more["set"] = {"timesteps": [int(t * steps / 1000) for t in TIMES]}
    count = more.pop("count", None)
    for key, values in more.get("set", {}).items():
        inner = sorted(set(rng.uniform(min(values), max(values)) for _ in values[1:-1]), reverse=values[0] > values[-1])
        kind = int if all(isinstance(v, int) for v in values) else lambda v: float("%.5g" % v)
        new = [values[0]] + [kind(v) for v in inner] + [values[-1]]
        if len(set(new)) == len(values):
            more["set"] = {key: new}
    return {**more, "n": count} if count else more


def random_rows(seed, count, only):
    rng = random.Random(seed)
    all_names = [n for n in names() if only is None or n.startswith(only)]
    for _ in range(count):
        name = rng.choice(all_names)
        options = drawn(name, rng, (1, 2, 3, 4, 6))
        if rng.random() < 0.7:
            options = varied(options, rng)
        more = lists(name, rng, options.get("num_train_timesteps", 1000))
        n = more.pop("n", None) or rng.choice(STEPS + (3, 4, 5, 6, 9, 11, 14, 15, 16, 25))
        row = row_of(name, options, n, rng.random() < 0.5, rng.random() < 0.7, **more)
        if "from" in row:
            row["from"] = rng.randrange(n)
        yield row


def main():
    if sys.argv[1] == "fixture":
        rows = fixture_rows()
    elif sys.argv[1] == "all":
        rows = all_rows(sys.argv[2] if len(sys.argv) > 2 else None)
    else:
        rows = random_rows(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] if len(sys.argv) > 4 else None)
    small = sys.argv[1] == "fixture"
    for row in rows:
        out = record(row)
        print(json.dumps(compact(out) if small else out, separators=(",", ":")))


if __name__ == "__main__":
    main()
