"""The elements of a layer on other axes, or in another order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from convproof.importers.sizes import OTHERWISE, Size, over, times
from convproof.importers.values import Flow, Inexpressible
from convproof.symbolic.amounts import Formula, content


@dataclass(frozen=True)
class Atom:
    """An axis of a tensor, or a factor of it: `size` steps, each of `inner` positions."""

    axis: int
    size: Size
    inner: int = 1


Axes = tuple[tuple[Atom, ...], ...]
"""What each axis is made of; an axis of size 1 is made of nothing."""


def own_axes(sizes: Sequence[Size]) -> Axes:
    """The axes of a tensor as it is."""
    return tuple(() if n == 1 else (Atom(axis, n),) for axis, n in enumerate(sizes))


@dataclass(frozen=True)
class View:
    """The elements of x, whose axes are `own`, on other axes."""

    x: Flow
    own: Axes
    axes: Axes

    def on(self, axes: Iterable[Iterable[Atom]]) -> View:
        """The same elements on other axes again."""
        return replace(self, axes=tuple(map(_joined, axes)))

    def sizes(self) -> tuple[Size, ...]:
        """The size of each axis."""
        return tuple(times(atom.size for atom in axis) for axis in self.axes)

    @property
    def keeps_batch(self) -> bool:
        """Whether the first axis is that of x."""
        return self.axes[:1] == self.own[:1]

    @property
    def keeps_order(self) -> bool:
        """Whether the elements of an image stand in the order in which they stand in x."""
        mine, theirs = ([atom for axis in axes[1:] for atom in axis] for axes in (self.axes, self.own))
        return _in_order(mine) == _in_order(theirs)

    @property
    def shuffled(self) -> int | None:
        """The groups of channels, where it is x with its channels shuffled."""
        if len(self.axes) != len(self.own) or len(self.axes[1]) != 2:
            return None
        (inner, outer), groups = self.axes[1], self.axes[1][1].size
        shuffled = (
            inner.inner == 1 and outer.inner == inner.size and self.own[1] == (Atom(1, times([inner.size, groups])),)
        )
        others = self.axes[:1] == self.own[:1] and self.axes[2:] == self.own[2:]
        return groups if shuffled and others and isinstance(groups, int) else None

    def reshaped(self, target: Sequence[Size]) -> View:
        """The elements laid out in a shape, in which one size may be -1. Raises `Inexpressible` for what cuts through
        axes whose sizes are not known."""
        if not all(isinstance(n, int | Formula) for n in target):
            raise Inexpressible(OTHERWISE)
        atoms = [atom for axis in self.axes for atom in axis]
        if -1 in target:
            rest = _left([atom.size for atom in atoms], [n for n in target if n != -1])
            target = [rest if n == -1 else n for n in target]
        axes = [_dealt(atoms, n) for n in target]
        if atoms:
            raise Inexpressible(OTHERWISE)
        return self.on(axes)


def _left(sizes: list[Size], taken: list[Size]) -> Size:
    """What some of the factors of a product leave of it."""
    others = []
    for n in taken:
        if n in sizes:
            sizes.remove(n)
        else:
            others.append(n)
    return over(times(sizes), times(others))


def _in_order(atoms: Iterable[Atom]) -> list[Atom]:
    """The atoms, each axis of x whole where its parts follow one another."""
    return list(_joined(atom for atom in atoms if atom.size != 1))


def _joined(atoms: Iterable[Atom]) -> tuple[Atom, ...]:
    """The atoms, those put together that are neighbours in x."""
    found: list[Atom] = []
    for atom in atoms:
        last = found[-1] if found else None
        if last and last.axis == atom.axis and last.inner == times([atom.size, atom.inner]):
            found[-1] = Atom(atom.axis, times([last.size, atom.size]), atom.inner)
        else:
            found.append(atom)
    return tuple(found)


def _dealt(atoms: list[Atom], size: Size) -> tuple[Atom, ...]:
    """The first of the atoms, taken off the list, that have `size` elements; one that has too many is divided."""
    taken: list[Atom] = []
    while (have := times(each.size for each in taken)) != size:
        if not atoms:
            raise Inexpressible(OTHERWISE)
        atom = atoms.pop(0)
        wanted = content(size) // content(have)
        if isinstance(atom.size, int) and 1 < wanted < atom.size:
            rest = over(atom.size, wanted)
            atoms.insert(0, replace(atom, size=rest))
            atom = Atom(atom.axis, wanted, atom.inner * rest)
        taken.append(atom)
    return tuple(taken)
