"""Pooling, one axis after the other: the maximum over a window is that of its rows' maxima, and so is the sum.

Windows are walked tap by tap, and every VJP is again an operation of this file. Max pooling remembers its switches: for
every output which element won. Axes are pooled from the last to the first, so that the first maximum is that of the
first row; which one wins a tie, and what NaN does, is said by a `Dialect`. Padding never wins.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from typing import Any

import numpy as np

from convproof.autograd.arguments import pairs, per_axis
from convproof.autograd.dialects import STRICT, Dialect
from convproof.autograd.dtypes import plain_array
from convproof.autograd.elementwise import absolute, divide, exact_or_floating, kept, masked, raised
from convproof.autograd.shaping import reshape
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import DtypeError, ShapeError


@dataclass(frozen=True)
class Windows:
    """Windows along an axis of `size` positions: window i reads `starts[i]` plus each of `taps`, short of `ends[i]`;
    positions outside 0..size-1 are padding, which reaches from `padded[0]` up to before `padded[1]`.
    """

    axis: int
    size: int
    starts: Array
    taps: range
    ends: Array
    padded: tuple[int, int]

    def reads(self) -> Iterator[tuple[int, Any, Any]]:
        """For every tap its number, the windows that read the plane there, and the positions that they read, as
        indices of arrays along this axis.
        """
        for number, t in enumerate(self.taps):
            places = self.starts + t
            inside = np.flatnonzero((places >= 0) & (places < self.ends))
            yield number, self.index(inside), self.index(places[inside])

    def index(self, positions: Array) -> Any:
        """Positions as an index of arrays along this axis: a slice, where they are evenly spaced."""
        steps = np.unique(np.diff(positions))
        even = positions.size and steps.size < 2 and (steps > 0).all()
        step = int(steps[0]) if steps.size else 1
        along = slice(int(positions[0]), int(positions[-1]) + 1, step) if even else positions
        return (*(slice(None) for _ in range(self.axis)), along)

    def add(self, planes: Array, index: Any, part: Array) -> None:
        """Adds in place, where windows of their own spacing may read one position twice."""
        if isinstance(index[self.axis], slice):
            planes[index] += part
        else:
            np.add.at(planes, index, part)

    def firsts(self) -> Array:
        """The first position that each window reads in the plane; -1 where there is none."""
        found = np.full(len(self.starts), -1)
        for t in reversed(self.taps):
            places = self.starts + t
            inside = (places >= 0) & (places < self.ends)
            found[inside] = places[inside]
        return found

    def count(self, include_pad: bool) -> Array:
        """How many taps of each window are read in the plane, or lie in the plane and its padding."""
        first, end = self.padded if include_pad else (0, self.ends)
        within = [(self.starts + t >= first) & (self.starts + t < end) for t in self.taps]
        return np.asarray(np.sum(within, axis=0))

    def empty(self, like: Array, length: int) -> Array:
        """Zeros of the shape and dtype of an array, but `length` along this axis."""
        return np.zeros((*like.shape[: self.axis], length, *like.shape[self.axis + 1 :]), like.dtype)


def _check_planes(op: str, x: Tensor) -> None:
    if x.ndim < 3 or 0 in x.shape[1:]:
        raise ShapeError(f"{op}: shape {x.shape} must be (N, C, *spatial), with one spatial axis at least, none empty")


def _is_one_image(x: Tensor, per_axis_of: Any) -> bool:
    """Whether x is (C, *spatial), which can be told where there is one number per spatial axis."""
    return isinstance(per_axis_of, (tuple, list)) and x.ndim == len(per_axis_of) + 1


def _batch(x: Tensor) -> Tensor:
    """(C, *spatial) -> (1, C, *spatial)"""
    return reshape(x, (1, *x.shape))


def _without_batch(found: Any) -> Any:
    """(1, C, ...) -> (C, ...), of values and switches."""
    if isinstance(found, tuple):
        return _without_batch(found[0]), found[1][0]
    return reshape(found, found.shape[1:])


def _windows(
    op: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1, ceil_mode: bool = False
) -> list[Windows]:
    """For every spatial axis the windows that lie within the padded plane; with `ceil_mode` also those that stick out
    at the end, as long as the one before did not reach the end and they start in the plane or the padding before it.
    """
    _check_planes(op, x)
    rank = x.ndim - 2
    kernels = per_axis(op, "kernel_size", kernel_size, rank, 1)
    strides = kernels if stride is None else per_axis(op, "stride", stride, rank, 1)
    dilations = per_axis(op, "dilation", dilation, rank, 1)
    pads = pairs(op, padding, rank)
    found = []
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
        starts = np.asarray(places, dtype=np.int64)
        taps = range(0, reach + 1, d)
        found.append(Windows(2 + axis, n, starts, taps, np.full(len(starts), n), (-before, n + after)))
    return found


def _adaptive_windows(op: str, x: Tensor, output_size: Any) -> list[Windows]:
    """For every spatial axis `output_size` windows: of o over n positions, window i starts at i*n/o rounded down and
    ends before (i + 1)*n/o rounded up.
    """
    _check_planes(op, x)
    found = []
    for axis, (n, o) in enumerate(
        zip(x.shape[2:], per_axis(op, "output_size", output_size, x.ndim - 2, 1), strict=True), start=2
    ):
        i = np.arange(o)
        starts, ends = i * n // o, -(-(i + 1) * n // o)
        found.append(Windows(axis, n, starts, range(int((ends - starts).max())), ends, (0, n)))
    return found


# --- the largest element ----------------------------------------------------------------------------------------------


@operation("x")
def max_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_switches: bool = False,
    dialect: Dialect = STRICT,
) -> Any:
    """The largest element of every window of x (N, C, *spatial); with `return_switches` also where it stood, as a flat
    index in its plane. One image (C, *spatial) is taken where `kernel_size` has one number per axis.

    `stride` defaults to `kernel_size`; `padding`: an int, one per axis, or (before, after) per axis. `ceil_mode` adds a
    last window that sticks out at the end, unless it starts in the padding there. By default the first maximum and the
    first NaN of a window have its switch, and gradient; `dialect` may say otherwise. Raises `ShapeError` where a window
    does not fit or, unless the dialect knows better, lies wholly in padding.

    >>> y, switches = max_pool([[[1, 5, 2, 2]]], 2, return_switches=True)
    >>> y.numpy().tolist(), switches.tolist()
    ([[[5, 2]]], [[[1, 2]]])
    """
    x = operand(x, "max_pool")
    if _is_one_image(x, kernel_size):
        return _without_batch(
            max_pool(_batch(x), kernel_size, stride, padding, dilation, ceil_mode, return_switches, dialect)
        )
    windows = _windows("max_pool", x, kernel_size, stride, padding, dilation, ceil_mode)
    if dialect.empty == "refused" and any((each.firsts() < 0).any() for each in windows):
        raise ShapeError(f"max_pool: with padding={padding!r} a window lies wholly in padding; pad or dilate less")
    return _maxima("max_pool", x, windows, return_switches, dialect)


@operation("x")
def adaptive_max_pool(x: Any, output_size: Any, return_switches: bool = False) -> Any:
    """The largest element of each of `output_size` windows (one number, or one per axis) that cover x (N, C, *spatial);
    with `return_switches` also where it stood.

    Window i of o over n positions runs from i*n/o, rounded down, to (i + 1)*n/o, rounded up, as in PyTorch; neighbours
    may overlap. One image (C, *spatial) is taken where `output_size` has one number per axis. Raises `ShapeError` for
    another number of sizes, and sizes below 1.

    >>> adaptive_max_pool([[[1, 2, 3, 0, 0]]], 2).numpy().tolist()
    [[[3, 3]]]
    """
    x = operand(x, "adaptive_max_pool")
    if _is_one_image(x, output_size):
        return _without_batch(adaptive_max_pool(_batch(x), output_size, return_switches))
    windows = _adaptive_windows("adaptive_max_pool", x, output_size)
    return _maxima("adaptive_max_pool", x, windows, return_switches)


@operation("x")
def global_max_pool(x: Any) -> Tensor:
    """The largest element of every plane: (N, C, *spatial) -> (N, C, 1, ...).

    >>> global_max_pool([[[1, 5, 2]]]).numpy().tolist()
    [[[5]]]
    """
    x = operand(x, "global_max_pool")
    found: Tensor = _maxima("global_max_pool", x, _adaptive_windows("global_max_pool", x, 1), False)
    return found


def _maxima(op: str, x: Tensor, axes: Sequence[Windows], return_switches: bool, dialect: Dialect = STRICT) -> Any:
    """The largest element of every window, and where it stood, as a flat index in the plane of x; -1 for nowhere."""
    y, where = x, list[Array]()
    for windows in reversed(axes):
        before, y = y, _max_along(op, y, windows, dialect)
        if return_switches:
            taps = _winners(before.value, y.value, windows, dialect).astype(np.int64) * windows.taps.step
            places = taps + windows.starts.reshape(-1, *(1 for _ in x.shape[windows.axis + 1 :]))
            reached = np.clip(places, 0, windows.size - 1)
            where = [places, *(np.take_along_axis(later, reached, windows.axis) for later in where)]
    if not return_switches:
        return y
    flat, nowhere = np.zeros(y.shape, np.int64), np.zeros(y.shape, bool)
    for windows, places in zip(axes, where, strict=True):
        flat = flat * windows.size + places
        nowhere |= (windows.firsts() < 0).reshape(-1, *(1 for _ in x.shape[windows.axis + 1 :]))
    return y, np.where(nowhere, -1, flat)


def _max_along(op: str, x: Tensor, windows: Windows, dialect: Dialect) -> Tensor:
    """The largest element of every window along one axis."""
    firsts = windows.firsts()
    best = x.value[windows.index(np.maximum(firsts, 0))].copy()
    for _, here, there in windows.reads():
        best[here] = _larger(best[here], x.value[there], dialect)
    if (firsts < 0).any():
        best[windows.index(np.flatnonzero(firsts < 0))] = _lowest(best.dtype)
    return record(op, best, (x,), (lambda g: _routed(g, _winners(x.value, best, windows, dialect), windows),))


def _lowest(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _larger(a: Array, b: Array, dialect: Dialect) -> Array:
    """The larger of each two elements, the first where they are equal."""
    loses = dialect.nan == "loses"
    if a.dtype.kind != "O":
        return np.fmax(a, b) if loses else np.maximum(a, b)
    taken = _is_nan(a) & ~_is_nan(b) if loses else _is_nan(b) & ~_is_nan(a)
    return np.where(np.asarray(b > a, dtype=bool) | taken, b, a)


def _is_nan(x: Array) -> Array:
    return np.asarray(x != x, dtype=bool)


def _winners(x: Array, best: Array, windows: Windows, dialect: Dialect) -> Array:
    """The number of the tap at which each window of x holds its largest element; a window of nothing has no tap's."""
    reads = list(windows.reads())
    backwards = {"first": False, "last": True, "loses": dialect.ties == "last"}
    numbers = _first_hits(x, best, reads, backwards[dialect.ties])
    if backwards[dialect.nan] == backwards[dialect.ties] or x.dtype.kind in "iu":
        return numbers
    return np.where(_is_nan(best), _first_hits(x, best, reads, backwards[dialect.nan]), numbers)


def _first_hits(x: Array, best: Array, reads: Sequence[tuple[int, Any, Any]], backwards: bool) -> Array:
    """The number of the first read, or going backwards the last, that found the best; of no read where none did."""
    searching = np.ones(best.shape, bool)
    passed = np.zeros(best.shape, np.min_scalar_type(len(reads)))
    for _, here, there in reversed(reads) if backwards else reads:
        found = np.asarray(x[there] == best[here], dtype=bool)
        if x.dtype.kind in "fO":
            found |= _is_nan(x[there]) & _is_nan(best[here])
        searching[here] &= ~found
        passed += searching
    return passed.dtype.type(len(reads) - 1) - passed if backwards else passed


def _routed(g: Tensor, winners: Array, windows: Windows) -> Tensor:
    """Every window's value added to the place of its winner, in a plane of zeros."""
    value = windows.empty(g.value, windows.size)
    for number, here, there in windows.reads():
        windows.add(value, there, kept(g.value[here], winners[here] == number))
    return record("routed", value, (g,), (lambda h: _picked(h, winners, windows),))


def _picked(h: Tensor, winners: Array, windows: Windows) -> Tensor:
    """The adjoint: for every window the value at the place of its winner."""
    value = windows.empty(h.value, len(windows.starts))
    for number, here, there in windows.reads():
        value[here] += kept(h.value[there], winners[here] == number)
    return record("picked", value, (h,), (lambda g: _routed(g, winners, windows),))


@operation("y")
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
    places = switches.value if isinstance(switches, Tensor) else plain_array(switches, "max_unpool")
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


@operation("x")
def avg_pool(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    dilation: Any = 1,
) -> Tensor:
    """The mean of every window of x (N, C, *spatial).

    Arguments, and one image, as in `max_pool`. The divisor counts the taps in the plane, and with `count_include_pad`
    those in its padding too (never those that `ceil_mode` lets stick out beyond). Integers become float64; objects are
    divided exactly. Raises `ShapeError` where a window does not fit, and for one of which nothing counts.

    >>> avg_pool([[[1.0, 3.0, 5.0, 7.0]]], 2).numpy().tolist()
    [[[2.0, 6.0]]]
    """
    x = exact_or_floating(x, "avg_pool")
    if _is_one_image(x, kernel_size):
        found: Tensor = _without_batch(
            avg_pool(_batch(x), kernel_size, stride, padding, ceil_mode, count_include_pad, dilation)
        )
        return found
    windows = _windows("avg_pool", x, kernel_size, stride, padding, dilation, ceil_mode)
    count = _count(windows, count_include_pad)
    if (count == 0).any():
        raise ShapeError(f"avg_pool: with padding={padding!r} a window lies wholly in padding; pad less")
    return divide(_window_sum(x, windows), count)


@operation("x")
def adaptive_avg_pool(x: Any, output_size: Any) -> Tensor:
    """The mean of each of `output_size` windows (one number, or one per axis) that cover x (N, C, *spatial), those of
    `adaptive_max_pool`, which says what is raised. Integers become float64; objects are divided exactly.

    >>> adaptive_avg_pool([[[1.0, 2.0, 3.0]]], 2).numpy().tolist()
    [[[1.5, 2.5]]]
    """
    return _adaptive_mean("adaptive_avg_pool", x, output_size)


@operation("x")
def global_avg_pool(x: Any) -> Tensor:
    """The mean of every plane: (N, C, *spatial) -> (N, C, 1, ...). Integers become float64; objects are divided
    exactly.

    >>> global_avg_pool([[[1, 5, 3]]]).numpy().tolist()
    [[[3.0]]]
    """
    return _adaptive_mean("global_avg_pool", x, 1)


def _adaptive_mean(op: str, x: Any, output_size: Any) -> Tensor:
    planes = exact_or_floating(x, op)
    if _is_one_image(planes, output_size):
        found: Tensor = _without_batch(_adaptive_mean(op, _batch(planes), output_size))
        return found
    windows = _adaptive_windows(op, planes, output_size)
    return divide(_window_sum(planes, windows), _count(windows, include_pad=False))


@operation("x")
def lp_pool(
    x: Any, p: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False, dilation: Any = 1
) -> Tensor:
    """(sum of abs(x)**p)**(1/p) over every window of x (N, C, *spatial); p = 2 is the L2 norm. Its derivative at 0 is
    taken as 0.

    The sum is over what a window holds, also where `ceil_mode` lets it stick out (PyTorch scales that sum up to a whole
    window, and leaves out abs). Integers become float64; fractions stay exact: raises `DtypeError` where such a root is
    no fraction. Raises `ShapeError` for a p that is not positive and finite, and where a window does not fit.

    >>> lp_pool([[[3.0, 4.0]]], 2, 2).numpy().tolist()
    [[[5.0]]]
    """
    if isinstance(p, bool) or not isinstance(p, numbers.Real) or not 0 < p < np.inf:
        raise ShapeError(f"lp_pool: p={p!r} must be positive and finite")
    x = exact_or_floating(x, "lp_pool")
    if _is_one_image(x, kernel_size):
        found: Tensor = _without_batch(lp_pool(_batch(x), p, kernel_size, stride, ceil_mode, dilation))
        return found
    windows = _windows("lp_pool", x, kernel_size, stride, 0, dilation, ceil_mode)
    sizes = x if p % 2 == 0 else absolute(x)
    exponent = Fraction(p) if isinstance(p, numbers.Rational) else Fraction(float(p))
    powers = raised("lp_pool", sizes, exponent.numerator if exponent.denominator == 1 else exponent)
    total = _window_sum(powers, windows)
    return total if p == 1 else raised("lp_pool", total, 1 / exponent)


def _count(axes: Sequence[Windows], include_pad: bool) -> Array:
    """How many taps of each window are read in the plane, or lie in the plane and its padding: (*windows)."""
    return reduce(np.multiply.outer, (windows.count(include_pad) for windows in axes))


def _window_sum(x: Tensor, axes: Sequence[Windows]) -> Tensor:
    """The sum over every window: (N, C, *sizes) -> (N, C, *windows)."""
    return reduce(_sum_along, reversed(axes), x)


def _sum_along(x: Tensor, windows: Windows) -> Tensor:
    value = windows.empty(x.value, len(windows.starts))
    for _, here, there in windows.reads():
        value[here] += x.value[there]
    return record("window_sum", value, (x,), (lambda g: _spread_along(g, windows),))


def _spread_along(g: Tensor, windows: Windows) -> Tensor:
    """The adjoint: every window's value added to all its places along the axis."""
    value = windows.empty(g.value, windows.size)
    for _, here, there in windows.reads():
        windows.add(value, there, g.value[here])
    return record("window_spread", value, (g,), (lambda h: _sum_along(h, windows),))
