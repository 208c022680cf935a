"""Decides comparisons of quasi-affine functions of one letter for every natural number. Trusted.

Such a function is made of the letter by +, multiples, floors of quotients by positive numbers, and indicators of such.
What does not grow may be multiplied; so may one factor that grows and others whose product, from some size on, is a
constant. From some start on it repeats up to its rise: f(n + L) = f(n) + r, so that the sizes up to start + L decide a
formula for all of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from convproof.proof.algebra import Atom, Formula, Monomial, Poly, Refused, Term, constant, normal, thawed

MAX_SIZES = 10_000


def holds(formula: Formula, letter: str) -> bool:
    """Whether a formula of =, >= and iff holds for every letter >= 0. Raises `Refused` where it is not decided."""
    return all(table(formula, letter)[0])


def table(formula: Formula, letter: str) -> tuple[list[bool], int, int]:
    """Whether it holds at 0, 1, ..., s + L - 1, with s and L: from s on it repeats every L."""
    truth = normal(_truth(formula))
    start, length, _ = _cycle(truth, letter)
    value = _function(truth)
    return [value(n) == 1 for n in range(start + length)], start, length


def _truth(formula: Formula) -> Term:
    """1 where a formula holds, else 0."""
    match formula:
        case ("=", a, b):
            return ("is", a, b)
        case (">=", a, b):
            return ("le", b, a)
        case ("iff", f, g):
            return ("is", _truth(f), _truth(g))
    raise Refused("only =, >= and iff can be decided")


def _cycle(poly: Poly, letter: str) -> tuple[int, int, int]:
    """(s, L, r) with f(n + L) = f(n) + r for every n >= s."""
    start, length, rises = 0, 1, []
    for monomial, c in poly.items():
        cycles = {factor: _atom_cycle(factor[0], letter) for factor in monomial}
        start = max([start, *(first for first, _, _ in cycles.values())])
        length = math.lcm(length, *(own for _, own, _ in cycles.values()))
        growing = [factor for factor in monomial if cycles[factor][2]]
        if sum(power for _, power in growing) > 1:
            raise Refused("the formula is not linear in what grows")
        for factor in growing:
            _, own, rise = cycles[factor]
            rises.append((own, c * rise, tuple(other for other in monomial if other != factor)))
    if start + length > MAX_SIZES:
        raise Refused(f"more than {MAX_SIZES} sizes would have to be looked at")
    return start, length, sum(rise * (length // own) * _level(rest, start, length) for own, rise, rest in rises)


def _level(factors: Monomial, start: int, length: int) -> int:
    """The constant that a product of factors is from `start` on, where they repeat every `length`."""
    product = _function({factors: 1})
    level, *others = {product(n) for n in range(start, start + length)} if factors else {1}
    if others:
        raise Refused("what grows is multiplied by what does not become constant")
    return level


@functools.lru_cache(maxsize=256)
def _atom_cycle(atom: Atom, letter: str) -> tuple[int, int, int]:
    match atom:
        case ("v", name) if name == letter:
            return 0, 1, 1
        case ("//", a, b) if (divisor := constant(thawed(b)) or 0) > 0:
            start, length, rise = _cycle(thawed(a), letter)
            rounds = divisor // math.gcd(rise, divisor)
            return start, length * rounds, rise * rounds // divisor
        case ("is" | "le", difference):
            start, length, rise = _cycle(thawed(difference), letter)
            reach = max(abs(gap(n)) for gap in [_function(thawed(difference))] for n in range(start, start + length))
            return start + (length * (reach // abs(rise) + 1) if rise else 0), length, 0
    raise Refused(f"{atom!r} is no quasi-affine function of {letter}")


def _function(poly: Poly) -> Callable[[int], int]:
    """A polynomial of one letter as a function of it, every divisor a positive number."""
    terms = [(c, [(_atom_function(atom), power) for atom, power in m]) for m, c in poly.items()]
    return lambda n: sum(c * math.prod(atom(n) ** power for atom, power in factors) for c, factors in terms)


@functools.lru_cache(maxsize=256)
def _atom_function(atom: Atom) -> Callable[[int], int]:
    """The same of an atom, which keeps its values: many formulas ask for the same ones."""
    parts = [_function(thawed(part)) for part in atom[1:] if part[0] == "poly"]
    match atom[0], parts:
        case "v", _:
            return lambda n: n
        case "//", [a, b]:
            return functools.cache(lambda n: a(n) // b(n))
        case "is", [a]:
            return functools.cache(lambda n: int(a(n) == 0))
    return functools.cache(lambda n: int(parts[0](n) >= 0))
