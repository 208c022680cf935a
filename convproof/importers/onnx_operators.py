"""The other ONNX operators as layers, one rule an operator, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from math import prod
from typing import Any

from convproof.architecture import layers
from convproof.errors import InputError
from convproof.importers.onnx_folding import shape_of
from convproof.importers.onnx_graph import Grouped, OnnxGraph, Rule
from convproof.importers.onnx_values import Call
from convproof.importers.onnx_windows import WINDOWS
from convproof.importers.sizes import BATCH
from convproof.importers.values import GATED, Constant, Flow, Inexpressible, axis_of, short_pads

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
    return graph.add(call, layers.Linear(units, len(learned) == 2, features), [x], learned)


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
    x, slope = call.flow(), call.constant(1)
    slopes, shape = slope.size, slope.shape or ()
    if slopes != 1 and (slopes != graph.channels(x) or (1, *shape)[1 - len(graph.shape(x))] != slopes):
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
    graph.together(flows)
    if call.op == "Mul" and (pair := graph.scaled(flows, [graph.vectors.get(name) for name in call.node.input])):
        return graph.add(call, layers.Scale(), pair)
    if call.op not in (*_SUMS, "Mul"):
        raise Inexpressible("it combines activations otherwise than by a sum or a product")
    return graph.add(call, (layers.Multiply if call.op == "Mul" else layers.Add)(broadcast=True), flows)


_SUMS = ("Add", "Sum")


def _of_one(call: Call, graph: OnnxGraph, flows: list[Flow]) -> Flow:
    """Several functions of each element of one layer, combined: again one, of the last layer that all come from."""
    chains = [graph.chain(each) for each in flows]
    common = next((layer for layer in chains[0] if all(layer in chain for chain in chains)), flows[0].root)
    name = call.op.lower()
    gates = [graph.nodes[chain[0]].layer for chain in chains if chain[1:2] == [common]]
    for chain in chains:
        graph.absorb(chain[: chain.index(common)] if common in chain else ())
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
    each_channel = len(aligned) == len(shape) and aligned[1] == c.size and graph.channels(x) != 1
    if call.op not in ("Add", "Sub", "Mul", "Div") or swapped or not each_channel:
        raise Inexpressible(f"a constant of shape {c.shape} is neither one number nor one for each channel")
    graph.need(x, len(shape), c.size)
    scale = call.op in ("Mul", "Div")
    return graph.add(call, layers.Affine(scale, not scale, c.size), [x], [c])


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
    return graph.add(call, layers.BatchNorm(call.real("epsilon", 1e-5), gamma.shape[0]), [x], [gamma, beta])


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
        if x.shape[0] != graph.batch:
            raise Inexpressible("what it normalizes is not that of an image")
        graph.need(x, len(x.shape), scale.shape[0])
    if instance:
        return graph.add(call, layers.InstanceNorm(eps, True, scale.shape[0], single_values=True), [x], [scale, shift])
    layer = layers.GroupNorm(call.integer("num_groups"), eps, True, scale.shape[0], single_values=True)
    return graph.add(call, layer, [x], [scale, shift])


def _lrn(call: Call, graph: OnnxGraph) -> Flow:
    x = call.flow()
    alpha, beta, k = call.real("alpha", 1e-4), call.real("beta", 0.75), call.real("bias", 1.0)
    layer = layers.LocalResponseNorm(call.integer("size"), alpha, beta, k)
    return graph.add(call, layer, [x])


def _dropout(call: Call, graph: OnnxGraph) -> Flow:
    x, share = call.flow(), call.real("ratio", 0.5)
    if call.given(1) is not None:
        share = next(iter(call.numbers(1)), 0.5)
    return graph.add(call, layers.Dropout(share), [x])


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
        return graph.add(call, layers.Softmax(), [x])
    inner = graph.add(call, layers.Softmax(), [x], part="softmax")
    return graph.elementwise(call, layers.Activation("log"), inner)


# --- shapes -----------------------------------------------------------------------------------------------------------


def _concat(call: Call, graph: OnnxGraph) -> Flow:
    flows = [call.flow(number) for number in range(len(call.inputs))]
    shapes = [each.shape for each in flows if each.shape is not None]
    axis = call.integer("axis", 1) if call.opset < 4 else call.integer("axis")
    if (axis_of(axis, len(shapes[0])) if shapes else axis) != 1:
        raise Inexpressible("it joins along another axis than the channels")
    graph.together(flows)
    return flows[0] if len(flows) == 1 else graph.add(call, layers.Concat(), flows)


def _split(call: Call, graph: OnnxGraph) -> tuple[Flow, ...]:
    """Parts of the channels, one after the other."""
    x = call.flow()
    parts = len(call.node.output)
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
    made = tuple(graph.add(call, layers.Slice(stop - n, stop), [x], tensor=name) for name, n, stop in names)
    graph.absorb(each.layer for each in made)
    return made


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
        channels = _channels(call, graph, x, 1)
        first, stop, _ = slice(start, end).indices(channels)
        if first >= stop:
            raise Inexpressible("it makes an empty tensor")
        if stop - first < channels:
            x = graph.add(call, layers.Slice(first, stop), [x], part="channels" * bool(pads))
    if not any(map(any, pads.values())):
        return x
    pairs = [pads.get(axis, (0, 0)) for axis in range(2, len(shape))]
    return graph.add(call, layers.Pad(short_pads(pairs)), [x])


def _cropped(start: int, end: int) -> tuple[int, int]:
    """What a slice leaves away before and after, as negative pads."""
    if start < 0 or 0 <= end < 2**31 - 1:
        raise Inexpressible("what it takes depends on the size of what it reads")
    return -start, min(0, end) if end < 0 else 0


def _flatten(call: Call, graph: OnnxGraph) -> Flow:
    x = graph.permuted.get(call.node.input[0]) or call.flow()
    shape, axis = graph.shape(x), call.integer("axis", 1)
    if axis not in (1, 1 - len(shape)) and not (axis == 0 and graph.batch == 1):
        raise Inexpressible("it keeps more than the batch apart")
    return _flattened(call, graph, x)


def _flattened(call: Call, graph: OnnxGraph, x: Flow) -> Flow:
    """x as a vector."""
    return x if len(graph.shape(x)) == 2 else graph.add(call, layers.Flatten(), [x])


def _squeeze(call: Call, graph: OnnxGraph) -> Flow:
    x = call.flow()
    shape = graph.shape(x)
    if graph.batch == 1 and not call.has("axes") and call.given(1) is None:
        raise Inexpressible("it takes away the batch too")
    ones = [axis for axis, n in enumerate(shape) if n == 1 and axis > 0]
    axes = sorted(call.axes(1, len(shape), ones))
    if axes != list(range(2, len(shape))) or not axes:
        raise Inexpressible("it takes away other axes than all spatial ones")
    if all(n == 1 for n in shape[2:]):
        return graph.add(call, layers.Flatten(), [x])
    return graph.add(call, layers.Reshape((_channels(call, graph, x, 1),)), [x])  # where there is one position


def _unsqueeze(call: Call, graph: OnnxGraph) -> Flow:
    """A vector's values as channels."""
    x = call.flow()
    shape = graph.shape(x)
    rank = len(shape) + (len(call.integers("axes")) if call.has("axes") else len(call.numbers(1)))
    if sorted(call.axes(1, rank)) != list(range(2, rank)) or len(shape) != 2 or rank != graph.rank:
        raise Inexpressible("it adds axes")
    graph.vectors[call.node.output[0]] = x
    made = graph.add(call, layers.Reshape((_channels(call, graph, x, 1), *(1 for _ in range(2, rank)))), [x])
    graph.absorb([made.layer])
    return made


def _transpose(call: Call, graph: OnnxGraph) -> Flow:
    """Part of a channel shuffle, or followed by a flattening that no order of the axes matters to, or nothing known."""
    x, tensor, made = call.flow(), call.node.input[0], call.node.output[0]
    if tensor == graph.channels_last:
        return x
    order = call.integers("perm", None, ())
    grouped = graph.grouped.get(tensor)
    if grouped and order == (0, 2, 1, *range(3, 1 + len(graph.shape(grouped.x)))):
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
    grouped, moved = graph.grouped.get(tensor), graph.permuted.get(tensor)
    if grouped and grouped.swapped and _rejoins(target, grouped, graph):
        return graph.add(call, layers.ChannelShuffle(grouped.groups), [grouped.x])
    x = moved if moved is not None and len(target) == 2 else call.flow()  # a vector in the order of the weights behind
    shape = graph.shape(x)
    if 0 in target[len(shape) :]:
        raise InputError(f"its shape copies an axis that an input with {len(shape)} axes has not")
    wanted = [shape[axis] if n == 0 else n for axis, n in enumerate(target)]
    if len(wanted) < 2:
        raise Inexpressible(OTHERWISE)
    rows, sizes = wanted[0], wanted[1:]
    keeps_batch = rows == shape[0] or (shape[0] == graph.batch and graph.is_batch(rows))
    if not keeps_batch and rows != -1:
        raise Inexpressible(OTHERWISE)
    if sizes == [-1] and keeps_batch:
        return _flattened(call, graph, x)
    if _is_same(sizes, shape[1:], rows):
        return x
    if len(shape) == 2 and len(wanted) == graph.rank and sizes[0] in (shape[1], -1) and {*sizes[1:]} == {1}:
        graph.vectors[call.node.output[0]] = x
    if len(sizes) == len(shape):
        _group(call, graph, x, rows, sizes)
    return _written_out(call, graph, x, rows, sizes)


OTHERWISE = "it lays out the elements in another way"


def _is_same(sizes: list[Any], have: tuple[Any, ...], rows: Any) -> bool:
    """Whether sizes are those that there are, one of which may be left open, if the batch is not."""
    open_ones = sum(n == -1 for n in (rows, *sizes))
    return len(sizes) == len(have) and open_ones < 2 and all(n in (m, -1) for n, m in zip(sizes, have, strict=True))


def _written_out(call: Call, graph: OnnxGraph, x: Flow, rows: Any, sizes: list[Any], part: str = "") -> Flow:
    """A shape in numbers, which demands as many values; with -1 for the batch, rows of an image may be images of their
    own then. Raises `Inexpressible` for another shape.
    """
    have = graph.shape(x)[1:]
    if -1 in sizes:
        sizes = _filled(graph, sizes, have)
    if not all(isinstance(n, int) and n > 0 for n in sizes) or len(sizes) > 4:
        raise Inexpressible(OTHERWISE)
    if rows != -1 or (all(isinstance(n, int) for n in have) and prod(have) == prod(sizes)):
        return graph.add(call, layers.Reshape(tuple(sizes)), [x], part=part)
    if graph.batch not in (1, BATCH) or graph.shape(x)[0] != graph.batch:
        raise Inexpressible(OTHERWISE)
    made = graph.add(call, layers.Reshape(tuple(sizes), batch=True), [x], part=part)
    graph.note(made, "an image of more values becomes several rows; what follows is counted for one of them")
    return made


def _filled(graph: OnnxGraph, sizes: list[Any], have: tuple[Any, ...]) -> list[Any]:
    """The sizes with the one that is left open, where it is known, or at the given image."""
    others = [n for n in sizes if n != -1]
    if not all(isinstance(n, int) and n > 0 for n in others):
        raise Inexpressible(OTHERWISE)
    whole = [graph.number(n) for n in have]
    values = prod(n for n in whole if n is not None)
    if None in whole or values % prod(others):
        raise Inexpressible(OTHERWISE)
    return [values // prod(others) if n == -1 else n for n in sizes]


def _group(call: Call, graph: OnnxGraph, x: Flow, rows: Any, sizes: list[Any]) -> None:
    """Keeps in mind that (groups, channels/groups, *positions) lays out the channels in groups, which may be the first
    step of a shuffle. Positions that are written in numbers demand as many.
    """
    (groups, each), channels = sizes[:2], graph.channels(x)
    if not all(isinstance(n, int) and n for n in (groups, each, channels)):
        return
    is_open = -1 in (groups, each)
    if not is_open and groups * each != channels:
        return
    same = [channels, *graph.shape(x)[2:]]
    whole = [channels if not is_open or sizes[2:] == same[1:] else -1, *sizes[2:]]
    try:
        x = _positioned(call, graph, x, rows, whole)
    except Inexpressible:
        return
    channels = graph.channels(x)
    groups, each = (channels // each if groups == -1 else groups), (channels // groups if each == -1 else each)
    if groups * each == channels:
        graph.grouped[call.node.output[0]] = Grouped(x, groups)


def _positioned(call: Call, graph: OnnxGraph, x: Flow, rows: Any, sizes: list[Any]) -> Flow:
    """x, whose channels are laid out in groups, with the positions that are written."""
    if _is_same(sizes, graph.shape(x)[1:], rows):
        return x
    return _written_out(call, graph, x, rows, sizes, part="positions")


def _rejoins(target: list[Any], grouped: Grouped, graph: OnnxGraph) -> bool:
    """Whether a Reshape puts the groups together again."""
    batch, *have = graph.shape(grouped.x)
    return (target[0] in (0, -1, batch) or graph.is_batch(target[0])) and _is_same(target[1:], tuple(have), target[0])


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
