"""Networks with a name, against the figures that others published about them."""

from decimal import ROUND_HALF_UP, Decimal
from functools import cache

import pytest

from convproof.architecture import Concat, Conv, Flatten, GlobalPool, Linear
from convproof.architecture.notation import network
from convproof.architecture.printing import to_notation
from convproof.architecture.zoo import CLASSICS, ENTRIES
from convproof.symbolic import analyze

# (parameters, multiply-adds in units of the last digit shown, receptive field, jump, least input), typed from the
# sources: torchvision's num_params, _ops and min_size; the papers' tables; for the fields Araujo et al. (Distill, 2019)
# and, of torchvision's ResNets, S. Wang.
PUBLISHED = {
    "lenet5": (61_706, None, None, None, None),
    "lenet5_1998": (60_000, None, None, None, None),
    "alexnet": (60_965_224, "724M", 195, 32, None),
    "alexnet_ungrouped": (62_378_344, None, 195, 32, None),
    "alexnet_torchvision": (61_100_840, "714M", 195, 32, 63),
    "zfnet": (62_357_608, None, None, None, None),
    "googlenet": (6_998_552, None, None, None, None),
    "googlenet_auxiliary": (13_378_280, None, None, None, None),
    "vgg11": (132_863_336, "7.609G", 150, 32, 32),
    "vgg13": (133_047_848, "11.308G", None, None, 32),
    "vgg16": (138_357_544, "15.470G", 212, 32, 32),
    "vgg19": (143_667_240, "19.632G", None, None, 32),
    "resnet18": (11_689_512, "1.814G", 435, None, 1),
    "resnet34": (21_797_672, "3.664G", 899, None, 1),
    "resnet50": (25_557_032, "3.858G", 483, 32, None),
    "resnet101": (44_549_160, "7.6G", 1027, 32, None),
    "resnet152": (60_192_808, "11.3G", 1507, 32, None),
    "resnet50_v1_5": (25_557_032, "4.089G", 427, None, 1),
    "resnet101_v1_5": (44_549_160, "7.801G", 971, None, 1),
    "resnet152_v1_5": (60_192_808, "11.514G", None, None, 1),
    "squeezenet": (1_248_424, "0.819G", None, None, 21),
    "squeezenet1_1": (1_235_496, "0.349G", None, None, 17),
    "densenet121": (7_978_856, "2.834G", None, None, 29),
    "mobilenet_v2": (3_504_872, "0.301G", None, None, 1),
    "unet": (31_030_593 + 65, None, None, None, 16),  # implementations with one output channel count 31,030,593
    "unet_2015": (31_030_593 + 65, None, None, None, 188),
    "allcnn": (1_369_738, None, None, None, None),
}
UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}


@cache
def analyzed(name):
    return analyze(network(CLASSICS[name]))


@cache
def features(name):
    """The row of the last layer before the classifier."""
    net = network(CLASSICS[name])
    heads = (i for i, node in enumerate(net) if isinstance(node.layer, (GlobalPool, Flatten, Linear)))
    return analyzed(name).rows[next(heads, len(net)) - 1]


def computed(name, quantity):
    found, last = analyzed(name), features(name)
    return {
        "params": lambda: found.totals.params,
        "macs": lambda: found.totals.macs,
        "field": lambda: only(last.receptive_field),
        "jump": lambda: only(last.jump),
        "least": lambda: only([next(iter(sizes)) for sizes in found.valid_sizes.values()]),
        "output": lambda: "x".join(map(str, (*found.rows[-1].output[:0:-1], found.rows[-1].output[0]))),
    }[quantity]()


def only(values):
    (value,) = set(values)
    return value


def agrees(value, published):
    """Whether a number is the published one, or rounds to its digits where that has a unit."""
    if not str(published).endswith(tuple(UNITS)):
        return str(value) == str(published)
    shown = Decimal(published[:-1])
    return (Decimal(value) / UNITS[published[-1]]).quantize(shown, rounding=ROUND_HALF_UP) == shown


def test_figures_are_compared_digit_by_digit():
    assert agrees(15_470_264_320, "15.470G")
    assert agrees(7_000, "7000")
    assert not agrees(7_001, "7000")
    assert not agrees(15_470_600_000, "15.470G")
    assert not agrees(15_470_264_320, "15.47M")


def test_every_classic_is_in_the_table():
    assert list(PUBLISHED) == list(CLASSICS) == list(ENTRIES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_figures_are_met(name):
    for quantity, published in zip(("params", "macs", "field", "jump", "least"), PUBLISHED[name], strict=True):
        if published is not None:
            assert agrees(computed(name, quantity), published), quantity


@pytest.mark.parametrize("name", ENTRIES)
def test_the_figures_of_an_entry_are_met_and_have_a_source(name):
    entry = ENTRIES[name]
    assert entry.name == name
    assert entry.notation == CLASSICS[name]
    assert entry.source
    for figure in entry.published:
        assert agrees(computed(name, figure.quantity), figure.value), figure
        assert figure.source


def test_the_papers_cuts():
    """What the papers print is what is computed, cut off or about."""
    assert 3_800_000_000 <= analyzed("resnet50").totals.macs < 3_900_000_000
    assert 1_300_000 <= analyzed("allcnn").totals.params < 1_400_000
    assert round(analyzed("mobilenet_v2").totals.macs, -8) == 300_000_000


def test_the_layers_of_lenet5():
    """Parameters as the paper's section II.B gives them; connections, of which a bias is one, and dense's C3."""
    net, rows = network(CLASSICS["lenet5_1998"]), analyzed("lenet5_1998").rows
    found = {row.name: row.params for row in rows}
    c3 = [row for node, row in zip(net, rows, strict=True) if isinstance(node.layer, Conv) and row.output[0] == 1]
    layers = [found["conv1"], found["affine1"], sum(row.params for row in c3), found["affine2"]]
    assert layers == [156, 12, 1_516, 32]
    assert [rows[-4].params, found["linear1"]] == [48_120, 10_164]
    assert sum(row.macs for row in c3) + 16 * 10 * 10 == 151_600
    assert analyzed("lenet5").rows[4].params == 2_416


def shapes(name, *kinds):
    net = network(CLASSICS[name])
    return [
        f"{row.output[2]}x{row.output[1]}x{row.output[0]}"
        for node, row in zip(net, analyzed(name).rows, strict=True)
        if isinstance(node.layer, kinds) and len(row.output) == 3
    ]


def test_the_shapes_in_the_papers():
    assert shapes("alexnet", Conv) == ["55x55x96", "27x27x256", "13x13x384", "13x13x384", "13x13x256"]
    assert shapes("zfnet", Conv) == ["110x110x96", "26x26x256", "13x13x384", "13x13x384", "13x13x256"]
    assert shapes("googlenet", Concat) == [
        "28x28x256", "28x28x480", "14x14x512", "14x14x512", "14x14x512", "14x14x528", "14x14x832", "7x7x832", "7x7x1024",
    ]  # fmt: skip
    assert shapes("unet_2015", Conv)[:10] == [
        "570x570x64", "568x568x64", "282x282x128", "280x280x128", "138x138x256", "136x136x256", "66x66x512", "64x64x512",
        "30x30x1024", "28x28x1024",
    ]  # fmt: skip
    assert shapes("unet_2015", Concat) == ["56x56x1024", "104x104x512", "200x200x256", "392x392x128"]
    assert analyzed("googlenet_auxiliary").rows[-1].output == (3_000,)


def unet_takes(size, padded):
    """By hand: four times two convolutions and a halving, twice two convolutions, and up again onto what was passed."""
    passed, lost = [], 0 if padded else 4
    for _ in range(4):
        size -= lost
        passed.append(size)
        size //= 2
        if size < 1:
            return False
    size -= lost
    for skip, crop in zip(reversed(passed), (4, 16, 40, 88), strict=True):
        if size < 1 or 2 * size != skip - (0 if padded else 2 * crop):
            return False
        size = 2 * size - lost
    return size >= 1


@pytest.mark.parametrize(("name", "padded", "words"), [
    ("unet", True, "all n >= 1 with n mod 16 = 0"),
    ("unet_2015", False, "all n >= 173 with n mod 16 = 12"),
])  # fmt: skip
def test_unet_takes_every_sixteenth_size(name, padded, words):
    for sizes in analyzed(name).valid_sizes.values():
        assert str(sizes) == words
        assert {n for n in range(1, 700) if n in sizes} == {n for n in range(1, 700) if unet_takes(n, padded)}


@pytest.mark.parametrize("name", CLASSICS)
def test_classics_are_written_and_read_again(name):
    net = network(CLASSICS[name])
    assert network(to_notation(net)) == net
