"""Sizes of a tensor as somebody's forward computes with them.

A size is an int or a formula of the symbolic wing, in letters for the sizes of the image and of the batch: what is
equal at every size is the same formula. What has no normal form there, such as the smaller of two sizes or half of one,
is an `Amount` of sizes.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from convproof.architecture.amounts import NUMBERS, Amount
from convproof.errors import ConvproofError
from convproof.importers.values import Inexpressible
from convproof.symbolic import symbol
from convproof.symbolic.amounts import FORMULAS, Formula, exact_quotient

Size = Any
"""An int or a `Formula`."""

BATCH = symbol("size of N")
"""The letter for the batch."""

OPERATORS: Mapping[Any, str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.truediv: "/",
    builtins.min: "min",
    builtins.max: "max",
}
"""Python's functions of sizes, by their names in amounts."""


def is_formula(value: Any) -> bool:
    """Whether a value is computed of sizes that are no numbers."""
    return isinstance(value, Formula | Amount)


def combine(function: str, a: Any, b: Any) -> Any:
    """What a function makes of two sizes.

    >>> n = symbol("n")
    >>> combine("//", combine("+", n, 1), 2), str(combine("/", n, 2))
    ((n + 1)//2, 'n / 2')
    """
    if function in FORMULAS and not any(isinstance(each, Amount | float) for each in (a, b)):
        try:
            return FORMULAS[function](a, b)
        except (ConvproofError, ArithmeticError):
            pass
    neutral = {"+": 0, "*": 1}.get(function)
    if neutral is not None and neutral in (a, b):
        return b if a == neutral else a
    return Amount(function, (a, b))


def plus(a: Any, b: Any) -> Any:
    """The sum."""
    return combine("+", a, b)


def minus(a: Any, b: Any) -> Any:
    """The difference."""
    return combine("-", a, b)


def rounded(function: Any, value: Any) -> Any:
    """A quotient of sizes, rounded by `math.floor` or `math.ceil`."""
    if not isinstance(value, Amount) or value.function != "/":
        return value
    a, b = value.operands
    return combine("//", a, b) if function is math.floor else minus(0, combine("//", minus(0, a), b))


def times(sizes: Iterable[Any]) -> Any:
    """The sizes multiplied.

    >>> n = symbol("n")
    >>> times([3, n, 4]) == times([12, n])
    True
    """
    found: Any = 1
    for n in sizes:
        found = combine("*", found, n)
    return found


def over(whole: Any, part: Any) -> Any:
    """What makes `whole`, multiplied by `part`. Raises `Inexpressible` where nothing does at every size."""
    found = None
    if all(isinstance(each, int | Formula) for each in (whole, part)) and part != 0:
        found = exact_quotient(whole, part)
    if found is None:
        raise Inexpressible(OTHERWISE)
    return found


OTHERWISE = "it lays out the elements in another way"


def letters_of(value: Any) -> set[Any]:
    """The letters that a value depends on."""
    if isinstance(value, Amount):
        value = value.operands
    if isinstance(value, tuple | list):
        return {letter for each in value for letter in letters_of(each)}
    return set(_letters(value)) if isinstance(value, Formula) else set()


@lru_cache(maxsize=2**16)
def _letters(value: Formula) -> frozenset[Any]:
    return frozenset(value.free_symbols)


def worked_out(value: Any, number: Callable[[Any], Any]) -> Any:
    """An amount at a given image, at which `number` says what formulas are."""
    if not isinstance(value, Amount):
        return number(value)
    a, b = (worked_out(each, number) for each in value.operands)
    return operator.truediv(a, b) if value.function == "/" else NUMBERS[value.function](a, b)
