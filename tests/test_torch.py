"""Against an independent framework, exactly, on integers in float64; skipped only where torch is not installed."""

import random

import numpy as np
import pytest

from convproof import autograd as ag
from convproof import symbolic
from convproof.architecture import layers

torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[peers]'` brings it")
F = torch.nn.functional
CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def draw(seed):
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    rank = rng.choice([1, 2, 2, 3])
    axis = lambda low, high: [rng.randint(low, high) for _ in range(rank)]  # noqa: E731
    return rng, rank, axis, lambda *shape: numbers.integers(-9, 10, shape)


def both(*arrays):
    return [ag.tensor(a) for a in arrays], [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in arrays]


def same(ours, theirs):
    assert ours.dtype == np.int64
    assert np.array_equal(ours.numpy(), theirs.detach().numpy())


@pytest.mark.parametrize("algorithm", ["direct", "im2col"])
@pytest.mark.parametrize("block", range(15))
def test_conv(block, algorithm):
    """10 cases a block: forward, three gradients, and the second derivatives."""
    for seed in range(10 * block, 10 * block + 10):
        rng, rank, axis, integers = draw(seed + 1000 * (algorithm == "direct"))
        groups = rng.choice([1, 1, 2, 3])
        c, k, batch = rng.randint(1, 2), rng.randint(1, 2), rng.randint(1, 3)
        kernel, stride, dilation = axis(1, 4), axis(1, 3), axis(1, 3)
        padding = [(rng.randint(0, 3), rng.randint(0, 3)) for _ in range(rank)]
        sizes = [
            max(1, d * (f - 1) + 1 - a - b) + rng.randint(0, 4)
            for f, d, (a, b) in zip(kernel, dilation, padding, strict=True)
        ]
        x, w, b = integers(batch, groups * c, *sizes), integers(groups * k, c, *kernel), integers(groups * k)
        (X, Wt, B), (tx, tw, tb) = both(x, w, b)
        y = ag.conv(X, Wt, B, stride, padding, dilation, groups, algorithm)
        flat = [p for pair in reversed(padding) for p in pair]
        ty = CONV[rank](F.pad(tx, flat), tw, tb, stride=stride, dilation=dilation, groups=groups)
        same(y, ty)
        layer = layers.Conv(groups * k, tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), groups)
        assert symbolic.output_shape(layer, x.shape[1:]) == tuple(ty.shape[1:])
        g, hx, hw = integers(*y.shape), integers(*x.shape), integers(*w.shape)
        gradients = ag.grad(y, [X, Wt, B], g)
        theirs = torch.autograd.grad(ty, (tx, tw, tb), torch.tensor(g, dtype=torch.float64), create_graph=True)
        for our, their in zip(gradients, theirs, strict=True):
            same(our, their)
        pairing = ag.add(ag.sum(ag.multiply(gradients[0], hx)), ag.sum(ag.multiply(gradients[1], hw)))
        second = ag.grad(pairing, [X, Wt])
        their_pairing = (theirs[0] * torch.tensor(hx)).sum() + (theirs[1] * torch.tensor(hw)).sum()
        for our, their in zip(second, torch.autograd.grad(their_pairing, (tx, tw)), strict=True):
            same(our, their)


@pytest.mark.parametrize("block", range(10))
def test_conv_transpose(block):
    for seed in range(10 * block, 10 * block + 10):
        rng, rank, axis, integers = draw(seed)
        groups, c, k = rng.choice([1, 2]), rng.randint(1, 2), rng.randint(1, 2)
        kernel, stride, dilation, padding, sizes = axis(1, 4), axis(1, 3), axis(1, 3), axis(0, 1), axis(2, 5)
        extra = [rng.randint(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True)]
        (X, Wt, B), (tx, tw, tb) = both(
            integers(2, groups * k, *sizes), integers(groups * k, c, *kernel), integers(groups * c)
        )
        layer = layers.ConvTranspose(
            groups * c, tuple(kernel), tuple(stride), tuple(padding), tuple(extra), groups, True, tuple(dilation)
        )
        if any(
            (n - 1) * s + d * (f - 1) + e < 2 * p
            for n, s, d, f, e, p in zip(sizes, stride, dilation, kernel, extra, padding, strict=True)
        ):
            with pytest.raises(ValueError, match="use less"):
                ag.conv_transpose(X, Wt, B, stride, padding, extra, dilation, groups)
            continue
        y = ag.conv_transpose(X, Wt, B, stride, padding, extra, dilation, groups)
        ty = TRANSPOSE[rank](tx, tw, tb, stride, padding, extra, groups, dilation)
        same(y, ty)
        assert symbolic.output_shape(layer, X.shape[1:]) == tuple(ty.shape[1:])
        g = integers(*y.shape)
        theirs = torch.autograd.grad(ty, (tx, tw, tb), torch.tensor(g, dtype=torch.float64))
        for our, their in zip(ag.grad(y, [X, Wt, B], g), theirs, strict=True):
            same(our, their)


@pytest.mark.parametrize("block", range(15))
def test_max_pool(block):
    compared = 0
    for seed in range(20 * block, 20 * block + 20):
        rng, rank, axis, integers = draw(seed)
        kernel, stride, dilation, sizes, ceil = axis(1, 4), axis(1, 4), axis(1, 2), axis(1, 9), rng.random() < 0.5
        padding = [rng.randint(0, k // 2) for k in kernel]
        (X,), (tx,) = both(integers(2, 2, *sizes))
        try:
            ty, places = MAX[rank](tx, kernel, stride, padding, dilation, ceil, True)
        except RuntimeError:  # torch: output size is too small
            with pytest.raises(ValueError, match="max_pool"):
                ag.max_pool(X, kernel, stride, padding, dilation, ceil)
            continue
        if torch.isinf(ty).any():  # a dilated window wholly in padding: torch answers -inf, here it is an error
            with pytest.raises(ValueError, match="wholly in padding"):
                ag.max_pool(X, kernel, stride, padding, dilation, ceil)
            continue
        y, switches = ag.max_pool(X, kernel, stride, padding, dilation, ceil, return_switches=True)
        same(y, ty)
        assert np.array_equal(switches, places.numpy())
        layer = layers.MaxPool(tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), ceil)
        assert symbolic.output_shape(layer, X.shape[1:]) == tuple(ty.shape[1:])
        g = integers(*y.shape)
        same(ag.grad(y, [X], g)[0], torch.autograd.grad(ty, tx, torch.tensor(g, dtype=torch.float64))[0])
        compared += 1
    assert compared >= 5


@pytest.mark.parametrize("block", range(10))
def test_avg_pool(block):
    """Divisors differ from window to window; sums of small integers over them agree to the last digits of float64."""
    for seed in range(20 * block, 20 * block + 20):
        rng, rank, axis, integers = draw(seed)
        kernel, stride, ceil, include = axis(1, 4), axis(1, 4), rng.random() < 0.5, rng.random() < 0.5
        padding = [rng.randint(0, k // 2) for k in kernel]
        sizes = [k + rng.randint(0, 5) for k in kernel]
        (X,), (tx,) = both(integers(2, 2, *sizes))
        ty = AVG[rank](tx, kernel, stride, padding, ceil, include)
        y = ag.avg_pool(X, kernel, stride, padding, ceil, include)
        assert y.shape == tuple(ty.shape)
        assert np.allclose(y.numpy(), ty.detach().numpy(), rtol=4e-16, atol=1e-15)
        g = integers(*y.shape)
        theirs = torch.autograd.grad(ty, tx, torch.tensor(g, dtype=torch.float64))[0].numpy()
        assert np.allclose(ag.grad(y, [X], g)[0].numpy(), theirs, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("seed", range(10))
def test_losses_and_linear(seed):
    numbers = np.random.default_rng(seed)
    x, w, b = numbers.standard_normal((5, 7)), numbers.standard_normal((4, 7)), numbers.standard_normal(4)
    labels = numbers.integers(0, 4, 5)
    ours, theirs = both(x, w, b)
    for loss, their_loss in (
        (ag.cross_entropy, F.cross_entropy),
        (ag.hinge_loss, lambda s, t: F.multi_margin_loss(s, t) * s.shape[1]),
    ):
        value = loss(ag.linear(*ours), labels)
        expected = their_loss(F.linear(*theirs), torch.tensor(labels))
        assert float(value.numpy()) == pytest.approx(expected.item(), rel=1e-13)
        for our, their in zip(ag.grad(value, ours), torch.autograd.grad(expected, theirs), strict=True):
            assert np.allclose(our.numpy(), their.numpy(), rtol=1e-12, atol=1e-14)
