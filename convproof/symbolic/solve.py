"""Which numbers make a network fit: one letter of it left open, the sizes near one that does not, a table of designs.

A question about a letter is a set of demands on sizes. Where they are quasi-affine in the letter (sizes, paddings,
kernels, dilations and filters, where strides are numbers) one period decides them for all numbers. What divides is
tried number by number: from the padded size on the first window is the only one, and nothing changes any more.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, reduce
from typing import Any, NamedTuple

import sympy

from convproof.architecture import Axis, Network, layers, notation
from convproof.architecture.behaviour import Layer, Windowed, letters
from convproof.architecture.fields import SAME
from convproof.errors import InputError, ShapeError, SpecError, Undecided
from convproof.symbolic import depths, window
from convproof.symbolic.accepted import letters_of, where
from convproof.symbolic.constraints import Demand, Shape, needs_image
from convproof.symbolic.floordiv import normal, symbol
from convproof.symbolic.floordiv import size as as_size
from convproof.symbolic.shapes import Inference, infer, output_shape
from convproof.symbolic.sizesets import EVERY, NONE, SizeSet

MOST_TRIED, MOST_DESIGNS = 2_000, 100_000
"""How many numbers are tried for a letter, and how many designs for a table."""

_FAR = 10**12  # more than any size that is tried
_DEPTH = symbol("depth of the image")  # a name that no letter can have

Bounds = Sequence[int]
Want = int | str | Sequence[int | str] | None


@dataclass(frozen=True)
class Answer:
    """All numbers that a letter may stand for; `tried` is the one from which on nothing changes, if all were tried."""

    letter: str
    found: SizeSet
    tried: int | None = None
    remainders: tuple[int, ...] = ()
    """What strides leave over with the least of them, where none of them leaves nothing over."""
    looked_at: int | None = None
    """Up to which number it is known to be all, if not altogether."""

    def __str__(self) -> str:
        over = f", with a remainder of {', '.join(map(str, self.remainders))}" if self.remainders else ""
        limit = "" if self.looked_at is None else f" (of the numbers below {self.looked_at})"
        return f"{self.letter}: {self.found.shown(self.letter)}{over}{limit}"


def solve(
    question: str | Layer | Network,
    size: int | Sequence[int] | None = None,
    unknown: str | None = None,
    want: Want = None,
    exact: bool | None = None,
) -> Answer:
    """The numbers for the letter `unknown` with which a layer, a network or its notation fits.

    Every window must fit and branches agree, and with `want` the output must have this size (one number, or one per
    axis; units for a vector), or be so computed of the image's: `"W"`, `"2*W"`, `"W // 2"`, for all sizes that are
    taken. With `exact` no stride may leave a remainder; left out, one may where a size is wanted that nothing makes
    without. `size` is that of the image, in the same way; where it is left out, a question without INPUT is about the
    size of a square image. The letter may be a number of repetitions. Letters that begin with P may be 0. Raises
    `SpecError` for a letter that does not occur, and `Undecided` where the answer depends on other letters or is not
    found completely.

    >>> print(solve("CONV(K=96, F=11, S=4, P=P)", 224))
    P: none
    >>> print(solve("CONV(K=8, F=3, S=2, P=P)", 28, want=14))
    P: only 1, with a remainder of 1
    >>> print(solve("UPCONV(K=8, F=3, S=2, P=1, O=O)", unknown="O", want="2*W"))
    O: only 1
    >>> print(solve("CONV(K=96, F=11, S=4)", unknown="W"))
    W: all W >= 8 with W mod 4 = 3
    >>> print(solve("CONV(K=64, F=7, S=S, P=3)", 31))
    S: only 1, 2, 3, 5, 6, 10, 15, 30
    >>> print(solve("[CONV(K=8, F=F)]*3 -> POOL2", 32, want=4))
    F: only 9
    >>> print(solve("[CONV3-8 -> POOL2]*M -> FC-10", 96))
    M: only 1 to 5
    """
    texts = [each for each in (want if isinstance(want, list | tuple) else [want]) if isinstance(each, str)]
    if texts:
        return _at_all_sizes(question, size, unknown, want, bool(exact))
    found = _solved(question, size, unknown, want, exact is not False)
    if exact is None and want is not None and not found.found:
        found = _solved(question, size, unknown, want, False)
        if found.found:
            return replace(found, remainders=_remainders(question, size, found))
    return found


def _solved(question: str | Layer | Network, size: Any, unknown: str | None, want: Want, exact: bool) -> Answer:
    """The same with a size in numbers, or none."""
    if isinstance(question, str) and (letter := depths.letter(question, unknown)):
        return Answer(letter, depths.found(lambda n: _at_depth(question, letter, n, size, want, exact), letter))
    network, unknown_letter = _posed(question, size, unknown)
    tried = None
    try:
        found = _by_period(network, unknown_letter, want, exact)
    except Undecided as reason:
        tried = _settled(network, unknown_letter, reason)
        found = SizeSet.of(cache(lambda number: _works(network, unknown_letter, number, want, exact)), tried, 1)
    if not unknown_letter.assumptions0.get("positive") and _works(network, unknown_letter, 0, want, exact):
        found = replace(found, below=(0, *found.below))
    return Answer(unknown_letter.name, found, tried)


def _at_depth(question: str, letter: str, depth: int, size: Any, want: Want, exact: bool) -> depths.Depth:
    """What there is with so many repetitions."""
    network = _image_of(depths.repeated(question, letter, depth), size, "W")
    found = infer(network)
    refused = next((place for place, node in enumerate(network) if node.name in found.refused), None)
    fits = not found.refused
    for demand in _demanded(found, want, exact) if fits else ():
        holds = demand.holds()
        if holds is None and letters_of(demand) != {_DEPTH}:
            raise Undecided(f"whether it fits depends on {demand} too; give numbers for the other letters")
        fits = fits and holds is not False
    shapes = tuple((node.layer, found.shapes.get(node.name)) for node in network)
    return depths.Depth(fits, refused, shapes)


def _remainders(question: str | Layer | Network, size: Any, answer: Answer) -> tuple[int, ...]:
    """What strides leave over with the least number that was found."""
    if isinstance(question, str) and depths.letter(question, answer.letter):
        network = _image_of(depths.repeated(question, answer.letter, _least(answer.found)), size, "W")
    else:
        posed, letter = _posed(question, size, answer.letter)
        network = posed.mapped(lambda node: _with(node.layer, letter, _least(answer.found)))
    found = infer(network)
    left = [each.difference for node in found.demands.values() for each in node if each.sign == "exact"]
    return tuple(dict.fromkeys(n for n in left if isinstance(n, int) and n))


def _least(found: SizeSet) -> int:
    return next(n for n in itertools.count(min(found.below, default=found.start)) if n in found or n in found.below)


def _at_all_sizes(question: str | Layer | Network, size: Any, unknown: str | None, want: Want, exact: bool) -> Answer:
    """The numbers with which the output has a size that is computed of the image's, for all that are taken."""
    network = _image_of(question, size, "W")
    letters = {name for node in network for names in _letters(node.layer).values() for name in names} - {_DEPTH.name}
    of_image = {each for each in network.image.sizes if isinstance(each, str)}
    others = sorted(letters - of_image)
    if unknown is None and len(others) == 1:
        (unknown,) = others
    if unknown not in others:
        listed = ", ".join(others) or "none"
        raise SpecError(f"unknown={unknown!r} is no letter besides those of the image; there are {listed}")
    wanted = tuple(map(depths.formula, want)) if isinstance(want, list | tuple) else depths.formula(want)
    strange = {x.name for each in _each(wanted) for x in as_size(each).free_symbols} - of_image
    if strange:
        raise SpecError(f"want={want!r} has letters that no size of the image has: {', '.join(sorted(strange))}")
    possible = _by_formula(network, unknown, wanted)
    if possible.residues:
        possible &= _at_samples(network, unknown, wanted, exact)
    looked_at = _LOOKED_AT if possible.residues else None
    tried = [number for number in range(looked_at or possible.start) if not number or number in possible]
    held = [number for number in tried if number or not symbol(unknown).assumptions0.get("positive")]
    held = [number for number in held if _always(network, unknown, number, wanted, exact)]
    return Answer(unknown, SizeSet(tuple(held), max(held, default=0) + 1, 1, ()), looked_at=looked_at)


def _by_formula(network: Network, unknown: str, wanted: Any) -> SizeSet:
    """The numbers with which the output has the size that is wanted, as far as formulas say it of all sizes at once."""
    possible, found = EVERY, infer(network)
    output = () if found.refused else found.shapes.get(found.network.output.name, ())
    extents = output[1:] or output
    wanted = wanted if isinstance(wanted, tuple) else (wanted,) * len(extents)
    for out, n in zip(extents, wanted, strict=False):
        apart = Demand(Demand(out, "=", as_size(n), str).difference, "=", 0, str)
        if letters_of(apart) == {symbol(unknown)}:
            possible &= where(apart, symbol(unknown))
    return possible


def _at_samples(network: Network, unknown: str, wanted: Any, exact: bool) -> SizeSet:
    """The numbers with which each of some sizes makes what is wanted of it, or is not taken."""
    possible, of_image = EVERY, sorted({each for each in network.image.sizes if isinstance(each, str)})
    for sample in _SAMPLES:
        at = {symbol(name): sympy.Integer(sample + place) for place, name in enumerate(of_image)}
        sizes = tuple(int(at[symbol(n)]) if isinstance(n, str) else n for n in network.image.sizes)
        numbers = tuple(int(normal(as_size(each).xreplace(at))) for each in _each(wanted))
        asked = numbers if isinstance(wanted, tuple) else numbers[0]
        fitting, taken = (_solved(network, sizes, unknown, each, exact).found for each in (asked, None))
        possible &= fitting | EVERY.without(taken)
    return possible


_SAMPLES, _LOOKED_AT = (96, 101, 127, 130), 200
"""Sizes that say which numbers may do for all sizes, and how many numbers are looked at where they leave too many."""


def _each(wanted: Any) -> tuple[Any, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _always(network: Network, unknown: str, number: int, wanted: Any, exact: bool) -> bool:
    """Whether the output has the size that is wanted, at all sizes that are taken."""
    found = infer(network.mapped(lambda node: _with(node.layer, symbol(unknown), number)))
    if found.refused:
        return False
    demands = list(_demanded(found, wanted, exact))
    for letter in {each for demand in demands for each in letters_of(demand)}:
        own = [where(each, letter) for each in demands if letters_of(each) == {letter} and each.sign != "="]
        if not reduce(operator.and_, own, EVERY):
            return False  # no size is taken
    asked = demands[-len(_each(wanted)) :] if isinstance(wanted, tuple) else demands[len(demands) - _axes(found) :]
    for each in asked:
        if (holds := each.holds()) is not None:
            if not holds:
                return False
            continue
        if len(letters_of(each)) != 1:
            raise Undecided(f"whether {each} holds depends on several letters")
        (letter,) = letters_of(each)
        own = [where(other, letter) for other in demands if other not in asked and letters_of(other) == {letter}]
        if reduce(operator.and_, own, EVERY).without(where(each, letter)):
            return False
    return True


def _axes(found: Inference) -> int:
    output = found.shapes[found.network.output.name]
    return len(output[1:] or output)


def _image_of(question: str | Layer | Network, extents: Any, letter: str) -> Network:
    """The network on the image that is asked about."""
    sizes = tuple(extents) if isinstance(extents, Sequence) else (letter if extents is None else extents,) * 2
    image = layers.Input(_DEPTH, sizes)
    if isinstance(question, str):
        question = notation.network(question, None if notation.has_input(question) else image)
    elif not isinstance(question, Network):
        question = Network.chain([image, question])
    return question if extents is None else question.with_input(replace(question.image, sizes=sizes))


def _posed(question: str | Layer | Network, extents: Any, unknown: str | None) -> tuple[Network, sympy.Symbol]:
    """The network on the image that is asked about, and the letter."""
    question = _image_of(question, extents, unknown or "W")
    found = {name for node in question for names in _letters(node.layer).values() for name in names} - {_DEPTH.name}
    if unknown is None and len(found) == 1:
        (unknown,) = found
    if unknown not in found:
        among = ", ".join(sorted(found)) or "none"
        several = "; designs() lists windows with several numbers open" if found and found <= {*"FSPD"} else ""
        told = f"unknown={unknown!r} is no letter of the network (it has {among}); name one, or write one in{several}"
        raise SpecError(told)
    return question, symbol(str(unknown))


def _letters(layer: Layer) -> dict[str, set[str]]:
    """The letters in each field of a layer that has any."""
    found: dict[str, set[str]] = {}
    for field, value in letters(layer):
        found.setdefault(field, set()).update(x.name for x in as_size(value).free_symbols)
    return found


def _put(value: Any, letter: sympy.Symbol, number: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_put(each, letter, number) for each in value)
    if value == letter.name:
        return number
    return as_size(value).xreplace({letter: sympy.Integer(number)}) if isinstance(value, sympy.Basic) else value


def _with(layer: Any, letter: sympy.Symbol, number: int) -> Any:
    """A layer with a number in place of the letter. Raises `SpecError` where it cannot have it."""
    return replace(layer, **{field: _put(getattr(layer, field), letter, number) for field in _letters(layer)})


def _works(network: Network, letter: sympy.Symbol, number: int, want: Want, exact: bool) -> bool:
    """Whether everything fits with this number."""
    try:
        found = infer(network.mapped(lambda node: _with(node.layer, letter, number)))
    except SpecError:
        return False
    if found.refused:
        return False
    for demand in _demanded(found, want, exact):
        if (holds := demand.holds()) is False:
            return False
        if holds is None and letters_of(demand) != {_DEPTH}:  # these tell what other letters must satisfy
            raise Undecided(f"whether it fits depends on {demand} too; give numbers for the other letters")
    return True


def _demanded(found: Inference, want: Want, exact: bool) -> Iterator[Demand]:
    """What the layers demand, and what is wanted of the output. Raises `Undecided` where it is not known."""
    for reason in (*found.undecided.values(), *found.open_demands.values()):
        raise Undecided(reason)
    for each in found.demands.values():
        yield from (demand for demand in each if exact or demand.sign != "exact")
    if want is not None:
        output = found.shapes[found.network.output.name]
        extents = output[1:] or output
        wanted = want if isinstance(want, list | tuple) else (want,) * len(extents)
        if len(wanted) != len(extents):
            raise SpecError(f"want={want!r} is for {len(wanted)} axes, the output has {len(extents)}")
        yield from (Demand(out, "=", as_size(n), str) for out, n in zip(extents, wanted, strict=True))


def _by_period(network: Network, letter: sympy.Symbol, want: Want, exact: bool) -> SizeSet:
    """The numbers that meet all demands, each decided for all numbers. Raises `Undecided` where one is not."""
    try:
        found = infer(network)
    except SpecError as error:
        raise Undecided(str(error)) from None
    if found.refused:  # whatever the letter
        return NONE
    makers = {demand: f"{name}: " for name, each in reversed(found.demands.items()) for demand in each}
    numbers = EVERY
    for demand in dict.fromkeys(_demanded(found, want, exact)):
        if letter in letters_of(demand) or not letters_of(demand):
            try:
                numbers &= where(demand, letter)
            except Undecided as error:
                raise Undecided(f"{makers.get(demand, '')}{error}") from None
    return numbers


def _settled(network: Network, letter: sympy.Symbol, reason: Undecided) -> int:
    """A number for the letter from which on nothing changes; raises `reason` where none is known."""
    settled, shapes = 1, dict[str, Shape]()
    for node in network:
        inputs = [shapes[name] for name in node.operands]
        fields = {field for field, names in _letters(node.layer).items() if letter.name in names}
        if fields:
            if (bound := _still(node.layer, fields, letter, *inputs)) is None:
                raise reason
            settled = max(settled, bound)
        try:
            shapes[node.name] = output_shape(_with(node.layer, letter, _FAR), *inputs)
        except (ShapeError, Undecided):  # nothing fits there, or nothing is known
            break
    if settled > MOST_TRIED:
        raise Undecided(f"{letter} would have to be tried up to {settled}; {MOST_TRIED} is the limit")
    return settled


def _still(layer: Layer, fields: set[str], letter: sympy.Symbol, *inputs: Shape) -> int | None:
    """A number from which on a layer, with the letter in these fields, has one window, or none that it may have."""
    allowed = {"kernel_size", "stride", "dilation"}
    if needs_image(layer) and getattr(layer, "padding", 0) in SAME:
        allowed = {"stride"}
    if not isinstance(layer, Windowed) or not (fields <= allowed or (needs_image(layer) and fields == {"padding"})):
        return None
    axes = zip(window.placed_axes(_with(layer, letter, 1), inputs[0]), inputs[0][1:], strict=True)
    bounds = [normal(window.slack(axis, n) + 2 * window.span(axis) + as_size(axis.stride)) for axis, n in axes]
    return max(bounds) if all(isinstance(bound, int) for bound in bounds) else None


class Design(NamedTuple):
    """A window's size, stride, padding on both sides and dilation."""

    F: int
    S: int
    P: int
    D: int


def designs(
    size: int, out: int, F: Bounds = range(1, 12), S: Bounds = range(1, 5), P: Bounds = range(6), D: Bounds = (1,)
) -> tuple[Design, ...]:
    """All windows within the bounds that make `out` outputs of `size` inputs without remainder, in order.

    Windows of one element are listed with the first dilation alone. Raises `InputError` for impossible or wide bounds.

    >>> [tuple(each) for each in designs(224, 55, S=range(2, 6), P=range(4))]
    [(8, 4, 0, 1), (10, 4, 1, 1)]
    """
    if len(F) * len(S) * len(P) * len(D) > MOST_DESIGNS:
        raise InputError(f"the bounds hold more than {MOST_DESIGNS} designs; narrow them")
    if min((0, *P)) < 0 or min((1, *F, *S, *D)) < 1:
        raise InputError("the bounds hold F, S or D below 1, or P below 0; windows have none of these")
    found = (Design(*each) for each in itertools.product(F, S, P, D) if each[0] > 1 or each[3] == D[0])
    axes = {design: Axis(design.F, design.S, design.P, design.P, design.D) for design in found}
    exact = (d for d, axis in axes.items() if window.slack(axis, size) >= 0 == window.remainder(axis, size))
    return tuple(sorted(design for design in exact if window.count(axes[design], size) == out))
