"""Receptive fields: which input positions an output position can depend on, along one spatial axis.

Output number o can depend only on the input positions i with

    offset + jump*o <= i <= offset + jump*o + size - 1,

and those outside the image are padding. Below a transposed conv all three may be fractions; the interval still holds.
Source: A. Araujo, W. Norris and J. Sim, "Computing receptive fields of convolutional neural networks" (Distill, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import sympy

from convproof.errors import MissingRule, Undecided
from convproof.spec import (
    Activation,
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
    Input,
    Layer,
    Linear,
    LocalResponseNorm,
    LpPool,
    MaxPool,
    Pad,
    ReLU,
    Softmax,
    Unknown,
    Upsample,
)
from convproof.symbolic import window
from convproof.symbolic.floordiv import Size, normal, size
from convproof.symbolic.shapes import Shape, placed_axes


@dataclass(frozen=True)
class Field:
    """Along one axis: how many positions an output sees, how far the next output's lie, where the first one's begin."""

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


Fields = tuple[Field, ...]


@singledispatch
def receptive_field(layer: Layer, fields: list[Fields], shapes: list[Shape]) -> Fields:
    """The field of a layer's output per spatial axis, from the fields and the shapes of its operands.

    A vector (after `Flatten` or `Linear`) is one output that sees what all its inputs see together.

    >>> from convproof.spec import Conv
    >>> receptive_field(Conv(8, 3), [(Field(size=3),)], [(8, 30)])
    (Field(size=5, jump=1, offset=0),)
    """
    raise MissingRule("receptive field", layer)


@receptive_field.register
def _(layer: Input, fields: list[Fields], shapes: list[Shape]) -> Fields:
    return tuple(Field() for _ in layer.sizes)


@receptive_field.register
def _(layer: Conv | MaxPool | AvgPool | LpPool | Pad, fields: list[Fields], shapes: list[Shape]) -> Fields:
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
def _(layer: Upsample, fields: list[Fields], shapes: list[Shape]) -> Fields:
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
    layer: ReLU | Activation | Dropout | Softmax | BatchNorm | Affine | ChannelShuffle | LocalResponseNorm,
    fields: list[Fields],
    shapes: list[Shape],
) -> Fields:
    return fields[0]


@receptive_field.register
def _(layer: Unknown, fields: list[Fields], shapes: list[Shape]) -> Fields:
    raise Undecided(f"nothing is known about the operation {layer.op}")


@receptive_field.register
def _(layer: Add | Concat, fields: list[Fields], shapes: list[Shape]) -> Fields:
    extents = shapes[0][1:] or tuple(1 for _ in fields[0])
    return tuple(_union(layer, axis, n) for axis, n in zip(zip(*fields, strict=True), extents, strict=True))


def _union(layer: Layer, fields: tuple[Field, ...], extent: Size) -> Field:
    """The smallest field that holds all of them; branches of more than one output must move at the same pace."""
    kind = type(layer).__name__
    if extent != 1 and any(normal(field.jump - fields[0].jump) != 0 for field in fields):
        jumps = ", ".join(str(field.jump) for field in fields)
        raise Undecided(
            f"{kind}: the branches move by different steps ({jumps}), so no single field describes the merge"
        )
    starts = [field.offset for field in fields]
    ends = [normal(field.offset + field.size) for field in fields]
    if not all(isinstance(each, int) for each in starts + ends):
        if len(set(fields)) == 1:
            return fields[0]
        raise Undecided(f"{kind}: the branches' fields {', '.join(map(str, fields))} are compared only in numbers")
    return Field(max(ends) - min(starts), fields[0].jump, min(starts))
