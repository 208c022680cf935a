"""The network that grows while somebody's model is read, whatever it is imported from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from convproof.architecture import Input, Layer, Network, Node, layers
from convproof.architecture.amounts import Amount
from convproof.errors import ConvproofError, InputError
from convproof.importers.sizes import BATCH, Size, letters_of, over
from convproof.importers.values import Flow, Inexpressible, shown
from convproof.symbolic import normal, symbol
from convproof.symbolic.amounts import Formula, own_operands
from convproof.symbolic.shapes import shape_of

_CHAIN = 50

ONE_SIZE = "what follows was read at {}, the given size, and may differ at others"


@dataclass(frozen=True)
class Imported:
    """A network from a file or a module, and where in it its layers come from.

    `tensors` names the tensor that a layer makes, `parameters` the stored tensors that it learns (scale and shift of a
    BatchNorm, not the running statistics); `stored` has the shapes of all that the model learns, also of what no layer
    reads. A tensor that several layers use stands
    under each of them. `notes` says, layer by layer, what was taken for something else or not understood. `undecided`
    says why the sizes that the network accepts are not known to be those of the model: what was read at a single size,
    or depends on what was not looked at. Where it is empty, the model accepts just the sizes that the network accepts.
    """

    network: Network
    tensors: Mapping[str, str]
    parameters: Mapping[str, tuple[str, ...]]
    stored: Mapping[str, tuple[int, ...]]
    notes: Mapping[str, str]
    undecided: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    """The layers whose results are returned, by the names of these."""
    taken: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The shapes, without the batch, that the framework makes of the given image where no rule tells them."""
    cases: tuple[Network, ...] = ()
    """The networks that the model is at other sizes, where it decides by them: what it accepts is
    `accepted_sizes(found.network, found.cases)`, of which the network alone accepts a part.
    """

    @property
    def learned(self) -> int:
        """The numbers that the model learns; what several layers share counts once."""
        return sum(map(prod, self.stored.values()))


class Graph:
    """Layers, where they come from, and the sizes of what they make.

    A size that is no number is a formula in letters for the image's; two that are equal at every size are the same one.
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
        self.grown: set[str] = set()
        """Pads by amounts that are never below 0."""
        self.parts: set[str] = set()
        """Layers that demand nothing of their own, and are left out where nothing reads them."""
        self.notes: dict[str, str] = {}
        self.undecided: dict[str, None] = {}
        """Why the accepted sizes are not known, in order."""
        self.letters: dict[Any, int] = {}
        """The numbers that weights give to the letter of the image's channels."""
        self.places: dict[Any, tuple[str, int]] = {}
        """The layer and the axis (0 is the batch) that have a size first; of a letter of its own, the only ones."""
        self.batch: Size = BATCH
        self.batch_number: int | None = None
        """How many images a file is written for."""
        self._numbers: dict[str, int] = {}

    # --- layers -------------------------------------------------------------------------------------------------------

    def name(self, wanted: str) -> str:
        """A name for a layer that no other has."""
        wanted = name = shown(wanted) or "layer"
        while name in self.nodes:
            self._numbers[wanted] = number = self._numbers.get(wanted, 1) + 1
            name = f"{wanted}_{number}"
        return name

    def image(self, layer: Input, tensor: str) -> Flow:
        """The input, whose sizes are told to nobody as numbers: what is read holds for all of them."""
        name = self.name(tensor)
        self.nodes[name], self.tensors[name] = Node(name, layer), tensor
        channels = symbol(layer.channels) if isinstance(layer.channels, str) else layer.channels
        self.flows[name] = Flow(name, (self.batch, channels, *map(symbol, image_letters(layer))), name)
        self.places[self.batch] = name, 0
        self._remember(self.flows[name])
        return self.flows[name]

    def place(
        self,
        wanted: str,
        layer: Layer,
        operands: Sequence[Flow],
        learned: Sequence[str] = (),
        tensor: str = "",
        shape: Sequence[Any] | None = None,
    ) -> Flow:
        """A new layer, named like `wanted`; `shape` is what an operation makes that no layer kind describes, where that
        is known.
        """
        name = self.name(wanted)
        self.nodes[name] = Node(name, layer, tuple(operand.layer for operand in operands))
        if tensor:
            self.tensors[name] = tensor
        if learned:
            self.parameters[name] = tuple(learned)
        made = None if shape is None else tuple(shape)
        if made is None and (inferred := self._inferred(layer, operands)) is not None:
            sizes = (self.own_size(name, axis) if n is None else n for axis, n in enumerate(inferred, 1))
            made = (self._batch(name, layer, operands), *sizes)
        self.flows[name] = flow = Flow(name, made, name)
        self._remember(flow)
        return flow

    def _remember(self, x: Flow) -> None:
        if x.shape is not None:
            for axis, n in enumerate(self.of_image(x.shape), 1):
                if not isinstance(n, int):
                    self.places.setdefault(n, (x.layer, axis))

    def absorb(self, names: Iterable[str]) -> None:
        """Leaves layers out that became a part of another one, unless something else reads them."""
        self.parts.update(names)

    def note(self, made: Flow, text: str) -> None:
        """Something to know about a layer, once."""
        before = self.notes.get(made.layer, "")
        if text not in before:
            self.notes[made.layer] = f"{before}; {text}" if before else text

    def undecide(self, place: str, why: str) -> None:
        """Records why the accepted sizes are not known."""
        self.undecided[f"{place}: {why}"] = None

    # --- sizes --------------------------------------------------------------------------------------------------------

    def _inferred(self, layer: Layer, operands: Sequence[Flow]) -> Sequence[Any] | None:
        """The shape that shape inference finds, in formulas; None where it finds none."""
        try:
            layer, shapes = own_operands(layer, tuple(map(self._formula, operands)))
            made = shape_of(layer, *shapes)
        except (ConvproofError, Inexpressible, ValueError):  # it is not known, or the ranks do not go together
            return None
        return None if any(isinstance(n, int) and n < 1 for n in made) else made

    def _formula(self, x: Flow) -> tuple[Any, ...]:
        """The shape of x in formulas."""
        return tuple(map(self.given, self.of_image(self.shape(x))))

    def has_batch(self, n: Any) -> bool:
        """Whether an axis of this size is that of the batch, or has it as a factor."""
        return any(each == self.batch or self.places.get(each, ("", 1))[1] == 0 for each in letters_of(n))

    def of_image(self, sizes: Sequence[Any]) -> tuple[Any, ...]:
        """The shape of what is made of one image, of that with the batch; an axis that has more than the batch stays.
        Raises `Inexpressible` where the batch is in no axis.
        """
        found = [axis for axis, n in enumerate(sizes) if self.has_batch(n)]
        if len(found) != 1:
            raise Inexpressible("what it makes is not one thing for each image")
        (place,) = found
        rest = 1 if sizes[place] in letters_of(sizes[place]) else over(sizes[place], self.batch)
        return (*sizes[:place], *([] if rest == 1 else [rest]), *sizes[place + 1 :])

    def is_batch_first(self, x: Flow) -> bool:
        """Whether the first axis of x is the batch alone, as layers of one image need it."""
        if x.shape is None:
            return True
        first = x.shape[0]
        return self.has_batch(first) and first in letters_of(first)

    def given(self, n: Any) -> Any:
        """A size with what weights say for the letter of the image's channels."""
        if isinstance(n, Amount):
            return Amount(n.function, tuple(map(self.given, n.operands)))
        if not isinstance(n, int | float | Formula):
            raise Inexpressible("it is no size")
        return normal(n.xreplace(self.letters)) if self.letters and isinstance(n, Formula) else n

    def own_size(self, layer: str, axis: int) -> Any:
        """A letter for a size of which nothing is known."""
        letter = symbol(f"axis {axis} of {layer}")
        self.places[letter] = layer, axis
        return letter

    def _batch(self, name: str, layer: Layer, operands: Sequence[Flow]) -> Any:
        if isinstance(layer, layers.Reshape) and layer.batch:
            return self.own_size(name, 0)
        return operands[0].shape[0] if operands and operands[0].shape else self.batch

    def at_image(self, n: Any) -> int | None:
        """The number that a size is at the given image; None where that has letters, or the size is not known."""
        image, n = self.image_layer, self.given(n)
        if not isinstance(n, int):
            letters = zip(map(symbol, image_letters(image)), image.sizes, strict=True)
            n = normal(n.xreplace({letter: size for letter, size in letters if isinstance(size, int)}))
        return n if isinstance(n, int) and n > 0 else None

    def read_at_one_size(self, layer: str) -> None:
        """Records that a number was read which a layer has at the given image alone."""
        self.undecide(layer, ONE_SIZE.format("x".join(map(str, self.image_layer.sizes))))

    def like(self, sizes: Sequence[Any]) -> Flow | None:
        """What has these spatial sizes, whatever the image, where some layer has them."""
        wanted = tuple(sizes)
        return next((x for x in self.flows.values() if x.shape and x.shape[2:] == wanted and self._is_known(x)), None)

    def _is_known(self, x: Flow) -> bool:
        return not isinstance(self.nodes[x.layer].layer, layers.Unknown)

    def chain(self, x: Flow) -> list[str]:
        """The layers that x is an element-wise function of, x itself first; not more than a few."""
        found = [x.layer]
        while found[-1] != x.root and len(found) < _CHAIN:
            found.append(self.nodes[found[-1]].operands[0])
        return found

    def is_batch(self, n: Any) -> bool:
        """Whether a size can be that of the batch, which a model may write as the number that it has."""
        return bool(n == self.batch or n == (self.batch_number or 1))

    def shape(self, x: Flow) -> tuple[Any, ...]:
        """The shape of x, batch first. Raises `Inexpressible` where even its rank is not known."""
        if x.shape is None:
            raise Inexpressible("nothing is known about what it reads")
        return x.shape

    def channels(self, x: Flow) -> Any:
        """The channels of x; None where they are not known."""
        return None if x.shape is None else self.given(x.shape[1])

    def need(self, x: Flow, rank: int, channels: int | None = None) -> None:
        """Sees to it that x has so many axes; a letter for its channels becomes the number that is asked for first.

        Raises `InputError` where it has other axes. That the numbers are equal is a demand of the layer.
        """
        if x.shape is None:
            return
        if len(x.shape) != rank:
            raise InputError(f"it needs an input with {rank} axes, but {x.layer} has {len(x.shape)}")
        letter = self.image_layer.channels
        if channels is not None and isinstance(letter, str) and x.shape[1] == symbol(letter):
            self.letters.setdefault(x.shape[1], channels)

    def together(self, flows: Sequence[Flow]) -> None:
        """Sees to it that layers of one shape rule read the same images. Raises `Inexpressible` where some were made
        of parts of them, or have other numbers of axes.
        """
        shapes = [each.shape for each in flows if each.shape is not None]
        if len({len(shape) for shape in shapes}) > 1:
            raise Inexpressible("its operands have different numbers of axes")
        if len({shape[0] for shape in shapes}) > 1:
            raise Inexpressible("some of its operands have rows of an image in the place of images")

    def scaled(self, flows: Sequence[Flow], vectors: Sequence[Flow | None]) -> tuple[Flow, Flow] | None:
        """Of two flows what is scaled and by what, where one has a single position and as many channels as the other,
        which has, as it seems, more positions.

        `vectors` are what the flows are, where they are vectors as channels with a single position.
        """
        if len(flows) != 2:
            return None
        for place, x in enumerate(flows):
            factors, vector = flows[1 - place], vectors[1 - place]
            if x.shape is None or len(x.shape) < 3 or self.channels(factors if vector is None else vector) is None:
                continue
            if self.channels(x) != self.channels(factors if vector is None else vector):
                continue
            if vector is not None:
                return x, vector
            if len(self.shape(factors)) == len(x.shape) and {*self.shape(factors)[2:]} == {1} != {*x.shape[2:]}:
                return x, factors
        return None

    def may_be_empty(self, x: Flow) -> bool:
        """Whether x is what a crop leaves, or made of that by layers that take what is empty. A crop demands here that
        something is left; frameworks do not.
        """
        waiting, seen = [x.layer], {x.layer}
        while waiting:
            node = self.nodes[waiting.pop()]
            if isinstance(node.layer, layers.Pad) and node.name not in self.grown and _crops(node.layer):
                return True
            asked = [each for each in node.operands if isinstance(self.nodes[each].layer, layers.Condition)]
            if isinstance(node.layer, layers.Shaped) and any(each in self.parts for each in asked):
                return True  # it asks that something is left, where something reads it
            if not isinstance(node.layer, _NEVER_EMPTY):
                more = {*node.operands} - seen
                seen |= more
                waiting += more
        return False

    @property
    def image_layer(self) -> Input:
        """The Input layer."""
        layer = next(iter(self.nodes.values())).layer
        assert isinstance(layer, Input)  # the first that is placed; for the type checker
        return layer

    @property
    def rank(self) -> int:
        """The number of axes of the image, with the batch."""
        return 2 + len(self.image_layer.sizes)

    # --- the network --------------------------------------------------------------------------------------------------

    def network(self, output: Flow, kept: Iterable[str]) -> Imported:
        """The network of some layers, with what they read, and what is known of them."""
        nodes = [_numbered(node, self.letters) for node in self._needed([output.layer, *kept])]
        names = {node.name for node in nodes}
        parameters = {name: used for name, used in self.parameters.items() if name in names}
        return Imported(
            network=Network(nodes, output.layer),
            tensors={name: tensor for name, tensor in self.tensors.items() if name in names},
            parameters=parameters,
            stored=self._learned(parameters),
            notes={name: text for name, text in self.notes.items() if name in names},
            undecided=tuple(self.undecided),
        )

    def _learned(self, parameters: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[int, ...]]:
        """The shapes of all that the model learns: as far as is known, what layers use."""
        return {name: self.stored[name] for used in parameters.values() for name in used}

    def _needed(self, wanted: Sequence[str]) -> list[Node]:
        """Layers and all that they read, in the order in which they were added."""
        found, waiting = {*wanted}, [*wanted]
        while waiting:
            for operand in self.nodes[waiting.pop()].operands:
                if operand not in found:
                    found.add(operand)
                    waiting.append(operand)
        return [node for node in self.nodes.values() if node.name in found]


_NEVER_EMPTY = (
    *(layers.Conv, layers.ConvTranspose, layers.MaxPool, layers.AvgPool, layers.LpPool, layers.Upsample),
    *(layers.Resize, layers.GlobalPool, layers.AdaptivePool, layers.Input),
)
"""The kinds whose results are never empty: they refuse what is, or make something of it."""


def _crops(layer: layers.Pad) -> bool:
    pads = layer.padding if isinstance(layer.padding, tuple) else (layer.padding,)
    numbers = [n for each in pads for n in (each if isinstance(each, tuple) else (each,))]
    return any(not isinstance(n, int) or n < 0 for n in numbers)


def image_letters(layer: Input) -> tuple[str, ...]:
    """Letters of our own for the sizes of an image: two axes may have the same one in the file, or a number."""
    return tuple(f"size of {name}" for name in ("D", "H", "W")[-len(layer.sizes) :])


def _numbered(node: Node, letters: Mapping[Any, int]) -> Node:
    """The Input with the channels that the weights ask for, where the file has a letter."""
    if not isinstance(node.layer, Input):
        return node
    known = {str(letter): n for letter, n in letters.items()}
    channels, *sizes = (known.get(n, n) for n in (node.layer.channels, *node.layer.sizes))
    return Node(node.name, Input(channels, tuple(sizes)))
