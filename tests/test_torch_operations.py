"""Pooling, columns, normalization and weights against torch: exactly, on integers in float64, where nothing rounds.

Means are exact because the numbers are multiples of every divisor. What takes roots of arbitrary numbers is compared in
float64 with a bound that is stated there.
"""

import math

import numpy as np
import pytest
from exactly import draw, unrounded_batch

from convproof import autograd as ag
from convproof import execute
from convproof.architecture import layers

torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[peers]'` brings it")
torch.set_num_threads(1)  # the arrays are small: threads would only wait for one another
F = torch.nn.functional
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LP = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
UNPOOL = {1: F.max_unpool1d, 2: F.max_unpool2d, 3: F.max_unpool3d}
ADAPTIVE_MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
ADAPTIVE_AVG = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}


def equal(ours, theirs):
    assert np.array_equal(ours, theirs, equal_nan=True)


def within(bound):
    """Close to a share of the largest entry: what sums cancel, they cancel from terms of that size."""

    def near(ours, theirs):
        assert np.abs(ours - theirs).max(initial=0) <= bound * max(1, np.abs(theirs).max(initial=0))

    return near


def compare(op, their_op, arrays, integers, agree=equal, second=True, step=1):
    """Values, gradients to all arrays and, from a random combination of those, second derivatives to all arrays and the
    cotangent.
    """
    ours = [ag.tensor(np.asarray(a, np.float64)) for a in arrays]
    theirs = [torch.tensor(np.asarray(a, np.float64), requires_grad=True) for a in arrays]
    y, ty = op(*ours), their_op(*theirs)
    assert y.shape == tuple(ty.shape)
    agree(y.numpy(), ty.detach().numpy())
    weights = np.asarray(step * integers(*y.shape), np.float64)
    g, tg = ag.tensor(weights), torch.tensor(weights, requires_grad=True)
    first = ag.grad(y, ours, g)
    their_first = torch.autograd.grad(ty, theirs, tg, create_graph=second)
    for our, their in zip(first, their_first, strict=True):
        agree(our.numpy(), their.detach().numpy())
    if not second:
        return
    along, their_along = ag.tensor(0.0), torch.zeros((), dtype=torch.float64)
    for our, their in zip(first, their_first, strict=True):
        h = np.asarray(step * integers(*our.shape), np.float64)
        along = ag.add(along, ag.sum(ag.multiply(our, h)))
        their_along = their_along + (their * torch.tensor(h)).sum()
    their_second = torch.autograd.grad(their_along, [*theirs, tg], allow_unused=True, materialize_grads=True)
    for our, their in zip(ag.grad(along, [*ours, g]), their_second, strict=True):
        agree(our.numpy(), their.numpy())


def flat(pads):
    """Pairs per axis as torch writes them: the last axis first."""
    return [p for pair in reversed(pads) for p in pair]


# --- pooling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(15))
def test_max_pool(block):
    """40 cases a block, in torch's dialect: many ties, some NaN, some windows wholly in padding; padding each side its own
    (torch gets it as minus infinity) or ceil mode.
    """
    compared = 0
    for seed in range(40 * block, 40 * block + 40):
        rng, rank, axis, integers = draw(seed)
        kernel, stride, dilation, sizes = axis(1, 4), axis(1, 4), axis(1, 2), axis(1, 8 if rank < 3 else 5)
        ceil = rng.random() < 0.5
        pads = [(a, a if ceil else rng.randint(0, k // 2)) for k in kernel for a in [rng.randint(0, k // 2)]]
        x = integers(rng.randint(1, 2), rng.randint(1, 3), *sizes, far=2).astype(np.float64)
        if seed % 4 == 0:
            x[integers(*x.shape, far=4) == 4] = np.nan
        tx = torch.tensor(x, requires_grad=True)
        try:
            if ceil:
                ty, places = MAX[rank](tx, kernel, stride, [a for a, _ in pads], dilation, True, True)
            else:
                wide = F.pad(tx, flat(pads), value=-math.inf)
                ty, places = MAX[rank](wide, kernel, stride, 0, dilation, False, True)
        except RuntimeError:  # torch: output size is too small
            with pytest.raises(ValueError, match="max_pool: on spatial axis"):
                ag.max_pool(x, kernel, stride, pads, dilation, ceil)
            continue
        empty = bool(torch.isinf(ty).any())
        if empty:
            with pytest.raises(ValueError, match="wholly in padding"):
                ag.max_pool(x, kernel, stride, pads, dilation, ceil)
        X = ag.tensor(x)
        y, switches = ag.max_pool(X, kernel, stride, pads, dilation, ceil, return_switches=True, dialect=ag.TORCH)
        equal(y.numpy(), ty.detach().numpy())
        compared += 1
        index = np.stack(np.unravel_index(np.maximum(switches, 0), sizes))
        if not ceil:
            index = index + np.reshape([a for a, _ in pads], (rank, *(1 for _ in y.shape)))
        padded = sizes if ceil else tuple(n + a + b for n, (a, b) in zip(sizes, pads, strict=True))
        real = switches >= 0
        assert np.array_equal(real, ~np.isinf(y.numpy()))
        equal(np.ravel_multi_index(tuple(index), padded)[real], places.numpy()[real])
        g = integers(*y.shape) * real.astype(np.float64)  # of a window of nothing, torch names some place
        equal(ag.grad(y, [X], g)[0].numpy(), torch.autograd.grad(ty, tx, torch.tensor(g))[0].numpy())
    assert compared >= 15


@pytest.mark.parametrize("seed", range(60))
def test_what_is_fitted_to_a_size(seed):
    """Resized to the nearest position, and padded or cropped as people write it for U-Nets."""
    _rng, rank, axis, integers = draw(seed)
    sizes, wanted = axis(1, 12 if rank < 3 else 5), axis(1, 12 if rank < 3 else 5)
    like = ag.tensor(np.zeros((2, 1, *wanted)))

    def padded(x):
        missing = [m - n for n, m in zip(sizes, wanted, strict=True)]
        return F.pad(x, flat([(n // 2, n - n // 2) for n in missing]))

    x = integers(2, 2, *sizes)
    for layer, theirs in ((layers.Resize(), lambda x: F.interpolate(x, wanted)), (layers.PadTo(), padded)):
        compare(lambda x: execute.execute(layer, None, x, like), theirs, [x], integers)  # noqa: B023


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_pixel_shuffle(factor):
    _, _, _, integers = draw(factor)
    for layer, theirs, x in (
        (layers.PixelShuffle(factor), F.pixel_shuffle, integers(2, 2 * factor**2, 3, 2)),
        (layers.PixelUnshuffle(factor), F.pixel_unshuffle, integers(2, 3, 2 * factor, 3 * factor)),
    ):
        compare(lambda x: execute.execute(layer, None, x), lambda x: theirs(x, factor), [x], integers)  # noqa: B023


@pytest.mark.parametrize("block", range(15))
def test_avg_pool(block):
    """40 cases a block of multiples of every divisor; padding each side its own (torch gets it as zeros) or ceil mode."""
    for seed in range(40 * block, 40 * block + 40):
        rng, rank, axis, integers = draw(seed)
        kernel, stride, ceil, counted = axis(1, 4), axis(1, 4), rng.random() < 0.5, rng.random() < 0.5
        equally = ceil or not counted
        pads = [(a, a if equally else rng.randint(0, k // 2)) for k in kernel for a in [rng.randint(0, k // 2)]]
        sizes = [k + rng.randint(0, 4 if rank < 3 else 2) for k in kernel]
        x = 12**rank * integers(2, 2, *sizes)

        def theirs(x):
            if equally:  # noqa: B023
                return AVG[rank](x, kernel, stride, [a for a, _ in pads], ceil, counted)  # noqa: B023
            return AVG[rank](F.pad(x, flat(pads)), kernel, stride)  # noqa: B023

        ours = lambda x: ag.avg_pool(x, kernel, stride, pads, ceil, counted)  # noqa: B023, E731
        compare(ours, theirs, [x], integers, step=12**rank)


@pytest.mark.parametrize("block", range(8))
def test_lp_pool(block):
    """25 cases a block of positive numbers, without ceil mode, in which torch scales the sum. p = 1 exactly; others within
    8 units in the last place: a power, its root, and torch's division and product by the kernel.
    """
    for seed in range(25 * block, 25 * block + 25):
        rng, rank, axis, integers = draw(seed)
        kernel, stride, p = axis(1, 3), axis(1, 4), rng.choice([1, 2, 3, 1.5])
        sizes = [k + rng.randint(0, 4 if rank < 3 else 2) for k in kernel]
        x = math.prod(kernel) * (np.abs(integers(2, 2, *sizes)) + 1)
        ours = lambda x: ag.lp_pool(x, p, kernel, stride)  # noqa: B023, E731
        theirs = lambda x: LP[rank](x, p, kernel if rank > 1 else kernel[0], stride)  # noqa: B023, E731
        agree = equal if p == 1 else within(8 * np.finfo(float).eps)
        compare(ours, theirs, [x], integers, agree, second=False, step=math.prod(kernel))


@pytest.mark.parametrize("block", range(15))
def test_adaptive_pools(block):
    """30 cases a block of each, also with more windows than positions; for means, multiples of every window's size."""
    for seed in range(30 * block, 30 * block + 30):
        rng, rank, axis, integers = draw(seed)
        sizes, outputs = axis(1, 8 if rank < 3 else 4), axis(1, 7 if rank < 3 else 4)
        step = math.prod(math.lcm(*range(1, n + 1)) for n in sizes)
        x = step * integers(rng.randint(1, 2), rng.randint(1, 3), *sizes)
        compare(
            lambda x: ag.adaptive_avg_pool(x, outputs),  # noqa: B023
            lambda x: ADAPTIVE_AVG[rank](x, outputs),  # noqa: B023
            [x],
            integers,
            step=step,
        )
        x = integers(*x.shape, far=2)
        _, switches = ag.adaptive_max_pool(x, outputs, return_switches=True)
        equal(switches, ADAPTIVE_MAX[rank](torch.tensor(x, dtype=torch.float64), outputs, True)[1].numpy())
        compare(
            lambda x: ag.adaptive_max_pool(x, outputs),  # noqa: B023
            lambda x: ADAPTIVE_MAX[rank](x, outputs),  # noqa: B023
            [x],
            integers,
        )


@pytest.mark.parametrize("block", range(10))
def test_max_unpool(block):
    """30 cases a block: windows that each name a place of their own, and what overlapping windows picked, of which torch
    gives the gradient to all.
    """
    for seed in range(30 * block, 30 * block + 30):
        rng, rank, axis, integers = draw(seed)
        outputs, kernel = axis(1, 3), axis(1, 3)
        sizes = tuple(n * k for n, k in zip(outputs, kernel, strict=True))
        y = integers(rng.randint(1, 2), rng.randint(1, 2), *outputs)
        planes, plane = y.shape[0] * y.shape[1], math.prod(sizes)
        own = np.stack([rng.sample(range(plane), math.prod(outputs)) for _ in range(planes)]).reshape(y.shape)
        compare(
            lambda y: ag.max_unpool(y, own, sizes),  # noqa: B023
            lambda y: UNPOOL[rank](y, torch.tensor(own), kernel, kernel),  # noqa: B023
            [y],
            integers,
        )
        x = integers(1, 2, *(k + 2 for k in kernel), far=3)
        best, places = MAX[rank](torch.tensor(x, dtype=torch.float64), kernel, 1, return_indices=True)
        ours, switches = ag.max_pool(x, kernel, 1, return_switches=True)
        back = UNPOOL[rank](best, places, kernel, 1, output_size=x.shape[2:])
        equal(ag.max_unpool(ours, switches, x.shape[2:]).numpy(), back.numpy())


# --- columns ----------------------------------------------------------------------------------------------------------


def windows_case(seed):
    """A kernel, options, and sizes that leave a window or more; of rank 1 or 2, which torch's `unfold` knows."""
    rng, rank, axis, integers = draw(seed, 1, 2)
    kernel, stride, dilation = axis(1, 4), axis(1, 3), axis(1, 3)
    pads = [(rng.randint(0, 2), rng.randint(0, 2)) for _ in kernel]
    sizes = [
        max(1, d * (k - 1) + 1 - a - b) + rng.randint(0, 4) for k, d, (a, b) in zip(kernel, dilation, pads, strict=True)
    ]
    return rng, rank, integers, sizes, kernel, {"stride": stride, "padding": pads, "dilation": dilation}


def unfold(x, kernel, stride, padding, dilation):
    """torch's, for rank 1 too."""
    wide = F.pad(x, flat(padding))
    if len(kernel) == 2:
        return F.unfold(wide, kernel, dilation, 0, stride)
    return F.unfold(wide[:, :, None], (1, *kernel), (1, *dilation), 0, (1, *stride))


@pytest.mark.parametrize("block", range(10))
def test_im2col(block):
    """40 cases a block; the gradient is col2im."""
    for seed in range(40 * block, 40 * block + 40):
        rng, _, integers, sizes, kernel, options = windows_case(seed)
        x = integers(rng.randint(1, 2), rng.randint(1, 3), *sizes)
        compare(
            lambda x: ag.im2col(x, kernel, **options),  # noqa: B023
            lambda x: unfold(x, kernel, **options),  # noqa: B023
            [x],
            integers,
        )


@pytest.mark.parametrize("block", range(5))
def test_col2im(block):
    """40 cases a block against `fold`, which knows equal padding on both sides."""
    for seed in range(40 * block, 40 * block + 40):
        rng, rank, integers, sizes, kernel, options = windows_case(seed)
        options["padding"] = pads = [max(pair) for pair in options["padding"]]
        shape = ag.im2col(np.zeros((rng.randint(1, 2), rng.randint(1, 2), *sizes)), kernel, **options).shape
        one = (1,) * (2 - rank)  # an axis before the only one
        fold = lambda cols: F.fold(  # noqa: E731
            cols,
            (*one, *sizes),  # noqa: B023
            (*one, *kernel),  # noqa: B023
            (*one, *options["dilation"]),  # noqa: B023
            ((0,) * len(one) + tuple(pads)),  # noqa: B023
            (*one, *options["stride"]),  # noqa: B023
        )
        theirs = fold if rank == 2 else lambda cols: fold(cols)[:, :, 0]  # noqa: B023
        compare(lambda cols: ag.col2im(cols, sizes, kernel, **options), theirs, [integers(*shape)], integers)  # noqa: B023


@pytest.mark.parametrize("block", range(8))
def test_locally_connected(block):
    """25 cases a block; torch has no such layer, but the columns and the product it consists of."""
    for seed in range(25 * block, 25 * block + 25):
        rng, _, integers, sizes, kernel, options = windows_case(seed)
        x, filters = integers(rng.randint(1, 2), rng.randint(1, 2), *sizes), rng.randint(1, 3)
        output = ag.conv(np.zeros((1, 1, *sizes)), np.zeros((1, 1, *kernel)), **options).shape[2:]
        w = integers(*output, filters, x.shape[1], *kernel)
        b = integers(filters, *(output if seed % 2 else ()))

        def theirs(x, w, b):
            cols = unfold(x, kernel, **options)  # noqa: B023
            y = torch.einsum("njl,lkj->nkl", cols, w.reshape(cols.shape[2], filters, -1))  # noqa: B023
            bias = b if b.ndim > 1 else b.reshape(-1, *(1 for _ in output))  # noqa: B023
            return y.reshape(*y.shape[:2], *output) + bias  # noqa: B023

        compare(lambda x, w, b: ag.locally_connected(x, w, b, **options), theirs, [x, w, b], integers)  # noqa: B023


# --- means, dropout and shapes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(60))
def test_mean(seed):
    rng, rank, axis, integers = draw(seed)
    x = 12**rank * integers(*axis(1, 4))
    over, keep = rng.sample(range(rank), rng.randint(1, rank)), rng.random() < 0.5
    ours = lambda x: ag.mean(x, tuple(over), keep)  # noqa: E731
    compare(ours, lambda x: torch.mean(x, over, keep), [x], integers, step=12**rank)
    compare(ag.mean, torch.mean, [x], integers, step=12**rank)


@pytest.mark.parametrize("seed", range(60))
def test_dropout(seed):
    """Of what torch dropped; the shares are those whose scale is whole, or nothing."""
    rng, _, axis, integers = draw(seed)
    x, p = integers(2, 3, *axis(1, 4)), rng.choice([0.0, 0.5, 0.75, 0.875, 1.0])
    torch.manual_seed(seed)
    mask = (F.dropout(torch.ones(x.shape, dtype=torch.float64), p) != 0).numpy().astype(int)

    def theirs(x):
        torch.manual_seed(seed)
        return F.dropout(x, p)

    compare(lambda x: ag.dropout(x, mask, p), theirs, [x], integers)


@pytest.mark.parametrize("seed", range(60))
def test_crop_and_linear_to_conv(seed):
    rng, rank, axis, integers = draw(seed)
    crops = [(rng.randint(0, 2), rng.randint(0, 2)) for _ in range(rank)]
    x = integers(2, 2, *(a + b + rng.randint(1, 3) for a, b in crops))
    compare(lambda x: ag.crop(x, crops), lambda x: F.pad(x, [-p for p in flat(crops)]), [x], integers)
    conv = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[rank]
    sizes, units = axis(1, 3), rng.randint(1, 3)
    image = integers(2, 2, *(n + rng.randint(0, 2) for n in sizes))
    w = integers(units, 2 * math.prod(sizes))
    compare(
        lambda x, w: ag.conv(x, ag.linear_to_conv(w, 2, sizes)),
        lambda x, w: conv(x, w.reshape(units, 2, *sizes)),
        [image, w],
        integers,
    )


# --- normalization ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(10))
def test_batch_norm_exactly(block):
    """20 cases a block that do not round; torch in training wants an eps that is not 0."""
    compared = 0
    for seed in range(20 * block, 20 * block + 20):
        x, eps, integers = unrounded_batch(seed)
        if eps == 0:
            continue
        affine = [integers(x.shape[1]), integers(x.shape[1])]
        theirs = lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0, eps)  # noqa: B023, E731
        compare(lambda x, w, b: ag.batch_norm(x, w, b, eps), theirs, [x, *affine], integers)  # noqa: B023
        compared += 1
    assert compared == 10


def normal(seed, least=1):
    """Shape and standard normal arrays."""
    rng, _, axis, _ = draw(seed)
    numbers = np.random.default_rng(seed)
    shape = (rng.randint(2, 5), rng.randint(least, 7), *axis(1, 4)[: seed % 4])
    return rng, shape, lambda *shape: numbers.standard_normal(shape)


@pytest.mark.parametrize("block", range(10))
def test_batch_norm_in_floats(block):
    """20 cases a block. eps is at least 0.01, so that rounding, of some 300 sums and products at most, grows by no more
    than 0.01**-2.5 = 10**5 in the second derivatives: 2**-53 * 300 * 10**5 < 1e-8; 1e-10 is what is asked.
    """
    for seed in range(20 * block, 20 * block + 20):
        rng, shape, numbers = normal(seed)
        eps = rng.choice([0.01, 0.1, 1.0])
        x, gamma, beta, mean, variance = numbers(*shape), *(numbers(shape[1]) for _ in range(4))
        theirs = lambda x, w, b: F.batch_norm(x, None, None, w, b, True, 0, eps)  # noqa: B023, E731
        compare(lambda x, w, b: ag.batch_norm(x, w, b, eps), theirs, [x, gamma, beta], numbers, within(1e-10))  # noqa: B023
        running = [mean, variance**2]
        given = lambda x, w, b: ag.batch_norm(x, w, b, eps, *running)  # noqa: B023, E731
        theirs = lambda x, w, b: F.batch_norm(x, *map(torch.tensor, running), w, b, False, 0, eps)  # noqa: B023, E731
        compare(given, theirs, [x, gamma, beta], numbers, within(1e-12))


@pytest.mark.parametrize("block", range(5))
def test_group_norm_in_floats(block):
    """20 cases a block, with and without what is learned, and one group a channel; as for batches, eps keeps roots away
    from 0.
    """
    for seed in range(20 * block, 20 * block + 20):
        rng, shape, numbers = normal(seed)
        groups = rng.choice([n for n in range(1, shape[1] + 1) if shape[1] % n == 0])
        arrays = [numbers(*shape), numbers(shape[1]), numbers(shape[1])][: rng.choice([1, 3])]
        compare(
            lambda x, *learned: ag.group_norm(x, groups, *learned, eps=0.5),  # noqa: B023
            lambda x, *learned: F.group_norm(x, groups, *learned, eps=0.5),  # noqa: B023
            arrays,
            numbers,
            within(1e-12),
        )


@pytest.mark.parametrize("block", range(10))
def test_local_response_norm_in_floats(block):
    """20 cases a block. What is raised to a power is at least k >= 1/2, and a window holds at most 6 squares: the rounding
    of some 100 sums, products and powers grows by less than 2**5 in the second derivatives: 2**-53 * 3200 < 1e-12.
    """
    for seed in range(20 * block, 20 * block + 20):
        rng, shape, numbers = normal(seed)
        shape = shape if len(shape) > 2 else (*shape, 1)  # torch wants a spatial axis
        options = rng.randint(1, 6), rng.choice([1e-4, 0.5, 2.0]), rng.choice([0.5, 0.75, 1.0]), rng.choice([0.5, 1, 2])
        compare(
            lambda x: ag.local_response_norm(x, *options),  # noqa: B023
            lambda x: F.local_response_norm(x, *options),  # noqa: B023
            [numbers(*shape)],
            numbers,
            within(1e-12),
        )


def test_the_defaults_are_those_of_torch():
    x = np.random.default_rng(0).standard_normal((2, 5, 3))
    found = ag.local_response_norm(x, 5).numpy()
    within(4e-16)(found, F.local_response_norm(torch.tensor(x), 5).numpy())
    ones = np.ones(5)
    found = ag.batch_norm(x, ones, 0 * ones).numpy()
    within(1e-15)(found, F.batch_norm(torch.tensor(x), None, None, training=True).numpy())
