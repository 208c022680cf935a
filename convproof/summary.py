"""An analysed network in plain words, and as a part of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import TYPE_CHECKING, Any

from convproof.architecture import AdaptivePool, BatchNorm, Condition, Flatten, GlobalPool, Linear, Network, Reshape
from convproof.errors import ShapeError, Undecided
from convproof.report import Section, Table, Text
from convproof.symbolic import Analysis, Row, SizeSet, analyze
from convproof.symbolic.accepted import Box, first_mismatch, renamed, unknowns_of
from convproof.symbolic.analysis import plain
from convproof.symbolic.constraints import CONDITIONS, product
from convproof.symbolic.field import alignment
from convproof.symbolic.floordiv import normal
from convproof.symbolic.memory import DTYPES, TrainingMemory, peak, training_memory
from convproof.symbolic.patterns import Family, variants
from convproof.symbolic.remainders import Border, borders_of
from convproof.symbolic.shapes import axis_names, infer

if TYPE_CHECKING:
    from convproof.importers.graph import Imported
    from convproof.proof.sizes import ProvedSizes

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
    memory: tuple[str, ...] = ()
    kept: TrainingMemory | None = None
    """The bytes that a step of training keeps, where they are asked for."""
    mismatches: tuple[str, ...] = ()
    shifted: str = ""
    proof: ProvedSizes | None = None
    unproved: str = ""
    """Why what was asked to be proved is not."""
    outputs: tuple[tuple[str, Row], ...] = ()
    """The tensors that a model returns, by their names there."""
    remarks: tuple[str, ...] = ()

    def fits(self, exact: bool = False) -> bool:
        """Whether the given input fits (`exact`: without a remainder), and nothing is unknown or unproved."""
        return self.found.fits(exact) and not self.unproved and self.counted == len(self.found.rows)

    @property
    def counted(self) -> int:
        """How many layers are known."""
        return sum(row.output is not None and row.derived for row in self.found.rows)

    def words(self) -> Iterator[str]:
        """What to know about the network, a sentence a line."""
        if (refused := self.found.refused) is not None:
            yield f"does not fit, {refused.reason}"
            yield from [f"nearest accepted: {_near(refused.nearest)}"] if refused.nearest else []
        yield from _accepts(self.found)
        if self.feature is not None and self.feature.receptive_field and self.feature.jump:
            field, jump = _times(self.feature.receptive_field), _one_or_all(self.feature.jump)
            moving = f"step {jump}" if any(self.feature.jump) else "the same at every place"
            most = "" if self.feature.receptive_field_exact else "at most "
            yield f"the last feature ({self.feature.name}) sees {most}{field} pixels, {moving}"
        if len(self.outputs) > 1:
            yield f"returns {len(self.outputs)} tensors: {_listed(self.outputs)}"
        if self.found.unused:
            count, names = sum(self.found.unused.values()), ", ".join(list(self.found.unused)[:3])
            more = len(self.found.unused) - 3
            yield f"{_shown(count)} parameters are read by no layer: {names}{f' and {more} more' if more > 0 else ''}"
        yield from self.mismatches
        yield from [self.shifted] if self.shifted else []
        yield from _proved_words(self.proof) if self.proof is not None else []
        yield from [f"not proved: {self.unproved}"] if self.unproved else []
        yield from self.border
        yield from (f"requires {each}" for each in self.found.requires)
        yield from (f"undecided: {reason}" for reason in _causes(self.found.undecided))
        yield from (f"note: {remark}" for remark in self.remarks)

    def totals(self) -> tuple[str, ...]:
        """The sums, in words."""
        sums, counted, layers = self.found.totals, self.counted, len(self.found.rows)
        return (
            *([f"counted are only {counted} of {layers} layers"] if counted < layers else []),
            *([] if all(row.derived for row in self.found.rows) else ["* as the framework makes it of this image"]),
            f"parameters {_shown(sums.params)} (weights {_shown(sums.weights)})",
            f"multiply-adds {_shown(sums.macs)}",
            f"activations {_shown(sums.values)} values, {_shown(sums.bytes)} bytes",
            *self.memory,
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
        more: dict[str, Any] = {}
        if self.proof is not None:
            more |= {"proofs": [next(_proved_words(self.proof))], "theorem": self.proof.statement}
        more |= {"unproved": self.unproved} if self.unproved else {}
        more["counted_layers"] = self.counted
        more["outputs"] = [{"name": name, "layer": row.name, "output": plain(row.output)} for name, row in self.outputs]
        more |= {"memory": _memory_entry(self.kept)} if self.kept is not None else {}
        return {**self.found.to_json(), "name": self.name, "remarks": list(self.remarks), **more}


def described(
    name: str,
    network: Network,
    imported: Imported | None = None,
    remarks: Iterable[str] = (),
    prove: bool = False,
    counted: Counted | None = None,
) -> Described:
    """Analyses a network and, where asked, proves which sizes it accepts, and counts memory for what is `counted`.

    `imported` is what else is known of a network from a file: parameters that several layers use count once, and what
    was read at a single size is said of no other.

    >>> from convproof.architecture.notation import network
    >>> found = described("mine", network("INPUT[WxHx3] -> CONV(K=8, F=3) -> POOL2"), prove=True)
    >>> for line in found.words():  # doctest: +ELLIPSIS
    ...     print(line)
    accepts H, W >= 4; nothing is cut at even H, W
    the last feature (maxpool1) sees 4x4 pixels, step 2
    proved and rechecked for all H, W: the network runs exactly at H, W >= 4
    theorem: for all H: for all W: [1 <= H]*[1 <= W]*... >= 1 iff [4 <= H]*[4 <= W] >= 1
    """
    limits = imported.undecided if imported else ()
    cases = [each.with_input(network.image) for each in imported.cases] if imported else []
    if imported is None:
        found = analyze(network, strict=False)
    else:
        taken = imported.taken if network.image.sizes == imported.network.image.sizes else {}
        found = analyze(network, imported.parameters, False, limits, cases, imported.stored, taken)
    if cases and not limits:
        limits = (f"what it accepts is made up of {1 + len(cases)} cases",)
    proof, unproved = _proved(network, found, limits) if prove else (None, "")
    network = found.given.network  # with numbers for what depends on sizes
    kept = _training(network, found.totals.params, counted)
    return Described(
        name,
        found,
        _last_feature(network, found),
        tuple(_border(found)),
        _memory(network, kept, counted),
        kept,
        (*_mismatches(found), *_single_values(network, counted)),
        _shifted(network, found),
        proof,
        unproved,
        tuple(_returned(found, imported)) if imported else (),
        (*remarks, *_about_the_case(found, cases), *_about_the_image(network)),
    )


def _returned(found: Analysis, imported: Imported) -> Iterator[tuple[str, Row]]:
    rows = {row.name: row for row in found.rows}
    return ((name, rows[layer]) for name, layer in imported.outputs.items() if layer in rows)


MOST_OUTPUTS_SHOWN = 8


def _listed(outputs: Sequence[tuple[str, Row]]) -> str:
    """Tensors with their names and sizes."""
    texts = [f"{name} {'?' if row.output is None else _times(row.output)}" for name, row in outputs]
    more = len(texts) - MOST_OUTPUTS_SHOWN
    return ", ".join(texts[:MOST_OUTPUTS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _about_the_case(found: Analysis, others: Sequence[Network]) -> Iterator[str]:
    """Of a forward that decides by sizes: which of the cases the table is of."""
    if others:
        network = found.everywhere.network
        asked = [node.layer for node in network if isinstance(node.layer, Condition)]
        signs = [f"{each.left} {CONDITIONS[each.sign][0]} {each.right}" for each in asked]
        case = renamed(" and ".join(signs), unknowns_of(network))
        yield f"the forward decides by sizes; the table is of one case of {1 + len(others)}: {case}"


def _about_the_image(network: Network) -> Iterator[str]:
    """What a reader may have meant otherwise: letters of other axes, and sizes that stand channels first."""
    image = network.image
    names, words = axis_names(network), {"D": "depth", "H": "height", "W": "width"}
    own = dict(zip(names, map(str, image.sizes), strict=True))
    for axis, n in own.items():
        if n in words and own.get(n) != n:
            yield f"the letter {n} is the {words[axis]} of the image here: the notation is INPUT[WxHxD], width first"
    in_numbers = all(isinstance(n, int) for n in (image.channels, *image.sizes)) and len(image.sizes) > 1
    if in_numbers and image.channels > 16 and {1, 3} & {image.sizes[0], image.sizes[-1]}:
        text = "x".join(map(str, (*image.sizes, image.channels)))
        yield f"the image is {text}, height x width x channels; if that was meant as channels first, turn it round"


def _proved(network: Network, found: Analysis, limits: Sequence[str]) -> tuple[ProvedSizes | None, str]:
    """The theorem on the accepted sizes, replayed by the second checker; or why there is none."""
    from convproof.proof.sizes import prove_sizes

    if limits:
        return None, limits[0]
    try:
        return prove_sizes(network, found.accepted), ""
    except Undecided as error:
        return None, str(error)


LONGEST_STATEMENT = 1_500


def _proved_words(proof: ProvedSizes) -> Iterator[str]:
    """What is proved, and nothing else: in words, and as the theorem says it."""
    boxes, names = proof.boxes, ", ".join(proof.unknowns)
    if not boxes:
        where = f"at no {names}"
    elif len(boxes) == 1:
        sets = _alike((name, sizes, None) for name, sizes in boxes[0].items())
        where = "exactly at " + " and ".join(ranges(axes, sizes) for axes, sizes, _ in sets)
    else:
        where = f"exactly at {boxes_in_words(boxes)}"
    tied = "".join(f" where {each} = 1" for each in proof.tied)
    yield f"proved and rechecked for all {names}: the network runs {where}{tied}"
    if len(proof.statement) > LONGEST_STATEMENT:
        yield f"theorem of {len(proof.statement):,} characters: --proof writes it, --format json shows it"
    else:
        yield f"theorem: {proof.statement}"


def _causes(reasons: Iterable[str]) -> list[str]:
    """The reasons without those that only repeat another's cause."""
    listed = list(dict.fromkeys(reasons))
    return [each for each in listed if not any(each != other and each.endswith(f": {other}") for other in listed)]


# --- which sizes ------------------------------------------------------------------------------------------------------

MOST_BOXES_SHOWN = 12


def _accepts(found: Analysis) -> Iterator[str]:
    """Which sizes are accepted, in sentences."""
    accepted = found.accepted
    names = ", ".join(accepted.unknowns)
    if accepted.empty:
        yield f"accepts no {names}"
    elif accepted.boxes is None:
        if not accepted.undecided:
            yield f"accepts the {names} that meet what is required below; no list of ranges says it"
    elif len(accepted.boxes) == 1:
        sets = ((name, valid, found.exact_sizes[name]) for name, valid in accepted.boxes[0].items())
        for axes, valid, exact in _alike(sets):
            yield f"accepts {ranges(axes, valid)}" + ("" if exact is None else f"; {_uncut(axes, valid, exact)}")
    else:
        yield f"accepts {boxes_in_words(accepted.boxes)}"
        if accepted.unknowns == ("H", "W"):
            square = reduce(lambda a, b: a | b, (box["H"] & box["W"] for box in accepted.boxes))
            yield f"of square images: {square.shown('H = W') if square else 'none'}"


def boxes_in_words(boxes: Sequence[Box]) -> str:
    """Boxes, each as what its unknowns may be."""
    texts = [" with ".join(f"{name} {_runs(name, sizes)}" for name, sizes in box.items()) for box in boxes]
    more = len(texts) - MOST_BOXES_SHOWN
    return "; or ".join(texts[:MOST_BOXES_SHOWN] + ([f"{more} more ranges"] if more > 0 else []))


def _runs(name: str, sizes: SizeSet) -> str:
    """A set behind the name of its unknown."""
    text = sizes.shown(name)
    return text.removeprefix("only ").removeprefix(f"all {name} ")


def _alike(sets: Iterable[tuple[str, SizeSet, SizeSet | None]]) -> Iterator[tuple[str, SizeSet, SizeSet | None]]:
    """The axes that take the same sizes, together."""
    groups: dict[tuple[SizeSet, SizeSet | None], list[str]] = {}
    for axis, valid, exact in sets:
        groups.setdefault((valid, exact), []).append(axis)
    return ((", ".join(axes), valid, exact) for (valid, exact), axes in groups.items())


def ranges(axes: str, valid: SizeSet) -> str:
    """A set of sizes of these axes, in words."""
    if valid.below or len(valid.residues) != 1:
        return valid.shown(axes) if valid.residues else f"{axes} {_runs(axes, valid)}"
    if 1 in valid and valid.modulus == 1:
        return f"every {axes}"
    return f"{_multiples(axes, valid)}{_from(next(iter(valid)), valid)}"


def _uncut(axes: str, valid: SizeSet, exact: SizeSet) -> str:
    if not exact:
        return "something is always cut"
    if exact == valid:
        return "nothing is ever cut"
    if exact.below or len(exact.residues) != 1:
        return f"nothing is cut at {exact.shown(axes).removeprefix('only ')}"
    first, expected = next(iter(exact)), next((n for n in valid if n % exact.modulus in exact.residues), None)
    return f"nothing is cut at {_multiples(axes, exact)}{_from(first, exact) if first != expected else ''}"


def _multiples(axes: str, sizes: SizeSet) -> str:
    """What the sizes have in common from some size on."""
    (rest,) = sizes.residues
    if sizes.modulus <= 2:
        return axes if sizes.modulus == 1 else f"{'odd' if rest else 'even'} {axes}"
    return f"{axes} that are multiples of {sizes.modulus}{f' plus {rest}' if rest else ''}"


def _from(first: int, sizes: SizeSet) -> str:
    """Where the sizes begin, if that is later than their residues say."""
    return f" >= {first}" if first > sizes.modulus else ""


def _near(nearest: Mapping[str, tuple[int, ...]]) -> str:
    """The nearest sizes, axes that have the same ones together."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, sizes in nearest.items():
        groups.setdefault(sizes, []).append(name)
    return "; ".join(f"{', '.join(names)} {' or '.join(map(str, sizes))}" for sizes, names in groups.items())


def _mismatches(found: Analysis) -> Iterator[str]:
    """The smallest sizes at which branches differ, where only that is in the way."""
    first: dict[tuple[int, str], list[str]] = {}
    for name, valid in found.valid_sizes.items():
        with suppress(Undecided):
            if valid is not None and (each := first_mismatch(found.everywhere, name)):
                first.setdefault(each, []).append(name)
    for (n, merge), names in first.items():
        yield f"at {', '.join(names)} = {n} every window fits, but the branches of {merge} differ"


# --- the border, memory, features -------------------------------------------------------------------------------------


def _border(found: Analysis) -> Iterator[str]:
    """Where something is cut at the given input, what of it is image, and which sizes or padding would fit."""
    if found.refused is not None or not found.misfits:
        return
    alike: dict[Border, list[str]] = {}
    for each in borders_of(found.given):
        alike.setdefault(replace(each, axis=""), []).append(each.axis)
    for each, axes in alike.items():
        yield (
            f"{each.layer}: along {', '.join(axes)}, a remainder of {each.remainder} at size {each.size} ({each.real} "
            f"real and {each.padding} padding positions unread); {each.advice}"
        )
    nearest = {}
    for name, n in zip(found.accepted.unknowns, found.given.network.image.sizes, strict=False):
        exact = found.exact_sizes[name]
        if exact is not None and isinstance(n, int) and n not in exact:
            nearest[name] = tuple(each for each in exact.nearest(n) if each is not None)
    yield from [f"nearest without a remainder: {_near(nearest)}"] if all(nearest.values()) and nearest else []


def _shifted(network: Network, found: Analysis) -> str:
    """The first merge whose branches see the image shifted against each other, in words."""
    if found.refused is not None:
        return ""
    try:
        aligned = alignment(found.given)
    except Undecided:
        return ""
    first = next((n.name for n in network if len(n.operands) > 1 and not aligned.get(n.name, True)), None)
    return f"the branches of {first} see the image shifted against each other" if first else ""


@dataclass(frozen=True)
class Counted:
    """What memory is counted for."""

    batch: int | str = 1
    dtype: str = "float32"
    optimizer: str = "sgd"
    training: bool = False


def _memory(network: Network, kept: TrainingMemory | None, counted: Counted | None) -> tuple[str, ...]:
    """The most values held at one time when no gradient is wanted; and the bytes that training keeps."""
    try:
        held = peak(network)
        best = "" if held.exact else ", in the order of the layers"
        lines = [f"at test time at most {_shown(held.values)} values at a time (at {held.at}){best}"]
        if counted is not None and kept is not None:
            of = f"{_shown(kept.batch)} image{'s' * (kept.batch != 1)} in {counted.dtype}"
            lines.append(f"that is {_bytes(normal(held.values * kept.batch * DTYPES[counted.dtype]))} for {of}")
            lines += [_kept(kept, of)] if counted.training else []
        return tuple(lines)
    except (Undecided, ShapeError) as reason:
        return () if counted is None else (f"memory is not known: {reason}",)


def _training(network: Network, learned: Any, counted: Counted | None) -> TrainingMemory | None:
    """What a step of training keeps, where it is asked for and known."""
    if counted is not None:
        with suppress(Undecided, ShapeError):
            return training_memory(network, learned, counted.batch, counted.dtype, counted.optimizer)
    return None


def _memory_entry(kept: TrainingMemory) -> dict[str, Any]:
    return {**{each.name: plain(getattr(kept, each.name)) for each in fields(kept)}, "total": plain(kept.total)}


def _kept(kept: TrainingMemory, of: str) -> str:
    listed = ", ".join(f"{name} {_shown(n)}" for name, n in kept.parts.items() if n != 0)
    return f"a step of training with {of} keeps {_bytes(kept.total)}: {listed}"


def _bytes(count: Any) -> str:
    """Bytes, large numbers of them also in powers of 1000."""
    power = min((len(str(count)) - 1) // 3, 4) if isinstance(count, int) else 0
    return f"{_shown(count)} bytes" + (f" ({count / 1000**power:.3g} {' KMGT'[power]}B)" if power > 1 else "")


def _single_values(network: Network, counted: Counted | None) -> Iterator[str]:
    """Batch normalizations that training refuses, as they see one value a channel."""
    if counted is None or not counted.training or counted.batch != 1:
        return
    shapes = infer(network).shapes
    for node in network:
        shape = shapes.get(node.name)
        if isinstance(node.layer, BatchNorm) and shape is not None and product(shape[1:] or (1,)) == 1:
            yield f"{node.name} is refused in training with a batch of 1: it normalizes by a single value a channel"


def _cells(row: Row) -> tuple[Any, ...]:
    bound = "" if row.receptive_field_exact else "<= "
    return (
        row.name,
        row.op,
        "?" if row.output is None else _times(row.output) + (" *" * (not row.derived)),
        *("?" if n is None else n for n in (row.params, row.macs, row.values)),
        "?" if row.receptive_field is None else bound + _one_or_all(row.receptive_field),
        "?" if row.jump is None else _one_or_all(row.jump),
    )


def _last_feature(network: Network, found: Analysis) -> Row | None:
    """The last layer with a plane of features, before what is made of it as a whole; None where it is not known."""
    last, whole = None, set[str]()
    for node, row in zip(network, found.rows, strict=True):
        if isinstance(node.layer, (AdaptivePool, GlobalPool, Linear, Flatten, Reshape)) or (
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
