"""What a layer demands of its inputs: one rule a kind, as data. Shape errors, the accepted sizes, `requires`, `solve`,
families and the statement that the kernel proves read this rule and nothing else.

A `Demand` compares two sizes along one spatial axis, or of the channels (the values of a vector count as channels). A
kind without a rule raises `MissingRule`. Source of what frameworks demand: the pages of torch.nn, and PyTorch itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, singledispatch
from typing import Any

from convproof.architecture import SAME_LOWER, SAME_UPPER, Axis, Layer, layers, letters
from convproof.architecture.behaviour import Pointwise, SizedLike, Transposed, Windowed
from convproof.architecture.fields import ANY_NUMBER, settings
from convproof.errors import MissingRule, ShapeError, Undecided
from convproof.symbolic import window
from convproof.symbolic.amounts import own_operands
from convproof.symbolic.floordiv import Size, broadcast, collect, floordiv, least_value, normal, size
from convproof.symbolic.sizesets import EVERY, where_at_least
from convproof.symbolic.window import rank_of

Shape = tuple[Size, ...]
"""(C, *spatial) or, for a vector, (units,)."""


@dataclass(frozen=True)
class Demand:
    """left `sign` right: one of >=, >, =, != between sizes; "multiple" (right divides left); "broadcast" (they are
    equal, or one is 1); "exact" (right divides left, so that a stride leaves no remainder, which is not demanded for
    running). `say(*facts)` is the error where it does not hold.
    """

    left: Size
    sign: str
    right: Size
    say: Callable[..., str]
    facts: tuple[Any, ...] = ()

    @property
    def message(self) -> str:
        """What is wrong where it does not hold, with the remedy."""
        return self.say(*self.facts)

    @property
    def difference(self) -> Size:
        """left - right of a comparison, what right leaves over of left where it must divide it."""
        if self.sign in ("multiple", "exact"):
            return normal(self.left - self.right * floordiv(self.left, self.right))
        return normal(self.left - self.right)

    def holds(self) -> bool | None:
        """Whether it holds; None where that depends on letters."""
        if self.sign == "broadcast" and 1 in (self.left, self.right):
            return True
        if self.sign in ("multiple", "exact") and not isinstance(self.right, int):
            return True if self.left == self.right else None
        n = self.difference
        if not isinstance(n, int):
            least = least_value(n) if self.sign in (">=", ">") else None
            return True if least is not None and least >= (self.sign == ">") else None
        return {">=": n >= 0, ">": n > 0, "!=": n != 0}.get(self.sign, n == 0 if self._in_numbers(n) else None)

    def _in_numbers(self, n: int) -> bool:
        """Whether a difference says all: sizes in letters that are unlike may still be 1."""
        return self.sign != "broadcast" or n == 0 or (isinstance(self.left, int) and isinstance(self.right, int))

    def __str__(self) -> str:
        if self.sign in ("multiple", "exact"):
            return f"{self.right} divides {self.left}"
        if self.sign == "broadcast":
            return f"{self.left} = {self.right}, or one of them is 1"
        if isinstance(self.left, int) and not isinstance(self.right, int):
            return f"{self.right} {self.sign.replace('>', '<')} {self.left}"
        return f"{self.left} {self.sign} {self.right}"


def constraints(layer: Layer, inputs: Sequence[Shape]) -> tuple[Demand, ...]:
    """All that a layer demands of inputs of these shapes, in numbers or letters.

    Raises `ShapeError` for inputs with another number of axes than it can have, and `Undecided` where what it demands
    is known only in numbers.

    >>> from convproof.architecture import Conv
    >>> for demand in constraints(Conv(8, 3, stride=2, in_channels=4), [("C", 10, "W")]):
    ...     print(demand)
    C = 4
    7 >= 0
    2 divides 7
    W - 3 >= 0
    2 divides W - 3
    """
    return tuple(each_constraint(layer, inputs))


def each_constraint(layer: Layer, inputs: Sequence[Shape]) -> Iterator[Demand]:
    """The same one by one; those before an `Undecided` are demanded all the same."""
    layer, shapes = own_operands(layer, tuple(tuple(map(size, shape)) for shape in inputs))
    yield from _of_fields(layer)
    yield from demands(layer, *shapes)


def _of_fields(layer: Layer) -> Iterator[Demand]:
    """That expressions in fields are whole numbers, and as large as the field asks for."""
    if isinstance(layer, layers.Shaped):  # what it makes has a condition beside it, and its products are none below 0
        return
    given = letters(layer) if isinstance(layer, Layer) else []
    for field, value in given:
        if isinstance(value, str):
            continue
        (least,) = (each.holds.least for each in settings(type(layer)) if each.name == field)
        if least <= ANY_NUMBER:
            continue
        number = size(value)
        q = math.lcm(*(int(c.q) for c in collect(number).values()))
        place = f"{type(layer).__name__}: {field}"
        if q > 1:
            yield Demand(normal(q * number), "multiple", q, _say, (f"{place}={{}} is not a whole number", number))
        yield Demand(normal(q * number), ">=", q * least, _say, (f"{place}={{}} is too small", number))


@singledispatch
def demands(layer: Layer, *inputs: Shape) -> Iterator[Demand]:
    """The rule of each kind, as an iterator."""
    raise MissingRule("constraints", layer)


def _say(template: str, *facts: Any) -> str:
    return template.format(*facts)


def _equal_ranks(layer: Layer, inputs: Sequence[Shape]) -> None:
    for other in inputs[1:]:
        if len(other) != len(inputs[0]):
            raise ShapeError(f"{type(layer).__name__}: branches of shapes {inputs[0]} and {other} have different ranks")


# --- windows ----------------------------------------------------------------------------------------------------------


@demands.register
def _(layer: Windowed, x: Shape) -> Iterator[Demand]:
    for place, axis, n in _along(layer, x):
        yield from _holds_a_window(place, axis, n, layer.rounds_up)
        yield Demand(window.slack(axis, n), "exact", size(axis.stride), _remainder, (place, axis, n))


@demands.register
def _(layer: layers.MaxPool | layers.AvgPool, x: Shape) -> Iterator[Demand]:
    yield from demands.dispatch(Windowed)(layer, x)
    if needs_image(layer):
        for place, raw, n in zip(_places(layer, x), layer.axes(len(x) - 1), x[1:], strict=True):
            yield from _reads_the_image(place, raw, n, layer.rounds_up)


@demands.register
def _(layer: layers.Conv, x: Shape) -> Iterator[Demand]:
    rank_of(layer, x)
    yield from _channels(layer, x, layer.in_channels, "in_channels")
    yield from _grouped(layer, x)
    yield from demands.dispatch(Windowed)(layer, x)


@demands.register
def _(layer: layers.Pad, x: Shape) -> Iterator[Demand]:
    for place, axis, n in _along(layer, x):
        ends = [size(each) for each in (axis.before, axis.after)]
        for end in (each for each in ends if not isinstance(each, int) and not _at_least_0(each)):
            yield Demand(
                normal(n + end), ">=", 0, _say, ("{}: {} positions are cropped, of {}", place, normal(-end), n)
            )
        cropped = [each for each in ends if isinstance(each, int) and each < 0]
        if cropped and layer.mode == "zeros" and not layer.pad_first:
            least = -sum(cropped)
            yield Demand(n, ">=", least, _say, ("{}: {} positions are cropped, of {}", place, least, n))
        left = normal(n + size(axis.before) + size(axis.after))
        say = "{}: a padding of {} and {} leaves {} of {} positions; crop less"
        said = say, place, axis.before, axis.after, left, n
        yield Demand(left, ">=", 1, _say, said)
        needed = {"reflect": 1, "circular": 0}.get(layer.mode)
        for pad in (axis.before, axis.after) if needed is not None else ():
            words = "{}: {} needs {} positions, not {}", place, layer.mode, size(pad) + needed, n
            yield Demand(n, ">=", normal(size(pad) + needed), _say, words)


@demands.register
def _(layer: layers.PixelUnshuffle, x: Shape) -> Iterator[Demand]:
    for place, axis, n in _along(layer, x):
        yield Demand(n, "multiple", size(axis.stride), _unfilled, (place, axis.stride, n))


def _at_least_0(n: Size) -> bool:
    return (least := least_value(n)) is not None and least >= 0


def needs_image(layer: Layer) -> bool:
    """Whether a window wholly in padding is refused: there is no maximum, or nothing to average."""
    return (isinstance(layer, layers.MaxPool) and not layer.empty_windows) or (
        isinstance(layer, layers.AvgPool) and not layer.count_include_pad
    )


def _places(layer: Layer, x: Shape) -> list[str]:
    return [f"{type(layer).__name__}, spatial axis {number}" for number in range(rank_of(layer, x))]


def _along(layer: Windowed, x: Shape) -> Iterator[tuple[str, Axis, Size]]:
    """The place, the windows with numbers for SAME padding, and the size, axis by axis."""
    return zip(_places(layer, x), window.placed_axes(layer, x), x[1:], strict=True)


def _holds_a_window(place: str, axis: Axis, n: Size, rounds_up: bool) -> Iterator[Demand]:
    if rounds_up:
        yield Demand(window.count(axis, n, True), ">=", 1, _too_small, (place, axis, n))
    else:
        yield Demand(window.slack(axis, n), ">=", 0, _too_small, (place, axis, n))


def _too_small(place: str, axis: Axis, n: Size) -> str:
    padded = normal(n + size(axis.before) + size(axis.after))
    return (
        f"{place}: a window spans {window.span(axis)} positions but the padded input has only {padded} (size {n}, "
        f"padding {axis.before}+{axis.after}); give it {window.least(axis)} or more, or pad by "
        f"{normal(-window.slack(axis, n))} more"
    )


def _remainder(place: str, axis: Axis, n: Size) -> str:
    return (
        f"stride {axis.stride} leaves a remainder of {window.remainder(axis, n)} in {n} + {axis.before} + {axis.after} "
        "positions"
    )


def _unfilled(place: str, block: Size, n: Size) -> str:
    whole = block * floordiv(n, block)
    nearest = " or ".join(str(each) for each in (whole, whole + block) if each)
    return f"{place}: blocks of {block} do not fill {n} positions; give it {nearest}"


def _reads_the_image(place: str, raw: Axis, n: Size, rounds_up: bool) -> Iterator[Demand]:
    """That no window reads padding alone: not at the two ends, nor at the few sizes that dilated taps jump over. With
    SAME padding every window begins before the image ends and none ends before it begins.
    """
    say = "{}: at size {} a window lies wholly in padding; pad or dilate less", place, n
    if raw.before not in (SAME_UPPER, SAME_LOWER):
        if not all(isinstance(each, int) for each in (raw.before, raw.after)):
            raise Undecided(f"{place}: whether windows read padding alone is known only for padding in numbers")
        span = window.span(raw)
        if not isinstance(span, int):
            raise Undecided(f"{place}: whether windows read padding alone is known only for kernels in numbers")
        if raw.before >= span:
            yield Demand(0, ">", 0, _say, say)
        if raw.after >= span:
            yield Demand(n, ">", window.last_start(raw, n, rounds_up), _say, say)
    yield from _not_jumped_over(place, raw, n, rounds_up, say)


def _not_jumped_over(place: str, raw: Axis, n: Size, rounds_up: bool, say: tuple[Any, ...]) -> Iterator[Demand]:
    if raw.dilation == 1:
        return
    if not all(isinstance(each, int) for each in (raw.kernel, raw.stride, raw.dilation)):
        raise Undecided(f"{place}: whether dilated windows read padding alone is known only in numbers")
    if raw.dilation > window.MOST_WINDOWS:
        raise Undecided(
            f"a dilation of {raw.dilation} can jump over too many sizes; {window.MOST_WINDOWS} is the limit"
        )
    for small in range(1, raw.dilation):
        if window.hidden(window.placed(raw, small), small, rounds_up):
            yield Demand(n, "!=", small, _say, say)


@demands.register
def _(layer: Transposed, x: Shape) -> Iterator[Demand]:
    layer.axes(rank_of(layer, x))
    yield from ()


@demands.register
def _(layer: layers.ConvTranspose, x: Shape) -> Iterator[Demand]:
    rank_of(layer, x)
    yield from _channels(layer, x, layer.in_channels, "in_channels")
    yield from _grouped(layer, x)
    axes, extra = layer.axes(len(x) - 1), layer.output_paddings(len(x) - 1)
    for place, axis, more, n in zip(_places(layer, x), axes, extra, x[1:], strict=True):
        out = window.transposed_count(axis, n, size(more))
        say = "{}: the output size would be {}; use less padding or a larger input", place, out
        yield Demand(out, ">=", 1, _say, say)
        if more != 0:
            limit = _larger(place, size(axis.stride), size(axis.dilation))
            said = "{}: output_padding={} must be less than {}, the larger of stride and dilation", place, more, limit
            yield Demand(limit, ">", size(more), _say, said)


def _larger(place: str, a: Size, b: Size) -> Size:
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    if 1 in (a, b) or a == b:
        return a if b == 1 else b
    raise Undecided(f"{place}: which is larger, {a} or {b}, is known only in numbers")


@demands.register
def _(layer: layers.PixelShuffle, x: Shape) -> Iterator[Demand]:
    block = size(layer.upscale_factor) ** rank_of(layer, x)
    say = "{}: blocks of {} do not divide the {} channels", type(layer).__name__, block, x[0]
    yield Demand(x[0], "multiple", block, _say, say)


# --- channels and values ----------------------------------------------------------------------------------------------


def _channels(layer: Layer, x: Shape, wanted: Any, field: str) -> Iterator[Demand]:
    """That there are as many as the weights are for."""
    if wanted is not None:
        say = "{}: {}={}, but {} come in", type(layer).__name__, field, wanted, x[0]
        yield Demand(x[0], "=", size(wanted), _say, say)


def _grouped(layer: Any, x: Shape) -> Iterator[Demand]:
    """That the groups divide the channels."""
    if layer.groups != 1:
        say = "{}: groups={} does not divide the {} {} channels"
        for channels, side in ((x[0], "input"), (getattr(layer, "out_channels", None), "output")):
            if channels is not None:
                facts = say, type(layer).__name__, layer.groups, channels, side
                yield Demand(size(channels), "multiple", size(layer.groups), _say, facts)


@demands.register
def _(layer: layers.Input) -> Iterator[Demand]:
    yield from ()


@demands.register
def _(layer: layers.Condition, x: Shape) -> Iterator[Demand]:
    left, right = size(layer.left), size(layer.right)
    sign, words = CONDITIONS[layer.sign]
    yield Demand(
        left, sign, right, _say, ("Condition: {} must be {} {}, where the forward goes on", left, words, right)
    )


CONDITIONS = {
    "above": (">", "more than"),
    "at_least": (">=", "at least"),
    "equal": ("=", "equal to"),
    "unequal": ("!=", "other than"),
}
"""How a condition compares, as a sign and in words."""


@demands.register
def _(layer: layers.Shaped, *inputs: Shape) -> Iterator[Demand]:
    for n in layer.shape if isinstance(layer.shape, tuple) else (layer.shape,):
        if isinstance(n, int):  # what is computed of sizes has a condition beside it, where it can be less
            yield Demand(n, ">=", 1, _say, ("Shaped: {} leaves {} positions along an axis", layer.op, n))


@demands.register
def _(layer: layers.Unknown | Pointwise | layers.Flatten, *inputs: Shape) -> Iterator[Demand]:
    yield from ()


@demands.register
def _(layer: layers.AdaptivePool | layers.GlobalPool, x: Shape) -> Iterator[Demand]:
    rank = rank_of(layer, x)
    if isinstance(layer, layers.AdaptivePool):
        layer.per_axis("output_size", rank)
    yield from ()


@demands.register
def _(layer: layers.Linear, x: Shape) -> Iterator[Demand]:
    if layer.in_features is not None:
        values = product(x)
        say = "Linear: in_features={}, but {} values come in{}", layer.in_features, values, _multiplied(x)
        yield Demand(values, "=", size(layer.in_features), _say, say)


@demands.register
def _(layer: layers.Reshape, x: Shape) -> Iterator[Demand]:
    wanted, values = product(tuple(map(size, layer.shape))), product(x)
    asked = "rows of {} values each are" if layer.batch else "a shape of {} values is"
    say = f"Reshape: {asked} asked of {{}}{{}}", wanted, values, _multiplied(x)
    yield Demand(values, "multiple" if layer.batch else "=", wanted, _say, say)


def product(shape: Shape) -> Size:
    """The number of values of a shape."""
    return normal(math.prod(map(size, shape)))


def _multiplied(x: Shape) -> str:
    return f" ({'*'.join(map(str, x))})" if len(x) > 1 else ""


@demands.register
def _(layer: layers.BatchNorm | layers.Affine, x: Shape) -> Iterator[Demand]:
    yield from _channels(layer, x, layer.num_features, "num_features")


@demands.register
def _(layer: layers.ChannelShuffle, x: Shape) -> Iterator[Demand]:
    yield from _grouped(layer, x)


@demands.register
def _(layer: layers.Slice, x: Shape) -> Iterator[Demand]:
    start, stop = size(layer.start), size(layer.stop)
    yield Demand(stop, ">", start, _say, ("Slice: from {} to {} there is no channel; stop must be larger", start, stop))
    say = "Slice: channels {} to {} are asked of {}; stop at {}", start, stop, x[0], x[0]
    yield Demand(x[0], ">=", stop, _say, say)


@demands.register
def _(layer: layers.GroupNorm, x: Shape) -> Iterator[Demand]:
    yield from _channels(layer, x, layer.num_channels if layer.affine else None, "num_channels")
    yield from _grouped(layer, x)
    if not layer.single_values:
        yield from _several_values(layer, product(x), size(layer.groups))


@demands.register
def _(layer: layers.InstanceNorm, x: Shape) -> Iterator[Demand]:
    yield from _channels(layer, x, layer.num_features if layer.affine else None, "num_features")
    if not layer.single_values:
        yield from _several_values(layer, product(x[1:]), 1)


def _several_values(layer: Layer, values: Size, sets: Size) -> Iterator[Demand]:
    """That what is normalized together is more than a single value, which has no variance."""
    say = "{}: normalizes single values, {} in {} sets; give it a larger input", type(layer).__name__, values, sets
    yield Demand(values, ">", sets, _say, say)


# --- merges -----------------------------------------------------------------------------------------------------------


@demands.register
def _(layer: layers.Add | layers.Multiply, *inputs: Shape) -> Iterator[Demand]:
    _equal_ranks(layer, inputs)
    together = inputs[0]
    for other in inputs[1:]:
        for axis, (a, b) in enumerate(zip(together, other, strict=True)):
            facts = (layer, together, other, axis)
            yield Demand(a, "broadcast" if layer.broadcast else "=", b, _differ, facts)
        if layer.broadcast:
            together = broadcast_shape(together, other)


def broadcast_shape(a: Shape, b: Shape) -> Shape:
    """The shape of two that differ only where one has size 1."""
    return tuple(_together(n, m) for n, m in zip(a, b, strict=True))


@lru_cache(maxsize=4096)
def _together(a: Size, b: Size) -> Size:
    """The size that two axes have together, where they are equal or one is 1: the larger one, where that is plain."""
    for less, more in ((a, b), (b, a)):
        if never_below(more, less):
            return more
    return broadcast(a, b)


def never_below(more: Size, less: Size) -> bool:
    """Whether a size is at least another one at every size of an image, as far as can be told by its period.

    >>> from convproof.symbolic.floordiv import FloorDiv, symbol
    >>> n = symbol("n")
    >>> never_below(2 * FloorDiv(n + 1, 2), n), never_below(n, 2 * FloorDiv(n + 1, 2))
    (True, False)
    """
    difference = normal(more - less)
    if isinstance(difference, int):
        return difference >= 0
    letters = difference.free_symbols
    if len(letters) != 1 or not all(letter.is_positive for letter in letters):
        return False
    try:
        return where_at_least(difference, 0, *letters) == EVERY
    except Undecided:
        return False


@demands.register
def _(layer: layers.Concat, *inputs: Shape) -> Iterator[Demand]:
    _equal_ranks(layer, inputs)
    for other in inputs[1:]:
        for axis in range(1, len(other)):
            yield Demand(inputs[0][axis], "=", other[axis], _differ, (layer, inputs[0], other, axis))


@demands.register
def _(layer: layers.Scale, x: Shape, factors: Shape) -> Iterator[Demand]:
    per_channel = (x[0], *(1 for _ in x[1:])) if len(factors) > 1 else (x[0],)
    _equal_ranks(layer, [per_channel, factors])
    for axis, (a, b) in enumerate(zip(per_channel, factors, strict=True)):
        yield Demand(b, "=", a, _differ, (layer, per_channel, factors, axis))


def _differ(layer: Layer, first: Shape, other: Shape, axis: int) -> str:
    return f"{type(layer).__name__}: branches have shapes {first} and {other}, which differ on axis {axis}"


@demands.register
def _(layer: SizedLike, x: Shape, like: Shape) -> Iterator[Demand]:
    _equal_ranks(layer, [x, like])
    rank_of(layer, x)
    yield from ()
