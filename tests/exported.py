"""Modules as people write them, which tests export; they come in after torch is known to be installed."""

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

WIDTH = 8


class Stem(nn.Module):
    """A convolution with stride 2, and what `forward` does behind it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, 2, 1)

    def forward(self, x):
        return self.rest(self.stem(x))


class Attention(Stem):
    """Heads, as people write them."""

    def __init__(self):
        super().__init__()
        self.norm, self.qkv, self.proj = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def rest(self, x):
        b, c, h, w = x.shape
        x = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(self.norm(x)).reshape(b, h * w, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) * (c // 2) ** -0.5).softmax(-1)
        x = x + self.proj((weights @ v).transpose(1, 2).reshape(b, h * w, c))
        return x.transpose(1, 2).reshape(b, c, h, w)


class Fused(Attention):
    """The same by torch's own function."""

    def rest(self, x):
        b, c, h, w = x.shape
        x = x.flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).view(b, h * w, 3, 2, c // 2).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h * w, c).mean(1)


class Module(Stem):
    """The same by torch's own module, with positions first."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2)

    def rest(self, x):
        x = x.flatten(2).permute(2, 0, 1)
        return self.attention(x, x, x)[0].permute(1, 0, 2)


class Windows(Stem):
    """Windows of 4 by 4, shifted, of a plane that is padded to a multiple of them."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(WIDTH, WIDTH)

    def rest(self, x):
        x = x.permute(0, 2, 3, 1)
        b, h, w, c = x.shape
        x = F.pad(x, (0, 0, 0, (4 - w % 4) % 4, 0, (4 - h % 4) % 4))
        _, high, wide, _ = x.shape
        x = torch.roll(x, (-2, -2), (1, 2))
        x = x.view(b, high // 4, 4, wide // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        x = self.mix(x).view(b, high // 4, wide // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(b, high, wide, c)
        return x[:, :h, :w].permute(0, 3, 1, 2)


class Block(Stem):
    """A perceptron with the channels last, and a gain for each of them."""

    def __init__(self):
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.gain = nn.Parameter(torch.ones(WIDTH))

    def rest(self, x):
        y = self.down(F.gelu(self.up(self.norm(x.permute(0, 2, 3, 1))))) * self.gain
        return x + y.permute(0, 3, 1, 2)


class Same(Stem):
    """Padding as TensorFlow's, computed of the size."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(WIDTH, 4, 3, 2)

    def rest(self, x):
        h, w = x.shape[-2:]
        down, right = (max((-(-n // 2) - 1) * 2 + 3 - n, 0) for n in (h, w))
        return self.conv(F.pad(x, (right // 2, right - right // 2, down // 2, down - down // 2)))


class Skip(Stem):
    """A decoder whose planes are as large as its skips."""

    def __init__(self):
        super().__init__()
        self.down, self.out = nn.Conv2d(WIDTH, WIDTH, 3, 2, 1), nn.Conv2d(2 * WIDTH, 4, 1)

    def rest(self, x):
        deep = F.interpolate(self.down(x), size=x.shape[-2:], mode="nearest")
        return self.out(torch.cat([x, deep], 1))


class Heads(Stem):
    """Detections of two planes, one after the other."""

    def __init__(self):
        super().__init__()
        self.down, self.head = nn.Conv2d(WIDTH, WIDTH, 3, 2, 1), nn.Conv2d(WIDTH, 6, 1)

    def rest(self, x):
        found = [self.head(each).flatten(2) for each in (x, self.down(x))]
        boxes, scores = torch.cat(found, 2).split((4, 2), 1)
        return torch.cat([boxes[:, :2] - boxes[:, 2:], scores.sigmoid()], 1)


class Squeeze(Stem):
    """A gate for each channel, of their means."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, WIDTH)

    def rest(self, x):
        return x * self.gate(x.mean((2, 3))).sigmoid()[:, :, None, None]


class Blocks(Stem):
    """Blocks of pixels as channels, and back."""

    def rest(self, x):
        b, c, h, w = x.shape
        x = x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(b, 4 * c, h // 2, w // 2)
        return F.pixel_shuffle(x.relu(), 2)


class Tokens(Stem):
    """A token that is learned before those of the pixels, with positions for any number of them."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.places = nn.Parameter(torch.zeros(1, WIDTH, 4, 4))

    def rest(self, x):
        x = x + F.interpolate(self.places, size=x.shape[-2:], mode="bilinear")
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x.flatten(2).transpose(1, 2)], 1)
        return x[:, 0]


MODULES = [Attention, Fused, Module, Windows, Block, Same, Skip, Heads, Squeeze, Blocks, Tokens]
SIZES = [(16, 16), (16, 24), (17, 9), (8, 30), (5, 7), (1, 1), (32, 12)]
