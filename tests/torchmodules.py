"""Modules that the tests of the torch importer read; they come in after torch is known to be installed."""

import torch

nn, F = torch.nn, torch.nn.functional


def on(network, *sizes):
    """The network on an image of these sizes."""
    return network.with_input(type(network.image)(network.image.channels, sizes))


def kinds(network):
    """The layers but for the Input, with what tells them apart."""
    told = [node.layer for node in network][1:]
    return " ".join(
        type(each).__name__
        + "".join(f":{getattr(each, more)}" for more in ("op", "name", "kind") if hasattr(each, more))
        for each in told
    )


class Does(nn.Module):
    """A module whose forward is a function of itself and the image."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, each in parts.items():
            if isinstance(each, torch.Tensor) and not isinstance(each, nn.Parameter):
                self.register_buffer(name, each)
            else:
                setattr(self, name, each)

    def forward(self, x):
        return self.function(self, x)


# --- the networks, as torchvision has them -------------------------------------------------------------------------------


def conv_bn(inputs, outputs, size, stride=1, groups=1, act=None):
    layers = [nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([act] if act else []))


class Basic(nn.Module):
    widening = 1

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.conv2 = conv_bn(inputs, width, 3, stride), conv_bn(width, width, 3)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = conv_bn(inputs, width, 1, stride) if stride > 1 or inputs != width else None

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.conv2(self.relu(self.conv1(x)))
        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    widening = 4

    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.conv2 = conv_bn(inputs, width, 1), conv_bn(width, width, 3, stride)
        self.conv3 = conv_bn(width, 4 * width, 1)
        self.downsample = conv_bn(inputs, 4 * width, 1, stride) if stride > 1 or inputs != 4 * width else nn.Identity()

    def forward(self, x):
        return F.relu(self.conv3(F.relu(self.conv2(F.relu(self.conv1(x))))) + self.downsample(x))


class ResNet(nn.Module):
    def __init__(self, block, counts):
        super().__init__()
        self.stem, self.pool, channels = conv_bn(3, 64, 7, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1), 64
        for number, count in enumerate(counts, start=1):
            blocks = []
            for place in range(count):
                width = 64 * 2 ** (number - 1)
                blocks.append(block(channels, width, 2 if place == 0 < number - 1 else 1))
                channels = width * block.widening
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.stages, self.fc = len(counts), nn.Linear(channels, 1000)

    def forward(self, x):
        x = self.pool(self.stem(x))
        for number in range(1, self.stages + 1):
            x = getattr(self, f"layer{number}")(x)
        x = F.adaptive_avg_pool2d(x, (1, 1))
        return self.fc(x.view(x.size(0), -1))


class VGG(nn.Module):
    def __init__(self, *convs):
        super().__init__()
        layers, channels = [], 3
        for width, count in zip((64, 128, 256, 512, 512), convs, strict=True):
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features, self.avgpool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d((7, 7))
        head = [nn.Linear(512 * 7 * 7, 4096), nn.ReLU(True), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(True)]
        self.classifier = nn.Sequential(*head, nn.Dropout(), nn.Linear(4096, 1000))

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


class Inverted(nn.Module):
    def __init__(self, inputs, expansion, outputs, stride):
        super().__init__()
        hidden, self.skip = inputs * expansion, stride == 1 and inputs == outputs
        expand = [conv_bn(inputs, hidden, 1, act=nn.ReLU6())] if expansion > 1 else []
        depthwise = conv_bn(hidden, hidden, 3, stride, hidden, act=nn.ReLU6())
        self.conv = nn.Sequential(*expand, depthwise, conv_bn(hidden, outputs, 1))

    def forward(self, x):
        return x + self.conv(x) if self.skip else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self):
        super().__init__()
        rows = [
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ]
        layers, channels = [conv_bn(3, 32, 3, 2, act=nn.ReLU6())], 32
        for expansion, outputs, count, stride in rows:
            for place in range(count):
                layers.append(Inverted(channels, expansion, outputs, stride if place == 0 else 1))
                channels = outputs
        self.features = nn.Sequential(*layers, conv_bn(320, 1280, 1, act=nn.ReLU6()))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class Dense(nn.Module):
    def __init__(self, inputs, growth):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, maps):
        x = self.conv1(F.relu(self.norm1(torch.cat(maps, 1)), inplace=True))
        return self.conv2(F.relu(self.norm2(x), inplace=True))


class DenseNet(nn.Module):
    def __init__(self, counts=(6, 12, 24, 16), growth=32):
        super().__init__()
        self.stem, channels = conv_bn(3, 64, 7, 2, act=nn.ReLU()), 64
        self.blocks, self.transitions = nn.ModuleList(), nn.ModuleList()
        for number, count in enumerate(counts):
            self.blocks.append(nn.ModuleList(Dense(channels + i * growth, growth) for i in range(count)))
            channels += count * growth
            if number + 1 < len(counts):
                norm, conv = nn.BatchNorm2d(channels), nn.Conv2d(channels, channels // 2, 1, bias=False)
                self.transitions.append(nn.Sequential(norm, nn.ReLU(), conv, nn.AvgPool2d(2)))
                channels //= 2
        self.norm, self.classifier = nn.BatchNorm2d(channels), nn.Linear(channels, 1000)

    def forward(self, x):
        x = F.max_pool2d(self.stem(x), kernel_size=3, stride=2, padding=1)
        for number, block in enumerate(self.blocks):
            maps = [x]
            for layer in block:
                maps.append(layer(maps))
            x = torch.cat(maps, dim=1)
            if number < len(self.transitions):
                x = self.transitions[number](x)
        x = F.relu(self.norm(x))
        return self.classifier(F.avg_pool2d(x, kernel_size=x.size()[2:]).flatten(1))


class UNet(nn.Module):
    def __init__(self, upsample=False, widths=(64, 128, 256, 512, 1024)):
        super().__init__()
        two = lambda a, b: nn.Sequential(*[m for c in (a, b) for m in (nn.Conv2d(c, b, 3, padding=1), nn.ReLU(True))])  # noqa: E731
        self.down = nn.ModuleList(two(a, b) for a, b in zip((1, *widths), widths, strict=False))
        back = list(zip(widths[::-1], widths[-2::-1], strict=False))
        self.wide = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 1))
            if upsample
            else nn.ConvTranspose2d(a, b, 2, 2)
            for a, b in back
        )
        self.up = nn.ModuleList(two(a, b) for a, b in back)
        self.pool, self.out = nn.MaxPool2d(2), nn.Conv2d(widths[0], 2, 1)

    def forward(self, x):
        passed = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else self.pool(x))
            passed.append(x)
        for wide, block, skip in zip(self.wide, self.up, passed[-2::-1], strict=True):
            x = block(torch.cat([skip, wide(x)], dim=1))
        return self.out(x)


class Shuffle(nn.Module):
    """A unit of ShuffleNet with 3 groups, whose shuffle is written out."""

    def __init__(self, channels, stride):
        super().__init__()
        out = channels if stride == 1 else 240 - channels
        self.squeeze, self.depthwise = conv_bn(channels, 60, 1, groups=3), conv_bn(60, 60, 3, stride, 60)
        self.expand, self.stride = conv_bn(60, out, 1, groups=3), stride

    def forward(self, x):
        y = F.relu(self.squeeze(x))
        n, c, h, w = y.shape
        y = y.view(n, 3, c // 3, h, w).transpose(1, 2).contiguous().view(n, -1, h, w)
        y = self.expand(self.depthwise(y))
        return F.relu(x + y if self.stride == 1 else torch.cat([F.avg_pool2d(x, 3, 2, 1), y], 1))


def shufflenet():
    units = [Shuffle(24, 2), Shuffle(240, 1), nn.ChannelShuffle(3), Shuffle(240, 1)]
    return nn.Sequential(conv_bn(3, 24, 3, 2, act=nn.ReLU()), nn.MaxPool2d(3, 2, 1, ceil_mode=True), *units)
