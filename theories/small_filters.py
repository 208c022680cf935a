"""Three 3x3 layers against one 7x7 layer."""

import numpy as np
from hypothesis import strategies as st

from convproof import execute
from convproof.architecture import Conv, Input, Network
from convproof.crosscheck import Relation
from convproof.crosscheck.relations import equal, network_extents, network_field, network_parameters
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, kernel
from convproof.proof.algebra import Formula, substitute
from convproof.proof.language import formula, term
from convproof.report import Equation, Table
from convproof.symbolic import Field, analyze, receptive_field, symbols, values, weights
from convproof.symbolic.costs import parameters

C, W, N, k, K = symbols("C W N k K")
SMALL, LARGE = Conv("C", 3, padding=1), Conv("C", 7, padding=3)
X = (C, W, W)
STACK = N * weights(Conv("C", "k"), X)
SINGLE_SIDE = N * (k - 1) + 1
SINGLE = weights(Conv("C", "K"), X).xreplace({K: SINGLE_SIDE})
"""N layers of k x k, and one layer that sees as much."""


def theory() -> Theory:
    stack = analyze(Network.chain([Input("C", ("W", "W")), SMALL, SMALL, SMALL])).rows[-1]
    single = analyze(Network.chain([Input("C", ("W", "W")), LARGE])).rows[-1]
    return Theory(
        id="small-filters",
        order=60,
        title="Three 3x3 layers against one 7x7 layer",
        statement=(
            "With C channels throughout, both see 7x7; the stack has 27 C^2 weights, the single layer 49 C^2. In "
            "general N layers of k x k have fewer weights than one that sees as much exactly where N and k are at "
            "least 2."
        ),
        equations=(Equation(3 * weights(SMALL, X), weights(LARGE, X), "<"),),
        hypotheses=(Equation(C, 1, ">="), Equation(W, 1, ">=")),
        witness=(("C", 64), ("W", 224)),
        steps=(
            Step(stack.receptive_field[0], single.receptive_field[0], "the same receptive field", "field of the stack"),
            Step(3 * weights(SMALL, X), 27 * C**2, "three times C filters of 3 x 3 x C", "weights of the stack"),
            Step(weights(LARGE, X), 49 * C**2, "C filters of 7 x 7 x C", "weights of the 7x7 layer"),
            Step(
                weights(LARGE, X) - 3 * weights(SMALL, X),
                22 * C**2,
                "the stack saves 22 C^2, which is positive",
                "weights saved",
            ),
            Step(
                parameters(LARGE, X) - 3 * parameters(SMALL, X),
                22 * C * (C - 1) + 20 * C,
                "with biases (3C against C) it saves 22 C^2 - 2C, still positive for every C from 1 on",
                "parameters saved",
            ),
            Step(
                3 * values(SMALL, X) - values(LARGE, X),
                2 * C * W**2,
                "and it keeps 2 C W^2 more activation values",
                "values more",
            ),
        ),
        claims=(
            Claim(
                "same-field",
                "N layers of k x k see N (k - 1) + 1, as much as one layer of that size: three of 3x3 see 7x7.",
                _same_field,
                (("N", 3), ("k", 3), ("r", term("1 + 2*k"))),
            ),
            Claim("smaller", "Three 3x3 layers have fewer weights than one 7x7 layer.", _smaller, (("C", 64),)),
            Claim(
                "stack-difference",
                "A k x k layer N times against one of N (k - 1) + 1, both of which see as much: the single layer has "
                "(N - 1) (N (k - 1)^2 - 1) C^2 weights more.",
                _difference,
            ),
            Claim(
                "stack-never-larger",
                "So from k = 2 on the stack never has more weights.",
                _never_larger,
                (("N", 3), ("k", 3), ("C", 64)),
            ),
            Claim(
                "stack-smaller",
                "The stack has fewer weights exactly where it has two layers at least, and k is 2 at least.",
                _exactly_smaller,
                (("N", 3), ("k", 3), ("C", 64)),
            ),
            Claim("smaller-with-biases", "They have fewer parameters too, biases counted.", _with_biases, (("C", 64),)),
        ),
        relations=(_BOTH,),
        exhibits=(
            Table(
                "Weights for C channels",
                ("C", "three 3x3", "one 7x7"),
                tuple(
                    (c, *(int(e.subs(C, c)) for e in (3 * weights(SMALL, X), weights(LARGE, X))))
                    for c in (1, 3, 64, 256, 512)
                ),
            ),
        ),
        findings=(
            Finding("weights of the 7x7 layer", "49 C^2", weights(LARGE, X), weights(LARGE, X) == 49 * C**2),
            Finding(
                "weights of the three 3x3 layers", "27 C^2", 3 * weights(SMALL, X), 3 * weights(SMALL, X) == 27 * C**2
            ),
        ),
        source="the notes, section `Layer Patterns`",
    )


CHANNELS, LAYERS, SIDE = (derived.given(f) for f in ("C >= 1", "N >= 1", "k >= 1"))
SQUARE = derived.positive_product(CHANNELS, CHANNELS)
NATURAL_SQUARE = derived.natural(SQUARE)


def _same_field() -> Theorem:
    """r(0) = 1, for all i: r(i + 1) = r(i) + k - 1, N >= 0 |- r(N) = N (k - 1) + 1, by induction."""
    (above,) = receptive_field(Conv(1, "k"), [(Field(*symbols("r")),)], [(1, 1)])
    wider = ("all", "i", ("=", term("r(i + 1)"), substitute(term(str(above.size)), {"r": term("r(i)")})))
    claim = derived.given(f"r(N) = {SINGLE_SIDE}")
    base = [derived.given(f"r(0) = {Field().size}")], [(1, [0])]
    step = [kernel.specialize(kernel.assume(wider), term("N")), claim], [(1, [0]), (1, [1])]
    return derived.by_induction(claim.conclusion, "N", base, step)


def _smaller() -> Theorem:
    """C >= 1 |- the 7x7 layer's weights >= three times the 3x3 layer's + 1; 22 C^2 - 1 = 22 (C-1)^2 + 44 (C-1) + 21."""
    goal = (">=", term(weights(LARGE, X)), ("+", term(3 * weights(SMALL, X)), 1))
    return derived.certificate(goal, [CHANNELS], [(22, [0, 0]), (44, [0]), (21, [])])


def _with_biases() -> Theorem:
    """The same for parameters: 22 C^2 - 2 C - 1 = 22 (C-1)^2 + 42 (C-1) + 19."""
    goal = (">=", term(parameters(LARGE, X)), ("+", term(3 * parameters(SMALL, X)), 1))
    return derived.certificate(goal, [CHANNELS], [(22, [0, 0]), (42, [0]), (19, [])])


def _difference() -> Theorem:
    """|- (N (k-1) + 1)^2 C^2 - N k^2 C^2 = (N - 1) (N (k-1)^2 - 1) C^2."""
    return kernel.identity(derived.minus(term(SINGLE), term(STACK)), term("(N - 1)*(N*(k - 1)^2 - 1)*C^2"))


def _never_larger() -> Theorem:
    """N >= 1, k >= 2, C >= 1 |- (N (k-1) + 1)^2 C^2 >= N k^2 C^2.

    With p = N - 1 and q = k - 2 it is more by (p^2 (q+1)^2 + p q^2 + 2 p q) C^2.
    """
    premises = [LAYERS, derived.given("k >= 2"), NATURAL_SQUARE]
    products = [(1, [0, 0, 1, 1, 2]), (2, [0, 0, 1, 2]), (1, [0, 0, 2]), (1, [0, 1, 1, 2]), (2, [0, 1, 2])]
    return derived.certificate((">=", term(SINGLE), term(STACK)), premises, products)


def _exactly_smaller() -> Theorem:
    """N, k, C >= 1 |- (N k^2 C^2 + 1 <= (N (k-1) + 1)^2 C^2) iff ((N - 1) (k - 1) >= 1)."""
    fewer = kernel.assume((">=", term(SINGLE), ("+", term(STACK), 1)))
    several = derived.given("(N - 1)*(k - 1) >= 1")
    return kernel.equivalent(_several(fewer, several.conclusion), _fewer(several, fewer.conclusion))


def _several(fewer: Theorem, goal: Formula) -> Theorem:
    """With n = N - 1 and m = k - 1, (n^2 m^2 + n m^2 - n) C^2 >= 1 contradicts 0 >= n m."""
    premises = [fewer, LAYERS, SIDE, NATURAL_SQUARE]
    products = [(1, [0]), (1, [4, 1, 2, 3]), (1, [4, 2, 3]), (1, [1, 3])]
    return derived.certificate(goal, premises, products, refute=True)


def _fewer(several: Theorem, goal: Formula) -> Theorem:
    """With w = n m - 1 and q = m - 1, not negative either, n^2 m^2 + n m^2 - n is w^2 + 2 w + n q^2 + 2 n q + 1."""
    two = derived.certificate(formula("k - 1 >= 1"), [several, LAYERS], [(1, [0]), (1, [1, 2])], refute=True)
    premises = [several, LAYERS, two, NATURAL_SQUARE, SQUARE]
    products = [(1, [0, 0, 3]), (2, [0, 3]), (1, [1, 2, 2, 3]), (2, [1, 2, 3]), (1, [4])]
    return derived.certificate(goal, premises, products)


def _stack_and_single(channels: int, size: int) -> tuple[Network, Network]:
    image = Input(channels, (size, size))
    small, large = Conv(channels, 3, padding=1), Conv(channels, 7, padding=3)
    return Network.chain([image, small, small, small]), Network.chain([image, large])


def _check(case: tuple[int, int]) -> None:
    channels, size = case
    for net, factor in zip(_stack_and_single(channels, size), (27, 49), strict=True):
        network_extents(net)
        network_parameters(net)
        network_field(net)
        _, used = execute.run(net, np.ones((1, channels, size, size)), draw=np.ones)
        equal("weights", sum(fields["weight"].numpy().size for fields in used.values()), factor * channels**2)


_BOTH = Relation(
    "stack and single",
    "both networks, run: their extents, counted weights (27 C^2 and 49 C^2) and fields = the derived ones",
    st.tuples(st.integers(1, 5), st.integers(1, 9)),
    _check,
)
