"""The pytest plugin: kernels checked as tests, and a ledger of the failures that are known.

`convproof_check(op, forward, vjp, **options)` is a fixture that checks a kernel as `convproof.testing.check` does, and
fails the test with the report. A test with the marker `convproof(op, vjp=None, **options)` returns the kernel instead.
What the ledger lists is an expected failure, with its reason; what it lists and does not fail, fails.

Only the standard library and pytest are loaded here; the oracle is when something is checked.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from convproof.errors import InputError

if TYPE_CHECKING:
    from convproof.testing import Report

MARKER = (
    "convproof(op, vjp=None, **options): the kernel that the test returns is checked as that operation: a function, "
    "a pair of forward and vjp, or an object that has both; options as for convproof.testing.check"
)


@dataclass(frozen=True)
class Known:
    """A failure that is known: of which kernel, in which relation, why it is left, and where in only one test.

    `kernel` and `relation` are what a report prints: "conv2d as conv: WRONG" and "dX: 3 of 9 entries are wrong".
    """

    kernel: str
    relation: str
    reason: str
    test: str = ""

    def __str__(self) -> str:
        return f"{self.relation} of {self.kernel} ({self.reason})"

    def of(self, kernel: str, test: str) -> bool:
        """Whether it is about that kernel in that test, which is named by its node id or the end of it."""
        return self.kernel == kernel and (not self.test or f"/{test}".endswith((f"/{self.test}", f"::{self.test}")))


LEDGER = pytest.StashKey[tuple[Known, ...]]()
MET = pytest.StashKey[set[int]]()  # the places in the ledger whose kernel was checked, and ANY if one was
ANY = -1
XFAILED = pytest.StashKey[list[Known]]()
CHECKED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options of the command line, and one of the configuration."""
    group = parser.getgroup("convproof", "checks of kernels")
    group.addoption(
        "--convproof-cases", type=_positive, metavar="N", help="cases of every check, whatever the tests say"
    )
    group.addoption("--convproof-seed", type=int, metavar="N", help="seed of every check, whatever the tests say")
    parser.addini("convproof_ledger", "TOML file of known failures of kernels, beside the configuration file")


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1 on")
    return int(text)


def pytest_configure(config: pytest.Config) -> None:
    """Reads the ledger. A mistake in it ends the run."""
    config.addinivalue_line("markers", MARKER)
    named = config.getini("convproof_ledger")
    folder = config.inipath.parent if config.inipath else config.rootpath
    try:
        entries = ledger(folder / named) if named else ()
    except InputError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[LEDGER], config.stash[MET] = entries, set()


def ledger(file: Path) -> tuple[Known, ...]:
    """The known failures in a file. Raises `InputError` for one without a reason, and for whatever else is amiss."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{file}: {error}") from None
    entries = document.pop("known", [])
    if document or not isinstance(entries, list):
        raise InputError(f"{file}: there are only [[known]] entries, with kernel, relation and reason")
    found = [_entry(f"{file}: entry {number}", entry) for number, entry in enumerate(entries, 1)]
    for number, known in enumerate(found):
        if any(_where(known) == _where(before) for before in found[:number]):
            raise InputError(f"{file}: entry {number + 1} lists {known.relation} of {known.kernel} again")
    return tuple(found)


def _where(known: Known) -> tuple[str, ...]:
    return known.kernel, known.relation, known.test


def _entry(place: str, entry: Any) -> Known:
    names = [field.name for field in fields(Known)]
    if not isinstance(entry, dict):
        raise InputError(f"{place} is no table")
    if unknown := sorted(set(entry) - set(names)):
        raise InputError(f"{place} has {unknown[0]!r}; there are {', '.join(names)}")
    for name in names:
        if not isinstance(entry.get(name, ""), str) or not (name == "test" or entry.get(name, "").strip()):
            raise InputError(f"{place} has no {name}" if name != "test" else f"{place}: test must be text")
    if entry["relation"] == "MISTRUSTED":
        raise InputError(f"{place}: MISTRUSTED cannot be listed, since too little was checked; support more cases")
    return Known(**entry)


# --- checks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def convproof_check(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Checks a kernel, `convproof_check(op, forward, vjp=None, **options)`, as `convproof.testing.check` does; fails
    with the report. Returns the report of a kernel that is right, or whose failures are all known.
    """
    item = request.node

    def check(op: str, forward: Any, vjp: Any = None, **options: Any) -> Report:
        __tracebackhide__ = True
        return _checked(item, op, forward, vjp, options)

    return check


def _checked(item: pytest.Item, op: str, forward: Any, vjp: Any, options: dict[str, Any]) -> Report:
    __tracebackhide__ = True
    from convproof.testing import check
    from convproof.testing.checks import CASES, callables
    from convproof.testing.runner import name_of

    told = {name: item.config.getoption(f"convproof_{name}") for name in ("cases", "seed")}
    chosen = options | {name: value for name, value in told.items() if value is not None}
    try:
        name = name_of(callables(forward, vjp)[0])
        listed = {} if item.config.getoption("runxfail") else _listed(item, name)
        report = check(op, forward, vjp, **chosen, known=listed)
    except InputError as error:
        pytest.fail(f"convproof: {error}", pytrace=False)
    item.stash[CHECKED] = True
    failing = {failure.relation for failure in report.failures}
    if failing - set(listed):
        pytest.fail(_told(report, listed.values()), pytrace=False)
    fewer = chosen.get("cases", CASES) < options.get("cases", CASES)  # too few to know that nothing fails any more
    if gone := [known for relation, known in listed.items() if relation not in failing and not fewer]:
        pytest.fail(_told(report, gone, "and no longer fails: remove the entry, or narrow it by test"), pytrace=False)
    item.stash.setdefault(XFAILED, []).extend(known for relation, known in listed.items() if relation in failing)
    return report


def _listed(item: pytest.Item, kernel: str) -> dict[str, Known]:
    """What is known of a kernel in a test, by relation; an entry for the test counts before one for all."""
    entries = item.config.stash[LEDGER]
    about = [place for place, known in enumerate(entries) if known.of(kernel, item.nodeid)]
    item.config.stash[MET].update((ANY, *about))
    return {known.relation: known for known in sorted((entries[place] for place in about), key=lambda each: each.test)}


def _told(report: Report, entries: Iterable[Known], more: str = "") -> str:
    """The report, and what the ledger says."""
    return "\n".join([str(report), *(f"known failure: {known}{', ' * bool(more)}{more}" for known in entries)])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Checks what a test with the marker returns."""
    marker = pyfuncitem.get_closest_marker("convproof")
    if marker is None:
        return (yield)
    op, vjp, options = _asked(marker)
    function, returned = pyfuncitem.obj, []

    def kept(**given: Any) -> None:
        returned.append(function(**given))

    pyfuncitem.obj = kept
    try:
        result = yield
    finally:
        pyfuncitem.obj = function
    kernel = returned[0] if returned else None
    if kernel is None:
        pytest.fail("convproof: the test returns no kernel; return a function, or a pair of them", pytrace=False)
    if isinstance(kernel, tuple):
        if len(kernel) != 2 or vjp is not None:
            told = "a pair of forward and vjp" if vjp is None else "one function, since the marker has the vjp"
            pytest.fail(f"convproof: the test returns {len(kernel)} things, not {told}", pytrace=False)
        kernel, vjp = kernel
    _checked(pyfuncitem, op, kernel, vjp, options)
    return result


def _asked(marker: pytest.Mark) -> tuple[str, Any, dict[str, Any]]:
    def asked(op: str, vjp: Any = None, **options: Any) -> tuple[str, Any, dict[str, Any]]:
        return op, vjp, options

    try:
        return asked(*marker.args, **marker.kwargs)
    except TypeError:
        pytest.fail("convproof: the marker is convproof(op, vjp=None, **options), such as op='conv'", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """At the end of a test, so that a known failure hides nothing that comes after it."""
    result = yield
    if item.get_closest_marker("convproof") and not item.stash.get(CHECKED, False):
        pytest.fail("convproof: nothing was checked; the marker is for functions that return a kernel", pytrace=False)
    if known := item.stash.get(XFAILED, []):
        pytest.xfail("; ".join(dict.fromkeys(each.reason for each in known)))
    return result


# --- entries that no check was about ----------------------------------------------------------------------------------


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tells the process that runs the workers what was met."""
    met = session.config.stash[MET]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["convproof"] = sorted(met)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Of pytest-xdist: what a worker tells."""
    node.config.stash[MET].update(getattr(node, "workeroutput", {}).get("convproof", ()))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A line for each entry whose kernel was not checked, in a run in which others were."""
    met, entries = config.stash[MET], config.stash[LEDGER]
    for place, known in enumerate(entries):
        if met and place not in met:
            terminalreporter.write_line(f"convproof: not checked in this run, though the ledger lists it: {known}")
