"""Integer division of our own, and the normal form of sizes.

sympy's `floor`, `//` and `simplify` are unsound or too weak on sizes, so nothing here uses them. `FloorDiv(a, b)` is
the floor of a/b for a polynomial `a` in integer letters and a positive polynomial `b`. Building one brings it into
normal form, by five rules, each an identity of integers (n, c, q, r integers; b, y positive):

    whole part     floor((q*b + r) / b)           = q + floor(r / b)
    nesting        floor((floor(x / y) + r) / b)  = floor((x + y*r) / (y*b))
    common factor  floor((g*m + r) / (g*b))       = floor((m + floor(r / g)) / b)      g a positive integer, m integral
    cancelling     floor(s*x / (s*y))             = floor(x / y)                       s a positive letter
    fractions      floor((x / q) / b)             = floor(x / (q*b))                   q a positive integer

So a chain of windows is one `FloorDiv(a*n + b, c) + d` with 0 <= a, b < c, and equal chains are equal expressions.
A positive number to the power of a natural polynomial, such as 2**M, is a monomial like others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import sympy
from sympy.printing.precedence import PRECEDENCE

from convproof.architecture.fields import is_letter
from convproof.errors import SpecError, Undecided

Size = Any
"""An int or a sympy expression: a polynomial in integer letters and `FloorDiv`s of such."""

Terms = dict[Any, Any]
"""A polynomial as {monomial: rational coefficient}; the constant stands under the monomial 1."""


def symbol(name: str) -> sympy.Symbol:
    """The letter `name`: a positive integer, except that letters beginning with P or p (paddings) may also be 0.

    The name alone decides, so that a letter means the same wherever it stands.

    >>> symbol("W").is_positive, symbol("P").is_positive
    (True, None)
    """
    if name[0] in "Pp":
        return sympy.Symbol(name, integer=True, nonnegative=True)
    return sympy.Symbol(name, integer=True, positive=True)


def symbols(names: str) -> tuple[sympy.Symbol, ...]:
    """Several letters at once.

    >>> W, F, S, P = symbols("W F S P")
    """
    return tuple(symbol(name) for name in names.replace(",", " ").split())


def size(value: object) -> Size:
    """`value` (an int, a letter or a sympy expression) in normal form; whole numbers become ints.

    Raises `SpecError` for letters that are declared as something else than integers.

    >>> size("W") + 1
    W + 1
    """
    if isinstance(value, int):
        return value
    if isinstance(value, str) and is_letter(value):
        return symbol(value)
    if hasattr(value, "__index__") and not isinstance(value, sympy.Basic):
        return int(value)
    if not isinstance(value, sympy.Expr):
        raise SpecError(f"{value!r} is no size; use an int, a letter or a sympy expression")
    return _sized(value)


@lru_cache(maxsize=4096)
def _sized(value: sympy.Expr) -> Size:
    """An expression in our letters, in normal form."""
    for letter in value.free_symbols:
        if any(letter.assumptions0.get(fact) is False for fact in ("integer", "real", "nonnegative")):
            raise SpecError(f"the letter {letter} is declared to be no natural number; use convproof.symbols")
    renamed = value.xreplace({letter: symbol(letter.name) for letter in value.free_symbols})
    if not isinstance(renamed, sympy.Symbol):
        collect(renamed)
    return normal(renamed)


def normal(expression: Size) -> Size:
    """The normal form; ints stay ints and integer constants become ints.

    >>> n = symbol("n")
    >>> normal(FloorDiv(FloorDiv(n, 2), 2) - FloorDiv(n, 4))
    0
    """
    if isinstance(expression, int):
        return expression
    expanded = sympy.expand(expression)
    return int(expanded) if isinstance(expanded, sympy.Integer) else expanded


def total(sizes: Iterable[Size]) -> Size:
    """The sum of many sizes, in normal form."""
    found = list(sizes)
    numbers = sum(n for n in found if isinstance(n, int))
    return normal(sympy.Add(numbers, *(n for n in found if not isinstance(n, int))))


def floordiv(a: Size, b: Size) -> Size:
    """floor(a / b) of ints or expressions, in normal form. Raises `SpecError` unless b is known to be positive.

    >>> floordiv(7, 2), floordiv(2 * symbol("n") + 3, 2)
    (3, n + 1)
    """
    if isinstance(a, int) and isinstance(b, int) and b > 0:
        return a // b
    return normal(FloorDiv(a, b))


def is_positive(b: Size) -> bool:
    """Whether b is plainly positive: a polynomial in letters, no negative coefficient, one term that cannot vanish."""
    terms = collect(b)
    if any(monomial.has(FloorDiv, Broadcast) for monomial in terms) or any(c < 0 for c in terms.values()):
        return False
    return any(all(letter.assumptions0.get("positive") for letter in monomial.free_symbols) for monomial in terms)


def least_value(value: Size) -> int | None:
    """A number that a polynomial in letters never falls below, where no coefficient but the constant is negative."""
    if isinstance(value, int):
        return value
    terms = collect(value)
    if any(m != 1 and (c < 0 or m.has(FloorDiv, Broadcast)) for m, c in terms.items()):
        return None
    least = {letter: int(letter.assumptions0.get("positive") is True) for letter in value.free_symbols}
    return int(value.xreplace({letter: sympy.Integer(n) for letter, n in least.items()}))


def collect(a: Size) -> Terms:
    """The terms of the polynomial a. Raises `SpecError` for anything but integer letters, `FloorDiv`s, rationals and
    powers of numbers.
    """
    terms: Terms = sympy.expand(a).as_coefficients_dict()
    for monomial, coefficient in terms.items():
        if not coefficient.is_Rational:
            raise SpecError(f"{a}: the coefficient {coefficient} is not a rational number")
        for base, power in monomial.as_powers_dict().items():
            if _is_exponential(base, power):
                continue
            integral = isinstance(base, (FloorDiv, Broadcast)) or base == 1 or base.assumptions0.get("integer") is True
            if not (isinstance(base, (sympy.Symbol, FloorDiv, Broadcast)) or base == 1) or not integral:
                raise SpecError(f"{a}: {base} is neither an integer letter nor a FloorDiv")
            if not (power.is_Integer and power > 0):
                raise SpecError(f"{a}: the power {base}**{power} has no place in a size; give a number for {base}")
    return {m: c for m, c in terms.items() if c != 0}


def _is_exponential(base: Any, power: Any) -> bool:
    """Whether base**power is a positive number to the power of letters that are never negative."""
    if not base.is_Integer or base < 1 or power.is_Integer or power.has(FloorDiv):
        return False
    return all(c.is_Integer and c > 0 for c in collect(power).values())


class FloorDiv(sympy.Function):  # type: ignore[misc]
    """floor(a / b) for a positive b, in normal form from birth.

    Raises `SpecError` where b is not known to be positive or a is not a polynomial in integer letters.

    >>> n = symbol("n")
    >>> FloorDiv(FloorDiv(n + 1, 2) + 5, 2)
    (n + 3)//4 + 2
    """

    nargs = 2
    precedence = PRECEDENCE["Mul"] - 5  # 2*(n//2) keeps its brackets, n//2 + 1 needs none

    @classmethod
    def eval(cls, a: Size, b: Size) -> Any:
        """The normal form, or None where (a, b) already is one."""
        if not is_positive(b):
            raise SpecError(f"division by {b}, which is not known to be positive (letters beginning with P may be 0)")
        terms, divisor = collect(a), collect(b)
        if fraction := _denominator([*terms.values(), *divisor.values()], terms, divisor):
            return cls(*fraction)
        whole, rest = _whole_part(terms, divisor)
        smaller = _unnested(rest, b) or _reduced(rest, divisor)
        if smaller is None and not whole:
            expanded = (_sum(terms), _sum(divisor))
            return sympy.Integer(0) if not rest else None if expanded == (a, b) else cls(*expanded)
        return _sum(whole) + (cls(*(smaller or (_sum(rest), b))) if rest else 0)

    def _sympystr(self, printer: Any) -> str:
        a, b = (printer.parenthesize(arg, PRECEDENCE["Mul"], strict=False) for arg in self.args)
        return f"{a}//{b}"

    def _sympyrepr(self, printer: Any) -> str:
        return f"FloorDiv({', '.join(printer._print(arg) for arg in self.args)})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        a, b = (printer._print(arg) for arg in self.args)
        whole = rf"\left\lfloor \frac{{{a}}}{{{b}}} \right\rfloor"
        return whole if exp is None else f"{whole}^{{{exp}}}"


class Broadcast(sympy.Function):  # type: ignore[misc]
    """The size that axes of sizes a and b have together where one of size 1 is repeated: b where a = 1, and else a.

    It is meant for sizes that are equal or of which one is 1, so that it is the larger one, and is written so.

    >>> n = symbol("n")
    >>> Broadcast(n, FloorDiv(n, 4)), Broadcast(n, 1), Broadcast(n, n)
    (max(n, n//4), n, n)
    """

    nargs = 2

    @classmethod
    def eval(cls, a: Size, b: Size) -> Any:
        """The one that is no 1, where that is plain; else None."""
        if a == b or b == 1 or (a.is_Integer and a != 1):
            return a
        return b if b.is_Integer or a == 1 else None

    def _sympystr(self, printer: Any) -> str:
        return f"max({', '.join(map(printer._print, self.args))})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        largest = rf"\max({', '.join(map(printer._print, self.args))})"
        return largest if exp is None else f"{largest}^{{{exp}}}"


MOST_BROADCASTS = 64
"""How many broadcast sizes one may be made of."""


def broadcast(a: Size, b: Size) -> Size:
    """`Broadcast` of ints or expressions, in normal form. Raises `Undecided` for one of too many others: each stands in
    several places of what decides it.
    """
    parts = [part for n in (a, b) if not isinstance(n, int) for part in sympy.preorder_traversal(n)]
    if sum(isinstance(part, Broadcast) for part in parts) > MOST_BROADCASTS:
        raise Undecided(f"a size is broadcast of more than {MOST_BROADCASTS} others")
    return normal(Broadcast(a, b))


def _sum(terms: Terms) -> Any:
    return sympy.Add(*(c * m for m, c in terms.items()))


def _denominator(values: Iterable[Any], terms: Terms, divisor: Terms) -> tuple[Any, Any] | None:
    """Both sides times the common denominator, if there is one."""
    q = math.lcm(*(int(c.q) for c in values))
    return None if q == 1 else (_sum(terms) * q, _sum(divisor) * q)


def _whole_part(terms: Terms, divisor: Terms) -> tuple[Terms, Terms]:
    """(whole, rest) with terms = whole*divisor + rest; the coefficients of rest are remainders."""
    if len(divisor) != 1:
        quotient = _exact_quotient(terms, divisor)
        return ({}, terms) if quotient is None else ({sympy.Integer(1): quotient}, {})
    ((factor, b),) = divisor.items()
    whole: Terms = {}
    rest: Terms = {}
    for monomial, c in terms.items():
        ratio = monomial / factor
        if _is_monomial(ratio):
            q, r = divmod(int(c), int(b))
            whole[ratio] = sympy.Integer(q)
            rest[monomial] = sympy.Integer(r)
        else:
            rest[monomial] = c
    if factor == 1 and set(rest) <= {factor}:
        rest = {}  # a constant remainder is smaller than the constant divisor
    return {m: c for m, c in whole.items() if c}, {m: c for m, c in rest.items() if c}


def _is_monomial(ratio: Any) -> bool:
    powers = ratio.as_powers_dict().items()
    return all((power.is_Integer and power > 0) or _is_exponential(base, power) for base, power in powers if base != 1)


def _exact_quotient(terms: Terms, divisor: Terms) -> Any:
    """The integer q with terms = q*divisor, or None."""
    ratios = {terms.get(m, 0) / c for m, c in divisor.items()}
    if not terms or set(terms) != set(divisor) or len(ratios) != 1:
        return None
    (q,) = ratios
    return q if q.is_Integer else None


def _unnested(rest: Terms, b: Any) -> tuple[Any, Any] | None:
    """Folds the one FloorDiv with coefficient 1 in `rest` into the outer division."""
    inner = [m for m, c in rest.items() if isinstance(m, FloorDiv) and c == 1]
    if len(inner) != 1:
        return None
    x, y = inner[0].args
    others = {m: c for m, c in rest.items() if m != inner[0]}
    return sympy.expand(x + y * _sum(others)), sympy.expand(y * b)


def _reduced(rest: Terms, divisor: Terms) -> tuple[Any, Any] | None:
    """Divides both sides by a common integer factor, or by letters that divide every term."""
    one = sympy.Integer(1)
    varying = [int(c) for m, c in rest.items() if m != one]
    g = math.gcd(*varying, *(int(c) for c in divisor.values())) if varying else 1
    if g > 1:
        reduced = {m: sympy.Integer(int(c) // g) for m, c in rest.items()}
        return _sum(reduced), _sum({m: c / g for m, c in divisor.items()})
    powers = [m.as_powers_dict() for m in (*rest, *divisor)]
    common = sympy.Mul(*(s ** min(p[s] for p in powers) for s in _letters(divisor) if all(s in p for p in powers)))
    if rest and common != 1 and is_positive(common):
        return sympy.expand(_sum(rest) / common), sympy.expand(_sum(divisor) / common)
    return None


def _letters(divisor: Terms) -> list[Any]:
    return sorted({s for m in divisor for s in m.free_symbols}, key=str)
