"""Two convolutions in a row are one, and where padding between them breaks that."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.architecture import Axis
from convproof.crosscheck import Relation
from convproof.crosscheck.cases import HALF_RANGE
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import Term, substitute
from convproof.proof.language import formula, term, written
from convproof.report import Equation, Table
from convproof.symbolic import FloorDiv, symbols, window

W, F1, F2, S1, S2, P1, P2, D1, D2 = symbols("W F1 F2 S1 S2 P1 P2 D1 D2")
LOWER, UPPER = Axis("F1", "S1", "P1", "P1", "D1"), Axis("F2", "S2", "P2", "P2", "D2")
LOWER_OUTPUTS = FloorDiv(W + 2 * P1 - D1 * (F1 - 1) - 1, S1, evaluate=False) + 1
REACH = S1 * D2 * (F2 - 1) + D1 * (F1 - 1)


def theory() -> Theory:
    field = window.position(LOWER, window.position(UPPER, 0, F2 - 1), F1 - 1)
    first = window.position(LOWER, window.position(UPPER, 0, 0), 0)
    return Theory(
        id="composition",
        order=65,
        title="Two convolutions in a row",
        statement=(
            "With nothing between them, two convolutions are one: along an axis its stride is S1 S2, its kernel has "
            "S1 D2 (F2 - 1) + D1 (F1 - 1) + 1 taps, its padding is P1 + S1 P2. That holds at every output whose window "
            "in the second layer lies within the first layer's outputs. Where it reaches into the padding between the "
            "layers, the two have zeros where the one has the values that the first layer would take there."
        ),
        equations=(
            Equation(
                FloorDiv(LOWER_OUTPUTS + 2 * P2 - D2 * (F2 - 1) - 1, S2, evaluate=False) + 1,
                FloorDiv(W + 2 * (P1 + S1 * P2) - REACH - 1, S1 * S2) + 1,
            ),
        ),
        hypotheses=(Equation(S1, 1, ">="), Equation(S2, 1, ">=")),
        witness=(("S1", 2), ("S2", 1)),
        steps=(
            Step(
                window.position(LOWER, window.position(UPPER, 1, 0), 0) - first,
                S1 * S2,
                "one output further is S2 further in the first layer, and S1 times that in the image",
                "how far the window moves",
            ),
            Step(field - first + 1, REACH + 1, "from the first tap of the first tap to the last of the last", "taps"),
            Step(
                first, -(P1 + S1 * P2), "before the image by the padding of both", "place of the first tap of output 0"
            ),
            Step(
                window.count(UPPER, window.count(LOWER, W)),
                window.count(Axis(REACH + 1, S1 * S2, P1 + S1 * P2, P1 + S1 * P2), W),
                "the outputs of one layer with that stride, kernel and padding",
                "outputs of the two",
            ),
        ),
        claims=(*_one_claims(), *_border_claims()),
        relations=(_COMPOSED,),
        exhibits=(
            Table(
                "3 taps of 1 on 3 taps of 1, and 1, 2, 3, 2, 1, on an image of ones",
                ("layers", *(f"output {o}" for o in range(7))),
                tuple((words, *_ones(*taps)) for words, taps in STACKS.items()),
            ),
        ),
        source=(
            "the notes, section `Layer Patterns`, on stacks of small filters `with non-linearities in between`; F. Yu "
            "and V. Koltun, Multi-scale context aggregation by dilated convolutions (2016), for their kernels"
        ),
    )


SIZES = (("S1", 2), ("D1", 1), ("D2", 2))
POSITIVE = (*SIZES, ("F1", 3), ("F2", 3))


def _one_claims() -> tuple[Claim, ...]:
    return (
        Claim(
            "one-layer",
            "Without padding between them, two convolutions are one at every output o < O2: with K, M and C channels, "
            "any strides, dilations and kernels, and any padding P1 before both. Its filter holds, at "
            "u = S1 D2 t2 + D1 t1, the products of the taps t2 and t1, summed over the M channels between.",
            _one_layer,
            (*POSITIVE, ("S2", 1), ("O1", 7), ("O2", 3), ("o", 2)),
        ),
        Claim("first-tap", "The first tap of that filter is the product of the first taps.", _first_tap, POSITIVE),
        Claim(
            "last-tap",
            "Its last, S1 D2 (F2 - 1) + D1 (F1 - 1), is the product of the last ones: no smaller kernel will do.",
            _last_tap,
            POSITIVE,
        ),
        Claim(
            "size",
            "With stride S1 S2 and padding P1 + S1 P2 it has as many outputs as the two layers.",
            _size,
            (("S1", 2), ("S2", 1)),
        ),
    )


def _border_claims() -> tuple[Claim, ...]:
    return (
        Claim(
            "everywhere",
            "With padding P2 between them, the single convolution is the second layer on what the first would compute "
            "at every place, those of the padding included.",
            _single,
            SIZES,
        ),
        Claim(
            "border",
            "So it differs from the two layers by the taps t2 that read the padding between them, each times what the "
            "first layer would compute there.",
            _border,
            SIZES,
        ),
        Claim(
            "interior",
            "Where the window of the second layer lies within the outputs of the first, they agree.",
            _interior,
            (*POSITIVE, ("S2", 1), ("P2", 1), ("O1", 7), ("o", 1)),
        ),
        Claim(
            "first-output",
            "With F = 3, P = 1, S = 1 twice, against 5 taps with padding 2: at output 0 the two layers lack the "
            "product of the second filter's first tap, the first filter's last, and x[0].",
            _first_output,
            (("W", 2),),
        ),
        Claim("differs", "They agree at output 0 only where that is 0.", _differs, (("W", 2),)),
        Claim(
            "no-convolution",
            "The weight of input 1 in output 1 is more than that of input 0 in output 0, by the product of those taps. "
            "In a convolution with S = 1 both are the same weight, so unless that product is 0 no filter whatever "
            "computes what the two padded layers compute.",
            _no_convolution,
            (("W", 3),),
        ),
    )


READ = "sum i<W: x[c, i]*[i = S1*({j}) + D1*t1 - P1]"
FIRST = "sum c<C, t1<F1: w1[m, c, t1]*" + READ
PLACE = "S2*o + D2*t2 - P2"
BETWEEN = FIRST.format(j=PLACE)
TWO = f"sum m<M, t2<F2: w2[k, m, t2]*sum j<O1: ({FIRST.format(j='j')})*[j = {PLACE}]"
SECOND = term("sum m<M, t2<F2: w2[k, m, t2]")
INSIDE = "S2*o - P2 >= 0", "O1 - 1 >= S2*o + D2*(F2 - 1) - P2"
KERNEL = "sum m<M, t2<F2, t1<F1: w2[k, m, t2]*w1[m, c, t1]*[u = S1*D2*t2 + D1*t1]"
LAST = "S1*D2*(F2 - 1) + D1*(F1 - 1)"
ONE = f"sum c<C, u<{LAST} + 1: ({KERNEL})*sum i<W: x[c, i]*[i = S1*S2*o + u - (P1 + S1*P2)]"
ALL = f"sum m<M, t2<F2: w2[k, m, t2]*{BETWEEN}"
BORDER = f"sum m<M, t2<F2: w2[k, m, t2]*(1 - [0 <= {PLACE}]*[{PLACE} <= O1 - 1])*{BETWEEN}"

NEAR = "sum c<C, t1<3: w1[m, c, t1]*sum i<W: x[c, i]*[i = j + t1 - 1]"
PADDED = f"sum m<M, t2<3: w2[k, m, t2]*sum j<W: ({NEAR})*[j = t2 - 1]"
ALONE = "sum c<C, u<5: (sum m<M, t2<3, t1<3: w2[k, m, t2]*w1[m, c, t1]*[u = t2 + t1])*sum i<W: x[c, i]*[i = u - 2]"
HIDDEN = "sum m<M, c<C: w2[k, m, 0]*w1[m, c, 2]*x[c, 0]"


def _single() -> Theorem:
    """S1 >= 0, D1 >= 0, D2 >= 0 |- the single convolution = the two layers, the first computed at every place."""
    texts = "S1 >= 0", "D1 >= 0", "D2 >= 0", "t1 >= 0", "t2 >= 0", "F1 - 1 >= t1", "F2 - 1 >= t2"
    known = [derived.given(text) for text in texts]
    (taps,) = sums.ranges(f"u<{LAST} + 1")
    place = term("S1*D2*t2 + D1*t1")
    lower = derived.certificate((">=", place, 0), known, [(1, [0, 2, 4]), (1, [1, 3])])
    upper = derived.certificate((">=", taps[2], place), known, [(1, [0, 2, 6]), (1, [1, 5])])
    read = term("sum i<W: x[c, i]*[i = S1*S2*o + u - (P1 + S1*P2)]")
    picked = derived.times(term("w2[k, m, t2]*w1[m, c, t1]"), sums.sifted(*taps, read, lower, upper))
    every = sums.under(sums.ranges("m<M, t2<F2, c<C, t1<F1"), picked)
    return derived.stated(f"{ONE} = {ALL}", sums.reordered(term(ONE), every.conclusion[1]), every)


def _border() -> Theorem:
    """S1 >= 0, D1 >= 0, D2 >= 0 |- what the single convolution has more: the taps t2 outside the first layer."""
    (outputs,) = sums.ranges("j<O1")
    two = sums.weighted(SECOND, kernel.sift(*outputs, term(FIRST.format(j="j")), term(PLACE)))
    return derived.stated(f"({ONE}) - {TWO} = {BORDER}", _single(), derived.times(-1, two))


def _interior() -> Theorem:
    """S1, D1, D2 >= 0, S2 o - P2 >= 0, O1 - 1 >= S2 o + D2 (F2 - 1) - P2 |- the two layers = the single one at o."""
    known = [derived.given(text) for text in (*INSIDE, "D2 >= 0", "t2 >= 0", "F2 - 1 >= t2")]
    lower = derived.certificate(formula(f"{PLACE} >= 0"), known, [(1, [0]), (1, [2, 3])])
    upper = derived.certificate(formula(f"O1 - 1 >= {PLACE}"), known, [(1, [1]), (1, [2, 4])])
    two = sums.weighted(SECOND, sums.sifted(*sums.ranges("j<O1")[0], term(FIRST.format(j="j")), lower, upper))
    return derived.stated(f"{TWO} = {ONE}", two, derived.symmetric(_single()))


def _one_layer() -> Theorem:
    """The same for P2 = 0, S2 >= 0, 0 <= o < O2, where the last window fits, O1 - 1 >= S2 (O2 - 1) + D2 (F2 - 1)."""
    texts = "S2 >= 0", "o >= 0", "O2 - 1 >= o", "O1 - 1 >= S2*(O2 - 1) + D2*(F2 - 1)"
    known = [derived.given(text) for text in texts]
    first, last = (substitute(formula(text), {"P2": 0}) for text in INSIDE)
    within = [
        derived.certificate(first, known, [(1, [0, 1])]),
        derived.certificate(last, known, [(1, [3]), (1, [0, 2])]),
    ]
    inside = derived.discharged(kernel.instantiate(_interior(), {"P2": 0}), *within)
    unpadded = TWO.replace(" - P2", ""), ONE.replace("(P1 + S1*P2)", "P1")
    return derived.stated(" = ".join(unpadded), inside)


# --- the ends of the kernel -------------------------------------------------------------------------------------------


def _never(positive: Theorem) -> Theorem:
    """From a >= 1: [0 = a] = 0."""
    a = positive.conclusion[1]
    above = indicators.decided(derived.follows((">", a, 0), positive))
    return derived.chain(indicators.both_ways(1, 0, a), derived.times(("le", 0, a), above))


def _both_zero() -> Theorem:
    """A >= 1, r >= 0, n >= 0 |- [0 = A n + r] = [n = 0] [0 = r]."""
    claim = formula("[0 = A*n + r] = [n = 0]*[0 = r]")
    known = [derived.given(text) for text in ("A >= 1", "r >= 0", "n >= 0")]
    more = derived.certificate(formula("A*(n + 1) + r >= 1"), known, [(1, [0, 2]), (1, [0]), (1, [1]), (1, [2])])
    next_one = derived.follows(formula("n + 1 >= 1"), known[2])
    premises = [_never(more), _never(next_one), kernel.assume(claim)]
    step = premises, [(1, [0]), (term("-[0 = r]"), [1]), (0, [2])]
    return derived.by_induction(claim, "n", ([], []), step)


def _met(distances: Sequence[Theorem]) -> Theorem:
    """From n1 >= 0, n2 >= 0: S1, D1, D2 >= 1 |- [0 = S1 D2 n2 + D1 n1] = [n2 = 0] [n1 = 0]."""
    (_, n1, _), (_, n2, _) = (each.conclusion for each in distances)
    stride, step, other = (derived.given(f"{letter} >= 1") for letter in ("S1", "D1", "D2"))
    jump = derived.positive_product(stride, other)
    rest = derived.certificate((">=", ("*", term("D1"), n1), 0), [step, distances[0]], [(1, [0, 1]), (1, [1])])
    zero = _both_zero()
    first = kernel.instantiate(zero, {"A": jump.conclusion[1], "n": n2, "r": rest.conclusion[1]})
    second = kernel.instantiate(zero, {"A": term("D1"), "n": n1, "r": 0})
    found = derived.chain(derived.discharged(first, jump, rest, distances[1]), derived.times(("is", n2, 0), second))
    return derived.discharged(found, step, distances[0], derived.at_least(0, 0))


def _end(place: str, ends: Sequence[str], distances: Sequence[Theorem]) -> Theorem:
    """S1, D1, D2, F1, F2 >= 1 |- v at the place that only these ends of both filters reach is their product."""
    axes = []
    for axis, end in zip("21", reversed(ends), strict=True):
        (taps,), size = sums.ranges(f"t{axis}<F{axis}"), [derived.given(f"F{axis} >= 1")]
        low, high = ([], size) if end == "0" else (size, [])
        lower, upper = derived.follows((">=", term(end), 0), *low), derived.follows((">=", taps[2], term(end)), *high)
        axes.append((taps, lower, upper))
    both = sums.sifted_box(term("w2[k, m, t2]*w1[m, c, t1]"), *axes)
    met = sums.weighted(term("sum m<M, t2<F2, t1<F1: w2[k, m, t2]*w1[m, c, t1]"), _met(distances))
    goal = f"{KERNEL.replace('[u =', f'[{place} =')} = sum m<M: w2[k, m, {ends[1]}]*w1[m, c, {ends[0]}]"
    return derived.stated(goal, met, sums.under(sums.ranges("m<M"), both))


def _first_tap() -> Theorem:
    """S1, D1, D2, F1, F2 >= 1 |- the first tap of v is the product of the first taps."""
    return _end("0", ("0", "0"), [derived.given(f"t{axis} >= 0") for axis in "12"])


def _last_tap() -> Theorem:
    """S1, D1, D2, F1, F2 >= 1 |- the last tap of v is the product of the last taps."""
    known = [derived.given(f"F{axis} - 1 >= t{axis}") for axis in "12"]
    distances = [
        derived.follows(formula(f"F{axis} - 1 - t{axis} >= 0"), each) for axis, each in zip("12", known, strict=True)
    ]
    return _end(LAST, ("F1 - 1", "F2 - 1"), distances)


# --- sizes, and the first output of two padded layers -----------------------------------------------------------------


def _size() -> Theorem:
    """S1 >= 1, S2 >= 1 |- as many outputs as the single layer has with its stride, padding and kernel."""
    first, second = derived.given("S1 >= 1"), derived.given("S2 >= 1")
    room, more = term("W + 2*P1 - D1*(F1 - 1) - 1"), term("2*P2 - D2*(F2 - 1)")
    inside = derived.whole(room, first, more)
    folded = kernel.rewrite(derived.fold(inside.conclusion[1][1], first, second), inside)
    outputs = "(W + 2*P1 - D1*(F1 - 1) - 1)//S1 + 1"
    return derived.stated(
        f"({outputs} + 2*P2 - D2*(F2 - 1) - 1)//S2 + 1 = (W + 2*(P1 + S1*P2) - ({LAST}) - 1)//(S1*S2) + 1",
        derived.symmetric(folded),
    )


def _corner() -> Theorem:
    """W >= 2 |- at output 0 of two layers with F = 3, P = 1, S = 1: the tap that the padding between them hides."""
    wide = derived.given("W >= 2")
    (image,) = sums.ranges("i<W")
    some, more = (derived.follows(formula(f"W - 1 >= {place}"), wide) for place in (0, 1))
    hidden = sums.unrolled(term("sum t1<3: w1[m, c, t1]*sum i<W: x[c, i]*[i = t1 - 2]"))
    reads = [kernel.sift(*image, term("x[c, i]"), place) for place in (-2, -1)]
    reads.append(sums.sifted(*image, term("x[c, i]"), derived.at_least(0, 0), some))
    goal = formula("sum t1<3: w1[m, c, t1]*sum i<W: x[c, i]*[i = t1 - 2] = w1[m, c, 2]*x[c, 0]")
    products = [(1, [0]), *((term(f"w1[m, c, {tap}]"), [tap + 1]) for tap in range(3))]
    first = sums.under(sums.ranges("c<C"), derived.certificate(goal, [hidden, *reads], products))
    inner = "(sum c<C, t1<3: w1[m, c, t1]*sum i<W: x[c, i]*[i = t2 - 1 + t1 - 1])"
    body = term(f"w2[k, m, t2]*(1 - [0 <= t2 - 1]*[t2 - 1 <= W - 1])*{inner}")
    seen = [substitute(term(f"-w2[k, m, t2]*{inner}"), {"t2": tap}) for tap in (1, 2)]
    left, right = ("sum", "t2", 0, 2, body), ("*", term("w2[k, m, 0]"), first.conclusion[2])
    premises = [sums.unrolled(left), indicators.decided(some), indicators.decided(more), first]
    products = [(1, [0]), (seen[0], [1]), (seen[1], [2]), (term("w2[k, m, 0]"), [3])]
    return sums.under(sums.ranges("m<M"), derived.certificate(("=", left, right), premises, products))


def _first_output() -> Theorem:
    """W >= 2 |- two 3-tap layers with P = 1 and the 5-tap layer with P = 2 differ at output 0 by w2[0] w1[2] x[0]."""
    numbers = dict.fromkeys(("S1", "S2", "D1", "D2", "P1", "P2"), 1)
    border = kernel.instantiate(_border(), {**numbers, "F1": 3, "F2": 3, "O1": term("W"), "o": 0})
    border = derived.discharged(border, derived.at_least(1, 0))
    return derived.stated(f"{PADDED} = {ALONE} - {HIDDEN}", derived.times(-1, border), derived.times(-1, _corner()))


def _differs() -> Theorem:
    """W >= 2 |- they are equal at output 0 only where the hidden term is 0."""
    found = _first_output()
    equal_there, nothing = derived.given(f"{PADDED} = {ALONE}"), derived.given(f"{HIDDEN} = 0")
    forward = derived.certificate(nothing.conclusion, [found, equal_there], [(1, [0]), (-1, [1])])
    backward = derived.certificate(equal_there.conclusion, [found, nothing], [(1, [0]), (-1, [1])])
    return kernel.equivalent(forward, backward)


def _response(output: int, near: Theorem) -> Theorem:
    """From W - 1 >= output + 1: the response of that output of the padded layers to a unit at the same place."""
    (image,) = sums.ranges("j<W")
    value = term(f"sum t1<3: w1[m, c, t1]*[{output} = j + t1 - 1]")
    body = term(f"w2[k, m, t2]*sum j<W: ({written(value)})*[j = {output} + t2 - 1]")
    premises, products = [sums.unrolled(("sum", "t2", 0, 2, body))], [(1, [0])]
    response: Term = 0
    for tap in range(3):
        weight, place = term(f"w2[k, m, {tap}]"), output + tap - 1
        last = derived.follows((">=", term("W - 1"), place), near)
        taps = sums.unrolled(substitute(value, {"j": place}))
        here = ("*", weight, ("le", 0, place))
        for factor, known in (
            (weight, kernel.sift(*image, value, place)),
            (("*", here, taps.conclusion[1]), indicators.decided(last)),
            (here, taps),
        ):
            products.append((factor, [len(premises)]))
            premises.append(known)
        response = ("+", response, ("*", here, taps.conclusion[2]))
    found = derived.certificate(("=", premises[0].conclusion[1], response), premises, products)
    return sums.under(sums.ranges("m<M"), found)


def _no_convolution() -> Theorem:
    """W >= 3 |- output 1 responds to a unit at 1 by w2[0] w1[2] more than output 0 to a unit at 0."""
    wide = derived.given("W >= 3")
    near = [derived.follows(formula(f"W - 1 >= {o + 1}"), wide) for o in (0, 1)]
    first, second = (_response(o, known) for o, known in enumerate(near))
    responses = [
        f"sum m<M, t2<3: w2[k, m, t2]*sum j<W: (sum t1<3: w1[m, c, t1]*[{o} = j + t1 - 1])*[j = {o} + t2 - 1]"
        for o in (0, 1)
    ]
    goal = f"{responses[1]} - {responses[0]} = sum m<M: w2[k, m, 0]*w1[m, c, 2]"
    return derived.stated(goal, second, derived.times(-1, first))


# --- the shipping code ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stack:
    """Two layers with channels C, M, K; by axis the size, and kernel, stride, padding and dilation of both."""

    channels: tuple[int, int, int]
    sizes: tuple[int, ...]
    lower: tuple[Axis, ...]
    upper: tuple[Axis, ...]
    seed: int


def _options(axes: Sequence[Axis]) -> dict[str, object]:
    stride, padding, dilation = zip(*((axis.stride, axis.before, axis.dilation) for axis in axes), strict=True)
    return {"stride": stride, "padding": padding, "dilation": dilation}


def _both(lower: Axis, upper: Axis) -> Axis:
    """The axis of the single layer."""
    taps = lower.stride * upper.dilation * (upper.kernel - 1) + lower.dilation * (lower.kernel - 1) + 1
    padding = lower.before + lower.stride * upper.before
    return Axis(taps, lower.stride * upper.stride, padding, padding)


def _taps(lower: Axis, upper: Axis) -> Iterator[tuple[int, int, int]]:
    """On one axis: every pair of taps, and where in the single filter their product stands."""
    for t2, t1 in product(range(upper.kernel), range(lower.kernel)):
        yield t2, t1, lower.stride * upper.dilation * t2 + lower.dilation * t1


def _composed(case: Stack) -> None:
    """Two layers as they run, the single layer, and the taps that read the padding between."""
    rng = np.random.default_rng(case.seed)
    c, m, k = case.channels
    x, w1, w2 = (
        rng.integers(-HALF_RANGE, HALF_RANGE, (a, b, *size))
        for a, b, size in (
            (1, c, case.sizes),
            (m, c, [axis.kernel for axis in case.lower]),
            (k, m, [axis.kernel for axis in case.upper]),
        )
    )
    axes = [*map(_both, case.lower, case.upper)]
    v = np.zeros((k, c, *(axis.kernel for axis in axes)), np.int64)
    for places in product(*map(_taps, case.lower, case.upper)):
        t2, t1, u = zip(*places, strict=True)
        v[(..., *u)] += w2[(..., *t2)] @ w1[(..., *t1)]
    between = ag.conv(x, w1, **_options(case.lower)).numpy()
    two = ag.conv(between, w2, **_options(case.upper)).numpy()
    one = ag.conv(x, v, **_options(axes)).numpy()
    padding = [axis.before for axis in case.upper]
    everywhere = ag.conv(x, w1, **{**_options(case.lower), "padding": [axis.before for axis in axes]}).numpy()
    inner = tuple(slice(pad, pad + size) for pad, size in zip(padding, between.shape[2:], strict=True))
    equal("the first layer, computed everywhere", everywhere[(..., *inner)], between)
    everywhere[(..., *inner)] = 0
    hidden = ag.conv(everywhere, w2, **{**_options(case.upper), "padding": 0}).numpy()
    equal("one layer less two layers", one - two, hidden)
    if not any(padding):
        equal("one layer without padding between", one, two)


@st.composite
def _stacks(draw: st.DrawFn) -> Stack:
    few = st.integers(1, 2)
    layers = []
    for _ in range(draw(few)):
        lower, upper = (
            Axis(draw(st.integers(1, 3)), draw(st.integers(1, 3)), pad, pad, draw(few))
            for pad in (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
        )
        layers.append((window.least(_both(lower, upper)), lower, upper))
    sizes = tuple(max(1, least, window.least(lower)) + draw(st.integers(0, 4)) for least, lower, _ in layers)
    lower, upper = (tuple(layer[place] for layer in layers) for place in (1, 2))
    return Stack((draw(few), draw(few), draw(few)), sizes, lower, upper, draw(st.integers(0, 2**32 - 1)))


STACKS = {"two, padding 1 each": ((3, 1), (3, 1)), "one, padding 2": ((5, 2),)}


def _ones(*layers: tuple[int, int]) -> list[int]:
    """What 3 taps of 1, or 5 of their composition, make of seven ones."""
    y = ag.tensor(np.ones((1, 1, 7), np.int64))
    for taps, padding in layers:
        y = ag.conv(y, np.array([[[1, 1, 1] if taps == 3 else [1, 2, 3, 2, 1]]]), padding=padding)
    return [int(value) for value in y.numpy()[0, 0]]


_COMPOSED = Relation(
    "composed",
    "one layer - two layers = the taps that read the padding between, on what the first layer would compute there",
    _stacks(),
    _composed,
    degree=3,
)
