"""The derivative of a term: sums, products, reciprocals, exp and log, and pieces away from their kinks. Trusted, and
nothing more of calculus.
"""

from __future__ import annotations

from convproof.proof.algebra import Poly, Refused, Term, free, moves, multiply, normal, split

Sums = tuple[tuple[str, Term, Term], ...]
Need = tuple[Poly, Sums]
"""A polynomial that must be positive, for all indices of the sums around it that are within their bounds."""


def derivative(term: Term, moving: frozenset[str], sums: Sums = ()) -> tuple[Term, list[Need]]:
    """The derivative of a term as every function x of `moving` moves along dx, and what must be positive for it.

    For 1/a that is a*a, for log a it is a, and for an indicator, which then stays as it is, the square of the
    difference of its parts. Raises `Refused` where something moves within a place, a bound or a floor.
    """
    if not moves(term, moving):
        return 0, []
    before, parts = split(term)
    if before[0] == "re" and not moves(("+", *parts), moving):
        return ("re", "d" + before[1], *parts), []
    if before[0] == "sum" and not moves(("+", *parts[:2]), moving):
        index, bounds = before[1], parts[:2]
        if index in free(("+", *bounds, *(part for i, lo, hi in sums for part in (("v", i), lo, hi)))):
            raise Refused("the index of a sum must not occur in its bounds, nor in those of sums around it")
        sums = (*sums, (index, *bounds))
        parts = parts[2:]
    elif before[0] not in ("+", "*", "inv", "exp", "log", "is", "le"):
        raise Refused("what moves within a place, a bound or a floor is not differentiated")
    found = [derivative(part, moving, sums) for part in parts]
    inner, needs = [value for value, _ in found], [need for _, more in found for need in more]
    match before[0]:
        case "sum":
            return (*term[:4], inner[0]), needs
        case "+":
            return ("+", *inner), needs
        case "*":
            return ("+", *(("*", *parts[:i], each, *parts[i + 1 :]) for i, each in enumerate(inner))), needs
        case "exp":
            return ("*", term, inner[0]), needs
        case "log":
            return ("*", ("inv", parts[0]), inner[0]), [*needs, (normal(parts[0]), sums)]
        case "inv":
            return ("*", -1, term, term, inner[0]), [*needs, (_square(parts[0]), sums)]
    return 0, [*needs, (_square(("+", parts[0], ("*", -1, parts[1]))), sums)]


def _square(term: Term) -> Poly:
    return multiply(normal(term), normal(term))
