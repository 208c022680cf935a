"""What a remainder leaves, row by row, against windows walked one by one and against running gradients."""

import itertools
import random
import re
import time
from dataclasses import replace

import numpy as np
import pytest

from cases import VGG16
from convproof import autograd as ag
from convproof import execute
from convproof.architecture import SAME_LOWER, SAME_UPPER, Network, Node, layers
from convproof.architecture.notation import network
from convproof.crosscheck import oracle
from convproof.errors import ConvproofError, Undecided
from convproof.symbolic import dependence as module
from convproof.symbolic.dependence import unseen
from convproof.symbolic.remainders import Border, Fit, borders, fits


def gradient(net, sizes):
    """What the sum of all outputs depends on, (*spatial): positive numbers, so that nothing cancels."""
    numbers = np.random.default_rng(1)
    x = numbers.uniform(0.5, 1.5, (1, net.image.channels, *sizes))
    activations, _ = execute.run(net, x, draw=lambda shape: numbers.uniform(0.5, 1.5, shape))
    x, y = activations[net.input.name], activations[net.output.name]
    return ag.grad(y, [x], np.ones(y.shape))[0].numpy()[0].sum(axis=0)


def without_influence(net, sizes):
    read = gradient(net, sizes) != 0
    return {
        name: tuple(i for i in range(n) if not read.take(i, axis).any())
        for axis, (name, n) in enumerate(zip("DHW"[-len(sizes) :], sizes, strict=True))
    }


CASES = list(itertools.product((1, 2, 3, 5), (1, 2, 3, 4, 7), ((0, 0), (1, 1), (0, 2), (4, 1)), (1, 2, 3)))


@pytest.mark.parametrize(("kernel", "stride", "pads", "dilation"), CASES)
def test_what_lies_after_the_last_window(kernel, stride, pads, dilation):
    for n in range(1, 15):
        walked = oracle.places(n, kernel, stride, pads, dilation)
        if not walked:
            continue
        after = range(walked[-1][-1] + 1, n + pads[1])
        found = borders(Network.chain([layers.Input(1, (n,)), layers.Conv(1, kernel, stride, (pads,), dilation)]))
        if not after:
            assert found == ()
            continue
        real = sum(0 <= i < n for i in after)
        (border,) = found
        assert (border.layer, border.axis, border.size) == ("conv1", "W", n)
        assert (border.remainder, border.real, border.padding) == (len(after), real, len(after) - real)

        def exact(before, behind, n=n):
            windows = oracle.places(n, kernel, stride, (pads[0] + before, pads[1] + behind), dilation)
            return windows[-1][-1] == n + pads[1] + behind - 1

        assert border.total == next(t for t in range(2 * stride) if exact(0, t))
        assert border.each == next((q for q in range(2 * stride) if exact(q, q)), None)
        assert (border.before, border.after, border.outputs) == (*pads, len(walked))
        check_advice(border, n, layers.Conv(1, kernel, stride, dilation=dilation))


def check_advice(border, n, layer):
    """The paddings that are advised leave no remainder, and make as many outputs as is said, by running."""
    said = re.findall(r"P=(\d+):(\d+) (makes|keeps) (\d+)", border.advice)
    assert [verb for _, _, verb, _ in said] == ["makes", "keeps"][: 1 + (border.after >= border.remainder)]
    for before, after, _, outputs in said:
        net = Network.chain([layers.Input(1, (n,)), replace(layer, padding=((int(before), int(after)),))])
        activations, _ = execute.run(net, np.ones((1, 1, n)), draw=np.ones)
        assert activations[net.output.name].shape[2:] == (int(outputs),)
        assert borders(net) == ()


def test_ceil_mode_reads_some_of_it():
    """torch's windows may stick out at the end: where they do, the remainder is read after all."""
    for kernel, stride, n in itertools.product((2, 3), (2, 3, 4, 5), range(3, 16)):
        net = Network.chain([layers.Input(1, (n,)), layers.AvgPool(kernel, stride, ceil_mode=True)])
        unread = np.flatnonzero(gradient(net, (n,)) == 0)
        last = np.flatnonzero(gradient(net, (n,)))[-1]
        for border in borders(net):
            assert border.real == sum(unread > last) == n - 1 - last
            assert border.padding == 0
            assert "P=" not in border.advice  # what more padding makes is another rule there


def random_net(rng, rank):
    nodes = [Node("input", layers.Input(1, tuple(rng.randint(5, 13) for _ in range(rank))))]

    def axis(low, high):
        return tuple(rng.randint(low, high) for _ in range(rank))

    def layer():
        pads = tuple((rng.randint(0, 2), rng.randint(0, 2)) for _ in range(rank))
        return rng.choice(
            [
                layers.Conv(2, axis(1, 3), axis(1, 4), pads, axis(1, 3)),
                layers.Conv(2, axis(1, 3), axis(1, 3)),
                layers.AvgPool(axis(1, 3), axis(1, 4), ceil_mode=rng.random() < 0.4),
                layers.ConvTranspose(2, axis(1, 3), axis(1, 3), 0),
                layers.ConvTranspose(2, axis(2, 4), axis(1, 2), 1),
                layers.Pad(tuple((rng.randint(-2, 2), rng.randint(-2, 2)) for _ in range(rank))),
                layers.Upsample(axis(1, 2)),
                layers.ReLU(),
                layers.Conv(2, 2, axis(1, 3), rng.choice([SAME_UPPER, SAME_LOWER])),
            ]
        )

    last = "input"
    for number in range(rng.randint(1, 4)):
        nodes.append(Node(f"layer{number}", layer(), (last,)))
        last = nodes[-1].name
    if rng.random() < 0.4:  # branches that stride alike, and read in different places
        strides, ends = axis(1, 3), []
        for branch in range(2):
            kernel = axis(1, 2)
            pads = tuple((b, k - 1 - b) for k in kernel for b in [rng.randint(0, k - 1)])
            nodes.append(Node(f"branch{branch}", layers.Conv(2, kernel, strides, pads), (last,)))
            ends.append(nodes[-1].name)
        nodes.append(Node("sum", layers.Add(), tuple(ends)))
        last = "sum"
    if rng.random() < 0.2:
        nodes.append(Node("end", rng.choice([layers.GlobalPool(), layers.Linear(3)]), (last,)))
    return Network(nodes)


@pytest.mark.parametrize("rank", [1, 2])
def test_rows_and_columns_without_influence(rank):
    tried = with_some = 0
    for seed in range(400):
        net = random_net(random.Random(seed), rank)
        try:
            expected = without_influence(net, net.image.sizes)
        except ConvproofError:  # sizes that do not go together
            continue
        assert unseen(net) == expected, net
        tried += 1
        with_some += any(expected.values())
    assert tried > 150
    assert with_some > 50


def test_pixels_that_make_no_rectangle():
    """One branch reads the first column, the other the first row of every second pixel: no row and no column of these is
    left out, and of the image every other one.
    """
    nodes = [
        Node("input", layers.Input(1, (11, 11))),
        Node("half", layers.Conv(1, 1, 2), ("input",)),
        Node("column", layers.Conv(1, (6, 1), (1, 6)), ("half",)),
        Node("row", layers.Conv(1, (1, 6), (6, 1)), ("half",)),
        Node("sum", layers.Add(), ("column", "row")),
    ]
    net = Network(nodes)
    odd = (1, 3, 5, 7, 9)
    assert unseen(net) == without_influence(net, (11, 11)) == {"H": odd, "W": odd}


def test_a_window_of_one_axis_in_padding_voids_the_other():
    """What lies in padding along one axis reads nothing along the other: sets of rows alone would not do."""
    pads = ((0, 0), (2, 0))
    nodes = [
        Node("input", layers.Input(1, (5, 4))),
        Node("all", layers.Conv(1, (5, 1), (1, 1), pads), ("input",)),  # its first two columns read nothing
        Node("cut", layers.Pad(((0, 0), (0, -4))), ("all",)),
        Node("row", layers.Conv(1, (1, 3), (5, 2)), ("input",)),
        Node("even", layers.Pad(((0, 0), (0, 1))), ("row",)),
        Node("sum", layers.Add(), ("cut", "even")),
    ]
    net = Network(nodes)
    assert unseen(net) == without_influence(net, (5, 4)) == {"H": (1, 2, 3, 4), "W": (3,)}


def test_windows_wholly_in_padding_read_nothing():
    net = Network.chain([layers.Input(1, (3, 4)), layers.Conv(1, (1, 1), (9, 1), ((1, 0), (0, 0)))])
    assert unseen(net) == without_influence(net, (3, 4)) == {"H": (0, 1, 2), "W": (0, 1, 2, 3)}


# --- what fits --------------------------------------------------------------------------------------------------------


def fits_walked(net, sizes, axis):
    """Whether every window of the network fits without remainder along an axis, by running it and walking windows."""
    x = np.ones((1, net.image.channels, *sizes))
    try:
        activations, _ = execute.run(net.with_input(layers.Input(net.image.channels, sizes)), x, draw=np.ones)
    except ConvproofError:
        return False
    for node in net:
        if isinstance(node.layer, (layers.Conv, layers.AvgPool, layers.MaxPool)):
            n = activations[node.operands[0]].shape[2 + axis]
            along = node.layer.axes(len(sizes))[axis]
            pads = (along.before, along.after)
            if oracle.places(n, along.kernel, along.stride, pads, along.dilation)[-1][-1] != n + pads[1] - 1:
                return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "CONV(K=2, F=11, S=4)",
        "CONV(K=2, F=3, S=2) -> POOL2",
        "CONV(K=2, F=4, S=3, P=1) -> POOL(F=3, S=2) -> CONV3-2",
        "{ POOL2 | CONV(K=2, F=1, S=2) } CONCAT",  # sizes that agree leave a remainder
        "{ POOL2 | CONV(K=2, F=4, S=2, P=1) } CONCAT -> POOL(F=2, S=3)",
        "CONV(K=2, F=5, S=4)",
    ],
)
def test_the_nearest_sizes_and_the_least_padding(text):
    for height, width in ((23, 24), (25, 26), (30, 21), (12, 40)):
        net = network(f"INPUT[{width}x{height}x2] -> {text}")
        for axis, (name, n) in enumerate((("H", height), ("W", width))):

            def good(size, axis=axis, net=net):
                return fits_walked(net, (size, 40) if axis == 0 else (40, size), axis)

            found = fits(net)[name]
            assert found.fits == good(n)
            assert found.below == next((m for m in range(n, 0, -1) if good(m)), None)
            assert found.above == next((m for m in range(n, n + 60) if good(m)), None)
            assert found.total == next((t for t in range(60) if good(n + t)), None)
            assert found.each == next((q for q in range(30) if good(n + 2 * q)), None)


def test_alexnets_first_layer():
    """The notes: 224 cannot work with 11 at stride 4; three zeros in all make it 227, and nothing on both sides does."""
    net = network("INPUT[224x224x3] -> CONV(K=96, F=11, S=4)")
    assert fits(net) == dict.fromkeys("HW", Fit(False, 223, 227, 3, None))
    assert borders(net)[0] == Border("conv1", "H", 224, 1, 1, 0, 3, None, 0, 0, 54)
    assert borders(net)[0].advice == "3 more of padding would fit (P=0:3 makes 55)"
    assert unseen(net) == {"H": (223,), "W": (223,)}


def test_vgg16_drops_nothing_and_near_it_what_the_pools_leave():
    assert borders(network(VGG16)) == ()
    assert unseen(network(VGG16)) == {"H": (), "W": ()}
    body = VGG16.split(" -> [FC")[0]
    off = network(body.replace("224x224", "230x224"))
    assert [(b.layer, b.axis, b.size, b.remainder, b.real) for b in borders(off)] == [
        ("maxpool2", "W", 115, 1, 1),
        ("maxpool3", "W", 57, 1, 1),
    ]
    assert unseen(off) == {"H": (), "W": ()}  # what a pool drops, the convs before it have mixed into its neighbours
    assert fits(off)["W"] == Fit(False, 224, 256, 26, 13)


def test_what_no_size_and_no_padding_fits():
    net = Network.chain(
        [layers.Input(1, (10,)), layers.MaxPool(2), layers.ConvTranspose(1, 2, 2), layers.Conv(1, 3, 2)]
    )
    assert fits(net)["W"] == Fit(False, None, None, None, None)
    net = network("INPUT[10x9x1] -> { POOL2 -> GLOBALAVGPOOL | GLOBALAVGPOOL } ADD")
    assert fits(net) == {"H": Fit(False, 8, 10, 1, None), "W": Fit(True, 10, 10, 0, 0)}


# --- what is not in numbers, and limits -------------------------------------------------------------------------------


def test_letters_are_refused():
    for question in (borders, unseen, fits):
        with pytest.raises(Undecided, match="W"):
            question(network("INPUT[WxWx3] -> CONV(K=8, F=3, S=2)"))
    for question in (borders, unseen):
        with pytest.raises(Undecided):
            question(network("INPUT[3x3x3] -> CONV(K=8, F=3, S=S)"))
    with pytest.raises(Undecided, match="Einsum"):
        unseen(Network.chain([layers.Input(3, (8, 8)), layers.Unknown("Einsum")]))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv(1, 3, padding=10**9),
        layers.Conv(1, 10**9, padding=10**9),
        layers.Conv(1, 2, 10**12, 10**12),
        layers.ConvTranspose(1, 2, 10**9),
        layers.Conv(1, 2, dilation=10**9, padding=10**9),
        layers.Upsample(10**9),
    ],
    ids=str,
)
def test_huge_windows_end_in_a_moment(layer):
    started = time.perf_counter()
    net = Network.chain([layers.Input(1, (8,)), layer])
    if isinstance(layer, layers.Conv) and layer.stride > 1:
        assert unseen(net) == {"W": (2, 3, 4, 5, 6, 7)}
    else:
        with pytest.raises(Undecided, match=r"^[^\n]* (limit|along an axis)$"):
            unseen(net)
    assert time.perf_counter() - started < 2


def test_sets_of_many_rectangles_are_bounded(monkeypatch):
    pair = [("column", layers.Conv(1, (5, 1), (1, 5))), ("row", layers.Conv(1, (1, 5), (5, 1)))]
    ends = [Node(name, layer, ("input",)) for name, layer in pair]
    net = Network([Node("input", layers.Input(1, (5, 5))), *ends, Node("sum", layers.Add(), ("column", "row"))])
    monkeypatch.setattr(module, "MOST_PRODUCTS", 2)
    assert unseen(net) == {"H": (), "W": ()}
    monkeypatch.setattr(module, "MOST_PRODUCTS", 1)
    with pytest.raises(Undecided, match=r"^input: the pixels that are read make up more than 1 rectangles$"):
        unseen(net)


def test_long_images_are_bounded():
    with pytest.raises(Undecided, match=r"^input: positions are told apart in up to 10000, not 10001, along an axis$"):
        unseen(network("INPUT[10001x8x1] -> CONV3-1"))
    started = time.perf_counter()
    assert unseen(network("INPUT[10000x9000x1] -> [CONV3-1 -> POOL2]*5")) == {"H": (), "W": ()}
    assert time.perf_counter() - started < 10
