"""Losses of class scores, of which the mean over the batch is taken unless `reduction` says otherwise."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from convproof.autograd import shaping
from convproof.autograd.dtypes import Array, plain_array
from convproof.autograd.elementwise import (
    divide,
    exact_or_floating,
    floating,
    log_softmax,
    masked,
    multiply,
    power,
)
from convproof.autograd.tape import Tensor, operand, operation, record
from convproof.errors import DtypeError, ShapeError


@operation("scores", "weight")
def cross_entropy(
    scores: Any,
    labels: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(scores)[label]; scores (N, classes, *positions), labels (N, *positions) whole numbers.

    `weight` (classes,): what each class counts. Labels that are `ignore_index` count nothing. `reduction`: "mean", over
    what the labels count; "sum"; or "none", in the shape of the labels. `label_smoothing`, from 0 to 1: the share of a
    label that goes to all classes equally. One example is scores (classes,) with a single label. As in PyTorch; but
    where every label is ignored, a mean is refused. Integers become float64. Raises `ShapeError` for other shapes,
    labels outside 0..classes-1 and other options, `DtypeError` for labels that are no integers, and scores that are
    objects.

    >>> round(float(cross_entropy([[0.0, 0.0]], [1]).numpy()), 6)
    0.693147
    >>> cross_entropy([[0.0, 0.0], [7.0, 7.0]], [1, -100], reduction="none").numpy().round(6).tolist()
    [0.693147, 0.0]
    """
    s, smoothing = floating(scores, "cross_entropy"), label_smoothing
    if isinstance(smoothing, bool) or not isinstance(smoothing, numbers.Real) or not 0 <= smoothing <= 1:
        raise ShapeError(f"cross_entropy: label_smoothing={smoothing!r} must be a number from 0 to 1")
    chosen = _labels("cross_entropy", s.shape, labels, ignore_index)
    logs = log_softmax(_batch(s), 1)
    return _as_given(_likelihoods("cross_entropy", logs, chosen, weight, reduction, float(smoothing)), s)


@operation("log_probabilities", "weight")
def nll_loss(
    log_probabilities: Any, labels: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean"
) -> Tensor:
    """The negative log likelihood: -log_probabilities[label], as `cross_entropy` of what `log_softmax` gives.

    `log_probabilities`: (N, classes, *positions); objects stay exact. Everything else is as in `cross_entropy`.

    >>> float(nll_loss([[-0.5, -1.5], [-2.0, -0.25]], [0, 0]).numpy())
    1.25
    """
    logs = exact_or_floating(log_probabilities, "nll_loss")
    chosen = _labels("nll_loss", logs.shape, labels, ignore_index)
    return _as_given(_likelihoods("nll_loss", _batch(logs), chosen, weight, reduction, 0.0), logs)


def _likelihoods(op: str, logs: Tensor, chosen: Array, weight: Any, reduction: str, smoothing: float) -> Tensor:
    """The losses of log probabilities (N, classes, *positions), of which `chosen` names those of the labels."""
    if reduction not in ("mean", "sum", "none"):
        raise ShapeError(f"{op}: reduction={reduction!r} is none of mean, sum, none")
    counted = chosen.any(axis=1, keepdims=True)  # (N, 1, *positions)
    share: Array = chosen.astype(np.int8)
    if smoothing:
        share = (1 - smoothing) * share + smoothing / logs.shape[1] * counted
    parts = multiply(masked(logs, share > 0), (-share).astype(logs.dtype))  # masked: 0 * -inf is no number
    divisor: Any = int(counted.sum())
    if weight is not None:
        each = _weights(op, weight, logs)
        parts = multiply(parts, each)
        divisor = shaping.sum(multiply(chosen.astype(np.int8).astype(logs.dtype), each))
    if reduction != "mean":
        found: Tensor = shaping.sum(parts, 1 if reduction == "none" else None)
        return found
    if (divisor.value if isinstance(divisor, Tensor) else divisor) == 0:
        raise ShapeError(f"{op}: no label counts, so that there is no mean; use reduction='sum'")
    total: Tensor = shaping.sum(parts)
    return multiply(total, power(divisor, -1)) if isinstance(divisor, Tensor) else divide(total, divisor)


def _weights(op: str, weight: Any, logs: Tensor) -> Tensor:
    """(classes,) -> (classes, 1, ...)"""
    found = operand(weight, op)
    if found.shape != logs.shape[1:2]:
        raise ShapeError(
            f"{op}: weight of shape {found.shape} for {logs.shape[1]} classes; it must be ({logs.shape[1]},)"
        )
    return shaping.reshape(found, (*found.shape, *(1 for _ in logs.shape[2:])))


def _batch(scores: Tensor) -> Tensor:
    """(classes,) -> (1, classes)"""
    return shaping.reshape(scores, (1, *scores.shape)) if scores.ndim == 1 else scores


def _as_given(losses: Tensor, scores: Tensor) -> Tensor:
    """The loss of one example without a batch axis, where scores (classes,) have none."""
    return shaping.reshape(losses, ()) if scores.ndim == 1 else losses


@operation("scores")
def hinge_loss(scores: Any, labels: Any) -> Tensor:
    """The mean over the batch of sum over other classes j of max(0, score_j - score_label + 1), the multi-class SVM
    loss; scores (N, classes), labels (N,).

    Exact on objects; integers become float64. Its derivative at a kink is taken as 0. Raises as `cross_entropy` does.

    >>> float(hinge_loss([[3.0, 2.5, 0.0]], [0]).numpy())
    0.5
    """
    s = exact_or_floating(scores, "hinge_loss")
    if s.ndim != 2:
        raise ShapeError(f"hinge_loss: scores {s.shape} must be (N, classes)")
    chosen = _labels("hinge_loss", s.shape, labels, None)
    margins = s.value - s.value[chosen][:, None] + 1
    active = np.asarray(margins > 0, dtype=bool) & ~chosen
    losses = np.where(active, margins, np.zeros((), s.dtype)).sum(axis=1)
    slope = np.where(chosen, -active.sum(axis=1, keepdims=True), active).astype(s.dtype)  # of each row, by its scores
    total = record("hinge_loss", losses.sum(), (s,), (lambda g: multiply(slope, g),))
    return divide(total, len(losses))


def _labels(op: str, scores: tuple[int, ...], labels: Any, ignored: int | None) -> Array:
    """Which of the scores (N, classes, *positions), or (classes,), are those of the labels that are not ignored, as an
    array with a batch axis.
    """
    found = labels.value if isinstance(labels, Tensor) else plain_array(labels, op)
    if found.dtype.kind not in "iu":
        raise DtypeError(f"{op}: labels of dtype {found.dtype}; they must be integers")
    n, classes, *positions = scores if len(scores) > 1 else (1, *(scores or (0,)))
    if found.shape != (() if len(scores) == 1 else scores[:1] + scores[2:]) or 0 in (scores or (0,)):
        rest = "" if ignored is None else ", *positions"
        raise ShapeError(
            f"{op}: scores {scores} and labels {found.shape} must be (N, classes{rest}) and (N{rest}), not empty"
        )
    counts = np.ones(found.shape, bool) if ignored is None else np.asarray(found != ignored)
    wrong = found[counts & ((found < 0) | (found >= classes))]
    if wrong.size:
        raise ShapeError(f"{op}: label {wrong[0]} is outside 0..{classes - 1}")
    numbered = np.arange(classes).reshape(-1, *(1 for _ in positions))
    spread = (n, 1, *positions)
    return np.asarray((found.reshape(spread) == numbered) & counts.reshape(spread))
