"""`convproof check`: a kernel by name, in a process of its own, and its report in the formats of other tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from convproof.errors import InputError
from convproof.report import Result, to_junit, to_sarif
from convproof.testing.checks import DEFAULT, Check, supported
from convproof.testing.dialects import dialect as dialect_of
from convproof.testing.isolated import Isolated, Target
from convproof.testing.numbers import precision
from convproof.testing.result import Report
from convproof.testing.rounding import rounding as rounding_of

MOST = 1_000_000
"""How many cases one process checks; it holds all of them."""


@dataclass(frozen=True)
class Job:
    """What the command line asks for: in how many steps, and what takes them."""

    steps: int
    run: Callable[[Callable[[str], None]], Report]


def job(
    *,
    target: str,
    op: str,
    vjp: str | None,
    cases: int,
    seed: int,
    rank: int,
    xp: str,
    dtype: str,
    device: str | None,
    rounding: str | None,
    without: Sequence[str],
    dialect: Sequence[str],
    timeout: float,
    memory: int,
    jobs: int | None,
    backend: str | None,
    resume: Path | None,
) -> Job:
    """A check in one process; or a campaign, where jobs, a backend or a journal is given. Raises `InputError` for
    options that there are not.
    """
    if not 0 < timeout < 1e6:
        raise InputError(f"--timeout {timeout} must be more than 0 seconds, and less than a million")
    chosen: dict[str, str] = {}
    for each in dialect:
        key, equals, value = each.partition("=")
        if not equals:
            raise InputError(f"--dialect {each!r} is not KEY=VALUE, such as ties=last")
        chosen[key] = value
    supports = supported(DEFAULT - frozenset(supported(without)))
    given = Target(op, target, vjp, xp, dtype, device, dialect_of(chosen), rounding_of(rounding, precision(dtype)))
    if jobs or backend or resume:
        from convproof.testing import campaign

        whole = campaign.Campaign(given, rank, cases, seed, supports, timeout, memory)
        run = partial(campaign.run, whole, jobs=jobs, backend=backend or "loky", journal=resume)
        return Job(len(whole.shards()), run)
    if cases > MOST:
        raise InputError(f"--cases {cases} is more than {MOST} for one process; --jobs N checks them in shards")

    def check(progress: Callable[[str], None]) -> Report:
        with Isolated(given, timeout, memory) as kernel:
            return Check(kernel, rank, cases, seed, supports, progress).report()

    return Job(cases, check)


def text(report: Report, form: str, target: str, version: str) -> str:
    """A report in one of the formats text, json, junit and sarif."""
    if form == "json":
        return json.dumps(report.to_json(), indent=2) + "\n"
    if form == "text":
        return f"{report}\n"
    file = Path(target.rpartition(":")[0])
    place = file if file.is_file() else None
    words = f"{target} computes {report.operation}."
    found = [
        Result(
            report.operation,
            each.relation,
            words,
            False,
            each.diagnosis or "wrong",
            f"{each.detail} on {each.case}",
            0.0,
            place,
        )
        for each in report.failures
    ]
    results = found or [Result(report.operation, "all", words, True, "right", "")]
    return to_junit(results, "convproof") if form == "junit" else to_sarif(results, "convproof", version, Path.cwd())
