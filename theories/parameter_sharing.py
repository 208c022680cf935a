"""Parameters of a conv layer, and what sharing saves."""

from convproof.architecture import Conv
from convproof.crosscheck import relation
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, kernel, sums
from convproof.proof.language import formula, term, written
from convproof.report import Equation
from convproof.symbolic import output_shape, parameters, symbols, weights
from convproof.symbolic.shapes import product

C, K, F, S, P, H, W = symbols("C K F S P H W")
LAYER, X = Conv("K", "F", "S", "P"), (C, H, W)
ALEXNET, NEURON, IMAGE = Conv(96, 11, stride=4), Conv(1, 11, stride=4), (3, 227, 227)


def theory() -> Theory:
    neurons, shared = product(output_shape(LAYER, X)), parameters(LAYER, X)
    a_neuron = F * F * C + 1
    first_neurons = product(output_shape(ALEXNET, IMAGE))
    first_unshared = first_neurons * parameters(NEURON, IMAGE)
    return Theory(
        id="parameter-sharing",
        order=40,
        title="Parameters and sharing",
        statement=(
            "With sharing a conv layer has K (F F C + 1) parameters, whatever the image; without, "
            "that many at every output "
            "position. A shared weight's gradient is the sum of its gradients over all positions."
        ),
        equations=(Equation(symbols("params")[0], shared),),
        hypotheses=(Equation(W + 2 * P, F, ">="), Equation(H + 2 * P, F, ">="), Equation(S, 1, ">=")),
        witness=(("W", 227), ("H", 227), ("F", 11), ("P", 0), ("S", 4)),
        steps=(
            Step(weights(LAYER, X), F * F * C * K, "each of K filters has F F C weights", "weights"),
            Step(shared, K * a_neuron, "and one bias", "parameters with sharing"),
            Step(
                neurons * a_neuron,
                shared * product(output_shape(LAYER, X)[1:]),
                "every neuron its own: the shared number times the number of output positions, the sharing factor",
                "parameters without sharing",
            ),
            Step(first_neurons, 55 * 55 * 96, "AlexNet's first layer", "its neurons"),
            Step(
                first_unshared,
                290400 * 364,
                "290,400 neurons, 363 weights and a bias each",
                "its parameters without sharing",
            ),
        ),
        claims=(
            Claim(
                "shared",
                "K filters of C F F weights and a bias each: K (F F C + 1) parameters, whatever the image.",
                _shared,
                LAYER_SIZES,
            ),
            Claim(
                "unshared",
                "With weights of its own every output of every filter has F F C + 1 parameters.",
                _unshared,
                (*LAYER_SIZES, ("O1", 5), ("O2", 5)),
            ),
            Claim(
                "sharing-factor",
                "Without sharing there are as many times more as there are output positions.",
                _sharing_factor,
                (("W", 7), ("H", 7), ("F", 3), ("P", 0), ("S", 2)),
            ),
        ),
        relations=(relation("network parameters"), relation("shared weights, letters")),
        findings=(
            _finding("neurons in AlexNet's first layer", 290400, first_neurons),
            _finding("weights of one neuron", 363, weights(NEURON, IMAGE)),
            _finding("parameters without sharing", 105705600, first_unshared),
            _finding("weights with sharing", 34848, weights(ALEXNET, IMAGE)),
            _finding("parameters with sharing", 34944, parameters(ALEXNET, IMAGE)),
            _finding("weights of a 5x5 filter on 32x32x3", 75, weights(Conv(1, 5), (3, 32, 32))),
            _finding("weights of a 3x3 filter on 16x16x20", 180, weights(Conv(1, 3), (20, 16, 16))),
        ),
        source="the notes, sections `Local connectivity` and `Parameter sharing`",
    )


LAYER_SIZES = (("K", 2), ("C", 3), ("F", 3))
FILTER = "(1 + sum c<C, t1<F, t2<F: 1)"
SHARED = f"sum k<K: {FILTER}"


def _shared() -> Theorem:
    """K >= 0, C >= 0, F >= 0 |- the parameters, counted one by one, are K (F F C + 1)."""
    filters, channels, taps = (derived.given(f"{letter} >= 0") for letter in "KCF")
    premises = [sums.counted_box(filters), sums.counted_box(channels, taps, taps)]
    return derived.certificate(formula(f"{SHARED} = K*(F*F*C + 1)"), premises, [(term(FILTER), [0]), (term("K"), [1])])


def _at_every_output(height: Theorem, width: Theorem) -> Theorem:
    """From o1 >= 0, o2 >= 0: the parameters of every output, counted one by one, are o1 o2 times the shared ones."""
    shared, outputs = term(SHARED), sums.counted_box(height, width)
    o1, o2 = (written(each.conclusion[1]) for each in (height, width))
    unshared = term(f"sum k<K, o1<{o1}, o2<{o2}: {FILTER}")
    return derived.certificate(("=", unshared, ("*", outputs.conclusion[2], shared)), [outputs], [(shared, [0])])


def _unshared() -> Theorem:
    """K, C, F, O1, O2 >= 0 |- without sharing the parameters are O1 O2 K (F F C + 1)."""
    many = _at_every_output(derived.given("O1 >= 0"), derived.given("O2 >= 0"))
    goal = ("=", many.conclusion[1], term("O1*O2*K*(F*F*C + 1)"))
    return derived.certificate(goal, [many, _shared()], [(1, [0]), (term("O1*O2"), [1])])


def _sharing_factor() -> Theorem:
    """S >= 1, W + 2 P >= F, H + 2 P >= F |- without sharing they are W2 H2 times as many."""
    stride, outputs = derived.given("S >= 1"), []
    for size in "HW":
        fits, room = derived.given(f"{size} + 2*P >= F"), term(f"{size} - F + 2*P")
        over = kernel.division(room, stride, upper=True)
        goal = formula(f"({size} - F + 2*P)//S + 1 >= 0")
        refuted = [(1, [0]), (1, [1]), (1, [2, 3]), (1, [3]), (1, [2])]
        outputs.append(derived.certificate(goal, [over, fits, stride], refuted, 2, refute=True))
    return _at_every_output(*outputs)


def _finding(claim: str, printed: int, computed: int) -> Finding:
    return Finding(claim, f"{printed:,}", computed, printed == computed)
