"""Terms and formulas as they stand in a written proof, and how much work a proof may take.

They are lists, as the kernel describes them: ["+", ["v", "n"], 1] is n + 1.
"""

from collections.abc import Iterable, Mapping
from typing import Any

MOST_WORK, DEEPEST = 3_000_000, 200
_work = 0


class Wrong(Exception):
    """The proof term proves nothing; the message says where it fails."""


def require(holds: bool, complaint: str) -> None:
    if not holds:
        raise Wrong(complaint)


def restart() -> None:
    """Begins a proof, which may take `MOST_WORK`."""
    global _work
    _work = 0


def spend(amount: int = 1) -> None:
    global _work
    _work += amount
    require(_work <= MOST_WORK, "the proof takes too much work to check")


def spent() -> int:
    """The work that the proof has taken."""
    return _work


def plain(data: Any, depth: int = 0) -> Any:
    """JSON with tuples for lists, looked at to its leaves."""
    spend()
    require(depth < DEEPEST, "nested too deeply")
    kind = type(data)
    if kind is list or kind is tuple:
        return tuple([plain(each, depth + 1) for each in data])
    require(kind is int or (kind is str and data) or (kind is bool and depth == 1), "no part of a proof")
    return data


def split(node: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """How a term or formula begins, and the terms or formulas in it."""
    spend()
    if type(node) is int:
        return (node,), ()
    start = 2 if node[0] in ("v", "at", "re", "sum", "all", "d") else 1
    return node[:start], node[start:]


def free(node: Any) -> set[Any]:
    """The letters that stand free; and ("re", x) for every function x to reals."""
    before, parts = split(node)
    found = [free(part) for part in parts]
    if before[0] in ("sum", "all"):
        found[-1].discard(before[1])
    return set({"v": before[1:], "re": (before,)}.get(before[0], ())).union(*found)


def arbitrary(letters: Iterable[str], nodes: Iterable[Any]) -> None:
    require(free(("+", *nodes)).isdisjoint(letters), "a letter that must be arbitrary stands free elsewhere")


def put(node: Any, values: Mapping[str, Any]) -> Any:
    """`node` with terms for free letters; a bound name that would catch one of theirs is primed."""
    before, parts = split(node)
    if before[0] == "v":
        return values.get(before[1], node)
    if before[0] == "d":
        entering = free(("+", *(values[letter] for letter in free(parts[0]) & values.keys())))
        require(entering.isdisjoint(("re", name) for name in before[1]), "what moves cannot stand for a letter")
    if before[0] not in ("sum", "all"):
        return (*before, *[put(part, values) for part in parts]) if parts else node
    (kind, name), (*bounds, body) = before, parts
    inside = free(body)
    wanted = {letter: values[letter] for letter in inside & values.keys() - {name}}
    caught, primed = free(("+", *wanted.values())), name
    while primed in caught or (primed != name and primed in inside):
        primed += "'"
    return (kind, primed, *[put(bound, values) for bound in bounds], put(body, {**wanted, name: ("v", primed)}))


def swapped(node: Any, a: Any, b: Any, reserved: set[Any]) -> Any:
    """`node` with b for a, but not where a letter of theirs is bound, nor in what is differentiated."""
    if node == a:
        return b
    before, parts = split(node)
    found = [swapped(part, a, b, reserved) for part in parts]
    if before[0] in ("sum", "all") and before[1] in reserved:
        found[-1] = parts[-1]
    if before[0] == "d":
        found[0] = parts[0]
    return (*before, *found) if parts else node
