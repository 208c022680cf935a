"""Pooling: what 2x2 with stride 2 discards, and the derivatives of max, average and L2 pooling."""

import math
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.architecture import MaxPool
from convproof.crosscheck import Mismatch, Relation, relation
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import Term, substitute
from convproof.proof.derived import certificate, follows, given
from convproof.proof.language import formula, term
from convproof.report import Equation, Table
from convproof.symbolic import FloorDiv, output_shape, symbols, values

W, H, C, m, k = symbols("W H C m k")
POOL = MaxPool(2)


def theory() -> Theory:
    kept = values(POOL, (C, H, W))
    return Theory(
        id="pooling",
        order=75,
        title="Pooling: what is kept, and where the gradient goes",
        statement=(
            "2x2 pooling with stride 2 keeps floor(W/2) floor(H/2) of W H values a channel: a quarter, so that exactly "
            "75% are discarded, if and only if both sizes are even, and less than a quarter otherwise. Away from ties "
            "the maximum of a window is linear, and its gradient goes to the switch alone; at a tie the subgradients "
            "are exactly the convex combinations of the tied positions. (The maximum is convex, so that Clarke's "
            "generalized gradient is this subdifferential.) An average gives each of its F inputs 1/F of the "
            "cotangent; an L2 norm y gives x[i] times x[i]/y of it."
        ),
        equations=(Equation(4 * kept, C * H * W, "<="),),
        hypotheses=(Equation(W, 2, ">="), Equation(H, 2, ">=")),
        witness=(("W", 5), ("H", 4)),
        steps=(
            Step(kept, C * FloorDiv(H, 2) * FloorDiv(W, 2), "one value a window", "values kept"),
            Step(values(POOL, (C, 2 * k, 2 * m)), C * k * m, "both even: a quarter of 2k 2m", "values kept"),
        ),
        claims=(*_sizes(), *_maximum(), *_others()),
        relations=(
            _KEPT,
            _SUBGRADIENTS,
            _NORM,
            relation("max pool switches"),
            relation("average pool"),
        ),
        exhibits=(
            Table(
                "Share of the values that 2x2 pooling with stride 2 discards",
                ("input", "kept", "discarded"),
                tuple((f"{w}x{h}", *_share(w, h)) for w, h in ((4, 4), (224, 224), (5, 4), (5, 5), (7, 7), (3, 3))),
            ),
        ),
        findings=(
            _discards("F=2, S=2 on an even size, 224x224, discards exactly 75%", 224),
            _discards("F=2, S=2 on any size discards exactly 75%, tried at 7x7", 7),
            Finding("224x224x64 pooled by F=2, S=2", "112x112x64", _by_width(), _by_width() == "112x112x64"),
        ),
        source=(
            "the notes, sections `Pooling Layer` and `Layer Sizing Patterns`, which say twice that exactly 75% are "
            "discarded; R. T. Rockafellar, `Convex Analysis` (1970), section 23, for subgradients; F. H. Clarke, "
            "`Optimization and Nonsmooth Analysis` (1983), proposition 2.2.7: the generalized gradient of a convex "
            "function is its subdifferential, and 2.3.12 for maxima"
        ),
    )


def _sizes() -> tuple[Claim, ...]:
    return (
        Claim("windows", "W//2 windows of 2 at stride 2 fit into a size W.", _windows),
        Claim("quarter", "Where both sizes are even, four times what is kept is all there was.", _quarter),
        Claim("at-most-a-quarter", "Never more than a quarter is kept.", _at_most, (("W", 5), ("H", 4))),
        Claim("odd-loses", "An odd size loses one position more: W - 2 floor(W/2) is 1 for W = 2m + 1.", _odd),
        Claim("remainder-least", "That remainder is never negative.", lambda: _remainder(">="), (("W", 5),)),
        Claim("remainder-most", "It is never more than 1.", lambda: _remainder("<="), (("W", 5),)),
        Claim(
            "discarded",
            "What is discarded, exactly: three times what is kept, the column left over times H, and the row left over "
            "times twice the windows along W.",
            _discarded,
        ),
        Claim(
            "three-quarters-iff-even",
            "Exactly three quarters are discarded if and only if both sizes are even: both remainders, none of which "
            "is negative, add up to 0.",
            _iff_even,
            (("W", 5), ("H", 4)),
        ),
    )


def _maximum() -> tuple[Claim, ...]:
    return (
        Claim(
            "away-from-ties",
            "Away from ties max pooling is linear: where x[s] exceeds all other values of a window by 2e at least, "
            "and a perturbation v is e at most anywhere, the maximum m of x + v is the maximum M of x plus the sum of "
            "[i = s] v[i]. The Jacobian's row is the indicator of the switch s.",
            _away_from_ties,
            (*_WINDOW, ("v", 0), ("s", 0), ("p", 0), ("q", 0), ("M", 0), ("m", 0), ("e", 0)),
        ),
        Claim(
            "subgradient",
            "At ties every convex combination of tied positions is a subgradient: with weights l >= 0 that add up to "
            "1 and are 0 wherever x is not M, the maximum, no bound m of x + v, and so not its maximum, is less than "
            "M plus the sum of l[i] v[i], whatever v is.",
            _subgradient,
            (*_WINDOW, ("v", 0), ("l", 1), ("M", 0), ("m", 0)),
        ),
        Claim(
            "switch-is-subgradient",
            "So the rule that gives all to one switch s, tied or not, takes one of the subgradients.",
            _switch_is_subgradient,
            (*_WINDOW, ("v", 0), ("s", 0), ("M", 0), ("m", 0)),
        ),
        Claim(
            "subgradient-sums-to-one",
            "Conversely, let g satisfy max(x + v) >= M + the sum of g[i] v[i], M the maximum of x. For v = 1 "
            "everywhere, with the maximum a, and v = -1 everywhere, with the maximum b, that says that g adds up to 1.",
            _sums_to_one,
            (*_WINDOW, ("p", 0), ("q", 0), ("g", 1), ("M", 0), ("a", 1), ("b", -1)),
        ),
        Claim(
            "subgradient-nonnegative",
            "For v = -1 at a position j and 0 elsewhere, with the maximum a, it says that g[j] >= 0.",
            _nonnegative,
            (*_WINDOW, ("p", 0), ("j", 0), ("g", 1), ("M", 0), ("a", -1)),
        ),
        Claim(
            "subgradient-on-ties",
            "For v = M - x[j] at j and 0 elsewhere too, with the maximum b, it says that g[j] (M - x[j]) = 0: nothing "
            "goes to a position below the maximum. With the two before, the subgradients are exactly the convex "
            "combinations of the tied positions.",
            _on_ties,
            (*_WINDOW, ("p", 0), ("q", 0), ("j", 0), ("g", 1), ("M", 0), ("a", -1), ("b", 0)),
        ),
        Claim(
            "routing",
            "The backward pass of max pooling with windows of any size, stride and overlap: with s(o) the switch of "
            "window o, the cotangent paired with the output is the input paired with the sums, at every input i, of "
            "the cotangents of all windows whose switch is i.",
            _routing,
            (("O", 3), ("W", 1), ("s", 0)),
        ),
    )


def _others() -> tuple[Claim, ...]:
    return (
        Claim(
            "average-backward",
            "The backward pass of average pooling, for every size, stride and padding (counted in the mean): every "
            "input i receives g[o]/F from each window o that reads it, the window of S o - P, ..., S o - P + F - 1.",
            _average_backward,
        ),
        Claim(
            "l2-derivative",
            "L2 pooling, y = the root of u, the sum of x[i]^2, written as exp(log(u)/2): where u > 0, the derivative "
            "along dx is y/u times the sum of x[i] dx[i].",
            _l2,
            (("F", 1), ("x", 1)),
        ),
    )


def _share(width: int, height: int) -> tuple[int, str]:
    kept = values(POOL, (1, height, width))
    return kept, f"{1 - kept / (width * height):.2%}"


def _discards(claim: str, size: int) -> Finding:
    _, share = _share(size, size)
    return Finding(claim, "75.00%", share, share == "75.00%")


def _by_width() -> str:
    depth, height, width = output_shape(POOL, (64, 224, 224))
    return f"{width}x{height}x{depth}"


# --- what is kept -----------------------------------------------------------------------------------------------------

TWO = derived.at_least(2, 1)


def _half(size: Term) -> Term:
    return ("//", size, 2)


def _windows() -> Theorem:
    """|- (W - 2)//2 + 1 = W//2."""
    whole = derived.whole(term("W - 2"), TWO, 1)  # (W - 2 + 2)//2 = (W - 2)//2 + 1
    return certificate(formula("(W - 2)//2 + 1 = W//2"), [whole], [(-1, [0])])


def _quarter() -> Theorem:
    """|- 4 ((2m)//2) ((2k)//2) = (2m) (2k)."""
    sizes = [("*", 2, ("v", name)) for name in ("m", "k")]
    halves = [derived.exact(TWO, ("v", name)) for name in ("m", "k")]
    goal = ("=", ("*", 4, _half(sizes[0]), _half(sizes[1])), ("*", *sizes))
    # 4 ab - 4 mk = 4 b (a - m) + 4 m (b - k)
    return certificate(goal, halves, [(("*", 4, _half(sizes[1])), [0]), (("*", 4, ("v", "m")), [1])])


def _at_most() -> Theorem:
    """W >= 0, H >= 0 |- W H >= 4 (W//2) (H//2)."""
    w, h = ("v", "W"), ("v", "H")
    low_w, low_h = kernel.division(w, TWO), kernel.division(h, TWO)
    half = kernel.period((">=", _half(w), 0), "W")
    goal = (">=", ("*", w, h), ("*", 4, _half(w), _half(h)))
    # W H - 4 ab = (W - 2a) H + 2a (H - 2b)
    return certificate(goal, [low_w, given("H >= 0"), half, low_h], [(1, [0, 1]), (2, [2, 3])])


def _odd() -> Theorem:
    """|- (2m + 1) - 2 ((2m + 1)//2) = 1."""
    size = ("+", ("*", 2, ("v", "m")), 1)
    half = derived.quotient(size, TWO, ("v", "m"), derived.at_least(1, 0), derived.at_least(1, 1))
    return certificate(("=", ("+", size, ("*", -2, _half(size))), 1), [half], [(-2, [0])])


def _remainder(sign: str) -> Theorem:
    """W >= 0 |- W - 2 (W//2) >= 0, or 1 >= it: by one period."""
    left = ("+", ("v", "W"), ("*", -2, _half(("v", "W"))))
    return kernel.period((">=", left, 0) if sign == ">=" else (">=", 1, left), "W")


def _discarded() -> Theorem:
    """|- W H - ab = 3 ab + (W - 2a) H + 2a (H - 2b), a = W//2, b = H//2."""
    exact = formula("W*H - W//2*(H//2) = 3*(W//2)*(H//2) + (W - 2*(W//2))*H + 2*(W//2)*(H - 2*(H//2))")
    return kernel.identity(*exact[1:])


DISCARDED = formula("4*(W*H - W//2*(H//2)) = 3*W*H")
EVEN = formula("W - 2*(W//2) + (H - 2*(H//2)) = 0")


def _iff_even() -> Theorem:
    """W >= 1, H >= 1 |- 4 (W H - (W//2) (H//2)) = 3 W H iff the remainders of W and H by 2 add up to 0."""
    low_w, low_h = (kernel.division(("v", name), TWO) for name in "WH")
    high_w, high_h = (kernel.division(("v", name), TWO, upper=True) for name in "WH")
    # with r, s the remainders: W H - 4 ab = 2as + 2br + rs, and what is assumed wrong is r + s >= 1
    premises = [low_w, high_w, low_h, high_h, given("W >= 1"), given("H >= 1"), kernel.assume(DISCARDED)]
    products = [(2, [2, 4]), (2, [0, 5]), (1, [2, 1]), (1, [0, 3]), (1, [7]), (-2, [6])]
    total, zero = EVEN[1:]
    below = certificate((">=", zero, total), premises, products, refute=True)
    above = follows((">=", total, zero), low_w, low_h)
    return kernel.equivalent(kernel.antisymmetry(above, below), _even_discards(low_w, low_h))


def _even_discards(low_w: Theorem, low_h: Theorem) -> Theorem:
    """From W >= 2 (W//2) and the like for H: both remainders 0 |- exactly three quarters are discarded."""
    none = kernel.assume(EVEN)
    even = []
    for low, other, rest in ((low_w, low_h, "W - 2*(W//2)"), (low_h, low_w, "H - 2*(H//2)")):
        above = follows((">=", term(rest), 0), low)
        below = certificate((">=", 0, term(rest)), [none, other], [(-1, [0]), (1, [1])])
        even.append(kernel.antisymmetry(above, below))
    # W H - 4 ab = r H + 2a s
    return certificate(DISCARDED, even, [(term("H"), [0]), (term("2*(W//2)"), [1])])


# --- the maximum of a window: x[i] for i = 0, ..., F - 1 --------------------------------------------------------------

_WINDOW = (("F", 1), ("x", 0))
INSIDE = "[0 <= i]*[i <= F - 1]"
LAST = term("F - 1")
BOUNDS = f"for all i: {INSIDE}*(M[] - x[i]) >= 0"
BOUNDS_MOVED = f"for all i: {INSIDE}*(m[] - x[i] - v[i]) >= 0"


def _place(letter: str, last: str = "F - 1") -> tuple[Theorem, Theorem]:
    """The assumption that a position lies in the window."""
    return given(f"{letter} >= 0"), given(f"{letter} <= {last}")


def _at(law: str, letter: str, last: str = "F - 1") -> Theorem:
    """0 <= place <= F - 1, the law |- the law at that place, without its indicators."""
    return indicators.unguarded(given(law, ("v", letter)), *_place(letter, last))


def _chosen(place: str, other: str) -> tuple[Theorem, Theorem]:
    """|- [place = other] >= 0 and 1 >= [place = other]."""
    return indicators.zero_or_one(("is", ("v", place), ("v", other)))


GAP = f"for all i: {INSIDE}*(1 - [i = s])*(x[s] - x[i] - 2*e[]) >= 0"
FALLS, RISES = (f"for all i: {INSIDE}*(e[] {sign} v[i]) >= 0" for sign in "-+")


def _away_from_ties() -> Theorem:
    """GAP, FALLS, RISES, m = max(x + v), M = max(x) |- m = M + the sum of [i = s] v[i]."""
    moved = _is_largest("m", "x[i] + v[i]", _wins("x[i] + v[i]", "q", _at(FALLS, "q")), _at(BOUNDS_MOVED, "s"))
    still = _is_largest("M", "x[i]", _wins("x[i]", "p", _at(FALLS, "s")), _at(BOUNDS, "s"))
    picked = sums.sifted("i", 0, LAST, term("v[i]"), *_place("s"))
    goal = formula("m[] = M[] + sum i<F: [i = s]*v[i]")
    return certificate(goal, [moved, still, picked], [(1, [0]), (-1, [1]), (-1, [2])])


def _wins(value: str, rival: str, falls: Theorem) -> Theorem:
    """GAP, FALLS, RISES |- value(s) >= value(rival): so it is where the rival is s, and by the gap where it is not."""
    here, there = (substitute(term(value), {"i": ("v", letter)}) for letter in ("s", rival))
    same = indicators.moved(substitute(term(value), {"i": ("v", "q")}), ("v", rival), ("v", "s"))
    premises = [_at(GAP, rival), _chosen(rival, "s")[1], _at(RISES, "s"), falls, same]
    return certificate((">=", here, there), premises, [(1, [0]), (1, [1, 2]), (1, [1, 3]), (-1, [4])])


def _is_largest(name: str, value: str, wins: Theorem, bounds: Theorem) -> Theorem:
    """The maximum m is attained, at a rival that s wins against, and bounds the value at s |- m = value(s)."""
    largest = term(f"{name}[]")
    _, here, there = wins.conclusion
    attained = kernel.assume(("=", largest, there))
    above = follows((">=", largest, here), bounds)
    below = certificate((">=", here, largest), [wins, attained], [(1, [0]), (-1, [1])])
    return kernel.antisymmetry(above, below)


def _subgradient() -> Theorem:
    """F >= 1, l >= 0 with sum 1 and l[i] (M - x[i]) = 0, m >= x + v |- m >= M + the sum of l[i] v[i]."""
    weights, bounds = given("for all i: l[i] >= 0", term("i")), given(BOUNDS_MOVED, term("i"))
    guarded = certificate(formula(f"{INSIDE}*l[i]*(m[] - x[i] - v[i]) >= 0"), [weights, bounds], [(1, [0, 1])])
    total = kernel.instantiate(sums.nonnegative("n", "i", guarded), {"n": term("F")})
    total = kernel.discharge(total, derived.natural(given("F >= 1")))
    ones = derived.product(*indicators.between(*_place("i")))
    plain = sums.weighted(term("sum i<F: l[i]*(m[] - x[i] - v[i])"), ones)
    tied = _at(f"for all i: {INSIDE}*l[i]*(M[] - x[i]) = 0", "i")
    off = kernel.under_sum(term("sum i<F: l[i]*(M[] - x[i])"), tied)
    one = given("sum i<F: l[i] = 1")
    goal = formula("m[] >= M[] + sum i<F: l[i]*v[i]")
    # the sum of l (m - x - v) is m - M - the sum of l v, since l adds up to 1 and l x to M
    return certificate(goal, [total, plain, off, one], [(1, [0]), (-1, [1]), (-1, [2]), (term("M[] - m[]"), [3])])


def _switch_is_subgradient() -> Theorem:
    """0 <= s <= F - 1, M = x[s], m >= x + v |- m >= M + the sum of [i = s] v[i]."""
    picked = sums.sifted("i", 0, LAST, term("v[i]"), *_place("s"))
    premises = [_at(BOUNDS_MOVED, "s"), given("M[] = x[s]"), picked]
    return certificate(formula("m[] >= M[] + sum i<F: [i = s]*v[i]"), premises, [(1, [0]), (-1, [1]), (-1, [2])])


def _sums_to_one() -> Theorem:
    """M >= x, a = max(x + 1) >= M + the sum of g, b = max(x - 1) >= M - the sum of g |- the sum of g = 1."""
    total = term("sum i<F: g[i]")
    most = [given("a[] = x[p] + 1"), given("a[] >= M[] + sum i<F: g[i]"), _at(BOUNDS, "p")]
    least = [given("b[] = x[q] - 1"), given("b[] >= M[] - sum i<F: g[i]"), _at(BOUNDS, "q")]
    products = [(1, [1]), (1, [2])]
    below = certificate((">=", 1, total), most, [(-1, [0]), *products])
    above = certificate((">=", total, 1), least, [(-1, [0]), *products])
    return kernel.antisymmetry(above, below)


def _nonnegative() -> Theorem:
    """M >= x, a = max(x - [i = j]) >= M - the sum of g[i] [i = j] |- g[j] >= 0."""
    picked = sums.sifted("i", 0, LAST, term("g[i]"), *_place("j"))
    falls = given("a[] = x[p] - [p = j]")
    subgradient = given("a[] >= M[] - sum i<F: g[i]*[i = j]")
    premises = [subgradient, falls, _at(BOUNDS, "p"), _chosen("p", "j")[0], picked]
    return certificate(formula("g[j] >= 0"), premises, [(1, [0]), (-1, [1]), (1, [2]), (1, [3]), (-1, [4])])


def _on_ties() -> Theorem:
    """As before, b = max(x + (M - x[j]) [i = j]) >= M + the sum of g[i] (M - x[j]) [i = j] |- g[j] (M - x[j]) = 0."""
    product, below = term("g[j]*(M[] - x[j])"), _at(BOUNDS, "j")
    above = certificate((">=", product, 0), [_nonnegative(), below], [(1, [0, 1])])
    picked = sums.sifted("i", 0, LAST, term("g[i]"), *_place("j"))
    rises = given("b[] = x[q] + (M[] - x[j])*[q = j]")
    subgradient = given("b[] >= M[] + sum i<F: g[i]*(M[] - x[j])*[i = j]")
    # M - b = (M - x[q]) (1 - [q = j]), as x[q] is x[j] where q is j
    same = indicators.moved(term("x[q]"), term("q"), term("j"))
    premises = [subgradient, rises, _at(BOUNDS, "q"), _chosen("q", "j")[1], same, picked]
    products = [(1, [0]), (-1, [1]), (1, [2, 3]), (-1, [4]), (term("M[] - x[j]"), [5])]
    return kernel.antisymmetry(above, certificate((">=", 0, product), premises, products))


# --- backward passes --------------------------------------------------------------------------------------------------


def _routing() -> Theorem:
    """0 <= s(o) <= W - 1 for o < O |- the sum of g[o] x[s(o)] = the sum of x[i] times the sum of g[o] [i = s(o)]."""
    left, right = term("sum o<O: g[o]*x[s(o)]"), term("sum i<W: x[i]*sum o<O: g[o]*[i = s(o)]")
    low, rest = (
        _at(f"for all o: [0 <= o]*[o <= O - 1]*{value} >= 0", "o", "O - 1") for value in ("s(o)", "(W - 1 - s(o))")
    )
    high = follows(formula("W - 1 >= s(o)"), rest)
    read = sums.sifted("i", 0, term("W - 1"), term("x[i]"), low, high)
    routed = sums.under([("o", 0, term("O - 1"))], derived.times(term("g[o]"), read))
    return derived.equals(left, right, derived.symmetric(routed), sums.reordered(routed.conclusion[1], right))


def _average_backward() -> Theorem:
    """|- <g, average(x)> = the sum over i of x[i] * sum over o of g[o]/F [S o - P <= i] [i <= S o - P + F - 1]."""
    forward = term("sum o<O: g[o]/F*sum t<F, i<W: x[i]*[i = S*o + t - P]")
    collected = term("sum i<W: x[i]*sum o<O: g[o]/F*sum t<F: [i = S*o + t - P]")
    backward = term("sum i<W: x[i]*sum o<O: g[o]/F*[S*o - P <= i]*[i <= S*o - P + F - 1]")
    reads = kernel.sift("t", 0, LAST, 1, term("i - S*o + P"))
    spread = derived.times(term("x[i]*g[o]/F"), reads)
    counted = sums.under([("i", 0, term("W - 1")), ("o", 0, term("O - 1"))], spread)
    return derived.equals(forward, backward, sums.reordered(forward, collected), counted)


def _l2() -> Theorem:
    """u = the sum of x[i]^2 > 0 |- d exp(log(u)/2) = exp(log(u)/2)/u * the sum of x[i] dx[i]."""
    total = "(sum i<F: x[i]*x[i])"
    found = kernel.differential(["x"], term(f"exp(log{total}/2)"), given(f"{total} > 0"))
    plain = term(f"exp(log{total}/2)/{total}*sum i<F: x[i]*dx[i]")
    return derived.brought(found, plain, (plain, derived.inverse(TWO)))


# --- checks -----------------------------------------------------------------------------------------------------------


def _check(case: tuple[int, int]) -> None:
    width, height = case
    kept = values(POOL, (1, height, width))
    equal("a quarter", int(4 * kept == width * height), int({width & 1, height & 1} == {0}))
    equal("at most a quarter", int(4 * kept <= width * height), 1)


_KEPT = Relation(
    "quarter kept",
    "a quarter is kept exactly where both sizes are even",
    st.tuples(st.integers(2, 60), st.integers(2, 60)),
    _check,
)


def _is_subgradient(x: list[int], g: list[Fraction]) -> bool:
    """Whether max(x + v) >= max(x) + <g, v> for the perturbations v by which the theorems tell the subgradients."""
    units = [[int(i == j) for i in range(len(x))] for j in range(len(x))]
    down, up = [[-a for a in each] for each in units], [[(max(x) - x[j]) * a for a in units[j]] for j in range(len(x))]
    moves = [[1] * len(x), [-1] * len(x), *down, *up, *([3 * a - b for a, b in zip(u, x, strict=True)] for u in units)]
    return all(
        max(map(sum, zip(x, v, strict=True))) >= max(x) + sum(map(math.prod, zip(g, v, strict=True))) for v in moves
    )


def _subgradients(case: tuple[list[int], list[int]]) -> None:
    """Subgradients by the inequality, against convex combinations of ties; what the layer takes is one of them."""
    x, drawn = case
    g = [Fraction(a, sum(drawn) or 1) for a in drawn]
    combination = sum(g) == 1 and all(a >= 0 and (a == 0 or b == max(x)) for a, b in zip(g, x, strict=True))
    equal("a subgradient", _is_subgradient(x, g), combination)
    X = ag.tensor([[x]])
    (taken,) = ag.grad(ag.max_pool(X, len(x)), [X], [[[1]]])
    equal("what the layer takes is one", _is_subgradient(x, [Fraction(int(a)) for a in taken.numpy()[0, 0]]), True)


_SUBGRADIENTS = Relation(
    "subgradients at ties",
    "what satisfies the inequality = the convex combinations of ties; the layer's gradient is one",
    st.integers(1, 4).flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, 2), min_size=n, max_size=n), st.lists(st.integers(-1, 2), min_size=n, max_size=n)
        )
    ),
    _subgradients,
)


def _norm(case: list[int]) -> None:
    """The layer's gradient against x[i]/y with y the exact root where there is one, else its nearest float."""
    x = ag.tensor([[[float(a) for a in case]]])
    y = ag.lp_pool(x, 2, len(case))
    (found,) = ag.grad(y, [x], np.ones(y.shape))
    root = math.sqrt(sum(a * a for a in case))
    if any(abs(a - b / root) > 1e-12 for a, b in zip(found.numpy()[0, 0], case, strict=True)):
        raise Mismatch(f"the gradient is {found.numpy()[0, 0].tolist()}, and x/y is {[b / root for b in case]}")


_NORM = Relation(
    "L2 pooling",
    "the gradient of L2 pooling = x/y, to 12 digits",
    st.lists(st.integers(-50, 50), min_size=1, max_size=6).filter(any),
    _norm,
)
