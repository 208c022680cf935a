"""The pytest plugin, in runs of pytest of their own."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from convproof import pytest_plugin
from convproof import testing as testing  # loaded here: what a run loads by itself, it forgets
from convproof.errors import InputError

pytest_plugins = ["pytester"]

INSTALLED = any(each.name == "convproof" for each in entry_points(group="pytest11"))
GIVEN = [] if INSTALLED else [pytest_plugin]

KERNELS = """
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

def linear(x, w, b):
    return x @ w.T if b is None else x @ w.T + b

def linear_vjp(g, x, w):
    return g @ w, g.T @ x, g.sum(0)

def without_bias(x, w, b):
    return x @ w.T

def wrong_vjp(g, x, w):
    return g @ w, g.T @ x, g.sum(0) + 1

def late(x, w, b):
    y = linear(x, w, b)
    if x.shape == (17, 5):
        y[-1] += 1  # in one corner alone
    return y
"""


@pytest.fixture
def run(pytester):
    """Runs tests, as strictly as they can be, with a ledger where there is one."""

    def run(tests, *options, ledger=None):
        ini = "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\nxfail_strict = true\n"
        if ledger is not None:
            pytester.makefile(".toml", known=ledger)
            ini += "convproof_ledger = known.toml\n"
        pytester.makefile(".ini", pytest=ini)
        pytester.makepyfile(test_kernels=KERNELS + tests)
        return pytester.runpytest("-p", "no:cacheprovider", "-rA", *options, plugins=GIVEN)

    return run


def entry(**parts):
    return "[[known]]\n" + "".join(f'{name} = "{text}"\n' for name, text in parts.items())


BIAS = entry(kernel="without_bias", relation="y", reason="the bias is added elsewhere")

# --- checks -----------------------------------------------------------------------------------------------------------


def test_the_entry_point_is_the_plugin():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"convproof": pytest_plugin.__name__}


def test_the_fixture_fails_a_test_with_the_report_and_nothing_else(run):
    result = run(
        """
def test_right(convproof_check):
    report = convproof_check("linear", linear, linear_vjp, cases=30)
    assert report.ok and report.cases == 30

def test_wrong(convproof_check):
    convproof_check("linear", without_bias)
    raise SystemError("never reached")
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["without_bias as linear: WRONG (*", "y: * entries are wrong; *", "*likely fault: bias *"]
    )
    result.stdout.no_fnmatch_line("*convproof_check(*")
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_marked_test_returns_the_kernel(run):
    result = run(
        """
class Both:
    def forward(self, x, w, b):
        return linear(x, w, b)
    vjp = staticmethod(linear_vjp)

@pytest.fixture
def kernel():
    return linear

@pytest.mark.convproof(op="linear", vjp=linear_vjp, cases=20)
def test_function():
    return linear

@pytest.mark.convproof("linear", cases=20)
@pytest.mark.parametrize("turn", [1, 2])
def test_pair(turn):
    return linear, linear_vjp if turn == 1 else wrong_vjp

@pytest.mark.convproof(op="linear", cases=20)
def test_fixture(kernel):
    return kernel

@pytest.mark.convproof(op="linear", cases=20)
class TestIn:
    def test_object(self):
        return Both()

    def test_wrong(self):
        return without_bias
"""
    )
    result.assert_outcomes(passed=4, failed=2)
    result.stdout.fnmatch_lines(["linear as linear: WRONG (*", "db: *"])
    result.stdout.fnmatch_lines(["without_bias as linear: WRONG (*"])


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("@pytest.mark.convproof(op='linear')\ndef test_it():\n    linear", "the test returns no kernel; return a function, or a pair of them"),
        ("@pytest.mark.convproof\ndef test_it():\n    return linear", "the marker is convproof(op, vjp=None, **options), such as op='conv'"),
        ("@pytest.mark.convproof(op='linaer')\ndef test_it():\n    return linear", "no operation is named 'linaer'; there are conv, *"),
        ("@pytest.mark.convproof(op='linear', case=3)\ndef test_it():\n    return linear", "there is no option 'case'; there are *"),
        ("@pytest.mark.convproof(op='linear')\ndef test_it():\n    return 3", "forward=3 is no function"),
        ("@pytest.mark.convproof(op='linear')\ndef test_it():\n    return linear, linear_vjp, 1", "the test returns 3 things, not a pair of forward and vjp"),
        ("@pytest.mark.convproof(op='linear', vjp=linear_vjp)\ndef test_it():\n    return linear, linear_vjp", "the test returns 2 things, not one function, since the marker has the vjp"),
        ("import unittest\n@pytest.mark.convproof(op='linear')\nclass TestIt(unittest.TestCase):\n    def test_it(self):\n        pass", "nothing was checked; the marker is for functions that return a kernel"),
        ("def test_it(convproof_check):\n    convproof_check('linear', linear, dtype='float8')", "dtype='float8' is not supported; *"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_test_fails_it_in_one_line(run, test, told):
    result = run(test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"convproof: {told}".replace("[", "[[]")])
    result.stdout.no_fnmatch_line("*Error*")


def test_a_test_that_fails_by_itself_fails_as_without_the_plugin(run):
    result = run("@pytest.mark.convproof(op='linear')\ndef test_it():\n    raise KeyError('lost')")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*KeyError: 'lost'"])


def test_the_command_line_says_how_many_cases_and_which(run):
    test = """
def test_it(convproof_check):
    report = convproof_check("linear", linear, cases=30, seed=1)
    print("seen", report.cases)

@pytest.mark.convproof("linear", cases=30)
def test_draws():
    def kept(x, w, b):
        print("drawn", x.shape, x.sum())
        return linear(x, w, b)
    return kept
"""
    runs = [run(test, *options) for options in ((), ("--convproof-cases=40",), ("--convproof-cases=40", "--convproof-seed=7"))]  # fmt: skip
    assert [[line for line in each.outlines if line.startswith("seen")] for each in runs] == [
        ["seen 30"],
        ["seen 40"],
        ["seen 40"],
    ]
    drawn = [[line for line in each.outlines if line.startswith("drawn")] for each in runs]
    assert drawn[1][: len(drawn[0])] == drawn[0]
    assert drawn[2] != drawn[1]


@pytest.mark.parametrize("number", ["0", "-1", "few"])
def test_a_number_of_cases_is_one_or_more(run, number):
    result = run("", f"--convproof-cases={number}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*argument --convproof-cases: {number} must be a whole number from 1 on"])


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_a_known_failure_is_expected_and_hides_nothing(run):
    test = """
def test_known(convproof_check):
    assert not convproof_check("linear", without_bias).ok
    open("later", "w").close()

def test_known_and_another(convproof_check):
    convproof_check("linear", without_bias)
    convproof_check("linear", linear, wrong_vjp)

@pytest.mark.convproof("linear")
def test_marked():
    return without_bias

@pytest.mark.convproof("linear")
def test_two_failures():
    return without_bias, wrong_vjp
"""
    result = run(test, ledger=BIAS)
    result.assert_outcomes(xfailed=2, failed=2)
    result.stdout.fnmatch_lines(
        ["without_bias as linear: WRONG*", "db: *", "known failure: y of without_bias (the bias is added elsewhere)"]
    )
    result.stdout.fnmatch_lines(["XFAIL *test_known - the bias is added elsewhere"])
    assert Path("later").exists()
    assert run(test).parseoutcomes() == run(test, "--runxfail", ledger=BIAS).parseoutcomes() == {"failed": 4}


def test_a_known_failure_does_not_end_the_check_before_another_is_found(run):
    test = """
@pytest.mark.convproof("linear")
def test_it():
    def kernel(x, w, b):
        return x @ w.T
    def vjp(g, x, w):
        return g @ w, g.T @ x, g.sum(0) + (len(seen) > 25 * 6)
    seen = []
    def counted(x, w, b):
        seen.append(1)
        return kernel(x, w, b)
    counted.__qualname__ = "without_bias"
    return counted, vjp
"""
    result = run(test, ledger=BIAS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["db: *"])


def test_what_no_longer_fails_fails(run):
    test = """
@pytest.mark.convproof("linear")
def test_it():
    return linear

@pytest.mark.convproof("linear")
def test_late():
    return late
"""
    ledger = entry(kernel="linear", relation="y", reason="slow") + entry(kernel="late", relation="y", reason="a tail")
    result = run(test, ledger=ledger)
    result.assert_outcomes(failed=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "linear as linear: right (*",
            "known failure: y of linear (slow), and no longer fails: remove the entry, or narrow it by test",
        ]
    )
    # of fewer cases than the test asks for, nothing is concluded
    run(test, "--convproof-cases=5", ledger=ledger).assert_outcomes(passed=2)


def test_an_entry_may_be_for_one_test(run):
    test = """
@pytest.mark.convproof("linear")
@pytest.mark.parametrize("right", [True, False])
def test_it(right):
    def kernel(x, w, b):
        return linear(x, w, b) if right else x @ w.T
    kernel.__qualname__ = "kernel"
    return kernel
"""
    told = {"kernel": "kernel", "relation": "y", "reason": "no bias"}
    run(test, ledger=entry(**told)).assert_outcomes(xfailed=1, failed=1)
    for name in ("test_it[False]", "test_kernels.py::test_it[False]"):
        run(test, ledger=entry(**told, test=name)).assert_outcomes(xfailed=1, passed=1)
    run(test, ledger=entry(**told, test="it[False]")).assert_outcomes(failed=1, passed=1)


def test_too_few_cases_are_a_failure_beside_a_known_one(run):
    test = "@pytest.mark.convproof('linear', supports=['bias'], cases=400)\ndef test_it():\n    return without_bias"
    run(test, ledger=BIAS).assert_outcomes(xfailed=1)
    test = "@pytest.mark.convproof('conv', supports=['stride'])\ndef test_it():\n    return lambda *args: np.zeros(3)"
    result = run(test, ledger=entry(kernel="test_it.<locals>.<lambda>", relation="y", reason="-"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["MISTRUSTED: *"])


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n1")])
def test_entries_that_no_check_was_about_are_named(run, workers):
    if workers and not INSTALLED:
        pytest.skip("workers find the plugin by its entry point, which is not installed: pip install -e '.[dev]'")
    ledger = BIAS + entry(kernel="wihtout_bias", relation="y", reason="misspelt")
    test = "@pytest.mark.convproof('linear')\ndef test_it():\n    return without_bias\ndef test_more():\n    pass"
    result = run(test, *workers, ledger=ledger)
    result.assert_outcomes(xfailed=1, passed=1)
    told = [line for line in result.outlines if "not checked" in line]
    assert told == ["convproof: not checked in this run, though the ledger lists it: y of wihtout_bias (misspelt)"]
    assert "not checked" not in str(run(test, "-ktest_more", *workers, ledger=ledger).stdout)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (entry(kernel="a", relation="y"), ": entry 1 has no reason"),
        (BIAS + entry(kernel="a", relation="y", reason=" "), ": entry 2 has no reason"),
        (entry(relation="y", reason="-"), ": entry 1 has no kernel"),
        (entry(kernel="a", reason="-"), ": entry 1 has no relation"),
        ("[[known]]\nkernel = 3\nrelation = 'y'\nreason = '-'", ": entry 1 has no kernel"),
        ("[[known]]\nkernel = 'a'\nrelation = 'y'\nreason = '-'\ntest = 3", ": entry 1: test must be text"),
        (entry(kernel="a", relation="y", reasons="-"), ": entry 1 has 'reasons'; there are kernel, relation, reason, test"),
        (entry(kernel="a", relation="MISTRUSTED", reason="-"), ": entry 1: MISTRUSTED cannot be listed, since too little was checked; support more cases"),
        (BIAS + BIAS, ": entry 2 lists y of without_bias again"),
        (BIAS.replace("known", "knwon"), ": there are only [[known]] entries, with kernel, relation and reason"),
        ("known = 3", ": there are only [[known]] entries, with kernel, relation and reason"),
        ("known = [3]", ": entry 1 is no table"),
        ("known", ": Expected '=' after a key in a key/value pair (at end of document)"),
    ],
)  # fmt: skip
def test_mistakes_in_a_ledger_are_told_word_for_word(tmp_path, text, told):
    file = tmp_path / "known.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        pytest_plugin.ledger(file)
    assert str(caught.value) == f"{file}{told}"


def test_a_mistake_in_the_ledger_ends_the_run(run):
    result = run("def test_it():\n    pass", ledger=entry(kernel="a", relation="y"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *known.toml: entry 1 has no reason"])


def test_a_ledger_that_is_not_there_ends_the_run(run):
    result = run("def test_it():\n    pass", "-o", "convproof_ledger=unknown.toml")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *unknown.toml: No such file or directory"])


def test_the_plugin_can_be_left_out(pytester):
    pytester.makepyfile("def test_it(request):\n    assert not request.config.pluginmanager.hasplugin('convproof')")
    pytester.runpytest("-p", "no:cacheprovider", "-p", "no:convproof").assert_outcomes(passed=1)
