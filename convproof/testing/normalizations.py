"""Batch and local response normalization and cross-entropy: judged up to bounds that are derived, never exactly.

References are computed in extended precision. A bound counts, to first order and then doubled, what each rounding of
a usual way to compute changes: sums of n terms change each by n roundings, a variance as the mean of squares minus the
square of the mean loses what the mean square exceeds it by, and what is divided by its root half of that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis.strategies import SearchStrategy

from convproof.testing import cases
from convproof.testing.cases import LossCase, NormCase
from convproof.testing.numbers import Array, Arrays, Draw, Precision
from convproof.testing.operation import Expected, Fault, Operation, Results, common, laid
from convproof.testing.rounding import cumulative


def wide(array: Array) -> Array:
    """In extended precision."""
    return array.astype(np.longdouble)


def within(value: Array, bound: Array, kind: Precision) -> Expected:
    """That value up to a bound, doubled for what is left out of second order, and what is lost by underflow."""
    return Expected((value.astype(float),), 2 * np.broadcast_to(bound, value.shape).astype(float) + kind.tiny)


class BatchNorm(Operation):
    """gamma*(x - mean)/sqrt(variance + eps) + beta, with the biased variance of the batch."""

    name = "batch_norm"
    operands = ("x", "gamma", "beta")
    exact = polynomial = False

    def corners(self, rank: int) -> list[Any]:
        return list(dict.fromkeys(replace(case, size=1) for case in cases.norm_corners(rank)))

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        return cases.norm_cases(rank, without).map(lambda case: replace(case, size=1))

    def features(self, case: NormCase) -> set[str]:
        return common(case)

    def draw(self, case: NormCase, kind: Precision, seed: Any) -> Draw:
        rng, shape = np.random.default_rng(seed), (case.batch, case.channels, *case.sizes)
        x, g = rng.integers(-9, 10, shape), rng.integers(-9, 10, shape)
        gamma, beta = (rng.choice([-3, -2, 2, 3, 4], case.channels) for _ in range(2))
        return Draw(laid(case, {"x": x, "gamma": gamma, "beta": beta, "g": g}), 0)

    def eps(self, case: NormCase) -> float:
        """What is added to the variance: of the order of it, or small."""
        return (1.0, 0.5, 2.0**-10)[case.seed % 3]

    def forward(self, case: NormCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], given["gamma"], given["beta"], self.eps(case)

    def backward(self, case: NormCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["g"], given["x"], given["gamma"], self.eps(case)

    def results(self, case: NormCase, arrays: Arrays) -> dict[str, Array]:
        """y, the gradients, and what the bounds are made of."""
        axes = (0, *range(2, arrays["x"].ndim))
        x, g = wide(arrays["x"]), wide(arrays["g"])
        gamma, beta = (wide(arrays[name]).reshape(-1, *(1 for _ in case.sizes)) for name in ("gamma", "beta"))

        def mean(values: Array) -> Array:
            return np.asarray(values.mean(axes, keepdims=True))

        centred, square = x - mean(x), mean(x * x)
        scale = 1 / np.sqrt(mean(centred * centred) + np.longdouble(self.eps(case)))
        normed = centred * scale
        return {
            "y": gamma * normed + beta,
            "x": gamma * scale * (g - mean(g) - normed * mean(g * normed)),
            "gamma": (g * normed).sum(axes),
            "beta": g.sum(axes),
            "amount": np.abs(gamma) * (np.abs(normed) + scale * mean(np.abs(x))) + np.abs(beta),
            "spread": np.abs(gamma)
            * scale
            * (np.abs(g) + mean(np.abs(g)) + (np.abs(normed) + 1) * mean(np.abs(g) * (np.abs(normed) + 1))),
            "inner": (np.abs(g) * (np.abs(normed) + scale * mean(np.abs(x)))).sum(axes),
            "sum": np.abs(g).sum(axes),
            "loss": 1 + square * scale * scale,
        }

    def expected(self, case: NormCase, arrays: Arrays, kind: Precision) -> Results:
        found = self.results(case, arrays)
        steps = 4 * (case.batch * math.prod(case.sizes) + 8) * (kind.unit + 2.0**-63)
        loss = found["loss"]
        return {
            "y": within(found["y"], steps * loss * found["amount"], kind),
            "x": within(found["x"], steps * loss * found["spread"], kind),
            "gamma": within(found["gamma"], steps * loss.reshape(-1) * found["inner"], kind),
            "beta": within(found["beta"], steps * found["sum"], kind),
        }

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.normalizations import batch_norm_faults

        return batch_norm_faults(self)


class LocalResponseNorm(Operation):
    """x/(k + alpha/size * the sum of squares over a window of channels)**beta, as in PyTorch."""

    name = "lrn"
    operands = ("x",)
    exact = polynomial = False
    roundings = ("cumulative",)

    def corners(self, rank: int) -> list[Any]:
        return cases.norm_corners(rank)

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        return cases.norm_cases(rank, without)

    def features(self, case: NormCase) -> set[str]:
        return common(case) | (set() if case.size % 2 else {"even windows"})

    def draw(self, case: NormCase, kind: Precision, seed: Any) -> Draw:
        rng, shape = np.random.default_rng(seed), (case.batch, case.channels, *case.sizes)
        return Draw(laid(case, {"x": rng.integers(-9, 10, shape), "g": rng.integers(-9, 10, shape)}), 0)

    def options(self, case: NormCase) -> tuple[int, float, float, float]:
        """size, alpha, beta and k."""
        return (
            case.size,
            (0.5, 2.0, 0.25)[case.seed % 3],
            (0.75, 0.5, 1.0)[case.seed // 3 % 3],
            (1.0, 2.0)[case.seed % 2],
        )

    def forward(self, case: NormCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], *self.options(case)

    def backward(self, case: NormCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["g"], given["x"], *self.options(case)

    def results(self, case: NormCase, arrays: Arrays, options: Any = None, turned: bool = False) -> dict[str, Array]:
        """y, the gradient, and what it is made of; `turned`, for a fault, with the windows of the forward pass."""
        size, alpha, beta, k = self.options(case) if options is None else options
        x, g = wide(arrays["x"]), wide(arrays["g"])
        base = k + np.longdouble(alpha) / size * _over_channels(x * x, size // 2, (size - 1) // 2)
        power = base ** np.longdouble(-beta)
        across = g * x * power / base
        others = 2 * np.longdouble(alpha) * beta / size * x
        back = (size // 2, (size - 1) // 2) if turned else ((size - 1) // 2, size // 2)
        # channel c is in the windows of the channels c - after to c + before
        return {
            "y": x * power,
            "power": power,
            "base": base,
            "products": across,
            "scale": others,
            "across": others * _over_channels(across, *back),
            "x": g * power - others * _over_channels(across, *back),
            "spread": np.abs(g) * power + np.abs(others) * _over_channels(np.abs(across), *back),
        }

    def expected(self, case: NormCase, arrays: Arrays, kind: Precision) -> Results:
        found = self.results(case, arrays)
        steps = 4 * (case.size + 16) * (kind.unit + 2.0**-63)
        y, dx = steps * np.abs(found["y"]), steps * found["spread"]
        if self.rounding is not None:
            size, alpha, _, _ = self.options(case)
            off = cumulative(wide(arrays["x"]) ** 2, (1,), kind) * alpha / size / found["base"]  # of the base, relative
            y = y + off * np.abs(found["y"])  # its power beta is off by less, since beta <= 1
            dx = dx + 2 * off.max(1, keepdims=True, initial=0) * found["spread"]
            dx = dx + np.abs(found["scale"]) * cumulative(np.abs(found["products"]), (1,), kind)
        return {"y": within(found["y"], y, kind), "x": within(found["x"], dx, kind)}

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.normalizations import lrn_faults

        return lrn_faults(self)


def _over_channels(values: Array, before: int, after: int) -> Array:
    """The sum over the channels c - before to c + after that there are."""
    channels = values.shape[1]
    parts = [values[:, max(0, c - before) : c + after + 1].sum(1) for c in range(channels)]
    return np.stack(parts, 1) if parts else values


class CrossEntropy(Operation):
    """The mean over the batch of -log softmax(scores)[label], and its gradient."""

    name = "cross_entropy"
    operands = ("scores",)
    ranks = (0,)
    exact = polynomial = False

    def corners(self, rank: int) -> list[Any]:
        return cases.loss_corners(rank)

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        return cases.loss_cases(without)

    def features(self, case: LossCase) -> set[str]:
        return common(case)

    def draw(self, case: LossCase, kind: Precision, seed: Any) -> Draw:
        rng = np.random.default_rng(seed)
        scale = min(case.scale, kind.limit)
        scores = rng.integers(-scale, scale + 1, (case.batch, case.classes))
        return Draw({"x": scores, "labels": rng.integers(0, case.classes, case.batch)}, 0)

    def forward(self, case: LossCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], given["labels"]

    def backward(self, case: LossCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], given["labels"]

    def results(self, case: LossCase, arrays: Arrays) -> dict[str, Array]:
        """The loss, the gradient, and the sizes of what is summed."""
        scores, rows = wide(arrays["x"]), np.arange(case.batch)
        gaps = scores - scores.max(1, keepdims=True)
        powers = np.exp(gaps)
        losses = np.log(powers.sum(1)) - gaps[rows, arrays["labels"]]
        gradient = powers / powers.sum(1, keepdims=True)
        size = gradient.copy()
        gradient[rows, arrays["labels"]] -= 1
        size[rows, arrays["labels"]] += 1
        return {
            "y": losses.mean(),
            "scores": gradient / case.batch,
            "size": size / case.batch,
            "range": np.abs(scores).max(),
        }

    def expected(self, case: LossCase, arrays: Arrays, kind: Precision) -> Results:
        found = self.results(case, arrays)
        steps = 4 * (case.classes + case.batch + 8) * (kind.unit + 2.0**-63) * (1 + float(found["range"]))
        y = np.asarray(found["y"])
        return {
            "y": within(y, np.asarray(steps * (1 + np.abs(y))), kind),
            "scores": within(found["scores"], steps * found["size"], kind),
        }

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.normalizations import cross_entropy_faults

        return cross_entropy_faults(self)
