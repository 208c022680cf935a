"""The receptive field of a stack."""

import numpy as np
from hypothesis import strategies as st

from convproof import autograd as ag
from convproof.architecture import Axis, Conv, Layer
from convproof.crosscheck import Relation, relation
from convproof.crosscheck.relations import equal
from convproof.notes import Claim, Finding, Step, Theory
from convproof.proof import Theorem, derived, indicators, kernel, sums
from convproof.proof.algebra import Formula, Term, substitute
from convproof.proof.language import formula, term
from convproof.report import Bars, Equation, Table
from convproof.symbolic import Field, receptive_field, symbols, window

F, S, P, D, N, r, j, a, o, t, p = symbols("F S P D N r j a o t p")
AXIS = Axis("F", "S", "P", "P", "D")


def theory() -> Theory:
    below = Field(r, j, -a)
    above = _through(Conv(1, "F", "S", "P", "D"), below)
    third = _stack([Conv(1, 3)] * 3)
    return Theory(
        id="receptive-field",
        order=50,
        title="Receptive field of a stack",
        statement=(
            "A layer widens the field by its span less one, in steps of the jump below, begins P of these steps "
            "earlier, and multiplies the jump by its stride. So N layers of 3x3 at stride 1 see 2N + 1 positions."
        ),
        equations=(Equation(symbols("r_N")[0], 2 * N + 1),),
        hypotheses=(Equation(N, 1, ">="),),
        witness=(("N", 3),),
        steps=(
            Step(
                above.size,
                r + D * (F - 1) * j,
                "one window spans D (F - 1) + 1 outputs of the layer below, j apart",
                "field above",
            ),
            Step(above.jump, j * S, "the next window begins S outputs further", "jump above"),
            Step(above.offset, -a - P * j, "the first window begins P outputs before the first", "offset above"),
            Step(_through(Conv(1, 3), Field()).size, 2 * 1 + 1, "one 3x3 layer sees 3", "field of one layer"),
            Step(
                _through(Conv(1, 3), Field(2 * N + 1)).size,
                2 * (N + 1) + 1,
                "if N layers see 2N + 1, N + 1 see 2(N + 1) + 1",
                "field of N + 1 layers",
            ),
        ),
        claims=(
            Claim(
                "stack",
                "A stack of any kernels, strides and dilations: the field after N layers is 1 plus the sum, over the "
                "layers, of the span less one times the jump below.",
                _field,
                (*STACK, ("r", term("1 + 2*k"))),
            ),
            Claim(
                "offset",
                "The first window begins at minus the sum of every padding times the jump below it.",
                _offset,
                (*STACK, ("a", term("-k"))),
            ),
            Claim(
                "path",
                "Through tap t(k) of every layer k, output q(N) of N layers reads input q(0): the jump, that is the "
                "product of all strides, times q(N), and for every layer the jump below it times D t - P.",
                _path,
                (*STACK, ("t", 1), ("q", 5)),
            ),
            Claim(
                "first",
                "Through the first taps that is the offset plus the jump times the output.",
                _first,
                (*STACK, ("a", term("-k")), ("q", term("9 + k"))),
            ),
            Claim(
                "last",
                "Through the last taps it is the field less one further.",
                _last,
                (*STACK, ("a", term("-k")), ("r", term("1 + 2*k")), ("q", term("9 - k"))),
            ),
            Claim(
                "from",
                "Through any taps it is not before the first input of the field.",
                _from,
                (*STACK, ("a", term("-k")), ("t", 1), ("q", 5)),
            ),
            Claim(
                "to",
                "And not beyond the last.",
                _to,
                (*STACK, ("a", term("-k")), ("r", term("1 + 2*k")), ("t", 1), ("q", 5)),
            ),
            Claim(
                "no-gap",
                "Where the taps of a layer lie no further apart than the field below is wide, it reads every input of "
                "its field.",
                _no_gap,
                (("F", 3), ("m", 2), ("r", 3), ("i", 4)),
            ),
            Claim(
                "gap",
                "Where they lie further apart, it does not read the input just beyond the first tap's field.",
                _gap,
                (("F", 3), ("m", 4), ("r", 3)),
            ),
            Claim(
                "stack-of-equals",
                "N layers of kernel F and dilation D at stride 1 see N D (F - 1) + 1.",
                lambda: _alike(Conv(1, "F", dilation="D"), "N*D*(F - 1) + 1"),
                (("N", 3), ("F", 3), ("D", 1), ("r", term("1 + 2*k"))),
            ),
            Claim(
                "stack-of-3x3",
                "N layers of 3x3 at stride 1 see 2N + 1.",
                lambda: _alike(Conv(1, 3), "2*N + 1"),
                (("N", 3), ("r", term("1 + 2*k"))),
            ),
            Claim(
                "growing-dilation",
                "At stride 1, where layer k has the kernel m (s(k) - 1) + 1 and multiplies the dilation p by s(k), N "
                "layers see m (p(N) - 1) + 1: doubled each time, 2^N for kernels of 2, 2^(N + 1) - 1 for kernels of 3.",
                _growing,
                (("N", 3), ("m", 2), ("s", 1), ("p", 1), ("r", 1)),
            ),
        ),
        relations=(relation("network field"), _GAPS),
        exhibits=(
            Table(
                "Field after N layers of 3x3 at stride 1",
                ("N", "dense", "dilation 1, 2, 4, ..."),
                tuple((n, _stack(_dense(n)).size, _stack(_doubling(n)).size) for n in range(1, 9)),
            ),
            Bars(
                "Positions seen along one axis after 1 to 6 layers of 3x3, the dilation doubling",
                "positions",
                tuple((f"{n} layer{'s' * (n > 1)}", _stack(_doubling(n)).size) for n in range(1, 7)),
            ),
        ),
        findings=(
            _finding("two stacked 3x3 layers see", "5x5", _stack([Conv(1, 3)] * 2)),
            _finding("three stacked 3x3 layers see", "7x7", third),
            _finding("one 7x7 layer sees", "7x7", _stack([Conv(1, 7)])),
        ),
        source=(
            "the notes, sections `Dilated convolutions` and `Layer Patterns`; A. Araujo, W. Norris and J. Sim, "
            "`Computing receptive fields of convolutional neural networks` (Distill, 2019)"
        ),
    )


# Layers of 3x3 at stride 1 with padding 1.
STACK = (("N", 3), ("F", 3), ("S", 1), ("P", 1), ("D", 1), ("J", 1))


def _through(layer: Layer, field: Field) -> Field:
    return receptive_field(layer, [(field,)], [(1, 1)])[0]


def _law(left: str, shipped: object, **parts: str) -> Theorem:
    """for all k: left = what the program computes, with the terms of `parts`, in k, in place of its letters."""
    right = substitute(term(str(shipped)), {name: term(part) for name, part in parts.items()})
    return kernel.assume(("all", "k", ("=", term(left), right)))


ABOVE = _through(Conv(1, "F", "S", "P", "D"), Field(r, j, a))
OF_LAYER = {"j": "J(k)"} | {name: f"{name}(k)" for name in "FSPDra"}
JUMPS, FIRST_JUMP = _law("J(k + 1)", ABOVE.jump, **OF_LAYER), derived.given(f"J(0) = {Field().jump}")
FIELDS, FIRST_FIELD = _law("r(k + 1)", ABOVE.size, **OF_LAYER), derived.given(f"r(0) = {Field().size}")
OFFSETS, FIRST_OFFSET = _law("a(k + 1)", ABOVE.offset, **OF_LAYER), derived.given(f"a(0) = {Field().offset}")
NATURAL = derived.given("N >= 0")


def _places(tap: str) -> Theorem:
    """for all k: the output q(k + 1) of layer k reads its input q(k) with this tap: the window law."""
    return _law("q(k)", window.position(AXIS, o, t), **OF_LAYER, o="q(k + 1)", t=tap)


def _at(law: Theorem) -> Theorem:
    """A law at layer N."""
    return kernel.specialize(law, term("N"))


def _summed(claim: Formula, start: Theorem, law: Theorem, total: Term, sign: int) -> Theorem:
    """A function that starts and goes on like this is its start, plus or minus the sum of what the law adds."""
    base = [start, sums.none("k", 0, -1, total[4])], [(1, [0]), (-sign, [1])]
    return derived.by_induction(
        claim,
        "N",
        base,
        ([_at(law), kernel.assume(claim), sums.longer(*total[1:], NATURAL)], [(1, [0]), (1, [1]), (-sign, [2])]),
    )


def _field() -> Theorem:
    """r(0) = 1, r(k + 1) = r(k) + D(k) (F(k) - 1) J(k), N >= 0 |- r(N) = 1 + sum k<N: D(k)*(F(k) - 1)*J(k)."""
    claim = formula("r(N) = 1 + sum k<N: D(k)*(F(k) - 1)*J(k)")
    return _summed(claim, FIRST_FIELD, FIELDS, claim[2][2], 1)


def _offset() -> Theorem:
    """a(0) = 0, a(k + 1) = a(k) - P(k) J(k), N >= 0 |- a(N) = - sum k<N: P(k)*J(k)."""
    claim = formula("a(N) = -sum k<N: P(k)*J(k)")
    return _summed(claim, FIRST_OFFSET, OFFSETS, claim[2][2], -1)


def _path() -> Theorem:
    """J(0) = 1, J(k + 1) = J(k) S(k), q(k) = S(k) q(k + 1) + D(k) t(k) - P(k), N >= 0 |- q(0) = J(N) q(N) + the sum."""
    claim = formula("q(0) = J(N)*q(N) + sum k<N: J(k)*(D(k)*t(k) - P(k))")
    total = claim[2][2]
    base = [sums.none("k", 0, -1, total[4]), FIRST_JUMP], [(-1, [0]), (term("-q(0)"), [1])]
    premises = [kernel.assume(claim), _at(_places("t(k)")), _at(JUMPS), sums.longer(*total[1:], NATURAL)]
    return derived.by_induction(
        claim, "N", base, (premises, [(1, [0]), (term("J(N)"), [1]), (term("-q(N + 1)"), [2]), (-1, [3])])
    )


def _first() -> Theorem:
    """With these, a(N) as above and t(k) = 0: q(0) = a(N) + J(N) q(N)."""
    claim = formula("q(0) = a(N) + J(N)*q(N)")
    base = [FIRST_OFFSET, FIRST_JUMP], [(-1, [0]), (term("-q(0)"), [1])]
    premises = [kernel.assume(claim), _at(_places("0")), _at(JUMPS), _at(OFFSETS)]
    return derived.by_induction(
        claim, "N", base, (premises, [(1, [0]), (term("J(N)"), [1]), (term("-q(N + 1)"), [2]), (-1, [3])])
    )


def _last() -> Theorem:
    """With these, r(N) as above and t(k) = F(k) - 1: q(0) = a(N) + J(N) q(N) + r(N) - 1."""
    claim = formula("q(0) = a(N) + J(N)*q(N) + r(N) - 1")
    base = [FIRST_OFFSET, FIRST_JUMP, FIRST_FIELD], [(-1, [0]), (term("-q(0)"), [1]), (-1, [2])]
    premises = [kernel.assume(claim), _at(_places("F(k) - 1")), _at(JUMPS), _at(OFFSETS), _at(FIELDS)]
    products = [(1, [0]), (term("J(N)"), [1]), (term("-q(N + 1)"), [2]), (-1, [3]), (-1, [4])]
    return derived.by_induction(claim, "N", base, (premises, products))


def _jump() -> Theorem:
    """J(0) = 1, J(k + 1) = J(k) S(k), S(k) >= 1, N >= 0 |- J(N) >= 1."""
    claim, strides = derived.given("J(N) >= 1"), derived.given("for all k: S(k) >= 1")
    premises = [_at(JUMPS), claim, _at(strides)]
    return derived.by_induction(
        claim.conclusion, "N", ([FIRST_JUMP], [(1, [0])]), (premises, [(1, [0]), (1, [1, 2]), (1, [1]), (1, [2])])
    )


TAPS = derived.given("for all k: t(k) >= 0"), derived.given("for all k: t(k) <= F(k) - 1")
DILATIONS = derived.given("for all k: D(k) >= 0")


def _from() -> Theorem:
    """With these, S(k) >= 1, D(k) >= 0 and t(k) >= 0: q(0) >= a(N) + J(N) q(N)."""
    claim = formula("q(0) >= a(N) + J(N)*q(N)")
    base = [FIRST_OFFSET, FIRST_JUMP], [(-1, [0]), (term("-q(0)"), [1])]
    laws = [_at(_places("t(k)")), _at(JUMPS), _at(OFFSETS)]
    products = [(1, [0]), (term("J(N)"), [1]), (term("-q(N + 1)"), [2]), (-1, [3]), (1, [4, 5, 6]), (1, [5, 6])]
    return derived.by_induction(
        claim, "N", base, ([kernel.assume(claim), *laws, _jump(), _at(DILATIONS), _at(TAPS[0])], products)
    )


def _to() -> Theorem:
    """With these, S(k) >= 1, D(k) >= 0 and t(k) <= F(k) - 1: q(0) <= a(N) + J(N) q(N) + r(N) - 1."""
    claim = formula("q(0) <= a(N) + J(N)*q(N) + r(N) - 1")
    base = [FIRST_OFFSET, FIRST_JUMP, FIRST_FIELD], [(1, [0]), (term("q(0)"), [1]), (1, [2])]
    laws = [_at(_places("t(k)")), _at(JUMPS), _at(OFFSETS), _at(FIELDS)]
    products = [
        (1, [0]),
        (term("-J(N)"), [1]),
        (term("q(N + 1)"), [2]),
        *((1, each) for each in ([3], [4], [5, 6, 7], [6, 7])),
    ]
    return derived.by_induction(
        claim, "N", base, ([kernel.assume(claim), *laws, _jump(), _at(DILATIONS), _at(TAPS[1])], products)
    )


# --- layers all alike -------------------------------------------------------------------------------------------------


def _alike(layer: Conv, field: str) -> Theorem:
    """r(0) = 1, every layer this one, N >= 0 |- r(N) = the field, which grows by as much."""
    claim, law = formula(f"r(N) = {field}"), _law("r(k + 1)", _through(layer, Field(r)).size, r="r(k)")
    return derived.by_induction(
        claim, "N", ([FIRST_FIELD], [(1, [0])]), ([_at(law), kernel.assume(claim)], [(1, [0]), (1, [1])])
    )


def _growing() -> Theorem:
    """r(0) = p(0) = 1, r(k+1) = r(k) + p(k) m (s(k) - 1), p(k+1) = s(k) p(k), N >= 0 |- r(N) = m (p(N) - 1) + 1."""
    claim, layer = formula("r(N) = m*(p(N) - 1) + 1"), Conv(1, "F", dilation="p")
    kernel_of_k = "m*(s(k) - 1) + 1"
    wider = _law("r(k + 1)", _through(layer, Field(r)).size, r="r(k)", p="p(k)", F=kernel_of_k)
    first, further = derived.given("p(0) = 1"), derived.given("for all k: p(k + 1) = s(k)*p(k)")
    premises = [_at(wider), _at(further), kernel.assume(claim)]
    base = [FIRST_FIELD, first], [(1, [0]), (term("-m"), [1])]
    return derived.by_induction(claim, "N", base, (premises, [(1, [0]), (term("-m"), [1]), (1, [2])]))


# --- what a layer leaves out ------------------------------------------------------------------------------------------

READ = "[m*t <= i]*[i <= m*t + r - 1]"
"""1 where input i lies in the field of r inputs that begins at m*t, that of tap t."""


def _no_gap() -> Theorem:
    """r >= m >= 0, F >= 1, 0 <= i <= r - 1 + m (F - 1) |- sum t<F: [input i lies in the field of tap t] >= 1."""
    some = derived.follows(formula("F - 1 >= 0"), derived.given("F >= 1"))
    read = kernel.discharge(kernel.instantiate(_read_by_some(), {"N": term("F - 1")}), some)
    inside = indicators.decided(derived.given("r - 1 + m*(F - 1) >= i"))
    return derived.follows(formula(f"sum t<F: {READ} >= 1"), read, inside)


def _read_by_some() -> Theorem:
    """r >= m >= 0, i >= 0, N >= 0 |- sum t=0..N: [input i lies in the field of tap t] >= [i <= r - 1 + m N]."""
    claim = formula(f"sum t=0..N: {READ} >= [i <= r - 1 + m*N]")
    once = sums.unrolled(substitute(claim[1], {"N": 0}))
    base = [once, indicators.decided(derived.given("i >= 0"))], [(1, [0]), (term("[i <= r - 1]"), [1])]
    more = sums.longer(*claim[1][1:], NATURAL)
    least, most = indicators.zero_or_one(term("[i <= r - 1 + m*(N + 1)]"))
    now, _ = indicators.zero_or_one(term("[i <= r - 1 + m*N]"))
    step = [more, kernel.assume(claim), _either(), least, now, most], [(1, [0]), (1, [1]), (1, [2, 3]), (1, [4, 5])]
    return derived.by_induction(claim, "N", base, step)


def _either() -> Theorem:
    """r >= m >= 0, i >= 0, N >= 0 |- [m (N + 1) <= i] + [i <= r - 1 + m N] >= 1."""
    far, before = term("m*(N + 1)"), term("m*(N + 1) - 1")
    after = derived.certificate((">=", far, 0), [derived.given("m >= 0"), NATURAL], [(1, [0, 1]), (1, [0])])
    close = derived.follows((">=", term("r - 1 + m*N"), before), derived.given("r >= m"))
    split = kernel.discharge(kernel.instantiate(_split(), {"c": far}), after)
    narrower = kernel.instantiate(_narrower(), {"a": before, "b": close.conclusion[1]})
    least, _ = indicators.zero_or_one(term("[i <= r - 1 + m*N]"))
    _, most = indicators.zero_or_one(("le", term("i"), before))
    goal = formula("[m*(N + 1) <= i] + [i <= r - 1 + m*N] >= 1")
    premises = [split, kernel.discharge(narrower, close), least, most]
    return derived.certificate(goal, premises, [(1, [0]), (1, [1]), (1, [2, 3])])


def _split() -> Theorem:
    """c >= 0, i >= 0 |- [c <= i] + [i <= c - 1] = 1: of the sum over j = 0, ..., c + i of [j = i], the two parts."""
    c, i = derived.given("c >= 0"), derived.given("i >= 0")
    enough, some = derived.follows(formula("c + i >= i"), c), derived.follows(formula("i + 1 >= 0"), i)
    whole = sums.sifted("j", 0, term("c + i"), 1, i, enough)
    parts = kernel.discharge(kernel.instantiate(sums.joined("n", "j", c, term("[j = i]")), {"n": term("i + 1")}), some)
    low, high = kernel.sift("j", 0, term("c - 1"), 1, term("i")), kernel.sift("j", 0, term("i"), 1, term("i - c"))
    premises = [whole, parts, low, high, indicators.decided(i), indicators.decided(c)]
    products = [(1, [0]), (-1, [1]), (-1, [2]), (-1, [3]), (term("-[i <= c - 1]"), [4]), (term("-[c <= i]"), [5])]
    return derived.certificate(formula("[c <= i] + [i <= c - 1] = 1"), premises, products)


def _narrower() -> Theorem:
    """b >= a, i >= 0 |- [i <= a]*[i <= b] = [i <= a]: both are the sum over j = 0, ..., a of [j = i]."""
    reach = derived.follows(formula("b >= j"), derived.given("b >= a"), derived.given("a >= j"))
    marked, plain = (kernel.sift("j", 0, term("a"), body, term("i")) for body in (term("[j <= b]"), 1))
    one = derived.certificate(
        ("=", marked.conclusion[1][4], plain.conclusion[1][4]), [indicators.decided(reach)], [(term("[j = i]"), [0])]
    )
    premises = [marked, sums.under([("j", 0, term("a"))], one), plain, indicators.decided(derived.given("i >= 0"))]
    goal = formula("[i <= a]*[i <= b] = [i <= a]")
    return derived.certificate(
        goal, premises, [(-1, [0]), (1, [1]), (1, [2]), (term("[i <= a] - [i <= a]*[i <= b]"), [3])]
    )


def _gap() -> Theorem:
    """m >= r + 1, r >= 0, F >= 1 |- sum t<F: [input r lies in the field of tap t] = 0: tap 0 ends before it."""
    read = substitute(term(READ), {"i": term("r")})
    some = derived.follows(formula("F - 1 >= 0"), derived.given("F >= 1"))
    parts = kernel.instantiate(sums.joined("n", "t", derived.at_least(1, 0), read), {"n": term("F - 1")})
    parts = kernel.discharge(parts, some)
    _, _, (_, first, rest) = parts.conclusion
    far, other = rest[4][1:]
    premises = [derived.given(f) for f in ("m >= r + 1", "r >= 0", "t >= 0")]
    products = [(1, [0]), (1, []), (1, [0, 2]), (1, [1, 2]), (1, [2])]
    beyond = derived.certificate((">", far[1], far[2]), premises, products)
    nothing = derived.times(other, indicators.decided(beyond))
    later = sums.under([tuple(rest[1:4])], derived.equals(rest[4], 0, nothing))
    return derived.equals(sums.nested([("t", 0, term("F - 1"))], read), 0, parts, sums.unrolled(first), later)


def _stack(layers: list[Layer]) -> Field:
    field = Field()
    for layer in layers:
        field = _through(layer, field)
    return field


def _dense(n: int) -> list[Layer]:
    return [Conv(1, 3)] * n


def _doubling(n: int) -> list[Layer]:
    return [Conv(1, 3, dilation=2**i) for i in range(n)]


def _finding(claim: str, printed: str, field: Field) -> Finding:
    computed = f"{field.size}x{field.size}"
    return Finding(claim, printed, computed, printed == computed)


def _check_gaps(case: tuple[int, int, int]) -> None:
    """With all weights 1 the gradient at an input is the number of taps in whose field it lies."""
    below, taps, apart = case
    size = below + apart * (taps - 1)
    x = ag.tensor(np.ones((1, 1, size), np.int64))
    y = ag.conv(ag.conv(x, np.ones((1, 1, below), np.int64)), np.ones((1, 1, taps), np.int64), dilation=apart)
    (gradient,) = ag.grad(y, [x], np.ones(y.shape, np.int64))
    counted = [sum(apart * tap <= i < apart * tap + below for tap in range(taps)) for i in range(size)]
    equal("taps that see an input", gradient.numpy()[0, 0], counted)
    equal("gap", int(0 in counted), int(apart > below and taps > 1))


_GAPS = Relation(
    "gaps",
    "the gradient through a layer of r and one of F, D apart, counts the taps whose field holds an input; 0 if D > r",
    st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9)),
    _check_gaps,
)
