"""Which numbers make a network fit: one letter of it left open, the sizes near one that does not, a table of designs.

A question about a letter is a set of conditions on sizes. Where they are quasi-affine in the letter (sizes, paddings,
kernels, dilations and filters, where strides are numbers) one period decides them for all numbers. What divides is
tried number by number: from the padded size on the first window is the only one, and nothing changes any more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import sympy

from convproof.architecture import Axis, Network, layers, notation
from convproof.errors import InputError, ShapeError, SpecError, Undecided
from convproof.symbolic import window
from convproof.symbolic.conditions import WINDOWED, axis_names, conditions, output_shapes
from convproof.symbolic.floordiv import Size, collect, floordiv, normal, symbol
from convproof.symbolic.floordiv import size as as_size
from convproof.symbolic.shapes import Shape, block_size, needs_image, output_shape, placed_axes
from convproof.symbolic.sizesets import EVERY, SizeSet, where_at_least, where_zero

MOST_TRIED, MOST_DESIGNS = 2_000, 100_000
"""How many numbers are tried for a letter, and how many designs for a table."""

_DIVISORS = ("groups", "upscale_factor", "downscale_factor")
"""Fields that must divide channels or sizes."""

_FAR = 10**12  # more than any size that is tried
_DEPTH = symbol("depth of the image")  # a name that no letter can have

Bounds = Sequence[int]
Want = int | Sequence[int] | None


@dataclass(frozen=True)
class Answer:
    """All numbers that a letter may stand for; `tried` is the one from which on nothing changes, if all were tried."""

    letter: str
    found: SizeSet
    tried: int | None = None

    def __str__(self) -> str:
        return f"{self.letter}: {self.found.shown(self.letter)}"


def solve(
    question: str | layers.Layer | Network,
    size: int | Sequence[int] | None = None,
    unknown: str | None = None,
    want: Want = None,
    exact: bool = True,
) -> Answer:
    """The numbers for the letter `unknown` with which a layer, a network or its notation fits.

    Every window must fit and branches agree; with `exact` no stride may leave a remainder, and with `want` the output
    must have this size (one number, or one per axis; units for a vector). `size` is that of the image, in the same
    way; where it is left out, a question without INPUT is about the size of a square image. Letters that begin with P
    may be 0. Raises `SpecError` for a letter that does not occur, and `Undecided` where the answer hangs on other
    letters or is not found completely.

    >>> print(solve("CONV(K=96, F=11, S=4, P=P)", 224))
    P: none
    >>> print(solve("CONV(K=96, F=11, S=4)", unknown="W"))
    W: all W >= 8 with W mod 4 = 3
    >>> print(solve("CONV(K=64, F=7, S=S, P=3)", 31))
    S: only 1, 2, 3, 5, 6, 10, 15, 30
    >>> print(solve("[CONV(K=8, F=F)]*3 -> POOL2", 32, want=4))
    F: only 9
    """
    network, letter = _posed(question, size, unknown)
    tried = None
    try:
        found = _by_period(network, letter, want, exact)
    except Undecided as reason:
        tried = _settled(network, letter, reason)
        found = SizeSet.of(cache(lambda number: _works(network, letter, number, want, exact)), tried, 1)
    if not letter.assumptions0.get("positive") and _works(network, letter, 0, want, exact):
        found = replace(found, below=(0, *found.below))
    return Answer(letter.name, found, tried)


def _posed(question: str | layers.Layer | Network, extents: Any, unknown: str | None) -> tuple[Network, sympy.Symbol]:
    """The network on the image that is asked about, and the letter."""
    sizes = tuple(extents) if isinstance(extents, Sequence) else (unknown or "W" if extents is None else extents,) * 2
    image = layers.Input(_DEPTH, sizes)
    if isinstance(question, str):
        question = notation.network(question, None if notation.has_input(question) else image)
    elif not isinstance(question, Network):
        question = Network.chain([image, question])
    if extents is not None:
        question = question.with_input(replace(question.image, sizes=sizes))
    letters = {name for node in question for names in _letters(node.layer).values() for name in names} - {_DEPTH.name}
    if unknown is None and len(letters) == 1:
        (unknown,) = letters
    if unknown not in letters:
        among = ", ".join(sorted(letters)) or "none"
        raise SpecError(f"unknown={unknown!r} is no letter of the network (it has {among}); name one, or write one in")
    return question, symbol(str(unknown))


def _letters(layer: layers.Layer) -> dict[str, set[str]]:
    """The letters in each field of a layer that has any."""
    found: dict[str, set[str]] = {}
    for field, value in layers.letters(layer):
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
        numbered = Network(replace(node, layer=_with(node.layer, letter, number)) for node in network)
        shapes = output_shapes(numbered)
    except (SpecError, ShapeError):
        return False
    for kind, asked in _conditions(numbered, shapes, want, exact):
        if isinstance(asked, int):
            if not (asked >= 0 if kind == "fits" else (asked != 0) == (kind == "differs")):
                return False
        elif kind != "channels":  # these tell what other letters must satisfy
            raise Undecided(f"whether it fits hangs on {asked} too; give numbers for the other letters")
    return True


def _conditions(network: Network, shapes: dict[str, Shape], want: Want, exact: bool) -> Iterator[tuple[str, Size]]:
    """What is asked of the sizes, as `conditions` puts it, of the channels and of the output."""
    for node in network:
        inputs = tuple(shapes[name] for name in node.operands)
        for axis in range(len(axis_names(network))):
            asked = conditions(node.layer, inputs, shapes[node.name], axis)
            yield from (each for each in asked if exact or each[0] != "exact")
        for field, value in layers.letters(node.layer):
            if not isinstance(number := as_size(value), sympy.Symbol):  # it must be whole, and as large as it may be
                q = math.lcm(*(int(c.q) for c in collect(number).values()))
                yield "whole", normal(q * (number - floordiv(number, 1)))
                if not isinstance(node.layer, layers.Pad):
                    yield "fits", normal(q * (number - (0 if "padding" in field else 1)))
        depths = [x[0] for x in inputs]
        if isinstance(node.layer, (layers.Add, layers.Multiply, layers.Scale)):
            yield from (("channels", normal(depths[0] - other)) for other in depths[1:])
        elif isinstance(node.layer, layers.PixelShuffle) and isinstance(
            block := block_size(node.layer, inputs[0]), int
        ):
            yield "channels", normal(depths[0] - block * floordiv(depths[0], block))
        elif isinstance(node.layer, (layers.GroupNorm, layers.ChannelShuffle)) and isinstance(node.layer.groups, int):
            yield "channels", normal(depths[0] - node.layer.groups * floordiv(depths[0], node.layer.groups))
        elif isinstance(node.layer, layers.Slice):
            yield "fits", normal(depths[0] - as_size(node.layer.stop))
            yield "fits", normal(as_size(node.layer.stop) - as_size(node.layer.start) - 1)
        elif isinstance(node.layer, (layers.Conv, layers.ConvTranspose)) and isinstance(node.layer.groups, int):
            for depth in (depths[0], as_size(node.layer.out_channels)):
                yield "channels", normal(depth - node.layer.groups * floordiv(depth, node.layer.groups))
    if want is not None:
        extents = shapes[network.output.name][1:] or shapes[network.output.name]
        wanted = want if isinstance(want, Sequence) else (want,) * len(extents)
        if len(wanted) != len(extents):
            raise SpecError(f"want={want!r} is for {len(wanted)} axes, the output has {len(extents)}")
        yield from (("wanted", normal(out - as_size(n))) for out, n in zip(extents, wanted, strict=True))


def _by_period(network: Network, letter: sympy.Symbol, want: Want, exact: bool) -> SizeSet:
    """The numbers that meet all conditions, each decided for all numbers. Raises `Undecided` where one is not."""
    for node in network:
        tested = ("kernel_size", "stride", "padding", "dilation") if needs_image(node.layer) else _DIVISORS
        if isinstance(node.layer, layers.ConvTranspose) and node.layer.output_padding != 0:
            tested = ("groups", "stride", "dilation", "output_padding")
        if any(letter.name in names for field, names in _letters(node.layer).items() if field in tested):
            raise Undecided(f"{node.name}: what it asks of {letter} is known only in numbers")
    try:
        shapes = output_shapes(network)
    except ShapeError:  # whatever the letter
        return SizeSet((), 1, 1, ())
    found = EVERY
    for kind, asked in dict.fromkeys(_conditions(network, shapes, want, exact)):
        free = set() if isinstance(asked, int) else asked.free_symbols
        if letter in free or not free:
            where = where_at_least(asked, 0, letter) if kind == "fits" else where_zero(asked, letter)
            found = found.without(where) if kind == "differs" else found & where
    return found


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


def _still(layer: layers.Layer, fields: set[str], letter: sympy.Symbol, *inputs: Shape) -> int | None:
    """A number from which on a layer, with the letter in these fields, has one window, or none that it may have."""
    allowed = {"kernel_size", "stride", "dilation"}
    if needs_image(layer) and getattr(layer, "padding", 0) in (layers.SAME_UPPER, layers.SAME_LOWER):
        allowed = {"stride"}
    if not isinstance(layer, WINDOWED) or not (fields <= allowed or (needs_image(layer) and fields == {"padding"})):
        return None
    axes = zip(placed_axes(_with(layer, letter, 1), inputs[0]), inputs[0][1:], strict=True)
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
