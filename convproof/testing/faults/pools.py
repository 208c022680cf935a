"""Faults of poolings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from convproof.testing.dialects import Dialect
from convproof.testing.faults.windows import WINDOWS, Shown, assigned_windows, place_of, zeros_everywhere
from convproof.testing.linear_maps import window_of
from convproof.testing.numbers import PRECISIONS, Array, Arrays
from convproof.testing.operation import Fault
from convproof.testing.reference import (
    Window,
    divisors,
    gathered,
    outputs,
    patches,
    pool_outputs,
)


def _maxima(x: Array, window: Window, count: Any, outside: float = -np.inf) -> tuple[Array, Array]:
    """The largest of each window, and where it is."""
    columns = patches(x.astype(float), window, count, outside)
    here = patches(np.ones_like(x, bool), window, count, False)
    best = columns.max(2)
    return best, (columns == best[:, :, None]) & here


def max_pool_faults(pool: Any) -> Mapping[str, Fault]:
    """Those of max pooling in the dialect of `pool`."""

    def over(change: Callable[[Window], Window]) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            other, x, g = change(window_of(case)), arrays["x"], arrays["g"]
            natural = pool_outputs(case.sizes, other, case.ceil_mode)
            shown = [_maxima(x, other, count)[0] for count in {g.shape[2:], natural} if all(count)]
            _, wins = _maxima(x, other, g.shape[2:])
            return {"y": tuple(shown), "x": gathered(pool.dialect.shares(wins) * g[:, :, None], other, case.sizes)}

        return fault

    def outside(value: float) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            x, g, window = arrays["x"], arrays["g"], window_of(case)
            found = [_maxima(x, window, g.shape[2:], each) for each in (value, 2 * value)]  # where inputs are halved
            shares = [gathered(pool.dialect.shares(wins) * g[:, :, None], window, case.sizes) for _, wins in found]
            return {"y": tuple(best for best, _ in found), "x": tuple(shares)}

        return fault

    def floored(case: Any, arrays: Arrays) -> Shown:
        return {"y": _maxima(arrays["x"], window_of(case), outputs(case.sizes, window_of(case)))[0]}

    def with_shares(shares: Callable[[Any, Array], Array]) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            g, window = arrays["g"], window_of(case)
            _, wins = _maxima(arrays["x"], window, g.shape[2:])
            return {"x": gathered(shares(pool, wins) * g[:, :, None], window, case.sizes)}

        return fault

    def assigned(case: Any, arrays: Arrays) -> Shown:
        g, window = arrays["g"], window_of(case)
        _, wins = _maxima(arrays["x"], window, g.shape[2:])
        columns = pool.dialect.shares(wins) * g[:, :, None]
        found = np.zeros((*g.shape[:2], *case.sizes), columns.dtype)
        for o in product(*map(range, g.shape[2:])):
            for t in product(*map(range, case.kernel)):
                place = place_of(o, t, window)
                if all(0 <= p < n for p, n in zip(place, case.sizes, strict=True)):
                    there: Any = (slice(None), slice(None), np.ravel_multi_index(t, case.kernel), *o)
                    found[:, :, *place] = np.where(wins[there], columns[there], found[:, :, *place])
        return {"x": (found, *assigned_windows(columns, window, case.sizes))}

    def last_looked(case: Any, arrays: Arrays) -> Shown:
        """Whether a place won is what the last window that saw it says; then it gets the sum of all of them."""
        g, window = arrays["g"], window_of(case)
        _, wins = _maxima(arrays["x"], window, g.shape[2:])
        *_, won = assigned_windows(pool.dialect.shares(wins), window, case.sizes)
        everything = gathered(np.broadcast_to(g[:, :, None], wins.shape), window, case.sizes)
        *_, last = assigned_windows(np.broadcast_to(g[:, :, None], wins.shape), window, case.sizes)
        return {"x": (won * everything, won * last)}

    def with_nan(ignored: bool) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            columns = patches(arrays["x"].astype(float), window_of(case), arrays["g"].shape[2:], -np.inf)
            return {"y": np.where(np.isnan(columns), -np.inf, columns).max(2) if ignored else columns.max(2)}

        return fault

    def with_ones(case: Any, arrays: Arrays) -> Shown:
        _, wins = _maxima(arrays["x"], window_of(case), arrays["g"].shape[2:])
        ones = gathered(pool.dialect.shares(wins), window_of(case), case.sizes)
        return {"x": (ones, 2 * ones)}

    def of_value(value: Callable[[Array, Array], Any]) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            columns = patches(arrays["x"].astype(float), window_of(case), arrays["g"].shape[2:], -np.inf)
            return {"y": value(columns.max(2), columns)}

        return fault

    def by(ties: str) -> Fault:
        return with_shares(lambda _, wins: Dialect(ties=ties).shares(wins))  # type: ignore[arg-type]

    return {
        "lowest number in place of NaN": of_value(
            lambda best, columns: tuple(_lowest(columns, low) for low in (np.finfo(np.float64).min, -np.inf))
        ),
        "NaN ignored": with_nan(True),
        "NaN propagated": with_nan(False),
        "padding wins the maximum: zeros": outside(0.0),
        "padding wins the maximum: -128": outside(-128.0),
        "padding wins the maximum: -1": outside(-1.0),
        "ceil mode ignored": floored,
        "overlap overwritten instead of added": assigned,
        "a win remembered for the last window alone": last_looked,
        "gradient to all maxima": by("all"),
        "gradient to the first maximum": by("first"),
        "gradient to the last maximum": by("last"),
        "gradient split between maxima": by("split"),
        "gradient to every tap": with_shares(lambda _, wins: np.ones_like(wins, int)),
        "gradient split over the window": with_shares(lambda _, wins: np.ones_like(wins, int) / wins.shape[2]),
        **{name: over(change) for name, change in WINDOWS.items()},
        "stride taken as the kernel": over(lambda w: (w[0], w[0], w[2], w[3])),
        "sizes of the window interchanged": over(lambda w: (w[0][::-1], *w[1:])),
        "size of the first axis on all": over(lambda w: ((w[0][0],) * len(w[0]), *w[1:])),
        "size of the last axis on all": over(lambda w: ((w[0][-1],) * len(w[0]), *w[1:])),
        "last row of the window left out": over(lambda w: ((max(1, w[0][0] - 1), *w[0][1:]), *w[1:])),
        "maximum started from zero": of_value(lambda best, columns: np.maximum(best, 0)),
        "absolute values": of_value(
            lambda best, columns: np.where(np.isfinite(columns), np.abs(columns), -np.inf).max(2)
        ),
        "mean instead of the maximum": of_value(lambda best, columns: _mean(columns)),
        "first value instead of the maximum": of_value(_first_inside),
        "cotangent taken as ones": with_ones,
        "zeros": zeros_everywhere,
    }


def _first_inside(best: Array, columns: Array) -> Array:
    """The first value of each window that is in the image."""
    place = np.isfinite(columns).argmax(2)
    found: Array = np.take_along_axis(columns, place[:, :, None], 2)[:, :, 0]
    return found


def _mean(columns: Array) -> Array:
    """The mean of what is in the image."""
    inside = np.isfinite(columns)
    found: Array = np.where(inside, columns, 0).sum(2) / np.maximum(inside.sum(2), 1)
    return found


def _lowest(columns: Array, lowest: float) -> Array:
    """The maxima where NaN stands for the lowest number of a type."""
    found: Array = np.where(np.isnan(columns), lowest, columns).max(2)
    return found


def _by_kernel(window: Window) -> Window:
    """The window moved by its own size."""
    return window[0], window[0], window[2], window[3]


def avg_pool_faults() -> Mapping[str, Fault]:
    """Those of average pooling."""

    def divided(
        divisor: Callable[[Any, tuple[int, ...]], Any], change: Callable[[Window], Window] = lambda w: w
    ) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            x, g, window = arrays["x"], arrays["g"], change(window_of(case))
            natural = pool_outputs(case.sizes, window, case.ceil_mode)
            shown = [
                patches(x, window, count, 0).sum(2) / np.maximum(divisor(case, count), 1)
                for count in {g.shape[2:], natural}
                if all(count)
            ]
            columns = np.broadcast_to(
                (g / np.maximum(divisor(case, g.shape[2:]), 1))[:, :, None],
                (*g.shape[:2], math.prod(window[0]), *g.shape[2:]),
            )
            return {"y": tuple(shown), "x": gathered(columns, window, case.sizes)}

        return fault

    def counting(include: bool) -> Callable[[Any, tuple[int, ...]], Any]:
        return lambda case, count: divisors(case.sizes, window_of(case), count, include)

    def floored(case: Any, arrays: Arrays) -> Shown:
        window = window_of(case)
        count = outputs(case.sizes, window)
        divisor = divisors(case.sizes, window, count, case.include_pad)
        return {"y": patches(arrays["x"], window, count, 0).sum(2) / np.maximum(divisor, 1)}

    def right(case: Any, count: tuple[int, ...]) -> Any:
        return divisors(case.sizes, window_of(case), count, case.include_pad)

    def assigned(case: Any, arrays: Arrays) -> Shown:
        g, window = arrays["g"], window_of(case)
        columns = np.broadcast_to(
            (g / np.maximum(right(case, g.shape[2:]), 1))[:, :, None],
            (*g.shape[:2], math.prod(case.kernel), *g.shape[2:]),
        )
        return {"x": tuple(assigned_windows(columns, window, case.sizes))}

    return {
        "padding left out of the divisor": divided(counting(False)),
        "padding counted in the divisor": divided(counting(True)),
        "what ceil mode lets stick out counted in the divisor": divided(lambda case, count: math.prod(case.kernel)),
        "not divided": divided(lambda case, count: 1),
        "divided by the size of the first axis alone": divided(lambda case, count: case.kernel[0]),
        "ceil mode ignored": floored,
        "overlap overwritten instead of added": assigned,
        **{name: divided(right, change) for name, change in WINDOWS.items()},
        "stride taken as the kernel": divided(
            lambda case, count: divisors(case.sizes, _by_kernel(window_of(case)), count, case.include_pad), _by_kernel
        ),
        "cotangent taken as ones": lambda case, a: {
            "x": tuple(divided(right)(case, {**a, "g": np.full_like(a["g"], one)})["x"] for one in (1, 2))
        },
        "zeros": zeros_everywhere,
    }


def lp_pool_faults(pool: Any) -> Mapping[str, Fault]:
    """Those of Lp pooling."""

    def as_if(**other: Any) -> Fault:
        def fault(case: Any, arrays: Arrays) -> Shown:
            found = pool.expected(replace(case, **other), arrays, PRECISIONS["float64"])
            return {part: each.values[0] for part, each in found.items()}

        return fault

    def powers(case: Any, arrays: Arrays) -> tuple[Array, Array]:
        columns = patches(arrays["x"].astype(float), window_of(case), arrays["g"].shape[2:], 0)
        return columns, (columns**case.p).sum(2)

    def without_root(case: Any, arrays: Arrays) -> Shown:
        columns, total = powers(case, arrays)
        slopes = case.p * columns ** (case.p - 1) * (columns > 0) * arrays["g"][:, :, None]
        return {"y": total, "x": gathered(slopes, window_of(case), case.sizes)}

    def without_factor(case: Any, arrays: Arrays) -> Shown:
        columns, _ = powers(case, arrays)
        slopes = columns ** (case.p - 1) * (columns > 0) * arrays["g"][:, :, None]
        return {"x": gathered(slopes, window_of(case), case.sizes)}

    def assigned(case: Any, arrays: Arrays) -> Shown:
        columns, total = powers(case, arrays)
        y = np.where(total > 0, total, 1) ** (1 / case.p)
        slopes = columns ** (case.p - 1) * (columns > 0) * (arrays["g"] * y ** (1 - case.p))[:, :, None]
        return {"x": tuple(assigned_windows(slopes, window_of(case), case.sizes))}

    def mean(case: Any, arrays: Arrays) -> Shown:
        _, total = powers(case, arrays)
        return {"y": (total / math.prod(case.kernel)) ** (1 / case.p)}

    return {
        "root left out": without_root,
        "y to the power 1 - p left out": without_factor,
        "mean instead of a sum": mean,
        "overlap overwritten instead of added": assigned,
        **{f"p taken as {p}": as_if(p=p) for p in (1, 2, 3)},
        "zeros": zeros_everywhere,
    }
