"""A chain of windows of any length is one floor."""

import sympy
from hypothesis import strategies as st

from convproof.architecture import Axis
from convproof.crosscheck import Mismatch, Relation, oracle
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, derived, kernel, sums
from convproof.proof.algebra import Formula, substitute
from convproof.proof.language import formula, term
from convproof.report import Equation
from convproof.symbolic import FloorDiv, floordiv, normal, symbols, window

n, a, b, c = symbols("n a b c")
AXIS = Axis("F", "S", "P", "P", "D")


def theory() -> Theory:
    return Theory(
        id="chains",
        order=15,
        title="A chain of windows is one floor",
        statement=(
            "Every layer of windows takes the size n to floor((n + a)/s). A chain of such layers takes it to "
            "floor((n + A)/S), where S is the product of the strides and every a enters A times the strides before "
            "it. It leaves nothing over exactly where no layer does."
        ),
        equations=(Equation(FloorDiv(FloorDiv(n, a, evaluate=False), b, evaluate=False), FloorDiv(n, a * b)),),
        steps=(
            Step(floordiv(floordiv(n, 2), 2), FloorDiv(n, 4), "two poolings of 2 are one of 4", "halved twice"),
            Step(
                floordiv(floordiv(n - 11, 4) + 1 - 3, 2) + 1,
                FloorDiv(n - 11, 8),
                "AlexNet's first layer and pool",
                "size after both",
            ),
        ),
        claims=(
            Claim("layer", "Every layer of windows takes n to one floor of n and a constant.", _layer, (("S", 2),)),
            Claim("fold", "Nested floors are one floor.", _fold, (("b", 2), ("c", 3))),
            Claim("shift", "A multiple of the divisor leaves the floor.", _shift, (("b", 2),)),
            Claim("scale", "The accumulated stride is at least 1 after every layer.", _scale, WITNESS),
            Claim(
                "chain",
                "A chain of any length is one floor: n(0) and every layer's constant times the strides before it, over "
                "the product of all strides.",
                _chain,
                WITNESS,
            ),
            Claim(
                "remainders",
                "What that one floor leaves over is the sum of what the layers leave over, each times the strides "
                "before it.",
                _remainders,
                WITNESS,
            ),
            Claim(
                "exact",
                "Where the chain leaves nothing over, layer j, one of its j + 1 + m layers, leaves nothing over.",
                _exact,
                (("j", 1), ("m", 1), ("s", 1), ("a", 0), ("S", 1), ("n", 7)),
            ),
            Claim(
                "exact-layers",
                "Where no layer leaves anything over, the chain leaves nothing over.",
                _exact_layers,
                WITNESS,
            ),
        ),
        relations=(_NESTED,),
        source=(
            "Dumoulin and Visin (2016) for one layer; R. Graham, D. Knuth and O. Patashnik, `Concrete "
            "Mathematics`, 3.11"
        ),
    )


# Layers of stride 1 that each add 2: n(k) = 7 + 2k.
WITNESS = (("N", 3), ("s", 1), ("a", 2), ("S", 1), ("n", term("7 + 2*k")))

STRIDES, FIRST = derived.given("for all k: s(k) >= 1"), derived.given("S(0) = 1")
SCALES = derived.given("for all k: S(k + 1) = S(k)*s(k)")
SIZES = derived.given("for all k: n(k + 1) = (n(k) + a(k))//s(k)")
INPUT = "n(0) + sum k<N: S(k)*a(k)"
NATURAL = derived.given("N >= 0")


def _at(law: Theorem, k: str = "N") -> Theorem:
    """A law at layer k."""
    return kernel.specialize(law, term(k))


def _layer() -> Theorem:
    """S >= 1 |- the number of windows = (n + 2P - D (F - 1) - 1 + S)//S."""
    inside = derived.whole(term(str(window.slack(AXIS, n))), derived.given("S >= 1"), 1)
    one = term("(n + 2*P - D*(F - 1) - 1 + S)//S")
    return derived.equals(term(str(window.count(AXIS, n))), one, derived.symmetric(inside))


def _fold() -> Theorem:
    """b >= 1, c >= 1 |- n//(b*c) = (n//b)//c."""
    return derived.fold(term("n"), derived.given("b >= 1"), derived.given("c >= 1"))


def _shift() -> Theorem:
    """b >= 1 |- (n + b*c)//b = n//b + c."""
    return derived.whole(term("n"), derived.given("b >= 1"), term("c"))


def _scale() -> Theorem:
    """for all k: s(k) >= 1, S(0) = 1, for all k: S(k + 1) = S(k) s(k), N >= 0 |- S(N) >= 1."""
    claim = derived.given("S(N) >= 1")
    grown = [_at(SCALES), claim, _at(STRIDES)], [(1, [0]), (1, [1, 2]), (1, [1]), (1, [2])]
    return derived.by_induction(claim.conclusion, "N", ([FIRST], [(1, [0])]), grown)


def _chain() -> Theorem:
    """With these, for all k: n(k + 1) = (n(k) + a(k))//s(k), N >= 0 |- n(N) = (n(0) + sum k<N: S(k) a(k))//S(N)."""
    claim = formula(f"n(N) = ({INPUT})//S(N)")
    base, step = _no_layer(claim), _one_more_layer(kernel.assume(claim))
    return derived.by_induction(claim, "N", ([base], [(1, [0])]), ([step], [(1, [0])]))


def _no_layer(claim: Formula) -> Theorem:
    """n(0) = (n(0) + the empty sum)//S(0), since S(0) = 1."""
    _, size, (_, reached, scale) = substitute(claim, {"N": 0})
    nothing, positive = sums.none(*reached[2][1:]), derived.follows((">=", scale, 1), FIRST)
    below = ("*", scale, size)
    low = derived.certificate((">=", reached, below), [nothing, FIRST], [(1, [0]), (term("-n(0)"), [1])])
    top = ("+", below, scale, -1)
    high = derived.certificate((">=", top, reached), [nothing, FIRST], [(-1, [0]), (term("n(0) + 1"), [1])])
    return derived.symmetric(derived.floor_is(reached, positive, size, low, high))


def _one_more_layer(known: Theorem) -> Theorem:
    """From n(N) = (n(0) + A)//S(N): a(N) goes inside, the floors are folded, and the sum and product named."""
    reached, scale = term(INPUT), _scale()
    inside = derived.whole(reached, scale, term("a(N)"))  # (n(0) + A + S(N) a(N))//S(N) = (n(0) + A)//S(N) + a(N)
    nested = kernel.rewrite(kernel.rewrite(_at(SIZES), known), derived.symmetric(inside))
    folded = derived.fold(inside.conclusion[1][1], scale, _at(STRIDES))
    found = derived.chain(nested, derived.symmetric(folded))
    _, both, product = found.conclusion[2]
    longer = sums.longer(*reached[2][1:], NATURAL)
    named = derived.certificate(("=", both, substitute(reached, {"N": term("N + 1")})), [longer], [(-1, [0])])
    scaled = derived.certificate(("=", product, term("S(N + 1)")), [_at(SCALES)], [(-1, [0])])
    return kernel.rewrite(kernel.rewrite(found, named), scaled)


# --- what is left over ------------------------------------------------------------------------------------------------

LEFT = "n(k) + a(k) - s(k)*n(k + 1)"


def _remainders() -> Theorem:
    """S(0) = 1, for all k: S(k + 1) = S(k) s(k), N >= 0 |- n(0) + sum k<N: S(k) a(k) = S(N) n(N) + what is left."""
    claim = formula(f"{INPUT} = S(N)*n(N) + sum k<N: S(k)*({LEFT})")
    added, left = claim[1][2], claim[2][2]
    none = [sums.none("k", 0, -1, total[4]) for total in (added, left)]
    base = [*none, FIRST], [(1, [0]), (-1, [1]), (term("-n(0)"), [2])]
    more = [sums.longer(*added[1:], NATURAL), sums.longer(*left[1:], NATURAL), kernel.assume(claim), _at(SCALES)]
    return derived.by_induction(claim, "N", base, (more, [(1, [0]), (-1, [1]), (1, [2]), (term("-n(N + 1)"), [3])]))


def _exact_layers() -> Theorem:
    """With S as above, for all k: n(k) + a(k) = s(k) n(k + 1), N >= 0 |- n(0) + sum k<N: S(k) a(k) = S(N) n(N)."""
    claim, exact = formula(f"{INPUT} = S(N)*n(N)"), derived.given("for all k: n(k) + a(k) = s(k)*n(k + 1)")
    added = claim[1][2]
    base = [sums.none("k", 0, -1, added[4]), FIRST], [(1, [0]), (term("-n(0)"), [1])]
    more = [sums.longer(*added[1:], NATURAL), kernel.assume(claim), _at(exact), _at(SCALES)]
    return derived.by_induction(
        claim, "N", base, (more, [(1, [0]), (1, [1]), (term("S(N)"), [2]), (term("-n(N + 1)"), [3])])
    )


def _exact() -> Theorem:
    """With the laws, j, m >= 0 and, at N = j+1+m, n(0) + sum k<N: S(k) a(k) = S(N) n(N) |- n(j) + a(j) = s(j) n(j+1).

    What is left in all is nothing, and it is what layer j leaves, times S(j) >= 1, and more that is not negative.
    """
    depth = {"N": term("j + 1 + m")}
    exact = kernel.assume(substitute(formula(f"{INPUT} = S(N)*n(N)"), depth))
    total = kernel.discharge(kernel.instantiate(_remainders(), depth), _natural("j + 1 + m", "j", "m"))
    split = sums.joined("m", "k", _natural("j + 1", "j"), term(f"S(k)*({LEFT})"))
    first = split.conclusion[2][1]
    at_j = kernel.last_term(first, derived.follows((">=", first[3], 0), derived.given("j >= 0")))
    before = sums.nonnegative("j", "k", _weighted("k"))
    after = sums.nonnegative("m", "k", kernel.discharge(_weighted("j + 1 + k"), _natural("j + 1 + k", "j", "k")))
    premises, products = [_scaled("j"), at_j, split, before, after, total, exact], [(1, [i]) for i in range(6)]
    none = derived.certificate(formula("s(j)*n(j + 1) >= n(j) + a(j)"), premises, [*products, (-1, [6])])
    some = derived.follows(formula("n(j) + a(j) >= s(j)*n(j + 1)"), _left("j"))
    return kernel.antisymmetry(some, none)


def _natural(total: str, *parts: str) -> Theorem:
    """From letters >= 0: their total with a number is >= 0."""
    return derived.follows(formula(f"{total} >= 0"), *(derived.given(f"{part} >= 0") for part in parts))


def _left(k: str) -> Theorem:
    """With the laws of strides and sizes: what layer k leaves >= 0."""
    below = kernel.division(term(f"n({k}) + a({k})"), _at(STRIDES, k))
    goal = (">=", substitute(term(LEFT), {"k": term(k)}), 0)
    return derived.certificate(goal, [below, _at(SIZES, k)], [(1, [0]), (term(f"-s({k})"), [1])])


def _scaled(k: str) -> Theorem:
    """With the laws, k >= 0: S(k) left(k) >= left(k)."""
    scale, left = kernel.instantiate(_scale(), {"N": term(k)}), _left(k)
    value = left.conclusion[1]
    return derived.certificate((">=", ("*", term(f"S({k})"), value), value), [scale, left], [(1, [0, 1])])


def _weighted(k: str) -> Theorem:
    """With the laws, k >= 0: S(k) left(k) >= 0."""
    scaled = _scaled(k)
    return derived.follows((">=", scaled.conclusion[1], 0), scaled, _left(k))


def _check(case: tuple[int, list[tuple[int, int, int]]]) -> None:
    """Windows walked layer by layer, against the normal form of the chain, one floor, and what that leaves over."""
    walked, chain, shift, scale, left = case[0], n, 0, 1, 0
    for kernel_size, stride, padding in case[1]:
        windows = oracle.places(walked, kernel_size, stride, (padding, padding))
        if not windows:
            return
        left += scale * (walked - 1 + padding - windows[-1][-1])
        walked = len(windows)
        add = 2 * padding - kernel_size + stride
        chain = floordiv(chain + add, stride)
        shift, scale = shift + scale * add, scale * stride
    if chain != floordiv(n + shift, scale):
        raise Mismatch(f"the chain is {chain}, one floor is {floordiv(n + shift, scale)}")
    equal("size", normal(chain.xreplace({n: sympy.Integer(case[0])})), walked)
    equal("what is left", case[0] + shift - scale * walked, left)


_NESTED = Relation(
    "chains walked",
    "the normal form of a chain = one floor = the windows walked layer by layer, and so is what they leave over",
    st.tuples(
        st.integers(1, 400),
        st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=6),
    ),
    _check,
)
