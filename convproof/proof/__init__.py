"""Proofs: a kernel that alone makes theorems, rules derived from it, and the way to and from sympy."""

from convproof.proof.algebra import Refused
from convproof.proof.kernel import AXIOMS, Theorem, axioms, proof_term

__all__ = ["AXIOMS", "Refused", "Theorem", "axioms", "proof_term"]
