"""The rule for dtypes that `convproof.autograd` states, held by every operation on every dtype.

Expected values come from another arithmetic: for integers from Python's, for floats and fractions from float64.
"""

from fractions import Fraction
from numbers import Rational

import numpy as np
import pytest
import sympy
from exactly import exact

from convproof import autograd as ag
from convproof.errors import DtypeError, ShapeError

F = Fraction
FLOATS, INTEGERS = ("float16", "float32", "float64"), ("int8", "uint8", "int16", "int32", "uint32", "int64")
OBJECTS = ("int", "Fraction")
NO_OPERATIONS = {"STRICT", "TORCH", "Dialect", "Tensor", "grad", "tape", "tensor"}
IMAGE, MASK = (1, 2, 3, 3), np.arange(9).reshape(3, 3) % 2
SWITCHES = np.array([[[[0, 4], [8, 2]], [[1, 1], [3, 7]]]])
PAIRS = [[10, 90], [30, 20], [10, 20], [30, 90]]  # channels of 20 +- 10 and 55 +- 35, whose variances are squares

# Operands are shapes, filled with numbers up to `far`, or the numbers themselves. Of integers and objects an operation is
# "whole": integers stay integers; "dividing": they become float64, and objects stay exact; "floating": objects are refused.
OPERATIONS = {
    "absolute": ("whole", 100, ag.absolute, IMAGE),
    "adaptive_avg_pool": ("dividing", 100, lambda x: ag.adaptive_avg_pool(x, 2), IMAGE),
    "adaptive_max_pool": ("whole", 100, lambda x: ag.adaptive_max_pool(x, 2), IMAGE),
    "add": ("whole", 100, ag.add, (2, 3), (3,)),
    "avg_pool": ("dividing", 100, lambda x: ag.avg_pool(x, 2, 1, 1), IMAGE),
    "batch_norm": ("dividing", 9, lambda *each: ag.batch_norm(*each, eps=0), PAIRS, (2,), (2,)),
    "broadcast": ("whole", 100, lambda x: ag.broadcast(x, (50, 3)), (1, 3)),
    "col2im": ("whole", 100, lambda x: ag.col2im(x, (3, 3), 2, 1), (1, 8, 4)),
    "concatenate": ("whole", 100, lambda x, y: ag.concatenate([x, y, x]), (2, 3), (2, 1)),
    "conv": ("whole", 15, lambda *each: ag.conv(*each, padding=1), IMAGE, (3, 2, 3, 3), (3,)),
    "conv_input_gradient": ("whole", 15, lambda g, w: ag.conv_input_gradient(g, w, (3, 3)), (1, 3, 2, 2), (3, 2, 2, 2)),
    "conv_to_linear": ("whole", 100, ag.conv_to_linear, IMAGE),
    "conv_transpose": ("whole", 15, lambda *each: ag.conv_transpose(*each, stride=2), IMAGE, (2, 3, 2, 2), (3,)),
    "conv_weight_gradient": ("whole", 15, lambda g, x: ag.conv_weight_gradient(g, x, (2, 2)), (1, 3, 2, 2), IMAGE),
    "crop": ("whole", 100, lambda x: ag.crop(x, ((1, 0), (0, 2))), IMAGE),
    "cross_entropy": ("floating", 3, lambda s, w: ag.cross_entropy(s, [2, 0, -100], w, label_smoothing=0.25), (3, 3), [1, 3, 2]),
    "dropout": ("dividing", 100, lambda x: ag.dropout(x, MASK, 0.75), IMAGE),
    "flatten": ("whole", 100, ag.flatten, IMAGE),
    "global_avg_pool": ("dividing", 100, ag.global_avg_pool, IMAGE),
    "global_max_pool": ("whole", 100, ag.global_max_pool, IMAGE),
    "group_norm": ("dividing", 9, lambda *each: ag.group_norm(each[0], 2, *each[1:], eps=0), [np.transpose(PAIRS)], (2,), (2,)),
    "hinge_loss": ("dividing", 100, lambda s: ag.hinge_loss(s, [2, 0]), (2, 3)),
    "im2col": ("whole", 100, lambda x: ag.im2col(x, 2), IMAGE),
    "linear": ("whole", 15, ag.linear, (2, 2, 4), (3, 4), (3,)),
    "linear_to_conv": ("whole", 100, lambda w: ag.linear_to_conv(w, 2, (2,)), (3, 4)),
    "local_response_norm": ("dividing", 9, lambda x: ag.local_response_norm(x, 2, F(1, 2), 1, F(3)), IMAGE),
    "locally_connected": ("whole", 15, ag.locally_connected, (1, 2, 4), (3, 2, 2, 2), (2,)),
    "log_softmax": ("floating", 3, ag.log_softmax, (2, 3)),
    "lp_pool": ("dividing", 100, lambda x: ag.lp_pool(x, 1, 2), IMAGE),
    "matmul": ("whole", 15, ag.matmul, (2, 4), (4, 3)),
    "max_pool": ("whole", 100, lambda x: ag.max_pool(x, 2, 1), IMAGE),
    "max_unpool": ("whole", 100, lambda x: ag.max_unpool(x, SWITCHES, (3, 3)), (1, 2, 2, 2)),
    "mean": ("dividing", 100, lambda x: ag.mean(x, (0, 2)), IMAGE),
    "multiply": ("whole", 100, ag.multiply, (2, 3), (3,)),
    "nll_loss": ("dividing", 100, lambda s, w: ag.nll_loss(s, [2, 0, -100], w), (3, 3), [1, 3, 2]),
    "pad": ("whole", 100, lambda x: ag.pad(x, 1), IMAGE),
    "power": ("whole", 9, lambda x: ag.power(x, 3), IMAGE),
    "relu": ("whole", 100, ag.relu, IMAGE),
    "reshape": ("whole", 100, lambda x: ag.reshape(x, (3, 6)), IMAGE),
    "sigmoid": ("floating", 3, ag.sigmoid, IMAGE),
    "softmax": ("floating", 3, ag.softmax, (2, 3)),
    "sum": ("whole", 100, lambda x: ag.sum(x, 1), IMAGE),
    "take": ("whole", 100, lambda x: ag.take(x, [0, 2, 2, 2], 3), IMAGE),
    "tanh": ("floating", 3, ag.tanh, IMAGE),
    "transpose": ("whole", 100, ag.transpose, (2, 3)),
}  # fmt: skip


def test_every_operation_has_a_line():
    assert set(OPERATIONS) == set(ag.__all__) - NO_OPERATIONS


def operands(name, dtype):
    """The operands as whole numbers: every second one negative, where the dtype has signs."""
    _, far, _, *given = OPERATIONS[name]
    rng = np.random.default_rng(len(name))
    for each in given:
        if isinstance(each, list):
            yield np.array(each)
        else:
            found = rng.integers(1, far + 1, each)
            yield found if dtype.startswith("uint") else found * rng.choice([1, -1], each)


def of(dtype, array):
    """Whole numbers in a dtype; a seventh of each as fractions."""
    if dtype == "Fraction":
        return exact(array) / 7
    return array.astype(object if dtype == "int" else dtype)


def differentiated(name, arrays):
    """The result, and the gradients of a random cotangent with signs."""
    tensors = [ag.tensor(a) for a in arrays]
    y = OPERATIONS[name][2](*tensors)
    g = np.random.default_rng(0).integers(1, 10, y.shape) * np.random.default_rng(1).choice([1, -1], y.shape)
    return [t.numpy() for t in (y, *ag.grad(y, tensors, g))]


@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS, *OBJECTS])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_on_every_dtype(name, dtype):
    kind, whole = OPERATIONS[name][0], list(operands(name, dtype))
    arrays = [of(dtype, a) for a in whole]
    if kind == "floating" and dtype in OBJECTS:
        with pytest.raises(DtypeError, match=f"^{name}: works on floats, not on objects; convert with astype"):
            differentiated(name, arrays)
        return
    found = differentiated(name, arrays)
    if dtype in INTEGERS and kind == "whole":
        expected = differentiated(name, [of("int", a) for a in whole])
        assert [(a.dtype, a.tolist()) for a in found] == [(np.int64, a.tolist()) for a in expected]
        return
    expected = differentiated(name, [a.astype(np.float64) for a in arrays])
    result = "float64" if dtype in INTEGERS else "object" if dtype in OBJECTS else dtype
    assert {a.dtype for a in found} == {np.dtype(result)}
    if dtype in OBJECTS:
        assert all(isinstance(entry, Rational) for a in found for entry in a.flat)
    for ours, right in zip(found, expected, strict=True):
        close(ours, right, dtype)


def close(ours, right, dtype):
    """Within one rounding to float16, after some in float32 that are relative to the largest; or some in float64."""
    steps, once = {"float16": (2**-20, 2**-11), "float32": (2**-20, 0)}.get(dtype, (2**-48, 0))
    bound = once * np.abs(right) + steps * np.abs(right).max(initial=1) + (2**-24 if once else 0)
    assert (np.abs(ours.astype(np.float64) - right) <= bound).all()


# --- what went wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", INTEGERS)
def test_gradients_of_integers_keep_their_signs(dtype):
    x, w = np.arange(1, 6).reshape(1, 1, 5).astype(dtype), ag.tensor(np.array([[[1, 2, 1]]], dtype))
    y = ag.conv(x, w)
    (gradient,) = ag.grad(y, [w], [[[1, -3, 2]]])
    assert gradient.numpy().tolist() == [[[1 - 3 * 2 + 2 * 3, 2 - 3 * 3 + 2 * 4, 3 - 3 * 4 + 2 * 5]]]
    v = ag.tensor(np.array([[[1, 5, 2]]], dtype))
    pooled = ag.max_pool(v, 1)
    assert ag.grad(pooled, [v], [[[1, -3, 2]]])[0].numpy().tolist() == [[[1, -3, 2]]]
    assert ag.grad(v, [v], [[[1, -3, 2]]])[0].numpy().tolist() == [[[1, -3, 2]]]


@pytest.mark.parametrize("dtype", INTEGERS[:-1])
def test_small_integers_do_not_wrap(dtype):
    top = int(np.iinfo(dtype).max)
    x = ag.tensor(np.full((1, 1, 4), top, dtype))
    assert ag.sum(x).numpy() == 4 * top
    assert ag.add(x, 1).numpy().tolist() == [[[top + 1] * 4]]
    assert ag.absolute(np.array([np.iinfo(dtype).min], dtype)).numpy().tolist() == [-int(np.iinfo(dtype).min)]
    (gradient,) = ag.grad(ag.sum(ag.add(x, x)), [x], top)
    assert gradient.numpy().tolist() == [[[2 * top] * 4]]
    x.backward(np.full((1, 1, 4), -top))
    x.backward(np.full((1, 1, 4), -top))
    assert (x.grad.dtype, x.grad.numpy().tolist()) == (np.int64, [[[-2 * top] * 4]])
    assert ag.grad(ag.tensor(np.int64(1)), [x])[0].dtype == np.int64


def test_sums_of_float16_are_summed_in_float32():
    rng = np.random.default_rng(0)
    x = (100 + rng.standard_normal((8, 3, 56, 56))).astype(np.float16)
    ones, zeros = np.ones(3, np.float16), np.zeros(3, np.float16)
    y = ag.batch_norm(x, ones, zeros).numpy()
    wide = x.astype(np.float64)
    centred = wide - wide.mean((0, 2, 3), keepdims=True)
    right = centred / np.sqrt((centred**2).mean((0, 2, 3), keepdims=True) + 1e-5)
    assert y.dtype == np.float16
    assert np.abs(y - right).max() <= 2**-9  # half a unit in the last place of numbers up to 8
    tens = np.full((1, 1, 112, 112), 10, np.float16)
    assert ag.global_avg_pool(tens).numpy().tolist() == [[[[10.0]]]]
    assert ag.mean(tens).numpy() == 10
    X = ag.tensor(tens)
    assert ag.grad(ag.mean(X), [X], 12544.0)[0].numpy().ravel().tolist() == [1.0] * 12544
    even = ag.softmax(np.zeros((1, 70_000), np.float16)).numpy()
    assert abs(even.astype(np.float64).sum() - 1) < 2**-8  # of numbers so small that float16 has 8 bits of them
    assert float(ag.cross_entropy(np.zeros((1, 70_000), np.float16), [0]).numpy()) == float(np.float16(np.log(70_000)))


def test_a_gradient_in_float16_is_summed_up_before_it_is_rounded():
    x = ag.tensor(np.ones((), np.float16))
    y = ag.concatenate([ag.reshape(ag.multiply(x, each), (1,)) for each in (0.5, 0.5, 0.5, 0.5, 2048.0)], 0)
    assert ag.grad(y, [x], np.ones(5))[0].numpy() == 2050  # the last comes first, and 2048 + 0.5 is 2048 in float16


def test_overflow_of_float16_is_said():
    with pytest.warns(RuntimeWarning, match="overflow"):
        assert np.isinf(ag.sum(np.full(100, 1000, np.float16)).numpy())


MIXED = [
    ("uint8", "float32", "float32"), ("uint8", "float16", "float16"), ("int16", "float16", "float32"),
    ("int32", "float32", "float64"), ("float16", "float32", "float32"), ("int8", "uint8", "int64"),
    ("int64", "float16", "float64"), ("float32", "float64", "float64"), ("uint8", "object", "object"), (">f4", ">f2", "float32"),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "expected"), MIXED)
def test_operands_of_two_dtypes(first, second, expected):
    """Have NumPy's common one."""
    x, w = np.arange(1, 6).reshape(1, 1, 5), np.array([[[3, 100, 2]]])
    X, W = ag.tensor(x.astype(first)), ag.tensor(w.astype(second))
    y = ag.conv(X, W)
    assert (y.dtype, y.numpy().tolist()) == (np.dtype(expected), np.correlate(x[0, 0], w[0, 0])[None, None].tolist())
    gx, gw = ag.grad(y, [X, W], [[[1, -3, 2]]])
    assert gx.numpy().tolist() == [[np.convolve([1, -3, 2], w[0, 0]).tolist()]]
    assert gw.numpy().tolist() == [[np.correlate(x[0, 0], [1, -3, 2]).tolist()]]
    assert gw.dtype == {"uint8": "int64", ">f2": "float16"}.get(second, second)


def test_a_python_number_leaves_the_dtype():
    x = np.ones(2, np.float16)
    assert ag.multiply(x, 0.5).dtype == np.float16
    assert ag.multiply(ag.multiply(x, 2.0**-12), 4096).numpy().tolist() == [1, 1]
    assert ag.add(np.ones(2, np.uint8), 300).numpy().tolist() == [301, 301]
    assert ag.add(np.ones(2, np.uint8), 0.5).dtype == np.float64


def test_gradients_of_gradients_in_float16_and_uint8():
    for dtype, expected in (("float16", np.float16), ("uint8", np.int64)):
        x = ag.tensor(np.array([3, 5], dtype))
        y = ag.sum(ag.multiply(ag.multiply(x, x), x))
        for values in ([27, 75], [18, 30], [6, 6]):
            (y,) = ag.grad(y, [x])
            assert (y.dtype, y.numpy().tolist()) == (expected, values)
            y = ag.sum(y)


# --- fractions --------------------------------------------------------------------------------------------------------


def fractions(*numbers):
    return np.array([F(n) for n in numbers], object)


def test_roots_of_fractions_are_exact():
    x = fractions("1/2", "-3/2", "5/2", "-3/2")[:, None]  # the mean is 0, the variance (1 + 9 + 25 + 9)/16 = 11/4
    y = ag.batch_norm(x, fractions(3), fractions("1/3"), eps=F(7, 2)).numpy()  # the root of 25/4 is 5/2
    assert y[:, 0].tolist() == [F(3, 5) + F(1, 3), -F(9, 5) + F(1, 3), 3 + F(1, 3), -F(9, 5) + F(1, 3)]
    given = ag.batch_norm(x, fractions(1), fractions(0), F(0), fractions("1/2"), fractions("9/4")).numpy()
    assert given[:, 0].tolist() == [0, F(-4, 3), F(4, 3), F(-4, 3)]
    grouped = ag.group_norm(x.reshape(1, 1, 4), 1, eps=F(7, 2)).numpy()
    assert grouped[0, 0].tolist() == [F(1, 5), F(-3, 5), 1, F(-3, 5)]
    X = ag.tensor(fractions("3/7", "4/7").reshape(1, 1, 2))
    lengths = ag.lp_pool(X, 2, 2)
    assert lengths.numpy()[0, 0, 0] == F(5, 7)
    assert ag.grad(lengths, [X], [[[1]]])[0].numpy()[0, 0].tolist() == [F(3, 5), F(4, 5)]
    cubes = ag.lp_pool(np.array([[[3, 4, 5]]], object), 3, 3).numpy()
    assert cubes.tolist() == [[[6]]]
    assert ag.power(fractions("16/81"), F(-3, 4)).numpy().tolist() == [F(27, 8)]
    assert ag.power(np.array([2, -3], object), -1).numpy().tolist() == [F(1, 2), F(-1, 3)]
    letters = np.array([sympy.Symbol("a", positive=True), sympy.Integer(2), 0.25], object)
    assert ag.power(letters, -0.5).numpy().tolist() == [1 / sympy.sqrt(letters[0]), 1 / sympy.sqrt(2), 2.0]
    norm = ag.local_response_norm(fractions("3/2")[None], 1, F(4, 9), F(1, 2), F(0)).numpy()
    assert norm.tolist() == [[F(3, 2)]]


X1, ONE = fractions(1, 3)[:, None], fractions(1)
NO_ROOTS = {
    "power": (lambda: ag.power(fractions("2/3"), 0.5), "power: 2/3 to the power of 1/2"),
    "negative": (lambda: ag.power(fractions(-8), F(1, 3)), "power: -8 to the power of 1/3"),
    "a third": (lambda: ag.power(fractions(8), 1 / 3), "power: 8 to the power of 6004799503160661/18014398509481984"),
    "batch_norm": (
        lambda: ag.batch_norm(X1, ONE, ONE),
        "batch_norm: a fraction near 1.00001 to the power of -1/2",
    ),
    "group_norm": (lambda: ag.group_norm(X1.T[None], 1, eps=1), "group_norm: 2 to the power of -1/2"),
    "lp_pool": (lambda: ag.lp_pool(X1.T[None], 3, 2), "lp_pool: 28 to the power of 1/3"),
    "local_response_norm": (
        lambda: ag.local_response_norm(X1, 1, F(1)),
        "local_response_norm: 2 to the power of -3/4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NO_ROOTS)
def test_roots_that_are_no_fractions_are_refused(name):
    call, words = NO_ROOTS[name]
    with pytest.raises(DtypeError) as caught:
        call()
    assert str(caught.value) == f"{words} is no fraction; convert with astype(float) for a rounded one"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ag.power(fractions(0), -1), "power: 0 has no power of -1"),
        (
            lambda: ag.batch_norm(fractions(1, 1)[:, None], ONE, ONE, 0),
            "batch_norm: a divisor is a power of 0, not positive; use a larger eps",
        ),
        (
            lambda: ag.batch_norm(X1, ONE, ONE, 0, ONE, -ONE),
            "batch_norm: a divisor is a power of -1, not positive; use a larger eps",
        ),
        (
            lambda: ag.group_norm(X1, 1, fractions(1, 2), eps=1),
            "group_norm: gamma of shape (2,) for 1 channels; it must be (1,)",
        ),
    ],
)
def test_divisors_that_are_not_positive(call, message):
    with pytest.raises(ShapeError) as caught:
        call()
    assert str(caught.value) == message


# --- what is refused --------------------------------------------------------------------------------------------------

MASKED = np.ma.masked_array(np.ones((1, 1, 3)), mask=[[[0, 1, 0]]])
CONVERT = "holds no real numbers; convert it, for example with astype(float)"
LOST = "a masked array would lose its mask; fill it first, for example with filled(0)"
REFUSED = {
    "bool": (lambda op: op(np.ones((1, 1, 3), bool)), f"an array of bool {CONVERT}"),
    "complex": (lambda op: op(np.ones((1, 1, 3), complex)), f"an array of complex128 {CONVERT}"),
    "text": (lambda op: op([[["a"] * 3]]), f"an array of <U1 {CONVERT}"),
    "dates": (lambda op: op(np.zeros((1, 1, 3), "M8[s]")), f"an array of datetime64[s] {CONVERT}"),
    "bools": (lambda op: op(np.array([[[1, True, 2]]], object)), "objects of type bool are no real numbers"),
    "NumPy's bools": (lambda op: op(np.array([[[1, np.True_, 2]]], object)), "objects of type bool are no real numbers"),
    "complex objects": (lambda op: op(np.array([[[1, 1j, 2]]], object)), "objects of type complex are no real numbers"),
    "complex64": (lambda op: op(np.array([[[np.complex64(1)] * 3]], object)), "objects of type complex64 are no real numbers"),
    "nothing": (lambda op: op(np.array([[[1, None, 2]]], object)), "objects of type NoneType are no real numbers"),
    "masked": (lambda op: op(MASKED), LOST),
    "uint64": (
        lambda op: op(np.ones((1, 1, 3), np.uint64)),
        "uint64 holds integers beyond int64, in which they are computed; convert with astype('int64'), or with "
        "astype(object) to Python's integers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("op", [ag.tensor, ag.relu, ag.softmax, ag.mean, ag.global_max_pool, ag.linear, ag.conv])
def test_what_holds_no_real_numbers_is_refused(op, name):
    call, words = REFUSED[name]
    weights = {ag.linear: (np.ones((2, 3)),), ag.conv: (np.ones((1, 1, 2)),)}.get(op, ())
    with pytest.raises(DtypeError) as caught:
        call(lambda array: op(array, *weights))
    assert str(caught.value).replace("bool_", "bool") == f"{op.__name__}: {words}"
    if weights:  # and as the second operand
        with pytest.raises(DtypeError, match=f"^{op.__name__}: "):
            call(lambda array: op(weights[0], array))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ag.add([1.0], True), f"add: an array of bool {CONVERT}"),
        (lambda: ag.multiply(True, [1.0]), f"multiply: an array of bool {CONVERT}"),
        (lambda: ag.add([1.0], 1j), f"add: an array of complex128 {CONVERT}"),
        (lambda: ag.concatenate([np.ones((1, 2)), np.ones((1, 2), bool)]), f"concatenate: an array of bool {CONVERT}"),
        (lambda: ag.grad(ag.tensor([1.0]), [], [1j]), f"grad: an array of complex128 {CONVERT}"),
        (lambda: ag.cross_entropy([[0.0, 0.0]], np.ma.masked_array([1], [True])), f"cross_entropy: {LOST}"),
        (lambda: ag.dropout(np.ones(2), np.ma.masked_array([1, 0], [1, 0])), f"dropout: {LOST}"),
        (lambda: ag.max_unpool([[[1]]], np.ma.masked_array([[[0]]], [[[1]]]), (2,)), f"max_unpool: {LOST}"),
        (lambda: ag.tensor([2**64 - 1]), f"tensor: {REFUSED['uint64'][1]}"),
        (lambda: ag.tensor([ag.tensor(1.0), ag.tensor(2.0)]), "tensor: objects of type Tensor are no real numbers"),
    ],
)
def test_refused_elsewhere(call, message):
    with pytest.raises(DtypeError) as caught:
        call()
    assert str(caught.value) == message


def test_python_integers_have_no_bounds():
    x = ag.tensor(np.array([2**64 - 1, 2], object))
    y = ag.multiply(x, x)
    assert y.numpy().tolist() == [(2**64 - 1) ** 2, 4]
    assert ag.grad(y, [x], [2**62, 2**62])[0].numpy().tolist() == [2**63 * (2**64 - 1), 2**64]
