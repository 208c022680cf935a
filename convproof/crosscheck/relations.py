"""The relations that hold the two wings against each other.

Expected values come from another route than the code under test: a formula against running arrays, loops against a
matrix product, a derivative against an inner product.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from sympy import ZZ
from sympy.polys.rings import ring

from convproof import autograd as ag
from convproof import execute, symbolic
from convproof.architecture import AvgPool, Conv, Linear, MaxPool, Network, Node, ReLU
from convproof.autograd import Tensor
from convproof.crosscheck import oracle
from convproof.crosscheck.cases import HALF_RANGE, Array, ConvCase, PoolCase, chains, conv_cases, pool_cases
from convproof.crosscheck.evidence import Mismatch, Relation
from convproof.errors import InputError
from convproof.symbolic import window
from convproof.verdicts import Rung

Entries = Callable[[ConvCase, tuple[tuple[int, ...], ...]], list[Array]]


def equal(what: str, found: Any, expected: Any) -> None:
    """Raises `Mismatch` unless both arrays (or numbers, or shapes) are equal, entry by entry and exactly."""
    a, b = np.asarray(found), np.asarray(expected)
    if a.shape != b.shape:
        raise Mismatch(f"{what}: shape {a.shape} instead of {b.shape}")
    if a.dtype.kind == "O" or b.dtype.kind == "O":  # polynomials: equal where the difference is zero
        differs = np.asarray(a - b).astype(bool)
    else:
        differs = (a != b) & ~((a != a) & (b != b))
    wrong = [tuple(map(int, place)) for place in np.argwhere(differs)]
    if wrong:
        first = wrong[0]
        raise Mismatch(f"{what}: {len(wrong)} of {a.size} entries differ, at {first}: {a[first]} instead of {b[first]}")


def integers(case: ConvCase, shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    """Random signed integers."""
    return case.integers(*shapes)


def letters(case: ConvCase, shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    """Every entry a letter of its own, in one polynomial ring over the integers."""
    names = [f"{'xwgv'[a]}{i}" for a, shape in enumerate(shapes) for i in range(int(np.prod(shape)))]
    generators = iter(ring(names, ZZ)[1:])
    arrays = [np.empty(shape, dtype=object) for shape in shapes]
    for array in arrays:
        for index in np.ndindex(array.shape):
            array[index] = next(generators)
    return arrays


# --- convolution ------------------------------------------------------------------------------------------------------


def conv_extents(case: ConvCase) -> None:
    """The extents that running produces are those that the formula predicts."""
    y = ag.conv(np.zeros(case.x_shape, np.int64), np.zeros(case.w_shape, np.int64), **case.options())
    equal("output shape", y.shape[1:], symbolic.output_shape(case.layer, case.x_shape[1:]))


def floats(case: ConvCase, shapes: tuple[tuple[int, ...], ...]) -> list[Array]:
    """Random small integers as float64, the arrays of the BLAS path, on which sums are still exact."""
    return [np.mod(array, 257).astype(np.float64) for array in case.integers(*shapes)]


def conv_algorithms(case: ConvCase, entries: Entries = integers) -> None:
    """Loops over windows, im2col and the dense matrix agree, with a bias on every filter."""
    x, w, b = entries(case, (case.x_shape, case.w_shape, case.w_shape[:1]))
    expected = oracle.conv(case, x, w) + b.reshape(-1, *(1 for _ in case.sizes))
    for algorithm in ("direct", "im2col"):
        equal(algorithm, ag.conv(x, w, b, algorithm=algorithm, **case.options()).numpy(), expected)


def conv_adjoints(case: ConvCase, entries: Entries = integers) -> None:
    """<g, conv(x, w)> = <x, dX> = <w, dW>, for cotangents of all signs, and dX = the transposed matrix times g."""
    shape = oracle.conv(case, np.zeros(case.x_shape, np.int64), np.zeros(case.w_shape, np.int64)).shape
    x, w, g = entries(case, (case.x_shape, case.w_shape, shape))
    for algorithm in ("direct", "im2col"):
        X, W = ag.tensor(x), ag.tensor(w)
        y = ag.conv(X, W, algorithm=algorithm, **case.options())
        gx, gw = ag.grad(y, [X, W], g)
        pairing = (g * y.numpy()).sum()
        equal("dX by the transposed matrix", gx.numpy(), oracle.input_gradient(case, g, w))
        equal("<x, dX>", (x * gx.numpy()).sum(), pairing)
        equal("<w, dW>", (w * gw.numpy()).sum(), pairing)


def conv_second_derivatives(case: ConvCase, entries: Entries = integers) -> None:
    """The gradients of <h, dX> and of <v, dW>: each contraction's VJPs are the other two."""
    shape = oracle.conv(case, np.zeros(case.x_shape, np.int64), np.zeros(case.w_shape, np.int64)).shape
    x, w, g, h = entries(case, (case.x_shape, case.w_shape, shape, case.x_shape))
    v = w + 1
    X, W, G = ag.tensor(x), ag.tensor(w), ag.tensor(g)
    gx, gw = ag.grad(ag.conv(X, W, **case.options()), [X, W], G)
    along_x = ag.grad(gx, [W, G], h)
    equal("d<h, dX>/dg", along_x[1].numpy(), oracle.conv(case, h, w))
    equal("<w, d<h, dX>/dw>", (w * along_x[0].numpy()).sum(), (g * oracle.conv(case, h, w)).sum())
    along_w = ag.grad(gw, [X, G], v)
    equal("d<v, dW>/dg", along_w[1].numpy(), oracle.conv(case, x, v))
    equal("d<v, dW>/dx", along_w[0].numpy(), oracle.input_gradient(case, g, v))


def conv_transposed(case: ConvCase, entries: Entries = integers) -> None:
    """The transposed convolution is the transposed matrix, at every size that the stride leaves open."""
    shape = oracle.conv(case, np.zeros(case.x_shape, np.int64), np.zeros(case.w_shape, np.int64)).shape
    g, w = entries(case, (shape, case.w_shape))
    left = [window.remainder(axis, n) for axis, n in zip(case.layer.axes(len(case.sizes)), case.sizes, strict=True)]
    y = ag.conv_transpose(g, w, output_padding=left, **case.options())
    equal("conv_transpose", y.numpy(), oracle.input_gradient(case, g, w))


def conv_shared_weights(case: ConvCase, entries: Entries = integers) -> None:
    """The gradient of a shared weight is the sum, over all positions, of the gradients it would have unshared."""
    windows = [
        oracle.places(*axis)
        for axis in zip(case.sizes, case.kernel, case.stride, case.padding, case.dilation, strict=True)
    ]
    outputs = tuple(map(len, windows))
    x, w, g = entries(case, (case.x_shape, case.w_shape, (case.batch, case.w_shape[0], *outputs)))
    total = np.zeros(case.w_shape, x.dtype)
    for f, c, *t in np.ndindex(*case.w_shape):
        channel = (f // case.k) * case.c + c
        for n, *o in np.ndindex(case.batch, *outputs):
            i = tuple(places[a][b] for places, a, b in zip(windows, o, t, strict=True))
            if all(0 <= place < size for place, size in zip(i, case.sizes, strict=True)):
                total[(f, c, *t)] = total[(f, c, *t)] + g[(n, f, *o)] * x[(n, channel, *i)]
    W = ag.tensor(w)
    (gw,) = ag.grad(ag.conv(x, W, **case.options()), [W], g)
    equal("dW", gw.numpy(), total)


def on(entries: Entries, check: Callable[[ConvCase, Entries], None]) -> Callable[[ConvCase], None]:
    """The same relation on other entries; on letters it holds for all values at that shape."""
    return lambda case: check(case, entries)


# --- pooling ----------------------------------------------------------------------------------------------------------


def pool_extents(case: PoolCase) -> None:
    """The extents that pooling produces are those that the formula predicts, in ceil mode too."""
    layer = MaxPool(case.kernel, case.stride, case.padding, 1, case.ceil_mode)
    y: Tensor = ag.max_pool(np.zeros(case.x_shape), case.kernel, case.stride, case.padding, 1, case.ceil_mode)
    equal("output shape", y.shape[1:], symbolic.output_shape(layer, case.x_shape[1:]))


def max_pool_switches(case: PoolCase) -> None:
    """Values, switches and gradient of max pooling are those of the definition, with and without ties."""
    for largest in (3, HALF_RANGE):
        _switches(case, largest)


def _switches(case: PoolCase, largest: int) -> None:
    rng = np.random.default_rng(case.seed)
    x = ag.tensor(rng.integers(-largest, largest + 1, case.x_shape))
    y, switches = ag.max_pool(x, case.kernel, case.stride, case.padding, 1, case.ceil_mode, return_switches=True)
    best, expected = oracle.max_pool(case, x.numpy())
    equal("value", y.numpy(), best)
    equal("switch", switches, expected)
    g = rng.integers(-HALF_RANGE, HALF_RANGE, y.shape)
    gradient = np.zeros((*case.x_shape[:2], int(np.prod(case.sizes))), np.int64)
    for index in np.ndindex(*y.shape):
        gradient[(*index[:2], expected[index])] += g[index]
    equal("gradient", ag.grad(y, [x], g)[0].numpy(), gradient.reshape(case.x_shape))


def avg_pool_means(case: PoolCase) -> None:
    """Average pooling, counting padding or not, and its gradient, against sums over walked windows, in fractions."""
    rng = np.random.default_rng(case.seed)
    x = np.vectorize(lambda k: Fraction(int(k)), otypes=[object])(rng.integers(-HALF_RANGE, HALF_RANGE, case.x_shape))
    for include_pad in (True, False):
        X = ag.tensor(x)
        y = ag.avg_pool(X, case.kernel, case.stride, case.padding, case.ceil_mode, include_pad)
        means = oracle.averages(case, include_pad)
        flat = x.reshape(*case.x_shape[:2], -1)
        expected = np.array([[means @ plane for plane in image] for image in flat], dtype=object)
        equal("mean", y.numpy().reshape(expected.shape), expected)
        g = np.vectorize(int, otypes=[object])(rng.integers(-HALF_RANGE, HALF_RANGE, expected.shape))
        spread = np.array([[plane @ means for plane in image] for image in g], dtype=object)
        equal("gradient", ag.grad(y, [X], g.reshape(y.shape))[0].numpy(), spread.reshape(x.shape))


# --- networks ---------------------------------------------------------------------------------------------------------


def _image(network: Network) -> Array:
    image = network.image
    return np.ones((1, image.channels, *image.sizes))


def network_extents(network: Network) -> None:
    """Layer by layer, the shape of the running array is the derived one."""
    activations, _ = execute.run(network, _image(network), draw=np.ones)
    for name, shape in symbolic.output_shapes(network).items():
        equal(f"shape of {name}", activations[name].shape[1:], shape)


def network_parameters(network: Network) -> None:
    """The numbers that a run needs, counted, are as many as the formula says."""
    _, parameters = execute.run(network, _image(network), draw=np.ones)
    rows = {row.name: row for row in symbolic.analyze(network).rows}
    for name, row in rows.items():
        counted = sum(t.numpy().size for t in parameters.get(name, {}).values())
        equal(f"parameters of {name}", counted, row.params)


def network_costs(network: Network) -> None:
    """Multiply-adds and values, counted: one for every output, tap and channel walked, and one for every new value."""
    activations, _ = execute.run(network, _image(network), draw=np.ones)
    rows = {row.name: row for row in symbolic.analyze(network).rows}
    for node in network:
        layer, values = node.layer, activations[node.name].numpy().size
        if isinstance(layer, Conv):
            x = activations[node.operands[0]].shape
            axes = zip(x[2:], layer.axes(len(x) - 2), strict=True)
            walked = [oracle.places(n, a.kernel, a.stride, (a.before, a.after), a.dilation) for n, a in axes]
            reads = math.prod(len(window) for each in walked for window in each[:1]) * math.prod(map(len, walked))
            multiplied = reads * layer.out_channels * len(range(0, x[1], layer.groups))
        else:
            multiplied = values * activations[node.operands[0]].numpy().size if isinstance(layer, Linear) else 0
        equal(f"multiply-adds of {node.name}", multiplied, rows[node.name].macs)
        equal(f"values of {node.name}", 0 if isinstance(layer, ReLU) else values, rows[node.name].values)


def network_field(network: Network) -> None:
    """The first and last positions an output depends on are those of the derived field; at the border, none lie beyond.

    What an output can depend on is the support of its gradient when all weights are positive and nothing cancels, with
    sums in place of maxima.
    """
    positive = Network(replace(node, layer=_summing(node)) for node in network)
    activations, _ = execute.run(positive, _image(positive), draw=np.ones)
    image, last = activations[network.input.name], activations[network.output.name]
    row = symbolic.analyze(network).rows[-1]
    if row.receptive_field is None or row.jump is None or row.offset is None:
        raise Mismatch("a chain without a receptive field")
    for output in np.ndindex(*last.shape[2:]):
        cotangent = np.zeros(last.shape)
        cotangent[(0, 0, *output)] = 1
        support = ag.grad(last, [image], cotangent)[0].numpy()[0].any(axis=0)
        bounds = [
            (offset + jump * o, offset + jump * o + size - 1)
            for o, size, jump, offset in zip(output, row.receptive_field, row.jump, row.offset, strict=True)
        ]
        interior = all(a >= 0 and b < n for (a, b), n in zip(bounds, support.shape, strict=True))
        for axis, (first, end) in enumerate(bounds):
            seen = np.flatnonzero(support.any(axis=tuple(i for i in range(support.ndim) if i != axis)))
            if interior:
                equal(f"field of output {output} on axis {axis}", (seen[0], seen[-1]), (first, end))
            elif seen.size and not first <= seen[0] <= seen[-1] <= end:
                raise Mismatch(f"output {output} sees {seen[0]}..{seen[-1]} on axis {axis}, beyond {first}..{end}")


def _summing(node: Node) -> Any:
    layer = node.layer
    return AvgPool(layer.kernel_size, layer.stride, layer.padding) if isinstance(layer, MaxPool) else layer


SMALL = conv_cases(largest=3)

RELATIONS: tuple[Relation[Any], ...] = (
    Relation("conv extents", "running array extents = derived output size", conv_cases(), conv_extents),
    Relation("conv algorithms", "direct = im2col = dense matrix", SMALL, conv_algorithms, degree=2),
    Relation("conv adjoints", "<g, conv(x, w)> = <x, dX> = <w, dW>", SMALL, conv_adjoints, degree=3),
    Relation("conv in floats", "direct = im2col = dense matrix, in float64", SMALL, on(floats, conv_algorithms)),
    Relation(
        "conv adjoints in floats",
        "<g, conv(x, w)> = <x, dX> = <w, dW>, in float64",
        SMALL,
        on(floats, conv_adjoints),
    ),
    Relation(
        "conv second derivatives",
        "each contraction's VJPs = the other two contractions",
        SMALL,
        conv_second_derivatives,
        degree=3,
    ),
    Relation("conv transposed", "conv_transpose = the transposed matrix", SMALL, conv_transposed, degree=2),
    Relation(
        "conv algorithms, letters",
        "direct = im2col = dense matrix, as polynomials",
        conv_cases(symbolic=True),
        on(letters, conv_algorithms),
        Rung.IDENTITY,
    ),
    Relation(
        "conv adjoints, letters",
        "<g, conv(x, w)> = <x, dX> = <w, dW>, as polynomials",
        conv_cases(symbolic=True),
        on(letters, conv_adjoints),
        Rung.IDENTITY,
    ),
    Relation(
        "shared weights, letters",
        "dW = the sum over positions of the unshared gradients, as polynomials",
        conv_cases(symbolic=True),
        on(letters, conv_shared_weights),
        Rung.IDENTITY,
    ),
    Relation("pool extents", "pooled extents = derived output size", pool_cases(), pool_extents),
    Relation("max pool switches", "values, switches, gradient = the definition's", pool_cases(), max_pool_switches),
    Relation(
        "average pool",
        "means and their gradient = sums over walked windows",
        pool_cases(max_rank=2),
        avg_pool_means,
        degree=1,
    ),
    Relation("network extents", "every layer's array shape = its derived shape", chains(), network_extents),
    Relation("network parameters", "counted parameters = derived parameters", chains(), network_parameters),
    Relation("network costs", "counted multiply-adds and values = derived ones", chains(), network_costs),
    Relation(
        "network field",
        "first and last position of the gradient = derived receptive field",
        chains(max_layers=3, ending=False),
        network_field,
    ),
)
"""Everything that the bridge compares, in the order of the report."""


def relation(name: str) -> Relation[Any]:
    """The relation of that name. Raises `InputError` for another name.

    >>> relation("conv extents").degree
    0
    """
    for each in RELATIONS:
        if each.name == name:
            return each
    raise InputError(f"no relation is named {name!r}; there are {', '.join(r.name for r in RELATIONS)}")
