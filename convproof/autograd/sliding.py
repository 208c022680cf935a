"""Windows over arrays, and the simplest algorithm for the three contractions of `convolution`: one window at a time.

Everything here comes down to one sliding product, `_slide`:

- the gradient to x slides the spatially flipped, channel-transposed filters over the cotangent stuffed with stride-1
  zeros;
- the gradient to w slides the cotangent, dilated by the stride, over the input with steps of `dilation`; nothing is
  flipped there.

No output size is computed here: the number of windows is that of the places where one can start.
Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016), section 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from convproof.autograd.arguments import Pairs
from convproof.autograd.shaping import padded
from convproof.autograd.tape import Array


@dataclass(frozen=True)
class Geometry:
    """stride, padding and dilation per spatial axis, the number of groups, and the algorithm."""

    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    groups: int
    algorithm: str

    def starts(self, sizes: Sequence[int], kernel: Sequence[int]) -> tuple[range, ...]:
        """Per axis, where the windows over an input of these sizes start; padding lies below 0 and beyond the sizes."""
        axes = zip(sizes, kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple(range(-before, n + after - d * (k - 1), s) for n, k, s, (before, after), d in axes)

    def spatial(self, pads: Sequence[tuple[int, int]]) -> Pairs:
        """Pads of the spatial axes, as those of all axes."""
        return ((0, 0), (0, 0), *pads)


def at(*parts: Any) -> Any:
    """An index made of slices, numbers and `...`."""
    return parts


def blocks(images: int, rows: int, row: int, limit: int) -> Iterator[tuple[slice, slice]]:
    """Slices of images and of their rows, which together cover all: at most `limit` elements at a time, of which a row
    has `row`, or else one row.
    """
    fitting = max(1, limit // max(1, row))
    count = -(-rows // fitting)
    height = -(-rows // count)
    together = max(1, fitting // rows)
    for image in range(0, images, together):
        for first in range(0, rows, height):
            yield slice(image, min(image + together, images)), slice(first, min(first + height, rows))


# --- the three contractions -------------------------------------------------------------------------------------------


def conv(x: Array, w: Array, geometry: Geometry) -> Array:
    """x (N, C, *sizes) with w (K, C/groups, *kernel): (N, K, *output)."""
    inside = padded(x, geometry.spatial(geometry.padding), "conv")
    return _by_groups(inside, w, geometry.stride, geometry.dilation, geometry.groups)


def input_gradient(g: Array, w: Array, sizes: tuple[int, ...], geometry: Geometry) -> Array:
    """g (N, K, *output) with w (K, C/groups, *kernel): (N, C, *sizes)."""
    reach = [d * (k - 1) for d, k in zip(geometry.dilation, w.shape[2:], strict=True)]
    stuffed = _stuffed(g, geometry.stride)
    pads = [
        (r - before, n + before - length)  # room for the flipped filter, then whatever makes the length n + r
        for r, n, (before, _), length in zip(reach, sizes, geometry.padding, stuffed.shape[2:], strict=True)
    ]
    wide = padded(stuffed, geometry.spatial(pads), "conv_input_gradient")
    return _by_groups(wide, flipped(w, geometry.groups), (1,) * len(sizes), geometry.dilation, geometry.groups)


def weight_gradient(g: Array, x: Array, kernel: tuple[int, ...], geometry: Geometry) -> Array:
    """g (N, K, *output) with x (N, C, *sizes): (K, C/groups, *kernel)."""
    inside = padded(x, geometry.spatial(geometry.padding), "conv_weight_gradient")
    filters = g.swapaxes(0, 1)  # (N, K, *output) -> (K, N, *output)
    parts = [
        _slide(images.swapaxes(0, 1), f, geometry.dilation, geometry.stride)  # (C/G, K/G, *>=kernel)
        for images, f in zip(
            np.split(inside, geometry.groups, axis=1), np.split(filters, geometry.groups, axis=0), strict=True
        )
    ]
    whole = np.concatenate(parts, axis=1).swapaxes(0, 1)  # (C/G, K, ...) -> (K, C/G, ...)
    value: Array = whole[at(..., *(slice(k) for k in kernel))]
    return value


# --- the sliding product ----------------------------------------------------------------------------------------------


def _slide(x: Array, w: Array, stride: Sequence[int], dilation: Sequence[int]) -> Array:
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
            y[at(n, k, *(place for place, _ in o))] = (x[at(n, slice(None), *window)] * w[k]).sum()
    return y


def _by_groups(x: Array, w: Array, stride: Sequence[int], dilation: Sequence[int], groups: int) -> Array:
    """The sliding product of x (N, C, *padded) with w (K, C/groups, *kernel), group by group: (N, K, *windows)."""
    parts = zip(np.split(x, groups, axis=1), np.split(w, groups, axis=0), strict=True)
    return np.concatenate([_slide(a, f, stride, dilation) for a, f in parts], axis=1)


def _stuffed(g: Array, stride: Sequence[int]) -> Array:
    """g with stride-1 zeros between neighbours along each spatial axis."""
    if all(s == 1 for s in stride):
        return g
    wide: Array = np.zeros(
        (*g.shape[:2], *((n - 1) * s + 1 for n, s in zip(g.shape[2:], stride, strict=True))), g.dtype
    )
    wide[at(..., *(slice(None, None, s) for s in stride))] = g
    return wide


def flipped(w: Array, groups: int) -> Array:
    """Filters turned round in space and transposed in channels: (K, C/G, *kernel) -> (C, K/G, *kernel)."""
    filters, channels, *kernel = w.shape
    blocks: Array = w.reshape(groups, filters // groups, channels, *kernel)  # (G, K/G, C/G, *kernel)
    swapped: Array = blocks.swapaxes(1, 2).reshape(groups * channels, filters // groups, *kernel)
    turned: Array = swapped[at(..., *(slice(None, None, -1) for _ in kernel))]
    return turned
