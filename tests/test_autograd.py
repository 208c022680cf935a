"""The tape and its operations, exactly, on integers and objects; expected values by other routes than the code."""

import gc
import weakref
from fractions import Fraction

import networkx as nx
import numpy as np
import pytest
import sympy

from convproof import autograd as ag
from convproof.errors import ConvproofError, DtypeError, ShapeError

RNG = np.random.default_rng(0)


def integers(*shape):
    return RNG.integers(-9, 10, shape)


def fractions(*shape):
    return np.vectorize(lambda k: Fraction(int(k), 7), otypes=[object])(integers(*shape))


# --- the tape ---------------------------------------------------------------------------------------------------------


def test_the_tape_is_a_networkx_graph():
    x = ag.tensor([1, 2])
    y = ag.add(ag.multiply(x, x), x)
    graph = ag.tape(y)
    assert isinstance(graph, nx.DiGraph)
    assert nx.is_directed_acyclic_graph(graph)
    assert graph.number_of_nodes() == 3


def test_twenty_thousand_operations():
    x = ag.tensor([1])
    y = x
    for _ in range(20_000):
        y = ag.add(y, 1)
    assert ag.grad(y, [x])[0].numpy().tolist() == [1]
    assert y.numpy().tolist() == [20_001]


def test_backward_grows_no_faster_than_the_graph():
    """The number of VJPs called is the number of operations, also where paths multiply."""
    calls = 0
    x = ag.tensor([1])
    y = x
    for _ in range(60):  # 2**60 paths
        y = ag.add(y, y)

    def counting(vjp):
        def called(g):
            nonlocal calls
            calls += 1
            return vjp(g)

        return called

    for node in ag.tape(y):
        if node.record:
            object.__setattr__(node.record, "vjps", tuple(counting(v) for v in node.record.vjps))
    assert ag.grad(y, [x])[0].numpy().tolist() == [2**60]
    assert calls == 120


def test_gradients_of_gradients():
    x = ag.tensor([2, 3])
    y = ag.multiply(ag.multiply(x, x), x)
    (first,) = ag.grad(ag.sum(y), [x])
    (second,) = ag.grad(ag.sum(first), [x])
    (third,) = ag.grad(ag.sum(second), [x])
    assert (first.numpy().tolist(), second.numpy().tolist(), third.numpy().tolist()) == ([12, 27], [12, 18], [6, 6])


def test_backward_accumulates_in_leaves():
    x, w = ag.tensor([2, 3]), ag.tensor([5, 7])
    for _ in range(2):
        ag.multiply(x, w).backward([1, 10])
    assert x.grad.numpy().tolist() == [10, 140]
    assert w.grad.numpy().tolist() == [4, 60]


def test_what_does_not_matter_gets_zeros():
    x, other = ag.tensor([1, 2]), ag.tensor([[3.0]])
    gx, g_other, g_self = ag.grad(ag.sum(x), [x, other, x])
    assert (gx.numpy().tolist(), g_other.numpy().tolist(), g_self.numpy().tolist()) == ([1, 1], [[0.0]], [1, 1])


def test_unused_tensors_are_freed():
    gc.disable()
    try:
        x = ag.tensor(np.ones(3))
        y = ag.relu(ag.add(x, x))
        seen = weakref.ref(y)
        ag.grad(y, [x], np.ones(3))
        del y
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ag.grad(ag.tensor([1, 2]), []), "grad: a result of shape (2,) needs a cotangent of the same shape"),
        (
            lambda: ag.grad(ag.tensor([1, 2]), [], [1]),
            "grad: the cotangent has shape (1,), the result (2,); they must be equal",
        ),
        (
            lambda: ag.grad(ag.tensor([1]), [np.ones(1)]),
            "grad: works on a tensor and a list of tensors; wrap arrays with tensor(...) before the computation",
        ),
        (
            lambda: ag.add([1, 2], [1, 2, 3]),
            "add: shapes (2,) and (3,) do not go together; equal sizes or 1 on each axis do",
        ),
        (lambda: ag.matmul([[1]], [1]), None),
        (lambda: ag.linear([[1, 2]], [[1]]), None),
        (lambda: ag.linear([[1]], [[1]], [1, 2]), "linear: bias of shape (2,) for 1 units; it must be (1,)"),
        (lambda: ag.reshape([1, 2, 3], (2, 2)), "reshape: 3 elements of shape (3,) do not fill (2, 2)"),
        (lambda: ag.pad([[[1, 2]]], ((-2, -1),)), None),
        (lambda: ag.concatenate([[[1]], [[1, 2]]], 0), None),
        (lambda: ag.softmax([[1.0]], 3), "softmax: axis=3 is none of the 2 axes of shape (1, 1)"),
        (lambda: ag.cross_entropy([[1.0, 2.0]], [2]), "cross_entropy: label 2 is outside 0..1"),
        (lambda: ag.hinge_loss([[1.0, 2.0]], [-1]), "hinge_loss: label -1 is outside 0..1"),
        (lambda: ag.hinge_loss([1.0, 2.0], [1]), None),
        (lambda: ag.pad([1.0, 2.0], 1), "pad: shape (2,) has no spatial axes; give (before, after) for every axis"),
        (lambda: ag.pad(np.ones((1, 1, 2)), None), None),
        (lambda: ag.pad(np.ones((1, 1, 2)), ((1, 2, 3),)), None),
        (lambda: ag.concatenate([[1]], None), None),
        (lambda: ag.sum([1, 2], 0.5), None),
        (lambda: ag.sum([1, 2], 3), None),
        (lambda: ag.softmax([[1.0]], None), None),
        (lambda: ag.broadcast([1, 2], (3,)), None),
        (lambda: ag.transpose([[1, 2]], (0,)), None),
        (lambda: ag.conv(np.ones((1, 1, 3)), np.ones((1, 1, 1)), groups=[1]), None),
        (lambda: ag.conv(np.ones((1, 1, 3)), np.ones((1, 1, 1)), algorithm=[1]), None),
        (lambda: ag.conv(np.ones((1, 1, 3)), np.ones((1, 1, 1)), padding=10**15), None),
        (lambda: ag.conv(np.ones((1, 1, 0)), np.ones((1, 1, 1))), None),
        (lambda: ag.conv_input_gradient([[[1, 1]]], [[[1, 2, 3]]], (2,)), None),
        (lambda: ag.conv_input_gradient([[[1, 1]]], [[[1, 2, 3]]], (4, 4)), None),
        (lambda: ag.conv_weight_gradient([[[1, 1]]], [[[1, 2, 3, 4]]], 2), None),
        (lambda: ag.max_pool(np.ones((1, 1, 0)), 2, 1, 1), None),
        (lambda: ag.lp_pool(np.ones((1, 1, 2)), "2", 2), None),
        (lambda: ag.lp_pool(np.ones((1, 1, 2)), np.inf, 2), None),
        (lambda: ag.power([1.0], "a"), None),
        (lambda: ag.cross_entropy([[1.0], [2.0]], [[0], [0, 1]]), None),
        (lambda: ag.grad(ag.tensor([1]), None), None),
        (lambda: ag.tensor([[1, 2], [3]]), None),
    ],
)
def test_errors_are_one_tree(call, message):
    with pytest.raises(ShapeError) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ConvproofError)
    assert message is None or str(caught.value) == message


@pytest.mark.parametrize(
    "call",
    [
        lambda: ag.tensor(["a"]),
        lambda: ag.tensor([True]),
        lambda: ag.tensor(None),
        lambda: ag.tensor(np.array(["a"], object)),
        lambda: ag.relu([1j]),
        lambda: ag.softmax(np.array([[Fraction(1)]])),
        lambda: ag.cross_entropy([[1.0, 2.0]], [0.5]),
    ],
)
def test_wrong_dtypes(call):
    with pytest.raises(DtypeError):
        call()


# --- simple operations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape_a", "shape_b"), [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2, 2)), ((4, 1, 2), (3, 1))]
)
@pytest.mark.parametrize("op", [ag.add, ag.multiply])
def test_broadcasting_is_undone(op, shape_a, shape_b):
    a, b = ag.tensor(integers(*shape_a)), ag.tensor(integers(*shape_b))
    y = op(a, b)
    g = integers(*y.shape)
    ga, gb = ag.grad(y, [a, b], g)
    assert (ga.shape, gb.shape) == (shape_a, shape_b)
    for tensor, gradient in ((a, ga), (b, gb)):
        for index in np.ndindex(*tensor.shape):
            step = np.zeros(tensor.shape, np.int64)
            step[index] = 1
            moved = op(tensor.numpy() + step, b) if tensor is a else op(a, tensor.numpy() + step)
            assert gradient.numpy()[index] == ((moved.numpy() - y.numpy()) * g).sum()  # both maps are affine in each


LINEAR = {
    "sum": (lambda x: ag.sum(x), (2, 3)),
    "sum of an axis": (lambda x: ag.sum(x, 1), (2, 3, 2)),
    "sum, axis kept": (lambda x: ag.sum(x, (0, 2), keepdims=True), (2, 3, 2)),
    "reshape": (lambda x: ag.reshape(x, (3, 2)), (2, 3)),
    "flatten": (ag.flatten, (2, 3, 4)),
    "transpose, negative axes": (lambda x: ag.transpose(x, (-1, 0, 1)), (2, 3, 4)),
    "transpose": (lambda x: ag.transpose(x, (1, 2, 0)), (2, 3, 4)),
    "broadcast": (lambda x: ag.broadcast(x, (4, 2, 3)), (1, 3)),
    "pad": (lambda x: ag.pad(x, ((1, 2), (0, 3))), (1, 1, 2, 2)),
    "crop": (lambda x: ag.pad(x, ((-1, 2), (0, -1))), (1, 1, 3, 2)),
    "crop beyond the array": (lambda x: ag.pad(x, ((-2, 3), (4, -3))), (1, 1, 1, 2)),
    "pad all axes": (lambda x: ag.pad(x, ((0, 1), (1, 0))), (2, 2)),
    "concatenate": (lambda x: ag.concatenate([x, ag.multiply(x, 3), np.ones((2, 1), np.int64)], 1), (2, 3)),
    "take": (lambda x: ag.take(x, [2, 0, 0], 1), (2, 3)),
    "take from the end": (lambda x: ag.take(x, [-1, 1], -2), (2, 3, 2)),
    "matmul left": (lambda x: ag.matmul(x, np.arange(6).reshape(3, 2)), (2, 3)),
    "matmul right": (lambda x: ag.matmul(np.arange(6).reshape(3, 2), x), (2, 3)),
    "average": (lambda x: ag.multiply(ag.avg_pool(ag.multiply(x, 12), 2, 1, 1), 1), (1, 1, 3, 3)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_vjps_of_linear_maps_are_transposes(name):
    op, shape = LINEAR[name]
    x = ag.tensor(integers(*shape).astype(float))
    y = op(x)
    base = op(np.zeros(shape)).numpy()
    columns = []
    for index in np.ndindex(*shape):
        unit = np.zeros(shape)
        unit[index] = 1
        columns.append((op(unit).numpy() - base).ravel())
    matrix = np.stack(columns, axis=1)
    assert np.array_equal(y.numpy().ravel(), matrix @ x.numpy().ravel() + base.ravel())
    g = integers(*y.shape).astype(float)
    (gx,) = ag.grad(y, [x], g)
    assert np.array_equal(gx.numpy().ravel(), matrix.T @ g.ravel())


def test_relu_and_power():
    x = ag.tensor([-2, 0, 3])
    assert ag.grad(ag.relu(x), [x], [5, 5, 5])[0].numpy().tolist() == [0, 0, 5]
    assert ag.grad(ag.power(x, 3), [x], [1, 1, 1])[0].numpy().tolist() == [12, 0, 27]
    root = ag.tensor([0.0, 4.0])
    assert ag.grad(ag.power(root, 0.5), [root], [1.0, 1.0])[0].numpy().tolist() == [0.0, 0.25]
    assert np.isnan(ag.relu([np.nan]).numpy()).all()


@pytest.mark.parametrize("loss", [ag.cross_entropy, ag.hinge_loss], ids=["cross entropy", "hinge"])
def test_losses_against_finite_differences(loss):
    scores, labels = RNG.standard_normal((4, 5)), np.array([0, 4, 2, 2])
    x = ag.tensor(scores)
    (gradient,) = ag.grad(loss(x, labels), [x])
    for index in np.ndindex(4, 5):
        step = np.zeros((4, 5))
        step[index] = 1e-6
        slope = (loss(scores + step, labels).numpy() - loss(scores - step, labels).numpy()) / 2e-6
        assert abs(slope - gradient.numpy()[index]) < 1e-8


def test_losses_by_hand():
    assert float(ag.cross_entropy([[0.0, np.log(3)]], [1]).numpy()) == pytest.approx(np.log(4 / 3), rel=1e-14)
    assert ag.cross_entropy([[1000.0, 0.0]], [0]).numpy() == 0
    exact = np.array(
        [[Fraction(13, 10), Fraction(49, 10), Fraction(2)]], dtype=object
    )  # the losses of a linear classifier
    assert ag.hinge_loss(exact, [1]).numpy() == 0
    assert ag.hinge_loss(exact, [0]).numpy() == Fraction(49 - 13 + 10, 10) + Fraction(20 - 13 + 10, 10)


def test_softmax_second_derivative():
    x = ag.tensor([[0.5, -1.0, 2.0]])
    (first,) = ag.grad(ag.softmax(x, 1), [x], [[1.0, 0.0, 0.0]])
    (second,) = ag.grad(first, [x], [[1.0, 0.0, 0.0]])
    s = np.exp(x.numpy()[0]) / np.exp(x.numpy()[0]).sum()
    expected = [s[0] * (1 - s[0]) * (1 - 2 * s[0]), *(-s[0] * s[j] * (1 - 2 * s[0]) for j in (1, 2))]
    assert np.allclose(second.numpy()[0], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (lambda: ag.multiply(ag.tensor([2, 4]), 0.5), [1.0, 2.0]),
        (lambda: ag.add(1, 0.5), 1.5),
        (lambda: ag.avg_pool(np.array([[[200, 200]]], np.uint8), 2), [[[200.0]]]),
        (lambda: ag.lp_pool(np.array([[[16, 0]]], np.uint8), 2, 2), [[[16.0]]]),
        (lambda: ag.lp_pool([[[-3.0, -4.0]]], 1, 2), [[[7.0]]]),
        (lambda: ag.hinge_loss(np.array([[100, -100]], np.int8), [1]), 201.0),
        (lambda: ag.sum(np.array([100, 100], np.int8)), 200),
        (lambda: ag.cross_entropy([[0.0, -np.inf]], [0]), 0.0),
        (lambda: ag.hinge_loss([[0.0, -np.inf]], [0]), 0.0),
        (lambda: ag.avg_pool(np.ones((1, 1, 7, 7)), 7), [[[[1.0]]]]),
        (lambda: ag.power([2], -1), [0.5]),
        (lambda: ag.cross_entropy(np.zeros((1, 1)), ag.tensor([0])), 0.0),
    ],
)
def test_values_that_are_easily_spoilt(found, expected):
    assert found().numpy().tolist() == expected


def test_exact_numbers_stay_exact_without_axes():
    big = ag.tensor(np.array(2**61, object))
    y = ag.add(big, big)
    assert ag.multiply(y, y).numpy() == 2**124
    assert ag.grad(ag.relu(big), [big])[0].dtype == object


def test_hinge_loss_does_not_cancel():
    scores = (np.random.default_rng(0).standard_normal((64, 100)) + 1e5).astype(np.float32)
    labels = np.arange(64)
    wide = scores.astype(np.float64)
    margins = np.maximum(0, wide - wide[np.arange(64), labels][:, None] + 1)
    margins[np.arange(64), labels] = 0
    assert float(ag.hinge_loss(scores, labels).numpy()) == pytest.approx(margins.sum(axis=1).mean(), rel=1e-6)


def test_cotangents_take_part_in_gradients_whatever_their_dtype():
    x, v = ag.tensor(np.ones(2, np.float32)), ag.tensor([3.0, 4.0])
    (g,) = ag.grad(ag.multiply(x, x), [x], v)
    assert g.dtype == np.float32
    assert ag.grad(g, [v], [1.0, 1.0])[0].numpy().tolist() == [2.0, 2.0]
    mixed = ag.multiply(x, np.ones(2))
    assert ag.grad(mixed, [x], np.ones(2))[0].dtype == np.float32


def test_backward_keeps_no_history():
    x = ag.tensor([1.0, 2.0])
    for _ in range(3):
        ag.sum(ag.multiply(x, x)).backward()
    assert x.grad.numpy().tolist() == [6.0, 12.0]
    assert x.grad.record is None


def test_infinite_cotangents_stay_behind_dead_units():
    x = ag.tensor([0.0, 1.0])
    assert ag.grad(ag.relu(x), [x], [np.inf, 1.0])[0].numpy().tolist() == [0.0, 1.0]


def test_higher_derivatives_of_integer_powers():
    x = ag.tensor([3])
    y = ag.power(x, 2)
    for expected in (6, 2, 0):
        (y,) = ag.grad(y, [x], np.ones_like(y.numpy()))
        assert y.numpy().tolist() == [expected]


def test_a_large_stride_costs_no_memory():
    x = ag.tensor(np.ones((1, 1, 4, 4)))
    y = ag.conv(x, np.ones((1, 1, 2, 2)), stride=10**7)
    assert ag.grad(y, [x], y)[0].numpy().sum() == 16


def test_an_empty_batch_passes():
    x = ag.tensor(np.zeros((0, 2, 5)))
    for y in (ag.conv(x, np.ones((3, 2, 2))), ag.max_pool(x, 2), ag.avg_pool(x, 2)):
        assert y.shape[0] == 0
        assert ag.grad(y, [x], np.zeros(y.shape))[0].shape == x.shape


# --- dtypes -----------------------------------------------------------------------------------------------------------

OPERATIONS = {
    "conv": lambda x: ag.conv(x, np.ones((2, 2, 2, 2), x.dtype), padding=1, stride=2),
    "conv_transpose": lambda x: ag.conv_transpose(x, np.ones((2, 2, 2, 2), x.dtype), stride=2),
    "max_pool": lambda x: ag.max_pool(x, 2),
    "relu": ag.relu,
    "add": lambda x: ag.add(x, 1),
    "multiply": lambda x: ag.multiply(x, x),
    "pad": lambda x: ag.pad(x, 1),
    "concatenate": lambda x: ag.concatenate([x, x]),
    "linear": lambda x: ag.linear(ag.flatten(x), np.ones((3, 18), x.dtype)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, object])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_keep_the_dtype(name, dtype):
    """But for small integers, which are computed in int64."""
    x = ag.tensor(integers(1, 2, 3, 3).astype(dtype))
    expected = np.dtype(np.int64 if dtype == np.int32 else dtype)
    y = OPERATIONS[name](x)
    assert y.dtype == expected
    (gradient,) = ag.grad(y, [x], np.ones(y.shape, dtype))
    assert (gradient.dtype, gradient.shape) == (expected, x.shape)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_change_no_input_and_take_any_layout(name):
    base = integers(3, 3, 2, 1)
    x = base.transpose()
    before = x.copy()
    y = OPERATIONS[name](ag.tensor(x)).numpy()
    assert np.array_equal(x, before)
    assert np.array_equal(y, OPERATIONS[name](ag.tensor(np.ascontiguousarray(x))).numpy())
    locked = np.ascontiguousarray(x)
    locked.flags.writeable = False
    tensor = ag.tensor(locked)
    ag.grad(OPERATIONS[name](tensor), [tensor], np.ones(y.shape, np.int64))


def test_averages_of_integers_and_objects():
    assert ag.avg_pool(np.array([[[1, 2]]]), 2).numpy().tolist() == [[[1.5]]]
    assert ag.avg_pool(np.array([[[Fraction(1, 3), Fraction(1, 3), Fraction(1)]]]), 3).numpy()[0, 0, 0] == Fraction(
        5, 9
    )
    letters = np.empty((1, 1, 2), object)
    letters[0, 0] = sympy.symbols("a b")
    assert ag.avg_pool(letters, 2).numpy()[0, 0, 0] == sum(letters[0, 0]) / 2
    assert ag.avg_pool(np.ones((1, 1, 4), np.float32), 2).dtype == np.float32


# --- convolution ------------------------------------------------------------------------------------------------------


def test_the_notes_numpy_example():
    """V[i, j, d] = np.sum(X[2i:2i+5, 2j:2j+5, :] * W_d) + b_d, as the notes write out ten of them."""
    X, filters, biases = integers(11, 11, 4), [integers(5, 5, 4) for _ in range(2)], integers(2)
    images = X.transpose(2, 0, 1)[None]  # x and y stay as they are: V[x, y, d]
    w = np.stack([f.transpose(2, 0, 1) for f in filters])
    V = ag.conv(images, w, biases, stride=2).numpy()[0].transpose(1, 2, 0)
    assert V.shape == (4, 4, 2)
    W0, W1, b0, b1 = *filters, *biases
    assert V[0, 0, 0] == np.sum(X[:5, :5, :] * W0) + b0
    assert V[1, 0, 0] == np.sum(X[2:7, :5, :] * W0) + b0
    assert V[2, 0, 0] == np.sum(X[4:9, :5, :] * W0) + b0
    assert V[3, 0, 0] == np.sum(X[6:11, :5, :] * W0) + b0
    assert V[0, 0, 1] == np.sum(X[:5, :5, :] * W1) + b1
    assert V[1, 0, 1] == np.sum(X[2:7, :5, :] * W1) + b1
    assert V[2, 0, 1] == np.sum(X[4:9, :5, :] * W1) + b1
    assert V[3, 0, 1] == np.sum(X[6:11, :5, :] * W1) + b1
    assert V[0, 1, 1] == np.sum(X[:5, 2:7, :] * W1) + b1
    assert V[2, 3, 1] == np.sum(X[4:9, 6:11, :] * W1) + b1


def test_the_notes_neuron():
    x, w = np.array([[[1, 2, -1, 1, -3]]]), np.array([[[1, 0, -1]]])
    assert ag.conv(x, w, padding=1).numpy().tolist() == [[[-2, 2, 1, 2, 1]]]
    assert ag.conv(x, w, padding=1, stride=2).numpy().tolist() == [[[-2, 1, 1]]]


def test_the_notes_dilation():
    x, w = integers(1, 1, 9), integers(1, 1, 3)
    dilated = ag.conv(x, w, dilation=2).numpy()[0, 0, 0]
    assert dilated == w[0, 0, 0] * x[0, 0, 0] + w[0, 0, 1] * x[0, 0, 2] + w[0, 0, 2] * x[0, 0, 4]


@pytest.mark.parametrize("make", [integers, fractions], ids=["int64", "Fraction"])
@pytest.mark.parametrize("algorithm", ["direct", "im2col"])
def test_algorithms_agree_with_numpy_correlate(algorithm, make):
    x, w = make(2, 1, 9), make(1, 1, 4)
    found = ag.conv(x, w, algorithm=algorithm).numpy()
    for n in range(2):
        assert found[n, 0].tolist() == np.correlate(x[n, 0], w[0, 0], "valid").tolist()


def test_negative_padding_crops():
    x, w = integers(1, 2, 7, 7), integers(3, 2, 2, 2)
    found = ag.conv(x, w, padding=((-1, 0), (2, -2))).numpy()
    cropped = np.pad(x[:, :, 1:, :5], ((0, 0), (0, 0), (0, 0), (2, 0)))
    assert np.array_equal(found, ag.conv(cropped, w).numpy())


def test_the_three_contractions_are_one_form():
    x, w = integers(2, 4, 8, 7), integers(6, 2, 3, 2)
    options = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 2}
    y = ag.conv(x, w, **options)
    g = integers(*y.shape)
    dx = ag.conv_input_gradient(g, w, (8, 7), **options).numpy()
    dw = ag.conv_weight_gradient(g, x, (3, 2), **options).numpy()
    assert (g * y.numpy()).sum() == (x * dx).sum() == (w * dw).sum()


def test_transposed_conv_is_the_adjoint():
    w = integers(3, 2, 3, 3)
    big, small = integers(1, 2, 9, 9), integers(1, 3, 4, 4)
    down = ag.conv(big, w, stride=2).numpy()
    up = ag.conv_transpose(small, w, stride=2).numpy()
    assert (down * small).sum() == (big * up).sum()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda x, w: ag.conv(x, np.ones((2, 4, 7, 7))),
            "conv: on spatial axis 0 a window spans 7 positions but the padded input has only 5; pad by 2 more or use a "
            "smaller kernel",
        ),
        (
            lambda x, w: ag.conv(x, np.ones((2, 3, 3, 3))),
            "conv: input (1, 4, 5, 5) has 4 channels, filters (2, 3, 3, 3) with groups=1 want 3",
        ),
        (
            lambda x, w: ag.conv(x, w, groups=3),
            "conv: groups=3 divides not both 4 input channels and 2 filters",
        ),
        (lambda x, w: ag.conv(x, w, stride=0), "conv: stride=0 must be at least 1"),
        (lambda x, w: ag.conv(x, w, dilation=(1, 0)), "conv: dilation=(1, 0) must be at least 1"),
        (lambda x, w: ag.conv(x, w, stride=(1, 1, 1)), "conv: stride=(1, 1, 1) is for 3 spatial axes, the input has 2"),
        (lambda x, w: ag.conv(x, w, stride=1.5), "conv: stride=1.5 must be a whole number or one per spatial axis"),
        (lambda x, w: ag.conv(x, w, padding=(1,)), "conv: padding=(1,) is for 1 spatial axes, the input has 2"),
        (
            lambda x, w: ag.conv(x, w, algorithm="fft"),
            "conv: algorithm='fft' is none of direct, im2col, winograd, auto",
        ),
        (lambda x, w: ag.conv(x, w, np.ones(3)), "conv: bias of shape (3,) for 2 output channels; it must be (2,)"),
        (
            lambda x, w: ag.conv(x[0, 0], w),
            "conv: shapes (5, 5) and (2, 4, 3, 3) must have the same rank, batch and channels first, 3 axes or more",
        ),
        (
            lambda x, w: ag.conv_transpose(np.ones((1, 2, 3, 3)), w, output_padding=1),
            "conv_transpose: output_padding=(1, 1) must be less than stride or dilation on each axis",
        ),
    ],
)
def test_conv_errors(call, message):
    with pytest.raises(ShapeError) as caught:
        call(np.ones((1, 4, 5, 5)), np.ones((2, 4, 3, 3)))
    assert str(caught.value) == message


# --- pooling ----------------------------------------------------------------------------------------------------------


def test_max_pool_ties_padding_and_nan():
    y, switches = ag.max_pool([[[2, 2, 1, 3]]], 2, return_switches=True)
    assert (y.numpy().tolist(), switches.tolist()) == ([[[2, 3]]], [[[0, 3]]])
    lowest = np.iinfo(np.int64).min
    y, switches = ag.max_pool(np.full((1, 1, 2), lowest), 2, 1, 1, return_switches=True)
    assert (y.numpy().tolist(), switches.tolist()) == ([[[lowest] * 3]], [[[0, 0, 1]]])
    y, switches = ag.max_pool([[[1.0, np.nan, 5.0, 2.0]]], 2, 1, return_switches=True)
    assert np.isnan(y.numpy()[0, 0, :2]).all()
    assert y.numpy()[0, 0, 2] == 5
    assert switches.tolist() == [[[1, 1, 2]]]
    assert ag.max_pool(np.full((1, 1, 3), -np.inf), 2, 1).numpy().tolist() == [[[-np.inf] * 2]]


def test_overlapping_windows_add_their_gradients():
    x = ag.tensor([[[0, 9, 0, 0]]])
    y = ag.max_pool(x, 3, 1)
    assert ag.grad(y, [x], [[[5, 7]]])[0].numpy().tolist() == [[[0, 12, 0, 0]]]


def test_ceil_mode_and_its_last_window_rule():
    x = np.arange(1.0, 6.0).reshape(1, 1, 5)
    assert ag.max_pool(x, 2, 2, ceil_mode=True).numpy().tolist() == [[[2, 4, 5]]]
    assert ag.avg_pool(x, 2, 2, ceil_mode=True).numpy().tolist() == [[[1.5, 3.5, 5]]]
    assert ag.max_pool(x[..., :4], 1, 3, 0, ceil_mode=True).shape == (1, 1, 2)
    assert ag.max_pool(x[..., :2], 2, 3, 1, ceil_mode=True).shape == (
        1,
        1,
        1,
    )  # the second would start in the end padding


def test_average_counts_padding_or_not():
    x = np.ones((1, 1, 3))
    assert ag.avg_pool(x, 2, 2, 1).numpy().tolist() == [[[0.5, 1.0]]]
    assert ag.avg_pool(x, 2, 2, 1, count_include_pad=False).numpy().tolist() == [[[1.0, 1.0]]]


def test_l2_pooling():
    x = ag.tensor([[[3.0, 4.0, 0.0, 0.0]]])
    y = ag.lp_pool(x, 2, 2)
    assert y.numpy().tolist() == [[[5.0, 0.0]]]
    gradient = ag.grad(y, [x], [[[1.0, 1.0]]])[0].numpy()[0, 0]
    assert gradient.tolist() == pytest.approx([0.6, 0.8, 0.0, 0.0], rel=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ag.max_pool(x, 2, padding=2), None),
        (lambda x: ag.avg_pool(x, 2, padding=2, count_include_pad=False), None),
        (
            lambda x: ag.max_pool(x, 5),
            "max_pool: on spatial axis 0 a window spans 5 positions but the padded input has only 3; pad more or use a "
            "smaller kernel",
        ),
        (lambda x: ag.max_pool(x, 2, padding=-1), "max_pool: padding=-1 must not be negative"),
        (
            lambda x: ag.max_pool(x[0], 2),
            "max_pool: shape (1, 3) must be (N, C, *spatial), with one spatial axis at least, none empty",
        ),
        (lambda x: ag.lp_pool(x, 0, 2), "lp_pool: p=0 must be positive and finite"),
    ],
)
def test_pool_errors(call, message):
    with pytest.raises(ShapeError) as caught:
        call(np.ones((1, 1, 3)))
    assert str(caught.value) == message if message else "wholly in padding" in str(caught.value)
