"""How times, their growth and memory are measured."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.peers import Run
from benchmarks.subjects import Subject, alone, growing
from convproof.architecture import Conv

Found = dict[str, Any]
"""`value` is the figure of the table, and `seconds` or `bytes` what it was made from."""

TOLERANCE = 1e-4
"""By how much results may differ: the norm of the difference, as a share of the norm."""

BRANCHING = 0.1
"""The same for gradients of whole networks, where some ReLUs take another branch because of rounding; in float64 both
sides agree to 1e-12.
"""

SPAN = 0.005
"""Seconds below which a run is repeated, and the sum is timed."""

PAUSE = 0.05
"""Seconds between two turns, in which the other side's threads stop waiting for work, which they do busily."""

GRAPH, CHAINS = "graph: from 2,500 to 20,000 additions", (2_500, 5_000, 10_000, 20_000)


class Disagreement(Exception):
    """Two sides that should compute the same do not."""


@dataclass(frozen=True)
class Effort:
    """How often to take turns: at most `rounds` times, fewer where that takes longer than `seconds`, but twice."""

    rounds: int
    seconds: float


# --- what is computed in one process ----------------------------------------------------------------------------------


def versus(subject: Subject, peer: str, backward: bool, effort: Effort) -> Found:
    """The time of convproof as a multiple of the peer's."""
    tolerance = TOLERANCE if subject.layer else BRANCHING
    return _paired(peers.with_convproof(subject, backward), peers.SIDES[peer](subject, backward), tolerance, effort)


def chain_versus(backward: bool, effort: Effort) -> Found:
    """The same for a chain of additions."""
    return _paired(peers.chain_with_convproof(backward), peers.chain_with_torch(backward), TOLERANCE, effort)


def overhead(backward: bool, effort: Effort) -> Found:
    """Microseconds that convproof takes for an addition in a chain."""
    (seconds,) = medians([peers.chain_with_convproof(backward)], effort)
    return {"value": 1e6 * seconds / peers.CHAIN, "seconds": [seconds]}


def _paired(ours: Run, theirs: Run, tolerance: float, effort: Effort) -> Found:
    agree(ours(), theirs(), tolerance)
    seconds = medians([ours, theirs], effort)
    return {"value": seconds[0] / seconds[1], "seconds": seconds}


def agree(ours: list[Any], theirs: list[Any], tolerance: float) -> None:
    """Raises `Disagreement` unless both hold the same output to `TOLERANCE`, and gradients to `tolerance`."""
    limits = [TOLERANCE, *(tolerance for _ in ours[1:])]
    for a, b, limit in zip(ours, theirs, limits, strict=True):
        if a.shape != b.shape:
            raise Disagreement(f"shapes {a.shape} and {b.shape} differ")
        apart = float(np.linalg.norm(a - b) / np.linalg.norm(b))
        if not apart <= limit:
            raise Disagreement(f"results differ by {apart:.1e} of their norm; {limit:.0e} is the limit")


def growth(name: str, effort: Effort) -> Found:
    """The exponent of the time of a forward and a backward pass in the work: 1 where both grow alike."""
    if name == GRAPH:
        steps = [(length, peers.chain_with_convproof(True, length)) for length in CHAINS]
    else:
        steps = [(subject.work, peers.with_convproof(subject, True)) for subject in growing()[name]]
    for _, run in steps:
        run()
    seconds = medians([run for _, run in steps], effort)
    slope, _ = np.polyfit(np.log([work for work, _ in steps]), np.log(seconds), 1)
    return {"value": float(slope), "seconds": seconds}


def medians(runs: Sequence[Run], effort: Effort) -> list[float]:
    """The median time of each, taking turns."""
    first = [_seconds(run) for run in runs]
    numbers = [max(1, round(SPAN / seconds)) for seconds in first]
    rounds = int(effort.seconds / sum(max(seconds, SPAN) for seconds in first))
    turns = range(min(max(rounds, 2), effort.rounds))
    times = [[_seconds(run, n) for run, n in zip(runs, numbers, strict=True)] for _ in turns]
    return [statistics.median(each) for each in zip(*times, strict=True)]


def _seconds(run: Run, number: int = 1) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    for _ in range(number):
        run()
    return (time.perf_counter() - start) / number


# --- memory -----------------------------------------------------------------------------------------------------------


def memory(subject: Subject, peer: str, effort: Effort) -> Found:
    """The memory that convproof takes for a forward and a backward pass, as a multiple of the peer's."""
    found = [in_process(partial(extra, subject, side)) for side in ("convproof", peer)]
    return {"value": found[0] / found[1], "bytes": found}


def in_process(call: Any) -> Any:
    """What a call returns in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(call).result()


def extra(subject: Subject, side: str) -> int:
    """The most bytes that a forward and a backward pass hold beside parameters, input and cotangent (Linux). A small
    layer of the kind is run before, so that the code is loaded.
    """
    run = peers.SIDES[side](subject, True)
    peers.SIDES[side](alone("small", (3, 8, 8), subject.layer or Conv(3, 3)), True)()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the most so far is from here on what is held now
    before = _status("VmRSS")
    run()
    return _status("VmHWM") - before


def _status(field: str) -> int:
    """A figure of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))
