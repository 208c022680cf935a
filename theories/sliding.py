"""A network slid over a larger image: one pass computes what the crops give, where nothing is padded."""

import numpy as np
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.architecture import Conv, Input, MaxPool, Network
from convproof.crosscheck import Relation, oracle
from convproof.crosscheck.cases import HALF_RANGE
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import Formula, Term, substitute
from convproof.proof.derived import certificate, follows, given
from convproof.proof.language import formula, term
from convproof.report import Equation
from convproof.symbolic import FloorDiv, output_shape, output_shapes, symbols

W, R, J, a = symbols("W R J a")


def theory() -> Theory:
    return Theory(
        id="sliding",
        order=95,
        title="A network slid over a larger image",
        statement=(
            "A network of convolutions, ReLUs and max poolings without padding, with its fully connected layers "
            "written as convolutions, computes in one pass over a larger image exactly what it computes on the crops "
            "that begin at multiples of its jump J, the product of its strides; there are floor((W - R)/J) + 1 crops "
            "of R pixels along an axis. With padding this fails at the borders of the crops."
        ),
        equations=(Equation(symbols("n")[0], FloorDiv(W - R, J) + 1),),
        hypotheses=(Equation(W, R, ">="), Equation(J, 1, ">=")),
        witness=(("W", 384), ("R", 224), ("J", 32)),
        steps=(
            Step(
                FloorDiv(J * a + R - R, J) + 1,
                a + 1,
                "crops 0, ..., a fit once the image holds the last, which ends at J a + R",
                "crops of an image of J a + R pixels",
            ),
        ),
        claims=(*_equality(), *_counts(), *_padding()),
        relations=(_SLID, _PADDED),
        findings=_findings(),
        source=(
            "the notes, section `Converting FC layers to CONV layers`; P. Sermanet and others, `OverFeat` (2014), "
            "sections 3.3 and 3.5; J. Long, E. Shelhamer and T. Darrell, `Fully convolutional networks for semantic "
            "segmentation` (2015)"
        ),
    )


def _equality() -> tuple[Claim, ...]:
    return (
        Claim(
            "crops",
            "One network on two inputs, the image (0) and a crop of R(0) pixels of it (1) from pixel q(0) on. Layer k "
            "makes linear maps u of windows of F(k) taps, at stride S(k) and dilation D(k), over all C(k) channels, "
            "and their windows' maxima m; h(k) tells whether it hands on u (0), ReLU of u (1) or m (2). It computes "
            "R(k+1) positions, no window of which ends beyond the R(k) below: nothing is padded. Where the offset is "
            "whole at every layer, q(k) = S(k) q(k+1), what the crop holds at o after N layers is what the image holds "
            "at o + q(N), for all R(N) positions that the crop makes.",
            _crops,
            (*_NETWORK, ("q", 2)),
        ),
        Claim(
            "offset-is-a-multiple",
            "An offset that is whole at every layer is a multiple of the jump: q(0) = J(N) q(N), J(N) the product of "
            "the strides.",
            _offset,
            (("N", 3), ("S", 1), ("J", 1), ("q", 2)),
        ),
        Claim(
            "crops-at-the-jump",
            "And every multiple is whole at every layer: the crop from pixel J(N) a on computes, after N layers, what "
            "the image computes a positions further. T(k) is the product of the strides from layer k on.",
            _crops_at_the_jump,
            (*_NETWORK, ("J", 1), ("T", 1), ("a", 2)),
        ),
        Claim(
            "between",
            "A crop that does not begin at a multiple of the jump falls between: none of its outputs o begins at the "
            "pixel where an output i of the image begins.",
            _between,
            (("J", 32), ("q", 16)),
        ),
    )


def _counts() -> tuple[Claim, ...]:
    return (
        Claim(
            "count",
            "Crop a of R pixels at stride J ends within the image exactly when a is less than floor((W - R)/J) + 1.",
            _count,
            (("J", 32),),
        ),
        Claim(
            "outputs",
            "The slid network has one output for each crop: its layers take W pixels to floor((W + A)/J) outputs, as "
            "every chain of windows does, and R pixels, R + A = J, are the fewest that make one output.",
            _outputs,
            (("J", 32), ("R", 224), ("A", -192)),
        ),
        Claim(
            "one-for-each",
            "Where image and crop are J A and J B pixels, a filter as wide as the B positions of the crop fits "
            "A - B + 1 times into the A of the image: once for each crop.",
            _fits_for_each,
            (("J", 32),),
        ),
        Claim("six", "Crops of 224 at stride 32 in 384: 6 along an axis.", _six),
    )


def _padding() -> tuple[Claim, ...]:
    return (
        Claim(
            "padding-drops",
            "What fails with padding: take output o + a of a layer with padding P over the image, and its output o on "
            "the crop from pixel S a on. They differ by exactly the taps that read the image and not the crop.",
            _padding_drops,
        ),
        Claim(
            "padding-counterexample",
            "F = 3, P = 1, S = 1: the first output of a crop from pixel q >= 1 on is less by w[0] x[q-1] than that of "
            "the image there: not identical for w = x = 1.",
            _padding_counterexample,
            (("q", 1), ("R", 2), ("W", 3)),
        ),
    )


# --- one pass equals the crops ----------------------------------------------------------------------------------------

# Two taps at stride 1 in every layer: 10, 9, 8, ... positions.
_NETWORK = (
    *(("N", 3), ("o", 1), ("C", 1), ("F", 2), ("S", 1), ("D", 1), ("h", 0), ("e", 0)),
    *(("R", ("+", 10, ("*", -1, ("v", "k")))), ("x", 0), ("u", 0), ("m", 0), ("w", 0), ("b", 0)),
)
EVERY = "for all n: for all k: for all j: for all o:"
LINEAR = f"{EVERY} u[n, k, j, o] = b[k, j] + sum c<C(k), t<F(k): w[k, j, c, t]*x[n, k, c, S(k)*o + D(k)*t]"
BOUND = f"{EVERY} for all t: [0 <= t]*[t <= F(k) - 1]*(m[n, k, j, o] - x[n, k, j, S(k)*o + D(k)*t]) >= 0"
ATTAINED = f"{EVERY} m[n, k, j, o] = x[n, k, j, S(k)*o + D(k)*e(n, k, j, o)]"
FIRST, LAST = f"{EVERY} e(n, k, j, o) >= 0", f"{EVERY} e(n, k, j, o) <= F(k) - 1"
LAYER = (
    f"{EVERY} x[n, k + 1, j, o] = [h(k) = 0]*u[n, k, j, o] + [h(k) = 1]*u[n, k, j, o]*[0 <= u[n, k, j, o]]"
    " + [h(k) = 2]*m[n, k, j, o]"
)
FITS = "for all k: R(k) - 1 >= S(k)*(R(k + 1) - 1) + D(k)*(F(k) - 1)"
STRIDE, DILATION = "for all k: S(k) >= 1", "for all k: D(k) >= 1"
JUMP, REST = "for all k: J(k + 1) = J(k)*S(k)", "for all k: T(k) = S(k)*T(k + 1)"
WHOLE = "for all k: q(k) = S(k)*q(k + 1)"
K, O, CHANNEL = ("v", "k"), ("v", "o"), ("v", "j")
ABOVE = ("+", K, 1)


def _guarded(equation: Theorem, goal: Formula, letter: str) -> Theorem:
    """From H, i >= 0, end >= i |- a = b: H |- the goal, [0 <= i] [i <= end] (a - b) = 0; i the letter, not free in H.

    Both sides are summed over i times [i = p], and sifted at p.
    """
    _, left, right = equation.conclusion
    end, place = goal[1][2][2], ("v", "p")
    marked = derived.times(("is", ("v", letter), place), equation)
    summed = kernel.under_sum(("sum", letter, 0, end, marked.conclusion[1]), marked)
    before, after = (kernel.sift(letter, 0, end, side, place) for side in (left, right))
    at_place = derived.chain(derived.symmetric(before), summed, after)
    there = follows(substitute(goal, {letter: place}), at_place)
    return kernel.instantiate(there, {"p": ("v", letter)})


def _same(offset: str) -> Formula:
    """At layer k, position o of the crop holds what the image holds at o + the offset."""
    difference = f"(x[1, k, j, o] - x[0, k, j, o + {offset.format('k')}])"
    return formula(f"for all j: for all o: [0 <= o]*[o <= R(k) - 1]*{difference} = 0")


def _slid(base: Theorem, offset: str, law: str) -> Theorem:
    """The laws of the network, the offset and H, from the base, H |- the same at layer 0: the same at layer N."""
    same = _same(offset)
    linear, largest = _same_linear(offset, law), _same_maximum(offset, law)
    above = _above(offset)
    layer = kernel.rewrite(kernel.rewrite(given(LAYER, 1, K, CHANNEL, O), linear), largest)
    equation = derived.chain(layer, derived.symmetric(given(LAYER, 0, K, CHANNEL, above)))
    goal = substitute(same, {"k": ABOVE})
    step = kernel.generalize(kernel.generalize(_guarded(equation, goal[2][2], "o"), "o"), "j")
    theorem = kernel.instantiate(kernel.induction(base, step, "k"), {"k": ("v", "N")})
    here = kernel.specialize(kernel.specialize(theorem, CHANNEL), O)
    found = indicators.unguarded(here, given("o >= 0"), given("o <= R(N) - 1"))
    _, crop, (_, _, image) = found.conclusion[1]
    return follows(("=", crop, image), found)


def _above(offset: str) -> Term:
    """Where output o of the crop's layer k stands in the image's."""
    return term(f"o + {offset.format('k + 1')}")


def _same_window(offset: str, law: str, channel: Term, tap: Term, first: Theorem, last: Theorem) -> Theorem:
    """The same at layer k, 0 <= o <= R(k+1) - 1, from 0 <= tap <= F(k) - 1: output o reads the same there.

    What it reads, S o + D t, lies within the crop: 0 <= it <= R(k) - 1.
    """
    place = ("+", ("*", term("S(k)"), O), ("*", term("D(k)"), tap))
    stride, dilation = given(STRIDE, K), given(DILATION, K)
    least = certificate(
        (">=", place, 0), [stride, given("o >= 0"), dilation, first], [(1, [0, 1]), (1, [1]), (1, [2, 3]), (1, [3])]
    )
    premises = [given(FITS, K), stride, given("o <= R(k + 1) - 1"), dilation, last]
    most = certificate(
        (">=", term("R(k) - 1"), place), premises, [(1, [0]), (1, [1, 2]), (1, [2]), (1, [3, 4]), (1, [4])]
    )
    below = kernel.specialize(kernel.specialize(kernel.assume(_same(offset)), channel), place)
    difference = kernel.rewrite(indicators.unguarded(below, least, most), given(law, K))
    there = ("+", ("*", term("S(k)"), _above(offset)), ("*", term("D(k)"), tap))
    reads = (("re", "x", n, K, channel, where) for n, where in ((1, place), (0, there)))
    return follows(("=", *reads), difference)


def _same_linear(offset: str, law: str) -> Theorem:
    """The same at layer k, 0 <= o <= R(k+1) - 1 |- u of the crop at o = u of the image at o + the offset above."""
    channel, tap = ("v", "c"), ("v", "t")
    read = _same_window(offset, law, channel, tap, given("t >= 0"), given("t <= F(k) - 1"))
    taps = sums.weighted(term("sum c<C(k), t<F(k): w[k, j, c, t]"), read)
    crop, image = given(LINEAR, 1, K, CHANNEL, O), given(LINEAR, 0, K, CHANNEL, _above(offset))
    return derived.equals(crop.conclusion[1], image.conclusion[1], crop, taps, derived.symmetric(image))


def _same_maximum(offset: str, law: str) -> Theorem:
    """The same at layer k, 0 <= o <= R(k+1) - 1 |- m of the crop at o = m of the image at o + the offset above.

    Each is attained at a tap that the other bounds.
    """
    crop, image = (1, K, CHANNEL, O), (0, K, CHANNEL, _above(offset))
    below, above = (_bounded(offset, law, *pair) for pair in ((crop, image), (image, crop)))
    return kernel.antisymmetry(below, above)


def _bounded(offset: str, law: str, places: tuple[Term, ...], others: tuple[Term, ...]) -> Theorem:
    """The maximum at places is at least that at the others, which reads the same values."""
    first, last = given(FIRST, *others), given(LAST, *others)
    tap = first.conclusion[1]
    same = _same_window(offset, law, CHANNEL, tap, first, last)
    attained, bound = given(ATTAINED, *others), indicators.unguarded(given(BOUND, *places, tap), first, last)
    sign = 1 if places[0] else -1
    goal = (">=", ("re", "m", *places), ("re", "m", *others))
    return certificate(goal, [bound, attained, same], [(1, [0]), (-1, [1]), (sign, [2])])


def _crops() -> Theorem:
    """The laws of the network, q(k) = S(k) q(k+1), the same at q(0) |- the same at q(N) after N layers."""
    offset = "q({})"
    return _slid(kernel.assume(substitute(_same(offset), {"k": 0})), offset, WHOLE)


def _offset(function: str = "q", law: str = WHOLE) -> Theorem:
    """J(0) = 1, J(k+1) = J(k) S(k), q(k) = S(k) q(k+1), N >= 0 |- q(0) = J(N) q(N)."""
    claim = formula(f"{function}(0) = J(N)*{function}(N)")
    base = [given("J(0) = 1")], [(term(f"-{function}(0)"), [0])]
    premises = [kernel.assume(claim), given(law, term("N")), given(JUMP, term("N"))]
    step = premises, [(1, [0]), (term("J(N)"), [1]), (term(f"-{function}(N + 1)"), [2])]
    return derived.by_induction(claim, "N", base, step)


def _crops_at_the_jump() -> Theorem:
    """The laws of the network, T(N) = 1, crop and image the same at J(N) a |- the same at a after N layers."""
    offset, last = "T({})*a", given("T(N) = 1")
    jump = certificate(formula("J(N) = T(0)"), [_offset("T", REST), last], [(-1, [0]), (term("-J(N)"), [1])])
    crop = "[0 <= o]*[o <= R(0) - 1]*(x[1, 0, j, o] - x[0, 0, j, o + J(N)*a])"
    base = kernel.rewrite(given(f"for all j: for all o: {crop} = 0"), jump)
    found = kernel.rewrite(_slid(base, offset, REST), last)
    return follows(formula("x[1, N, j, o] = x[0, N, j, o + a]"), found)


def _between() -> Theorem:
    """J >= 1, q - J (q//J) >= 1 |- [J i = J o + q] = 0."""
    jump, rest, hit = given("J >= 1"), given("q - J*(q//J) >= 1"), term("[J*i = J*o + q]")
    least, other = indicators.zero_or_one(hit)
    # with the indicator e, the remainder r of q and d = i - o - q//J: J (e d) = e r, which lies in 0, ..., J - 1
    meets, below = kernel.indicator(*hit[1:]), kernel.division(term("q"), jump, upper=True)
    steps = ("*", hit, term("i - o - q//J"))
    products = [(1, [5, 0]), (1, [5]), (-1, [1]), (1, [2, 4]), (1, [3, 0]), (1, [3]), (1, [3, 5])]
    most = certificate((">=", 0, steps), [jump, meets, least, other, below], products, refute=True)
    products = [(1, [4, 0]), (1, [4]), (1, [1]), (1, [2, 3]), (1, [2]), (1, [0])]
    none = kernel.antisymmetry(certificate((">=", steps, 0), [jump, meets, least, rest], products, refute=True), most)
    never = certificate((">=", 0, hit), [least, rest, meets, none], [(1, [0, 1]), (1, [2]), (term("-J"), [3])])
    return kernel.antisymmetry(least, never)


# --- how many crops ---------------------------------------------------------------------------------------------------


def _count() -> Theorem:
    """J >= 1 |- W >= J a + R iff (W - R)//J + 1 >= a + 1."""
    jump, room = given("J >= 1"), term("W - R")
    fits, counts = given("W >= J*a + R"), given("(W - R)//J + 1 >= a + 1")
    up = derived.follows(counts.conclusion, derived.floor_at_least(room, jump, term("a"), fits))
    down = certificate(fits.conclusion, [kernel.division(room, jump), jump, counts], [(1, [0]), (1, [1, 2]), (1, [2])])
    return kernel.equivalent(up, down)


def _outputs() -> Theorem:
    """J >= 1, R + A = J |- (W + A)//J = (W - R)//J + 1."""
    whole = derived.whole(term("W - R"), given("J >= 1"), 1)
    counted = follows(formula("(W + (J - R))//J = (W - R)//J + 1"), whole)
    return kernel.rewrite(counted, certificate(formula("J - R = A"), [given("R + A = J")], [(-1, [0])]))


def _fits_for_each() -> Theorem:
    """J >= 1 |- (J A - J B)//J + 1 = A - B + 1."""
    return derived.stated("(J*A - J*B)//J + 1 = A - B + 1", derived.exact(given("J >= 1"), term("A - B")))


def _six() -> Theorem:
    """|- (384 - 224)//32 + 1 = 6."""
    return kernel.identity(term("(384 - 224)//32 + 1"), 6)


# --- what fails with padding ------------------------------------------------------------------------------------------


def _padding_drops() -> Theorem:
    """|- the image's output o + a less the crop's output o = the taps that lie inside of the one, not of the other."""
    image = ("+", *term("S*(o + a) + D*t - P")[1:])
    crop = term("S*o + D*t - P")
    reads = (
        kernel.sift("i", 0, term("W - 1"), term("x[i]"), image),
        kernel.sift("i", 0, term("R - 1"), term("x[S*a + i]"), crop),
    )
    taps = [sums.weighted(term("sum t<F: w[t]"), read) for read in reads]
    goal = formula(
        "sum t<F: w[t]*(sum i<W: x[i]*[i = S*(o + a) + D*t - P])"
        " - sum t<F: w[t]*(sum i<R: x[S*a + i]*[i = S*o + D*t - P])"
        " = sum t<F: w[t]*x[S*(o + a) + D*t - P]"
        "*([0 <= S*(o + a) + D*t - P]*[S*(o + a) + D*t - P <= W - 1] - [0 <= S*o + D*t - P]*[S*o + D*t - P <= R - 1])"
    )
    return certificate(goal, taps, [(1, [0]), (-1, [1])])


def _padding_counterexample() -> Theorem:
    """q >= 1, R >= 2, W >= q + R |- output q of the image less output 0 of the crop = w[0] x[q-1], for F = 3, P = 1."""
    sizes = {"F": 3, "S": 1, "D": 1, "P": 1, "o": 0, "a": ("v", "q")}
    drops = kernel.instantiate(_padding_drops(), sizes)
    premises = [drops, sums.unrolled(drops.conclusion[2])]
    products: list[tuple[Term, list[int]]] = [(1, [0]), (1, [1])]
    for tap in range(3):
        value, place = term(f"w[{tap}]*x[q + {tap} - 1]"), term(f"q + {tap} - 1")
        above, below = _in_image(place)
        premises += [above, below]
        products += [(("*", value, below.conclusion[1]), [len(premises) - 2]), (value, [len(premises) - 1])]
        if tap:
            premises.append(_in_crop(tap - 1))
            products.append((("*", -1, value), [len(premises) - 1]))
    image, crop = "w[t]*(sum i<W: x[i]*[i = q + t - 1])", "w[t]*(sum i<R: x[q + i]*[i = t - 1])"
    return certificate(formula(f"sum t<3: {image} - sum t<3: {crop} = w[0]*x[q - 1]"), premises, products)


def _in_image(place: Term) -> tuple[Theorem, Theorem]:
    """q >= 1, R >= 2, W >= q + R |- [0 <= place] = 1 and [place <= W - 1] = 1, for q - 1, q and q + 1."""
    low = derived.follows((">=", place, 0), given("q >= 1"))
    return indicators.between(low, derived.follows((">=", term("W - 1"), place), given("R >= 2"), given("W >= q + R")))


def _in_crop(place: int) -> Theorem:
    """R >= 2 |- [place <= R - 1] = 1, for 0 and 1."""
    return indicators.decided(derived.follows((">=", term("R - 1"), place), given("R >= 2")))


# --- checks -----------------------------------------------------------------------------------------------------------

LAYERS = st.tuples(st.integers(0, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
"""A layer without padding: 0 linear, 1 with ReLU, 2 a maximum; its kernel, stride and dilation."""


def _run(layers: list[tuple[int, int, int, int]], x: ag.Tensor | np.ndarray, seed: int) -> np.ndarray:
    """What layers of two channels, with weights from the seed, make of x (1, 2, W)."""
    rng = np.random.default_rng(seed)
    for kind, size, stride, dilation in layers:
        weights, bias = rng.integers(-9, 9, (2, 2, size)), rng.integers(-9, 9, 2)
        if kind == 2:
            x = ag.max_pool(x, size, stride, dilation=dilation)
        else:
            x = ag.conv(x, weights, bias, stride=stride, dilation=dilation)
            x = ag.relu(x) if kind == 1 else x
    return ag.tensor(x).numpy()


def _slides(case: tuple[list[tuple[int, int, int, int]], int, int, int, int]) -> None:
    """A network run on an image, against the same network on every crop that fits, and the number of these."""
    layers, outputs, steps, rest, seed = case
    jump, size = 1, outputs
    for _, kernel_size, stride, dilation in reversed(layers):
        jump, size = jump * stride, (size - 1) * stride + dilation * (kernel_size - 1) + 1
    image = np.random.default_rng(seed).integers(-99, 99, (1, 2, size + jump * steps + rest))
    starts = [window[0] for window in oracle.places(image.shape[2], size, jump, (0, 0))]
    slid = _run(layers, image, seed)
    equal("outputs", slid.shape[2] - outputs + 1, len(starts))
    for place, start in enumerate(starts):
        crop = _run(layers, image[:, :, start : start + size], seed)
        equal(f"crop {place}", crop, slid[:, :, place : place + outputs])


_SLID = Relation(
    "crops of networks without padding",
    "one pass over the image = the network on every crop at the jump",
    st.tuples(
        st.lists(LAYERS, min_size=1, max_size=4),
        st.integers(1, 3),
        st.integers(0, 3),
        st.integers(0, 5),
        st.integers(0, 2**32 - 1),
    ),
    _slides,
)


def _pads(case: tuple[int, int, int, int, int, int, int]) -> None:
    """A padded layer on an image and on a crop: they differ by the taps that read the image outside of the crop."""
    size, stride, dilation, padding, a, rest, seed = case
    width = dilation * (size - 1) + 1 + rest
    rng = np.random.default_rng(seed)
    x, w = (rng.integers(-HALF_RANGE, HALF_RANGE, length) for length in (stride * a + width + rest, size))
    places = oracle.places(width, size, stride, (padding, padding), dilation)
    missing = [
        sum(
            w[t] * x[stride * a + i]
            for t, i in enumerate(window)
            if not 0 <= i < width and 0 <= stride * a + i < len(x)
        )
        for window in places
    ]
    image, crop = (
        ag.conv([[part]], [[w]], stride=stride, padding=padding, dilation=dilation).numpy()[0, 0]
        for part in (x, x[stride * a : stride * a + width])
    )
    equal("image less crop", image[a : a + len(crop)] - crop, missing)


_PADDED = Relation(
    "crops of padded layers",
    "a padded layer on the image, less on the crop = the taps that read the image outside of the crop",
    st.tuples(
        *(st.integers(1, 4) for _ in range(3)), *(st.integers(0, 4) for _ in range(3)), st.integers(0, 2**32 - 1)
    ),
    _pads,
    degree=2,
)


# --- the notes' figures: crops of 224 from 384, at stride 32 and 16 ---------------------------------------------------

CROP, IMAGE = 224, 384


def _starts(jump: int) -> list[int]:
    """Where the crops of the image begin along an axis: walked, not counted."""
    return [window[0] for window in oracle.places(IMAGE, CROP, jump, (0, 0))]


def _equal_crops(size: int, padding: int) -> str:
    """How many crops along an axis five times CONV, RELU, POOL2 and a filter of 7 compute identically."""
    image = np.array([divmod(i * i, 97)[1] for i in range(IMAGE)])

    def outputs(x: np.ndarray) -> np.ndarray:
        y = ag.tensor(x.reshape(1, 1, -1))
        for _ in range(5):
            y = ag.max_pool(ag.relu(ag.conv(y, np.ones((1, 1, size), np.int64), padding=padding)), 2)
        return ag.conv(y, np.ones((1, 1, 7), np.int64)).numpy()[0, 0]

    slid, starts = outputs(image), _starts(32)
    same = sum(int(outputs(image[at : at + CROP])[0] == y) for at, y in zip(starts, slid, strict=True))
    return f"{same} of {len(starts)}"


def _findings() -> tuple[Finding, ...]:
    poolings = Network.chain([Input(512, (IMAGE, IMAGE)), *[MaxPool(2)] * 5])
    pooled = output_shapes(poolings)[poolings.output.name]
    scores = output_shape(Conv(1000, 7), pooled)
    crops = len(_starts(32)) ** 2
    remainders = {divmod(at, 32)[1] for at in _starts(16)}
    passes = len([(y, x) for y in remainders for x in remainders])
    return (
        Finding("384x384 after a reduction by 32", "12x12x512", _by_width(pooled), _by_width(pooled) == "12x12x512"),
        Finding("then a CONV layer with F=7", "6x6x1000", _by_width(scores), _by_width(scores) == "6x6x1000"),
        Finding("224x224 crops of 384x384 in strides of 32", "36", crops, crops == 36),
        *(
            Finding(
                f"one pass equals the crops {how}: along an axis",
                "6 of 6",
                (found := _equal_crops(size, padding)),
                found == "6 of 6",
            )
            for how, size, padding in (
                ("where nothing is padded, 1x1 layers and poolings", 1, 0),
                ("with padding, 3x3 layers that keep the size and poolings", 3, 1),
            )
        ),
        Finding("forward passes for a stride of 16, where one has 32", "2", passes, passes == 2),
    )


def _by_width(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}x{shape[0]}"
