"""Drawn networks of all kinds, and what running them says of a size. No size formula is used here."""

import random

import numpy as np

from convproof import autograd as ag
from convproof import execute
from convproof.architecture import SAME_LOWER, SAME_UPPER, Activation, BatchNorm, Input, Network, layers
from convproof.architecture.graph import Builder, Node
from convproof.errors import ShapeError
from kinds import DRAWN, image, layers_of

WINDOWS = (
    layers.Conv,
    layers.ConvTranspose,
    layers.MaxPool,
    layers.AvgPool,
    layers.LpPool,
    layers.Pad,
    layers.Upsample,
)
ENDS = (layers.GlobalPool, layers.Flatten)
OTHERS = [kind for kind, each in DRAWN.items() if each.inputs is image and kind not in (*WINDOWS, *ENDS)]


def zeros(shape):
    return np.broadcast_to(np.float32(0), shape)


def shapes_at(net, sizes):
    """The shapes of all activations of a batch of no images of these sizes; None where the run fails."""
    image = zeros((0, net.image.channels, *sizes))
    try:
        found = {name: t.shape for name, t in execute.run(net, ag.tensor(image), draw=zeros)[0].items()}
    except ShapeError:
        return None
    return None if any(0 in shape[1:] for shape in found.values()) else found


def without_statistics(net):
    """The same sizes: a batch of no images has no mean, and rarer functions do not run."""
    return net.mapped(lambda n: layers.ReLU() if isinstance(n.layer, (Activation, BatchNorm)) else n.layer)


def sizes_with(net, values):
    """The sizes of the image with numbers for its unknowns."""
    names = ("D", "H", "W")[-len(net.image.sizes) :]
    if all(isinstance(n, int) for n in net.image.sizes):
        return tuple(values[name] for name in names)
    return tuple(values.get(n, n) for n in net.image.sizes)


class Drawn:
    """A network that grows at random."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.rank = rng.choice([1, 2, 2, 2, 3])
        self.builder = Builder()
        self.channels = {}
        self.add(Input(rng.choice([1, 2, 2, 4]), self.image()))

    def image(self):
        """Numbers, one letter, letters apart, or a letter beside numbers."""
        kinds = ["numbers", "numbers", "one", "apart", "mixed"]
        how = self.rng.choice(kinds)
        if how == "numbers":
            return tuple(self.rng.randint(5, 40) for _ in range(self.rank))
        if how == "one":
            return ("W",) * self.rank
        letters = ["A", "B", "E"][: self.rank]
        if how == "mixed" and self.rank > 1:
            letters[self.rng.randrange(self.rank)] = self.rng.randint(5, 30)
        return tuple(letters)

    def add(self, layer, operands=None):
        name = self.builder.add(layer, operands)
        self.channels[name] = layer.channels if isinstance(layer, Input) else self.given(self.builder.nodes[-1])
        return name

    def given(self, node):
        """The channels that a layer gives one image; those it is given where that does not tell, as of values in a row."""
        shape = self.run(node.layer, node.operands)
        return self.channels[node.operands[0]] if shape is None else shape[1]

    def run(self, layer, operands):
        """The shape that a layer makes of images of 16 positions an axis; None where it is refused."""
        images = [ag.tensor(zeros((1, self.channels[name], *(16,) * self.rank))) for name in operands]
        try:
            return execute.execute(layer, execute.LayerParameters({}, zeros), *images).shape
        except ShapeError:
            return None

    @property
    def depth(self):
        return self.channels[self.builder.last]

    def axes(self, draw):
        return tuple(draw() for _ in range(self.rank)) if self.rng.random() < 0.3 else draw()

    def window(self):
        rng, depth = self.rng, self.depth
        k, s = self.axes(lambda: rng.randint(1, 4)), self.axes(lambda: rng.choice([1, 1, 2, 2, 3]))
        d = rng.choice([1, 1, 1, 2])
        least = min(k) if isinstance(k, tuple) else k
        pads = self.axes(lambda: rng.randint(0, least // 2))
        whole = all(
            a >= b for a in (k if isinstance(k, tuple) else (k,)) for b in (s if isinstance(s, tuple) else (s,))
        )
        kind = rng.randrange(13)
        given = rng.choice([None, depth])
        groups = rng.choice([1, 1, depth, 2])
        out = rng.choice([1, 2, 4])
        if kind < 4:
            groups = groups if out % groups == 0 and depth % groups == 0 else 1
            padding = rng.choice([pads, pads, SAME_UPPER, SAME_LOWER]) if whole else pads
            return layers.Conv(out, k, s, padding, d, groups, bias=False, in_channels=given)
        if kind < 6:
            return layers.MaxPool(k, s, pads, d, rng.random() < 0.4, rng.random() < 0.3)
        if kind < 8:
            return layers.AvgPool(k, s, pads, rng.random() < 0.4, rng.random() < 0.5)
        if kind < 9:
            return layers.LpPool(2, k, s, rng.random() < 0.4)
        if kind < 10:
            least = min(s) if isinstance(s, tuple) else s
            return layers.ConvTranspose(2, k, s, rng.randint(0, 1), rng.randrange(least), bias=False, in_channels=given)
        if kind < 11:
            pairs = tuple((rng.randint(-2, 2), rng.randint(-2, 2)) for _ in range(self.rank))
            return layers.Pad(pairs, rng.choice(["zeros", "zeros", "reflect", "replicate", "circular"]))
        if kind < 12:
            return layers.Upsample(self.axes(lambda: rng.randint(1, 2)))
        return self.other()

    def other(self):
        """A layer of a kind that has no window, drawn until one runs here."""
        while True:
            kind = self.rng.choice(OTHERS)
            layer = next(layers_of(kind, self.rng, self.rank))
            if not DRAWN[kind].unrun(layer) and self.run(layer, [self.builder.last]) is not None:
                return layer

    def grow(self, count):
        for _ in range(count):
            self.add(self.window())

    def branches(self):
        """Two branches that meet again, for some sizes at least."""
        rng, split, ends = self.rng, self.builder.last, []
        same = layers.Conv(2, rng.randint(1, 3), rng.choice([1, 2]), rng.randint(0, 1)) if rng.random() < 0.6 else None
        for _ in range(2):
            self.builder.last = split
            if same is None:
                self.grow(rng.randint(0, 2))
            else:
                self.add(same)
                if rng.random() < 0.5:
                    self.add(layers.Conv(2, 2, 1, (rng.choice([(0, 1), (1, 0), (0, 0)]),) * self.rank))
                    self.add(layers.Conv(2, 2, 1, (rng.choice([(0, 1), (1, 0), (0, 1)]),) * self.rank))
            ends.append(self.builder.last)
        broadcast = rng.random() < 0.5
        self.add(rng.choice([layers.Add(broadcast), layers.Multiply(broadcast), layers.Concat()]), ends)

    def fitted(self):
        """What is smaller or larger, at the size of what stands before it; or a gate."""
        rng, split = self.rng, self.builder.last
        if rng.random() < 0.4:
            pool = rng.choice([layers.GlobalPool(), layers.MaxPool(rng.randint(2, 9), ceil_mode=rng.random() < 0.5)])
            self.add(pool)
            self.add(layers.Scale(), [split, self.add(layers.Conv(self.channels[split], 1))])
            return
        self.add(self.window())
        self.add(rng.choice([layers.Resize(), layers.PadTo()]), [self.builder.last, split])

    def unread(self):
        """A branch that nothing reads in the end."""
        split = self.builder.last
        self.grow(self.rng.randint(1, 2))
        self.add(layers.Conv(2, self.rng.randint(1, 4)))
        self.builder.last = split

    def ending(self):
        """A vector, with the number of values that it has at some size, or nearly."""
        rng = self.rng
        values = {"W": rng.randint(6, 30), "A": rng.randint(6, 30), "B": rng.randint(6, 30), "E": rng.randint(6, 20)}
        values |= {"H": rng.randint(6, 30), "D": rng.randint(6, 20)}
        net = Network(self.builder.nodes, self.builder.last)
        found = shapes_at(without_statistics(net), sizes_with(net, values))
        count = int(np.prod(found[net.output.name][1:])) if found else rng.randint(1, 200)
        count += rng.choice([0, 0, 0, 1])
        how = rng.randrange(5)
        if how == 0:
            self.add(layers.Linear(3, in_features=count))
        elif how == 1:
            self.add(layers.Reshape((count,)))
        elif how == 2 and count % 4 == 0:
            self.add(
                layers.Reshape((count // 4, *(2, 2, 1)[: self.rank]))
                if self.rank > 1
                else layers.Reshape((count // 4, 4))
            )
            self.add(layers.Conv(2, 1))
        elif how == 3:
            self.add(layers.Flatten())
            self.add(layers.GroupNorm(rng.randint(1, 12)))
        else:
            self.add(layers.Flatten())
            self.add(layers.Linear(3))


def drawn(seed):
    """A network with windows of all kinds, merges, gates, layers that nothing reads, written numbers."""
    one = Drawn(seed)
    rng = one.rng
    one.grow(rng.randint(1, 3))
    for _ in range(rng.choice([0, 0, 1, 2])):
        one.branches()
        one.grow(rng.randint(0, 1))
    if rng.random() < 0.3:
        one.fitted()
    if rng.random() < 0.25:
        one.unread()
    if rng.random() < 0.35:
        one.ending()
    return Network([Node(n.name, n.layer, n.operands) for n in one.builder.nodes], one.builder.last)
