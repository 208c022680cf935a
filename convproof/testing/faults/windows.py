"""Windows gone wrong, and what the faults of several operations share."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from convproof.testing.cases import Pairs
from convproof.testing.numbers import Array, Arrays
from convproof.testing.reference import (
    Window,
    taps,
)

Shown = dict[str, Any]


def _fields(
    kernel: Any = None, stride: Any = None, padding: Any = None, dilation: Any = None
) -> Callable[[Window], Window]:
    """A window with some of its fields replaced by functions of itself."""
    given = (kernel, stride, padding, dilation)
    return lambda window: tuple(own if f is None else f(window) for f, own in zip(given, window, strict=True))  # type: ignore[return-value]


def _ones(window: Window) -> tuple[int, ...]:
    return (1,) * len(window[0])


def _first(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return (values[0],) * len(values)


def _last(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return (values[-1],) * len(values)


def _shifted(before: int, after: int) -> Callable[[Window], Any]:
    return lambda window: tuple((a + before, b + after) for a, b in window[2])


def _each(change: Callable[[int, int], int], values: Sequence[int], by: Sequence[int]) -> tuple[int, ...]:
    return tuple(change(a, b) for a, b in zip(values, by, strict=True))


def _pads(change: Callable[[int, int], int], pads: Pairs, by: Sequence[int]) -> Pairs:
    return tuple((change(before, b), change(after, b)) for (before, after), b in zip(pads, by, strict=True))


WINDOWS: Mapping[str, Callable[[Window], Window]] = {
    "dilation ignored": _fields(dilation=_ones),
    "stride ignored": _fields(stride=_ones),
    "padding ignored": _fields(padding=lambda w: ((0, 0),) * len(w[0])),
    "stride of the first axis on all": _fields(stride=lambda w: _first(w[1])),
    "stride of the last axis on all": _fields(stride=lambda w: _last(w[1])),
    "padding of the first axis on all": _fields(padding=lambda w: _first(w[2])),
    "padding of the last axis on all": _fields(padding=lambda w: _last(w[2])),
    "dilation of the first axis on all": _fields(dilation=lambda w: _first(w[3])),
    "dilation of the last axis on all": _fields(dilation=lambda w: _last(w[3])),
    "strides of the axes interchanged": _fields(stride=lambda w: w[1][::-1]),
    "paddings of the axes interchanged": _fields(padding=lambda w: w[2][::-1]),
    "dilations of the axes interchanged": _fields(dilation=lambda w: w[3][::-1]),
    "stride and dilation interchanged": _fields(stride=lambda w: w[3], dilation=lambda w: w[1]),
    "padding at the beginning used at the end too": _fields(padding=lambda w: tuple((a, a) for a, _ in w[2])),
    "padding at the end used at the beginning too": _fields(padding=lambda w: tuple((b, b) for _, b in w[2])),
    "padding of the two ends interchanged": _fields(padding=lambda w: tuple((b, a) for a, b in w[2])),
    "padding one less at the beginning": _fields(padding=_shifted(-1, 0)),
    "padding one more at the beginning": _fields(padding=_shifted(1, 0)),
    "padding one less at both ends": _fields(padding=_shifted(-1, -1)),
    "padding one more at both ends": _fields(padding=_shifted(1, 1)),
    "padding one less at the end": _fields(padding=_shifted(0, -1)),
    "padding one more at the end": _fields(padding=_shifted(0, 1)),
    "dilation counts gaps instead of steps": _fields(dilation=lambda w: tuple(d + 1 for d in w[3])),
    "stride multiplied by the dilation": _fields(stride=lambda w: _each(operator.mul, w[1], w[3])),
    "padding divided by the stride": _fields(padding=lambda w: _pads(operator.floordiv, w[2], w[1])),
    "padding multiplied by the stride": _fields(padding=lambda w: _pads(operator.mul, w[2], w[1])),
    "padding multiplied by the dilation": _fields(padding=lambda w: _pads(operator.mul, w[2], w[3])),
}


def assigned_windows(columns: Array, window: Window, sizes: tuple[int, ...]) -> Iterator[Array]:
    """What `gathered` adds, assigned: tap after tap, and output after output."""
    kernel, count = window[0], columns.shape[3:]
    found = np.zeros((*columns.shape[:2], *sizes), columns.dtype)
    for t, o, i in taps(sizes, window, count):
        found[:, :, *i] = columns[:, :, np.ravel_multi_index(t, kernel), *o]
    yield found
    found = np.zeros_like(found)
    for o in product(*map(range, count)):
        for t in product(*map(range, kernel)):
            place = place_of(o, t, window)
            if all(0 <= p < n for p, n in zip(place, sizes, strict=True)):
                there: Any = (slice(None), slice(None), np.ravel_multi_index(t, kernel), *o)
                found[:, :, *place] = columns[there]
    yield found


def place_of(o: tuple[int, ...], t: tuple[int, ...], window: Window) -> Any:
    return tuple(s * b + d * a - pads[0] for b, a, s, pads, d in zip(o, t, *window[1:], strict=True))


def zeros_everywhere(case: Any, arrays: Arrays) -> Shown:
    """Zeros, or the bias alone."""
    nothing = np.zeros(arrays["g"].shape)
    bias = arrays["b"].reshape(-1, *(1 for _ in nothing.shape[2:])) if "b" in arrays else 0
    return {"y": (nothing, nothing + bias), **{n: np.zeros(a.shape) for n, a in arrays.items() if n != "g"}}
