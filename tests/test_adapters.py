"""The example kernels, one for each way of writing one: they run, are right, and with a fault they are found out."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "examples" / "kernels"

# What each needs, and a fault: (modules, programs, text, what replaces it, what is found)
EXAMPLES = {
    "c_kernel": ([], ["cc"], "i < 0 || i >= H", "i < 0 || i >= H - 1", "wrong"),
    "torch_function": (["torch"], [], "g.sum((0, 2, 3)) if", "g.sum((0, 2)).sum(-1) / 2 if", "db"),
    "onnx_runtime": (["onnx", "onnxruntime"], [], '"dilations": dilation, ', "", "dilation ignored"),
    "jax_kernel": (["jax"], [], "", "", ""),  # each smaller case would be compiled
    "cpp_extension": (["torch"], ["ninja", "c++"], "", "", ""),
}
SLOW = {"cpp_extension": "compiling against PyTorch takes a minute; set CONVPROOF_FULL=1 to run it"}


def needed(name):
    modules, programs, *_ = EXAMPLES[name]
    for each, there in [*((m, find_spec(m)) for m in modules), *((p, shutil.which(p)) for p in programs)]:
        if there is None:
            pytest.skip(f"needs {each}, which is not installed")
    if name in SLOW and not os.environ.get("CONVPROOF_FULL"):
        pytest.skip(SLOW[name])


def ran(file, folder):
    alone = {"OMP_NUM_THREADS": "1", "TORCH_EXTENSIONS_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, file], capture_output=True, text=True, timeout=900, cwd=folder, env={**os.environ, **alone}
    )


def test_every_example_is_run():
    assert {file.stem for file in FOLDER.glob("*.py")} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_right(name, tmp_path):
    needed(name)
    done = ran(FOLDER / f"{name}.py", tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.match(r"forward as \w+: right \(\d+ checks on \d+ cases, ", done.stdout)


@pytest.mark.parametrize("name", [name for name, (*_, text, _, _) in EXAMPLES.items() if text])
def test_an_example_with_a_fault_is_wrong(name, tmp_path):
    needed(name)
    *_, text, other, told = EXAMPLES[name]
    source = (FOLDER / f"{name}.py").read_text()
    assert text in source
    (tmp_path / f"{name}.py").write_text(source.replace(text, other))
    done = ran(tmp_path / f"{name}.py", tmp_path)
    assert done.returncode == 1
    assert re.match(r"forward as \w+: WRONG ", done.stdout)
    assert told in done.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_the_three_lines(name):
    last = (FOLDER / f"{name}.py").read_text().partition('if __name__ == "__main__":\n')[2].splitlines()
    assert re.fullmatch(r"    report = check_\w+\(forward, .*\)", last[0])
    assert last[1:] == ["    print(report)", "    report.raise_if_failed()"]
