"""The network that grows while an ONNX graph is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from convproof.architecture import Layer, Node, layers
from convproof.importers.graph import Graph
from convproof.importers.onnx_values import Call
from convproof.importers.values import Constant, Flow, Inexpressible, Value

Rule = Callable[[Call, "OnnxGraph"], Value | tuple[Value, ...]]
"""What a node makes, of the values that it reads: its first output, or all; or `Inexpressible` is raised."""


@dataclass(frozen=True)
class Grouped:
    """x with its channels laid out as (groups, channels/groups), or the other way round if `swapped`."""

    x: Flow
    groups: int
    swapped: bool = False


class OnnxGraph(Graph):
    """Layers, and what depends on the tensors of the file."""

    def __init__(self, declared: Mapping[str, Sequence[int | None]], uses: dict[str, int]) -> None:
        super().__init__({})
        self.declared = declared
        """The shapes that the file tells of activations, without the batch; None where it does not."""
        self.uses = uses
        """How many nodes read a tensor."""
        self.grouped: dict[str, Grouped] = {}
        """Tensors that are halfway through a channel shuffle."""
        self.channels_last = ""
        """The tensor of the image, where the channels come last in it and are moved by all that read it."""
        self.vectors: dict[str, Flow] = {}
        """Tensors in which the values of a vector are channels, with a single position."""
        self.permuted: dict[str, Flow] = {}
        """Tensors in which the axes of a layer, but for the batch, stand in another order."""

    def add(
        self,
        call: Call,
        layer: Layer,
        operands: Sequence[Flow],
        learned: Sequence[Constant] = (),
        part: str = "",
        tensor: str = "",
    ) -> Flow:
        """A new layer. `part` names one that makes only a part of what the node does; `tensor` is what it makes, if not
        the node's first output.
        """
        first = next((each for each in call.node.output if each), "")
        name = (tensor or call.node.name or first) + (f"/{part}" if part else "")
        return self.place(name, layer, operands, _sources(learned), "" if part else tensor or first)

    def elementwise(self, call: Call, layer: Layer, x: Flow) -> Flow:
        """A new layer that is a function of each element of x."""
        return replace(self.add(call, layer, [x]), root=x.root)

    def is_seen_through(self, tensor: str) -> bool:
        """Whether a tensor only lays out elements in another way, which what follows may see through."""
        return tensor in self.grouped or tensor in self.permuted

    def with_bias(self, call: Call, x: Flow, bias: Constant) -> Flow | None:
        """x with the bias, where x is a fully connected layer without one that nothing else reads; else None."""
        layer, tensor = self.nodes[x.layer].layer, self.tensors.get(x.layer, "")
        if not isinstance(layer, layers.Linear) or layer.bias:
            return None
        units = layer.out_features
        if bias.shape is None or bias.shape[-1:] != (units,) or bias.size != units or len(bias.shape) > 2:
            return None
        if tensor not in call.node.input or self.uses[tensor] != 1:
            return None
        self.nodes[x.layer] = Node(x.layer, replace(layer, bias=True), self.nodes[x.layer].operands)
        self.parameters[x.layer] += _sources([bias])
        self.tensors[x.layer] = call.node.output[0]
        return x

    def number(self, n: Any) -> int | None:
        """A size as a number, that of the given image; None where that is not known."""
        if isinstance(n, int):
            return n
        found = None if n is None else self.at_image(n)
        for each in () if found is None else {n} if n in self.places else n.free_symbols & self.places.keys():
            self.read_at_one_size(self.places[each][0])
        return found

    def sizes(self, call: Call, rank: int) -> tuple[int, ...]:
        """The spatial sizes of the node's first input, at the given image, or as they are declared.

        Raises `Inexpressible` where they are not.
        """
        x = call.flow()
        shape = self.shape(x)
        if len(shape) != rank + 2:
            raise Inexpressible("the size of what it reads is not declared in the file")
        declared = self.declared.get(call.node.input[0], ())
        found = []
        for axis, n in enumerate(shape[2:], 1):
            number = self.number(n)
            if number is None and len(declared) == rank + 1 and (number := declared[axis]) is not None:
                self.undecide(x.layer, "what follows was read at the size that the file declares of it")
            if number is None:
                raise Inexpressible("the size of what it reads is not declared in the file")
            found.append(number)
        return tuple(found)


def _sources(constants: Sequence[Constant]) -> tuple[str, ...]:
    return tuple(name for each in constants for name in each.sources)
