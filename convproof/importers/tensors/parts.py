"""Parts of tensors of any rank, and several tensors that become one."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from convproof.errors import InputError
from convproof.importers.calls import Call
from convproof.importers.sizes import combine, minus, plus
from convproof.importers.tensors.asked import Sizes, axis_asked, batched, demand_equal, kept_batch, layout_of, sizes_of
from convproof.importers.values import Constant, Flow, Inexpressible, axis_of


def part_at(call: Call) -> Any:
    return _part(call, _indexed(call))


def with_part(call: Call) -> Any:
    """What it reads, a part of it with other values."""
    part, value = _indexed(call), call.raw("value")
    own = sizes_of(call, value) if isinstance(value, Flow | Constant) else []
    if len(own) > len(part):
        raise Inexpressible("it sets a part by more than it holds")
    for n, m in zip(part[len(part) - len(own) :], own, strict=True):
        if m != 1:
            demand_equal(call, n, m)
    return call.shaped(sizes_of(call), in_place=True)


def remember_cut(call: Call, made: Any) -> None:
    """Keeps in mind of what a slice along one axis is a part."""
    index, x = call.raw("index"), call.raw("input")
    if not (isinstance(made, Flow) and isinstance(x, Flow) and isinstance(index, tuple)) or ... in index:
        return
    cut = [(axis, each) for axis, each in enumerate(index) if each != slice(None)]
    if len(cut) == 1 and isinstance(cut[0][1], slice) and cut[0][1].step in (None, 1) and made.layer != x.layer:
        axis, part = cut[0]
        call.graph.cuts[made.layer] = x, axis, part.start or None, part.stop


def rolled(call: Call, tensors: Sequence[Any], axis: int) -> Flow | None:
    """What two slices are the parts of along an axis, one before and one behind the same place, whatever its size."""
    cuts = [call.graph.cuts.get(each.layer) for each in tensors if isinstance(each, Flow)]
    if len(tensors) != 2 or len(cuts) != 2 or None in cuts:
        return None
    (x, one, start, stop), (y, other, begin, end) = sorted(
        (each for each in cuts if each), key=lambda cut: cut[2] is None
    )
    whole = (x.layer, one, stop, begin) == (y.layer, other, None, None) and one == axis
    return x if whole and start is not None and start == end else None


def _indexed(call: Call) -> Sizes:
    """Slices along any axis but the batch; a number takes one position of an axis, which goes away."""
    sizes, given = sizes_of(call), call.raw("index")
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


def select(call: Call) -> Any:
    sizes = sizes_of(call)
    axis = axis_asked(call, len(sizes))
    kept_batch(call, sizes, [axis])
    _is_place(call, call.get("index"), sizes.pop(axis))
    return _part(call, sizes)


def taken(call: Call) -> Any:
    """Positions of an axis that are listed: as many as there are places, on their axes."""
    sizes, places = sizes_of(call), call.raw("index")
    axis = axis_asked(call, len(sizes))
    kept_batch(call, sizes, [axis])
    known = isinstance(places, Constant) and places.values is not None
    for place in {n for n in places.values.flat if isinstance(n, int)} if known else ():
        _is_place(call, place, sizes[axis])
    if not known:
        call.graph.undecide(call.place, "whether there are positions in all places that it takes depends on values")
    return call.shaped([*sizes[:axis], *sizes_of(call, places), *sizes[axis + 1 :]])


def sampled(call: Call) -> Any:
    """As many positions as a grid has."""
    sizes, grid = sizes_of(call), sizes_of(call, call.raw("grid"))
    if len(grid) != len(sizes):
        raise Inexpressible("its grid has another number of axes")
    demand_equal(call, grid[-1], len(sizes) - 2)
    return call.shaped([*sizes[:2], *grid[1:-1]])


def unbind(call: Call) -> Any:
    sizes = sizes_of(call)
    n = call.graph.exactly(sizes.pop(axis := axis_asked(call, len(sizes), 0)))
    if n is None:
        raise Inexpressible(f"into how many parts axis {axis} goes depends on the size")
    return tuple(_part(call, sizes) for _ in range(n))


def split(call: Call) -> Any:
    """Parts along an axis of so many positions each, or, if it is chunks, so many parts."""
    sizes = sizes_of(call)
    axis = axis_asked(call, len(sizes), 0)
    n, each = call.graph.exactly(sizes[axis]), call.get("split_size", call.get("split_size_or_sections"))
    if n is None and isinstance(each, tuple | list):
        demand_equal(call, sizes[axis], sum(each))
        n = sum(each)
    if n is None:
        raise Inexpressible("into which parts an axis goes depends on the size")
    if call.op == "chunk":
        each = -(-n // call.get("chunks"))
    listed = list(each) if isinstance(each, tuple | list) else [min(each, n - start) for start in range(0, n, each)]
    if sum(listed) != n:
        raise InputError(f"its parts, {listed}, do not make up {n} positions")
    layout = layout_of(call, [axis])
    return tuple(_part(call, [*sizes[:axis], part, *sizes[axis + 1 :]], layout) for part in listed)


def narrow(call: Call) -> Any:
    sizes = sizes_of(call)
    axis, start, length = axis_asked(call, len(sizes)), call.raw("start"), call.raw("length")
    kept_batch(call, sizes, [axis])
    if call.graph.decide(operator.lt, start, 0):
        start = plus(sizes[axis], start)
    for n, least in ((start, 0), (sizes[axis], plus(start, length))):
        if not call.graph.compared(operator.ge, n, least):
            call.graph.ask("at_least", n, least)
    sizes[axis] = length
    return _part(call, sizes)


def joined(call: Call) -> Any:
    tensors = list(call.raw("tensors"))
    shapes = [sizes_of(call, each) for each in tensors]
    stacks = call.op == "stack"
    axis = axis_of(call.get("dim", call.get("axis", 0)), len(shapes[0]) + stacks)
    if len({len(each) for each in shapes}) > 1:
        raise Inexpressible("its operands have different numbers of axes")
    if not stacks and call.flows:
        kept_batch(call, shapes[0], [axis])
    for other in shapes[1:]:
        for place, (n, m) in enumerate(zip(shapes[0], other, strict=True)):
            if stacks or place != axis:
                demand_equal(call, n, m)
                shapes[0][place] = batched(call, n, m)
    if stacks:
        return call.shaped([*shapes[0][:axis], len(tensors), *shapes[0][axis:]])
    if (whole := rolled(call, tensors, axis)) is not None:
        call.args, call.kwargs = [whole], {}  # of which no part need be there
        return call.shaped(sizes_of(call, whole))
    call.may_be_empty(tensors, [each[axis] for each in shapes], "is joined")
    total: Any = shapes[0][axis]
    for other in shapes[1:]:
        total = plus(total, other[axis])
    layout = layout_of(call, [axis]) if len(call.flows) == len(tensors) else None
    return call.shaped([*shapes[0][:axis], total, *shapes[0][axis + 1 :]], layout=layout)
