"""The checks that people call: a kernel of their own against the definition, entry by entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypedDict, Unpack

from convproof.drawing import drawn
from convproof.errors import InputError
from convproof.testing.arrays import library
from convproof.testing.diagnosis import Observation, diagnosis
from convproof.testing.dialects import dialect
from convproof.testing.judge import Judge, Refused, Runs, Wrong, shrunk
from convproof.testing.numbers import precision
from convproof.testing.operations import operation
from convproof.testing.repro import repro
from convproof.testing.result import Failure, Report
from convproof.testing.rounding import rounding
from convproof.testing.runner import Runner

FEATURES = frozenset(
    {
        "groups",
        "dilation",
        "stride",
        "padding",
        "asymmetric padding",
        "bias",
        "no bias",
        "output_padding",
        "ceil_mode",
        "count_include_pad",
        "kernel larger than the image",
        "remainder",
        "even windows",
        "empty batch",
        "nan values",
        "infinite values",
        "channels last inputs",
        "every second inputs",
        "reversed inputs",
        "broadcast inputs",
        "read-only inputs",
    }
)
"""What a kernel may support: what its cases may need."""

DEFAULT = FEATURES - {"asymmetric padding"}
"""What is asked of a kernel that says nothing; unlike padding at the two ends is given as pairs, to those that ask."""

CASES = 200
"""How many cases are tried where nothing is said."""

AFTER = 25
"""How many cases are run from the first failure on, to tell faults apart."""

MOST_FAILURES = 6
"""How many failures are shown, one for each relation."""

MISTRUSTED = "MISTRUSTED"
"""The relation that fails where fewer cases than were asked for could be run."""


class Options(TypedDict, total=False):
    """What every check takes besides the kernel: the number of spatial axes (2), of cases (200), the seed (0), the
    arrays' library (`xp`, "numpy"), `dtype` ("float64") and `device`, how a kernel may round (`rounding`, not at all),
    its conventions (`dialect`), and what it supports (`supports`, all of `DEFAULT`). What fails of the relations that
    are `known` to fail is reported like everything else, and does not end the check early.
    """

    rank: int
    cases: int
    seed: int
    xp: Any
    dtype: Any
    device: str | None
    rounding: str | None
    dialect: Any
    supports: Iterable[str] | None
    known: Iterable[str]


def check(op: str, forward: Any, vjp: Any = None, **options: Unpack[Options]) -> Report:
    """A kernel of the operation named `op`: two functions, or an object with `forward` and perhaps `vjp`.

    Raises `InputError` for options that there are not.
    """
    if unknown := sorted(set(options) - set(Options.__annotations__)):
        raise InputError(f"there is no option {unknown[0]!r}; there are {', '.join(Options.__annotations__)}")
    conventions = dialect(options.get("dialect"))
    kind = precision(options.get("dtype", "float64"))
    chosen = operation(op, conventions, rounding(options.get("rounding"), kind))
    cases, rank = options.get("cases", CASES), options.get("rank", 2)
    if type(cases) is not int or cases < 1:
        raise InputError(f"cases={cases!r} must be at least 1")
    if type(rank) is not int or rank not in (1, 2, 3):
        raise InputError(f"rank={rank!r} must be 1, 2 or 3, the number of spatial axes")
    seed = options.get("seed", 0)
    if type(seed) is not int or seed < 0:
        raise InputError(f"seed={seed!r} must be a whole number, 0 or more")
    asked = options.get("supports")
    supports = DEFAULT if asked is None else supported(asked)
    own = library(options.get("xp", "numpy"), kind, options.get("device"))
    kernel = Runner(chosen, *callables(forward, vjp), own, conventions)
    return Check(kernel, rank, cases, seed, supports, known=options.get("known", ())).report()


def supported(names: Iterable[str]) -> frozenset[str]:
    """The names as a set. Raises `InputError` for one that is no feature."""
    listed = [names] if isinstance(names, str) else list(names) if isinstance(names, Iterable) else [names]
    if not all(isinstance(each, str) for each in listed):
        raise InputError(f"supports={names!r} must be a set of names such as 'groups'")
    found = frozenset(listed)
    if absent := sorted(found - FEATURES):
        raise InputError(f"there is no feature {absent[0]!r}; there are {', '.join(sorted(FEATURES))}")
    return found


class Check:
    """One check: the cases, the kernel, and what was seen of it."""

    def __init__(
        self,
        kernel: Runs,
        rank: int,
        cases: int,
        seed: int,
        supports: frozenset[str],
        progress: Callable[[str], None] = lambda case: None,
        known: Iterable[str] = (),
        corners: bool = True,
    ) -> None:
        if not kernel.library.kind.unit:
            if not kernel.operation.exact:
                name, op = kernel.library.kind.name, kernel.operation.name
                raise InputError(f"{op} has no whole results; check it in a floating type, not in {name}")
            supports -= {"nan values", "infinite values"}
        self.progress, self.known, self.with_corners = progress, frozenset(known), corners
        self.kernel, self.judge, self.operation = kernel, Judge(kernel), kernel.operation
        self.rank, self.wanted, self.seed = rank, cases, seed
        self.without = (FEATURES - supports) | self.judge.lacking()
        self.skipped: Counter[str] = Counter()
        self.seen: list[Observation] = []
        self.run = self.corners = 0
        self.first: int | None = None
        self.values: list[int] = []

    def report(self) -> Report:
        """The whole check."""
        failing: dict[str, tuple[Any, Wrong]] = {}
        left = AFTER
        for case, corner in self._cases():
            self.progress(self.operation.name)
            for each in self._judged(case):
                failing.setdefault(each.relation, (case, each))
            self.run += 1
            self.corners += corner
            if failing and self.first is None:
                self.first = self.run
            left -= not self.known.issuperset(failing)
            if not left or "gone" in failing:  # each case that takes the process along costs its limit of time
                break
        shown = list(failing.values())[: MOST_FAILURES + len(self.known)]
        failures = tuple(self._failure(case, each) for case, each in shown)
        if self.known.issuperset(failing):
            failures += mistrusted(self.run, self.wanted)
        parts = 1 if "vjp" not in self.kernel.keywords else 1 + len(set(self.operation.operands) - {"b"})
        return Report(
            self.kernel.name,
            self.operation.name,
            self.judge.checks,
            2 * parts * self.wanted,
            self.run,
            failures,
            self._miss_probability(),
            self._numbers(),
            self.skipped,
            self.corners,
            self.first,
        )

    def _miss_probability(self) -> float | None:
        """That of the shape with the fewest values to draw from: what is compared is of degree 2 in them."""
        if not self.operation.polynomial or self.operation.rounding is not None or not self.values:
            return None
        return min(1.0, 2 / min(self.values)) if min(self.values) else 1.0

    def _numbers(self) -> str:
        kind = self.kernel.library.kind
        if self.operation.rounding is not None:
            how = self.operation.rounding
            return f"whole numbers in {kind.name}, results compared up to the bound for rounding={how!r}"
        if not self.operation.exact:
            return f"whole numbers in {kind.name}, results compared up to derived bounds"
        whole = "halves of whole numbers" if self.operation.halved and kind.unit else "whole numbers"
        return f"{whole} on which {kind.name} cannot round: sums of the whole ones stay within {kind.limit}"

    def _cases(self) -> Iterator[tuple[Any, bool]]:
        """Corners, then drawn cases, as many as were asked for; those that need what is not supported are counted."""
        left = self.wanted
        for case in self.operation.corners(self.rank) if self.with_corners else ():
            if left and self._tried(case):
                left -= 1
                yield case, True
        for turn in range(8):
            if not left:
                return
            for case in drawn(self.operation.cases(self.rank, self.without), left + 20, self.seed + turn * 2**32):
                if left and self._tried(case):
                    left -= 1
                    yield case, False

    def _fits(self, case: Any) -> bool:
        return not self.operation.features(case) & self.without

    def _tried(self, case: Any) -> bool:
        """Whether the kernel supports a case; one that it does not is counted."""
        if missing := self.operation.features(case) & self.without:
            self.skipped[min(missing)] += 1
        return not missing

    def _judged(self, case: Any) -> list[Wrong]:
        try:
            wrong = self.judge.judge(case)
        except Refused:
            self.skipped["empty batch, which the kernel refuses"] += 1
            return []
        self.values += self.judge.values if case.batch else []
        self.seen += self.judge.observed
        return wrong

    def _failure(self, case: Any, wrong: Wrong) -> Failure:
        small, least = (case, wrong) if wrong.relation == "gone" else shrunk(self.judge, case, wrong, self._fits)
        seen = [*self.seen, *self.judge.observed]
        named = least.diagnosis or (diagnosis(self.operation, least.part, seen) if least.part else "")
        return Failure(least.relation, repr(small), least.detail, named, repro(self.kernel, small, least))


def mistrusted(run: int, wanted: int) -> tuple[Failure, ...]:
    """The failure of a check that ran fewer cases than it was asked for, if it did."""
    told = f"only {run} of {wanted} cases could be run; support more, or ask for fewer cases"
    return (Failure(MISTRUSTED, "", told, "", ""),) if run < wanted else ()


def callables(forward: Any, vjp: Any) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """The two functions, from two or from an object with both."""
    if hasattr(forward, "forward") and not isinstance(forward, type):
        vjp = getattr(forward, "vjp", None) if vjp is None else vjp
        forward = forward.forward
    for name, each in (("forward", forward), ("vjp", vjp)):
        if each is not None and not callable(each):
            raise InputError(f"{name}={each!r} is no function")
    if forward is None:
        raise InputError("forward is missing")
    return forward, vjp
