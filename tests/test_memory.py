"""Memory of activations, against every order of random small graphs and the figures of the notes."""

import itertools
import random
import time

import networkx as nx
import pytest
import sympy

from cases import VGG16
from convproof.architecture import Network, Node, layers
from convproof.architecture.notation import network
from convproof.errors import Undecided
from convproof.symbolic import FloorDiv, analyze, memory, output_shapes, symbols
from convproof.symbolic.memory import peak, retained

C, H, K, W = symbols("C H K W")

IN_PLACE = (layers.ReLU, layers.Activation, layers.Dropout, layers.Flatten)


def random_graph(rng, sizes=(1,)):
    """Wide and narrow convs of 1x1 with what works in place, in branches of random length, and one sum at the end."""
    nodes = [Node("input", layers.Input(rng.randint(1, 4), sizes))]
    for number in range(rng.randint(3, 6)):
        layer = rng.choice(
            [layers.Conv(rng.randint(1, 20), 1), layers.Conv(rng.randint(1, 3), 1), layers.ReLU(), layers.BatchNorm()]
        )
        nodes.append(Node(f"layer{number}", layer, (rng.choice(nodes[-4:]).name,)))
    read = {name for node in nodes for name in node.operands}
    ends = [Node(f"end{n}", layers.Conv(1, 1), (node.name,)) for n, node in enumerate(nodes) if node.name not in read]
    return Network(
        [*nodes, *ends, *([Node("sum", layers.Add(), tuple(n.name for n in ends))] if len(ends) > 1 else [])]
    )


def simulated(net, order):
    """The peak of one order, store by store: what a layer makes, unless it overwrites what only it reads."""
    shapes = output_shapes(net)
    store = {}
    for node in net:  # operands come first
        alone = isinstance(node.layer, IN_PLACE) and len(list(net.graph.successors(node.operands[0]))) == 1
        store[node.name] = store[node.operands[0]] if alone else node.name
    size = {name: sympy.prod(shapes[name]) for name in set(store.values())}
    most, done, held = 0, set(), set()
    for name in order:
        held.add(store[name])
        most = max(most, sum(size[each] for each in held))
        done.add(name)
        unread = {store[o] for n in net for o in n.operands if n.name not in done}
        held = {each for each in held if each in unread}
    return most


@pytest.mark.parametrize("seed", range(60))
def test_the_best_order_is_the_best_of_all(seed):
    rng = random.Random(seed)
    net = random_graph(rng)
    found = peak(net)
    every = [simulated(net, order) for order in nx.all_topological_sorts(net.graph)]
    assert found.exact
    assert found.values == min(every) == simulated(net, found.order)


def test_some_of_these_graphs_have_orders_that_differ():
    worse = 0
    for seed in range(60):
        rng = random.Random(seed)
        net = random_graph(rng)
        worse += simulated(net, [node.name for node in net]) > peak(net).values
    assert worse >= 5


@pytest.mark.parametrize("seed", range(20))
def test_in_letters_it_is_that_of_numbers(seed):
    rng = random.Random(seed)
    net = random_graph(rng, ("W", "H"))
    found = peak(net)
    own = simulated(at(net, W=5, H=7), [node.name for node in net])
    assert max(int(values) for values in evaluated(found, W=5, H=7)) == own
    if found.exact:
        assert own == peak(at(net, W=5, H=7)).values


def at(net, **sizes):
    image = net.image
    return net.with_input(layers.Input(image.channels, tuple(sizes.get(n, n) for n in image.sizes)))


def evaluated(found, **numbers):
    values = {symbol: sympy.Integer(numbers[symbol.name]) for symbol in symbols(" ".join(numbers))}
    return [expression.xreplace(values) for expression, _ in found.candidates]


# --- figures ----------------------------------------------------------------------------------------------------------


def test_vgg16():
    """The notes: 15.2M values kept in training (they add up to 24M), reduced by a huge amount at test time: 2.4 times."""
    net = network(VGG16)
    found = peak(net)
    assert retained(net) == analyze(net).totals.values == 15_237_608
    assert (found.values, found.at, found.exact) == (2 * 64 * 224 * 224, "conv2", True)


def test_vgg16_in_letters():
    found = peak(network(VGG16.replace("224x224", "WxW")))
    assert [values for values, _ in found.candidates[:1]] == [128 * W**2]
    assert found.exact
    for width in (32, 33, 63, 64, 95, 224):
        expected = peak(network(VGG16.replace("224", str(width)))).values
        assert max(evaluated(found, W=width)) == expected


def test_vgg16_on_two_letters():
    started = time.perf_counter()
    body = VGG16.split(" -> [FC")[0].replace("224x224", "WxH")
    assert peak(network(body)).candidates == ((128 * H * W, "conv2"),)
    assert time.perf_counter() - started < 20


def test_retained_is_what_the_convention_counts():
    assert retained(network("INPUT[WxHx3] -> CONV3-8 -> RELU -> DROPOUT -> BN -> POOL2 -> FC-10")) == (
        3 * H * W + 16 * H * W + 8 * FloorDiv(H, 2) * FloorDiv(W, 2) + 10
    )


# --- what shares its place --------------------------------------------------------------------------------------------


def test_a_relu_that_is_not_the_only_reader_makes_a_copy():
    alone = peak(network("INPUT[8x8x2] -> CONV3-4 -> RELU -> BN"))
    shared = peak(network("INPUT[8x8x2] -> CONV3-4 -> { RELU | ID } ADD"))
    assert (alone.values, shared.values, shared.at) == (8 * 8 * 8, 12 * 64, "add1")


def test_a_skip_is_held_while_the_block_runs():
    block = "{ ID | CONV3-4 -> RELU -> CONV3-4 } ADD"
    assert peak(network(f"INPUT[8x8x4] -> {block} -> RELU")).values == 3 * 4 * 64
    assert peak(network("INPUT[8x8x4] -> CONV3-4 -> RELU -> CONV3-4")).values == 2 * 4 * 64


def test_an_operand_read_twice_is_held_once():
    net = Network([Node("input", layers.Input(3, (4,))), Node("sum", layers.Add(), ("input", "input"))])
    assert peak(net).values == 24


def test_the_wide_branch_goes_first():
    """Narrow results wait for the other branches, so the widest branch is best done while nothing waits."""
    net = network("INPUT[1x1x1] -> { CONV1-5 -> CONV1-2 | CONV1-9 -> CONV1-8 -> CONV1-2 } ADD")
    assert simulated(net, [node.name for node in net]) == 2 + 9 + 8
    found = peak(net)
    assert (found.values, found.at, found.exact) == (9 + 8 + 1, "conv4", True)
    assert found.order.index("conv3") < found.order.index("conv1")


# --- letters that leave it open ---------------------------------------------------------------------------------------


def test_candidates_that_cross():
    net = network("INPUT[WxWx3] -> CONV3-8 -> CONV3-9 -> POOL2 -> CONV3-99")
    found = peak(net)
    assert found.candidates == ((17 * W**2, "conv2"), (108 * FloorDiv(W, 2) ** 2, "conv3"))
    with pytest.raises(
        Undecided, match=r"^the peak is the larger of 17\*W\*\*2 \(at conv2\) and 108\*\(W//2\)\*\*2 \(at conv3\)"
    ):
        found.values  # noqa: B018
    for width in range(2, 30):
        assert max(evaluated(found, W=width)) == peak(at(net, W=width)).values


def test_floors_are_compared_residue_by_residue():
    """64*(W//2)^2 is at least 256*(W//4)^2, though 64*((W - 1)/2)^2 is less than 256*(W/4)^2."""
    net = network("INPUT[WxWx1] -> POOL2 -> CONV1-63 -> CONV1-1 -> POOL2 -> CONV1-255")
    assert peak(net).candidates == ((64 * FloorDiv(W, 2) ** 2, "conv1"),)
    assert (peak(net).values, peak(net).exact) == (64 * FloorDiv(W, 2) ** 2, True)
    for width in range(4, 20):
        assert peak(at(net, W=width)).values == 64 * (width // 2) ** 2


def test_filters_are_letters_too():
    found = peak(network("INPUT[WxWxC] -> CONV3-K -> RELU -> CONV3-K"))
    assert found.candidates == ((sympy.expand(W**2 * (C + K)), "conv1"), (2 * K * W**2, "conv2"))


def test_what_cannot_be_compared_is_said():
    """8*W^2 is at least 8*((W - F)//S + 1)^2 wherever F <= W, which is not among what is known of letters."""
    net = network("INPUT[WxWx8] -> CONV(K=8, F=F, S=S) -> CONV1-8")
    with pytest.raises(Undecided, match=r"^whether always .* >= .* is not known; give numbers for the letters$"):
        peak(net)
    assert peak(network("INPUT[WxWx8] -> CONV(K=8, F=F, S=S)")).at == "conv1"


def test_unknown_operations_have_no_memory():
    net = Network.chain([layers.Input(3, (8, 8)), layers.Unknown("Einsum"), layers.ReLU()])
    for question in (peak, retained):
        with pytest.raises(Undecided, match="Einsum"):
            question(net)


def test_one_letter_is_decided_however_late_the_order_settles():
    """3*W^2 - 96*W + 1248 is positive everywhere, though coefficients do not show it (SqueezeNet's first pool)."""
    net = network("INPUT[WxWx3] -> CONV(K=96, F=7, S=2) -> RELU -> POOL(F=3, S=2)")
    found = peak(net)
    assert [at for _, at in found.candidates] == ["conv1", "maxpool1"]
    for width in (*range(11, 80), 224):
        assert max(evaluated(found, W=width)) == peak(at(net, W=width)).values


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("image", ["WxW", "WxH"])
def test_no_candidate_is_missing(seed, image):
    """Chains whose sizes nearly tie: the largest candidate is the peak of the order of the text, at every size."""
    rng = random.Random(f"{seed}{image}")
    layers = ["CONV3-{}", "CONV(K={}, F=2, S=2)", "CONV(K={}, F=3, S=2, P=1)", "POOL2", "CONV1-{}"]
    depth, texts = rng.randint(1, 4), []
    for _ in range(rng.randint(2, 5)):
        chosen = rng.choice(layers)
        depth = depth if chosen == "POOL2" else max(1, depth * rng.choice([1, 2, 4]) + rng.choice([-1, 0, 0, 1]))
        texts.append(chosen.format(depth))
    net = network(f"INPUT[{image}x2] -> {' -> '.join(texts)}")
    try:
        found = peak(net)
    except Undecided:
        assert image == "WxH"
        return
    names = [node.name for node in net]
    for width, height in [(n, n) for n in range(32, 80)] + (
        [(n, 97 - n) for n in range(33, 60, 3)] if image == "WxH" else []
    ):
        own = simulated(at(net, W=width, H=height), names)
        assert max(evaluated(found, W=width, H=height)) == own
    far = {W: sympy.Integer(10**6 + 7), H: sympy.Integer(10**5 + 3)}
    for (one, _), (other, _) in itertools.permutations(found.candidates, 2):
        values = [
            one.xreplace(point) >= other.xreplace(point)
            for point in [far, *({W: sympy.Integer(n), H: sympy.Integer(n)} for n in range(1, 99))]
        ]
        assert not all(values)


def random_difference(rng):
    """A polynomial in letters and in floors of them, with coefficients that nearly cancel."""
    terms = [W, H, *(FloorDiv(x + rng.randint(-3, 4), rng.choice([2, 3, 4, 8])) for x in (W, H, W, H, W + H))]
    products = [rng.choice(terms) * rng.choice([1, *terms]) for _ in range(rng.randint(2, 4))]
    return sympy.expand(sum(rng.choice([-3, -1, 1, 2, 4, 16]) * each for each in products) + rng.randint(-2, 9))


def test_what_is_called_never_negative_is_not():
    """The three ways to show it, against a grid; and a lower bound is one."""
    verdicts = dict.fromkeys(("plain", "bound", "residues"), 0)
    for seed in range(120):
        rng = random.Random(seed)
        difference, low = random_difference(rng), {W: rng.randint(1, 5), H: rng.randint(1, 5)}
        bound = memory._lower_bound(difference, low)
        grid = [
            {W: sympy.Integer(low[W] + a), H: sympy.Integer(low[H] + b)}
            for a in (0, 1, 2, 3, 5, 30)
            for b in (0, 1, 2, 4, 7, 25)
        ]
        values = [difference.xreplace(point) for point in grid]
        assert all(
            below.xreplace(point) <= value
            for below in [sympy.expand(bound)]
            for point, value in zip(grid, values, strict=True)
        )
        shown = {
            "plain": memory._plain(difference, low),
            "bound": memory._plain(bound, low),
            "residues": memory._by_residues(difference, low),
        }
        for way, found in shown.items():
            verdicts[way] += found
            assert not found or min(values) >= 0
    assert min(verdicts.values()) > 10


# --- limits -----------------------------------------------------------------------------------------------------------


def wide(branches):
    """Branches with wide middles that leave one value each: the best order begins with the widest, here the last."""
    arms = " | ".join(f"CONV1-{9 + n % 7} -> CONV1-{9 + n} -> CONV1-1" for n in range(branches))
    return network(f"INPUT[1x1x1] -> {{ {arms} }} ADD")


def test_beyond_the_limits_it_is_an_upper_bound_and_says_so(monkeypatch):
    net = wide(4)
    best = peak(net)
    assert best.exact
    monkeypatch.setattr(memory, "MOST_STEPS", 20 * 14)
    bound = peak(net)
    assert not bound.exact
    assert bound.values >= best.values
    assert bound.values == simulated(net, bound.order)


def test_large_graphs_end_in_a_moment():
    started = time.perf_counter()
    assert not peak(wide(12)).exact
    assert not peak(wide(150)).exact
    assert peak(network("INPUT[8x8x3] -> [CONV3-8 -> RELU]*3000")).exact
    assert time.perf_counter() - started < 60
