"""Convolutions that are right at first sight: they cheat, or keep state."""

import numpy as np

from .convolutions import forward, vjp


def empties_its_input(x, w, b, *options):
    y = forward(x, w, b, *options)
    if x.flags.writeable:
        x[...] = 0
    return y


class ByShape:
    """Keeps its first result of a shape."""

    def __init__(self):
        self.kept = {}

    def __call__(self, x, w, b, *options):
        key = x.shape, w.shape, b is None, options
        if key not in self.kept:
            self.kept[key] = forward(x, w, b, *options)
        return self.kept[key].copy()


class ByAddress(ByShape):
    """Keeps its first result by the address of its input."""

    def __call__(self, x, w, b, *options):
        key = x.ctypes.data, w.ctypes.data, x.shape, w.shape, b is None, options
        if key not in self.kept:
            self.kept[key] = forward(x, w, b, *options)
        return self.kept[key].copy()


class OneBuffer:
    """Hands out the same buffer each time."""

    def __init__(self):
        self.buffers = {}

    def __call__(self, x, w, b, *options):
        y = forward(x, w, b, *options)
        buffer = self.buffers.setdefault(y.shape, np.empty_like(y))
        buffer[...] = y
        return buffer


class Forgets:
    """Adds what was there before."""

    def __init__(self):
        self.sums = {}

    def __call__(self, x, w, b, *options):
        y = forward(x, w, b, *options)
        total = self.sums.get(y.shape, 0) + y
        self.sums[y.shape] = total
        return total.copy()


def unwritten(x, w, b, *options):
    y = forward(x, w, b, *options)
    out = np.empty_like(y)
    out[..., : max(1, y.shape[-1] - 1)] = y[..., : max(1, y.shape[-1] - 1)]
    return out


def nan(x, w, b, *options):
    return np.full_like(forward(x, w, b, *options), np.nan)


def as_list_of_one(x, w, b, *options):
    return [forward(x, w, b, *options)] if len(x) > 1 else forward(x, w, b, *options)


def half(x, w, b, *options):
    return forward(x, w, b, *options).astype(np.float16)


def nothing(x, w, b, *options):
    return None


def text(x, w, b, *options):
    return "done"


def leaves(x, w, b, *options):
    raise NotImplementedError("groups") if options[3] > 1 else ValueError("no")


def scales_weights(x, w, b, *options):
    if w.flags.writeable:
        w *= 1.0
        w += 1
        return forward(x, w - 1, b, *options)
    return forward(x, w, b, *options)


KERNELS = [
    ("conv", "empties its input", empties_its_input, None, "inputs"),
    ("conv", "by shape", ByShape(), None, "stale state"),
    ("conv", "by address", ByAddress(), None, "stale state"),
    ("conv", "one buffer", OneBuffer(), None, "shares memory"),
    ("conv", "sums up", Forgets(), None, ""),
    ("conv", "unwritten", unwritten, None, ""),
    ("conv", "nan", nan, None, "never written"),
    ("conv", "list", as_list_of_one, None, ""),
    ("conv", "half", half, None, "dtype"),
    ("conv", "nothing", nothing, None, "result"),
    ("conv", "text", text, None, "result"),
    ("conv", "raises", leaves, None, "crash"),
    ("conv", "changes its weights", scales_weights, None, "inputs"),
]
RIGHT = [("conv", "without a gradient", forward, None), ("conv", "with one", forward, vjp)]
