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
from typing import Any, ParamSpec, TypeVar

import networkx as nx
import numpy as np

from convproof.errors import ConvproofError, DtypeError, ShapeError

Array = np.ndarray[Any, np.dtype[Any]]
Vjp = Callable[["Tensor"], "Tensor"]


@dataclass(frozen=True, slots=True)
class Record:
    """How a tensor was made: the operation's name, its operands, and for each a map from cotangent to cotangent."""

    op: str
    operands: tuple[Tensor, ...]
    vjps: tuple[Vjp, ...]


_made = itertools.count()


class Tensor:
    """An array (any real dtype, or objects such as `Fraction`) and how it was made. Never modified in place.

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

    Raises `DtypeError` for text, booleans and other non-numbers.

    >>> tensor([1.0, 2.0])
    Tensor(shape=(2,), dtype=float64)
    """
    if isinstance(array, Tensor):
        return array
    return Tensor(_numbers(array, "tensor"), leaf=True)


def operand(value: Any, op: str) -> Tensor:
    """An operation's argument: a tensor as it is, a plain array as a constant."""
    return value if isinstance(value, Tensor) else Tensor(_numbers(value, op))


def _numbers(array: Any, op: str) -> Array:
    try:
        found: Array = np.asarray(array)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ShapeError(f"{op}: the argument is no array: {' '.join(str(error).split())}") from None
    if found.dtype.kind not in "iufO":
        raise DtypeError(
            f"{op}: an array of {found.dtype} holds no real numbers; convert it, for example with astype(float)"
        )
    if found.dtype.kind == "O" and (wrong := {type(entry) for entry in found.flat} & _NO_NUMBERS):
        raise DtypeError(f"{op}: objects of type {wrong.pop().__name__} are no numbers")
    return found


_NO_NUMBERS = {str, bytes, type(None), dict, list, tuple, set, Tensor}

P = ParamSpec("P")
R = TypeVar("R")


def operation(function: Callable[P, R]) -> Callable[P, R]:
    """Makes NumPy's own complaints about arguments a `ShapeError` that names the operation."""

    @wraps(function)
    def checked(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        except ConvproofError:
            raise
        except (TypeError, ValueError, IndexError, ArithmeticError, MemoryError) as error:
            raise ShapeError(f"{function.__name__}: {' '.join(str(error).split())}") from error

    return checked


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
    gets zeros. Raises `ShapeError` for a cotangent of another shape, and for `wrt` members that are no tensors.

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
        g = cotangents[result] if result in keep else cotangents.pop(result)
        if result.record:
            for source, vjp in zip(result.record.operands, result.record.vjps, strict=True):
                if source in needed:
                    part = cast(vjp(g), source.dtype)
                    cotangents[source] = _add(cotangents[source], part) if source in cotangents else part
    return [cotangents.get(t) or Tensor(np.zeros_like(t.value)) for t in wanted]


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
        return Tensor(np.ones_like(y.value))
    g = operand(cotangent, "grad")
    if g.shape != y.shape:
        raise ShapeError(f"grad: the cotangent has shape {g.shape}, the result {y.shape}; they must be equal")
    if g.dtype.kind in "iu" and y.dtype.kind == "f":
        return _as_type(g, y.dtype)
    return cast(g, y.dtype)


def cast(g: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """g with the precision of `dtype`, where both are floats or both integers; else g as it is."""
    if g.dtype == dtype:
        return g
    same_kind = g.dtype.kind == dtype.kind or {g.dtype.kind, dtype.kind} == {"i", "u"}
    return _as_type(g, dtype) if same_kind else g


def _as_type(g: Tensor, dtype: np.dtype[Any]) -> Tensor:
    return record("cast", g.value.astype(dtype), (g,), (lambda h: cast(h, g.dtype),))


def _add(a: Tensor, b: Tensor) -> Tensor:
    """The sum of two cotangents of one tensor, which have its shape."""
    return record("accumulate", a.value + b.value, (a, b), (lambda g: g, lambda g: g))
