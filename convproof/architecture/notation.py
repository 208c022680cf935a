"""Network notation: text becomes a tree, and a tree becomes a `Network`.

    INPUT[224x224x3] -> [CONV3-64 -> RELU]*2 -> POOL2 -> FC-4096 -> RELU -> FC-1000

Sizes stand in the notes' order, width first (`INPUT[WxHxD]`, `F=7x1` is 7 wide and 1 high); the layers that come out
hold them in array order (C, H, W). Letters stand for positive integers. A pool's stride defaults to its size. Padding
is one number, one per axis (`P=3x0`), `before:after` for every axis (`P=0:1`) or per axis (`P=0:1x1:2`), or SAME or
SAME_LOWER. `F=3x` is for one axis alone. Flags are 0 or 1. The words and their arguments are the table `WORDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from convproof.architecture import layers
from convproof.architecture.behaviour import Layer
from convproof.architecture.behaviour import letters as letters_of
from convproof.architecture.fields import Value
from convproof.architecture.graph import Builder, Network
from convproof.architecture.words import MERGE_WORDS, WORDS, Argument, extents, input_of, layer_of, merge_of
from convproof.errors import NotationError, SpecError

__all__ = ["MERGE_WORDS", "WORDS", "Branches", "Chain", "Item", "Optional", "Repeat", "built", "network", "parse"]

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


def parts(item: Item) -> tuple[Item, ...]:
    """What a tree is made of, one level down."""
    match item:
        case Chain(inside) | Branches(inside):
            return inside
        case Repeat(inside) | Optional(inside):
            return (inside,)
    return ()


def walk(item: Item) -> Iterator[Item]:
    """A tree and all that is in it."""
    yield item
    for part in parts(item):
        yield from walk(part)


def is_family(item: Item) -> bool:
    """Whether a tree has repetitions by letters or optional layers."""
    return any(isinstance(i, Optional) or (isinstance(i, Repeat) and isinstance(i.count, str)) for i in walk(item))


def nesting(item: Item) -> int:
    """How deep repetitions by letters nest."""
    own = isinstance(item, Repeat) and isinstance(item.count, str)
    return own + max(map(nesting, parts(item)), default=0)


def length(item: Item, letter: int = 1) -> int:
    """How many layers a tree has where every letter that counts is `letter`."""
    times = (item.count if isinstance(item.count, int) else letter) if isinstance(item, Repeat) else 1
    inside: int = times * sum(length(part, letter) for part in parts(item))
    return (not isinstance(item, (Chain, Repeat, Optional))) + inside


def letters(item: Item) -> set[str]:
    """The letters anywhere in a tree."""
    counts = {each.count for each in walk(item) if isinstance(each, Repeat) and isinstance(each.count, str)}
    return counts | {letter for each in walk(item) if isinstance(each, Layer) for _, letter in letters_of(each)}


def with_numbers(item: Any, values: Mapping[str, int]) -> Any:
    """A tree, a layer or a field with numbers for letters."""
    match item:
        case Chain(inside):
            return Chain(with_numbers(inside, values))
        case Repeat(inside, count):
            return replace(item, item=with_numbers(inside, values), count=with_numbers(count, values))
        case Optional(inside):
            return replace(item, item=with_numbers(inside, values))
        case Branches(inside, merge):
            return replace(item, branches=with_numbers(inside, values), merge=with_numbers(merge, values))
        case Layer():
            named = {field for field, _ in letters_of(item)}
            return replace(item, **{field: with_numbers(getattr(item, field), values) for field in named})
        case tuple():
            return tuple(with_numbers(each, values) for each in item)
        case str():
            return values.get(item, item)
    return item


def chosen(item: Any, choices: Iterator[bool]) -> Any:
    """A tree without `?`: what the next choice denies is left out."""
    match item:
        case Optional(inside):
            keep, inside = next(choices), chosen(inside, choices)
            return inside if keep else Chain(())
        case Chain(inside):
            return Chain(tuple(chosen(each, choices) for each in inside))
        case Branches(inside):
            return replace(item, branches=tuple(chosen(each, choices) for each in inside))
        case Repeat(inside):
            return replace(item, item=chosen(inside, choices))
    return item


def parse(text: str) -> Item:
    """The tree of `text`. Raises `NotationError`, with the column of the trouble.

    >>> parse("CONV3-64 -> RELU").items[1]
    ReLU()
    """
    if not isinstance(text, str):
        raise SpecError(f"network notation is text, not {type(text).__name__}")
    check_limits(text)
    try:
        return _parser().parse(text)  # type: ignore[return-value]
    except NotationError as error:
        raise NotationError(text, error.column, error.problem) from None
    except UnexpectedInput as error:
        raise _explained(text, error) from None


def network(text: str, image: layers.Input | None = None) -> Network:
    """The network that `text` describes, on `image` if that is given, else on the text's own INPUT.

    Raises `NotationError` or `SpecError`.

    >>> len(network("INPUT[32x32x3] -> [CONV3-8 -> RELU]*2 -> POOL2 -> FC-10"))
    7
    """
    return built(parse(text), image, text)


def built(tree: Item, image: layers.Input | None = None, text: str = "") -> Network:
    """The network of a tree, as `network` makes it of a text; errors point into `text`."""
    builder = Builder()
    if image is not None and not _starts_with_input(tree):
        builder.add(image)
    _expand(tree, builder, text)
    if not builder.nodes or not isinstance(builder.nodes[0].layer, layers.Input):
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
    return isinstance(item, layers.Input)


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
            if isinstance(item, layers.Input) and builder.nodes:
                raise NotationError(
                    text, text.find("INPUT", text.find("INPUT") + 1) + 1, "a second INPUT; a network has one"
                )
            builder.add(on_every_axis(item, _rank(builder, item)))


def _rank(builder: Builder, item: Layer) -> int:
    """How many spatial axes the image has; 1 where the network does not begin with one, which is refused later."""
    first = builder.nodes[0].layer if builder.nodes else item
    return len(first.sizes) if isinstance(first, layers.Input) else 1


def on_every_axis(layer: Any, rank: int) -> Layer:
    """The layer on an image of `rank` spatial axes: a single pair `before:after` stands for each of them."""
    match getattr(layer, "padding", None):
        case ((_, _) as pair,):
            layer = replace(layer, padding=(pair,) * rank)
    found: Layer = layer
    return found


def _check_length(builder: Builder, text: str) -> None:
    if len(builder.nodes) >= MAX_LAYERS:
        raise NotationError(text, 1, f"this describes more than {MAX_LAYERS} layers, the limit")


@cache
def _parser() -> Lark:
    return Lark.open("notation.lark", rel_to=__file__, parser="lalr", transformer=_Tree())


def check_limits(text: str) -> None:
    """Refuses long texts, and brackets and repetitions that nest deeper than a program would want to recurse."""
    if len(text) > MAX_TEXT:
        raise NotationError(text, MAX_TEXT, f"the text has {len(text)} characters; {MAX_TEXT} is the limit")
    heights, height = [0], 0  # of what stands in each open bracket so far, and of the item that ends here
    for column, character in enumerate(text, 1):
        if character in "[{(":
            heights.append(0)
        elif character in "]})" and len(heights) > 1:
            height = heights.pop() + 1
        elif character in "*?":
            height += 1
        elif character in ">|":
            height = 0
        heights[-1] = max(heights[-1], height)
        if max(len(heights) - 1, height) > MAX_DEPTH:
            raise NotationError(text, column, f"brackets and repetitions nest deeper than {MAX_DEPTH}, the limit")


def _explained(text: str, error: UnexpectedInput) -> NotationError:
    column = (error.pos_in_stream or 0) + 1
    if isinstance(error, UnexpectedCharacters):
        return NotationError(text, column, f"{text[column - 1]!r} has no meaning here")
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        return NotationError(text, len(text) + 1, "the text ends too early; a layer or a closing bracket is missing")
    found = str(error.token) if isinstance(error, UnexpectedToken) else text[column - 1]
    return NotationError(text, column, f"{found!r} cannot stand here; layers are joined by '->'")


def _layer(word: str, arguments: list[Argument] | None) -> Item:
    return Chain(()) if word == "ID" and arguments is None else layer_of(word, arguments)


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
        value = self._placed(count, lambda: extents(str(count)))
        if isinstance(value, tuple):
            raise self._error(count, f"{count} is no count; write *2 or *N")
        return Repeat(item, value, (count.start_pos or 0) + 1)

    @v_args(inline=True)
    def optional(self, item: Item, mark: Token) -> Item:
        return Optional(item, (mark.start_pos or 0) + 1)

    def branches(self, children: list[Any]) -> Item:
        split, *branches, (head, merge) = children
        if len(branches) < 2:
            raise self._error(head, "a merge needs two branches or more, separated by '|'")
        return Branches(tuple(branches), merge, (split.start_pos or 0) + 1)

    def argument(self, tokens: list[Token]) -> Argument:
        name, value = (None, tokens[0]) if len(tokens) == 1 else tokens
        return name and str(name), str(value)

    def arguments(self, arguments: list[Argument]) -> list[Argument]:
        return arguments

    @v_args(inline=True)
    def layer(self, head: Token, arguments: list[Argument] | None = None) -> Item:
        build = (lambda: input_of(str(head))) if head.type == "INPUT" else (lambda: _layer(str(head), arguments))
        item: Item = self._placed(head, build)
        return item

    @v_args(inline=True)
    def merge(self, head: Token, arguments: list[Argument] | None = None) -> tuple[Token, Layer]:
        return head, self._placed(head, lambda: merge_of(str(head), arguments))

    def _placed(self, token: Token, build: Callable[[], Any]) -> Any:
        try:
            return build()
        except SpecError as error:
            raise self._error(token, str(error)) from None

    @staticmethod
    def _error(token: Token, problem: str) -> NotationError:
        return NotationError("", (token.start_pos or 0) + 1, problem)
