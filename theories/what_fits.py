"""What fits: when a stride leaves no remainder."""

import numpy as np
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.architecture import Axis, Conv, Input, Layer, MaxPool, Network
from convproof.crosscheck import Mismatch, Relation, oracle
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import Formula, Term, substitute
from convproof.proof.language import formula, term
from convproof.report import Equation, Table, Text, Windows
from convproof.symbolic import FloorDiv, SizeSet, symbols, window
from convproof.symbolic.accepted import accepted_sizes
from convproof.verdicts import Rung

W, F, S, P, o = symbols("W F S P o")
AXIS = Axis("F", "S", "P", "P")
DILATED = Axis("F", "S", "P", "P", "D")

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
LAYERS = ((3, 2, 0), (3, 3, 1), (11, 4, 0), (7, 2, 3))
ALEXNET = [Conv(96, 11, 4), MaxPool(3, 2), Conv(256, 5, padding=2), MaxPool(3, 2), MaxPool(3, 2)]


def theory() -> Theory:
    return Theory(
        id="what-fits",
        order=20,
        title="What fits",
        statement=(
            "A stride fits exactly when it divides W - F + 2P; the remainder is how many positions of the padded "
            "input lie beyond the last window. Of any S sizes in a row exactly one fits."
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
            Claim("least", "The remainder is never negative.", _least, (("S", 2),)),
            Claim("most", "The remainder is less than the stride.", _most, (("S", 2),)),
            Claim(
                "divides",
                "Where the stride divides the room, room = S m, the remainder is 0.",
                _divides,
                (("S", 2), ("W", 7), ("F", 3), ("P", 0), ("D", 1), ("m", 2)),
            ),
            Claim("fits", "The remainder is 0 exactly where the room is S times its quotient by S.", _fits),
            Claim(
                "ends",
                "And exactly where the last window ends at the end of the padded input.",
                _ends,
            ),
            Claim("leftover", "The remainder is what lies beyond the last window.", _leftover),
            Claim(
                "reached",
                "Of the windows one ends at the end of the padded input where the remainder is 0, and none does where "
                "it is not.",
                _reached,
                (("S", 2), ("W", 7), ("F", 3), ("P", 0), ("D", 1)),
            ),
            Claim("repeats", "S more input positions leave the same remainder.", _repeats, (("S", 2),)),
            Claim("one-in-s", "Of any S sizes in a row exactly one fits.", _one_in_s, (("S", 2),)),
            *(
                _set_claim(f"set-{f}-{s}-{p}", f"F = {f}, S = {s} and P = {p}", [Conv(1, f, s, p)])
                for f, s, p in LAYERS
            ),
            _set_claim("set-vgg16", "the five pools of VGG16", [MaxPool(2)] * 5),
            _set_claim("set-alexnet", "AlexNet's first two convolutions and its pools", ALEXNET),
        ),
        relations=(_UNREAD, _ROW),
        exhibits=(
            Table(
                "Sizes that fit, decided by one period",
                ("layer", "fits"),
                tuple((f"F={f}, S={s}, P={p}", _fitting([Conv(1, f, s, p)]).shown("W")) for f, s, p in LAYERS),
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


ROOM, COUNT = str(window.slack(DILATED, W)), str(window.count(DILATED, W))
LEFT, LAST = str(window.remainder(DILATED, W)), str(window.position(DILATED, window.count(DILATED, W) - 1, F - 1))
STRIDE = derived.given("S >= 1")


def _least() -> Theorem:
    """S >= 1 |- the remainder >= 0."""
    return derived.follows(formula(f"{LEFT} >= 0"), kernel.division(term(ROOM), STRIDE))


def _most() -> Theorem:
    """S >= 1 |- the remainder <= S - 1."""
    above = kernel.division(term(ROOM), STRIDE, upper=True)
    return derived.follows(formula(f"{LEFT} <= S - 1"), above)


def _divides() -> Theorem:
    """S >= 1, room = S*m |- the remainder = 0."""
    multiple = derived.given(f"{ROOM} = S*m")
    lower = derived.follows(formula(f"{ROOM} >= S*m"), multiple)
    upper = derived.certificate(formula(f"S*m + S - 1 >= {ROOM}"), [multiple, STRIDE], [(-1, [0]), (1, [1])])
    quotient = derived.floor_is(term(ROOM), STRIDE, term("m"), lower, upper)
    return derived.certificate(formula(f"{LEFT} = 0"), [multiple, quotient], [(1, [0]), (term("-S"), [1])])


def _same(f: str, g: str) -> Theorem:
    """|- f iff g, for equations whose sides differ by the same."""
    forward = derived.follows(formula(g), derived.given(f))
    backward = derived.follows(formula(f), derived.given(g))
    return kernel.equivalent(forward, backward)


def _fits() -> Theorem:
    """|- (the remainder = 0) iff (room = S*(room//S))."""
    return _same(f"{LEFT} = 0", f"{ROOM} = S*(({ROOM})//S)")


def _ends() -> Theorem:
    """|- (room = S*(room//S)) iff (the last tap of the last window is W - 1 + P)."""
    return _same(f"{ROOM} = S*(({ROOM})//S)", f"W - 1 + P = {LAST}")


def _leftover() -> Theorem:
    """|- (W - 1 + P) - the last tap of the last window = the remainder."""
    return kernel.identity(term(f"W - 1 + P - ({LAST})"), term(LEFT))


# --- which window ends where the padded input does --------------------------------------------------------------------


def _reached() -> Theorem:
    """S >= 1, room >= 0 |- sum o<count: [the last tap of window o is W - 1 + P] = [the remainder = 0]."""
    ends, fits = term(f"[{window.position(DILATED, o, F - 1)} = W - 1 + P]"), term(f"[{LEFT} = 0]")
    last, windows = term(f"({ROOM})//S"), ("o", 0, term(f"({COUNT}) - 1"))
    some = derived.floor_at_least(term(ROOM), STRIDE, 0, derived.given(f"{ROOM} >= 0"))
    picked = sums.sifted(*windows, fits, some, derived.at_least(windows[2], last))
    each = derived.equals(ends, ("*", fits, term(f"[o = ({ROOM})//S]")), _multiple())
    return derived.equals(sums.nested([windows], ends), fits, sums.under([windows], each), picked)


def _multiple() -> Theorem:
    """S >= 1 |- [room = S*o] = [room = S*(room//S)]*[o = room//S], in three steps, for o = (S*o)//S."""
    multiple = term(f"[{ROOM} = S*o]")
    always = derived.times(multiple, derived.congruence(term("[q = o]"), derived.exact(STRIDE, term("o"))))
    for_room = indicators.moved(term("[q//S = o]"), term(ROOM), term("S*o"))
    for_o = indicators.moved(term(f"[{ROOM} = S*q]"), term(f"({ROOM})//S"), term("o"))
    fits = term(f"[{ROOM} = S*(({ROOM})//S)]*[o = ({ROOM})//S]")
    return derived.equals(multiple, fits, *map(derived.symmetric, (always, for_room, for_o)))


# --- which sizes fit --------------------------------------------------------------------------------------------------


NONEMPTY = derived.follows(formula("S - 1 >= 0"), STRIDE)


def _repeats() -> Theorem:
    """S >= 1 |- the remainder of W + S = the remainder of W."""
    more = str(window.slack(DILATED, W + S))
    later = term(f"{more} - S*(({more})//S)")
    return derived.certificate(("=", later, term(LEFT)), [derived.whole(term(ROOM), STRIDE, 1)], [(term("-S"), [0])])


def _fits_at(room: Term) -> Term:
    """1 where no stride is left over of the room, else 0."""
    return substitute(term("[x - S*(x//S) = 0]"), {"x": room})


def _moved(room: Term, q: Term) -> Theorem:
    """S >= 1 |- [room + S*q fits] = [room fits]."""
    further = ("+", room, ("*", ("v", "S"), q))
    fits = ("is", derived.minus(further, ("*", ("v", "S"), ("v", "q"))), 0)
    same = derived.congruence(fits, derived.whole(room, STRIDE, q))
    return derived.equals(_fits_at(further), _fits_at(room), same)


def _one_in_s() -> Theorem:
    """S >= 1 |- sum r<S: [the remainder of W + r = 0] = 1."""
    row = ("r", 0, term("S - 1"))
    of_rest = kernel.discharge(kernel.instantiate(_in_a_row(), {"a": term(LEFT)}), _least())
    back = _moved(term(f"{ROOM} + r"), term(f"-(({ROOM})//S)"))
    fits = term(f"[{window.remainder(DILATED, W + symbols('r')[0])} = 0]")
    moved = derived.equals(fits, substitute(_fits_at(term("a + r")), {"a": term(LEFT)}), derived.symmetric(back))
    return derived.equals(sums.nested([row], fits), 1, sums.under([row], moved), of_rest)


def _in_a_row() -> Theorem:
    """S >= 1, a >= 0 |- sum r<S: [a + r fits] = 1."""
    row = ("r", 0, term("S - 1"))
    claim = ("=", sums.nested([row], _fits_at(term("a + r"))), 1)
    return kernel.induction(_first_row(claim, row), _next_row(claim, row), "a")


def _first_row(claim: Formula, row: sums.Range) -> Theorem:
    """Of r = 0, ..., S - 1 only 0 fits, since r//S = 0."""
    nothing = derived.quotient(term("r"), STRIDE, 0, derived.given("r >= 0"), derived.given("S - 1 >= r"))
    fits = derived.equals(_fits_at(term("r")), term("[r = 0]"), derived.congruence(term("[r - S*q = 0]"), nothing))
    picked = sums.sifted(*row, 1, derived.at_least(0, 0), NONEMPTY)
    return derived.equals(*substitute(claim, {"a": 0})[1:], sums.under([row], fits), picked)


def _next_row(claim: Formula, row: sums.Range) -> Theorem:
    """The row from a + 1 on has a + S in place of a, and the two fit alike."""
    later = substitute(claim, {"a": term("a + 1")})
    longer = kernel.last_term(later[1], NONEMPTY)
    split = kernel.instantiate(sums.joined("n", "r", derived.at_least(1, 0), claim[1][4]), {"n": term("S - 1")})
    split = kernel.discharge(split, NONEMPTY)
    turned = map(derived.symmetric, (split, sums.unrolled(split.conclusion[2][1])))
    return derived.equals(*later[1:], longer, _moved(term("a"), 1), *turned, kernel.assume(claim))


X = [1, 2, -1, 1, -3]


def _run(stride: int) -> list[int]:
    y = ag.conv(np.array([[X]]), np.array([[[1, 0, -1]]]), stride=stride, padding=1)
    return [int(v) for v in y.numpy()[0, 0]]


def _fitting(layers: list[Layer]) -> SizeSet:
    return accepted_sizes(Network.chain([Input(1, ("W",)), *layers])).exact["W"]


def _set_claim(name: str, words: str, layers: list[Layer]) -> Claim:
    exact = _fitting(layers)
    return Claim(
        name, f"With {words} exactly these sizes fit: {exact.shown('W')}.", lambda: _set(layers, exact), (("W", 227),)
    )


def _set(layers: list[Layer], exact: SizeSet) -> Theorem:
    """W >= 0 |- [every window fits]*[no stride leaves a remainder] = [W is in the set], by one period."""
    size, conditions = W, []
    for layer in layers:
        (axis,) = layer.axes(1)
        left = window.remainder(axis, size)
        conditions += [f"[{window.slack(axis, size)} >= 0]", *([f"[{left} = 0]"] if left != 0 else [])]
        size = window.count(axis, size)
    residues = " + ".join(f"[W - {exact.modulus}*(W//{exact.modulus}) = {r}]" for r in exact.residues)
    return kernel.period(formula(f"{'*'.join(conditions)} = [W >= {exact.start}]*({residues})"), "W")


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


def _check_row(case: tuple[int, Axis]) -> None:
    """Of S sizes in a row, from the first that holds a window on, those whose last window ends at the end."""
    further, axis = case
    first = max(1, window.least(axis)) + further
    pads = axis.before, axis.after
    fitting = [
        size
        for size in range(first, first + axis.stride)
        if oracle.places(size, axis.kernel, axis.stride, pads, axis.dilation)[-1][-1] == size - 1 + axis.after
    ]
    equal("sizes in a row that fit", len(fitting), 1)


_ROW = Relation(
    "one in S fits",
    "of S sizes in a row, walked, one ends with a window",
    st.tuples(
        st.integers(0, 20),
        st.builds(Axis, st.integers(1, 8), st.integers(1, 8), st.integers(0, 4), st.integers(0, 4), st.integers(1, 3)),
    ),
    _check_row,
    Rung.EXACT_SAMPLE,
)
