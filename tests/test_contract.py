"""The matrix of layer kinds and concerns: every kind has a rule in every concern, and what is no kind is refused."""

import numpy as np
import pytest

from cases import LAYERS
from convproof import autograd as ag
from convproof import execute
from convproof.architecture import layers
from convproof.errors import MissingRule, Undecided
from convproof.symbolic import costs, field, shapes

CONCERNS = {
    "output size": lambda layer, inputs: shapes.output_shape(layer, *inputs),
    "weights": lambda layer, inputs: costs.weights(layer, *inputs),
    "biases": lambda layer, inputs: costs.biases(layer, *inputs),
    "multiply-adds": lambda layer, inputs: costs.macs(layer, *inputs),
    "activation values": lambda layer, inputs: costs.values(layer, *inputs),
    "receptive field": lambda layer, inputs: field.receptive_field(
        layer, [(field.Field(), field.Field())] * len(inputs), list(inputs)
    ),
    "numeric run": lambda layer, inputs: execute.execute(
        layer,
        [ag.tensor(np.ones((1, *shape))) for shape in inputs or [(4, 8, 8)]],
        execute.LayerParameters({}, np.ones),
        "auto",
    ),
}


def test_the_cases_name_every_kind():
    assert set(LAYERS) == set(layers.KINDS) - {layers.Unknown}


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("concern", CONCERNS)
def test_every_kind_has_a_rule(concern, kind):
    layer, inputs = LAYERS[kind]
    assert CONCERNS[concern](layer, inputs) is not None


@pytest.mark.parametrize("concern", CONCERNS)
def test_what_is_unknown_stays_so_by_name(concern):
    with pytest.raises((Undecided, MissingRule), match="Einsum"):
        CONCERNS[concern](layers.Unknown("Einsum"), [(4, 8, 8)])


class Unheard:
    """No layer kind."""


@pytest.mark.parametrize("concern", CONCERNS)
def test_an_unknown_kind_is_refused(concern):
    with pytest.raises(MissingRule, match=f"^no rule for Unheard under '{concern}'$"):
        CONCERNS[concern](Unheard(), [(4, 8, 8)])
