"""Running a relation over drawn cases, and what that is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis.strategies import SearchStrategy

from convproof.crosscheck.cases import DRAW_SET
from convproof.drawing import no_files
from convproof.errors import InputError
from convproof.verdicts import Rung

Case = TypeVar("Case")


class Mismatch(AssertionError):
    """Two routes to the same thing that disagree on a case."""


@dataclass(frozen=True)
class Relation(Generic[Case]):
    """Two routes that must agree: `check(case)` raises `Mismatch` where they do not.

    `degree` is the degree of the compared quantities as polynomials in the drawn numbers: a wrong polynomial survives
    one draw with probability at most degree / (size of the draw set), by the Schwartz-Zippel lemma. It is 0 where that
    says nothing: where no numbers are drawn, or what is compared is no polynomial in them (a maximum, a rounded float).
    """

    name: str
    statement: str
    cases: SearchStrategy[Case]
    check: Callable[[Case], None]
    rung: Rung = Rung.EXACT_SAMPLE
    degree: int = 0

    @property
    def miss_probability(self) -> float:
        """The bound for one draw; 0 where the comparison does not depend on drawn numbers."""
        return self.degree / DRAW_SET if self.rung is Rung.EXACT_SAMPLE else 0.0


@dataclass(frozen=True)
class Evidence:
    """What running a relation showed: how many cases agreed, or the smallest one found that does not."""

    relation: str
    statement: str
    rung: Rung
    holds: bool
    cases: int
    miss_probability: float
    counterexample: str | None = None

    def __str__(self) -> str:
        if not self.holds:
            return f"{self.relation}: fails, {self.counterexample}"
        risk = f", a wrong polynomial survives one draw with probability <= {self.miss_probability:.1g}"
        return f"{self.relation}: {self.cases} cases ({self.rung}{risk if self.miss_probability else ''})"


def examine(relation: Relation[Any], cases: int = 100, seed: int = 0) -> Evidence:
    """Draws `cases` cases and compares; the same seed draws the same cases. A failing case is shrunk before it is
    shown.

    Raises `InputError` for less than one case.
    """
    if cases < 1:
        raise InputError(f"cases={cases} must be at least 1")
    run = 0
    last: Any = None

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        print_blob=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(relation.cases)
    def body(case: Any) -> None:
        nonlocal run, last
        run, last = run + 1, case
        relation.check(case)

    with no_files():
        try:
            body()
        except Exception as error:  # code under test that breaks has failed the case
            reason = str(error) if isinstance(error, Mismatch) else f"{type(error).__name__}: {error}"
            found = f"{last!r}: {' '.join(reason.split())}"
            return Evidence(relation.name, relation.statement, relation.rung, False, run, 0.0, found)
    return Evidence(relation.name, relation.statement, relation.rung, True, run, relation.miss_probability)
