"""Drawn forwards that compute with sizes, decide by them, and change ranks: what is accepted is where PyTorch runs."""

import itertools
import operator
import os
import random

import pytest

from convproof.architecture import Input
from convproof.errors import ConvproofError
from convproof.symbolic import analyze
from convproof.symbolic.shapes import infer

torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[torch]'` brings it")

import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402

from convproof.importers.torch import load  # noqa: E402

COUNT = int(os.environ.get("CONVPROOF_DRAWN", "60"))
COMPARISONS = (operator.lt, operator.gt, operator.le, operator.ge, operator.eq, operator.ne)


def number(rng, maps, depth=0):
    """A whole number that is computed of sizes, as a function of the maps so far."""
    if depth > 2 or rng.random() < 0.35:
        place, axis = rng.randrange(maps), rng.choice([2, 3])
        return lambda ys: ys[place].size(axis)
    if rng.random() < 0.2:
        constant = rng.randint(0, 6)
        return lambda ys: constant
    function = rng.choice([operator.add, operator.sub, operator.floordiv, operator.mod, operator.mul, min, max])
    a = number(rng, maps, depth + 1)
    if function in (operator.floordiv, operator.mod, operator.mul):
        constant = rng.randint(2, 4)
        return lambda ys: function(a(ys), constant)
    b = number(rng, maps, depth + 1)
    return lambda ys: function(a(ys), b(ys))


def step(rng, maps):
    """What makes another map, of the maps so far and the module."""
    x, other = rng.randrange(maps), rng.randrange(maps)
    a, b = number(rng, maps), number(rng, maps)
    compare, layer, axis = rng.choice(COMPARISONS), rng.choice("abc"), rng.choice([1, 1, 2, 3])
    factor = rng.choice([0.5, 1.5, 2])

    def refused(y):
        raise ValueError("not at this size")

    otherwise = rng.choice([lambda y: y, F.relu, refused])
    return rng.choice(
        [
            lambda s, ys: getattr(s, layer)(ys[x]),
            lambda s, ys: ys[x][:, :, a(ys) :, : b(ys)],
            lambda s, ys: F.pad(ys[x], (0, a(ys), b(ys), 0)),
            lambda s, ys: F.max_pool2d(ys[x], 2) if compare(a(ys), b(ys)) else otherwise(ys[x]),
            lambda s, ys: torch.cat([ys[x], ys[other]], axis),
            lambda s, ys: ys[x] + ys[other],
            lambda s, ys: ys[x][:, :, ::2, 1::3],
            lambda s, ys: F.interpolate(ys[x], scale_factor=factor),
            lambda s, ys: F.interpolate(ys[x], size=(a(ys), ys[other].shape[3])),
            lambda s, ys: ys[x].flatten(2).transpose(1, 2).transpose(1, 2).unflatten(2, ys[x].shape[2:]),
        ]
    )


class Drawn(nn.Module):
    def __init__(self, seed):
        super().__init__()
        rng = random.Random(seed)
        self.a, self.b, self.c = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, 2), nn.Conv2d(2, 2, 1)
        self.steps = [step(rng, maps) for maps in range(1, rng.randint(2, 5))]

    def forward(self, x):
        return self.maps(x)[-1]

    def maps(self, x):
        ys = [x]
        for each in self.steps:
            ys.append(each(self, ys))
        return ys


def ran(module, h, w):
    """Whether it runs on an image and leaves something; and whether something on the way is empty."""
    try:
        *inner, y = module.maps(torch.zeros(1, 2, h, w))
    except (RuntimeError, ValueError, IndexError):
        return False, False
    return y.numel() > 0, any(not each.numel() for each in inner)


def those_known(kind):
    """Drawn modules of a kind whose accepted sizes are known: their seeds, what is read of them, and what is found."""
    for seed in range(COUNT):
        module = kind(seed).eval().requires_grad_(False)
        try:
            imported = load(module, (2, "H", "W"))
            found = analyze(imported.network, None, False, imported.undecided, imported.cases)
        except ConvproofError:
            continue
        if found.accepted.boxes is not None:
            yield seed, module, imported, found


def test_drawn_forwards_accept_what_runs():
    """Where something on the way is empty, PyTorch may go on, which is not accepted."""
    known = 0
    for known, (seed, module, _, found) in enumerate(those_known(Drawn), 1):  # noqa: B007
        for h, w in itertools.product(range(1, 11), repeat=2):
            runs, some_empty = ran(module, h, w)
            accepted = {"H": h, "W": w} in found.accepted
            assert accepted == runs or (runs and some_empty), (seed, h, w)
    assert known > COUNT // 4


# --- tensors of any rank ----------------------------------------------------------------------------------------------


def turn(rng, rank):
    """What makes another tensor of one with so many axes, and how many axes that has."""
    axis, other, place = rng.randrange(rank), rng.randrange(rank), rng.randrange(rank + 1)
    order, n = rng.sample(range(rank), rank), rng.randint(1, 3)
    first, last = sorted((axis, other))

    def written(x):
        y = x.relu()
        y[..., :n] += 1
        y.select(axis, 0).mul_(2)
        return y

    found = [
        (lambda x: x.permute(order), rank),
        (lambda x: x.transpose(axis, other), rank),
        (lambda x: x.movedim(axis, other), rank),
        (lambda x: x.unsqueeze(place), rank + 1),
        (lambda x: x.flatten(first, last), rank - (last - first)),
        (lambda x: x.unflatten(axis, (n, -1)), rank + 1),
        (lambda x: x.chunk(2, axis)[0], rank),
        (lambda x: x.select(axis, -1), rank - 1),
        (lambda x: x.narrow(axis, n - 1, n), rank),
        (lambda x: x[..., n - 1 :: n], rank),
        (lambda x: torch.stack([x, x.relu()], place), rank + 1),
        (lambda x: torch.cat([x, x], axis), rank),
        (lambda x: x.sum(axis), rank - 1),
        (lambda x: x - x.amax(axis, keepdim=True), rank),
        (lambda x: x.softmax(axis), rank),
        (lambda x: x @ x.transpose(-1, -2), rank),
        (lambda x: x.reshape(x.size(0), -1), 2),
        (lambda x: x.view(*x.shape[:axis], n, -1, *x.shape[axis + 1 :]), rank + 1),
        (lambda x: x.roll(1, axis).flip(other), rank),
        (lambda x: F.pad(x, (1, 0, 0, n)), rank),
        (lambda x: x.repeat_interleave(n, axis), rank),
        (written, rank),
    ]
    return rng.choice([(function, made) for function, made in found if 2 <= made <= 6])


class Turned(nn.Module):
    def __init__(self, seed):
        super().__init__()
        rng, rank = random.Random(seed), 4
        self.conv, self.steps = nn.Conv2d(2, 6, 1), []
        for _ in range(rng.randint(2, 6)):
            function, rank = turn(rng, rank)
            self.steps.append(function)

    def forward(self, x):
        return self.tensors(x)[-1]

    def tensors(self, x):
        found = [self.conv(x)]
        for each in self.steps:
            found.append(each(found[-1]))
        return found


def is_of_one(shape, found):
    """Whether a shape is the one that was found for one image, with the batch somewhere."""
    without = [(*shape[:axis], *shape[axis + 1 :]) for axis, n in enumerate(shape) if n == 1]
    return found in (shape, *without)


def test_drawn_tensors_of_any_rank_have_the_shapes_that_torch_gives_them():
    known = 0
    for known, (seed, module, imported, found) in enumerate(those_known(Turned), 1):  # noqa: B007
        for h, w in itertools.product((1, 2, 3, 4, 5, 6, 9), (1, 2, 3, 5, 6, 8)):
            try:
                *_, y = module.tensors(torch.zeros(1, 2, h, w))
            except (RuntimeError, ValueError, IndexError):
                y = torch.zeros(0)
            shape, accepted = tuple(y.shape), {"H": h, "W": w} in found.accepted
            assert accepted == (y.numel() > 0), (seed, h, w, shape)
            if accepted:
                cases = (infer(each, Input(2, (h, w))) for each in (imported.network, *imported.cases))
                made = next(each for each in cases if not each.refused)
                assert is_of_one(shape, made.shapes[made.network.output.name]), (seed, h, w, shape)
    assert known > COUNT // 4
