"""Rules made of the kernel's rules. Nothing here is trusted: every theorem that comes out was built by the kernel.

Arguments are kernel terms; `positive` is a theorem b >= 1.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from convproof.proof import kernel
from convproof.proof.algebra import Formula, Refused, Term, add, constant, difference, split, substitute, subtract
from convproof.proof.kernel import Theorem
from convproof.proof.language import formula

Products = Sequence[tuple[Term, Sequence[int]]]
Certificate = tuple[Sequence[Theorem], Products]
"""Premises, and the products of them that add up to a goal."""


def certificate(
    goal: Formula, premises: Sequence[Theorem], products: Products, scale: int = 1, refute: bool = False
) -> Theorem:
    """`kernel.certificate`, with the premises beside the goal."""
    return kernel.certificate(goal, products, scale, refute, *premises)


def follows(goal: Formula, *premises: Theorem) -> Theorem:
    """From theorems that add up to it but for a natural number: the goal, up to polynomial identity."""
    number = constant(subtract(difference(goal), add(*(difference(each.conclusion) for each in premises))))
    if number is None:
        raise Refused("the goal and the sum of the premises differ by more than a number")
    each: list[tuple[Term, Sequence[int]]] = [(1, [i]) for i in range(len(premises))]
    return certificate(goal, premises, [*each, (number, [])] if number else each)


@functools.cache
def given(text: str, *places: Term) -> Theorem:
    """f |- f, from the notation of a formula; with places, for all x, ..., f |- f(place, ...)."""
    return functools.reduce(kernel.specialize, places, kernel.assume(formula(text)))


def discharged(theorem: Theorem, *known: Theorem) -> Theorem:
    """From H, f, g, ... |- h and K |- f, L |- g, ...: H, K, L, ... |- h."""
    return functools.reduce(kernel.discharge, known, theorem)


def by_induction(claim: Formula, letter: str, base: Certificate, step: Certificate) -> Theorem:
    """From certificates of f(0) and, with f(n) and n >= 0 among the hypotheses, of f(n + 1): n >= 0 |- f(n)."""
    first, then = (substitute(claim, {letter: place}) for place in (0, ("+", ("v", letter), 1)))
    return kernel.induction(certificate(first, *base), certificate(then, *step), letter)


# --- comparisons and floors -------------------------------------------------------------------------------------------


def minus(a: Term, b: Term) -> Term:
    """a - b."""
    return ("+", a, ("*", -1, b))


def at_least(a: Term, b: Term) -> Theorem:
    """|- a >= b for numbers, or for polynomials that differ by one."""
    return follows((">=", a, b))


def natural(positive: Theorem) -> Theorem:
    """From a >= 1: a >= 0."""
    return follows((">=", positive.conclusion[1], 0), positive)


def positive_product(*positive: Theorem) -> Theorem:
    """From a >= 1, b >= 1, ...: a*b*... >= 1."""
    return functools.reduce(_positive, positive)


def _positive(one: Theorem, other: Theorem) -> Theorem:
    goal = (">=", ("*", one.conclusion[1], other.conclusion[1]), 1)
    return certificate(goal, [one, other], [(1, [0, 1]), (1, [0]), (1, [1])])


def inverse(positive: Theorem) -> Theorem:
    """From a >= 1: a*(1/a) = 1."""
    a = positive.conclusion[1]
    square = certificate((">", ("*", a, a), 0), [positive], [(1, [0, 0]), (2, [0]), (1, [])])
    return kernel.reciprocal(a, square)


REFUTED: Products = [(1, [0]), (1, [1]), (1, [2, 3]), (1, [3])]
"""b*(a//b) + b - 1 >= a, a >= b*o and b >= 1 contradict o - a//b >= 1, and likewise from below."""


def floor_at_least(a: Term, positive: Theorem, o: Term, fits: Theorem) -> Theorem:
    """From a >= b*o (up to polynomial identity): a//b >= o."""
    upper = kernel.division(a, positive, upper=True)
    return certificate((">=", ("//", a, positive.conclusion[1]), o), [upper, fits, positive], REFUTED, refute=True)


def floor_is(a: Term, positive: Theorem, q: Term, lower: Theorem, upper: Theorem) -> Theorem:
    """From a >= b*q and b*q + b - 1 >= a (up to polynomial identity): a//b = q."""
    under = kernel.division(a, positive)
    above = floor_at_least(a, positive, q, lower)
    below = certificate((">=", q, above.conclusion[1]), [upper, under, positive], REFUTED, refute=True)
    return kernel.antisymmetry(above, below)


def quotient(a: Term, positive: Theorem, q: Term, low: Theorem, high: Theorem) -> Theorem:
    """From r >= 0 and b - 1 >= r, where a = b*q + r but for polynomial identity: a//b = q."""
    b = positive.conclusion[1]
    product = ("*", b, q)
    lower, upper = follows((">=", a, product), low), follows((">=", ("+", product, b, -1), a), high)
    return floor_is(a, positive, q, lower, upper)


def exact(positive: Theorem, q: Term) -> Theorem:
    """From b >= 1: (b*q)//b = q."""
    return quotient(("*", positive.conclusion[1], q), positive, q, at_least(0, 0), positive)


def fold(a: Term, inner: Theorem, outer: Theorem) -> Theorem:
    """b >= 1, c >= 1 |- a//(b*c) = (a//b)//c: nested floors are one floor."""
    b, c = inner.conclusion[1], outer.conclusion[1]
    q1 = ("//", a, b)
    q2, both = ("//", q1, c), ("*", b, c)
    low1, high1 = kernel.division(a, inner), kernel.division(a, inner, upper=True)
    low2, high2 = kernel.division(q1, outer), kernel.division(q1, outer, upper=True)
    lower = certificate((">=", a, ("*", both, q2)), [low1, low2, inner], [(1, [0]), (1, [1, 2]), (1, [1])])
    top = (">=", ("+", ("*", both, q2), both, -1), a)
    upper = certificate(top, [high1, high2, inner], [(1, [0]), (1, [1, 2]), (1, [1])])
    return floor_is(a, positive_product(inner, outer), q2, lower, upper)


def whole(a: Term, positive: Theorem, q: Term) -> Theorem:
    """b >= 1 |- (a + b*q)//b = a//b + q."""
    b = positive.conclusion[1]
    low, high = kernel.division(a, positive), kernel.division(a, positive, upper=True)
    shifted, found = ("+", a, ("*", b, q)), ("+", ("//", a, b), q)
    lower = follows((">=", shifted, ("*", b, found)), low)
    upper = follows((">=", ("+", ("*", b, found), b, -1), shifted), high)
    return floor_is(shifted, positive, found, lower, upper)


# --- equations --------------------------------------------------------------------------------------------------------


def equals(a: Term, b: Term, *equations: Theorem) -> Theorem:
    """a = b as the sum of the given equations, each taken once: a = c, c = d, d = b, up to polynomial identity."""
    return certificate(("=", a, b), equations, [(1, [i]) for i in range(len(equations))])


def stated(text: str, *equations: Theorem) -> Theorem:
    """The equation of the notation, as the sum of the given ones, each taken once."""
    return equals(*formula(text)[1:], *equations)


def symmetric(equation: Theorem) -> Theorem:
    """From a = b: b = a."""
    _, a, b = equation.conclusion
    return certificate(("=", b, a), [equation], [(-1, [0])])


def chain(*equations: Theorem) -> Theorem:
    """From a = b, b = c, ..., y = z, where what meets has equal normal forms: a = z."""
    return equals(equations[0].conclusion[1], equations[-1].conclusion[2], *equations)


def times(factor: Term, equation: Theorem) -> Theorem:
    """From a = b: factor*a = factor*b."""
    _, a, b = equation.conclusion
    return certificate(("=", ("*", factor, a), ("*", factor, b)), [equation], [(factor, [0])])


def product(*equations: Theorem) -> Theorem:
    """From a = b, c = d, ...: a*c*... = b*d*..."""
    lefts, rights = ([each.conclusion[side] for each in equations] for side in (1, 2))
    products: Products = [(("*", 1, *rights[:i], *lefts[i + 1 :]), [i]) for i in range(len(equations))]
    return certificate(("=", ("*", *lefts), ("*", *rights)), equations, products)


def congruence(value: Term, equation: Theorem) -> Theorem:
    """From a = b, a no letter: value(a) = value(b), where value has the letter q."""
    _, a, b = equation.conclusion
    before, (first, *rest) = split(a)
    hidden = (*before, ("+", first, 0), *rest)  # a, in a form that is not rewritten
    here, there = (substitute(value, {"q": part}) for part in (a, b))
    rewritten = kernel.rewrite(kernel.identity(substitute(value, {"q": hidden}), here), equation)
    return equals(here, there, rewritten)


def brought(derivative: Theorem, value: Term, *needed: tuple[Term, Theorem]) -> Theorem:
    """From: b is the derivative of a; b - value = the sum of factor*(left - right), for pairs of a factor and an
    equation that are needed: value is the derivative of a.
    """
    products: Products = [(factor, [i]) for i, (factor, _) in enumerate(needed)]
    same = certificate(("=", derivative.conclusion[3], value), [equation for _, equation in needed], products)
    return kernel.rewrite(derivative, same)
