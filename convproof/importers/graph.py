"""The network that grows while somebody's model is read, whatever it is imported from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from convproof.architecture import Input, Layer, Network, Node, layers
from convproof.errors import ConvproofError, InputError
from convproof.importers.values import Extent, Flow, Inexpressible, shown
from convproof.symbolic import output_shape, symbol

Shape = tuple[int | None, ...]

_CHAIN = 50


@dataclass(frozen=True)
class Imported:
    """A network from a file or a module, and where in it its layers come from.

    `tensors` names the tensor that a layer makes, `parameters` the stored tensors that it learns (scale and shift of a
    BatchNorm, not the running statistics), whose shapes are in `stored`. A tensor that several layers use stands
    under each of them. `fixed` holds what numbers written into the file say of the shape of a layer's output, beyond
    the shape of the image: for a reshape to (-1, 9216), say. The network says nothing of them; `conflicts` does.
    `notes` says, layer by layer, what was taken for something else or not understood.
    """

    network: Network
    tensors: Mapping[str, str]
    parameters: Mapping[str, tuple[str, ...]]
    stored: Mapping[str, tuple[int, ...]]
    fixed: Mapping[str, Shape]
    notes: Mapping[str, str]

    @property
    def learned(self) -> int:
        """The learned numbers in the file; what several layers share counts once."""
        return sum(prod(self.stored[name]) for name in {name for used in self.parameters.values() for name in used})

    def conflicts(self, shapes: Mapping[str, Sequence[Any]]) -> list[str]:
        """Where `shapes` (of outputs, by layer) are not those that are written into the model, in words.

        Letters may be.

        >>> from convproof.architecture import Conv, Flatten, Input
        >>> network = Network.chain([Input(3, (8, 8)), Conv(2, 3), Flatten()])
        >>> Imported(network, {}, {}, {}, {"flatten1": (98,)}, {}).conflicts({"flatten1": (72,)})
        ['flatten1: the model has 98 values, not 72']
        """
        found = []
        for layer, written in self.fixed.items():
            if layer in shapes and any(_differ(*pair) for pair in zip(written, shapes[layer], strict=True)):
                here, there = (
                    "x".join("?" if n is None else str(n) for n in each) for each in (written, shapes[layer])
                )
                found.append(f"{layer}: the model has {here} values, not {there}")
        return found


def _differ(written: int | None, size: Any) -> bool:
    return written is not None and isinstance(size, int) and written != size


class Graph:
    """Layers, where they come from, and what numbers in the model say about their shapes.

    A rule may leave layers that nothing reads in the end (the parts of what became one layer); `imported` drops them.
    """

    def __init__(self, stored: Mapping[str, tuple[int, ...]]) -> None:
        self.stored = dict(stored)
        """The shapes of parameters."""
        self.nodes: dict[str, Node] = {}
        self.flows: dict[str, Flow] = {}
        """What each layer makes."""
        self.tensors: dict[str, str] = {}
        """The tensor that each layer makes."""
        self.parameters: dict[str, tuple[str, ...]] = {}
        self.fixed: dict[str, Shape] = {}
        self.notes: dict[str, str] = {}
        self.letters: dict[str, int] = {}
        """The numbers that weights give to letters of the image's channels."""
        self.batch: Any = Extent("", 0)
        self._numbers: dict[str, int] = {}

    def name(self, wanted: str) -> str:
        """A name for a layer that no other has."""
        wanted = name = shown(wanted) or "layer"
        while name in self.nodes:
            self._numbers[wanted] = number = self._numbers.get(wanted, 1) + 1
            name = f"{wanted}_{number}"
        return name

    def image(self, layer: layers.Input, tensor: str, batch: Any) -> Flow:
        """The input."""
        self.batch = batch
        name = self.name(tensor)
        self.nodes[name], self.tensors[name] = Node(name, layer), tensor
        self.flows[name] = Flow(name, (batch, layer.channels, *layer.sizes), name)
        return self.flows[name]

    def place(
        self,
        wanted: str,
        layer: Layer,
        operands: Sequence[Flow],
        shape: Sequence[Any] | None,
        learned: Sequence[str] = (),
        tensor: str = "",
    ) -> Flow:
        """A new layer, named like `wanted`, that makes `shape` (without the batch; None for a size not known here)."""
        name = self.name(wanted)
        self.nodes[name] = Node(name, layer, tuple(operand.layer for operand in operands))
        if tensor:
            self.tensors[name] = tensor
        if learned:
            self.parameters[name] = tuple(learned)
        self.flows[name] = flow = Flow(name, self._sizes(name, layer, operands, shape), name)
        return flow

    def _sizes(
        self, name: str, layer: Layer, operands: Sequence[Flow], shape: Sequence[Any] | None
    ) -> tuple[Any, ...] | None:
        """The shape of what a new layer makes, batch first."""
        if shape is None:
            return None
        if len(shape) > 1 and operands and all(map(self._is_single, operands)):
            shape = self._behind_single(layer, operands, shape)
        sizes = (n if isinstance(n, int | str | Extent) else Extent(name, axis) for axis, n in enumerate(shape, 1))
        return (self.batch, *sizes)

    def like(self, sizes: Sequence[Any]) -> Flow | None:
        """What has these spatial sizes, where they are those of one layer, or the letters of the image."""
        image = next(iter(self.flows.values()))
        if all(isinstance(n, str) for n in sizes) and image.shape is not None and tuple(sizes) == image.shape[2:]:
            return image
        layers = {each.layer if isinstance(each, Extent) else "" for each in sizes}
        if len(layers) > 1 or "" in layers or [each.axis for each in sizes] != list(range(2, len(sizes) + 2)):
            return None
        return self.flows[layers.pop()]

    def chain(self, x: Flow) -> list[str]:
        """The layers that x is an element-wise function of, x itself first; not more than a few."""
        found = [x.layer]
        while found[-1] != x.root and len(found) < _CHAIN:
            found.append(self.nodes[found[-1]].operands[0])
        return found

    def note(self, made: Flow, text: str) -> None:
        """Something to know about a layer."""
        self.notes[made.layer] = text

    def is_batch(self, n: Any) -> bool:
        """Whether a size can be that of the batch, which a file may write as 1."""
        return bool(n == self.batch or (n == 1 and not isinstance(self.batch, int)))

    def shape(self, x: Flow) -> tuple[Any, ...]:
        """The shape of x, batch first. Raises `Inexpressible` where even its rank is not known."""
        if x.shape is None:
            raise Inexpressible("nothing is known about what it reads")
        return x.shape

    def channels(self, x: Flow) -> Any:
        """The channels of x; None where they are not known."""
        return None if x.shape is None else x.shape[1]

    def need(self, x: Flow, rank: int, channels: int | None = None) -> None:
        """Sees to it that x has so many axes and channels. Raises `InputError` where it has not."""
        if x.shape is None:
            return
        if len(x.shape) != rank:
            raise InputError(f"it needs an input with {rank} axes, but {x.layer} has {len(x.shape)}")
        if channels is not None:
            self.fix(x, (channels, *(None for _ in x.shape[2:])))

    def fix(self, x: Flow, shape: Shape) -> None:
        """The file has x in this shape (without the batch; None where it does not say)."""
        if x.shape is None:
            return
        written = list(self.fixed.get(x.layer, (None,) * len(shape)))
        for place, (wanted, have) in enumerate(zip(shape, x.shape[1:], strict=True)):
            if wanted is None:
                continue
            if place == 0 and isinstance(have, str):
                have = self.letters.setdefault(have, wanted)
            elif not isinstance(have, int):
                have = written[place] = wanted if written[place] is None else written[place]
            if wanted != have:
                raise InputError(f"it needs {wanted} on axis {place + 1} of {x.layer}, which has {have} there")
        if any(n is not None for n in written):
            self.fixed[x.layer] = tuple(written)

    @property
    def rank(self) -> int:
        """The number of axes of the image, with the batch."""
        image: Any = next(iter(self.nodes.values())).layer
        return 2 + len(image.sizes)

    def _is_single(self, x: Flow) -> bool:
        """Whether x has one position, whatever the size of the image."""
        return x.shape is not None and len(x.shape) > 2 and all(n == 1 for n in x.shape[2:])

    def _behind_single(self, layer: Layer, operands: Sequence[Flow], shape: Sequence[Any]) -> Sequence[Any]:
        """The shape of a layer's output, with ones where it has a single position again."""
        try:
            channels = (
                each.shape[1] if isinstance(each.shape[1], int) else symbol("C") for each in operands if each.shape
            )
            made = output_shape(layer, *((n, *(1 for _ in shape[1:])) for n in channels))
        except ConvproofError:
            return shape
        return (shape[0], *made[1:]) if all(n == 1 for n in made[1:]) else shape

    def imported(self, output: Flow) -> Imported:
        """The network up to an output, with what is known of its layers."""
        nodes = [_numbered(node, self.letters) for node in self._needed(output)]
        kept = {node.name for node in nodes}
        parameters = {name: used for name, used in self.parameters.items() if name in kept}
        return Imported(
            network=Network(nodes),
            tensors={name: tensor for name, tensor in self.tensors.items() if name in kept},
            parameters=parameters,
            stored={name: self.stored[name] for used in parameters.values() for name in used},
            fixed={name: shape for name, shape in self.fixed.items() if name in kept},
            notes={name: text for name, text in self.notes.items() if name in kept},
        )

    def _needed(self, output: Flow) -> list[Node]:
        """The layers that the output hangs on, in the order in which they were added."""
        found, waiting = {output.layer}, [output.layer]
        while waiting:
            for operand in self.nodes[waiting.pop()].operands:
                if operand not in found:
                    found.add(operand)
                    waiting.append(operand)
        return [node for node in self.nodes.values() if node.name in found]


def _numbered(node: Node, letters: Mapping[str, int]) -> Node:
    """The Input with the channels that the weights ask for, where the file has a letter."""
    if not isinstance(node.layer, Input):
        return node
    channels, *sizes = (letters.get(n, n) for n in (node.layer.channels, *node.layer.sizes))
    return Node(node.name, Input(channels, tuple(sizes)))
