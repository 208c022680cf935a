"""The bridge: the only room that sees both the formulas and the running arrays."""

from convproof.crosscheck.evidence import Evidence, Mismatch, Relation, examine
from convproof.crosscheck.relations import RELATIONS, relation

__all__ = ["RELATIONS", "Evidence", "Mismatch", "Relation", "examine", "relation"]
