"""Rules made of the kernel's rules. Nothing here is trusted: every theorem that comes out was built by the kernel.

Arguments are kernel terms; `positive` is a theorem b >= 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from convproof.proof import kernel
from convproof.proof.algebra import Formula, Refused, Term, constant, normal
from convproof.proof.kernel import Theorem
from convproof.proof.language import formula

Products = Sequence[tuple[Term, Sequence[int]]]


def certificate(
    goal: Formula, premises: Sequence[Theorem], products: Products, scale: int = 1, refute: bool = False
) -> Theorem:
    """`kernel.certificate`, with the premises beside the goal."""
    return kernel.certificate(goal, products, scale, refute, *premises)


def given(text: str) -> Theorem:
    """f |- f, from the notation of a formula."""
    return kernel.assume(formula(text))


def minus(a: Term, b: Term) -> Term:
    """a - b."""
    return ("+", a, ("*", -1, b))


def at_least(a: Term, b: Term) -> Theorem:
    """|- a >= b for numbers, or for equal polynomials."""
    return certificate((">=", a, b), [], [(_constant(minus(a, b)), [])])


def _constant(term: Term) -> int:
    value = constant(normal(term))
    if value is None:
        raise Refused("at_least: the difference is no number")
    return value


def equals(a: Term, b: Term, *equations: Theorem) -> Theorem:
    """a = b as the sum of the given equations, each taken once: a = c, c = d, d = b, up to polynomial identity."""
    return certificate(("=", a, b), equations, [(1, [i]) for i in range(len(equations))])


def below_floor(a: Term, positive: Theorem, o: Term) -> Theorem:
    """b >= 1 |- (a >= b*o) iff (a//b >= o): the property that makes the floor the count of windows."""
    b = positive.conclusion[1]
    q, fits, counts = ("//", a, b), (">=", a, ("*", b, o)), (">=", ("//", a, b), o)
    lower, upper = kernel.division(a, positive), kernel.division(a, positive, upper=True)
    down = certificate(fits, [lower, positive, kernel.assume(counts)], [(1, [0]), (1, [1, 2]), (1, [2])])
    premises = [upper, kernel.assume(fits), positive]
    up = certificate((">=", q, o), premises, [(1, [0]), (1, [1]), (1, [2, 3]), (1, [3])], refute=True)
    return kernel.equivalent(up, down)


def floor_is(a: Term, positive: Theorem, q: Term, lower: Theorem, upper: Theorem) -> Theorem:
    """From a >= b*q and b*q + b - 1 >= a (up to polynomial identity): a//b = q."""
    b = positive.conclusion[1]
    found = ("//", a, b)
    under, over = kernel.division(a, positive), kernel.division(a, positive, upper=True)
    refutation: Products = [(1, [0]), (1, [1]), (1, [2, 3]), (1, [3])]
    above = certificate((">=", found, q), [over, lower, positive], refutation, refute=True)
    below = certificate((">=", q, found), [upper, under, positive], refutation, refute=True)
    return kernel.antisymmetry(above, below)


def fold(a: Term, inner: Theorem, outer: Theorem) -> Theorem:
    """b >= 1, c >= 1 |- a//(b*c) = (a//b)//c: nested floors are one floor."""
    b, c = inner.conclusion[1], outer.conclusion[1]
    q1 = ("//", a, b)
    q2, both = ("//", q1, c), ("*", b, c)
    positive = certificate((">=", both, 1), [inner, outer], [(1, [0, 1]), (1, [0]), (1, [1])])
    low1, high1 = kernel.division(a, inner), kernel.division(a, inner, upper=True)
    low2, high2 = kernel.division(q1, outer), kernel.division(q1, outer, upper=True)
    lower = certificate((">=", a, ("*", both, q2)), [low1, low2, inner], [(1, [0]), (1, [1, 2]), (1, [1])])
    top = (">=", ("+", ("*", both, q2), both, -1), a)
    upper = certificate(top, [high1, high2, inner], [(1, [0]), (1, [1, 2]), (1, [1])])
    return floor_is(a, positive, q2, lower, upper)


def whole(a: Term, positive: Theorem, q: Term) -> Theorem:
    """b >= 1 |- (a + b*q)//b = a//b + q."""
    b = positive.conclusion[1]
    low, high = kernel.division(a, positive), kernel.division(a, positive, upper=True)
    shifted, found = ("+", a, ("*", b, q)), ("+", ("//", a, b), q)
    lower = certificate((">=", shifted, ("*", b, found)), [low], [(1, [0])])
    upper = certificate((">=", ("+", ("*", b, found), b, -1), shifted), [high], [(1, [0])])
    return floor_is(shifted, positive, found, lower, upper)


# --- equations --------------------------------------------------------------------------------------------------------


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
