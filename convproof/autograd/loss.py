"""Losses of class scores, averaged over the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from convproof.autograd.elementwise import add, floating, multiply, softmax
from convproof.autograd.pooling import reciprocal
from convproof.autograd.shaping import sum
from convproof.autograd.tape import Array, Tensor, operand, record
from convproof.errors import DtypeError, ShapeError


def cross_entropy(scores: Any, labels: Any) -> Tensor:
    """The mean over the batch of -log softmax(scores)[label]; scores (N, classes), labels (N,) whole numbers.

    Raises `ShapeError` for labels of another shape or outside 0..classes-1, `DtypeError` for labels that are no
    integers.

    >>> round(float(cross_entropy([[0.0, 0.0]], [1]).numpy()), 6)
    0.693147
    """
    s, chosen = floating(scores, "cross_entropy"), _labels(scores, labels, "cross_entropy")
    top = s.value.max(axis=1, keepdims=True)
    losses = np.log(np.exp(s.value - top).sum(axis=1)) - ((s.value - top) * chosen).sum(axis=1)
    share = reciprocal(len(chosen), s.dtype)

    def vjp(g: Tensor) -> Tensor:
        return multiply(multiply(g, share), add(softmax(s, 1), -chosen.astype(s.dtype)))

    return record("cross_entropy", np.asarray(losses.sum() * share, dtype=s.dtype), (s,), (vjp,))


def hinge_loss(scores: Any, labels: Any) -> Tensor:
    """The mean over the batch of sum over other classes j of max(0, score_j - score_label + 1), the multi-class SVM
    loss.

    Exact on objects; integers become float64. Its derivative at a kink is taken as 0. Raises as `cross_entropy` does.

    >>> float(hinge_loss([[3.0, 2.5, 0.0]], [0]).numpy())
    0.5
    """
    s, chosen = operand(scores, "hinge_loss"), _labels(scores, labels, "hinge_loss")
    own = (s.value * chosen).sum(axis=1, keepdims=True)
    margins = s.value - own + 1
    active = np.asarray(margins > 0, dtype=bool) & (chosen == 0)
    slope = np.where(active, 1, 0) - chosen * active.sum(axis=1, keepdims=True)  # d(loss of a row) / d(scores)
    share = reciprocal(len(chosen), s.dtype)
    constant = np.asarray(active.sum()).astype(s.dtype)
    return multiply(add(sum(multiply(s, slope.astype(s.dtype))), constant), share)


def _labels(scores: Any, labels: Any, op: str) -> Array:
    """The labels as rows of 0 and one 1."""
    shape = operand(scores, op).shape
    found = np.asarray(labels)
    if found.dtype.kind not in "iu":
        raise DtypeError(f"{op}: labels of dtype {found.dtype}; they must be integers")
    if len(shape) != 2 or found.shape != shape[:1] or 0 in shape:
        raise ShapeError(f"{op}: scores {shape} and labels {found.shape} must be (N, classes) and (N,), not empty")
    if found.min() < 0 or found.max() >= shape[1]:
        wrong = found[(found < 0) | (found >= shape[1])][0]
        raise ShapeError(f"{op}: label {wrong} is outside 0..{shape[1] - 1}")
    return np.asarray(found[:, None] == np.arange(shape[1]), dtype=np.int64)
