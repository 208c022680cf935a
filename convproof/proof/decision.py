"""For which sizes a condition on one letter holds: the exact set, proved, and the smallest counterexample.

The set is found by looking at what repeats and stated as a formula; that the condition is equivalent to it is then
decided in the kernel. Nothing here is trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

from convproof.proof import kernel, quasiaffine
from convproof.proof.algebra import Formula, Term
from convproof.proof.kernel import Theorem
from convproof.proof.language import formula, shown
from convproof.symbolic import SizeSet


@dataclass(frozen=True)
class Decision:
    """What is known of a condition: `theorem` says, for every letter >= 0, that it is equivalent to membership in
    `sizes` (or to the letter being 0, where `at_zero`).
    """

    condition: Formula
    letter: str
    at_zero: bool
    sizes: SizeSet
    theorem: Theorem

    @property
    def counterexample(self) -> int | None:
        """The smallest natural number for which the condition fails, or None."""
        if not self.at_zero:
            return 0
        ends = range(1, self.sizes.start + self.sizes.modulus)
        return next((n for n in ends if n not in self.sizes), None)

    def __str__(self) -> str:
        least = self.counterexample
        if least is None:
            return f"{shown(self.condition)}: for all"
        if not self.sizes:
            where = f"only for {self.letter} = 0" if self.at_zero else "for none"
        else:
            where = f"but for {'0, and ' * self.at_zero}{self.sizes.shown(self.letter)}"
        return f"{shown(self.condition)}: not for {self.letter} = {least}, {where}"


def decide(condition: Formula | str, letter: str) -> Decision:
    """Decides comparisons, and equivalences of comparisons, of integers made of one letter >= 0 by +, multiples, floors
    of quotients by numbers, and indicators of such. Raises `Refused` for other conditions, and where more than
    `quasiaffine.MAX_SIZES` sizes would have to be looked at.

    >>> decision = decide("4*((n - 11)//4) = n - 11", "n")
    >>> decision.sizes.residues, decision.sizes.modulus, decision.counterexample
    ((3,), 4, 0)
    """
    stated = formula(condition) if isinstance(condition, str) else condition
    truth, start, length = quasiaffine.table(stated, letter)
    belongs = lambda n: truth[n] if n < start else truth[start + (n - start) % length]  # noqa: E731
    sizes = SizeSet.of(belongs, max(start, 1), length)
    claim = (">=", _membership(sizes, truth[0], ("v", letter)), 1)
    return Decision(stated, letter, truth[0], sizes, kernel.period(("iff", stated, claim), letter))


def _membership(sizes: SizeSet, at_zero: bool, n: Term) -> Term:
    """1 where n belongs, else 0."""
    listed = [("is", n, each) for each in (*([0] if at_zero else []), *sizes.below)]
    rest = ("+", n, ("*", -sizes.modulus, ("//", n, sizes.modulus)))
    repeated = ("+", 0, *(("is", rest, residue) for residue in sizes.residues))
    return ("+", *listed, ("*", ("le", sizes.start, n), repeated))
