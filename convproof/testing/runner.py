"""Calls a kernel on a case, and reads what it does: in this process, or in the worker of `isolated`.

The kernel runs three times: on some numbers, on others in the same memory, and on the first ones again in new memory.
What it returned is read at once and again later. Nothing is judged here, and nothing expected is known.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convproof.testing.arrays import Given, Library, NoArray
from convproof.testing.dialects import Dialect, from_layout, to_layout
from convproof.testing.numbers import Array, Arrays
from convproof.testing.operation import PARTS, Operation


class Raised(Exception):
    """What a kernel raised."""


class Gone(Raised):
    """A kernel that took its process with it, or does not come back."""


@dataclass
class Run:
    """What three runs on a case gave, by part; what the first one's results are after the second; the inputs after the
    first run; and the dtypes of the results.
    """

    first: Arrays
    second: Arrays
    again: Arrays
    later: Arrays
    inputs: Arrays
    dtypes: dict[str, str]


@dataclass
class Runner:
    """A kernel, and how its inputs are laid out."""

    operation: Operation
    forward: Callable[..., Any]
    vjp: Callable[..., Any] | None
    library: Library
    dialect: Dialect
    sizes: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.keywords = {
            name: _keywords(f) for name, f in (("forward", self.forward), ("vjp", self.vjp)) if f is not None
        }

    @property
    def name(self) -> str:
        """What the kernel is called."""
        return name_of(self.forward)

    def imported(self, part: str) -> str:
        """The lines of Python that name the kernel, or leave its name open."""
        function = self.forward if part == "forward" else self.vjp
        module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
        if module in (None, "__main__") or not path.replace(".", "").isidentifier():
            return "kernel = ...  # the function that was checked"
        root = path.partition(".")[0]
        return f"from {module} import {root}\nkernel = {path}"

    def run(self, case: Any, first: Arrays, second: Arrays) -> Run:
        """The three runs. Raises `Raised`, or `NoArray` for a result that is no array."""
        given = self._given(case, first)
        returned = self._answer(case, given)
        found = self._read(returned)
        inputs = {
            name: np.array(each) if name == "labels" else self.library.read(each.array) for name, each in given.items()
        }
        for name, each in given.items():
            if name == "labels":
                given[name] = np.array(second[name])
            else:
                self.library.put(each, self.outward(name, second[name]), self.library.layout(name, case.layout))
        other = self._read(self._answer(case, given))
        later = self._read(returned)
        again = self._read(self._answer(case, self._given(case, first)))
        dtypes = {part: self.library.dtype(each) for part, each in returned.items()}
        return Run(found, other, again, later, inputs, dtypes)

    def once(self, case: Any, arrays: Arrays) -> Arrays:
        """A single run."""
        return self._read(self._answer(case, self._given(case, arrays)))

    # --- layouts ------------------------------------------------------------------------------------------------------

    def outward(self, name: str, values: Array) -> Array:
        """An input as the kernel gets it."""
        return self._laid_out(name, self._halved(values, self.operation.halved.get(name, 0)))

    def result(self, part: str, values: Array) -> Array:
        """A result as the kernel returns it."""
        return self._laid_out(part, self._halved(values, self.operation.halved_results.get(part, 0)))

    def inward(self, part: str, values: Array) -> Array:
        """A result in whole numbers and in our layout."""
        values = from_layout(values, self._order(part, values))
        if part == "w" and values.ndim > 2 and self.dialect.convolution == "flipped":
            values = values[:, :, *(slice(None, None, -1) for _ in values.shape[2:])]
        return self._halved(values, -self.operation.halved_results.get(part, 0))

    def _laid_out(self, name: str, values: Array) -> Array:
        if name == "w" and values.ndim > 2 and self.dialect.convolution == "flipped":
            values = values[:, :, *(slice(None, None, -1) for _ in values.shape[2:])]
        return np.ascontiguousarray(to_layout(values, self._order(name, values)))

    def _halved(self, values: Array, times: int) -> Array:
        if not times or not self.library.kind.unit:
            return values
        with np.errstate(over="ignore"):  # the lowest number of a type is a result of faulty kernels
            return np.asarray(values * 2.0**-times)

    def _order(self, name: str, values: Array) -> str:
        if values.ndim < 3 or (self.operation.name == "im2col" and name != "x"):
            return ""
        return {
            "w": self.dialect.filters,
            "x": self.dialect.layout,
            "y": self.dialect.layout,
            "g": self.dialect.layout,
        }.get(name, "")

    # --- calling ------------------------------------------------------------------------------------------------------

    def _given(self, case: Any, arrays: Arrays) -> dict[str, Any]:
        """The inputs in memory; results have as many numbers as one of them each."""
        self.sizes = {values.size for values in arrays.values()}
        return {
            name: np.array(values)
            if name == "labels"
            else self.library.give(self.outward(name, values), self.library.layout(name, case.layout))
            for name, values in arrays.items()
        }

    def _answer(self, case: Any, given: dict[str, Any]) -> dict[str, Any]:
        """What the kernel returns: y, and gradients by operand."""
        arrays = {name: each.array if isinstance(each, Given) else each for name, each in given.items()}
        found = {"y": self._call("forward", self.forward, case, self.operation.forward(case, arrays))}
        if self.vjp is not None:
            back = self._call("vjp", self.vjp, case, self.operation.backward(case, arrays))
            back = back if isinstance(back, (tuple, list)) else (back,)
            if len(back) != len(self.operation.operands):
                wanted = ", ".join(PARTS[each] for each in self.operation.operands)
                raise NoArray(f"the VJP returned {len(back)} arrays; it must return {wanted}")
            found |= dict(zip(self.operation.operands, back, strict=True))
            if "b" in found and "b" not in arrays:
                del found["b"]
        return found

    def _call(self, name: str, function: Callable[..., Any], case: Any, arguments: tuple[Any, ...]) -> Any:
        more = {key: value for key, value in self.operation.keywords(case).items() if key in self.keywords[name]}
        for size in self.sizes:
            self.library.poison(size)
        try:
            return function(*arguments, **more)
        except (Exception, SystemExit, GeneratorExit) as error:
            raise Raised(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}{_place(error)}") from error

    def _read(self, returned: dict[str, Any]) -> Arrays:
        return {name: self.inward(name, self.library.read(each)) for name, each in returned.items()}


def name_of(function: Callable[..., Any]) -> str:
    """What a function is called in reports."""
    return getattr(function, "__qualname__", None) or type(function).__name__


def _keywords(function: Callable[..., Any]) -> set[str]:
    """The parameters that a kernel takes by name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set()
    every = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
    named = {each.name for each in parameters if each.kind is not inspect.Parameter.POSITIONAL_ONLY}
    return named | ({"ceil_mode", "count_include_pad"} if every else set())


def _place(error: BaseException) -> str:
    """Where in the kernel's own code it was raised."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    return f" (line {own[0].lineno} of {own[0].filename.rsplit('/', 1)[-1]})" if own else ""
