"""What torch's modules and functions become, one by one, against torch itself on tensors without data."""

import itertools
import math
import operator
import random
import re

import numpy as np
import pytest
from exactly import size_sets

from convproof.architecture import (
    SAME_UPPER,
    AdaptivePool,
    Add,
    Affine,
    AvgPool,
    BatchNorm,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Dropout,
    Flatten,
    GlobalPool,
    GroupNorm,
    InstanceNorm,
    Linear,
    LocalResponseNorm,
    LpPool,
    MaxPool,
    Multiply,
    Pad,
    ReLU,
    Reshape,
    Upsample,
)
from convproof.errors import InputError, Undecided
from convproof.importers.sizes import times
from convproof.importers.torch import load
from convproof.importers.values import Flow, Inexpressible
from convproof.importers.views import View, own_axes
from convproof.symbolic import accepted_sizes, analyze, output_shapes, symbol, symbols
from convproof.symbolic.shapes import infer

torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[torch]'` brings it")
from torchmodules import Does, kinds, on  # noqa: E402

nn, F = torch.nn, torch.nn.functional

# --- functions, methods and operators -----------------------------------------------------------------------------------


def learned(*shape):
    return nn.Parameter(torch.empty(shape, device="meta"))


def fixed(*shape):
    return torch.empty(shape, device="meta")


def values_one_by_one(x):
    count = 1
    for n in x.size()[1:]:
        count *= n
    return x.view(-1, count)


def shuffled(x, order):
    n, c, h, w = x.size()
    return x.reshape(n, 3, c // 3, h, w).permute(*order).reshape((n, c, h, w))


DOES = {
    # windows
    "conv": (lambda s, x: F.conv2d(x, s.w, s.b, 2, 1), {"w": (6, 12, 3, 3), "b": (6,)}, "Conv"),
    "conv by the size of its weights": (
        lambda s, x: F.conv2d(x, s.w, padding=s.w.shape[-1] // 2, groups=12 // s.w.size(1)),
        {"w": (6, 4, 3, 3)},
        "Conv",
    ),
    "conv same": (lambda s, x: F.conv2d(x, s.w, padding="same", dilation=(1, 3)), {"w": (6, 12, 4, 2)}, "Conv"),
    "conv valid": (lambda s, x: torch.conv2d(x, s.w, groups=3, padding="valid"), {"w": (6, 4, 4, 2)}, "Conv"),
    "conv transposed": (
        lambda s, x: F.conv_transpose2d(x, s.w, stride=3, padding=(1, 2), output_padding=2, groups=2, dilation=2),
        {"w": (12, 5, 3, 4)},
        "ConvTranspose",
    ),
    "conv transposed, as it comes": (lambda s, x: F.conv_transpose2d(x, s.w), {"w": (12, 5, 3, 2)}, "ConvTranspose"),
    "standardized weights": (
        lambda s, x: F.conv2d(x, (s.w - s.w.mean((1, 2, 3), keepdim=True)) / (s.w.std() + 1e-5)),
        {"w": (6, 12, 3, 3)},
        "Conv",
    ),
    "max pool": (lambda s, x: F.max_pool2d(x, (3, 2), 2, 1, dilation=1), {}, "MaxPool"),
    "max pool up": (lambda s, x: F.max_pool2d(x, kernel_size=3, stride=2, ceil_mode=True), {}, "MaxPool"),
    "max pool of torch": (lambda s, x: torch.max_pool2d(x, 3, dilation=2), {}, "MaxPool"),
    "average pool": (lambda s, x: F.avg_pool2d(x, 3, stride=(2, 1), padding=1, ceil_mode=True), {}, "AvgPool"),
    "p-norm pool": (lambda s, x: F.lp_pool2d(x, 2.0, 3, stride=2, ceil_mode=True), {}, "LpPool"),
    "global average": (lambda s, x: F.adaptive_avg_pool2d(x, 1), {}, "GlobalPool:avg"),
    "global maximum": (lambda s, x: F.adaptive_max_pool2d(x, (1, 1)), {}, "GlobalPool:max"),
    "mean": (lambda s, x: x.mean([2, 3]), {}, "GlobalPool:avg Flatten"),
    "mean, as in NumPy": (lambda s, x: x.mean(axis=(2, 3), keepdims=True), {}, "GlobalPool:avg"),
    "mean, axes kept": (lambda s, x: torch.mean(x, dim=(-1, -2), keepdim=True), {}, "GlobalPool:avg"),
    "maximum": (lambda s, x: x.amax((2, 3)), {}, "GlobalPool:max Flatten"),
    "average of all": (lambda s, x: F.avg_pool2d(x, x.size()[2:]), {}, "GlobalPool:avg"),
    "maximum of all": (lambda s, x: F.max_pool2d(x, kernel_size=x.shape[-2:]), {}, "GlobalPool:max"),
    "pad": (lambda s, x: F.pad(x, (1, 2, 0, 3)), {}, "Pad"),
    "pad one axis": (lambda s, x: F.pad(x, [2, 0]), {}, "Pad"),
    "pad by nothing": (lambda s, x: F.relu(F.pad(x, [0, 0, 0, 0])), {}, "ReLU"),
    "crop": (lambda s, x: F.pad(x, (-1, -1, -2, 0)), {}, "Pad"),
    "crop by slices": (lambda s, x: x[:, :, 1:-2, :-1], {}, "Pad"),
    "crop the last axis": (lambda s, x: x[..., 2:], {}, "Pad"),
    "nearest": (lambda s, x: F.interpolate(x, scale_factor=2), {}, "Upsample"),
    "bilinear": (lambda s, x: F.interpolate(x, scale_factor=(2.0, 3.0), mode="bilinear"), {}, "Upsample"),
    "to the size of another": (lambda s, x: F.interpolate(F.max_pool2d(x, 2), size=x.shape[-2:]), {}, "MaxPool Resize"),
    "to the size of what comes of another": (
        lambda s, x: torch.cat([F.relu(y := F.max_pool2d(x, 2)), F.interpolate(x, y.shape[2:], mode="bilinear")], 1),
        {},
        "MaxPool ReLU Resize Concat",
    ),
    "twice its size": (lambda s, x: F.interpolate(x, size=(2 * x.shape[2], x.size(3) * 2)), {}, "Upsample"),
    "padded to another": (lambda s, x: x + to_the_size_of(F.max_pool2d(x, 2), x), {}, "MaxPool PadTo Add"),
    "cropped to another": (lambda s, x: to_the_size_of(x, F.max_pool2d(x, 2)), {}, "MaxPool PadTo"),
    "to its own size": (lambda s, x: F.relu(F.interpolate(x, size=x.shape[2:])), {}, "ReLU"),
    # element by element
    "relu": (lambda s, x: F.relu(torch.relu(x).relu()), {}, "ReLU ReLU ReLU"),
    "others": (
        lambda s, x: F.hardswish(F.leaky_relu(F.elu(torch.tanh(x.sigmoid())), 0.2)),
        {},
        "Activation:sigmoid Activation:tanh Activation:elu Activation:leaky_relu Activation:hardswish",
    ),
    "some names": (
        lambda s, x: F.logsigmoid(F.threshold(F.relu6(F.silu(F.gelu(x))), 0.1, 0)),
        {},
        "Activation:gelu Activation:silu Activation:relu6 Activation:threshold Activation:logsigmoid",
    ),
    "clamp": (lambda s, x: torch.clamp(x, min=0), {}, "Activation:clamp"),
    "swish": (lambda s, x: x * torch.sigmoid(x), {}, "Activation:silu"),
    "gate in front": (lambda s, x: F.hardsigmoid(x) * x, {}, "Activation:hardswish"),
    "sigmoid of another": (lambda s, x: x * torch.sigmoid(F.relu(x)), {}, "Activation:mul"),
    "another gate": (lambda s, x: x * torch.tanh(F.softplus(x)), {}, "Activation:mul"),
    "numbers": (lambda s, x: 1 - 2 * x / 3, {}, "Activation:mul Activation:div Activation:sub"),
    "dropout": (lambda s, x: F.dropout2d(F.dropout(x, 0.2, s.training)), {}, "Dropout Dropout"),
    "softmax": (lambda s, x: F.softmax(x, dim=1), {}, "Softmax"),
    "log softmax": (
        lambda s, x: F.log_softmax(x.mean((2, 3)), -1),
        {},
        "GlobalPool:avg Flatten Softmax Activation:log",
    ),
    "local response": (lambda s, x: F.local_response_norm(x, 5), {}, "LocalResponseNorm"),
    # learned numbers
    "batch norm": (
        lambda s, x: F.batch_norm(x, s.mean, s.var, s.w, s.b),
        {"w": (12,), "b": (12,), "mean": fixed(12), "var": fixed(12)},
        "BatchNorm",
    ),
    "group norm": (lambda s, x: F.group_norm(x, 4, s.w, s.b), {"w": (12,), "b": (12,)}, "GroupNorm"),
    "instance norm": (lambda s, x: F.instance_norm(x, weight=s.w, bias=s.b), {"w": (12,), "b": (12,)}, "InstanceNorm"),
    "scale and shift": (
        lambda s, x: s.g * x + s.b.view(1, -1, 1, 1),
        {"g": (1, 12, 1, 1), "b": (12,)},
        "Affine Affine",
    ),
    "standardized image": (
        lambda s, x: (x - s.mean) / s.std,
        {"mean": fixed(1, 12, 1, 1), "std": fixed(12, 1, 1)},
        "Activation:sub Activation:div",
    ),
    "fully connected": (
        lambda s, x: F.linear(x.mean((2, 3)), s.w, s.b),
        {"w": (7, 12), "b": (7,)},
        "GlobalPool:avg Flatten Linear",
    ),
    # branches
    "sum": (lambda s, x: x + F.relu(x), {}, "ReLU Add"),
    "sum of torch": (lambda s, x: torch.add(x, F.relu(x)).add(x), {}, "ReLU Add Add"),
    "sum in place": (lambda s, x: operator.iadd(F.relu(x), x), {}, "ReLU Add"),
    "sum of a list": (lambda s, x: sum([x, F.relu(x), x]), {}, "ReLU Add Add"),
    "joined": (lambda s, x: torch.cat((x, F.relu(x), x), dim=1), {}, "ReLU Concat"),
    "joined, from behind": (lambda s, x: torch.concat([x, F.max_pool2d(x, 1)], -3), {}, "MaxPool Concat"),
    "product": (lambda s, x: F.relu(x) * F.max_pool2d(x, 1), {}, "ReLU MaxPool Multiply"),
    "gate": (lambda s, x: x * x.mean((2, 3), keepdim=True), {}, "GlobalPool:avg Scale"),
    "gate in front of it": (
        lambda s, x: torch.sigmoid(F.conv2d(F.adaptive_avg_pool2d(x, 1), s.w)).mul(x),
        {"w": (12, 12, 1, 1)},
        "GlobalPool:avg Conv Activation:sigmoid Scale",
    ),
    "gate of a vector": (
        lambda s, x: x * F.linear(x.mean((2, 3)), s.w)[:, :, None, None],
        {"w": (12, 12)},
        "GlobalPool:avg Flatten Linear Scale",
    ),
    "gate of a vector, step by step": (
        lambda s, x: F.linear(x.amax((2, 3)), s.w).unsqueeze(-1).unsqueeze(2).mul(x),
        {"w": (12, 12)},
        "GlobalPool:max Flatten Linear Scale",
    ),
    "gate, repeated": (
        lambda s, x: x * torch.sigmoid(x.mean((2, 3))).view(x.size(0), x.size(1), 1, 1).expand_as(x),
        {},
        "GlobalPool:avg Flatten Activation:sigmoid Scale",
    ),
    "product with one channel": (lambda s, x: F.relu(x) * F.conv2d(x, s.w), {"w": (1, 12, 1, 1)}, "ReLU Conv Multiply"),
    "product of one channel": (
        lambda s, x: F.conv2d(x, s.w) * x.mean((2, 3), keepdim=True),
        {"w": (1, 12, 1, 1)},
        "Conv GlobalPool:avg Multiply",
    ),
    "gate of one channel": (
        lambda s, x: F.conv2d(x, s.w) * F.linear(x.mean((2, 3)), s.v)[:, :, None, None],
        {"w": (1, 12, 1, 1), "v": (8, 12)},
        "Conv GlobalPool:avg Flatten Linear Reshape Multiply",
    ),
    "broadcast sum": (lambda s, x: x + x.mean((2, 3), keepdim=True), {}, "GlobalPool:avg Add"),
    "sum with a few": (lambda s, x: x + F.max_pool2d(x, 4), {}, "MaxPool Add", (6, 5)),
    "sum of few and few": (
        lambda s, x: F.adaptive_max_pool2d(x, 5) + F.max_pool2d(x, 3),
        {},
        "AdaptivePool:max MaxPool Add",
        (4, 16),
    ),
    "product along one axis": (
        lambda s, x: F.max_pool2d(x, (1, 4)) * F.max_pool2d(x, (4, 1)),
        {},
        "MaxPool MaxPool Multiply",
        (5, 7),
    ),
    "up and down": (
        lambda s, x: x + F.interpolate(F.max_pool2d(x, 2, ceil_mode=True), scale_factor=2),
        {},
        "MaxPool Upsample Add",
        (8, 6),
    ),
    "down and up, transposed": (
        lambda s, x: x * F.conv_transpose2d(F.max_pool2d(x, 3), s.w, stride=3),
        {"w": (12, 12, 3, 3)},
        "MaxPool ConvTranspose Multiply",
        (9, 6),
    ),
    "not returned": (
        lambda s, x: [torch.cat([x, F.interpolate(F.max_pool2d(x, 2), scale_factor=2)], 1), F.conv2d(x, s.w)][1],
        {"w": (3, 12, 5, 1)},
        "MaxPool Upsample Concat Conv",
        (8, 6),
    ),
    "not returned, by parts": (lambda s, x: [x.chunk(3, 1), x.flatten(2), x[:, :, 2:], F.relu(x)][-1], {}, "ReLU"),
    "halves": (lambda s, x: torch.cat(x.chunk(2, dim=1)[::-1], 1), {}, "Slice Slice Concat"),
    "parts of five": (
        lambda s, x: torch.cat([F.relu(p) for p in x.split(5, 1)], 1),
        {},
        "Slice Slice Slice ReLU ReLU ReLU Concat",
    ),
    "parts of their own": (lambda s, x: sum(torch.split(x, [4, 4, 4], dim=-3)), {}, "Slice Slice Slice Add Add"),
    "narrow": (lambda s, x: x.narrow(1, -7, 3), {}, "Slice"),
    "some channels": (lambda s, x: F.relu(x[:, 2:-3]), {}, "Slice ReLU"),
    "some channels, cropped": (lambda s, x: x[:, :5, 1:], {}, "Slice Pad"),
    # shapes
    "flatten": (lambda s, x: torch.flatten(x, 1), {}, "Flatten"),
    "flatten in two": (lambda s, x: x.flatten(2).flatten(1), {}, "Flatten"),
    "view": (lambda s, x: x.view(x.size(0), -1), {}, "Flatten"),
    "reshape": (lambda s, x: torch.reshape(x, (x.shape[0], -1)), {}, "Flatten"),
    "view by channels": (lambda s, x: x.mean((2, 3), True).view(-1, 12), {}, "GlobalPool:avg Flatten"),
    "view by joined sizes": (lambda s, x: F.relu(x.view(x.shape[:2] + x.shape[2:])), {}, "ReLU"),
    "view by product": (lambda s, x: x.view(-1, x.size(1) * x.size(2) * x.size(3)), {}, "Flatten"),
    "view by products": (lambda s, x: values_one_by_one(x), {}, "Flatten"),
    "view by a number": (lambda s, x: x.view(x.size(0), 12 * 60), {}, "Reshape", (6, 10)),
    "view by a number, in rows": (lambda s, x: x.view(-1, 12 * 6), {}, "Reshape", (6, 3)),
    "view by a number, in many rows": (
        lambda s, x: F.linear(x.reshape(-1, 20), s.w),
        {"w": (4, 20)},
        "Reshape Linear",
        (5, 4),
    ),
    "an image written out": (
        lambda s, x: F.conv2d(x.view(-1, 3, 4, 4), s.w),
        {"w": (4, 3, 3, 3)},
        "Reshape Conv",
        (2, 8),
    ),
    "an image written out as itself": (lambda s, x: F.relu(x.view(1, 12, 6, 10)), {}, "Reshape ReLU", (6, 10)),
    "moved and flattened by a number": (lambda s, x: x.permute(0, 2, 3, 1).reshape(1, 720), {}, "Reshape", (6, 10)),
    "fully connected, of one size": (
        lambda s, x: F.linear(F.max_pool2d(x, 2).flatten(1), s.w),
        {"w": (5, 12 * 15)},
        "MaxPool Flatten Linear",
        (7, 10),
    ),
    "no size at all": (lambda s, x: F.linear(x.flatten(1), s.w), {"w": (5, 1050)}, "Flatten Linear", None),
    "moved and flattened": (lambda s, x: x.permute(0, 2, 3, 1).reshape(x.shape[0], -1), {}, "Flatten"),
    "there and back": (lambda s, x: F.relu(x.transpose(1, 3).contiguous().transpose(3, 1)), {}, "ReLU"),
    "pooled to a size": (lambda s, x: F.adaptive_avg_pool2d(x, (9, 12)), {}, "AdaptivePool:avg"),
    "pooled to a number": (lambda s, x: F.adaptive_max_pool2d(x, 3).flatten(1), {}, "AdaptivePool:max Flatten"),
    "squeeze": (lambda s, x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(2), {}, "GlobalPool:avg Flatten"),
    "squeeze both": (lambda s, x: F.adaptive_avg_pool2d(x, 1).squeeze((2, 3)), {}, "GlobalPool:avg Flatten"),
    "the only one": (lambda s, x: F.adaptive_avg_pool2d(x, 1)[:, :, 0, 0], {}, "GlobalPool:avg Flatten"),
    "one axis more": (lambda s, x: F.relu(x.unsqueeze(2)[:, :, 0]), {}, "ReLU"),
    "shuffle": (lambda s, x: torch.channel_shuffle(x, 4), {}, "ChannelShuffle"),
    "shuffle by hand": (lambda s, x: shuffled(x, (0, 2, 1, 3, 4)), {}, "ChannelShuffle"),
    "shuffle of parts": (lambda s, x: x.unflatten(1, (6, -1)).swapaxes(1, 2).flatten(1, 2), {}, "ChannelShuffle"),
    "moved elsewhere": (lambda s, x: F.relu(x.data.to(x.device).clone()), {}, "ReLU"),
    "a walk over axes": (lambda s, x: x.flatten(1) if len(x.shape) == 4 and x.ndim == x.dim() else x, {}, "Flatten"),
    "as often as channels": (lambda s, x: [x := F.relu(x) for _ in range(x.shape[1] // 6)][-1], {}, "ReLU ReLU"),
}


SIZES = [(8, 6), (13, 9), (9, 20), (32, 24)]


def does(name):
    """The module, the layers that it becomes, and sizes that it takes: `SIZES`, another one alone, or none."""
    function, parts, kind, *size = DOES[name]
    module = Does(function, **{n: learned(*p) if isinstance(p, tuple) else p for n, p in parts.items()})
    return module, kind, [each for each in size if each is not None] if size else SIZES


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", DOES)
def test_a_function_at_many_sizes(name):
    module, kind, many = does(name)
    imported = load(module, (12, "H", "W"))
    assert kinds(imported.network) == kind
    assert imported.undecided == ()
    assert imported.learned == sum(each.numel() for each in module.parameters())
    for sizes in many:
        theirs = tuple(module.eval()(torch.empty(1, 12, *sizes, device="meta")).shape)
        network = on(imported.network, *sizes)
        assert output_shapes(network)[network.output.name] == theirs[1:]
        at_one_size = load(module, (12, *sizes))
        assert (at_one_size.network, at_one_size.undecided) == (network, ())
        assert dict(zip("HW", sizes, strict=True)) in accepted_sizes(imported.network)
    assert_that_torch_runs_at_these(module, imported, 12)


def runs(module, *shape):
    """Whether torch runs the module on one image of this shape, and returns something."""
    try:
        return module(torch.empty(1, *shape, device="meta")).numel() > 0
    except (RuntimeError, ValueError, IndexError):
        return False


def assert_that_torch_runs_at_these(module, imported, channels, most=12):
    """The accepted sizes are those at which torch runs the module, all equal or one of them 10."""
    accepted, module = accepted_sizes(imported.network), module.eval()
    assert (accepted.undecided, accepted.requires) == ((), ())
    names = accepted.unknowns
    for n in range(1, most + 1):
        for sizes in {
            (n,) * len(names),
            *((10,) * axis + (n,) + (10,) * (len(names) - axis - 1) for axis in range(len(names))),
        }:
            said = dict(zip(names, sizes, strict=True)) in accepted
            assert said == runs(module, channels, *sizes), sizes


# --- modules ----------------------------------------------------------------------------------------------------------

MODULES = {
    "Conv1d": (lambda: nn.Conv1d(12, 6, 4, padding="same"), 1, "Conv"),
    "Conv2d": (lambda: nn.Conv2d(12, 6, (3, 2), (2, 1), (1, 0), (1, 2), 3, bias=False), 2, "Conv"),
    "Conv3d": (lambda: nn.Conv3d(12, 6, (1, 2, 3), 2, padding=1, padding_mode="circular"), 3, "Pad Conv"),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(12, 6, 3, 2, output_padding=1), 1, "ConvTranspose"),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(12, 6, (3, 4), 2, (0, 1), 1, 2, False, 2), 2, "ConvTranspose"),
    "ConvTranspose3d": (lambda: nn.ConvTranspose3d(12, 6, 2, 2), 3, "ConvTranspose"),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, ceil_mode=True), 1, "MaxPool"),
    "MaxPool2d": (lambda: nn.MaxPool2d((3, 2), padding=(1, 0), dilation=2), 2, "MaxPool"),
    "MaxPool2d on padding": (lambda: nn.MaxPool2d(2, 1, padding=1, dilation=2), 2, "MaxPool"),
    "MaxPool3d": (lambda: nn.MaxPool3d((1, 2, 2), (1, 2, 2)), 3, "MaxPool"),
    "AvgPool1d": (lambda: nn.AvgPool1d(3, 2, 1), 1, "AvgPool"),
    "AvgPool2d": (lambda: nn.AvgPool2d(3, 2, 1, True, False), 2, "AvgPool"),
    "AvgPool3d": (lambda: nn.AvgPool3d((2, 1, 3)), 3, "AvgPool"),
    "LPPool1d": (lambda: nn.LPPool1d(2, 3, 2, True), 1, "LpPool"),
    "LPPool2d": (lambda: nn.LPPool2d(1.5, (2, 3)), 2, "LpPool"),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(1), 1, "GlobalPool:avg"),
    "AdaptiveMaxPool3d": (lambda: nn.AdaptiveMaxPool3d((1, 1, 1)), 3, "GlobalPool:max"),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(12), 1, "BatchNorm"),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(12), 3, "BatchNorm"),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(5, 1e-3, 0.5, 2.0), 2, "LocalResponseNorm"),
    "Linear": (lambda: nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(12, 5, False)), 2,
               "GlobalPool:max Flatten Linear"),
    "Softmax": (lambda: nn.Sequential(nn.Softmax(1), nn.Softmax2d()), 2, "Softmax Softmax"),
    "LogSoftmax": (lambda: nn.LogSoftmax(-3), 2, "Softmax Activation:log"),
    "Dropout": (lambda: nn.Sequential(nn.Dropout(), nn.Dropout2d(0.1), nn.AlphaDropout()), 2, "Dropout Dropout Dropout"),
    "ReLU": (lambda: nn.Sequential(nn.ReLU(), nn.ReLU6(), nn.LeakyReLU()), 2, "ReLU Activation:relu6 Activation:leaky_relu"),
    "SiLU": (lambda: nn.Sequential(nn.SiLU(), nn.GELU(), nn.Tanh()), 1, "Activation:silu Activation:gelu Activation:tanh"),
    "Upsample": (lambda: nn.Upsample(scale_factor=(2, 3), mode="bilinear"), 2, "Upsample"),
    "UpsamplingNearest2d": (lambda: nn.UpsamplingNearest2d(scale_factor=3), 2, "Upsample"),
    "ZeroPad1d": (lambda: nn.ZeroPad1d((1, 2)), 1, "Pad"),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 2, 3, 0)), 2, "Pad"),
    "ConstantPad3d": (lambda: nn.ConstantPad3d(2, 0.0), 3, "Pad"),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d((1, 2, 0, 3)), 2, "Pad"),
    "PixelShuffle": (lambda: nn.Sequential(nn.PixelShuffle(2), nn.Conv2d(3, 4, 1)), 2, "PixelShuffle Conv"),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(4), 2, "ChannelShuffle"),
    "GroupNorm": (lambda: nn.Sequential(nn.GroupNorm(3, 12), nn.GroupNorm(12, 12, affine=False)), 2, "GroupNorm GroupNorm"),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(12), 1, "InstanceNorm"),
    "InstanceNorm3d": (lambda: nn.Sequential(nn.InstanceNorm3d(12, affine=True)), 3, "InstanceNorm"),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(12, affine=True, track_running_stats=True), 2, "BatchNorm"),
    "InstanceNorm, strided": (lambda: nn.Sequential(nn.Conv2d(12, 4, 3, 2), nn.InstanceNorm2d(4)), 2, "Conv InstanceNorm"),
    "Identity": (lambda: nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU(), nn.Sequential())), 2, "ReLU"),
    "Flatten": (lambda: nn.Flatten(), 3, "Flatten"),
    "bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), 2, "Upsample"),
    "corners": (lambda: nn.UpsamplingBilinear2d(scale_factor=2), 2, "Upsample"),
    "Unflatten": (lambda: nn.Sequential(nn.Unflatten(1, (3, 4)), nn.Flatten(2, -1), nn.Flatten()), 1, "Flatten"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", MODULES)
def test_a_module_at_many_sizes(name):
    build, rank, kind = MODULES[name]
    with torch.device("meta"):
        module = nn.Sequential(build()).eval()
    imported = load(module, (12, *("D", "H", "W")[:rank]))
    assert kinds(imported.network) == kind
    assert imported.undecided == ()
    assert imported.learned == sum(each.numel() for each in module.parameters())
    for sizes in [(8, 7, 6), (13, 9, 12), (10, 20, 7)]:
        theirs = tuple(module(torch.empty(2, 12, *sizes[:rank], device="meta")).shape)
        network = on(imported.network, *sizes[:rank])
        assert output_shapes(network)[network.output.name] == theirs[1:]
    assert_that_torch_runs_at_these(module, imported, 12)


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        (nn.LocalResponseNorm(5), LocalResponseNorm(5, 1e-4, 0.75, 1.0)),
        (nn.LocalResponseNorm(3, 0.1, 0.2, 0.3), LocalResponseNorm(3, 0.1, 0.2, 0.3)),
        (Does(lambda s, x: F.local_response_norm(x, 4, k=2.0)), LocalResponseNorm(4, 1e-4, 0.75, 2.0)),
        (nn.BatchNorm2d(12, eps=0.5), BatchNorm(0.5, 12)),
        (nn.Dropout(0.25), Dropout(0.25)),
        (Does(lambda s, x: F.dropout(x, 0.125)), Dropout(0.125)),
        (nn.AvgPool2d(3, 2, 1, True, False), AvgPool(3, 2, 1, True, False)),
        (Does(lambda s, x: F.avg_pool2d(x, 2, None, 1)), AvgPool(2, 2, 1)),
        (nn.MaxPool2d((3, 2), 2, 1, (2, 1), ceil_mode=True), MaxPool((3, 2), 2, 1, (2, 1), True, True)),
        (nn.LPPool2d(3, 2, ceil_mode=True), LpPool(3.0, 2, 2, True)),
        (nn.Upsample(scale_factor=(2, 3), mode="nearest-exact"), Upsample((2, 3), "nearest")),
        (Does(lambda s, x: F.interpolate(x, None, 2, "bilinear", False)), Upsample(2, "bilinear")),
        (nn.ZeroPad2d((1, 2, 3, 4)), Pad(((3, 4), (1, 2)))),
        (Does(lambda s, x: x[:, :, 2:, :-3]), Pad(((-2, 0), (0, -3)))),
        (Does(lambda s, x: x.view(x.size(0), 4, 3, *x.shape[2:]).transpose(1, 2).flatten(1, 2)), ChannelShuffle(4)),
        (nn.GroupNorm(3, 12, eps=0.5), GroupNorm(3, 0.5, True, 12)),
        (nn.GroupNorm(3, 24, affine=False), GroupNorm(3, affine=False)),  # torch takes 12 channels, too
        (nn.InstanceNorm2d(12, affine=True), InstanceNorm(num_features=12)),
        (Does(lambda s, x: x * s.g, g=learned(12, 1, 1)), Affine(True, False, 12)),
        (Does(lambda s, x: x + F.relu(x)), (ReLU(), Add(broadcast=True))),
        (Does(lambda s, x: x * F.max_pool2d(x, 1)), (MaxPool(1), Multiply(broadcast=True))),
        (Does(lambda s, x: x.view(x.size(0), 400)), Reshape((400,))),
        (Does(lambda s, x: x.view(1, 400)), Reshape((400,))),
        (Does(lambda s, x: x.view(-1, 400)), Reshape((400,), batch=True)),
        (Does(lambda s, x: x.permute(0, 2, 3, 1).reshape(len(x.shape) // 4, 400)), Reshape((400,))),
        (Does(lambda s, x: torch.reshape(x, (x.size(0), 4, 10, 10))), Reshape((4, 10, 10))),
        (Does(lambda s, x: x.reshape(-1, 4, 10, 10)), Reshape((4, 10, 10), batch=True)),
        (Does(lambda s, x: x.view(x.size(0), 12, 100)), Reshape((12, 100))),
        (nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(2)), (AdaptivePool(2), Reshape((12, 4)))),
        (
            nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 64), nn.Unflatten(1, (4, 4, 4))),
            (GlobalPool(), Flatten(), Linear(64, in_features=12), Reshape((4, 4, 4))),
        ),
        (
            Does(
                lambda s, x: s.c(F.linear(x.mean((2, 3)), s.w)[:, :, None, None]),
                w=learned(8, 12),
                c=nn.Conv2d(8, 4, 1),
            ),
            (GlobalPool(), Flatten(), Linear(8, False, 12), Reshape((8, 1, 1)), Conv(4, 1, in_channels=8)),
        ),
    ],
)
def test_the_settings_of_a_layer(module, layer):
    expected = list(layer) if isinstance(layer, tuple) else [layer]
    assert [node.layer for node in load(module, (12, "H", "W")).network][1:] == expected


def test_the_settings_of_a_convolution():
    same = nn.Conv2d(4, 8, 3, padding="same", dilation=2, groups=4, bias=False)
    back = nn.ConvTranspose2d(8, 6, (3, 4), (2, 1), (1, 0), (1, 0), 2, dilation=1)
    first, second = [node.layer for node in load(nn.Sequential(same, back)).network][1:]
    assert first == Conv(8, 3, 1, SAME_UPPER, 2, 4, bias=False, in_channels=4)
    assert second == ConvTranspose(6, (3, 4), (2, 1), (1, 0), (1, 0), 2, in_channels=8)


# --- what depends on the size of the image ----------------------------------------------------------------------------


def to_the_size_of(x, y):
    """As some write it: padded by what is missing."""
    down, right = y.size(2) - x.size(2), y.size(3) - x.size(3)
    return F.pad(x, [right // 2, right - right // 2, down // 2, down - down // 2])


AT_ONE_SIZE = {
    "pooled by its own width": (lambda x: F.avg_pool2d(x, x.size(3)), (12, 12), "AvgPool"),
    "resized by computed numbers": (
        lambda x: F.interpolate(x, size=[int(2 * n) for n in x.shape[2:]]),
        (9, 12),
        "Shaped:interpolate",
    ),
}


def test_a_size_that_is_left_open_is_what_the_others_leave():
    """And demands that they leave a whole number."""
    module = nn.Sequential(nn.Conv2d(2, 2, 1), Does(lambda s, x: F.relu(x.view(1, 2, 6, -1))))
    imported = load(module)
    assert imported.undecided == ()
    for sizes in ((6, 5), (4, 3), (5, 4), (3, 12), (1, 1)):
        found = infer(on(imported.network, *sizes))
        assert (not found.refused) == runs(module, 2, *sizes) == (sizes[0] * sizes[1] % 6 == 0)
        if not found.refused:
            assert found.shapes[imported.network.output.name] == module(torch.empty(1, 2, *sizes)).shape[1:]


@pytest.mark.parametrize("name", AT_ONE_SIZE)
def test_what_depends_on_the_size_is_read_at_the_given_one(name):
    """And said of no other."""
    function, sizes, kind = AT_ONE_SIZE[name]
    module = nn.Sequential(nn.Conv2d(12, 12, 2, 1, 1), nn.Conv2d(12, 12, 2), Does(lambda s, x: function(x)))
    imported = load(module, (12, *sizes))
    shapes = output_shapes(imported.network)
    assert kinds(imported.network) == f"Conv Conv {kind}"
    assert shapes[imported.network.output.name] == tuple(module(torch.empty(1, 12, *sizes)).shape[1:])
    at = "x".join(map(str, sizes))
    assert imported.undecided[0] == f"input: what follows was read at {at}, the given size, and may differ at others"


@pytest.mark.parametrize("name", [name for name in AT_ONE_SIZE if "computed" not in name])
def test_and_is_unknown_where_the_size_is_a_letter(name):
    function, sizes, _ = AT_ONE_SIZE[name]
    imported = load(nn.Sequential(nn.Conv2d(12, 12, 1), Does(lambda s, x: function(x))))
    assert any(
        re.fullmatch(r"not understood: the size of the image must be known; give input_shape in numbers", each)
        for each in imported.notes.values()
    )
    with pytest.raises(Undecided):
        output_shapes(on(imported.network, *sizes))
    assert accepted_sizes(imported.network).boxes is None


OF_EVERY_SIZE = {
    "squeezed": lambda x: F.avg_pool2d(x, (1, 3)).squeeze(3).flatten(1),
    "padded to one more": lambda x: F.pad(F.max_pool2d(x, 2, 1), [0, x.size(3) - 11, 0, x.size(2) - 8]),
    "cropped": lambda x: x[:, :, 2:7, -5:],
    "cropped by nothing": lambda x: F.relu(x[:, :, -50:, :50]),
    "one branch of two": lambda x: F.relu(x) if x.shape[2] > 8 and x.shape[3] != 1 else F.max_pool2d(x, 3),
    "cropped to half": lambda x: x[:, :, : x.size(2) // 2, x.size(3) // 2 :],
    "padded to a multiple": lambda x: F.max_pool2d(F.pad(x, (0, -x.size(3) % 4, 0, (4 - x.size(2) % 4) % 4)), 4),
    "padded if odd": lambda x: F.pad(x, (0, 1, 0, 0)) if x.size(3) % 2 else x,
    "by the smaller of both": lambda x: F.max_pool2d(x, 2) if min(x.shape[2:]) >= 4 else x,
    "by the larger of both": lambda x: x if max(x.size(2), x.size(3)) < 6 else F.max_pool2d(x, 5),
    "no less than nothing": lambda x: F.pad(x, (0, max(7 - x.size(3), 0))),
    "asked": lambda x: torch._assert(x.size(2) % 3 == 0, "no multiple") or F.relu(x),
    "wanted": lambda x: F.conv_transpose2d(x, torch.ones(12, 1, 3, 3), stride=2, padding=1),
    "rounded": lambda x: x[:, :, : math.ceil(x.size(2) / 3), : math.floor(x.size(3) / 2)],
    "the middle": lambda x: x[:, :, (x.size(2) - 3) // 2 :, (x.size(3) - 3) // 2 : (x.size(3) - 3) // 2 + 3],
}


def raised(x):
    if any(n % 2 for n in x.shape[2:]):
        raise ValueError("odd sizes")
    return F.relu(x)


def asserted(x):
    assert 4 <= x.size(2) < 9, x.shape
    return F.relu(x)


OF_EVERY_SIZE |= {"raised": raised, "asserted": asserted}


@pytest.mark.parametrize("name", OF_EVERY_SIZE)
def test_what_is_computed_of_sizes_is_said_of_every_size(name):
    """All sizes at which torch runs and leaves something are accepted, and no others; shapes are torch's."""
    module = nn.Sequential(nn.Conv2d(12, 12, 2, 1, 1), nn.Conv2d(12, 12, 2), Does(lambda s, x: OF_EVERY_SIZE[name](x)))
    imported = load(module.eval(), (12, "H", "W"))
    accepted = analyze(imported.network, cases=imported.cases).accepted
    assert (accepted.undecided, accepted.boxes is None) == ((), False)
    for h, w in itertools.product(range(1, 13), repeat=2):
        try:
            shape = tuple(module(torch.zeros(1, 12, h, w)).shape[1:])
        except (RuntimeError, ValueError, AssertionError):
            shape = None
        runs = shape is not None and 0 not in shape
        assert ({"H": h, "W": w} in accepted) == runs, (h, w, shape)
        if runs and w in (5, 8):
            network = load(module, (12, h, w)).network
            assert output_shapes(network)[network.output.name] == shape


def halved(x):
    while x.size(2) > 4:
        x = F.max_pool2d(x, 2)
    return x


def test_a_loop_without_end_is_read_at_the_given_size():
    """There is a larger size for every number of turns."""
    module = nn.Sequential(nn.Conv2d(3, 8, 1), Does(lambda s, x: halved(x)))
    imported = load(module, (3, 40, 40))
    assert (kinds(imported.network), imported.cases) == ("Conv MaxPool MaxPool MaxPool MaxPool", ())
    assert any("read at 40x40" in why for why in imported.undecided)
    assert load(module, (3, "H", "W")).undecided


def test_what_is_undecided_in_one_case_is_undecided():
    def function(s, x):
        return F.relu(x) if x.size(3) > 4 else x[:, :, : int(x.size(2) / 3)]

    imported = load(nn.Sequential(nn.Conv2d(3, 8, 1), Does(function)), (3, 9, 9))
    assert imported.cases
    assert any("read at 9x9" in why for why in imported.undecided)


def test_what_a_library_raises_is_no_case():
    """It may not know proxies."""

    def function(s, x):
        return torch.nn.utils.rnn.pad_sequence(7) if x.size(3) > 4 else x

    with pytest.raises(InputError, match="cannot be traced"):
        load(nn.Sequential(nn.Conv2d(3, 8, 1), Does(function)), (3, 9, 9))


def test_sizes_that_are_compared_are_cases():
    module = nn.Sequential(nn.Conv2d(3, 8, 3), Does(lambda s, x: x if x.size(3) > 4 else -x))
    imported = load(module, (3, 9, 12))
    assert (imported.undecided, len(imported.cases)) == ((), 1)


HELD_AT_EVERY_SIZE = {
    "written out": (lambda x: F.relu(x.view(-1, 12, 9, 12)), "Conv Reshape ReLU"),
    "asked as it always is": (
        lambda x: F.relu(x) if x.shape[2:] == F.relu(x).shape[2:] and x.size(2) > 0 else x,
        "Conv ReLU ReLU",
    ),
    "asserted as it always is": (lambda x: torch._assert(x.size(2) >= 1, "empty") or F.relu(x), "Conv ReLU"),
    "padded by nothing": (lambda x: F.relu(F.pad(x, (0, F.relu(x).size(3) - x.size(3), 0, 0))), "Conv ReLU ReLU"),
    "as many as there are": (lambda x: F.relu(x[:, : x.size(1)]), "Conv ReLU"),
    "a size as a number": (lambda x: x / x.size(3), "Conv Activation:div"),
    "half its size": (
        lambda x: F.max_pool2d(x, 2) + F.interpolate(x, size=(x.size(2) // 2, x.size(3) // 2)),
        "Conv MaxPool Resize Add",
    ),
    "to the size of a constant number": (
        lambda x: F.adaptive_avg_pool2d(x, 5) + F.interpolate(x, size=(5, 5)),
        "Conv AdaptivePool:avg Resize Add",
    ),
}


@pytest.mark.parametrize("name", HELD_AT_EVERY_SIZE)
def test_what_holds_at_every_size_is_no_reading_at_one(name):
    function, kind = HELD_AT_EVERY_SIZE[name]
    module = nn.Sequential(nn.Conv2d(12, 12, 1), Does(lambda s, x: function(x))).to("meta")
    for shape in ((12, "H", "W"), (12, 9, 12)):
        imported = load(module, shape)
        assert (kinds(imported.network), imported.undecided) == (kind, ())
        if name != "a size as a number":
            assert_that_torch_runs_at_these(module, imported, 12)


def test_behind_an_unknown_operation_sizes_are_those_of_torch():
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.FractionalMaxPool2d(2, (4, 5)),
        Does(lambda s, x: F.avg_pool2d(x, x.size()[2:]).flatten(1)),
    )
    assert kinds(load(module, (3, 9, 12)).network) == "Conv Unknown:FractionalMaxPool2d GlobalPool:avg Flatten"
    assert kinds(load(module).network) == "Conv Unknown:FractionalMaxPool2d Unknown:avg_pool2d Unknown:flatten"


def test_where_the_module_does_not_run_the_size_is_not_known():
    module = nn.Sequential(nn.Conv2d(3, 8, 5), Does(lambda s, x: F.avg_pool2d(x, x.size(2))))
    (why,) = load(module, (3, 4, 9)).notes.values()
    assert why == "not understood: the size of 0 is not known, as nothing tells it"


@pytest.mark.parametrize(
    ("padded", "least"),
    [
        (lambda: nn.ReflectionPad2d((3, 1, 0, 2)), 3),
        (lambda: nn.ReplicationPad2d(2), 1),
        (lambda: nn.CircularPad2d((0, 0, 4, 1)), 4),
        (lambda: nn.Conv2d(12, 3, 3, padding=2, padding_mode="reflect"), 3),
        (lambda: nn.Conv2d(12, 3, (1, 5), padding=(1, 2), padding_mode="circular"), 1),
    ],
)
def test_padding_by_the_image_itself(padded, least):
    """It takes as many rows as torch does; what it reads at the border is undecided."""
    module = nn.Sequential(padded()).to("meta")
    network = load(module, (12, "H", "W")).network
    valid, _ = size_sets(network, 0)
    for n in range(1, 12):
        try:
            shape = tuple(module(torch.empty(1, 12, n, 9, device="meta")).shape[1:])
        except RuntimeError:
            shape = None
        assert (n in valid) == (shape is not None)
        assert shape is None or output_shapes(on(network, n, 9))[network.output.name] == shape
    assert next(iter(valid)) == least
    assert any("at the border reads the image again" in each for each in analyze(network).undecided)


def test_lines_are_resized_like_others():
    module = Does(lambda s, x: F.interpolate(F.max_pool1d(x, 3), size=x.shape[2]))
    assert kinds(load(module, (4, "W")).network) == "MaxPool Resize"


def test_sizes_asked_of_layers_whose_results_nothing_reads():
    unread = Does(lambda s, x: (s.d(s.e(x)), F.relu(x))[1], d=nn.Conv2d(8, 8, 1), e=nn.Conv2d(4, 8, 1))
    assert load(unread, (4, "H", "W")).undecided == ()
    module = Does(lambda s, x: F.adaptive_avg_pool2d(x, s.d(x).shape[2:]), d=nn.Conv2d(4, 8, 1, 4))
    imported = load(module, (4, 24, 20))
    assert imported.undecided == ("d: what follows was read at 24x20, the given size, and may differ at others",)
    assert load(Does(lambda s, x: F.interpolate(x, size=(24, 24))), (4, 12, 12)).undecided == ()


def test_what_a_forward_does_with_sizes_alone_is_not_overlooked():
    """It may raise an error at some of them."""

    asserting = Does(lambda s, x: (torch._assert(x.size(2) % 32 == 0, "no multiple"), F.relu(x))[1])
    assert load(asserting, (3, 64, 9)).undecided == ()
    (refused,) = infer(load(asserting, (3, 65, 9)).network).refused.values()
    assert refused == "condition: Condition: 1 must be equal to 0, where the forward goes on"
    never = Does(lambda s, x: (torch._assert(x.size(2) < 1, "nothing"), F.relu(x))[1])
    with pytest.raises(InputError, match=r"_assert .*: this does not hold: nothing"):
        load(never, (3, 65, 9))


def test_a_constant_cut_to_the_size_of_the_image_is_read_at_one():
    module = Does(
        lambda s, x: x + s.bias[:, : x.size(1)] * s.table[: x.size(3)].mean(),
        bias=learned(1, 12, 1, 1),
        table=learned(99),
    )
    imported = load(module, (12, 8, 8))
    assert (imported.undecided, len(imported.cases)) == ((), 1)
    assert analyze(imported.network, cases=imported.cases).valid_sizes["W"].shown("n") == "all n >= 1"


def test_numbers_computed_of_sizes_are_not_taken_for_single_numbers():
    """They may be as many as the image is wide."""
    module = Does(lambda s, x: x * torch.arange(8.0).roll(1))
    imported = load(module, (12, "H", "W"))
    assert "Activation" not in kinds(imported.network)
    accepted = analyze(imported.network, cases=imported.cases).accepted
    assert [w for w in range(1, 20) if {"H": 3, "W": w} in accepted] == [1, 8]


@pytest.mark.parametrize(
    ("crop", "known"),
    [
        (lambda s, x: x[:, :, 2:].mean((2, 3)), False),
        (lambda s, x: s.n(torch.cat([x[:, :, 2:], x[:, :, :-2]], 1)).mean((2, 3)), False),
        (lambda s, x: F.pad(x[:, :, 2:], (0, 0, 0, 2)), False),
        (lambda s, x: F.relu(x[:, :, 2:]).amax((2, 3)), True),
        (lambda s, x: F.conv2d(x[:, :, 2:], s.w).mean((2, 3)), True),
        (lambda s, x: F.pad(x, (0, 0, -2, 2)), True),
        (lambda s, x: F.pad(x[:, :, 2:], (0, 0, 0, -2)), True),
    ],
)
def test_what_is_cropped_may_be_nothing_of_which_torch_makes_something(crop, known):
    module = Does(crop, n=nn.BatchNorm2d(8), w=nn.Parameter(torch.zeros(3, 4, 1, 1))).to("meta")
    imported = load(module, (4, "H", "W"))
    assert (imported.undecided == ()) == known
    assert "Unknown" not in kinds(imported.network)
    if known:
        assert_that_torch_runs_at_these(module, imported, 4)
    else:
        assert runs(module.eval(), 4, 2, 9)


def shuffle_viewed(x, between=lambda x: x):
    n, _, height, width = x.shape
    return between(x.view(n, 2, 2, height, width).transpose(1, 2)).view(n, 4, height, width)


@pytest.mark.parametrize(
    ("forward", "shape", "at"),
    [
        (lambda s, x: x[:, :, 1:-1, 1:-1].view(x.size(0), -1), (4, "H", "W"), (6, 6)),
        (lambda s, x: F.relu(x.transpose(2, 3)).view(x.size(0), -1), (4, "H", "W"), (6, 6)),
        (lambda s, x: shuffle_viewed(x), (4, "H", "W"), (4, 4)),
        (lambda s, x: x.transpose(2, 3).view(x.size(0), -1), (4, "H", "W"), (4, 4)),
        (lambda s, x: x.flatten(2).transpose(1, 2).view(x.size(0), -1), (4, "H", "W"), (2, 4)),
        (lambda s, x: x[:, :, 1:].chunk(2, 1)[0].view(-1, 8), (4, "W"), (5,)),
        (lambda s, x: F.avg_pool3d(x, 3, 1, 1), (1, 8, 8, 8), (1, 1, 1)),
        (lambda s, x: F.avg_pool3d(x, 3, 2, 0, True), (1, 8, 8, 8), (2, 2, 2)),
        (lambda s, x: F.lp_pool3d(x, 2.0, 3, 2, True), (1, 8, 8, 8), (2, 2, 2)),
        (lambda s, x: F.pad(x, (-3, 4), mode="circular"), (1, "W"), (5,)),
        (lambda s, x: F.pad(x, (2, -1), mode="circular"), (1, "W"), (2,)),
        (lambda s, x: F.interpolate(x, scale_factor=2, mode="bilinear"), (2, "W"), (8,)),
    ],
)
def test_what_torch_refuses_for_other_reasons_than_sizes_is_undecided(forward, shape, at):
    with pytest.raises((RuntimeError, ValueError, NotImplementedError)):
        forward(None, torch.zeros(1, shape[0], *at))
    imported = load(Does(forward), shape)
    assert len(imported.undecided) == 1 or accepted_sizes(imported.network).boxes is None


@pytest.mark.parametrize(
    "forward",
    [
        lambda s, x: shuffle_viewed(x, lambda x: x.contiguous()),
        lambda s, x: F.conv2d(x[:, :, 1:], s.w).view(x.size(0), -1),
        lambda s, x: torch.cat(x.chunk(2, 1), 1).view(x.size(0), -1),
        lambda s, x: x[:, :, 1:].reshape(x.size(0), -1),
        lambda s, x: F.relu(x[:]).view(x.size(0), -1),
        lambda s, x: F.pad(x, (0, 0, -2, -1), mode="circular"),
        lambda s, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        lambda s, x: F.avg_pool2d(x, 3, 2, 1, True),
    ],
)
def test_views_of_what_is_contiguous_are_read(forward):
    module = Does(forward, w=nn.Parameter(torch.zeros(3, 4, 1, 1))).to("meta")
    imported = load(module, (4, "H", "W"))
    assert imported.undecided == ()
    assert_that_torch_runs_at_these(module, imported, 4)


def test_rows_of_rows_are_not_counted():
    """How many rows of 16 there are depends on all rows of 8, not on one of them."""
    module = Does(lambda s, x: s.l(x.view(-1, 8).view(-1, 16)), l=nn.Linear(16, 3)).to("meta")
    assert runs(module, 2, 4, 4)
    assert accepted_sizes(load(module, (2, 4, 4)).network).boxes is None


def test_what_is_added_in_place_must_have_the_size_for_it():
    """As it comes, the other one may be repeated, too."""

    def added(s, x):
        y = F.max_pool2d(x, 4)
        y += x
        return y

    assert accepted_sizes(load(Does(added), (4, "H", "W")).network).empty
    assert load(Does(lambda s, x: F.max_pool2d(x, 4) + x), (4, "H", "W")).undecided == ()
    assert load(Does(lambda s, x: s.c(x).add_(x), c=nn.Conv2d(4, 4, 3, padding=1)), (4, "H", "W")).undecided == ()


@pytest.mark.parametrize("change", ["hook", "hook before", "forward", "another class"])
def test_what_a_module_does_instead_of_its_class_is_not_overlooked(change):
    class Strided(nn.Conv2d):
        def _conv_forward(self, x, weight, bias):
            return F.conv2d(x, weight, bias, 2)

    conv = Strided(3, 8, 3) if change == "another class" else nn.Conv2d(3, 8, 3)
    if change == "hook":
        conv.register_forward_hook(lambda module, inputs, y: F.max_pool2d(y, 2))
    if change == "hook before":
        conv.register_forward_pre_hook(lambda module, inputs: (F.pad(inputs[0], (1, 1, 1, 1)),))
    if change == "forward":
        conv.forward = lambda x: F.conv2d(x, conv.weight, conv.bias, 2)
    module = nn.Sequential(conv)
    network = load(module, (3, "H", "W")).network
    if change != "another class":
        assert kinds(network) == "Unknown:another Conv2d"
        return
    assert output_shapes(on(network, 13, 12))[network.output.name] == tuple(module(torch.zeros(1, 3, 13, 12)).shape[1:])


# --- what no layer kind describes -------------------------------------------------------------------------------------


def followed(x):
    return F.max_pool2d(x, 2)


torch.fx.wrap("followed")


def test_functions_that_fx_was_to_leave_alone_are_followed():
    module = nn.Sequential(nn.Conv2d(3, 8, 1), Does(lambda s, x: followed(x)))
    assert kinds(load(module).network) == "Conv MaxPool"
    assert torch.fx.symbolic_trace(Does(lambda s, x: followed(x))).code.count("followed")


def not_followed(x):
    return x * float(x.mean())


torch.fx.wrap("not_followed")


def test_a_function_that_cannot_be_followed_is_left_alone():
    module = nn.Sequential(nn.Conv2d(3, 8, 1), Does(lambda s, x: not_followed(x)), nn.ReLU())
    assert kinds(load(module).network) == "Conv Unknown:not_followed ReLU"


def test_parts_of_what_is_changed_in_place_are_changed_too():
    """What an output sees is what was added, too."""

    def function(s, x):
        part = x[:, :2]
        x += F.max_pool2d(x, 3, 1, 1)
        return s.last(part)

    module = nn.Sequential(nn.Conv2d(3, 8, 1), Does(function, last=nn.Conv2d(2, 4, 1)))
    found = analyze(load(module, (3, 9, 9)).network)
    assert found.rows[-1].receptive_field in (None, (3, 3))


LAID_OUT = {
    "half of the channels": (lambda x: x[:, :6].view(x.size(0), 3, 2, -1), True),
    "every second channel": (lambda x: x[:, ::2].view(x.size(0), -1), False),
    "chunk of the channels": (lambda x: x.chunk(2, 1)[0].view(x.size(0), -1), True),
    "last columns": (lambda x: x[..., 1:].view(x.size(0), -1), False),
    "turned": (lambda x: x.transpose(1, 2).view(x.size(0), -1), False),
    "turned, divided": (lambda x: x.flatten(2).transpose(1, 2).view(x.size(0), -1, 3, 4), True),
    "turned, in a row": (lambda x: x.transpose(1, 2).flatten(1).view(x.size(0), -1, 2), True),
}


@pytest.mark.parametrize("name", LAID_OUT)
def test_a_view_of_what_is_not_contiguous_is_undecided(name):
    """Where it is known to be, torch runs."""
    function, known = LAID_OUT[name]
    module = nn.Sequential(nn.Conv2d(12, 12, 1), Does(lambda s, x: function(x)))
    assert (load(module).undecided == ()) == known
    if known:
        module(torch.zeros(1, 12, 5, 6))
    else:
        with pytest.raises(RuntimeError, match="view"):
            module(torch.zeros(1, 12, 5, 6))


UNKNOWN = {
    "pooled along one axis": (nn.AdaptiveAvgPool2d((None, 4)), "AdaptiveAvgPool2d", "it keeps the size of an axis"),
    "function": (lambda x: torch.logcumsumexp(x, 1), "logcumsumexp", "no layer kind does what it does"),
    "method": (lambda x: x.renorm(2, 1, 5), "renorm", "no layer kind does what it does"),
    "rows apart": (lambda x: x.chunk(2, 2)[0], "getitem", None),
    "rows beside images": (lambda x: x.view(-1, 24) + x.mean((2, 3)).view(1, 12), "add",
                           "it combines the batch with another axis"),
    "other weights": (lambda x: F.conv2d(x, x), "conv2d", "its weights are computed"),
    "other images": (lambda x: torch.cat([x, x]), "cat", "it works along the batch"),
    "statistics of the batch": (nn.BatchNorm2d(12, track_running_stats=False), "BatchNorm2d",
                                "it normalizes by the statistics of what it reads"),
    "statistics of the batch, function": (lambda x: F.batch_norm(x, None, None, training=True), "batch_norm",
                                          "it normalizes by the statistics of what it reads"),
    "result elsewhere": (lambda x: torch.add(x, 1, out=torch.empty(1)), "add", "it changes another tensor too"),
    "gate of fewer axes": (lambda x: x * x.mean((2, 3)).unsqueeze(-1), "mul", "it combines the batch with another axis"),
    "settings": (nn.Upsample(), "Upsample", None),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_no_layer_kind_describes_is_unknown_and_the_rest_goes_on(name):
    what, op, why = UNKNOWN[name]
    parts = {"part": what} if isinstance(what, nn.Module) else {}
    module = nn.Sequential(nn.Conv2d(12, 12, 1), Does(lambda s, x: s.part(x) if parts else what(x), **parts), nn.ReLU())
    imported = load(module)
    *_, unknown, relu = list(imported.network)
    assert (unknown.layer.op, type(relu.layer).__name__, relu.operands) == (op, "ReLU", (unknown.name,))
    if why is not None:
        assert imported.notes[unknown.name] == f"not understood: {why}"
    assert "0" in unknown.operands or len(imported.network) > 4
    if parts:
        assert set(imported.parameters.get(unknown.name, ())) == {f"1.part.{n}" for n, _ in what.named_parameters()}


def written(x):
    y = F.relu(x)
    y[:, :2, :1] += 1
    y.chunk(2, 1)[0].add_(y[:, 7:8])
    return y


class Crossed(nn.Module):
    """Queries of one width, keys and values of another number of positions."""

    def __init__(self):
        super().__init__()
        self.conv, self.attention = nn.Conv2d(3, 8, 1), nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        tokens = self.conv(x).flatten(2).transpose(1, 2)
        return self.attention(tokens[:, :2], tokens, tokens)[0]


def test_attention_reads_queries_and_keys_of_their_own():
    """Multiply-adds: two projections of the queries, two of the keys and values, and the two products."""
    imported = load(Crossed(), (3, 3, 4))
    found = analyze(imported.network, imported.parameters, stored=imported.stored)
    assert (found.rows[-1].output, found.rows[-1].params) == ((2, 8), 4 * 8 * 8 + 4 * 8)
    assert found.rows[-1].macs == 2 * 2 * 8 * 8 + 2 * 12 * 8 * 8 + 2 * 2 * 12 * 8


def test_what_fails_at_every_size_is_accepted_at_none():
    module = nn.Sequential(nn.Conv2d(12, 12, 1), Does(lambda s, x: x.narrow(2, -3, 5)))
    assert accepted_sizes(load(module).network).empty
    module = nn.Sequential(nn.Conv2d(12, 12, 1), Does(lambda s, x: x.narrow(1, 7, 6)))
    assert accepted_sizes(load(module).network).empty


SHAPED = {
    "another axis ahead": lambda x: (x.mean((2, 3)) + torch.zeros(1, 1, 12)).relu(),
    "more channels": lambda x: F.pad(x, (0, 0, 0, 0, 1, 1)),
    "several numbers": lambda x: torch.clamp(x[:, :1], min=torch.ones(8, 1, 1)),
    "summed along": lambda x: torch.cumsum(x, 1),
    "rolled": lambda x: x.roll(1, 2),
    "written to": written,
    "part changed in place": lambda x: x.chunk(2, 1)[0].add_(1),
    "rows": lambda x: x.narrow(2, 2, 3),
    "one row": lambda x: x[:, :, 2] + x.select(2, -1),
    "stacked before the batch": lambda x: torch.stack([x, x.relu()]).sum(0),
    "three of them": lambda x: torch.addcmul(x, x.mean(1, keepdim=True), torch.ones(12, 1, 1)),
    "attention of torch": lambda x: F.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)[:, None]] * 3).squeeze(1),
    "masked attention": lambda x: F.scaled_dot_product_attention(*[x.flatten(2).transpose(1, 2)] * 3, torch.zeros(1, 20, 20)),
    "few keys": lambda x: (lambda t: F.scaled_dot_product_attention(t, t[:, :1], t[:, :1]))(x.flatten(2).transpose(1, 2)),
    "from the end": lambda x: x.narrow(2, -3, 2),
    "past the end": lambda x: x[:, :, :4].narrow(2, -2, 2),
    "zeros beside it": lambda x: torch.zeros_like(x) + x.relu(),
    "heads": lambda x: (
        x.flatten(2).transpose(1, 2).reshape(x.size(0), -1, 3, 2, 2).permute(2, 0, 3, 1, 4).unbind(0)[1].matmul(torch.ones(2, 5))
    ),
    "windows": lambda x: (
        x.view(x.size(0), 12, x.size(2) // 2, 2, x.size(3) // 2, 2)
        .permute(0, 2, 4, 3, 5, 1).reshape(-1, 4, 12).reshape(x.size(0), x.size(2) // 2, x.size(3) // 2, 48)
    ),
    "einsum": lambda x: torch.einsum("nchw,ndhw->ncd", x, x),
    "grid": lambda x: x + torch.stack(torch.meshgrid(torch.arange(x.size(2)), torch.arange(x.size(3)), indexing="ij")).sum(0),
    "in a pattern": lambda x: x.repeat(1, 1, 2, 1).repeat_interleave(3, 3),
    "unbound": lambda x: sum(x.unbind(1)[:3])[:, None],
    "split rows": lambda x: x.permute(0, 2, 3, 1).split([4, 8], -1)[1],
    "normalized": lambda x: F.layer_norm(x, (12, 9, 7)),
    "quotient": lambda x: x / x.mean((2, 3), keepdim=True).sigmoid(),
    "difference": lambda x: torch.maximum(x[:, :, 1:-1, 1:-1] - F.avg_pool2d(x, 3, 1), x[:, :, 2:, 2:]),
    "with indices": lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
    "other axis": lambda x: torch.cat([x, x], 2),
    "stacked": lambda x: torch.stack([x, F.max_pool2d(x, 3, 1, 1)], 1).sum(1),
    "softmax over rows": lambda x: F.softmax(x, 2),
    "mean over rows": lambda x: x.mean(2),
    "largest channel": lambda x: torch.max(x, 1, keepdim=True)[0] * x,
    "by 1.5": lambda x: F.interpolate(x, scale_factor=1.5),
    "by a half": lambda x: F.interpolate(x, scale_factor=(0.5, 0.75)),
    "resized": lambda x: F.interpolate(x, size=(18, 36)),
    "fewer channels": lambda x: x[:, ::2],
    "every second": lambda x: torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2]], 1),
    "tokens": lambda x: x.flatten(2).transpose(1, 2),
    "per position": lambda x: F.linear(x, torch.ones(5, 7)),
    "table": lambda x: x + torch.zeros(12, 9, 7),
    "row": lambda x: x * torch.zeros(5),
    "channels last": lambda x: F.linear(F.layer_norm(x.permute(0, 2, 3, 1), (12,)), torch.ones(6, 12)).permute(0, 3, 1, 2),
    "blocks": lambda x: x.view(x.size(0), 12, x.size(2) // 2, 2, x.size(3) // 2, 2).permute(0, 3, 5, 1, 2, 4).flatten(1, 3),
    "attention": lambda x: torch.softmax(x.flatten(2).transpose(1, 2) @ x.flatten(2), -1) @ x.flatten(2).transpose(1, 2),
    "in rows": lambda x: x.reshape(x.size(0), 4, 3, x.size(2), x.size(3)).sum((1, 3)),
    "columns": lambda x: F.unfold(x, 3, stride=2),
    "folded": lambda x: F.fold(F.unfold(x, 2, stride=2), x.shape[2:], 2, stride=2),
    "unpooled": lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2, output_size=x.shape[2:]),
    "repeated": lambda x: x.mean(3, keepdim=True).expand(-1, -1, -1, x.size(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPED)
def test_tensors_of_any_rank_have_the_shapes_that_torch_gives_them(name):
    """And are accepted at the sizes at which torch runs and leaves something."""
    function = SHAPED[name]
    module = nn.Sequential(nn.Conv2d(12, 12, 1), Does(lambda s, x: function(x))).eval().requires_grad_(False)
    imported = load(module, (12, "H", "W"))
    assert "Unknown" not in kinds(imported.network)
    accepted = analyze(imported.network, cases=imported.cases).accepted
    for h, w in itertools.product((1, 2, 3, 4, 5, 6, 9, 10), (1, 2, 3, 5, 6, 7, 8)):
        try:
            shape = tuple(module(torch.zeros(1, 12, h, w)).shape[1:])
        except (RuntimeError, ValueError, IndexError):
            shape = None
        runs = shape is not None and 0 not in shape
        assert accepted.boxes is not None or imported.undecided, accepted
        assert accepted.boxes is None or ({"H": h, "W": w} in accepted) == runs, (h, w, shape)
        if runs and h in (4, 9) and w in (6, 7):
            network = load(module, (12, h, w)).network
            assert output_shapes(network)[network.output.name] == shape


TAKEN = {
    "divisor": (nn.AvgPool2d(2, divisor_override=3), "divides by a number of its own: sizes and costs are the same"),
    "ones": (
        nn.ConstantPad2d(1, 1.0),
        "pads by another number than 0, which is taken as zeros: sizes and costs are the same",
    ),
    "weighted sum": (lambda x: torch.add(x, F.relu(x), alpha=0.5), "multiplies one of the branches by a number"),
    "no scale": (nn.BatchNorm2d(12, affine=False), "learns nothing; it is taken as a fixed function of each element"),
    "weight norm": (
        nn.utils.parametrizations.weight_norm(nn.Conv2d(12, 3, 3)),
        "its weights are computed from 1.part.parametrizations.weight.original0, "
        "1.part.parametrizations.weight.original1, too",
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_for_something_else_is_said(name):
    what, text = TAKEN[name]
    parts = {"part": what} if isinstance(what, nn.Module) else {}
    module = nn.Sequential(nn.Conv2d(12, 12, 1), Does(lambda s, x: s.part(x) if parts else what(x), **parts))
    imported = load(module.eval(), (12, 9, 7))
    assert imported.notes == {imported.network.output.name: text}
    theirs = tuple(module(torch.zeros(1, 12, 9, 7)).shape[1:])
    assert output_shapes(imported.network)[imported.network.output.name] == theirs
    assert imported.learned == sum(each.numel() for each in module.parameters())


# --- elements on other axes, against NumPy ----------------------------------------------------------------------------


def places(view, sizes, numbers):
    """Where in x the elements of the view stand, by the numbers of its axes."""
    found = np.zeros(1, int)
    for axis in view.axes:
        for atom in axis:
            n = numbers.get(atom.size, atom.size)
            found = found[..., None] + np.arange(n) * atom.inner * math.prod(sizes[atom.axis + 1 :])
    return found.reshape([math.prod(numbers.get(atom.size, atom.size) for atom in axis) for axis in view.axes])


def divided(rng, size):
    """Factors of a number, in any order."""
    if size == 1 or rng.random() < 0.3:
        return [size]
    first = rng.choice([d for d in range(2, size + 1) if size % d == 0])
    return [first, *divided(rng, size // first)]


def reshaped(rng, view):
    """The sizes of the view, divided or put together, and perhaps one of them left open."""
    target = [part for n in view.sizes() for part in (divided(rng, n) if isinstance(n, int) else [n])]
    place = rng.randrange(len(target))
    if rng.random() < 0.5:
        target[place : place + 2] = [times(target[place : place + 2])]
    else:
        target.insert(place, 1)
    return target, rng.choice([None, rng.randrange(len(target))])


def test_views_are_those_of_numpy():
    """Reshapes and permutations one after the other, where some of the sizes have no number."""
    refused = 0
    for seed in range(500):
        rng = random.Random(seed)
        sizes = [rng.choice([1, 2, 4, 6, 7, 12]) for _ in range(rng.randint(2, 5))]
        extents = [symbol(f"n{axis}") if rng.random() < 0.4 else n for axis, n in enumerate(sizes)]
        numbers, axes = dict(zip(extents, sizes, strict=True)), own_axes(extents)
        view, array = View(Flow("x", tuple(extents), "x"), axes, axes), np.arange(math.prod(sizes)).reshape(sizes)
        for _ in range(4):
            order = rng.sample(range(array.ndim), array.ndim)
            view, array = view.on(view.axes[axis] for axis in order), array.transpose(order)
            target, left_open = reshaped(rng, view)
            shape = [n if isinstance(n, int) else int(n.xreplace(numbers)) for n in target]
            try:
                view = view.reshaped([-1 if place == left_open else n for place, n in enumerate(target)])
            except Inexpressible:  # 12 made of 3 and 4 cannot be 2 and 6
                refused += 1
                continue
            array = array.reshape(shape)
            assert (places(view, sizes, numbers) == array).all()
    assert refused < 20


def test_sizes_that_do_not_divide_are_refused():
    n, x, y = symbols("n x y")
    axes = own_axes([n, 6, x])
    view = View(Flow("x", None, "x"), axes, axes)
    for target in ([n, 4, -1], [x, -1], [-1, 3, y], [n, 6], [-1, 0]):
        with pytest.raises(Inexpressible):
            view.reshaped(target)


CHANNELS_LAST = {
    "normalized": lambda s, x: s.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
    "perceptron": lambda s, x: s.down(F.gelu(s.up(x.permute(0, 2, 3, 1))) * s.gamma).permute(0, 3, 1, 2) + x,
    "gated": lambda s, x: (lambda a, b: (a * b.sigmoid()).movedim(-1, 1))(*s.up(x.movedim(1, -1)).chunk(2, -1)),
    "attended": lambda s, x: x * torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1).softmax(1)[:, :1],
}


@pytest.mark.parametrize("name", CHANNELS_LAST)
def test_fields_are_followed_where_channels_stand_last(name):
    """As they are measured by gradients."""
    parts = {"norm": nn.LayerNorm(6), "up": nn.Linear(6, 12), "down": nn.Linear(12, 6)}
    parts |= {"gamma": nn.Parameter(torch.rand(12))}
    does = Does(CHANNELS_LAST[name], **parts)
    module = nn.Sequential(nn.Conv2d(3, 6, 3, 2), does, nn.Conv2d(6, 4, (3, 5))).double()
    imported = load(module.eval(), (3, 31, 33))
    row = analyze(imported.network).rows[-1]
    x = torch.rand(1, 3, 31, 33, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(module(x)[0, :, 1, 2].square().sum(), x)
    seen = g[0].abs().sum(0).nonzero()
    (top, left), (bottom, right) = (tuple(each.tolist()) for each in (seen.min(0).values, seen.max(0).values))
    assert row.receptive_field == (bottom - top + 1, right - left + 1)
    assert row.receptive_field_exact
    assert tuple(o + j * k for o, j, k in zip(row.offset, row.jump, (1, 2), strict=True)) == (top, left)


def test_axes_that_were_turned_are_not_taken_for_those_of_the_image():
    module = nn.Sequential(nn.Conv2d(3, 6, 3), Does(lambda s, x: x.transpose(2, 3)), nn.Conv2d(6, 4, (3, 1)))
    found = analyze(load(module, (3, 9, 12)).network)
    assert (found.rows[-1].output, found.rows[-1].receptive_field) == ((4, 8, 7), None)
    assert any("reordered" in why for why in found.undecided)


def test_a_size_that_must_be_a_number_in_one_case_is_no_error_of_the_forward():
    """What cannot be followed there is undecided, and not refused."""

    def root(s, x):
        if x.shape[2] != 8:
            x = x[..., : int(x.shape[3] ** 0.5)]
        return x

    found = load(nn.Sequential(nn.Conv2d(3, 4, 3), Does(root)))
    assert any("must be known" in why for why in found.undecided)


def test_a_remainder_that_may_be_left_decides_nothing():
    """A size that goes down and up again is the same where nothing was left over, and that is a case."""

    def same(s, x):
        y = s.up(s.down(x))
        assert y.shape[2:] == x.shape[2:]
        return y

    parts = {"down": nn.Conv2d(4, 4, 4, 2, 1), "up": nn.ConvTranspose2d(4, 4, 4, 2, 1)}
    module = nn.Sequential(nn.Conv2d(3, 4, 1), Does(same, **parts))
    found = load(module)
    accepted = accepted_sizes(found.network, found.cases)
    for sizes in ((4, 4), (5, 4), (4, 5), (7, 7), (8, 2), (1, 1)):
        assert (dict(zip("HW", sizes, strict=True)) in accepted) == all(n % 2 == 0 for n in sizes)
