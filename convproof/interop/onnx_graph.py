"""The network that grows while an ONNX graph is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from convproof import spec
from convproof.errors import InputError
from convproof.interop.onnx_values import Call, Constant, Extent, Flow, Inexpressible, Value, shown
from convproof.spec import Layer, Node

Rule = Callable[[Call, "Graph"], Value]
"""What a node makes, of the values that it reads; or `Inexpressible` is raised."""

Shape = tuple[int | None, ...]

_CHAIN = 50


@dataclass(frozen=True)
class Grouped:
    """x with its channels laid out as (groups, channels/groups), or the other way round if `swapped`.

    `sizes` are the spatial ones as they were written.
    """

    x: Flow
    groups: int
    sizes: tuple[Any, ...]
    swapped: bool = False


class Graph:
    """Layers, where they come from, and what the file's numbers say about their shapes.

    A rule may leave layers that nothing reads in the end (the parts of what became one layer); `needed` drops them.
    """

    def __init__(self, declared: dict[str, Shape], uses: dict[str, int]) -> None:
        self.declared = declared
        """The shapes that the file tells of activations, without the batch; None where it does not."""
        self.uses = uses
        """How many nodes read a tensor."""
        self.nodes: dict[str, Node] = {}
        self.tensors: dict[str, str] = {}
        """The tensor that each layer makes."""
        self.parameters: dict[str, tuple[str, ...]] = {}
        self.stored: dict[str, tuple[int, ...]] = {}
        self.fixed: dict[str, Shape] = {}
        self.notes: dict[str, str] = {}
        self.letters: dict[str, int] = {}
        """The numbers that weights give to letters of the image's channels."""
        self.batch: Any = Extent("", 0)
        self.grouped: dict[str, Grouped] = {}
        """Tensors that are halfway through a channel shuffle."""
        self.channels_last = ""
        """The tensor of the image, where the channels come last in it and are moved by all that read it."""
        self.permuted: dict[str, Flow] = {}
        """Tensors in which the axes of a layer, but for the batch, stand in another order."""
        self._numbers: dict[str, int] = {}

    def name(self, wanted: str) -> str:
        """A name for a layer that no other has."""
        wanted = name = shown(wanted) or "layer"
        while name in self.nodes:
            self._numbers[wanted] = number = self._numbers.get(wanted, 1) + 1
            name = f"{wanted}_{number}"
        return name

    def image(self, layer: spec.Input, tensor: str, batch: Any) -> Flow:
        """The input."""
        self.batch = batch
        name = self.name(tensor)
        self.nodes[name], self.tensors[name] = Node(name, layer), tensor
        return Flow(name, (batch, layer.channels, *layer.sizes), name)

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
        name = self.name((tensor or call.node.name or first) + (f"/{part}" if part else ""))
        self.nodes[name] = Node(name, layer, tuple(operand.layer for operand in operands))
        if not part:
            self.tensors[name] = tensor or first
        if learned:
            self.parameters[name] = _sources(learned)
        if shape is None:
            return Flow(name, None, name)
        sizes = (Extent(name, axis) if n is None else n for axis, n in enumerate(shape, 1))
        return Flow(name, (self.batch, *sizes), name)

    def elementwise(self, call: Call, layer: Layer, x: Flow) -> Flow:
        """A new layer that is a function of each element of x."""
        made = self.add(call, layer, [x], None)
        return Flow(made.layer, x.shape, x.root)

    def chain(self, x: Flow) -> list[str]:
        """The layers that x is an element-wise function of, x itself first; not more than a few."""
        found = [x.layer]
        while found[-1] != x.root and len(found) < _CHAIN:
            found.append(self.nodes[found[-1]].operands[0])
        return found

    def with_bias(self, call: Call, x: Flow, bias: Constant) -> Flow | None:
        """x with the bias, where x is a fully connected layer without one that nothing else reads; else None."""
        layer, tensor = self.nodes[x.layer].layer, self.tensors.get(x.layer, "")
        units = layer.out_features if isinstance(layer, spec.Linear) and not layer.bias else None
        if bias.shape is None or bias.shape[-1:] != (units,) or bias.size != units:
            return None
        if tensor not in call.node.input or self.uses[tensor] != 1:
            return None
        self.nodes[x.layer] = Node(x.layer, spec.Linear(units), self.nodes[x.layer].operands)
        self.parameters[x.layer] += _sources([bias])
        self.tensors[x.layer] = call.node.output[0]
        return x

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

    def needed(self, output: Flow) -> list[Node]:
        """The layers that the output hangs on, in the order in which they were added."""
        found, waiting = {output.layer}, [output.layer]
        while waiting:
            for operand in self.nodes[waiting.pop()].operands:
                if operand not in found:
                    found.add(operand)
                    waiting.append(operand)
        return [node for node in self.nodes.values() if node.name in found]


def _sources(constants: Sequence[Constant]) -> tuple[str, ...]:
    return tuple(name for each in constants for name in each.sources)
