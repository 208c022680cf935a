"""Terms as polynomials with integer coefficients over what is no sum or product: equal polynomials, equal values.

A polynomial is {monomial: coefficient}, a monomial the sorted numbers of its atoms. An atom is how it begins and the
polynomials in it; equal atoms have the same number, and indicators negative ones. While a sum is built its letter is
("v", number). When what does not mention that has gone in front, it becomes ("b", k), k the number of atoms between.
"""

import functools
import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from convproof.recheck.terms import DEEPEST, Wrong, plain, require, spend, spent, split

Poly = dict[tuple[int, ...], int]
LARGEST = 10**50

_atoms: dict[int, Any] = {}
_numbers: dict[Any, int] = {}
_known: dict[int, tuple[Any, Poly, int]] = {}
_letter = itertools.count()


def forget() -> None:
    """Begins anew: numbers of atoms are of one proof only."""
    for table in (_atoms, _numbers, _known):
        table.clear()


def poly(term: Any) -> Poly:
    """The polynomial that a term is. It is worked out once, and counts for a fiftieth when it is met again."""
    if id(term) not in _known:
        before = spent()
        _known[id(term)] = (term, _poly(term, {}, 0), spent() - before)
    spend(1 + _known[id(term)][2] // 50)
    return _known[id(term)][1]


def _poly(term: Any, bound: Mapping[str, int], depth: int) -> Poly:
    """The same; `bound` numbers the letters of the sums around."""
    if type(term) is int:
        return collected([((), term)])
    require(type(term) is tuple and len(term) > 1 and depth < DEEPEST, "no term, or nested too deeply")
    (kind, *names), parts = split(term)
    require(all(type(name) is str and name.rstrip("'").isidentifier() for name in names), "a name is no identifier")
    own = next(_letter)
    inner = {**bound, **dict.fromkeys(names, own)} if kind == "sum" else bound
    polys = [_poly(part, inner if place == 2 else bound, depth + 1) for place, part in enumerate(parts)]
    whole = all(map(integral, {"at": polys, "re": polys, "//": polys, "sum": polys[:2]}.get(kind, [])))
    require(whole, "places, bounds and the parts of a floor must be integral")
    match kind, polys, [number(each) for each in polys]:
        case "+", [_, *_], _:
            return collected(pair for each in polys for pair in each.items())
        case "*", [_, *_], _:
            return times(*polys)
        case "//", [a, _], [_, 1]:
            return a
        case "//", _, [int(top), int(bottom)] if bottom > 0:
            return collected([((), top // bottom)])
        case "is" | "le", [a, b], _:
            polys = [difference := minus(b, a)]
            value = number(difference)
            if value is not None:
                return collected([((), int(value == 0 if kind == "is" else value >= 0))])
        case "sum", [low, high, body], _:
            return _summed(own, low, high, body)
        case "v", [], _:
            names = [bound.get(name, name) for name in names]
        case ("at", [_, *_], _) | ("//", [_, _], _) | ("re", _, _) | ("inv" | "exp" | "log", [_], _):
            pass
        case _:
            raise Wrong("no term")
    return {(_atom((kind, *names), polys),): 1}


def collected(pairs: Iterable[tuple[Collection[int], int]]) -> Poly:
    """The sum of numbers times atoms; in a product an indicator counts once."""
    found: Poly = {}
    for atoms, c in pairs:
        spend(1 + len(atoms))
        indicators = {atom for atom in atoms if atom < 0}
        monomial = tuple(sorted([*indicators, *(atom for atom in atoms if atom not in indicators)]))
        found[monomial] = found.get(monomial, 0) + c
    require(all(-LARGEST <= c <= LARGEST for c in found.values()), "a number becomes too large")
    return {monomial: c for monomial, c in found.items() if c}


def minus(a: Poly, b: Poly) -> Poly:
    """a - b."""
    return collected([*a.items(), *((monomial, -c) for monomial, c in b.items())])


def times(*polys: Poly) -> Poly:
    """The product."""
    product: Poly = {(): 1}
    for each in polys:
        product = collected((m + n, c * d) for m, c in product.items() for n, d in each.items())
    return product


def gap(formula: Any) -> Poly:
    """Left minus right of an equation or a comparison."""
    require(formula[0] in ("=", ">=", ">"), "an equation or a comparison is needed")
    return minus(poly(formula[1]), poly(formula[2]))


def atom_parts(atom: int) -> Any:
    """How an atom begins, and the polynomials in it."""
    return _atoms[atom]


def number(a: Poly) -> int | None:
    """The integer that a polynomial is, or None."""
    return a.get((), 0) if a.keys() <= {()} else None


def same(a: Poly, b: Poly) -> bool:
    """Whether two polynomials are equal."""
    return a == b


def integral(a: Poly) -> bool:
    """Whether a polynomial is an integer by its form."""
    spend(len(a))
    atoms, real = [_atoms[atom] for monomial in a for atom in monomial], ("re", "inv", "exp", "log")
    return all(integral(dict(parts[2])) if kind == "sum" else kind not in real for (kind, *_), parts in atoms)


def _summed(own: int, low: Poly, high: Poly, body: Poly) -> Poly:
    """The sum, monomial by monomial, of the atoms that mention its letter: those that change when it is bound."""

    @functools.cache
    def closed(atom: int, depth: int) -> int:
        (before, parts), polys = _atoms[atom], []
        for part in parts:
            polys.append(collected(([closed(each, depth + 1) for each in monomial], c) for monomial, c in part))
        return _atom(("b", depth) if before == ("v", own) else before, polys)

    pairs = []
    for monomial, c in body.items():
        varying = [closed(atom, 0) for atom in monomial if closed(atom, 0) != atom]
        summed = _atom(("sum",), [low, high, collected([(varying, 1)])])
        pairs.append(([summed, *(atom for atom in monomial if closed(atom, 0) == atom)], c))
    return collected(pairs)


def _atom(before: tuple[Any, ...], polys: list[Poly]) -> int:
    """The number of an atom. As [a = 0] is [-a = 0], the same one of the two is taken there."""
    parts = [tuple(sorted(each.items())) for each in polys]
    if before == ("is",):
        parts = [max(part, tuple([(monomial, -c) for monomial, c in part])) for part in parts]
    key, number = (before, tuple(parts)), len(_atoms)
    atom = _numbers.setdefault(key, ~number if before[0] in ("is", "le") else number)
    _atoms[atom] = key
    return atom


def read_term(data: Any) -> Any:
    """A term, as nested tuples."""
    poly(term := plain(data))
    return term


def read_formula(data: Any) -> Any:
    """A formula, as nested tuples."""
    return formed(plain(data))


def formed(formula: Any, depth: int = 0) -> Any:
    """The formula, if it is one, and integral where it must be."""
    require(depth < DEEPEST, "nested too deeply")
    match formula:
        case ("=" | ">=" | ">", a, b):
            poly(a), poly(b)
        case ("iff", f, g):
            formed(f, depth + 1), formed(g, depth + 1)
        case ("all", letter, f):
            poly(("v", letter)), formed(f, depth + 1)
        case ("d", (*names,), a, b):
            poly(a), poly(b), poly(("+", 0, *(("v", name) for name in names)))
        case _:
            raise Wrong("no formula")
    return formula
