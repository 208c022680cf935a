"""Terms and formulas in the notation that people write: read, shown, and read again."""

import random

import pytest
import sympy

from convproof.errors import SpecError
from convproof.proof import Refused
from convproof.proof.algebra import normal
from convproof.proof.language import formula, shown, term, written
from convproof.symbolic import FloorDiv

X, I, N = ("re", "x", ("v", "i")), ("v", "i"), ("v", "n")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("7", 7),
        ("-7", -7),
        ("n", N),
        ("n'", ("v", "n'")),
        ("x[i]", X),
        ("e[]", ("re", "e")),
        ("x[i, n]", ("re", "x", I, N)),
        ("f(i, n)", ("at", "f", I, N)),
        ("exp(i)", ("exp", I)),
        ("exp(i, n)", ("at", "exp", I, N)),
        ("log(x[i])", ("log", X)),
        ("n + 1 - i", ("+", N, 1, ("*", -1, I))),
        ("n - 1", ("+", N, -1)),
        ("n - 2*i", ("+", N, ("*", -2, I))),
        ("-i*n", ("*", -1, ("*", I, N))),
        ("i*n*2", ("*", I, N, 2)),
        ("n//2", ("//", N, 2)),
        ("(n + 1)//2*i", ("*", ("//", ("+", N, 1), 2), I)),
        ("i/n", ("*", I, ("inv", N))),
        ("n^3", ("*", N, N, N)),
        ("[i = n]", ("is", I, N)),
        ("[i <= n]", ("le", I, N)),
        ("[i >= n]", ("le", N, I)),
        ("[i < n]", ("le", ("+", I, 1), N)),
        ("[i > n]", ("le", ("+", N, 1), I)),
        ("sum i<n: x[i]", ("sum", "i", 0, ("+", N, -1), X)),
        ("sum i=1..n: x[i]*2", ("sum", "i", 1, N, ("*", X, 2))),
        ("2*sum i<n, j<i: 1", ("*", 2, ("sum", "i", 0, ("+", N, -1), ("sum", "j", 0, ("+", I, -1), 1)))),
        ("sum i<n: x[i] + 1", ("+", ("sum", "i", 0, ("+", N, -1), X), 1)),
        ("sum i<n: (x[i] + 1)", ("sum", "i", 0, ("+", N, -1), ("+", X, 1))),
        ("summary + iffy", ("+", ("v", "summary"), ("v", "iffy"))),
    ],
)
def test_terms_are_read(text, read):
    assert term(text) == read
    assert normal(term(written(read))) == normal(read)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("i = n", ("=", I, N)),
        ("i >= n", (">=", I, N)),
        ("i <= n", (">=", N, I)),
        ("i > n", (">", I, N)),
        ("i < n", (">", N, I)),
        ("i = n iff n >= 1", ("iff", ("=", I, N), (">=", N, 1))),
        ("for all i: for all n: x[i] >= n", ("all", "i", ("all", "n", (">=", X, N)))),
    ],
)
def test_formulas_are_read_and_shown(text, read):
    assert formula(text) == read
    assert formula(shown(read)) == read


def test_derivatives_are_shown():
    assert shown(("d", ("x", "y"), X, ("re", "dx", I))) == "d/dh (x[i]) at h = 0, with x + h*dx, y + h*dy, is dx[i]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (("+", ("*", -1, I), N), "-i + n"),
        (("+", N, ("*", -3, I, I)), "n - 3*i*i"),
        (("*", ("+", I, 1), ("+", I, 1)), "(i + 1)^2"),
        (("*", 4, ("//", N, 4)), "4*(n//4)"),
        (("*", I, ("inv", ("+", N, 1)), N), "i/(n + 1)*n"),
        (("*", ("inv", N), ("inv", I)), "inv(n)/i"),
        (("*", ("sum", "i", 0, N, X), 2), "(sum i=0..n: x[i])*2"),
        (("*", ("*", I, N), 2), "(i*n)*2"),
    ],
)
def test_terms_are_written(value, text):
    assert written(value) == text
    assert normal(term(text)) == normal(value)


def test_what_is_shown_means_what_was_shown():
    rng, read = random.Random(1), 0

    def draw(depth):
        if depth == 0 or rng.random() < 0.2:
            return rng.choice([rng.randint(-3, 3), N, I, ("re", "x"), X])
        a, b = draw(depth - 1), draw(depth - 1)
        head = rng.choice(["+", "*", "//", "is", "le", "sum", "inv", "exp", "log", "at", "re", "-"])
        return {
            "+": ("+", a, b, draw(depth - 1)),
            "*": ("*", a, b, draw(depth - 1)),
            "//": ("//", rng.choice([N, ("+", I, -2), -3]), rng.choice([2, N])),
            "sum": ("sum", "i", rng.choice([0, -1, N]), rng.choice([("+", N, -1), I, 5]), a),
            "at": ("at", "f", I, ("+", N, 1)),
            "re": ("re", "f", ("*", 2, I)),
            "-": ("*", rng.choice([-1, -2, 1]), a),
            "inv": ("inv", a),
            "exp": ("exp", a),
            "log": ("log", a),
        }.get(head, (head, a, b))

    for _ in range(2000):
        value = draw(3)
        try:
            form = normal(value)
        except Refused:
            continue
        assert normal(term(written(value))) == form, written(value)
        read += 1
    assert read > 1500


def test_terms_come_from_expressions_of_ours():
    n, s = sympy.symbols("n s", integer=True, positive=True)
    assert normal(term(FloorDiv(n - 1, s, evaluate=False) ** 2 + 3)) == normal(term("((n - 1)//s)^2 + 3"))
    assert term(5) == term(sympy.Integer(5)) == 5


@pytest.mark.parametrize(
    "value", [True, 1.5, None, sympy.Rational(1, 2), sympy.sqrt(2), sympy.floor(sympy.Symbol("n"))]
)
def test_other_values_have_no_place(value):
    with pytest.raises(SpecError, match="has no place in a proof"):
        term(value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a +", "it ends too early"),
        ("", "it ends too early"),
        ("x[1", "it ends too early"),
        ("(" * 9999, "it ends too early"),
        ("a b", "from 'b' on"),
        ("a & b", "from '& b' on"),
        ("sum i: 1", "from ': 1' on"),
    ],
)
def test_what_is_no_term_is_refused_with_its_place(text, where):
    with pytest.raises(SpecError, match=f"^this is no term, {where}: "):
        term(text)


def test_what_is_no_formula_is_refused():
    with pytest.raises(SpecError, match="this is no formula"):
        formula("a + b")
    with pytest.raises(SpecError, match="is no term"):
        written(("spam",))
