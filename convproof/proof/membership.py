"""Sets of sizes as terms that are 1 on the set and else 0, and equations between such, decided by one period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from convproof.proof import kernel, quasiaffine
from convproof.proof.algebra import Term
from convproof.proof.derived import certificate, follows
from convproof.proof.indicators import decided
from convproof.proof.kernel import Theorem
from convproof.symbolic.sizesets import SizeSet

Boxes = list[dict[str, SizeSet]]
Parts = list[tuple[int, Term]]
"""A sum of products [low <= n]*rest, with 1 <= low, so that it is 0 for n <= 0."""


def parts_of(sizes: SizeSet, n: Term) -> Parts:
    """Membership in a set: ranges, and the residues from some size on."""
    found: Parts = []
    for _, row in groupby(enumerate(sizes.below), lambda pair: pair[1] - pair[0]):
        run = [m for _, m in row]
        found.append((run[0], ("le", n, run[-1])))
    if sizes.residues:
        rest = ("+", n, ("*", -sizes.modulus, ("//", n, sizes.modulus)))
        residues = [("is", rest, r) for r in sizes.residues]
        repeated = residues[0] if len(residues) == 1 else ("+", *residues)
        found.append((sizes.start, 1 if sizes.modulus == 1 else repeated))
    return found


def sum_of(parts: Parts, n: Term) -> Term:
    products = [("le", low, n) if rest == 1 else ("*", ("le", low, n), rest) for low, rest in parts]
    return products[0] if len(products) == 1 else ("+", *products) if products else 0


def membership(sizes: SizeSet, n: Term) -> Term:
    """1 where n belongs to a set, else 0."""
    return sum_of(parts_of(sizes, n), n)


def box_term(box: Mapping[str, SizeSet], letters: Sequence[str]) -> Term:
    members = [membership(box[letter], ("v", letter)) for letter in letters]
    return members[0] if len(members) == 1 else ("*", *members)


def boxes_term(boxes: Boxes, letters: Sequence[str], factors: Sequence[Term] = ()) -> Term:
    """1 in one of some disjoint boxes, else 0; times the factors."""
    terms = [box_term(box, letters) for box in boxes]
    union = terms[0] if len(terms) == 1 else ("+", *terms) if terms else 0
    return ("*", union, *factors) if factors else union


def where(letter: str, value: Term) -> SizeSet:
    """The positive integers at which an indicator of one letter is 1, found by the kernel's own table."""
    truth, start, length = quasiaffine.table(("=", value, 1), letter)
    belongs = lambda n: truth[n] if n < start else truth[start + (n - start) % length]  # noqa: E731
    return SizeSet.of(belongs, max(start, 1), length)


def by_period(letter: str, left: Parts, right: Parts, sign: str = "=") -> Theorem:
    """|- left = right (or >=) for all integers, sums of one letter: decided from 0 on, and both are 0 below."""
    n = ("v", letter)
    goal = (sign, sum_of(left, n), sum_of(right, n))
    below = kernel.assume((">=", 0, ("+", n, 1)))
    lows = [(1, low, rest) for low, rest in left] + [(-1, low, rest) for low, rest in right]
    zeros = [decided(follows((">", low, n), below)) for _, low, _ in lows] or [below]
    nothing = certificate(goal, zeros, [(("*", side, rest), [i]) for i, (side, _, rest) in enumerate(lows)])
    return kernel.cases(kernel.period(goal, letter), nothing, n, 0)
