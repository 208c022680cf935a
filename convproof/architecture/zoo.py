"""Networks that have a name, in notation, with the figures that were published about them.

Where sources disagree about a network, each of its forms has a name of its own, and `notes` says what they disagree
about. The plain name is the form of the paper, with four exceptions: `lenet5` and `unet` are what is built under these
names today (the papers' own are `lenet5_1998` and `unet_2015`), and `resnet18` and `resnet34` have shortcuts with
convolutions, as torchvision's.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Figure:
    """What `source` says a quantity is; where the value has a unit (`"15.47G"`), it is rounded to the digits shown.

    The quantity is a total (`"params"`, `"macs"`), the receptive field or the jump of the last layer before the
    classifier (`"field"`, `"jump"`), the least size that the network accepts (`"least"`), or the output's (`"output"`,
    WxHxD).
    """

    quantity: str
    value: str
    source: str


@dataclass(frozen=True)
class Classic:
    """A network with a name: its notation, the paper that it comes from, and what is known about it."""

    name: str
    notation: str
    source: str
    published: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()


def _figures(source: str, **values: int | str) -> tuple[Figure, ...]:
    return tuple(Figure(quantity, str(value), source) for quantity, value in values.items())


_TORCHVISION = "torchvision.models (num_params, _ops in billions of multiply-adds, min_size)"
_DISTILL = (
    "A. Araujo, W. Norris and J. Sim, Computing receptive fields of convolutional neural networks (Distill, 2019)"
)
_PYTORCHCV = "pytorchcv, the table of its models"
_WANG = "S. Wang, ResNet receptive field size (a gist), of networks with the stride on the 3x3"


# --- parts ------------------------------------------------------------------------------------------------------------


def _chain(*parts: str) -> str:
    """The parts in sequence; equal ones in a row are a repetition."""
    runs = [(part, len(list(run))) for part, run in groupby(parts)]
    return " -> ".join(part if count == 1 else f"[{part}]*{count}" for part, count in runs)


def _conv(filters: int, size: int, stride: int = 1, groups: int = 1) -> str:
    """A convolution without bias, which keeps the size where the stride is 1, and what batch normalization adds."""
    others = {"S": (stride, 1), "P": (size // 2, 0), "G": (groups, 1)}
    more = "".join(f", {name}={value}" for name, (value, usual) in others.items() if value != usual)
    return f"CONV(K={filters}, F={size}{more}, B=0)"


def _conv_bn(filters: int, size: int, stride: int = 1, groups: int = 1) -> str:
    return f"{_conv(filters, size, stride, groups)} -> BN"


# --- the networks -----------------------------------------------------------------------------------------------------


def _lenet5() -> str:
    features = "CONV(K=6, F=5) -> TANH -> AVGPOOL2 -> CONV(K=16, F=5) -> TANH -> AVGPOOL2 -> CONV(K=120, F=5) -> TANH"
    return f"INPUT[32x32x1] -> {features} -> FC-84 -> TANH -> FC-10"


_C3 = ["012", "123", "234", "345", "450", "501", "0123", "1234", "2345", "3450", "4501", "5012", "0134", "1245", "0235",
       "012345"]  # fmt: skip
"""The maps of S2 that each map of C3 reads: table I of the paper."""


def _lenet5_1998() -> str:
    def some(maps: str) -> str:
        """The maps with these numbers."""
        starts = [place for place, each in enumerate(maps) if not place or int(each) != int(maps[place - 1]) + 1]
        runs = [maps[start:end] for start, end in zip(starts, [*starts[1:], len(maps)], strict=True)]
        slices = [f"SLICE(FROM={run[0]}, TO={int(run[-1]) + 1})" for run in runs]
        return slices[0] if len(slices) == 1 else f"{{ {' | '.join(slices)} }} CONCAT"

    pool = "AVGPOOL2 -> AFFINE -> TANH"
    c3 = " | ".join(f"{some(maps)} -> CONV(K=1, F=5)" for maps in _C3)
    features = f"CONV(K=6, F=5) -> TANH -> {pool} -> {{ {c3} }} CONCAT -> TANH -> {pool} -> CONV(K=120, F=5) -> TANH"
    return f"INPUT[32x32x1] -> {features} -> FC-84 -> TANH"


def _alexnet(groups: int) -> str:
    def conv(filters: int, size: int, groups: int) -> str:
        split = f", G={groups}" if groups > 1 else ""
        return f"CONV(K={filters}, F={size}, P={size // 2}{split}) -> RELU"

    first = "INPUT[227x227x3] -> CONV(K=96, F=11, S=4) -> RELU -> LRN -> POOL(F=3, S=2)"
    second = f"{conv(256, 5, groups)} -> LRN -> POOL(F=3, S=2)"
    rest = f"{conv(384, 3, 1)} -> {conv(384, 3, groups)} -> {conv(256, 3, groups)} -> POOL(F=3, S=2)"
    return f"{first} -> {second} -> {rest} -> [FC-4096 -> RELU -> DROPOUT]*2 -> FC-1000"


def _alexnet_torchvision() -> str:
    first = "INPUT[224x224x3] -> CONV(K=64, F=11, S=4, P=2) -> RELU -> POOL(F=3, S=2)"
    rest = "CONV5-192 -> RELU -> POOL(F=3, S=2) -> CONV3-384 -> RELU -> [CONV3-256 -> RELU]*2 -> POOL(F=3, S=2)"
    return f"{first} -> {rest} -> [DROPOUT -> FC-4096 -> RELU]*2 -> FC-1000"


def _zfnet() -> str:
    pool = "POOL(F=3, S=2, CEIL=1)"
    first = f"INPUT[224x224x3] -> CONV(K=96, F=7, S=2, P=1) -> RELU -> {pool} -> LRN"
    second = f"CONV(K=256, F=5, S=2) -> RELU -> {pool} -> LRN"
    rest = f"[CONV3-384 -> RELU]*2 -> CONV3-256 -> RELU -> {pool}"
    return f"{first} -> {second} -> {rest} -> [FC-4096 -> RELU -> DROPOUT]*2 -> FC-1000"


def _vgg(*convs: int) -> str:
    """`convs` says how many convolutions stand before each of the five pools."""
    stages = zip((64, 128, 256, 512, 512), convs, strict=True)
    features = " -> ".join(_chain(*[f"CONV3-{filters} -> RELU"] * count, "POOL2") for filters, count in stages)
    return f"INPUT[224x224x3] -> {features} -> [FC-4096 -> RELU]*2 -> FC-1000"


def _inception(one: int, reduce3: int, three: int, reduce5: int, five: int, pool: int) -> str:
    branches = [
        f"CONV1-{one} -> RELU",
        f"CONV1-{reduce3} -> RELU -> CONV3-{three} -> RELU",
        f"CONV1-{reduce5} -> RELU -> CONV5-{five} -> RELU",
        f"POOL(F=3, S=1, P=1) -> CONV1-{pool} -> RELU",
    ]
    return f"{{ {' | '.join(branches)} }} CONCAT"


def _googlenet(auxiliary: bool) -> str:
    """The three parts end where the auxiliary classifiers read."""
    pool = "POOL(F=3, S=2, CEIL=1)"
    stem = (
        f"CONV(K=64, F=7, S=2, P=3) -> RELU -> {pool} -> LRN -> CONV1-64 -> RELU -> CONV3-192 -> RELU -> LRN -> {pool}"
    )
    first = [_inception(64, 96, 128, 16, 32, 32), _inception(128, 128, 192, 32, 96, 64), pool,
             _inception(192, 96, 208, 16, 48, 64)]  # fmt: skip
    second = [_inception(160, 112, 224, 24, 64, 64), _inception(128, 128, 256, 24, 64, 64),
              _inception(112, 144, 288, 32, 64, 64)]  # fmt: skip
    third = [_inception(256, 160, 320, 32, 128, 128), pool, _inception(256, 160, 320, 32, 128, 128),
             _inception(384, 192, 384, 48, 128, 128), "GLOBALAVGPOOL", "DROPOUT(P=0.4)", "FC-1000"]  # fmt: skip
    parts = [_chain(stem, *first), _chain(*second), _chain(*third)]
    side = "AVGPOOL(F=5, S=3) -> CONV1-128 -> RELU -> FC-1024 -> RELU -> DROPOUT(P=0.7) -> FC-1000"
    if auxiliary:
        parts = [parts[0], f"{{ {side} | {parts[1]} -> {{ {side} | {parts[2]} }} CONCAT }} CONCAT"]
    return f"INPUT[224x224x3] -> {_chain(*parts)}"


def _resnet(blocks: tuple[int, ...], bottleneck: bool, v1_5: bool = False) -> str:
    """`blocks` says how many residual blocks each of the four stages has."""
    widening = 4 if bottleneck else 1

    def block(width: int, stride: int, skip: str) -> str:
        first, second = (1, stride) if v1_5 else (stride, 1)
        body = [_conv_bn(width, 1, first), "RELU", _conv_bn(width, 3, second), "RELU", _conv_bn(4 * width, 1)]
        if not bottleneck:
            body = [_conv_bn(width, 3, stride), "RELU", _conv_bn(width, 3)]
        return f"{{ {_chain(*body)} | {skip} }} ADD -> RELU"

    parts, channels = [f"INPUT[224x224x3] -> {_conv_bn(64, 7, 2)} -> RELU -> POOL(F=3, S=2, P=1)"], 64
    for stage, count in enumerate(blocks):
        width, stride = 64 * 2**stage, 2 if stage else 1
        fits = stride == 1 and channels == width * widening
        parts.append(block(width, stride, "ID" if fits else _conv_bn(width * widening, 1, stride)))
        parts += [block(width, 1, "ID")] * (count - 1)
        channels = width * widening
    return _chain(*parts, "GLOBALAVGPOOL -> FC-1000")


def _fire(squeeze: int, expand: int) -> str:
    return f"CONV1-{squeeze} -> RELU -> {{ CONV1-{expand} -> RELU | CONV3-{expand} -> RELU }} CONCAT"


def _squeezenet(first: str, pools_after: tuple[int, int]) -> str:
    """`first` is the first convolution; two of the pools stand behind the fire modules with these numbers."""
    pool = "POOL(F=3, S=2, CEIL=1)"
    widths = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]
    parts = [f"INPUT[224x224x3] -> {first} -> RELU -> {pool}"]
    for number, fire in enumerate(widths, start=2):
        parts += [_fire(*fire)] + [pool] * (number in pools_after)
    return _chain(*parts, "DROPOUT -> CONV1-1000 -> RELU -> GLOBALAVGPOOL")


def _densenet(blocks: tuple[int, ...], growth: int) -> str:
    layer = f"{{ ID | BN -> RELU -> {_conv(4 * growth, 1)} -> BN -> RELU -> {_conv(growth, 3)} }} CONCAT"
    parts, channels = [f"INPUT[224x224x3] -> {_conv_bn(64, 7, 2)} -> RELU -> POOL(F=3, S=2, P=1)"], 64
    for number, count in enumerate(blocks, start=1):
        channels += count * growth
        parts += [layer] * count
        if number < len(blocks):
            channels //= 2
            parts.append(f"BN -> RELU -> {_conv(channels, 1)} -> AVGPOOL2")
    return _chain(*parts, "BN -> RELU -> GLOBALAVGPOOL -> FC-1000")


def _mobilenet_v2() -> str:
    def block(inputs: int, expansion: int, outputs: int, stride: int) -> str:
        hidden = inputs * expansion
        expand = [f"{_conv_bn(hidden, 1)} -> RELU6"] if expansion > 1 else []
        body = _chain(*expand, f"{_conv_bn(hidden, 3, stride, hidden)} -> RELU6", _conv_bn(outputs, 1))
        return f"{{ {body} | ID }} ADD" if stride == 1 and inputs == outputs else body

    rows = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    parts, channels = [f"INPUT[224x224x3] -> {_conv_bn(32, 3, 2)} -> RELU6"], 32
    for expansion, outputs, count, stride in rows:
        parts.append(block(channels, expansion, outputs, stride))
        parts += [block(outputs, expansion, outputs, 1)] * (count - 1)
        channels = outputs
    return _chain(*parts, f"{_conv_bn(1280, 1)} -> RELU6 -> GLOBALAVGPOOL -> DROPOUT(P=0.2) -> FC-1000")


def _unet(padded: bool) -> str:
    """Four levels; without padding, what is passed over is cropped to the size of what comes back up."""

    def two(filters: int) -> str:
        return f"[{f'CONV3-{filters}' if padded else f'CONV(K={filters}, F=3)'} -> RELU]*2"

    inside = two(1024)
    for filters, crop in ((512, 4), (256, 16), (128, 40), (64, 88)):
        over = "ID" if padded else f"PAD(P=-{crop})"
        up = f"UPCONV(K={filters}, F=2, S=2)"
        inside = f"{two(filters)} -> {{ {over} | POOL2 -> {inside} -> {up} }} CONCAT -> {two(filters)}"
    size = 512 if padded else 572
    return f"INPUT[{size}x{size}x1] -> {inside} -> CONV1-2"


def _allcnn() -> str:
    first = "[CONV3-96 -> RELU]*2 -> CONV(K=96, F=3, S=2, P=1) -> RELU -> DROPOUT"
    second = "[CONV3-192 -> RELU]*2 -> CONV(K=192, F=3, S=2, P=1) -> RELU -> DROPOUT"
    last = "CONV(K=192, F=3) -> RELU -> CONV1-192 -> RELU -> CONV1-10 -> RELU -> GLOBALAVGPOOL"
    return f"INPUT[32x32x3] -> DROPOUT(P=0.2) -> {first} -> {second} -> {last}"


# --- what is known about them -----------------------------------------------------------------------------------------

_LECUN = "Y. LeCun et al., Gradient-based learning applied to document recognition (1998)"
_KRIZHEVSKY = (
    "A. Krizhevsky, I. Sutskever and G. Hinton, ImageNet classification with deep convolutional networks (2012)"
)
_ZEILER = "M. Zeiler and R. Fergus, Visualizing and understanding convolutional networks (2014)"
_SIMONYAN = "K. Simonyan and A. Zisserman, Very deep convolutional networks for large-scale image recognition (2014)"
_SZEGEDY = "C. Szegedy et al., Going deeper with convolutions (2014)"
_HE = "K. He et al., Deep residual learning for image recognition (2015)"
_GOYAL = "P. Goyal et al., Accurate, large minibatch SGD (2017), as in torchvision"
_IANDOLA = "F. Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters (2016)"
_HUANG = "G. Huang et al., Densely connected convolutional networks (2016)"
_SANDLER = "M. Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks (2018)"
_RONNEBERGER = (
    "O. Ronneberger, P. Fischer and T. Brox, U-Net: convolutional networks for biomedical image segmentation (2015)"
)
_SPRINGENBERG = "J. Springenberg et al., Striving for simplicity: the all convolutional net (2014)"

_ALEXNET_NOTES = (
    "Convolutions 2, 4 and 5 of the paper see only the maps on their own GPU, which is G=2 (60,965,224 parameters); "
    "one network without groups has 62,378,344, and torchvision's narrower one of 2014 has 61,100,840.",
    "The paper says 224x224 images; its 55x55 first layer takes 227x227 without padding. torchvision pads 224 by 2, "
    "and leaves out the response normalization.",
)
_LENET5_NOTE = (
    "The paper counts 60,000 parameters: its C3 connects 60 of the 96 pairs of maps (1,516 parameters in place of "
    "2,416), S2 and S4 have a coefficient and a bias a map (12 and 32), and the output layer, of fixed radial basis "
    "functions, has none (here 850)."
)
_LENET5_1998_NOTE = (
    "Up to F6, with the trainable coefficients and biases of S2 and S4, and each map of C3 on the maps of S2 that the "
    "paper's table I gives it. The paper's 60,000 is the sum of its layers, without the fixed output layer."
)
_ZFNET_NOTE = (
    "The paper gives no count. Its sizes 110, 55, 26, 13 and 6 come out with a padding of 1 in the first layer and "
    "pools that round up."
)
_STRIDE_NOTE = (
    "The paper's bottleneck (v1) has its stride on the first 1x1 convolution, torchvision's (v1.5) on the 3x3: the "
    "parameters are the same, the field and the multiply-adds are not."
)
_SHORTCUT_NOTE = (
    "Where the size halves, the paper's tables of 18 and 34 layers use shortcuts without parameters (option A); here, "
    "as in torchvision, they are 1x1 convolutions (option B)."
)
_GOOGLENET_NOTES = (
    "The paper claims 12 times fewer parameters than AlexNet, that is 5 million; the rows of its table 1 add up to 6.8 "
    "million; with all weights and biases it is 6,998,552, and 13,378,280 with both auxiliary classifiers.",
    "torchvision's has batch normalization, 3x3 in place of the 5x5 filters, and 6,624,904 parameters.",
)
_AUXILIARY_NOTE = "The three classifiers' scores are joined into one vector here: a network has one output."
_SQUEEZENET_NOTE = "1.0 is the paper's; 1.1, of the authors' repository, pools earlier and computes less than half."
_MOBILENET_NOTE = "The paper says 3.4 million parameters; layer by layer its table 2 has 3,504,872, as torchvision's."
_UNET_NOTE = (
    "The paper's convolutions have no padding, so 572x572 becomes 388x388 and what is passed over is cropped; most "
    "implementations pad, and then the output has the size of the input."
)
_ALLCNN_NOTE = "All-CNN-C for CIFAR-10. The paper's table says 1.3 million parameters; layer by layer it is 1,369,738."


def _vgg_classic(name: str, convs: tuple[int, ...], params: int, macs: str, **more: int) -> Classic:
    figures = _figures(_TORCHVISION, params=params, macs=macs, least=32) + _figures(_DISTILL, **more)
    return Classic(name, _vgg(*convs), _SIMONYAN, figures)


_RESNET18, _RESNET34 = (2, 2, 2, 2), (3, 4, 6, 3)
_RESNET50, _RESNET101, _RESNET152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)


def _resnet_classic(name: str, blocks: tuple[int, ...], params: int, figures: tuple[Figure, ...]) -> Classic:
    bottleneck, v1_5 = name not in ("resnet18", "resnet34"), name.endswith("v1_5")
    note = _STRIDE_NOTE if bottleneck else _SHORTCUT_NOTE
    counted = _figures(_TORCHVISION, params=params)
    return Classic(name, _resnet(blocks, bottleneck, v1_5), _GOYAL if v1_5 else _HE, counted + figures, (note,))


_ALL = [
    Classic("lenet5", _lenet5(), _LECUN, _figures("a dense C3 and 10 units", params=61_706), (_LENET5_NOTE,)),
    Classic(
        "lenet5_1998",
        _lenet5_1998(),
        _LECUN,
        _figures("the paper's section II.B", params=60_000),
        (_LENET5_1998_NOTE,),
    ),
    Classic(
        "alexnet",
        _alexnet(groups=2),
        _KRIZHEVSKY,
        _figures("the paper's figure 2, layer by layer; the paper says 60 million", params=60_965_224)
        + _figures("V. Sze et al., Efficient processing of deep neural networks (2017), table II", macs="724M")
        + _figures(_DISTILL, field=195, jump=32),
        _ALEXNET_NOTES,
    ),
    Classic(
        "alexnet_ungrouped",
        _alexnet(groups=1),
        _KRIZHEVSKY,
        _figures("the paper's figure 2 as one network, layer by layer", params=62_378_344)
        + _figures(_DISTILL, field=195, jump=32),
        _ALEXNET_NOTES,
    ),
    Classic(
        "alexnet_torchvision",
        _alexnet_torchvision(),
        "A. Krizhevsky, One weird trick for parallelizing convolutional neural networks (2014), as in torchvision",
        _figures(_TORCHVISION, params=61_100_840, macs="714M", least=63) + _figures(_DISTILL, field=195, jump=32),
        _ALEXNET_NOTES,
    ),
    Classic("zfnet", _zfnet(), _ZEILER, _figures(_PYTORCHCV, params=62_357_608), (_ZFNET_NOTE,)),
    Classic(
        "googlenet",
        _googlenet(auxiliary=False),
        _SZEGEDY,
        _figures("Caffe's bvlc_googlenet", params=6_998_552),
        _GOOGLENET_NOTES,
    ),
    Classic(
        "googlenet_auxiliary",
        _googlenet(auxiliary=True),
        _SZEGEDY,
        _figures("the paper's section 5, with both auxiliary classifiers", params=13_378_280),
        (*_GOOGLENET_NOTES, _AUXILIARY_NOTE),
    ),
    _vgg_classic("vgg11", (1, 1, 2, 2, 2), 132_863_336, "7.609G", field=150, jump=32),
    _vgg_classic("vgg13", (2, 2, 2, 2, 2), 133_047_848, "11.308G"),
    _vgg_classic("vgg16", (2, 2, 3, 3, 3), 138_357_544, "15.470G", field=212, jump=32),
    _vgg_classic("vgg19", (2, 2, 4, 4, 4), 143_667_240, "19.632G"),
    _resnet_classic(
        "resnet18", _RESNET18, 11_689_512, _figures(_TORCHVISION, macs="1.814G", least=1) + _figures(_WANG, field=435)
    ),
    _resnet_classic(
        "resnet34", _RESNET34, 21_797_672, _figures(_TORCHVISION, macs="3.664G", least=1) + _figures(_WANG, field=899)
    ),
    _resnet_classic(
        "resnet50",
        _RESNET50,
        25_557_032,
        _figures("the paper's table 1 (3.8 billion), layer by layer", macs="3.858G")
        + _figures(_DISTILL, field=483, jump=32),
    ),
    _resnet_classic(
        "resnet101", _RESNET101, 44_549_160, _figures(_HE, macs="7.6G") + _figures(_DISTILL, field=1027, jump=32)
    ),
    _resnet_classic(
        "resnet152", _RESNET152, 60_192_808, _figures(_HE, macs="11.3G") + _figures(_DISTILL, field=1507, jump=32)
    ),
    _resnet_classic(
        "resnet50_v1_5",
        _RESNET50,
        25_557_032,
        _figures(_TORCHVISION, macs="4.089G", least=1) + _figures(_WANG, field=427),
    ),
    _resnet_classic(
        "resnet101_v1_5",
        _RESNET101,
        44_549_160,
        _figures(_TORCHVISION, macs="7.801G", least=1) + _figures(_WANG, field=971),
    ),
    _resnet_classic("resnet152_v1_5", _RESNET152, 60_192_808, _figures(_TORCHVISION, macs="11.514G", least=1)),
    Classic(
        "squeezenet",
        _squeezenet("CONV(K=96, F=7, S=2)", (4, 8)),
        _IANDOLA,
        _figures(_TORCHVISION, params=1_248_424, macs="0.819G", least=21),
        (_SQUEEZENET_NOTE,),
    ),
    Classic(
        "squeezenet1_1",
        _squeezenet("CONV(K=64, F=3, S=2)", (3, 5)),
        _IANDOLA,
        _figures(_TORCHVISION, params=1_235_496, macs="0.349G", least=17),
        (_SQUEEZENET_NOTE,),
    ),
    Classic(
        "densenet121",
        _densenet((6, 12, 24, 16), growth=32),
        _HUANG,
        _figures(_TORCHVISION, params=7_978_856, macs="2.834G", least=29),
    ),
    Classic(
        "mobilenet_v2",
        _mobilenet_v2(),
        _SANDLER,
        _figures(_TORCHVISION, params=3_504_872, macs="0.301G", least=1),
        (_MOBILENET_NOTE,),
    ),
    Classic("unet", _unet(padded=True), _RONNEBERGER, (), (_UNET_NOTE,)),
    Classic(
        "unet_2015",
        _unet(padded=False),
        _RONNEBERGER,
        _figures("the paper's figure 1", output="388x388x2"),
        (_UNET_NOTE,),
    ),
    Classic("allcnn", _allcnn(), _SPRINGENBERG, _figures("Keras' own summary", params=1_369_738), (_ALLCNN_NOTE,)),
]

ENTRIES: dict[str, Classic] = {each.name: each for each in _ALL}
"""All classics with what is known about them, by name."""

CLASSICS: dict[str, str] = {name: each.notation for name, each in ENTRIES.items()}
"""The notation of each."""
