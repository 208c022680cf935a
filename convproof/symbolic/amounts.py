"""Amounts of layers in letters: what `architecture.amounts` adds and divides, on sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import sympy

from convproof.architecture.amounts import NUMBERS, Amount, settled
from convproof.architecture.behaviour import Layer
from convproof.errors import SpecError, Undecided
from convproof.symbolic.floordiv import FloorDiv, Size, collect, floordiv, least_value, normal

Shape = tuple[Size, ...]


def own_operands(layer: Layer, inputs: tuple[Shape, ...]) -> tuple[Layer, tuple[Shape, ...]]:
    """The layer with formulas for its amounts, and the shapes of what it reads besides sizes."""
    if not getattr(layer, "has_amounts", False):  # what is no layer is refused by its rule
        return layer, inputs
    return settled(layer, inputs, FORMULAS), inputs[: len(inputs) - layer.sizes_read]


def _extreme(sign: int) -> Callable[[Size, Size], Size]:
    """The least (1) or the largest (-1) of two sizes. Raises `Undecided` where that depends on letters."""

    def chosen(a: Size, b: Size) -> Size:
        for one, other in ((a, b), (b, a)):
            least = least_value(normal(sign * (other - one)))
            if least is not None and least >= 0:
                return one
        raise Undecided(f"which of {a} and {b} is less depends on the size")

    return chosen


def _quotient(a: Size, b: Size) -> Size:
    """Division, rounded down. Raises `Undecided` for what may be no division by a positive size."""
    try:
        return floordiv(a, b)
    except SpecError as error:
        raise Undecided(str(error)) from None


FORMULAS: Mapping[str, Callable[[Size, Size], Size]] = {
    "+": lambda a, b: normal(a + b),
    "-": lambda a, b: normal(a - b),
    "*": lambda a, b: normal(a * b),
    "//": _quotient,
    "%": lambda a, b: normal(a - b * _quotient(a, b)),
    "min": _extreme(1),
    "max": _extreme(-1),
}
"""What the functions of amounts are on sizes in letters."""

Formula = sympy.Expr
"""A size that is no number."""


def content(size: Size) -> int:
    """The largest whole number that divides all coefficients of a size.

    >>> from convproof.symbolic.floordiv import symbol
    >>> content(6 * symbol("n") + 4)
    2
    """
    return size if isinstance(size, int) else int(size.primitive()[0])


@lru_cache(maxsize=2**14)
def exact_quotient(whole: Size, part: Size) -> Size | None:
    """What makes `whole`, multiplied by `part`, as a polynomial of whole coefficients; None where nothing does.

    >>> from convproof.symbolic.floordiv import symbol
    >>> n = symbol("n")
    >>> exact_quotient(n**2 + n, n + 1), exact_quotient(n + 1, 2), exact_quotient(2 * n, n + 1)
    (n, None, None)
    """
    if isinstance(whole, int) and isinstance(part, int):
        found, rest = divmod(whole, part)
        return None if rest else found
    if part == 1:
        return whole
    if isinstance(part, sympy.Symbol):  # the batch, mostly
        terms = () if isinstance(whole, int) else sympy.Add.make_args(whole)
        if terms and all(each.as_powers_dict().get(part, 0) >= 1 for each in terms):
            return normal(sympy.Add(*(each / part for each in terms)))
    quotient = normal(sympy.cancel(sympy.Mul(whole, sympy.Pow(part, -1))))
    try:
        terms = {} if isinstance(quotient, int) else collect(quotient)
    except SpecError:  # something is left below the line
        return None
    return quotient if all(c.is_Integer for c in terms.values()) else None


def operands(n: Size) -> tuple[Size, ...]:
    """The terms of a sum, or the factors of a product; of anything else, nothing."""
    if not isinstance(n, sympy.Add | sympy.Mul):
        return ()
    return tuple(int(each) if isinstance(each, sympy.Integer) else each for each in n.args)


def as_amount(value: Any, size_of: Callable[[Any], Amount | None]) -> Any:
    """A value as an amount that a layer can have: `size_of` says of which operand something is the size. Raises
    `Undecided` for what depends on other things.
    """
    if isinstance(value, int):
        return value
    if not isinstance(value, Amount) and (place := size_of(value)) is not None:
        return place

    def of(each: Any) -> Any:
        return as_amount(int(each) if isinstance(each, int | sympy.Integer) else each, size_of)

    if isinstance(value, Amount) and value.function in NUMBERS:
        return Amount(value.function, tuple(map(of, value.operands)))
    if isinstance(value, FloorDiv):
        return Amount("//", tuple(map(of, value.args)))
    if isinstance(value, sympy.Mul):
        return _joined("*", map(of, value.args))
    if isinstance(value, sympy.Pow) and value.exp.is_Integer and value.exp > 0:
        return _joined("*", [of(value.base)] * int(value.exp))
    if isinstance(value, sympy.Add):
        terms = value.as_coefficients_dict()
        whole = math.lcm(*(int(c.q) for c in terms.values()))
        added, taken = ([abs(c) * m for m, c in terms.items() if bool(c > 0) is sign] for sign in (True, False))
        found = _joined("+", [of(whole * each) for each in added]) if added else 0
        for each in taken:
            found = Amount("-", (found, of(whole * each)))
        return found if whole == 1 else Amount("//", (found, whole))
    raise Undecided("it is computed of more than sizes")


def _joined(function: str, parts: Iterable[Any]) -> Any:
    first, *others = parts
    for each in others:
        first = Amount(function, (first, each))
    return first
