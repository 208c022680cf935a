"""The network that grows while a forward is read: the sizes that it computes, asks for and decides by."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, reduce
from typing import Any

from convproof.architecture import Network, Node, layers
from convproof.architecture.amounts import Amount
from convproof.errors import ConvproofError, InputError, Undecided
from convproof.importers.graph import Graph, Imported, image_letters
from convproof.importers.sizes import is_formula, letters_of, minus, over, times, worked_out
from convproof.importers.values import Comparison, Computed, Constant, Flow, Inexpressible, SizeNeeded
from convproof.importers.views import View, own_axes
from convproof.symbolic import normal, symbol
from convproof.symbolic.accepted import letters_of as letters_of_demand
from convproof.symbolic.accepted import where
from convproof.symbolic.amounts import Formula, as_amount, operands
from convproof.symbolic.constraints import each_constraint
from convproof.symbolic.floordiv import least_value
from convproof.symbolic.floordiv import size as as_size
from convproof.symbolic.shapes import infer
from convproof.symbolic.sizesets import EVERY, SizeSet, where_at_least, where_zero

_SIGNS: Mapping[tuple[Any, bool], tuple[str, bool]] = {
    (operator.eq, True): ("equal", False),
    (operator.eq, False): ("unequal", False),
    (operator.ne, True): ("unequal", False),
    (operator.ne, False): ("equal", False),
    (operator.gt, True): ("above", False),
    (operator.gt, False): ("at_least", True),
    (operator.ge, True): ("at_least", False),
    (operator.ge, False): ("above", True),
    (operator.lt, True): ("above", True),
    (operator.lt, False): ("at_least", False),
    (operator.le, True): ("at_least", True),
    (operator.le, False): ("above", False),
}
"""The condition that a comparison holds, or does not, and whether its sides are swapped."""

_TURNED: Mapping[Any, Any] = {
    operator.lt: operator.gt,
    operator.gt: operator.lt,
    operator.le: operator.ge,
    operator.ge: operator.le,
}
_EXTREMES: Mapping[tuple[str, Any], Callable[[Iterable[bool]], bool]] = {
    ("min", operator.lt): any,
    ("min", operator.le): any,
    ("min", operator.gt): all,
    ("min", operator.ge): all,
    ("max", operator.lt): all,
    ("max", operator.le): all,
    ("max", operator.gt): any,
    ("max", operator.ge): any,
}
"""Whether the least or the largest compares so where any, or all, of the numbers do."""


MOST_CASES, MOST_LAYERS = 64, 20_000
"""How many cases of a forward that decides by sizes are followed, and decisions in one of them; and how many layers of
all of them.
"""

IMAGE = "input"
"""The name of the Input layer."""


class Forward(Graph):
    """Layers, the recorded nodes that they come from, and the sizes that had to be known as numbers.

    `measure` gives the shape of what a node makes of the given image, batch first, or None where it is not known;
    `stored` are the shapes of all parameters.
    """

    def __init__(
        self,
        measure: Callable[[Any], tuple[int, ...] | None],
        stored: Mapping[str, tuple[int, ...]],
        path: Sequence[bool] | None = (),
    ) -> None:
        super().__init__(stored)
        self.measure = measure
        self.path = path
        """How the first decisions that depend on the size are taken; further ones are taken as if they were true. None:
        all as they are at the given image.
        """
        self.remedy = "give input_shape in numbers"
        """What to do where a size must be known."""
        self.taken: list[bool] = []
        """The decisions so far."""
        self.makers: dict[str, Any] = {}
        """The node that each layer comes from, if it makes all that the node does."""
        self.views: dict[str, View] = {}
        """Layers that only move the elements of another one."""
        self.repeated: dict[str, tuple[Flow, Flow]] = {}
        """Unknown layers that repeat a flow along the axes of another."""
        self.made_of: dict[Any, tuple[Any, ...]] = {}
        """The factors of products, which a formula does not tell."""
        self.cuts: dict[str, tuple[Flow, int, Any, Any]] = {}
        """Layers that are a slice of something along one axis, with where that begins and ends; None for the ends."""
        self.layouts: dict[str, tuple[int, ...]] = {}
        """Layers whose axes are those of the image in another order, by the numbers of these: (0, 2, 3, 1) has the
        channels last.
        """
        self._decided: dict[Any, bool] = {}
        self._asked: dict[Any, Flow] = {}
        self._settled: dict[tuple[Any, Any], bool] = {}
        self._taken: dict[Any, tuple[int, SizeSet]] = {}
        """Which numbers for a letter the first so many layers take."""

    @property
    def image_shape(self) -> tuple[Any, ...]:
        """(C, H, W) in numbers or letters."""
        return (self.image_layer.channels, *self.image_layer.sizes)

    @property
    def image_flow(self) -> Flow:
        """What the Input layer makes."""
        return next(iter(self.flows.values()))

    def other_image(self, name: str, channels: Any, sizes: Sequence[Any]) -> Flow:
        """Another image beside the first, which is as large along axes that have one of its letters."""
        places = {n: axis for axis, n in enumerate(self.image_layer.sizes, 1) if isinstance(n, str)}
        own = [symbol(each) for each in image_letters(self.image_layer)]
        field = tuple(Amount("size", (0, places[n])) if n in places else n for n in (channels, *sizes))
        shape = [own[places[n] - 1] if n in places else as_size(n) for n in (channels, *sizes)]
        return self.place(name, layers.Shaped("Input", field), [self.image_flow], shape=(self.batch, *shape))

    @property
    def in_numbers(self) -> bool:
        """Whether the image has no letters."""
        return all(isinstance(n, int) for n in self.image_shape)

    def missing(self, what: str) -> Inexpressible:
        """The reason where something must be known that depends on the size of the image."""
        if self.in_numbers:
            return Inexpressible(f"{what} is not known, as nothing tells it")
        return SizeNeeded(f"{what} must be known; {self.remedy}")

    def shape_made(self, layer: str) -> tuple[int, ...]:
        """The shape that a layer makes of the image, batch first. Raises `Inexpressible` where it is not known."""
        shape = None
        if self.in_numbers and layer in self.makers:
            shape = self.measure(self.makers[layer])
        if shape is None:
            raise self.missing(f"the size of {'the image' if layer == self.image_flow.layer else layer}")
        return shape

    def extents(self, x: Flow | Constant) -> tuple[Any, ...]:
        """The shape of x, batch first. Raises `Inexpressible` where it is not known."""
        if x.shape is not None:
            return tuple(map(self.given, x.shape))
        if isinstance(x, Constant):
            raise Inexpressible("nothing is known about the shape of what it reads")
        return (self.batch, *(self.own_size(x.layer, axis) for axis in range(1, len(self.shape_made(x.layer)))))

    def layout(self, x: Flow | Constant) -> tuple[int, ...] | None:
        """Which axes of the image those of x are; None where they are others."""
        if not isinstance(x, Flow) or x.shape is None or len(x.shape) != self.rank or not self.is_batch_first(x):
            return None
        return self.layouts.get(x.layer, tuple(range(self.rank)))

    def in_order(self, x: Flow) -> bool:
        """Whether the axes of x stand as those of the image do, as far as they are these."""
        return self.layouts.get(x.layer, ()) in ((), tuple(range(self.rank)))

    def number(self, n: Any) -> int:
        """A size as a number, which it has at the given image. Raises `Inexpressible` where that is not known."""
        n = self.given(n)
        if isinstance(n, int):
            return n
        places = {each: self.places[each] for each in ({n} if n in self.places else n.free_symbols)}
        if any(axis == 0 for _, axis in places.values()):
            raise Inexpressible("it must not depend on the size of the batch")
        found = self.at_image(n) if self.in_numbers else None
        if found is None:
            made = normal(n.xreplace({each: self.shape_made(layer)[axis] for each, (layer, axis) in places.items()}))
            if not isinstance(made, int):
                raise self.missing(f"the size {n}")
            found = made
        for layer, _ in places.values():
            self.read_at_one_size(layer)
        return found

    def formula(self, n: Any) -> Any:
        """A size in letters for those of the image. Raises `Inexpressible` for what is none."""
        if isinstance(n, bool) or not isinstance(n, int | Formula):
            raise Inexpressible("it is computed of sizes otherwise than by whole numbers")
        return self.given(n)

    def times(self, sizes: Iterable[Any]) -> Any:
        """The sizes multiplied, of which is kept in mind what they were."""
        sizes = tuple(n for n in sizes if n != 1)
        for factors in (sizes, tuple(n for n in sizes if n != self.batch)):  # also for one image
            found = times(factors)
            if isinstance(found, Formula) and len(factors) > 1:
                self.made_of.setdefault(found, factors)
        return times(sizes)

    def exactly(self, value: Any) -> int | None:
        """A number, where a value is that at every size of the image; None where it is not, or not known to be."""
        found = self.given(value) if isinstance(value, Formula) else value
        return found if isinstance(found, int) else None

    def compared(self, function: Callable[[int, int], bool], a: Any, b: Any) -> bool | None:
        """How two sizes compare, where they do so at every size of the image; else None."""
        try:
            difference = minus(self.formula(a), self.formula(b))
        except Inexpressible:
            return None
        if isinstance(difference, int):
            return function(difference, 0)
        for sign in (1, -1):
            least = least_value(sign * difference)
            if least is not None and (least > 0 or (least == 0 and function(0, 0) == function(sign, 0))):
                return function(sign, 0)
        if (function, difference) not in self._settled:
            found = self._at_every_size(function, difference)
            if found is not None:
                self._settled[function, difference] = found
        return self._settled.get((function, difference))

    def alike(self, a: Any, b: Any) -> bool:
        """Whether two sizes are equal, whatever the image; the batch is the number that a file may write for it."""
        number = {self.batch: self.batch_number} if self.batch_number else {}
        a, b = (normal(n.xreplace(number)) if number and isinstance(n, Formula) else n for n in (a, b))
        return self.compared(operator.eq, a, b) is True

    def _at_every_size(self, function: Callable[[int, int], bool], difference: Any) -> bool | None:
        """How a size of one axis compares with 0, where it does so at every size."""
        letters = difference.free_symbols
        if len(letters) != 1 or not letters <= set(map(symbol, image_letters(self.image_layer))):
            return None
        (letter,) = letters
        if (signs := _signs(difference, letter)) is None:
            return None
        above, zero = signs
        try:
            for sizes in self._narrower(letter):
                parts = {1: sizes & above, 0: sizes & zero, -1: sizes.without(above | zero)}
                holds = {function(sign, 0) for sign, found in parts.items() if found}
                if len(holds) == 1:
                    return holds.pop()
        except Undecided:
            pass
        return None

    def is_size(self, value: Any) -> bool:
        """Whether a value is a size, computed of sizes, or a tuple of such."""
        if isinstance(value, tuple | list):
            return all(map(self.is_size, value))
        return isinstance(value, int) or is_formula(value)

    def _narrower(self, letter: Any) -> Iterator[SizeSet]:
        """All numbers for a letter of the image; then those alone that the layers so far take."""
        yield EVERY
        count, sizes = self._taken.get(letter, (0, EVERY))
        for node in list(self.nodes.values())[count:]:
            if node.name not in self.parts:
                sizes = self._taken_by(node, letter, sizes)
        self._taken[letter] = len(self.nodes), sizes
        yield sizes

    def _taken_by(self, node: Node, letter: Any, sizes: SizeSet) -> SizeSet:
        """Those of some numbers for a letter that a layer takes, as far as that is known."""
        try:
            for each in each_constraint(node.layer, [self._formula(self.flows[name]) for name in node.operands]):
                if each.sign != "exact" and letters_of_demand(each) == {letter}:  # a remainder may be left
                    sizes &= where(each, letter)
        except (ConvproofError, Inexpressible, ValueError):  # of what it reads, or of what it asks, nothing is known
            pass
        return sizes

    def decide(self, function: Callable[[Any, Any], bool], a: Any, b: Any) -> bool:
        """How two sizes, or tuples of them, compare. Where that depends on the size of the image, this is one of
        several cases, and what makes it one becomes a layer. Raises `Inexpressible` for sizes that are not known.
        """
        if isinstance(a, tuple | list) and isinstance(b, tuple | list) and function in (operator.eq, operator.ne):
            equal = len(a) == len(b) and all(self.decide(operator.eq, *pair) for pair in zip(a, b, strict=True))
            return equal is (function is operator.eq)
        found = self.compared(function, a, b)
        if found is not None:
            return found
        for one, other, turned in ((a, b, function), (b, a, _TURNED.get(function, function))):
            joined = _EXTREMES.get((one.function, turned)) if isinstance(one, Amount) else None
            if joined is not None:
                return joined(self.decide(turned, each, other) for each in one.operands)
        if self.path is None:
            return function(self.resolved(a), self.resolved(b))
        asked = function, a, b
        if asked in self._decided:
            return self._decided[asked]
        if len(self.taken) >= MOST_CASES:
            raise Inexpressible(f"it decides by sizes more than {MOST_CASES} times")
        read = [self.image_flow]
        left, right = (self.amount(each, read) for each in (a, b))
        if isinstance(left, int) and isinstance(right, int):
            return function(left, right)
        outcome = self.path[len(self.taken)] if len(self.taken) < len(self.path) else True
        self.taken.append(outcome)
        self._decided[asked] = outcome
        sign, swapped = _SIGNS[function, outcome]
        ends = (right, left) if swapped else (left, right)
        self.place("condition", layers.Condition(ends[0], sign, ends[1]), read)
        return outcome

    def with_batch(self, target: list[Any], sizes: Sequence[Any]) -> list[Any]:
        """A shape that may write the batch of the model as a number, with it where it stands in what is read."""
        number, batch = self.batch_number, self.batch
        if number is None or -1 in target[:1] or any(map(self.has_batch, target)):
            return target
        place = next((axis for axis, n in enumerate(sizes) if self.has_batch(n)), None)
        if place is None:
            return target
        with suppress(Inexpressible):  # of rows whose number is not known
            before = [times(sizes[:place]), times([*sizes[:place], over(sizes[place], batch)])]
            apart = (axis for axis, n in enumerate(target) if n == number and times(target[:axis]) in before)
            if (own := next(apart, None)) is not None:
                target[own] = batch
                return target
            if len(target) == 2 or place >= len(target) or target[place] == -1:  # two axes are rows and their features
                place = 0
            target[place] = times([batch, over(target[place], number)])
        return target

    def is_of_image(self, n: Any) -> bool:
        """Whether a size depends on those of the image and the batch alone."""
        letters = {self.batch, *map(symbol, image_letters(self.image_layer))}
        return letters_of(n) <= letters

    def is_there(self, n: Any) -> bool:
        """Whether a size is one of a layer that makes something, or a sum or product of such; a layer that may be left
        out need not.
        """
        if isinstance(n, int):
            return n > 0
        layer, _ = self.places.get(n, ("", 0))
        if n == self.batch or (layer and layer not in self.parts):
            return True
        of = self.made_of.get(n) or operands(n)
        return bool(of) and all(map(self.is_there, of))

    def is_never_empty(self, n: Any) -> bool:
        """Whether a size is at least 1 by what the layers demand, also of what nothing need read."""
        if self.compared(operator.ge, n, 1):
            return True
        of = self.made_of.get(n) or operands(n)
        return bool(of) and all(map(self.is_never_empty, of))

    def ask(self, sign: str, a: Any, b: Any, part: bool = False) -> Flow:
        """Demands that two sizes compare so, since an error is raised where they do not; of a `part` only where what
        reads the demand is needed.
        """
        asked = sign, a, b, part
        if asked not in self._asked:
            read = [self.image_flow]
            ends = [self.amount(each, read) for each in (a, b)]
            self._asked[asked] = made = self.place("condition", layers.Condition(ends[0], sign, ends[1]), read)
            self.parts.update([made.layer] if part else [])
        return self._asked[asked]

    def amount(self, value: Any, read: list[Flow]) -> Any:
        """A number in a field of a layer: as it is, or as it is computed of the sizes of layers, which `read` lists
        behind what the layer reads besides. Of what is not known, the number at the given image.
        """
        exact = self.exactly(value)
        if exact is not None:
            return exact
        if not is_formula(value):
            return self.resolved(value)

        def size_of(n: Any) -> Amount | None:
            if n in self.made_of:
                product: Amount = as_amount(reduce(lambda a, b: Amount("*", (a, b)), self.made_of[n]), size_of)
                return product
            layer, axis = self.places.get(n, ("", 0))
            if not axis or layer in self.parts:  # of what may be left out, the sizes are computed
                return None
            x = self.flows[layer]
            read.extend([] if x in read else [x])
            return Amount("size", (read.index(x), axis - 1))

        unknown = any(str(each).startswith("axis ") for each in letters_of(value))
        if not unknown and self.batch not in letters_of(value):
            before = len(read)
            try:
                return as_amount(self.given(value), size_of)
            except Undecided:
                del read[before:]
        return self.resolved(value)

    def like(self, sizes: Sequence[Any]) -> Flow | None:
        """What has these spatial sizes, whatever the image, where some layer has them."""
        return super().like([self.given(n) if isinstance(n, Formula) else n for n in sizes])

    def resolved(self, value: Any) -> Any:
        """A value with numbers for the sizes in it. Raises `Inexpressible` where one is not known."""
        if is_formula(value):
            return worked_out(value, self.resolved if isinstance(value, Amount) else self.number)
        if isinstance(value, Comparison):
            return self.decide(value.function, value.a, value.b)
        if isinstance(value, Computed):
            raise SizeNeeded(value.why) if value.of_sizes else Inexpressible(value.why)
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
        if view is None or len(view.axes) != self.rank or len(view.own) != 2:
            return None
        return view.x if view.axes[:2] == view.own and not any(view.axes[2:]) else None

    def imported(self, output: Flow) -> Imported:
        """The network of all that was recorded, also what the output does not need."""
        return self.network(output, [name for name in self.nodes if name not in self.parts])

    def viewed(self, x: Flow) -> View:
        """The elements of x as those of a layer that is known."""
        if x.layer in self.views:
            return self.views[x.layer]
        if not self.is_batch_first(x):
            raise Inexpressible("its first axis is not the batch")
        own = own_axes(self.extents(x))
        return View(x, own, own)


@lru_cache(maxsize=2**14)  # the same comparisons are made in all cases of a forward, and by its layers
def _signs(difference: Any, letter: Any) -> tuple[SizeSet, SizeSet] | None:
    """Where a size is above 0, and where it is 0; None where that is not decided."""
    try:
        return where_at_least(difference, 1, letter), where_zero(difference, letter)
    except Undecided:
        return None


# --- cases ------------------------------------------------------------------------------------------------------------


class Refused(Exception):
    """A case in which the forward raises an error, with that."""


def all_cases(start: Callable[[Sequence[bool] | None], Any], read: Callable[[Any], Imported]) -> Imported:
    """The network of the case that the given image is, or else of the first one; with those of the others.

    `start` begins to read a model of which the first decisions are taken in a given way, on a `graph` of its own.
    """
    waiting: list[list[bool]] = [[]]
    found: list[Imported] = []
    refused: list[InputError] = []
    layers_read = 0
    while waiting:
        path = waiting.pop()
        reading = start(path)
        try:
            found.append(read(reading))
        except Refused as error:
            refused.append(error.args[0])
        except InputError:
            if len(reading.graph.taken) < MOST_CASES:
                raise
        taken, layers_read = reading.graph.taken, layers_read + len(reading.graph.nodes)
        waiting += [[*taken[:place], False] for place in range(len(path), len(taken))]
        too_long = waiting and layers_read > MOST_LAYERS
        if len(found) + len(refused) + len(waiting) > MOST_CASES or len(taken) >= MOST_CASES or too_long:
            return read(start(None))
    if not found:
        raise refused[0]
    first = next((each for each in found if _is_case_of_image(each.network)), found[0])
    others = tuple(each.network for each in found if each is not first)
    undecided = dict.fromkeys(why for each in (first, *found) for why in each.undecided)
    return replace(first, cases=others, undecided=tuple(undecided))


def _is_case_of_image(network: Network) -> bool:
    """Whether all conditions on sizes hold at the image."""
    refused = infer(network).refused
    return not any(isinstance(node.layer, layers.Condition) and node.name in refused for node in network)
