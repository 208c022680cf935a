"""The training example: its steps against an independent framework, short runs, and one line for every mistake."""

import importlib.util
import re
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from convproof import autograd as ag

FILE = Path(__file__).parent.parent / "examples" / "train.py"
SPEC = importlib.util.spec_from_file_location("train", FILE)
train = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(train)

NETWORK = train.classifier(train.NETWORK)
BATCH = 2
SHAPES = {("conv1", "weight"): (12, 1, 3, 3), ("conv1", "bias"): (12,), ("linear1", "weight"): (10, 192), ("linear1", "bias"): (10,)}  # fmt: skip


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="torch is not installed; `pip install '.[peers]'` brings it")


@pytest.fixture
def packages():
    for name in ("sklearn", "matplotlib"):
        pytest.importorskip(name, reason=f"{name} is not installed; `pip install '.[examples]'` brings it")


@pytest.fixture
def run(capsys):
    """What the example does with arguments: its exit status, stdout and stderr."""

    def status(*arguments):
        try:
            train.main(list(map(str, arguments)))
        except SystemExit as ended:
            return ended.code, *capsys.readouterr()
        return 0, *capsys.readouterr()

    return status


# --- steps against PyTorch --------------------------------------------------------------------------------------------


def integers(seed, convolution=1, linear=1):
    """Parameters, whole multiples of the two numbers given; and a batch of images, 0 to 3, with labels."""
    rng = np.random.default_rng(seed)
    unit = {"conv1": convolution, "linear1": linear}
    parameters = {place: rng.integers(-3, 4, shape) * float(unit[place[0]]) for place, shape in SHAPES.items()}
    return parameters, (rng.integers(0, 4, (BATCH, 1, 8, 8)).astype(float), rng.integers(0, 10, BATCH))


def ours(parameters, batch, steps, lr, momentum, loss):
    velocities = {place: p * 0 for place, p in parameters.items()}
    for _ in range(steps):
        parameters, velocities, _ = train.step(NETWORK, parameters, velocities, batch, lr, momentum, loss)
    return parameters, velocities


def theirs(torch, parameters, batch, steps, lr, momentum, loss):
    """The same by PyTorch: its layers, gradients and optimizer; the parameters and the last gradients."""
    leaves = {place: torch.tensor(p, requires_grad=True) for place, p in parameters.items()}
    optimizer = torch.optim.SGD(leaves.values(), lr=lr, momentum=momentum)
    images, labels = map(torch.tensor, batch)
    for _ in range(steps):
        optimizer.zero_grad()
        planes = torch.nn.functional.conv2d(images, *list(leaves.values())[:2], padding=1)
        pooled = torch.nn.functional.max_pool2d(torch.relu(planes), 2)
        loss(torch.nn.functional.linear(pooled.flatten(1), *list(leaves.values())[2:]), labels).backward()
        optimizer.step()
    return tuple({place: read(leaf).numpy() for place, leaf in leaves.items()} for read in (lambda t: t.detach(), lambda t: t.grad))  # fmt: skip


def their_hinge(torch):
    """The label's own margin is 1 whatever the scores are, and its two derivatives cancel."""
    return lambda scores, labels: torch.relu(scores - scores.gather(1, labels[:, None]) + 1).sum() / len(labels)


def equal(found, expected):
    assert list(found) == list(expected)
    for place, array in found.items():
        assert array.dtype == expected[place].dtype == np.float64
        assert np.array_equal(array, expected[place])
        assert np.count_nonzero(array) > array.size / 3


@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_pytorchs(torch, seed):
    """On whole numbers, divided by a batch of 2, nothing rounds: `==`."""
    parameters, batch = integers(seed)
    found, velocities = ours(parameters, batch, 1, 1.0, 0.0, ag.hinge_loss)
    expected, gradients = theirs(torch, parameters, batch, 1, 1.0, 0.0, their_hinge(torch))
    equal(velocities, gradients)
    equal(found, expected)


@pytest.mark.parametrize("seed", range(2))
def test_three_steps_are_pytorchs(torch, seed):
    """Step size and momentum are powers of 2, and nothing rounds that matters: the same steps in fractions end at the
    same parameters, so both must be `==`.
    """
    parameters, batch = integers(seed)
    found, _ = ours(parameters, batch, 3, 2.0**-8, 0.5, ag.hinge_loss)
    equal(found, theirs(torch, parameters, batch, 3, 2.0**-8, 0.5, their_hinge(torch))[0])
    fractions = np.vectorize(Fraction, otypes=[object])
    exact = ({place: fractions(p) for place, p in parameters.items()}, (fractions(batch[0]), batch[1]))
    slow, _ = ours(*exact, 3, Fraction(1, 256), Fraction(1, 2), ag.hinge_loss)
    assert all(np.array_equal(slow[place], fractions(p)) for place, p in found.items())


@pytest.mark.parametrize("seed", range(5))
def test_gradients_through_softmax_are_pytorchs(torch, seed):
    """Within 16 roundings (eps) of what the gradients would be if nothing cancelled; 1.2 were seen.

    Scores are exact. Softmax over 10 classes, here a quotient and there exp of a difference, differs by 12 eps at most:
    one for each term of its sum and a few for exp and log. Sums over classes, images and positions, taken in another
    order, add a few more (as many as they have terms, if all were of one sign).
    """
    parameters, batch = integers(seed, 1 / 8, 1 / 32)
    _, velocities = ours(parameters, batch, 1, 0.1, 0.9, ag.cross_entropy)
    _, gradients = theirs(torch, parameters, batch, 1, 0.1, 0.9, torch.nn.functional.cross_entropy)
    bare = {place: np.abs(p) if place == ("linear1", "weight") else p for place, p in parameters.items()}  # images >= 0
    _, largest = ours(bare, batch, 1, 1.0, 0.0, lambda scores, labels: ag.multiply(ag.sum(scores), 1 / BATCH))
    for place, gradient in gradients.items():
        bound = 16 * np.finfo(float).eps * largest[place]
        assert np.all(np.abs(velocities[place] - gradient) <= bound)
        assert np.max(np.abs(gradient)) > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_three_steps_through_softmax_are_pytorchs(torch, seed):
    """Within 1e-14 of the largest parameter of its field, 45 eps: what three gradients round, times a step of 0.1."""
    rng = np.random.default_rng(seed)
    parameters = {place: rng.standard_normal(shape) / 4 for place, shape in SHAPES.items()}
    batch = rng.standard_normal((BATCH, 1, 8, 8)), rng.integers(0, 10, BATCH)
    found, _ = ours(parameters, batch, 3, 0.1, 0.9, ag.cross_entropy)
    expected, _ = theirs(torch, parameters, batch, 3, 0.1, 0.9, torch.nn.functional.cross_entropy)
    for place, p in expected.items():
        assert np.max(np.abs(found[place] - p)) <= 1e-14 * np.max(np.abs(p))
        assert np.max(np.abs(p - parameters[place])) > 1e-3


def test_a_step_changes_nothing_that_it_is_given():
    parameters, batch = integers(0, 1 / 8, 1 / 32)
    velocities = {place: np.ones(shape) for place, shape in SHAPES.items()}
    before = [array.copy() for array in (*parameters.values(), *velocities.values(), *batch)]
    first, second = (train.step(NETWORK, parameters, velocities, batch, 0.1, 0.9) for _ in range(2))
    assert all(map(np.array_equal, before, (*parameters.values(), *velocities.values(), *batch)))
    assert all(np.array_equal(first[0][place], second[0][place]) for place in SHAPES)
    assert first[2] == second[2]


# --- data and parameters ----------------------------------------------------------------------------------------------


def test_first_parameters():
    """Variance times fan-in is 2, within what so many draws allow; the same seed draws the same."""
    network = train.classifier("INPUT[8x8x3] -> CONV3-200 -> BN -> RELU -> POOL2 -> FC-10")
    found, again = (train.initial(network, np.random.default_rng(3)) for _ in range(2))
    assert all(np.array_equal(found[place], again[place]) for place in found)
    assert {p.dtype for p in found.values()} == {np.dtype(np.float32)}
    for layer in ("conv1", "linear1"):
        weight = found[layer, "weight"]
        assert np.var(weight) * weight[0].size == pytest.approx(2, rel=0.1)
        assert not found[layer, "bias"].any()
    assert (found["batchnorm1", "weight"] == 1).all()
    assert not found["batchnorm1", "bias"].any()


def test_images_fill_the_input(packages):
    plain, labels = train.digits(NETWORK)
    large, _ = train.digits(train.classifier("INPUT[16x24x3] -> FC-10"))
    assert (plain.shape, large.shape, labels.shape) == ((1797, 1, 8, 8), (1797, 3, 24, 16), (1797,))
    assert (plain.min(), plain.max(), set(labels)) == (0, 1, set(range(10)))
    assert all(
        np.array_equal(large[:, c, i::3, j::2], plain[:, 0]) for c in range(3) for i in range(3) for j in range(2)
    )


# --- runs -------------------------------------------------------------------------------------------------------------


def test_training_learns_and_can_be_repeated(packages, run, tmp_path):
    once, twice, other, longer = (
        run("--epochs", epochs, "--seed", seed, "--picture", tmp_path / name)
        for epochs, seed, name in ((1, 0, "0.svg"), (1, 0, "1.png"), (1, 1, "2.png"), (5, 0, "3.png"))
    )
    assert once == twice != other
    assert [(done[0], done[2]) for done in (once, longer)] == [(0, "")] * 2
    lines = [re.fullmatch(LINE, done[1]) for done in (once, longer)]
    (before, _, _), (after, right, right_held) = (map(float, line.groups()) for line in lines)
    assert after < before < np.log(10)
    assert right >= right_held >= 95
    assert (tmp_path / "0.svg").read_bytes().startswith(b"<?xml")
    assert (tmp_path / "1.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["0.svg", "1.png", "2.png", "3.png"]


LINE = r"training loss (0\.\d{4}), training accuracy (\d+\.\d\d)%, test accuracy (\d+\.\d\d)%\n"


def test_what_is_held_out_is_never_trained_on(packages, run, tmp_path, monkeypatch):
    """What every function is called with: all other images once an epoch, in another order, and every loss drawn."""
    called = {"step": [], "judged": [], "draw": []}

    def watch(name):
        function = getattr(train, name)

        def watched(*arguments):
            called[name].append((arguments, function(*arguments) if name != "draw" else None))
            return called[name][-1][1]

        monkeypatch.setattr(train, name, watched)

    for name in called:
        watch(name)
    assert run("--epochs", 2, "--batch", 100, "--picture", tmp_path / "loss.png")[0] == 0
    seen = [image.tobytes() for (_, _, _, batch, *_), _ in called["step"] for image in batch[0]]
    used, held = ([image.tobytes() for image in images] for (_, _, images, _), _ in called["judged"])
    assert (len(used), len(held), len({*used, *held})) == (1438, 359, 1797)
    first, second = seen[:1438], seen[1438:]
    assert sorted(first) == sorted(second) == sorted(used)
    assert first != second
    (((losses, steps, _), _),) = called["draw"]
    assert (losses, steps) == ([loss for _, (_, _, loss) in called["step"]], 15)


def test_an_infinite_loss_is_refused(packages, run, tmp_path):
    refused = run("--lr", "1e30", "--picture", tmp_path / "loss.png")
    assert refused == (2, "", "train.py: the loss is no longer finite; use a smaller --lr\n")


@pytest.mark.parametrize("where", [(train, "step"), (Path, "replace")])
def test_an_interruption_leaves_nothing_behind(packages, run, tmp_path, monkeypatch, where):
    """While it trains, and while it writes: what was there stays, and nothing else does."""
    (tmp_path / "loss.png").write_text("old")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(*where, interrupted)
    status, out, err = run("--epochs", 1, "--batch", 2000, "--picture", tmp_path / "loss.png")
    assert (status, out, err.strip()) == (130, "", "train.py: interrupted")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("loss.png", "old")]


# --- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "Invalid value for '--epochs': 0 is not in the range x>=1. (see train.py --help)"),
        (["--batch", "few"], "Invalid value for '--batch': 'few' is not a valid integer range. (see train.py --help)"),
        (["--lr", "0"], "Invalid value for '--lr': 0.0 is not in the range x>0. (see train.py --help)"),
        (["--lr", "inf"], "--lr and --momentum must be finite numbers"),
        (["--momentum", "nan"], "--lr and --momentum must be finite numbers"),
        (["--momentum", "1"], "Invalid value for '--momentum': 1.0 is not in the range 0<=x<1. (see train.py --help)"),
        (["--seed", "-1"], "Invalid value for '--seed': -1 is not in the range x>=0. (see train.py --help)"),
        (["digits"], "Got unexpected extra argument (digits) (see train.py --help)"),
        (["--picture", "loss.jpg"], "--picture loss.jpg: the name must end in .png or .svg"),
        (["--picture", "no/such/loss.png"], "--picture no/such/loss.png: no file can be written there; choose another place"),
        (["--network", "INPUT[8x8x1] -> KONV3-8"], "network notation, column 17: unknown layer 'KONV3-8'; did you mean CONV3-64?"),
        (["--network", "INPUT[WxWx1] -> FC-10"], "--network: INPUT must have three numbers, as in INPUT[8x8x1]"),
        (["--network", "INPUT[8x1] -> FC-10"], "--network: INPUT must have three numbers, as in INPUT[8x8x1]"),
        (["--network", "INPUT[8x12x1] -> FC-10"], "--network: the sizes of INPUT must be multiples of 8, as in INPUT[8x8x1]"),
        (["--network", "INPUT[8x8x1] -> FC-9"], "--network: an image's output has shape (9,); it must be (10,), so end in FC-10"),
        (["--network", "INPUT[8x8x1] -> FC-10 -> SOFTMAX"],
         "--network: softmax1: leave it out; the loss has the softmax, and nothing is dropped"),
        (["--network", "INPUT[8x8x1] -> CONV(K=2, F=9) -> FC-10"],
         "conv1: conv: on spatial axis 0 a window spans 9 positions but the padded input has only 8; pad by 1 more or use a smaller kernel"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == (2, "", f"train.py: {message}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("module", "package"), [("sklearn.datasets", "scikit-learn"), ("matplotlib", "matplotlib")])
def test_a_missing_package_is_one_line(run, monkeypatch, tmp_path, module, package):
    if module != "matplotlib":
        monkeypatch.setitem(sys.modules, "matplotlib", sys)
    monkeypatch.setitem(sys.modules, module, None)
    refused = run("--picture", tmp_path / "loss.png")
    assert refused == (2, "", f"train.py: {package} is not installed; pip install '.[examples]' brings it\n")


def test_help(run):
    status, out, err = run("--help")
    assert (status, err) == (0, "")
    for option in ("epochs", "batch", "lr", "momentum", "seed", "network", "picture"):
        assert f"--{option}" in out
