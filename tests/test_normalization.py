"""Means, dropout and normalization: exactly, with derivatives from Taylor series in fractions (`Jet`)."""

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from exactly import dot, draw, exact, linear_in, same, unrounded_batch

from convproof import autograd as ag

# --- means and dropout ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("keepdims", [False, True])
def test_mean(seed, keepdims):
    rng, rank, axis, integers = draw(seed)
    x = integers(*axis(1, 4))
    for over in (None, rng.randrange(rank), -1, tuple(rng.sample(range(rank), rng.randint(0, rank)))):
        total = exact(x).sum(axis=over, keepdims=keepdims)
        expected = total * Fraction(np.asarray(total).size, x.size)
        same(ag.mean(exact(x), over, keepdims), expected)
        same(ag.mean(x, over, keepdims), np.asarray(expected).astype(np.float64))
        linear_in(lambda x: ag.mean(x, over, keepdims), exact(x), integers)  # noqa: B023


@pytest.mark.parametrize("seed", range(60))
def test_dropout(seed):
    rng, rank, axis, integers = draw(seed)
    x, p = integers(2, 3, *axis(1, 4)), Fraction(rng.randint(0, 9), 10)
    mask = integers(2, 3, *([1] * rank if seed % 2 else x.shape[2:])) % 2
    same(ag.dropout(exact(x), mask, p), exact(x) * mask / (1 - p))
    linear_in(lambda x: ag.dropout(x, mask, p), exact(x), integers)
    same(ag.dropout(x, mask == 1, 0.75), 4 * x * mask)
    assert ag.dropout(x, ag.tensor(mask)).dtype == np.float64
    same(ag.dropout(x, np.ones_like(x), 1), 0 * x)


# --- normalization ----------------------------------------------------------------------------------------------------


class Jet:
    """An array-valued polynomial a + b*t + c*t**2, higher powers of t left out, with fractions for numbers."""

    def __init__(self, *terms):
        self.terms = [exact(np.broadcast_to(term, np.shape(terms[0]))) for term in (*terms, 0, 0)][:3]

    def __add__(self, other):
        return Jet(*(a + b for a, b in zip(self.terms, as_jet(other).terms, strict=True)))

    def __mul__(self, other):
        a, b = self.terms, as_jet(other).terms
        return Jet(a[0] * b[0], a[0] * b[1] + a[1] * b[0], a[0] * b[2] + a[1] * b[1] + a[2] * b[0])

    def __pow__(self, exponent):
        """For a square or a whole exponent: the binomial series about the constant term."""
        e, first = Fraction(exponent), self.terms[0]
        base = np.vectorize(lambda a: a ** int(e) if e.denominator == 1 else root(a) ** int(2 * e), otypes=[object])
        b, c = self.terms[1] / first, self.terms[2] / first
        return Jet(base(first)) * Jet(exact(np.ones(first.shape)), e * b, e * c + e * (e - 1) / 2 * b * b)

    def each(self, function):
        """The polynomial whose terms a linear `function` makes of these."""
        return Jet(*map(function, self.terms))


def as_jet(value):
    return value if isinstance(value, Jet) else Jet(value)


def root(square):
    """The exact square root of a fraction that has one."""
    found = Fraction(math.isqrt(square.numerator), math.isqrt(square.denominator))
    assert found**2 == square
    return found


def series(function, arrays, directions, g):
    """<g, function(arrays + t*directions)> up to t**2."""
    moved = function(*(Jet(a, h) for a, h in zip(arrays, directions, strict=True)))
    return [(exact(g) * term).sum() for term in moved.terms]


def check_series(op, function, arrays, integers, dtype):
    """Value, first and second derivative along a random direction are the terms of the series, exactly."""
    tensors = [ag.tensor(np.asarray(a).astype(dtype)) for a in arrays]
    y = op(*tensors)
    assert y.dtype == dtype
    g, directions = integers(*y.shape), [integers(*np.shape(a)) for a in arrays]
    value, slope, curve = series(function, arrays, directions, g)
    assert dot(g, y.numpy()) == value
    first = ag.grad(y, tensors, g.astype(dtype))
    assert sum(dot(gradient.numpy(), h) for gradient, h in zip(first, directions, strict=True)) == slope
    along = ag.tensor(np.zeros((), dtype))
    for gradient, h in zip(first, directions, strict=True):
        along = ag.add(along, ag.sum(ag.multiply(gradient, h.astype(dtype))))
    second = ag.grad(along, tensors)
    assert sum(dot(gradient.numpy(), h) for gradient, h in zip(second, directions, strict=True)) == 2 * curve


def columns_of(c, rank):
    return lambda value: value.reshape(c, *[1] * rank)


def test_jets_by_hand():
    cubed = Jet(2, 1) ** 3
    assert [int(t) for t in cubed.terms] == [8, 12, 6]
    rooted = Jet(4, 1) ** Fraction(-1, 2)  # (4 + t)**-0.5 = 1/2 - t/16 + 3*t**2/256
    assert [Fraction(t.item()) for t in rooted.terms] == [Fraction(1, 2), Fraction(-1, 16), Fraction(3, 256)]


@pytest.mark.parametrize("block", range(10))
def test_batch_norm_by_its_series(block):
    """20 cases a block."""
    for seed in range(20 * block, 20 * block + 20):
        x, eps, integers = unrounded_batch(seed)
        channels, axes = x.shape[1], (0, *range(2, x.ndim))
        per_channel = columns_of(channels, x.ndim - 2)
        average = lambda jet: jet.each(lambda t: t.sum(axes, keepdims=True) * Fraction(channels, t.size))  # noqa: B023, E731

        def expected(x, gamma, beta):
            centred = x + average(x) * -1  # noqa: B023
            spread = average(centred * centred) + eps  # noqa: B023
            return gamma.each(per_channel) * centred * spread ** Fraction(-1, 2) + beta.each(per_channel)  # noqa: B023

        operation = lambda x, gamma, beta: ag.batch_norm(x, gamma, beta, eps)  # noqa: B023, E731
        check_series(operation, expected, [x, integers(channels), integers(channels)], integers, np.float64)


@pytest.mark.parametrize("block", range(10))
def test_batch_norm_with_given_statistics_by_its_series(block):
    """20 cases a block; mean and variance are operands like the others, with gradients of their own."""
    for seed in range(20 * block, 20 * block + 20):
        rng, _, axis, integers = draw(seed)
        channels, eps = rng.randint(1, 3), rng.choice([0, 1, 2, 3])
        x, mean = integers(rng.randint(1, 2), channels, *axis(1, 3)[: seed % 4]), integers(channels)
        variance = np.array([4 ** rng.randint(1, 3) - eps for _ in range(channels)])
        per_channel = columns_of(channels, x.ndim - 2)

        def expected(x, gamma, beta, mean, variance):
            scale = (variance.each(per_channel) + eps) ** Fraction(-1, 2)  # noqa: B023
            return gamma.each(per_channel) * (x + mean.each(per_channel) * -1) * scale + beta.each(per_channel)  # noqa: B023

        def operation(x, gamma, beta, mean, variance):
            return ag.batch_norm(x, gamma, beta, eps, mean, variance)  # noqa: B023

        check_series(
            operation, expected, [x, integers(channels), integers(channels), mean, variance], integers, np.float64
        )


@pytest.mark.parametrize("block", range(10))
def test_local_response_norm_by_its_series(block):
    """20 cases a block, in fractions: whole exponents, windows of even and odd size, also wider than the channels."""
    for seed in range(20 * block, 20 * block + 20):
        rng, _, axis, integers = draw(seed)
        channels, size, beta = rng.randint(1, 5), rng.randint(1, 6), rng.choice([-1, 0, 1, 2, 3])
        alpha, k = Fraction(rng.randint(1, 9), 7), Fraction(rng.randint(1, 9), 5)
        x = integers(rng.randint(1, 2), channels, *axis(1, 2)[: seed % 4])
        near = np.array(
            [[c - size // 2 <= j < c - size // 2 + size for j in range(channels)] for c in range(channels)]
        ).astype(int)

        def expected(x):
            total = (x * x).each(lambda t: np.moveaxis(np.tensordot(exact(near), t, (1, 1)), 0, 1))  # noqa: B023
            return x * (total * (alpha / size) + k) ** -beta  # noqa: B023

        operation = lambda x: ag.local_response_norm(x, size, alpha, beta, k)  # noqa: B023, E731
        check_series(operation, expected, [exact(x)], integers, np.dtype(object))


def test_the_response_norm_of_alexnet():
    """As the paper writes it: alpha undivided, n = 5 neighbours, those within n/2 of the channel."""
    x = draw(0)[3](1, 7, 2, 2).astype(float)
    alpha, n = 1e-4, 5
    expected = np.empty_like(x)
    for i in range(7):
        squares = sum(x[:, j] ** 2 for j in range(max(0, i - n // 2), min(6, i + n // 2) + 1))
        expected[:, i] = x[:, i] / (2 + alpha * squares) ** 0.75
    found = ag.local_response_norm(x, n, n * alpha, 0.75, 2).numpy()
    assert np.allclose(
        found, expected, rtol=4e-16, atol=0
    )  # sums of other order and a power: two units in the last place


def test_batch_norm_takes_symbols():
    a, b, gamma, beta = sympy.symbols("a b gamma beta", positive=True)
    y = ag.batch_norm(np.array([[a], [b]]), np.array([gamma]), np.array([beta]), 0).numpy()
    assert float(y[0, 0].subs({a: 5, b: 1, gamma: 3, beta: 10})) == 13


def test_a_single_value_is_normalized_to_beta():
    same(ag.batch_norm([[7.0, -3.0]], [2.0, 2.0], [5.0, 6.0]), [[5.0, 6.0]])
