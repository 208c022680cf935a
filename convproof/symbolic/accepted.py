"""The sizes that a network accepts: one set of the user's own unknowns, with everything that its layers demand.

The unknowns are the letters among the sizes of the image, or the axes D, H and W where all sizes are numbers. The set
is a union of boxes, each a `SizeSet` for every unknown. A demand on one unknown is decided by its period; a product of
sizes that must equal a number, or divide by one, or exceed one, by going through the values of its factors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

import sympy

from convproof.architecture import Network, letters
from convproof.architecture.behaviour import Merge
from convproof.errors import Undecided
from convproof.symbolic.constraints import Demand
from convproof.symbolic.floordiv import Size, collect, normal, size
from convproof.symbolic.shapes import Inference, axis_names, infer, of_any_size
from convproof.symbolic.sizesets import (
    EVERY,
    NONE,
    SizeSet,
    classes,
    residue_classes,
    where_at_least,
    where_multiple,
    where_zero,
)

MOST_BOXES = 200
"""How many boxes a set may have."""

Box = dict[str, SizeSet]
Letter = Any
"""A sympy symbol."""


@dataclass(frozen=True)
class Accepted:
    """The sizes at which a network runs: those that lie in one of the `boxes`; None where that is not known, with the
    reasons in `undecided`, or where unknowns are tied in a way that no boxes say, with the exact formula in `requires`.

    `requires` also holds what letters other than the sizes must satisfy. `exact` has, by unknown, the sizes at which
    moreover no stride leaves a remainder, where one box says what is accepted; None where that is not known.
    """

    unknowns: tuple[str, ...]
    boxes: tuple[Box, ...] | None
    requires: tuple[str, ...]
    undecided: tuple[str, ...]
    exact: dict[str, SizeSet | None]

    @property
    def empty(self) -> bool:
        """Whether no size at all is accepted."""
        return self.boxes == ()

    @property
    def valid(self) -> dict[str, SizeSet | None]:
        """The set of each unknown, where one box says it all; else None."""
        if self.boxes == ():
            return dict.fromkeys(self.unknowns, NONE)
        alone = self.boxes[0] if self.boxes is not None and len(self.boxes) == 1 else {}
        return {name: alone.get(name) for name in self.unknowns}

    def __contains__(self, sizes: Mapping[str, int]) -> bool:
        return any(all(sizes[name] in found for name, found in box.items()) for box in self.boxes or ())

    def nearest(self, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """By unknown the nearest sizes, at or below and at or above, of the box that is closest to given sizes; any
        combination of them is accepted. Empty where nothing is.
        """
        best: tuple[list[int], dict[str, tuple[int, ...]]] | None = None
        for box in self.boxes or ():
            near = {
                name: tuple(dict.fromkeys(n for n in found.nearest(sizes[name]) if n is not None))
                for name, found in box.items()
            }
            far = sorted((min(abs(n - sizes[name]) for n in each) for name, each in near.items()), reverse=True)
            if best is None or far < best[0]:
                best = far, near
        return {} if best is None else best[1]

    def to_json(self) -> list[dict[str, Any]] | None:
        """The boxes as data."""
        if self.boxes is None:
            return None
        return [{name: found.to_json() for name, found in box.items()} for box in self.boxes]


def accepted_sizes(network: Network, cases: Sequence[Network] = ()) -> Accepted:
    """The set of all sizes that a network accepts: all that its layers demand holds, also of those that the output does
    not need, and each makes at least one value. (PyTorch goes on with tensors of no values.) `cases` are the networks
    that take its place at other sizes, as a forward has them that decides by sizes.

    >>> from convproof.architecture.notation import network
    >>> found = accepted_sizes(network("INPUT[32x32x1] -> POOL2 -> POOL2 -> FC(10, IN=25)"))
    >>> for box in found.boxes:
    ...     print(*(f"{name}: {sizes}" for name, sizes in box.items()))
    H: only 4 to 7 W: only 100 to 103
    H: only 20 to 23 W: only 20 to 23
    H: only 100 to 103 W: only 4 to 7
    >>> str(accepted_sizes(network("INPUT[WxWx1] -> POOL2 -> POOL2 -> FC(10, IN=25)")).boxes[0]["W"])
    'only 20 to 23'
    """
    return any_of([accepted_by(infer(of_any_size(each))) for each in (network, *cases)])


def any_of(cases: Sequence[Accepted]) -> Accepted:
    """The sizes that one of several networks accepts, which are those of the cases of one forward."""
    if len(cases) == 1:
        return cases[0]
    names = cases[0].unknowns
    undecided = tuple(dict.fromkeys(reason for each in cases for reason in each.undecided))
    tied = [each for each in cases if each.boxes is None and not each.undecided]
    requires = tuple(dict.fromkeys(text for each in cases for text in each.requires))
    if tied:
        requires = (" or ".join(f"({' and '.join(_words(each))})" for each in cases if each.boxes != ()),)
    known = not undecided and not tied
    boxes = _merged(dict(box) for each in cases for box in each.boxes or ()) if known else []
    return Accepted(names, tuple(boxes) if known else None, requires, undecided, dict.fromkeys(names))


def _words(found: Accepted) -> Iterator[str]:
    """What is asked of sizes, as text."""
    for box in found.boxes or ():
        yield " and ".join(f"{name}: {sizes}" for name, sizes in box.items())
    yield from found.requires


def unknowns_of(network: Network) -> dict[Letter, str]:
    """The letters of the image's sizes, with the names that the user knows them by."""
    sizes = [size(n) for n in network.image.sizes]
    letters = {letter for n in sizes if not isinstance(n, int) for letter in n.free_symbols}
    named = {n: name for n, name in zip(sizes, axis_names(network), strict=True) if str(n) == f"size of {name}"}
    return named or {letter: letter.name for letter in sorted(letters, key=str)}


def accepted_by(found: Inference) -> Accepted:
    """The same from shape inference on an image whose sizes are letters."""
    unknowns = unknowns_of(found.network)
    undecided = [*found.undecided.values(), *found.open_demands.values(), *_ambiguous(found.network, unknowns)]
    requires: list[str] = []
    decided: list[Demand] = []
    unsettled = found.distinct(lambda step: step.open)
    for demand, name in unsettled.items():
        letters = letters_of(demand)
        others = letters - unknowns.keys()
        if others and letters & unknowns.keys():
            undecided.append(f"{name}: {demand} depends on {_listed(others)} too; give numbers for other letters")
        elif others:
            requires.append(f"{name}: {renamed(demand, unknowns)}")
        else:
            decided.append(demand)
    boxes: tuple[Box, ...] | None = None
    tied: list[Demand] = []
    if found.refused:
        boxes = ()
    elif not undecided:
        try:
            boxes, tied = _solved(decided, unknowns)
        except Undecided as error:
            undecided.append(str(error))
    exact = _exact(found, boxes, unknowns) if boxes is not None and not tied else dict.fromkeys(unknowns.values())
    listed = tuple(dict.fromkeys([*requires, *(f"{unsettled[each]}: {renamed(each, unknowns)}" for each in tied)]))
    return Accepted(
        tuple(unknowns.values()),
        None if tied else boxes,
        listed,
        tuple(dict.fromkeys(renamed(reason, unknowns) for reason in undecided)),
        exact,
    )


def _ambiguous(network: Network, unknowns: Mapping[Letter, str]) -> Iterator[str]:
    """Why letters of layers cannot be told from the names of axes."""
    axes = {name for letter, name in unknowns.items() if letter.name != name}
    for node in network:
        for field, value in letters(node.layer) if node.operands else ():
            for name in sorted({str(each) for each in getattr(value, "free_symbols", [value])} & axes):
                yield f"{node.name}: {field} has the letter {name}, which names an axis of the image; use another"


def letters_of(demand: Demand) -> set[Letter]:
    """The letters that a demand depends on."""
    return {letter for n in (demand.left, demand.right) if not isinstance(n, int) for letter in n.free_symbols}


def _listed(letters: Iterable[Letter]) -> str:
    return ", ".join(sorted(map(str, letters)))


def renamed(said: object, unknowns: Mapping[Letter, str]) -> str:
    """Words with the names that the user knows the unknowns by."""
    text = str(said)
    for letter, name in unknowns.items():
        text = text.replace(letter.name, name)
    return text


def _solved(demands: Sequence[Demand], unknowns: Mapping[Letter, str]) -> tuple[tuple[Box, ...], list[Demand]]:
    """The boxes in which demands hold, and those that no boxes say."""
    alone = dict.fromkeys(unknowns, EVERY)
    several: list[Demand] = []
    for demand in demands:
        letters = letters_of(demand)
        if len(letters) == 1:
            (letter,) = letters
            alone[letter] &= where(demand, letter)
        elif demand.holds() is not True:
            several.append(demand)
    boxes = [alone] if all(alone.values()) else []
    tied = []
    for demand in several:
        if (product := _product(demand, unknowns)) is None:
            tied.append(demand)
            continue
        inside = (each for box in boxes for each in _within(box, *product))
        parts = list(itertools.islice(inside, 10 * MOST_BOXES))
        boxes = _merged(parts)
        if len(boxes) > MOST_BOXES or len(parts) == 10 * MOST_BOXES:
            raise Undecided(f"the accepted sizes make up more than {MOST_BOXES} boxes; give letters or numbers to axes")
    named = ({name: box[letter] for letter, name in unknowns.items()} for box in boxes)
    return tuple(named), tied if boxes else []


def where(demand: Demand, letter: Letter) -> SizeSet:
    """The numbers for a letter for which a demand holds that has no other letter."""
    return _where(Demand(demand.left, demand.sign, demand.right, str), letter)  # equal ones are worked out once


@lru_cache(maxsize=4096)
def _where(demand: Demand, letter: Letter) -> SizeSet:
    match demand.sign:
        case ">=" | ">":
            return where_at_least(demand.difference, int(demand.sign == ">"), letter)
        case "multiple" | "exact" if isinstance(demand.right, int):
            return where_multiple(demand.left, demand.right, letter)
        case "=" | "multiple" | "exact":
            return where_zero(demand.difference, letter)
        case "!=":
            return EVERY.without(where_zero(demand.difference, letter))
    ones = (where_zero(normal(n - 1), letter) for n in (demand.left, demand.right))
    return reduce(lambda a, b: a | b, ones, where_zero(demand.difference, letter))


# --- products of sizes ------------------------------------------------------------------------------------------------

Factors = tuple[tuple[Letter, Size], ...]


def _product(demand: Demand, unknowns: Mapping[Letter, str]) -> tuple[Factors, str, int] | None:
    """(factors, sign, number) of a demand that compares a product of sizes, each of one unknown, with a number."""
    left, sign, right = demand.left, demand.sign, demand.right
    if not isinstance(right, int) and isinstance(left, int) and sign in ("=", "!="):
        left, right = right, left
    parts = separated(left, list(unknowns)) if isinstance(right, int) and sign != "broadcast" else None
    if parts is None:
        return None
    c, factors = parts
    match sign:
        case "=" | "!=" if right == 0:
            return None
        case "=" | "!=":
            return factors, sign, right // c if right % c == 0 else NEVER
        case ">=" | ">":
            return factors, ">=", -(-(right + (sign == ">")) // c)
    return factors, "multiple", right // math.gcd(right, c)


def separated(value: Size, letters: Sequence[Letter]) -> tuple[int, Factors] | None:
    """(c, factors) with value = c times a factor for each letter, which has no other; None where it is no such product.

    >>> from convproof.symbolic.floordiv import symbol
    >>> h, w = symbol("h"), symbol("w")
    >>> separated(normal(6 * (h - 3) * (w + 1)), [h, w])
    (6, ((h, h - 3), (w, w + 1)))
    """
    factors: list[tuple[Letter, Size]] = []
    rest = value
    for letter in letters:
        if isinstance(rest, int) or letter not in rest.free_symbols:
            continue
        table: dict[Any, dict[Any, Any]] = {}
        for monomial, c in collect(rest).items():
            others, own = monomial.as_independent(letter, as_Add=False)
            table.setdefault(own, {})[others] = c
        first = next(iter(table.values()))
        pivot = next(iter(first))
        ratios = {own: row.get(pivot, 0) / first[pivot] for own, row in table.items()}
        if any(row != {each: ratios[own] * c for each, c in first.items()} for own, row in table.items()):
            return None
        factors.append((letter, _primitive(sum(own * ratio for own, ratio in ratios.items()))))
        rest = normal(sum(each * c for each, c in first.items()))
    if not factors or not isinstance(rest, (int, sympy.Rational)):
        return None
    (monomial, c), *_ = collect(value).items()
    whole = c / collect(normal(math.prod(factor for _, factor in factors)))[monomial]
    return (int(whole), tuple(factors)) if whole.is_Integer and whole > 0 else None


def _primitive(value: Size) -> Size:
    """A multiple with whole coefficients that have no common factor, and that grows where it has one term that does."""
    terms = collect(value)
    q = math.lcm(*(int(c.q) for c in terms.values()))
    content = sympy.Rational(math.gcd(*(int(c * q) for c in terms.values())), q)
    grows = sum(c for monomial, c in terms.items() if monomial != 1) >= 0
    return normal(value / content * (1 if grows else -1))


ANYTHING, NEVER = None, 0
"""What is left for the other factors to make: any number, or what they cannot."""

_LEFT: dict[str, Callable[[int, int], int | None]] = {
    "=": lambda goal, value: NEVER if goal % value else goal // value,
    "!=": lambda goal, value: ANYTHING if goal % value else goal // value,
    ">=": lambda goal, value: ANYTHING if value >= goal else -(-goal // value),
    "multiple": lambda goal, value: goal // gcd if (gcd := math.gcd(value, goal)) < goal else ANYTHING,
}
"""By sign, what is left of a goal for the other factors when one has a value."""


def _within(
    box: Mapping[Letter, SizeSet], factors: Factors, sign: str, goal: int | None
) -> Iterator[dict[Letter, SizeSet]]:
    """The boxes within a box in which a product of factors meets its goal."""
    if goal is ANYTHING or (goal <= 1 and sign == "multiple") or (goal <= 0 and sign in (">=", "!=")):
        yield dict(box)
    elif goal == 1 and sign == ">=":
        above = {letter: box[letter] & where_at_least(factor, 1, letter) for letter, factor in factors}
        if any(box[letter].without(where_at_least(factor, 0, letter)) for letter, factor in factors):
            raise Undecided(f"whether {factors[0][1]} is positive is not known")
        if all(above.values()):
            yield {**box, **above}
    elif not factors:
        if (sign == "=" and goal == 1) or (sign == "!=" and goal != 1):
            yield dict(box)
    elif goal > 0:
        (letter, factor), *others = factors
        positive = where_at_least(factor, 1, letter)
        if sign in ("=", ">=") and not box[letter].without(where_at_least(factor, 0, letter)):
            box = {**box, letter: box[letter] & positive}
        if box[letter].without(positive):
            raise Undecided(f"whether {factor} is positive is not known")
        for rest, sizes in _classes(factor, letter, sign, goal).items():
            if rest is not NEVER and (inside := box[letter] & sizes):
                yield from _within({**box, letter: inside}, tuple(others), sign, rest)


@lru_cache(maxsize=1024)
def _classes(factor: Size, letter: Letter, sign: str, goal: int) -> dict[int | None, SizeSet]:
    """The sizes at which a factor leaves each goal to the others, by that goal."""
    left = _LEFT[sign]
    if sign == "multiple":
        return residue_classes(factor, goal, letter, lambda value: left(goal, value))
    return classes(factor, goal + 1, letter, lambda value: left(goal, value) if value > 0 else NEVER)


def _merged(boxes: Iterable[dict[Letter, SizeSet]]) -> list[dict[Letter, SizeSet]]:
    """The same union of disjoint boxes, where two that differ in one unknown alone are one."""
    found = list(boxes)
    for letter in list(found[0]) if found else []:
        groups: dict[tuple[Any, ...], dict[Letter, SizeSet]] = {}
        for box in found:
            key = tuple(sizes for other, sizes in box.items() if other != letter)
            groups[key] = {**box, letter: groups[key][letter] | box[letter]} if key in groups else box
        found = list(groups.values())
    return found


def _exact(found: Inference, boxes: tuple[Box, ...], unknowns: Mapping[Letter, str]) -> dict[str, SizeSet | None]:
    """By unknown the sizes of the one box at which moreover no stride leaves a remainder."""
    if len(boxes) != 1:
        return dict.fromkeys(unknowns.values(), NONE if not boxes else None)
    exact: dict[str, SizeSet | None] = dict(boxes[0])
    for demand in found.distinct(lambda step: step.remainders):
        letters = letters_of(demand)
        if not letters and demand.holds() is False:  # whatever the unknowns
            return dict.fromkeys(unknowns.values(), NONE)
        for letter in letters & unknowns.keys():
            before = exact[unknowns[letter]]
            try:
                exact[unknowns[letter]] = None if before is None or len(letters) > 1 else before & where(demand, letter)
            except Undecided:
                exact[unknowns[letter]] = None
    return exact


def first_mismatch(found: Inference, name: str) -> tuple[int, str] | None:
    """The smallest number for an unknown at which only branches are in the way, and the first merge whose do not agree,
    from shape inference on an image of any size. None where branches agree at all sizes, or where that depends on other
    unknowns too.
    """
    unknowns = unknowns_of(found.network)
    letter = next(each for each, known in unknowns.items() if known == name)
    merges: dict[str, list[Demand]] = {}
    fitting = EVERY
    for node in found.network:
        open_demands = found.steps[node.name].open if node.name in found.steps else ()
        own = [demand for demand in open_demands if letters_of(demand) == {letter}]
        if isinstance(node.layer, Merge):
            merges |= {node.name: own} if own else {}
        else:
            fitting = reduce(lambda a, b: a & b, (where(demand, letter) for demand in own), fitting)
    firsts = []
    for layer, equal in merges.items():
        agreeing = reduce(lambda a, b: a & b, (where(demand, letter) for demand in equal))
        if (first := next(iter(fitting.without(agreeing)), None)) is not None:
            firsts.append((first, layer))
    return min(firsts, key=lambda pair: pair[0], default=None)


def canonical(boxes: Iterable[Mapping[str, SizeSet]]) -> Any:
    """The union of boxes in the one form that equal unions share: the sizes of the first unknown, grouped by what the
    others may be beside them.
    """
    listed = [dict(box) for box in boxes]
    if not listed or not listed[0]:
        return bool(listed)
    name = next(iter(listed[0]))
    classes = [EVERY]
    for box in listed:
        classes = [part for each in classes for part in (each & box[name], each.without(box[name])) if part]
    groups: list[tuple[Any, SizeSet]] = []
    for part in classes:
        others = canonical([{n: s for n, s in box.items() if n != name} for box in listed if part & box[name]])
        for place, (known, sizes) in enumerate(groups):
            if known == others:
                groups[place] = known, sizes | part
                break
        else:
            groups.append((others, part))
    return {sizes: others for others, sizes in groups if others}
