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


def operation(name: str, conventions: Dialect) -> Operation:
    """The operation of that name. Raises `InputError` for another.

    >>> operation("conv", Dialect()).operands
    ('x', 'w', 'b')
    """
    if name not in OPERATIONS:
        raise InputError(f"no operation is named {name!r}; there are {', '.join(OPERATIONS)}")
    return OPERATIONS[name](conventions)
