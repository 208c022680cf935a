"""FloorDiv: every rule against Python's integers, and the faults of sympy's floor that it must not have."""

import random

import pytest
import sympy

from convproof.errors import SpecError
from convproof.symbolic.floordiv import FloorDiv, floordiv, is_positive, normal, size, symbol, symbols

n, m, S, W, P = symbols("n m S W P")
LETTERS = (n, m, S, W, P)


def value(expression, values):
    """The integer that an expression takes."""
    found = normal(
        sympy.Integer(expression).xreplace(values) if isinstance(expression, int) else expression.xreplace(values)
    )
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (FloorDiv(FloorDiv(n, 2), 2), "n//4"),
        (FloorDiv(FloorDiv(n + 1, 2) + 5, 2), "(n + 3)//4 + 2"),
        (FloorDiv(2 * n + 1, 4), "n//2"),
        (FloorDiv(6 * n + 9, 4), "n + n//2 + 2"),
        (FloorDiv(S * n + S, S), "n + 1"),
        (FloorDiv(S * n, S * W), "n//W"),
        (FloorDiv(n / 2, 3), "n//6"),
        (FloorDiv(n, 1), "n"),
        (FloorDiv(sympy.Integer(-7), 2), "-4"),
        (FloorDiv(S + 1, S + 1), "1"),
        (2 * FloorDiv(n, 2), "2*(n//2)"),
        (FloorDiv(FloorDiv(W - P, S), m), "(-P + W)//(S*m)"),
    ],
)
def test_normal_form(expression, expected):
    assert str(expression) == expected


def test_where_sympy_is_wrong():
    expression = FloorDiv((2 * n + 2) * m, 6)
    assert value(expression, {n: sympy.Integer(1), m: sympy.Integer(1)}) == 0
    assert normal(FloorDiv(FloorDiv(n, 2), 2) - FloorDiv(n, 4)) == 0
    assert normal(FloorDiv(n - 1 + 1, 2) - FloorDiv(n, 2)) == 0


def _tree(rng, depth):
    """A random expression as nested tuples, so that Python's own integers can evaluate it too."""
    kind = rng.random()
    if depth == 0 or kind < 0.2:
        return rng.choice([*LETTERS, sympy.Integer(rng.randint(-9, 9))])
    if kind < 0.5:
        return ("+", _tree(rng, depth - 1), _tree(rng, depth - 1))
    if kind < 0.65:
        return ("*", _tree(rng, depth - 1), rng.choice([sympy.Integer(2), sympy.Integer(-1), sympy.Integer(3), S, n]))
    divisors = [sympy.Integer(k) for k in (2, 3, 4, 6)]
    return (
        "//",
        _tree(rng, depth - 1),
        rng.choice([*divisors, S, 2 * S, S * n, S + 1, n + m, 3 * S + 2, P + 1, 2 * P + S]),
    )


def _symbolic(tree):
    if not isinstance(tree, tuple):
        return tree
    op, a, b = tree[0], _symbolic(tree[1]), _symbolic(tree[2])
    return a + b if op == "+" else a * b if op == "*" else FloorDiv(a, b)


def _python(tree, values):
    if not isinstance(tree, tuple):
        return int(tree.xreplace({k: sympy.Integer(v) for k, v in values.items()}))
    op, a, b = tree[0], _python(tree[1], values), _python(tree[2], values)
    return a + b if op == "+" else a * b if op == "*" else a // b


@pytest.mark.parametrize("seed", range(40))
def test_normal_form_keeps_the_value(seed):
    rng = random.Random(seed)
    for _ in range(15):
        tree = _tree(rng, 4)
        expression = normal(_symbolic(tree))
        for _ in range(4):
            values = {letter: rng.randint(0 if letter == P else 1, 13) for letter in LETTERS}
            exact = {k: sympy.Integer(v) for k, v in values.items()}
            assert value(expression, exact) == _python(tree, values), (tree, values)


@pytest.mark.parametrize("seed", range(10))
def test_chains_fold_to_one_division(seed):
    rng = random.Random(seed)
    expression, plain = n, lambda k: k
    for _ in range(6):
        s, a = rng.randint(1, 4), rng.randint(-3, 5)
        expression = floordiv(expression + a, s) + 1
        plain = lambda k, f=plain, s=s, a=a: (f(k) + a) // s + 1  # noqa: E731
    assert sum(isinstance(e, FloorDiv) for e in sympy.preorder_traversal(expression)) <= 1
    assert all(value(expression, {n: sympy.Integer(k)}) == plain(k) for k in range(1, 200))


@pytest.mark.parametrize("divisor", [0, -2, n - m, P, -n, n - 1, FloorDiv(n, 2), S * P])
def test_divisors_must_be_known_to_be_positive(divisor):
    with pytest.raises(SpecError, match="not known to be positive"):
        FloorDiv(n, divisor)


def test_a_divisor_that_becomes_zero_is_refused():
    with pytest.raises(SpecError, match="division by 0"):
        FloorDiv(n, S).xreplace({S: sympy.Integer(0)})


@pytest.mark.parametrize(
    "numerator", [sympy.sqrt(n), sympy.Symbol("x", real=True), sympy.pi * n, 1 / n, sympy.Float(0.5)]
)
def test_numerators_must_be_polynomials_in_integers(numerator):
    with pytest.raises(SpecError):
        FloorDiv(numerator, 2)


def test_positive():
    assert is_positive(2 * S + P)
    assert is_positive(P + 1)
    assert not is_positive(P)
    assert not is_positive(S - 1)


def test_a_letter_means_the_same_by_name():
    assert size(sympy.Symbol("W")) == size("W") == symbol("W")
    assert size(sympy.Symbol("P", integer=True)) == symbol("P")
    with pytest.raises(SpecError, match="declared to be no natural number"):
        size(sympy.Symbol("W", integer=False))
    with pytest.raises(SpecError, match="is no size"):
        size(2.5)


def test_printing():
    half = FloorDiv(n - 1, 2)
    assert sympy.latex(FloorDiv(n, 2) ** 2) == r"\left\lfloor \frac{n}{2} \right\rfloor^{2}"
    assert sympy.srepr(FloorDiv(n, 2)).startswith("FloorDiv(Symbol('n'")
    assert [eval(str(3 * half**2 + half - 1), {"n": k}) for k in range(1, 9)] == [  # noqa: S307
        3 * ((k - 1) // 2) ** 2 + (k - 1) // 2 - 1 for k in range(1, 9)
    ]
