"""Losses, fully connected layers of any rank and single images against torch, in float64."""

import numpy as np
import pytest
from exactly import draw

from convproof import autograd as ag

torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[peers]'` brings it")
torch.set_num_threads(1)  # the arrays are small: threads would only wait for one another
F = torch.nn.functional
BOUND = 64 * np.finfo(float).eps  # sums of at most some 30 terms, after exponentials; of second derivatives too


def compare(op, their_op, arrays, integers):
    """Values, gradients, and the gradients of a random combination of those."""
    ours = [ag.tensor(np.asarray(a, np.float64)) for a in arrays]
    theirs = [torch.tensor(np.asarray(a, np.float64), requires_grad=True) for a in arrays]
    y, ty = op(*ours), their_op(*theirs)
    near(y, ty)
    weights = integers(*y.shape).astype(np.float64)
    first = ag.grad(y, ours, weights)
    their_first = torch.autograd.grad(ty, theirs, torch.tensor(weights), create_graph=True)
    along, their_along = ag.tensor(0.0), torch.zeros((), dtype=torch.float64)
    for our, their in zip(first, their_first, strict=True):
        near(our, their)
        h = integers(*our.shape).astype(np.float64)
        along = ag.add(along, ag.sum(ag.multiply(our, h)))
        their_along = their_along + (their * torch.tensor(h)).sum()
    if their_along.requires_grad:
        second = torch.autograd.grad(their_along, theirs, allow_unused=True, materialize_grads=True)
        for our, their in zip(ag.grad(along, ours), second, strict=True):
            near(our, their)


def near(ours, theirs):
    ours, theirs = ours.numpy(), theirs.detach().numpy()
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    assert np.abs(ours - theirs).max(initial=0) <= BOUND * max(1, np.abs(theirs).max(initial=0))


def loss_case(seed):
    """Scores of classes, with positions or of one example; labels, some of them ignored; options."""
    rng, rank, axis, integers = draw(seed)
    classes, positions = rng.randint(1, 6), axis(1, 3)[: rng.randint(0, rank)]
    shape = (classes,) if seed % 7 == 0 else (rng.randint(1, 4), classes, *positions)
    ignored = rng.choice([-100, -1, 0, 255])
    labels = np.abs(integers(*shape[:1], *shape[2:])) % classes if len(shape) > 1 else np.abs(integers()) % classes
    labels = np.where(integers(*labels.shape, far=3) == 3, ignored, labels)
    options = {"ignore_index": ignored, "reduction": rng.choice(["mean", "sum", "none"])}
    if rng.random() < 0.5:
        options["weight"] = np.abs(integers(classes)) + 1.0
    return rng, integers, np.random.default_rng(seed).standard_normal(shape), labels, options


def torch_options(options):
    return options | ({"weight": torch.tensor(options["weight"])} if "weight" in options else {})


@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_losses(name, block):
    """40 cases a block."""
    compared = 0
    for seed in range(40 * block, 40 * block + 40):
        rng, integers, scores, labels, options = loss_case(seed)
        if name == "cross_entropy" and rng.random() < 0.5:
            options["label_smoothing"] = rng.choice([0.0, 0.25, 1.0])
        ours = lambda s: getattr(ag, name)(s, labels, **options)  # noqa: B023, E731
        if options["reduction"] == "mean" and (labels == options["ignore_index"]).all():
            with pytest.raises(ValueError, match="no label counts"):  # torch: nan
                ours(scores)
            continue
        theirs = lambda s: getattr(F, name)(s, torch.tensor(labels), **torch_options(options))  # noqa: B023, E731
        compare(ours, theirs, [scores], integers)
        compared += 1
    assert compared >= 30


@pytest.mark.parametrize("seed", range(60))
def test_log_softmax(seed):
    rng, rank, axis, integers = draw(seed)
    x, over = 10 * np.random.default_rng(seed).standard_normal(axis(1, 4)), rng.randrange(-rank, rank)
    compare(lambda x: ag.log_softmax(x, over), lambda x: F.log_softmax(x, over), [x], integers)


def test_minus_infinity_is_no_trouble():
    """torch is asked for the loss only: its gradient of log_softmax there is the same 0."""
    scores, labels = np.array([[0.0, -np.inf, 1.0]]), np.array([2])
    compare(lambda s: ag.cross_entropy(s, labels), lambda s: F.cross_entropy(s, torch.tensor(labels)), [scores], draw(0)[3])  # fmt: skip
    assert ag.cross_entropy(scores, [1]).numpy() == np.inf == F.cross_entropy(torch.tensor(scores), torch.tensor([1]))


@pytest.mark.parametrize("seed", range(60))
def test_linear_of_any_rank(seed):
    rng, _, axis, integers = draw(seed)
    rows = axis(0, 3)[: rng.randint(0, 3)]
    x, w, b = integers(*rows, 4), integers(3, 4), integers(3)
    compare(ag.linear, F.linear, [x, w, b][: rng.choice([2, 3])], integers)


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
POOLS = {
    "max_pool": {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d},
    "avg_pool": {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d},
    "adaptive_max_pool": {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d},
    "adaptive_avg_pool": {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d},
}


@pytest.mark.parametrize("seed", range(40))
def test_one_image(seed):
    """Without a batch axis: filters tell, and a kernel of one number per axis."""
    _, rank, axis, integers = draw(seed)
    kernel = axis(1, 3)
    x, b = integers(2, *(k + 2 for k in kernel)), integers(3)
    w, turned = integers(3, 2, *kernel), integers(2, 3, *kernel)
    compare(lambda *each: ag.conv(*each, padding=1), lambda *each: CONV[rank](*each, padding=1), [x, w, b], integers)
    compare(
        lambda *each: ag.conv_transpose(*each, stride=2),
        lambda *each: TRANSPOSED[rank](*each, stride=2),
        [x, turned, b],
        integers,
    )
    for name, theirs in POOLS.items():
        compare(lambda x: getattr(ag, name)(x, kernel), lambda x: theirs[rank](x, kernel), [x], integers)  # noqa: B023
    _, switches = ag.max_pool(x, kernel, return_switches=True)
    their_switches = POOLS["max_pool"][rank](torch.tensor(x, dtype=torch.float64), kernel, return_indices=True)[1]
    assert np.array_equal(switches, their_switches.numpy())
    assert np.array_equal(ag.lp_pool(x, 1, kernel).numpy(), ag.lp_pool(x[None], 1, kernel).numpy()[0])
