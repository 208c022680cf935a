"""What the nodes of an ONNX graph read: constants, activations, attributes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from convproof.architecture import Layer
from convproof.errors import InputError
from convproof.importers import table
from convproof.importers.calls import Call
from convproof.importers.forward import Forward
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
_FORMATS = {
    1: ("f", "float_data"),
    6: ("i", "int32_data"),
    7: ("q", "int64_data"),
    11: ("d", "double_data"),
    2: ("B", "int32_data"),
    3: ("b", "int32_data"),
    9: ("?", "int32_data"),
    10: ("e", "int32_data"),
}
"""TensorProto.DataType: how its elements lie in raw_data, and the field that holds them otherwise."""
_NEVER_LEARNED = (7, 9)
"""int64 and bool: sizes, places, and what is decided."""


def decoded(tensor: TensorProto, name: str) -> Constant:
    """A tensor as stored; nothing outside the file is opened. Raises `InputError` where shape and data disagree."""
    shape = checked_shape(tensor.dims, name)
    sources = () if tensor.data_type in _NEVER_LEARNED else (name,)
    return Constant(shape, _stored_values(tensor, shape, name), sources)


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
    values: tuple[Any, ...] = tuple(getattr(tensor, field))
    if tensor.HasField("raw_data"):
        values = struct.unpack(f"<{count}{code}", raw)
    elif code == "e":  # its bits, as whole numbers
        values = struct.unpack(f"<{count}e", struct.pack(f"<{count}H", *(each & 0xFFFF for each in values)))
    return array(values, shape)


# --- nodes ------------------------------------------------------------------------------------------------------------

_REQUIRED: Any = object()
_TYPES = {"f": (1, "number"), "i": (2, "whole number"), "s": (3, "text"), "t": (4, "tensor")}
_TYPES |= {"floats": (6, "list of numbers"), "ints": (7, "list of whole numbers")}
"""AttributeProto's fields: the AttributeType, and its name in words."""


class OnnxNode:
    """A node, the values that it reads (None for one left out), the version of the operators that it is from, the
    network that grows, and how many nodes read each tensor.
    """

    def __init__(
        self,
        node: NodeProto,
        inputs: Sequence[Value | None],
        opset: int,
        graph: Forward,
        uses: Mapping[str, int],
    ) -> None:
        self.node, self.inputs, self.opset, self.graph, self.uses = node, list(inputs), opset, graph, uses
        self.op = node.op_type
        self._attributes: dict[str, AttributeProto] = {each.name: each for each in node.attribute}

    @property
    def makes(self) -> str:
        """The first tensor that it makes."""
        return next((each for each in self.node.output if each), "")

    # --- what it makes ------------------------------------------------------------------------------------------------

    def call(
        self, op: str, args: Sequence[Any], settings: Mapping[str, Any], part: str = "", learned: Any = None
    ) -> Call:
        """The node as a call by PyTorch's names. `part` names one that makes only a part of what the node does; of what
        it reads, the stored numbers are learned but for single ones, unless it is said which are.
        """
        tensor = "" if part else self.makes
        call = Call(self.graph, op, (self.node.name or self.makes) + part, args, settings, None, tensor or None, tensor)
        found = [each for each in call.reads(Constant) if each.size != 1] if learned is None else learned
        call.title = ".".join(each for each in (self.node.domain, self.op) if each)
        call.learned = () if part else tuple(dict.fromkeys(name for each in found for name in each.sources))
        return call

    def made(self, op: str, *args: Any, part: str = "", learned: Any = None, **settings: Any) -> Any:
        """What PyTorch's operator of this name makes of these arguments."""
        call = self.call(op, args, settings, part, learned)
        return table.made(call) if call.flows else table.of_constants(call) or Constant()

    def add(self, layer: Layer, operands: Sequence[Flow], learned: Sequence[Constant] = (), part: str = "") -> Flow:
        """A new layer of a kind, whose operands have the batch first and then the axes of the image."""
        call = self.call(self.op, operands, {}, part, learned)
        table.in_order(call)
        return call.add(layer, call.flows)

    def unknown(self, flows: Sequence[Flow], why: str, tensor: str = "") -> Flow:
        """The node as an operation that nothing is known about; `tensor` is what it makes, if not its first output."""
        call = self.call(self.op, flows, {})
        call.learned = () if tensor else tuple(name for each in self._constants for name in each.sources)
        if tensor:
            call.place = call.tensor_name = call.source = tensor
        return call.unknown(why)

    @property
    def _constants(self) -> list[Constant]:
        """The stored numbers that it reads, but for single ones."""
        return [each for each in self.inputs if isinstance(each, Constant) and each.size not in (None, 1)]

    # --- what it reads ------------------------------------------------------------------------------------------------

    def sizes(self, rank: int) -> tuple[int, ...]:
        """The spatial sizes of its first input, at the given image, or as they are declared.

        Raises `Inexpressible` where they are not.
        """
        x = self.flow()
        shape = self.graph.shape(x)
        if len(shape) != rank + 2:
            raise Inexpressible("the size of what it reads is not declared in the file")
        declared = self.graph.measure(self.node.input[0]) or ()
        found = []
        for axis, n in enumerate(shape[2:], 2):
            try:
                number: int | None = self.graph.number(n)
            except Inexpressible:
                number = declared[axis] if len(declared) == rank + 2 else None
                self.graph.undecide(x.layer, "what follows was read at the size that the file declares of it")
            if number is None:
                raise Inexpressible("the size of what it reads is not declared in the file")
            found.append(number)
        return tuple(found)

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
        found = self.value(number)
        if isinstance(found, Constant):
            raise Inexpressible(f"its input {number + 1} is a constant")
        return found

    def constant(self, number: int) -> Constant:
        """The input, which must be a constant of known shape."""
        found = self.value(number)
        if isinstance(found, Flow) or found.shape is None:
            raise Inexpressible(f"its input {number + 1} is computed")
        if not all(isinstance(n, int) for n in found.shape):
            raise Inexpressible(f"the shape of its input {number + 1} depends on the size of the image")
        return found

    def value(self, number: int) -> Value:
        """The input, of the image or not. Raises `InputError` where it is left out."""
        found = self.given(number)
        if found is None:
            raise InputError(f"its input {number + 1} is missing")
        return found

    def numbers(self, number: int) -> list[Any]:
        """The input, a constant vector or number, as a list of numbers and extents."""
        found = self.constant(number)
        if found.values is None or len(found.values.shape) > 1:
            raise Inexpressible(f"its input {number + 1} is no short list")
        if any(each is None for each in found.values.flat):
            raise Inexpressible(f"its input {number + 1} is computed")
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


Rule = Callable[[OnnxNode], Any]
"""What a node makes, of the values that it reads: its first output, or all; or `Inexpressible` is raised."""
