"""The rules for indicators: what they state, that both checkers take it, and that it is true at numbers."""

import itertools
import json
import math
import random

import pytest

from convproof import recheck
from convproof.proof import indicators, kernel, proof_term
from convproof.proof.algebra import Refused, normal, split
from convproof.proof.derived import certificate, equals, given
from convproof.proof.language import formula, term

PAIRS = [
    ("n", "m"),
    ("n//3", "2*m - 1"),
    ("f(n)*m", "f(m) + n*n"),
    ("[x[n] <= 0]", "sum i<n: i*m"),
    ("n", "n + 1"),
    ("2", "2"),
    ("5", "3"),
]


def stated(theorem):
    """What it says, held against the second checker."""
    recheck.check(json.loads(json.dumps(proof_term(theorem))))
    return set(theorem.hypotheses), theorem.conclusion


def same(found, text):
    """Whether a formula is the one of the notation, up to the normal forms of its sides."""
    sign, a, b = formula(text)
    return found[0] == sign and [normal(side) for side in found[1:]] == [normal(a), normal(b)]


def value(part, drawn, **bound):
    """What a term is worth, where letters and functions have the numbers that `drawn` gives them."""
    (head, *names), parts = split(part)
    if head == "sum":
        low, high = (value(each, drawn, **bound) for each in parts[:2])
        return sum(value(parts[2], drawn, **{**bound, names[0]: i}) for i in range(low, high + 1))
    numbers = [value(each, drawn, **bound) for each in parts]
    match head:
        case int():
            return head
        case "+":
            return sum(numbers)
        case "*":
            return math.prod(numbers)
        case "//":
            return numbers[0] // numbers[1]
        case "is" | "le":
            return int(numbers[0] == numbers[1] if head == "is" else numbers[0] <= numbers[1])
    return bound[names[0]] if head == "v" and names[0] in bound else drawn[head, *names, *numbers]


class Drawn(dict):
    """Numbers that are drawn when they are first asked for."""

    def __init__(self, rng, *known):
        super().__init__(*known)
        self.rng = rng

    def __missing__(self, key):
        return self.setdefault(key, self.rng.randint(-4, 4))


def true_at_numbers(statement):
    rng, (sign, a, b) = random.Random(5), statement
    for _ in range(60):
        drawn = Drawn(rng)
        left, right = value(a, drawn), value(b, drawn)
        assert left == right if sign == "=" else left >= right, (drawn, statement)


@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_without_hypotheses(a, b):
    one, other = term(a), term(b)
    for theorem, text in (
        (indicators.at_least(one, other), f"[{a} <= {b}]*({b} - ({a})) >= 0"),
        (indicators.excluded(one, other), f"[{a} <= {b}] + [{b} + 1 <= {a}] = 1"),
        (indicators.congruent(term("g(q, n) + q*x[q + 1]"), one, other), f"[{a} = {b}]*(g({a}, n) + ({a})*x[{a} + 1]) = [{a} = {b}]*(g({b}, n) + ({b})*x[{b} + 1])"),
    ):  # fmt: skip
        hypotheses, conclusion = stated(theorem)
        assert hypotheses == set()
        assert same(conclusion, text)
        true_at_numbers(conclusion)


def test_the_sides_are_written_as_they_are_asked_for():
    one, other = term("n"), term("m")
    assert indicators.at_least(one, other).conclusion == formula("[n <= m]*(m - n) >= 0")
    assert indicators.excluded(one, other).conclusion == formula("[n <= m] + [m + 1 <= n] = 1")
    assert indicators.congruent(term("f(q)"), one, other).conclusion == formula("[n = m]*f(n) = [n = m]*f(m)")


@pytest.mark.parametrize("rule", [indicators.at_least, indicators.excluded])
@pytest.mark.parametrize(("a", "b"), [("x[]", "n"), ("n", "1/m"), ("exp(n)", "x[n]")])
def test_reals_have_no_such_cases(rule, a, b):
    """[0 <= 1/2] + [1/2 + 1 <= 0] is 1, but [1/2 <= 0] + [0 + 1 <= 1/2] is 0."""
    with pytest.raises(Refused):
        rule(term(a), term(b))


def test_congruent_reals_may_only_be_multiplied():
    with pytest.raises(Refused):
        indicators.congruent(term("f(q)"), term("x[]"), term("n"))


def test_everywhere():
    """Of natural numbers, n//2 + (n + 1)//2 = n; where [1 <= n] is in front, of all integers."""
    halves = kernel.period(formula("n//2 + (n + 1)//2 = n"), "n")
    guarded = certificate(
        formula("[1 <= n]*(n//2 + (n + 1)//2) = [1 <= n]*n"), [halves, given("k >= 7")], [(term("[1 <= n]"), [0])]
    )
    theorem = indicators.everywhere(guarded, "n")
    assert stated(theorem) == ({formula("k >= 7")}, guarded.conclusion)
    assert set(guarded.hypotheses) == {formula("n >= 0"), formula("k >= 7")}
    true_at_numbers(theorem.conclusion)


@pytest.mark.parametrize(
    ("left", "right"),
    [("[1 <= n]*x[n]", "[1 <= n]*y[m]"), ("0", "[1 <= n]*f(n)*n"), ("n*[1 <= n]*f(n) + [1 <= n]", "0")],
)
def test_everywhere_of_any_terms(left, right):
    """What is assumed stays a hypothesis, but for n >= 0."""
    assumed = given(f"{left} = {right}")
    known = equals(*assumed.conclusion[1:], certificate(assumed.conclusion, [assumed, given("n >= 0")], [(1, [0])]))
    assert stated(indicators.everywhere(known, "n")) == ({assumed.conclusion}, assumed.conclusion)
    assert stated(indicators.everywhere(assumed, "n")) == ({assumed.conclusion}, assumed.conclusion)


@pytest.mark.parametrize(
    "text", ["n//2 + (n + 1)//2 = n", "[0 <= n]*f(n) = [0 <= n]*g(n)", "[1 <= n]*f(n) = g(n)", "[1 <= m]*f(n) = 0"]
)
def test_everywhere_takes_what_is_nothing_below(text):
    with pytest.raises(Refused):
        indicators.everywhere(given(text), "n")


def test_everywhere_of_a_comparison():
    """In front of it too, [1 <= n] leaves 0 >= 0 below."""
    one = term("[1 <= n]")
    known = [given("n >= 0"), indicators.at_least(1, term("n")), indicators.zero_or_one(one)[0]]
    positive = certificate((">=", ("*", one, term("n")), 0), known, [(1, [1]), (1, [2])])
    assert stated(indicators.everywhere(positive, "n")) == (set(), positive.conclusion)


def test_everywhere_keeps_other_hypotheses_about_the_letter():
    known = certificate(formula("[1 <= n]*f(n) = [1 <= n]*(f(n) + 0)"), [given("n >= 1"), given("n >= 0 + 0")], [])
    assert stated(indicators.everywhere(known, "n"))[0] == {formula("n >= 1"), formula("n >= 0 + 0")}


def test_moved_by_numbers():
    """Every value between -2 and 2 for both letters."""
    theorem = indicators.congruent(term("q*q*(q + 3)"), term("n"), term("m"))
    _, a, b = theorem.conclusion
    for n, m in itertools.product(range(-2, 3), repeat=2):
        numbers = {("v", "n"): n, ("v", "m"): m}
        assert value(a, numbers) == value(b, numbers)
