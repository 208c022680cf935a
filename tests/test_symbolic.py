"""Sizes, costs, fields and size sets against counting, published figures and running arrays."""

import itertools

import numpy as np
import pytest
import sympy
from exactly import lies_within, rows, seen_by, size_sets

from cases import PUBLISHED, VGG16
from convproof import execute
from convproof.architecture import Axis, Conv, ConvTranspose, Input, MaxPool, Network, layers
from convproof.architecture.notation import network
from convproof.crosscheck import oracle
from convproof.errors import ConvproofError, ShapeError, Undecided
from convproof.symbolic import (
    Field,
    FloorDiv,
    SizeSet,
    analyze,
    macs,
    output_shape,
    parameters,
    receptive_field,
    symbols,
    weights,
    where_at_least,
    where_zero,
    window,
)  # fmt: skip
from convproof.symbolic.accepted import accepted_sizes
from convproof.symbolic.field import fields
from convproof.symbolic.shapes import infer
from kinds import REFUSED

W, F, S, P, D, C, K, H, n = symbols("W F S P D C K H n")


# --- the window law ---------------------------------------------------------------------------------------------------

AXES = [Axis(k, s, a, b, d) for k, s, a, b, d in itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1, 2), (0, 2), (1, 2))]


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_windows_are_as_many_as_can_be_walked(axis):
    formula = window.count(axis, n)
    for size in range(1, 20):
        walked = oracle.places(size, axis.kernel, axis.stride, (axis.before, axis.after), axis.dilation)
        if walked:
            assert window.count(axis, size) == len(walked) == formula.xreplace({n: sympy.Integer(size)})
            assert window.remainder(axis, size) == size - 1 + axis.after - walked[-1][-1]
        assert (window.slack(axis, size) >= 0) == bool(walked) == (size >= window.least(axis))


def test_the_law_in_letters():
    axis = Axis("F", "S", "P", "P", "D")
    assert window.count(axis, W) == FloorDiv(W + 2 * P - D * (F - 1) - 1, S) + 1
    assert window.span(axis) == sympy.expand(D * (F - 1) + 1)
    assert window.count(Axis(3, 2, 1, 1), W) == FloorDiv(W + 1, 2)


def test_ceil_mode_needs_numbers():
    with pytest.raises(Undecided, match="ceil_mode needs numbers"):
        window.count(Axis("F", 2), W, ceil_mode=True)
    assert window.count(Axis(3, 2), W, ceil_mode=True) == FloorDiv(W, 2)


@pytest.mark.parametrize(
    "layer", [Conv(8, 7), MaxPool(7), layers.AvgPool(7), layers.LpPool(2, 7)], ids=lambda x: type(x).__name__
)
def test_a_kernel_larger_than_the_input_is_refused(layer):
    with pytest.raises(ShapeError) as caught:
        output_shape(layer, (3, 9, 5))
    assert str(caught.value) == (
        f"{type(layer).__name__}, spatial axis 1: a window spans 7 positions but the padded input has only 5 "
        "(size 5, padding 0+0); give it 7 or more, or pad by 2 more"
    )


@pytest.mark.parametrize(("layer", "shapes", "message"), REFUSED)
def test_shapes_that_do_not_go_together(layer, shapes, message):
    with pytest.raises(ShapeError) as caught:
        output_shape(layer, *shapes)
    assert str(caught.value) == message


# --- costs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameter_counts(name):
    text, expected = PUBLISHED[name]
    assert analyze(network(text)).totals.params == expected


def test_vgg16():
    found = analyze(network(VGG16))
    assert found.totals.weights == 138_344_128
    assert found.totals.macs == 15_470_264_320
    assert (found.totals.values, found.totals.bytes) == (15_237_608, 60_950_432)
    last_pool = next(row for row in found.rows if row.name == "maxpool5")
    assert (last_pool.output, last_pool.receptive_field, last_pool.jump) == ((512, 7, 7), (212, 212), (32, 32))
    assert str(found.valid_sizes["W"]) == "all n >= 32"
    assert str(found.exact_sizes["H"]) == "all n >= 1 with n mod 32 = 0"
    assert found.misfits == ()


def test_vgg16_in_letters():
    found = analyze(network(VGG16.replace("224x224", "WxW")))
    last_pool = next(row for row in found.rows if row.name == "maxpool5")
    assert last_pool.output == (512, FloorDiv(W, 32), FloorDiv(W, 32))
    at_224 = {W: sympy.Integer(224)}
    assert found.totals.macs.xreplace(at_224) == 15_470_264_320
    assert found.totals.params.xreplace(at_224) == 138_357_544


def test_costs_in_letters():
    assert weights(Conv("C", 7), (C, W, W)) == 49 * C**2
    assert 3 * weights(Conv("C", 3), (C, W, W)) == 27 * C**2
    assert parameters(Conv("K", "F", groups=2), (C, W)) == C * F * K / 2 + K
    assert macs(Conv("K", 3, padding=1), (C, H, W)) == 9 * C * K * H * W
    assert macs(ConvTranspose(5, 3), (2, 4, 4)) == 5 * 2 * 9 * 16
    assert parameters(layers.BatchNorm(), (7, 3, 3)) == 14
    assert parameters(Conv(4, 3, bias=False), (2, 5)) == 24


# --- receptive fields -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size", "jump", "offset"),
    [
        ("[CONV3-1]*2", 5, 1, -2),
        ("[CONV3-1]*3", 7, 1, -3),
        ("CONV(K=1, F=7, S=2, P=3) -> POOL(F=3, S=2, P=1)", 11, 4, -5),  # ResNet's stem
        ("CONV(K=1, F=3, D=1) -> CONV(K=1, F=3, D=2) -> CONV(K=1, F=3, D=4)", 15, 1, 0),  # Yu and Koltun (2016)
        (
            "CONV(K=96, F=11, S=4) -> POOL(F=3, S=2) -> CONV5-1 -> POOL(F=3, S=2) -> [CONV3-1]*3 -> POOL(F=3, S=2)",
            195,
            32,
            -64,
        ),
        ("{ CONV3-1 | CONV5-1 } ADD", 5, 1, -2),
        ("{ ID | CONV3-1 -> CONV3-1 } CONCAT", 5, 1, -2),
    ],
)
def test_fields(text, size, jump, offset):
    row = analyze(network(f"INPUT[300x300x1] -> {text}")).rows[-1]
    assert (row.receptive_field, row.jump, row.offset) == ((size,) * 2, (jump,) * 2, (offset,) * 2)


def test_fields_in_letters():
    (field,) = receptive_field(Conv(1, "F", "S", "P", "D"), [(Field(),)], [(1, W)])
    assert field == Field(sympy.expand(D * (F - 1) + 1), S, -P)
    (field,) = receptive_field(layers.GlobalPool(), [(Field(3, 2),)], [(1, W)])
    assert field.size == 2 * W + 1


@pytest.mark.parametrize("kernel", range(1, 6))
@pytest.mark.parametrize("stride", range(1, 4))
def test_the_field_of_a_transposed_conv_is_its_support(kernel, stride):
    net = Network.chain([Input(1, (9,)), ConvTranspose(1, kernel, stride), Conv(1, 2)])
    (field,) = fields(infer(net))[0]["conv1"]
    row = analyze(net).rows[-1]
    assert (row.receptive_field, row.jump, row.offset) == ((field.size,), (field.jump,), (field.offset,))
    assert row.receptive_field_exact
    widest = 0
    for (o,), depends in rows(net, (9,)):
        assert lies_within(field, o, depends)
        places = np.flatnonzero(depends)
        if places.size:
            widest = max(widest, places[-1] - places[0] + 1)
            first, last = seen_by(field, o)
            assert (max(first, 0), min(last, 8)) == (places[0], places[-1])
    assert widest == row.receptive_field[0]


def test_branches_of_different_pace_have_no_field():
    found = analyze(network("INPUT[8x8x1] -> { CONV(K=1, F=2, S=2) -> POOL(F=1, S=1) | CONV(K=1, F=5) } ADD -> RELU"))
    assert found.rows[-1].receptive_field is None
    assert found.undecided[0].startswith("receptive field from add1: Add: the branches move by different steps (2, 1)")


# --- size sets --------------------------------------------------------------------------------------------------------


def brute(belongs, limit=400):
    return {k for k in range(1, limit) if belongs(k)}


@pytest.mark.parametrize(
    "expression",
    [
        FloorDiv(n, 2) - 3,
        n - 2 * FloorDiv(n, 2),
        5 - FloorDiv(n, 3),
        FloorDiv(3 * n, 7) - FloorDiv(n, 2),
        FloorDiv(2 * FloorDiv(n, 3) + n, 5) - 4,
        FloorDiv(n, 4) - FloorDiv(n + 2, 4),
        7 - n,
        sympy.Integer(0),
        sympy.Integer(-1),
    ],
    ids=str,
)
def test_sets_are_decided_completely(expression):
    def value(k):
        return int(expression.xreplace({n: sympy.Integer(k)}))

    least, zero = where_at_least(expression, 0, n), where_zero(expression, n)
    assert {k for k in range(1, 400) if k in least} == brute(lambda k: value(k) >= 0)
    assert {k for k in range(1, 400) if k in zero} == brute(lambda k: value(k) == 0)


def test_sets_are_in_least_terms_and_intersect():
    evens = SizeSet.of(lambda k: k % 2 == 0, 9, 12)
    assert (evens.below, evens.start, evens.modulus, evens.residues) == ((), 1, 2, (0,))
    sixths = evens & SizeSet.of(lambda k: k % 3 == 0 and k > 5, 6, 3)
    assert list(itertools.islice(sixths, 3)) == [6, 12, 18]
    assert sixths.nearest(13) == (12, 18)
    assert sixths.nearest(2) == (None, 6)
    assert str(SizeSet((2,), 5, 1, ())) == "only 2"
    assert str(SizeSet((), 1, 1, ())) == "none"
    assert sixths.to_json() == {
        "below": [],
        "from": 1,
        "modulus": 6,
        "residues": [0],
    }


def accepts(text, size):
    try:
        net = network(text.replace("W", str(size)))
        execute.run(net, np.zeros((1, 1, size, size)), draw=np.zeros)
    except ConvproofError:
        return False
    return True


@pytest.mark.parametrize(
    "text",
    [
        "INPUT[WxWx1] -> POOL2 -> POOL2 -> CONV(K=1, F=3)",
        "INPUT[WxWx1] -> CONV(K=1, F=5, S=3, P=1) -> POOL(F=3, S=2) -> CONV3-1",
        "INPUT[WxWx1] -> { POOL2 | CONV(K=1, F=3, S=2) } ADD",
        "INPUT[WxWx1] -> { POOL2 | CONV(K=1, F=3, S=2, P=1) } CONCAT -> POOL2",
        "INPUT[WxWx1] -> { ID | CONV3-1 } ADD -> { POOL(F=3, S=3) | CONV(K=1, F=1, S=3) } CONCAT",
    ],
)
def test_valid_sizes_are_those_that_run(text):
    valid, _ = size_sets(network(text), 0)
    assert {k for k in range(1, 41) if k in valid} == {k for k in range(1, 41) if accepts(text, k)}


def test_exact_sizes_of_alexnets_first_layer():
    valid, exact = size_sets(network("INPUT[WxWx3] -> CONV(K=96, F=11, S=4)"), 0)
    assert str(valid) == "all n >= 11"
    assert exact.nearest(224) == (223, 227)


def test_undecided_sets_say_why():
    found = analyze(network("INPUT[WxHxC] -> CONV(K=K, F=F, S=S, P=P)"))
    assert found.valid_sizes == {"H": None, "W": None}
    assert found.undecided == (
        "conv1: -F + H + 2*P >= 0 depends on F, P too; give numbers for other letters",
        "conv1: -F + 2*P + W >= 0 depends on F, P too; give numbers for other letters",
    )
    slow = analyze(network("INPUT[WxWx1] -> CONV(K=1, F=3, S=7919) -> POOL(F=7907)"))
    assert "200000 is the limit" in slow.undecided[0]
    far = analyze(network("INPUT[WxWx1] -> CONV(K=1, F=999999999999)"))
    assert "200000 is the limit" in far.undecided[0]


# --- whole networks ---------------------------------------------------------------------------------------------------


def test_errors_name_the_layer():
    with pytest.raises(ShapeError, match=r"^conv2: Conv, spatial axis 0: a window spans 7 positions"):
        analyze(network("INPUT[8x8x3] -> CONV(K=8, F=4) -> CONV(K=8, F=7)"))


def test_misfits_are_named():
    found = analyze(network("INPUT[224x227x3] -> CONV(K=96, F=11, S=4)"))
    assert found.misfits == ("conv1: along W, stride 4 leaves a remainder of 1 in 224 + 0 + 0 positions",)


def test_one_and_three_axes():
    one = analyze(Network.chain([Input(2, (16,)), Conv(4, 3, stride=2)]))
    assert one.rows[-1].output == (4, 7)
    assert list(one.valid_sizes) == ["W"]
    three = analyze(Network.chain([Input(2, (8, 8, "W")), Conv(4, (1, 2, 3), padding=((0, 0), (1, 0), (0, 2)))]))
    assert three.rows[-1].output == (4, 8, 8, W)
    assert list(three.exact_sizes) == ["W"]  # the one that is not given
    three = analyze(Network.chain([Input(2, (8, 8, 9)), Conv(4, (1, 2, 3), 2, padding=((0, 0), (1, 0), (0, 2)))]))
    assert {name: str(found) for name, found in three.exact_sizes.items()} == {
        "D": "all n >= 1 with n mod 2 = 1",
        "H": "all n >= 1 with n mod 2 = 1",
        "W": "all n >= 1 with n mod 2 = 1",
    }


def test_json_is_plain():
    document = analyze(network("INPUT[WxWx3] -> CONV3-8 -> POOL2")).to_json()
    assert document["schema"] == "convproof/1"
    assert document["layers"][2]["output"] == [8, "W//2", "W//2"]
    assert document["layers"][1] == {
        "name": "conv1", "op": "Conv", "output": [8, "W", "W"], "params": 224, "weights": 216, "macs": "216*W**2",
        "values": "8*W**2", "receptive_field": [3, 3], "jump": [1, 1], "offset": [-1, -1],
        "receptive_field_exact": True, "derived": True,
    }  # fmt: skip
    assert document["exact_sizes"]["W"] == {"below": [], "from": 1, "modulus": 2, "residues": [0]}


def test_transposed_conv_undoes_the_size():
    for kernel, stride, padding, size in itertools.product((1, 2, 3, 5), (1, 2, 3), (0, 1), range(5, 12)):
        conv = Conv(1, kernel, stride, padding)
        (_, small) = output_shape(conv, (1, size))
        left = window.remainder(Axis(kernel, stride, padding, padding), size)
        back = ConvTranspose(1, kernel, stride, padding, output_padding=left)
        assert output_shape(back, (1, small)) == (1, size)


# --- what a reader's attack found -------------------------------------------------------------------------------------


def test_vectors_may_be_joined():
    valid, exact = size_sets(network("INPUT[8x8x3] -> { FC-10 | FC-20 } CONCAT"), 0)
    assert str(valid) == str(exact) == "all n >= 1"


def test_no_letter_is_taken_for_the_size():
    found = analyze(network("INPUT[8x8x3] -> CONV(K=8, F=size)"))
    assert found.valid_sizes["W"] is None
    assert found.undecided[1] == "conv1: -size + W >= 0 depends on size too; give numbers for other letters"


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation"), [(2, 4, 1, 2), (4, 3, 1, 2), (2, 1, 2, 3), (3, 2, 2, 4), (2, 3, 1, 5)]
)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_sizes_at_which_a_window_lies_in_padding_are_left_out(kernel, stride, padding, dilation, ceil_mode):
    from convproof import autograd as ag

    layer = MaxPool(kernel, stride, padding, dilation, ceil_mode)
    valid, _ = size_sets(Network.chain([Input(1, (64,)), layer]), 0)
    for size in range(1, 40):
        try:
            ag.max_pool(np.zeros((1, 1, size)), kernel, stride, padding, dilation, ceil_mode)
            runs = True
        except ShapeError:
            runs = False
        assert (size in valid) == runs


@pytest.mark.parametrize("padding", [((0, 1),), ((0, 3),), ((2, 0),), ((1, 4),)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_padding_longer_than_the_window(padding, ceil_mode):
    from convproof import autograd as ag

    layer = MaxPool(1, 2, padding, 1, ceil_mode)
    valid, _ = size_sets(Network.chain([Input(1, (64,)), MaxPool(1, 1), layer]), 0)
    for size in range(1, 30):
        try:
            y = ag.max_pool(np.zeros((1, 1, size)), 1, 2, padding, 1, ceil_mode)
            assert output_shape(layer, (1, size)) == y.shape[1:]
            runs = True
        except ShapeError:
            runs = False
        assert (size in valid) == runs


def test_padding_as_long_as_the_window_is_refused():
    with pytest.raises(ShapeError, match="a window lies wholly in padding; pad or dilate less"):
        output_shape(MaxPool(1, 1, 1), (3, 8, 8))


def test_letters_must_satisfy_what_layers_require():
    assert analyze(network("INPUT[8x8xK] -> { CONV3-3 | ID } ADD")).requires == ("add1: K = 3",)
    grouped = analyze(network("INPUT[8x8x3] -> CONV(K=K, F=3, G=G)"))
    assert grouped.requires == ("conv1: G divides 3", "conv1: G divides K")
    shuffled = analyze(network("INPUT[8x8xC] -> SHUFFLE(G=2) -> GN(G=G) -> SLICE(FROM=0, TO=K)"))
    assert shuffled.requires == ("channelshuffle1: 2 divides C", "groupnorm1: G divides C", "slice1: C >= K")
    assert analyze(network(VGG16)).requires == ()


def test_a_letter_as_the_stride_of_a_transposed_conv():
    row = analyze(Network.chain([Input(3, (8, 8)), ConvTranspose(3, 2, "S")])).rows[-1]
    assert row.output == (3, 7 * S + 2, 7 * S + 2)
    assert row.receptive_field == (1 + 1 / S,) * 2


def test_merges_of_single_outputs_have_a_field():
    found = analyze(network("INPUT[8x8x3] -> {GLOBALAVGPOOL | POOL2 -> GLOBALAVGPOOL} CONCAT"))
    assert found.rows[-1].receptive_field == (8, 8)


def test_many_letters_are_refused():
    text = "INPUT[WxHx3]" + "".join(f" -> CONV(K=K{i}, F=F{i}, P=P{i})" for i in range(6))
    with pytest.raises(ConvproofError, match="the network has 20 letters; 16 is the limit"):
        analyze(network(text))


def test_a_network_that_fits_nowhere():
    found = analyze(network("INPUT[WxWx3] -> { POOL2 | ID } ADD"))
    assert (str(found.valid_sizes["W"]), found.fits()) == ("none", False)


@pytest.mark.parametrize(
    "text", ["POOL(F=999999999, P=999999999)", "POOL(F=2, D=999999999, P=1)", "POOL(F=1, S=1, P=999999999)"]
)
def test_huge_pools_end_in_a_moment(text):
    with pytest.raises(ConvproofError):
        analyze(network(f"INPUT[8x8x3] -> {text}"))
    assert accepted_sizes(network(f"INPUT[WxWx3] -> {text}")).valid["W"] in (None, SizeSet((), 1, 1, ()))
