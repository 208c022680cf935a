"""The notes' demo layer: 5x5x3, two filters of 3x3, stride 2, padding 1, every output traced to its window."""

import numpy as np
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.architecture import Conv
from convproof.crosscheck import Relation, oracle
from convproof.crosscheck.cases import ConvCase
from convproof.crosscheck.relations import equal
from convproof.notes import Finding, Theory
from convproof.report import Table, Text
from convproof.symbolic import output_shape, parameters
from convproof.verdicts import Rung

CASE = ConvCase(1, 1, 3, 2, (5, 5), (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1))
BIASES = np.array([1, 0])


def _numbers() -> tuple[np.ndarray, np.ndarray]:
    """An image of 0, 1, 2 and filters of -1, 0, 1, as in the demo; the seed is arbitrary."""
    rng = np.random.default_rng(231)
    return rng.integers(0, 3, CASE.x_shape), rng.integers(-1, 2, CASE.w_shape)


def theory() -> Theory:
    x, w = _numbers()
    y = ag.conv(x, w, BIASES, **CASE.options()).numpy()[0]
    shape = output_shape(CASE.layer, CASE.x_shape[1:])
    printed = (2, 3, 3)
    return Theory(
        id="conv-demo",
        order=120,
        title="The demo layer, traced",
        statement=(
            "A 5x5x3 image, K = 2 filters of 3x3, stride 2, padding 1: 3x3x2 outputs, each the sum "
            "over three channels of a "
            "window times a filter, plus a bias."
        ),
        relations=(_TRACED,),
        exhibits=(
            *(_grid(f"Image, channel {c}", x[0, c]) for c in range(3)),
            *(_grid(f"Filter {k}, channel {c}", w[k, c]) for k in range(2) for c in range(3)),
            Text(f"The biases are {BIASES[0]} and {BIASES[1]}."),
            Table(
                "Every output: its window's rows and columns (-1 and 5 are padding), a sum for each channel, the bias",
                ("output", "rows", "columns", "channel 0", "channel 1", "channel 2", "bias", "sum"),
                tuple(_trace(x, w, k, r, c) for k, r, c in np.ndindex(2, 3, 3)),
            ),
            *(_grid(f"Output, filter {k}, as the layer computes it", y[k]) for k in range(2)),
        ),
        findings=(
            Finding("output size", "3x3x2", "x".join(str(n) for n in (shape[2], shape[1], shape[0])), shape == printed),
            Finding(
                "parameters of the layer",
                "56",
                parameters(Conv(2, 3, 2, 1), (3, 5, 5)),
                parameters(CASE.layer, (3, 5, 5)) == 56,
            ),
        ),
        source="the notes, section `Convolution Demo`; its numbers are drawn afresh by every visit, these are ours",
    )


def _grid(caption: str, numbers: np.ndarray) -> Table:
    return Table(
        caption,
        ("", *(str(c) for c in range(numbers.shape[1]))),
        tuple((str(r), *map(int, row)) for r, row in enumerate(numbers)),
    )


def _trace(x: np.ndarray, w: np.ndarray, k: int, r: int, c: int) -> tuple[object, ...]:
    rows, columns = (oracle.places(5, 3, 2, (1, 1))[o] for o in (r, c))
    sums = [
        sum(
            int(x[0, d, i, j]) * int(w[k, d, a, b])
            for a, i in enumerate(rows)
            for b, j in enumerate(columns)
            if 0 <= i < 5 and 0 <= j < 5
        )
        for d in range(3)
    ]
    bias = int(BIASES[k])
    return (
        f"[{r}, {c}, {k}]",
        f"{rows[0]} to {rows[-1]}",
        f"{columns[0]} to {columns[-1]}",
        *sums,
        bias,
        sum(sums) + bias,
    )


def _check(case: None) -> None:
    x, w = _numbers()
    traced = np.array([_trace(x, w, *place)[-1] for place in np.ndindex(2, 3, 3)]).reshape(2, 3, 3)
    for algorithm in ("direct", "im2col"):
        y = ag.conv(x, w, BIASES, algorithm=algorithm, **CASE.options()).numpy()[0]
        equal(algorithm, y, traced)


_TRACED = Relation(
    "demo traced", "the traced sums = the layer as it runs, by both algorithms", st.none(), _check, Rung.EXACT_SAMPLE
)
