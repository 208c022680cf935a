"""Layers, networks and notation: what they hold and what they refuse, word for word."""

import re

import pytest

from cases import VGG16
from convproof.architecture import Axis, Conv, Input, MaxPool, Network, Node, layers
from convproof.architecture.notation import MAX_LAYERS, Branches, Chain, Optional, Repeat, network, parse
from convproof.errors import NotationError, ShapeError, SpecError


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Conv(64, 0), "Conv: kernel_size=0 is too small; it must be at least 1"),
        (lambda: Conv(64, 3, stride=0), "Conv: stride=0 is too small; it must be at least 1"),
        (lambda: Conv(64, 3, padding=-1), "Conv: padding=-1 is too small; it must be at least 0"),
        (lambda: Conv(64, 3, dilation=0), "Conv: dilation=0 is too small; it must be at least 1"),
        (lambda: Conv(0, 3), "Conv: out_channels=0 is too small; it must be at least 1"),
        (lambda: Conv(64, 3, groups=3), "Conv: out_channels=64 is not divisible by groups=3"),
        (lambda: Conv(64, 3.5), "Conv: kernel_size=3.5 is not a whole number or a letter"),
        (lambda: Conv(64, float("nan")), "Conv: kernel_size=nan is not a whole number or a letter"),
        (lambda: Conv(64, True), "Conv: kernel_size=True is not a whole number or a letter"),
        (lambda: Conv(64, "3+1"), "Conv: kernel_size='3+1' is no letter; use a number or a name such as 'W'"),
        (lambda: Conv(64, (3, 0)), "Conv: kernel_size=0 is too small; it must be at least 1"),
        (lambda: Conv(64, ()), "Conv: kernel_size=() is empty; give one value, or one per axis"),
        (lambda: Input(3, (0, 4)), "Input: sizes=0 is too small; it must be at least 1"),
        (lambda: Input(3, 4), "Input: sizes=4 must be a tuple of one to three sizes, one per spatial axis"),
        (lambda: layers.GlobalPool("sum"), "GlobalPool: kind='sum' must be 'avg' or 'max'"),
        (lambda: layers.ConvTranspose(64, 3, groups=5), "ConvTranspose: out_channels=64 is not divisible by groups=5"),
        (lambda: layers.Linear((3, 4)), "Linear: out_features=(3, 4) must be one number or letter"),
        (lambda: Conv(3, 3, stride=((1, 2), 3)), "Conv: stride=(1, 2) must be one number or letter"),
        (lambda: Conv(3, 3, padding="same"), "Conv: padding='same' is no letter; use a number or a name such as 'W'"),
        (lambda: Conv(3, 3, bias="no"), "Conv: bias='no' must be True or False"),
        (lambda: layers.Dropout(7), "Dropout: p=7 must be a number from 0 to 1"),
        (lambda: layers.LpPool(float("inf"), 2), "LpPool: p=inf must be a positive number"),
        (
            lambda: Input(3, (4,) * 4),
            "Input: sizes=(4, 4, 4, 4) must be a tuple of one to three sizes, one per spatial axis",
        ),
        (lambda: layers.Linear(0), "Linear: out_features=0 is too small; it must be at least 1"),
        (lambda: layers.Linear(4, in_features=0), "Linear: in_features=0 is too small; it must be at least 1"),
        (lambda: Conv(6, 3, groups=2, in_channels=5), "Conv: in_channels=5 is not divisible by groups=2"),
        (
            lambda: layers.ConvTranspose(6, 3, groups=2, in_channels=5),
            "ConvTranspose: in_channels=5 is not divisible by groups=2",
        ),
        (lambda: layers.BatchNorm(float("nan")), "BatchNorm: eps=nan must be a number"),
        (lambda: layers.Reshape((3, 0)), "Reshape: shape=0 is too small; it must be at least 1"),
        (lambda: layers.Slice(3, 3), "Slice: from 3 to 3 there is no channel; stop must be larger"),
        (lambda: layers.Add(1), "Add: broadcast=1 must be True or False"),
        (lambda: layers.Affine(False, False), "Affine: scale and shift must be True or False, and not both False"),
        (
            lambda: layers.Pad(1, "mirror"),
            "Pad: mode='mirror' must be 'zeros', 'reflect', 'replicate' or 'circular'",
        ),
    ],
)
def test_illegal_layers_are_refused(build, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        build()


def test_fields_are_laid_out_axis_by_axis():
    layer = Conv(8, (3, 5), stride=2, padding=((1, 2), (0, 4)), dilation=(1, 3))
    assert layer.axes(2) == (Axis(3, 2, 1, 2, 1), Axis(5, 2, 0, 4, 3))
    with pytest.raises(ShapeError, match=r"Conv: kernel_size=\(3, 5\) is for 2 spatial axes, the input has 3"):
        layer.axes(3)


def test_a_pool_steps_by_its_size():
    assert MaxPool(3).stride == 3
    assert MaxPool((2, 4)).stride == (2, 4)


def test_lists_and_numpy_integers_are_taken():
    import numpy as np

    assert Conv(np.int64(8), [3, 3]) == Conv(8, (3, 3))


CHAIN = [Input(3, (8, 8)), Conv(4, 3), MaxPool(2)]


def test_a_chain_is_a_graph():
    net = Network.chain(CHAIN)
    assert [node.name for node in net] == ["input", "conv1", "maxpool1"]
    assert list(net.graph.edges) == [("input", "conv1"), ("conv1", "maxpool1")]
    assert (net.input.name, net.output.name) == ("input", "maxpool1")
    assert net == Network.chain(CHAIN)
    with pytest.raises(Exception, match=r"[Ff]rozen"):
        net.graph.add_node("more")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([Node("a", Conv(4, 3), ("a",))], "a: these layers read each other in a circle"),
        ([Node("a", CHAIN[0]), Node("b", Conv(4, 3), ("c",))], "b: reads 'c', which is no layer of this network"),
        ([Node("a", CHAIN[0]), Node("a", CHAIN[0])], "a: two layers have this name; rename one"),
        ([Node("a", CHAIN[0]), Node("b", Conv(4, 3))], "b: Conv takes 1 operand(s), got 0"),
        ([Node("a", CHAIN[0], ("a",))], "a: Input takes 0 operand(s), got 1"),
        ([Node("a", CHAIN[0]), Node("b", layers.Add(), ("a",))], "b: a merge needs two operands or more, got 1"),
        ([Node("a", CHAIN[0]), Node("b", layers.Scale(), ("a", "a", "a"))], "b: Scale takes 2 operands, got 3"),
        ([Node("a", "conv")], "a: 'conv' is not a layer"),
        ([], "a network has exactly one Input layer; found none"),
        (
            [Node("a", CHAIN[0]), Node("b", Conv(4, 3), ("a",)), Node("c", Conv(4, 3), ("a",))],
            "a network has exactly one output; found b, c",
        ),
    ],
)
def test_illegal_networks_are_refused(nodes, message):
    with pytest.raises(SpecError, match=f"^{re.escape(message)}$"):
        Network(nodes)


def test_an_operand_may_be_read_twice():
    net = Network([Node("x", CHAIN[0]), Node("double", layers.Add(), ("x", "x"))])
    assert net.nodes[1].operands == ("x", "x")


@pytest.mark.parametrize(
    ("text", "layer"),
    [
        ("CONV3-64", Conv(64, 3, padding=1)),
        ("CONV3-C", Conv("C", 3, padding=1)),
        ("CONV(K=96, F=11, S=4, P=0)", Conv(96, 11, 4)),
        ("CONV(F=3, K=8, D=2, G=4)", Conv(8, 3, dilation=2, groups=4)),
        ("CONV(K=8, F=7x1, P=3x0)", Conv(8, (1, 7), padding=(0, 3))),
        ("CONV(K=K, F=F, S=S, P=P)", Conv("K", "F", "S", "P")),
        ("POOL2", MaxPool(2, 2)),
        ("POOL(F=3, S=2, P=1)", MaxPool(3, 2, 1)),
        ("POOL(3)", MaxPool(3, 3)),
        ("AVGPOOL(F=7, S=1)", layers.AvgPool(7, 1)),
        ("GLOBALAVGPOOL", layers.GlobalPool("avg")),
        ("FC-1000", layers.Linear(1000)),
        ("FC(1000)", layers.Linear(1000)),
        ("FC(K=K)", layers.Linear("K")),
        ("RELU", layers.ReLU()),
        ("LRN", layers.LocalResponseNorm()),
        ("BN", layers.BatchNorm()),
        ("DROPOUT", layers.Dropout()),
        ("SOFTMAX", layers.Softmax()),
        ("FLATTEN", layers.Flatten()),
        ("INPUT[224x200x3]", Input(3, (200, 224))),
        ("INPUT[WxHxC]", Input("C", ("H", "W"))),
        ("INPUT [ 9x9x1 ]", Input(1, (9, 9))),
    ],
)
def test_notation_of_layers(text, layer):
    assert parse(text) == Chain((layer,))


def test_notation_of_structure():
    relu = layers.ReLU()
    assert parse("[RELU]*2") == Chain((Repeat(Chain((relu,)), 2),))
    assert parse("RELU*N -> RELU?") == Chain((Repeat(relu, "N"), Optional(relu)))
    assert parse("{ RELU | ID } ADD") == Chain((Branches((Chain((relu,)), Chain((Chain(()),))), layers.Add()),))


def test_notation_of_networks():
    assert len(network(VGG16)) == 37
    net = network("INPUT[8x8x3] -> { CONV3-3 -> RELU | ID } ADD -> { POOL2 | AVGPOOL2 } CONCAT -> [RELU]*0")
    assert [(n.name, n.operands) for n in net.nodes[3:]] == [
        ("add1", ("relu1", "input")),
        ("maxpool1", ("add1",)),
        ("avgpool1", ("add1",)),
        ("concat1", ("maxpool1", "avgpool1")),
    ]
    assert network("[INPUT[4x4x3] -> CONV3-3]*1", Input(3, (4, 4))) == network("INPUT[4x4x3] -> CONV3-3")
    assert network("CONV3-3", Input(3, (4, 4))) == network("INPUT[4x4x3] -> CONV3-3")


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "the text ends too early; a layer or a closing bracket is missing"),
        ("CONV3-64", 1, "a network starts with INPUT[WxHxD], for example INPUT[224x224x3]"),
        ("INPUT[224x224] -> KONV3-64", 19, "unknown layer 'KONV3-64'; did you mean CONV3-64?"),
        ("INPUT[3x3x3] -> conv3-64", 17, "unknown layer 'conv3-64'; did you mean CONV3-64?"),
        ("INPUT[3x3x3] -> CONV4-64", 17, "padding (F-1)/2 is not a whole number for F=4; write CONV(K=..., F=4, P=...)"),
        ("INPUT[3x3x3] -> CONV", 17, "CONV needs its numbers: CONV(K=..., F=...)"),
        ("INPUT[3x3x3] -> CONV(K=4)", 17, "CONV needs F, as in CONV(K=3, F=3)"),
        ("INPUT[3x3x3] -> CONV(K=4, F=3, Q=1)", 17, "CONV has no argument Q; it takes K, F, S, P, D, G, B, IN"),
        ("INPUT[3x3x3] -> CONV(K=4, F=3, F=3)", 17, "CONV is given F twice"),
        ("INPUT[3x3x3] -> CONV(K=4, F=3, G=3)", 17, "Conv: out_channels=4 is not divisible by groups=3"),
        ("INPUT[3x3x3] -> CONV(K=4x4, F=3)", 17, "Conv: out_channels=(4, 4) must be one number or letter"),
        ("INPUT[3x3x3] -> RELU(F=3)", 17, "RELU takes no arguments"),
        ("INPUT[3x3x3] -> CONV(K=4, F=3, S=-1)", 17, "Conv: stride=-1 is too small; it must be at least 1"),
        ("INPUT[3x3x3] -> [RELU", 22, "the text ends too early; a layer or a closing bracket is missing"),
        ("INPUT[3x3x3] RELU", 14, "'RELU' cannot stand here; layers are joined by '->'"),
        ("INPUT[3x3x3] -> [RELU]*2 -> [RELU]*N", 36, "repetition by a letter (*N) describes a family of networks, not one; "
                                         "write a number in place of N"),
        ("INPUT[3x3x3] -> RELU?", 21, "an optional layer describes two networks; write one of them"),
        ("INPUT[3x3x3] -> {RELU} ADD", 24, "a merge needs two branches or more, separated by '|'"),
        ("INPUT[3x3x3] -> {RELU|ID} SUB", 27, "branches end in ADD, MUL, SCALE, RESIZE, PADTO, CONCAT, UNKNOWN, SHAPED, not 'SUB'"),
        ("{RELU|ID} ADD", 1, "branches need a layer before them to read"),
        ("INPUT[3x3x3] -> INPUT[3x3x3]", 17, "a second INPUT; a network has one"),
        ("INPUT[0x3x3]", 1, "Input: sizes=0 is too small; it must be at least 1"),
        ("INPUT[3]", 1, "INPUT[3] needs a width, a height and a depth, as in INPUT[224x224x3]"),
        ("INPUT[²x3x3]", 1, "'²x3x3' is not a size: write a number or a letter (no x in it), or several joined by x"),
        ("INPUT[nanx3x3]", 1, "Input: sizes='nan' is no letter; use a number or a name such as 'W'"),
        ("INPUT[3x3x3] -> [[RELU]*99999]*99999", 1, f"this describes more than {MAX_LAYERS} layers, the limit"),
        ("[" * 60, 51, "brackets and repetitions nest deeper than 50, the limit"),
        ("INPUT[3x3x3] -> RELU" + "*1" * 60, 121, "brackets and repetitions nest deeper than 50, the limit"),
        ("INPUT[3x3x3] -> RELU" + "? " * 60, 121, "brackets and repetitions nest deeper than 50, the limit"),
        ("INPUT[8x8x3] -> [{ID|ID} ADD]*999999999999", 1, f"this describes more than {MAX_LAYERS} layers, the limit"),
        ("INPUT[8x8x3] -> FC-3x4", 17, "Linear: out_features=(4, 3) must be one number or letter"),
        ("R" * 100_001, 100_000, "the text has 100001 characters; 100000 is the limit"),
    ],
)  # fmt: skip
def test_notation_errors_name_the_column(text, column, problem):
    with pytest.raises(NotationError) as caught:
        network(text)
    assert (caught.value.column, caught.value.problem) == (column, problem)
    assert str(caught.value) == f"network notation, column {column}: {problem}"


def test_endless_repetition_of_nothing_ends():
    assert len(network("INPUT[3x3x3] -> [[ID]*999999999999]*999999999999 -> RELU")) == 2
