"""The other modules and functions of PyTorch as layers, and the tables of all of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import partial
from math import prod

from convproof.architecture import Layer, layers
from convproof.errors import InputError
from convproof.importers import reshapes, windows
from convproof.importers.calls import Call, Rule
from convproof.importers.values import GATED, Computed, Constant, Flow, Inexpressible, axis_of

# --- element by element -----------------------------------------------------------------------------------------------


def _of_each(call: Call, name: str) -> Flow:
    """A function of each element of what it reads."""
    if len(call.flows) > 1:
        raise Inexpressible("it reads two activations")
    if any(c.size != 1 for c in call.reads(Constant)) and name not in (*_ARITHMETIC.values(), "prelu"):
        raise Inexpressible("it reads several numbers")
    for each in call.reads(Computed):
        if not each.of_sizes:  # else a number, whatever it is
            raise Inexpressible(each.why)
    return call.elementwise(layers.ReLU() if name == "relu" else layers.Activation(name), call.flows[0])


def _activation(name: str) -> Rule:
    return lambda call: _of_each(call, name)


def _prelu(call: Call) -> Flow:
    """One slope, or one for each channel."""
    slopes = call.module.num_parameters if call.module else prod(windows.weight_shape(call))
    made = partial(_of_each, call, "prelu")
    return made() if slopes == 1 else _per_channel(call, call.x, slopes, made)


def _per_channel(call: Call, x: Flow, count: int, build: Callable[[], Flow]) -> Flow:
    """A layer with so many stored numbers, one for each channel, where its kind says nothing of their number."""
    if x.shape is not None:
        call.graph.need(x, len(x.shape), count)
    channels = call.graph.channels(x)
    if x.shape is None or channels == count:
        return build()
    if isinstance(channels, int):
        return call.add(layers.Affine(num_features=count), [x])  # it fits no image
    raise Inexpressible(f"whether what it reads has {count} channels is not known")


def _same(call: Call) -> Flow:
    return call.x


def _arithmetic(name: str) -> Rule:
    def rule(call: Call) -> Flow:
        flows, others = call.flows, [each for each in map(call.raw, ("input", "other")) if not isinstance(each, Flow)]
        if len(flows) == 1 and isinstance(others[0], Constant):
            return _with_constant(call, name, flows[0], others[0])
        if len(flows) == 1:
            return flows[0] if name == "add" and others[0] == 0 else _of_each(call, name)
        if name != "add" and (of_one := _of_one(call, name, flows)) is not None:
            return of_one
        if name not in ("add", "mul"):
            raise Inexpressible("it combines activations otherwise than by a sum or a product")
        call.graph.together(flows)
        made = _sum(call) if name == "add" else _product(call, *flows)
        if call.in_place:
            _stays(call, *flows)
        return made

    return rule


def _stays(call: Call, x: Flow, other: Flow) -> None:
    """Demands of what is changed in place that it is no smaller than the other."""
    if x.shape is not None and other.shape is not None:
        if len(x.shape) != len(other.shape):
            raise Inexpressible("it changes what has another number of axes in place")
        for n, m in zip(x.shape, other.shape, strict=True):
            if not call.graph.compared(operator.ge, n, m):
                call.graph.ask("at_least", n, m)


def _keeps(call: Call, x: Flow, other: Flow) -> bool:
    """Whether x takes the other in place: at no size is it smaller."""
    if x.shape is None or other.shape is None:
        return True  # nothing is known in any case
    alike = zip(x.shape, other.shape, strict=False)
    return len(x.shape) == len(other.shape) and all(m in (1, n) for n, m in alike)


def _sum(call: Call) -> Flow:
    made = call.add(layers.Add(broadcast=True), call.flows)
    if call.get("alpha", 1) != 1:
        call.note(made, "multiplies one of the branches by a number")
    return made


def _product(call: Call, a: Flow, b: Flow) -> Flow:
    a, b = _once(call, a, b), _once(call, b, a)
    pair = call.graph.scaled((a, b), [call.graph.vector(each) for each in (a, b)])
    return call.add(layers.Scale(), pair) if pair else call.add(layers.Multiply(broadcast=True), (a, b))


def _of_one(call: Call, name: str, flows: list[Flow]) -> Flow | None:
    """Several functions of each element of one layer, combined: again one, of the last layer that all come from."""
    chains = [call.graph.chain(each) for each in flows]
    common = next((layer for layer in chains[0] if all(layer in chain for chain in chains)), None)
    if common is None:
        return None
    gates = [call.graph.nodes[chain[0]].layer for chain in chains if chain[1:2] == [common]]
    for chain in chains:
        call.graph.absorb(chain[: chain.index(common)])
    if name == "mul" and len(gates) == 1 and isinstance(gates[0], layers.Activation):
        name = GATED.get(gates[0].name, name) if common in [each.layer for each in flows] else name
    return call.elementwise(layers.Activation(name), call.graph.flows[common])


def _once(call: Call, x: Flow, other: Flow) -> Flow:
    """What x repeats to be as large as the other factor, which goes without saying; x, where it does not."""
    part, like = call.graph.repeated.get(x.layer, (x, x))
    if part.layer == x.layer or like.layer != other.layer or not _keeps(call, like, part):
        return x
    call.graph.absorb([x.layer])
    return part


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
    if c.size != 1 and (aligned[1] != c.size or call.graph.channels(x) == 1):
        raise Inexpressible(f"a constant of shape {c.shape} is neither one number nor one for each channel")
    if c.size == 1:
        return _of_each(call, name)
    if name == "div" and not isinstance(call.raw("input"), Flow):
        raise Inexpressible(f"a constant of shape {c.shape} is divided by what it reads")
    assert c.size is not None  # its shape is known
    if not c.sources:
        return _per_channel(call, x, c.size, lambda: _of_each(call, name))
    call.graph.need(x, len(shape), c.size)
    return call.add(layers.Affine(name in ("mul", "div"), name in ("add", "sub"), c.size), [x])


# --- fully connected, normalisation and the like ----------------------------------------------------------------------


def _linear(call: Call) -> Flow:
    module, x = call.module, call.x
    units, features = (module.out_features, module.in_features) if module else windows.weight_shape(call)
    if x.shape is not None and len(x.shape) != 2:
        raise Inexpressible("it reads the last of several axes")
    call.graph.need(x, 2, features)
    return windows.with_weight(call, call.add(layers.Linear(units, call.has_bias, features), [x]))


def _norm_rank(call: Call, x: Flow) -> int:
    """How many axes a normalization reads, as its name says; one of no certain rank takes any."""
    named = re.fullmatch(r"(Batch|Instance)Norm([123])d", call.op)
    rank = len(call.graph.shape(x))
    return rank if named is None or (call.op == "BatchNorm1d" and rank == 2) else 2 + int(named[2])


def _batch_norm(call: Call) -> Flow:
    x = call.x
    if call.module is not None:
        of_batch = call.module.running_mean is None
    else:
        of_batch = call.raw("running_mean") is None or call.get("training", False)
    if of_batch:
        raise Inexpressible("it normalizes by the statistics of what it reads")
    if call.module is None and not isinstance(call.raw("running_mean"), Constant):
        raise Inexpressible("its statistics are computed")
    if call.learned and not call.has_bias:
        raise Inexpressible("it has no shift")
    if x.shape is None:
        return call.add(layers.BatchNorm(call.get("eps", 1e-5)), [x])
    if not call.learned:
        count = call.module.num_features if call.module else call.raw("running_mean").size
        made = _per_channel(call, x, count, lambda: call.elementwise(layers.Activation("batch_norm"), x))
        call.note(made, "learns nothing; it is taken as a fixed function of each element")
        return made
    channels = call.module.num_features if call.module else windows.weight_shape(call)[0]
    call.graph.need(x, _norm_rank(call, x), channels)
    return call.add(layers.BatchNorm(call.get("eps", 1e-5), channels), [x])


def _group_norm(call: Call) -> Flow:
    """Group or instance normalization; one that keeps statistics is a batch normalization in evaluation."""
    if call.raw("track_running_stats") or call.raw("running_mean") is not None or call.get("use_input_stats") is False:
        return _batch_norm(call)
    x, eps, affine = call.x, call.get("eps", 1e-5), bool(call.learned)
    scaled = affine and not call.has_bias
    channels = None
    if affine:  # else torch takes any
        module = call.module
        channels = getattr(module, "num_channels", None) or getattr(module, "num_features", None)
        channels = channels or windows.weight_shape(call)[0]
    groups = call.get("num_groups")
    if x.shape is not None:
        if x.shape[0] != call.graph.batch or (groups is None and len(x.shape) < 3):
            raise Inexpressible("what it normalizes is not that of an image")
        call.graph.need(x, _norm_rank(call, x), channels)
    own = (affine, channels) if not scaled else (False, None)
    layer = layers.InstanceNorm(eps, *own) if groups is None else layers.GroupNorm(groups, eps, *own)
    if not scaled:
        return call.add(layer, [x])
    return call.add(layers.Affine(True, False, channels), [call.add(layer, [x], ".norm")])


def _lrn(call: Call) -> Layer:
    if call.x.shape is not None and len(call.x.shape) < 3:
        raise InputError("it needs an input with 3 axes or more")
    alpha, beta, k = (call.get(*each) for each in (("alpha", 1e-4), ("beta", 0.75), ("k", 1.0)))
    return layers.LocalResponseNorm(call.get("size"), alpha, beta, k)


def _kept(build: Callable[[Call], Layer]) -> Rule:
    """A layer that keeps the shape."""
    return lambda call: call.add(build(call), [call.x])


def _softmax(call: Call) -> Flow:
    x, axis = call.x, call.get("dim", call.get("axis"))
    rank = len(call.graph.extents(x))
    if axis is None:
        axis = 0 if rank == 3 and call.op != "Softmax2d" else 1  # as torch chooses
    if axis_of(axis, rank) != 1:
        raise Inexpressible("it runs over another axis than the channels")
    if not call.op.lower().startswith("log"):
        return call.add(layers.Softmax(), [x])
    return call.elementwise(layers.Activation("log"), call.add(layers.Softmax(), [x], ".softmax"))


def _concat(call: Call) -> Flow:
    flows: list[Flow] = list(call.raw("tensors"))
    if not all(isinstance(each, Flow) for each in flows):
        raise Inexpressible("it joins what does not depend on the image")
    shapes = [each.shape for each in flows if each.shape is not None]
    axis = call.get("dim", call.get("axis", 0))
    if (axis_of(axis, len(shapes[0])) if shapes else axis) != 1:
        raise Inexpressible("it joins along another axis than the channels")
    call.graph.together(flows)
    return flows[0] if len(flows) == 1 else call.add(layers.Concat(), flows)


# --- the tables -------------------------------------------------------------------------------------------------------

_ACTIVATIONS = {"LeakyReLU": "leaky_relu"} | {kind: kind.lower() for kind in (
    "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LogSigmoid", "Mish", "PReLU", "ReLU",
    "ReLU6", "RReLU", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
    "Threshold",
)}  # fmt: skip
_ELEMENTWISE = (
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "clamp", "clip", "cos", "cosh", "erf", "exp",
    "expm1", "floor", "invert", "isinf", "isnan", "log", "log1p", "neg", "pow", "reciprocal", "round", "rsqrt",
    "shrink", "sign", "sin", "sinh", "sqrt", "square", "tan", "trunc",
)  # fmt: skip
_ARITHMETIC = {"add": "add", "sub": "sub", "mul": "mul", "multiply": "mul", "div": "div", "truediv": "div"}
SAME = (
    "Identity",
    "bfloat16", "clone", "contiguous", "cpu", "cuda", "detach", "double", "float", "half", "int", "long",
    "requires_grad", "to", "type_as",
)  # fmt: skip
"""What changes nothing but how, and where, numbers are stored."""
_DROPOUTS = (
    "alpha_dropout", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout", "feature_dropout",
)  # fmt: skip

ELEMENTWISE = (*_ACTIVATIONS, *_ACTIVATIONS.values(), *_ELEMENTWISE, *_DROPOUTS, "Dropout")
"""Modules and functions that work on each element alone, whatever the axes."""

MODULES: dict[str, Rule] = {
    **windows.MODULES,
    **reshapes.MODULES,
    **{kind: _activation(name) for kind, name in _ACTIVATIONS.items()},
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"), _batch_norm),
    **dict.fromkeys(
        ("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
        _kept(lambda call: layers.Dropout(call.get("p", 0.5))),
    ),
    **dict.fromkeys(("GroupNorm", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), _group_norm),
    "ChannelShuffle": _kept(lambda call: layers.ChannelShuffle(call.get("groups"))),
    "Identity": _same,
    "PReLU": _prelu,
    "Linear": _linear,
    "LocalResponseNorm": _kept(_lrn),
    "LogSoftmax": _softmax,
    "Softmax": _softmax,
    "Softmax2d": _softmax,
}
"""Modules as layers, one rule a class of torch.nn."""

FUNCTIONS: dict[str, tuple[Rule, str]] = {
    **windows.FUNCTIONS,
    **reshapes.FUNCTIONS,
    **{name: (_activation(name), "input") for name in (*_ACTIVATIONS.values(), *_ELEMENTWISE)},
    "_threshold": (_activation("threshold"), "input"),
    "log_sigmoid": (_activation("logsigmoid"), "input"),
    **{name: (_arithmetic(sign), "input other") for name, sign in _ARITHMETIC.items()},
    **dict.fromkeys(SAME, (_same, "input")),
    **dict.fromkeys(_DROPOUTS, (MODULES["Dropout"], "input p")),
    **dict.fromkeys(("cat", "concat", "concatenate"), (_concat, "tensors dim")),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), (MODULES["ChannelShuffle"], "input groups")),
    "expand_as": (_expand_as, "input other"),
    "batch_norm": (_batch_norm, "input running_mean running_var weight bias training momentum eps"),
    "group_norm": (_group_norm, "input num_groups weight bias eps"),
    "instance_norm": (_group_norm, "input running_mean running_var weight bias use_input_stats momentum eps"),
    "linear": (_linear, "input weight bias"),
    "prelu": (_prelu, "input weight"),
    "local_response_norm": (MODULES["LocalResponseNorm"], "input size alpha beta k"),
    "log_softmax": (_softmax, "input dim"),
    "softmax": (_softmax, "input dim"),
}
"""Functions of torch, methods of tensors and Python's operators, with the names of their arguments in order."""
