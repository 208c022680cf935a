"""The algorithm "im2col": windows as the columns of a matrix P(x), and the three contractions as matrix products.

    conv(x, w) = W P(x)        gradient to w: g P(x)^T        gradient to x: P^T(W^T g)

with one row of W a filter. P^T, the adjoint of P, adds every column back onto its window. The columns are made a block
of output rows at a time, at most `LIMIT` elements (or one row of windows) of them, so that they stay in the cache and
the memory needed beside operands and result does not grow with the input. A kernel of one element at stride 1 without
padding needs no columns: they are the input.

Source: K. Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document processing"
(2006).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from convproof.autograd.shaping import padded
from convproof.autograd.sliding import Geometry, at, blocks
from convproof.autograd.tape import Array

LIMIT = 1 << 18
"""Elements in one block of columns: 1 MiB in float32."""

Block = tuple[slice, slice]


def conv(x: Array, w: Array, geometry: Geometry) -> Array:
    """x (N, C, *sizes) with w (K, C/groups, *kernel): (N, K, *output)."""
    kernel = w.shape[2:]
    extent = tuple(map(len, geometry.starts(x.shape[2:], kernel)))
    y: Array = np.empty((x.shape[0], w.shape[0], *extent), np.result_type(x, w))
    filters = _rows(w, geometry.groups)
    for block in _blocks(x, kernel, extent, geometry):
        part = np.matmul(filters, _columns(x, kernel, extent, block, geometry))  # (G, K/G, n*L)
        place = y[at(block[0], slice(None), block[1])]
        place[...] = part.reshape(place.shape[1], place.shape[0], *place.shape[2:]).swapaxes(0, 1)
    return y


def input_gradient(g: Array, w: Array, sizes: tuple[int, ...], geometry: Geometry) -> Array:
    """g (N, K, *output) with w (K, C/groups, *kernel): (N, C, *sizes)."""
    kernel, extent, stride, dilation = w.shape[2:], g.shape[2:], geometry.stride, geometry.dilation
    filters = _rows(w, geometry.groups).swapaxes(1, 2)  # (G, C/G*k, K/G)
    channels = w.shape[1] * geometry.groups
    hull = [_span(o, k, s, d) for o, k, s, d in zip(extent, kernel, stride, dilation, strict=True)]
    total: Array = np.zeros((g.shape[0], channels, *hull), np.result_type(g, w))
    for block in blocks(g.shape[0], extent[0], channels * math.prod(kernel) * math.prod(extent[1:]), LIMIT):
        part = np.matmul(filters, _positions(g, block, geometry.groups))  # (G, C/G*k, n*L)
        batch, rows = block[0].stop - block[0].start, block[1].stop - block[1].start
        columns = part.reshape(channels, *kernel, batch, rows, *extent[1:])
        slab = total[at(block[0], slice(None), slice(stride[0] * block[1].start, None))]
        for tap in product(*map(range, kernel)):
            axes = zip(tap, (rows, *extent[1:]), stride, dilation, strict=True)
            places = slab[at(..., *(slice(t * d, t * d + s * (o - 1) + 1, s) for t, o, s, d in axes))]
            places += columns[at(slice(None), *tap)].swapaxes(0, 1)
    pads = [(-before, n + before - h) for n, h, (before, _) in zip(sizes, hull, geometry.padding, strict=True)]
    return padded(total, ((0, 0), (0, 0), *pads), "conv_input_gradient")


def weight_gradient(g: Array, x: Array, kernel: tuple[int, ...], geometry: Geometry) -> Array:
    """g (N, K, *output) with x (N, C, *sizes): (K, C/groups, *kernel)."""
    extent, G = g.shape[2:], geometry.groups
    channels = x.shape[1] // G
    total: Array = np.zeros((G, g.shape[1] // G, channels * math.prod(kernel)), np.result_type(g, x))
    for block in _blocks(x, kernel, extent, geometry):
        columns = _columns(x, kernel, extent, block, geometry)
        total += np.matmul(_positions(g, block, G), columns.swapaxes(1, 2))  # (G, K/G, n*L) @ (G, n*L, C/G*k)
    return total.reshape(g.shape[1], channels, *kernel)


def _rows(w: Array, groups: int) -> Array:
    """(K, C/G, *kernel) -> (G, K/G, C/G*k)."""
    return w.reshape(groups, w.shape[0] // groups, -1)


def _span(windows: int, kernel: int, stride: int, dilation: int) -> int:
    """The positions from the first to the last that this many windows touch along an axis."""
    return stride * (windows - 1) + dilation * (kernel - 1) + 1


def _blocks(x: Array, kernel: Sequence[int], extent: Sequence[int], geometry: Geometry) -> Iterator[Block]:
    """Blocks of images and output rows with at most `LIMIT` elements of columns, or an image where no copy is made."""
    if _is_pointwise(kernel, geometry):
        return ((slice(n, n + 1), slice(0, extent[0])) for n in range(x.shape[0]))
    return blocks(x.shape[0], extent[0], x.shape[1] * math.prod(kernel) * math.prod(extent[1:]), LIMIT)


def _is_pointwise(kernel: Sequence[int], geometry: Geometry) -> bool:
    """Whether columns are the input itself."""
    return {*kernel, *geometry.stride} == {1} and not any(map(any, geometry.padding))


def _columns(x: Array, kernel: Sequence[int], extent: Sequence[int], block: Block, geometry: Geometry) -> Array:
    """The windows of a block of images and output rows as columns: (G, C/G*prod(kernel), n*L)."""
    if _is_pointwise(kernel, geometry):
        return _positions(x[at(..., *map(slice, extent))], block, geometry.groups)
    images, rows = block
    windows = (rows.stop - rows.start, *extent[1:])
    pads: list[tuple[int, int]] = []
    for o, n, k, s, (before, _), d in zip(
        windows, x.shape[2:], kernel, geometry.stride, geometry.padding, geometry.dilation, strict=True
    ):
        first = -before if pads else geometry.stride[0] * rows.start - before
        pads.append((-first, first + _span(o, k, s, d) - n))
    slab = padded(x[images], ((0, 0), (0, 0), *pads), "conv")  # what these windows see
    batch, channel, *steps = slab.strides
    view = np.lib.stride_tricks.as_strided(
        slab,
        (slab.shape[1], *kernel, slab.shape[0], *windows),
        (
            channel,
            *(d * step for d, step in zip(geometry.dilation, steps, strict=True)),
            batch,
            *(s * step for s, step in zip(geometry.stride, steps, strict=True)),
        ),
        writeable=False,
    )
    return view.reshape(geometry.groups, slab.shape[1] // geometry.groups * math.prod(kernel), -1)


def _positions(g: Array, block: Block, groups: int) -> Array:
    """A block of images and rows of g (N, K, *output), side by side: (G, K/G, n*L)."""
    part: Array = g[at(block[0], slice(None), block[1])].swapaxes(0, 1)  # (K, n, rows, ...)
    return part.reshape(groups, g.shape[1] // groups, -1)
