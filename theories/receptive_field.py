"""The receptive field of a stack."""

from convproof.check import relation
from convproof.report import Bars, Equation, Table
from convproof.spec import Conv, Layer
from convproof.symbolic import Field, receptive_field, symbols
from convproof.theory import Finding, Step, Theory

F, S, P, D, N, r, j, a = symbols("F S P D N r j a")


def theory() -> Theory:
    below = Field(r, j, -a)
    above = _through(Conv(1, "F", "S", "P", "D"), below)
    third = _stack([Conv(1, 3)] * 3)
    return Theory(
        id="receptive-field",
        order=50,
        title="Receptive field of a stack",
        statement=(
            "A layer widens the field by its span less one, in steps of the jump below, and "
            "multiplies the jump by its stride. "
            "So N layers of 3x3 at stride 1 see 2N + 1 positions."
        ),
        equations=(Equation(symbols("r_N")[0], 2 * N + 1),),
        hypotheses=(Equation(N, 1, ">="),),
        witness=(("N", 3),),
        steps=(
            Step(
                above.size,
                r + D * (F - 1) * j,
                "one window spans D (F - 1) + 1 outputs of the layer below, j apart",
                "field above",
            ),
            Step(above.jump, j * S, "the next window begins S outputs further", "jump above"),
            Step(above.offset, -a - P * j, "the first window begins P outputs before the first", "offset above"),
            Step(_through(Conv(1, 3), Field()).size, 2 * 1 + 1, "one 3x3 layer sees 3", "field of one layer"),
            Step(
                _through(Conv(1, 3), Field(2 * N + 1)).size,
                2 * (N + 1) + 1,
                "if N layers see 2N + 1, N + 1 see 2(N + 1) + 1",
                "field of N + 1 layers",
            ),
        ),
        relations=(relation("network field"),),
        exhibits=(
            Table(
                "Field after N layers of 3x3 at stride 1",
                ("N", "dense", "dilation 1, 2, 4, ..."),
                tuple((n, _stack(_dense(n)).size, _stack(_doubling(n)).size) for n in range(1, 9)),
            ),
            Bars(
                "Positions seen along one axis after 1 to 6 layers of 3x3, the dilation doubling",
                "positions",
                tuple((f"{n} layers", float(_stack(_doubling(n)).size)) for n in range(1, 7)),
            ),
        ),
        findings=(
            _finding("two stacked 3x3 layers see", "5x5", _stack([Conv(1, 3)] * 2)),
            _finding("three stacked 3x3 layers see", "7x7", third),
            _finding("one 7x7 layer sees", "7x7", _stack([Conv(1, 7)])),
        ),
        source=(
            "the notes, sections `Dilated convolutions` and `Layer Patterns`; A. Araujo, W. Norris and J. Sim, "
            "`Computing receptive fields of convolutional neural networks` (Distill, 2019)"
        ),
    )


def _through(layer: Layer, field: Field) -> Field:
    return receptive_field(layer, [(field,)], [(1, 1)])[0]


def _stack(layers: list[Layer]) -> Field:
    field = Field()
    for layer in layers:
        field = _through(layer, field)
    return field


def _dense(n: int) -> list[Layer]:
    return [Conv(1, 3)] * n


def _doubling(n: int) -> list[Layer]:
    return [Conv(1, 3, dilation=2**i) for i in range(n)]


def _finding(claim: str, printed: str, field: Field) -> Finding:
    computed = f"{field.size}x{field.size}"
    return Finding(claim, printed, computed, printed == computed)
