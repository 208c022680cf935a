"""A network runs: shapes from arrays alone, parameters given or drawn, and what is refused."""

import numpy as np
import pytest

from convproof import autograd as ag
from convproof import execute
from convproof.architecture import (
    Activation,
    AdaptivePool,
    Add,
    Affine,
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Concat,
    Condition,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalPool,
    GroupNorm,
    Input,
    InstanceNorm,
    Linear,
    LocalResponseNorm,
    LpPool,
    MaxPool,
    Multiply,
    Network,
    Pad,
    PadTo,
    PixelShuffle,
    PixelUnshuffle,
    ReLU,
    Reshape,
    Resize,
    Scale,
    Shaped,
    Slice,
    Softmax,
    Unknown,
    Upsample,
    layers,
)  # fmt: skip
from convproof.architecture.notation import network
from convproof.errors import ConvproofError, ShapeError

NET = network("INPUT[6x6x2] -> CONV3-3 -> RELU -> { POOL2 | AVGPOOL2 } CONCAT -> { ID | ID } ADD -> FC-4 -> SOFTMAX")
X = np.random.default_rng(0).integers(-3, 4, (2, 2, 6, 6)).astype(float)


def test_a_run_is_the_composition_of_its_operations():
    rng = np.random.default_rng(1)
    activations, parameters = execute.run(NET, X, draw=lambda shape: rng.integers(-2, 3, shape))
    w, b = parameters["conv1"]["weight"], parameters["conv1"]["bias"]
    y = ag.relu(ag.conv(X, w, b, padding=1))
    joined = ag.concatenate([ag.max_pool(y, 2), ag.avg_pool(y, 2)])
    scores = ag.linear(
        ag.flatten(ag.multiply(joined, 2)), parameters["linear1"]["weight"], parameters["linear1"]["bias"]
    )
    assert np.array_equal(activations["linear1"].numpy(), scores.numpy())
    assert np.array_equal(activations[NET.output.name].numpy(), ag.softmax(scores).numpy())


def test_given_parameters_are_used_and_can_be_differentiated():
    _, drawn = execute.run(NET, X, draw=np.ones)
    arrays = {name: {field: t.numpy() for field, t in fields.items()} for name, fields in drawn.items()}
    activations, used = execute.run(NET, X, arrays)
    (gradient,) = ag.grad(ag.sum(activations["linear1"]), [used["conv1"]["weight"]])
    assert gradient.shape == (3, 2, 3, 3)


def test_other_layers_run():
    net = Network.chain(
        [Input(2, (7,)), ConvTranspose(4, 3, 2, padding=1, output_padding=1), LpPool(2, 2), MaxPool(3, 1, 1)]
    )
    activations, parameters = execute.run(net, np.ones((1, 2, 7)), draw=np.ones)
    assert parameters["convtranspose1"]["weight"].shape == (2, 4, 3)
    assert activations["maxpool1"].shape == (1, 4, 7)
    global_max = network("INPUT[5x5x3] -> GLOBALAVGPOOL -> DROPOUT -> FLATTEN")
    assert execute.run(global_max, np.ones((2, 3, 5, 5)))[0]["flatten1"].shape == (2, 3)


def padded(x, pads, mode):
    """As NumPy pads, along the spatial axes."""
    x = x.numpy() if isinstance(x, ag.Tensor) else x
    return ag.tensor(np.pad(x, ((0, 0), (0, 0), *pads), mode))


W3, B4, B2 = np.arange(36.0).reshape(4, 1, 3, 3), np.arange(4.0), np.arange(2.0)
KINDS = {
    "conv": (
        Conv(4, 3, (1, 2), ((1, 0), (2, 1)), (2, 1), 2),
        {"weight": W3, "bias": B4},
        lambda x: ag.conv(x, W3, B4, (1, 2), ((1, 0), (2, 1)), (2, 1), 2),
    ),
    "conv without bias": (Conv(4, 3, groups=2, bias=False), {"weight": W3}, lambda x: ag.conv(x, W3, groups=2)),
    "conv_transpose": (
        ConvTranspose(4, 3, 2, 1, 1, 2, True, 2),
        {"weight": W3[:2].repeat(2, 1), "bias": B4},
        lambda x: ag.conv_transpose(x, W3[:2].repeat(2, 1), B4, 2, 1, 1, 2, 2),
    ),
    "max_pool": (MaxPool(2, 3, 1, 2, True), {}, lambda x: ag.max_pool(x, 2, 3, 1, 2, True)),
    "avg_pool": (AvgPool(3, 2, 1, True, False), {}, lambda x: ag.avg_pool(x, 3, 2, 1, True, False)),
    "lp_pool": (LpPool(3, 2, 3, True), {}, lambda x: ag.lp_pool(x, 3, 2, 3, True)),
    "global max": (GlobalPool("max"), {}, lambda x: ag.max_pool(x, (6, 6))),
    "global average": (GlobalPool("avg"), {}, lambda x: ag.avg_pool(x, (6, 6))),
    "linear": (
        Linear(2, bias=False),
        {"weight": np.arange(144.0).reshape(2, 72)},
        lambda x: ag.linear(ag.flatten(x), np.arange(144.0).reshape(2, 72)),
    ),
    "batch norm": (
        BatchNorm(0.25),
        {"weight": B2 + 1, "bias": B2 + 3},
        lambda x: ag.batch_norm(x, B2 + 1, B2 + 3, 0.25),
    ),
    "batch norm with given statistics": (
        BatchNorm(0.25),
        {"weight": B2 + 1, "bias": B2 + 3, "running_mean": B2 - 4, "running_var": B2 + 2},
        lambda x: ag.batch_norm(x, B2 + 1, B2 + 3, 0.25, B2 - 4, B2 + 2),
    ),
    "local response norm": (
        LocalResponseNorm(2, 0.5, 1.5, 3.0),
        {},
        lambda x: ag.local_response_norm(x, 2, 0.5, 1.5, 3.0),
    ),
    "dropout": (Dropout(0.3), {}, lambda x: x),
    "relu": (ReLU(), {}, ag.relu),
    "softmax": (Softmax(), {}, lambda x: ag.softmax(x, 1)),
    "flatten": (Flatten(), {}, ag.flatten),
    "reshape": (Reshape((8, 3, 3)), {}, lambda x: ag.reshape(x, (2, 8, 3, 3))),
    "cropped": (Pad(((-1, 2), (0, -3))), {}, lambda x: ag.pad(x, ((-1, 2), (0, -3)))),
    **{
        f"pad, {mode}": (Pad(((1, 2), (0, 4)), mode), {}, lambda x, to=to: padded(x, ((1, 2), (0, 4)), to))
        for mode, to in (("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap"))
    },
    "cropped and repeated": (
        Pad(((-2, 1), (3, -1)), "replicate"),
        {},
        lambda x: padded(x.numpy()[:, :, 2:, :-1], ((0, 1), (3, 0)), "edge"),
    ),
    "scaled": (Affine(shift=False), {"weight": B2 + 2}, lambda x: ag.multiply(x, np.reshape(B2 + 2, (2, 1, 1)))),
    "shifted": (Affine(scale=False), {"bias": B2 + 2}, lambda x: ag.add(x, np.reshape(B2 + 2, (2, 1, 1)))),
    "instance norm": (
        InstanceNorm(0.25),
        {"weight": B2 + 1, "bias": B2},
        lambda x: ag.group_norm(x, 2, B2 + 1, B2, 0.25),
    ),
    "instance norm of other channels": (
        InstanceNorm(0.25, affine=False, num_features=7),
        {},
        lambda x: ag.group_norm(x, 2, None, None, 0.25),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_field_of_a_layer_counts(name):
    layer, parameters, expected = KINDS[name]
    net = Network.chain([Input(2, (6, 6)), layer])
    given = {net.output.name: parameters} if parameters else {}
    activations, _ = execute.run(net, X, given)
    assert np.array_equal(activations[net.output.name].numpy(), expected(ag.tensor(X)).numpy())


X4 = np.random.default_rng(3).integers(-9, 10, (2, 4, 4, 6)).astype(float)
SMALL = X4[:, :, :3, 2:4]


def normal(x, groups):
    """Group by group, mean 0 and variance 1."""
    y = x.reshape(len(x), groups, -1)
    return ((y - y.mean(2, keepdims=True)) / np.sqrt(y.var(2, keepdims=True) + 0.25)).reshape(x.shape)


def shuffled(x):
    """Channel 4*c + 2*i + j is row i and column j of each block of channel c."""
    y = np.zeros((len(x), x.shape[1] // 4, 2 * x.shape[2], 2 * x.shape[3]))
    for i, j in np.ndindex(2, 2):
        y[:, :, i::2, j::2] = x[:, 2 * i + j :: 4]
    return y


IN_NUMPY = [
    (Activation("sigmoid"), lambda x: 1 / (1 + np.exp(-x))),
    (Activation("tanh"), np.tanh),
    (AdaptivePool((2, 3)), lambda x: x.reshape(2, 4, 2, 2, 3, 2).mean((3, 5))),
    (AdaptivePool((2, 3), "max"), lambda x: x.reshape(2, 4, 2, 2, 3, 2).max((3, 5))),
    (ChannelShuffle(2), lambda x: x[:, [0, 2, 1, 3]]),
    (GroupNorm(2, 0.25, affine=False), lambda x: normal(x, 2)),
    (PixelShuffle(2), shuffled),
    (PixelUnshuffle(2), lambda x: np.stack([x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1)], 2).reshape(2, 16, 2, 3)),
    (Slice(1, 3), lambda x: x[:, 1:3]),
    (Condition(7, "above", 6), lambda x: x),
    (Upsample((2, 3)), lambda x: x.repeat(2, 2).repeat(3, 3)),
]  # fmt: skip
MERGES = [
    (Add(), (X4, X4 * X4), lambda x, y: x + y),
    (Add(broadcast=True), (X4, X4[:, :1, :, :1]), lambda x, y: x + y),
    (Multiply(), (X4, X4 + 1, X4 - 3), lambda x, y, z: x * y * z),
    (Multiply(broadcast=True), (X4[:, :, :1], X4), lambda x, y: x * y),
    (Scale(), (X4, X4[:, :, :1, :1]), lambda x, y: x * y),
    (Scale(), (X4, X4[:, :, 0, 0]), lambda x, y: x * y[:, :, None, None]),
    (Concat(), (X4, X4[:, :3], X4 + 1), lambda *parts: np.concatenate(parts, 1)),
    (Resize(), (SMALL, X4), lambda x, y: x[:, :, [0, 0, 1, 2]][..., [0, 0, 0, 1, 1, 1]]),
    (PadTo(), (SMALL, X4), lambda x, y: np.pad(x, ((0, 0), (0, 0), (0, 1), (2, 2)))),
    (PadTo(), (X4, SMALL), lambda x, y: x[:, :, 1:, 2:4]),  # half of -1, rounded down, before
]


@pytest.mark.parametrize(("layer", "operands", "expected"), [(a, (X4,), b) for a, b in IN_NUMPY] + MERGES)
def test_layers_compute_what_numpy_says(layer, operands, expected):
    found = execute.execute(layer, execute.LayerParameters({}), *map(ag.tensor, operands)).numpy()
    np.testing.assert_allclose(found, expected(*operands), rtol=1e-12, atol=1e-12, strict=True)


def test_every_kind_is_held_against_numbers():
    """By a line of the tables above; Input hands over what it is given, and Unknown and Shaped do not run."""
    held = [layer for layer, *_ in (*KINDS.values(), *IN_NUMPY, *MERGES)]
    assert set(map(type, held)) == set(layers.KINDS) - {Input, Unknown, Shaped}


NORMALIZED = network("INPUT[6x6x2] -> CONV3-3 -> BN -> RELU -> LRN -> POOL2 -> FC-4 -> BN")


def test_a_normalized_network_runs_and_can_be_differentiated():
    """Statistics that are not given are the batch's: they are no parameters, are not drawn, and gradients go through."""
    rng = np.random.default_rng(2)
    activations, parameters = execute.run(NORMALIZED, X, draw=lambda shape: rng.integers(1, 4, shape))
    assert {name: sorted(fields) for name, fields in parameters.items()} == {
        "conv1": ["bias", "weight"],
        "batchnorm1": ["bias", "weight"],
        "linear1": ["bias", "weight"],
        "batchnorm2": ["bias", "weight"],
    }
    scores = activations["batchnorm2"]
    assert scores.shape == (2, 4)
    values = scores.numpy() - parameters["batchnorm2"]["bias"].numpy()
    assert np.abs(values.sum(0)).max() < 1e-12  # the two values of a unit lie on either side of their mean
    gradient, shift = ag.grad(ag.sum(activations["batchnorm1"]), [parameters["conv1"]["weight"], parameters["batchnorm1"]["bias"]])  # fmt: skip
    assert np.abs(gradient.numpy()).max() < 1e-12  # a channel's sum is that of its shift, whatever the filters
    assert shift.numpy().tolist() == [72.0] * 3


def test_given_statistics_are_used_and_may_be_integers():
    given = {"batchnorm1": {"running_mean": [1, -1], "running_var": [4, 16]}}
    net = Network.chain([Input(2, (6, 6)), BatchNorm(0)])
    activations, parameters = execute.run(net, X, given, np.ones)
    expected = (X - np.reshape([1, -1], (2, 1, 1))) / np.reshape([2, 4], (2, 1, 1)) + 1
    assert np.array_equal(activations["batchnorm1"].numpy(), expected)
    assert sorted(parameters["batchnorm1"]) == ["bias", "running_mean", "running_var", "weight"]
    assert given == {"batchnorm1": {"running_mean": [1, -1], "running_var": [4, 16]}}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: execute.run(NORMALIZED, X, {"batchnorm1": {"running_mean": np.ones(3)}}, np.ones),
            "batchnorm1: batch_norm: give both mean and variance, or neither for those of the batch",
        ),
        (
            lambda: execute.run(NORMALIZED, X, {"batchnorm1": {"running_var": np.ones(2)}}, np.ones),
            "batchnorm1: running_var has shape (2,), the layer needs (3,)",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> BN"), X, {"batchnorm1": {"running_std": np.ones(2)}}, np.ones),
            "the network has no parameter batchnorm1.running_std; it has batchnorm1.weight, batchnorm1.bias, "
            "batchnorm1.running_mean, batchnorm1.running_var",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> BN"), X),
            "batchnorm1: no weight is given, shape (2,); pass it in parameters, or a draw function",
        ),
        (lambda: execute.run(NET, X[0]), "the input has shape (2, 6, 6); the network wants (N, C) and 2 spatial axes"),
        (lambda: execute.run(NET, X[:, :1]), "the input has 1 channels, the network wants 2"),
        (
            lambda: execute.run(NET, X),
            "conv1: no weight is given, shape (3, 2, 3, 3); pass it in parameters, or a draw function",
        ),
        (
            lambda: execute.run(NET, X, {"conv1": {"weight": np.ones((3, 2, 3, 4))}}, np.ones),
            "conv1: weight has shape (3, 2, 3, 4), the layer needs (3, 2, 3, 3)",
        ),
        (
            lambda: execute.run(NET, X, {"conv_1": {"weight": np.ones((3, 2, 3, 3))}}, np.ones),
            "the network has no parameter conv_1.weight; it has conv1.weight, conv1.bias, linear1.weight, linear1.bias",
        ),
        (
            lambda: execute.run(Network.chain([Input(2, (6, 6)), Conv("K", 3)]), X, draw=np.ones),
            "conv1: out_channels is K; a run needs numbers",
        ),
        (
            lambda: execute.run(Network.chain([Input(2, (6, 6)), Conv(3, (3, "F"))]), X, draw=np.ones),
            "conv1: kernel_size is (3, 'F'); a run needs numbers",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> { ID | POOL2 } ADD"), X),
            "add1: branches have shapes (2, 2, 6, 6) and (2, 2, 3, 3); they must be equal",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> { FLATTEN | ID } ADD(BROADCAST=1)"), X),
            "add1: branches have shapes (2, 72) and (2, 2, 6, 6); they must be equal",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> FC(K=4, IN=70)"), X, draw=np.ones),
            "linear1: linear: input (2, 72) and weights (4, 70) must be (N, features) and (units, features)",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> CONV(K=4, F=3, IN=3)"), X, draw=np.ones),
            "conv1: conv: input (2, 2, 6, 6) has 2 channels, filters (4, 3, 3, 3) with groups=1 want 3",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> AFFINE(IN=3)"), X, draw=np.ones),
            "affine1: affine: 3 channels are wanted, not 2",
        ),
        (
            lambda: execute.run(network("INPUT[1x1x2] -> IN(A=0)"), X[:, :, :1, :1]),
            "instancenorm1: shape (2, 2, 1, 1) leaves 2 groups of a single value each, which has no variance",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> PAD(P=-7:0)"), X),
            "pad1: pad: padding=((-7, 0), (-7, 0)) crops more than there is of shape (2, 2, 6, 6); crop less",
        ),
        (
            lambda: execute.run(network("INPUT[6x6x2] -> PAD(P=6, MODE=REFLECT)"), X),
            "pad1: pad: reflect by 6 needs more than the 6 positions there are",
        ),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(ShapeError) as caught:
        call()
    assert str(caught.value) == message
    assert isinstance(caught.value, ConvproofError)


def test_sizes_may_be_letters():
    activations, _ = execute.run(network("INPUT[WxHxC] -> POOL2"), X)
    assert activations["maxpool1"].shape == (2, 2, 3, 3)


@pytest.mark.parametrize(
    "text",
    ["{ FLATTEN | ID } RESIZE", "{ ID | FLATTEN } RESIZE", "{ ID | FLATTEN } PADTO", "FC-8 -> PIXELSHUFFLE(S=2)"],
)
def test_vectors_have_no_planes(text):
    with pytest.raises(ShapeError, match="spatial axes"):
        execute.run(network(f"INPUT[4x4x2] -> {text}"), np.ones((1, 2, 4, 4)), draw=np.ones)
