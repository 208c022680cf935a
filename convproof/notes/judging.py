"""What becomes of theories: their theorems are built and replayed, their lines verified, their relations run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy

from convproof import recheck
from convproof.crosscheck import RELATIONS, Evidence, Relation, examine
from convproof.notes.loading import load
from convproof.notes.model import Claim, Step, Theory
from convproof.proof import Refused, Theorem, proof_term
from convproof.proof.language import shown
from convproof.proof.witness import satisfied
from convproof.report.model import Equation, Expr
from convproof.symbolic import normal, symbol
from convproof.verdicts import MEANING, Rung, Verdict

Examine = Callable[[Relation[Any], int, int], Evidence]
Announce = Callable[[str], None]


@dataclass(frozen=True)
class Proof:
    """What became of a claim. PROVED means that the kernel built it, the second checker replayed it, and it is not
    vacuous.
    """

    claim: Claim
    verdict: Verdict
    reason: str
    theorem: Theorem | None
    seconds: float

    @property
    def proved(self) -> bool:
        """Whether the verdict is PROVED."""
        return self.verdict is Verdict.PROVED


@dataclass(frozen=True)
class Judgement:
    """The verdict on a theory, the rung that it stands on, and why. A worked example that holds has no verdict."""

    theory: Theory
    verdict: Verdict | None
    rung: Rung
    reason: str
    steps: tuple[bool, ...]
    evidence: tuple[Evidence, ...]
    proofs: tuple[Proof, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against the theory and every claim is proved."""
        return self.verdict is not Verdict.REFUTED and all(p.proved for p in self.proofs)


@dataclass(frozen=True)
class Outcome:
    """What the main job found."""

    judgements: tuple[Judgement, ...]
    bridge: tuple[Evidence, ...]

    @property
    def sound(self) -> bool:
        """Whether no statement is refuted and no relation fails. Errors of the notes are findings, not failures."""
        return all(j.sound for j in self.judgements) and all(e.holds for e in self.bridge)


def derive(
    announce: Announce = lambda _: None,
    cases: int = 100,
    seed: int = 0,
    theories: Sequence[Theory] | None = None,
) -> Outcome:
    """Judges theories (the bundled ones) and runs every relation; `announce` is told what comes next."""
    once = cache(examine)  # a relation that several theories name is run once
    judgements = []
    for each in theories if theories is not None else load():
        announce(each.title)
        judgements.append(judge(each, cases, seed, once))
    bridge = []
    for relation in RELATIONS:
        announce(relation.name)
        bridge.append(once(relation, cases, seed))
    return Outcome(tuple(judgements), tuple(bridge))


def judge(theory: Theory, cases: int = 100, seed: int = 0, examine: Examine = examine) -> Judgement:
    """Verifies a theory's theorems, derivation, witness and relations.

    REFUTED where a line is false, the witness violates a hypothesis or a relation fails. PROVED where all its theorems
    are; what they say stands beside the prose. Else UNKNOWN, on the rung of its weakest relation, because nothing
    short of a proof settles a statement about all sizes. A theory without equations is a worked example: about its own
    sizes alone, so it needs no verdict beyond its figures.
    """
    steps = tuple(map(holds, theory.steps))
    evidence = tuple(examine(relation, cases, seed) for relation in theory.relations)
    proofs = tuple(map(prove, theory.claims))
    rungs = [relation.rung for relation in theory.relations] or [Rung.EXACT_SAMPLE]
    rung = max(rungs, key=list(Rung).index)
    against = [f"line {i} of the derivation is false" for i, true in enumerate(steps, 1) if not true]
    against += [f"the witness violates {h.left} {h.sign} {h.right}" for h in _violated(theory)]
    against += [str(each) for each in evidence if not each.holds]
    if against:
        return Judgement(theory, Verdict.REFUTED, rung, "; ".join(against), steps, evidence, proofs)
    if not theory.equations:
        return Judgement(theory, None, rung, "computed, run and compared at these sizes", steps, evidence, proofs)
    missing = [proof.claim.name for proof in proofs if not proof.proved]
    if proofs and not missing:
        reason = f"{len(proofs)} theorem{'s' * (len(proofs) > 1)}, for all sizes and values that their hypotheses allow"
        return Judgement(theory, Verdict.PROVED, Rung.THEOREM, reason, steps, evidence, proofs)
    reason = f"not proved for all sizes and values; it holds {MEANING[rung]}"
    if missing:
        reason += f"; not proved: {', '.join(missing)}"
    return Judgement(theory, Verdict.UNKNOWN, rung, reason, steps, evidence, proofs)


def prove(claim: Claim) -> Proof:
    """Builds the theorem in the kernel, replays its written proof in the second checker, and tries the witness.

    UNKNOWN, with the reason, where any of these fails.
    """
    start = time.perf_counter()
    theorem: Theorem | None = None
    try:
        theorem = claim.prove()
        if type(theorem) is not Theorem:
            raise Refused(f"a {type(theorem).__name__} is no theorem")
        recheck.check(json.loads(json.dumps(proof_term(theorem))))
        violated = [shown(h) for h in theorem.hypotheses if not satisfied(h, dict(claim.witness))]
        reason = f"the witness does not satisfy {violated[0]}" if violated else ""
    except Refused as error:
        reason = f"the kernel refuses a step: {error}"
    except recheck.Wrong as error:
        reason = f"the second checker refuses the proof: {error}"
    except Exception as error:  # a theory is somebody's code
        reason = f"the proof breaks off: {type(error).__name__}: {' '.join(str(error).split())}"
    theorem = theorem if type(theorem) is Theorem else None
    verdict = Verdict.UNKNOWN if reason else Verdict.PROVED
    return Proof(claim, verdict, reason, theorem, time.perf_counter() - start)


def holds(step: Step) -> bool:
    """Whether the normal form of left - right is 0."""
    return bool(normal(step.left - step.right) == 0)


def _violated(theory: Theory) -> list[Equation]:
    values = {symbol(name): sympy.Integer(value) for name, value in theory.witness}
    return [h for h in theory.hypotheses if not _compare(_at(h.left, values), h.sign, _at(h.right, values))]


def _at(value: Expr, values: dict[Any, Any]) -> Any:
    return value if isinstance(value, int) else normal(value.xreplace(values))


def _compare(a: Any, sign: str, b: Any) -> bool:
    """Whether a sign b, for integers; anything else does not count as satisfied."""
    if not isinstance(a, int) or not isinstance(b, int):
        return False
    return {"=": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]
