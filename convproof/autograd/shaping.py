"""Operations that move elements: sums, reshapes, padding, concatenation. Each VJP is another of them."""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from convproof.autograd.arguments import Pairs, one, pairs, per_axis
from convproof.autograd.tape import Tensor, operand, operation, record, stored, together
from convproof.errors import ShapeError


@operation("x")
def sum(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`, or over everything.

    >>> int(sum([[1, 2], [3, 4]]).numpy())
    10
    """
    x = operand(x, "sum")
    try:
        value = x.value.sum(axis=axis, keepdims=keepdims)
    except np.exceptions.AxisError as error:
        raise ShapeError(f"sum: {error}, the shape is {x.shape}") from None
    kept = np.empty(x.shape, np.bool_).any(axis=axis, keepdims=True).shape if x.ndim else ()
    return record("sum", value, (x,), (lambda g: broadcast(reshape(g, kept), x.shape),))


@operation("x")
def broadcast(x: Any, shape: tuple[int, ...]) -> Tensor:
    """x repeated along its axes of size 1 to `shape`.

    >>> broadcast([1, 2], (2, 2)).numpy().tolist()
    [[1, 2], [1, 2]]
    """
    x = operand(x, "broadcast")
    return record("broadcast", np.broadcast_to(x.value, shape), (x,), (lambda g: unbroadcast(g, x.shape),))


def unbroadcast(g: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The adjoint of `broadcast`: sums over the axes along which `shape` was repeated."""
    if g.shape == shape:
        return g
    lead = len(g.shape) - len(shape)
    axes = tuple(range(lead)) + tuple(lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1)
    total: Tensor = sum(g, axes)
    return reshape(total, shape)


@operation("x")
def reshape(x: Any, shape: tuple[int, ...]) -> Tensor:
    """The same elements in another shape; one size may be -1.

    >>> reshape([1, 2, 3, 4], (2, 2)).shape
    (2, 2)
    """
    source = operand(x, "reshape")
    if source.shape == shape:
        return source
    try:
        value = source.value.reshape(shape)
    except ValueError:
        raise ShapeError(f"reshape: {source.value.size} elements of shape {source.shape} do not fill {shape}") from None
    return record("reshape", value, (source,), (lambda g: reshape(g, source.shape),))


@operation("x")
def flatten(x: Any) -> Tensor:
    """(N, C, *spatial) -> (N, C*prod(spatial)).

    >>> import numpy as np
    >>> flatten(np.zeros((2, 3, 4, 5))).shape
    (2, 60)
    """
    x = operand(x, "flatten")
    if x.ndim < 1:
        raise ShapeError("flatten: needs a batch axis, got a single number")
    return reshape(x, (x.shape[0], int(np.prod(x.shape[1:]))))


@operation("w")
def linear_to_conv(w: Any, channels: int, sizes: Sequence[int]) -> Tensor:
    """The weights (units, channels*prod(sizes)) of a fully connected layer as filters (units, channels, *sizes).

    `conv` with them gives at one position what `linear` gives for a flattened (N, channels, *sizes) input, and slides
    over larger ones. Raises `ShapeError` where the weights are not as many.

    >>> linear_to_conv([[1, 2, 3, 4], [5, 6, 7, 8]], 2, (2,)).numpy().tolist()
    [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    """
    w = operand(w, "linear_to_conv")
    depth = one("linear_to_conv", "channels", channels, 1)
    extents = per_axis("linear_to_conv", "sizes", sizes, len(sizes), 1)
    features = depth * math.prod(extents)
    if w.ndim != 2 or w.shape[1] != features:
        raise ShapeError(
            f"linear_to_conv: weights {w.shape} must be (units, {features}), for {depth} channels of sizes {extents}"
        )
    return reshape(w, (w.shape[0], depth, *extents))


@operation("w")
def conv_to_linear(w: Any) -> Tensor:
    """Filters (K, C, *kernel) as the weights (K, C*prod(kernel)) of a fully connected layer; `linear_to_conv` undone.

    >>> conv_to_linear([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]).numpy().tolist()
    [[1, 2, 3, 4], [5, 6, 7, 8]]
    """
    w = operand(w, "conv_to_linear")
    if w.ndim < 3:
        raise ShapeError(f"conv_to_linear: filters {w.shape} must be (K, C, *kernel), with one spatial axis at least")
    return flatten(w)


@operation("x")
def transpose(x: Any, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes in another order, reversed by default.

    >>> transpose([[1, 2], [3, 4]]).numpy().tolist()
    [[1, 3], [2, 4]]
    """
    x = operand(x, "transpose")
    order = tuple(a % x.ndim for a in axes) if axes is not None else tuple(reversed(range(x.ndim)))
    back = tuple(int(i) for i in np.argsort(order))
    return record("transpose", x.value.transpose(order), (x,), (lambda g: transpose(g, back),))


@operation("x")
def pad(x: Any, pads: Any) -> Tensor:
    """x with zeros put before and after; a negative number takes elements away.

    `pads`: a number, one per spatial axis, or (before, after) per spatial axis, of an (N, C, *spatial) array; or
    (before, after) for every axis. Raises `ShapeError` for another number of axes, or where more is taken away than
    there is.

    >>> pad([[[1, 2, 3]]], ((1, -1),)).numpy().tolist()
    [[[0, 1, 2]]]
    """
    x = operand(x, "pad")
    all_axes = isinstance(pads, (tuple, list)) and len(pads) == x.ndim
    if x.ndim < 3 and not all_axes:
        raise ShapeError(f"pad: shape {x.shape} has no spatial axes; give (before, after) for every axis")
    spatial = pairs("pad", pads, x.ndim if all_axes else x.ndim - 2)
    return _pad(x, spatial if all_axes else ((0, 0), (0, 0), *spatial))


@operation("x")
def crop(x: Any, crops: Sequence[Sequence[int]]) -> Tensor:
    """x (N, C, *spatial) without its first and last positions; the inverse of `pad`.

    `crops`: (before, after) for each spatial axis, not negative. Raises `ShapeError` for anything else, and where more
    is taken away than there is.

    >>> crop([[[0, 1, 2, 0, 0]]], ((1, 2),)).numpy().tolist()
    [[[1, 2]]]
    """
    x = operand(x, "crop")
    sizes = x.shape[2:]
    if not sizes or np.asarray(crops, dtype=object).shape != (len(sizes), 2):
        raise ShapeError(f"crop: crops={crops!r} must be (before, after) for each spatial axis of shape {x.shape}")
    taken = [per_axis("crop", "crops", pair, 2, 0) for pair in crops]
    if any(before + after > n for n, (before, after) in builtins.zip(sizes, taken, strict=True)):
        raise ShapeError(f"crop: crops={crops!r} takes away more than there is in shape {x.shape}")
    return _pad(x, ((0, 0), (0, 0), *((-before, -after) for before, after in taken)))


def _pad(x: Tensor, pads: Pairs) -> Tensor:
    """`pad` with a pair for every axis."""
    back = tuple((-before, -after) for before, after in pads)
    return record("pad", padded(x.value, pads, "pad"), (x,), (lambda g: _pad(g, back),))


def padded(x: np.ndarray[Any, Any], pads: Sequence[tuple[int, int]], op: str) -> np.ndarray[Any, Any]:
    """The array with zeros before and after each axis; a negative number crops."""
    if not any(before or after for before, after in pads):
        return x
    sizes = [n + before + after for n, (before, after) in zip(x.shape, pads, strict=True)]
    if min(sizes) < 0:
        raise ShapeError(f"{op}: {tuple(pads)} takes away more than there is in shape {x.shape}")
    kept = [(max(0, -before), min(n, n + after)) for n, (before, after) in zip(x.shape, pads, strict=True)]
    y: np.ndarray[Any, Any] = np.zeros(sizes, x.dtype)
    if all(first < end for first, end in kept):
        places = tuple(slice(first + b, end + b) for (first, end), (b, _) in zip(kept, pads, strict=True))
        y[places] = x[tuple(slice(first, end) for first, end in kept)]
    return y


@operation("x")
def take(x: Any, places: Sequence[int], axis: int) -> Tensor:
    """The entries of x at `places` along `axis`, which may come several times, or not at all.

    x of shape (..., n, ...) becomes (..., len(places), ...). Raises `ShapeError` for a place or an axis that x has not,
    and for what is no flat list of whole numbers.

    >>> take([[1, 2, 3]], [0, 0, 2], 1).numpy().tolist()
    [[1, 1, 3]]
    """
    x = operand(x, "take")
    try:
        places = [operator.index(place) for place in places]
    except TypeError:
        raise ShapeError(f"take: places={places!r} must be a list of whole numbers") from None
    try:
        value = np.take(x.value, places, axis)
    except (IndexError, np.exceptions.AxisError) as error:
        raise ShapeError(f"take: {error}, the shape is {x.shape}") from None
    axis %= x.ndim
    return record("take", value, (x,), (lambda g: _put(g, places, axis, x.shape[axis]),))


def _put(x: Tensor, places: Sequence[int], axis: int, size: int) -> Tensor:
    """The adjoint of `take`: the entries of x summed up at `places` of an axis of `size`."""
    value = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype)
    np.add.at(np.moveaxis(value, axis, 0), list(places), np.moveaxis(x.value, axis, 0))
    return record("put", value, (x,), (lambda g: take(g, places, axis),))


@operation()
def concatenate(tensors: Sequence[Any], axis: int = 1) -> Tensor:
    """The tensors one after the other along `axis` (by default the channels), in the dtype that NumPy gives them.

    Raises `ShapeError` where their other axes differ.

    >>> import numpy as np
    >>> concatenate([np.zeros((1, 2, 3)), np.zeros((1, 4, 3))], 1).shape
    (1, 6, 3)
    """
    parts, dtype = together(tensors, "concatenate")
    found: Tensor = stored(_concatenated(parts, axis), dtype)
    return found


def _concatenated(parts: Sequence[Tensor], axis: int) -> Tensor:
    try:
        value = np.concatenate([t.value for t in parts], axis)
    except ValueError as error:
        raise ShapeError(f"concatenate: shapes {[t.shape for t in parts]} along axis {axis}: {error}") from None
    axis %= value.ndim
    ends = [int(e) for e in np.cumsum([t.shape[axis] for t in parts])]

    def piece(t: Tensor, end: int) -> Any:
        crop = (t.shape[axis] - end, end - value.shape[axis])
        pads = tuple(crop if i == axis else (0, 0) for i in range(value.ndim))
        return lambda g: _pad(g, pads)

    return record("concatenate", value, parts, [piece(t, end) for t, end in builtins.zip(parts, ends, strict=True)])
