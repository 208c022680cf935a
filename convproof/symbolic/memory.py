"""How many activation values a network keeps: in training all of them, at test time those that are still to be read.

Weights are not counted, nor what an operation needs inside. Layers whose `costs.values` are 0 (ReLU, dropout, flatten)
work in place on their operand where they are its only reader, and else on a copy. At test time a layer's operands and
its output are held together, and an activation is dropped after its last reader; the peak depends on the layers' order.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

import sympy

from convproof.architecture import Layer, Network, Node, layers, letters
from convproof.errors import SpecError, Undecided
from convproof.symbolic import costs
from convproof.symbolic.accepted import accepted_sizes
from convproof.symbolic.constraints import product
from convproof.symbolic.floordiv import FloorDiv, Size, collect, normal, symbol, total
from convproof.symbolic.shapes import Shape, output_shapes

MOST_STEPS, MOST_CASES, MOST_POINTS = 300_000, 500, 64
"""Steps in search of an order; residues, and numbers for a single letter, in which expressions are compared."""


@dataclass(frozen=True)
class Peak:
    """The most values held at one time when the layers run in `order`.

    It is the largest of `candidates`, each with the layer that runs then: one in numbers; in letters those that no
    other one equals or exceeds at all sizes. `exact` says that no order has a smaller peak; else some may have one.
    """

    candidates: tuple[tuple[Size, str], ...]
    exact: bool
    order: tuple[str, ...]

    @property
    def values(self) -> Size:
        """The peak, where it is one expression. Raises `Undecided` where it depends on the letters."""
        if len(self.candidates) > 1:
            shown = " and ".join(f"{values} (at {at})" for values, at in self.candidates)
            raise Undecided(f"the peak is the larger of {shown}; give numbers for the letters")
        return self.candidates[0][0]

    @property
    def at(self) -> str:
        """The layer that runs at the peak, or those that may."""
        return ", ".join(at for _, at in self.candidates)


def retained(network: Network) -> Size:
    """The values that training keeps for the backward pass: every layer's output, apart from those made in place.

    That functions of single elements work in place is the convention of `costs.values`; where their backward pass
    needs what they overwrite, as that of GELU does, a framework keeps it as well.

    >>> from convproof.architecture.notation import network
    >>> retained(network("INPUT[WxWx3] -> CONV3-8 -> RELU -> CONV3-8"))
    19*W**2
    """
    shapes = output_shapes(network)
    return total(_values(node, shapes) for node in network)


DTYPES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a number."""

OPTIMIZERS = {"sgd": 0, "momentum": 1, "adam": 2}
"""How many numbers an optimizer keeps for each parameter: SGD alone and with momentum, Adam or AdamW."""

BYTES_PER_INDEX = 8
"""Where the maxima were, PyTorch keeps as int64."""


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a step of training keeps between its forward and its backward pass, for a whole batch.

    Everything has one dtype, but for the indices of max pools. What an operation needs while it runs is not counted.
    """

    batch: Size
    dtype: str
    optimizer: str
    activations: Size
    indices: Size
    parameters: Size
    gradients: Size
    states: Size
    """What the optimizer keeps."""

    @property
    def parts(self) -> dict[str, Size]:
        """What it is made of, in words."""
        return {
            "activations": self.activations,
            "places of maxima": self.indices,
            "parameters": self.parameters,
            "gradients": self.gradients,
            f"what {self.optimizer} keeps": self.states,
        }

    @property
    def total(self) -> Size:
        """All of it."""
        return total(self.parts.values())


def training_memory(
    network: Network, learned: Size | None = None, batch: Any = 1, dtype: str = "float32", optimizer: str = "sgd"
) -> TrainingMemory:
    """The bytes that a step of training keeps: activations as in `retained`, the places of maxima, parameters with
    their gradients, and what the optimizer keeps.

    `learned` is the number of parameters where it is not that of the layers, since several share some; `batch` may be a
    letter. Raises `SpecError` for a dtype or an optimizer that is not in `DTYPES` or `OPTIMIZERS`, and `Undecided` for
    operations of which nothing is known.

    >>> from convproof.architecture.notation import network
    >>> kept = training_memory(network("INPUT[8x8x3] -> CONV3-4 -> POOL2"), batch=32, optimizer="adam")
    >>> kept.activations, kept.indices, kept.parameters, kept.states
    (65536, 16384, 448, 896)
    """
    for value, known in ((dtype, DTYPES), (optimizer, OPTIMIZERS)):
        if value not in known:
            raise SpecError(f"{value!r} is none of {', '.join(known)}")
    images = symbol(batch) if isinstance(batch, str) else batch
    if isinstance(batch, str) and batch in {name for n in network for _, value in letters(n.layer) for name in [value]}:
        raise SpecError(f"batch={batch!r} is a letter of the network; take another")
    if isinstance(images, int) and images < 1:
        raise SpecError(f"batch={images} is less than 1")
    shapes, size = output_shapes(network), DTYPES[dtype]
    if learned is None:
        own = (costs.cost(n.layer, shapes[n.name], *(shapes[name] for name in n.operands)) for n in network)
        learned = total(n for each in own for n in (each.weights, each.biases))
    maxima = total(product(shapes[node.name]) for node in network if _keeps_places(node.layer))
    parameters = normal(size * learned)
    return TrainingMemory(
        images,
        dtype,
        optimizer,
        normal(images * size * retained(network)),
        normal(images * BYTES_PER_INDEX * maxima),
        parameters,
        parameters,
        normal(OPTIMIZERS[optimizer] * parameters),
    )


def _keeps_places(layer: Layer) -> bool:
    return isinstance(layer, layers.MaxPool) or (isinstance(layer, layers.AdaptivePool) and layer.kind == "max")


def _values(node: Node, shapes: Mapping[str, Shape]) -> Size:
    """The values that a layer's output adds."""
    return costs.cost(node.layer, shapes[node.name], *(shapes[name] for name in node.operands)).values


def peak(network: Network) -> Peak:
    """The most values live at one time at test time, with the best order of the layers.

    In numbers that is searched for, within `MOST_STEPS`; beyond, and in letters, it is the order of the network, with
    `exact` where its peak is that of an output and its operands alone. Raises `Undecided` for unknown operations, and
    where expressions in letters cannot be compared.

    >>> from convproof.architecture.notation import network
    >>> found = peak(network("INPUT[32x32x3] -> CONV3-8 -> RELU -> CONV3-8 -> POOL2 -> FC-10"))
    >>> found.values, found.at, found.exact
    (16384, 'conv2', True)
    >>> peak(network("INPUT[WxWx3] -> CONV3-8 -> CONV3-9 -> POOL2 -> CONV3-99")).candidates
    ((17*W**2, 'conv2'), (108*(W//2)**2, 'conv3'))
    """
    blocks = _blocks(network)
    needed = [frozenset((i, *block.operands)) for i, block in enumerate(blocks)]
    order: Sequence[int] = range(len(blocks))
    if all(isinstance(block.size, int) for block in blocks):
        order, exact = _best_order(blocks, max(_size(each, blocks) for each in needed))
        values, place = max((_size(held, blocks), -step) for step, held in enumerate(_live(blocks, order)))
        found = [(values, blocks[order[-place]].names[0])]
    else:
        domain = _Domain.of(network)
        front = _undominated(_live(blocks, order), blocks, domain)
        found = [(_size(held, blocks), blocks[i].names[0]) for i, held in front.items()]
        exact = all(any(_at_least(each, held, blocks, domain) for each in needed) for held in front.values())
    return Peak(tuple(found), exact, tuple(name for i in order for name in blocks[i].names))


@dataclass(frozen=True)
class _Block:
    """One stored activation: the layer that makes it and those that change it in place, what it reads, its readers."""

    names: tuple[str, ...]
    size: Size
    operands: frozenset[int]
    readers: frozenset[int] = frozenset()


def _blocks(network: Network) -> list[_Block]:
    """The stored activations in the order of the network."""
    shapes, blocks, place = output_shapes(network), list[_Block](), dict[str, int]()
    for node in network:
        in_place = _values(node, shapes) == 0
        if in_place and network.graph.out_degree(node.operands[0]) == 1:
            place[node.name] = i = place[node.operands[0]]
            blocks[i] = replace(blocks[i], names=(*blocks[i].names, node.name))
            continue
        place[node.name] = len(blocks)
        blocks.append(_Block((node.name,), product(shapes[node.name]), frozenset(place[o] for o in node.operands)))
        for i in blocks[-1].operands:
            blocks[i] = replace(blocks[i], readers=blocks[i].readers | {place[node.name]})
    return blocks


def _size(held: Iterable[int], blocks: Sequence[_Block]) -> Size:
    return total(blocks[i].size for i in held)


def _live(blocks: Sequence[_Block], order: Sequence[int]) -> Iterator[frozenset[int]]:
    """The blocks held while each one of `order` is made."""
    held: set[int] = set()
    waiting = [len(block.readers) for block in blocks]
    for i in order:
        held.add(i)
        yield frozenset(held)
        for operand in blocks[i].operands:
            waiting[operand] -= 1
            if not waiting[operand]:
                held.discard(operand)


def _best_order(blocks: Sequence[_Block], least: int) -> tuple[Sequence[int], bool]:
    """The order of least peak and True, or the given order and False; no order's peak is below `least`."""
    given = max(_size(held, blocks) for held in _live(blocks, range(len(blocks))))
    operands, readers = ([sum(1 << i for i in getattr(b, side)) for b in blocks] for side in ("operands", "readers"))
    # What is live depends only on the set of blocks done: Dijkstra's path from none to all, by least peak.
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (least, ())}
    queue = [(least, 0, 0, 0)]
    while queue and given > least:
        high, undone, done, live = heappop(queue)
        if -undone == len(blocks):
            return best[done][1], True
        for i, block in enumerate(blocks):
            then, reached = done | 1 << i, max(high, live + block.size)
            if then == done or operands[i] & ~done or reached >= best.get(then, (given,))[0]:
                continue
            best[then] = reached, (*best[done][1], i)
            if len(best) * len(blocks) > MOST_STEPS:
                return range(len(blocks)), False
            dropped = sum(blocks[o].size for o in block.operands if not readers[o] & ~then)
            heappush(queue, (reached, undone - 1, then, live + block.size - dropped))
    return range(len(blocks)), True


@dataclass(frozen=True)
class _Domain:
    """Some numbers for the letters with which the network is valid, and the least that are left to be proved for."""

    points: tuple[dict[sympy.Symbol, sympy.Integer], ...]
    low: dict[sympy.Symbol, int]

    @classmethod
    def of(cls, network: Network) -> _Domain:
        extents = {n for shape in output_shapes(network).values() for n in shape if not isinstance(n, int)}
        letters = sorted({x for n in extents for x in n.free_symbols}, key=str)
        low = {x: 1 if x.assumptions0.get("positive") else 0 for x in letters}
        boxes = accepted_sizes(network).boxes if letters else None  # where they are not known, all sizes are compared
        for letter in letters:
            if found := [next(iter(box[letter.name])) for box in boxes or () if letter.name in box]:
                low[letter] = max(min(found), low[letter])
        near = range(MOST_POINTS if len(letters) == 1 else 2)  # of one letter none is left out before the proof begins
        chosen = itertools.product((None, *letters), (*near, 10**6), (0, 1, 10**6))  # a letter's number and the others'
        points = {tuple(low[x] + (far if x == one else rest) for x in letters) for one, far, rest in chosen}
        tried = [{x: sympy.Integer(n) for x, n in zip(letters, point, strict=True)} for point in sorted(points)]
        valid = tuple(point for point in tried if all(n.xreplace(point) > 0 for n in extents))
        return cls(valid, {x: n + len(near) for x, n in low.items()} if len(letters) == 1 else low)


def _undominated(
    steps: Iterable[frozenset[int]], blocks: Sequence[_Block], domain: _Domain
) -> dict[int, frozenset[int]]:
    """The steps whose sizes no other step's equals or exceeds for all letters; of equal ones the first."""
    distinct = {_size(held, blocks): (i, held) for i, held in reversed([*enumerate(steps)])}
    front: dict[int, frozenset[int]] = {}
    for i, held in sorted(distinct.values(), key=lambda step: step[0]):
        if not any(_at_least(other, held, blocks, domain) for other in front.values()):
            front = {j: other for j, other in front.items() if not _at_least(held, other, blocks, domain)} | {i: held}
    for one, other in itertools.permutations(front.values(), 2):
        if _at_least(one, other, blocks, domain) is None:
            sizes = " >= ".join(str(_size(each, blocks)) for each in (one, other))
            raise Undecided(f"whether always {sizes} is not known; give numbers for the letters")
    return front


def _at_least(one: frozenset[int], other: frozenset[int], blocks: Sequence[_Block], domain: _Domain) -> bool | None:
    """Whether the size of one set of blocks is at least that of another for all letters; None where it is not known."""
    if other <= one:
        return True
    difference = sympy.expand(_size(one, blocks) - _size(other, blocks))
    if any(difference.xreplace(point) < 0 for point in domain.points):
        return False
    bounds = (difference, _lower_bound(difference, domain.low))
    return any(_plain(bound, domain.low) for bound in bounds) or _by_residues(difference, domain.low) or None


def _lower_bound(difference: Size, low: Mapping[sympy.Symbol, int]) -> Size:
    """What it is at least, with every floor(a/b) as small, or as large where it is subtracted, as may be."""
    bound = 0
    for monomial, c in collect(difference).items():
        floors = {f: f.args for f in monomial.atoms(FloorDiv)}
        if not all(b.is_Integer and _plain(a, low) for a, b in floors.values()):
            bound += c * monomial
        elif c < 0 or all(_plain(a - b + 1, low) for a, b in floors.values()):
            bound += c * monomial.xreplace({f: (a - (0 if c < 0 else b - 1)) / b for f, (a, b) in floors.items()})
    return bound


def _by_residues(difference: Size, low: Mapping[sympy.Symbol, int]) -> bool:
    """Whether it is plainly not negative for every residue of its letters, where floors become polynomials."""
    period = _period(difference)
    letters = sorted({x for f in difference.atoms(FloorDiv) for x in f.free_symbols}, key=str)
    if not period or period ** len(letters) > MOST_CASES:
        return False
    cases = itertools.product(range(period), repeat=len(letters))
    steps = ({x: period * (x - low[x]) + low[x] + r for x, r in zip(letters, case, strict=True)} for case in cases)
    return all(_plain(difference.xreplace(step), low) for step in steps)


def _period(difference: Size) -> int:
    """A step of the letters that changes every floor by a polynomial; 0 where a divisor is a letter."""
    floors = difference.atoms(FloorDiv)
    return math.lcm(*(int(f.args[1]) * _period(f.args[0]) if f.args[1].is_Integer else 0 for f in floors))


def _plain(p: Size, low: Mapping[sympy.Symbol, int]) -> bool:
    """Whether no coefficient is negative, when letters and floors that only grow are counted from their least."""
    least = {x: sympy.Integer(n) for x, n in low.items()}
    floors = [f for f in sympy.expand(p).atoms(FloorDiv) if f.args[1].is_Integer and _plain(f.args[0], low)]
    counted = {x: x + n for x, n in least.items()} | {f: sympy.Dummy() + f.xreplace(least) for f in floors}
    shifted = sympy.expand(sympy.expand(p).xreplace(counted))
    return not shifted.has(FloorDiv) and all(c >= 0 for c in shifted.as_coefficients_dict().values())
