"""Pooling by 2x2 with stride 2: what it keeps and what it discards."""

from hypothesis import strategies as st

from convproof.check import Relation, relation
from convproof.check.relations import equal
from convproof.proof import Theorem, derived, kernel
from convproof.proof.algebra import Term
from convproof.report import Equation, Table
from convproof.spec import MaxPool
from convproof.symbolic import FloorDiv, output_shape, symbols, values
from convproof.theory import Claim, Finding, Step, Theory

W, H, C, m, k = symbols("W H C m k")
POOL = MaxPool(2)


def theory() -> Theory:
    kept = values(POOL, (C, H, W))
    return Theory(
        id="pooling",
        order=75,
        title="Pooling by two",
        statement=(
            "2x2 pooling with stride 2 keeps floor(W/2) floor(H/2) of W H values a channel: a "
            "quarter, so that exactly 75% are "
            "discarded, where both sizes are even, and less than a quarter otherwise."
        ),
        equations=(Equation(4 * kept, C * H * W, "<="),),
        hypotheses=(Equation(W, 2, ">="), Equation(H, 2, ">=")),
        witness=(("W", 5), ("H", 4)),
        steps=(
            Step(kept, C * FloorDiv(H, 2) * FloorDiv(W, 2), "one value a window", "values kept"),
            Step(values(POOL, (C, 2 * k, 2 * m)), C * k * m, "both even: a quarter of 2k 2m", "values kept"),
        ),
        claims=(
            Claim("quarter", "Where both sizes are even, four times what is kept is all there was.", _quarter),
            Claim("at-most-a-quarter", "Never more than a quarter is kept.", _at_most, (("W", 5), ("H", 4))),
            Claim("odd-loses", "An odd size loses one position more: W - 2 floor(W/2) is 1 for W = 2m + 1.", _odd),
            Claim("remainder-least", "That remainder is never negative.", lambda: _remainder(">="), (("W", 5),)),
            Claim("remainder-most", "It is never more than 1.", lambda: _remainder("<="), (("W", 5),)),
        ),
        relations=(_KEPT, relation("max pool switches")),
        exhibits=(
            Table(
                "Share of the values that 2x2 pooling with stride 2 discards",
                ("input", "kept", "discarded"),
                tuple((f"{w}x{h}", *_share(w, h)) for w, h in ((4, 4), (224, 224), (5, 4), (5, 5), (7, 7), (3, 3))),
            ),
        ),
        findings=(
            _discards("F=2, S=2 on an even size, 224x224, discards exactly 75%", 224),
            _discards("F=2, S=2 on any size discards exactly 75%, tried at 7x7", 7),
            Finding("224x224x64 pooled by F=2, S=2", "112x112x64", _by_width(), _by_width() == "112x112x64"),
        ),
        source=(
            "the notes, sections `Pooling Layer` and `Layer Sizing Patterns`, which say twice that "
            "exactly 75% are discarded"
        ),
    )


def _share(width: int, height: int) -> tuple[int, str]:
    kept = values(POOL, (1, height, width))
    return kept, f"{1 - kept / (width * height):.2%}"


def _discards(claim: str, size: int) -> Finding:
    _, share = _share(size, size)
    return Finding(claim, "75.00%", share, share == "75.00%")


def _by_width() -> str:
    depth, height, width = output_shape(POOL, (64, 224, 224))
    return f"{width}x{height}x{depth}"


TWO = derived.at_least(2, 1)


def _half(size: Term) -> Term:
    return ("//", size, 2)


def _quarter() -> Theorem:
    """|- 4 ((2m)//2) ((2k)//2) = (2m) (2k)."""
    sizes = [("*", 2, ("v", name)) for name in ("m", "k")]
    halves = [
        derived.floor_is(
            size, TWO, size[2], derived.at_least(size, size), derived.at_least(("+", ("*", 2, size[2]), 2, -1), size)
        )
        for size in sizes
    ]
    goal = ("=", ("*", 4, _half(sizes[0]), _half(sizes[1])), ("*", *sizes))
    # 4 ab - 4 mk = 4 b (a - m) + 4 m (b - k)
    return kernel.certificate(goal, halves, [(("*", 4, _half(sizes[1])), [0]), (("*", 4, ("v", "m")), [1])])


def _at_most() -> Theorem:
    """W >= 0, H >= 0 |- W H >= 4 (W//2) (H//2)."""
    w, h = ("v", "W"), ("v", "H")
    low_w, low_h = kernel.division(w, TWO), kernel.division(h, TWO)
    natural = kernel.assume((">=", h, 0))
    half = kernel.period((">=", _half(w), 0), "W")
    goal = (">=", ("*", w, h), ("*", 4, _half(w), _half(h)))
    # W H - 4 ab = (W - 2a) H + 2a (H - 2b)
    return kernel.certificate(goal, [low_w, natural, half, low_h], [(1, [0, 1]), (2, [2, 3])])


def _odd() -> Theorem:
    """|- (2m + 1) - 2 ((2m + 1)//2) = 1."""
    size = ("+", ("*", 2, ("v", "m")), 1)
    lower = derived.at_least(size, ("*", 2, ("v", "m")))
    upper = derived.at_least(("+", ("*", 2, ("v", "m")), 2, -1), size)
    half = derived.floor_is(size, TWO, ("v", "m"), lower, upper)
    return kernel.certificate(("=", ("+", size, ("*", -2, _half(size))), 1), [half], [(-2, [0])])


def _remainder(sign: str) -> Theorem:
    """W >= 0 |- W - 2 (W//2) >= 0, or 1 >= it: by one period."""
    left = ("+", ("v", "W"), ("*", -2, _half(("v", "W"))))
    return kernel.period((">=", left, 0) if sign == ">=" else (">=", 1, left), "W")


def _check(case: tuple[int, int]) -> None:
    width, height = case
    kept = values(POOL, (1, height, width))
    equal("a quarter", int(4 * kept == width * height), int({width & 1, height & 1} == {0}))
    equal("at most a quarter", int(4 * kept <= width * height), 1)


_KEPT = Relation(
    "quarter kept",
    "a quarter is kept exactly where both sizes are even",
    st.tuples(st.integers(2, 60), st.integers(2, 60)),
    _check,
)
