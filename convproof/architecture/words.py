"""The words of the notation, from the layer kinds, and how a word with arguments becomes a layer."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cached_property
from typing import Any

from convproof.architecture import fields, layers
from convproof.architecture.behaviour import Layer, Merge
from convproof.architecture.fields import Value
from convproof.errors import SpecError

Argument = tuple[str | None, str]


@dataclass(frozen=True)
class Word:
    """How a layer kind is written: its settings that have an argument, and the fields that the word itself presets."""

    kind: type[Layer]
    preset: Mapping[str, Any]

    @cached_property
    def arguments(self) -> dict[str, fields.Setting]:
        """The setting behind each argument."""
        found = fields.settings(self.kind)
        return {each.argument: each for each in found if each.argument and each.name not in self._fixed}

    @property
    def _fixed(self) -> set[str]:
        """The fields that tell the words of a kind apart, so that no argument sets them."""
        names = {name for preset in self.kind.words.values() for name in preset}
        return names & self.preset.keys() if len(self.kind.words) > 1 else set()

    @property
    def defaults(self) -> dict[str, Any]:
        """The fields that may be left out, with the values that they have then."""
        found = fields.settings(self.kind)
        return {each.name: each.default for each in found if each.default is not MISSING} | dict(self.preset)

    @property
    def required(self) -> list[str]:
        """The arguments that may not be left out."""
        return [argument for argument, each in self.arguments.items() if each.name not in self.defaults]

    @property
    def first(self) -> str:
        """The argument that may stand without its name."""
        return next(iter(self.required or self.arguments))


def _words(kinds: Iterable[type[Layer]]) -> dict[str, Word]:
    return {word: Word(kind, preset) for kind in kinds for word, preset in kind.words.items()}


WORDS = _words(kind for kind in layers.KINDS if not issubclass(kind, Merge))
"""The words of layers."""

MERGE_WORDS = _words((*layers.MERGES, layers.Unknown, layers.Shaped))
"""The words that may stand behind `{ a | b }`."""

_SHORT: tuple[tuple[str, Callable[..., Layer]], ...] = (
    (r"CONV(\d+)-(\w+)", lambda size, filters: layers.Conv(filters, size, padding=_same_padding(size))),
    (r"POOL(\d+)", layers.MaxPool),
    (r"AVGPOOL(\d+)", layers.AvgPool),
    (r"UPSAMPLE(\d+)", layers.Upsample),
    (r"FC-(\w+)", layers.Linear),
)

_EXAMPLES = [
    "INPUT[224x224x3]",
    "CONV3-64",
    "CONV(K=96, F=11, S=4, P=0)",
    "POOL2",
    "POOL(F=3, S=2)",
    "AVGPOOL(F=7, S=1)",
    "FC-1000",
    *(word for word in WORDS if word not in ("CONV", "POOL", "AVGPOOL", "FC")),
    "ID",
]


def layer_of(word: str, arguments: list[Argument] | None) -> Layer:
    """The layer of a word with arguments, or of the bare word. Raises `SpecError` for what is none."""
    if word in WORDS:
        return _of_word(word, WORDS[word], arguments)
    for pattern, build in _SHORT:
        if arguments is None and (match := re.fullmatch(pattern, word)):
            return build(*(extents(part) for part in match.groups()))
    if word in MERGE_WORDS:
        raise SpecError(f"{word} joins branches; write {{ A | B }} {word}")
    known = word == "ID" or any(re.fullmatch(pattern, word) for pattern, _ in _SHORT)
    raise SpecError(f"{word} takes no arguments" if known else f"unknown layer {word!r}{_suggestion(word)}")


def merge_of(word: str, arguments: list[Argument] | None) -> Layer:
    """The same for a word behind branches."""
    if word not in MERGE_WORDS:
        raise SpecError(f"branches end in {', '.join(MERGE_WORDS)}, not {word!r}")
    return _of_word(word, MERGE_WORDS[word], arguments)


def _of_word(word: str, known: Word, arguments: list[Argument] | None) -> Layer:
    """The layer of a word with arguments, or of the bare word."""
    if arguments and not known.arguments:
        raise SpecError(f"{word} takes no arguments")
    if known.required and not arguments:
        raise SpecError(f"{word} needs its numbers: {word}({', '.join(f'{name}=...' for name in known.required)})")
    given: dict[str, str] = {}
    for name, token in arguments or ():
        name = name or known.first
        if name not in known.arguments:
            raise SpecError(f"{word} has no argument {name}; it takes {', '.join(known.arguments)}")
        if name in given:
            raise SpecError(f"{word} is given {name} twice")
        given[name] = token
    missing = [name for name in known.required if name not in given]
    if missing:
        example = ", ".join(f"{name}=3" for name in known.required)
        raise SpecError(f"{word} needs {' and '.join(missing)}, as in {word}({example})")
    same = given.pop("P", "") if known.kind is layers.ConvTranspose and given.get("P") in SAME else ""
    values = {known.arguments[name].name: _read(known.arguments[name], token, word) for name, token in given.items()}
    if same:
        values |= _transposed_same(values, lower=same == "SAME_LOWER")
    return known.kind(**{**known.preset, **values})


def _transposed_same(values: dict[str, Any], lower: bool) -> dict[str, Any]:
    """The padding with which a transposed convolution makes S positions of each, as in Keras: what a window has more
    than its stride is cut off, the larger half behind (or before, for `lower`); what it has less is added.
    """
    if "output_padding" in values:
        raise SpecError("UPCONV: P=SAME says how large its output is; leave O out")
    named = [values.get(name, 1) for name in ("kernel_size", "stride", "dilation")]
    rank = max(len(each) if isinstance(each, tuple) else 1 for each in named)
    axes = list(zip(*(each if isinstance(each, tuple) else (each,) * rank for each in named), strict=False))
    if not all(isinstance(n, int) for axis in axes for n in axis):
        raise SpecError("UPCONV: P=SAME needs F, S and D in numbers")
    over = [d * (f - 1) + 1 - s for f, s, d in axes]
    halves = [(max(n, 0) // 2, max(n, 0) - max(n, 0) // 2) for n in over]
    pads = tuple(pair[::-1] if lower else pair for pair in halves)
    extra = tuple(max(-n, 0) for n in over)
    padding: Any = pads
    if all(before == after for before, after in pads):
        padding = tuple(before for before, _ in pads)
    return {
        name: n[0] if len({*n}) == 1 and not isinstance(n[0], tuple) else n
        for name, n in (("padding", padding), ("output_padding", extra))
    }


def input_of(text: str) -> Layer:
    """The image of `INPUT[WxHxD]`."""
    inside = text[text.index("[") + 1 : -1].strip()
    sizes = extents(inside)
    if not isinstance(sizes, tuple):
        raise SpecError(f"INPUT[{inside}] needs a width, a height and a depth, as in INPUT[224x224x3]")
    return layers.Input(sizes[0], sizes[1:])


def _suggestion(word: str) -> str:
    close = difflib.get_close_matches(word.upper(), _EXAMPLES, n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close and close[0] != word else f"; known are {', '.join(_EXAMPLES)}"


# --- one argument's text ----------------------------------------------------------------------------------------------

SAME = {"SAME": fields.SAME_UPPER, "SAME_LOWER": fields.SAME_LOWER}

_SIZE = r"-?[0-9]{1,12}|[A-Za-wyz][A-Za-wyz0-9_]*"


def _read(setting: fields.Setting, token: str, word: str) -> Any:
    """The value that a token writes for a setting."""
    match setting.holds:
        case fields.Flag():
            if token not in ("0", "1"):
                raise SpecError(f"{word}: {setting.argument}={token[:20]} must be 0 or 1")
            return token == "1"
        case fields.Number():
            if not re.fullmatch(r"-?[0-9]{1,300}(\.[0-9]{1,400})?", token):
                raise SpecError(f"{word}: {setting.argument}={token[:20]} is not a number; write it like 0.5")
            return float(token) if "." in token else int(token)
        case fields.Text():
            return token
        case fields.Choice():
            return token.lower()
        case fields.Count(_, nesting, sentinels):
            same = SAME.get(token)
            return same if same in sentinels and same is not None else extents(token, pairs=nesting == 2)


def extents(token: str, pairs: bool = False) -> Value:
    """`"7"`, `"7x1"` or `"FxG"`: one value, or one per axis in array order (the text is width first).

    `"7x"` is a value for one axis alone; with `pairs`, a value may be `"before:after"`.
    """
    parts = token.split("x")
    alone = len(parts) == 1
    if len(parts) == 2 and not parts[1]:
        parts.pop()
    values = tuple(_extent(part, token, pairs) for part in reversed(parts))
    return values[0] if alone and not isinstance(values[0], tuple) else values


def _extent(part: str, token: str, pairs: bool) -> Value:
    ends = part.split(":")
    if len(ends) > 1 + pairs or not all(re.fullmatch(_SIZE, end) for end in ends):
        raise SpecError(f"{token!r} is not a size: write a number or a letter (no x in it), or several joined by x")
    values = tuple(int(end) if end.removeprefix("-").isdecimal() else end for end in ends)
    return values[0] if len(values) == 1 else values


def _same_padding(kernel: Value) -> Value:
    if not isinstance(kernel, int) or kernel % 2 == 0:
        raise SpecError(f"padding (F-1)/2 is not a whole number for F={kernel}; write CONV(K=..., F={kernel}, P=...)")
    return (kernel - 1) // 2
