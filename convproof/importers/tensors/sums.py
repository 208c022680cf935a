"""Sums, norms and products of tensors of any rank, and what they cost."""

from __future__ import annotations

import operator
from typing import Any

from convproof.errors import InputError
from convproof.importers.calls import Call
from convproof.importers.sizes import plus, times
from convproof.importers.tensors.asked import (
    axes_of,
    axis_asked,
    broadcast,
    combined,
    demand_equal,
    kept_batch,
    layout_of,
    number_of,
    sizes_of,
)
from convproof.importers.values import Computed, Constant, Flow, Inexpressible


def reduced(call: Call) -> Any:
    """Sums, means, maxima and the like over some axes; a maximum over one also says where it is."""
    if isinstance(call.raw("dim"), Flow | Constant):
        return combined(call)
    sizes = sizes_of(call)
    axes = axes_of(call, len(sizes))
    kept_batch(call, sizes, axes)
    keeps = call.get("keepdim", call.get("keepdims", False))
    call.may_be_empty(call.flows, [sizes[axis] for axis in axes], "is reduced")
    made = [1 if axis in axes else n for axis, n in enumerate(sizes) if keeps or axis not in axes]
    y = call.shaped(made, layout=layout_of(call, axes) if keeps else None)
    if call.op in ("std_mean", "var_mean"):
        return y, y
    return (y, Computed("where the maxima are is not looked at")) if call.op in ("max", "min") else y


def along(call: Call) -> Any:
    """What runs over some axes, and keeps them."""
    sizes = sizes_of(call)
    default = 1 if call.op in ("softmax", "Softmax", "log_softmax", "normalize") else None
    axes = axes_of(call, len(sizes), default=default)
    kept_batch(call, sizes, axes)
    return call.shaped(sizes, layout=layout_of(call, axes))


def topk(call: Call) -> Any:
    sizes = sizes_of(call)
    axis = axis_asked(call, len(sizes), -1)
    kept_batch(call, sizes, [axis])
    if not call.graph.compared(operator.ge, sizes[axis], call.get("k")):
        call.graph.ask("at_least", sizes[axis], call.get("k"))
    sizes[axis] = call.get("k")
    return call.shaped(sizes), Computed("where the largest are is not looked at")


def linear(call: Call) -> Any:
    """A fully connected layer on the last axis."""
    sizes, module = sizes_of(call), call.module
    if module is not None:
        units, features = module.out_features, module.in_features
    else:
        shape = sizes_of(call, call.raw("weight"))
        if len(shape) != 2:
            raise Inexpressible("its weights are computed")
        units, features = shape
    demand_equal(call, sizes[-1], features)
    macs = number_of(call, [*sizes[:-1], features, units])
    return call.shaped([*sizes[:-1], units], macs=macs, layout=layout_of(call, [-1]))


def normalized(call: Call) -> Any:
    """Layer normalization over the last axes."""
    sizes, given = sizes_of(call), call.get("normalized_shape")
    shape = list(given) if isinstance(given, tuple | list) else [given]
    for n, m in zip(sizes[len(sizes) - len(shape) :], shape, strict=True):
        demand_equal(call, n, m)
    return call.shaped(sizes, layout=layout_of(call, [-1]) if len(shape) == 1 else None)


def batch_normalized(call: Call) -> Any:
    """By stored statistics of the second axis."""
    sizes, module = sizes_of(call), call.module
    if module.running_mean is None:
        raise Inexpressible("it normalizes by the statistics of what it reads")
    if len(sizes) not in ((2, 3) if call.rank == 1 else (2 + call.rank,)):
        raise InputError(f"it has no rule for {len(sizes)} axes")
    demand_equal(call, sizes[1], module.num_features)
    return call.shaped(sizes)


def matmul(call: Call) -> Any:
    """Matrix products, of which the axes before the last two are repeated where they have size 1."""
    a, b = (sizes_of(call, call.raw(name)) for name in ("input", "other"))
    if min(len(a), len(b)) < 2:
        raise Inexpressible("it multiplies by a vector")
    demand_equal(call, a[-1], b[-2])
    call.may_be_empty(call.flows, [a[-1]], "is multiplied")
    rank = max(len(a), len(b))
    ahead = zip([1] * (rank - len(a)) + a[:-2], [1] * (rank - len(b)) + b[:-2], strict=True)
    made = [broadcast(call, *pair) for pair in ahead]
    return call.shaped([*made, a[-2], b[-1]], macs=number_of(call, [*made, *a[-2:], b[-1]]))


def einsum(call: Call) -> Any:
    """A sum of products, one letter an axis; every term counts once."""
    equation = call.get("equation")
    tensors = [each for each in call.rest if isinstance(each, Flow | Constant)]
    if not isinstance(equation, str) or "." in equation or "->" not in equation:
        raise Inexpressible("its equation leaves axes or the result open")
    read, made = equation.replace(" ", "").split("->")
    sizes: dict[str, Any] = {}
    for letters, each in zip(read.split(","), tensors, strict=True):
        for letter, n in zip(letters, sizes_of(call, each), strict=True):
            if letter in sizes:
                demand_equal(call, sizes[letter], n)
            sizes.setdefault(letter, n)
    return call.shaped([sizes[letter] for letter in made], macs=number_of(call, list(sizes.values())))


def attention(call: Call) -> Any:
    """Scaled dot products of queries and keys, and the values weighted by them."""
    q, k, v = (sizes_of(call, call.raw(name)) for name in ("query", "key", "value"))
    if call.get("enable_gqa", False):
        raise Inexpressible("its queries have more heads than its keys")
    demand_equal(call, q[-1], k[-1])
    demand_equal(call, k[-2], v[-2])
    made = [broadcast(call, broadcast(call, a, b), c) for a, b, c in zip(q[:-2], k[:-2], v[:-2], strict=True)]
    if call.raw("attn_mask") is not None:
        mask, weights = sizes_of(call, call.raw("attn_mask")), [*made, q[-2], k[-2]]
        for n, m in zip(weights[len(weights) - len(mask) :], mask, strict=True):
            if m != 1:
                demand_equal(call, n, m)
    macs = call.graph.times([number_of(call, [*made, q[-2]]), k[-2], plus(q[-1], v[-1])])
    return call.shaped([*made, q[-2], v[-1]], macs=macs)


def multi_head(call: Call) -> Any:
    """Attention with its four projections."""
    q, k, v = (sizes_of(call, call.raw(name)) for name in ("query", "key", "value"))
    module = call.module
    masked = call.raw("key_padding_mask") is not None or call.raw("attn_mask") is not None
    if masked or module.bias_k is not None or module.add_zero_attn or len(q) != 3:
        raise Inexpressible("it attends to more, or less, than it reads")
    batch, positions, (width, read) = 1 - module.batch_first, int(module.batch_first), (module.embed_dim, k)
    for shape, n in ((q, width), (k, module.kdim), (v, module.vdim)):
        demand_equal(call, shape[-1], n)
    demand_equal(call, q[batch], k[batch])
    demand_equal(call, k[positions], v[positions])
    own = times([q[positions], 2 * width * width])
    other = times([read[positions], (module.kdim + module.vdim) * width])
    products = times([q[positions], read[positions], 2 * width])
    y = call.shaped(q, macs=plus(plus(own, other), products))
    return y, Computed("its weights are not looked at")
