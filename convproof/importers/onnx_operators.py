"""The other ONNX operators as layers, one rule an operator, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod
from typing import Any

from convproof.architecture import layers
from convproof.errors import InputError
from convproof.importers.graph import Shape
from convproof.importers.onnx_folding import shape_of
from convproof.importers.onnx_graph import Grouped, OnnxGraph, Rule
from convproof.importers.onnx_values import Call
from convproof.importers.onnx_windows import WINDOWS
from convproof.importers.values import GATED, Constant, Flow, Inexpressible, axis_of, common_shape, scaled, short_pads

# --- fully connected --------------------------------------------------------------------------------------------------


def _gemm(call: Call, graph: OnnxGraph) -> Flow:
    x, w = call.flow(), call.constant(1)
    if call.integer("transA", 0):
        raise Inexpressible("it reads its input transposed")
    features, units = _matrix(w)[:: -1 if call.integer("transB", 0) else 1]
    b = call.constant(2) if call.given(2) is not None and call.real("beta", 1.0) != 0 else None
    if b is not None and b.shape not in ((units,), (1, units), (), (1,), (1, 1)):
        raise InputError(f"a bias of shape {b.shape} is not one number for each of {units} units")
    learned = [w, b] if b is not None and b.size == units else [w]
    return _linear(call, graph, x, features, units, learned)


def _matmul(call: Call, graph: OnnxGraph) -> Flow:
    x, w = call.flow(), call.constant(1)
    if len(graph.shape(x)) != 2 or w.shape is None or len(w.shape) != 2:
        raise Inexpressible("it is no matrix times a constant matrix")
    return _linear(call, graph, x, *_matrix(w), [w])


def _matrix(w: Constant) -> tuple[int, int]:
    if w.shape is None or len(w.shape) != 2:
        raise InputError(f"the weights have shape {w.shape}, which is no matrix")
    return w.shape[0], w.shape[1]


def _linear(call: Call, graph: OnnxGraph, x: Flow, features: int, units: int, learned: Sequence[Constant]) -> Flow:
    graph.need(x, 2, features)
    return graph.add(call, layers.Linear(units, len(learned) == 2), [x], (units,), learned)


# --- element by element -----------------------------------------------------------------------------------------------


def _relu(call: Call, graph: OnnxGraph) -> Flow:
    return graph.elementwise(call, layers.ReLU(), call.flow())


def _activation(name: str) -> Rule:
    def rule(call: Call, graph: OnnxGraph) -> Flow:
        others = [each for each in call.inputs[1:] if isinstance(each, Flow)]
        if others:
            raise Inexpressible("it reads two activations")
        return graph.elementwise(call, layers.Activation(name), call.flow())

    return rule


def _prelu(call: Call, graph: OnnxGraph) -> Flow:
    x, slopes = call.flow(), call.constant(1).size
    if slopes != 1 and slopes != graph.channels(x):
        raise Inexpressible("its slopes are not one, or one for each channel")
    made = graph.elementwise(call, layers.Activation("prelu"), x)
    graph.note(made, f"has {slopes} learned slopes, which are not counted")
    return made


def _same(call: Call, graph: OnnxGraph) -> Flow:
    return call.flow()


def _arithmetic(call: Call, graph: OnnxGraph) -> Flow:
    constants = [each for each in call.inputs if isinstance(each, Constant)]
    flows = [each for each in call.inputs if isinstance(each, Flow)]
    if len(flows) == 1 and len(constants) == 1:
        return _with_constant(call, graph, flows[0], constants[0])
    if constants:
        raise Inexpressible("it reads constants among activations")
    if len(flows) == 1:
        return flows[0]
    if len({each.root for each in flows}) == 1 and not (call.op in _SUMS and len({each.layer for each in flows}) == 1):
        return _of_one(call, graph, flows)
    vectors = [graph.vectors.get(name) for name in call.node.input]
    if call.op == "Mul" and (pair := scaled(flows, vectors)):
        return graph.add(call, layers.Scale(), pair, graph.shape(pair[0])[1:])
    if call.op not in (*_SUMS, "Mul"):
        raise Inexpressible("it combines activations otherwise than by a sum or a product")
    return graph.add(call, layers.Multiply() if call.op == "Mul" else layers.Add(), flows, common_shape(flows))


_SUMS = ("Add", "Sum")


def _of_one(call: Call, graph: OnnxGraph, flows: list[Flow]) -> Flow:
    """Several functions of each element of one layer, combined: again one, of the last layer that all come from."""
    chains = [graph.chain(each) for each in flows]
    common = next((layer for layer in chains[0] if all(layer in chain for chain in chains)), flows[0].root)
    name = call.op.lower()
    gates = [graph.nodes[chain[0]].layer for chain in chains if chain[1:2] == [common]]
    if call.op == "Mul" and len(flows) == 2 and len(gates) == 1 and isinstance(gates[0], layers.Activation):
        name = GATED.get(gates[0].name, name) if common in (flows[0].layer, flows[1].layer) else name
    return graph.elementwise(call, layers.Activation(name), replace(flows[0], layer=common))


def _with_constant(call: Call, graph: OnnxGraph, x: Flow, c: Constant) -> Flow:
    """One number does the same to each element; a number for each channel is learned."""
    if c.shape is None:
        raise Inexpressible("its constant is computed")
    if call.op == "Add" and x.shape is not None and len(x.shape) == 2 and (made := graph.with_bias(call, x, c)):
        return made
    if c.size == 1 and (x.shape is None or len(c.shape) <= len(x.shape)):
        return graph.elementwise(call, layers.Activation(call.op.lower()), x)
    shape = graph.shape(x)
    aligned = (*(1 for _ in shape[len(c.shape) :]), *c.shape)
    swapped = call.op == "Div" and not isinstance(call.given(0), Flow)
    each_channel = len(aligned) == len(shape) and aligned[1] == c.size and shape[1] != 1
    if call.op not in ("Add", "Sub", "Mul", "Div") or swapped or not each_channel:
        raise Inexpressible(f"a constant of shape {c.shape} is neither one number nor one for each channel")
    graph.need(x, len(shape), c.size)
    scale = call.op in ("Mul", "Div")
    return graph.add(call, layers.Affine(scale, not scale), [x], shape[1:], [c])


# --- normalisation and the like ---------------------------------------------------------------------------------------


def _batch_norm(call: Call, graph: OnnxGraph) -> Flow:
    x, gamma, beta = call.flow(), call.constant(1), call.constant(2)
    if not call.integer("spatial", 1):
        raise Inexpressible("it normalises each position on its own")
    if call.integer("training_mode", 0):
        raise Inexpressible("it normalises by the statistics of what it reads")
    if gamma.shape is None or len(gamma.shape) != 1 or gamma.shape != beta.shape:
        raise InputError(f"scale and shift have shapes {gamma.shape} and {beta.shape}, not one number for each channel")
    if x.shape is not None:
        graph.need(x, len(x.shape), gamma.shape[0])
    shape = x.shape and x.shape[1:]
    return graph.add(call, layers.BatchNorm(call.real("epsilon", 1e-5)), [x], shape, [gamma, beta])


def _group_norm(call: Call, graph: OnnxGraph) -> Flow:
    """Instance or group normalization, whose scale and shift are numbers for each channel."""
    x, scale, shift = call.flow(), call.constant(1), call.constant(2)
    eps = call.real("epsilon", 1e-5)
    instance = call.op == "InstanceNormalization"
    if scale.shape is None or len(scale.shape) != 1 or scale.shape != shift.shape:
        raise InputError(f"scale and shift have shapes {scale.shape} and {shift.shape}, not one number a channel")
    if not instance and call.opset < 21:
        raise Inexpressible("its scale and shift are numbers for each group")
    if x.shape is not None:
        graph.need(x, len(x.shape), scale.shape[0])
    layer = layers.InstanceNorm(eps) if instance else layers.GroupNorm(call.integer("num_groups"), eps)
    return graph.add(call, layer, [x], x.shape and x.shape[1:], [scale, shift])


def _lrn(call: Call, graph: OnnxGraph) -> Flow:
    x = call.flow()
    alpha, beta, k = call.real("alpha", 1e-4), call.real("beta", 0.75), call.real("bias", 1.0)
    layer = layers.LocalResponseNorm(call.integer("size"), alpha, beta, k)
    return graph.add(call, layer, [x], x.shape and x.shape[1:])


def _dropout(call: Call, graph: OnnxGraph) -> Flow:
    x, share = call.flow(), call.real("ratio", 0.5)
    if call.given(1) is not None:
        share = next(iter(call.numbers(1)), 0.5)
    return graph.add(call, layers.Dropout(share), [x], x.shape and x.shape[1:])


def _softmax(call: Call, graph: OnnxGraph) -> Flow:
    """Before version 13 all axes from `axis` on were one; that is over channels where the others have size 1."""
    x = call.flow()
    shape = graph.shape(x)
    old = call.opset < 13
    if axis_of(call.integer("axis", 1 if old else -1), len(shape)) != 1:
        raise Inexpressible("it runs over another axis than the channels")
    if old and len(shape) > 2 and set(graph.sizes(call, len(shape) - 2)) != {1}:
        raise Inexpressible("it runs over channels and positions together")
    if call.op == "Softmax":
        return graph.add(call, layers.Softmax(), [x], shape[1:])
    inner = graph.add(call, layers.Softmax(), [x], shape[1:], part="softmax")
    return graph.elementwise(call, layers.Activation("log"), inner)


# --- shapes -----------------------------------------------------------------------------------------------------------


def _concat(call: Call, graph: OnnxGraph) -> Flow:
    flows = [call.flow(number) for number in range(len(call.inputs))]
    shapes = [each.shape for each in flows if each.shape is not None]
    axis = call.integer("axis", 1) if call.opset < 4 else call.integer("axis")
    if (axis_of(axis, len(shapes[0])) if shapes else axis) != 1:
        raise Inexpressible("it joins along another axis than the channels")
    if len(flows) == 1:
        return flows[0]
    if not shapes:
        return graph.add(call, layers.Concat(), flows, None)
    counts = [graph.channels(each) for each in flows]
    whole = sum(counts) if all(isinstance(n, int) for n in counts) else None
    return graph.add(call, layers.Concat(), flows, (whole, *shapes[0][2:]))


def _split(call: Call, graph: OnnxGraph) -> tuple[Flow, ...]:
    """Parts of the channels, one after the other."""
    x = call.flow()
    shape, parts = graph.shape(x), len(call.node.output)
    channels = _channels(call, graph, x, call.integer("axis", 0))
    each = -(-channels // parts)
    sizes = call.numbers(1) if call.given(1) is not None else list(call.integers("split", None, ()))
    sizes = sizes or [min(each, channels - each * k) for k in range(parts)]
    if len(sizes) != parts or sum(sizes) != channels:
        raise InputError(f"it splits {channels} channels into {parts} of {sizes}")
    if min(sizes) < 1:
        raise Inexpressible("it makes an empty tensor")
    stops = list(accumulate(sizes))
    names = zip(call.node.output, sizes, stops, strict=True)
    return tuple(
        graph.add(call, layers.Slice(stop - n, stop), [x], (n, *shape[2:]), tensor=name) for name, n, stop in names
    )


def _channels(call: Call, graph: OnnxGraph, x: Flow, axis: Any) -> int:
    """How many channels x has, of which an operator takes a part along `axis`."""
    channels = graph.channels(x)
    if axis_of(axis, len(graph.shape(x))) != 1:
        raise Inexpressible("it divides another axis than the channels")
    if not isinstance(channels, int):
        raise Inexpressible("it divides channels whose number is not known")
    return channels


def _slice(call: Call, graph: OnnxGraph) -> Flow:
    """A part of the channels, or positions left away at the ends of the spatial axes."""
    x = call.flow()
    shape = graph.shape(x)
    if call.given(1) is None:
        starts, ends = list(call.integers("starts")), list(call.integers("ends"))
    else:
        starts, ends = call.numbers(1), call.numbers(2)
    axes = call.axes(3, len(shape), range(len(starts)))
    steps = call.numbers(4) if call.given(4) is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(set(axes)) == len(steps):
        raise InputError("its starts, ends, axes and steps are not as many")
    if not all(isinstance(each, int) for each in (*starts, *ends)) or set(steps) - {1} or 0 in axes:
        raise Inexpressible("it takes a part of what it reads")
    pads = {axis: _cropped(start, end) for axis, start, end in zip(axes, starts, ends, strict=True) if axis > 1}
    for start, end in ((start, end) for axis, start, end in zip(axes, starts, ends, strict=True) if axis == 1):
        first, stop, _ = slice(start, end).indices(_channels(call, graph, x, 1))
        if first >= stop:
            raise Inexpressible("it makes an empty tensor")
        if stop - first < shape[1]:
            x = graph.add(
                call, layers.Slice(first, stop), [x], (stop - first, *shape[2:]), part="channels" * bool(pads)
            )
    if not any(map(any, pads.values())):
        return x
    pairs = [pads.get(axis, (0, 0)) for axis in range(2, len(shape))]
    return graph.add(call, layers.Pad(short_pads(pairs)), [x], (graph.channels(x), *(None for _ in pairs)))


def _cropped(start: int, end: int) -> tuple[int, int]:
    """What a slice leaves away before and after, as negative pads."""
    if start < 0 or 0 <= end < 2**31 - 1:
        raise Inexpressible("what it takes hangs on the size of what it reads")
    return -start, min(0, end) if end < 0 else 0


def _flatten(call: Call, graph: OnnxGraph) -> Flow:
    x = graph.permuted.get(call.node.input[0]) or call.flow()
    shape, axis = graph.shape(x), call.integer("axis", 1)
    if axis not in (1, 1 - len(shape)) and not (axis == 0 and graph.batch == 1):
        raise Inexpressible("it keeps more than the batch apart")
    return _flattened(call, graph, x, None)


def _flattened(call: Call, graph: OnnxGraph, x: Flow, features: int | None) -> Flow:
    """x as a vector, of so many values if the file says so."""
    sizes = graph.shape(x)[1:]
    if len(sizes) > 1:
        x = graph.add(call, layers.Flatten(), [x], (prod(sizes) if all(isinstance(n, int) for n in sizes) else None,))
    graph.fix(x, (features,))
    return x


def _squeeze(call: Call, graph: OnnxGraph) -> Flow:
    x = call.flow()
    shape = graph.shape(x)
    if graph.batch == 1 and not call.has("axes") and call.given(1) is None:
        raise Inexpressible("it takes away the batch too")
    ones = [axis for axis, n in enumerate(shape) if n == 1 and axis > 0]
    axes = sorted(call.axes(1, len(shape), ones))
    if axes != list(range(2, len(shape))) or not axes:
        raise Inexpressible("it takes away other axes than all spatial ones")
    graph.fix(x, (None, *(1 for _ in axes)))
    return graph.add(call, layers.Flatten(), [x], (shape[1],))


def _unsqueeze(call: Call, graph: OnnxGraph) -> Flow:
    """A vector's values as channels; what nothing else describes."""
    x = call.flow()
    rank = len(graph.shape(x)) + (len(call.integers("axes")) if call.has("axes") else len(call.numbers(1)))
    if sorted(call.axes(1, rank)) == list(range(2, rank)) and len(graph.shape(x)) == 2 and rank == graph.rank:
        graph.vectors[call.node.output[0]] = x
    raise Inexpressible("it adds axes")


def _transpose(call: Call, graph: OnnxGraph) -> Flow:
    """Part of a channel shuffle, or followed by a flattening that no order of the axes matters to, or nothing known."""
    x, tensor, made = call.flow(), call.node.input[0], call.node.output[0]
    if tensor == graph.channels_last:
        return x
    order = call.integers("perm", None, ())
    grouped = graph.grouped.get(tensor)
    if grouped and order == (0, 2, 1, *range(3, 3 + len(grouped.sizes))):
        graph.grouped[made] = replace(grouped, swapped=True)
    axes = tuple(range(len(graph.shape(x))))
    if order == axes:
        return x
    if order[:1] == (0,) and tuple(sorted(order)) == axes:
        graph.permuted[made] = x
    raise Inexpressible("it changes the order of the axes")


def _reshape(call: Call, graph: OnnxGraph) -> Flow:
    target = list(call.integers("shape")) if call.has("shape") else call.numbers(1)
    if call.integer("allowzero", 0) and 0 in target:
        raise Inexpressible("it makes an empty tensor")
    if target.count(-1) > 1:
        raise InputError("its shape has more than one -1")
    tensor = call.node.input[0]
    grouped = graph.grouped.get(tensor)
    if grouped and grouped.swapped and _rejoins(target, grouped, graph):
        graph.fix(grouped.x, (None, *(n if isinstance(n, int) and n > 0 else None for n in grouped.sizes)))
        return graph.add(call, layers.ChannelShuffle(grouped.groups), [grouped.x], graph.shape(grouped.x)[1:])
    if len(target) == 2:
        return _reshaped_to_vector(call, graph, graph.permuted.get(tensor) or call.flow(), target)
    x = call.flow()
    shape = graph.shape(x)
    if 0 in target[len(shape) :]:
        raise InputError(f"its shape copies an axis that an input with {len(shape)} axes has not")
    target = [shape[axis] if n == 0 else n for axis, n in enumerate(target)]
    written = _written(target, shape, graph)
    if written is not None:
        graph.fix(x, written)
        return x
    if (
        len(shape) == 2
        and len(target) == graph.rank
        and set(target[2:]) == {1}
        and _written(target[:2], shape, graph) is not None
    ):
        graph.vectors[call.node.output[0]] = x
    groups = _groups(target, shape, graph)
    if groups is not None:
        graph.grouped[call.node.output[0]] = Grouped(x, groups, tuple(target[3:]))
    raise Inexpressible("it lays out the elements in another way")


def _reshaped_to_vector(call: Call, graph: OnnxGraph, x: Flow, target: list[Any]) -> Flow:
    """(batch, anything) is a vector for each image; (-1, number) is, where that is the number of values of an image."""
    shape = graph.shape(x)
    first, features = target[0] or graph.batch, target[1] if isinstance(target[1], int) and target[1] > 0 else None
    if target[1] == 0 and len(shape) == 2:
        return x
    values = prod(shape[1:]) if all(isinstance(n, int) for n in shape[1:]) else None
    channels = shape[1] if isinstance(shape[1], int) else 1
    unlike = features is None or (values or features) != features or features % channels
    if target[1] == 0 or not (graph.is_batch(first) or (first == -1 and not unlike)):
        raise Inexpressible("it lays out the elements in another way")
    return _flattened(call, graph, x, features)


def _written(target: list[Any], shape: tuple[Any, ...], graph: OnnxGraph) -> Shape | None:
    """The sizes that a Reshape to the very same shape writes out; None where it makes another shape.

    A number may stand for a size that is not known here, but not beside a -1, which could be anything then.
    """
    if len(target) != len(shape) or not (target[0] == -1 or graph.is_batch(target[0])):
        return None
    written: list[int | None] = []
    for wanted, have in zip(target[1:], shape[1:], strict=True):
        literal = isinstance(wanted, int) and wanted > 0 and not isinstance(have, int) and -1 not in target[1:]
        if not (literal or wanted in (have, -1)):
            return None
        written.append(wanted if literal else None)
    return tuple(written)


def _groups(target: list[Any], shape: tuple[Any, ...], graph: OnnxGraph) -> int | None:
    """The groups into which a Reshape to (batch, groups, channels/groups, *sizes) lays out the channels; else None."""
    channels = shape[1]
    if len(target) != len(shape) + 1 or not isinstance(channels, int):
        return None
    groups, each = target[1:3]
    if not (isinstance(groups, int) and isinstance(each, int)) or 0 in (groups, each):
        return None
    groups, each = (
        (channels // abs(each) if groups == -1 else groups),
        (channels // abs(groups) if each == -1 else each),
    )
    rest = [target[0], -1 if -1 in target[1:3] else channels, *target[3:]]
    return groups if groups * each == channels and _written(rest, shape, graph) is not None else None


def _rejoins(target: list[Any], grouped: Grouped, graph: OnnxGraph) -> bool:
    """Whether a Reshape puts the groups together again."""
    if len(target) != len(grouped.sizes) + 2 or not (target[0] in (0, -1) or graph.is_batch(target[0])):
        return False
    pairs = zip(target[1:], (graph.channels(grouped.x), *grouped.sizes), strict=True)
    return all(wanted in (-1, have) for wanted, have in pairs)


_ELEMENTWISE = {
    "Abs": "abs",
    "Celu": "celu",
    "Clip": "clip",
    "Elu": "elu",
    "Erf": "erf",
    "Exp": "exp",
    "Gelu": "gelu",
    "HardSigmoid": "hardsigmoid",
    "HardSwish": "hardswish",
    "LeakyRelu": "leaky_relu",
    "Log": "log",
    "Mish": "mish",
    "Neg": "neg",
    "Reciprocal": "reciprocal",
    "Selu": "selu",
    "Shrink": "shrink",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "sqrt",
    "Swish": "silu",
    "Tanh": "tanh",
    "ThresholdedRelu": "threshold",
}
"""Functions of each element, by their names in PyTorch."""

RULES: dict[str, Rule] = {
    **WINDOWS,
    **{op: _activation(name) for op, name in _ELEMENTWISE.items()},
    **dict.fromkeys(("Cast", "CastLike", "DequantizeLinear", "Identity", "QuantizeLinear"), _same),
    **dict.fromkeys(("Add", "Div", "Max", "Min", "Mul", "Pow", "Sub", "Sum"), _arithmetic),
    "BatchNormalization": _batch_norm,
    "Concat": _concat,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _group_norm,
    "LRN": _lrn,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "PRelu": _prelu,
    "Relu": _relu,
    "Reshape": _reshape,
    "Slice": _slice,
    "Split": _split,
    "Shape": lambda call, graph: shape_of(call),
    "Softmax": _softmax,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
