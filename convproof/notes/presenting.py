"""Theories and what became of them, for people and for other programs: blocks, tables, sections and entries of JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import convproof
from convproof.crosscheck import Evidence
from convproof.notes.judging import Judgement, Outcome, Proof
from convproof.notes.model import Finding, Theory
from convproof.proof import axioms
from convproof.proof.algebra import free
from convproof.proof.language import shown, written
from convproof.report.model import Block, Derivation, Equation, Folded, Line, Report, Section, Table, Text
from convproof.verdicts import MEANING, Rung, Verdict


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
        Text(f"{headline(outcome)}."),
        summary_table(outcome.judgements),
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
        "theorems": [theorem_entry(j.theory, p) for j in outcome.judgements for p in j.proofs],
        "statements": [theory_entry(j) for j in outcome.judgements if j.verdict is not None],
        "examples": [theory_entry(j) for j in outcome.judgements if j.verdict is None],
        "relations": list(outcome.bridge),
    }
    sections = tuple(map(section, outcome.judgements))
    return Report("Convolutional networks, derived", convproof.__version__, summary, sections, data)


def headline(outcome: Outcome) -> str:
    """One line a person reads first."""
    findings = [f for j in outcome.judgements for f in j.theory.findings]
    wrong = sum(not f.agrees for f in findings)
    refuted = sum(j.verdict is Verdict.REFUTED for j in outcome.judgements)
    failing = sum(not e.holds for e in outcome.bridge)
    proofs = [p for j in outcome.judgements for p in j.proofs]
    proved = sum(p.proved for p in proofs)
    return (
        f"{proved} of {len(proofs)} theorems proved; "
        f"{len(outcome.judgements)} statements and examples, {refuted} refuted; "
        f"{len(outcome.bridge)} relations on drawn cases, {failing} failing; "
        f"{len(findings)} figures and claims of the notes, {wrong} wrong"
    )


def summary_table(judgements: Iterable[Judgement]) -> Table:
    """One row a theory: its verdict, its rung, and how much was tried."""
    rows = [
        (
            j.theory.title,
            _word(j),
            f"{sum(p.proved for p in j.proofs)} of {len(j.proofs)}" if j.proofs else "",
            j.rung.value,
            sum(j.steps),
            sum(e.cases for e in j.evidence),
            f"{sum(f.agrees for f in j.theory.findings)} of {len(j.theory.findings)}" if j.theory.findings else "",
        )
        for j in judgements
    ]
    marked = frozenset(i for i, row in enumerate(rows) if row[1] == Verdict.REFUTED)
    columns = (
        "statement",
        "verdict",
        "theorems proved",
        "rung",
        "lines verified",
        "cases",
        "figures that agree",
    )
    return Table("Statements, and what each stands on", columns, tuple(rows), marked)


def section(judgement: Judgement) -> Section:
    """The theory as a part of a report."""
    t, proofs = judgement.theory, judgement.proofs
    blocks: list[Block] = [Text(t.statement), *t.equations]
    if t.hypotheses:
        witness = ", ".join(f"{name} = {value}" for name, value in t.witness)
        blocks += [Text(f"Provided that (satisfied, for example, by {witness}):"), *t.hypotheses]
    if proofs:
        proved = sum(p.proved for p in proofs)
        inside = tuple(block for proof in proofs for block in _theorem_blocks(proof))
        blocks.append(Folded(f"Proved for all sizes: {proved} of {len(proofs)} theorems", inside))
    if t.steps:
        lines = (
            Line(Equation(step.shown or step.left, step.right), step.because, true)
            for step, true in zip(t.steps, judgement.steps, strict=True)
        )
        blocks.append(Derivation(tuple(lines)))
    blocks += t.exhibits
    if t.findings:
        blocks.append(_findings(t.findings))
    if judgement.evidence:
        ran = sum(e.cases for e in judgement.evidence)
        checked = tuple(Text(f"{e.statement}. {e}.") for e in judgement.evidence)
        blocks.append(Folded(f"Checked by running: {ran} cases", checked))
    return Section(t.id, t.title, t.source, tuple(blocks), _word(judgement), judgement.rung.value, judgement.reason)


def theorem_entry(theory: Theory, proof: Proof) -> dict[str, Any]:
    """An entry of the list of theorems in JSON documents, all but the time that the proof took."""
    return {
        "id": f"{theory.id}.{proof.claim.name}",
        "words": proof.claim.words,
        "statement": _statement(proof),
        "verdict": proof.verdict.value,
        "rung": Rung.THEOREM.value if proof.proved else "",
        "reason": proof.reason,
        "hypotheses": [shown(h) for h in proof.theorem.hypotheses] if proof.theorem else [],
        "witness": _witness(proof),
        "axioms": axioms(proof.theorem) if proof.theorem else [],
        "oracles": [],
        "rechecked": proof.proved,
    }


def theory_entry(judgement: Judgement) -> dict[str, Any]:
    """An entry of the list of statements or examples in JSON documents."""
    t = judgement.theory
    return {
        "id": t.id,
        "statement": t.statement,
        "verdict": judgement.verdict and judgement.verdict.value,
        "rung": judgement.rung.value,
        "reason": judgement.reason,
        "hypotheses": [f"{h.left} {h.sign} {h.right}" for h in t.hypotheses],
        "witness": dict(t.witness),
        "steps": len(t.steps),
        "evidence": [str(evidence) for evidence in judgement.evidence],
        "findings": [
            {"claim": f.claim, "printed": f.printed, "computed": str(f.computed), "agrees": f.agrees}
            for f in t.findings
        ],
    }


def _word(judgement: Judgement) -> str:
    """The verdict for people."""
    return "worked example" if judgement.verdict is None else judgement.verdict.value


def _statement(proof: Proof) -> str:
    """What the kernel says was proved."""
    return shown(proof.theorem.conclusion) if proof.theorem else proof.claim.words


def _witness(proof: Proof) -> dict[str, Any]:
    """The witness; without hypotheses any numbers do, and every letter is put at 1."""
    if proof.theorem is not None and not proof.theorem.hypotheses:
        letters = sorted(free(proof.theorem.conclusion))
        return dict.fromkeys(letters, 1) or {"any": "the theorem has no letters"}
    return {name: v if isinstance(v, int) else written(v) for name, v in proof.claim.witness}


def _theorem_blocks(proof: Proof) -> tuple[Block, ...]:
    """The claim in words, and what was proved."""
    if proof.theorem is None:
        return (Text(f"{proof.claim.words} {proof.verdict.value}: {proof.reason}"),)
    given = ", ".join(f"`{shown(h)}`" for h in proof.theorem.hypotheses)
    return (
        Text(proof.claim.words),
        Text(f"`{_statement(proof)}`" + (f", given {given}." if given else ", given nothing.")),
    )


def _findings(findings: tuple[Finding, ...]) -> Folded:
    """The figures of the notes; the title tells how many are wrong."""
    rows = tuple((f.claim, f.printed, f.computed, "agrees" if f.agrees else "REFUTED") for f in findings)
    marked = frozenset(i for i, f in enumerate(findings) if not f.agrees)
    table = Table("What the notes print, and what comes out", ("claim", "printed", "computed", ""), rows, marked)
    return Folded(f"Figures and claims of the notes: {len(rows)}, of which {len(marked)} wrong", (table,))


def _bridge_row(evidence: Evidence) -> tuple[Any, ...]:
    risk = f"{evidence.miss_probability:.1g}" if evidence.miss_probability else "no bound"
    holds = "yes" if evidence.holds else f"NO: {evidence.counterexample}"
    return (evidence.relation, evidence.statement, evidence.rung.value, evidence.cases, risk, holds)
