"""Means, and normalization by them; all composed of the package's operations, so differentiable again."""

from __future__ import annotations

import math
import numbers
from fractions import Fraction
from typing import Any

import numpy as np

from convproof.autograd import shaping
from convproof.autograd.arguments import one
from convproof.autograd.elementwise import add, divide, exact_or_floating, multiply, power, raised, scalar
from convproof.autograd.pooling import avg_pool
from convproof.autograd.tape import Tensor, operand, operation
from convproof.errors import ShapeError


@operation("x")
def mean(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`, or over everything. Integers become float64; objects are divided exactly.

    Raises `ShapeError` for an axis that x has not, and where there is nothing to average.

    >>> mean([[1, 2], [3, 6]], 1).numpy().tolist()
    [1.5, 4.5]
    """
    x = exact_or_floating(x, "mean")
    count = np.broadcast_to(1, x.shape).sum(axis=axis, keepdims=keepdims)
    if (count == 0).any():
        raise ShapeError(f"mean: over axis={axis} of shape {x.shape} there is nothing to average")
    return divide(shaping.sum(x, axis, keepdims), count)


@operation("x", "gamma", "beta", "mean", "variance")
def batch_norm(x: Any, gamma: Any, beta: Any, eps: float = 1e-5, mean: Any = None, variance: Any = None) -> Tensor:
    """gamma * (x - mean) / sqrt(variance + eps) + beta, channel by channel of x (N, C, *spatial) or (N, C).

    `gamma`, `beta`, and `mean` and `variance` where they are given (as at test time): (C,). Where they are not, they
    are those of the batch, over all axes but the channels', and gradients go through them; the variance is the biased
    one, divided by the number of values, as PyTorch normalizes (what it keeps for test time is divided by one less).
    Integers become float64. Fractions stay exact: raises `DtypeError` where the root of one is no fraction (eps is the
    very number that the float is). Raises `ShapeError` where only one of the two is given, for other shapes, and where
    variance + eps is not positive. Source: S. Ioffe and C. Szegedy, "Batch normalization" (2015), algorithm 1.

    >>> batch_norm([[1.0], [5.0]], [3.0], [10.0], eps=0).numpy().tolist()
    [[7.0], [13.0]]
    """
    x = exact_or_floating(x, "batch_norm")
    if x.ndim < 2:
        raise ShapeError(f"batch_norm: shape {x.shape} must be (N, C, *spatial) or (N, C)")
    if (mean is None) != (variance is None):
        raise ShapeError("batch_norm: give both mean and variance, or neither for those of the batch")
    centre = _channel_mean(x) if mean is None else _per_channel("batch_norm", "mean", mean, x)
    centred = add(x, multiply(centre, -1))
    spread = (
        _channel_mean(power(centred, 2)) if variance is None else _per_channel("batch_norm", "variance", variance, x)
    )
    variance_eps = add(spread, scalar("batch_norm", "eps", eps, x.dtype))
    weights = _per_channel("batch_norm", "gamma", gamma, x)
    scale = _divided("batch_norm", weights, variance_eps, Fraction(1, 2), "eps")  # small, unlike x
    return add(multiply(centred, scale), _per_channel("batch_norm", "beta", beta, x))


@operation("x", "gamma", "beta")
def group_norm(x: Any, groups: int, gamma: Any = None, beta: Any = None, eps: float = 1e-5) -> Tensor:
    """gamma * (x - mean) / sqrt(variance + eps) + beta, with mean and variance of each image's group of channels.

    x: (N, C, *spatial) or (N, C); `groups` must divide C, and is C itself for instance normalization. `gamma` and
    `beta`, which may be left out: (C,). Integers become float64; fractions stay exact, as in `batch_norm`. Raises
    `ShapeError` for other shapes. Source: Y. Wu and K. He, "Group normalization" (2018).

    >>> group_norm([[[1.0, 5.0], [2.0, 2.0]]], 2, eps=1).numpy().round(3).tolist()
    [[[-0.894, 0.894], [0.0, 0.0]]]
    """
    x = exact_or_floating(x, "group_norm")
    parts = one("group_norm", "groups", groups, 1)
    if x.ndim < 2 or 0 in x.shape[1:] or x.shape[1] % parts:
        raise ShapeError(f"group_norm: shape {x.shape} must be (N, C, *spatial) or (N, C), with C divisible by {parts}")
    apart = shaping.reshape(x, (x.shape[0], parts, math.prod(x.shape[1:]) // parts))
    centred = add(apart, multiply(mean(apart, 2, keepdims=True), -1))
    variance_eps = add(mean(power(centred, 2), 2, keepdims=True), scalar("group_norm", "eps", eps, x.dtype))
    y = shaping.reshape(_divided("group_norm", centred, variance_eps, Fraction(1, 2), "eps"), x.shape)
    y = y if gamma is None else multiply(y, _per_channel("group_norm", "gamma", gamma, x))
    return y if beta is None else add(y, _per_channel("group_norm", "beta", beta, x))


def _channel_mean(x: Tensor) -> Tensor:
    """(N, C, *spatial) -> (1, C, 1, ...)"""
    if x.value.size == 0:
        raise ShapeError(f"batch_norm: shape {x.shape} has no values to normalize; give mean and variance")
    return mean(x, (0, *range(2, x.ndim)), keepdims=True)


def _per_channel(op: str, name: str, value: Any, x: Tensor) -> Tensor:
    """(C,) -> (C, 1, ...), one value for each channel of x, of its kind."""
    convert, channels = operand if x.dtype.kind == "O" else exact_or_floating, x.shape[1]
    values = convert(value, op)
    if values.shape != (channels,):
        raise ShapeError(f"{op}: {name} of shape {values.shape} for {channels} channels; it must be ({channels},)")
    return shaping.reshape(values, (channels, *(1 for _ in x.shape[2:])))


@operation("x")
def local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """x / (k + alpha/size * sum of squares)**beta, over a window of `size` channels of x (N, C, *spatial) or (N, C).

    The window of channel c holds those of channels c - size//2 to c + (size - 1)//2 that there are. As in PyTorch,
    alpha is divided by `size`; in the AlexNet paper it is not (there k = 2, size = 5, alpha = 1e-4 and beta = 0.75), so
    give size times the paper's alpha for its numbers. Integers become float64. Fractions stay exact; raises
    `DtypeError` where a power of one is no fraction, which never happens for a whole `beta`. Raises `ShapeError` for a
    size below 1, and where what is raised to beta is not positive. Source: A. Krizhevsky, I. Sutskever and G. Hinton,
    "ImageNet classification" (2012), section 3.3.

    >>> local_response_norm([[3.0, 1.0, 2.0]], 3, alpha=3, beta=1).numpy().tolist()
    [[0.2727272727272727, 0.06666666666666667, 0.3333333333333333]]
    """
    x = exact_or_floating(x, "local_response_norm")
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise ShapeError(f"local_response_norm: shape {x.shape} must be (N, C, *spatial) or (N, C), none but N empty")
    width = one("local_response_norm", "size", size, 1)
    scale, exponent, offset = (
        scalar("local_response_norm", name, value, x.dtype)
        for name, value in (("alpha", alpha), ("beta", beta), ("k", k))
    )
    lines = shaping.reshape(power(x, 2), (x.shape[0], 1, x.shape[1], math.prod(x.shape[2:])))  # (N, 1, C, positions)
    reach = ((width // 2, (width - 1) // 2), (0, 0))
    squares = shaping.reshape(avg_pool(lines, (width, 1), 1, reach), x.shape)
    return _divided("local_response_norm", x, add(multiply(squares, scale), offset), exponent, "k")


def _divided(op: str, x: Tensor, base: Tensor, exponent: float | Fraction, remedy: str) -> Tensor:
    """x / base**exponent; floats that are not positive are refused, since a power of them is no number, and likewise
    fractions, but for whole exponents only 0.
    """
    power = Fraction(exponent)
    if base.dtype.kind == "f":
        wrong = base.value[base.value <= 0]
    else:
        fractions = [b for b in base.value.flat if isinstance(b, numbers.Rational)]
        wrong = np.array([b for b in fractions if b == 0 or (b < 0 and power.denominator > 1)], object)
    if wrong.size and (base.dtype.kind == "f" or power > 0):
        raise ShapeError(f"{op}: a divisor is a power of {wrong.min()}, not positive; use a larger {remedy}")
    return multiply(x, raised(op, base, -power.numerator if power.denominator == 1 else -power))
