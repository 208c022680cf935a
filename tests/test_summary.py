"""What is said of a network in words, and in the formats of `convproof net`."""

import json

import pytest

from convproof.architecture import Conv, Input, Network, Node, ReLU, Unknown
from convproof.architecture.notation import network
from convproof.cli import cli
from convproof.summary import described
from convproof.symbolic import analyze

WORDS = {
    "INPUT[WxHx3] -> CONV(K=8, F=3) -> POOL2": [
        "accepts H, W >= 4; nothing is cut at even H, W",
        "the last feature (maxpool1) sees 4x4 pixels, step 2",
    ],
    "INPUT[WxHx3] -> CONV(K=8, F=3x5)": [
        "accepts H >= 5; nothing is ever cut",
        "accepts W >= 3; nothing is ever cut",
        "the last feature (conv1) sees 3x5 pixels, step 1",
    ],
    "INPUT[WxHx3] -> POOL(F=3, S=2)": [
        "accepts H, W >= 3; nothing is cut at odd H, W",
        "the last feature (maxpool1) sees 3x3 pixels, step 2",
    ],
    "INPUT[64x64x3] -> POOL2 -> CONV3-8 -> UPSAMPLE2 -> CONV(K=8, F=3, S=2, P=1)": [
        "accepts H, W >= 2; something is always cut",
        "the last feature (conv2) sees 8x8 pixels, step 2",
    ],
    "INPUT[WxHx3] -> CONV3-8": [
        "accepts every H, W; nothing is ever cut",
        "the last feature (conv1) sees 3x3 pixels, step 1",
    ],
    "INPUT[WxHx3] -> { POOL2 | ID } ADD": ["accepts no H, W"],
    "INPUT[WxHx3] -> { POOL2 | CONV(K=3, F=1, S=2) } ADD": [
        "accepts even H, W; something is always cut",
        "the last feature (add1) sees 2x2 pixels, step 2",
        "at H, W = 3 every window fits, but the branches of add1 differ",
        "the branches of add1 see the image shifted against each other",
    ],
    "INPUT[WxHx3] -> POOL(F=5, S=5) -> POOL(F=2, S=1)": [
        "accepts H, W >= 10; nothing is cut at H, W that are multiples of 5",
        "the last feature (maxpool2) sees 10x10 pixels, step 5",
    ],
    "INPUT[224x224x3] -> CONV(K=96, F=11, S=4) -> RELU -> FC-10": [
        "accepts H, W >= 11; nothing is cut at H, W that are multiples of 4 plus 3",
        "the last feature (relu1) sees 11x11 pixels, step 4",
        "conv1: along H, W, a remainder of 1 at size 224 (1 real and 0 padding positions unread); 3 more of padding would fit "
        "(P=0:3 makes 55)",
        "nearest without a remainder: H, W 223 or 227",
    ],
}


def test_a_gate_is_no_classifier():
    net = network(
        "INPUT[WxWx4] -> CONV3-4 -> { ID | GLOBALAVGPOOL -> CONV1-4 } SCALE -> CONV3-4 -> RELU -> GLOBALAVGPOOL -> FC-2"
    )
    assert (
        "the last feature (relu1) sees (W + 2)x(W + 2) pixels, the same at every place" in described("it", net).words()
    )


@pytest.mark.parametrize("text", WORDS)
def test_words(text):
    assert list(described("it", network(text)).words())[: len(WORDS[text])] == WORDS[text]


def unknown_in_one_branch():
    """A network of which one layer, and what follows from it, is not known."""
    return Network(
        [
            Node("input", Input(3, (8, 8))),
            Node("conv", Conv(4, 3), ("input",)),
            Node("einsum", Unknown("Einsum"), ("conv",)),
            Node("relu", ReLU(), ("einsum",)),
        ]
    )


def test_an_operation_of_which_nothing_is_known():
    each = described("it", unknown_in_one_branch(), prove=True)
    assert [row[2:] for row in each.table().rows[2:]] == [("?",) * 6, ("?",) * 6]
    assert each.table().rows[2][1] == "Einsum"
    assert each.found.totals.params == 4 * 27 + 4
    assert [line for line in each.words() if line.startswith("undecided")] == [
        "undecided: einsum: nothing is known about the operation Einsum"
    ]
    assert any(line.startswith("not proved: einsum") for line in each.words())
    assert each.to_json()["layers"][3]["output"] is None
    assert each.to_json()["valid_sizes"] == {"H": None, "W": None}
    assert each.to_json()["counted_layers"] == 2
    assert not each.fits()


def test_parameters_of_several_layers_count_once():
    net = network("INPUT[8x8x4] -> [CONV3-4]*3")
    shared = analyze(net, {"conv1": ("w", "b"), "conv2": ("w", "b"), "conv3": ("v", "b")})
    assert analyze(net).totals.params == 3 * (4 * 36 + 4)
    assert shared.totals.params == 2 * 4 * 36 + 4
    assert shared.totals.weights == 2 * 4 * 36


def run(*arguments):
    """The exit status and what is printed."""
    from click.testing import CliRunner

    done = CliRunner().invoke(cli, ["net", *arguments])
    return done.exit_code, done.stdout


def test_several_networks():
    status, text = run("vgg16", "INPUT[225x225x3] -> POOL2", "--format", "json")
    names = [(each["name"], each["totals"]["params"]) for each in json.loads(text)["networks"]]
    assert (status, names) == (0, [("vgg16", 138_357_544), ("INPUT[225x225x3] -> POOL2", 0)])
    status, text = run("INPUT[8x8x3] -> POOL2", "INPUT[9x9x3] -> CONV3-4", "--prove")
    assert status == 0
    assert text.count("proved and rechecked") == 2
    assert (
        text.index("INPUT[8x8x3] -> POOL2") < text.index("maxpool1") < text.index("INPUT[9x9x3]") < text.index("conv1")
    )


def test_markdown():
    status, text = run("INPUT[8x8x3] -> POOL2", "--format", "markdown")
    assert status == 0
    assert "## INPUT\\[8x8x3\\]" in text
    assert "| maxpool1 | MaxPool | 4x4x3 |" in text
