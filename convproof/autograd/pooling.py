"""Pooling. Windows are walked tap by tap; every VJP is again an operation of this file.

Max pooling remembers its switches: for every output the flat index, in the input plane, of the element that won. The
first maximum wins a tie, NaN wins over numbers (the first NaN, where PyTorch names the last), and padding never wins.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from convproof.autograd.arguments import Pairs, pairs, per_axis
from convproof.autograd.elementwise import absolute, divide, exact_or_floating, masked, power
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import DtypeError, ShapeError


@dataclass(frozen=True)
class Windows:
    """Where windows lie along each axis of a plane: window i reads `starts[i]` plus each of `taps`, short of `ends[i]`;
    positions outside 0..size-1 are padding. `padded`: where the padding begins and ends.
    """

    sizes: tuple[int, ...]
    starts: tuple[Array, ...]
    taps: tuple[range, ...]
    ends: tuple[Array, ...]
    padded: Pairs

    def __iter__(self) -> Iterator[list[Array]]:
        """For every tap, in the order of its index: its position in each window, one array per axis."""
        for offsets in product(*self.taps):
            yield [starts + t for starts, t in zip(self.starts, offsets, strict=True)]

    def inside(self, places: list[Array]) -> Array:
        """Which of the positions are read and lie in the plane."""
        return _outer(np.logical_and, [(p >= 0) & (p < end) for p, end in zip(places, self.ends, strict=True)])

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
        """How many taps of each window are read in the plane, or lie in the plane and its padding."""
        bounds = self.padded if include_pad else [(0, ends) for ends in self.ends]
        per_axis = [
            np.sum([(starts + t >= first) & (starts + t < end) for t in taps], axis=0)
            for starts, taps, (first, end) in zip(self.starts, self.taps, bounds, strict=True)
        ]
        return _outer(np.multiply, per_axis)


def _outer(op: np.ufunc, rows: list[Array]) -> Array:
    """One value per combination of positions, by `op` over the axes."""
    out = rows[0]
    for row in rows[1:]:
        out = op.outer(out, row)
    return out


def _check_planes(op: str, x: Tensor) -> None:
    if x.ndim < 3 or 0 in x.shape[1:]:
        raise ShapeError(f"{op}: shape {x.shape} must be (N, C, *spatial), with one spatial axis at least, none empty")


def _windows(
    op: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1, ceil_mode: bool = False
) -> Windows:
    """The windows that lie within the padded plane; with `ceil_mode` also those that stick out at the end, as long as
    the one before did not reach the end and they start within the plane or the padding before it."""
    _check_planes(op, x)
    rank = x.ndim - 2
    kernels = per_axis(op, "kernel_size", kernel_size, rank, 1)
    strides = kernels if stride is None else per_axis(op, "stride", stride, rank, 1)
    dilations = per_axis(op, "dilation", dilation, rank, 1)
    pads = pairs(op, padding, rank)
    starts, taps = [], []
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
        starts.append(np.asarray(places, dtype=np.int64))
        taps.append(range(0, reach + 1, d))
    ends = [np.full(len(each), n) for each, n in zip(starts, x.shape[2:], strict=True)]
    padded = tuple((-before, n + after) for n, (before, after) in zip(x.shape[2:], pads, strict=True))
    return Windows(x.shape[2:], tuple(starts), tuple(taps), tuple(ends), padded)


def _adaptive_windows(op: str, x: Tensor, output_size: Any) -> Windows:
    """`output_size` windows along each axis: of o over n positions, window i starts at i*n/o rounded down and ends
    before (i + 1)*n/o rounded up."""
    _check_planes(op, x)
    sizes = x.shape[2:]
    outputs = [np.arange(o) for o in per_axis(op, "output_size", output_size, len(sizes), 1)]
    starts = tuple(i * n // len(i) for i, n in zip(outputs, sizes, strict=True))
    ends = tuple(-(-(i + 1) * n // len(i)) for i, n in zip(outputs, sizes, strict=True))
    taps = tuple(range(int((end - start).max())) for start, end in zip(starts, ends, strict=True))
    return Windows(sizes, starts, taps, ends, tuple((0, n) for n in sizes))


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

    `stride` defaults to `kernel_size`; `padding`: an int, one per axis, or (before, after) per axis. `ceil_mode` adds a
    last window that sticks out at the end, unless it starts in the padding there. Raises `ShapeError` where a window
    lies wholly in padding or does not fit.

    >>> y, switches = max_pool([[[1, 5, 2, 2]]], 2, return_switches=True)
    >>> y.numpy().tolist(), switches.tolist()
    ([[[5, 2]]], [[[1, 2]]])
    """
    x = operand(x, "max_pool")
    windows = _windows("max_pool", x, kernel_size, stride, padding, dilation, ceil_mode)
    y, switches = _maxima("max_pool", x, windows)
    if (switches < 0).any():
        raise ShapeError(f"max_pool: with padding={padding!r} a window lies wholly in padding; pad or dilate less")
    return (y, switches) if return_switches else y


@operation
def adaptive_max_pool(x: Any, output_size: Any, return_switches: bool = False) -> Any:
    """The largest element of each of `output_size` windows (one number, or one per axis) that cover x (N, C, *spatial);
    with `return_switches` also where it stood.

    Window i of o over n positions runs from i*n/o, rounded down, to (i + 1)*n/o, rounded up, as in PyTorch; neighbours
    may overlap.

    >>> adaptive_max_pool([[[1, 2, 3, 0, 0]]], 2).numpy().tolist()
    [[[3, 3]]]
    """
    x = operand(x, "adaptive_max_pool")
    y, switches = _maxima("adaptive_max_pool", x, _adaptive_windows("adaptive_max_pool", x, output_size))
    return (y, switches) if return_switches else y


@operation
def global_max_pool(x: Any) -> Tensor:
    """The largest element of every plane: (N, C, *spatial) -> (N, C, 1, ...).

    >>> global_max_pool([[[1, 5, 2]]]).numpy().tolist()
    [[[5]]]
    """
    x = operand(x, "global_max_pool")
    y, _ = _maxima("global_max_pool", x, _adaptive_windows("global_max_pool", x, 1))
    return y


def _maxima(op: str, x: Tensor, windows: Windows) -> tuple[Tensor, Array]:
    """The largest element of every window, and its switch; -1 where nothing was read."""
    taps = iter(windows)
    places = next(taps)
    best = windows.take(x.value, places)
    switches: Array = np.broadcast_to(np.where(windows.inside(places), windows.flat(places), -1), best.shape)
    for places in taps:
        value, index = windows.take(x.value, places), windows.flat(places)
        larger = np.asarray(value > best, dtype=bool) | (
            np.asarray(value != value, dtype=bool) & np.asarray(best == best, dtype=bool)
        )
        better = windows.inside(places) & ((switches < 0) | larger)
        best, switches = np.where(better, value, best), np.where(better, index, switches)
    return record(op, best, (x,), (lambda g: _scatter(g, switches, x.shape),)), np.array(switches)


@operation
def max_unpool(y: Any, switches: Any, sizes: Sequence[int]) -> Tensor:
    """The elements of y (N, C, *windows) put back where `switches` says that they stood, zeros elsewhere: (N, C,
    *sizes).

    `switches`: whole numbers in the shape of y, as `max_pool` returns them. Where several windows name one place, the
    last one's element stands there, and the gradient is its alone (in PyTorch any one may win, and all get the
    gradient). Raises `ShapeError` for switches of another shape or beyond the plane, `DtypeError` for switches that are
    no integers. Source: M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks" (2014), 2.1.

    >>> max_unpool([[[5, 2]]], [[[1, 2]]], (4,)).numpy().tolist()
    [[[0, 5, 2, 0]]]
    """
    y = operand(y, "max_unpool")
    _check_planes("max_unpool", y)
    extents = per_axis("max_unpool", "sizes", sizes, y.ndim - 2, 1)
    places = np.asarray(switches.value if isinstance(switches, Tensor) else switches)
    if places.dtype.kind not in "iu":
        raise DtypeError(f"max_unpool: switches of dtype {places.dtype}; they must be integers")
    if places.shape != y.shape:
        raise ShapeError(f"max_unpool: switches of shape {places.shape} for elements of shape {y.shape}; one for each")
    wrong = places[(places < 0) | (places >= math.prod(extents))]
    if wrong.size:
        raise ShapeError(f"max_unpool: switch {wrong[0]} is outside 0..{math.prod(extents) - 1}, a plane of {extents}")
    places = places.astype(np.int64)
    return _scatter(masked(y, _last_to_name(places, math.prod(extents))), places, (*y.shape[:2], *extents))


def _last_to_name(switches: Array, size: int) -> Array:
    """Which windows are the last of their plane to name a place of its `size` places."""
    planes, windows = math.prod(switches.shape[:2]), math.prod(switches.shape[2:])
    places = switches.reshape(planes, windows)
    last = np.full((planes, size), -1)
    np.maximum.at(last, (np.arange(planes)[:, None], places), np.arange(windows))
    return np.asarray(np.take_along_axis(last, places, axis=1) == np.arange(windows)).reshape(switches.shape)


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
    x = exact_or_floating(x, "avg_pool")
    windows = _windows("avg_pool", x, kernel_size, stride, padding, 1, ceil_mode)
    count = windows.count(count_include_pad)
    if (count == 0).any():
        raise ShapeError(f"avg_pool: with padding={padding!r} a window lies wholly in padding; pad less")
    return divide(_window_sum(x, windows), count)


@operation
def adaptive_avg_pool(x: Any, output_size: Any) -> Tensor:
    """The mean of each of `output_size` windows (one number, or one per axis) that cover x (N, C, *spatial), those of
    `adaptive_max_pool`. Integers become float64; objects are divided exactly.

    >>> adaptive_avg_pool([[[1.0, 2.0, 3.0]]], 2).numpy().tolist()
    [[[1.5, 2.5]]]
    """
    return _adaptive_mean("adaptive_avg_pool", x, output_size)


@operation
def global_avg_pool(x: Any) -> Tensor:
    """The mean of every plane: (N, C, *spatial) -> (N, C, 1, ...). Integers become float64; objects are divided
    exactly.

    >>> global_avg_pool([[[1, 5, 3]]]).numpy().tolist()
    [[[3.0]]]
    """
    return _adaptive_mean("global_avg_pool", x, 1)


def _adaptive_mean(op: str, x: Any, output_size: Any) -> Tensor:
    planes = exact_or_floating(x, op)
    windows = _adaptive_windows(op, planes, output_size)
    return divide(_window_sum(planes, windows), windows.count(include_pad=False))


@operation
def lp_pool(x: Any, p: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """(sum of abs(x)**p)**(1/p) over every window of x (N, C, *spatial); p = 2 is the L2 norm. Its derivative at 0 is
    taken as 0.

    The sum is over what a window holds, also where `ceil_mode` lets it stick out (PyTorch scales that sum up to a whole
    window, and leaves out abs).

    >>> lp_pool([[[3.0, 4.0]]], 2, 2).numpy().tolist()
    [[[5.0]]]
    """
    if not isinstance(p, (int, float, np.number)) or not 0 < p < np.inf:
        raise ShapeError(f"lp_pool: p={p!r} must be positive and finite")
    x = exact_or_floating(x, "lp_pool")
    windows = _windows("lp_pool", x, kernel_size, stride, 0, 1, ceil_mode)
    sizes = x if p % 2 == 0 else absolute(x)
    total = _window_sum(power(sizes, p), windows)
    return total if p == 1 else power(total, 1 / p)


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
