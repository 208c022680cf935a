"""Networks of which a part is repeated as often as a letter says, and sizes that are written as formulas."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from convproof.errors import SpecError, Undecided
from convproof.symbolic.floordiv import Size, floordiv, normal, symbol
from convproof.symbolic.sizesets import SizeSet

MOST = 100
"""How many repetitions are tried."""


class Depth(NamedTuple):
    """What there is with so many repetitions: whether it fits, the number of the layer that refuses its input, if one
    does, and what each layer makes.
    """

    fits: bool
    refused: int | None
    shapes: tuple[Any, ...]


def letter(question: str, unknown: str | None) -> str | None:
    """The letter that says how often a part is repeated, if that is what is asked for.

    >>> letter("[CONV3-8]*M -> POOL2", None), letter("[CONV3-8]*M -> FC-K", "K")
    ('M', None)
    """
    found = re.findall(_REPEATED, question)
    if unknown is not None:
        return unknown if unknown in found else None
    return found[0] if found else None


_REPEATED = r"\*\s*([A-Za-z][A-Za-z0-9_]*)\b"


def repeated(question: str, name: str, depth: int) -> str:
    """The question with a number in place of the letter."""
    return re.sub(rf"\*\s*{name}\b", f"*{depth}", question)


def found(at: Callable[[int], Depth], name: str) -> SizeSet:
    """The depths that fit. Raises `Undecided` where more than `MOST` would have to be tried.

    From some depth on nothing changes: a layer of the repeated part refuses its input, which it does in all deeper
    networks, or one repetition makes what the one before it made. What stands behind the repeated part moves on with
    every repetition, so that the layer at one place is none of these after as many as it has layers.
    """
    seen: list[Depth] = []
    alike = 0  # how many depths in a row are refused at the same place
    for depth in range(1, MOST + 1):
        seen.append(at(depth))
        if len(seen) < 2:
            continue
        before, last = seen[-2:]
        alike = alike + 1 if last.refused is not None and last.refused == before.refused else 0
        if alike > len(seen[0].shapes):
            return SizeSet.of(lambda n: n <= len(seen) and seen[n - 1].fits, len(seen), 1)
        if last.refused is None and before.refused is None and _is_repeated(before.shapes, last.shapes):
            return SizeSet.of(lambda n: seen[min(n, len(seen)) - 1].fits, len(seen), 1)
    raise Undecided(f"{name} would have to be tried beyond {MOST}")


def _is_repeated(fewer: tuple[Any, ...], more: tuple[Any, ...]) -> bool:
    """Whether one network is the other with a part of it twice, which makes the same both times."""
    count = len(more) - len(fewer)
    for place in range(count, len(more) - count + 1):
        part = more[place : place + count]
        if part == more[place - count : place] and more[:place] + more[place + count :] == fewer:
            return True
    return False


_OPERATORS: dict[type[ast.operator], Callable[[Size, Size], Size]] = {
    ast.Add: lambda a, b: normal(a + b),
    ast.Sub: lambda a, b: normal(a - b),
    ast.Mult: lambda a, b: normal(a * b),
    ast.FloorDiv: floordiv,
}


def formula(text: Any) -> Size:
    """A size that is written with letters, numbers, + - * and //. Raises `SpecError` for anything else.

    >>> formula("2*W - 1"), formula("(W + 1) // 2")
    (2*W - 1, (W + 1)//2)
    """
    if isinstance(text, int):
        return text
    told = f"want={str(text)[:40]!r} is no size; write a number or one such as '2*W' or 'W // 2'"
    if not isinstance(text, str) or len(text) > 200:
        raise SpecError(told)

    def of(node: ast.expr) -> Size:
        match node:
            case ast.Constant(int(value)) if not isinstance(value, bool) and abs(value) < 10**9:
                return value
            case ast.Name(name):
                return symbol(name)
            case ast.BinOp(left, sign, right) if type(sign) in _OPERATORS:
                if isinstance(sign, ast.FloorDiv) and not (isinstance(right, ast.Constant) and right.value):
                    raise SpecError(told)
                return _OPERATORS[type(sign)](of(left), of(right))
        raise SpecError(told)

    try:
        return of(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise SpecError(told) from None
