"""What a layer costs: weights, biases, multiply-adds, activation values. One rule a kind; nothing for what has nothing.

Conventions: `weights` leaves biases out and `parameters` counts them. A multiply-add counts once (one MAC, two FLOPs),
and taps on padding count. ReLU, dropout, flatten and other functions of single elements work in place and keep no
values of their own. 4 bytes a value. Where a layer says how many inputs its weights are for, these are counted.
"""

from __future__ import annotations

from functools import singledispatch
from typing import NamedTuple

from convproof.architecture import Layer, layers
from convproof.architecture.behaviour import Elementwise, Merge, Pointwise, Windows
from convproof.errors import MissingRule, Undecided
from convproof.symbolic.constraints import product
from convproof.symbolic.floordiv import Size, normal, size
from convproof.symbolic.shapes import Shape, output_shape, quotient

BYTES_PER_VALUE = 4


class Cost(NamedTuple):
    """Learned numbers that are multiplied and that are added, multiply-adds, and the values that the output adds."""

    weights: Size = 0
    biases: Size = 0
    macs: Size = 0
    values: Size = 0


@singledispatch
def cost(layer: Layer, output: Shape, *inputs: Shape) -> Cost:
    """What a layer costs that makes `output` of inputs of these shapes."""
    raise MissingRule("cost", layer)


@cost.register
def _(
    layer: layers.Input | Windows | Pointwise | Merge | layers.AdaptivePool | layers.GlobalPool,
    output: Shape,
    *inputs: Shape,
) -> Cost:
    return Cost(values=product(output))


@cost.register
def _(layer: Elementwise | layers.Flatten | layers.Reshape, output: Shape, x: Shape) -> Cost:
    return Cost()


@cost.register
def _(layer: layers.Conv, output: Shape, x: Shape) -> Cost:
    weights = _filters(layer, _channels(layer.in_channels, x), layer.out_channels, x)
    biases = size(layer.out_channels) if layer.bias else 0  # every weight is used once an output position
    return Cost(weights, biases, normal(weights * product(output[1:])), product(output))


@cost.register
def _(layer: layers.ConvTranspose, output: Shape, x: Shape) -> Cost:
    weights = _filters(layer, _channels(layer.in_channels, x), layer.out_channels, x)
    biases = size(layer.out_channels) if layer.bias else 0  # every weight is used once an input position
    return Cost(weights, biases, normal(weights * product(x[1:])), product(output))


def _filters(layer: layers.Conv | layers.ConvTranspose, channels: Size, filters: Size, x: Shape) -> Size:
    taps = product(tuple(axis.kernel for axis in layer.axes(len(x) - 1)))
    return normal(size(filters) * quotient(channels, size(layer.groups)) * taps)


def _channels(given: Size | None, x: Shape) -> Size:
    """How many channels the weights are for."""
    return x[0] if given is None else size(given)


@cost.register
def _(layer: layers.Linear, output: Shape, x: Shape) -> Cost:
    units = size(layer.out_features)
    weights = normal(units * (product(x) if layer.in_features is None else size(layer.in_features)))
    return Cost(weights, units if layer.bias else 0, weights, units)


@cost.register
def _(layer: layers.BatchNorm, output: Shape, x: Shape) -> Cost:
    channels = _channels(layer.num_features, x)
    return Cost(channels, channels, 0, product(output))


@cost.register
def _(layer: layers.GroupNorm | layers.InstanceNorm, output: Shape, x: Shape) -> Cost:
    given = layer.num_channels if isinstance(layer, layers.GroupNorm) else layer.num_features
    channels = _channels(given, x) if layer.affine else 0
    return Cost(channels, channels, 0, product(output))


@cost.register
def _(layer: layers.Affine, output: Shape, x: Shape) -> Cost:
    channels = _channels(layer.num_features, x)
    return Cost(channels if layer.scale else 0, channels if layer.shift else 0, 0, product(output))


@cost.register
def _(layer: layers.Unknown, output: Shape, *inputs: Shape) -> Cost:
    raise Undecided(f"nothing is known about the operation {layer.op}")


@cost.register
def _(layer: layers.Shaped, output: Shape, *inputs: Shape) -> Cost:
    values = 0 if layer.in_place else product(output)
    return Cost(size(layer.weights), size(layer.biases), size(layer.macs), values)


# --- each of them alone -----------------------------------------------------------------------------------------------


def _cost(layer: Layer, inputs: tuple[Shape, ...]) -> Cost:
    shapes = tuple(tuple(map(size, shape)) for shape in inputs)
    return cost(layer, output_shape(layer, *shapes), *shapes)


def weights(layer: Layer, *inputs: Shape) -> Size:
    """Learned numbers without biases.

    >>> from convproof.architecture import Conv
    >>> weights(Conv(96, 11, stride=4), (3, 227, 227))
    34848
    >>> weights(Conv("C", 3), ("C", "W", "W"))
    9*C**2
    """
    return _cost(layer, inputs).weights


def biases(layer: Layer, *inputs: Shape) -> Size:
    """Learned numbers that are added: one a filter, unit or normalized channel.

    >>> from convproof.architecture import Conv
    >>> biases(Conv(96, 11, stride=4), (3, 227, 227))
    96
    """
    return _cost(layer, inputs).biases


def parameters(layer: Layer, *inputs: Shape) -> Size:
    """Weights and biases.

    >>> from convproof.architecture import Conv
    >>> parameters(Conv(96, 11, stride=4), (3, 227, 227))
    34944
    """
    found = _cost(layer, inputs)
    return normal(found.weights + found.biases)


def macs(layer: Layer, *inputs: Shape) -> Size:
    """Multiply-adds of conv and FC layers; 0 for the others.

    >>> from convproof.architecture import Linear
    >>> macs(Linear(1000), (4096,))
    4096000
    """
    return _cost(layer, inputs).macs


def values(layer: Layer, *inputs: Shape) -> Size:
    """Activation values that the layer's output adds.

    >>> from convproof.architecture import MaxPool
    >>> values(MaxPool(2), (64, 224, 224))
    802816
    """
    return _cost(layer, inputs).values
