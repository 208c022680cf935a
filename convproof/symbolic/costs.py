"""What a layer costs: weights, parameters, multiply-adds, activation values.

Conventions: `weights` leaves biases out and `parameters` counts them. A multiply-add counts once (one MAC, two FLOPs),
and taps on padding count. ReLU, dropout, flatten and other functions of single elements work in place and keep no
values of their own. 4 bytes a value.
"""

from __future__ import annotations

from functools import singledispatch

from convproof.architecture import (
    Activation,
    AdaptivePool,
    Add,
    Affine,
    AvgPool,
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
from convproof.errors import MissingRule, Undecided
from convproof.symbolic.floordiv import Size, normal, size
from convproof.symbolic.shapes import Shape, in_channels, output_shape, product

BYTES_PER_VALUE = 4

_Free = (
    Input
    | Pad
    | Upsample
    | PixelShuffle
    | PixelUnshuffle
    | Activation
    | ChannelShuffle
    | MaxPool
    | AvgPool
    | LpPool
    | AdaptivePool
    | GlobalPool
    | ReLU
    | Flatten
    | Dropout
    | Softmax
    | Slice
    | LocalResponseNorm
    | Add
    | Multiply
    | Scale
    | Resize
    | PadTo
    | Concat
)


@singledispatch
def weights(layer: Layer, *inputs: Shape) -> Size:
    """Learned numbers without biases.

    >>> from convproof.architecture import Conv
    >>> weights(Conv(96, 11, stride=4), (3, 227, 227))
    34848
    >>> weights(Conv("C", 3), ("C", "W", "W"))
    9*C**2
    """
    raise MissingRule("weights", layer)


@weights.register
def _(layer: Conv | ConvTranspose, x: Shape) -> Size:
    taps = product(tuple(axis.kernel for axis in layer.axes(len(x) - 1)))
    return normal(size(layer.out_channels) * in_channels(layer, x) * taps)


@weights.register
def _(layer: Linear, x: Shape) -> Size:
    return normal(size(layer.out_features) * product(x))


@weights.register
def _(layer: BatchNorm, x: Shape) -> Size:
    return size(x[0])


@weights.register
def _(layer: GroupNorm | InstanceNorm, x: Shape) -> Size:
    return size(x[0]) if layer.affine else 0


@weights.register
def _(layer: Affine, x: Shape) -> Size:
    return size(x[0]) if layer.scale else 0


@weights.register
def _(layer: _Free, *inputs: Shape) -> Size:
    return 0


@singledispatch
def biases(layer: Layer, *inputs: Shape) -> Size:
    """Learned numbers that are added: one a filter, unit or normalised channel.

    >>> from convproof.architecture import Conv
    >>> biases(Conv(96, 11, stride=4), (3, 227, 227))
    96
    """
    raise MissingRule("biases", layer)


@biases.register
def _(layer: Conv | ConvTranspose, x: Shape) -> Size:
    return size(layer.out_channels) if layer.bias else 0


@biases.register
def _(layer: Linear, x: Shape) -> Size:
    return size(layer.out_features) if layer.bias else 0


@biases.register
def _(layer: BatchNorm, x: Shape) -> Size:
    return size(x[0])


@biases.register
def _(layer: GroupNorm | InstanceNorm, x: Shape) -> Size:
    return size(x[0]) if layer.affine else 0


@biases.register
def _(layer: Affine, x: Shape) -> Size:
    return size(x[0]) if layer.shift else 0


@biases.register
def _(layer: _Free, *inputs: Shape) -> Size:
    return 0


def parameters(layer: Layer, *inputs: Shape) -> Size:
    """Weights and biases.

    >>> from convproof.architecture import Conv
    >>> parameters(Conv(96, 11, stride=4), (3, 227, 227))
    34944
    """
    return normal(weights(layer, *inputs) + biases(layer, *inputs))


@singledispatch
def macs(layer: Layer, *inputs: Shape) -> Size:
    """Multiply-adds of conv and FC layers; 0 for the others.

    >>> from convproof.architecture import Linear
    >>> macs(Linear(1000), (4096,))
    4096000
    """
    raise MissingRule("multiply-adds", layer)


@macs.register
def _(layer: Conv, x: Shape) -> Size:
    return normal(weights(layer, x) * product(output_shape(layer, x)[1:]))  # every weight once an output position


@macs.register
def _(layer: ConvTranspose, x: Shape) -> Size:
    return normal(weights(layer, x) * product(x[1:]))  # every weight once an input position


@macs.register
def _(layer: Linear, x: Shape) -> Size:
    return weights(layer, x)


@macs.register
def _(layer: _Free | BatchNorm | GroupNorm | InstanceNorm | Affine, *inputs: Shape) -> Size:
    return 0


@singledispatch
def values(layer: Layer, *inputs: Shape) -> Size:
    """Activation values that the layer's output adds.

    >>> from convproof.architecture import MaxPool
    >>> values(MaxPool(2), (64, 224, 224))
    802816
    """
    raise MissingRule("activation values", layer)


@values.register
def _(layer: ReLU | Activation | Dropout | Flatten, x: Shape) -> Size:
    return 0


_OwnValues = (
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
)


@values.register
def _(layer: _OwnValues, *inputs: Shape) -> Size:
    return product(output_shape(layer, *inputs))


for _concern in (weights, biases, macs, values):

    @_concern.register
    def _(layer: Unknown, *inputs: Shape) -> Size:
        raise Undecided(f"nothing is known about the operation {layer.op}")
