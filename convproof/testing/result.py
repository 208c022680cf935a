"""What a check found, as data and as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from convproof.errors import ConvproofError


class KernelWrong(ConvproofError, AssertionError):
    """A checked kernel is wrong; the message is the report."""


@dataclass(frozen=True)
class Failure:
    """One way in which a kernel is wrong: which `relation` fails, on the smallest `case` found, what was found there,
    the likely fault by name, and lines that show it when they are pasted.
    """

    relation: str
    case: str
    detail: str
    diagnosis: str
    repro: str

    def __str__(self) -> str:
        parts = [f"{self.relation}: {self.detail}"]
        parts += [f"  on {self.case}"] if self.case else []
        parts += [f"  likely fault: {self.diagnosis}"] if self.diagnosis else []
        parts += ["  to see it:", *("    " + line for line in self.repro.splitlines())] if self.repro else []
        return "\n".join(parts)


@dataclass(frozen=True)
class Report:
    """What a check of a kernel found.

    `checks_run` counts the arrays that were compared, entry by entry, and further findings that were looked for;
    `skipped` counts cases left out, by what the kernel does not support. `miss_probability` bounds the probability that
    a wrong polynomial agrees on one shape with the numbers drawn for it; it is 1 where that says nothing, and None for
    what is no polynomial.
    """

    kernel: str
    operation: str
    checks_run: int
    checks_declared: int
    cases: int
    failures: tuple[Failure, ...]
    miss_probability: float | None
    numbers: str
    skipped: Counter[str] = field(default_factory=Counter)
    corners: int = 0
    first_failure: int | None = None
    """Which case, counted from 1, was the first to fail."""

    @property
    def ok(self) -> bool:
        """Whether everything that was declared was checked, and nothing failed."""
        return not self.failures

    def raise_if_failed(self) -> None:
        """Raises `KernelWrong`, an AssertionError, with the report as its message."""
        if not self.ok:
            raise KernelWrong(str(self))

    def to_json(self) -> dict[str, Any]:
        """The document that `convproof check --format json` prints."""
        return {
            "schema": "convproof/1",
            "ok": self.ok,
            "kernel": self.kernel,
            "operation": self.operation,
            "cases": self.cases,
            "checks_run": self.checks_run,
            "checks_declared": self.checks_declared,
            "failures": [asdict(failure) for failure in self.failures],
            "miss_probability": self.miss_probability,
            "numbers": self.numbers,
            "skipped": dict(sorted(self.skipped.items())),
            "corners": self.corners,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Report:
        """The report that `to_json` wrote."""
        given = {key: value for key, value in document.items() if key not in ("schema", "ok")}
        failures = tuple(Failure(**each) for each in given["failures"])
        return cls(**{**given, "failures": failures, "skipped": Counter(given["skipped"])})

    def __str__(self) -> str:
        head = f"{self.kernel} as {self.operation}: "
        corners = f", {self.corners} of them corners" if self.corners else ""
        done = f"{self.checks_run} checks on {self.cases} cases{corners}; {self.numbers}"
        if self.miss_probability is not None:
            done += f"; a wrong polynomial passes one shape with probability <= {self.miss_probability:.1g}"
        lines = [f"{head}{'right' if self.ok else 'WRONG'} ({done})"]
        if self.skipped:
            listed = ", ".join(f"{count} for {what}" for what, count in sorted(self.skipped.items()))
            lines.append(f"skipped cases: {listed}")
        return "\n".join([*lines, *map(str, self.failures)])
