"""Pooling: maxima exactly, means and powers up to a bound that is derived."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from convproof.testing import cases
from convproof.testing.cases import LARGER, PoolCase
from convproof.testing.dialects import Dialect
from convproof.testing.linear_maps import larger, pads_of, remainder, window_of
from convproof.testing.numbers import Array, Arrays, Draw, Precision, stored
from convproof.testing.operation import Expected, Fault, Operation, Results, common, exactly, laid
from convproof.testing.reference import divisors, gathered, patches, pool_outputs
from convproof.testing.rounding import cumulative, growth


class _Pool(Operation):
    operands = ("x",)
    polynomial = False
    aliases = True

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def features(self, case: PoolCase) -> set[str]:
        found = {
            "stride": case.stride != case.kernel,
            "padding": any(a or b for a, b in case.padding),
            "ceil_mode": case.ceil_mode,
            LARGER: larger(case),
            "remainder": remainder(case),
        }
        return common(case) | {name for name, there in found.items() if there}

    def count(self, case: PoolCase) -> tuple[int, ...]:
        """The output sizes."""
        return pool_outputs(case.sizes, window_of(case), case.ceil_mode)

    def draw(self, case: PoolCase, kind: Precision, seed: Any) -> Draw:
        kind = stored(kind)
        rng = np.random.default_rng(seed)
        shape = case.batch, case.channels, *case.sizes
        size, overlap = math.prod(shape), math.prod(-(-k // s) for k, s in zip(case.kernel, case.stride, strict=True))
        half = max(1, min(kind.largest, kind.limit // (2 * max(overlap, 1))))
        g = rng.integers(-half, half, (case.batch, case.channels, *self.count(case)))
        arrays = {"x": self.values(case, kind, rng, size).reshape(shape), "g": g + (g >= 0)}
        return Draw(laid(case, arrays), 0)

    def values(self, case: PoolCase, kind: Precision, rng: np.random.Generator, size: int) -> Array:
        """The entries of x."""
        half = min(kind.largest, kind.limit // (2 * math.prod(case.kernel)))
        found = rng.integers(-half, half, size)
        return found + (found >= 0)

    def forward(self, case: PoolCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], case.kernel, case.stride, pads_of(case)

    def backward(self, case: PoolCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["g"], given["x"], case.kernel, case.stride, pads_of(case)

    def keywords(self, case: PoolCase) -> dict[str, Any]:
        return {"ceil_mode": case.ceil_mode}


class MaxPool(_Pool):
    """Max pooling. Padding never wins; which of several maxima gets the gradient is the dialect's."""

    name = "max_pool"
    halved, halved_results = {"x": 1, "g": 1}, {"y": 1, "x": 1}
    moves = True

    def corners(self, rank: int) -> list[Any]:
        return list(dict.fromkeys(replace(case, include_pad=True) for case in cases.pool_corners(rank)))

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        return cases.pool_cases(rank, without=without).map(lambda case: replace(case, include_pad=True, p=1))

    def features(self, case: PoolCase) -> set[str]:
        return super().features(case) | ({f"{case.values} values"} if case.values in ("nan", "infinite") else set())

    def values(self, case: PoolCase, kind: Precision, rng: np.random.Generator, size: int) -> Array:
        """All different where there is room, of both signs or all negative; or few, or some of them NaN or infinite."""
        if case.values == "ties":
            return rng.integers(-2, 1, size)
        room = kind.limit if case.values == "negative" else 2 * kind.limit
        low = -min(size, room) if case.values == "negative" else -(min(size, room) // 2)
        found = low + (rng.permutation(size) if size <= room else rng.integers(0, room, size))
        if case.values in ("nan", "infinite") and kind.unit:
            found = found.astype(float)
            special = [np.nan] if case.values == "nan" else [-np.inf, -np.inf, np.inf]
            chosen = rng.random(size) < 0.4
            found[chosen] = rng.choice(special, int(chosen.sum()))
        return found

    def expected(self, case: PoolCase, arrays: Arrays, kind: Precision) -> Results:
        x, g, window = arrays["x"], arrays["g"], window_of(case)
        columns = patches(x.astype(float), window, g.shape[2:], -np.inf)  # (N, C, taps, *outputs)
        here = patches(np.ones_like(x, bool), window, g.shape[2:], False)
        best = columns.max(2)
        if np.isnan(columns).any():
            rest = np.where(np.isnan(columns), -np.inf, columns).max(2)
            every = (np.isnan(columns) | ~here).all(2)
            values = {"propagate": (best,), "ignore": (np.where(every, np.nan, rest),)}
            return {"y": Expected(values.get(self.dialect.nan, (best, np.where(every, np.nan, rest))))}
        wins = (columns == best[:, :, None]) & here
        found = {"y": exactly(best)}
        if self.dialect.ties != "any" or (wins.sum(2) <= 1).all():
            parts = self.dialect.shares(wins) * g[:, :, None]
            bound = rounding(parts.shape[2], kind) * gathered(np.abs(parts), window, case.sizes)
            value = gathered(parts, window, case.sizes)
            found["x"] = Expected((value,), bound) if self.dialect.ties == "split" else exactly(value)
        return found

    def window_by_window(self, case: PoolCase) -> bool:
        return case.values == "ties" and self.dialect.ties == "any" and bool(case.batch)

    def is_subgradient(self, case: PoolCase, arrays: Arrays, index: tuple[int, ...], gradient: Array) -> bool:
        """Whether a gradient is one of a window alone: shares that are no less than 0, of its maxima, and sum to 1."""
        one = np.zeros_like(arrays["g"])
        one[index] = 1
        x, window = arrays["x"], window_of(case)
        columns = patches(x.astype(float), window, one.shape[2:], -np.inf)
        wins = (columns == columns.max(2)[:, :, None]) & patches(np.ones_like(x, bool), window, one.shape[2:], False)
        allowed = gathered((wins * one[:, :, None]).astype(np.int64), window, case.sizes) > 0
        total: float = gradient[allowed].sum()
        return bool((gradient[~allowed] == 0).all() and (gradient >= 0).all() and abs(total - 1) <= 1e-2)

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.pools import max_pool_faults

        return max_pool_faults(self)


class AvgPool(_Pool):
    """Means, of what is in the image or also of its padding: sums are exact, a division or a product may round."""

    name = "avg_pool"
    halved, halved_results = {"x": 1, "g": 1}, {"y": 1, "x": 1}
    exact = False
    roundings = ("cumulative",)

    def corners(self, rank: int) -> list[Any]:
        return list(dict.fromkeys(replace(case, values="") for case in cases.pool_corners(rank)))

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        drawn = cases.pool_cases(rank, without=without)
        return drawn.map(lambda case: replace(case, values="", p=1))

    def features(self, case: PoolCase) -> set[str]:
        return super().features(case) | (set() if case.include_pad else {"count_include_pad"})

    def keywords(self, case: PoolCase) -> dict[str, Any]:
        return {"ceil_mode": case.ceil_mode, "count_include_pad": case.include_pad}

    def means(self, case: PoolCase, x: Array, count: Any, divisor: Array) -> tuple[Array, Array]:
        """Sums over windows divided, and the same of absolute values."""
        sums = patches(x, window_of(case), count, 0)
        return sums.sum(2) / divisor, np.abs(sums).sum(2) / divisor

    def expected(self, case: PoolCase, arrays: Arrays, kind: Precision) -> Results:
        x, g, window = arrays["x"], arrays["g"], window_of(case)
        divisor = np.maximum(divisors(case.sizes, window, g.shape[2:], case.include_pad), 1)
        value, size = self.means(case, x, g.shape[2:], divisor)
        taps = math.prod(case.kernel)
        columns = np.broadcast_to((g / divisor)[:, :, None], (*g.shape[:2], taps, *g.shape[2:]))
        gradient, spread = gathered(columns, window, case.sizes), gathered(np.abs(columns), window, case.sizes)
        y, dx = rounding(taps, kind) * size, rounding(taps, kind) * spread
        if self.rounding is not None:
            planes = tuple(range(2, x.ndim))
            y = y + cumulative(np.abs(x), planes, kind) / divisor
            dx = dx + cumulative(np.abs(g / divisor), planes, kind)
        return {"y": Expected((value,), y), "x": Expected((gradient,), dx)}

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.pools import avg_pool_faults

        return avg_pool_faults()


def rounding(terms: int, kind: Precision) -> float:
    """How far a sum of so many quotients may be off, relative to the sum of their absolute values: each is rounded once
    for 1/d, once for the product and once an addition; and once more for our own.
    """
    return growth(terms + 3, kind.unit + 2.0**-53)


class LpPool(_Pool):
    """The p-norm of each window: (the sum of |x|**p)**(1/p)."""

    name = "lp_pool"
    exact = False

    def corners(self, rank: int) -> list[Any]:
        plain = [
            replace(case, padding=((0, 0),) * rank, values="", include_pad=True, p=1 + place % 3)
            for place, case in enumerate(cases.pool_corners(rank))
            if all(k <= n for k, n in zip(case.kernel, case.sizes, strict=True))
        ]
        return list(dict.fromkeys(plain))

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        def bare(case: PoolCase) -> PoolCase:
            sizes = tuple(max(n, k) for n, k in zip(case.sizes, case.kernel, strict=True))
            return replace(case, sizes=sizes, padding=((0, 0),) * rank, values="", include_pad=True)

        return st.builds(bare, cases.pool_cases(rank, without=without))

    def values(self, case: PoolCase, kind: Precision, rng: np.random.Generator, size: int) -> Array:
        """From 1 to 9, since powers of negative numbers differ between conventions."""
        return rng.integers(1, 10, size)

    def expected(self, case: PoolCase, arrays: Arrays, kind: Precision) -> Results:
        x, g, window, p = arrays["x"], arrays["g"], window_of(case), case.p
        columns = patches(x.astype(np.longdouble), window, g.shape[2:], 0)
        y = (columns**p).sum(2) ** (np.longdouble(1) / p)
        slopes = np.where(columns > 0, columns ** (p - 1), 0) * (g * y ** (1 - p))[:, :, None]
        relative = rounding(4 * (math.prod(case.kernel) + 4 * p + 4), kind)  # powers take some roundings each
        return {
            "y": Expected((y.astype(float),), relative * y.astype(float)),
            "x": Expected(
                (gathered(slopes, window, case.sizes).astype(float),),
                relative * gathered(np.abs(slopes), window, case.sizes).astype(float),
            ),
        }

    def forward(self, case: PoolCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], case.p, case.kernel, case.stride

    def backward(self, case: PoolCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["g"], given["x"], case.p, case.kernel, case.stride

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.pools import lp_pool_faults

        return lp_pool_faults(self)
