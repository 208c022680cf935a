"""ReLU, softmax with cross-entropy, and the multi-class hinge loss: their derivatives, for any number of classes."""

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import sympy
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.crosscheck import Mismatch, Relation
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, indicators, kernel, sums
from convproof.proof.derived import brought, certificate, equals, follows, given
from convproof.proof.language import formula, term
from convproof.report import Equation
from convproof.symbolic import symbols
from convproof.verdicts import Rung

TOTAL = "(sum j=0..n: exp(z[j]))"
P = f"exp(z[i])/{TOTAL}"
MARGIN = "(s[j] - s[y] + 1)"
VIOLATED = f"sum j<n: (1 - [j = y])*[0 <= {MARGIN}]"

AWAY_FROM_KINKS = (("z", 1), ("s", 0), ("O", 2), ("n", 3), ("y", 1))


def theory() -> Theory:
    i, j, y, n = sympy.symbols("i j y n", integer=True)
    z = sympy.IndexedBase("z")
    loss = sympy.log(sympy.Sum(sympy.exp(z[j]), (j, 0, n))) - z[y]
    e, s = symbols("e_0 e_1 e_2"), symbols("s_0 s_1 s_2")
    whole = sum(e)
    return Theory(
        id="losses",
        order=95,
        title="ReLU and the losses, softmax and SVM",
        statement=(
            "Away from kinks ReLU passes a gradient on where its input is positive and stops it where it is negative. "
            "The gradient of softmax with cross-entropy is the probabilities minus 1 at the label; that of the "
            "multi-class hinge loss counts the violated margins. All of it for any number of classes."
        ),
        equations=(
            Equation(sympy.Symbol("L"), loss),
            Equation(
                sympy.Symbol("dL/dz_i"),
                sympy.exp(z[i]) / sympy.Sum(sympy.exp(z[j]), (j, 0, n)) - sympy.KroneckerDelta(i, y),
            ),
        ),
        steps=(
            Step(
                sum(a * (whole - a) for a in e),
                2 * (e[0] * e[1] + e[0] * e[2] + e[1] * e[2]),
                "with e_i = exp(z_i), three classes: dp_i/dz_j is p_i - p_i^2 for i = j and -p_i p_j else; "
                "the diagonal, times the squared total, is what the off-diagonal entries take away",
                "diagonal of the softmax's Jacobian, scaled",
            ),
            Step(
                sympy.diff((s[1] - s[0] + 1) + (s[2] - s[0] + 1), s[0]),
                -2,
                "hinge loss, label 0, both margins violated: minus their number",
                "slope by the label's score",
            ),
        ),
        claims=(
            Claim(
                "relu-alive", "At a positive input ReLU's derivative is 1.", lambda: _relu("z[] > 0"), AWAY_FROM_KINKS
            ),
            Claim("relu-dead", "At a negative input it is 0.", lambda: _relu("0 > z[]"), (("z", -1),)),
            Claim(
                "relu-backward",
                "ReLU on a whole array, none of it 0: the gradient passes where the input is positive and stops "
                "elsewhere.",
                _relu_backward,
                AWAY_FROM_KINKS,
            ),
            Claim("softmax-total", "The probabilities add up to 1.", _softmax_total, AWAY_FROM_KINKS),
            Claim(
                "softmax-derivative",
                "Each probability changes by itself times how far its score's change is from the mean change, "
                "weighted by the probabilities.",
                _softmax_derivative,
                AWAY_FROM_KINKS,
            ),
            Claim(
                "softmax-backward",
                "So a gradient g on the probabilities becomes p times (g minus its mean weighted by p) on the scores.",
                _softmax_backward,
                AWAY_FROM_KINKS,
            ),
            Claim(
                "cross-entropy",
                "The gradient of softmax with cross-entropy is the probabilities minus 1 at the label.",
                _cross_entropy,
                AWAY_FROM_KINKS,
            ),
            Claim(
                "cross-entropy-balanced",
                "It adds up to 0 over the classes: raising all scores alike does not change the loss to first order.",
                _balanced,
                AWAY_FROM_KINKS,
            ),
            Claim(
                "hinge",
                "The multi-class hinge loss, away from kinks: every violated margin passes its score's change and "
                "takes the label's away.",
                _hinge,
                AWAY_FROM_KINKS,
            ),
            Claim(
                "hinge-gradient",
                "As a gradient: 1 at every other class whose margin is violated, minus their number at the label.",
                _hinge_gradient,
                AWAY_FROM_KINKS,
            ),
        ),
        relations=(_RELU, _HINGE, _CROSS_ENTROPY, _SOFTMAX),
        source=(
            "the notes, which take both losses from the chapters before; J. Bridle (1990) for softmax; J. Weston and "
            "C. Watkins (1999) for the hinge loss; X. Glorot, A. Bordes and Y. Bengio (2011) for ReLU"
        ),
    )


# --- ReLU -------------------------------------------------------------------------------------------------------------


def _relu(sign: str) -> Theorem:
    """z > 0 |- the derivative of z [0 <= z] is dz; 0 > z |- it is 0."""
    known = given(sign)
    away = certificate((">", term("z[]*z[]"), 0), [known], [(1, [0, 0])])
    raw = kernel.differential(["z"], term("z[]*[0 <= z[]]"), away)
    if sign == "0 > z[]":
        return brought(raw, term("0"), (term("dz[]"), indicators.decided(known)))
    natural = follows(formula("z[] >= 0"), known)
    return brought(raw, term("dz[]"), (term("dz[]"), indicators.decided(natural)))


def _relu_backward() -> Theorem:
    """For all o, z[o] z[o] > 0 |- the derivative of sum g[o] z[o] [0 <= z[o]] is sum g[o] [0 <= z[o]] dz[o]."""
    away = given("for all o: z[o]*z[o] > 0", term("o"))
    raw = kernel.differential(["z"], term("sum o<O: g[o]*z[o]*[0 <= z[o]]"), away)
    return brought(raw, term("sum o<O: g[o]*[0 <= z[o]]*dz[o]"))


# --- softmax and cross-entropy ----------------------------------------------------------------------------------------


def _total_positive() -> Theorem:
    """n >= 0 |- sum of exp(z[j]) > 0."""
    return sums.positive_sum("n", "j", kernel.positive(term("z[j]")))


def _square_positive() -> Theorem:
    """n >= 0 |- its square > 0."""
    return certificate((">", term(f"{TOTAL}*{TOTAL}"), 0), [_total_positive()], [(1, [0, 0])])


def _softmax_total() -> Theorem:
    """n >= 0 |- the sum of p[i] = 1."""
    whole = kernel.reciprocal(term(TOTAL), _square_positive())
    return equals(term(f"sum i=0..n: {P}"), 1, whole)


def _softmax_derivative() -> Theorem:
    """n >= 0 |- the derivative of p[i] is p[i] (dz[i] - the sum of p[k] dz[k])."""
    raw = kernel.differential(["z"], term(P), _square_positive())
    return brought(raw, term(f"{P}*(dz[i] - sum k=0..n: exp(z[k])/{TOTAL}*dz[k])"))


def _softmax_backward() -> Theorem:
    """n >= 0 |- the derivative of the sum of g[i] p[i] is the sum of dz[i] p[i] (g[i] - the sum of g[k] p[k])."""
    raw = kernel.differential(["z"], term(f"sum i=0..n: g[i]*{P}"), _square_positive())
    return brought(raw, term(f"sum i=0..n: dz[i]*{P}*(g[i] - sum k=0..n: g[k]*exp(z[k])/{TOTAL})"))


def _at_label(value: str) -> Theorem:
    """y >= 0, n >= y |- the sum over i = 0, ..., n of value(i) [i = y] = value(y)."""
    return sums.sifted("i", 0, term("n"), term(value), given("y >= 0"), given("n >= y"))


def _some_class() -> Theorem:
    """y >= 0, n >= y |- n >= 0."""
    return follows(formula("n >= 0"), given("y >= 0"), given("n >= y"))


def _cross_entropy() -> Theorem:
    """y >= 0, n >= y |- the derivative of log(sum of exp(z[j])) - z[y] is the sum of dz[i] (p[i] - [i = y])."""
    positive = kernel.discharge(_total_positive(), _some_class())
    raw = kernel.differential(["z"], term(f"log({TOTAL}) - z[y]"), positive)
    return brought(raw, term(f"sum i=0..n: dz[i]*({P} - [i = y])"), (1, _at_label("dz[i]")))


def _balanced() -> Theorem:
    """y >= 0, n >= y |- the sum of p[i] - [i = y] is 0."""
    whole = kernel.discharge(_softmax_total(), _some_class())
    goal = ("=", term(f"sum i=0..n: ({P} - [i = y])"), 0)
    return certificate(goal, [whole, _at_label("1")], [(1, [0]), (-1, [1])])


# --- hinge loss -------------------------------------------------------------------------------------------------------


def _hinge() -> Theorem:
    """For all j, (s[j] - s[y] + 1)^2 > 0 |- the derivative of the sum over j != y of the margins that are >= 0 is the
    sum of ds[j] - ds[y] over them.
    """
    away = given(f"for all j: {MARGIN}*{MARGIN} > 0", term("j"))
    raw = kernel.differential(["s"], term(f"sum j<n: (1 - [j = y])*{MARGIN}*[0 <= {MARGIN}]"), away)
    return brought(raw, term(f"sum j<n: (1 - [j = y])*[0 <= {MARGIN}]*(ds[j] - ds[y])"))


def _hinge_gradient() -> Theorem:
    """With 0 <= y < n as well: it is the sum of ds[i] ((1 - [i = y]) [margin i >= 0] - [i = y] how many are >= 0)."""
    chosen = sums.sifted("i", 0, term("n - 1"), term("ds[i]"), given("y >= 0"), given("n - 1 >= y"))
    other = "(1 - [i = y])*[0 <= (s[i] - s[y] + 1)]"
    return brought(_hinge(), term(f"sum i<n: ds[i]*({other} - [i = y]*{VIOLATED})"), (term(VIOLATED), chosen))


# --- by running -------------------------------------------------------------------------------------------------------


def _numbers(case: tuple[int, int, int], largest: int, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Arrays of Python integers from -largest to largest, by the case's seed."""
    rng = np.random.default_rng(case[-1])
    return [np.vectorize(int, otypes=[object])(rng.integers(-largest, largest + 1, shape)) for shape in shapes]


def _by_difference(loss: Callable[[np.ndarray], Any], x: np.ndarray, dx: np.ndarray, step: Fraction) -> Fraction:
    """(loss(x + step dx) - loss(x)) / step: the derivative, where the loss is linear in between."""
    return Fraction(loss(x + step * dx) - loss(x)) / step


def _run_relu(case: tuple[int, int, int]) -> None:
    """Integers that are not 0, and a step that takes none of them past 0."""
    z, dz, g = _numbers(case, 1000, case[:2], case[:2], case[:2])
    z = np.where(z == 0, 1, z)
    Z = ag.tensor(z)
    y = ag.relu(Z)
    expected = _by_difference(lambda x: (g * ag.relu(x).numpy()).sum(), z, dz, Fraction(1, 2000))
    equal("<relu'(z)* g, dz>", (ag.grad(y, [Z], g)[0].numpy() * dz).sum(), expected)
    equal("gradient", ag.grad(y, [Z], g)[0].numpy(), np.where(z >= 0, g, 0))


def _run_hinge(case: tuple[int, int, int]) -> None:
    """Scores that are multiples of 3, so that no margin is nearer to 0 than 1, and a step that keeps it there."""
    batch, classes, _ = case
    s, ds, labels = _numbers(case, 1000, (batch, classes), (batch, classes), (batch,))
    s, labels = 3 * s, (labels % classes).astype(np.int64)
    expected = _by_difference(lambda x: ag.hinge_loss(x, labels).numpy().item(), s, ds, Fraction(1, 4000))
    S = ag.tensor(s)
    found = ag.grad(ag.hinge_loss(S, labels), [S])[0].numpy()
    equal("<gradient, ds>", (found * ds).sum(), expected)
    chosen = labels[:, None] == np.arange(classes)
    violated = (s - s[chosen][:, None] + 1 >= 0) & ~chosen
    equal("gradient", batch * found, np.where(chosen, -violated.sum(axis=1, keepdims=True), violated))


UNIT = Decimal(2) ** -53
RANGE = 8


def _scores(case: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Scores from -RANGE to RANGE that floats hold exactly, and labels."""
    batch, classes, _ = case
    z, labels = _numbers(case, 1024 * RANGE, (batch, classes), (batch,))
    return z.astype(np.float64) / 1024, (labels % classes).astype(np.int64)


def _probabilities(row: np.ndarray) -> list[Decimal]:
    """exp(z) / the sum of exp(z), in 50 digits."""
    powers = [Decimal(value).exp() for value in row.tolist()]
    return [power / sum(powers) for power in powers]


def _close(what: str, found: np.ndarray, expected: list[list[Decimal]], sizes: list[list[Decimal]], steps: int) -> None:
    """Within `steps` roundings of numbers as large as `sizes`."""
    for index in np.ndindex(found.shape):
        off = abs(Decimal(float(found[index])) - expected[index[0]][index[1]])
        allowed = steps * UNIT * sizes[index[0]][index[1]]
        if off > allowed:
            raise Mismatch(f"{what}: at {index} off by {off:.2e}, of {allowed:.2e} allowed")


def _run_cross_entropy(case: tuple[int, int, int]) -> None:
    """The gradient in float64 against the difference quotient of the loss over a step of 1e-20, in 50 digits."""
    batch, classes, _ = case
    z, labels = _scores(case)
    Z = ag.tensor(z)
    found = ag.grad(ag.cross_entropy(Z, labels), [Z])[0].numpy()
    with localcontext(prec=50):
        slopes = [
            [_loss_slope(row.tolist(), int(label), k) / batch for k in range(classes)]
            for row, label in zip(z, labels, strict=True)
        ]
        _close("gradient", found, slopes, [[Decimal(2) / batch] * classes] * batch, classes + 4 * RANGE + 8)


def _loss_slope(row: list[float], label: int, place: int) -> Decimal:
    """The central difference of -log softmax(row)[label] along one score."""
    step = Decimal(10) ** -15

    def loss(moved: Decimal) -> Decimal:
        z = [Decimal(value) + moved * (k == place) for k, value in enumerate(row)]
        return sum(value.exp() for value in z).ln() - z[label]

    return (loss(step) - loss(-step)) / (2 * step)


def _run_softmax(case: tuple[int, int, int]) -> None:
    """Values and gradient in float64 against the formulas in 50 digits."""
    batch, classes, seed = case
    z, _ = _scores(case)
    g = np.random.default_rng(seed + 1).integers(-9, 10, z.shape).astype(np.float64)
    Z = ag.tensor(z)
    y = ag.softmax(Z)
    back = ag.grad(y, [Z], g)[0].numpy()
    with localcontext(prec=50):
        p = [_probabilities(row) for row in z]
        roundings = 2 * classes + 4 * RANGE + 16
        _close("softmax", y.numpy(), p, p, roundings)
        means = [sum(a * Decimal(b) for a, b in zip(*rows, strict=True)) for rows in zip(p, g.tolist(), strict=True)]
        slopes = [[a * (Decimal(b) - means[r]) for a, b in zip(p[r], g[r].tolist(), strict=True)] for r in range(batch)]
        _close("gradient", back, slopes, [[18 * a for a in row] for row in p], 2 * roundings)


CASES = st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(0, 2**32 - 1))
_RELU = Relation(
    "ReLU's gradient",
    "<gradient, dz> = the difference quotient of <g, relu> over a step that meets no kink",
    CASES,
    _run_relu,
)
_HINGE = Relation(
    "hinge gradient",
    "the hinge loss's gradient = its difference quotient over a step that meets no kink = counted violations",
    CASES,
    _run_hinge,
)
_CROSS_ENTROPY = Relation(
    "cross-entropy gradient",
    "the gradient in float64 = the loss's central difference in 50 digits, within K + 40 roundings for K classes",
    CASES,
    _run_cross_entropy,
    Rung.MEASURED,
)
_SOFTMAX = Relation(
    "softmax gradient",
    "softmax and its gradient in float64 = the formulas in 50 digits, within 2K + 48 and twice as many roundings",
    CASES,
    _run_softmax,
    Rung.MEASURED,
)
