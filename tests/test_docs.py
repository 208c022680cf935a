"""Every example in a docstring and in the README runs and prints what stands there."""

import doctest
import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import convproof

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    m.name for m in pkgutil.walk_packages(convproof.__path__, "convproof.")
    if not m.name.startswith(("convproof.theories", "convproof.__main__"))
)  # fmt: skip
README = (ROOT / "README.md").read_text()


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


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_python_examples_of_documents(name):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        test = doctest.DocTestParser().get_doctest(block, {}, name, name, 0)
        assert test.examples
        assert doctest.DocTestRunner().run(test).failed == 0


def test_readme_shell_examples():
    """A `$ convproof ...` line and what follows it up to the end of the block."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        for command, printed in re.findall(r"^\$ (convproof .*?)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            done = subprocess.run(
                [sys.executable, "-m", *shlex.split(command)], capture_output=True, text=True, timeout=120
            )
            assert printed == done.stdout


@pytest.mark.parametrize("path", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "convproof/py.typed"])
def test_files_that_people_look_for(path):
    assert (ROOT / path).exists()


def test_the_changelog_knows_this_version():
    assert f"## {convproof.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_links_in_documents_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), f"{name}: {target}"
