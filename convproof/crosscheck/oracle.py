"""Convolution and pooling by the definition, element by element: slow, short, and sharing no code with the autograd.

A convolution is a linear map, so it has a matrix: row (k, o), column (c, i), entry w[k, c, t] where i = stride*o +
dilation*t - padding lies within the image (a block Toeplitz matrix for stride 1). The oracle builds that matrix and
multiplies.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from convproof.crosscheck.cases import ConvCase, PoolCase

Array = np.ndarray[Any, np.dtype[Any]]


def places(size: int, kernel: int, stride: int, pads: tuple[int, int], dilation: int = 1) -> list[list[int]]:
    """The input positions that each window reads along one axis, by moving the window until it no longer fits.

    >>> places(5, 3, 2, (1, 1))
    [[-1, 0, 1], [1, 2, 3], [3, 4, 5]]
    """
    found = []
    window = [dilation * tap - pads[0] for tap in range(kernel)]
    while window[-1] < size + pads[1]:
        found.append(window)
        window = [i + stride for i in window]
    return found


def conv_matrix(case: ConvCase, w: Array) -> tuple[Array, tuple[int, ...]]:
    """The matrix (K*outputs, C*inputs) of x -> conv(x, w), and the output sizes."""
    axes = list(zip(case.sizes, case.kernel, case.stride, case.padding, case.dilation, strict=True))
    windows = [places(*axis) for axis in axes]
    outputs = tuple(len(each) for each in windows)
    matrix = np.zeros((case.groups * case.k, *outputs, case.groups * case.c, *case.sizes), w.dtype)
    for f, c in product(range(case.groups * case.k), range(case.c)):
        channel = (f // case.k) * case.c + c
        for o in product(*(range(n) for n in outputs)):
            for t in product(*(range(n) for n in case.kernel)):
                i = tuple(windows[a][o[a]][t[a]] for a in range(len(axes)))
                if all(0 <= place < size for place, size in zip(i, case.sizes, strict=True)):
                    matrix[(f, *o, channel, *i)] = matrix[(f, *o, channel, *i)] + w[(f, c, *t)]
    rows = case.groups * case.k * int(np.prod(outputs))
    return matrix.reshape(rows, -1), outputs


def conv(case: ConvCase, x: Array, w: Array) -> Array:
    """conv(x, w) as a matrix product."""
    matrix, outputs = conv_matrix(case, w)
    y: Array = np.matmul(x.reshape(case.batch, -1), matrix.T)
    return y.reshape(case.batch, -1, *outputs)


def input_gradient(case: ConvCase, g: Array, w: Array) -> Array:
    """The gradient of sum(g * conv(x, w)) with respect to x: the transposed matrix times g."""
    matrix, _ = conv_matrix(case, w)
    gradient: Array = np.matmul(g.reshape(case.batch, -1), matrix)
    return gradient.reshape(case.x_shape)


def max_pool(case: PoolCase, x: Array) -> tuple[Array, Array]:
    """The largest element of every window and its flat index; the first one wins, padding never."""
    axes = list(zip(case.sizes, case.kernel, case.stride, case.padding, strict=True))
    windows = [pool_places(*axis, case.ceil_mode) for axis in axes]
    shape = (case.batch, case.channels, *map(len, windows))
    best, switches = np.zeros(shape, x.dtype), np.zeros(shape, np.int64)
    for index in product(*map(range, shape)):
        inside = [
            (x[(*index[:2], *i)], int(np.ravel_multi_index(i, case.sizes)))
            for i in product(*(windows[a][o] for a, o in enumerate(index[2:])))
            if all(0 <= place < size for place, size in zip(i, case.sizes, strict=True))
        ]
        value = max(v for v, _ in inside)
        best[index], switches[index] = value, next(i for v, i in inside if v == value)
    return best, switches


def averages(case: PoolCase, include_pad: bool) -> Array:
    """The matrix (outputs, inputs) of average pooling over one plane, in fractions.

    The divisor counts the taps in the image and, with `include_pad`, those in its padding (not those beyond it).
    """
    axes = list(zip(case.sizes, case.kernel, case.stride, case.padding, strict=True))
    windows = [pool_places(*axis, case.ceil_mode) for axis in axes]
    matrix = np.zeros((*map(len, windows), *case.sizes), dtype=object)
    ends = [n + pads[1] for n, pads in zip(case.sizes, case.padding, strict=True)]
    for index in np.ndindex(*map(len, windows)):
        taps = list(product(*(windows[a][o] for a, o in enumerate(index))))
        inside = [i for i in taps if all(0 <= p < n for p, n in zip(i, case.sizes, strict=True))]
        padded = [i for i in taps if all(p < end for p, end in zip(i, ends, strict=True))]
        for i in inside:
            matrix[index + i] = Fraction(1, len(padded if include_pad else inside))
    return matrix.reshape(-1, int(np.prod(case.sizes)))


def pool_places(size: int, kernel: int, stride: int, pads: tuple[int, int], ceil_mode: bool) -> list[list[int]]:
    """As `places`; with `ceil_mode` one more window if padded input is left and it starts before the end padding."""
    found = places(size, kernel, stride, pads)
    start = found[-1][0] + stride if found else -pads[0]
    left = not found or found[-1][-1] < size + pads[1] - 1
    if ceil_mode and left and start < size:
        found.append([start + tap for tap in range(kernel)])
    return found
