"""A `Report` as HTML, Markdown, LaTeX and JSON, and as files on disk."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tempfile
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from convproof.errors import InputError
from convproof.report import typeset
from convproof.report.figures import bars_svg, windows_svg
from convproof.report.model import Bars, Derivation, Equation, Folded, Line, Report, Table, Text, Windows

_KINDS = {
    "folded_block": Folded,
    "text_block": Text,
    "equation_block": Equation,
    "derivation_block": Derivation,
    "table_block": Table,
    "bars_block": Bars,
    "windows_block": Windows,
}


def to_html(report: Report) -> str:
    """One self-contained page: no script, nothing loaded from elsewhere."""
    environment = _environment(autoescape=True)
    environment.filters |= {
        "prose": _prose,
        "html_cell": _html_cell,
        "mathml_equation": lambda e: Markup(typeset.mathml_equation(e.left, e.sign, e.right)),
        "bars_svg": lambda chart: Markup(bars_svg(chart)),
        "windows_svg": lambda picture: Markup(windows_svg(picture)),
    }
    return environment.get_template("page.html.j2").render(report=report)


def to_markdown(report: Report) -> str:
    """Markdown with LaTeX between dollar signs, as GitHub shows it."""
    environment = _environment()
    environment.filters |= {"md": _markdown, "md_cell": _markdown_cell, "latex_equation": _latex_equation}
    text = environment.get_template("page.md.j2").render(report=report)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def to_latex(report: Report) -> str:
    """A LaTeX article."""
    delimiters = {"block_start_string": "((*", "block_end_string": "*))", "variable_start_string": "(((",
                  "variable_end_string": ")))", "comment_start_string": "((=", "comment_end_string": "=))"}  # fmt: skip
    environment = _environment(**delimiters)
    environment.filters |= {"tex": _tex_prose, "tex_cell": _tex_cell, "tex_columns": _tex_columns}
    environment.filters["latex_equation"] = _latex_equation
    text = environment.get_template("page.tex.j2").render(report=report)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def to_json(report: Report) -> str:
    """The whole report as data; expressions are strings."""
    sections = [_plain(section) for section in report.sections]
    document = {
        "schema": "convproof/1",
        "title": report.title,
        "version": report.version,
        **_plain(report.data),
        "summary": _plain(report.summary),
        "sections": sections,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


FILES: dict[str, Callable[[Report], str]] = {
    "index.html": to_html,
    "report.md": to_markdown,
    "report.tex": to_latex,
    "report.json": to_json,
}


def write_report(report: Report, folder: Path) -> list[Path]:
    """Writes every format into `folder`. All are rendered before the first file is touched."""
    texts = {name: render(report) for name, render in FILES.items()}
    prepare_folder(folder)
    return [write_file(folder / name, text) for name, text in texts.items()]


def prepare_folder(folder: Path) -> None:
    """Makes `folder` if needed, and raises `InputError` unless every file of a report can be put there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"cannot write to the folder {folder}: {error.strerror}; choose another with -o") from None
    for name in FILES:
        if (folder / name).is_dir():
            raise InputError(f"{folder / name} is a folder; move it away or choose another place with -o")


def write_file(path: Path, text: str) -> Path:
    """Writes `text` under a temporary name beside `path` and moves it there: no half-written file is ever seen.

    A link is followed; a pipe or device is written to as it stands.
    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
            return path
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".convproof-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(temporary, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
            os.replace(temporary, target)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from None
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _environment(**options: Any) -> Environment:
    environment = Environment(
        loader=PackageLoader("convproof.report"), undefined=StrictUndefined, trim_blocks=False, **options
    )
    for name, kind in _KINDS.items():
        environment.tests[name] = lambda block, kind=kind: isinstance(block, kind)
    environment.filters["standing"] = _standing
    return environment


def _standing(line: Line) -> str:
    return {True: " (verified)", False: " (FALSE)", None: ""}[line.verified]


# --- words and cells --------------------------------------------------------------------------------------------------


def _prose(text: str) -> Markup:
    parts = str(text).split("`")
    return Markup("".join(f"<code>{escape(p)}</code>" if i % 2 else escape(p) for i, p in enumerate(parts)))


def _html_cell(value: Any) -> Markup:
    if typeset.is_math(value):
        return Markup(f"<math>{typeset.mathml(value)}</math>")
    return Markup(escape(_number(value))) if not isinstance(value, str) else _prose(value)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


_MARKDOWN = re.compile(r"([\\*_\[\]<>$|#])")


def _markdown(text: str) -> str:
    parts = str(text).replace("\n", " ").split("`")
    return "".join(f"`{p}`" if i % 2 else _MARKDOWN.sub(r"\\\1", p) for i, p in enumerate(parts))


def _markdown_cell(value: Any) -> str:
    if typeset.is_math(value):
        return f"${typeset.latex(value)}$".replace("|", r"\vert{}")
    return _markdown(value).replace("|", r"\|") if isinstance(value, str) else _number(value)


def _tex_prose(text: str) -> str:
    parts = str(text).split("`")
    shown = (rf"\texttt{{{typeset.tex_escaped(p)}}}" if i % 2 else typeset.tex_escaped(p) for i, p in enumerate(parts))
    return "".join(shown)


def _tex_cell(value: Any) -> str:
    if typeset.is_math(value):
        return f"${typeset.latex(value)}$"
    return _tex_prose(value) if isinstance(value, str) else _number(value)


def _tex_columns(table: Table) -> str:
    """Numbers to the right, words to the left, long words wrapped."""
    kinds = []
    for column in zip(*table.rows, strict=True):
        longest = max((len(cell) for cell in column if isinstance(cell, str)), default=0)
        kinds.append("p{4cm}" if longest > 32 else "l" if isinstance(column[0], str) else "r")
    return "".join(kinds) or "l" * len(table.columns)


def _latex_equation(equation: Equation) -> str:
    return typeset.latex_equation(equation.left, equation.sign, equation.right)


def _plain(value: Any) -> Any:
    """Dataclasses as objects that name their kind, expressions as strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__.lower(), **fields}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)
