"""Fields over all paths of a graph, their alignment and the outputs that a position reaches, against running gradients.

The numeric wing runs on positive numbers, where no contribution cancels: the gradient is zero exactly where nothing is
read. A maximum would send it to one position only, so windows are convs and averages.
"""

import itertools
import random

import numpy as np
import pytest
import sympy

from cases import VGG16
from convproof import autograd as ag
from convproof import execute
from convproof.architecture import Network, Node, layers
from convproof.architecture.notation import network
from convproof.errors import ShapeError, SpecError, Undecided
from convproof.symbolic import Field, FloorDiv, output_shapes, receptive_field, symbols
from convproof.symbolic.borders import reached
from convproof.symbolic.field import alignment

ALEXNET_V2 = (  # TF-Slim's
    "CONV(K=64, F=11, S=4) -> POOL(F=3, S=2) -> CONV5-192 -> POOL(F=3, S=2) -> [CONV3-384]*2 -> CONV3-256 -> POOL(F=3, S=2)"
)

F, H, P, S, W, i = symbols("F H P S W i")


def dependence(net, sizes, name=None):
    """reads[o][i]: whether output o of a layer reads input i, positions as in the arrays without batch and channels."""
    numbers = np.random.default_rng(0)
    x = numbers.uniform(0.5, 1.5, (1, net.image.channels, *sizes))
    activations, _ = execute.run(net, x, draw=lambda shape: numbers.uniform(0.5, 1.5, shape))
    x, y = activations[net.input.name], activations[name or net.output.name]
    reads = {}
    for o in np.ndindex(y.shape[2:]):
        one = np.zeros(y.shape)
        one[(0, slice(None), *o)] = 1
        reads[o] = ag.grad(y, [x], one)[0].numpy()[0].sum(axis=0) != 0
    return reads


def random_window(rng, keep=None):
    """A conv or average with any window, or one with stride `keep` that keeps n/stride outputs, rounded up."""
    if keep is None:
        kernel, dilation = rng.randint(1, 4), rng.randint(1, 3)
        pads = ((rng.randint(0, 2), rng.randint(0, 2)),)
        if rng.random() < 0.2:
            return layers.AvgPool(kernel, rng.randint(1, 3))
        return layers.Conv(2, kernel, rng.randint(1, 3), pads, dilation)
    kernel, dilation = rng.choice([1, 2, 3, 5]), rng.randint(1, 3)
    before = rng.randint(0, dilation * (kernel - 1))
    return layers.Conv(2, kernel, keep, ((before, dilation * (kernel - 1) - before),), dilation)


def random_graph(rng, size):
    """Windows in sequence and in branches of one pace, which ADD or CONCAT joins; branches may nest in sequence."""
    nodes = [Node("input", layers.Input(1, (size,)))]

    def add(layer, *operands):
        nodes.append(Node(f"layer{len(nodes)}", layer, operands))
        return nodes[-1].name

    last = "input"
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.4:
            last = add(random_window(rng), last)
            continue
        strides, split, ends = [rng.choice([1, 1, 2]) for _ in range(rng.randint(1, 2))], last, []
        for _ in range(rng.randint(2, 3)):
            last = split
            for stride in strides:
                last = add(random_window(rng, stride), last)
                last = add(layers.ReLU(), last) if rng.random() < 0.3 else last
            ends.append(last)
        last = add(rng.choice([layers.Add(), layers.Multiply(), layers.Concat()]), *ends)
    return Network(nodes)


def fields_of(net):
    """The field of the output along the first axis."""
    shapes, seen = output_shapes(net), {}
    for node in net:
        inputs = [shapes[o] for o in node.operands]
        seen[node.name] = receptive_field(node.layer, [seen[o] for o in node.operands], inputs)
    return seen


SIZE, LONG, MARGIN = 100, 250, 60


@pytest.mark.parametrize("seed", range(60))
def test_the_field_is_the_hull_of_the_gradient(seed):
    net = random_graph(random.Random(seed), LONG)
    (field,) = fields_of(net)[net.output.name]
    tried = 0
    for (o,), read in dependence(net, (LONG,)).items():
        first = field.offset + field.jump * o
        last = first + field.size - 1
        if first >= MARGIN and last < LONG - MARGIN:
            tried += 1
            assert (np.flatnonzero(read)[0], np.flatnonzero(read)[-1]) == (first, last)
    assert tried


@pytest.mark.parametrize("seed", range(40))
def test_a_position_reaches_what_depends_on_it(seed):
    """Exactly, at the borders and through dilated taps too; the interval of the field holds them all."""
    net = random_graph(random.Random(seed), SIZE)
    (field,) = fields_of(net)[net.output.name]
    reads = dependence(net, (SIZE,))
    for position in (0, 1, 2, *range(SIZE // 2, SIZE // 2 + 6), SIZE - 2, SIZE - 1):
        outputs = [o for (o,), read in reads.items() if read[position]]
        assert list(reached(net, "W", position)) == outputs
        first, last = field.reached(position)
        assert all(first <= o <= last for o in outputs)


@pytest.mark.parametrize("seed", range(20))
def test_behind_a_gate_every_output_sees_what_the_gate_sees(seed):
    """And what comes behind sees no more; a sum with what stands before the gate does not move either."""
    rng, size = random.Random(seed), 30
    nodes = [Node("input", layers.Input(1, (size,))), Node("x", random_window(rng), ("input",))]
    gate = "x" if rng.random() < 0.7 else "input"
    nodes += [Node("pool", layers.GlobalPool(), (gate,)), Node("gate", layers.Conv(2, 1), ("pool",))]
    nodes += [Node("channels", layers.Conv(2, 1), ("x",)), Node("scale", layers.Scale(), ("channels", "gate"))]
    norm = rng.choice([layers.GroupNorm(2), layers.InstanceNorm(), layers.ReLU()])
    nodes += [
        Node("norm", norm, ("scale",)),
        Node("after", random_window(rng, 1), ("norm",)),
        Node("sum", layers.Add(), ("after", "channels")),
    ]
    net = Network(nodes)
    seen = fields_of(net)
    for name in ("scale", "sum"):
        (field,) = seen[name]
        assert field.jump == 0
        rows = np.array([read for _, read in sorted(dependence(net, (size,), name).items())])
        assert not rows[:, : max(0, field.offset)].any()
        assert not rows[:, max(0, field.offset + field.size) :].any()
    for position in range(size):
        assert list(reached(net, "W", position)) == [int(o) for o in np.flatnonzero(rows[:, position])]
    with pytest.raises(Undecided, match="every output sees the"):
        seen["scale"][0].reached(0)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", [layers.Resize(), layers.PadTo()], ids=["resize", "pad"])
def test_what_is_fitted_to_a_size(seed, kind):
    """The interval of the field holds what is read, and no position reaches more outputs, or fewer, than read it."""
    rng, size = random.Random(seed), 40
    nodes = [Node("input", layers.Input(1, (size,))), Node("x", random_window(rng), ("input",))]
    nodes += [Node("like", random_window(rng), ("input",)), Node("fitted", kind, ("x", "like"))]
    net = Network([*nodes, Node("after", random_window(rng, 1), ("fitted",))])
    (field,) = fields_of(net)["after"]
    rows = np.array([read for _, read in sorted(dependence(net, (size,)).items())])
    for o, row in enumerate(rows):
        places = np.flatnonzero(row)
        first = field.offset + field.jump * o
        assert all(first <= place <= first + field.size - 1 for place in map(int, places))
    for position in range(size):
        assert list(reached(net, "W", position)) == [int(o) for o in np.flatnonzero(rows[:, position])]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", [layers.PixelShuffle(2), layers.PixelUnshuffle(3), layers.AdaptivePool],
                         ids=["shuffle", "unshuffle", "adaptive"])  # fmt: skip
def test_blocks_of_positions(seed, kind):
    rng = random.Random(seed)
    kind = kind(rng.randint(1, 12)) if kind is layers.AdaptivePool else kind
    several = [random_window(rng), layers.Conv(2, 1), kind, random_window(rng, 1)]

    def chain(size):
        net = Network.chain([layers.Input(1, (size,)), *several])
        try:
            output_shapes(net)
        except ShapeError:  # the blocks do not fill it
            return None
        return net

    size = next(size for size in range(37, 60) if chain(size))
    net = chain(size)
    (field,) = fields_of(net)[net.output.name]
    rows = np.array([read for _, read in sorted(dependence(net, (size,)).items())])
    for o, row in enumerate(rows):
        first = field.offset + field.jump * o
        assert all(first <= place <= first + field.size - 1 for place in map(int, np.flatnonzero(row)))
    for position in range(size):
        assert list(reached(net, "W", position)) == [int(o) for o in np.flatnonzero(rows[:, position])]


def test_a_single_position_is_no_factor():
    assert reached(network("INPUT[1x1] -> PAD(P=0:2)"), "W", 0) == (0,)


def test_bilinear_resizing_reads_the_positions_around():
    """As torch's bilinear interpolation does: 4 positions become 6, and 6 become 4."""
    for n, m, expected in (
        (4, 6, [[0], [0, 1], [1, 2], [1, 2], [2, 3], [3]]),
        (6, 4, [[0, 1], [1, 2], [3, 4], [4, 5]]),
    ):
        net = Network(
            [
                Node("input", layers.Input(1, (12,))),
                Node("x", layers.AvgPool(12 // n), ("input",)),
                Node("like", layers.AvgPool(12 // m), ("input",)),
                Node("fitted", layers.Resize("bilinear"), ("x", "like")),
            ]
        )
        wide = 12 // n
        for place in range(n):
            outputs = [o for o, read in enumerate(expected) if place in read]
            assert [list(reached(net, "W", place * wide + k)) for k in range(wide)] == [outputs] * wide
        (field,) = fields_of(net)["fitted"]
        for o, read in enumerate(expected):
            first = field.offset + field.jump * o
            assert first <= read[0] * wide
            assert read[-1] * wide + wide - 1 <= first + field.size - 1


def test_gates_see_all_in_letters_too():
    net = network("INPUT[WxWx4] -> CONV3-4 -> { ID | GLOBALAVGPOOL -> CONV1-4 } SCALE -> CONV3-4")
    (field, _) = fields_of(net)[net.output.name]
    (w,) = symbols("W")
    assert (field.size, field.jump, field.offset) == (w + 2, 0, -1)


@pytest.mark.parametrize(
    "text",
    [
        "[CONV3-2]*3",
        "CONV(K=2, F=7, S=2, P=3) -> AVGPOOL(F=3, S=2)",
        "{ CONV3-2 | ID } ADD -> AVGPOOL2 -> { CONV5-2 | CONV3-2 -> CONV3-2 } CONCAT",
        "{ CONV(K=2, F=3, S=2, P=1) | CONV(K=2, F=5, S=2, P=2) } ADD -> CONV3-2",
    ],
)
def test_the_projective_field_counts_outputs(text):
    """Where windows have no gaps and stride no further than they see, the interval is exactly what is reached."""
    image = layers.Input(2, (64,))
    net = Network(
        Node(n.name, n.layer if n.operands else image, n.operands) for n in network(f"INPUT[64x64x2] -> {text}")
    )
    (field,) = fields_of(net)[net.output.name]
    reads = dependence(net, (64,))
    for position in range(24, 40):
        first, last = field.reached(position)
        assert [o for (o,), read in reads.items() if read[position]] == list(range(first, last + 1))


def test_two_axes_of_a_graph():
    net = Network(
        [
            Node("input", layers.Input(1, (14, 12))),
            Node("a", layers.Conv(2, (3, 1), (2, 1), ((1, 1), (0, 0))), ("input",)),
            Node("b", layers.Conv(2, (1, 5), (2, 1), ((0, 0), (2, 2))), ("input",)),
            Node("sum", layers.Add(), ("a", "b")),
            Node("end", layers.AvgPool((2, 3), (1, 2)), ("sum",)),
        ]
    )
    reads = dependence(net, (14, 12))
    for axis, name in enumerate("HW"):
        for position in range((14, 12)[axis]):
            outputs = {o[axis] for o, read in reads.items() if read.take(position, axis).any()}
            assert set(reached(net, name, position)) == outputs


def test_transposed_layers_reach_too():
    for kernel, stride, padding in itertools.product((1, 2, 3, 4), (1, 2, 3), (0, 1)):
        if kernel <= 2 * padding:
            continue
        body = [
            layers.ConvTranspose(2, kernel, stride, padding),
            layers.Conv(1, 2),
            layers.Upsample(2),
            layers.Conv(1, 3, 2),
        ]
        net = Network.chain([layers.Input(1, (9,)), *body])
        reads = dependence(net, (9,))
        for position in range(9):
            assert list(reached(net, "W", position)) == [o for (o,), read in reads.items() if read[position]]


@pytest.mark.parametrize("factor", range(1, 6))
def test_bilinear_upsampling_reaches_what_has_weight(factor):
    net = Network.chain([layers.Input(1, (7,)), layers.Upsample(factor, "bilinear")])
    for position in range(7):
        one = np.eye(7)[position]
        places = np.clip((np.arange(7 * factor) + 0.5) / factor - 0.5, 0, 6)  # half-pixel centres
        assert list(reached(net, "W", position)) == np.flatnonzero(np.interp(places, range(7), one) > 1e-9).tolist()


# --- letters ----------------------------------------------------------------------------------------------------------


def test_the_projective_field_in_letters():
    (field,) = receptive_field(layers.Conv(1, "F", "S", "P"), [(Field(),)], [(1, W)])
    first, last = field.reached(i)
    assert last == FloorDiv(P + i, S)
    assert first == -FloorDiv(F - 1 - P - i, S)
    for f, s, p, position in itertools.product((1, 2, 5), (1, 2, 3), (0, 2), (7, 8, 9)):
        numbers = {F: sympy.Integer(f), S: sympy.Integer(s), P: sympy.Integer(p), i: sympy.Integer(position)}
        outputs = [o for o in range(-20, 40) if 0 <= position - (s * o - p) < f]
        if outputs:
            assert (first.xreplace(numbers), last.xreplace(numbers)) == (outputs[0], outputs[-1])


def test_the_centre():
    assert Field(11, 4, -5).centre == 0
    assert Field(2, 2, 0).centre == sympy.Rational(1, 2)
    assert Field(F, S, -P).centre == sympy.expand((F - 1) / 2 - P)


# --- alignment --------------------------------------------------------------------------------------------------------


def aligned(text, size=32):
    net = network(f"INPUT[{size}x{size}x2] -> {text}")
    return alignment(net, output_shapes(net))


@pytest.mark.parametrize("seed", range(60))
def test_centres_of_all_paths_coincide(seed):
    """Along every path, layer by layer: a window's middle is at stride*o + dilation*(kernel - 1)/2 - padding."""
    net = random_graph(random.Random(seed), SIZE)
    paths = {"input": [(sympy.Integer(0), 1)]}
    for node in net.nodes[1:]:
        ends = [path for name in node.operands for path in paths[name]]
        paths[node.name] = [
            (centre + jump * middle, jump * step) for centre, jump in ends for middle, step in [window(node.layer)]
        ]
    found = alignment(net, output_shapes(net))
    assert found == {name: len(set(ends)) == 1 for name, ends in paths.items()}


def window(layer):
    if not isinstance(layer, (layers.Conv, layers.AvgPool)):
        return sympy.Integer(0), 1
    before = layer.padding[0][0] if isinstance(layer, layers.Conv) else 0
    dilation = getattr(layer, "dilation", 1)
    return sympy.Rational(dilation * (layer.kernel_size - 1), 2) - before, layer.stride


def test_both_answers_come_up():
    found = [alignment(net, output_shapes(net)) for net in (random_graph(random.Random(n), SIZE) for n in range(60))]
    last = [list(each.values())[-1] for each in found]
    assert 10 < sum(last) < 50


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ CONV3-2 -> CONV3-2 | ID } ADD", True),
        ("{ CONV(K=2, F=3, S=2, P=1) -> CONV3-2 | CONV(K=2, F=1, S=2) } ADD", True),  # ResNet's projection
        ("{ CONV(K=2, F=2, S=2) | CONV(K=2, F=1, S=2) } ADD", False),
        ("{ POOL2 | CONV(K=2, F=3, S=2, P=1) } CONCAT", False),
        ("{ GLOBALAVGPOOL | POOL2 -> GLOBALAVGPOOL } CONCAT", True),
        ("{ POOL(F=2, S=2) -> POOL(F=1, S=1) | POOL(F=1, S=1) -> POOL(F=2, S=2) } ADD", True),
    ],
)
def test_known_alignments(text, expected):
    assert list(aligned(text).values())[-1] == expected


def two_paths(size, *pairs):
    """A square image, and for every pair a layer and a chain beside it, added."""
    nodes = [Node("input", layers.Input(1, (size, size)))]
    for number, (left, right) in enumerate(pairs):
        split = last = nodes[-1].name
        for place, layer in enumerate(right):
            nodes.append(Node(f"right{number}.{place}", layer, (last,)))
            last = nodes[-1].name
        nodes += [Node(f"left{number}", left, (split,)), Node(f"sum{number}", layers.Add(), (f"left{number}", last))]
    return Network(nodes)


SHORT, SHORTER = layers.Conv(1, 1, 4), layers.Conv(1, 1, 2)
BEFORE, STRIDED, SAME = layers.Pad(((1, 0), (1, 0))), layers.Conv(1, 3, 2), layers.Conv(1, 3, 2, layers.SAME_UPPER)


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (two_paths(8, (SHORT, [BEFORE, STRIDED, SHORTER])), Field(3, 4, -1)),
        (two_paths(8, (SHORT, [BEFORE, layers.MaxPool(3, 2), layers.MaxPool(1, 2)])), Field(3, 4, -1)),
        (two_paths(8, (layers.Conv(1, 5, 2, ((2, 1), (2, 1))), [layers.Conv(1, 3), layers.Conv(1, 3)])), None),
        (two_paths(9, (SHORT, [SAME, SHORTER])), Field(3, 4, -1)),
        (two_paths(8, (SHORT, [SAME, SHORTER])), None),
        (two_paths(16, (SHORT, [BEFORE, STRIDED, SHORTER]), (SHORTER, [BEFORE, STRIDED])), Field(11, 8, -5)),
        (two_paths(17, (SHORT, [SAME, SHORTER]), (SHORTER, [SAME])), Field(11, 8, -5)),
    ],
)
def test_published_alignments(net, expected):
    """The networks that google-research/receptive_field is tested with: size, stride and -padding, or not aligned."""
    assert alignment(net, output_shapes(net))[net.output.name] == (expected is not None)
    if expected:
        assert fields_of(net)[net.output.name] == (expected, expected)


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        (VGG16.split(" -> [FC")[0], 224, Field(212, 32, -90)),
        (VGG16.split(" -> [FC")[0], 321, Field(212, 32, -90)),
        (ALEXNET_V2, 224, Field(195, 32, -64)),
        (ALEXNET_V2, 321, Field(195, 32, -64)),
    ],
)
def test_published_fields(text, size, expected):
    """google-research/receptive_field's table: field, effective stride and effective padding of the last pool."""
    net = network(text, layers.Input(3, (size, size)))
    assert fields_of(net)[net.output.name] == (expected, expected)
    assert all(alignment(net, output_shapes(net)).values())


def test_a_u_net_is_aligned():
    """Down by a pool, up by repetition or interpolation: the centres meet again half way between two outputs."""
    for up in (
        layers.Upsample(2),
        layers.Upsample(2, "bilinear"),
        layers.ConvTranspose(2, 2, 2),
        layers.ConvTranspose(2, 4, 2, 1),
    ):
        for kernel, expected in ((2, True), (1, False)):
            nodes = [
                Node("input", layers.Input(2, (16, 16))),
                Node("down", layers.MaxPool(kernel, 2), ("input",)),
                Node("up", up, ("down",)),
                Node("join", layers.Concat(), ("up", "input")),
            ]
            net = Network(nodes)
            assert alignment(net, output_shapes(net))["join"] == expected


def test_what_is_shifted_stays_shifted():
    found = aligned("{ CONV(K=2, F=2, S=2) | CONV(K=2, F=1, S=2) } ADD -> CONV3-2 -> { ID | CONV3-2 } ADD")
    assert [name for name, one in found.items() if not one] == ["add1", "conv3", "conv4", "add2"]


def test_alignment_in_letters():
    net = network("INPUT[WxWx2] -> { CONV(K=2, F=F, S=S, P=P) | CONV(K=2, F=F, S=S, P=P) -> RELU } ADD")
    assert alignment(net, output_shapes(net))["add1"]
    net = network("INPUT[WxWx2] -> { CONV(K=2, F=F, P=P) | ID } ADD")
    with pytest.raises(Undecided, match=r"^add1: the branches are aligned only where F/2 - P - 1/2 = 0$"):
        alignment(net, output_shapes(net))


@pytest.mark.parametrize("size", [20, 21])
def test_fields_of_a_u_net_join(size):
    """The fields below an upsampling are in fractions, that of the skip is not; together they hold what is read."""
    up = [Node("up", layers.Upsample(2), ("down",)), Node("even", layers.Pad(((0, size % 2),)), ("up",))]
    nodes = [
        Node("input", layers.Input(1, (size,))),
        Node("first", layers.Conv(2, 3, padding=1), ("input",)),
        Node("down", layers.AvgPool(2), ("first",)),
        *up,
        Node("join", layers.Concat(), ("even", "first")),
        Node("last", layers.Conv(2, 3, padding=1), ("join",)),
    ]
    net = Network(nodes)
    (field,) = fields_of(net)["last"]
    assert field == Field(7, 1, -3)
    widest = 0
    for (o,), read in dependence(net, (size,)).items():
        seen = np.flatnonzero(read)
        assert field.offset + o <= seen[0] <= seen[-1] <= field.offset + o + field.size - 1
        widest = max(widest, seen[-1] - seen[0] + 1)
    assert widest == 6


@pytest.mark.parametrize(("axis", "position"), [("D", 0), ("H", 8), ("W", -1), (0, 0)])
def test_no_such_row(axis, position):
    with pytest.raises(SpecError, match=rf"^{axis}={position} is no row or column of the image \(8, 9\) \(H, W\)$"):
        reached(network("INPUT[9x8x3] -> CONV3-2"), axis, position)
