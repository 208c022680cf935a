"""What is measured: whole networks, their layers as networks of their own, and arrays for them, the same in every
process.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np

from convproof.architecture import (
    AvgPool,
    BatchNorm,
    Conv,
    GlobalPool,
    Input,
    Layer,
    Linear,
    MaxPool,
    Network,
    Node,
    ReLU,
)
from convproof.architecture.notation import network
from convproof.architecture.zoo import CLASSICS
from convproof.symbolic.analysis import analyze
from convproof.symbolic.shapes import output_shape

Array = Any
Parameters = dict[str, dict[str, Array]]
"""{layer name: {"weight": ..., "bias": ...}}, as `execute.run` takes them."""


@dataclass(frozen=True)
class Subject:
    """A network, or one layer as a network of its own, on `batch` images; `count` layers of a network are like it."""

    name: str
    network: Network
    batch: int = 1
    count: int = 1

    @property
    def layer(self) -> Layer | None:
        """The layer, where it is only one."""
        return self.network.output.layer if len(self.network) == 2 else None

    @property
    def work(self) -> int:
        """Multiply-adds of a forward pass."""
        return self.batch * int(analyze(self.network).totals.macs)


# --- networks ---------------------------------------------------------------------------------------------------------


def _block(width: int, stride: int, skip: str) -> str:
    """A bottleneck of ResNet-50; v1.5 has the stride in the 3x3 convolution."""
    narrow = f"CONV1-{width} -> BN -> RELU -> CONV(K={width}, F=3, S={stride}, P=1) -> BN -> RELU"
    return f"{{ {narrow} -> CONV1-{4 * width} -> BN | {skip} }} ADD -> RELU"


def _stage(width: int, stride: int, blocks: int) -> str:
    """Blocks of one width, the first of which has the stride and a skip that changes the number of channels."""
    first = _block(width, stride, f"CONV(K={4 * width}, F=1, S={stride}) -> BN")
    return f"{first} -> [{_block(width, 1, 'ID')}]*{blocks - 1}"


RESNET50 = (
    "INPUT[224x224x3] -> CONV(K=64, F=7, S=2, P=3) -> BN -> RELU -> POOL(F=3, S=2, P=1) -> "
    f"{_stage(64, 1, 3)} -> {_stage(128, 2, 4)} -> {_stage(256, 2, 6)} -> {_stage(512, 2, 3)} -> "
    "GLOBALAVGPOOL -> FC-1000"
)


@cache
def networks() -> dict[str, Network]:
    """The networks; the convolutions of ResNet-50 have no biases, since normalization would take them away."""
    unbiased = (
        replace(node, layer=replace(node.layer, bias=False)) if isinstance(node.layer, Conv) else node
        for node in network(RESNET50)
    )
    return {"VGG16": network(CLASSICS["vgg16"]), "ResNet-50": Network(unbiased)}


def whole(name: str, batch: int) -> Subject:
    """A network on this many images."""
    return Subject(f"{name}, batch {batch}", networks()[name], batch)


# --- layers -----------------------------------------------------------------------------------------------------------


def alone(name: str, shape: tuple[int, ...], layer: Layer, count: int = 1) -> Subject:
    """A layer on an image of shape (C, H, W)."""
    nodes = [Node("input", Input(shape[0], shape[1:])), Node("layer", layer, ("input",))]
    return Subject(name, Network(nodes), count=count)


def convolution(shape: tuple[int, ...], layer: Conv, count: int = 1) -> Subject:
    """A convolution, for example `64 -> 128, 3x3, 112x112`."""
    step = f"/{layer.stride}" if layer.stride > 1 else ""
    kernel, size = f"{layer.kernel_size}x{layer.kernel_size}{step}", "x".join(map(str, shape[1:]))
    return alone(f"{shape[0]} -> {layer.out_channels}, {kernel}, {size}", shape, layer, count)


def convolutions(name: str) -> list[Subject]:
    """The different convolutions of a network, in its order."""
    found = shapes(networks()[name])
    layers = Counter((found[n.operands[0]], n.layer) for n in networks()[name] if isinstance(n.layer, Conv))
    return [convolution(shape, layer, count) for (shape, layer), count in layers.items()]


def others() -> list[Subject]:
    """Layers that are no convolutions, at sizes of the two networks."""
    plane = (64, 224, 224)
    return [
        alone("max pooling, 2x2, 224x224x64", plane, MaxPool(2)),
        alone("max pooling, 3x3/2, 112x112x64", (64, 112, 112), MaxPool(3, 2, 1)),
        alone("average pooling, 2x2, 224x224x64", plane, AvgPool(2)),
        alone("global average pooling, 7x7x2048", (2048, 7, 7), GlobalPool("avg")),
        alone("ReLU, 224x224x64", plane, ReLU()),
        alone("batch normalization, 56x56x256", (256, 56, 56), BatchNorm()),
        alone("fully connected, 25088 -> 4096", (512, 7, 7), Linear(4096)),
        alone("fully connected, 4096 -> 1000", (4096, 1, 1), Linear(1000)),
    ]


def growing() -> dict[str, list[Subject]]:
    """Convolutions of more and more work."""

    def square(channels: int, size: int, kernel: int) -> Subject:
        return convolution((channels, size, size), Conv(channels, kernel, padding=kernel // 2))

    return {
        "pixels: 64 -> 64, 3x3, from 28x28 to 224x224": [square(64, n, 3) for n in (28, 56, 112, 224)],
        "channels: 3x3, 28x28, from 64 -> 64 to 512 -> 512": [square(c, 28, 3) for c in (64, 128, 256, 512)],
        "kernel: 32 -> 32, 56x56, from 5x5 to 11x11": [square(32, 56, k) for k in (5, 7, 9, 11)],
    }


# --- arrays -----------------------------------------------------------------------------------------------------------


def shapes(net: Network) -> dict[str, tuple[int, ...]]:
    """The output shape of every layer, (C, H, W) or (units,)."""
    found: dict[str, tuple[int, ...]] = {}
    for node in net:
        found[node.name] = output_shape(node.layer, *(found[name] for name in node.operands))
    return found


def normal(shape: Iterable[int], seed: int = 0) -> Array:
    """Random numbers in float32."""
    return np.random.default_rng(seed).standard_normal(tuple(shape), dtype=np.float32)


def image(subject: Subject) -> Array:
    """The input (N, C, H, W)."""
    return normal((subject.batch, *shapes(subject.network)[subject.network.input.name]))


def cotangent(subject: Subject) -> Array:
    """What the backward pass starts from, in the shape of the output."""
    return normal((subject.batch, *shapes(subject.network)[subject.network.output.name]), seed=1)


def parameters(subject: Subject, statistics: bool) -> Parameters:
    """The parameters of all layers, and the running statistics of normalizations where wanted."""
    every = _drawn(subject.network)
    return {
        layer: {field: array for field, array in own.items() if statistics or not field.startswith("running_")}
        for layer, own in every.items()
    }


@lru_cache(maxsize=1)
def _drawn(net: Network) -> Parameters:
    """Weights with a variance of 2 / inputs, which keeps that of the activations (K. He et al., 2015), small biases,
    and a normalization that is nearly the identity.
    """
    random, found = np.random.default_rng(2), shapes(net)

    def draw(shape: tuple[int, ...], spread: float, centre: float = 0.0) -> Array:
        array = random.standard_normal(shape, dtype=np.float32)
        array *= np.float32(spread)
        array += np.float32(centre)
        return array

    drawn: Parameters = {}
    for node in net:
        match node.layer:
            case Conv(out_channels=units, kernel_size=size):
                inputs: tuple[int, ...] = (found[node.operands[0]][0], size, size)
            case Linear(out_features=units):
                inputs = (math.prod(found[node.operands[0]]),)
            case BatchNorm():
                shape = found[node.name][:1]
                centres = {"weight": 1, "bias": 0, "running_mean": 0, "running_var": 1}
                drawn[node.name] = {field: draw(shape, 0.1, centre) for field, centre in centres.items()}
                continue
            case _:
                continue
        drawn[node.name] = {"weight": draw((units, *inputs), math.sqrt(2 / math.prod(inputs)))}
        if node.layer.bias:
            drawn[node.name]["bias"] = draw((units,), 0.1)
    return drawn
