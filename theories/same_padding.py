"""Same padding: which padding keeps the size."""

from hypothesis import strategies as st

from convproof.architecture import Axis
from convproof.crosscheck import Relation, oracle
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, kernel
from convproof.proof.language import formula, term
from convproof.report import Equation
from convproof.symbolic import symbols, window
from convproof.verdicts import Rung

W, F, P, D = symbols("W F P D")
STRIDE_1, AXIS = Axis("F", 1, "P", "P", "D"), Axis("F", "S", "P", "P", "D")


def theory() -> Theory:
    grown = window.count(STRIDE_1, W) - W
    return Theory(
        id="same-padding",
        order=30,
        title="Same padding",
        statement=(
            "At stride 1 a layer keeps every size exactly when 2P = D (F - 1); for dense filters, P = (F - 1)/2 and "
            "F odd. With that padding, and no other, stride S takes every size W to W/S rounded up."
        ),
        equations=(Equation(2 * P, D * (F - 1)),),
        hypotheses=(Equation(W + 2 * P, D * (F - 1) + 1, ">="),),
        witness=(("W", 5), ("F", 3), ("P", 1), ("D", 1)),
        steps=(
            Step(grown, 2 * P - D * (F - 1), "it does not depend on W", "what the layer adds to the size"),
            Step(
                window.count(Axis(2 * P + 1, 1, P, P), W),
                W,
                "with F = 2P + 1, that is P = (F - 1)/2, nothing is added",
                "size for odd F",
            ),
            Step(
                window.count(Axis(2 * P + 2, 1, P, P), W),
                W - 1,
                "with F = 2P + 2 one position is lost, and a larger P adds two: no P serves an even F",
                "size for even F",
            ),
        ),
        claims=(
            Claim("same", "At stride 1 the size is kept exactly when 2P = D (F - 1), whatever W.", _same),
            Claim(
                "odd",
                "Where D (F - 1) is odd, as for an even dense filter, the size changes by an odd number, whatever the "
                "padding on both sides: it is never kept.",
                _odd,
                (("F", 4), ("D", 1), ("m", 1)),
            ),
            Claim(
                "same-strided",
                "With that padding, stride S takes every size W to W/S rounded up.",
                _strided,
                (("S", 2), ("F", 3), ("P", 1), ("D", 1)),
            ),
            Claim(
                "same-strided-only",
                "And a layer that takes every size W to W/S rounded up has that padding.",
                _strided_only,
                (("S", 1), ("F", 3), ("P", 1), ("D", 1)),
            ),
        ),
        relations=(_KEPT, _DIVIDED),
        findings=(_finding(3, 1), _finding(5, 2)),
        source="the notes, sections `Use of zero-padding` and `Layer Sizing Patterns`",
    )


PADDED = derived.given("2*P = D*(F - 1)")
STRIDE = derived.given("S >= 1")
ROOM = str(window.slack(AXIS, W))
ROUNDED_UP = f"{window.count(AXIS, W)} = (W + S - 1)//S"


def _same() -> Theorem:
    """|- (the number of windows at stride 1 = W) iff (2P = D (F - 1))."""
    kept = formula(f"{window.count(STRIDE_1, W)} = W")
    forward = derived.follows(PADDED.conclusion, kernel.assume(kept))
    return kernel.equivalent(forward, derived.follows(kept, PADDED))


def _odd() -> Theorem:
    """D (F - 1) = 2m + 1 |- grown - 2*(grown//2) = 1 for what is added to the size at stride 1."""
    grown = str(window.count(STRIDE_1, W) - W)
    odd, two = derived.given("D*(F - 1) = 2*m + 1"), derived.at_least(2, 1)
    lower = derived.certificate(formula(f"{grown} >= 2*(P - m - 1)"), [odd], [(-1, [0]), (1, [])])
    upper = derived.follows(formula(f"2*(P - m - 1) + 2 - 1 >= {grown}"), odd)
    half = derived.floor_is(term(grown), two, term("P - m - 1"), lower, upper)
    return derived.certificate(formula(f"{grown} - 2*(({grown})//2) = 1"), [odd, half], [(-1, [0]), (-2, [1])])


def _strided() -> Theorem:
    """S >= 1, 2P = D (F - 1) |- the number of windows = (W + S - 1)//S."""
    counted = derived.whole(term(ROOM), STRIDE, 1)
    inside = derived.follows(("=", counted.conclusion[1][1], term("W + S - 1")), PADDED)
    return derived.equals(*formula(ROUNDED_UP)[1:], derived.symmetric(kernel.rewrite(counted, inside)))


def _strided_only() -> Theorem:
    """S >= 1, for all W: the number of windows = (W + S - 1)//S |- 2P = D (F - 1)."""
    one, none = _at_room(0), _at_room(-1)
    least = kernel.division(one.conclusion[2][1], STRIDE)
    most = kernel.division(none.conclusion[2][1], STRIDE, upper=True)
    above = derived.certificate(formula("2*P >= D*(F - 1)"), [most, none], [(1, [0]), (term("S"), [1])])
    below = derived.certificate(formula("D*(F - 1) >= 2*P"), [least, one], [(1, [0]), (term("-S"), [1])])
    return kernel.antisymmetry(above, below)


def _at_room(room: int) -> Theorem:
    """As above, at the W with room 0 or -1: room + 1 = (W + S - 1)//S, since room//S = room."""
    every = kernel.assume(("all", "W", formula(ROUNDED_UP)))
    here = kernel.specialize(every, term(f"W - {-room} - ({ROOM})"))
    low = derived.certificate((">=", room, ("*", ("v", "S"), room)), [STRIDE], [(-room, [0])])
    top = ("+", ("*", ("v", "S"), room), ("v", "S"), -1)
    high = derived.certificate((">=", top, room), [STRIDE], [(room + 1, [0])])
    quotient = derived.floor_is(room, STRIDE, room, low, high)
    return derived.equals(room + 1, here.conclusion[2], derived.symmetric(quotient), here)


def _finding(kernel: int, padding: int) -> Finding:
    size = window.count(Axis(kernel, 1, padding, padding), W)
    return Finding(f"F = {kernel} with P = {padding} keeps the size", "W", size, size == W)


def _check(case: tuple[int, int, int, int]) -> None:
    size, kernel, padding, dilation = case
    walked = len(oracle.places(size, kernel, 1, (padding, padding), dilation))
    equal("size kept", int(walked == size), int(2 * padding == dilation * (kernel - 1)))


_KEPT = Relation(
    "size kept",
    "windows walked one by one are W in number exactly when 2P = D (F - 1)",
    st.tuples(st.integers(1, 30), st.integers(1, 9), st.integers(0, 9), st.integers(1, 4)),
    _check,
    Rung.EXACT_SAMPLE,
)


def _check_divided(case: tuple[int, int, int, int]) -> None:
    kernel, padding, dilation, stride = case
    sizes = range(1, 2 * stride + dilation * kernel)
    walked = [len(oracle.places(size, kernel, stride, (padding, padding), dilation)) for size in sizes]
    divided = walked == [-(-size // stride) for size in sizes]
    equal("size divided", int(divided), int(2 * padding == dilation * (kernel - 1)))


_DIVIDED = Relation(
    "size divided",
    "windows walked one by one are W/S, rounded up, in number for every W exactly when 2P = D (F - 1)",
    st.tuples(st.integers(1, 9), st.integers(0, 9), st.integers(1, 4), st.integers(1, 5)),
    _check_divided,
    Rung.EXACT_SAMPLE,
)
