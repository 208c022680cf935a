"""Operators on constants, folded exactly: what the sizes of reshapes, pads and resizes are computed with.

Large constants keep their shape alone. One rule an operator; what has none is a constant of which nothing is known.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from convproof.errors import InputError
from convproof.importers.onnx_values import MAX_VALUES, Call, array, checked_shape, constant, decoded
from convproof.importers.sizes import is_formula
from convproof.importers.values import Constant, Flow, Inexpressible, Values, axis_of

_LARGEST = 2**63
"""Numbers from here on are dropped, as ONNX has none; they could grow without end."""


def folded(call: Call) -> Constant:
    """What a node makes of constants; nothing is known of it where there is no rule or the values are not there."""
    rule = _FOLDS.get(call.op)
    if rule is None or call.node.domain not in ("", "ai.onnx"):
        return Constant()
    try:
        return rule(call)
    except Inexpressible:
        return Constant()


def shape_of(call: Call) -> Constant:
    """The shape of a constant or an activation, as a vector."""
    found = call.flow(0).shape if isinstance(call.given(0), Flow) else call.constant(0).shape
    if found is None:
        return Constant()
    return constant(found[slice(call.integer("start", 0), call.integer("end", len(found)))])


def reshaped(shape: tuple[int, ...], target: list[Any], allow_zero: bool) -> tuple[int, ...]:
    """The shape that Reshape gives to a constant of another one: 0 keeps a size, -1 is what the others leave."""
    if not all(isinstance(n, int) for n in target):
        raise Inexpressible("its shape is computed")
    sizes = [shape[i] if n == 0 and i < len(shape) and not allow_zero else n for i, n in enumerate(target)]
    if sizes.count(-1) == 1:
        others = prod(n for n in sizes if n != -1)
        sizes[sizes.index(-1)] = prod(shape) // others if others else 0
    return checked_shape(sizes, "of a Reshape")


# --- what makes constants ---------------------------------------------------------------------------------------------


def _constant(call: Call) -> Constant:
    name = call.node.output[0]
    if call.has("value"):
        return decoded(call.tensor("value"), name)
    if call.has("value_ints"):
        return _listed(call.integers("value_ints"), name)
    if call.has("value_floats"):
        return _listed(call.reals("value_floats"), name)
    if call.has("value_int"):
        return Constant((), array([call.integer("value_int")], ()), (name,))
    if call.has("value_float"):
        return Constant((), array([call.real("value_float")], ()), (name,))
    raise Inexpressible("no numbers")


def _listed(values: tuple[Any, ...], name: str) -> Constant:
    return constant(values, (name,)) if len(values) <= MAX_VALUES else Constant((len(values),), None, (name,))


def _constant_of_shape(call: Call) -> Constant:
    name, wanted = call.node.output[0], call.numbers(0)
    if not all(isinstance(n, int) for n in wanted):
        raise Inexpressible("its shape is computed")
    shape = checked_shape(wanted, name)
    if prod(shape) > MAX_VALUES:
        return Constant(shape, None, (name,))
    fill = decoded(call.tensor("value"), name).values if call.has("value") else array([0.0], (1,))
    if fill is None or fill.size != 1:
        return Constant(shape, None, (name,))
    return Constant(shape, array([fill.reshape(-1)[0]] * prod(shape), shape), (name,))


# --- other shapes -----------------------------------------------------------------------------------------------------


def _same(call: Call) -> Constant:
    return call.constant(0)


def _reshape(call: Call) -> Constant:
    x = call.constant(0)
    target = list(call.integers("shape")) if call.has("shape") else call.numbers(1)
    return x.shaped(reshaped(_shape(x), target, bool(call.integer("allowzero", 0))))


def _unsqueeze(call: Call) -> Constant:
    x = call.constant(0)
    shape = list(_shape(x))
    added = len(call.integers("axes")) if call.has("axes") else len(call.numbers(1))
    for axis in sorted(call.axes(1, len(shape) + added)):
        shape.insert(axis, 1)
    return x.shaped(checked_shape(shape, call.node.output[0]))


def _squeeze(call: Call) -> Constant:
    x = call.constant(0)
    shape = _shape(x)
    axes = call.axes(1, len(shape), [i for i, n in enumerate(shape) if n == 1])
    return x.shaped(tuple(n for i, n in enumerate(shape) if i not in axes))


def _transpose(call: Call) -> Constant:
    x = call.constant(0)
    shape = _shape(x)
    order = call.integers("perm", len(shape), tuple(reversed(range(len(shape)))))
    if sorted(order) != list(range(len(shape))):
        raise InputError(f"perm={order} is no order of {len(shape)} axes")
    values = None if x.values is None else x.values.transpose(order)
    return Constant(tuple(shape[i] for i in order), values, x.sources)


def _shape(x: Constant) -> tuple[int, ...]:
    assert x.shape is not None  # `Call.constant` sees to it; for the type checker
    return x.shape


# --- values -----------------------------------------------------------------------------------------------------------


def _values(call: Call, number: int) -> Values:
    found = call.constant(number).values
    if found is None:
        raise Inexpressible("too many values")
    return found


def _derived(call: Call, values: Any) -> Constant:
    """A constant made of the node's constants by their values; np.asarray, since indexing can yield a bare element."""
    if not isinstance(values, np.ndarray):
        values = array([values], ())
    if values.size > MAX_VALUES:
        raise Inexpressible("too many values")
    return Constant(values.shape, values.copy(), _sources(call))


def _sources(call: Call) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for x in call.inputs if isinstance(x, Constant) for name in x.sources))


def _concat(call: Call) -> Constant:
    parts = [_values(call, number) for number in range(len(call.inputs))]
    if len({part.ndim for part in parts}) != 1:
        raise InputError(f"constants of {sorted({part.ndim for part in parts})} axes do not go together")
    axis = axis_of(call.integer("axis"), parts[0].ndim)
    if len({part.shape[:axis] + part.shape[axis + 1 :] for part in parts}) != 1:
        raise InputError(f"constants of shapes {', '.join(str(part.shape) for part in parts[:5])} do not go together")
    return _derived(call, np.concatenate(parts, axis))


def _gather(call: Call) -> Constant:
    x, places = _values(call, 0), _values(call, 1)
    axis = axis_of(call.integer("axis", 0), x.ndim)
    n = x.shape[axis]
    if not all(isinstance(i, int) and -n <= i < n for i in places.reshape(-1)):
        raise InputError(f"its indices are none of {n} places")
    if prod(x.shape[:axis] + places.shape + x.shape[axis + 1 :]) > MAX_VALUES:
        raise Inexpressible("too many values")
    return _derived(call, np.take(x, places.astype(int), axis))


def _slice(call: Call) -> Constant:
    x = _values(call, 0)
    if call.has("starts"):
        starts, ends = list(call.integers("starts")), list(call.integers("ends"))
    else:
        starts, ends = call.numbers(1), call.numbers(2)
    axes = call.axes(3, x.ndim, range(len(starts)))
    steps = call.numbers(4) if call.given(4) is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise InputError("its starts, ends, axes and steps are of different lengths")
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not (isinstance(start, int) and isinstance(end, int) and isinstance(step, int) and axis < x.ndim):
            raise Inexpressible("its places are computed")
        if step == 0:
            raise InputError("it has a step of 0")
        before_the_first = end < -x.shape[axis] and step < 0
        index[axis] = slice(start, None if before_the_first else end, step)
    return _derived(call, x[tuple(index)])


_INTEGERS, _REALS = (6, 7), (1, 11)  # TensorProto.DataType: int32, int64; float, double


def _cast(call: Call) -> Constant:
    x, to = call.constant(0), call.integer("to")
    if x.values is None or to not in _INTEGERS + _REALS:
        return Constant(x.shape, None, x.sources)
    kind = int if to in _INTEGERS else float
    return Constant(x.shape, array([_as(kind, each) for each in x.values.reshape(-1)], _shape(x)), x.sources)


def _as(kind: type, value: Any) -> Any:
    """A number as an int or a float; an extent is a whole number in either."""
    if is_formula(value) or value is None:
        return value
    return _bounded(kind(value)) if math.isfinite(value) else None


def _bounded(value: Any) -> Any:
    return None if isinstance(value, int) and abs(value) >= _LARGEST else value


def _elementwise(number: Callable[[Any, Any], Any]) -> Callable[[Call], Constant]:
    """Two constants element by element, broadcast; where one is no number, nor is the result. Sizes are read at the
    given image.
    """

    def rule(call: Call) -> Constant:
        a, b = call.constant(0), call.constant(1)
        try:
            shape = np.broadcast_shapes(_shape(a), _shape(b))
        except ValueError:
            raise InputError(f"constants of shapes {a.shape} and {b.shape} do not go together") from None
        if a.values is None or b.values is None or prod(shape) > MAX_VALUES:
            return Constant(shape, None, _sources(call))
        pairs = zip(_numbers(call, a.values, shape), _numbers(call, b.values, shape), strict=True)
        values = [_bounded(number(x, y)) if _is_number(x) and _is_number(y) else None for x, y in pairs]
        return Constant(shape, array(values, shape), _sources(call))

    return rule


def _numbers(call: Call, values: Values, shape: tuple[int, ...]) -> list[Any]:
    """The values broadcast to a shape, sizes as the numbers that they are at the given image."""
    return [call.number(n) if is_formula(n) else n for n in np.broadcast_to(values, shape).flat]


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _divided(a: Any, b: Any) -> Any:
    """Whole numbers are rounded towards 0."""
    if b == 0:
        return None
    if isinstance(a, int) and isinstance(b, int):
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return a / b


_FOLDS: dict[str, Callable[[Call], Constant]] = {
    "Add": _elementwise(operator.add),
    "Cast": _cast,
    "CastLike": _same,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DequantizeLinear": lambda call: Constant(call.constant(0).shape, None, call.constant(0).sources),
    "Div": _elementwise(_divided),
    "Gather": _gather,
    "Identity": _same,
    "Mul": _elementwise(operator.mul),
    "QuantizeLinear": lambda call: Constant(call.constant(0).shape, None, call.constant(0).sources),
    "Reshape": _reshape,
    "Shape": shape_of,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _elementwise(operator.sub),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
