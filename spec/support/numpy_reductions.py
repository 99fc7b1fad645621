# Writes spec/fixtures/reductions.lua: NumPy's results for every reduction of shapes with
# few or no elements. `python3 spec/support/numpy_reductions.py`, NumPy 2.
import warnings
import numpy as np

warnings.simplefilter("ignore")


def logsumexp(x, axis, keepdims):
    return np.logaddexp.reduce(x, axis=axis, keepdims=keepdims)


def norm(x, axis, keepdims):
    return np.sqrt(np.sum(x * x, axis=axis, keepdims=keepdims))


def softmax(x, axis):
    if x.size == 0:
        return x
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


FOLDS = {
    "sum": np.sum, "mean": np.mean, "prod": np.prod, "norm": norm, "logsumexp": logsumexp,
    "max": np.max, "min": np.min, "any": np.any, "all": np.all,
    "var": lambda x, axis, keepdims: np.var(x, axis=axis, keepdims=keepdims, ddof=1),
    "std": lambda x, axis, keepdims: np.std(x, axis=axis, keepdims=keepdims, ddof=1),
    "var0": lambda x, axis, keepdims: np.var(x, axis=axis, keepdims=keepdims),
    "std0": lambda x, axis, keepdims: np.std(x, axis=axis, keepdims=keepdims),
    "argmax": lambda x, axis, keepdims: np.argmax(x, axis=axis, keepdims=keepdims) + 1,
    "argmin": lambda x, axis, keepdims: np.argmin(x, axis=axis, keepdims=keepdims) + 1,
    "quantile": lambda x, axis, keepdims: np.quantile(x, 0.5, axis=axis, keepdims=keepdims),
}
LINES = {
    "cumsum": np.cumsum, "sort": np.sort, "softmax": softmax,
    "log_softmax": lambda x, axis: np.log(softmax(x, axis)),
    "topk": lambda x, axis: np.flip(np.sort(x, axis=axis), axis=axis).take(range(min(1, x.shape[axis])), axis=axis),
}
SHAPES = [(0,), (0, 3), (3, 0), (0, 0), (1,), (1, 1), (2, 3)]


def lua(v):
    v = float(v)
    return "0/0" if np.isnan(v) else "1/0" if v == np.inf else "-1/0" if v == -np.inf else "%.17g" % v


def rows():
    for shape in SHAPES:
        x = (np.arange(np.prod(shape), dtype=float) % 4 - 1.5).reshape(shape)
        for name, f in FOLDS.items():
            axes = [None] + list(range(len(shape)))
            if len(shape) == 2 and not name.startswith("arg") and name != "quantile":
                axes.append((0, 1))
            for axis in axes:
                for keep in (False, True):
                    yield name, shape, axis, keep, lambda: f(x, axis=axis, keepdims=keep)
        for name, f in LINES.items():
            for axis in range(len(shape)):
                yield name, shape, axis, None, lambda: f(x, axis=axis)


def main():
    out = ["-- By spec/support/numpy_reductions.py, NumPy %s: name, shape, dim, keep, what comes"
           % np.__version__, "-- (its shape, its values in order); false: an error.", "return {"]
    for name, shape, axis, keep, call in rows():
        try:
            y = np.asarray(call(), dtype=float)
            got = "{%s}, {%s}" % (",".join(map(str, y.shape)), ",".join(map(lua, y.flatten())))
        except (ValueError, IndexError):
            got = "false"
        dim = "nil" if axis is None else "{1,2}" if isinstance(axis, tuple) else str(axis + 1)
        keep = "nil" if keep is None else str(keep).lower()
        out.append('{"%s",{%s},%s,%s,%s},' % (name, ",".join(map(str, shape)), dim, keep, got.replace(" ", "")))
    out.append("}")
    with open("spec/fixtures/reductions.lua", "w") as f:
        f.write("\n".join(out) + "\n")


main()
