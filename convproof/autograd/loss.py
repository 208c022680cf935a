"""Losses of class scores, averaged over the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from convproof.autograd.elementwise import add, divide, floating, multiply, softmax
from convproof.autograd.tape import Array, Tensor, operand, operation, record
from convproof.errors import DtypeError, ShapeError


@operation("scores")
def cross_entropy(scores: Any, labels: Any) -> Tensor:
    """The mean over the batch of -log softmax(scores)[label]; scores (N, classes), labels (N,) whole numbers.

    Raises `ShapeError` for labels of another shape or outside 0..classes-1, `DtypeError` for labels that are no
    integers.

    >>> round(float(cross_entropy([[0.0, 0.0]], [1]).numpy()), 6)
    0.693147
    """
    s, chosen = floating(scores, "cross_entropy"), _labels(scores, labels, "cross_entropy")
    top = s.value.max(axis=1, keepdims=True)
    losses = np.log(np.exp(s.value - top).sum(axis=1)) - (s.value - top)[chosen]

    def vjp(g: Tensor) -> Tensor:
        return multiply(divide(g, len(losses)), add(softmax(s, 1), -chosen.astype(s.dtype)))

    return record("cross_entropy", np.asarray(losses.mean(dtype=s.dtype)), (s,), (vjp,))


@operation("scores")
def hinge_loss(scores: Any, labels: Any) -> Tensor:
    """The mean over the batch of sum over other classes j of max(0, score_j - score_label + 1), the multi-class SVM
    loss.

    Exact on objects; integers become float64. Its derivative at a kink is taken as 0. Raises as `cross_entropy` does.

    >>> float(hinge_loss([[3.0, 2.5, 0.0]], [0]).numpy())
    0.5
    """
    given = operand(scores, "hinge_loss")
    s, chosen = (
        given if given.dtype.kind == "O" else floating(given, "hinge_loss"),
        _labels(given, labels, "hinge_loss"),
    )
    margins = s.value - s.value[chosen][:, None] + 1
    active = np.asarray(margins > 0, dtype=bool) & ~chosen
    losses = np.where(active, margins, np.zeros((), s.dtype)).sum(axis=1)
    slope = np.where(chosen, -active.sum(axis=1, keepdims=True), active).astype(s.dtype)  # of each row, by its scores
    total = record("hinge_loss", losses.sum(), (s,), (lambda g: multiply(slope, g),))
    return divide(total, len(losses))


def _labels(scores: Any, labels: Any, op: str) -> Array:
    """The labels as rows of False with one True."""
    shape = operand(scores, op).shape
    found = labels.value if isinstance(labels, Tensor) else np.asarray(labels)
    if found.dtype.kind not in "iu":
        raise DtypeError(f"{op}: labels of dtype {found.dtype}; they must be integers")
    if len(shape) != 2 or found.shape != shape[:1] or 0 in shape:
        raise ShapeError(f"{op}: scores {shape} and labels {found.shape} must be (N, classes) and (N,), not empty")
    if found.min() < 0 or found.max() >= shape[1]:
        wrong = found[(found < 0) | (found >= shape[1])][0]
        raise ShapeError(f"{op}: label {wrong} is outside 0..{shape[1] - 1}")
    return np.asarray(found[:, None] == np.arange(shape[1]))
