"""What the soundness tests count is printed at the end of a run, from all processes that the tests ran in."""

from collections import Counter

import pytest

COUNTS = pytest.StashKey[Counter]()


def pytest_configure(config):
    config.stash[COUNTS] = Counter()


@pytest.fixture
def soundness(request):
    """Counts of what was tried against the kernel and the checker."""
    return request.config.stash[COUNTS]


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["soundness"] = dict(session.config.stash[COUNTS])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[COUNTS].update(getattr(node, "workeroutput", {}).get("soundness", {}))


def pytest_terminal_summary(terminalreporter, config):
    counts = config.stash[COUNTS]
    if counts:
        terminalreporter.section("soundness")
        for what, count in sorted(counts.items()):
            terminalreporter.write_line(f"{count:8,} {what}")
