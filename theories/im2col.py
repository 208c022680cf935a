"""Convolution as one matrix product: the columns, their rows and their adjoint, what they cost, and pooling by them."""

import functools
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from convproof import autograd as ag
from convproof.architecture import Axis, Conv
from convproof.crosscheck import Relation, oracle, relation
from convproof.crosscheck.cases import HALF_RANGE, ConvCase, PoolCase, conv_cases, pool_cases
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.language import formula, term
from convproof.report import Equation, Table
from convproof.symbolic import output_shape, symbols, weights, window

C, K, W, F, S, P, D = symbols("C K W F S P D")
ALEXNET, IMAGE = Conv(96, 11, stride=4), (3, 227, 227)


def theory() -> Theory:
    axis = Axis("F", "S", "P", "P", "D")
    _, *outputs = output_shape(ALEXNET, IMAGE)
    return Theory(
        id="im2col",
        order=92,
        title="Convolution as one matrix product",
        statement=(
            "im2col stretches every window into a column: row c F + t of column o holds x[c, S o + D t - P], 0 outside "
            "the image. The filters, stretched likewise, times these columns are the convolution; col2im, which adds "
            "every entry up at the position that it was copied from, is the adjoint. The columns hold F O / W values "
            "for every value of the input, O being the number of windows."
        ),
        equations=(Equation(symbols("entries")[0], C * F * window.count(axis, W)),),
        hypotheses=(Equation(W + 2 * P, D * (F - 1) + 1, ">="), Equation(S, 1, ">=")),
        witness=(("W", 7), ("F", 3), ("S", 2), ("P", 0), ("D", 1)),
        steps=(
            Step(weights(Conv("K", "F"), (C, W)), K * (C * F), "K rows of C F weights", "entries of W_row"),
            Step(
                window.count(Axis("F", 1, 0, 0), W),
                W - F + 1,
                "one for every position of the last tap",
                "columns at S = 1, P = 0, D = 1",
            ),
            Step(weights(Conv(1, 11), IMAGE), 363, "11 x 11 x 3 values a window", "rows of AlexNet's X_col"),
            Step(outputs[0] * outputs[1], 3025, "55 x 55 windows", "its columns"),
        ),
        claims=(*_rows_claims(), *_product_claims(), *_size_claims(), *_pooling_claims()),
        relations=(_COLUMNS, _FOLDED, _POOLED, relation("conv algorithms, letters")),
        exhibits=(
            Table(
                "How many values im2col makes of one",
                ("layer", "W = H", "(F O / W)^2"),
                tuple((f"F={f}, S={s}, P={p}", n, _replication(n, f, s, p)) for f, s, p, n in LAYERS),
            ),
        ),
        source=(
            "the notes, section `Implementation as Matrix Multiplication`; K. Chellapilla, S. Puri and P. Simard, High "
            "performance convolutional neural networks for document processing (2006)"
        ),
    )


SIZES, SIZES_2D = (("C", 2), ("F", 3)), (("C", 2), ("F1", 3), ("F2", 3))
TAP, TAPS_2D = (("F", 3), ("t", 1)), (("F1", 3), ("F2", 3), ("t1", 1), ("t2", 2))
ONE_CHANNEL = (*SIZES, ("c", 1))


def _rows_claims() -> tuple[Claim, ...]:
    return (
        Claim(
            "channel",
            "Row c F + t of the columns belongs to channel c: dividing by F gives it back.",
            lambda: derived.stated("(c*F + t)//F = c", _quotient()),
            TAP,
        ),
        Claim("tap", "What the division leaves is the tap t.", _tap, TAP),
        Claim(
            "row-again",
            "A row is made again of its channel and its tap.",
            lambda: derived.stated("F*(r//F) + (r - F*(r//F)) = r"),
        ),
        Claim(
            "row-in-range",
            "A channel below C and a tap below F make a row below C F.",
            _row_in_range,
            (*ONE_CHANNEL, ("t", 1)),
        ),
        Claim(
            "pair-in-range",
            "A row below C F has a channel below C and a tap below F.",
            _pair_in_range,
            (*SIZES, ("r", 4)),
        ),
        Claim("one-pair", "So every row belongs to exactly one channel and tap.", _one_pair, (*SIZES, ("r", 4))),
        Claim(
            "channel-2d",
            "On two axes row (c F1 + t1) F2 + t2 belongs to channel c.",
            lambda: _decoded("c"),
            TAPS_2D,
        ),
        Claim("tap-1-2d", "It belongs to tap t1 of the first axis.", lambda: _decoded("t1"), TAPS_2D),
        Claim("tap-2-2d", "It belongs to tap t2 of the second.", lambda: _decoded("t2"), TAPS_2D),
        Claim(
            "one-pair-2d",
            "Every row belongs to exactly one channel and pair of taps.",
            _one_pair_2d,
            (*SIZES_2D, ("r", 4)),
        ),
    )


def _product_claims() -> tuple[Claim, ...]:
    return (
        Claim(
            "product",
            "Row k of the stretched filters times column o of the columns is output o of filter k: im2col and a matrix "
            "product are the convolution, for every stride, dilation and padding.",
            lambda: _rows(PRODUCT),
            SIZES,
        ),
        Claim("product-2d", "The same on two axes.", lambda: _rows_2d(PRODUCT_2D), SIZES_2D),
        Claim(
            "adjoint",
            "col2im is the adjoint: any matrix m paired with the columns of x is x paired with col2im(m), which adds "
            "up every entry of m at the position that it would have been copied from.",
            _adjoint,
            SIZES,
        ),
        Claim("adjoint-2d", "The same on two axes.", _adjoint_2d, SIZES_2D),
        Claim(
            "fold-unfold",
            "col2im of the columns of x is x times the number of its copies.",
            _fold_unfold,
            (("W", 7), ("i", 2)),
        ),
    )


def _size_claims() -> tuple[Claim, ...]:
    natural = (*SIZES, ("O", 5), ("W", 7))
    return (
        Claim("entries", "The columns hold C F O values.", _entries, natural),
        Claim("factor", "These are F O / W for every value of the input.", _factor, natural),
        Claim(
            "factor-2d",
            "On two axes they are F1 F2 O1 O2 / (W1 W2).",
            _factor_2d,
            (*SIZES_2D, ("O1", 5), ("O2", 5), ("W1", 7), ("W2", 7)),
        ),
        Claim("factor-dense", "With S = 1, P = 0, D = 1 they are F (W - F + 1) / W.", _factor_dense, natural),
        Claim(
            "copies",
            "Value i of channel c stands in the columns as often as a tap of a window reads position i.",
            lambda: _of_channel(COPIES),
            ONE_CHANNEL,
        ),
        Claim(
            "copies-inside",
            "With S = 1, P = 0, D = 1 that is F times where i is F - 1 or more away from both ends.",
            _copies_inside,
            (("F", 3), ("W", 7), ("i", 2)),
        ),
        Claim(
            "copies-in-all",
            "All copies of a channel's values together are the taps that read inside the image: the other entries are "
            "padding.",
            _copies_in_all,
        ),
    )


def _pooling_claims() -> tuple[Claim, ...]:
    return (
        Claim(
            "average-pool",
            "Average pooling by im2col: the mean of the F rows of channel c in column o is the mean of window o.",
            _average_pool,
            ONE_CHANNEL,
        ),
        Claim(
            "max-pool-bound",
            "Max pooling by im2col: as many of the channel's rows as of the window's values are at most m.",
            lambda: _of_channel(AT_MOST),
            ONE_CHANNEL,
        ),
        Claim("max-pool-hit", "As many are equal to m.", lambda: _of_channel(EQUAL), ONE_CHANNEL),
        Claim(
            "max-pool",
            "So m is the maximum of the window, that is, all F values are at most m and one of them is m, exactly "
            "where m is the maximum of the channel's rows. Zeros of the padding are among both.",
            _max_pool,
            ONE_CHANNEL,
        ),
    )


READ = "sum i<W: x[{c}, i]*[i = S*o + D*{t} - P]"
PRODUCT = "w[k, {c}, {t}]*" + READ
PAIRED = "sum o<O: m[{c}*F + {t}, o]*" + READ
READ_2D = "sum i1<W1, i2<W2: x[{c}, i1, i2]*[i1 = S1*o1 + D1*{t1} - P1]*[i2 = S2*o2 + D2*{t2} - P2]"
PRODUCT_2D = "w[k, {c}, {t1}, {t2}]*" + READ_2D
PAIRED_2D = "sum o1<O1, o2<O2: m[({c}*F1 + {t1})*F2 + {t2}, o1, o2]*" + READ_2D
COPIES = "sum o<O: [i = S*o + D*{t} - P]"
AT_MOST, EQUAL = f"[{READ} <= m[]]", f"[{READ} = m[]]"

PAIR = {"c": "c", "t": "t", "t1": "t1", "t2": "t2"}
ROW = {"c": "(r//F)", "t": "(r - F*(r//F))"}
ROW_2D = {"c": "((r//F2)//F1)", "t1": "(r//F2 - F1*((r//F2)//F1))", "t2": "(r - F2*(r//F2))"}


# --- rows and pairs ---------------------------------------------------------------------------------------------------


def _quotient(channel: str = "c", size: str = "F", tap: str = "t") -> Theorem:
    """t >= 0, F - 1 >= t |- (c F + t)//F = c."""
    low, high = derived.given(f"{tap} >= 0"), derived.given(f"{size} - 1 >= {tap}")
    positive = derived.follows(formula(f"{size} >= 1"), low, high)
    return derived.quotient(term(f"({channel})*{size} + {tap}"), positive, term(channel), low, high)


def _row_bounds() -> list[Theorem]:
    """0 <= c <= C - 1, 0 <= t <= F - 1 |- c F + t >= 0, and C F - 1 >= c F + t."""
    known = [derived.given(text) for text in ("c >= 0", "C - 1 >= c", "t >= 0", "F - 1 >= t")]
    # c F + t = c (t + F - 1 - t) + c + t, and C F - 1 - (c F + t) = (C - 1 - c) (t + F - 1 - t + 1) + (F - 1 - t)
    lower = derived.certificate(formula("c*F + t >= 0"), known, [(1, [0, 2]), (1, [0, 3]), (1, [0]), (1, [2])])
    upper = derived.certificate(formula("C*F - 1 >= c*F + t"), known, [(1, [1, 2]), (1, [1, 3]), (1, [1]), (1, [3])])
    return [lower, upper]


def _row_bounds_2d() -> list[Theorem]:
    """The same for (c F1 + t1) F2 + t2 and C F1 F2: row c F1 + t1 of C F1, and t2 of F2."""
    low, high = (kernel.instantiate(each, {"F": term("F1"), "t": term("t1")}) for each in _row_bounds())
    names = {"c": term("c*F1 + t1"), "C": term("C*F1"), "F": term("F2"), "t": term("t2")}
    lower, upper = (derived.discharged(kernel.instantiate(each, names), low, high) for each in _row_bounds())
    return [lower, derived.follows(formula("C*F1*F2 - 1 >= (c*F1 + t1)*F2 + t2"), upper)]


def _rows(value: str) -> Theorem:
    """C >= 0, F >= 1 |- the sum of value over the rows r < C F = the sum over the pairs c < C, t < F."""
    goal = formula(f"sum r<C*F: {value.format(**ROW)} = sum c<C, t<F: {value.format(**PAIR)}")
    return sums.recounted(goal, _one_pair(), *_row_bounds(), _quotient())


def _rows_2d(value: str) -> Theorem:
    """C >= 0, F1 >= 1, F2 >= 1 |- the sum of value over the rows r < C F1 F2 = the sum over the triples c, t1, t2."""
    goal = formula(f"sum r<C*F1*F2: {value.format(**ROW_2D)} = sum c<C, t1<F1, t2<F2: {value.format(**PAIR)}")
    quotients = _quotient("c*F1 + t1", "F2", "t2"), _quotient("c", "F1", "t1")
    return sums.recounted(goal, _one_pair_2d(), *_row_bounds_2d(), *quotients)


def _tap() -> Theorem:
    """t >= 0, F - 1 >= t |- (c F + t) - F ((c F + t)//F) = t."""
    return derived.stated("c*F + t - F*((c*F + t)//F) = t", derived.times(term("-F"), _quotient()))


def _decoded(letter: str) -> Theorem:
    """t1 and t2 in range |- what row (c F1 + t1) F2 + t2 decodes to is c, t1 or t2."""
    row, first, second = "((c*F1 + t1)*F2 + t2)", _quotient("c*F1 + t1", "F2", "t2"), _quotient("c", "F1", "t1")
    goal = f"{ROW_2D[letter].replace('r', row)} = {letter}"
    if letter == "t2":
        return derived.stated(goal, derived.times(term("-F2"), first))
    rest = derived.congruence(term("q//F1" if letter == "c" else "q - F1*(q//F1)"), first)
    return derived.stated(goal, rest, second if letter == "c" else derived.times(term("-F1"), second))


def _row_in_range() -> Theorem:
    """c < C, t < F |- 0 <= c F + t <= C F - 1."""
    return _all(_row_bounds())


def _all(bounds: Sequence[Theorem]) -> Theorem:
    """From a >= lo, hi >= b, ...: [lo <= a] [b <= hi] ... = 1."""
    found = derived.product(*map(indicators.decided, bounds))
    return derived.equals(found.conclusion[1], 1, found)


def _pair_in_range() -> Theorem:
    """F >= 1, 0 <= r <= C F - 1 |- 0 <= r//F <= C - 1 and 0 <= r - F (r//F) <= F - 1."""
    size, low, high = (derived.given(text) for text in ("F >= 1", "r >= 0", "C*F - 1 >= r"))
    row, channel, tap = term("r"), term("r//F"), term("r - F*(r//F)")
    under, over = kernel.division(row, size), kernel.division(row, size, upper=True)
    last = (">=", term("C - 1"), channel)
    bounds = [
        derived.floor_at_least(row, size, 0, low),
        derived.certificate(last, [under, high, size], derived.REFUTED, refute=True),
        derived.follows((">=", tap, 0), under),
        derived.follows((">=", term("F - 1"), tap), over),
    ]
    return _all(bounds)


@functools.cache
def _one_pair() -> Theorem:
    """C >= 0, F >= 1, 0 <= r <= C F - 1 |- the number of pairs c < C, t < F with r = c F + t is 1."""
    once = kernel.instantiate(sums.one_class(), {"s": term("F"), "n": term("C"), "m": term("r")})
    once = kernel.discharge(once, derived.follows(formula("F*C - 1 >= r"), derived.given("C*F - 1 >= r")))
    return derived.stated("sum c<C, t<F: [r = c*F + t] = 1", once)


@functools.cache
def _one_pair_2d() -> Theorem:
    """C >= 0, F1 >= 1, F2 >= 1, 0 <= r <= C F1 F2 - 1 |- the number of triples with r = (c F1 + t1) F2 + t2 is 1."""
    low, positive, high = (derived.given(text) for text in ("C >= 0", "F1 >= 1", "C*F1*F2 - 1 >= r"))
    many = derived.certificate(formula("C*F1 >= 0"), [low, positive], [(1, [0, 1]), (1, [0])])
    last = derived.follows(formula("(C*F1)*F2 - 1 >= r"), high)
    line = kernel.instantiate(_one_pair(), {"C": term("C*F1"), "F": term("F2")})
    taps = sums.by_classes("C", "c", "t1", positive, term("sum t2<F2: [r = c*F2 + t2]"))
    goal = "sum c<C, t1<F1, t2<F2: [r = (c*F1 + t1)*F2 + t2] = 1"
    return derived.stated(goal, derived.symmetric(taps), derived.discharged(line, many, last))


# --- the product and its adjoint --------------------------------------------------------------------------------------


def _adjoint() -> Theorem:
    """C >= 0, F >= 1 |- <m, col(x)> = <x, col2im(m)>."""
    matrix = "sum r<C*F, o<O: m[r, o]*" + READ.format(**ROW)
    folded = "sum c<C, i<W: x[c, i]*sum t<F, o<O: m[c*F + t, o]*[i = S*o + D*t - P]"
    rows = _rows(PAIRED)
    return derived.stated(f"{matrix} = {folded}", rows, sums.reordered(rows.conclusion[2], term(folded)))


def _adjoint_2d() -> Theorem:
    """C >= 0, F1 >= 1, F2 >= 1 |- <m, col(x)> = <x, col2im(m)> on two axes."""
    matrix = "sum r<C*F1*F2, o1<O1, o2<O2: m[r, o1, o2]*" + READ_2D.format(**ROW_2D)
    folded = (
        "sum c<C, i1<W1, i2<W2: x[c, i1, i2]*sum t1<F1, t2<F2, o1<O1, o2<O2: m[(c*F1 + t1)*F2 + t2, o1, o2]"
        "*[i1 = S1*o1 + D1*t1 - P1]*[i2 = S2*o2 + D2*t2 - P2]"
    )
    rows = _rows_2d(PAIRED_2D)
    return derived.stated(f"{matrix} = {folded}", rows, sums.reordered(rows.conclusion[2], term(folded)))


def _fold_unfold() -> Theorem:
    """0 <= i <= W - 1 |- the sum of x~[c, p] [i = p], p = S o + D t - P, = x[c, i] times the sum of [i = p]."""
    place, last, low, high = term("S*o + D*t - P"), term("W - 1"), derived.given("i >= 0"), derived.given("W - 1 >= i")
    inside = term("[0 <= q]*[q <= W - 1]")
    read = kernel.sift("j", 0, last, term("x[c, j]"), place)
    moved = indicators.moved(("*", term("x[c, q]"), inside), place, term("i"))
    here = derived.times(term("x[c, i]*[i = S*o + D*t - P]"), _all([low, high]))
    copied = derived.chain(derived.times(("is", term("i"), place), read), moved, here)
    return derived.stated(
        "sum t<F, o<O: (sum j<W: x[c, j]*[j = S*o + D*t - P])*[i = S*o + D*t - P]"
        " = x[c, i]*sum t<F, o<O: [i = S*o + D*t - P]",
        sums.under(sums.ranges("t<F, o<O"), copied),
    )


# --- what the columns hold --------------------------------------------------------------------------------------------


def _product(*natural: Theorem) -> Theorem:
    """From a >= 0, b >= 0, ...: a b ... >= 0."""
    goal = (">=", ("*", *(each.conclusion[1] for each in natural)), 0)
    return derived.certificate(goal, natural, [(1, [*range(len(natural))])])


def _natural(*letters: str) -> list[Theorem]:
    """a >= 1 |- a >= 0 for the letters."""
    return [derived.natural(derived.given(f"{letter} >= 1")) for letter in letters]


def _entries() -> Theorem:
    """C >= 0, F >= 0, O >= 0 |- the number of places r < C F, o < O is C F O."""
    channels, taps, columns = (derived.given(f"{letter} >= 0") for letter in "CFO")
    return derived.stated("sum r<C*F, o<O: 1 = C*F*O", sums.counted_box(_product(channels, taps), columns))


def _ratio(goal: str, entries: Theorem, values: Theorem, common: str, number: str, size: str) -> Theorem:
    """common >= 1, size >= 1 |- number / size is the ratio of common number entries and common size values."""
    _, (_, _, (_, box)), _ = formula(goal)
    known = [derived.given(f"{letter} >= 1") for letter in f"{common}*{size}".split("*")]
    all_values, one_channel = derived.positive_product(*known), derived.positive_product(*known[1:])
    same = kernel.rewrite(kernel.identity(("inv", box), ("inv", values.conclusion[1])), values)
    premises = [entries, same, derived.inverse(all_values), derived.inverse(one_channel)]
    c, n, m = term(common), term(number), term(size)
    products = [(("inv", box), [0]), (("*", c, n), [1]), (("*", n, ("inv", m)), [2])]
    return derived.certificate(formula(goal), premises, [*products, (("*", -1, n, c, same.conclusion[2]), [3])])


def _factor() -> Theorem:
    """C >= 1, W >= 1, F >= 0, O >= 0 |- the entries of the columns of x / the values of x = F O / W."""
    (channels, size), taps, columns = _natural("C", "W"), derived.given("F >= 0"), derived.given("O >= 0")
    entries, values = sums.counted_box(_product(channels, taps), columns), sums.counted_box(channels, size)
    goal = "(sum r<C*F, o<O: 1)/(sum c<C, i<W: 1) = (F*O)/W"
    return _ratio(goal, entries, values, "C", "F*O", "W")


def _factor_2d() -> Theorem:
    """The same on two axes: F1 F2 O1 O2 / (W1 W2)."""
    image = _natural("C", "W1", "W2")
    taps, columns = ([derived.given(f"{letter}{axis} >= 0") for axis in (1, 2)] for letter in "FO")
    entries, values = sums.counted_box(_product(image[0], *taps), *columns), sums.counted_box(*image)
    goal = "(sum r<C*F1*F2, o1<O1, o2<O2: 1)/(sum c<C, i1<W1, i2<W2: 1) = (F1*F2*O1*O2)/(W1*W2)"
    return _ratio(goal, entries, values, "C", "F1*F2*O1*O2", "W1*W2")


def _factor_dense() -> Theorem:
    """The same for O = W - F + 1."""
    return kernel.instantiate(_factor(), {"O": term("W - F + 1")})


def _of_channel(value: str) -> Theorem:
    """F >= 1, 0 <= c <= C - 1 |- the sum of value over the rows of channel c = the sum over its taps t < F."""
    low, high = derived.given("b >= 0"), derived.given("C - 1 >= b")
    every = _rows("[{c} = b]*" + value)
    picked = sums.sifted("c", 0, term("C - 1"), term(f"sum t<F: {value.format(**PAIR)}"), low, high)
    found = kernel.discharge(derived.chain(every, picked), derived.follows(formula("C >= 0"), low, high))
    goal = f"sum r<C*F: [r//F = c]*{value.format(**ROW)} = sum t<F: {value.format(**PAIR)}"
    return derived.stated(goal, kernel.instantiate(found, {"b": term("c")}))


def _copies_inside() -> Theorem:
    """F >= 0, F - 1 <= i <= W - F |- the number of o < W - F + 1, t < F with i = o + t is F."""
    size, low, high = (derived.given(text) for text in ("F >= 0", "i >= F - 1", "W - F >= i"))
    first, last = derived.given("t >= 0"), derived.given("F - 1 >= t")
    place, end = term("i - t"), term("W - F + 1 - 1")
    lower = derived.follows((">=", place, 0), low, last)
    upper = derived.follows((">=", end, place), high, first)
    once = sums.under(sums.ranges("t<F"), sums.sifted("o", 0, end, 1, lower, upper))
    return derived.stated("sum t<F, o<W - F + 1: [i = o + t] = F", once, sums.counted_box(size))


def _copies_in_all() -> Theorem:
    """|- the sum over i < W of the number of copies = the number of taps that read inside 0, ..., W - 1."""
    read = "S*o + D*t - P"
    found = sums.gathered(term(f"sum i<W, t<F, o<O: [i = {read}]"), "i", 1, term(read))
    return derived.stated(f"sum i<W, t<F, o<O: [i = {read}] = sum t<F, o<O: [0 <= {read}]*[{read} <= W - 1]", found)


def _average_pool() -> Theorem:
    """F >= 1, 0 <= c <= C - 1 |- the mean of the rows of channel c at column o = the mean of window o."""
    rows, taps = f"sum r<C*F: [r//F = c]*{READ.format(**ROW)}", f"sum t<F: {READ.format(**PAIR)}"
    return derived.stated(f"({rows})/F = ({taps})/F", derived.times(term("inv(F)"), _of_channel(READ)))


def _max_pool() -> Theorem:
    """F >= 1, 0 <= c <= C - 1 |- m is the maximum of window o iff it is that of the rows of channel c."""
    bound, hit = (derived.symmetric(_of_channel(value)) for value in (AT_MOST, EQUAL))
    window = ("=", ("*", bound.conclusion[1], ("le", 1, hit.conclusion[1])), term("F"))
    forward = kernel.rewrite(kernel.rewrite(kernel.assume(window), bound), hit)
    bound, hit = derived.symmetric(bound), derived.symmetric(hit)
    backward = kernel.rewrite(kernel.rewrite(kernel.assume(forward.conclusion), bound), hit)
    return kernel.equivalent(forward, backward)


# --- the shipping code ------------------------------------------------------------------------------------------------


def _columns(x: np.ndarray, kernel_size: Sequence[int], **options: object) -> ag.Tensor:
    """im2col (N, C*taps, *windows) of x (N, C, *sizes), as the layer runs it: one filter for every row."""
    rows = x.shape[1] * int(np.prod(kernel_size))
    one_each = np.eye(rows, dtype=np.int64).reshape(rows, x.shape[1], *kernel_size)
    return ag.conv(x, one_each, algorithm="im2col", **options)


def _options(case: ConvCase) -> dict[str, object]:
    return {"stride": case.stride, "padding": case.padding, "dilation": case.dilation}


def _walked(case: ConvCase) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...], tuple[int, ...]]]:
    """For every tap of every window: its number, the tap, the window, and the position that it reads."""
    axes = zip(case.sizes, case.kernel, case.stride, case.padding, case.dilation, strict=True)
    windows = [oracle.places(*axis) for axis in axes]
    for number, tap in enumerate(np.ndindex(*case.kernel)):
        for output in np.ndindex(*map(len, windows)):
            yield number, tap, output, tuple(w[o][t] for w, o, t in zip(windows, output, tap, strict=True))


def _inside(case: ConvCase, place: tuple[int, ...]) -> bool:
    return all(0 <= i < size for i, size in zip(place, case.sizes, strict=True))


def _product_of_columns(case: ConvCase) -> None:
    """Row c F + t of the columns is tap t of channel c, and the stretched filters times them are the convolution."""
    x, w = case.integers(case.x_shape, (3, case.x_shape[1], *case.kernel))
    columns = _columns(x, case.kernel, **_options(case)).numpy()
    taps = int(np.prod(case.kernel))
    for number, _, output, place in _walked(case):
        for c in range(case.x_shape[1]):
            expected = x[(slice(None), c, *place)] if _inside(case, place) else np.zeros(case.batch, np.int64)
            equal(f"row {c * taps + number}", columns[(slice(None), c * taps + number, *output)], expected)
    y = ag.conv(x, w, algorithm="direct", **_options(case)).numpy()
    product = np.einsum("kr,nr...->nk...", w.reshape(3, -1), columns)
    equal("the product", product, y)


def _folded_back(case: ConvCase) -> None:
    """The gradient of the columns adds up every entry at its position, and counts the copies."""
    (x,) = case.integers(case.x_shape)
    X = ag.tensor(x)
    columns = _columns(X, case.kernel, **_options(case))
    (m,) = case.integers(columns.shape)
    taps = int(np.prod(case.kernel))
    folded, copies, reads = np.zeros_like(x), np.zeros(case.sizes, np.int64), 0
    for number, _, output, place in _walked(case):
        if _inside(case, place):
            folded[(..., *place)] += m[(slice(None), slice(number, None, taps), *output)]
            copies[place] += 1
            reads += 1
    equal("col2im", ag.grad(columns, [X], m)[0].numpy(), folded)
    equal("col2im of im2col", ag.grad(columns, [X], columns.numpy())[0].numpy(), copies * x)
    equal("all copies", copies.sum(), reads)
    equal("<m, im2col(x)>", (m * columns.numpy()).sum(), (folded * x).sum())


def _pooled(case: PoolCase) -> None:
    """Average and max pooling without padding are the mean and the maximum of each channel's rows."""
    sizes = tuple(n + sum(pads) for n, pads in zip(case.sizes, case.padding, strict=True))
    x = np.random.default_rng(case.seed).integers(-HALF_RANGE, HALF_RANGE, (case.batch, case.channels, *sizes))
    columns = _columns(x, case.kernel, stride=case.stride).numpy()
    rows = columns.reshape(case.batch, case.channels, -1, *columns.shape[2:])  # (N, C*F, ...) -> (N, C, F, ...)
    equal("max", ag.max_pool(x, case.kernel, case.stride).numpy(), rows.max(axis=2))
    exact = np.vectorize(Fraction, otypes=[object])
    mean = exact(rows.sum(axis=2)) / int(np.prod(case.kernel))
    equal("mean", ag.avg_pool(exact(x), case.kernel, case.stride).numpy(), mean)


def _replication(size: int, kernel_size: int, stride: int, padding: int) -> str:
    outputs = window.count(Axis(kernel_size, stride, padding, padding), size)
    return f"{(kernel_size * outputs / size) ** 2:.2f}"


LAYERS = ((3, 1, 1, 224), (7, 2, 3, 224), (11, 4, 0, 227), (2, 2, 0, 224), (1, 1, 0, 224))
_SMALL = conv_cases(max_rank=2, largest=3)
_COLUMNS = Relation(
    "columns walked",
    "row c F + t = tap t of channel c of every window, and filters times columns = the convolution",
    _SMALL,
    _product_of_columns,
    degree=2,
)
_FOLDED = Relation(
    "columns folded back",
    "the gradient of im2col = every entry added up at its position; of the columns of x = x times its copies",
    _SMALL,
    _folded_back,
    degree=2,
)
_POOLED = Relation(
    "pooling by columns",
    "mean and maximum of a channel's rows = average and max pooling",
    pool_cases(max_rank=2),
    _pooled,
)
