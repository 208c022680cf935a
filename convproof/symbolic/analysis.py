"""All concerns of one network, layer by layer: what `convproof net` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import sympy

from convproof.architecture import (
    MERGES,
    Activation,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    GroupNorm,
    Layer,
    Network,
    Node,
    PixelShuffle,
    Slice,
    Unknown,
)
from convproof.architecture.layers import letters
from convproof.errors import ShapeError, SpecError, Undecided
from convproof.symbolic import costs, window
from convproof.symbolic.conditions import WINDOWED, at, axis_names, known_shapes, of_any_size, size_sets
from convproof.symbolic.field import Fields, operands_seen, receptive_field
from convproof.symbolic.floordiv import Size, floordiv, normal, size, total
from convproof.symbolic.shapes import Shape, agreeing, block_size, placed_axes
from convproof.symbolic.sizesets import SizeSet

MAX_LETTERS = 16


@dataclass(frozen=True)
class Row:
    """One layer of a network with everything that is known about it.

    From an operation on of which nothing is known everything is None. `receptive_field`, `jump` and `offset` hold one
    entry per spatial axis of the input; they are None also from a merge on whose branches move at different paces.
    Output o can depend on no position before offset + jump*o and on at most `receptive_field` positions; below a
    transposed conv, where the number differs from output to output, jump and offset may be fractions.
    """

    name: str
    op: str
    output: Shape | None
    params: Size | None
    weights: Size | None
    macs: Size | None
    values: Size | None
    receptive_field: tuple[Size, ...] | None
    jump: tuple[Size, ...] | None
    offset: tuple[Size, ...] | None


@dataclass(frozen=True)
class Totals:
    """Sums over all layers of which the costs are known; `bytes` is 4 per activation value."""

    params: Size
    weights: Size
    macs: Size
    values: Size
    bytes: Size


@dataclass(frozen=True)
class Analysis:
    """What a network costs and sees, and which inputs fit. Sizes are ints or expressions in the letters of the network.

    `valid_sizes` and `exact_sizes` hold a set per input axis, or None where it is undecided; `undecided` says why.
    `misfits` names the strides that leave a remainder at the given input, `refused` the layers that do not take it
    (from which on everything is None), `requires` what the letters must satisfy.
    """

    rows: tuple[Row, ...]
    totals: Totals
    valid_sizes: dict[str, SizeSet | None]
    exact_sizes: dict[str, SizeSet | None]
    misfits: tuple[str, ...]
    requires: tuple[str, ...]
    undecided: tuple[str, ...]
    refused: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether no stride leaves a remainder at the given input, and some input fits without remainder at all.

        What is undecided counts as fitting.
        """
        nowhere = any(found is not None and not (found.below or found.residues) for found in self.exact_sizes.values())
        return not (self.misfits or self.refused or nowhere)

    def to_json(self) -> dict[str, Any]:
        """What `convproof net --format json` says of any network."""
        return {
            "schema": "convproof/1",
            "layers": [{f.name: plain(getattr(row, f.name)) for f in fields(row)} for row in self.rows],
            "totals": {f.name: plain(getattr(self.totals, f.name)) for f in fields(self.totals)},
            "valid_sizes": {axis: found and found.to_json() for axis, found in self.valid_sizes.items()},
            "exact_sizes": {axis: found and found.to_json() for axis, found in self.exact_sizes.items()},
            "misfits": list(self.misfits),
            "refused": list(self.refused),
            "requires": list(self.requires),
            "undecided": list(self.undecided),
        }


def analyze(network: Network, parameters: Mapping[str, tuple[str, ...]] | None = None, strict: bool = True) -> Analysis:
    """Sizes, costs, fields and fitting inputs of a network, in numbers or letters.

    `parameters` names the stored parameters of layers; those that several layers use count once in the totals. Raises a
    `ConvproofError` that names the layer where a window does not fit or shapes do not go together. Unless `strict`, an
    input of a size that the network does not take is `refused` instead; what no size would mend is raised.

    >>> from convproof.architecture.notation import network
    >>> found = analyze(network("INPUT[32x32x3] -> CONV3-12 -> RELU -> POOL2 -> FC-10"))
    >>> found.rows[3].output, found.totals.params
    ((12, 16, 16), 31066)
    """
    _check_letters(network)
    undecided: list[str] = []
    refused: list[str] = []
    shapes = known_shapes(network, undecided, refused=None if strict else refused)
    sized = of_any_size(network) if refused else network
    if refused:
        try:
            known_shapes(sized, [])
        except ShapeError:  # no size would mend it
            raise ShapeError(refused[0]) from None
    known = [node for node in network if node.name in shapes]
    requires = tuple(dict.fromkeys(_requirements(known, shapes)))
    seen = _fields(known, shapes, undecided)
    cost = cache(_costs)  # equal layers on equal shapes are worked out once
    rows = tuple(_row(node, shapes, seen.get(node.name), cost) for node in network)
    once = tuple(_counted_once(rows, parameters or {}))
    sums = {f: total(n for row in once if (n := getattr(row, f)) is not None) for f in ("params", "weights")}
    sums |= {f: total(n for row in rows if (n := getattr(row, f)) is not None) for f in ("macs", "values")}
    valid: dict[str, SizeSet | None] = {}
    exact: dict[str, SizeSet | None] = {}
    for axis, name in enumerate(axis_names(network)):
        try:
            valid[name], exact[name] = size_sets(sized, axis)
        except Undecided as error:
            valid[name] = exact[name] = None
            undecided.append(f"sizes of {name}: {error}")
    totals = Totals(**sums, bytes=normal(costs.BYTES_PER_VALUE * sums["values"]))
    misfits = tuple(_misfits(network, known, shapes))
    return Analysis(rows, totals, valid, exact, misfits, requires, tuple(undecided), tuple(refused))


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


def _fields(nodes: Iterable[Node], shapes: dict[str, Shape], undecided: list[str]) -> dict[str, Fields | None]:
    """The receptive field of every layer; None where there is no single one, with the reason in `undecided`."""
    seen: dict[str, Fields | None] = {}
    for node in nodes:
        operands = [field for name in operands_seen(node) if (field := seen[name]) is not None]
        try:
            with at(node):
                whole = len(operands) == len(operands_seen(node))
                inputs = [shapes[name] for name in node.operands]
                seen[node.name] = receptive_field(node.layer, operands, inputs) if whole else None
        except Undecided as error:
            undecided.append(f"receptive field from {error}")
            seen[node.name] = None
    return seen


def _costs(layer: Layer, *inputs: Shape) -> tuple[Size, Size, Size, Size]:
    """Parameters, weights, multiply-adds and activation values of a layer."""
    return (
        costs.parameters(layer, *inputs),
        costs.weights(layer, *inputs),
        costs.macs(layer, *inputs),
        costs.values(layer, *inputs),
    )


def _row(node: Node, shapes: dict[str, Shape], seen: Fields | None, cost: Callable[..., tuple[Size, ...]]) -> Row:
    if node.name not in shapes:
        return Row(node.name, _op(node.layer), *(None for _ in fields(Row)[2:]))
    with at(node):
        params, weights, macs, values = cost(node.layer, *(shapes[name] for name in node.operands))
        return Row(
            name=node.name,
            op=_op(node.layer),
            output=shapes[node.name],
            params=params,
            weights=weights,
            macs=macs,
            values=values,
            receptive_field=seen and tuple(_whole(field.size) for field in seen),
            jump=seen and tuple(field.jump for field in seen),
            offset=seen and tuple(field.offset for field in seen),
        )


def _op(layer: Layer) -> str:
    """The kind of a layer, the name of an activation function, or that of the operation that is no kind."""
    if isinstance(layer, Activation):
        return layer.name
    return layer.op if isinstance(layer, Unknown) else type(layer).__name__


def _whole(length: Size) -> Size:
    """The whole positions that an interval of `length` - 1 can hold; fractions arise below transposed convs."""
    try:
        return floordiv(length, 1)
    except SpecError:  # a letter in a denominator
        return length


def _requirements(nodes: Iterable[Node], shapes: dict[str, Shape]) -> Iterator[str]:
    """What letters must satisfy for the layers to go together."""
    for node in nodes:
        inputs = [shapes[name] for name in node.operands]
        if isinstance(node.layer, MERGES):
            for a, b in agreeing(node.layer, inputs):
                if normal(a - b) != 0:
                    yield f"{node.name}: {a} = {b}"
        elif isinstance(node.layer, PixelShuffle) and letters(node.layer):
            yield f"{node.name}: {block_size(node.layer, inputs[0])} divides {inputs[0][0]}"
        elif isinstance(node.layer, Slice) and not isinstance(normal(inputs[0][0] - size(node.layer.stop)), int):
            yield f"{node.name}: {node.layer.stop} <= {inputs[0][0]}"
        elif isinstance(node.layer, (Conv, ConvTranspose, GroupNorm, ChannelShuffle)) and node.layer.groups != 1:
            for channels in dict.fromkeys((inputs[0][0], getattr(node.layer, "out_channels", inputs[0][0]))):
                if not (isinstance(node.layer.groups, int) and isinstance(channels, int)):
                    yield f"{node.name}: {node.layer.groups} divides {channels}"


def _check_letters(network: Network) -> None:
    """Refuses so many letters that the products of the cost formulas would grow out of hand."""
    found = {each for node in network for _, each in letters(node.layer) if isinstance(each, str)}
    if len(found) > MAX_LETTERS:
        raise SpecError(
            f"the network has {len(found)} letters; {MAX_LETTERS} is the limit, give numbers for the others"
        )


def _misfits(network: Network, nodes: Iterable[Node], shapes: dict[str, Shape]) -> Iterator[str]:
    """Where a stride leaves a remainder at the given (numeric) input, in words."""
    names = axis_names(network)
    for node in nodes:
        if isinstance(node.layer, WINDOWED) and any(isinstance(n, int) for n in shapes[node.operands[0]][1:]):
            x = shapes[node.operands[0]]
            for name, along, n in zip(names, placed_axes(node.layer, x), x[1:], strict=True):
                left = window.remainder(along, n) if isinstance(n, int) else 0
                if isinstance(left, int) and left > 0:
                    yield (
                        f"{node.name}: along {name}, stride {along.stride} leaves a remainder of {left} in "
                        f"{n} + {along.before} + {along.after} positions"
                    )


def plain(value: Any) -> Any:
    """JSON: numbers as numbers (fractions as floats), expressions as strings."""
    if isinstance(value, tuple):
        return [plain(v) for v in value]
    if isinstance(value, sympy.Rational):
        return float(value)
    return str(value) if isinstance(value, sympy.Expr) else value
