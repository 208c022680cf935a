"""Numbers of a layer that are computed of sizes: how much a forward crops to be as large as a skip connection, or pads
to be a multiple of something.

A layer with such fields reads further operands, of which it takes the sizes alone. With their shapes, in numbers or in
letters, it becomes an ordinary layer; what adds and divides them is given, since nothing here knows a formula.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True)
class Amount:
    """A function of whole numbers and amounts: one of + - * // % min max; or "size", of the place of an operand and of
    an axis, which is 0 for the channels.

    >>> str(Amount("//", (Amount("-", (Amount("size", (1, 2)), Amount("size", (0, 2)))), 2)))
    '(size(1, 2) - size(0, 2))//2'
    """

    function: str
    operands: tuple[Any, ...]

    def __str__(self) -> str:
        if self.function in ("size", "min", "max"):
            return f"{self.function}({', '.join(map(str, self.operands))})"
        a, b = (f"({each})" if _is_sum(each) else str(each) for each in self.operands)
        return f"{a}//{b}" if self.function == "//" else f"{a} {self.function} {b}"

    def worked_out(self, shapes: Sequence[Sequence[Any]], functions: Mapping[str, Callable[[Any, Any], Any]]) -> Any:
        """The number at operands of these shapes."""
        if self.function == "size":
            operand, axis = self.operands
            return shapes[operand][axis]
        a, b = (each.worked_out(shapes, functions) if isinstance(each, Amount) else each for each in self.operands)
        return functions[self.function](a, b)

    def places(self) -> Iterator[int]:
        """The operands that it reads."""
        if self.function == "size":
            yield self.operands[0]
        else:
            for each in self.operands:
                if isinstance(each, Amount):
                    yield from each.places()


def _is_sum(value: Any) -> bool:
    return isinstance(value, Amount) and value.function in ("+", "-", "%", "*", "//")


NUMBERS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "min": min,
    "max": max,
}
"""What the functions are on Python's numbers."""


def amounts(value: Any) -> Iterator[Amount]:
    """Those in a field, which may hold one for each axis."""
    if isinstance(value, Amount):
        yield value
    elif isinstance(value, tuple):
        for each in value:
            yield from amounts(each)


def settled(layer: Any, shapes: Sequence[Sequence[Any]], functions: Mapping[str, Callable[[Any, Any], Any]]) -> Any:
    """The layer with numbers for its amounts, at operands of these shapes (C, *spatial)."""

    def number(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(number, value))
        return value.worked_out(shapes, functions) if isinstance(value, Amount) else value

    given = {each.name: getattr(layer, each.name) for each in fields(layer)}
    return replace(layer, **{name: number(value) for name, value in given.items() if any(amounts(value))})
