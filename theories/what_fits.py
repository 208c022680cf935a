"""What fits: when a stride leaves no remainder."""

import numpy as np
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.check import Mismatch, Relation, oracle
from convproof.proof import Theorem, derived, kernel
from convproof.proof.language import term
from convproof.report import Equation, Table, Text, Windows
from convproof.spec import Axis, Conv, Input, Network
from convproof.symbolic import FloorDiv, SizeSet, size_sets, symbols, window
from convproof.theory import Claim, Finding, Step, Theory
from convproof.verdicts import Rung

W, F, S, P = symbols("W F S P")
AXIS = Axis("F", "S", "P", "P")

# The notes' examples: (W, F, P, S) and the size they print, None where they say that it does not fit.
EXAMPLES = (
    (7, 3, 0, 1, 5),
    (7, 3, 0, 2, 3),
    (5, 3, 1, 1, 5),
    (5, 3, 1, 2, 3),
    (5, 3, 1, 3, None),
    (10, 3, 0, 2, None),
    (11, 5, 0, 2, 4),
)


def theory() -> Theory:
    return Theory(
        id="what-fits",
        order=20,
        title="What fits",
        statement=(
            "A stride fits exactly when it divides W - F + 2P; the remainder is how many positions of"
            " the padded input lie beyond "
            "the last window."
        ),
        equations=(Equation(symbols("r")[0], window.remainder(AXIS, W)),),
        hypotheses=(Equation(W + 2 * P, F, ">="), Equation(S, 1, ">=")),
        witness=(("W", 7), ("F", 3), ("S", 2), ("P", 0)),
        steps=(
            Step(window.slack(AXIS, W), W - F + 2 * P, "what the first window can still move", "room"),
            Step(
                window.remainder(AXIS, W),
                (W - F + 2 * P) - S * FloorDiv(W - F + 2 * P, S),
                "what is left of the room after the last whole stride; 0 exactly when S divides it",
                "r",
            ),
            Step(
                window.position(AXIS, window.count(AXIS, W) - 1, F - 1),
                (W - 1 + P) - window.remainder(AXIS, W),
                "it ends r before the end of the padded input, W - 1 + P",
                "last position that any window reads",
            ),
        ),
        claims=(
            Claim("least", "The remainder is never negative.", lambda: _bounds()[0], (("S", 2),)),
            Claim("most", "The remainder is less than the stride.", lambda: _bounds()[1], (("S", 2),)),
            Claim(
                "divides",
                "Where the stride divides the room, W - F + 2P = S m, the remainder is 0.",
                _divides,
                (("S", 2), ("W", 7), ("F", 3), ("P", 0), ("m", 2)),
            ),
            Claim(
                "fits",
                "Where the remainder is 0, the room is a multiple of the stride.",
                _fits,
                (("S", 2), ("W", 7), ("F", 3), ("P", 0)),
            ),
        ),
        relations=(_UNREAD,),
        exhibits=(
            Table(
                "Sizes that fit, decided by one period",
                ("layer", "fits"),
                tuple(
                    (f"F={f}, S={s}, P={p}", _fitting(f, s, p).shown("W"))
                    for f, s, p in ((3, 2, 0), (3, 3, 1), (11, 4, 0), (7, 2, 3))
                ),
            ),
            *(
                Windows(
                    f"W = 5, F = 3, P = 1, S = {stride}",
                    5,
                    (1, 1),
                    tuple(map(tuple, oracle.places(5, 3, stride, (1, 1)))),
                )
                for stride in (1, 2, 3)
            ),
            Text(
                f"The notes' neuron [1, 0, -1] on x = {X} with P = 1 gives {_run(1)} at stride 1 and "
                f"{_run(2)} at stride 2."
            ),
        ),
        findings=tuple(_finding(*example) for example in EXAMPLES),
        source="the notes, section `Spatial arrangement`, its figure and `Constraints on strides`",
    )


ROOM, STRIDE = term(W - F + 2 * P), ("v", "S")
REMAINDER = ("+", ROOM, ("*", -1, STRIDE, ("//", ROOM, STRIDE)))


def _bounds() -> tuple[Theorem, Theorem]:
    """S >= 1 |- the remainder >= 0, and S - 1 >= the remainder."""
    stride = kernel.assume((">=", STRIDE, 1))
    lower = kernel.certificate((">=", REMAINDER, 0), [kernel.division(ROOM, stride)], [(1, [0])])
    upper = kernel.certificate(
        (">=", ("+", STRIDE, -1), REMAINDER), [kernel.division(ROOM, stride, upper=True)], [(1, [0])]
    )
    return lower, upper


def _divides() -> Theorem:
    """S >= 1, room = S m |- the remainder = 0."""
    stride, multiple = kernel.assume((">=", STRIDE, 1)), kernel.assume(("=", ROOM, ("*", STRIDE, ("v", "m"))))
    product = ("*", STRIDE, ("v", "m"))
    lower = kernel.certificate((">=", ROOM, product), [multiple], [(1, [0])])
    upper = kernel.certificate((">=", ("+", product, STRIDE, -1), ROOM), [multiple, stride], [(-1, [0]), (1, [1])])
    quotient = derived.floor_is(ROOM, stride, ("v", "m"), lower, upper)
    return kernel.certificate(("=", REMAINDER, 0), [multiple, quotient], [(1, [0]), (("*", -1, STRIDE), [1])])


def _fits() -> Theorem:
    """The remainder = 0 |- room = S (room // S)."""
    none = kernel.assume(("=", REMAINDER, 0))
    return kernel.certificate(("=", ROOM, ("*", STRIDE, ("//", ROOM, STRIDE))), [none], [(1, [0])])


X = [1, 2, -1, 1, -3]


def _run(stride: int) -> list[int]:
    y = ag.conv(np.array([[X]]), np.array([[[1, 0, -1]]]), stride=stride, padding=1)
    return [int(v) for v in y.numpy()[0, 0]]


def _fitting(kernel: int, stride: int, padding: int) -> SizeSet:
    _, exact = size_sets(Network.chain([Input(1, ("W",)), Conv(1, kernel, stride, padding)]), 0)
    return exact


def _finding(size: int, kernel: int, padding: int, stride: int, printed: int | None) -> Finding:
    axis = Axis(kernel, stride, padding, padding)
    count, left = window.count(axis, size), window.remainder(axis, size)
    return Finding(
        f"W = {size}, F = {kernel}, P = {padding}, S = {stride}",
        "does not fit" if printed is None else str(printed),
        f"{count}, remainder {left}",
        left != 0 if printed is None else (count, left) == (printed, 0),
    )


def _check(case: tuple[int, Axis]) -> None:
    """The gradient's support ends where the remainder says, for an image that is all inside (no padding)."""
    size, axis = case
    if window.slack(axis, size) < 0:
        return
    x = ag.tensor(np.ones((1, 1, size)))
    y = ag.conv(x, np.ones((1, 1, axis.kernel)), stride=axis.stride)
    (gradient,) = ag.grad(y, [x], np.ones(y.shape))
    unread = size - 1 - int(np.flatnonzero(gradient.numpy())[-1])
    if unread != window.remainder(axis, size):
        raise Mismatch(
            f"{unread} positions at the end have no gradient, the formula says {window.remainder(axis, size)}"
        )


_UNREAD = Relation(
    "unread positions",
    "the remainder = the input positions at the end whose gradient is 0",
    st.tuples(st.integers(1, 40), st.builds(Axis, kernel=st.integers(1, 8), stride=st.integers(1, 8))),
    _check,
    Rung.EXACT_SAMPLE,
)
