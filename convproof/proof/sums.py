"""Rules for finite sums, made of the kernel's. Nothing here is trusted.

Names of letters and indices are arguments where a statement is made by induction: they are then free, or bound, in it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from convproof.proof import kernel
from convproof.proof.algebra import Formula, Refused, Term, constant, normal, substitute
from convproof.proof.derived import (
    at_least,
    by_induction,
    certificate,
    chain,
    discharged,
    equals,
    follows,
    given,
    minus,
    symmetric,
    times,
)
from convproof.proof.kernel import Theorem
from convproof.proof.language import formula, term

Range = tuple[str, Term, Term]
"""The name of an index, its first and its last value."""


def nested(ranges: Sequence[Range], body: Term) -> Term:
    """The sums of body over the ranges, the first outermost."""
    for name, lo, hi in reversed(ranges):
        body = ("sum", name, lo, hi, body)
    return body


def ranges(text: str) -> list[Range]:
    """The ranges of the notation, as in `o<O, t<F`."""
    return flattened(term(f"sum {text}: 1"))[0]


def flattened(term: Term) -> tuple[list[Range], Term]:
    """The ranges of all sums in a product of products and sums, from left to right, and the product under them."""
    match term:
        case ("sum", name, lo, hi, body):
            ranges, inner = flattened(body)
            return [(name, lo, hi), *ranges], inner
        case ("*", *parts):
            found = [flattened(part) for part in parts]
            return [each for ranges, _ in found for each in ranges], ("*", *(inner for _, inner in found))
    return [], term


def under(ranges: Sequence[Range], equation: Theorem) -> Theorem:
    """From body = other, which may rest on the indices being within their ranges: the sums of both are equal."""
    for name, lo, hi in reversed(ranges):
        equation = kernel.under_sum(("sum", name, lo, hi, equation.conclusion[1]), equation)
    return equation


def weighted(whole: Term, equation: Theorem) -> Theorem:
    """From a = b, which may rest on the indices being within their ranges, and `whole`, the sums of f: the sums of f*a
    = the sums of f*b.
    """
    over, factor = flattened(whole)
    return under(over, times(factor, equation))


def reordered(a: Term, b: Term) -> Theorem:
    """|- a = b for products of sums whose ranges are the same, all names different, in another order or grouping."""
    ranges, body = flattened(a)
    names = [name for name, _, _ in ranges]
    order = [names.index(name) for name, _, _ in flattened(b)[0]]
    return equals(a, b, kernel.exchange(nested(ranges, body), order))


def sifted(name: str, lo: Term, hi: Term, body: Term, lower: Theorem, upper: Theorem) -> Theorem:
    """From place >= lo and hi >= place: the sum over i of body(i) * [i = place] = body(place)."""
    place = lower.conclusion[1]
    found = kernel.sift(name, lo, hi, body, place)
    low, high = kernel.within(lo, place, lower), kernel.within(place, hi, upper)
    _, value, _, below = found.conclusion[2]
    products = [(1, [0]), (("*", value, below), [1]), (value, [2])]
    return certificate(("=", found.conclusion[1], value), [found, low, high], products)


def sifted_box(value: Term, *axes: tuple[Range, Theorem, Theorem]) -> Theorem:
    """From a range and place >= lo, hi >= place for i, for j, ...: the sums over i, j, ... of value(i, j, ...) *
    [i = place] * [j = place] * ... = value(place, place, ...).
    """
    (each, lower, upper), *inner = axes
    if not inner:
        return sifted(*each, value, lower, upper)
    found = sifted_box(value, *inner)
    summed = under([each], times(("is", ("v", each[0]), lower.conclusion[1]), found))
    return chain(summed, sifted(*each, found.conclusion[2], lower, upper))


def gathered(total: Term, name: str, value: Term, place: Term) -> Theorem:
    """|- the sums of value(i)*[i = place], total, over i and others = those over the others of value(place) *
    [lo <= place]*[place <= hi]; i the name, with the range lo, ..., hi.
    """
    over = flattened(total)[0]
    (each,) = (each for each in over if each[0] == name)
    found = under([other for other in over if other != each], kernel.sift(*each, value, place))
    return chain(reordered(total, found.conclusion[1]), found)


def recounted(goal: Formula, one: Theorem, lower: Theorem, upper: Theorem, *equations: Theorem) -> Theorem:
    """From: the sums over j, ... of [i = place] are 1, place >= lo, hi >= place: the goal, that the sum over i of
    body(i) = the sums over j, ... of body(place), which is rewritten by the equations.
    """
    name, lo, hi, value = goal[1][1:]
    every: Range = (name, lo, hi)
    over, hit = flattened(one.conclusion[1])
    picked = functools.reduce(kernel.rewrite, equations, sifted(*every, value, lower, upper))
    nest = nested([every, *over], ("*", value, hit))
    exchanged = kernel.exchange(nest, [*range(1, len(over) + 1), 0])
    premises = [under([every], times(value, one)), exchanged, under(over, picked)]
    return certificate(goal, premises, [(-1, [0]), (1, [1]), (1, [2])])


def none(name: str, lo: Term, hi: Term, body: Term) -> Theorem:
    """|- the sum is 0, for hi below lo by a number."""
    return kernel.last_term(("sum", name, lo, hi, body), at_least(lo, ("+", hi, 1)))


def longer(name: str, lo: Term, hi: Term, body: Term, *known: Theorem) -> Theorem:
    """From theorems that add up to hi + 1 >= lo but for a number: the sum up to hi + 1 = the sum up to hi, plus its
    term at hi + 1.
    """
    last = ("+", hi, 1)
    return kernel.last_term(("sum", name, lo, last, body), follows((">=", last, lo), *known))


def unrolled(total: Term) -> Theorem:
    """|- a sum between bounds that differ by a number = its terms, added up."""
    _, name, lo, hi, body = total
    count = constant(normal(("+", minus(hi, lo), 1)))
    if count is None:
        raise Refused("the number of terms is no number")
    steps, rest = [], total
    for _ in range(count):
        steps.append(kernel.last_term(rest, at_least(rest[3], lo)))
        rest = steps[-1].conclusion[2][1]
    places = (lo + i if isinstance(lo, int) else ("+", lo, i) for i in range(count))
    terms = [substitute(body, {name: place}) for place in places]
    added = ("+", *terms) if len(terms) > 1 else terms[0] if terms else 0
    return equals(total, added, *steps, none(*rest[1:]))


def counted(letter: str, name: str = "i") -> Theorem:
    """n >= 0 |- the sum of 1 over i < n is n, n the letter."""
    n = ("v", letter)
    claim = ("=", ("sum", name, 0, ("+", n, -1), 1), n)
    more = longer(*claim[1][1:], kernel.assume((">=", n, 0)))
    base = [none(name, 0, -1, 1)], [(1, [0])]
    return by_induction(claim, letter, base, ([more, kernel.assume(claim)], [(1, [0]), (1, [1])]))


def counted_box(*natural: Theorem) -> Theorem:
    """From a >= 0, b >= 0, ...: the number of places in a box of sizes a, b, ... is their product."""
    sizes, one = [each.conclusion[1] for each in natural], counted("n", "n")
    counts = [discharged(kernel.instantiate(one, {"n": each.conclusion[1]}), each) for each in natural]
    box = nested([(f"n{axis}", 0, ("+", size, -1)) for axis, size in enumerate(sizes)], 1)
    number = ("*", *(each.conclusion[1] for each in counts))
    return functools.reduce(kernel.rewrite, counts, kernel.identity(box, number))


def nonnegative(letter: str, name: str, body: Theorem) -> Theorem:
    """From H |- b >= 0: H, n >= 0 |- the sum of b over i < n is >= 0; n the letter, i the name, neither free in H."""
    n, value = ("v", letter), body.conclusion[1]
    claim = (">=", ("sum", name, 0, ("+", n, -1), value), 0)
    more = longer(*claim[1][1:], kernel.assume((">=", n, 0)))
    premises = [more, kernel.assume(claim), kernel.instantiate(body, {name: n})]
    base = [none(name, 0, -1, value)], [(1, [0])]
    return by_induction(claim, letter, base, (premises, [(1, [0]), (1, [1]), (1, [2])]))


def positive_sum(letter: str, name: str, body: Theorem) -> Theorem:
    """From H |- b > 0: H, n >= 0 |- the sum of b over i = 0, ..., n is > 0; n the letter, i the name, not free in H."""
    n, value = ("v", letter), body.conclusion[1]
    claim = (">", ("sum", name, 0, n, value), 0)
    once = unrolled(("sum", name, 0, 0, value))
    first, then = kernel.instantiate(body, {name: 0}), kernel.instantiate(body, {name: ("+", n, 1)})
    premises = [longer(*claim[1][1:], kernel.assume((">=", n, 0))), kernel.assume(claim), then]
    base = [once, first], [(1, [0]), (1, [1])]
    return by_induction(claim, letter, base, (premises, [(1, [0]), (1, [1]), (1, [2])]))


def joined(letter: str, name: str, start: Theorem, body: Term) -> Theorem:
    """From H |- a >= 0: H, n >= 0 |- the sum over i < a + n = that over i < a plus that of body(a + i) over i < n."""
    a, n, natural = start.conclusion[1], ("v", letter), kernel.assume((">=", ("v", letter), 0))
    rest = ("sum", name, 0, ("+", n, -1), substitute(body, {name: ("+", a, ("v", name))}))
    every, first = (("sum", name, 0, ("+", end, -1), body) for end in (("+", a, n), a))
    claim = ("=", every, ("+", first, rest))
    premises = [longer(*every[1:], start, natural), kernel.assume(claim), longer(*rest[1:], natural)]
    base = [none(name, 0, -1, rest[4])], [(-1, [0])]
    return by_induction(claim, letter, base, (premises, [(1, [0]), (1, [1]), (-1, [2])]))


@functools.cache
def one_class() -> Theorem:
    """s >= 1, n >= 0, m >= 0, s*n - 1 >= m |- the sums over q < n, r < s of [s*q + r = m] are 1: there is one quotient
    and one remainder. By induction over n the sum of [q = m] over q < s*n is one of sums over r < s.
    """
    stride, natural = given("s >= 1"), given("n >= 0")
    claim = formula("sum q<s*n: [q = m] = sum q<n, r<s: [s*q + r = m]")
    (_, name, _, _, hit), classes = claim[1:]
    covered = certificate(formula("s*n >= 0"), [stride, natural], [(1, [0, 1]), (1, [1])])
    more = kernel.instantiate(joined("length", name, covered, hit), {"length": stride.conclusion[1]})
    more = discharged(more, follows(formula("s >= 0"), stride))
    base = [none(name, 0, -1, hit), none(name, 0, -1, classes[4])], [(1, [0]), (-1, [1])]
    step = [more, kernel.assume(claim), longer(*classes[1:], natural)], [(1, [0]), (1, [1]), (-1, [2])]
    once = sifted(name, 0, term("s*n - 1"), 1, given("m >= 0"), given("s*n - 1 >= m"))
    return chain(symmetric(by_induction(claim, "n", base, step)), once)


def by_classes(letter: str, name: str, inner: str, stride: Theorem, body: Term) -> Theorem:
    """From H |- s >= 1: H, n >= 0 |- the sum over i < s*n = the sums over q < n, r < s of body(s*q + r): one for each
    class of remainders. n is the letter, r has the inner name.
    """
    s, n, i, q, r = stride.conclusion[1], *(("v", each) for each in (letter, name + "'", name, inner))
    place, last = ("+", ("*", s, q), r), ("+", ("*", s, n), -1)
    classes = [(q[1], 0, ("+", n, -1)), (inner, 0, ("+", s, -1))]
    once = discharged(kernel.instantiate(one_class(), {"s": s, "n": n, "m": i}), stride)
    bounds = (f for index, lo, hi in classes for f in ((">=", ("v", index), lo), (">=", hi, ("v", index))))
    known = [stride, *map(kernel.assume, bounds)]
    lower = certificate((">=", place, 0), known, [(1, [0, 1]), (1, [1]), (1, [3])])
    upper = certificate((">=", last, place), known, [(1, [0, 2]), (1, [2]), (1, [4])])
    every = ("sum", i[1], 0, last, substitute(body, {name: i}))
    goal = ("=", every, nested(classes, substitute(body, {name: place})))
    return recounted(goal, equals(nested(classes, ("is", i, place)), 1, once), lower, upper)
