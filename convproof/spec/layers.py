"""Layers as frozen data, in PyTorch's terms.

A field that counts something (a size, a stride, a number of filters) is an int, a letter (`"W"`) or a symbolic
expression. `stride`, `dilation`, `kernel_size` and `output_padding` take one value or one per spatial axis; `padding`
takes one value, one per axis, or a `(before, after)` pair per axis. Spatial axes are in array order: (H, W) for images.
Nothing here knows a formula: what a layer does to a size is told by the symbolic wing.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from convproof.errors import ShapeError, SpecError

Value = Any
"""An int, a letter such as `"W"`, or a symbolic expression (anything that has `free_symbols`)."""


@dataclass(frozen=True)
class Axis:
    """How the windows of a layer lie along one spatial axis (dilation 1 is dense)."""

    kernel: Value
    stride: Value = 1
    before: Value = 0
    after: Value = 0
    dilation: Value = 1


def _count(value: Value, least: int, place: str) -> Value:
    """`value` as an int, a letter or an expression; ints must be at least `least`."""
    if isinstance(value, str):
        if not is_letter(value):
            raise SpecError(f"{place}={value!r} is no letter; use a number or a name such as 'W'")
        return value
    if hasattr(value, "free_symbols") and value.free_symbols:
        return value
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(int(value) if hasattr(value, "free_symbols") and value == int(value) else value)
    except (TypeError, ValueError):
        raise SpecError(f"{place}={value!r} is not a whole number or a letter") from None
    if number < least:
        raise SpecError(f"{place}={number} is too small; it must be at least {least}")
    return number


def is_letter(value: str) -> bool:
    """Whether a text may stand for a number: a name, but none that means something else elsewhere."""
    return value.isidentifier() and value.lower() not in _NO_LETTERS


_NO_LETTERS = {"nan", "inf", "none", "true", "false", "same", "valid"}

_NESTING = {"padding": 2, "kernel_size": 1, "stride": 1, "dilation": 1, "output_padding": 1, "sizes": 1}
"""How deep a field may nest: one value per axis, or a pair per axis; every other field is a single value."""


def _counts(value: Value, least: int, place: str, nesting: int) -> Value:
    """The same for one value, a tuple of values, or a tuple of pairs."""
    if not isinstance(value, (tuple, list)):
        return _count(value, least, place)
    if not value:
        raise SpecError(f"{place}=() is empty; give one value, or one per axis")
    if not nesting:
        raise SpecError(f"{place}={value!r} must be one number or letter")
    return tuple(_counts(v, least, place, nesting - 1) for v in value)


class _Checked:
    """Checks the fields named in `_least` on construction."""

    _least: ClassVar[dict[str, int]] = {}

    def __post_init__(self) -> None:
        for flag in ("bias", "ceil_mode", "count_include_pad"):
            if not isinstance(getattr(self, flag, False), bool):
                raise SpecError(f"{type(self).__name__}: {flag}={getattr(self, flag)!r} must be True or False")
        for field, least in self._least.items():
            place, nesting = f"{type(self).__name__}: {field}", _NESTING.get(field, 0)
            checked = _counts(getattr(self, field), least, place, nesting)
            object.__setattr__(self, field, checked)


class _Window(_Checked):
    """A layer whose outputs look at windows of the input; `axes` lays the fields out axis by axis."""

    _least: ClassVar[dict[str, int]] = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}
    kernel_size: Value
    stride: Value
    padding: Value = 0
    dilation: Value = 1

    def __post_init__(self) -> None:
        if self.stride is None:
            object.__setattr__(self, "stride", self.kernel_size)
        super().__post_init__()

    def axes(self, rank: int) -> tuple[Axis, ...]:
        """One `Axis` for each of `rank` spatial axes; raises `ShapeError` if a field has another number of axes."""
        kernels = self._per_axis("kernel_size", rank)
        strides, dilations = self._per_axis("stride", rank), self._per_axis("dilation", rank)
        pads = [p if isinstance(p, tuple) else (p, p) for p in self._per_axis("padding", rank)]
        if any(len(pair) != 2 for pair in pads):
            raise SpecError(f"{type(self).__name__}: padding={self.padding!r} must hold pairs (before, after)")
        return tuple(
            Axis(k, s, before, after, d)
            for k, s, (before, after), d in zip(kernels, strides, pads, dilations, strict=True)
        )

    def _per_axis(self, field: str, rank: int) -> Sequence[Value]:
        value = getattr(self, field)
        if not isinstance(value, tuple):
            return (value,) * rank
        if len(value) != rank:
            raise ShapeError(
                f"{type(self).__name__}: {field}={value!r} is for {len(value)} spatial axes, the input has {rank}"
            )
        return value


def _divides(groups: Value, channels: Value, place: str) -> None:
    if isinstance(groups, int) and isinstance(channels, int) and channels % groups:
        raise SpecError(f"{place}={channels} is not divisible by groups={groups}")


@dataclass(frozen=True)
class Input(_Checked):
    """The image: `channels`, and one size per spatial axis, as in (C, H, W)."""

    channels: Value
    sizes: tuple[Value, ...]
    _least: ClassVar[dict[str, int]] = {"channels": 1, "sizes": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.sizes, tuple) or len(self.sizes) > 3:
            raise SpecError(f"Input: sizes={self.sizes!r} must be a tuple of one to three sizes, one per spatial axis")


@dataclass(frozen=True)
class Conv(_Window):
    """Cross-correlation with `out_channels` filters, as `torch.nn.Conv2d` (and 1d, 3d)."""

    out_channels: Value
    kernel_size: Value
    stride: Value = 1
    padding: Value = 0
    dilation: Value = 1
    groups: Value = 1
    bias: bool = True
    _least: ClassVar[dict[str, int]] = {**_Window._least, "out_channels": 1, "groups": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        _divides(self.groups, self.out_channels, "Conv: out_channels")


@dataclass(frozen=True)
class ConvTranspose(_Window):
    """The adjoint of `Conv` in its input, as `torch.nn.ConvTranspose2d` (and 1d, 3d)."""

    out_channels: Value
    kernel_size: Value
    stride: Value = 1
    padding: Value = 0
    output_padding: Value = 0
    groups: Value = 1
    bias: bool = True
    dilation: Value = 1
    _least: ClassVar[dict[str, int]] = {**_Window._least, "out_channels": 1, "groups": 1, "output_padding": 0}

    def __post_init__(self) -> None:
        super().__post_init__()
        _divides(self.groups, self.out_channels, "ConvTranspose: out_channels")

    def output_paddings(self, rank: int) -> Sequence[Value]:
        """`output_padding`, one per axis."""
        return self._per_axis("output_padding", rank)


@dataclass(frozen=True)
class MaxPool(_Window):
    """The largest value of each window; padding never wins. `stride` defaults to `kernel_size`."""

    kernel_size: Value
    stride: Value = None
    padding: Value = 0
    dilation: Value = 1
    ceil_mode: bool = False


@dataclass(frozen=True)
class AvgPool(_Window):
    """The mean of each window. `count_include_pad` says whether padding counts in the divisor."""

    kernel_size: Value
    stride: Value = None
    padding: Value = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    _least: ClassVar[dict[str, int]] = {"kernel_size": 1, "stride": 1, "padding": 0}


@dataclass(frozen=True)
class LpPool(_Window):
    """The p-norm of each window (p = 2 is the notes' L2-norm pooling)."""

    p: float
    kernel_size: Value
    stride: Value = None
    ceil_mode: bool = False
    _least: ClassVar[dict[str, int]] = {"kernel_size": 1, "stride": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.p, bool) or not isinstance(self.p, numbers.Real) or not 0 < self.p < math.inf:
            raise SpecError(f"LpPool: p={self.p!r} must be a positive number")


@dataclass(frozen=True)
class GlobalPool(_Checked):
    """One value per channel: the `"avg"` or `"max"` over all positions."""

    kind: str = "avg"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in ("avg", "max"):
            raise SpecError(f"GlobalPool: kind={self.kind!r} must be 'avg' or 'max'")


@dataclass(frozen=True)
class Linear(_Checked):
    """A fully connected layer; an unflattened input is flattened first, as the notes write it."""

    out_features: Value
    bias: bool = True
    _least: ClassVar[dict[str, int]] = {"out_features": 1}


@dataclass(frozen=True)
class ReLU:
    """max(0, x), element by element."""


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) becomes (C*H*W,)."""


@dataclass(frozen=True)
class Dropout:
    """Identity at test time, a random mask in training; `p` is the share that is dropped."""

    p: float = 0.5

    def __post_init__(self) -> None:
        if isinstance(self.p, bool) or not isinstance(self.p, numbers.Real) or not 0 <= self.p <= 1:
            raise SpecError(f"Dropout: p={self.p!r} must be a number from 0 to 1")


@dataclass(frozen=True)
class Softmax:
    """Softmax over channels."""


@dataclass(frozen=True)
class BatchNorm:
    """Normalisation per channel with a learned scale and shift."""

    eps: float = 1e-5


@dataclass(frozen=True)
class LocalResponseNorm(_Checked):
    """AlexNet's normalisation over `size` neighbouring channels."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0
    _least: ClassVar[dict[str, int]] = {"size": 1}


@dataclass(frozen=True)
class Add:
    """The sum of equally shaped branches."""


@dataclass(frozen=True)
class Concat:
    """Branches stacked along the channels."""


Layer = (
    Input
    | Conv
    | ConvTranspose
    | MaxPool
    | AvgPool
    | LpPool
    | GlobalPool
    | Linear
    | ReLU
    | Flatten
    | Dropout
    | Softmax
    | BatchNorm
    | LocalResponseNorm
    | Add
    | Concat
)

KINDS: tuple[type, ...] = Layer.__args__
"""Every layer kind. A concern has a rule for each of these, or says loudly that it has none."""

MERGES = (Add, Concat)
"""The kinds that take several operands."""
