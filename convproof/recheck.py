"""The second checker: replays written proof terms. It shares no code with the kernel and needs nothing but Python's
integers.

A proof term is {"hypotheses": [...], "conclusion": ..., "steps": [{"rule", "arguments", "premises"}, ...]}; terms and
formulas are lists as the kernel describes them. Every step is worked out afresh from its rule, its arguments and
earlier results; what is written as the result counts for nothing until the last step has produced it. `python -m
convproof.recheck FILE.json` checks a file with one proof term, or with a list or an object of them.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from typing import Any

Sequent = tuple[list[Any], Any]
"""(hypotheses, conclusion)"""

MOST_NAMES, MOST_SIZES, DEEPEST, MOST_WORK = 6, 10_000, 200, 2_000_000


class Wrong(Exception):
    """The proof term proves nothing; the message says where it fails."""


_work = 0


def spend(amount: int = 1) -> None:
    """Counts work, and refuses a proof that takes too much of it."""
    global _work
    _work += amount
    require(_work <= MOST_WORK, "the proof takes too much work to check")


def require(holds: bool, complaint: str) -> None:
    """Raises `Wrong` unless `holds`."""
    if not holds:
        raise Wrong(complaint)


# --- reading: lists of JSON become terms whose every part has been looked at ------------------------------------------


def read_term(data: Any, depth: int = 0) -> Any:
    """A term, as nested tuples."""
    require(depth < DEEPEST, "a term is nested too deeply")
    if type(data) is int:
        return data
    require(type(data) in (list, tuple) and len(data) > 1 and type(data[0]) is str, "a term is a number or a list")
    kind, rest = data[0], list(data[1:])
    if kind == "v":
        require(len(rest) == 1 and _is_name(rest[0]), "a letter needs a name")
        return (kind, rest[0])
    if kind == "at":
        require(len(rest) > 1 and _is_name(rest[0]), "a function needs a name and a place")
        return (kind, rest[0], *(read_term(each, depth + 1) for each in rest[1:]))
    if kind == "sum":
        require(len(rest) == 4 and _is_name(rest[0]), "a sum has a name, two bounds and a body")
        return (kind, rest[0], *(read_term(each, depth + 1) for each in rest[1:]))
    require(kind in ("+", "*") or (kind in ("//", "is", "le") and len(rest) == 2), f"no term: {kind!r}")
    return (kind, *(read_term(each, depth + 1) for each in rest))


def read_formula(data: Any, depth: int = 0) -> Any:
    """A formula, as nested tuples."""
    require(depth < DEEPEST, "a formula is nested too deeply")
    require(type(data) in (list, tuple) and len(data) == 3 and type(data[0]) is str, "a formula is a list of three")
    kind, a, b = data
    if kind in ("=", ">="):
        return (kind, read_term(a), read_term(b))
    if kind == "iff":
        return (kind, read_formula(a, depth + 1), read_formula(b, depth + 1))
    require(kind == "all" and _is_name(a), f"no formula: {kind!r}")
    return (kind, a, read_formula(b, depth + 1))


def _is_name(value: Any) -> bool:
    return type(value) is str and value.rstrip("'").isidentifier()


# --- letters ----------------------------------------------------------------------------------------------------------


def letters(term: Any) -> set[str]:
    """The names that stand free."""
    spend()
    if type(term) is int:
        return set()
    kind = term[0]
    if kind == "v":
        return {term[1]}
    if kind in ("sum", "all"):
        found = letters(term[-1]) - {term[1]}
        for bound in term[2:-1]:
            found |= letters(bound)
        return found
    found = set()
    for part in term[2:] if kind == "at" else term[1:]:
        found |= letters(part)
    return found


def put(term: Any, name: str, value: Any) -> Any:
    """`term` with `value` for the free letter `name`; a bound name that would catch a letter of value is primed."""
    return put_all(term, {name: value})


def put_all(term: Any, values: dict[str, Any]) -> Any:
    """The same for several letters at once."""
    spend()
    if type(term) is int:
        return term
    kind = term[0]
    if kind == "v":
        return values.get(term[1], term)
    if kind == "at":
        return (kind, term[1], *(put_all(each, values) for each in term[2:]))
    if kind not in ("sum", "all"):
        return (kind, *(put_all(each, values) for each in term[1:]))
    name, body = term[1], term[-1]
    wanted = {old: new for old, new in values.items() if old != name and old in letters(body)}
    caught: set[str] = set()
    for new in wanted.values():
        caught |= letters(new)
    primed = name
    while primed in caught or (primed != name and primed in letters(body)):
        primed += "'"
    if primed != name:
        wanted[name] = ("v", primed)
    return (kind, primed, *(put_all(bound, values) for bound in term[2:-1]), put_all(body, wanted))


# --- polynomials ------------------------------------------------------------------------------------------------------
# A polynomial is {key: (coefficient, atoms)}: the key is the sorted text of the atoms. In atoms, polynomials stand in
# place of terms, and every sum has bound names of its own, so that nothing is ever caught; texts number
# bound names from the outside in.

Poly = dict[tuple[str, ...], tuple[int, tuple[Any, ...]]]
_fresh = itertools.count()


def poly(term: Any, names: dict[str, str] | None = None) -> Poly:
    """The polynomial that a term is; `names` renames bound letters."""
    spend()
    names = names or {}
    if type(term) is int:
        return _make([(term, ())])
    kind = term[0]
    if kind == "v":
        return _make([(1, (("v", names.get(term[1], term[1])),))])
    if kind == "+":
        return plus(*(poly(each, names) for each in term[1:]))
    if kind == "*":
        product = _make([(1, ())])
        for each in term[1:]:
            product = times(product, poly(each, names))
        return product
    if kind == "//":
        top, bottom = poly(term[1], names), poly(term[2], names)
        a, b = number(top), number(bottom)
        if b == 1:
            return top
        return (
            _make([(a // b, ())]) if a is not None and b is not None and b > 0 else _make([(1, (("//", top, bottom),))])
        )
    if kind == "at":
        return _make([(1, (("at", term[1], *(poly(each, names) for each in term[2:])),))])
    if kind in ("is", "le"):
        gap = plus(poly(term[2], names), times(_make([(-1, ())]), poly(term[1], names)))
        value = number(gap)
        if value is not None:
            return _make([(int(value == 0 if kind == "is" else value >= 0), ())])
        return _make([(1, ((kind, gap),))])
    own = f"#{next(_fresh)}"
    low, high = poly(term[2], names), poly(term[3], names)
    return _summed(own, low, high, poly(term[4], {**names, term[1]: own}))


def _make(terms: list[tuple[int, tuple[Any, ...]]]) -> Poly:
    """Like terms brought together; an indicator counts once."""
    found: Poly = {}
    for coefficient, atoms in terms:
        texts: list[tuple[str, Any]] = []
        for atom in atoms:
            text = show(atom, {})
            if atom[0] not in ("is", "le") or text not in [t for t, _ in texts]:
                texts.append((text, atom))
        texts.sort(key=lambda pair: pair[0])
        key = tuple(text for text, _ in texts)
        known = found.get(key, (0, ()))[0]
        found[key] = (known + coefficient, tuple(atom for _, atom in texts))
    return {key: pair for key, pair in found.items() if pair[0]}


def plus(*polys: Poly) -> Poly:
    """The sum."""
    return _make([pair for each in polys for pair in each.values()])


def times(a: Poly, b: Poly) -> Poly:
    """The product."""
    spend(len(a) * len(b))
    return _make([(c * d, s + t) for c, s in a.values() for d, t in b.values()])


def number(a: Poly) -> int | None:
    """The integer that a polynomial is, or None."""
    return None if any(key for key in a) else a.get((), (0, ()))[0]


def _uses(atom: Any, name: str) -> bool:
    if isinstance(atom, dict):
        return any(_uses(each, name) for _, atoms in atom.values() for each in atoms)
    if isinstance(atom, tuple):
        return atom == ("v", name) or any(_uses(each, name) for each in atom)
    return False


def _renamed(atom: Any, new: dict[str, str]) -> Any:
    """An atom with other bound names."""
    if isinstance(atom, dict):
        return _make([(c, tuple(_renamed(each, new) for each in atoms)) for c, atoms in atom.values()])
    if isinstance(atom, tuple):
        return ("v", new.get(atom[1], atom[1])) if atom[:1] == ("v",) else tuple(_renamed(each, new) for each in atom)
    return atom


def _summed(own: str, low: Poly, high: Poly, body: Poly) -> Poly:
    """The sum of a polynomial, term by term: what does not vary in front, sums within merged where bounds allow."""
    terms = []
    for coefficient, atoms in body.values():
        before = tuple(atom for atom in atoms if not _uses(atom, own))
        binders, factors = [(own, low, high)], []
        for atom in atoms:
            if not _uses(atom, own):
                continue
            alone = [other for other in atoms if show(other, {}) == show(atom, {})]
            if atom[0] == "sum" and len(alone) == 1 and not any(_uses((lo, hi), own) for _, lo, hi in atom[1]):
                new = {name: f"#{next(_fresh)}" for name, _, _ in atom[1]}
                binders += [(new[name], lo, hi) for name, lo, hi in atom[1]]
                factors += [_renamed(each, new) for each in atom[2]]
            else:
                factors.append(atom)
        require(len(binders) <= MOST_NAMES, "a sum over too many connected names")
        terms.append((coefficient, (*before, ("sum", tuple(binders), tuple(factors)))))
    return _make(terms)


def show(atom: Any, tokens: dict[str, str]) -> str:
    """The text of an atom, the same for atoms that differ in the names of bound letters only."""
    spend()
    kind = atom[0]
    if kind == "v":
        return tokens.get(atom[1], str(atom[1]))
    if kind == "at":
        return f"{atom[1]}[{','.join(_text(each, tokens) for each in atom[2:])}]"
    if kind == "//":
        return f"({_text(atom[1], tokens)})//({_text(atom[2], tokens)})"
    if kind == "le":
        return f"{{{_text(atom[1], tokens)}>=0}}"
    if kind == "is":
        negative = {key: (-c, atoms) for key, (c, atoms) in atom[1].items()}
        return f"{{{min(_text(atom[1], tokens), _text(negative, tokens))}=0}}"
    binders, factors = atom[1], atom[2]
    texts: list[str] = []
    for order in itertools.permutations(binders):
        inner = dict(tokens)
        for place, (name, _, _) in enumerate(order):
            inner[name] = f"${len(tokens)}.{place}"
        bounds = ",".join(f"{_text(lo, tokens)}..{_text(hi, tokens)}" for _, lo, hi in order)
        texts.append(f"sum({bounds}|{'*'.join(sorted(show(each, inner) for each in factors))})")
    return min(texts)


def _text(a: Poly, tokens: dict[str, str]) -> str:
    """The text of a polynomial."""
    parts = (f"{c}*{'*'.join(sorted(show(each, tokens) for each in atoms))}" for c, atoms in a.values())
    return "+".join(sorted(parts)) or "0"


def gap(formula: Any) -> Poly:
    """Left minus right of = or >=."""
    require(formula[0] in ("=", ">="), "an equation or a comparison is needed")
    return plus(poly(formula[1]), times(_make([(-1, ())]), poly(formula[2])))


def same(a: Poly, b: Poly) -> bool:
    """Whether two polynomials are equal."""
    return {key: c for key, (c, _) in a.items()} == {key: c for key, (c, _) in b.items()}


# --- the rules --------------------------------------------------------------------------------------------------------


def _without(hypotheses: list[Any], *removed: Any) -> list[Any]:
    return [h for h in hypotheses if h not in removed]


def _assume(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    formula = read_formula(arguments[0])
    return [formula], formula


def _instantiate(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    values = {name: read_term(term) for name, term in arguments[0]}
    require(all(_is_name(name) for name in values), "letters have names")
    hypotheses, conclusion = premises[0]
    return [put_all(h, values) for h in hypotheses], put_all(conclusion, values)


def _generalize(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    hypotheses, conclusion = premises[0]
    require(
        _is_name(arguments[0]) and not any(arguments[0] in letters(h) for h in hypotheses),
        "the letter is not arbitrary",
    )
    return hypotheses, ("all", arguments[0], conclusion)


def _specialize(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    hypotheses, conclusion = premises[0]
    require(conclusion[0] == "all", "the premise is not for all")
    return hypotheses, put(conclusion[2], conclusion[1], read_term(arguments[0]))


def _discharge(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    (hypotheses, conclusion), (more, known) = premises
    return _without(hypotheses, known) + more, conclusion


def _equivalent(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    (first, g), (second, f) = premises
    return _without(first, f) + _without(second, g), ("iff", f, g)


def _induction(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    (name,), ((start, base), (hypotheses, conclusion)) = arguments, premises
    require(_is_name(name), "induction runs over a letter")
    natural = (">=", ("v", name), 0)
    claims = [h for h in hypotheses if put(h, name, ("+", ("v", name), 1)) == conclusion]
    require(len(claims) == 1 and put(claims[0], name, 0) == base, "base and step do not belong together")
    others = start + _without(hypotheses, claims[0], natural)
    require(not any(name in letters(h) for h in others), "the letter of the induction is not arbitrary")
    return [*others, natural], claims[0]


def _identity(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    a, b = map(read_term, arguments)
    require(same(poly(a), poly(b)), "the two sides are different polynomials")
    return [], ("=", a, b)


def _certificate(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    goal, products, scale, refute = read_formula(arguments[0]), *arguments[1:]
    target = gap(goal)
    known = [(conclusion[0], gap(conclusion)) for _, conclusion in premises]
    minus_one = _make([(-1, ())])
    require(type(scale) is int and scale > 0 and type(refute) is bool, "the scale is a positive integer")
    if refute:
        require(goal[0] == ">=", "only a comparison can be refuted")
        known.append((">=", plus(times(minus_one, target), minus_one)))
        target = minus_one
    total: Poly = {}
    for factor, indices in products:
        product, equal = poly(read_term(factor)), False
        value = number(product)
        for index in indices:
            require(type(index) is int and 0 <= index < len(known), "no such premise")
            equal = equal or known[index][0] == "="
            product = times(product, known[index][1])
        require(equal or (goal[0] == ">=" and value is not None and value >= 0), "a factor may be negative")
        total = plus(total, product)
    require(same(times(_make([(scale, ())]), target), total), "the certificate does not add up")
    return [h for hypotheses, _ in premises for h in hypotheses], goal


def _antisymmetry(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    (first, (kind, a, b)), (second, reverse) = premises
    require(kind == ">=" and reverse == (">=", b, a), "a >= b and b >= a are needed")
    return first + second, ("=", a, b)


def _division(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    a, upper = read_term(arguments[0]), arguments[1]
    hypotheses, (kind, b, one) = premises[0]
    require(kind == ">=" and type(one) is int and one == 1 and type(upper) is bool, "the divisor must be at least 1")
    product = ("*", b, ("//", a, b))
    return hypotheses, (">=", ("+", product, b, -1), a) if upper else (">=", a, product)


def _rewrite(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    (hypotheses, conclusion), (more, (kind, a, b)) = premises
    require(kind == "=", "an equation is needed")
    reserved = letters(a) | letters(b)

    def swap(term: Any) -> Any:
        spend()
        if type(term) is type(a) and term == a:
            return b
        if type(term) is int or term[0] == "v":
            return term
        if term[0] in ("sum", "all"):
            body = term[-1] if term[1] in reserved else swap(term[-1])
            return (*term[:2], *(swap(bound) for bound in term[2:-1]), body)
        keep = 2 if term[0] == "at" else 1
        return (*term[:keep], *(swap(each) for each in term[keep:]))

    return hypotheses + more, swap(conclusion)


def _period(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    formula, name = read_formula(arguments[0]), arguments[1]
    require(_is_name(name), "a letter is needed")
    function = gap(formula)
    length, rise = _cycle(function, name)
    require(length <= MOST_SIZES, "the period is too long")
    values = [_at(function, n) for n in range(length)]
    holds = (min(values) >= 0 and rise >= 0) if formula[0] == ">=" else (not any(values) and rise == 0)
    require(holds, "one period refutes it")
    return [(">=", ("v", name), 0)], formula


def _cycle(function: Poly, name: str) -> tuple[int, int]:
    """(L, r) with f(n + L) = f(n) + r."""
    length, slope = 1, []
    for coefficient, atoms in function.values():
        if not atoms:
            continue
        require(len(atoms) == 1 and atoms[0][0] in ("v", "//"), "not linear in floors of one letter")
        if atoms[0][0] == "v":
            require(atoms[0][1] == name, "another letter")
            own, rise = 1, 1
        else:
            inner, by = _cycle(atoms[0][1], name), number(atoms[0][2])
            require(by is not None and by > 0, "a divisor that is no positive number")
            times_round = (by or 1) // math.gcd(inner[1], by or 1)
            own, rise = inner[0] * times_round, inner[1] * times_round // (by or 1)
        slope.append((coefficient * rise, own))
        length = math.lcm(length, own)
    return length, sum(rise * (length // own) for rise, own in slope)


def _at(function: Poly, n: int) -> int:
    total = 0
    for coefficient, atoms in function.values():
        for atom in atoms:
            coefficient *= n if atom[0] == "v" else _at(atom[1], n) // _at(atom[2], n)
        total += coefficient
    return total


def _indicator(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    a, b = map(read_term, arguments)
    return [], ("=", ("*", ("is", a, b), ("+", a, ("*", -1, b))), 0)


def _within(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    (a, b), (hypotheses, below) = map(read_term, arguments), premises[0]
    require(below == (">=", b, a), "b >= a is needed")
    return hypotheses, ("=", ("le", a, b), 1)


def _read_sum(data: Any) -> Any:
    term = read_term(data)
    require(type(term) is tuple and term[0] == "sum", "a sum is needed")
    return term


def _last_term(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    _, name, lo, hi, body = term = _read_sum(arguments[0])
    hypotheses, enough = premises[0]
    require(enough == (">=", hi, lo), "the sum may be empty")
    return hypotheses, ("=", term, ("+", ("sum", name, lo, ("+", hi, -1), body), put(body, name, hi)))


def _empty(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    _, _, lo, hi, _ = term = _read_sum(arguments[0])
    hypotheses, nothing = premises[0]
    require(nothing == (">=", lo, ("+", hi, 1)), "the sum may not be empty")
    return hypotheses, ("=", term, 0)


def _reindex(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    _, name, lo, hi, body = term = _read_sum(arguments[0])
    sign, shift = arguments[1], read_term(arguments[2])
    require(type(sign) is int and sign in (1, -1) and name not in letters(shift), "i = shift + j or shift - j")
    first, last = (lo, hi) if sign == 1 else (hi, lo)
    bounds = [("*", sign, ("+", bound, ("*", -1, shift))) for bound in (first, last)]
    return [], ("=", term, ("sum", name, *bounds, put(body, name, ("+", ("*", sign, ("v", name)), shift))))


def _sift(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    name, (lo, hi, body, place) = arguments[0], map(read_term, arguments[1:])
    require(_is_name(name) and name not in letters(place), "the place must not vary")
    left = ("sum", name, lo, hi, ("*", body, ("is", ("v", name), place)))
    return [], ("=", left, ("*", put(body, name, place), ("le", lo, place), ("le", place, hi)))


def _under_sum(arguments: list[Any], premises: list[Sequent]) -> Sequent:
    _, name, lo, hi, body = term = _read_sum(arguments[0])
    hypotheses, (kind, left, right) = premises[0]
    others = _without(hypotheses, (">=", ("v", name), lo), (">=", hi, ("v", name)))
    require(kind == "=" and left == body, "the premise does not equate the body")
    require(not any(name in letters(each) for each in (*others, lo, hi)), "the bound name is not arbitrary")
    return others, ("=", term, ("sum", name, lo, hi, right))


RULES = {
    "assume": (_assume, 1, 0),
    "instantiate": (_instantiate, 1, 1),
    "generalize": (_generalize, 1, 1),
    "specialize": (_specialize, 1, 1),
    "discharge": (_discharge, 0, 2),
    "equivalent": (_equivalent, 0, 2),
    "induction": (_induction, 1, 2),
    "identity": (_identity, 2, 0),
    "certificate": (_certificate, 4, None),
    "antisymmetry": (_antisymmetry, 0, 2),
    "division": (_division, 2, 1),
    "rewrite": (_rewrite, 0, 2),
    "period": (_period, 2, 0),
    "indicator": (_indicator, 2, 0),
    "within": (_within, 2, 1),
    "last_term": (_last_term, 1, 1),
    "empty": (_empty, 1, 1),
    "reindex": (_reindex, 3, 0),
    "sift": (_sift, 5, 0),
    "under_sum": (_under_sum, 1, 1),
}
"""Each rule with the number of its arguments and of its premises (None: any)."""


def check(proof: Any) -> None:
    """Replays a proof term; raises `Wrong` unless its last step gives its conclusion from its hypotheses."""
    require(type(proof) is dict and {"hypotheses", "conclusion", "steps"} <= set(proof), "no proof term")
    require(type(proof["hypotheses"]) is list and type(proof["steps"]) is list, "hypotheses and steps are lists")
    global _work
    _work = 0
    results: list[Sequent] = []
    try:
        for step in proof["steps"]:
            results.append(_replay(step, results))
        require(bool(results), "a proof has steps")
        hypotheses, conclusion = results[-1]
        allowed = [read_formula(each) for each in proof["hypotheses"]]
        require(conclusion == read_formula(proof["conclusion"]), "the last step concludes something else")
        require(all(h in allowed for h in hypotheses), "the last step rests on a hypothesis that is not stated")
    except Wrong as error:
        raise Wrong(f"{_place(results, proof)}{error}") from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise Wrong(f"{_place(results, proof)}malformed: {type(error).__name__}") from None


def _place(results: list[Sequent], proof: Any) -> str:
    """The step that failed: the first without a result; nothing where all have one."""
    return f"step {len(results)}: " if len(results) < len(proof["steps"]) else ""


def _replay(step: Any, results: list[Sequent]) -> Sequent:
    require(
        type(step) is dict and set(step) == {"rule", "arguments", "premises"}, "a step has a rule, arguments, premises"
    )
    require(type(step["rule"]) is str and step["rule"] in RULES, "no such rule")
    rule, arguments, premises = RULES[step["rule"]]
    places = step["premises"]
    require(type(step["arguments"]) is list and type(places) is list, "arguments and premises are lists")
    require(len(step["arguments"]) == arguments, "the rule takes another number of arguments")
    require(premises is None or len(places) == premises, "the rule takes another number of premises")
    require(all(type(p) is int and 0 <= p < len(results) for p in places), "a premise must be an earlier step")
    return rule(step["arguments"], [results[p] for p in places])


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
    one = isinstance(data, dict) and "steps" in data
    proofs = (
        {"proof": data}
        if one
        else data
        if isinstance(data, dict)
        else dict(enumerate(data if isinstance(data, list) else []))
    )
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
