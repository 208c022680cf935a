"""The second checker: replays written proof terms, shares no code with the kernel, and needs only Python's integers.

A proof term is {"hypotheses": [...], "conclusion": ..., "steps": [{"rule", "arguments", "premises"}, ...]}; terms and
formulas are lists as the kernel describes them. Every step is worked out afresh from its rule, its arguments and
earlier results; what is written as the result counts for nothing until the last step has produced it. `python -m
convproof.recheck FILE.json` checks a file with one proof term, or with a list or an object of them.
"""

import functools
import itertools
import json
import math
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

Sequent = tuple[frozenset[Any], Any]
Poly = dict[tuple[int, ...], int]
Cycle = tuple[int, int, int, Callable[[int], int]]
"""A function f of one natural number that repeats up to its rise: (s, L, r, f) with f(n + L) = f(n) + r for n >= s."""
MOST_WORK, MOST_SIZES, DEEPEST, LARGEST = 3_000_000, 10_000, 200, 10**50
_work = 0


class Wrong(Exception):
    """The proof term proves nothing; the message says where it fails."""


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise Wrong(complaint)


def _spend(amount: int = 1) -> None:
    global _work
    _work += amount
    _require(_work <= MOST_WORK, "the proof takes too much work to check")


def _plain(data: Any, depth: int = 0) -> Any:
    """JSON with tuples for lists, looked at to its leaves."""
    _spend()
    _require(depth < DEEPEST, "nested too deeply")
    kind = type(data)
    if kind is list or kind is tuple:
        return tuple([_plain(each, depth + 1) for each in data])
    _require(kind is int or (kind is str and data) or (kind is bool and depth == 1), "no part of a proof")
    return data


def read_term(data: Any) -> Any:
    """A term, as nested tuples."""
    poly(term := _plain(data))
    return term


def read_formula(data: Any) -> Any:
    """A formula, as nested tuples."""
    return _formed(_plain(data))


def _formed(formula: Any, depth: int = 0) -> Any:
    """The formula, if it is one, and integral where it must be."""
    _require(depth < DEEPEST, "nested too deeply")
    match formula:
        case ("=" | ">=" | ">", a, b):
            poly(a), poly(b)
        case ("iff", f, g):
            _formed(f, depth + 1), _formed(g, depth + 1)
        case ("all", letter, f):
            poly(("v", letter)), _formed(f, depth + 1)
        case ("d", (*names,), a, b):
            poly(a), poly(b), poly(("+", 0, *(("v", name) for name in names)))
        case _:
            raise Wrong("no formula")
    return formula


def _split(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """How a term or formula begins, and the terms or formulas in it."""
    _spend()
    if type(node) is int:
        return (node,), ()
    start = 2 if node[0] in ("v", "at", "re", "sum", "all", "d") else 1
    return node[:start], node[start:]


def _free(node: Any) -> set[Any]:
    """The letters that stand free; and ("re", x) for every function x to reals."""
    before, parts = _split(node)
    found = [_free(part) for part in parts]
    if before[0] in ("sum", "all"):
        found[-1].discard(before[1])
    return set({"v": before[1:], "re": (before,)}.get(before[0], ())).union(*found)


def _arbitrary(letters: Iterable[str], nodes: Iterable[Any]) -> None:
    _require(_free(("+", *nodes)).isdisjoint(letters), "a letter that must be arbitrary stands free elsewhere")


def _put(node: Any, values: Mapping[str, Any]) -> Any:
    """`node` with terms for free letters; a bound name that would catch one of theirs is primed."""
    before, parts = _split(node)
    if before[0] == "v":
        return values.get(before[1], node)
    if before[0] == "d":
        entering = _free(("+", *(values[letter] for letter in _free(parts[0]) & values.keys())))
        _require(entering.isdisjoint(("re", name) for name in before[1]), "what moves cannot stand for a letter")
    if before[0] not in ("sum", "all"):
        return (*before, *[_put(part, values) for part in parts]) if parts else node
    (kind, name), (*bounds, body) = before, parts
    free = _free(body)
    wanted = {letter: values[letter] for letter in free & values.keys() - {name}}
    caught, primed = _free(("+", *wanted.values())), name
    while primed in caught or (primed != name and primed in free):
        primed += "'"
    return (kind, primed, *[_put(bound, values) for bound in bounds], _put(body, {**wanted, name: ("v", primed)}))


def _swapped(node: Any, a: Any, b: Any, reserved: set[Any]) -> Any:
    """`node` with b for a, but not where a letter of theirs is bound, nor in what is differentiated."""
    if node == a:
        return b
    before, parts = _split(node)
    found = [_swapped(part, a, b, reserved) for part in parts]
    if before[0] in ("sum", "all") and before[1] in reserved:
        found[-1] = parts[-1]
    if before[0] == "d":
        found[0] = parts[0]
    return (*before, *found) if parts else node


# --- polynomials ------------------------------------------------------------------------------------------------------
# A polynomial is {monomial: coefficient}, a monomial the sorted numbers of its atoms. An atom is how it begins and the
# polynomials in it; equal atoms have the same number, and indicators negative ones. While a sum is built its letter is
# ("v", number). When what does not mention that has gone in front, it becomes ("b", k), k the number of atoms between.

_atoms: dict[int, Any] = {}
_numbers: dict[Any, int] = {}
_known: dict[int, tuple[Any, Poly, int]] = {}
_letter = itertools.count()


def poly(term: Any) -> Poly:
    """The polynomial that a term is. It is worked out once, and counts for a fiftieth when it is met again."""
    if id(term) not in _known:
        before = _work
        _known[id(term)] = (term, _poly(term, {}, 0), _work - before)
    _spend(1 + _known[id(term)][2] // 50)
    return _known[id(term)][1]


def _poly(term: Any, bound: Mapping[str, int], depth: int) -> Poly:
    """The same; `bound` numbers the letters of the sums around."""
    if type(term) is int:
        return _collected([((), term)])
    _require(type(term) is tuple and len(term) > 1 and depth < DEEPEST, "no term, or nested too deeply")
    (kind, *names), parts = _split(term)
    _require(all(type(name) is str and name.rstrip("'").isidentifier() for name in names), "a name is no identifier")
    own = next(_letter)
    inner = {**bound, **dict.fromkeys(names, own)} if kind == "sum" else bound
    polys = [_poly(part, inner if place == 2 else bound, depth + 1) for place, part in enumerate(parts)]
    whole = all(map(_integral, {"at": polys, "re": polys, "//": polys, "sum": polys[:2]}.get(kind, [])))
    _require(whole, "places, bounds and the parts of a floor must be integral")
    match kind, polys, [number(each) for each in polys]:
        case "+", [_, *_], _:
            return _collected(pair for each in polys for pair in each.items())
        case "*", [_, *_], _:
            return _times(*polys)
        case "//", [a, _], [_, 1]:
            return a
        case "//", _, [int(top), int(bottom)] if bottom > 0:
            return _collected([((), top // bottom)])
        case "is" | "le", [a, b], _:
            polys = [difference := _minus(b, a)]
            value = number(difference)
            if value is not None:
                return _collected([((), int(value == 0 if kind == "is" else value >= 0))])
        case "sum", [low, high, body], _:
            return _summed(own, low, high, body)
        case "v", [], _:
            names = [bound.get(name, name) for name in names]
        case ("at", [_, *_], _) | ("//", [_, _], _) | ("re", _, _) | ("inv" | "exp" | "log", [_], _):
            pass
        case _:
            raise Wrong("no term")
    return {(_atom((kind, *names), polys),): 1}


def _collected(pairs: Iterable[tuple[Collection[int], int]]) -> Poly:
    """The sum of numbers times atoms; in a product an indicator counts once."""
    found: Poly = {}
    for atoms, c in pairs:
        _spend(1 + len(atoms))
        indicators = {atom for atom in atoms if atom < 0}
        monomial = tuple(sorted([*indicators, *(atom for atom in atoms if atom not in indicators)]))
        found[monomial] = found.get(monomial, 0) + c
    _require(all(-LARGEST <= c <= LARGEST for c in found.values()), "a number becomes too large")
    return {monomial: c for monomial, c in found.items() if c}


def _minus(a: Poly, b: Poly) -> Poly:
    return _collected([*a.items(), *((monomial, -c) for monomial, c in b.items())])


def _times(*polys: Poly) -> Poly:
    product: Poly = {(): 1}
    for each in polys:
        product = _collected((m + n, c * d) for m, c in product.items() for n, d in each.items())
    return product


def _gap(formula: Any) -> Poly:
    _require(formula[0] in ("=", ">=", ">"), "an equation or a comparison is needed")
    return _minus(poly(formula[1]), poly(formula[2]))


def number(a: Poly) -> int | None:
    """The integer that a polynomial is, or None."""
    return a.get((), 0) if a.keys() <= {()} else None


def same(a: Poly, b: Poly) -> bool:
    """Whether two polynomials are equal."""
    return a == b


def _integral(a: Poly) -> bool:
    """Whether a polynomial is an integer by its form."""
    _spend(len(a))
    atoms, real = [_atoms[atom] for monomial in a for atom in monomial], ("re", "inv", "exp", "log")
    return all(_integral(dict(parts[2])) if kind == "sum" else kind not in real for (kind, *_), parts in atoms)


def _summed(own: int, low: Poly, high: Poly, body: Poly) -> Poly:
    """The sum, monomial by monomial, of the atoms that mention its letter: those that change when it is bound."""

    @functools.cache
    def closed(atom: int, depth: int) -> int:
        (before, parts), polys = _atoms[atom], []
        for part in parts:
            polys.append(_collected(([closed(each, depth + 1) for each in monomial], c) for monomial, c in part))
        return _atom(("b", depth) if before == ("v", own) else before, polys)

    pairs = []
    for monomial, c in body.items():
        varying = [closed(atom, 0) for atom in monomial if closed(atom, 0) != atom]
        summed = _atom(("sum",), [low, high, _collected([(varying, 1)])])
        pairs.append(([summed, *(atom for atom in monomial if closed(atom, 0) == atom)], c))
    return _collected(pairs)


def _atom(before: tuple[Any, ...], polys: list[Poly]) -> int:
    """The number of an atom. As [a = 0] is [-a = 0], the same one of the two is taken there."""
    parts = [tuple(sorted(each.items())) for each in polys]
    if before == ("is",):
        parts = [max(part, tuple([(monomial, -c) for monomial, c in part])) for part in parts]
    key, number = (before, tuple(parts)), len(_atoms)
    atom = _numbers.setdefault(key, ~number if before[0] in ("is", "le") else number)
    _atoms[atom] = key
    return atom


def _cycle(a: Poly, letter: str) -> Cycle:
    work = 3 + sum(len(monomial) ** 2 for monomial in a)
    _spend(10 * work)
    products = [(c, [_atom_cycle(atom, letter) for atom in monomial]) for monomial, c in a.items()]
    every = [factor for _, factors in products for factor in factors]
    linear = all(sum(rise != 0 for _, _, rise, _ in factors) <= 1 for _, factors in products)
    _require(linear, "the formula is not linear in what grows")
    start, length = max([0, *(each[0] for each in every)]), math.lcm(*(each[1] for each in every))
    _require(start + length <= MOST_SIZES, "too many sizes would have to be looked at")
    rises = 0
    for c, factors in products:
        steady = [factor for *_, rise, factor in factors if not rise]
        for own, rise in [(own, rise) for _, own, rise, _ in factors if rise]:
            rises += c * rise * (length // own) * _constant(steady, range(start, start + length))

    def value(n: int) -> int:
        _spend(work)
        total = sum(c * math.prod(factor(n) for *_, factor in factors) for c, factors in products)
        _require(abs(total) <= LARGEST, "a number becomes too large")
        return total

    return start, length, rises, value


def _constant(factors: list[Callable[[int], int]], sizes: range) -> int:
    """What a product is at each of the sizes, if it is the same everywhere."""
    product = math.prod([factor(sizes[0]) for factor in factors])
    same = not factors or all(math.prod([factor(n) for factor in factors]) == product for n in sizes[1:])
    _require(same, "what grows is multiplied by what does not become constant")
    return product


def _atom_cycle(atom: int, letter: str) -> Cycle:
    before, parts = _atoms[atom]
    if before == ("v", letter):
        return 0, 1, 1, lambda n: n
    _require(before[0] in ("//", "is", "le"), "only floors and indicators of the one letter can be decided")
    start, length, rise, value = _cycle(dict(parts[0]), letter)
    if before == ("//",):
        divisor = number(dict(parts[1])) or 0
        _require(divisor > 0, "a divisor must be a positive number")
        rounds = divisor // math.gcd(divisor, rise)
        return start, length * rounds, rise * rounds // divisor, lambda n: value(n) // divisor
    if rise:
        start += length * (max(abs(value(n)) for n in range(start, start + length)) // abs(rise) + 1)
    return start, length, 0, lambda n: int(value(n) == 0 if before == ("is",) else value(n) >= 0)


def _as_indicator(formula: Any) -> Any:
    _require(formula[0] in ("=", ">=", "iff"), "only =, >= and iff can be decided")
    a, b = map(_as_indicator, formula[1:]) if formula[0] == "iff" else formula[1:]
    return ("le" if formula[0] == ">=" else "is", b, a)


# --- the rules: what follows from premises, (hypotheses, conclusion) each ---------------------------------------------


def _follows(rule: str, arguments: Any, premises: list[Sequent]) -> Any:
    match rule, arguments, premises:
        case "assume", (formula,), []:
            return [formula], formula
        case "instantiate", (pairs,), [(h, f)]:
            values = {_whole(("v", letter))[1]: _whole(term) for letter, term in pairs}
            return [_put(each, values) for each in h], _put(f, values)
        case "generalize", (letter,), [(h, f)]:
            _arbitrary([letter], h)
            return h, ("all", letter, f)
        case "specialize", (term,), [(h, ("all", letter, f))]:
            return h, _put(f, {letter: _whole(term)})
        case "discharge", (), [(h, f), (k, g)]:
            return h - {g} | k, f
        case "equivalent", (), [(h, g), (k, f)]:
            return h - {f} | k - {g}, ("iff", f, g)
        case "cases", (a, b), [(h, f), (k, g)] if f == g:
            return h - {(">=", _whole(a), _whole(b))} | k - {(">=", b, ("+", a, 1))}, f
        case "induction", (letter,), [(h, base), (k, step)]:
            n = ("v", letter)
            claims = [f for f in k if _put(f, {letter: ("+", n, 1)}) == step]
            _require(len(claims) == 1 and _put(claims[0], {letter: 0}) == base, "base and step do not belong together")
            others = h | k - {claims[0], (">=", n, 0)}
            _arbitrary([letter], others)
            return others | {(">=", n, 0)}, claims[0]
        case "rewrite", (), [(h, f), (k, ("=", a, b))]:
            return h | k, _swapped(f, a, b, _free(("=", a, b)))
        case "identity", (a, b), []:
            _require(same(poly(a), poly(b)), "the two sides are different polynomials")
            return [], ("=", a, b)
        case "antisymmetry", (), [(h, (">=", a, b)), (k, below)] if below == (">=", b, a):
            return h | k, ("=", a, b)
        case "division", (a, bool(upper)), [(h, (">=", b, 1))]:
            product = ("*", b, ("//", a, b))
            return h, (">=", ("+", product, b, -1), a) if upper else (">=", a, product)
        case "reciprocal", (a,), [(h, known)] if known == (">", ("*", a, a), 0):
            return h, ("=", ("*", a, ("inv", a)), 1)
        case "period", (formula, letter), []:
            start, length, _, value = _cycle(poly(_as_indicator(formula)), letter)
            _require(all(value(n) == 1 for n in range(start + length)), "one period refutes it")
            return [(">=", ("v", letter), 0)], formula
        case "indicator", (a, b), []:
            return [], ("=", ("*", ("is", a, b), ("+", a, ("*", -1, b))), 0)
        case "within", (a, b), [(h, known)] if known in ((">=", b, a), (">", a, b)):
            return h, ("=", ("le", a, b), int(known[0] == ">="))
        case "last_term", (("sum", index, low, high, body) as term,), [(h, known)] if known == (">=", high, low):
            return h, ("=", term, ("+", ("sum", index, low, ("+", high, -1), body), _put(body, {index: high})))
        case "last_term", (("sum", _, low, high, _) as term,), [(h, known)] if known == (">=", low, ("+", high, 1)):
            return h, ("=", term, 0)
        case "reindex", (("sum", index, low, high, body) as term, 1 | -1 as sign, shift), []:
            _arbitrary([index], [_whole(shift)])
            ends = [("*", sign, ("+", end, ("*", -1, shift))) for end in (low, high)[::sign]]
            return [], ("=", term, ("sum", index, *ends, _put(body, {index: ("+", ("*", sign, ("v", index)), shift)})))
        case "sift", (index, low, high, body, place), []:
            _arbitrary([index], [_whole(place)])
            left = ("sum", index, low, high, ("*", body, ("is", ("v", index), place)))
            return [], ("=", left, ("*", _put(body, {index: place}), ("le", low, place), ("le", place, high)))
        case "under_sum", (("sum", index, low, high, body) as term,), [(h, ("=", left, right))] if left == body:
            others = h - {(">=", ("v", index), low), (">=", high, ("v", index))}
            _arbitrary([index], [*others, low, high])
            return others, ("=", term, ("sum", index, low, high, right))
        case "positive", (a,), []:
            return [], (">", ("exp", a), 0)
        case "certificate", (goal, products, scale, refute), _:
            return _certificate(goal, products, scale, refute, premises)
        case "exchange", (term, order), []:
            sums, body = list[Any](), term
            for _ in order:
                sums, body = [*sums, body[:4]], body[4]
            names = {around[1] for around in sums if around[0] == "sum"}
            _require(sorted(order) == [*range(len(names))], "each sum once, each with its own name")
            _arbitrary(names, [bound for _, _, *bounds in sums for bound in bounds])
            return [], ("=", term, functools.reduce(lambda inner, place: (*sums[place], inner), order[::-1], body))
        case "differential", (names, term), _:
            return _differential(names, term, premises)
    raise Wrong("no such rule, or not for these arguments and premises")


def _whole(term: Any) -> Any:
    _require(_integral(poly(term)), "an integral term is needed")
    return term


def _certificate(goal: Any, products: Any, scale: Any, refute: Any, premises: list[Sequent]) -> Any:
    """scale times the goal is a sum of products of premises that shows its sign."""
    target, known = _gap(goal), [(f[0], _gap(f)) for _, f in premises]
    _require(type(scale) is int and scale > 0 and type(refute) is bool, "the scale must be a positive integer")
    if refute:
        _require(goal[0] == ">=" and _integral(target), "only a >= between integers can be refuted")
        known.append((">=", _minus({(): -1}, target)))
        target = {(): -1}
    total, strict = list[tuple[Any, int]](), goal[0] != ">"
    for factor, places in products:
        _require(all(type(place) is int and 0 <= place < len(known) for place in places), "no such premise")
        signs, value = {known[place][0] for place in places}, number(poly(factor))
        natural = value is not None and value >= 0 and goal[0] != "="
        _require(natural or "=" in signs, "a factor must be natural, towards a comparison, or meet an equation")
        strict = strict or (signs <= {">"} and value != 0)
        total += _times(poly(factor), *(known[place][1] for place in places)).items()
    _require(same(_times({(): scale}, target), _collected(total)), "the certificate does not add up")
    _require(strict, "no product is positive")
    return frozenset().union(*(h for h, _ in premises)), goal


def _slope(term: Any, moving: set[Any], sums: Any, needs: list[Any]) -> Any:
    """The derivative of a term; `needs` gets what must be positive for it, with the names and bounds of sums around."""
    match term:
        case _ if moving.isdisjoint(_free(term)):
            return 0
        case ("re", name, *places) if moving.isdisjoint(_free(("+", *places))):
            return ("re", "d" + name, *places)
        case ("sum", index, *bounds, body) if moving.isdisjoint(_free(("+", *bounds))):
            _arbitrary([index], [*bounds, *(each for name, *ends in sums for each in (("v", name), *ends))])
            return ("sum", index, *bounds, _slope(body, moving, (*sums, (index, *bounds)), needs))
        case "at" | "re" | "//" | "sum", *_:
            raise Wrong("what moves within a place, a bound or a floor is not differentiated")
    (kind, first, *_), slopes = term, [_slope(part, moving, sums, needs) for part in term[1:]]
    if kind in ("log", "inv", "is", "le"):
        base = ("+", first, ("*", -1, term[2])) if kind in ("is", "le") else first
        needs.append((base if kind == "log" else ("*", base, base), sums))
    products = [(*term[: i + 1], slope, *term[i + 2 :]) for i, slope in enumerate(slopes)]
    values = {"+": ("+", *slopes), "*": ("+", *products), "exp": ("*", term, *slopes)}
    return {**values, "log": ("*", ("inv", first), *slopes), "inv": ("*", -1, term, term, *slopes)}.get(kind, 0)


def _differential(names: Any, term: Any, premises: list[Sequent]) -> Any:
    needs: list[Any] = []
    used, value = set[Any](), _slope(term, {("re", name) for name in names}, (), needs)
    known = {frozenset(_gap(f).items()): h for h, f in reversed(premises) if f[0] == ">"}
    for needed, sums in needs:
        key = frozenset(poly(needed).items())
        _require(key in known, "a logarithm's argument, or the square of a denominator or jump, must be positive")
        bounds = [each for i, low, high in sums for each in ((">=", ("v", i), low), (">=", high, ("v", i)))]
        _arbitrary([index for index, _, _ in sums], known[key].difference(bounds))
        used |= known[key].difference(bounds)
    return used, ("d", names, term, value)


def check(proof: Any) -> None:
    """Replays a proof term; raises `Wrong` unless its last step gives its conclusion from its hypotheses."""
    global _work
    _work, results, where = 0, list[Sequent](), ""
    for table in (_atoms, _numbers, _known):
        table.clear()
    try:
        known = type(proof) is dict and {"hypotheses", "conclusion", "steps"} <= proof.keys()
        _require(known and type(proof["steps"]) is list, "no proof term")
        for place, step in enumerate(proof["steps"]):
            where = f"step {place}: "
            known = type(step) is dict and step.keys() == {"rule", "arguments", "premises"}
            _require(known, "a step has a rule, arguments, premises")
            rule, arguments, places = (_plain(step[key]) for key in ("rule", "arguments", "premises"))
            earlier = all(type(each) is int and 0 <= each < place for each in places)
            _require(earlier, "a premise must be an earlier step")
            hypotheses, conclusion = _follows(rule, arguments, [results[each] for each in places])
            results.append((frozenset(map(_formed, hypotheses)), _formed(conclusion)))
        where = ""
        _require(bool(results), "a proof has steps")
        _require(results[-1][1] == read_formula(proof["conclusion"]), "the last step concludes something else")
        stated = {_formed(each) for each in _plain(proof["hypotheses"])}
        _require(results[-1][0] <= stated, "the last step rests on a hypothesis that is not stated")
    except Wrong as error:
        raise Wrong(f"{where}{error}") from None
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise Wrong(f"{where}malformed: {type(error).__name__}") from None


def main(arguments: list[str]) -> int:
    """Checks the files named; 0 if every proof holds, 1 if one does not, 2 for a file that cannot be read."""
    if len(arguments) != 1:
        print("usage: python -m convproof.recheck FILE.json", file=sys.stderr)
        return 2
    try:
        with open(arguments[0], encoding="utf-8") as file:
            data = json.load(file)
    except (OSError, ValueError, RecursionError) as error:
        print(f"convproof.recheck: cannot read {arguments[0]}: {error}", file=sys.stderr)
        return 2
    data = {"proof": data} if type(data) is dict and "steps" in data else data
    proofs = data if type(data) is dict else dict(enumerate(data if type(data) is list else []))
    wrong = 0
    for name, proof in proofs.items():
        try:
            check(proof)
            print(f"holds  {name!a}")
        except Wrong as error:
            wrong += 1
            print(f"WRONG  {name!a}: {error}")
    print(f"{len(proofs) - wrong} of {len(proofs)} proofs hold")
    return 1 if wrong or not proofs else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
