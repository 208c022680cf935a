"""Three 3x3 layers against one 7x7 layer."""

import numpy as np
from hypothesis import strategies as st

from convproof import lower
from convproof.check import Relation
from convproof.check.relations import equal, network_extents, network_field, network_parameters
from convproof.proof import Theorem, kernel
from convproof.proof.language import term
from convproof.report import Equation, Table
from convproof.spec import Conv, Input, Network
from convproof.symbolic import analyze, symbols, values, weights
from convproof.symbolic.costs import parameters
from convproof.theory import Claim, Finding, Step, Theory

C, W = symbols("C W")
SMALL, LARGE = Conv("C", 3, padding=1), Conv("C", 7, padding=3)
X = (C, W, W)


def theory() -> Theory:
    stack = analyze(Network.chain([Input("C", ("W", "W")), SMALL, SMALL, SMALL])).rows[-1]
    single = analyze(Network.chain([Input("C", ("W", "W")), LARGE])).rows[-1]
    return Theory(
        id="small-filters",
        order=60,
        title="Three 3x3 layers against one 7x7 layer",
        statement="With C channels throughout, both see 7x7; the stack has 27 C^2 weights, the single layer 49 C^2.",
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
            Claim("smaller", "Three 3x3 layers have fewer weights than one 7x7 layer.", _smaller, (("C", 64),)),
            Claim(
                "stack-difference",
                "A k x k layer N times against one of N (k - 1) + 1, a channel pair: the single layer"
                " has (N - 1) (N (k - 1)^2 - 1) "
                "weights more.",
                _difference,
            ),
            Claim(
                "stack-never-larger",
                "So from k = 2 on the stack never has more weights.",
                _never_larger,
                (("N", 3), ("k", 3)),
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


ONE_CHANNEL = (">=", ("v", "C"), 1)


DEPTH, SIDE = ("v", "N"), ("v", "k")
REACH = ("+", ("*", DEPTH, ("+", SIDE, -1)), 1)
SINGLE, STACK = ("*", REACH, REACH), ("*", DEPTH, SIDE, SIDE)


def _difference() -> Theorem:
    """|- (N (k-1) + 1)^2 - N k^2 = (N - 1) (N (k-1)^2 - 1)."""
    squared = ("*", DEPTH, ("+", SIDE, -1), ("+", SIDE, -1))
    return kernel.identity(("+", SINGLE, ("*", -1, STACK)), ("*", ("+", DEPTH, -1), ("+", squared, -1)))


def _never_larger() -> Theorem:
    """N >= 1, k >= 2 |- (N (k-1) + 1)^2 >= N k^2, in p = N - 1 and q = k - 2: p^2 (q + 1)^2 + p q^2 + 2 p q."""
    premises = [kernel.assume((">=", DEPTH, 1)), kernel.assume((">=", SIDE, 2))]
    products = [(1, [0, 0, 1, 1]), (2, [0, 0, 1]), (1, [0, 0]), (1, [0, 1, 1]), (2, [0, 1])]
    return kernel.certificate((">=", SINGLE, STACK), premises, products)


def _smaller() -> Theorem:
    """C >= 1 |- the 7x7 layer's weights >= three times the 3x3 layer's + 1; 22 C^2 - 1 = 22 (C-1)^2 + 44 (C-1) + 21."""
    goal = (">=", term(weights(LARGE, X)), ("+", term(3 * weights(SMALL, X)), 1))
    return kernel.certificate(goal, [kernel.assume(ONE_CHANNEL)], [(22, [0, 0]), (44, [0]), (21, [])])


def _with_biases() -> Theorem:
    """The same for parameters: 22 C^2 - 2 C - 1 = 22 (C-1)^2 + 42 (C-1) + 19."""
    goal = (">=", term(parameters(LARGE, X)), ("+", term(3 * parameters(SMALL, X)), 1))
    return kernel.certificate(goal, [kernel.assume(ONE_CHANNEL)], [(22, [0, 0]), (42, [0]), (19, [])])


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
        _, used = lower.run(net, np.ones((1, channels, size, size)), draw=np.ones)
        equal("weights", sum(fields["weight"].numpy().size for fields in used.values()), factor * channels**2)


_BOTH = Relation(
    "stack and single",
    "both networks, run: their extents, counted weights (27 C^2 and 49 C^2) and fields = the derived ones",
    st.tuples(st.integers(1, 5), st.integers(1, 9)),
    _check,
)
