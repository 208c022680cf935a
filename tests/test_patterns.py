"""Closed forms of families of networks, against the networks themselves, one by one."""

import re
from itertools import product

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convproof import execute
from convproof.architecture.notation import network
from convproof.errors import ConvproofError, NotationError, ShapeError, SpecError, Undecided
from convproof.symbolic import FloorDiv, analyze, symbols
from convproof.symbolic.patterns import pattern, variants

C, H, K, L, M, N, W = symbols("C H K L M N W")
FIELD = ("receptive_field", "jump", "offset")
COSTS = ("params", "weights", "macs", "values")


def number(expression, values):
    """An answer with numbers for its letters."""
    if isinstance(expression, tuple):
        return tuple(number(each, values) for each in expression)
    found = sympy.Integer(expression) if isinstance(expression, int) else expression
    found = found.xreplace({letter: sympy.Integer(values[letter.name]) for letter in found.free_symbols})
    assert found.is_Integer, found
    return int(found)


def one_by_one(text, values):
    """The same answers of one network, its text written out with numbers; None where a window does not fit."""
    for letter, value in values.items():
        text = re.sub(rf"(?<![A-Z]){letter}(?![A-Z=])", str(value), text)
    try:
        found = analyze(network(text))
    except ShapeError:
        return None
    last, totals = found.rows[-1], found.totals
    return {"output_shape": last.output} | {n: getattr(last, n) for n in FIELD} | {n: getattr(totals, n) for n in COSTS}


def test_texts_are_written_out():
    text = "INPUT[WxWxC] -> [CONV3-C -> POOL2]*M -> FC-N"
    assert one_by_one(text, {"W": 8, "C": 3, "M": 2, "N": 5})["output_shape"] == (5,)
    assert one_by_one(text, {"W": 8, "C": 3, "M": 4, "N": 5}) is None


# (pattern, letters that count, what has no closed form)
FAMILIES = [
    ("INPUT[WxWx3] -> [CONV3-8]*N", "N", ()),
    ("INPUT[WxWx8] -> [CONV3-8 -> RELU -> BN]*N", "N", ()),
    ("INPUT[WxWx3] -> [CONV(K=8, F=3)]*N", "N", ()),
    ("INPUT[WxWx3] -> [CONV(K=8, F=3) -> CONV(K=4, F=5, D=2, P=1)]*N -> POOL2", "N", ()),
    ("INPUT[WxWx3] -> [CONV3-8 -> POOL2]*M", "M", ("macs", "values")),
    ("INPUT[WxWx3] -> CONV3-8 -> [POOL(F=3, S=2)]*M -> FC-10", "M", ("values",)),
    ("INPUT[WxWx3] -> [POOL(F=3, S=2, P=1)]*M -> CONV(K=4, F=2, S=2)", "M", ("values",)),
    ("INPUT[WxWx3] -> [POOL(F=3, S=2, CEIL=1)]*M", "M", ("values",)),
    ("INPUT[WxWx3] -> [POOL(F=2, S=3)]*M -> [POOL2]*N", "MN", ("values",)),
    ("INPUT[WxWx3] -> [CONV(K=6, F=4, S=3, P=1)]*M -> GLOBALAVGPOOL", "M", ("macs", "values")),
    ("INPUT[WxWx3] -> [CONV(K=6, F=3, P=0:1)]*N", "N", ()),
    ("INPUT[WxWx8] -> [{ CONV3-8 -> RELU -> CONV3-8 | ID } ADD -> RELU]*N", "N", ()),
    ("INPUT[WxWx3] -> [{ ID | BN -> RELU -> CONV(K=12, F=3, P=1, B=0) } CONCAT]*N -> BN", "N", ()),
    ("INPUT[WxWx3] -> [FC-10 -> RELU]*N -> FC-5", "N", ()),
    ("INPUT[WxWx3] -> [POOL2 -> FC-7 -> FC-9]*N", "N", None),
    ("INPUT[WxWx3] -> [GLOBALAVGPOOL -> CONV1-8]*N", "N", ()),
    ("INPUT[WxWx3] -> [UPSAMPLE2]*N", "N", ("values", *FIELD)),
    ("INPUT[WxWx3] -> [UPCONV(K=3, F=3, S=2)]*N", "N", ("macs", "values", *FIELD)),
    ("INPUT[WxWx3] -> [UPCONV(K=3, F=3)]*N", "N", ()),
    ("INPUT[WxWx3] -> [[CONV3-6 -> RELU]*N -> POOL2]*M -> [FC-11 -> RELU]*K -> FC-10", "KMN", ("macs", "values")),
    ("INPUT[WxWx3] -> [[CONV(K=6, F=3)]*N -> POOL2]*M", "MN", ("macs", "values")),
    ("INPUT[WxWx3] -> [[CONV(K=6, F=3)]*N -> [CONV(K=5, F=2)]*2]*M", "MN", ()),
    ("INPUT[WxWx3] -> [{ [CONV3-3]*2 | CONV5-3 } ADD -> POOL2]*M", "M", ("macs", "values")),
    ("INPUT[WxWx3] -> [{ ID | ID } CONCAT]*N", "N", ("values",)),
    ("INPUT[WxWx3] -> [ID]*N -> [CONV3-4]*0 -> CONV3-N", "N", ()),
    ("INPUT[NxNx3] -> [CONV3-N]*N", "N", ()),
]


@pytest.mark.parametrize(("text", "counting", "open_ended"), FAMILIES, ids=[text for text, _, _ in FAMILIES])
def test_closed_forms_are_those_of_every_network(text, counting, open_ended):
    if open_ended is None:  # a vector cannot be pooled again
        with pytest.raises(ShapeError, match="MaxPool: needs an input with spatial axes"):
            pattern(text).output_shape  # noqa: B018
        return
    family, checked = pattern(text), 0
    for name in open_ended:
        with pytest.raises(Undecided):
            getattr(family, name)
    names = [name for name in ("output_shape", *FIELD, *COSTS) if name not in open_ended]
    answers = {name: getattr(family, name) for name in names}
    most = 6 if len(counting) == 1 else 3
    for counts in product(range(1, most + 1), repeat=len(counting)):
        for w in (7, 32, 81, 150):
            values = dict(zip(counting, counts, strict=True)) | {"W": w}
            expected = one_by_one(text, values)
            if expected is not None:
                checked += 1
                assert {n: number(answers[n], values) for n in names} == {n: expected[n] for n in names}, values
    assert checked >= most


@pytest.mark.parametrize("text", ["UPSAMPLE2 -> CONV(K=3, F=4, P=1)", "[UPSAMPLE2 -> CONV3-4 -> POOL2]*N", "UPSAMPLE2 -> [CONV(K=3, F=4, P=1)]*N",
                                  "[UPCONV(K=3, F=4, S=2) -> CONV3-3 -> POOL2]*N", "{ ID | UPSAMPLE2 -> POOL2 } CONCAT -> [CONV3-4]*N",
                                  "[POOL2]*N -> UPSAMPLE2 -> CONV(K=8, F=3, S=2, P=1)", "[UPSAMPLE2 -> POOL(F=3, S=2, P=1)]*N"])  # fmt: skip
def test_fields_of_families_below_an_upsampling(text):
    """Those of every network, or none."""
    family = pattern(f"INPUT[64x64x3] -> {text}")
    for name in FIELD:
        try:
            answer = getattr(family, name)
        except Undecided:
            continue
        for n in (1, 2, 3):
            row = analyze(family.at(*[n] * ("*N" in text))).rows[-1]
            assert tuple(sympy.sympify(each).xreplace({N: sympy.Integer(n)}) for each in answer) == getattr(row, name)


@pytest.mark.parametrize("text", ["[CONV3-3]*N", "[CONV(K=3, F=5, S=3)]*N", "[CONV3-3 -> POOL2]*N -> POOL(F=3, S=1)"])
def test_sizes_and_fields_hold_for_no_repetition_too(text):
    family = pattern(f"INPUT[WxHx3] -> {text}")
    for w, h in ((30, 41), (100, 64)):
        values = {"N": 0, "W": w, "H": h}
        expected = one_by_one(f"INPUT[WxHx3] -> {text}", values)
        for name in ("output_shape", *FIELD):
            assert number(getattr(family, name), values) == expected[name]


def test_the_forms_that_people_write():
    assert pattern("INPUT[WxWxC] -> [CONV3-C]*N").receptive_field == (2 * N + 1,) * 2
    halving = pattern("INPUT[WxWx3] -> [CONV3-C -> POOL2]*M")
    assert halving.output_shape == (C, FloorDiv(W, 2**M), FloorDiv(W, 2**M))
    assert halving.receptive_field == (3 * 2**M - 2,) * 2
    assert halving.jump == (2**M,) * 2
    assert str(halving.output_shape[1]) == "W//2**M"
    assert pattern("INPUT[WxHx3] -> [CONV(K=8, F=3)]*N").output_shape == (8, H - 2 * N, W - 2 * N)
    assert pattern("INPUT[WxWxC] -> [CONV3-C]*N").weights == 9 * C**2 * N
    notes = pattern("INPUT[32x32x3] -> [[CONV3-64 -> RELU]*N -> POOL2]*M -> [FC-4096 -> RELU]*K -> FC-10")
    assert notes.output_shape == (10,)
    assert notes.jump == (2**M,) * 2


def test_a_family_runs_as_its_forms_say():
    """Sizes and parameters that NumPy makes of arrays, without a formula."""
    family = pattern("INPUT[WxWx2] -> [CONV(K=4, F=3, S=2, P=1) -> RELU]*N -> [POOL2]*M")
    for n, m, w in product((0, 1, 2, 3), (0, 1, 2), (29, 32)):
        activations, parameters = execute.run(family.at(N=n, M=m), np.zeros((1, 2, w, w)), draw=np.zeros)
        values = {"N": n, "M": m, "W": w}
        assert list(activations.values())[-1].shape[2:] == number(family.output_shape[1:], values)
        if n:
            drawn = sum(tensor.numpy().size for layer in parameters.values() for tensor in layer.values())
            assert drawn == number(family.params, values)


layers = st.sampled_from(
    ["CONV3-4", "CONV(K=4, F=3)", "CONV(K=5, F=2, S=2)", "CONV(K=4, F=3, S=2, P=1)", "POOL2", "POOL(F=3, S=3, P=1)", "RELU",
     "CONV(K=3, F=3, D=2, P=1)", "PAD(P=1:0)", "AVGPOOL(F=3, S=1)", "{ CONV3-4 | CONV1-2 } CONCAT", "{ ID | CONV3-1 } CONCAT",
     "BN", "POOL(F=4, S=2, P=1, CEIL=1)", "GLOBALAVGPOOL", "FC-6"]
)  # fmt: skip


@given(st.lists(layers, min_size=1, max_size=4), st.lists(layers, max_size=2), st.sampled_from([23, 64, 97]))
@settings(deadline=None, max_examples=60)
def test_whatever_is_repeated(body, tail, size):
    text = f"INPUT[WxWx4] -> [{' -> '.join(body)}]*N" + "".join(f" -> {each}" for each in tail)
    expected = {n: one_by_one(text, {"W": size, "N": n}) for n in (1, 2, 3)}
    assume(expected[1] is not None)
    try:
        family = pattern(text)
        shape = family.output_shape
    except ShapeError:
        assert expected[2] is None
        return
    except Undecided:
        assume(False)
    for n, found in expected.items():
        if found is None:
            continue
        values = {"N": n, "W": size}
        assert number(shape, values) == found["output_shape"]
        for name in (*FIELD, *COSTS):
            try:
                answer = getattr(family, name)
            except Undecided:
                continue
            assert number(answer, values) == found[name], name


# --- powers in sizes --------------------------------------------------------------------------------------------------

powers = st.sampled_from([2**M, 3**N, 2 ** (M + N), 4**M, 2 ** (2 * N + 1), 6**M, 2**M * W, 3 * 2**M])
divisors = powers | st.integers(1, 6).map(sympy.Integer) | st.sampled_from([W, 2**M + 1, 2**M * 3**N])
polynomials = st.recursive(
    powers | st.just(W) | st.integers(-6, 9).map(sympy.Integer),
    lambda smaller: (
        st.builds(lambda a, b: a + b, smaller, smaller)
        | st.builds(lambda a, b: a * b, smaller, smaller)
        | st.builds(FloorDiv, smaller, divisors)
    ),
    max_leaves=4,
)


def valued(expression, values):
    """The value that Python's integers give an expression, division by division."""
    if isinstance(expression, FloorDiv):
        a, b = (valued(each, values) for each in expression.args)
        assert a.is_Integer
        return sympy.Integer(int(a) // int(b))
    if not expression.args:
        return sympy.Integer(values[expression.name]) if expression.is_Symbol else expression
    return expression.func(*(valued(each, values) for each in expression.args))


@given(polynomials, divisors, st.integers(1, 40), st.integers(1, 3), st.integers(1, 3))
@settings(deadline=None)
def test_quotients_of_powers_are_pythons(a, b, w, m, n):
    values = {"W": w, "M": m, "N": n}
    assert valued(FloorDiv(a, b), values) == int(valued(a, values)) // int(valued(b, values))


def test_quotients_of_powers_fold():
    assert FloorDiv(FloorDiv(W, 2**M), 2) == FloorDiv(W, 2 * 2**M) == FloorDiv(W, 2 ** (M + 1))
    assert FloorDiv(W + 3 * 2**M, 2**M) == FloorDiv(W, 2**M) + 3
    assert FloorDiv(2**M * W, 2**M) == W
    assert FloorDiv(W, 2**M).xreplace({M: sympy.Integer(3)}) == FloorDiv(W, 8)


@pytest.mark.parametrize("power", [2**-M, sympy.Rational(1, 2) ** M, (-2) ** M, 2 ** (M - N), W**M], ids=str)
def test_powers_that_may_be_no_whole_number_are_refused(power):
    with pytest.raises(SpecError):
        FloorDiv(W, 1 + power)


# --- optional layers, single networks, and what is refused ------------------------------------------------------------


def test_an_optional_layer_gives_both_families():
    found = variants("INPUT[WxWx3] -> [CONV3-8 -> POOL2?]*M -> FC-10?")
    assert [str(family) for family in found] == [
        "INPUT[WxWx3] -> [CONV3-8 -> POOL2]*M -> FC-10",
        "INPUT[WxWx3] -> [CONV3-8 -> POOL2]*M -> ID",
        "INPUT[WxWx3] -> [CONV3-8 -> ID]*M -> FC-10",
        "INPUT[WxWx3] -> [CONV3-8 -> ID]*M -> ID",
    ]
    assert found[1].output_shape == (8, FloorDiv(W, 2**M), FloorDiv(W, 2**M))
    assert found[3].output_shape == (8, W, W)
    assert [len(family.at(2)) for family in found] == [6, 5, 4, 3]
    nested = variants("INPUT[WxWx3] -> { RELU?? | ID } ADD")
    assert [len(family.at()) for family in nested] == [3, 2, 2, 2]


def test_one_network_of_a_family():
    family = pattern("INPUT[WxWx3] -> [CONV3-N]*N -> [POOL2]*M")
    assert family.at(N=2, M=1) == network("INPUT[WxWx3] -> [CONV3-2]*2 -> POOL2")
    assert pattern("INPUT[WxWx3] -> [CONV3-8]*N").at(2) == network("INPUT[WxWx3] -> [CONV3-8]*2")
    assert pattern("INPUT[WxWx3] -> CONV(K=W, F=3, P=0:1)").at() == network("INPUT[WxWx3] -> CONV(K=W, F=3, P=0:1)")
    for wrong in ({"N": 2}, {"N": 2, "M": -1}, {"N": 2, "M": True}, {"N": 2, "M": 1, "W": 3}, {}):
        with pytest.raises(SpecError, match=r"^give each letter a number, 0 or more: M, N$"):
            family.at(**wrong)
    with pytest.raises(SpecError, match=r"^give each letter a number, 0 or more: M, N$"):
        family.at(2)
    with pytest.raises(NotationError, match="more than 20000 layers"):
        family.at(N=2, M=10**9)


@pytest.mark.parametrize(
    ("text", "name", "reason"),
    [
        ("[{ POOL2 | CONV(K=3, F=3, S=2, P=1) } ADD]*M", "output_shape",
         "branches agree only where n1'//2 - ((n1' + 1)//2) = 0, so no form holds for the whole family"),
        ("{ POOL2 | CONV(K=3, F=3, S=2, P=1) } ADD -> [RELU]*M", "params",
         "branches agree only where W//2 - ((W + 1)//2) = 0, so no form holds for the whole family"),
        ("[{ POOL(F=1x2) | CONV(K=3, F=1x3, S=1x2, P=0x1) } CONCAT]*M", "output_shape",
         "branches agree only where n1'//2 - ((n1' + 1)//2) = 0, so no form holds for the whole family"),
        ("[{ CONV3-8 | ID } ADD -> CONV3-3]*M", "output_shape", None),
        ("[CONV(K=8, F=3, S=S)]*M", "output_shape", "repeated, n1' -> (n1' - 3)//S + 1 has no closed form here"),
        ("[UPSAMPLE2 -> POOL(F=3, S=1) -> POOL(F=3, S=3)]*M", "output_shape",
         "repeated, n1' -> (2*n1' + 1)//3 - 1 has no closed form here"),
        ("[RELU]*P", "output_shape", "P may be 0, as all letters beginning with P; count the repetitions by another"),
        ("[UPSAMPLE2]*M", "jump", "the field of 1 and jump of 1/2, repeated, have no closed form here"),
        ("[CONV3-8 -> POOL2]*M", "macs",
         "sizes change by a factor at every repetition; no closed form of their sum is known here"),
        ("UNKNOWN(Einsum) -> [RELU]*M", "params", "nothing is known about the operation Einsum"),
        ("[FLATTEN]*M -> [[FC-3]*A -> POOL2]*B", "output_shape", None),
    ],
)  # fmt: skip
def test_what_has_no_closed_form_says_why(text, name, reason):
    family = pattern(f"INPUT[WxWx3] -> {text}")
    with pytest.raises((Undecided, ShapeError) if reason is None else Undecided) as caught:
        getattr(family, name)
    assert reason is None or str(caught.value) == reason


def test_other_answers_stand():
    family = pattern("INPUT[WxWx3] -> [CONV3-8 -> POOL2]*M")
    with pytest.raises(Undecided):
        family.macs  # noqa: B018
    assert family.params == 584 * M - 360
    with pytest.raises(AttributeError, match="a Family has no sise"):
        family.sise  # noqa: B018


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("CONV3-8", "a pattern starts with INPUT[WxHxD], for example INPUT[WxWx3], and has no other"),
        (
            "INPUT[8x8x3] -> INPUT[8x8x3]",
            "a pattern starts with INPUT[WxHxD], for example INPUT[WxWx3], and has no other",
        ),
        ("INPUT[8x8x3] -> RELU?", "a pattern with optional layers (?) describes several families; see variants"),
        ("INPUT[8x8x3]" + " -> RELU?" * 7, "the pattern has 7 optional layers; 6 is the limit"),
        ("INPUT[8x8x3] -> [[[[RELU]*A]*B]*C]*D", "the pattern has 4 levels of repetition by letters; 3 is the limit"),
        (
            "INPUT[8x8x3] -> [[RELU]*999]*999",
            "the pattern has 998002 layers, with 3 for each letter; 300 is the limit",
        ),
        ("INPUT[8x8x3]" + "".join(f" -> FC-N{n}" for n in range(17)), "the pattern has 17 letters; 8 is the limit"),
    ],
)
def test_illegal_patterns(text, problem):
    with pytest.raises(SpecError, match=f"^{re.escape(problem)}$"):
        pattern(text)


def test_endless_repetition_of_nothing_ends():
    assert pattern("INPUT[WxWx3] -> [[ID]*999999999999]*N -> RELU").output_shape == (3, W, W)


def test_every_letter_is_told_from_others():
    """Letters of the family and those of the derivation do not meet, also where repetitions nest."""
    family = pattern("INPUT[n1xn1xn0] -> [[CONV(K=n0, F=3)]*n2 -> POOL2]*N")
    n1, n2 = symbols("n1 n2")
    assert family.output_shape[1] == FloorDiv(n1 + 2 * n2, 2**N) - 2 * n2
    with pytest.raises(ConvproofError):
        pattern("INPUT[WxWx3] -> [RELU]*n0'")


@pytest.mark.parametrize("text", ["{ FLATTEN | ID } RESIZE", "{ ID | FLATTEN } PADTO", "FC-4 -> ADAPTIVEAVGPOOL(O=1)"])
def test_what_does_not_go_together_in_a_family_is_said(text):
    with pytest.raises(ShapeError):
        pattern(f"INPUT[WxWx3] -> {text} -> [RELU]*N").output_shape  # noqa: B018
