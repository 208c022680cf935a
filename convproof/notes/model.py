"""What a theory is made of, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convproof.crosscheck import Relation
from convproof.proof import Theorem
from convproof.report.model import Block, Equation, Expr


@dataclass(frozen=True)
class Step:
    """left = right, because. Verified by bringing both sides into normal form.

    Where the left side is worked out by the program, `shown` says in words what it is.
    """

    left: Expr
    right: Expr
    because: str
    shown: str = ""


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
