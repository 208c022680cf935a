"""Operations on single elements, with NumPy's broadcasting."""

from __future__ import annotations

import math
import numbers
from fractions import Fraction
from typing import Any

import numpy as np

from convproof.autograd import shaping
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import DtypeError, ShapeError


@operation
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


@operation
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


@operation
def power(x: Any, exponent: float) -> Tensor:
    """x ** exponent for a number `exponent`; where the derivative is infinite at 0, the VJP takes 0 there.

    >>> power([2, 3], 2).numpy().tolist()
    [4, 9]
    """
    e = _plain_number(exponent, "power")
    x = floating(x, "power") if e < 0 and operand(x, "power").dtype.kind in "iu" else operand(x, "power")
    value = x.value**e

    def vjp(g: Tensor) -> Tensor:
        if e in (0, 1):
            return multiply(g, e)
        if e > 1:
            return multiply(g, multiply(power(x, e - 1), e))
        alive = np.asarray(x.value != 0, dtype=bool)
        away_from_zero = add(x, np.where(alive, 0, 1).astype(x.dtype))
        return masked(multiply(g, multiply(power(away_from_zero, e - 1), e)), alive)

    return record("power", value, (x,), (vjp,))


def _plain_number(value: Any, op: str) -> int | float:
    """A Python number, which leaves the dtype of what it meets as it is."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ShapeError(f"{op}: {value!r} is no number") from None
    if not math.isfinite(number):
        raise ShapeError(f"{op}: {value!r} is not finite")
    return int(number) if number == int(number) else number


def masked(x: Tensor, where: Array) -> Tensor:
    """x where the array `where` is true, else 0, whatever stood there."""
    return record("masked", kept(x.value, where), (x,), (lambda g: masked(g, where),))


def kept(x: Array, where: Array) -> Array:
    """x where `where` is true, else 0. Plain numbers are masked as bits, which takes no branches."""
    if x.dtype.kind == "O" or x.itemsize > 8 or x.shape != where.shape:
        return np.where(where, x, np.zeros((), x.dtype))
    bits = np.dtype(f"i{x.itemsize}")
    found: Array = (x.view(bits) & -where.astype(bits)).view(x.dtype)
    return found


def divide(x: Tensor, count: Any) -> Tensor:
    """x divided by whole numbers: exactly for objects; integers become float64."""
    if x.dtype.kind == "O":
        share = np.asarray(np.vectorize(lambda n: Fraction(1, int(n)), otypes=[object])(count), dtype=object)
        return multiply(x, share)
    counts = np.asarray(count, dtype=x.dtype if x.dtype.kind == "f" else np.float64)
    return record("divide", x.value / counts, (x,), (lambda g: divide(g, count),))


@operation
def absolute(x: Any) -> Tensor:
    """|x|; its derivative at 0 is taken as 0.

    >>> absolute([-2, 3]).numpy().tolist()
    [2, 3]
    """
    x = operand(x, "absolute")
    away = np.where(np.asarray(x.value == 0, dtype=bool), 0, 1)
    return multiply(x, np.where(np.asarray(x.value < 0, dtype=bool), -1, away).astype(x.dtype))


@operation
def relu(x: Any) -> Tensor:
    """max(0, x); its derivative at 0 is 0, and NaN stays NaN.

    >>> relu([-2, 3]).numpy().tolist()
    [0, 3]
    """
    x = operand(x, "relu")
    value = (
        np.maximum(x.value, x.dtype.type(0))
        if x.dtype.kind != "O"
        else np.where(np.asarray(x.value <= 0, dtype=bool), 0, x.value)
    )
    return record("relu", value, (x,), (lambda g: masked(g, ~np.asarray(x.value <= 0, dtype=bool)),))


@operation
def dropout(x: Any, mask: Any, p: float = 0.5) -> Tensor:
    """x * mask / (1 - p): what a training step keeps of x, scaled so that its expectation is x (inverted dropout).

    `mask`: 0 where an element is dropped, 1 where it stays, in a shape that repeats to that of x, as (N, C, 1, 1) does
    to drop channels; `p`: the share that is dropped, from 0 to 1, where everything is 0. Integers become float64;
    objects are scaled exactly. Raises `ShapeError` for another mask or p. Source: N. Srivastava et al., "Dropout: a
    simple way to prevent neural networks from overfitting" (2014), section 10; p there is the share that is kept.

    >>> dropout([1.0, 2.0, 3.0, 4.0], [1, 0, 1, 0], 0.75).numpy().tolist()
    [4.0, 0.0, 12.0, 0.0]
    """
    x = exact_or_floating(x, "dropout")
    share = scalar("dropout", "p", p, x.dtype)
    if not 0 <= share <= 1:
        raise ShapeError(f"dropout: p={p!r} must be a number from 0 to 1")
    kept = mask.value if isinstance(mask, Tensor) else np.asarray(mask)
    try:
        kept = np.broadcast_to(kept, x.shape)
    except ValueError:
        raise ShapeError(f"dropout: a mask of shape {kept.shape} does not repeat to {x.shape}, that of x") from None
    if not np.isin(kept, (0, 1)).all():
        raise ShapeError("dropout: the mask must hold 0 where an element is dropped and 1 where it stays")
    scale = 1 / (1 - share) if share != 1 else 0
    return multiply(x, np.where(kept == 1, scale, 0).astype(x.dtype))


@operation
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


def exact_or_floating(x: Any, op: str) -> Tensor:
    """x, with integers as float64, in which sums of small integers do not wrap round; objects as they are."""
    x = operand(x, op)
    return x if x.dtype.kind == "O" else floating(x, op)


def scalar(op: str, name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    """A finite number to go with an array of `dtype`: the same number as a `Fraction` for objects, else a float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ShapeError(f"{op}: {name}={value!r} must be a finite number")
    if dtype.kind != "O":
        return float(value)
    return Fraction(value) if isinstance(value, numbers.Rational) else Fraction(float(value))


def _pair(a: Any, b: Any, op: str) -> tuple[Tensor, Tensor]:
    """Both operands; a bare Python number leaves the other's dtype as it is where it can (float32 + 1 is float32)."""
    if isinstance(b, (int, float)) and not isinstance(a, (int, float)):
        a = operand(a, op)
        b = _constant(b, a.dtype)
    elif isinstance(a, (int, float)) and not isinstance(b, (int, float)):
        b = operand(b, op)
        a = _constant(a, b.dtype)
    a, b = operand(a, op), operand(b, op)
    if a.shape == b.shape:
        return a, b
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ShapeError(
            f"{op}: shapes {a.shape} and {b.shape} do not go together; equal sizes or 1 on each axis do"
        ) from None
    return a, b


def _constant(number: float, dtype: np.dtype[Any]) -> Tensor:
    """A Python number as NumPy would combine it with an array of `dtype`."""
    plain = float(number) if isinstance(number, float) else int(number)
    return Tensor(np.asarray(plain, object if dtype.kind == "O" else np.result_type(dtype, plain)))
