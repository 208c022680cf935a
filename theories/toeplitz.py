"""A convolution as a matrix: the fully connected layer that it is, its Toeplitz blocks, and where they are zero."""

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from convproof import autograd as ag
from convproof.crosscheck import Relation, oracle, relation
from convproof.crosscheck.cases import ConvCase, conv_cases
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import Term
from convproof.proof.language import formula, term
from convproof.report import Equation
from convproof.symbolic import symbols

K, C, W, O, F, S, D = symbols("K C W O F S D")


def theory() -> Theory:
    (zeros,) = symbols("zeros")
    return Theory(
        id="toeplitz",
        order=91,
        title="A convolution as a matrix",
        statement=(
            "A convolution is the fully connected layer whose matrix is, for every filter and channel, a Toeplitz "
            "block: row (k, o), column (c, i) holds the weight of the one tap of output o that reads position i, or 0. "
            "Without padding it is zero but for a fraction F / W."
        ),
        equations=(Equation(zeros, K * C * O * (W - F)),),
        hypotheses=(Equation(W - 1, S * (O - 1) + D * (F - 1), ">="), Equation(S, 0, ">="), Equation(D, 1, ">=")),
        witness=FITTING,
        claims=(*_matrix_claims(), *_zeros_claims()),
        relations=(_MATRIX, relation("conv algorithms, letters")),
        source=(
            "the notes, section `Converting FC layers to CONV layers`; G. Golub and C. Van Loan, Matrix Computations, "
            "4.7 on Toeplitz matrices"
        ),
    )


TAP = (("D", 2), ("F", 3), ("t", 1))
FITTING = (("S", 2), ("D", 2), ("O", 2), ("F", 3), ("W", 7))


def _matrix_claims() -> tuple[Claim, ...]:
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
    )


def _zeros_claims() -> tuple[Claim, ...]:
    return (
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


EVERY_AXIS = [*"iotsSDPFWO"]
ROW = "sum t<F: w[k, c, t]*[i = S*o + D*t - P]"
ROW_2D = "sum t1<F1, t2<F2: w[k, c, t1, t2]*[i1 = S1*o1 + D1*t1 - P1]*[i2 = S2*o2 + D2*t2 - P2]"
TAPS = "sum t<F: [i = S*o + D*t - P]"
FITS = "W - 1 >= S*(O - 1) + D*(F - 1)"
READ = "sum i<W: x[c, i]*[i = S*o + D*t - P]"
READ_2D = "sum i1<W1, i2<W2: x[c, i1, i2]*[i1 = S1*o1 + D1*t1 - P1]*[i2 = S2*o2 + D2*t2 - P2]"


def _on_axis(theorem: Theorem, axis: str) -> Theorem:
    """The theorem with that number at its letters of an axis."""
    return kernel.instantiate(theorem, {letter: term(letter + axis) for letter in EVERY_AXIS})


# --- the matrix and its entries ---------------------------------------------------------------------------------------


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
    return derived.stated(f"{ROW.replace('i =', 'i + S*a =').replace('S*o', 'S*(o + a)')} = {ROW}")


def _apart() -> Theorem:
    """D >= 1 |- two taps of an output read the same place exactly where they are the same tap."""
    step, (t, s) = derived.given("D >= 1"), (term("t"), term("s"))

    # [D t = D s] [(D t)//D = s] is the first, since s is (D s)//D, and the second, since t is (D t)//D
    same = ("is", term("D*t"), term("D*s"))
    places = indicators.moved(term("[q//D = s]"), same[1], same[2])
    taps = indicators.moved(term("[D*q = D*s]"), t, s)
    both = kernel.rewrite(kernel.rewrite(places, derived.exact(step, t)), derived.exact(step, s))
    return derived.stated("[S*o + D*t - P = S*o + D*s - P] = [t = s]", derived.symmetric(both), taps)


def _alone() -> Theorem:
    """D >= 1, 0 <= t < F |- where tap t reads place i, it is the only tap that does."""
    place, other = term("S*o + D*t - P"), term("S*o + D*s - P")
    taps, hit = sums.ranges("s<F"), ("is", term("i"), place)
    met = indicators.moved(("is", ("v", "q"), other), term("i"), place)
    meeting = derived.chain(met, derived.times(hit, _apart()))
    itself = sums.sifted(*taps[0], 1, derived.given("t >= 0"), derived.given("F - 1 >= t"))
    return derived.stated(
        "[i = S*o + D*t - P]*sum s<F: [i = S*o + D*s - P] = [i = S*o + D*t - P]",
        sums.under(taps, meeting),
        derived.times(hit, itself),
    )


def _entry() -> Theorem:
    """D >= 1, 0 <= t < F |- row (k, o) holds w[k, c, t] at the place of tap t."""
    taps, met = sums.ranges("s<F"), derived.times(term("w[k, c, s]"), _apart())
    own = sums.sifted(*taps[0], term("w[k, c, s]"), derived.given("t >= 0"), derived.given("F - 1 >= t"))
    return derived.stated(
        "sum s<F: w[k, c, s]*[S*o + D*t - P = S*o + D*s - P] = w[k, c, t]",
        sums.under(taps, met),
        own,
    )


def _all_alone(weight: str) -> Theorem:
    """D >= 1 |- the sum of weight over the taps that read place i, times how many do, is that sum."""
    row = f"(sum t<F: {weight}*[i = S*o + D*t - P])"
    return derived.stated(
        f"{row}*{TAPS} = {row}", sums.under(sums.ranges("t<F"), derived.times(term(weight), _alone()))
    )


def _bit() -> Theorem:
    """n n = n |- [1 <= n] = n: n is 0 or 1."""
    square, n = derived.given("n*n = n"), term("n")
    covered = sums.sifted("q", 0, 1, 1, *indicators.zero_or_one(n, square))
    listed = sums.unrolled(term("sum q=0..1: [q = n]"))
    either = derived.stated("[0 = n] + [1 = n] = 1", derived.symmetric(listed), covered)
    # n = n [0 = n] + n [1 = n] = [1 = n], and likewise [1 <= n]
    size = [indicators.moved(value, number, n) for value in (term("q"), term("[1 <= q]")) for number in (0, 1)]
    goal = formula("[1 <= n] = n")
    products = [(("+", n, ("*", -1, term("[1 <= n]"))), [0]), (1, [1]), (1, [2]), (-1, [3]), (-1, [4])]
    return derived.certificate(goal, [either, *size], products)


def _square() -> Theorem:
    """D >= 1 |- the number of taps that read place i is its own square."""
    return derived.stated(f"({TAPS})*({TAPS}) = {TAPS}", _all_alone("1"))


def _once() -> Theorem:
    """D >= 1 |- at most one tap of an output reads place i."""
    return indicators.zero_or_one(term(TAPS), _square())[1]


def _unreached() -> Theorem:
    """D >= 1 |- the entry where no tap reaches is 0."""
    return derived.stated(f"(1 - {TAPS})*({ROW}) = 0", derived.times(-1, _all_alone("w[k, c, t]")))


def _reached() -> Theorem:
    """D >= 1 |- [a tap reads place i] = the number of taps that do."""
    square = _square()
    return kernel.discharge(kernel.instantiate(_bit(), {"n": square.conclusion[2]}), square)


def _reached_2d() -> Theorem:
    """D1 >= 1, D2 >= 1 |- [a pair of taps reads (i1, i2)] = the product of the numbers of taps that do, by axis."""
    first, second = (_on_axis(_square(), axis) for axis in "12")
    n, m = first.conclusion[2], second.conclusion[2]
    both = ("=", ("*", ("*", n, m), ("*", n, m)), ("*", n, m))
    square = derived.equals(*both[1:], derived.product(first, second))
    return kernel.discharge(kernel.instantiate(_bit(), {"n": ("*", n, m)}), square)


def _read_in_all() -> Theorem:
    """|- the number of taps that read the places i < W = the number of taps whose place is inside the image."""
    return sums.gathered(term("sum o<O, i<W, t<F: [i = S*o + D*t - P]"), "i", 1, term("S*o + D*t - P"))


def _read_unpadded() -> Theorem:
    """S >= 0, D >= 0, O >= 0, F >= 0, W - 1 >= S (O - 1) + D (F - 1) |- without padding that number is O F."""
    texts = "S >= 0", "D >= 0", "o >= 0", "O - 1 >= o", "t >= 0", "F - 1 >= t", FITS
    known = [derived.given(text) for text in texts]
    lower = derived.certificate(formula("S*o + D*t >= 0"), known, [(1, [0, 2]), (1, [1, 4])])
    upper = derived.certificate(formula("W - 1 >= S*o + D*t"), known, [(1, [0, 3]), (1, [1, 5]), (1, [6])])
    one = sums.under(sums.ranges("o<O, t<F"), sums.sifted(*sums.ranges("i<W")[0], 1, lower, upper))
    number = sums.counted_box(derived.given("O >= 0"), derived.given("F >= 0"))
    left = term("sum o<O, i<W, t<F: [i = S*o + D*t]")
    return derived.equals(left, term("O*F"), sums.reordered(left, one.conclusion[1]), one, number)


def _nonzeros() -> Theorem:
    """D >= 1, S >= 0, O >= 0, F >= 0, W - 1 >= S (O - 1) + D (F - 1) |- without padding they are O F."""
    reached = sums.under(sums.ranges("o<O, i<W"), kernel.instantiate(_reached(), {"P": 0}))
    step = derived.natural(derived.given("D >= 1"))
    goal = "sum o<O, i<W: [1 <= sum t<F: [i = S*o + D*t]] = O*F"
    return kernel.discharge(derived.stated(goal, reached, _read_unpadded()), step)


def _nonzeros_padded() -> Theorem:
    """D >= 1 |- the places of weights in the matrix, = the taps inside the image."""
    place, reached = "S*o + D*t - P", sums.under(sums.ranges("k<K, o<O, c<C, i<W"), _reached())
    left = f"sum k<K, o<O, c<C, i<W: [1 <= {TAPS}]"
    return derived.stated(
        f"{left} = sum k<K, c<C, o<O, t<F: [0 <= {place}]*[{place} <= W - 1]",
        reached,
        sums.under(sums.ranges("k<K, c<C"), _read_in_all()),
    )


def _positive(letters: str, axes: Sequence[str] = ("",)) -> list[Theorem]:
    """a >= 1 |- a >= 1 for the letters, on every axis."""
    return [derived.given(f"{letter}{axis} >= 1") for axis in axes for letter in letters]


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
    blocks = [sums.counted_box(derived.natural(each)) for each in _positive("KC")]
    places = [sums.counted_box(derived.natural(each)) for each in (*_positive("O", axes), *map(_room, axes))]
    taps = [
        derived.discharged(_on_axis(_read_unpadded(), axis), *map(derived.natural, _positive("DOF", [axis])))
        for axis in axes
    ]
    every, read = (("*", *(each.conclusion[1] for each in (*blocks, *others))) for others in (places, taps))
    number = kernel.identity(left.conclusion[2], derived.minus(every, read))
    return derived.chain(left, functools.reduce(kernel.rewrite, (*blocks, *places, *taps), number))


def _fraction(goal: str, reached: Theorem, axes: Sequence[str] = ("",)) -> Theorem:
    """K, C, O, F, D >= 1, S >= 0, and the last window fits |- the goal: the fraction of zeros is 1 - F / W."""
    _, (_, zeros, share), _ = formula(goal)
    number = _number_of_zeros(zeros, reached, axes)
    rows, image = _positive("KC") + _positive("O", axes), derived.positive_product(*map(_room, axes))
    matrix, alone = derived.inverse(derived.positive_product(*rows, image)), derived.inverse(image)
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


# --- the shipping code ------------------------------------------------------------------------------------------------


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


_MATRIX = Relation(
    "CONV as FC",
    "CONV = FC with its matrix, which is zero but for one weight at every tap inside the image",
    conv_cases(max_rank=2, largest=3),
    _as_matrix,
    degree=2,
)
