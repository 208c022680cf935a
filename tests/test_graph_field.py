"""Fields over all paths of a graph, their alignment and the outputs that a position reaches, against running gradients.

The numeric wing runs on positive numbers, where no contribution cancels: the gradient is zero exactly where nothing is
read. A maximum would send it to one position only, so windows are convs and averages.
"""

import itertools
import random
import time
from dataclasses import replace

import numpy as np
import pytest
import sympy
from exactly import lies_within, rows, seen_by

from cases import VGG16
from convproof import autograd as ag
from convproof import execute
from convproof.architecture import SAME_UPPER, Network, Node, layers
from convproof.architecture.behaviour import Transposed
from convproof.architecture.notation import network
from convproof.errors import ShapeError, SpecError, Undecided
from convproof.symbolic import Field, FloorDiv, analyze, output_shape, output_shapes, receptive_field, symbols
from convproof.symbolic.dependence import reached
from convproof.symbolic.field import alignment
from convproof.symbolic.shapes import infer

ALEXNET_V2 = (  # TF-Slim's
    "CONV(K=64, F=11, S=4) -> POOL(F=3, S=2) -> CONV5-192 -> POOL(F=3, S=2) -> [CONV3-384]*2 -> CONV3-256 -> POOL(F=3, S=2)"
)

F, H, P, S, W, i = symbols("F H P S W i")


def dependence(net, sizes, name=None):
    """reads[o][i]: whether output o of a layer reads input i, positions as in the arrays without batch and channels."""
    return dict(rows(net, sizes, name))


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
        seen[node.name] = receptive_field(node.layer, [seen[o] for o in node.operands], inputs, shapes[node.name])
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
        matrix = np.array([read for _, read in sorted(dependence(net, (size,), name).items())])
        assert not matrix[:, : max(0, field.offset)].any()
        assert not matrix[:, max(0, field.offset + field.size) :].any()
    for position in range(size):
        assert list(reached(net, "W", position)) == [int(o) for o in np.flatnonzero(matrix[:, position])]
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
    check_reach(net, field, size)


def check_reach(net, field, size):
    """The field of the output holds what is read; what a position reaches is what reads it, and lies within."""
    matrix = np.array([read for _, read in sorted(dependence(net, (size,)).items())])
    assert all(lies_within(field, o, row) for o, row in enumerate(matrix))
    for position in range(size):
        outputs = [int(o) for o in np.flatnonzero(matrix[:, position])]
        assert list(reached(net, "W", position)) == outputs
        if field.jump != 0:
            first, last = field.reached(position)
            assert all(first <= o <= last for o in outputs)


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
    check_reach(net, field, size)


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
            first, last = seen_by(field, o)  # less what lies beyond the border
            assert (max(first, 0), min(last, 11)) == (read[0] * wide, read[-1] * wide + wide - 1)


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


# --- below an upsampling ----------------------------------------------------------------------------------------------


def read_by(layer, n):
    """Which of n positions each output of a layer depends on, as a 0-1 matrix: on every unit image, by a run."""
    if isinstance(layer, layers.Upsample) and layer.mode == "bilinear":
        places = (np.arange(n * layer.scale_factor) + 0.5) / layer.scale_factor - 0.5  # half-pixel centres
        rows = [np.interp(np.clip(places, 0, n - 1), range(n), one) for one in np.eye(n)]
        return (np.array(rows).T > 1e-9).astype(int)
    units, own = np.eye(n)[:, None], execute.LayerParameters({}, np.ones)
    return (execute.execute(layer, own, ag.tensor(units)).numpy().sum(axis=1).T > 0).astype(int)


def upsampling(rng):
    """A layer with more outputs than inputs, or as many."""
    if rng.random() < 0.6:
        return layers.Upsample(rng.randint(1, 3), rng.choice(["nearest", "bilinear"]))
    stride, kernel = rng.randint(1, 4), rng.randint(1, 5)
    return layers.ConvTranspose(
        1, kernel, stride, rng.randint(0, min(kernel - 1, 2)), dilation=rng.randint(1, 2), bias=False
    )


def strided(rng):
    """A window that may stride, with gaps or without."""
    return layers.Conv(1, rng.randint(1, 4), rng.randint(1, 3), rng.randint(0, 2), rng.randint(1, 2), bias=False)


def measured(chain, size):
    """Which of `size` positions each output of a chain depends on, as a 0-1 matrix."""
    table = np.eye(size, dtype=np.float32)
    for layer in chain:
        table = (read_by(layer, len(table)).astype(np.float32) @ table > 0).astype(np.float32)
    return table


@pytest.mark.parametrize("seed", range(150))
def test_fields_below_an_upsampling(seed):
    """The largest number of positions that an output away from borders depends on, and its first and last one; no
    position reaches more outputs.
    """
    rng = random.Random(seed)
    chain = [upsampling(rng), strided(rng)]
    for _ in range(rng.randint(0, 2)):
        chain.insert(rng.randint(0, len(chain)), rng.choice([strided, strided, upsampling])(rng))
    while len(chain) > 2 and np.prod([layer.stride for layer in chain if isinstance(layer, Transposed)]) > 8:
        chain.pop(rng.randrange(len(chain)))
    size = 240
    net = Network.chain([layers.Input(1, (size,)), *chain])
    (field,) = fields_of(net)[net.output.name]
    assert field.exact
    table = measured(chain, size)
    places = map(np.flatnonzero, table)
    read = [(int(each[0]), int(each[-1])) if each.size else None for each in places]
    central = [o for o in range(len(read)) if size / 3 < field.jump * o + field.offset < 2 * size / 3 - field.size]
    assert len(central) >= len(field.phases)
    assert [seen_by(field, o) for o in central] == [read[o] for o in central]
    assert field.size == max((last - first + 1 for first, last in filter(None, (read[o] for o in central))), default=0)
    for position in range(size // 2, size // 2 + 20):
        outputs = np.flatnonzero(table[:, position])
        first, last = field.reached(position)
        assert all(first <= o <= last for o in outputs)
        if all(getattr(layer, "dilation", 1) == 1 for layer in chain) and outputs.size:  # no gaps between taps
            assert (first, last) == (outputs[0], outputs[-1])


@pytest.mark.parametrize("seed", range(60))
def test_fields_of_drawn_u_nets(seed):
    """Down and up again, beside a way across: where the two meet, each output sees what it sees on both."""
    rng, factor = random.Random(seed), random.Random(seed).randint(2, 3)
    up = layers.Upsample(factor) if rng.random() < 0.5 else layers.ConvTranspose(2, rng.randint(factor, 5), factor)
    nodes = [
        Node("input", layers.Input(1, (240,))),
        Node("first", random_window(rng, 1), ("input",)),
        Node("down", layers.Conv(2, rng.randint(1, 4), factor, rng.randint(0, 2)), ("first",)),
        Node("middle", random_window(rng, 1), ("down",)),
        Node("up", up, ("middle",)),
        Node("fitted", layers.PadTo(), ("up", "first")),
        Node("join", rng.choice([layers.Concat(), layers.Add()]), ("fitted", "first")),
        Node("last", strided(rng), ("join",)),
    ]
    net = Network(nodes)
    (field,) = fields_of(net)["last"]
    assert field.exact
    tried, widest = 0, 0
    for (o,), depends in rows(net, (240,)):
        if 60 <= field.offset + field.jump * o < 180 - field.size:
            seen, tried = np.flatnonzero(depends), tried + 1
            assert seen_by(field, o) == (seen[0], seen[-1])
            widest = max(widest, seen[-1] - seen[0] + 1)
    assert tried >= len(field.phases)
    assert widest == field.size


@pytest.mark.parametrize("end", ["GLOBALAVGPOOL", "FC-3", "FLATTEN", "ADAPTIVEAVGPOOL(O=1)", "CONV(K=2, F=18)"])
def test_a_single_output_below_an_upsampling(end):
    """There is no second one, that would see further."""
    net = Network([*network(f"INPUT[9x9x1] -> UPSAMPLE2 -> {end}")])
    (field, _) = fields_of(net)[net.output.name]
    ((_, read),) = rows(net, (9, 9))
    assert seen_by(field, 0) == (0, 8)
    assert field.size == 9
    assert read.all()


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("UPSAMPLE2 -> CONV(K=1, F=999999999, P=999999999)", 500000000),
        ("UPCONV(K=1, F=999999999, S=2)", 500000000),
        ("UPCONV(K=1, F=999999999, S=2, D=1000)", 499999999001),
        ("ADAPTIVEAVGPOOL(O=2) -> UPSAMPLE2 -> CONV(K=1, F=999999999, P=999999999)", None),
    ],
)
def test_fields_of_huge_windows_end_in_a_moment(text, size):
    started = time.perf_counter()
    net = network(f"INPUT[9x9x3] -> {text}")
    (field, _) = fields_of(net)[net.output.name]
    assert size in (None, field.size)
    assert time.perf_counter() - started < 2


def test_a_field_below_an_upsampling_by_hand():
    net = network("INPUT[64x64x3] -> POOL2 -> CONV3-8 -> UPSAMPLE2 -> CONV(K=8,F=3,S=2,P=1)")
    (field, _) = fields_of(net)[net.output.name]
    assert (field.size, field.jump, field.exact) == (8, 2, True)
    net = network("INPUT[64x64x3] -> AVGPOOL2 -> CONV3-8 -> UPSAMPLE2 -> CONV(K=8,F=3,S=2,P=1)")
    widest = 0
    for _, read in rows(net, (16, 16)):
        seen = np.flatnonzero(read.any(axis=1))
        widest = max(widest, int(seen[-1] - seen[0] + 1))
    assert widest == 8


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


@pytest.mark.parametrize("before", [layers.Upsample(2), layers.Upsample(3), layers.ConvTranspose(1, 1, 2), layers.ConvTranspose(1, 3, 2, 1)],
                         ids=repr)  # fmt: skip
@pytest.mark.parametrize("after", [layers.Conv(1, "F", 2), layers.Conv(1, 3, "F", 1), layers.ConvTranspose(1, "F", 2),
                                   layers.ConvTranspose(1, 3, "F"), layers.GroupNorm(1)], ids=repr)  # fmt: skip
def test_letters_below_an_upsampling_are_bounds(before, after):
    """What each output sees in numbers lies within the interval in letters, which says that it is a bound."""

    def below(layer, size):
        (field,) = receptive_field(before, [(Field(),)], [(1, size)], output_shape(before, (1, size)))
        shape = output_shape(before, (1, size))
        return receptive_field(layer, [(field,)], [shape], output_shape(layer, shape))[0]

    bound = below(after, W if isinstance(after, layers.GroupNorm) else 20)
    assert not bound.exact
    assert not bound.phases
    for number in range(1, 6):
        numbers = {F: sympy.Integer(number), W: sympy.Integer(20)}
        values = (sympy.sympify(each).xreplace(numbers) for each in (bound.size, bound.jump, bound.offset))
        size, jump, offset = values
        given = {name: number for name, value in vars(after).items() if value == "F"}
        field = below(replace(after, **given), 20)
        assert field.exact
        for o in range(30):
            if (seen := seen_by(field, o)) is not None:
                assert offset + jump * o <= seen[0] <= seen[1] <= offset + jump * o + size - 1


def test_phases_beside_a_bound():
    """A merge of fields that differ in turn with one that is a bound is a bound of both."""
    shape = (1, 40)
    (turning,) = receptive_field(layers.Upsample(2), [(Field(),)], [(1, 20)], shape)
    loose = Field(3, sympy.Rational(1, 2), -1, exact=False)
    (union,) = receptive_field(layers.Add(), [(turning,), (loose,)], [shape, shape], shape)
    assert not union.exact
    for o in range(20):
        seen = [seen_by(turning, o), seen_by(loose, o)]
        first, last = seen_by(union, o)
        assert all(first <= a <= b <= last for a, b in seen)


def test_the_centre():
    assert Field(11, 4, -5).centre == 0
    assert Field(2, 2, 0).centre == sympy.Rational(1, 2)
    assert Field(F, S, -P).centre == sympy.expand((F - 1) / 2 - P)


# --- alignment --------------------------------------------------------------------------------------------------------


def aligned(text, size=32):
    net = network(f"INPUT[{size}x{size}x2] -> {text}")
    return alignment(infer(net))


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
    found = alignment(infer(net))
    assert found == {name: len(set(ends)) == 1 for name, ends in paths.items()}


def window(layer):
    if not isinstance(layer, (layers.Conv, layers.AvgPool)):
        return sympy.Integer(0), 1
    before = layer.padding[0][0] if isinstance(layer, layers.Conv) else 0
    dilation = getattr(layer, "dilation", 1)
    return sympy.Rational(dilation * (layer.kernel_size - 1), 2) - before, layer.stride


def test_both_answers_come_up():
    found = [alignment(infer(net)) for net in (random_graph(random.Random(n), SIZE) for n in range(60))]
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
BEFORE, STRIDED, SAME = layers.Pad(((1, 0), (1, 0))), layers.Conv(1, 3, 2), layers.Conv(1, 3, 2, SAME_UPPER)


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
    assert alignment(infer(net))[net.output.name] == (expected is not None)
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
    assert all(alignment(infer(net)).values())


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
            assert alignment(infer(net))["join"] == expected


def test_what_is_shifted_stays_shifted():
    found = aligned("{ CONV(K=2, F=2, S=2) | CONV(K=2, F=1, S=2) } ADD -> CONV3-2 -> { ID | CONV3-2 } ADD")
    assert [name for name, one in found.items() if not one] == ["add1", "conv3", "conv4", "add2"]


def test_alignment_in_letters():
    net = network("INPUT[WxWx2] -> { CONV(K=2, F=F, S=S, P=P) | CONV(K=2, F=F, S=S, P=P) -> RELU } ADD")
    assert alignment(infer(net))["add1"]
    net = network("INPUT[WxWx2] -> { CONV(K=2, F=F, P=P) | ID } ADD")
    with pytest.raises(Undecided, match=r"^add1: the branches are aligned only where -F/2 \+ P \+ 1/2 = 0$"):
        alignment(infer(net))


@pytest.mark.parametrize("size", [20, 21])
def test_fields_of_a_u_net_join(size):
    """Below an upsampling fields differ in turn, that of the skip does not; together they hold what is read."""
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
    assert (field.size, field.jump, field.offset, field.exact) == (6, 1, -3, True)
    widest = 0
    for (o,), read in dependence(net, (size,)).items():
        assert lies_within(field, o, read)
        seen = np.flatnonzero(read)
        widest = max(widest, seen[-1] - seen[0] + 1)
    assert widest == 6


@pytest.mark.parametrize(("axis", "position"), [("D", 0), ("H", 8), ("W", -1), (0, 0)])
def test_no_such_row(axis, position):
    with pytest.raises(SpecError, match=rf"^{axis}={position} is no row or column of the image \(8, 9\) \(H, W\)$"):
        reached(network("INPUT[9x8x3] -> CONV3-2"), axis, position)


def test_channels_as_positions_of_a_row_that_all_see_the_image():
    """A gate by a 1d convolution over pooled channels, on another number of axes than the image."""
    gate = [layers.GlobalPool(), layers.Reshape((1, 8)), layers.Conv(1, 3, 1, 1), layers.Reshape((8, 1, 1))]
    rows = analyze(Network.chain([layers.Input(4, (9, 9)), layers.Conv(8, 3), *gate])).rows
    assert [row.output for row in rows[-3:]] == [(1, 8), (1, 8), (8, 1, 1)]
    assert all(row.receptive_field == (9, 9) and row.receptive_field_exact for row in rows[-4:])
