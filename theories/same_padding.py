"""Same padding: which padding keeps the size."""

from hypothesis import strategies as st

from convproof.check import Relation, oracle
from convproof.check.relations import equal
from convproof.proof import Theorem, kernel
from convproof.proof.language import term
from convproof.report import Equation
from convproof.spec import Axis
from convproof.symbolic import symbols, window
from convproof.theory import Claim, Finding, Step, Theory
from convproof.verdicts import Rung

W, F, P, D = symbols("W F P D")
STRIDE_1 = Axis("F", 1, "P", "P", "D")


def theory() -> Theory:
    grown = window.count(STRIDE_1, W) - W
    return Theory(
        id="same-padding",
        order=30,
        title="Same padding",
        statement=(
            "At stride 1 a layer keeps every size exactly when 2P = D (F - 1); for dense filters, P = (F "
            "- 1)/2 and F odd."
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
        claims=(Claim("same", "At stride 1 the size is kept exactly when 2P = D (F - 1), whatever W.", _same),),
        relations=(_KEPT,),
        findings=(_finding(3, 1), _finding(5, 2)),
        source="the notes, sections `Use of zero-padding` and `Layer Sizing Patterns`",
    )


def _same() -> Theorem:
    """(the number of windows at stride 1 = W) iff (2P = D (F - 1))."""
    room = term(window.slack(STRIDE_1, W))
    kept = ("=", ("+", ("//", room, 1), 1), term(W))
    padded = ("=", term(2 * P), term(D * (F - 1)))
    forward = kernel.certificate(padded, [kernel.assume(kept)], [(1, [0])])
    backward = kernel.certificate(kept, [kernel.assume(padded)], [(1, [0])])
    return kernel.equivalent(forward, backward)


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
