"""The kernel: the only file that can build a `Theorem`, by these rules. "H |- f: K |- g" makes the second of the first.

logic
    assume        f |- f
    instantiate   H |- f: the same with integral terms in place of letters
    generalize    H |- f: H |- for all n, f, where n is not free in H
    specialize    H |- for all n, f: H |- f with an integral term for n
    discharge     H, f |- g and K |- f: H, K |- g
    equivalent    H, f |- g and K, g |- f: H, K |- f iff g
    cases         H, a >= b |- f and K, b >= a + 1 |- f: H, K |- f, for integral a and b
    induction     H |- f(0) and K, n >= 0, f(n) |- f(n + 1): H, K, n >= 0 |- f(n), where n is not free in H, K
arithmetic
    identity      |- a = b, for equal normal forms
    certificate   p = 0, p >= 0, p > 0, ...: a = b, a >= b or a > b, by a polynomial identity for a - b
    antisymmetry  a >= b and b >= a: a = b
    division      b >= 1: a >= b*(a//b), or b*(a//b) + b - 1 >= a
    reciprocal    a*a > 0: a*inv(a) = 1
    rewrite       f and a = b: f with b in place of a
    period        n >= 0 |- f, where f compares quasi-affine functions of n alone
indicators and finite sums
    indicator     |- [a = b]*(a - b) = 0
    within        b >= a: [a <= b] = 1, and a > b: [a <= b] = 0
    last_term     hi >= lo: the sum up to hi is that up to hi - 1 and the term at hi, and lo >= hi + 1: it is 0
    exchange      |- nested sums are equal in every order, where no bound of one mentions the name of another
    reindex       |- the sum over i is the sum over j with i = j + c, or i = c - j
    sift          |- the sum over i = lo, ..., hi of t(i)*[i = p] is t(p)*[lo <= p]*[p <= hi]
    under_sum     H, i >= lo, hi >= i |- t = s: H |- the sum of t is that of s, where i is not free in H, lo, hi
derivatives
    positive      |- exp(a) > 0
    differential  what must be positive: the derivative of a is b

In the manner of LCF, small enough to be read in one sitting.

A theorem says that its conclusion holds for all integers in place of its free letters and all functions in place of its
function names, wherever its hypotheses hold. Every theorem carries its proof: the rule, its arguments and the theorems
it was made of, which `proof_term` writes out for the second checker. A rule below returns the hypotheses and the
conclusion of the theorem that it makes; `_rule` sees to it that nothing goes in but theorems and plain data, and
nothing comes out but formulas.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, ParamSpec, cast
from weakref import WeakKeyDictionary

from convproof.proof import algebra, calculus, quasiaffine
from convproof.proof.algebra import Formula, Refused, Term, difference, free, integral, normal, split, substitute

Sequent = tuple[Iterable[Formula], Formula]
P = ParamSpec("P")


class Theorem:
    """hypotheses |- conclusion. Made by the rules of this file alone, which keep what it says; cannot be changed,
    copied, pickled or subclassed. That guards against accidents; against malice there is the second checker.
    """

    __slots__ = ("__weakref__",)
    hypotheses: tuple[Formula, ...] = property(lambda self: _content(self)[0])  # type: ignore[assignment]
    conclusion: Formula = property(lambda self: _content(self)[1])
    rule: str = property(lambda self: _content(self)[2])  # type: ignore[assignment]
    arguments: tuple[Any, ...] = property(lambda self: _content(self)[3])  # type: ignore[assignment]
    premises: tuple[Theorem, ...] = property(lambda self: _content(self)[4])  # type: ignore[assignment]

    def __new__(cls, *_: object) -> NoReturn:
        raise TypeError("theorems are made by the rules of the kernel")

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Theorem cannot be subclassed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a theorem cannot be copied or pickled; write its proof term instead")

    def __repr__(self) -> str:
        return f"{list(self.hypotheses)} |- {self.conclusion}"


_CONTENTS: WeakKeyDictionary[Theorem, tuple[Any, ...]] = WeakKeyDictionary()


def _content(theorem: Theorem) -> tuple[Any, ...]:
    if theorem not in _CONTENTS:
        raise TypeError("this theorem was not made by the rules of the kernel")
    return _CONTENTS[theorem]


RESTS_ON: dict[str, str] = {}
"""The axiom of `written.AXIOMS` behind a rule, if one is."""


def _rule(axiom: str = "") -> Callable[[Callable[P, Sequent]], Callable[P, Theorem]]:
    """Makes a rule of a function, resting on an axiom: the one door to `Theorem`.

    What goes in is looked at to its leaves before the function sees it, and so is every formula that comes out.
    """

    def decorate(function: Callable[P, Sequent]) -> Callable[P, Theorem]:
        signature, rule = inspect.signature(function), function.__name__
        if axiom:
            RESTS_ON[rule] = axiom

        @functools.wraps(function)
        def build(*args: P.args, **kwargs: P.kwargs) -> Theorem:
            given = signature.bind(*args, **kwargs)
            given.apply_defaults()
            parts = [part if type(part) is Theorem or type(part) is bool else _plain(part) for part in given.args]
            hypotheses, conclusion = cast("Callable[..., Sequent]", function)(*parts)
            kept = tuple(sorted({algebra.well_formed(h) for h in hypotheses}, key=repr))
            arguments = tuple(part for part in parts if type(part) is not Theorem)
            premises = tuple(part for part in parts if type(part) is Theorem and _content(part))
            theorem: Theorem = object.__new__(cast(Any, Theorem))
            _CONTENTS[theorem] = kept, algebra.well_formed(conclusion), rule, arguments, premises
            return theorem

        return build

    return decorate


def _plain(value: Any) -> Any:
    """Numbers, names and tuples of them, told by `is`: a class may equal every other. Raises `Refused` for all else."""
    if isinstance(value, Mapping):
        value = tuple(value.items())
    if type(value) is tuple or type(value) is list:
        return tuple(map(_plain, value))
    if type(value) is not int and type(value) is not str:
        raise Refused(f"a {type(value).__name__} has no place in a proof")
    return value


def _without(theorem: Theorem, *removed: Formula) -> list[Formula]:
    return [h for h in theorem.hypotheses if h not in removed]


# --- logic ------------------------------------------------------------------------------------------------------------


@_rule()
def assume(formula: Formula) -> Sequent:
    """f |- f."""
    return [formula], formula


@_rule()
def instantiate(theorem: Theorem, values: Any) -> Sequent:
    """The theorem with integral terms in place of letters: {letter: term}."""
    chosen = {algebra.name(letter): _integral(term) for letter, term in values}
    return [substitute(h, chosen) for h in theorem.hypotheses], substitute(theorem.conclusion, chosen)


def _integral(term: Term) -> Term:
    if not integral(normal(term)):
        raise Refused("an integral term is needed")
    return term


@_rule()
def generalize(theorem: Theorem, letter: str) -> Sequent:
    """H |- f becomes H |- for all letter, f; the letter must not stand free in H."""
    _arbitrary([letter], theorem.hypotheses)
    return theorem.hypotheses, ("all", letter, theorem.conclusion)


def _arbitrary(letters: Iterable[str], *places: Iterable[Any]) -> None:
    """Raises `Refused` if a letter stands free in one of the formulas or terms."""
    if not free(("+", *(part for place in places for part in place))).isdisjoint(letters):
        raise Refused("a letter that must be arbitrary stands free elsewhere")


@_rule()
def specialize(theorem: Theorem, term: Term) -> Sequent:
    """H |- for all x, f becomes H |- f with an integral term for x."""
    head, letter, formula = theorem.conclusion
    if head != "all":
        raise Refused("the conclusion is not for all")
    return theorem.hypotheses, substitute(formula, {letter: _integral(term)})


@_rule()
def discharge(theorem: Theorem, premise: Theorem) -> Sequent:
    """H, f |- g and K |- f become H, K |- g."""
    return [*_without(theorem, premise.conclusion), *premise.hypotheses], theorem.conclusion


@_rule()
def equivalent(forward: Theorem, backward: Theorem) -> Sequent:
    """H, f |- g and K, g |- f become H, K |- f iff g."""
    f, g = backward.conclusion, forward.conclusion
    return [*_without(forward, f), *_without(backward, g)], ("iff", f, g)


@_rule("order")
def cases(above: Theorem, below: Theorem, a: Term, b: Term) -> Sequent:
    """H, a >= b |- f and K, b >= a + 1 |- f become H, K |- f, for integral a and b."""
    over, under = (">=", _integral(a), _integral(b)), (">=", b, ("+", a, 1))
    if above.conclusion != below.conclusion:
        raise Refused("both cases must have one conclusion")
    return [*_without(above, over), *_without(below, under)], above.conclusion


@_rule("induction")
def induction(base: Theorem, step: Theorem, letter: str) -> Sequent:
    """H |- f(0) and K, n >= 0, f(n) |- f(n + 1) become H, K, n >= 0 |- f(n); n, the letter, not free in H, K."""
    n = ("v", algebra.name(letter))
    found = [h for h in step.hypotheses if substitute(h, {letter: ("+", n, 1)}) == step.conclusion]
    if len(found) != 1 or substitute(found[0], {letter: 0}) != base.conclusion:
        raise Refused("the step must lead from a hypothesis to the same at n + 1, and the base be the same at 0")
    others = [*base.hypotheses, *_without(step, found[0], (">=", n, 0))]
    _arbitrary([letter], others)
    return [*others, (">=", n, 0)], found[0]


# --- arithmetic -------------------------------------------------------------------------------------------------------


@_rule("terms")
def identity(a: Term, b: Term) -> Sequent:
    """|- a = b, for equal normal forms."""
    if normal(a) != normal(b):
        raise Refused("the normal forms differ")
    return [], ("=", a, b)


@_rule("terms")
def certificate(goal: Formula, products: Any, scale: int = 1, refute: bool = False, *premises: Theorem) -> Sequent:
    """`goal` from premises p = 0, p >= 0 and p > 0, by a polynomial identity that witnesses it.

    scale * (left - right of the goal) = the sum of factor * product of premises, over `products`, pairs of a factor and
    the places of premises. A factor is a natural number unless an equality is among the premises multiplied; for a
    goal that is an equality one always is; for a goal a > b one product has a factor > 0 and premises p > 0 alone. With
    `refute` the negation of a goal a >= b between integers, b - a - 1 >= 0, counts as a last premise, and the sum is
    -scale.
    """
    target, sign = difference(algebra.well_formed(goal)), goal[0]
    known = [(p.conclusion[0], difference(p.conclusion)) for p in premises]
    if type(refute) is not bool or type(scale) is not int or scale < 1:
        raise Refused("the scale must be a positive integer, and refute a flag")
    if refute:
        if sign != ">=" or not integral(target):
            raise Refused("only a >= between integers can be shown by refuting its negation")
        known.append((">=", algebra.subtract({(): -1}, target)))
        target = {(): -1}
    total: algebra.Poly = {}
    strict = False
    for factor, places in products:
        if any(type(place) is not int or not 0 <= place < len(known) for place in places):
            raise Refused("there is no such premise")
        value, signs = normal(factor), [known[place][0] for place in places]
        if "=" not in signs:
            number = algebra.constant(value)
            if number is None or number < 0 or sign == "=":
                raise Refused("a factor must be a natural number, towards a comparison, or meet an equality")
            strict = strict or (number > 0 and set(signs) <= {">"})
        total = algebra.add(total, algebra.multiply(value, *(known[place][1] for place in places)))
    if algebra.multiply({(): scale}, target) != total or (sign == ">" and not strict):
        raise Refused("the two sides differ" if strict or sign != ">" else "no product is positive")
    return [h for premise in premises for h in premise.hypotheses], goal


@_rule()
def antisymmetry(above: Theorem, below: Theorem) -> Sequent:
    """H |- a >= b and K |- b >= a become H, K |- a = b."""
    head, a, b = above.conclusion
    if head != ">=" or below.conclusion != (">=", b, a):
        raise Refused("needs a >= b and b >= a")
    return [*above.hypotheses, *below.hypotheses], ("=", a, b)


@_rule("division")
def division(a: Term, positive: Theorem, upper: bool = False) -> Sequent:
    """From b >= 1: |- a >= b*(a//b), or with `upper` b*(a//b) + b - 1 >= a."""
    head, b, one = positive.conclusion
    if head != ">=" or one != 1 or type(upper) is not bool:
        raise Refused("the premise must be b >= 1")
    product = ("*", b, ("//", a, b))
    return positive.hypotheses, (">=", ("+", product, b, -1), a) if upper else (">=", a, product)


@_rule("reals")
def reciprocal(a: Term, other: Theorem) -> Sequent:
    """From a*a > 0: |- a * inv(a) = 1."""
    if other.conclusion != (">", ("*", a, a), 0):
        raise Refused("the premise must be a*a > 0")
    return other.hypotheses, ("=", ("*", a, ("inv", a)), 1)


@_rule()
def rewrite(theorem: Theorem, equation: Theorem) -> Sequent:
    """The conclusion with the equation's right side for its left side, wherever none of its letters is bound there and
    nothing is differentiated.
    """
    head, a, b = equation.conclusion
    if head != "=":
        raise Refused("needs an equation")
    return [*theorem.hypotheses, *equation.hypotheses], _exchanged(theorem.conclusion, a, b, free(a) | free(b))


def _exchanged(part: Any, a: Term, b: Term, letters: frozenset[str]) -> Any:
    if part == a:
        return b
    before, parts = split(part)
    new = [_exchanged(each, a, b, letters) for each in parts]
    if before[0] in ("sum", "all") and before[1] in letters:
        new[-1] = parts[-1]
    if before[0] == "d":
        new[0] = parts[0]
    return (*before, *new) if parts else part


@_rule("division")
def period(formula: Formula, letter: str) -> Sequent:
    """letter >= 0 |- f, where f compares quasi-affine functions of the letter alone: decided by one period."""
    if not quasiaffine.holds(formula, letter):
        raise Refused("it does not hold")
    return [(">=", ("v", letter), 0)], formula


# --- indicators and finite sums ---------------------------------------------------------------------------------------


@_rule("indicator")
def indicator(a: Term, b: Term) -> Sequent:
    """|- [a = b] * (a - b) = 0."""
    return [], ("=", ("*", ("is", a, b), ("+", a, ("*", -1, b))), 0)


@_rule("indicator")
def within(a: Term, b: Term, known: Theorem) -> Sequent:
    """From b >= a: |- [a <= b] = 1. From a > b: |- [a <= b] = 0."""
    if known.conclusion not in ((">=", b, a), (">", a, b)):
        raise Refused("the premise must be b >= a or a > b")
    return known.hypotheses, ("=", ("le", a, b), int(known.conclusion[0] == ">="))


def _sum_parts(term: Term) -> tuple[str, Term, Term, Term]:
    normal(term)
    if split(term)[0][0] != "sum":
        raise Refused(f"{term!r} is no sum")
    return term[1], term[2], term[3], term[4]


@_rule("sums")
def last_term(term: Term, known: Theorem) -> Sequent:
    """From hi >= lo: |- the sum up to hi = the sum up to hi - 1, plus its term at hi. From lo >= hi + 1: |- it is 0."""
    index, lo, hi, body = _sum_parts(term)
    if known.conclusion == (">=", hi, lo):
        value: Term = ("+", ("sum", index, lo, ("+", hi, -1), body), substitute(body, {index: hi}))
    elif known.conclusion == (">=", lo, ("+", hi, 1)):
        value = 0
    else:
        raise Refused("the premise must be hi >= lo, or lo >= hi + 1")
    return known.hypotheses, ("=", term, value)


@_rule("sums")
def exchange(term: Term, order: Any) -> Sequent:
    """|- sums nested in one another = the same sums in another order, if no bound of one mentions the name of another.

    `order` has the places, counted from the outermost, of the sums that come first, second, ...
    """
    sums, body = [], term
    for _ in order:
        index, lo, hi, body = _sum_parts(body)
        sums.append((index, lo, hi))
    names = [index for index, _, _ in sums]
    if sorted(order) != list(range(len(sums))) or len(set(names)) < len(names):
        raise Refused("every sum must be named once, and differently from the others")
    _arbitrary(names, (bound for _, *bounds in sums for bound in bounds))
    for place in reversed(order):
        body = ("sum", *sums[place], body)
    return [], ("=", term, body)


@_rule("sums")
def reindex(term: Term, sign: int, shift: Term) -> Sequent:
    """|- the sum over i = the sum over j with i = sign*j + shift, sign 1 or -1; i not free in shift."""
    index, lo, hi, body = _sum_parts(term)
    _arbitrary([index], [_integral(shift)])
    if type(sign) is not int or sign not in (1, -1):
        raise Refused("i = j + shift or i = shift - j")
    old = substitute(body, {index: ("+", ("*", sign, ("v", index)), shift)})
    bounds = [("*", sign, ("+", bound, ("*", -1, shift))) for bound in ((lo, hi) if sign == 1 else (hi, lo))]
    return [], ("=", term, ("sum", index, *bounds, old))


@_rule("sums")
def sift(index: str, lo: Term, hi: Term, body: Term, place: Term) -> Sequent:
    """|- the sum over i of body(i) * [i = place] = body(place) * [lo <= place] * [place <= hi]; i not free in place,
    which is integral.
    """
    normal(body)
    _arbitrary([index], [_integral(place)])
    left = ("sum", index, lo, hi, ("*", body, ("is", ("v", index), place)))
    return [], ("=", left, ("*", substitute(body, {index: place}), ("le", lo, place), ("le", place, hi)))


@_rule("sums")
def under_sum(term: Term, equation: Theorem) -> Sequent:
    """From H, i >= lo, hi >= i |- body = other: H |- the sum of body = the sum of other; i is not free in H, lo, hi."""
    index, lo, hi, body = _sum_parts(term)
    head, left, right = equation.conclusion
    if head != "=" or left != body:
        raise Refused("the premise must equate the body")
    hypotheses = _without(equation, (">=", ("v", index), lo), (">=", hi, ("v", index)))
    _arbitrary([index], hypotheses, [lo, hi])
    return hypotheses, ("=", term, ("sum", index, lo, hi, right))


# --- derivatives ------------------------------------------------------------------------------------------------------


@_rule("reals")
def positive(a: Term) -> Sequent:
    """|- exp(a) > 0."""
    return [], (">", ("exp", a), 0)


@_rule("reals")
def differential(names: Any, term: Term, *known: Theorem) -> Sequent:
    """|- ("d", names, term, its derivative), with the needs of `calculus.derivative` among the premises.

    Under a sum a premise may rest on the index being within the bounds, and on nothing else that mentions it.
    """
    normal(term)
    value, needs = calculus.derivative(term, frozenset(map(algebra.name, names)))
    hypotheses: list[Formula] = []
    for polynomial, sums in needs:
        found = [p for p in known if p.conclusion[0] == ">" and difference(p.conclusion) == polynomial]
        if not found:
            raise Refused("a logarithm's argument, or the square of a denominator or jump, must be given as positive")
        bounds = [each for i, lo, hi in sums for each in ((">=", ("v", i), lo), (">=", hi, ("v", i)))]
        rest = _without(found[0], *bounds)
        _arbitrary([index for index, _, _ in sums], rest)
        hypotheses += rest
    return hypotheses, ("d", names, term, value)
