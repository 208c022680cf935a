"""The receptive field of a stack."""

from convproof.check import relation
from convproof.proof import Theorem, derived, kernel
from convproof.proof.algebra import substitute
from convproof.report import Bars, Equation, Table
from convproof.spec import Conv, Layer
from convproof.symbolic import Field, receptive_field, symbols
from convproof.theory import Claim, Finding, Step, Theory

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
        claims=(
            Claim(
                "stack",
                "A stack of any kernels, strides and dilations: the field after N layers is 1 plus "
                "the sum, over the layers, of "
                "the span less one times the jump below.",
                _stack_of_any,
                (("N", 3), ("r", ("+", 1, ("*", 2, ("v", "k")))), ("F", 3), ("D", 1), ("J", 1)),
            ),
            Claim(
                "stack-of-3x3",
                "N layers of 3x3 at stride 1 see 2N + 1.",
                _stack_of_small,
                (("N", 3), ("r", ("+", 1, ("*", 2, ("v", "k"))))),
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
                tuple((f"{n} layer{'s' * (n > 1)}", _stack(_doubling(n)).size) for n in range(1, 7)),
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


LAYER = ("v", "N")
NEXT = ("at", "r", ("+", LAYER, 1))


def _stack_of_any() -> Theorem:
    """r[0] = 1, for all N: r[N+1] = r[N] + D[N] (F[N] - 1) J[N], N >= 0 |- r[N] = 1 + the sum of these below N."""
    grows = ("*", ("at", "D", LAYER), ("+", ("at", "F", LAYER), -1), ("at", "J", LAYER))
    law = kernel.assume(("all", "N", ("=", NEXT, ("+", ("at", "r", LAYER), grows))))
    below = ("sum", "i", 0, ("+", LAYER, -1), substitute(grows, {"N": ("v", "i")}))
    claim = ("=", ("at", "r", LAYER), ("+", 1, below))
    start = kernel.assume(("=", ("at", "r", 0), 1))
    none = kernel.empty(substitute(below, {"N": 0}), derived.at_least(0, ("+", ("+", 0, -1), 1)))
    base = kernel.certificate(substitute(claim, {"N": 0}), [start, none], [(1, [0]), (-1, [1])])
    at_next = substitute(claim, {"N": ("+", LAYER, 1)})
    natural = kernel.assume((">=", LAYER, 0))
    enough = kernel.certificate((">=", ("+", ("+", LAYER, 1), -1), 0), [natural], [(1, [0])])
    longer = kernel.last_term(at_next[2][2], enough)
    one_more = kernel.specialize(law, LAYER)
    step = kernel.certificate(at_next, [one_more, kernel.assume(claim), longer], [(1, [0]), (1, [1]), (-1, [2])])
    return kernel.induction(base, step, "N")


def _stack_of_small() -> Theorem:
    """r[0] = 1, for all N: r[N+1] = r[N] + 2, N >= 0 |- r[N] = 2N + 1."""
    law = kernel.assume(("all", "N", ("=", NEXT, ("+", ("at", "r", LAYER), 2))))
    claim = ("=", ("at", "r", LAYER), ("+", ("*", 2, LAYER), 1))
    base = kernel.certificate(substitute(claim, {"N": 0}), [kernel.assume(("=", ("at", "r", 0), 1))], [(1, [0])])
    premises = [kernel.specialize(law, LAYER), kernel.assume(claim)]
    step = kernel.certificate(substitute(claim, {"N": ("+", LAYER, 1)}), premises, [(1, [0]), (1, [1])])
    return kernel.induction(base, step, "N")


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
