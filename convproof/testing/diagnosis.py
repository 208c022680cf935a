"""Names the likely fault of a kernel: the one that reproduces what it returned, on every case on which it was wrong,
and on those on which it was right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convproof.testing.numbers import Array, Arrays
from convproof.testing.operation import PARTS, Fault, Operation

MOST_RIGHT = 0.25
"""The largest share of right results among which a feature of all wrong ones is still named."""


@dataclass(frozen=True)
class Observation:
    """What a kernel returned of one part on one case, what it had to be, and which entries are wrong: all of them where
    the shape is.
    """

    case: Any
    arrays: Arrays
    part: str
    found: Array
    expected: Array
    off: Array

    @property
    def wrong(self) -> bool:
        """Whether anything is."""
        return self.found.shape != self.expected.shape or bool(self.off.any())


def diagnosis(operation: Operation, part: str, seen: Sequence[Observation]) -> str:
    """The name of the fault, or in which cases alone the part is wrong, or ""."""
    of_part = [each for each in seen if each.part == part]
    wrong = [each for each in of_part if each.wrong][:8]
    right = [each for each in of_part if not each.wrong][:8]
    if not wrong:
        return ""
    faults = operation.faults()
    likely = [name for name, fault in faults.items() if all(_explains(fault, each) for each in wrong)]
    for name in likely:
        if all(_explains(faults[name], each) for each in right):
            return name
    where = _where(
        operation, [each.case for each in of_part if each.wrong], [each.case for each in of_part if not each.wrong]
    )
    if likely:
        return f"{likely[0]} ({where or 'not always'})"
    if wrong[0].found.dtype.kind == "f" and all(np.isnan(each.found).any() for each in wrong):
        return "NaN where there are numbers: entries that are never written, or no result at all"
    if all(_paired(each) for each in wrong):
        return f"made up: the inner product of {PARTS[part]} with the operand is right, the entries are not"
    return _confined(wrong) or where


def _paired(seen: Observation) -> bool:
    """Whether a wrong gradient has the right inner product with its operand."""
    operand = seen.arrays.get(seen.part)
    if operand is None or not seen.found.shape == seen.expected.shape == operand.shape:
        return False
    paired, right = (float((each * operand).sum()) for each in (seen.found, seen.expected))
    return right != 0 and abs(paired - right) <= 1e-9 * abs(right)


def _confined(wrong: list[Observation]) -> str:
    """The places outside of which nothing is wrong, where they are few: an edge of an axis, or a single entry."""
    if any(each.found.shape != each.expected.shape for each in wrong):
        return ""
    axes = {0: "image" if wrong[0].part in ("x", "y") else "filter", 1: "channel", -2: "row", -1: "column"}
    for axis, name in axes.items():
        several = [each for each in wrong if each.off.ndim > max(axis, -axis - 1) and each.off.shape[axis] > 1]
        for index, place in ((-1, "last"), (0, "first")):
            inside = [np.delete(each.off, index, axis) for each in several]
            if len(several) > 1 and not any(rest.any() for rest in inside):
                return f"wrong in the {place} {name} alone"
        if axis == 0 and len(several) > 1 and not any(each.off[0].any() for each in several):
            return f"wrong but in the first {name}"
    return "wrong in a single entry" if all(each.off.sum() == 1 < each.off.size for each in wrong) else ""


def _explains(fault: Fault, seen: Observation) -> bool:
    """Whether a kernel with the fault returns that; where a fault says nothing of a right result, it may."""
    try:
        shown = fault(seen.case, seen.arrays).get(seen.part)
    except (ArithmeticError, IndexError, TypeError, ValueError):
        return False
    if shown is None:
        return not seen.wrong
    listed = [np.asarray(each) for each in (shown if isinstance(shown, tuple) else (shown,))]
    if seen.wrong:  # what is right does not explain it
        listed = [each for each in listed if not _equal(each, seen.expected)]
    return any(_equal(each, seen.found) for each in listed)


def _equal(shown: Array, found: Array) -> bool:
    if shown.shape != found.shape:
        return False
    if shown.dtype.kind in "iu" and found.dtype.kind in "iu":
        return bool((shown == found).all())
    size = np.abs(shown[np.isfinite(shown)]).max(initial=1.0)
    return bool(np.isclose(shown, found, rtol=1e-4, atol=1e-6 * size, equal_nan=True).all())


def _where(operation: Operation, wrong: list[Any], right: list[Any]) -> str:
    """A feature that all cases with a wrong result have, and few with a right one."""
    every = set.intersection(*(_traits(operation, case) for case in wrong))
    having = [_traits(operation, case) for case in right]
    shares = {trait: sum(trait in each for each in having) / max(1, len(having)) for trait in every}
    best = min(sorted(shares), key=shares.__getitem__, default="")
    if not best or not right or shares[best] > MOST_RIGHT:
        return ""
    return f"wrong with {best}, and only then" if not shares[best] else f"wrong with {best} alone, but not always"


def _traits(operation: Operation, case: Any) -> set[str]:
    found = {each for each in operation.features(case) if not each.startswith("no ")}
    for name in ("batch", "channels", "filters", "features", "units"):
        if getattr(case, name, 0) > 1:
            found.add(f"several {'images' if name == 'batch' else name}")
    if case.layout and case.layout != "read-only":
        found.add("inputs that are not contiguous")
    if hasattr(case, "kernel"):
        if len(set(case.kernel)) > 1:
            found.add("unlike kernel sizes")
        if any(k > s for k, s in zip(case.kernel, case.stride, strict=True)):
            found.add("overlapping windows")
    if getattr(case, "groups", 1) > 1 and "stride" in found:
        found.add("groups and a stride")
    if getattr(case, "values", ""):
        found.add(f"{case.values} values")
    return found
