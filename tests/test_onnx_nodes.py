"""The node tests of the ONNX specification: every one of a single node that the autograd has an operation for.

What the specification means by an attribute is computed here, from its text, and its own tolerances are asked for;
integers, shapes and dtypes are compared exactly.
"""

import math
import warnings
from functools import reduce

import numpy as np
import pytest

from convproof import autograd as ag

onnx = pytest.importorskip("onnx", reason="onnx is not installed; `pip install '.[peers]'` brings it")
node_tests = pytest.importorskip("onnx.backend.test.case.node", reason="this onnx comes without its node tests")

RUN = 250
"""How many cases run with onnx 1.23.2; with a later one no fewer should."""

ONLY_ZEROS = "pad puts zeros, no copies of elements"
NO_UINT64 = "integers are computed in int64, which cannot hold all of uint64"

SKIPPED = {
    "test_edge_pad": ONLY_ZEROS,
    "test_reflect_pad": ONLY_ZEROS,
    "test_wrap_pad": ONLY_ZEROS,
    "test_add_uint64": NO_UINT64,
    "test_mul_uint64": NO_UINT64,
}


def both_sides(total, mode):
    """A padding split in two: if it is odd, the larger half goes to the end for SAME_UPPER, else to the beginning."""
    half = total // 2
    return (half, total - half) if mode == b"SAME_UPPER" else (total - half, half)


def geometry(a, sizes, kernel):
    """Stride, padding and dilation; the padding of SAME lets the output have sizes/strides positions, rounded up."""
    rank = len(kernel)
    strides, dilations = a.get("strides", [1] * rank), a.get("dilations", [1] * rank)
    begins_and_ends, mode = a.get("pads", [0] * 2 * rank), a.get("auto_pad", b"NOTSET")
    padding = list(zip(begins_and_ends[:rank], begins_and_ends[rank:], strict=True))
    if mode.startswith(b"SAME"):
        axes = zip(sizes, kernel, strides, dilations, strict=True)
        totals = [(math.ceil(n / s) - 1) * s + (k - 1) * d + 1 - n for n, k, s, d in axes]
        padding = [both_sides(max(0, total), mode) for total in totals]
    return {"stride": strides, "padding": padding, "dilation": dilations}


def conv_transpose(a, x, w, b=None):
    """`output_shape`, or sizes times strides for SAME, sets the padding, which may be negative."""
    options, mode = geometry(a, x.shape[2:], w.shape[2:]), a.get("auto_pad", b"NOTSET")
    extra = a.get("output_padding", [0] * (x.ndim - 2))
    axes = list(zip(x.shape[2:], w.shape[2:], options["stride"], options["dilation"], extra, strict=True))
    sizes = a.get("output_shape") or ([n * s for n, _, s, _, _ in axes] if mode.startswith(b"SAME") else None)
    if sizes:
        whole = [s * (n - 1) + e + (k - 1) * d + 1 for n, k, s, d, e in axes]
        options["padding"] = [both_sides(n - m, mode) for n, m in zip(whole, sizes, strict=True)]
    return ag.conv_transpose(x, w, b, output_padding=extra, groups=a.get("group", 1), **options)


def max_pool(a, x):
    """Indices count through the whole tensor, with `storage_order` 1 column by column in each plane."""
    kernel, ceil = a["kernel_shape"], bool(a.get("ceil_mode", 0))
    y, switches = ag.max_pool(x, kernel, **geometry(a, x.shape[2:], kernel), ceil_mode=ceil, return_switches=True)
    order = "F" if a.get("storage_order") else "C"
    places = np.ravel_multi_index(np.unravel_index(switches, x.shape[2:]), x.shape[2:], order=order)
    planes = np.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], *(1 for _ in x.shape[2:]))
    return y, planes * math.prod(x.shape[2:]) + places


def avg_pool(a, x):
    options = geometry(a, x.shape[2:], a["kernel_shape"])
    ceil, counted = bool(a.get("ceil_mode", 0)), bool(a.get("count_include_pad", 0))
    return ag.avg_pool(x, a["kernel_shape"], options["stride"], options["padding"], ceil, counted, options["dilation"])


def lp_pool(a, x):
    """Zeros add nothing to the sum of the powers."""
    options = geometry(a, x.shape[2:], a["kernel_shape"])
    padded = ag.pad(x, options["padding"])
    return ag.lp_pool(padded, a.get("p", 2), a["kernel_shape"], options["stride"], dilation=options["dilation"])


def max_unpool(a, y, indices, shape=None):
    """Indices count through the tensor that the kernel fills; a larger `shape` has zeros at the end."""
    options = geometry(a, y.shape[2:], a["kernel_shape"])
    axes = zip(y.shape[2:], a["kernel_shape"], options["stride"], options["padding"], strict=True)
    sizes = [(n - 1) * s - before - after + k for n, k, s, (before, after) in axes]
    x = ag.max_unpool(y, indices % math.prod(sizes), sizes)
    return x if shape is None else ag.pad(x, [(0, m - n) for n, m in zip(x.shape, shape.tolist(), strict=True)])


def gemm(a, x, y, c=None):
    x, y = ag.transpose(x) if a.get("transA") else x, ag.transpose(y) if a.get("transB") else y
    product = ag.multiply(ag.matmul(x, y), a.get("alpha", 1.0))
    return product if c is None else ag.add(product, ag.multiply(c, a.get("beta", 1.0)))


def matmul(_, x, y):
    """Stacks of matrices, one by one; a vector is a row on the left and a column on the right."""
    left, right = x[None] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y
    stack = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left, right = (np.broadcast_to(m, (*stack, *m.shape[-2:])) for m in (left, right))
    products = ag.concatenate([ag.matmul(left[place], right[place]) for place in np.ndindex(stack)], 0)
    return ag.reshape(products, (*stack, *x.shape[-2:-1], *y.shape[1:][-1:]))


def cross_entropy(a, x, labels, weights=None):
    """Labels at every position, some of them ignored, and a weight for every class; the mean is divided by the weights.

    Rows of one weight go together. The second output is the logarithm of the softmax.
    """
    logarithms = np.log(ag.softmax(x, 1).numpy())
    rows, y = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]), labels.reshape(-1)
    kept = y != a.get("ignore_index", math.inf)
    groups = [kept] if weights is None else [kept & (y == label) for label in np.unique(y[kept])]
    if a["reduction"] == b"none":
        groups = [[place] for place in np.flatnonzero(kept)]
    weights = np.ones(x.shape[1], x.dtype) if weights is None else weights
    shares = [weights[y[group]].sum() for group in groups]
    losses = [ag.multiply(ag.cross_entropy(rows[g], y[g]), s) for g, s in zip(groups, shares, strict=True)]
    if a["reduction"] == b"none":
        each = np.zeros(y.shape, x.dtype)
        each[kept] = [loss.numpy() for loss in losses]
        return each.reshape(labels.shape), logarithms
    total = reduce(ag.add, losses)
    return total if a["reduction"] == b"sum" else ag.multiply(total, 1 / sum(shares)), logarithms


def batch_norm(a, x, gamma, beta, mean, variance):
    """In training also the running mean and variance, of which `momentum` is what stays."""
    eps, stays, over = a.get("epsilon", 1e-5), a.get("momentum", 0.9), (0, *range(2, x.ndim))
    if not a.get("training_mode"):
        return ag.batch_norm(x, gamma, beta, eps, mean, variance)
    spread = ag.mean(ag.power(ag.add(x, ag.multiply(ag.mean(x, over, keepdims=True), -1)), 2), over)
    running = [(mean, ag.mean(x, over)), (variance, spread)]
    updated = [ag.add(ag.multiply(old, stays), ag.multiply(new, 1 - stays)) for old, new in running]
    return ag.batch_norm(x, gamma, beta, eps), *updated


def dropout(a, x, ratio=0.5, training=False):
    """Drops what the specification's reference draws from the seed; without training, nothing."""
    p = float(ratio) if training else 0.0
    mask = np.random.RandomState(a.get("seed")).uniform(0, 1, x.shape) >= p
    return ag.dropout(x, mask, p), mask


def power(_, x, exponents):
    """With several exponents every element by itself."""
    if exponents.ndim == 0:
        return ag.power(x, exponents)
    x, exponents = np.broadcast_arrays(x, exponents)
    each = [ag.reshape(ag.power(*pair), (1,)) for pair in zip(x.flat, exponents.flat, strict=True)]
    return ag.reshape(ag.concatenate(each, 0), x.shape)


def pad(_, x, pads, value=0.0, axes=None):
    """Begins and ends of `axes`; the value goes where a padded tensor of ones has zeros."""
    axes = range(x.ndim) if axes is None else axes
    pairs = [(0, 0)] * x.ndim
    for axis, *pair in zip(axes, pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True):
        pairs[axis] = tuple(pair)
    outside = 1 - ag.pad(np.ones_like(x), pairs).numpy()
    return ag.add(ag.pad(x, pairs), ag.multiply(outside, value))


def reduced(op):
    """No axes are all axes, or none with `noop_with_empty_axes`."""

    def over(a, x, axes=()):
        axis = tuple(axes) or (() if a.get("noop_with_empty_axes") else None)
        return op(x, axis, bool(a.get("keepdims", 1)))

    return over


def reshape(a, x, shape):
    """Without `allowzero`, 0 is the size that x has there."""
    sizes = [n if n or a.get("allowzero") else x.shape[axis] for axis, n in enumerate(shape.tolist())]
    return ag.reshape(x, tuple(sizes))


def flatten(a, x):
    """What is before the axis becomes the batch."""
    axis = a.get("axis", 1)
    return ag.flatten(ag.reshape(x, (math.prod(x.shape[:axis]), *x.shape[axis:])))


ADAPTERS = {
    "Abs": lambda _, x: ag.absolute(x),
    "Add": lambda _, x, y: ag.add(x, y),
    "AveragePool": avg_pool,
    "BatchNormalization": batch_norm,
    "Col2Im": lambda a, cols, sizes, kernel: ag.col2im(cols, sizes, kernel, **geometry(a, sizes, kernel)),
    "Concat": lambda a, *parts: ag.concatenate(parts, a["axis"]),
    "Conv": lambda a, x, w, b=None: ag.conv(x, w, b, groups=a.get("group", 1), **geometry(a, x.shape[2:], w.shape[2:])),
    "ConvTranspose": conv_transpose,
    "Dropout": dropout,
    "Expand": lambda _, x, shape: ag.broadcast(x, np.broadcast_shapes(x.shape, tuple(shape))),
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": lambda _, x: ag.global_avg_pool(x),
    "GlobalMaxPool": lambda _, x: ag.global_max_pool(x),
    "LRN": lambda a, x: ag.local_response_norm(
        x, a["size"], a.get("alpha", 1e-4), a.get("beta", 0.75), a.get("bias", 1.0)
    ),
    "LpPool": lp_pool,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
    "Mean": lambda _, *parts: ag.mean(ag.concatenate([part[None] for part in parts], 0), 0),
    "Mul": lambda _, x, y: ag.multiply(x, y),
    "Pad": pad,
    "Pow": power,
    "ReduceMean": reduced(ag.mean),
    "ReduceSum": reduced(ag.sum),
    "Relu": lambda _, x: ag.relu(x),
    "Reshape": reshape,
    "Softmax": lambda a, x: ag.softmax(x, a.get("axis", -1)),
    "SoftmaxCrossEntropyLoss": cross_entropy,
    "Sum": lambda _, *parts: reduce(ag.add, parts, 0),
    "Transpose": lambda a, x: ag.transpose(x, a.get("perm")),
}


def collected():
    """The cases by name; making those of other operations warns of overflow and division by zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        cases = node_tests.collect_testcases()
    single = [case for case in cases if len(case.model.graph.node) == 1]
    return {case.name: case for case in single if case.model.graph.node[0].op_type in ADAPTERS}


FOUND = collected()


def marked(name):
    return pytest.param(name, marks=[pytest.mark.skip(reason=SKIPPED[name])] if name in SKIPPED else [])


@pytest.mark.parametrize("name", [marked(name) for name in FOUND])
def test_the_specification_of(name):
    case = FOUND[name]
    (node,) = case.model.graph.node
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    for inputs, expected in case.data_sets:
        found = ADAPTERS[node.op_type](attributes, *inputs)
        found = found if isinstance(found, tuple) else (found,)
        for ours, theirs in zip(found[: len(expected)], expected, strict=True):
            ours = ours.numpy() if isinstance(ours, ag.Tensor) else ours
            computed = (
                np.dtype(np.int64) if theirs.dtype.kind in "iu" else theirs.dtype
            )  # integers are computed in int64
            assert (ours.shape, ours.dtype) == (theirs.shape, computed)
            if theirs.dtype.kind == "f":
                np.testing.assert_allclose(ours, theirs, case.rtol, case.atol)
            else:
                np.testing.assert_array_equal(ours, theirs)


def test_no_case_is_missing():
    assert len(FOUND.keys() - SKIPPED.keys()) >= RUN
    assert FOUND.keys() >= SKIPPED.keys()
    assert {case.model.graph.node[0].op_type for case in FOUND.values()} == ADAPTERS.keys()
