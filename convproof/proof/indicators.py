"""Rules for the indicators [a = b] and [a <= b], made of the kernel's. Nothing here is trusted."""

from __future__ import annotations

from convproof.proof import kernel, sums
from convproof.proof.algebra import Term, substitute
from convproof.proof.derived import certificate, chain, equals, follows, minus, symmetric, times
from convproof.proof.kernel import Theorem


def decided(known: Theorem) -> Theorem:
    """From b >= a: [a <= b] = 1. From a > b: [a <= b] = 0."""
    head, left, right = known.conclusion
    return kernel.within(right, left, known) if head == ">=" else kernel.within(left, right, known)


def between(lower: Theorem, upper: Theorem) -> tuple[Theorem, Theorem]:
    """From a >= lo and hi >= a: [lo <= a] = 1 and [a <= hi] = 1."""
    return decided(lower), decided(upper)


def zero_or_one(value: Term, *square: Theorem) -> tuple[Theorem, Theorem]:
    """From e*e = e, which needs no theorem where e is a product of indicators: e >= 0 and 1 >= e."""
    goals = (">=", value, 0), (">=", 1, value)
    # for n = -e - 1 and n = e - 2, n*n + 3*n is e*e - e - 2
    products = [(1, [len(square)] * 2), (3, [len(square)]), *((-1, [i]) for i in range(len(square)))]
    least, most = (certificate(goal, square, products, 2, refute=True) for goal in goals)
    return least, most


def moved(value: Term, a: Term, b: Term) -> Theorem:
    """|- value(a)*[a = b] = value(b)*[a = b], where value has the letter q."""
    at_a, at_b = (("*", substitute(value, {"q": place}), ("is", a, b)) for place in (a, b))
    return equals(at_a, at_b, both_ways(value, a, b), times(substitute(value, {"q": b}), symmetric(both_ways(1, a, b))))


def both_ways(value: Term, a: Term, b: Term) -> Theorem:
    """|- value(a)*[a = b] = value(b)*[a <= b]*[b <= a], where value has the letter q: the sum over q = a, ..., a."""
    sifted = kernel.sift("q", a, a, value, b)
    return chain(symmetric(sums.unrolled(sifted.conclusion[1])), sifted)


def congruent(value: Term, a: Term, b: Term) -> Theorem:
    """|- [a = b]*value(a) = [a = b]*value(b), where value has the letter q."""
    at_a, at_b = (("*", ("is", a, b), substitute(value, {"q": place})) for place in (a, b))
    return equals(at_a, at_b, moved(value, a, b))


def _either(a: Term, b: Term) -> tuple[Theorem, Theorem]:
    """b >= a |- b >= a and a >= b + 1 |- a > b: the two cases of [a <= b], for integral a and b."""
    above = kernel.assume((">=", a, ("+", b, 1)))
    return kernel.assume((">=", b, a)), follows((">", a, b), above)


def at_least(a: Term, b: Term) -> Theorem:
    """|- [a <= b]*(b - a) >= 0, for integral a and b."""
    inside, outside = _either(a, b)
    gap = minus(b, a)
    goal = (">=", ("*", ("le", a, b), gap), 0)
    one = certificate(goal, [inside, decided(inside)], [(1, [0]), (gap, [1])])
    none = certificate(goal, [decided(outside)], [(gap, [0])])
    return kernel.cases(one, none, b, a)


def excluded(a: Term, b: Term) -> Theorem:
    """|- [a <= b] + [b + 1 <= a] = 1, for integral a and b."""
    inside, outside = _either(a, b)
    beyond = ("+", b, 1)
    goal = ("=", ("+", ("le", a, b), ("le", beyond, a)), 1)
    first = equals(*goal[1:], decided(inside), decided(follows((">", beyond, a), inside)))
    second = equals(*goal[1:], decided(outside), decided(kernel.assume((">=", a, beyond))))
    return kernel.cases(first, second, b, a)


def everywhere(equation: Theorem, letter: str) -> Theorem:
    """From H, letter >= 0 |- [1 <= letter]*t = [1 <= letter]*s (or >=): H |- the same, for all integers."""
    _, left, right = equation.conclusion
    below = follows((">", 1, ("v", letter)), kernel.assume((">=", 0, ("+", ("v", letter), 1))))
    nothing = certificate(equation.conclusion, [decided(below)], [(minus(left, right), [0])])
    return kernel.cases(equation, nothing, ("v", letter), 0)


def unguarded(guarded: Theorem, low: Theorem, high: Theorem) -> Theorem:
    """From [lo <= i]*[i <= hi]*a >= 0 (or = 0), i >= lo and hi >= i: a >= 0 (or = 0)."""
    sign, (_, _, last, *factors), zero = guarded.conclusion
    value = factors[0] if len(factors) == 1 else ("*", *factors)
    products = [(1, [0]), (("*", -1, last, value), [1]), (("*", -1, value), [2])]
    return certificate((sign, value, zero), [guarded, *between(low, high)], products)
