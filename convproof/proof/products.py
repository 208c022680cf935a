"""A product of factors, each of one unknown, that must compare with a number, taken apart by the values of its factors.

Where a factor f is v, the demand is one on the others alone, since [f = v]*t(f) = [f = v]*t(v); where f is larger than
all that matter, an inequality settles it. Of two factors whose product must be N, one is at most the root of N, so that
few values matter: first those of one factor, then, where it is larger, those of the other.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

from convproof.proof import kernel
from convproof.proof.algebra import Refused, Term
from convproof.proof.derived import certificate, congruence, discharged, equals, follows, whole
from convproof.proof.indicators import at_least, congruent, excluded, zero_or_one
from convproof.proof.kernel import Theorem
from convproof.proof.membership import Boxes, box_term, boxes_term, by_period, membership, parts_of, where
from convproof.proof.statement import Product
from convproof.symbolic.sizesets import SizeSet

MOST_CLASSES = (100, 20)
"""How many values of a factor are gone through beside one other, and beside two."""


def taken_apart(box: Mapping[str, SizeSet], demand: Product, number: int) -> tuple[Boxes, Theorem]:
    """(boxes, |- being in the box, times that number*(its factors) meets the demand = being in one of the boxes)."""
    letters = list(box)
    factors = [dict(demand.factors)[letter] for letter in letters]
    if len(letters) == 1:
        (letter,), n = letters, ("v", letters[0])
        holds = demand.holds(("*", number, *factors))
        inside = where(letter, ("*", membership(box[letter], n), holds))
        left = [(low, ("*", rest, holds)) for low, rest in parts_of(box[letter], n)]
        return [{letter: inside}] if inside else [], by_period(letter, left, parts_of(inside, n))
    return _Classes(box, demand, number).summed()


class _Classes:
    """A box, taken apart by what the factor of its first letter is."""

    def __init__(
        self, box: Mapping[str, SizeSet], demand: Product, number: int, least: Mapping[str, int] | None = None
    ) -> None:
        self.box, self.demand, self.number = box, demand, number
        self.least = {letter: (least or {}).get(letter, 1) for letter in box}
        (self.letter, *self.others), self.factors = list(box), dict(demand.factors)
        self.n, self.factor = ("v", self.letter), self.factors[self.letter]
        self.rest = {letter: box[letter] for letter in self.others}
        self.holds = demand.holds(("*", number, *(self.factors[letter] for letter in box)))
        self.boxes: Boxes = []
        self.premises: list[Theorem] = []
        self.products: list[tuple[Term, list[int]]] = []
        self.sets: list[SizeSet] = []
        self.groups: list[tuple[Boxes, list[SizeSet]]] = []

    def summed(self) -> tuple[Boxes, Theorem]:
        """The boxes of all classes together, and the theorem that they are all."""
        if self.demand.sign == "multiple":
            modulus = self.demand.bound // math.gcd(self.demand.bound, self.number)
            self._bounded(modulus)
            for residue in range(modulus):
                self._residue(residue, modulus)
        else:
            total = self.demand.bound // self.number
            most = total if self.demand.sign == "=" else -(-self.demand.bound // self.number) - 1
            if self.demand.sign == "=" and len(self.others) == 1:
                first_turn = self.least == dict.fromkeys(self.box, 1)
                most = math.isqrt(total) if first_turn else total // self.least[self.others[0]]
            self._bounded(most)
            for value in range(self.least[self.letter], most + 1):
                self._value(value)
            self._beyond(max(most, 0))
        return self._together()

    def _bounded(self, classes: int) -> None:
        most = MOST_CLASSES[len(self.others) - 1]
        if classes > most:
            raise Refused(f"a factor has {classes} values that matter; {most} are gone through")

    def _add(self, sizes: SizeSet, boxes: Boxes, premise: Theorem, lemma: Theorem | None) -> None:
        """A class: its sizes, the boxes that the others have there, |- [in the class]*holds = [in the class]*there,
        and |- [others in their box]*there = [others in boxes].
        """
        others = box_term(self.rest, self.others)
        self.products.append((others, [len(self.premises)]))
        self.premises.append(premise)
        if lemma is not None:
            self.products.append((membership(sizes, self.n), [len(self.premises)]))
            self.premises.append(lemma)
        self.sets.append(sizes)
        self._group(sizes, boxes)

    def _class(self, key: Term) -> SizeSet:
        return where(self.letter, ("*", membership(self.box[self.letter], self.n), key))

    def _lies_in(self, sizes: SizeSet, key: Term) -> Theorem:
        """|- [n in sizes]*key = [n in sizes], where key is 1 on all of them."""
        left = [(low, ("*", rest, key)) for low, rest in parts_of(sizes, self.n)]
        return by_period(self.letter, left, parts_of(sizes, self.n))

    def _replaced(self, sizes: SizeSet, key: Term, place: Theorem, there: Term) -> Theorem:
        """|- [n in sizes]*holds = [n in sizes]*there, from key*holds = key*there."""
        inside, member = self._lies_in(sizes, key), membership(sizes, self.n)
        goal = ("=", ("*", member, self.holds), ("*", member, there))
        products = [(("*", -1, self.holds), [0]), (member, [1]), (there, [0])]
        return certificate(goal, [inside, place], products)

    def _at(self, value: Term) -> Term:
        return self.demand.holds(("*", self.number, value, *(self.factors[letter] for letter in self.others)))

    def _value(self, value: int) -> None:
        """The class in which the factor has a value."""
        key: Term = ("is", self.factor, value)
        if sizes := self._class(key):
            boxes, lemma = taken_apart(self.rest, self.demand, self.number * value)
            there = self._at(value)
            place = congruent(self._at(("v", "q")), self.factor, value)
            self._add(sizes, boxes, self._replaced(sizes, key, place, there), lemma)

    def _residue(self, residue: int, modulus: int) -> None:
        """The class in which the factor is modulus*k + residue."""
        k = ("//", self.factor, modulus)
        spread: Term = ("+", ("*", modulus, k), residue)
        key: Term = ("is", self.factor, spread)
        if not (sizes := self._class(key)):
            return
        if residue:
            boxes, lemma = taken_apart(self.rest, self.demand, self.number * residue)
        else:
            boxes, lemma = [dict(self.rest)], None
        others = [self.factors[letter] for letter in self.others]
        whole_part: Term = ("*", self.number * modulus // self.demand.bound, k, *others)
        part: Term = ("*", self.number * residue, *others)
        divided = whole(part, follows((">=", self.demand.bound, 1)), whole_part)
        spread_out: Term = ("+", part, ("*", self.demand.bound, whole_part))
        left = ("is", ("+", spread_out, ("*", -self.demand.bound, ("v", "q"))), 0)
        there = self.demand.holds(part) if residue else 1
        same = equals(self._at(spread), there, congruence(left, divided))
        place = congruent(self._at(("v", "q")), self.factor, spread)
        moved = certificate(("=", ("*", key, self.holds), ("*", key, there)), [place, same], [(1, [0]), (key, [1])])
        self._add(sizes, boxes, self._replaced(sizes, key, moved, there), lemma)

    def _beyond(self, most: int) -> None:
        """The class in which the factor is larger than all values that matter: the demand fails there, or holds."""
        if not (sizes := self._class(("le", most + 1, self.factor))):
            return
        if self.demand.sign == "=" and self.number * (most + 1) * self.least[self.others[0]] <= self.demand.bound:
            (other,) = self.others  # then the other factor is small: it is the turn of its values
            turned = {other: self.rest[other], self.letter: sizes}
            boxes, lemma = _Classes(turned, self.demand, self.number, {self.letter: most + 1}).summed()
            self._settled(sizes, lemma)
            self.boxes += boxes
            return
        ranges = {self.letter: sizes, **self.rest}
        bounds = {self.letter: most + 1, **{letter: self.least[letter] for letter in self.others}}
        values: dict[str, Term] = {}
        known: list[Theorem] = []
        for place, (letter, among) in enumerate(ranges.items()):
            values |= {f"m{place}": membership(among, ("v", letter)), f"f{place}": self.factors[letter]}
            known += [self._natural(letter, among), self._above(letter, among, bounds[letter])]
        lemma = _large(self.demand, self.number, tuple(bounds.values()))
        self._settled(sizes, discharged(kernel.instantiate(lemma, values), *known))
        if self.demand.sign != "=":
            self._group(sizes, [dict(self.rest)])

    def _settled(self, sizes: SizeSet, lemma: Theorem) -> None:
        """A class of which |- [in the class]*[others in their box]*holds = something is known."""
        self.products.append((1, [len(self.premises)]))
        self.premises.append(lemma)
        self.sets.append(sizes)

    def _group(self, sizes: SizeSet, boxes: Boxes) -> None:
        """Classes with the same boxes of the others are one."""
        for known, members in self.groups:
            if known == boxes:
                members.append(sizes)
                return
        self.groups.append((boxes, [sizes]))

    def _natural(self, letter: str, sizes: SizeSet) -> Theorem:
        """|- [in sizes] >= 0."""
        return by_period(letter, parts_of(sizes, ("v", letter)), [], ">=")

    def _above(self, letter: str, sizes: SizeSet, bound: int) -> Theorem:
        """|- [in sizes]*(factor - bound) >= 0, where the letter's factor is as large on all of them."""
        n, factor = ("v", letter), self.factors[letter]
        key = ("le", bound, factor)
        left = [(low, ("*", rest, key)) for low, rest in parts_of(sizes, n)]
        inside = by_period(letter, left, parts_of(sizes, n))
        over: Term = ("+", factor, -bound)
        goal = (">=", ("*", membership(sizes, n), over), 0)
        premises = [self._natural(letter, sizes), at_least(bound, factor), inside]
        return certificate(goal, premises, [(1, [0, 1]), (("*", -1, over), [2])])

    def _together(self) -> tuple[Boxes, Theorem]:
        """The classes make up the box; those with the same boxes of the others are one."""
        n, own = self.n, self.box[self.letter]
        every = [part for sizes in self.sets for part in parts_of(sizes, n)]
        partition = by_period(self.letter, parts_of(own, n), every)
        others = box_term(self.rest, self.others)
        premises, products = [*self.premises, partition], [*self.products]
        products.append((("*", others, self.holds), [len(self.premises)]))
        boxes = self.boxes
        for inside, members in self.groups:
            if not inside:
                continue
            joined = functools.reduce(lambda a, b: a | b, members)
            parts = [part for sizes in members for part in parts_of(sizes, n)]
            products.append((boxes_term(inside, self.others), [len(premises)]))
            premises.append(by_period(self.letter, parts, parts_of(joined, n)))
            boxes += [{self.letter: joined, **box} for box in inside]
        letters = [self.letter, *self.others]
        goal = ("=", ("*", membership(own, n), others, self.holds), boxes_term(boxes, letters))
        return boxes, certificate(goal, premises, products)


@functools.lru_cache(maxsize=256)
def _large(demand: Product, number: int, bounds: tuple[int, ...]) -> Theorem:
    """m >= 0 and m*(f - bound) >= 0, for letters m and f to each bound: the product of all m, times that
    number*(the product of all f) meets the demand, is that product, or 0 where an equality is demanded; for bounds so
    large that it is settled by them.
    """
    members: list[Term] = []
    factors: list[Term] = []
    for place, bound in enumerate(bounds):
        m, f = ("v", f"m{place}"), ("v", f"f{place}")
        sign = kernel.assume((">=", m, 0))
        over = kernel.assume((">=", ("*", m, ("+", f, -bound)), 0))
        if not place:
            natural, least, above = sign, bound, over
        else:  # m*(f - a) >= 0 and n*(g - b) >= 0: m*n*(f*g - a*b) >= 0
            product: Term = ("*", *members, m, ("+", ("*", *factors, f), -least * bound))
            added = [(1, [0, 1]), (bound, [0, 3]), (least, [1, 2])]
            above = certificate((">=", product, 0), [above, over, natural, sign], added)
            natural = certificate((">=", ("*", *members, m), 0), [natural, sign], [(1, [0, 1])])
            least *= bound
        members.append(m)
        factors.append(f)
    every, reached = ("*", *members), ("*", number, *factors)
    if demand.sign == "=":
        fails, gap, settled = demand.holds(reached), kernel.indicator(reached, demand.bound), demand.bound
        crossed: tuple[Term, list[int]] = (("*", -1, every), [3])
    else:
        fails, settled = ("le", ("+", reached, 1), demand.bound), demand.bound - 1
        gap, crossed = at_least(("+", reached, 1), demand.bound), (1, [1, 3])
    never, _ = zero_or_one(fails)
    failing = ("*", every, fails)
    premises = [above, natural, never, gap]
    below = certificate((">=", 0, failing), premises, [(number, [0, 2]), crossed], number * least - settled)
    nothing = kernel.antisymmetry(certificate((">=", failing, 0), premises, [(1, [1, 2])]), below)
    if demand.sign == "=":
        return nothing
    goal = ("=", ("*", every, demand.holds(reached)), every)
    return certificate(goal, [excluded(demand.bound, reached), nothing], [(every, [0]), (-1, [1])])
