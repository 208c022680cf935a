"""Where a stride leaves a remainder at the border of the given image, and what would make it fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convproof.architecture import Network
from convproof.errors import ShapeError, Undecided
from convproof.symbolic import window
from convproof.symbolic.accepted import accepted_sizes
from convproof.symbolic.shapes import Inference, axis_names, infer


@dataclass(frozen=True)
class Border:
    """A stride that leaves a remainder: `remainder` padded positions lie after the last whole window along an axis.

    `real` positions of the layer's input and `padding` positions are read by no window (with ceil_mode a last window
    that sticks out may still read them). `total` more padding, or `each` more on both sides (None where no number
    does), would make the windows fit. `before` and `after` is the padding that there is, `outputs` what
    comes out; with ceil_mode the layer `rounds_up`.
    """

    layer: str
    axis: str
    size: int
    remainder: int
    real: int
    padding: int
    total: int
    each: int | None
    before: int = 0
    after: int = 0
    outputs: int = 0
    rounds_up: bool = False

    @property
    def advice(self) -> str:
        """What would leave no remainder, in words."""
        both = f", or {self.each} more on both sides," if self.each is not None else ""
        more = f"{self.total} more of padding{both} would fit"
        if self.rounds_up:  # a window that would start in that padding is left out
            return more
        less = f"; P={self.before}:{self.after - self.remainder} keeps {self.outputs}" * (self.after >= self.remainder)
        return f"{more} (P={self.before}:{self.after + self.total} makes {self.outputs + 1}{less})"


def borders(network: Network) -> tuple[Border, ...]:
    """Every layer and axis where a stride leaves a remainder, in order. Raises `Undecided` for letters.

    >>> from convproof.architecture.notation import network
    >>> first = borders(network("INPUT[224x224x3] -> CONV(K=64, F=7, S=2, P=3)"))[0]
    >>> first.remainder, first.advice
    (1, '1 more of padding would fit (P=3:4 makes 113; P=3:2 keeps 112)')
    """
    found = infer(network)
    for reason in found.refused.values():
        raise ShapeError(reason)
    for reason in found.undecided.values():
        raise Undecided(reason)
    return tuple(borders_of(found))


def borders_of(found: Inference) -> Iterator[Border]:
    """The same from shape inference."""
    names = axis_names(found.network)
    for node in found.known:
        for name, demand in zip(names, found.steps[node.name].remainders, strict=False):
            _, axis, n = demand.facts
            if not (isinstance(n, int) and window.in_numbers(axis)):
                raise Undecided(f"{node.name}: what is left at the border of {n} positions needs numbers, not letters")
            if left := window.remainder(axis, n):
                end = window.last_start(axis, n, node.layer.rounds_up) + window.span(axis)  # type: ignore[attr-defined]
                unread = max(0, n + axis.after - end)
                real = max(0, min(n, n - end))
                total = axis.stride - left
                both = total if total & 1 == 0 else total + axis.stride  # the least even number that does
                each = None if both & 1 else both >> 1
                rounds_up = node.layer.rounds_up  # type: ignore[attr-defined]
                ends = axis.before, axis.after, window.count(axis, n, rounds_up), rounds_up
                yield Border(node.name, name, n, left, real, unread - real, total, each, *ends)


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
    """How the given image fits, by axis. Raises `Undecided` for sizes that are letters, and where the axes are not
    decided one by one.

    >>> from convproof.architecture.notation import network
    >>> fits(network("INPUT[224x224x3] -> CONV(K=96, F=11, S=4)"))["W"]
    Fit(fits=False, below=223, above=227, total=3, each=None)
    """
    found = {}
    accepted = accepted_sizes(network)
    for axis, n in zip(axis_names(network), network.image.sizes, strict=True):
        if not isinstance(n, int):
            raise Undecided(
                f"whether the image fits along {axis} needs a number, not {n}; accepted_sizes tells what does"
            )
        exact = accepted.exact[axis]
        if exact is None:
            reason = next(iter((*accepted.undecided, *accepted.requires)), "what fits depends on the other axes")
            raise Undecided(f"whether the image fits along {axis} is not known alone: {reason}")
        below, above = exact.nearest(n)
        longest = max(n, exact.start) + 2 * exact.modulus
        each = next((q for q in range(longest - n) if n + 2 * q in exact), None)
        found[axis] = Fit(n in exact, below, above, None if above is None else above - n, each)
    return found
