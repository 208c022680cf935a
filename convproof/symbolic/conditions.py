"""What layers ask of the sizes that they read, and the sizes of an image that meet it all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

from convproof.architecture import (
    MERGES,
    SAME_LOWER,
    SAME_UPPER,
    SIZED_LIKE,
    AvgPool,
    Axis,
    ChannelShuffle,
    Concat,
    Conv,
    ConvTranspose,
    GroupNorm,
    Input,
    Layer,
    LpPool,
    MaxPool,
    Network,
    Node,
    Pad,
    PixelUnshuffle,
    Scale,
    Slice,
)
from convproof.errors import ShapeError, SpecError, Undecided
from convproof.symbolic import window
from convproof.symbolic.floordiv import Size, floordiv, normal, size, symbol
from convproof.symbolic.shapes import Shape, needs_image, output_shape, pad_rooms, placed_axes
from convproof.symbolic.sizesets import EVERY, SizeSet, where_at_least, where_zero

WINDOWED = (Conv, MaxPool, AvgPool, LpPool, Pad)
"""The kinds whose outputs read windows of a padded input."""


# --- shapes -----------------------------------------------------------------------------------------------------------


def axis_names(network: Network) -> tuple[str, ...]:
    """The names of the input's spatial axes: W; H, W; or D, H, W."""
    return ("D", "H", "W")[-len(network.image.sizes) :]


def of_any_size(network: Network) -> Network:
    """The network with a letter of its own for each size of its image."""
    free = tuple(symbol(f"size of {name}") for name in axis_names(network))  # names that no letter can have
    return network.with_input(replace(network.image, sizes=free))


def output_shapes(network: Network, image: Input | None = None) -> dict[str, Shape]:
    """The shape of every layer's output, by name; on another input, if that is given. Raises `Undecided` where nothing
    is known about an operation.

    >>> from convproof.architecture.notation import network
    >>> output_shapes(network("INPUT[32x32x3] -> CONV3-12 -> POOL2"))["maxpool1"]
    (12, 16, 16)
    """
    undecided: list[str] = []
    shapes = known_shapes(network, undecided, image)
    if undecided:
        raise Undecided(undecided[0])
    return shapes


def known_shapes(
    network: Network, undecided: list[str], image: Input | None = None, refused: list[str] | None = None
) -> dict[str, Shape]:
    """The shapes of the layers that no unknown operation comes before; the reasons go to `undecided`.

    Shapes that do not go together are raised, or go to `refused`.
    """
    shapes: dict[str, Shape] = {}
    shape = cache(output_shape)
    for node in network:
        if all(name in shapes for name in node.operands):
            try:
                with at(node):
                    layer = node.layer if node.operands or image is None else image
                    shapes[node.name] = shape(layer, *(shapes[name] for name in node.operands))
            except Undecided as error:
                undecided.append(str(error))
            except ShapeError as error:
                if refused is None:
                    raise
                refused.append(str(error))
    return shapes


@contextmanager
def at(node: Node) -> Iterator[None]:
    """Errors from within name the layer."""
    try:
        yield
    except (ShapeError, SpecError, Undecided) as error:
        raise type(error)(f"{node.name}: {error}") from None


# --- sizes that are accepted ------------------------------------------------------------------------------------------


def size_sets(
    network: Network, axis: int | str, fixed: Mapping[str, Sequence[int | None]] | None = None
) -> tuple[SizeSet, SizeSet]:
    """(valid, exact) along one input axis: every window fits and branches agree; moreover no stride leaves a remainder.

    `fixed` holds shapes that the outputs of layers must have, with None for what may be any number.

    `axis` counts from 0, or names the axis ("H", "W"). Raises `Undecided` where a kernel, stride, padding or dilation
    along this axis is a letter, and `SpecError` for an axis that the input has not.

    >>> from convproof.architecture.notation import network
    >>> [str(found) for found in size_sets(network("INPUT[WxWx3] -> CONV(K=96, F=11, S=4)"), 0)]
    ['all n >= 11', 'all n >= 8 with n mod 4 = 3']
    """
    letter, shapes, axis = _along(network, axis)
    condition = cache(conditions)  # equal layers on equal shapes are worked out once
    wanted = dict.fromkeys(
        each
        for node in network
        for each in condition(node.layer, tuple(shapes[name] for name in node.operands), shapes[node.name], axis)
    )
    wanted |= dict.fromkeys(written(shapes, axis, fixed or {}))
    valid = _where((each for each in wanted if each[0] != "exact"), letter)
    return valid, valid & _where((each for each in wanted if each[0] == "exact"), letter)


def _along(network: Network, axis: int | str) -> tuple[Any, dict[str, Shape], int]:
    """A letter for the input's size along an axis, all shapes with it, and the number of the axis."""
    names = axis_names(network)
    if axis in names:
        axis = names.index(str(axis))
    if not isinstance(axis, int) or not 0 <= axis < len(names):
        raise SpecError(
            f"axis {axis} is none of the input's {len(names)} spatial axes, {', '.join(names)}, counted from 0"
        )
    letter = symbol(f"size of {names[axis]}")  # a name that no letter can have
    source = network.image
    free = replace(source, sizes=tuple(letter if i == axis else s for i, s in enumerate(source.sizes)))
    return letter, output_shapes(network, free), axis


def _where(wanted: Iterable[tuple[str, Size]], letter: Any) -> SizeSet:
    """The sizes at which conditions hold."""
    found = EVERY
    for kind, value in wanted:
        if kind == "fits":
            found &= where_at_least(value, 0, letter)
        elif kind == "differs":
            found = found.without(where_zero(value, letter))
        else:
            found &= where_zero(value, letter)
    return found


def first_mismatch(network: Network, axis: int | str) -> tuple[int, str] | None:
    """The smallest size along an axis at which every window fits but branches differ, and the first merge of them.

    None where branches agree at all sizes. Raises as `size_sets`.

    >>> from convproof.architecture.notation import network
    >>> first_mismatch(network("INPUT[WxWx3] -> { ID | POOL2 -> UPSAMPLE2 } ADD"), "W")
    (3, 'add1')
    """
    letter, shapes, axis = _along(network, axis)
    condition = cache(conditions)
    asked = {
        node.name: condition(node.layer, tuple(shapes[name] for name in node.operands), shapes[node.name], axis)
        for node in network
    }
    fitting = _where(
        dict.fromkeys(c for each in asked.values() for c in each if c[0] in ("fits", "fills", "differs")), letter
    )
    found: list[tuple[int, str]] = []
    for name, each in asked.items():
        apart = [condition for condition in each if condition[0] == "agrees" and condition[1] != 0]
        first = next(iter(fitting.without(_where(apart, letter))), None) if apart else None
        found += [] if first is None else [(first, name)]
    return min(found, key=lambda pair: pair[0], default=None)


def written(
    shapes: Mapping[str, Shape], axis: int, fixed: Mapping[str, Sequence[int | None]]
) -> Iterator[tuple[str, Size]]:
    """That outputs have the sizes along one axis that are fixed for them; a vector, all its values."""
    for layer, shape in fixed.items():
        place = 1 + axis if len(shape) > 1 else 0
        if (number := shape[place]) is not None:
            yield "agrees", normal(shapes[layer][place] - number)


def conditions(layer: Layer, inputs: tuple[Shape, ...], output: Shape, axis: int) -> tuple[tuple[str, Size], ...]:
    """What a layer asks of its inputs along one axis.

    ("fits", e) asks for e >= 0, "differs" for anything but 0, and the others for e = 0: "agrees" of branches, "fills"
    of blocks that must fill the image, "exact" so that no stride leaves a remainder.

    >>> from convproof.architecture import Conv
    >>> conditions(Conv(8, 3, stride=2), ((3, 10),), (8, 4), 0)
    (('fits', 7), ('exact', 1))
    """
    return tuple(_conditions(layer, inputs, output, axis))


def _conditions(layer: Layer, inputs: tuple[Shape, ...], output: Shape, axis: int) -> Iterator[tuple[str, Size]]:
    if isinstance(layer, WINDOWED):
        along, n = placed_axes(layer, inputs[0])[axis], inputs[0][1 + axis]
        ceil_mode = getattr(layer, "ceil_mode", False)
        yield "fits", normal(output[1 + axis] - 1) if ceil_mode else window.slack(along, n)
        yield "exact", window.remainder(along, n)
        if isinstance(layer, Pad):
            yield from (("fits", room) for room in pad_rooms(layer, along, n))
        raw = layer.axes(len(inputs[0]) - 1)[axis]
        if needs_image(layer) and raw.before in (SAME_UPPER, SAME_LOWER):
            yield from _jumps_over(raw, n, ceil_mode)
        elif needs_image(layer) and window.in_numbers(along):
            yield from _reads_image(along, n, ceil_mode)
    elif isinstance(layer, ConvTranspose):
        yield "fits", normal(output[1 + axis] - 1)
    elif isinstance(layer, SIZED_LIKE):
        return
    elif isinstance(layer, PixelUnshuffle):
        n, factor = inputs[0][1 + axis], size(layer.downscale_factor)
        yield "fills", normal(n - factor * floordiv(n, factor))
    elif isinstance(layer, Scale):
        x, factors = inputs
        yield "agrees", normal(factors[1 + axis] - 1 if len(factors) > 1 else factors[0] - x[0])
    elif len(output) == 1 and isinstance(layer, Slice):  # how long a vector is may hang on the size of the image
        yield "fits", normal(inputs[0][0] - size(layer.stop))
    elif len(output) == 1 and isinstance(layer, (GroupNorm, ChannelShuffle)):
        yield "fills", normal(output[0] - size(layer.groups) * floordiv(output[0], size(layer.groups)))
    elif isinstance(layer, MERGES) and not (len(output) == 1 and isinstance(layer, Concat)):
        place = 1 + axis if len(output) > 1 else 0
        yield from (("agrees", normal(inputs[0][place] - other[place])) for other in inputs[1:])


def _reads_image(axis: Axis, n: Size, ceil_mode: bool) -> Iterator[tuple[str, Size]]:
    """That no window reads padding alone: at its two ends, and at the few sizes that dilated taps can jump over."""
    span = window.span(axis)
    if axis.before >= span:
        yield "fits", -1
    if axis.after >= span:
        yield "fits", normal(n - 1 - window.last_start(axis, n, ceil_mode))
    yield from _jumps_over(axis, n, ceil_mode)


def _jumps_over(axis: Axis, n: Size, ceil_mode: bool) -> Iterator[tuple[str, Size]]:
    """That taps do not lie on both sides of a small image. With SAME padding every window begins before its end, and
    none ends before its beginning, so this is all that can happen there.
    """
    if not all(isinstance(each, int) for each in (axis.kernel, axis.stride, axis.dilation)):
        raise Undecided("whether windows read padding alone hangs on the letters")
    if axis.dilation > window.MOST_WINDOWS:
        raise Undecided(
            f"a dilation of {axis.dilation} can jump over too many sizes; {window.MOST_WINDOWS} is the limit"
        )
    for small in range(1, axis.dilation):
        if window.hidden(window.placed(axis, small), small, ceil_mode):
            yield "differs", normal(n - small)
