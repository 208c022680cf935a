"""The backward pass of a convolution: in one, two and three dimensions, and worked out on a toy with letters."""

import functools
import re
from collections.abc import Iterator

import numpy as np
import sympy

from convproof import autograd as ag
from convproof.crosscheck import Relation, relation
from convproof.crosscheck.cases import ConvCase, conv_cases
from convproof.crosscheck.relations import equal, letters
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, kernel, sums
from convproof.proof.algebra import Term
from convproof.proof.language import term
from convproof.report import Equation, Text
from convproof.verdicts import Rung

X, WEIGHTS, G = (sympy.symbols(f"{name}_0:{n}") for name, n in (("x", 4), ("w", 3), ("g", 2)))


def _array(letters: tuple[sympy.Symbol, ...]) -> np.ndarray:
    array = np.empty((1, 1, len(letters)), dtype=object)
    array[0, 0, :] = letters
    return array


def theory() -> Theory:
    x, w, g = _array(X), _array(WEIGHTS), _array(G)
    y = _row(ag.conv(x, w))
    loss = sum(a * b for a, b in zip(G, y, strict=True))
    to_x = _row(ag.conv(ag.pad(g, ((2, 2),)), w[:, :, ::-1]))
    to_w = _row(ag.conv(x, g))
    agreeing = sum(sympy.expand(sympy.diff(loss, v) - e) == 0 for v, e in zip(X, to_x, strict=True))
    to_w_flipped = _row(ag.conv(x, g[:, :, ::-1]))
    o, t, i, P, S, D = sympy.symbols("o t i P S D", integer=True)
    W2, F = sympy.symbols("W_2 F", integer=True, positive=True)
    gs, ws, xs, hs = map(sympy.IndexedBase, "gwxh")
    return Theory(
        id="conv-backward",
        order=70,
        title="The backward pass of a convolution",
        statement=(
            "The gradient to the input slides the spatially flipped filters, with dilation D and stride 1, over h: the "
            "cotangent g stuffed with zeros by the stride, so that h is g_o at S o and 0 elsewhere, and padded with "
            "D (F - 1) - P zeros in front; in every group the filters' axes C and K change places. The gradient to the "
            "weights slides the cotangent, not flipped, with dilation S and stride D over the padded input and adds up "
            "over the images: a shared weight's gradient is the sum of the gradients of its uses at all positions. The "
            "gradient to the bias is the sum of the cotangent. In the theorems n counts the images, u the groups, k "
            "and c the output and input channels of a group, and along every axis o the outputs, t the taps and i the "
            "inputs; P is the padding in front, and that at the end is whatever O outputs need."
        ),
        equations=(
            Equation(sympy.Symbol("y_o"), sympy.Sum(ws[t] * xs[S * o + D * t - P], (t, 0, F - 1))),
            Equation(sympy.Symbol("dx_i"), sympy.Sum(ws[F - 1 - t] * hs[i + P - D * (F - 1) + D * t], (t, 0, F - 1))),
            Equation(sympy.Symbol("dw_t"), sympy.Sum(gs[o] * xs[S * o + D * t - P], (o, 0, W2 - 1))),
        ),
        steps=(
            *(
                Step(
                    y[o],
                    sum(WEIGHTS[t] * X[o + t] for t in range(3)),
                    f"output {o} as the layer computes it, F = 3, W = 4",
                    f"y_{o}",
                )
                for o in range(2)
            ),
            *(
                Step(
                    sympy.diff(loss, X[i]),
                    to_x[i],
                    f"d/dx_{i} of g_0 y_0 + g_1 y_1: the flipped filter over 0, 0, g_0, g_1, 0, 0",
                    f"dx_{i}",
                )
                for i in range(4)
            ),
            *(
                Step(
                    sympy.diff(loss, WEIGHTS[t]),
                    to_w[t],
                    f"d/dw_{t}: the cotangent g_0, g_1 slides over the input, as it is",
                    f"dw_{t}",
                )
                for t in range(3)
            ),
        ),
        claims=tuple(claim for axes in (1, 2, 3) for claim in _claims(axes)),
        relations=(
            relation("conv adjoints, letters"),
            relation("conv algorithms, letters"),
            _CONVOLUTIONS,
        ),
        exhibits=(
            Text(
                "The relations below check the same, for stride, dilation, asymmetric padding and "
                "groups, in one and two "
                "dimensions, against the transposed matrix of the layer."
            ),
        ),
        findings=(
            Finding(
                "the input's gradient is a convolution with the flipped filter",
                "flipped",
                f"{agreeing} of 4 entries equal",
                agreeing == 4,
            ),
            Finding(
                "the weights' gradient is one with a flipped filter too, read as: the flipped "
                "cotangent slides over the input",
                "flipped",
                f"the first entry would be {to_w_flipped[0]} and is {to_w[0]}",
                all(sympy.expand(sympy.diff(loss, v) - e) == 0 for v, e in zip(WEIGHTS, to_w_flipped, strict=True)),
            ),
        ),
        source=(
            "the notes, section `Backpropagation` of the conv layer, which leaves the 1-dimensional case to the reader"
        ),
    )


def _claims(axes: int) -> Iterator[Claim]:
    """The theorems on so many axes."""
    within = ("one dimension", "two dimensions", "three dimensions")[axes - 1]
    strides = tuple((f"S{number}", 2) for number in _numbers(axes))
    for name, words, prove in THEOREMS:
        yield Claim(f"{name}-{axes}d", f"In {within}: {words}", functools.partial(prove, axes), strides)


# In these terms |...| stands once for every axis: with commas between, or * between indicators.
AXIS_LETTERS = re.compile(r"\b[oitpOWFSDP]\b")

VALUES = {"x": "x[n, u, c, |i|]", "w": "w[u, k, c, |t|]", "g": "g[n, u, k, |o|]", "b": "b[u, k]"}
OWN = "v[u, k, |o|, c, |t|]"
READ = "sum |i<W|: {x}*|[i = S*o + D*t - P]|"
PADDED = "x[n, u, c, |S*o + D*t - P|]*|[0 <= S*o + D*t - P]|*|[S*o + D*t - P <= W - 1]|"
STUFFED = "sum |o<O|: {g}*|[i + P - D*(F - 1) + D*t = S*o]|"
ARRAY = "sum |p<S*(O - 1) + 1|: (sum |o<O|: {g}*|[p = S*o]|)*|[p = i + D*t - (D*(F - 1) - P)]|"

PAIRED = "sum n<N, u<G, k<K, |o<O|: {g}*sum c<C, |t<F|: {w}*" + READ
BIASED = "sum n<N, u<G, k<K, |o<O|: {g}*(sum c<C, |t<F|: {w}*" + READ + " + {b})"
SLID = "sum n<N, u<G, c<C, |i<W|: {x}*sum k<K, |t<F|: w[u, k, c, |F - 1 - t|]*"
SHARED = "sum u<G, k<K, c<C, |t<F|: {w}*sum |o<O|, n<N: {g}*" + READ
UNSHARED = "sum u<G, k<K, |o<O|, c<C, |t<F|: {w}*sum n<N: {g}*" + READ
SUMMED = "sum u<G, k<K: {b}*sum n<N, |o<O|: {g}"
SCATTERED = "sum n<N, u<G, c<C, |i<W|: {x}*sum k<K, |o<O|, |t<F|: {g}*{w}*|[i = S*o + D*t - P]|"


def _numbered(text: str, number: str) -> str:
    """The text with that number at its letters of an axis."""
    return AXIS_LETTERS.sub(rf"\g<0>{number}", text)


def _numbers(axes: int) -> tuple[str, ...]:
    return ("1", "2", "3")[:axes] if axes > 1 else ("",)


def _term(axes: int, text: str, **values: str) -> Term:
    """A term on so many axes; `values` stand in for x, w, g and b."""

    def spread(found: re.Match[str]) -> str:
        return ("*" if found[1][0] == "[" else ", ").join(_numbered(found[1], each) for each in _numbers(axes))

    return term(re.sub(r"\|(.*?)\|", spread, text.format(**{**VALUES, **values})))


def _linear(axes: int, name: str) -> Theorem:
    """|- the pairing at a + m a' = the pairing at a + m times the pairing at a', for one of its arguments."""
    one, other = VALUES[name], VALUES[name].replace("[", "'[", 1)
    both, first, second = (_term(axes, PAIRED, **{name: text}) for text in (f"({one} + m[]*{other})", one, other))
    return kernel.identity(both, ("+", first, ("*", ("re", "m"), second)))


def _padded_read(axes: int) -> Theorem:
    """|- the sum over i of x[i] [i = p] = x[p] [0 <= p] [p <= W - 1] for p = S o + D t - P: axis by axis."""
    ranges, (_, value, *hits) = sums.flattened(_term(axes, READ))
    found = kernel.identity(value, value)
    for (name, lo, hi), hit in zip(reversed(ranges), reversed(hits), strict=True):
        summed = sums.under([(name, lo, hi)], derived.times(hit, found))
        found = derived.chain(summed, kernel.sift(name, lo, hi, found.conclusion[2], hit[2]))
    return derived.equals(_term(axes, READ), _term(axes, PADDED), found)


def _to_weights(axes: int) -> Theorem:
    """|- <g, conv(x, w)> = the sum of w times the sum of g x[S o + D t - P], x padded."""
    return sums.reordered(_term(axes, PAIRED), _term(axes, SHARED))


def _flipped(value: Term, count: int) -> Theorem:
    """|- the sums of f(i, ...) = the sums of f(hi - i, ...), for the outer `count` sums over i = 0, ..., hi."""
    turned = kernel.reindex(value, -1, value[3])
    if count == 1:
        return turned
    _, *over, body = turned.conclusion[2]
    return derived.chain(turned, sums.under([tuple(over)], _flipped(body, count - 1)))


def _to_input(axes: int, value: str = VALUES["x"]) -> Theorem:
    """|- <g, conv(x, w)> = the sum of x times the sum of w[F - 1 - t] stuffed[i + P - D (F - 1) + D t]."""
    paired, outer = _term(axes, PAIRED, x=value), _term(axes, "sum n<N, u<G, c<C, |i<W|, k<K: {x}", x=value)
    turned = sums.weighted(outer, _flipped(_term(axes, "sum |t<F|, |o<O|: {w}*{g}*|[i = S*o + D*t - P]|"), axes))
    ranges, body = sums.flattened(paired)
    order = [ranges.index(each) for each in sums.flattened(turned.conclusion[1])[0]]
    exchanged = kernel.exchange(sums.nested(ranges, body), order)
    return derived.equals(paired, _term(axes, SLID + STUFFED, x=value), exchanged, turned)


def _picked(number: str) -> Theorem:
    """S >= 1, o >= 0, O - 1 >= o |- the sum over p < S (O - 1) + 1 of [p = q] [p = S o] = [S o = q]."""
    total = term(_numbered("sum p<S*(O - 1) + 1: [p = i + D*t - (D*(F - 1) - P)]", number))
    _, name, lo, hi, read = total
    stride, first, last = (derived.given(_numbered(text, number)) for text in ("S >= 1", "o >= 0", "O - 1 >= o"))
    place, products = term(_numbered("S*o", number)), [(1, [0, 1]), (1, [1])]
    lower = derived.certificate((">=", place, lo), [stride, first], products)
    upper = derived.certificate((">=", hi, place), [stride, last], products)
    return sums.sifted(name, lo, hi, read, lower, upper)


def _stuffed(axes: int) -> Theorem:
    """S >= 1 |- the sum over o of g[o] [q = S o] = the array of S (O - 1) + 1 entries with g[o] at S o, read at q."""
    stuffed, array = _term(axes, STUFFED), _term(axes, ARRAY)
    ranges, (_, cotangent, *_) = sums.flattened(stuffed)
    picked = sums.weighted(sums.nested(ranges, cotangent), derived.product(*map(_picked, _numbers(axes))))
    return derived.equals(stuffed, array, derived.symmetric(picked), sums.reordered(picked.conclusion[1], array))


def _as_convolution(axes: int) -> Theorem:
    """S >= 1 |- the sum of w[F - 1 - t] stuffed[q] = that of w[F - 1 - t] and the array of the stuffed read at q."""
    slid = "sum k<K, |t<F|: w[u, k, c, |F - 1 - t|]*"
    read = sums.weighted(_term(axes, slid + "1"), _stuffed(axes))
    return derived.equals(_term(axes, slid + STUFFED), _term(axes, slid + ARRAY), read)


def _adjoint(axes: int) -> Theorem:
    """|- <g, conv(x, w)> = <x, conv_transpose(g, w)>."""
    return sums.reordered(_term(axes, PAIRED), _term(axes, SCATTERED))


def _to_bias(axes: int) -> Theorem:
    """|- <g, conv(x, w) + b> = <g, conv(x, w)> + the sum of b times the sum of g."""
    added = ("+", _term(axes, PAIRED), _term(axes, SUMMED))
    return derived.equals(_term(axes, BIASED), added, _bias(axes, VALUES["b"]))


def _bias(axes: int, bias: str) -> Theorem:
    """|- the sum of g b = the sum of b times the sum of g."""
    return sums.reordered(_term(axes, "sum n<N, u<G, k<K, |o<O|: {g}*{b}", b=bias), _term(axes, SUMMED, b=bias))


def _derivative(name: str, paired: Term, along: Theorem) -> Theorem:
    """From: the pairing, its part with `name`, at d`name` = c. |- the derivative of the pairing by `name` is c."""
    return derived.brought(kernel.differential([name], paired), along.conclusion[2], (1, along))


def _by_input(axes: int) -> Theorem:
    return _derivative("x", _term(axes, PAIRED), _to_input(axes, "d" + VALUES["x"]))


def _by_weights(axes: int) -> Theorem:
    one = "d" + VALUES["w"]
    return _derivative("w", _term(axes, PAIRED), sums.reordered(_term(axes, PAIRED, w=one), _term(axes, SHARED, w=one)))


def _by_own_weights(axes: int) -> Theorem:
    paired, one = _term(axes, PAIRED, w=OWN), "d" + OWN
    return _derivative("v", paired, sums.reordered(_term(axes, PAIRED, w=one), _term(axes, UNSHARED, w=one)))


def _by_bias(axes: int) -> Theorem:
    return _derivative("b", _term(axes, BIASED), _bias(axes, "d" + VALUES["b"]))


THEOREMS = (
    (
        "padded-read",
        "Reading a padded input: the sum over i of x at the position that tap t of output o reads, is x there inside "
        "the image and 0 outside.",
        _padded_read,
    ),
    (
        "linear-input",
        "Paired with any cotangent, convolution is linear in its input.",
        functools.partial(_linear, name="x"),
    ),
    (
        "linear-weights",
        "Paired with any cotangent, convolution is linear in its filters.",
        functools.partial(_linear, name="w"),
    ),
    (
        "linear-cotangent",
        "The pairing of a cotangent with the output is linear in the cotangent.",
        functools.partial(_linear, name="g"),
    ),
    (
        "to-input",
        "For every batch, number of groups and channels, size, kernel, stride, dilation and padding, the cotangent "
        "paired with the output is the input paired with the flipped filters, their axes of channels exchanged, slid "
        "over the cotangent stuffed with zeros.",
        _to_input,
    ),
    (
        "to-input-as-convolution",
        "Every entry of what the input is paired with there is an entry of a convolution of stride 1, dilation D and "
        "padding D (F - 1) - P over the array of S (O - 1) + 1 entries that holds the cotangent at the multiples of S "
        "and 0 between them.",
        _as_convolution,
    ),
    (
        "to-weights",
        "The cotangent paired with the output is the filters paired with the cotangent, not flipped, slid with "
        "dilation S and stride D over the padded input, and summed over the images.",
        _to_weights,
    ),
    (
        "to-bias",
        "A bias adds to the pairing the bias times the sum of the cotangent over all images and positions.",
        _to_bias,
    ),
    (
        "adjoint",
        "Convolution and transposed convolution are adjoint: the cotangent paired with the output is the input paired "
        "with the transposed convolution, which adds g w up at the position that the output of g reads with the tap "
        "of w.",
        _adjoint,
    ),
    (
        "derivative-input",
        "As the input moves along dx, the derivative of the pairing is dx paired with the flipped filters slid over "
        "the stuffed cotangent: that is the gradient.",
        _by_input,
    ),
    (
        "derivative-unshared-weights",
        "Where every output position has filters of its own, the gradient of the weight that one position uses at one "
        "tap is the cotangent there times the padded input that it reads, summed over the images.",
        _by_own_weights,
    ),
    (
        "derivative-weights",
        "Where all positions share their filters, the gradient of a weight is the sum over all positions of just "
        "those gradients of its uses.",
        _by_weights,
    ),
    (
        "derivative-bias",
        "The gradient of a bias is the sum of the cotangent over all images and positions.",
        _by_bias,
    ),
)


def _row(y: ag.Tensor) -> list[sympy.Expr]:
    return [sympy.expand(entry) for entry in y.numpy()[0, 0]]


def _as_convolutions(case: ConvCase) -> None:
    """The gradients of a convolution, against two convolutions: over the stuffed cotangent, and with it as filters."""
    axes = list(zip(case.sizes, case.kernel, case.stride, case.padding, case.dilation, strict=True))
    outputs = ag.conv(np.zeros(case.x_shape), np.zeros(case.w_shape), **case.options()).shape[2:]
    x, w, g = letters(case, (case.x_shape, case.w_shape, (case.batch, case.groups * case.k, *outputs)))
    X, W = ag.tensor(x), ag.tensor(w)
    to_x, to_w = ag.grad(ag.conv(X, W, **case.options()), [X, W], g)

    long = tuple(s * (n - 1) + 1 for s, n in zip(case.stride, outputs, strict=True))
    stuffed = np.zeros((*g.shape[:2], *long), object)
    stuffed[(..., *(slice(None, None, s) for s in case.stride))] = g
    front = [d * (f - 1) - before for _, f, _, (before, _), d in axes]
    ends = [n + d * (f - 1) - p - m for (n, f, _, _, d), p, m in zip(axes, front, long, strict=True)]
    channels = w.reshape(case.groups, case.k, *w.shape[1:]).swapaxes(1, 2)  # (u, k, c, *t) -> (u, c, k, *t)
    flipped = np.flip(channels.reshape(-1, case.k, *case.kernel), tuple(range(2, w.ndim)))
    pads = tuple(zip(front, ends, strict=True))
    slid = ag.conv(stuffed, flipped, padding=pads, dilation=case.dilation, groups=case.groups)
    equal("dX", slid.numpy(), to_x.numpy())

    options = {"stride": case.dilation, "dilation": case.stride, "padding": case.padding}
    pairs = zip(np.split(x, case.groups, 1), np.split(g, case.groups, 1), strict=True)
    found = [ag.conv(a.swapaxes(0, 1), b.swapaxes(0, 1), **options).numpy() for a, b in pairs]  # (c, k, *taps)
    taps = tuple(slice(f) for f in case.kernel)
    equal("dW", np.concatenate([each.swapaxes(0, 1)[(..., *taps)] for each in found]), to_w.numpy())


_CONVOLUTIONS = Relation(
    "gradients as convolutions",
    "the gradients = the flipped filters over the stuffed cotangent, and the cotangent over the input",
    conv_cases(symbolic=True),
    _as_convolutions,
    Rung.IDENTITY,
)
