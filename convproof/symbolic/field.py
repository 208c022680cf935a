"""Folds over `reads`: receptive fields and alignment.

Output number o can depend only on the input positions i with

    offset + jump*o <= i <= offset + jump*o + size - 1,

and those outside the image are padding. Where that is a bound, `exact` is False; elsewhere, away from the borders, o
depends on both ends. Below an upsampling the number differs from output to output, in turn: then `phases` holds the
first and the last position of each output of a turn, `size` is the largest number of positions, jump may be a fraction,
and offset + jump*o is a bound of the first position alone. Source: A. Araujo, W. Norris and J. Sim, "Computing
receptive fields of convolutional neural networks" (Distill, 2019); its effective padding is -offset.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy

from convproof.architecture import Input, Layer, Node, Reshape
from convproof.architecture.behaviour import SizedLike
from convproof.errors import Undecided
from convproof.symbolic import window
from convproof.symbolic.floordiv import Size, floordiv, normal
from convproof.symbolic.floordiv import size as as_size
from convproof.symbolic.reads import Everything, Relation, Relations, Spread, Window, reads
from convproof.symbolic.shapes import Inference, Shape

MOST_PHASES = 1_000
"""The longest turn of different fields."""

Phase = tuple[Any, Any]


@dataclass(frozen=True)
class Field:
    """Along one axis: how many positions an output sees, how far the next output's lie, where the first one's begin.

    >>> stem = Field().through(-3, 7, 2).through(-1, 3, 2)  # a conv of 7, stride 2, padding 3; a pool of 3, 2, 1
    >>> stem.size, stem.jump, stem.offset, stem.centre, stem.reached(100)
    (11, 4, -5, 0, (24, 26))
    """

    size: Size = 1
    jump: Size = 1
    offset: Size = 0
    exact: bool = True
    phases: tuple[Phase | None, ...] = ()

    def through(self, first: Size, count: Size, step: Size) -> Field:
        """The field of a layer whose output o reads positions first + step*o and count-1 more, seen through self."""
        return self.seen(Window(first, count, step))

    def seen(self, relation: Relation) -> Field:
        """The field of a layer with this relation, whose input has the field self."""
        if self.phases and not relation.in_numbers:
            return self._interval.seen(relation)
        if isinstance(relation, Window) and not self.phases:
            size, offset = self.size + (relation.span - 1) * self.jump, self.offset + relation.first * self.jump
            return Field(normal(size), normal(self.jump * relation.step), normal(offset), self.exact)
        if isinstance(relation, Everything) and not self.phases:
            return Field(normal(self.size + (relation.count - 1) * self.jump), 0, self.offset, self.exact)
        if relation.in_numbers and self.exact:
            return self._in_turn(relation)
        step, centre = relation.centre  # a bound: the interval around the middle
        reach = _reach(relation)
        first = normal(centre - (reach - 1) * sympy.Rational(1, 2))
        return Field(
            normal(self.size + (reach - 1) * self.jump),
            normal(self.jump * step),
            normal(self.offset + first * self.jump),
            False,
        )

    def _in_turn(self, relation: Relation) -> Field:
        """The fields of the outputs of one turn."""
        outputs, positions = relation.period
        turn = len(self.phases) or 1
        times = floordiv(math.lcm(positions, turn), positions) if positions else 1
        if outputs * times > MOST_PHASES:
            raise Undecided(f"the fields of {outputs * times} outputs all differ; {MOST_PHASES} is the limit")
        rise = normal(self.jump * positions * times)
        read = (_ends(relation.inputs(o), turn) for o in range(outputs * times))
        return _in_phases(tuple(_hull(map(self._of, each)) for each in read), rise)

    def _of(self, output: int) -> Phase | None:
        """The first and the last position that an output sees."""
        if not self.phases:
            first = normal(self.offset + self.jump * output)
            return first, normal(first + self.size - 1)
        turns, place = divmod(output, len(self.phases))
        phase = self.phases[place]
        rise = self.jump * len(self.phases) * turns
        return None if phase is None else (normal(phase[0] + rise), normal(phase[1] + rise))

    @property
    def _interval(self) -> Field:
        """A bound without phases: an interval that moves by `jump` and holds what each output sees."""
        if not self.phases:
            return self
        ends = [normal(phase[1] - self.jump * o) for o, phase in enumerate(self.phases) if phase is not None]
        end = _extreme(ends, least=False) if ends else self.offset - 1
        return Field(normal(end - self.offset + 1), self.jump, self.offset, False)

    @property
    def centre(self) -> Size:
        """The middle of the first output's field, perhaps between two positions; the next one's is `jump` further."""
        return normal(self.offset + (self.size - 1) * sympy.Rational(1, 2))

    def reached(self, position: Size) -> tuple[Size, Size]:
        """The first and the last output that can depend on an input position: its projective field.

        Raises `Undecided` where the field does not move, so that it is all outputs or none.
        """
        if self.jump == 0:
            raise Undecided(f"every output sees the {self.size} positions from {self.offset} on")
        phases = self.phases or (self._of(0),)
        turn, rise = len(phases), self.jump * len(phases)
        outputs = [
            (normal(o - turn * floordiv(last - position, rise)), normal(o + turn * floordiv(position - first, rise)))
            for o, (first, last) in ((o, phase) for o, phase in enumerate(phases) if phase is not None)
        ]
        some = [(first, last) for first, last in outputs if not (isinstance(last - first, int) and last < first)]
        firsts, lasts = zip(*(some or outputs[:1] or [(0, -1)]), strict=True)
        return _extreme(firsts, least=True), _extreme(lasts, least=False)


Fields = tuple[Field, ...]


def _reach(relation: Relation) -> Size:
    """An upper bound of how many positions lie between those that an output reads."""
    if isinstance(relation, Spread):
        return normal((window.span(relation.axis) - 1) * sympy.Integer(1) / as_size(relation.axis.stride) + 1)
    return max(len(relation.inputs(o)) for o in range(relation.period[0])) + 1


def _ends(positions: Sequence[int], turn: int) -> Sequence[int]:
    """Those of evenly spaced positions that may see farthest: a turn at both ends."""
    return positions if len(positions) <= 2 * turn else (*positions[:turn], *positions[-turn:])


def _hull(phases: Iterable[Phase | None]) -> Phase | None:
    """The smallest interval that holds all; None for none."""
    known = [phase for phase in phases if phase is not None]
    if not known:
        return None
    return _extreme([first for first, _ in known], least=True), _extreme([last for _, last in known], least=False)


def _extreme(values: Sequence[Size], least: bool) -> Size:
    """The least or the largest value. Raises `Undecided` where that depends on letters."""
    if all(isinstance(each, int) for each in values):
        return min(values) if least else max(values)
    for value in dict.fromkeys(values):
        ahead = [normal(other - value) if least else normal(value - other) for other in values]
        if all(_is_number(n) and n >= 0 for n in ahead):
            return value
    raise Undecided(f"which of {', '.join(map(str, dict.fromkeys(values)))} lies farthest depends on the letters")


def _is_number(value: Size) -> bool:
    return isinstance(value, (int, sympy.Rational))


def _in_phases(phases: tuple[Phase | None, ...], rise: Size) -> Field:
    """The field of outputs that see these in turn, the next turn `rise` positions further."""
    known = {o: phase for o, phase in enumerate(phases) if phase is not None}
    jump = normal(rise * sympy.Rational(1, len(phases)))
    sizes = [normal(last - first + 1) for first, last in known.values()] or [0]
    offsets = [normal(first - jump * o) for o, (first, _) in known.items()] or [0]
    size, offset = _extreme(sizes, least=False), _extreme(offsets, least=True)
    alike = len(known) == len(phases) and len(set(sizes)) == len(set(offsets)) == 1
    return Field(size, jump, offset, True, () if alike else phases)


# --- receptive fields -------------------------------------------------------------------------------------------------


def receptive_field(layer: Layer, fields: Sequence[Fields], shapes: Sequence[Shape], output: Shape = ()) -> Fields:
    """The field of a layer's output per spatial axis, from the fields and shapes of its operands, and its own shape.

    A vector (after `Flatten` or `Linear`) is one output that sees what all its inputs see together.

    >>> from convproof.architecture import Conv
    >>> receptive_field(Conv(8, 3), [(Field(size=3),)], [(8, 30)])[0].size
    5
    """
    if isinstance(layer, Input):
        return (Field(),) * len(layer.sizes)
    compared = shapes if isinstance(layer, Reshape) else (*shapes, output)
    if {len(shape) - 1 for shape in compared} - {0, -1, len(fields[0])}:
        return _on_other_axes(layer, fields)
    relations = _relations(layer, tuple(shapes), output, len(fields[0]))
    seen = [_through(each, own) for each, own in zip(fields, relations, strict=False) if own is not None]
    extents = output[1:] if len(output) == len(seen[0]) + 1 else (1,) * len(seen[0])
    if len(seen) == 1:
        return tuple(_alone(field) if output and n == 1 else field for field, n in zip(seen[0], extents, strict=True))
    return tuple(_union(layer, axis, n) for axis, n in zip(zip(*seen, strict=True), extents, strict=True))


@lru_cache(maxsize=8192)
def _relations(layer: Layer, shapes: tuple[Shape, ...], output: Shape, rank: int) -> tuple[Relations | None, ...]:
    return reads(layer, shapes, output, rank)


def _on_other_axes(layer: Layer, fields: Sequence[Fields]) -> Fields:
    """The field of a layer whose axes are not those of the image: known where all outputs see the same."""
    if any(field.jump != 0 for each in fields for field in each):
        raise Undecided(f"{type(layer).__name__}: its axes are not those of the image")
    return tuple(_union(layer, axis, 1) for axis in zip(*fields, strict=True))


def _through(fields: Fields, relations: Relations) -> Fields:
    return tuple(field.seen(relation) for field, relation in zip(fields, relations, strict=True))


def _alone(field: Field) -> Field:
    """The field of a single output."""
    if not field.phases:
        return field
    first, last = field.phases[0] or (field.offset, field.offset - 1)
    return Field(normal(last - first + 1), field.jump, first, field.exact)


def _union(layer: Layer, fields: tuple[Field, ...], extent: Size) -> Field:
    """The smallest field that holds all of them; branches of more than one output must move at the same pace.

    Where one does not move, all outputs see what each of them sees.
    """
    first, *others = fields
    if all(other == first for other in others):
        return first
    if any(field.jump == 0 for field in fields):
        fields = tuple(field.seen(Everything(extent)) if field.jump != 0 else field for field in fields)
    elif extent != 1 and any(normal(field.jump - first.jump) != 0 for field in others):
        jumps = ", ".join(str(field.jump) for field in fields)
        raise Undecided(
            f"{type(layer).__name__}: the branches move by different steps ({jumps}), so no single field describes the "
            "merge"
        )
    exact = all(field.exact for field in fields)
    fields = fields if exact else tuple(field._interval for field in fields)
    turn = math.lcm(*(len(field.phases) or 1 for field in fields))
    try:
        if turn > 1:
            found = tuple(_hull(field._of(o) for field in fields) for o in range(turn))
            return _in_phases(found, normal(first.jump * turn))
        start = _extreme([field.offset for field in fields], least=True)
        end = _extreme([normal(field.offset + field.size) for field in fields], least=False)
    except Undecided as error:
        raise Undecided(f"{type(layer).__name__}: {error}") from None
    return Field(normal(end - start), fields[0].jump, start, exact)


def fields(found: Inference) -> tuple[dict[str, Fields], list[str]]:
    """The receptive field of every layer that has a single one, and why the others have none."""
    seen: dict[str, Fields] = {}
    undecided: list[str] = []
    for node in found.known:
        operands = operands_seen(node)
        if all(name in seen for name in operands):
            try:
                own = [seen[name] for name in operands]
                seen[node.name] = receptive_field(node.layer, own, found.inputs(node), found.shapes[node.name])
            except Undecided as error:
                undecided.append(f"receptive field from {node.name}: {error}")
    return seen, undecided


def operands_seen(node: Node) -> tuple[str, ...]:
    """The operands of a node whose values it takes."""

    return node.operands[:1] if isinstance(node.layer, SizedLike) else node.operands


# --- alignment --------------------------------------------------------------------------------------------------------


def alignment(found: Inference) -> dict[str, bool]:
    """Whether the fields of all paths from the input to a layer have one centre, at every output, by name of the layer.

    Where they have not, the branches of a merge before see the image shifted against each other. It is the condition
    on strides and on (size - 1)/2 - effective padding that google-research/receptive_field calls aligned. Raises
    `Undecided` where it depends on letters.

    >>> from convproof.architecture.notation import network
    >>> from convproof.symbolic.shapes import infer
    >>> net = network("INPUT[32x32x1] -> { CONV3-1 | ID } ADD -> { POOL2 | CONV(K=1, F=1, S=2) } CONCAT")
    >>> aligned = alignment(infer(net))
    >>> aligned["add1"], aligned["concat1"]
    (True, False)
    """
    centres: dict[str, list[tuple[Size, Size]] | None] = {}
    for node in found.known:
        centres[node.name] = _centres(node, found, centres)
    return {name: centre is not None for name, centre in centres.items()}


def _centres(node: Node, found: Inference, known: Mapping[str, Any]) -> list[tuple[Size, Size]] | None:
    """(step, place) of the middle of what output o sees along each axis; None where paths differ."""
    rank = len(found.network.image.sizes)
    if isinstance(node.layer, Input):
        return [(1, 0)] * rank
    output, seen = found.shapes[node.name], []
    if len(output) - 1 not in (0, rank):
        raise Undecided(f"{node.name}: its axes are not those of the image")
    relations = reads(node.layer, found.inputs(node), output, rank)
    for name, own in zip(node.operands, relations, strict=False):
        if own is None or (len(node.operands) > 1 and all(isinstance(each, Everything) for each in own)):
            continue  # a factor of all positions has no place
        before = known.get(name)
        if before is None:
            return None
        seen.append([_moved(*pair) for pair in zip(before, own, strict=True)])
    extents = output[1:] or (1,) * rank
    for axis, extent in enumerate(extents):
        for other in seen[1:]:
            differences = [normal(other[axis][1] - seen[0][axis][1])]
            differences += [normal(other[axis][0] - seen[0][axis][0])] if extent != 1 else []
            if any(_is_number(each) and each != 0 for each in differences):
                return None
            for each in differences:
                if each != 0:
                    raise Undecided(f"{node.name}: the branches are aligned only where {each} = 0")
    return seen[0]


def _moved(centre: tuple[Size, Size], relation: Relation) -> tuple[Size, Size]:
    if isinstance(relation, Everything):  # every output sees all, and stays where it is
        return centre
    step, place = relation.centre
    return normal(centre[0] * step), normal(centre[1] + centre[0] * place)
