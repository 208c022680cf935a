"""Networks with figures from elsewhere."""

VGG16 = (
    "INPUT[224x224x3] -> [CONV3-64 -> RELU]*2 -> POOL2 -> [CONV3-128 -> RELU]*2 -> POOL2 -> [CONV3-256 -> RELU]*3 -> POOL2 -> "
    "[CONV3-512 -> RELU]*3 -> POOL2 -> [CONV3-512 -> RELU]*3 -> POOL2 -> [FC-4096 -> RELU]*2 -> FC-1000"
)

# (notation, parameters), as published: the papers' own counts or torchvision's.
PUBLISHED = {
    "vgg16": (VGG16, 138_357_544),
    "vgg19": (
        VGG16.replace("256 -> RELU]*3", "256 -> RELU]*4").replace("512 -> RELU]*3", "512 -> RELU]*4"),
        143_667_240,
    ),
    "alexnet, ungrouped": (
        "INPUT[227x227x3] -> CONV(K=96, F=11, S=4) -> RELU -> POOL(F=3, S=2) -> CONV5-256 -> RELU -> POOL(F=3, S=2) -> "
        "[CONV3-384 -> RELU]*2 -> CONV3-256 -> RELU -> POOL(F=3, S=2) -> [FC-4096 -> RELU]*2 -> FC-1000",
        62_378_344,
    ),
    "alexnet, grouped": (
        "INPUT[227x227x3] -> CONV(K=96, F=11, S=4) -> RELU -> POOL(F=3, S=2) -> CONV(K=256, F=5, P=2, G=2) -> RELU -> "
        "POOL(F=3, S=2) -> CONV3-384 -> RELU -> CONV(K=384, F=3, P=1, G=2) -> RELU -> CONV(K=256, F=3, P=1, G=2) -> RELU -> "
        "POOL(F=3, S=2) -> [FC-4096 -> RELU]*2 -> FC-1000",
        60_965_224,
    ),
    "alexnet, torchvision": (
        "INPUT[224x224x3] -> CONV(K=64, F=11, S=4, P=2) -> RELU -> POOL(F=3, S=2) -> CONV5-192 -> RELU -> POOL(F=3, S=2) -> "
        "CONV3-384 -> RELU -> [CONV3-256 -> RELU]*2 -> POOL(F=3, S=2) -> [FC-4096 -> RELU]*2 -> FC-1000",
        61_100_840,
    ),
    "lenet-5, dense C3": (
        "INPUT[32x32x1] -> CONV(K=6, F=5) -> AVGPOOL2 -> CONV(K=16, F=5) -> AVGPOOL2 -> CONV(K=120, F=5) -> FC-84 -> FC-10",
        61_706,
    ),
}
