"""Proofs as plain data, for people and for the second checker, and what they rest on."""

from __future__ import annotations

from typing import Any

from convproof.proof.kernel import RESTS_ON, Theorem

AXIOMS = {
    "terms": "what has one normal form is equal: the ordered ring of numbers, linear sums, idempotent indicators",
    "division": "floor(a / b) is the q with b*q <= a <= b*q + b - 1, for b >= 1",
    "order": "integers are ordered without gaps: a >= b or b >= a + 1",
    "induction": "what holds at 0, and at k + 1 where it holds at k, holds for every natural number",
    "indicator": "[a = b] is 0 unless a = b; indicators are 0 or 1",
    "sums": "finite sums may be exchanged and re-indexed, and grow by their last term",
    "reals": "1/a is the reciprocal of a, exp is positive, and derivatives follow the rules of sums, products, "
    "reciprocals, exp and log, where nothing is at a pole or a kink",
}
"""What the rules take as given, beside logic."""


def proof_term(theorem: Theorem) -> dict[str, Any]:
    """The proof as plain data: steps in order, each with its rule, arguments and the numbers of its premises."""
    steps: list[dict[str, Any]] = []
    numbers: dict[int, int] = {}
    pending = [theorem]
    while pending:
        each = pending[-1]
        missing = [premise for premise in each.premises if id(premise) not in numbers]
        if missing:
            pending.extend(missing)
            continue
        pending.pop()
        if id(each) not in numbers:
            numbers[id(each)] = len(steps)
            premises = [numbers[id(premise)] for premise in each.premises]
            steps.append({"rule": each.rule, "arguments": _listed(each.arguments), "premises": premises})
    return {"hypotheses": _listed(theorem.hypotheses), "conclusion": _listed(theorem.conclusion), "steps": steps}


def axioms(theorem: Theorem) -> list[str]:
    """The names in `AXIOMS` that the proof rests on."""
    rules = {step["rule"] for step in proof_term(theorem)["steps"]}
    return sorted({RESTS_ON[rule] for rule in rules if rule in RESTS_ON})


def _listed(value: Any) -> Any:
    """Tuples as lists, for JSON."""
    return [_listed(v) for v in value] if isinstance(value, tuple) else value
