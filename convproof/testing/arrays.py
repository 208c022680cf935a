"""Arrays as kernels get them and give them back: NumPy's, PyTorch's, JAX's, and whatever can be made a NumPy array."""

from __future__ import annotations

import importlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from convproof.errors import InputError
from convproof.testing.numbers import Array, Precision


class NoArray(Exception):
    """What a kernel returned is no array of numbers."""


@dataclass
class Given:
    """An input of a kernel: the array that it gets, and the memory behind it, through which other numbers are put in
    its place.
    """

    array: Any
    memory: Any


class Library:
    """NumPy, and what the other libraries do otherwise."""

    name = "numpy"
    layouts: tuple[str, ...] = ("channels last", "every second", "reversed", "broadcast", "read-only")

    def __init__(self, kind: Precision, device: str | None) -> None:
        self.kind, self.device = kind, device
        if device not in (None, "cpu"):
            raise InputError(f"device={device!r} is for xp='torch'")
        if kind.name == "bfloat16" and type(self) is Library:
            raise InputError("NumPy has no bfloat16; use xp='torch' or xp='jax'")

    def layout(self, name: str, layout: str) -> str:
        """How an input lies in memory where a case says so: of images, filters and cotangents any array, but all alike
        for images only.
        """
        there = layout in self.layouts and name in ("x", "w", "g")
        return "" if not there or (layout == "broadcast" and name != "x") else layout

    def lines(self, name: str, layout: str) -> list[str]:
        """Lines of Python that lay an array out like that."""
        return [f"{name}{_LAID[self.name][layout]}".replace("@", name)] if layout else []

    def give(self, values: Array, layout: str) -> Given:
        """The numbers as an input that lies in memory as told."""
        memory = self.empty(values.shape, layout)
        given = Given(self.view(memory, values.ndim, layout), memory)
        self.put(given, values, layout)
        if layout == "read-only":
            given.array = given.array.view()
            given.array.flags.writeable = False
        return given

    def empty(self, shape: tuple[int, ...], layout: str) -> Any:
        """Memory for an array, as large as its layout needs."""
        return np.zeros(_stored(shape, layout), self.kind.name)

    def view(self, memory: Any, ndim: int, layout: str) -> Any:
        """The array in that memory."""
        return _viewed(memory, ndim, layout)

    def put(self, given: Given, values: Array, layout: str) -> None:
        """Other numbers into the same memory."""
        if layout == "broadcast":
            given.memory[...] = values[:1]
            given.array = np.broadcast_to(given.memory, values.shape)
        else:
            self.view(given.memory, values.ndim, layout)[...] = values

    def dtype(self, found: Any) -> str:
        """The name of the dtype of what a kernel returned."""
        return str(getattr(found, "dtype", type(found).__name__)).removeprefix("torch.")

    def read(self, found: Any) -> Array:
        """A copy of what a kernel returned, as a NumPy array of float64 or int64. Raises `NoArray`."""
        return _numbers(found)

    def poison(self, size: int) -> None:
        """Memory of that many entries, filled with what is no result, and given back."""
        full = [np.empty(size, self.kind.result) for _ in range(6)]
        for each in full:
            each.fill(np.nan if self.kind.unit else 77)
        del full


_LAID = {
    "numpy": {
        "channels last": " = np.moveaxis(np.moveaxis(@, 1, -1).copy(), -1, 1)",
        "every second": " = np.repeat(@, 2, -1)[..., ::2]",
        "reversed": " = @[..., ::-1].copy()[..., ::-1]",
        "broadcast": " = np.broadcast_to(@[:1], @.shape)",
        "read-only": ".flags.writeable = False",
    },
    "torch": {
        "channels last": " = @.movedim(1, -1).contiguous().movedim(-1, 1)",
        "every second": " = @.repeat_interleave(2, -1)[..., ::2]",
        "broadcast": " = @[:1].expand(@.shape)",
    },
}
"""What makes an array @ lie in memory like that."""


def _stored(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
    """The shape of the memory behind an array."""
    match layout:
        case "channels last":
            return (shape[0], *shape[2:], shape[1])
        case "every second":
            return (*shape[:-1], 2 * shape[-1])
        case "broadcast":
            return (1, *shape[1:])
    return shape


def _viewed(memory: Any, ndim: int, layout: str) -> Any:
    match layout:
        case "channels last":
            order = (0, ndim - 1, *range(1, ndim - 1))
            return memory.permute(order) if hasattr(memory, "permute") else memory.transpose(order)
        case "every second":
            return memory[..., ::2]
        case "reversed":
            return memory[..., ::-1]
    return memory


def _numbers(found: Any) -> Array:
    array = found if isinstance(found, np.ndarray) else _fetched(found)
    if array.dtype.kind not in "iuf":
        if array.dtype.name != "bfloat16":
            raise NoArray(f"a {type(found).__name__} of dtype {array.dtype} holds no numbers")
        array = array.astype(np.float32)
    return array.astype(np.int64 if array.dtype.kind in "iu" else np.float64)


def _fetched(found: Any) -> Array:
    """A NumPy array of what is none, from the device that it is on."""
    for name in ("detach", "cpu"):
        found = getattr(found, name)() if hasattr(found, name) else found
    if str(getattr(found, "dtype", "")) == "torch.bfloat16":
        found = found.float()
    if not hasattr(found, "__array__") and hasattr(found, "numpy"):
        found = found.numpy()
    if not hasattr(found, "__array__") and hasattr(found, "__dlpack__"):
        found = np.from_dlpack(found)
    try:
        return np.asarray(found)
    except Exception as error:
        raise NoArray(f"a {type(found).__name__} is no array: {' '.join(str(error).split())}") from None


class Torch(Library):
    """PyTorch, on any of its devices."""

    name = "torch"
    layouts = ("channels last", "every second", "broadcast")

    def __init__(self, kind: Precision, device: str | None) -> None:
        super().__init__(kind, None)
        self.torch, self.device = _imported("torch"), device or "cpu"
        try:
            self.torch.zeros(0, device=self.device)
        except (AssertionError, RuntimeError, TypeError) as error:
            raise InputError(f"device={device!r}: {str(error).splitlines()[0]}") from None

    def empty(self, shape: tuple[int, ...], layout: str) -> Any:
        return self.torch.zeros(_stored(shape, layout), dtype=getattr(self.torch, self.kind.name), device=self.device)

    def put(self, given: Given, values: Array, layout: str) -> None:
        new = self.torch.tensor(values).to(given.memory.dtype)
        if layout == "broadcast":
            given.memory.copy_(new[:1])
            given.array = given.memory.expand(values.shape)
        else:
            self.view(given.memory, values.ndim, layout).copy_(new)
            given.array = self.view(given.memory, values.ndim, layout).detach()  # a kernel may ask for its gradient

    def poison(self, size: int) -> None:
        full = self.torch.full(
            (size,),
            math.nan if self.kind.unit else 77,
            dtype=getattr(self.torch, self.kind.result),
            device=self.device,
        )
        del full


class Jax(Library):
    """JAX, whose arrays cannot be changed: other numbers are other arrays."""

    name = "jax"
    layouts = ()

    def __init__(self, kind: Precision, device: str | None) -> None:
        super().__init__(kind, None)
        self.jax = _imported("jax")
        if device is not None:
            raise InputError(f"device={device!r} is for xp='torch'; JAX takes its own from jax.default_device")
        if kind.name in ("float64", "int64"):
            self.jax.config.update("jax_enable_x64", True)

    def give(self, values: Array, layout: str) -> Given:
        return Given(self.jax.numpy.asarray(values, self.kind.name), None)

    def put(self, given: Given, values: Array, layout: str) -> None:
        given.array = self.jax.numpy.asarray(values, self.kind.name)

    def poison(self, size: int) -> None:
        """Nothing: its memory is its own."""


LIBRARIES: dict[str, type[Library]] = {"numpy": Library, "torch": Torch, "jax": Jax}


def library(xp: Any, kind: Precision, device: str | None) -> Library:
    """The library of that name or module. Raises `InputError` for others, and where it is not installed."""
    name = str(getattr(xp, "__name__", xp)).removesuffix(".numpy")
    if name not in LIBRARIES:
        raise InputError(f"xp={xp!r} is not supported; there are {', '.join(map(repr, LIBRARIES))}")
    return LIBRARIES[name](kind, device)


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"xp={name!r} needs {name}, which is not installed") from None
