"""The operations that kernels are checked as, by name."""

from __future__ import annotations

from collections.abc import Callable

from convproof.errors import InputError
from convproof.testing import linear_maps, normalizations, pools
from convproof.testing.dialects import Dialect
from convproof.testing.operation import Operation

OPERATIONS: dict[str, Callable[[Dialect], Operation]] = {
    "conv": lambda _: linear_maps.Conv(),
    "conv_transpose": lambda _: linear_maps.ConvTranspose(),
    "max_pool": pools.MaxPool,
    "avg_pool": pools.AvgPool,
    "lp_pool": pools.LpPool,
    "linear": lambda _: linear_maps.Linear(),
    "im2col": lambda _: linear_maps.Im2col(),
    "batch_norm": lambda _: normalizations.BatchNorm(),
    "lrn": lambda _: normalizations.LocalResponseNorm(),
    "cross_entropy": lambda _: normalizations.CrossEntropy(),
}


def operation(name: str, conventions: Dialect, rounds: str | None = None) -> Operation:
    """The operation of that name, whose kernels may round as told. Raises `InputError` for another name, and where
    kernels of it do not round so.

    >>> operation("conv", Dialect()).operands
    ('x', 'w', 'b')
    """
    if not isinstance(name, str) or name not in OPERATIONS:
        raise InputError(f"no operation is named {name!r}; there are {', '.join(OPERATIONS)}")
    found = OPERATIONS[name](conventions)
    if rounds is not None and rounds not in found.roundings:
        others = [each for each in OPERATIONS if rounds in OPERATIONS[each](conventions).roundings]
        raise InputError(f"rounding={rounds!r} is for {', '.join(others)}, not for {name}")
    found.rounding = rounds
    return found
