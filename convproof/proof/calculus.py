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
    (head, *names), parts = split(term)
    if not moves(term, moving):
        return 0, []
    if not moves(("+", *parts), moving):  # then it is the function itself that moves
        return ("re", "d" + names[0], *parts), []
    if head == "sum" and not moves(("+", *parts[:2]), moving):
        (index,), (*bounds, body) = names, parts
        if index in free(("+", *bounds, *(part for i, lo, hi in sums for part in (("v", i), lo, hi)))):
            raise Refused("the index of a sum must not occur in its bounds, nor in those of sums around it")
        slope, needs = derivative(body, moving, (*sums, (index, *bounds)))
        return ("sum", index, *bounds, slope), needs
    if head not in ("+", "*", "inv", "exp", "log", "is", "le"):
        raise Refused("what moves within a place, a bound or a floor is not differentiated")
    found = [derivative(part, moving, sums) for part in parts]
    slopes, needs = [slope for slope, _ in found], [need for _, more in found for need in more]
    match head, parts, slopes:
        case "+", _, _:
            return ("+", *slopes), needs
        case "*", _, _:
            return ("+", *(("*", *parts[:i], slope, *parts[i + 1 :]) for i, slope in enumerate(slopes))), needs
        case "exp", _, [slope]:
            return ("*", term, slope), needs
        case "log", [a], [slope]:
            return ("*", ("inv", a), slope), [*needs, (normal(a), sums)]
        case "inv", [a], [slope]:
            return ("*", -1, term, term, slope), [*needs, (_square(a), sums)]
    a, b = parts
    return 0, [*needs, (_square(("+", a, ("*", -1, b))), sums)]


def _square(term: Term) -> Poly:
    return multiply(normal(term), normal(term))
