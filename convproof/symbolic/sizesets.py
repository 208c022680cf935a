"""Sets of sizes, decided completely.

A size of a chain is *quasi-affine* in one letter n: f(n + L) - f(n) is constant for some period L, from some start on.
Products of such are *quasi-polynomials*: on every residue class modulo L they are polynomials. A condition f(n) >= 0 or
f(n) = 0 is therefore settled by finitely many sizes, residue by residue: an eventually periodic set of naturals.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import Any

import sympy

from convproof.errors import Undecided
from convproof.symbolic.floordiv import Broadcast, FloorDiv, Size, collect, normal

LIMIT = 200_000
"""The longest period and the largest threshold that are worked out."""


@dataclass(frozen=True)
class SizeSet:
    """Positive integers: n >= `start` belongs exactly when n mod `modulus` is in `residues`; smaller ones are listed.

    >>> evens = SizeSet.of(lambda n: n % 2 == 0, start=1, modulus=2)
    >>> 7 in evens, evens.nearest(7)
    (False, (6, 8))
    """

    below: tuple[int, ...]
    start: int
    modulus: int
    residues: tuple[int, ...]

    @classmethod
    def of(cls, belongs: Callable[[int], bool], start: int, modulus: int) -> SizeSet:
        """The set of all n >= 1 with belongs(n), which must have period `modulus` from `start` on; brought to least
        terms.
        """
        if max(start, modulus) > LIMIT:
            raise Undecided(f"the set settles only after {max(start, modulus)} sizes; {LIMIT} is the limit")
        period = [belongs(start + i) for i in range(modulus)]
        shortest = next(m for m in _divisors(modulus) if period == period[:m] * (modulus // m))
        first = start
        while first > 1 and belongs(first - 1) == period[(first - 1 - start) % modulus]:
            first -= 1
        residues = sorted((start + i) % shortest for i in range(shortest) if period[i])
        return cls(tuple(n for n in range(1, first) if belongs(n)), first, shortest, tuple(residues))

    @cached_property
    def _members(self) -> tuple[frozenset[int], frozenset[int]]:
        return frozenset(self.below), frozenset(self.residues)

    def __contains__(self, n: int) -> bool:
        below, residues = self._members
        return n % self.modulus in residues if n >= self.start else n in below

    def without(self, other: SizeSet) -> SizeSet:
        """The members that are not in `other`."""
        start, modulus = max(self.start, other.start), math.lcm(self.modulus, other.modulus)
        return SizeSet.of(lambda n: n in self and n not in other, start, modulus)

    def __and__(self, other: SizeSet) -> SizeSet:
        if EVERY in (self, other):
            return other if self == EVERY else self
        start, modulus = max(self.start, other.start), math.lcm(self.modulus, other.modulus)
        return SizeSet.of(lambda n: n in self and n in other, start, modulus)

    def __or__(self, other: SizeSet) -> SizeSet:
        start, modulus = max(self.start, other.start), math.lcm(self.modulus, other.modulus)
        return SizeSet.of(lambda n: n in self or n in other, start, modulus)

    def __bool__(self) -> bool:
        return bool(self.below or self.residues)

    def __iter__(self) -> Iterator[int]:
        """Its members in order, without end where the set has none."""
        yield from self.below
        n = self.start
        while self.residues:
            if n in self:
                yield n
            n += 1

    def nearest(self, n: int) -> tuple[int | None, int | None]:
        """The closest members at or below n, and at or above n; None where there is none."""
        under = next((m for m in range(n, max(0, self.start - 1, n - self.modulus), -1) if m in self), None)
        if under is None:
            under = max((m for m in self.below if m <= n), default=None)
        over = next((m for m in range(n, max(n, self.start) + self.modulus + 1) if m in self), None)
        return under, over

    def to_json(self) -> dict[str, Any]:
        """The form that documents carry: below, from, modulus, residues."""
        return {"below": list(self.below), "from": self.start, "modulus": self.modulus, "residues": list(self.residues)}

    def __str__(self) -> str:
        return self.shown("n")

    def shown(self, letter: str) -> str:
        """The set in words, its members called `letter`."""
        listed = ", ".join(_runs(self.below))
        if not self.residues:
            return f"only {listed}" if listed else "none"
        tail = f"all {letter} >= {self.start}"
        if self.modulus > 1:
            few = ", ".join(map(str, self.residues[:12])) + (", ..." if len(self.residues) > 12 else "")
            tail += f" with {letter} mod {self.modulus} " + (f"= {few}" if len(self.residues) == 1 else f"in {{{few}}}")
        return f"{listed}, and {tail}" if listed else tail


def _runs(numbers: tuple[int, ...]) -> Iterator[str]:
    """Ascending numbers, four and more in a row as the first to the last."""
    for _, row in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [n for _, n in row]
        yield from [f"{run[0]} to {run[-1]}"] if len(run) > 3 else map(str, run)


EVERY, NONE = SizeSet((), 1, 1, (0,)), SizeSet((), 1, 1, ())
"""All positive integers, and none of them."""


@dataclass(frozen=True)
class QuasiPolynomial:
    """A function of one natural number that is, from `start` on, a polynomial on every residue class modulo `period`,
    of degree at most `degree`; for degree 1, f(n + period) = f(n) + rise.
    """

    value: Callable[[int], int]
    start: int = 1
    period: int = 1
    degree: int = 0
    rise: int = 0


def quasi_polynomial(expression: Size, letter: sympy.Symbol) -> QuasiPolynomial:
    """`expression` as a function of `letter`. Raises `Undecided` where it has other letters, or is no such function."""
    if isinstance(expression, int):
        return QuasiPolynomial(lambda n: expression)
    terms = [_product(monomial, coefficient, letter) for monomial, coefficient in collect(expression).items()]
    if len(terms) == 1:
        return terms[0]
    values = [term.value for term in terms]
    period, start = math.lcm(1, *(term.period for term in terms)), max([1, *(term.start for term in terms)])
    rise = sum(term.rise * (period // term.period) for term in terms)
    degree = max([0, *(term.degree for term in terms)])
    return QuasiPolynomial(lambda n: sum(value(n) for value in values), start, period, degree, rise)


def _product(monomial: Any, coefficient: Any, letter: sympy.Symbol) -> QuasiPolynomial:
    if not coefficient.is_Integer:
        raise Undecided(f"{coefficient}*{monomial} is not whole for every {letter}")
    c, powers = int(coefficient), monomial.as_powers_dict()
    factors = [each for base, power in powers.items() for each in [_factor(base, letter)] * int(power)]
    if len(factors) == 1:
        (f,) = factors
        return QuasiPolynomial(lambda n: c * f.value(n), f.start, f.period, f.degree, c * f.rise)
    values = [f.value for f in factors]
    degree = sum(f.degree for f in factors)
    start, period = max(f.start for f in factors), math.lcm(*(f.period for f in factors))
    if degree == 1 and any(f.degree == 0 and f.period > 1 for f in factors):
        degree = 2  # what rises differs from residue to residue
    rise = c * math.prod(f.value(f.start) for f in factors if f.degree == 0) if degree == 1 else 0
    rise *= sum(f.rise * (period // f.period) for f in factors)
    return QuasiPolynomial(lambda n: c * math.prod(value(n) for value in values), start, period, degree, rise)


def _factor(base: Any, letter: sympy.Symbol) -> QuasiPolynomial:
    if base == 1:
        return QuasiPolynomial(lambda n: 1)
    if base == letter:
        return QuasiPolynomial(lambda n: n, 1, 1, 1, 1)
    if isinstance(base, FloorDiv) and base.args[1].is_Integer:
        inner, b = quasi_polynomial(normal(base.args[0]), letter), int(base.args[1])
        if inner.degree <= 1:
            stretch = b // math.gcd(inner.rise, b)
            rise = inner.rise * stretch // b
            return QuasiPolynomial(
                lambda n: inner.value(n) // b, inner.start, inner.period * stretch, inner.degree, rise
            )
    if isinstance(base, Broadcast):
        return _broadcast(*(quasi_polynomial(normal(each), letter) for each in base.args))
    raise Undecided(f"{base} is no quasi-affine function of {letter} alone")


def _broadcast(f: QuasiPolynomial, g: QuasiPolynomial) -> QuasiPolynomial:
    """g where f is 1, and else f."""
    value = lambda n: g.value(n) if f.value(n) == 1 else f.value(n)  # noqa: E731
    ones = _where(lambda n: f.value(n) == 1, f, 1)
    if not ones.residues:
        return QuasiPolynomial(value, max(ones.start, f.start), f.period, f.degree, f.rise)
    if ones.modulus == 1:
        return QuasiPolynomial(value, max(ones.start, g.start), g.period, g.degree, g.rise)
    start, period = max(ones.start, f.start, g.start), math.lcm(ones.modulus, f.period, g.period)
    degree = max(f.degree, g.degree)
    return QuasiPolynomial(value, start, period, degree and max(2, degree))


def where_at_least(expression: Size, bound: int, letter: sympy.Symbol) -> SizeSet:
    """The sizes with expression >= bound.

    >>> from convproof.symbolic.floordiv import symbol
    >>> n = symbol("n")
    >>> str(where_at_least(FloorDiv(n, 2), 3, n))
    'all n >= 6'
    """
    f = quasi_polynomial(expression, letter)
    return _where(lambda n: f.value(n) >= bound, f, bound)


def where_zero(expression: Size, letter: sympy.Symbol) -> SizeSet:
    """The sizes with expression = 0.

    >>> from convproof.symbolic.floordiv import symbol
    >>> n = symbol("n")
    >>> str(where_zero(n - 2*FloorDiv(n, 2), n))
    'all n >= 1 with n mod 2 = 0'
    """
    f = quasi_polynomial(expression, letter)
    return _where(lambda n: f.value(n) == 0, f, 0)


def where_multiple(expression: Size, divisor: int, letter: sympy.Symbol) -> SizeSet:
    """The sizes at which divisor divides expression.

    >>> from convproof.symbolic.floordiv import symbol
    >>> n = symbol("n")
    >>> str(where_multiple(n * FloorDiv(n, 2), 3, n))
    'all n >= 1 with n mod 6 in {0, 1, 3}'
    """
    f = quasi_polynomial(expression, letter)  # a polynomial that is whole repeats modulo divisor times degree factorial
    return SizeSet.of(
        lambda n: f.value(n) % divisor == 0, f.start, f.period * divisor * math.factorial(max(1, f.degree))
    )


def classes(expression: Size, bound: int, letter: sympy.Symbol, key: Callable[[int], Hashable]) -> dict[Any, SizeSet]:
    """The sizes by a key of what expression is there; values from `bound` on all count as `bound`.

    >>> from convproof.symbolic.floordiv import symbol
    >>> n = symbol("n")
    >>> {value: str(sizes) for value, sizes in classes(FloorDiv(n, 2), 2, n, lambda value: value).items()}
    {0: 'only 1', 1: 'only 2, 3', 2: 'all n >= 4'}
    """
    f = quasi_polynomial(expression, letter)
    return _grouped(lambda n: key(min(f.value(n), bound)), _settles(f, bound), f.period)


def residue_classes(
    expression: Size, modulus: int, letter: sympy.Symbol, key: Callable[[int], Hashable]
) -> dict[Any, SizeSet]:
    """The sizes by a key of what expression leaves over of `modulus`."""
    f = quasi_polynomial(expression, letter)
    period = f.period * modulus * math.factorial(max(1, f.degree))  # as in `where_multiple`
    return _grouped(lambda n: key(f.value(n) % modulus), f.start, period)


def _grouped(key: Callable[[int], Hashable], start: int, period: int) -> dict[Any, SizeSet]:
    """The sizes by a key that repeats from `start` on."""
    if start + period > LIMIT:
        raise Undecided(f"the set settles only after {start + period} sizes; {LIMIT} is the limit")
    members: dict[Any, list[int]] = {}
    for n in range(1, start + period):
        members.setdefault(key(n), []).append(n)
    return {each: _of_members(listed, start, period) for each, listed in members.items()}


def _of_members(members: list[int], start: int, period: int) -> SizeSet:
    """The set with these members below start + period, which repeats from `start` on."""
    if members[-1] < start:
        return SizeSet(tuple(members), members[-1] + 1, 1, ())
    known = frozenset(members)
    return SizeSet.of(lambda n: (n if n < start else start + (n - start) % period) in known, start, period)


def _where(belongs: Callable[[int], bool], f: QuasiPolynomial, bound: int) -> SizeSet:
    """The set of a condition that compares f with `bound`; it settles once f has left the bound behind for good."""
    return SizeSet.of(belongs, _settles(f, bound), f.period)


def _settles(f: QuasiPolynomial, bound: int) -> int:
    """A size from which on f, on every residue class, keeps to one side of `bound`, or equals it."""
    if f.period > LIMIT:
        raise Undecided(f"the strides repeat only after {f.period} sizes; {LIMIT} is the limit")
    first = range(f.start, f.start + f.period)
    if f.degree <= 1:
        distance = max(abs(f.value(n) - bound) for n in first) if f.rise else 0
        return f.start + (distance // abs(f.rise) + 1) * f.period if f.rise else f.start
    return f.start + f.period * max(_last_root(f, n, bound) for n in first)


def _last_root(f: QuasiPolynomial, n: int, bound: int) -> int:
    """A number of periods from which on the polynomial that f - bound is, on the class of n, keeps its sign: Cauchy's
    bound on its roots, from its differences.
    """
    row = [f.value(n + f.period * k) - bound for k in range(f.degree + 1)]
    differences = []
    while row:
        differences.append(row[0])
        row = [b - a for a, b in itertools.pairwise(row)]
    while differences and differences[-1] == 0:
        differences.pop()
    if len(differences) <= 1:
        return 1
    coefficients, binomial = [Fraction(0)] * len(differences), [Fraction(1)]  # of 1, k, k**2, ...
    for i, d in enumerate(differences):  # d times k over i
        coefficients = [c + d * b for c, b in itertools.zip_longest(coefficients, binomial, fillvalue=Fraction(0))]
        shifted, scaled = [Fraction(0), *binomial], [*(-i * b for b in binomial), Fraction(0)]
        binomial = [(s + t) / (i + 1) for s, t in zip(shifted, scaled, strict=True)]
    *others, lead = coefficients
    return 2 + int(max(abs(each) / abs(lead) for each in others))


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
