"""The rooms: who may import whom, and that sympy's unsound integer arithmetic is used nowhere."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import convproof

PACKAGE = Path(convproof.__file__).parent
CHECKOUT = Path(__file__).parent.parent
SOURCES = sorted(p.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py") if "theories" not in p.parts)

# What each room may import of convproof. A file in a room's folder may always import from its own room.
ALLOWED = {
    "errors": set(),
    "verdicts": set(),
    "drawing": set(),
    "architecture": {"errors"},
    "symbolic": {"errors", "architecture"},
    "autograd": {"errors"},
    "execute": {"errors", "architecture", "autograd"},
    "proof": {"errors", "architecture", "symbolic", "recheck"},
    "recheck": set(),
    "crosscheck": {"drawing", "errors", "verdicts", "architecture", "symbolic", "autograd", "execute", "proof"},
    "report": {"errors"},
    "importers": {"errors", "architecture", "symbolic"},
    "resolve": {"errors", "architecture", "importers", "targets"},
    "summary": {"", "errors", "architecture", "symbolic", "proof", "recheck", "report", "importers"},
    "testing": {"", "drawing", "errors", "report", "targets"},
    "targets": {"errors"},
    "pytest_plugin": {"errors", "testing"},
    "notes": {"", "errors", "verdicts", "symbolic", "proof", "recheck", "crosscheck", "report"},
    "cli": {"", "errors", "architecture", "proof", "crosscheck", "notes", "report", "summary", "resolve", "testing"},
    "__main__": {"cli"},
    "_moved": {"errors", "symbolic"},
    "__init__": {"_moved", "errors", "autograd"},
}

# What each room may import from elsewhere, beside the standard library.
THIRD_PARTY = {
    "architecture": {"lark", "networkx"},
    "symbolic": {"sympy"},
    "autograd": {"networkx", "numpy"},
    "execute": {"numpy"},
    "drawing": {"hypothesis"},
    "crosscheck": {"hypothesis", "numpy", "sympy"},
    "testing": {"dask", "distributed", "hypothesis", "joblib", "numpy", "ray"},
    "pytest_plugin": {"pytest"},
    "report": {"jinja2", "markupsafe", "sympy"},
    "importers": {"google", "numpy", "onnx", "torch"},
    "notes": {"sympy"},
    "proof": {"lark", "sympy"},
    "cli": {"click", "rich"},
}

UNSOUND = {
    "floor",
    "ceiling",
    "frac",
    "Mod",
    "simplify",
    "nsimplify",
    "sympify",
    "parse_expr",
    "is_integer",
    "is_even",
    "is_odd",
}
EVALUATING = {"eval", "exec", "parse_expr", "sympify", "lambdify"}


def room(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def broken_directions(path: Path, source: str) -> list[str]:
    """The imports of a file that its room does not allow."""
    own, wrong = room(path), []
    for name in sorted(imports(ast.parse(source))):
        top, *rest = name.split(".")
        if top == "convproof":
            target = (
                rest[0]
                if (rest and (PACKAGE / rest[0]).exists()) or (rest and (PACKAGE / f"{rest[0]}.py").exists())
                else ""
            )
            if target != own and target not in ALLOWED[own]:
                wrong.append(name)
        elif top not in sys.stdlib_module_names and top not in THIRD_PARTY.get(own, set()):
            wrong.append(name)
    return wrong


def unsound_names(source: str, integer_division_allowed: bool) -> list[str]:
    """Uses of sympy's unsound functions, of string evaluation, and of // and % on what may be expressions."""
    wrong = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in UNSOUND and not _is_math(node.value):
            wrong.append(f"line {node.lineno}: .{node.attr}")
        elif isinstance(node, ast.Name) and node.id in UNSOUND | EVALUATING:
            wrong.append(f"line {node.lineno}: {node.id}")
        elif isinstance(node, ast.alias) and node.name in UNSOUND | EVALUATING:
            wrong.append(f"imports {node.name}")
        elif (
            not integer_division_allowed
            and isinstance(node, ast.BinOp)
            and isinstance(node.op, (ast.FloorDiv, ast.Mod))
        ):
            wrong.extend([] if _literal(node) else [f"line {node.lineno}: // or %"])
    return wrong


def _literal(node: ast.BinOp) -> bool:
    """Whether only literal numbers stand in the operation."""
    return all(isinstance(each, (ast.Constant, ast.BinOp, ast.operator)) for each in ast.walk(node))


def _is_math(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "math"


# The files of rooms that hold expressions in which // and % stand between Python integers only.
DIVIDING_INTEGERS = {
    "symbolic/accepted.py",
    "symbolic/floordiv.py",
    "symbolic/reads.py",
    "symbolic/sizesets.py",
    "symbolic/shapes.py",
    "report/render.py",
    "proof/algebra.py",
    "proof/decision.py",
    "proof/membership.py",
    "proof/products.py",
    "proof/quasiaffine.py",
    "theories/losses.py",
    "theories/same_padding.py",
    "theories/winograd.py",
}
HOLDING_EXPRESSIONS = {"symbolic", "proof", "notes", "report", "theories"}


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_point_one_way(path):
    assert broken_directions(path, (PACKAGE / path).read_text()) == []


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("proof/algebra.py", set()),
        ("proof/calculus.py", {"proof"}),
        ("proof/quasiaffine.py", {"proof"}),
        ("proof/kernel.py", {"proof"}),
        *((str(path), {"recheck"}) for path in SOURCES if path.parts[0] == "recheck"),
    ],
)
def test_what_is_trusted_imports_next_to_nothing(name, own):
    """No sympy and no formula in the kernel; the checker imports nothing of this package."""
    found = imports(ast.parse((PACKAGE / name).read_text()))
    assert {n.split(".")[1] for n in found if n.startswith("convproof")} <= own
    assert {n.split(".")[0] for n in found} - set(sys.stdlib_module_names) <= {"convproof"}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("autograd/convolution.py", "from convproof.symbolic.window import count"),
        ("autograd/pooling.py", "import convproof.architecture"),
        ("symbolic/window.py", "from convproof.autograd import conv"),
        ("symbolic/window.py", "import numpy as np"),
        ("report/render.py", "from convproof.symbolic import FloorDiv"),
        ("crosscheck/relations.py", "from convproof.cli import main"),
        ("execute.py", "from convproof import symbolic"),
        ("execute.py", "def f():\n    from convproof.symbolic import output_shape"),
    ],
)
def test_a_wrong_import_is_found(path, line):
    assert broken_directions(Path(path), line) != []


@pytest.mark.parametrize("path", [*SOURCES, *sorted((CHECKOUT / "theories").glob("*.py"))], ids=str)
def test_no_unsound_sympy(path):
    own = "theories" if path.is_absolute() else room(path)
    name = f"theories/{path.name}" if own == "theories" else str(path)
    allowed = own not in HOLDING_EXPRESSIONS or name in DIVIDING_INTEGERS
    assert unsound_names((PACKAGE / path).read_text(), allowed) == []


@pytest.mark.parametrize(
    "line",
    [
        "import sympy\nsympy.floor(x)",
        "from sympy import ceiling",
        "x.is_integer",
        "sympy.simplify(x)",
        "from sympy import sympify\nsympify('x')",
        "size // stride",
        "size % stride",
        "eval('1')",
    ],
)
def test_unsound_sympy_is_found(line):
    assert unsound_names(line, integer_division_allowed=False) != []


def test_importing_the_package_loads_no_heavy_library():
    code = "import sys, convproof; print(sorted({'sympy', 'numpy', 'networkx', 'lark', 'hypothesis', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_loading_the_pytest_plugin_loads_nothing_else():
    code = "import sys, pytest; before = set(sys.modules); import convproof.pytest_plugin; print(sorted({m.split('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)), 'convproof.testing' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['convproof'] False"


def test_only_the_package_is_installed():
    wheel = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": ["convproof"], "force-include": {"theories": "convproof/theories"}}


def test_every_name_of_the_package_can_be_fetched():
    assert [name for name in convproof.__all__ if getattr(convproof, name, None) is None] == []
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        convproof.nonsense  # noqa: B018
