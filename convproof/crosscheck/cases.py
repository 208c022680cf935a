"""What the bridge draws: layers, sizes and integer data, as Hypothesis strategies.

A case is plain data that prints as a call and holds a seed for its numbers, so that a failure can be pasted and
replayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from convproof.architecture import AvgPool, Conv, Input, Layer, Linear, MaxPool, Network, ReLU

HALF_RANGE = 2**15
"""Integers are drawn from -HALF_RANGE..HALF_RANGE-1, so that cubic forms of the drawn sizes stay exact in int64."""

DRAW_SET = 2 * HALF_RANGE

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class ConvCase:
    """A convolution: x (batch, groups*c, *sizes) with w (groups*k, c, *kernel)."""

    batch: int
    groups: int
    c: int
    k: int
    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    seed: int = 0

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, C, *sizes)."""
        return (self.batch, self.groups * self.c, *self.sizes)

    @property
    def w_shape(self) -> tuple[int, ...]:
        """(K, C/groups, *kernel)."""
        return (self.groups * self.k, self.c, *self.kernel)

    @property
    def layer(self) -> Conv:
        """The same as a layer."""
        return Conv(self.w_shape[0], self.kernel, self.stride, self.padding, self.dilation, self.groups)

    def options(self) -> dict[str, Any]:
        """The keyword arguments of `autograd.conv`."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    def integers(self, *shapes: tuple[int, ...]) -> list[Array]:
        """Arrays of random int64 numbers, the same for the same seed."""
        rng = np.random.default_rng(self.seed)
        return [rng.integers(-HALF_RANGE, HALF_RANGE, shape) for shape in shapes]


@dataclass(frozen=True)
class PoolCase:
    """A pooling of x (batch, channels, *sizes)."""

    batch: int
    channels: int
    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    ceil_mode: bool = False
    seed: int = 0

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, C, *sizes)."""
        return (self.batch, self.channels, *self.sizes)


@st.composite
def conv_cases(draw: st.DrawFn, max_rank: int = 3, largest: int = 4, symbolic: bool = False) -> ConvCase:
    """Convolutions of rank 1 to `max_rank` with stride, dilation, groups, asymmetric padding, and always one window.

    With `symbolic` they stay so small that every entry can be a letter.
    """
    rank = draw(st.integers(1, min(max_rank, 2) if symbolic else max_rank))
    few = st.integers(1, 2)
    groups, c, k, batch = draw(few), draw(few), draw(few), draw(st.integers(1, 1 if symbolic else 3))
    axes = [_axis(draw, 2 if symbolic and rank == 2 else min(largest, 3) if symbolic else largest) for _ in range(rank)]
    sizes, kernel, stride, padding, dilation = (tuple(each) for each in zip(*axes, strict=True))
    return ConvCase(batch, groups, c, k, sizes, kernel, stride, padding, dilation, draw(st.integers(0, 2**32 - 1)))


def _axis(draw: st.DrawFn, largest: int) -> tuple[int, int, int, tuple[int, int], int]:
    """(size, kernel, stride, (before, after), dilation) with room for one window."""
    kernel, stride, dilation = (draw(st.integers(1, m)) for m in (largest, largest + 2, min(largest, 3)))
    before, after = draw(st.integers(0, largest - 1)), draw(st.integers(0, largest - 1))
    needed = dilation * (kernel - 1) + 1 - before - after
    more = draw(st.sampled_from((0, 1)) | st.integers(0, largest))
    return max(1, needed) + more, kernel, stride, (before, after), dilation


@st.composite
def pool_cases(draw: st.DrawFn, max_rank: int = 3) -> PoolCase:
    """Poolings of rank 1 to `max_rank`, with overlap, gaps, remainders, ceil mode, padding of half a window at most."""
    rank = draw(st.integers(1, max_rank))
    axes = []
    for _ in range(rank):
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        pads = (draw(st.integers(0, kernel // 2)), draw(st.integers(0, kernel // 2)))
        axes.append((max(1, kernel - sum(pads)) + draw(st.integers(0, 5)), kernel, stride, pads))
    sizes, kernels, strides, padding = (tuple(each) for each in zip(*axes, strict=True))
    batch, channels = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return PoolCase(
        batch, channels, sizes, kernels, strides, padding, draw(st.booleans()), draw(st.integers(0, 2**32 - 1))
    )


@st.composite
def chains(draw: st.DrawFn, max_layers: int = 4, ending: bool = True) -> Network:
    """Chains of conv (with groups), pooling and ReLU layers on one or two axes that every window fits into.

    With `ending` a fully connected layer may come last.
    """
    rank = draw(st.integers(1, 2))
    layers = [draw(_layers(rank, ("conv", "max", "avg"))), *draw(st.lists(_layers(rank), max_size=max_layers - 1))]
    needed = 1
    for layer in reversed(layers):
        if not isinstance(layer, ReLU):  # room for the padding too, so that some output sees no padding
            needed = max((needed - 1) * s + d * (k - 1) + 1 + p for s, d, k, p in _numbers(layer, rank))
    sizes = tuple(needed + draw(st.integers(0, 6)) for _ in range(rank))
    last = [Linear(draw(st.integers(1, 3)), draw(st.booleans()))] if ending and draw(st.booleans()) else []
    return Network.chain([Input(2, sizes), *layers, *last])


def _numbers(layer: Any, rank: int) -> list[tuple[int, int, int, int]]:
    return [(axis.stride, axis.dilation, axis.kernel, axis.before + axis.after) for axis in layer.axes(rank)]


@st.composite
def _layers(draw: st.DrawFn, rank: int, kinds: tuple[str, ...] = ("conv", "max", "avg", "relu")) -> Layer:
    kind = draw(st.sampled_from(kinds))
    if kind == "relu":
        return ReLU()
    kernel, stride = (tuple(draw(st.integers(1, 3)) for _ in range(rank)) for _ in range(2))
    pads = tuple((draw(st.integers(0, k // 2)), draw(st.integers(0, k // 2))) for k in kernel)
    if kind == "conv":
        dilation = tuple(draw(st.integers(1, 2)) for _ in range(rank))
        return Conv(2, kernel, stride, pads, dilation, draw(st.integers(1, 2)), draw(st.booleans()))
    return MaxPool(kernel, stride, pads) if kind == "max" else AvgPool(kernel, stride, pads)
