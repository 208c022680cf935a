"""An analysed network in plain words, and as a part of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convproof.architecture import AdaptivePool, Flatten, GlobalPool, Linear, Network
from convproof.errors import ShapeError, Undecided
from convproof.report import Section, Table, Text
from convproof.symbolic import Analysis, Row, SizeSet, analyze, output_shapes, size_sets
from convproof.symbolic.analysis import plain
from convproof.symbolic.borders import Border, borders, fits
from convproof.symbolic.conditions import axis_names, first_mismatch, of_any_size
from convproof.symbolic.field import alignment
from convproof.symbolic.memory import peak
from convproof.symbolic.patterns import Family, variants

if TYPE_CHECKING:
    from convproof.importers.graph import Imported

_IN_WORDS = {"output_shape": "output", "receptive_field": "receptive field", "macs": "multiply-adds"}


@dataclass(frozen=True)
class Pattern:
    """A family of networks, with its closed forms."""

    name: str
    forms: tuple[tuple[str, Any], ...]

    def lines(self) -> Iterator[str]:
        """A quantity a line."""
        for quantity, form in self.forms:
            shown = form
            if isinstance(form, Undecided):
                shown = f"is undecided: {form}"
            elif isinstance(form, tuple):
                shown = _times(form) if quantity == "output_shape" else _one_or_all(form)
            yield f"{_IN_WORDS.get(quantity, quantity)} {shown}"

    def to_json(self) -> dict[str, Any]:
        """The same as data; expressions are strings."""
        known = {name: None if isinstance(each, Undecided) else plain(each) for name, each in self.forms}
        undecided = [f"{name}: {each}" for name, each in self.forms if isinstance(each, Undecided)]
        return {"schema": "convproof/1", "pattern": self.name, **known, "undecided": undecided}

    def section(self) -> Section:
        """The family as a section of a report."""
        return Section(self.name, self.name, "computed by convproof net", tuple(map(Text, self.lines())))


def patterns(text: str) -> tuple[Pattern, ...]:
    """What a notation with `*N` and `?` describes, for every choice of the optional layers.

    >>> for line in list(patterns("INPUT[WxWx3] -> [CONV3-8 -> POOL2]*M")[0].lines())[:4]:
    ...     print(line)
    output (W//2**M)x(W//2**M)x8
    receptive field 3*2**M - 2
    jump 2**M
    params 584*M - 360
    """
    return tuple(Pattern(str(family), tuple(_forms(family))) for family in variants(text))


def _forms(family: Family) -> Iterator[tuple[str, Any]]:
    """Every quantity that is known of the family, or why it is not."""
    for quantity in ("output_shape", "receptive_field", "jump", "params", "weights", "macs", "values"):
        try:
            yield quantity, getattr(family, quantity)
        except Undecided as error:
            yield quantity, error


COLUMNS = ("layer", "kind", "output WxHxD", "parameters", "multiply-adds", "values", "field", "jump")


@dataclass(frozen=True)
class Described:
    """A network by its name, with all that was found out about it."""

    name: str
    found: Analysis
    feature: Row | None = None
    """The last layer before the classifier, if its field is known."""
    border: tuple[str, ...] = ()
    memory: str = ""
    apart: tuple[str, ...] = ()
    shifted: str = ""
    proofs: tuple[str, ...] = ()
    proved: bool = True
    """Whether all that was asked to be proved is."""
    remarks: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    """Where the sizes that are written into a model are others than those at the given input."""
    written: tuple[tuple[str, SizeSet, SizeSet], ...] = ()
    """(axis, valid, exact) with the sizes that are written into a model, the other axes as they are given."""
    demands: tuple[str, ...] = ()
    """What they ask of letters."""

    @property
    def fits(self) -> bool:
        """Whether the given input fits, what is written into a model is met, and nothing is unknown or unproved."""
        return self.found.fits and self.proved and not self.conflicts and self.counted == len(self.found.rows)

    @property
    def counted(self) -> int:
        """How many layers are known."""
        return sum(row.output is not None for row in self.found.rows)

    def words(self) -> Iterator[str]:
        """What to know about the network, a sentence a line."""
        yield from (f"does not fit, {reason}" for reason in (*self.found.refused, *self.conflicts))
        for axes, valid, exact in _alike(_sets(self.found)):
            cut = f"; {_uncut(axes, valid, exact)}" if valid.below or valid.residues else ""
            yield f"{_accepts(axes, valid)}{cut}"
        if self.feature is not None and self.feature.receptive_field and self.feature.jump:
            field, jump = _times(self.feature.receptive_field), _one_or_all(self.feature.jump)
            moving = f"step {jump}" if any(self.feature.jump) else "the same at every place"
            yield f"the last feature ({self.feature.name}) sees {field} pixels, {moving}"
        yield from self.apart
        yield from [self.shifted] if self.shifted else []
        yield from self.proofs
        yield from self.border
        yield from _beside(self.written)
        yield from (f"requires {each}" for each in (*self.found.requires, *self.demands))
        yield from (f"undecided: {reason}" for reason in _causes(self.found.undecided))
        yield from (f"note: {remark}" for remark in self.remarks)

    def totals(self) -> tuple[str, ...]:
        """The sums, in words."""
        sums, counted, layers = self.found.totals, self.counted, len(self.found.rows)
        return (
            *([f"counted are only {counted} of {layers} layers"] if counted < layers else []),
            f"parameters {_shown(sums.params)} (weights {_shown(sums.weights)})",
            f"multiply-adds {_shown(sums.macs)}",
            f"activations {_shown(sums.values)} values, {_shown(sums.bytes)} bytes",
            *([self.memory] if self.memory else []),
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
        more: dict[str, Any] = {"proofs": list(self.proofs)} if self.proofs else {}
        if self.written:
            sets = {axis: {"valid": valid.to_json(), "exact": exact.to_json()} for axis, valid, exact in self.written}
            more |= {"written_sizes": sets, "conflicts": list(self.conflicts)}
        more["counted_layers"] = self.counted
        return {**self.found.to_json(), "name": self.name, "remarks": list(self.remarks), **more}


def described(
    name: str,
    network: Network,
    imported: Imported | None = None,
    remarks: Iterable[str] = (),
    prove: bool = False,
) -> Described:
    """Analyses a network and, where asked, proves which sizes fit.

    `imported` is what else is known of a network from a file: parameters that several layers use count once, and sizes
    that are written into the file are asked of the network too.

    >>> from convproof.architecture.notation import network
    >>> found = described("mine", network("INPUT[WxHx3] -> CONV(K=8, F=3) -> POOL2"), prove=True)
    >>> for line in found.words():
    ...     print(line)
    accepts H, W >= 4; nothing is cut at even H, W
    the last feature (maxpool1) sees 4x4 pixels, step 2
    proved and rechecked: H is accepted for all H >= 4; without remainder for all H >= 3 with H mod 2 = 0
    proved and rechecked: W is accepted for all W >= 4; without remainder for all W >= 3 with W mod 2 = 0
    """
    found = analyze(network, imported.parameters if imported else None, strict=False)
    sized = of_any_size(network) if found.refused else network
    known = all(row.output is not None for row in found.rows)
    fixed = imported if imported is not None and imported.fixed and known else None
    shapes = output_shapes(network) if fixed else {}
    proofs = dict.fromkeys(_proofs(sized, found) if prove else ())
    return Described(
        name,
        found,
        _last_feature(network, found),
        tuple(_border(network, found)),
        _memory(network),
        tuple(_apart(sized, found)),
        _shifted(network, found),
        tuple(text for _, text in proofs),
        all(proved for proved, _ in proofs),
        tuple(remarks),
        tuple(fixed.conflicts(shapes)) if fixed else (),
        tuple(_written(network, fixed)) if fixed else (),
        tuple(_demands(shapes, fixed)) if fixed else (),
    )


def _written(network: Network, imported: Imported) -> Iterator[tuple[str, SizeSet, SizeSet]]:
    """(axis, valid, exact) with the sizes that are written into a model, where it can be decided."""
    for axis in axis_names(network):
        with suppress(Undecided):  # sizes of several axes multiplied; then the demands say it
            yield (axis, *size_sets(network, axis, imported.fixed))


def _demands(shapes: Mapping[str, Any], imported: Imported) -> Iterator[str]:
    """What sizes that are written into a model ask of letters."""
    for layer, fixed in imported.fixed.items():
        for n, size in zip(fixed, shapes[layer], strict=True):
            if n is not None and not isinstance(size, int):
                yield f"{layer}: {size} = {n}, which is written into the model"


def _beside(written: Sequence[tuple[str, SizeSet, SizeSet]]) -> Iterator[str]:
    """The sets with what is written into a model."""
    given = " and the other axis as given" if len(written) > 1 else ""
    for axes, valid, exact in _alike(written):
        cut = f"; {_uncut(axes, valid, exact)}" if valid.below or valid.residues else ""
        yield f"with the sizes that are written into the model{given}, {axes}: {valid.shown(axes)}{cut}"


def _causes(reasons: Iterable[str]) -> list[str]:
    """The reasons without those that only repeat another's cause."""
    listed = list(dict.fromkeys(reasons))
    return [each for each in listed if not any(each != other and each.endswith(f": {other}") for other in listed)]


def _border(network: Network, found: Analysis) -> Iterator[str]:
    """Where something is cut at the given input, what of it is image, and which sizes or padding would fit."""
    if found.refused:
        near: dict[str, list[str]] = {}
        for (axis, valid), n in zip(found.valid_sizes.items(), network.image.sizes, strict=True):
            if valid is not None and isinstance(n, int) and n not in valid:
                near.setdefault(_either(valid.nearest(n)), []).append(axis)
        yield from (f"nearest {', '.join(axes)} accepted: {sizes}" for sizes, axes in near.items())
        return
    if not found.misfits:
        return
    alike: dict[Border, list[str]] = {}
    for each in borders(network):
        alike.setdefault(replace(each, axis=""), []).append(each.axis)
    for each, axes in alike.items():
        both = f", or {each.each} more on both sides," if each.each is not None else ""
        yield (
            f"{each.layer}: along {', '.join(axes)}, a remainder of {each.remainder} at size {each.size} ({each.real} "
            f"real and {each.padding} padding positions unread); {each.total} more of padding{both} would fit"
        )
    nearest: dict[str, list[str]] = {}
    for axis, fit in fits(network).items():
        if not fit.fits:
            nearest.setdefault(_either((fit.below, fit.above)), []).append(axis)
    yield from (f"nearest {', '.join(axes)} without a remainder: {near}" for near, axes in nearest.items())


def _either(near: tuple[int | None, int | None]) -> str:
    """The sizes next below and above, of which there may be none."""
    return " and ".join(str(n) for n in near if n is not None) or "none"


def _apart(network: Network, found: Analysis) -> Iterator[str]:
    """The smallest sizes at which branches differ, where only that is in the way."""
    first: dict[tuple[int, str], list[str]] = {}
    for axis, valid in found.valid_sizes.items():
        with suppress(Undecided):
            if valid is not None and (each := first_mismatch(network, axis)):
                first.setdefault(each, []).append(axis)
    for (n, merge), axes in first.items():
        yield f"at {', '.join(axes)} = {n} every window fits, but the branches of {merge} differ"


def _shifted(network: Network, found: Analysis) -> str:
    """The first merge whose branches see the image shifted against each other, in words."""
    if found.refused:
        return ""
    try:
        aligned = alignment(network, output_shapes(network))
    except Undecided:
        return ""
    first = next((node.name for node in network if len(node.operands) > 1 and not aligned[node.name]), None)
    return f"the branches of {first} see the image shifted against each other" if first else ""


def _memory(network: Network) -> str:
    """The most values held at one time when no gradient is wanted."""
    try:
        held = peak(network)
        best = "" if held.exact else ", in the order of the layers"
        return f"at test time at most {_shown(held.values)} values at a time (at {held.at}){best}"
    except (Undecided, ShapeError):
        return ""


def _proofs(network: Network, found: Analysis) -> Iterator[tuple[bool, str]]:
    """What the kernel proves of the sizes along each axis, and the second checker holds to be proved, or why not."""
    import json

    from convproof import recheck
    from convproof.proof import proof_term
    from convproof.proof.sizes import prove_sizes

    for axis in found.valid_sizes:
        try:
            decisions = prove_sizes(network, axis)
        except Undecided as error:
            yield False, f"not proved: {error}"
            continue
        for decision in decisions:
            recheck.check(json.loads(json.dumps(proof_term(decision.theorem))))
        exact = decisions[1].sizes
        yield (
            True,
            f"proved and rechecked: {axis} is accepted for {decisions[0].sizes.shown(axis)}; "
            f"without remainder for {exact.shown(axis)}",
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


def _sets(found: Analysis) -> Iterator[tuple[str, SizeSet, SizeSet]]:
    """(axis, valid, exact), where they are known."""
    for axis, valid in found.valid_sizes.items():
        exact = found.exact_sizes[axis]
        if valid is not None and exact is not None:
            yield axis, valid, exact


def _alike(sets: Iterable[tuple[str, SizeSet, SizeSet]]) -> Iterator[tuple[str, SizeSet, SizeSet]]:
    """The axes that take the same sizes, together."""
    groups: dict[tuple[SizeSet, SizeSet], list[str]] = {}
    for axis, valid, exact in sets:
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
        return f"nothing is cut at {exact.shown(axes).removeprefix('only ')}"
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


def _last_feature(network: Network, found: Analysis) -> Row | None:
    """The last layer with a plane of features, before what is made of it as a whole; None where it is not known."""
    last, whole = None, set[str]()
    for node, row in zip(network, found.rows, strict=True):
        if isinstance(node.layer, (AdaptivePool, GlobalPool, Linear, Flatten)) or (
            node.operands and whole >= {*node.operands}
        ):
            whole.add(node.name)
        else:
            last = row
    return None if last is None or found.refused else last


def _shown(value: Any) -> str:
    """A number with its thousands set off, an expression as it is."""
    return f"{value:,}" if isinstance(value, int) else "?" if value is None else str(value)


def _times(values: Iterable[Any]) -> str:
    """Sizes (C, H, W) or (H, W) in the notation's order, width first, joined by x."""
    return "x".join(str(v) if str(v).isalnum() else f"({v})" for v in reversed(tuple(values)))


def _one_or_all(values: tuple[Any, ...]) -> str:
    """One number where all axes are alike."""
    return str(values[0]) if len(set(values)) == 1 else _times(values)
