"""The matrix of layer kinds and concerns: every kind has a rule in every concern, and what is no kind is refused.

A kind that would do without its own rule has that of its group, if that says the same: what each concern says here is
held against a run, and every rule that is left out is noticed, here or in `test_constraints`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from exactly import forget, without

from convproof import autograd as ag
from convproof import execute
from convproof.architecture import Layer, layers
from convproof.architecture.fields import Count, settings
from convproof.errors import ConvproofError, MissingRule, Undecided
from convproof.symbolic import constraints, costs, reads, shapes
from kinds import LAYERS, NOT_RUN

RANK = 2
OUTPUT = (4, 8, 8)


def run(layer, inputs, draw=np.ones):
    """(output without the batch, parameters) of a layer on ones."""
    operands = [ag.tensor(np.ones((1, *shape))) for shape in inputs or [(4, 8, 8)]]
    own = execute.LayerParameters({}, draw)
    return execute.execute(layer, own, *operands).numpy()[0], own.tensors


def output_of(layer, inputs):
    """The output's shape, of a run; any, for what does not run."""
    return run(layer, inputs)[0].shape if type(layer) in LAYERS else OUTPUT


CONCERNS = {
    "constraints": lambda layer, inputs: constraints.constraints(layer, inputs),
    "output size": lambda layer, inputs: shapes.shape_of(layer, *inputs),
    "reads": lambda layer, inputs: reads.reads(layer, inputs, output_of(layer, inputs), RANK),
    "cost": lambda layer, inputs: costs.cost(layer, output_of(layer, inputs), *inputs),
    "numeric run": run,
}


def test_the_cases_name_every_kind():
    assert set(LAYERS) == set(layers.KINDS) - {*NOT_RUN}


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("concern", CONCERNS)
def test_every_kind_has_a_rule(concern, kind):
    layer, inputs = LAYERS[kind]
    assert CONCERNS[concern](layer, inputs) is not None


@pytest.mark.parametrize("concern", [each for each in CONCERNS if each != "constraints"])
def test_what_is_unknown_stays_so_by_name(concern):
    with pytest.raises((Undecided, MissingRule), match="Einsum"):
        CONCERNS[concern](layers.Unknown("Einsum"), [(4, 8, 8)])


def test_what_is_unknown_demands_nothing_that_is_known():
    assert constraints.constraints(layers.Unknown("Einsum"), [(4, 8, 8), (7,)]) == ()


class Unheard:
    """No layer kind."""


@dataclass(frozen=True)
class Unruled(Layer):
    """A layer kind that has no rule."""


@pytest.mark.parametrize("kind", [Unheard, Unruled])
@pytest.mark.parametrize("concern", CONCERNS)
def test_an_unknown_kind_is_refused(concern, kind):
    with pytest.raises(MissingRule, match=f"^no rule for {kind.__name__} under '{concern}'$"):
        CONCERNS[concern](kind(), [(4, 8, 8)])


# --- what the rules say -----------------------------------------------------------------------------------------------

MULTIPLYING = (layers.Conv, layers.ConvTranspose, layers.Linear)
IN_PLACE = (layers.ReLU, layers.Activation, layers.Condition, layers.Dropout, layers.Flatten, layers.Reshape)


def check(kind):
    """What the rules of a kind say, against its run on the shapes of its case."""
    layer, inputs = LAYERS[kind]
    draw = lambda shape: np.full(shape, float(len(shape) > 1 or kind not in MULTIPLYING))  # noqa: E731 - no biases
    output, parameters = run(layer, inputs, draw)
    assert all(demand.holds() for demand in constraints.constraints(layer, inputs) if demand.sign != "exact")
    assert shapes.shape_of(layer, *inputs) == shapes.output_shape(layer, *inputs) == output.shape
    counted = {name: parameters[name].numpy().size if name in parameters else 0 for name in ("weight", "bias")}
    macs = int(output.sum()) if kind in MULTIPLYING else 0  # a product is 1 here, where no padding is
    values = 0 if kind in IN_PLACE else math.prod(output.shape)
    assert costs.cost(layer, output.shape, *inputs) == (counted["weight"], counted["bias"], macs, values)


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_what_the_rules_say_is_what_runs(kind):
    check(kind)


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_gradients_are_slopes(kind):
    """The gradient by every operand and parameter, along a drawn direction, against a central difference."""
    (layer, inputs), rng = LAYERS[kind], np.random.default_rng(0)
    draw = lambda shape: rng.uniform(0.5, 1.5, shape)  # noqa: E731
    operands = [ag.tensor(draw((2, *shape))) for shape in inputs or [(4, 8, 8)]]
    own = execute.LayerParameters({}, draw)
    y = execute.execute(layer, own, *operands)
    at = [*operands, *own.tensors.values()]
    g, directions = draw(y.shape), [draw(each.shape) for each in at]

    def moved(step):
        there = [ag.tensor(each.numpy() + step * way) for each, way in zip(at, directions, strict=True)]
        given = dict(zip(own.tensors, there[len(operands) :], strict=True))
        return (g * execute.execute(layer, execute.LayerParameters(given), *there[: len(operands)]).numpy()).sum()

    slope = sum((way * part.numpy()).sum() for way, part in zip(directions, ag.grad(y, at, g), strict=True))
    assert slope == pytest.approx((moved(1e-5) - moved(-1e-5)) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("kind", layers.KINDS, ids=lambda kind: kind.__name__)
def test_the_least_value_of_a_field_works(kind):
    """Or is refused by name: in the run, and by shape inference."""
    layer, inputs = LAYERS.get(kind, (layers.Unknown("Einsum"), ()))
    if kind is layers.Shaped:
        layer = layers.Shaped("sum", 3)
    for field in settings(kind):
        if isinstance(field.holds, Count):
            try:
                least = replace(layer, **{field.name: field.holds.least})
                run(least, inputs)
            except ConvproofError:
                continue
            assert shapes.output_shape(least, *inputs)


@pytest.mark.parametrize("module", [(shapes, "shape_of"), (costs, "cost"), (execute, "execute")], ids=lambda m: m[1])
def test_a_rule_that_is_left_out_is_noticed(module, monkeypatch):
    module, name = module
    rules = getattr(module, name)
    for each in set(rules.registry) - {object, *NOT_RUN}:
        forget()
        with monkeypatch.context() as patched:
            patched.setattr(module, name, without(rules, each))
            noticed = [kind for kind in LAYERS if issubclass(kind, each) and fails(kind)]
        assert noticed, each
    forget()


def fails(kind):
    try:
        check(kind)
    except (AssertionError, MissingRule):
        return True
    return False
