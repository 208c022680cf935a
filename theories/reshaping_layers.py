"""One layer written as another: FC as CONV, 1x1 CONV as FC, im2col, dilation as zeros, average pooling."""

import numpy as np

from convproof import autograd as ag
from convproof.check import Relation, relation
from convproof.check.cases import ConvCase, conv_cases
from convproof.check.relations import equal
from convproof.proof import Theorem, derived, kernel
from convproof.proof.algebra import Term
from convproof.report import Equation
from convproof.spec import Conv, Linear
from convproof.symbolic import output_shape, symbols, weights
from convproof.theory import Claim, Finding, Step, Theory

C, K, W, H = symbols("C K W H")


def theory() -> Theory:
    whole = Conv("K", ("H", "W"))
    shape, count = output_shape(Conv(4096, 7), (512, 7, 7)), weights(Conv(4096, 7), (512, 7, 7))
    return Theory(
        id="reshaping-layers",
        order=90,
        title="One layer written as another",
        statement=(
            "A fully connected layer is the convolution whose filters are as large as its input; a "
            "1x1 convolution is a fully "
            "connected layer at every pixel; a dilated filter is a dense one with zeros between its taps."
        ),
        equations=(Equation(weights(whole, (C, H, W)), weights(Linear("K"), (C, H, W))),),
        hypotheses=(Equation(W, 1, ">="), Equation(H, 1, ">=")),
        witness=(("W", 7), ("H", 7)),
        steps=(
            Step(
                output_shape(whole, (C, H, W))[1],
                1,
                "a filter as high as its input fits once",
                "outputs along the height",
            ),
            Step(
                weights(whole, (C, H, W)),
                K * C * H * W,
                "as many weights as the fully connected layer on the flattened input",
                "weights of the convolution",
            ),
            Step(
                weights(Conv("K", 1), (C, H, W)),
                K * C,
                "a 1x1 convolution is a C-dimensional dot product",
                "its weights",
            ),
        ),
        claims=(
            Claim(
                "fits-once",
                "With F = W and no padding a window fits exactly once, at any stride.",
                _fits_once,
                (("S", 1),),
            ),
            Claim(
                "dot-product",
                "The one output is the dot product of filter and input, whatever they hold.",
                _one_dot_product,
            ),
            Claim("pointwise", "A 1x1 convolution reads, at output o, the C channels of input o alone.", _pointwise),
            Claim(
                "rows",
                "In im2col, row c F + t belongs to channel c: dividing by F gives the channel back.",
                _rows,
                (("F", 3), ("t", 1)),
            ),
            Claim(
                "dilation",
                "The dense filter that holds w[t] at D t and zeros elsewhere computes what w computes with dilation D.",
                _dilation,
                (("D", 2),),
            ),
            Claim(
                "average", "A filter with the same number m at every tap gives m times the sum of its window.", _average
            ),
        ),
        relations=(_FC, _DILATED, relation("conv algorithms, letters")),
        findings=(
            Finding(
                "FC with K=4096 on 7x7x512 as CONV with F=7: output",
                "1x1x4096",
                _by_width(shape),
                _by_width(shape) == "1x1x4096",
            ),
            Finding("its weights, as in the VGG table", "102,760,448", count, count == 102760448),
        ),
        source=(
            "the notes, sections `Converting FC layers to CONV layers`, `1x1 convolution`, "
            "`Implementation as Matrix Multiplication`"
        ),
    )


def _by_width(shape: tuple[int, ...]) -> str:
    return f"{shape[2]}x{shape[1]}x{shape[0]}"


def _letter(name: str) -> Term:
    return ("v", name)


T, O, I, SIZE, CHANNEL = map(_letter, ("t", "o", "i", "W", "c"))


def _to(name: str, end: Term, body: Term) -> Term:
    """The sum of body over name = 0, ..., end - 1."""
    return ("sum", name, 0, ("+", end, -1), body)


def _fits_once() -> Theorem:
    """S >= 1 |- (W - W)//S + 1 = 1: there is no room to move."""
    room, stride = ("+", SIZE, ("*", -1, SIZE)), kernel.assume((">=", _letter("S"), 1))
    lower = derived.at_least(room, ("*", _letter("S"), 0))
    upper = kernel.certificate((">=", ("+", ("*", _letter("S"), 0), _letter("S"), -1), room), [stride], [(1, [0])])
    once = derived.floor_is(room, stride, 0, lower, upper)
    return kernel.certificate(("=", ("+", ("//", room, _letter("S")), 1), 1), [once], [(1, [0])])


def _read(place: Term) -> Term:
    """x at a place, 0 outside 0, ..., W - 1."""
    return _to("i", SIZE, ("*", ("at", "x", I), ("is", I, place)))


def _one_dot_product() -> Theorem:
    """|- the sum over t < W of w[t] x~[0 + t] = the sum over t < W of w[t] x[t]."""
    left = _to("t", SIZE, ("*", ("at", "w", T), _read(T)))
    sifted = kernel.sift("i", 0, ("+", SIZE, -1), ("at", "x", I), T)
    inside_low, inside_high = kernel.assume((">=", T, 0)), kernel.assume((">=", ("+", SIZE, -1), T))
    low, high = kernel.within(0, T, inside_low), kernel.within(T, ("+", SIZE, -1), inside_high)
    both = ("*", ("at", "x", T), ("le", 0, T), ("le", T, ("+", SIZE, -1)))
    plain = kernel.certificate(
        ("=", both, ("at", "x", T)),
        [low, high],
        [(("*", ("at", "x", T), ("le", T, ("+", SIZE, -1))), [0]), (("at", "x", T), [1])],
    )
    read = derived.equals(_read(T), ("at", "x", T), sifted, plain)
    body = kernel.certificate(
        ("=", ("*", ("at", "w", T), _read(T)), ("*", ("at", "w", T), ("at", "x", T))), [read], [(("at", "w", T), [0])]
    )
    return kernel.under_sum(left, body)


def _pointwise() -> Theorem:
    """|- the sum over c < C, t < 1 of w[c, t] x[c, o + t] = the sum over c < C of w[c, 0] x[c, o]."""
    tap = ("*", ("at", "w", CHANNEL, T), ("at", "x", CHANNEL, ("+", O, T)))
    inner = ("sum", "t", 0, 0, tap)
    one = kernel.last_term(inner, derived.at_least(0, 0))
    none = kernel.empty(one.conclusion[2][1], derived.at_least(0, ("+", ("+", 0, -1), 1)))
    single = ("*", ("at", "w", CHANNEL, 0), ("at", "x", CHANNEL, O))
    body = derived.equals(inner, single, one, none)
    return kernel.under_sum(_to("c", _letter("C"), inner), body)


def _rows() -> Theorem:
    """t >= 0, F - 1 >= t |- (c F + t)//F = c: rows and pairs (channel, tap) are in bijection."""
    size, row = _letter("F"), ("+", ("*", CHANNEL, _letter("F")), T)
    low, high = kernel.assume((">=", T, 0)), kernel.assume((">=", ("+", size, -1), T))
    positive = kernel.certificate((">=", size, 1), [low, high], [(1, [0]), (1, [1])])
    lower = kernel.certificate((">=", row, ("*", size, CHANNEL)), [low], [(1, [0])])
    upper = kernel.certificate((">=", ("+", ("*", size, CHANNEL), size, -1), row), [high], [(1, [0])])
    return derived.floor_is(row, positive, CHANNEL, lower, upper)


def _dilation() -> Theorem:
    """D >= 1 |- sum over u of (sum over t of w[t] [u = D t]) x[a + u] = sum over t of w[t] x[a + D t], a = S o - P."""
    start, u, reach = ("+", ("*", _letter("S"), O), ("*", -1, _letter("P"))), _letter("u"), ("*", _letter("D"), T)
    last = ("*", _letter("D"), ("+", _letter("F"), -1))
    value = ("at", "x", ("+", start, u))
    stuffed = _to("t", _letter("F"), ("*", ("at", "w", T), ("is", u, reach)))
    dense = ("sum", "u", 0, last, ("*", stuffed, value))
    picked = ("sum", "u", 0, last, ("*", value, ("is", u, reach)))
    taps = _to("t", _letter("F"), ("*", ("at", "w", T), picked))
    read = ("at", "x", ("+", start, reach))
    body = kernel.certificate(
        ("=", ("*", ("at", "w", T), picked), ("*", ("at", "w", T), read)),
        [_sifted(picked, value, reach, last, read)],
        [(("at", "w", T), [0])],
    )
    summed = kernel.under_sum(taps, body)
    return derived.equals(dense, summed.conclusion[2], kernel.identity(dense, taps), summed)


def _sifted(picked: Term, value: Term, reach: Term, last: Term, read: Term) -> Theorem:
    """D >= 1, t >= 0, F - 1 >= t |- the sum over u of x[a + u] [u = D t] = x[a + D t]: D t lies within 0, ..., D (F -
    1).
    """
    step = kernel.assume((">=", _letter("D"), 1))
    first, top = kernel.assume((">=", T, 0)), kernel.assume((">=", ("+", _letter("F"), -1), T))
    low = kernel.within(0, reach, kernel.certificate((">=", reach, 0), [step, first], [(1, [0, 1]), (1, [1])]))
    high = kernel.within(reach, last, kernel.certificate((">=", last, reach), [step, top], [(1, [0, 1]), (1, [1])]))
    sifted = kernel.sift("u", 0, last, value, reach)
    plain = kernel.certificate(
        ("=", sifted.conclusion[2], read), [low, high], [(("*", read, ("le", reach, last)), [0]), (read, [1])]
    )
    return derived.equals(picked, read, sifted, plain)


def _average() -> Theorem:
    """|- the sum over t of m x[S o + t] = m times the sum over t of x[S o + t]."""
    window = ("at", "x", ("+", ("*", _letter("S"), O), T))
    return kernel.identity(
        _to("t", _letter("F"), ("*", _letter("m"), window)), ("*", _letter("m"), _to("t", _letter("F"), window))
    )


def _fc(case: ConvCase) -> None:
    """An FC layer on the flattened input, and the CONV layer with the same weights and F = W."""
    x, w = case.integers(case.x_shape, (3, *case.x_shape[1:]))
    fc = ag.linear(ag.flatten(x), ag.flatten(w))
    equal("FC = CONV", ag.conv(x, w).numpy().reshape(fc.shape), fc.numpy())


def _dilated(case: ConvCase) -> None:
    """A dilated filter, and the dense one with zeros between the taps."""
    x, w = case.integers(case.x_shape, case.w_shape)
    sizes = [d * (k - 1) + 1 for d, k in zip(case.dilation, case.kernel, strict=True)]
    dense = np.zeros((*case.w_shape[:2], *sizes), np.int64)
    dense[(..., *(slice(None, None, d) for d in case.dilation))] = w
    options = {**case.options(), "dilation": 1}
    equal("dilated = dense with zeros", ag.conv(x, dense, **options).numpy(), ag.conv(x, w, **case.options()).numpy())


_FC = Relation("FC as CONV", "FC on the flattened input = CONV with F = W", conv_cases(max_rank=2), _fc, degree=2)
_DILATED = Relation("dilation as zeros", "dilated filter = dense filter with zeros", conv_cases(), _dilated, degree=2)
