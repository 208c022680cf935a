"""What a layer demands of its inputs and what its outputs read, kind by kind, against running it at every size of a
range.

A layer runs and returns something exactly where all its constraints hold, and then has the shape that is derived. The
table of kinds says how each is drawn; a kind that is missing there fails a test.
"""

import itertools
import math
import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from exactly import forget, without

from convproof import autograd as ag
from convproof import execute
from convproof.architecture import Network, Node, layers
from convproof.errors import MissingRule, ShapeError, Undecided
from convproof.symbolic import accepted, constraints, output_shape, reads, shapes
from kinds import DRAWN, LARGEST, NOT_RUN, REFUSED, image, layers_of, values

SETTINGS = 120
"""How many settings of each kind are drawn."""


def test_every_kind_is_drawn():
    assert set(DRAWN) == set(layers.KINDS)


# --- the relation -----------------------------------------------------------------------------------------------------


def made(layer, inputs, numbers):
    """The shape that a run makes of one image; None where it is refused, or returns nothing."""
    operands = [ag.tensor(numbers.uniform(0.5, 1.5, (1, *shape))) for shape in inputs]
    if isinstance(layer, layers.Input):
        operands = [ag.tensor(numbers.uniform(0.5, 1.5, (1, layer.channels, *layer.sizes)))]
    own = execute.LayerParameters({}, lambda shape: numbers.uniform(0.5, 1.5, shape))
    try:
        y = execute.execute(layer, own, *operands)
    except ShapeError:
        return None
    return None if 0 in y.shape else y.shape[1:]


def violated(layer, inputs):
    """What is demanded for running and does not hold; None where the inputs have axes that the layer cannot have."""
    try:
        demands = [each for each in constraints.constraints(layer, inputs) if each.sign != "exact"]
    except ShapeError:
        return None
    assert None not in [each.holds() for each in demands], "in numbers everything is known"
    return [each for each in demands if not each.holds()]


def check(layer, inputs, shape):
    """The relation, for the shape that a run made, or none."""
    wrong = violated(layer, inputs)
    assert (shape is not None) == (wrong == []), [each.message for each in wrong or ()]
    if shape is None:
        with pytest.raises(ShapeError, match=type(layer).__name__):
            output_shape(layer, *inputs)
    else:
        assert output_shape(layer, *inputs) == shapes.shape_of(layer, *inputs) == shape
    return wrong


def cases(kind, settings=SETTINGS, seed=0):
    """(layer, shapes of operands): settings of a kind, each at every size of a range, on one to three axes or on none,
    sometimes on other axes than its fields are for.
    """
    rng = random.Random(f"{kind.__name__} {seed}")
    for _ in range(settings):
        rank = rng.choice([1, 1, 2, 2, 3])
        layer = next(layers_of(kind, rng, rank))
        for n in range(1, LARGEST + 1):
            for _ in range(3):
                other = rng.choice([0, 1, 2, 3]) if rng.random() < 0.05 else rank
                yield layer, DRAWN[kind].inputs(rng, layer, n, other)


@pytest.mark.parametrize("kind", DRAWN, ids=lambda kind: kind.__name__)
def test_what_is_demanded_is_what_running_needs(kind):
    """And every demand of the kind is the only one that is violated in some case, so that it cannot be left out."""
    numbers, alone, met, ran = np.random.default_rng(1), Counter(), set(), Counter()
    for layer, inputs in cases(kind):
        if DRAWN[kind].unrun(layer):
            assert is_missing(layer, inputs, numbers)
            continue
        shape = made(layer, inputs, numbers)
        try:
            wrong = check(layer, inputs, shape)
        except AssertionError as error:
            raise AssertionError(f"{layer} on {inputs} makes {shape}: {error}") from error
        ran[shape is not None] += 1
        met |= {label(each) for each in constraints.constraints(layer, inputs)} if wrong is not None else set()
        if wrong and len(set(map(label, wrong))) == 1:
            alone[label(wrong[0])] += 1
    if kind not in NOT_RUN:
        assert ran[True] > 50
    assert {each for each in met if each[0] != "exact"} - MADE <= set(alone)


def is_missing(layer, inputs, numbers):
    """Whether the numeric wing says that it has no rule, unless the operands have axes that the layer cannot have."""
    try:
        return made(layer, inputs, numbers) is violated(layer, inputs) is None
    except MissingRule:
        return True


def ruled(concern):
    """The kinds and groups with a rule of their own, in an order that does not change."""
    kinds = concern.registry.keys() - {object, layers.Input, *NOT_RUN}
    return sorted(kinds, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("rule", ruled(constraints.demands), ids=lambda rule: rule.__name__)
def test_a_rule_that_is_left_out_is_noticed(rule, monkeypatch):
    monkeypatch.setattr(constraints, "demands", without(constraints.demands, rule))
    forget()
    assert any(disagrees(kind) for kind in DRAWN if issubclass(kind, rule))
    forget()


def disagrees(kind):
    """Whether what is demanded of a kind, or its rule is missing, is not what running needs in some drawn case."""
    numbers = np.random.default_rng(1)
    try:
        for layer, inputs in cases(kind):
            if not DRAWN[kind].unrun(layer):
                check(layer, inputs, made(layer, inputs, numbers))
    except (AssertionError, MissingRule):
        return True
    return False


def test_every_demand_is_refused_word_for_word():
    """Each that some drawn case meets is violated in a line of the table of errors."""
    said = {label(each) for layer, inputs, _ in REFUSED for each in violated(layer, inputs) or ()}
    met = {label(each) for kind in DRAWN for layer, inputs in cases(kind, 20) for each in violated(layer, inputs) or ()}
    assert met == met & said, met - said


MADE = {(">", "Slice: from {} to {} there is no channel; stop must be larger")}
"""What layers in numbers cannot violate: it is checked when they are made."""


def label(demand):
    """What tells one demand of a rule from another: its sign and its words."""
    words = demand.facts[0] if demand.say is constraints._say else demand.say.__name__
    return demand.sign, words


# --- the same in letters ----------------------------------------------------------------------------------------------

ALONE = [kind for kind, drawn in DRAWN.items() if drawn.inputs in (image, values)]
JOINING = [layers.Add, layers.Multiply, layers.Concat, layers.Scale, layers.Resize, layers.PadTo]


def runs(net, numbers):
    """Whether a network runs on an image of its size."""
    image = net.image
    try:
        activations, _ = execute.run(
            net, numbers.uniform(0.5, 1.5, (1, image.channels, *image.sizes)), draw=lambda shape: numbers.random(shape)
        )
    except ShapeError:
        return False
    return all(0 not in each.shape for each in activations.values())


def check_accepted(net, unknowns, numbers):
    """The accepted sizes of a network in letters are those at which it runs, and the exact ones those at which moreover
    no demand is violated; False where they are not decided.
    """
    found = accepted.accepted_sizes(net)
    if found.boxes is None:
        return False
    reach = range(1, 2 * LARGEST) if len(unknowns) == 1 else range(1, LARGEST)
    for sizes in itertools.product(reach, repeat=len(unknowns)):
        given = dict(zip(unknowns, sizes, strict=True))
        there = net.with_input(layers.Input(net.image.channels, tuple(given[n] for n in net.image.sizes)))
        assert (given in found) == runs(there, numbers), (net, given, found)
        if len(unknowns) == 1 and len(found.boxes) == 1 and (exact := found.exact[unknowns[0]]) is not None:
            demands = [each for wanted in shapes.infer(there).demands.values() for each in wanted]
            assert (sizes[0] in exact) == (given in found and all(each.holds() for each in demands)), (net, given)
    return True


@pytest.mark.parametrize("kind", ALONE, ids=lambda kind: kind.__name__)
def test_accepted_sizes_are_those_that_run(kind):
    rng, numbers, decided = random.Random(kind.__name__), np.random.default_rng(2), 0
    for sizes in [("W",)] * 25 + [("H", "W")] * 8 + [("W", "W")] * 8:
        layer = next(layer for layer in layers_of(kind, rng, len(sizes)) if not DRAWN[kind].unrun(layer))
        channels = DRAWN[kind].inputs(rng, layer, 1, len(sizes))[0][0]
        net = Network.chain([layers.Input(channels, sizes), layer])
        decided += check_accepted(net, tuple(sorted(set(sizes))), numbers)
    assert decided > 15


@pytest.mark.parametrize("kind", JOINING, ids=lambda kind: kind.__name__)
def test_accepted_sizes_of_branches_are_those_that_run(kind):
    """Behind windows of different kinds, whose sizes agree at some sizes of the image alone."""
    rng, numbers, decided = random.Random(kind.__name__), np.random.default_rng(3), 0
    windows = [layers.Conv, layers.MaxPool, layers.Pad, layers.ConvTranspose, layers.AdaptivePool, layers.GlobalPool]
    for _ in range(60):
        nodes = [Node("input", layers.Input(2, ("W",)))]
        for branch in "ab":
            one = DRAWN[rng.choice(windows)].layer(rng, 1)
            filters = 3 if rng.random() < 0.1 else 2
            nodes.append(Node(branch, one, ("input",)))
            nodes.append(Node(f"{branch}2", layers.Conv(filters, 1), (branch,)))
        joined = layers.Resize() if kind is layers.Resize else DRAWN[kind].layer(rng, 1)
        nodes.append(Node("joined", joined, ("a2", "b2")))
        decided += check_accepted(Network(nodes), ("W",), numbers)
    assert decided > 30


# --- what the numeric wing has not ------------------------------------------------------------------------------------


def torch_runs(torch, layer, inputs):
    """The shape that torch makes of one image; None where it refuses, or returns nothing."""
    F, x = torch.nn.functional, torch.rand(1, *inputs[0])
    rank = x.ndim - 2
    bilinear = {1: "linear", 2: "bilinear", 3: "trilinear"}.get(rank)
    try:
        if isinstance(layer, layers.Activation):
            y = getattr(F, layer.name)(x)
        elif isinstance(layer, layers.Upsample):
            factors = tuple(map(float, layer.per_axis("scale_factor", rank)))
            y = F.interpolate(x, scale_factor=factors, mode=bilinear if layer.mode == "bilinear" else "area")
        else:
            wanted = inputs[1][1:]
            y = F.interpolate(x, wanted, mode=bilinear if layer.mode == "bilinear" else "area")
    except (RuntimeError, ValueError, NotImplementedError, ShapeError):
        return None
    return tuple(y.shape[1:]) if y.numel() else None


@pytest.mark.parametrize("kind", [layers.Upsample, layers.Activation, layers.Resize], ids=lambda kind: kind.__name__)
def test_what_is_not_run_here_is_run_by_torch(kind):
    torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[peers]'` brings it")
    ran = 0
    for layer, inputs in cases(kind, 15):
        if DRAWN[kind].unrun(layer):
            shape = torch_runs(torch, layer, inputs)
            check(layer, inputs, shape)
            ran += shape is not None
    assert ran > 50


# --- what outputs read ------------------------------------------------------------------------------------------------


def depends(layer, inputs, numbers):
    """By operand, depends[i, o]: whether position o of the output changes with the values at position i of an operand;
    on one axis, of which a vector has one position. None where the layer does not run.

    Changes are large, so that they win a maximum. Normalization is by stored statistics, as at test time.
    """
    operands = [numbers.uniform(0.5, 1.5, (1, *shape)) for shape in inputs]
    stored = {"running_mean": np.zeros, "running_var": np.ones} if isinstance(layer, layers.BatchNorm) else {}
    channels = getattr(layer, "num_features", None) or (inputs[0][0] if inputs else 0)
    own = execute.LayerParameters(
        {name: draw(channels) for name, draw in stored.items()}, lambda shape: numbers.uniform(0.5, 1.5, shape)
    )

    def output(*arrays):
        y = execute.execute(layer, own, *map(ag.tensor, arrays)).numpy()
        return y if y.ndim == 3 else y.reshape(*y.shape[:2], 1)  # (N, C, positions)

    try:
        before = output(*operands)
    except ShapeError:
        return None
    found = []
    for number, array in enumerate(operands):
        changed = []
        for i in range(array.shape[2] if array.ndim > 2 else 1):
            other = array.copy()
            part = (slice(None), slice(None), *([i] if array.ndim > 2 else []))
            other[part] += numbers.uniform(50, 100, other[part].shape)
            changed.append((output(*operands[:number], other, *operands[number + 1 :]) != before).any(axis=(0, 1)))
        found.append(np.array(changed))
    return found


def check_reads(layer, inputs, found):
    """What is derived that outputs read, within the operand, is what they depend on."""
    output = output_shape(layer, *inputs)
    for x, relation, table in zip(inputs, reads.reads(layer, inputs, output, 1), found, strict=True):
        n, m = (*x[1:], 1)[0], (*output[1:], 1)[0]
        assert table.shape == (n, m)
        for o in range(m):
            read = sorted({i for i in relation[0].inputs(o) if 0 <= i < n}) if relation is not None else []
            changes = np.flatnonzero(table[:, o]).tolist()
            if isinstance(layer, layers.Reshape):  # a bound: which value goes where is not followed
                assert set(changes) <= set(read)
            else:
                assert read == changes, o
        if relation is not None:
            check_period(relation[0])


def check_period(relation):
    """Outputs of the next turn read the same positions, further on; the centre is the mean of their middles."""
    outputs, positions = relation.period
    turn = [list(relation.inputs(o)) for o in range(outputs)]
    for o, read in enumerate(turn):
        assert [i + positions for i in read] == list(relation.inputs(o + outputs))
    if isinstance(relation, reads.Everything):
        return
    step, place = relation.centre
    if isinstance(relation, reads.Spread):  # a tap counts as much as another
        places = [i - step * o for o, read in enumerate(turn) for i in read]
    else:
        places = [Fraction(read[0] + read[-1], 2) - step * o for o, read in enumerate(turn)]
    assert sum(places) == place * len(places)


UNREAD = {
    layers.Pad: lambda layer, *_: layer.mode != "zeros",
    layers.Upsample: lambda layer, *_: layer.mode == "other",
    layers.Resize: lambda layer, *_: layer.mode == "other",
    layers.Reshape: lambda layer, x: relaid(layer, x),
    layers.Unknown: lambda layer, *_: True,
    layers.Shaped: lambda layer, *_: True,
}
"""Of which settings of a kind it is not known what they read."""


def is_tried(layer, inputs):
    """Whether the layer has an output on one axis, or a vector, that depends on its input."""
    match layer:
        case layers.Input():
            return False
        case layers.Reshape(shape):
            return len(shape) < 3
        case layers.Softmax():
            return inputs[0][0] > 1  # of one channel it is 1
        case layers.GroupNorm() | layers.InstanceNorm() if layer.single_values:
            return False  # a single value becomes 0
    return not DRAWN[type(layer)].unrun(layer)


def check_reads_of(kind):
    """The relation for drawn settings of a kind; how often it was tried."""
    rng, numbers, tried = random.Random(kind.__name__), np.random.default_rng(4), 0
    for _ in range(150):
        layer, rank = next(layers_of(kind, rng, 1)), int(rng.random() < 0.9)
        inputs = DRAWN[kind].inputs(rng, layer, rng.randint(1, LARGEST), rank)
        if violated(layer, inputs) is None:
            continue
        if UNREAD.get(kind, lambda layer, *_: False)(layer, *inputs):
            assert is_undecided(layer, inputs)
        elif is_tried(layer, inputs) and (found := depends(layer, inputs, numbers)) is not None:
            tried += 1
            try:
                check_reads(layer, inputs, found)
            except AssertionError as error:
                raise AssertionError(f"{layer} on {inputs}: {error}") from error
    return tried


def relaid(layer, x):
    """Whether values move to other positions, which is not followed."""
    return len(layer.shape) > 1 and tuple(layer.shape) != tuple(x) and math.prod(x[1:]) > 1


def is_undecided(layer, inputs):
    try:
        reads.reads(layer, inputs, getattr(layer, "shape", (2, 7)), 1)
    except Undecided:
        return True
    return False


@pytest.mark.parametrize("kind", DRAWN, ids=lambda kind: kind.__name__)
def test_what_is_read_is_what_outputs_depend_on(kind):
    assert check_reads_of(kind) > (5 if kind is layers.Reshape else 15) or kind in (layers.Input, *NOT_RUN)


def test_an_image_reads_nothing():
    assert reads.reads(layers.Input(3, (8,)), [], (3, 8), 1) == ()


@pytest.mark.parametrize("rule", ruled(reads.reads), ids=lambda rule: rule.__name__)
def test_a_rule_of_reads_that_is_left_out_is_noticed(rule, monkeypatch):
    monkeypatch.setattr(reads, "reads", without(reads.reads, rule))
    assert any(reads_disagree(kind) for kind in DRAWN if issubclass(kind, rule))


def reads_disagree(kind):
    try:
        check_reads_of(kind)
    except (AssertionError, MissingRule):
        return True
    return False


@pytest.mark.parametrize("kind", [layers.Upsample, layers.Resize], ids=lambda kind: kind.__name__)
def test_what_interpolation_reads_is_what_torch_reads(kind):
    torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[peers]'` brings it")
    for n, m in itertools.product(range(1, 13), repeat=2):
        if kind is layers.Upsample and m % n:
            continue
        layer = layers.Upsample(m // n, "bilinear") if kind is layers.Upsample else layers.Resize("bilinear")
        inputs = [(1, n)] if kind is layers.Upsample else [(1, n), (2, m)]
        x = torch.rand(1, 1, n, dtype=torch.float64).requires_grad_()
        if kind is layers.Upsample:
            y = torch.nn.functional.interpolate(x, scale_factor=float(m // n), mode="linear")
        else:
            y = torch.nn.functional.interpolate(x, m, mode="linear")
        table = np.array([torch.autograd.grad(y[0, 0, o], x, retain_graph=True)[0][0, 0].numpy() for o in range(m)])
        check_reads(layer, inputs, [np.abs(table.T) > 1e-9, np.zeros((m, m))][: len(inputs)])
