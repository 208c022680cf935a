"""What rules for tensors of any rank ask: shapes, axes and layouts of what is read, and sizes that go together."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from convproof.importers.calls import Call
from convproof.importers.sizes import over
from convproof.importers.values import Constant, Flow, Inexpressible, axis_of

Sizes = list[Any]
"""The shape of a tensor, with the batch."""


def sizes_of(call: Call, *of: Any) -> Sizes:
    """The shape of what it reads, or `of` something else, with the batch; `Inexpressible` where that is no tensor."""
    (x,) = of or (call.tensor,)
    if not isinstance(x, Flow | Constant):
        raise Inexpressible("it reads what is no tensor")
    return list(call.graph.extents(x))


def axes_of(call: Call, rank: int, name: str = "dim", default: Any = None) -> list[int]:
    """The axes that are asked for, all of them where none is."""
    found = call.get(name, call.get("axis", default))
    if found is None:
        return list(range(rank))
    return [axis_of(each, rank) for each in (found if isinstance(found, tuple | list) else [found])]


def axis_asked(call: Call, rank: int, default: Any = None) -> int:
    """The axis that is asked for."""
    (found,) = axes_of(call, rank, default=default)
    return found


def layout_of(call: Call, axes: Sequence[int] | None = None) -> tuple[int, ...] | None:
    """The layout of what it reads, if it works on each position alone: on each element, or along these axes, which are
    the channels.
    """
    found = {call.graph.layout(each) for each in call.flows}
    (own,) = found if len(found) == 1 else (None,)
    return own if own is None or axes is None or [own[axis] for axis in axes] == [1] else None


def kept_batch(call: Call, sizes: Sequence[Any], axes: Sequence[int]) -> None:
    if any(call.graph.has_batch(sizes[axis]) for axis in axes):
        raise Inexpressible("it works along the batch")


def demand_equal(call: Call, n: Any, m: Any) -> None:
    """Demands that two sizes are equal."""
    if not call.graph.alike(n, m):
        call.graph.ask("equal", n, m)


def batched(call: Call, n: Any, m: Any) -> Any:
    """Of two sizes that are equal the one that has the batch, which a file may write as a number."""
    return m if call.graph.has_batch(m) else n


def without_batch(call: Call, n: Any) -> Any:
    return over(n, call.graph.batch) if call.graph.has_batch(n) else n


def number_of(call: Call, sizes: Sequence[Any]) -> Any:
    """How many values there are for one image."""
    return call.graph.times(without_batch(call, n) for n in sizes)


def broadcast(call: Call, n: Any, m: Any) -> Any:
    """The size of an axis with n positions in one tensor and m in another."""
    if n == 1 or m == 1:
        return m if n == 1 else n
    if call.graph.alike(n, m):
        return batched(call, n, m)
    if call.graph.has_batch(n) or call.graph.has_batch(m):
        raise Inexpressible("it combines the batch with another axis")
    if call.graph.decide(operator.eq, n, 1):
        return m
    if not call.graph.decide(operator.eq, m, 1):
        call.graph.ask("equal", n, m)
    return n


def combined(call: Call) -> Any:
    """A function of the elements of several tensors, which may be repeated along axes of size 1."""
    if call.op == "where" and len(call.args) + len(call.kwargs) < 3:
        raise Inexpressible("how many places it finds depends on values")
    made: Sizes = []
    for each in call.reads(Flow | Constant):
        more = sizes_of(call, each)
        rank = max(len(made), len(more))
        pairs = zip([1] * (rank - len(made)) + made, [1] * (rank - len(more)) + more, strict=True)
        made = [broadcast(call, *pair) for pair in pairs]
    if call.in_place:
        kept = sizes_of(call)
        if len(kept) != len(made):
            raise Inexpressible("it changes a tensor in place that is smaller than what comes out")
        for n, m in zip(kept, made, strict=True):
            demand_equal(call, n, m)
    alike = all(sizes_of(call, each) == made for each in call.flows)
    return call.shaped(made, layout=layout_of(call) if alike else None)
