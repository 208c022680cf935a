"""The second checker alone: what each rule yields, what each refuses, and that nothing malformed or false gets through.

Proofs are written out by hand, as the lists that a file holds; the kernel replays the same steps and must agree.
"""

import copy
import importlib
import inspect
import itertools
import json
import math
import os
import random
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from convproof import recheck
from convproof.proof import algebra, kernel, language
from convproof.proof.written import proof_term
from convproof.recheck import printing, terms


def v(name):
    return ["v", name]


def add(*parts):
    return ["+", *parts]


def mul(*parts):
    return ["*", *parts]


def minus(a, b):
    return add(a, mul(-1, b))


def floor(a, b):
    return ["//", a, b]


def eq(a, b):
    return ["=", a, b]


def ge(a, b):
    return [">=", a, b]


def gt(a, b):
    return [">", a, b]


def equals(a, b):
    return ["is", a, b]


def le(a, b):
    return ["le", a, b]


def total(index, lo, hi, body):
    return ["sum", index, lo, hi, body]


def every(letter, formula):
    return ["all", letter, formula]


def f(*places):
    return ["at", "f", *places]


def g(*places):
    return ["at", "g", *places]


def x(*places):
    return ["re", "x", *places]


def y(*places):
    return ["re", "y", *places]


def dx(*places):
    return ["re", "dx", *places]


def inv(a):
    return ["inv", a]


def exp(a):
    return ["exp", a]


def log(a):
    return ["log", a]


def d(names, a, b):
    return ["d", names, a, b]


def step(rule, *arguments, of=()):
    return {"rule": rule, "arguments": list(arguments), "premises": list(of)}


def given(*formulas):
    return [step("assume", formula) for formula in formulas]


def resting(conclusion, *hypotheses):
    """Steps to the conclusion, an identity or a comparison that holds by itself, resting on hypotheses all the same."""
    (sign, a, b), known = conclusion, range(len(hypotheses))
    products = [] if sign == "=" else [[1, []]]
    return [*given(*hypotheses), step("certificate", [sign, a, b], products, 1, False, of=known)]


def differential(term, *formulas, names=("x",)):
    return [*given(*formulas), step("differential", list(names), term, of=range(len(formulas)))]


def in_cases(a, b, over, under, goals=([">", 2, 1],) * 2):
    """2 > 1, or two goals that are true of numbers, on some hypotheses each; then cases."""
    places = [range(len(over)), range(len(over), len(over) + len(under))]
    shown = [step("certificate", goal, [[1, []]], 1, False, of=each) for goal, each in zip(goals, places, strict=True)]
    return [*given(*over, *under), *shown, step("cases", a, b, of=[len(over) + len(under), len(over) + len(under) + 1])]


N, M, I, J, K = map(v, "nmijk")
NATURAL = ge(N, 0)


def written(hypotheses, conclusion, steps):
    return json.loads(json.dumps({"hypotheses": hypotheses, "conclusion": conclusion, "steps": steps}))


def complaint(proof):
    with pytest.raises(recheck.Wrong) as caught:
        recheck.check(proof)
    return str(caught.value)


def tuples(data):
    return tuple(map(tuples, data)) if isinstance(data, list) else data


def in_the_kernel(steps):
    """The theorems that the kernel makes of the same steps."""
    made = []
    for each in steps:
        rule = getattr(kernel, each["rule"])
        arguments, premises, parts = list(each["arguments"]), [made[place] for place in each["premises"]], []
        for parameter in inspect.signature(rule).parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                parts, premises = parts + premises, []
            else:
                parts.append((premises if parameter.annotation == "Theorem" else arguments).pop(0))
        if arguments or premises:
            raise LookupError("too many")
        made.append(rule(*parts))
    return made


def remainder(k):
    """n - k (n // k)."""
    return add(v("n"), mul(-k, floor(v("n"), k)))


# --- what each rule yields --------------------------------------------------------------------------------------------

SUM = total("i", 0, N, f(I))
AROUND = [ge(I, 0), ge(N, I)]
RISES = every("i", eq(f(add(I, 1)), f(I)))
INDUCTION = [
    *given(eq(f(0), M), RISES, eq(f(N), M), NATURAL),
    step("specialize", N, of=[1]),
    step("certificate", eq(f(add(N, 1)), M), [[1, [0]], [1, [1]]], 1, False, of=[4, 2, 3]),
    step("induction", "n", of=[0, 5]),
]
POSITIVE_EXP = [
    *given(*AROUND, gt(M, 0)),
    step("positive", x(I)),
    step("certificate", gt(exp(x(I)), 0), [[1, [0]]], 1, False, of=[3, 0, 1]),
]
NESTED = total("i", 0, N, total("j", M, 3, total("k", 0, g(M), f(I, J, K))))

YIELDS = {
    # logic
    "assume =": (given(eq(N, x())), [eq(N, x())], eq(N, x())),
    "assume >": (given(gt(N, 0)), [gt(N, 0)], gt(N, 0)),
    "assume iff": (given(["iff", NATURAL, gt(N, 0)]), [["iff", NATURAL, gt(N, 0)]], ["iff", NATURAL, gt(N, 0)]),
    "assume all": (given(every("n''", ge(v("n''"), 0))), [every("n''", ge(v("n''"), 0))], every("n''", ge(v("n''"), 0))),
    "assume d": (given(d(["x", "y"], x(), 5)), [d(["x", "y"], x(), 5)], d(["x", "y"], x(), 5)),
    "assume d of nothing": (given(d([], 1, 0)), [d([], 1, 0)], d([], 1, 0)),
    "instantiate at once": (
        [*given(ge(N, M)), step("instantiate", [["n", add(M, 1)], ["m", N]], of=[0])],
        [ge(add(M, 1), N)],
        ge(add(M, 1), N),
    ),
    "instantiate by the last of two": (
        [*given(ge(N, M)), step("instantiate", [["n", 1], ["n", 2]], of=[0])],
        [ge(2, M)],
        ge(2, M),
    ),
    "instantiate nothing": ([*given(ge(N, M)), step("instantiate", [], of=[0])], [ge(N, M)], ge(N, M)),
    "instantiate every part": (
        [
            *given(gt(add(f(N), x(N, N), x(), floor(N, 2), inv(N), exp(N), log(N)), mul(equals(N, 1), le(1, N)))),
            step("instantiate", [["n", 3]], of=[0]),
        ],
        [gt(add(f(3), x(3, 3), x(), floor(3, 2), inv(3), exp(3), log(3)), mul(equals(3, 1), le(1, 3)))],
        gt(add(f(3), x(3, 3), x(), floor(3, 2), inv(3), exp(3), log(3)), mul(equals(3, 1), le(1, 3))),
    ),
    "instantiate both sides of iff": (
        [*given(["iff", ge(N, 0), gt(M, N)]), step("instantiate", [["n", 3]], of=[0])],
        [["iff", ge(3, 0), gt(M, 3)]],
        ["iff", ge(3, 0), gt(M, 3)],
    ),
    "instantiate what would be caught": (
        [*given(every("n", ge(M, N))), step("instantiate", [["m", N]], of=[0])],
        [every("n'", ge(N, v("n'")))],
        every("n'", ge(N, v("n'"))),
    ),
    "instantiate what would be caught twice": (
        [*given(every("n", ge(M, N))), step("instantiate", [["m", add(N, v("n'"))]], of=[0])],
        [every("n''", ge(add(N, v("n'")), v("n''")))],
        every("n''", ge(add(N, v("n'")), v("n''"))),
    ),
    "instantiate beside a primed letter": (
        [*given(every("n", ge(M, add(N, v("n'"))))), step("instantiate", [["m", N]], of=[0])],
        [every("n''", ge(N, add(v("n''"), v("n'"))))],
        every("n''", ge(N, add(v("n''"), v("n'")))),
    ),
    "instantiate a letter that is not there": (
        [*given(every("n", ge(N, 0))), step("instantiate", [["m", N], ["n", 3]], of=[0])],
        [every("n", ge(N, 0))],
        every("n", ge(N, 0)),
    ),
    "instantiate the bounds, not what is bound": (
        [*given(eq(total("i", I, add(I, M), mul(I, M)), 0)), step("instantiate", [["i", 5], ["m", 2]], of=[0])],
        [eq(total("i", 5, add(5, 2), mul(I, 2)), 0)],
        eq(total("i", 5, add(5, 2), mul(I, 2)), 0),
    ),
    "instantiate in a derivative": (
        [*given(d(["x"], mul(N, x()), mul(M, dx()))), step("instantiate", [["n", le(y(), 0)], ["m", le(x(), 0)]], of=[0])],
        [d(["x"], mul(le(y(), 0), x()), mul(le(x(), 0), dx()))],
        d(["x"], mul(le(y(), 0), x()), mul(le(x(), 0), dx())),
    ),
    "generalize": ([*given(ge(M, 0)), step("generalize", "n", of=[0])], [ge(M, 0)], every("n", ge(M, 0))),
    "generalize over v": ([*given(ge(M, 0)), step("generalize", "v", of=[0])], [ge(M, 0)], every("v", ge(M, 0))),
    "generalize what is bound": (
        [*given(every("n", NATURAL)), step("generalize", "n", of=[0])],
        [every("n", NATURAL)],
        every("n", every("n", NATURAL)),
    ),
    "generalize beside the bound of a sum": (
        [*given(ge(total("n", 0, 3, N), x())), step("generalize", "n", of=[0])],
        [ge(total("n", 0, 3, N), x())],
        every("n", ge(total("n", 0, 3, N), x())),
    ),
    "specialize": (
        [*given(every("n", every("m", ge(N, M)))), step("specialize", add(M, 1), of=[0])],
        [every("n", every("m", ge(N, M)))],
        every("m'", ge(add(M, 1), v("m'"))),
    ),
    "specialize to what is no integer but by its form": (
        [*given(every("n", NATURAL)), step("specialize", mul(0, x()), of=[0])],
        [every("n", NATURAL)],
        ge(mul(0, x()), 0),
    ),
    # what both premises rest on stays
    "discharge on one thing twice": ([*resting(ge(2, 1), ge(J, 0)), *resting(ge(1, 0), ge(J, 0)), step("discharge", of=[1, 3])], [ge(J, 0)], ge(2, 1)),
    "equivalent on one thing twice": ([*resting(ge(2, 1), ge(J, 0)), *resting(ge(3, 2), ge(J, 0)), step("equivalent", of=[1, 3])], [ge(J, 0)], ["iff", ge(3, 2), ge(2, 1)]),
    "rewrite on one thing twice": ([*resting(eq(add(N, 0), N), ge(J, 0)), *resting(eq(M, add(M, 0)), ge(J, 0)), step("rewrite", of=[1, 3])], [ge(J, 0)], eq(add(N, 0), N)),
    "antisymmetry on one thing twice": (
        [*given(ge(J, 0)), *(step("certificate", each, [], 1, False, of=[0]) for each in (ge(N, add(N, 0)), ge(add(N, 0), N))), step("antisymmetry", of=[1, 2])],
        [ge(J, 0)],
        eq(N, add(N, 0)),
    ),
    "induction on one thing twice": (
        [*given(ge(J, 0), eq(mul(0, N), 0)), step("certificate", eq(mul(0, 0), 0), [], 1, False, of=[0]), step("certificate", eq(mul(0, add(N, 1)), 0), [], 1, False, of=[0, 1]), step("induction", "n", of=[2, 3])],
        [ge(J, 0), NATURAL],
        eq(mul(0, N), 0),
    ),
    "discharge": (
        [*resting(ge(2, 1), NATURAL, ge(M, 0)), *given(gt(I, 0)), step("discharge", of=[2, 0])],
        [NATURAL, ge(M, 0)],
        ge(2, 1),
    ),
    "discharge what is known": (
        [*resting(ge(2, 1), ge(1, 0), ge(M, 0)), *resting(ge(1, 0)), step("discharge", of=[2, 3])],
        [ge(M, 0)],
        ge(2, 1),
    ),
    "discharge what is no hypothesis": ([*resting(ge(2, 1), ge(M, 0)), *resting(ge(1, 0)), step("discharge", of=[1, 2])], [ge(M, 0)], ge(2, 1)),
    "discharge under one hypothesis twice": ([*resting(ge(2, 1), gt(N, 0)), step("certificate", gt(3, 2), [[1, []]], 1, False, of=[0]), step("discharge", of=[1, 2])], [gt(N, 0)], ge(2, 1)),
    "equivalent under one hypothesis twice": ([*resting(ge(2, 1), gt(N, 0)), step("certificate", gt(3, 2), [[1, []]], 1, False, of=[0]), step("equivalent", of=[1, 2])], [gt(N, 0)], ["iff", gt(3, 2), ge(2, 1)]),
    "equivalent without hypotheses": ([*resting(ge(2, 1)), *resting(ge(3, 2)), step("equivalent", of=[0, 1])], [], ["iff", ge(3, 2), ge(2, 1)]),
    "equivalent": (
        [*resting(ge(2, 1), ge(3, 2), NATURAL), *given(ge(2, 1), ge(M, 0)), step("certificate", ge(3, 2), [[1, []]], 1, False, of=[3, 4]), step("equivalent", of=[2, 5])],
        [NATURAL, ge(M, 0)],
        ["iff", ge(3, 2), ge(2, 1)],
    ),
    "cases": (in_cases(N, M, [ge(N, M), gt(I, 0)], [ge(M, add(N, 1)), gt(J, 0)]), [gt(I, 0), gt(J, 0)], gt(2, 1)),
    "cases that are used": (
        [
            *given(ge(N, M), ge(M, add(N, 1))),
            *(step("certificate", ge(mul(minus(N, M), add(minus(N, M), 1)), 0), [[1, [0, 0]], [1, [0]]], 1, False, of=[place]) for place in (0, 1)),
            step("cases", N, M, of=[2, 3]),
        ],
        [],
        ge(mul(minus(N, M), add(minus(N, M), 1)), 0),
    ),
    "cases without the first": (in_cases(N, M, [gt(I, 0)], [ge(M, add(N, 1))]), [gt(I, 0)], gt(2, 1)),
    "cases without the second": (in_cases(N, M, [ge(N, M)], [gt(J, 0)]), [gt(J, 0)], gt(2, 1)),
    "cases on one thing twice": (in_cases(N, M, [gt(I, 0)], [gt(I, 0)]), [gt(I, 0)], gt(2, 1)),
    "cases beside what is no case": (
        in_cases(N, M, [ge(M, add(N, 1)), ge(N, add(M, 0)), gt(N, M)], [ge(N, M), gt(M, N), ge(M, add(1, N))]),
        [ge(M, add(N, 1)), ge(N, add(M, 0)), gt(N, M), ge(N, M), gt(M, N), ge(M, add(1, N))],
        gt(2, 1),
    ),
    "cases of what is integral by its form": (
        in_cases(le(x(), 0), mul(0, y()), [ge(le(x(), 0), mul(0, y()))], [ge(mul(0, y()), add(le(x(), 0), 1))]),
        [],
        gt(2, 1),
    ),
    "induction": (INDUCTION, [eq(f(0), M), RISES, NATURAL], eq(f(N), M)),
    "induction under one hypothesis twice": (
        [*INDUCTION[:6], step("certificate", eq(f(0), M), [[1, [0]]], 1, False, of=[0, 4]), step("induction", "n", of=[6, 5])],
        [eq(f(0), M), RISES, NATURAL],
        eq(f(N), M),
    ),
    "induction without n >= 0": (
        [*INDUCTION[:5], step("certificate", eq(f(add(N, 1)), M), [[1, [0]], [1, [1]]], 1, False, of=[4, 2]), INDUCTION[6]],
        [eq(f(0), M), RISES, NATURAL],
        eq(f(N), M),
    ),
    # arithmetic
    "identity": ([step("identity", mul(add(N, M), minus(N, M)), minus(mul(N, N), mul(M, M)))], [], eq(mul(add(N, M), minus(N, M)), minus(mul(N, N), mul(M, M)))),
    "certificate of =": (
        [*given(eq(N, M), ge(I, 0)), step("certificate", eq(mul(x(), N), mul(x(), M)), [[x(), [0]], [-1, [0, 1]], [1, [1, 0]]], 1, False, of=[0, 1])],
        [eq(N, M), ge(I, 0)],
        eq(mul(x(), N), mul(x(), M)),
    ),
    "certificate of >=": (
        [*given(ge(x(), 1), gt(y(), 2), eq(N, M)), step("certificate", ge(mul(x(), y()), add(y(), mul(2, x()), -5, N, mul(-1, M))), [[1, [0, 1]], [0, [0]], [3, []], [-1, [2]]], 1, False, of=[0, 1, 2])],
        [ge(x(), 1), gt(y(), 2), eq(N, M)],
        ge(mul(x(), y()), add(y(), mul(2, x()), -5, N, mul(-1, M))),
    ),
    "certificate of >": (
        [*given(ge(x(), 1), gt(y(), 2)), step("certificate", gt(add(x(), mul(2, y())), 5), [[1, [0]], [2, [1]]], 1, False, of=[0, 1])],
        [ge(x(), 1), gt(y(), 2)],
        gt(add(x(), mul(2, y())), 5),
    ),
    "certificate of > by a product": (
        [*given(gt(x(), 1), gt(y(), 2)), step("certificate", gt(add(mul(x(), y()), 2), add(mul(2, x()), y())), [[1, [0, 1]]], 1, False, of=[0, 1])],
        [gt(x(), 1), gt(y(), 2)],
        gt(add(mul(x(), y()), 2), add(mul(2, x()), y())),
    ),
    "certificate of > by a number": ([step("certificate", gt(N, minus(N, 1)), [[1, []]], 1, False)], [], gt(N, minus(N, 1))),
    "certificate with a scale": ([*given(ge(mul(2, x()), 1)), step("certificate", ge(x(), 0), [[1, [0]], [1, []]], 2, False, of=[0])], [ge(mul(2, x()), 1)], ge(x(), 0)),
    "certificate by refutation": ([*given(ge(mul(2, N), 1)), step("certificate", ge(N, 1), [[1, [0]], [2, [1]]], 1, True, of=[0])], [ge(mul(2, N), 1)], ge(N, 1)),
    "certificate by refutation of reals": (
        [*given(gt(x(), N), ge(5, x())), step("certificate", ge(5, N), [[1, [0]], [1, [1]], [1, [2]]], 1, True, of=[0, 1])],
        [gt(x(), N), ge(5, x())],
        ge(5, N),
    ),
    "antisymmetry": ([*given(ge(x(), N), ge(N, x())), step("antisymmetry", of=[0, 1])], [ge(x(), N), ge(N, x())], eq(x(), N)),
    "antisymmetry of one": ([*given(ge(N, N)), step("antisymmetry", of=[0, 0])], [ge(N, N)], eq(N, N)),
    "division below": ([*given(ge(M, 1)), step("division", N, False, of=[0])], [ge(M, 1)], ge(N, mul(M, floor(N, M)))),
    "division above": ([*given(ge(M, 1)), step("division", N, True, of=[0])], [ge(M, 1)], ge(add(mul(M, floor(N, M)), M, -1), N)),
    "reciprocal": ([*given(gt(mul(x(), x()), 0)), step("reciprocal", x(), of=[0])], [gt(mul(x(), x()), 0)], eq(mul(x(), inv(x())), 1)),
    "rewrite": (
        [*given(["iff", eq(add(N, f(N)), total("i", 0, N, mul(N, I))), every("i", gt(x(), log(N)))], eq(N, 3)), step("rewrite", of=[0, 1])],
        [["iff", eq(add(N, f(N)), total("i", 0, N, mul(N, I))), every("i", gt(x(), log(N)))], eq(N, 3)],
        ["iff", eq(add(3, f(3)), total("i", 0, 3, mul(3, I))), every("i", gt(x(), log(3)))],
    ),
    "rewrite by itself": ([*given(eq(N, 3)), step("rewrite", of=[0, 0])], [eq(N, 3)], eq(3, 3)),
    "rewrite once": ([*given(NATURAL, eq(N, add(N, 1))), step("rewrite", of=[0, 1])], [NATURAL, eq(N, add(N, 1))], ge(add(N, 1), 0)),
    "rewrite numbers": ([*given(ge(f(0), mul(0, 1)), eq(0, M)), step("rewrite", of=[0, 1])], [ge(f(0), mul(0, 1)), eq(0, M)], ge(f(M), mul(M, 1))),
    "rewrite what is not bound": (
        [*given(ge(total("n", 0, N, N), total("m", 0, N, N)), eq(N, M)), step("rewrite", of=[0, 1])],
        [ge(total("n", 0, N, N), total("m", 0, N, N)), eq(N, M)],
        ge(total("n", 0, M, N), total("m", 0, M, N)),
    ),
    "rewrite nothing where it is bound": ([*given(every("n", NATURAL), eq(N, 3)), step("rewrite", of=[0, 1])], [every("n", NATURAL), eq(N, 3)], every("n", NATURAL)),
    "rewrite the value of a derivative": ([*given(d(["x"], mul(2, x()), x()), eq(x(), N)), step("rewrite", of=[0, 1])], [d(["x"], mul(2, x()), x()), eq(x(), N)], d(["x"], mul(2, x()), N)),
    "period": ([step("period", eq(floor(floor(N, 2), 3), floor(N, 6)), "n")], [NATURAL], eq(floor(floor(N, 2), 3), floor(N, 6))),
    "period of iff": (
        [step("period", ["iff", ge(floor(M, 4), 3), ge(M, 12)], "m")],
        [ge(M, 0)],
        ["iff", ge(floor(M, 4), 3), ge(M, 12)],
    ),
    "period of what cancels": ([step("period", ge(add(f(N), mul(x(), M), N, mul(N, N)), add(mul(M, x()), f(N), mul(N, N))), "n")], [NATURAL], ge(add(f(N), mul(x(), M), N, mul(N, N)), add(mul(M, x()), f(N), mul(N, N)))),
    "period of a product": ([step("period", ge(1, mul(equals(N, 3), le(1, floor(N, 2)), equals(floor(N, 3), 1))), "n")], [NATURAL], ge(1, mul(equals(N, 3), le(1, floor(N, 2)), equals(floor(N, 3), 1)))),
    **{
        f"period of {name}": ([step("period", formula, "n")], [NATURAL], formula)
        for name, formula in {
            "n [n = 3]": ge(3, mul(N, equals(N, 3))),
            "n [n >= 4]": ge(mul(le(4, N), N), add(N, mul(-3, le(N, 3)))),
            "what grows twice as much": ge(mul(2, N, le(4, N)), add(N, mul(-3, le(N, 3)), mul(4, le(4, N)))),
            "no class": eq(mul(N, equals(remainder(2), 0), equals(remainder(2), 1)), 0),
            "every class": eq(mul(floor(N, 3), le(remainder(2), 5)), floor(N, 3)),
            "a square": eq(mul(N, *[floor(add(5, mul(-7, le(N, 2))), 2)] * 2), add(mul(4, N), mul(-3, N, le(N, 2)))),
            "a negative": ge(0, mul(N, floor(add(-5, le(N, 2)), 2))),
            "a product within a floor": eq(floor(add(mul(N, le(4, N)), 1), 3), minus(floor(add(N, 1), 3), mul(le(2, N), le(N, 3)))),
            "a product within an indicator": eq(mul(N, equals(mul(N, le(4, N)), 5)), mul(5, equals(N, 5))),
        }.items()
    },
    "period after a start": ([step("period", ge(add(N, equals(N, 0)), 1), "n")], [NATURAL], ge(add(N, equals(N, 0)), 1)),
    # indicators and sums
    "indicator": ([step("indicator", x(), N)], [], eq(mul(equals(x(), N), add(x(), mul(-1, N))), 0)),
    "within": ([*given(ge(x(), N)), step("within", N, x(), of=[0])], [ge(x(), N)], eq(le(N, x()), 1)),
    "beyond": ([*given(gt(N, x())), step("within", N, x(), of=[0])], [gt(N, x())], eq(le(N, x()), 0)),
    "last_term": (
        [*given(ge(J, 0)), step("last_term", total("i", 0, J, total("j", 0, 3, mul(I, J))), of=[0])],
        [ge(J, 0)],
        eq(total("i", 0, J, total("j", 0, 3, mul(I, J))), add(total("i", 0, add(J, -1), total("j", 0, 3, mul(I, J))), total("j'", 0, 3, mul(J, v("j'"))))),
    ),
    "last_term of none": ([*given(ge(M, add(N, 1))), step("last_term", total("i", M, N, x(I)), of=[0])], [ge(M, add(N, 1))], eq(total("i", M, N, x(I)), 0)),
    "exchange": ([step("exchange", NESTED, [2, 0, 1])], [], eq(NESTED, total("k", 0, g(M), total("i", 0, N, total("j", M, 3, f(I, J, K)))))),
    "exchange the outer two": ([step("exchange", NESTED, [1, 0])], [], eq(NESTED, total("j", M, 3, total("i", 0, N, total("k", 0, g(M), f(I, J, K)))))),
    "exchange nothing": ([step("exchange", N, [])], [], eq(N, N)),
    "reindex forwards": (
        [step("reindex", total("i", I, N, total("m", 0, 1, x(I, M))), 1, M)],
        [],
        eq(
            total("i", I, N, total("m", 0, 1, x(I, M))),
            total("i", mul(1, add(I, mul(-1, M))), mul(1, add(N, mul(-1, M))), total("m'", 0, 1, x(add(mul(1, I), M), v("m'")))),
        ),
    ),
    "reindex backwards": (
        [step("reindex", total("i", 1, N, f(I)), -1, 7)],
        [],
        eq(total("i", 1, N, f(I)), total("i", mul(-1, add(N, mul(-1, 7))), mul(-1, add(1, mul(-1, 7))), f(add(mul(-1, I), 7)))),
    ),
    "sift": (
        [step("sift", "i", I, N, x(I, M), f(M))],
        [],
        eq(total("i", I, N, mul(x(I, M), equals(I, f(M)))), mul(x(f(M), M), le(I, f(M)), le(f(M), N))),
    ),
    "under_sum": (
        [*given(*AROUND, ge(M, 0)), step("certificate", eq(f(I), add(f(I), 0)), [], 1, False, of=[0, 1, 2]), step("under_sum", SUM, of=[3])],
        [ge(M, 0)],
        eq(SUM, total("i", 0, N, add(f(I), 0))),
    ),
    "under_sum without hypotheses": ([step("identity", f(I), add(f(I), 0)), step("under_sum", SUM, of=[0])], [], eq(SUM, total("i", 0, N, add(f(I), 0)))),
    # derivatives
    "positive": ([step("positive", x(N))], [], gt(exp(x(N)), 0)),
    "differential of what stays": ([step("differential", ["x"], log(mul(dx(), N)))], [], d(["x"], log(mul(dx(), N)), 0)),
    "differential of sums and products": (
        [step("differential", ["x", "y"], add(mul(x(), N, y(M)), exp(x(N, M)), 3))],
        [],
        d(
            ["x", "y"],
            add(mul(x(), N, y(M)), exp(x(N, M)), 3),
            add(add(mul(dx(), N, y(M)), mul(x(), 0, y(M)), mul(x(), N, ["re", "dy", M])), mul(exp(x(N, M)), dx(N, M)), 0),
        ),
    ),
    "differential of a function to integers": ([step("differential", ["x"], mul(["at", "x", N], x()))], [], d(["x"], mul(["at", "x", N], x()), add(mul(0, x()), mul(["at", "x", N], dx())))),
    "differential of inv": (
        [*given(gt(mul(x(), x()), 0), gt(x(), 1)), step("differential", ["x"], inv(x()), of=[1, 0])],
        [gt(mul(x(), x()), 0)],
        d(["x"], inv(x()), mul(-1, inv(x()), inv(x()), dx())),
    ),
    "differential of log": (
        [*given(gt(add(x(), y()), M), ge(x(), 0)), step("differential", ["x"], log(add(x(), minus(y(), M))), of=[1, 0])],
        [gt(add(x(), y()), M)],
        d(["x"], log(add(x(), minus(y(), M))), mul(inv(add(x(), minus(y(), M))), add(dx(), 0))),
    ),
    "differential of two logarithms": (differential(mul(log(x()), log(x())), gt(x(), 0)), [gt(x(), 0)], d(["x"], mul(log(x()), log(x())), add(mul(mul(inv(x()), dx()), log(x())), mul(log(x()), mul(inv(x()), dx()))))),
    "differential of indicators": (
        [
            *given(gt(mul(minus(x(), N), minus(x(), N)), 0)),
            step("differential", ["x"], mul(equals(x(), N), le(N, x())), of=[0]),
        ],
        [gt(mul(minus(x(), N), minus(x(), N)), 0)],
        d(["x"], mul(equals(x(), N), le(N, x())), add(mul(0, le(N, x())), mul(equals(x(), N), 0))),
    ),
    "differential under sums": (
        [
            *given(gt(x(I, J), 0), *AROUND, ge(J, M), ge(5, J), ge(K, 0)),
            step("instantiate", [["k", M]], of=[5]),
            step("positive", x(I, J)),
            step("certificate", gt(exp(x(I, J)), 0), [[1, [0]]], 1, False, of=[7, 1, 2, 3, 4, 6]),
            step("differential", ["x"], total("i", 0, N, total("j", M, 5, log(exp(x(I, J))))), of=[8]),
        ],
        [ge(M, 0)],
        d(
            ["x"],
            total("i", 0, N, total("j", M, 5, log(exp(x(I, J))))),
            total("i", 0, N, total("j", M, 5, mul(inv(exp(x(I, J))), mul(exp(x(I, J)), dx(I, J))))),
        ),
    ),
    "differential by the first that fits": (
        [*POSITIVE_EXP, step("certificate", gt(exp(x(I)), 0), [[1, [0]]], 1, False, of=[3, 2]), step("differential", ["x"], total("i", 0, N, log(exp(x(I)))), of=[4, 5])],
        [],
        d(["x"], total("i", 0, N, log(exp(x(I)))), total("i", 0, N, mul(inv(exp(x(I))), mul(exp(x(I)), dx(I))))),
    ),
    "differential under some of the bounds": (
        [*given(ge(J, 0), ge(N, I)), POSITIVE_EXP[3], step("certificate", gt(exp(x(I)), 0), [[1, [0]]], 1, False, of=[2, 0, 1]), step("differential", ["x"], total("j", 0, 1, total("i", 0, N, log(exp(x(I))))), of=[3])],
        [],
        d(["x"], total("j", 0, 1, total("i", 0, N, log(exp(x(I))))), total("j", 0, 1, total("i", 0, N, mul(inv(exp(x(I))), mul(exp(x(I)), dx(I)))))),
    ),
    "differential beside a letter of the same name": (
        [*given(gt(x(I), 0), *AROUND), step("certificate", gt(x(I), 0), [[1, [0]]], 1, False, of=[0, 1]), step("differential", ["x"], log(x(I)), of=[3])],
        [gt(x(I), 0), ge(I, 0)],
        d(["x"], log(x(I)), mul(inv(x(I)), dx(I))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", YIELDS)
def test_a_rule_yields_exactly_this(name):
    steps, hypotheses, conclusion = YIELDS[name]
    recheck.check(written(hypotheses, conclusion, steps))
    for left_out in hypotheses:
        fewer = [each for each in hypotheses if each != left_out]
        assert complaint(written(fewer, conclusion, steps)) == "the last step rests on a hypothesis that is not stated"
    other = every("q", conclusion)
    assert complaint(written(hypotheses, other, steps)) == "the last step concludes something else"
    theorem = in_the_kernel(steps)[-1]
    assert (theorem.conclusion, set(theorem.hypotheses)) == (tuples(conclusion), set(map(tuples, hypotheses)))
    recheck.check(json.loads(json.dumps(proof_term(theorem))))


def test_every_rule_of_the_kernel_is_known():
    rules = {name for name, rule in vars(kernel).items() if hasattr(rule, "__wrapped__")}
    assert len(rules) == 24
    assert {each["rule"] for steps, _, _ in YIELDS.values() for each in steps} == rules


# --- what is refused --------------------------------------------------------------------------------------------------

NO_RULE = "no such rule, or not for these arguments and premises"
NOT_ARBITRARY = "a letter that must be arbitrary stands free elsewhere"
NOT_INTEGRAL = "an integral term is needed"
NO_PLACE = "places, bounds and the parts of a floor must be integral"
NO_TERM = "no term"
FACTOR = "a factor must be natural, towards a comparison, or meet an equation"
NOT_POSITIVE = "a logarithm's argument, or the square of a denominator or jump, must be positive"
INDUCTION_FAILS = "base and step do not belong together"
ORDER = "each sum once, each with its own name"
SCALE = "the scale must be a positive integer"
MOVES_WITHIN = "what moves within a place, a bound or a floor is not differentiated"
DIFFERENT = "the two sides are different polynomials"
FALSE = eq(0, 1)


def certificate(goal, products, *formulas, scale=1, refute=False):
    return [*given(*formulas), step("certificate", goal, products, scale, refute, of=range(len(formulas)))]


def induction(base, claim, after, *more, letter="n"):
    """Induction from assumptions alone: the step rests on the claim, on what follows and on `more`."""
    known = [claim, after, *more]
    restated = [after, [[1, [1]]], 1, False]
    return [*given(base, *known), step("certificate", *restated, of=range(1, len(known) + 1)), step("induction", letter, of=[0, len(known) + 1])]  # fmt: skip


def under(equation, *hypotheses, term=SUM):
    """The sum of the left side is the sum of the right side, where the equation rests on hypotheses as well."""
    count = len(hypotheses) + 1
    return [*given(equation, *hypotheses), step("certificate", equation, [[1, [0]]], 1, False, of=range(count)), step("under_sum", term, of=[count])]  # fmt: skip


def summed_log(premises, term=None, names=("x",)):
    """The derivative of a sum of logarithms, whose argument is positive under these premises."""
    return [
        *given(*premises),
        step("positive", x(I)),
        step("certificate", gt(exp(x(I)), 0), [[1, [0]]], 1, False, of=[len(premises), *range(len(premises))]),
        step("differential", list(names), term or total("i", 0, N, log(exp(x(I)))), of=[len(premises) + 1]),
    ]


REFUSES = {
    # every rule with another number of arguments or premises
    "an unknown rule": ([step("axiom", FALSE)], NO_RULE),
    "assume from a premise": ([*given(NATURAL), step("assume", NATURAL, of=[0])], NO_RULE),
    "assume nothing": ([step("assume")], NO_RULE),
    "assume a term": ([step("assume", N)], "no formula"),
    "identity of three": ([step("identity", 1, 1, 1)], NO_RULE),
    "discharge one": ([*given(NATURAL), step("discharge", of=[0])], NO_RULE),
    "positive from a premise": ([*given(NATURAL), step("positive", N, of=[0])], NO_RULE),
    "certificate of three arguments": ([step("certificate", ge(1, 0), [[1, []]], 1)], NO_RULE),
    "differential of three arguments": ([step("differential", ["x"], N, 0)], NO_RULE),
    # instantiate, specialize: integral terms for letters
    "a real for a letter": ([*given(ge(N, M)), step("instantiate", [["m", 0], ["n", x()]], of=[0])], NOT_INTEGRAL),
    "a reciprocal for a letter": ([*given(ge(N, M)), step("instantiate", [["n", inv(2)]], of=[0])], NOT_INTEGRAL),
    "an exponential for a letter": ([*given(ge(N, M)), step("instantiate", [["n", exp(0)]], of=[0])], NOT_INTEGRAL),
    "a logarithm for a letter": ([*given(ge(N, M)), step("instantiate", [["n", add(N, log(2))]], of=[0])], NOT_INTEGRAL),
    "a sum of reals for a letter": ([*given(ge(N, M)), step("instantiate", [["n", total("i", 0, 1, x(I))]], of=[0])], NOT_INTEGRAL),
    "a real in front of a sum for a letter": ([*given(ge(N, M)), step("instantiate", [["n", total("i", 0, 1, x())]], of=[0])], NOT_INTEGRAL),
    "no letter": ([*given(ge(N, M)), step("instantiate", [["n m", 1]], of=[0])], "a name is no identifier"),
    "a term for a letter": ([*given(ge(N, M)), step("instantiate", [[N, 1]], of=[0])], "a name is no identifier"),
    "no pair": ([*given(ge(N, M)), step("instantiate", [["n", 1, 2]], of=[0])], "malformed: ValueError"),
    "no pairs": ([*given(ge(N, M)), step("instantiate", 5, of=[0])], "malformed: TypeError"),
    "a name for pairs": ([*given(ge(N, M)), step("instantiate", "nm", of=[0])], "malformed: ValueError"),
    "what moves, for a letter in what is differentiated": (
        [step("differential", ["x"], mul(N, x())), step("instantiate", [["n", le(x(), 0)]], of=[0])],
        "what moves cannot stand for a letter",
    ),
    "a jump for a letter": ([step("differential", ["y", "x"], N), step("instantiate", [["n", equals(x(1), 0)]], of=[0])], "what moves cannot stand for a letter"),
    "a jump for a letter, specialized": (
        [step("differential", ["x"], N), step("generalize", "n", of=[0]), step("specialize", mul(2, equals(x(), 0)), of=[1])],
        "what moves cannot stand for a letter",
    ),
    "a jump for a letter of a hypothesis": ([*given(d(["x"], N, 0)), step("instantiate", [["n", equals(x(), 0)]], of=[0])], "what moves cannot stand for a letter"),
    "specialize to a real": ([*given(every("n", NATURAL)), step("specialize", x(), of=[0])], NOT_INTEGRAL),
    "specialize what is not for all": ([*given(NATURAL), step("specialize", 0, of=[0])], NO_RULE),
    "specialize a sum": ([*given(eq(SUM, 0)), step("specialize", 0, of=[0])], NO_RULE),
    # generalize: a letter of no hypothesis
    "generalize a letter of a hypothesis": ([*given(eq(N, 0)), step("generalize", "n", of=[0])], NOT_ARBITRARY),
    "generalize a letter of a bound": ([*given(ge(total("n", 0, N, N), 0)), step("generalize", "n", of=[0])], NOT_ARBITRARY),
    "generalize a letter of a place": ([*given(gt(x(N), 0)), step("generalize", "n", of=[0])], NOT_ARBITRARY),
    "generalize a letter of an indicator": ([*given(eq(le(1, N), 0)), step("generalize", "n", of=[0])], NOT_ARBITRARY),
    "generalize a letter of a derivative": ([*given(d(["x"], 0, N)), step("generalize", "n", of=[0])], NOT_ARBITRARY),
    "generalize a letter of half an iff": ([*given(["iff", every("n", NATURAL), NATURAL]), step("generalize", "n", of=[0])], NOT_ARBITRARY),
    "generalize one of two hypotheses' letters": ([*resting(ge(1, 0), ge(M, 0), NATURAL), step("generalize", "n", of=[2])], NOT_ARBITRARY),
    "generalize no letter": ([*resting(ge(1, 0)), step("generalize", "1", of=[0])], "a name is no identifier"),
    "generalize a number": ([*resting(ge(1, 0)), step("generalize", 1, of=[0])], "a name is no identifier"),
    # cases
    "cases of two conclusions": (in_cases(N, M, [ge(N, M)], [ge(M, add(N, 1))], [gt(2, 1), gt(3, 2)]), NO_RULE),
    "cases of one conclusion written twice": (in_cases(N, M, [ge(N, M)], [ge(M, add(N, 1))], [gt(2, 1), gt(add(2, 0), 1)]), NO_RULE),
    "cases of one theorem": ([*resting(gt(2, 1), ge(N, M)), step("cases", N, M, of=[1])], NO_RULE),
    "cases of one term": ([*resting(gt(2, 1), ge(N, M)), step("cases", N, of=[1, 1])], NO_RULE),
    "cases of a real above": (in_cases(x(), M, [ge(x(), M)], [ge(M, add(x(), 1))]), NOT_INTEGRAL),
    "cases of a real below": (in_cases(N, x(), [ge(N, x())], [ge(x(), add(N, 1))]), NOT_INTEGRAL),
    "cases of true": ([*resting(gt(2, 1)), step("cases", True, 1, of=[0, 0])], NO_TERM + ", or nested too deeply"),
    "cases up to true": ([*resting(gt(2, 1)), step("cases", 1, True, of=[0, 0])], NO_TERM + ", or nested too deeply"),
    # induction
    "induction from another base": (induction(eq(f(1), 0), eq(f(N), 0), eq(f(add(N, 1)), 0)), INDUCTION_FAILS),
    "induction from a smaller base": (induction(eq(f(0), -1), eq(f(N), 0), eq(f(add(N, 1)), 0)), INDUCTION_FAILS),
    "induction to another step": (induction(eq(f(0), 0), eq(f(N), 0), eq(f(add(N, 2)), 0)), INDUCTION_FAILS),
    "induction downwards": (induction(eq(f(0), 0), eq(f(add(N, 1)), 0), eq(f(N), 0)), INDUCTION_FAILS),
    "induction from no claim": ([*given(eq(f(0), 0)), *resting(ge(1, 0)), step("induction", "n", of=[0, 1])], INDUCTION_FAILS),
    "induction under a hypothesis about its letter": (induction(eq(f(0), 0), eq(f(N), 0), eq(f(add(N, 1)), 0)), NOT_ARBITRARY),
    "induction from a base about its letter": (
        [
            *INDUCTION[:6],
            step("certificate", eq(f(0), M), [[1, [0]]], 1, False, of=[0, 3]),
            step("induction", "n", of=[6, 5]),
        ],
        NOT_ARBITRARY,
    ),
    "induction from n >= 1": (
        [*given(eq(f(0), M), RISES, eq(f(N), M), ge(N, 1)), *INDUCTION[4:6], step("induction", "n", of=[0, 5])],
        NOT_ARBITRARY,
    ),
    "induction over another letter": ([*INDUCTION[:6], step("induction", "m", of=[0, 5])], INDUCTION_FAILS),
    "induction over no letter": ([*INDUCTION[:6], step("induction", 0, of=[0, 5])], INDUCTION_FAILS),
    # identity
    "0 = 1": ([step("identity", 0, 1)], DIFFERENT),
    "n = m": ([step("identity", N, M)], DIFFERENT),
    "a function to integers is one to reals": ([step("identity", f(N), ["re", "f", N])], DIFFERENT),
    "true for a number": ([step("identity", True, 1)], NO_TERM + ", or nested too deeply"),
    "true within a term": ([step("identity", add(N, True), add(N, 1))], "no part of a proof"),
    "a real place": ([step("identity", f(x()), f(x()))], NO_PLACE),
    "a real place of a function to reals": ([step("identity", x(N, x()), x(N, x()))], NO_PLACE),
    "a real lower bound": ([step("identity", total("i", x(), 1, 0), 0)], NO_PLACE),
    "a real upper bound": ([step("identity", total("i", 0, x(), 0), 0)], NO_PLACE),
    "a floor of a real": ([step("identity", floor(x(), 2), floor(x(), 2))], NO_PLACE),
    "a floor by a real": ([step("identity", floor(2, exp(N)), 0)], NO_PLACE),
    "a floor of a real by 1": ([step("identity", floor(x(), 1), x())], NO_PLACE),
    # certificate
    "0 = 1 from 0 >= 0": (certificate(FALSE, [[1, []]], ge(0, 0)), FACTOR),
    "an equation from a comparison": (certificate(eq(N, 0), [[1, [0]]], ge(N, 0)), FACTOR),
    "an equation from a strict comparison": (certificate(eq(N, 0), [[1, [0]]], gt(N, 0)), FACTOR),
    "an equation from nothing": (certificate(eq(N, 0), [[N, []]]), FACTOR),
    "a negative factor": (certificate(ge(0, N), [[-1, [0]]], ge(N, 0)), FACTOR),
    "a negative number": (certificate(ge(-1, 0), [[-1, []]]), FACTOR),
    "a letter for a factor": (certificate(ge(mul(M, N), 0), [[M, [0]]], ge(N, 0)), FACTOR),
    "a square for a factor": (certificate(ge(mul(M, M), 0), [[mul(M, M), []]]), FACTOR),
    "a factor that is no term": (certificate(ge(1, 0), [["n", []]]), NO_TERM + ", or nested too deeply"),
    "a factor with a real place": (certificate(ge(0, 0), [[mul(0, f(x())), []]]), NO_PLACE),
    "an equation used as > 0": (certificate(gt(N, 0), [[1, [0]]], eq(N, 0)), "no product is positive"),
    "> from >=": (certificate(gt(N, 0), [[1, [0]]], ge(N, 0)), "no product is positive"),
    "> from > times >=": (certificate(gt(mul(N, M), 0), [[1, [0, 1]]], gt(N, 0), ge(M, 0)), "no product is positive"),
    "> from > times =": (certificate(gt(mul(N, M), 0), [[1, [0, 1]]], gt(N, 0), eq(M, 0)), "no product is positive"),
    "> from no times >": (certificate(gt(N, N), [[0, [0]]], gt(N, 0)), "no product is positive"),
    "0 > 0 from nothing": (certificate(gt(0, 0), []), "no product is positive"),
    "0 >= 1 from nothing": (certificate(ge(0, 1), []), "the certificate does not add up"),
    "a wrong sum": (certificate(ge(N, 0), [[1, [0]], [1, []]], ge(N, 0)), "the certificate does not add up"),
    "a wrong premise": (certificate(ge(N, 0), [[1, [1]]], ge(N, 0), ge(M, 0)), "the certificate does not add up"),
    "a wrong product": (certificate(ge(mul(N, M), 0), [[1, [0]]], ge(N, 0), ge(M, 0)), "the certificate does not add up"),
    "a wrong side": (certificate(ge(0, N), [[1, [0]]], ge(N, 0)), "the certificate does not add up"),
    "a wrong scale": (certificate(ge(N, 0), [[1, [0]]], ge(N, 0), scale=2), "the certificate does not add up"),
    "scale 0": (certificate(ge(0, 1), [], scale=0), SCALE),
    "a negative scale": (certificate(ge(0, 1), [[1, []]], scale=-1), SCALE),
    "a scale that is no number": (certificate(ge(1, 0), [[1, []]], scale="n"), SCALE),
    "a scale that is a flag": (certificate(ge(1, 0), [[1, []]], scale=True), SCALE),
    "a flag that is a number": (certificate(ge(1, 0), [[1, []]], refute=0), SCALE),
    "a refutation that is a number": (certificate(ge(0, 0), [[1, [0]]], refute=1), SCALE),
    "refuting an equation": (certificate(eq(N, 0), [[1, [0]]], refute=True), "only a >= between integers can be refuted"),
    "refuting a strict comparison": (certificate(gt(N, 0), [[1, [0]]], refute=True), "only a >= between integers can be refuted"),
    "refuting a comparison of reals": (certificate(ge(x(), 1), [[1, [0]], [1, [1]]], gt(x(), 0), refute=True), "only a >= between integers can be refuted"),
    "a refutation without a contradiction": (certificate(ge(0, N), [[1, [1]]], ge(0, 0), refute=True), "the certificate does not add up"),
    "a refutation that comes to 0": (certificate(ge(N, 1), [[1, [0]], [1, [1]]], gt(N, 0), refute=True), "the certificate does not add up"),
    "the negation of a goal that is not refuted": (certificate(ge(0, 1), [[1, [0]]]), "no such premise"),
    "a place too far": (certificate(ge(N, 0), [[1, [1]]], ge(N, 0)), "no such premise"),
    "a place further": (certificate(ge(N, 0), [[1, [9]]], ge(N, 0)), "no such premise"),
    "a negative place": (certificate(ge(N, 0), [[1, [-1]]], ge(N, 0)), "no such premise"),
    "a flag for a place": (certificate(ge(N, 0), [[1, [False]]], ge(N, 0)), "no part of a proof"),
    "a name for places": (certificate(ge(N, 0), [[1, "n"]], ge(N, 0)), "no such premise"),
    "a number for places": (certificate(ge(N, 0), [[1, 0]], ge(N, 0)), "malformed: TypeError"),
    "a goal that compares nothing": (certificate(every("n", NATURAL), [], NATURAL), "an equation or a comparison is needed"),
    "a premise that compares nothing": (certificate(ge(1, 0), [[1, []]], every("n", NATURAL)), "an equation or a comparison is needed"),
    "a premise that is a derivative": (certificate(ge(1, 0), [[1, []]], d(["x"], 0, 0)), "an equation or a comparison is needed"),
    # antisymmetry, division, reciprocal
    "antisymmetry of one": ([*given(ge(N, M)), step("antisymmetry", of=[0, 0])], NO_RULE),
    "antisymmetry of other terms": ([*given(ge(N, M), ge(M, I)), step("antisymmetry", of=[0, 1])], NO_RULE),
    "antisymmetry of >": ([*given(gt(N, M), gt(M, N)), step("antisymmetry", of=[0, 1])], NO_RULE),
    "antisymmetry of >= and >": ([*given(ge(N, M), gt(M, N)), step("antisymmetry", of=[0, 1])], NO_RULE),
    "division by what may be 0": ([*given(ge(M, 0)), step("division", N, False, of=[0])], NO_RULE),
    "division by what is > 0": ([*given(gt(M, 1)), step("division", N, False, of=[0])], NO_RULE),
    "division by what is at most 1": ([*given(ge(1, M)), step("division", N, True, of=[0])], NO_RULE),
    "division by an equation": ([*given(eq(M, 1)), step("division", N, True, of=[0])], NO_RULE),
    "division with a number for a flag": ([*given(ge(M, 1)), step("division", N, 1, of=[0])], NO_RULE),
    "division of a real": ([*given(ge(M, 1)), step("division", x(), False, of=[0])], NO_PLACE),
    "division by a real": ([*given(ge(x(), 1)), step("division", N, False, of=[0])], NO_PLACE),
    "the reciprocal of what may be 0": ([*given(ge(mul(x(), x()), 0)), step("reciprocal", x(), of=[0])], NO_RULE),
    "the reciprocal of another": ([*given(gt(mul(x(), x()), 0)), step("reciprocal", y(), of=[0])], NO_RULE),
    "the reciprocal of what is not 0 with another": ([*given(gt(mul(x(), y()), 0)), step("reciprocal", x(), of=[0])], NO_RULE),
    "the reciprocal of what has a square > -1": ([*given(gt(mul(x(), x()), -1)), step("reciprocal", x(), of=[0])], NO_RULE),
    "the reciprocal of true": ([*given(gt(mul(1, 1), 0)), step("reciprocal", True, of=[0])], NO_TERM + ", or nested too deeply"),
    # rewrite
    "rewrite by a comparison": ([*given(NATURAL, ge(N, 3)), step("rewrite", of=[0, 1])], NO_RULE),
    "rewrite a place to a real": ([*given(ge(f(N), 0), eq(N, x())), step("rewrite", of=[0, 1])], NO_PLACE),
    "rewrite a bound to a real": ([*given(ge(SUM, 0), eq(N, x())), step("rewrite", of=[0, 1])], NO_PLACE),
    # period
    "period of n >= 1": ([step("period", ge(N, 1), "n")], "one period refutes it"),
    "period of 9 >= n": ([step("period", ge(9, N), "n")], "one period refutes it"),
    "period of 2 (n // 2) >= n": ([step("period", ge(mul(2, floor(N, 2)), N), "n")], "one period refutes it"),
    "period of n // 7 = (n + 1) // 7": ([step("period", eq(floor(N, 7), floor(add(N, 1), 7)), "n")], "one period refutes it"),
    "period of a late exception": ([step("period", eq(equals(N, 4000), 0), "n")], "one period refutes it"),
    "period of 100 >= 2n // 4": ([step("period", ge(100, floor(mul(2, N), 4)), "n")], "one period refutes it"),
    "period of a false iff": ([step("period", ["iff", ge(N, 3), ge(N, 4)], "n")], "one period refutes it"),
    "period of 0 = 1": ([step("period", FALSE, "n")], "one period refutes it"),
    "period of n n >= n": ([step("period", ge(mul(N, N), N), "n")], "the formula is not linear in what grows"),
    "period of n (n // 2)": ([step("period", ge(mul(N, floor(N, 2)), 0), "n")], "the formula is not linear in what grows"),
    "period of n n [n = 3]": ([step("period", ge(mul(N, N, equals(N, 3)), 0), "n")], "the formula is not linear in what grows"),
    "period of n [n = 3], and more": ([step("period", ge(2, mul(N, equals(N, 3))), "n")], "one period refutes it"),
    "period of n [n >= 4] >= n": ([step("period", ge(mul(N, le(4, N)), N), "n")], "one period refutes it"),
    "period of -n [n >= 4] >= -99": ([step("period", ge(mul(-1, N, le(4, N)), -99), "n")], "one period refutes it"),
    "period of 99 >= n (n // 2 - n // 2) // 2": ([step("period", ge(99, mul(N, floor(add(5, mul(-7, le(N, 2))), 2))), "n")], "one period refutes it"),
    **{
        f"period of n times {name}": ([step("period", ge(mul(N, *factors), 0), "n")], "what grows is multiplied by what does not become constant")
        for name, factors in {
            "[n even]": [equals(remainder(2), 0)],
            "[n mod 5 <= 3]": [le(remainder(5), 3)],
            "[n mod 5 >= 1]": [le(1, remainder(5))],
            "[n odd] [n mod 3 = 2]": [equals(remainder(2), 1), equals(remainder(3), 2)],
            "(n mod 3) // 2": [floor(remainder(3), 2)],
            "[n mod 2000 = 1998]": [equals(remainder(2000), 1998)],
        }.items()
    },
    "period of two letters": ([step("period", ge(add(N, M), N), "n")], "only floors and indicators of the one letter can be decided"),
    "period of another letter": ([step("period", NATURAL, "m")], "only floors and indicators of the one letter can be decided"),
    "period of a function": ([step("period", ge(f(N), f(0)), "n")], "only floors and indicators of the one letter can be decided"),
    "period of a sum": ([step("period", ge(total("i", 0, N, I), 0), "n")], "only floors and indicators of the one letter can be decided"),
    "period of a real": ([step("period", ge(exp(N), 0), "n")], "only floors and indicators of the one letter can be decided"),
    "period of a floor by 0": ([step("period", ge(floor(N, 0), 0), "n")], "a divisor must be a positive number"),
    "period of a floor by -2": ([step("period", ge(0, floor(N, -2)), "n")], "a divisor must be a positive number"),
    "period of a floor by a letter": ([step("period", ge(floor(N, N), 0), "n")], "a divisor must be a positive number"),
    "period of >": ([step("period", gt(add(N, 1), 0), "n")], "only =, >= and iff can be decided"),
    "period of all": ([step("period", every("n", NATURAL), "n")], "only =, >= and iff can be decided"),
    "period of iff of >": ([step("period", ["iff", gt(N, 0), gt(N, 0)], "n")], "only =, >= and iff can be decided"),
    "period over no letter": ([step("period", ge(1, 0), 5)], "a name is no identifier"),
    # indicators
    "indicator of true": ([step("indicator", True, 1)], NO_TERM + ", or nested too deeply"),
    "within from the other side": ([*given(ge(N, M)), step("within", N, M, of=[0])], NO_RULE),
    "within from > the other way": ([*given(gt(M, N)), step("within", N, M, of=[0])], NO_RULE),
    "within from =": ([*given(eq(M, N)), step("within", N, M, of=[0])], NO_RULE),
    # sums
    "a last term of what may have none": ([*given(ge(N, -1)), step("last_term", SUM, of=[0])], NO_RULE),
    "a last term from the other side": ([*given(ge(0, N)), step("last_term", SUM, of=[0])], NO_RULE),
    "a last term from an equation": ([*given(eq(N, 0)), step("last_term", SUM, of=[0])], NO_RULE),
    "no term where there may be one": ([*given(ge(0, N)), step("last_term", SUM, of=[0])], NO_RULE),
    "no term from >": ([*given(gt(0, add(N, 1))), step("last_term", SUM, of=[0])], NO_RULE),
    "the last term of a product": ([*given(NATURAL), step("last_term", mul(0, N, 1, 1), of=[0])], NO_RULE),
    "the last term at a real bound": ([*given(ge(x(), 0)), step("last_term", total("i", 0, x(), 1), of=[0])], NO_PLACE),
    "exchange under a bound that mentions a name": ([step("exchange", total("i", 0, N, total("j", 0, I, f(I, J))), [1, 0])], NOT_ARBITRARY),
    "exchange under a bound that mentions an inner name": ([step("exchange", total("i", J, N, total("j", 0, 1, f(I, J))), [1, 0])], NOT_ARBITRARY),
    "exchange of one name": ([step("exchange", total("i", 0, 1, total("i", 0, 2, f(I))), [1, 0])], ORDER),
    "exchange of one sum twice": ([step("exchange", NESTED, [0, 0])], ORDER),
    "exchange of places that are not there": ([step("exchange", NESTED, [1, 2])], ORDER),
    "exchange of places from the end": ([step("exchange", NESTED, [-1, 0])], ORDER),
    "exchange with a flag for a place": ([step("exchange", NESTED, [True, 0])], "no part of a proof"),
    "exchange of a sum and another term": ([step("exchange", total("i", 0, 1, ["at", "g", 0, 1, f(I)]), [1, 0])], ORDER),
    "exchange of more sums than there are": ([step("exchange", total("i", 0, 1, I), [0, 1, 2])], "malformed: IndexError"),
    "exchange of no order": ([step("exchange", SUM, 0)], "malformed: TypeError"),
    "reindex of a product": ([step("reindex", mul(0, N, 1, 1), 1, M)], NO_RULE),
    "reindex by its own name": ([step("reindex", SUM, 1, I)], NOT_ARBITRARY),
    "reindex by a real": ([step("reindex", SUM, 1, x())], NOT_INTEGRAL),
    "reindex by a half": ([step("reindex", SUM, 1, inv(2))], NOT_INTEGRAL),
    "reindex by two": ([step("reindex", SUM, 2, 0)], NO_RULE),
    "reindex by nothing": ([step("reindex", SUM, 0, 0)], NO_RULE),
    "reindex by true": ([step("reindex", SUM, True, 0)], NO_TERM + ", or nested too deeply"),
    "sift at its own name": ([step("sift", "i", 0, N, f(I), add(I, 1))], NOT_ARBITRARY),
    "sift at a real": ([step("sift", "i", 0, N, f(I), x())], NOT_INTEGRAL),
    "sift of no name": ([step("sift", 1, 0, N, f(I), M)], "a name is no identifier"),
    "sift at a real bound": ([step("sift", "i", x(), N, f(I), M)], NO_PLACE),
    "under a sum of another body": (under(eq(f(J), 0)), NO_RULE),
    "under a sum by a comparison": (under(ge(f(I), 0)), NO_RULE),
    "under a sum, of the other side": (under(eq(0, f(I))), NO_RULE),
    "under what is no sum": (under(eq(f(I), 0), term=mul(0, N, 1, f(I))), NO_RULE),
    "under a sum where the premise is about the index": (under(eq(f(I), 0)), NOT_ARBITRARY),
    "under a sum where a hypothesis is about the index": (under(eq(f(I), f(I)), ge(I, 1)), NOT_ARBITRARY),
    "under a sum above a greater bound": (under(eq(f(I), f(I)), ge(add(N, -1), I)), NOT_ARBITRARY),
    "under a sum with its name in a bound": (under(eq(f(I), f(I)), term=total("i", 0, I, f(I))), NOT_ARBITRARY),
    "under a sum with its name in the lower bound": (under(eq(f(I), f(I)), term=total("i", I, N, f(I))), NOT_ARBITRARY),
    # derivatives
    "the logarithm of what may be negative": (differential(log(x())), NOT_POSITIVE),
    "the logarithm of what may be 0": (differential(log(x()), ge(x(), 0)), NOT_POSITIVE),
    "the logarithm of 0": (differential(log(x()), eq(x(), 0)), NOT_POSITIVE),
    "the logarithm of what is not 0": (differential(log(x()), gt(mul(x(), x()), 0)), NOT_POSITIVE),
    "the reciprocal of what moves through 0": (differential(inv(x())), NOT_POSITIVE),
    "the reciprocal with a positive other": (differential(inv(x()), gt(mul(x(), y()), 0), gt(y(), 0)), NOT_POSITIVE),
    "the reciprocal of what is positive": (differential(inv(x()), gt(x(), 0)), NOT_POSITIVE),
    "a jump": (differential(le(0, x())), NOT_POSITIVE),
    "a jump in a product": (differential(mul(x(), equals(N, x())), gt(mul(x(), x()), 0)), NOT_POSITIVE),
    "a jump beside another that is none": (differential(add(le(x(), 1), le(x(), 2)), gt(mul(minus(x(), 1), minus(x(), 1)), 0)), NOT_POSITIVE),
    "a logarithm within an exponential": (differential(exp(log(x()))), NOT_POSITIVE),
    "a logarithm in a jump": (differential(le(log(x()), 0), gt(mul(log(x()), log(x())), 0)), NOT_POSITIVE),
    "what moves in a place": (differential(f(le(x(), 0))), MOVES_WITHIN),
    "what moves in a place of what moves": (differential(x(le(x(), 0))), MOVES_WITHIN),
    "what moves in a place of what stays": (differential(y(le(x(), 0))), MOVES_WITHIN),
    "what moves in a floor": (differential(floor(le(x(), 0), 2)), MOVES_WITHIN),
    "what moves in a lower bound": (differential(total("i", le(x(), 0), N, I)), MOVES_WITHIN),
    "what moves in an upper bound": (differential(total("i", 0, le(x(), 0), x())), MOVES_WITHIN),
    "a sum whose name is in its bound": (differential(total("i", 0, I, x(I))), NOT_ARBITRARY),
    "a sum within a sum of its name": (differential(total("i", 0, 1, total("i", 0, 2, x(I)))), NOT_ARBITRARY),
    "a sum whose name is in a bound around it": (differential(total("j", 0, I, total("i", 0, 2, x(I)))), NOT_ARBITRARY),
    "a sum whose name is in a lower bound around it": (differential(total("j", I, 9, total("i", 0, 2, x(I)))), NOT_ARBITRARY),
    "a sum of what is positive at one index": (differential(total("i", 0, N, log(x(I))), gt(x(I), 0)), NOT_ARBITRARY),
    "a sum of what is positive from 1 on": (summed_log([ge(I, 1), ge(N, I)]), NOT_ARBITRARY),
    "a sum of what is positive up to another bound": (summed_log([ge(I, 0), ge(M, I)]), NOT_ARBITRARY),
    "a sum of what is positive for some index around it": (
        summed_log([ge(J, 1), ge(N, I)], total("j", 0, 1, total("i", 0, N, log(exp(x(I)))))),
        NOT_ARBITRARY,
    ),
    "a derivative along no functions": (differential(x(), names=[1]), "a name is no identifier"),
    "a derivative along a name for names": ([step("differential", "x", x())], "no formula"),
    "a derivative of no term": ([step("differential", ["x"], ["foo", x(), x()])], NO_TERM),
    "a derivative of half a term": ([step("differential", ["x"], ["exp", x(), x()])], NO_TERM),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSES)
def test_a_rule_refuses(name):
    steps, expected = REFUSES[name]
    assert complaint(written([], FALSE, steps)) == f"step {len(steps) - 1}: {expected}"
    in_the_kernel(steps[:-1])
    with pytest.raises((algebra.Refused, AttributeError, LookupError, TypeError, ValueError)):
        in_the_kernel(steps)


# --- what is seen to be equal -----------------------------------------------------------------------------------------


def both(index, body):
    return total(index, 0, 2, body)


SAME = [
    (add(N, M, N), add(M, mul(2, N))),
    (mul(add(N, M), add(N, M)), add(mul(N, N), mul(2, M, N), mul(M, M))),
    (add(N, mul(-1, N)), 0),
    (mul(0, x()), 0),
    (add(mul(x(), y()), -3, 3), mul(y(), x())),
    (floor(N, 1), N),
    (floor(7, 2), 3),
    (floor(-7, 2), -4),
    (floor(0, 5), 0),
    (floor(f(add(N, M)), M), floor(f(add(M, N)), mul(1, M))),
    (equals(1, 1), 1),
    (equals(1, 2), 0),
    (equals(2, 1), 0),
    (le(1, 1), 1),
    (le(1, 2), 1),
    (le(2, 1), 0),
    (le(N, add(N, 1)), 1),
    (le(x(), add(x(), -1)), 0),
    (equals(N, M), equals(M, N)),
    (equals(N, 3), equals(3, N)),
    (equals(add(N, x()), M), equals(minus(M, N), x())),
    (le(N, M), le(0, minus(M, N))),
    (mul(equals(N, M), equals(M, N)), equals(N, M)),
    (mul(le(N, M), N, le(N, M), le(N, M), N), mul(N, N, le(N, M))),
    (mul(le(N, M), equals(N, M), le(N, M)), mul(equals(N, M), le(N, M))),
    (mul(add(1, equals(N, 0)), add(1, equals(N, 0))), add(1, mul(3, equals(N, 0)))),
    (f(add(N, N)), f(mul(2, N))),
    (x(1, N), x(1, add(N, 0))),
    (inv(add(x(), x())), inv(mul(2, x()))),
    (exp(log(N)), exp(log(mul(N, 1)))),
    (both("i", f(I)), both("j", f(J))),
    (both("i", add(f(I), mul(3, x(I)))), add(both("j", f(J)), mul(3, both("i", x(I))))),
    (both("i", mul(x(), f(I), N)), mul(N, x(), both("i", f(I)))),
    (both("i", 5), mul(5, both("i", 1))),
    (both("i", N), mul(both("j", 1), N)),
    (both("i", 0), 0),
    (both("i", mul(add(I, N), add(I, N))), add(both("i", mul(I, I)), mul(2, N, both("i", I)), mul(N, N, both("i", 1)))),
    (both("i", both("j", mul(f(I), g(J)))), mul(both("i", f(I)), both("i", g(I)))),
    (both("i", both("j", f(I, J))), both("j", both("i", f(J, I)))),
    (both("i", both("j", f(I, J))), both("n'", both("n", f(v("n'"), N)))),
    (both("i", both("i", f(I))), mul(both("i", 1), both("i", f(I)))),
    (both("i", total("j", 0, I, f(J))), both("k", total("i", 0, K, f(I)))),
    (both("i", total("j", I, add(I, M), x(I, J, N))), both("j", total("i", J, add(M, J), x(J, I, N)))),
    (both("i", equals(I, N)), both("j", equals(N, J))),
    (both("i", mul(equals(I, N), equals(N, I), x(I))), both("i", mul(equals(N, I), x(I)))),
    (both("i", both("j", equals(I, J))), both("j", both("i", equals(I, J)))),
    (both("i", f(both("j", mul(J, I)))), both("i", f(mul(I, both("i", I))))),
    (both("i", exp(both("j", f(I, J)))), both("j", exp(both("i", f(J, I))))),
    (both("i", both("j", both("k", f(I, J, K)))), both("k", both("i", both("j", f(K, I, J))))),
    (both("i", both("j", mul(f(I), both("k", f(J, K))))), mul(both("i", f(I)), both("i", both("j", f(I, J))))),
    (both("i", mul(le(I, N), le(I, N))), both("i", le(I, N))),
    (both("i", total("j", both("k", K), I, f(J))), both("i", total("j", both("i", I), I, f(J)))),
]
DIFFER = [
    (N, M),
    (N, 0),
    (x(), 0),
    (2, 3),
    (mul(N, N), N),
    (mul(2, N), N),
    (N, v("n'")),
    (f(N), g(N)),
    (f(N), f(M)),
    (f(N), f(N, N)),
    (f(N, M), f(M, N)),
    (f(N), ["re", "f", N]),
    (x(), ["v", "x"]),
    (x(), x(0)),
    (mul(f(N), f(N)), f(N)),
    (inv(N), exp(N)),
    (exp(N), log(N)),
    (inv(inv(N)), N),
    (mul(N, inv(N)), 1),
    (floor(N, M), floor(M, N)),
    (floor(N, 2), floor(N, 3)),
    (floor(mul(2, N), 2), N),
    (floor(4, -2), -2),
    (floor(4, 0), 0),
    (floor(4, M), 4),
    (floor(N, 0), N),
    (le(N, M), le(M, N)),
    (le(N, M), le(N, add(M, 1))),
    (equals(N, M), equals(N, add(M, 1))),
    (equals(N, M), le(N, M)),
    (equals(N, 1), equals(mul(2, N), 2)),
    (equals(N, 1), equals(N, -1)),
    (both("i", f(I)), f(I)),
    (both("i", f(I)), both("i", f(J))),
    (both("i", I), both("i", N)),
    (both("i", 1), 3),
    (both("i", mul(f(I), f(I))), mul(both("i", f(I)), both("i", f(I)))),
    (total("i", 0, 2, f(I)), total("i", 0, 3, f(I))),
    (total("i", 0, 2, f(I)), total("i", 1, 2, f(I))),
    (total("i", 0, N, f(I)), total("i", N, 0, f(I))),
    (total("i", 0, I, f(I)), total("j", 0, J, f(J))),
    (both("i", both("j", f(I, J))), both("i", both("j", f(J, I)))),
    (both("i", total("j", 0, I, f(J))), both("i", total("j", I, 0, f(J)))),
    (both("i", total("j", 0, 3, f(I, J))), total("j", 0, 3, both("i", f(I, J)))),
    (both("i", both("j", both("k", f(I, J, K)))), both("i", both("j", both("k", f(J, I, K))))),
    (both("i", both("j", both("k", f(I, J, K)))), both("i", both("j", both("k", f(K, J, I))))),
    (both("i", both("j", f(I, I, J))), both("i", both("j", f(I, J, J)))),
    (both("i", total("j", 0, I, f(I))), both("i", total("j", 0, I, f(J)))),
    (both("i", f(both("j", f(I, J)))), both("i", f(both("j", f(J, I))))),
]


def test_what_is_the_same():
    for a, b in SAME:
        assert recheck.same(recheck.poly(tuples(a)), recheck.poly(tuples(b))), (a, b)
    for a, b in DIFFER:
        assert not recheck.same(recheck.poly(tuples(a)), recheck.poly(tuples(b))), (a, b)


def test_what_is_the_same_of_many():
    """Every left side with every right side, as the kernel has it."""
    ours = [[recheck.poly(tuples(term)) for term in side] for side in zip(*SAME, *DIFFER, strict=True)]
    kernels = [[algebra.normal(tuples(term)) for term in side] for side in zip(*SAME, *DIFFER, strict=True)]
    for i, j in itertools.product(range(len(ours[0])), repeat=2):
        assert recheck.same(ours[0][i], ours[1][j]) == (kernels[0][i] == kernels[1][j]), (i, j)


@pytest.mark.parametrize(
    ("term", "value"),
    [(5, 5), (0, 0), (add(N, mul(-1, N)), 0), (minus(N, add(N, 7)), -7), (N, None), (add(N, 1), None), (inv(2), None)],
)
def test_the_number_that_a_term_is(term, value):
    assert recheck.number(recheck.poly(tuples(term))) == value


def drawn(rng, depth, names):
    """A random term; one in some has a place that is no integer."""
    kind = rng.random()
    if depth == 0 or kind < 0.2:
        return rng.choice([rng.randint(-1, 2), *[("v", name) for name in names], ("re", "x"), ("v", names[0])])
    a, b = drawn(rng, depth - 1, names), drawn(rng, depth - 1, names)
    if kind < 0.5:
        return (rng.choice("+*"), a, b)
    if kind < 0.68:
        place = ("v", rng.choice(names)) if rng.random() < 0.6 else a
        return rng.choice([("at", "f", place), ("re", "x", place, 1), ("//", place, rng.choice([1, 2, 0]))])
    if kind < 0.8:
        return (rng.choice(["is", "le"]), a, b)
    if kind < 0.85:
        return (rng.choice(["exp", "inv", "log"]), a)
    index = rng.choice("ijk")
    return ("sum", index, rng.choice([0, ("v", names[0])]), 2, drawn(rng, depth - 1, sorted({*names, index})))


def shuffled(rng, term):
    """A term that is equal, but for one in many changes."""
    if type(term) is int or term[0] == "v":
        return term if rng.random() < 0.93 else 1
    head, *parts = term
    if head == "sum" and rng.random() < 0.5:
        other = rng.choice(["p", "q", "r"])
        return ("sum", other, *parts[1:3], shuffled(rng, algebra.substitute(parts[3], {parts[0]: ("v", other)})))
    parts = [part if type(part) is str else shuffled(rng, part) for part in parts]
    if head in ("+", "*", "is"):
        rng.shuffle(parts)
    if head == "*" and type(parts[0]) is tuple and parts[0][0] == "+":
        return ("+", *(("*", each, *parts[1:]) for each in parts[0][1:]))
    return (head, *parts)


def test_the_kernel_sees_the_same():
    rng, seen = random.Random(8), {True: 0, False: 0, None: 0}
    for _ in range(500):
        term = drawn(rng, 4, ["i", "n"])
        pair = term, shuffled(rng, term)
        try:
            expected = algebra.normal(pair[0]) == algebra.normal(pair[1])
        except algebra.Refused:
            expected = None
            with pytest.raises(recheck.Wrong):
                list(map(recheck.poly, pair))
        else:
            assert recheck.same(*map(recheck.poly, pair)) == expected, pair
        seen[expected] += 1
    assert min(seen.values()) >= 50, seen


# --- periods ----------------------------------------------------------------------------------------------------------


def value(term, n):
    if type(term) is int:
        return term
    head, *parts = term
    if head == "v":
        return n
    values = [value(part, n) for part in parts]
    if head in "+*":
        return sum(values) if head == "+" else math.prod(values)
    a, b = values
    return a // b if head == "//" else int(a == b if head == "is" else a <= b)


def holds(formula, n):
    head, a, b = formula
    if head == "iff":
        return holds(a, n) == holds(b, n)
    return value(a, n) == value(b, n) if head == "=" else value(a, n) >= value(b, n)


def grown(rng, depth):
    """A random quasi-affine function of n."""
    kind = rng.random()
    if depth == 0 or kind < 0.2:
        return rng.choice([N, N, rng.randint(-4, 7)])
    a, b = grown(rng, depth - 1), grown(rng, depth - 1)
    if kind < 0.5:
        return add(a, b)
    if kind < 0.65:
        return mul(rng.choice([-3, -1, 2, a]), a)
    if kind < 0.75:
        factors = [
            equals(b, rng.randint(0, 3)),
            le(b, 3),
            le(3, b),
            floor(add(le(b, 2), 5), 3),
            floor(mul(-3, le(b, 2)), 2),
        ]
        return mul(a, *rng.sample(factors, rng.randint(1, 2)))
    return floor(a, rng.choice([2, 3, 4, 6])) if kind < 0.9 else [rng.choice(["is", "le"]), a, b]


def test_a_period_decides():
    """Against the sizes up to 1000, one by one, and up to 10 000 to find one that refutes."""
    rng, seen = random.Random(4), {True: 0, False: 0, None: 0}
    for _ in range(200):
        a, b = grown(rng, 3), grown(rng, 2)
        formula = rng.choice([ge(mul(4, add(a, 9)), b), ge(a, minus(a, le(b, 3))), ["iff", ge(a, b), ge(add(a, 1), add(b, 1))], ["iff", eq(a, 5), ge(b, 2)], eq(floor(floor(a, 2), 3), floor(a, 6))])  # fmt: skip
        proof = written([NATURAL], formula, [step("period", formula, "n")])
        try:
            recheck.check(proof)
        except recheck.Wrong as error:
            decided = False if "one period" in str(error) else None
        else:
            decided = True
        seen[decided] += 1
        if decided is not None:
            assert all(holds(formula, n) for n in range(1_000 if decided else 10_000)) == decided, formula
    assert min(seen.values()) >= 20, seen


# --- what is no proof -------------------------------------------------------------------------------------------------

ONE = step("identity", 1, 1)


class Lying(type):
    """Makes classes that say that they equal every other."""

    def __eq__(cls, other):
        return True

    __hash__ = type.__hash__


def lying(value):
    """The same, of a class that is not what it says."""
    return Lying("Lying", (type(value),), {})(value)


SOUND = {"hypotheses": [], "conclusion": eq(1, 1), "steps": [ONE]}
NO_STEP = "a step has a rule, arguments, premises"
CYCLIC = ["+"]
CYCLIC.append(CYCLIC)


@pytest.mark.parametrize(
    ("proof", "expected"),
    [
        (None, "no proof term"),
        ([], "no proof term"),
        ("steps", "no proof term"),
        (7, "no proof term"),
        ({}, "no proof term"),
        (lying(SOUND), "no proof term"),
        ({**SOUND, "steps": lying([ONE])}, "no proof term"),
        ({**SOUND, "steps": [lying(ONE)]}, f"step 0: {NO_STEP}"),
        ({**SOUND, "steps": [{**ONE, "rule": lying("identity")}]}, "step 0: no part of a proof"),
        ({**SOUND, "steps": [{**ONE, "arguments": lying([1, 1])}]}, "step 0: no part of a proof"),
        ({**SOUND, "steps": [{**ONE, "arguments": [1, lying(1)]}]}, "step 0: no part of a proof"),
        ({**SOUND, "conclusion": [lying("="), 1, 1]}, "no part of a proof"),
        ({"hypotheses": [], "conclusion": eq(1, 1)}, "no proof term"),
        ({"hypotheses": [], "steps": [ONE]}, "no proof term"),
        ({"conclusion": eq(1, 1), "steps": [ONE]}, "no proof term"),
        ({"hypotheses": [], "conclusion": eq(1, 1), "steps": {}}, "no proof term"),
        ({"hypotheses": [], "conclusion": eq(1, 1), "steps": "ab"}, "no proof term"),
        (written([], eq(1, 1), []), "a proof has steps"),
        (written([], eq(1, 1), [5]), f"step 0: {NO_STEP}"),
        (written([], eq(1, 1), [ONE, None]), f"step 1: {NO_STEP}"),
        (written([], eq(1, 1), [[]]), f"step 0: {NO_STEP}"),
        (written([], eq(1, 1), [{"rule": "identity", "arguments": [1, 1]}]), f"step 0: {NO_STEP}"),
        (written([], eq(1, 1), [{**ONE, "more": 1}]), f"step 0: {NO_STEP}"),
        (written([], eq(1, 1), [{**ONE, "rule": 5}]), f"step 0: {NO_RULE}"),
        (written([], eq(1, 1), [{**ONE, "rule": ["identity"]}]), f"step 0: {NO_RULE}"),
        (written([], eq(1, 1), [{**ONE, "rule": None}]), "step 0: no part of a proof"),
        (written([], eq(1, 1), [{**ONE, "rule": True}]), "step 0: no part of a proof"),
        (written([], eq(1, 1), [{**ONE, "arguments": "ab"}]), f"step 0: {NO_RULE}"),
        (written([], eq(1, 1), [{**ONE, "arguments": 5}]), f"step 0: {NO_RULE}"),
        (written([], eq(1, 1), [{**ONE, "arguments": {}}]), "step 0: no part of a proof"),
        (written([], eq(1, 1), [{**ONE, "premises": {}}]), "step 0: no part of a proof"),
        (written([], eq(1, 1), [{**ONE, "premises": ""}]), "step 0: no part of a proof"),
        (written([], eq(1, 1), [{**ONE, "premises": 5}]), "step 0: malformed: TypeError"),
        (written([], eq(1, 1), [{**ONE, "premises": [0]}]), "step 0: a premise must be an earlier step"),
        (written([], eq(1, 1), [ONE, {**ONE, "premises": [1]}]), "step 1: a premise must be an earlier step"),
        (written([], eq(1, 1), [ONE, {**ONE, "premises": [7]}]), "step 1: a premise must be an earlier step"),
        (written([], eq(1, 1), [ONE, {**ONE, "premises": [-1]}]), "step 1: a premise must be an earlier step"),
        (written([], eq(1, 1), [ONE, {**ONE, "premises": [False]}]), "step 1: a premise must be an earlier step"),
        (written([], eq(1, 1), [ONE, {**ONE, "premises": ["n"]}]), "step 1: a premise must be an earlier step"),
        (written([], eq(1, 1), [ONE, {**ONE, "premises": "n"}]), "step 1: a premise must be an earlier step"),
        (written([], eq(1, 1), [ONE, {**ONE, "premises": [0]}]), f"step 1: {NO_RULE}"),
        (written([], eq(1, 1), [step("positive", 1), ONE, {}]), f"step 2: {NO_STEP}"),
        (written([], eq(1, 2), [ONE]), "the last step concludes something else"),
        (written([], eq(1, 1), [ONE, step("identity", 1, mul(1, 1))]), "the last step concludes something else"),
        (written([], eq(True, 1), [ONE]), "no term, or nested too deeply"),
        (written([], [eq(1, 1)], [ONE]), "no formula"),
        (written([], 1, [ONE]), "no formula"),
        (written([], None, [ONE]), "no part of a proof"),
        (written([ge(f(x()), 0)], eq(1, 1), [ONE]), NO_PLACE),
        (written([1], eq(1, 1), [ONE]), "no formula"),
        (written([[]], eq(1, 1), [ONE]), "no formula"),
        (written("n", eq(1, 1), [ONE]), "no formula"),
        (written("", eq(1, 1), [ONE]), "no part of a proof"),
        (written({}, eq(1, 1), [ONE]), "no part of a proof"),
        (written(None, eq(1, 1), [ONE]), "no part of a proof"),
        (written(5, eq(1, 1), [ONE]), "malformed: TypeError"),
        (written([], ge(N, 0), given(NATURAL)), "the last step rests on a hypothesis that is not stated"),
        (written([ge(M, 0)], ge(N, 0), given(NATURAL)), "the last step rests on a hypothesis that is not stated"),
    ],
)
def test_what_is_no_proof(proof, expected):
    assert complaint(proof) == expected


def test_more_may_be_stated_and_written_than_is_needed():
    recheck.check({**written([NATURAL, gt(N, 5)], NATURAL, given(NATURAL)), "name": "more"})


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        *[(each, "no part of a proof") for each in (1.5, math.nan, None, {}, "", b"n", {1}, add(1, 2.0), add(1, None))],
        *[(each, "no term, or nested too deeply") for each in ("n", [], ["v"], ["at"], ["+"], [5], [[]], True, f([]), f("n"))],
        *[(["v", each], "a name is no identifier") for each in (1, "1x", "x y", "'", "a-b", N, [], "\ud800", "n\0")],
        (["re", 5], "a name is no identifier"),
        (["at", N, 0], "a name is no identifier"),
        (["sum", 1, 0, 1, 0], "a name is no identifier"),
        (d(["x"], 0, 0), "a name is no identifier"),
        *[(each, NO_TERM) for each in (["v", "n", 1], ["at", "f"], floor(1, 2)[:2], ["//", 1, 2, 3], ["is", 1], [*le(1, 2), 3])],
        *[(each, NO_TERM) for each in (["inv", 1, 1], ["exp", 1, 1], ["log", 1, 1], SUM[:4], [*SUM, 1], every("n", 0), eq(1, 1))],
        *[(each, NO_TERM) for each in (["foo", 1], [1, 2], [N, 1], ["-", 1, 2], ["b", 0], ["b", 1, 2], ["iff", 1, 2])],
        (CYCLIC, "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_no_term(term, expected):
    if term is not True:
        with pytest.raises(recheck.Wrong, match=f"^{expected}$"):
            recheck.read_term(term)
    for steps in ([step("identity", term, 0)], [*given(every("n", NATURAL)), step("specialize", term, of=[0])]):
        assert complaint({**written([], FALSE, []), "steps": steps}) == f"step {len(steps) - 1}: {expected}"


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        *[(each, "no formula") for each in (5, "n", [], ["="], eq(1, 1)[:2], [*eq(1, 1), 1], ["<", 0, 1], ["iff", NATURAL])],
        *[(each, "no formula") for each in (["iff", 0, 1], ["iff", NATURAL, 0], every("n", 0), ["all", "n"], N, ["all", NATURAL])],
        *[(each, "no formula") for each in (d("x", 0, 0), d(["x"], 0, 0)[:3], d(5, 0, 0), ["d", ["x"], 0, 0, 0], [1, 2, 3])],
        (every(1, NATURAL), "a name is no identifier"),
        (every("1", NATURAL), "a name is no identifier"),
        (d(["x", "1"], 0, 0), "a name is no identifier"),
        (d([["x"]], 0, 0), "a name is no identifier"),
        (d(["x"], x(x()), 0), NO_PLACE),
        (d(["x"], 0, x(x())), NO_PLACE),
        (eq(0, f(x())), NO_PLACE),
        (gt(f(x()), 0), NO_PLACE),
        (ge(f(total("i", 0, 1, x(I))), 0), NO_PLACE),
        (["iff", NATURAL, ge(f(x()), 0)], NO_PLACE),
        (["iff", ge(f(x()), 0), NATURAL], NO_PLACE),
        (every("n", ge(f(x()), 0)), NO_PLACE),
        (eq(1, NATURAL), NO_TERM),
        (eq(NATURAL, 1), NO_TERM),
        (d(["x"], NATURAL, 1), NO_TERM),
        (d(["x"], 1, NATURAL), NO_TERM),
    ],
)  # fmt: skip
def test_what_is_no_formula(formula, expected):
    with pytest.raises(recheck.Wrong, match=f"^{expected}$"):
        recheck.read_formula(formula)
    assert complaint(written([], FALSE, given(formula))) == f"step 0: {expected}"
    assert complaint(written([formula], eq(1, 1), [ONE])) == expected


def test_what_is_read_is_tuples():
    assert recheck.read_term(mul(N, x())) == ("*", ("v", "n"), ("re", "x"))
    assert recheck.read_formula(tuples(d(["x"], x(), 1))) == ("d", ("x",), ("re", "x"), 1)


def test_true_is_not_1_where_the_same_term_was_met():
    steps = [
        *given(gt(mul(1, 1), 0)),
        step("identity", mul(1, inv(1)), mul(inv(1), 1)),
        step("reciprocal", True, of=[0]),
    ]
    assert complaint(written([], FALSE, steps)) == "step 2: no term, or nested too deeply"


def test_a_changed_proof_is_refused_or_says_no_more_than_the_kernel():
    """Leaves of written proofs are exchanged at random; nothing but `Wrong` comes out."""
    rng, refused = random.Random(2), 0
    others = [
        0,
        1,
        -1,
        2,
        True,
        None,
        [],
        "n",
        "i",
        "x",
        "+",
        "=",
        ">=",
        ["v", "n"],
        ["re", "x"],
        {},
        1.0,
        "",
        "sum",
        "d",
    ]
    for steps, hypotheses, conclusion in YIELDS.values():
        for _ in range(8):
            proof = copy.deepcopy(written(hypotheses, conclusion, steps))
            part = proof
            while True:
                key = rng.choice(list(part) if isinstance(part, dict) else range(len(part)))
                if not isinstance(part[key], (dict, list)) or not part[key]:
                    break
                part = part[key]
            part[key] = rng.choice([each for each in others if each != part[key] or type(each) is not type(part[key])])
            try:
                recheck.check(proof)
            except recheck.Wrong:
                refused += 1
                continue
            theorem = in_the_kernel(proof["steps"])[-1]
            assert theorem.conclusion == tuples(proof["conclusion"])
            assert set(theorem.hypotheses) <= set(map(tuples, proof["hypotheses"]))
    assert refused >= 7 * len(YIELDS)


# --- bounds -----------------------------------------------------------------------------------------------------------


def nested(head, times, core):
    for _ in range(times):
        core = [head, core] if head == "inv" else f(core)
    return core


def test_depth_is_bounded():
    """At 200 lists around a number."""
    for times, expected in ((198, f"step 0: {DIFFERENT}"), (199, "step 0: nested too deeply")):
        assert complaint(written([], FALSE, [step("identity", nested("inv", times, 1), 0)])) == expected
    recheck.read_term(nested("inv", 199, 1))
    with pytest.raises(recheck.Wrong, match=r"^nested too deeply$"):
        recheck.read_term(nested("inv", 200, 1))


def test_the_depth_of_results_is_bounded():
    """Terms grow together to 200 lists, and no further."""
    for times in (99, 100):
        steps = [*given(eq(nested("f", 100, N), 0)), step("instantiate", [["n", nested("f", times, M)]], of=[0])]
        if times == 99:
            assert complaint(written([], FALSE, steps)) == "the last step concludes something else"
        else:
            assert complaint(written([], FALSE, steps)) == "step 1: no term, or nested too deeply"


@pytest.mark.parametrize(
    "wrap", [lambda h: ["iff", h, NATURAL], lambda h: ["iff", NATURAL, h], lambda h: every("m", h)]
)
def test_the_depth_of_formulas_is_bounded(wrap):
    core = NATURAL
    for _ in range(190):
        core = wrap(core)
    steps = [*given(core), *[step("generalize", "k", of=[place]) for place in range(9)]]
    assert complaint(written([], FALSE, steps)) == "the last step concludes something else"
    steps.append(step("generalize", "k", of=[9]))
    assert complaint(written([], FALSE, steps)) == "step 10: nested too deeply"


def test_a_proof_may_be_checked_deep_within_a_program():
    """The limit of the interpreter is a refusal too."""
    proof = written([], FALSE, [step("identity", nested("inv", 190, 1), 0)])
    assert complaint(proof) == f"step 0: {DIFFERENT}"
    limit, depth = sys.getrecursionlimit(), len(inspect.stack())
    try:
        sys.setrecursionlimit(depth + 150)
        assert complaint(proof) == "step 0: malformed: RecursionError"
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_are_bounded(sign):
    most = sign * 10**50
    recheck.check(written([], eq(most, most), [step("identity", most, most)]))
    for term in (most + sign, add(most, sign), mul(most, 2), mul(add(N, most), add(N, sign * 2))):
        assert complaint(written([], FALSE, [step("identity", term, 0)])) == "step 0: a number becomes too large"


def test_numbers_in_periods_are_bounded():
    most, false = 10**50, ge(0, 1)
    for fits in (ge(mul(most, N), 0), ["iff", ge(mul(-most, N), 0), eq(N, 0)]):
        recheck.check(written([NATURAL], fits, [step("period", fits, "n")]))
    for larger in (ge(add(mul(most, N), 1), 0), ["iff", ge(mul(-most, N), 1), false]):
        assert complaint(written([], FALSE, [step("period", larger, "n")])) == "step 0: a number becomes too large"


def test_periods_are_bounded():
    """One period has k sizes, or one where 10 000 divides what grows by as much; it comes after the last n with
    [n = 5999], or when 2n is larger than 9000.
    """
    proved, too_many = "the last step concludes something else", "step 0: too many sizes would have to be looked at"
    for function, expected in (
        (remainder(10_000), proved),
        (remainder(10_001), too_many),
        (add(remainder(6_000), equals(N, 5_999)), too_many),
        (floor(mul(10_000, N), 10_000), proved),
        (add(mul(2, N), 9_000), proved),
    ):
        assert complaint(written([], FALSE, [step("period", ge(function, 0), "n")])) == expected


def test_work_is_bounded(monkeypatch):
    """To the unit: what all proofs above take is what they may take. A new case, or a cheaper checker, changes the sum."""
    proofs = [written(hypotheses, conclusion, steps) for steps, hypotheses, conclusion in YIELDS.values()]
    proofs += [written([], eq(a, b), [step("identity", a, b)]) for a, b in SAME]
    taken = []
    for proof in proofs:
        recheck.check(proof)
        taken.append(terms._work)
    assert (sum(taken), terms.MOST_WORK) == (32_510, 3_000_000)
    for proof, work in zip(proofs, taken, strict=True):
        monkeypatch.setattr(terms, "MOST_WORK", work)
        recheck.check(proof)
        monkeypatch.setattr(terms, "MOST_WORK", work - 1)
        assert complaint(proof).endswith("the proof takes too much work to check")


LETTERS = add(*map(v, "abcdefghij"))
WIDE = add(*(f(v(f"a{i}")) for i in range(60)))
HOSTILE = {
    "a product of sums": [step("identity", mul(*[LETTERS] * 20), 0)],
    "a product of many": [step("identity", mul(*[N] * 100_000), 0)],
    "terms that double": [*given(NATURAL), *[step("instantiate", [["n", add(N, N)]], of=[i]) for i in range(40)]],
    "a product of premises": certificate(eq(0, 0), [[1, [0] * 30]], eq(LETTERS, 0)),
    "many products": certificate(eq(0, 0), [[LETTERS, [0, 0]]] * 3000, eq(LETTERS, 0)),
    "a hypothesis carried along": [*given(ge(WIDE, 0)), *[step("discharge", of=[i, i]) for i in range(200)], *[step("certificate", ge(0, 0), [], 1, False, of=[i] * 5000) for i in range(1, 60)]],
    "a period of a few letters": [step("period", ge(mul(*[add(equals(N, i), le(i, floor(N, 5))) for i in range(14)]), 0), "n")],
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_proof_ends_in_a_moment(name, monkeypatch):
    monkeypatch.setattr(terms, "MOST_WORK", 100_000)
    assert complaint({**written([], FALSE, []), "steps": HOSTILE[name]}).endswith(
        "the proof takes too much work to check"
    )


def test_sums_may_be_nested_deeply(monkeypatch):
    """Twelve sums around a product of three functions, and a term that would double at every level written out."""
    monkeypatch.setattr(terms, "MOST_WORK", 12_000)
    names = [f"i{number}" for number in range(12)]
    term, other = (mul(*(["at", name, *map(v, indices)] for name in "fgh")) for indices in (names, names[::-1]))
    for name in names:
        term, other = total(name, 0, N, term), total(names[11 - names.index(name)], 0, N, other)
    recheck.check(written([], eq(term, other), [step("identity", term, other)]))
    folded = N
    for _ in range(30):
        folded = f(mul(add(N, M), add(I, folded)))
    recheck.check(written([], eq(both("n", folded), both("n", folded)), [step("identity", both("n", folded), both("n", folded))]))  # fmt: skip


# --- what is printed ---------------------------------------------------------------------------------------------------

PRINTED = {
    # numbers, letters and functions
    "0": 0, "-3": -3, "n": N, "n'": v("n'"), "f(n, -1)": f(N, -1), "x[]": x(), "x[n, 2*m]": x(N, mul(2, M)), "`sum`": v("sum"),
    "`exp`(n)": ["at", "exp", N], "exp(n)": exp(N), "log(n - 1)": log(add(N, -1)), "`log`[]": ["re", "log"], "exp'": v("exp'"), "inv(n)": ["at", "inv", N],
    "\\xe9 + \\u0430 + \\U0001d465": add(v("é"), v("\u0430"), v("\U0001d465")), "\\xe9": v("\xe9"),
    # sums and products
    "n + m": add(N, M), "n + 2*m": add(N, mul(2, M)), "n + 0*m": add(N, mul(0, M)), "n - m": minus(N, M), "n - 2*m*k": add(N, mul(-2, M, K)), "-n - 3 + m": add(mul(-1, N), -3, M), "-2*n*m": mul(-2, N, M),
    "n - (m + k)": minus(N, add(M, K)), "n - (m - k)": minus(N, minus(M, K)), "n + (m + k)": add(N, add(M, K)), "n + m + k": add(add(N, M), K), "(n + m)*k": mul(add(N, M), K), "(n + m)*(n - m)": mul(add(N, M), minus(N, M)),
    "n*(m*k)": mul(N, mul(M, K)), "n*(-1)": mul(N, -1), "n*(-2*m)": mul(N, mul(-2, M)), "-(-n)": mul(-1, mul(-1, N)), "n - (-m)": minus(N, mul(-1, M)),
    "n - (-2)": minus(N, -2), "-(n + m)": mul(-1, add(N, M)), "-3*(n + m)": mul(-3, add(N, M)), "k": add(K), "m": mul(M), "-5": mul(-5), "-7 + n": add(-7, N),
    "-(-2)": mul(-1, -2), "0*n": mul(0, N), "n + 0": add(N, 0), "-2*3": mul(-2, 3), "n + (-m)*k": add(N, mul(mul(-1, M), K)),
    # floors and reciprocals
    "n//2": floor(N, 2), "(2*n)//3": floor(mul(2, N), 3), "2*(n//3)": mul(2, floor(N, 3)), "(n//2)//3": floor(floor(N, 2), 3), "n//(m//2)": floor(N, floor(M, 2)),
    "(-n)//2": floor(mul(-1, N), 2), "-(n//2)": mul(-1, floor(N, 2)), "n//(-2)": floor(N, -2), "n - n//2": minus(N, floor(N, 2)), "-(n//2) + m": add(mul(-1, floor(N, 2)), M), "-2*(n//2)": mul(-2, floor(N, 2)), "1/n": inv(N), "2*(1/n)": mul(2, inv(N)),
    "1/(n + 1)": inv(add(N, 1)), "1/(1/n)": inv(inv(N)), "n - 1/m": minus(N, inv(M)),
    # indicators and totals
    "[n = m + 1]": equals(N, add(M, 1)), "[n <= -1]": le(N, -1), "2*[[n <= 0] = 1]": mul(2, equals(le(N, 0), 1)), "[(sum i=0..n: i) = 3]": equals(total("i", 0, N, I), 3),
    "sum i=0..n - 1: f(i)": total("i", 0, add(N, -1), f(I)), "sum i=0..n: i*m": total("i", 0, N, mul(I, M)), "sum i=0..n: (i + 1)": total("i", 0, N, add(I, 1)),
    "sum i=-1..2: (-i)": total("i", -1, 2, mul(-1, I)), "sum i=0..n: sum j=0..i: 1": total("i", 0, N, total("j", 0, I, 1)), "sum `as`=0..n: `as`": total("as", 0, N, v("as")),
    "(sum i=0..n: i) + 1": add(total("i", 0, N, I), 1), "2*(sum i=0..n: i)": mul(2, total("i", 0, N, I)), "sum i=0..n: i*(sum j=0..i: j)": total("i", 0, N, mul(I, total("j", 0, I, J))),
    "sum i=(sum j=0..2: j)..n: i": total("i", total("j", 0, 2, J), N, I), "f((sum i=0..n: i), 2)": f(total("i", 0, N, I), 2), "(sum i=0..n: i)//2": floor(total("i", 0, N, I), 2),
    "sum i=0..n: i//2": total("i", 0, N, floor(I, 2)), "-(sum i=0..n: i)": mul(-1, total("i", 0, N, I)), "exp((sum i=0..n: i))": exp(total("i", 0, N, I)),
}  # fmt: skip
PRINTED_FORMULAS = {
    "n = m": eq(N, M), "n >= 0": NATURAL, "exp(n) > 0": gt(exp(N), 0), "sum i=0..n: f(i) >= sum i=0..n: 0": ge(SUM, total("i", 0, N, 0)),
    "n >= 1 iff n > 0": ["iff", ge(N, 1), gt(N, 0)], "(n >= 1 iff n > 0) iff 1 = 1": ["iff", ["iff", ge(N, 1), gt(N, 0)], eq(1, 1)],
    "1 = 1 iff (n >= 1 iff n > 0)": ["iff", eq(1, 1), ["iff", ge(N, 1), gt(N, 0)]], "for all n: n >= 0": every("n", NATURAL),
    "for all n: n >= 1 iff n > 0": every("n", ["iff", ge(N, 1), gt(N, 0)]), "(for all n: n >= 1) iff n > 0": ["iff", every("n", ge(N, 1)), gt(N, 0)],
    "n > 0 iff (for all n: n >= 1)": ["iff", gt(N, 0), every("n", ge(N, 1))], "for all n: for all `all`: n >= `all`": every("n", every("all", ge(N, v("all")))),
    "the derivative of x[]*y[], as x moves along dx and y moves along dy, is 0": d(["x", "y"], mul(x(), y()), 0),
    "the derivative of (sum i=0..n: x[i]), as x moves along dx, is -n": d(["x"], total("i", 0, N, x(I)), mul(-1, N)),
    "the derivative of n, as nothing moves, is 0": d([], N, 0), "for all n: the derivative of n, as x\\xe9 moves along dx\\xe9, is 0": every("n", d(["xé"], N, 0)),
    "(the derivative of n, as `log` moves along dlog, is 0) iff n = 0": ["iff", d(["log"], N, 0), eq(N, 0)],
    "the derivative of n, as eriv moves along deriv and erivative moves along `derivative`, is 0": d(["eriv", "erivative"], N, 0),
}  # fmt: skip


@pytest.mark.parametrize(("text", "term"), PRINTED.items())
def test_a_term_as_a_person_reads_it(text, term):
    assert printing.term(recheck.read_term(term)) == text


@pytest.mark.parametrize(("text", "formula"), PRINTED_FORMULAS.items())
def test_a_formula_as_a_person_reads_it(text, formula):
    assert printing.formula(recheck.read_formula(formula)) == text
    assert recheck.statement(written([], formula, [])) == text


@pytest.mark.parametrize(
    ("hypotheses", "text"),
    [
        ([], "1 = 1"),
        ([NATURAL], "if n >= 0, then 1 = 1"),
        ([gt(M, 0), NATURAL, gt(M, 0)], "if m > 0 and n >= 0 and m > 0, then 1 = 1"),
        (
            [every("n", NATURAL), ["iff", NATURAL, gt(M, 0)]],
            "if (for all n: n >= 0) and (n >= 0 iff m > 0), then 1 = 1",
        ),
        ([d([], N, 0), NATURAL], "if (the derivative of n, as nothing moves, is 0) and n >= 0, then 1 = 1"),
    ],
)
def test_a_statement(hypotheses, text):
    """As it is written, be it proved or not."""
    assert recheck.statement(written(hypotheses, eq(1, 1), [ONE])) == text
    assert recheck.statement(written(hypotheses, eq(1, 1), [None])) == text


@pytest.mark.parametrize(
    ("proof", "expected"),
    [
        (None, "no proof term"),
        ({**SOUND, "steps": {}}, "no proof term"),
        ({"conclusion": eq(1, 1), "steps": []}, "no proof term"),
        (written([], 1, []), "no formula"),
        (written([NATURAL, N], eq(1, 1), []), "no formula"),
        (written([], eq(1, f(x())), []), NO_PLACE),
        (written([gt(1, v("1"))], eq(1, 1), []), "a name is no identifier"),
        (written(5, eq(1, 1), []), "malformed: TypeError"),
        (written([], eq(1, None), []), "no part of a proof"),
    ],
)
def test_what_states_nothing(proof, expected):
    with pytest.raises(recheck.Wrong, match=f"^{expected}$"):
        recheck.statement(proof)


@pytest.mark.parametrize("value", [("foo", 1, 2), ("v", "n", "m"), ("exp", 1, 2), None])
def test_what_is_no_term_is_not_printed(value):
    with pytest.raises(ValueError, match=r"^no term$"):
        printing.term(value)
    with pytest.raises(ValueError, match=r"^no formula$"):
        printing.formula(5)


def test_what_is_printed_is_what_is_meant():
    """Read back by another program, terms at random have the same normal form."""
    rng, read = random.Random(6), 0
    for _ in range(1500):
        term = negated(rng, drawn(rng, 4, ["i", "n"]))
        try:
            expected = algebra.normal(term)
        except algebra.Refused:
            continue
        again = language.formula(f"{printing.term(term)} = {printing.term(term, printing.SUMMED)}")
        assert [algebra.normal(side) for side in again[1:]] == [expected] * 2, term
        read += 1
    assert read >= 1000


def negated(rng, term):
    """A term with more signs, and products and sums of one to three parts."""
    if type(term) is int or term[0] == "v":
        return rng.choice([term, term, ("*", -1, term), ("*", term, -2)])
    parts = [each if type(each) is str else negated(rng, each) for each in term[1:]]
    if term[0] in ("+", "*"):
        return (
            term[0],
            *rng.choice(
                [parts, parts[:1], [*parts, rng.randint(-2, 2)], [("*", rng.choice([-1, -3]), parts[0]), parts[1]]]
            ),
        )
    return (term[0], *parts)


def test_a_proof_that_holds_is_printed(monkeypatch):
    """A statement takes no more work than its proof; and a proof that takes all the work leaves enough for it."""
    for steps, hypotheses, conclusion in YIELDS.values():
        proof = written(hypotheses, conclusion, steps)
        recheck.check(proof)
        with monkeypatch.context() as patch:
            patch.setattr(terms, "MOST_WORK", terms._work)
            assert recheck.statement(proof).endswith(printing.formula(tuples(conclusion)))
            recheck.check(proof)


@pytest.mark.parametrize("head", ["inv", "f", "-", "+", "*", "//", "sum", "le", "all", "iff"])
def test_the_deepest_statement_is_printed(head):
    wrap = {
        "inv": inv,
        "f": f,
        "-": lambda term: mul(-1, term),
        "+": lambda term: add(1, term),
        "*": lambda term: mul(2, term),
        "//": lambda term: floor(term, 2),
        "sum": lambda term: total("i", 0, 1, term),
        "le": lambda term: le(term, 0),
        "all": lambda formula: every("n", formula),
        "iff": lambda formula: ["iff", formula, NATURAL],
    }[head]
    core = gt(N, 0) if head in ("all", "iff") else N
    for _ in range(197 if head != "*" else 150):
        core = wrap(core)
    text = recheck.statement(written([], core if head in ("all", "iff") else eq(0, core), []))
    assert len(text) > 150


# --- the program ------------------------------------------------------------------------------------------------------

GOOD, BAD = written([], eq(1, 1), [ONE]), written([], FALSE, [ONE])


@pytest.mark.parametrize(
    ("data", "code", "lines"),
    [
        (GOOD, 0, ["holds  'proof': 1 = 1", "1 of 1 proofs hold"]),
        (BAD, 1, ["WRONG  'proof': the last step concludes something else", "0 of 1 proofs hold"]),
        ([GOOD, GOOD], 0, ["holds  0: 1 = 1", "holds  1: 1 = 1", "2 of 2 proofs hold"]),
        ([GOOD, BAD, 5], 1, ["holds  0: 1 = 1", "WRONG  1: the last step concludes something else", "WRONG  2: no proof term", "1 of 3 proofs hold"]),
        ([BAD, *[GOOD] * 3], 1, ["WRONG  0: the last step concludes something else", *[f"holds  {i}: 1 = 1" for i in (1, 2, 3)], "3 of 4 proofs hold"]),
        ({"a": GOOD, "é": GOOD}, 0, ["holds  'a': 1 = 1", "holds  '\\xe9': 1 = 1", "2 of 2 proofs hold"]),
        (written([gt(M, 0), NATURAL], NATURAL, given(NATURAL)), 0, ["holds  'proof': if m > 0 and n >= 0, then n >= 0", "1 of 1 proofs hold"]),
        ({"a": BAD}, 1, ["WRONG  'a': the last step concludes something else", "0 of 1 proofs hold"]),
        ({"steps": []}, 1, ["WRONG  'proof': no proof term", "0 of 1 proofs hold"]),
        ([], 1, ["0 of 0 proofs hold"]),
        ({}, 1, ["0 of 0 proofs hold"]),
        ("steps", 1, ["0 of 0 proofs hold"]),
        (7, 1, ["0 of 0 proofs hold"]),
    ],
)  # fmt: skip
def test_a_file_is_checked(data, code, lines, tmp_path, capsys):
    """What is printed ends with how to read it, if anything holds."""
    file = tmp_path / "proofs.json"
    file.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    assert recheck.main([str(file)]) == code
    out, err = capsys.readouterr()
    reading = [printing.READING] if any(line.startswith("holds") for line in lines) else []
    assert (out.splitlines(), err) == ([*lines, *reading], "")


def test_how_to_read_what_is_printed():
    assert printing.READING == (
        "(Letters are any integers, f(i) any functions from integers to integers, x[i] to the reals. [a <= b] is 1 where "
        "it holds, else 0; a sum reaches over the product that follows; a//b is rounded down, or some integer where "
        "b <= 0; 1/0 is some number, and so are logarithms of what is not > 0.)"
    )


def test_files_are_checked_in_turn(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name, data in {"good.json": GOOD, "more é.json": [GOOD, GOOD], "bad.json": BAD, "none.json": []}.items():
        Path(name).write_text(json.dumps(data))
    good = ["'good.json':", "holds  'proof': 1 = 1", "1 of 1 proofs hold"]
    more = ["'more \\xe9.json':", "holds  0: 1 = 1", "holds  1: 1 = 1", "2 of 2 proofs hold"]
    bad = ["'bad.json':", "WRONG  'proof': the last step concludes something else", "0 of 1 proofs hold"]
    none = ["'none.json':", "0 of 0 proofs hold"]
    unread = "convproof.recheck: cannot read missing: [Errno 2] No such file or directory: 'missing'\n"
    for names, code, lines, told in (
        (["good.json", "more é.json"], 0, [*good, *more, printing.READING], ""),
        (["more é.json", "good.json", "good.json"], 0, [*more, *good, *good, printing.READING], ""),
        (["bad.json", "good.json"], 1, [*bad, *good, printing.READING], ""),
        (["good.json", "bad.json"], 1, [*good, *bad, printing.READING], ""),
        (["good.json", "none.json"], 1, [*good, *none, printing.READING], ""),
        (["none.json", "bad.json"], 1, [*none, *bad], ""),
        (["missing", "good.json", "bad.json"], 2, [*good, *bad, printing.READING], unread),
        (["good.json", "missing", "missing"], 2, [*good, printing.READING], unread * 2),
    ):
        assert recheck.main(names) == code
        out, err = capsys.readouterr()
        assert (out.splitlines(), err) == (lines, told)


TWICE = f'{{"a": {json.dumps(BAD)}, "a": {json.dumps(GOOD)}}}'


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[" * 100_000, b"1" * 5000, b"\xff", None, TWICE.encode(), b'{"steps": [], "x": {"y": 1, "y": 1}}'],
)
def test_a_file_that_cannot_be_read(text, tmp_path, capsys):
    file = tmp_path / "proofs.json"
    if text is not None:
        file.write_bytes(text)
    assert recheck.main([str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"convproof.recheck: cannot read {file}: ")
    assert err.count("\n") == 1
    assert ("two values have the same name" in err) == (text is not None and text[:5] in (b'{"a":', b'{"ste'))


@pytest.mark.parametrize("name", ["no\nfile", "no\0file"])
def test_a_name_that_is_no_line(name, capsys):
    assert recheck.main([name]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"convproof.recheck: cannot read {name!a}: ")


def test_a_file_is_named(capsys):
    assert recheck.main([]) == 2
    assert capsys.readouterr() == ("", "usage: python -m convproof.recheck FILE...\n")


@pytest.mark.parametrize(("proof", "code"), [(GOOD, 0), (BAD, 1)])
def test_the_module_is_a_program(proof, code, tmp_path, monkeypatch, capsys):
    file = tmp_path / "proof.json"
    file.write_text(json.dumps(proof))
    monkeypatch.setattr(sys, "argv", ["recheck", str(file)])
    program = importlib.import_module("convproof.recheck.__main__")
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(program.__file__, run_name="__main__")
    assert ended.value.code == code
    assert f"{1 - code} of 1 proofs hold" in capsys.readouterr().out


def test_the_program_needs_nothing_else_of_the_package(tmp_path):
    """Nor any library; what it prints is ASCII, whatever the names."""
    proof = written([], eq(v("é"), v("é")), [step("identity", v("é"), v("é"))])
    (tmp_path / "proof.json").write_text(json.dumps({"é": proof}, ensure_ascii=False), encoding="utf-8")
    code = (
        "import sys\nfrom convproof import recheck\n"
        "rooms = {name.split('.')[1] for name in sys.modules if name.startswith('convproof.')}\n"
        "assert not rooms & {'architecture', 'autograd', 'crosscheck', 'proof', 'symbolic'}, rooms\n"
        "assert not {'sympy', 'numpy', 'lark'} & set(sys.modules)\n"
        "sys.exit(recheck.main(sys.argv[1:]))"
    )
    for start in (["-c", code], ["-m", "convproof.recheck"]):
        command = [sys.executable, "-X", "utf8=0", *start, "proof.json"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
        )
        assert done.stdout.decode("ascii").splitlines()[0] == "holds  '\\xe9': \\xe9 = \\xe9"
        assert done.stderr == b""
