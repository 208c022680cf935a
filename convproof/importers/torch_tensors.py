"""PyTorch's operations on tensors of any rank that no layer kind describes: the shape of what they make, what they
demand of sizes, and what they cost. Which positions they read is not followed.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from convproof.errors import InputError
from convproof.importers.sizes import OTHERWISE, combine, letters_of, minus, plus, times
from convproof.importers.torch_graph import Call
from convproof.importers.torch_values import Computed, Indices
from convproof.importers.values import Constant, Flow, Inexpressible, axis_of

Sizes = list[Any]


def _over(a: Any, b: Any) -> Any:
    return combine("//", a, b)


def _sizes(call: Call, x: Flow | Constant) -> Sizes:
    """The shape of x, batch first."""
    return list(call.graph.extents(x))


def _axes(call: Call, rank: int, name: str = "dim", default: Any = None) -> list[int]:
    """The axes that are asked for, all of them where none is."""
    found = call.get(name, call.get("axis", default))
    if found is None:
        return list(range(rank))
    return [axis_of(each, rank) for each in (found if isinstance(found, tuple | list) else [found])]


def _kept_batch(call: Call, axes: Sequence[int]) -> None:
    if 0 in axes:
        raise Inexpressible("it works along the batch")


# --- the same elements ------------------------------------------------------------------------------------------------


def _permute(call: Call) -> Flow:
    sizes = _sizes(call, call.x)
    axes = [axis_of(call.graph.resolved(each), len(sizes)) for each in call.rest]
    if axes[:1] != [0]:
        raise Inexpressible("it moves the batch")
    return call.shaped([sizes[axis] for axis in axes], in_place=True)


def _transpose(call: Call) -> Flow:
    sizes = _sizes(call, call.x)
    a, b = (axis_of(call.get(name), len(sizes)) for name in ("dim0", "dim1"))
    _kept_batch(call, (a, b))
    sizes[a], sizes[b] = sizes[b], sizes[a]
    return call.shaped(sizes, in_place=True)


def _reshape(call: Call) -> Flow:
    """A shape with as many values: each axis of what is read is split or joined where the letters of sizes say so."""
    sizes = _sizes(call, call.x)
    target = list(call.rest)
    if call.op == "flatten":
        first, last = (axis_of(call.get(*each), len(sizes)) for each in (("start_dim", 0), ("end_dim", -1)))
        target = [*sizes[:first], call.graph.times(sizes[first : last + 1]), *sizes[last + 1 :]]
    if not target or not call.graph.is_batch(target[0]):
        raise Inexpressible(OTHERWISE)
    whole, wanted = sizes[1:], target[1:]
    if -1 in wanted:
        place = wanted.index(-1)
        others = wanted[:place] + wanted[place + 1 :]
        wanted[place] = _rest(call, whole, others)
    _same_number(call, whole, wanted)
    return call.shaped([sizes[0], *wanted], in_place=True)


def _rest(call: Call, whole: Sizes, others: Sizes) -> Any:
    """What -1 stands for: what the other sizes leave."""
    left = list(whole)
    rest = list(others)
    for each in list(rest):
        same = next((n for n in left if call.graph.compared(operator.eq, n, each)), None)
        if same is not None:
            left.remove(same)
            rest.remove(each)
    if not rest:
        return call.graph.times(left)
    return _over(call.graph.times(left), call.graph.times(rest))


def _same_number(call: Call, whole: Sizes, wanted: Sizes) -> None:
    """Demands that there are as many values: axis by axis, where sizes that share letters stand in the same order."""
    a, b = call.graph.times(whole), call.graph.times(wanted)
    if call.graph.compared(operator.eq, a, b):
        return
    pairs = _aligned(call, whole, wanted)
    if pairs is None or not all(call.graph.compared(operator.ge, n, part) for n, part in pairs):
        pairs = [(a, b)]
    for n, part in pairs:
        if not call.graph.compared(operator.eq, n, part):
            call.graph.ask("equal", n, part)


def _aligned(call: Call, whole: Sizes, wanted: Sizes) -> list[tuple[Any, Any]] | None:
    """Each axis with the product of those that it is split into, where that can be told by the letters."""
    found, rest = [], list(wanted)
    for place, n in enumerate(whole):
        letters = letters_of([n])
        last = place == len(whole) - 1
        part: Sizes = []
        while rest and (last or _belongs(call, n, letters, [*part, rest[0]], rest)):
            part.append(rest.pop(0))
        if not part:
            return None
        found.append((n, call.graph.times(part)))
    return None if rest else found


def _belongs(call: Call, n: Any, letters: set[Any], part: Sizes, rest: Sizes) -> bool:
    """Whether the next size is a part of an axis: it has its letters, or none, and does not make it too large."""
    own = letters_of([part[-1]])
    return own <= letters and call.graph.compared(operator.ge, n, call.graph.times(part)) is True


def _unsqueeze(call: Call) -> Flow:
    sizes = _sizes(call, call.x)
    axis = axis_of(call.get("dim"), len(sizes) + 1)
    _kept_batch(call, [axis])
    return call.shaped([*sizes[:axis], 1, *sizes[axis:]], in_place=True)


def _expand(call: Call) -> Flow:
    sizes = _sizes(call, call.x)
    if call.op == "expand_as":
        other = call.raw("other")
        if not isinstance(other, Flow):
            raise Inexpressible("it is as large as something else")
        return call.shaped(_sizes(call, other), in_place=True)
    wanted = list(call.rest)
    ahead = [1] * (len(wanted) - len(sizes))
    return call.shaped([n if m == -1 else m for m, n in zip(wanted, [*ahead, *sizes], strict=True)], in_place=True)


# --- parts and several ------------------------------------------------------------------------------------------------


def _index(call: Call) -> Flow:
    """Slices with steps along any axis but the batch; a number takes one position of an axis, which goes away."""
    sizes, given = _sizes(call, call.x), call.raw("index")
    index = list(given) if isinstance(given, tuple) else [given]
    missing = len(sizes) - sum(each is not None and each is not ... for each in index)
    place = index.index(...) if ... in index else len(index)
    index[place : place + 1] = [slice(None)] * missing
    made: Sizes = []
    for each in index:
        n = None if each is None else sizes.pop(0)
        if each is None:
            made.append(1)
        elif isinstance(each, slice):
            made.append(n if each == slice(None) else _length(call, each, n))
        elif isinstance(each, int) and made:
            call.graph.ask("above", n, each if each >= 0 else -each - 1)
        else:
            raise Inexpressible("it takes a part of what it reads")
    y = call.shaped(made, in_place=True)
    call.graph.absorb([y.layer])
    return y


def _length(call: Call, part: slice, n: Any) -> Any:
    """How many positions a slice has."""
    step, start, stop = (call.graph.resolved(each) for each in (part.step, part.start, part.stop))
    step, start = 1 if step is None else step, 0 if start is None else start
    if not (isinstance(step, int) and step > 0 and start >= 0 and stop is None):
        raise Inexpressible("it takes a part of what it reads")
    return _over(plus(n, step - 1 - start), step)


def _joined(call: Call) -> Flow:
    flows = list(call.raw("tensors"))
    if not all(isinstance(each, Flow) for each in flows):
        raise Inexpressible("it joins what does not depend on the image")
    shapes = [_sizes(call, each) for each in flows]
    stacks = call.op == "stack"
    rank = len(shapes[0]) + stacks
    axis = axis_of(call.get("dim", call.get("axis", 0)), rank)
    _kept_batch(call, [axis])
    if len({len(each) for each in shapes}) > 1:
        raise Inexpressible("its operands have different numbers of axes")
    for other in shapes[1:]:
        for place, (n, m) in enumerate(zip(shapes[0], other, strict=True)):
            if (stacks or place != axis) and not call.graph.compared(operator.eq, n, m):
                call.graph.ask("equal", n, m)
    if stacks:
        return call.shaped([*shapes[0][:axis], len(flows), *shapes[0][axis:]])
    total: Any = shapes[0][axis]
    for other in shapes[1:]:
        total = plus(total, other[axis])
    return call.shaped([*shapes[0][:axis], total, *shapes[0][axis + 1 :]])


def _combined(call: Call) -> Flow:
    """A function of the elements of two tensors, of which one may be repeated along axes of size 1."""
    read = [each for each in (call.raw("input"), call.raw("other")) if isinstance(each, Flow | Constant)]
    if len(read) != 2 or any(each.shape is None for each in read):
        raise Inexpressible("it combines what is not known")
    a, b = (_sizes(call, each) for each in read)
    rank = max(len(a), len(b))
    made = [_repeated(call, *pair) for pair in zip([1] * (rank - len(a)) + a, [1] * (rank - len(b)) + b, strict=True)]
    return call.shaped(made)


def _repeated(call: Call, n: Any, m: Any) -> Any:
    """The size of an axis with n positions in one tensor and m in another."""
    compared = call.graph.compared
    if n == 1 or m == 1:
        return m if n == 1 else n
    if compared(operator.eq, n, m):
        return n
    if call.graph.decide(operator.eq, n, 1):
        return m
    if not call.graph.decide(operator.eq, m, 1):
        call.graph.ask("equal", n, m)
    return n


# --- sums and products ------------------------------------------------------------------------------------------------


def _reduced(call: Call) -> Any:
    """Sums, means, maxima and the like over some axes; a maximum over one also says where it is."""
    if isinstance(call.raw("dim"), Flow | Constant):
        call.settings["other"] = call.settings.pop("dim")
        return _combined(call)
    sizes = _sizes(call, call.x)
    axes = _axes(call, len(sizes))
    _kept_batch(call, axes)
    keeps = call.get("keepdim", call.get("keepdims", False))
    made = [1 if axis in axes else n for axis, n in enumerate(sizes) if keeps or axis not in axes]
    y = call.shaped(made)
    return (y, Computed("where the maxima are is not looked at")) if call.op in ("max", "min", "topk") else y


def _softmax(call: Call) -> Flow:
    sizes = _sizes(call, call.x)
    _kept_batch(call, _axes(call, len(sizes), default=1))
    return call.shaped(sizes)


def _linear(call: Call) -> Flow:
    """A fully connected layer on the last axis."""
    sizes, module = _sizes(call, call.x), call.module
    if module is not None:
        units, features = module.out_features, module.in_features
    else:
        weight = call.raw("weight")
        if not isinstance(weight, Constant) or weight.shape is None or len(weight.shape) != 2:
            raise Inexpressible("its weights are computed")
        units, features = weight.shape
    if not call.graph.compared(operator.eq, sizes[-1], features):
        call.graph.ask("equal", sizes[-1], features)
    return call.shaped([*sizes[:-1], units], macs=call.graph.times([*sizes[1:-1], features * units]))


def _normalized(call: Call) -> Flow:
    """Layer normalization over the last axes."""
    sizes = _sizes(call, call.x)
    shape = list(call.get("normalized_shape"))
    for n, m in zip(sizes[len(sizes) - len(shape) :], shape, strict=True):
        if not call.graph.compared(operator.eq, n, m):
            call.graph.ask("equal", n, m)
    return call.shaped(sizes)


def _matmul(call: Call) -> Flow:
    if len(call.flows) != 2:
        raise Inexpressible("it multiplies by what does not depend on the image")
    a, b = (_sizes(call, each) for each in call.flows)
    if len(a) != len(b) or len(a) < 3:
        raise Inexpressible("it multiplies tensors of different ranks")
    for n, m in [(a[-1], b[-2]), *zip(a[:-2], b[:-2], strict=True)]:
        if not call.graph.compared(operator.eq, n, m):
            call.graph.ask("equal", n, m)
    return call.shaped([*a[:-1], b[-1]], macs=call.graph.times([*a[1:], b[-1]]))


# --- windows ----------------------------------------------------------------------------------------------------------


def _windows(call: Call, sizes: Sequence[Any]) -> Sizes:
    """How many windows each axis has."""
    kernel, dilation, padding, stride = (
        call.spread(call.get(name, default), len(sizes))
        for name, default in (("kernel_size", None), ("dilation", 1), ("padding", 0), ("stride", 1))
    )
    return [
        plus(_over(plus(n, 2 * p - d * (k - 1) - 1), s), 1)
        for n, k, d, p, s in zip(sizes, kernel, dilation, padding, stride, strict=True)
    ]


def _of_rank(call: Call, rank: int) -> Sizes:
    """The shape of what it reads. Raises `InputError` where that has another number of axes."""
    sizes = _sizes(call, call.x)
    if len(sizes) != rank:
        raise InputError(f"it needs an input with {rank} axes, but {call.x.layer} has {len(sizes)}")
    return sizes


def _unfold(call: Call) -> Flow:
    sizes = _of_rank(call, 4)
    kernel = call.spread(call.get("kernel_size"), 2)
    counts = _windows(call, sizes[2:])
    return call.shaped([sizes[0], times([sizes[1], kernel[0] * kernel[1]]), call.graph.times(counts)])


def _fold(call: Call) -> Flow:
    sizes = _of_rank(call, 3)
    kernel = call.spread(call.get("kernel_size"), 2)
    wanted = list(call.spread(call.raw("output_size"), 2))
    channels = call.graph.exactly(sizes[1])
    if channels is None or channels % (kernel[0] * kernel[1]):
        raise InputError("blocks of the kernel do not divide its channels")
    counts = call.graph.times(_windows(call, wanted))
    if not call.graph.compared(operator.eq, sizes[2], counts):
        call.graph.ask("equal", sizes[2], counts)
    return call.shaped([sizes[0], channels // (kernel[0] * kernel[1]), *wanted])


def _resized(call: Call) -> Flow:
    """By factors that are sums of powers of 2, whose products with sizes are exact in floating point."""
    sizes = _sizes(call, call.x)
    if call.raw("size") is not None:
        return call.shaped([*sizes[:2], *call.spread(call.raw("size"), len(sizes) - 2)])
    factors = [float(each).as_integer_ratio() for each in call.spread(call.get("scale_factor"), len(sizes) - 2)]
    if any(q > 2**10 for _, q in factors):
        raise Inexpressible("what the framework rounds its factor to is not known")
    made = [_over(combine("*", n, p), q) for n, (p, q) in zip(sizes[2:], factors, strict=True)]
    return call.shaped([*sizes[:2], *made])


def _unpooled(call: Call) -> Flow:
    """Maxima in the places that they had; an output size may be less than a stride off the least one."""
    sizes, indices, rank = _sizes(call, call.x), call.raw("indices"), call.rank
    kernel = call.spread(call.get("kernel_size"), rank)
    stride = call.spread(call.get("stride") or call.get("kernel_size"), rank)
    padding = call.spread(call.get("padding", 0), rank)
    least = [
        plus(combine("*", minus(n, 1), s), k - 2 * p)
        for n, k, s, p in zip(sizes[2:], kernel, stride, padding, strict=True)
    ]
    asked = call.raw("output_size")
    made = least if asked is None else list(asked)[-rank:]
    for n, s, m in zip(least, stride, made, strict=True) if asked is not None else ():
        call.graph.ask("above", m, minus(n, s))
        call.graph.ask("above", plus(n, s), m)
    pooled = indices.x if isinstance(indices, Indices) else None
    of = [None] * rank if pooled is None else _sizes(call, pooled)[2:]
    if not all(n is not None and call.graph.compared(operator.eq, n, m) for n, m in zip(of, made, strict=True)):
        call.graph.undecide(call.place, "whether all maxima lie in an output of another size depends on their places")
    return call.shaped([*sizes[:2], *made])


Rule = Callable[[Call], Any]
_WINDOW = "input kernel_size dilation padding stride"
_REDUCE = "input dim keepdim"

MODULES: dict[str, Rule] = {
    "Flatten": _reshape,
    "Linear": _linear,
    "LayerNorm": _normalized,
    "RMSNorm": _normalized,
    "Softmax": _softmax,
    "Upsample": _resized,
    **{f"MaxUnpool{rank}d": _unpooled for rank in "123"},
    "Unfold": _unfold,
    "Fold": _fold,
}
FUNCTIONS: dict[str, tuple[Rule, str]] = {
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "std", "var", "prod", "norm"), (_reduced, _REDUCE)),
    **dict.fromkeys(("matmul", "bmm"), (_matmul, "input other")),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), (_joined, "tensors dim")),
    **dict.fromkeys(("softmax", "log_softmax"), (_softmax, "input dim")),
    **dict.fromkeys(("view", "reshape"), (_reshape, "input")),
    **dict.fromkeys(("transpose", "swapaxes"), (_transpose, "input dim0 dim1")),
    **dict.fromkeys(("add", "sub", "mul", "div", "truediv", "maximum", "minimum"), (_combined, "input other")),
    "expand": (_expand, "input"),
    "expand_as": (_expand, "input other"),
    "flatten": (_reshape, "input start_dim end_dim"),
    "fold": (_fold, "input output_size kernel_size dilation padding stride"),
    "getitem": (_index, "input index"),
    "interpolate": (_resized, "input size scale_factor mode align_corners recompute_scale_factor antialias"),
    "layer_norm": (_normalized, "input normalized_shape weight bias eps"),
    "linear": (_linear, "input weight bias"),
    "permute": (_permute, "input"),
    **{f"max_unpool{rank}d": (_unpooled, "input indices kernel_size stride padding output_size") for rank in "123"},
    "unfold": (_unfold, _WINDOW),
    "unsqueeze": (_unsqueeze, "input dim"),
}
