"""Which sizes a network accepts: the derived sets, and the proved ones, against running the network on every size."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest

from convproof import autograd as ag
from convproof import execute, recheck
from convproof.architecture import SAME_LOWER, SAME_UPPER, Activation, BatchNorm, Conv, Input, Network, ReLU, layers
from convproof.architecture.graph import Builder
from convproof.architecture.notation import network
from convproof.architecture.zoo import ENTRIES
from convproof.errors import ShapeError
from convproof.proof import proof_term
from convproof.proof.sizes import prove_sizes
from convproof.symbolic import output_shapes, size_sets
from convproof.symbolic.conditions import first_mismatch

SIZES = range(1, 601)


# --- by running -------------------------------------------------------------------------------------------------------


def zeros(shape):
    return np.broadcast_to(np.float32(0), shape)


def run(net, size):
    """The activations' shapes by name, of a batch of no images, whose sizes are `size` on every axis; None if it fails."""
    image = zeros((0, net.image.channels, *(size for _ in net.image.sizes)))
    try:
        return {name: t.shape for name, t in execute.run(net, ag.tensor(image), draw=zeros)[0].items()}
    except ShapeError:
        return None


def is_exact(net, shapes, axis):
    """Whether on every layer the last window ends where the padded input does, by laying them out one by one."""
    for node in net:
        if not isinstance(node.layer, (layers.Conv, layers.MaxPool, layers.AvgPool, layers.LpPool)):
            continue
        along, n = node.layer.axes(len(shapes[node.name]) - 2)[axis], shapes[node.operands[0]][2 + axis]
        before, after, reach = along.before, along.after, along.dilation * (along.kernel - 1)
        if before in (SAME_UPPER, SAME_LOWER):
            lacking = max(0, list(range(0, n, along.stride))[-1] + reach + 1 - n)
            before, after = 0, lacking  # however it is split
        ends = [start + reach for start in range(-before, n + after) if (start + before) % along.stride == 0]
        if n + after - 1 not in ends:
            return False
    return True


def brute(net, sizes):
    """The sizes that run, and those that moreover leave nothing over."""
    # a batch of no images has no mean; these layers change no sizes
    net = Network(replace(n, layer=ReLU() if isinstance(n.layer, (Activation, BatchNorm)) else n.layer) for n in net)
    found = {size: run(net, size) for size in sizes}
    valid = [size for size, shapes in found.items() if shapes]
    return valid, [size for size in valid if is_exact(net, found[size], 0)]


def agrees(net, sizes=SIZES):
    derived = size_sets(net, 0)
    assert [[n for n in sizes if n in each] for each in derived] == list(brute(net, sizes))
    return derived


# --- drawn networks ---------------------------------------------------------------------------------------------------


def drawn(seed):
    """A network on a line, of two channels all along: windows of all kinds, and up to two merges of branches."""
    rng = random.Random(seed)
    builder = Builder()
    builder.add(Input(2, ("W",)))

    def window(branch):
        k, s, d = rng.randint(1, 4), rng.choice([1, 1, 2, 2, 3]), rng.choice([1, 1, 1, 2])
        pads = (rng.randint(0, k // 2), rng.randint(0, k // 2))
        kind = rng.randrange(11 if branch else 12)
        if kind < 4:
            padding = rng.choice([(pads,), (pads,), SAME_UPPER, SAME_LOWER]) if k >= s else (pads,)
            return Conv(2, k, s, padding, d, rng.choice([1, 2]), bias=False)
        if kind < 6:
            return layers.MaxPool(k, s, pads[0], d, ceil_mode=rng.random() < 0.4)
        if kind < 8:
            return layers.AvgPool(k, s, pads[0], rng.random() < 0.4, rng.random() < 0.5)
        if kind < 9:
            return layers.LpPool(2, k, s, rng.random() < 0.4)
        if kind < 10:
            return layers.ConvTranspose(2, k, s, 0, rng.randrange(s), bias=False)
        if kind < 11:
            return layers.Pad(((rng.randint(-2, 2), rng.randint(-2, 2)),))
        return layers.Upsample(rng.randint(1, 2))

    def grow(count, branch=False):
        for _ in range(count):
            builder.add(window(branch))
            if rng.random() < 0.3:
                builder.add(layers.ReLU())

    grow(rng.randint(1, 3))
    for _ in range(rng.randint(0, 2)):
        split, ends = builder.last, []
        same = window(True) if rng.random() < 0.7 else None
        for _ in range(2):
            builder.last = split
            if same is None:
                grow(rng.randint(0, 2), True)
            else:  # branches that agree for some sizes at least
                builder.add(same)
                if rng.random() < 0.5:
                    builder.add(Conv(2, 2, 1, (rng.choice([(0, 1), (1, 0), (0, 0)]),), bias=False))
                    builder.add(Conv(2, 2, 1, (rng.choice([(0, 1), (1, 0), (0, 1)]),), bias=False))
            ends.append(builder.last)
        builder.add(rng.choice([layers.Add(), layers.Multiply()]), ends)
        grow(rng.randint(0, 1))
    if rng.random() < 0.3:  # halves of the channels, swapped
        split, ends = builder.last, []
        for start in (1, 0):
            builder.last = split
            ends.append(builder.add(layers.Slice(start, start + 1)))
        builder.add(layers.Concat(), ends)
    if rng.random() < 0.3:  # what is smaller, or larger, fitted to what stands before it
        split = builder.last
        builder.add(window(True))
        fitted = builder.add(rng.choice([layers.Resize(), layers.PadTo()]), [builder.last, split])
        builder.add(layers.Add(), [split, fitted])
    if rng.random() < 0.2:
        builder.add(layers.AdaptivePool(rng.randint(1, 7), rng.choice(["avg", "max"])))
    if rng.random() < 0.3:  # blocks of positions become channels, and channels blocks again
        block = rng.choice([2, 3])
        builder.add(layers.PixelUnshuffle(block))
        builder.add(layers.MaxPool(rng.randint(1, 3), 1))
        builder.add(layers.PixelShuffle(block))
    if rng.random() < 0.3:  # a gate, which may have one position at some sizes only
        split = builder.last
        builder.add(rng.choice([layers.GlobalPool(), layers.MaxPool(rng.randint(2, 9), ceil_mode=rng.random() < 0.5)]))
        builder.add(layers.Scale(), [split, builder.add(Conv(2, 1))])
    return builder.network()


@pytest.mark.parametrize("block", range(20))
def test_drawn_graphs(block):
    """10 graphs a block: derived and proved sets hold exactly the sizes from 1 to 600 that run."""
    for seed in range(10 * block, 10 * block + 10):
        net = drawn(seed)
        try:
            derived = agrees(net)
        except ShapeError:  # no size runs, and that is said at once
            assert brute(net, range(1, 601, 7)) == ([], [])
            continue
        proved = prove_sizes(net, 0)
        assert tuple(each.sizes for each in proved) == derived
        if seed % 5 == 0:
            for each in proved:
                assert not each.at_zero
                recheck.check(json.loads(json.dumps(proof_term(each.theorem))))


@pytest.mark.parametrize("seed", range(100))
def test_dilated_windows_under_same_padding(seed):
    """Their taps may lie on both sides of a small image."""
    rng = random.Random(seed)
    k, d, same = rng.randint(1, 4), rng.randint(1, 5), rng.choice([SAME_UPPER, SAME_LOWER])
    s = rng.randint(1, k)
    net = Network.chain(
        [Input(2, ("W",)), Conv(2, rng.randint(1, 2), rng.randint(1, 2)), layers.MaxPool(k, s, same, d)]
    )
    derived = agrees(net, range(1, 30))
    assert tuple(each.sizes for each in prove_sizes(net, 0)) == derived


@pytest.mark.parametrize(
    "text",
    [
        "POOL2 -> FLATTEN -> GN(G=4)",
        "CONV(K=3, F=2) -> FLATTEN -> SLICE(FROM=3, TO=20)",
        "POOL(F=3, S=2) -> FLATTEN -> SHUFFLE(G=6) -> FC-4",
        "POOL2 -> { ID | FLATTEN } SCALE",
        "{ FLATTEN -> SLICE(FROM=0, TO=7) | POOL2 -> FLATTEN } MUL",
        "{ POOL2 -> FLATTEN | CONV(K=2, F=3, S=2, P=1) -> FLATTEN } ADD -> { ID | FC-3 } CONCAT",
    ],
)
def test_vectors_as_long_as_the_image(text):
    agrees(network(f"INPUT[Wx2] -> {text}"), range(1, 200))


def test_the_first_size_at_which_branches_differ():
    """There the run stops at the merge that is named."""
    named = 0
    for net in map(drawn, range(150)):
        try:
            found = first_mismatch(net, 0)
        except ShapeError:
            continue
        if found is not None:
            size, merge = found
            named += 1
            assert size not in size_sets(net, 0)[0]
            name, why = stopped_at(net, size)
            assert (name, "must be" in why) == (merge, True)
    assert named > 20


def stopped_at(net, size):
    """The layer at which a run stops, and why."""
    try:
        execute.run(net, np.ones((1, 2, size)), draw=np.ones)
    except ShapeError as error:
        name, _, why = str(error).partition(": ")
        return name, why
    return "", ""


# --- networks that have a name ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ENTRIES)
def test_classics(name):
    """Square images of every size from 1 to 600, the deepest networks every third."""
    net = network(ENTRIES[name].notation)
    derived = agrees(net, SIZES if len(net) < 200 else range(1, 601, 3))
    proved = prove_sizes(net, "H")
    assert tuple(each.sizes for each in proved) == derived == size_sets(net, "W")


def test_a_unet_takes_multiples_of_16():
    net = network(ENTRIES["unet"].notation)
    for axis in ("H", "W"):
        valid, _ = prove_sizes(net, axis)
        assert [n for n in SIZES if n in valid.sizes] == list(range(16, 601, 16))
    with pytest.raises(ShapeError, match=r"^concat1: Concat: branches have shapes \(512, 71, 71\) and \(512, 70, 70\)"):
        output_shapes(net, Input(1, (570, 570)))
