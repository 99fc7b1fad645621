"""The noising process: linear betas, T = 1000, alpha_bar[0] = 1."""
import torch

T = 1000
betas = torch.linspace(1e-4, 0.02, T, dtype=torch.float64)
alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, 0)])
signal, noise = alpha_bar.sqrt().float(), (1 - alpha_bar).sqrt().float()
snr = alpha_bar / (1 - alpha_bar)
min_snr = (snr.clamp(max=5) / (snr + 1)).float()


def over(column, t, x):
    return column[t].view(-1, *[1] * (x.dim() - 1))


def loss(out, x0, eps, t, objective):
    if objective == "eps":
        return torch.nn.functional.mse_loss(out, eps)
    v = over(signal, t, x0) * eps - over(noise, t, x0) * x0
    return (min_snr[t] * (out - v).square().flatten(1).mean(1)).mean()


def x0_of(out, xt, a, s, objective):
    x0 = (xt - s * out) / a if objective == "eps" else a * xt - s * out
    return x0.clamp(-1, 1)


def ddim(out, xt, t, before, objective):
    """x at `before` of x at t: Song et al. 2021, eq. 12 without noise."""
    a, s = over(signal, t, xt), over(noise, t, xt)
    x0 = x0_of(out, xt, a, s, objective)
    eps = (xt - a * x0) / s
    return over(signal, before, xt) * x0 + over(noise, before, xt) * eps
