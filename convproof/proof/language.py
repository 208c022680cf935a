"""Terms and formulas of the kernel as people write and read them. Nothing here is trusted.

    sum o<O, t<F: g[o] * w[t] * [i = S*o + D*t - P] >= 0

`x[i]` is a value of a function to the reals and `n(k)` of one to the integers; `e[]` is a real number and `S` an
integer; [a = b] and [a <= b] are 1 or 0; `i<n` runs over 0, ..., n - 1 and `i=a..b` over a, ..., b; `a // b` is
rounded down; `exp(a)`, `log(a)`, `a / b`. A sum reaches over the product that follows it.

What a theorem says is always shown from the kernel's own terms, so a slip here cannot make it say something else.
"""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

import sympy
from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken

from convproof.errors import SpecError
from convproof.proof.algebra import Formula, Term
from convproof.symbolic.floordiv import Broadcast, FloorDiv

FUNCTIONS = ("exp", "log", "inv")
MOST_POWER = 100
"""The highest power that is written out as a product."""


@functools.cache
def _grammar() -> Lark:
    text = resources.files("convproof.proof").joinpath("term.lark").read_text(encoding="utf-8")
    return Lark(text, parser="lalr", start=["term", "formula"], transformer=_Build())


def term(value: Any) -> Term:
    """A term from its notation, a sympy expression of ours, or a number. Raises `SpecError` for anything else.

    >>> term("S*o - P")
    ('+', ('*', ('v', 'S'), ('v', 'o')), ('*', -1, ('v', 'P')))
    """
    return _parsed(value, "term") if isinstance(value, str) else _from_sympy(value)


def formula(text: str) -> Formula:
    """A formula from its notation.

    >>> formula("for all k: s(k) >= 1")
    ('all', 'k', ('>=', ('at', 's', ('v', 'k')), 1))
    """
    return _parsed(text, "formula")


def _parsed(text: str, start: str) -> Any:
    try:
        return _grammar().parse(text, start=start)
    except UnexpectedInput as error:
        ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        place = len(text) if ended else error.pos_in_stream or 0
        where = f"from {text[place : place + 20]!r} on" if place < len(text) else "it ends too early"
        raise SpecError(f"this is no {start}, {where}: {text[:200]}") from None


class _Build(Transformer):  # type: ignore[type-arg]
    """Tuples of what the grammar finds."""

    def number(self, children: list[Token]) -> Term:
        return int(children[0])

    def letter(self, children: list[Token]) -> Term:
        return ("v", str(children[0]))

    def places(self, children: list[Term]) -> list[Term]:
        return children

    def applied(self, children: list[Any]) -> Term:
        name, places = str(children[0]), children[1]
        return (name, *places) if name in FUNCTIONS and len(places) == 1 else ("at", name, *places)

    def value(self, children: list[Any]) -> Term:
        return ("re", str(children[0]), *(children[1] or ()))

    def indicator(self, children: list[Any]) -> Term:
        sign, a, b = _turned(*children)
        return {"=": ("is", a, b), ">=": ("le", b, a), ">": ("le", ("+", b, 1), a)}[sign]

    def floor(self, children: list[Term]) -> Term:
        return ("//", *children)

    def quotient(self, children: list[Term]) -> Term:
        return ("*", children[0], ("inv", children[1]))

    def power(self, children: list[Any]) -> Term:
        times = int(children[1])
        if not 1 <= times <= MOST_POWER:
            raise SpecError(f"a power of {children[1]} is not written out; {MOST_POWER} is the limit, 1 the least")
        return ("*", *[children[0]] * times)

    def factors(self, children: list[Term]) -> Term:
        return ("*", *children)

    def negative(self, children: list[Term]) -> Term:
        (of,) = children
        if isinstance(of, int):
            return -of
        return ("*", -of[1], *of[2:]) if of[0] == "*" and isinstance(of[1], int) else ("*", -1, of)

    def added(self, children: list[Term]) -> Term:
        return ("+", *children)

    def below(self, children: list[Any]) -> tuple[str, Term, Term]:
        return str(children[0]), 0, ("+", children[1], -1)

    def between(self, children: list[Any]) -> tuple[str, Term, Term]:
        return str(children[0]), children[1], children[2]

    def ranges(self, children: list[Any]) -> list[Any]:
        return children

    def total(self, children: list[Any]) -> Term:
        ranges, body = children
        for name, lo, hi in reversed(ranges):
            body = ("sum", name, lo, hi, body)
        return body

    def comparison(self, children: list[Any]) -> Formula:
        return _turned(*children)

    def iff(self, children: list[Formula]) -> Formula:
        return ("iff", *children)

    def every(self, children: list[Any]) -> Formula:
        return ("all", str(children[0]), children[1])


def _turned(a: Term, sign: str, b: Term) -> Formula:
    """A comparison by =, >= or >."""
    return (sign.replace("<", ">"), b, a) if "<" in sign else (str(sign), a, b)


def _from_sympy(value: Any) -> Term:
    match value:
        case bool():
            raise SpecError("a truth value has no place in a proof")
        case int():
            return value
        case sympy.Integer():
            return int(value)
        case sympy.Symbol():
            return ("v", value.name)
        case sympy.Mul():
            return ("*", *map(_from_sympy, value.args))
        case sympy.Add():
            return ("+", *map(_from_sympy, sorted(value.args, key=lambda part: part.is_number)))  # the number last
        case sympy.Pow(args=(base, sympy.Integer() as power)) if power > 0:
            return ("*", *[_from_sympy(base)] * int(power))
        case FloorDiv():
            return ("//", *map(_from_sympy, value.args))
        case Broadcast():
            a, b = map(_from_sympy, value.args)
            alone = ("is", a, 1)
            return ("+", ("*", alone, b), ("*", ("+", 1, ("*", -1, alone)), a))
    raise SpecError(f"{value!r} has no place in a proof")


def shown(statement: Formula) -> str:
    """A formula in the notation above, as it is read back.

    >>> shown(("=", ("sum", "i", 0, ("+", ("v", "n"), -1), ("re", "x", ("v", "i"))), 0))
    'sum i<n: x[i] = 0'
    """
    match statement:
        case ("iff", f, g):
            return f"{shown(f)} iff {shown(g)}"
        case ("all", name, f):
            return f"for all {name}: {shown(f)}"
        case ("d", names, a, b):
            moves = ", ".join(f"{name} + h*d{name}" for name in names)
            return f"d/dh ({written(a)}) at h = 0, with {moves}, is {written(b)}"
    sign, a, b = statement
    return f"{written(a)} {sign} {written(b)}"


def written(value: Term, tight: int = 0) -> str:
    """A term in the notation above, in parentheses if it binds less than `tight`: 0 for sums of terms, 1 for products
    and totals, 2 for floors, 3 for powers, 4 for what needs none.
    """
    text, binds = _text(value)
    return f"({text})" if binds < tight else text


def _text(value: Term) -> tuple[str, int]:
    """The notation of a term, and how tightly it binds."""
    match value:
        case int():
            return str(value), 4 if value >= 0 else 0
        case ("v", name):
            return name, 4
        case ("re", name, *places):
            return f"{name}[{', '.join(map(written, places))}]", 4
        case ("is" | "le" as head, a, b):
            return f"[{written(a)} {'=' if head == 'is' else '<='} {written(b)}]", 4
        case ("//", a, b):
            return f"{written(a, 4)}//{written(b, 4)}", 2
        case ("sum", *_):
            return _total(value), 1
        case ("*", -1, other):
            return f"-{written(other, 1)}", 0
        case ("*", int() as number, *others) if number < 0 and others:
            return f"-{written(('*', -number, *others), 1)}", 0
        case ("*", first, *others) if others and all(other == first for other in others):
            return f"{written(first, 4)}^{1 + len(others)}", 3
        case ("*", *parts):
            return _product(parts), 1
        case ("+", *parts):
            texts = [written(part, 1) if _text(part)[0][0] != "-" else _text(part)[0] for part in parts]
            return texts[0] + "".join(f" - {t[1:]}" if t[0] == "-" else f" + {t}" for t in texts[1:]), 0
        case ("at", name, *places):
            return f"{name}({', '.join(map(written, places))})", 4
        case (name, a):
            return f"{name}({written(a)})", 4
    raise SpecError(f"{value!r} is no term")


def _product(parts: list[Term]) -> str:
    text, whole = "", False
    for i, part in enumerate(parts):
        head = part[0] if isinstance(part, tuple) else ""
        if whole and head == "inv":
            text, whole = f"{text}/{written(part[1], 4)}", False
        else:
            last = i == len(parts) - 1 and head == "sum"
            tight = 1 if last else 3 if i else 2
            binds = _text(part)[1]
            text, whole = f"{text}{'*' * (i > 0)}{written(part, tight)}", binds == 4 or binds < tight
    return text


def _total(value: Term) -> str:
    """A sum, and those that it is directly over, with their ranges in one list."""
    ranges = []
    while isinstance(value, tuple) and value[0] == "sum":
        _, name, lo, hi, value = value
        match lo, hi:
            case 0, ("+", end, -1):
                ranges.append(f"{name}<{written(end)}")
            case _:
                ranges.append(f"{name}={written(lo)}..{written(hi)}")
    return f"sum {', '.join(ranges)}: {written(value, 1)}"
