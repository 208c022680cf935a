"""Numbers for a letter that make a network fit, against walking the windows of every one of them."""

import itertools
import random
import time

import numpy as np
import pytest

from cases import VGG16
from convproof import execute
from convproof.architecture import SAME_LOWER, SAME_UPPER, Network, layers
from convproof.architecture.notation import network
from convproof.crosscheck import oracle
from convproof.errors import ConvproofError, InputError, SpecError, Undecided
from convproof.symbolic import FloorDiv, symbols
from convproof.symbolic.shapes import infer
from convproof.symbolic.solve import Design, designs, solve

TRIED = 45
WINDOWED = (layers.Conv, layers.MaxPool, layers.AvgPool, layers.LpPool)


def fits(net, want=None, exact=True):
    """By running the network on zeros, and walking each layer's windows over what came before it."""
    sizes = net.image.sizes
    channels = net.image.channels if isinstance(net.image.channels, int) else 2
    try:
        activations, _ = execute.run(net, np.zeros((1, channels, *sizes)), draw=np.zeros)
    except ConvproofError:
        return False
    for node in net if exact else ():
        if isinstance(node.layer, WINDOWED):
            spatial = activations[node.operands[0]].shape[2:]
            for axis, n in zip(node.layer.axes(len(spatial)), spatial, strict=True):
                if isinstance(
                    axis.before, str
                ):  # SAME: the padding that is needed to end at the last position, or none
                    last = range(0, n, axis.stride)[-1] + axis.dilation * (axis.kernel - 1)
                    if last < n - 1:
                        return False
                    continue
                walked = oracle.places(n, axis.kernel, axis.stride, (axis.before, axis.after), axis.dilation)
                if not walked or walked[-1][-1] != n + axis.after - 1:
                    return False
    return want is None or activations[net.output.name].shape[2:] == (want,) * len(sizes)


def check(template, letter, want=None, exact=True, tried=TRIED, **numbers):
    """`solve` on the text against trying every number in its place; returns the answer."""
    text = template.format(**{**numbers, "x": letter})
    answer = solve(text, unknown=letter, want=want, exact=exact)
    least = 0 if letter[0] in "Pp" else 1
    for number in range(least, tried):
        try:
            works = fits(network(template.format(**{**numbers, "x": number})), want, exact)
        except SpecError:
            works = False
        assert (number in answer.found) == works, (text, number)
    return answer


# --- one layer --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["CONV(K=2, ", "POOL("])
@pytest.mark.parametrize("letter", "WFSPD")
def test_every_letter_of_a_layer(kind, letter):
    rng = random.Random(f"{kind}{letter}")
    found = set()
    for _ in range(25):
        values = {"W": rng.randint(3, 16), "F": rng.randint(1, 5), "S": rng.randint(1, 4), "P": rng.randint(0, 3)}
        values |= {"D": rng.randint(1, 3), letter: "{x}"}
        text = f"INPUT[{{W}}x{{W}}x2] -> {kind}F={{F}}, S={{S}}, P={{P}}, D={{D}})".format(**values)
        exact = rng.random() < 0.7
        answer = check(text, letter, exact=exact)
        found.add(bool(answer.found.below or answer.found.residues))
        answer = check(text, letter, want=rng.randint(1, 5), exact=exact)
        found.add(bool(answer.found.below or answer.found.residues))
        if letter == "W" or (kind != "POOL(" and letter != "S"):
            assert answer.tried is None
    assert found == {True, False}


def test_the_authors_guess():
    """The notes: which paddings make 224 work with 11 at stride 4? None on both sides: 224 - 11 + 2*P is odd."""
    answer = solve("CONV(K=96, F=11, S=4, P=P)", 224)
    assert (str(answer), answer.tried) == ("P: none", None)
    assert str(solve("CONV(K=96, F=11, S=4, P=P)", 227)) == "P: 0, and all P >= 1 with P mod 2 = 0"
    assert str(solve("CONV(K=96, F=F, S=4, P=2)", 224, want=55)) == "F: only 12"
    assert str(solve("CONV(K=96, F=11, S=S)", 224)) == "S: only 1, 3, 71, 213"
    assert str(solve(layers.Conv(96, 11, 4, (("P", 0), ("P", 0))), 224)) == "P: all P >= 1 with P mod 4 = 3"


def test_strides_are_tried_up_to_where_nothing_changes():
    answer = solve("CONV(K=1, F=5, S=S)", 25)
    assert str(answer) == "S: only 1, 2, 4, 5, 10, 20"
    assert answer.tried > 25
    assert str(solve("CONV(K=1, F=25, S=S)", 25)) == "S: all S >= 1"  # one window, whatever the stride
    assert str(solve("CONV(K=1, F=5, S=S)", 25, exact=False, want=1)) == "S: all S >= 21"


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv(2, "F", 2, SAME_UPPER),
        layers.Conv(2, 3, "S", SAME_LOWER),
        layers.Conv(2, 3, 2, SAME_UPPER, "D"),
        layers.MaxPool(3, "S", SAME_UPPER),
        layers.AvgPool("F", 2, ceil_mode=True),
        layers.AvgPool(3, "S", 1, ceil_mode=True),
        layers.AvgPool(3, 2, "P", count_include_pad=False),
        layers.MaxPool(2, 3, ((0, "P"), (0, "P"))),
        layers.MaxPool(2, 3, (("P", 0), (0, "P")), 2),
        layers.MaxPool("F"),
        layers.LpPool(2, "F", 2),
        layers.Conv(2, ("F", 3), (1, "F"), 1),
        layers.Conv(2, 3, padding=(symbols("F")[0] + 1) / 2),
        layers.Conv(2, 3, padding=FloorDiv(*symbols("F"), 2)),
    ],
    ids=repr,
)
def test_other_windows(layer):
    for size in (5, 6, 9):
        answer = solve(layer, size)
        for number in range(0 if answer.letter == "P" else 1, TRIED):
            try:
                works = fits(Network.chain([layers.Input(2, (size, size)), replaced(layer, answer.letter, number)]))
            except SpecError:
                works = False
            assert (number in answer.found) == works, number


def replaced(layer, letter, number):
    """The layer with a number for a letter, field by field."""

    def put(value):
        if isinstance(value, tuple):
            return tuple(map(put, value))
        if hasattr(value, "free_symbols"):
            return value.subs(dict.fromkeys(value.free_symbols, number))
        return number if value == letter else value

    return type(layer)(**{name: put(value) for name, value in vars(layer).items()})


# --- networks ---------------------------------------------------------------------------------------------------------

NETWORKS = [
    ("INPUT[{x}x{x}x2] -> CONV(K=2, F=5, S=3, P=1) -> POOL(F=3, S=2) -> CONV3-2", "W"),
    ("INPUT[{x}x{x}x2] -> {{ POOL2 | CONV(K=2, F=4, S=2, P=1) }} CONCAT -> CONV(K=2, F=2, S=3)", "W"),
    ("INPUT[20x20x2] -> CONV(K=2, F=4, S=2, P={x}) -> POOL(F=3, S=2, P=1) -> CONV(K=2, F=2, P={x})", "P"),
    ("INPUT[20x20x2] -> {{ CONV(K=2, F=3, P={x}) | CONV(K=2, F=7, P=3) }} ADD -> POOL2", "P"),
    ("INPUT[31x31x2] -> CONV(K=2, F={x}) -> POOL2 -> CONV(K=2, F={x}, S=3)", "F"),
    ("INPUT[24x24x2] -> CONV(K=2, F=3, D={x}) -> {{ CONV(K=2, F=3, D={x}, P={p}) | ID }} ADD", "D"),
    ("INPUT[30x30x2] -> CONV(K=2, F=2, S={x}) -> CONV(K=2, F=1, S={x}) -> CONV(K=2, F=2, P=1)", "S"),
    ("INPUT[30x30x2] -> {{ POOL(F=2, S={x}) | CONV(K=2, F=2, S={x}) }} CONCAT -> POOL(F=2, S=1, P=1)", "S"),
    ("INPUT[30x30x2] -> {{ POOL(F=2, S={x}) | POOL2 }} CONCAT", "S"),
    ("INPUT[26x26x2] -> POOL(F={x}) -> CONV3-2 -> POOL(F={x}, S=1)", "F"),
    ("INPUT[26x26x2] -> POOL(F=3, S=2, P={x}) -> CONV(K=2, F=4, S=2)", "P"),
    ("INPUT[9x9x2] -> {{ CONV3-{x} | CONV1-8 }} ADD -> CONV(K=8, F=3, G=4, P=1)", "K"),
    ("INPUT[9x9x2] -> CONV3-{x} -> CONV(K=6, F=3, G=3)", "K"),
    ("INPUT[9x9x2] -> CONV1-{x} -> SHUFFLE(G=3)", "K"),
    ("INPUT[9x9x2] -> CONV1-{x} -> GN(G=4) -> SLICE(FROM=2, TO=9)", "K"),
    ("INPUT[9x9x2] -> CONV1-{x} -> PIXELSHUFFLE(S=2) -> POOL(F=3, S=3)", "K"),
    ("INPUT[9x9x6] -> {{ CONV1-{x} | ID }} MUL", "K"),
    ("INPUT[9x9x6] -> {{ ID | GLOBALAVGPOOL -> CONV1-{x} }} SCALE", "K"),
    ("INPUT[9x9x6] -> SLICE(FROM=2, TO={x})", "K"),
    ("INPUT[9x9x2] -> {{ PAD(P={x}) | PAD(P={x}) }} ADD -> CONV(K=2, F=3, S=2)", "P"),
    ("INPUT[{x}x{x}x2] -> PIXELUNSHUFFLE(S=3) -> POOL2", "W"),
    ("INPUT[{x}x{x}x2] -> {{ POOL(F=3, S=2) | ID }} RESIZE -> ADAPTIVEAVGPOOL(O=5) -> CONV(K=2, F=3, S=2)", "W"),
    ("INPUT[9x9x2] -> {{ CONV3-{x} | CONV3-3 }} CONCAT -> CONV(K=10, F=3, G=5) -> CONV3-{x}", "K"),
]


@pytest.mark.parametrize(("template", "letter"), NETWORKS)
@pytest.mark.parametrize("exact", [True, False])
def test_networks(template, letter, exact):
    for want in (None, 1, 4, 5, 7):
        check(template, letter, want, exact, tried=34, p=2)


def test_padding_by_the_image_itself_is_bounded():
    """Fewer than 9 positions can be reflected, and no more than 9 go round."""
    for mode, most in (("REFLECT", 8), ("CIRCULAR", 9)):
        answer = solve(f"INPUT[9x9x2] -> PAD(P=P, MODE={mode}) -> POOL(F=3, S=1)", unknown="P")
        assert [n for n in range(40) if n in answer.found] == list(range(most + 1))


def test_alexnets_stride_within_the_network():
    rest = "POOL(F=3, S=2) -> CONV5-256 -> POOL(F=3, S=2) -> CONV3-384 -> POOL(F=3, S=2) -> FC-4096"
    started = time.perf_counter()
    answer = solve(f"INPUT[227x227x3] -> CONV(K=96, F=11, S=S) -> {rest}")
    assert 4 in answer.found
    assert list(answer.found.below) == [
        n
        for n in range(1, 217)
        if fits(network(f"INPUT[227x227x3] -> CONV(K=1, F=11, S={n}) -> {rest}".replace("4096", "1")))
    ]
    assert time.perf_counter() - started < 60


def test_a_whole_classic():
    body = VGG16.split(" -> [FC")[0]
    assert str(solve(body, unknown="W", size=("W", "W"))) == "W: all W >= 1 with W mod 32 = 0"
    assert str(solve(body, unknown="W", size=("W", "W"), want=7)) == "W: only 224"
    assert str(solve(body, unknown="W", size=("W", "W"), want=7, exact=False)) == ("W: only 224 to 255")


# --- the question -----------------------------------------------------------------------------------------------------


def test_ways_to_ask():
    assert str(solve("CONV(K=96, F=11, S=4)", unknown="W")) == "W: all W >= 8 with W mod 4 = 3"
    layer = layers.Conv(96, 11, "S")
    assert (
        solve(layer, 227)
        == solve(Network.chain([layers.Input(3, (227, 227)), layer]))
        == solve("CONV(K=9, F=11, S=S)", 227)
    )
    assert str(solve(layers.Conv(1, 3, "S"), (9,))) == "S: only 1, 2, 3, 6"
    assert str(solve("INPUT[WxHx3] -> CONV(K=4, F=3, S=2)", unknown="H")) == "H: all H >= 2 with H mod 2 = 1"
    assert str(solve("INPUT[8x8xC] -> CONV(K=4, F=F, S=2)", unknown="F", want=(2, 2))) == "F: only 6"
    assert str(solve("INPUT[8x6xC] -> CONV(K=4, F=F, S=2)", unknown="F", want=(2, 3))) == "F: only 4"
    assert str(solve("INPUT[8x8x3] -> CONV3-4 -> FC-K", want=10)) == "K: only 10"
    assert 4 in solve("CONV(K=1, F=3, S=S)", 9, exact=False).found


@pytest.mark.parametrize(
    ("question", "asked", "message"),
    [
        (
            "CONV(K=1, F=3)",
            {"size": 9},
            r"^unknown=None is no letter of the network \(it has none\); name one, or write one in$",
        ),
        ("CONV(K=1, F=F, S=S)", {"size": 9}, r"^unknown=None is no letter of the network \(it has F, S\)"),
        (
            "CONV(K=1, F=F, S=S)",
            {"size": 9, "unknown": "P"},
            r"^unknown='P' is no letter of the network \(it has F, S\)",
        ),
        ("CONV(K=1, F=F)", {"size": 9, "want": (1, 2, 3)}, r"^want=\(1, 2, 3\) is for 3 axes, the output has 2$"),
    ],
)
def test_questions_that_are_none(question, asked, message):
    with pytest.raises(SpecError, match=message):
        solve(question, **asked)


@pytest.mark.parametrize(
    ("question", "asked", "message"),
    [
        ("CONV(K=1, F=F, S=S)", {"size": 9, "unknown": "F"}, "of F alone"),
        ("CONV(K=1, F=F, S=S)", {"size": 9, "unknown": "S"}, "of S alone"),
        (
            "CONV(K=1, F=3, S=S)",
            {"size": 5000},
            r"^S would have to be tried up to 5004; 2000 is the limit$",
        ),
        ("INPUT[WxWx3] -> CONV(K=1, F=3, S=7919) -> POOL(F=7907)", {}, "200000 is the limit"),
        ("CONV(K=4, F=3, G=G)", {"size": 9}, "of G alone"),
        ("INPUT[8x8x12] -> PIXELSHUFFLE(S=S)", {}, "of S alone"),
        ("INPUT[8x8x12] -> PIXELUNSHUFFLE(S=S)", {}, "of S alone"),
        ("INPUT[8x8x12] -> GN(G=G)", {}, "of G alone"),
        ("INPUT[8x8x12] -> SHUFFLE(G=G)", {}, "of G alone"),
        ("INPUT[9x9x4] -> CONV(K=4, F=1, S=S) -> CONV(K=4, F=1, P=S)", {}, "of S alone"),
    ],
)
def test_what_is_not_found_completely_is_said(question, asked, message):
    with pytest.raises(Undecided, match=message):
        solve(question, **asked)


def test_maxima_whose_padding_depends_on_the_letter():
    """Where dilated taps jump over a small image is not settled by any size of the kernel."""
    reason = r"^maxpool1: SAME padding of windows of 3\*F - 2 at stride 2 depends on the size 2$"
    with pytest.raises(Undecided, match=reason):
        solve(layers.MaxPool("F", 2, SAME_UPPER, 3), 2)


def test_unknown_operations():
    net = Network.chain([layers.Input(3, (8, 8)), layers.Conv(4, 3, "S"), layers.Unknown("Einsum")])
    with pytest.raises(Undecided, match="Einsum"):
        solve(net)


def test_what_fits_for_no_number_is_none():
    assert str(solve("CONV(K=1, F=11, S=S)", 9)) == "S: none"
    assert str(solve("{ CONV(K=4, F=3) | CONV(K=4, F=1) } ADD -> CONV(K=4, F=1, P=P)", 9)) == "P: none"


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "out"), [(32, 32), (32, 16), (28, 14), (7, 1), (227, 55)])
def test_designs_are_all_that_fit(size, out):
    bounds = (range(1, 12), range(1, 6), range(5), (1, 2, 3))
    expected = []
    for F, S, P, D in itertools.product(*bounds):
        walked = oracle.places(size, F, S, (P, P), D)
        if len(walked) == out and walked[-1][-1] == size + P - 1 and (F > 1 or D == 1):
            expected.append(Design(F, S, P, D))
    assert designs(size, out, *bounds) == tuple(sorted(expected))
    assert expected


def test_the_usual_designs_that_halve():
    assert Design(2, 2, 0, 1) in designs(224, 112)
    assert Design(3, 2, 1, 1) not in designs(224, 112)  # it halves, and leaves a remainder
    assert [d for d in designs(32, 32, D=(1, 2)) if d.F == 3] == [Design(3, 1, 1, 1), Design(3, 1, 2, 2)]
    assert designs(10, 4, (), ()) == ()


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({"F": range(1, 500), "P": range(500)}, "the bounds hold more than 100000 designs; narrow them"),
        ({"F": (0, 1)}, "the bounds hold F, S or D below 1"),
        ({"P": (-1,)}, "or P below 0"),
    ],
)
def test_bounds_that_are_refused(bounds, message):
    with pytest.raises(InputError, match=message):
        designs(32, 16, **bounds)


# --- remainders, sizes as formulas, depths ----------------------------------------------------------------------------


@pytest.mark.parametrize(("f", "s", "n"), [*itertools.product((2, 3, 5), (1, 2, 3), (7, 28))])
def test_a_size_that_is_wanted_may_leave_a_remainder(f, s, n):
    """Where nothing makes it without one, as counted window by window."""
    for want in (n // s, n // s + 1):
        makes = [p for p in range(40) if n + 2 * p >= f and (n + 2 * p - f) // s + 1 == want]
        exact = [p for p in makes if (n + 2 * p - f) % s == 0]
        answer = solve(f"CONV(K=1, F={f}, S={s}, P=P)", n, want=want)
        assert [p for p in range(40) if p in answer.found or p in answer.found.below] == (exact or makes)
        assert answer.remainders == (() if exact or not makes else ((n + 2 * makes[0] - f) % s,))


WANTED = [
    ("CONV(K=1, F=5, P=P)", "P", "W", lambda p, w: w + 2 * p - 4),
    ("CONV(K=1, F=5, S=2, P=P)", "P", "(W + 1) // 2", lambda p, w: (w + 2 * p - 5) // 2 + 1),
    ("CONV(K=1, F=5, S=2, P=P)", "P", "W // 2", lambda p, w: (w + 2 * p - 5) // 2 + 1),
    ("CONV(K=1, F=F, S=2, P=1)", "F", "W // 2", lambda f, w: (w + 2 - f) // 2 + 1),
    ("CONV(K=1, F=3, D=D, P=4)", "D", "W", lambda d, w: w + 8 - 2 * d),
    ("UPCONV(K=1, F=3, S=2, P=1, O=O)", "O", "2*W", lambda o, w: 2 * w - 1 + o if o < 2 else 0),
    ("CONV(K=1, F=F)", "F", "W - 3", lambda f, w: w - f + 1),
]


@pytest.mark.parametrize(("text", "letter", "want", "size"), WANTED)
def test_sizes_that_are_wanted_of_all_images(text, letter, want, size):
    answer = solve(text, unknown=letter, want=want)
    wanted = {
        "W": lambda w: w, "(W + 1) // 2": lambda w: (w + 1) // 2, "W // 2": lambda w: w // 2, "2*W": lambda w: 2 * w,
        "W - 3": lambda w: w - 3,
    }[want]  # fmt: skip
    made = {number: [(size(number, w), w) for w in range(1, 60) if size(number, w) > 0] for number in range(12)}
    right = [number for number, each in made.items() if each and all(out == wanted(w) for out, w in each)]
    first = 0 if letter in "PO" else 1
    assert [n for n in range(first, 12) if n in answer.found or n in answer.found.below] == [
        n for n in right if n >= first
    ]


@pytest.mark.parametrize(
    ("text", "size", "want"),
    [
        ("[POOL2]*M", 96, None),
        ("[POOL2]*M", 96, 3),
        ("[CONV3-4]*M -> POOL2", 9, None),
        ("[CONV(K=4, F=3)]*M -> POOL2", 9, 2),
        ("CONV(K=4, F=3) -> [CONV(K=4, F=3) -> POOL2]*M -> FC(5, IN=16)", 31, None),
        ("[CONV(K=4, F=5, P=1)]*M -> GLOBALAVGPOOL", 20, None),
        ("[CONV(K=4, F=3, P=1)]*M -> FC(5, IN=900)", 15, None),
    ],
)
def test_depths(text, size, want):
    """As each of them fits, written out."""
    for exact in (True, False):
        fits = []
        for depth in range(1, 15):
            try:
                found = infer(network(f"INPUT[{size}x{size}x3] -> {text.replace('*M', f'*{depth}')}"))
            except SpecError:
                continue
            demands = [each for node in found.demands.values() for each in node if exact or each.sign != "exact"]
            shape = found.shapes.get(found.network.output.name)
            if not found.refused and all(each.holds() for each in demands) and (want is None or shape[1] == want):
                fits.append(depth)
        answer = solve(text, size, want=want, exact=exact)
        assert [n for n in range(1, 15) if n in answer.found] == fits


def test_wants_that_are_no_sizes():
    for want in ("2**W", "W / 2", "__import__('os')", "f(W)", "W//0", "1" * 300, "W if W else 1", ""):
        with pytest.raises(SpecError, match="is no size"):
            solve("CONV(K=1, F=3, P=P)", want=want)
    with pytest.raises(SpecError, match="letters that no size of the image has: Q"):
        solve("CONV(K=1, F=3, P=P)", want="Q")
