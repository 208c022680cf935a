"""Families of networks: `[...]*N` with a letter, in closed form.

A repeated block is a map of what goes through it. Along an axis it takes the size n to n + b, a*n + b or
floor((n + a)/s) + b, the channels likewise, and the field to one affine in the field before. So N repetitions are an
affine recurrence, and that is solved exactly:

    n -> a*n + b                 a^N*n + b*(1 + a + ... + a^(N-1))
    n -> floor((n + e)/s)        floor((n + e*(1 + s + ... + s^(N-1))) / s^N)    since nested divisions fold
    field (R, s, f)              size + R*jump*(1 + s + ... + s^(N-1)), jump*s^N; R + 1 is the block's own field

Costs are summed over the repetitions: the first, which may read another number of channels, and the others. Letters
stand for positive integers, so the forms hold for N >= 1, wherever every window fits and groups divide the channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import comb
from typing import Any

import sympy

from convproof.architecture import Input, Layer, Network, notation
from convproof.architecture.notation import Branches, Chain, Item, Optional, Repeat
from convproof.architecture.printing import to_notation
from convproof.errors import SpecError, Undecided
from convproof.symbolic import costs
from convproof.symbolic.constraints import constraints
from convproof.symbolic.field import Field, Fields, receptive_field
from convproof.symbolic.floordiv import FloorDiv, Size, collect, floordiv, normal, symbol
from convproof.symbolic.shapes import Shape, output_shape

MAX_LAYERS, MAX_LETTERS, MAX_NESTING, MAX_OPTIONAL = 300, 8, 3, 6
COSTS: dict[str, Callable[[costs.Cost], Size]] = {
    "params": lambda cost: normal(cost.weights + cost.biases),
    "weights": lambda cost: cost.weights,
    "macs": lambda cost: cost.macs,
    "values": lambda cost: cost.values,
}


@dataclass(frozen=True)
class Family:
    """The networks of a notation with letters for repetitions.

    `output_shape`, `receptive_field`, `jump`, `offset` (per spatial axis of the input) and the totals `params`,
    `weights`, `macs` and `values` are expressions in its letters. What has no closed form raises `Undecided`, and a
    block that cannot read its own output `ShapeError`.
    """

    tree: Chain

    def __str__(self) -> str:
        return to_notation(self.tree)

    def at(self, *number: int, **counts: int) -> Network:
        """The network with numbers for the letters that count, wherever they stand: `at(3)`, or `at(N=3, M=2)`."""
        counted = {item.count for item in notation.walk(self.tree) if isinstance(item, Repeat)}
        letters = sorted(count for count in counted if isinstance(count, str))
        given = {letters[0]: number[0]} if len(number) == len(letters) == 1 else {} if number else counts
        if sorted(given) != letters or any(type(n) is not int or n < 0 for n in given.values()):
            raise SpecError(f"give each letter a number, 0 or more: {', '.join(letters) or 'there is none'}")
        return notation.built(notation.with_numbers(self.tree, given))

    @cached_property
    def _end(self) -> State:
        image: Any = self.tree.items[0]
        spent = costs.cost(image, output_shape(image))
        own = {name: rule(spent) for name, rule in COSTS.items()}
        end = _through(Chain(self.tree.items[1:]), State(output_shape(image), receptive_field(image, [], []), own))
        _require_agreement(end.apart)
        return end

    def __getattr__(self, name: str) -> Any:
        if name == "output_shape":
            return self._end.shape
        if name in COSTS:
            return _decided(self._end.costs[name])
        if name in ("receptive_field", "jump", "offset"):
            field = "size" if name == "receptive_field" else name
            return tuple(getattr(each, field) for each in _decided(self._end.fields))
        raise AttributeError(f"a Family has no {name}")


def pattern(text: str) -> Family:
    """The family of networks that a notation with letters for repetitions describes.

    Raises `SpecError` for what is no such notation, and for one with optional layers, which has `variants`.

    >>> found = pattern("INPUT[WxWx3] -> [CONV3-8 -> POOL2]*M")
    >>> found.output_shape, found.receptive_field[0], found.params
    ((8, W//2**M, W//2**M), 3*2**M - 2, 584*M - 360)
    >>> len(found.at(M=3))
    7
    """
    found = variants(text)
    if len(found) != 1:
        raise SpecError("a pattern with optional layers (?) describes several families; see variants")
    return found[0]


def variants(text: str) -> tuple[Family, ...]:
    """The family for every choice of the optional layers `X?`, the one that has them all first.

    A layer is chosen as it stands in the text: in a repetition it is there every time, or never.

    >>> [str(found) for found in variants("INPUT[WxWx3] -> CONV3-8 -> POOL2?")]
    ['INPUT[WxWx3] -> CONV3-8 -> POOL2', 'INPUT[WxWx3] -> CONV3-8 -> ID']
    """
    parsed = notation.parse(text)
    items = list(notation.walk(parsed))
    if not isinstance(parsed, Chain) or [item for item in items if isinstance(item, Input)] != [parsed.items[0]]:
        raise SpecError("a pattern starts with INPUT[WxHxD], for example INPUT[WxWx3], and has no other")
    optional = sum(isinstance(item, Optional) for item in items)
    for count, limit, what in (
        (notation.length(parsed, 3), MAX_LAYERS, "layers, with 3 for each letter"),  # repeated blocks run so often
        (len(notation.letters(parsed)), MAX_LETTERS, "letters"),
        (notation.nesting(parsed), MAX_NESTING, "levels of repetition by letters"),
        (optional, MAX_OPTIONAL, "optional layers"),
    ):
        if count > limit:
            raise SpecError(f"the pattern has {count} {what}; {limit} is the limit")
    return tuple(Family(notation.chosen(parsed, iter(choice))) for choice in product((True, False), repeat=optional))


# --- what goes through a tree -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class State:
    """What is known behind a layer; `apart` are differences, in letters, between sizes of branches that must agree."""

    shape: Shape
    fields: Fields | Undecided
    costs: dict[str, Size | Undecided]
    apart: tuple[Size, ...] = ()

    def alone(self, shape: Shape | None = None) -> State:
        """The same output, or another of as many axes, in front of something that is looked at alone."""
        axes = len(self.shape) - 1 or (1 if isinstance(self.fields, Undecided) else len(self.fields))
        return State(self.shape if shape is None else shape, (Field(),) * axes, dict.fromkeys(COSTS, 0))


def _through(item: Item, state: State) -> State:
    """The state behind `item`."""
    match item:
        case Chain(parts):
            for part in parts:
                state = _through(part, state)
            return state
        case Branches(parts, merge):
            return _behind(merge, [_through(part, state.alone()) for part in parts], state)
        case Repeat(part, int(count)):
            for _ in range(count if notation.length(part) else 0):
                state = _through(part, state)
            return state
        case Repeat(part, letter):
            return _repeated(part, symbol(letter), state)
    return _behind(notation.on_every_axis(item, len(state.shape) - 1 or 1), [state.alone()], state)


def _behind(layer: Layer, branches: list[State], before: State) -> State:
    """The state behind a layer that reads branches, all of which read what stands `before`."""
    shapes = [branch.shape for branch in branches]
    output = output_shape(layer, *shapes)
    if len(branches) == 1:
        seen = _tried(lambda: receptive_field(layer, [_decided(before.fields)], shapes, output))
    else:
        own = _tried(lambda: receptive_field(layer, [_decided(branch.fields) for branch in branches], shapes, output))
        seen = _tried(_seen, before.fields, own)
    cost = _tried(costs.cost, layer, output, *shapes)
    parts = {name: [each.costs[name] for each in (before, *branches)] for name in COSTS}
    own_costs = {name: _tried(lambda rule=rule: rule(_decided(cost))) for name, rule in COSTS.items()}
    spent = {name: _tried(_total, *parts[name], own_costs[name]) for name in COSTS}
    apart = [each for branch in (before, *branches) for each in branch.apart] + _differences(layer, shapes)
    return State(output, seen, spent, tuple(apart))


def _differences(layer: Layer, shapes: list[Shape]) -> list[Size]:
    """What must be 0 for the operands of a layer to go together."""
    equal = (each for each in constraints(layer, shapes) if each.sign in ("=", "broadcast"))
    return [each.difference for each in equal if each.holds() is not True]


def _tried(rule: Callable[..., Any], *arguments: Any) -> Any:
    """What a rule says, or why it cannot."""
    try:
        return rule(*arguments)
    except Undecided as error:
        return error


def _decided(value: Any) -> Any:
    if isinstance(value, Undecided):
        raise value
    return value


def _seen(before: Fields | Undecided, own: Fields | Undecided) -> Fields:
    """The fields `own` of something alone, seen through what stands before it."""
    if any(field.phases or not field.exact for field in (*_decided(own), *_decided(before))):
        raise Undecided("below an upsampling the field of what is repeated or joined has no closed form here")
    return tuple(b.through(o.offset, o.size, o.jump) for b, o in zip(_decided(before), _decided(own), strict=True))


def _total(*parts: Size | Undecided) -> Size:
    return normal(sum(map(_decided, parts)))


def _require_agreement(apart: Iterable[Size]) -> None:
    for difference in apart:
        raise Undecided(f"branches agree only where {difference} = 0, so no form holds for the whole family")


# --- repetition -------------------------------------------------------------------------------------------------------


def _repeated(body: Item, count: Size, state: State) -> State:
    """The state behind `count` repetitions, from what one does to letters."""
    if not count.is_positive:
        raise Undecided(f"{count} may be 0, as all letters beginning with P; count the repetitions by another")
    first = _through(body, state)
    if len(first.shape) != len(state.shape):  # an image became a vector, which the others read
        state, count, first = first, count - 1, _through(body, first)
    letters = [symbol(f"n{place}{chr(39) * (1 + notation.nesting(body))}") for place in range(len(state.shape))]
    steps = dict(zip(letters, _through(body, state.alone(tuple(letters))).shape, strict=True))
    starts = dict(zip(letters, state.shape, strict=True))
    for letter, step in steps.items():
        if _free(step) & {*letters} - {letter}:
            raise Undecided(f"repeated, {letter} becomes {step}, which mixes several sizes")
    once = dict(zip(letters, first.shape, strict=True))
    settled = {n: x if normal(_put(steps[n], {n: x}) - x) == 0 else n for n, x in once.items()}  # from then on
    moving = {n for n in letters if settled[n] is n}
    again = _through(body, state.alone(tuple(settled.values())))  # the second repetition and the others
    _require_agreement(each for each in again.apart if _free(each) & moving)

    def after(times: Size) -> dict[Any, Size]:
        return settled | {n: _iterated(n, steps[n], starts[n], times) for n in letters if n in moving}

    fields = _tried(_fields_repeated, again.fields, count - 1, moving)
    more = {name: _tried(_costs_repeated, again.costs[name], count - 1, moving, after) for name in COSTS}
    return State(
        tuple(after(count).values()),
        _tried(_seen, first.fields, fields),
        {name: _tried(_total, first.costs[name], more[name]) for name in COSTS},
        (*first.apart, *again.apart),
    )


def _iterated(letter: Any, step: Size, start: Size, times: Size) -> Size:
    """What `start` becomes when `letter` -> `step` is applied `times` times: the recurrences for n above."""
    terms = collect(step)
    slope = terms.pop(letter, sympy.Integer(0))
    (quotient, once), *more = [(m, c) for m, c in terms.items() if letter in m.free_symbols] or [(None, 0)]
    if slope != 0 and quotient is None:
        return normal(start * slope**times + (step - slope * letter) * _geometric(slope, times))
    if slope == 0 and isinstance(quotient, FloorDiv) and once == 1 and not more and quotient.args[1].is_Integer:
        inside, stride = quotient.args
        moved = normal(inside - letter + stride * (step - quotient))
        if letter not in _free(moved):
            return floordiv(start + moved * _geometric(stride, times), stride**times)
    raise Undecided(f"repeated, {letter} -> {step} has no closed form here")


def _geometric(ratio: Size, times: Size) -> Size:
    """1 + ratio + ratio^2 + ..., `times` terms."""
    return times if ratio == 1 else (ratio**times - 1) / (ratio - 1)


def _fields_repeated(own: Fields | Undecided, times: Size, moving: set[Any]) -> Fields:
    """The fields of `times` repetitions of what has the fields `own`."""
    found = []
    for field in _decided(own):
        jump = sympy.Integer(field.jump) if isinstance(field.jump, int) else field.jump
        if jump == 0:  # then the first has seen all that there is
            found.append(Field(jump=0))
            continue
        if moving & (_free(field.size) | _free(field.offset)) or not jump.is_Integer:
            raise Undecided(f"the field of {field.size} and jump of {jump}, repeated, have no closed form here")
        if field.phases or not field.exact:
            raise Undecided("below an upsampling the field of what is repeated has no closed form here")
        span = _geometric(jump, times)
        found.append(Field(normal((field.size - 1) * span + 1), normal(jump**times), normal(field.offset * span)))
    return tuple(found)


def _costs_repeated(own: Size | Undecided, times: Size, moving: set[Any], after: Callable[[Size], Any]) -> Size:
    """What the repetitions 1 to `times`, counted from 0, cost together if one costs `own`."""
    if not _free(_decided(own)) & moving:
        return normal(own * times)
    number, total = symbol("number of the repetition"), sympy.Integer(0)
    for term in sympy.Add.make_args(_put(own, after(number))):
        power = int(term.as_powers_dict()[number])
        if number in (term / number**power).free_symbols:
            raise Undecided("sizes change by a factor at every repetition; no closed form of their sum is known here")
        total += term / number**power * _power_sum(power, times)
    return normal(total)


@lru_cache(1_000)
def _power_sum(power: int, times: Size) -> Size:
    """1^power + 2^power + ... + times^power, from Pascal's (times + 1)^(power + 1) - 1 = the sum of all below."""
    below = sum(comb(power + 1, i) * _power_sum(i, times) for i in range(power))
    return normal(((times + 1) ** (power + 1) - 1 - below) * sympy.Rational(1, power + 1))


def _free(value: Size) -> set[Any]:
    return getattr(value, "free_symbols", set())


def _put(value: Size, values: dict[Any, Size]) -> Size:
    """`value` with sizes for letters."""
    exact = {letter: sympy.Integer(n) if isinstance(n, int) else n for letter, n in values.items()}
    return value if isinstance(value, int) else normal(value.xreplace(exact))
