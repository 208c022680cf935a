"""An analysed network in plain words, and as a part of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from convproof.report import Section, Table, Text
from convproof.symbolic import Analysis, SizeSet

COLUMNS = ("layer", "kind", "output WxHxD", "parameters", "multiply-adds", "values", "field", "jump")


def words(found: Analysis) -> Iterator[str]:
    """What to know about a network, a sentence a line.

    >>> from convproof.spec.notation import network
    >>> from convproof.symbolic import analyze
    >>> for line in words(analyze(network("INPUT[WxHx3] -> CONV(K=8, F=3) -> POOL2"))):
    ...     print(line)
    accepts H, W >= 4; nothing is cut at even H, W
    the last feature sees 4x4 pixels, step 2
    """
    for axes, valid, exact in _alike(found):
        yield f"{_accepts(axes, valid)}; {_uncut(axes, valid, exact)}"
    feature = _last_feature(found)
    if feature is not None:
        yield f"the last feature sees {_times(feature.receptive_field)} pixels, step {_one_or_all(feature.jump)}"
    yield from found.misfits
    if found.misfits:
        yield from _nearest(found)
    yield from (f"requires {each}" for each in found.requires)
    yield from (f"undecided, {reason}" for reason in found.undecided)


def _alike(found: Analysis) -> Iterator[tuple[str, SizeSet, SizeSet]]:
    """The axes that take the same sizes, together."""
    groups: dict[tuple[SizeSet, SizeSet], list[str]] = {}
    for axis, valid in found.valid_sizes.items():
        exact = found.exact_sizes[axis]
        if valid is not None and exact is not None:
            groups.setdefault((valid, exact), []).append(axis)
    return ((", ".join(axes), valid, exact) for (valid, exact), axes in groups.items())


def _accepts(axes: str, valid: SizeSet) -> str:
    if not (valid.below or valid.residues):
        return f"accepts no {axes}"
    if valid.modulus == 1 and not valid.below:
        return f"accepts {axes} >= {valid.start}"
    return f"accepts {valid.shown(axes)}"


def _uncut(axes: str, valid: SizeSet, exact: SizeSet) -> str:
    if not (exact.below or exact.residues):
        return "something is always cut"
    if exact.modulus == 1 and not exact.below:
        return f"nothing is cut at {axes} >= {exact.start}"
    if len(exact.residues) != 1 or exact.below:
        return f"nothing is cut at {exact.shown(axes)}"
    (rest,) = exact.residues
    first, expected = next(iter(exact)), next(n for n in valid if n % exact.modulus == rest)
    least = f" from {first} on" if first != expected else ""
    if exact.modulus == 2:
        return f"nothing is cut at {'odd' if rest else 'even'} {axes}{least}"
    return f"nothing is cut at multiples of {exact.modulus}{f' plus {rest}' if rest else ''}{least}"


def _last_feature(found: Analysis) -> Any:
    """The last layer that still has a plane of features, if its field is known."""
    last = None
    for row in found.rows:
        if row.op in ("Linear", "Flatten", "GlobalPool") or row.output is None:
            break
        last = row
    return last if last is not None and last.receptive_field is not None and last.jump is not None else None


def _nearest(found: Analysis) -> Iterator[str]:
    """The closest sizes at which nothing is cut, for every axis of a numeric input where something is."""
    shape = found.rows[0].output
    assert shape is not None  # the input's
    for (axis, exact), n in zip(found.exact_sizes.items(), shape[1:], strict=True):
        if isinstance(n, int) and exact is not None and n not in exact:
            near = [str(m) for m in exact.nearest(n) if m is not None]
            yield f"nearest to {axis} = {n} without a remainder: {' and '.join(near) or 'none'}"


def section(name: str, found: Analysis, proofs: Iterable[str] = ()) -> Section:
    """A network as a section of a report: the words, what is proved, and the table of its layers."""
    blocks = [Text(line) for line in (*words(found), *proofs)]
    return Section(name, name, "convproof net", (*blocks, table(found), Text(totals(found))))


def table(found: Analysis) -> Table:
    """A row a layer."""
    rows = tuple(
        (
            row.name,
            row.op,
            "?" if row.output is None else _times(row.output),
            *("?" if n is None else n for n in (row.params, row.macs, row.values)),
            "?" if row.receptive_field is None else _one_or_all(row.receptive_field),
            "?" if row.jump is None else _one_or_all(row.jump),
        )
        for row in found.rows
    )
    return Table("Layers", COLUMNS, rows)


def totals(found: Analysis) -> str:
    """The sums, in words."""
    sums = found.totals
    return (
        f"parameters {shown(sums.params)} (weights {shown(sums.weights)}), multiply-adds {shown(sums.macs)}, "
        f"activations {shown(sums.values)} values, {shown(sums.bytes)} bytes"
    )


def shown(value: Any) -> str:
    """A number with its thousands set off, an expression as it is."""
    return f"{value:,}" if isinstance(value, int) else "?" if value is None else str(value)


def _times(values: Iterable[Any]) -> str:
    """Sizes (C, H, W) or (H, W) in the notation's order, width first, joined by x."""
    return "x".join(str(v) if str(v).isalnum() else f"({v})" for v in reversed(tuple(values)))


def _one_or_all(values: tuple[Any, ...]) -> str:
    """One number where all axes are alike."""
    return str(values[0]) if len(set(values)) == 1 else _times(values)
