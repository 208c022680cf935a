"""What the nodes of an ONNX graph read: constants, activations, attributes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from convproof.errors import InputError
from convproof.importers.values import Constant, Flow, Inexpressible, Value, Values, axis_of, shown

if TYPE_CHECKING:
    from onnx import AttributeProto, NodeProto, TensorProto

MAX_VALUES = 100
"""The values of larger constants are not looked at; only their shapes matter here."""

MAX_RANK = 16


def constant(values: Sequence[Any], sources: tuple[str, ...] = ()) -> Constant:
    """A vector of few numbers or extents."""
    return Constant((len(values),), array(values, (len(values),)), sources)


def array(values: Sequence[Any], shape: tuple[int, ...]) -> Values:
    """The values as they are, in a shape."""
    flat = np.empty(len(values), object)
    flat[:] = values
    return flat.reshape(shape)


# --- stored tensors ---------------------------------------------------------------------------------------------------

_EXTERNAL = 1  # TensorProto.DataLocation
_FORMATS = {1: ("f", "float_data"), 6: ("i", "int32_data"), 7: ("q", "int64_data"), 11: ("d", "double_data")}
"""TensorProto.DataType: how its elements lie in raw_data, and the field that holds them otherwise."""


def decoded(tensor: TensorProto, name: str) -> Constant:
    """A tensor as stored; nothing outside the file is opened. Raises `InputError` where shape and data disagree."""
    shape = checked_shape(tensor.dims, name)
    return Constant(shape, _stored_values(tensor, shape, name), (name,))


def checked_shape(dims: Sequence[int], name: str) -> tuple[int, ...]:
    """`dims` as a shape. Raises `InputError` for more than `MAX_RANK` axes, or a negative one."""
    if len(dims) > MAX_RANK:
        raise InputError(f"tensor {shown(name)} has {len(dims)} axes; {MAX_RANK} is the limit")
    if any(n < 0 for n in dims):
        raise InputError(f"tensor {shown(name)} has shape {tuple(dims)}; no size can be negative")
    return tuple(dims)


def _stored_values(tensor: TensorProto, shape: tuple[int, ...], name: str) -> Values | None:
    count = prod(shape)
    if count > MAX_VALUES or tensor.data_location == _EXTERNAL or tensor.data_type not in _FORMATS:
        return None
    code, field = _FORMATS[tensor.data_type]
    raw = tensor.raw_data
    found = len(raw) / struct.calcsize(code) if tensor.HasField("raw_data") else len(getattr(tensor, field))
    if found != count:
        raise InputError(f"tensor {shown(name)} has shape {shape} but {found:g} values; the file is damaged")
    values = struct.unpack(f"<{count}{code}", raw) if tensor.HasField("raw_data") else tuple(getattr(tensor, field))
    return array(values, shape)


# --- nodes ------------------------------------------------------------------------------------------------------------

_REQUIRED: Any = object()
_TYPES = {"f": (1, "number"), "i": (2, "whole number"), "s": (3, "text"), "t": (4, "tensor")}
_TYPES |= {"floats": (6, "list of numbers"), "ints": (7, "list of whole numbers")}
"""AttributeProto's fields: the AttributeType, and its name in words."""


class Call:
    """A node, the values that it reads (None for one left out), and the version of the operators that it is from.

    `number` gives the number that a size is at the given image, where that is known.
    """

    def __init__(
        self,
        node: NodeProto,
        inputs: Sequence[Value | None],
        opset: int,
        number: Callable[[Any], int | None] = lambda n: None,
    ) -> None:
        self.node, self.inputs, self.opset, self.number = node, list(inputs), opset, number
        self.op = node.op_type
        self._attributes: dict[str, AttributeProto] = {each.name: each for each in node.attribute}

    def has(self, name: str) -> bool:
        """Whether the node has an attribute of this name."""
        return name in self._attributes

    def _attribute(self, name: str, field: str, default: Any) -> Any:
        if name not in self._attributes:
            if default is _REQUIRED:
                raise InputError(f"the attribute {name} is missing")
            return default
        kind, words = _TYPES[field]
        if self._attributes[name].type != kind:
            raise InputError(f"the attribute {name} is no {words}")
        return getattr(self._attributes[name], field)

    def integer(self, name: str, default: int = _REQUIRED) -> int:
        """The attribute, a whole number."""
        return int(self._attribute(name, "i", default))

    def real(self, name: str, default: float = _REQUIRED) -> float:
        """The attribute, a number."""
        return float(self._attribute(name, "f", default))

    def text(self, name: str, default: str) -> str:
        """The attribute, a text."""
        found = self._attribute(name, "s", default.encode())
        return str(found, "utf-8", "replace")

    def tensor(self, name: str) -> TensorProto:
        """The attribute, a tensor."""
        found: TensorProto = self._attribute(name, "t", _REQUIRED)
        return found

    def integers(self, name: str, count: int | None = None, default: Sequence[int] = _REQUIRED) -> tuple[int, ...]:
        """The attribute, `count` whole numbers."""
        found = self._attribute(name, "ints", default)
        if count is not None and len(found) != count:
            raise InputError(f"the attribute {name} has {len(found)} numbers, not {count}")
        return tuple(found)

    def reals(self, name: str) -> tuple[float, ...]:
        """The attribute, a list of numbers."""
        return tuple(self._attribute(name, "floats", _REQUIRED))

    def given(self, number: int) -> Value | None:
        """The input of this number, counted from 0, or None where it is left out."""
        return self.inputs[number] if number < len(self.inputs) else None

    def flow(self, number: int = 0) -> Flow:
        """The input, which must depend on the image."""
        found = self._input(number)
        if isinstance(found, Constant):
            raise Inexpressible(f"its input {number + 1} is a constant")
        return found

    def constant(self, number: int) -> Constant:
        """The input, which must be a constant of known shape."""
        found = self._input(number)
        if isinstance(found, Flow) or found.shape is None:
            raise Inexpressible(f"its input {number + 1} is computed")
        return found

    def _input(self, number: int) -> Value:
        found = self.given(number)
        if found is None:
            raise InputError(f"its input {number + 1} is missing")
        return found

    def numbers(self, number: int) -> list[Any]:
        """The input, a constant vector or number, as a list of numbers and extents."""
        found = self.constant(number)
        if found.values is None or len(found.values.shape) > 1:
            raise Inexpressible(f"its input {number + 1} is no short list")
        return list(found.values.reshape(-1))

    def axes(self, number: int | None, rank: int, default: Sequence[int] = ()) -> list[int]:
        """The axes that are named in the attribute, or in an input (newer versions), counted from 0.

        `default`, where they are named in neither. Raises `InputError` for an axis that there is not.
        """
        if self.has("axes"):
            found: list[Any] = list(self.integers("axes"))
        elif number is not None and self.given(number) is not None:
            found = self.numbers(number)
        else:
            return list(default)
        return [axis_of(each, rank) for each in found]
