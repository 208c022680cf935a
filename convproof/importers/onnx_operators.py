"""ONNX's operators by PyTorch's names and arguments, one rule an operator, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from convproof.architecture import Node, layers
from convproof.errors import InputError
from convproof.importers.onnx_folding import shape_of, size_of
from convproof.importers.onnx_values import OnnxNode, Rule
from convproof.importers.onnx_windows import WINDOWS
from convproof.importers.values import Constant, Flow, Inexpressible, Value, axis_of

# --- fully connected, and matrices ------------------------------------------------------------------------------------


def _gemm(node: OnnxNode) -> Any:
    weights, bias = (3, 6) if node.op == "QGemm" else (1, 2)
    x, w = node.flow(), node.constant(weights)
    if node.integer("transA", 0):
        raise Inexpressible("it reads its input transposed")
    features, units = _matrix(w)[:: -1 if node.integer("transB", 0) else 1]
    b = node.constant(bias) if node.given(bias) is not None and node.real("beta", 1.0) != 0 else None
    if b is not None and b.shape not in ((units,), (1, units), (), (1,), (1, 1)):
        raise InputError(f"a bias of shape {b.shape} is not one number for each of {units} units")
    learned = [w, b] if b is not None and b.size == units else [w]
    if not node.graph.is_batch_first(x):
        weight = Constant((units, features), None, w.sources)
        return node.made("linear", x, weight, *learned[1:])
    node.graph.need(x, 2, features)
    return node.add(layers.Linear(units, len(learned) == 2, features), [x], learned)


_FACTORS = {"QLinearMatMul": (0, 3)}
"""Where the factors of quantized products are among the inputs; elsewhere 0 and 1."""


def _matmul(node: OnnxNode) -> Any:
    a, b = (node.value(number) for number in _FACTORS.get(node.op, (0, 1)))
    if (
        isinstance(a, Flow)
        and isinstance(b, Constant)
        and len(node.graph.shape(a)) == 2
        and node.graph.is_batch_first(a)
    ):
        features, units = _matrix(b)
        node.graph.need(a, 2, features)
        return node.add(layers.Linear(units, False, features), [a], [b])
    return node.made("matmul", a, b)


def _matrix(w: Constant) -> tuple[int, int]:
    if w.shape is None or len(w.shape) != 2:
        raise InputError(f"the weights have shape {w.shape}, which is no matrix")
    return w.shape[0], w.shape[1]


def _with_bias(node: OnnxNode, read: Sequence[Value]) -> Flow | None:
    """A fully connected layer without a bias, which nothing else reads, with the numbers that are added to it."""
    graph = node.graph
    flows = [each for each in read if isinstance(each, Flow)]
    constants = [each for each in read if isinstance(each, Constant)]
    if len(flows) != 1 or len(constants) != 1:
        return None
    (x,), (bias,) = flows, constants
    layer, tensor = graph.nodes[x.layer].layer, graph.tensors.get(x.layer, "")
    if not isinstance(layer, layers.Linear) or layer.bias:
        return None
    units = layer.out_features
    if bias.shape is None or bias.shape[-1:] != (units,) or bias.size != units or len(bias.shape) > 2:
        return None
    if tensor not in node.node.input or node.uses[tensor] != 1:
        return None
    graph.nodes[x.layer] = Node(x.layer, replace(layer, bias=True), graph.nodes[x.layer].operands)
    graph.parameters[x.layer] += bias.sources
    graph.tensors[x.layer] = node.makes
    return x


# --- element by element -----------------------------------------------------------------------------------------------


def _named(name: str, *settings: Any, first: int = 1) -> Rule:
    """PyTorch's operator of this name on the `first` inputs, all where it is 0."""
    return lambda node: node.made(name, *node.inputs[: first or None], *settings)


def _activation(name: str) -> Rule:
    def rule(node: OnnxNode) -> Any:
        if any(isinstance(each, Flow) for each in node.inputs[1:]):
            raise Inexpressible("it reads two activations")
        return node.made(name, node.value(0))

    return rule


def _prelu(node: OnnxNode) -> Any:
    x, slope = node.flow(), node.constant(1)
    slopes, shape = slope.size, slope.shape or ()
    if slopes != 1 and (slopes != node.graph.channels(x) or (1, *shape)[1 - len(node.graph.shape(x))] != slopes):
        raise Inexpressible("its slopes are not one, or one for each channel")
    made = node.made("prelu", x, Constant((slopes,)))
    node.graph.note(made, f"has {slopes} learned slopes, which are not counted")
    return made


def _same(node: OnnxNode) -> Value:
    return node.value(0)


_QUANTIZED = {"QLinearAdd": "add", "QLinearMul": "mul"}


def _arithmetic(name: str) -> Rule:
    """Of two numbers or tensors, or one after the other of several."""

    def rule(node: OnnxNode) -> Any:
        read = (
            [node.value(0), node.value(3)]
            if node.op in _QUANTIZED
            else [each for each in node.inputs if each is not None]
        )
        if name == "add" and (biased := _with_bias(node, read)) is not None:
            return biased
        if name == "add" and len(read) > 2 and all(isinstance(each, Flow) for each in read):
            return node.made("add", *read)
        made = read[0]
        for place, other in enumerate(read[1:], 2):
            made = node.made(name, made, other, part="" if place == len(read) else f".{place - 1}")
        return made

    return rule


# --- normalization and the like ---------------------------------------------------------------------------------------


def _batch_norm(node: OnnxNode) -> Any:
    x, gamma, beta = node.flow(), node.constant(1), node.constant(2)
    if not node.integer("spatial", 1):
        raise Inexpressible("it normalises each position on its own")
    if node.integer("training_mode", 0):
        raise Inexpressible("it normalises by the statistics of what it reads")
    if gamma.shape is None or len(gamma.shape) != 1 or gamma.shape != beta.shape:
        raise InputError(f"scale and shift have shapes {gamma.shape} and {beta.shape}, not one number for each channel")
    if x.shape is not None:
        node.graph.need(x, len(x.shape), gamma.shape[0])
    return node.add(layers.BatchNorm(node.real("epsilon", 1e-5), gamma.shape[0]), [x], [gamma, beta])


def _group_norm(node: OnnxNode) -> Flow:
    """Instance or group normalization, whose scale and shift are numbers for each channel."""
    x, scale, shift = node.flow(), node.constant(1), node.constant(2)
    eps = node.real("epsilon", 1e-5)
    instance = node.op == "InstanceNormalization"
    if scale.shape is None or len(scale.shape) != 1 or scale.shape != shift.shape:
        raise InputError(f"scale and shift have shapes {scale.shape} and {shift.shape}, not one number a channel")
    if not instance and node.opset < 21:
        raise Inexpressible("its scale and shift are numbers for each group")
    if x.shape is not None:
        if x.shape[0] != node.graph.batch:
            raise Inexpressible("what it normalizes is not that of an image")
        node.graph.need(x, len(x.shape), scale.shape[0])
    if instance:
        return node.add(layers.InstanceNorm(eps, True, scale.shape[0], single_values=True), [x], [scale, shift])
    layer = layers.GroupNorm(node.integer("num_groups"), eps, True, scale.shape[0], single_values=True)
    return node.add(layer, [x], [scale, shift])


def _layer_norm(node: OnnxNode) -> Any:
    """Over the last axes, as many as its scale has."""
    x, scale = node.value(0), node.constant(1)
    rank = len(node.graph.extents(x))
    over_axes = rank - axis_of(node.integer("axis", -1), rank)
    shape = (1,) * (over_axes - len(scale.shape or ())) + (scale.shape or ())
    return node.made("rms_norm" if node.op == "RMSNormalization" else "layer_norm", x, shape, *node.inputs[1:])


def _lrn(node: OnnxNode) -> Any:
    alpha, beta, k = node.real("alpha", 1e-4), node.real("beta", 0.75), node.real("bias", 1.0)
    return node.made("local_response_norm", node.flow(), node.integer("size"), alpha, beta, k)


def _dropout(node: OnnxNode) -> Any:
    share = node.real("ratio", 0.5)
    if node.given(1) is not None:
        share = next(iter(node.numbers(1)), 0.5)
    return node.made("dropout", node.flow(), share)


def _softmax(node: OnnxNode) -> Any:
    """Before version 13 all axes from `axis` on were one; that is over channels where the others have size 1."""
    x, name = node.value(0), "softmax" if node.op == "Softmax" else "log_softmax"
    sizes = node.graph.extents(x)
    axis = axis_of(node.integer("axis", 1 if node.opset < 13 else -1), len(sizes))
    if node.opset < 13 and any(n != 1 for n in sizes[axis + 1 :]):
        return node.made(name, x, tuple(range(axis, len(sizes))))
    return node.made(name, x, axis)


def _along(name: str) -> Rule:
    return lambda node: node.made(name, node.value(0), node.integer("axis", -1))


def _reduce(name: str) -> Rule:
    """Over some axes, or all of them."""

    def rule(node: OnnxNode) -> Any:
        x = node.value(0)
        rank = len(node.graph.extents(x))
        axes = node.axes(1, rank, [] if node.integer("noop_with_empty_axes", 0) else range(rank))
        if not axes:
            return x
        if name != "mean" and isinstance(x, Flow) and node.graph.may_be_empty(x):
            node.graph.undecide(x.layer, "what is cropped may be nothing, which onnxruntime reduces, too")
        return node.made(name, x, dim=tuple(axes), keepdim=bool(node.integer("keepdims", 1)))

    return rule


def _largest(node: OnnxNode) -> Any:
    axis, keeps = node.integer("axis", 0), bool(node.integer("keepdims", 1))
    return node.made("argmax", node.value(0), axis, keeps)


def _topk(node: OnnxNode) -> Any:
    count = node.integer("k") if node.has("k") else node.numbers(1)[0]
    values, _ = node.made("topk", node.flow(), count, node.integer("axis", -1))
    return values, values


# --- parts and several ------------------------------------------------------------------------------------------------


def _concat(node: OnnxNode) -> Any:
    first, step = (2, 3) if node.op == "QLinearConcat" else (0, 1)  # with a scale and a zero point for each
    read = [node.value(number) for number in range(first, len(node.inputs), step)]
    return node.made("cat", read, node.integer("axis", 1) if node.opset < 4 else node.integer("axis"))


def _split(node: OnnxNode) -> Any:
    """Parts along an axis, one after the other."""
    x, parts = node.value(0), len(node.node.output)
    sizes = node.graph.extents(x)
    axis = axis_of(node.integer("axis", 0), len(sizes))
    whole = node.graph.exactly(sizes[axis])
    given = node.numbers(1) if node.given(1) is not None else list(node.integers("split", None, ()))
    if not given:
        if whole is None:
            raise Inexpressible("into which parts an axis goes depends on the size")
        each = -(-whole // parts)
        given = [min(each, whole - each * k) for k in range(parts)]
    if len(given) != parts or (whole is not None and sum(given) != whole):
        raise InputError(f"it splits {whole} positions into {parts} of {given}")
    if min(given) < 1:
        raise Inexpressible("it makes an empty tensor")
    return node.made("split", x, given, axis)


def _slice(node: OnnxNode) -> Any:
    x = node.value(0)
    rank = len(node.graph.extents(x))
    if node.given(1) is None:
        starts, ends = list(node.integers("starts")), list(node.integers("ends"))
    else:
        starts, ends = node.numbers(1), node.numbers(2)
    axes = node.axes(3, rank, range(len(starts)))
    steps = node.numbers(4) if node.given(4) is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(set(axes)) == len(steps):
        raise InputError("its starts, ends, axes and steps are not as many")
    index = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if (step, start) == (-1, -1) and isinstance(end, int) and end < -_FAR and len(axes) == 1:
            return node.made("flip", x, (axis,))
        if not isinstance(step, int) or step < 1:
            raise Inexpressible("it takes a part of what it reads")
        first = None if start == 0 else start
        last = None if isinstance(end, int) and end >= _FAR else end
        index[axis] = slice(first, last, None if step == 1 else step)
        n = node.graph.exactly(node.graph.extents(x)[axis])
        if n is not None and isinstance(start, int) and isinstance(end, int) and not range(n)[start:end:step]:
            raise Inexpressible("it makes an empty tensor")
    return node.made("getitem", x, tuple(index))


_FAR = 2**31 - 1
"""Places from here on are behind the end of every axis."""


def _gather(node: OnnxNode) -> Any:
    """One position of an axis, or several."""
    x, places = node.value(0), node.value(1)
    if isinstance(places, Constant) and places.shape == () and places.values is not None:
        place = places.values.reshape(-1)[0]
        if isinstance(place, int):
            return node.made("select", x, node.integer("axis", 0), place)
    return node.made("take_along", x, node.integer("axis", 0), places)


# --- shapes -----------------------------------------------------------------------------------------------------------


def _flatten(node: OnnxNode) -> Any:
    x = node.value(0)
    sizes = node.graph.extents(x)
    axis = node.integer("axis", 1)
    axis += len(sizes) * (axis < 0)
    if axis == 1 or (axis == 0 and node.graph.batch_number == 1):
        return x if len(sizes) == 2 and axis else node.made("flatten", x, 1)
    return node.made("reshape", x, *(node.graph.times(part) for part in (sizes[:axis], sizes[axis:])))


def _squeeze(node: OnnxNode) -> Any:
    x = node.value(0)
    sizes = node.graph.extents(x)
    if not node.has("axes") and node.given(1) is None and node.graph.batch_number == 1:
        raise Inexpressible("it takes away the batch too")
    axes = sorted(node.axes(1, len(sizes), [axis for axis, n in enumerate(sizes) if n == 1 and axis > 0]))
    if any(node.graph.has_batch(sizes[axis]) for axis in axes):
        raise Inexpressible("it takes away the batch too")
    if not axes:
        return x
    if axes == list(range(2, len(sizes))) and isinstance(node.graph.exactly(sizes[1]), int):
        return _only_channels(node, x)
    for axis in axes:  # PyTorch keeps what is not 1, and ONNX refuses it
        if not node.graph.alike(sizes[axis], 1):
            node.graph.ask("equal", sizes[axis], 1)
    return node.made("squeeze", x, *axes)


def _only_channels(node: OnnxNode, x: Any) -> Any:
    """The channels, where there is one position."""
    if all(n == 1 for n in node.graph.extents(x)[2:]):
        return node.made("flatten", x, 1)
    return node.made("reshape", x, *node.graph.extents(x)[:2])


def _unsqueeze(node: OnnxNode) -> Any:
    x = node.value(0)
    sizes = list(node.graph.extents(x))
    rank = len(sizes) + (len(node.integers("axes")) if node.has("axes") else len(node.numbers(1)))
    for axis in sorted(node.axes(1, rank)):
        sizes.insert(axis, 1)
    return node.made("reshape", x, *sizes)


def _transpose(node: OnnxNode) -> Any:
    x = node.value(0)
    rank = len(node.graph.extents(x))
    order = node.integers("perm", None, tuple(reversed(range(rank))))
    if sorted(order) != list(range(rank)):
        raise InputError(f"perm={order} is no order of {rank} axes")
    return x if order == tuple(range(rank)) else node.made("permute", x, *order)


def _reshape(node: OnnxNode) -> Any:
    x = node.value(0)
    target = list(node.integers("shape")) if node.has("shape") else node.numbers(1)
    if node.integer("allowzero", 0) and 0 in target:
        raise Inexpressible("it makes an empty tensor")
    if target.count(-1) > 1:
        raise InputError("its shape has more than one -1")
    sizes = node.graph.extents(x)
    if 0 in target[len(sizes) :]:
        raise InputError(f"its shape copies an axis that an input with {len(sizes)} axes has not")
    wanted = node.graph.with_batch([sizes[axis] if n == 0 else n for axis, n in enumerate(target)], sizes)
    if wanted == list(sizes):
        return x
    return node.made("reshape", x, *wanted)


def _expand(node: OnnxNode) -> Any:
    """To a shape in which a 1 keeps what there is."""
    x, wanted = node.value(0), node.numbers(1)
    sizes = node.graph.extents(x)
    ahead = len(wanted) - len(sizes)
    if ahead < 0:
        wanted, ahead = [*sizes[:-ahead], *wanted], 0
    kept = [n if place < ahead or n != 1 else -1 for place, n in enumerate(wanted)]
    batched = [
        -1 if place >= ahead and node.graph.has_batch(sizes[place - ahead]) else n for place, n in enumerate(kept)
    ]
    return node.made("expand", x, *batched)


def _tile(node: OnnxNode) -> Any:
    return node.made("repeat", node.value(0), *node.numbers(1))


def _einsum(node: OnnxNode) -> Any:
    return node.made("einsum", node.text("equation", ""), *node.inputs)


# --- the table --------------------------------------------------------------------------------------------------------

_ELEMENTWISE = {
    **{op: op.lower() for op in ("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu", "Clip")},
    **{op: op.lower() for op in ("Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish")},
    **{op: op.lower() for op in ("IsInf", "IsNaN", "Log", "Mish", "Neg", "Reciprocal", "Relu", "Round", "Selu")},
    **{op: op.lower() for op in ("Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Tan")},
    "LeakyRelu": "leaky_relu",
    "Not": "logical_not",
    "Swish": "silu",
    "Tanh": "tanh",
    "ThresholdedRelu": "threshold",
    "QLinearSigmoid": "sigmoid",
    "QLinearLeakyRelu": "leaky_relu",
}
"""Functions of each element, by their names in PyTorch."""
_COMBINED = {
    "Equal": "eq",
    "Greater": "gt",
    "GreaterOrEqual": "ge",
    "Less": "lt",
    "LessOrEqual": "le",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
    "Max": "maximum",
    "Min": "minimum",
    "Mod": "remainder",
    "BitwiseAnd": "logical_and",
    "BitwiseOr": "logical_or",
}
_REDUCED = {
    "ReduceMax": "amax",
    "ReduceMean": "mean",
    "ReduceMin": "amin",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
    "ReduceL1": "norm",
    "ReduceL2": "norm",
    "ReduceSumSquare": "sum",
    "ReduceLogSumExp": "logsumexp",
    "ReduceLogSum": "sum",
}

RULES: dict[str, Rule] = {
    **WINDOWS,
    **{op: _activation(name) for op, name in _ELEMENTWISE.items()},
    **dict.fromkeys(("Cast", "CastLike", "DequantizeLinear", "Identity", "QuantizeLinear"), _same),
    **{op: _arithmetic(op.lower()) for op in ("Add", "Div", "Mul", "Pow", "Sub")},
    **{op: _arithmetic(name) for op, name in (*_QUANTIZED.items(), *_COMBINED.items(), ("Sum", "add"))},
    **{op: _reduce(name) for op, name in _REDUCED.items()},
    **dict.fromkeys(("ArgMax", "ArgMin"), _largest),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), _matmul),
    **dict.fromkeys(("ScatterElements", "ScatterND"), _named("scatter")),
    "BatchNormalization": _batch_norm,
    **dict.fromkeys(("Concat", "QLinearConcat"), _concat),
    "CumSum": lambda node: node.made("cumsum", node.value(0), node.numbers(1)[0]),
    "Dropout": _dropout,
    "DynamicQuantizeLinear": lambda node: (node.value(0), Constant(()), Constant(())),
    "Einsum": _einsum,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    **dict.fromkeys(("Gemm", "QGemm"), _gemm),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _group_norm,
    "LRN": _lrn,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax,
    "LpNormalization": _along("normalize"),
    "PRelu": _prelu,
    "RMSNormalization": _layer_norm,
    "Reshape": _reshape,
    "Shape": shape_of,
    "Size": size_of,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "TopK": _topk,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _named("where", first=0),
}
