"""Drawn forwards that compute with sizes, decide by them, and change ranks: what is accepted is where PyTorch runs."""

import itertools
import operator
import os
import random

import pytest

from convproof.errors import ConvproofError
from convproof.symbolic import analyze

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


def test_drawn_forwards_accept_what_runs():
    """Where something on the way is empty, PyTorch may go on, which is not accepted."""
    known = 0
    for seed in range(COUNT):
        module = Drawn(seed).eval()
        try:
            imported = load(module, (2, "H", "W"))
            found = analyze(imported.network, None, False, imported.undecided, imported.cases)
        except ConvproofError:
            continue
        if found.accepted.boxes is None:
            continue
        known += 1
        for h, w in itertools.product(range(1, 11), repeat=2):
            runs, some_empty = ran(module, h, w)
            accepted = {"H": h, "W": w} in found.accepted
            assert accepted == runs or (runs and some_empty), (seed, h, w)
    assert known > COUNT // 4
