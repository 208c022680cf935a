"""All concerns of one network, layer by layer: what `convproof net` prints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

import sympy

from convproof.architecture import Activation, Layer, Network, Node, Shaped, Unknown, letters
from convproof.errors import Disagreement, ShapeError, SpecError
from convproof.symbolic import costs
from convproof.symbolic.accepted import Accepted, accepted_by, accepted_sizes, any_of
from convproof.symbolic.field import Fields
from convproof.symbolic.field import fields as receptive_fields
from convproof.symbolic.floordiv import Size, floordiv, normal, total
from convproof.symbolic.shapes import Inference, Shape, axis_names, infer, of_any_size
from convproof.symbolic.sizesets import SizeSet

MAX_LETTERS = 16


@dataclass(frozen=True)
class Row:
    """One layer of a network with everything that is known about it.

    From an operation on of which nothing is known everything is None but what a model has stored.
    `receptive_field`, `jump` and `offset` hold one entry per spatial axis of the input; they are None also from a
    merge on whose branches move at different paces. Output o can depend on no position before offset + jump*o and
    on at most `receptive_field` positions; where that is not `receptive_field_exact`, it is a bound.
    """

    name: str
    op: str
    output: Shape | None = None
    params: Size | None = None
    weights: Size | None = None
    macs: Size | None = None
    values: Size | None = None
    receptive_field: tuple[Size, ...] | None = None
    jump: tuple[Size, ...] | None = None
    offset: tuple[Size, ...] | None = None
    receptive_field_exact: bool = True
    derived: bool = True
    """Whether the output was found by a rule; else the framework told it, for the given image."""


@dataclass(frozen=True)
class Totals:
    """Sums over all layers of which the costs are known; `bytes` is 4 per activation value."""

    params: Size
    weights: Size
    macs: Size
    values: Size
    bytes: Size


@dataclass(frozen=True)
class Refused:
    """Why the given image is not taken: the layer that refuses it, the error, and the nearest sizes that are taken, by
    unknown; any combination of these is.
    """

    layer: str
    reason: str
    nearest: dict[str, tuple[int, ...]]

    def to_json(self) -> dict[str, Any]:
        """The same as data."""
        return {"layer": self.layer, "reason": self.reason, "nearest": {n: list(m) for n, m in self.nearest.items()}}


@dataclass(frozen=True)
class Analysis:
    """What a network costs and sees, and which inputs fit. Sizes are ints or expressions in the letters of the network.

    `accepted` is the set of all sizes at which it runs. `misfits` names the strides that leave a remainder at the given
    input, `refused` says why the given input is not taken (from which layer on everything is None), `requires` what
    letters must satisfy.
    """

    rows: tuple[Row, ...]
    totals: Totals
    accepted: Accepted
    misfits: tuple[str, ...]
    undecided: tuple[str, ...]
    refused: Refused | None
    given: Inference
    """Shape inference at the given input."""
    everywhere: Inference
    """Shape inference on an image of any size."""
    unused: Mapping[str, int] = field(default_factory=dict)
    """What the model learns that no layer reads, by its name there; it counts in the totals."""

    @property
    def valid_sizes(self) -> dict[str, SizeSet | None]:
        """The accepted sizes of each unknown, where one box says it all; else None."""
        return self.accepted.valid

    @property
    def exact_sizes(self) -> dict[str, SizeSet | None]:
        """Those at which moreover no stride leaves a remainder."""
        return self.accepted.exact

    @property
    def requires(self) -> tuple[str, ...]:
        """What letters must satisfy that the accepted sizes do not say."""
        return self.accepted.requires

    def fits(self, exact: bool = False) -> bool:
        """Whether the given input is taken, and some input is at all; `exact`: moreover without a remainder.

        What is undecided counts as fitting.
        """
        if self.refused is not None or self.accepted.empty:
            return False
        nowhere = any(found is not None and not found for found in self.exact_sizes.values())
        return not (exact and (self.misfits or nowhere))

    def to_json(self) -> dict[str, Any]:
        """What `convproof net --format json` says of any network."""
        return {
            "schema": "convproof/1",
            "layers": [{f.name: plain(getattr(row, f.name)) for f in fields(row)} for row in self.rows],
            "unused_parameters": dict(self.unused),
            "totals": {f.name: plain(getattr(self.totals, f.name)) for f in fields(self.totals)},
            "accepted_sizes": self.accepted.to_json(),
            "valid_sizes": _sets(self.valid_sizes),
            "exact_sizes": _sets(self.exact_sizes),
            "misfits": list(self.misfits),
            "refused": self.refused and self.refused.to_json(),
            "requires": list(self.requires),
            "undecided": list(self.undecided),
        }


def _sets(found: Mapping[str, SizeSet | None]) -> dict[str, Any]:
    return {name: None if sizes is None else sizes.to_json() for name, sizes in found.items()}


def analyze(
    network: Network,
    parameters: Mapping[str, tuple[str, ...]] | None = None,
    strict: bool = True,
    at_one_size: Sequence[str] = (),
    cases: Sequence[Network] = (),
    stored: Mapping[str, tuple[int, ...]] | None = None,
    taken: Mapping[str, tuple[int, ...]] | None = None,
) -> Analysis:
    """Sizes, costs, fields and accepted inputs of a network, in numbers or letters.

    `parameters` names the stored parameters of layers; those that several layers use count once in the totals. With
    the shapes of all that a model learns in `stored`, these are what is counted. `taken` has the shapes that a
    framework makes where no rule tells them. Raises a `ConvproofError` that names the layer where a window does not
    fit or shapes do not go together; unless `strict`, an input that the network does not take is `refused` instead.
    `at_one_size` says why the network is what it is for the given input only; then nothing is known of other sizes.
    `cases` are the networks that take its place at other sizes.

    >>> from convproof.architecture.notation import network
    >>> found = analyze(network("INPUT[32x32x3] -> CONV3-12 -> RELU -> POOL2 -> FC-10"))
    >>> found.rows[3].output, found.totals.params
    ((12, 16, 16), 31066)
    """
    _check_letters(network)
    found, free = infer(network), of_any_size(network)
    network = found.network
    everywhere = found if free is network else infer(free)
    if found.refused and strict:
        raise ShapeError(next(iter(found.refused.values())))
    accepted = any_of([accepted_by(everywhere), *(accepted_sizes(each) for each in cases)])
    if at_one_size:
        unknown = dict.fromkeys(accepted.unknowns)
        accepted = replace(accepted, boxes=None, exact=unknown, undecided=(*at_one_size, *accepted.undecided))
    seen, unseen = receptive_fields(found)
    cost = cache(costs.cost)  # equal layers on equal shapes are worked out once
    rows = tuple(_row(node, found, seen.get(node.name), cost) for node in network)
    unused: dict[str, int] = {}
    if stored is not None:
        used = parameters or {}
        numbers = {name: math.prod(shape) for name, shape in stored.items()}
        rows = tuple(_stored(row, sum(numbers[name] for name in used.get(row.name, ()))) for row in rows)
        unused = {name: n for name, n in numbers.items() if not any(name in each for each in used.values())}
    rows = tuple(_taken(row, (taken or {}).get(row.name)) for row in rows)
    undecided = dict.fromkeys((*found.undecided.values(), *accepted.undecided, *unseen))
    totals = _totals(rows, parameters or {})
    if stored is not None:
        totals = replace(totals, params=sum(math.prod(shape) for shape in stored.values()))
    refused = _refused(found, accepted)
    misfits = tuple(_misfits(found))
    return Analysis(rows, totals, accepted, misfits, tuple(undecided), refused, found, everywhere, unused)


def _stored(row: Row, learned: int) -> Row:
    """The row with what a model learns there: less than the rule counts where a kernel is fixed, more where weights are
    scaled by other numbers.
    """
    if row.weights is None:
        return replace(row, params=learned or None)
    fixed = not isinstance(row.weights, int) or learned < row.weights
    return replace(row, params=learned, weights=0 if fixed else row.weights)


def _taken(row: Row, shape: tuple[int, ...] | None) -> Row:
    return row if row.output is not None or shape is None else replace(row, output=shape, derived=False)


def _refused(found: Inference, accepted: Accepted) -> Refused | None:
    """Why the given sizes are not taken; the set of all that are must say the same."""
    given = dict(zip(axis_names(found.network), found.network.image.sizes, strict=True))
    in_numbers = all(isinstance(n, int) for n in given.values())
    if in_numbers and accepted.boxes is not None and not found.undecided and (given in accepted) == bool(found.refused):
        raise Disagreement(
            f"at {given} shape inference says {found.refused or 'nothing'}, the accepted sizes otherwise."
        )
    for layer, error in found.refused.items():
        return Refused(layer, error, accepted.nearest(given) if in_numbers else {})
    return None


def _totals(rows: Iterable[Row], parameters: Mapping[str, tuple[str, ...]]) -> Totals:
    once = tuple(_counted_once(rows, parameters))
    sums = {f: total(n for row in once if (n := getattr(row, f)) is not None) for f in ("params", "weights")}
    sums |= {f: total(n for row in rows if (n := getattr(row, f)) is not None) for f in ("macs", "values")}
    return Totals(**sums, bytes=normal(costs.BYTES_PER_VALUE * sums["values"]))


def _counted_once(rows: Iterable[Row], parameters: Mapping[str, tuple[str, ...]]) -> Iterator[Row]:
    """The rows without the weights and the biases that an earlier layer has; a layer names its weights first."""
    seen: set[str] = set()
    for row in rows:
        used = parameters.get(row.name, ())
        if row.params is not None and row.weights is not None and seen.intersection(used):
            bias = normal(row.params - row.weights)
            first, *others = used if row.weights != 0 else ("", *used)
            weights, bias = 0 if first in seen else row.weights, 0 if seen.intersection(others) else bias
            row = replace(row, params=normal(weights + bias), weights=weights)
        seen.update(used)
        yield row


def _row(node: Node, found: Inference, seen: Fields | None, cost: Callable[..., costs.Cost]) -> Row:
    if node.name not in found.shapes:
        return Row(node.name, _op(node.layer))
    output = found.shapes[node.name]
    spent = cost(node.layer, output, *found.inputs(node))
    params = normal(spent.weights + spent.biases)
    row = (node.name, _op(node.layer), output, params, spent.weights, spent.macs, spent.values)
    if seen is None:
        return Row(*row)
    return Row(
        *row,
        tuple(each.size if each.exact else _whole(each.size) for each in seen),
        tuple(each.jump for each in seen),
        tuple(each.offset for each in seen),
        all(each.exact for each in seen),
    )


def _op(layer: Layer) -> str:
    """The kind of a layer, the name of an activation function, or that of the operation that is no kind."""
    if isinstance(layer, Activation):
        return layer.name
    return layer.op if isinstance(layer, Unknown | Shaped) else type(layer).__name__


def _whole(length: Size) -> Size:
    """The whole positions that an interval of `length` - 1 can hold; fractions arise in bounds."""
    try:
        return floordiv(length, 1)
    except SpecError:  # a letter in a denominator
        return length


def _check_letters(network: Network) -> None:
    """Refuses so many letters that the products of the cost formulas would grow out of hand."""
    found = {each for node in network for _, each in letters(node.layer) if isinstance(each, str)}
    if len(found) > MAX_LETTERS:
        raise SpecError(
            f"the network has {len(found)} letters; {MAX_LETTERS} is the limit, give numbers for the others"
        )


def _misfits(found: Inference) -> Iterator[str]:
    """Where a stride leaves a remainder at the given (numeric) input, in words."""
    names = axis_names(found.network)
    for node in found.known:
        for name, demand in zip(names, found.steps[node.name].remainders, strict=False):
            if isinstance(demand.left, int) and demand.holds() is False:
                yield f"{node.name}: along {name}, {demand.message}"


def plain(value: Any) -> Any:
    """JSON: numbers as numbers (fractions as floats), expressions as strings."""
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if isinstance(value, sympy.Rational):
        return float(value)
    return str(value) if isinstance(value, sympy.Expr) else value
