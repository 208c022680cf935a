"""PyTorch's operations on tensors of any rank that no layer kind describes: the shape of what they make, what they
demand of sizes, and what they cost. Which positions they read is not followed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

from convproof.errors import InputError
from convproof.importers.calls import Call, Rule, Tensor
from convproof.importers.sizes import combine, letters_of, minus, over, plus, times
from convproof.importers.values import Computed, Constant, Flow, Indices, Inexpressible, axis_of
from convproof.symbolic.amounts import Formula

Sizes = list[Any]


def _sizes(call: Call, *of: Any) -> Sizes:
    """The shape of what it reads, or `of` something else, with the batch; `Inexpressible` where that is no tensor."""
    (x,) = of or (call.tensor,)
    if not isinstance(x, Flow | Constant):
        raise Inexpressible("it reads what is no tensor")
    return list(call.graph.extents(x))


def _axes(call: Call, rank: int, name: str = "dim", default: Any = None) -> list[int]:
    """The axes that are asked for, all of them where none is."""
    found = call.get(name, call.get("axis", default))
    if found is None:
        return list(range(rank))
    return [axis_of(each, rank) for each in (found if isinstance(found, tuple | list) else [found])]


def _axis(call: Call, rank: int, default: Any = None) -> int:
    """The axis that is asked for."""
    (found,) = _axes(call, rank, default=default)
    return found


def _layout(call: Call, axes: Sequence[int] | None = None) -> tuple[int, ...] | None:
    """The layout of what it reads, if it works on each position alone: on each element, or along these axes, which are
    the channels.
    """
    found = {call.graph.layout(each) for each in call.flows}
    (own,) = found if len(found) == 1 else (None,)
    return own if own is None or axes is None or [own[axis] for axis in axes] == [1] else None


def _kept_batch(call: Call, sizes: Sequence[Any], axes: Sequence[int]) -> None:
    if any(call.graph.has_batch(sizes[axis]) for axis in axes):
        raise Inexpressible("it works along the batch")


def _equal(call: Call, n: Any, m: Any) -> None:
    """Demands that two sizes are equal."""
    if not call.graph.alike(n, m):
        call.graph.ask("equal", n, m)


def _batched(call: Call, n: Any, m: Any) -> Any:
    """Of two sizes that are equal the one that has the batch, which a file may write as a number."""
    return m if call.graph.has_batch(m) else n


def _without_batch(call: Call, n: Any) -> Any:
    return over(n, call.graph.batch) if call.graph.has_batch(n) else n


def _number_of(call: Call, sizes: Sequence[Any]) -> Any:
    """How many values there are for one image."""
    return call.graph.times(_without_batch(call, n) for n in sizes)


# --- the same elements ------------------------------------------------------------------------------------------------


def _alike(call: Call) -> Any:
    """As many values on the same axes."""
    layout = None if call.op in ("roll", "flip") else _layout(call)
    return call.shaped(_sizes(call), layout=layout)


def unchanged(call: Call) -> Tensor:
    """What it reads."""
    return call.tensor


def elementwise(call: Call) -> Any:
    """A function of each element, which works in place; of those of several tensors, another one."""
    if call.op.lower() == "prelu":
        slopes = times(_sizes(call, call.raw("weight"))) if call.module is None else call.module.num_parameters
        if slopes != 1:
            _equal(call, _sizes(call)[1], slopes)
    elif len(call.reads(Flow | Constant)) > 1:
        return _combined(call)
    return call.shaped(_sizes(call), in_place=True, layout=_layout(call))


def _permute(call: Call) -> Any:
    sizes = _sizes(call)
    axes = [axis_of(call.graph.resolved(each), len(sizes)) for each in call.rest] or [*reversed(range(len(sizes)))]
    return _with_axes(call, sizes, axes)


def _with_axes(call: Call, sizes: Sizes, axes: Sequence[int]) -> Any:
    """The axes in another order."""
    own = _layout(call)
    layout = None if own is None else tuple(own[axis] for axis in axes)
    return call.shaped([sizes[axis] for axis in axes], in_place=True, layout=layout)


def _transpose(call: Call) -> Any:
    sizes = _sizes(call)
    a, b = (axis_of(call.get(*each), len(sizes)) for each in (("dim0", -1), ("dim1", -2)))
    axes = list(range(len(sizes)))
    axes[a], axes[b] = axes[b], axes[a]
    return _with_axes(call, sizes, axes)


def _moved(call: Call) -> Any:
    sizes = _sizes(call)
    axis, place = (axis_of(call.get(name), len(sizes)) for name in ("source", "destination"))
    axes = list(range(len(sizes)))
    axes.insert(place, axes.pop(axis))
    return _with_axes(call, sizes, axes)


def _reshape(call: Call) -> Any:
    """A shape with as many values: each axis of what is read is split or joined where the letters of sizes say so."""
    sizes, graph = _sizes(call), call.graph
    target = list(call.rest)
    if call.op in ("flatten", "Flatten"):
        default = 0 if call.module is None else 1
        first, last = (axis_of(call.get(*each), len(sizes)) for each in (("start_dim", default), ("end_dim", -1)))
        target = [*sizes[:first], graph.times(sizes[first : last + 1]), *sizes[last + 1 :]]
    elif call.op in ("reshape_as", "view_as"):
        target = _sizes(call, call.raw("other"))
    elif call.op in ("unflatten", "Unflatten"):
        axis = _axis(call, len(sizes))
        target = [*sizes[:axis], *call.raw("unflattened_size", call.raw("sizes")), *sizes[axis + 1 :]]
    leading = call.flows and target[:1] == [1] and (-1 not in target or sizes[:1] == [graph.batch])
    if leading and not any(map(graph.has_batch, target)):
        target[0] = graph.batch
    if -1 in target:
        place = target.index(-1)
        target[place] = _rest(call, sizes, target[:place] + target[place + 1 :])
    if call.op == "view":
        contiguous(call)
    if call.flows:
        _same_number(call, graph.of_image(sizes), graph.of_image(target))
    return call.shaped(target, in_place=True)


def contiguous(call: Call) -> None:
    """A view fails where the elements do not lie in memory in order, unless it does no more than divide axes."""
    if call.is_strided and not _divides(_sizes(call), list(call.rest)):
        why = "a view of what is not contiguous fails in torch, at some sizes or all; use reshape"
        call.graph.undecide(call.place, why)


def _divides(sizes: Sizes, target: Sizes) -> bool:
    """Whether each axis becomes one or several that stand in its place."""
    for n in sizes:
        part: Any = 1
        while part != n and target:
            part = n if target[0] == -1 else times([part, target[0]])
            target.pop(0)
        if part != n:
            return False
    return all(n == 1 for n in target)


def _rest(call: Call, whole: Sizes, others: Sizes) -> Any:
    """What -1 stands for: what the other sizes leave."""
    left, rest = list(whole), list(others)
    for each in list(rest):
        same = next((n for n in left if call.graph.compared(operator.eq, n, each)), None)
        if same is not None:
            left.remove(same)
            rest.remove(each)
    batch = [call.graph.batch for n in left if call.graph.has_batch(n)]
    if batch and any(map(call.graph.has_batch, rest)):
        return over(times(left), times(rest))
    left = [n for n in (_without_batch(call, n) for n in left) if n != 1]
    numbers = math.prod(n for n in left if isinstance(n, int))
    if all(isinstance(n, int) for n in rest) and numbers % max(1, math.prod(rest)) == 0:
        left, rest = [numbers // max(1, math.prod(rest)), *(n for n in left if not isinstance(n, int))], []
    try:
        quotients = [over(times(left), times(rest))] if rest else left
    except Inexpressible:
        at_most_one = batch and _aligned(call, others, call.graph.of_image(whole))
        quotients = [] if at_most_one else [combine("//", times(left), times(rest))]
    return call.graph.times([*batch, *quotients])


def _same_number(call: Call, whole: Sequence[Any], wanted: Sequence[Any]) -> None:
    """Demands that there are as many values: axis by axis, where sizes that share letters stand in the same order."""
    a, b = times(whole), times(wanted)
    if call.graph.compared(operator.eq, a, b):
        return
    for n, part in _aligned(call, whole, wanted) or _aligned(call, wanted, whole) or [(a, b)]:
        _equal(call, n, part)


def _aligned(call: Call, whole: Sequence[Any], wanted: Sequence[Any]) -> list[tuple[Any, Any]] | None:
    """Each axis with the product of those that it is split into, where that can be told by the letters."""
    found, rest = [], list(wanted)
    for place, n in enumerate(whole):
        letters = letters_of(n)
        last = place == len(whole) - 1
        part: Sizes = []
        while rest and (last or _belongs(call, n, letters, [*part, rest[0]])):
            part.append(rest.pop(0))
        if not part:
            return None
        found.append((n, times(part)))
    if rest or not all(call.graph.compared(operator.ge, n, part) for n, part in found):
        return None
    return found


def _belongs(call: Call, n: Any, letters: set[Any], part: Sizes) -> bool:
    """Whether the next size is a part of an axis: it has its letters, or none, and does not make it too large."""
    return letters_of(part[-1]) <= letters and call.graph.compared(operator.ge, n, times(part)) is True


def _squeeze(call: Call) -> Any:
    sizes = _sizes(call)
    axes = [axis_of(call.graph.resolved(each), len(sizes)) for each in call.rest]
    if not axes:
        raise Inexpressible("without axes it takes the batch of a single image away, too; name the axes")
    gone = [axis for axis in axes if call.graph.decide(operator.eq, sizes[axis], 1)]
    return call.shaped([n for axis, n in enumerate(sizes) if axis not in gone], in_place=True)


def _unsqueeze(call: Call) -> Any:
    sizes = _sizes(call)
    sizes.insert(_axis(call, len(sizes) + 1), 1)
    return call.shaped(sizes, in_place=True)


def _expand(call: Call) -> Any:
    sizes = _sizes(call)
    if call.op == "expand_as":
        other = call.raw("other")
        if not isinstance(other, Flow | Constant):
            raise Inexpressible("it is as large as something else")
        wanted = _sizes(call, other)
    else:
        wanted = list(call.rest)
    ahead = [1] * (len(wanted) - len(sizes))
    made = [n if m == -1 else m for m, n in zip(wanted, [*ahead, *sizes], strict=True)]
    for n, m in zip(sizes, made[len(ahead) :], strict=True):
        if not call.graph.compared(operator.eq, n, 1):
            _equal(call, n, m)
    return call.shaped(made, in_place=True)


def _repeat(call: Call) -> Any:
    sizes, counts = _sizes(call), list(call.rest)
    return call.shaped([times(pair) for pair in zip([1] * (len(counts) - len(sizes)) + sizes, counts, strict=True)])


def _repeated_each(call: Call) -> Any:
    sizes = _sizes(call)
    axis = _axis(call, len(sizes))
    if not isinstance(call.get("repeats"), int):
        raise Inexpressible("it repeats what it reads by numbers of a tensor")
    sizes[axis] = times([sizes[axis], call.get("repeats")])
    return call.shaped(sizes)


# --- parts and several ------------------------------------------------------------------------------------------------


def _index(call: Call) -> Any:
    return _part(call, _indexed(call))


def _set(call: Call) -> Any:
    """What it reads, a part of it with other values."""
    part, value = _indexed(call), call.raw("value")
    own = _sizes(call, value) if isinstance(value, Flow | Constant) else []
    if len(own) > len(part):
        raise Inexpressible("it sets a part by more than it holds")
    for n, m in zip(part[len(part) - len(own) :], own, strict=True):
        if m != 1:
            _equal(call, n, m)
    return call.shaped(_sizes(call), in_place=True)


def _indexed(call: Call) -> Sizes:
    """Slices along any axis but the batch; a number takes one position of an axis, which goes away."""
    sizes, given = _sizes(call), call.raw("index")
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
        elif isinstance(each, int) and not call.graph.has_batch(n):
            _is_place(call, each, n)
        else:
            raise Inexpressible("it takes a part of what it reads")
    return made


def _part(call: Call, sizes: Sizes, layout: tuple[int, ...] | None = None) -> Any:
    """A part of what it reads, which may be empty where nothing reads it."""
    made = call.shaped(sizes, in_place=True, layout=layout)
    if isinstance(made, Flow):
        call.graph.absorb([made.layer])
    return made


def _is_place(call: Call, place: int, n: Any) -> None:
    """Demands that an axis of n positions has one in this place, which counts from its end where it is negative."""
    before = place if place >= 0 else -place - 1
    if not (before == 0 and call.graph.is_there(n)) and not call.graph.compared(operator.gt, n, before):
        call.graph.ask("above", n, before)


def _length(call: Call, part: slice, n: Any) -> Any:
    """How many positions a slice has."""
    step = call.graph.resolved(part.step)
    step = 1 if step is None else step
    if call.graph.has_batch(n) or not (isinstance(step, int) and step > 0):
        raise Inexpressible("it takes a part of what it reads")
    ends = (part.start, part.stop)
    if isinstance(n, int) and all(each is None or isinstance(each, int) for each in ends):
        return len(range(*slice(*ends, step).indices(n)))
    start, stop = placed(call, part.start, n, 0), placed(call, part.stop, n, n)
    return combine("//", plus(minus(stop, start), step - 1), step)


def placed(call: Call, place: Any, size: Any, missing: Any) -> Any:
    """Where an end of a slice is, as Python counts. A number from which on less is left than there is, is taken at its
    word: that something is left is demanded.
    """
    decide = call.graph.decide
    if place is None:
        return missing
    if isinstance(place, int) and place < 0 and missing is size:
        return plus(size, place)
    if decide(operator.lt, place, 0):
        place = plus(size, place)
        place = 0 if decide(operator.lt, place, 0) else place
    if isinstance(place, int) and missing == 0:
        return place
    return size if decide(operator.gt, place, size) else place


def _select(call: Call) -> Any:
    sizes = _sizes(call)
    axis = _axis(call, len(sizes))
    _kept_batch(call, sizes, [axis])
    _is_place(call, call.get("index"), sizes.pop(axis))
    return _part(call, sizes)


def _taken(call: Call) -> Any:
    """Positions of an axis that are listed: as many as there are places, on their axes."""
    sizes, places = _sizes(call), call.raw("index")
    axis = _axis(call, len(sizes))
    _kept_batch(call, sizes, [axis])
    known = isinstance(places, Constant) and places.values is not None
    for place in {n for n in places.values.flat if isinstance(n, int)} if known else ():
        _is_place(call, place, sizes[axis])
    if not known:
        call.graph.undecide(call.place, "whether there are positions in all places that it takes depends on values")
    return call.shaped([*sizes[:axis], *_sizes(call, places), *sizes[axis + 1 :]])


def _sampled(call: Call) -> Any:
    """As many positions as a grid has."""
    sizes, grid = _sizes(call), _sizes(call, call.raw("grid"))
    if len(grid) != len(sizes):
        raise Inexpressible("its grid has another number of axes")
    _equal(call, grid[-1], len(sizes) - 2)
    return call.shaped([*sizes[:2], *grid[1:-1]])


def _unbind(call: Call) -> Any:
    sizes = _sizes(call)
    n = call.graph.exactly(sizes.pop(axis := _axis(call, len(sizes), 0)))
    if n is None:
        raise Inexpressible(f"into how many parts axis {axis} goes depends on the size")
    return tuple(_part(call, sizes) for _ in range(n))


def _split(call: Call) -> Any:
    """Parts along an axis of so many positions each, or, if it is chunks, so many parts."""
    sizes = _sizes(call)
    axis = _axis(call, len(sizes), 0)
    n, each = call.graph.exactly(sizes[axis]), call.get("split_size", call.get("split_size_or_sections"))
    if n is None and isinstance(each, tuple | list):
        _equal(call, sizes[axis], sum(each))
        n = sum(each)
    if n is None:
        raise Inexpressible("into which parts an axis goes depends on the size")
    if call.op == "chunk":
        each = -(-n // call.get("chunks"))
    listed = list(each) if isinstance(each, tuple | list) else [min(each, n - start) for start in range(0, n, each)]
    if sum(listed) != n:
        raise InputError(f"its parts, {listed}, do not make up {n} positions")
    layout = _layout(call, [axis])
    return tuple(_part(call, [*sizes[:axis], part, *sizes[axis + 1 :]], layout) for part in listed)


def _narrow(call: Call) -> Any:
    sizes = _sizes(call)
    axis, start, length = _axis(call, len(sizes)), call.raw("start"), call.raw("length")
    _kept_batch(call, sizes, [axis])
    if call.graph.decide(operator.lt, start, 0):
        start = plus(sizes[axis], start)
    for n, least in ((start, 0), (sizes[axis], plus(start, length))):
        if not call.graph.compared(operator.ge, n, least):
            call.graph.ask("at_least", n, least)
    sizes[axis] = length
    return _part(call, sizes)


def _joined(call: Call) -> Any:
    tensors = list(call.raw("tensors"))
    shapes = [_sizes(call, each) for each in tensors]
    stacks = call.op == "stack"
    axis = axis_of(call.get("dim", call.get("axis", 0)), len(shapes[0]) + stacks)
    if len({len(each) for each in shapes}) > 1:
        raise Inexpressible("its operands have different numbers of axes")
    if not stacks and call.flows:
        _kept_batch(call, shapes[0], [axis])
    for other in shapes[1:]:
        for place, (n, m) in enumerate(zip(shapes[0], other, strict=True)):
            if stacks or place != axis:
                _equal(call, n, m)
                shapes[0][place] = _batched(call, n, m)
    if stacks:
        return call.shaped([*shapes[0][:axis], len(tensors), *shapes[0][axis:]])
    total: Any = shapes[0][axis]
    for other in shapes[1:]:
        total = plus(total, other[axis])
    layout = _layout(call, [axis]) if len(call.flows) == len(tensors) else None
    return call.shaped([*shapes[0][:axis], total, *shapes[0][axis + 1 :]], layout=layout)


def _combined(call: Call) -> Any:
    """A function of the elements of several tensors, which may be repeated along axes of size 1."""
    if call.op == "where" and len(call.args) + len(call.kwargs) < 3:
        raise Inexpressible("how many places it finds depends on values")
    made: Sizes = []
    for each in call.reads(Flow | Constant):
        more = _sizes(call, each)
        rank = max(len(made), len(more))
        pairs = zip([1] * (rank - len(made)) + made, [1] * (rank - len(more)) + more, strict=True)
        made = [_broadcast(call, *pair) for pair in pairs]
    if call.in_place:
        kept = _sizes(call)
        if len(kept) != len(made):
            raise Inexpressible("it changes a tensor in place that is smaller than what comes out")
        for n, m in zip(kept, made, strict=True):
            _equal(call, n, m)
    alike = all(_sizes(call, each) == made for each in call.flows)
    return call.shaped(made, layout=_layout(call) if alike else None)


def _broadcast(call: Call, n: Any, m: Any) -> Any:
    """The size of an axis with n positions in one tensor and m in another."""
    if n == 1 or m == 1:
        return m if n == 1 else n
    if call.graph.alike(n, m):
        return _batched(call, n, m)
    if call.graph.has_batch(n) or call.graph.has_batch(m):
        raise Inexpressible("it combines the batch with another axis")
    if call.graph.decide(operator.eq, n, 1):
        return m
    if not call.graph.decide(operator.eq, m, 1):
        call.graph.ask("equal", n, m)
    return n


# --- sums and products ------------------------------------------------------------------------------------------------


def _reduced(call: Call) -> Any:
    """Sums, means, maxima and the like over some axes; a maximum over one also says where it is."""
    if isinstance(call.raw("dim"), Flow | Constant):
        return _combined(call)
    sizes = _sizes(call)
    axes = _axes(call, len(sizes))
    _kept_batch(call, sizes, axes)
    keeps = call.get("keepdim", call.get("keepdims", False))
    made = [1 if axis in axes else n for axis, n in enumerate(sizes) if keeps or axis not in axes]
    y = call.shaped(made, layout=_layout(call, axes) if keeps else None)
    if call.op in ("std_mean", "var_mean"):
        return y, y
    return (y, Computed("where the maxima are is not looked at")) if call.op in ("max", "min") else y


def _along(call: Call) -> Any:
    """What runs over some axes, and keeps them."""
    sizes = _sizes(call)
    default = 1 if call.op in ("softmax", "Softmax", "log_softmax", "normalize") else None
    axes = _axes(call, len(sizes), default=default)
    _kept_batch(call, sizes, axes)
    return call.shaped(sizes, layout=_layout(call, axes))


def _topk(call: Call) -> Any:
    sizes = _sizes(call)
    axis = _axis(call, len(sizes), -1)
    _kept_batch(call, sizes, [axis])
    if not call.graph.compared(operator.ge, sizes[axis], call.get("k")):
        call.graph.ask("at_least", sizes[axis], call.get("k"))
    sizes[axis] = call.get("k")
    return call.shaped(sizes), Computed("where the largest are is not looked at")


def _linear(call: Call) -> Any:
    """A fully connected layer on the last axis."""
    sizes, module = _sizes(call), call.module
    if module is not None:
        units, features = module.out_features, module.in_features
    else:
        shape = _sizes(call, call.raw("weight"))
        if len(shape) != 2:
            raise Inexpressible("its weights are computed")
        units, features = shape
    _equal(call, sizes[-1], features)
    macs = _number_of(call, [*sizes[:-1], features, units])
    return call.shaped([*sizes[:-1], units], macs=macs, layout=_layout(call, [-1]))


def _normalized(call: Call) -> Any:
    """Layer normalization over the last axes."""
    sizes, given = _sizes(call), call.get("normalized_shape")
    shape = list(given) if isinstance(given, tuple | list) else [given]
    for n, m in zip(sizes[len(sizes) - len(shape) :], shape, strict=True):
        _equal(call, n, m)
    return call.shaped(sizes, layout=_layout(call, [-1]) if len(shape) == 1 else None)


def _batch_normalized(call: Call) -> Any:
    """By stored statistics of the second axis."""
    sizes, module = _sizes(call), call.module
    if module.running_mean is None:
        raise Inexpressible("it normalizes by the statistics of what it reads")
    if len(sizes) not in ((2, 3) if call.rank == 1 else (2 + call.rank,)):
        raise InputError(f"it has no rule for {len(sizes)} axes")
    _equal(call, sizes[1], module.num_features)
    return call.shaped(sizes)


def _matmul(call: Call) -> Any:
    """Matrix products, of which the axes before the last two are repeated where they have size 1."""
    a, b = (_sizes(call, call.raw(name)) for name in ("input", "other"))
    if min(len(a), len(b)) < 2:
        raise Inexpressible("it multiplies by a vector")
    _equal(call, a[-1], b[-2])
    rank = max(len(a), len(b))
    ahead = zip([1] * (rank - len(a)) + a[:-2], [1] * (rank - len(b)) + b[:-2], strict=True)
    made = [_broadcast(call, *pair) for pair in ahead]
    return call.shaped([*made, a[-2], b[-1]], macs=_number_of(call, [*made, *a[-2:], b[-1]]))


def _einsum(call: Call) -> Any:
    """A sum of products, one letter an axis; every term counts once."""
    equation = call.get("equation")
    tensors = [each for each in call.rest if isinstance(each, Flow | Constant)]
    if not isinstance(equation, str) or "." in equation or "->" not in equation:
        raise Inexpressible("its equation leaves axes or the result open")
    read, made = equation.replace(" ", "").split("->")
    sizes: dict[str, Any] = {}
    for letters, each in zip(read.split(","), tensors, strict=True):
        for letter, n in zip(letters, _sizes(call, each), strict=True):
            if letter in sizes:
                _equal(call, sizes[letter], n)
            sizes.setdefault(letter, n)
    return call.shaped([sizes[letter] for letter in made], macs=_number_of(call, list(sizes.values())))


def _attention(call: Call) -> Any:
    """Scaled dot products of queries and keys, and the values weighted by them."""
    q, k, v = (_sizes(call, call.raw(name)) for name in ("query", "key", "value"))
    if call.get("enable_gqa", False):
        raise Inexpressible("its queries have more heads than its keys")
    _equal(call, q[-1], k[-1])
    _equal(call, k[-2], v[-2])
    made = [_broadcast(call, _broadcast(call, a, b), c) for a, b, c in zip(q[:-2], k[:-2], v[:-2], strict=True)]
    if call.raw("attn_mask") is not None:
        mask, weights = _sizes(call, call.raw("attn_mask")), [*made, q[-2], k[-2]]
        for n, m in zip(weights[len(weights) - len(mask) :], mask, strict=True):
            if m != 1:
                _equal(call, n, m)
    macs = call.graph.times([_number_of(call, [*made, q[-2]]), k[-2], plus(q[-1], v[-1])])
    return call.shaped([*made, q[-2], v[-1]], macs=macs)


def _multi_head(call: Call) -> Any:
    """Attention with its four projections."""
    q, k, v = (_sizes(call, call.raw(name)) for name in ("query", "key", "value"))
    module = call.module
    masked = call.raw("key_padding_mask") is not None or call.raw("attn_mask") is not None
    if masked or module.bias_k is not None or module.add_zero_attn or len(q) != 3:
        raise Inexpressible("it attends to more, or less, than it reads")
    batch, positions, (width, read) = 1 - module.batch_first, int(module.batch_first), (module.embed_dim, k)
    for shape, n in ((q, width), (k, module.kdim), (v, module.vdim)):
        _equal(call, shape[-1], n)
    _equal(call, q[batch], k[batch])
    _equal(call, k[positions], v[positions])
    own = times([q[positions], 2 * width * width])
    other = times([read[positions], (module.kdim + module.vdim) * width])
    products = times([q[positions], read[positions], 2 * width])
    y = call.shaped(q, macs=plus(plus(own, other), products))
    return y, Computed("its weights are not looked at")


# --- windows ----------------------------------------------------------------------------------------------------------


def _windows(call: Call, sizes: Sequence[Any], size: Any = None) -> Sizes:
    """How many windows each axis has, which are of a `size` or that of the kernel."""
    kernel = call.spread(size or call.get("kernel_size"), len(sizes))
    dilation, padding, stride = (
        call.spread(call.get(name, default), len(sizes))
        for name, default in (("dilation", 1), ("padding", 0), ("stride", 1))
    )
    return [
        plus(combine("//", plus(n, 2 * p - d * (k - 1) - 1), s), 1)
        for n, k, d, p, s in zip(sizes, kernel, dilation, padding, stride, strict=True)
    ]


def filtered(call: Call) -> Any:
    """A convolution of what depends on no image."""
    sizes, module = _sizes(call), call.module
    weight = [module.out_channels, 0, *module.kernel_size] if module else _sizes(call, call.raw("weight"))
    if len(sizes) != call.rank + 2:
        raise InputError(f"it needs an input with {call.rank + 2} axes, but that has {len(sizes)}")
    return call.shaped([sizes[0], weight[0], *_windows(call, sizes[2:], weight[2:])])


def _of_rank(call: Call, rank: int) -> Sizes:
    """The shape of what it reads. Raises `InputError` where that has another number of axes."""
    sizes = _sizes(call)
    if len(sizes) != rank:
        raise InputError(f"it needs an input with {rank} axes, but {call.x.layer} has {len(sizes)}")
    return sizes


def _unfold(call: Call) -> Any:
    """Blocks as columns; the method of that name lays windows along one axis out on a last one."""
    if call.is_method:
        sizes, (dim, size, step) = _sizes(call), (call.graph.resolved(each) for each in call.rest)
        axis = axis_of(dim, len(sizes))
        sizes[axis] = plus(combine("//", minus(sizes[axis], size), step), 1)
        return call.shaped([*sizes, size])
    sizes = _of_rank(call, 4)
    kernel = call.spread(call.get("kernel_size"), 2)
    counts = _windows(call, sizes[2:])
    return call.shaped([sizes[0], times([sizes[1], kernel[0] * kernel[1]]), call.graph.times(counts)])


def _fold(call: Call) -> Any:
    sizes = _of_rank(call, 3)
    kernel = call.spread(call.get("kernel_size"), 2)
    wanted = list(call.spread(call.raw("output_size"), 2))
    channels = call.graph.exactly(sizes[1])
    if channels is None or channels % (kernel[0] * kernel[1]):
        raise InputError("blocks of the kernel do not divide its channels")
    _equal(call, sizes[2], call.graph.times(_windows(call, wanted)))
    return call.shaped([sizes[0], channels // (kernel[0] * kernel[1]), *wanted])


def _padded(call: Call) -> Any:
    """Any of the axes, in pairs from the last one on; what remains must be something."""
    sizes, pads = _sizes(call), list(call.raw("pad"))
    for place in range(len(pads) // 2):
        axis = len(sizes) - 1 - place
        if pads[2 * place] != 0 or pads[2 * place + 1] != 0:
            _kept_batch(call, sizes, [axis])
            sizes[axis] = plus(sizes[axis], plus(pads[2 * place], pads[2 * place + 1]))
    return call.shaped(sizes)


def _resized(call: Call) -> Any:
    """By factors that are sums of powers of 2, whose products with sizes are exact in floating point."""
    sizes = _sizes(call)
    if call.raw("size") is not None:
        return call.shaped([*sizes[:2], *call.spread(call.raw("size"), len(sizes) - 2)])
    factors = [float(each).as_integer_ratio() for each in call.spread(call.get("scale_factor"), len(sizes) - 2)]
    if any(q > 2**10 for _, q in factors):
        raise Inexpressible("what the framework rounds its factor to is not known")
    made = [combine("//", combine("*", n, p), q) for n, (p, q) in zip(sizes[2:], factors, strict=True)]
    return call.shaped([*sizes[:2], *made])


def _unpooled(call: Call) -> Any:
    """Maxima in the places that they had; an output size may be less than a stride off the least one."""
    sizes, indices, rank = _sizes(call), call.raw("indices"), call.rank
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


# --- constants --------------------------------------------------------------------------------------------------------


def _filled(call: Call) -> Any:
    """A tensor of a shape that is told."""
    sizes = call.settings.get("size", call.args)
    if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        (sizes,) = sizes
    return call.shaped(list(sizes))


def _counted(call: Call) -> Any:
    """The numbers up to one, or from one up to another."""
    ends = call.args[:2] if len(call.args) > 1 else [0, call.raw("end", *call.args)]
    if len(call.args) > 2 or "step" in call.kwargs:
        raise Inexpressible("it counts in steps")
    if not all(isinstance(each, int | Formula) for each in ends):
        raise Inexpressible("it counts between what is no whole number")
    return call.shaped([minus(ends[1], ends[0])])


def _new(call: Call) -> Any:
    """A tensor beside another one, which depends on no image."""
    if call.op.endswith("_like"):
        return Constant(tuple(_sizes(call)), None)
    return Constant(tuple(call.rest if call.op != "new_full" else call.raw("size")), None)


def _grid(call: Call) -> Any:
    """Each of several ranges, repeated along the axes of the others."""
    shapes = [_sizes(call, each) for each in call.reads(Flow | Constant)]
    sizes = [n for (n,) in shapes]
    if call.get("indexing", "ij") == "xy":
        sizes[:2] = reversed(sizes[:2])
    return tuple(call.shaped(sizes) for _ in shapes)


_WINDOW = "input kernel_size dilation padding stride"
_REDUCE = "input dim keepdim"

MODULES: dict[str, Rule] = {
    "Flatten": _reshape,
    "Unflatten": _reshape,
    "Linear": _linear,
    "LayerNorm": _normalized,
    **{f"BatchNorm{rank}d": _batch_normalized for rank in "123"},
    "RMSNorm": _normalized,
    "MultiheadAttention": _multi_head,
    "Softmax": _along,
    "LogSoftmax": _along,
    "Upsample": _resized,
    **{f"MaxUnpool{rank}d": _unpooled for rank in "123"},
    "Unfold": _unfold,
    "Fold": _fold,
}
FUNCTIONS: dict[str, tuple[Rule, str]] = {
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "max", "min", "prod", "argmax", "argmin", "logsumexp"), (_reduced, _REDUCE)
    ),
    **dict.fromkeys(("std", "var", "std_mean", "var_mean"), (_reduced, "input dim unbiased keepdim")),
    "norm": (_reduced, "input p dim keepdim"),
    "normalize": (_along, "input p dim"),
    **dict.fromkeys(("matmul", "bmm"), (_matmul, "input other")),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), (_joined, "tensors dim")),
    **dict.fromkeys(("softmax", "log_softmax", "cumsum"), (_along, "input dim")),
    **dict.fromkeys(("view", "reshape"), (_reshape, "input")),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims", "mT"), (_transpose, "input dim0 dim1")),
    **dict.fromkeys(
        (
            *("add", "sub", "mul", "multiply", "div", "truediv", "maximum", "minimum", "pow", "addcmul", "addcdiv"),
            *(
                "lerp",
                "where",
                "lt",
                "le",
                "gt",
                "ge",
                "eq",
                "ne",
                "logical_and",
                "logical_or",
                "logical_xor",
                "masked_fill",
                "remainder",
                "fmod",
            ),
        ),
        (_combined, "input other"),
    ),
    **dict.fromkeys(
        ("roll", "flip", "logical_not", "scatter", "scatter_add", "index_add", "index_fill"), (_alike, "input")
    ),
    **dict.fromkeys(("zeros_like", "ones_like", "rand_like"), (_new, "input")),
    **dict.fromkeys(("repeat", "tile"), (_repeat, "input")),
    **dict.fromkeys(("movedim", "moveaxis"), (_moved, "input source destination")),
    "split": (_split, "input split_size dim"),
    "setitem": (_set, "input index value"),
    "chunk": (_split, "input chunks dim"),
    "einsum": (_einsum, "equation"),
    "expand": (_expand, "input"),
    "expand_as": (_expand, "input other"),
    "reshape_as": (_reshape, "input other"),
    "view_as": (_reshape, "input other"),
    "flatten": (_reshape, "input start_dim end_dim"),
    "unflatten": (_reshape, "input dim sizes"),
    "fold": (_fold, "input output_size kernel_size dilation padding stride"),
    "getitem": (_index, "input index"),
    "interpolate": (_resized, "input size scale_factor mode align_corners recompute_scale_factor antialias"),
    "layer_norm": (_normalized, "input normalized_shape weight bias eps"),
    "rms_norm": (_normalized, "input normalized_shape weight eps"),
    "linear": (_linear, "input weight bias"),
    **{f"max_unpool{rank}d": (_unpooled, "input indices kernel_size stride padding output_size") for rank in "123"},
    "meshgrid": (_grid, ""),
    **dict.fromkeys(("new_zeros", "new_ones", "new_empty", "new_full"), (_new, "input size")),
    "narrow": (_narrow, "input dim start length"),
    "pad": (_padded, "input pad mode value"),
    "permute": (_permute, "input"),
    "repeat_interleave": (_repeated_each, "input repeats dim"),
    "scaled_dot_product_attention": (_attention, "query key value attn_mask"),
    "select": (_select, "input dim index"),
    **dict.fromkeys(("index_select", "take_along"), (_taken, "input dim index")),
    "grid_sample": (_sampled, "input grid"),
    "squeeze": (_squeeze, "input"),
    "topk": (_topk, "input k dim"),
    "unbind": (_unbind, "input dim"),
    "unfold": (_unfold, _WINDOW),
    "unsqueeze": (_unsqueeze, "input dim"),
}
MADE: dict[str, tuple[Rule, str]] = {
    **dict.fromkeys(("zeros", "ones", "empty", "rand", "randn"), (_filled, "")),
    "arange": (_counted, "end"),
    "full": (_filled, "size"),
}
"""Functions that read no tensor."""
