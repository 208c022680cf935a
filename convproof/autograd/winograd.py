"""Winograd's minimal filtering: convolutions with 3x3 filters at stride 1, with 36 products where windows take 144.

Outputs are computed in tiles of 4x4 from tiles of 6x6 inputs that overlap by 2. Along one axis, 4 outputs of a
correlation with 3 taps are the trilinear form (written with the cotangent g of the outputs)

    sum of g[o] * w[t] * d[o + t]  =  sum over the points p of  (A g)[p] * (G w)[p] * (B d)[p]:

polynomials with the coefficients g and w have a product of degree 5, which 6 values determine, here those at the points
0, 1, -1, 2, -2 and infinity (Toom and Cook); the matrices A and G evaluate, and B is the transpose of interpolation.
Each of the three contractions leaves one of the three factors out, as in `convolution`.

In floating point the result differs from the exact one by rounding: by at most n*u/(1 - n*u) * |form|, where |form| is
the same computation with the absolute values of matrices and operands, u the unit roundoff (2**-24 for float32) and n
the most roundings that a term goes through: 34 in the transforms and one for each channel that is summed, or for the
gradient to w 57 and one for each tile. Objects that multiply with `Fraction` come out exactly.

Sources: S. Winograd, "Arithmetic complexity of computations" (1980); A. Lavin and S. Gray, "Fast algorithms for
convolutional neural networks" (2016); N. Higham, "Accuracy and stability of numerical algorithms" (2002), section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from convproof.autograd.parallel import each, multiply, slices
from convproof.autograd.shaping import padded
from convproof.autograd.sliding import Geometry, blocks
from convproof.autograd.tape import Array

OUTPUTS, TAPS = 4, 3
INPUTS = OUTPUTS + TAPS - 1
POINTS = (0, 1, -1, 2, -2)
"""The finite points; infinity is the last one."""

LIMIT = 1 << 20
"""Elements in one block of transformed tiles, and at most in what a thread makes of it at a time: 4 MiB in float32."""

SUMS = 1 << 22
"""Elements in the sums over several blocks that become a gradient to w."""

SLICE = 1 << 12
"""Tiles, counted once for every channel, that are transformed at a time: they stay in the cache."""

TRANSFORM, COPY = 25, 8

Block = tuple[slice, range, int]
"""Images, rows of tiles, and how many tiles are in a row."""


class Matrices(NamedTuple):
    """`cotangent` (6, 4) and `data` (6, 6) are those of one axis; `taps` (36, 9) of both, row by row."""

    cotangent: Array
    taps: Array
    data: Array


@cache
def matrices(dtype: np.dtype[Any]) -> Matrices:
    """A, G and B in the given dtype, `Fraction`s for objects.

    >>> matrices(np.dtype(float)).data[0].tolist()
    [4.0, 0.0, -5.0, 0.0, 1.0, 0.0]
    """
    cotangent = [[Fraction(p) ** i for i in range(OUTPUTS)] for p in POINTS]
    taps, data = [], []
    for p in POINTS:
        others = [q for q in POINTS if q != p]
        scale = math.prod(p - q for q in others)
        taps.append([Fraction(p**i, scale) for i in range(TAPS)])
        data.append([Fraction(c) for c in (*_with_roots(others), 0)])
    cotangent.append([Fraction(i == OUTPUTS - 1) for i in range(OUTPUTS)])
    taps.append([Fraction(i == TAPS - 1) for i in range(TAPS)])
    data.append([Fraction(c) for c in _with_roots(POINTS)])
    both = np.kron(np.array(taps, dtype=object), np.array(taps, dtype=object))
    found = np.array(cotangent, dtype=object), both, np.array(data, dtype=object)
    return Matrices(*(m if dtype.kind == "O" else m.astype(dtype) for m in found))


def _with_roots(roots: Sequence[int]) -> list[int]:
    """The coefficients, the constant first, of the polynomial with these roots and leading coefficient 1."""
    found = [1]
    for root in roots:
        found = [shifted - root * same for shifted, same in zip([0, *found], [*found, 0], strict=True)]
    return found


def suits(kernel: tuple[int, ...], geometry: Geometry) -> bool:
    """Whether filters of this kernel, with this geometry, can be applied so."""
    return kernel == (TAPS, TAPS) and {*geometry.stride, *geometry.dilation} == {1}


def pays(filters: Sequence[int], positions: Sequence[int], geometry: Geometry) -> bool:
    """Whether a contraction of filters (K, C/groups, 3, 3) at positions (N, H, W) takes fewer operations than with
    columns, where making a transformed element costs as much as `TRANSFORM` multiplications in a matrix product and
    making an element of a column as `COPY`.
    """
    (filters_, channels, *_), (batch, *sizes) = filters, positions
    per_group = filters_ // geometry.groups
    tiles = batch * math.prod(len(range(0, n, OUTPUTS)) for n in sizes)
    made = tiles * channels + tiles * per_group + per_group * channels
    ours = INPUTS**2 * (tiles * channels * per_group + TRANSFORM * made)
    theirs = TAPS**2 * batch * math.prod(sizes) * channels * (per_group + COPY)
    return ours < theirs


# --- the three contractions -------------------------------------------------------------------------------------------


def conv(x: Array, w: Array, geometry: Geometry) -> Array:
    """x (N, C, H, W) with w (K, C/groups, 3, 3): (N, K, *output)."""
    parts = zip(np.split(x, geometry.groups, 1), np.split(w, geometry.groups), strict=True)
    return _joined([_conv(a, f, geometry.padding, turned=False) for a, f in parts])


def input_gradient(g: Array, w: Array, sizes: tuple[int, ...], geometry: Geometry) -> Array:
    """g (N, K, *output) with w (K, C/groups, 3, 3): (N, C, *sizes), a convolution with the filters turned round."""
    reach = TAPS - 1
    axes = zip(sizes, geometry.padding, g.shape[2:], strict=True)
    pads = [(reach - before, n + before - length) for n, (before, _), length in axes]
    parts = zip(np.split(g, geometry.groups, 1), np.split(w, geometry.groups), strict=True)
    return _joined([_conv(a, f, pads, turned=True) for a, f in parts])


def weight_gradient(g: Array, x: Array, kernel: tuple[int, ...], geometry: Geometry) -> Array:
    """g (N, K, *output) with x (N, C, H, W): (K, C/groups, 3, 3)."""
    parts = zip(np.split(g, geometry.groups, 1), np.split(x, geometry.groups, 1), strict=True)
    return np.concatenate([_weight_gradient(a, b, geometry.padding) for a, b in parts])


def _joined(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _conv(x: Array, w: Array, padding: Sequence[tuple[int, int]], turned: bool) -> Array:
    """x (N, C, H, W) with w (K, C, 3, 3), or where `turned` w (C, K, 3, 3) turned round: (N, K, *output)."""
    extent = [n + before + after - TAPS + 1 for n, (before, after) in zip(x.shape[2:], padding, strict=True)]
    y: Array = np.empty((x.shape[0], w.shape[1 if turned else 0], *extent), np.result_type(x, w))
    m = matrices(y.dtype)
    for block in _tile_blocks(y.shape, x.shape[1]):
        tiles = _transformed(m.data, x, block, INPUTS, padding, y.dtype, True)  # (36, C, n)

        def compute(filters: slice, tiles: Array = tiles, block: Block = block) -> None:
            if turned:
                taps = _transformed_filters(m.taps[:, ::-1].copy(), w[:, filters]).swapaxes(1, 2)  # (36, k, C)
            else:
                taps = _transformed_filters(m.taps, w[filters])  # (36, k, C)
            products: Array = np.empty((*taps.shape[:2], tiles.shape[2]), y.dtype)
            multiply(taps, tiles, products)
            _write_tiles(m.cotangent.T, products, y[:, filters], block)

        each(compute, slices(y.shape[1], _share(LIMIT // 2, x.shape[1], block)), tiles.size * y.shape[1])
    return y


def _weight_gradient(g: Array, x: Array, padding: Sequence[tuple[int, int]]) -> Array:
    """g (N, K, *output) with x (N, C, H, W): (K, C, 3, 3)."""
    value: Array = np.empty((g.shape[1], x.shape[1], TAPS, TAPS), np.result_type(g, x))
    m = matrices(value.dtype)
    blocks = list(_tile_blocks(g.shape, max(x.shape[1], g.shape[1])))
    share = _share(LIMIT, x.shape[1], blocks[0])
    together = SUMS // (INPUTS**2 * x.shape[1]) if len(blocks) > 1 else g.shape[1]
    tiles = None
    for chunk in slices(g.shape[1], max(together, share)):
        sums: dict[int, Array] = {}
        for block in blocks:
            if tiles is None or len(blocks) > 1:
                tiles = _transformed(m.data, x, block, INPUTS, padding, value.dtype, True)  # (36, C, n)

            def add(part: slice, tiles: Array = tiles, block: Block = block, sums: dict[int, Array] = sums) -> None:
                plain = ((0, 0), (0, 0))
                cotangents = _transformed(m.cotangent, g[:, part], block, OUTPUTS, plain, value.dtype, False)
                if block is blocks[0]:
                    sums[part.start] = np.empty((*cotangents.shape[:2], tiles.shape[1]), value.dtype)
                total = sums[part.start]
                multiply(cotangents, tiles.swapaxes(1, 2), total, adding=block is not blocks[0])  # (36, k, C)
                if block is blocks[-1]:
                    flat = sums.pop(part.start).reshape(INPUTS**2, -1)
                    multiply(flat.T, m.taps, value[part].reshape(-1, TAPS**2))  # (k*C, 36) @ (36, 9)

            parts = (
                slice(chunk.start + p.start, chunk.start + p.stop) for p in slices(chunk.stop - chunk.start, share)
            )
            each(add, parts, tiles.size * (chunk.stop - chunk.start))
    return value


def _share(limit: int, channels: int, block: Block) -> int:
    """How many filters to take at a time, so that their transform and products with a block have `limit` elements."""
    images, rows, columns = block
    tiles: int = (images.stop - images.start) * len(rows) * columns
    return max(1, limit // (INPUTS**2 * (channels + tiles)))


# --- blocks and transforms --------------------------------------------------------------------------------------------


def _tile_blocks(y: Sequence[int], channels: int) -> Iterator[Block]:
    """Images, rows of tiles and tiles in a row, block by block, for an output of shape y (N, K, H, W)."""
    rows, columns = (len(range(0, n, OUTPUTS)) for n in y[2:])
    for images, part in blocks(y[0], rows, INPUTS**2 * channels * columns, LIMIT):
        yield images, range(part.start, part.stop), columns


def _both_axes(matrix: Array, planes: Array) -> Array:
    """The matrix (r, s) applied to both axes of tiles: (s*s, n) -> (r*r, n)."""
    r, s = matrix.shape
    n = planes.shape[1]
    once: Array = np.empty((r, s, n), planes.dtype)
    twice: Array = np.empty((r, r, n), planes.dtype)
    multiply(matrix, planes.reshape(s, s * n), once.reshape(r, s * n))
    multiply(matrix, once, twice)
    return twice.reshape(r * r, n)


def _transformed(
    matrix: Array, x: Array, block: Block, size: int, padding: Sequence[tuple[int, int]], dtype: Any, parallel: bool
) -> Array:
    """The tiles of a block of x (N, C, H, W), of size*size elements at steps of 4, transformed: (36, C, n)."""
    images, rows, columns = block
    batch, channels = x[images].shape[:2]
    n = batch * len(rows) * columns
    value: Array = np.empty((INPUTS**2, channels, n), dtype)
    (top, _), (left, _) = padding
    first, last = OUTPUTS * rows[0] - top, OUTPUTS * rows[-1] - top + size
    right = OUTPUTS * (columns - 1) + size - left - x.shape[3]

    def transform(part: slice) -> None:
        slab = padded(x[images, part], ((0, 0), (0, 0), (-first, last - x.shape[2]), (left, right)), "conv")
        i, c, h, v = slab.strides
        tiles = np.lib.stride_tricks.as_strided(
            slab, (size, size, slab.shape[1], batch, len(rows), columns), (h, v, c, i, OUTPUTS * h, OUTPUTS * v)
        )
        value[:, part] = _both_axes(matrix, tiles.reshape(size**2, -1).astype(dtype, copy=False)).reshape(
            INPUTS**2, -1, n
        )

    each(transform, slices(channels, SLICE // n), TRANSFORM * value.size if parallel else 0)
    return value


def _transformed_filters(matrix: Array, w: Array) -> Array:
    """(k, C, 3, 3) -> (36, k, C)."""
    value: Array = np.empty((INPUTS**2, *w.shape[:2]), matrix.dtype)
    multiply(matrix, w.reshape(-1, TAPS**2).T, value.reshape(INPUTS**2, -1))
    return value


def _write_tiles(matrix: Array, product: Array, y: Array, block: Block) -> None:
    """Transforms (36, k, n) to tiles of outputs and puts them into their places in y (N, k, H, W)."""
    images, rows, columns = block
    batch = y[images].shape[0]
    for part in slices(product.shape[1], SLICE // product.shape[2]):
        tiles = _both_axes(matrix, product[:, part].reshape(INPUTS**2, -1))
        tiles = tiles.reshape(OUTPUTS, OUTPUTS, -1, batch, len(rows), columns)
        target = y[images, part, OUTPUTS * rows[0] : OUTPUTS * (rows[-1] + 1)]
        for a in range(OUTPUTS):
            for b in range(OUTPUTS):
                place = target[:, :, a::OUTPUTS, b::OUTPUTS]
                place[...] = tiles[a, b, :, :, : place.shape[2], : place.shape[3]].swapaxes(0, 1)
