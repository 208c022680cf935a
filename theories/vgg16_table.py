"""The notes' VGG16 table, row by row, and its totals."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from convproof.architecture import Conv, Flatten, Linear, Network, ReLU
from convproof.architecture.notation import network
from convproof.architecture.zoo import CLASSICS
from convproof.crosscheck import Relation
from convproof.crosscheck.printed import rounds_to
from convproof.crosscheck.relations import network_extents
from convproof.notes import Finding, Theory
from convproof.report import Bars, Table
from convproof.symbolic import Row, analyze
from convproof.verdicts import Rung

# What the notes print in each row: the label, the memory and the weights.
PRINTED = (
    ("INPUT", "150K", "0"),
    ("CONV3-64", "3.2M", "1,728"),
    ("CONV3-64", "3.2M", "36,864"),
    ("POOL2", "800K", "0"),
    ("CONV3-128", "1.6M", "73,728"),
    ("CONV3-128", "1.6M", "147,456"),
    ("POOL2", "400K", "0"),
    ("CONV3-256", "800K", "294,912"),
    ("CONV3-256", "800K", "589,824"),
    ("CONV3-256", "800K", "589,824"),
    ("POOL2", "200K", "0"),
    ("CONV3-512", "400K", "1,179,648"),
    ("CONV3-512", "400K", "2,359,296"),
    ("CONV3-512", "400K", "2,359,296"),
    ("POOL2", "100K", "0"),
    ("CONV3-512", "100K", "2,359,296"),
    ("CONV3-512", "100K", "2,359,296"),
    ("CONV3-512", "100K", "2,359,296"),
    ("POOL2", "25K", "0"),
    ("FC", "4096", "102,760,448"),
    ("FC", "4096", "16,777,216"),
    ("FC", "1000", "4,096,000"),
)
EARLY = 7  # rows up to the second pool


def theory() -> Theory:
    vgg = network(CLASSICS["vgg16"])
    found = analyze(vgg)
    rows = [row for row in found.rows if row.values]  # ReLU works in place and has no row in the notes
    totals = found.totals
    cells = tuple(_cells(label, row, memory, count) for row, (label, memory, count) in zip(rows, PRINTED, strict=True))
    total = ("total", "", totals.values, "24M", totals.weights, "", totals.params, totals.macs, "")
    columns = ("layer", "output", "values", "printed", "weights", "printed", "parameters", "multiply-adds", "field")
    return Theory(
        id="vgg16-table",
        order=100,
        title="VGG16, row by row",
        statement="Every row of the notes' table, derived from the network's notation, beside what the notes print.",
        relations=(
            Relation(
                "VGG16's extents",
                "VGG16 with one filter a layer runs through these sizes",
                st.just(_thin(vgg)),
                network_extents,
                Rung.EXACT_SAMPLE,
            ),
        ),
        exhibits=(
            Table("VGG16 on 224x224x3; 4 bytes a value; a multiply-add counts once", columns, (*cells, total)),
            Bars("Activation values a layer", "values", tuple((row.name, row.values) for row in rows)),
            Bars("Weights a layer", "weights", tuple((row.name, row.weights) for row in rows if row.weights)),
            Bars("Multiply-adds a layer", "MACs", tuple((row.name, row.macs) for row in rows if row.macs)),
        ),
        findings=(
            *(
                _finding(f"memory of row {i}, {label}", memory, row.values)
                for i, (row, (label, memory, _)) in enumerate(zip(rows, PRINTED, strict=True), 1)
            ),
            *(
                _finding(f"weights of row {i}, {label}", count, row.weights, exact=True)
                for i, (row, (label, _, count)) in enumerate(zip(rows, PRINTED, strict=True), 1)
            ),
            _finding("TOTAL memory, in values", "24M", totals.values),
            _finding("TOTAL memory, in bytes, MB as 1000 x 1000", "93MB", totals.bytes),
            _finding("TOTAL memory, in bytes, MB as 1024 x 1024", "93MiB", totals.bytes),
            _finding("TOTAL params", "138M", totals.params),
            _finding("the network's parameters, as said in the text", "140M", totals.params),
            _finding("weights of the first FC layer, as said in the text", "100M", rows[19].weights),
            _most("most of the memory is in the first two blocks", [row.values for row in rows], EARLY),
            _most("most of the compute is in the first two blocks", [row.macs for row in rows], EARLY),
            _most("most parameters are in the last FC layers", [row.params for row in reversed(rows)], 3),
        ),
        source="the notes, section `Case studies`, `VGGNet in detail`; K. Simonyan and A. Zisserman (2014)",
    )


def _cells(label: str, row: Row, memory: str, count: str) -> tuple[object, ...]:
    *depth, height, width = row.output if len(row.output) == 3 else (row.output[0], 1, 1)
    field = row.receptive_field[0] if row.receptive_field else ""
    shape = f"{width}x{height}x{depth[0]}"
    return (label, shape, row.values, memory, row.weights, count, row.params, row.macs, field)


def _finding(claim: str, printed: str, computed: int, exact: bool = False) -> Finding:
    agrees = f"{computed:,}" == printed if exact else rounds_to(computed, printed)
    return Finding(claim, printed, computed, agrees)


def _most(claim: str, parts: list[int], first: int) -> Finding:
    """Whether the first few parts make up more than half of the whole."""
    share = Fraction(sum(parts[:first]), sum(parts))
    return Finding(claim, "more than half", f"{float(share):.1%}", share > Fraction(1, 2))


def _thin(net: Network) -> Network:
    """The same sizes with one filter a conv layer and few units, small enough to run in a moment."""
    layers = []
    for node in net:
        layer = node.layer
        if isinstance(layer, Conv):
            layer = replace(layer, out_channels=1)
        elif isinstance(layer, Linear):
            layer = Linear(3)
        layers.append(layer)
    return Network.chain([layer for layer in layers if not isinstance(layer, (ReLU, Flatten))])
