"""Shape inference: one rule a layer kind for the output's shape, and the pass through a network that hands on the
shapes and what every layer demands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, singledispatch

from convproof.architecture import Layer, Network, Node, layers
from convproof.architecture.behaviour import Pointwise, SizedLike, Transposed, Windowed
from convproof.errors import MissingRule, ShapeError, SpecError, Undecided
from convproof.symbolic import window
from convproof.symbolic.amounts import own_operands
from convproof.symbolic.constraints import Demand, Shape, broadcast_shape, each_constraint, product
from convproof.symbolic.floordiv import Size, floordiv, normal, size, symbol
from convproof.symbolic.window import rank_of

__all__ = ["Inference", "Shape", "axis_names", "infer", "output_shape", "output_shapes"]


def output_shape(layer: Layer, *inputs: Shape) -> Shape:
    """The shape that `layer` makes of the shapes of its operands, in numbers or letters.

    Raises `ShapeError` where they do not go together. For a letter, the formula holds wherever the layer's
    `constraints` do.

    >>> from convproof.architecture import Conv
    >>> output_shape(Conv(96, 11, stride=4), (3, 227, 227))
    (96, 55, 55)
    >>> output_shape(Conv("K", "F", "S", "P"), ("C", "W"))
    (K, (-F + 2*P + W)//S + 1)
    """
    step = _step(*own_operands(layer, tuple(tuple(map(size, shape)) for shape in inputs)))
    if step.violated is not None:
        raise ShapeError(step.violated.message)
    if isinstance(step.shape, Undecided):
        raise step.shape
    return step.shape


# --- one rule a kind --------------------------------------------------------------------------------------------------


@singledispatch
def shape_of(layer: Layer, *inputs: Shape) -> Shape:
    """The output's shape, where the layer's constraints hold."""
    raise MissingRule("output size", layer)


@shape_of.register
def _(layer: layers.Input) -> Shape:
    return (size(layer.channels), *map(size, layer.sizes))


@shape_of.register
def _(layer: Windowed, x: Shape) -> Shape:
    axes = zip(window.placed_axes(layer, x), x[1:], strict=True)
    return (x[0], *(window.count(axis, n, layer.rounds_up) for axis, n in axes))


@shape_of.register
def _(layer: Transposed, x: Shape) -> Shape:
    extra = layer.output_paddings(rank_of(layer, x))
    axes = zip(layer.axes(len(x) - 1), x[1:], extra, strict=True)
    return (x[0], *(window.transposed_count(axis, n, size(more)) for axis, n, more in axes))


@shape_of.register
def _(layer: layers.Conv, x: Shape) -> Shape:
    return (size(layer.out_channels), *shape_of.dispatch(Windowed)(layer, x)[1:])


@shape_of.register
def _(layer: layers.ConvTranspose, x: Shape) -> Shape:
    return (size(layer.out_channels), *shape_of.dispatch(Transposed)(layer, x)[1:])


@shape_of.register
def _(layer: layers.PixelShuffle, x: Shape) -> Shape:
    return (quotient(x[0], _block(layer, x)), *shape_of.dispatch(Transposed)(layer, x)[1:])


@shape_of.register
def _(layer: layers.PixelUnshuffle, x: Shape) -> Shape:
    factor = size(layer.downscale_factor)
    return (normal(x[0] * _block(layer, x)), *(floordiv(n, factor) for n in x[1:]))


def _block(layer: layers.PixelShuffle | layers.PixelUnshuffle, x: Shape) -> Size:
    """How many positions a block has."""
    return product(tuple(axis.kernel for axis in layer.axes(rank_of(layer, x))))


def quotient(whole: Size, part: Size) -> Size:
    """What is left of a size that a factor divides."""
    if isinstance(whole, int) and isinstance(part, int):
        return whole // part
    return normal(whole / part)


@shape_of.register
def _(layer: layers.AdaptivePool, x: Shape) -> Shape:
    return (x[0], *map(size, layer.per_axis("output_size", rank_of(layer, x))))


@shape_of.register
def _(layer: layers.GlobalPool, x: Shape) -> Shape:
    return (x[0], *(1 for _ in range(rank_of(layer, x))))


@shape_of.register
def _(layer: layers.Linear, x: Shape) -> Shape:
    return (size(layer.out_features),)


@shape_of.register
def _(layer: layers.Flatten, x: Shape) -> Shape:
    return (product(x),)


@shape_of.register
def _(layer: layers.Reshape, x: Shape) -> Shape:
    return tuple(map(size, layer.shape))


@shape_of.register
def _(layer: Pointwise | layers.GroupNorm | layers.InstanceNorm, x: Shape) -> Shape:
    return x


@shape_of.register
def _(layer: layers.Slice, x: Shape) -> Shape:
    return (normal(size(layer.stop) - size(layer.start)), *x[1:])


@shape_of.register
def _(layer: layers.Shaped, *inputs: Shape) -> Shape:
    return tuple(map(size, layer.shape if isinstance(layer.shape, tuple) else (layer.shape,)))


@shape_of.register
def _(layer: layers.Unknown, *inputs: Shape) -> Shape:
    raise Undecided(f"nothing is known about the operation {layer.op}")


@shape_of.register
def _(layer: layers.Add | layers.Multiply, *inputs: Shape) -> Shape:
    together = inputs[0]
    for other in inputs[1:] if layer.broadcast else ():
        together = broadcast_shape(together, other)
    return together


@shape_of.register
def _(layer: layers.Scale, x: Shape, factors: Shape) -> Shape:
    return x


@shape_of.register
def _(layer: SizedLike, x: Shape, like: Shape) -> Shape:
    return (x[0], *like[1:])


@shape_of.register
def _(layer: layers.Concat, *inputs: Shape) -> Shape:
    return (normal(sum(x[0] for x in inputs)), *inputs[0][1:])


# --- through a network ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What is known of a layer on inputs of certain shapes: what it demands, or why that is not known; the first demand
    that plainly does not hold; the shape that it makes.
    """

    demands: tuple[Demand, ...] | Undecided
    violated: Demand | None
    shape: Shape | Undecided
    open: tuple[Demand, ...]
    """The demands that depend on letters."""
    remainders: tuple[Demand, ...]
    """Those that no stride leaves a remainder, which are not demanded for running."""


@lru_cache(maxsize=8192)
def _step(layer: Layer, inputs: tuple[Shape, ...]) -> Step:
    listed: list[Demand] = []
    try:
        listed.extend(each_constraint(layer, inputs))
        found: tuple[Demand, ...] | Undecided = tuple(listed)
    except Undecided as error:  # what is listed by then is demanded all the same
        found = error
    held = [(each, each.holds()) for each in listed if each.sign != "exact"]
    violated = next((each for each, holds in held if holds is False), None)
    shape: Shape | Undecided = ()
    if violated is None:
        try:
            shape = shape_of(layer, *inputs)
        except Undecided as error:
            shape = error
    unsettled = tuple(each for each, holds in held if holds is None)
    return Step(found, violated, shape, unsettled, tuple(each for each in listed if each.sign == "exact"))


@dataclass(frozen=True)
class Inference:
    """What shape inference finds in a network: the shape of every layer that is known, by name, and what each demands.

    `undecided` says why a shape is not known and `open_demands` why what a layer demands is not, by layer; `refused`
    holds the errors of layers whose inputs do not go together, from which on nothing is known.
    """

    network: Network
    shapes: Mapping[str, Shape]
    steps: dict[str, Step]
    undecided: Mapping[str, str]
    open_demands: Mapping[str, str]
    refused: Mapping[str, str]

    @property
    def demands(self) -> dict[str, tuple[Demand, ...]]:
        """All that the layers demand, as far as it is known."""
        return {name: step.demands for name, step in self.steps.items() if not isinstance(step.demands, Undecided)}

    def distinct(self, which: Callable[[Step], tuple[Demand, ...]]) -> dict[Demand, str]:
        """Some of the demands, each once, with the first layer that makes it."""
        listed = {id(step): (name, step) for name, step in reversed(self.steps.items())}  # equal layers share a step
        found: dict[Demand, str] = {}
        for name, step in reversed(listed.values()):
            for demand in which(step):
                found.setdefault(demand, name)
        return found

    def inputs(self, node: Node) -> tuple[Shape, ...]:
        """The shapes of a layer's operands."""
        return tuple(self.shapes[name] for name in node.operands)

    @property
    def known(self) -> Iterator[Node]:
        """The layers whose shape is known."""
        return (node for node in self.network if node.name in self.shapes)


def infer(network: Network, image: layers.Input | None = None) -> Inference:
    """Shape inference through a network; on another input, if that is given."""
    shapes: dict[str, Shape] = {}
    steps: dict[str, Step] = {}
    own: dict[str, Node] = {}
    undecided: dict[str, str] = {}
    open_demands: dict[str, str] = {}
    refused: dict[str, str] = {}
    for node in network:
        if not all(name in shapes for name in node.operands):
            continue
        layer = node.layer if image is None or node.operands else image
        inputs = tuple(shapes[name] for name in node.operands)
        try:
            layer, inputs = own_operands(layer, inputs)
            if layer is not node.layer and node.operands:
                own[node.name] = Node(node.name, layer, node.operands[: len(inputs)])
            step = _step(layer, inputs)
        except ShapeError as error:
            refused[node.name] = f"{node.name}: {error}"
            continue
        except Undecided as error:
            undecided[node.name] = f"{node.name}: {error}"
            continue
        except SpecError as error:
            raise SpecError(f"{node.name}: {error}") from None
        steps[node.name] = step
        if isinstance(step.demands, Undecided):
            open_demands[node.name] = f"{node.name}: {step.demands}"
        if step.violated is not None:
            refused[node.name] = f"{node.name}: {step.violated.message}"
        elif isinstance(step.shape, Undecided):
            undecided[node.name] = f"{node.name}: {step.shape}"
        else:
            shapes[node.name] = step.shape
    if own:
        network = Network([own.get(node.name, node) for node in network], network.output.name)
    return Inference(network, shapes, steps, undecided, open_demands, refused)


def output_shapes(network: Network, image: layers.Input | None = None) -> dict[str, Shape]:
    """The shape of every layer's output, by name; on another input, if that is given. Raises `ShapeError` where shapes
    do not go together, and `Undecided` where nothing is known about an operation.

    >>> from convproof.architecture.notation import network
    >>> output_shapes(network("INPUT[32x32x3] -> CONV3-12 -> POOL2"))["maxpool1"]
    (12, 16, 16)
    """
    found = infer(network, image)
    for reason in found.refused.values():
        raise ShapeError(reason)
    for reason in found.undecided.values():
        raise Undecided(reason)
    return dict(found.shapes)


def axis_names(network: Network) -> tuple[str, ...]:
    """The names of the input's spatial axes: W; H, W; or D, H, W."""
    return ("D", "H", "W")[-len(network.image.sizes) :]


def of_any_size(network: Network, letters: bool = False) -> Network:
    """The network with a letter of its own for each size of its image; as it is, where some are letters already, unless
    with `letters`.
    """
    if not letters and not all(isinstance(size(n), int) for n in network.image.sizes):
        return network
    free = tuple(symbol(f"size of {name}") for name in axis_names(network))  # names that no letter can have
    return network.with_input(replace(network.image, sizes=free))
