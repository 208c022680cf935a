"""A chain of windows of any length is one floor."""

import sympy
from hypothesis import strategies as st

from convproof.check import Mismatch, Relation, oracle
from convproof.check.relations import equal
from convproof.proof import Theorem, derived, kernel
from convproof.proof.algebra import Term, substitute
from convproof.report import Equation
from convproof.symbolic import FloorDiv, floordiv, normal, symbols
from convproof.theory import Claim, Step, Theory

n, a, b, c = symbols("n a b c")
K = ("v", "N")
ONCE = ("+", K, 1)


def theory() -> Theory:
    return Theory(
        id="chains",
        order=15,
        title="A chain of windows is one floor",
        statement=(
            "Every layer of windows takes the size n to floor((n + a)/s). A chain of such layers "
            "takes it to floor((n + A)/S), "
            "where S is the product of the strides and every a enters A times the strides before it."
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
            Claim(
                "fold",
                "Nested floors are one floor.",
                lambda: derived.fold(("v", "n"), _positive("b"), _positive("c")),
                (("b", 2), ("c", 3)),
            ),
            Claim("shift", "A multiple of the divisor leaves the floor.", _shift, (("b", 2),)),
            Claim("scale", "The accumulated stride is at least 1 after every layer.", _scale, WITNESS),
            Claim("chain", "A chain of any length is one floor.", _chain, WITNESS),
        ),
        relations=(_NESTED,),
        source=(
            "Dumoulin and Visin (2016) for one layer; R. Graham, D. Knuth and O. Patashnik, `Concrete "
            "Mathematics`, 3.11"
        ),
    )


# Layers of stride 1 that each add 2: n[k] = 7 + 2k.
TWICE = ("*", 2, ("v", "k"))
WITNESS = (("N", 3), ("s", 1), ("a", 2), ("S", 1), ("A", TWICE), ("n", ("+", 7, TWICE)))


def _positive(name: str) -> Theorem:
    return kernel.assume((">=", ("v", name), 1))


def _shift() -> Theorem:
    return derived.whole(("v", "n"), _positive("b"), ("v", "c"))


def _at(function: str, place: Term = K) -> Term:
    return ("at", function, place)


STRIDES = ("all", "N", (">=", _at("s"), 1))
SCALES = ("all", "N", ("=", _at("S", ONCE), ("*", _at("S"), _at("s"))))
OFFSETS = ("all", "N", ("=", _at("A", ONCE), ("+", _at("A"), ("*", _at("S"), _at("a")))))
SIZES = ("all", "N", ("=", _at("n", ONCE), ("//", ("+", _at("n"), _at("a")), _at("s"))))
FIRST_SCALE, FIRST_OFFSET = ("=", _at("S", 0), 1), ("=", _at("A", 0), 0)


def _law(formula: Term) -> Theorem:
    """The law at layer N."""
    return kernel.specialize(kernel.assume(formula), K)


def _scale() -> Theorem:
    """S[0] = 1, S[N+1] = S[N] s[N], s[N] >= 1 |- S[N] >= 1."""
    claim = (">=", _at("S"), 1)
    base = kernel.certificate(substitute(claim, {"N": 0}), [kernel.assume(FIRST_SCALE)], [(1, [0])])
    premises = [_law(SCALES), kernel.assume(claim), _law(STRIDES)]
    products = [(1, [0]), (1, [1, 2]), (1, [1]), (1, [2])]
    step = kernel.certificate(substitute(claim, {"N": ONCE}), premises, products)
    return kernel.induction(base, step, "N")


def _chain() -> Theorem:
    """With the laws above, n[N+1] = (n[N] + a[N])//s[N] and A[N+1] = A[N] + S[N] a[N] |- n[N] = (n[0] + A[N])//S[N]."""
    start, reached = ("at", "n", 0), ("+", ("at", "n", 0), _at("A"))
    claim = ("=", _at("n"), ("//", reached, _at("S")))
    return kernel.induction(_chain_at_0(start, claim), _chain_step(reached, claim), "N")


def _chain_at_0(start: Term, claim: Term) -> Theorem:
    """n[0] = (n[0] + A[0])//S[0], since A[0] = 0 and S[0] = 1."""
    goal = substitute(claim, {"N": 0})
    _, reached, scale = goal[2]
    once, nothing = kernel.assume(FIRST_SCALE), kernel.assume(FIRST_OFFSET)
    positive = kernel.certificate((">=", scale, 1), [once], [(1, [0])])
    lower = kernel.certificate(
        (">=", reached, ("*", scale, start)), [nothing, once], [(1, [0]), (("*", -1, start), [1])]
    )
    top = ("+", ("*", scale, start), scale, -1)
    upper = kernel.certificate((">=", top, reached), [nothing, once], [(-1, [0]), (("+", start, 1), [1])])
    found = derived.floor_is(reached, positive, start, lower, upper)
    return kernel.certificate(goal, [found], [(-1, [0])])


def _chain_step(reached: Term, claim: Term) -> Theorem:
    """From layer N to N + 1: put the claim into the law, take the whole part in, fold, and name the new A and S."""
    scale, stride = _scale(), _law(STRIDES)
    law = kernel.rewrite(_law(SIZES), kernel.assume(claim))
    inside = derived.whole(reached, scale, _at("a"))  # (reached + S a)//S = reached//S + a
    turned = kernel.certificate(("=", inside.conclusion[2], inside.conclusion[1]), [inside], [(-1, [0])])
    gathered = kernel.rewrite(law, turned)
    folded = derived.fold(inside.conclusion[1][1], scale, stride)
    named = kernel.certificate(("=", folded.conclusion[2], folded.conclusion[1]), [folded], [(-1, [0])])
    whole = derived.equals(gathered.conclusion[1], named.conclusion[2], gathered, named)
    product, sum_ = ("*", _at("S"), _at("s")), named.conclusion[2][1]
    scales = kernel.certificate(("=", product, _at("S", ONCE)), [_law(SCALES)], [(-1, [0])])
    offsets = kernel.certificate(("=", sum_, ("+", ("at", "n", 0), _at("A", ONCE))), [_law(OFFSETS)], [(-1, [0])])
    return kernel.rewrite(kernel.rewrite(whole, scales), offsets)


def _check(case: tuple[int, list[tuple[int, int, int]]]) -> None:
    """Windows walked layer by layer, against the normal form of the chain and against one floor."""
    walked, chain, shift, scale = case[0], n, 0, 1
    for kernel_size, stride, padding in case[1]:
        walked = len(oracle.places(walked, kernel_size, stride, (padding, padding)))
        if not walked:
            return
        add = 2 * padding - kernel_size + stride
        chain = floordiv(chain + add, stride)
        shift, scale = shift + scale * add, scale * stride
    if chain != floordiv(n + shift, scale):
        raise Mismatch(f"the chain is {chain}, one floor is {floordiv(n + shift, scale)}")
    equal("size", normal(chain.xreplace({n: sympy.Integer(case[0])})), walked)


_NESTED = Relation(
    "chains walked",
    "the normal form of a chain = one floor = the windows walked layer by layer",
    st.tuples(
        st.integers(1, 400),
        st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2)), min_size=1, max_size=6),
    ),
    _check,
)
