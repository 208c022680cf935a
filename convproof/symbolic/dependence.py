"""Which positions of the image outputs depend on, exactly, at given sizes: folds over `reads`, from the last layer
to the first. Windows act on each axis by itself, so a set of pixels is a product of sets of positions, and, where
branches meet, a union of products.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from convproof.architecture import Network, Shaped
from convproof.errors import SpecError, Undecided
from convproof.symbolic.reads import Everything, Relation, Window, reads
from convproof.symbolic.shapes import Inference, axis_names, infer

MOST_POSITIONS, MOST_PRODUCTS = 10_000, 100
"""The longest axis whose positions are told apart; how many products may make up one set of pixels."""

Pixels = tuple[int, ...]
"""A product of sets of positions, one per axis of the image; bit i of an int stands for position i."""


def unseen(network: Network) -> dict[str, tuple[int, ...]]:
    """The rows and columns of the image that no output depends on, by axis: dropped at the end, or between windows.

    What an activation, a maximum or a slice of the channels happens to ignore is not meant. Raises `Undecided` for
    letters, and for unknown operations.

    >>> from convproof.architecture.notation import network
    >>> unseen(network("INPUT[12x13x3] -> CONV(K=8, F=3, S=2) -> POOL2"))
    {'H': (), 'W': (9, 10, 11)}
    """
    found = _in_numbers(network)
    extents = _extents(found, network.input.name)
    seen = _seen(found, tuple(_all(n) for n in _extents(found, network.output.name)))
    pairs = zip(axis_names(network), extents, seen, strict=True)
    return {axis: _members(_all(n) & ~positions) for axis, n, positions in pairs}


def reached(network: Network, axis: str, position: int) -> tuple[int, ...]:
    """The rows (or columns) of the output that depend on a row of the image: its projective field, exactly.

    >>> from convproof.architecture.notation import network
    >>> reached(network("INPUT[32x32x1] -> CONV(K=1, F=3, D=2) -> POOL2"), "H", 10)
    (3, 4, 5)
    """
    names, found = axis_names(network), _in_numbers(network)
    sizes = _extents(found, network.input.name)
    if axis not in names or not 0 <= position < sizes[names.index(axis)]:
        raise SpecError(
            f"{axis}={position} is no row or column of the image {network.image.sizes} ({', '.join(names)})"
        )
    place, extents = names.index(axis), _extents(found, network.output.name)
    whole = [_all(n) for n in extents]
    rows = ((*whole[:place], 1 << row, *whole[place + 1 :]) for row in range(extents[place]))
    return tuple(o for o, row in enumerate(rows) if _seen(found, row)[place] >> position & 1)


def _in_numbers(network: Network) -> Inference:
    found = infer(network)
    for reason in (*found.refused.values(), *found.undecided.values()):
        raise Undecided(reason)
    for node in network:
        if isinstance(node.layer, Shaped):
            raise Undecided(f"{node.name}: the axes of what {node.layer.op} makes are not followed one by one")
        if len(found.shapes[node.name]) - 1 not in (0, len(network.image.sizes)):
            raise Undecided(f"{node.name}: its axes are not those of the image")
        for n in _extents(found, node.name):
            if not (isinstance(n, int) and n <= MOST_POSITIONS):
                raise Undecided(
                    f"{node.name}: positions are told apart in up to {MOST_POSITIONS}, not {n}, along an axis"
                )
    return found


def _extents(found: Inference, name: str) -> tuple[int, ...]:
    """The spatial sizes of a layer; those of a vector are 1."""
    return found.shapes[name][1:] or (1,) * len(found.network.image.sizes)


def _seen(found: Inference, outputs: Pixels) -> Pixels:
    """The rows and columns of the image that some of the outputs depend on, from the last layer to the first."""
    network = found.network
    needed: dict[str, list[Pixels]] = {node.name: [] for node in network}
    needed[network.output.name] = [outputs]
    for node in reversed(network.nodes):
        if not needed[node.name] or not node.operands:
            continue
        relations = reads(node.layer, found.inputs(node), found.shapes[node.name], len(outputs))
        for operand, own in zip(node.operands, relations, strict=False):
            for pixels in needed[node.name] if own is not None else ():
                extents = _extents(found, operand)
                read = tuple(_read(*each) for each in zip(own or (), extents, pixels, strict=True))
                _add(read, needed[operand])
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


def _read(relation: Relation, n: int, wanted: int) -> int:
    """The positions 0..n-1 that the wanted outputs read."""
    if not relation.in_numbers:
        raise Undecided(f"which positions are read is known only in numbers, not in letters as in {relation}")
    if isinstance(relation, Everything):
        return _all(n) if wanted else 0
    if relation == Window():
        return wanted & _all(n)
    if relation == Window(0, n) and wanted & 1:  # the first output reads all
        return _all(n)
    if isinstance(relation, Window):
        if relation.count > MOST_POSITIONS:
            raise Undecided(f"windows of {relation.count} positions are not followed; {MOST_POSITIONS} is the limit")
        taps = sum(1 << tap for tap in range(0, relation.span, relation.dilation))
        starts = (relation.first + relation.step * output for output in _members(wanted))
        return reduce(or_, (taps << s if s >= 0 else taps >> -s for s in starts if s < n), 0) & _all(n)
    return sum(1 << i for i in {i for o in _members(wanted) for i in relation.inputs(o)} if 0 <= i < n)


def _all(n: int) -> int:
    return (1 << n) - 1


def _members(positions: int) -> tuple[int, ...]:
    return tuple(i for i in range(positions.bit_length()) if positions >> i & 1)
