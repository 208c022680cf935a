"""Decides comparisons of quasi-affine functions of one letter for every natural number. Trusted.

Such a function is made of the letter by +, multiples, floors of quotients by positive numbers, and indicators of such;
what is constant may be multiplied. From some start on it repeats up to its rise: f(n + L) = f(n) + r, so that
the sizes up to start + L decide a formula for all of them.
"""

from __future__ import annotations

import math

from convproof.proof.algebra import Atom, Formula, Poly, Refused, Term, constant, normal, thawed

MAX_SIZES = 10_000


def holds(formula: Formula, letter: str) -> bool:
    """Whether a formula of =, >= and iff holds for every letter >= 0. Raises `Refused` where it is not decided."""
    return all(table(formula, letter)[0])


def table(formula: Formula, letter: str) -> tuple[list[bool], int, int]:
    """Whether it holds at 0, 1, ..., s + L - 1, with s and L: from s on it repeats every L."""
    truth = normal(_truth(formula))
    start, length, _ = _cycle(truth, letter)
    return [_value(truth, n) == 1 for n in range(start + length)], start, length


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
        cycles = [(*_atom_cycle(atom, letter), power) for atom, power in monomial]
        rising = [(own, rise) for _, own, rise, _ in cycles if rise]
        if rising and (len(cycles) > 1 or cycles[0][3] > 1):
            raise Refused("the formula is not linear in what grows")
        start = max([start, *(each[0] for each in cycles)])
        length = math.lcm(length, *(each[1] for each in cycles))
        rises += [(own, c * rise) for own, rise in rising]
    if start + length > MAX_SIZES:
        raise Refused(f"more than {MAX_SIZES} sizes would have to be looked at")
    return start, length, sum(rise * (length // own) for own, rise in rises)


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
            reach = max(abs(_value(thawed(difference), n)) for n in range(start, start + length))
            return start + (length * (reach // abs(rise) + 1) if rise else 0), length, 0
    raise Refused(f"{atom!r} is no quasi-affine function of {letter}")


def _value(poly: Poly, n: int) -> int:
    """A polynomial of one letter at n, every divisor a positive number."""
    return sum(c * math.prod(_atom_value(atom, n) ** power for atom, power in m) for m, c in poly.items())


def _atom_value(atom: Atom, n: int) -> int:
    parts = [_value(thawed(part), n) for part in atom[1:] if part[0] == "poly"]
    match atom[0]:
        case "v":
            return n
        case "//":
            return parts[0] // parts[1]
        case head:
            return int(parts[0] == 0 if head == "is" else parts[0] >= 0)
