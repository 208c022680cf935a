"""The second checker: replays written proof terms, shares no code with the kernel, and needs only Python's integers.

A proof term is {"hypotheses": [...], "conclusion": ..., "steps": [{"rule", "arguments", "premises"}, ...]}; terms and
formulas are lists as the kernel describes them. Every step is worked out afresh from its rule, its arguments and
earlier results; what is written as the result counts for nothing until the last step has produced it.

`python -m convproof.recheck FILE...` replays every proof in JSON files, each with one proof term or with a list or an
object of them, and prints what they state.
"""

from convproof.recheck.command import main
from convproof.recheck.polynomials import number, poly, read_formula, read_term, same
from convproof.recheck.replay import check, statement
from convproof.recheck.terms import Wrong

__all__ = ["Wrong", "check", "main", "number", "poly", "read_formula", "read_term", "same", "statement"]
