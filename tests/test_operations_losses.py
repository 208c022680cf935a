"""Losses in fractions and by hand, what they and fully connected layers refuse, and single images."""

from fractions import Fraction

import numpy as np
import pytest
from exactly import dot, draw, exact, linear_in, same

from convproof import autograd as ag
from convproof.errors import DtypeError, ShapeError

F = Fraction


@pytest.mark.parametrize("seed", range(60))
def test_nll_loss_in_fractions(seed):
    """By its definition, label by label; weights are operands like the others."""
    rng, _, axis, integers = draw(seed)
    classes, positions = rng.randint(1, 5), axis(1, 3)[: seed % 3]
    logs, weight = exact(integers(2, classes, *positions)) / 7, exact(np.abs(integers(classes)) + 1) / 3
    labels = np.abs(integers(2, *positions)) % classes
    labels[(0,) * labels.ndim] = -100
    losses, counts = np.full(labels.shape, F(0)), F(0)
    for n, *place in np.ndindex(labels.shape):
        label = labels[(n, *place)]
        if label != -100:
            losses[(n, *place)] = -weight[label] * logs[(n, label, *place)]
            counts += weight[label]
    same(ag.nll_loss(logs, labels, weight, reduction="none"), losses)
    same(ag.nll_loss(logs, labels, weight, reduction="sum"), losses.sum())
    same(ag.nll_loss(logs, labels, weight), losses.sum() / counts)
    linear_in(lambda logs: ag.nll_loss(logs, labels, weight), logs, integers)
    W, h = ag.tensor(weight), exact(integers(classes))
    (slope,) = ag.grad(ag.nll_loss(logs, labels, W), [W])
    step = F(1, 10**9)  # the mean is a quotient of two linear functions of the weights
    ahead, behind = (ag.nll_loss(logs, labels, weight + s * h).numpy()[()] for s in (step, -step))
    assert abs((ahead - behind) / (2 * step) - dot(slope.numpy(), h)) < F(1, 10**12)


def test_cross_entropy_by_hand():
    scores = np.log([[1.0, 3.0], [2.0, 2.0]])  # the shares are 1/4, 3/4 and 1/2, 1/2
    none = ag.cross_entropy(scores, [1, 0], reduction="none").numpy()
    assert none == pytest.approx(np.log([4 / 3, 2]), rel=1e-14)
    assert ag.cross_entropy(scores, [1, 0], [1.0, 3.0]).numpy() == pytest.approx((none[1] + 3 * none[0]) / 4, rel=1e-14)
    smooth = ag.cross_entropy(scores, [1, -1], ignore_index=-1, label_smoothing=0.5).numpy()
    assert smooth == pytest.approx(0.75 * np.log(4 / 3) + 0.25 * np.log(4), rel=1e-14)
    assert ag.cross_entropy(scores[0], np.int8(1)).shape == ()
    same(ag.cross_entropy(scores, [-1, -1], ignore_index=-1, reduction="sum"), 0)
    unsigned = ag.cross_entropy(scores, np.array([1, 255], np.uint8), ignore_index=255).numpy()
    assert unsigned == pytest.approx(np.log(4 / 3), rel=1e-14)


def test_log_softmax_of_numbers_far_apart():
    x = ag.tensor([[-1e4, 0.0, 1e4]])
    y = ag.log_softmax(x)
    assert y.numpy().tolist() == [[-2e4, -1e4, 0.0]]
    assert ag.grad(y, [x], [[1.0, 0.0, 0.0]])[0].numpy().tolist() == [[1.0, 0.0, -1.0]]
    assert ag.log_softmax([[3, 3]]).dtype == np.float64


@pytest.mark.parametrize("rows", [(), (0,), (5,), (2, 3), (2, 0, 3)])
def test_linear_of_any_rank(rows):
    _, _, _, integers = draw(0)
    x, w, b = integers(*rows, 4), integers(3, 4), integers(3)
    same(ag.linear(x, w, b), np.einsum("...f,uf->...u", x, w) + b)
    linear_in(lambda w: ag.linear(x, w), w, integers)
    if 0 not in rows:
        linear_in(lambda x: ag.linear(x, w), x, integers)


def test_one_image():
    _, _, _, integers = draw(0)
    x, w, g = integers(2, 5, 4), integers(3, 2, 2, 3), integers(3, 4, 2)
    X, W = ag.tensor(x), ag.tensor(w)
    y = ag.conv(X, W)
    same(y, ag.conv(x[None], w).numpy()[0])
    gx, gw = ag.grad(y, [X, W], g)
    same(gx, ag.conv_input_gradient(g[None], w, (5, 4)).numpy()[0])
    same(gw, ag.conv_weight_gradient(g[None], x[None], (2, 3)))
    same(ag.conv_transpose(g, w, np.zeros(2, int)), gx)
    assert ag.max_pool(x, (2, 2)).shape == (2, 2, 2)
    assert ag.max_pool(x, 2).shape == (2, 5, 2)  # with one number for all axes, two images of one axis
    values, switches = ag.adaptive_max_pool(x, [1, 1], return_switches=True)
    same(values, x.max((1, 2), keepdims=True))
    same(switches.ravel(), x.reshape(2, -1).argmax(1))


SCORES = np.zeros((2, 3))
POSITIONS = "must be (N, classes, *positions) and (N, *positions), not empty"
REFUSALS = {
    "labels": (
        lambda: ag.cross_entropy(SCORES, [0, 1, 2]),
        f"cross_entropy: scores (2, 3) and labels (3,) {POSITIONS}",
    ),
    "one label": (lambda: ag.nll_loss(SCORES[:1], 1), f"nll_loss: scores (1, 3) and labels () {POSITIONS}"),
    "two labels": (lambda: ag.nll_loss(SCORES[0], [1]), f"nll_loss: scores (3,) and labels (1,) {POSITIONS}"),
    "a number": (lambda: ag.nll_loss(1.0, 1), f"nll_loss: scores () and labels () {POSITIONS}"),
    "nothing": (lambda: ag.nll_loss(np.ones((0, 3)), np.ones(0, int)), f"nll_loss: scores (0, 3) and labels (0,) {POSITIONS}"),
    "outside": (lambda: ag.nll_loss(SCORES, [0, 3]), "nll_loss: label 3 is outside 0..2"),
    "negative": (lambda: ag.cross_entropy(SCORES, [-1, 0]), "cross_entropy: label -1 is outside 0..2"),
    "weight": (
        lambda: ag.cross_entropy(SCORES, [0, 1], [1.0, 1.0]),
        "cross_entropy: weight of shape (2,) for 3 classes; it must be (3,)",
    ),
    "reduction": (
        lambda: ag.cross_entropy(SCORES, [0, 1], reduction="average"),
        "cross_entropy: reduction='average' is none of mean, sum, none",
    ),
    "smoothing": (
        lambda: ag.cross_entropy(SCORES, [0, 1], label_smoothing=1.5),
        "cross_entropy: label_smoothing=1.5 must be a number from 0 to 1",
    ),
    "all ignored": (
        lambda: ag.cross_entropy(SCORES, [7, 7], ignore_index=7),
        "cross_entropy: no label counts, so that there is no mean; use reduction='sum'",
    ),
    "no weight": (
        lambda: ag.nll_loss(SCORES, [0, 0], [0.0, 1.0, 1.0]),
        "nll_loss: no label counts, so that there is no mean; use reduction='sum'",
    ),
    "hinge": (lambda: ag.hinge_loss(SCORES[0], 1), "hinge_loss: scores (3,) must be (N, classes)"),
    "hinge's labels": (
        lambda: ag.hinge_loss(SCORES, [1]),
        "hinge_loss: scores (2, 3) and labels (1,) must be (N, classes) and (N), not empty",
    ),
    "log_softmax": (lambda: ag.log_softmax(SCORES, 2), "log_softmax: axis=2 is none of the 2 axes of shape (2, 3)"),
    "linear": (
        lambda: ag.linear(SCORES, np.ones((4, 2))),
        "linear: input (2, 3) and weights (4, 2) must be (N, features) and (units, features)",
    ),
    "linear, a number": (
        lambda: ag.linear(1.0, np.ones((4, 2))),
        "linear: input () and weights (4, 2) must be (..., features) and (units, features)",
    ),
    "one image": (
        lambda: ag.conv(np.ones((3, 5, 5)), np.ones((2, 4, 3, 3))),
        "conv: input (1, 3, 5, 5) has 3 channels, filters (2, 4, 3, 3) with groups=1 want 4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    call, message = REFUSALS[name]
    with pytest.raises(ShapeError) as caught:
        call()
    assert str(caught.value) == message


@pytest.mark.parametrize("loss", [ag.cross_entropy, ag.nll_loss, ag.hinge_loss])
def test_labels_that_are_no_integers(loss):
    with pytest.raises(DtypeError) as caught:
        loss(SCORES, [0.0, 1.0])
    assert str(caught.value) == f"{loss.__name__}: labels of dtype float64; they must be integers"
