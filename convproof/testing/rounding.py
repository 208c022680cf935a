"""How far a kernel may be off that rounds, by the way in which it says that it does.

Bounds follow N. Higham, "Accuracy and stability of numerical algorithms" (2002): after n roundings a term is changed by
at most g(n) = n*u/(1 - n*u) of itself (lemma 3.1), with the unit roundoff u; none of them is tuned to a kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convproof.errors import InputError
from convproof.testing.numbers import Array, Precision


@dataclass(frozen=True)
class Sums:
    """Sums of products whose rounding is bounded: the sums of their absolute values, how many products each has, the
    largest product, the number of axes, and the largest number of positions along one.
    """

    absolute: Array
    terms: int
    largest: float
    rank: int
    positions: int


def growth(steps: float, unit: float) -> float:
    """g(n); 1 where the lemma says nothing."""
    return steps * unit / (1 - steps * unit) if steps * unit < 0.5 else 1.0


def _plain(sums: Sums, kind: Precision) -> Array:
    """Any order of summation: each product is rounded once, and once an addition."""
    return growth(sums.terms + 2, kind.unit) * sums.absolute


def _half(sums: Sums, kind: Precision) -> Array:
    """The same where sums are kept with 11 bits."""
    return growth(sums.terms + 2, 2.0**-11) * sums.absolute


def _tf32(sums: Sums, kind: Precision) -> Array:
    """Factors are cut to 11 bits, which changes a product by at most 2*2**-10 of itself."""
    return (2.0**-9 + 2.0**-20 + growth(sums.terms + 2, kind.unit)) * sums.absolute


def _winograd(sums: Sums, kind: Precision) -> Array:
    """F(4, 3) along every axis: rows of its matrices A, G and B have absolute sums of at most 19, 1 and 10, so what
    is added up is at most 190 times a product an axis (A. Lavin and S. Gray, "Fast algorithms for convolutional
    neural networks", 2016; smaller blocks have smaller sums).
    """
    steps = sums.terms + 12 * sums.rank
    return np.full(sums.absolute.shape, growth(steps, kind.unit) * 190.0**sums.rank * sums.terms * sums.largest)


def _fft(sums: Sums, kind: Precision) -> Array:
    """Three transforms of 2*n positions or fewer along every axis: an output is off by at most g(7*log2(2*n)) for each,
    times the norms of the two factors, whose product is at most the largest product times the number of both (Higham,
    theorem 24.2).
    """
    steps = 3 * 7 * sums.rank * math.log2(2 * sums.positions + 2) + sums.terms + 2
    extent = float((2 * sums.positions) ** sums.rank) * max(1, sums.terms)
    return np.full(sums.absolute.shape, growth(steps, kind.unit) * extent * sums.largest)


def cumulative(absolute: Array, axes: tuple[int, ...], kind: Precision) -> Array:
    """How far sums over windows may be off that are differences of sums over all up to a place, or that go on from
    window to window by adding and taking away: an entry enters up to 2**rank of them, each with two roundings a place
    that is passed; `absolute` are the entries' sizes.
    """
    places, rank = math.prod(absolute.shape[axis] for axis in axes), len(axes)
    return np.asarray(growth(2 * places + 4, kind.unit + 2.0**-53) * 2.0**rank * absolute.sum(axes, keepdims=True))


PRODUCTS: dict[str, Callable[[Sums, Precision], Array]] = {
    "sums": _plain,
    "half": _half,
    "tf32": _tf32,
    "winograd": _winograd,
    "fft": _fft,
}
"""What a kernel of sums of products may declare: sums that round, in its own type or in 16 bits; factors of 11 bits;
Winograd; FFT.
"""

ROUNDINGS = (*PRODUCTS, "cumulative")
"""These, and for means and sums over windows that they are differences of cumulative sums."""


def bounded(name: str, sums: Sums, kind: Precision) -> Array:
    """How far results may be off, entry by entry."""
    return PRODUCTS[name](sums, kind)


def rounding(name: object, kind: Precision) -> str | None:
    """A name that there is, or None. Raises `InputError` for another, and for whole numbers, which do not round."""
    if name is None:
        return None
    if not isinstance(name, str) or name not in ROUNDINGS:
        raise InputError(f"rounding={name!r} is not known; there are {', '.join(map(repr, ROUNDINGS))}")
    if not kind.unit:
        raise InputError(f"rounding={name!r} is for floating types, not for {kind.name}")
    return name
