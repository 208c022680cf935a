"""Proofs: a kernel that alone makes theorems, rules derived from it, and the way to and from sympy."""

from convproof.proof.algebra import Refused
from convproof.proof.decision import Decision, decide
from convproof.proof.kernel import Theorem
from convproof.proof.written import AXIOMS, axioms, proof_term

__all__ = ["AXIOMS", "Decision", "Refused", "Theorem", "axioms", "decide", "proof_term"]
