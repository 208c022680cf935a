"""Theories: a statement with its hypotheses, a derivation that is checked line by line, numbers against it, and its
source.

A theory is a Python file with a function `theory()` that returns a `Theory`. Nothing in it is a verdict: `judge`
verifies every line by the normal form of both sides, checks that the witness satisfies the hypotheses, and runs the
relations.
"""

from convproof.notes.judging import Judgement, Outcome, Proof, derive, holds, judge, prove
from convproof.notes.loading import bundled_folder, find, load
from convproof.notes.model import Claim, Finding, Step, Theory
from convproof.notes.presenting import headline, report, section, summary_table, theorem_entry, theory_entry

__all__ = [
    "Claim",
    "Finding",
    "Judgement",
    "Outcome",
    "Proof",
    "Step",
    "Theory",
    "bundled_folder",
    "derive",
    "find",
    "headline",
    "holds",
    "judge",
    "load",
    "prove",
    "report",
    "section",
    "summary_table",
    "theorem_entry",
    "theory_entry",
]
