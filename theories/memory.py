"""Memory: what training keeps, what testing can do with, and what the parameters need beside themselves."""

from itertools import pairwise

import numpy as np
import sympy

from convproof import autograd as ag
from convproof import execute
from convproof.architecture import Conv, Network
from convproof.architecture.notation import network
from convproof.architecture.zoo import CLASSICS
from convproof.crosscheck import Relation
from convproof.crosscheck.cases import chains
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, kernel, sums
from convproof.proof.algebra import Term, substitute
from convproof.proof.derived import Products, at_least, by_induction, certificate, equals, follows, given, natural
from convproof.proof.language import formula, term
from convproof.report import Bars, Equation, Table
from convproof.symbolic import analyze, symbols, values
from convproof.symbolic.costs import BYTES_PER_VALUE

LAYER, IMAGE = Conv(64, 3, padding=1), (3, 224, 224)

# v(k) is how many values layer k makes, v(0) those of the input. Training adds every layer's to what it holds, r(k).
KEPT_FIRST, KEPT_NEXT = "r(0) = v(0)", "for all k: r(k + 1) = r(k) + v(k + 1)"
# Testing holds a(k) when layer k is done, d(k) while layer k + 1 is computed, and then lets layer k go.
HELD_FIRST, HELD_DURING = "a(0) = v(0)", "for all k: d(k) = a(k) + v(k + 1)"
HELD_AFTER = "for all k: a(k + 1) = d(k) - v(k)"
LARGEST = "for all k: v(q) + v(q + 1) >= v(k) + v(k + 1)"
# A gradient b(k) for every value; for w(k) weights of layer k, a gradient e(k) and s step caches c(i, k).
GRADIENTS, WEIGHT_GRADIENTS = "for all k: b(k) = v(k)", "for all k: e(k) = w(k)"
CACHES = "for all i: for all k: c(i, k) = w(k)"
NATURAL = "for all k: v(k) >= 0"

TWO_LAYERS = (("n", 2), ("q", 0), ("v", 1), ("r", ("+", ("v", "k"), 1)), ("a", 1), ("d", 2), ("b", 1))
TRAINING = (("n", 2), ("v", 1), ("b", 1), ("w", 3), ("e", 3), ("c", 3), ("s", 1), ("B", 2))


def theory() -> Theory:
    vgg = network(CLASSICS["vgg16"])
    made = _made(vgg)
    pairs = [a + b for a, b in pairwise(made)]
    params = analyze(vgg).totals.params
    three = 3 * values(LAYER, IMAGE)
    k, n, q, B = symbols("k n q B")
    v, w = map(sympy.IndexedBase, "vw")
    activations, weights = sympy.Sum(v[k], (k, 0, n)), sympy.Sum(w[k], (k, 0, n))
    return Theory(
        id="memory",
        order=105,
        title="What memory holds",
        statement=(
            "Training keeps every layer's values for the backward pass, and with gradients of equal size twice as "
            "many. Testing needs only the input and the output of the layer that is being computed, at most the "
            "largest sum of two neighbours, v(q) + v(q + 1). Parameters come three times with their gradients and one "
            "step cache. v(k) is how many values layer k makes, 0 where there is no layer; layers that work in place "
            "make none, and what a layer needs besides its input and output is left out."
        ),
        equations=(
            Equation(sympy.Symbol("training"), BYTES_PER_VALUE * (2 * B * activations + 3 * weights)),
            Equation(sympy.Symbol("testing"), BYTES_PER_VALUE * (v[q] + v[q + 1] + weights)),
        ),
        steps=(
            Step(three, 3 * 224 * 224 * 64, "three volumes of 224x224x64, about 10 million", "values of three layers"),
            Step(2 * BYTES_PER_VALUE * three, 77070336, "with gradients, 4 bytes each", "bytes of the three layers"),
            Step(max(pairs), 2 * 224 * 224 * 64, "input and output of the second layer", "VGG16's largest neighbours"),
        ),
        claims=(*_activations(), *_parameters()),
        relations=(_HELD,),
        exhibits=(
            Table(
                "VGG16 on one image of 224x224x3",
                ("held", "values", "bytes", "times"),
                tuple(
                    (what, count, BYTES_PER_VALUE * count, f"{count / of:.2f}")
                    for what, count, of in (
                        ("every layer's values, for the backward pass", sum(made), sum(made)),
                        ("with their gradients", 2 * sum(made), sum(made)),
                        ("at test time, two neighbours at most", max(pairs), sum(made)),
                        ("parameters", params, params),
                        ("with gradients and one step cache", 3 * params, params),
                    )
                ),
            ),
            Bars(
                "VGG16 at test time: input and output of the layer that is computed",
                "values",
                tuple((f"{i}", pair) for i, pair in enumerate(pairs, 1)),
            ),
        ),
        source=(
            "the notes, sections `Layer Sizing Patterns`, `VGGNet in detail` and `Computational Considerations`; "
            "T. Chen, B. Xu, C. Zhang and C. Guestrin (2016) for what lies between the two"
        ),
    )


def _activations() -> tuple[Claim, ...]:
    return (
        Claim(
            "kept",
            "What training has kept after layer n is the sum of all layers' values, the input's included.",
            _kept,
            TWO_LAYERS,
        ),
        Claim(
            "with-gradients",
            "With a gradient for every value it is twice that.",
            _with_gradients,
            TWO_LAYERS,
        ),
        Claim(
            "held",
            "Testing that lets layer k go when layer k + 1 is made holds, while it makes layer n + 1, the values of "
            "layers n and n + 1, and nothing else.",
            _held,
            TWO_LAYERS,
        ),
        Claim(
            "peak",
            "So its peak is the largest sum of two neighbours: where that is at layer q, no layer needs more "
            "(and by the claim before, layer q + 1 needs exactly that).",
            _peak,
            TWO_LAYERS,
        ),
        Claim(
            "never-more",
            "Any two neighbours, and so the peak, are at most what training keeps.",
            _never_more,
            TWO_LAYERS,
        ),
        Claim(
            "backward-never-more",
            "What is kept and the gradients of two neighbours, all that the backward pass needs at a time, are at most "
            "twice what is kept.",
            _backward_never_more,
            TWO_LAYERS,
        ),
        Claim(
            "equal-layers",
            "With n layers as large as the input, training keeps (n + 1)/2 times what testing needs.",
            _equal_layers,
            (("n", 2), ("v", 1), ("c", 1)),
        ),
    )


def _parameters() -> tuple[Claim, ...]:
    return (
        Claim(
            "caches",
            "Parameters with their gradients and s step caches of the same size are held 2 + s times.",
            _caches,
            TRAINING,
        ),
        Claim(
            "three-times",
            "With at least one step cache, at least three times.",
            _three_times,
            TRAINING,
        ),
        Claim(
            "training",
            "In all, training on B images with momentum takes 8 bytes for every value of every image and 12 for every "
            "parameter: only the first part shrinks with the batch.",
            _training,
            TRAINING,
        ),
    )


# --- activations ------------------------------------------------------------------------------------------------------

N, K, Q = term("n"), term("k"), term("q")
ALL_VALUES = term("sum k=0..n: v(k)")
NEIGHBOURS = term("v(q) + v(q + 1)")


def _up_to(value: Term, last: Term) -> Term:
    return ("sum", "k", 0, last, value)


def _kept() -> Theorem:
    """r(0) = v(0), r(k + 1) = r(k) + v(k + 1), n >= 0 |- r(n) = the sum of v(k) over k = 0, ..., n."""
    claim = ("=", term("r(n)"), ALL_VALUES)
    base = [given(KEPT_FIRST), sums.unrolled(term("sum k=0..0: v(k)"))], [(1, [0]), (-1, [1])]
    step = [given(KEPT_NEXT, N), kernel.assume(claim), sums.longer(*ALL_VALUES[1:], given("n >= 0"))]
    return by_induction(claim, "n", base, (step, [(1, [0]), (1, [1]), (-1, [2])]))


def _with_gradients() -> Theorem:
    """For all k, b(k) = v(k) |- the sum of v(k) + b(k) = 2 times the sum of v(k)."""
    body = equals(term("v(k) + b(k)"), term("2*v(k)"), given(GRADIENTS, K))
    summed = kernel.under_sum(_up_to(term("v(k) + b(k)"), N), body)
    return equals(summed.conclusion[1], ("*", 2, ALL_VALUES), summed)


def _after() -> Theorem:
    """With the laws of a and d, n >= 0 |- a(n) = v(n): when layer n is done its values alone are held."""
    claim = formula("a(n) = v(n)")
    step = [given(HELD_AFTER, N), given(HELD_DURING, N), kernel.assume(claim)], [(1, [0]), (1, [1]), (1, [2])]
    return by_induction(claim, "n", ([given(HELD_FIRST)], [(1, [0])]), step)


def _held() -> Theorem:
    """With the same |- d(n) = v(n) + v(n + 1)."""
    return equals(term("d(n)"), term("v(n) + v(n + 1)"), given(HELD_DURING, N), _after())


def _peak() -> Theorem:
    """With the same, and for all k v(q) + v(q + 1) >= v(k) + v(k + 1) |- v(q) + v(q + 1) >= d(n)."""
    return certificate((">=", NEIGHBOURS, term("d(n)")), [given(LARGEST, N), _held()], [(1, [0]), (-1, [1])])


def _never_more() -> Theorem:
    """q >= 0, n - 1 >= q, v(k) >= 0 |- the sum of v(k) >= v(q) + v(q + 1): by induction over m = n - 1 - q."""
    value, first = term("v(k)"), given("q >= 0")
    before = kernel.instantiate(sums.nonnegative("n", "k", given(NATURAL, K)), {"n": Q})
    pair = [sums.longer("k", 0, term(last), value, first) for last in ("q - 1", "q")]
    claim = (">=", _up_to(value, term("q + 1 + m")), NEIGHBOURS)
    more = sums.longer(*claim[1][1:], first, given("m >= 0"))
    step = [more, kernel.assume(claim), given(NATURAL, term("q + 1 + m + 1"))]
    each: Products = [(1, [0]), (1, [1]), (1, [2])]
    found = by_induction(claim, "m", ([*pair, before], each), (step, each))
    room = follows(formula("n - 1 - q >= 0"), given("n - 1 >= q"))
    found = kernel.discharge(kernel.instantiate(found, {"m": term("n - 1 - q")}), room)
    return follows((">=", ALL_VALUES, NEIGHBOURS), found)


def _backward_never_more() -> Theorem:
    """With the same |- 2 times the sum of v(k) >= the sum of v(k), plus v(q) + v(q + 1)."""
    return follows((">=", ("*", 2, ALL_VALUES), ("+", ALL_VALUES, NEIGHBOURS)), _never_more())


def _equal_layers() -> Theorem:
    """n >= 0, for all k v(k) = c |- 2 times the sum of v(k) = (n + 1) (v(q) + v(q + 1))."""
    same = kernel.under_sum(ALL_VALUES, given("for all k: v(k) = c", K))
    count = sums.counted_box(follows(formula("n + 1 >= 0"), given("n >= 0")))
    pair = [given("for all k: v(k) = c", place) for place in (Q, term("q + 1"))]
    products = [(2, [0]), (term("2*c"), [1]), (term("-(n + 1)"), [2]), (term("-(n + 1)"), [3])]
    goal = ("=", ("*", 2, ALL_VALUES), ("*", term("n + 1"), NEIGHBOURS))
    return certificate(goal, [same, count, *pair], products)


# --- parameters -------------------------------------------------------------------------------------------------------

ALL_WEIGHTS = term("sum k<n: w(k)")
HELD_WEIGHTS = term("sum k<n: (w(k) + e(k) + sum i<s: c(i, k))")


def _caches() -> Theorem:
    """s >= 0, e(k) = w(k), c(i, k) = w(k) |- the sum of w(k) + e(k) + s caches = (2 + s) times the sum of w(k)."""
    inner = kernel.under_sum(term("sum i<s: c(i, k)"), given(CACHES, term("i"), K))
    products = [(1, [0]), (1, [1]), (term("w(k)"), [2])]
    goal = ("=", HELD_WEIGHTS[4], term("(2 + s)*w(k)"))
    body = certificate(goal, [given(WEIGHT_GRADIENTS, K), inner, sums.counted("s")], products)
    summed = kernel.under_sum(HELD_WEIGHTS, body)
    return equals(HELD_WEIGHTS, ("*", term("2 + s"), ALL_WEIGHTS), summed)


def _three_times() -> Theorem:
    """With s >= 1, n >= 0 and w(k) >= 0 |- the same sum >= 3 times the sum of w(k)."""
    total = sums.nonnegative("n", "k", given("for all k: w(k) >= 0", K))
    premises = [kernel.discharge(_caches(), natural(given("s >= 1"))), given("s >= 1"), total]
    return certificate((">=", HELD_WEIGHTS, ("*", 3, ALL_WEIGHTS)), premises, [(1, [0]), (1, [1, 2])])


def _training() -> Theorem:
    """B >= 0, with gradients and one cache |- 4 (B images' values and gradients + three times the weights) = 8 B times
    the sum of v(k) + 12 times the sum of w(k).
    """
    once = kernel.discharge(kernel.instantiate(_caches(), {"s": 1}), at_least(1, 0))
    images = sums.counted("B", "j")
    both = term("sum k=0..n: (v(k) + b(k))")
    total = ("*", 4, ("+", ("sum", "j", 0, term("B - 1"), both), substitute(HELD_WEIGHTS, {"s": 1})))
    wanted = ("+", ("*", 8, term("B"), ALL_VALUES), ("*", 12, ALL_WEIGHTS))
    return certificate(
        ("=", total, wanted),
        [_with_gradients(), images, once],
        [(("*", 4, term("sum j<B: 1")), [0]), (("*", 8, ALL_VALUES), [1]), (4, [2])],
    )


# --- by running -------------------------------------------------------------------------------------------------------


def _made(net: Network) -> list[int]:
    """The values that each layer makes which does not work in place."""
    return [row.values for row in analyze(net).rows if row.values]


def _run(net: Network) -> None:
    """A chain run and differentiated: its arrays counted, and let go one by one as at test time."""
    image = ag.tensor(np.ones((1, net.image.channels, *net.image.sizes)))
    activations, parameters = execute.run(net, image, draw=np.ones)
    counted = {row.name for row in analyze(net).rows if row.values}
    arrays = [activations[name] for name in activations if name in counted]
    weights = [array for fields in parameters.values() for array in fields.values()]
    last = list(activations.values())[-1]
    gradients = ag.grad(last, [*arrays, *weights], np.ones(last.shape))
    peak = held = arrays[0].numpy().size
    for before, made in pairwise(arrays):
        held += made.numpy().size
        peak = max(peak, held)
        held -= before.numpy().size
    totals, sizes = analyze(net).totals, _made(net)
    equal("values and gradients", _size(arrays) + _size(gradients[: len(arrays)]), 2 * totals.values)
    equal("parameters, gradients and caches", 2 * _size(weights) + _size(gradients[len(arrays) :]), 3 * totals.params)
    equal("peak at test time", peak, max(a + b for a, b in pairwise(sizes)))


def _size(arrays: list[ag.Tensor]) -> int:
    return sum(array.numpy().size for array in arrays)


_HELD = Relation(
    "memory counted",
    "values, gradients and parameters of a run, counted = twice and three times the derived numbers; the most that is "
    "held when every array goes as the next is made = the largest sum of neighbours",
    chains(),
    _run,
)
