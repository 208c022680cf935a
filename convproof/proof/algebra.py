"""Terms and formulas, and the normal form of terms: integer polynomials over opaque atoms. Trusted; sympy has no part.

A term is an int or a tuple, and stands for a real number:

    ("v", name)                            a letter: an integer
    ("at", name, i, ...)                   the value of an unknown function from integers to integers
    ("re", name, i, ...)                   the same of one from integers to reals; without a place, a real number
    ("+", a, ...)  ("*", a, ...)
    ("//", a, b)                           floor(a / b); some integer where b <= 0
    ("is", a, b)  ("le", a, b)             1 where a = b (a <= b), else 0
    ("sum", name, lo, hi, body)            the sum of body over the integers name = lo, ..., hi; 0 where hi < lo
    ("inv", a)  ("exp", a)  ("log", a)     1 / a, some number where a = 0; so is log where a <= 0

Letters, functions of either kind and functions of other numbers of places are different things under one name. A term
is integral unless "re", "inv", "exp" or "log" stands in its normal form outside of "is" and "le". Places, bounds and
the parts of "//" must be integral. A formula is one of

    ("=", a, b)  (">=", a, b)  (">", a, b)  ("iff", f, g)
    ("all", name, f)           f for every integer in place of the letter
    ("d", names, a, b)         b is the derivative of a at these values: with x + h*dx for every function x to the reals
                               whose name is in `names`, and dx the function "d" + x, a is differentiable in h at 0,
                               with derivative b

Equal normal forms mean equal values. For polynomials the converse holds. Of sums no more is seen than that they are
linear, whatever their bound names: other orders of summation take a rule. Of indicators, that they are idempotent, that
[a = b] = [b = a], and what numbers they compare; of floors, those of numbers and by 1.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

Term = Any
Formula = Any
Atom = tuple[Any, ...]
Monomial = tuple[tuple[Atom, int], ...]
Poly = dict[Monomial, int]
"""{monomial: coefficient}; a monomial is a sorted tuple of (atom, power)."""

_BEFORE_PARTS = {"v": 2, "at": 2, "re": 2, "sum": 2, "all": 2, "d": 2}
"""Where the parts of a term or formula begin that are themselves terms or formulas, if not at 1."""
REAL = ("re", "inv", "exp", "log")


class Refused(ValueError):
    """A step that is no instance of its rule."""


def split(term: Term) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """What stands before the parts of a term or formula, and its parts."""
    if not isinstance(term, tuple):
        return (term,), ()
    start = _BEFORE_PARTS.get(term[0], 1)
    return term[:start], term[start:]


def free(term: Term) -> frozenset[str]:
    """The letters that stand free in a term or formula."""
    (head, *names), parts = split(term)
    found = [free(part) for part in parts]
    if head in ("sum", "all"):
        found[-1] -= {*names}
    return frozenset(names if head == "v" else ()).union(*found)


def substitute(term: Term, values: Mapping[str, Term]) -> Term:
    """`term` (or formula) with terms in place of free letters; bound names are primed where they would capture."""
    (head, *names), parts = split(term)
    if head == "v":
        (letter,) = names
        return values.get(letter, term)
    if head == "d" and any(moves(values[letter], *names) for letter in free(parts[0]) & values.keys()):
        raise Refused("what moves has no place in what is differentiated for other values")
    if head not in ("sum", "all"):
        return (head, *names, *(substitute(part, values) for part in parts)) if parts else term
    (name,), (*bounds, body) = names, parts
    inner = {k: v for k, v in values.items() if k in free(body) - {name}}
    captured = frozenset().union(*map(free, inner.values()))
    fresh = name
    while fresh in captured or (fresh != name and fresh in free(body)):
        fresh += "'"
    body = substitute(body, {**inner, name: ("v", fresh)} if fresh != name else inner)
    return (head, fresh, *(substitute(bound, values) for bound in bounds), body)


def moves(term: Term, functions: Collection[str]) -> bool:
    """Whether one of the functions to the reals occurs in a term."""
    before, parts = split(term)
    return (before[0] == "re" and before[1] in functions) or any(moves(part, functions) for part in parts)


def name(value: object) -> str:
    """`value`, if it may name a letter or function: an identifier, perhaps with primes. Raises `Refused` if not."""
    if type(value) is not str or not value.rstrip("'").isidentifier():
        raise Refused("a name must be an identifier, perhaps with primes")
    return value


def normal(term: Term) -> Poly:
    """The polynomial that a term is. Raises `Refused` for what is no term."""
    return dict(_remembered(term)) if type(term) is tuple else _normal(term, {})


@functools.lru_cache(maxsize=4096)
def _remembered(term: Term) -> Poly:
    return _normal(term, {})


def _normal(term: Term, bound: Mapping[str, Atom]) -> Poly:
    """The polynomial, with the atoms of `bound` for letters."""
    if type(term) is int:
        return {(): term} if term else {}
    if type(term) is not tuple or len(term) < 2 or type(term[0]) is not str:
        raise Refused(f"a {type(term).__name__} is no term")
    match term:
        case ("v", letter):
            return _atom(bound.get(name(letter), term))
        case ("at", function, _, *_) | ("re", function, *_):
            return _atom((term[0], name(function), *(_whole(place, bound) for place in term[2:])))
        case ("+", *parts):
            return add(*(_normal(part, bound) for part in parts))
        case ("*", *parts):
            return multiply(*(_normal(part, bound) for part in parts))
        case ("//", a, b):
            return _division(_whole(a, bound), _whole(b, bound))
        case ("is" | "le" as head, a, b):
            return _indicator(head, subtract(_normal(b, bound), _normal(a, bound)))
        case ("inv" | "exp" | "log" as head, a):
            return _atom((head, frozen(_normal(a, bound))))
        case ("sum", index, lo, hi, body):
            return _sum(name(index), (_whole(lo, bound), _whole(hi, bound)), body, bound)
    raise Refused(f"{term[0]!r} with {len(term) - 1} parts is no term")


def well_formed(formula: Formula) -> Formula:
    """`formula`, if it is one; raises `Refused` if not."""
    match formula:
        case ("=" | ">=" | ">", a, b):
            normal(a), normal(b)
        case ("iff", f, g):
            well_formed(f), well_formed(g)
        case ("all", letter, f):
            name(letter), well_formed(f)
        case ("d", (*names,), a, b):
            [name(each) for each in names], normal(a), normal(b)
        case _:
            raise Refused("no formula")
    return formula


def difference(formula: Formula) -> Poly:
    """a - b of a = b, a >= b or a > b."""
    if formula[0] not in ("=", ">=", ">"):
        raise Refused(f"{formula!r} compares nothing")
    return subtract(normal(formula[1]), normal(formula[2]))


def integral(poly: Iterable[Monomial]) -> bool:
    """Whether a polynomial stands for an integer by its form, that is by its monomials."""
    atoms = [atom for monomial in poly for atom, _ in monomial]
    return all(integral([atom[3]]) if atom[0] == "sum" else atom[0] not in REAL for atom in atoms)


def _whole(term: Term, bound: Mapping[str, Atom]) -> Atom:
    """The frozen polynomial of a term that must be integral."""
    poly = _normal(term, bound)
    if not integral(poly):
        raise Refused("places, bounds and the parts of a floor must be integral")
    return frozen(poly)


# --- polynomials ------------------------------------------------------------------------------------------------------


def frozen(poly: Poly) -> Atom:
    """A polynomial as a tuple that is equal exactly for equal polynomials."""
    return ("poly", *sorted(poly.items(), key=repr))


def thawed(poly: Atom) -> Poly:
    """The polynomial again."""
    return dict(poly[1:])


def _atom(atom: Atom) -> Poly:
    return {((atom, 1),): 1}


def add(*polys: Poly) -> Poly:
    """The sum."""
    total: Poly = {}
    for poly in polys:
        for monomial, c in poly.items():
            total[monomial] = total.get(monomial, 0) + c
    return {m: c for m, c in total.items() if c}


def subtract(a: Poly, b: Poly) -> Poly:
    """a - b."""
    return add(a, {m: -c for m, c in b.items()})


def multiply(*polys: Poly) -> Poly:
    """The product; indicators are idempotent."""
    product: Poly = {(): 1}
    for poly in polys:
        product = add(*({_joined(m, n): c * d} for m, c in product.items() for n, d in poly.items()))
    return product


@functools.lru_cache(maxsize=4096)
def _order(factor: tuple[Atom, int]) -> str:
    return repr(factor)


def _joined(*monomials: Monomial) -> Monomial:
    powers: dict[Atom, int] = {}
    for monomial in monomials:
        for atom, power in monomial:
            powers[atom] = 1 if atom[0] in ("is", "le") else powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=_order))


def constant(poly: Poly) -> int | None:
    """The integer that a polynomial is, or None."""
    return poly.get((), 0) if set(poly) <= {()} else None


def _division(a: Atom, b: Atom) -> Poly:
    top, bottom = constant(thawed(a)), constant(thawed(b))
    if bottom == 1:
        return thawed(a)
    if top is not None and bottom is not None and bottom > 0:
        return add({(): top // bottom})
    return _atom(("//", a, b))


def _indicator(head: str, difference: Poly) -> Poly:
    """[difference = 0], up to its sign, or [difference >= 0]."""
    value = constant(difference)
    if value is not None:
        return add({(): int(value == 0 if head == "is" else value >= 0)})
    return _atom((head, _signed(frozen(difference)) if head == "is" else frozen(difference)))


def _signed(poly: Atom) -> Atom:
    """The first of a polynomial and its negative."""
    return min(poly, frozen(subtract({}, thawed(poly))), key=repr)


# --- sums -------------------------------------------------------------------------------------------------------------
# A normal sum is the atom ("sum", height, (lo, hi), monomial), with the letter ("b", height) for its bound name. A sum
# is higher than every sum within, so no two bound letters meet. While it is built its letter is
# ("b", -1), ("b", -2), ...


def _sum(index: str, bounds: Atom, body: Term, bound: Mapping[str, Atom]) -> Poly:
    letter = ("b", min((atom[1] for atom in bound.values()), default=0) - 1)
    total: Poly = {}
    for monomial, c in _normal(body, {**bound, index: letter}).items():
        outside = tuple(factor for factor in monomial if not _mentions(factor, letter))
        inside = tuple(factor for factor in monomial if _mentions(factor, letter))
        height = 1 + _height(inside)
        summed = _atom(("sum", height, bounds, _relettered(inside, letter, ("b", height))))
        total = add(total, multiply({outside: c}, summed))
    return total


def _mentions(part: Any, letter: Atom) -> bool:
    return part == letter or (isinstance(part, tuple) and any(_mentions(each, letter) for each in part))


def _height(part: Any) -> int:
    """How high the highest sum within a part of a normal form is."""
    if not isinstance(part, tuple):
        return 0
    return max([part[1] if part[:1] == ("sum",) else 0, *map(_height, part)])


def _renamed(atom: Atom, old: Atom, new: Atom) -> Atom:
    """An atom, or frozen polynomial, with one letter for another, brought back into its order."""
    match atom:
        case _ if atom == old:
            return new
        case ("poly", *items):
            return frozen({_relettered(monomial, old, new): c for monomial, c in items})
        case ("sum", height, (lo, hi), monomial):
            return ("sum", height, (_renamed(lo, old, new), _renamed(hi, old, new)), _relettered(monomial, old, new))
        case ("is", difference):
            return ("is", _signed(_renamed(difference, old, new)))
    return tuple(_renamed(part, old, new) if isinstance(part, tuple) else part for part in atom)


def _relettered(monomial: Monomial, old: Atom, new: Atom) -> Monomial:
    return _joined(tuple((_renamed(atom, old, new), power) for atom, power in monomial))
