"""Every decided quasi-affine fact against other solvers: SMT (z3, cvc5) and Presburger sets (isl)."""

import random

import pytest

from convproof import notes
from convproof.proof import Refused, decide, proof_term


def decided():
    """Every formula that a theory has decided by a period, with its letter."""
    claims = [(each.id, claim) for each in notes.load() for claim in each.claims]
    proofs = {f"{name}.{claim.name}": proof_term(claim.prove()) for name, claim in claims}
    return {
        f"{name}/{place}": (tuples(step["arguments"][0]), step["arguments"][1])
        for name, proof in proofs.items()
        for place, step in enumerate(proof["steps"])
        if step["rule"] == "period"
    }


def tuples(data):
    return tuple(map(tuples, data)) if isinstance(data, list) else data


def drawn(count, indicators, seed=11):
    """Conditions on n, half of them equations that hold often, with what `decide` makes of them."""
    rng = random.Random(seed)

    def size(depth):
        kind = rng.random()
        if depth == 0 or kind < 0.3:
            return ("+", ("*", rng.choice([1, 1, 2, 3, -1]), ("v", "n")), rng.randint(-9, 9))
        if kind < 0.75:
            return ("//", size(depth - 1), rng.choice([2, 3, 4, 5]))
        if kind < 0.85 and indicators:
            return (rng.choice(["is", "le"]), size(depth - 1), size(depth - 1))
        return ("+", size(depth - 1), ("*", rng.choice([-3, -1, 2]), size(depth - 1)))

    def condition(depth):
        if depth and rng.random() < 0.3:
            return ("iff", condition(depth - 1), condition(depth - 1))
        if rng.random() < 0.4:
            a, b = size(1), rng.choice([2, 3, 4])
            return ("=", ("*", b, ("//", a, b)), a)
        return (rng.choice(["=", ">="]), size(2), size(1))

    found = []
    while len(found) < count:
        stated = condition(1)
        try:
            found.append((stated, decide(stated, "n")))
        except Refused:
            continue
    return found


def smt(formula, n, solver):
    """A condition for z3 or cvc5, whose divisions by positive numbers round down."""

    def value(term):
        if isinstance(term, int):
            return solver.IntVal(term)
        head, *rest = term
        if head == "v":
            return n
        parts = [value(part) for part in rest]
        if head == "+":
            return sum(parts, solver.IntVal(0))
        if head == "*":
            product = solver.IntVal(1)
            for part in parts:
                product = product * part
            return product
        a, b = parts
        if head == "//":
            return a / b
        return solver.If(a == b if head == "is" else a <= b, solver.IntVal(1), solver.IntVal(0))

    head, a, b = formula
    if head == "iff":
        return smt(a, n, solver) == smt(b, n, solver)
    return value(a) == value(b) if head == "=" else value(a) >= value(b)


def members(decision, n, solver):
    """Membership in the decided set, stated by remainders."""
    sizes = decision.sizes
    listed = [n == each for each in sizes.below] + [n == 0] * decision.at_zero
    repeated = solver.Or(False, *(n % sizes.modulus == residue for residue in sizes.residues))
    return solver.Or(False, *listed, solver.And(n >= sizes.start, repeated))


def refuted(claim, n, solver):
    """Whether the solver finds a natural number for which the claim fails; None where it gives up."""
    search = solver.Solver()
    search.set("timeout", 5000) if solver.__name__ == "z3" else search.setOption("tlimit-per", 2000)
    search.add(n >= 0, solver.Not(claim))
    answer = search.check()
    return True if answer == solver.sat else False if answer == solver.unsat else None


@pytest.fixture(params=["z3", "cvc5.pythonic"])
def solver(request):
    return pytest.importorskip(request.param, reason="an SMT solver, of the extra peers, is not installed")


def test_smt_solvers_find_the_same_sizes(solver):
    """The set, and that what fails first fails, and is the first. Of z3 every answer is wanted, of cvc5 most."""
    n, answers = solver.Int("n"), []
    for stated, decision in drawn(60, indicators=True):
        condition, least = smt(stated, n, solver), decision.counterexample
        answers.append(refuted(condition == members(decision, n, solver), n, solver))
        assert not answers[-1], stated
        if least is not None:
            assert refuted(solver.Implies(n == least, condition), n, solver)
            assert not refuted(solver.Implies(n < least, condition), n, solver)
    assert answers.count(False) >= (60 if solver.__name__ == "z3" else 54)


def test_smt_solvers_agree_with_every_fact_that_a_theory_decides(solver):
    facts = decided()
    assert len(facts) >= 5
    for name, (stated, letter) in facts.items():
        n = solver.Int(letter)
        assert refuted(smt(stated, n, solver), n, solver) is False, name


def presburger(formula):
    """A condition without indicators in the notation of isl."""

    def value(term):
        if isinstance(term, int):
            return str(term)
        head, *rest = term
        if head == "v":
            return rest[0]
        parts = [value(part) for part in rest]
        return f"floor(({parts[0]})/{rest[1]})" if head == "//" else f"({f' {head} '.join(parts)})"

    head, a, b = formula
    if head == "iff":
        a, b = presburger(a), presburger(b)
        return f"((({a}) and ({b})) or (not ({a}) and not ({b})))"
    return f"0 {'<=' if head == '>=' else '='} {value(a)} - {value(b)}"


def test_presburger_sets_are_the_same():
    isl = pytest.importorskip("islpy", reason="isl, of the extra peers, is not installed")
    for stated, decision in drawn(100, indicators=False, seed=12):
        sizes = decision.sizes
        listed = [f"n = {each}" for each in (*sizes.below, *([0] if decision.at_zero else []))]
        repeated = " or ".join(f"n mod {sizes.modulus} = {each}" for each in sizes.residues) or "n < 0"
        other = " or ".join([*listed, f"(n >= {sizes.start} and ({repeated}))"])
        condition = isl.Set(f"{{ [n] : n >= 0 and ({presburger(stated)}) }}")
        assert condition.is_equal(isl.Set(f"{{ [n] : n >= 0 and ({other}) }}")), stated
