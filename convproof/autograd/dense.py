"""Matrix products and fully connected layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from convproof.autograd.elementwise import add
from convproof.autograd.shaping import reshape, transpose
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import ShapeError


@operation("a", "b")
def matmul(a: Any, b: Any) -> Tensor:
    """The product of two matrices, (n, m) and (m, k): (n, k).

    Raises `ShapeError` for other shapes.

    >>> matmul([[1, 2]], [[3], [4]]).numpy().tolist()
    [[11]]
    """
    a, b = operand(a, "matmul"), operand(b, "matmul")
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ShapeError(
            f"matmul: shapes {a.shape} and {b.shape}; the first's columns must be as many as the second's rows"
        )
    return record(
        "matmul",
        _product(a.value, b.value),
        (a, b),
        (lambda g: matmul(g, transpose(b)), lambda g: matmul(transpose(a), g)),
    )


def _product(a: Array, b: Array) -> Array:
    """a @ b; of one column and one row by broadcasting, which is several times faster than BLAS."""
    return a * b if a.shape[1] == 1 else np.matmul(a, b)


@operation("x", "w", "b")
def linear(x: Any, w: Any, b: Any = None) -> Tensor:
    """x (..., features) times w (units, features) transposed, plus b (units,): (..., units).

    Raises `ShapeError` for other shapes.

    >>> linear([[1, 2]], [[3, 4], [5, 6]], [10, 20]).numpy().tolist()
    [[21, 37]]
    """
    x, w = operand(x, "linear"), operand(w, "linear")
    if x.ndim < 1 or w.ndim != 2 or x.shape[-1] != w.shape[1]:
        rows = "N" if x.ndim == 2 else "..."
        raise ShapeError(
            f"linear: input {x.shape} and weights {w.shape} must be ({rows}, features) and (units, features)"
        )
    y, units = matmul(reshape(x, (math.prod(x.shape[:-1]), x.shape[-1])), transpose(w)), w.shape[0]
    if b is not None:
        b = operand(b, "linear")
        if b.shape != (units,):
            raise ShapeError(f"linear: bias of shape {b.shape} for {units} units; it must be ({units},)")
        y = add(y, b)
    found: Tensor = reshape(y, (*x.shape[:-1], units))
    return found
