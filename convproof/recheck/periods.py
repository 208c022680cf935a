"""Comparisons of functions of one natural number that repeat up to their rise: one period decides them."""

import functools
import math
from collections.abc import Callable
from typing import Any

from convproof.recheck.polynomials import LARGEST, Poly, atom_parts, number, poly
from convproof.recheck.terms import require, spend

Cycle = tuple[int, int, int, Callable[[int], int]]
"""A function f of one natural number that repeats up to its rise: (s, L, r, f) with f(n + L) = f(n) + r for n >= s."""
MOST_SIZES = 10_000


def holds(formula: Any, letter: str) -> bool:
    """Whether a formula of =, >= and iff holds for every natural number; those up to s + L decide."""
    start, length, _, value = _cycle(poly(_as_indicator(formula)), letter)
    return all(value(n) == 1 for n in range(start + length))


def forget() -> None:
    """Forgets the atoms of the last proof."""
    _atom_cycle.cache_clear()


def _cycle(a: Poly, letter: str) -> Cycle:
    work = 3 + sum(len(monomial) ** 2 for monomial in a)
    spend(10 * work)
    products = [(c, [_atom_cycle(atom, letter) for atom in monomial]) for monomial, c in a.items()]
    every = [factor for _, factors in products for factor in factors]
    linear = all(sum(rise != 0 for _, _, rise, _ in factors) <= 1 for _, factors in products)
    require(linear, "the formula is not linear in what grows")
    start, length = max([0, *(each[0] for each in every)]), math.lcm(*(each[1] for each in every))
    require(start + length <= MOST_SIZES, "too many sizes would have to be looked at")
    rises = 0
    for c, factors in products:
        steady = [factor for *_, rise, factor in factors if not rise]
        for own, rise in [(own, rise) for _, own, rise, _ in factors if rise]:
            rises += c * rise * (length // own) * _constant(steady, range(start, start + length))

    known: dict[int, int] = {}

    def value(n: int) -> int:
        if n in known:
            spend()
            return known[n]
        spend(work)
        total = known[n] = sum(c * math.prod(factor(n) for *_, factor in factors) for c, factors in products)
        require(abs(total) <= LARGEST, "a number becomes too large")
        return total

    return start, length, rises, value


def _constant(factors: list[Callable[[int], int]], sizes: range) -> int:
    """What a product is at each of the sizes, if it is the same everywhere."""
    product = math.prod([factor(sizes[0]) for factor in factors])
    same = not factors or all(math.prod([factor(n) for factor in factors]) == product for n in sizes[1:])
    require(same, "what grows is multiplied by what does not become constant")
    return product


@functools.cache
def _atom_cycle(atom: int, letter: str) -> Cycle:
    """The same of an atom; it is worked out once in a proof."""
    before, parts = atom_parts(atom)
    if before == ("v", letter):
        return 0, 1, 1, lambda n: n
    require(before[0] in ("//", "is", "le"), "only floors and indicators of the one letter can be decided")
    start, length, rise, value = _cycle(dict(parts[0]), letter)
    if before == ("//",):
        divisor = number(dict(parts[1])) or 0
        require(divisor > 0, "a divisor must be a positive number")
        rounds = divisor // math.gcd(divisor, rise)
        return start, length * rounds, rise * rounds // divisor, lambda n: value(n) // divisor
    if rise:
        start += length * (max(abs(value(n)) for n in range(start, start + length)) // abs(rise) + 1)
    return start, length, 0, lambda n: int(value(n) == 0 if before == ("is",) else value(n) >= 0)


def _as_indicator(formula: Any) -> Any:
    require(formula[0] in ("=", ">=", "iff"), "only =, >= and iff can be decided")
    a, b = map(_as_indicator, formula[1:]) if formula[0] == "iff" else formula[1:]
    return ("le" if formula[0] == ">=" else "is", b, a)
