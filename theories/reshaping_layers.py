"""One layer written as another: FC as CONV, 1x1 CONV at every pixel, dilation, average pooling."""

from fractions import Fraction

import numpy as np

from convproof import autograd as ag
from convproof.architecture import Conv, Linear
from convproof.crosscheck import Relation
from convproof.crosscheck.cases import HALF_RANGE, ConvCase, PoolCase, conv_cases, pool_cases
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, kernel, sums
from convproof.proof.language import formula, term, written
from convproof.report import Equation
from convproof.symbolic import output_shape, symbols, weights

C, K, W, H = symbols("C K W H")


def theory() -> Theory:
    whole = Conv("K", ("H", "W"))
    shape, count = output_shape(Conv(4096, 7), (512, 7, 7)), weights(Conv(4096, 7), (512, 7, 7))
    return Theory(
        id="reshaping-layers",
        order=90,
        title="One layer written as another",
        statement=(
            "A fully connected layer is the convolution whose filters are as large as its input. A 1x1 convolution is "
            "a fully connected layer at every pixel; a dilated filter is a dense one with zeros between its taps; "
            "average pooling is a filter of equal weights on each channel."
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
        claims=(*_fc_as_conv(), *_filters()),
        relations=(_FC, _PIXELS, _DILATED, _AVERAGED),
        findings=(
            Finding(
                "FC with K=4096 on 7x7x512 as CONV with F=7: output",
                "1x1x4096",
                _by_width(shape),
                _by_width(shape) == "1x1x4096",
            ),
            Finding("its weights, as in the VGG table", "102,760,448", count, count == 102760448),
        ),
        source=("the notes, sections `Converting FC layers to CONV layers`, `1x1 convolution`, `Dilated convolutions`"),
    )


def _by_width(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}x{shape[0]}"


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


READ = "sum i<W: x[c, i]*[i = S*o + D*t - P]"
READ_2D = "sum i1<W1, i2<W2: x[c, i1, i2]*[i1 = S1*o1 + D1*t1 - P1]*[i2 = S2*o2 + D2*t2 - P2]"


# --- FC as CONV, and pointwise ----------------------------------------------------------------------------------------


def _fits_once() -> Theorem:
    """S >= 1 |- (W - W)//S + 1 = 1: there is no room to move."""
    return derived.stated("(W - W)//S + 1 = 1", derived.exact(derived.given("S >= 1"), 0))


def _tap_in_range(axis: str = "") -> tuple[sums.Range, Theorem, Theorem]:
    """The range i < W, and t >= 0 and W - 1 >= t |- the tap's place is in it."""
    (each,) = sums.ranges(f"i{axis}<W{axis}")
    return each, derived.given(f"t{axis} >= 0"), derived.given(f"W{axis} - 1 >= t{axis}")


def _dot_product() -> Theorem:
    """C >= 0, W >= 1 |- filter k with F = W, at its one place, is row k of the fully connected layer."""
    window, taps = sums.sifted_box(term("x[c*W + i]"), _tap_in_range()), sums.ranges("c<C, t<W")
    read = sums.under(taps, derived.times(term("w[k, c*W + t]"), window))
    classes = sums.by_classes("C", "r", "t", derived.given("W >= 1"), term("w[k, r]*x[r]"))
    return derived.stated(
        "b[k] + sum c<C, t<W: w[k, c*W + t]*sum i<W: x[c*W + i]*[i = t] = b[k] + sum r<C*W: w[k, r]*x[r]",
        read,
        derived.symmetric(classes),
    )


def _dot_product_2d() -> Theorem:
    """C >= 0, W1 >= 1, W2 >= 1 |- the same on two axes: row-major, (c, i1, i2) is feature (c W1 + i1) W2 + i2."""
    window = sums.sifted_box(term("x[(c*W1 + i1)*W2 + i2]"), _tap_in_range("1"), _tap_in_range("2"))
    read = sums.weighted(term("sum c<C, t1<W1, t2<W2: w[k, (c*W1 + t1)*W2 + t2]"), window)
    channels, height, width = (derived.given(text) for text in ("C >= 0", "W1 >= 1", "W2 >= 1"))
    lines = derived.certificate(formula("C*W1 >= 0"), [channels, height], [(1, [0, 1]), (1, [0])])
    flat = sums.by_classes("C", "r", "t2", width, term("w[k, r]*x[r]"))
    flat = kernel.discharge(kernel.instantiate(flat, {"C": term("C*W1")}), lines)
    line = term("sum t2<W2: w[k, r*W2 + t2]*x[r*W2 + t2]")
    return derived.stated(
        "b[k] + sum c<C, t1<W1, t2<W2: w[k, (c*W1 + t1)*W2 + t2]"
        "*sum i1<W1, i2<W2: x[(c*W1 + i1)*W2 + i2]*[i1 = t1]*[i2 = t2] = b[k] + sum r<C*W1*W2: w[k, r]*x[r]",
        read,
        derived.symmetric(sums.by_classes("C", "r", "t1", height, line)),
        derived.symmetric(flat),
    )


def _pointwise() -> Theorem:
    """0 <= o1 < W1, 0 <= o2 < W2 |- the 1x1 convolution at pixel (o1, o2) is the dot product of its C channels."""
    taps = term("w[k, c, t1, t2]*sum i1<W1, i2<W2: x[c, i1, i2]*[i1 = o1 + t1]*[i2 = o2 + t2]")
    first = sums.unrolled(("sum", "t1", 0, 0, ("sum", "t2", 0, 0, taps)))
    second = sums.unrolled(first.conclusion[2])
    axes = [
        (*sums.ranges(f"i{axis}<W{axis}"), derived.given(f"o{axis} >= 0"), derived.given(f"W{axis} - 1 >= o{axis}"))
        for axis in "12"
    ]
    read = derived.times(term("w[k, c, 0, 0]"), sums.sifted_box(term("x[c, i1, i2]"), *axes))
    return derived.stated(
        f"sum c<C, t1<1, t2<1: {written(taps)} = sum c<C: w[k, c, 0, 0]*x[c, o1, o2]",
        sums.under(sums.ranges("c<C"), derived.chain(first, second, read)),
    )


# --- dilation and averages --------------------------------------------------------------------------------------------


def _dilation() -> Theorem:
    """D >= 1 |- the dense filter with w[t] at D t, zeros between, = the filter with dilation D."""
    step, first, last = (derived.given(text) for text in ("D >= 1", "t >= 0", "F - 1 >= t"))
    read = "sum i<W: x[c, i]*[i = S*o + u - P]"
    (taps,) = sums.ranges("u<D*(F - 1) + 1")
    lower = derived.certificate(formula("D*t >= 0"), [step, first], [(1, [0, 1]), (1, [1])])
    upper = derived.certificate((">=", taps[2], term("D*t")), [step, last], [(1, [0, 1]), (1, [1])])
    picked = derived.times(term("w[k, c, t]"), sums.sifted(*taps, term(read), lower, upper))
    dense = term(f"sum c<C, u<D*(F - 1) + 1: (sum t<F: w[k, c, t]*[u = D*t])*{read}")
    spread = sums.under(sums.ranges("c<C, t<F"), picked)
    return derived.equals(
        dense, term(f"sum c<C, t<F: w[k, c, t]*{READ}"), sums.reordered(dense, spread.conclusion[1]), spread
    )


def _average() -> Theorem:
    """0 <= k < C |- filter k with 1 / (F1 F2) at every tap of channel k = the mean over the windows of channel k."""
    first, last = derived.given("k >= 0"), derived.given("C - 1 >= k")
    mean = f"(sum t1<F1, t2<F2: {READ_2D})/(F1*F2)"
    return derived.stated(
        f"sum c<C, t1<F1, t2<F2: ([c = k]/(F1*F2))*{READ_2D} = {mean.replace('x[c', 'x[k')}",
        sums.sifted(*sums.ranges("c<C")[0], term(mean), first, last),
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
_PIXELS = Relation("pixels", "1x1 CONV = FC on the channels of every pixel", _SMALL, _pixels, degree=2)
_DILATED = Relation("dilation as zeros", "dilated filter = dense filter with zeros", conv_cases(), _dilated, degree=2)
_AVERAGED = Relation(
    "average as CONV", "average pooling = CONV with equal weights on each channel", pool_cases(2), _averaged, degree=1
)
