"""Convolution as one trilinear form.

Along each axis every operation here is a contraction of

    T(g, w, x) = sum over n, k, c, o, t of  g[n, k, o] * w[k, c, t] * x[n, c, stride*o + dilation*t - padding],

where x is 0 outside its extent. `conv` leaves out g, `conv_input_gradient` x and `conv_weight_gradient` w, so each
one's VJPs are the other two. How they are computed is a choice of `algorithm`, each of which has a file:

- "direct" (`sliding`): one window after the other, as the formula is written; the reference for the others;
- "im2col" (`gemm`): matrix products with blocks of windows;
- "winograd" (`winograd`): a quarter of the multiplications, for 3x3 filters at stride 1, on floats with more rounding;
- "auto": "winograd" where the result is float32 and its operations, counted by `winograd.pays`, are fewer than those of
  "im2col", which is taken everywhere else, and where Winograd's result is not finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from convproof.autograd import gemm, shaping, sliding, winograd
from convproof.autograd.arguments import check_fit, one, pairs, per_axis
from convproof.autograd.sliding import Geometry
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import DtypeError, ShapeError

_ALGORITHMS: dict[str, ModuleType] = {"direct": sliding, "im2col": gemm, "winograd": winograd}


@operation("x", "w", "b")
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

    One image (C, *spatial), with an axis less than w, gives (K, *output).

    `stride`, `dilation`: an int or one per axis; `padding`: an int, one per axis, or (before, after) per axis, negative
    to crop. `algorithm`: "direct", "im2col", "winograd" or "auto", for the gradients too. Beside operands and result
    "im2col" takes memory for a few blocks of `gemm.LIMIT` elements or one row of windows, "winograd" of
    `winograd.LIMIT` elements or one row of tiles. Raises `ShapeError` where the shapes do not go together, or where
    they do not suit the algorithm, and `DtypeError` for "winograd" on integers.

    >>> conv([[[1, 2, 3, 4]]], [[[1, 0, -1]]], padding=1).numpy().tolist()
    [[[-2, -2, -2, 3]]]
    """
    x, w = operand(x, "conv"), operand(w, "conv")
    if x.ndim + 1 == w.ndim:
        y = conv(shaping.reshape(x, (1, *x.shape)), w, b, stride, padding, dilation, groups, algorithm)
        return shaping.reshape(y, y.shape[1:])
    geometry = _geometry("conv", x, w, stride, padding, dilation, groups, algorithm)
    _check_channels("conv", x.shape, w.shape, geometry.groups)
    check_fit("conv", x.shape[2:], w.shape[2:], geometry.padding, geometry.dilation)
    _check_algorithm("conv", x, w, w.shape[2:], geometry)
    y = _conv(x, w, geometry)
    return _biased("conv", y, b)


@operation("x", "w", "b")
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

    Arguments, and one image, as in `conv`; `output_padding` adds positions at the end, fewer than stride or dilation.
    Raises `ShapeError` where the shapes do not go together, and where no output is left.

    >>> conv_transpose([[[1, 2]]], [[[1, 10, 100]]], stride=2).numpy().tolist()
    [[[1, 10, 102, 20, 200]]]
    """
    x, w = operand(x, "conv_transpose"), operand(w, "conv_transpose")
    if x.ndim + 1 == w.ndim:
        y = conv_transpose(shaping.reshape(x, (1, *x.shape)), w, b, stride, padding, output_padding, dilation, groups)
        return shaping.reshape(y, y.shape[1:])
    geometry = _geometry("conv_transpose", x, w, stride, padding, dilation, groups, "auto")
    _check_cotangent("conv_transpose", x.shape, w.shape, geometry.groups)
    extra = per_axis("conv_transpose", "output_padding", output_padding, len(geometry.stride), 0)
    if any(e >= max(s, d) for e, s, d in zip(extra, geometry.stride, geometry.dilation, strict=True)):
        raise ShapeError(f"conv_transpose: output_padding={extra} must be less than stride or dilation on each axis")
    sizes = tuple(
        n + d * (k - 1) - before - after + e
        for n, d, k, (before, after), e in zip(
            (s * (n - 1) + 1 for n, s in zip(x.shape[2:], geometry.stride, strict=True)),
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


@operation("g", "w")
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

    Arguments as in `conv`. Raises `ShapeError` where an input of these sizes has not as many windows as g positions.

    >>> conv_input_gradient([[[1, 1]]], [[[1, 2, 3]]], (4,)).numpy().tolist()
    [[[1, 3, 5, 3]]]
    """
    g, w = operand(g, "conv_input_gradient"), operand(w, "conv_input_gradient")
    geometry = _geometry("conv_input_gradient", g, w, stride, padding, dilation, groups, algorithm)
    _check_cotangent("conv_input_gradient", g.shape, w.shape, geometry.groups)
    extents = per_axis("conv_input_gradient", "sizes", sizes, len(geometry.stride), 1)
    _check_windows("conv_input_gradient", extents, w.shape[2:], g.shape[2:], geometry)
    _check_algorithm("conv_input_gradient", g, w, w.shape[2:], geometry)
    return _input_gradient(g, w, extents, geometry)


@operation("g", "x")
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

    Arguments as in `conv`. Raises `ShapeError` where x has not as many windows as g has positions.

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
    _check_algorithm("conv_weight_gradient", g, x, kernel, geometry)
    return _weight_gradient(g, x, kernel, geometry)


def _biased(op: str, y: Tensor, b: Any) -> Tensor:
    """y (N, K, *output), which nobody else has seen yet, plus b (K,) at every position, as one operation."""
    if b is None:
        return y
    b = operand(b, op)
    if b.shape != y.shape[1:2]:
        raise ShapeError(f"{op}: bias of shape {b.shape} for {y.shape[1]} output channels; it must be ({y.shape[1]},)")
    assert y.record is not None
    at_each = b.value.reshape(-1, *(1 for _ in y.shape[2:]))
    in_place = y.value if y.dtype == np.result_type(y.value, b.value) else None
    positions = (0, *range(2, y.ndim))
    return record(
        op,
        np.add(y.value, at_each, out=in_place),
        (*y.record.operands, b),
        (*y.record.vjps, lambda g: shaping.sum(g, positions)),
    )


# --- the three contractions, each with the other two as its VJPs ------------------------------------------------------


def _conv(x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
    output = tuple(map(len, geometry.starts(x.shape[2:], w.shape[2:])))
    return record(
        "conv",
        _computed(lambda by: by.conv(x.value, w.value, geometry), (x, w), w.shape, (x.shape[0], *output), geometry),
        (x, w),
        (
            lambda g: _input_gradient(g, w, x.shape[2:], geometry),
            lambda g: _weight_gradient(g, x, w.shape[2:], geometry),
        ),
    )


def _input_gradient(g: Tensor, w: Tensor, sizes: tuple[int, ...], geometry: Geometry) -> Tensor:
    return record(
        "conv_input_gradient",
        _computed(
            lambda by: by.input_gradient(g.value, w.value, sizes, geometry),
            (g, w),
            w.shape,
            (g.shape[0], *sizes),
            geometry,
        ),
        (g, w),
        (lambda h: _cropped(_conv(h, w, geometry), g.shape), lambda h: _weight_gradient(g, h, w.shape[2:], geometry)),
    )


def _weight_gradient(g: Tensor, x: Tensor, kernel: tuple[int, ...], geometry: Geometry) -> Tensor:
    filters = (g.shape[1], x.shape[1] // geometry.groups, *kernel)
    return record(
        "conv_weight_gradient",
        _computed(
            lambda by: by.weight_gradient(g.value, x.value, kernel, geometry),
            (g, x),
            filters,
            (g.shape[0], *g.shape[2:]),
            geometry,
        ),
        (g, x),
        (lambda v: _cropped(_conv(x, v, geometry), g.shape), lambda v: _input_gradient(g, v, x.shape[2:], geometry)),
    )


def _computed(
    contraction: Callable[[ModuleType], Array],
    operands: tuple[Tensor, Tensor],
    filters: tuple[int, ...],
    positions: tuple[int, ...],
    geometry: Geometry,
) -> Array:
    """The contraction by the geometry's algorithm, or by the one that "auto" takes for filters (K, C/groups, *kernel)
    at positions (N, *spatial).
    """
    if geometry.algorithm != "auto":
        return contraction(_ALGORITHMS[geometry.algorithm])
    dtype = np.result_type(*(t.value for t in operands))
    if dtype == np.float32 and winograd.suits(filters[2:], geometry) and winograd.pays(filters, positions, geometry):
        with np.errstate(all="ignore"):
            value = contraction(winograd)
            if np.isfinite(value.sum()):  # else infinities have spread over their tiles as NaN
                return value
    return contraction(gemm)


def _cropped(y: Tensor, shape: tuple[int, ...]) -> Tensor:
    """y without the last windows, where an input larger than needed has more of them than the cotangent."""
    return y if y.shape == shape else shaping.pad(y, [(0, n - m) for n, m in zip(shape, y.shape, strict=True)])


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
    names = (*_ALGORITHMS, "auto")
    if not isinstance(algorithm, str) or algorithm not in names:
        raise ShapeError(f"{op}: algorithm={algorithm!r} is none of {', '.join(names)}")
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


def _check_algorithm(op: str, a: Tensor, b: Tensor, kernel: tuple[int, ...], geometry: Geometry) -> None:
    """Raises where Winograd's algorithm is asked for what it cannot do."""
    if geometry.algorithm != "winograd":
        return
    if not winograd.suits(kernel, geometry):
        raise ShapeError(
            f"{op}: algorithm='winograd' is for kernel (3, 3) with stride and dilation 1, not for kernel {kernel} with "
            f"stride {geometry.stride} and dilation {geometry.dilation}; use 'im2col' or 'auto'"
        )
    dtype = np.result_type(a.value, b.value)
    if dtype.kind not in "fO":
        raise DtypeError(
            f"{op}: algorithm='winograd' works with fractions, which {dtype} does not hold; convert with astype(float) "
            f"or to Fraction, or use 'im2col'"
        )


def _check_windows(
    op: str, sizes: Sequence[int], kernel: Sequence[int], output: tuple[int, ...], geometry: Geometry
) -> None:
    """Raises `ShapeError` unless an input of these sizes has as many windows as the cotangent has positions."""
    windows = tuple(map(len, geometry.starts(sizes, kernel)))
    if windows != output:
        raise ShapeError(
            f"{op}: an input of sizes {tuple(sizes)} has {windows} windows of kernel {tuple(kernel)}, "
            f"the cotangent {output} positions"
        )
