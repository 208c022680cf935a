"""The window law, once.

Conv, pooling, transposed conv, im2col, receptive field and cost all come from one affine relation along an axis,

    input = stride*output + dilation*tap - padding        0 <= tap < kernel,

here `position`. Every function below solves it for one of its letters. Sizes may be numbers or expressions.
Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016), relations 1 to 15.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from convproof.architecture import SAME_LOWER, SAME_UPPER, Axis
from convproof.architecture.behaviour import Layer, Windows
from convproof.errors import ShapeError, Undecided
from convproof.symbolic.floordiv import Size, floordiv, normal, size


def position(axis: Axis, output: Size, tap: Size) -> Size:
    """The input index that tap number `tap` of output number `output` reads; outside 0..size-1 lies padding."""
    return size(axis.stride) * output + size(axis.dilation) * tap - size(axis.before)


def placed(axis: Axis, n: Size) -> Axis:
    """The windows over an input of size n: where the padding is SAME, with its numbers.

    There n/stride windows, rounded up, just reach the end of the padded input. Raises `Undecided` where it would hang
    on n whether any padding is needed: where a window is longer than one position but shorter than the stride.

    >>> placed(Axis(kernel=3, stride=2, before="same_upper", after="same_upper"), 224)
    Axis(kernel=3, stride=2, before=0, after=1, dilation=1)
    """
    if axis.before not in (SAME_UPPER, SAME_LOWER):
        return axis
    bare = replace(axis, before=0, after=0)
    windows = floordiv(n + size(axis.stride) - 1, size(axis.stride))
    needed = normal(position(bare, windows - 1, size(axis.kernel) - 1) + 1 - n)
    ahead = normal(span(bare) - size(axis.stride))  # the least that is ever needed
    if not (isinstance(needed, int) or (isinstance(ahead, int) and ahead >= 0)):
        if span(bare) == 1:
            return bare
        raise Undecided(f"SAME padding of windows of {span(bare)} at stride {axis.stride} depends on the size {n}")
    total = max(0, needed) if isinstance(needed, int) else needed
    half = floordiv(total, 2)
    rest = normal(total - half)
    before, after = (half, rest) if axis.before == SAME_UPPER else (rest, half)
    return replace(axis, before=before, after=after)


def rank_of(layer: Layer, x: tuple[Size, ...]) -> int:
    """The number of spatial axes of x. Raises `ShapeError` where it has none."""
    if len(x) < 2:
        raise ShapeError(f"{type(layer).__name__}: needs an input with spatial axes, got shape {tuple(x)}")
    return len(x) - 1


@lru_cache(maxsize=4096)
def placed_axes(layer: Windows, x: tuple[Size, ...]) -> tuple[Axis, ...]:
    """The layer's windows on an input of shape x, whose sizes say how much padding SAME is."""
    return tuple(placed(axis, size(n)) for axis, n in zip(layer.axes(rank_of(layer, x)), x[1:], strict=True))


def span(axis: Axis) -> Size:
    """How many input positions lie between the first and the last tap of a window, both included.

    >>> span(Axis(kernel=3, dilation=2))
    5
    """
    return normal(position(axis, 0, size(axis.kernel) - 1) - position(axis, 0, 0) + 1)


def slack(axis: Axis, n: Size) -> Size:
    """How far the first window can still move right before it leaves the padded input of size n."""
    return normal(n - 1 + size(axis.after) - position(axis, 0, size(axis.kernel) - 1))


def count(axis: Axis, n: Size, ceil_mode: bool = False) -> Size:
    """The number of window positions on an input of size n: the output size.

    The last output o satisfies position(o, kernel - 1) <= n - 1 + after, that is o <= slack / stride. With `ceil_mode`
    a window may stick out at the end if it starts within the input or the padding before it, as in PyTorch.

    >>> count(Axis(kernel=11, stride=4), 227)
    55
    >>> count(Axis(kernel=3, stride=2, before=1, after=1), size("W"))
    (W + 1)//2
    """
    free, stride = slack(axis, n), size(axis.stride)
    if not ceil_mode:
        return normal(floordiv(free, stride) + 1)
    starts_within = n - 1 - position(axis, 0, 0)  # the last place, counted from the first window, where one may start
    stick_out = _smaller(free + stride - 1, starts_within)
    return normal(floordiv(stick_out, stride) + 1)


def _smaller(a: Size, b: Size) -> Size:
    difference = normal(a - b)
    if not isinstance(difference, int):
        raise Undecided(
            f"ceil_mode needs numbers for kernel, stride, padding and dilation: which of {a} and {b} is less?"
        )
    return a if difference < 0 else b


def remainder(axis: Axis, n: Size) -> Size:
    """The padded input positions after the last window: 0 exactly when the stride "fits".

    >>> remainder(Axis(kernel=11, stride=4), 224)
    1
    """
    free, stride = slack(axis, n), size(axis.stride)
    return normal(free - stride * floordiv(free, stride))


def least(axis: Axis) -> Size:
    """The smallest input size that holds one window."""
    return normal(-slack(axis, 0))


def transposed_count(axis: Axis, n: Size, output_padding: Size = 0) -> Size:
    """The output size of the transposed layer: one past the last position that the windows of n outputs reach.

    >>> transposed_count(Axis(kernel=4, stride=2, before=1, after=1), size("W"))
    2*W
    """
    return normal(position(axis, n - 1, size(axis.kernel) - 1) + 1 - size(axis.after) + size(output_padding))


MOST_WINDOWS = 10_000
"""How many windows are looked at, where dilated taps may jump over a small input."""


def hidden(axis: Axis, n: int, ceil_mode: bool) -> bool:
    """Whether some window over an input of size n reads padding alone; all numbers. Raises `Undecided` for too many."""
    windows = count(axis, n, ceil_mode)
    if n >= axis.dilation:  # taps cannot jump over the input: only the first and the last window can miss it
        return any(_misses(axis, n, output) for output in {0, windows - 1})
    if windows > MOST_WINDOWS:
        raise Undecided(
            f"which of {windows} windows lie wholly in padding is not looked at; {MOST_WINDOWS} is the limit"
        )
    return any(_misses(axis, n, output) for output in range(windows))


def _misses(axis: Axis, n: int, output: int) -> bool:
    """Whether no tap lies in 0..n-1: the first one at 0 or later is beyond the input, or there is none."""
    start = position(axis, output, 0)
    tap = max(0, floordiv(axis.dilation - 1 - start, axis.dilation))
    return bool(tap >= axis.kernel or position(axis, output, tap) >= n)


def last_start(axis: Axis, n: Size, ceil_mode: bool) -> Size:
    """Where the last window begins."""
    return normal(position(axis, count(axis, n, ceil_mode) - 1, 0))


def in_numbers(axis: Axis) -> bool:
    """Whether no field is a letter."""
    return all(isinstance(each, int) for each in (axis.kernel, axis.stride, axis.before, axis.after, axis.dilation))
