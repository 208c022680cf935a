"""Crops at a part of a network's jump: which shifted passes visit them, and how few passes will do."""

from hypothesis import strategies as st

from convproof.crosscheck import Relation, oracle
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import Term
from convproof.proof.derived import certificate, follows, given
from convproof.proof.language import formula, term
from convproof.report import Equation, Table
from convproof.symbolic import symbols

Q, B, a, b = symbols("Q B a b")


def theory() -> Theory:
    at_16 = len(_starts(IMAGE, CROP, 16)) ** 2
    return Theory(
        id="shifted-passes",
        order=96,
        title="Crops at a part of the jump",
        statement=(
            "A network whose jump is J visits, in one pass, the crops at multiples of J. Crops at a stride of J/Q take "
            "Q passes along an axis and Q Q over an image, each shifted by another multiple of J/Q, and not fewer."
        ),
        equations=(Equation(symbols("passes")[0], Q * Q),),
        hypotheses=(Equation(Q, 1, ">="),),
        witness=(("Q", 2),),
        steps=(
            Step(
                B * (Q * a + b),
                (Q * B) * a + B * b,
                "position Q a + b at stride B is output a, at jump Q B, of the pass that is shifted by B b",
            ),
        ),
        claims=_claims(),
        relations=(_VISITED,),
        exhibits=(
            Table(
                "Positions of 224x224 crops at stride 16 that forward passes at jump 32 over a 384x384 image visit",
                ("passes shifted by", "visited", "of"),
                (
                    ("(0, 0)", _visited(((0, 0),)), at_16),
                    ("(0, 0), (16, 16): the notes", _visited(((0, 0), (1, 1))), at_16),
                    ("(0, 0), (0, 16), (16, 0), (16, 16)", _visited(_pairs(2)), at_16),
                ),
            ),
        ),
        source=(
            "the notes, section `Converting FC layers to CONV layers`; P. Sermanet and others, `OverFeat` (2014), "
            "sections 3.3 and 3.5; J. Long, E. Shelhamer and T. Darrell, `Fully convolutional networks for semantic "
            "segmentation` (2015), section 3.2"
        ),
    )


def _claims() -> tuple[Claim, ...]:
    return (
        Claim(
            "every-position",
            "At a stride of J/Q every pair (m, l) of positions is visited by exactly one output (i, j) of exactly one "
            "of the passes that are shifted by (b, c), 0 <= b, c < Q, in units of it; A and B are large enough.",
            _every_position,
            (("Q", 2), ("A", 6), ("B", 6), ("m", 3), ("l", 5)),
        ),
        Claim("passes", "These are Q Q passes.", _number_of_passes, (("Q", 2),)),
        Claim(
            "one-class",
            "A pass shifted by c, whichever c, visits only positions that leave the remainder of c when divided by Q.",
            _one_class,
            (("Q", 2),),
        ),
        Claim(
            "fewest",
            "Fewer do not suffice, whatever the shifts (y, z): let every pair (b, c) of positions be visited by a pass "
            "n(b, c) of P, the remainders (r, s) of whose shifts are those of (b, c). Then P >= Q Q: for a stride of "
            "16, where the jump is 32, 4 passes.",
            _fewest,
            (("Q", 1), ("P", 1), ("n", 0), ("y", 0), ("z", 0), ("r", 0), ("s", 0)),
        ),
    )


def _every_position() -> Theorem:
    """Q >= 1, 0 <= m <= Q A - 1, 0 <= l <= Q B - 1 |- one pass (b, c), one output (i, j): m = Q i + b, l = Q j + c."""
    rows, columns = _on_one_axis("m", "A"), _on_one_axis("l", "B")
    visited = term("(sum i<A, b<Q: [m = Q*i + b])*sum j<B, c<Q: [l = Q*j + c]")
    once = derived.equals(visited, 1, derived.product(rows, columns))
    goal = formula("sum b<Q, c<Q, i<A, j<B: [m = Q*i + b]*[l = Q*j + c] = 1")
    return derived.chain(sums.reordered(goal[1], visited), once)


def _on_one_axis(position: str, outputs: str) -> Theorem:
    """Q >= 1, 0 <= m <= Q A - 1 |- the sum of [m = Q i + b] over i < A, b < Q is 1: by classes of remainders."""
    stride, low, high = given("Q >= 1"), given(f"{position} >= 0"), given(f"{position} <= Q*{outputs} - 1")
    some = certificate(
        formula(f"{outputs} >= 0"),
        [stride, low, high],
        [(1, [3, 0]), (1, [3]), (1, [2]), (1, [1]), (1, [0])],
        2,
        refute=True,
    )
    once = kernel.instantiate(sums.one_class(), {"s": term("Q"), "n": term(outputs), "m": term(position)})
    return kernel.discharge(once, some)


def _number_of_passes() -> Theorem:
    """Q >= 0 |- the sum of 1 over b, c < Q is Q Q."""
    size = given("Q >= 0")
    return derived.stated("sum b<Q, c<Q: 1 = Q*Q", sums.counted_box(size, size))


def _one_class() -> Theorem:
    """Q >= 1 |- (Q a + c) - Q ((Q a + c)//Q) = c - Q (c//Q)."""
    whole = derived.whole(term("c"), given("Q >= 1"), term("a"))
    return derived.stated("Q*a + c - Q*((Q*a + c)//Q) = c - Q*(c//Q)", derived.times(term("-Q"), whole))


def _fewest() -> Theorem:
    """Q >= 1, pass n(b, c) of P leaves the remainders (r, s) of (b, c), for all b and c |- P >= Q Q.

    Passes and pairs of remainders are counted twice: every pass has one pair, every pair one pass at least.
    """
    hits = term("[b = r(p)]*[c = s(p)]")
    others = ("*", hits, term("1 - [p = n(b, c)]"))
    more = indicators.zero_or_one(others)[0]
    for letter, name in (("P", "p"), ("Q", "c"), ("Q", "b")):
        more = kernel.instantiate(sums.nonnegative("n", name, more), {"n": ("v", letter)})
    passes, classes = ("p", 0, term("P - 1")), [(name, 0, term("Q - 1")) for name in "bc"]
    visited = sums.under(classes, _visited_by(hits, others))
    by_pass = sums.nested(
        [passes], ("*", *(sums.nested([each], hit) for each, hit in zip(classes, hits[1:], strict=True)))
    )
    exchanged = sums.reordered(visited.conclusion[1], by_pass)
    one = sums.under([passes], _one_pair_each(by_pass[4]))
    premises = [more, visited, _number_of_passes(), exchanged, one, sums.counted("P", "p")]
    products = [(1, [0]), (1, [1]), (1, [2]), (-1, [3]), (-1, [4]), (-1, [5])]
    found = certificate(formula("P >= Q*Q"), premises, products)
    return derived.discharged(found, derived.natural(given("Q >= 1")), _some_pass())


SOME, BELOW = "for all b: for all c: n(b, c) >= 0", "for all b: for all c: n(b, c) <= P - 1"
PLACES = ("v", "b"), ("v", "c")


def _some_pass() -> Theorem:
    """There is a pass at (0, 0) |- P >= 0."""
    return derived.follows(formula("P >= 0"), given(SOME, 0, 0), given(BELOW, 0, 0))


def _visited_by(hits: Term, others: Term) -> Theorem:
    """0 <= b, c <= Q - 1 |- the number of passes with these remainders = 1, for n(b, c), + the number of others."""
    its = sums.sifted("p", 0, term("P - 1"), hits, given(SOME, *PLACES), given(BELOW, *PLACES))
    for place, rest in (("b", "r"), ("c", "s")):
        its = kernel.rewrite(its, _has_remainder(place, rest))
    left, right = (sums.nested([("p", 0, term("P - 1"))], value) for value in (hits, others))
    return follows(("=", left, ("+", 1, right)), its)


def _has_remainder(place: str, rest: str) -> Theorem:
    """0 <= b <= Q - 1 |- r(n(b, c)) = b: it is the remainder of b, whose quotient is 0."""
    stride, low, high = given("Q >= 1"), given(f"{place} >= 0"), given(f"{place} <= Q - 1")
    quotient = derived.quotient(("v", place), stride, 0, low, high)
    visits = given(f"for all b: for all c: {rest}(n(b, c)) = {place} - Q*({place}//Q)", *PLACES)
    return certificate(formula(f"{rest}(n(b, c)) = {place}"), [visits, quotient], [(1, [0]), (term("-Q"), [1])])


def _one_pair_each(both: Term) -> Theorem:
    """Q >= 1 |- pass p has one remainder on each axis: the product of the numbers of both is 1."""
    stride, numbers = given("Q >= 1"), []
    for name, rest, shift in (("b", "r", "y"), ("c", "s", "z")):
        leaves = given(f"for all p: {rest}(p) = {shift}(p) - Q*({shift}(p)//Q)", ("v", "p"))
        low, high = (kernel.division(term(f"{shift}(p)"), stride, upper) for upper in (False, True))
        least = follows(formula(f"{rest}(p) >= 0"), low, leaves)
        most = certificate(formula(f"Q - 1 >= {rest}(p)"), [high, leaves], [(1, [0]), (-1, [1])])
        numbers.append(sums.sifted(name, 0, term("Q - 1"), 1, least, most))
    return derived.equals(both, 1, derived.product(*numbers))


# --- the passes walked ------------------------------------------------------------------------------------------------


def _starts(size: int, crop: int, jump: int, shift: int = 0) -> list[int]:
    """Where the crops begin that a pass over the image, shifted, evaluates along an axis: walked, not counted."""
    return [shift + window[0] for window in oracle.places(size - shift, crop, jump, (0, 0))]


def _visits(case: tuple[int, int, int, int]) -> None:
    passes, stride, crop, more = case
    size = crop + more
    visited = [at for shift in range(passes) for at in _starts(size, crop, passes * stride, stride * shift)]
    equal("positions", sorted(visited), _starts(size, crop, stride))


_VISITED = Relation(
    "shifted passes",
    "what Q shifted passes at jump Q B visit along an axis = every position at stride B, once",
    st.tuples(st.integers(1, 6), st.integers(1, 8), st.integers(1, 30), st.integers(0, 90)),
    _visits,
)


# --- the notes' figures: crops of 224 from 384, at stride 16 ----------------------------------------------------------

CROP, IMAGE = 224, 384


def _pairs(passes: int) -> tuple[tuple[int, int], ...]:
    return tuple((b, c) for b in range(passes) for c in range(passes))


def _visited(passes: tuple[tuple[int, int], ...]) -> int:
    """How many crops the passes evaluate that are shifted by these multiples of 16."""
    rows = {shift: _starts(IMAGE, CROP, 32, 16 * shift) for shift in (0, 1)}
    return len({(y, x) for b, c in passes for y in rows[b] for x in rows[c]})
