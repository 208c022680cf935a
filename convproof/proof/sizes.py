"""The sizes that a network accepts, as theorems of the kernel.

The statement is put together layer by layer, every size a floor of the one before: it rests on the window law, but not
on how the symbolic wing folds and simplifies sizes, nor on how it finds its sets. That the two sets are equal is
checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from convproof.architecture import Layer, Network
from convproof.errors import Disagreement, Undecided
from convproof.proof import Decision, Refused, decide
from convproof.proof.algebra import Term, substitute
from convproof.proof.language import term
from convproof.symbolic import output_shapes, size_sets, symbol
from convproof.symbolic.conditions import axis_names, conditions
from convproof.symbolic.floordiv import Size
from convproof.symbolic.shapes import Shape, output_shape

MOST_LAYERS = 2_000
"""The longest network that is stated as one theorem."""


def prove_sizes(network: Network, axis: int | str) -> tuple[Decision, Decision]:
    """(valid, exact) along one axis of the input, as `symbolic.size_sets` finds them, proved for every size.

    Raises `Undecided` with the reason where the kernel refuses, and `Disagreement` where it finds another set.

    >>> from convproof.architecture.notation import network
    >>> _, exact = prove_sizes(network("INPUT[WxWx3] -> CONV(K=96, F=11, S=4)"), "W")
    >>> print(exact.theorem.conclusion[0], exact.sizes)
    iff all n >= 8 with n mod 4 = 3
    """
    names = axis_names(network)
    found = size_sets(network, axis)
    place = names.index(axis) if isinstance(axis, str) else axis
    letter = names[place]
    if len(network) > MOST_LAYERS:
        raise Undecided(f"a theorem of {len(network)} layers is not attempted; {MOST_LAYERS} is the limit")
    wanted = list(dict.fromkeys(_statements(network, place, letter)))
    parts = {"valid": [each for kind, each in wanted if kind != "exact"], "exact": [each for _, each in wanted]}
    try:
        valid, exact = (decide((">=", ("*", 1, 1, *each), 1), letter) for each in parts.values())
    except Refused as error:
        raise Undecided(f"sizes of {letter} are not proved: {error}") from None
    for decision, sizes in zip((valid, exact), found, strict=True):
        if decision.sizes != sizes:
            raise Disagreement(f"sizes of {letter}: the kernel finds {decision.sizes}, the symbolic wing {sizes}.")
    return valid, exact


def _statements(network: Network, axis: int, letter: str) -> Iterator[tuple[str, Term]]:
    """(kind, 1 where a layer's condition holds and else 0), in one letter for the input's size along the axis."""
    source = network.image
    free = replace(source, sizes=tuple(symbol("n") if i == axis else s for i, s in enumerate(source.sizes)))
    shapes = output_shapes(network, free)
    yield "fits", ("le", 1, ("v", letter))
    sizes: dict[str, Term] = {}
    law = cache(_law)
    for node in network:
        inputs = tuple(_with_letter(shapes[name], axis, f"m{k}") for k, name in enumerate(node.operands))
        asked, output = law(node.layer, inputs, axis)
        values = {f"m{k}": sizes[name] for k, name in enumerate(node.operands) if name in sizes}
        values["n"] = ("v", letter)
        yield from ((kind, substitute(_holds(kind, value), values)) for kind, value in asked)
        if len(shapes[node.name]) > 1:
            along = output[1 + axis] if node.operands else symbol("n")
            sizes[node.name] = substitute(term(along), values)


def _with_letter(shape: Shape, axis: int, letter: str) -> Shape:
    """The shape with a letter for its size along the axis; that of a vector as it is."""
    return tuple(symbol(letter) if len(shape) > 1 and i == 1 + axis else n for i, n in enumerate(shape))


def _law(layer: Layer, inputs: tuple[Shape, ...], axis: int) -> tuple[tuple[tuple[str, Size], ...], Shape]:
    """What the layer asks of its inputs, and its output's shape."""
    output = output_shape(layer, *inputs)
    return conditions(layer, inputs, output, axis), output


def _holds(kind: str, value: Size) -> Term:
    """1 where a condition holds, else 0."""
    if kind == "fits":
        return ("le", 0, term(value))
    equal = ("is", term(value), 0)
    return ("+", 1, ("*", -1, equal)) if kind == "differs" else equal
