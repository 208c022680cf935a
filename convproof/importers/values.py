"""What the nodes of somebody's network read and make, whatever it is imported from: constants, activations, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from convproof.errors import InputError

Values = npt.NDArray[np.object_]
"""Python's numbers, exact; also `Extent`s, and None for what is not known."""


class Inexpressible(Exception):
    """A node that no layer kind describes, with the reason; it becomes an `Unknown` layer."""


@dataclass(frozen=True)
class Extent:
    """The size of a layer's output along an axis (0 is the batch), where the importer does not know the number."""

    layer: str
    axis: int


@dataclass(frozen=True)
class Flow:
    """What a layer makes of the image.

    `shape` is (batch, channels, *spatial) in numbers, letters of the image and `Extent`s, or None after an operation
    that nothing is known about; `root` is the layer that this is an element-wise function of.
    """

    layer: str
    shape: tuple[Any, ...] | None
    root: str


@dataclass(frozen=True, eq=False)
class Constant:
    """What hangs on no image: its shape, its values if they are few, the stored tensors that it is made of."""

    shape: tuple[int, ...] | None = None
    values: Values | None = None
    sources: tuple[str, ...] = ()

    @property
    def size(self) -> int | None:
        """The number of elements, where the shape is known."""
        return None if self.shape is None else prod(self.shape)

    def shaped(self, shape: tuple[int, ...]) -> Constant:
        """The same elements in another shape of the same size. Raises `InputError` for another size."""
        if prod(shape) != self.size:
            raise InputError(f"a constant of shape {self.shape} does not fill the shape {shape}")
        return Constant(shape, None if self.values is None else self.values.reshape(shape), self.sources)


Value = Flow | Constant


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


def common_shape(flows: list[Flow]) -> tuple[Any, ...] | None:
    """The shape of all, without the batch, where nothing speaks against their being equal; None where none is known."""
    shapes = [each.shape for each in flows if each.shape is not None]
    if len({len(shape) for shape in shapes}) > 1:
        raise Inexpressible("its operands have different numbers of axes")
    axes = [[n for n in axis if isinstance(n, int)] for axis in zip(*shapes, strict=True)]
    if any(len(set(numbers)) > 1 or (set(numbers) == {1} and len(numbers) < len(flows)) for numbers in axes[1:]):
        raise Inexpressible("its operands have different shapes")
    return tuple(n[0] if n else m for n, m in zip(axes[1:], shapes[0][1:], strict=True)) if shapes else None


def scaled(flows: Sequence[Flow], vectors: Sequence[Flow | None] = ()) -> tuple[Flow, Flow] | None:
    """Of two flows what is scaled and by what, where one has a single position and the other, as it seems, more.

    `vectors` are what the flows are, where they are vectors as channels with a single position.
    """
    if len(flows) != 2:
        return None
    for place, x in enumerate(flows):
        factors, vector = flows[1 - place], vectors[1 - place] if vectors else None
        if vector is not None and x.shape is not None and len(x.shape) > 2:
            return x, vector
        if x.shape is None or factors.shape is None or not len(x.shape) == len(factors.shape) > 2:
            continue
        lonely = all(n == 1 for n in factors.shape[2:]) and any(n != 1 for n in x.shape[2:])
        if lonely and (factors.shape[1] != 1 or x.shape[1] == 1):
            return x, factors
    return None


def shown(name: str) -> str:
    """A name from the file, fit to print in a line."""
    return "".join(c if c.isprintable() else "?" for c in (name if len(name) <= 100 else name[:97] + "..."))


GATED = {"sigmoid": "silu", "hardsigmoid": "hardswish"}
"""Activations that have a name when the input is multiplied by them."""
