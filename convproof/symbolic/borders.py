"""Where an image ends: what windows leave unread there, which rows and columns count for nothing, what would fit.

All is at given sizes, exactly. A set of positions is an int: bit i stands for position i. Windows act on each axis
independently, so a set of pixels is a product of such sets, and where branches meet a union of products.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from operator import or_

from convproof.architecture import (
    SIZED_LIKE,
    AdaptivePool,
    Axis,
    ConvTranspose,
    GroupNorm,
    InstanceNorm,
    Layer,
    Network,
    PadTo,
    PixelShuffle,
    Resize,
    Scale,
    Upsample,
)
from convproof.errors import SpecError, Undecided
from convproof.symbolic import window
from convproof.symbolic.conditions import WINDOWED, axis_names, of_any_size, output_shapes, size_sets
from convproof.symbolic.field import Field, operands_seen, receptive_field, require_known
from convproof.symbolic.floordiv import floordiv, size
from convproof.symbolic.shapes import Shape, placed_axes

MOST_POSITIONS, MOST_PRODUCTS = 10_000, 100
"""The longest axis whose positions are told apart; how many products may make up one set of pixels."""


@dataclass(frozen=True)
class Border:
    """A stride that leaves a remainder: `remainder` padded positions lie after the last whole window along an axis.

    `real` positions of the layer's input and `padding` positions are read by no window (with ceil_mode a last window
    that sticks out may still read them). `total` more padding, or `each` more on both sides (None where no number
    does), would make the windows fit.
    """

    layer: str
    axis: str
    size: int
    remainder: int
    real: int
    padding: int
    total: int
    each: int | None


def borders(network: Network) -> tuple[Border, ...]:
    """Every layer and axis where a stride leaves a remainder, in order. Raises `Undecided` for letters.

    >>> from convproof.architecture.notation import network
    >>> borders(network("INPUT[224x224x3] -> CONV(K=64, F=7, S=2, P=3)"))[0]
    Border(layer='conv1', axis='H', size=224, remainder=1, real=0, padding=1, total=1, each=None)
    """
    return tuple(_borders(network, output_shapes(network)))


def _borders(network: Network, shapes: Mapping[str, Shape]) -> Iterator[Border]:
    for node in network:
        if not isinstance(node.layer, WINDOWED):
            continue
        x = shapes[node.operands[0]]
        ceil_mode = getattr(node.layer, "ceil_mode", False)
        for name, axis, n in zip(axis_names(network), placed_axes(node.layer, x), x[1:], strict=True):
            if not (isinstance(n, int) and window.in_numbers(axis)):
                raise Undecided(f"{node.name}: what is left at the border of {n} positions needs numbers, not letters")
            if left := window.remainder(axis, n):
                end = window.last_start(axis, n, ceil_mode) + window.span(axis)
                unread = max(0, n + axis.after - end)
                real = max(0, min(n, n - end))
                total = axis.stride - left
                both = total if total & 1 == 0 else total + axis.stride  # the least even number that does
                each = None if both & 1 else both >> 1
                yield Border(node.name, name, n, left, real, unread - real, total, each)


@dataclass(frozen=True)
class Fit:
    """Whether the image fits without remainder along an axis, and the nearest sizes that do.

    `total` zeros around the image, or `each` on both sides, make it fit; None where no such number does.
    """

    fits: bool
    below: int | None
    above: int | None
    total: int | None
    each: int | None


def fits(network: Network) -> dict[str, Fit]:
    """How the given image fits, by axis. Raises `Undecided` where `size_sets` does, and for sizes that are letters.

    >>> from convproof.architecture.notation import network
    >>> fits(network("INPUT[224x224x3] -> CONV(K=96, F=11, S=4)"))["W"]
    Fit(fits=False, below=223, above=227, total=3, each=None)
    """
    found, free = {}, of_any_size(network)
    for axis, n in zip(axis_names(network), network.image.sizes, strict=True):
        if not isinstance(n, int):
            raise Undecided(f"whether the image fits along {axis} needs a number, not {n}; size_sets tells what does")
        _, exact = size_sets(free, axis)
        below, above = exact.nearest(n)
        longest = max(n, exact.start) + 2 * exact.modulus
        each = next((q for q in range(longest - n) if n + 2 * q in exact), None)
        found[axis] = Fit(n in exact, below, above, None if above is None else above - n, each)
    return found


# --- what outputs depend on -------------------------------------------------------------------------------------------

Pixels = tuple[int, ...]
"""A product of sets of positions, one per axis of the image; a vector counts as one pixel."""


def unseen(network: Network) -> dict[str, tuple[int, ...]]:
    """The rows and columns of the image that no output depends on, by axis: dropped at the end, or between windows.

    What an activation, a maximum or a slice of the channels happens to ignore is not meant. Raises `Undecided` for
    letters, and for unknown operations.

    >>> from convproof.architecture.notation import network
    >>> unseen(network("INPUT[12x13x3] -> CONV(K=8, F=3, S=2) -> POOL2"))
    {'H': (), 'W': (9, 10, 11)}
    """
    sizes = _sizes(network)
    seen = _seen(network, sizes, tuple(_all(n) for n in sizes[network.output.name]))
    found = zip(axis_names(network), sizes[network.input.name], seen, strict=True)
    return {axis: _members(_all(n) & ~positions) for axis, n, positions in found}


def reached(network: Network, axis: str, position: int) -> tuple[int, ...]:
    """The rows (or columns) of the output that depend on a row of the image: its projective field, exactly.

    >>> from convproof.architecture.notation import network
    >>> reached(network("INPUT[32x32x1] -> CONV(K=1, F=3, D=2) -> POOL2"), "H", 10)
    (3, 4, 5)
    """
    names, sizes = axis_names(network), _sizes(network)
    if axis not in names or not 0 <= position < sizes[network.input.name][names.index(axis)]:
        raise SpecError(
            f"{axis}={position} is no row or column of the image {network.image.sizes} ({', '.join(names)})"
        )
    place, extents = names.index(axis), sizes[network.output.name]
    whole = [_all(n) for n in extents]
    rows = ((*whole[:place], 1 << row, *whole[place + 1 :]) for row in range(extents[place]))
    return tuple(o for o, row in enumerate(rows) if _seen(network, sizes, row)[place] >> position & 1)


def _sizes(network: Network) -> dict[str, tuple[int, ...]]:
    """The spatial sizes of all layers, by name; those of a vector are 1."""
    rank = len(network.image.sizes)
    sizes = {name: shape[1:] or (1,) * rank for name, shape in output_shapes(network).items()}
    for name, extents in sizes.items():
        for n in extents:
            if not (isinstance(n, int) and n <= MOST_POSITIONS):
                raise Undecided(f"{name}: positions are told apart in up to {MOST_POSITIONS}, not {n}, along an axis")
    return sizes


def _seen(network: Network, sizes: Mapping[str, tuple[int, ...]], outputs: Pixels) -> Pixels:
    """The rows and columns of the image that some of the outputs depend on, from the last layer to the first."""
    needed: dict[str, list[Pixels]] = {name: [] for name in sizes}
    needed[network.output.name] = [outputs]
    for node in reversed(network.nodes):
        for operand in dict.fromkeys(operands_seen(node)):
            for pixels in needed[node.name]:
                _add(_read(node.layer, sizes[operand], sizes[node.name], pixels), needed[operand])
            if len(needed[operand]) > MOST_PRODUCTS:
                raise Undecided(f"{operand}: the pixels that are read make up more than {MOST_PRODUCTS} rectangles")
    return tuple(
        reduce(or_, positions) for positions in zip((0,) * len(outputs), *needed[network.input.name], strict=True)
    )


def _add(pixels: Pixels, products: list[Pixels]) -> None:
    """Adds a product to a union of products, leaving out what lies within another one."""

    def within(inner: Pixels, outer: Pixels) -> bool:
        return all(a & ~b == 0 for a, b in zip(inner, outer, strict=True))

    if all(pixels) and not any(within(pixels, other) for other in products):
        products[:] = [other for other in products if not within(other, pixels)] + [pixels]


def _read(layer: Layer, extents: tuple[int, ...], outputs: tuple[int, ...], needed: Pixels) -> Pixels:
    """The positions of an input of these extents that the needed ones of so many outputs of one layer read."""
    if isinstance(layer, (Upsample, Resize)):
        require_known(layer)
    if isinstance(layer, AdaptivePool):
        return tuple(_spread(*each) for each in zip(extents, outputs, needed, strict=True))
    if isinstance(layer, SIZED_LIKE):
        return tuple(_fitted(layer, *each) for each in zip(extents, outputs, needed, strict=True))
    if isinstance(layer, Scale) and extents != outputs:  # the one factor of all outputs
        return tuple(int(wanted > 0) for wanted in needed)
    if isinstance(layer, (ConvTranspose, Upsample, PixelShuffle)):
        made = [_made(layer, axis) for axis in layer.axes(len(extents))]
        return tuple(
            sum(1 << i for i in range(n) if windows.at(i, wanted.bit_length()) & wanted)
            for windows, n, wanted in zip(made, extents, needed, strict=True)
        )
    if isinstance(layer, (GroupNorm, InstanceNorm)):
        return tuple(map(_all, extents)) if all(needed) else needed
    fields = receptive_field(layer, [tuple(Field() for _ in extents)], [(1, *extents)])
    axes = layer.axes(len(extents)) if isinstance(layer, WINDOWED) else (Axis(1),) * len(extents)
    return tuple(
        _covered(_Windows.of(field, axis.dilation), n, wanted)
        for field, axis, n, wanted in zip(fields, axes, extents, needed, strict=True)
    )


def _spread(n: int, m: int, wanted: int) -> int:
    """The positions 0..n-1 that the wanted ones of m windows cover, which cover all."""
    ends = ((floordiv(o * n, m), -floordiv(-(o + 1) * n, m)) for o in _members(wanted))
    return reduce(or_, (_all(end) & ~_all(first) for first, end in ends), 0)


def _fitted(layer: Layer, n: int, m: int, wanted: int) -> int:
    """The positions 0..n-1 that the wanted ones of m read, along one axis of a layer that fits n positions to m."""
    if isinstance(layer, PadTo):
        return _covered(_Windows(1, -floordiv(m - n, 2), 1), n, wanted)
    if layer == Resize("nearest"):
        return reduce(or_, (1 << floordiv(output * n, m) for output in _members(wanted)), 0)
    read = 0
    for output in _members(wanted):
        place = max(Fraction(0), Fraction(n * (2 * output + 1), 2 * m) - Fraction(1, 2))
        low = int(place)  # not negative, so rounded down
        read |= 1 << low | (1 << min(low + 1, n - 1) if place > low else 0)
    return read


def _covered(windows: _Windows, n: int, wanted: int) -> int:
    """The positions 0..n-1 that the wanted windows read."""
    if windows == _Windows(1, 0, 1):
        return wanted & _all(n)
    return reduce(or_, (windows.at(output, n) for output in _members(wanted)), 0)


@dataclass(frozen=True)
class _Windows:
    """Window number o reads the positions of `bits` counted from first + step*o."""

    bits: int
    first: int
    step: int

    @classmethod
    def of(cls, field: Field, every: int) -> _Windows:
        """Those of one layer with this field, whose taps lie `every` apart."""
        if not (all(isinstance(each, int) for each in (field.size, field.jump, field.offset, every))):
            raise Undecided(f"what windows of {field.size} positions read is worked out in numbers, not letters")
        if field.size > MOST_POSITIONS:
            raise Undecided(f"windows of {field.size} positions are not followed; {MOST_POSITIONS} is the limit")
        return cls(sum(1 << tap for tap in range(0, field.size, every)), field.offset, field.jump)

    def at(self, number: int, n: int) -> int:
        """What window `number` reads of the positions 0..n-1."""
        first = self.first + self.step * number
        return 0 if first >= n else (self.bits << first if first >= 0 else self.bits >> -first) & _all(n)


def _made(layer: ConvTranspose | Upsample | PixelShuffle, axis: Axis) -> _Windows:
    """The outputs that each input of a transposed layer makes, as the windows of the layer that it transposes."""
    first, last = window.position(axis, 0, 0), window.position(axis, 0, size(axis.kernel) - 1)
    if isinstance(layer, Upsample) and layer.mode == "bilinear":
        before, after = window.interpolated_reach(axis)  # what is as far away as this has no weight
        first, last = floordiv(-after * axis.stride, 1) + 1, -floordiv(before * axis.stride, 1) - 1
    return _Windows.of(Field(last - first + 1, size(axis.stride), first), axis.dilation)


def _all(n: int) -> int:
    return (1 << n) - 1


def _members(positions: int) -> tuple[int, ...]:
    return tuple(i for i in range(positions.bit_length()) if positions >> i & 1)
