"""Terms, formulas and statements as a person reads them. Names are written in ASCII, so that no two look the same."""

from collections.abc import Iterable
from typing import Any

READING = (
    "(Letters are any integers, f(i) any functions from integers to integers, x[i] to the reals. [a <= b] is 1 where "
    "it holds, else 0; a sum reaches over the product that follows; a//b is rounded down, or some integer where "
    "b <= 0; 1/0 is some number, and so are logarithms of what is not > 0.)"
)
WORDS = "all along and as derivative exp for if iff is log moves nothing of sum the then"
"""A name that is one of these words is printed between two `."""
ALL, SUMMED, MULTIPLIED, WHOLE = range(4)
"""How tightly the parts of a term must bind: a sum over an index does so the least."""


def sequent(hypotheses: Iterable[Any], conclusion: Any) -> str:
    """if f and g, then h"""
    given = " and ".join(map(_side, hypotheses))
    return f"if {given}, then {formula(conclusion)}" if given else formula(conclusion)


def formula(value: Any) -> str:
    """A formula; what stands behind "for all n:" is all under it."""
    match value:
        case ("iff", f, g):
            return f"{_side(f)} iff {_side(g)}"
        case ("all", letter, f):
            return f"for all {_name(letter)}: {formula(f)}"
        case ("d", names, a, b):
            moves = " and ".join(f"{_name(name)} moves along {_name('d' + name)}" for name in names)
            return f"the derivative of {term(a, SUMMED)}, as {moves or 'nothing moves'}, is {term(b, SUMMED)}"
        case (sign, a, b):
            return f"{term(a)} {sign} {term(b)}"
    raise ValueError("no formula")


def _side(value: Any) -> str:
    """A formula beside others."""
    return formula(value) if value[0] in ("=", ">=", ">") else f"({formula(value)})"


def term(value: Any, tight: int = ALL) -> str:
    """A term, in parentheses if it binds less than `tight`."""
    match value:
        case int():
            text, binds = str(value), WHOLE if value >= 0 else SUMMED
        case ("v", name):
            text, binds = _name(name), WHOLE
        case ("at", name, *places):
            text, binds = f"{_name(name)}({_listed(places)})", WHOLE
        case ("re", name, *places):
            text, binds = f"{_name(name)}[{_listed(places)}]", WHOLE
        case ("is", a, b):
            text, binds = f"[{term(a, SUMMED)} = {term(b, SUMMED)}]", WHOLE
        case ("le", a, b):
            text, binds = f"[{term(a, SUMMED)} <= {term(b, SUMMED)}]", WHOLE
        case ("exp" | "log" as function, a):
            text, binds = f"{function}({term(a, SUMMED)})", WHOLE
        case ("inv", a):
            text, binds = f"1/{term(a, WHOLE)}", MULTIPLIED
        case ("//", a, b):
            text, binds = f"{term(a, WHOLE)}//{term(b, WHOLE)}", MULTIPLIED
        case ("sum", name, low, high, body):
            inner = ALL if type(body) is tuple and body[0] == "sum" else MULTIPLIED
            text, binds = f"sum {_name(name)}={term(low, SUMMED)}..{term(high, SUMMED)}: {term(body, inner)}", ALL
        case ("+" | "*", part):
            return term(part, tight)
        case ("*", int(number), *factors) if number < 0:
            rest = _opposite(number, factors)
            text, binds = "-" + term(rest, MULTIPLIED if len(rest) > 2 else WHOLE), SUMMED
        case ("*", *factors):
            text, binds = "*".join(term(factor, WHOLE) for factor in factors), MULTIPLIED
        case ("+", first, *others):
            text, binds = term(first, SUMMED) + "".join(map(_added, others)), SUMMED
        case _:
            raise ValueError("no term")
    return f"({text})" if binds < tight else text


def _opposite(number: int, factors: list[Any]) -> Any:
    """-number times the factors."""
    return ("*", *([-number] if number != -1 else []), *factors)


def _added(part: Any) -> str:
    """A part of a sum but the first, with its sign before it."""
    match part:
        case int() if part < 0:
            return f" - {-part}"
        case ("*", int(number), _, *_) if number < 0:
            return f" - {term(_opposite(number, part[2:]), MULTIPLIED)}"
    return f" + {term(part, MULTIPLIED)}"


def _listed(places: list[Any]) -> str:
    return ", ".join([term(place, SUMMED) for place in places])


def _name(name: str) -> str:
    text = name.encode("ascii", "backslashreplace").decode("ascii")
    return f"`{text}`" if text in WORDS.split() else text
