"""Terms of the kernel and their normal form: integer polynomials over opaque atoms. Trusted, and sympy has no part in
it.

A term is an int or a tuple; every term stands for an integer:

    ("v", name)                    a letter
    ("+", a, b, ...)  ("*", a, b, ...)
    ("//", a, b)                   floor(a / b); nothing is known of it unless b >= 1 is
    ("at", name, i, ...)           the value of an unknown function of integers
    ("sum", name, lo, hi, body)    the sum of body over name = lo, ..., hi; 0 where hi < lo
    ("is", a, b)  ("le", a, b)     1 where a = b (a <= b), else 0

Equal normal forms mean equal values. For polynomials the converse holds; for sums it holds up to linearity, renaming,
and the exchange of independent sums, as far as the search over numberings sees it: a product of sums over connected
groups of bound names, each group under its least numbering.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

Term = Any
Poly = dict[tuple[Any, ...], int]
"""{monomial: coefficient}; a monomial is a sorted tuple of (atom, power)."""

MAX_BOUND = 6
"""Sums over more connected names than this are not renumbered: their normal form is refused."""


class Refused(ValueError):
    """A step that is no instance of its rule."""


def free(term: Term) -> frozenset[str]:
    """The letters that stand free in a term or formula."""
    if not isinstance(term, tuple):
        return frozenset()
    head, *rest = term
    if head == "v":
        return frozenset(rest)
    if head == "sum":
        name, lo, hi, body = rest
        return free(lo) | free(hi) | (free(body) - {name})
    if head == "all":
        return free(rest[1]) - {rest[0]}
    return frozenset().union(*(free(part) for part in (rest[1:] if head == "at" else rest)))


def substitute(term: Term, values: dict[str, Term]) -> Term:
    """`term` (or formula) with terms in place of free letters; bound names are renamed where they would capture."""
    if not isinstance(term, tuple):
        return term
    head, *rest = term
    if head == "v":
        return values.get(rest[0], term)
    if head == "at":
        return (head, rest[0], *(substitute(i, values) for i in rest[1:]))
    if head not in ("sum", "all"):
        return (head, *(substitute(part, values) for part in rest))
    name, *bounds, body = rest
    inner = {k: v for k, v in values.items() if k != name and k in free(body)}
    captured = frozenset().union(*(free(v) for v in inner.values()))
    fresh = name
    while fresh in captured or (fresh != name and fresh in free(body)):
        fresh += "'"
    body = substitute(body, {**inner, name: ("v", fresh)} if fresh != name else inner)
    return (head, fresh, *(substitute(bound, values) for bound in bounds), body)


def normal(term: Term) -> Poly:
    """The polynomial that a term is. Raises `Refused` for what is no term."""
    if type(term) is int:
        return {(): term} if term else {}
    if type(term) is not tuple or len(term) < 2 or type(term[0]) is not str:
        raise Refused(f"a {type(term).__name__} is no term")
    head, *rest = term
    if head == "v" and len(rest) == 1:
        return _atom((head, name(rest[0])))
    if head == "+":
        return add(*map(normal, rest))
    if head == "*":
        return multiply(*map(normal, rest))
    if head == "//" and len(rest) == 2:
        return _division(normal(rest[0]), normal(rest[1]))
    if head == "at" and len(rest) > 1:
        return _atom(("at", name(rest[0]), *(frozen(normal(i)) for i in rest[1:])))
    if head in ("is", "le") and len(rest) == 2:
        return _indicator(head, subtract(normal(rest[1]), normal(rest[0])))
    if head == "sum" and len(rest) == 4:
        return _sum(name(rest[0]), *rest[1:])
    raise Refused(f"{head!r} with {len(rest)} parts is no term")


def name(value: object) -> str:
    """`value`, if it may name a letter or function: an identifier, perhaps with primes. Raises `Refused` if not."""
    if type(value) is not str or not value.rstrip("'").isidentifier():
        raise Refused("a name must be an identifier, perhaps with primes")
    return value


def frozen(poly: Poly) -> tuple[Any, ...]:
    """A polynomial as a tuple that is equal exactly for equal polynomials."""
    return ("poly", *sorted(poly.items(), key=repr))


def _atom(atom: tuple[Any, ...]) -> Poly:
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
        terms: Poly = {}
        for m, c in product.items():
            for n, d in poly.items():
                joint = _joined(m, n)
                terms[joint] = terms.get(joint, 0) + c * d
        product = {m: c for m, c in terms.items() if c}
    return product


def _joined(m: Iterable[Any], n: Iterable[Any]) -> tuple[Any, ...]:
    powers: dict[Any, int] = {}
    for atom, power in (*m, *n):
        powers[atom] = 1 if atom[0] in ("is", "le") else powers.get(atom, 0) + power
    return tuple(sorted(powers.items(), key=repr))


def constant(poly: Poly) -> int | None:
    """The integer that a polynomial is, or None."""
    return poly.get((), 0) if set(poly) <= {()} else None


def _division(a: Poly, b: Poly) -> Poly:
    top, bottom = constant(a), constant(b)
    if bottom == 1:
        return a
    if top is not None and bottom is not None and bottom > 0:
        return {(): top // bottom} if top // bottom else {}
    return _atom(("//", frozen(a), frozen(b)))


def _indicator(head: str, difference: Poly) -> Poly:
    """[difference = 0], up to its sign, or [difference >= 0]."""
    value = constant(difference)
    if value is not None:
        holds = value == 0 if head == "is" else value >= 0
        return {(): 1} if holds else {}
    forms = [frozen(difference)]
    if head == "is":
        forms.append(frozen(subtract({}, difference)))
    return _atom((head, min(forms, key=repr)))


# --- sums -------------------------------------------------------------------------------------------------------------
# A normal sum atom is ("sum", height, ((lo, hi), ...), body): frozen bounds, and a monomial in the bound letters
# ("b", height, 0), ("b", height, 1), ... A sum is higher than every sum within, so no two bound letters meet. While a
# sum is being built its bound name is a marker, a letter that no term can have.

MARK = "\0"


def _sum(name: str, lo: Term, hi: Term, body: Term) -> Poly:
    low, high, marker = frozen(normal(lo)), frozen(normal(hi)), ("v", MARK)
    total: Poly = {}
    for monomial, c in _normal_at(body, name, marker).items():
        outer = tuple((a, p) for a, p in monomial if not _mentions(a, marker))
        inner = tuple((a, p) for a, p in monomial if _mentions(a, marker))
        total = add(total, multiply({outer: c}, _one_sum(marker, (low, high), inner)))
    return total


def _normal_at(body: Term, name: str, marker: Any) -> Poly:
    """The normal form of a sum's body with the marker in place of its bound name."""
    stand_in = name
    while stand_in in free(body) - {name}:
        stand_in += "'"
    poly = normal(substitute(body, {name: ("v", stand_in)}))
    renamed: Poly = {}
    for monomial, c in poly.items():
        renamed[_replaced(monomial, {("v", stand_in): marker})] = c
    return {_joined(m, ()): c for m, c in renamed.items()}


def _height(term: Any) -> int:
    """How high the highest sum within a normal form is."""
    if not isinstance(term, tuple):
        return 0
    own = term[1] if term[:1] == ("sum",) else 0
    return max(own, *(_height(part) for part in term), 0)


def _mentions(atom: Any, marker: Any) -> bool:
    return atom == marker or (isinstance(atom, tuple) and any(_mentions(part, marker) for part in atom))


def _one_sum(marker: Any, own: tuple[Any, Any], inner: tuple[Any, ...]) -> Poly:
    """The sum of a monomial whose factors all mention `marker`, merged with the sums among them that it can be
    exchanged with.
    """
    names, bounds = [marker], [own]
    factors: tuple[Any, ...] = ()
    for atom, power in inner:
        if atom[0] != "sum" or power != 1 or any(_mentions(b, marker) for b in atom[2]):
            factors += ((atom, power),)
            continue
        fresh = [("v", MARK * (len(names) + i + 1)) for i in range(len(atom[2]))]
        factors += _replaced(atom[3], {("b", atom[1], i): f for i, f in enumerate(fresh)})
        names, bounds = names + fresh, [*bounds, *atom[2]]
    if len(names) > MAX_BOUND:
        raise Refused(f"a sum over {len(names)} connected names; {MAX_BOUND} is the limit")
    height = 1 + _height((factors, tuple(bounds)))
    numberings = []
    for order in permutations(range(len(names))):
        numbered = {names[old]: ("b", height, new) for new, old in enumerate(order)}
        body = _joined(_replaced(factors, numbered), ())
        numberings.append(("sum", height, tuple(bounds[old] for old in order), body))
    return _atom(min(numberings, key=repr))


def _replaced(term: Any, values: dict[Any, Any]) -> Any:
    """Atoms exchanged throughout a normal form, which is brought back into its order."""
    if term in values:
        return values[term]
    if not isinstance(term, tuple):
        return term
    parts = tuple(_replaced(part, values) for part in term)
    if parts and parts[0] == "poly":
        return ("poly", *sorted(((tuple(sorted(m, key=repr)), c) for m, c in parts[1:]), key=repr))
    if parts and parts[0] == "is":
        other = frozen(subtract({}, dict(parts[1][1:])))
        return ("is", min(parts[1], other, key=repr))
    return parts
