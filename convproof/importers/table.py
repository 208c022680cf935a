"""What an operator makes, by the tables of all of them: layers of a kind; or else what is known of its shapes alone."""

from __future__ import annotations

import re
from typing import Any

from convproof.errors import ConvproofError
from convproof.importers import operators, tensors
from convproof.importers.calls import Call, Rule
from convproof.importers.forward import Forward
from convproof.importers.operators import ELEMENTWISE, SAME
from convproof.importers.reshapes import SIZES, VIEWED
from convproof.importers.sizes import OTHERWISE
from convproof.importers.tensors import MADE
from convproof.importers.tensors.axes import elementwise, unchanged
from convproof.importers.tensors.parts import remember_cut
from convproof.importers.tensors.windows import filtered
from convproof.importers.values import Constant, Flow, Inexpressible

MODULES = {*operators.MODULES, *tensors.MODULES}
"""The classes of torch.nn that have a rule."""


def made(call: Call) -> Any:
    """What an operator makes that reads activations: a `Flow`, or several values. Raises `InputError` for what fits no
    input, and `Inexpressible` for sizes that are not known.
    """
    try:
        found = _of_kind(call)
    except Inexpressible as reason:
        if call.op in SIZES:
            raise
        found = _of_shapes(call, reason)
    else:
        if isinstance(found, Flow) and call.others:
            call.note(found, f"its weights are computed from {', '.join(call.others)}, too")
    if call.op == "getitem":
        remember_cut(call, found)
    return found


def of_constants(call: Call) -> Constant | None:
    """What an operator makes that reads constants alone, as far as shapes say it; else None."""
    _kind_rule(call)  # names its arguments
    convolves = re.fullmatch("(?i)conv[123]d", call.op)
    rule = filtered if convolves and (call.known or call.module is not None) else _tensor_rule(call)
    try:
        found = None if rule is None else rule(call)
    except (Inexpressible, ConvproofError, ArithmeticError, LookupError, TypeError, ValueError):
        return None
    return found


def _kind_rule(call: Call) -> Rule | None:
    """The rule for an operator that is a layer of some kind, or says sizes."""
    if call.module is not None:
        call.name_arguments(_ORDERS.get(call.op.rstrip("123d"), "input output_size"))
        return operators.MODULES.get(call.op)
    rule, order = operators.FUNCTIONS.get(call.op.rstrip("_"), (None, "")) if call.known else (None, "")
    call.name_arguments(order)
    return rule


_ORDERS = {
    "MaxUnpool": "input indices output_size",
    "MultiheadAttention": "query key value key_padding_mask need_weights attn_mask",
}
"""The arguments of modules that read more than their input, in order."""


def _of_kind(call: Call) -> Any:
    rule = _kind_rule(call)
    if rule is None:
        raise Inexpressible("no layer kind does what it does")
    if call.kwargs.get("out") is not None:
        raise Inexpressible("it changes another tensor too")
    if rule not in VIEWED and call.op not in SIZES:
        in_order(call, _tensor_rule(call) is None)
        _kind_rule(call)
    more = call.module is not None and len(call.args) + len(call.kwargs) != 1
    if more and not call.op.startswith(("ConvTranspose", "MaxUnpool")):
        raise Inexpressible("it is called with more than its input")
    return rule(call)


def in_order(call: Call, as_it_lies: bool = True) -> None:
    """Raises `Inexpressible` where what a layer of a kind reads has not the batch first and then the axes of the image;
    or takes it `as_it_lies`: from here on its axes are no longer those of the image.
    """
    if not all(map(call.graph.is_batch_first, call.flows)):
        raise Inexpressible("its first axis is not the batch")
    for x in call.flows:
        if not (as_it_lies or call.graph.in_order(x)):
            raise Inexpressible("its axes stand in another order than those of the image")
        if not call.graph.in_order(x):
            one = Call(call.graph, "reordered", f"{x.layer}.reordered", [x], source=call.source)
            one.name_arguments("input")
            lying: Any = one.shaped(call.graph.extents(x), in_place=True)
            call.args = [lying if each == x else each for each in call.args]
            call.kwargs = {name: lying if each == x else each for name, each in call.kwargs.items()}


def _of_shapes(call: Call, reason: Inexpressible) -> Any:
    """What an operator makes that no layer kind describes, as far as shapes say it."""
    rule = _tensor_rule(call)
    if rule is None or call.kwargs.get("out") is not None:
        return call.unknown(str(reason))
    try:
        return rule(call)
    except Inexpressible as other:
        return call.unknown(str(reason if str(other) == OTHERWISE else other))


def _tensor_rule(call: Call) -> Rule | None:
    """The rule for what no layer kind describes."""
    name = call.op.rstrip("_")
    if name in SAME:
        return unchanged
    if name in ELEMENTWISE:
        return elementwise
    if call.module is not None:
        return tensors.MODULES.get(call.op)
    if not call.known:
        return None
    table = tensors.FUNCTIONS if call.reads(Flow | Constant) else MADE
    rule, order = table.get(name, (None, ""))
    if rule is not None:
        call.name_arguments(order)
    return rule


def written(graph: Forward, x: Flow, made: Flow, source: Any) -> Any:
    """What x is after `made`, with which it shares elements, was changed in place."""
    one = Call(graph, "written", f"{x.layer}.written", [x, made], source=source)
    one.name_arguments("input")
    try:
        found: Any = one.shaped(graph.extents(x), in_place=True)
    except Inexpressible as reason:
        return one.unknown(str(reason))
    graph.absorb([found.layer])
    return found
