"""What kernels have to compute: loops over the taps of a window, on whole numbers.

Every operation here is a sum over taps t and outputs o of what stands at i = stride*o + dilation*t - padding; where i
lies outside the image nothing is added. No code is shared with the autograd.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np

from convproof.testing.cases import Pairs
from convproof.testing.numbers import Array

Window = tuple[tuple[int, ...], tuple[int, ...], Pairs, tuple[int, ...]]
"""Kernel, stride, padding and dilation of each axis."""


def outputs(sizes: Sequence[int], window: Window) -> tuple[int, ...]:
    """How many windows start where they still fit, axis by axis."""
    axes = zip(sizes, *window, strict=True)
    return tuple(len(range(-before, n + after - d * (k - 1), s)) for n, k, s, (before, after), d in axes)


def taps(sizes: Sequence[int], window: Window, count: Sequence[int]) -> Iterator[tuple[Any, Any, Any]]:
    """(tap, outputs, inputs) of every tap: the slices of the outputs that read the image with it, and of what they
    read.
    """
    lines = [list(_line(*each)) for each in zip(sizes, *window, count, strict=True)]
    for parts in product(*lines):
        yield tuple(zip(*parts, strict=True))


def _line(n: int, k: int, s: int, pads: tuple[int, int], d: int, count: int) -> Iterator[tuple[int, slice, slice]]:
    for t in range(k):
        begin = d * t - pads[0]
        first, last = max(0, -(begin // s)), min(count - 1, (n - 1 - begin) // s)
        if first <= last:
            yield t, slice(first, last + 1), slice(s * first + begin, s * last + begin + 1, s)


def conv(x: Array, w: Array, window: Window, groups: int, count: Sequence[int]) -> Array:
    """x (N, C, *sizes) with w (K, C/G, *kernel): (N, K, *count)."""
    y = np.zeros((x.shape[0], w.shape[0], *count), np.int64)
    xs, ws, ys = _split(x, 1, groups), _split(w, 0, groups), _split(y, 1, groups)
    for t, o, i in taps(x.shape[2:], window, count):
        ys[:, :, :, *o] += _product(ws[:, :, :, *t], xs[:, :, :, *i])
    return y


def conv_input(g: Array, w: Array, window: Window, groups: int, sizes: Sequence[int]) -> Array:
    """g (N, K, *outputs) with w (K, C/G, *kernel): what each of x (N, C, *sizes) is multiplied by, summed."""
    x = np.zeros((g.shape[0], groups * w.shape[1], *sizes), np.int64)
    xs, ws, gs = _split(x, 1, groups), _split(w, 0, groups), _split(g, 1, groups)
    for t, o, i in taps(sizes, window, g.shape[2:]):
        xs[:, :, :, *i] += _product(ws[:, :, :, *t].swapaxes(1, 2), gs[:, :, :, *o])
    return x


def conv_weights(g: Array, x: Array, window: Window, groups: int) -> Array:
    """g (N, K, *outputs) with x (N, C, *sizes): what each of w (K, C/G, *kernel) is multiplied by, summed."""
    w = np.zeros((g.shape[1], x.shape[1] // groups, *window[0]), np.int64)
    xs, ws, gs = _split(x, 1, groups), _split(w, 0, groups), _split(g, 1, groups)
    for t, o, i in taps(x.shape[2:], window, g.shape[2:]):
        each = _flat(gs[:, :, :, *o]) @ _flat(xs[:, :, :, *i]).swapaxes(2, 3)
        ws[:, :, :, *t] += each.sum(0)
    return w


def summed(g: Array) -> Array:
    """g (N, K, *outputs) summed over all but K: the gradient of a bias."""
    found: Array = g.sum((0, *range(2, g.ndim)))
    return found


def _split(array: Array, axis: int, groups: int) -> Array:
    """A view in which an axis is (groups, channels of a group)."""
    return array.reshape(*array.shape[:axis], groups, array.shape[axis] // groups, *array.shape[axis + 1 :])


def _product(matrices: Array, images: Array) -> Array:
    """(G, K, C) times (N, G, C, *sizes): (N, G, K, *sizes)."""
    found: Array = (matrices @ _flat(images)).reshape(*images.shape[:2], matrices.shape[1], *images.shape[3:])
    return found


def _flat(array: Array) -> Array:
    """The axes of a plane as one."""
    return array.reshape(*array.shape[:3], math.prod(array.shape[3:]))


# --- pooling ----------------------------------------------------------------------------------------------------------


def pool_outputs(sizes: Sequence[int], window: Window, ceil_mode: bool) -> tuple[int, ...]:
    """How many windows fit; with `ceil_mode` one more where something is left, if it starts before the end padding."""
    found = outputs(sizes, window)
    if not ceil_mode:
        return found
    return tuple(
        count + (s * count - before < n and s * (count - 1) + d * (k - 1) - before < n + after - 1)
        for count, n, k, s, (before, after), d in zip(found, sizes, *window, strict=True)
    )


def patches(x: Array, window: Window, count: Sequence[int], outside: Any) -> Array:
    """x (N, C, *sizes): (N, C, taps, *count), with `outside` where a tap lies beyond the image."""
    kernel = window[0]
    found = np.full((*x.shape[:2], math.prod(kernel), *count), outside, x.dtype)
    for t, o, i in taps(x.shape[2:], window, count):
        found[:, :, np.ravel_multi_index(t, kernel), *o] = x[:, :, *i]
    return found


def gathered(columns: Array, window: Window, sizes: Sequence[int]) -> Array:
    """(N, C, taps, *outputs) added up where `patches` reads: (N, C, *sizes)."""
    kernel, count = window[0], columns.shape[3:]
    x = np.zeros((*columns.shape[:2], *sizes), columns.dtype)
    for t, o, i in taps(sizes, window, count):
        x[:, :, *i] += columns[:, :, np.ravel_multi_index(t, kernel), *o]
    return x


def divisors(sizes: Sequence[int], window: Window, count: Sequence[int], include_pad: bool) -> Array:
    """How many values each window averages: those in the image, and with `include_pad` those in its padding, but not
    what ceil mode lets stick out.
    """
    kernel, stride, padding, dilation = window
    whole = [n + before + after for n, (before, after) in zip(sizes, padding, strict=True)]
    no_pads = ((0, 0),) * len(sizes)
    counted = np.ones((1, 1, *(whole if include_pad else sizes)), np.int64)
    frame = (kernel, stride, no_pads if include_pad else padding, dilation)
    found: Array = patches(counted, frame, count, 0).sum(2)[0, 0]
    return found
