"""Which positions of its inputs an output of a layer reads, along an axis: one rule a kind.

A `Relation` takes the number of an output to the positions that it reads. Receptive fields, alignment, what no output
reads and what an input reaches are folds over these, in `field`. Source: V. Dumoulin and F. Visin, "A guide to
convolution arithmetic for deep learning" (2016).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import singledispatch

import sympy

from convproof.architecture import Axis, Layer, layers
from convproof.architecture.behaviour import Pointwise, Transposed, Windowed
from convproof.errors import MissingRule, Undecided
from convproof.symbolic import window
from convproof.symbolic.floordiv import Size, floordiv, normal, size
from convproof.symbolic.shapes import Shape


def in_numbers(*values: Size) -> bool:
    """Whether none of these is a letter or an expression."""
    return all(isinstance(each, int) for each in values)


class Relation:
    """Which positions an output reads. `period` is (outputs, positions): the output so many further reads the same
    positions, so much further on. Both are only asked of relations in numbers.
    """

    @property
    def period(self) -> tuple[int, int]:
        """(outputs, positions)."""
        raise NotImplementedError

    def inputs(self, output: int) -> Sequence[int]:
        """The positions that an output reads, in order; some may lie outside of the input, where padding is."""
        raise NotImplementedError

    @property
    def centre(self) -> tuple[Size, Size]:
        """(step, place): the middle of what output o reads is step*o + place."""
        raise NotImplementedError

    @property
    def in_numbers(self) -> bool:
        """Whether it has no letters."""
        raise NotImplementedError


@dataclass(frozen=True)
class Window(Relation):
    """Output o reads `count` positions, `dilation` apart, from first + step*o on."""

    first: Size = 0
    count: Size = 1
    step: Size = 1
    dilation: Size = 1

    @property
    def period(self) -> tuple[int, int]:
        """One output, `step` positions."""
        return 1, self.step

    def inputs(self, output: int) -> Sequence[int]:
        """The window."""
        start = self.first + self.step * output
        return range(start, start + self.dilation * (self.count - 1) + 1, self.dilation)

    @property
    def span(self) -> Size:
        """How many positions lie between the first and the last, both included."""
        return normal((self.count - 1) * self.dilation + 1)

    @property
    def centre(self) -> tuple[Size, Size]:
        """The middle of the window."""
        return self.step, normal(self.first + (self.span - 1) * sympy.Rational(1, 2))

    @property
    def in_numbers(self) -> bool:
        """Whether it has no letters."""
        return in_numbers(self.first, self.count, self.step, self.dilation)


SAME = Window()
"""An output reads its own position."""


@dataclass(frozen=True)
class Spread(Relation):
    """Every input i is spread over the outputs stride*i + dilation*tap - before; an output reads the inputs that it is
    among the outputs of.
    """

    axis: Axis

    @property
    def period(self) -> tuple[int, int]:
        """`stride` outputs, one position."""
        return self.axis.stride, 1

    def inputs(self, output: int) -> Sequence[int]:
        """The inputs of which some tap falls on the output: stride*i = place modulo dilation."""
        axis, place = self.axis, output + self.axis.before
        low, high = -floordiv(axis.dilation * (axis.kernel - 1) - place, axis.stride), floordiv(place, axis.stride)
        common = math.gcd(axis.stride, axis.dilation)
        step = axis.dilation // common
        if place % common:
            return ()
        first = place // common * pow(axis.stride // common, -1, step)
        return range(low + (first - low) % step, high + 1, step)

    @property
    def centre(self) -> tuple[Size, Size]:
        """The centre of the windows that it transposes, the other way round."""
        step = sympy.Integer(1) / size(self.axis.stride)
        middle = (window.span(self.axis) - 1) * sympy.Rational(1, 2) - size(self.axis.before)
        return normal(step), normal(-middle * step)

    @property
    def in_numbers(self) -> bool:
        """Whether it has no letters."""
        return in_numbers(self.axis.kernel, self.axis.stride, self.axis.before, self.axis.dilation)


@dataclass(frozen=True)
class Fitted(Relation):
    """`outputs` positions are made of `positions`: of all between o*n/m and (o + 1)*n/m ("adaptive"), of the one at
    o*n/m ("nearest"), or of the two around (o + 1/2)*n/m - 1/2 ("bilinear").
    """

    positions: int
    outputs: int
    how: str

    @property
    def period(self) -> tuple[int, int]:
        """n/m in least terms."""
        common = math.gcd(self.positions, self.outputs)
        return self.outputs // common, self.positions // common

    def inputs(self, output: int) -> Sequence[int]:
        """What lies there; beyond the border stands the last position."""
        n, m = self.positions, self.outputs
        if self.how == "adaptive":
            return range(floordiv(output * n, m), -floordiv(-(output + 1) * n, m))
        if self.how == "nearest":
            return [floordiv(output * n, m)]
        low, part = divmod((2 * output + 1) * n - m, 2 * m)
        return [low, low + 1] if part else [low]

    @property
    def centre(self) -> tuple[Size, Size]:
        """The place on a finer grid."""
        n, m = self.positions, self.outputs
        step = sympy.Rational(n, m)
        if self.how == "nearest":  # rounded down, by half of the largest remainder on average
            return step, sympy.Rational(math.gcd(n, m), 2 * m) - sympy.Rational(1, 2)
        return step, normal(step / 2 - sympy.Rational(1, 2))

    @property
    def in_numbers(self) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Everything(Relation):
    """Every output reads all of `count` positions."""

    count: Size

    @property
    def period(self) -> tuple[int, int]:
        """Every output reads the same."""
        return 1, 0

    def inputs(self, output: int) -> Sequence[int]:
        """All positions."""
        return range(self.count)

    @property
    def in_numbers(self) -> bool:
        """Whether it has no letters."""
        return in_numbers(self.count)


Relations = tuple[Relation, ...]
Reads = tuple[Relations | None, ...]


def positions_of(shape: Shape, rank: int) -> Shape:
    """The spatial sizes of a shape; a vector has a single position."""
    return shape[1:] or (1,) * rank


@singledispatch
def reads(layer: Layer, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    """For each operand, what the outputs read of it along each of `rank` axes; None for one whose values are not read.

    Raises `Undecided` where it is not known.

    >>> from convproof.architecture import Conv
    >>> reads(Conv(8, 3, stride=2, padding=1), [(3, 10)], (8, 5), 1)
    ((Window(first=-1, count=3, step=2, dilation=1),),)
    """
    raise MissingRule("reads", layer)


@reads.register
def _(layer: layers.Input, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    return ()


@reads.register
def _(layer: Windowed, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    axes = window.placed_axes(layer, inputs[0])
    return (tuple(Window(normal(-size(a.before)), size(a.kernel), size(a.stride), size(a.dilation)) for a in axes),)


@reads.register
def _(layer: layers.Pad, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    if layer.mode != "zeros":
        raise Undecided(f"Pad: what {layer.mode} puts at the border reads the image again")
    return reads.dispatch(Windowed)(layer, inputs, output, rank)


@reads.register
def _(layer: Transposed, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    return (tuple(map(Spread, layer.axes(rank))),)


@reads.register
def _(layer: layers.Upsample, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    if layer.mode == "nearest":
        return reads.dispatch(Transposed)(layer, inputs, output, rank)
    return (tuple(_fitted(layer, layer.mode, 1, size(axis.stride)) for axis in layer.axes(rank)),)


@reads.register
def _(layer: layers.Resize, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    pairs = zip(inputs[0][1:], output[1:], strict=True)
    return tuple(_fitted(layer, layer.mode, *pair) for pair in pairs), None


def _fitted(layer: Layer, how: str, n: Size, m: Size) -> Relation:
    kind = type(layer).__name__
    if how == "other":
        raise Undecided(f"{kind}: which positions its interpolation reads is not known")
    if not in_numbers(n, m):
        raise Undecided(f"{kind}: which of {n} positions {m} outputs read is known only in numbers")
    return Fitted(n, m, how)


@reads.register
def _(layer: layers.AdaptivePool, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    pairs = zip(inputs[0][1:], output[1:], strict=True)
    return (tuple(Window(0, n) if m == 1 else _fitted(layer, "adaptive", n, m) for n, m in pairs),)


@reads.register
def _(layer: layers.PadTo, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    pairs = zip(inputs[0][1:], output[1:], strict=True)
    return tuple(Window(normal(-floordiv(normal(m - n), 2))) for n, m in pairs), None


@reads.register
def _(
    layer: layers.GlobalPool | layers.Linear | layers.Flatten, inputs: Sequence[Shape], output: Shape, rank: int
) -> Reads:
    return (tuple(Window(0, n) for n in positions_of(inputs[0], rank)),)


@reads.register
def _(layer: layers.Reshape, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    positions = positions_of(inputs[0], rank)
    if len(output) == 1:
        return (tuple(Window(0, n) for n in positions),)
    if all(n == 1 for n in positions):
        return ((Everything(1),) * rank,)
    if output == inputs[0]:
        return ((SAME,) * rank,)
    raise Undecided(f"Reshape: which of the values of {inputs[0]} lie where in {output} is not followed")


@reads.register
def _(layer: layers.GroupNorm | layers.InstanceNorm, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    return (tuple(map(Everything, positions_of(inputs[0], rank))),)


@reads.register
def _(layer: Pointwise, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    return ((SAME,) * rank,)


@reads.register
def _(layer: layers.Add | layers.Multiply, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    return tuple(tuple(_repeated(layer, *pair) for pair in _pairs(x, output, rank)) for x in inputs)


@reads.register
def _(layer: layers.Concat, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    return tuple((SAME,) * rank for _ in inputs)


@reads.register
def _(layer: layers.Scale, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    return (SAME,) * rank, (Everything(1),) * rank


def _pairs(x: Shape, output: Shape, rank: int) -> Iterable[tuple[Size, Size]]:
    return zip(positions_of(x, rank), positions_of(output, rank), strict=True)


def _repeated(layer: Layer, n: Size, m: Size) -> Relation:
    """A single position is repeated for all outputs."""
    if n == m:
        return SAME
    if n == 1:
        return Everything(1)
    if in_numbers(n, m) or not getattr(layer, "broadcast", False):
        return SAME
    raise Undecided(f"{type(layer).__name__}: whether {n} positions are repeated to {m} depends on the size")


@reads.register
def _(layer: layers.Unknown, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    raise Undecided(f"nothing is known about the operation {layer.op}")


@reads.register
def _(layer: layers.Shaped, inputs: Sequence[Shape], output: Shape, rank: int) -> Reads:
    if layer.pointwise:
        return tuple((SAME,) * rank if place < layer.pointwise else None for place, _ in enumerate(inputs))
    raise Undecided(f"which positions {layer.op} reads is not followed")
