"""Parameters of a conv layer, and what sharing saves."""

from convproof.check import relation
from convproof.proof import kernel
from convproof.proof.language import term
from convproof.report import Equation
from convproof.spec import Conv
from convproof.symbolic import output_shape, parameters, symbols, weights
from convproof.symbolic.shapes import product
from convproof.theory import Claim, Finding, Step, Theory

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
                "K filters of F F C weights and a bias each: K (F F C + 1) parameters, whatever the image.",
                lambda: kernel.identity(term(shared), term(K * a_neuron)),
            ),
            Claim(
                "sharing-factor",
                "Without sharing there are as many times more as there are output positions.",
                lambda: kernel.identity(term(neurons * a_neuron), term(shared * product(output_shape(LAYER, X)[1:]))),
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


def _finding(claim: str, printed: int, computed: int) -> Finding:
    return Finding(claim, f"{printed:,}", computed, printed == computed)
