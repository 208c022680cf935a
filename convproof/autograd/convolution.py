"""Convolution as one trilinear form.

Along each axis every operation here is a contraction of

    T(g, w, x) = sum over n, k, c, o, t of  g[n, k, o] * w[k, c, t] * x[n, c, stride*o + dilation*t - padding],

where x is 0 outside its extent. `conv` leaves out g, `conv_input_gradient` x and `conv_weight_gradient` w, so each
one's VJPs are the other two. They all come down to one sliding product, `_slide`:

- the gradient to x slides the spatially flipped, channel-transposed filters over the cotangent stuffed with stride-1
  zeros;
- the gradient to w slides the cotangent, dilated by the stride, over the input with steps of `dilation`; nothing is
  flipped there.

No output size is computed here: the extents of `conv` are those of NumPy's windows, the others are given or read off.
Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016), section 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from convproof.autograd import shaping
from convproof.autograd.arguments import Pairs, one, pairs, per_axis
from convproof.autograd.elementwise import add
from convproof.autograd.shaping import padded
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import ShapeError


@dataclass(frozen=True)
class Geometry:
    """stride, padding and dilation per spatial axis, the number of groups, and the algorithm."""

    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    groups: int
    algorithm: str


@operation
def conv(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """Cross-correlation of x (N, C, *spatial) with filters w (K, C/groups, *kernel), plus b (K,): (N, K, *output).

    `stride`, `dilation`: an int or one per axis; `padding`: an int, one per axis, or (before, after) per axis, negative
    to crop. `algorithm`: "direct" (plain loops), "im2col", or "auto". Raises `ShapeError` where the shapes do not go
    together.

    >>> conv([[[1, 2, 3, 4]]], [[[1, 0, -1]]], padding=1).numpy().tolist()
    [[[-2, -2, -2, 3]]]
    """
    x, w = operand(x, "conv"), operand(w, "conv")
    geometry = _geometry("conv", x, w, stride, padding, dilation, groups, algorithm)
    _check_channels("conv", x.shape, w.shape, geometry.groups)
    y = _conv(x, w, geometry)
    return _biased("conv", y, b)


@operation
def conv_transpose(
    x: Any,
    w: Any,
    b: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The adjoint of `conv`: x (N, K, *spatial) with w (K, C/groups, *kernel), plus b (C,): (N, C, *output).

    Arguments as in `conv`; `output_padding` adds positions at the end, fewer than stride or dilation.

    >>> conv_transpose([[[1, 2]]], [[[1, 10, 100]]], stride=2).numpy().tolist()
    [[[1, 10, 102, 20, 200]]]
    """
    x, w = operand(x, "conv_transpose"), operand(w, "conv_transpose")
    geometry = _geometry("conv_transpose", x, w, stride, padding, dilation, groups, "auto")
    _check_cotangent("conv_transpose", x.shape, w.shape, geometry.groups)
    extra = per_axis("conv_transpose", "output_padding", output_padding, len(geometry.stride), 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, geometry.stride, geometry.dilation, strict=True)):
        raise ShapeError(f"conv_transpose: output_padding={extra} must be less than stride or dilation on each axis")
    sizes = tuple(
        n + d * (k - 1) - before - after + e
        for n, d, k, (before, after), e in zip(
            _stuffed(x.value, geometry.stride).shape[2:],
            geometry.dilation,
            w.shape[2:],
            geometry.padding,
            extra,
            strict=True,
        )
    )
    if min(sizes) < 1:
        raise ShapeError(f"conv_transpose: padding={padding} leaves an output of sizes {sizes}; use less")
    y = _input_gradient(x, w, sizes, geometry)
    return _biased("conv_transpose", y, b)


@operation
def conv_input_gradient(
    g: Any,
    w: Any,
    sizes: Sequence[int],
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """The gradient of sum(g * conv(x, w)) with respect to x (N, C, *sizes); g is (N, K, *output), w (K, C/groups,
    *kernel).

    >>> conv_input_gradient([[[1, 1]]], [[[1, 2, 3]]], (4,)).numpy().tolist()
    [[[1, 3, 5, 3]]]
    """
    g, w = operand(g, "conv_input_gradient"), operand(w, "conv_input_gradient")
    geometry = _geometry("conv_input_gradient", g, w, stride, padding, dilation, groups, algorithm)
    _check_cotangent("conv_input_gradient", g.shape, w.shape, geometry.groups)
    extents = per_axis("conv_input_gradient", "sizes", sizes, len(geometry.stride), 1)
    _check_windows("conv_input_gradient", extents, w.shape[2:], g.shape[2:], geometry)
    return _input_gradient(g, w, extents, geometry)


@operation
def conv_weight_gradient(
    g: Any,
    x: Any,
    kernel_size: Sequence[int],
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """The gradient of sum(g * conv(x, w)) with respect to w (K, C/groups, *kernel_size); g is (N, K, *output).

    >>> conv_weight_gradient([[[1, 1]]], [[[1, 2, 3, 4]]], (3,)).numpy().tolist()
    [[[3, 5, 7]]]
    """
    g, x = operand(g, "conv_weight_gradient"), operand(x, "conv_weight_gradient")
    geometry = _geometry("conv_weight_gradient", x, g, stride, padding, dilation, groups, algorithm)
    if g.shape[0] != x.shape[0] or g.shape[1] % geometry.groups or x.shape[1] % geometry.groups:
        raise ShapeError(
            f"conv_weight_gradient: cotangent {g.shape}, input {x.shape} and groups={groups} do not go together"
        )
    kernel = per_axis("conv_weight_gradient", "kernel_size", kernel_size, len(geometry.stride), 1)
    _check_windows("conv_weight_gradient", x.shape[2:], kernel, g.shape[2:], geometry)
    return _weight_gradient(g, x, kernel, geometry)


def _biased(op: str, y: Tensor, b: Any) -> Tensor:
    """y (N, K, *output) plus b (K,) at every position."""
    if b is None:
        return y
    b = operand(b, op)
    if b.shape != y.shape[1:2]:
        raise ShapeError(f"{op}: bias of shape {b.shape} for {y.shape[1]} output channels; it must be ({y.shape[1]},)")
    return add(y, shaping.reshape(b, (-1, *(1 for _ in y.shape[2:]))))


# --- the three contractions, each with the other two as its VJPs ------------------------------------------------------


def _conv(x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    inside = padded(x.value, ((0, 0), (0, 0), *geometry.padding), "conv")
    value = _slide(inside, w.value, geometry.stride, geometry.dilation, geometry.groups, geometry.algorithm)
    return record(
        "conv",
        value,
        (x, w),
        (
            lambda g: _input_gradient(g, w, x.shape[2:], geometry),
            lambda g: _weight_gradient(g, x, w.shape[2:], geometry),
        ),
    )


def _input_gradient(g: Tensor, w: Tensor, sizes: tuple[int, ...], geometry: Geometry) -> Tensor:
    reach = [d * (k - 1) for d, k in zip(geometry.dilation, w.shape[2:], strict=True)]
    stuffed = _stuffed(g.value, geometry.stride)
    pads = [
        (r - before, n + before - length)  # room for the flipped filter, then whatever makes the length n + r
        for r, n, (before, _), length in zip(reach, sizes, geometry.padding, stuffed.shape[2:], strict=True)
    ]
    value = _slide(
        padded(stuffed, ((0, 0), (0, 0), *pads), "conv_input_gradient"),
        _flipped(w.value, geometry.groups),
        (1,) * len(sizes),
        geometry.dilation,
        geometry.groups,
        geometry.algorithm,
    )
    return record(
        "conv_input_gradient",
        value,
        (g, w),
        (lambda h: _cropped(_conv(h, w, geometry), g.shape), lambda h: _weight_gradient(g, h, w.shape[2:], geometry)),
    )


def _weight_gradient(g: Tensor, x: Tensor, kernel: tuple[int, ...], geometry: Geometry) -> Tensor:
    inside = padded(x.value, ((0, 0), (0, 0), *geometry.padding), "conv_weight_gradient")
    filters = g.value.swapaxes(0, 1)  # (N, K, *output) -> (K, N, *output)
    G = geometry.groups
    parts = [
        _slide(
            images.swapaxes(0, 1), f, geometry.dilation, geometry.stride, 1, geometry.algorithm
        )  # (C/G, K/G, *>=kernel)
        for images, f in zip(np.split(inside, G, axis=1), np.split(filters, G, axis=0), strict=True)
    ]
    whole = np.concatenate(parts, axis=1).swapaxes(0, 1)  # (C/G, K, ...) -> (K, C/G, ...)
    value = whole[_at(..., *(slice(k) for k in kernel))]
    if value.shape[2:] != kernel:
        raise ShapeError(f"conv_weight_gradient: cotangent {g.shape} and input {x.shape} do not make a kernel {kernel}")
    return record(
        "conv_weight_gradient",
        value,
        (g, x),
        (lambda v: _cropped(_conv(x, v, geometry), g.shape), lambda v: _input_gradient(g, v, x.shape[2:], geometry)),
    )


def _cropped(y: Tensor, shape: tuple[int, ...]) -> Tensor:
    """y without the last windows, where an input larger than needed has more of them than the cotangent."""
    return y if y.shape == shape else shaping.pad(y, [(0, n - m) for n, m in zip(shape, y.shape, strict=True)])


# --- the sliding product ----------------------------------------------------------------------------------------------


def _slide_direct(x: Array, w: Array, stride: Sequence[int], dilation: Sequence[int]) -> Array:
    """y[n, k, o] = sum of x[n, :, window o] * w[k], one window after the other, as the notes write it."""
    starts = [
        range(0, size - d * (k - 1), s)
        for size, k, d, s in zip(x.shape[2:], w.shape[2:], dilation, stride, strict=True)
    ]
    y = np.zeros((x.shape[0], w.shape[0], *map(len, starts)), np.result_type(x, w))
    for n, k in product(range(x.shape[0]), range(w.shape[0])):
        for o in product(*(enumerate(each) for each in starts)):
            window = tuple(
                slice(a, a + d * (f - 1) + 1, d) for (_, a), d, f in zip(o, dilation, w.shape[2:], strict=True)
            )
            y[_at(n, k, *(place for place, _ in o))] = (x[_at(n, slice(None), *window)] * w[k]).sum()
    return y


def _slide_im2col(x: Array, w: Array, stride: Sequence[int], dilation: Sequence[int]) -> Array:
    """The same as one matrix product: filters as rows times windows as columns."""
    cols, extent = _columns(x, w.shape[2:], stride, dilation)
    y: Array = np.matmul(w.reshape(w.shape[0], -1), cols)  # (K, C*k) @ (N, C*k, L) -> (N, K, L)
    return y.reshape(x.shape[0], w.shape[0], *extent)


def _columns(
    x: Array, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> tuple[Array, tuple[int, ...]]:
    """(N, C, *padded) -> (N, C*prod(kernel), L), and the window counts per axis whose product is L."""
    rank = len(kernel)
    spans = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, axis=tuple(range(2, 2 + rank)))
    windows = windows[_at(..., *(slice(None, None, s) for s in stride), *(slice(None, None, d) for d in dilation))]
    extent = windows.shape[2 : 2 + rank]
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    columns = (x.shape[0], x.shape[1] * math.prod(kernel), math.prod(extent))
    return windows.transpose(order).reshape(columns), extent


_ALGORITHMS: dict[str, Callable[[Array, Array, Sequence[int], Sequence[int]], Array]] = {
    "direct": _slide_direct,
    "im2col": _slide_im2col,
    "auto": _slide_im2col,
}


def _slide(x: Array, w: Array, stride: Sequence[int], dilation: Sequence[int], groups: int, algorithm: str) -> Array:
    """Windows of x (N, C, *padded) against w (K, C/groups, *kernel), group by group: (N, K, *windows)."""
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    for axis, (span, size) in enumerate(zip(spans, x.shape[2:], strict=True)):
        if size < span:
            raise ShapeError(
                f"conv: on spatial axis {axis} a window spans {span} positions but the padded input has only {size}; "
                f"pad by {span - size} more or use a smaller kernel"
            )
    slide = _ALGORITHMS[algorithm]
    if groups == 1:
        return slide(x, w, stride, dilation)
    parts = zip(np.split(x, groups, axis=1), np.split(w, groups, axis=0), strict=True)
    return np.concatenate([slide(a, f, stride, dilation) for a, f in parts], axis=1)


def _at(*parts: Any) -> Any:
    """An index made of slices, numbers and `...`."""
    return parts


def _stuffed(g: Array, stride: Sequence[int]) -> Array:
    """g with stride-1 zeros between neighbours along each spatial axis."""
    if all(s == 1 for s in stride):
        return g
    wide: Array = np.zeros(
        (*g.shape[:2], *((n - 1) * s + 1 for n, s in zip(g.shape[2:], stride, strict=True))), g.dtype
    )
    wide[_at(..., *(slice(None, None, s) for s in stride))] = g
    return wide


def _flipped(w: Array, groups: int) -> Array:
    """Filters turned round in space and transposed in channels: (K, C/G, *kernel) -> (C, K/G, *kernel)."""
    filters, channels, *kernel = w.shape
    blocks: Array = w.reshape(groups, filters // groups, channels, *kernel)  # (G, K/G, C/G, *kernel)
    swapped: Array = blocks.swapaxes(1, 2).reshape(groups * channels, filters // groups, *kernel)
    turned: Array = swapped[_at(..., *(slice(None, None, -1) for _ in kernel))]
    return turned


# --- arguments --------------------------------------------------------------------------------------------------------


def _geometry(
    op: str, x: Tensor, w: Tensor, stride: Any, padding: Any, dilation: Any, groups: Any, algorithm: str
) -> Geometry:
    if x.ndim < 3 or x.ndim != w.ndim:
        raise ShapeError(
            f"{op}: shapes {x.shape} and {w.shape} must have the same rank, batch and channels first, 3 axes or more"
        )
    if 0 in x.shape[1:] or 0 in w.shape:
        raise ShapeError(f"{op}: shapes {x.shape} and {w.shape} have an empty axis")
    rank = x.ndim - 2
    if not isinstance(algorithm, str) or algorithm not in _ALGORITHMS:
        raise ShapeError(f"{op}: algorithm={algorithm!r} is none of {', '.join(_ALGORITHMS)}")
    return Geometry(
        per_axis(op, "stride", stride, rank, 1),
        pairs(op, padding, rank),
        per_axis(op, "dilation", dilation, rank, 1),
        one(op, "groups", groups, 1),
        algorithm,
    )


def _check_channels(op: str, x: tuple[int, ...], w: tuple[int, ...], groups: int) -> None:
    if w[0] % groups or x[1] % groups:
        raise ShapeError(f"{op}: groups={groups} divides not both {x[1]} input channels and {w[0]} filters")
    if x[1] != w[1] * groups:
        raise ShapeError(
            f"{op}: input {tuple(x)} has {x[1]} channels, filters {tuple(w)} with groups={groups} want {w[1] * groups}"
        )


def _check_cotangent(op: str, g: tuple[int, ...], w: tuple[int, ...], groups: int) -> None:
    if g[1] != w[0] or w[0] % groups:
        raise ShapeError(
            f"{op}: {g} has {g[1]} channels, filters {w} in {groups} groups want {w[0]}, divided by groups"
        )


def _check_windows(
    op: str, sizes: Sequence[int], kernel: Sequence[int], output: tuple[int, ...], geometry: Geometry
) -> None:
    """Raises `ShapeError` unless an input of these sizes has as many windows as the cotangent has positions."""
    axes = zip(sizes, kernel, geometry.stride, geometry.padding, geometry.dilation, strict=True)
    windows = tuple(len(range(-before, n + after - d * (k - 1), s)) for n, k, s, (before, after), d in axes)
    if windows != output:
        raise ShapeError(
            f"{op}: an input of sizes {tuple(sizes)} has {windows} windows of kernel {tuple(kernel)}, "
            f"the cotangent {output} positions"
        )
