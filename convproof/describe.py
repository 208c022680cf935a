"""An analysed network in plain words, and as a part of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from convproof.errors import Undecided
from convproof.report import Section, Table, Text
from convproof.spec import Network
from convproof.symbolic import Analysis, Row, SizeSet, analyze

COLUMNS = ("layer", "kind", "output WxHxD", "parameters", "multiply-adds", "values", "field", "jump")


@dataclass(frozen=True)
class Described:
    """A network by its name, with all that was found out about it."""

    name: str
    found: Analysis
    proofs: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    def words(self) -> Iterator[str]:
        """What to know about the network, a sentence a line."""
        for axes, valid, exact in _alike(self.found):
            yield f"{_accepts(axes, valid)}; {_uncut(axes, valid, exact)}"
        feature = _last_feature(self.found)
        if feature is not None and feature.receptive_field and feature.jump:
            field, jump = _times(feature.receptive_field), _one_or_all(feature.jump)
            yield f"the last feature ({feature.name}) sees {field} pixels, step {jump}"
        yield from self.proofs
        yield from self.found.misfits
        if self.found.misfits:
            yield from _nearest(self.found)
        yield from (f"requires {each}" for each in self.found.requires)
        yield from (f"undecided, {reason}" for reason in self.found.undecided)
        yield from (f"note, {remark}" for remark in self.remarks)

    def totals(self) -> tuple[str, str, str]:
        """The sums, in words."""
        sums = self.found.totals
        return (
            f"parameters {_shown(sums.params)} (weights {_shown(sums.weights)})",
            f"multiply-adds {_shown(sums.macs)}",
            f"activations {_shown(sums.values)} values, {_shown(sums.bytes)} bytes",
        )

    def table(self) -> Table:
        """A row a layer."""
        return Table("Layers", COLUMNS, tuple(map(_cells, self.found.rows)))

    def section(self) -> Section:
        """The network as a section of a report."""
        lines = (*self.words(), *self.totals())
        return Section(self.name, self.name, "computed by convproof net", (*map(Text, lines), self.table()))

    def to_json(self) -> dict[str, Any]:
        """The document of `convproof net --format json`."""
        more = {"proofs": list(self.proofs)} if self.proofs else {}
        return {**self.found.to_json(), "name": self.name, "remarks": list(self.remarks), **more}


def described(
    name: str,
    network: Network,
    parameters: Mapping[str, tuple[str, ...]] | None = None,
    remarks: Iterable[str] = (),
    prove: bool = False,
) -> Described:
    """Analyses a network and, where asked, proves which sizes fit.

    `parameters` names the stored parameters of each layer, so that those of several layers count once.

    >>> from convproof.spec.notation import network
    >>> found = described("mine", network("INPUT[WxHx3] -> CONV(K=8, F=3) -> POOL2"), prove=True)
    >>> for line in found.words():
    ...     print(line)
    accepts H, W >= 4; nothing is cut at even H, W
    the last feature (maxpool1) sees 4x4 pixels, step 2
    proved and rechecked: H fits for all H >= 4; without remainder for all H >= 3 with H mod 2 = 0
    proved and rechecked: W fits for all W >= 4; without remainder for all W >= 3 with W mod 2 = 0
    """
    found = analyze(network, parameters)
    return Described(name, found, tuple(_proofs(network, found)) if prove else (), tuple(remarks))


def _proofs(network: Network, found: Analysis) -> Iterator[str]:
    """What the kernel proves of the sizes along each axis, and the second checker holds to be proved."""
    import json

    from convproof import recheck
    from convproof.check.fits import prove_sizes
    from convproof.proof import proof_term

    for axis, valid in found.valid_sizes.items():
        try:
            decisions = prove_sizes(network, axis)
        except Undecided as error:
            yield f"not proved: {error}"
            continue
        for decision in decisions:
            recheck.check(json.loads(json.dumps(proof_term(decision.theorem))))
        exact = decisions[1].sizes
        assert valid == decisions[0].sizes  # else prove_sizes had raised
        yield (
            f"proved and rechecked: {axis} fits for {decisions[0].sizes.shown(axis)}; "
            f"without remainder for {exact.shown(axis)}"
        )


def _cells(row: Row) -> tuple[Any, ...]:
    return (
        row.name,
        row.op,
        "?" if row.output is None else _times(row.output),
        *("?" if n is None else n for n in (row.params, row.macs, row.values)),
        "?" if row.receptive_field is None else _one_or_all(row.receptive_field),
        "?" if row.jump is None else _one_or_all(row.jump),
    )


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
    if valid.below or len(valid.residues) != 1:
        return f"accepts {valid.shown(axes)}"
    if 1 in valid and valid.modulus == 1:
        return f"accepts every {axes}"
    return f"accepts {_multiples(axes, valid)}{_from(next(iter(valid)), valid)}"


def _uncut(axes: str, valid: SizeSet, exact: SizeSet) -> str:
    if not (exact.below or exact.residues):
        return "something is always cut"
    if exact == valid:
        return "nothing is ever cut"
    if exact.below or len(exact.residues) != 1:
        return f"nothing is cut at {exact.shown(axes)}"
    first, expected = next(iter(exact)), next(n for n in valid if n % exact.modulus in exact.residues)
    return f"nothing is cut at {_multiples(axes, exact)}{_from(first, exact) if first != expected else ''}"


def _multiples(axes: str, sizes: SizeSet) -> str:
    """What the sizes have in common from some size on."""
    (rest,) = sizes.residues
    if sizes.modulus <= 2:
        return axes if sizes.modulus == 1 else f"{'odd' if rest else 'even'} {axes}"
    return f"{axes} that are multiples of {sizes.modulus}{f' plus {rest}' if rest else ''}"


def _from(first: int, sizes: SizeSet) -> str:
    """That they begin later than they have to."""
    return f" >= {first}" if first > sizes.modulus else ""


def _last_feature(found: Analysis) -> Row | None:
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


def _shown(value: Any) -> str:
    """A number with its thousands set off, an expression as it is."""
    return f"{value:,}" if isinstance(value, int) else "?" if value is None else str(value)


def _times(values: Iterable[Any]) -> str:
    """Sizes (C, H, W) or (H, W) in the notation's order, width first, joined by x."""
    return "x".join(str(v) if str(v).isalnum() else f"({v})" for v in reversed(tuple(values)))


def _one_or_all(values: tuple[Any, ...]) -> str:
    """One number where all axes are alike."""
    return str(values[0]) if len(set(values)) == 1 else _times(values)
