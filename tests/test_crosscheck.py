"""The bridge holds, says what it is worth, and notices when either side is wrong."""

import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from exactly import forget
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.architecture import Linear
from convproof.autograd import convolution, gemm, pooling, sliding
from convproof.crosscheck import RELATIONS, Mismatch, Relation, examine, oracle, relation
from convproof.crosscheck.cases import DRAW_SET, ConvCase, conv_cases, pool_cases
from convproof.crosscheck.printed import printed_value, rounds_to
from convproof.crosscheck.relations import equal
from convproof.errors import InputError
from convproof.symbolic import costs, field, shapes, window
from convproof.verdicts import Rung


@pytest.mark.parametrize("each", RELATIONS, ids=lambda r: r.name)
def test_relations_hold(each):
    evidence = examine(each, cases=150, seed=1)
    assert evidence.holds, evidence.counterexample
    assert evidence.cases >= 100


@pytest.fixture
def nothing_kept():
    """What formulas have said before is forgotten, and what they say in between."""

    forget()
    yield
    forget()


def _wrong_windows(monkeypatch):
    right = window.slack
    monkeypatch.setattr(window, "slack", lambda axis, n: right(axis, n) + 1)


def _wrong_ceil(monkeypatch):
    monkeypatch.setattr(window, "_smaller", lambda a, b: a)


def _replaced(monkeypatch, contraction, arguments=lambda *each: each, value=lambda y: y):
    """A contraction of the algorithm that is taken for integers, with other arguments and another value."""
    right = getattr(gemm, contraction)
    monkeypatch.setattr(gemm, contraction, lambda *each: value(right(*arguments(*each))))


def _unflipped(monkeypatch):
    _replaced(monkeypatch, "input_gradient", lambda g, w, *rest: (g, w[..., ::-1], *rest))


def _channels_mixed(monkeypatch):
    _replaced(monkeypatch, "input_gradient", lambda g, w, *rest: (g[:, ::-1], w, *rest))


def _not_stuffed(monkeypatch):
    _replaced(monkeypatch, "input_gradient", lambda *each: (*each[:-1], replace(each[-1], stride=(1,) * len(each[2]))))


def _stride_and_dilation_swapped(monkeypatch):
    swapped = lambda geometry: replace(geometry, stride=geometry.dilation, dilation=geometry.stride)  # noqa: E731
    _replaced(monkeypatch, "conv", lambda x, w, geometry: (x, w, swapped(geometry)))


def _groups_read_the_first_channels(monkeypatch):
    first = lambda x, w, geometry: np.concatenate([x[:, : w.shape[1]]] * geometry.groups, axis=1)  # noqa: E731
    _replaced(monkeypatch, "conv", lambda x, w, geometry: (first(x, w, geometry), w, geometry))


def _begin_padding_for_both(monkeypatch):
    right = convolution.pairs
    monkeypatch.setattr(convolution, "pairs", lambda op, p, rank: tuple((a, a) for a, _ in right(op, p, rank)))


def _direct_misses_the_last_window(monkeypatch):
    right = sliding.conv

    def wrong(x, w, geometry):
        y = right(x, w, geometry)
        y[..., -1] = 0
        return y

    monkeypatch.setattr(sliding, "conv", wrong)


def _last_maximum_wins(monkeypatch):
    right = pooling._winners
    monkeypatch.setattr(pooling, "_winners", lambda *each: right(*each[:-1], replace(each[-1], ties="last")))


def _switches_overwrite(monkeypatch):
    def wrong(g, winners, windows):
        value = windows.empty(g.numpy(), windows.size)
        for number, here, there in windows.reads():
            value[there] = np.where(winners[here] == number, g.numpy()[here], value[there])
        return ag.tensor(value)

    monkeypatch.setattr(pooling, "_routed", wrong)


def _field_too_large(monkeypatch):
    right = field.Field.seen
    wider = lambda relation: replace(relation, count=relation.count + 1)  # noqa: E731
    monkeypatch.setattr(field.Field, "seen", lambda self, relation: right(self, wider(relation)))


def _field_ignores_jump(monkeypatch):
    monkeypatch.setattr(
        field.Field,
        "seen",
        lambda self, relation: field.Field(
            self.size + relation.span - 1, self.jump * relation.step, self.offset + relation.first * self.jump
        ),
    )


def _reads_without_padding(monkeypatch):
    right = field.reads
    bare = lambda each: replace(each, first=0)  # noqa: E731
    monkeypatch.setattr(field, "reads", lambda *args: tuple(tuple(map(bare, own)) for own in right(*args)))


def _cost(monkeypatch, change):
    """Another cost of a layer: `change` is given the layer and what is right."""
    right = costs.cost
    monkeypatch.setattr(costs, "cost", lambda layer, *shapes: change(layer, right(layer, *shapes)))


def _biases_forgotten(monkeypatch):
    _cost(monkeypatch, lambda layer, cost: cost._replace(biases=0))


def _macs_without_groups(monkeypatch):
    _cost(monkeypatch, lambda layer, cost: cost._replace(macs=cost.macs * getattr(layer, "groups", 1)))


def _values_of_relu_counted(monkeypatch):
    _cost(monkeypatch, lambda layer, cost: cost._replace(values=cost.values or 1))


def _linear_weights_miscounted(monkeypatch):
    _cost(monkeypatch, lambda layer, cost: cost._replace(weights=cost.weights + isinstance(layer, Linear)))


def _group_weights_miscounted(monkeypatch):
    _cost(monkeypatch, lambda layer, cost: cost._replace(weights=cost.weights * getattr(layer, "groups", 1)))


def _bias_dropped(monkeypatch):
    monkeypatch.setattr(convolution, "_biased", lambda op, y, b: y)


def _third_axis_negated(monkeypatch):
    _replaced(monkeypatch, "conv", value=lambda y: -y if y.ndim == 5 else y)


def _floats_a_little_off(monkeypatch):
    _replaced(monkeypatch, "conv", value=lambda y: y * 1.001 if y.dtype.kind == "f" else y)


def _second_derivative_doubled(monkeypatch):
    right = convolution._weight_gradient

    def wrong(g, x, kernel, geometry):
        y = right(g, x, kernel, geometry)
        first, second = y.record.vjps
        return convolution.record("wrong", y.value, y.record.operands, (lambda v: ag.multiply(first(v), 2), second))

    monkeypatch.setattr(convolution, "_weight_gradient", wrong)


def _transposed_without_its_last_column(monkeypatch):
    right = ag.conv_transpose

    def wrong(*args, **options):
        value = right(*args, **options).numpy().copy()
        value[..., -1] = 0
        return ag.tensor(value)

    monkeypatch.setattr(ag, "conv_transpose", wrong)


def _sum_for_mean(monkeypatch):
    monkeypatch.setattr(pooling, "divide", lambda x, count: x)


def _padding_never_counts(monkeypatch):
    right = pooling.Windows.count
    monkeypatch.setattr(pooling.Windows, "count", lambda self, include_pad: right(self, False))


def _spread_too_much(monkeypatch):
    right = pooling._spread_along
    monkeypatch.setattr(pooling, "_spread_along", lambda g, windows: ag.multiply(right(g, windows), 3))


def _values_clipped(monkeypatch):
    right = pooling._larger
    monkeypatch.setattr(pooling, "_larger", lambda *each: np.clip(right(*each), -4, 4))


def _windows_never_shrink(monkeypatch):
    monkeypatch.setattr(shapes.window, "count", lambda axis, n, ceil_mode=False: n)


@pytest.mark.parametrize(
    ("fault", "found_by"),
    [
        (_wrong_windows, "conv extents"),
        (_wrong_ceil, "pool extents"),
        (_unflipped, "conv adjoints"),
        (_channels_mixed, "conv adjoints"),
        (_not_stuffed, "conv adjoints, letters"),
        (_stride_and_dilation_swapped, "conv extents"),
        (_groups_read_the_first_channels, "conv algorithms, letters"),
        (_begin_padding_for_both, "conv algorithms"),
        (_direct_misses_the_last_window, "conv algorithms"),
        (_last_maximum_wins, "max pool switches"),
        (_switches_overwrite, "max pool switches"),
        (_field_too_large, "network field"),
        (_field_ignores_jump, "network field"),
        (_reads_without_padding, "network field"),
        (_biases_forgotten, "network parameters"),
        (_windows_never_shrink, "network extents"),
        (_macs_without_groups, "network costs"),
        (_values_of_relu_counted, "network costs"),
        (_linear_weights_miscounted, "network parameters"),
        (_group_weights_miscounted, "network parameters"),
        (_bias_dropped, "conv algorithms"),
        (_third_axis_negated, "conv algorithms"),
        (_floats_a_little_off, "conv in floats"),
        (_second_derivative_doubled, "conv second derivatives"),
        (_transposed_without_its_last_column, "conv transposed"),
        (_sum_for_mean, "average pool"),
        (_padding_never_counts, "average pool"),
        (_spread_too_much, "average pool"),
        (_values_clipped, "max pool switches"),
    ],
)
def test_faults_on_either_side_are_noticed(fault, found_by, monkeypatch, nothing_kept):
    fault(monkeypatch)
    assert not examine(relation(found_by), 100).holds


def test_a_failing_case_is_shrunk_and_shown():
    failing = Relation("small", "n is small", st.integers(0, 1000), lambda n: equal("n", n // 17, 0), Rung.EXACT_SAMPLE)
    evidence = examine(failing)
    assert not evidence.holds
    assert evidence.counterexample == "17: n: 1 of 1 entries differ, at (): 1 instead of 0"
    assert str(evidence) == f"small: fails, {evidence.counterexample}"


def test_the_same_seed_draws_the_same_cases():
    def drawn(seed):
        seen = []
        examine(Relation("seen", "", conv_cases(), seen.append, Rung.EXACT_SAMPLE), 30, seed)
        return seen

    assert drawn(3) == drawn(3) != drawn(4)


def test_cases_cover_what_breaks_kernels():
    seen = []
    examine(Relation("seen", "", conv_cases(), seen.append, Rung.EXACT_SAMPLE), 300)
    for trigger in (
        lambda c: max(c.stride) > 1 and any(map(sum, c.padding)),
        lambda c: c.groups > 1 and max(c.stride) > 1,
        lambda c: any(a != b for a, b in c.padding),
        lambda c: len(set(c.kernel)) > 1,
        lambda c: max(c.dilation) > 1,
        lambda c: c.batch > 1,
        lambda c: c.c == 1 and c.groups == 1,
        lambda c: any(window.remainder(axis, n) for axis, n in zip(c.layer.axes(len(c.sizes)), c.sizes, strict=True)),
        lambda c: len(c.sizes) == 3,
    ):
        assert sum(map(trigger, seen)) >= 10
    pools = []
    examine(Relation("seen", "", pool_cases(), pools.append, Rung.EXACT_SAMPLE), 300)
    assert sum(p.ceil_mode for p in pools) >= 30
    assert sum(any(s < k for s, k in zip(p.stride, p.kernel, strict=True)) for p in pools) >= 30


def test_the_miss_probability_is_the_degree_over_the_draw_set():
    assert relation("conv adjoints").miss_probability == 3 / DRAW_SET
    assert relation("conv adjoints, letters").miss_probability == 0
    evidence = examine(relation("conv algorithms"), 10)
    assert str(evidence) == (
        "conv algorithms: 10 cases (exact sample, a wrong polynomial survives one draw with probability <= 3e-05)"
    )


def test_drawn_numbers_have_both_signs_and_the_whole_range():
    (numbers,) = ConvCase(1, 1, 1, 1, (1,), (1,), (1,), ((0, 0),), (1,), seed=5).integers((10_000,))
    assert numbers.min() < -32_000 < 32_000 < numbers.max()


def test_no_files_are_left_behind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examine(relation("conv extents"), 20)
    assert os.listdir(tmp_path) == []


def test_oracle_by_hand():
    case = ConvCase(1, 1, 1, 1, (4,), (2,), (1,), ((1, 0),), (1,))
    matrix, outputs = oracle.conv_matrix(case, np.array([[[5, 7]]]))
    assert outputs == (4,)
    assert matrix.tolist() == [[7, 0, 0, 0], [5, 7, 0, 0], [0, 5, 7, 0], [0, 0, 5, 7]]


def test_equal_sees_shapes_and_entries():
    equal("same", [1, 2], (1, 2))
    with pytest.raises(Mismatch, match=r"^y: shape \(2,\) instead of \(3,\)$"):
        equal("y", [1, 2], [1, 2, 3])
    with pytest.raises(Mismatch, match=r"^y: 1 of 2 entries differ, at \(1,\): 2 instead of 5$"):
        equal("y", [1, 2], [1, 5])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("138M", 138_000_000),
        ("3.2M", 3_200_000),
        ("93MB", 93_000_000),
        ("1MiB", 2**20),
        ("4096", 4096),
        ("1,728", 1728),
    ],
)
def test_printed_numbers(text, value):
    assert printed_value(text) == value


@pytest.mark.parametrize(
    ("value", "text", "agrees"),
    [
        (138_357_544, "138M", True),
        (138_500_000, "138M", False),
        (138_499_999, "138M", True),
        (150_528, "150K", True),
        (802_816, "800K", True),
        (25_088, "25K", True),
        (3_211_264, "3.2M", True),
        (3_211_264, "3.21M", True),
        (3_211_264, "3.20M", False),
        (15_237_608, "24M", False),
        (60_950_432, "93MiB", False),
        (60_950_432, "58MiB", True),
        (Fraction(1, 2), "1", True),
    ],
)
def test_rounding(value, text, agrees):
    assert rounds_to(value, text) is agrees


@pytest.mark.parametrize("text", ["", "M", "12X", "1e6", "-5", "12 KB x", "B"])
def test_no_printed_numbers(text):
    with pytest.raises(InputError, match="is no printed number"):
        printed_value(text)
