"""Which arrays operations take, and in which dtype they compute: the rule of the package's docstring, as code."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from convproof.errors import DtypeError, ShapeError

Array = np.ndarray[Any, np.dtype[Any]]
Dtype = np.dtype[Any]


THEMSELVES = frozenset(map(np.dtype, (np.float32, np.float64, np.int64, object)))
"""The dtypes, among others, that are computed in themselves: most arrays need no further look."""


def computed_in(dtype: Dtype, op: str) -> Dtype:
    """The dtype in which arrays of `dtype` are computed, and in which their gradients are summed up.

    Raises `DtypeError` for what holds no real numbers, and for uint64.

    >>> [str(computed_in(np.dtype(name), "conv")) for name in ("float16", "float32", "uint8", "int64", "object")]
    ['float32', 'float32', 'int64', 'int64', 'object']
    """
    if dtype in THEMSELVES:
        return dtype
    if dtype.kind == "u" and dtype.itemsize == 8:
        raise DtypeError(
            f"{op}: uint64 holds integers beyond int64, in which they are computed; convert with astype('int64'), or "
            f"with astype(object) to Python's integers"
        )
    if dtype.kind in "iu":
        return np.dtype(np.int64)
    if dtype.kind == "f":
        return np.dtype(np.float32) if dtype.itemsize == 2 else dtype.newbyteorder("=")
    if dtype.kind == "O":
        return dtype
    raise DtypeError(f"{op}: an array of {dtype} holds no real numbers; convert it, for example with astype(float)")


def gradient_dtype(dtype: Dtype) -> Dtype:
    """The dtype of a gradient with respect to an array of `dtype`: a gradient of integers has signs and sums.

    >>> [str(gradient_dtype(np.dtype(name))) for name in ("float16", "float32", "uint8", "object")]
    ['float16', 'float32', 'int64', 'object']
    """
    return np.dtype(np.float16) if is_float16(dtype) else computed_in(dtype, "grad")


def is_float16(dtype: Dtype) -> bool:
    """Whether this is float16, in any byte order."""
    return dtype.kind == "f" and dtype.itemsize == 2


def plain_array(array: Any, op: str) -> Array:
    """`array` as an array of NumPy. Raises `ShapeError` for what is none, `DtypeError` where a mask would be lost."""
    if type(array) is not np.ndarray and isinstance(array, np.ndarray) and isinstance(array, np.ma.MaskedArray):
        raise DtypeError(f"{op}: a masked array would lose its mask; fill it first, for example with filled(0)")
    try:
        return np.asarray(array)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ShapeError(f"{op}: the argument is no array: {' '.join(str(error).split())}") from None


def real_numbers(array: Any, op: str) -> Array:
    """`array` as an array of NumPy that operations can compute with; raises `DtypeError` where there is none."""
    found = plain_array(array, op)
    computed_in(found.dtype, op)
    if found.dtype.kind == "O":
        wrong = [kind.__name__ for kind in {type(entry) for entry in found.flat} if _is_no_number(kind)]
        if wrong:
            raise DtypeError(f"{op}: objects of type {min(wrong)} are no real numbers")
    return found


def _is_no_number(kind: type) -> bool:
    """Whether objects of a type are known to be no real numbers; letters and polynomials, for example, may be some."""
    if issubclass(kind, (bool, np.bool_, str, bytes, np.ndarray)) or kind.__module__ == f"{__package__}.tape":
        return True
    if kind in (type(None), dict, list, tuple, set):  # these very types: some polynomials are dictionaries
        return True
    return issubclass(kind, numbers.Complex) and not issubclass(kind, numbers.Real)
