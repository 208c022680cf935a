"""Batch normalization and local response normalization: their gradients, for any batch and any window."""

from fractions import Fraction

import numpy as np
import sympy
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.crosscheck import Relation
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, derived, kernel, sums
from convproof.proof.derived import (
    brought,
    certificate,
    congruence,
    discharged,
    equals,
    given,
    inverse,
    natural,
    symmetric,
)
from convproof.proof.language import term
from convproof.report import Equation
from convproof.symbolic import symbols

# Batch normalization of m values of a channel, x[i] for i < m, with what the batch determines written out ...
MEAN = "(sum j<m: x[j])/m"
SHIFTED_VARIANCE = f"((sum k<m: (x[k] - {MEAN})^2)/m + eps[])"
BATCH_NORM = f"sum i<m: g[i]*(gamma[]*(x[i] - {MEAN})*exp(-log{SHIFTED_VARIANCE}/2) + beta[])"
# ... and by name.
MEAN_IS = f"mu[] = {MEAN}"
VARIANCE_IS = "u[] = (sum k<m: (x[k] - mu[])^2)/m + eps[]"
SCALE = "exp(-log(u[])/2)"
ALONG = "(sum j<m: g[j]*(x[j] - mu[]))"
TO_INPUT = f"(g[i] - (sum j<m: g[j])/m - (x[i] - mu[])/u[]*{ALONG}/m)"
BATCH = (("m", 1), ("x", 0), ("mu", 0), ("u", 1), ("eps", 1))

# Local response normalization of C channels, windows reaching h to either side.
DENOMINATOR = "(k[] + a[]*sum j<C: [c - h <= j]*[j <= c + h]*x[j]^2)"
DENOMINATOR_IS = f"for all c: u[c] = {DENOMINATOR}"
POSITIVE = "for all c: u[c] > 0"
CHANNELS = (("C", 5), ("h", 2), ("k", 2), ("a", 1), ("x", 0), ("u", 2))


def theory() -> Theory:
    i, j, c, n, h = sympy.symbols("i j c C h", integer=True, positive=True)
    x, y = map(sympy.IndexedBase, "xy")
    mean, variance, eps, gamma, beta = sympy.symbols("mu sigma^2 epsilon gamma beta")
    k, a, b = sympy.symbols("k a b")
    window = (j, sympy.Max(0, c - h), sympy.Min(n - 1, c + h))
    first, second, total = sympy.symbols("x_0 x_1 S")
    return Theory(
        id="normalization",
        order=77,
        title="Batch normalization and local response normalization",
        statement=(
            "Batch normalization takes a channel's m values, over batch and positions, to mean 0 and then scales and "
            "shifts them by learned numbers. Its gradient to the input takes away the gradient's mean and its share "
            "along the normalized values. Local response normalization divides each channel by a power of the squares "
            "in a window of channels; its gradient sums over the same window."
        ),
        equations=(
            Equation(y[i], gamma * (x[i] - mean) / sympy.sqrt(variance + eps) + beta),
            Equation(y[c], x[c] / (k + a * sympy.Sum(x[j] ** 2, window)) ** b),
        ),
        hypotheses=(Equation(symbols("m")[0], 1, ">="),),
        witness=(("m", 1),),
        steps=(
            Step(
                (first - total / 2) + (second - total / 2),
                first + second - total,
                "with S = x_0 + x_1 the sum of the two deviations is 0",
                "deviations of a batch of two",
            ),
            Step(
                ((first - (first + second) / 2) ** 2 + (second - (first + second) / 2) ** 2) / 2,
                ((first - second) / 2) ** 2,
                "half the difference, squared",
                "variance of a batch of two",
            ),
        ),
        claims=(
            Claim("centred", "The deviations from the mean add up to 0.", _centred, BATCH),
            Claim(
                "batch-norm-to-input",
                "The gradient g becomes, at input i, gamma/sqrt(u) (g[i] - mean of g - (x[i] - mu)/u * mean of "
                "g (x - mu)), with u the variance plus eps: mean and variance move with the input.",
                _to_input,
                BATCH,
            ),
            Claim(
                "batch-norm-to-parameters",
                "The gradient to the scale is the sum of g times the normalized values, that to the shift the sum of "
                "g.",
                _to_parameters,
                BATCH,
            ),
            Claim(
                "shift-free",
                "The gradient to the input adds up to 0: raising all of a batch alike changes nothing to first order.",
                _shift_free,
                BATCH,
            ),
            Claim(
                "scale-free",
                "Along the deviations themselves it is eps/u times g's share: with eps = 0, stretching a batch changes "
                "nothing to first order.",
                _scale_free,
                BATCH,
            ),
            Claim(
                "inference",
                "With mean and scale frozen, as at test time, the layer is affine and the gradient is gamma r g.",
                _inference,
            ),
            Claim(
                "folded",
                "Frozen, it folds into the filter before it: weights times gamma r, and another bias.",
                _folded,
            ),
            Claim(
                "response-norm",
                "Local response normalization: a channel's output moves with the channel itself, and against the "
                "squares in its window.",
                _response,
                CHANNELS,
            ),
            Claim(
                "response-norm-backward",
                "As a gradient: g times the power at the channel, minus 2 a b x[i] times the sum over the same window "
                "of g x p/u.",
                _response_backward,
                CHANNELS,
            ),
        ),
        relations=(_BATCH_NORM, _RESPONSE_NORM),
        source=(
            "the notes, sections `Normalization Layer` and `Case studies` (ResNet); S. Ioffe and C. Szegedy (2015), "
            "section 3; A. Krizhevsky, I. Sutskever and G. Hinton (2012), section 3.3, whose alpha is a here (PyTorch "
            "and Caffe divide it by the window's size)"
        ),
    )


# --- batch normalization ----------------------------------------------------------------------------------------------


SIZE = given("m >= 1")


def _ones() -> Theorem:
    """m >= 1 |- the sum of 1 over i < m is m."""
    return discharged(sums.counted("m"), natural(SIZE))


def _centred() -> Theorem:
    """m >= 1, mu = (sum of x)/m |- the sum of x[i] - mu is 0."""
    premises = [_ones(), given(MEAN_IS), inverse(SIZE)]
    products = [(term("-mu[]"), [0]), (term("-m"), [1]), (term("-sum j<m: x[j]"), [2])]
    return certificate(("=", term("sum i<m: (x[i] - mu[])"), 0), premises, products)


def _named(theorem: Theorem) -> Theorem:
    """The theorem with mu and u for the mean and the variance plus eps that stand written out in it."""
    return kernel.rewrite(kernel.rewrite(theorem, symmetric(given(MEAN_IS))), symmetric(given(VARIANCE_IS)))


def _to_input() -> Theorem:
    """m >= 1, u > 0, with mu and u as defined |- the derivative of the sum of g[i] y[i] as x moves, in textbook form.

    What was found differs by 1/2 + 1/2 - 1 and by the sum of the deviations, each times something.
    """
    positive = kernel.rewrite(kernel.rewrite(given("u[] > 0"), given(VARIANCE_IS)), given(MEAN_IS))
    found = _named(kernel.differential(["x"], term(BATCH_NORM), positive))
    half = inverse(derived.at_least(2, 1))
    share = f"gamma[]*{SCALE}/u[]*{ALONG}/m"
    return brought(
        found,
        term(f"sum i<m: dx[i]*gamma[]*{SCALE}*{TO_INPUT}"),
        (term(f"-{share}*sum k<m: (x[k] - mu[])*dx[k]"), half),
        (term(f"{share}*2*(1/2)*(sum j<m: dx[j])/m"), _centred()),
    )


def _to_parameters() -> Theorem:
    """With mu and u as defined |- the derivative of the sum of g[i] y[i] as gamma and beta move."""
    found = _named(kernel.differential(["gamma", "beta"], term(BATCH_NORM)))
    return brought(found, term(f"dgamma[]*(sum i<m: g[i]*(x[i] - mu[])*{SCALE}) + dbeta[]*sum i<m: g[i]"))


def _shift_free() -> Theorem:
    """m >= 1, mu = (sum of x)/m |- the sum of the gradient to the input is 0."""
    goal = ("=", term(f"sum i<m: gamma[]*{SCALE}*{TO_INPUT}"), 0)
    mean = f"gamma[]*{SCALE}*(sum j<m: g[j])"
    products = [
        (term(f"-{mean}/m"), [0]),
        (term(f"-{mean}"), [1]),
        (term(f"-gamma[]*{SCALE}/u[]*{ALONG}/m"), [2]),
    ]
    return certificate(goal, [_ones(), inverse(SIZE), _centred()], products)


def _scale_free() -> Theorem:
    """m >= 1, u > 0, with mu and u as defined |- the sum of (x[i] - mu) times the gradient is eps/u times the sum of
    gamma r g[i] (x[i] - mu).
    """
    square = certificate((">", term("u[]*u[]"), 0), [given("u[] > 0")], [(1, [0, 0])])
    known = [_centred(), given(VARIANCE_IS), kernel.reciprocal(term("u[]"), square)]
    share = f"gamma[]*{SCALE}*{ALONG}"
    products = [
        (term(f"-gamma[]*{SCALE}*(sum j<m: g[j])/m"), [0]),
        (term(f"{share}/u[]"), [1]),
        (term(f"-{share}"), [2]),
    ]
    left = term(f"sum i<m: (x[i] - mu[])*gamma[]*{SCALE}*{TO_INPUT}")
    return certificate(("=", left, term(f"eps[]/u[]*sum i<m: gamma[]*{SCALE}*g[i]*(x[i] - mu[])")), known, products)


def _inference() -> Theorem:
    """|- the derivative of the sum of g[i] (gamma (x[i] - mu) r + beta) as x moves is the sum of gamma r g[i] dx[i]."""
    raw = kernel.differential(["x"], term("sum i<m: g[i]*(gamma[]*(x[i] - mu[])*r[] + beta[])"))
    return brought(raw, term("sum i<m: dx[i]*gamma[]*r[]*g[i]"))


def _folded() -> Theorem:
    """|- gamma (sum of w[t] x[t] + b - mu) r + beta = the sum of (gamma r w[t]) x[t], plus gamma r (b - mu) + beta."""
    return kernel.identity(
        term("gamma[]*((sum t<F: w[t]*x[t]) + b[] - mu[])*r[] + beta[]"),
        term("(sum t<F: (gamma[]*r[]*w[t])*x[t]) + (gamma[]*r[]*(b[] - mu[]) + beta[])"),
    )


# --- local response normalization -------------------------------------------------------------------------------------

POWER = "exp(-b[]*log(u[c]))"
WINDOW = "[c - h <= j]*[j <= c + h]"


def _denominator() -> Theorem:
    """With u as defined |- u[c] = k + a times the sum of the squares in the window of c."""
    return given(DENOMINATOR_IS, term("c"))


def _denominator_positive() -> Theorem:
    """For all c, u[c] > 0, with u as defined |- what u[c] is written out is > 0."""
    known = given(POSITIVE, term("c"))
    return certificate((">", term(DENOMINATOR), 0), [known, _denominator()], [(1, [0]), (-1, [1])])


def _response() -> Theorem:
    """For all c, u[c] > 0, with u as defined |- the derivative of x[c] p(c), where p(c) = u[c]^-b."""
    raw = kernel.differential(["x"], term(f"x[c]*exp(-b[]*log{DENOMINATOR})"), _denominator_positive())
    value = f"dx[c]*{POWER} - 2*a[]*b[]*x[c]*{POWER}/u[c]*sum j<C: {WINDOW}*x[j]*dx[j]"
    return brought(kernel.rewrite(raw, symmetric(_denominator())), term(value))


def _response_backward() -> Theorem:
    """With the same |- the derivative of the sum of g[c] x[c] p(c) is the sum of dx[i] times the gradient to x[i]."""
    raw = kernel.differential(["x"], term(f"sum c<C: g[c]*x[c]*exp(-b[]*log{DENOMINATOR})"), _denominator_positive())
    value = raw.conclusion[3]
    away = f"g[c]*x[c]*{POWER}/u[c]"
    body = f"g[c]*dx[c]*{POWER} - 2*a[]*b[]*{away}*sum j<C: {WINDOW}*x[j]*dx[j]"
    named = kernel.under_sum(
        value, equals(value[4], term(body), symmetric(congruence(term(body.replace("u[c]", "q")), _denominator())))
    )
    exchanged = kernel.exchange(term(f"sum c<C, j<C: {away}*{WINDOW}*x[j]*dx[j]"), [1, 0])
    back = f"2*a[]*b[]*x[i]*sum c<C: [i - h <= c]*[c <= i + h]*{away}"
    wanted = f"sum i<C: dx[i]*(g[i]*{POWER.replace('c', 'i')} - {back})"
    return brought(raw, term(wanted), (1, named), (term("-2*a[]*b[]"), exchanged))


# --- by running -------------------------------------------------------------------------------------------------------


def _whole_numbers(shape: tuple[int, ...], largest: int, seed: int) -> np.ndarray:
    """Random numbers from -largest to largest."""
    return np.random.default_rng(seed).integers(-largest, largest + 1, shape)


def _run_batch_norm(case: tuple[int, int, int]) -> None:
    """The layer as operations of the tape, differentiated by it, against the formulas in fractions.

    Integers, a power of two of them, and an eps that makes u a power of 4: all that is computed is exact in float64.
    """
    m, root, seed = 2 ** case[0], Fraction(2) ** case[1], case[2]
    x, g = _whole_numbers((2, m), 64, seed)
    scale, shift = _whole_numbers((2,), 64, seed + 1)
    mean = Fraction(int(x.sum()), m)
    deviations = [int(value) - mean for value in x]
    eps = root**2 - sum(value**2 for value in deviations) / m
    X, GAMMA, BETA = (ag.tensor(np.asarray(value, dtype=np.float64)) for value in (x, scale, shift))
    centred = ag.add(X, ag.multiply(ag.sum(X), -1 / m))
    u = ag.add(ag.multiply(ag.sum(ag.power(centred, 2)), 1 / m), float(eps))
    y = ag.add(ag.multiply(GAMMA, ag.multiply(centred, ag.power(u, -0.5))), BETA)
    found = [gradient.numpy() for gradient in ag.grad(y, [X, GAMMA, BETA], g.astype(np.float64))]
    along = sum(int(a) * b for a, b in zip(g, deviations, strict=True))
    formula = [int(a) - Fraction(int(g.sum()), m) - b / root**2 * along / m for a, b in zip(g, deviations, strict=True)]
    equal("gradient to the input", found[0], [float(int(scale) / root * value) for value in formula])
    equal("gradient to the scale", found[1], float(along / root))
    equal("gradient to the shift", found[2], float(g.sum()))


def _run_response_norm(case: tuple[int, int, int, int]) -> None:
    """The layer as operations of the tape on fractions, with a whole exponent b, against the formula, walked."""
    channels, reach, b, seed = case
    x, g = (np.vectorize(Fraction, otypes=[object])(each) for each in _whole_numbers((2, channels), 9, seed))
    k, a = Fraction(2), Fraction(1, 3)
    near = abs(np.subtract.outer(np.arange(channels), np.arange(channels))) <= reach
    X = ag.tensor(x)
    squares = ag.matmul(near.astype(int).astype(object), ag.reshape(ag.power(X, 2), (channels, 1)))
    u = ag.add(ag.multiply(ag.reshape(squares, (channels,)), np.full(channels, a)), np.full(channels, k))
    (found,) = ag.grad(ag.multiply(X, ag.power(u, -b)), [X], g)
    values = [k + a * sum(x[j] ** 2 for j in range(channels) if abs(c - j) <= reach) for c in range(channels)]
    away = [g[c] * x[c] / values[c] ** (b + 1) for c in range(channels)]
    expected = [
        g[i] / values[i] ** b - 2 * a * b * x[i] * sum(away[c] for c in range(channels) if i - reach <= c <= i + reach)
        for i in range(channels)
    ]
    equal("gradient", found.numpy(), np.array(expected, dtype=object))


SEEDS = st.integers(0, 2**32 - 1)
_BATCH_NORM = Relation(
    "batch norm's gradients",
    "the tape's gradients of batch norm as composed operations = the formulas, exact by choice of eps",
    st.tuples(st.integers(0, 4), st.integers(-2, 4), SEEDS),
    _run_batch_norm,
)
_RESPONSE_NORM = Relation(
    "response norm's gradient",
    "the tape's gradient of local response norm as composed operations, on fractions = the formula",
    st.tuples(st.integers(1, 8), st.integers(0, 4), st.integers(1, 3), SEEDS),
    _run_response_norm,
)
