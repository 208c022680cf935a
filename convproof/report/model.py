"""What a report consists of: plain data that every format renders in full. Nothing here decides anything.

`Expr` below is a sympy expression, a number or a word; expressions are typeset, words stand as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Expr = Any


@dataclass(frozen=True)
class Text:
    """A paragraph; `code` stands between backticks."""

    text: str


@dataclass(frozen=True)
class Equation:
    """left = right, or with another sign between them."""

    left: Expr
    right: Expr
    sign: str = "="


@dataclass(frozen=True)
class Line:
    """One line of a derivation: an equation, why it holds, and whether the program verified it (None: a definition)."""

    equation: Equation
    because: str
    verified: bool | None = None


@dataclass(frozen=True)
class Derivation:
    """Equations one below the other."""

    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """Rows of cells; a cell is a word, a number or an expression. `marked` rows are shown as findings."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Expr, ...], ...]
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Bars:
    """A bar chart: one bar a label."""

    caption: str
    unit: str
    bars: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Windows:
    """A picture of windows over one axis: every row of `windows` holds the positions that it reads."""

    caption: str
    size: int
    padding: tuple[int, int]
    windows: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Folded:
    """Blocks behind a title that a reader may open."""

    title: str
    blocks: tuple[Block, ...]


Block = Folded | Text | Equation | Derivation | Table | Bars | Windows


@dataclass(frozen=True)
class Section:
    """A titled part with its source and, where it states something, the verdict on it."""

    id: str
    title: str
    source: str
    blocks: tuple[Block, ...]
    verdict: str = ""
    rung: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Report:
    """The whole document; `data` is what the JSON form carries beside the sections."""

    title: str
    version: str
    summary: tuple[Block, ...]
    sections: tuple[Section, ...]
    data: dict[str, Any] = field(default_factory=dict)
