"""Transposed convolution: its size, the round trip, and that it is the adjoint of convolution."""

from hypothesis import strategies as st

from convproof.check import Relation, relation
from convproof.check.relations import equal
from convproof.proof import Theorem, derived, kernel
from convproof.proof.language import term
from convproof.report import Equation
from convproof.spec import Axis, Conv, ConvTranspose
from convproof.symbolic import output_shape, symbols, window
from convproof.theory import Claim, Step, Theory

W, F, S, P, D, n, r = symbols("W F S P D n r")
AXIS = Axis("F", "S", "P", "P", "D")


def theory() -> Theory:
    size = window.transposed_count(AXIS, n, r)
    return Theory(
        id="transposed-conv",
        order=80,
        title="Transposed convolution",
        statement=(
            "n inputs make S (n - 1) + D (F - 1) + 1 - 2P + r outputs, with output_padding r. "
            "Convolving those back gives n exactly "
            "when r is one of 0, ..., S - 1: the sizes that convolution takes to n."
        ),
        equations=(Equation(symbols("W_2")[0], size),),
        hypotheses=(Equation(S, r + 1, ">="), Equation(n, 1, ">=")),
        witness=(("S", 2), ("r", 1), ("n", 3)),
        steps=(
            Step(
                size,
                S * (n - 1) + D * (F - 1) + 1 - 2 * P + r,
                "one past the last position that window n - 1 reaches",
                "size",
            ),
            Step(window.slack(AXIS, size), S * (n - 1) + r, "so this is the room of a convolution over it", "room"),
        ),
        claims=(
            Claim(
                "round-trip",
                "A convolution over the transposed layer's output has n outputs again, for every "
                "output_padding r below the stride.",
                _round_trip,
                (("S", 2), ("r", 1)),
            ),
            Claim(
                "preimage-least",
                "A size that convolution takes to n is at least the transposed layer's size without output_padding.",
                lambda: _preimage()[0],
                (("S", 2), ("W", 7), ("F", 3), ("P", 0), ("D", 1), ("n", 3)),
            ),
            Claim(
                "preimage-most",
                "And it exceeds it by at most S - 1.",
                lambda: _preimage()[1],
                (("S", 2), ("W", 7), ("F", 3), ("P", 0), ("D", 1), ("n", 3)),
            ),
        ),
        relations=(_SIZES, relation("conv transposed")),
        source="Dumoulin and Visin (2016), relations 8 to 14; PyTorch's `ConvTranspose2d` for output_padding",
    )


STRIDE = ("v", "S")
ONE = (">=", STRIDE, 1)


def _round_trip() -> Theorem:
    """S >= 1, r >= 0, S >= r + 1 |- (room of the transposed size)//S + 1 = n."""
    room = term(window.slack(AXIS, window.transposed_count(AXIS, n, r)))
    stride, low = kernel.assume(ONE), kernel.assume((">=", ("v", "r"), 0))
    high = kernel.assume((">=", STRIDE, ("+", ("v", "r"), 1)))
    before = term(n - 1)
    lower = kernel.certificate((">=", room, ("*", STRIDE, before)), [low], [(1, [0])])
    upper = kernel.certificate((">=", ("+", ("*", STRIDE, before), STRIDE, -1), room), [high], [(1, [0])])
    quotient = derived.floor_is(room, stride, before, lower, upper)
    return kernel.certificate(("=", ("+", ("//", room, STRIDE), 1), ("v", "n")), [quotient], [(1, [0])])


def _preimage() -> tuple[Theorem, Theorem]:
    """S >= 1, (room of W)//S + 1 = n |- W >= the transposed size of n, and that plus S - 1 >= W."""
    room, least = term(window.slack(AXIS, W)), term(window.transposed_count(AXIS, n))
    stride, counted = kernel.assume(ONE), kernel.assume(("=", ("+", ("//", room, STRIDE), 1), ("v", "n")))
    below, above = kernel.division(room, stride), kernel.division(room, stride, upper=True)
    lower = kernel.certificate((">=", term(W), least), [below, counted], [(1, [0]), (STRIDE, [1])])
    most = ("+", least, STRIDE, -1)
    upper = kernel.certificate((">=", most, term(W)), [above, counted], [(1, [0]), (("*", -1, STRIDE), [1])])
    return lower, upper


def _check(case: tuple[int, int, int, int, int]) -> None:
    size, kernel_size, stride, extra, dilation = case
    extra = min(extra, stride - 1)
    (_, up) = output_shape(ConvTranspose(1, kernel_size, stride, 0, extra, dilation=dilation), (1, size))
    (_, down) = output_shape(Conv(1, kernel_size, stride, dilation=dilation), (1, up))
    equal("round trip", down, size)


_SIZES = Relation(
    "there and back",
    "convolving the transposed size gives the size again",
    st.tuples(st.integers(1, 20), st.integers(1, 6), st.integers(1, 5), st.integers(0, 4), st.integers(1, 3)),
    _check,
)
