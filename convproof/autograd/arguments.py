"""Arguments of operations: one value for all spatial axes, or one per axis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from convproof.errors import ShapeError

Pairs = tuple[tuple[int, int], ...]


def per_axis(op: str, name: str, value: Any, rank: int, least: int | None) -> tuple[int, ...]:
    """One int per spatial axis, from one for all or a sequence; at least `least`, if that is given."""
    values = _sequence(value, rank)
    try:
        numbers = tuple(operator.index(v) for v in values)
    except TypeError:
        raise ShapeError(f"{op}: {name}={value!r} must be a whole number or one per spatial axis") from None
    if len(numbers) != rank:
        raise ShapeError(f"{op}: {name}={value!r} is for {len(numbers)} spatial axes, the input has {rank}")
    if least is not None and any(n < least for n in numbers):
        raise ShapeError(f"{op}: {name}={value!r} must be at least {least}")
    return numbers


def pairs(op: str, padding: Any, rank: int) -> Pairs:
    """(before, after) per axis, from one number, one per axis, or one pair per axis."""
    values = _sequence(padding, rank)
    if len(values) != rank:
        raise ShapeError(f"{op}: padding={padding!r} is for {len(values)} spatial axes, the input has {rank}")
    both = [per_axis(op, "padding", v, 2, None) for v in values]
    return tuple((before, after) for before, after in both)


def one(op: str, name: str, value: Any, least: int) -> int:
    """A single int of at least `least`."""
    return per_axis(op, name, (value,), 1, least)[0]


def _sequence(value: Any, rank: int) -> tuple[Any, ...]:
    """The values for `rank` axes: a sequence as it is, a single value repeated."""
    if isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim):
        return tuple(value)
    return (value,) * rank


def check_fit(op: str, sizes: Sequence[int], kernel: Sequence[int], padding: Pairs, dilation: Sequence[int]) -> None:
    """Raises `ShapeError` where no window fits into the padded input."""
    for axis, (n, k, (before, after), d) in enumerate(zip(sizes, kernel, padding, dilation, strict=True)):
        size, span = n + before + after, d * (k - 1) + 1
        if size < span:
            raise ShapeError(
                f"{op}: on spatial axis {axis} a window spans {span} positions but the padded input has only {size}; "
                f"pad by {span - size} more or use a smaller kernel"
            )
