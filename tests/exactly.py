"""What tests share: drawn cases, equality in fractions, what an output depends on."""

import math
import random
import sys
from fractions import Fraction
from functools import singledispatch

import numpy as np

from convproof import autograd as ag
from convproof import execute
from convproof.symbolic.accepted import accepted_by
from convproof.symbolic.shapes import axis_names, infer, of_any_size


def draw(seed, *ranks):
    """A random number generator, a rank, one number per axis, and integer arrays."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    rank = rng.choice(ranks or (1, 2, 2, 3))
    axis = lambda low, high: tuple(rng.randint(low, high) for _ in range(rank))  # noqa: E731
    return rng, rank, axis, lambda *shape, far=9: numbers.integers(-far, far + 1, shape)


def exact(array):
    """The same numbers as fractions."""
    return np.vectorize(Fraction, otypes=[object])(array)


def dot(a, b):
    return np.sum(exact(a) * exact(b))


def same(found, expected):
    """Equal entry by entry, in shape too; a tensor is as good as its array."""
    found, expected = (t.numpy() if isinstance(t, ag.Tensor) else np.asarray(t) for t in (found, expected))
    assert found.shape == expected.shape
    assert np.array_equal(exact(found), exact(expected))


def linear_in(op, x, integers):
    """The VJP of a linear `op`, and the VJP's own: <g, op(x)> = <gx, x> on every unit vector, and op again."""
    x = ag.tensor(x)
    y = op(x)
    g, h = ag.tensor(integers(*y.shape).astype(y.dtype)), integers(*x.shape)
    (gx,) = ag.grad(y, [x], g)
    assert (gx.shape, gx.dtype) == (x.shape, x.dtype)
    for index in list(np.ndindex(x.shape))[:: max(1, x.numpy().size // 12)]:
        unit = np.zeros(x.shape, x.dtype)
        unit[index] = 1
        assert gx.numpy()[index] == dot(g.numpy(), op(unit).numpy())
    assert dot(g.numpy(), y.numpy()) == dot(gx.numpy(), x.numpy())
    same(ag.grad(gx, [g], h.astype(gx.dtype))[0], op(h.astype(x.dtype)))


def unrounded_batch(seed):
    """An array (N, C, *spatial), and an eps, whose batch normalization does not round in float64.

    Every channel holds a mean plus or minus a number whose square and eps make a power of 4, and 2 to 16 values.
    """
    rng, _, _, integers = draw(seed)
    channels, shape = rng.randint(1, 3), rng.choice([(2,), (4,), (2, 1), (2, 2), (4, 2), (1, 4, 2), (2, 1, 2, 4)])
    per_channel = (channels, *(1 for _ in shape))
    values = math.prod(shape)
    signs = [rng.sample([1, -1] * (values // 2), values) for _ in range(channels)]
    distances = [2 ** rng.randint(0, 2) if seed % 2 else 1 for _ in range(channels)]
    x = np.reshape(signs, (channels, *shape)) * np.reshape(distances, per_channel) + integers(*per_channel)
    return np.moveaxis(x, 0, 1), 0 if seed % 2 else 3, integers


def rows(net, sizes, name=None):
    """(output, depends) for every output of a layer: depends[i] is whether it depends on input position i, (*spatial).

    By running gradients of positive numbers, where no contribution cancels; a maximum would send them to one position
    only, so that it must stand as an average.
    """
    numbers = np.random.default_rng(0)
    x = numbers.uniform(0.5, 1.5, (1, net.image.channels, *sizes))
    activations, _ = execute.run(net, x, draw=lambda shape: numbers.uniform(0.5, 1.5, shape))
    x, y = activations[net.input.name], activations[name or net.output.name]
    for o in np.ndindex(y.shape[2:]):
        one = np.zeros(y.shape)
        one[(0, slice(None), *o)] = 1
        yield o, ag.grad(y, [x], one)[0].numpy()[0].sum(axis=0) != 0


def seen_by(field, o):
    """The first and the last position that a field says output o sees; None for none."""
    if not field.phases:
        first = field.offset + field.jump * o
        return first, first + field.size - 1
    turn, place = divmod(o, len(field.phases))
    if field.phases[place] is None:
        return None
    first, last = field.phases[place]
    rise = field.jump * len(field.phases) * turn
    assert first + rise >= field.offset + field.jump * o
    assert last - first + 1 <= field.size
    return first + rise, last + rise


def lies_within(field, o, depends):
    """Whether all positions that output o depends on are among those that its field says."""
    places, seen = np.flatnonzero(depends), seen_by(field, o)
    return not places.size if seen is None else all(seen[0] <= int(place) <= seen[1] for place in places)


def forget():
    """What the formulas have said before is forgotten, so that another rule is asked anew."""
    for name, module in list(sys.modules.items()):
        for each in vars(module).values() if name.startswith("convproof.symbolic.") else ():
            if hasattr(each, "cache_clear"):
                each.cache_clear()


def without(rules, kind):
    """A table of rules, less that of one class."""
    (missing,) = (rule for each, rule in rules.registry.items() if each is object)
    fewer = singledispatch(missing)
    for each, rule in rules.registry.items():
        if each not in (object, kind):
            fewer.register(each, rule)
    return fewer


def size_sets(network, axis):
    """(valid, exact) along one axis, whatever letters the image has."""
    found = accepted_by(infer(of_any_size(network, letters=True)))
    name = axis_names(network)[axis] if isinstance(axis, int) else axis
    return found.valid[name], found.exact[name]
