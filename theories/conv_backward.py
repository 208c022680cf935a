"""The backward pass of a convolution, worked out in one dimension with letters."""

import numpy as np
import sympy

from convproof import autograd as ag
from convproof.check import relation
from convproof.proof import Theorem, derived, kernel
from convproof.proof.algebra import Term
from convproof.report import Equation, Text
from convproof.theory import Claim, Finding, Step, Theory

X, WEIGHTS, G = (sympy.symbols(f"{name}_0:{n}") for name, n in (("x", 4), ("w", 3), ("g", 2)))


def _array(letters: tuple[sympy.Symbol, ...]) -> np.ndarray:
    array = np.empty((1, 1, len(letters)), dtype=object)
    array[0, 0, :] = letters
    return array


def theory() -> Theory:
    x, w, g = _array(X), _array(WEIGHTS), _array(G)
    y = _row(ag.conv(x, w))
    loss = sum(a * b for a, b in zip(G, y, strict=True))
    to_x = _row(ag.conv(ag.pad(g, ((2, 2),)), w[:, :, ::-1]))
    to_w = _row(ag.conv(x, g))
    agreeing = sum(sympy.expand(sympy.diff(loss, v) - e) == 0 for v, e in zip(X, to_x, strict=True))
    to_w_flipped = _row(ag.conv(x, g[:, :, ::-1]))
    o, t, P, S, D = sympy.symbols("o t P S D", integer=True)
    W2, F = sympy.symbols("W_2 F", integer=True, positive=True)
    gs, ws, xs = map(sympy.IndexedBase, "gwx")
    return Theory(
        id="conv-backward",
        order=70,
        title="The backward pass of a convolution",
        statement=(
            "The gradient to the input slides the spatially flipped filter over the zero-padded "
            "cotangent; the gradient to the "
            "weights slides the cotangent, not flipped, over the input. With a stride the cotangent "
            "is stuffed with zeros for "
            "the first and taken with dilation S for the second; with channels the filters' axes C and K change places."
        ),
        equations=(
            Equation(sympy.Symbol("y_o"), sympy.Sum(ws[t] * xs[S * o + D * t - P], (t, 0, F - 1))),
            Equation(sympy.Symbol("dw_t"), sympy.Sum(gs[o] * xs[S * o + D * t - P], (o, 0, W2 - 1))),
        ),
        steps=(
            *(
                Step(
                    y[o],
                    sum(WEIGHTS[t] * X[o + t] for t in range(3)),
                    f"output {o} as the layer computes it, F = 3, W = 4",
                    f"y_{o}",
                )
                for o in range(2)
            ),
            *(
                Step(
                    sympy.diff(loss, X[i]),
                    to_x[i],
                    f"d/dx_{i} of g_0 y_0 + g_1 y_1: the flipped filter over 0, 0, g_0, g_1, 0, 0",
                    f"dx_{i}",
                )
                for i in range(4)
            ),
            *(
                Step(
                    sympy.diff(loss, WEIGHTS[t]),
                    to_w[t],
                    f"d/dw_{t}: the cotangent g_0, g_1 slides over the input, as it is",
                    f"dw_{t}",
                )
                for t in range(3)
            ),
        ),
        claims=(
            Claim(
                "padded-read",
                "Reading a padded input: the sum over i of x[i] at the position that tap t of output "
                "o reads, is x there inside "
                "the image and 0 outside.",
                _padded_read,
            ),
            Claim(
                "to-input",
                "In one dimension, for every size, kernel, stride, dilation and padding: the "
                "cotangent paired with the output is the "
                "input paired with the flipped filter slid over the cotangent stuffed with zeros.",
                _to_input,
            ),
            Claim(
                "to-bias",
                "The bias's gradient is the sum of the cotangent over all positions.",
                lambda: kernel.identity(
                    _over("o", W_OUT, ("*", ("at", "g", O), _letter("b"))),
                    ("*", _letter("b"), _over("o", W_OUT, ("at", "g", O))),
                ),
            ),
            Claim("linear", "Convolution is linear in its input, and so in each of its three arguments.", _linear),
            Claim(
                "to-weights",
                "Likewise it is the filter paired with the cotangent, not flipped, slid over the "
                "input: each weight's gradient is the "
                "sum over all output positions.",
                _to_weights,
            ),
        ),
        relations=(
            relation("conv adjoints, letters"),
            relation("conv algorithms, letters"),
        ),
        exhibits=(
            Text(
                "The relations below check the same, for stride, dilation, asymmetric padding and "
                "groups, in one and two "
                "dimensions, against the transposed matrix of the layer."
            ),
        ),
        findings=(
            Finding(
                "the input's gradient is a convolution with the flipped filter",
                "flipped",
                f"{agreeing} of 4 entries equal",
                agreeing == 4,
            ),
            Finding(
                "the weights' gradient is one with a flipped filter too, read as: the flipped "
                "cotangent slides over the input",
                "flipped",
                f"the first entry would be {to_w_flipped[0]} and is {to_w[0]}",
                all(sympy.expand(sympy.diff(loss, v) - e) == 0 for v, e in zip(WEIGHTS, to_w_flipped, strict=True)),
            ),
        ),
        source=(
            "the notes, section `Backpropagation` of the conv layer, which leaves the 1-dimensional case to the reader"
        ),
    )


def _letter(name: str) -> tuple[str, str]:
    return ("v", name)


O, T, I, W_OUT, W_IN, KERNEL = map(_letter, ("o", "t", "i", "O", "W", "F"))
PLACE = ("+", ("*", _letter("S"), O), ("*", _letter("D"), T), ("*", -1, _letter("P")))
READ = ("sum", "i", 0, ("+", W_IN, -1), ("*", ("at", "x", I), ("is", I, PLACE)))


def _over(name: str, end: Term, body: Term) -> Term:
    """The sum of body over name = 0, ..., end - 1."""
    return ("sum", name, 0, ("+", end, -1), body)


PAIRED = _over("o", W_OUT, ("*", ("at", "g", O), _over("t", KERNEL, ("*", ("at", "w", T), READ))))


def _linear() -> Theorem:
    """|- the pairing at x + m y = the pairing at x + m times the pairing at y."""

    def paired(value: Term) -> Term:
        read = ("sum", "i", 0, ("+", W_IN, -1), ("*", value, ("is", I, PLACE)))
        return _over("o", W_OUT, ("*", ("at", "g", O), _over("t", KERNEL, ("*", ("at", "w", T), read))))

    x, y, m = ("at", "x", I), ("at", "y", I), _letter("m")
    return kernel.identity(paired(("+", x, ("*", m, y))), ("+", paired(x), ("*", m, paired(y))))


def _padded_read() -> Theorem:
    """The sum of x[i] [i = S o + D t - P] = x[S o + D t - P] [0 <= it] [it <= W - 1]."""
    return kernel.sift("i", 0, ("+", W_IN, -1), ("at", "x", I), PLACE)


def _to_input() -> Theorem:
    """<g, conv(x, w)> = the sum over i of x[i] * sum over t of w[F - 1 - t] * stuffed[i + P - D (F - 1) + D t]."""
    tap = ("*", ("at", "w", T), _over("o", W_OUT, ("*", ("at", "g", O), ("is", I, PLACE))))
    taps = _over("t", KERNEL, tap)
    exchanged = kernel.identity(PAIRED, _over("i", W_IN, ("*", ("at", "x", I), taps)))
    flipped = kernel.reindex(taps, -1, ("+", KERNEL, -1))
    under = ("*", ("at", "x", I), taps), ("*", ("at", "x", I), flipped.conclusion[2])
    inner = kernel.certificate(("=", *under), [flipped], [(("at", "x", I), [0])])
    summed = kernel.under_sum(_over("i", W_IN, under[0]), inner)
    reached = ("+", I, _letter("P"), ("*", -1, _letter("D"), ("+", KERNEL, -1)), ("*", _letter("D"), T))
    stuffed = _over("o", W_OUT, ("*", ("at", "g", O), ("is", reached, ("*", _letter("S"), O))))
    weight = ("at", "w", ("+", KERNEL, -1, ("*", -1, T)))
    slid = _over("i", W_IN, ("*", ("at", "x", I), _over("t", KERNEL, ("*", weight, stuffed))))
    last = kernel.identity(summed.conclusion[2], slid)
    return derived.equals(PAIRED, slid, exchanged, summed, last)


def _to_weights() -> Theorem:
    """<g, conv(x, w)> = the sum over t of w[t] * sum over o of g[o] * x[S o + D t - P], x padded with zeros."""
    return kernel.identity(
        PAIRED, _over("t", KERNEL, ("*", ("at", "w", T), _over("o", W_OUT, ("*", ("at", "g", O), READ))))
    )


def _row(y: ag.Tensor) -> list[sympy.Expr]:
    return [sympy.expand(entry) for entry in y.numpy()[0, 0]]
