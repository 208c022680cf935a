"""The bridge: the only room that sees both the formulas and the running arrays."""

from convproof.check.evidence import Evidence, Mismatch, Relation, examine
from convproof.check.relations import RELATIONS, relation

__all__ = ["RELATIONS", "Evidence", "Mismatch", "Relation", "examine", "relation"]
