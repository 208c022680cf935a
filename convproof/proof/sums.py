"""Rules for finite sums, made of the kernel's. Nothing here is trusted.

Names of letters and indices are arguments where a statement is made by induction: they are then free, or bound, in it.
"""

from __future__ import annotations

from collections.abc import Sequence

from convproof.proof import kernel
from convproof.proof.algebra import Formula, Term, substitute
from convproof.proof.derived import at_least, certificate, chain, equals, symmetric
from convproof.proof.kernel import Theorem

Range = tuple[str, Term, Term]
"""The name of an index, its first and its last value."""


def nested(ranges: Sequence[Range], body: Term) -> Term:
    """The sums of body over the ranges, the first outermost."""
    for name, lo, hi in reversed(ranges):
        body = ("sum", name, lo, hi, body)
    return body


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


def none(name: str, lo: Term, hi: Term, body: Term) -> Theorem:
    """|- the sum is 0, for hi below lo by a number."""
    return kernel.last_term(("sum", name, lo, hi, body), at_least(lo, ("+", hi, 1)))


def _longer(name: str, lo: Term, hi: Term, body: Term, *more: Theorem) -> Theorem:
    """The sum up to hi + 1 = the sum up to hi, plus its term at hi + 1, from theorems that add up to hi + 1 >= lo."""
    last = ("+", hi, 1)
    enough = certificate((">=", last, lo), more, [(1, [i]) for i in range(len(more))])
    return kernel.last_term(("sum", name, lo, last, body), enough)


def _naturally(claim: Formula, base: Theorem, step: Theorem, letter: str) -> Theorem:
    """By induction over the letter, the base and the step brought into the form of the claim."""
    n = ("v", letter)
    first, then = (substitute(claim, {letter: value}) for value in (0, ("+", n, 1)))
    start = certificate(first, [base], [(1, [0])])
    return kernel.induction(start, certificate(then, [step], [(1, [0])]), letter)


def counted(letter: str, name: str = "i") -> Theorem:
    """n >= 0 |- the sum of 1 over i < n is n, n the letter."""
    n, natural = ("v", letter), kernel.assume((">=", ("v", letter), 0))
    claim = ("=", ("sum", name, 0, ("+", n, -1), 1), n)
    return _naturally(
        claim,
        none(name, 0, -1, 1),
        equals(
            ("sum", name, 0, n, 1),
            ("+", n, 1),
            kernel.last_term(("sum", name, 0, n, 1), natural),
            kernel.assume(claim),
        ),
        letter,
    )


def nonnegative(letter: str, name: str, body: Theorem) -> Theorem:
    """From H |- b >= 0: H, n >= 0 |- the sum of b over i < n is >= 0; n the letter, i the name, neither free in H."""
    n, natural = ("v", letter), kernel.assume((">=", ("v", letter), 0))
    value = body.conclusion[1]
    claim = (">=", ("sum", name, 0, ("+", n, -1), value), 0)
    empty = none(name, 0, -1, value)
    base = certificate((">=", empty.conclusion[1], 0), [empty], [(1, [0])])
    longer = kernel.last_term(("sum", name, 0, n, value), natural)
    here = kernel.instantiate(body, {name: n})
    step = certificate(
        (">=", longer.conclusion[1], 0), [longer, kernel.assume(claim), here], [(1, [0]), (1, [1]), (1, [2])]
    )
    return _naturally(claim, base, step, letter)


def positive_sum(letter: str, name: str, body: Theorem) -> Theorem:
    """From H |- b > 0: H, n >= 0 |- the sum of b over i = 0, ..., n is > 0; n the letter, i the name, not free in H."""
    n = ("v", letter)
    value = body.conclusion[1]
    claim = (">", ("sum", name, 0, n, value), 0)
    once = kernel.last_term(("sum", name, 0, 0, value), at_least(0, 0))
    first, then = kernel.instantiate(body, {name: 0}), kernel.instantiate(body, {name: ("+", n, 1)})
    base = certificate(
        (">", once.conclusion[1], 0), [once, none(name, 0, -1, value), first], [(1, [0]), (1, [1]), (1, [2])]
    )
    longer = _longer(name, 0, n, value, kernel.assume((">=", n, 0)), at_least(1, 0))
    step = certificate(
        (">", longer.conclusion[1], 0), [longer, kernel.assume(claim), then], [(1, [0]), (1, [1]), (1, [2])]
    )
    return _naturally(claim, base, step, letter)


def joined(letter: str, name: str, start: Theorem, body: Term) -> Theorem:
    """From H |- a >= 0: H, n >= 0 |- the sum over i < a + n = that over i < a plus that of body(a + i) over i < n."""
    a, n = start.conclusion[1], ("v", letter)
    moved = substitute(body, {name: ("+", a, ("v", name))})
    whole_sum, first = ("sum", name, 0, ("+", a, n, -1), body), ("sum", name, 0, ("+", a, -1), body)
    claim = ("=", whole_sum, ("+", first, ("sum", name, 0, ("+", n, -1), moved)))
    empty, natural = none(name, 0, -1, moved), kernel.assume((">=", n, 0))
    base = certificate(("=", first, ("+", first, empty.conclusion[1])), [empty], [(-1, [0])])
    longer = _longer(name, 0, ("+", a, n, -1), body, start, natural)
    tail = kernel.last_term(("sum", name, 0, n, moved), natural)
    right = ("+", first, tail.conclusion[1])
    step = certificate(
        ("=", longer.conclusion[1], right), [longer, kernel.assume(claim), tail], [(1, [0]), (1, [1]), (-1, [2])]
    )
    return _naturally(claim, base, step, letter)


def by_classes(letter: str, name: str, inner: str, stride: Theorem, body: Term) -> Theorem:
    """From H |- s >= 1: H, n >= 0 |- the sum over i < s*n = the sums over q < n, r < s of body(s*q + r): one for each
    class of remainders. n is the letter, q the name, r the inner name.
    """
    s, n = stride.conclusion[1], ("v", letter)
    at = substitute(body, {name: ("+", ("*", s, ("v", name)), ("v", inner))})
    rest = ("sum", inner, 0, ("+", s, -1), at)
    claim = ("=", ("sum", name, 0, ("+", ("*", s, n), -1), body), ("sum", name, 0, ("+", n, -1), rest))
    natural = kernel.assume((">=", n, 0))
    base = chain(none(name, 0, -1, body), symmetric(none(name, 0, -1, rest)))
    covered = certificate((">=", ("*", s, n), 0), [stride, natural], [(1, [0, 1]), (1, [1])])
    length = certificate((">=", s, 0), [stride], [(1, [0]), (1, [])])
    more = kernel.instantiate(joined("length", name, covered, body), {"length": s})
    more = kernel.discharge(more, length)
    last = kernel.last_term(("sum", name, 0, n, rest), natural)
    step = equals(
        ("sum", name, 0, ("+", ("*", s, n), s, -1), body),
        last.conclusion[1],
        more,
        kernel.assume(claim),
        symmetric(last),
    )
    return _naturally(claim, base, step, letter)
