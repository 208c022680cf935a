"""Reports: one model, rendered as HTML, Markdown, LaTeX and JSON; and results as JUnit XML and SARIF."""

from convproof.report.exchange import Result, printable, to_junit, to_sarif
from convproof.report.model import (
    Bars,
    Derivation,
    Equation,
    Folded,
    Line,
    Report,
    Section,
    Table,
    Text,
    Windows,
)
from convproof.report.render import prepare_folder, to_html, to_json, to_latex, to_markdown, write_file, write_report

__all__ = [
    "Bars",
    "Derivation",
    "Equation",
    "Folded",
    "Line",
    "Report",
    "Result",
    "Section",
    "Table",
    "Text",
    "Windows",
    "prepare_folder",
    "printable",
    "to_html",
    "to_json",
    "to_junit",
    "to_latex",
    "to_markdown",
    "to_sarif",
    "write_file",
    "write_report",
]
