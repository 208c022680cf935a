"""The kernel: the only file that can build a `Theorem`. In the manner of LCF, small enough to be read in one sitting.

A formula is ("=", a, b), (">=", a, b), ("iff", f, g) or ("all", name, f), over the terms of `algebra`. A theorem says
that its conclusion holds for all integers in place of its free letters and all functions in place of its function
names, wherever its hypotheses hold. Division is total but unspecified where the divisor is not positive. Every theorem
carries its proof: the rule, its arguments and the theorems it was made of, which `proof_term` writes out for the second
checker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from convproof.proof import algebra
from convproof.proof.algebra import Poly, Refused, Term, add, constant, free, multiply, normal, substitute, subtract

Formula = Any
_KEY = object()


class Theorem:
    """hypotheses |- conclusion. Built by the rules of this file alone; cannot be changed, copied, pickled or
    subclassed.
    """

    __slots__ = ("_arguments", "_conclusion", "_hypotheses", "_premises", "_rule")
    _rule: str
    _arguments: tuple[Any, ...]
    _premises: tuple[Theorem, ...]
    _hypotheses: tuple[Formula, ...]
    _conclusion: Formula

    def __init__(self, key: object, *fields: Any) -> None:
        if key is not _KEY:
            raise TypeError("theorems are made by the rules of the kernel")
        for name, value in zip(self.__slots__, fields, strict=True):
            object.__setattr__(self, name, value)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Theorem cannot be subclassed")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise TypeError("a theorem cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise TypeError("a theorem cannot be changed")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a theorem cannot be copied or pickled; write its proof term instead")

    @property
    def hypotheses(self) -> tuple[Formula, ...]:
        """What must hold, in a fixed order, none twice."""
        return self._hypotheses

    @property
    def conclusion(self) -> Formula:
        """What then holds."""
        return self._conclusion

    def __repr__(self) -> str:
        return f"{list(self._hypotheses)} |- {self._conclusion}"


def _theorem(
    rule: str, arguments: Iterable[Any], premises: Iterable[Theorem], hypotheses: Iterable[Formula], conclusion: Formula
) -> Theorem:
    """The one door: every formula that goes through is checked to its leaves, and nothing that can change goes in."""
    kept = tuple(sorted({well_formed(h) for h in hypotheses}, key=repr))
    return Theorem(_KEY, _plain(tuple(arguments)), well_formed(conclusion), kept, _theorems(premises), rule)


def _theorems(premises: Iterable[Theorem]) -> tuple[Theorem, ...]:
    """The premises, once and for all; raises `Refused` for anything that is no theorem."""
    kept = tuple(premises)
    if not all(type(premise) is Theorem for premise in kept):
        raise Refused("the premises must be theorems")
    return kept


def _plain(value: Any) -> Any:
    """Tuples, numbers, flags and names, and nothing else."""
    if type(value) is tuple:
        return tuple(map(_plain, value))
    if type(value) not in (int, str, bool):
        raise Refused(f"a {type(value).__name__} has no place in a proof")
    return value


def _all_hypotheses(theorems: Iterable[Theorem], *without: Formula) -> list[Formula]:
    return [h for theorem in theorems for h in theorem.hypotheses if h not in without]


def well_formed(formula: Formula) -> Formula:
    """`formula`, if it is one; raises `Refused` if not."""
    if type(formula) is not tuple or len(formula) != 3 or type(formula[0]) is not str:
        raise Refused(f"a {type(formula).__name__} is no formula")
    head, a, b = formula
    if head in ("=", ">="):
        normal(a), normal(b)
    elif head == "iff":
        well_formed(a), well_formed(b)
    elif head == "all":
        algebra.name(a), well_formed(b)
    else:
        raise Refused(f"{head!r} begins no formula")
    return formula


def _difference(formula: Formula, *signs: str) -> Poly:
    """a - b of a = b or a >= b."""
    if formula[0] not in (signs or ("=", ">=")):
        raise Refused(f"{formula!r} is not of the form {' or '.join(signs or ('=', '>='))}")
    return subtract(normal(formula[1]), normal(formula[2]))


# --- logic ------------------------------------------------------------------------------------------------------------


def assume(formula: Formula) -> Theorem:
    """f |- f."""
    return _theorem("assume", [formula], [], [formula], formula)


def instantiate(theorem: Theorem, values: dict[str, Term]) -> Theorem:
    """The theorem with terms in place of letters, in hypotheses and conclusion."""
    (theorem,) = _theorems([theorem])
    pairs = tuple(values.items())
    for name, term in pairs:
        algebra.name(name), normal(term)
    pairs = tuple(sorted(pairs))
    terms = dict(pairs)
    hypotheses = [substitute(h, terms) for h in theorem.hypotheses]
    return _theorem("instantiate", [pairs], [theorem], hypotheses, substitute(theorem.conclusion, terms))


def generalize(theorem: Theorem, name: str) -> Theorem:
    """H |- f becomes H |- for all name, f; name must not stand free in H."""
    (theorem,), _ = _theorems([theorem]), algebra.name(name)
    if any(name in free(h) for h in theorem.hypotheses):
        raise Refused(f"generalize: {name} stands free in a hypothesis")
    return _theorem("generalize", [name], [theorem], theorem.hypotheses, ("all", name, theorem.conclusion))


def specialize(theorem: Theorem, term: Term) -> Theorem:
    """H |- for all x, f becomes H |- f with a term for x."""
    (theorem,) = _theorems([theorem])
    head, *rest = theorem.conclusion
    if head != "all":
        raise Refused("specialize: the conclusion is not for all")
    normal(term)
    conclusion = substitute(rest[1], {rest[0]: term})
    return _theorem("specialize", [term], [theorem], theorem.hypotheses, conclusion)


def discharge(theorem: Theorem, premise: Theorem) -> Theorem:
    """H, f |- g and K |- f become H, K |- g."""
    theorem, premise = _theorems([theorem, premise])
    hypotheses = [*_all_hypotheses([theorem], premise.conclusion), *premise.hypotheses]
    return _theorem("discharge", [], [theorem, premise], hypotheses, theorem.conclusion)


def equivalent(forward: Theorem, backward: Theorem) -> Theorem:
    """H, f |- g and K, g |- f become H, K |- f iff g."""
    forward, backward = _theorems([forward, backward])
    f, g = backward.conclusion, forward.conclusion
    hypotheses = [*_all_hypotheses([forward], f), *_all_hypotheses([backward], g)]
    return _theorem("equivalent", [], [forward, backward], hypotheses, ("iff", f, g))


def induction(base: Theorem, step: Theorem, name: str) -> Theorem:
    """H |- f(0) and K, name >= 0, f(name) |- f(name + 1) become H, K, name >= 0 |- f(name); name not free in H, K."""
    base, step = _theorems([base, step])
    letter = ("v", algebra.name(name))
    natural = (">=", letter, 0)
    found = [h for h in step.hypotheses if substitute(h, {name: ("+", letter, 1)}) == step.conclusion]
    if len(found) != 1:
        raise Refused("induction: the step's conclusion must be one of its hypotheses at name + 1")
    if substitute(found[0], {name: 0}) != base.conclusion:
        raise Refused("induction: the base is not the statement at 0")
    others = [*base.hypotheses, *_all_hypotheses([step], found[0], natural)]
    if any(name in free(h) for h in others):
        raise Refused(f"induction: {name} stands free in a hypothesis")
    return _theorem("induction", [name], [base, step], [*others, natural], found[0])


# --- arithmetic -------------------------------------------------------------------------------------------------------


def identity(a: Term, b: Term) -> Theorem:
    """|- a = b, for equal normal forms."""
    if normal(a) != normal(b):
        raise Refused("identity: the normal forms differ")
    return _theorem("identity", [a, b], [], [], ("=", a, b))


def certificate(
    goal: Formula, premises: Sequence[Theorem], products: Sequence[tuple[Term, Sequence[int]]], scale: int = 1,
    refute: bool = False,
) -> Theorem:  # fmt: skip
    """`goal` from premises p >= 0 and p = 0, by a polynomial identity that witnesses it.

    scale * (left - right of the goal) = the sum of factor * product of premises, over `products`, pairs of a factor and
    the indices of premises. A factor is a natural number unless an equality is among the premises multiplied; for a
    goal that is an equality one always is. With `refute` the negation of the goal, b - a - 1 >= 0, counts as a last
    premise, and the sum is -scale.
    """
    premises = _theorems(premises)
    chosen = tuple((factor, tuple(indices)) for factor, indices in products)
    target = _difference(well_formed(goal))
    known = [(p.conclusion[0], _difference(p.conclusion)) for p in premises]
    if type(refute) is not bool or type(scale) is not int or scale < 1:
        raise Refused("certificate: the scale must be a positive integer, and refute a flag")
    if refute:
        if goal[0] != ">=":
            raise Refused("certificate: only a >= can be shown by refuting its negation")
        known.append((">=", subtract(subtract({}, target), {(): 1})))
        target = {(): -1}
    total: Poly = {}
    for factor, indices in chosen:
        if any(type(i) is not int or not 0 <= i < len(known) for i in indices):
            raise Refused("certificate: there is no such premise")
        value = normal(factor)
        if not any(known[i][0] == "=" for i in indices):
            number = constant(value)
            if number is None or number < 0 or goal[0] == "=":
                raise Refused(
                    "certificate: a factor must be a natural number, in a goal that is a >=, or meet an equality"
                )
        total = add(total, multiply(value, *(known[i][1] for i in indices)))
    if multiply({(): scale}, target) != total:
        raise Refused("certificate: the two sides differ")
    return _theorem("certificate", [goal, chosen, scale, refute], premises, _all_hypotheses(premises), goal)


def antisymmetry(above: Theorem, below: Theorem) -> Theorem:
    """H |- a >= b and K |- b >= a become H, K |- a = b."""
    above, below = _theorems([above, below])
    head, a, b = above.conclusion
    if head != ">=" or below.conclusion != (">=", b, a):
        raise Refused("antisymmetry: needs a >= b and b >= a")
    return _theorem("antisymmetry", [], [above, below], _all_hypotheses([above, below]), ("=", a, b))


def division(a: Term, positive: Theorem, upper: bool = False) -> Theorem:
    """From b >= 1: |- a >= b*(a//b), or with `upper` b*(a//b) + b - 1 >= a."""
    (positive,) = _theorems([positive])
    head, b, one = positive.conclusion
    if head != ">=" or one != 1 or type(upper) is not bool:
        raise Refused("division: the premise must be b >= 1")
    product = ("*", b, ("//", a, b))
    conclusion = (">=", ("+", product, b, -1), a) if upper else (">=", a, product)
    return _theorem("division", [a, upper], [positive], positive.hypotheses, conclusion)


def rewrite(theorem: Theorem, equation: Theorem) -> Theorem:
    """The conclusion with the equation's right side for its left side, wherever none of its letters is bound there."""
    theorem, equation = _theorems([theorem, equation])
    head, a, b = equation.conclusion
    if head != "=":
        raise Refused("rewrite: needs an equation")
    conclusion = _exchanged(theorem.conclusion, a, b, free(a) | free(b))
    return _theorem("rewrite", [], [theorem, equation], _all_hypotheses([theorem, equation]), conclusion)


def _exchanged(term: Any, a: Term, b: Term, letters: frozenset[str]) -> Any:
    if term == a:
        return b
    if not isinstance(term, tuple) or term[0] == "v":
        return term
    if term[0] in ("sum", "all"):
        name, *bounds, body = term[1:]
        inside = body if name in letters else _exchanged(body, a, b, letters)
        return (term[0], name, *(_exchanged(bound, a, b, letters) for bound in bounds), inside)
    start = 2 if term[0] == "at" else 1
    return (*term[:start], *(_exchanged(part, a, b, letters) for part in term[start:]))


def period(formula: Formula, name: str) -> Theorem:
    """name >= 0 |- f, where f compares quasi-affine functions of `name` alone: decided by one period and the slope."""
    algebra.name(name)
    difference = _difference(well_formed(formula))
    length, rise = _periodic(difference, name)
    if length > MAX_PERIOD:
        raise Refused(f"period: {length} sizes are more than {MAX_PERIOD}")
    values = [_value(difference, name, n) for n in range(length)]
    holds = all(v >= 0 for v in values) and rise >= 0 if formula[0] == ">=" else not any(values) and rise == 0
    if not holds:
        raise Refused("period: it does not hold")
    return _theorem("period", [formula, name], [], [(">=", ("v", name), 0)], formula)


MAX_PERIOD = 10_000


def _periodic(poly: Iterable[Any], name: str) -> tuple[int, int]:
    """(L, r) with f(n + L) = f(n) + r for every n."""
    import math

    parts = []
    for monomial, c in poly.items() if isinstance(poly, dict) else poly:
        if not monomial:
            continue
        if len(monomial) > 1 or monomial[0][1] != 1:
            raise Refused("period: the formula is not linear in floors")
        atom = monomial[0][0]
        if atom == ("v", name):
            parts.append((1, c))
        elif atom[0] == "//" and (b := constant(dict(atom[2][1:]))) is not None and b > 0:
            length, rise = _periodic(atom[1][1:], name)
            stretch = b // math.gcd(rise, b)
            parts.append((length * stretch, c * (rise * stretch // b)))
        else:
            raise Refused(f"period: {atom!r} is no quasi-affine function of {name}")
    whole = math.lcm(1, *(length for length, _ in parts))
    return whole, sum(rise * (whole // length) for length, rise in parts)


def _value(poly: Iterable[Any], name: str, n: int) -> int:
    total = 0
    for monomial, c in poly.items() if isinstance(poly, dict) else poly:
        for atom, _ in monomial:
            c *= n if atom[0] == "v" else _value(atom[1][1:], name, n) // _value(atom[2][1:], name, n)
        total += c
    return total


# --- indicators and finite sums ---------------------------------------------------------------------------------------


def indicator(a: Term, b: Term) -> Theorem:
    """|- [a = b] * (a - b) = 0."""
    return _theorem("indicator", [a, b], [], [], ("=", ("*", ("is", a, b), ("+", a, ("*", -1, b))), 0))


def within(a: Term, b: Term, below: Theorem) -> Theorem:
    """From b >= a: |- [a <= b] = 1."""
    (below,), _ = _theorems([below]), (normal(a), normal(b))
    if below.conclusion != (">=", b, a):
        raise Refused("within: the premise must be b >= a")
    return _theorem("within", [a, b], [below], below.hypotheses, ("=", ("le", a, b), 1))


def _sum_parts(term: Term) -> tuple[str, Term, Term, Term]:
    normal(term)
    if term[0] != "sum":
        raise Refused(f"{term!r} is no sum")
    return term[1], term[2], term[3], term[4]


def last_term(term: Term, enough: Theorem) -> Theorem:
    """From hi >= lo: |- the sum up to hi = the sum up to hi - 1, plus its term at hi."""
    (enough,) = _theorems([enough])
    name, lo, hi, body = _sum_parts(term)
    if enough.conclusion != (">=", hi, lo):
        raise Refused("last_term: the premise must be hi >= lo")
    shorter = ("sum", name, lo, ("+", hi, -1), body)
    conclusion = ("=", term, ("+", shorter, substitute(body, {name: hi})))
    return _theorem("last_term", [term], [enough], enough.hypotheses, conclusion)


def empty(term: Term, premise: Theorem) -> Theorem:
    """From lo >= hi + 1: |- the sum = 0."""
    (premise,) = _theorems([premise])
    _, lo, hi, _ = _sum_parts(term)
    if premise.conclusion != (">=", lo, ("+", hi, 1)):
        raise Refused("empty: the premise must be lo >= hi + 1")
    return _theorem("empty", [term], [premise], premise.hypotheses, ("=", term, 0))


def reindex(term: Term, sign: int, shift: Term) -> Theorem:
    """|- the sum over i = the sum over j with i = sign*j + shift, sign 1 or -1; i not free in shift."""
    name, lo, hi, body = _sum_parts(term)
    normal(shift)
    if type(sign) is not int or sign not in (1, -1) or name in free(shift):
        raise Refused("reindex: i = j + shift or i = shift - j, and the shift must not mention i")
    old = substitute(body, {name: ("+", ("*", sign, ("v", name)), shift)})
    bounds = [("*", sign, ("+", bound, ("*", -1, shift))) for bound in ((lo, hi) if sign == 1 else (hi, lo))]
    return _theorem("reindex", [term, sign, shift], [], [], ("=", term, ("sum", name, *bounds, old)))


def sift(name: str, lo: Term, hi: Term, body: Term, place: Term) -> Theorem:
    """|- the sum over i of body(i) * [i = place] = body(place) * [lo <= place] * [place <= hi]; i not free in place."""
    algebra.name(name)
    if name in free(place):
        raise Refused(f"sift: {name} stands free in the place")
    left = ("sum", name, lo, hi, ("*", body, ("is", ("v", name), place)))
    right = ("*", substitute(body, {name: place}), ("le", lo, place), ("le", place, hi))
    return _theorem("sift", [name, lo, hi, body, place], [], [], ("=", left, right))


def under_sum(term: Term, equation: Theorem) -> Theorem:
    """From H, i >= lo, hi >= i |- body = other: H |- the sum of body = the sum of other; i is not free in H, lo, hi."""
    (equation,) = _theorems([equation])
    name, lo, hi, body = _sum_parts(term)
    head, left, right = equation.conclusion
    letter = ("v", name)
    hypotheses = _all_hypotheses([equation], (">=", letter, lo), (">=", hi, letter))
    if head != "=" or left != body or any(name in free(each) for each in (*hypotheses, lo, hi)):
        raise Refused(
            "under_sum: the premise must equate the body, and its bound name must be arbitrary within the bounds"
        )
    return _theorem("under_sum", [term], [equation], hypotheses, ("=", term, ("sum", name, lo, hi, right)))


AXIOMS = {
    "division": "floor(a / b) is the q with b*q <= a <= b*q + b - 1, for b >= 1",
    "induction": "what holds at 0, and at k + 1 where it holds at k, holds for every natural number",
    "indicator": "[a = b] is 0 unless a = b; indicators are 0 or 1",
    "sums": "finite sums are linear, may be exchanged and re-indexed, and grow by their last term",
}
"""What the rules take as given, beside logic and the ring of integers; each rule below rests on one of them."""

_RESTS_ON = {
    "division": "division", "period": "division", "induction": "induction", "indicator": "indicator", "sift": "sums",
    "within": "indicator",
    "last_term": "sums", "empty": "sums", "reindex": "sums", "under_sum": "sums",
}  # fmt: skip


def proof_term(theorem: Theorem) -> dict[str, Any]:
    """The proof as plain data: steps in order, each with its rule, arguments and the numbers of its premises."""
    steps: list[dict[str, Any]] = []
    numbers: dict[int, int] = {}
    pending = [theorem]
    while pending:
        each = pending[-1]
        missing = [premise for premise in each._premises if id(premise) not in numbers]
        if missing:
            pending.extend(missing)
            continue
        pending.pop()
        if id(each) not in numbers:
            numbers[id(each)] = len(steps)
            premises = [numbers[id(premise)] for premise in each._premises]
            steps.append({"rule": each._rule, "arguments": _listed(each._arguments), "premises": premises})
    return {"hypotheses": _listed(theorem.hypotheses), "conclusion": _listed(theorem.conclusion), "steps": steps}


def axioms(theorem: Theorem) -> list[str]:
    """The names in `AXIOMS` that the proof rests on."""
    rules = {step["rule"] for step in proof_term(theorem)["steps"]}
    return sorted({_RESTS_ON[rule] for rule in rules if rule in _RESTS_ON})


def _listed(value: Any) -> Any:
    """Tuples as lists, for JSON."""
    return [_listed(v) for v in value] if isinstance(value, (tuple, list)) else value
