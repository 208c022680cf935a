"""The algorithms of a convolution: exactly the simple one's results, when they are taken, what they need."""

import random
import runpy
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from convproof import autograd as ag
from convproof import notes
from convproof.autograd import gemm, sliding, winograd
from convproof.errors import DtypeError, ShapeError

EVERY = ("direct", "im2col", "winograd", "auto")


class Case:
    """A drawn convolution: operands, a cotangent and directions, of integers or of fractions."""

    def __init__(self, seed, winograd=False, exact=False):
        rng, numbers = random.Random(seed), np.random.default_rng(seed)
        rank = 2 if winograd else rng.choice([1, 2, 2, 3])
        axis = lambda low, high: tuple(rng.randint(low, high) for _ in range(rank))  # noqa: E731
        groups, c, k, batch = rng.choice([1, 1, 2, 3]), rng.randint(1, 3), rng.randint(1, 3), rng.randint(1, 3)
        kernel = (3, 3) if winograd else axis(1, 4)
        stride, dilation = ((1, 1), (1, 1)) if winograd else (axis(1, 3), axis(1, 3))
        padding = tuple((rng.randint(-2, 3), rng.randint(-2, 3)) for _ in range(rank))
        sizes = tuple(
            max(1, d * (f - 1) + 1 - a - b, -a - b, -a, -b) + rng.randint(0, 9 if winograd else 5)
            for f, d, (a, b) in zip(kernel, dilation, padding, strict=True)
        )
        self.options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        draw = lambda shape: numbers.integers(-9, 10, shape)  # noqa: E731
        entries = (lambda shape: draw(shape) * np.array(Fraction(1, 7), object)) if exact else draw
        self.x, self.h = entries((batch, groups * c, *sizes)), entries((batch, groups * c, *sizes))
        self.w, self.v = entries((groups * k, c, *kernel)), entries((groups * k, c, *kernel))
        self.b = entries((groups * k,))
        self.g = entries(ag.conv(self.x, self.w, algorithm="direct", **self.options).shape)

    def results(self, algorithm):
        """The convolution, its three gradients, and the gradients of its gradients."""
        x, w, b, g = map(ag.tensor, (self.x, self.w, self.b, self.g))
        y = ag.conv(x, w, b, algorithm=algorithm, **self.options)
        gx, gw, gb = ag.grad(y, [x, w, b], g)
        pairing = ag.add(ag.sum(ag.multiply(gx, self.h)), ag.sum(ag.multiply(gw, self.v)))
        return [each.numpy() for each in (y, gx, gw, gb, *ag.grad(pairing, [x, w, g]))]


def agree(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


@pytest.fixture(params=[None, 1, 100], ids=["one block", "smallest blocks", "some blocks"])
def small_blocks(request, monkeypatch):
    """Blocks so small that also small cases have several."""
    if request.param:
        monkeypatch.setattr(gemm, "LIMIT", request.param)
        monkeypatch.setattr(winograd, "LIMIT", 36 * request.param)
        monkeypatch.setattr(winograd, "SUMS", 36 * request.param)
        monkeypatch.setattr(winograd, "SLICE", request.param)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("algorithm", ["im2col", "auto"])
def test_integers_come_out_as_by_the_simple_algorithm(seed, algorithm, small_blocks):
    case = Case(seed)
    agree(case.results(algorithm), case.results("direct"))


@pytest.mark.parametrize("seed", range(8))
def test_fractions_come_out_as_by_the_simple_algorithm(seed, small_blocks):
    case = Case(seed, exact=True)
    agree(case.results("im2col"), case.results("direct"))


@pytest.mark.parametrize("seed", range(12))
def test_winograd_is_exact_on_fractions(seed, small_blocks):
    case = Case(seed, winograd=True, exact=True)
    agree(case.results("winograd"), case.results("direct"))


def test_drawn_cases_are_of_all_kinds():
    cases = [Case(seed) for seed in range(60)]
    assert {case.x.ndim for case in cases} == {3, 4, 5}
    assert {case.options["groups"] for case in cases} == {1, 2, 3}
    for name in ("stride", "dilation"):
        assert any(max(case.options[name]) > 1 for case in cases)
    assert any(min(map(min, case.options["padding"])) < 0 for case in cases)
    assert any(case.options["stride"] != case.options["stride"][:1] * (case.x.ndim - 2) for case in cases)
    tiled = [Case(seed, winograd=True) for seed in range(12)]
    assert any(max(case.g.shape[2:]) > 4 and max(case.g.shape[2:]) % 4 for case in tiled)
    assert any(min(map(min, case.options["padding"])) < 0 for case in tiled)
    assert any(case.options["groups"] > 1 and case.x.shape[0] > 1 for case in tiled)


@pytest.mark.parametrize("algorithm", EVERY)
def test_transposed_and_repeated_arrays(algorithm):
    """Operands whose elements do not lie one after the other."""
    x = np.arange(7 * 6 * 2.0).reshape(1, 6, 7, 2).transpose(0, 3, 2, 1)
    w = np.broadcast_to(np.arange(9.0).reshape(3, 3).T, (3, 2, 3, 3))[::-1]
    expected = ag.conv(x.copy(), w.copy(), padding=1, algorithm="direct").numpy()
    assert np.allclose(ag.conv(x, w, padding=1, algorithm=algorithm).numpy(), expected, rtol=1e-12, atol=1e-12)


# --- Winograd's algorithm in floating point ---------------------------------------------------------------------------


def test_the_matrices_interpolate():
    """sum over p of A[p, o] * G[p, t] * B[p, i] is 1 where i = o + t, else 0, on both axes at once."""
    a, g, b = winograd.matrices(np.dtype(object))
    form = np.einsum("po,qr,pqtu,pi,qj->ortuij", a, a, g.reshape(6, 6, 3, 3), b, b)
    for o, r, t, u, i, j in np.ndindex(form.shape):
        assert form[o, r, t, u, i, j] == (i == o + t and j == r + u)
    assert all(isinstance(entry, Fraction) for matrix in (a, g, b) for entry in matrix.flat)
    assert g[0, 0] == Fraction(1, 16)
    assert g[21].tolist() == [Fraction(k, 576) for k in (1, 2, 4, 2, 4, 8, 4, 8, 16)]


def test_the_matrices_are_those_of_the_theorem():
    """The six products of F(4, 3) that the theory proves are these: each one's three combinations, up to their signs."""
    proved = runpy.run_path(str(notes.bundled_folder() / "winograd.py"))["products"](4, 3)
    a, g, b = winograd.matrices(np.dtype(object))
    taps = g.reshape(6, 6, 3, 3)[-1, :, -1]  # the last point's combination is the last tap alone
    for mine, theirs in zip(zip(a, taps, b, strict=True), proved, strict=True):
        form = np.einsum("o,t,i->oti", *mine)
        assert (
            form == np.einsum("o,t,i->oti", theirs.outputs, theirs.taps, theirs.data) * Fraction(1, theirs.divisor)
        ).all()


def absolute_form(monkeypatch, contraction, operands):
    """The contraction by Winograd's algorithm with the absolute values of matrices and operands, in float64."""
    found = winograd.Matrices(*map(abs, winograd.matrices(np.dtype(float))))
    with monkeypatch.context() as patch:
        patch.setattr(winograd, "matrices", lambda dtype: found)
        return contraction(winograd, *(abs(each.astype(float)) for each in operands))


@pytest.mark.parametrize(("batch", "channels", "filters", "size"), [(1, 1, 1, 4), (2, 3, 5, 9), (1, 32, 8, 16)])
def test_winograd_rounds_within_its_bound(batch, channels, filters, size, monkeypatch):
    rng = np.random.default_rng(size)
    shapes = (batch, channels, size, size), (filters, channels, 3, 3), (batch, filters, size, size)
    x, w, g = (rng.integers(-(2**20), 2**20, shape) for shape in shapes)  # exact in float32
    geometry = sliding.Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1, "winograd")
    tiles = batch * (-(-size // 4)) ** 2
    for contraction, operands, roundings in (
        (lambda by, x, w, g: by.conv(x, w, geometry), (x, w, g), 34 + channels),
        (lambda by, x, w, g: by.input_gradient(g, w, (size, size), geometry), (x, w, g), 34 + filters),
        (lambda by, x, w, g: by.weight_gradient(g, x, (3, 3), geometry), (x, w, g), 57 + tiles),
    ):
        exact = contraction(sliding, *operands)
        found = contraction(winograd, *(each.astype(np.float32) for each in operands))
        assert found.dtype == np.float32
        form = absolute_form(monkeypatch, contraction, operands)
        roundings *= 2.0**-24
        error = abs(found.astype(float) - exact)
        assert (error <= roundings / (1 - roundings) * form).all()
        assert error.max() > 0
        assert error.max() < 1e-5 * abs(exact).max()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_auto_does_not_spread_what_is_not_finite(bad):
    x = np.ones((1, 32, 32, 32), np.float32)
    w = np.ones((32, 32, 3, 3), np.float32)
    x[0, 0, 9, 9] = bad
    with np.errstate(all="ignore"):
        found, expected = (ag.conv(x, w, padding=1, algorithm=a).numpy() for a in ("auto", "im2col"))
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.isfinite(found).sum() >= 32 * (32 * 32 - 9)


# --- the choice of "auto" ---------------------------------------------------------------------------------------------


def chosen(monkeypatch, x, w, **options):
    """The algorithms that the convolution and its two gradients take."""
    taken = []
    with monkeypatch.context() as patch:
        for by, name in ((gemm, "im2col"), (winograd, "winograd"), (sliding, "direct")):
            for contraction in ("conv", "input_gradient", "weight_gradient"):
                run = getattr(by, contraction)
                patch.setattr(by, contraction, lambda *args, run=run, name=name: taken.append(name) or run(*args))
        X, W = ag.tensor(x), ag.tensor(w)
        y = ag.conv(X, W, **options)
        ag.grad(y, [X, W], np.ones_like(y.numpy()))
    return taken


@pytest.mark.parametrize(
    ("dtype", "filters", "options", "expected"),
    [
        (np.float32, (32, 32, 3, 3), {"padding": 1}, "winograd"),
        (np.float32, (32, 16, 3, 3), {"padding": 1, "groups": 2}, "winograd"),
        (np.float64, (32, 32, 3, 3), {"padding": 1}, "im2col"),
        (np.int64, (32, 32, 3, 3), {"padding": 1}, "im2col"),
        (np.float32, (32, 32, 3, 3), {"stride": 2}, "im2col"),
        (np.float32, (32, 32, 3, 3), {"dilation": (1, 2)}, "im2col"),
        (np.float32, (32, 32, 5, 5), {"padding": 2}, "im2col"),
        (np.float32, (32, 1, 3, 3), {"padding": 1, "groups": 32}, "im2col"),
    ],
)
def test_auto(dtype, filters, options, expected, monkeypatch):
    x, w = np.ones((1, 32, 24, 24), dtype), np.ones(filters, dtype)
    assert chosen(monkeypatch, x, w, **options) == [expected] * 3


def test_auto_on_objects(monkeypatch):
    x, w = np.full((1, 1, 4, 4), Fraction(1), object), np.full((1, 1, 3, 3), Fraction(1), object)
    assert chosen(monkeypatch, x, w) == ["im2col"] * 3


@pytest.mark.parametrize(
    ("channels", "filters", "size", "expected"),
    [(3, 64, 224, False), (64, 64, 224, True), (128, 256, 56, True), (512, 512, 28, True), (512, 512, 4, False)],
)
def test_winograd_pays_where_many_channels_share_a_transform(channels, filters, size, expected):
    geometry = sliding.Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1, "auto")
    assert winograd.pays((filters, channels, 3, 3), (1, size, size), geometry) == expected


@pytest.mark.parametrize("algorithm", EVERY)
def test_gradients_go_by_the_same_algorithm(algorithm, monkeypatch):
    expected = {"auto": "im2col"}.get(algorithm, algorithm)
    x, w = np.ones((1, 1, 5, 5)), np.ones((1, 1, 3, 3))
    assert chosen(monkeypatch, x, w, algorithm=algorithm) == [expected] * 3


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: ag.conv(np.ones((1, 1, 5, 5)), np.ones((1, 1, 5, 5)), algorithm="winograd"),
            ShapeError,
            "conv: algorithm='winograd' is for kernel (3, 3) with stride and dilation 1, not for kernel (5, 5) with "
            "stride (1, 1) and dilation (1, 1); use 'im2col' or 'auto'",
        ),
        (
            lambda: ag.conv(np.ones((1, 1, 5)), np.ones((1, 1, 3)), algorithm="winograd"),
            ShapeError,
            "conv: algorithm='winograd' is for kernel (3, 3) with stride and dilation 1, not for kernel (3,) with "
            "stride (1,) and dilation (1,); use 'im2col' or 'auto'",
        ),
        (
            lambda: ag.conv_weight_gradient(
                np.ones((1, 1, 2, 2)), np.ones((1, 1, 5, 5)), 3, stride=2, algorithm="winograd"
            ),
            ShapeError,
            "conv_weight_gradient: algorithm='winograd' is for kernel (3, 3) with stride and dilation 1, not for kernel "
            "(3, 3) with stride (2, 2) and dilation (1, 1); use 'im2col' or 'auto'",
        ),
        (
            lambda: ag.conv(np.ones((1, 1, 5, 5), int), np.ones((1, 1, 3, 3), int), algorithm="winograd"),
            DtypeError,
            "conv: algorithm='winograd' works with fractions, which int64 does not hold; convert with astype(float) or "
            "to Fraction, or use 'im2col'",
        ),
        (
            lambda: ag.conv_input_gradient(
                np.ones((1, 1, 3, 3), int), np.ones((1, 1, 3, 3), int), (5, 5), algorithm="winograd"
            ),
            DtypeError,
            "conv_input_gradient: algorithm='winograd' works with fractions, which int64 does not hold; convert with "
            "astype(float) or to Fraction, or use 'im2col'",
        ),
        (
            lambda: ag.conv(np.ones((1, 1, 5, 2)), np.ones((1, 1, 3, 3)), padding=((0, 0), (1, -1))),
            ShapeError,
            "conv: on spatial axis 1 a window spans 3 positions but the padded input has only 2; pad by 1 more or use a "
            "smaller kernel",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == message


# --- memory -----------------------------------------------------------------------------------------------------------


def extra_memory(run):
    """The most bytes that `run` holds at a time beside what it gives back."""
    run()
    tracemalloc.start()
    try:
        result = run()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return peak - result.nbytes


@pytest.mark.parametrize("rows", [64, 256])
@pytest.mark.parametrize("algorithm", [gemm, winograd], ids=["im2col", "winograd"])
def test_memory_does_not_grow_with_the_input(algorithm, rows, monkeypatch):
    """Also where all columns, or all transformed tiles, would take many blocks."""
    monkeypatch.setattr(gemm, "LIMIT", 1 << 16)
    monkeypatch.setattr(winograd, "LIMIT", 1 << 16)
    monkeypatch.setattr(winograd, "SUMS", 1 << 16)
    monkeypatch.setattr(winograd, "SLICE", 1 << 8)
    x, w = np.ones((1, 16, rows, 64), np.float32), np.ones((16, 16, 3, 3), np.float32)
    geometry = sliding.Geometry((1, 1), ((1, 1), (1, 1)), (1, 1), 1, "")
    block = 4 << 16
    assert x.size * (9 if algorithm is gemm else 36 / 16) * 4 > 2 * block
    assert extra_memory(lambda: algorithm.conv(x, w, geometry)) < 5 * block
    assert extra_memory(lambda: algorithm.weight_gradient(x, x, (3, 3), geometry)) < 5 * block
    assert extra_memory(lambda: algorithm.input_gradient(x, w, x.shape[2:], geometry)) < 5 * block + 2 * x.nbytes
