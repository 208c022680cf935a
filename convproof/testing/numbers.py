"""Whole numbers so small that a right kernel cannot round, drawn from a seed.

Where every sum of absolute values of products stays within the whole numbers that a type holds, sums in any order are
exact in it, and so are the results. Where that leaves too few numbers to choose from, most entries are 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convproof.errors import InputError

Array = np.ndarray[Any, np.dtype[Any]]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Precision:
    """A dtype: all whole numbers to `limit` are exact in its sums and results, inputs go to `largest`; results have
    the dtype `result`; `unit` is the unit roundoff, and `tiny` the least number that is held to it.
    """

    name: str
    limit: int
    largest: int
    result: str
    unit: float
    tiny: float


def stored(kind: Precision) -> Precision:
    """The same for operations whose results have the dtype of their inputs."""
    return replace(kind, limit=kind.largest, result=kind.name) if kind.name != kind.result else kind


PRECISIONS = {
    each.name: each
    for each in (
        Precision("float64", 2**53, 2**15, "float64", 2.0**-53, 2.0**-1022),
        Precision("float32", 2**24, 2**12, "float32", 2.0**-24, 2.0**-126),
        Precision("float16", 2**11, 2**9, "float16", 2.0**-11, 2.0**-14),
        Precision("bfloat16", 2**8, 2**6, "bfloat16", 2.0**-8, 2.0**-126),
        Precision("int64", 2**62, 2**15, "int64", 0.0, 0.0),
        Precision("int32", 2**31 - 1, 2**15, "int32", 0.0, 0.0),
        Precision("int8", 2**31 - 1, 2**7 - 1, "int32", 0.0, 0.0),
    )
}
"""What a kernel may sum and store in. 8-bit integers are summed in 32 bits."""

FEWEST = 7
"""The least range -n..n that dense numbers are drawn from."""


def precision(dtype: Any) -> Precision:
    """That of a dtype or its name. Raises `InputError` for others."""
    name = str(getattr(dtype, "__name__", dtype)).removeprefix("torch.")
    if name not in PRECISIONS:
        raise InputError(f"dtype={dtype!r} is not supported; there are {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


@dataclass(frozen=True)
class Draw:
    """Arrays of whole numbers, and how many values each entry was drawn from; 0 where most entries are 0."""

    arrays: Arrays
    values: int


Sums = Callable[[Arrays], Mapping[str, Array]]


def draw(shapes: Mapping[str, tuple[int, ...]], counts: int, sums: Sums, kind: Precision, seed: Any) -> Draw:
    """Arrays of these shapes for operations that sum up to `counts` products of two of them, and one more number;
    `sums` makes these sums. No entry is 0 where there is room.
    """
    rng = np.random.default_rng(seed)
    half = min(kind.largest, math.isqrt(kind.limit // (counts + 1)))
    if half >= FEWEST:
        return Draw({name: _signed(rng, shape, half) for name, shape in shapes.items()}, 2 * half)
    half = min(4, max(1, math.isqrt(kind.limit // 4)))
    arrays = {name: _signed(rng, shape, half) for name, shape in shapes.items()}
    while any(
        np.abs(each).max(initial=0) > kind.limit for each in sums({n: np.abs(a) for n, a in arrays.items()}).values()
    ):
        arrays = {name: _thinned(rng, array) for name, array in arrays.items()}
    return Draw(arrays, 0)


def _signed(rng: np.random.Generator, shape: tuple[int, ...], half: int) -> Array:
    """Each of -half, ..., -1, 1, ..., half equally often."""
    found = rng.integers(-half, half, shape)
    return found + (found >= 0)


def _thinned(rng: np.random.Generator, array: Array) -> Array:
    """A quarter of the entries set to 0, but not all."""
    kept = array * (rng.random(array.shape) < 0.75)
    return kept if kept.any() or not array.size else array
