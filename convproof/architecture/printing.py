"""Trees and networks become notation: what `notation` reads, written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import networkx as nx

from convproof.architecture import fields, layers
from convproof.architecture.behaviour import Layer
from convproof.architecture.graph import Network
from convproof.architecture.notation import (
    MAX_DEPTH,
    Branches,
    Chain,
    Item,
    Optional,
    Repeat,
    check_limits,
    parse,
)
from convproof.architecture.words import MERGE_WORDS, SAME, WORDS, Word
from convproof.errors import NotationError, SpecError

MAX_BLOCK = 64
"""The longest block of layers that is looked for again right behind itself."""


def to_notation(item: Item | Network) -> str:
    """The notation of a tree, or of a network whose branches all join again; runs of equal blocks become `[...]*n`.

    `parse` gives a written tree back. `network` gives a written network's layers back, in order, under names of its
    own. Raises `SpecError` for what the notation cannot say: branches that share layers, expressions for sizes.

    >>> from convproof.architecture.notation import network
    >>> to_notation(network("INPUT[8x8x3] -> CONV3-8 -> RELU -> CONV3-8 -> RELU -> { ID | CONV3-8 } ADD"))
    'INPUT[8x8x3] -> [CONV3-8 -> RELU]*2 -> { ID | CONV3-8 } ADD'
    """
    tree = _tree(item) if isinstance(item, Network) else item
    text = _sequence(tree, 0) if isinstance(tree, Chain) else _item(tree, 0)
    try:
        check_limits(text)
    except NotationError as error:
        raise SpecError(f"the network has no notation: {error.problem}") from None
    return text


# --- from a tree ------------------------------------------------------------------------------------------------------


def _sequence(chain: Item, depth: int) -> str:
    items = chain.items or (chain,) if isinstance(chain, Chain) else (chain,)
    return " -> ".join(_item(each, depth) for each in items)


def _item(item: Item, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise SpecError(f"the network has no notation: its branches and repetitions nest deeper than {MAX_DEPTH}")
    match item:
        case Chain(()):
            return "ID"
        case Chain():
            return f"[{_sequence(item, depth + 1)}]"
        case Repeat(body, count):
            if not _reads_back(f"ID*{count}", Repeat(Chain(()), count)):
                raise SpecError(f"repetition by {count} has no notation; use a number or a letter")
            return f"{_item(body, depth + 1)}*{count}"
        case Optional(body):
            return f"{_item(body, depth + 1)}?"
        case Branches(branches, merge):
            return f"{{ {' | '.join(_sequence(each, depth + 1) for each in branches)} }} {_merge(merge, len(branches))}"
        case _:
            return _layer(item)


@lru_cache(1000)
def _layer(layer: Layer) -> str:
    for text in _texts(layer, WORDS):
        if _reads_back(text, layer):
            return text
    raise SpecError(f"{layer!r} has no notation")


@lru_cache(1000)
def _merge(layer: Layer, count: int) -> str:
    for text in _texts(layer, MERGE_WORDS):
        if _reads_back(f"{{ {' | '.join(['ID'] * count)} }} {text}", Branches((Chain((Chain(()),)),) * count, layer)):
            return text
    raise SpecError(f"{count} branches joined by {layer!r} have no notation")


def _reads_back(text: str, item: Item) -> bool:
    """Whether `text` is notation for just `item`: letters, numbers and names may hold what it has no place for."""
    try:
        return parse(text) == Chain((item,))
    except SpecError:
        return False


# --- one layer --------------------------------------------------------------------------------------------------------

_SHORT = {
    layers.Conv: "CONV{0.kernel_size}-{0.out_channels}",
    layers.MaxPool: "POOL{0.kernel_size}",
    layers.AvgPool: "AVGPOOL{0.kernel_size}",
    layers.Upsample: "UPSAMPLE{0.scale_factor}",
    layers.Linear: "FC-{0.out_features}",
}


def _texts(layer: Layer, words: dict[str, Word]) -> list[str]:
    """The ways to write a layer, the shortest first; not all of them need be right."""
    if isinstance(layer, layers.Input):
        return [f"INPUT[{'x'.join(map(str, (*reversed(layer.sizes), layer.channels)))}]"]
    short = [_SHORT[type(layer)].format(layer)] if type(layer) in _SHORT else []
    return short + [_long(layer, name, word) for name, word in words.items() if word.kind is type(layer)]


def _long(layer: Layer, name: str, word: Word) -> str:
    arguments = ", ".join(_arguments(layer, word))
    return f"{name}({arguments})" if arguments else name


def _arguments(layer: Any, word: Word) -> Iterator[str]:
    """`F=3` and so on, without those that say what goes without saying."""
    for argument, setting in word.arguments.items():
        value, usual = getattr(layer, setting.name), word.defaults
        default = layer.kernel_size if setting.name == "stride" and usual.get("stride", 0) is None else None
        if setting.name not in usual or value != (usual[setting.name] if default is None else default):
            yield f"{argument}={_value(setting, value)}"


def _value(setting: fields.Setting, value: Any) -> str:
    """What `notation` reads as this value of a setting."""
    match setting.holds, value:
        case fields.Flag(), _:
            return str(int(value))
        case fields.Number(), float():
            return format(Decimal(repr(value)), "f")
        case fields.Choice(), _:
            return str(value).upper()
        case _, tuple():
            parts = [":".join(map(str, each)) if isinstance(each, tuple) else str(each) for each in reversed(value)]
            return "x".join([*parts, ""] if len(value) == 1 and ":" not in parts[0] else parts)
    return next((word for word, same in SAME.items() if same == value), str(value))


# --- from a network ---------------------------------------------------------------------------------------------------


def _tree(network: Network) -> Chain:
    """The network in series and parallel: a merge's branches begin at its immediate dominator, the last layer that
    every path to it goes through."""
    nodes = {node.name: node for node in network}
    split_of = nx.immediate_dominators(network.graph, network.input.name)
    written: set[str] = set()

    def chain(start: str | None, end: str | None, depth: int) -> Chain:
        """The layers behind `start`, up to `end`."""
        if depth > MAX_DEPTH:
            raise SpecError(f"the network has no notation: its branches nest deeper than {MAX_DEPTH}")
        items: list[Item] = []
        while end is not None and end != start:
            if end in written:
                raise SpecError(f"the network has no notation: {end} is part of several branches of one merge")
            written.add(end)
            node = nodes[end]
            if len(node.operands) > 1:
                end = split_of[end]
                items.append(Branches(tuple(chain(end, each, depth + 1) for each in node.operands), node.layer))
            else:
                items.append(node.layer)
                end = node.operands[0] if node.operands else None
        return Chain(_compressed(items[::-1]) or (Chain(()),))

    return chain(None, network.output.name, 0)


def _compressed(items: Sequence[Item]) -> tuple[Item, ...]:
    """Runs of equal blocks as repetitions: at each place the run that covers most, of the shortest block."""
    numbers: dict[Item, int] = {}
    found = [numbers.setdefault(item, len(numbers)) for item in items]
    out: list[Item] = []
    place = 0
    while place < len(items):
        times = {length: _times(found, place, length) for length in range(1, MAX_BLOCK + 1)}
        length = max(times, key=lambda each: (times[each] > 1) * each * times[each])
        if times[length] > 1:
            block = Chain(_compressed(items[place : place + length]))
            out.append(Repeat(block, times[length]))
        else:
            out.append(items[place])
        place += length * times[length]
    return tuple(out)


def _times(found: list[int], place: int, length: int) -> int:
    """How often the block of `length` at `place` stands there in a row."""
    block, times = found[place : place + length], 1
    while found[place + times * length : place + (times + 1) * length] == block:
        times += 1
    return times
