"""Sets of sizes, decided completely.

A size of a chain is *quasi-affine* in one letter n: f(n + L) - f(n) is constant for some period L. A condition f(n) >=
0 or f(n) = 0 is therefore settled by one period and the slope, residue by residue: an eventually periodic set of
naturals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

import sympy

from convproof.errors import Undecided
from convproof.symbolic.floordiv import FloorDiv, Size, collect, normal

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
        start, modulus = max(self.start, other.start), math.lcm(self.modulus, other.modulus)
        return SizeSet.of(lambda n: n in self and n in other, start, modulus)

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
    """Ascending numbers, five and more in a row as the first to the last."""
    for _, row in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        run = [n for _, n in row]
        yield from [f"{run[0]} to {run[-1]}"] if len(run) > 4 else map(str, run)


EVERY = SizeSet((), 1, 1, (0,))
"""All positive integers."""


@dataclass(frozen=True)
class QuasiAffine:
    """A function of one natural number with f(n + period) = f(n) + rise."""

    value: Callable[[int], int]
    period: int
    rise: int


def quasi_affine(expression: Size, letter: sympy.Symbol) -> QuasiAffine:
    """`expression` as a function of `letter`. Raises `Undecided` where it has other letters or is no quasi-affine
    function.
    """
    if isinstance(expression, int):
        return QuasiAffine(lambda n: expression, 1, 0)
    parts = [_term(monomial, coefficient, letter) for monomial, coefficient in collect(expression).items()]
    period = math.lcm(1, *(part.period for part in parts))
    rise = sum(part.rise * (period // part.period) for part in parts)
    return QuasiAffine(lambda n: sum(part.value(n) for part in parts), period, rise)


def _term(monomial: Any, coefficient: Any, letter: sympy.Symbol) -> QuasiAffine:
    if not coefficient.is_Integer:
        raise Undecided(f"{coefficient}*{monomial} is not whole for every {letter}")
    c = int(coefficient)
    if monomial == 1:
        return QuasiAffine(lambda n: c, 1, 0)
    if monomial == letter:
        return QuasiAffine(lambda n: c * n, 1, c)
    if isinstance(monomial, FloorDiv) and monomial.args[1].is_Integer:
        inner, b = quasi_affine(normal(monomial.args[0]), letter), int(monomial.args[1])
        stretch = b // math.gcd(inner.rise, b)
        rise = inner.rise * stretch // b
        return QuasiAffine(lambda n: c * (inner.value(n) // b), inner.period * stretch, c * rise)
    raise Undecided(f"{monomial} is no quasi-affine function of {letter} alone")


def where_at_least(expression: Size, bound: int, letter: sympy.Symbol) -> SizeSet:
    """The sizes with expression >= bound.

    >>> from convproof.symbolic.floordiv import symbol
    >>> n = symbol("n")
    >>> str(where_at_least(FloorDiv(n, 2), 3, n))
    'all n >= 6'
    """
    f = quasi_affine(expression, letter)
    return _settled(lambda n: f.value(n) >= bound, f, bound)


def where_zero(expression: Size, letter: sympy.Symbol) -> SizeSet:
    """The sizes with expression = 0.

    >>> from convproof.symbolic.floordiv import symbol
    >>> n = symbol("n")
    >>> str(where_zero(n - 2*FloorDiv(n, 2), n))
    'all n >= 1 with n mod 2 = 0'
    """
    f = quasi_affine(expression, letter)
    return _settled(lambda n: f.value(n) == 0, f, 0)


def _settled(belongs: Callable[[int], bool], f: QuasiAffine, bound: int) -> SizeSet:
    """The set of a condition that compares f with `bound`; it settles once f has left the bound behind for good."""
    if f.period > LIMIT:
        raise Undecided(f"the strides repeat only after {f.period} sizes; {LIMIT} is the limit")
    distance = max(abs(f.value(r) - bound) for r in range(1, f.period + 1))
    periods = distance // abs(f.rise) + 1 if f.rise else 0
    return SizeSet.of(belongs, periods * f.period + 1, f.period)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]
