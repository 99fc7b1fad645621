"""Our weights into the peer's network, and our outputs and gradients beside its own, in
float32 with dropout off."""
import torch
from safetensors.torch import load_file
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def as_peers(x):
    """N, H, W, C or K, R, S, C -> with channels second."""
    return x.permute(0, 3, 1, 2).contiguous() if x.dim() == 4 else x


def our_name(name):
    return name.replace("time.label", "time.class")


def known_rows(name, x):
    """Without the row of class 0, which is none and stays zero."""
    return x[1:] if "time.label" in name else x


def load_weights(net, tensors):
    ours = {k[7:] for k in tensors if k.startswith("weight.")}
    theirs = {our_name(name) for name, _ in net.named_parameters()}
    if ours != theirs:
        raise SystemExit(f"the networks differ in {sorted(ours ^ theirs)[:5]}")
    with torch.no_grad():
        for name, p in net.named_parameters():
            known_rows(name, p).copy_(as_peers(tensors["weight." + our_name(name)]))


def gap(a, b):
    """The largest difference, relative to the largest of b; NaN where one has any."""
    return ((a - b).abs().max() / b.abs().max()).item()


def worst(gaps):
    """A NaN counts as the worst."""
    return max(gaps, key=lambda g: g if g == g else float("inf"), default=0.0)


def run(net, tensors, with_gradients):
    xt, probe = as_peers(tensors["xt"]), as_peers(tensors["probe"])
    with torch.set_grad_enabled(with_gradients):
        out = net(xt, tensors["t"].long(), tensors.get("class"))
        if with_gradients:
            (out.float() * probe).mean().backward()
    return out.float().detach()


def gradient_gaps(net, reference):
    for name, p in net.named_parameters():
        yield gap(known_rows(name, p.grad), reference(name))


def compare(net, path, setting, with_gradients):
    """Loads the weights of the file; the gaps of ours from the peer in float32, and of the
    peer at the workload's precision from the same."""
    tensors = load_file(path)
    load_weights(net, tensors)
    net.eval()
    out = run(net, tensors, with_gradients)
    answer = {"outputs": gap(as_peers(tensors["out"]), out), "gradients": 0.0}
    exact = {}
    if with_gradients:
        ours = lambda name: as_peers(tensors["gradient." + our_name(name)])
        gaps = ((gap(ours(n), known_rows(n, p.grad))) for n, p in net.named_parameters())
        answer["gradients"] = worst(gaps)
        exact = {n: known_rows(n, p.grad).clone() for n, p in net.named_parameters()}
    if setting.medium:
        answer.update(own_gaps(net, tensors, setting, out, exact))
    net.zero_grad(set_to_none=True)
    net.train()
    return answer


def own_gaps(net, tensors, setting, out, exact):
    net.zero_grad(set_to_none=True)
    with setting.autocast():
        low = run(net, tensors, bool(exact))
    gaps = gradient_gaps(net, exact.__getitem__) if exact else ()
    return {"own_outputs": gap(low, out), "own_gradients": worst(gaps)}


def facts(net, x, label):
    """Parameters without the row of class 0, and FLOPs of a forward."""
    counter = FlopCounterMode(display=False)
    t = torch.ones(len(x), dtype=torch.int64)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        net(x, t, label)
    count = sum(known_rows(n, p).numel() for n, p in net.named_parameters())
    return {"parameters": count, "flops": counter.get_total_flops()}
