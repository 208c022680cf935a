"""Layers as frozen data, in PyTorch's terms: the kinds, what each field may hold, and the word that writes each kind.

A field that counts something (a size, a stride, a number of filters) is an int, a letter (`"W"`) or a symbolic
expression. `stride`, `dilation`, `kernel_size` and `output_padding` take one value or one per spatial axis; `padding`
takes one value, one per axis, a `(before, after)` pair per axis, or `SAME_UPPER` or `SAME_LOWER`, which depend on the
size of what is padded. Spatial axes are in array order: (H, W) for images.

What a model fixes belongs to its layer: `in_features`, `in_channels`, `num_features` say how many inputs its weights
are for; None asks for nothing.

The groups of kinds, on which rules dispatch, are in `behaviour`. Nothing here knows a formula: what a layer does to a
size is told by the symbolic wing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from convproof.architecture.behaviour import Axis as Axis
from convproof.architecture.behaviour import Elementwise, Layer, Merge, Pointwise, SizedLike, Transposed, Windowed
from convproof.architecture.behaviour import letters as letters
from convproof.architecture.fields import (
    ANY_NUMBER,
    SAME,
    Bool,
    Channels,
    Choice,
    Count,
    Given,
    Interpolation,
    Natural,
    Number,
    Padding,
    PerAxis,
    Pooling,
    Real,
    Stride,
    Text,
    Value,
)
from convproof.errors import SpecError

# --- the image --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input(Layer):
    """The image: `channels`, and one size per spatial axis, as in (C, H, W)."""

    channels: Channels
    sizes: Annotated[Value, Count(nesting=1)]
    operands: ClassVar[tuple[int, float]] = (0, 0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.sizes, tuple) or len(self.sizes) > 3:
            raise SpecError(f"Input: sizes={self.sizes!r} must be a tuple of one to three sizes, one per spatial axis")


# --- windows ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Conv(Windowed):
    """Cross-correlation with `out_channels` filters, as `torch.nn.Conv2d` (and 1d, 3d)."""

    out_channels: Annotated[Channels, "K"]
    kernel_size: Annotated[PerAxis, "F"]
    stride: Annotated[PerAxis, "S"] = 1
    padding: Annotated[Padding, "P"] = 0
    dilation: Annotated[PerAxis, "D"] = 1
    groups: Annotated[Channels, "G"] = 1
    bias: Annotated[Bool, "B"] = True
    in_channels: Annotated[Given, "IN"] = None
    words: ClassVar = {"CONV": {}}

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_divides(self.groups, self.out_channels, "out_channels")
        self._require_divides(self.groups, self.in_channels, "in_channels")


@dataclass(frozen=True)
class ConvTranspose(Transposed):
    """The adjoint of `Conv` in its input, as `torch.nn.ConvTranspose2d` (and 1d, 3d)."""

    out_channels: Annotated[Channels, "K"]
    kernel_size: Annotated[PerAxis, "F"]
    stride: Annotated[PerAxis, "S"] = 1
    padding: Annotated[Value, Count(0, 2), "P"] = 0
    output_padding: Annotated[Value, Count(0, 1), "O"] = 0
    groups: Annotated[Channels, "G"] = 1
    bias: Annotated[Bool, "B"] = True
    dilation: Annotated[PerAxis, "D"] = 1
    in_channels: Annotated[Given, "IN"] = None
    words: ClassVar = {"UPCONV": {}}

    def __post_init__(self) -> None:
        if self.padding in SAME:
            raise SpecError(f"ConvTranspose: padding={self.padding!r} is for windows; give numbers")
        super().__post_init__()
        self._require_divides(self.groups, self.out_channels, "out_channels")
        self._require_divides(self.groups, self.in_channels, "in_channels")


@dataclass(frozen=True)
class MaxPool(Windowed):
    """The largest value of each window; padding never wins. `stride` defaults to `kernel_size`. A window wholly in
    padding, which dilation can make, is refused, or with `empty_windows` has the lowest value, as in PyTorch.
    """

    kernel_size: Annotated[PerAxis, "F"]
    stride: Annotated[Stride, "S"] = None
    padding: Annotated[Padding, "P"] = 0
    dilation: Annotated[PerAxis, "D"] = 1
    ceil_mode: Annotated[Bool, "CEIL"] = False
    empty_windows: Annotated[Bool, "EMPTY"] = False
    words: ClassVar = {"POOL": {}}


@dataclass(frozen=True)
class AvgPool(Windowed):
    """The mean of each window. `count_include_pad` says whether padding counts in the divisor."""

    kernel_size: Annotated[PerAxis, "F"]
    stride: Annotated[Stride, "S"] = None
    padding: Annotated[Padding, "P"] = 0
    ceil_mode: Annotated[Bool, "CEIL"] = False
    count_include_pad: Annotated[Bool, "PAD"] = True
    words: ClassVar = {"AVGPOOL": {}}


@dataclass(frozen=True)
class LpPool(Windowed):
    """The p-norm of each window (p = 2 is the notes' L2-norm pooling)."""

    p: Annotated[float, Number(0, math.inf, False, "a positive number"), "N"]
    kernel_size: Annotated[PerAxis, "F"]
    stride: Annotated[Stride, "S"] = None
    ceil_mode: Annotated[Bool, "CEIL"] = False
    words: ClassVar = {"LPPOOL": {"p": 2}}


@dataclass(frozen=True)
class Pad(Windowed):
    """Zeros around the image, as `torch.nn.ZeroPad2d`, or (`mode`) the image again, `"reflect"`ed, its ends repeated
    (`"replicate"`), or going round (`"circular"`); a negative number crops. Of zeros it is refused to crop more than
    there is, as in PyTorch, or, with `pad_first`, only to leave nothing, as in ONNX Runtime.
    """

    padding: Annotated[Value, Count(ANY_NUMBER, 2), "P"]
    mode: Annotated[str, Choice(("zeros", "reflect", "replicate", "circular")), "MODE"] = "zeros"
    pad_first: Annotated[Bool, "FIRST"] = False
    words: ClassVar = {"PAD": {}}


@dataclass(frozen=True)
class Upsample(Transposed):
    """Every position repeated (`"nearest"`) or interpolated (`"bilinear"`, with half-pixel centres; `"other"`, of which
    nothing is known), as `torch.nn.Upsample`; `scale_factor` is one whole number, or one per axis.
    """

    scale_factor: Annotated[PerAxis, "S"]
    mode: Annotated[Interpolation, "MODE"] = "nearest"
    words: ClassVar = {"UPSAMPLE": {}}
    kernel_size = stride = property(lambda self: self.scale_factor)


@dataclass(frozen=True)
class PixelShuffle(Transposed):
    """The channels in groups of `upscale_factor` to the power of the spatial axes, each group laid out as a block of
    positions, as `torch.nn.PixelShuffle`.
    """

    upscale_factor: Annotated[Channels, "S"]
    words: ClassVar = {"PIXELSHUFFLE": {}}
    kernel_size = stride = property(lambda self: self.upscale_factor)


@dataclass(frozen=True)
class PixelUnshuffle(Windowed):
    """Blocks of positions laid out as channels, as `torch.nn.PixelUnshuffle`; the blocks must fill the image."""

    downscale_factor: Annotated[Channels, "S"]
    words: ClassVar = {"PIXELUNSHUFFLE": {}}
    kernel_size = stride = property(lambda self: self.downscale_factor)


@dataclass(frozen=True)
class AdaptivePool(Layer):
    """`output_size` windows (one number, or one per axis) that cover the input, whatever its size, each with its
    `"avg"` or `"max"`; as `torch.nn.AdaptiveAvgPool2d`.
    """

    output_size: Annotated[PerAxis, "O"]
    kind: Pooling = "avg"
    words: ClassVar = {"ADAPTIVEAVGPOOL": {"kind": "avg"}, "ADAPTIVEMAXPOOL": {"kind": "max"}}


# --- what reads everything --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GlobalPool(Layer):
    """One value per channel: the `"avg"` or `"max"` over all positions."""

    kind: Pooling = "avg"
    words: ClassVar = {"GLOBALAVGPOOL": {"kind": "avg"}, "GLOBALMAXPOOL": {"kind": "max"}}


@dataclass(frozen=True)
class Linear(Layer):
    """A fully connected layer, as `torch.nn.Linear`; an unflattened input is flattened first, as the notes write it."""

    out_features: Annotated[Channels, "K"]
    bias: Annotated[Bool, "B"] = True
    in_features: Annotated[Given, "IN"] = None
    words: ClassVar = {"FC": {}}


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) becomes (C*H*W,)."""

    words: ClassVar = {"FLATTEN": {}}


@dataclass(frozen=True)
class Reshape(Layer):
    """The values laid out in another shape, (C, *spatial) or (units,), as `torch.reshape` without the batch.

    With `batch` an image may have several times as many values: each part of that shape is then an image of its own, as
    `x.view(-1, 24)` makes rows of 24.
    """

    shape: Annotated[Value, Count(nesting=1), "TO"]
    batch: Annotated[Bool, "BATCH"] = False
    words: ClassVar = {"RESHAPE": {}}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.shape, tuple):
            object.__setattr__(self, "shape", (self.shape,))


# --- what keeps positions apart ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReLU(Elementwise):
    """max(0, x), element by element."""

    words: ClassVar = {"RELU": {}}


_ACTIVATIONS = ("sigmoid", "tanh", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "hardswish")


@dataclass(frozen=True)
class Activation(Elementwise):
    """A function of each element alone, other than ReLU: "sigmoid", "tanh", "leaky_relu", ..., by its usual name."""

    name: Annotated[str, Text(), "NAME"]
    words: ClassVar = {**{name.upper(): {"name": name} for name in _ACTIVATIONS}, "ACTIVATION": {}}


@dataclass(frozen=True)
class Dropout(Elementwise):
    """Identity at test time, a random mask in training; `p` is the share that is dropped."""

    p: Annotated[float, Number(0, 1, words="a number from 0 to 1"), "P"] = 0.5
    words: ClassVar = {"DROPOUT": {}}


@dataclass(frozen=True)
class Softmax(Pointwise):
    """Softmax over channels."""

    words: ClassVar = {"SOFTMAX": {}}


@dataclass(frozen=True)
class BatchNorm(Pointwise):
    """Normalization per channel by stored statistics, with a learned scale and shift."""

    eps: Annotated[Real, "EPS"] = 1e-5
    num_features: Annotated[Given, "IN"] = None
    words: ClassVar = {"BN": {}}


@dataclass(frozen=True)
class Affine(Pointwise):
    """Every channel times a learned number, plus a learned number, or one of the two."""

    scale: Annotated[Bool, "SCALE"] = True
    shift: Annotated[Bool, "SHIFT"] = True
    num_features: Annotated[Given, "IN"] = None
    words: ClassVar = {"AFFINE": {}}

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.scale or self.shift):
            raise SpecError("Affine: scale and shift must be True or False, and not both False")


@dataclass(frozen=True)
class ChannelShuffle(Pointwise):
    """Channels laid out as (groups, C/groups) and read the other way round, as `torch.nn.ChannelShuffle`."""

    groups: Annotated[Channels, "G"]
    words: ClassVar = {"SHUFFLE": {}}


@dataclass(frozen=True)
class Slice(Pointwise):
    """The channels from number `start` up to, but without, number `stop`, counted from 0."""

    start: Annotated[Natural, "FROM"]
    stop: Annotated[Channels, "TO"]
    words: ClassVar = {"SLICE": {}}

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.start, int) and isinstance(self.stop, int) and self.start >= self.stop:
            raise SpecError(f"Slice: from {self.start} to {self.stop} there is no channel; stop must be larger")


@dataclass(frozen=True)
class LocalResponseNorm(Pointwise):
    """AlexNet's normalization over `size` neighbouring channels."""

    size: Annotated[int, Count(), "N"] = 5
    alpha: Annotated[Real, "ALPHA"] = 1e-4
    beta: Annotated[Real, "BETA"] = 0.75
    k: Annotated[Real, "K"] = 2.0
    words: ClassVar = {"LRN": {}}


# --- normalization over positions -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroupNorm(Layer):
    """Normalization of each image by groups of its channels, as `torch.nn.GroupNorm`; with a learned scale and shift
    per channel if `affine`. Groups of a single value are refused, as in PyTorch, unless `single_values`.
    """

    groups: Annotated[Channels, "G"]
    eps: Annotated[Real, "EPS"] = 1e-5
    affine: Annotated[Bool, "A"] = True
    num_channels: Annotated[Given, "IN"] = None
    single_values: Annotated[Bool, "SINGLE"] = False
    words: ClassVar = {"GN": {}}


@dataclass(frozen=True)
class InstanceNorm(Layer):
    """Normalization of each image channel by channel, as `torch.nn.InstanceNorm2d`; with a learned scale and shift per
    channel if `affine`, which there is False by default. Channels of a single value are refused, as in PyTorch, unless
    `single_values`.
    """

    eps: Annotated[Real, "EPS"] = 1e-5
    affine: Annotated[Bool, "A"] = True
    num_features: Annotated[Given, "IN"] = None
    single_values: Annotated[Bool, "SINGLE"] = False
    words: ClassVar = {"IN": {}}


# --- merges -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Add(Merge):
    """The sum of branches, element by element: of equal shapes, or, with `broadcast`, of shapes that differ only where
    one has size 1, which is repeated, as PyTorch and NumPy do it.
    """

    broadcast: Annotated[Bool, "BROADCAST"] = False
    words: ClassVar = {"ADD": {}}


@dataclass(frozen=True)
class Multiply(Merge):
    """The product of branches, element by element; shapes as for `Add`."""

    broadcast: Annotated[Bool, "BROADCAST"] = False
    words: ClassVar = {"MUL": {}}


@dataclass(frozen=True)
class Scale(Merge):
    """The first branch times the second, a gate of one number a channel: as 1x1 positions, or a vector."""

    words: ClassVar = {"SCALE": {}}
    operands: ClassVar[tuple[int, float]] = (2, 2)


@dataclass(frozen=True)
class Resize(SizedLike):
    """The first branch at the size of the second, as `torch.nn.functional.interpolate` with `size`: each position from
    the nearest one (`"nearest"`), or interpolated (`"bilinear"`, with half-pixel centres; `"other"`, of which nothing
    is known).
    """

    mode: Annotated[Interpolation, "MODE"] = "nearest"
    words: ClassVar = {"RESIZE": {}}


@dataclass(frozen=True)
class PadTo(SizedLike):
    """The first branch with zeros around it, or cropped, to the size of the second; half of what is missing, rounded
    down, goes before: cropping takes the odd one away there.
    """

    words: ClassVar = {"PADTO": {}}


@dataclass(frozen=True)
class Concat(Merge):
    """Branches stacked along the channels."""

    words: ClassVar = {"CONCAT": {}}


@dataclass(frozen=True)
class Unknown(Layer):
    """An operation that nothing is known about, by its name; what follows from it is not known either."""

    op: Annotated[str, Text(), "OP"]
    words: ClassVar = {"UNKNOWN": {}}
    operands: ClassVar[tuple[int, float]] = (1, math.inf)


@dataclass(frozen=True)
class Shaped(Layer):
    """An operation, by its name, of which is known what shape it makes and what it costs, but not which positions it
    reads: a sum along some axis, a matrix product. `shape` is that of one image. With `in_place` it makes no values of
    its own. Of the first `pointwise` operands, where there are any, every position reads the same position alone,
    wherever their axes stand, and nothing of the others: channels put last, and what works on them there.
    """

    op: Annotated[str, Text(), "OP"]
    shape: Annotated[Value, Count(ANY_NUMBER, nesting=1), "SHAPE"]
    weights: Annotated[Natural, "WEIGHTS"] = 0
    biases: Annotated[Natural, "BIASES"] = 0
    macs: Annotated[Natural, "MACS"] = 0
    in_place: Annotated[Bool, "INPLACE"] = False
    pointwise: Annotated[Natural, "POINTWISE"] = 0
    words: ClassVar = {"SHAPED": {}}
    operands: ClassVar[tuple[int, float]] = (1, math.inf)


@dataclass(frozen=True)
class Condition(Elementwise):
    """What a forward asks of sizes before it goes on: that `left` is `sign` (to) `right`. It changes nothing."""

    left: Annotated[Value, Count(ANY_NUMBER), "L"]
    sign: Annotated[str, Choice(("above", "at_least", "equal", "unequal")), "SIGN"]
    right: Annotated[Value, Count(ANY_NUMBER), "R"]
    words: ClassVar = {"CONDITION": {}}


KINDS: tuple[type[Layer], ...] = (
    *(Input, Conv, ConvTranspose, MaxPool, AvgPool, LpPool, Pad, Upsample, PixelShuffle, PixelUnshuffle, AdaptivePool),
    *(GlobalPool, Linear, Flatten, Reshape, ReLU, Activation, Dropout, Softmax, BatchNorm, Affine, ChannelShuffle),
    *(Slice, LocalResponseNorm, GroupNorm, InstanceNorm, Add, Multiply, Scale, Resize, PadTo, Concat, Unknown),
    *(Shaped, Condition),
)
"""Every layer kind. A concern has a rule for each of these, or says loudly that it has none."""

MERGES = tuple(kind for kind in KINDS if issubclass(kind, Merge))
"""The kinds that take several operands."""
