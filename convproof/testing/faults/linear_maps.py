"""Faults of kernels for transposed convolution, columns and fully connected layers, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from convproof.testing import reference
from convproof.testing.faults.convolutions import batch_of, bias_over, overwritten_input, places_of, turned_round
from convproof.testing.faults.windows import WINDOWS, Shown, assigned_windows, zeros_everywhere
from convproof.testing.linear_maps import window_of
from convproof.testing.numbers import Array, Arrays
from convproof.testing.operation import Fault
from convproof.testing.reference import (
    Window,
    conv,
    conv_input,
    conv_weights,
    gathered,
    outputs,
    patches,
)

# --- transposed convolution -------------------------------------------------------------------------------------------


def _transposed_over(change: Callable[[Window], Window]) -> Fault:
    """Another window, at the right output size, or its own."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        other, x, w, g = change(window_of(case)), arrays["x"], arrays["w"], arrays["g"]
        bias = arrays["b"].reshape(-1, *(1 for _ in case.sizes)) if "b" in arrays else 0
        natural = tuple(
            (n - 1) * s + d * (k - 1) + 1 + e - a - b
            for n, k, s, (a, b), d, e in zip(case.sizes, *other, case.output_padding, strict=True)
        )
        shapes = {g.shape[2:], *([natural] if all(n > 0 for n in natural) else [])}
        return {
            "y": tuple(conv_input(x, w, other, case.groups, sizes) + bias for sizes in shapes),
            "x": conv(g, w, other, case.groups, case.sizes),
            "w": conv_weights(x, g, other, case.groups),
        }

    return fault


def _no_output_padding(case: Any, arrays: Arrays) -> Shown:
    short = tuple(n - e for n, e in zip(arrays["g"].shape[2:], case.output_padding, strict=True))
    if any(n < 1 for n in short):
        return {}
    window = window_of(case)
    y = conv_input(arrays["x"], arrays["w"], window, case.groups, short)
    bias = arrays["b"].reshape(-1, *(1 for _ in case.sizes)) if "b" in arrays else 0
    filled = np.zeros(arrays["g"].shape, np.int64)
    filled[:, :, *map(slice, short)] = y + bias
    cut = np.zeros_like(arrays["g"])
    cut[:, :, *map(slice, short)] = arrays["g"][:, :, *map(slice, short)]
    return {
        "y": (y + bias, filled),
        "x": conv(cut, arrays["w"], window, case.groups, case.sizes),
        "w": conv_weights(arrays["x"], cut, window, case.groups),
        "b": reference.summed(cut),
    }


def _transposed_turned(case: Any, arrays: Arrays) -> Shown:
    window, w, g = window_of(case), turned_round(case, arrays["w"]), arrays["g"]
    bias = arrays["b"].reshape(-1, *(1 for _ in case.sizes)) if "b" in arrays else 0
    return {
        "y": conv_input(arrays["x"], w, window, case.groups, g.shape[2:]) + bias,
        "x": conv(g, w, window, case.groups, case.sizes),
        "w": turned_round(case, conv_weights(arrays["x"], g, window, case.groups)),
    }


def _transposed_bare(case: Any, arrays: Arrays) -> Shown:
    window, g = window_of(case), arrays["g"]
    return {"y": conv_input(arrays["x"], arrays["w"], window, case.groups, g.shape[2:])}


def _scatter_overwritten(case: Any, arrays: Arrays) -> Shown:
    swapped = {"g": arrays["x"], "w": arrays["w"], "x": arrays["g"]}
    like = replace(case, sizes=arrays["g"].shape[2:], channels=case.filters, filters=case.channels, output_padding=())
    bias = arrays["b"].reshape(-1, *(1 for _ in case.sizes)) if "b" in arrays else 0
    return {"y": tuple(each + bias for each in overwritten_input(like, swapped)["x"])}


CONV_TRANSPOSE: Mapping[str, Fault] = {
    "filters turned round": _transposed_turned,
    **{name: _transposed_over(change) for name, change in WINDOWS.items()},
    "output_padding ignored": _no_output_padding,
    "overlap overwritten instead of added": _scatter_overwritten,
    "bias left out": _transposed_bare,
    "bias gradient averaged over the batch": lambda case, a: {"b": reference.summed(a["g"]) / batch_of(case, a)},
    "bias gradient over the wrong axes: the batch alone": bias_over(0),
    "bias gradient averaged over batch and positions": lambda case, a: {
        "b": reference.summed(a["g"]) / (batch_of(case, a) * places_of(case, a))
    },
    "dW averaged over the batch": lambda case, a: {
        "w": conv_weights(a["x"], a["g"], window_of(case), case.groups) / batch_of(case, a)
    },
    "zeros": zeros_everywhere,
}

# --- im2col and fully connected layers --------------------------------------------------------------------------------


def _im2col_over(change: Callable[[Window], Window]) -> Fault:
    def fault(case: Any, arrays: Arrays) -> Shown:
        other, x = change(window_of(case)), arrays["x"]
        right, natural = outputs(case.sizes, window_of(case)), outputs(case.sizes, other)
        rows = x.shape[0], x.shape[1] * math.prod(case.kernel), -1
        shapes = {right, *([natural] if all(natural) else [])}
        columns = arrays["g"].reshape(*x.shape[:2], math.prod(case.kernel), *right)
        return {
            "y": tuple(patches(x, other, count, 0).reshape(*rows[:2], math.prod(count)) for count in shapes),
            "x": gathered(columns, other, case.sizes),
        }

    return fault


def _columns(order: Callable[[Array], Array]) -> Fault:
    """Rows of the matrix in another order: (N, C, taps, L) changed and laid out again."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        x, count = arrays["x"], outputs(case.sizes, window_of(case))
        found = patches(x, window_of(case), count, 0)
        y = order(found.reshape(*found.shape[:3], -1)).reshape(arrays["g"].shape)
        return {"y": y}

    return fault


def _columns_transposed(case: Any, arrays: Arrays) -> Shown:
    window = window_of(case)
    y = patches(arrays["x"], window, outputs(case.sizes, window), 0)
    return {"y": y.reshape(arrays["g"].shape).swapaxes(1, 2)}


def _columns_overwritten(case: Any, arrays: Arrays) -> Shown:
    x, window = arrays["x"], window_of(case)
    count = outputs(case.sizes, window)
    columns = arrays["g"].reshape(*x.shape[:2], math.prod(case.kernel), *count)
    return {"x": tuple(assigned_windows(columns, window, case.sizes))}


IM2COL: Mapping[str, Fault] = {
    **{name: _im2col_over(change) for name, change in WINDOWS.items()},
    "overlap overwritten instead of added": _columns_overwritten,
    "taps before channels": _columns(lambda a: a.swapaxes(1, 2)),
    "taps in reverse order": _columns(lambda a: a[:, :, ::-1]),
    "windows in reverse order": _columns(lambda a: a[..., ::-1]),
    "rows and columns interchanged": _columns_transposed,
    "averaged over the taps": lambda case, a: {
        "x": gathered(
            a["g"].reshape(*a["x"].shape[:2], math.prod(case.kernel), *outputs(case.sizes, window_of(case))),
            window_of(case),
            case.sizes,
        )
        / math.prod(case.kernel)
    },
    "zeros": zeros_everywhere,
}


def _linear(change: Callable[[Array, Array, Array], Shown]) -> Fault:
    return lambda case, a: change(a["x"], a["w"], a["g"])


def _not_transposed(case: Any, arrays: Arrays) -> Shown:
    square = case.features == case.units
    return {"y": arrays["x"] @ arrays["w"] + arrays.get("b", 0)} if square else {}


def _linear_tail(block: int) -> Fault:
    def fault(case: Any, arrays: Arrays) -> Shown:
        x, w, g = arrays["x"], arrays["w"], arrays["g"]
        n, c, k = (size // block * block for size in (len(x), x.shape[1], len(w)))
        y = x[:, :c] @ w[:, :c].T
        return {"y": (y, y + arrays.get("b", 0)), "x": g[:, :k] @ w[:k], "w": g[:n].T @ x[:n]}

    return fault


LINEAR: Mapping[str, Fault] = {
    "bias left out": _linear(lambda x, w, g: {"y": x @ w.T}),
    "sign": lambda case, a: {"y": -(a["x"] @ a["w"].T) + a.get("b", 0), "x": -a["g"] @ a["w"], "w": -a["g"].T @ a["x"]},
    "weights not transposed": _not_transposed,
    "dW transposed": _linear(lambda x, w, g: {"w": x.T @ g}),
    "dW averaged over the batch": _linear(lambda x, w, g: {"w": g.T @ x / max(1, len(x))}),
    "dX averaged over the batch": _linear(lambda x, w, g: {"x": g @ w / max(1, len(x))}),
    "bias gradient averaged over the batch": _linear(lambda x, w, g: {"b": g.sum(0) / max(1, len(g))}),
    "bias gradient over the wrong axes: units": _linear(lambda x, w, g: {"b": g.sum(1)}),
    "bias gradient over the wrong axes: not over the batch": _linear(lambda x, w, g: {"b": g}),
    "first image alone": _linear(lambda x, w, g: {"w": g[:1].T @ x[:1], "b": g[:1].sum(0)}),
    "last image alone": _linear(lambda x, w, g: {"w": g[-1:].T @ x[-1:], "b": g[-1:].sum(0)}),
    **{f"block tail left out ({n})": _linear_tail(n) for n in (4, 8, 16, 32)},
    "cotangent taken as ones": _linear(
        lambda x, w, g: {
            "x": (np.ones_like(g) @ w, 2 * np.ones_like(g) @ w),
            "w": (np.ones_like(g).T @ x, 2 * np.ones_like(g).T @ x),
            "b": (np.ones_like(g).sum(0), 2 * np.ones_like(g).sum(0)),
        }
    ),
    "zeros": zeros_everywhere,
}
