"""The oracle for other people's kernels: what it finds, names and prints, and that right kernels pass."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from faulty_kernels import cheats, convolutions, others, pools, published
from hypothesis import given, settings
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof import testing
from convproof.crosscheck import oracle
from convproof.crosscheck.cases import ConvCase as Definition
from convproof.errors import InputError
from convproof.testing import cases, reference
from convproof.testing.linear_maps import Conv, window_of
from convproof.testing.numbers import PRECISIONS
from terminal import convproof

FAULTY = [*convolutions.KERNELS, *pools.KERNELS, *others.KERNELS, *cheats.KERNELS, *published.KERNELS]
TRIED = FAULTY if os.environ.get("CONVPROOF_FULL") else FAULTY[::3]
"""Which are tried: a third, or with CONVPROOF_FULL=1 all."""

RIGHT = [*convolutions.RIGHT, *pools.RIGHT, *others.RIGHT, *cheats.RIGHT, *published.RIGHT]


def name(kernel):
    return f"{kernel[0]}: {kernel[1]}"


# --- the corpus -------------------------------------------------------------------------------------------------------


def test_the_corpus_is_large():
    assert len(FAULTY) >= 100
    assert {kernel[0] for kernel in FAULTY} == set(testing.OPERATIONS)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("op", "fault", "forward", "vjp", "told"), TRIED, ids=map(name, TRIED))
def test_faulty_kernels_are_found_and_named(op, fault, forward, vjp, told):
    report = testing.check(op, forward, vjp, cases=120)
    assert not report.ok
    assert any(told in f"{each.relation}: {each.diagnosis}" for each in report.failures), str(report)
    assert str(report).startswith(f"{report.kernel} as {op}: WRONG")


@pytest.mark.parametrize(("op", "style", "forward", "vjp"), RIGHT, ids=map(name, RIGHT))
@pytest.mark.parametrize("seed", range(2))
def test_right_kernels_pass(op, style, forward, vjp, seed):
    report = testing.check(op, forward, vjp, cases=80, seed=seed)
    assert report.ok, str(report)
    assert report.checks_run >= report.checks_declared > 0
    report.raise_if_failed()


# --- the reference ----------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(cases.conv_cases(asymmetric=True), st.randoms())
def test_the_reference_is_the_dense_matrix(case, random):
    """On Python integers, by the matrix of the definition."""
    k, c = case.filters // case.groups, case.channels // case.groups
    same = Definition(case.batch, case.groups, c, k, case.sizes, case.kernel, case.stride, case.padding, case.dilation)
    drawn = Conv().draw(case, PRECISIONS["float64"], 1).arrays
    x, w, g = (np.vectorize(int, otypes=[object])(drawn[each]) for each in "xwg")
    assert np.array_equal(
        oracle.conv(same, x, w), reference.conv(drawn["x"], drawn["w"], window_of(case), case.groups, g.shape[2:])
    )
    expected = oracle.input_gradient(same, g, w)
    assert np.array_equal(
        expected, reference.conv_input(drawn["g"], drawn["w"], window_of(case), case.groups, case.sizes)
    )
    weights = reference.conv_weights(drawn["g"], drawn["x"], window_of(case), case.groups)
    for index in random.sample(list(np.ndindex(*w.shape)), min(3, w.size)):  # what y changes by with one weight
        one = np.zeros(w.shape, dtype=object)
        one[index] = 1
        assert (g * oracle.conv(same, x, one)).sum() == weights[index]


@settings(max_examples=100, deadline=None)
@given(cases.pool_cases())
def test_pooled_windows_are_those_of_the_definition(case):
    lines = [
        oracle.pool_places(*axis, case.ceil_mode)
        for axis in zip(case.sizes, case.kernel, case.stride, case.padding, strict=True)
    ]
    assert reference.pool_outputs(case.sizes, window_of(case), case.ceil_mode) == tuple(map(len, lines))


@settings(max_examples=60, deadline=None)
@given(cases.conv_cases(), st.sampled_from([each for each in PRECISIONS if each != "bfloat16"]))
def test_no_sum_rounds(case, dtype):
    """In the type itself, in an order drawn at random, sums of products are what they are in whole numbers."""
    kind = PRECISIONS[dtype]
    drawn = Conv().draw(case, kind, 3)
    results = Conv().results(case, {each: np.abs(array) for each, array in drawn.arrays.items()})
    assert max(each.max(initial=0) for each in results.values()) <= kind.limit
    assert all(np.array_equal(array.astype(dtype), array) for array in drawn.arrays.values())
    assert all(array.any() for array in drawn.arrays.values())


# --- what is said -----------------------------------------------------------------------------------------------------


def plain(x, w, b, stride, padding, dilation, groups):
    return ag.conv(x, w, b, stride, padding, dilation, groups, algorithm="im2col").numpy()


def without_dilation(x, w, b, stride, padding, dilation, groups):
    return plain(x, w, b, stride, padding, (1,) * len(dilation), groups)


def test_a_failure_is_small_and_can_be_pasted():
    report = testing.check_conv(without_dilation)
    (failure,) = report.failures
    assert failure.diagnosis == "dilation ignored"
    assert "batch=1, channels=1, filters=1" in failure.case
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, (here, here.parent)))
    done = subprocess.run(
        [sys.executable, "-c", failure.repro],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.stdout.strip().startswith("[[[[")
    with pytest.raises(AssertionError, match="dilation ignored"):
        report.raise_if_failed()


def test_the_same_seed_says_the_same():
    first, second = (str(testing.check_conv(without_dilation, seed=5)) for _ in range(2))
    assert first == second


def test_what_is_not_supported_is_left_out_and_counted():
    report = testing.check_conv(without_dilation, supports=testing.DEFAULT - {"dilation"})
    assert report.ok
    assert report.skipped["dilation"] >= 3
    assert "for dilation" in str(report)


def test_fewer_checks_than_declared_are_not_trusted():
    report = testing.check_conv(plain, supports=["stride"])
    assert [each.relation for each in report.failures] == ["MISTRUSTED"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cases": 0}, "cases=0 must be at least 1"),
        ({"rank": 4}, "rank=4 must be 1, 2 or 3, the number of spatial axes"),
        ({"rank": 2.0}, "rank=2.0 must be 1, 2 or 3, the number of spatial axes"),
        ({"seed": "a"}, "seed='a' must be a whole number, 0 or more"),
        ({"supports": 5}, "supports=5 must be a set of names such as 'groups'"),
        ({"supports": [[1]]}, "supports=[[1]] must be a set of names such as 'groups'"),
        ({"device": "gpu"}, "device='gpu' is for xp='torch'"),
        ({"dtype": "float8"}, "dtype='float8' is not supported; there are float64, float32, float16, bfloat16, int64, int32, int8"),
        ({"xp": "cupy"}, "xp='cupy' is not supported; there are 'numpy', 'torch', 'jax'"),
        ({"supports": ["speed"]}, "there is no feature 'speed'; there are "),
        ({"dialect": {"tie": "last"}}, "dialect: there is no 'tie'; there are convolution, filters, layout, nan, ties"),
        ({"dialect": {"ties": "best"}}, "dialect: ties='best' must be one of 'any', 'first', 'last', 'split', 'all'"),
        ({"rounding": "much"}, "rounding='much' is not known; there are 'sums', 'half', 'tf32', 'winograd', 'fft', 'cumulative'"),
        ({"rounding": "sums", "dtype": "int32"}, "rounding='sums' is for floating types, not for int32"),
        ({"case": 3}, "there is no option 'case'; there are rank, cases, "),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_word_for_word(options, message):
    with pytest.raises(InputError) as caught:
        testing.check_conv(plain, **options)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("cut", [np.trunc, np.rint])
def test_fractions_that_are_cut_off_are_found(cut):
    assert not testing.check_conv(lambda x, *rest: convolutions.forward(cut(x), *rest), cases=30).ok
    assert not testing.check_conv(lambda *arguments: cut(convolutions.forward(*arguments)), cases=30).ok
    assert not testing.check_linear(lambda x, *rest: others.linear(cut(x), *rest), cases=30).ok


@pytest.mark.parametrize(
    ("op", "forward", "vjp"),
    [("max_pool", pools.max_pool, pools.max_pool_vjp), ("im2col", others.im2col, others.col2im)],
)
@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_what_is_selected_stays_in_its_type(op, forward, vjp, dtype):
    assert testing.check(op, forward, vjp, dtype=dtype).ok


# --- kernels that round -----------------------------------------------------------------------------------------------


def winograd(x, w, b, stride, padding, dilation, groups):
    small = w.shape[2:] == (3, 3) and stride == dilation == (1, 1)
    return ag.conv(x, w, b, stride, padding, dilation, groups, "winograd" if small else "im2col").numpy()


def over_channels(values, before, after):
    """Sums over windows of channels, as differences of cumulative ones."""
    ahead = np.concatenate([np.zeros_like(values[:, :1]), np.cumsum(values, 1)], 1)
    channels = range(values.shape[1])
    ends = ([min(len(channels), c + after + 1) for c in channels], [max(0, c - before) for c in channels])
    return ahead[:, ends[0]] - ahead[:, ends[1]]


def lrn(x, size, alpha, beta, k):
    return x * (k + alpha / size * over_channels(x * x, size // 2, (size - 1) // 2)) ** -beta


def lrn_vjp(g, x, size, alpha, beta, k):
    base = k + alpha / size * over_channels(x * x, size // 2, (size - 1) // 2)
    back = over_channels(g * x * base ** (-beta - 1), (size - 1) // 2, size // 2)
    return g * base**-beta - 2 * alpha * beta / size * x * back


def avg_pool(x, kernel, stride, padding):
    y = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), 2):
        ahead = np.insert(np.cumsum(y, axis), 0, 0, axis)
        first = np.arange((y.shape[axis] - k) // s + 1) * s
        y = np.take(ahead, first + k, axis) - np.take(ahead, first, axis)
    return (y / np.prod(kernel)).astype(x.dtype)


def avg_pool_vjp(g, x, kernel, stride, padding):
    g = (g / np.prod(kernel)).astype(x.dtype)
    for axis, (k, s, n, p) in enumerate(zip(kernel, stride, x.shape[2:], padding, strict=True), 2):
        steps = np.zeros((*g.shape[:axis], n + 2 * p + k + s, *g.shape[axis + 1 :]), g.dtype)
        for o in range(g.shape[axis]):
            one = np.take(g, o, axis)
            np.moveaxis(steps, axis, 0)[o * s] += one
            np.moveaxis(steps, axis, 0)[o * s + k] -= one
        g = np.take(np.cumsum(steps, axis), np.arange(p, p + n), axis)
    return g


@pytest.mark.parametrize(("op", "forward", "vjp"), [("lrn", lrn, lrn_vjp), ("avg_pool", avg_pool, avg_pool_vjp)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cumulative_sums_must_be_declared(op, forward, vjp, dtype):
    assert testing.check(op, forward, vjp, dtype=dtype, rounding="cumulative").ok
    assert not testing.check(op, forward, vjp, dtype=dtype).ok

    assert not testing.check(op, lambda x, *rest: forward(x[..., ::-1], *rest), vjp, rounding="cumulative").ok


LAID = {
    "channels last": lambda x: x.strides[1] == x.itemsize < x.strides[-1],
    "every second": lambda x: x.strides[-1] == 2 * x.itemsize < x.strides[1],
    "reversed": lambda x: x.strides[-1] < 0,
    "broadcast": lambda x: x.strides[0] == 0,
    "read-only": lambda x: not x.flags.writeable and x.strides[0] > 0,
}


@pytest.mark.parametrize("layout", LAID)
def test_the_lines_lay_inputs_out(layout, tmp_path):
    """What is pasted gives the kernel its inputs as the check did."""

    def wrong(x, *rest):
        return plain(x, *rest) * (2 if LAID[layout](x) else 1)

    (failure,) = testing.check_conv(wrong).failures
    assert layout in failure.case
    above = failure.repro.replace("kernel = ...", "").partition("found =")[0]
    (tmp_path / "pasted.py").write_text(above)
    held = runpy.run_path(tmp_path / "pasted.py")
    assert LAID[layout](held["x"])


def test_what_is_shrunk_is_supported():
    """The smallest failing case asks nothing of a kernel that it does not support."""
    report = testing.check_avg_pool(lambda *arguments: 2 * avg_pool(*arguments), avg_pool_vjp, rounding="cumulative")
    assert report.skipped["count_include_pad"]
    assert all("include_pad=True" in each.case and "ceil_mode=False" in each.case for each in report.failures)
    report = testing.check_conv(lambda *given: 2 * plain(*given), supports=testing.DEFAULT - {"no bias"})
    assert report.failures
    assert all("bias=True" in each.case for each in report.failures)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_kernel_that_rounds_must_say_so(dtype):
    assert testing.check_conv(winograd, dtype=dtype, rounding="winograd").ok
    assert not testing.check_conv(winograd, dtype=dtype).ok
    turned = testing.check_conv(lambda x, w, *rest: winograd(x, w[:, :, ::-1], *rest), dtype=dtype, rounding="winograd")
    assert not turned.ok
    assert "compared up to the bound for rounding='winograd'" in str(turned)
    assert turned.miss_probability is None


# --- any polynomial ---------------------------------------------------------------------------------------------------

CUBIC = [(1, 2, 4, 4), (2, 2, 3, 3)]


def conv(x, w):
    return plain(x, w, None, (1, 1), (1, 1), (1, 1), 1)


def conv_vjp(g, x, w):
    return convolutions.vjp(g, x, w, (1, 1), (1, 1), (1, 1), 1)[:2]


@pytest.mark.parametrize(
    ("f", "vjp", "shapes", "degree"),
    [
        (conv, conv_vjp, CUBIC, 2),
        (lambda x, y: x @ y, lambda g, x, y: (g @ y.T, x.T @ g), [(2, 3), (3, 4)], 2),
        (lambda x: x**5, lambda g, x: 5 * g * x**4, [(4,)], 5),
        (lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), [(3, 4)], 1),
        (lambda x: x.max(1), lambda g, x: g[:, None] * (x == x.max(1, keepdims=True)), [(3, 4)], 1),
        (lambda x: x.mean(), lambda g, x: g * np.ones_like(x) / x.size, [(7,)], 1),
    ],
)
def test_gradients_of_polynomials_pass(f, vjp, shapes, degree):
    for seed in range(3):
        report = testing.check_vjp(f, vjp, shapes=shapes, degree=degree, seed=seed)
        assert report.ok, str(report)
        assert report.checks_run > report.checks_declared


@pytest.mark.parametrize(
    ("vjp", "told"),
    [
        (lambda g, x, w: (conv_vjp(g, x, w)[0], conv_vjp(g, x, w)[1] * (np.arange(3) < 2)), "gradient 1: entry ["),
        (lambda g, x, w: convolutions.vjp(g, x, w, (1, 1), (1, 1), (1, 1), 1, "dX: corner zeroed")[:2], "gradient 0: entry [0, 0, 0, 0]: 0 instead of "),
        (lambda g, x, w: conv_vjp(np.ones_like(g), x, w), "three times the cotangent"),
        (lambda g, x, w: conv_vjp(g, x, w)[0], "result: the VJP returned 1 arrays for 2 operands"),
        (lambda g, x, w: (x[0], w), "shape (2, 4, 4) instead of (1, 2, 4, 4)"),
        (lambda g, x, w: 1 // 0, "crash: ZeroDivisionError"),
        (lambda g, x, w: [np.nan * each for each in conv_vjp(g, x, w)], "nan instead of "),
    ],
)  # fmt: skip
def test_wrong_gradients_of_polynomials_are_found(vjp, told):
    report = testing.check_vjp(conv, vjp, shapes=CUBIC)
    assert not report.ok
    assert told in str(report)


def test_a_degree_that_is_too_low_is_said():
    report = testing.check_vjp(lambda x: x**4, lambda g, x: 4 * g * x**3, degree=3)
    assert report.failures[0].relation == "degree"
    with pytest.raises(InputError, match="degree=0 must be at least 1"):
        testing.check_vjp(conv, conv_vjp, degree=0)


# --- the command ------------------------------------------------------------------------------------------------------

KERNELS = """
import os
import time

from convproof import autograd as ag


def conv(x, w, b, stride, padding, dilation, groups):
    return ag.conv(x, w, b, stride, padding, dilation, groups, algorithm="im2col").numpy()


def without_dilation(x, w, b, stride, padding, dilation, groups):
    return conv(x, w, b, stride, padding, (1, 1), groups)


def hangs(*arguments):
    time.sleep(60)


def leaves(*arguments):
    os._exit(3)


def forks(*arguments):
    os.fork()
    return conv(*arguments)


def answers_nothing(*arguments):
    from convproof.testing.runner import Runner

    Runner._answer = lambda self, case, given: {}
    return conv(*arguments)


def hides_what_it_did(x, *rest):
    from convproof.testing.runner import Runner

    plain = Runner.run

    def run(self, case, first, second):
        found = plain(self, case, first, second)
        found.inputs = {}
        return found

    Runner.run = run
    return conv(x, *rest)


def sends_rubbish(*arguments):
    from convproof.testing import isolated

    isolated._packed = lambda told, arrays: b"PK rubbish"
    return conv(*arguments)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "kernels.py").write_text(KERNELS)
    return tmp_path


def test_the_command_checks_a_kernel_in_a_process_of_its_own(folder):
    done = convproof("check", "kernels.py:conv", "--op", "conv", "--cases", "40", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("kernels.py:conv as conv: right (")
    done = convproof("check", "kernels.py:without_dilation", "--op", "conv", "--format", "json", cwd=folder)
    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert document["schema"] == "convproof/1"
    assert not document["ok"]
    assert document["failures"][0]["diagnosis"] == "dilation ignored"
    assert document["failures"][0]["repro"].startswith("import numpy as np\nfrom kernels import without_dilation\n")


@pytest.mark.parametrize(
    ("kernel", "told"),
    [
        ("hangs", "it hangs: no answer after 1 seconds"),
        ("leaves", "the kernel left the interpreter, with exit status 3"),
        ("answers_nothing", "y is missing"),
        ("hides_what_it_did", "inputs: the kernel changed its input"),
        ("sends_rubbish", "what the worker sent is no answer"),
    ],
)
def test_a_kernel_that_does_not_come_back_or_meddles_is_a_finding(folder, kernel, told):
    done = convproof("check", f"kernels.py:{kernel}", "--op", "conv", "--timeout", "1", cwd=folder)
    assert done.returncode == 1
    assert told in done.stdout


def test_a_kernel_that_forks_is_judged_once(folder):
    done = convproof("check", "kernels.py:forks", "--op", "conv", "--timeout", "9", "--cases", "5", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_kernel_that_is_not_there_is_one_line(folder):
    done = convproof("check", "kernels.py:nothing", "--op", "conv", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "convproof: cannot import kernels.py:nothing: AttributeError: module 'kernels' has no attribute 'nothing'\n"
    )
