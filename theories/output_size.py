"""Output size: how many windows fit along an axis."""

from hypothesis import strategies as st

from convproof.architecture import Axis
from convproof.crosscheck import Relation, oracle, relation
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import substitute
from convproof.proof.language import formula, term
from convproof.report import Equation, Windows
from convproof.symbolic import FloorDiv, symbols, window
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
                "cardinality",
                "Of the window positions o = 0, 1, ..., counted up to any bound B that is no less, exactly as many lie "
                "within the padded input.",
                _cardinality,
                (("S", 2), ("W", 7), ("F", 3), ("P", 0), ("D", 1), ("B", 5)),
            ),
            Claim(
                "monotone",
                "More input positions never make fewer windows.",
                _monotone,
                (("S", 2), ("m", 1)),
            ),
            Claim("one-more", "S more input positions make exactly one more window.", _one_more, (("S", 2),)),
        ),
        relations=(_WALKED, relation("conv extents"), relation("pool extents")),
        exhibits=(
            Windows("W = 7, F = 3, S = 2, P = 0: three windows", 7, (0, 0), _windows(7, 3, 2, 0)),
            Windows("W = 5, F = 3, S = 2, P = 1: three windows", 5, (1, 1), _windows(5, 3, 2, 1)),
        ),
        source="the notes, sections `Spatial arrangement` and `Summary`; Dumoulin and Visin (2016), relations 1 to 6",
    )


ROOM, COUNT = str(window.slack(AXIS, W)), str(window.count(AXIS, W))
INSIDE = f"{window.position(AXIS, o, F - 1)} <= W - 1 + P"
STRIDE = derived.given("S >= 1")


def _count() -> Theorem:
    """S >= 1 |- (the last tap of window o is at most W - 1 + P) iff (o is less than the number of windows)."""
    inside, counted = derived.given(INSIDE), derived.given(f"o + 1 <= {COUNT}")
    return kernel.equivalent(_counted(inside), _inside(counted))


def _counted(inside: Theorem) -> Theorem:
    """S >= 1, window o lies inside |- o + 1 <= the number of windows."""
    return derived.follows(formula(f"o + 1 <= {COUNT}"), derived.floor_at_least(term(ROOM), STRIDE, term("o"), inside))


def _inside(counted: Theorem) -> Theorem:
    """S >= 1, o + 1 <= the number of windows |- window o lies inside."""
    below = kernel.division(term(ROOM), STRIDE)
    return derived.certificate(formula(INSIDE), [below, STRIDE, counted], [(1, [0]), (1, [1, 2]), (1, [2])])


def _cardinality() -> Theorem:
    """S >= 1, count >= 0, B >= count |- sum o<B: [window o lies inside] = count."""
    some, rest = derived.given(f"{COUNT} >= 0"), f"B - ({COUNT})"
    more = derived.follows(formula(f"{rest} >= 0"), derived.given(f"B >= {COUNT}"))
    split = kernel.instantiate(sums.joined("n", "o", some, term(f"[{INSIDE}]")), {"n": term(rest)})
    ones = sums.under([("o", 0, term(f"{COUNT} - 1"))], _one())
    nothing = sums.under([("o", 0, term(f"{rest} - 1"))], _zero())
    whole = kernel.discharge(split, more)
    return derived.equals(term(f"sum o<B: [{INSIDE}]"), term(COUNT), whole, ones, sums.counted_box(some), nothing)


def _one() -> Theorem:
    """S >= 1, count - 1 >= o |- [window o lies inside] = 1."""
    below = derived.given(f"o <= {COUNT} - 1")
    return indicators.decided(_inside(derived.follows(formula(f"o + 1 <= {COUNT}"), below)))


def _zero() -> Theorem:
    """S >= 1, o >= 0 |- [window count + o lies inside] = 0."""
    _, end, last = substitute(formula(INSIDE), {"o": term(f"{COUNT} + o")})
    above = kernel.division(term(ROOM), STRIDE, upper=True)
    products = [(1, [0]), (1, [1, 2]), (1, [2]), (1, [])]
    outside = derived.certificate((">", last, end), [above, STRIDE, derived.given("o >= 0")], products)
    return indicators.decided(outside)


def _monotone() -> Theorem:
    """S >= 1, m >= 0 |- the windows of W + m >= the windows of W."""
    more = W + symbols("m")[0]
    below = kernel.division(term(ROOM), STRIDE)
    above = kernel.division(term(str(window.slack(AXIS, more))), STRIDE, upper=True)
    goal = formula(f"{window.count(AXIS, more)} >= {COUNT}")
    refuted = [(1, [0]), (1, [1]), (1, [2, 4]), (1, [4]), (1, [3])]
    return derived.certificate(goal, [below, above, STRIDE, derived.given("m >= 0")], refuted, refute=True)


def _one_more() -> Theorem:
    """S >= 1 |- the windows of W + S = the windows of W + 1."""
    more = term(f"({window.slack(AXIS, W + S)})//S + 1")
    return derived.equals(more, term(f"{COUNT} + 1"), derived.whole(term(ROOM), STRIDE, 1))


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
