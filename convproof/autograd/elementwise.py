"""Operations on single elements, with NumPy's broadcasting."""

from __future__ import annotations

import math
import numbers
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from convproof.autograd import shaping
from convproof.autograd.dtypes import plain_array
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import DtypeError, ShapeError


@operation("a", "b")
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


@operation("a", "b")
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


@operation("x")
def power(x: Any, exponent: float) -> Tensor:
    """x ** exponent for a number `exponent`; where the derivative is infinite at 0, the VJP takes 0 there.

    Integers become float64 where `exponent` is not a whole number from 0. Integers and fractions in object arrays stay
    exact: raises `DtypeError` where such a power is no fraction, and `ShapeError` for an exponent that is no finite
    number.

    >>> power([2, 3], 2).numpy().tolist()
    [4, 9]
    """
    return raised("power", operand(x, "power"), _exponent(exponent))


def raised(op: str, x: Tensor, exponent: float | Fraction) -> Tensor:
    """`power` in the name of the operation `op`."""
    if x.dtype.kind == "i" and not (isinstance(exponent, int) and exponent >= 0):
        x = floating(x, op)
    e = float(exponent) if isinstance(exponent, Fraction) and x.dtype.kind != "O" else exponent
    value = np.frompyfunc(partial(exact_power, op, Fraction(e)), 1, 1)(x.value) if x.dtype.kind == "O" else x.value**e

    def vjp(g: Tensor) -> Tensor:
        if e in (0, 1):
            return multiply(g, e)
        if e > 1:
            return multiply(g, multiply(raised(op, x, e - 1), e))
        alive = np.asarray(x.value != 0, dtype=bool)
        away_from_zero = add(x, np.where(alive, 0, 1).astype(x.dtype))
        return masked(multiply(g, multiply(raised(op, away_from_zero, e - 1), e)), alive)

    return record("power", value, (x,), (vjp,))


def _exponent(value: Any) -> int | Fraction:
    """The same number as an int, where it is whole, or else as a fraction."""
    try:
        number = Fraction(value) if isinstance(value, numbers.Rational) else Fraction(float(value))
    except (TypeError, ValueError):
        raise ShapeError(f"power: {value!r} is no number") from None
    except OverflowError:
        raise ShapeError(f"power: {value!r} is not finite") from None
    return int(number) if number.denominator == 1 else number


def exact_power(op: str, exponent: Fraction, base: Any) -> Any:
    """base ** exponent; of an integer or a fraction exactly, or else `DtypeError`. Other objects, such as letters, know
    their own powers.

    >>> exact_power("power", Fraction(-1, 2), Fraction(4, 9))
    Fraction(3, 2)
    """
    if not isinstance(base, (int, np.integer, Fraction)):
        return base ** (int(exponent) if exponent.denominator == 1 else exponent)
    if base == 0 and exponent < 0:
        raise ShapeError(f"{op}: 0 has no power of {exponent}")
    over, under = (whole_root(int(n), exponent.denominator) for n in (base.numerator, base.denominator))
    if over is None or under is None:
        shown = base if len(str(base)) <= 20 else f"a fraction near {float(base):.6g}"
        raise DtypeError(
            f"{op}: {shown} to the power of {exponent} is no fraction; convert with astype(float) for a rounded one"
        )
    if not isinstance(base, Fraction) and exponent >= 0:
        return over**exponent.numerator
    return Fraction(over, under) ** exponent.numerator


def whole_root(n: int, degree: int) -> int | None:
    """The whole number from 0 on whose power of `degree` is n, if there is one; n itself for degree 1.

    >>> whole_root(27, 3), whole_root(28, 3)
    (3, None)
    """
    if degree == 1 or n in (0, 1):
        return n
    low, high = 1, 1 << (n.bit_length() // degree + 1)
    while n > 0 and high - low > 1:
        middle = (low + high) >> 1
        low, high = (middle, high) if middle**degree <= n else (low, middle)
    return low if low**degree == n else None


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


@operation("x")
def absolute(x: Any) -> Tensor:
    """|x|; its derivative at 0 is taken as 0.

    >>> absolute([-2, 3]).numpy().tolist()
    [2, 3]
    """
    x = operand(x, "absolute")
    away = np.where(np.asarray(x.value == 0, dtype=bool), 0, 1)
    return multiply(x, np.where(np.asarray(x.value < 0, dtype=bool), -1, away).astype(x.dtype))


@operation("x")
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


@operation("x")
def sigmoid(x: Any) -> Tensor:
    """1 / (1 + exp(-x)); integers become float64.

    >>> sigmoid([0.0]).numpy().tolist()
    [0.5]
    """
    x = floating(x, "sigmoid")
    value = 0.5 * (1 + np.tanh(0.5 * x.value))  # the same function, without overflow

    def vjp(g: Tensor) -> Tensor:
        s = sigmoid(x)
        return multiply(g, multiply(s, add(multiply(s, -1), 1)))

    return record("sigmoid", value, (x,), (vjp,))


@operation("x")
def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent; integers become float64.

    >>> tanh([0.0]).numpy().tolist()
    [0.0]
    """
    x = floating(x, "tanh")

    def vjp(g: Tensor) -> Tensor:
        t = tanh(x)
        return add(g, multiply(g, multiply(t, multiply(t, -1))))

    return record("tanh", np.tanh(x.value), (x,), (vjp,))


@operation("x")
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
    kept = mask.value if isinstance(mask, Tensor) else plain_array(mask, "dropout")
    try:
        kept = np.broadcast_to(kept, x.shape)
    except ValueError:
        raise ShapeError(f"dropout: a mask of shape {kept.shape} does not repeat to {x.shape}, that of x") from None
    if not np.isin(kept, (0, 1)).all():
        raise ShapeError("dropout: the mask must hold 0 where an element is dropped and 1 where it stays")
    scale = 1 / (1 - share) if share != 1 else 0
    return multiply(x, np.where(kept == 1, scale, 0).astype(x.dtype))


@operation("x")
def softmax(x: Any, axis: int = 1) -> Tensor:
    """exp(x) / sum(exp(x)) along `axis`, computed after subtracting the largest entry. Floats; integers become float64.

    Raises `DtypeError` for objects, on which exp is not defined.

    >>> softmax([[0.0, 0.0]]).numpy().tolist()
    [[0.5, 0.5]]
    """
    x = _along("softmax", x, axis)
    e = np.exp(x.value - x.value.max(axis=axis, keepdims=True))

    def vjp(g: Tensor) -> Tensor:
        s = softmax(x, axis)
        inner: Tensor = shaping.sum(multiply(g, s), axis, keepdims=True)
        return multiply(s, add(g, multiply(inner, -1)))

    return record("softmax", e / e.sum(axis=axis, keepdims=True), (x,), (vjp,))


@operation("x")
def log_softmax(x: Any, axis: int = 1) -> Tensor:
    """The logarithm of `softmax` along `axis`, in the shape of x, computed without taking that of a small number.

    Floats; integers become float64. Raises `DtypeError` for objects, `ShapeError` for an axis that x has not.

    >>> log_softmax([[-1000.0, 0.0]]).numpy().tolist()
    [[-1000.0, 0.0]]
    """
    x = _along("log_softmax", x, axis)
    below = x.value - x.value.max(axis=axis, keepdims=True)
    value = below - np.log(np.exp(below).sum(axis=axis, keepdims=True))

    def vjp(g: Tensor) -> Tensor:
        total: Tensor = shaping.sum(g, axis, keepdims=True)
        return add(g, multiply(multiply(softmax(x, axis), total), -1))

    return record("log_softmax", value, (x,), (vjp,))


def _along(op: str, x: Any, axis: int) -> Tensor:
    """Floats that have this axis."""
    found = floating(x, op)
    if not -found.ndim <= axis < found.ndim:
        raise ShapeError(f"{op}: axis={axis} is none of the {found.ndim} axes of shape {found.shape}")
    return found


def floating(x: Any, op: str) -> Tensor:
    """x, with integers as float64; raises `DtypeError` for objects, of which there are no exact exponentials."""
    source = operand(x, op)
    if source.dtype.kind == "O":
        raise DtypeError(f"{op}: works on floats, not on objects; convert with astype(float)")
    if source.dtype.kind == "i":
        return record("float", source.value.astype(np.float64), (source,), (lambda g: g,))
    return source


def exact_or_floating(x: Any, op: str) -> Tensor:
    """x, with integers as float64, objects as they are."""
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
    if _is_number(b) and not _is_number(a):
        a = operand(a, op)
        b = _constant(b, a.dtype)
    elif _is_number(a) and not _is_number(b):
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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _constant(number: float, dtype: np.dtype[Any]) -> Tensor:
    """A Python number as NumPy would combine it with an array of `dtype`."""
    plain = float(number) if isinstance(number, float) else int(number)
    return Tensor(np.asarray(plain, object if dtype.kind == "O" else np.result_type(dtype, plain)))
