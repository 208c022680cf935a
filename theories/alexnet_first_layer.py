"""AlexNet's first layer: why 227 works, 224 does not, and which padding repairs it."""

from hypothesis import strategies as st

from convproof.architecture import Axis, Conv
from convproof.crosscheck import Relation, oracle
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, kernel
from convproof.proof.language import formula, term
from convproof.report import Equation, Table, Text
from convproof.symbolic import macs, output_shape, parameters, symbols, where_zero, window
from convproof.verdicts import Rung

W, T, P = symbols("W T P")
KERNEL, STRIDE = 11, 4
LAYER, IMAGE = Conv(96, KERNEL, STRIDE), (3, 227, 227)


def _axis(before: object = 0, after: object = 0) -> Axis:
    return Axis(KERNEL, STRIDE, before, after)


def theory() -> Theory:
    repaired = where_zero(window.remainder(_axis(0, T), 224), T)
    both_sides = where_zero(window.remainder(_axis(T, T), 224), T)
    return Theory(
        id="alexnet-first-layer",
        order=110,
        title="AlexNet's first layer",
        statement=(
            "With F = 11 and S = 4, an unpadded input of 227 gives 55 outputs without remainder, as every size does "
            "that is 3 more than a multiple of 4; 224 leaves a remainder. It is repaired by a total padding of 3 "
            "(or more than 3 by a multiple of 4), and by no padding that is equal on both sides."
        ),
        equations=(Equation(symbols("W_2")[0], window.count(_axis(), W)),),
        hypotheses=(Equation(W, KERNEL, ">="),),
        witness=(("W", 227),),
        steps=(
            Step(window.count(_axis(), 227), (227 - 11) // 4 + 1, "227 gives 55", "outputs of 227"),
            Step(window.remainder(_axis(), 227), 0, "and nothing is left over", "remainder of 227"),
            Step(
                window.remainder(_axis(), 224),
                (224 - 11) % 4,
                "224 leaves 1 of its 213 = 53 x 4 + 1",
                "remainder of 224",
            ),
            Step(window.slack(_axis(0, T), 224), 213 + T, "padding by T in all adds T to that", "room, padded by T"),
            Step(
                window.count(_axis(1, 2), 224),
                55,
                "T = 3, as 1 before and 2 after, gives 55 again",
                "outputs of 224, padded by 3",
            ),
            Step(
                window.slack(_axis(P, P), 224),
                2 * (106 + P) + 1,
                "equal padding P on both sides leaves an odd number, which 4 never divides",
                "room, padded by P twice",
            ),
        ),
        claims=(
            Claim("227", "227 gives 55 outputs.", lambda: kernel.identity(term("(227 - 11)//4 + 1"), 55)),
            Claim(
                "equal-padding",
                "No padding P on both sides lets 224 fit: the remainder of 224 + 2P - 11 by 4 is at least 1.",
                lambda: _decided(f"{_left(_axis(P, P), 224)} >= 1", "P"),
                (("P", 3),),
            ),
            Claim(
                "total-padding",
                "A total padding T lets 224 fit exactly when it is 3, or more than 3 by a multiple of 4.",
                lambda: _decided(f"{_left(_axis(0, T), 224)} = 0 iff T - 4*(T//4) = 3", "T"),
                (("T", 3),),
            ),
            Claim(
                "sizes",
                "Without padding a size leaves no remainder exactly when it is 3 more than a multiple of 4.",
                lambda: _decided(f"{_left(_axis(), W)} = 0 iff W - 4*(W//4) = 3", "W"),
                (("W", 227),),
            ),
            Claim(
                "sizes-set",
                "So the sizes that hold a window and leave no remainder are 11, 15, 19, and so on.",
                lambda: _decided(
                    f"[{window.slack(_axis(), W)} >= 0]*[{_left(_axis(), W)} = 0] = [W >= 11]*[W - 4*(W//4) = 3]", "W"
                ),
                (("W", 227),),
            ),
        ),
        relations=(_SIZES,),
        exhibits=(
            Table(
                "Total padding T of an input of 224",
                ("T", "outputs", "remainder"),
                tuple((t, window.count(_axis(0, t), 224), window.remainder(_axis(0, t), 224)) for t in range(9)),
            ),
            Text(
                f"Total paddings T that fit: {repaired.shown('T')}. Paddings P on both sides that "
                f"fit: {both_sides.shown('P')}."
            ),
        ),
        findings=(
            Finding("output for 227x227x3", "55x55x96", _shape(), _shape() == "55x55x96"),
            Finding("neurons", "290,400", _product(), _product() == 290400),
            Finding("parameters", "34,944", parameters(LAYER, IMAGE), parameters(LAYER, IMAGE) == 34944),
            Finding(
                "224 clearly does not fit",
                "not an integer",
                f"remainder {window.remainder(_axis(), 224)}",
                window.remainder(_axis(), 224) != 0,
            ),
            Finding(
                "zero padding of 3 extra pixels repairs 224, read as 3 in all",
                "fits",
                f"remainder {window.remainder(_axis(1, 2), 224)}",
                3 in repaired,
            ),
            Finding(
                "zero padding of 3 extra pixels repairs 224, read as P = 3",
                "fits",
                f"remainder {window.remainder(_axis(3, 3), 224)}",
                3 in both_sides,
            ),
        ),
        source=(
            "the notes, section `Real-world example`; A. Krizhevsky, I. Sutskever and G. Hinton "
            "(2012); multiply-adds of the "
            f"layer: {macs(LAYER, IMAGE):,}"
        ),
    )


def _left(axis: Axis, size: object) -> str:
    """What the room of an axis leaves when it is divided by the stride."""
    room = window.slack(axis, size)
    return f"{room} - {STRIDE}*(({room})//{STRIDE})"


def _decided(text: str, letter: str) -> Theorem:
    """letter >= 0 |- what the text says, by one period."""
    return kernel.period(formula(text), letter)


def _shape() -> str:
    depth, height, width = output_shape(LAYER, IMAGE)
    return f"{width}x{height}x{depth}"


def _product() -> int:
    depth, height, width = output_shape(LAYER, IMAGE)
    return int(depth * height * width)


def _check(total: int) -> None:
    walked = oracle.places(224, KERNEL, STRIDE, (0, total))
    equal("outputs", len(walked), window.count(_axis(0, total), 224))
    equal("remainder", 223 + total - walked[-1][-1], window.remainder(_axis(0, total), 224))


_SIZES = Relation(
    "padded 224, walked", "windows walked over 224 padded by T agree", st.integers(0, 60), _check, Rung.EXACT_SAMPLE
)
