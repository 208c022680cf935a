"""For which sizes a condition holds, and whether witnesses satisfy hypotheses: against plain counting."""

import random

import pytest

from convproof.proof import Refused, decide
from convproof.proof.language import formula
from convproof.proof.witness import satisfied


@pytest.mark.parametrize(
    ("condition", "holds", "counterexample"),
    [
        ("4*((n - 11)//4) = n - 11", lambda n: n % 4 == 3, 0),
        ("(n//2)//3 = n//6", lambda n: True, None),
        ("(n - 3)//2 >= 5", lambda n: n >= 13, 0),
        ("100 >= n", lambda n: n <= 100, 101),
        ("n//2 + n//3 = n//6 + 4", lambda n: n in (6, 7), 0),
        ("2*(n//2) = n iff 4*(n//4) = n", lambda n: n % 4 != 2, 2),
        ("[n//3 = 2] + [n >= 20] >= 1", lambda n: 6 <= n <= 8 or n >= 20, 0),
        ("n >= 0", lambda n: True, None),
        ("0 >= n + 1", lambda n: False, 0),
    ],
)
def test_conditions_are_decided(condition, holds, counterexample):
    found = decide(condition, "n")
    assert [n in found.sizes if n else found.at_zero for n in range(500)] == [holds(n) for n in range(500)]
    assert found.counterexample == counterexample
    assert found.theorem.hypotheses == (formula("n >= 0"),)
    assert found.theorem.conclusion[:2] == ("iff", formula(condition))


def test_decisions_say_what_they_found():
    assert str(decide("n//2 >= n//3", "n")) == "n//2 >= n//3: for all"
    assert str(decide("2*(n//2) = n", "n")) == "2*(n//2) = n: not for n = 1, but for 0, and all n >= 1 with n mod 2 = 0"


def test_drawn_conditions_are_decided_as_counting_does():
    rng, decided = random.Random(4), 0

    def size(depth):
        kind = rng.random()
        if depth == 0 or kind < 0.3:
            return ("+", ("*", rng.choice([1, 1, 2, -1]), ("v", "n")), rng.randint(-9, 9))
        if kind < 0.7:
            return ("//", size(depth - 1), rng.choice([2, 3, 5]))
        if kind < 0.85:
            return (rng.choice(["is", "le"]), size(depth - 1), size(depth - 1))
        return ("+", size(depth - 1), ("*", rng.choice([-3, -1, 2]), size(depth - 1)))

    def value(term, n):
        if isinstance(term, int):
            return term
        if term[0] == "v":
            return n
        a, b = (value(part, n) for part in term[1:])
        return {"+": a + b, "*": a * b, "//": a // b if term[0] == "//" else 0, "is": a == b, "le": a <= b}[term[0]]

    while decided < 200:
        sign, a, b = condition = (rng.choice(["=", ">="]), size(2), size(2))
        try:
            found = decide(condition, "n")
        except Refused:
            continue
        decided += 1
        for n in range(300):
            truth = value(a, n) == value(b, n) if sign == "=" else value(a, n) >= value(b, n)
            assert truth == (n in found.sizes if n else found.at_zero), (condition, n)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("n*n >= 0", "not linear"),
        ("n >= m", "no quasi-affine function of n"),
        ("n//m >= 0", "no quasi-affine function of n"),
        ("n > 0", "only =, >= and iff"),
        ("n//10007 >= 0", "more than 10000 sizes"),
    ],
)
def test_what_is_not_decided_is_refused_with_the_reason(condition, reason):
    with pytest.raises(Refused, match=reason):
        decide(condition, "n")


@pytest.mark.parametrize(
    ("hypothesis", "witness", "holds"),
    [
        ("S >= 2", {"S": 2}, True),
        ("S > 2", {"S": 2}, False),
        ("S > 2", {"S": 3}, True),
        ("S = 2", {}, False),
        ("x[3] = 7", {"x": 7}, True),
        ("e[] > 0", {"e": 1}, True),
        ("n(S) = 4", {"S": 2, "n": ("*", 2, ("v", "k"))}, True),
        ("for all i: n(i + 1) = n(i) + 2", {"n": ("*", 2, ("v", "k"))}, True),
        ("for all i: n(i + 1) = n(i) + 3", {"n": ("*", 2, ("v", "k"))}, False),
        ("for all i: [0 <= i] = [0 <= n(i)]*[0 <= i]", {"n": ("v", "k")}, True),
        ("for all i: n(i) >= 0", {"n": ("v", "k")}, False),
        ("for all i: for all j: n(i) + n(j) >= 2", {"n": 1}, True),
        ("for all i: i >= S", {"i": 9, "S": 0}, False),
        ("sum i<n: x[i] = 6", {"n": 4, "x": ("v", "k")}, True),
        ("sum i<n: i = 6", {"n": 4, "i": 1}, True),
        ("sum i<m: i = 6", {}, False),
        ("S >= 1 iff S >= 2", {"S": 1}, False),
        ("S >= 1 iff S >= 2", {"S": 5}, True),
        ("exp(S) > 0", {"S": 1}, False),
    ],
)
def test_witnesses(hypothesis, witness, holds):
    assert satisfied(formula(hypothesis), witness) is holds


def test_a_derivative_has_no_witness():
    assert not satisfied(("d", ("x",), ("re", "x"), ("re", "dx")), {"x": 1})
