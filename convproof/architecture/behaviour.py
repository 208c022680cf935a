"""Groups of layer kinds, by what they do. Rules dispatch on these, so that a new kind of a group has its rules.

Layer
├── Windows          windows on one of the two sides
│   ├── Windowed     an output reads a window of the padded input       Conv, MaxPool, AvgPool, LpPool, Pad, ...
│   └── Transposed   an input is spread over a window of the output     ConvTranspose, Upsample, PixelShuffle
├── Pointwise        a position reads the same position alone           BatchNorm, Softmax, Slice, ...
│   └── Elementwise  an element reads the same element alone            ReLU, Activation, Dropout
└── Merge            several operands                                   Add, Multiply, Scale, Concat
    └── SizedLike    the first at the spatial size of the second        Resize, PadTo
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from convproof.architecture.amounts import amounts
from convproof.architecture.fields import Count, Value, is_letter, settings
from convproof.errors import ShapeError, SpecError


@dataclass(frozen=True)
class Axis:
    """How the windows of a layer lie along one spatial axis (dilation 1 is dense).

    `before` and `after` are both `SAME_UPPER`, or `SAME_LOWER`, where the padding depends on the size.
    """

    kernel: Value
    stride: Value = 1
    before: Value = 0
    after: Value = 0
    dilation: Value = 1


@dataclass(frozen=True)
class Layer:
    """A layer: frozen data whose fields are checked on construction. `words` are those of the notation that write the
    kind, each with the fields that it presets; `operands` is the least and the largest number of inputs.
    """

    words: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    operands: ClassVar[tuple[int, float]] = (1, 1)
    has_amounts: ClassVar[bool] = False
    """Whether fields are computed of sizes."""

    sizes_read: ClassVar[int] = 0
    """How many operands stand behind the others of which it takes the sizes alone, for these fields."""

    def __post_init__(self) -> None:
        places: list[int] = []
        for each in settings(type(self)):
            value = getattr(self, each.name)
            checked = each.holds.checked(value, f"{type(self).__name__}: {each.name}")
            if checked is not value:
                object.__setattr__(self, each.name, checked)
            if not isinstance(checked, int | str):
                places += [place for amount in amounts(checked) for place in amount.places()]
        if places:
            object.__setattr__(self, "has_amounts", True)
            least, most = self.operands
            object.__setattr__(self, "sizes_read", max(0, max(places) + 1 - least) if most == least else 0)

    def per_axis(self, field: str, rank: int, default: Value = 1) -> Sequence[Value]:
        """A field, one value per spatial axis; `default` for a kind without the field. Raises `ShapeError` where it is
        for another number of axes.
        """
        if field not in vars(self) and hasattr(self, field):  # one that stands for the first of the kind
            field = settings(type(self))[0].name
        value = getattr(self, field, default)
        if not isinstance(value, tuple):
            return (value,) * rank
        if len(value) != rank:
            raise ShapeError(
                f"{type(self).__name__}: {field}={value!r} is for {len(value)} spatial axes, the input has {rank}"
            )
        return value

    def _require_divides(self, groups: Value, channels: Value, field: str) -> None:
        if isinstance(groups, int) and isinstance(channels, int) and channels % groups:
            raise SpecError(f"{type(self).__name__}: {field}={channels} is not divisible by groups={groups}")


class Windows(Layer):
    """A layer with windows on one of its two sides."""

    def axes(self, rank: int) -> tuple[Axis, ...]:
        """How the windows lie, axis by axis. Raises `ShapeError` if a field has another number of axes."""
        kernels, strides, dilations = (self.per_axis(each, rank) for each in ("kernel_size", "stride", "dilation"))
        pads = [pad if isinstance(pad, tuple) else (pad, pad) for pad in self.per_axis("padding", rank, 0)]
        if any(len(pair) != 2 for pair in pads):
            raise SpecError(f"{type(self).__name__}: padding={pads!r} must hold pairs (before, after)")
        return tuple(Axis(k, s, a, b, d) for k, s, (a, b), d in zip(kernels, strides, pads, dilations, strict=True))


class Windowed(Windows):
    """A layer each of whose outputs reads a window of the padded input."""

    def __post_init__(self) -> None:
        if vars(self).get("stride", 1) is None:
            object.__setattr__(self, "stride", vars(self)["kernel_size"])
        super().__post_init__()

    @property
    def rounds_up(self) -> bool:
        """Whether a last window may stick out of the padded input."""
        return bool(getattr(self, "ceil_mode", False))


class Transposed(Windows):
    """A layer each of whose inputs is spread over a window of the output, which loses the padding: the transposed of a
    windowed layer.
    """

    def output_paddings(self, rank: int) -> Sequence[Value]:
        """How much longer the output is made at its end, axis by axis."""
        return self.per_axis("output_padding", rank, 0)


class Pointwise(Layer):
    """A layer of which every position reads the same position of the input alone, in one or several channels."""


class Elementwise(Pointwise):
    """A function of each element alone, which works in place."""


class Merge(Layer):
    """A layer that reads several operands."""

    operands: ClassVar[tuple[int, float]] = (2, math.inf)


class SizedLike(Merge):
    """A layer that brings its first operand to the spatial size of its second, of which it takes nothing else."""

    operands: ClassVar[tuple[int, float]] = (2, 2)


def letters(layer: Layer) -> list[tuple[str, Any]]:
    """(field, letter) for the letters and expressions that stand for numbers of a layer."""
    return [
        (each.name, letter)
        for each in settings(type(layer))
        if isinstance(each.holds, Count)
        for letter in _letters(getattr(layer, each.name))
    ]


def _letters(value: Value) -> list[Any]:
    if isinstance(value, tuple):
        return [each for part in value for each in _letters(part)]
    named = isinstance(value, str) and is_letter(value)
    return [value] if named or getattr(value, "free_symbols", None) else []
