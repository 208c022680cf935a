"""The geometries on which a kernel is tried: corners where faults have been found, and Hypothesis strategies.

A case is plain data that prints as a call. Sizes are constructed from what a window needs, never filtered, so that
every drawn case has an output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

Pairs = tuple[tuple[int, int], ...]

LAYOUTS = ("channels last", "every second", "reversed", "broadcast", "read-only")
"""How inputs may lie in memory, other than row by row; with "broadcast", all images of the first are one."""


@dataclass(frozen=True)
class Case:
    """What every case has: how its first input lies in memory, and the seed of its numbers."""

    def smaller(self) -> Iterator[Case]:
        """Cases with one thing less, the smallest first. Some of them have no output."""
        for field in dataclasses.fields(self):
            if field.name != "seed":
                least = 0 if field.name in ("padding", "output_padding") else 1
                for less in _less(getattr(self, field.name), least):
                    yield replace(self, **{field.name: less})


def _less(value: Any, least: int) -> Iterator[Any]:
    """Simpler values in place of one."""
    if isinstance(value, bool):
        yield from [False] * value
    elif isinstance(value, int):
        yield from sorted({each for each in (least, value // 2, value - 1) if least <= each < value})
    elif isinstance(value, str):
        yield from [""] if value else []
    elif value and isinstance(value[0], tuple) and all(before == after for before, after in value):
        yield from (tuple((p, p) for p in less) for less in _less(tuple(before for before, _ in value), least))
    else:
        for place, part in enumerate(value):
            for less in _less(part, least):
                yield (*value[:place], less, *value[place + 1 :])


# --- convolution ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConvCase(Case):
    """A convolution of x (batch, channels, *sizes) with w (filters, channels/groups, *kernel); a transposed one has w
    (channels, filters/groups, *kernel) and an `output_padding`.
    """

    batch: int
    channels: int
    filters: int
    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    dilation: tuple[int, ...]
    groups: int = 1
    bias: bool = True
    output_padding: tuple[int, ...] = ()
    layout: str = ""
    seed: int = 0

    def smaller(self) -> Iterator[Case]:
        """Cases with one thing less; groups keep several channels and filters each."""
        if self.groups > 1:
            c, k = self.channels // self.groups, self.filters // self.groups
            yield replace(self, groups=1, channels=c, filters=k)
        for one in super().smaller():
            assert isinstance(one, ConvCase)
            if one.channels % self.groups == 0 == one.filters % self.groups and one.groups == self.groups:
                yield one
        for few in range(1, self.channels // self.groups):
            yield replace(self, channels=few * self.groups)
        for few in range(1, self.filters // self.groups):
            yield replace(self, filters=few * self.groups)


def conv_case(
    sizes: tuple[int, ...], kernel: tuple[int, ...], stride: int = 1, padding: int = 0, dilation: int = 1, **more: Any
) -> ConvCase:
    """A case with one number for all axes."""
    rank = len(sizes)
    given = {"batch": 2, "channels": 2, "filters": 3, "seed": len(repr((sizes, kernel, stride, more)))} | more
    pads = given.pop("pads", ((padding, padding),) * rank)
    return ConvCase(
        sizes=sizes, kernel=kernel, stride=(stride,) * rank, padding=pads, dilation=(dilation,) * rank, **given
    )


def conv_corners(rank: int) -> list[ConvCase]:
    """Where published faults were: see the comments."""

    def sized(*pattern: int) -> tuple[int, ...]:
        return tuple(pattern[axis % len(pattern)] for axis in range(rank))

    many = 17 if rank < 3 else 9
    one = [
        conv_case(sized(5, 6), sized(3, 2), padding=1),  # unlike axes
        conv_case(sized(5, 7), sized(3), 2, 1, channels=3),  # a stride
        conv_case(sized(6, 8), sized(3), 2, 1, filters=2),  # a remainder
        conv_case(sized(8, 9), sized(5), 3, 1),  # a larger one
        conv_case(sized(8, 7), sized(3, 2), 1, 2, 2),  # dilation
        conv_case(sized(9, 8), sized(2, 3), 2, 1, 3),  # with a stride
        conv_case(sized(6, 5), sized(2), 1, 1, groups=2, channels=4, filters=6),  # groups of several channels
        conv_case(sized(6, 7), sized(3), 2, 1, groups=3, channels=6, filters=6),  # with a stride and a remainder
        conv_case(sized(5, 6), sized(3, 2), 1, 1, groups=4, channels=4, filters=4),  # depthwise
        conv_case(sized(7, 6), sized(3), 2, 1, groups=4, channels=4, filters=4),  # with a stride
        conv_case(sized(8, 9), sized(5), 2, 2, groups=4, channels=4, filters=4),
        conv_case(sized(6), sized(3), 2, 1, groups=2, channels=2, filters=4),  # depthwise, two filters a channel
        conv_case(sized(6, 5), sized(3), pads=tuple((p, p) for p in sized(2, 0))),  # unlike padding of the axes
        conv_case(sized(7, 8), sized(3), 2, pads=tuple((p, p) for p in sized(0, 1))),
        conv_case(sized(5, 4), sized(1), 2),  # one tap and a stride
        conv_case(sized(1), sized(1), batch=1, channels=1, filters=1),
        conv_case(sized(4, 5), sized(2), 3, 0, batch=1),  # gaps between windows
        conv_case(sized(2, 3), sized(4, 5), 1, 2, bias=False),  # a kernel larger than the image
        conv_case(sized(3, 2), sized(3, 2), 1, 0, batch=3),  # one output
        conv_case(sized(4, 5), sized(3), 1, 3),  # windows wholly in padding
        conv_case(sized(5), sized(3), 1, 1, batch=3, channels=1, filters=1, bias=False),
        conv_case(sized(5, 6), sized(3), 1, 1, channels=many, filters=2, batch=1),  # tails of blocks
        conv_case(sized(4, 5), sized(2), 1, 0, channels=3, filters=many, batch=1),
        conv_case(sized(5, many), sized(3), 2, 1, channels=many, filters=many, batch=1),
        conv_case(sized(3, 4), sized(2), channels=33, filters=18, batch=1),  # and of larger ones
        conv_case(sized(4, 3), sized(2), 1, 1, groups=8, channels=16, filters=24, batch=1),
        conv_case(sized(13, 11, 4), sized(7, 6, 2), 4, 3, batch=5, channels=1, filters=2),  # a stem
        conv_case(sized(6, 9), sized(3), 2, 1, channels=many, filters=2),
        conv_case(sized(5, 6), sized(3, 2), 1, 1, batch=0),
        *(conv_case(sized(5, 6), sized(3, 2), 1, 1, layout=layout) for layout in LAYOUTS),
        conv_case(sized(7, 5), sized(3), 1, pads=tuple((a % 2, 1 + a % 2) for a in range(rank))),  # other ends
        conv_case(sized(5, 8), sized(2, 3), 2, pads=((2, 0),) * rank),
    ]
    unlike = [
        replace(
            conv_case(sized(9, 8, 7), sized(3, 2)),
            stride=sized(1, 2, 3),
            padding=tuple((p, p) for p in sized(0, 1)),
            dilation=sized(2, 1, 1),
        ),
        replace(
            conv_case(sized(8, 9, 6), sized(2, 3)),
            stride=sized(3, 1, 2),
            padding=tuple((p, p) for p in sized(1, 0)),
            dilation=sized(1, 3, 1),
        ),
    ]
    large = [conv_case((37, 35), (3, 3), 1, 1, batch=1, channels=1, filters=1)] if rank == 2 else []
    return [*one, *unlike, *large]


@st.composite
def conv_cases(
    draw: st.DrawFn,
    rank: int | None = None,
    largest: int = 4,
    asymmetric: bool = False,
    without: frozenset[str] = frozenset(),
) -> ConvCase:
    """Convolutions with stride, remainder, dilation, padding and groups; with `asymmetric`, unlike padding at the ends;
    `without` the named features.

    >>> from hypothesis import given
    >>> given(conv_cases(rank=2))(lambda case: None)()
    """
    rank = draw(st.integers(1, 3)) if rank is None else rank
    groups = 1 if "groups" in without else draw(st.sampled_from(GROUPS))
    plain = {
        each for each in ("stride", "dilation") if draw(st.booleans())
    }  # neither is common, and has paths of its own
    long = draw(st.sampled_from((*range(rank), *NO_AXIS)))
    axes = [_axis(draw, (largest, largest + LONGER)[axis == long], asymmetric, without | plain) for axis in range(rank)]
    sizes, kernel, stride, padding, dilation = (tuple(each) for each in zip(*axes, strict=True))
    c, k, batch = (draw(st.sampled_from(NUMBERS)) for _ in range(3))
    layout, seed = draw(_layouts(without)), draw(SEEDS)
    bias = draw(st.sampled_from([there for there in (True, False) if BIAS[there] not in without] or [True]))
    return ConvCase(
        batch, groups * c, groups * k, sizes, kernel, stride, padding, dilation, groups, bias, (), layout, seed
    )


SEEDS = st.integers(0, 2**32 - 1)
GROUPS = 1, 1, 1, 2, 2, 3, 4, 8
NUMBERS = 1, 2, 3, 1, 2, 3, 1, 2, 3, 5, 9
"""How many images, and channels and filters of a group: few as a rule."""

NO_AXIS = (None,) * 6
LONGER = 3
"""Of some cases one axis has windows and steps that are larger by so much."""

LARGER = "kernel larger than the image"
BIAS = {True: "bias", False: "no bias"}


def _layouts(without: frozenset[str]) -> st.SearchStrategy[str]:
    """Row by row as often as not."""
    others = [layout for layout in LAYOUTS if f"{layout} inputs" not in without]
    return st.sampled_from(["", *others]) if len(others) < 2 else st.sampled_from(["", "", *others])


def _axis(
    draw: st.DrawFn, largest: int, asymmetric: bool, without: frozenset[str]
) -> tuple[int, int, int, tuple[int, int], int]:
    """(size, kernel, stride, (before, after), dilation): windows from the first to the last, and what is left over."""
    step = max(1, largest - 1)
    most = largest, 1 if "stride" in without else step, 1 if "dilation" in without else min(3, step)
    kernel, stride, dilation = (draw(st.integers(1, m)) for m in most)
    before = 0 if "padding" in without else draw(st.integers(0, largest - 1))
    after = draw(st.integers(0, largest - 1)) if asymmetric else before
    span, outputs = dilation * (kernel - 1) + 1, draw(st.integers(1, 4))
    left = 0 if "remainder" in without else draw(st.integers(0, stride - 1))
    size = (outputs - 1) * stride + span + left - before - after
    least = span if LARGER in without else 1
    size += stride * max(0, -((size - least) // stride))  # with the same remainder
    return size, kernel, stride, (before, after), dilation


def conv_transpose_corners(rank: int) -> list[ConvCase]:
    """Those of convolutions, seen from their outputs: every size that the stride leaves open."""
    found = []
    for case in conv_corners(rank):
        if case.batch and case.layout != "broadcast" and all(a == b for a, b in case.padding):
            few = replace(case, sizes=tuple(min(n, 5) for n in case.sizes))
            for extra in {(0,) * rank, tuple(min(1, s - 1) for s in case.stride), tuple(s - 1 for s in case.stride)}:
                found.append(replace(few, output_padding=extra))
    return [case for case in found if _grows(case)]


@st.composite
def conv_transpose_cases(
    draw: st.DrawFn, rank: int | None = None, largest: int = 4, without: frozenset[str] = frozenset()
) -> ConvCase:
    """Transposed convolutions whose outputs have every size that the stride leaves open."""
    case = draw(conv_cases(rank, largest, without=without))
    extra = tuple(0 if "output_padding" in without else draw(st.integers(0, s - 1)) for s in case.stride)
    sizes = tuple(
        max(1 + draw(st.integers(0, 3)), -(-(2 * p - d * (k - 1) - e) // s) + 1)
        for p, d, k, e, s in zip(
            (before for before, _ in case.padding), case.dilation, case.kernel, extra, case.stride, strict=True
        )
    )
    return replace(case, sizes=sizes, output_padding=extra)


def _grows(case: ConvCase) -> bool:
    axes = zip(case.sizes, case.kernel, case.stride, case.padding, case.dilation, case.output_padding, strict=True)
    return all((n - 1) * s + d * (k - 1) + 1 + e - before - after > 0 for n, k, s, (before, after), d, e in axes)


# --- pooling ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PoolCase(Case):
    """A pooling of x (batch, channels, *sizes). `values` says which numbers: "distinct", "ties", "negative", or with
    "nan" or "infinite" ones among them. `p` is that of Lp pooling.
    """

    batch: int
    channels: int
    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Pairs
    ceil_mode: bool = False
    include_pad: bool = True
    values: str = ""
    p: int = 1
    layout: str = ""
    seed: int = 0

    def smaller(self) -> Iterator[Case]:
        """Cases with one thing less, whose padding is half a window at most, as before; means are simplest with it."""
        yield from [] if self.include_pad else [replace(self, include_pad=True)]
        for one in super().smaller():
            assert isinstance(one, PoolCase)
            half = all(2 * max(pads) <= k for pads, k in zip(one.padding, one.kernel, strict=True))
            if half and one.include_pad == self.include_pad:
                yield one


def pool_case(sizes: tuple[int, ...], kernel: tuple[int, ...], stride: int, padding: int = 0, **more: Any) -> PoolCase:
    """A case with one number for all axes."""
    rank = len(sizes)
    given = {"batch": 2, "channels": 2, "seed": len(repr((sizes, kernel, stride, more)))} | more
    return PoolCase(sizes=sizes, kernel=kernel, stride=(stride,) * rank, padding=((padding,) * 2,) * rank, **given)


VALUES = ("", "ties", "negative", "nan", "infinite")


def pool_corners(rank: int) -> list[PoolCase]:
    """Overlap, gaps, remainders, padding at every end, windows cut off by ceil mode, and planes in blocks."""

    def sized(*pattern: int) -> tuple[int, ...]:
        return tuple(pattern[axis % len(pattern)] for axis in range(rank))

    plain = [
        pool_case(sized(6, 4), sized(2), 2),
        pool_case(sized(5, 6), sized(3, 2), 1),  # overlap
        pool_case(sized(7, 5), sized(3), 2, 1),  # with padding
        pool_case(sized(6, 8), sized(3), 2, 1),  # and a remainder
        pool_case(sized(7, 5), sized(2), 3),  # gaps
        pool_case(sized(5, 4), sized(1), 2),  # one tap
        pool_case(sized(1), sized(1), 1, batch=1, channels=1),
        pool_case(sized(5, 6), sized(4, 3), 1, 1),
        pool_case(sized(2, 3), sized(4, 5), 2, 2),  # a window larger than the image
        pool_case(sized(4, 5), sized(4, 5), 1, batch=3),  # one output
        pool_case(sized(5, 17), sized(2, 3), 2, 1, channels=3, batch=1),
        pool_case(sized(5, 6), sized(2), 2, batch=0),
        *(pool_case(sized(5, 6), sized(2, 3), 2, 1, layout=layout) for layout in LAYOUTS),
        replace(pool_case(sized(8, 9, 7), sized(3, 2), 1), stride=sized(2, 1, 3)),
        replace(pool_case(sized(6, 5, 7), sized(2, 3), 1), stride=sized(1, 3, 2)),
    ]
    ceil = [
        pool_case(sized(5, 6), sized(2), 2, ceil_mode=True),
        pool_case(sized(6, 8), sized(3), 2, 1, ceil_mode=True),
        pool_case(sized(7, 5), sized(3, 2), 3, 1, ceil_mode=True),
        pool_case(sized(4), sized(3), 4, 1, ceil_mode=True),
    ]
    cut = [*ceil, *plain[2:4], *plain[7:9]]
    valued = [replace(case, values=values) for values in VALUES[1:] for case in (plain[2], plain[1], plain[3])]
    return [*plain, *ceil, *(replace(case, include_pad=False) for case in cut), *valued]


@st.composite
def pool_cases(
    draw: st.DrawFn, rank: int | None = None, largest: int = 4, without: frozenset[str] = frozenset()
) -> PoolCase:
    """Poolings with overlap, gaps, remainders, padding of half a window at most, and ceil mode; `without` the named
    features.

    >>> from hypothesis import given
    >>> given(pool_cases(rank=2))(lambda case: None)()
    """
    rank = draw(st.integers(1, 3)) if rank is None else rank
    axes, long = [], draw(st.sampled_from((*range(rank), *NO_AXIS)))
    for axis in range(rank):
        most = largest + LONGER if axis == long else largest
        kernel = draw(st.integers(1, most))
        stride = kernel if "stride" in without else draw(st.integers(1, most))
        pad = 0 if "padding" in without else draw(st.integers(0, kernel // 2))
        left = 0 if "remainder" in without else draw(st.integers(0, stride - 1))
        size = draw(st.integers(0, 3)) * stride + kernel + left - 2 * pad
        least = kernel if LARGER in without else 1
        axes.append((size + stride * max(0, -((size - least) // stride)), kernel, stride, (pad, pad)))
    sizes, kernels, strides, padding = (tuple(each) for each in zip(*axes, strict=True))
    batch, channels, seed = draw(st.integers(1, 3)), draw(st.sampled_from(NUMBERS)), draw(SEEDS)
    values = [each for each in VALUES if f"{each} values" not in without]
    return PoolCase(
        batch,
        channels,
        sizes,
        kernels,
        strides,
        padding,
        "ceil_mode" not in without and draw(st.booleans()),
        "count_include_pad" in without or draw(st.booleans()),
        draw(st.sampled_from(values)),
        draw(st.integers(1, 3)),
        draw(_layouts(without)),
        seed,
    )


# --- layers without windows -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LinearCase(Case):
    """A fully connected layer: x (batch, features), w (units, features)."""

    batch: int
    features: int
    units: int
    bias: bool = True
    layout: str = ""
    seed: int = 0


def linear_corners(rank: int) -> list[LinearCase]:
    """One of each, several, and the tails of blocks."""
    sizes = [
        (3, 4, 2),
        (2, 4, 4),
        (2, 3, 5),
        (1, 1, 1),
        (1, 5, 3),
        (4, 1, 3),
        (5, 3, 1),
        (2, 17, 9),
        (17, 5, 33),
        (3, 33, 17),
        (0, 3, 2),
    ]
    plain = [LinearCase(*each, seed=place) for place, each in enumerate(sizes)]
    return [*plain, replace(plain[0], bias=False), *(replace(plain[1], layout=layout) for layout in LAYOUTS)]


@st.composite
def linear_cases(draw: st.DrawFn, without: frozenset[str] = frozenset()) -> LinearCase:
    """Fully connected layers of up to 20 features and units, `without` the named features."""
    batch, features, units = draw(st.integers(1, 6)), draw(st.integers(1, 20)), draw(st.integers(1, 20))
    bias = draw(st.sampled_from([there for there in (True, False) if BIAS[there] not in without] or [True]))
    return LinearCase(batch, features, units, bias, draw(_layouts(without)), draw(SEEDS))


@dataclass(frozen=True)
class NormCase(Case):
    """A normalization of x (batch, channels, *sizes); `size` is the window of local response normalization."""

    batch: int
    channels: int
    sizes: tuple[int, ...]
    size: int = 1
    layout: str = ""
    seed: int = 0


def norm_corners(rank: int) -> list[NormCase]:
    """One and several images, channels and positions; windows of odd and even size, also larger than the channels."""
    shapes = [(2, 3, 4), (3, 1, 5), (2, 5, 1), (4, 2, 3), (1, 3, 6), (2, 9, 3), (5, 7, 2)]
    plain = [
        NormCase(n, c, (s, s + 1, 2)[:rank], size)
        for (n, c, s), size in zip(shapes, (1, 2, 3, 5, 4, 5, 3), strict=True)
    ]
    return [*plain, *(replace(plain[0], layout=layout) for layout in LAYOUTS if layout != "broadcast")]


@st.composite
def norm_cases(draw: st.DrawFn, rank: int | None = None, without: frozenset[str] = frozenset()) -> NormCase:
    """Normalizations of at least two values a channel, `without` the named features."""
    rank = draw(st.integers(1, 3)) if rank is None else rank
    sizes = tuple(draw(st.integers(1, 5)) for _ in range(rank))
    layout = draw(_layouts(without | {"broadcast inputs"}))
    size = draw(st.sampled_from((1, 3, 5) if "even windows" in without else range(1, 7)))
    seed = draw(SEEDS)
    return NormCase(draw(st.integers(2, 4)), draw(st.integers(1, 7)), sizes, size, layout, seed)


@dataclass(frozen=True)
class LossCase(Case):
    """Scores (batch, classes) of the order of `scale`, and a label each."""

    batch: int
    classes: int
    scale: int = 3
    layout: str = ""
    seed: int = 0


def loss_corners(rank: int) -> list[LossCase]:
    """One of each, several, and scores whose exponentials are no numbers."""
    shapes = [(3, 4, 3), (1, 2, 3), (1, 1, 3), (5, 3, 3), (2, 17, 3), (4, 3, 0), (3, 5, 1000), (2, 3, 50_000)]
    return [LossCase(*each, seed=place) for place, each in enumerate(shapes)]


@st.composite
def loss_cases(draw: st.DrawFn, without: frozenset[str] = frozenset()) -> LossCase:
    """Cross-entropies of up to 9 classes, `without` the named features."""
    batch, classes, scale = draw(st.integers(1, 6)), draw(st.integers(1, 9)), draw(st.sampled_from((1, 3, 30, 1000)))
    return LossCase(batch, classes, scale, draw(_layouts(without | {"broadcast inputs"})), draw(SEEDS))
