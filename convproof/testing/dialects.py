"""Where right kernels differ: conventions, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from convproof.errors import InputError
from convproof.testing.numbers import Array


@dataclass(frozen=True)
class Dialect:
    """Conventions of a kernel.

    - `ties`: which of several equal maxima gets the gradient: the "first" or the "last", row by row; all of them the
      same part ("split") or the whole ("all"); or "any" valid subgradient;
    - `nan`: whether a maximum of numbers and NaN is NaN ("propagate") or that of the numbers ("ignore"); "any" of both;
    - `convolution`: whether filters are turned round ("flipped"), as in mathematics, or not ("cross-correlation");
    - `layout`: the order of axes of images, "NCHW", "NHWC" or "CNHW", whatever their number;
    - `filters`: the order of axes of filters, "OIHW" or "HWIO" (output channels, input channels, kernel).
    """

    ties: Literal["any", "first", "last", "split", "all"] = "any"
    nan: Literal["any", "propagate", "ignore"] = "any"
    convolution: Literal["cross-correlation", "flipped"] = "cross-correlation"
    layout: Literal["NCHW", "NHWC", "CNHW"] = "NCHW"
    filters: Literal["OIHW", "HWIO"] = "OIHW"

    def __post_init__(self) -> None:
        hints = get_type_hints(Dialect)
        for field in fields(self):
            allowed = get_args(hints[field.name])
            if getattr(self, field.name) not in allowed:
                listed = ", ".join(map(repr, allowed))
                raise InputError(f"dialect: {field.name}={getattr(self, field.name)!r} must be one of {listed}")

    def shares(self, wins: Array) -> Array:
        """What part of a window's gradient each tap gets; `wins` (N, C, taps, *outputs) says which are the largest."""
        if self.ties == "all":
            return wins.astype(np.int64)
        if self.ties == "split":
            parts: Array = wins / np.maximum(wins.sum(2, keepdims=True), 1)
            return parts
        ordered = wins[:, :, ::-1] if self.ties == "last" else wins
        first: Array = (ordered & (ordered.cumsum(2) == 1)).astype(np.int64)
        return first[:, :, ::-1] if self.ties == "last" else first


def dialect(given: Any) -> Dialect:
    """A dialect, from one, from a mapping of its fields, or the default. Raises `InputError` for what it has not."""
    if given is None:
        return Dialect()
    if isinstance(given, Dialect):
        return given
    if isinstance(given, Mapping):
        names = {field.name for field in fields(Dialect)}
        if unknown := sorted(set(map(str, given)) - names):
            raise InputError(f"dialect: there is no {unknown[0]!r}; there are {', '.join(sorted(names))}")
        return Dialect(**given)
    raise InputError(f"dialect={given!r} must be a Dialect or a dict of its fields")


def to_layout(array: Any, layout: str) -> Any:
    """(N, C, *sizes) in another order of axes."""
    order = _order(array.ndim, layout)
    return np.transpose(array, order) if order else array


def from_layout(array: Any, layout: str) -> Any:
    """The other way round."""
    order = _order(array.ndim, layout)
    return np.transpose(array, np.argsort(order)) if order else array


def _order(ndim: int, layout: str) -> tuple[int, ...]:
    """Where each axis of (N, C, *sizes) goes; nothing where all stay."""
    match layout:
        case "NHWC":
            return (0, *range(2, ndim), 1)
        case "CNHW":
            return (1, 0, *range(2, ndim))
        case "HWIO":
            return (*range(2, ndim), 1, 0)
    return ()
