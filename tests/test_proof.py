"""The kernel and the second checker: what they prove, and above all what they refuse."""

import contextlib
import copy
import inspect
import itertools
import json
import math
import pickle
import random
from fractions import Fraction

import pytest

from convproof import notes, recheck
from convproof.proof import AXIOMS, Refused, Theorem, axioms, derived, kernel, proof_term, sums
from convproof.proof.algebra import constant, free, normal, substitute
from convproof.proof.language import shown
from convproof.verdicts import Verdict

ONE, N, M, A, B, S = 1, *(("v", name) for name in ("n", "m", "a", "b", "S"))
CLAIMS = [(each, claim) for each in notes.load() for claim in each.claims]
IDS = [f"{each.id}.{claim.name}" for each, claim in CLAIMS]


def positive(name):
    return kernel.assume((">=", ("v", name), 1))


def written(theorem):
    return json.loads(json.dumps(proof_term(theorem)))


# --- what is proved ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("each", "claim"), CLAIMS, ids=IDS)
def test_every_claim_is_proved_rechecked_and_not_vacuous(each, claim):
    proof = notes.prove(claim)
    assert proof.verdict is Verdict.PROVED, proof.reason
    assert set(axioms(proof.theorem)) <= set(AXIOMS)


def value(term, numbers, functions):
    """What a term is worth, by Python's own arithmetic; `functions(head, name, places)` gives the unknown ones."""
    if isinstance(term, int):
        return term
    head, *rest = term
    if head == "v":
        return numbers[rest[0]]
    if head in ("at", "re"):
        return functions(head, rest[0], tuple(value(i, numbers, functions) for i in rest[1:]))
    if head == "sum":
        name, lo, hi, body = rest
        low, high = value(lo, numbers, functions), value(hi, numbers, functions)
        return sum(value(body, {**numbers, name: i}, functions) for i in range(low, high + 1))
    a, *others = (value(part, numbers, functions) for part in rest)
    if head == "inv":
        return 1 / a if isinstance(a, float) else Fraction(1, a) if a else 17
    if head in ("exp", "log"):
        return math.exp(a) if head == "exp" else math.log(a) if a > 0 else 17.0
    if head == "+":
        return sum(others, a)
    if head == "*":
        for b in others:
            a *= b
        return a
    (b,) = others
    if head == "//":
        return a // b if b > 0 else a + 7 * b + 3  # anything at all
    return int(a == b if head == "is" else a <= b)


def holds(formula, numbers, functions):
    """Whether a formula holds, up to rounding where there are floats; derivatives by central differences."""
    head, *rest = formula
    if head == "iff":
        return holds(rest[0], numbers, functions) == holds(rest[1], numbers, functions)
    if head == "all":
        near = range(-1, 3) if rest[1][0] == "all" or len(numbers) > 6 else range(-2, 6)
        return all(holds(rest[1], {**numbers, rest[0]: i}, functions) for i in near)
    if head == "d":
        names, body, slope = rest

        def moved(h):
            def at(head, name, places):
                here = functions(head, name, places)
                return here + h * functions(head, "d" + name, places) if head == "re" and name in names else here

            return value(body, numbers, at)

        h = 1e-5
        a, b, tolerance = (moved(h) - moved(-h)) / (2 * h), value(slope, numbers, functions), 1e-4
    else:
        a, b = (value(side, numbers, functions) for side in rest)
        tolerance = 1e-9 if isinstance(a - b, float) else 0
    distance = tolerance * (1 + abs(a) + abs(b))
    return {"=": abs(a - b) <= distance, "d": abs(a - b) <= distance, ">=": a >= b - distance, ">": a > b}[head]


def drawing(rng, real, given=()):
    """Functions whose values are drawn when they are asked for; those of `given` are terms in k, or numbers."""
    drawn, given = {}, dict(given)

    def functions(head, name, places):
        if name in given and not isinstance(given[name], int):
            return value(given[name], {"k": places[0]}, None)
        if name in given and head != "v":
            return given[name]
        draw = rng.uniform(-2, 2) if head == "re" and real else rng.randint(-3, 3)
        return drawn.setdefault((head, name, places), draw)

    return functions


def smooth(formula):
    """Whether a formula speaks of derivatives or of other than polynomials, and so is tried with floats."""
    return isinstance(formula, tuple) and (formula[0] in ("d", "exp", "log") or any(map(smooth, formula)))


def counterexample(hypotheses, conclusion, rng, tries, witness=()):
    """Numbers and functions that satisfy the hypotheses and not the conclusion, and how many satisfied the hypotheses."""
    letters = sorted(set().union(*(free(f) for f in (*hypotheses, conclusion))))
    real, tried, given = any(map(smooth, (*hypotheses, conclusion))), 0, dict(witness)
    high = 4 if len(letters) < 6 else 2
    for attempt in range(tries):
        chosen = given if attempt % 2 else {}
        numbers = {name: given[name] if name in chosen else rng.randint(-1, high) for name in letters}
        functions = drawing(rng, real, chosen)
        try:
            if all(holds(h, numbers, functions) for h in hypotheses):
                tried += 1
                if not holds(conclusion, numbers, functions):
                    return numbers, tried
        except OverflowError:
            continue
    return None, tried


@pytest.mark.parametrize(("each", "claim"), CLAIMS, ids=IDS)
def test_theorems_are_true_at_drawn_numbers(each, claim):
    """Numbers and functions are drawn; wherever the hypotheses hold, the conclusion must."""
    found = claim.prove()
    against, tried = counterexample(found.hypotheses, found.conclusion, random.Random(1), 100, claim.witness)
    assert against is None
    assert tried >= 10


# --- mutated statements -----------------------------------------------------------------------------------------------


def mutations(formula):
    """Formulas that differ from `formula` in one place: a number, a sign, a letter, or a dropped part."""
    if isinstance(formula, int):
        yield from (formula + 1, formula - 1)
        return
    head, *rest = formula
    if head == "v":
        yield from (("+", formula, 1), ("*", -1, formula))
        return
    if head in ("+", "*") and len(rest) > 1:
        yield (head, *rest[1:]) if len(rest) > 2 else rest[1]
    if head == "=":
        yield (">=", ("+", rest[0], -1), rest[1])
    start = 2 if head in ("at", "sum", "all") else 1
    for place in range(start, len(formula)):
        for part in mutations(formula[place]):
            yield (*formula[:place], part, *formula[place + 1 :])


def _twice(formula):
    """Mutations, and mutations of mutations."""
    yield from mutations(formula)
    for once in mutations(formula):
        yield from (each for each in mutations(once) if each != formula)


@pytest.mark.parametrize(("each", "claim"), CLAIMS, ids=IDS)
def test_wrong_statements_are_not_proved(each, claim, soundness):
    """Every proof is given conclusions with one or two parts changed, and fewer hypotheses: none of them passes."""
    found = claim.prove()
    proof = written(found)
    wrong = [mutant for mutant in itertools.islice(_twice(found.conclusion), 400) if mutant != found.conclusion]
    for mutant in random.Random(each.id).sample(wrong, 6 if len(proof["steps"]) < 30 else 2):
        with pytest.raises(recheck.Wrong):
            recheck.check({**proof, "conclusion": mutant})
        soundness["statements changed: refused by the checker"] += 1
    for dropped in range(len(found.hypotheses))[:: 1 if len(proof["steps"]) < 30 else 3]:
        fewer = [h for i, h in enumerate(proof["hypotheses"]) if i != dropped]
        with pytest.raises(recheck.Wrong, match="hypothesis that is not stated"):
            recheck.check({**proof, "hypotheses": fewer})
        soundness["hypotheses dropped: refused by the checker"] += 1


def _flip(data, rng):
    """A copy of JSON data with one leaf changed."""
    data = copy.deepcopy(data)
    leaves = []

    def walk(part, path):
        for key, item in part.items() if isinstance(part, dict) else enumerate(part):
            if isinstance(item, (dict, list)) and item:
                walk(item, [*path, key])
            else:
                leaves.append([*path, key])

    walk(data, [])
    *path, last = rng.choice(leaves)
    part = data
    for key in path:
        part = part[key]
    old = part[last]
    part[last] = rng.choice(
        [v for v in (0, 1, -1, 2, True, "v", "+", "*", "x", "S", ">=", "=", None, [], ["v", "q"], 3) if v != old]
    )
    return data


def tuples(data):
    return tuple(map(tuples, data)) if isinstance(data, list) else data


def replayed(steps):
    """The theorem that the kernel makes of a written proof, step by step; raises `LookupError` where one is no step."""
    made = []
    for step in steps:
        if any(type(place) is not int or not 0 <= place < len(made) for place in step["premises"]):
            raise LookupError("a premise must be an earlier step")
        rule = getattr(kernel, step["rule"])
        arguments, premises = list(map(tuples, step["arguments"])), [made[place] for place in step["premises"]]
        given = []
        for parameter in inspect.signature(rule).parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                given, premises = given + premises, []
            else:
                given.append((premises if parameter.annotation == "Theorem" else arguments).pop(0))
        if arguments or premises:
            raise LookupError("the rule takes fewer")
        made.append(rule(*given))
    return made[-1]


@pytest.mark.parametrize(("each", "claim"), CLAIMS, ids=IDS)
def test_corrupted_proofs_are_refused_or_prove_what_is_true(each, claim, soundness):
    """One field of the written proof is changed at random. The kernel and the checker agree on what becomes of it, and
    what still passes is true at drawn numbers.
    """
    found, rng, refused = claim.prove(), random.Random(3), 0
    proof = written(found)
    assert replayed(proof["steps"]).conclusion == found.conclusion
    for _ in range(16):
        steps = _flip(proof["steps"], rng)
        try:
            theorem = replayed(steps)
        except (Refused, TypeError, ValueError, AttributeError, LookupError, RuntimeError):
            soundness["proofs corrupted: refused by the kernel"] += 1
            refused += 1
            with contextlib.suppress(recheck.Wrong):
                recheck.check({**proof, "steps": steps})
                soundness["proofs corrupted: the checker still proves the same"] += 1
            continue
        soundness["proofs corrupted: the kernel proves something true"] += 1
        recheck.check({**written(theorem), "steps": steps})
        against, _ = counterexample(theorem.hypotheses, theorem.conclusion, rng, 12, claim.witness)
        assert against is None, (steps, against)
    assert refused >= 4


# --- attacks on the kernel --------------------------------------------------------------------------------------------


def _disguised():
    """An object of another class that is called a theorem afterwards."""
    fake = Fake()
    fake.__class__ = Theorem
    return fake.conclusion


def test_theorems_come_from_rules_alone():
    found = kernel.assume((">=", N, 1))
    for forge in (
        lambda: Theorem(),
        lambda: Theorem(object(), (), (), (), (), "x"),
        lambda: object.__new__(Theorem).conclusion,
        lambda: kernel.discharge(found, object.__new__(Theorem)),
        _disguised,
        lambda: type("Mine", (Theorem,), {}),
        lambda: setattr(found, "conclusion", ("=", 0, 1)),
        lambda: Theorem.hypotheses.__set__(found, ()),
        lambda: setattr(found, "more", 1),
        lambda: delattr(found, "conclusion"),
        lambda: copy.copy(found),
        lambda: copy.deepcopy(found),
        lambda: pickle.dumps(found),
    ):
        with pytest.raises((TypeError, AttributeError)):
            forge()
    assert found.conclusion == (">=", N, 1)


def test_a_forged_theorem_does_not_pass_the_second_checker():
    """Whoever reaches into the kernel can forge a theorem, and no proof of it."""
    forged = kernel.assume((">=", N, 1))
    kernel._CONTENTS[forged] = (), FALSE, "assume", ((">=", N, 1),), ()
    with pytest.raises(recheck.Wrong):
        recheck.check(written(forged))
    proof = notes.prove(notes.Claim("forged", "0 = 1", lambda: forged))
    assert proof.verdict is Verdict.UNKNOWN
    assert "second checker refuses" in proof.reason


class Sly(int):
    def __mul__(self, other):
        return 0


FALSE = ("=", 0, 1)
ATTACKS = {
    "0 = 1": lambda: kernel.identity(0, 1),
    "a bool for a number": lambda: kernel.identity(True, 1),
    "a sly number": lambda: kernel.assume(("=", Sly(3), 0)),
    "no formula": lambda: kernel.assume(("<", N, 0)),
    "a letter with a marker": lambda: kernel.assume(("=", ("v", "\0"), 0)),
    "negative factor": lambda: derived.certificate((">=", 0, N), [kernel.assume((">=", N, 0))], [(-1, [0])]),
    "a letter for a factor": lambda: derived.certificate(
        (">=", ("*", M, N), 0), [kernel.assume((">=", N, 0))], [(M, [0])]
    ),
    "equality from comparisons": lambda: derived.certificate(("=", N, 0), [kernel.assume((">=", N, 0))], [(1, [0])]),
    "scale 0": lambda: derived.certificate((">=", 0, 1), [], [], 0),
    "negative scale": lambda: derived.certificate((">=", 0, 1), [], [(1, [])], -1),
    "refuting an equality": lambda: derived.certificate(("=", N, 0), [], [(1, [0])], refute=True),
    "a premise that is not there": lambda: derived.certificate((">=", N, 0), [], [(1, [0])]),
    "a premise counted from the end": lambda: derived.certificate((">=", N, 0), [positive("n")], [(1, [-1])]),
    "division by an unknown": lambda: kernel.division(A, kernel.assume((">=", B, 0))),
    "division by zero": lambda: kernel.division(A, derived.at_least(0, 1)),
    "floor of a fraction rounded up": lambda: kernel.identity(("//", -1, 2), 0),
    "0 // 0": lambda: kernel.identity(("//", 0, 0), 0),
    "a step that is no step": lambda: kernel.induction(kernel.identity(0, 0), kernel.assume(("=", N, 0)), "n"),
    "a hypothesis that mentions the letter": lambda: kernel.induction(
        kernel.identity(("*", 0, M), 0),
        derived.certificate(
            ("=", ("*", ("+", N, 1), M), 0),
            [kernel.assume(("=", ("*", N, M), 0)), kernel.assume(("=", M, ("*", 0, N)))],
            [(1, [0]), (1, [1])],
        ),
        "n",
    ),
    "generalizing a hypothesis": lambda: kernel.generalize(positive("n"), "n"),
    "specializing what is not for all": lambda: kernel.specialize(positive("n"), 3),
    "an empty sum's last term": lambda: kernel.last_term(("sum", "i", 0, -1, 1), kernel.assume((">=", N, 0))),
    "a sum called empty": lambda: kernel.last_term(("sum", "i", 0, 3, 1), derived.at_least(1, 1)),
    "re-indexing by 2": lambda: kernel.reindex(("sum", "i", 0, N, ("at", "x", ("v", "i"))), 2, 0),
    "a shift that varies": lambda: kernel.reindex(("sum", "i", 0, N, 1), 1, ("v", "i")),
    "a place that varies": lambda: kernel.sift("i", 0, N, 1, ("v", "i")),
    "a bound name that is not arbitrary": lambda: kernel.under_sum(
        ("sum", "i", 0, N, ("v", "i")), kernel.assume(("=", ("v", "i"), 5))
    ),
    "a body that is another": lambda: kernel.under_sum(("sum", "i", 0, N, 1), kernel.identity(2, 2)),
    "antisymmetry of one side": lambda: kernel.antisymmetry(positive("n"), positive("n")),
    "rewriting by a comparison": lambda: kernel.rewrite(positive("n"), positive("m")),
    "a period that fails": lambda: kernel.period((">=", ("//", N, 2), 1), "n"),
    "a period of two letters": lambda: kernel.period((">=", ("+", N, M), 0), "n"),
    "a period of a product": lambda: kernel.period((">=", ("*", N, ("//", N, 2)), 0), "n"),
    "a slope that falls": lambda: kernel.period((">=", ("+", 100, ("*", -1, N)), 0), "n"),
    "a premise that is no theorem": lambda: kernel.antisymmetry(positive("n"), "0 >= 0"),
    "an instance by no term": lambda: kernel.instantiate(positive("n"), {"n": "5"}),
    "a real number for a letter": lambda: kernel.instantiate(positive("n"), {"n": ("re", "x")}),
    "a real number for all": lambda: kernel.specialize(kernel.assume(("all", "n", ("=", N, N))), ("inv", 2)),
    "a real place": lambda: kernel.sift("i", 0, 5, ("re", "x"), ("re", "y")),
    "a real shift": lambda: kernel.reindex(("sum", "i", 0, 5, 1), 1, ("exp", 1)),
    "rewriting into a place": lambda: kernel.rewrite(
        kernel.identity(("at", "f", N), ("at", "f", N)), kernel.assume(("=", N, ("re", "x")))
    ),
    "the next integer after a real number": lambda: derived.certificate(
        (">=", ("re", "x"), 1), [kernel.assume((">", ("re", "x"), 0))], [(1, [0]), (1, [1])], refute=True
    ),
    "strictness from what may be 0": lambda: derived.certificate(
        (">", N, 0), [kernel.assume((">=", N, 0))], [(1, [0])]
    ),
    "strictness from a factor 0": lambda: derived.certificate((">", 0, 0), [kernel.assume((">", N, 0))], [(0, [0])]),
    "a sum that depends on another, exchanged": lambda: kernel.exchange(
        ("sum", "i", 0, N, ("sum", "j", 0, ("v", "i"), 1)), [1, 0]
    ),
    "a sum exchanged for one of its own name": lambda: kernel.exchange(
        ("sum", "i", 0, 3, ("sum", "i", 0, 5, ("v", "i"))), [1, 0]
    ),
    "a sum counted twice": lambda: kernel.exchange(("sum", "i", 0, 3, ("sum", "j", 0, 5, 1)), [0, 0]),
    "1 / 0": lambda: kernel.reciprocal(0, kernel.assume((">", ("*", N, N), 0))),
    "a derivative at a pole": lambda: kernel.differential(["x"], ("inv", ("re", "x"))),
    "a derivative at a kink": lambda: kernel.differential(["x"], ("le", 0, ("re", "x"))),
    "a logarithm of what may be negative": lambda: kernel.differential(
        ["x"], ("log", ("re", "x")), kernel.assume((">", ("*", ("re", "x"), ("re", "x")), 0))
    ),
    "a derivative through a floor": lambda: kernel.differential(["x"], ("//", ("le", 0, ("re", "x")), 2)),
    "a place that jumps": lambda: kernel.differential(["x"], ("re", "x", ("le", 0, ("re", "x")))),
    "a bound that jumps": lambda: kernel.differential(["x"], ("sum", "i", 0, ("le", 0, ("re", "x")), 1)),
    "what holds for one index alone": lambda: kernel.differential(
        ["x"], ("sum", "i", 0, N, ("log", ("re", "x", ("v", "i")))), kernel.assume((">", ("re", "x", ("v", "i")), 0))
    ),
    "an index that another bound mentions": lambda: kernel.differential(
        ["x"],
        ("sum", "j", 0, ("v", "i"), ("sum", "i", 0, 3, ("log", ("re", "x", ("v", "i"), ("v", "j"))))),
        kernel.assume((">", ("re", "x", ("v", "i"), ("v", "j")), 0)),
    ),
    "rewriting what is differentiated": lambda: _same_derivative(),
    "what moves for a letter": lambda: kernel.instantiate(
        kernel.differential(["x"], ("*", N, ("re", "x"))), {"n": ("is", ("re", "x"), 0)}
    ),
    "a goal that does not follow": lambda: derived.follows((">=", N, M), kernel.assume((">=", N, 0))),
    "a sum of unknown length, written out": lambda: sums.unrolled(("sum", "i", 0, N, 1)),
}


def _same_derivative():
    """Given x = 0, the derivative of x*x + x may not become that of 0."""
    x = ("re", "x")
    found = kernel.rewrite(kernel.differential(["x"], ("+", ("*", x, x), x)), kernel.assume(("=", x, 0)))
    assert found.conclusion[2] == ("+", ("*", x, x), x)
    raise Refused("the body stays")


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(name):
    with pytest.raises((Refused, TypeError, AttributeError)):
        ATTACKS[name]()


class Equal:
    """Equal to everything."""

    __hash__ = object.__hash__

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


class Fake:
    conclusion = FALSE
    hypotheses = ()


class Changing(dict):
    calls = 0

    def get(self, key, default=None):
        Changing.calls += 1
        return 0 if Changing.calls == 1 else 1


class SlyName(str):
    on = False
    __hash__ = str.__hash__

    def __eq__(self, other):
        return SlyName.on and str.__eq__(self, other)


class SlyTuple(tuple):
    __hash__ = tuple.__hash__

    def __eq__(self, other):
        return True


FORGERIES = {
    "a premise that is no theorem": lambda: derived.certificate(FALSE, iter([Fake()]), [(1, (0,))]),
    "terms equal to everything": lambda: kernel.within(Equal(), Equal(), derived.at_least(1, 0)),
    "floats": lambda: kernel.within(1.0, 2.0, derived.at_least(2, 1)),
    "a name that changes": lambda: kernel.generalize(kernel.assume(("=", N, 0)), SlyName("n")),
    "a name equal to everything": lambda: kernel.period(("=", ("v", "x"), ("v", "y")), Equal()),
    "a number for a name": lambda: kernel.period((">=", 1, 0), 5),
    "a tuple equal to everything": lambda: derived.certificate(SlyTuple((">=", 0, 0)), [], []),
    "a head that changes": lambda: kernel.identity((SlyName("+"), 1, 1), 2),
    "a fake in place of a theorem": lambda: kernel.discharge(kernel.assume(FALSE), Fake()),
    "a flag that is none": lambda: kernel.division(N, derived.at_least(2, 1), upper=1),
    "a key that is no name": lambda: kernel.instantiate(positive("n"), {5: 3}),
    "a function without a place": lambda: kernel.identity(("at", "f"), ("at", "f")),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_with_crafted_objects_are_refused(name):
    with pytest.raises((Refused, TypeError, AttributeError)):
        FORGERIES[name]()


def test_what_goes_in_is_copied():
    """A list that changes later changes nothing, and a mapping that answers differently is asked once."""
    goal = [">=", 1, 0]
    found = derived.certificate(goal, [], [(1, ())])
    goal[2] = 5
    assert found.conclusion == (">=", 1, 0)
    found = kernel.instantiate(kernel.assume(("=", ("v", "x"), 0)), Changing(x=0))
    assert (found.hypotheses, found.conclusion) == ((("=", 0, 0),), ("=", 0, 0))


def test_normal_forms_see_through_renaming():
    first, second = (
        ("sum", name, 0, N, ("*", ("is", ("v", name), N), ("at", "f", ("v", name)))) for name in ("a", "z")
    )
    assert kernel.identity(first, second)


@pytest.mark.parametrize("prime", ["i'", "i1"])
def test_what_is_shown_is_what_was_proved(prime):
    found = kernel.last_term(("sum", "i'", 0, 5, ("v", prime)), derived.at_least(5, 0))
    assert ("i1" in shown(found.conclusion)) == (prime == "i1")
    assert shown(("=", ("is", N, 0), 0)) == "[n = 0] = 0"


def test_the_checker_is_bounded():
    """Terms that double forty times, and products that explode, end in a moment."""
    grow = [{"rule": "assume", "arguments": [[">=", ["v", "x"], 0]], "premises": []}]
    for step in range(40):
        grow.append({"rule": "instantiate", "arguments": [[["x", ["+", ["v", "x"], ["v", "x"]]]]], "premises": [step]})
    letters = ["+", *(["v", name] for name in "abcdefghij")]
    explode = [{"rule": "identity", "arguments": [["*", *[letters] * 20], 0], "premises": []}]
    for steps in (grow, explode):
        with pytest.raises(recheck.Wrong, match=r"too much work|nested"):
            recheck.check({"hypotheses": [], "conclusion": ["=", 0, 0], "steps": steps})
    deep = 0
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(recheck.Wrong):
        recheck.check({"hypotheses": [], "conclusion": deep, "steps": written(positive("n"))["steps"]})


@pytest.mark.parametrize("made", [Fake, lambda: 1 // 0, lambda: None])
def test_a_claim_that_makes_no_theorem_is_unknown(made):
    proof = notes.prove(notes.Claim("none", "0 = 1", made))
    assert (proof.verdict, proof.theorem) == (Verdict.UNKNOWN, None)
    assert proof.reason


def test_bound_names_catch_nothing():
    """for all n: m >= n must not become for all n: n >= n."""
    found = kernel.instantiate(kernel.assume(("all", "n", (">=", M, N))), {"m": N})
    assert found.conclusion == ("all", "n'", (">=", N, ("v", "n'")))
    total = ("sum", "i", 0, 3, ("*", ("v", "i"), M))
    moved = substitute(total, {"m": ("v", "i")})
    assert normal(moved) == normal(("*", ("v", "i"), ("sum", "j", 0, 3, ("v", "j"))))


def test_rewriting_stops_at_a_name_that_is_bound():
    equation = kernel.assume(("=", ("v", "i"), 5))
    found = kernel.rewrite(kernel.identity(*[("sum", "i", 0, 3, ("v", "i"))] * 2), equation)
    assert found.conclusion == ("=", *[("sum", "i", 0, 3, ("v", "i"))] * 2)


def test_vacuous_hypotheses_are_not_proved():
    nothing = kernel.assume((">=", 0, 1))
    claim = notes.Claim(
        "vacuous", "n >= 5", lambda: derived.certificate((">=", N, 5), [nothing, kernel.assume((">=", N, 0))], [(5, [0]), (1, [1])]),
        (("n", 3),),
    )  # fmt: skip
    proof = notes.prove(claim)
    assert (proof.verdict, proof.reason) == (Verdict.UNKNOWN, "the witness does not satisfy 0 >= 1")


def test_the_normal_form_keeps_the_value():
    """Random terms, evaluated directly and through the normal forms of the kernel and of the checker."""
    rng, counted = random.Random(5), 0

    def draw(depth, names):
        kind = rng.random()
        if depth == 0 or kind < 0.25:
            return rng.choice([rng.randint(-2, 3), ("v", rng.choice(names)), ("v", rng.choice(names))])
        a, b = draw(depth - 1, names), draw(depth - 1, names)
        if kind < 0.55:
            return (rng.choice("+*"), a, b)
        if kind < 0.62:
            return ("//", a, rng.choice([1, 2, 3, ("v", rng.choice(names))]))
        if kind < 0.74:
            return ("at", rng.choice("xy"), a, b)
        if kind < 0.8:
            return (rng.choice(["is", "le"]), a, b)
        name = rng.choice("ijk")
        high = rng.choice([2, ("v", rng.choice(names)), ("+", ("v", rng.choice(names)), -1)])
        return ("sum", name, rng.randint(-1, 1), high, draw(depth - 1, sorted({*names, name})))

    for _ in range(1500):
        term = draw(4, ["n", "m"])
        try:
            zero = normal(("+", term, ("*", -1, term)))
            again = recheck.poly(("+", term, ("*", -1, term)))
        except (Refused, recheck.Wrong):
            continue
        assert zero == {}
        assert recheck.number(again) == 0
        other = draw(3, ["n", "m"])
        try:
            same = normal(term) == normal(other)
            assert same == recheck.same(recheck.poly(term), recheck.poly(other)) or not same
            number = constant(normal(term))
        except (Refused, recheck.Wrong):
            continue
        for _ in range(2):
            numbers = {"n": rng.randint(-1, 3), "m": rng.randint(-1, 3)}
            functions = lambda head, name, place: hash((name, place)) % 11 - 5  # noqa: E731
            if number is not None:
                assert value(term, numbers, functions) == number
            if same:
                assert value(term, numbers, functions) == value(other, numbers, functions)
            counted += 1
    assert counted > 2000


# --- the checker alone ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("proof", "complaint"),
    [
        ([], "no proof term"),
        ({"hypotheses": [], "conclusion": ["=", 0, 0], "steps": []}, "a proof has steps"),
        ({"hypotheses": [], "conclusion": ["=", 0, 0], "steps": [{}]}, "step 0: a step has a rule, arguments, premises"),
        (
            {"hypotheses": [], "conclusion": ["=", 0, 1], "steps": [{"rule": "identity", "arguments": [0, 1], "premises": []}]},
            "step 0: the two sides are different polynomials",
        ),
        (
            {"hypotheses": [], "conclusion": ["=", 0, 1], "steps": [{"rule": "axiom", "arguments": [], "premises": []}]},
            "step 0: no such rule, or not for these arguments and premises",
        ),
        (
            {"hypotheses": [], "conclusion": ["=", 0, 1], "steps": [{"rule": "identity", "arguments": [0, 0], "premises": []}]},
            "the last step concludes something else",
        ),
        (
            {"hypotheses": [], "conclusion": [">=", 0, 1], "steps": [{"rule": "assume", "arguments": [[">=", 0, 1]], "premises": []}]},
            "the last step rests on a hypothesis that is not stated",
        ),
        (
            {"hypotheses": [], "conclusion": ["=", 0, 0], "steps": [{"rule": "discharge", "arguments": [], "premises": [0, 0]}]},
            "step 0: a premise must be an earlier step",
        ),
    ],
)  # fmt: skip
def test_the_checker_says_what_is_wrong(proof, complaint):
    with pytest.raises(recheck.Wrong, match=f"^{complaint}$"):
        recheck.check(proof)


def test_the_checker_as_a_program(tmp_path, capsys):
    proofs = {name: written(claim.prove()) for name, (_, claim) in list(zip(IDS, CLAIMS, strict=True))[:30]}
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(proofs))
    assert recheck.main([str(good)]) == 0
    assert f"{len(proofs)} of {len(proofs)} proofs hold" in capsys.readouterr().out
    first = proofs[IDS[0]]
    bad.write_text(json.dumps({**first, "conclusion": ["=", 0, 1]}))
    assert recheck.main([str(bad)]) == 1
    assert "WRONG  'proof': the last step concludes something else" in capsys.readouterr().out
    bad.write_text("[" * 100_000)
    assert recheck.main([str(bad)]) == 2
    assert recheck.main([]) == 2


def test_deep_terms_are_refused_not_crashed_on():
    term = 0
    for _ in range(300):
        term = ["+", term, 1]
    with pytest.raises(recheck.Wrong, match="nested too deeply"):
        recheck.check(
            {
                "hypotheses": [],
                "conclusion": ["=", term, 0],
                "steps": [{"rule": "identity", "arguments": [term, 0], "premises": []}],
            }
        )
