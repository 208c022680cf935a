"""The network that grows while an ONNX graph is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from convproof.architecture import Layer, Node, layers
from convproof.importers.graph import Graph, Shape
from convproof.importers.onnx_values import Call
from convproof.importers.values import Constant, Flow, Inexpressible, Value

Rule = Callable[[Call, "OnnxGraph"], Value | tuple[Value, ...]]
"""What a node makes, of the values that it reads: its first output, or all; or `Inexpressible` is raised."""


@dataclass(frozen=True)
class Grouped:
    """x with its channels laid out as (groups, channels/groups), or the other way round if `swapped`.

    `sizes` are the spatial ones as they were written.
    """

    x: Flow
    groups: int
    sizes: tuple[Any, ...]
    swapped: bool = False


class OnnxGraph(Graph):
    """Layers, and what hangs on the tensors of the file."""

    def __init__(self, declared: dict[str, Shape], uses: dict[str, int]) -> None:
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
        shape: Sequence[Any] | None,
        learned: Sequence[Constant] = (),
        part: str = "",
        tensor: str = "",
    ) -> Flow:
        """A new layer that makes `shape` (without the batch; None for a size that is not known here).

        `part` names a layer that makes only a part of what the node does; `tensor` is what it makes, if not the node's
        first output.
        """
        first = next((each for each in call.node.output if each), "")
        name = (tensor or call.node.name or first) + (f"/{part}" if part else "")
        return self.place(name, layer, operands, shape, _sources(learned), "" if part else tensor or first)

    def elementwise(self, call: Call, layer: Layer, x: Flow) -> Flow:
        """A new layer that is a function of each element of x."""
        made = self.add(call, layer, [x], None)
        return Flow(made.layer, x.shape, x.root)

    def with_bias(self, call: Call, x: Flow, bias: Constant) -> Flow | None:
        """x with the bias, where x is a fully connected layer without one that nothing else reads; else None."""
        layer, tensor = self.nodes[x.layer].layer, self.tensors.get(x.layer, "")
        units = layer.out_features if isinstance(layer, layers.Linear) and not layer.bias else None
        if bias.shape is None or bias.shape[-1:] != (units,) or bias.size != units or len(bias.shape) > 2:
            return None
        if tensor not in call.node.input or self.uses[tensor] != 1:
            return None
        self.nodes[x.layer] = Node(x.layer, layers.Linear(units), self.nodes[x.layer].operands)
        self.parameters[x.layer] += _sources([bias])
        self.tensors[x.layer] = call.node.output[0]
        return x

    def sizes(self, call: Call, rank: int) -> tuple[int, ...]:
        """The spatial sizes of the node's first input, known or declared. Raises `Inexpressible` where they are not."""
        x = call.flow()
        shape = self.shape(x)
        if all(isinstance(n, int) for n in shape[2:]):
            return shape[2:]
        declared = self.declared.get(call.node.input[0], ())
        if len(declared) != len(shape) - 1 or len(shape) != rank + 2 or any(n is None for n in declared[1:]):
            raise Inexpressible("the size of what it reads is not declared in the file")
        self.fix(x, (None, *declared[1:]))
        return tuple(n for n in declared[1:] if n is not None)


def _sources(constants: Sequence[Constant]) -> tuple[str, ...]:
    return tuple(name for each in constants for name in each.sources)
