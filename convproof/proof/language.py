"""Between sympy, in which theories are written and shown, and the kernel's terms. Nothing here is trusted.

Letters are symbols, `x[i]` is an `IndexedBase`, sums are `Sum`, divisions are `FloorDiv`, and [a = b] is
`KroneckerDelta(a, b)`. What a theorem says is always read back from the kernel's terms with `expression`, so a slip
here cannot make it say something else.
"""

from __future__ import annotations

from typing import Any

import sympy

from convproof.errors import SpecError
from convproof.proof.algebra import Term
from convproof.symbolic.floordiv import FloorDiv


class AtMost(sympy.Function):  # type: ignore[misc]
    """[a <= b]: 1 where it holds, else 0."""

    nargs = 2


def term(value: Any) -> Term:
    """A sympy expression (or an int) as a kernel term. Raises `SpecError` for what has none.

    >>> term(sympy.Symbol("W") + 1)
    ('+', 1, ('v', 'W'))
    """
    match value:
        case bool():
            raise SpecError("a truth value has no place in a proof")
        case int():
            return value
        case sympy.Integer():
            return int(value)
        case sympy.Symbol():
            return ("v", value.name)
        case sympy.Add() | sympy.Mul():
            return ("+" if value.is_Add else "*", *map(term, value.args))
        case sympy.Pow(args=(base, sympy.Integer() as power)) if power > 0:
            return ("*", *[term(base)] * int(power))
        case FloorDiv():
            return ("//", *map(term, value.args))
        case sympy.KroneckerDelta():
            return ("is", *map(term, value.args[:2]))
        case AtMost():
            return ("le", *map(term, value.args))
        case sympy.Indexed():
            return ("at", value.base.label.name, *map(term, value.indices))
        case sympy.Sum():
            body = term(value.function)
            for index, lo, hi in value.limits:
                body = ("sum", index.name, term(lo), term(hi), body)
            return body
    raise SpecError(f"{value!r} has no place in a proof")


def expression(value: Term) -> Any:
    """A kernel term as a sympy expression, for showing: letters of which nothing is assumed, divisions as they stand.

    >>> expression(("//", ("v", "W"), 2))
    W//2
    """
    if isinstance(value, int):
        return sympy.Integer(value)
    head, *rest = value
    if head == "v":
        return sympy.Symbol(rest[0])
    if head == "at":
        return sympy.IndexedBase(rest[0])[tuple(map(expression, rest[1:]))]
    if head == "sum":
        return sympy.Sum(expression(rest[3]), (sympy.Symbol(rest[0]), *map(expression, rest[1:3])))
    parts = list(map(expression, rest))
    if head == "//":
        return FloorDiv(*parts, evaluate=False)
    if head == "is":
        return sympy.KroneckerDelta(*parts)
    return {"+": sympy.Add, "*": sympy.Mul, "le": AtMost}[head](*parts)


def formula(left: Any, sign: str, right: Any) -> Any:
    """left = right or left >= right, as a kernel formula."""
    return (sign, term(left), term(right))


def shown(statement: Any) -> str:
    """A kernel formula in words and signs."""
    head, *rest = statement
    if head == "iff":
        return f"({shown(rest[0])}) iff ({shown(rest[1])})"
    if head == "all":
        return f"for all {rest[0]}: {shown(rest[1])}"
    return f"{expression(rest[0])} {head} {expression(rest[1])}"
