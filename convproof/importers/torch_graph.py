"""The network that grows while a recorded module is read, and what one recorded node reads and makes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from convproof.architecture import Layer, layers
from convproof.importers.graph import Graph, Imported
from convproof.importers.torch_values import Computed, Formula, Product, Size, View, leaves, own_axes, parts
from convproof.importers.values import Constant, Extent, Flow, Inexpressible, short, shown

T = TypeVar("T")

IMAGE = "input"
"""The name of the Input layer."""


class TorchGraph(Graph):
    """Layers, the recorded nodes that they come from, and the sizes that had to be known as numbers.

    `measure` gives the shape of what a node makes of the given image, batch first, or None where it is not known;
    `stored` are the shapes of all parameters.
    """

    def __init__(self, measure: Callable[[Any], tuple[int, ...] | None], stored: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(stored)
        self.measure = measure
        self.makers: dict[str, Any] = {}
        """The node that each layer comes from."""
        self.views: dict[str, View] = {}
        """Unknown layers that only move the elements of another one."""
        self.repeated: dict[str, tuple[Flow, Flow]] = {}
        """Unknown layers that repeat a flow along the axes of another."""

    @property
    def image_shape(self) -> tuple[Any, ...]:
        """(C, H, W) in numbers or letters."""
        image: Any = self.nodes[IMAGE].layer
        return (image.channels, *image.sizes)

    @property
    def in_numbers(self) -> bool:
        """Whether the image has no letters."""
        return all(isinstance(n, int) for n in self.image_shape)

    def missing(self, what: str) -> Inexpressible:
        """The reason where something must be known that hangs on the size of the image."""
        if self.in_numbers:
            return Inexpressible(f"{what} is not known, as torch does not tell it")
        return Inexpressible(f"{what} must be known; give input_shape in numbers")

    def shape_made(self, layer: str) -> tuple[int, ...]:
        """The shape that a layer makes of the image, batch first. Raises `Inexpressible` where it is not known."""
        shape = None
        if self.in_numbers:
            shape = (1, *self.image_shape) if layer == IMAGE else self.measure(self.makers[layer])
        if shape is None:
            raise self.missing(f"the size of {'the image' if layer == IMAGE else layer}")
        return shape

    def extents(self, x: Flow | Constant) -> tuple[Size, ...]:
        """The shape of x, batch first, without letters. Raises `Inexpressible` where it is not known."""
        if x.shape is not None:
            return tuple(n if isinstance(n, Size) else Extent(IMAGE, axis) for axis, n in enumerate(x.shape))
        if isinstance(x, Constant):
            raise Inexpressible("nothing is known about the shape of what it reads")
        return (self.batch, *(Extent(x.layer, axis) for axis in range(1, len(self.shape_made(x.layer)))))

    def number(self, size: Size) -> int:
        """A size as a number, which it has at the given image. Raises `Inexpressible` where that is not known."""
        found, extents = parts(size)
        for each in extents:
            if each == self.batch:
                raise Inexpressible("it must not depend on the size of the batch")
            shape = self.shape_made(each.layer)
            wanted = (n if axis == each.axis else None for axis, n in enumerate(shape))
            self.fix(self.flows[each.layer], tuple(wanted)[1:])
            self.remark(each.layer, "what follows depends on its size, and is read for the given image")
            found *= shape[each.axis]
        return found

    def remark(self, layer: str, text: str) -> None:
        """Something to know about a layer, once."""
        before = self.notes.get(layer, "")
        if text not in before:
            self.notes[layer] = f"{before}; {text}" if before else text

    def resolved(self, value: Any) -> Any:
        """A value with numbers for the sizes in it. Raises `Inexpressible` where one is not known."""
        if isinstance(value, Extent | Product):
            return self.number(value)
        if isinstance(value, Formula):
            return value.function(*self.resolved(value.operands))
        if isinstance(value, Computed):
            raise Inexpressible(value.why)
        if isinstance(value, Flow | Constant):
            raise Inexpressible("it is set by a tensor")
        if isinstance(value, tuple):
            return tuple(map(self.resolved, value))
        if isinstance(value, list):
            return list(map(self.resolved, value))
        if isinstance(value, slice):
            return slice(*map(self.resolved, (value.start, value.stop, value.step)))
        return value

    def vector(self, x: Flow) -> Flow | None:
        """The vector whose values are the channels of x, with a single position, if it is that."""
        view = self.views.get(x.layer)
        alone = view is not None and view.axes[:2] == view.own and not any(view.axes[2:])
        alone = alone and view is not None and len(view.axes) == self.rank
        return view.x if view is not None and alone else None

    def imported(self, output: Flow) -> Imported:
        """The network up to an output; where a size was asked of a layer that is left out, the image is fixed."""
        kept = {node.name for node in self._needed(output)}
        if self.in_numbers and any(name not in kept and {*fixed[1:]} - {None} for name, fixed in self.fixed.items()):
            self.fix(self.flows[IMAGE], (None, *self.image_shape[1:]))
            self.remark(IMAGE, "what follows depends on its size, and is read for the given image")
        return super().imported(output)

    def viewed(self, x: Flow) -> View:
        """The elements of x as those of a layer that is known."""
        if x.layer in self.views:
            return self.views[x.layer]
        own = own_axes(self.extents(x))
        return View(x, own, own)


class Call:
    """A recorded node with the values that it reads.

    `op` is its name in PyTorch and `place` where in the module it stands; `order` names its arguments. They and the
    attributes of `module` are its settings.
    """

    def __init__(
        self,
        graph: TorchGraph,
        node: Any,
        op: str,
        place: str,
        order: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        module: Any = None,
    ) -> None:
        self.graph, self.node, self.op, self.place, self.module = graph, node, op, place, module
        self.args, self.kwargs = list(args), dict(kwargs)
        self.settings = dict(zip(order.split(), args, strict=False)) | self.kwargs
        self.learned: tuple[str, ...] = ()
        """The parameters that it uses."""
        self.repeats: tuple[Flow, Flow] | None = None
        """What it repeats, and along the axes of what, if it does no more."""
        self.view: View | None = None
        """How the elements lie in what it makes, if it only moves elements, in no way that a layer kind describes."""

    # --- what it reads ------------------------------------------------------------------------------------------------

    def raw(self, name: str, default: Any = None) -> Any:
        """A setting, in which sizes need not be numbers."""
        return self.settings[name] if name in self.settings else getattr(self.module, name, default)

    def get(self, name: str, default: Any = None) -> Any:
        """A setting, in numbers."""
        return self.graph.resolved(self.raw(name, default))

    def per_axis(self, name: str, default: Any = None) -> Any:
        """A setting: one for all axes, or where they differ one for each."""
        found = self.get(name)
        if found in (None, (), []):
            return default
        return short(list(found)) if isinstance(found, tuple | list) else found

    def spread(self, value: Any, rank: int) -> tuple[Any, ...]:
        """One for each of `rank` axes, of one for all or one for each."""
        return tuple(value) if isinstance(value, tuple | list) else (value,) * rank

    def reads(self, kind: type[T]) -> list[T]:
        """All values of a kind that it reads."""
        return [each for each in leaves([self.args, self.kwargs]) if isinstance(each, kind)]

    @property
    def flows(self) -> list[Flow]:
        """All activations that it reads."""
        return self.reads(Flow)

    @property
    def rest(self) -> list[Any]:
        """The arguments behind the first, which may stand in one tuple."""
        found = self.args[1:] or list(self.kwargs.values())
        return list(found[0]) if len(found) == 1 and isinstance(found[0], tuple | list) else found

    @property
    def x(self) -> Flow:
        """The input."""
        found = self.raw("input")
        if not isinstance(found, Flow):
            raise Inexpressible("its input does not depend on the image")
        return found

    @property
    def rank(self) -> int:
        """How many spatial axes it works on, as its name says."""
        return int(self.op[-2])

    @property
    def has_bias(self) -> bool:
        """Whether it has a bias, learned or not."""
        if self.module is None:
            return self.raw("bias") is not None
        return any("bias" in name for name, _ in self.module.named_parameters())

    @property
    def others(self) -> list[str]:
        """What a module learns beside weights and a bias."""
        names = self.learned if self.module is not None else ()
        return [name for name in names if name.rpartition(".")[2] not in ("weight", "bias")]

    @property
    def in_place(self) -> bool:
        """Whether it changes its input."""
        return self.raw("inplace") is True or (self.module is None and bool(re.search("[^_]_$", self.op)))

    # --- what it makes ------------------------------------------------------------------------------------------------

    def add(self, layer: Layer, operands: Sequence[Flow], shape: Sequence[Any] | None, part: str = "") -> Flow:
        """A new layer that makes `shape` (without the batch; None for a size that is not known here).

        `part` names a layer that makes only a part of what the node does, and learns nothing.
        """
        learned = () if part else self.learned
        made = self.graph.place(self.place + part, layer, operands, shape, learned, self.node.name)
        self.graph.makers[made.layer] = self.node
        return made

    def like(self, layer: Layer, x: Flow, part: str = "") -> Flow:
        """A new layer that keeps the shape."""
        return self.add(layer, [x], x.shape and x.shape[1:], part)

    def windows(self, layer: Layer, x: Flow, channels: Any = None) -> Flow:
        """A new layer that changes the spatial sizes, and the channels if they are given."""
        if x.shape is None:
            return self.add(layer, [x], None)
        return self.add(layer, [x], (x.shape[1] if channels is None else channels, *(None for _ in x.shape[2:])))

    def elementwise(self, layer: Layer, x: Flow) -> Flow:
        """A new layer that is a function of each element of x."""
        return replace(self.like(layer, x), root=x.root)

    def unknown(self, why: str) -> Flow:
        """The node as an operation of which nothing is known."""
        kept = self.view is not None and self.view.keeps_batch
        made = self.add(
            layers.Unknown(shown(self.op)), self.flows, self.view.sizes()[1:] if kept and self.view else None
        )
        if self.view:
            self.graph.views[made.layer] = self.view
        if self.repeats:
            self.graph.repeated[made.layer] = self.repeats
        self.note(made, f"not understood: {why}")
        return made

    def note(self, made: Flow, text: str) -> None:
        """Something to know about a layer."""
        self.graph.remark(made.layer, text)


Rule = Callable[[Call], Any]
"""What a node makes; or `Inexpressible` is raised."""
