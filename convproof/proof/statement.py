"""What a network demands of its unknown sizes, as terms of the kernel, layer by layer.

Every size is a term of the sizes before it, down to the unknowns; nothing is folded or simplified. The rules are those
of `constraints` and `shapes`, applied to letters in place of the sizes that a layer reads.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from convproof.architecture import Layer
from convproof.errors import Undecided
from convproof.proof.algebra import Refused, Term, free, normal, substitute
from convproof.proof.language import term
from convproof.symbolic.accepted import letters_of
from convproof.symbolic.constraints import Demand, Shape, constraints
from convproof.symbolic.floordiv import symbol
from convproof.symbolic.shapes import Inference, shape_of


@dataclass(frozen=True)
class Product:
    """A demand that compares a product of a number and a factor for each of several unknowns with a number."""

    number: int
    factors: tuple[tuple[str, Term], ...]
    sign: str
    bound: int

    def holds(self, value: Term) -> Term:
        """1 where the demand holds of a value in place of the product, else 0."""
        return indicator(value, self.sign, self.bound)


@dataclass(frozen=True)
class Condition:
    """What is demanded, as a term that is 1 where it holds and else 0; and as a product, where it is one."""

    term: Term
    product: Product | None = None


def indicator(left: Term, sign: str, right: Term) -> Term:
    """1 where left and right compare as the sign of a `Demand` says, else 0."""
    match sign:
        case ">=":
            return ("le", right, left)
        case ">":
            return ("le", right + 1 if isinstance(right, int) else ("+", right, 1), left)
        case "=":
            return ("is", left, right)
        case "!=":
            return ("+", 1, ("*", -1, ("is", left, right)))
        case "multiple":
            return ("is", ("+", left, ("*", -1, right, ("//", left, right))), 0)
        case "broadcast":
            return ("le", 1, ("+", ("is", left, right), ("is", left, 1), ("is", right, 1)))
    raise Refused(f"a demand by {sign!r} is not stated")


def conditions(found: Inference, names: Mapping[Any, str]) -> list[Condition]:
    """All that layers demand, in the names given to the unknowns; what holds by its form alone is left out.

    Raises `Undecided` where something demanded depends on other letters too, or is not known.
    """
    for reason in (*found.undecided.values(), *found.open_demands.values()):
        raise Undecided(reason)
    terms: dict[str, tuple[Term, ...]] = {}
    listed: dict[Condition, None] = {}
    for node in found.network:
        if not node.operands:
            terms[node.name] = tuple(substitute(term(n), _named(names)) for n in found.shapes[node.name])
            continue
        if not all(name in terms for name in node.operands):
            continue  # behind a layer that refuses every size
        if node.name in found.refused and node.name not in found.steps:
            raise Undecided(found.refused[node.name])
        values: dict[str, Term] = _named(names)  # where a field of the layer is one of them
        inputs = tuple(
            tuple(_letter(k, axis, n, terms[name][axis], names, values) for axis, n in enumerate(found.shapes[name]))
            for k, name in enumerate(node.operands)
        )
        for demand in _demands(node.layer, inputs):
            if others := {letter for letter in letters_of(demand) if letter.name not in values}:
                raise Undecided(f"{node.name}: {demand} depends on {', '.join(sorted(map(str, others)))} too")
            condition = _condition(demand, values)
            if normal(condition.term) != {(): 1}:
                listed[condition] = None
        if node.name in found.shapes:
            terms[node.name] = tuple(_flat(substitute(term(n), values)) for n in _output(node.layer, *inputs))
    return list(listed)


def _named(unknowns: Mapping[Any, str]) -> dict[str, Term]:
    return {letter.name: ("v", name) for letter, name in unknowns.items()}


def _letter(k: int, axis: int, n: Any, value: Term, unknowns: Mapping[Any, str], values: dict[str, Term]) -> Any:
    """A letter in place of a size that depends on the unknowns, with its value; another size as it is."""
    if isinstance(n, int) or not n.free_symbols & unknowns.keys():
        return n
    letter = symbol(f"size {axis} of operand {k}")  # a name that no letter can have
    values[letter.name] = value
    return letter


@functools.lru_cache(maxsize=4096)
def _demands(layer: Layer, inputs: tuple[Shape, ...]) -> tuple[Demand, ...]:
    return tuple(demand for demand in constraints(layer, inputs) if demand.sign != "exact")


_output = functools.lru_cache(maxsize=4096)(shape_of)


def _condition(demand: Demand, values: Mapping[str, Term]) -> Condition:
    left, right = (_flat(substitute(term(n), values)) for n in (demand.left, demand.right))
    stated = indicator(left, demand.sign, right)
    sign, bound = (">=", right + 1) if demand.sign == ">" and isinstance(right, int) else (demand.sign, right)
    if len(free(stated)) < 2 or not isinstance(bound, int) or sign not in ("=", ">=", "multiple"):
        return Condition(stated)
    number, factors = 1, dict[str, list[Term]]()
    for part in _parts(left):
        if isinstance(part, int):
            number *= part
        elif len(letters := free(part)) == 1:
            factors.setdefault(next(iter(letters)), []).append(part)
        else:
            return Condition(stated)
    joined = {letter: each[0] if len(each) == 1 else ("*", *each) for letter, each in factors.items()}
    return Condition(stated, Product(number, tuple(joined.items()), sign, bound) if number > 0 else None)


def _flat(value: Term) -> Term:
    """A sum of sums as one sum, with one number in it."""
    if not isinstance(value, tuple) or value[0] != "+":
        return value
    parts = [each for part in map(_flat, value[1:]) for each in (part[1:] if _is_sum(part) else (part,))]
    others, number = [each for each in parts if not isinstance(each, int)], sum(n for n in parts if isinstance(n, int))
    found = [*others, *([number] if number or not others else [])]
    return found[0] if len(found) == 1 else ("+", *found)


def _is_sum(value: Term) -> bool:
    return isinstance(value, tuple) and value[0] == "+"


def _parts(value: Term) -> list[Term]:
    """The factors of a product, those of products in it too."""
    if isinstance(value, tuple) and value[0] == "*":
        return [each for part in value[1:] for each in _parts(part)]
    return [value]
