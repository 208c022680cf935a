"""Windows laid out as columns (im2col), the adjoint (col2im), and layers whose filters are not shared.

Both go through one view of all windows of a plane; the number of windows is read off it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from convproof.autograd.arguments import Pairs, check_fit, pairs, per_axis
from convproof.autograd.elementwise import add
from convproof.autograd.shaping import padded, reshape, transpose
from convproof.autograd.sliding import at
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import ShapeError


@dataclass(frozen=True)
class Layout:
    """The windows of a plane of `sizes`, one entry per spatial axis each."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]

    @property
    def padded_sizes(self) -> tuple[int, ...]:
        """The sizes of the plane with its padding."""
        return tuple(n + before + after for n, (before, after) in zip(self.sizes, self.padding, strict=True))

    @property
    def spans(self) -> tuple[int, ...]:
        """How many positions a window reaches over."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def output(self) -> tuple[int, ...]:
        """The number of windows along each axis."""
        shape: tuple[int, ...] = self.windows(np.broadcast_to(0, (1, 1, *self.padded_sizes))).shape
        return shape[2 : 2 + len(self.kernel)]

    def windows(self, planes: Array, writeable: bool = False) -> Array:
        """(N, C, *padded) -> (N, C, *output, *kernel), without a copy."""
        axes = tuple(range(2, planes.ndim))
        view = np.lib.stride_tricks.sliding_window_view(planes, self.spans, axes, writeable=writeable)
        found: Array = view[at(..., *(slice(None, None, step) for step in (*self.stride, *self.dilation)))]
        return found


def _layout(op: str, sizes: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> Layout:
    rank = len(sizes)
    layout = Layout(
        sizes,
        per_axis(op, "kernel_size", kernel_size, rank, 1),
        per_axis(op, "stride", stride, rank, 1),
        pairs(op, padding, rank),
        per_axis(op, "dilation", dilation, rank, 1),
    )
    check_fit(op, sizes, layout.kernel, layout.padding, layout.dilation)
    return layout


@operation("x")
def im2col(x: Any, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """The windows of x (N, C, *spatial) as columns (N, C*prod(kernel), L), as PyTorch's `unfold`.

    Rows run over channels and then taps, columns over positions. Arguments as in `conv`, with negative padding to crop.
    Raises `ShapeError` where no window fits. Source: K. Chellapilla, S. Puri and P. Simard, "High performance
    convolutional neural networks for document processing" (2006).

    >>> im2col([[[1, 2, 3, 4]]], 2).numpy().tolist()
    [[[1, 2, 3], [2, 3, 4]]]
    """
    x = _planes("im2col", x)
    return _im2col(x, _layout("im2col", x.shape[2:], kernel_size, stride, padding, dilation))


@operation("cols")
def col2im(
    cols: Any, sizes: Sequence[int], kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1
) -> Tensor:
    """The adjoint of `im2col`: every entry of cols (N, C*prod(kernel), L) added to the place of (N, C, *sizes) that it
    was read from, as PyTorch's `fold`.

    Raises `ShapeError` where the columns are not those of an input of these sizes.

    >>> col2im([[[1, 2, 3], [20, 30, 40]]], (4,), 2).numpy().tolist()
    [[[1, 22, 33, 40]]]
    """
    cols = operand(cols, "col2im")
    extents = per_axis("col2im", "sizes", sizes, len(sizes), 1)
    layout = _layout("col2im", extents, kernel_size, stride, padding, dilation)
    taps, positions = math.prod(layout.kernel), math.prod(layout.output)
    if cols.ndim != 3 or cols.shape[1] == 0 or cols.shape[1] % taps or cols.shape[2] != positions:
        raise ShapeError(
            f"col2im: columns {cols.shape} must be (N, C*{taps}, {positions}) for an input of sizes {extents}"
        )
    return _col2im(cols, layout)


def _planes(op: str, x: Any) -> Tensor:
    planes = operand(x, op)
    if planes.ndim < 3 or 0 in planes.shape[1:]:
        raise ShapeError(
            f"{op}: shape {planes.shape} must be (N, C, *spatial), with one spatial axis at least, none empty"
        )
    return planes


def _im2col(x: Tensor, layout: Layout) -> Tensor:
    windows = layout.windows(padded(x.value, ((0, 0), (0, 0), *layout.padding), "im2col"))
    rank = len(layout.kernel)
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    rows, positions = x.shape[1] * math.prod(layout.kernel), math.prod(layout.output)
    value = windows.transpose(order).reshape(x.shape[0], rows, positions)  # (N, C, *kernel, *output) -> (N, C*k, L)
    return record("im2col", value, (x,), (lambda g: _col2im(g, layout),))


def _col2im(cols: Tensor, layout: Layout) -> Tensor:
    batch, channels = cols.shape[0], cols.shape[1] // math.prod(layout.kernel)
    entries = cols.value.reshape(batch, channels, *layout.kernel, *layout.output)
    image: Array = np.zeros((batch, channels, *layout.padded_sizes), cols.dtype)
    windows = layout.windows(image, writeable=True)
    for tap in product(*map(range, layout.kernel)):  # one tap reads no place twice, so adding in place loses nothing
        windows[at(..., *tap)] += entries[at(slice(None), slice(None), *tap)]
    inside = padded(image, ((0, 0), (0, 0), *((-before, -after) for before, after in layout.padding)), "col2im")
    return record("col2im", inside, (cols,), (lambda g: _im2col(g, layout),))


@operation("x", "w", "b")
def locally_connected(x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """`conv` with filters of their own at every position: x (N, C, *spatial), w (*output, K, C, *kernel), plus b
    (K, *output), or (K,) for all positions: (N, K, *output).

    Arguments as in `conv`. Raises `ShapeError` where w is not for as many positions or channels. Source: Y. Taigman et
    al., "DeepFace" (2014), section 3.

    >>> locally_connected([[[1, 2, 3]]], [[[[1, 1]]], [[[10, 100]]]]).numpy().tolist()
    [[[3, 320]]]
    """
    x, w = _planes("locally_connected", x), operand(w, "locally_connected")
    rank = x.ndim - 2
    if w.ndim != 2 * rank + 2 or 0 in w.shape:
        raise ShapeError(
            f"locally_connected: weights {w.shape} for input {x.shape} must be (*output, K, C, *kernel), "
            f"{2 * rank + 2} axes, none empty"
        )
    filters, kernel = w.shape[rank], w.shape[rank + 2 :]
    layout = _layout("locally_connected", x.shape[2:], kernel, stride, padding, dilation)
    if w.shape[:rank] != layout.output or w.shape[rank + 1] != x.shape[1]:
        raise ShapeError(
            f"locally_connected: weights {w.shape} are for output {w.shape[:rank]} and {w.shape[rank + 1]} channels, "
            f"the input {x.shape} has output {layout.output} and {x.shape[1]} channels"
        )
    cols = _im2col(x, layout)  # (N, C*k, L)
    rows = reshape(w, (cols.shape[2], filters, cols.shape[1]))  # (L, K, C*k)
    y = _products(transpose(cols, (2, 0, 1)), transpose(rows, (0, 2, 1)))  # (L, N, K)
    y = reshape(transpose(y, (1, 2, 0)), (x.shape[0], filters, *layout.output))
    return y if b is None else add(y, _bias(b, y.shape[1:]))


def _products(a: Tensor, b: Tensor) -> Tensor:
    """A matrix product for every position: (L, n, m) and (L, m, k) -> (L, n, k)."""
    return record(
        "products",
        np.matmul(a.value, b.value),
        (a, b),
        (lambda g: _products(g, transpose(b, (0, 2, 1))), lambda g: _products(transpose(a, (0, 2, 1)), g)),
    )


def _bias(b: Any, shape: tuple[int, ...]) -> Tensor:
    """(K, *output) as it is, (K,) for all positions."""
    bias = operand(b, "locally_connected")
    if bias.shape == shape:
        return bias
    if bias.shape != shape[:1]:
        raise ShapeError(f"locally_connected: bias of shape {bias.shape}; it must be {shape} or {shape[:1]}")
    return reshape(bias, (-1, *(1 for _ in shape[1:])))
