"""Amounts of layers in letters: what `architecture.amounts` adds and divides, on sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from convproof.architecture.amounts import settled
from convproof.architecture.behaviour import Layer
from convproof.errors import Undecided
from convproof.symbolic.floordiv import Size, floordiv, least_value, normal

Shape = tuple[Size, ...]


def own_operands(layer: Layer, inputs: tuple[Shape, ...]) -> tuple[Layer, tuple[Shape, ...]]:
    """The layer with formulas for its amounts, and the shapes of what it reads besides sizes."""
    if not getattr(layer, "has_amounts", False):  # what is no layer is refused by its rule
        return layer, inputs
    return settled(layer, inputs, FORMULAS), inputs[: len(inputs) - layer.sizes_read]


def _extreme(sign: int) -> Callable[[Size, Size], Size]:
    """The least (1) or the largest (-1) of two sizes. Raises `Undecided` where that depends on letters."""

    def chosen(a: Size, b: Size) -> Size:
        for one, other in ((a, b), (b, a)):
            least = least_value(normal(sign * (other - one)))
            if least is not None and least >= 0:
                return one
        raise Undecided(f"which of {a} and {b} is less depends on the size")

    return chosen


FORMULAS: Mapping[str, Callable[[Size, Size], Size]] = {
    "+": lambda a, b: normal(a + b),
    "-": lambda a, b: normal(a - b),
    "*": lambda a, b: normal(a * b),
    "//": floordiv,
    "%": lambda a, b: normal(a - b * floordiv(a, b)),
    "min": _extreme(1),
    "max": _extreme(-1),
}
"""What the functions of amounts are on sizes in letters."""
