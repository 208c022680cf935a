"""A few lines that show a failure when they are pasted."""

from __future__ import annotations

from typing import Any

import numpy as np

from convproof.testing.judge import Runs, Wrong
from convproof.testing.numbers import Array
from convproof.testing.operation import PARTS

MOST = 4_000
"""How many numbers are written out."""


def repro(kernel: Runs, case: Any, wrong: Wrong) -> str:
    """Lines of Python that call the kernel as the failing case does, and show what it returns and should."""
    operation, library = kernel.operation, kernel.library
    arrays = wrong.arrays or operation.draw(case, library.kind, (case.seed, 0)).arrays
    if sum(each.size for each in arrays.values()) > MOST:
        return f"# {case!r} has too many numbers to be written out; run the check again with the same seed"
    back = wrong.part not in ("", "y")
    call = operation.backward if back else operation.forward
    side = "vjp" if back else "forward"
    names = {name: _Name(name) for name in arrays}
    more = {k: v for k, v in operation.keywords(case).items() if k in kernel.keywords[side]}
    parts = [repr(each) for each in call(case, names)] + [f"{k}={v!r}" for k, v in more.items()]
    used = [name for name in arrays if any(str(names[name]) == part for part in parts)]
    lines = [_IMPORTS[library.name], *(["import numpy as np"] if "labels" in used and library.name != "numpy" else [])]
    lines.append(kernel.imported(side))
    for name in used:
        lines.append(f"{name} = {_literal(kernel, name, arrays[name])}")
        lines += library.lines(name, library.layout(name, case.layout))
    lines.append(f"found = kernel({', '.join(parts)})")
    if back and len(operation.operands) > 1:
        lines[-1] += f"[{operation.operands.index(wrong.part)}]"
    lines.append("print(found)")
    right = operation.expected(case, arrays, library.kind)
    if wrong.part in right:
        expected = right[wrong.part].values[0]
        lines.append(f"# {PARTS[wrong.part]} must be {_listed(kernel.result(wrong.part, np.asarray(expected)))}")
    return "\n".join(lines)


class _Name:
    """A variable of the lines."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


_IMPORTS = {"numpy": "import numpy as np", "torch": "import torch", "jax": "import jax"}


def _literal(kernel: Runs, name: str, values: Array) -> str:
    listed = _listed(values if name == "labels" else kernel.outward(name, values))
    if name == "labels":
        return f"np.array({listed})"
    dtype = kernel.library.kind.name
    match kernel.library.name:
        case "torch":
            return f"torch.tensor({listed}, dtype=torch.{dtype})"
        case "jax":
            return f"jax.numpy.asarray({listed}, {dtype!r})"
    return f"np.array({listed}, {dtype!r})"


def _listed(values: Array) -> str:
    def number(value: Any) -> str:
        if value != value or value in (np.inf, -np.inf):
            return f"float({str(value)!r})"
        return str(int(value)) if value == int(value) else repr(float(value))

    def rows(part: Array) -> str:
        return number(part[()]) if part.ndim == 0 else f"[{', '.join(map(rows, part))}]"

    return rows(values)
