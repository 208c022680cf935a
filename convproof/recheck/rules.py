"""The rules: what follows from arguments and premises."""

import functools
from typing import Any

from convproof.recheck import periods
from convproof.recheck.polynomials import collected, gap, integral, minus, number, poly, same, times
from convproof.recheck.terms import Wrong, arbitrary, free, put, require, swapped

Sequent = tuple[frozenset[Any], Any]
"""The hypotheses and the conclusion."""


def follows(rule: str, arguments: Any, premises: list[Sequent]) -> Any:
    match rule, arguments, premises:
        case "assume", (formula,), []:
            return [formula], formula
        case "instantiate", (pairs,), [(h, f)]:
            values = {whole(("v", letter))[1]: whole(term) for letter, term in pairs}
            return [put(each, values) for each in h], put(f, values)
        case "generalize", (letter,), [(h, f)]:
            arbitrary([letter], h)
            return h, ("all", letter, f)
        case "specialize", (term,), [(h, ("all", letter, f))]:
            return h, put(f, {letter: whole(term)})
        case "discharge", (), [(h, f), (k, g)]:
            return h - {g} | k, f
        case "equivalent", (), [(h, g), (k, f)]:
            return h - {f} | k - {g}, ("iff", f, g)
        case "cases", (a, b), [(h, f), (k, g)] if f == g:
            return h - {(">=", whole(a), whole(b))} | k - {(">=", b, ("+", a, 1))}, f
        case "induction", (letter,), [(h, base), (k, step)]:
            n = ("v", letter)
            claims = [f for f in k if put(f, {letter: ("+", n, 1)}) == step]
            require(len(claims) == 1 and put(claims[0], {letter: 0}) == base, "base and step do not belong together")
            others = h | k - {claims[0], (">=", n, 0)}
            arbitrary([letter], others)
            return others | {(">=", n, 0)}, claims[0]
        case "rewrite", (), [(h, f), (k, ("=", a, b))]:
            return h | k, swapped(f, a, b, free(("=", a, b)))
        case "identity", (a, b), []:
            require(same(poly(a), poly(b)), "the two sides are different polynomials")
            return [], ("=", a, b)
        case "antisymmetry", (), [(h, (">=", a, b)), (k, below)] if below == (">=", b, a):
            return h | k, ("=", a, b)
        case "division", (a, bool(upper)), [(h, (">=", b, 1))]:
            product = ("*", b, ("//", a, b))
            return h, (">=", ("+", product, b, -1), a) if upper else (">=", a, product)
        case "reciprocal", (a,), [(h, known)] if known == (">", ("*", a, a), 0):
            return h, ("=", ("*", a, ("inv", a)), 1)
        case "period", (formula, letter), []:
            require(periods.holds(formula, letter), "one period refutes it")
            return [(">=", ("v", letter), 0)], formula
        case "indicator", (a, b), []:
            return [], ("=", ("*", ("is", a, b), ("+", a, ("*", -1, b))), 0)
        case "within", (a, b), [(h, known)] if known in ((">=", b, a), (">", a, b)):
            return h, ("=", ("le", a, b), int(known[0] == ">="))
        case "last_term", (("sum", index, low, high, body) as term,), [(h, known)] if known == (">=", high, low):
            return h, ("=", term, ("+", ("sum", index, low, ("+", high, -1), body), put(body, {index: high})))
        case "last_term", (("sum", _, low, high, _) as term,), [(h, known)] if known == (">=", low, ("+", high, 1)):
            return h, ("=", term, 0)
        case "reindex", (("sum", index, low, high, body) as term, 1 | -1 as sign, shift), []:
            arbitrary([index], [whole(shift)])
            ends = [("*", sign, ("+", end, ("*", -1, shift))) for end in (low, high)[::sign]]
            return [], ("=", term, ("sum", index, *ends, put(body, {index: ("+", ("*", sign, ("v", index)), shift)})))
        case "sift", (index, low, high, body, place), []:
            arbitrary([index], [whole(place)])
            left = ("sum", index, low, high, ("*", body, ("is", ("v", index), place)))
            return [], ("=", left, ("*", put(body, {index: place}), ("le", low, place), ("le", place, high)))
        case "under_sum", (("sum", index, low, high, body) as term,), [(h, ("=", left, right))] if left == body:
            others = h - {(">=", ("v", index), low), (">=", high, ("v", index))}
            arbitrary([index], [*others, low, high])
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
            require(sorted(order) == [*range(len(names))], "each sum once, each with its own name")
            arbitrary(names, [bound for _, _, *bounds in sums for bound in bounds])
            return [], ("=", term, functools.reduce(lambda inner, place: (*sums[place], inner), order[::-1], body))
        case "differential", (names, term), _:
            return _differential(names, term, premises)
    raise Wrong("no such rule, or not for these arguments and premises")


def whole(term: Any) -> Any:
    require(integral(poly(term)), "an integral term is needed")
    return term


def _certificate(goal: Any, products: Any, scale: Any, refute: Any, premises: list[Sequent]) -> Any:
    """scale times the goal is a sum of products of premises that shows its sign."""
    target, known = gap(goal), [(f[0], gap(f)) for _, f in premises]
    require(type(scale) is int and scale > 0 and type(refute) is bool, "the scale must be a positive integer")
    if refute:
        require(goal[0] == ">=" and integral(target), "only a >= between integers can be refuted")
        known.append((">=", minus({(): -1}, target)))
        target = {(): -1}
    total, strict = list[tuple[Any, int]](), goal[0] != ">"
    for factor, places in products:
        require(all(type(place) is int and 0 <= place < len(known) for place in places), "no such premise")
        signs, value = {known[place][0] for place in places}, number(poly(factor))
        natural = value is not None and value >= 0 and goal[0] != "="
        require(natural or "=" in signs, "a factor must be natural, towards a comparison, or meet an equation")
        strict = strict or (signs <= {">"} and value != 0)
        total += times(poly(factor), *(known[place][1] for place in places)).items()
    require(same(times({(): scale}, target), collected(total)), "the certificate does not add up")
    require(strict, "no product is positive")
    return frozenset().union(*(h for h, _ in premises)), goal


def _slope(term: Any, moving: set[Any], sums: Any, needs: list[Any]) -> Any:
    """The derivative of a term; `needs` gets what must be positive for it, with the names and bounds of sums around."""
    match term:
        case _ if moving.isdisjoint(free(term)):
            return 0
        case ("re", name, *places) if moving.isdisjoint(free(("+", *places))):
            return ("re", "d" + name, *places)
        case ("sum", index, *bounds, body) if moving.isdisjoint(free(("+", *bounds))):
            arbitrary([index], [*bounds, *(each for name, *ends in sums for each in (("v", name), *ends))])
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
    known = {frozenset(gap(f).items()): h for h, f in reversed(premises) if f[0] == ">"}
    for needed, sums in needs:
        key = frozenset(poly(needed).items())
        require(key in known, "a logarithm's argument, or the square of a denominator or jump, must be positive")
        bounds = [each for i, low, high in sums for each in ((">=", ("v", i), low), (">=", high, ("v", i)))]
        arbitrary([index for index, _, _ in sums], known[key].difference(bounds))
        used |= known[key].difference(bounds)
    return used, ("d", names, term, value)
