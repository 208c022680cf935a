"""Output size: how many windows fit along an axis."""

from hypothesis import strategies as st

from convproof.check import Relation, oracle, relation
from convproof.check.relations import equal
from convproof.proof import Theorem, kernel
from convproof.proof.language import term
from convproof.report import Equation, Windows
from convproof.spec import Axis
from convproof.symbolic import FloorDiv, symbols, window
from convproof.theory import Claim, Step, Theory
from convproof.verdicts import Rung

W, F, S, P, D, o = symbols("W F S P D o")
AXIS = Axis("F", "S", "P", "P", "D")
DENSE = Axis("F", "S", "P", "P")


def theory() -> Theory:
    return Theory(
        id="output-size",
        order=10,
        title="Output size",
        statement=(
            "A window layer with kernel F, stride S, padding P on both sides and dilation D makes W_2 "
            "outputs of W inputs."
        ),
        equations=(Equation(symbols("W_2")[0], window.count(AXIS, W)),),
        hypotheses=(Equation(W + 2 * P, D * (F - 1) + 1, ">="), Equation(S, 1, ">=")),
        witness=(("W", 7), ("F", 3), ("S", 2), ("P", 0), ("D", 1)),
        steps=(
            Step(
                window.position(AXIS, o, F - 1),
                S * o + D * (F - 1) - P,
                "the window law at o and the last tap, F - 1",
                "last position that window o reads",
            ),
            Step(
                window.slack(AXIS, W),
                (W - 1 + P) - (D * (F - 1) - P),
                "that position must not pass W - 1 + P",
                "largest value that S o may take",
            ),
            Step(
                window.count(AXIS, W),
                FloorDiv(W + 2 * P - D * (F - 1) - 1, S) + 1,
                "o runs from 0 to the floor of that over S: one value more than its largest",
                "number of windows",
            ),
            Step(
                window.count(DENSE, W),
                FloorDiv(W - F + 2 * P, S) + 1,
                "the notes' formula, rounded down",
                "number of windows of dense filters, D = 1",
            ),
        ),
        claims=(
            Claim(
                "count",
                "Window o lies within the padded input exactly when o is less than the number of windows.",
                _count,
                (("S", 2),),
            ),
            Claim(
                "monotone",
                "One more input position never makes fewer windows.",
                _monotone,
                (("S", 2),),
            ),
        ),
        relations=(_WALKED, relation("conv extents"), relation("pool extents")),
        exhibits=(
            Windows("W = 7, F = 3, S = 2, P = 0: three windows", 7, (0, 0), _windows(7, 3, 2, 0)),
            Windows("W = 5, F = 3, S = 2, P = 1: three windows", 5, (1, 1), _windows(5, 3, 2, 1)),
        ),
        source="the notes, sections `Spatial arrangement` and `Summary`; Dumoulin and Visin (2016), relations 1 to 6",
    )


ROOM = term(window.slack(AXIS, W))
POSITIVE = ("v", "S"), 1


def _count() -> Theorem:
    """S >= 1 |- (W - 1 + P >= the last tap of window o) iff (the number of windows >= o + 1)."""
    stride = kernel.assume((">=", *POSITIVE))
    fits = (">=", term(W - 1 + P), term(window.position(AXIS, o, F - 1)))
    counts = (">=", ("+", ("//", ROOM, ("v", "S")), 1), term(o + 1))
    lower, upper = kernel.division(ROOM, stride), kernel.division(ROOM, stride, upper=True)
    down = kernel.certificate(fits, [lower, stride, kernel.assume(counts)], [(1, [0]), (1, [1, 2]), (1, [2])])
    premises = [upper, kernel.assume(fits), stride]
    up = kernel.certificate(counts, premises, [(1, [0]), (1, [1]), (1, [2, 3]), (1, [3])], refute=True)
    return kernel.equivalent(up, down)


def _monotone() -> Theorem:
    """S >= 1 |- the windows of W + 1 >= the windows of W."""
    stride = kernel.assume((">=", *POSITIVE))
    more = term(window.slack(AXIS, W + 1))
    lower, upper = kernel.division(ROOM, stride), kernel.division(more, stride, upper=True)
    goal = (">=", ("+", ("//", more, ("v", "S")), 1), ("+", ("//", ROOM, ("v", "S")), 1))
    return kernel.certificate(goal, [lower, upper, stride], [(1, [0]), (1, [1]), (1, [2, 3]), (1, [3])], 2, refute=True)


def _windows(size: int, kernel: int, stride: int, padding: int) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(window) for window in oracle.places(size, kernel, stride, (padding, padding)))


def _check(case: tuple[int, Axis]) -> None:
    size, axis = case
    walked = oracle.places(size, axis.kernel, axis.stride, (axis.before, axis.after), axis.dilation)
    if window.slack(axis, size) >= 0:
        equal("windows", window.count(axis, size), len(walked))
    else:
        equal("windows", 0, len(walked))


_AXES = st.builds(
    Axis,
    kernel=st.integers(1, 12),
    stride=st.integers(1, 9),
    before=st.integers(0, 6),
    after=st.integers(0, 6),
    dilation=st.integers(1, 5),
)
_WALKED = Relation(
    "windows walked",
    "the formula = the windows counted one by one",
    st.tuples(st.integers(1, 60), _AXES),
    _check,
    Rung.EXACT_SAMPLE,
)
