"""Network notation: text becomes a tree, and a tree becomes a `Network`.

    INPUT[224x224x3] -> [CONV3-64 -> RELU]*2 -> POOL2 -> FC-4096 -> RELU -> FC-1000

Sizes stand in the notes' order, width first (`INPUT[WxHxD]`, `F=7x1` is 7 wide and 1 high); the layers that come out
hold them in array order (C, H, W). Letters stand for positive integers. A pool's stride defaults to its size.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from convproof.errors import NotationError, SpecError
from convproof.spec import layers as spec
from convproof.spec.layers import Layer, Value
from convproof.spec.network import Builder, Network

MAX_TEXT, MAX_DEPTH, MAX_LAYERS = 100_000, 50, 20_000


@dataclass(frozen=True)
class Chain:
    """Items in sequence; the empty chain is the identity, written `ID`."""

    items: tuple[Item, ...]


@dataclass(frozen=True)
class Repeat:
    """`item*count`; a letter for the count makes the whole a pattern."""

    item: Item
    count: Value
    column: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Optional:
    """`item?`: present or not, which makes the whole a pattern."""

    item: Item
    column: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Branches:
    """`{ a | b } ADD`: every branch reads the same input, and `merge` joins them."""

    branches: tuple[Item, ...]
    merge: Layer
    column: int = field(default=1, compare=False)


Item = Layer | Chain | Repeat | Optional | Branches


def parse(text: str) -> Item:
    """The tree of `text`. Raises `NotationError`, with the column of the trouble.

    >>> parse("CONV3-64 -> RELU").items[1]
    ReLU()
    """
    if not isinstance(text, str):
        raise SpecError(f"network notation is text, not {type(text).__name__}")
    if len(text) > MAX_TEXT:
        raise NotationError(text, MAX_TEXT, f"the text has {len(text)} characters; {MAX_TEXT} is the limit")
    _check_depth(text)
    try:
        return _parser().parse(text)  # type: ignore[return-value]
    except NotationError as error:
        raise NotationError(text, error.column, error.problem) from None
    except UnexpectedInput as error:
        raise _explained(text, error) from None


def network(text: str, image: spec.Input | None = None) -> Network:
    """The network that `text` describes, on `image` if that is given, else on the text's own INPUT.

    Raises `NotationError` or `SpecError`.

    >>> len(network("INPUT[32x32x3] -> [CONV3-8 -> RELU]*2 -> POOL2 -> FC-10"))
    7
    """
    tree, builder = parse(text), Builder()
    if image is not None and not _starts_with_input(tree):
        builder.add(image)
    _expand(tree, builder, text)
    if not builder.nodes or not isinstance(builder.nodes[0].layer, spec.Input):
        raise NotationError(text, 1, "a network starts with INPUT[WxHxD], for example INPUT[224x224x3]")
    found = builder.network()
    return found if image is None else found.with_input(image)


def has_input(text: str) -> bool:
    """Whether the text begins with an INPUT."""
    return _starts_with_input(parse(text))


def _starts_with_input(item: Item) -> bool:
    while isinstance(item, (Chain, Repeat)):
        if isinstance(item, Chain) and not item.items:
            return False
        item = item.item if isinstance(item, Repeat) else item.items[0]
    return isinstance(item, spec.Input)


def _expand(item: Item, builder: Builder, text: str) -> None:
    """Appends `item` to the network under construction."""
    match item:
        case Chain(items):
            for each in items:
                _expand(each, builder, text)
        case Repeat(body, int(count)):
            for _ in range(count):
                before = len(builder.nodes)
                _expand(body, builder, text)
                if len(builder.nodes) == before:
                    return
        case Repeat(_, count, column):
            raise NotationError(
                text,
                column,
                f"repetition by a letter (*{count}) describes a family of "
                f"networks, not one; write a number in place of {count}",
            )
        case Optional(_, column):
            raise NotationError(text, column, "an optional layer describes two networks; write one of them")
        case Branches(branches, merge, column):
            split, ends = builder.last, []
            if split is None:
                raise NotationError(text, column, "branches need a layer before them to read")
            for branch in branches:
                builder.last = split
                _expand(branch, builder, text)
                ends.append(builder.last)
            _check_length(builder, text)
            builder.add(merge, ends)
        case _:
            _check_length(builder, text)
            if isinstance(item, spec.Input) and builder.nodes:
                raise NotationError(
                    text, text.find("INPUT", text.find("INPUT") + 1) + 1, "a second INPUT; a network has one"
                )
            builder.add(item)


def _check_length(builder: Builder, text: str) -> None:
    if len(builder.nodes) >= MAX_LAYERS:
        raise NotationError(text, 1, f"this describes more than {MAX_LAYERS} layers, the limit")


@cache
def _parser() -> Lark:
    return Lark.open("notation.lark", rel_to=__file__, parser="lalr", transformer=_Tree())


def _check_depth(text: str) -> None:
    """Refuses brackets and repetitions that nest deeper than a program would want to recurse."""
    depth = repeats = 0
    for column, character in enumerate(text, 1):
        depth += (character in "[{(") - (character in "]})")
        repeats = 0 if character in "->|" else repeats + (character in "*?")
        if depth > MAX_DEPTH:
            raise NotationError(text, column, f"brackets nest deeper than {MAX_DEPTH}, the limit")
        if repeats > MAX_DEPTH:
            raise NotationError(text, column, f"more than {MAX_DEPTH} repetitions of one item, the limit")


def _explained(text: str, error: UnexpectedInput) -> NotationError:
    column = (error.pos_in_stream or 0) + 1
    if isinstance(error, UnexpectedCharacters):
        return NotationError(text, column, f"{text[column - 1]!r} has no meaning here")
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return NotationError(text, len(text) + 1, "the text ends too early; a layer or a closing bracket is missing")
    found = str(error.token) if isinstance(error, UnexpectedToken) else text[column - 1]
    return NotationError(text, column, f"{found!r} cannot stand here; layers are joined by '->'")


# --- one layer's text -------------------------------------------------------------------------------------------------


def _value(token: str) -> Value:
    return int(token) if token.isdecimal() else token


def _extents(token: str) -> Value:
    """`"7"`, `"7x1"` or `"FxG"`: one value, or one per axis in array order (the text is width first)."""
    parts = token.split("x")
    for part in parts:
        if not re.fullmatch(r"[0-9]{1,12}|[A-Za-wyz][A-Za-wyz0-9_]*", part):
            raise SpecError(f"{token!r} is not a size: write a number or a letter (no x in it), or several joined by x")
    return _value(parts[0]) if len(parts) == 1 else tuple(_value(p) for p in reversed(parts))


def _same_padding(kernel: Value) -> Value:
    if not isinstance(kernel, int) or kernel % 2 == 0:
        raise SpecError(f"padding (F-1)/2 is not a whole number for F={kernel}; write CONV(K=..., F={kernel}, P=...)")
    return (kernel - 1) // 2


def _conv(K: Value, F: Value, S: Value = 1, P: Value = 0, D: Value = 1, G: Value = 1) -> Layer:
    return spec.Conv(K, F, S, P, D, G)


def _short_conv(size: Value, filters: Value) -> Layer:
    return spec.Conv(filters, size, padding=_same_padding(size))


def _max_pool(F: Value, S: Value = None, P: Value = 0, D: Value = 1) -> Layer:
    return spec.MaxPool(F, S, P, D)


def _avg_pool(F: Value, S: Value = None, P: Value = 0) -> Layer:
    return spec.AvgPool(F, S, P)


_NAMED: dict[str, tuple[Callable[..., Any], tuple[str, ...], tuple[str, ...]]] = {
    "CONV": (_conv, ("K", "F"), ("S", "P", "D", "G")),
    "POOL": (_max_pool, ("F",), ("S", "P", "D")),
    "AVGPOOL": (_avg_pool, ("F",), ("S", "P")),
    "FC": (lambda K: spec.Linear(K), ("K",), ()),
}
"""Layers with arguments: what builds them, the required names, the others."""

_BARE: dict[str, Callable[[], Item]] = {
    "GLOBALAVGPOOL": lambda: spec.GlobalPool("avg"),
    "RELU": spec.ReLU,
    "LRN": spec.LocalResponseNorm,
    "BN": spec.BatchNorm,
    "DROPOUT": spec.Dropout,
    "SOFTMAX": spec.Softmax,
    "FLATTEN": spec.Flatten,
    "ID": lambda: Chain(()),
}

_SHORT: tuple[tuple[str, Callable[..., Layer]], ...] = (
    (r"CONV(\d+)-(\w+)", _short_conv),
    (r"POOL(\d+)", _max_pool),
    (r"AVGPOOL(\d+)", _avg_pool),
    (r"FC-(\w+)", spec.Linear),
)

_MERGES: dict[str, Callable[[], Layer]] = {"ADD": spec.Add, "CONCAT": spec.Concat}

_EXAMPLES = [
    "INPUT[224x224x3]",
    "CONV3-64",
    "CONV(K=96, F=11, S=4, P=0)",
    "POOL2",
    "POOL(F=3, S=2)",
    "AVGPOOL(F=7, S=1)",
    "FC-1000",
    *_BARE,
]


def _layer(word: str, arguments: list[tuple[str | None, str]] | None) -> Item:
    if arguments is not None:
        return _with_arguments(word, arguments)
    if word in _BARE:
        return _BARE[word]()
    for pattern, build in _SHORT:
        if match := re.fullmatch(pattern, word):
            return build(*(_extents(part) for part in match.groups()))
    if word in _NAMED:
        _, required, _ = _NAMED[word]
        needed = ", ".join(f"{name}=..." for name in required)
        raise SpecError(f"{word} needs its numbers: {word}({needed})")
    raise SpecError(f"unknown layer {word!r}{_suggestion(word)}")


def _with_arguments(word: str, arguments: list[tuple[str | None, str]]) -> Item:
    if word not in _NAMED:
        raise SpecError(f"{word} takes no arguments" if word in _BARE else f"unknown layer {word!r}{_suggestion(word)}")
    build, required, others = _NAMED[word]
    values: dict[str, Value] = {}
    for name, token in arguments:
        name = name or required[0]
        if name not in required + others:
            raise SpecError(f"{word} has no argument {name}; it takes {', '.join(required + others)}")
        if name in values:
            raise SpecError(f"{word} is given {name} twice")
        values[name] = _extents(token)
        if name in ("K", "G") and isinstance(values[name], tuple):
            raise SpecError(f"{word}: {name}={token} must be one number, not one per axis")
    missing = [name for name in required if name not in values]
    if missing:
        raise SpecError(f"{word} needs {' and '.join(missing)}, as in {word}({', '.join(f'{m}=3' for m in required)})")
    layer: Item = build(**values)
    return layer


def _input(text: str) -> Layer:
    inside = text[text.index("[") + 1 : -1].strip()
    extents = _extents(inside)
    if not isinstance(extents, tuple):
        raise SpecError(f"INPUT[{inside}] needs a width, a height and a depth, as in INPUT[224x224x3]")
    return spec.Input(extents[0], extents[1:])


def _suggestion(word: str) -> str:
    close = difflib.get_close_matches(word.upper(), _EXAMPLES, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close and close[0] != word else f"; known are {', '.join(_EXAMPLES)}"


class _Tree(Transformer[Token, Item]):
    """Lark's parse, bottom up, as our tree; errors get the column of the layer's first character."""

    @v_args(inline=True)
    def start(self, chain: Item) -> Item:
        return chain

    def chain(self, items: list[Item]) -> Item:
        return Chain(tuple(items))

    @v_args(inline=True)
    def group(self, chain: Item) -> Item:
        return chain

    @v_args(inline=True)
    def repeat(self, item: Item, count: Token) -> Item:
        value = self._placed(count, lambda: _extents(str(count)))
        if isinstance(value, tuple):
            raise self._error(count, f"{count} is no count; write *2 or *N")
        return Repeat(item, value, (count.start_pos or 0) + 1)

    @v_args(inline=True)
    def optional(self, item: Item, mark: Token) -> Item:
        return Optional(item, (mark.start_pos or 0) + 1)

    def branches(self, children: list[Any]) -> Item:
        split, *branches, merge = children
        if merge not in _MERGES:
            raise self._error(merge, f"branches end in ADD or CONCAT, not {str(merge)!r}")
        if len(branches) < 2:
            raise self._error(merge, "a merge needs two branches or more, separated by '|'")
        return Branches(tuple(branches), _MERGES[merge](), (split.start_pos or 0) + 1)

    def argument(self, tokens: list[Token]) -> Any:
        name, value = (None, tokens[0]) if len(tokens) == 1 else tokens
        return name and str(name), str(value)

    def layer(self, children: list[Any]) -> Item:
        head, *arguments = children
        build = (lambda: _input(str(head))) if head.type == "INPUT" else (lambda: _layer(str(head), arguments or None))
        item: Item = self._placed(head, build)
        return item

    def _placed(self, token: Token, build: Callable[[], Any]) -> Any:
        try:
            return build()
        except SpecError as error:
            raise self._error(token, str(error)) from None

    @staticmethod
    def _error(token: Token, problem: str) -> NotationError:
        return NotationError("", (token.start_pos or 0) + 1, problem)
