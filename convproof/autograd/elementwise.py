"""Operations on single elements, with NumPy's broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from convproof.autograd import shaping
from convproof.autograd.tape import Tensor, operand, record
from convproof.errors import DtypeError, ShapeError


def add(a: Any, b: Any) -> Tensor:
    """a + b.

    >>> add([1, 2], [10, 20]).numpy().tolist()
    [11, 22]
    """
    a, b = _pair(a, b, "add")
    return record(
        "add",
        a.value + b.value,
        (a, b),
        (lambda g: shaping.unbroadcast(g, a.shape), lambda g: shaping.unbroadcast(g, b.shape)),
    )


def multiply(a: Any, b: Any) -> Tensor:
    """a * b, element by element.

    >>> multiply([1, 2], [10, 20]).numpy().tolist()
    [10, 40]
    """
    a, b = _pair(a, b, "multiply")
    return record(
        "multiply",
        a.value * b.value,
        (a, b),
        (
            lambda g: shaping.unbroadcast(multiply(g, b), a.shape),
            lambda g: shaping.unbroadcast(multiply(g, a), b.shape),
        ),
    )


def power(x: Any, exponent: float) -> Tensor:
    """x ** exponent for a number `exponent`; where the derivative is infinite at 0, the VJP takes 0 there.

    >>> power([2, 3], 2).numpy().tolist()
    [4, 9]
    """
    x = operand(x, "power")
    value = x.value**exponent

    def vjp(g: Tensor) -> Tensor:
        if exponent >= 1:
            return multiply(g, multiply(power(x, exponent - 1), exponent))
        alive = np.where(x.value != 0, 1, 0).astype(value.dtype)
        away_from_zero = add(x, (1 - alive).astype(x.dtype))
        return multiply(g, multiply(multiply(power(away_from_zero, exponent - 1), exponent), alive))

    return record("power", value, (x,), (vjp,))


def relu(x: Any) -> Tensor:
    """max(0, x); its derivative at 0 is 0, and NaN stays NaN.

    >>> relu([-2, 3]).numpy().tolist()
    [0, 3]
    """
    x = operand(x, "relu")
    dead = np.asarray(x.value <= 0, dtype=bool)
    alive = np.where(dead, 0, 1).astype(x.dtype)
    return record("relu", np.where(dead, np.zeros((), x.dtype), x.value), (x,), (lambda g: multiply(g, alive),))


def softmax(x: Any, axis: int = 1) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis`, computed after subtracting the largest entry. Floats; integers become float64.

    Raises `DtypeError` for objects, on which exp is not defined.

    >>> softmax([[0.0, 0.0]]).numpy().tolist()
    [[0.5, 0.5]]
    """
    x = floating(x, "softmax")
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"softmax: axis={axis} is none of the {x.ndim} axes of shape {x.shape}")
    e = np.exp(x.value - x.value.max(axis=axis, keepdims=True))

    def vjp(g: Tensor) -> Tensor:
        s = softmax(x, axis)
        inner: Tensor = shaping.sum(multiply(g, s), axis, keepdims=True)
        return multiply(s, add(g, multiply(inner, -1)))

    return record("softmax", e / e.sum(axis=axis, keepdims=True), (x,), (vjp,))


def floating(x: Any, op: str) -> Tensor:
    """x, with integers as float64; raises `DtypeError` for objects."""
    source = operand(x, op)
    if source.dtype.kind == "O":
        raise DtypeError(f"{op}: works on floats, not on objects; convert with astype(float)")
    if source.dtype.kind in "iu":
        return record("float", source.value.astype(np.float64), (source,), (lambda g: g,))
    return source


def _pair(a: Any, b: Any, op: str) -> tuple[Tensor, Tensor]:
    """Both operands; a plain number takes the other's dtype, so that float32 stays float32."""
    a, b = (operand(v, op) if not isinstance(v, (int, float)) else v for v in (a, b))
    if not isinstance(a, Tensor):
        a = operand(np.asarray(a, getattr(b, "dtype", None)), op)
    if not isinstance(b, Tensor):
        b = operand(np.asarray(b, a.dtype), op)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(
            f"{op}: shapes {a.shape} and {b.shape} do not go together; equal sizes or 1 on each axis do"
        ) from None
    return a, b
