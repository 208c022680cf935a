"""How many small faults in a module do its tests find? `python tests/mutants.py MODULE TEST_FILE ... [--lines 10-20]`.

Every fault that cosmic-ray knows (another operator, comparison or number, a condition turned round, a decorator or
an iteration left out, ...) is put into the module alone, in memory, and the tests run in a process of their own. Faults in
annotations, which nothing evaluates, are left out. Prints what survives, and the score.
"""

import ast
import difflib
import importlib.abc
import importlib.util
import io
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import click
import cosmic_ray.plugins
import numpy  # noqa: F401  loaded once, here, rather than in every process
import pytest
import sympy  # noqa: F401
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).parent.parent
NEEDS_ARGUMENTS = {"core/VariableReplacer", "core/VariableInserter"}


def mutants(source: str) -> Iterator[str]:
    """Every different program that one fault makes."""
    seen = {evaluated(source)}
    for name in cosmic_ray.plugins.operator_names():
        occurrence = 0
        while name not in NEEDS_ARGUMENTS:
            mutant = mutate_code(source, cosmic_ray.plugins.get_operator(name)(), occurrence)
            if mutant is None:
                break
            occurrence += 1
            try:
                text = evaluated(mutant)
            except SyntaxError:
                continue
            if text not in seen:
                seen.add(text)
                yield mutant


def evaluated(source: str) -> str:
    """The program without its annotations."""

    class Bare(ast.NodeTransformer):
        def visit_arg(self, node: ast.arg) -> ast.arg:
            node.annotation = None
            return node

        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
            return node.value and ast.Assign([node.target], self.visit(node.value), lineno=node.lineno)

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
            node.returns = None
            self.generic_visit(node)
            return node

    return ast.unparse(Bare().visit(ast.parse(source)))


def changed(source: str, mutant: str) -> set[int]:
    """The numbers of the lines of the source that a fault is in, from 1 on."""
    blocks = difflib.SequenceMatcher(None, source.splitlines(), mutant.splitlines(), autojunk=False).get_opcodes()
    return {
        line + 1 for kind, start, end, _, _ in blocks if kind != "equal" for line in range(start, max(end, start + 1))
    }


class Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads a module from other source than its file's."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(compile(self.source, self.path, "exec"), module.__dict__)  # noqa: S102


def survives(name: str, path: Path, source: str, tests: list[str], seconds: float) -> bool:
    """Whether the tests pass with the module's source exchanged, in a process of their own."""
    child = os.fork()
    if not child:
        status = 1
        try:
            sys.path.insert(0, str(ROOT))
            sys.meta_path.insert(0, Instead(name, path, source))
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                status = int(pytest.main(["-x", "-p", "no:cacheprovider", *tests]))
        finally:
            os._exit(status)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


@click.command()
@click.argument("module", type=click.Path(exists=True, path_type=Path))
@click.argument("tests", nargs=-1, required=True)
@click.option("--sample", type=int, help="Draw so many faults instead of trying all.")
@click.option(
    "--lines", help="Only faults in these lines, such as 10-20 or 7; more than once for several.", multiple=True
)
@click.option("--jobs", default=2, show_default=True, help="How many processes run at once.")
@click.option("--seconds", default=60.0, show_default=True, help="After so long a run counts as a fault found.")
def main(
    module: Path, tests: tuple[str, ...], sample: int | None, lines: tuple[str, ...], jobs: int, seconds: float
) -> None:
    """Print the faults in MODULE that TESTS do not find, and the share of those that they do."""
    path = module.resolve()
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    source = path.read_text()
    run = lambda text: survives(name, path, text, list(tests), seconds)  # noqa: E731
    if not run(source):
        sys.exit("the tests fail without any fault")
    found = list(mutants(source))
    if lines:
        ends = [[int(end) for end in each.split("-")] for each in lines]
        wanted = {line for first, *last in ends for line in range(first, (last or [first])[0] + 1)}
        found = [mutant for mutant in found if changed(source, mutant) & wanted]
    if sample and sample < len(found):
        found = random.Random(0).sample(found, sample)
    alive = 0
    with ThreadPoolExecutor(jobs) as pool:
        for mutant, survived in zip(found, pool.map(run, found), strict=True):
            if survived:
                alive += 1
                shown = difflib.unified_diff(source.splitlines(), mutant.splitlines(), lineterm="", n=0)
                print("\n".join(line for line in shown if line[:3] not in ("---", "+++")), flush=True)
    share = f" ({(len(found) - alive) / len(found):.1%})" if found else ""
    print(f"{module}: {len(found) - alive} of {len(found)} faults found{share}")


if __name__ == "__main__":
    main()
