"""Pooling, columns, unshared filters and weights of another shape: exactly, by loops over the definition.

Every gradient comes from another route as well: by loops too, or entry by entry from the linear map it belongs to.
"""

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from exactly import dot, draw, exact, linear_in, same

from convproof import autograd as ag
from convproof.errors import ShapeError

# --- windows, by moving them ------------------------------------------------------------------------------------------


def places(size, kernel, stride, pads, dilation=1, ceil_mode=False):
    """The positions that each window reads along one axis.

    With `ceil_mode` one more window may stick out at the end, if it starts before the padding there and the one before
    it does not reach the end.
    """
    found, start, reach, end = [], -pads[0], dilation * (kernel - 1), size + pads[1]
    while start + reach < end or (ceil_mode and start < size and start - stride + reach < end - 1):
        found.append([start + dilation * tap for tap in range(kernel)])
        if start + reach >= end:
            break
        start += stride
    return found


def windows(axes):
    """For every window, by its place, the positions that it reads, in order."""
    for output in product(*(range(len(axis)) for axis in axes)):
        yield output, list(product(*(axis[o] for axis, o in zip(axes, output, strict=True))))


def inside(positions, sizes):
    return [i for i in positions if all(0 <= p < n for p, n in zip(i, sizes, strict=True))]


def pads_of(rng, axis, kernel):
    """Padding of up to one less than the kernel, each side its own."""
    return tuple((rng.randrange(k), rng.randrange(k)) for k in kernel)


def test_moving_windows_by_hand():
    assert places(5, 3, 2, (1, 1)) == [[-1, 0, 1], [1, 2, 3], [3, 4, 5]]
    assert places(5, 2, 2, (0, 0), ceil_mode=True) == [[0, 1], [2, 3], [4, 5]]
    assert places(4, 2, 2, (0, 0), ceil_mode=True) == [[0, 1], [2, 3]]
    assert places(2, 2, 3, (1, 1), ceil_mode=True) == [[-1, 0]]  # the next would start in the end padding
    assert places(7, 3, 1, (0, 0), dilation=3) == [[0, 3, 6]]


# --- pooling ----------------------------------------------------------------------------------------------------------


def largest(x, axes, dialect):
    """The largest element of every window, and its flat index; None for a refused window of padding."""
    ends = {"first": 0, "last": -1}
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    shape, sizes = (*x.shape[:2], *map(len, axes)), x.shape[2:]
    best, switches = np.zeros(shape, x.dtype), np.zeros(shape, np.int64)
    for n, c in np.ndindex(x.shape[:2]):
        for o, positions in windows(axes):
            read = [(x[(n, c, *i)], int(np.ravel_multi_index(i, sizes))) for i in inside(positions, sizes)]
            if not read and dialect.empty == "refused":
                return None
            numbers, broken = ([r for r in read if (r[0] == r[0]) == real] for real in (True, False))
            top = [r for r in numbers if r[0] == max(numbers)[0]]
            if broken and dialect.nan != "loses":
                found = broken[ends[dialect.nan]]
            else:
                found = (top or broken or [(lowest, -1)])[ends[dialect.ties]]
            best[(n, c, *o)], switches[(n, c, *o)] = found
    return best, switches


def check_maxima(pool, x, axes, integers, dialect=ag.STRICT):
    """Values, switches, the gradient and the gradient's."""
    expected = largest(x, axes, dialect)
    if expected is None:
        with pytest.raises(ShapeError, match="wholly in padding"):
            pool(x)
        return False
    X = ag.tensor(x)
    y, switches = pool(X, return_switches=True)
    assert np.array_equal(y.numpy(), expected[0], equal_nan=x.dtype.kind == "f")
    assert y.dtype == x.dtype
    same(switches, expected[1])
    g = ag.tensor(integers(*y.shape).astype(x.dtype))
    (gx,) = ag.grad(y, [X], g)
    summed, gathered, h = np.zeros_like(x), np.zeros(y.shape, x.dtype), integers(*x.shape).astype(x.dtype)
    for n, c, *o in np.ndindex(y.shape):
        if switches[(n, c, *o)] == -1:
            continue
        place = (n, c, *np.unravel_index(switches[(n, c, *o)], x.shape[2:]))
        summed[place] += g.numpy()[(n, c, *o)]
        gathered[(n, c, *o)] = h[place]
    same(gx, summed)
    same(ag.grad(gx, [g], h)[0], gathered)
    return True


@pytest.mark.parametrize("block", range(12))
def test_max_pool(block):
    """50 cases a block, numbers from -2 to 2, so that most windows hold ties; in one of three a tenth is NaN; in one of
    two in another dialect.
    """
    compared = 0
    for seed in range(50 * block, 50 * block + 50):
        rng, rank, axis, integers = draw(seed)
        kernel, stride, dilation, sizes = axis(1, 3), axis(1, 4), axis(1, 3), axis(1, 6 if rank < 3 else 4)
        padding, ceil = pads_of(rng, axis, kernel), rng.random() < 0.5
        axes = [places(*each, ceil) for each in zip(sizes, kernel, stride, padding, dilation, strict=True)]
        x = integers(rng.randint(1, 2), rng.randint(1, 2), *sizes, far=2)
        if seed % 3 == 0:
            x = np.where(integers(*x.shape, far=4) == 4, np.nan, x)
        if not all(axes):
            with pytest.raises(ShapeError, match="a window spans"):
                ag.max_pool(x, kernel, stride, padding, dilation, ceil)
            continue
        dialect = ag.STRICT
        if rng.random() < 0.5:
            ties, nan = rng.choice(["first", "last"]), rng.choice(["first", "last", "loses"])
            dialect = ag.Dialect("drawn", ties, nan, rng.choice(["refused", "lowest"]))
        pool = lambda x, **more: ag.max_pool(x, kernel, stride, padding, dilation, ceil, dialect=dialect, **more)  # noqa: B023, E731
        compared += check_maxima(pool, x, axes, integers, dialect)
    assert compared >= 25


def means(x, axes, divisors):
    """The exact mean of every window, over its divisor."""
    y = np.zeros((*x.shape[:2], *map(len, axes)), object)
    for n, c in np.ndindex(x.shape[:2]):
        for o, positions in windows(axes):
            total = sum((Fraction(int(x[(n, c, *i)])) for i in inside(positions, x.shape[2:])), Fraction(0))
            y[(n, c, *o)] = total / divisors[o]
    return y


@pytest.mark.parametrize("block", range(10))
def test_avg_pool(block):
    """30 cases a block, in fractions: padding each side its own, counted or not; never what sticks out beyond it."""
    compared = 0
    for seed in range(30 * block, 30 * block + 30):
        rng, rank, axis, integers = draw(seed)
        kernel, stride, sizes, dilation = axis(1, 3), axis(1, 4), axis(1, 6 if rank < 3 else 4), axis(1, 2)
        padding, ceil, counted = pads_of(rng, axis, kernel), rng.random() < 0.5, rng.random() < 0.5
        axes = [places(*each, ceil) for each in zip(sizes, kernel, stride, padding, dilation, strict=True)]
        x = integers(rng.randint(1, 2), rng.randint(1, 2), *sizes)
        if not all(axes):
            with pytest.raises(ShapeError, match="a window spans"):
                ag.avg_pool(x, kernel, stride, padding, ceil, counted, dilation)
            continue
        bounds = [(-a, n + b) if counted else (0, n) for n, (a, b) in zip(sizes, padding, strict=True)]
        divisors = {
            o: sum(all(low <= p < end for p, (low, end) in zip(i, bounds, strict=True)) for i in positions)
            for o, positions in windows(axes)
        }
        if 0 in divisors.values():
            with pytest.raises(ShapeError, match="wholly in padding"):
                ag.avg_pool(x, kernel, stride, padding, ceil, counted, dilation)
            continue
        pool = lambda x: ag.avg_pool(x, kernel, stride, padding, ceil, counted, dilation)  # noqa: B023, E731
        same(pool(exact(x)), means(x, axes, divisors))
        linear_in(pool, exact(x), integers)
        compared += 1
    assert compared >= 15


@pytest.mark.parametrize("block", range(5))
def test_lp_pool(block):
    """40 cases a block, with negative numbers and zeros: p = 1 and its gradient, the signs, in fractions; others as the
    same root of the same whole sum, and a gradient of x*|x|**(p - 2) / lp**(p - 1), of which powers are taken in another
    order: within 16 units in the last place of each term.
    """
    for seed in range(40 * block, 40 * block + 40):
        rng, _, axis, integers = draw(seed)
        kernel, stride, dilation, p, ceil = (
            axis(1, 3),
            axis(1, 4),
            axis(1, 2),
            rng.choice([1, 2, 3, 4]),
            rng.random() < 0.5,
        )
        sizes = tuple(d * (k - 1) + 1 + rng.randint(0, 3) for k, d in zip(kernel, dilation, strict=True))
        axes = [places(n, k, s, (0, 0), d, ceil) for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
        x = integers(1, 2, *sizes, far=3)
        ones = dict.fromkeys(product(*(range(len(axis)) for axis in axes)), 1)
        powers = means(np.abs(x) ** p, axes, ones)
        X = ag.tensor(exact(x) if p == 1 else x)
        y = ag.lp_pool(X, p, kernel, stride, ceil, dilation)
        same(y, powers if p == 1 else powers.astype(np.float64) ** (1 / p))
        g = integers(*y.shape)
        (gx,) = ag.grad(y, [X], exact(g) if p == 1 else g)
        expected, terms = np.zeros(x.shape), np.zeros(x.shape)
        for n, c in np.ndindex(x.shape[:2]):
            for o, positions in windows(axes):
                for i in inside(positions, sizes):
                    if x[(n, c, *i)]:
                        norm = float(powers[(n, c, *o)]) ** (1 / p)
                        term = g[(n, c, *o)] * np.sign(x[(n, c, *i)]) * (abs(x[(n, c, *i)]) / norm) ** (p - 1)
                        expected[(n, c, *i)] += term
                        terms[(n, c, *i)] += abs(term)
        if p == 1:
            same(gx, expected)
        assert (np.abs(gx.numpy() - expected) <= 16 * np.finfo(float).eps * terms).all()


@pytest.mark.parametrize("block", range(8))
def test_adaptive_pools(block):
    """25 cases a block of each: windows from floor(i*n/o) to ceil((i + 1)*n/o), also more of them than positions."""
    for seed in range(25 * block, 25 * block + 25):
        rng, rank, axis, integers = draw(seed)
        sizes, outputs = axis(1, 7 if rank < 3 else 4), axis(1, 6 if rank < 3 else 4)
        axes = [
            [list(range(math.floor(Fraction(i * n, o)), math.ceil(Fraction((i + 1) * n, o)))) for i in range(o)]
            for n, o in zip(sizes, outputs, strict=True)
        ]
        x = integers(rng.randint(1, 2), rng.randint(1, 2), *sizes, far=3)
        pool = lambda x, **more: ag.adaptive_max_pool(x, outputs, **more)  # noqa: B023, E731
        assert check_maxima(pool, x, axes, integers)
        counts = {o: len(positions) for o, positions in windows(axes)}
        average = lambda x: ag.adaptive_avg_pool(x, outputs)  # noqa: B023, E731
        same(average(exact(x)), means(x, axes, counts))
        linear_in(average, exact(x), integers)


def test_one_output_size_is_for_all_axes():
    x = draw(0)[3](1, 2, 5, 7)
    same(ag.adaptive_max_pool(x, 3), ag.adaptive_max_pool(x, (3, 3)))


@pytest.mark.parametrize("seed", range(40))
def test_global_pools(seed):
    _, rank, axis, integers = draw(seed)
    x = integers(2, 3, *axis(1, 5))
    axes = tuple(range(2, 2 + rank))
    same(ag.global_max_pool(x), x.max(axes, keepdims=True))
    same(ag.global_avg_pool(exact(x)), exact(x.sum(axes, keepdims=True)) / math.prod(x.shape[2:]))
    same(ag.global_avg_pool(x), x.mean(axes, keepdims=True))
    linear_in(ag.global_avg_pool, exact(x), integers)


@pytest.mark.parametrize("block", range(10))
def test_max_unpool(block):
    """30 cases a block; windows may name one place twice, and then the last one's element stands there."""
    shared = 0
    for seed in range(30 * block, 30 * block + 30):
        rng, _, axis, integers = draw(seed)
        sizes, outputs = axis(1, 4), axis(1, 3)
        y = integers(rng.randint(1, 2), rng.randint(1, 2), *outputs)
        plane = math.prod(sizes)
        switches = np.abs(integers(*y.shape, far=10**6)) % plane
        expected = np.zeros((*y.shape[:2], *sizes), np.int64)
        for n, c, *o in np.ndindex(y.shape):
            expected[(n, c, *np.unravel_index(switches[(n, c, *o)], sizes))] = y[(n, c, *o)]
        same(ag.max_unpool(y, switches, sizes), expected)
        linear_in(lambda y: ag.max_unpool(y, switches, sizes), y, integers)  # noqa: B023
        shared += any(len(set(row)) < len(row) for row in switches.reshape(-1, math.prod(outputs)).tolist())
    assert 5 <= shared <= 28


@pytest.mark.parametrize("seed", range(40))
def test_unpooling_undoes_pooling(seed):
    """Pooled again it is the same, and where windows do not overlap its gradient picks what pooling picked."""
    _, _, axis, integers = draw(seed)
    kernel = axis(1, 3)
    x = np.abs(integers(2, 2, *(2 * k + 1 for k in kernel))) + 1
    y, switches = ag.max_pool(x, kernel, return_switches=True)
    up = ag.max_unpool(y, switches, x.shape[2:])
    same(ag.max_pool(up, kernel), y)
    h = integers(*x.shape)
    picked = ag.grad(up, [y], h)[0]
    flat = np.take_along_axis(h.reshape(2, 2, -1), switches.reshape(2, 2, -1), 2).reshape(y.shape)
    same(picked, flat)


# --- columns ----------------------------------------------------------------------------------------------------------


def conv_case(seed):
    """Sizes, kernel, stride, padding (some of it negative) and dilation that leave a window or more."""
    rng, rank, axis, integers = draw(seed)
    kernel, stride, dilation = axis(1, 3), axis(1, 3), axis(1, 3)
    padding = tuple((rng.randint(-1, 2), rng.randint(-1, 2)) for _ in kernel)
    sizes = tuple(
        max(1, -a, -b, d * (k - 1) + 1 - a - b) + rng.randint(0, 3 if rank < 3 else 1)
        for k, d, (a, b) in zip(kernel, dilation, padding, strict=True)
    )
    axes = [places(*each) for each in zip(sizes, kernel, stride, padding, dilation, strict=True)]
    assert all(axes)
    return rng, integers, sizes, axes, {"stride": stride, "padding": padding, "dilation": dilation}, kernel


@pytest.mark.parametrize("block", range(10))
def test_columns(block):
    """30 cases a block: a column for every window, channels and then taps down it; col2im is the adjoint."""
    for seed in range(30 * block, 30 * block + 30):
        rng, integers, sizes, axes, options, kernel = conv_case(seed)
        x = integers(rng.randint(1, 2), rng.randint(1, 3), *sizes)
        cropped = [(max(0, -a), n - max(0, -b)) for n, (a, b) in zip(sizes, options["padding"], strict=True)]
        read = lambda n, c, i: (  # noqa: E731
            x[(n, c, *i)] if all(low <= p < end for p, (low, end) in zip(i, cropped, strict=True)) else 0  # noqa: B023
        )
        expected = np.stack(
            [
                [[read(n, c, i) for c in range(x.shape[1]) for i in positions] for _, positions in windows(axes)]
                for n in range(x.shape[0])
            ]
        ).swapaxes(1, 2)
        columns = lambda x: ag.im2col(x, kernel, **options)  # noqa: B023, E731
        back = lambda cols: ag.col2im(cols, sizes, kernel, **options)  # noqa: B023, E731
        same(columns(x), expected)
        linear_in(columns, x, integers)
        cols = integers(*expected.shape)
        (gathered,) = ag.grad(columns(X := ag.tensor(x)), [X], cols)
        same(back(cols), gathered)
        linear_in(back, cols, integers)


@pytest.mark.parametrize("seed", range(60))
def test_convolution_is_a_product_with_columns(seed):
    _, integers, sizes, axes, options, kernel = conv_case(seed)
    x, w = integers(2, 2, *sizes), integers(3, 2, *kernel)
    y = np.matmul(ag.conv_to_linear(w).numpy(), ag.im2col(x, kernel, **options).numpy())
    same(y.reshape(2, 3, *map(len, axes)), ag.conv(x, w, algorithm="direct", **options))


@pytest.mark.parametrize("block", range(10))
def test_locally_connected(block):
    """20 cases a block: every output is the product of its window with filters of its own."""
    for seed in range(20 * block, 20 * block + 20):
        rng, integers, sizes, axes, options, kernel = conv_case(seed)
        output, filters, channels = tuple(map(len, axes)), rng.randint(1, 3), rng.randint(1, 2)
        x, w = integers(rng.randint(1, 2), channels, *sizes), integers(*output, filters, channels, *kernel)
        b = [None, integers(filters), integers(filters, *output)][seed % 3]
        inner = np.pad(x, ((0, 0), (0, 0), *((max(0, a), max(0, b)) for a, b in options["padding"])))
        expected = np.zeros((x.shape[0], filters, *output), np.int64)
        for n, f in np.ndindex(x.shape[0], filters):
            for o, positions in windows(axes):
                shifted = [
                    tuple(p + max(0, a) for p, (a, _) in zip(i, options["padding"], strict=True)) for i in positions
                ]
                taps = np.stack([inner[(n, slice(None), *i)] for i in shifted], axis=-1)
                shift = 0 if b is None else b[f] if b.ndim == 1 else b[(f, *o)]
                expected[(n, f, *o)] = (taps.ravel() * w[(*o, f)].ravel()).sum() + shift
        X, W, *B = map(ag.tensor, (x, w) if b is None else (x, w, b))
        y = ag.locally_connected(X, W, *B or [None], **options)
        same(y, expected)
        linear_in(lambda x: ag.locally_connected(x, w, **options), x, integers)  # noqa: B023
        linear_in(lambda w: ag.locally_connected(x, w, **options), w, integers)  # noqa: B023
        g = integers(*y.shape)
        if B:
            spatial = tuple(range(2, g.ndim))
            same(ag.grad(y, B, g)[0], g.sum((0, *spatial)) if b.ndim == 1 else g.sum(0))
        # Both first derivatives, differentiated: the form is bilinear, so the mixed second one is the form itself.
        (gx,) = ag.grad(y, [X], g)
        h = integers(*x.shape)
        (mixed,) = ag.grad(gx, [W], h)
        assert dot(mixed.numpy(), w) == dot(g, ag.locally_connected(h, w, **options).numpy())


@pytest.mark.parametrize("seed", range(40))
def test_equal_filters_everywhere_are_a_convolution(seed):
    _, integers, sizes, axes, options, kernel = conv_case(seed)
    x, w, b = integers(2, 2, *sizes), integers(3, 2, *kernel), integers(3)
    everywhere = ag.tensor(np.broadcast_to(w, (*map(len, axes), *w.shape)))
    y = ag.locally_connected(x, everywhere, b, **options)
    same(y, ag.conv(x, w, b, **options))
    W, g = ag.tensor(w), integers(*y.shape)
    summed = ag.grad(y, [everywhere], g)[0].numpy().sum(tuple(range(len(axes))))
    same(ag.grad(ag.conv(x, W, **options), [W], g)[0], summed)


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_crop_undoes_pad(seed):
    rng, _, axis, integers = draw(seed)
    pads = [(rng.randint(0, 3), rng.randint(0, 3)) for _ in axis(0, 0)]
    sizes = axis(1, 4)
    x = integers(2, 2, *sizes)
    same(ag.crop(ag.pad(x, pads), pads), x)
    wide = integers(2, 2, *(n + a + b for n, (a, b) in zip(sizes, pads, strict=True)))
    inner = tuple(slice(a, a + n) for n, (a, _) in zip(sizes, pads, strict=True))
    same(ag.crop(wide, pads), wide[(..., *inner)])
    linear_in(lambda x: ag.crop(x, pads), wide, integers)


@pytest.mark.parametrize("seed", range(60))
def test_a_fully_connected_layer_as_a_convolution(seed):
    rng, _, axis, integers = draw(seed)
    channels, units, sizes = rng.randint(1, 3), rng.randint(1, 4), axis(1, 3)
    x, w = integers(2, channels, *sizes), integers(units, channels * math.prod(sizes))
    filters = ag.linear_to_conv(w, channels, sizes)
    assert filters.shape == (units, channels, *sizes)
    same(ag.flatten(ag.conv(x, filters)), ag.linear(ag.flatten(x), w))
    same(ag.conv_to_linear(filters), w)
    linear_in(lambda w: ag.linear_to_conv(w, channels, sizes), w, integers)
    linear_in(ag.conv_to_linear, filters.numpy(), integers)
