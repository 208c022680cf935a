"""A spec network becomes autograd calls. Knows layers and operations but no size: shapes are read off the arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch
from typing import Any

from convproof import autograd as ag
from convproof.autograd import Tensor
from convproof.errors import MissingRule, ShapeError
from convproof.spec import (
    Add,
    AvgPool,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalPool,
    Input,
    Layer,
    Linear,
    LpPool,
    MaxPool,
    Network,
    ReLU,
    Softmax,
)

Parameters = dict[str, dict[str, Tensor]]
"""{layer name: {"weight": ..., "bias": ...}}"""

Parameter = Callable[[str, tuple[int, ...]], Tensor]
Draw = Callable[[tuple[int, ...]], Any]


def run(
    network: Network, x: Any, parameters: Parameters | None = None, draw: Draw | None = None, algorithm: str = "auto"
) -> tuple[dict[str, Tensor], Parameters]:
    """Runs `network` on x (N, C, *spatial); returns the activations of every layer and the parameters used.

    Parameters that are not given are made by `draw(shape)`. Raises `ShapeError` for an input of another rank or number
    of channels than the Input layer's, or a given parameter of the wrong shape, and `MissingRule` for a layer without a
    rule.

    >>> import numpy as np
    >>> from convproof.spec.notation import network
    >>> activations, parameters = run(network("INPUT[8x8x3] -> CONV3-4 -> POOL2"), np.ones((1, 3, 8, 8)), draw=np.ones)
    >>> activations["maxpool1"].shape, parameters["conv1"]["weight"].shape
    ((1, 4, 4, 4), (4, 3, 3, 3))
    """
    if not all(isinstance(fields, Mapping) for fields in (parameters or {}).values()):
        raise ShapeError("parameters is {layer name: {field: array}}, for example {'conv1': {'weight': w, 'bias': b}}")
    known: Parameters = {name: dict(fields) for name, fields in (parameters or {}).items()}
    _check_numbers(network)
    image = x if isinstance(x, Tensor) else ag.tensor(x)
    _check_input(network, image)
    activations: dict[str, Tensor] = {}
    used: dict[tuple[str, str], None] = {}
    for node in network:

        def parameter(field: str, shape: tuple[int, ...], name: str = node.name) -> Tensor:
            used[(name, field)] = None
            return _parameter(known, name, field, shape, draw)

        operands = [activations[name] for name in node.operands] or [image]
        try:
            activations[node.name] = lower(node.layer, operands, parameter, algorithm)
        except ShapeError as error:
            raise ShapeError(f"{node.name}: {error}") from None
    unused = [f"{name}.{field}" for name in known for field in known[name] if (name, field) not in used]
    if unused:
        raise ShapeError(
            f"the network has no parameter {unused[0]}; it has {', '.join('.'.join(each) for each in used)}"
        )
    return activations, known


def _parameter(known: Parameters, name: str, field: str, shape: tuple[int, ...], draw: Draw | None) -> Tensor:
    fields = known.setdefault(name, {})
    if field not in fields:
        if draw is None:
            raise ShapeError(f"no {field} is given, shape {shape}; pass it in parameters, or a draw function")
        fields[field] = ag.tensor(draw(shape))
    fields[field] = found = ag.tensor(fields[field])
    if found.shape != shape:
        raise ShapeError(f"{field} has shape {found.shape}, the layer needs {shape}")
    return found


def _check_numbers(network: Network) -> None:
    """Refuses letters anywhere but in the input, whose sizes are those of the array."""
    for node in network:
        for field, value in vars(node.layer).items():
            if field != "kind" and not isinstance(node.layer, Input) and _has_letters(value):
                raise ShapeError(f"{node.name}: {field} is {value}; a run needs numbers")


def _has_letters(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_has_letters, value))
    return isinstance(value, str) or bool(getattr(value, "free_symbols", None))


def _check_input(network: Network, image: Tensor) -> None:
    layer = network.image
    if image.ndim != 2 + len(layer.sizes):
        raise ShapeError(
            f"the input has shape {image.shape}; the network wants (N, C) and {len(layer.sizes)} spatial axes"
        )
    if isinstance(layer.channels, int) and image.shape[1] != layer.channels:
        raise ShapeError(f"the input has {image.shape[1]} channels, the network wants {layer.channels}")


@singledispatch
def lower(layer: Layer, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    """The tensor that `layer` makes of its operands; `parameter(field, shape)` hands it its weight or bias."""
    raise MissingRule("numeric run", layer)


@lower.register
def _(layer: Input, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    return operands[0]


@lower.register
def _(layer: Conv, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    (x,) = operands
    kernel, stride, padding, dilation = _geometry(layer, x)
    w = parameter("weight", (layer.out_channels, x.shape[1] // layer.groups, *kernel))
    b = parameter("bias", (layer.out_channels,)) if layer.bias else None
    return ag.conv(x, w, b, stride, padding, dilation, layer.groups, algorithm)


def _geometry(layer: Conv | ConvTranspose, x: Tensor) -> tuple[Any, Any, Any, Any]:
    """kernel, stride, padding and dilation, one entry per spatial axis of x."""
    axes = layer.axes(x.ndim - 2)
    return (
        tuple(axis.kernel for axis in axes),
        tuple(axis.stride for axis in axes),
        tuple((axis.before, axis.after) for axis in axes),
        tuple(axis.dilation for axis in axes),
    )


@lower.register
def _(layer: ConvTranspose, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    (x,) = operands
    kernel, stride, padding, dilation = _geometry(layer, x)
    w = parameter("weight", (x.shape[1], layer.out_channels // layer.groups, *kernel))
    b = parameter("bias", (layer.out_channels,)) if layer.bias else None
    return ag.conv_transpose(x, w, b, stride, padding, layer.output_paddings(x.ndim - 2), dilation, layer.groups)


@lower.register
def _(layer: MaxPool, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    (x,) = operands
    pool: Tensor = ag.max_pool(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)
    return pool


@lower.register
def _(layer: AvgPool, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    (x,) = operands
    return ag.avg_pool(x, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad)


@lower.register
def _(layer: LpPool, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    (x,) = operands
    return ag.lp_pool(x, layer.p, layer.kernel_size, layer.stride, layer.ceil_mode)


@lower.register
def _(layer: GlobalPool, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    (x,) = operands
    pool: Tensor = (ag.avg_pool if layer.kind == "avg" else ag.max_pool)(x, x.shape[2:])
    return pool


@lower.register
def _(layer: Linear, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    x = ag.flatten(operands[0])
    w = parameter("weight", (layer.out_features, x.shape[1]))
    return ag.linear(x, w, parameter("bias", (layer.out_features,)) if layer.bias else None)


@lower.register
def _(layer: ReLU, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    return ag.relu(operands[0])


@lower.register
def _(layer: Flatten, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    return ag.flatten(operands[0])


@lower.register
def _(layer: Dropout, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    return operands[0]  # as at test time


@lower.register
def _(layer: Softmax, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    return ag.softmax(operands[0], 1)


@lower.register
def _(layer: Add, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    total = operands[0]
    for each in operands[1:]:
        if each.shape != total.shape:
            raise ShapeError(f"add: branches have shapes {total.shape} and {each.shape}; they must be equal")
        total = ag.add(total, each)
    return total


@lower.register
def _(layer: Concat, operands: list[Tensor], parameter: Parameter, algorithm: str) -> Tensor:
    return ag.concatenate(operands, 1)
