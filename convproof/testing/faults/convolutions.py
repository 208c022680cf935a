"""Faults of convolution kernels, by name: what each would compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np

from convproof.testing import reference
from convproof.testing.faults.windows import WINDOWS, Shown, place_of, zeros_everywhere
from convproof.testing.linear_maps import conv_results, window_of
from convproof.testing.numbers import Array, Arrays
from convproof.testing.operation import Fault
from convproof.testing.reference import (
    Window,
    conv,
    conv_input,
    conv_weights,
    outputs,
    taps,
)


def _over(change: Callable[[Window], Window]) -> Fault:
    """The three sums over other windows: as many as there should be, or as many as fit."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        window, right = window_of(case), arrays["g"].shape[2:]
        other = change(window)
        if any(before < 0 or after < 0 for before, after in other[2]):
            return {}
        natural = outputs(case.sizes, other)
        fitting = {**arrays, "g": arrays["g"][:, :, *(slice(min(n, m)) for n, m in zip(natural, right, strict=True))]}
        shown = [conv_results(case, arrays, other, other, other, count) for count in {right, natural}]
        cut = conv_results(case, fitting, other, other, other)
        return {"y": tuple(each["y"] for each in shown), **{part: (shown[0][part], cut[part]) for part in ("x", "w")}}

    return fault


# --- convolution ------------------------------------------------------------------------------------------------------


def _with_filters(change: Callable[[Any, Array], Array], back: Callable[[Any, Array], Array] | None = None) -> Fault:
    """The filters changed before they are used, and dW changed back."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        window = window_of(case)
        found = conv_results(case, {**arrays, "w": change(case, arrays["w"])}, window, window, window)
        return {**found, "w": (back or change)(case, found["w"])} if found["w"].shape == arrays["w"].shape else {}

    return fault


def _turned_along(axis: int) -> Callable[[Any, Array], Array]:
    return lambda case, w: np.flip(w, 2 + axis) if w.ndim > 2 + axis else w


def turned_round(case: Any, w: Array) -> Array:
    """Filters with every axis of their planes reversed."""
    return w[:, :, *(slice(None, None, -1) for _ in case.kernel)]


def _interchanged(case: Any, w: Array) -> Array:
    order = (0, 1, *range(w.ndim - 1, 1, -1))
    return w.transpose(order) if case.kernel == case.kernel[::-1] else w


def _interchanged_after(case: Any, arrays: Arrays) -> Shown:
    found = conv_weights(arrays["g"], arrays["x"], window_of(case), case.groups)
    turned = found.swapaxes(2, -1)
    return {"w": (turned, turned.reshape(found.shape))}


def _without_last(axis: int) -> Callable[[Any, Array], Array]:
    def change(case: Any, w: Array) -> Array:
        kept = w.copy()
        if kept.ndim > 2 + axis:
            kept[(slice(None),) * (2 + axis) + (-1,)] = 0
        return kept

    return change


def _with_channels(order: Callable[[Any], list[int]]) -> Fault:
    """Input channels taken in another order: y and dW with it, dX scattered by it."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        window, places = window_of(case), order(case)
        found = conv_results(case, {**arrays, "x": arrays["x"][:, places]}, window, window, window)
        scattered = np.zeros_like(found["x"])
        for place, channel in enumerate(places):
            scattered[:, channel] += found["x"][:, place]
        return {"y": found["y"], "w": found["w"], "x": scattered}

    return fault


def _interleaved(case: Any) -> list[int]:
    width = case.channels // case.groups
    return [c * case.groups + group for group in range(case.groups) for c in range(width)]


def _of_first_group(case: Any) -> list[int]:
    return [c for _ in range(case.groups) for c in range(case.channels // case.groups)]


def _filters_interleaved(case: Any, arrays: Arrays) -> Shown:
    """Filter f belongs to group f % groups."""
    width = case.filters // case.groups
    order = [f * case.groups + group for group in range(case.groups) for f in range(width)]
    window = window_of(case)
    moved = {**arrays, "w": arrays["w"][order], "g": arrays["g"][:, order]}
    found = conv_results(case, moved, window, window, window)
    y, w = np.zeros_like(found["y"]), np.zeros_like(found["w"])
    y[:, order], w[order] = found["y"], found["w"]
    return {"y": y, "w": w, "x": found["x"]}


def overwritten_input(case: Any, arrays: Arrays) -> Shown:
    """Where windows overlap, the last one is kept: by taps, or by outputs."""
    window, g, w = window_of(case), arrays["g"], arrays["w"]
    by_taps = np.zeros(arrays["x"].shape, np.int64)
    by_outputs = by_taps.copy()
    k, c = case.filters // case.groups, case.channels // case.groups
    parts = [(slice(i * k, i * k + k), slice(i * c, i * c + c)) for i in range(case.groups)]
    for t, o, i in taps(case.sizes, window, g.shape[2:]):
        for ks, cs in parts:
            by_taps[:, cs, *i] = np.einsum("kc,nk...->nc...", w[ks, :, *t], g[:, ks, *o])
    for o in product(*map(range, g.shape[2:])):
        for t in product(*map(range, case.kernel)):
            place = place_of(o, t, window)
            if all(0 <= p < n for p, n in zip(place, case.sizes, strict=True)):
                for ks, cs in parts:
                    one: Any = (slice(None), ks, *o)
                    tap: Any = (ks, slice(None), *t)
                    by_outputs[:, cs, *place] = g[one] @ w[tap]
    return {"x": (by_taps, by_outputs)}


def _cut_short(case: Any, arrays: Arrays) -> Shown:
    """dX of the size that the cotangent alone suggests, without the remainder; or with zeros in its place."""
    window, g = window_of(case), arrays["g"]
    needed = tuple(
        (o - 1) * s + d * (k - 1) + 1 - a - b for o, k, s, (a, b), d in zip(g.shape[2:], *window, strict=True)
    )
    if any(n < 1 for n in needed):
        return {}
    short = conv_input(g, arrays["w"], window, case.groups, needed)
    filled = np.zeros(arrays["x"].shape, np.int64)
    filled[:, :, *map(slice, needed)] = short
    return {"x": (short, filled)}


def _too_many_taps(case: Any, arrays: Arrays) -> Shown:
    """dW of the size of a kernel that would use the remainder, or filled with zeros to it."""
    window = window_of(case)
    kernel = tuple(
        (n + a + b - s * (o - 1) - 1) // d + 1
        for n, o, s, (a, b), d in zip(case.sizes, arrays["g"].shape[2:], *window[1:], strict=True)
    )
    right = conv_weights(arrays["g"], arrays["x"], window, case.groups)
    more = [(0, max(0, k - own)) for k, own in zip(kernel, case.kernel, strict=True)]
    filled = np.pad(right, ((0, 0), (0, 0), *more))
    return {"w": (conv_weights(arrays["g"], arrays["x"], (kernel, *window[1:]), case.groups), filled)}


def _scaled(part: str, divisor: Callable[[Any, Arrays], int]) -> Fault:
    def fault(case: Any, arrays: Arrays) -> Shown:
        window = window_of(case)
        found = conv_results(case, arrays, window, window, window)
        return {part: found[part] / divisor(case, arrays)} if part in found else {}

    return fault


def bias_over(*axes: int) -> Fault:
    """db summed over other axes."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        g = arrays["g"]
        found = g.sum(tuple(axis for axis in axes if axis < g.ndim))
        return {"b": (found, np.full(g.shape[1], found))} if found.ndim == 0 else {"b": found}

    return fault


def _of_images(images: slice) -> Fault:
    """dW and db of some images alone."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        g, x = arrays["g"][images], arrays["x"][images]
        return {"w": conv_weights(g, x, window_of(case), case.groups), "b": reference.summed(g)}

    return fault


def _without_bias(case: Any, arrays: Arrays) -> Shown:
    window = window_of(case)
    return {"y": conv(arrays["x"], arrays["w"], window, case.groups, arrays["g"].shape[2:])}


def _tail(block: int) -> Fault:
    """What is beyond the last whole block of channels, filters or columns is left out."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        window = window_of(case)
        shown: dict[str, list[Array]] = {}
        for name, axis in (("x", 1), ("x", -1), ("g", 1), ("g", -1)):
            whole = arrays[name].shape[axis] // block * block
            if whole == arrays[name].shape[axis]:
                continue
            cut = np.moveaxis(arrays[name].copy(), axis, 0)
            cut[whole:] = 0
            found = conv_results(case, {**arrays, name: np.moveaxis(cut, 0, axis)}, window, window, window)
            for part, value in found.items():
                shown.setdefault(part, []).append(value)
        results = conv_results(
            case, {name: each for name, each in arrays.items() if name != "b"}, window, window, window
        )
        bias = arrays["b"].reshape(-1, *(1 for _ in case.sizes)) if "b" in arrays else 0
        for part, axis in (("y", 1), ("y", -1), ("x", 1), ("x", -1), ("w", 0)):
            whole = results[part].shape[axis] // block * block
            cut = np.moveaxis(results[part].copy(), axis, 0)
            cut[whole:] = 0
            shown.setdefault(part, []).append(np.moveaxis(cut, 0, axis) + (bias if part == "y" else 0))
        return {part: tuple(values) for part, values in shown.items()}

    return fault


def _bias_twice(case: Any, arrays: Arrays) -> Shown:
    window = window_of(case)
    y = conv_results(case, arrays, window, window, window)["y"]
    return {"y": y + arrays["b"].reshape(-1, *(1 for _ in case.sizes))} if "b" in arrays else {}


def _edges(case: Any, arrays: Arrays) -> Shown:
    """Padding by the values at the edge, or wrapped around, or one value off, in place of zeros."""
    kernel, stride, padding, dilation = window_of(case)
    bare = kernel, stride, ((0, 0),) * len(case.sizes), dilation
    wide = [np.pad(arrays["x"], ((0, 0), (0, 0), *padding), mode) for mode in ("edge", "wrap")]
    bias = arrays["b"].reshape(-1, *(1 for _ in case.sizes)) if "b" in arrays else 0
    return {"y": tuple(conv(x, arrays["w"], bare, case.groups, arrays["g"].shape[2:]) + bias for x in wide)}


def _first_image(case: Any, arrays: Arrays) -> Shown:
    """The first image in place of all."""
    window = window_of(case)
    found = conv_results(case, arrays, window, window, window)
    return {part: np.repeat(found[part][:1], len(found[part]), 0) for part in ("y", "x")}


def _one_filter(case: Any, arrays: Arrays) -> Shown:
    window = window_of(case)
    found = conv_results(case, arrays, window, window, window)["w"]
    return {"w": np.repeat(found[:1], len(found), 0)}


def _of_y(change: Callable[[Array], Array]) -> Fault:
    """The sums changed, before the bias is added or after."""

    def fault(case: Any, arrays: Arrays) -> Shown:
        window = window_of(case)
        sums = conv(arrays["x"], arrays["w"], window, case.groups, arrays["g"].shape[2:])
        bias = arrays["b"].reshape(-1, *(1 for _ in case.sizes)) if "b" in arrays else 0
        return {"y": (change(sums) + bias, change(sums + bias))}

    return fault


def _one_bias(case: Any, arrays: Arrays) -> Shown:
    window = window_of(case)
    sums = conv(arrays["x"], arrays["w"], window, case.groups, arrays["g"].shape[2:])
    return {"y": sums + arrays["b"][0]} if "b" in arrays else {}


def _negated(case: Any, arrays: Arrays) -> Shown:
    window = window_of(case)
    return {part: -value for part, value in conv_results(case, arrays, window, window, window).items()}


def _cotangent_of_ones(case: Any, arrays: Arrays) -> Shown:
    window = window_of(case)
    found = conv_results(case, {**arrays, "g": np.ones_like(arrays["g"])}, window, window, window)
    return {part: (value, 2 * value) for part, value in found.items() if part != "y"}  # 1 is 2 where inputs are halved


def batch_of(case: Any, arrays: Arrays) -> int:
    """How many images, to divide by."""
    return max(1, int(case.batch))


def places_of(case: Any, arrays: Arrays) -> int:
    """How many outputs a plane has, to divide by."""
    return max(1, int(math.prod(arrays["g"].shape[2:])))


CONV: Mapping[str, Fault] = {
    "zeros": zeros_everywhere,
    "filters turned round": _with_filters(turned_round),
    "filters turned round along the first axis": _with_filters(_turned_along(0)),
    "filters turned round along the second axis": _with_filters(_turned_along(1)),
    "axes of the filters interchanged": _with_filters(_interchanged),
    "axes of dW interchanged": _interchanged_after,
    **{name: _over(change) for name, change in WINDOWS.items()},
    "overlap overwritten instead of added": overwritten_input,
    "remainder dropped": _cut_short,
    "taps that use the remainder": _too_many_taps,
    "groups mixed: channels interleaved": _with_channels(_interleaved),
    "groups mixed: filters interleaved": _filters_interleaved,
    "groups mixed: channels of the first group for all": _with_channels(_of_first_group),
    "channels in reverse order": _with_channels(lambda case: list(range(case.channels))[::-1]),
    "last row of the kernel lost": _with_filters(_without_last(0)),
    "last column of the kernel lost": _with_filters(_without_last(1)),
    "bias left out": _without_bias,
    "bias gradient averaged over the batch": _scaled("b", batch_of),
    "bias gradient averaged over positions": _scaled("b", places_of),
    "bias gradient averaged over batch and positions": _scaled("b", lambda c, a: batch_of(c, a) * places_of(c, a)),
    "bias gradient over the wrong axes: not over the batch": bias_over(2, 3, 4),
    "bias gradient over the wrong axes: the batch alone": bias_over(0),
    "bias gradient over the wrong axes: channels too": bias_over(0, 1, 2, 3, 4),
    "dW averaged over the batch": _scaled("w", batch_of),
    "dW averaged over positions": _scaled("w", places_of),
    "dX averaged over the batch": _scaled("x", batch_of),
    "first image alone": _of_images(slice(0, 1)),
    "last image alone": _of_images(slice(-1, None)),
    "first image in place of all": _first_image,
    "first filter in place of all": _one_filter,
    "bias added twice": _bias_twice,
    "first bias for all filters": _one_bias,
    "absolute values": _of_y(np.abs),
    "last output left out": _of_y(lambda y: y[..., :-1]),
    "negative sums cut off": _of_y(lambda y: np.maximum(y, 0)),
    "padding with values of the image": _edges,
    "block tail left out (8)": _tail(8),
    "block tail left out (16)": _tail(16),
    "block tail left out (4)": _tail(4),
    "cotangent taken as ones": _cotangent_of_ones,
    "sign": _negated,
}
