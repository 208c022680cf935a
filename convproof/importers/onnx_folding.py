"""Operators on constants, folded exactly: what the sizes of reshapes, pads and resizes are computed with.

Large constants keep their shape alone. One rule an operator; what has none is a constant of which nothing is known.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial, reduce
from math import prod
from typing import Any

import numpy as np

from convproof.architecture.amounts import Amount
from convproof.errors import ConvproofError, InputError
from convproof.importers.onnx_values import MAX_VALUES, OnnxNode, array, checked_shape, constant, decoded
from convproof.importers.sizes import combine, is_formula, minus, plus, rounded, times
from convproof.importers.values import Comparison, Constant, Inexpressible, Values, axis_of

_LARGEST = 2**63
"""Numbers from here on are dropped, as ONNX has none; they could grow without end."""


def folded(call: OnnxNode) -> Constant:
    """What a node makes of constants; nothing is known of it where there is no rule or the values are not there."""
    rule = _FOLDS.get(call.op)
    if rule is None or call.node.domain not in ("", "ai.onnx"):
        return Constant()
    try:
        return rule(call)
    except ConvproofError:
        raise
    except (Inexpressible, ArithmeticError, LookupError, TypeError, ValueError):
        return Constant()


def shape_of(call: OnnxNode) -> Constant:
    """The shape of a constant or an activation, as a vector."""
    x = call.value(0)
    try:
        found = call.graph.extents(x)
    except Inexpressible:
        return Constant()
    return constant(found[slice(call.integer("start", 0), call.integer("end", len(found)))])


def size_of(call: OnnxNode) -> Constant:
    """The number of elements of a constant or an activation."""
    try:
        return Constant((), array([call.graph.times(call.graph.extents(call.value(0)))], ()))
    except Inexpressible:
        return Constant()


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


def _constant(call: OnnxNode) -> Constant:
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


def _constant_of_shape(call: OnnxNode) -> Constant:
    name, wanted = call.node.output[0], call.numbers(0)
    if not all(isinstance(n, int) for n in wanted):
        return Constant(tuple(wanted), None)
    shape = checked_shape(wanted, name)
    if prod(shape) > MAX_VALUES:
        return Constant(shape, None, (name,))
    fill = decoded(call.tensor("value"), name).values if call.has("value") else array([0.0], (1,))
    if fill is None or fill.size != 1:
        return Constant(shape, None, (name,))
    return Constant(shape, array([fill.reshape(-1)[0]] * prod(shape), shape), (name,))


# --- other shapes -----------------------------------------------------------------------------------------------------


def _same(call: OnnxNode) -> Constant:
    return call.constant(0)


def _reshape(call: OnnxNode) -> Constant:
    x = call.constant(0)
    target = list(call.integers("shape")) if call.has("shape") else call.numbers(1)
    return x.shaped(reshaped(_shape(x), target, bool(call.integer("allowzero", 0))))


def _unsqueeze(call: OnnxNode) -> Constant:
    x = call.constant(0)
    shape = list(_shape(x))
    added = len(call.integers("axes")) if call.has("axes") else len(call.numbers(1))
    for axis in sorted(call.axes(1, len(shape) + added)):
        shape.insert(axis, 1)
    return x.shaped(checked_shape(shape, call.node.output[0]))


def _squeeze(call: OnnxNode) -> Constant:
    x = call.constant(0)
    shape = _shape(x)
    axes = call.axes(1, len(shape), [i for i, n in enumerate(shape) if n == 1])
    return x.shaped(tuple(n for i, n in enumerate(shape) if i not in axes))


def _transpose(call: OnnxNode) -> Constant:
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


def _values(call: OnnxNode, number: int) -> Values:
    found = call.constant(number).values
    if found is None:
        raise Inexpressible("too many values")
    return found


def _derived(call: OnnxNode, values: Any) -> Constant:
    """A constant made of the node's constants by their values; np.asarray, since indexing can yield a bare element."""
    if not isinstance(values, np.ndarray):
        values = array([values], ())
    if values.size > MAX_VALUES:
        raise Inexpressible("too many values")
    return Constant(values.shape, values.copy(), _sources(call))


def _sources(call: OnnxNode) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for x in call.inputs if isinstance(x, Constant) for name in x.sources))


def _concat(call: OnnxNode) -> Constant:
    parts = [_values(call, number) for number in range(len(call.inputs))]
    if len({part.ndim for part in parts}) != 1:
        raise InputError(f"constants of {sorted({part.ndim for part in parts})} axes do not go together")
    axis = axis_of(call.integer("axis"), parts[0].ndim)
    if len({part.shape[:axis] + part.shape[axis + 1 :] for part in parts}) != 1:
        raise InputError(f"constants of shapes {', '.join(str(part.shape) for part in parts[:5])} do not go together")
    return _derived(call, np.concatenate(parts, axis))


def _gather(call: OnnxNode) -> Constant:
    x, places = _values(call, 0), _values(call, 1)
    axis = axis_of(call.integer("axis", 0), x.ndim)
    n = x.shape[axis]
    if not all(isinstance(i, int) and -n <= i < n for i in places.reshape(-1)):
        raise InputError(f"its indices are none of {n} places")
    if prod(x.shape[:axis] + places.shape + x.shape[axis + 1 :]) > MAX_VALUES:
        raise Inexpressible("too many values")
    return _derived(call, np.take(x, places.astype(int), axis))


def _slice(call: OnnxNode) -> Constant:
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


_INTEGERS, _REALS = (6, 7), (1, 10, 11)  # TensorProto.DataType: int32, int64; float, float16, double
_BOOL = 9


def _cast(call: OnnxNode) -> Constant:
    x, to = call.constant(0), call.integer("to")
    if to == _BOOL and x.values is not None and all(isinstance(each, bool | Comparison) for each in x.values.flat):
        return x
    if x.values is None or to not in _INTEGERS + _REALS:
        return Constant(x.shape, None, x.sources)
    kind = int if to in _INTEGERS else float
    return Constant(x.shape, array([_as(call, kind, each) for each in x.values.reshape(-1)], _shape(x)), x.sources)


def _as(call: OnnxNode, kind: type, value: Any) -> Any:
    """A number as an int, rounded towards 0, or as a real number, which a size becomes as a quotient by 1."""
    if value is None or isinstance(value, Comparison):
        return None
    if is_formula(value):
        p, q = _quotient(value) or (None, None)
        if p is None or q is None:
            return None
        if kind is float:
            return Amount("/", (p, q))
        if q == 1:
            return p
        return combine("//", p, q) if _never_negative(call, p) else None
    return _bounded(kind(value)) if math.isfinite(value) else None


def _never_negative(call: OnnxNode, value: Any) -> bool:
    """Whether a size is known not to be below 0."""
    if isinstance(value, Amount):
        signs = [_never_negative(call, each) for each in value.operands]
        return any(signs) if value.function == "max" else all(signs) and value.function in ("+", "*", "//", "min")
    return call.graph.compared(operator.ge, value, 0) is True or call.graph.is_there(value)


def _bounded(value: Any) -> Any:
    return None if isinstance(value, int) and abs(value) >= _LARGEST else value


def _elementwise(function: Callable[[OnnxNode, Any, Any], Any]) -> Callable[[OnnxNode], Constant]:
    """Constants element by element, broadcast, one after the other; where one is not known, nor is the result."""

    def of_two(call: OnnxNode, a: Constant, b: Constant) -> Constant:
        try:
            shape = np.broadcast_shapes(_shape(a), _shape(b))
        except (TypeError, ValueError):
            raise InputError(f"constants of shapes {a.shape} and {b.shape} do not go together") from None
        if a.values is None or b.values is None or prod(shape) > MAX_VALUES:
            return Constant(shape, None, _sources(call))
        pairs = zip(np.broadcast_to(a.values, shape).flat, np.broadcast_to(b.values, shape).flat, strict=True)
        values = [_bounded(function(call, *each)) if all(map(_is_value, each)) else None for each in pairs]
        return Constant(shape, array(values, shape), _sources(call))

    return lambda call: reduce(partial(of_two, call), map(call.constant, range(len(call.inputs))))


def _of_each(function: Callable[[OnnxNode, Any], Any]) -> Callable[[OnnxNode], Constant]:
    """A function of each element."""

    def rule(call: OnnxNode) -> Constant:
        values = _values(call, 0)
        return _derived(call, array([function(call, n) if _is_value(n) else None for n in values.flat], values.shape))

    return rule


def _is_value(value: Any) -> bool:
    return isinstance(value, int) or is_formula(value) or (isinstance(value, float) and math.isfinite(value))


def _is_real(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, Amount) and value.function == "/")


def _quotient(value: Any) -> tuple[Any, Any] | None:
    """What a real number is the quotient of, whose denominator is positive; of a size, the size and 1."""
    if isinstance(value, float):
        p, q = value.as_integer_ratio()
        return (p, q) if q <= 2**10 else None  # else products with sizes are rounded
    if isinstance(value, Amount):
        return value.operands if value.function == "/" else None
    return value, 1


def _arithmetic(function: str, of_numbers: Callable[[Any, Any], Any]) -> Callable[[OnnxNode], Constant]:
    """Sums, differences and products of numbers, or of sizes and quotients of them."""

    def rule(call: OnnxNode, a: Any, b: Any) -> Any:
        if not (is_formula(a) or is_formula(b)):
            return of_numbers(a, b)
        if not (_is_real(a) or _is_real(b)):
            return call.graph.times((a, b)) if function == "*" else combine(function, a, b)
        if (one := _quotient(a)) is None or (other := _quotient(b)) is None:
            return None
        (p, q), (r, s) = one, other
        if function == "*":
            return Amount("/", (times((p, r)), times((q, s))))
        return Amount("/", (combine(function, times((p, s)), times((r, q))), times((q, s))))

    return _elementwise(rule)


def _divided(call: OnnxNode, a: Any, b: Any) -> Any:
    """Whole numbers are rounded towards 0."""
    if b == 0:
        return None
    if not (is_formula(a) or is_formula(b)):
        if isinstance(a, int) and isinstance(b, int):
            return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return a / b
    if (one := _quotient(a)) is None or (other := _quotient(b)) is None:
        return None
    (p, q), (r, s) = one, other
    if not call.graph.compared(operator.gt, r, 0):
        return None
    if _is_real(a) or _is_real(b):
        return Amount("/", (times((p, s)), times((q, r))))
    if _never_negative(call, a):
        return combine("//", a, b)
    negative = minus(0, a)
    return minus(0, combine("//", negative, b)) if _never_negative(call, negative) else None


def _modulo(call: OnnxNode, a: Any, b: Any) -> Any:
    if b == 0 or _is_real(a) or _is_real(b) or call.integer("fmod", 0):
        return None
    return combine("%", a, b) if is_formula(a) or is_formula(b) else a % b


def _extreme(name: str, of_numbers: Callable[[Any, Any], Any]) -> Callable[[OnnxNode], Constant]:
    return _elementwise(lambda call, a, b: _larger(call, name, of_numbers, a, b))


def _larger(call: OnnxNode, name: str, of_numbers: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """The larger of two numbers, or the smaller, as it is named; of sizes and quotients of the same denominator."""
    if not (is_formula(a) or is_formula(b)):
        return of_numbers(a, b)
    if not (_is_real(a) or _is_real(b)):
        if (first := call.graph.compared(operator.ge, a, b)) is None:
            return combine(name, a, b)
        return a if first == (name == "max") else b
    if (one := _quotient(a)) is None or (other := _quotient(b)) is None or one[1] != other[1]:
        return None
    return Amount("/", (_larger(call, name, of_numbers, one[0], other[0]), one[1]))


def _comparison(function: Callable[[Any, Any], bool]) -> Callable[[OnnxNode], Constant]:
    """Whether numbers compare so; of sizes, where that is the same at all of them, or else the question."""

    def rule(call: OnnxNode, a: Any, b: Any) -> Any:
        if not (is_formula(a) or is_formula(b)):
            return function(a, b)
        found = call.graph.compared(function, a, b)
        return Comparison(function, a, b) if found is None else found

    return _elementwise(rule)


def _rounded(function: Callable[[Any], int]) -> Callable[[OnnxNode], Constant]:
    """Floors and ceilings, as whole real numbers."""

    def rule(call: OnnxNode, value: Any) -> Any:
        if not is_formula(value):
            return float(function(value))
        found = _quotient(value)
        return None if found is None else Amount("/", (rounded(function, Amount("/", found)), 1))

    return _of_each(rule)


def _clipped(call: OnnxNode) -> Constant:
    """Each number, not below one limit and not above another."""
    values = _values(call, 0)
    if call.has("min") or call.has("max"):  # as older versions have it
        raise Inexpressible("its limits are attributes")
    for number, name, of_numbers in ((1, "max", max), (2, "min", min)):
        limit = call.given(number)
        if limit is not None:
            (end,) = call.numbers(number)
            within = [_larger(call, name, of_numbers, n, end) if _is_value(n) else None for n in values.flat]
            values = array(within, values.shape)
    return _derived(call, values)


def _negated(call: OnnxNode, value: Any) -> Any:
    if not is_formula(value):
        return -value
    p, q = _quotient(value) or (None, None)
    if p is None:
        return None
    return Amount("/", (minus(0, p), q)) if _is_real(value) else minus(0, value)


def _where(call: OnnxNode) -> Constant:
    """One or the other, element by element; a question of sizes is decided, case by case."""
    asked, a, b = (_values(call, number) for number in range(3))
    try:
        asked, a, b = np.broadcast_arrays(asked, a, b)
    except ValueError:
        raise InputError("what it takes its values of does not go together") from None
    chosen = [x if decided(call, each) else y for each, x, y in zip(asked.flat, a.flat, b.flat, strict=True)]
    return _derived(call, array(chosen, asked.shape))


def decided(call: OnnxNode, asked: Any) -> bool:
    """Whether something holds; where that depends on the size of the image, this is one of several cases."""
    if not isinstance(asked, bool | int | Comparison):
        raise Inexpressible("what it decides by is not known")
    return bool(call.graph.resolved(asked))


def _range(call: OnnxNode) -> Constant:
    start, end, step = (n for number in range(3) for n in call.numbers(number))
    if all(isinstance(n, int) for n in (start, end, step)) and step != 0:
        count = len(range(start, end, step))
        return constant(range(start, end, step)) if count <= MAX_VALUES else Constant((count,), None)
    if step != 1 or _is_real(start) or _is_real(end):
        raise Inexpressible("how many numbers it counts is not known")
    return Constant((minus(end, start),), None)


def _reduced(together: Callable[[list[Any]], Any]) -> Callable[[OnnxNode], Constant]:
    """All the numbers of a vector as one."""

    def rule(call: OnnxNode) -> Constant:
        values = _values(call, 0)
        if values.ndim > 1 or not all(map(_is_value, values.flat)) or any(map(_is_real, values.flat)):
            raise Inexpressible("too many values")
        return _derived(call, array([together(list(values.flat))], (1,) if call.integer("keepdims", 1) else ()))

    return rule


def _tiled(call: OnnxNode) -> Constant:
    x, counts = _values(call, 0), call.numbers(1)
    if not all(isinstance(n, int) and n >= 0 for n in counts) or len(counts) != x.ndim:
        raise Inexpressible("its counts are computed")
    if x.size * prod(counts) > MAX_VALUES:
        raise Inexpressible("too many values")
    return _derived(call, np.tile(x, counts))


def _expanded(call: OnnxNode) -> Constant:
    x, wanted = call.constant(0), call.numbers(1)
    if x.values is None or not all(isinstance(n, int) for n in wanted) or prod(wanted) * x.values.size > MAX_VALUES:
        raise Inexpressible("too many values")
    try:
        return _derived(call, np.broadcast_to(x.values, np.broadcast_shapes(_shape(x), tuple(wanted))))
    except ValueError:
        raise InputError(f"a constant of shape {x.shape} is not expanded to {wanted}") from None


_FOLDS: dict[str, Callable[[OnnxNode], Constant]] = {
    "Add": _arithmetic("+", operator.add),
    "Cast": _cast,
    "CastLike": _same,
    "Ceil": _rounded(math.ceil),
    "Clip": _clipped,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "DequantizeLinear": lambda call: Constant(call.constant(0).shape, None, call.constant(0).sources),
    "Div": _elementwise(_divided),
    "Equal": _comparison(operator.eq),
    "Expand": _expanded,
    "Floor": _rounded(math.floor),
    "Gather": _gather,
    "Greater": _comparison(operator.gt),
    "GreaterOrEqual": _comparison(operator.ge),
    "Identity": _same,
    "Less": _comparison(operator.lt),
    "LessOrEqual": _comparison(operator.le),
    "Max": _extreme("max", max),
    "Min": _extreme("min", min),
    "Mod": _elementwise(_modulo),
    "Mul": _arithmetic("*", operator.mul),
    "Neg": _of_each(_negated),
    "QuantizeLinear": lambda call: Constant(call.constant(0).shape, None, call.constant(0).sources),
    "Range": _range,
    "ReduceProd": _reduced(times),
    "ReduceSum": _reduced(lambda values: reduce(plus, values)),
    "Reshape": _reshape,
    "Shape": shape_of,
    "Size": size_of,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Sub": _arithmetic("-", operator.sub),
    "Tile": _tiled,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
