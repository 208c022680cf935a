"""Notation of every layer, and what is written is read again."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from convproof import execute
from convproof.architecture import SAME_LOWER, SAME_UPPER, Input, Network, Node, layers
from convproof.architecture.fields import is_letter
from convproof.architecture.notation import WORDS, Branches, Chain, Optional, Repeat, built, network, parse
from convproof.architecture.printing import to_notation
from convproof.errors import NotationError, SpecError
from kinds import LAYERS

# --- words ------------------------------------------------------------------------------------------------------------

READ = [
    ("CONV(K=8, F=3, B=0)", layers.Conv(8, 3, bias=False)),
    ("CONV(K=8, F=3, B=1)", layers.Conv(8, 3)),
    ("CONV(K=8, F=3, P=1x2)", layers.Conv(8, 3, padding=(2, 1))),
    ("CONV(K=8, F=3, P=1:2x0:3)", layers.Conv(8, 3, padding=((0, 3), (1, 2)))),
    ("CONV(K=8, F=3, P=1:2xA)", layers.Conv(8, 3, padding=("A", (1, 2)))),
    ("CONV(K=8, F=3x, P=A:B)", layers.Conv(8, (3,), padding=(("A", "B"),))),
    ("CONV(K=8, F=3, P=SAME)", layers.Conv(8, 3, padding=SAME_UPPER)),
    ("POOL(F=3, P=SAME_LOWER)", layers.MaxPool(3, padding=SAME_LOWER)),
    ("POOL(F=3, S=2, D=2, CEIL=1)", layers.MaxPool(3, 2, dilation=2, ceil_mode=True)),
    ("AVGPOOL(F=3, S=2, P=1, CEIL=1, PAD=0)", layers.AvgPool(3, 2, 1, True, False)),
    ("LPPOOL(F=2, S=1)", layers.LpPool(2, 2, 1)),
    ("LPPOOL(F=2, N=1.5, CEIL=1)", layers.LpPool(1.5, 2, ceil_mode=True)),
    ("GLOBALMAXPOOL", layers.GlobalPool("max")),
    ("UPCONV(K=8, F=4, S=2, P=1, D=1, G=2, O=1, B=0)", layers.ConvTranspose(8, 4, 2, 1, 1, 2, False, 1)),
    ("UPSAMPLE2", layers.Upsample(2)),
    ("UPSAMPLE(S=2x3, MODE=BILINEAR)", layers.Upsample((3, 2), "bilinear")),
    ("PAD(P=-1:2x0:-3)", layers.Pad(((0, -3), (-1, 2)))),
    ("PAD(-4)", layers.Pad(-4)),
    ("PAD(Ax-1)", layers.Pad((-1, "A"))),
    ("FC(K=10, B=0)", layers.Linear(10, bias=False)),
    ("LRN(N=3, ALPHA=0.001, BETA=0.5, K=1)", layers.LocalResponseNorm(3, 0.001, 0.5, 1)),
    ("BN(EPS=0.001)", layers.BatchNorm(0.001)),
    ("DROPOUT(0.2)", layers.Dropout(0.2)),
    ("AFFINE", layers.Affine()),
    ("AFFINE(SHIFT=0)", layers.Affine(shift=False)),
    ("PIXELSHUFFLE(S=2)", layers.PixelShuffle(2)),
    ("PIXELUNSHUFFLE(S=r)", layers.PixelUnshuffle("r")),
    ("ADAPTIVEAVGPOOL(O=7)", layers.AdaptivePool(7)),
    ("ADAPTIVEMAXPOOL(O=3x5)", layers.AdaptivePool((5, 3), "max")),
    ("GN(G=8)", layers.GroupNorm(8)),
    ("IN(A=0)", layers.InstanceNorm(affine=False)),
    ("SHUFFLE(G=3)", layers.ChannelShuffle(3)),
    ("SLICE(FROM=0, TO=3)", layers.Slice(0, 3)),
    ("SIGMOID", layers.Activation("sigmoid")),
    ("LEAKY_RELU", layers.Activation("leaky_relu")),
    ("ACTIVATION(mish)", layers.Activation("mish")),
    ("UNKNOWN(ai.onnx::Einsum)", layers.Unknown("ai.onnx::Einsum")),
]


@pytest.mark.parametrize(("text", "layer"), READ)
def test_words_and_their_arguments(text, layer):
    assert parse(text) == Chain((layer,))


def test_every_kind_has_a_word():
    assert {word.kind for word in WORDS.values()} == set(layers.KINDS) - {layers.Input, *layers.MERGES}


@pytest.mark.parametrize(("text", "padding"), [("P=0:1", ((0, 1), (0, 1))), ("P=0:1x2", (2, (0, 1))), ("P=1", 1)])
def test_a_single_pair_stands_for_every_axis(text, padding):
    assert network(f"INPUT[8x8x3] -> CONV(K=8, F=3, {text})").nodes[1].layer.padding == padding


def test_branches_may_join_in_what_is_unknown():
    net = network("INPUT[8x8x3] -> { ID | GLOBALAVGPOOL } UNKNOWN(Mul)")
    assert net.output == Node("unknown1", layers.Unknown("Mul"), ("input", "globalpool1"))


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("RELU -> CONV(K=3, F=3, B=2)", 9, "CONV: B=2 must be 0 or 1"),
        ("POOL(F=3, CEIL=yes)", 1, "POOL: CEIL=yes must be 0 or 1"),
        ("BN(EPS=small)", 1, "BN: EPS=small is not a number; write it like 0.5"),
        ("DROPOUT(P=" + "9" * 400 + ")", 1, f"DROPOUT: P={'9' * 20} is not a number; write it like 0.5"),
        ("AVGPOOL(F=1:2)", 1, "'1:2' is not a size: write a number or a letter (no x in it), or several joined by x"),
        ("CONV(K=3, F=3, P=1:2:3)", 1,
         "'1:2:3' is not a size: write a number or a letter (no x in it), or several joined by x"),
        ("CONV(K=3, F=3x3x)", 1, "'3x3x' is not a size: write a number or a letter (no x in it), or several joined by x"),
        ("CONV(K=3, F=3, P=-1:0)", 1, "Conv: padding=-1 is too small; it must be at least 0"),
        ("CONV(K=3, F=3, P=same)", 1, "Conv: padding='same' is no letter; use a number or a name such as 'W'"),
        ("CONV(K=3, F=3, S=SAME)", 1, "Conv: stride='SAME' is no letter; use a number or a name such as 'W'"),
        ("UPSAMPLE(S=2, MODE=CUBIC)", 1, "Upsample: mode='cubic' must be 'nearest', 'bilinear' or 'other'"),
        ("AFFINE(SCALE=0, SHIFT=0)", 1, "Affine: scale and shift must be True or False, and not both False"),
        ("RELU -> PAD", 9, "PAD needs its numbers: PAD(P=...)"),
        ("POOL2(S=1)", 1, "POOL2 takes no arguments"),
        ("ID(3)", 1, "ID takes no arguments"),
        ("RELU -> ADD", 9, "ADD joins branches; write { A | B } ADD"),
        ("{ RELU | ID } ADD(3)", 15, "ADD: BROADCAST=3 must be 0 or 1"),
        ("{ RELU | ID } UNKNOWN", 15, "UNKNOWN needs its numbers: UNKNOWN(OP=...)"),
        ("UNKNOWN(F=3)", 1, "UNKNOWN has no argument F; it takes OP"),
        ("CONV(K=3, F=3 3)", 15, "'3' cannot stand here; layers are joined by '->'"),
        ("[" * 25 + "RELU" + "]*1" * 25 + "*1", 105, "brackets and repetitions nest deeper than 50, the limit"),
    ],
)  # fmt: skip
def test_errors_name_the_column(text, column, problem):
    with pytest.raises(NotationError) as caught:
        parse(text)
    assert (caught.value.column, caught.value.problem) == (column, problem)


def test_what_nests_as_deep_as_may_be_is_built():
    deepest = "[" * 25 + "RELU" + "]*1" * 25
    assert len(network(f"INPUT[8x8x3] -> {deepest}")) == 2
    assert to_notation(parse(deepest)) == deepest


# --- what is written is read again ------------------------------------------------------------------------------------

letters = st.from_regex(r"[A-Za-wyz][A-Za-wyz0-9_]{0,3}", fullmatch=True).filter(is_letter)
flags = st.booleans()
reals = st.floats(-1e3, 1e3) | st.integers(0, 9)


def counts(least=1):
    return st.integers(least, 2_000) | letters


given_counts = st.none() | counts()


def axes(each):
    return each | st.lists(each, min_size=1, max_size=3).map(tuple)


def pads(least=0):
    each = counts(least)
    return axes(each) | st.lists(each | st.tuples(each, each), min_size=1, max_size=3).map(tuple)


paddings = pads() | st.sampled_from([SAME_UPPER, SAME_LOWER])
windows = {"kernel_size": axes(counts()), "stride": axes(counts()), "padding": paddings}
pools = {**windows, "ceil_mode": flags, "stride": windows["stride"] | st.none()}
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.]{0,9}", fullmatch=True)


@st.composite
def convs(draw, kind, **more):
    groups = draw(st.just(1) | counts())
    channels = draw(counts()) if not isinstance(groups, int) else groups * draw(st.integers(1, 9))
    fields = {"dilation": axes(counts()), "bias": flags, **windows, **more}
    reads = (
        draw(given_counts)
        if not isinstance(groups, int)
        else draw(st.none() | st.integers(1, 9).map(lambda n: n * groups))
    )
    return kind(
        out_channels=channels, groups=groups, in_channels=reads, **{name: draw(each) for name, each in fields.items()}
    )


several = st.one_of(
    convs(layers.Conv),
    convs(layers.ConvTranspose, output_padding=axes(counts(0)), padding=pads()),
    st.builds(layers.Conv, counts(), st.sampled_from([1, 3, 5]), padding=st.sampled_from([0, 1, 2])),
    st.builds(layers.Pad, pads(-9), st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    st.builds(layers.Upsample, axes(counts()), st.sampled_from(["nearest", "bilinear"])),
    st.builds(layers.MaxPool, dilation=axes(counts()), **pools),
    st.builds(layers.AvgPool, count_include_pad=flags, **pools),
    st.builds(
        layers.LpPool,
        st.floats(0.1, 9) | st.integers(1, 9),
        pools["kernel_size"],
        pools["stride"],
        ceil_mode=pools["ceil_mode"],
    ),
    st.builds(layers.AdaptivePool, axes(counts()), st.sampled_from(["avg", "max"])),
    st.builds(layers.GlobalPool, st.sampled_from(["avg", "max"])),
    st.builds(layers.Linear, counts(), flags, given_counts),
    st.builds(layers.Reshape, st.lists(counts(), min_size=1, max_size=4).map(tuple), flags),
    st.builds(layers.Activation, st.sampled_from(["sigmoid", "tanh", "mish"]) | names),
    st.builds(layers.Unknown, names),
    st.builds(layers.Dropout, st.floats(0, 1)),
    st.builds(layers.BatchNorm, reals, given_counts),
    st.builds(layers.GroupNorm, counts(), reals, flags, given_counts),
    st.builds(layers.InstanceNorm, reals, flags, given_counts),
    st.builds(layers.LocalResponseNorm, counts(), reals, reals, reals),
    st.builds(layers.Affine, flags, num_features=given_counts) | st.builds(layers.Affine, st.just(True), flags),
    st.builds(layers.ChannelShuffle, counts()),
    st.builds(layers.PixelShuffle, counts()) | st.builds(layers.PixelUnshuffle, counts()),
    st.builds(layers.Slice, letters | st.integers(0, 4), letters | st.integers(5, 9)),
    st.builds(layers.Input, counts(), st.lists(counts(), min_size=1, max_size=3).map(tuple)),
    st.sampled_from([layers.ReLU(), layers.Flatten(), layers.Softmax()]),
)
merges = st.sampled_from(
    [
        *(kind(flag) for kind in (layers.Add, layers.Multiply) for flag in (False, True)),
        layers.Concat(),
        layers.Unknown("Mul"),
    ]
)
pairs = st.sampled_from([layers.Scale(), layers.PadTo(), layers.Resize(), layers.Resize("bilinear")])


def chains(items):
    return st.lists(items, min_size=1, max_size=4).map(tuple).map(Chain)


def items(leaves, patterns):
    """Trees as `parse` makes them: branches are chains, and chains are empty only as ID."""
    repeats = st.integers(0, 3) | letters if patterns else st.integers(0, 3)

    def larger(smaller):
        branches = st.lists(chains(smaller), min_size=2, max_size=3).map(tuple)
        two = st.lists(chains(smaller), min_size=2, max_size=2).map(tuple)
        found = [chains(smaller), st.builds(Repeat, smaller, repeats), st.builds(Branches, branches, merges)]
        found.append(st.builds(Branches, two, pairs))
        return st.one_of(*found, st.builds(Optional, smaller)) if patterns else st.one_of(*found)

    return st.recursive(leaves | st.just(Chain(())), larger, max_leaves=12)


@given(several)
def test_layers_are_read_again(layer):
    assert parse(to_notation(layer)) == Chain((layer,))


@given(chains(items(several, patterns=True)))
@settings(deadline=None)
def test_trees_are_read_again(tree):
    text = to_notation(tree)
    assert parse(text) == tree
    assert to_notation(parse(text)) == text


def unfolded(net, name=None):
    """A network from its output back, without names: equal exactly where the same layers read the same layers."""
    node = {n.name: n for n in net}[name or net.output.name]
    return (node.layer, *(unfolded(net, each) for each in node.operands))


plain = st.sampled_from([layers.ReLU(), layers.Flatten(), layers.Softmax()])


@given(chains(items(plain, patterns=False)), st.randoms())
@settings(deadline=None)
def test_networks_are_read_again(tree, random):
    net = built(Chain((Input(3, (8, 8)), tree)))
    again = network(to_notation(net))
    assert again == net  # layer by layer, in the same places
    nodes = [Node(f"n{random.random()} {n.name}", n.layer, n.operands) for n in net]
    named = {node.name.split()[1]: node.name for node in nodes}
    nodes = [Node(n.name, n.layer, tuple(named[each] for each in n.operands)) for n in nodes]
    random.shuffle(nodes)
    other = network(to_notation(Network(nodes)))
    assert unfolded(other) == unfolded(net)
    assert len(other) == len(net)


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind not in layers.MERGES], ids=lambda kind: kind.__name__)
def test_a_layer_of_every_kind_is_read_again(kind):
    layer, _ = LAYERS[kind]
    assert parse(to_notation(layer)) == Chain((layer,))


# --- how it is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("CONV(F=3, P=1, K=64, S=1)", "CONV3-64"),
        ("CONV(K=64, F=3)", "CONV(K=64, F=3)"),
        ("CONV(K=64, F=4, P=1)", "CONV(K=64, F=4, P=1)"),
        ("POOL(F=2, S=2)", "POOL2"),
        ("POOL(F=2, S=1)", "POOL(F=2, S=1)"),
        ("AVGPOOL(7)", "AVGPOOL7"),
        ("UPSAMPLE(S=2, MODE=NEAREST)", "UPSAMPLE2"),
        ("FC(K=N)", "FC-N"),
        ("LPPOOL(F=2, N=2)", "LPPOOL(F=2)"),
        ("BN(EPS=0.00001)", "BN"),
        ("BN(EPS=0.0000001)", "BN(EPS=0.0000001)"),
        ("ACTIVATION(tanh)", "TANH"),
        ("CONV(K=8, F=3, P=0:1)", "CONV(K=8, F=3, P=0:1)"),
        ("[[RELU]] -> [ID]*N -> BN?", "[[RELU]] -> [ID]*N -> BN?"),
        ("{RELU|ID}UNKNOWN(Mul)*2", "{ RELU | ID } UNKNOWN(OP=Mul)*2"),
    ],
)
def test_the_shortest_form_is_written(text, written):
    assert to_notation(parse(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "INPUT[8x8x3] -> [CONV3-8 -> RELU]*2 -> POOL2 -> [FC-4096 -> RELU]*2 -> FC-10",
        "INPUT[8x8x3] -> [[CONV3-8 -> RELU]*2 -> POOL2]*2 -> FC-10",
        "INPUT[8x8x3] -> [{ [CONV3-3]*2 | ID } ADD -> RELU]*3",
        "INPUT[8x8x3] -> [RELU]*3 -> BN",
        "INPUT[8x8x3] -> RELU -> { ID | ID } ADD",
        "INPUT[8x8x3] -> { ID | { ID | RELU } CONCAT -> BN } ADD",
    ],
)
def test_repetition_is_written_as_such(text):
    assert to_notation(network(text)) == text


def test_long_networks_are_written():
    assert to_notation(network("INPUT[8x8x3] -> [RELU -> SIGMOID]*9000")) == "INPUT[8x8x3] -> [RELU -> SIGMOID]*9000"


@pytest.mark.parametrize(("length", "found"), [(64, True), (65, False)])
def test_blocks_are_looked_for_up_to_a_length(length, found):
    block = " -> ".join(f"FC-{n}" for n in range(1, length + 1))
    text = f"INPUT[8x8x3] -> [{block}]*2"
    assert (to_notation(network(text)) == text) == found


X, RELU, ADD = Input(3, (8, 8)), layers.ReLU(), layers.Add()


def nested(wrap, item=RELU):
    """The item wrapped more often than notation may nest."""
    for _ in range(60):
        item = wrap(item)
    return item


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: layers.Conv(2 * sympy.Symbol("N"), 3), "has no notation"),
        (lambda: layers.Conv("Kx", 3), "has no notation"),
        (lambda: layers.Conv(10**13, 3), "has no notation"),
        (lambda: layers.Pad(((1, 2, 3), (1, 2, 3))), "has no notation"),
        (lambda: layers.Dropout(Fraction(1, 3)), "has no notation"),
        (lambda: layers.Activation("tanh) -> ACTIVATION(tanh"), "has no notation"),
        (lambda: layers.Unknown("two words"), "has no notation"),
        (lambda: ADD, "has no notation"),
        (lambda: Repeat(RELU, -1), "repetition by -1 has no notation; use a number or a letter"),
        (lambda: Branches((Chain((RELU,)),), ADD), "1 branches joined by Add(broadcast=False) have no notation"),
        (lambda: Branches((Chain((RELU,)), Chain((RELU,))), RELU), "2 branches joined by ReLU() have no notation"),
        (lambda: nested(lambda item: Chain((item,))), "its branches and repetitions nest deeper than 50"),
        (lambda: nested(lambda item: Repeat(item, 2)), "its branches and repetitions nest deeper than 50"),
        (lambda: nested(Optional), "its branches and repetitions nest deeper than 50"),
        (lambda: nested(lambda item: Branches((item, RELU), ADD)), "its branches and repetitions nest deeper than 50"),
        (lambda: nested(lambda item: Chain((item,)), layers.Conv(8, 4)), "its branches and repetitions nest deeper than 50"),
        (lambda: Chain((RELU,) * 20_000), "the network has no notation: the text has 159996 characters; 100000 is the limit"),
        (
            # b is read by c and by d, which join in different places
            lambda: Network([Node("x", X), Node("b", RELU, ("x",)), Node("c", ADD, ("x", "b")), Node("d", ADD, ("b", "c"))]),
            "the network has no notation: b is part of several branches of one merge",
        ),
        (
            lambda: Network(
                [Node("x", X), Node("a", RELU, ("x",)), Node("b", RELU, ("a",)), Node("c", RELU, ("a",)), Node("d", ADD, ("x", "b", "c"))]
            ),
            "the network has no notation: a is part of several branches of one merge",
        ),
    ],
)  # fmt: skip
def test_what_has_no_notation_is_refused(build, problem):
    with pytest.raises(SpecError) as caught:
        to_notation(build())
    assert problem in str(caught.value)


def test_branches_that_nest_too_deep_are_refused():
    nodes = [Node("x0", X)]
    for level in range(60):  # x0 -> r -> r -> ... -> r, and each level adds back what it began with
        nodes.append(Node(f"x{level + 1}", RELU, (f"x{level}",)))
    last = "x60"
    for level in range(59, -1, -1):
        nodes.append(Node(f"a{level}", ADD, (f"x{level}", last)))
        last = f"a{level}"
    with pytest.raises(SpecError, match="its branches nest deeper than 50"):
        to_notation(Network(nodes))


@pytest.mark.parametrize("same", ["SAME", "SAME_LOWER"])
def test_a_transposed_convolution_with_padding_as_in_keras(same):
    """It is the transpose of the convolution of that padding, which makes n of S*n positions: adjoint, by running."""
    for f, s, d in itertools.product(range(1, 7), range(1, 5), range(1, 4)):
        if d > 1 and s > 1:
            continue  # Keras has one or the other
        forth = network(f"INPUT[{5 * s}x1] -> CONV(K=1, F={f}x, S={s}x, D={d}x, P={same}, B=0)")
        back = network(f"INPUT[5x1] -> UPCONV(K=1, F={f}x, S={s}x, D={d}x, P={same}, B=0)")
        w = np.arange(1.0, f + 1).reshape(1, 1, f)
        x, g = np.arange(1.0, 5 * s + 1).reshape(1, 1, -1), np.arange(1.0, 6).reshape(1, 1, -1)
        y, gx = (
            execute.run(net, data, {net.output.name: {"weight": w}})[0][net.output.name].numpy()
            for net, data in ((forth, x), (back, g))
        )
        assert (y.shape, gx.shape) == (g.shape, x.shape)
        assert (y * g).sum() == (gx * x).sum()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("UPCONV(K=1, F=F, S=2, P=SAME)", "needs F, S and D in numbers"),
        ("UPCONV(K=1, F=3, S=2, P=SAME, O=1)", "leave O out"),
    ],
)
def test_padding_as_in_keras_that_cannot_be_said(text, told):
    with pytest.raises(SpecError, match=told):
        network(f"INPUT[8x8x1] -> {text}")
