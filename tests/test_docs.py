"""Every example in a docstring and in the README runs and prints what stands there."""

import doctest
import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import convproof

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(convproof.__path__, "convproof.")
    if not m.name.startswith(("convproof.theories", "convproof.__main__"))
)  # fmt: skip


@pytest.mark.parametrize("name", ["convproof", *MODULES])
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_public_functions_have_examples():
    """Every public function of the two wings shows a run."""
    from convproof import autograd, symbolic

    missing = [
        f"{room.__name__}.{name}"
        for room in (autograd, symbolic)
        for name in room.__all__
        if callable(getattr(room, name)) and not isinstance(getattr(room, name), type)
        and ">>>" not in (getattr(room, name).__doc__ or "")
    ]  # fmt: skip
    assert missing == []


def blocks(name, language):
    found = re.findall(rf"```{language}\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert found
    return found


FILE = re.compile(r"# ([\w./]+\.\w+)\n")
"""How a block begins that is a file."""


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/kernels.md"])
def test_python_examples_of_documents(name):
    for block in blocks(name, "python"):
        if not FILE.match(block):
            test = doctest.DocTestParser().get_doctest(block, {}, name, name, 0)
            assert test.examples
            assert doctest.DocTestRunner().run(test).failed == 0


@pytest.fixture
def project(request, tmp_path):
    """An empty folder with the files of a document."""
    for block in blocks(request.param, r"\w+"):
        if named := FILE.match(block):
            file = tmp_path / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block)
    return request.param, tmp_path


@pytest.mark.parametrize("project", ["README.md", "docs/kernels.md"], indirect=True)
def test_shell_examples_of_documents(project):
    """A `$ convproof ...` or `$ python ...` line and what follows it up to the end of the block."""
    name, folder = project
    for block in blocks(name, "console"):
        for command, printed in re.findall(r"^\$ ((?:convproof|python) .*?)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            parts = shlex.split(command)
            called = parts[1:] if parts[0] == "python" else ["-m", *parts]
            done = subprocess.run([sys.executable, *called], capture_output=True, text=True, timeout=120, cwd=folder)
            assert printed == done.stdout


@pytest.mark.parametrize("project", ["docs/kernels.md"], indirect=True)
def test_the_tests_and_the_ledger_of_the_document_on_kernels(project):
    _, folder = project
    plugin = (
        []
        if any(each.name == "convproof" for each in entry_points(group="pytest11"))
        else ["-p", "convproof.pytest_plugin"]
    )
    options = ["-p", "no:cacheprovider", "-p", "no:xdist", "-W", "error", "-rx", *plugin]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options], capture_output=True, text=True, timeout=120, cwd=folder
    )
    assert "1 passed, 2 xfailed" in done.stdout
    assert "test_max_pool - pads with zeros; our images are never negative" in done.stdout
    assert "test_linear - the activation is fused" in done.stdout


@pytest.mark.parametrize("path", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "convproof/py.typed"])
def test_files_that_people_look_for(path):
    assert (ROOT / path).exists()


def test_the_changelog_knows_this_version():
    assert f"## {convproof.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_links_in_documents_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/kernels.md"):
        text = re.sub(r"```.*?```", "", (ROOT / name).read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", text):
            assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"
