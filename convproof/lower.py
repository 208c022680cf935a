"""A spec network becomes autograd calls. Knows layers and operations but no size: shapes are read off the arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

from convproof import autograd as ag
from convproof.autograd import Tensor
from convproof.errors import MissingRule, ShapeError
from convproof.spec import (
    Add,
    AvgPool,
    BatchNorm,
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
    Network,
    ReLU,
    Softmax,
)

Parameters = dict[str, dict[str, Tensor]]
"""{layer name: {"weight": ..., "bias": ...}}; a BatchNorm layer may also be given "running_mean" and "running_var"."""

Draw = Callable[[tuple[int, ...]], Any]


@dataclass(frozen=True)
class LayerParameters:
    """The parameters of one layer: those given, and what `draw` makes of others that are needed."""

    tensors: dict[str, Any]
    draw: Draw | None = None
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The parameter; drawn, and kept, where it is not given."""
        if name not in self.tensors and self.draw is not None:
            self.tensors[name] = self.draw(shape)
        found = self.given(name, shape)
        if found is None:
            raise ShapeError(f"no {name} is given, shape {shape}; pass it in parameters, or a draw function")
        return found

    def given(self, name: str, shape: tuple[int, ...]) -> Tensor | None:
        """The parameter, or None where it is not given."""
        self.asked.append(name)
        if name not in self.tensors:
            return None
        found = self.tensors[name] = ag.tensor(self.tensors[name])
        if found.shape != shape:
            raise ShapeError(f"{name} has shape {found.shape}, the layer needs {shape}")
        return found


def run(
    network: Network, x: Any, parameters: Parameters | None = None, draw: Draw | None = None, algorithm: str = "auto"
) -> tuple[dict[str, Tensor], Parameters]:
    """Runs `network` on x (N, C, *spatial); returns the activations of every layer and the parameters used.

    Parameters that are not given are made by `draw(shape)`; a BatchNorm layer that is given no running statistics takes
    those of the batch. Raises `ShapeError` for an input of another rank or number of channels than the Input layer's,
    or a given parameter of the wrong shape, and `MissingRule` for a layer without a rule.

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
    used: list[tuple[str, str]] = []
    for node in network:
        own = LayerParameters(known.get(node.name, {}), draw)
        operands = [activations[name] for name in node.operands] or [image]
        try:
            activations[node.name] = lower(node.layer, operands, own, algorithm)
        except ShapeError as error:
            raise ShapeError(f"{node.name}: {error}") from None
        used += [(node.name, name) for name in own.asked]
        if own.tensors:
            known[node.name] = own.tensors
    unused = [f"{layer}.{name}" for layer in known for name in known[layer] if (layer, name) not in used]
    if unused:
        raise ShapeError(
            f"the network has no parameter {unused[0]}; it has {', '.join('.'.join(each) for each in used)}"
        )
    return activations, known


def _check_numbers(network: Network) -> None:
    """Refuses letters anywhere but in the input, whose sizes are those of the array."""
    for node in network:
        for name, value in vars(node.layer).items():
            if name != "kind" and not isinstance(node.layer, Input) and _has_letters(value):
                raise ShapeError(f"{node.name}: {name} is {value}; a run needs numbers")


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
def lower(layer: Layer, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    """The tensor that `layer` makes of its operands; `parameter(name, shape)` hands it its weight or bias."""
    raise MissingRule("numeric run", layer)


@lower.register
def _(layer: Input, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    return operands[0]


@lower.register
def _(layer: Conv, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
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
def _(layer: ConvTranspose, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    (x,) = operands
    kernel, stride, padding, dilation = _geometry(layer, x)
    w = parameter("weight", (x.shape[1], layer.out_channels // layer.groups, *kernel))
    b = parameter("bias", (layer.out_channels,)) if layer.bias else None
    return ag.conv_transpose(x, w, b, stride, padding, layer.output_paddings(x.ndim - 2), dilation, layer.groups)


@lower.register
def _(layer: MaxPool, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    (x,) = operands
    pool: Tensor = ag.max_pool(x, layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode)
    return pool


@lower.register
def _(layer: AvgPool, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    (x,) = operands
    return ag.avg_pool(x, layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad)


@lower.register
def _(layer: LpPool, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    (x,) = operands
    return ag.lp_pool(x, layer.p, layer.kernel_size, layer.stride, layer.ceil_mode)


@lower.register
def _(layer: GlobalPool, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    return (ag.global_avg_pool if layer.kind == "avg" else ag.global_max_pool)(operands[0])


@lower.register
def _(layer: Linear, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    x = ag.flatten(operands[0])
    w = parameter("weight", (layer.out_features, x.shape[1]))
    return ag.linear(x, w, parameter("bias", (layer.out_features,)) if layer.bias else None)


@lower.register
def _(layer: ReLU, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    return ag.relu(operands[0])


@lower.register
def _(layer: Flatten, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    return ag.flatten(operands[0])


@lower.register
def _(layer: Dropout, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    return operands[0]  # as at test time


@lower.register
def _(layer: Softmax, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    return ag.softmax(operands[0], 1)


@lower.register
def _(layer: BatchNorm, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    (x,) = operands
    channels = x.shape[1:2]
    gamma, beta = parameter("weight", channels), parameter("bias", channels)
    mean, variance = parameter.given("running_mean", channels), parameter.given("running_var", channels)
    return ag.batch_norm(x, gamma, beta, layer.eps, mean, variance)


@lower.register
def _(layer: LocalResponseNorm, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    return ag.local_response_norm(operands[0], layer.size, layer.alpha, layer.beta, layer.k)


@lower.register
def _(layer: Add, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    total = operands[0]
    for each in operands[1:]:
        if each.shape != total.shape:
            raise ShapeError(f"add: branches have shapes {total.shape} and {each.shape}; they must be equal")
        total = ag.add(total, each)
    return total


@lower.register
def _(layer: Concat, operands: list[Tensor], parameter: LayerParameters, algorithm: str) -> Tensor:
    return ag.concatenate(operands, 1)
