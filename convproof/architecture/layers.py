"""Layers as frozen data, in PyTorch's terms.

A field that counts something (a size, a stride, a number of filters) is an int, a letter (`"W"`) or a symbolic
expression. `stride`, `dilation`, `kernel_size` and `output_padding` take one value or one per spatial axis; `padding`
takes one value, one per axis, a `(before, after)` pair per axis, or `SAME_UPPER` or `SAME_LOWER`, which depend on the
size of what is padded. Spatial axes are in array order: (H, W) for images.
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

SAME_UPPER, SAME_LOWER = "same_upper", "same_lower"
"""Paddings as in TensorFlow and ONNX: the least with which n/stride outputs come out, rounded up, split in two halves;
what is odd goes after (upper) or before (lower)."""


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


_NO_LETTERS = {"nan", "inf", "none", "true", "false", "same", "valid", SAME_UPPER, SAME_LOWER}

_NESTING = {
    "padding": 2,
    "kernel_size": 1,
    "stride": 1,
    "dilation": 1,
    "output_padding": 1,
    "sizes": 1,
    "scale_factor": 1,
    "output_size": 1,
}
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
        for flag in ("bias", "ceil_mode", "count_include_pad", "affine"):
            if not isinstance(getattr(self, flag, False), bool):
                raise SpecError(f"{type(self).__name__}: {flag}={getattr(self, flag)!r} must be True or False")
        for field, least in self._least.items():
            place, nesting = f"{type(self).__name__}: {field}", _NESTING.get(field, 0)
            if getattr(self, field) in (SAME_UPPER, SAME_LOWER) and field == "padding" and isinstance(self, _Window):
                continue
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
        kernels = _per_axis(self, "kernel_size", rank)
        strides, dilations = _per_axis(self, "stride", rank), _per_axis(self, "dilation", rank)
        return tuple(
            Axis(k, s, before, after, d)
            for k, s, (before, after), d in zip(kernels, strides, _pads(self, rank), dilations, strict=True)
        )


def _per_axis(layer: Any, field: str, rank: int) -> Sequence[Value]:
    value = getattr(layer, field)
    if not isinstance(value, tuple):
        return (value,) * rank
    if len(value) != rank:
        raise ShapeError(
            f"{type(layer).__name__}: {field}={value!r} is for {len(value)} spatial axes, the input has {rank}"
        )
    return value


def _pads(layer: Any, rank: int) -> list[tuple[Value, Value]]:
    """The padding of each axis, (before, after)."""
    pads = [p if isinstance(p, tuple) else (p, p) for p in _per_axis(layer, "padding", rank)]
    if any(len(pair) != 2 for pair in pads):
        raise SpecError(f"{type(layer).__name__}: padding={layer.padding!r} must hold pairs (before, after)")
    return pads


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
        if self.padding in (SAME_UPPER, SAME_LOWER):
            raise SpecError(f"ConvTranspose: padding={self.padding!r} is for windows; give numbers")
        super().__post_init__()
        _divides(self.groups, self.out_channels, "ConvTranspose: out_channels")

    def output_paddings(self, rank: int) -> Sequence[Value]:
        """`output_padding`, one per axis."""
        return _per_axis(self, "output_padding", rank)


@dataclass(frozen=True)
class Pad(_Checked):
    """Zeros around the image, as `torch.nn.ZeroPad2d`, or (`mode`) the image again, `"reflect"`ed, its ends repeated
    (`"replicate"`), or going round (`"circular"`); a negative number crops.
    """

    padding: Value
    mode: str = "zeros"
    _least: ClassVar[dict[str, int]] = {"padding": -(10**9)}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mode not in ("zeros", "reflect", "replicate", "circular"):
            raise SpecError(f"Pad: mode={self.mode!r} must be 'zeros', 'reflect', 'replicate' or 'circular'")

    def axes(self, rank: int) -> tuple[Axis, ...]:
        """Windows of one element on the padded image, one `Axis` for each of `rank` spatial axes."""
        return tuple(Axis(1, 1, before, after) for before, after in _pads(self, rank))


def _check_mode(layer: Upsample | Resize) -> None:
    if layer.mode not in ("nearest", "bilinear", "other"):
        raise SpecError(f"{type(layer).__name__}: mode={layer.mode!r} must be 'nearest', 'bilinear' or 'other'")


@dataclass(frozen=True)
class Upsample(_Checked):
    """Every position repeated (`"nearest"`) or interpolated (`"bilinear"`, with half-pixel centres; `"other"`, of which
    nothing is known), as `torch.nn.Upsample`; `scale_factor` is one whole number, or one per axis.
    """

    scale_factor: Value
    mode: str = "nearest"
    _least: ClassVar[dict[str, int]] = {"scale_factor": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_mode(self)

    def axes(self, rank: int) -> tuple[Axis, ...]:
        """The windows of the transposed layer that puts every input into as many outputs, one `Axis` per axis."""
        return tuple(Axis(factor, factor) for factor in _per_axis(self, "scale_factor", rank))


@dataclass(frozen=True)
class PixelShuffle(_Checked):
    """The channels in groups of `upscale_factor` to the power of the spatial axes, each group laid out as a block of
    positions, as `torch.nn.PixelShuffle`.
    """

    upscale_factor: Value
    _least: ClassVar[dict[str, int]] = {"upscale_factor": 1}

    def axes(self, rank: int) -> tuple[Axis, ...]:
        """The windows of the transposed layer that puts every input into as many outputs, one `Axis` per axis."""
        return (Axis(self.upscale_factor, self.upscale_factor),) * rank


@dataclass(frozen=True)
class PixelUnshuffle(_Checked):
    """Blocks of positions laid out as channels, as `torch.nn.PixelUnshuffle`; the blocks must fill the image."""

    downscale_factor: Value
    _least: ClassVar[dict[str, int]] = {"downscale_factor": 1}

    def axes(self, rank: int) -> tuple[Axis, ...]:
        """The blocks as windows, one `Axis` for each of `rank` spatial axes."""
        return (Axis(self.downscale_factor, self.downscale_factor),) * rank


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
class AdaptivePool(_Checked):
    """`output_size` windows (one number, or one per axis) that cover the input, whatever its size, each with its
    `"avg"` or `"max"`; as `torch.nn.AdaptiveAvgPool2d`.
    """

    output_size: Value
    kind: str = "avg"
    _least: ClassVar[dict[str, int]] = {"output_size": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kind(self)

    def sizes(self, rank: int) -> Sequence[Value]:
        """`output_size`, one per axis."""
        return _per_axis(self, "output_size", rank)


def _check_kind(layer: AdaptivePool | GlobalPool) -> None:
    if layer.kind not in ("avg", "max"):
        raise SpecError(f"{type(layer).__name__}: kind={layer.kind!r} must be 'avg' or 'max'")


@dataclass(frozen=True)
class GlobalPool(_Checked):
    """One value per channel: the `"avg"` or `"max"` over all positions."""

    kind: str = "avg"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kind(self)


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
class Activation:
    """A function of each element alone, other than ReLU: "sigmoid", "tanh", "leaky_relu", ..., by its usual name."""

    name: str


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
class GroupNorm(_Checked):
    """Normalisation of each image by groups of its channels, as `torch.nn.GroupNorm`; with a learned scale and shift
    per channel if `affine`.
    """

    groups: Value
    eps: float = 1e-5
    affine: bool = True
    _least: ClassVar[dict[str, int]] = {"groups": 1}


@dataclass(frozen=True)
class InstanceNorm(_Checked):
    """Normalisation of each image channel by channel, as `torch.nn.InstanceNorm2d`; with a learned scale and shift per
    channel if `affine`, which there is False by default.
    """

    eps: float = 1e-5
    affine: bool = True


@dataclass(frozen=True)
class Affine(_Checked):
    """Every channel times a learned number, plus a learned number, or one of the two."""

    scale: bool = True
    shift: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (isinstance(self.scale, bool) and isinstance(self.shift, bool) and (self.scale or self.shift)):
            raise SpecError("Affine: scale and shift must be True or False, and not both False")


@dataclass(frozen=True)
class ChannelShuffle(_Checked):
    """Channels laid out as (groups, C/groups) and read the other way round, as `torch.nn.ChannelShuffle`."""

    groups: Value
    _least: ClassVar[dict[str, int]] = {"groups": 1}


@dataclass(frozen=True)
class Slice(_Checked):
    """The channels from number `start` up to, but without, number `stop`, counted from 0."""

    start: Value
    stop: Value
    _least: ClassVar[dict[str, int]] = {"start": 0, "stop": 1}

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.start, int) and isinstance(self.stop, int) and self.start >= self.stop:
            raise SpecError(f"Slice: from {self.start} to {self.stop} there is no channel; stop must be larger")


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
class Multiply:
    """The product of equally shaped branches, element by element."""


@dataclass(frozen=True)
class Scale:
    """The first branch times the second, which has one number a channel: as 1x1 positions, or a vector.

    It is the gate of squeeze-and-excitation.
    """


@dataclass(frozen=True)
class Resize(_Checked):
    """The first branch at the size of the second, as `torch.nn.functional.interpolate` with `size`: each position from
    the nearest one (`"nearest"`), or interpolated (`"bilinear"`, with half-pixel centres; `"other"`, of which nothing
    is known).
    """

    mode: str = "nearest"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_mode(self)


@dataclass(frozen=True)
class PadTo:
    """The first branch with zeros around it, to the size of the second, or cropped to it.

    Half of what is missing, rounded down, goes before: cropping takes the odd one away there.
    """


@dataclass(frozen=True)
class Concat:
    """Branches stacked along the channels."""


@dataclass(frozen=True)
class Unknown:
    """An operation that nothing is known about, by its name; what follows from it is not known either."""

    op: str


Layer = (
    Input
    | Conv
    | ConvTranspose
    | Pad
    | Upsample
    | PixelShuffle
    | PixelUnshuffle
    | MaxPool
    | AvgPool
    | LpPool
    | AdaptivePool
    | GlobalPool
    | Linear
    | ReLU
    | Activation
    | Flatten
    | Dropout
    | Softmax
    | BatchNorm
    | GroupNorm
    | InstanceNorm
    | Affine
    | ChannelShuffle
    | Slice
    | LocalResponseNorm
    | Add
    | Multiply
    | Scale
    | Resize
    | PadTo
    | Concat
    | Unknown
)

KINDS: tuple[type, ...] = Layer.__args__
"""Every layer kind. A concern has a rule for each of these, or says loudly that it has none."""

SIZED_LIKE = (Resize, PadTo)
"""The kinds that take nothing but the size of their second operand."""

MERGES = (Add, Multiply, Scale, *SIZED_LIKE, Concat)
"""The kinds that take several operands."""


def letters(layer: Layer) -> list[tuple[str, Any]]:
    """(field, letter) for the letters and expressions that stand for numbers of a layer."""
    return [(field, each) for field in getattr(layer, "_least", ()) for each in _letters(getattr(layer, field))]


def _letters(value: Value) -> list[Any]:
    if isinstance(value, tuple):
        return [each for part in value for each in _letters(part)]
    named = isinstance(value, str) and is_letter(value)
    return [value] if named or getattr(value, "free_symbols", None) else []
