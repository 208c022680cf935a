"""Theories: a statement with its hypotheses, a derivation that is checked line by line, numbers against it, and its
source.

A theory is a Python file with a function `theory()` that returns a `Theory`. Nothing in it is a verdict: `judge`
verifies every line by the normal form of both sides, checks that the witness satisfies the hypotheses, and runs the
relations.
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sympy

from convproof import recheck
from convproof.crosscheck import Evidence, Relation, examine
from convproof.errors import InputError
from convproof.proof import Refused, Theorem, axioms, proof_term
from convproof.proof.algebra import free
from convproof.proof.language import shown, written
from convproof.proof.witness import satisfied
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
class Claim:
    """A statement that has a proof: `prove` returns the theorem, and what that says is what is claimed.

    `witness` gives letters and functions that satisfy the hypotheses: numbers, or for a function of k a term in `("v",
    "k")`.
    """

    name: str
    words: str
    prove: Callable[[], Theorem]
    witness: tuple[tuple[str, Any], ...] = ()


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

    @property
    def statement(self) -> str:
        """What the kernel says was proved."""
        return shown(self.theorem.conclusion) if self.theorem else self.claim.words

    def to_json(self, theory_id: str) -> dict[str, Any]:
        """As an entry of the list of theorems in JSON documents, all but the time it took."""
        return {
            "id": f"{theory_id}.{self.claim.name}",
            "words": self.claim.words,
            "statement": self.statement,
            "verdict": self.verdict.value,
            "rung": Rung.THEOREM.value if self.proved else "",
            "reason": self.reason,
            "hypotheses": [shown(h) for h in self.theorem.hypotheses] if self.theorem else [],
            "witness": self._witness(),
            "axioms": axioms(self.theorem) if self.theorem else [],
            "oracles": [],
            "rechecked": self.proved,
        }

    def _witness(self) -> dict[str, Any]:
        """The witness, for showing; without hypotheses any numbers do, and every letter is put at 1."""
        if self.theorem is not None and not self.theorem.hypotheses:
            letters = sorted(free(self.theorem.conclusion))
            return dict.fromkeys(letters, 1) or {"any": "the theorem has no letters"}
        return {name: v if isinstance(v, int) else written(v) for name, v in self.claim.witness}

    def blocks(self) -> tuple[Block, ...]:
        """The claim in words, and what was proved."""
        if self.theorem is None:
            return (Text(f"{self.claim.words} {self.verdict.value}: {self.reason}"),)
        given = ", ".join(f"`{shown(h)}`" for h in self.theorem.hypotheses)
        return (
            Text(self.claim.words),
            Text(f"`{self.statement}`" + (f", given {given}." if given else ", given nothing.")),
        )


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
    claims: tuple[Claim, ...] = ()


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

    def section(self) -> Section:
        """The theory as a part of a report."""
        t = self.theory
        blocks: list[Block] = [Text(t.statement), *t.equations]
        if t.hypotheses:
            witness = ", ".join(f"{name} = {value}" for name, value in t.witness)
            blocks += [Text(f"Provided that (satisfied, for example, by {witness}):"), *t.hypotheses]
        if self.proofs:
            proved = sum(p.proved for p in self.proofs)
            inside = tuple(block for proof in self.proofs for block in proof.blocks())
            blocks.append(Folded(f"Proved for all sizes: {proved} of {len(self.proofs)} theorems", inside))
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
        """As an entry of the list of statements or examples in JSON documents."""
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


Examine = Callable[[Relation[Any], int, int], Evidence]


def judge(theory: Theory, cases: int = 100, seed: int = 0, examine: Examine = examine) -> Judgement:
    """Verifies a theory's theorems, derivation, witness and relations.

    REFUTED where a line is false, the witness violates a hypothesis or a relation fails. PROVED where all its theorems
    are; what they say stands beside the prose. Else UNKNOWN, on the rung of its weakest relation, because nothing
    short of a proof settles a statement about all sizes. A theory without equations is a worked example: about its own
    sizes alone, so it needs no verdict beyond its figures.
    """
    steps = tuple(step.holds() for step in theory.steps)
    evidence = tuple(examine(relation, cases, seed) for relation in theory.relations)
    proofs = tuple(prove(claim) for claim in theory.claims)
    rungs = [relation.rung for relation in theory.relations] or [Rung.EXACT_SAMPLE]
    rung = max(rungs, key=list(Rung).index)
    against = [f"line {i} of the derivation is false" for i, holds in enumerate(steps, 1) if not holds]
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


def find(names: Iterable[str] = ()) -> list[Theory]:
    """Theories by id, file or folder; the bundled ones where nothing is named. Raises `InputError` for other names."""
    names = list(names)
    bundled = load() if not names or any(not Path(name).exists() for name in names) else []
    found: list[Theory] = []
    for name in names:
        known = [each for each in bundled if each.id == name]
        if Path(name).is_dir():
            found += load(Path(name))
        elif Path(name).is_file():
            found.append(_load_file(Path(name)))
        elif known:
            found += known
        else:
            ids = ", ".join(each.id for each in bundled)
            raise InputError(f"no theory, file or folder is named {name!r}; there are {ids}")
    return found if names else bundled


def _load_file(path: Path) -> Theory:
    spec = importlib.util.spec_from_file_location(f"convproof_theory_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "theory"):
            raise InputError("defines no function theory(); see CONTRIBUTING.md")
        found = module.theory()
        if not isinstance(found, Theory):
            raise InputError("theory() must return a convproof.theory.Theory")
    except (Exception, SystemExit) as error:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        raise InputError(f"{path}: {kind}{error}") from error
    return found


def summary_table(judgements: Iterable[Judgement]) -> Table:
    """One row a theory: its verdict, its rung, and how much was tried."""
    rows = [
        (
            j.theory.title,
            j.word,
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
