"""What a field of a layer may hold: counts, flags, names, numbers; and how a field says so.

A field is annotated with what it holds and, where the notation writes it, with its argument:

    stride: Annotated[PerAxis, "S"] = 1

Every value is checked when a layer is made, so that what is no layer is refused at once, by the name of the field.
"""

from __future__ import annotations

import math
import numbers
import operator
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, NamedTuple, get_type_hints

from convproof.architecture.amounts import Amount
from convproof.errors import SpecError

Value = Any
"""An int, a letter such as `"W"`, a symbolic expression (anything that has `free_symbols`), or an `Amount`."""

SAME_UPPER, SAME_LOWER = "same_upper", "same_lower"
"""Paddings as in TensorFlow and ONNX: the least with which n/stride outputs come out, rounded up, split in two halves;
what is odd goes after (upper) or before (lower)."""
SAME = (SAME_UPPER, SAME_LOWER)


ANY_NUMBER = -(10**9)
"""The least number in a field that takes any, also negative ones."""


def is_letter(value: str) -> bool:
    """Whether a text may stand for a number: a name, but none that means something else elsewhere."""
    return value.isidentifier() and value.lower() not in _NO_LETTERS


_NO_LETTERS = {"nan", "inf", "none", "true", "false", "same", "valid", *SAME}


@dataclass(frozen=True)
class Count:
    """A whole number of at least `least`, a letter or an expression; `nesting` 1 allows one per axis, 2 also a pair per
    axis, and `sentinels` further values.
    """

    least: int = 1
    nesting: int = 0
    sentinels: tuple[Any, ...] = ()

    def checked(self, value: Any, place: str) -> Any:
        """The value, with plain ints for whole numbers. Raises `SpecError` for what the field cannot hold."""
        if value in self.sentinels:
            return value
        return self._checked(value, place, self.nesting)

    def _checked(self, value: Any, place: str, nesting: int) -> Any:
        if not isinstance(value, (tuple, list)):
            return self._one(value, place)
        if not value:
            raise SpecError(f"{place}=() is empty; give one value, or one per axis")
        if not nesting:
            raise SpecError(f"{place}={value!r} must be one number or letter")
        return tuple(self._checked(each, place, nesting - 1) for each in value)

    def _one(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            if not is_letter(value):
                raise SpecError(f"{place}={value!r} is no letter; use a number or a name such as 'W'")
            return value
        if isinstance(value, Amount) or (hasattr(value, "free_symbols") and value.free_symbols):
            return value
        try:
            if isinstance(value, bool):
                raise TypeError
            number = operator.index(int(value) if hasattr(value, "free_symbols") and value == int(value) else value)
        except (TypeError, ValueError):
            raise SpecError(f"{place}={value!r} is not a whole number or a letter") from None
        if number < self.least:
            raise SpecError(f"{place}={number} is too small; it must be at least {self.least}")
        return number


@dataclass(frozen=True)
class Flag:
    """True or False."""

    def checked(self, value: Any, place: str) -> bool:
        """The value. Raises `SpecError` for another."""
        if not isinstance(value, bool):
            raise SpecError(f"{place}={value!r} must be True or False")
        return value


@dataclass(frozen=True)
class Choice:
    """One of several names."""

    names: tuple[str, ...]

    def checked(self, value: Any, place: str) -> str:
        """The name. Raises `SpecError` for another."""
        if value not in self.names:
            *some, last = map(repr, self.names)
            raise SpecError(f"{place}={value!r} must be {', '.join(some)} or {last}")
        return str(value)


@dataclass(frozen=True)
class Number:
    """A real number from `low` to `high`, or above `low` where that is not `included`."""

    low: float = -math.inf
    high: float = math.inf
    included: bool = True
    words: str = "a number"

    def checked(self, value: Any, place: str) -> Any:
        """The number. Raises `SpecError` for another, and for what is none."""
        real = not isinstance(value, bool) and isinstance(value, numbers.Real)
        if not (real and self.low <= value <= self.high and (self.included or self.low < value < self.high)):
            raise SpecError(f"{place}={value!r} must be {self.words}")
        return value


@dataclass(frozen=True)
class Text:
    """A name that somebody else gave."""

    def checked(self, value: Any, place: str) -> str:
        """The text. Raises `SpecError` for what is none."""
        if not isinstance(value, str):
            raise SpecError(f"{place}={value!r} must be a text")
        return value


Channels = Annotated[Value, Count()]
Natural = Annotated[Value, Count(0)]
PerAxis = Annotated[Value, Count(nesting=1)]
Stride = Annotated[Value, Count(nesting=1, sentinels=(None,))]
Padding = Annotated[Value, Count(0, 2, SAME)]
Given = Annotated[Value, Count(sentinels=(None,))]
"""How many inputs the weights are for; None where nothing is said."""
Bool = Annotated[bool, Flag()]
Real = Annotated[float, Number()]
Interpolation = Annotated[str, Choice(("nearest", "bilinear", "other"))]
Pooling = Annotated[str, Choice(("avg", "max"))]


class Setting(NamedTuple):
    """A field of a layer kind: its name, what it may hold, the argument that writes it (None for no argument), and its
    default, `dataclasses.MISSING` where it must be given.
    """

    name: str
    holds: Any
    argument: str | None
    default: Any


def settings(kind: Any) -> tuple[Setting, ...]:
    """The fields of a layer kind, in order."""
    return _settings(kind)


@cache
def _settings(kind: Any) -> tuple[Setting, ...]:
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for each in fields(kind):
        holds, *argument = hints[each.name].__metadata__
        found.append(Setting(each.name, holds, argument[0] if argument else None, each.default))
    return tuple(found)
