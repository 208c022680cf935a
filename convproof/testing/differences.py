"""The gradient of any polynomial, or of a function that is one piece by piece, against exact differences.

Along a direction v, t -> <g, f(x + t*v)> is a polynomial of the same degree d, so its slope at 0 is a combination of
its values at t = 0, ..., d: no step size, no tolerance. Entries of x are multiples of 2*d + 3 with different sizes, so
that steps of one entry by up to d + 1 change no order and no sign: maxima and kinks are not crossed.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from convproof.errors import InputError
from convproof.testing.arrays import Library, NoArray, library
from convproof.testing.numbers import Array, precision
from convproof.testing.result import Failure, Report

MOST_ENTRIES = 40
"""How many entries of an operand are tried on one case."""


def check_vjp(
    f: Callable[..., Any],
    vjp: Callable[..., Any],
    *examples: Any,
    degree: int = 2,
    shapes: Sequence[tuple[int, ...]] | None = None,
    cases: int = 20,
    seed: int = 0,
    xp: Any = "numpy",
    dtype: Any = "float64",
    device: str | None = None,
) -> Report:
    """vjp(g, *xs) -> the gradients of sum(g * f(*xs)) by each of xs (one array where f has one operand), for an f that
    is a polynomial of at most this `degree` in all entries of xs together, or one in each of several pieces that are
    told apart by order and sign of entries (maxima, absolute values).

    The operands' shapes are those of the `examples` (arrays) or `shapes`; where neither is given, each operand of f has
    three entries. Every entry, up to 40 an operand, is moved by itself. Raises `InputError` for a degree or a number of
    cases below 1.

    >>> check_vjp(lambda x, y: x * y, lambda g, x, y: (g * y, g * x), shapes=[(2, 3), (2, 3)]).ok
    True
    >>> print(check_vjp(lambda x: x**3, lambda g, x: 2 * g * x**2, degree=3).failures[0].detail)
    entry [0]: 1458 instead of 2187
    """
    if type(degree) is not int or degree < 1:
        raise InputError(f"degree={degree!r} must be at least 1")
    if type(cases) is not int or cases < 1:
        raise InputError(f"cases={cases!r} must be at least 1")
    own = library(xp, precision(dtype), device)
    wanted = [np.shape(each) for each in examples] or [tuple(each) for each in shapes or [(3,)] * _operands(f)]
    return _Differences(f, vjp, wanted, degree, own).report(cases, seed)


def _operands(f: Callable[..., Any]) -> int:
    """How many operands a function must be given."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        raise InputError("the operands cannot be told from f; give their shapes=[...]") from None
    needed = [each for each in parameters if each.default is each.empty and each.kind <= each.POSITIONAL_OR_KEYWORD]
    return max(1, len(needed))


class _Differences:
    def __init__(
        self, f: Callable[..., Any], vjp: Callable[..., Any], shapes: list[tuple[int, ...]], degree: int, own: Library
    ) -> None:
        self.f, self.vjp, self.shapes, self.degree, self.library = f, vjp, shapes, degree, own
        self.checks = 0

    def report(self, cases: int, seed: int) -> Report:
        failures: list[Failure] = []
        run = 0
        for case in range(cases):
            failures = list(self._case(seed, case))
            run += 1
            if failures:
                break
        kind = self.library.kind
        return Report(
            getattr(self.vjp, "__qualname__", None) or type(self.vjp).__name__,
            "a vector-Jacobian product",
            self.checks,
            cases * len(self.shapes),
            run,
            tuple(failures),
            None,
            f"whole numbers in {kind.name}, slopes from {self.degree + 1} values each",
            Counter(),
        )

    def _case(self, seed: int, case: int) -> Iterator[Failure]:
        rng = np.random.default_rng((seed, case))
        xs = self._drawn(rng)
        place = f"shapes {self.shapes}, degree {self.degree}, seed ({seed}, {case})"
        try:
            y = self._value(xs)
            g = rng.integers(1, 4, y.shape) * rng.choice([-1, 1], y.shape)
            found = self._gradients(g, xs)
            doubled = self._gradients(3 * g, xs)
        except NoArray as error:
            yield Failure("result", place, str(error), "", "")
            return
        except Exception as error:  # whatever it raises has failed the case
            yield Failure("crash", place, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", "", "")
            return
        for number, (x, gradient, thrice) in enumerate(zip(xs, found, doubled, strict=True)):
            name = f"gradient {number}" if len(xs) > 1 else "gradient"
            self.checks += 1
            if gradient.shape != x.shape:
                yield Failure(name, place, f"shape {gradient.shape} instead of {x.shape}", "", "")
            elif not np.allclose(thrice, 3 * gradient, rtol=64 * self.library.kind.unit, atol=0, equal_nan=True):
                yield Failure(name, place, "three times the cotangent does not give three times the gradient", "", "")
            else:
                yield from self._entries(name, place, rng, xs, number, g, gradient)

    def _entries(
        self, name: str, place: str, rng: np.random.Generator, xs: list[Array], number: int, g: Array, gradient: Array
    ) -> Iterator[Failure]:
        """The first wrong entry of a gradient."""
        entries = list(np.ndindex(*xs[number].shape))
        chosen = sorted(rng.permutation(len(entries))[:MOST_ENTRIES].tolist())
        for index in (entries[each] for each in chosen):
            values, size = self._along(xs, number, index, g)
            self.checks += 1
            if _difference(values) > size * (2 ** (self.degree + 1)):
                told = f"entry {list(index)}: f is no polynomial of degree {self.degree} along it"
                yield Failure("degree", place, told, "a larger degree, or a kink that order and sign do not tell", "")
                return
            slope, spread = _slope(values[:-1]), size * sum(map(abs, _weights(self.degree)))
            if size:
                spread += Fraction(self.library.kind.unit) * abs(slope)
            given = float(gradient[index])
            if not math.isfinite(given) or abs(Fraction(given) - slope) > spread:
                told = f"entry {list(index)}: {_shown(gradient[index])} instead of {_shown(float(slope))}"
                yield Failure(name, place, told, "", "")
                return

    def _along(self, xs: list[Array], number: int, index: tuple[int, ...], g: Array) -> tuple[list[Fraction], Fraction]:
        """<g, f> at t = 0, ..., d + 1 along one entry; and how far rounding may have moved each: 0 if whole."""
        values, size = [], Fraction(0)
        for t in range(self.degree + 2):
            moved = [x.copy() for x in xs]
            moved[number][index] += t
            y = self._value(moved)
            if not (y == np.round(y)).all():
                largest = Fraction(float(np.abs(g * y).sum()))
                size = max(size, 8 * y.size * Fraction(self.library.kind.unit) * largest)
            products = (Fraction(int(a)) * Fraction(float(b)) for a, b in zip(g.flat, y.flat, strict=True))
            values.append(sum(products, Fraction(0)))
        return values, size

    def _drawn(self, rng: np.random.Generator) -> list[Array]:
        """Multiples of 2*d + 3, each of another size."""
        sizes = [math.prod(shape) for shape in self.shapes]
        steps = 2 * self.degree + 3
        numbers = steps * (1 + rng.permutation(sum(sizes))) * rng.choice([-1, 1], sum(sizes))
        parts = np.split(numbers, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def _value(self, xs: list[Array]) -> Array:
        return self.library.read(self.f(*(self.library.give(x, "").array for x in xs))).astype(float)

    def _gradients(self, g: Array, xs: list[Array]) -> list[Array]:
        found = self.vjp(self.library.give(g, "").array, *(self.library.give(x, "").array for x in xs))
        listed = list(found) if isinstance(found, (tuple, list)) else [found]
        if len(listed) != len(xs):
            raise NoArray(f"the VJP returned {len(listed)} arrays for {len(xs)} operands")
        return [self.library.read(each).astype(float) for each in listed]


def _weights(degree: int) -> list[Fraction]:
    """The slope at 0 of a polynomial of that degree is the sum of these times its values at 0, ..., degree: the
    derivatives at 0 of Lagrange's polynomials.
    """
    found = []
    for t in range(degree + 1):
        others = [s for s in range(degree + 1) if s != t]
        scale = math.prod(t - s for s in others)
        slope = sum(math.prod(-s for s in others if s != left) for left in others)
        found.append(Fraction(slope, scale))
    return found


def _slope(values: list[Fraction]) -> Fraction:
    weighted = (w * v for w, v in zip(_weights(len(values) - 1), values, strict=True))
    return sum(weighted, Fraction(0))


def _difference(values: list[Fraction]) -> Fraction:
    """The size of the highest difference, which is 0 for a polynomial of a lower degree."""
    order = len(values) - 1
    signed = ((-1) ** (t % 2) * math.comb(order, t) * v for t, v in enumerate(values))
    found: Fraction = sum(signed, Fraction(0))
    return abs(found)


def _shown(value: float) -> str:
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))
