"""Numbers of layers that are computed of sizes: what is said for all sizes, against runs at each."""

import random

import numpy as np
import pytest

from convproof.architecture import (
    Add,
    AvgPool,
    Concat,
    Condition,
    Conv,
    ConvTranspose,
    Input,
    MaxPool,
    Network,
    Node,
    Pad,
)
from convproof.architecture.amounts import Amount, amounts
from convproof.errors import ConvproofError, ShapeError, SpecError
from convproof.execute import run
from convproof.proof.sizes import prove_sizes
from convproof.symbolic import analyze


def size(operand, axis):
    return Amount("size", (operand, axis))


def less(a, b):
    return Amount("-", (a, b))


def each(rank, of):
    """One field's value an axis."""
    return tuple(of(axis) for axis in range(1, rank + 1))


def cropped_to(rank, ahead):
    """A Pad that brings its first operand to the size of its second, with so much of what is cut before."""

    def ends(axis):
        cut = less(size(0, axis), size(1, axis))
        before = Amount("//", (cut, ahead)) if ahead else 0
        return (less(0, before) if ahead else 0, less(before, cut))

    return Pad(each(rank, ends))


def padded_to_multiple(rank, m):
    return Pad(each(rank, lambda axis: (0, Amount("%", (less(0, size(0, axis)), m)))))


DECODER = [
    Node("x", Input(2, (9, 7))),
    Node("down", Conv(4, 3, 2, 1), ("x",)),
    Node("up", ConvTranspose(3, 2, 2), ("down",)),
    Node("crop", cropped_to(2, 0), ("up", "x")),
    Node("joined", Concat(), ("x", "crop")),
]


@pytest.mark.parametrize("image", [(9, 7), (8, 8), (1, 2)])
def test_a_crop_to_a_skip_connection(image):
    net = Network(DECODER).with_input(Input(2, image))
    found = analyze(net)
    ran, _ = run(net, np.ones((1, 2, *image)), draw=np.ones)
    assert [row.output for row in found.rows] == [ran[row.name].shape[1:] for row in found.rows]
    assert str(found.accepted.boxes[0]["H"]) == "all n >= 1"
    assert prove_sizes(net).boxes == found.accepted.boxes


# --- drawn networks ---------------------------------------------------------------------------------------------------


def drawn(rng):
    """A few layers, among them some that crop, pad, lengthen or ask by the sizes of others."""
    nodes = [Node("x", Input(1, (5,)))]
    for number in range(rng.randint(2, 6)):
        last, other = nodes[-1].name, rng.choice(nodes).name
        own, theirs = size(0, 1), size(1, 1)
        expression = rng.choice(
            [own, theirs, less(theirs, own), Amount("%", (own, rng.randint(2, 4))), Amount("//", (theirs, 2))]
        )
        layer, operands = rng.choice(
            [
                (Conv(1, rng.randint(1, 3), rng.randint(1, 3), rng.randint(0, 1)), (last,)),
                (MaxPool(2, rng.randint(1, 2)), (last,)),
                (AvgPool(3, 2, 1), (last,)),
                (cropped_to(1, rng.choice([0, 2])), (last, other)),
                (padded_to_multiple(1, rng.randint(2, 5)), (last,)),
                (ConvTranspose(1, 3, 2, 1, output_padding=Amount("%", (own, 2))), (last,)),
                (Pad(((0, expression),)), (last, other)),
                (Condition(expression, rng.choice(["above", "at_least", "equal", "unequal"]), rng.randint(0, 4)), (last, other)),
                (Add(), (last, last)),
            ]
        )  # fmt: skip
        nodes.append(Node(f"n{number}", layer, operands[: 1 + layer.sizes_read] if layer.has_amounts else operands))
    return Network(nodes, nodes[-1].name)


def runs(net, n):
    """Whether it runs on an image of size n, and leaves something in every layer."""
    try:
        ran, _ = run(net, np.ones((1, 1, n)), draw=np.ones)
    except ShapeError:
        return False
    return all(0 not in x.shape for x in ran.values())


def sampled(count):
    rng = random.Random(20)
    while count:
        try:
            net = drawn(rng)
        except SpecError:
            continue
        if any(node.layer.has_amounts for node in net):
            count -= 1
            yield net


def test_drawn_networks_accept_what_runs():
    known, some = 0, 0
    for net in sampled(150):
        try:
            found = analyze(net, strict=False)
        except ConvproofError:
            continue
        if found.accepted.boxes is None:
            continue
        known += 1
        truth = [runs(net, n) for n in range(1, 31)]
        assert [{"W": n} in found.accepted for n in range(1, 31)] == truth, net
        some += any(truth) and not all(truth)
    assert known >= 100
    assert some >= 40


# --- as data ----------------------------------------------------------------------------------------------------------


def test_a_layer_reads_as_many_operands_as_its_amounts_name():
    crop = cropped_to(2, 2)
    assert (crop.has_amounts, crop.sizes_read) == (True, 1)
    assert padded_to_multiple(2, 4).sizes_read == 0
    assert not Pad(1).has_amounts
    with pytest.raises(SpecError, match=r"crop: Pad takes 1 operand\(s\), got 0"):
        Network([Node("x", Input(1, (5, 5))), Node("crop", crop, ("x",))])


def test_amounts_are_written_as_they_are_worked_out():
    amount = Amount("min", (Amount("-", (size(1, 2), 3)), Amount("//", (Amount("+", (size(0, 1), 1)), 2))))
    assert str(amount) == "min(size(1, 2) - 3, (size(0, 1) + 1)//2)"
    assert list(amount.places()) == [1, 0]
    assert list(amounts(((0, amount), 3))) == [amount]


def test_a_run_refuses_what_the_sizes_do_not_allow():
    net = Network([Node("x", Input(1, (5,))), Node("asked", Condition(size(0, 1), "above", 5), ("x",))])
    with pytest.raises(ShapeError, match="asked: Condition: 5 is not above 5"):
        run(net, np.ones((1, 1, 5)))
