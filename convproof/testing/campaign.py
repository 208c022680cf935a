"""Campaigns: many cases in shards, on several processors or machines, with a journal from which they go on.

A shard's cases depend on the campaign's parameters and the shard's number alone, so the report is the same however many
jobs there are, in whatever order shards finish, and however often the campaign was interrupted.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import convproof
from convproof.errors import InputError
from convproof.testing.checks import MISTRUSTED, MOST_FAILURES, mistrusted
from convproof.testing.isolated import Target
from convproof.testing.journal import Journal
from convproof.testing.result import Failure, Report
from convproof.testing.shard import Shard, checked

SHARD = 1000
"""How many cases a shard has; the last one may have fewer."""

SEEDS = 2**64
"""How many seeds a campaign has to itself: campaigns of other seeds, and plain checks, draw from others."""

ENOUGH = 20
"""After so many shards with failures a campaign ends."""

BACKENDS = ("loky", "dask", "ray")


@dataclass(frozen=True)
class Campaign:
    """What is checked, on how many cases from which seed, and the limits of the kernel's process."""

    target: Target
    rank: int
    cases: int
    seed: int
    supports: frozenset[str]
    timeout: float
    memory: int
    size: int = SHARD

    def shards(self) -> list[Shard]:
        """The same for the same seed, number of cases and size.

        >>> from convproof.testing.dialects import Dialect
        >>> kernel = Target("conv", "kernels:conv", None, "numpy", "float64", None, Dialect())
        >>> [each.cases for each in Campaign(kernel, 2, 2500, 0, frozenset(), 30, 0).shards()]
        [1000, 1000, 500]
        """
        first = (self.seed + 1) * SEEDS
        starts = range(0, self.cases, self.size)
        return [Shard(k, min(self.size, self.cases - start), first + k) for k, start in enumerate(starts)]

    def setup(self) -> dict[str, Any]:
        """What a shard's process has to know, in JSON."""
        return {
            "target": asdict(self.target),
            "rank": self.rank,
            "supports": sorted(self.supports),
            "timeout": self.timeout,
            "memory": self.memory,
        }

    def parameters(self) -> dict[str, Any]:
        """All that results depend on, in JSON: also what is in the kernel's file, and the versions in use."""
        named = {"target": self.target.forward, "vjp": self.target.vjp}
        files = {name: Path(spec.rpartition(":")[0]) for name, spec in named.items() if spec}
        setup = self.setup()
        return {
            **{key: value for key, value in setup["target"].items() if key not in ("forward", "vjp")},
            **{key: value for key, value in setup.items() if key != "target"},
            **named,
            **{f"content of the {name}'s file": _digest(file) for name, file in files.items() if file.is_file()},
            "cases": self.cases,
            "seed": self.seed,
            "cases of a shard": self.size,
            "version of convproof": convproof.__version__,
            "version of hypothesis": importlib.metadata.version("hypothesis"),
            "version of numpy": importlib.metadata.version("numpy"),
            "version of Python": ".".join(platform.python_version_tuple()[:2]),
        }


@dataclass
class Results:
    """The reports of finished shards, in JSON, by number; and how many of them count: those before the first that is
    missing, to where there are failures enough.
    """

    finished: dict[int, dict[str, Any]] = field(default_factory=dict)
    counted: int = 0
    failing: int = 0

    @property
    def enough(self) -> bool:
        """Whether further shards are not needed."""
        return self.failing >= ENOUGH

    def add(self, shard: int, report: dict[str, Any]) -> None:
        """One more."""
        self.finished[shard] = report
        while self.counted in self.finished and not self.enough:
            relations = {each["relation"] for each in self.finished[self.counted]["failures"]} - {MISTRUSTED}
            self.failing += ENOUGH if "gone" in relations else bool(relations)  # what hangs would hang in every shard
            self.counted += 1

    def merged(self, campaign: Campaign) -> Report:
        """One report of those that count, with the first failure of each relation."""
        reports = [Report.from_json(self.finished[number]) for number in range(self.counted)]
        failures: dict[str, Failure] = {}
        for each in (failure for report in reports for failure in report.failures if failure.relation != MISTRUSTED):
            failures.setdefault(each.relation, each)
        cases = sum(report.cases for report in reports)
        bounds = [report.miss_probability for report in reports if report.miss_probability is not None]
        skipped: Counter[str] = Counter()
        for report in reports:
            skipped += report.skipped
        return replace(
            reports[0],
            checks_run=sum(report.checks_run for report in reports),
            checks_declared=reports[0].checks_declared // campaign.shards()[0].cases * campaign.cases,
            cases=cases,
            failures=tuple(failures.values())[:MOST_FAILURES] or mistrusted(cases, campaign.cases),
            miss_probability=max(bounds, default=None),
            skipped=skipped,
            corners=sum(report.corners for report in reports),
        )


def run(
    campaign: Campaign,
    progress: Callable[[str], None] = lambda shard: None,
    *,
    jobs: int | None = None,
    backend: str = "loky",
    journal: Path | None = None,
) -> Report:
    """The report on all shards; those in the journal are not checked again.

    `jobs` is by default 1 for "loky", and for "dask" and "ray" what the cluster has. Raises `InputError` for a journal
    of another campaign and for a backend that is not installed, and `KeyboardInterrupt` with what is kept.
    """
    shards, results, setup, folder = campaign.shards(), Results(), campaign.setup(), os.getcwd()
    with ExitStack() as stack:
        kept = stack.enter_context(Journal(journal, campaign.parameters())) if journal else None
        progress(named := f"shards of {campaign.size:,} cases")
        for number, report in kept.finished.items() if kept else ():
            if number not in range(len(shards)):
                raise InputError(f"{journal}: the campaign has no shard {number}; name another file")
            results.add(number, report)
            progress(named)
        there = set(results.finished)
        todo = ((setup, each, folder) for each in shards if each.number not in there and not results.enough)
        try:
            for number, report in _in_parallel(todo, jobs, backend):
                if kept:
                    kept.add(number, report)
                results.add(number, report)
                progress(named)
        except KeyboardInterrupt:
            done = f"{len(results.finished):,} of {len(shards):,} shards are finished"
            rest = (
                f" and kept; the same command with --resume {journal} goes on" if kept else "; --resume FILE keeps them"
            )
            raise KeyboardInterrupt(done + rest) from None
    return results.merged(campaign)


# --- jobs -------------------------------------------------------------------------------------------------------------

Task = tuple[dict[str, Any], Shard, str]
Found = tuple[int, dict[str, Any]]


def _in_parallel(todo: Iterator[Task], jobs: int | None, backend: str) -> Iterator[Found]:
    """Number and report of each shard, as they finish; tasks are taken as there is room for them."""
    import joblib

    with _workers(jobs, backend) as count, joblib.parallel_config(backend, n_jobs=count):
        if backend != "ray":
            starter = os.getpid() if backend == "loky" else None
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
            with _uninterrupted():
                results = parallel(joblib.delayed(_found)(*task, starter) for task in todo)
            yield from results
            return
        room = 2 * joblib.effective_n_jobs(-1)  # this backend does not return results one by one
        while tasks := list(islice(todo, room)):
            yield from joblib.Parallel(batch_size=1)(joblib.delayed(_found)(*task) for task in tasks)


def _found(setup: dict[str, Any], shard: Shard, folder: str, starter: int | None = None) -> Found:
    """Number and report; a worker whose starter was killed ends instead of working through what is left."""
    if starter not in (None, os.getpid(), os.getppid()):
        os._exit(0)
    return shard.number, checked(setup, shard, folder)


@contextmanager
def _workers(jobs: int | None, backend: str) -> Iterator[int]:
    """Connects to a cluster where there has to be one, and gives joblib's number of jobs."""
    try:
        if backend == "dask":
            import dask
            from distributed import Client

            quiet = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"  # as in _uninterrupted
            own = {"n_workers": jobs, "threads_per_worker": 1, "preload": [quiet], "dashboard_address": None}
            with Client(**({} if dask.config.get("scheduler-address", None) else own)):
                yield -1
        elif backend == "ray":
            import ray
            from ray.util.joblib import register_ray

            register_ray()
            with ray.init(num_cpus=None if os.environ.get("RAY_ADDRESS") else jobs, log_to_driver=False):
                yield -1 if jobs is None else jobs
        else:
            yield jobs or 1
    except ImportError as error:
        extra = "cluster" if backend == "dask" else "ray"
        raise InputError(f"--backend {backend} needs {error.name}: pip install 'convproof[{extra}]'") from None


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Processes that are started here ignore Ctrl-C, and so print nothing of it; this one hears it, and ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
