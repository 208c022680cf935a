"""What one operator of somebody's model reads and makes, by its name and settings in PyTorch."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from convproof.architecture import Layer, layers
from convproof.importers.forward import Forward
from convproof.importers.values import Constant, Flow, Inexpressible, leaves, short, shown
from convproof.importers.views import View

Tensor = Flow | Constant


class Call:
    """An operator with the values that it reads, whatever a model is written in.

    `op` is its name in PyTorch, where a `module` has one of its class, and `place` where in the model it stands. Its
    keyword arguments and the attributes of `module` are its settings, and what a table names of its other arguments.
    """

    def __init__(
        self,
        graph: Forward,
        op: str,
        place: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        module: Any = None,
        source: Any = None,
        tensor: str = "",
    ) -> None:
        self.graph, self.op, self.place, self.module = graph, op, place, module
        self.args, self.kwargs = list(args), dict(kwargs or {})
        self.settings = dict(self.kwargs)
        self.source = source
        """What the graph measures the result by."""
        self.tensor_name = tensor
        self.title = op
        """Its name where its model was written."""
        self.known = True
        """Whether the table means it by its name."""
        self.is_method = self.is_strided = False
        """Whether it is a method, and whether its input may lie in memory otherwise than in the order of its axes."""
        self.learned: tuple[str, ...] = ()
        """The parameters that it uses."""
        self.repeats: tuple[Flow, Flow] | None = None
        """What it repeats, and along the axes of what, if it does no more."""
        self.view: View | None = None
        """How the elements lie in what it makes, if it only moves elements, in no way that a layer kind describes."""

    def name_arguments(self, order: str) -> None:
        """Says what the arguments are that have no name."""
        self.settings = dict(zip(order.split(), self.args, strict=False)) | self.kwargs

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

    def reads(self, kind: Any) -> list[Any]:
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
    def tensor(self) -> Tensor:
        """The input, of the image or not."""
        found = self.raw("input")
        if not isinstance(found, Flow | Constant):
            raise Inexpressible("its input is no tensor")
        return found

    @property
    def rank(self) -> int:
        """How many spatial axes it works on, as its name says."""
        return int(next(each for each in self.op if each in "123"))

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
        if self.raw("inplace") is True or self.op == "setitem":
            return True
        return self.module is None and bool(re.search("[^_]_$", self.op))

    # --- what it makes ------------------------------------------------------------------------------------------------

    def add(self, layer: Layer, operands: Sequence[Flow], part: str = "", shape: Sequence[Any] | None = None) -> Flow:
        """A new layer; `shape`, without the batch, is what an operation makes that no layer kind describes.

        `part` names a layer that makes only a part of what the node does, and learns nothing.
        """
        made = self.graph.place(
            self.place + part, layer, operands, () if part else self.learned, "" if part else self.tensor_name, shape
        )
        if part:
            self.graph.parts.add(made.layer)
        else:
            self.graph.makers[made.layer] = self.source
        return made

    def elementwise(self, layer: Layer, x: Flow) -> Flow:
        """A new layer that is a function of each element of x."""
        return replace(self.add(layer, [x]), root=x.root)

    def moved(self, layer: Layer, view: View) -> Flow:
        """A new layer that only moves elements; it is left out where what follows looks through it."""
        sizes = view.sizes() if view.keeps_batch else None
        made = self.add(layer, self.flows if isinstance(layer, layers.Unknown) else [view.x], shape=sizes)
        self.graph.views[made.layer] = view
        self.graph.parts.add(made.layer)
        return made

    def shaped(
        self, sizes: Sequence[Any], macs: Any = 0, in_place: bool = False, layout: tuple[int, ...] | None = None
    ) -> Tensor:
        """It as an operation of which the shape of its result is known, with the batch, and its multiply-adds; a
        constant where it reads no activation. With a `layout` every position reads the same position of the image.
        """
        sizes = [self.graph.given(n) for n in sizes]
        if not self.flows:
            return Constant(tuple(sizes), None, self.learned)
        own = self.graph.of_image(sizes)
        read = list(dict.fromkeys(self.flows))
        pointwise = 0 if layout is None else len(read)
        shape = tuple(self.graph.amount(n, read) for n in own)
        for n in own:
            if not self.graph.is_there(n) and not self.graph.compared(operator.ge, n, 1):
                read.append(self.graph.ask("at_least", n, 1, part=True))  # what nothing reads may be empty
        if not shape:
            raise Inexpressible("it leaves no axis but the batch")
        counts = {"bias": 0, "": 0}
        for name in self.learned:
            counts["bias" if name.endswith("bias") else ""] += math.prod(self.graph.stored[name])
        products = self.graph.amount(macs, read)
        layer = layers.Shaped(shown(self.title), shape, counts[""], counts["bias"], products, in_place, pointwise)
        made = self.add(layer, read, shape=sizes)
        if layout is not None:
            self.graph.layouts[made.layer] = layout
        self._seen_through(made)
        return made

    def _seen_through(self, made: Flow) -> None:
        """Lets what follows look through a layer that only moves or repeats elements; nothing else needs it then."""
        if self.view is not None:
            self.graph.views[made.layer] = self.view
            self.graph.parts.add(made.layer)
        if self.repeats:
            self.graph.repeated[made.layer] = self.repeats

    def unknown(self, why: str) -> Flow:
        """It as an operation of which nothing is known."""
        layer = layers.Unknown(shown(self.title))
        made = self.add(layer, self.flows) if self.view is None else self.moved(layer, self.view)
        self._seen_through(made)
        self.note(made, f"not understood: {why}")
        return made

    def may_be_empty(self, read: Sequence[Any], sizes: Iterable[Any], becomes: str) -> None:
        """Leaves the accepted sizes undecided where what is read may be nothing along axes of these sizes, of which
        frameworks make something.
        """
        if not all(map(self.graph.is_never_empty, sizes)) and any(
            self.graph.may_be_empty(x) for x in read if isinstance(x, Flow)
        ):
            self.graph.undecide(self.place, f"what is cropped before may be nothing, which {becomes}, too")

    def note(self, made: Flow, text: str) -> None:
        """Something to know about a layer."""
        self.graph.note(made, text)


Rule = Callable[[Call], Any]
"""What an operator makes; or `Inexpressible` is raised."""
