"""What the judge needs to know of an operation; `linear_maps`, `pools` and `normalizations` have one class for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from hypothesis.strategies import SearchStrategy

from convproof.testing.numbers import Array, Arrays, Draw, Precision

PARTS = {"y": "y", "x": "dX", "w": "dW", "b": "db", "gamma": "dgamma", "beta": "dbeta", "scores": "dscores"}
"""How results are called: y, and the gradient of each operand."""


@dataclass(frozen=True)
class Expected:
    """What an array must be, entry by entry: one of the values, up to a bound where one is given."""

    values: tuple[Array, ...]
    bound: Array | None = None

    def wrong(self, found: Array) -> Array:
        """Where an array of the same shape is none of it. NaN equals NaN alone."""
        off = np.ones(found.shape, bool)
        for value in self.values:
            same = (found == value) | ((found != found) & (value != value))
            if self.bound is not None:
                with np.errstate(invalid="ignore"):
                    same |= np.abs(found - value) <= self.bound
            off &= ~same
        return off


def exactly(value: Array) -> Expected:
    """That array, and no other."""
    return Expected((value,))


Results = dict[str, Expected]
Fault = Callable[[Any, Arrays], Mapping[str, Array]]
"""What a kernel with a named fault would compute: y, and gradients by the names of the operands."""


class Operation:
    """An operation: its cases, its numbers, how its kernels are called, and what they must return.

    `operands` are the arrays whose gradients a VJP returns, in its order.
    """

    name: ClassVar[str]
    operands: ClassVar[tuple[str, ...]]
    ranks: ClassVar[tuple[int, ...]] = (1, 2, 3)
    exact: ClassVar[bool] = True
    polynomial: ClassVar[bool] = True
    """Whether results are polynomials of the numbers drawn, of degree 2."""
    halved: ClassVar[Mapping[str, int]] = {}
    """How often inputs are halved before a kernel gets them, in floating types: what cuts fractions off is found."""

    halved_results: ClassVar[Mapping[str, int]] = {}
    """How often results are halved by that."""

    moves: ClassVar[bool] = False
    """Whether results are values of the input, in its dtype."""

    roundings: ClassVar[tuple[str, ...]] = ()
    """How kernels of the operation may round, of those in `rounding.ROUNDINGS`."""

    rounding: str | None = None
    """How the kernel at hand does."""

    aliases: ClassVar[bool] = False
    """Whether a result may be a view of the input."""

    def corners(self, rank: int) -> list[Any]:
        """The cases that are always tried, in this order."""
        raise NotImplementedError

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        """What is drawn beyond them."""
        raise NotImplementedError

    def features(self, case: Any) -> set[str]:
        """What a kernel must support for the case."""
        raise NotImplementedError

    def draw(self, case: Any, kind: Precision, seed: Any) -> Draw:
        """The operands and the cotangent g."""
        raise NotImplementedError

    def forward(self, case: Any, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments of a forward kernel."""
        raise NotImplementedError

    def backward(self, case: Any, given: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments of a VJP."""
        raise NotImplementedError

    def keywords(self, case: Any) -> dict[str, Any]:
        """Further keyword arguments, for kernels that take them; the first value of a case that needs none."""
        return {}

    def expected(self, case: Any, arrays: Arrays, kind: Precision) -> Results:
        """What y must be, and every gradient."""
        raise NotImplementedError

    def window_by_window(self, case: Any) -> bool:
        """Whether gradients are judged for one window at a time, by `is_subgradient`."""
        return False

    def is_subgradient(self, case: Any, arrays: Arrays, index: tuple[int, ...], gradient: Array) -> bool:
        """Whether a gradient is one of the window at an index alone."""
        raise NotImplementedError

    def faults(self) -> Mapping[str, Fault]:
        """Named faults, the likeliest first."""
        return {}


def common(case: Any) -> set[str]:
    """Features that every case has."""
    found = {f"{case.layout} inputs"} if case.layout else set()
    return found | ({"empty batch"} if not case.batch else set())


def laid(case: Any, arrays: Arrays) -> Arrays:
    """The arrays, with all images alike where memory holds only one."""
    if case.layout == "broadcast" and arrays["x"].shape[0]:
        arrays = {**arrays, "x": np.broadcast_to(arrays["x"][:1], arrays["x"].shape)}
    return arrays
