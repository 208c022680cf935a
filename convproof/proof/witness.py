"""Whether numbers satisfy hypotheses, so that a theorem is not about nothing. Nothing here is trusted to make one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convproof.proof import quasiaffine
from convproof.proof.algebra import Formula, Refused, Term, constant, normal, split, substitute


def satisfied(formula: Formula, witness: Mapping[str, Any]) -> bool:
    """Whether a formula holds with the witness's numbers for letters, and its numbers or terms in `("v", "k")` for
    functions, where k is their first place. False where it cannot be told.

    >>> satisfied((">=", ("at", "s", ("v", "n")), 4), {"n": 3, "s": ("+", ("v", "k"), 1)})
    True
    """
    return _holds(_put(formula, witness))


def _holds(formula: Formula) -> bool:
    match formula:
        case ("iff", f, g):
            return _holds(f) == _holds(g)
        case ("all", letter, f):
            return _holds(f) or _everywhere(f, letter)
        case ("=" | ">=" | ">" as sign, a, b):
            value = constant(normal(("+", a, ("*", -1, b))))
            return value is not None and {"=": value == 0, ">=": value >= 0, ">": value > 0}[sign]
    return False


def _everywhere(formula: Formula, letter: str) -> bool:
    """Whether a formula of one letter holds for every integer, where that can be decided by a period."""
    try:
        below = substitute(formula, {letter: ("+", -1, ("*", -1, ("v", letter)))})
        return quasiaffine.holds(formula, letter) and quasiaffine.holds(below, letter)
    except Refused:
        return False


def _put(part: Any, witness: Mapping[str, Any]) -> Any:
    """A term or formula with the witness in it; sums whose bounds become numbers are written out."""
    before, parts = split(part)
    if before[0] in ("sum", "all"):
        inner = {name: value for name, value in witness.items() if name != before[1]}
        *bounds, body = *(_put(each, witness) for each in parts[:-1]), _put(parts[-1], inner)
        return _written_out(before[1], bounds, body) if before[0] == "sum" else (*before, body)
    known = witness.get(before[1]) if before[0] in ("v", "at", "re") else None
    new = [_put(each, witness) for each in parts]
    if isinstance(known, int) or (known is not None and not parts):
        return known
    if known is not None:
        return substitute(known, {"k": new[0]})
    return (*before, *new) if isinstance(part, tuple) else part


def _written_out(index: str, bounds: list[Term], body: Term) -> Term:
    first, last = (constant(normal(bound)) for bound in bounds)
    if first is None or last is None:
        return ("sum", index, *bounds, body)
    return ("+", *(substitute(body, {index: value}) for value in range(first, last + 1)))
