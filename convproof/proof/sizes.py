"""The sizes that a network accepts, as one theorem of the kernel.

It says, for all integers, that everything which the layers demand holds exactly where the unknowns lie in one of the
boxes. The left side is put together layer by layer (`statement`); that the boxes on the right side are those of the
symbolic wing is checked.

A demand on one unknown is decided by the kernel's rule `period`; one that compares a product of sizes, each of one
unknown, is taken apart by the values of its factors (`products`).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convproof import recheck
from convproof.architecture import Network
from convproof.errors import Disagreement, SpecError, Undecided
from convproof.proof import kernel
from convproof.proof.algebra import Refused, Term, free, substitute
from convproof.proof.derived import certificate, equals, product
from convproof.proof.kernel import Theorem
from convproof.proof.language import shown, written
from convproof.proof.membership import Boxes, box_term, boxes_term, by_period, membership, parts_of, where
from convproof.proof.products import taken_apart
from convproof.proof.statement import Condition, conditions
from convproof.proof.written import proof_term
from convproof.symbolic.accepted import Accepted, accepted_by, canonical, unknowns_of
from convproof.symbolic.shapes import infer, of_any_size
from convproof.symbolic.sizesets import SizeSet

MOST_LAYERS = 2_000
"""The longest network that is stated as one theorem."""


@dataclass(frozen=True)
class ProvedSizes:
    """A theorem on the accepted sizes: for all integers in place of the unknowns, everything that the layers demand
    holds exactly where they lie in one of the boxes, and satisfy what is `tied`, where boxes do not say all.
    """

    theorem: Theorem
    unknowns: tuple[str, ...]
    boxes: tuple[dict[str, SizeSet], ...]
    tied: tuple[str, ...] = ()

    @property
    def statement(self) -> str:
        """What the kernel says was proved."""
        return shown(self.theorem.conclusion)

    def proof_term(self) -> dict[str, Any]:
        """The proof as plain data, for `python -m convproof.recheck`."""
        return proof_term(self.theorem)


def prove_sizes(network: Network, accepted: Accepted | None = None) -> ProvedSizes:
    """The accepted sizes of a network, proved for all sizes at once and replayed by the second checker.

    `accepted` is what the symbolic wing found, if it is known already. Raises `Undecided` with the reason where no
    theorem is found, and `Disagreement` where it is about other sizes.

    >>> from convproof.architecture.notation import network
    >>> print(prove_sizes(network("INPUT[WxWx3] -> CONV(K=96, F=11, S=4)")).statement)
    for all W: [1 <= W]*[0 <= W - 11] >= 1 iff [11 <= W] >= 1
    """
    general = of_any_size(network)
    found = infer(general)
    accepted = accepted_by(found) if accepted is None else accepted
    for reason in accepted.undecided:
        raise Undecided(reason)
    if len(network) > MOST_LAYERS:
        raise Undecided(f"a theorem of {len(network)} layers is not attempted; {MOST_LAYERS} is the limit")
    try:
        equation, boxes, tied = _equation(general)
        if accepted.boxes is not None and tied:
            raise Refused(f"{written(tied[0])} is not decided")
    except (Refused, SpecError) as error:
        raise Undecided(f"the accepted sizes are not proved: {error}") from None
    boxes = [{name: box[name] for name in accepted.unknowns} for box in boxes]
    if accepted.boxes is not None and canonical(boxes) != canonical(accepted.boxes):
        raise Disagreement(f"the kernel finds {boxes}, the symbolic wing {accepted.boxes}.")
    theorem = _for_all(equation, accepted.unknowns)
    try:
        recheck.check(json.loads(json.dumps(proof_term(theorem))))
    except recheck.Wrong as error:
        raise Undecided(f"the second checker does not replay the proof: {error}") from None
    return ProvedSizes(theorem, accepted.unknowns, tuple(boxes), tuple(map(written, tied)))


def _for_all(equation: Theorem, unknowns: Sequence[str]) -> Theorem:
    """From net = set: for all unknowns, net >= 1 iff set >= 1."""
    _, net, accepted = equation.conclusion
    here, there = (">=", net, 1), (">=", accepted, 1)
    forward = certificate(there, [kernel.assume(here), equation], [(1, [0]), (-1, [1])])
    backward = certificate(here, [kernel.assume(there), equation], [(1, [0]), (1, [1])])
    return functools.reduce(kernel.generalize, reversed(unknowns), kernel.equivalent(forward, backward))


def _equation(network: Network) -> tuple[Theorem, Boxes, list[Term]]:
    """|- all that is demanded = being in one of the boxes, times what is tied; the boxes; and what is tied."""
    unknowns = unknowns_of(network)
    names = {letter: f"n{number}'" for number, letter in enumerate(unknowns)}  # so that no name means something here
    own = {names[letter]: ("v", name) for letter, name in unknowns.items()}
    try:
        equation, boxes, tied = _solved(conditions(infer(network), names), list(names.values()))
    except Refused:
        if len(unknowns) > 1 or len(network.image.sizes) == 1:
            raise
        return _on_the_diagonal(network)
    named = [{own[letter][1]: sizes for letter, sizes in box.items()} for box in boxes]
    return kernel.instantiate(equation, own), named, [substitute(each, own) for each in tied]


def _on_the_diagonal(network: Network) -> tuple[Theorem, Boxes, list[Term]]:
    """The same for one letter on several axes, from the theorem on axes of their own."""
    apart = of_any_size(network, letters=True)
    equation, boxes, tied = _equation(apart)
    ((letter, name),) = unknowns_of(network).items()
    values: dict[str, Any] = {}
    for axis, n in zip(unknowns_of(apart).values(), network.image.sizes, strict=True):
        if not (isinstance(n, int) or str(n) == name):
            raise Refused(f"a size of {n} is more than the letter {letter}")
        values[axis] = n if isinstance(n, int) else ("v", name)
    here = kernel.instantiate(equation, values)
    fixed = {axis: n for axis, n in values.items() if isinstance(n, int)}
    inside = [box for box in boxes if all(n in box[axis] for axis, n in fixed.items())]
    sets = [functools.reduce(lambda a, b: a & b, (s for axis, s in box.items() if axis not in fixed)) for box in inside]
    joined = functools.reduce(lambda a, b: a | b, sets, SizeSet((), 1, 1, ()))
    left = [
        (low, ("*", rest, *(membership(s, ("v", name)) for s in others)))
        for box in inside
        for first, *others in [[s for axis, s in box.items() if axis not in fixed]]
        for low, rest in parts_of(first, ("v", name))
    ]
    single = by_period(name, left, parts_of(joined, ("v", name)))
    found = [{name: joined}] if joined else []
    bound = [substitute(each, values) for each in tied]
    target = boxes_term(found, [name], bound)
    sum_of_both = equals(here.conclusion[1], target, here, _scaled(single, bound)) if bound else None
    return sum_of_both or equals(here.conclusion[1], target, here, single), found, bound


def _scaled(equation: Theorem, factors: Sequence[Term]) -> Theorem:
    _, a, b = equation.conclusion
    return certificate(("=", ("*", a, *factors), ("*", b, *factors)), [equation], [(("*", 1, *factors), [0])])


# --- what is demanded -------------------------------------------------------------------------------------------------


def _solved(demanded: Sequence[Condition], letters: Sequence[str]) -> tuple[Theorem, Boxes, list[Term]]:
    """|- the product of all conditions = being in one of the boxes, times what is tied."""
    alone: dict[str, list[Term]] = {letter: [] for letter in letters}
    several: list[Condition] = []
    plain: list[Term] = []  # what has no letter, so that it never holds
    for each in demanded:
        among = free(each.term)
        if len(among) == 1:
            alone[next(iter(among))].append(each.term)
        else:
            (several.append(each) if among else plain.append(each.term))
    box, equations = {}, []
    for letter in letters:
        rest = ("*", 1, *alone[letter]) if alone[letter] else 1
        box[letter] = where(letter, ("*", ("le", 1, ("v", letter)), rest))
        equations.append(by_period(letter, [(1, rest)], parts_of(box[letter], ("v", letter))))
    net = ("*", *(("le", 1, ("v", letter)) for letter in letters), *(each.term for each in demanded))
    boxes = [box] if all(box.values()) and not plain else []
    found = product(*equations) if len(equations) > 1 else equations[0]
    sofar = ("*", 1, *(("le", 1, ("v", letter)) for letter in letters), *(t for each in alone.values() for t in each))
    state = equals(sofar, boxes_term(boxes or [box], letters), found)
    if not boxes:
        others = ("*", 1, *plain, *(each.term for each in several))
        return certificate(("=", net, 0), [state], [(others, [0])]), [], []
    tied = []
    for each in several:
        if each.product is None:
            tied.append(each.term)
            continue
        state, boxes = _with_product(state, boxes, letters, each)
    target = boxes_term(boxes, letters, tied)
    return certificate(("=", net, target), [state], [(("*", 1, *tied), [0])]), boxes, tied


def _with_product(state: Theorem, boxes: Boxes, letters: Sequence[str], each: Condition) -> tuple[Theorem, Boxes]:
    """From t = being in one of the boxes: t times the condition = being in one of the boxes in which it holds."""
    assert each.product is not None  # for the type checker
    among = [letter for letter, _ in each.product.factors]
    others = [letter for letter in letters if letter not in among]
    found: Boxes = []
    premises, products = [state], [(each.term, [0])]
    for box in boxes:
        inside, lemma = taken_apart({letter: box[letter] for letter in among}, each.product, each.product.number)
        rest = box_term(box, others) if others else 1
        found += [{**box, **part} for part in inside]
        products.append((rest, [len(premises)]))
        premises.append(lemma)
    found.sort(key=lambda box: [next(iter(box[letter])) for letter in letters])
    goal = ("=", ("*", state.conclusion[1], each.term), boxes_term(found, letters))
    return certificate(goal, premises, products), found
