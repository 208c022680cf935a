"""Faults of normalizations and losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from convproof.testing.faults.windows import Shown, zeros_everywhere
from convproof.testing.numbers import Arrays
from convproof.testing.operation import Fault


def batch_norm_faults(norm: Any) -> Mapping[str, Fault]:
    """Those of batch normalization."""

    def parts(case: Any, arrays: Arrays) -> tuple[Any, ...]:
        axes = (0, *range(2, arrays["x"].ndim))
        x, g = arrays["x"].astype(float), arrays["g"].astype(float)
        gamma, beta = (arrays[n].astype(float).reshape(-1, *(1 for _ in case.sizes)) for n in ("gamma", "beta"))
        mean = lambda a: a.mean(axes, keepdims=True)  # noqa: E731
        count = x.size // max(1, x.shape[1])
        return x, g, gamma, beta, mean, x.var(axes, keepdims=True), count, norm.eps(case), axes

    def unbiased(case: Any, arrays: Arrays) -> Shown:
        x, g, gamma, beta, mean, variance, count, eps, axes = parts(case, arrays)
        scale = 1 / np.sqrt(variance * count / max(1, count - 1) + eps)
        normed = (x - mean(x)) * scale
        return {
            "y": gamma * normed + beta,
            "gamma": (g * normed).sum(axes),
            "x": gamma * scale * (g - mean(g) - normed * mean(g * normed)),
        }

    def without(what: str) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            x, g, gamma, beta, mean, variance, _, eps, axes = parts(case, arrays)
            scale = 1 / np.sqrt(variance + (0 if what == "eps" else eps))
            if what == "eps, outside the root":
                scale = 1 / (np.sqrt(variance) + eps)
            normed = (x - mean(x)) * scale
            inner, through = normed * mean(g * normed), mean(g)
            return {
                "y": (1 if what == "gamma" else gamma) * normed + (0 if what == "beta" else beta),
                "x": (1 if what == "gamma" else gamma)
                * scale
                * (
                    g
                    - (0 if what in ("mean", "statistics") else through)
                    - (0 if what in ("variance", "statistics") else inner)
                ),
                "gamma": (g * (x if what == "normalization" else normed)).sum(axes),
                "beta": g.sum(axes),
            }

        return fault

    def by_position(case: Any, arrays: Arrays) -> Shown:
        x, _, gamma, beta, _, _, _, eps, _ = parts(case, arrays)
        return {"y": gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta}

    def averaged(case: Any, arrays: Arrays) -> Shown:
        x, g, _, _, mean, variance, count, eps, axes = parts(case, arrays)
        normed = (x - mean(x)) / np.sqrt(variance + eps)
        n = max(1, case.batch)
        return {
            "gamma": ((g * normed).sum(axes) / count, (g * normed).sum(axes) / n),
            "beta": (g.sum(axes) / count, g.sum(axes) / n),
        }

    return {
        "gamma left out": without("gamma"),
        "variance divided by n - 1": unbiased,
        "statistics taken as constants": without("statistics"),
        "gradient through the mean left out": without("mean"),
        "gradient through the variance left out": without("variance"),
        "eps left out": without("eps"),
        "eps outside the root": without("eps, outside the root"),
        "beta left out": without("beta"),
        "dgamma of what is not normalized": without("normalization"),
        "averaged instead of summed": averaged,
        "statistics of each position": by_position,
        "zeros": zeros_everywhere,
    }


def lrn_faults(norm: Any) -> Mapping[str, Fault]:
    """Those of local response normalization."""

    def with_options(change: Callable[..., tuple[Any, ...]]) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            found = norm.results(case, arrays, change(*norm.options(case)))
            return {"y": found["y"].astype(float), "x": found["x"].astype(float)}

        return fault

    def own_term(case: Any, arrays: Arrays) -> Shown:
        return {"x": (arrays["g"] * norm.results(case, arrays)["power"]).astype(float)}

    def halved(case: Any, arrays: Arrays) -> Shown:
        found = norm.results(case, arrays)
        return {"x": (found["x"] + found["across"] / 2).astype(float)}

    def forward_window(case: Any, arrays: Arrays) -> Shown:
        found, back = norm.results(case, arrays), norm.results(case, arrays, turned=True)
        return {"x": (found["x"] + found["across"] - back["across"]).astype(float)}

    return {
        "alpha not divided by the size": with_options(lambda size, alpha, beta, k: (size, alpha * size, beta, k)),
        "window one wider": with_options(lambda size, alpha, beta, k: (size + 1, alpha * (size + 1) / size, beta, k)),
        "k taken as 1": with_options(lambda size, alpha, beta, k: (size, alpha, beta, 1.0)),
        "beta taken as 0.75": with_options(lambda size, alpha, beta, k: (size, alpha, 0.75, k)),
        "beta taken as 0.5": with_options(lambda size, alpha, beta, k: (size, alpha, 0.5, k)),
        "gradient through the divisor left out": own_term,
        "factor 2 left out": halved,
        "window of the forward pass used in the gradient": forward_window,
        "zeros": zeros_everywhere,
    }


def cross_entropy_faults(loss: Any) -> Mapping[str, Fault]:
    """Those of cross-entropy."""

    def scaled(factor: Callable[[Any], float]) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            found = loss.results(case, arrays)
            return {part: found[part].astype(float) * factor(case) for part in ("y", "scores")}

        return fault

    def without_label(case: Any, arrays: Arrays) -> Shown:
        found = loss.results(case, arrays)
        softmax = found["scores"].copy()
        softmax[np.arange(case.batch), arrays["labels"]] += 1 / case.batch
        return {"scores": (softmax.astype(float), (softmax * case.batch).astype(float))}

    return {
        "summed instead of averaged": scaled(lambda case: case.batch),
        "divided by the batch twice": scaled(lambda case: 1 / case.batch),
        "divided by the classes": scaled(lambda case: case.batch / case.classes),
        "one-hot label not subtracted": without_label,
        "sign": scaled(lambda case: -1.0),
    }
