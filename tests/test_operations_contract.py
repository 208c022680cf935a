"""What every operation owes: its dtype, its operands unchanged, an empty batch, and refusals word for word."""

from fractions import Fraction

import numpy as np
import pytest
from exactly import draw, same

from convproof import autograd as ag
from convproof.errors import ConvproofError, DtypeError, ShapeError

ONES = np.ones(2)
SWITCHES = np.array([[[[0, 4], [8, 2]], [[1, 1], [3, 7]]]])
KEEPING = {  # whole numbers stay whole
    "im2col": lambda x: ag.im2col(x, 2, 1, ((1, 0), (0, 1))),
    "col2im": lambda x: ag.col2im(ag.reshape(x, (1, 2, 9)), (3, 3), 1),
    "locally_connected": lambda x: ag.locally_connected(x, np.ones((2, 2, 1, 2, 2, 2), x.dtype), np.ones(1, x.dtype)),
    "adaptive_max_pool": lambda x: ag.adaptive_max_pool(x, 2),
    "global_max_pool": ag.global_max_pool,
    "max_unpool": lambda x: ag.max_unpool(ag.crop(x, ((0, 1), (1, 0))), SWITCHES, (3, 3)),
    "crop": lambda x: ag.crop(x, ((1, 0), (0, 2))),
    "take": lambda x: ag.take(x, [1, 1, 0], 2),
    "linear_to_conv": lambda x: ag.linear_to_conv(ag.reshape(x, (2, 9)), 3, (3,)),
    "conv_to_linear": ag.conv_to_linear,
}
DIVIDING = {  # whole numbers become float64; variances of 20/3 and eps of 7/3 have a root
    "mean": lambda x: ag.mean(x, (0, 2)),
    "dropout": lambda x: ag.dropout(x, np.eye(3), 0.75),
    "avg_pool": lambda x: ag.avg_pool(x, 2, 1, ((1, 0), (0, 1)), True, False),
    "adaptive_avg_pool": lambda x: ag.adaptive_avg_pool(x, 2),
    "global_avg_pool": ag.global_avg_pool,
    "batch_norm": lambda x: ag.batch_norm(x, ONES.astype(x.dtype), ONES.astype(x.dtype), Fraction(7, 3)),
    "batch_norm, given": lambda x: ag.batch_norm(x, *[ONES.astype(x.dtype)] * 2, 3, *[ONES.astype(x.dtype)] * 2),
    "group_norm": lambda x: ag.group_norm(x, 2, ONES.astype(x.dtype), ONES.astype(x.dtype), Fraction(7, 3)),
    "local_response_norm": lambda x: ag.local_response_norm(x, 2, beta=1),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.uint8, object])
@pytest.mark.parametrize("name", [*KEEPING, *DIVIDING])
def test_dtypes(name, dtype):
    x = ag.tensor(np.arange(18).reshape(1, 2, 3, 3).astype(dtype))
    expected = np.dtype(dtype if np.dtype(dtype).kind in "fO" else np.int64 if name in KEEPING else float)
    y = (KEEPING | DIVIDING)[name](x)
    assert y.dtype == expected
    (gradient,) = ag.grad(y, [x], np.ones(y.shape, expected))
    assert gradient.shape == x.shape
    assert gradient.dtype == expected


@pytest.mark.parametrize("name", [*KEEPING, *DIVIDING])
def test_no_input_is_changed_and_any_layout_will_do(name):
    operation = (KEEPING | DIVIDING)[name]
    x = draw(1)[3](3, 3, 2, 1).transpose().astype(float)
    before = x.copy()
    locked = np.ascontiguousarray(x)
    locked.flags.writeable = False
    X = ag.tensor(x)
    y = operation(X)
    (gradient,) = ag.grad(y, [X], np.ones(y.shape))
    ag.grad(gradient, [X], np.ones(x.shape))
    assert np.array_equal(x, before)
    assert np.array_equal(operation(locked).numpy(), y.numpy())


@pytest.mark.parametrize("name", ["im2col", "locally_connected", "adaptive_max_pool", "adaptive_avg_pool", "crop",
                                  "global_max_pool", "global_avg_pool", "local_response_norm", "batch_norm, given", "group_norm", "take"])  # fmt: skip
def test_an_empty_batch_passes(name):
    x = ag.tensor(np.zeros((0, 2, 3, 3)))
    y = (KEEPING | DIVIDING)[name](x)
    assert y.shape[0] == 0
    assert ag.grad(y, [x], np.zeros(y.shape))[0].shape == x.shape


def test_a_changed_switch_changes_no_gradient():
    for pool in (lambda x: ag.max_pool(x, 2, return_switches=True), lambda x: ag.adaptive_max_pool(x, 2, True)):
        x = ag.tensor([[[1, 5, 2, 3]]])
        y, switches = pool(x)
        switches[:] = 0
        same(ag.grad(y, [x], [[[7, 9]]])[0], [[[0, 7, 0, 9]]])


def test_absolute_at_zero():
    x = ag.tensor([-2.0, -0.0, 0.0, 3.0, np.nan])
    y = ag.absolute(x)
    assert np.array_equal(y.numpy(), [2, 0, 0, 3, np.nan], equal_nan=True)
    assert ag.grad(y, [x], [1.0] * 5)[0].numpy().tolist() == [-1, 0, 0, 1, 1]


X = np.ones((1, 2, 4, 4))
C2 = np.ones(2)
REFUSALS = {
    "mean, axis": (lambda: ag.mean([1, 2], 1), "mean: axis 1 is out of bounds for array of dimension 1"),
    "mean, nothing": (
        lambda: ag.mean(np.ones((2, 0)), 1),
        "mean: over axis=1 of shape (2, 0) there is nothing to average",
    ),
    "group_norm, groups": (
        lambda: ag.group_norm(X, 3),
        "group_norm: shape (1, 2, 4, 4) must be (N, C, *spatial) or (N, C), with C divisible by 3",
    ),
    "take, place": (
        lambda: ag.take(X, [4], 2),
        "take: index 4 is out of bounds for axis 2 with size 4, the shape is (1, 2, 4, 4)",
    ),
    "take, nested": (lambda: ag.take(X, [[0], [1]], 2), "take: places=[[0], [1]] must be a list of whole numbers"),
    "take, halves": (lambda: ag.take(X, [0.5], 2), "take: places=[0.5] must be a list of whole numbers"),
    "take, axis": (
        lambda: ag.take(X, [0], 4),
        "take: axis 4 is out of bounds for array of dimension 4, the shape is (1, 2, 4, 4)",
    ),
    "crop, vector": (
        lambda: ag.crop([1, 2], ((1, 0),)),
        "crop: crops=((1, 0),) must be (before, after) for each spatial axis of shape (2,)",
    ),
    "crop, number": (
        lambda: ag.crop(X, 1),
        "crop: crops=1 must be (before, after) for each spatial axis of shape (1, 2, 4, 4)",
    ),
    "crop, one pair": (
        lambda: ag.crop(X, ((1, 1),)),
        "crop: crops=((1, 1),) must be (before, after) for each spatial axis of shape (1, 2, 4, 4)",
    ),
    "crop, ragged": (
        lambda: ag.crop(X, ((1, 1), (1,))),
        "crop: crops=((1, 1), (1,)) must be (before, after) for each spatial axis of shape (1, 2, 4, 4)",
    ),
    "crop, negative": (lambda: ag.crop(X, ((1, 1), (-1, 0))), "crop: crops=(-1, 0) must be at least 0"),
    "crop, fraction": (
        lambda: ag.crop(X, ((1, 1), (0.5, 0))),
        "crop: crops=(0.5, 0) must be a whole number or one per spatial axis",
    ),
    "crop, too much": (
        lambda: ag.crop(X, ((1, 1), (2, 3))),
        "crop: crops=((1, 1), (2, 3)) takes away more than there is in shape (1, 2, 4, 4)",
    ),
    "dropout, p": (lambda: ag.dropout(X, X, 1.5), "dropout: p=1.5 must be a number from 0 to 1"),
    "dropout, p as text": (lambda: ag.dropout(X, X, "0.5"), "dropout: p='0.5' must be a finite number"),
    "dropout, p as truth": (lambda: ag.dropout(X, X, True), "dropout: p=True must be a finite number"),
    "dropout, mask": (
        lambda: ag.dropout(X, 2 * X),
        "dropout: the mask must hold 0 where an element is dropped and 1 where it stays",
    ),
    "dropout, mask's shape": (
        lambda: ag.dropout(X, np.ones(3)),
        "dropout: a mask of shape (3,) does not repeat to (1, 2, 4, 4), that of x",
    ),
    "dropout, larger mask": (
        lambda: ag.dropout(np.ones((1, 2)), np.ones((3, 2))),
        "dropout: a mask of shape (3, 2) does not repeat to (1, 2), that of x",
    ),
    "batch_norm, vector": (
        lambda: ag.batch_norm(C2, C2, C2),
        "batch_norm: shape (2,) must be (N, C, *spatial) or (N, C)",
    ),
    "batch_norm, half": (
        lambda: ag.batch_norm(X, C2, C2, mean=C2),
        "batch_norm: give both mean and variance, or neither for those of the batch",
    ),
    "batch_norm, gamma": (
        lambda: ag.batch_norm(X, np.ones(4), C2),
        "batch_norm: gamma of shape (4,) for 2 channels; it must be (2,)",
    ),
    "batch_norm, beta": (
        lambda: ag.batch_norm(X, C2, np.ones((1, 2, 1, 1))),
        "batch_norm: beta of shape (1, 2, 1, 1) for 2 channels; it must be (2,)",
    ),
    "batch_norm, mean": (
        lambda: ag.batch_norm(X, C2, C2, mean=1.0, variance=C2),
        "batch_norm: mean of shape () for 2 channels; it must be (2,)",
    ),
    "batch_norm, variance": (
        lambda: ag.batch_norm(X, C2, C2, mean=C2, variance=np.ones(3)),
        "batch_norm: variance of shape (3,) for 2 channels; it must be (2,)",
    ),
    "batch_norm, eps": (lambda: ag.batch_norm(X, C2, C2, np.nan), "batch_norm: eps=nan must be a finite number"),
    "batch_norm, constant": (
        lambda: ag.batch_norm(X, C2, C2, 0),
        "batch_norm: a divisor is a power of 0.0, not positive; use a larger eps",
    ),
    "batch_norm, negative variance": (
        lambda: ag.batch_norm(X, C2, C2, 1, C2, -2 * C2),
        "batch_norm: a divisor is a power of -1.0, not positive; use a larger eps",
    ),
    "batch_norm, nothing": (
        lambda: ag.batch_norm(np.ones((0, 2)), C2, C2),
        "batch_norm: shape (0, 2) has no values to normalize; give mean and variance",
    ),
    "local_response_norm, vector": (
        lambda: ag.local_response_norm(C2, 3),
        "local_response_norm: shape (2,) must be (N, C, *spatial) or (N, C), none but N empty",
    ),
    "local_response_norm, size": (
        lambda: ag.local_response_norm(X, 0),
        "local_response_norm: size=(0,) must be at least 1",
    ),
    "local_response_norm, alpha": (
        lambda: ag.local_response_norm(X, 3, np.inf),
        "local_response_norm: alpha=inf must be a finite number",
    ),
    "local_response_norm, beta": (
        lambda: ag.local_response_norm(X, 3, beta=None),
        "local_response_norm: beta=None must be a finite number",
    ),
    "local_response_norm, k": (
        lambda: ag.local_response_norm(0 * X, 3, k=0),
        "local_response_norm: a divisor is a power of 0.0, not positive; use a larger k",
    ),
    "im2col, matrix": (
        lambda: ag.im2col(C2[None], 1),
        "im2col: shape (1, 2) must be (N, C, *spatial), with one spatial axis at least, none empty",
    ),
    "im2col, kernel": (
        lambda: ag.im2col(X, (3, 3), dilation=(1, 3), padding=(0, 1)),
        "im2col: on spatial axis 1 a window spans 7 positions but the padded input has only 6; pad by 1 more or use a "
        "smaller kernel",
    ),
    "im2col, stride": (lambda: ag.im2col(X, 3, 0), "im2col: stride=0 must be at least 1"),
    "col2im, rows": (
        lambda: ag.col2im(np.ones((1, 3, 3)), (4,), 2),
        "col2im: columns (1, 3, 3) must be (N, C*2, 3) for an input of sizes (4,)",
    ),
    "col2im, positions": (
        lambda: ag.col2im(np.ones((1, 4, 4)), (4,), 2),
        "col2im: columns (1, 4, 4) must be (N, C*2, 3) for an input of sizes (4,)",
    ),
    "col2im, image": (
        lambda: ag.col2im(X, (4,), 2),
        "col2im: columns (1, 2, 4, 4) must be (N, C*2, 3) for an input of sizes (4,)",
    ),
    "col2im, sizes": (lambda: ag.col2im(np.ones((1, 4, 4)), (0,), 2), "col2im: sizes=(0,) must be at least 1"),
    "locally_connected, rank": (
        lambda: ag.locally_connected(X, np.ones((3, 2, 2, 2))),
        "locally_connected: weights (3, 2, 2, 2) for input (1, 2, 4, 4) must be (*output, K, C, *kernel), 6 axes, none "
        "empty",
    ),
    "locally_connected, output": (
        lambda: ag.locally_connected(X, np.ones((3, 2, 1, 2, 2, 2))),
        "locally_connected: weights (3, 2, 1, 2, 2, 2) are for output (3, 2) and 2 channels, the input (1, 2, 4, 4) has "
        "output (3, 3) and 2 channels",
    ),
    "locally_connected, channels": (
        lambda: ag.locally_connected(X, np.ones((3, 3, 1, 1, 2, 2))),
        "locally_connected: weights (3, 3, 1, 1, 2, 2) are for output (3, 3) and 1 channels, the input (1, 2, 4, 4) has "
        "output (3, 3) and 2 channels",
    ),
    "locally_connected, bias": (
        lambda: ag.locally_connected(X, np.ones((3, 3, 1, 2, 2, 2)), np.ones((1, 1, 1))),
        "locally_connected: bias of shape (1, 1, 1); it must be (1, 3, 3) or (1,)",
    ),
    "linear_to_conv, features": (
        lambda: ag.linear_to_conv(np.ones((3, 9)), 2, (2, 2)),
        "linear_to_conv: weights (3, 9) must be (units, 8), for 2 channels of sizes (2, 2)",
    ),
    "linear_to_conv, rank": (
        lambda: ag.linear_to_conv(np.ones(8), 2, (2, 2)),
        "linear_to_conv: weights (8,) must be (units, 8), for 2 channels of sizes (2, 2)",
    ),
    "linear_to_conv, sizes": (
        lambda: ag.linear_to_conv(np.ones((3, 8)), 2, (4, 0)),
        "linear_to_conv: sizes=(4, 0) must be at least 1",
    ),
    "conv_to_linear": (
        lambda: ag.conv_to_linear(np.ones((3, 8))),
        "conv_to_linear: filters (3, 8) must be (K, C, *kernel), with one spatial axis at least",
    ),
    "adaptive_max_pool, size": (
        lambda: ag.adaptive_max_pool(X, (2, 0)),
        "adaptive_max_pool: output_size=(2, 0) must be at least 1",
    ),
    "adaptive_avg_pool, axes": (
        lambda: ag.adaptive_avg_pool(X, (2,)),
        "adaptive_avg_pool: output_size=(2,) is for 1 spatial axes, the input has 2",
    ),
    "global_max_pool": (
        lambda: ag.global_max_pool(X[0, 0]),
        "global_max_pool: shape (4, 4) must be (N, C, *spatial), with one spatial axis at least, none empty",
    ),
    "global_avg_pool": (
        lambda: ag.global_avg_pool(np.ones((1, 2, 0))),
        "global_avg_pool: shape (1, 2, 0) must be (N, C, *spatial), with one spatial axis at least, none empty",
    ),
    "max_unpool, shape": (
        lambda: ag.max_unpool(X, np.zeros((1, 2, 4), int), (4, 4)),
        "max_unpool: switches of shape (1, 2, 4) for elements of shape (1, 2, 4, 4); one for each",
    ),
    "max_unpool, place": (
        lambda: ag.max_unpool([[[1, 2]]], [[[0, 5]]], (5,)),
        "max_unpool: switch 5 is outside 0..4, a plane of (5,)",
    ),
    "max_unpool, negative": (
        lambda: ag.max_unpool([[[1, 2]]], [[[0, -1]]], (5,)),
        "max_unpool: switch -1 is outside 0..4, a plane of (5,)",
    ),
    "max_unpool, sizes": (
        lambda: ag.max_unpool([[[1, 2]]], [[[0, 1]]], (2, 2)),
        "max_unpool: sizes=(2, 2) is for 2 spatial axes, the input has 1",
    ),
    "max_pool, padding": (
        lambda: ag.max_pool(X, 2, 2, 2),
        "max_pool: with padding=2 a window lies wholly in padding; pad or dilate less",
    ),
    "avg_pool, padding": (
        lambda: ag.avg_pool(X, 2, 2, 2, count_include_pad=False),
        "avg_pool: with padding=2 a window lies wholly in padding; pad less",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    call, message = REFUSALS[name]
    with pytest.raises(ShapeError) as caught:
        call()
    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, ConvproofError)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ag.max_unpool([[[1, 2]]], [[[0.0, 1.0]]], (5,)),
            "max_unpool: switches of dtype float64; they must be integers",
        ),
        (
            lambda: ag.batch_norm(X, [1j, 1j], C2),
            "batch_norm: an array of complex128 holds no real numbers; convert it, for example with astype(float)",
        ),
    ],
)
def test_refused_dtypes(call, message):
    with pytest.raises(DtypeError) as caught:
        call()
    assert str(caught.value) == message
