"""What the nodes of somebody's network read and make, whatever it is imported from: constants, activations, sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from convproof.errors import InputError

Values = npt.NDArray[np.object_]
"""Python's numbers, exact; also formulas of sizes, and None for what is not known."""


class Inexpressible(Exception):
    """A node that no layer kind describes, with the reason; it becomes an `Unknown` layer."""


@dataclass(frozen=True)
class Flow:
    """What a layer makes of the image.

    `shape` is (batch, channels, *spatial), in numbers and formulas of the image's sizes, or None after an operation
    that nothing is known about; `root` is the layer that this is an element-wise function of.
    """

    layer: str
    shape: tuple[Any, ...] | None
    root: str


@dataclass(frozen=True, eq=False)
class Constant:
    """What depends on no image: its shape, its values if they are few, the stored tensors that it is made of."""

    shape: tuple[Any, ...] | None = None
    values: Values | None = None
    sources: tuple[str, ...] = ()

    @property
    def size(self) -> int | None:
        """The number of elements, where that is known and no formula."""
        return prod(self.shape) if self.shape is not None and all(isinstance(n, int) for n in self.shape) else None

    def shaped(self, shape: tuple[int, ...]) -> Constant:
        """The same elements in another shape of the same size. Raises `InputError` for another size."""
        if prod(shape) != self.size:
            raise InputError(f"a constant of shape {self.shape} does not fill the shape {shape}")
        return Constant(shape, None if self.values is None else self.values.reshape(shape), self.sources)


Value = Flow | Constant


@dataclass(frozen=True)
class Computed:
    """A value of which nothing is known, with the reason; `of_sizes`, where it is one of sizes that have no number."""

    why: str
    of_sizes: bool = False


@dataclass(frozen=True)
class Indices(Computed):
    """Where the maxima are that a pooling of x found."""

    x: Flow | None = None


class SizeNeeded(Inexpressible):
    """A size must be known as a number, which it is only at an image in numbers."""


@dataclass(frozen=True)
class Comparison:
    """How two sizes, or tuples of them, compare, which depends on the size of the image."""

    function: Any
    a: Any
    b: Any


# --- what several importers ask ---------------------------------------------------------------------------------------


def short(values: Sequence[Any]) -> Any:
    """One value where all are equal, else the tuple."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def short_pads(pairs: Sequence[tuple[int, int]]) -> Any:
    """One value, or one an axis, where before and after are equal; else the pairs."""
    return tuple(pairs) if any(before != after for before, after in pairs) else short([n for n, _ in pairs])


def axis_of(axis: Any, rank: int) -> int:
    """`axis`, counted from 0; negative ones count from the end. Raises `InputError` where there is none such, and
    `Inexpressible` for one that is no number.
    """
    if not isinstance(axis, int):
        raise Inexpressible("its axes are computed")
    if not -rank <= axis < rank:
        raise InputError(f"axis {axis} is none of {rank} axes")
    return axis + rank if axis < 0 else axis


def shown(name: str) -> str:
    """A name from the file, fit to print in a line."""
    return "".join(c if c.isprintable() else "?" for c in (name if len(name) <= 100 else name[:97] + "..."))


def leaves(value: Any) -> Iterator[Any]:
    """What stands in nested lists, tuples, dictionaries and slices.

    >>> list(leaves([1, (2, {"three": 3}), slice(4, 5)]))
    [1, 2, 3, 4, 5, None]
    """
    if isinstance(value, Mapping):
        value = list(value.values())
    elif isinstance(value, slice):
        value = [value.start, value.stop, value.step]
    if isinstance(value, list | tuple):
        for each in value:
            yield from leaves(each)
    else:
        yield value


GATED = {"sigmoid": "silu", "hardsigmoid": "hardswish"}
"""Activations that have a name when the input is multiplied by them."""
