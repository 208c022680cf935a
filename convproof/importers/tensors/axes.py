"""Tensors of any rank whose elements stay the same, on other axes, or are functions of each element."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from convproof.importers.calls import Call, Tensor
from convproof.importers.sizes import combine, letters_of, over, times
from convproof.importers.tensors.asked import (
    Sizes,
    axis_asked,
    combined,
    demand_equal,
    layout_of,
    sizes_of,
    without_batch,
)
from convproof.importers.values import Constant, Flow, Inexpressible, axis_of


def alike(call: Call) -> Any:
    """As many values on the same axes."""
    layout = None if call.op in ("roll", "flip") else layout_of(call)
    return call.shaped(sizes_of(call), layout=layout)


def unchanged(call: Call) -> Tensor:
    """What it reads."""
    return call.tensor


def elementwise(call: Call) -> Any:
    """A function of each element, which works in place; of those of several tensors, another one."""
    if call.op.lower() == "prelu":
        slopes = times(sizes_of(call, call.raw("weight"))) if call.module is None else call.module.num_parameters
        if slopes != 1:
            demand_equal(call, sizes_of(call)[1], slopes)
    elif len(call.reads(Flow | Constant)) > 1:
        return combined(call)
    return call.shaped(sizes_of(call), in_place=True, layout=layout_of(call))


def permute(call: Call) -> Any:
    sizes = sizes_of(call)
    axes = [axis_of(call.graph.resolved(each), len(sizes)) for each in call.rest] or [*reversed(range(len(sizes)))]
    return _with_axes(call, sizes, axes)


def _with_axes(call: Call, sizes: Sizes, axes: Sequence[int]) -> Any:
    """The axes in another order."""
    own = layout_of(call)
    layout = None if own is None else tuple(own[axis] for axis in axes)
    return call.shaped([sizes[axis] for axis in axes], in_place=True, layout=layout)


def transpose(call: Call) -> Any:
    sizes = sizes_of(call)
    a, b = (axis_of(call.get(*each), len(sizes)) for each in (("dim0", -1), ("dim1", -2)))
    axes = list(range(len(sizes)))
    axes[a], axes[b] = axes[b], axes[a]
    return _with_axes(call, sizes, axes)


def moved(call: Call) -> Any:
    sizes = sizes_of(call)
    axis, place = (axis_of(call.get(name), len(sizes)) for name in ("source", "destination"))
    axes = list(range(len(sizes)))
    axes.insert(place, axes.pop(axis))
    return _with_axes(call, sizes, axes)


def reshape(call: Call) -> Any:
    """A shape with as many values: each axis of what is read is split or joined where the letters of sizes say so."""
    sizes, graph = sizes_of(call), call.graph
    target = list(call.rest)
    if call.op in ("flatten", "Flatten"):
        default = 0 if call.module is None else 1
        first, last = (axis_of(call.get(*each), len(sizes)) for each in (("start_dim", default), ("end_dim", -1)))
        target = [*sizes[:first], graph.times(sizes[first : last + 1]), *sizes[last + 1 :]]
    elif call.op in ("reshape_as", "view_as"):
        target = sizes_of(call, call.raw("other"))
    elif call.op in ("unflatten", "Unflatten"):
        axis = axis_asked(call, len(sizes))
        target = [*sizes[:axis], *call.raw("unflattened_size", call.raw("sizes")), *sizes[axis + 1 :]]
    target = graph.with_batch(target, sizes) if call.flows else target
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
    if call.is_strided and not _divides(call, sizes_of(call), list(call.rest)):
        why = "a view of what is not contiguous fails in torch, at some sizes or all; use reshape"
        call.graph.undecide(call.place, why)


def _divides(call: Call, sizes: Sizes, target: Sizes) -> bool:
    """Whether each axis becomes one or several that stand in its place; that there are as many values, is demanded."""
    for place, n in enumerate(sizes):
        if place == len(sizes) - 1 and target:
            return True
        part: Any = 1
        while not (equal := call.graph.compared(operator.eq, part, n)) and target:
            part = n if target[0] == -1 else times([part, target[0]])
            target.pop(0)
        if not equal:
            return False
    return all(n == 1 for n in target)


def _rest(call: Call, whole: Sizes, others: Sizes) -> Any:
    """What -1 stands for: what the other sizes leave."""
    left, rest = _apart(whole, others, operator.eq)
    if rest and any(not isinstance(n, int) for n in (*left, *rest)):  # equal only where the layers before run
        left, rest = _apart(left, rest, lambda n, m: call.graph.compared(operator.eq, n, m) is True)
    batch = [call.graph.batch for n in left if call.graph.has_batch(n)]
    if batch and any(map(call.graph.has_batch, rest)):
        return over(times(left), times(rest))
    left = [n for n in (without_batch(call, n) for n in left) if n != 1]
    numbers = math.prod(n for n in left if isinstance(n, int))
    if all(isinstance(n, int) for n in rest) and numbers % max(1, math.prod(rest)) == 0:
        left, rest = [numbers // max(1, math.prod(rest)), *(n for n in left if not isinstance(n, int))], []
    try:
        quotients = [over(times(left), times(rest))] if rest else left
    except Inexpressible:
        at_most_one = batch and _aligned(call, others, call.graph.of_image(whole))
        quotients = [] if at_most_one else [combine("//", times(left), times(rest))]
    return call.graph.times([*batch, *quotients])


def _apart(whole: Sizes, others: Sizes, equal: Callable[[Any, Any], bool]) -> tuple[Sizes, Sizes]:
    """What two lists of sizes have, each, that the other has not."""
    left, rest = list(whole), list(others)
    for each in others:
        same = next((n for n in left if equal(n, each)), None)
        if same is not None:
            left.remove(same)
            rest.remove(each)
    return left, rest


def _same_number(call: Call, whole: Sequence[Any], wanted: Sequence[Any]) -> None:
    """Demands that there are as many values: axis by axis, where sizes that share letters stand in the same order."""
    a, b = times(whole), times(wanted)
    if call.graph.compared(operator.eq, a, b):
        return
    for n, part in _aligned(call, whole, wanted) or _aligned(call, wanted, whole) or [(a, b)]:
        demand_equal(call, n, part)


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


def squeeze(call: Call) -> Any:
    sizes = sizes_of(call)
    axes = [axis_of(call.graph.resolved(each), len(sizes)) for each in call.rest]
    if not axes:
        raise Inexpressible("without axes it takes the batch of a single image away, too; name the axes")
    gone = [axis for axis in axes if call.graph.decide(operator.eq, sizes[axis], 1)]
    return call.shaped([n for axis, n in enumerate(sizes) if axis not in gone], in_place=True)


def unsqueeze(call: Call) -> Any:
    sizes = sizes_of(call)
    sizes.insert(axis_asked(call, len(sizes) + 1), 1)
    return call.shaped(sizes, in_place=True)


def expand(call: Call) -> Any:
    sizes = sizes_of(call)
    if call.op == "expand_as":
        other = call.raw("other")
        if not isinstance(other, Flow | Constant):
            raise Inexpressible("it is as large as something else")
        wanted = sizes_of(call, other)
    else:
        wanted = list(call.rest)
    ahead = [1] * (len(wanted) - len(sizes))
    made = [n if m == -1 else m for m, n in zip(wanted, [*ahead, *sizes], strict=True)]
    for n, m in zip(sizes, made[len(ahead) :], strict=True):
        if n != 1 and not call.graph.alike(n, m) and not call.graph.decide(operator.eq, n, 1):
            demand_equal(call, n, m)
    return call.shaped(made, in_place=True)


def repeat(call: Call) -> Any:
    sizes, counts = sizes_of(call), list(call.rest)
    if call.op == "tile":
        counts = [1] * (len(sizes) - len(counts)) + counts
    return call.shaped([times(pair) for pair in zip([1] * (len(counts) - len(sizes)) + sizes, counts, strict=True)])


def repeated_each(call: Call) -> Any:
    sizes = sizes_of(call)
    axis = axis_asked(call, len(sizes))
    if not isinstance(call.get("repeats"), int):
        raise Inexpressible("it repeats what it reads by numbers of a tensor")
    sizes[axis] = times([sizes[axis], call.get("repeats")])
    return call.shaped(sizes)
