"""Networks that have a name, in notation."""

from __future__ import annotations

CLASSICS = {
    "vgg16": (
        "INPUT[224x224x3] -> [CONV3-64 -> RELU]*2 -> POOL2 -> [CONV3-128 -> RELU]*2 -> POOL2 -> "
        "[CONV3-256 -> RELU]*3 -> POOL2 -> [CONV3-512 -> RELU]*3 -> POOL2 -> [CONV3-512 -> RELU]*3 -> POOL2 -> "
        "[FC-4096 -> RELU]*2 -> FC-1000"
    ),
}
