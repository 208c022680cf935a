"""A network becomes autograd calls. Knows layers and operations but no size: shapes are read off the arrays."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

from convproof import autograd as ag
from convproof.architecture import SAME_LOWER, SAME_UPPER, Axis, Layer, Network, layers, letters
from convproof.architecture.amounts import NUMBERS, settled
from convproof.autograd import Tensor
from convproof.errors import MissingRule, ShapeError

Parameters = dict[str, dict[str, Tensor]]
"""{layer name: {"weight": ..., "bias": ...}}; a BatchNorm layer may also be given "running_mean" and "running_var"."""

Draw = Callable[[tuple[int, ...]], Any]


@dataclass(frozen=True)
class LayerParameters:
    """The parameters of one layer: those given, and what `draw` makes of others. `algorithm` is how to convolve."""

    tensors: dict[str, Any]
    draw: Draw | None = None
    algorithm: str = "auto"
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
    >>> from convproof.architecture.notation import network
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
        own = LayerParameters(known.get(node.name, {}), draw, algorithm)
        layer, operands = node.layer, [activations[name] for name in node.operands] or [image]
        if layer.has_amounts:
            operands = operands[: len(operands) - layer.sizes_read]
            layer = settled(layer, [activations[name].shape[1:] for name in node.operands], NUMBERS)
        try:
            activations[node.name] = execute(layer, own, *operands)
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
        if not isinstance(node.layer, layers.Input) and (found := letters(node.layer)):
            field, _ = found[0]
            raise ShapeError(f"{node.name}: {field} is {getattr(node.layer, field)}; a run needs numbers")


def _check_input(network: Network, image: Tensor) -> None:
    layer = network.image
    if image.ndim != 2 + len(layer.sizes):
        raise ShapeError(
            f"the input has shape {image.shape}; the network wants (N, C) and {len(layer.sizes)} spatial axes"
        )
    if isinstance(layer.channels, int) and image.shape[1] != layer.channels:
        raise ShapeError(f"the input has {image.shape[1]} channels, the network wants {layer.channels}")


@singledispatch
def execute(layer: Layer, own: LayerParameters, *operands: Tensor) -> Tensor:
    """The tensor that `layer` makes of its operands; `own(name, shape)` hands it its weight or bias."""
    raise MissingRule("numeric run", layer)


@execute.register
def _(layer: layers.Input, own: LayerParameters, *operands: Tensor) -> Tensor:
    return operands[0]


@execute.register
def _(layer: layers.Conv, own: LayerParameters, x: Tensor) -> Tensor:
    kernel, stride, padding, dilation = _geometry(layer, x)
    w = own("weight", (layer.out_channels, (layer.in_channels or x.shape[1]) // layer.groups, *kernel))
    b = own("bias", (layer.out_channels,)) if layer.bias else None
    return ag.conv(x, w, b, stride, padding, dilation, layer.groups, own.algorithm)


def _geometry(
    layer: layers.Conv | layers.ConvTranspose | layers.MaxPool | layers.AvgPool | layers.LpPool, x: Tensor
) -> tuple[Any, Any, Any, Any]:
    """kernel, stride, padding and dilation, one entry per spatial axis of x."""
    axes = layer.axes(x.ndim - 2)
    return (
        tuple(axis.kernel for axis in axes),
        tuple(axis.stride for axis in axes),
        tuple(_padding(axis, n) for axis, n in zip(axes, x.shape[2:], strict=True)),
        tuple(axis.dilation for axis in axes),
    )


def _padding(axis: Axis, n: int) -> tuple[int, int]:
    """Before and after; SAME is what the windows that start at 0, stride, 2*stride, ... below n lack at the end."""
    if axis.before not in (SAME_UPPER, SAME_LOWER):
        return axis.before, axis.after
    last = range(0, n, axis.stride)[-1] + axis.dilation * (axis.kernel - 1)
    lacking = max(0, last - (n - 1))
    more, less = lacking - lacking // 2, lacking // 2
    return (less, more) if axis.before == SAME_UPPER else (more, less)


@execute.register
def _(layer: layers.Pad, own: LayerParameters, x: Tensor) -> Tensor:
    _planes(x)
    pads = tuple((axis.before, axis.after) for axis in layer.axes(x.ndim - 2))
    for n, pair in zip(x.shape[2:], pads, strict=True):
        cropped = -sum(pad for pad in pair if pad < 0) if layer.mode == "zeros" and not layer.pad_first else 0
        if n < cropped or n + sum(pair) < 1:
            raise ShapeError(f"pad: padding={layer.padding} crops more than there is of shape {x.shape}; crop less")
    if layer.mode == "zeros":
        x = ag.pad(x, tuple((max(a, 0), max(b, 0)) for a, b in pads)) if layer.pad_first else x
        return ag.pad(x, tuple((min(a, 0), min(b, 0)) for a, b in pads) if layer.pad_first else pads)
    for axis, (before, after) in enumerate(pads, start=2):
        n = x.shape[axis]
        wanted = range(-before, n + after)
        if max(before, after) > {"reflect": n - 1, "circular": n}.get(layer.mode, math.inf):
            raise ShapeError(f"pad: {layer.mode} by {max(before, after)} needs more than the {n} positions there are")
        place = {"reflect": lambda i, n=n: (n - 1) - abs((n - 1) - abs(i)), "circular": lambda i, n=n: i % n}
        x = ag.take(x, [place.get(layer.mode, lambda i, n=n: min(max(i, 0), n - 1))(i) for i in wanted], axis)
    return x


@execute.register
def _(layer: layers.Upsample, own: LayerParameters, x: Tensor) -> Tensor:
    _planes(x)
    if layer.mode != "nearest":
        raise MissingRule(f"numeric run with mode {layer.mode}", layer)
    for place, axis in enumerate(layer.axes(x.ndim - 2), start=2):
        before, after = x.shape[: place + 1], x.shape[place + 1 :]
        wide = ag.broadcast(ag.reshape(x, (*before, 1, *after)), (*before, axis.stride, *after))
        x = ag.reshape(wide, (*before[:-1], before[-1] * axis.stride, *after))
    return x


@execute.register
def _(layer: layers.PixelShuffle, own: LayerParameters, x: Tensor) -> Tensor:
    _planes(x)
    factor, sizes = layer.upscale_factor, x.shape[2:]
    if x.shape[1] % factor ** len(sizes):
        raise ShapeError(f"pixel_shuffle: blocks of {factor ** len(sizes)} do not divide the {x.shape[1]} channels")
    rank, depth = len(sizes), x.shape[1] // factor ** len(sizes)
    apart = ag.reshape(x, (x.shape[0], depth, *(factor for _ in sizes), *sizes))
    order = [place for axis in range(rank) for place in (2 + rank + axis, 2 + axis)]
    return ag.reshape(ag.transpose(apart, (0, 1, *order)), (x.shape[0], depth, *(factor * n for n in sizes)))


@execute.register
def _(layer: layers.PixelUnshuffle, own: LayerParameters, x: Tensor) -> Tensor:
    _planes(x)
    factor, sizes = layer.downscale_factor, x.shape[2:]
    if any(n % factor for n in sizes):
        raise ShapeError(f"pixel_unshuffle: blocks of {factor} do not fill {sizes}")
    apart = ag.reshape(x, (*x.shape[:2], *(part for n in sizes for part in (n // factor, factor))))
    order = [*range(3, apart.ndim, 2), *range(2, apart.ndim, 2)]
    moved = ag.transpose(apart, (0, 1, *order))
    return ag.reshape(moved, (x.shape[0], x.shape[1] * factor ** len(sizes), *(n // factor for n in sizes)))


@execute.register
def _(layer: layers.ConvTranspose, own: LayerParameters, x: Tensor) -> Tensor:
    kernel, stride, padding, dilation = _geometry(layer, x)
    w = own("weight", (layer.in_channels or x.shape[1], layer.out_channels // layer.groups, *kernel))
    b = own("bias", (layer.out_channels,)) if layer.bias else None
    return ag.conv_transpose(x, w, b, stride, padding, layer.output_paddings(x.ndim - 2), dilation, layer.groups)


@execute.register
def _(layer: layers.MaxPool, own: LayerParameters, x: Tensor) -> Tensor:
    dialect = ag.TORCH if layer.empty_windows else ag.STRICT
    pool: Tensor = ag.max_pool(x, *_geometry(layer, x), layer.ceil_mode, dialect=dialect)
    return pool


@execute.register
def _(layer: layers.AvgPool, own: LayerParameters, x: Tensor) -> Tensor:
    kernel, stride, padding, _ = _geometry(layer, x)
    return ag.avg_pool(x, kernel, stride, padding, layer.ceil_mode, layer.count_include_pad)


@execute.register
def _(layer: layers.LpPool, own: LayerParameters, x: Tensor) -> Tensor:
    kernel, stride, *_ = _geometry(layer, x)
    return ag.lp_pool(x, layer.p, kernel, stride, layer.ceil_mode)


@execute.register
def _(layer: layers.AdaptivePool, own: LayerParameters, x: Tensor) -> Tensor:
    _planes(x)
    pool = ag.adaptive_avg_pool if layer.kind == "avg" else ag.adaptive_max_pool
    found: Tensor = pool(x, tuple(layer.per_axis("output_size", x.ndim - 2)))
    return found


@execute.register
def _(layer: layers.GlobalPool, own: LayerParameters, x: Tensor) -> Tensor:
    return (ag.global_avg_pool if layer.kind == "avg" else ag.global_max_pool)(x)


@execute.register
def _(layer: layers.Linear, own: LayerParameters, x: Tensor) -> Tensor:
    x = ag.flatten(x)
    w = own("weight", (layer.out_features, layer.in_features or x.shape[1]))
    return ag.linear(x, w, own("bias", (layer.out_features,)) if layer.bias else None)


@execute.register
def _(layer: layers.ReLU, own: LayerParameters, x: Tensor) -> Tensor:
    return ag.relu(x)


@execute.register
def _(layer: layers.Activation, own: LayerParameters, x: Tensor) -> Tensor:
    functions = {"sigmoid": ag.sigmoid, "tanh": ag.tanh}
    if layer.name not in functions:
        raise MissingRule(f"numeric run of {layer.name}", layer)
    return functions[layer.name](x)


@execute.register
def _(layer: layers.Flatten, own: LayerParameters, x: Tensor) -> Tensor:
    return ag.flatten(x)


@execute.register
def _(layer: layers.Reshape, own: LayerParameters, x: Tensor) -> Tensor:
    rows, rest = divmod(math.prod(x.shape[1:]), math.prod(layer.shape))
    if rest or not (rows == 1 or (layer.batch and rows)):
        raise ShapeError(f"reshape: {layer.shape} has not as many values as shape {x.shape[1:]}")
    return ag.reshape(x, (x.shape[0] * rows, *layer.shape))


@execute.register
def _(layer: layers.Dropout, own: LayerParameters, x: Tensor) -> Tensor:
    return x  # as at test time


@execute.register
def _(layer: layers.Softmax, own: LayerParameters, x: Tensor) -> Tensor:
    return ag.softmax(x, 1)


@execute.register
def _(layer: layers.BatchNorm, own: LayerParameters, x: Tensor) -> Tensor:
    channels = (layer.num_features or x.shape[1],)
    gamma, beta = own("weight", channels), own("bias", channels)
    mean, variance = own.given("running_mean", channels), own.given("running_var", channels)
    return ag.batch_norm(x, gamma, beta, layer.eps, mean, variance)


@execute.register
def _(layer: layers.GroupNorm | layers.InstanceNorm, own: LayerParameters, x: Tensor) -> Tensor:
    given = layer.num_channels if isinstance(layer, layers.GroupNorm) else layer.num_features
    channels = (given or x.shape[1],)
    gamma, beta = (own(name, channels) if layer.affine else None for name in ("weight", "bias"))
    groups = layer.groups if isinstance(layer, layers.GroupNorm) else x.shape[1]
    if math.prod(x.shape[1:]) == groups and not layer.single_values:
        raise ShapeError(f"shape {x.shape} leaves {groups} groups of a single value each, which has no variance")
    found: Tensor = ag.group_norm(x, groups, gamma, beta, layer.eps)
    return found


@execute.register
def _(layer: layers.Affine, own: LayerParameters, x: Tensor) -> Tensor:
    channels = (layer.num_features or x.shape[1],)
    per_channel = (*channels, *(1 for _ in x.shape[2:]))
    if channels != x.shape[1:2]:
        raise ShapeError(f"affine: {channels[0]} channels are wanted, not {x.shape[1]}")
    if layer.scale:
        x = ag.multiply(x, ag.reshape(own("weight", channels), per_channel))
    return ag.add(x, ag.reshape(own("bias", channels), per_channel)) if layer.shift else x


@execute.register
def _(layer: layers.ChannelShuffle, own: LayerParameters, x: Tensor) -> Tensor:
    if x.shape[1] % layer.groups:
        raise ShapeError(f"groups={layer.groups} does not divide the {x.shape[1]} channels")
    apart = ag.reshape(x, (x.shape[0], layer.groups, x.shape[1] // layer.groups, *x.shape[2:]))
    return ag.reshape(ag.transpose(apart, (0, 2, 1, *range(3, apart.ndim))), x.shape)


@execute.register
def _(layer: layers.Slice, own: LayerParameters, x: Tensor) -> Tensor:
    if layer.stop > x.shape[1]:
        raise ShapeError(f"slice: channels {layer.start} to {layer.stop} are asked of {x.shape[1]}")
    return ag.pad(x, ((0, 0), (-layer.start, layer.stop - x.shape[1]), *((0, 0) for _ in x.shape[2:])))


@execute.register
def _(layer: layers.Condition, own: LayerParameters, x: Tensor) -> Tensor:
    compare = {"above": operator.gt, "at_least": operator.ge, "equal": operator.eq, "unequal": operator.ne}[layer.sign]
    if not compare(layer.left, layer.right):
        raise ShapeError(f"Condition: {layer.left} is not {layer.sign.replace('_', ' ')} {layer.right}")
    return x


@execute.register
def _(layer: layers.Unknown | layers.Shaped, own: LayerParameters, *operands: Tensor) -> Tensor:
    raise MissingRule(f"numeric run of {layer.op}", layer)


@execute.register
def _(layer: layers.LocalResponseNorm, own: LayerParameters, x: Tensor) -> Tensor:
    return ag.local_response_norm(x, layer.size, layer.alpha, layer.beta, layer.k)


@execute.register
def _(layer: layers.Add | layers.Multiply, own: LayerParameters, *operands: Tensor) -> Tensor:
    combine = ag.add if isinstance(layer, layers.Add) else ag.multiply
    total = operands[0]
    for each in operands[1:]:
        pairs = zip(total.shape, each.shape, strict=False)
        alike = all(n == m or (layer.broadcast and 1 in (n, m)) for n, m in pairs)
        if total.ndim != each.ndim or not alike:
            raise ShapeError(f"branches have shapes {total.shape} and {each.shape}; they must be equal")
        total = combine(total, each)
    return total


@execute.register
def _(layer: layers.Scale, own: LayerParameters, x: Tensor, factors: Tensor) -> Tensor:
    per_channel = (*x.shape[:2], *(1 for _ in x.shape[2:]))
    if factors.shape not in (per_channel, x.shape[:2]):
        raise ShapeError(f"scale: the factors have shape {factors.shape}; it must be {per_channel}")
    return ag.multiply(x, ag.reshape(factors, per_channel))


def _planes(*operands: Tensor) -> None:
    """Raises `ShapeError` unless the operands have as many spatial axes as one another, and some."""
    shapes = [each.shape for each in operands]
    if len({len(shape) for shape in shapes}) > 1 or len(shapes[0]) < 3:
        raise ShapeError(f"shapes {', '.join(map(str, shapes))} must have equal numbers of spatial axes, at least one")


@execute.register
def _(layer: layers.PadTo, own: LayerParameters, x: Tensor, like: Tensor) -> Tensor:
    _planes(x, like)
    missing = [m - n for n, m in zip(x.shape[2:], like.shape[2:], strict=True)]
    return ag.pad(x, tuple((n // 2, n - n // 2) for n in missing))


@execute.register
def _(layer: layers.Resize, own: LayerParameters, x: Tensor, like: Tensor) -> Tensor:
    _planes(x, like)
    if layer.mode != "nearest":
        raise MissingRule(f"numeric run with mode {layer.mode}", layer)
    for axis, m in enumerate(like.shape[2:], start=2):
        x = ag.take(x, [o * x.shape[axis] // m for o in range(m)], axis)
    return x


@execute.register
def _(layer: layers.Concat, own: LayerParameters, *operands: Tensor) -> Tensor:
    return ag.concatenate(list(operands), 1)
