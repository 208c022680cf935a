"""Transposed convolution: its size, the round trip, and that it is the adjoint of convolution."""

from hypothesis import strategies as st

from convproof.architecture import Axis, Conv, ConvTranspose
from convproof.crosscheck import Relation, oracle, relation
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import Term, substitute
from convproof.proof.language import formula, term
from convproof.report import Equation
from convproof.symbolic import output_shape, symbols, window

W, F, S, P, D, n, r = symbols("W F S P D n r")
AXIS = Axis("F", "S", "P", "P", "D")


def theory() -> Theory:
    size = window.transposed_count(AXIS, n, r)
    return Theory(
        id="transposed-conv",
        order=80,
        title="Transposed convolution",
        statement=(
            "n inputs make S (n - 1) + D (F - 1) + 1 - 2P + r outputs, with output_padding r. Convolving those back "
            "gives n exactly when r is one of 0, ..., S - 1: these are all the sizes that convolution takes to n."
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
            Claim("round-trip-only", "And for no other output_padding r.", _round_trip_only, (("S", 2),)),
            Claim(
                "round-trip-back",
                "The transposed layer takes the number of windows on W back to W, with their remainder for r.",
                _back,
            ),
            Claim(
                "preimage-least",
                "A size that convolution takes to n is at least the transposed layer's size without output_padding.",
                lambda: _preimage()[0],
                SIZES,
            ),
            Claim("preimage-most", "And it exceeds it by at most S - 1.", lambda: _preimage()[1], SIZES),
            Claim("preimage-all", "Convolution takes all of these S sizes to n.", _all_sizes, SIZES),
            Claim("preimage", "So it takes exactly them to n.", _exactly, (("S", 2),)),
        ),
        relations=(_ROUND_TRIP, _PREIMAGE, relation("conv transposed")),
        source="Dumoulin and Visin (2016), relations 8 to 14; PyTorch's `ConvTranspose2d` for output_padding",
    )


SIZES = (("S", 2), ("W", 7), ("F", 3), ("P", 0), ("D", 1), ("n", 3))
STRIDE = derived.given("S >= 1")
ROOM, COUNT, LEAST = str(window.slack(AXIS, W)), str(window.count(AXIS, W)), str(window.transposed_count(AXIS, n))
BACK = f"({window.slack(AXIS, window.transposed_count(AXIS, n, r))})//S + 1"
"""The number of windows on the transposed layer's output."""


def _round_trip() -> Theorem:
    """S >= 1, 0 <= r <= S - 1 |- the number of windows on the transposed size = n."""
    low, high = derived.given("r >= 0"), derived.given("r <= S - 1")
    quotient = derived.quotient(term("S*(n - 1) + r"), STRIDE, term("n - 1"), low, high)
    return derived.equals(term(BACK), term("n"), quotient)


def _round_trip_only() -> Theorem:
    """S >= 1 |- [the number of windows on the transposed size = n] = [0 <= r]*[r <= S - 1]."""
    found = kernel.instantiate(_interval(), {"a": term("S*(n - 1) + r"), "c": term("n - 1")})
    return derived.equals(term(f"[{BACK} = n]"), term("[0 <= r]*[r <= S - 1]"), found)


def _back() -> Theorem:
    """|- the transposed size of the number of windows on W, with their remainder r, = W."""
    size, left = term(str(window.transposed_count(AXIS, n, r))), term(str(window.remainder(AXIS, W)))
    return kernel.identity(substitute(size, {"n": term(COUNT), "r": left}), term("W"))


def _preimage() -> tuple[Theorem, Theorem]:
    """S >= 1, the number of windows on W = n |- W >= the transposed size of n, and that plus S - 1 >= W."""
    below, above = kernel.division(term(ROOM), STRIDE), kernel.division(term(ROOM), STRIDE, upper=True)
    counted = derived.given(f"{COUNT} = n")
    lower = derived.certificate(formula(f"W >= {LEAST}"), [below, counted], [(1, [0]), (term("S"), [1])])
    most = formula(f"W <= {LEAST} + S - 1")
    return lower, derived.certificate(most, [above, counted], [(1, [0]), (term("-S"), [1])])


def _all_sizes() -> Theorem:
    """S >= 1, the transposed size of n <= W <= that plus S - 1 |- the number of windows on W = n."""
    least, most = derived.given(f"W >= {LEAST}"), derived.given(f"W <= {LEAST} + S - 1")
    return derived.equals(term(COUNT), term("n"), derived.quotient(term(ROOM), STRIDE, term("n - 1"), least, most))


def _exactly() -> Theorem:
    """S >= 1 |- [the number of windows on W = n] = [the transposed size of n <= W]*[W <= that plus S - 1]."""
    found = kernel.instantiate(_interval(), {"a": term(ROOM), "c": term("n - 1")})
    return derived.equals(term(f"[{COUNT} = n]"), term(f"[{LEAST} <= W]*[W <= {LEAST} + S - 1]"), found)


def _interval() -> Theorem:
    """S >= 1 |- [a//S = c] = [S*c <= a]*[a <= S*c + S - 1]: each is the product of both."""
    found, inside = term("[a//S = c]"), term("[S*c <= a]*[a <= S*c + S - 1]")
    swapped = indicators.moved(substitute(inside, {"c": term("q")}), term("a//S"), term("c"))
    low, high = (indicators.decided(kernel.division(term("a"), STRIDE, upper)) for upper in (False, True))
    both = ("*", found, inside)
    products = [(1, [0]), (("*", -1, found), [1]), (("*", -1, found, low.conclusion[1]), [2])]
    first = derived.certificate(("=", found, both), [swapped, low, high], products)
    return derived.equals(found, inside, first, _inside(found, inside, both))


def _inside(found: Term, inside: Term, both: Term) -> Theorem:
    """S >= 1 |- both = inside, which is the sum over i = S*c, ..., S*c + S - 1 of [i = a]; there i//S = c."""
    low, high = derived.given("i >= S*c"), derived.given("S*c + S - 1 >= i")
    always = derived.congruence(term("[q = c]"), derived.floor_is(term("i"), STRIDE, term("c"), low, high))
    block = ("i", term("S*c"), term("S*c + S - 1"))
    plain, marked = (kernel.sift(*block, body, term("a")) for body in (1, term("[i//S = c]")))
    one = derived.certificate(
        ("=", plain.conclusion[1][4], marked.conclusion[1][4]), [always], [(term("-[i = a]"), [0])]
    )
    return derived.equals(both, inside, derived.symmetric(marked), derived.symmetric(sums.under([block], one)), plain)


def _check(case: tuple[int, int, int, int, int]) -> None:
    size, kernel_size, stride, extra, dilation = case
    extra = min(extra, stride - 1)
    (_, up) = output_shape(ConvTranspose(1, kernel_size, stride, 0, extra, dilation=dilation), (1, size))
    (_, down) = output_shape(Conv(1, kernel_size, stride, dilation=dilation), (1, up))
    equal("round trip", down, size)


_ROUND_TRIP = Relation(
    "there and back",
    "convolving the transposed size gives the size again",
    st.tuples(st.integers(1, 20), st.integers(1, 6), st.integers(1, 5), st.integers(0, 4), st.integers(1, 3)),
    _check,
)


def _check_preimage(case: tuple[int, int, int, int, int]) -> None:
    outputs, kernel_size, stride, padding, dilation = case
    least = window.transposed_count(Axis(kernel_size, stride, padding, padding, dilation), outputs)
    taken = [
        size
        for size in range(1, least + 2 * stride)
        if len(oracle.places(size, kernel_size, stride, (padding, padding), dilation)) == outputs
    ]
    equal("sizes", taken, list(range(max(1, least), least + stride)))


_PREIMAGE = Relation(
    "preimage",
    "the sizes with n windows, walked, are the transposed size of n and the S - 1 after it",
    st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 5), st.integers(0, 4), st.integers(1, 3)),
    _check_preimage,
)
