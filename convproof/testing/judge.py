"""Judges what a kernel returned, once it has: entry by entry against what it must be, and by how it behaved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from convproof.testing.arrays import Library, NoArray
from convproof.testing.cases import LAYOUTS
from convproof.testing.diagnosis import Observation
from convproof.testing.numbers import Array, Arrays, Precision
from convproof.testing.operation import PARTS, Operation
from convproof.testing.runner import Gone, Raised, Run


class Runs(Protocol):
    """A kernel that can be run: a `Runner`, or one in another process."""

    operation: Operation
    library: Library
    keywords: dict[str, set[str]]

    @property
    def name(self) -> str:
        """What the kernel is called."""

    def imported(self, part: str) -> str:
        """The lines of Python that name its "forward" or "vjp"."""

    def run(self, case: Any, first: Arrays, second: Arrays) -> Run:
        """Three runs on a case."""

    def once(self, case: Any, arrays: Arrays) -> Arrays:
        """A single run."""

    def outward(self, name: str, values: Array) -> Array:
        """An input as the kernel gets it."""

    def result(self, part: str, values: Array) -> Array:
        """A result as the kernel returns it."""


class Refused(Exception):
    """A kernel that raises on an empty batch."""


@dataclass(frozen=True)
class Wrong:
    """Something wrong on a case: which relation fails, and how; for an array that was compared, which, and on which
    numbers; and the fault, where it is known already.
    """

    relation: str
    detail: str
    part: str = ""
    arrays: Arrays = field(default_factory=dict)
    diagnosis: str = ""


@dataclass
class Judge:
    """A kernel under test, how many comparisons were made, and what was seen of it on the last case."""

    kernel: Runs
    checks: int = 0
    values: list[int] = field(default_factory=list)
    observed: list[Observation] = field(default_factory=list)

    @property
    def operation(self) -> Operation:
        """What the kernel is said to compute."""
        return self.kernel.operation

    @property
    def kind(self) -> Precision:
        """The dtype that it is checked in."""
        return self.kernel.library.kind

    def lacking(self) -> set[str]:
        """Features that the kernel cannot be told of or given."""
        taken = self.kernel.keywords["forward"]
        missing = {name for name in ("ceil_mode", "count_include_pad") if name not in taken}
        return missing | {f"{each} inputs" for each in LAYOUTS if each not in self.kernel.library.layouts}

    def judge(self, case: Any) -> list[Wrong]:
        """What is wrong on a case. Raises `Refused` where a kernel does not take an empty batch."""
        draws = [self.operation.draw(case, self.kind, (case.seed, turn)) for turn in (0, 1)]
        self.values, self.observed = [draw.values for draw in draws], []
        first, second = (draw.arrays for draw in draws)
        try:
            run = self.kernel.run(case, first, second)
            compared = self._compared(case, run, first, second)
            if compared and compared[0].relation == "result":
                return compared
            return [*self._behaviour(case, run, first), *compared, *self._windows(case)]
        except NoArray as error:
            return [Wrong("result", str(error))]
        except Gone as error:
            return [Wrong("gone", str(error))]
        except Raised as error:
            if not case.batch:
                raise Refused from None
            return [Wrong("crash", str(error))]

    def _behaviour(self, case: Any, run: Run, first: Arrays) -> Iterator[Wrong]:
        """What it did to its inputs and results."""
        self.checks += len(first) + len(run.dtypes) + 1
        for name in first:
            before = first[name] if name == "labels" else self.kernel.outward(name, first[name])
            if name not in run.inputs or not _same(run.inputs[name], before):
                yield Wrong("inputs", f"the kernel changed its input {name}", diagnosis="inputs are changed in place")
        wanted = self.kind.name if self.operation.moves else self.kind.result
        for part in run.first:
            found = run.dtypes.get(part, "no dtype")
            if found != wanted and not (self.operation.name == "cross_entropy" and part == "y"):
                yield Wrong("dtype", f"{PARTS[part]} has dtype {found}, not {wanted}")
        if not self.operation.aliases and not all(_same(run.later[part], run.first[part]) for part in run.first):
            told = "a result changed after it was returned"
            yield Wrong("buffer", told, diagnosis="it shares memory with an input or with a later result")

    def _compared(self, case: Any, run: Run, first: Arrays, second: Arrays) -> list[Wrong]:
        """Every entry, of both runs; and whether results were kept."""
        wanted = {"y", *(part for part in self.operation.operands if part in first or part == "scores")}
        wanted = wanted if "vjp" in self.kernel.keywords else {"y"}
        for found in (run.first, run.second, run.again, run.later):
            if missing := sorted(wanted - set(found)):
                return [Wrong("result", f"{PARTS[missing[0]]} is missing")]
        ahead, other = list(self._entries(case, first, run.first)), list(self._entries(case, second, run.second))
        kept = [part for part in run.first if _same(run.second[part], run.first[part]) and run.first[part].any()]
        self.checks += 1
        if other and not ahead and kept:
            told = f"{PARTS[kept[0]]} of other numbers in the same memory is that of the first ones"
            return [Wrong("state", told, diagnosis="stale state: a result kept by address or by shape")]
        if not ahead and not other and not all(_same(run.again[part], run.first[part]) for part in run.first):
            told = "the same inputs gave another result after other inputs of the same shape"
            return [Wrong("state", told, diagnosis="stale state")]
        return ahead + other

    def _entries(self, case: Any, arrays: Arrays, found: Arrays) -> Iterator[Wrong]:
        expected = self.operation.expected(case, arrays, self.kind)
        for part in (part for part in found if part in expected):
            self.checks += 1
            value, wanted = found[part], expected[part]
            shape = wanted.values[0].shape
            off = np.ones(value.shape, bool) if value.shape != shape else wanted.wrong(value)
            self.observed.append(Observation(case, arrays, part, value, wanted.values[0], off))
            if value.shape != shape:
                yield Wrong(PARTS[part], f"shape {value.shape} instead of {shape}", part, arrays)
            elif off.any():
                scale = 2.0 ** -self.operation.halved_results.get(part, 0) if self.kind.unit else 1
                yield Wrong(PARTS[part], _told(value * scale, wanted.values[0] * scale, off), part, arrays)

    def _windows(self, case: Any) -> Iterator[Wrong]:
        """Of max pooling with ties, where any subgradient will do: what the VJP gives for one window at a time."""
        if "vjp" not in self.kernel.keywords or not self.operation.window_by_window(case):
            return
        arrays = self.operation.draw(case, self.kind, (case.seed, 0)).arrays
        for place in np.random.default_rng(case.seed).permutation(arrays["g"].size)[:6]:
            index = tuple(map(int, np.unravel_index(place, arrays["g"].shape)))
            one = np.zeros_like(arrays["g"])
            one[index] = 1
            found = self.kernel.once(case, {**arrays, "g": one}).get("x", np.zeros(0))
            self.checks += 1
            if found.shape != arrays["x"].shape or not self.operation.is_subgradient(case, arrays, index, found):
                told = f"no subgradient for the window {list(index)} alone: shares of its maxima that add up to 1"
                off = np.ones(arrays["x"].shape, bool)
                self.observed.append(Observation(case, {**arrays, "g": one}, "x", found, np.zeros(off.shape), off))
                yield Wrong("dX", told, "x", {**arrays, "g": one})
                return


def _same(one: Array, other: Array) -> bool:
    """Entry by entry; NaN is the same as NaN."""
    if one.shape != other.shape:
        return False
    same = one == other
    return bool(same.all() or (same | ((one != one) & (other != other))).all())


def _told(found: Array, expected: Array, off: Array) -> str:
    """The first wrong entry, and a map of the wrong ones."""
    first = tuple(map(int, np.argwhere(off)[0]))
    told = (
        f"{int(off.sum())} of {off.size} entries are wrong; "
        f"at {list(first)} {_number(found[first])} instead of {_number(expected[first])}"
    )
    plane = off[first[:2]] if off.ndim > 2 else off
    if plane.ndim == 1 and off.ndim > 2:
        plane = plane[None]
    if plane.ndim == 2 and 1 < plane.size <= 400 and plane.shape[1] <= 60:
        rows = "\n".join("    " + "".join(".X"[int(each)] for each in row) for row in plane)
        told += f"\n  wrong entries{f' of [{first[0]}, {first[1]}]' if off.ndim > 2 else ''}, marked X:\n{rows}"
    return told


def _number(value: Any) -> str:
    return str(int(value)) if value == value and abs(value) < 2**62 and value == int(value) else str(value)


def shrunk(
    judge: Judge, case: Any, wrong: Wrong, fits: Callable[[Any], bool] = lambda case: True, budget: int = 150
) -> tuple[Any, Wrong]:
    """The smallest case found, of those that fit, on which the same relation fails, and how it fails there."""
    best, relation, smaller = wrong, wrong.relation, True
    while smaller:
        smaller = False
        for less in case.smaller():
            if not fits(less):
                continue
            budget -= 1
            if budget < 0:
                return case, best
            if _has_output(judge, less) and (found := _failing(judge, less, relation)) is not None:
                case, best, smaller = less, found, True
                break
    return case, best


def _failing(judge: Judge, case: Any, relation: str) -> Wrong | None:
    try:
        return next((each for each in judge.judge(case) if each.relation == relation), None)
    except Refused:
        return None


def _has_output(judge: Judge, case: Any) -> bool:
    try:
        drawn = judge.operation.draw(case, judge.kind, (case.seed, 0)).arrays
    except (ArithmeticError, ValueError):  # sizes below 0, no window
        return False
    return all(each.size for each in drawn.values())
