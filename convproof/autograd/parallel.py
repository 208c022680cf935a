"""Several processor cores at one contraction: parts that write to different places, each computed by one thread.

NumPy lets go of the interpreter while it copies and multiplies, so threads do. How many there are is said by
`OPENBLAS_NUM_THREADS` or `OMP_NUM_THREADS`, as for the matrix products of NumPy itself; else all cores that this
process may use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

import numpy as np

from convproof.autograd.tape import Array

WORTHWHILE = 1 << 23
"""Multiplications below which starting threads takes longer than they save."""

SMALL = (1 << 19) - 1
"""Multiplications up to which OpenBLAS computes a matrix product in the thread that asks for it. Larger ones go to
threads of its own, for which those of `each` would have to wait.
"""

INNER, ROWS = 512, 32
"""The shape of such a piece: how many products are summed, and for how many rows, at most."""

Part = TypeVar("Part")


def threads() -> int:
    """How many threads may work at a time."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        if os.environ.get(name, "").isdecimal():
            return max(1, int(os.environ[name]))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(run: Callable[[Part], None], parts: Iterable[Part], work: int) -> None:
    """Calls `run` on every part, in threads where there are several and `work`, in multiplications, is worth it."""
    waiting = list(parts)
    count = min(threads(), len(waiting)) if work >= WORTHWHILE else 1
    if count == 1:
        for part in waiting:
            run(part)
        return
    with ThreadPoolExecutor(count) as pool:
        started = [pool.submit(copy_context().run, run, part) for part in waiting]  # the context holds np.errstate
    for future in started:
        future.result()


def slices(length: int, longest: int) -> Iterator[slice]:
    """Slices of range(length) of about the same length, at most `longest`."""
    count = -(-length // max(1, longest))
    step = -(-length // max(1, count))
    return (slice(first, min(first + step, length)) for first in range(0, length, step))


def multiply(a: Array, b: Array, out: Array, adding: bool = False) -> None:
    """out = a @ b, or out += a @ b, for stacks of matrices (..., n, m) and (..., m, k), without threads of BLAS where
    ours are at work.
    """
    alone = threads() == 1
    for inner in slices(a.shape[-1], a.shape[-1] if alone else INNER):
        for rows in slices(a.shape[-2], a.shape[-2] if alone else ROWS):
            left = a[..., rows, inner]
            size = left.shape[-1] * left.shape[-2]
            for columns in slices(b.shape[-1], b.shape[-1] if alone else SMALL // size):
                piece = out[..., rows, columns]
                if adding or inner.start:
                    piece += np.matmul(left, b[..., inner, columns])
                else:
                    np.matmul(left, b[..., inner, columns], out=piece)
