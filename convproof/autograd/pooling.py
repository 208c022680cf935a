"""Pooling. Windows are walked tap by tap; every VJP is again an operation of this file.

Max pooling remembers its switches: for every output the flat index, in the input plane, of the element that won. The
first maximum wins a tie, NaN wins over numbers, and padding never wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from convproof.autograd.arguments import pairs, per_axis
from convproof.autograd.elementwise import absolute, divide, floating, power
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import ShapeError


@dataclass(frozen=True)
class Windows:
    """Where windows start along each axis of a plane, and where their taps lie; positions outside 0..size-1 are
    padding.
    """

    sizes: tuple[int, ...]
    starts: tuple[range, ...]
    taps: tuple[range, ...]
    padded_ends: tuple[int, ...]

    def __iter__(self) -> Iterator[list[Array]]:
        """For every tap, in the order of its index: its position in each window, one array per axis."""
        for offsets in product(*self.taps):
            yield [np.asarray(each, dtype=np.int64) + t for each, t in zip(self.starts, offsets, strict=True)]

    def inside(self, places: list[Array]) -> Array:
        """Which of the positions lie in the plane."""
        return _outer(np.logical_and, [(p >= 0) & (p < n) for p, n in zip(places, self.sizes, strict=True)])

    def take(self, x: Array, places: list[Array]) -> Array:
        """x (N, C, *sizes) at the positions, with those outside moved to the edge: (N, C, *windows)."""
        clipped = [np.clip(p, 0, n - 1) for p, n in zip(places, self.sizes, strict=True)]
        index: Any = (slice(None), slice(None), *np.ix_(*clipped))
        found: Array = x[index]
        return found

    def flat(self, places: list[Array]) -> Array:
        """The flat index in the plane."""
        steps = [int(np.prod(self.sizes[i + 1 :])) for i in range(len(self.sizes))]
        return _outer(np.add, [p * step for p, step in zip(places, steps, strict=True)])

    def count(self, include_pad: bool) -> Array:
        """How many taps of each window lie in the plane, or in the plane and its padding."""
        ends = self.padded_ends if include_pad else self.sizes
        first = [min(each) if include_pad else 0 for each in self.starts]
        per_axis = [
            np.sum([(np.asarray(starts) + t >= a) & (np.asarray(starts) + t < end) for t in taps], axis=0)
            for starts, taps, a, end in zip(self.starts, self.taps, first, ends, strict=True)
        ]
        return _outer(np.multiply, per_axis)


def _outer(op: np.ufunc, rows: list[Array]) -> Array:
    """One value per combination of positions, by `op` over the axes."""
    out = rows[0]
    for row in rows[1:]:
        out = op.outer(out, row)
    return out


def _windows(
    op: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1, ceil_mode: bool = False
) -> Windows:
    """The windows that lie within the padded plane; with `ceil_mode` also those that stick out at the end, as long as
    the one before did not reach the end and they start within the plane or the padding before it."""
    if x.ndim < 3 or 0 in x.shape[1:]:
        raise ShapeError(f"{op}: shape {x.shape} must be (N, C, *spatial), with one spatial axis at least, none empty")
    rank = x.ndim - 2
    kernels = per_axis(op, "kernel_size", kernel_size, rank, 1)
    strides = kernels if stride is None else per_axis(op, "stride", stride, rank, 1)
    dilations = per_axis(op, "dilation", dilation, rank, 1)
    pads = pairs(op, padding, rank)
    starts, taps, ends = [], [], []
    for axis, (n, k, s, d, (before, after)) in enumerate(
        zip(x.shape[2:], kernels, strides, dilations, pads, strict=True)
    ):
        if min(before, after) < 0:
            raise ShapeError(f"{op}: padding={padding!r} must not be negative")
        reach = d * (k - 1)
        stop = min(n + after - reach + s - 1, n) if ceil_mode else n + after - reach
        places = range(-before, stop, s)
        if not places:
            raise ShapeError(
                f"{op}: on spatial axis {axis} a window spans {reach + 1} positions but the padded input has only "
                f"{n + before + after}; pad more or use a smaller kernel"
            )
        starts.append(places)
        taps.append(range(0, reach + 1, d))
        ends.append(n + after)
    return Windows(x.shape[2:], tuple(starts), tuple(taps), tuple(ends))


@operation
def max_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_switches: bool = False,
) -> Any:
    """The largest element of every window of x (N, C, *spatial); with `return_switches` also where it stood.

    `stride` defaults to `kernel_size`. Raises `ShapeError` where a window lies wholly in padding or does not fit.

    >>> y, switches = max_pool([[[1, 5, 2, 2]]], 2, return_switches=True)
    >>> y.numpy().tolist(), switches.tolist()
    ([[[5, 2]]], [[[1, 2]]])
    """
    x = operand(x, "max_pool")
    windows = _windows("max_pool", x, kernel_size, stride, padding, dilation, ceil_mode)
    best: Array | None = None
    for places in windows:
        value, index, inside = windows.take(x.value, places), windows.flat(places), windows.inside(places)
        if best is None:
            best, switches = value, np.broadcast_to(np.where(inside, index, -1), value.shape)
            continue
        larger = np.asarray(value > best, dtype=bool) | (
            np.asarray(value != value, dtype=bool) & np.asarray(best == best, dtype=bool)
        )
        better = inside & ((switches < 0) | larger)
        best, switches = np.where(better, value, best), np.where(better, index, switches)
    if best is None or (switches < 0).any():
        raise ShapeError(f"max_pool: with padding={padding!r} a window lies wholly in padding; pad or dilate less")
    y = record("max_pool", best, (x,), (lambda g: _scatter(g, switches, x.shape),))
    return (y, np.array(switches)) if return_switches else y


def _scatter(g: Tensor, switches: Array, shape: tuple[int, ...]) -> Tensor:
    """Adds every element of g (N, C, *windows) to the place in a plane that its switch names."""
    planes, windows = math.prod(shape[:2]), math.prod(switches.shape[2:])
    value: Array = np.zeros((planes, math.prod(shape[2:])), g.dtype)
    index: Any = (np.arange(planes)[:, None], switches.reshape(planes, windows))
    np.add.at(value, index, g.value.reshape(planes, windows))
    return record("scatter", value.reshape(shape), (g,), (lambda h: _gather(h, switches),))


def _gather(h: Tensor, switches: Array) -> Tensor:
    """The elements of h (N, C, *spatial) that the switches name."""
    flat = h.value.reshape(*h.shape[:2], math.prod(h.shape[2:]))
    places = switches.reshape(*h.shape[:2], math.prod(switches.shape[2:]))
    value = np.take_along_axis(flat, places, axis=2).reshape(switches.shape)
    return record("gather", value, (h,), (lambda g: _scatter(g, switches, h.shape),))


@operation
def avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of every window of x (N, C, *spatial).

    The divisor counts the taps in the plane, and with `count_include_pad` those in its padding too (never those that
    `ceil_mode` lets stick out beyond). Integers become float64; objects are divided exactly.

    >>> avg_pool([[[1.0, 3.0, 5.0, 7.0]]], 2).numpy().tolist()
    [[[2.0, 6.0]]]
    """
    x = _exact_or_floating(x, "avg_pool")
    windows = _windows("avg_pool", x, kernel_size, stride, padding, 1, ceil_mode)
    count = windows.count(count_include_pad)
    if (count == 0).any():
        raise ShapeError(f"avg_pool: with padding={padding!r} a window lies wholly in padding; pad or dilate less")
    return divide(_window_sum(x, windows), count)


@operation
def lp_pool(x: Any, p: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(sum of abs(x)**p)**(1/p) over every window of x (N, C, *spatial); p = 2 is the L2 norm. Its derivative at 0 is
    taken as 0.

    >>> lp_pool([[[3.0, 4.0]]], 2, 2).numpy().tolist()
    [[[5.0]]]
    """
    if not isinstance(p, (int, float, np.number)) or not 0 < p < np.inf:
        raise ShapeError(f"lp_pool: p={p!r} must be positive and finite")
    x = _exact_or_floating(x, "lp_pool")
    windows = _windows("lp_pool", x, kernel_size, stride, 0, 1, ceil_mode)
    sizes = x if p % 2 == 0 else absolute(x)
    total = _window_sum(power(sizes, p), windows)
    return total if p == 1 else power(total, 1 / p)


def _exact_or_floating(x: Any, op: str) -> Tensor:
    """x, with integers as float64, in which sums of small integers do not wrap round."""
    x = operand(x, op)
    return x if x.dtype.kind == "O" else floating(x, op)


def _window_sum(x: Tensor, windows: Windows) -> Tensor:
    """The sum over every window: (N, C, *sizes) -> (N, C, *windows)."""
    zero: Array = np.zeros((), x.dtype)
    parts = (np.where(windows.inside(places), windows.take(x.value, places), zero) for places in windows)
    value = next(parts)
    for part in parts:
        value = value + part
    return record("window_sum", value, (x,), (lambda g: _window_spread(g, windows),))


def _window_spread(g: Tensor, windows: Windows) -> Tensor:
    """The adjoint: every window's value added to all its places in the plane."""
    planes = int(np.prod(g.shape[:2]))
    value = np.zeros((planes, int(np.prod(windows.sizes))), g.dtype)
    for places in windows:
        inside = windows.inside(places)
        index: Any = (slice(None), windows.flat(places)[inside])
        np.add.at(value, index, g.value.reshape(planes, *inside.shape)[:, inside])
    shape = (*g.shape[:2], *windows.sizes)
    return record("window_spread", value.reshape(shape), (g,), (lambda h: _window_sum(h, windows),))
