"""The trusted kernel, rule by rule: exactly what comes out, what is refused and why, and what is true at numbers.

Terms and formulas are written in Python's notation. f and g are functions to integers; x, y, z, dx and dy to reals;
other names are letters; [a == b] and [a <= b] are indicators; sum(i, lo, hi, body), all(n, f), iff(f, g) and
d(x, y, a, b) are as in the kernel. Among a rule's arguments "h; k |- g" is a theorem and "@n" a name.
"""

import ast
import copy
import inspect
import json
import math
import pickle
import random
import re
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

from convproof.proof import algebra, calculus, kernel, quasiaffine
from convproof.proof.algebra import Refused, normal
from convproof.proof.kernel import RESTS_ON, Theorem, assume, certificate
from convproof.proof.written import AXIOMS, axioms, proof_term

HEADS = {ast.Add: "+", ast.Sub: "+", ast.Mult: "*", ast.FloorDiv: "//", ast.Eq: "=", ast.GtE: ">=", ast.Gt: ">"}
KINDS = dict.fromkeys("fg", "at") | dict.fromkeys(["x", "y", "z", "dx", "dy"], "re")


def t(text):
    """The term or formula."""
    return _read(ast.parse(text.strip().replace("'", "__"), mode="eval").body) if type(text) is str else text


def _read(node):
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(name):
            return (KINDS.get(name, "v"), name.replace("__", "'"))
        case ast.UnaryOp(_, ast.Constant(value)):
            return -value
        case ast.BinOp(a, op, b):
            head, left, right = HEADS[type(op)], _read(a), _read(b)
            if isinstance(op, ast.Sub):
                right = -right if isinstance(right, int) else ("*", -1, right)
            chained = isinstance(a, ast.BinOp) and HEADS[type(a.op)] == head != "//"
            return (head, *(left[1:] if chained else [left]), right)
        case ast.List([ast.Compare(a, [op], [b])]):
            return ("is" if isinstance(op, ast.Eq) else "le", _read(a), _read(b))
        case ast.Compare(a, [op], [b]):
            return (HEADS[type(op)], _read(a), _read(b))
        case ast.Call(ast.Name("sum" | "all" as head), [name, *parts]):
            return (head, _read(name)[-1], *map(_read, parts))
        case ast.Call(ast.Name("d"), [*names, a, b]):
            return ("d", tuple(name.id for name in names), _read(a), _read(b))
        case ast.Call(ast.Name(head), parts):
            return (*((KINDS[head],) if head in KINDS else ()), head, *map(_read, parts))
    raise AssertionError(ast.dump(node))


def listed(text):
    return [t(each) for each in text.split(";") if each.strip()]


def filled(part, terms):
    """With terms in place of others, wherever they stand."""
    if type(part) is not tuple or part in terms:
        return dict(terms).get(part, part)
    return tuple(filled(each, terms) for each in part)


def given(text, terms=()):
    """An argument of a rule. In "h; k |- g" a g that is not exp(a) > 0 is assumed, and so one of the hypotheses too."""
    if isinstance(text, (list, dict)):
        return [given(each, terms) for each in text] if isinstance(text, list) else {k: given(text[k]) for k in text}
    if type(text) is not str or text[:1] == "@":
        return text[1:] if type(text) is str else text
    hypotheses, goal = ([filled(each, terms) for each in listed(side)] for side in f"|-{text}".split("|-")[-2:])
    if "|-" not in text:
        return goal[0]
    known = kernel.positive(goal[0][1][1]) if algebra.split(goal[0][1])[0] == ("exp",) else assume(goal[0])
    added = [*map(assume, hypotheses)]
    return certificate(goal[0], [(1, [0])], 1, False, known, *added) if added else known


# --- terms and formulas -----------------------------------------------------------------------------------------------

M, N, X, I = t("m"), t("n"), t("x"), t("i")


class Lying(type):
    """Makes classes that say that they equal every other."""

    def __eq__(cls, other):
        return True

    __hash__ = type.__hash__


class Text(str, metaclass=Lying):
    __slots__ = ()


VALUES = [
    (algebra.split, ([5], ((5,), ())), (["n"], (("v", "n"), ())), (["f(n, 2)"], (("at", "f"), (N, 2))), (["x(n)"], (("re", "x"), (N,)))),
    (algebra.split, (["n + 2"], (("+",), (N, 2))), (["n == m"], (("=",), (N, M))), (["all(n, n >= 0)"], (("all", "n"), ((">=", N, 0),)))),
    (algebra.split, (["sum(i, 0, n, i)"], (("sum", "i"), (0, N, I))), (["d(x, y, x, dx)"], (("d", ("x", "y")), (X, t("dx"))))),
    (algebra.free, ([5], set()), (["n + m*f(k, x)"], set("kmn")), (["sum(i, i, n, i + j)"], set("ijn")), (["sum(i, 0, n, i + j)"], set("jn"))),
    (algebra.free, (["all(n, n >= m)"], {"m"}), (["iff(n >= 0, all(m, m >= k))"], set("kn")), (["d(x, y, x(n), dx(m))"], set("mn"))),
    (
        algebra.substitute,
        ([5, {"n": 1}], 5), (["n", {"n": "m"}], "m"), (["n", {"m": 1}], "n"), (["n + m", {"n": "m", "m": "n"}], "m + n"),
        (["x + f(n)", {"x": 1, "f": 1, "n": 2}], "x + f(2)"), (["iff(n >= m, m == n)", {"n": 2}], "iff(2 >= m, m == 2)"),
        (["d(x, x(n), n//2)", {"n": 4, "x": 1}], "d(x, x(4), 4//2)"), (["sum(i, i, i + n, f(i, n))", {"i": 7, "n": 9}], "sum(i, 7, 7 + 9, f(i, 9))"),
        (["sum(i, 0, 3, f(i, n))", {"n": "i"}], "sum(i', 0, 3, f(i', i))"), (["sum(i, 0, n, f(i, m))", {"n": "i"}], "sum(i, 0, i, f(i, m))"),
        (["sum(i, n, m, f(i, n))", {"n": "i", "m": "j"}], "sum(i', i, j, f(i', i))"), (["all(n, m >= n)", {"n": 5, "m": 6}], "all(n, 6 >= n)"),
        (["sum(i, 0, 3, f(i, n, i'))", {"n": "i"}], "sum(i'', 0, 3, f(i'', i, i'))"), (["all(n, m >= n)", {"m": "n"}], "all(n', n >= n')"),
        (["sum(i, 0, 3, f(i, n, m))", {"n": "i", "m": "i'"}], "sum(i'', 0, 3, f(i'', i, i'))"),
        (["all(i, all(j, m >= f(i, j)))", {"m": "j"}], "all(i, all(j', j >= f(i, j')))"),
    ),
    (algebra.name, *(([f"@{each}"], each) for each in ("n", "W_2", "x'", "x''", "é", "class"))),
    (algebra.well_formed, (["n == x"], "n == x"), (["x >= n"], "x >= n"), (["1 > 0"], "1 > 0"), (["iff(n >= 0, x == 1)"], "iff(n >= 0, x == 1)")),
    (algebra.well_formed, (["all(n, n >= m)"], "all(n, n >= m)"), (["d(n, 0)"], "d(n, 0)"), (["d(x, y, x*y, n)"], "d(x, y, x*y, n)")),
]  # fmt: skip


@pytest.mark.parametrize(("function", "arguments", "value"), [(row[0], *pair) for row in VALUES for pair in row[1:]])
def test_values(function, arguments, value):
    assert function(*given(arguments)) == (value if function is algebra.name else t(value))


# --- the normal form --------------------------------------------------------------------------------------------------


def once(*atoms):
    """The monomial of some atoms."""
    return tuple((atom, 1) for atom in atoms)


def poly(*items):
    return ("poly", *items)


def at(*letters):
    return ("at", "f", *(poly((once(letter), 1)) for letter in letters))


B1, B2, ZERO, ONE, TWO = ("b", 1), ("b", 2), poly(), poly(((), 1)), poly(((), 2))
PM, PN, M_N, N_M = poly((once(M), 1)), poly((once(N), 1)), *(poly((once(M), c), (once(N), -c)) for c in (1, -1))
NORMAL = [
    (0, {}), (-5, {(): -5}), ("n", {once(N): 1}), (("+", 7), {(): 7}), (("*", 7), {(): 7}), ("n + 3 + m + n - 1", {once(N): 2, (): 2, once(M): 1}),
    ("n - n", {}), ("n*m*n*-2", {((M, 1), (N, 2)): -2}), ("(n + 1)*(n - 1)", {((N, 2),): 1, (): -1}), ("0*inv(0)", {}),
    ("f(n, 2)", {once(("at", "f", PN, TWO)): 1}), ("x", {once(X): 1}), ("x(0, n)", {once(("re", "x", ZERO, PN)): 1}),
    ("(1 + n)//2", {once(("//", poly((once(N), 1), ((), 1)), TWO)): 1}), ("7//2", {(): 3}), ("-7//2", {(): -4}), ("1//2", {}),
    ("(n + 1)//1", {once(N): 1, (): 1}), ("2//n", {once(("//", TWO, PN)): 1}), ("2//0", {once(("//", TWO, ZERO)): 1}),
    ("2//-1", {once(("//", TWO, poly(((), -1)))): 1}), ("[n == m]", {once(("is", N_M)): 1}), ("[m == n]", {once(("is", N_M)): 1}),
    ("[n <= m]", {once(("le", M_N)): 1}), ("[m <= n]", {once(("le", N_M)): 1}),
    ("[0 <= n]*[0 == n]*[0 <= n]*n", {(*once(("is", poly((once(N), -1))), ("le", PN)), (N, 1)): 1}),
    *((each, {(): 1}) for each in ("[2 == 2]", "[1 <= 2]", "[2 <= 2]")), *((each, {}) for each in ("[1 == 2]", "[2 == 1]", "[2 <= 1]")),
    ("inv(x + 1)", {once(("inv", poly((once(X), 1), ((), 1)))): 1}), ("exp(n)", {once(("exp", PN)): 1}), ("log(0)", {once(("log", ZERO)): 1}),
    ("sum(i, 0, n, 3)", {once(("sum", 1, (ZERO, PN), ())): 3}), ("sum(m, m, 1, 1)", {once(("sum", 1, (PM, ONE), ())): 1}),
    ("sum(i, 0, n, 2*m*m*f(i))", {((("sum", 1, (ZERO, PN), once(at(B1))), 1), (M, 2)): 2}),
    ("sum(i, 0, n, m + i*i)", {(*once(("sum", 1, (ZERO, PN), ())), (M, 1)): 1, once(("sum", 1, (ZERO, PN), ((B1, 2),))): 1}),
    (
        "sum(j, 0, n, f(j)*sum(k, j, 1, f(k, j)))",
        {once(("sum", 2, (ZERO, PN), once(at(B2), ("sum", 1, (poly((once(B2), 1)), ONE), once(at(B1, B2)))))): 1},
    ),
    *(
        (
            f"sum(j, 0, 1, sum(k, 0, 2, {body}))",
            {once(("sum", 2, (ZERO, ONE), once(("sum", 1, (ZERO, TWO), once(*inner))))): 1},
        )
        for body, inner in [
            ("[f(j) == f(k)]", [("is", poly((once(at(B1)), -1), (once(at(B2)), 1)))]),
            ("[f(j) <= f(k)]", [("le", poly((once(at(B1)), 1), (once(at(B2)), -1)))]),
            ("f(j, k)*f(k, j)", [at(B1, B2), at(B2, B1)]),
        ]
    ),
]  # fmt: skip


@pytest.mark.parametrize(("term", "result"), NORMAL)
def test_normal_forms(term, result):
    assert normal(t(term)) == result


EQUAL = [
    ("sum(i, 0, n, f(i))", "sum(k, 0, n, f(k))"), ("m*sum(i, 0, n, f(i, m))", "sum(i, 0, n, f(i, m)*m)"),
    ("sum(i, 0, n, i + x)", "sum(j, 0, n, j) + sum(k, 0, n, x)"), ("sum(i, 0, 3, i*sum(i, 0, i, i))", "sum(i, 0, 3, i*sum(j, 0, i, j))"),
    ("sum(i, 0, n, sum(j, i, m, g(i, j)))", "sum(j, 0, n, sum(i, j, m, g(j, i)))"),
    ("sum(i, 0, 1, sum(j, i, 2, sum(k, j, 3, f(i, j, k))))", "sum(k, 0, 1, sum(i, k, 2, sum(j, i, 3, f(k, i, j))))"),
    ("sum(i, 0, 1, i*sum(i, i, 2, i*sum(i, i, 3, f(i))))", "sum(k, 0, 1, k*sum(j, k, 2, j*sum(i, j, 3, f(i))))"),
    ("sum(i, 0, n, f(i)*sum(j, 0, m, sum(k, 0, j, f(j, k))))", "sum(j, 0, m, sum(i, 0, j, f(j, i)))*sum(i, 0, n, f(i))"),
    ("sum(i, 0, sum(i, 0, 2, f(i)), f(i))", "sum(j, 0, sum(k, 0, 2, f(k)), f(j))"), ("[x - y == z]", "[z + y == x]"), ("[n == m]*[m == n]", "[n == m]"),
    ("sum(i, 0, 1, [i <= n]*[i <= n]*[i <= n])", "sum(i, 0, 1, [i <= n])"), ("f(n + m, 9//2)", "f(m + n, 4)"), ("(n + n)//(1 + 1)", "2*n//2"),
    ("exp(x + x)", "exp(2*x)"), ("sum(b, 0, 1, b)", "sum(poly, 0, 1, poly)"),
]  # fmt: skip
UNEQUAL = [
    ("[n <= m]", "[m <= n]"), ("[n == m]", "[n <= m]"), ("[n == m]*[n == k]", "[n == m]"), ("[n == m] + [n == m]", "[n == m]"), ("n*n", "n"),
    ("n//2", "n//3"), ("n//-1", "-1*n"), ("0//0", "0"), ("2*n//2", "n"), ("f(n, m)", "f(m, n)"), ("f(n)", "f(n, n)"), ("f(n)", ("re", "f", N)),
    ("f(n)", "g(n)"), ("inv(inv(x))", "x"), ("x*inv(x)", "1"), ("exp(x)", "log(x)"), ("sum(i, 0, n, f(i))", "sum(i, 0, n - 1, f(i))"),
    ("sum(i, 0, n, f(i))", "sum(i, 1, n, f(i))"), ("sum(i, 0, n, f(i))", "sum(i, n, 0, f(i))"), ("sum(i, 0, n, f(i))", "sum(i, 0, n, f(j))"),
    ("sum(i, 0, n, sum(j, 0, m, f(i, j)))", "sum(j, 0, m, sum(i, 0, n, f(i, j)))"),
    ("sum(i, 0, n, sum(j, 0, n, f(i, j)))", "sum(i, 0, n, sum(j, 0, n, f(j, i)))"), ("sum(i, 0, n, f(i)*f(i))", "sum(i, 0, n, f(i))*sum(i, 0, n, f(i))"),
    ("sum(i, 1, 0, 1)", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), EQUAL)
def test_equal_terms(a, b):
    assert normal(t(a)) == normal(t(b)) != {}


INTEGRAL = {
    True: ["n + m*f(n)", "n//m", "[x == y]", "[exp(x) <= inv(y)]", "sum(i, 0, n, [x(i) == 0])", "sum(i, 0, n, sum(j, 0, n, j*i))", "0*x", "x - x"],
    False: ["x", "x(n)", "inv(n)", "exp(0)", "log(1)", "x*x", "n*x", "1 + x", "sum(i, 0, n, x(i))", "sum(i, 0, n, i*sum(j, 0, i, j*x(j)))"],
}  # fmt: skip


@pytest.mark.parametrize(("integral", "term"), [(each, term) for each, terms in INTEGRAL.items() for term in terms])
def test_integral(integral, term):
    assert algebra.integral(normal(t(term))) is integral


def test_polynomials():
    a, b = normal(t("n + 2")), normal(t("3*n"))
    assert algebra.frozen(a) == poly((once(N), 1), ((), 2)) == algebra.frozen(dict(reversed(a.items())))
    assert algebra.thawed(algebra.frozen(a)) == a
    assert algebra.add() == algebra.add(a, algebra.subtract({}, a)) == {}
    assert algebra.subtract(b, a) == {once(N): 2, (): -2}
    assert algebra.multiply() == {(): 1}
    assert algebra.multiply(a, b, {(): -1}) == {((N, 2),): -3, once(N): -6}
    assert [algebra.constant(each) for each in ({}, {(): -4}, a, b)] == [0, -4, None, None]
    assert algebra.difference(t("n > m + 1")) == {once(N): 1, once(M): -1, (): -1}
    assert algebra.difference(t("2 >= 5")) == algebra.difference(t("2 == 5")) == {(): -3}


# --- the rules --------------------------------------------------------------------------------------------------------
# rule, arguments, hypotheses (sorted), conclusion

E0, EN, EN1, ALL = "exp(x(0, m)) > 0", "exp(x(n, m)) > 0", "exp(x(n + 1, m)) > 0", "all(m, all(n, f(m, n) >= k))"
SUM, GRID = "sum(i, 0, n, f(i))", "sum(i, 0, 1, sum(j, 0, 2, sum(k, 0, m, f(i, j, k, n))))"
LOGS, NESTED = "sum(i, 0, n, log(exp(x(i))))", "sum(i, 0, n, sum(j, 0, i, log(exp(x(j)))))"
GIVES = [
    ("assume", ["n >= x"], "n >= x", "n >= x"),
    ("instantiate", ["m == k |- n >= m", {"m": "n", "n": "m"}], "n == k; m >= n", "m >= n"),
    ("instantiate", ["|- n >= m", [["@n", 1], ["@n", 2]]], "2 >= m", "2 >= m"),
    ("instantiate", ["|- sum(n, 0, 3, 1) >= n", {"n": "n + 1"}], "sum(n, 0, 3, 1) >= n + 1", "sum(n, 0, 3, 1) >= n + 1"),
    ("instantiate", ["|- n >= 0", {"n": "0*x"}], "0*x >= 0", "0*x >= 0"),
    ("instantiate", ["|- d(x, x*n, m)", {"n": "[y <= 0]", "m": "[x <= 0]", "k": "[x <= 0]"}], "d(x, x*[y <= 0], [x <= 0])", "d(x, x*[y <= 0], [x <= 0])"),
    ("generalize", ["m >= 1 |- exp(n) > 0", "@n"], "m >= 1", "all(n, exp(n) > 0)"),
    ("generalize", ["|- all(n, n >= 0)", "@n"], "all(n, n >= 0)", "all(n, all(n, n >= 0))"),
    ("specialize", [f"|- {ALL}", "n + 1"], ALL, "all(n', f(n + 1, n') >= k)"),
    ("discharge", ["exp(k) > 0; k >= 1 |- n >= 0", "j >= 3 |- exp(k) > 0"], "j >= 3; k >= 1; n >= 0", "n >= 0"),
    ("discharge", ["|- n >= 0", "j >= 3 |- exp(k) > 0"], "j >= 3; n >= 0", "n >= 0"),
    ("equivalent", ["exp(m) > 0; k >= 1 |- exp(n) > 0", "exp(n) > 0; j >= 3 |- exp(m) > 0"], "j >= 3; k >= 1", "iff(exp(m) > 0, exp(n) > 0)"),
    ("cases", ["j >= 1; n >= m |- exp(x) > 0", "k >= 2; m >= n + 1 |- exp(x) > 0", "n", "m"], "j >= 1; k >= 2", "exp(x) > 0"),
    ("cases", ["j >= 1 |- exp(x) > 0", "m >= n + 1; j >= 1 |- exp(x) > 0", "n", "m"], "j >= 1", "exp(x) > 0"),
    ("cases", ["n >= m |- exp(x) > 0", "k >= 2 |- exp(x) > 0", "n", "m"], "k >= 2", "exp(x) > 0"),
    ("cases", ["m >= n + 1; m >= n; n > m; n >= m + 0; n == m |- exp(x) > 0", "n >= m; m > n; m >= 1 + n |- exp(x) > 0", "n", "m"], "m >= 1 + n; m >= n; m >= n + 1; m > n; n >= m; n >= m + 0; n == m; n > m", "exp(x) > 0"),
    ("cases", ["[x <= 0] >= 0*y |- exp(x) > 0", "0*y >= [x <= 0] + 1 |- exp(x) > 0", "[x <= 0]", "0*y"], "", "exp(x) > 0"),
    ("induction", [f"j >= 1 |- {E0}", f"{EN}; n >= 0; k >= 2 |- {EN1}", "@n"], "j >= 1; k >= 2; n >= 0", EN),
    ("induction", [f"|- {E0}", f"{EN} |- {EN1}", "@n"], "n >= 0", EN),
    ("identity", ["n + n", "2*n"], "", "n + n == 2*n"),
    ("antisymmetry", ["j >= 1 |- n >= x", "k >= 2 |- x >= n"], "x >= n; j >= 1; k >= 2; n >= x", "n == x"),
    ("division", ["n", "|- m >= 1"], "m >= 1", "n >= m*(n//m)"),
    ("division", ["n", "|- m >= 1", True], "m >= 1", "m*(n//m) + m - 1 >= n"),
    ("reciprocal", ["x", "|- x*x > 0"], "x*x > 0", "x*inv(x) == 1"),
    ("rewrite", ["j >= 1 |- f(n) >= n", "k >= 2 |- n == m + 1"], "n == m + 1; f(n) >= n; j >= 1; k >= 2", "f(m + 1) >= m + 1"),
    ("rewrite", ["|- sum(i, i, n, i) >= i", "|- i == 5"], "i == 5; sum(i, i, n, i) >= i", "sum(i, 5, n, i) >= 5"),
    ("rewrite", ["|- sum(i, m, m, i + m) >= 0", "|- m == k"], "m == k; sum(i, m, m, i + m) >= 0", "sum(i, k, k, i + k) >= 0"),
    ("rewrite", ["|- sum(i, 0, m, m) >= 0", "|- m == i"], "m == i; sum(i, 0, m, m) >= 0", "sum(i, 0, i, m) >= 0"),
    ("rewrite", ["|- sum(i, 0, 3, i + 0) >= i + 0", "|- i + 0 == i"], "i + 0 == i; sum(i, 0, 3, i + 0) >= i + 0", "sum(i, 0, 3, i + 0) >= i"),
    ("rewrite", ["|- iff(all(n, n >= m), all(m, n >= m))", "|- m == 4"], "m == 4; iff(all(n, n >= m), all(m, n >= m))", "iff(all(n, n >= 4), all(m, n >= m))"),
    ("period", ["n >= n//2", "@n"], "n >= 0", "n >= n//2"),
    ("indicator", ["n", "x"], "", "[n == x]*(n + -1*x) == 0"),
    ("within", ["n", "x", "|- x >= n"], "x >= n", "[n <= x] == 1"),
    ("within", ["n", "x", "|- n > x"], "n > x", "[n <= x] == 0"),
    ("last_term", ["sum(i, j, i, f(i, j))", "|- i >= j"], "i >= j", "sum(i, j, i, f(i, j)) == sum(i, j, i - 1, f(i, j)) + f(i, j)"),
    ("last_term", ["sum(i, j, n, f(i, j))", "|- n >= j"], "n >= j", "sum(i, j, n, f(i, j)) == sum(i, j, n - 1, f(i, j)) + f(n, j)"),
    ("last_term", ["sum(i, j, n, f(i))", "|- j >= n + 1"], "j >= n + 1", "sum(i, j, n, f(i)) == 0"),
    ("exchange", [GRID, [2, 0, 1]], "", f"{GRID} == sum(k, 0, m, sum(i, 0, 1, sum(j, 0, 2, f(i, j, k, n))))"),
    ("exchange", [GRID, [1, 0]], "", f"{GRID} == sum(j, 0, 2, sum(i, 0, 1, sum(k, 0, m, f(i, j, k, n))))"),
    ("reindex", ["sum(i, i, n, f(i))", 1, "m + 2"], "", "sum(i, i, n, f(i)) == sum(i, 1*(i - (m + 2)), 1*(n - (m + 2)), f(1*i + (m + 2)))"),
    ("reindex", ["sum(i, i, n, f(i))", -1, "m"], "", "sum(i, i, n, f(i)) == sum(i, -1*(n - m), -1*(i - m), f(-1*i + m))"),
    ("sift", ["@i", "i", "n", "x(i, j)", "j + 1"], "", "sum(i, i, n, x(i, j)*[i == j + 1]) == x(j + 1, j)*[i <= j + 1]*[j + 1 <= n]"),
    ("under_sum", ["sum(i, 0, n, f(m))", "i >= 0; n >= i |- f(m) == f(k)"], "f(m) == f(k)", "sum(i, 0, n, f(m)) == sum(i, 0, n, f(k))"),
    ("positive", ["x"], "", "exp(x) > 0"),
    ("differential", [["@y", "@x"], "x + z + 2*y"], "", "d(y, x, x + z + 2*y, dx + 0 + (0*y + 2*dy))"),
    ("differential", [["@x"], "log(inv(x))", "n >= 1 |- inv(x) > 0", "m >= 2 |- x*x + 0 > 0", "k >= 3 |- 1 > 0"], "x*x + 0 > 0; inv(x) > 0; m >= 2; n >= 1", "d(x, log(inv(x)), inv(inv(x))*(-1*inv(x)*inv(x)*dx))"),
    ("differential", [["@x"], "log(exp(x))", "n >= 1 |- exp(x) > 0", "m >= 2 |- exp(x) > 0"], "n >= 1", "d(x, log(exp(x)), inv(exp(x))*(exp(x)*dx))"),
    ("differential", [["@x"], LOGS, "i >= 0; n >= i; m >= 2 |- exp(x(i)) > 0"], "m >= 2", f"d(x, {LOGS}, sum(i, 0, n, inv(exp(x(i)))*(exp(x(i))*dx(i))))"),
    ("differential", [["@x"], f"log(exp(x(i))) + {LOGS}", "i >= 0 |- exp(x(i)) > 0"], "i >= 0", f"d(x, log(exp(x(i))) + {LOGS}, inv(exp(x(i)))*(exp(x(i))*dx(i)) + sum(i, 0, n, inv(exp(x(i)))*(exp(x(i))*dx(i))))"),
    ("differential", [["@x"], NESTED, "j >= 0; i >= j; n >= i |- exp(x(j)) > 0"], "", f"d(x, {NESTED}, sum(i, 0, n, sum(j, 0, i, inv(exp(x(j)))*(exp(x(j))*dx(j)))))"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "arguments", "hypotheses", "conclusion"), GIVES)
def test_rules(rule, arguments, hypotheses, conclusion):
    found = getattr(kernel, rule)(*given(arguments))
    assert type(found) is Theorem
    assert found.conclusion == t(conclusion)
    assert found.hypotheses == tuple(sorted(listed(hypotheses), key=repr))


def test_the_kernel_opens_with_its_rules():
    """Under the headings and in the order of the file."""
    pattern = r"^# --- (?P<heading>.*?) -+$|^@_rule\(.*\)\ndef (?P<rule>\w+)"
    there = [each[0] or each[1] for each in re.findall(pattern, inspect.getsource(kernel), re.MULTILINE)]
    listed, _ = kernel.__doc__.split("\n\n", 1)[1].split("\n\n", 1)
    assert [line.split("  ")[2] if line.startswith("    ") else line for line in listed.splitlines()] == there
    rules = {name for name, rule in vars(kernel).items() if hasattr(rule, "__wrapped__")}
    assert rules == set(there) - {"logic", "arithmetic", "indicators and finite sums", "derivatives"}


def test_what_is_differentiated_is_not_rewritten():
    found = kernel.rewrite(kernel.differential(["x"], t("x*dx")), assume(t("dx == 3")))
    assert (found.hypotheses, found.conclusion) == ((t("dx == 3"),), t("d(x, x*dx, 3*3 + x*0)"))


# goal, products, premises, scale, refute
CERTIFICATES = [
    ("n >= 0", [(1, [0]), (3, [])], "n >= 3"), ("5 >= 0", [(2, []), (3, ())], ""), ("n >= n", [], ""), ("n == n", [(0, [0])], "n == m"),
    ("x*x >= 0", [(1, [0, 0])], "x >= 0"), ("(x - 1)*(y + 2) >= 0", [(1, [1, 0])], "x >= 1; y >= -2"),
    ("n >= m", [(1, [0]), (2, [1])], "n >= 3*m; n >= 0", 3), ("n == m", [(1, [0])], "n == m"), ("m == n", [(-1, [0])], "n == m"),
    ("n*x == m*x", [("x", [0])], "n == m"), ("n*x == 0", [("0 - 1", [0, 1])], "x >= 0; -1*n == 0"), ("m >= 1", [(1, [0]), (-1, [1])], "n >= 1; n == m"),
    ("x > 0", [(1, [0]), (2, [])], "x >= 2"), ("x > y", [(1, [0])], "x > y"), ("x >= y", [(1, [0])], "x > y"), ("x*y > 0", [(1, [0, 1])], "x > 0; y > 0"),
    ("x + y > 0", [(1, [0]), (1, [1])], "x > 0; y >= 0"), ("x + y > 0", [(1, [1]), (1, [0])], "x > 0; y >= 0"),
    ("n >= 1", [(1, [0]), (2, [1])], "2*n >= 1", 1, True), ("n >= 1", [(3, [0]), (6, [1])], "2*n >= 1", 3, True), ("5 >= 5", [(1, [0])], "", 1, True),
    ("0 >= 1", [(1, [0])], "0 >= 1", 1, True), ("[x == y] >= 0", [(1, [0]), (1, [1])], "[x == y] >= 0", 1, True),
]  # fmt: skip


def certified(goal, products, premises, scale=1, refute=False):
    products = [(t(factor), places) for factor, places in products]
    return certificate(t(goal), products, scale, refute, *map(assume, listed(premises)))


@pytest.mark.parametrize("row", CERTIFICATES, ids=str)
def test_certificates(row):
    found = certified(*row)
    assert found.conclusion == t(row[0])
    assert found.hypotheses == tuple(sorted(listed(row[2]), key=repr))


NUMBER = "^a factor must be a natural number, towards a comparison, or meet an equality$"
SCALE = "^the scale must be a positive integer, and refute a flag$"
ONLY = "^only a >= between integers can be shown by refuting its negation$"
PLACE, DIFFER, NOT_POSITIVE = "^there is no such premise$", "^the two sides differ$", "^no product is positive$"
NO_CERTIFICATE = {
    DIFFER: [
        ("n >= 0", [(1, [0]), (1, [])], "n >= 2"), ("n >= 0", [(1, [0]), (1, [])], "n >= 0"), ("n >= 0", [(1, [0])], "2*n >= 0"),
        ("n >= 0", [(1, [0])], "n >= 0", 2), ("x > 0", [(1, [0])], "y > 0"), ("n >= 0", [(1, [0]), (1, [1])], "n >= -1", 1, True),
        ("n >= 0", [(1, [0]), (1, [1])], "n >= -2", 1, True),
    ],
    SCALE: [("0 >= 1", [], "", 0), ("0 >= 1", [(1, [])], "", -1), ("1 >= 0", [(1, [])], "", True), ("5 >= 5", [(1, [0])], "", 1, 1)],
    PLACE: [
        ("n >= 0", [(1, [1])], "n >= 0"), ("n >= 0", [(1, [9])], "n >= 0"), ("n >= 0", [(1, [-1])], "n >= 0"), ("n >= 0", [(1, ["0"])], "n >= 0"), ("n >= 0", [(1, "0")], "n >= 0"),
        ("5 >= 5", [(1, [0])], ""), ("5 >= 5", [(1, [1])], "", 1, True),
    ],
    NUMBER: [
        ("0 >= n", [(-1, [0])], "n >= 0"), ("-1 >= 0", [(-1, [])], ""), ("m*n >= 0", [("m", [0])], "n >= 0"), ("n == 0", [(1, [0])], "n >= 0"),
        ("1 == 0", [(1, [])], ""),
    ],
    NOT_POSITIVE: [
        ("x > 0", [(1, [0])], "x >= 0"), ("x*y > 0", [(1, [0, 1])], "x > 0; y >= 0"), ("0 > 0", [(0, [0])], "x > 0"), ("x > 0", [(1, [0])], "x == 0"),
        ("x*y > 0", [(1, [0, 1])], "x > 0; y == 0"), ("x > x", [], ""),
    ],
    ONLY: [("n == 0", [(1, [0])], "", 1, True), ("n > 0", [(1, [0])], "", 1, True), ("x >= 0", [(1, [0])], "", 1, True)],
    "^no formula$": [(5, [], "")],
    "compares nothing$": [("all(n, n >= 0)", [], ""), ("1 >= 0", [(1, [])], "all(n, n >= 0)")],
}  # fmt: skip


@pytest.mark.parametrize(("complaint", "row"), [(why, row) for why, rows in NO_CERTIFICATE.items() for row in rows])
def test_what_is_no_certificate(complaint, row):
    with pytest.raises(Refused, match=complaint):
        certified(*row)


class Posing:
    """Says that it is a theorem."""

    __class__ = Theorem
    conclusion, hypotheses = ("=", 0, 1), ()


class Forging(metaclass=Lying):
    """The same, by its class."""

    conclusion, hypotheses = ("=", 0, 1), ()


class Sign(str, metaclass=Lying):
    """A sign that is every sign."""

    def __eq__(self, other):
        return True

    def __hash__(self):
        return hash("=")


JUNK = [
    1.0, None, {1}, Text("n"), type("Int", (int,), {})(0), type("Pair", (tuple,), {})(), object(), (i for i in ()), True, Forging(), Sign("="),
    Lying("Int", (int,), {})(0), Lying("Pair", (tuple,), {})(("+", 1)), Lying("List", (list,), {})(["+", 1]),
]  # fmt: skip
NOT_LINEAR = ["n*n >= 0", "n*(n//2) >= 0", "n*n*n >= 0", "n*n//2 == 0", "n*n*[n <= 3] >= 0", "n*(n//2)*[n <= 3] >= 0"]
NOT_CONSTANT = [
    "n*[n - 2*(n//2) == 0] >= 0", "[n - 2*(n//2) == 1]*(n//3) >= 0", "n*[n - 5*(n//5) <= 3] >= 0", "n*[n <= 9*n*[n - 7*(n//7) == 6]] >= 0",
    "n*[n - 2*(n//2) == 1]*[n - 3*(n//3) == 2] >= 0", "n*([n - 2*(n//2) == 0] + [n - 2*(n//2) == 1]) == n", "n*((n - 3*(n//3))//2) >= 0", "(n*[n - 2*(n//2) == 0] + 1)//2 >= 0",
]  # fmt: skip
NOT_AFFINE = [
    "n//m >= 0", "n//0 >= 0", "n//-2 >= 0", "n//(n + 2) >= 0", "m >= 0", "p >= 0", "n + m >= 0", "f(n) >= 0", "x >= 0", "exp(1) >= 0", "sum(i, 0, n, i) >= 0",
]  # fmt: skip
NOT_COMPARED = ["n > 0", "iff(n > 0, n >= 1)", "iff(n >= 0, all(m, n >= 0))", "all(n, n >= 0)"]
JUMPS = [
    "f([x <= 0])", "f(0, [x <= 0])", "x([x <= 0])", "z([x <= 0])", "[x <= 0]//2", "2//[x <= 0]", "sum(i, [x <= 0], 3, i)", "sum(i, 0, [x <= 0], i)",
    "exp(x + f([x <= 0]))", ("at", "exp", t("[x <= 0]")), ("re", "log", t("[x <= 0]")),
]  # fmt: skip
CLASHES = [
    "sum(i, i, n, x(i))", "sum(i, 0, f(n, i), x)", "sum(i, 0, n, sum(i, 0, n, x(i)))", "sum(i, j, n, sum(j, 0, 3, x(i, j)))",
    "sum(i, 0, j, exp(sum(j, 0, 3, x(i, j))))", "sum(i, 0, n, sum(k, 0, 1, sum(i, 0, n, x)))",
]  # fmt: skip
NAME, WHOLE = "^a name must be an identifier", "^places, bounds and the parts of a floor must be integral$"
NONE, BOOL, FORMULA = "^a NoneType is no term$", "^a bool (is no term|has no place in a proof)$", "^no formula$"
SOMEWHERE, INTEGER = "^a letter that must be arbitrary stands free elsewhere$", "^an integral term is needed$"
STEP = r"^the step must lead from a hypothesis to the same at n \+ 1, and the base be the same at 0$"
NEED = "^a logarithm's argument, or the square of a denominator or jump, must be given as positive$"
BOTH, UNIT = "^needs a >= b and b >= a$", "^the premise must be b >= 1$"
SQUARE, INSIDE = r"^the premise must be a\*a > 0$", "^the premise must be b >= a or a > b$"
EMPTY = r"^the premise must be hi >= lo, or lo >= hi \+ 1$"
ORDER = "^every sum must be named once, and differently from the others$"
SIGN, BODY = r"^i = j \+ shift or i = shift - j$", "^the premise must equate the body$"
MOVED = "^what moves has no place in what is differentiated for other values$"
MOVES = "^what moves within a place, a bound or a floor is not differentiated$"
INDEX = "^the index of a sum must not occur in its bounds, nor in those of sums around it$"
LINEAR, AFFINE = "^the formula is not linear in what grows$", "is no quasi-affine function of n$"
REFUSED = [
    (normal, r"^a (bool|float|NoneType|str|list|Pair) is no term$", [True], [1.0], [None], ["@n"], [["@v", "@n"]], [type("Pair", (tuple,), {})(("+", 1))]),
    (algebra.name, "^a name must be an identifier, perhaps with primes$", *([f"@{each}"] for each in ("", "'", "'x", "x'y", "2x", "x y", "x\0"))),
    (algebra.name, NAME, *([each] for each in (5, True, None, ("n",))), [Text("n")]),
    (normal, r"^a tuple is no term$", [()], [("+",)], [(1, 2, 3)], [(Text("+"), 1, 2)]),
    (normal, r"^'(at|//|is|le)' with 1 parts is no term$", [("at", "f")], [("//", 1)], [("is", 1)], [("le", 1)]),
    (normal, r"^'(v|inv|exp|log|=)' with 2 parts is no term$", [("v", "n", "m")], [("inv", 1, 2)], [("exp", 1, 2)], [("log", 1, 2)], ["1 == 2"]),
    (normal, r"^'(//|is|le|sum)' with 3 parts is no term$", ["sum(i, 0, 1)"], [("//", 1, 2, 3)], [("is", 1, 2, 3)], [("le", 1, 2, 3)]),
    (normal, "^'sum' with 5 parts is no term$", ["sum(i, 0, 1, 2, 3)"]),
    (normal, NAME, [("v", 5)], [("at", 5, 0)], [("re", "2x")], [("sum", 5, 0, 1, 2)]),
    (normal, NONE, ["1 + None"], ["0*None"], ["[None == 1]"], ["[1 <= None]"], ["log(None)"], ["sum(i, 0, 1, None)"], ["f(None)"], ["3//None"]),
    (normal, WHOLE, ["f(0, x)"], ["x(inv(n), 0)"], ["exp(0)//2"], ["2//log(1)"], ["sum(i, x, 0, 1)"], ["sum(i, 0, x, 1)"], ["f(sum(i, 0, 1, x(i)))"]),
    *((kernel.identity, "^the normal forms differ$", pair) for pair in UNEQUAL),
    (algebra.well_formed, FORMULA, [5], ["n"], [()], [("=", 1)], [(">=", 1, 2, 3)], [("<", 1, 2)], ["all(n, n)"]),
    (algebra.well_formed, FORMULA, ["iff(n >= 0)"], ["iff(1, n >= 0)"], ["iff(n >= 0, 1)"], [("all", "n")], [("d", "x", 1, 0)], [("d", ("x",), 1)]),
    (algebra.well_formed, NONE, ["None == 1"], ["1 == None"], ["None >= 1"], ["1 >= None"], ["None > 1"], ["1 > None"], ["all(n, 1 >= None)"]),
    (algebra.well_formed, NONE, ["iff(1 == None, 1 > 0)"], ["iff(1 > 0, 1 == None)"], ["d(x, None, dx)"], ["d(x, x, None)"]),
    (algebra.well_formed, NAME, [("all", "2n", ("=", 1, 1))], [("d", ("x", 5), X, X)]),
    (algebra.difference, "compares nothing$", ["iff(1 > 0, 2 > 0)"], [X]),
    (kernel.instantiate, INTEGER, ["|- n >= 0", {"n": "x"}]),
    (kernel.instantiate, "a str is no term", ["|- n >= 0", {"n": "@5"}]),
    (kernel.instantiate, NAME, ["|- n >= 0", {5: 3}]),
    (kernel.instantiate, MOVED, ["|- d(x, x*n*m, dx)", {"n": "[x <= 0]", "m": 1}], ["|- d(y, x, x*n, 0)", {"m": 1, "n": "2*[0 <= f([x(3) == n])]"}]),
    (kernel.generalize, SOMEWHERE, ["n >= 0 |- exp(m) > 0", "@n"]),
    (kernel.generalize, NAME, ["|- m >= 0", "@2n"]),
    (kernel.specialize, "^the conclusion is not for all$", ["|- n >= 0", 3]),
    (kernel.specialize, MOVED, ["|- all(n, d(x, x*n, n))", "[x <= 0]"]),
    (kernel.specialize, INTEGER, [f"|- {ALL}", "inv(n)"]),
    (kernel.cases, "^both cases must have one conclusion$", ["n >= m |- exp(n) > 0", "m >= n + 1 |- exp(n + 0) > 0", "n", "m"], ["|- n >= m", "|- m >= n + 1", "n", "m"], ["|- exp(m) > 0", "|- exp(n) > 0", "n", "m"]),
    (kernel.cases, INTEGER, *(["n >= m |- exp(x) > 0", "m >= n + 1 |- exp(x) > 0", *pair] for pair in (("x", "m"), ("n", "x"), ("inv(n)", "n")))),
    (kernel.cases, BOOL, *(["|- exp(x) > 0", "|- exp(x) > 0", *pair] for pair in ((True, 1), (1, True)))),
    (
        kernel.induction, STEP,
        [f"|- {E0}", f"{EN} |- exp(x(n + 2, m)) > 0", "@n"], [f"|- {E0}", f"{EN} |- {EN}", "@n"], [f"|- {E0}", f"{E0} |- {EN1}", "@n"],
        [f"|- {E0}", f"|- {EN1}", "@n"], ["|- exp(x(1, m)) > 0", f"{EN} |- {EN1}", "@n"],
        ["|- m == 1", f"{EN} |- {EN1}", "@n"], ["|- m >= 1", f"{EN} |- {EN1}", "@n"],
    ),
    (
        kernel.induction, SOMEWHERE,
        [f"n >= 1 |- {E0}", f"{EN} |- {EN1}", "@n"], [f"n >= 0 |- {E0}", f"{EN} |- {EN1}", "@n"], [f"|- {E0}", f"{EN}; n >= 1 |- {EN1}", "@n"],
    ),
    (kernel.induction, NAME, [f"|- {E0}", f"{EN} |- {EN1}", 5]),
    (kernel.antisymmetry, BOTH, ["|- n >= 0", "|- n >= 0"], ["|- n > 0", "|- 0 >= n"], ["|- n >= 0", "|- 0 > n"], ["|- n >= 0", "|- 0 >= m"]),
    (kernel.division, UNIT, ["n", "|- m >= 0"], ["n", "|- m >= 2"], ["n", "|- m > 1"], ["n", "|- m == 1"], ["n", "|- m >= 1", 1]),
    (kernel.division, WHOLE, ["x", "|- m >= 1"], ["n", "|- x >= 1"]),
    (kernel.reciprocal, SQUARE, ["x", "|- y*y > 0"], ["x", "|- x*x >= 0"], ["x", "|- x*x == 0"], ["x", "|- x > 0"]),
    (kernel.reciprocal, BOOL, [True, "|- 1*1 > 0"]),
    (kernel.rewrite, "^needs an equation$", ["|- n >= 0", "|- n >= 1"]),
    (kernel.rewrite, WHOLE, ["|- f(n) >= 1", "|- n == x"]),
    (kernel.period, "^it does not hold$", ["n//2 >= 1", "@n"]),
    (kernel.period, NAME, ["1 >= 0", 5]),
    (kernel.indicator, BOOL, [True, 1]),
    (kernel.within, INSIDE, ["n", "x", "|- n >= x"], ["n", "x", "|- x > n"], ["n", "x", "|- x == n"]),
    (kernel.last_term, r"^\('v', 'n'\) is no sum$", ["n", "|- n >= 0"]),
    (kernel.last_term, "^5 is no sum$", [5, "|- n >= 0"]),
    (kernel.last_term, "'sum' with 3 parts", ["sum(i, 0, n)", "|- n >= 0"]),
    (kernel.last_term, EMPTY, [SUM, "|- n >= -1"], [SUM, "|- 0 >= n"], [SUM, "|- n > 0"], [SUM, "|- 0 > n + 1"], [SUM, "|- 0 >= n + 0"]),
    (kernel.exchange, ORDER, [GRID, [0, 0]], [GRID, [0, 2]], [GRID, [-1, 0]], ["sum(i, 0, 1, sum(i, 0, 2, f(i)))", [1, 0]]),
    (kernel.exchange, "is no sum$", [SUM, [1, 0]]),
    (kernel.exchange, SOMEWHERE, ["sum(i, 0, 1, sum(j, i, 2, j))", [1, 0]], ["sum(i, 0, 1, sum(j, 0, i, j))", [1, 0]], ["sum(i, 0, j, sum(j, 0, 2, j))", [1, 0]]),
    (kernel.reindex, SOMEWHERE, [SUM, 1, "n + i"]),
    (kernel.reindex, INTEGER, [SUM, 1, "x"]),
    (kernel.reindex, "is no sum$", ["n", 1, 0]),
    (kernel.sift, SOMEWHERE, ["@i", 0, "n", "f(i)", "i + 1"]),
    (kernel.sift, INTEGER, ["@i", 0, "n", "f(i)", "x"]),
    (kernel.sift, "^a tuple is no term$", ["@i", 0, "n", (), 2]),
    (kernel.sift, WHOLE, ["@i", "x", "n", "f(i)", 2]),
    (kernel.under_sum, BODY, [SUM, "|- f(j) == 0"], ["sum(i, 0, n, 2)", "|- 1 == m"], ["sum(i, 0, n, 2)", "|- 3 == m"], ["sum(i, 0, n, exp(0))", "|- exp(0) > 0"]),
    (
        kernel.under_sum, SOMEWHERE,
        [SUM, "|- f(i) == 5"], ["sum(i, 0, n, 2)", "i >= 1 |- 2 == m"], ["sum(i, 0, n, 2)", "m >= i |- 2 == m"], ["sum(i, 0, n, 2)", "i >= n |- 2 == m"],
        ["sum(i, i, n, 2)", "|- 2 == m"], ["sum(i, 0, i, 2)", "|- 2 == m"],
    ),
    (
        kernel.differential, NEED,
        [["@x"], "log(x)"], [["@x"], "log(x)", "|- x >= 0"], [["@x"], "log(x)", "|- x == 0"], [["@x"], "log(x)", "|- y > 0"], [["@x"], "log(inv(x))", "|- inv(x) > 0"],
        [["@x"], "log(inv(x))", "|- x*x > 0"],
    ),
    (kernel.differential, NAME, [[5], "n"]),
    (kernel.differential, FORMULA, ["@x", "n"]),
    (kernel.differential, "^a tuple is no term$", [["@x"], ()]),
    (
        kernel.differential, SOMEWHERE,
        [["@x"], "sum(i, 0, n, log(x(i)))", "|- x(i) > 0"], [["@x"], LOGS, "i >= 1 |- exp(x(i)) > 0"], [["@x"], LOGS, "i >= n |- exp(x(i)) > 0"],
        [["@x"], NESTED, "i >= 1 |- exp(x(j)) > 0"],
    ),
    (kernel.discharge, "^a Posing has no place in a proof$", ["|- 0 == 1", Posing()]),
    (kernel.generalize, "^a Forging has no place in a proof$", [Forging(), "@n"]),
    (assume, "^a Sign has no place in a proof$", [(Sign("="), 1, 0)]),
    *((normal, f"^a {type(each).__name__} is no term$", [each]) for each in (Lying("Int", (int,), {})(0), Lying("Pair", (tuple,), {})(("+", 1)))),
    (kernel.instantiate, "^a Theorem has no place in a proof$", ["|- n >= 0", {"n": ["|- n >= 0"]}]),
    (assume, FORMULA, ["|- n >= 0"]),
    (kernel.identity, "^a Theorem is no term$", ["|- n >= 0", 0]),
    (kernel.reindex, SIGN, *([SUM, sign, 0] for sign in (0, 2, -2, True, "@1"))),
    *((assume, f"^a {type(each).__name__} has no place in a proof$", [("=", each, 0)]) for each in JUNK),
    (quasiaffine.holds, LINEAR, *([each, "@n"] for each in NOT_LINEAR)),
    (quasiaffine.holds, "^what grows is multiplied by what does not become constant$", *([each, "@n"] for each in NOT_CONSTANT)),
    (quasiaffine.holds, AFFINE, *([each, "@n"] for each in NOT_AFFINE)),
    (quasiaffine.holds, "^only =, >= and iff can be decided$", *([each, "@n"] for each in NOT_COMPARED)),
    (calculus.derivative, MOVES, *([each, ["@x", "@y"]] for each in JUMPS)),
    (calculus.derivative, INDEX, *([each, ["@x", "@y"]] for each in CLASHES)),
]  # fmt: skip


CALLS = [(function, why, each) for function, why, *calls in REFUSED for each in calls]
RULES = [
    lambda above, below: kernel.cases(above, below, 0, 0),
    kernel.antisymmetry,
    kernel.discharge,
    kernel.equivalent,
    kernel.generalize,
    kernel.specialize,
    kernel.rewrite,
]


@pytest.mark.parametrize(("function", "complaint", "arguments"), CALLS)
def test_refusals(function, complaint, arguments):
    parts = given([*arguments])
    with pytest.raises(Refused, match=complaint):
        function(*parts)


@pytest.mark.parametrize("rule", RULES)
def test_plain_data_is_no_theorem(rule):
    with pytest.raises(AttributeError, match="'tuple' object has no attribute"):
        rule([[], ["=", 0, 1]], [[], ["=", 0, 1]])


# --- periods ----------------------------------------------------------------------------------------------------------
# formula, whether it holds at 0, 1, ..., the size from which it repeats

TABLES = [
    ("1 >= 0", "1", 0), ("0 >= 1", "0", 0), ("1 == 1", "1", 0), ("m*n == n*m", "1", 0), ("n >= 3", "00011", 4), ("3 >= n", "11110", 4),
    ("-1 >= n", "000", 2), ("n >= -1", "111", 2), ("n == 3", "00010", 4), ("iff(n >= 3, 3 >= n)", "00010", 4), ("iff(n >= 3, n >= 1)", "10011", 4),
    ("[n == 7] == 0", "111111101", 8), ("3*n >= 7", "0001", 3), ("3*n >= 5", "001", 2), ("3*(n//3) == n", "100", 0), ("(n + 1)//5 == n//5", "11110", 0),
    ("2*n//6 >= 1", "000111111", 6), ("4*n//6 >= 1", "001111", 3), ("-1*n//2 >= -1", "111000", 4), ("n//2//3 == (n + 1)//6", "111110", 0),
    ("n//(1 + 1) >= 1", "001111", 4), ("n//2 + n//3 >= n - 1", "111110100000000000", 12), ("n - 4*(n//4) == n - 6*(n//6)", "111100000000", 0),
    ("[n - 2*(n//2) == 1]*[n - 3*(n//3) == 2] == 1", "000001", 0), ("[n <= 3]*[2 <= n] == 1", "00110", 4), ("[n <= 12] + [n <= 3] >= 1", 13 * "1" + "0", 13),
    ("[n <= 7] + [n <= 2] >= 1", 8 * "1" + "0", 8), ("n + 50*[n <= 3] >= 7", "111100011", 8), ("(7*[n <= 3]//2)*(7*[n <= 3]//2) == 9", "11110", 4),
    ("[9*[n - 3*(n//3) == 2] == 1 + n//3] == 0", 26 * "1" + "0111", 27),
    ("n*[n <= 3] >= 1", "01110", 4), ("n*[n == 3] == 0", "11101", 4), ("n*[4 <= n] >= n", "100011", 5), ("3*n*[4 <= n] - n >= 7", "00001111", 7),
    ("n*[n - 2*(n//2) == 0]*[n - 2*(n//2) == 1] >= 1", "00", 0), ("n*(7*[n <= 3]//2)*(7*[n <= 3]//2) >= 9", "01110", 4),
    ("(n//3)*[n - 2*(n//2) <= 5] == n//3", "111111", 0), ("n*((5 - 7*[n <= 2])//2) >= 7", "00001", 4), ("n*((-5 - 4*[n <= 2])//2) >= -9", "11010", 4),
    ("(n*[4 <= n] + 1)//3 == (n + 1)//3", "11001111", 5), ("[n <= 1]*(n//2) + [2 <= n]*(n//3) == n//3", "111111111", 3),
    ("n*[n*[4 <= n] == 5] == 0", "1111101", 6), ("n*[n <= 3] + [4 <= n]*(n - 4) >= n", "111100", 5),
]  # fmt: skip


@pytest.mark.parametrize(("formula", "truth", "start"), TABLES)
def test_periods(formula, truth, start):
    expected, length = [each == "1" for each in truth], len(truth) - start
    assert quasiaffine.table(t(formula), "n") == (expected, start, length)
    assert quasiaffine.holds(t(formula), "n") is all(expected)
    assert quasiaffine.table(filled(t(formula), {N: t("size")}), "size") == (expected, start, length)
    for n in range(len(truth) + 2 * length):
        assert World(n=n, m=5).holds(t(formula)) == expected[n if n < start else start + (n - start) % length]


LIMIT = {True: ["n*[n <= 18] >= 0", "n*[n - 20*(n//20) <= 19] >= n", "n - 20*(n//20) == 0", "n >= -18", "18 >= n", "n//10 >= 0"]}  # fmt: skip
LIMIT[False] = ["n*[n <= 19] >= 0", "[n == 11] + n - 12*(n//12) >= 0", "n*[n - 21*(n//21) <= 20] >= n", "n*[n <= 18] >= 1 - [n == 19]", "n - 21*(n//21) == 0", "n >= -19", "20 >= n", "n//10 >= 1", f"n == {10**15}", f"n//{10**15} == 0"]  # fmt: skip


@pytest.mark.parametrize(("decided", "formula"), [(each, text) for each in LIMIT for text in LIMIT[each]])
def test_limit(monkeypatch, decided, formula):
    assert quasiaffine.MAX_SIZES == 10_000
    monkeypatch.setattr(quasiaffine, "MAX_SIZES", 20)
    if decided:
        assert len(quasiaffine.table(t(formula), "n")[0]) == 20
    else:
        with pytest.raises(Refused, match=r"^more than 20 sizes would have to be looked at$"):
            quasiaffine.table(t(formula), "n")


def affine(draw, depth):
    """A term of n with floors, indicators and products of them with what grows."""
    part = lambda: affine(draw, depth - 1)  # noqa: E731
    some, kind = draw.randint(-3, 5), draw.random() if depth else 0
    if kind < 0.2:
        return draw.choice([N, N, some])
    if kind < 0.4:
        return ("+", part(), part())
    if kind < 0.55:
        return ("//", part(), draw.randint(2, 3))
    one, other = ((draw.choice(["is", "le"]), *draw.sample([part(), some], 2)) for _ in range(2))
    if draw.random() < 0.3:
        one = ("is", ("*", 2, ("//", same := part(), 2)), same)
    return ("*", draw.choice([some, one, ("*", one, other), ("//", ("+", ("*", some, one), 7), 2)]), part())


def test_periods_of_drawn_terms():
    """What is decided, against every size of three periods and more from the start on."""
    draw, products, refused = Draw(3), 0, 0
    while products < 150:
        sides = affine(draw, 3), affine(draw, 2)
        formula = (draw.choice(["=", ">="]), *sides)
        if draw.random() < 0.3:
            formula = ("iff", formula, (draw.choice(["=", ">="]), sides[0], draw.randint(0, 9)))
        try:
            truth, start, length = quasiaffine.table(formula, "n")
        except Refused:
            refused += 1
            continue
        if start + length < 200:
            for n in range(start + 3 * length + 20):
                assert World(n=n).holds(formula) == truth[n if n < start else start + (n - start) % length], formula
            products += any(grown_product(side) for side in sides)
    assert refused > 20


def grown_product(term):
    """Whether what grows is multiplied by what does not, somewhere in the normal form of a term."""
    poly = normal(term)
    rises = [[quasiaffine._atom_cycle(atom, "n")[2] for atom, _ in monomial] for monomial in poly]
    return any(any(each) and not all(each) for each in rises)


# --- derivatives ------------------------------------------------------------------------------------------------------
# term, its derivative as x and y move, what must be positive: for all indices of these sums

SQUARED = "([log(x) == y] - z)*([log(x) == y] - z)"
DERIVATIVES = [
    *((each, "0", []) for each in ("n", "z", "f(n)", "log(z)", "sum(i, 0, 3, z(i))", "inv(0)")), ("x", "dx", []), ("x(n, [z <= 0])", "dx(n, [z <= 0])", []),
    ("x + n + y", "dx + 0 + dy", []), ("n + m + x", "0 + 0 + dx", []), ("x*n*y", "dx*n*y + x*0*y + x*n*dy", []), ("exp(x)", "exp(x)*dx", []), ("log(x)", "inv(x)*dx", [("x", "")]),
    ("inv(x)", "-1*inv(x)*inv(x)*dx", [("x*x", "")]), ("[x == z]", "0", [("(x - z)*(x - z)", "")]),
    ("[z <= exp(y)]", "0", [("(z - exp(y))*(z - exp(y))", "")]), ("log(inv(x))", "inv(inv(x))*(-1*inv(x)*inv(x)*dx)", [("x*x", ""), ("inv(x)", "")]),
    ("exp(log(x))", "exp(log(x))*(inv(x)*dx)", [("x", "")]), ("x*log(y)", "dx*log(y) + x*(inv(y)*dy)", [("y", "")]),
    ("inv(log(x))", "-1*inv(log(x))*inv(log(x))*(inv(x)*dx)", [("x", ""), ("log(x)*log(x)", "")]),
    ("[[log(x) == y] <= z]", "0", [("x", ""), ("(log(x) - y)*(log(x) - y)", ""), (SQUARED, "")]), ("sum(i, m, n, x(i))", "sum(i, m, n, dx(i))", []),
    ("sum(i, m, n, log(x(i))) + log(y)", "sum(i, m, n, inv(x(i))*dx(i)) + inv(y)*dy", [("x(i)", "i m n"), ("y", "")]),
    ("sum(i, 0, n, sum(j, i, m, log(x(j))))", "sum(i, 0, n, sum(j, i, m, inv(x(j))*dx(j)))", [("x(j)", "i 0 n; j i m")]),
    ("sum(i, 0, n, x*sum(i, 0, 3, i))", "sum(i, 0, n, dx*sum(i, 0, 3, i) + x*0)", []),
    ("sum(i, 0, n, x(i)) + sum(i, 0, m, x)", "sum(i, 0, n, dx(i)) + sum(i, 0, m, dx)", []),
]  # fmt: skip


@pytest.mark.parametrize(("term", "value", "needs"), DERIVATIVES)
def test_derivatives(term, value, needs):
    sums = lambda text: tuple((i, t(lo), t(hi)) for i, lo, hi in map(str.split, filter(None, text.split(";"))))  # noqa: E731
    expected = [(normal(t(need)), sums(each)) for need, each in needs]
    assert calculus.derivative(t(term), frozenset("xy")) == (t(value), expected)


# --- theorems and written proofs --------------------------------------------------------------------------------------

HELD, FIELDS = given("|- n >= 0"), ["arguments", "conclusion", "hypotheses", "premises", "rule"]
COPIED = "^a theorem cannot be copied or pickled; write its proof term instead$"
MADE = "^theorems are made by the rules of the kernel$"
FIXED, FORGED = "has no setter|has no deleter|no attribute", "^this theorem was not made by the rules of the kernel$"
UNMADE = [
    (MADE, Theorem), (MADE, lambda: Theorem((), ("=", 0, 1), "assume", (), ())), (MADE, lambda: Theorem.__new__(Theorem)), (MADE, lambda: type(HELD)(HELD)),
    ("^Theorem cannot be subclassed$", lambda: type("Mine", (Theorem,), {})),
    *((FIXED, lambda name=name: setattr(HELD, name, ())) for name in (*FIELDS, "more")),
    *((FIXED, lambda name=name: delattr(HELD, name)) for name in FIELDS),
    (COPIED, lambda: copy.copy(HELD)), (COPIED, lambda: copy.deepcopy([HELD])),
    *((COPIED, lambda n=n: pickle.dumps(HELD, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)),
    *((FORGED, lambda name=name: getattr(object.__new__(Theorem), name)) for name in FIELDS),
    (FORGED, lambda: kernel.discharge(HELD, object.__new__(Theorem))), (FORGED, lambda: kernel.differential([], 0, object.__new__(Theorem))),
    (FORGED, lambda: proof_term(object.__new__(Theorem))),
]  # fmt: skip


@pytest.mark.parametrize(("complaint", "attempt"), UNMADE)
def test_theorems_cannot_be_made_or_changed(complaint, attempt):
    with pytest.raises((TypeError, AttributeError), match=complaint):
        attempt()
    assert repr(HELD) == "[('>=', ('v', 'n'), 0)] |- ('>=', ('v', 'n'), 0)"


def test_theorems_know_how_they_were_made():
    one = kernel.division(N, upper=True, positive=given("|- m >= 1"))
    assert (one.rule, one.arguments, one.premises[0].conclusion) == ("division", (N, True), t("m >= 1"))
    two = certificate(["=", 0, ["*", 0, N]], [], 4, False, one, HELD)
    assert (two.rule, two.arguments, two.premises) == ("certificate", (t("0 == 0*n"), (), 4, False), (one, HELD))
    assert certificate(t("0 >= 0"), ()).arguments == (t("0 >= 0"), (), 1, False)
    assert kernel.instantiate(HELD, {"n": ["+", M, 1]}).arguments == ((("n", t("m + 1")),),)
    assert (kernel.division.__name__, hasattr(HELD, "__dict__")) == ("division", False)


class Changing(dict):
    """A mapping whose answers change."""

    def items(self):
        self["n"] += 1
        return super().items()


def test_what_goes_in_is_read_once():
    found = kernel.instantiate(given("0 >= n |- n >= 0"), Changing(n=0))
    assert (found.hypotheses, found.conclusion) == ((t("0 >= 1"), t("1 >= 0")), t("1 >= 0"))
    assert found.arguments == ((("n", 1),),)


AXIOM = {
    "terms": "certificate identity",
    "division": "division period",
    "order": "cases",
    "induction": "induction",
    "indicator": "indicator within",
    "sums": "exchange last_term reindex sift under_sum",
    "reals": "differential positive reciprocal",
}


def test_written_proofs():
    top, low = given("|- n >= m"), given("|- m >= n")
    both = kernel.antisymmetry(top, low)
    proof = proof_term(kernel.discharge(kernel.discharge(both, both), top))
    assert json.loads(json.dumps(proof)) == proof
    assert proof == {
        "hypotheses": [[">=", ["v", "m"], ["v", "n"]], [">=", ["v", "n"], ["v", "m"]]],
        "conclusion": ["=", ["v", "n"], ["v", "m"]],
        "steps": [
            {"rule": "assume", "arguments": [[">=", ["v", "n"], ["v", "m"]]], "premises": []},
            {"rule": "assume", "arguments": [[">=", ["v", "m"], ["v", "n"]]], "premises": []},
            {"rule": "antisymmetry", "arguments": [], "premises": [0, 1]},
            {"rule": "discharge", "arguments": [], "premises": [2, 2]},
            {"rule": "discharge", "arguments": [], "premises": [3, 0]},
        ],
    }
    for _ in range(1500):
        top = kernel.discharge(top, low)
    assert len(proof_term(top)["steps"]) == 1502


def test_what_proofs_rest_on():
    assert {rule: axiom for axiom, rules in AXIOM.items() for rule in rules.split()} == RESTS_ON
    assert AXIOMS.keys() == AXIOM.keys()
    assert all(len(words) > 20 for words in AXIOMS.values())
    assert axioms(HELD) == []
    by_m = kernel.division(N, given("|- m >= 1"))
    assert axioms(kernel.discharge(kernel.discharge(by_m, by_m), kernel.positive(X))) == ["division", "reals"]
    assert axioms(kernel.discharge(kernel.period(t("n >= 0"), "n"), by_m)) == ["division"]


# --- what comes out is true at numbers --------------------------------------------------------------------------------


class World:
    """Integers for letters and functions, given or drawn when first asked for, and what terms are worth there.

    The functions of `moving` are moved by `step` along those whose name has a d before.
    """

    moving, step = (), 0

    def __init__(self, rng=None, real=Fraction, **letters):
        self.rng, self.real, self.drawn = rng, real, letters

    def draw(self, key, real=False, low=-2):
        if key not in self.drawn:
            self.drawn[key] = self.real(self.rng.randint(4 * low, 16)) / 4 if real else self.rng.randint(low, 4)
        return self.drawn[key]

    def value(self, term, **bound):
        (head, *names), parts = algebra.split(term)
        if head == "sum":
            low, high = (self.value(part, **bound) for part in parts[:2])
            return sum(self.value(parts[2], **{**bound, names[0]: n}) for n in range(low, high + 1))
        match head, *(self.value(part, **bound) for part in parts):
            case ["v"]:
                return bound[names[0]] if names[0] in bound else self.draw(names[0])
            case "at" | "re", *places:
                key = (*names, *places)
                moved = self.step * self.draw(("d" + names[0], *places), True) if names[0] in self.moving else 0
                return self.draw(key, head == "re") + moved
            case "+", *terms:
                return sum(terms)
            case "*", *factors:
                return math.prod(factors)
            case "is", a, b:
                return int(a == b)
            case "le", a, b:
                return int(a <= b)
            case "//", a, b if b > 0:
                return a // b
            case "inv", a if a:
                return 1 / self.real(a)
            case "exp", a if self.real is Decimal:
                return self.real(a).exp()
            case "log", a if a > 0 and self.real is Decimal:
                return self.real(a).ln()
            case [int(number)]:
                return number
            case key:
                return self.draw(tuple(key), head != "//", low=1 if head == "exp" else -2)

    def holds(self, formula, **bound):
        """Derivatives are compared with the quotient along a step of 1e-40, in 90 digits."""
        match formula:
            case ("d", names, a, b):
                start, slope = self.value(a, **bound), self.value(b, **bound)
                self.moving, self.step = names, Decimal("1e-40")
                moved = self.value(a, **bound)
                self.moving = ()
                return abs((moved - start) / self.step - slope) < Decimal("1e-20")
            case ("iff", a, b):
                return self.holds(a, **bound) == self.holds(b, **bound)
            case ("all", name, a):
                return all(self.holds(a, **{**bound, name: n}) for n in range(-3, 5))
        a, b = (self.value(side, **bound) for side in formula[1:])
        return {"=": a == b, ">=": a >= b, ">": a > b}[formula[0]]


class Draw(random.Random):
    """Terms at random: integral ones, or real ones."""

    def term(self, depth=2, letters="imn", real=False):
        more = lambda letters=letters: self.term(depth - 1, letters, real)  # noqa: E731
        whole = lambda: self.term(depth - 1, letters)  # noqa: E731
        kind = self.random() if depth else 1
        if kind < 0.4:
            return (self.choice("+*"), more(), more())
        if kind < 0.5:
            sides = [self.term(depth - 1, letters, real or self.random() < 0.3) for _ in range(2)]
            return (self.choice(["is", "le"]), *sides)
        if kind < 0.6:
            return ("re", "x", whole()) if real else ("at", "f", whole(), whole())
        if kind < 0.7:
            return (self.choice(["inv", "exp", "log"]), more()) if real else ("//", more(), self.choice([1, 2, 3, M]))
        if kind < 0.85:
            name = self.choice("ijk")
            return ("sum", name, self.randint(-1, 1), self.choice([1, 2, whole()]), more(letters + name))
        letter = ("v", self.choice(letters))
        return self.choice([self.randint(-2, 3), letter, letter, t(self.choice(["x", "y"])) if real else letter])

    def real(self, depth=2, letters="imn"):
        return self.term(depth, letters, True)


def back(part):
    """A normal form as a term again."""
    match part:
        case ("poly", *items):
            factors = ((c, [back(atom) for atom, power in monomial for _ in range(power)]) for monomial, c in items)
            return ("+", 0, *(("*", c, *each) for c, each in factors))
        case ("b", height):
            return ("v", f"b{height}")
        case ("sum", height, bounds, monomial):
            return ("sum", f"b{height}", *map(back, bounds), back(poly((monomial, 1))))
        case ("is" | "le" as head, difference):
            return (head, 0, back(difference))
    return tuple(back(each) if isinstance(each, tuple) else each for each in part)


@pytest.mark.parametrize("real", [False, True])
def test_normal_forms_keep_the_value(real):
    draw = Draw(1)
    for _ in range(100):
        term = draw.term(3, real=real)
        form = normal(term)
        again = back(algebra.frozen(form))
        assert normal(again) == form
        for _ in range(2):
            world = World(draw)
            assert world.value(term) == world.value(again)


def _period(draw):
    part = lambda: draw.choice([("//", ("+", N, draw.randint(-2, 2)), draw.randint(2, 3)), t("[n <= 2]"), N, 1])  # noqa: E731
    sides = [("+", *(("*", draw.randint(-2, 2), part()) for _ in range(3))) for _ in range(2)]
    return kernel.period((draw.choice(["=", ">="]), *sides), "n")


def _cases(draw):
    """d*(d + 1) >= 0 for integers d = a - b, as d >= 0 or -d - 1 >= 0."""
    a, b = draw.term(1), draw.term(1)
    goal, both = filled(t("(p - q)*(p - q + 1) >= 0"), {t("p"): a, t("q"): b}), [(1, [0, 0]), (1, [0])]
    either = (assume(filled(t(each), {t("p"): a, t("q"): b})) for each in ("p >= q", "q >= p + 1"))
    return kernel.cases(*(certificate(goal, both, 1, False, each) for each in either), a, b)


def _certificate(draw, refute=False):
    heads = [">="] if refute else ["=", ">=", ">=", ">"]
    known = [assume((draw.choice(heads), draw.term(1, real=not refute), draw.term(1))) for _ in range(2)]
    products = [(draw.choice([1, 2, draw.term(0)]), draw.sample([0, 1], draw.randint(0, 2))) for _ in range(2)]
    sides = [("+", a, ("*", -1, b)) for _, a, b in (each.conclusion for each in known)]
    shown = [("*", c, *(sides[i] for i in places)) for c, places in products]
    goal = ("+", draw.randint(-1, 1) if refute else 0, *shown)
    return certificate((draw.choice(heads), goal, 0), products + [(1, [2])] * refute, 1, refute, *known)


def _differential(draw):
    term = draw.real(3)
    _, needs = calculus.derivative(term, ("x", "y"))
    return kernel.differential(["x", "y"], term, *(assume((">", back(algebra.frozen(need)), 0)) for need, _ in needs))


# a and b stand for terms with i, p and q for terms without, u and v for terms with i to the reals
DRAWN = [
    ("division", ["a", "|- b >= 1"]), ("division", ["a", "|- b >= 1", True]), ("reciprocal", ["u", "|- u*u > 0"]), ("indicator", ["u", "v"]),
    ("within", ["u", "v", "|- v >= u"]), ("within", ["u", "v", "|- u > v"]), ("rewrite", ["|- u >= v", "|- n == a"]), ("positive", ["u"]),
    ("last_term", ["sum(i, a, b, u)", "|- b >= a"]), ("last_term", ["sum(i, a, b, u)", "|- a >= b + 1"]), ("sift", ["@i", "a", "b", "u", "p"]),
    ("reindex", ["sum(i, a, b, u)", 1, "p"]), ("reindex", ["sum(i, a, b, u)", -1, "p"]), ("generalize", ["a >= p |- exp(u) > 0", "@n"]),
    ("exchange", ["sum(i, p, q, sum(j, q, p, sum(k, p - 1, q, f(i, j)*u*f(k, i))))", [1, 2, 0]]), ("rewrite", ["|- u >= v", "|- m == n"]),
    _cases, _certificate, lambda draw: _certificate(draw, True), _period, _differential,
]  # fmt: skip


@pytest.mark.parametrize("rule", DRAWN)
def test_conclusions_are_true_at_numbers(rule):
    """Every rule is applied to terms at random; wherever the hypotheses hold, the conclusion must, and instances too."""
    draw, tried = Draw(7), 0
    for _ in range(400):
        terms = {("v", letter): draw.term(1, "imn" if letter in "ab" else "mn") for letter in "abpq"}
        terms |= {("v", letter): draw.real() for letter in "uv"}
        try:
            found = rule(draw) if callable(rule) else getattr(kernel, rule[0])(*given(rule[1], terms))
            moved = kernel.instantiate(found, {letter: draw.term(1, "ijmn") for letter in "imn"})
        except Refused:
            continue
        for each in (found, moved):
            world = World(draw, Decimal if rule is _differential else Fraction)
            with localcontext(prec=90):
                if all(map(world.holds, each.hypotheses)):
                    assert world.holds(each.conclusion), (world.drawn, each)
                    tried += 1
        if tried >= 20:
            break
    assert tried >= 20
