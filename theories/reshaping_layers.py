"""One layer written as another: FC as CONV, CONV as FC, 1x1 CONV at every pixel, dilation, average pooling."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from convproof import autograd as ag
from convproof.check import Relation, oracle, relation
from convproof.check.cases import HALF_RANGE, ConvCase, PoolCase, conv_cases, pool_cases
from convproof.check.relations import equal
from convproof.proof import Theorem, derived, kernel, sums
from convproof.proof.algebra import Term, substitute
from convproof.proof.language import formula, term, written
from convproof.report import Equation
from convproof.spec import Conv, Linear
from convproof.symbolic import output_shape, symbols, weights
from convproof.theory import Claim, Finding, Step, Theory

C, K, W, H = symbols("C K W H")


def theory() -> Theory:
    whole = Conv("K", ("H", "W"))
    shape, count = output_shape(Conv(4096, 7), (512, 7, 7)), weights(Conv(4096, 7), (512, 7, 7))
    return Theory(
        id="reshaping-layers",
        order=90,
        title="One layer written as another",
        statement=(
            "A fully connected layer is the convolution whose filters are as large as its input. A convolution is the "
            "fully connected layer whose matrix is, for every filter and channel, a Toeplitz block, zero but for a "
            "fraction F / W. A 1x1 convolution is a fully connected layer at every pixel; a dilated filter is a dense "
            "one with zeros between its taps; average pooling is a filter of equal weights on each channel."
        ),
        equations=(Equation(weights(whole, (C, H, W)), weights(Linear("K"), (C, H, W))),),
        hypotheses=(Equation(W, 1, ">="), Equation(H, 1, ">=")),
        witness=(("W", 7), ("H", 7)),
        steps=(
            Step(
                output_shape(whole, (C, H, W))[1],
                1,
                "a filter as high as its input fits once",
                "outputs along the height",
            ),
            Step(
                weights(whole, (C, H, W)),
                K * C * H * W,
                "as many weights as the fully connected layer on the flattened input",
                "weights of the convolution",
            ),
            Step(
                weights(Conv("K", 1), (C, H, W)),
                K * C,
                "a 1x1 convolution is a C-dimensional dot product",
                "its weights",
            ),
        ),
        claims=(*_fc_as_conv(), *_conv_as_fc(), *_filters()),
        relations=(_FC, _MATRIX, _PIXELS, _DILATED, _AVERAGED, relation("conv algorithms, letters")),
        findings=(
            Finding(
                "FC with K=4096 on 7x7x512 as CONV with F=7: output",
                "1x1x4096",
                _by_width(shape),
                _by_width(shape) == "1x1x4096",
            ),
            Finding("its weights, as in the VGG table", "102,760,448", count, count == 102760448),
        ),
        source=(
            "the notes, sections `Converting FC layers to CONV layers`, `1x1 convolution`, `Dilated convolutions`; "
            "G. Golub and C. Van Loan, Matrix Computations, 4.7 on Toeplitz matrices"
        ),
    )


def _by_width(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}x{shape[0]}"


TAP = (("D", 2), ("F", 3), ("t", 1))
FITTING = (("S", 2), ("D", 2), ("O", 2), ("F", 3), ("W", 7))


def _fc_as_conv() -> tuple[Claim, ...]:
    return (
        Claim(
            "fits-once",
            "With F = W and no padding a window fits exactly once, at any stride.",
            _fits_once,
            (("S", 1),),
        ),
        Claim(
            "dot-product",
            "There filter k of the convolution computes unit k of the fully connected layer on the flattened input, "
            "where position i of channel c is feature c W + i, whatever both hold.",
            _dot_product,
            (("C", 2), ("W", 7)),
        ),
        Claim(
            "dot-product-2d",
            "The same on two axes, where (c, i1, i2) is feature (c W1 + i1) W2 + i2.",
            _dot_product_2d,
            (("C", 2), ("W1", 7), ("W2", 7)),
        ),
        Claim(
            "pointwise",
            "On two axes a 1x1 convolution is, at every pixel, a fully connected layer on its C channels.",
            _pointwise,
            (("W1", 7), ("W2", 7), ("o1", 0), ("o2", 6)),
        ),
    )


def _conv_as_fc() -> tuple[Claim, ...]:
    return (
        Claim(
            "matrix",
            "A convolution is the fully connected layer with this matrix: row (k, o), column (c, i) holds the sum over "
            "the taps of w[k, c, t] where i is the place S o + D t - P.",
            _matrix,
        ),
        Claim("matrix-2d", "The same on two axes.", _matrix_2d),
        Claim(
            "toeplitz",
            "The block of each filter and channel repeats itself a rows down and S a columns to the right: with S = 1 "
            "it is a Toeplitz matrix.",
            _toeplitz,
        ),
        Claim(
            "apart",
            "Two taps of one output read the same place only if they are the same tap.",
            _apart,
            (("D", 2),),
        ),
        Claim("once", "So no entry of the matrix gets more than one tap.", _once, (("D", 2),)),
        Claim("entry", "The entry at the place of tap t is the weight w[k, c, t].", _entry, TAP),
        Claim("unreached", "Every entry that no tap reaches is 0.", _unreached, (("D", 2),)),
        Claim(
            "weights-placed",
            "The entries that hold a weight are as many as the taps that read inside the image.",
            _nonzeros_padded,
            (("D", 2),),
        ),
        Claim(
            "weights-placed-unpadded",
            "Without padding, where the last window fits, each filter and channel has O F of them.",
            _nonzeros,
            FITTING,
        ),
        Claim(
            "zeros",
            "Then the fraction of the matrix that is zero, whatever the weights, is 1 - F / W.",
            _zeros,
            (("K", 2), ("C", 2), *FITTING),
        ),
        Claim(
            "zeros-2d",
            "On two axes it is 1 - F1 F2 / (W1 W2).",
            _zeros_2d,
            (("K", 2), ("C", 2), *((f"{name}{axis}", size) for axis in "12" for name, size in FITTING)),
        ),
    )


def _filters() -> tuple[Claim, ...]:
    return (
        Claim(
            "dilation",
            "The dense filter that holds w[t] at D t and zeros elsewhere computes what w computes with dilation D.",
            _dilation,
            (("D", 2),),
        ),
        Claim(
            "average",
            "Average pooling is the convolution whose filter k has 1 / (F1 F2) at every tap of channel k and 0 at the "
            "other channels; zeros of the padding are counted.",
            _average,
            (("C", 2), ("k", 1)),
        ),
    )


EVERY_AXIS = [*"iotsSDPFWO"]
ROW = "sum t<F: w[k, c, t]*[i = S*o + D*t - P]"
ROW_2D = "sum t1<F1, t2<F2: w[k, c, t1, t2]*[i1 = S1*o1 + D1*t1 - P1]*[i2 = S2*o2 + D2*t2 - P2]"
TAPS = "sum t<F: [i = S*o + D*t - P]"
FITS = "W - 1 >= S*(O - 1) + D*(F - 1)"
READ = "sum i<W: x[c, i]*[i = S*o + D*t - P]"
READ_2D = "sum i1<W1, i2<W2: x[c, i1, i2]*[i1 = S1*o1 + D1*t1 - P1]*[i2 = S2*o2 + D2*t2 - P2]"


def _stated(text: str, *equations: Theorem) -> Theorem:
    """The equation of the notation, as the sum of the given ones."""
    _, left, right = formula(text)
    return derived.equals(left, right, *equations)


def _over(ranges: str) -> list[sums.Range]:
    """The ranges of the notation."""
    return sums.flattened(term(f"sum {ranges}: 1"))[0]


def _on_axis(theorem: Theorem, axis: str) -> Theorem:
    """The theorem with that number at its letters of an axis."""
    return kernel.instantiate(theorem, {letter: term(letter + axis) for letter in EVERY_AXIS})


def _picked(value: Term, *axes: tuple[sums.Range, Theorem, Theorem]) -> Theorem:
    """From places in their ranges on every axis: the sum of value(i, ...) [i = place] ... = value(place, ...)."""
    found = None
    for each, lower, upper in reversed(axes):
        here = sums.sifted(*each, found.conclusion[2] if found else value, lower, upper)
        hit = ("is", ("v", each[0]), lower.conclusion[1])
        found = derived.chain(sums.under([each], derived.times(hit, found)), here) if found else here
    return found


# --- FC as CONV, and pointwise ----------------------------------------------------------------------------------------


def _fits_once() -> Theorem:
    """S >= 1 |- (W - W)//S + 1 = 1: there is no room to move."""
    room, stride = term("W - W"), derived.given("S >= 1")
    lower = derived.at_least(room, term("S*0"))
    upper = derived.certificate((">=", term("S*0 + S - 1"), room), [stride], [(1, [0])])
    return _stated("(W - W)//S + 1 = 1", derived.floor_is(room, stride, 0, lower, upper))


def _tap_in_range(axis: str = "") -> tuple[sums.Range, Theorem, Theorem]:
    """The range i < W, and t >= 0 and W - 1 >= t |- the tap's place is in it."""
    (each,) = _over(f"i{axis}<W{axis}")
    return each, derived.given(f"t{axis} >= 0"), derived.given(f"W{axis} - 1 >= t{axis}")


def _dot_product() -> Theorem:
    """C >= 0, W >= 1 |- filter k with F = W, at its one place, is row k of the fully connected layer."""
    window, taps = _picked(term("x[c*W + i]"), _tap_in_range()), _over("c<C, t<W")
    read = sums.under(taps, derived.times(term("w[k, c*W + t]"), window))
    classes = sums.by_classes("C", "r", "t", derived.given("W >= 1"), term("w[k, r]*x[r]"))
    return _stated(
        "b[k] + sum c<C, t<W: w[k, c*W + t]*sum i<W: x[c*W + i]*[i = t] = b[k] + sum r<C*W: w[k, r]*x[r]",
        read,
        derived.symmetric(classes),
    )


def _dot_product_2d() -> Theorem:
    """C >= 0, W1 >= 1, W2 >= 1 |- the same on two axes: row-major, (c, i1, i2) is feature (c W1 + i1) W2 + i2."""
    window = _picked(term("x[(c*W1 + i1)*W2 + i2]"), _tap_in_range("1"), _tap_in_range("2"))
    read = sums.under(_over("c<C, t1<W1, t2<W2"), derived.times(term("w[k, (c*W1 + t1)*W2 + t2]"), window))
    channels, height, width = (derived.given(text) for text in ("C >= 0", "W1 >= 1", "W2 >= 1"))
    lines = derived.certificate(formula("C*W1 >= 0"), [channels, height], [(1, [0, 1]), (1, [0])])
    flat = sums.by_classes("C", "r", "t2", width, term("w[k, r]*x[r]"))
    flat = kernel.discharge(kernel.instantiate(flat, {"C": term("C*W1")}), lines)
    line = term("sum t2<W2: w[k, r*W2 + t2]*x[r*W2 + t2]")
    return _stated(
        "b[k] + sum c<C, t1<W1, t2<W2: w[k, (c*W1 + t1)*W2 + t2]"
        "*sum i1<W1, i2<W2: x[(c*W1 + i1)*W2 + i2]*[i1 = t1]*[i2 = t2] = b[k] + sum r<C*W1*W2: w[k, r]*x[r]",
        read,
        derived.symmetric(sums.by_classes("C", "r", "t1", height, line)),
        derived.symmetric(flat),
    )


def _single(name: str, body: Term) -> Theorem:
    """|- the sum of body over the name below 1 = body at 0."""
    last = kernel.last_term(("sum", name, 0, 0, body), derived.at_least(0, 0))
    return derived.equals(last.conclusion[1], last.conclusion[2][2], last, sums.none(name, 0, -1, body))


def _pointwise() -> Theorem:
    """0 <= o1 < W1, 0 <= o2 < W2 |- the 1x1 convolution at pixel (o1, o2) is the dot product of its C channels."""
    taps = term("w[k, c, t1, t2]*sum i1<W1, i2<W2: x[c, i1, i2]*[i1 = o1 + t1]*[i2 = o2 + t2]")
    first = _single("t1", ("sum", "t2", 0, 0, taps))
    second = _single("t2", first.conclusion[2][4])
    axes = [
        (*_over(f"i{axis}<W{axis}"), derived.given(f"o{axis} >= 0"), derived.given(f"W{axis} - 1 >= o{axis}"))
        for axis in "12"
    ]
    read = derived.times(term("w[k, c, 0, 0]"), _picked(term("x[c, i1, i2]"), *axes))
    return _stated(
        f"sum c<C, t1<1, t2<1: {written(taps)} = sum c<C: w[k, c, 0, 0]*x[c, o1, o2]",
        sums.under(_over("c<C"), derived.chain(first, second, read)),
    )


# --- CONV as FC -------------------------------------------------------------------------------------------------------


def _matrix() -> Theorem:
    """|- filter k at output o = row (k, o) of the matrix times the image."""
    layer, dense = term(f"sum c<C, t<F: w[k, c, t]*{READ}"), term(f"sum c<C, i<W: ({ROW})*x[c, i]")
    return sums.reordered(layer, dense)


def _matrix_2d() -> Theorem:
    """|- the same on two axes."""
    layer = term(f"sum c<C, t1<F1, t2<F2: w[k, c, t1, t2]*{READ_2D}")
    return sums.reordered(layer, term(f"sum c<C, i1<W1, i2<W2: ({ROW_2D})*x[c, i1, i2]"))


def _toeplitz() -> Theorem:
    """|- the entry a rows further down and S a columns further right is the same."""
    return _stated(f"{ROW.replace('i =', 'i + S*a =').replace('S*o', 'S*(o + a)')} = {ROW}")


def _moved(value: Term, a: Term, b: Term) -> Theorem:
    """|- value(a) [a = b] = value(b) [a = b], where value has the letter q."""

    def once(body: Term) -> Theorem:
        """|- body(a) [a = b] = body(b) [a <= b] [b <= a]: the sum over q = a, ..., a, in two ways."""
        found = kernel.sift("q", a, a, body, b)
        last = kernel.last_term(found.conclusion[1], derived.at_least(a, a))
        before = sums.none(*last.conclusion[2][1][1:])
        alone = ("*", substitute(body, {"q": a}), ("is", a, b))
        return derived.equals(alone, found.conclusion[2], derived.symmetric(before), derived.symmetric(last), found)

    there = substitute(value, {"q": b})
    left, right = (("*", part, ("is", a, b)) for part in (substitute(value, {"q": a}), there))
    products = [(1, [0]), (("*", -1, there), [1])]
    return derived.certificate(("=", left, right), [once(value), once(1)], products)


def _apart() -> Theorem:
    """D >= 1 |- two taps of an output read the same place exactly where they are the same tap."""
    step, (t, s) = derived.given("D >= 1"), (term("t"), term("s"))

    def tap(letter: str) -> Theorem:
        """D >= 1 |- (D t)//D = t."""
        place = term(f"D*{letter}")
        upper = derived.certificate((">=", term(f"D*{letter} + D - 1"), place), [step], [(1, [0])])
        return derived.floor_is(place, step, term(letter), derived.at_least(place, place), upper)

    # [D t = D s] [(D t)//D = s] is the first, since s is (D s)//D, and the second, since t is (D t)//D
    same = ("is", term("D*t"), term("D*s"))
    places = _moved(term("[q//D = s]"), same[1], same[2])
    taps = _moved(term("[D*q = D*s]"), t, s)
    both = kernel.rewrite(kernel.rewrite(places, tap("t")), tap("s"))
    return _stated("[S*o + D*t - P = S*o + D*s - P] = [t = s]", derived.symmetric(both), taps)


def _alone() -> Theorem:
    """D >= 1, 0 <= t < F |- where tap t reads place i, it is the only tap that does."""
    place, other = term("S*o + D*t - P"), term("S*o + D*s - P")
    taps, hit = _over("s<F"), ("is", term("i"), place)
    met = _moved(("is", ("v", "q"), other), term("i"), place)
    meeting = derived.chain(met, derived.times(hit, _apart()))
    itself = sums.sifted(*taps[0], 1, derived.given("t >= 0"), derived.given("F - 1 >= t"))
    return _stated(
        "[i = S*o + D*t - P]*sum s<F: [i = S*o + D*s - P] = [i = S*o + D*t - P]",
        sums.under(taps, meeting),
        derived.times(hit, itself),
    )


def _entry() -> Theorem:
    """D >= 1, 0 <= t < F |- row (k, o) holds w[k, c, t] at the place of tap t."""
    taps, met = _over("s<F"), derived.times(term("w[k, c, s]"), _apart())
    own = sums.sifted(*taps[0], term("w[k, c, s]"), derived.given("t >= 0"), derived.given("F - 1 >= t"))
    return _stated(
        "sum s<F: w[k, c, s]*[S*o + D*t - P = S*o + D*s - P] = w[k, c, t]",
        sums.under(taps, met),
        own,
    )


def _all_alone(weight: str) -> Theorem:
    """D >= 1 |- the sum of weight over the taps that read place i, times how many do, is that sum."""
    row = f"(sum t<F: {weight}*[i = S*o + D*t - P])"
    return _stated(f"{row}*{TAPS} = {row}", sums.under(_over("t<F"), derived.times(term(weight), _alone())))


def _bit() -> Theorem:
    """n n = n |- [1 <= n] = n: n is 0 or 1."""
    square, n = derived.given("n*n = n"), term("n")
    least = derived.certificate(formula("n >= 0"), [square], [(1, [1, 1]), (3, [1]), (-1, [0])], 2, refute=True)
    most = derived.certificate(formula("1 >= n"), [square], [(1, [1, 1]), (3, [1]), (-1, [0])], 2, refute=True)
    covered = sums.sifted("q", 0, 1, 1, least, most)
    last = kernel.last_term(term("sum q=0..1: [q = n]"), derived.at_least(1, 0))
    zero = _single("q", term("[q = n]"))
    either = _stated("[0 = n] + [1 = n] = 1", derived.symmetric(zero), derived.symmetric(last), covered)
    # n = n [0 = n] + n [1 = n] = [1 = n], and likewise [1 <= n]
    size = [_moved(value, number, n) for value in (term("q"), term("[1 <= q]")) for number in (0, 1)]
    goal = formula("[1 <= n] = n")
    products = [(("+", n, ("*", -1, term("[1 <= n]"))), [0]), (1, [1]), (1, [2]), (-1, [3]), (-1, [4])]
    return derived.certificate(goal, [either, *size], products)


def _square() -> Theorem:
    """D >= 1 |- the number of taps that read place i is its own square."""
    return _stated(f"({TAPS})*({TAPS}) = {TAPS}", _all_alone("1"))


def _once() -> Theorem:
    """D >= 1 |- at most one tap of an output reads place i."""
    products = [(1, [1, 1]), (3, [1]), (-1, [0])]
    return derived.certificate(formula(f"1 >= {TAPS}"), [_square()], products, 2, refute=True)


def _unreached() -> Theorem:
    """D >= 1 |- the entry where no tap reaches is 0."""
    return _stated(f"(1 - {TAPS})*({ROW}) = 0", derived.times(-1, _all_alone("w[k, c, t]")))


def _reached() -> Theorem:
    """D >= 1 |- [a tap reads place i] = the number of taps that do."""
    square = _square()
    return kernel.discharge(kernel.instantiate(_bit(), {"n": square.conclusion[2]}), square)


def _reached_2d() -> Theorem:
    """D1 >= 1, D2 >= 1 |- [a pair of taps reads (i1, i2)] = the product of the numbers of taps that do, by axis."""
    first, second = (_on_axis(_square(), axis) for axis in "12")
    n, m = first.conclusion[2], second.conclusion[2]
    both = ("=", ("*", ("*", n, m), ("*", n, m)), ("*", n, m))
    square = derived.certificate(both, [first, second], [(("*", m, m), [0]), (n, [1])])
    return kernel.discharge(kernel.instantiate(_bit(), {"n": ("*", n, m)}), square)


def _read_in_all() -> Theorem:
    """|- the number of taps that read the places i < W = the number of taps whose place is inside the image."""
    place = "S*o + D*t - P"
    inside = sums.under(_over("o<O, t<F"), kernel.sift(*_over("i<W")[0], 1, term(place)))
    goal = formula(f"sum o<O, i<W, t<F: [i = {place}] = sum o<O, t<F: [0 <= {place}]*[{place} <= W - 1]")
    return derived.equals(*goal[1:], sums.reordered(goal[1], inside.conclusion[1]), inside)


def _read_unpadded() -> Theorem:
    """S >= 0, D >= 0, O >= 0, F >= 0, W - 1 >= S (O - 1) + D (F - 1) |- without padding that number is O F."""
    texts = "S >= 0", "D >= 0", "o >= 0", "O - 1 >= o", "t >= 0", "F - 1 >= t", FITS
    known = [derived.given(text) for text in texts]
    lower = derived.certificate(formula("S*o + D*t >= 0"), known, [(1, [0, 2]), (1, [1, 4])])
    upper = derived.certificate(formula("W - 1 >= S*o + D*t"), known, [(1, [0, 3]), (1, [1, 5]), (1, [6])])
    pairs = _over("o<O, t<F")
    one = sums.under(pairs, sums.sifted(*_over("i<W")[0], 1, lower, upper))
    number = kernel.identity(one.conclusion[2], term("(sum n<O: 1)*(sum n<F: 1)"))
    number = kernel.rewrite(kernel.rewrite(number, sums.counted("O", "n")), sums.counted("F", "n"))
    left = term("sum o<O, i<W, t<F: [i = S*o + D*t]")
    return derived.equals(left, term("O*F"), sums.reordered(left, one.conclusion[1]), one, number)


def _nonzeros() -> Theorem:
    """D >= 1, S >= 0, O >= 0, F >= 0, W - 1 >= S (O - 1) + D (F - 1) |- without padding they are O F."""
    reached = sums.under(_over("o<O, i<W"), kernel.instantiate(_reached(), {"P": 0}))
    step = _natural(derived.given("D >= 1"))
    goal = "sum o<O, i<W: [1 <= sum t<F: [i = S*o + D*t]] = O*F"
    return kernel.discharge(_stated(goal, reached, _read_unpadded()), step)


def _nonzeros_padded() -> Theorem:
    """D >= 1 |- the places of weights in the matrix, = the taps inside the image."""
    place, reached = "S*o + D*t - P", sums.under(_over("k<K, o<O, c<C, i<W"), _reached())
    left = f"sum k<K, o<O, c<C, i<W: [1 <= {TAPS}]"
    return _stated(
        f"{left} = sum k<K, c<C, o<O, t<F: [0 <= {place}]*[{place} <= W - 1]",
        reached,
        sums.under(_over("k<K, c<C"), _read_in_all()),
    )


def _at_least_one(*known: Theorem) -> Theorem:
    """From a >= 1, b >= 1, ...: a b ... >= 1."""
    found, *others = known
    for each in others:
        goal = (">=", ("*", found.conclusion[1], each.conclusion[1]), 1)
        found = derived.certificate(goal, [found, each], [(1, [0, 1]), (1, [0]), (1, [1])])
    return found


def _inverse(positive: Theorem) -> Theorem:
    """From a >= 1: a (1 / a) = 1."""
    a, one = positive.conclusion[1], derived.certificate(formula("1 > 0"), [], [(1, [])])
    products = [(1, [0, 0]), (2, [0]), (1, [1])]
    return kernel.reciprocal(a, derived.certificate((">", ("*", a, a), 0), [positive, one], products))


def _positive(letters: str, axes: Sequence[str] = ("",)) -> list[Theorem]:
    """a >= 1 |- a >= 1 for the letters, on every axis."""
    return [derived.given(f"{letter}{axis} >= 1") for axis in axes for letter in letters]


def _natural(positive: Theorem) -> Theorem:
    """From a >= 1: a >= 0."""
    return derived.certificate((">=", positive.conclusion[1], 0), [positive], [(1, [0]), (1, [])])


def _counted(positive: Theorem) -> Theorem:
    """From a >= 1, a a letter: the sum of 1 over n < a is a."""
    return kernel.discharge(sums.counted(positive.conclusion[1][1], "n"), _natural(positive))


def _room(axis: str) -> Theorem:
    """S >= 0, D >= 1, O >= 1, F >= 1, and the last window fits |- W >= 1."""
    known = [derived.given(text) for text in ("S >= 0", *(f"{a} >= 1" for a in "DOF"), FITS)]
    found = derived.certificate(formula("W >= 1"), known, [(1, [4]), (1, [0, 2]), (1, [1, 3]), (1, [3])])
    return _on_axis(found, axis)


def _number_of_zeros(zeros: Term, reached: Theorem, axes: Sequence[str]) -> Theorem:
    """K, C, O, F, D >= 1, S >= 0, and the last window fits |- the zeros are K C O W - K C O F; O, W, F by axis."""
    ranges, one = sums.flattened(zeros)
    unpadded = kernel.instantiate(reached, {f"P{axis}": 0 for axis in axes})
    same = derived.equals(one, derived.minus(1, unpadded.conclusion[2]), derived.times(-1, unpadded))
    left = sums.under(ranges, same)
    blocks = [_counted(each) for each in _positive("KC")]
    places = [_counted(each) for each in (*_positive("O", axes), *map(_room, axes))]
    taps = [
        functools.reduce(kernel.discharge, map(_natural, _positive("DOF", [axis])), _on_axis(_read_unpadded(), axis))
        for axis in axes
    ]
    every, read = (("*", *(each.conclusion[1] for each in (*blocks, *others))) for others in (places, taps))
    number = kernel.identity(left.conclusion[2], derived.minus(every, read))
    return derived.chain(left, functools.reduce(kernel.rewrite, (*blocks, *places, *taps), number))


def _fraction(goal: str, reached: Theorem, axes: Sequence[str] = ("",)) -> Theorem:
    """K, C, O, F, D >= 1, S >= 0, and the last window fits |- the goal: the fraction of zeros is 1 - F / W."""
    _, (_, zeros, share), _ = formula(goal)
    number = _number_of_zeros(zeros, reached, axes)
    rows, image = _positive("KC") + _positive("O", axes), _at_least_one(*map(_room, axes))
    matrix, alone = _inverse(_at_least_one(*rows, image)), _inverse(image)
    a, f = (("*", *(each.conclusion[1] for each in positive)) for positive in (rows, _positive("F", axes)))
    # a (w - f) / (a w) = 1 - f / w, from a w / (a w) = 1 and w / w = 1
    width = ("inv", image.conclusion[1])
    products = [(share, [0]), (derived.minus(1, ("*", f, width)), [1]), (("*", f, a, share), [2])]
    return derived.certificate(formula(goal), [number, matrix, alone], products)


def _zeros() -> Theorem:
    """The fraction of zeros on one axis."""
    goal = "(sum k<K, o<O, c<C, i<W: (1 - [1 <= sum t<F: [i = S*o + D*t]]))/(K*C*O*W) = 1 - F/W"
    return _fraction(goal, _reached())


def _zeros_2d() -> Theorem:
    """The fraction of zeros on two axes."""
    taps = "sum t1<F1, t2<F2: [i1 = S1*o1 + D1*t1]*[i2 = S2*o2 + D2*t2]"
    return _fraction(
        f"(sum k<K, o1<O1, o2<O2, c<C, i1<W1, i2<W2: (1 - [1 <= {taps}]))/(K*C*O1*O2*W1*W2) = 1 - (F1*F2)/(W1*W2)",
        _reached_2d(),
        "12",
    )


# --- dilation and averages --------------------------------------------------------------------------------------------


def _dilation() -> Theorem:
    """D >= 1 |- the dense filter with w[t] at D t, zeros between, = the filter with dilation D."""
    step, first, last = (derived.given(text) for text in ("D >= 1", "t >= 0", "F - 1 >= t"))
    read = "sum i<W: x[c, i]*[i = S*o + u - P]"
    (taps,) = _over("u<D*(F - 1) + 1")
    lower = derived.certificate(formula("D*t >= 0"), [step, first], [(1, [0, 1]), (1, [1])])
    upper = derived.certificate((">=", taps[2], term("D*t")), [step, last], [(1, [0, 1]), (1, [1])])
    picked = derived.times(term("w[k, c, t]"), sums.sifted(*taps, term(read), lower, upper))
    dense = term(f"sum c<C, u<D*(F - 1) + 1: (sum t<F: w[k, c, t]*[u = D*t])*{read}")
    spread = sums.under(_over("c<C, t<F"), picked)
    return derived.equals(
        dense, term(f"sum c<C, t<F: w[k, c, t]*{READ}"), sums.reordered(dense, spread.conclusion[1]), spread
    )


def _average() -> Theorem:
    """0 <= k < C |- filter k with 1 / (F1 F2) at every tap of channel k = the mean over the windows of channel k."""
    first, last = derived.given("k >= 0"), derived.given("C - 1 >= k")
    mean = f"(sum t1<F1, t2<F2: {READ_2D})/(F1*F2)"
    return _stated(
        f"sum c<C, t1<F1, t2<F2: ([c = k]/(F1*F2))*{READ_2D} = {mean.replace('x[c', 'x[k')}",
        sums.sifted(*_over("c<C")[0], term(mean), first, last),
    )


def _fc(case: ConvCase) -> None:
    """An FC layer on the flattened input, and the CONV layer with the same weights and F = W."""
    x, w = case.integers(case.x_shape, (3, *case.x_shape[1:]))
    fc = ag.linear(ag.flatten(x), ag.flatten(w))
    equal("FC = CONV", ag.conv(x, w).numpy().reshape(fc.shape), fc.numpy())


def _dilated(case: ConvCase) -> None:
    """A dilated filter, and the dense one with zeros between the taps."""
    x, w = case.integers(case.x_shape, case.w_shape)
    sizes = [d * (k - 1) + 1 for d, k in zip(case.dilation, case.kernel, strict=True)]
    dense = np.zeros((*case.w_shape[:2], *sizes), np.int64)
    dense[(..., *(slice(None, None, d) for d in case.dilation))] = w
    options = {**case.options(), "dilation": 1}
    equal("dilated = dense with zeros", ag.conv(x, dense, **options).numpy(), ag.conv(x, w, **case.options()).numpy())


def _as_matrix(case: ConvCase) -> None:
    """The matrix that the layer is, made by running unit images: what it computes, where it is zero, and how often."""
    case = replace(case, groups=1)
    x, w = case.integers(case.x_shape, case.w_shape)
    features = int(np.prod(case.x_shape[1:]))
    units = np.eye(features, dtype=np.int64).reshape(features, *case.x_shape[1:])
    matrix = ag.flatten(ag.conv(units, w, **case.options())).numpy()  # (C*i, K*o)
    y = ag.flatten(ag.conv(x, w, **case.options())).numpy()
    equal("FC with the matrix", ag.linear(ag.flatten(x), matrix.T).numpy(), y)
    reached = ag.flatten(ag.conv(units, np.ones_like(w), **case.options())).numpy()
    equal("taps at an entry, at most", int(reached.max(initial=0)) <= 1, True)
    equal("entries without a tap", np.count_nonzero(matrix[reached == 0]), 0)
    taps, free = 1, 1
    for axis in zip(case.sizes, case.kernel, case.stride, case.padding, case.dilation, strict=True):
        walked = oracle.places(*axis)
        taps *= sum(0 <= i < axis[0] for each in walked for i in each)
        free *= len(walked) * axis[1]
    equal("entries with a tap", int(reached.sum()), case.k * case.c * taps)
    if not np.any(case.padding):
        equal("entries with a tap, unpadded", taps, free)


def _pixels(case: ConvCase) -> None:
    """A 1x1 convolution, and a fully connected layer on the channels of every pixel."""
    x, w = case.integers(case.x_shape, (3, case.x_shape[1]))
    y = ag.conv(x, w.reshape(*w.shape, *(1 for _ in case.sizes))).numpy()
    pixels = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])  # (N, C, *sizes) -> (N*pixels, C)
    expected = ag.linear(pixels, w).numpy().reshape(case.batch, *case.sizes, 3)
    equal("1x1 = FC at every pixel", np.moveaxis(y, 1, -1), expected)


def _averaged(case: PoolCase) -> None:
    """Average pooling, counting padding, and the convolution with one filter of equal weights for every channel."""
    exact = np.vectorize(Fraction, otypes=[object])
    x = exact(np.random.default_rng(case.seed).integers(-HALF_RANGE, HALF_RANGE, case.x_shape))
    weight = Fraction(1, int(np.prod(case.kernel)))
    w = np.full((case.channels, case.channels, *case.kernel), Fraction(0), dtype=object)
    for channel in range(case.channels):
        w[channel, channel] = weight
    mean = ag.avg_pool(x, case.kernel, case.stride, case.padding).numpy()
    equal("mean = CONV", ag.conv(x, w, stride=case.stride, padding=case.padding).numpy(), mean)


_SMALL = conv_cases(max_rank=2, largest=3)
_FC = Relation("FC as CONV", "FC on the flattened input = CONV with F = W", conv_cases(max_rank=2), _fc, degree=2)
_MATRIX = Relation(
    "CONV as FC",
    "CONV = FC with its matrix, which is zero but for one weight at every tap inside the image",
    _SMALL,
    _as_matrix,
    degree=2,
)
_PIXELS = Relation("pixels", "1x1 CONV = FC on the channels of every pixel", _SMALL, _pixels, degree=2)
_DILATED = Relation("dilation as zeros", "dilated filter = dense filter with zeros", conv_cases(), _dilated, degree=2)
_AVERAGED = Relation(
    "average as CONV", "average pooling = CONV with equal weights on each channel", pool_cases(2), _averaged, degree=1
)
