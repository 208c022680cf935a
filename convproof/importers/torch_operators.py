"""The other modules and functions of PyTorch as layers, and the tables of all of them."""

from __future__ import annotations

from collections.abc import Callable

from convproof.architecture import Layer, layers
from convproof.importers import torch_shapes, torch_windows
from convproof.importers.torch_graph import Call, Rule
from convproof.importers.values import GATED, Constant, Flow, Inexpressible, axis_of, common_shape, scaled

# --- element by element -----------------------------------------------------------------------------------------------


def _of_each(call: Call, name: str) -> Flow:
    """A function of each element of what it reads."""
    if len(call.flows) > 1:
        raise Inexpressible("it reads two activations")
    if any(c.size != 1 for c in call.reads(Constant)) and name not in (*_ARITHMETIC.values(), "prelu"):
        raise Inexpressible("it reads several numbers")
    made = call.elementwise(layers.ReLU() if name == "relu" else layers.Activation(name), call.flows[0])
    if call.learned:
        call.note(made, f"learns {', '.join(call.learned)}, which this layer kind does not count")
    return made


def _activation(name: str) -> Rule:
    return lambda call: _of_each(call, name)


def _same(call: Call) -> Flow:
    return call.x


def _arithmetic(name: str) -> Rule:
    def rule(call: Call) -> Flow:
        flows, others = call.flows, [each for each in map(call.raw, ("input", "other")) if not isinstance(each, Flow)]
        if len(flows) == 1 and isinstance(others[0], Constant):
            return _with_constant(call, name, flows[0], others[0])
        if len(flows) == 1:
            return flows[0] if name == "add" and call.graph.resolved(others[0]) == 0 else _of_each(call, name)
        if name == "add":
            made = call.add(layers.Add(), flows, common_shape(flows))
            if call.get("alpha", 1) != 1:
                call.note(made, "multiplies one of the branches by a number")
            return made
        if name == "mul":
            return _product(call, *flows)
        raise Inexpressible("it combines activations otherwise than by a sum or a product")

    return rule


def _product(call: Call, a: Flow, b: Flow) -> Flow:
    """x times a function of each element of x, which is again one; or the product of two branches."""
    x, other = (a, b) if a.layer in call.graph.chain(b) else (b, a)
    chain = call.graph.chain(other)
    if x.layer not in chain:
        a, b = _once(call, a, b), _once(call, b, a)
        if pair := scaled((a, b), [call.graph.vector(each) for each in (a, b)]):
            return call.add(layers.Scale(), pair, call.graph.shape(pair[0])[1:])
        return call.add(layers.Multiply(), (a, b), common_shape([a, b]))
    gate = call.graph.nodes[other.layer].layer if chain[1:2] == [x.layer] else None
    name = GATED.get(gate.name, "mul") if isinstance(gate, layers.Activation) else "mul"
    return call.elementwise(layers.Activation(name), x)


def _once(call: Call, x: Flow, other: Flow) -> Flow:
    """What x repeats to be as large as the other factor, which goes without saying; x, where it does not."""
    part, like = call.graph.repeated.get(x.layer, (x, x))
    return part if like.layer == other.layer else x


def _expand_as(call: Call) -> Flow:
    other = call.raw("other")
    call.repeats = (call.x, other) if isinstance(other, Flow) else None
    raise Inexpressible("it repeats what it reads")


def _with_constant(call: Call, name: str, x: Flow, c: Constant) -> Flow:
    """Learned numbers, one for each channel, are a layer; one number, or those that are not learned, a function."""
    shape = call.graph.shape(x)
    if c.shape is None or len(c.shape) > len(shape):
        raise Inexpressible("the shape of its constant does not fit or is not known")
    aligned = (*(1 for _ in shape[len(c.shape) :]), *c.shape)
    if c.size != 1 and (aligned[1] != c.size or shape[1] == 1):
        raise Inexpressible(f"a constant of shape {c.shape} is neither one number nor one for each channel")
    if c.size != 1:
        call.graph.need(x, len(shape), c.size)
    if c.size == 1 or not c.sources:
        return _of_each(call, name)
    return call.like(layers.Affine(name in ("mul", "div"), name in ("add", "sub")), x)


# --- fully connected, normalisation and the like ----------------------------------------------------------------------


def _linear(call: Call) -> Flow:
    module, x = call.module, call.x
    units, features = (module.out_features, module.in_features) if module else torch_windows.weight_shape(call)
    if x.shape is not None and len(x.shape) != 2:
        raise Inexpressible("it reads the last of several axes")
    call.graph.need(x, 2, features)
    shape = None if x.shape is None else (units,)
    return torch_windows.with_weight(call, call.add(layers.Linear(units, call.has_bias), [x], shape))


def _batch_norm(call: Call) -> Flow:
    x = call.x
    if call.module is not None:
        of_batch = call.module.running_mean is None
    else:
        of_batch = call.raw("running_mean") is None or call.get("training", False)
    if of_batch:
        raise Inexpressible("it normalizes by the statistics of what it reads")
    if not call.learned:
        made = call.elementwise(layers.Activation("batch_norm"), x)
        call.note(made, "learns nothing; it is taken as a fixed function of each element")
        return made
    if not call.has_bias:
        raise Inexpressible("it has no shift")
    channels = call.module.num_features if call.module else torch_windows.weight_shape(call)[0]
    if x.shape is not None:
        call.graph.need(x, len(x.shape), channels)
    return call.like(layers.BatchNorm(call.get("eps", 1e-5)), x)


def _group_norm(call: Call) -> Flow:
    """Group or instance normalization; one that keeps statistics is a batch normalization in evaluation."""
    if call.raw("track_running_stats") or call.raw("running_mean") is not None or call.get("use_input_stats") is False:
        return _batch_norm(call)
    x, eps, affine = call.x, call.get("eps", 1e-5), bool(call.learned)
    if affine and not call.has_bias:
        raise Inexpressible("it has no shift")
    if call.module is not None and x.shape is not None:
        channels = getattr(call.module, "num_channels", None) or call.module.num_features
        call.graph.need(x, len(x.shape), channels)
    groups = call.get("num_groups")
    return call.like(layers.InstanceNorm(eps, affine) if groups is None else layers.GroupNorm(groups, eps, affine), x)


def _lrn(call: Call) -> Layer:
    alpha, beta, k = (call.get(*each) for each in (("alpha", 1e-4), ("beta", 0.75), ("k", 1.0)))
    return layers.LocalResponseNorm(call.get("size"), alpha, beta, k)


def _kept(build: Callable[[Call], Layer]) -> Rule:
    """A layer that keeps the shape."""
    return lambda call: call.like(build(call), call.x)


def _softmax(call: Call) -> Flow:
    x, axis = call.x, call.get("dim", call.get("axis"))
    rank = len(call.graph.extents(x))
    if axis is None:
        axis = 0 if rank == 3 and call.op != "Softmax2d" else 1  # as torch chooses
    if axis_of(axis, rank) != 1:
        raise Inexpressible("it runs over another axis than the channels")
    if not call.op.lower().startswith("log"):
        return call.like(layers.Softmax(), x)
    return call.elementwise(layers.Activation("log"), call.like(layers.Softmax(), x, ".softmax"))


def _concat(call: Call) -> Flow:
    flows: list[Flow] = list(call.raw("tensors"))
    if not all(isinstance(each, Flow) for each in flows):
        raise Inexpressible("it joins what does not depend on the image")
    shapes = [each.shape for each in flows if each.shape is not None]
    axis = call.get("dim", call.get("axis", 0))
    if (axis_of(axis, len(shapes[0])) if shapes else axis) != 1:
        raise Inexpressible("it joins along another axis than the channels")
    if len(flows) == 1:
        return flows[0]
    counts = [call.graph.channels(each) for each in flows]
    whole = sum(counts) if all(isinstance(n, int) for n in counts) else None
    return call.add(layers.Concat(), flows, (whole, *shapes[0][2:]) if shapes else None)


# --- the tables -------------------------------------------------------------------------------------------------------

_ACTIVATIONS = {"LeakyReLU": "leaky_relu"} | {kind: kind.lower() for kind in (
    "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LogSigmoid", "Mish", "PReLU", "ReLU",
    "ReLU6", "RReLU", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
    "Threshold",
)}  # fmt: skip
_ELEMENTWISE = (
    "abs", "clamp", "clip", "cos", "erf", "exp", "expm1", "log", "log1p", "neg", "pow", "reciprocal", "rsqrt", "sin",
    "sqrt", "square",
)  # fmt: skip
_ARITHMETIC = {"add": "add", "sub": "sub", "mul": "mul", "multiply": "mul", "div": "div", "truediv": "div"}
_SAME = (
    "bfloat16", "clone", "contiguous", "cpu", "cuda", "detach", "double", "float", "half", "requires_grad", "to",
    "type_as",
)  # fmt: skip
_DROPOUTS = (
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "feature_dropout",
)  # fmt: skip

MODULES: dict[str, Rule] = {
    **torch_windows.MODULES,
    **torch_shapes.MODULES,
    **{kind: _activation(name) for kind, name in _ACTIVATIONS.items()},
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"), _batch_norm),
    **dict.fromkeys(
        ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
        _kept(lambda call: layers.Dropout(call.get("p", 0.5))),
    ),
    **dict.fromkeys(("GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), _group_norm),
    "ChannelShuffle": _kept(lambda call: layers.ChannelShuffle(call.get("groups"))),
    "Identity": _same,
    "Linear": _linear,
    "LocalResponseNorm": _kept(_lrn),
    "LogSoftmax": _softmax,
    "Softmax": _softmax,
    "Softmax2d": _softmax,
}
"""Modules as layers, one rule a class of torch.nn."""

FUNCTIONS: dict[str, tuple[Rule, str]] = {
    **torch_windows.FUNCTIONS,
    **torch_shapes.FUNCTIONS,
    **{name: (_activation(name), "input") for name in (*_ACTIVATIONS.values(), *_ELEMENTWISE)},
    "_threshold": (_activation("threshold"), "input"),
    "log_sigmoid": (_activation("logsigmoid"), "input"),
    **{name: (_arithmetic(sign), "input other") for name, sign in _ARITHMETIC.items()},
    **dict.fromkeys(_SAME, (_same, "input")),
    **dict.fromkeys(_DROPOUTS, (MODULES["Dropout"], "input p")),
    **dict.fromkeys(("cat", "concat", "concatenate"), (_concat, "tensors dim")),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), (MODULES["ChannelShuffle"], "input groups")),
    "expand_as": (_expand_as, "input other"),
    "batch_norm": (_batch_norm, "input running_mean running_var weight bias training momentum eps"),
    "group_norm": (_group_norm, "input num_groups weight bias eps"),
    "instance_norm": (_group_norm, "input running_mean running_var weight bias use_input_stats momentum eps"),
    "linear": (_linear, "input weight bias"),
    "local_response_norm": (MODULES["LocalResponseNorm"], "input size alpha beta k"),
    "log_softmax": (_softmax, "input dim"),
    "softmax": (_softmax, "input dim"),
}
"""Functions of torch, methods of tensors and Python's operators, with the names of their arguments in order."""
