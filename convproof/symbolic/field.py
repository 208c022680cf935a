"""Receptive fields: which input positions an output position can depend on, along one spatial axis, over all paths.

Output number o can depend only on the input positions i with

    offset + jump*o <= i <= offset + jump*o + size - 1,

and those outside the image are padding. Below a transposed conv all three may be fractions; the interval still holds.
Elsewhere, away from the borders, o depends on both ends. Seen from the input the same relation is the projective field,
the outputs that a position reaches; `borders.reached` tells which of them do read it where taps lie apart.
Source: A. Araujo, W. Norris and J. Sim, "Computing receptive fields of convolutional neural networks" (Distill, 2019);
its effective padding is -offset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import singledispatch

import sympy

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
    Network,
    Node,
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
from convproof.errors import MissingRule, Undecided
from convproof.symbolic import window
from convproof.symbolic.floordiv import Size, floordiv, normal, size
from convproof.symbolic.shapes import Shape, placed_axes


@dataclass(frozen=True)
class Field:
    """Along one axis: how many positions an output sees, how far the next output's lie, where the first one's begin.

    >>> stem = Field().through(-3, 7, 2).through(-1, 3, 2)  # a conv of 7, stride 2, padding 3; a pool of 3, 2, 1
    >>> stem, stem.centre, stem.reached(100)
    (Field(size=11, jump=4, offset=-5), 0, (24, 26))
    """

    size: Size = 1
    jump: Size = 1
    offset: Size = 0

    def through(self, first: Size, count: Size, step: Size) -> Field:
        """The field of a layer whose output o reads positions first + step*o and count-1 more, seen through self."""
        return Field(
            normal(self.size + (count - 1) * self.jump),
            normal(self.jump * step),
            normal(self.offset + first * self.jump),
        )

    @property
    def centre(self) -> Size:
        """The middle of the first output's field, perhaps between two positions; the next one's is `jump` further."""
        return normal(self.offset + (self.size - 1) * sympy.Rational(1, 2))

    def of_all(self, count: Size) -> Field:
        """The field of `count` outputs together, which each of as many others may have in common: it does not move."""
        return Field(normal(self.size + (count - 1) * self.jump), 0, self.offset)

    def reached(self, position: Size) -> tuple[Size, Size]:
        """The first and the last output that can depend on an input position: its projective field.

        Raises `Undecided` where the field does not move, so that it is all outputs or none.
        """
        if self.jump == 0:
            raise Undecided(f"every output sees the {self.size} positions from {self.offset} on")
        last = floordiv(position - self.offset, self.jump)
        return normal(-floordiv(self.offset + self.size - 1 - position, self.jump)), last


def _is_number(value: Size) -> bool:
    return isinstance(value, (int, sympy.Rational))


Fields = tuple[Field, ...]


@singledispatch
def receptive_field(layer: Layer, fields: list[Fields], shapes: list[Shape]) -> Fields:
    """The field of a layer's output per spatial axis, from the fields and the shapes of its operands.

    A vector (after `Flatten` or `Linear`) is one output that sees what all its inputs see together.

    >>> from convproof.architecture import Conv
    >>> receptive_field(Conv(8, 3), [(Field(size=3),)], [(8, 30)])
    (Field(size=5, jump=1, offset=0),)
    """
    raise MissingRule("receptive field", layer)


@receptive_field.register
def _(layer: Input, fields: list[Fields], shapes: list[Shape]) -> Fields:
    return tuple(Field() for _ in layer.sizes)


@receptive_field.register
def _(layer: Conv | MaxPool | AvgPool | LpPool | Pad, fields: list[Fields], shapes: list[Shape]) -> Fields:
    if isinstance(layer, Pad) and layer.mode != "zeros":
        raise Undecided(f"Pad: what {layer.mode} puts at the border reads the image again")
    return tuple(
        field.through(window.position(axis, 0, 0), window.span(axis), size(axis.stride))
        for field, axis in zip(fields[0], placed_axes(layer, shapes[0]), strict=True)
    )


@receptive_field.register
def _(layer: ConvTranspose, fields: list[Fields], shapes: list[Shape]) -> Fields:
    return tuple(
        _between(f, axis, window.transposed_reach(axis))
        for f, axis in zip(fields[0], layer.axes(len(fields[0])), strict=True)
    )


@receptive_field.register
def _(layer: AdaptivePool, fields: list[Fields], shapes: list[Shape]) -> Fields:
    pairs = zip(shapes[0][1:], map(size, layer.sizes(len(fields[0]))), strict=True)
    return tuple(field.through(*_adaptive(*pair)) for field, pair in zip(fields[0], pairs, strict=True))


def require_known(layer: Upsample | Resize) -> None:
    """Raises `Undecided` for an interpolation of which nothing is known."""
    if layer.mode == "other":
        raise Undecided(f"{type(layer).__name__}: which positions its interpolation reads is not known")


def _adaptive(n: Size, m: Size) -> tuple[Size, Size, Size]:
    """first, count and step of m windows that cover n positions."""
    if m == 1:
        return 0, n, 1
    if not (isinstance(n, int) and isinstance(m, int)):
        raise Undecided(f"AdaptivePool: what {m} windows over {n} positions cover is known only in numbers")
    step, early = sympy.Rational(n, m), 1 - sympy.Rational(math.gcd(n, m), m)  # the floor of step*o to the ceiling
    return normal(-early), normal(step + 2 * early), normal(step)  # of step*(o + 1)


@receptive_field.register
def _(layer: PixelUnshuffle, fields: list[Fields], shapes: list[Shape]) -> Fields:
    factor = size(layer.downscale_factor)
    return tuple(field.through(0, factor, factor) for field in fields[0])


@receptive_field.register
def _(layer: PixelShuffle, fields: list[Fields], shapes: list[Shape]) -> Fields:
    axes = layer.axes(len(fields[0]))
    return tuple(_between(f, axis, window.transposed_reach(axis)) for f, axis in zip(fields[0], axes, strict=True))


@receptive_field.register
def _(layer: Upsample, fields: list[Fields], shapes: list[Shape]) -> Fields:
    require_known(layer)
    reach = window.transposed_reach if layer.mode == "nearest" else window.interpolated_reach
    return tuple(_between(f, axis, reach(axis)) for f, axis in zip(fields[0], layer.axes(len(fields[0])), strict=True))


def _between(field: Field, axis: Axis, reach: tuple[Size, Size]) -> Field:
    """The field of outputs that move by 1/stride, where output 0 reads from the first to the last of `reach`."""
    first, last = reach
    return field.through(first, last - first + 1, sympy.Integer(1) / size(axis.stride))


@receptive_field.register
def _(layer: GlobalPool | Linear | Flatten, fields: list[Fields], shapes: list[Shape]) -> Fields:
    spatial = shapes[0][1:] or tuple(1 for _ in fields[0])
    return tuple(field.through(0, n, 1) for field, n in zip(fields[0], spatial, strict=True))


@receptive_field.register
def _(
    layer: ReLU | Activation | Dropout | Softmax | BatchNorm | Affine | ChannelShuffle | Slice | LocalResponseNorm,
    fields: list[Fields],
    shapes: list[Shape],
) -> Fields:
    return fields[0]


@receptive_field.register
def _(layer: GroupNorm | InstanceNorm, fields: list[Fields], shapes: list[Shape]) -> Fields:
    extents = shapes[0][1:] or tuple(1 for _ in fields[0])
    return tuple(field.of_all(n) for field, n in zip(fields[0], extents, strict=True))


@receptive_field.register
def _(layer: Unknown, fields: list[Fields], shapes: list[Shape]) -> Fields:
    raise Undecided(f"nothing is known about the operation {layer.op}")


@receptive_field.register
def _(layer: Add | Multiply | Scale | Concat, fields: list[Fields], shapes: list[Shape]) -> Fields:
    extents = shapes[0][1:] or tuple(1 for _ in fields[0])
    if isinstance(layer, Scale):  # every output sees what the factors see
        fields = [fields[0], *(tuple(field.of_all(1) for field in each) for each in fields[1:])]
    return tuple(_union(layer, axis, n) for axis, n in zip(zip(*fields, strict=True), extents, strict=True))


@receptive_field.register
def _(layer: Resize, fields: list[Fields], shapes: list[Shape]) -> Fields:
    pairs = zip(shapes[0][1:], shapes[1][1:], strict=True)
    return tuple(f.through(*_resized(layer, *pair)) for f, pair in zip(fields[0], pairs, strict=True))


def _resized(layer: Resize, n: Size, m: Size) -> tuple[Size, Size, Size]:
    """first, count and step of m positions that are made of n."""
    require_known(layer)
    if not (isinstance(n, int) and isinstance(m, int)):
        raise Undecided(f"Resize: how far the outputs lie apart, {n} to {m}, is known only in numbers")
    step = sympy.Rational(n, m)
    if layer.mode == "nearest":  # the floor of step*o
        return normal(sympy.Rational(1, m) - 1), normal(2 - sympy.Rational(1, m)), normal(step)
    return normal(step / 2 - sympy.Rational(3, 2)), 3, normal(step)  # less than one away from step*(o + 1/2) - 1/2


@receptive_field.register
def _(layer: PadTo, fields: list[Fields], shapes: list[Shape]) -> Fields:
    before = (floordiv(normal(m - n), 2) for n, m in zip(shapes[0][1:], shapes[1][1:], strict=True))
    return tuple(field.through(normal(-each), 1, 1) for field, each in zip(fields[0], before, strict=True))


def operands_seen(node: Node) -> tuple[str, ...]:
    """The operands of a node whose values it takes."""
    return node.operands[:1] if isinstance(node.layer, SIZED_LIKE) else node.operands


def _union(layer: Layer, fields: tuple[Field, ...], extent: Size) -> Field:
    """The smallest field that holds all of them; branches of more than one output must move at the same pace.

    Where one does not move, all outputs see what each of them sees.
    """
    if any(field.jump == 0 for field in fields):
        fields = tuple(field.of_all(extent) for field in fields)
    elif extent != 1 and any(normal(field.jump - fields[0].jump) != 0 for field in fields):
        jumps = ", ".join(str(field.jump) for field in fields)
        raise Undecided(
            f"{type(layer).__name__}: the branches move by different steps ({jumps}), so no single field describes the "
            "merge"
        )
    first = _largest(layer, [normal(-field.offset) for field in fields])
    end = _largest(layer, [normal(field.offset + field.size) for field in fields])
    return Field(normal(first + end), fields[0].jump, normal(-first))


def _largest(layer: Layer, values: list[Size]) -> Size:
    """The value that exceeds the others by numbers. Raises `Undecided` where that hangs on letters."""
    for value in values:
        ahead = [normal(value - other) for other in values]
        if all(_is_number(n) and n >= 0 for n in ahead):
            return value
    shown = ", ".join(map(str, dict.fromkeys(values)))
    raise Undecided(f"{type(layer).__name__}: which of the branches sees farthest ({shown}) hangs on the letters")


def alignment(network: Network, shapes: Mapping[str, Shape]) -> dict[str, bool]:
    """Whether the fields of all paths from the input to a layer have one centre, at every output, by name of the layer.

    Where they have not, the branches of a merge before see the image shifted against each other. It is the condition
    on strides and on (size - 1)/2 - effective padding that google-research/receptive_field calls aligned. Raises
    `Undecided` where it hangs on letters.

    >>> from convproof.architecture.notation import network
    >>> from convproof.symbolic import output_shapes
    >>> net = network("INPUT[32x32x1] -> { CONV3-1 | ID } ADD -> { POOL2 | CONV(K=1, F=1, S=2) } CONCAT")
    >>> found = alignment(net, output_shapes(net))
    >>> found["add1"], found["concat1"]
    (True, False)
    """
    centres: dict[str, Fields | None] = {}
    for node in network:
        fields = [field for name in operands_seen(node) if (field := centres[name]) is not None]
        inputs = [shapes[name] for name in node.operands]
        if len(fields) < len(operands_seen(node)) or not _coincide(node, fields, shapes[node.name]):
            centres[node.name] = None
        else:
            in_place = len(fields) > 1 or isinstance(
                node.layer, (GroupNorm, InstanceNorm)
            )  # outputs stay where they are
            whole = fields[0] if in_place else receptive_field(node.layer, fields, inputs)
            centres[node.name] = tuple(Field(1, field.jump, field.centre) for field in whole)
    return {name: found is not None for name, found in centres.items()}


def _coincide(node: Node, fields: list[Fields], shape: Shape) -> bool:
    """Whether all operands have the same centres; a single output has no pace, and factors have no place."""
    if isinstance(node.layer, Scale):
        return True
    apart = [normal(a.centre - b.centre) for other in fields[1:] for a, b in zip(fields[0], other, strict=True)]
    for axis, extent in enumerate(shape[1:]):
        if extent != 1:
            apart += [normal(other[axis].jump - fields[0][axis].jump) for other in fields[1:]]
    if any(_is_number(difference) and difference != 0 for difference in apart):
        return False
    for difference in apart:
        if difference != 0:
            raise Undecided(f"{node.name}: the branches are aligned only where {difference} = 0")
    return True
