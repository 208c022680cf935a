"""Expressions as MathML Core and LaTeX, in the order in which people write them."""

from __future__ import annotations

from html import escape
from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter
from sympy.printing.mathml import MathMLPresentationPrinter

_ORDER = {
    letter: rank
    for rank, letter in enumerate(["W", "H", "n", "N", "i", "o", "j", "x", "y", "w", "g", "K", "C", "F", "D", "S", "P"])
}

_SIGNS = {"=": "=", "!=": "≠", "<=": "≤", ">=": "≥", "<": "<", ">": ">"}
_LATEX_SIGNS = {"=": "=", "!=": r"\neq", "<=": r"\leq", ">=": r"\geq", "<": "<", ">": ">"}


def _terms(expression: Any) -> list[Any]:
    """The terms of a sum: the size first, then kernel, stride and padding, numbers last; none negative at the front."""

    def rank(term: Any) -> tuple[int, int, list[int], str]:
        letters = sorted(_ORDER.get(str(s), len(_ORDER)) for s in term.free_symbols)
        degree = (
            -sympy.Poly(term, *term.free_symbols).total_degree() if term.free_symbols and term.is_polynomial() else 0
        )
        return (int(not letters), degree, letters, str(term))

    terms = sorted(sympy.Add.make_args(expression), key=rank)
    first = next((term for term in terms if not term.could_extract_minus_sign()), terms[0])
    return [first, *(term for term in terms if term is not first)]


def _is_floor(item: Any) -> bool:
    """A FloorDiv, which brings its own brackets; known by name, as this room imports no formulas."""
    return type(item).__name__ == "FloorDiv"


class _Latex(LatexPrinter):  # type: ignore[misc]
    def _needs_mul_brackets(self, expr: Any, **options: Any) -> bool:
        return not _is_floor(expr) and bool(super()._needs_mul_brackets(expr, **options))

    def parenthesize(self, item: Any, level: int, **options: Any) -> Any:
        return self._print(item) if _is_floor(item) else super().parenthesize(item, level, **options)

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
        return _terms(expr)


class _MathML(MathMLPresentationPrinter):  # type: ignore[misc]
    def parenthesize(self, item: Any, level: int, **options: Any) -> Any:
        return self._print(item) if _is_floor(item) else super().parenthesize(item, level, **options)

    def _as_ordered_terms(self, expr: Any, order: Any = None) -> list[Any]:
        return _terms(expr)

    def _print_FloorDiv(self, expr: Any) -> Any:
        row = self.dom.createElement("mrow")
        fraction = self.dom.createElement("mfrac")
        for part in expr.args:
            fraction.appendChild(self._print(part))
        for child in (self._operator("⌊"), fraction, self._operator("⌋")):
            row.appendChild(child)
        return row

    def _operator(self, sign: str) -> Any:
        element = self.dom.createElement("mo")
        element.appendChild(self.dom.createTextNode(sign))
        return element


def is_math(value: Any) -> bool:
    """Whether `value` is typeset; words and numbers are not."""
    return isinstance(value, sympy.Basic)


def mathml(value: Any) -> str:
    """`value` as presentation MathML, without the surrounding <math>."""
    if isinstance(value, sympy.Symbol) and "_" not in value.name:
        return f"<mi>{value.name}</mi>"
    printed: str = _MathML({"mul_symbol": None}).doprint(sympy.Integer(value) if isinstance(value, int) else value)
    return printed.replace("&InvisibleTimes;", "\u2062").replace("<mo>-</mo>", "<mo>\u2212</mo>")


def mathml_equation(left: Any, sign: str, right: Any) -> str:
    """left sign right as MathML."""
    return f"<mrow>{_mathml_side(left)}<mo>{escape(_SIGNS[sign])}</mo>{_mathml_side(right)}</mrow>"


def _mathml_side(value: Any) -> str:
    return mathml(value) if is_math(value) or isinstance(value, int) else f"<mtext>{escape(str(value))}</mtext>"


def latex(value: Any) -> str:
    """`value` as LaTeX, without dollar signs."""
    if is_math(value):
        printed: str = _Latex({"fold_short_frac": False}).doprint(value)
        return printed
    return str(value) if isinstance(value, (int, float)) else rf"\text{{{tex_escaped(str(value))}}}"


def latex_equation(left: Any, sign: str, right: Any) -> str:
    """left sign right as LaTeX."""
    return f"{latex(left)} {_LATEX_SIGNS[sign]} {latex(right)}"


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


def tex_escaped(text: str) -> str:
    """`text` with TeX's special characters made harmless."""
    return "".join(_TEX.get(character, character) for character in text)
