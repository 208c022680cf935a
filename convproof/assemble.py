"""The main job: theories are judged, the bridge is run, and a `Report` comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import convproof
from convproof import theory
from convproof.crosscheck import RELATIONS, Evidence, examine
from convproof.report import Report, Table, Text
from convproof.theory import Judgement, Theory
from convproof.verdicts import MEANING, Verdict

CASES = 100

Announce = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What the main job found."""

    judgements: tuple[Judgement, ...]
    bridge: tuple[Evidence, ...]

    @property
    def sound(self) -> bool:
        """Whether no statement is refuted and no relation fails. Errors of the notes are findings, not failures."""
        return all(j.sound for j in self.judgements) and all(e.holds for e in self.bridge)

    def summary(self) -> str:
        """One line a person reads first."""
        findings = [f for j in self.judgements for f in j.theory.findings]
        wrong = sum(not f.agrees for f in findings)
        refuted = sum(j.verdict is Verdict.REFUTED for j in self.judgements)
        failing = sum(not e.holds for e in self.bridge)
        proofs = [p for j in self.judgements for p in j.proofs]
        proved = sum(p.proved for p in proofs)
        return (
            f"{proved} of {len(proofs)} theorems proved; "
            f"{len(self.judgements)} statements and examples, {refuted} refuted; "
            f"{len(self.bridge)} relations on drawn cases, {failing} failing; "
            f"{len(findings)} figures and claims of the notes, {wrong} wrong"
        )


def derive(
    announce: Announce = lambda _: None,
    cases: int = CASES,
    seed: int = 0,
    theories: Sequence[Theory] | None = None,
) -> Outcome:
    """Judges theories (the bundled ones) and runs every relation; `announce` is told what comes next."""
    once = cache(examine)  # a relation that several theories name is run once
    judgements = []
    for each in theories if theories is not None else theory.load():
        announce(each.title)
        judgements.append(theory.judge(each, cases, seed, once))
    bridge = []
    for relation in RELATIONS:
        announce(relation.name)
        bridge.append(once(relation, cases, seed))
    return Outcome(tuple(judgements), tuple(bridge))


def report(outcome: Outcome) -> Report:
    """The outcome as a document."""
    wrong = [(j, f) for j in outcome.judgements for f in j.theory.findings if not f.agrees]
    summary = (
        Text(
            "Sizes, costs, receptive fields and gradients of convolutional networks: derived from the"
            " window law, with every "
            "line verified, and held against code that runs without knowing the formulas. Each result"
            " says what it rests on."
        ),
        Text(f"{outcome.summary()}."),
        theory.summary_table(outcome.judgements),
        Table(
            "Claims of the notes that are wrong, or wrong as read",
            ("where", "claim", "printed", "computed"),
            tuple((j.theory.title, f.claim, f.printed, f.computed) for j, f in wrong),
        ),
        Table(
            "The bridge: what runs against what is derived",
            (
                "relation",
                "states",
                "rung",
                "cases",
                "a wrong polynomial survives one draw with probability at most",
                "holds",
            ),
            tuple(_bridge_row(e) for e in outcome.bridge),
            frozenset(i for i, e in enumerate(outcome.bridge) if not e.holds),
        ),
        Table("What the rungs mean", ("rung", "holds"), tuple((rung.value, text) for rung, text in MEANING.items())),
    )
    data: dict[str, Any] = {
        "theorems": [p.to_json(j.theory.id) for j in outcome.judgements for p in j.proofs],
        "statements": [j.to_json() for j in outcome.judgements if j.verdict is not None],
        "examples": [j.to_json() for j in outcome.judgements if j.verdict is None],
        "relations": list(outcome.bridge),
    }
    sections = tuple(j.section() for j in outcome.judgements)
    return Report("Convolutional networks, derived", convproof.__version__, summary, sections, data)


def _bridge_row(evidence: Evidence) -> tuple[Any, ...]:
    risk = f"{evidence.miss_probability:.1g}" if evidence.miss_probability else "no bound"
    holds = "yes" if evidence.holds else f"NO: {evidence.counterexample}"
    return (evidence.relation, evidence.statement, evidence.rung.value, evidence.cases, risk, holds)
