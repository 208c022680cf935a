"""Tensors that remember how they were made, and the backward pass.

A tensor points at its operands, and nothing points the other way: what is no longer used is freed. Operands are older
than what is made of them, so `grad` walks that memory once, from the youngest to the oldest; `tape` lays it out as a
networkx DiGraph, operand -> result. The vector-Jacobian product (VJP) of every operation is written in operations of
this package, so gradients can be differentiated again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec, TypeVar

import networkx as nx
import numpy as np

from convproof.autograd.dtypes import THEMSELVES, Dtype, computed_in, gradient_dtype, is_float16, real_numbers
from convproof.autograd.dtypes import Array as Array
from convproof.errors import ConvproofError, ShapeError

Vjp = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True, slots=True)
class Record:
    """How a tensor was made: the operation's name, its operands, and for each a map from cotangent to cotangent."""

    op: str
    operands: tuple[Tensor, ...]
    vjps: tuple[Vjp, ...]


_made = itertools.count()


class Tensor:
    """An array (real numbers, or objects such as `Fraction`) and how it was made. Never modified in place.

    The array is not copied: change it afterwards, and gradients are those of the changed one.
    """

    __slots__ = ("__weakref__", "age", "grad", "leaf", "record", "value")

    def __init__(self, value: Array, record: Record | None = None, leaf: bool = False) -> None:
        self.value = value
        self.record = record
        self.leaf = leaf
        self.grad: Tensor | None = None
        self.age = next(_made)

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The array's dtype."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """The array's number of axes."""
        return self.value.ndim

    def numpy(self) -> Array:
        """The array itself, not a copy."""
        return self.value

    def backward(self, cotangent: Any = None) -> None:
        """Adds the gradient of this tensor to `grad` of every tensor that `tensor(...)` made and that it depends on.

        What is stored has no memory of how it came about; for gradients that can be differentiated use `grad`.
        """
        leaves = [t for t in _history(self) if t.leaf]
        for leaf, gradient in zip(leaves, grad(self, leaves, cotangent), strict=True):
            leaf.grad = Tensor(np.array(gradient.value if leaf.grad is None else leaf.grad.value + gradient.value))

    def __repr__(self) -> str:
        made = f", made by {self.record.op}" if self.record else ""
        return f"Tensor(shape={self.shape}, dtype={self.dtype}{made})"


def tensor(array: Any) -> Tensor:
    """`array` as a leaf that gradients can be asked for; a tensor is handed back as it is.

    Raises `DtypeError` for text, booleans, complex numbers, masked arrays and uint64.

    >>> tensor([1.0, 2.0])
    Tensor(shape=(2,), dtype=float64)
    """
    return array if isinstance(array, Tensor) else Tensor(real_numbers(array, "tensor"), leaf=True)


def operand(value: Any, op: str) -> Tensor:
    """An operation's argument, in the dtype in which it is computed: a tensor, or a plain array as a constant."""
    given = value if isinstance(value, Tensor) else Tensor(real_numbers(value, op))
    return given if given.value.dtype in THEMSELVES else _as_type(given, computed_in(given.dtype, op))


P = ParamSpec("P")
R = TypeVar("R")


def operation(*operands: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A public operation, whose parameters of these names are arrays to compute with.

    They come in the dtype in which they are computed, and the result is stored in theirs. NumPy's own complaints about
    arguments become a `ShapeError` that names the operation.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        op, form = function.__name__, signature(function)
        places = [(i, name) for i, name in enumerate(form.parameters) if name in operands]

        def converted(*args: P.args, **options: P.kwargs) -> R:
            bound = form.bind(*args, **options)
            names = [name for _, name in places if not _is_plain(bound.arguments.get(name))]
            tensors, dtype = together([bound.arguments[name] for name in names], op)
            bound.arguments.update(zip(names, tensors, strict=True))
            found: R = stored(function(*bound.args, **bound.kwargs), dtype)
            return found

        @wraps(function)
        def checked(*args: P.args, **options: P.kwargs) -> R:
            try:
                arrays = (args[i] if i < len(args) else options.get(name) for i, name in places)
                return (function if all(map(_needs_nothing, arrays)) else converted)(*args, **options)
            except ConvproofError:
                raise
            except (TypeError, ValueError, IndexError, ArithmeticError, MemoryError) as error:
                raise ShapeError(f"{op}: {' '.join(str(error).split())}") from error

        return checked

    return decorate


def _is_plain(value: Any) -> bool:
    """Whether this is a number of Python, which leaves the dtype of what it meets as it is, or nothing."""
    return value is None or isinstance(value, (int, float))


def _needs_nothing(value: Any) -> bool:
    """Whether an operation can compute with this as it is."""
    if isinstance(value, Tensor):
        return value.value.dtype in THEMSELVES
    return _is_plain(value) or (type(value) is np.ndarray and value.dtype in THEMSELVES)


def together(values: Sequence[Any], op: str) -> tuple[list[Tensor], Dtype | None]:
    """Arrays of one operation in the dtypes in which they are computed, and the common dtype that NumPy gives them, if
    that is not the one in which they are computed.

    Only what is not computed in its own dtype is converted: to that of the others, where they are floats.
    """
    tensors = [v if isinstance(v, Tensor) else Tensor(real_numbers(v, op)) for v in values]
    if THEMSELVES.issuperset([t.value.dtype for t in tensors]):
        return tensors, None
    wide = [computed_in(t.dtype, op) for t in tensors]
    common = np.result_type(*(t.dtype for t in tensors))
    if common.kind == "f":
        wide = [w if t.dtype == w else computed_in(common, op) for t, w in zip(tensors, wide, strict=True)]
    return [_as_type(t, w) for t, w in zip(tensors, wide, strict=True)], common


def stored(result: Any, dtype: Dtype | None) -> Any:
    """The result of an operation (or a tuple with it in front), rounded where float16 is to hold it."""
    if dtype is None or not is_float16(dtype):
        return result
    if isinstance(result, tuple):
        return stored(result[0], dtype), *result[1:]
    return _as_type(result, np.dtype(np.float16))


def record(op: str, value: Any, operands: Sequence[Tensor], vjps: Sequence[Vjp]) -> Tensor:
    """The result of an operation, remembering its operands and a VJP for each."""
    if not isinstance(value, np.ndarray):  # NumPy hands out a bare number where no axis is left
        exact = any(t.value.dtype.kind == "O" for t in operands)
        value = np.asarray(value, dtype=object if exact else None)
    return Tensor(value, Record(op, tuple(operands), tuple(vjps)))


def tape(*results: Tensor) -> nx.DiGraph[Tensor]:
    """The graph of everything that `results` were made from; edges run from operand to result.

    >>> from convproof import autograd as ag
    >>> x = ag.tensor([1.0, 2.0])
    >>> tape(ag.multiply(x, x)).number_of_edges()
    1
    """
    graph: nx.DiGraph[Tensor] = nx.DiGraph()
    graph.add_nodes_from(results)
    pending = list(results)
    while pending:
        result = pending.pop()
        for source in result.record.operands if result.record else ():
            if source not in graph:
                pending.append(source)
            graph.add_edge(source, result)
    return graph


def grad(y: Tensor, wrt: Iterable[Tensor], cotangent: Any = None) -> list[Tensor]:
    """The gradients of sum(cotangent * y) with respect to each tensor of `wrt`; they can be differentiated again.

    `cotangent` has the shape of y; it may be left out where y is a single number. A tensor that y does not depend on
    gets zeros. The gradient of a tensor has its dtype; that of integers is int64, or what y is. Raises
    `ShapeError` for a cotangent of another shape, and for `wrt` members that are no tensors.

    >>> from convproof import autograd as ag
    >>> x = ag.tensor([3])
    >>> (g,) = ag.grad(ag.multiply(x, x), [x])
    >>> g.numpy().tolist()
    [6]
    """
    wanted = list(wrt) if isinstance(wrt, Iterable) else [wrt]
    if not all(isinstance(t, Tensor) for t in wanted) or not isinstance(y, Tensor):
        raise ShapeError(
            "grad: works on a tensor and a list of tensors; wrap arrays with tensor(...) before the computation"
        )
    order = _history(y)
    needed = set(wanted)
    for each in order:
        if each.record and not needed.isdisjoint(each.record.operands):
            needed.add(each)
    cotangents: dict[Tensor, Tensor] = {y: _cotangent(y, cotangent)}
    keep = set(wanted)
    while order:
        result = order.pop()
        if result not in needed or result not in cotangents:
            continue
        g = cast(cotangents.pop(result), gradient_dtype(result.dtype))  # summed up: rounded once
        if result in keep:
            cotangents[result] = g
        if result.record:
            for source, vjp in zip(result.record.operands, result.record.vjps, strict=True):
                if source in needed:
                    part = cast(vjp(g), computed_in(source.dtype, "grad"))
                    cotangents[source] = _add(cotangents[source], part) if source in cotangents else part
    return [cotangents.get(t) or Tensor(np.zeros(t.shape, gradient_dtype(t.dtype))) for t in wanted]


def _history(y: Tensor) -> list[Tensor]:
    """y and all that it was made from, the oldest first."""
    found, pending = {y}, [y]
    while pending:
        made = pending.pop().record
        for source in made.operands if made else ():
            if source not in found:
                found.add(source)
                pending.append(source)
    return sorted(found, key=lambda t: t.age)


def _cotangent(y: Tensor, cotangent: Any) -> Tensor:
    if cotangent is None:
        if y.value.size != 1:
            raise ShapeError(f"grad: a result of shape {y.shape} needs a cotangent of the same shape")
        return Tensor(np.ones(y.shape, gradient_dtype(y.dtype)))
    g = operand(cotangent, "grad")
    if g.shape != y.shape:
        raise ShapeError(f"grad: the cotangent has shape {g.shape}, the result {y.shape}; they must be equal")
    if y.dtype.kind == "O" or (g.dtype.kind == "i" and y.dtype.kind == "f"):
        return _as_type(g, computed_in(y.dtype, "grad"))
    return cast(g, computed_in(y.dtype, "grad"))


def cast(g: Tensor, dtype: Dtype) -> Tensor:
    """g in `dtype`, where both are floats or both integers; else g as it is."""
    return _as_type(g, dtype) if g.dtype.kind == dtype.kind else g


def _as_type(g: Tensor, dtype: Dtype) -> Tensor:
    """g in `dtype`; `grad` converts what comes back."""
    return g if g.dtype == dtype else record("cast", g.value.astype(dtype), (g,), (lambda h: h,))


def _add(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two cotangents of one tensor, which have its shape."""
    return record("accumulate", a.value + b.value, (a, b), (lambda g: g, lambda g: g))
