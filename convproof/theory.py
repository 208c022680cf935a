"""Theories: a statement with its hypotheses, a derivation that is checked line by line, numbers against it, and its
source.

A theory is a Python file with a function `theory()` that returns a `Theory`. Nothing in it is a verdict: `judge`
verifies every line by the normal form of both sides, checks that the witness satisfies the hypotheses, and runs the
relations.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy

from convproof.check import Evidence, Relation, examine
from convproof.errors import InputError
from convproof.report.model import Block, Derivation, Equation, Expr, Folded, Line, Section, Table, Text
from convproof.symbolic import normal, symbol
from convproof.verdicts import MEANING, Rung, Verdict


@dataclass(frozen=True)
class Step:
    """left = right, because. Verified by bringing both sides into normal form.

    Where the left side is worked out by the program, `shown` says in words what it is.
    """

    left: Expr
    right: Expr
    because: str
    shown: str = ""

    def holds(self) -> bool:
        """Whether the normal form of left - right is 0."""
        return bool(normal(self.left - self.right) == 0)


@dataclass(frozen=True)
class Finding:
    """What a text prints beside what is computed, and whether they agree."""

    claim: str
    printed: str
    computed: Expr
    agrees: bool


@dataclass(frozen=True)
class Theory:
    """A statement and everything that speaks for it. `witness` gives sizes that satisfy the hypotheses."""

    id: str
    order: int
    title: str
    statement: str
    source: str
    equations: tuple[Equation, ...] = ()
    hypotheses: tuple[Equation, ...] = ()
    witness: tuple[tuple[str, int], ...] = ()
    steps: tuple[Step, ...] = ()
    relations: tuple[Relation[Any], ...] = ()
    exhibits: tuple[Block, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """The verdict on a theory, the rung that it stands on, and why. A worked example that holds has no verdict."""

    theory: Theory
    verdict: Verdict | None
    rung: Rung
    reason: str
    steps: tuple[bool, ...]
    evidence: tuple[Evidence, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against the theory."""
        return self.verdict is not Verdict.REFUTED

    def section(self) -> Section:
        """The theory as a part of a report."""
        t = self.theory
        blocks: list[Block] = [Text(t.statement), *t.equations]
        if t.hypotheses:
            witness = ", ".join(f"{name} = {value}" for name, value in t.witness)
            blocks += [Text(f"Provided that (satisfied, for example, by {witness}):"), *t.hypotheses]
        if t.steps:
            lines = (
                Line(Equation(step.shown or step.left, step.right), step.because, holds)
                for step, holds in zip(t.steps, self.steps, strict=True)
            )
            blocks.append(Derivation(tuple(lines)))
        blocks += t.exhibits
        if t.findings:
            blocks.append(_findings(t.findings))
        if self.evidence:
            ran = sum(e.cases for e in self.evidence)
            checked = tuple(Text(f"{e.statement}. {e}.") for e in self.evidence)
            blocks.append(Folded(f"Checked by running: {ran} cases", checked))
        return Section(t.id, t.title, t.source, tuple(blocks), self.word, self.rung.value, self.reason)

    @property
    def word(self) -> str:
        """The verdict for people."""
        return "worked example" if self.verdict is None else self.verdict.value

    def to_json(self) -> dict[str, Any]:
        """As an entry of the list of theorems in JSON documents."""
        t = self.theory
        return {
            "id": t.id,
            "statement": t.statement,
            "verdict": self.verdict and self.verdict.value,
            "rung": self.rung.value,
            "reason": self.reason,
            "hypotheses": [f"{h.left} {h.sign} {h.right}" for h in t.hypotheses],
            "witness": dict(t.witness),
            "steps": len(t.steps),
            "evidence": [str(evidence) for evidence in self.evidence],
            "findings": [
                {"claim": f.claim, "printed": f.printed, "computed": str(f.computed), "agrees": f.agrees}
                for f in t.findings
            ],
        }


def judge(theory: Theory, cases: int = 100, seed: int = 0) -> Judgement:
    """Verifies a theory's derivation, witness and relations. It stands on the rung of its strongest relation.

    REFUTED where a line is false, the witness violates a hypothesis or a relation fails; else UNKNOWN, because nothing
    short of a proof settles a statement about all sizes. A theory without equations is a worked example: about its own
    sizes alone, so it needs no verdict beyond its figures.
    """
    steps = tuple(step.holds() for step in theory.steps)
    evidence = tuple(examine(relation, cases, seed) for relation in theory.relations)
    rungs = {relation.rung for relation in theory.relations}
    rung = Rung.IDENTITY if Rung.IDENTITY in rungs else Rung.EXACT_SAMPLE
    against = [f"line {i} of the derivation is false" for i, holds in enumerate(steps, 1) if not holds]
    against += [f"the witness violates {h.left} {h.sign} {h.right}" for h in _violated(theory)]
    against += [str(each) for each in evidence if not each.holds]
    if against:
        return Judgement(theory, Verdict.REFUTED, rung, "; ".join(against), steps, evidence)
    if not theory.equations:
        return Judgement(theory, None, rung, "computed, run and compared at these sizes", steps, evidence)
    reason = f"not proved for all sizes and values; it holds {MEANING[rung]}"
    return Judgement(theory, Verdict.UNKNOWN, rung, reason, steps, evidence)


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


def _findings(findings: tuple[Finding, ...]) -> Folded:
    """The figures of the notes; the title tells how many are wrong."""
    rows = tuple((f.claim, f.printed, f.computed, "agrees" if f.agrees else "REFUTED") for f in findings)
    marked = frozenset(i for i, f in enumerate(findings) if not f.agrees)
    table = Table("What the notes print, and what comes out", ("claim", "printed", "computed", ""), rows, marked)
    return Folded(f"Figures and claims of the notes: {len(rows)}, of which {len(marked)} wrong", (table,))


def bundled_folder() -> Path:
    """Where the bundled theories lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return next(folder for folder in (package / "theories", package.parent / "theories") if folder.is_dir())


def load(folder: Path | None = None) -> list[Theory]:
    """The theories of a folder (the bundled ones by default), in their order. Raises `InputError` for a file without
    one.
    """
    theories = [_load_file(path) for path in sorted((folder or bundled_folder()).glob("*.py"))]
    return sorted(theories, key=lambda t: (t.order, t.id))


def _load_file(path: Path) -> Theory:
    spec = importlib.util.spec_from_file_location(f"convproof_theory_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "theory"):
        raise InputError(f"{path} defines no function theory(); see CONTRIBUTING.md")
    found: Theory = module.theory()
    return found


def summary_table(judgements: Iterable[Judgement]) -> Table:
    """One row a theory: its verdict, its rung, and how much was tried."""
    rows = [
        (
            j.theory.title,
            j.word,
            j.rung.value,
            len(j.steps),
            sum(e.cases for e in j.evidence),
            f"{sum(f.agrees for f in j.theory.findings)} of {len(j.theory.findings)}" if j.theory.findings else "",
        )
        for j in judgements
    ]
    marked = frozenset(i for i, row in enumerate(rows) if row[1] == Verdict.REFUTED)
    columns = ("statement", "verdict", "rung", "lines verified", "cases", "figures that agree")
    return Table("Statements, and what each stands on", columns, tuple(rows), marked)
