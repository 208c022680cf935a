"""Every kind of layer, as the tests need it: an instance that runs, how it is drawn, and what it says where it is refused.

A kind that is missing in one of the tables turns a test red.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convproof.architecture import SAME_LOWER, SAME_UPPER, Layer, layers
from convproof.errors import SpecError

LARGEST = 11
"""The largest size of an axis that is drawn."""

NOT_RUN = (layers.Unknown, layers.Shaped)
"""The kinds of which no more is known than what they make, or not even that."""

# One layer of every kind, with the shapes of operands that it takes.
IMAGE = (4, 8, 8)
LAYERS = {
    layers.Input: (layers.Input(4, (8, 8)), ()),
    layers.Conv: (layers.Conv(6, 3, groups=2), (IMAGE,)),
    layers.ConvTranspose: (layers.ConvTranspose(6, 3, stride=2, groups=2), (IMAGE,)),
    layers.Pad: (layers.Pad(((1, 2), (0, -1))), (IMAGE,)),
    layers.Upsample: (layers.Upsample(2), (IMAGE,)),
    layers.PixelShuffle: (layers.PixelShuffle(2), (IMAGE,)),
    layers.PixelUnshuffle: (layers.PixelUnshuffle(2), (IMAGE,)),
    layers.MaxPool: (layers.MaxPool(2), (IMAGE,)),
    layers.AvgPool: (layers.AvgPool(2), (IMAGE,)),
    layers.LpPool: (layers.LpPool(2, 2), (IMAGE,)),
    layers.AdaptivePool: (layers.AdaptivePool((3, 5)), (IMAGE,)),
    layers.GlobalPool: (layers.GlobalPool(), (IMAGE,)),
    layers.Linear: (layers.Linear(10), (IMAGE,)),
    layers.ReLU: (layers.ReLU(), (IMAGE,)),
    layers.Activation: (layers.Activation("sigmoid"), (IMAGE,)),
    layers.Flatten: (layers.Flatten(), (IMAGE,)),
    layers.Reshape: (layers.Reshape((256,)), (IMAGE,)),
    layers.Dropout: (layers.Dropout(), (IMAGE,)),
    layers.Softmax: (layers.Softmax(), (IMAGE,)),
    layers.BatchNorm: (layers.BatchNorm(), (IMAGE,)),
    layers.GroupNorm: (layers.GroupNorm(2), (IMAGE,)),
    layers.InstanceNorm: (layers.InstanceNorm(), (IMAGE,)),
    layers.Affine: (layers.Affine(), (IMAGE,)),
    layers.ChannelShuffle: (layers.ChannelShuffle(2), (IMAGE,)),
    layers.LocalResponseNorm: (layers.LocalResponseNorm(), (IMAGE,)),
    layers.Slice: (layers.Slice(1, 3), (IMAGE,)),
    layers.Condition: (layers.Condition(8, "above", 7), (IMAGE,)),
    layers.Add: (layers.Add(), (IMAGE, IMAGE)),
    layers.Multiply: (layers.Multiply(), (IMAGE, IMAGE)),
    layers.Scale: (layers.Scale(), (IMAGE, (4, 1, 1))),
    layers.Resize: (layers.Resize(), (IMAGE, (2, 5, 12))),
    layers.PadTo: (layers.PadTo(), (IMAGE, (2, 5, 12))),
    layers.Concat: (layers.Concat(), (IMAGE, IMAGE)),
}

# (layer, shapes of its operands, the error): every demand of `symbolic/constraints.py`, word for word.
REFUSED = [
    (layers.Shaped("sum", (3, 0)), [(6, 9, 9)], "Shaped: sum leaves 0 positions along an axis"),
    (layers.Condition(9, "above", 9), [(6, 9, 9)], "Condition: 9 must be more than 9, where the forward goes on"),
    (layers.Condition(9, "at_least", 10), [(6, 9, 9)], "Condition: 9 must be at least 10, where the forward goes on"),
    (layers.Condition(9, "equal", 8), [(6, 9, 8)], "Condition: 9 must be equal to 8, where the forward goes on"),
    (layers.Condition(0, "unequal", 0), [(6, 9, 8)], "Condition: 0 must be other than 0, where the forward goes on"),
    (layers.Conv(8, 3, groups=4), [(6, 9, 9)], "Conv: groups=4 does not divide the 6 input channels"),
    (layers.Conv(8, 3), [(6,)], "Conv: needs an input with spatial axes, got shape (6,)"),
    (
        layers.Add(),
        [(6, 9, 9), (6, 9, 8)],
        r"Add: branches have shapes (6, 9, 9) and (6, 9, 8), which differ on axis 2",
    ),
    (layers.Concat(), [(6, 9, 9), (6, 9)], r"Concat: branches of shapes (6, 9, 9) and (6, 9) have different ranks"),
    (
        layers.ConvTranspose(8, 3, stride=2, output_padding=2),
        [(6, 9)],
        "ConvTranspose, spatial axis 0: output_padding=2 must be less than 2, the larger of stride and dilation",
    ),
    (
        layers.ConvTranspose(8, 1, padding=5),
        [(6, 9)],
        "ConvTranspose, spatial axis 0: the output size would be -1; use less padding or a larger input",
    ),
    (layers.Linear(3, in_features=10), [(3, 2, 2)], "Linear: in_features=10, but 12 values come in (3*2*2)"),
    (layers.Conv(3, 3, in_channels=4), [(3, 8, 8)], "Conv: in_channels=4, but 3 come in"),
    (layers.BatchNorm(num_features=4), [(3, 8, 8)], "BatchNorm: num_features=4, but 3 come in"),
    (
        layers.GroupNorm(3),
        [(3, 1, 1)],
        "GroupNorm: normalizes single values, 3 in 3 sets; give it a larger input",
    ),
    (layers.Reshape((3, 5)), [(2, 3, 3)], "Reshape: a shape of 15 values is asked of 18 (2*3*3)"),
    (layers.Pad(((-3, 1),)), [(3, 2)], "Pad, spatial axis 0: 3 positions are cropped, of 2"),
    (layers.Pad(((3, 0),), "reflect"), [(3, 3)], "Pad, spatial axis 0: reflect needs 4 positions, not 3"),
    (layers.PixelShuffle(2), [(3, 3, 3)], "PixelShuffle: blocks of 4 do not divide the 3 channels"),
    (
        layers.PixelUnshuffle(2),
        [(3, 3, 4)],
        "PixelUnshuffle, spatial axis 0: blocks of 2 do not fill 3 positions; give it 2 or 4",
    ),
    (layers.Slice(0, 4), [(3, 3, 4)], "Slice: channels 0 to 4 are asked of 3; stop at 3"),
    (
        layers.Add(True),
        [(3, 4, 4), (3, 2, 4)],
        "Add: branches have shapes (3, 4, 4) and (3, 2, 4), which differ on axis 1",
    ),
    (
        layers.Conv(8, 5, padding=1),
        [(3, 9, 2)],
        "Conv, spatial axis 1: a window spans 5 positions but the padded input has only 4 (size 2, padding 1+1); give it 3 or "
        "more, or pad by 1 more",
    ),
    (
        layers.MaxPool(2, padding=2),
        [(3, 5)],
        "MaxPool, spatial axis 0: at size 5 a window lies wholly in padding; pad or dilate less",
    ),
    (
        layers.MaxPool(2, 1, padding=1, dilation=2),
        [(3, 1)],
        "MaxPool, spatial axis 0: at size 1 a window lies wholly in padding; pad or dilate less",
    ),
    (layers.Reshape((2, 3), batch=True), [(2, 5)], "Reshape: rows of 6 values each are asked of 10 (2*5)"),
    (layers.Resize(), [(3, 4, 4), (3, 4)], "Resize: branches of shapes (3, 4, 4) and (3, 4) have different ranks"),
]


# --- how kinds are drawn -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """How a kind is drawn: its fields on so many axes, and the shapes of its operands where the first has size n on the
    axis that varies. `unrun` says why the numeric wing has no such operation; it is empty where it has.
    """

    layer: Callable[[random.Random, int], Layer]
    inputs: Callable[[random.Random, Layer, int, int], list[tuple[int, ...]]]
    unrun: Callable[[Any], str] = lambda layer: ""


# --- fields -----------------------------------------------------------------------------------------------------------


def per_axis(rng, rank, low, high):
    """One number, or one an axis."""
    return rng.randint(low, high) if rng.random() < 0.5 else tuple(rng.randint(low, high) for _ in range(rank))


def padding(rng, rank, low, high, same=True):
    """One number, one an axis, a pair an axis, or SAME."""
    if same and rng.random() < 0.2:
        return rng.choice([SAME_UPPER, SAME_LOWER])
    if rng.random() < 0.5:
        return tuple((rng.randint(low, high), rng.randint(low, high)) for _ in range(rank))
    return per_axis(rng, rank, low, high)


def given(rng, unit=1):
    """How many inputs the weights are for, or nothing."""
    return rng.choice([None, unit * rng.randint(1, 3)])


def flag(rng):
    return rng.random() < 0.5


def conv(rng, rank):
    groups = rng.choice([1, 1, 2, 3])
    window = per_axis(rng, rank, 1, 4), per_axis(rng, rank, 1, 4), padding(rng, rank, 0, 3), per_axis(rng, rank, 1, 4)
    return layers.Conv(groups * rng.randint(1, 2), *window, groups, flag(rng), given(rng, groups))


def conv_transpose(rng, rank):
    groups = rng.choice([1, 1, 2, 3])
    return layers.ConvTranspose(
        groups * rng.randint(1, 2),
        per_axis(rng, rank, 1, 4),
        per_axis(rng, rank, 1, 3),
        padding(rng, rank, 0, 3, same=False),
        per_axis(rng, rank, 0, 2) if flag(rng) else 0,
        groups,
        flag(rng),
        per_axis(rng, rank, 1, 3),
        given(rng, groups),
    )


def max_pool(rng, rank):
    stride = rng.choice([None, per_axis(rng, rank, 1, 4)])
    most = rng.choice([1, 5])
    return layers.MaxPool(
        per_axis(rng, rank, 1, 3),
        stride,
        padding(rng, rank, 0, most),
        per_axis(rng, rank, 1, 6),
        flag(rng),
        rng.random() < 0.3,
    )


def avg_pool(rng, rank):
    stride = rng.choice([None, per_axis(rng, rank, 1, 4)])
    most = rng.choice([1, 4])
    return layers.AvgPool(per_axis(rng, rank, 1, 4), stride, padding(rng, rank, 0, most), flag(rng), flag(rng))


def lp_pool(rng, rank):
    stride = rng.choice([None, per_axis(rng, rank, 1, 4)])
    return layers.LpPool(rng.choice([1, 2, 2.5]), per_axis(rng, rank, 1, 4), stride, flag(rng))


def pad(rng, rank):
    return layers.Pad(padding(rng, rank, *rng.choice([(-3, 4), (0, 3)]), same=False), rng.choice(["zeros", "reflect", "replicate", "circular"]), flag(rng))  # fmt: skip


def channel_slice(rng, rank):
    start = rng.randint(0, 3)
    return layers.Slice(start, start + rng.randint(1, 3))


INTERPOLATION = ("nearest", "bilinear", "other")
ACTIVATIONS = layers._ACTIVATIONS


# --- operands ---------------------------------------------------------------------------------------------------------


def sized(rng, n, rank):
    """Spatial sizes, of which one is n; none for rank 0, a vector."""
    sizes = [rng.randint(1, LARGEST) for _ in range(rank)]
    if sizes:
        sizes[rng.randrange(rank)] = n
    return tuple(sizes)


def image(rng, layer, n, rank):
    """One operand, with as many channels as the weights are for more often than others."""
    wanted = [getattr(layer, name, None) for name in ("in_channels", "num_features", "num_channels")]
    wanted = [each for each in wanted if each is not None]
    channels = wanted[0] if wanted and rng.random() < 0.7 else rng.randint(1, 7)
    return [(channels if rank else n, *sized(rng, n, rank))]


def values(rng, layer, n, rank):
    """One operand with as many values as are wanted more often than another, where there is a number of channels."""
    (shape,) = image(rng, layer, n, rank)
    wanted = getattr(layer, "in_features", None) or int(np.prod(getattr(layer, "shape", (0,))))
    one = (1, *shape[1:])
    if wanted % int(np.prod(one)) == 0 and wanted and flag(rng):
        return [(wanted // int(np.prod(one)), *shape[1:])]
    return [shape]


def branches(rng, layer, n, rank):
    """Two to four operands, most of them alike; some axes have size 1, or another, or are one more or less."""
    (first,) = image(rng, layer, n, rank)
    similar = rng.choice([0.05, 0.3])

    def varied(shape):
        shape = tuple(rng.choice([1, m + 1, max(1, m - 1)]) if rng.random() < similar else m for m in shape)
        return (*shape, 1) if rng.random() < 0.03 else shape

    return [varied(first), *(varied(first) for _ in range(rng.randint(1, 3)))]


def gated(rng, layer, n, rank):
    """An image, and factors: one a channel, or not."""
    (first,) = image(rng, layer, n, rank)
    channels = first[0] + rng.choice([0, 0, 0, 1])
    ones = (1,) * rng.choice([0, rank, rank, 1])
    return [first, rng.choice([(channels, *ones), (channels, *ones), (channels, *ones), (1, *ones), first])]


def two_sizes(rng, layer, n, rank):
    """An image and another one whose size it gets."""
    (first,) = image(rng, layer, n, rank)
    other = rank if rng.random() < 0.9 else rng.randint(0, 3)
    return [first, (rng.randint(1, 4), *sized(rng, rng.randint(1, LARGEST), other))]


def condition(rng, rank):
    sign = rng.choice(["above", "at_least", "equal", "unequal"])
    return layers.Condition(rng.randint(0, 3), sign, rng.randint(0, 3))


def unlike(rng, layer, n, rank):
    return []


def unmade(layer):
    return "" if layer.mode == "nearest" else "the numeric wing repeats positions alone; interpolations are torch's"


def unnamed(layer):
    return "" if layer.name in ("sigmoid", "tanh") else "the numeric wing has the activations of the notes alone"


DRAWN = {
    layers.Input: Drawn(lambda rng, rank: layers.Input(rng.randint(1, 4), (7,) * rank), unlike),
    layers.Conv: Drawn(conv, image),
    layers.ConvTranspose: Drawn(conv_transpose, image),
    layers.MaxPool: Drawn(max_pool, image),
    layers.AvgPool: Drawn(avg_pool, image),
    layers.LpPool: Drawn(lp_pool, image),
    layers.Pad: Drawn(pad, image),
    layers.Upsample: Drawn(
        lambda rng, rank: layers.Upsample(per_axis(rng, rank, 1, 3), rng.choice(INTERPOLATION)), image, unmade
    ),
    layers.PixelShuffle: Drawn(lambda rng, rank: layers.PixelShuffle(rng.randint(1, 2)), image),
    layers.PixelUnshuffle: Drawn(lambda rng, rank: layers.PixelUnshuffle(rng.randint(1, 4)), image),
    layers.AdaptivePool: Drawn(
        lambda rng, rank: layers.AdaptivePool(per_axis(rng, rank, 1, 6), rng.choice(["avg", "max"])), image
    ),
    layers.GlobalPool: Drawn(lambda rng, rank: layers.GlobalPool(rng.choice(["avg", "max"])), image),
    layers.Linear: Drawn(
        lambda rng, rank: layers.Linear(rng.randint(1, 4), flag(rng), rng.choice([None, rng.randint(1, 60)])), values
    ),
    layers.Flatten: Drawn(lambda rng, rank: layers.Flatten(), image),
    layers.Reshape: Drawn(
        lambda rng, rank: layers.Reshape(tuple(rng.randint(1, 6) for _ in range(rng.randint(1, 3))), flag(rng)), values
    ),
    layers.ReLU: Drawn(lambda rng, rank: layers.ReLU(), image),
    layers.Activation: Drawn(lambda rng, rank: layers.Activation(rng.choice(ACTIVATIONS)), image, unnamed),
    layers.Dropout: Drawn(lambda rng, rank: layers.Dropout(rng.random()), image),
    layers.Softmax: Drawn(lambda rng, rank: layers.Softmax(), image),
    layers.BatchNorm: Drawn(lambda rng, rank: layers.BatchNorm(rng.random() + 0.01, given(rng)), image),
    layers.Affine: Drawn(
        lambda rng, rank: layers.Affine(*rng.choice([(True, True), (True, False), (False, True)]), given(rng)), image
    ),
    layers.ChannelShuffle: Drawn(lambda rng, rank: layers.ChannelShuffle(rng.randint(1, 4)), image),
    layers.Slice: Drawn(channel_slice, image),
    layers.Condition: Drawn(condition, image),
    layers.LocalResponseNorm: Drawn(
        lambda rng, rank: layers.LocalResponseNorm(rng.randint(1, 9), rng.random(), rng.random(), 1 + rng.random()),
        image,
    ),
    layers.GroupNorm: Drawn(
        lambda rng, rank: layers.GroupNorm(
            rng.randint(1, 4), rng.random() + 0.01, flag(rng), given(rng, 2), rng.random() < 0.3
        ),
        image,
    ),
    layers.InstanceNorm: Drawn(
        lambda rng, rank: layers.InstanceNorm(rng.random() + 0.01, flag(rng), given(rng), rng.random() < 0.3),
        image,
    ),
    layers.Add: Drawn(lambda rng, rank: layers.Add(flag(rng)), branches),
    layers.Multiply: Drawn(lambda rng, rank: layers.Multiply(flag(rng)), branches),
    layers.Scale: Drawn(lambda rng, rank: layers.Scale(), gated),
    layers.Resize: Drawn(lambda rng, rank: layers.Resize(rng.choice(INTERPOLATION)), two_sizes, unmade),
    layers.PadTo: Drawn(lambda rng, rank: layers.PadTo(), two_sizes),
    layers.Concat: Drawn(lambda rng, rank: layers.Concat(), branches),
    layers.Shaped: Drawn(
        lambda rng, rank: layers.Shaped("Sum", (rng.randint(1, 9),) * max(1, rank)),
        branches,
        lambda layer: "which positions it reads is not followed",
    ),
    layers.Unknown: Drawn(
        lambda rng, rank: layers.Unknown("Einsum"), branches, lambda layer: "nothing is known about the operation"
    ),
}


def layers_of(kind, rng, rank):
    """Layers of a kind, one after the other."""
    while True:
        try:
            yield DRAWN[kind].layer(rng, rank)
        except SpecError:
            continue
