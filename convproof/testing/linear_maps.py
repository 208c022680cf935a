"""Convolution, transposed convolution, im2col and fully connected layers: sums of products, judged exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis.strategies import SearchStrategy

from convproof.testing import cases, reference, rounding
from convproof.testing.cases import LARGER, ConvCase, LinearCase
from convproof.testing.numbers import Array, Arrays, Draw, Precision, draw, stored
from convproof.testing.operation import Expected, Fault, Operation, Results, common, exactly, laid
from convproof.testing.reference import Window, conv, conv_input, conv_weights, outputs, summed
from convproof.testing.rounding import Sums, bounded


def window_of(case: Any) -> Window:
    """The window of a case."""
    return case.kernel, case.stride, case.padding, getattr(case, "dilation", (1,) * len(case.sizes))


def pads_of(case: Any) -> tuple[Any, ...]:
    """The padding as kernels get it: a number an axis, or a pair where its ends differ."""
    symmetric = all(before == after for before, after in case.padding)
    return tuple(before for before, _ in case.padding) if symmetric else case.padding


def larger(case: Any) -> bool:
    """Whether a window fits into the image only with its padding."""
    return any(d * (k - 1) + 1 > n for n, k, d in zip(case.sizes, case.kernel, window_of(case)[3], strict=True))


def remainder(case: Any) -> bool:
    """Whether the last window ends before the padded image does."""
    axes = zip(case.sizes, *window_of(case), strict=True)
    return any((n + before + after - d * (k - 1) - 1) % s for n, k, s, (before, after), d in axes)


def _features(case: ConvCase) -> set[str]:
    found = {
        "groups": case.groups > 1,
        "dilation": any(d > 1 for d in case.dilation),
        "stride": any(s > 1 for s in case.stride),
        "padding": any(a or b for a, b in case.padding),
        "asymmetric padding": any(a != b for a, b in case.padding),
        "bias": case.bias,
        "no bias": not case.bias,
        "output_padding": any(case.output_padding),
        LARGER: not case.output_padding and larger(case),
        "remainder": not case.output_padding and remainder(case),
    }
    return common(case) | {name for name, there in found.items() if there}


PRODUCTS = {"x": 1, "w": 1, "b": 2, "g": 1}, {"y": 2, "x": 2, "w": 2, "b": 1}
"""How often the inputs and the results of sums of products are halved."""


class _Windows(Operation):
    operands = ("x", "w", "b")
    roundings = tuple(rounding.PRODUCTS)
    halved, halved_results = PRODUCTS

    def features(self, case: ConvCase) -> set[str]:
        return _features(case)

    def shapes(self, case: ConvCase) -> dict[str, tuple[int, ...]]:
        """Those of x, w, b and g."""
        raise NotImplementedError

    def results(self, case: ConvCase, arrays: Arrays) -> Arrays:
        """y and the gradients."""
        raise NotImplementedError

    def counts(self, case: ConvCase) -> int:
        """The largest number of products in a sum."""
        shapes, taps = self.shapes(case), math.prod(case.kernel)
        per_filter = max(case.channels, case.filters) // case.groups * taps
        places = max(math.prod(shapes["x"][2:]), math.prod(shapes["g"][2:]))
        return max(1, per_filter, case.batch * places)

    def draw(self, case: ConvCase, kind: Precision, seed: Any) -> Draw:
        shapes = self.shapes(case)
        if not case.bias:
            del shapes["b"]
        found = draw(shapes, self.counts(case), lambda a: self.results(case, a), kind, seed)
        return Draw(laid(case, found.arrays), found.values)

    def expected(self, case: ConvCase, arrays: Arrays, kind: Precision) -> Results:
        found = self.results(case, arrays)
        if self.rounding is None:
            return {name: exactly(value) for name, value in found.items()}
        sizes = {name: np.abs(array) for name, array in arrays.items()}
        absolute, terms, most = self.results(case, sizes), self.counts(case), max(*case.sizes, *case.kernel)
        positions = max(most, *arrays["g"].shape[2:])
        largest = {"y": ("x", "w"), "x": ("g", "w"), "w": ("g", "x"), "b": ("g", "g")}
        bounds = {
            name: bounded(
                self.rounding,
                Sums(absolute[name], terms + 1, _largest(sizes, *largest[name]), len(case.sizes), positions),
                kind,
            )
            for name in found
        }
        return {name: Expected((value,), bounds[name]) for name, value in found.items()}


def _largest(sizes: Arrays, one: str, other: str) -> float:
    """The largest product of two operands' entries."""
    return float(sizes[one].max(initial=1)) * float(sizes[other].max(initial=1))


class Conv(_Windows):
    """Convolution as networks compute it: filters are not turned round."""

    name = "conv"

    def corners(self, rank: int) -> list[Any]:
        return cases.conv_corners(rank)

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        return cases.conv_cases(rank, asymmetric="asymmetric padding" not in without, without=without)

    def shapes(self, case: ConvCase) -> dict[str, tuple[int, ...]]:
        count = outputs(case.sizes, window_of(case))
        return {
            "x": (case.batch, case.channels, *case.sizes),
            "w": (case.filters, case.channels // case.groups, *case.kernel),
            "b": (case.filters,),
            "g": (case.batch, case.filters, *count),
        }

    def results(self, case: ConvCase, arrays: Arrays) -> Arrays:
        return conv_results(case, arrays, window_of(case), window_of(case), window_of(case))

    def forward(self, case: ConvCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], given["w"], given.get("b"), *self._options(case)

    def backward(self, case: ConvCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["g"], given["x"], given["w"], *self._options(case)

    def _options(self, case: ConvCase) -> tuple[Any, ...]:
        return case.stride, pads_of(case), case.dilation, case.groups

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.convolutions import CONV

        return CONV


def conv_results(
    case: ConvCase, arrays: Arrays, forward: Window, to_input: Window, to_weights: Window, count: Any = None
) -> Arrays:
    """y and the gradients of a convolution whose three sums may, for a fault, run over other windows each."""
    x, w, g = arrays["x"], arrays["w"], arrays["g"]
    y = conv(x, w, forward, case.groups, g.shape[2:] if count is None else count)
    found = {"y": y, "x": conv_input(g, w, to_input, case.groups, case.sizes), "b": summed(g)}
    if "b" in arrays:
        found["y"] = y + arrays["b"].reshape(-1, *(1 for _ in case.sizes))
    else:
        del found["b"]
    return {**found, "w": conv_weights(g, x, to_weights, case.groups)}


class ConvTranspose(_Windows):
    """The transposed convolution: the gradient of a convolution to its input."""

    name = "conv_transpose"

    def corners(self, rank: int) -> list[Any]:
        return cases.conv_transpose_corners(rank)

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        return cases.conv_transpose_cases(rank, without=without)

    def shapes(self, case: ConvCase) -> dict[str, tuple[int, ...]]:
        return {
            "x": (case.batch, case.channels, *case.sizes),
            "w": (case.channels, case.filters // case.groups, *case.kernel),
            "b": (case.filters,),
            "g": (case.batch, case.filters, *_grown(case)),
        }

    def results(self, case: ConvCase, arrays: Arrays) -> Arrays:
        window, x, w, g = window_of(case), arrays["x"], arrays["w"], arrays["g"]
        found = {
            "y": conv_input(x, w, window, case.groups, g.shape[2:]),
            "x": conv(g, w, window, case.groups, case.sizes),
        }
        found["w"] = conv_weights(x, g, window, case.groups)
        if "b" in arrays:
            found["y"] = found["y"] + arrays["b"].reshape(-1, *(1 for _ in case.sizes))
            found["b"] = summed(g)
        return found

    def forward(self, case: ConvCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], given["w"], given.get("b"), *self._options(case)

    def backward(self, case: ConvCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["g"], given["x"], given["w"], *self._options(case)

    def _options(self, case: ConvCase) -> tuple[Any, ...]:
        return case.stride, pads_of(case), case.output_padding, case.dilation, case.groups

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.linear_maps import CONV_TRANSPOSE

        return CONV_TRANSPOSE


def _grown(case: ConvCase) -> tuple[int, ...]:
    """The output sizes of a transposed convolution: from the first to the last tap, the padding cropped."""
    axes = zip(case.sizes, *window_of(case), case.output_padding, strict=True)
    return tuple((n - 1) * s + d * (k - 1) + 1 + e - a - b for n, k, s, (a, b), d, e in axes)


class Im2col(Operation):
    """Windows as columns, (N, C*taps, outputs), and as its VJP the sum of overlapping ones (col2im)."""

    name = "im2col"
    operands = ("x",)
    halved, halved_results = {"x": 1, "g": 1}, {"y": 1, "x": 1}
    aliases = moves = True

    def corners(self, rank: int) -> list[Any]:
        plain = [replace(case, groups=1, filters=1, bias=False) for case in cases.conv_corners(rank)]
        return list(dict.fromkeys(plain))

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        return cases.conv_cases(rank, without=without | {"groups"}).map(
            lambda case: replace(case, groups=1, filters=1, bias=False)
        )

    def features(self, case: ConvCase) -> set[str]:
        return _features(case) - {"no bias"}

    def draw(self, case: ConvCase, kind: Precision, seed: Any) -> Draw:
        count = outputs(case.sizes, window_of(case))
        taps = math.prod(case.kernel)
        shapes = {
            "x": (case.batch, case.channels, *case.sizes),
            "g": (case.batch, case.channels * taps, math.prod(count)),
        }
        found = draw(shapes, taps, lambda a: self._results(case, a), stored(kind), seed)
        return Draw(laid(case, found.arrays), found.values)

    def _results(self, case: ConvCase, arrays: Arrays) -> Arrays:
        window, x, g = window_of(case), arrays["x"], arrays["g"]
        count = outputs(case.sizes, window)
        columns = g.reshape(*x.shape[:2], math.prod(case.kernel), *count)
        return {
            "y": reference.patches(x, window, count, 0).reshape(g.shape),
            "x": reference.gathered(columns, window, case.sizes),
        }

    def expected(self, case: ConvCase, arrays: Arrays, kind: Precision) -> Results:
        return {name: exactly(value) for name, value in self._results(case, arrays).items()}

    def forward(self, case: ConvCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], case.kernel, case.stride, pads_of(case), case.dilation

    def backward(self, case: ConvCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        shape = (case.batch, case.channels, *case.sizes)
        return given["g"], shape, case.kernel, case.stride, pads_of(case), case.dilation

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.linear_maps import IM2COL

        return IM2COL


class Linear(Operation):
    """A fully connected layer, x (N, features) times w (units, features) transposed, plus b."""

    name = "linear"
    operands = ("x", "w", "b")
    roundings = tuple(rounding.PRODUCTS)
    halved, halved_results = PRODUCTS
    ranks = (0,)

    def corners(self, rank: int) -> list[Any]:
        return cases.linear_corners(rank)

    def cases(self, rank: int, without: frozenset[str]) -> SearchStrategy[Any]:
        return cases.linear_cases(without)

    def features(self, case: LinearCase) -> set[str]:
        return common(case) | {"bias" if case.bias else "no bias"}

    def draw(self, case: LinearCase, kind: Precision, seed: Any) -> Draw:
        shapes = {
            "x": (case.batch, case.features),
            "w": (case.units, case.features),
            "b": (case.units,),
            "g": (case.batch, case.units),
        }
        if not case.bias:
            del shapes["b"]
        counts = max(case.batch, case.features, case.units)
        found = draw(shapes, counts, lambda arrays: self._results(arrays), kind, seed)
        return Draw(laid(case, found.arrays), found.values)

    def _results(self, arrays: Arrays) -> Arrays:
        x, w, g = arrays["x"], arrays["w"], arrays["g"]
        found: dict[str, Array] = {"y": x @ w.T, "x": g @ w, "w": g.T @ x}
        if "b" in arrays:
            found |= {"y": found["y"] + arrays["b"], "b": g.sum(0)}
        return found

    def expected(self, case: LinearCase, arrays: Arrays, kind: Precision) -> Results:
        found = self._results(arrays)
        if self.rounding is None:
            return {name: exactly(np.asarray(value)) for name, value in found.items()}
        absolute = self._results({name: np.abs(array) for name, array in arrays.items()})
        terms = max(case.batch, case.features, case.units) + 1
        bounds = {name: bounded(self.rounding, Sums(each, terms, 1.0, 0, 1), kind) for name, each in absolute.items()}
        return {name: Expected((value,), bounds[name]) for name, value in found.items()}

    def forward(self, case: LinearCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["x"], given["w"], given.get("b")

    def backward(self, case: LinearCase, given: Mapping[str, Any]) -> tuple[Any, ...]:
        return given["g"], given["x"], given["w"]

    def faults(self) -> Mapping[str, Fault]:
        from convproof.testing.faults.linear_maps import LINEAR

        return LINEAR
