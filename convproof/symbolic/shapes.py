"""Output sizes: one rule a layer kind. A shape is (C, *spatial) or, after flattening, (units,)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache, singledispatch

from convproof.architecture import (
    SIZED_LIKE,
    Activation,
    AdaptivePool,
    Add,
    Affine,
    AvgPool,
    Axis,
    BatchNorm,
    ChannelShuffle,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalPool,
    GroupNorm,
    Input,
    InstanceNorm,
    Layer,
    Linear,
    LocalResponseNorm,
    LpPool,
    MaxPool,
    Multiply,
    Pad,
    PadTo,
    PixelShuffle,
    PixelUnshuffle,
    ReLU,
    Resize,
    Scale,
    Slice,
    Softmax,
    Unknown,
    Upsample,
)
from convproof.errors import MissingRule, ShapeError, Undecided
from convproof.symbolic import window
from convproof.symbolic.floordiv import Size, floordiv, normal, size

Shape = tuple[Size, ...]


@singledispatch
def output_shape(layer: Layer, *inputs: Shape) -> Shape:
    """The shape that `layer` makes of the shapes of its operands, in numbers or letters.

    Raises `ShapeError` where they do not go together. For a letter, the formula holds wherever every window fits.

    >>> from convproof.architecture import Conv
    >>> output_shape(Conv(96, 11, stride=4), (3, 227, 227))
    (96, 55, 55)
    >>> output_shape(Conv("K", "F", "S", "P"), ("C", "W"))
    (K, (-F + 2*P + W)//S + 1)
    """
    raise MissingRule("output size", layer)


@output_shape.register
def _(layer: Input) -> Shape:
    return (size(layer.channels), *map(size, layer.sizes))


@output_shape.register
def _(layer: Conv, x: Shape) -> Shape:
    in_channels(layer, x)
    return (size(layer.out_channels), *_windows(layer, x))


@output_shape.register
def _(layer: ConvTranspose, x: Shape) -> Shape:
    in_channels(layer, x)
    axes, extra = layer.axes(_rank(layer, x)), layer.output_paddings(len(x) - 1)
    sizes = [window.transposed_count(*each) for each in zip(axes, map(size, x[1:]), extra, strict=True)]
    for number, (axis, padding, out) in enumerate(zip(axes, extra, sizes, strict=True)):
        place = f"{type(layer).__name__}, spatial axis {number}"
        if isinstance(out, int) and out < 1:
            raise ShapeError(f"{place}: the output size would be {out}; use less padding or a larger input")
        limit = (
            max(axis.stride, axis.dilation) if isinstance(axis.stride, int) and isinstance(axis.dilation, int) else 0
        )
        if limit and isinstance(padding, int) and padding >= limit:
            raise ShapeError(
                f"{place}: output_padding={padding} must be less than stride or dilation, at most {limit - 1}"
            )
    return (size(layer.out_channels), *sizes)


@output_shape.register
def _(layer: MaxPool | AvgPool | LpPool | Pad, x: Shape) -> Shape:
    return (size(x[0]), *_windows(layer, x))


@output_shape.register
def _(layer: Upsample, x: Shape) -> Shape:
    axes = layer.axes(_rank(layer, x))
    return (size(x[0]), *(window.transposed_count(axis, size(n)) for axis, n in zip(axes, x[1:], strict=True)))


@output_shape.register
def _(layer: PixelShuffle, x: Shape) -> Shape:
    axes, block = layer.axes(_rank(layer, x)), block_size(layer, x)
    if isinstance(x[0], int) and isinstance(block, int) and x[0] % block:
        raise ShapeError(f"PixelShuffle: blocks of {block} do not divide the {x[0]} channels")
    sizes = (window.transposed_count(axis, size(n)) for axis, n in zip(axes, x[1:], strict=True))
    return (normal(size(x[0]) / size(block)) if not isinstance(x[0], int) else floordiv(x[0], block), *sizes)


@output_shape.register
def _(layer: PixelUnshuffle, x: Shape) -> Shape:
    for number, (axis, n) in enumerate(zip(layer.axes(_rank(layer, x)), x[1:], strict=True)):
        rest = normal(n - axis.stride * floordiv(n, axis.stride)) if isinstance(axis.stride, int) else 0
        if isinstance(rest, int) and rest:
            raise ShapeError(
                f"PixelUnshuffle, spatial axis {number}: blocks of {axis.stride} do not fill {n} positions; give it "
                f"{n - rest} or {n - rest + axis.stride}"
            )
    factor = size(layer.downscale_factor)
    return (normal(size(x[0]) * block_size(layer, x)), *(floordiv(n, factor) for n in x[1:]))


def block_size(layer: PixelShuffle | PixelUnshuffle, x: Shape) -> Size:
    """How many positions a block has."""
    return product(tuple(axis.kernel for axis in layer.axes(len(x) - 1)))


@output_shape.register
def _(layer: AdaptivePool, x: Shape) -> Shape:
    return (size(x[0]), *map(size, layer.sizes(_rank(layer, x))))


@output_shape.register
def _(layer: GlobalPool, x: Shape) -> Shape:
    return (size(x[0]), *(1 for _ in range(_rank(layer, x))))


@output_shape.register
def _(layer: Linear, x: Shape) -> Shape:
    return (size(layer.out_features),)


@output_shape.register
def _(layer: Flatten, x: Shape) -> Shape:
    return (product(x),)


@output_shape.register
def _(
    layer: ReLU | Activation | Dropout | Softmax | BatchNorm | InstanceNorm | Affine | LocalResponseNorm,
    x: Shape,
) -> Shape:
    return tuple(map(size, x))


@output_shape.register
def _(layer: GroupNorm | ChannelShuffle, x: Shape) -> Shape:
    _divided(layer, x)
    return tuple(map(size, x))


@output_shape.register
def _(layer: Slice, x: Shape) -> Shape:
    start, stop = size(layer.start), size(layer.stop)
    if isinstance(lacking := normal(stop - x[0]), int) and lacking > 0:
        raise ShapeError(f"Slice: channels {start} to {stop} are asked of {x[0]}; stop at {x[0]}")
    return (normal(stop - start), *map(size, x[1:]))


@output_shape.register
def _(layer: Unknown, *inputs: Shape) -> Shape:
    raise Undecided(f"nothing is known about the operation {layer.op}")


@output_shape.register
def _(layer: Add | Multiply, *inputs: Shape) -> Shape:
    first = inputs[0]
    for other in inputs[1:]:
        _agree(layer, first, other, range(len(first)))
    return first


@output_shape.register
def _(layer: Scale, x: Shape, factors: Shape) -> Shape:
    per_channel = (x[0], *(1 for _ in x[1:]))
    _agree(layer, per_channel if len(factors) > 1 else (x[0],), factors, range(len(factors)))
    return x


@output_shape.register
def _(layer: Resize | PadTo, x: Shape, like: Shape) -> Shape:
    if len(x) != len(like):
        raise ShapeError(f"{type(layer).__name__}: branches of shapes {x} and {like} have different ranks")
    _rank(layer, x)
    return (x[0], *like[1:])


@output_shape.register
def _(layer: Concat, *inputs: Shape) -> Shape:
    first = inputs[0]
    for other in inputs[1:]:
        _agree(layer, first, other, range(1, len(first)))
    return (normal(sum(x[0] for x in inputs)), *first[1:])


def agreeing(layer: Layer, inputs: Sequence[Shape]) -> Iterator[tuple[Size, Size]]:
    """The sizes of a merge's operands that must be equal, in pairs."""
    first = inputs[0]
    for other in () if isinstance(layer, SIZED_LIKE) else inputs[1:]:
        if isinstance(layer, Scale):
            yield from zip((first[0], *(1 for _ in other[1:])), other, strict=True)
        else:
            skipped = isinstance(layer, Concat)  # channels may differ
            yield from zip(first[skipped:], other[skipped:], strict=True)


def product(shape: Shape) -> Size:
    """The number of values of a shape."""
    return normal(math.prod(map(size, shape)))


def in_channels(layer: Conv | ConvTranspose, x: Shape) -> Size:
    """The channels that one filter sees: C / groups. Raises `ShapeError` if the groups do not divide the channels."""
    _rank(layer, x)
    return _divided(layer, x)


def _divided(layer: Conv | ConvTranspose | GroupNorm | ChannelShuffle, x: Shape) -> Size:
    channels, groups = size(x[0]), size(layer.groups)
    if isinstance(channels, int) and isinstance(groups, int):
        if channels % groups:
            raise ShapeError(f"{type(layer).__name__}: groups={groups} does not divide the {channels} input channels")
        return channels // groups
    return normal(channels / groups)


def _rank(layer: Layer, x: Shape) -> int:
    if len(x) < 2:
        raise ShapeError(f"{type(layer).__name__}: needs an input with spatial axes, got shape {tuple(x)}")
    return len(x) - 1


def _windows(layer: Conv | MaxPool | AvgPool | LpPool | Pad, x: Shape) -> Shape:
    sizes = []
    ceil_mode = getattr(layer, "ceil_mode", False)
    for number, (axis, n) in enumerate(zip(placed_axes(layer, x), map(size, x[1:]), strict=True)):
        out = window.count(axis, n, ceil_mode)
        if isinstance(layer, Pad):
            lacking = [room for room in pad_rooms(layer, axis, n) if isinstance(room, int) and room < 0]
            if lacking:
                raise ShapeError(
                    f"Pad, spatial axis {number}: {layer.mode} needs {n - min(lacking)} positions, not {n}"
                )
        if not ceil_mode or (isinstance(out, int) and out < 1):
            window.require_window(axis, n, f"{type(layer).__name__}, spatial axis {number}")
        if needs_image(layer) and isinstance(n, int) and window.in_numbers(axis) and window.hidden(axis, n, ceil_mode):
            raise ShapeError(
                f"{type(layer).__name__}, spatial axis {number}: at size {n} a window lies wholly in padding; "
                "pad or dilate less"
            )
        sizes.append(out)
    return tuple(sizes)


@lru_cache(maxsize=4096)
def placed_axes(layer: Conv | MaxPool | AvgPool | LpPool | Pad, x: Shape) -> tuple[Axis, ...]:
    """The layer's windows on an input of shape x, whose sizes say how much padding SAME is."""
    return tuple(window.placed(axis, size(n)) for axis, n in zip(layer.axes(_rank(layer, x)), x[1:], strict=True))


def pad_rooms(layer: Pad, axis: Axis, n: Size) -> tuple[Size, ...]:
    """How many positions more there are than padding by the image itself needs, on either side."""
    needed = {"reflect": 1, "circular": 0}.get(layer.mode)
    return () if needed is None else tuple(normal(n - needed - size(pad)) for pad in (axis.before, axis.after))


def needs_image(layer: Layer) -> bool:
    """Whether a window wholly in padding has no meaning: no maximum, or nothing to average."""
    return isinstance(layer, MaxPool) or (isinstance(layer, AvgPool) and not layer.count_include_pad)


def _agree(layer: Layer, first: Shape, other: Shape, axes: range) -> None:
    """Raises `ShapeError` if two shapes differ plainly; shapes in letters may still differ for some sizes."""
    if len(first) != len(other):
        raise ShapeError(f"{type(layer).__name__}: branches of shapes {first} and {other} have different ranks")
    for axis in axes:
        difference = normal(first[axis] - other[axis])
        if isinstance(difference, int) and difference:
            raise ShapeError(
                f"{type(layer).__name__}: branches have shapes {first} and {other}, which differ on axis {axis}"
            )
