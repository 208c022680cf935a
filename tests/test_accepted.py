"""Which sizes a network accepts: the derived sets, the theorems, and running the network, held against each other."""

import json
import os
import random
from functools import reduce

import numpy as np
import pytest
from exactly import size_sets

from convproof import execute, recheck
from convproof.architecture import SAME_LOWER, SAME_UPPER, Conv, Input, Network, Node, layers
from convproof.architecture.notation import network
from convproof.architecture.zoo import ENTRIES
from convproof.errors import ShapeError, Undecided
from convproof.proof import proof_term
from convproof.proof.products import taken_apart
from convproof.proof.sizes import prove_sizes
from convproof.proof.statement import Product
from convproof.symbolic import accepted_sizes, analyze, symbol
from convproof.symbolic.accepted import first_mismatch
from convproof.symbolic.floordiv import broadcast
from convproof.symbolic.shapes import infer, of_any_size
from convproof.symbolic.sizesets import SizeSet
from kinds import NOT_RUN
from networks import drawn, shapes_at, sizes_with, without_statistics

DRAWN = int(os.environ.get("CONVPROOF_DRAWN", "60"))
"""How many networks are drawn; all that .ci/full draws were right too."""


def runs(net, values):
    return shapes_at(without_statistics(net), sizes_with(net, values)) is not None


def settled(accepted, most=160):
    """A size from which on nothing new happens: behind the start of every set, two of its periods and some more."""
    ends = [found.start + 2 * found.modulus for box in accepted.boxes for found in box.values()]
    return min(max(ends, default=0) + 40, most)


def points(accepted, rng):
    """Numbers for the unknowns: all squares, some at random, and some at the ends of the boxes."""
    names, top = accepted.unknowns, settled(accepted)
    yield from (dict.fromkeys(names, n) for n in range(1, top if len(names) == 1 else min(top, 60)))
    if len(names) > 1:
        yield from ({name: rng.randint(1, top) for name in names} for _ in range(40))
        for box in accepted.boxes[:8]:
            for _ in range(4):
                near = {name: rng.choice([*found.below, *range(found.start, found.start + found.modulus + 1)])
                        + rng.choice([0, 0, 0, 1, -1]) for name, found in box.items()}  # fmt: skip
                yield near if min(near.values()) > 0 else dict.fromkeys(names, 1)


def evaluate(term, values):
    """A term of the kernel at numbers, worked out apart from it."""
    match term:
        case int():
            return term
        case ("v", name):
            return values[name]
        case ("+", *parts):
            return sum(evaluate(part, values) for part in parts)
        case ("*", *parts):
            product = 1
            for part in parts:
                product *= evaluate(part, values)
            return product
        case (head, a, b):
            a, b = evaluate(a, values), evaluate(b, values)
            return {"//": lambda: a // b, "is": lambda: int(a == b), "le": lambda: int(a <= b)}[head]()


def stated(theorem, values):
    """Both sides of `for all ...: a >= 1 iff b >= 1` at numbers."""
    formula = theorem.conclusion
    while formula[0] == "all":
        formula = formula[2]
    head, (_, here, _), (_, there, _) = formula
    assert head == "iff"
    return evaluate(here, values) >= 1, evaluate(there, values) >= 1


def agrees(net, seed=0):
    """Derived, proved and run, at many sizes."""
    accepted = accepted_sizes(net)
    try:
        proved = prove_sizes(net, accepted)
    except Undecided as error:
        proved, reason = None, str(error)
    if proved is None:
        assert accepted.undecided or "too much work" in reason or "are gone through" in reason, reason
    else:
        assert proved.theorem.hypotheses == ()
        recheck.check(json.loads(json.dumps(proof_term(proved.theorem))))
    if accepted.boxes is None:
        assert accepted.undecided or accepted.requires
        return accepted, proved
    for values in points(accepted, random.Random(seed)):
        expected = runs(net, values)
        assert (values in accepted) == expected, values
        if proved is not None:
            assert stated(proved.theorem, values) == (expected, expected), values
    return accepted, proved


@pytest.mark.parametrize("block", range(10))
def test_drawn_networks(block):
    """Chains and graphs, one to three axes, letters shared between axes, written sizes, broadcasting, dead branches."""
    for seed in range(block * DRAWN // 10, (block + 1) * DRAWN // 10):
        agrees(drawn(seed), seed)


def test_what_is_drawn_covers_what_matters():
    """Every kind that runs, and every way in which a set can come out."""
    nets = [drawn(seed) for seed in range(300)]
    kinds = {type(node.layer) for net in nets for node in net}
    assert set(layers.KINDS) - kinds == {*NOT_RUN}
    found = [accepted_sizes(net).boxes for net in nets[:150]]
    assert sum(boxes == () for boxes in found) > 10
    assert sum(boxes is not None and len(boxes) == 1 for boxes in found) > 50
    assert sum(boxes is not None and len(boxes) > 1 for boxes in found) > 3
    assert sum(len([n for n in net if not any(n.name in m.operands for m in net)]) > 1 for net in nets) > 15


@pytest.mark.parametrize("name", ENTRIES)
def test_classics(name):
    net = network(ENTRIES[name].notation)
    accepted, proved = agrees(net) if len(net) < 200 else (accepted_sizes(net), prove_sizes(net))
    assert proved is not None
    assert accepted.valid["H"] == accepted.valid["W"] is not None
    for values in [dict.fromkeys("HW", n) for n in range(1, settled(accepted), 9)] if len(net) >= 200 else []:
        assert (values in accepted) == runs(net, values)


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


@pytest.mark.parametrize("block", range(5))
def test_where_no_stride_leaves_a_remainder(block):
    compared = 0
    for seed in range(1000 + 30 * block, 1030 + 30 * block):
        net = drawn(seed)
        accepted = accepted_sizes(net)
        exact = next(iter(accepted.exact.values()))
        if len(accepted.unknowns) > 1 or len(net.image.sizes) > 1 or exact is None:
            continue
        for n in range(1, settled(accepted)):
            shapes = shapes_at(without_statistics(net), (n,))
            assert (n in exact) == (shapes is not None and is_exact(net, shapes, 0))
        compared += 1
    assert compared > 1


# --- reports from outside ---------------------------------------------------------------------------------------------

ONE_BOX = {
    "INPUT[WxWx3] -> CONV(K=8, F=3x5)": {"W": "all n >= 5"},
    "INPUT[AxBx3] -> CONV(K=8, F=3x5)": {"A": "all n >= 3", "B": "all n >= 5"},
    "INPUT[Wx9x3] -> CONV(K=8, F=3x5)": {"W": "all n >= 3"},
    "INPUT[Wx4x3] -> CONV(K=8, F=3x5)": None,
    "INPUT[8x8x2] -> { ID | POOL(F=4, S=4) } ADD(BROADCAST=1)": {"H": "only 4 to 7", "W": "only 4 to 7"},
    "INPUT[8x8x2] -> { ADAPTIVEMAXPOOL(O=5) | POOL3 } ADD(BROADCAST=1)": dict.fromkeys("HW", "only 3, 4, 5, 15, 16, 17"),
    "INPUT[8x8x2] -> { ID | POOL(F=2, S=2, CEIL=1) -> UPSAMPLE2 } ADD(BROADCAST=1)": dict.fromkeys(
        "HW", "1, and all n >= 2 with n mod 2 = 0"
    ),
    "INPUT[8x8x32] -> POOL2 -> POOL2 -> FC(10, IN=1050)": None,
    "INPUT[WxWx1] -> CONV(K=6, F=5) -> POOL2 -> CONV(K=16, F=5) -> POOL2 -> FLATTEN -> FC(120, IN=400)": {"W": "only 32 to 35"},
    "INPUT[8x8x3] -> PAD(P=-2:2)": {"H": "all n >= 2", "W": "all n >= 2"},
    "INPUT[8x8x3] -> PAD(P=-2:2, FIRST=1)": {"H": "all n >= 1", "W": "all n >= 1"},
}  # fmt: skip


@pytest.mark.parametrize("text", ONE_BOX)
def test_sizes_in_the_users_own_unknowns(text):
    accepted, proved = agrees(network(text))
    assert proved is not None
    if ONE_BOX[text] is None:
        assert accepted.boxes == ()
        assert accepted.empty
    else:
        (box,) = accepted.boxes
        assert {name: str(found) for name, found in box.items()} == ONE_BOX[text]


LENET = "INPUT[32x32x1] -> CONV(K=6, F=5) -> POOL2 -> CONV(K=16, F=5) -> POOL2 -> FLATTEN -> FC(120, IN=400)"


def test_a_product_of_sizes_that_must_be_a_number():
    """All (H, W) with (H//4 - 3)*(W//4 - 3) = 25, for instance 16..19 by 112..115, and squares of 32..35."""
    accepted, _ = agrees(network(LENET))
    for h in range(1, 130):
        for w in range(1, 130):
            assert ({"H": h, "W": w} in accepted) == (h > 15 and w > 15 and (h // 4 - 3) * (w // 4 - 3) == 25)
    assert accepted.valid == {"H": None, "W": None}
    found = analyze(network(LENET + " -> RELU -> FC(84, IN=120) -> RELU -> FC(10, IN=84)"))
    assert found.totals.params == 61_706


def test_the_nearest_sizes_of_an_image_that_is_not_taken():
    found = analyze(network(LENET).with_input(Input(1, (224, 224))), strict=False)
    assert found.refused.layer == "linear1"
    assert "in_features=400, but 44944 values come in" in found.refused.reason
    assert found.refused.nearest == {"H": (35,), "W": (35,)}
    assert not found.fits()
    assert analyze(network(LENET), strict=False).refused is None


def test_instance_norm_of_a_single_value():
    net = network("INPUT[8x8x3] -> CONV(K=4, F=3, S=2) -> IN")
    accepted, proved = agrees(net)
    taken = {(h, w) for h in range(1, 9) for w in range(1, 9) if {"H": h, "W": w} in accepted}
    assert {(h, w) for h in range(3, 9) for w in range(3, 9)} - taken == {(3, 3), (3, 4), (4, 3), (4, 4)}
    assert proved is not None


def test_a_dead_branch_is_demanded():
    """torch.cat of what does not meet, though only the other branch is returned."""
    nodes = [Node("x", Input(3, (8, 8))), Node("y", Conv(4, 3, padding=1), ("x",)), Node("down", layers.MaxPool(2), ("y",)),
             Node("up", layers.Upsample(2), ("down",)), Node("cat", layers.Concat(), ("y", "up"))]  # fmt: skip
    net = Network(nodes, "y")
    accepted, _ = agrees(net)
    assert [str(found) for found in accepted.boxes[0].values()] == ["all n >= 1 with n mod 2 = 0"] * 2
    assert prove_sizes(net).boxes == accepted.boxes


def test_axes_that_are_tied_otherwise():
    """There is no union of boxes; the formula is required, and that is what is proved."""
    text = "INPUT[{}x1] -> {{ POOL2 -> FLATTEN | CONV(K=1, F=3, S=2, P=1) -> FLATTEN }} ADD"
    net = network(text.format("8x8"))
    accepted, proved = accepted_sizes(net), prove_sizes(net)
    assert (accepted.boxes, accepted.undecided) == (None, ())
    assert accepted.requires == ("add1: (H//2)*(W//2) = ((H + 1)//2)*((W + 1)//2)",)
    assert len(proved.tied) == 1
    rng = random.Random(0)
    for _ in range(200):
        values = {"H": rng.randint(1, 30), "W": rng.randint(1, 30)}
        assert stated(proved.theorem, values) == (runs(net, values), runs(net, values))
    square = accepted_sizes(network(text.format("WxW")))
    assert [str(box["W"]) for box in square.boxes] == ["all n >= 1 with n mod 2 = 0"]


def test_what_letters_must_satisfy():
    requires = {
        "INPUT[8x8xC] -> PIXELSHUFFLE(S=2)": ("pixelshuffle1: 4 divides C",),
        "INPUT[8x8x8] -> SLICE(FROM=3, TO=B)": ("slice1: B > 3", "slice1: B <= 8"),
        "INPUT[8x8x4] -> UPCONV(K=4, F=2, S=2, O=O)": ("convtranspose1: O < 2",),
    }
    for text, expected in requires.items():
        assert accepted_sizes(network(text)).requires == expected


def test_a_letter_that_names_an_axis_is_not_taken_for_it():
    found = accepted_sizes(network("INPUT[8x8x8] -> SLICE(FROM=3, TO=H)"))
    assert found.boxes is None
    assert found.undecided == ("slice1: stop has the letter H, which names an axis of the image; use another",)
    assert accepted_sizes(network("INPUT[8x8x8] -> SLICE(FROM=3, TO=B)")).boxes is not None
    (box,) = accepted_sizes(network("INPUT[HxHx8] -> CONV(K=4, F=3)")).boxes
    assert str(box["H"]) == "all n >= 3"


def test_what_is_broadcast_again_and_again_is_bounded():
    """Where one of two sizes is plainly the larger one, there is no end to it."""
    for times in (4, 31):
        found = accepted_sizes(network("INPUT[8x8x3]" + " -> { POOL(F=2, S=1) | ID } ADD(BROADCAST=1)" * times))
        assert str(found.boxes[0]["H"]) == "only 2"
    with pytest.raises(Undecided, match="a size is broadcast of more than 64 others"):
        reduce(broadcast, (symbol(f"n{k}") for k in range(99)))


@pytest.mark.parametrize(
    ("net", "why"),
    [
        (network("INPUT[8x8x1] -> FLATTEN -> SHUFFLE(G=300)"), "a factor has 300 values that matter; 100 are gone through"),
        (network("INPUT[8x8x8x1] -> FLATTEN -> SHUFFLE(G=30)"), "a factor has 30 values that matter; 20 are gone through"),
        (Network.chain([Input(3, ("W", "W")), layers.Conv("W", 3), layers.PixelShuffle(2)]), "1/4 has no place in a proof"),
    ],
)  # fmt: skip
def test_what_takes_too_long_to_prove_is_undecided(net, why):
    with pytest.raises(Undecided) as caught:
        prove_sizes(net)
    assert str(caught.value) == f"the accepted sizes are not proved: {why}"


def test_an_unknown_operation_costs_the_set_and_no_more():
    net = network("INPUT[32x32x3] -> CONV(K=4, F=3, S=2, P=1) -> UNKNOWN(OP=Einsum)")
    found = analyze(net)
    assert found.accepted.boxes is None
    assert found.undecided == ("unknown1: nothing is known about the operation Einsum",)
    assert [row.output for row in found.rows] == [(3, 32, 32), (4, 16, 16), None]
    with pytest.raises(Undecided, match="Einsum"):
        prove_sizes(net)


@pytest.mark.parametrize("seed", range(60))
def test_dilated_windows_under_same_padding(seed):
    """Their taps may lie on both sides of a small image."""
    rng = random.Random(seed)
    k, d, same = rng.randint(1, 4), rng.randint(1, 5), rng.choice([SAME_UPPER, SAME_LOWER])
    s = rng.randint(1, k)
    first = Conv(2, rng.randint(1, 2), rng.randint(1, 2))
    agrees(Network.chain([Input(2, ("W",)), first, layers.MaxPool(k, s, same, d)]))


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
    agrees(network(f"INPUT[Wx2] -> {text}"))


def test_the_first_size_at_which_branches_differ():
    """There the run stops at the merge that is named."""
    named = 0
    for net in map(drawn, range(300)):
        if len(net.image.sizes) > 1 or all(len(node.operands) < 2 for node in net):
            continue
        found = infer(of_any_size(net))
        if found.undecided or found.open_demands or found.refused:
            continue
        (name,) = accepted_sizes(net).unknowns
        if (first := first_mismatch(found, name)) is not None:
            named += 1
            stops = [stopped_at(net, {name: n})[0] for n in range(1, first[0] + 1)]
            assert stops[-1] == first[1]
            assert first[1] in {node.name for node in net if len(node.operands) > 1}
    assert named > 3


def stopped_at(net, values):
    """The layer at which a run stops, and why."""
    try:
        execute.run(without_statistics(net), np.ones((1, net.image.channels, *sizes_with(net, values))), draw=np.ones)
    except ShapeError as error:
        layer, _, why = str(error).partition(": ")
        return layer, why
    return "", ""


def test_a_unet_takes_multiples_of_16():
    net = network(ENTRIES["unet"].notation)
    for axis in ("H", "W"):
        valid, exact = size_sets(net, axis)
        assert [n for n in range(1, 601) if n in valid] == list(range(16, 601, 16))
        assert valid == exact


# --- products of factors, apart from networks -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(24))
def test_products_of_factors(seed):
    """The boxes and the theorem of a product that must be, exceed or divide by a number, against every point of a grid."""
    rng = random.Random(seed)
    letters = ["n0", "n1", "n2"][: rng.choice([2, 2, 2, 3])]
    factors, box = {}, {}
    for letter in letters:
        shift, stride = rng.randint(0, 3), rng.choice([1, 1, 2, 3])
        factors[letter] = ("+", ("//", ("+", ("v", letter), -shift), stride), 1)
        start = shift + rng.randint(1, 4)
        box[letter] = rng.choice(
            [SizeSet((), start, 1, (0,)), SizeSet((), start, 2, (1,)), SizeSet((start,), start + 2, 3, (0, 2))]
        )
    number, sign = rng.choice([1, 1, 2, 3]), rng.choice(["=", ">=", "multiple"])
    bound = rng.randint(1, 30 if sign != "multiple" else 8)
    product = Product(number, tuple(factors.items()), sign, bound)
    boxes, theorem = taken_apart(box, product, number)
    assert theorem.hypotheses == ()
    recheck.check(json.loads(json.dumps(proof_term(theorem))))
    _, here, there = theorem.conclusion
    for _ in range(300):
        point = {letter: rng.randint(-2, 40 if rng.random() < 0.5 else 9) for letter in letters}
        value = number
        for letter in letters:
            value *= evaluate(factors[letter], point)
        met = {"=": value == bound, ">=": value >= bound, "multiple": value % bound == 0}[sign]
        expected = met and all(point[letter] in box[letter] for letter in letters)
        assert any(all(point[letter] in each[letter] for letter in letters) for each in boxes) == expected
        assert (evaluate(here, point), evaluate(there, point)) == (expected, expected)
