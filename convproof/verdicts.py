"""The words for how sure a result is."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """PROVED comes from a proof alone; UNKNOWN comes with its reason and never counts as success."""

    PROVED = "PROVED"
    REFUTED = "REFUTED"
    CONDITIONAL = "CONDITIONAL"
    UNKNOWN = "UNKNOWN"


class Rung(StrEnum):
    """The ladder of evidence: what a result rests on."""

    THEOREM = "theorem"
    IDENTITY = "identity"
    EXACT_SAMPLE = "exact sample"
    MEASURED = "measured"


MEANING = {
    Rung.THEOREM: "for all sizes and all values",
    Rung.IDENTITY: "for all values at the shapes tried: the running code on symbolic entries",
    Rung.EXACT_SAMPLE: "at the shapes and random integers tried, compared with ==",
    Rung.MEASURED: "in floating point, within a stated rounding bound",
}
