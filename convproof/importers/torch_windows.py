"""PyTorch's layers with windows: convolutions, pools, pads and upsampling. One rule serves modules and functions."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from convproof.architecture import layers
from convproof.errors import InputError
from convproof.importers.torch_graph import Call, Rule
from convproof.importers.torch_values import Formula, Product, Size, over, parts
from convproof.importers.values import Constant, Extent, Flow, Inexpressible, axis_of, short, short_pads
from convproof.symbolic.floordiv import floordiv, normal, symbol

# --- convolutions -----------------------------------------------------------------------------------------------------


def weight_shape(call: Call) -> tuple[int, ...]:
    """The shape of the weights that a function is given."""
    weight = call.raw("weight")
    if not isinstance(weight, Constant) or weight.shape is None:
        raise Inexpressible("its weights are computed")
    return weight.shape


def with_weight(call: Call, made: Flow) -> Flow:
    """The layer of a function, with a note if its weights are not as they are stored."""
    weight: Any = call.settings.get("weight")
    names = weight.sources if isinstance(weight, Constant) else ()
    if names and [call.graph.stored[name] for name in names] != [weight.shape]:
        call.note(made, f"its weights are made of {', '.join(names)}, which count once for all layers")
    return made


def _filters(call: Call, transposed: bool) -> tuple[int, int, tuple[int, ...]]:
    """Channels of the output and of the input, and the kernel."""
    if call.module is not None:
        return call.module.out_channels, call.module.in_channels, call.module.kernel_size
    shape, groups = weight_shape(call), call.get("groups", 1)
    if len(shape) != call.rank + 2:
        raise InputError(f"weights of shape {shape} are not for {call.rank} spatial axes")
    ends = (shape[1] * groups, shape[0]) if transposed else (shape[0], shape[1] * groups)
    return *ends, shape[2:]


def _conv(call: Call) -> Flow:
    out, channels, kernel = _filters(call, transposed=False)
    padding = call.get("padding", 0)
    if isinstance(padding, str):
        padding = {"same": layers.SAME_UPPER, "valid": 0}[padding]  # of an odd sum, the larger half goes behind
    else:
        padding = call.per_axis("padding", 0)
    call.graph.need(call.x, call.rank + 2, channels)
    strides, dilations, groups = call.per_axis("stride", 1), call.per_axis("dilation", 1), call.get("groups", 1)
    layer = layers.Conv(out, short(kernel), strides, padding, dilations, groups, call.has_bias)
    x, mode = call.x, call.get("padding_mode", "zeros")
    if mode != "zeros":
        if padding == layers.SAME_UPPER:
            raise Inexpressible(f"it pads by {mode}, as much as keeps the size")
        x = call.add(layers.Pad(padding, mode), [x], x.shape and (x.shape[1], *(None for _ in x.shape[2:])), ".pad")
        layer = replace(layer, padding=0)
    return with_weight(call, call.windows(layer, x, out))


def _zeros(call: Call, made: Flow) -> Flow:
    if call.get("value"):
        call.note(made, "pads by another number than 0, which is taken as zeros: sizes and costs are the same")
    return made


def _conv_transpose(call: Call) -> Flow:
    out, channels, kernel = _filters(call, transposed=True)
    call.graph.need(call.x, call.rank + 2, channels)
    layer = layers.ConvTranspose(
        out,
        short(kernel),
        call.per_axis("stride", 1),
        call.per_axis("padding", 0),
        call.per_axis("output_padding", 0),
        call.get("groups", 1),
        call.has_bias,
        call.per_axis("dilation", 1),
    )
    return with_weight(call, call.windows(layer, call.x, out))


# --- pools ------------------------------------------------------------------------------------------------------------


def _pool(kind: str) -> Rule:
    def rule(call: Call) -> Flow:
        x = call.x
        call.graph.need(x, call.rank + 2)
        if call.get("return_indices", False):
            raise Inexpressible("it also returns where the maxima are")
        padding, ceil_mode = call.per_axis("padding", 0), call.get("ceil_mode", False)
        if kind != "lp" and padding == 0 and _covers_all(call):
            return _over_all(call, x, kind)
        kernel, stride = call.per_axis("kernel_size"), call.per_axis("stride")
        if any(2 * p > k for p, k in zip(call.spread(padding, call.rank), call.spread(kernel, call.rank), strict=True)):
            raise InputError(f"padding={padding} is more than half of kernel_size={kernel}")
        if kind == "max":
            return call.windows(layers.MaxPool(kernel, stride, padding, call.per_axis("dilation", 1), ceil_mode), x)
        if kind == "lp":
            return call.windows(layers.LpPool(call.get("norm_type"), kernel, stride, ceil_mode), x)
        counted = call.get("count_include_pad", True)
        made = call.windows(layers.AvgPool(kernel, stride, padding, ceil_mode, counted), x)
        if call.get("divisor_override") is not None:
            call.note(made, "divides by a number of its own: sizes and costs are the same")
        return made

    return rule


def _covers_all(call: Call) -> bool:
    """Whether a window is asked for as large as the input, whatever its size."""
    kernel = call.spread(call.raw("kernel_size"), call.rank)
    return any(isinstance(n, Extent) for n in kernel) and kernel == call.graph.extents(call.x)[2:]


def _over_all(call: Call, x: Flow, kind: str, part: str = "") -> Flow:
    shape = None if x.shape is None else (x.shape[1], *(1 for _ in x.shape[2:]))
    return call.add(layers.GlobalPool(kind), [x], shape, part)


def _adaptive_pool(kind: str) -> Rule:
    def rule(call: Call) -> Flow:
        x = call.x
        call.graph.need(x, call.rank + 2)
        if call.get("return_indices", False):
            raise Inexpressible("it also returns where the maxima are")
        wanted = call.spread(call.get("output_size"), call.rank)
        if set(wanted) == {1}:
            return _over_all(call, x, kind)
        if None in wanted:
            raise Inexpressible("it keeps the size of an axis")
        shape = None if x.shape is None else (x.shape[1], *wanted)
        return call.add(layers.AdaptivePool(short(wanted), kind), [x], shape)

    return rule


def _reduce(kind: str) -> Rule:
    def rule(call: Call) -> Flow:
        x, axes = call.x, call.get("dim", call.get("axis", ()))
        rank = len(call.graph.extents(x))
        over = sorted(axis_of(axis, rank) for axis in (axes if isinstance(axes, tuple | list) else [axes]))
        if rank < 3 or over != list(range(2, rank)):
            raise Inexpressible("it reduces other axes than all spatial ones")
        if call.get("keepdim", call.get("keepdims", False)):
            return _over_all(call, x, kind)
        pooled = _over_all(call, x, kind, ".pool")
        return call.add(layers.Flatten(), [pooled], x.shape and x.shape[1:2])

    return rule


# --- pads and upsampling ----------------------------------------------------------------------------------------------


def _pad(call: Call) -> Flow:
    """Zeros around the image; the numbers come in pairs, for the last axis first."""
    x, rank = call.x, len(call.graph.extents(call.x)) - 2
    if (like := _padded_to(call, x)) is not None and call.get("mode", "constant") == "constant":
        made = call.add(layers.PadTo(), [x, like], (call.graph.shape(x)[1], *call.graph.shape(like)[2:]))
        return _zeros(call, made)
    given = call.get("pad", call.get("padding"))
    numbers = call.spread(given, 2 * rank)
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if any(pair != (0, 0) for pair in pairs[rank:]):
        raise Inexpressible("it pads the channels or the batch")
    pairs += [(0, 0)] * (rank - len(pairs))
    if not any(map(any, pairs)):
        return x
    mode = call.get("mode", re.sub(r"Pad\dd$", "", call.op).lower())
    mode = {"zero": "zeros", "constant": "zeros", "reflection": "reflect", "replication": "replicate"}.get(mode, mode)
    made = call.windows(layers.Pad(short_pads(pairs[:rank][::-1]), mode), x)
    return _zeros(call, made)


def _padded_to(call: Call, x: Flow) -> Flow | None:
    """What has the size that x is padded or cropped to, half of what is missing before, if that is what is done."""
    raw, have = call.raw("pad"), call.graph.extents(x)[2:]
    if not isinstance(raw, tuple | list) or len(raw) != 2 * len(have):
        return None
    wanted = []
    for before, after, n in zip(raw[-2::-2], raw[::-2], have, strict=True):
        others = {*_sizes_in(before)} - {n}
        if len(others) != 1 or not isinstance(n, Extent):
            return None
        names = {n: symbol("n"), (m := others.pop()): symbol("m")}
        missing = names[m] - names[n]
        try:
            pads = [_in_letters(each, names) for each in (before, after)]
        except Inexpressible:
            return None
        if normal(pads[0] - floordiv(missing, 2)) != 0 or normal(sum(pads) - missing) != 0:
            return None
        wanted.append(m)
    return call.graph.like(wanted)


def _sizes_in(value: Any) -> Iterator[Extent]:
    """The sizes that a formula hangs on."""
    if isinstance(value, Formula):
        for each in value.operands:
            yield from _sizes_in(each)
    elif isinstance(value, Extent | Product):
        yield from parts(value)[1]


def _in_letters(value: Any, names: Mapping[Extent, Any]) -> Any:
    """A formula in letters for the sizes in it."""
    if isinstance(value, Formula):
        found = [_in_letters(each, names) for each in value.operands]
        return floordiv(*found) if value.function is operator.floordiv else normal(value.function(*found))
    if isinstance(value, int):
        return value
    factor, extents = parts(value) if isinstance(value, Size) else (0, ())
    if not extents or not {*extents} <= names.keys():
        raise Inexpressible("it hangs on other sizes")
    return normal(math.prod([factor, *(names[each] for each in extents)]))


_MODES = {
    "nearest": "nearest",
    "nearest-exact": "nearest",
    "linear": "bilinear",
    "bilinear": "bilinear",
    "trilinear": "bilinear",
}


def _upsample(call: Call) -> Flow:
    x, mode = call.x, call.get("mode", "nearest")
    mode = "other" if call.get("align_corners") or call.get("antialias") else _MODES.get(mode, "other")
    have = call.graph.extents(x)[2:]
    size = () if call.raw("size") is None else tuple(call.spread(call.raw("size"), len(have)))
    like = call.graph.like(size) if size else None
    if like is not None and size != have:
        mode = "other" if call.get("mode") == "nearest-exact" else mode
        return call.add(layers.Resize(mode), [x, like], (call.graph.shape(x)[1], *size))
    factors = _factors(call, have)
    if any(n != int(n) or n < 1 for n in factors):
        raise Inexpressible("its factors are not whole numbers")
    if set(factors) == {1}:
        return x
    return call.windows(layers.Upsample(short([int(n) for n in factors]), mode), x)


def _factors(call: Call, have: Sequence[Size]) -> tuple[Any, ...]:
    """The factor along each axis; that of a size which is asked for is what it has at the given image."""
    if call.raw("size") is None:
        return call.spread(call.get("scale_factor"), len(have))
    return tuple(_factor(call, *each) for each in zip(call.spread(call.raw("size"), len(have)), have, strict=True))


def _factor(call: Call, wanted: Any, have: Size) -> Any:
    try:
        if isinstance(factor := over(wanted, have), int):
            return factor
    except (Inexpressible, TypeError):
        pass
    return call.graph.resolved(wanted) / call.graph.number(have)


_CONV = "input weight bias stride padding dilation groups"
_CONV_TRANSPOSE = "input weight bias stride padding output_padding groups dilation"
_MAX_POOL = "input kernel_size stride padding dilation ceil_mode return_indices"
_AVG_POOL = "input kernel_size stride padding ceil_mode count_include_pad divisor_override"
_LP_POOL = "input norm_type kernel_size stride ceil_mode"


def _shuffled(kind: Callable[[int], layers.Layer], name: str) -> Rule:
    def rule(call: Call) -> Flow:
        x, layer = call.x, kind(call.get(name))
        if x.shape is None:
            return call.add(layer, [x], None)
        if len(x.shape) != 4:
            raise Inexpressible("it works on the last three of other than four axes")
        block, channels = call.get(name) ** 2, None
        if isinstance(x.shape[1], int):
            channels = x.shape[1] * block if kind is layers.PixelUnshuffle else x.shape[1] // block
        return call.add(layer, [x], (channels, None, None))

    return rule


MODULES: dict[str, Rule] = {
    "PixelShuffle": _shuffled(layers.PixelShuffle, "upscale_factor"),
    "PixelUnshuffle": _shuffled(layers.PixelUnshuffle, "downscale_factor"),
    "Upsample": _upsample,
}
FUNCTIONS: dict[str, tuple[Rule, str]] = {
    "amax": (_reduce("max"), "input dim keepdim"),
    "interpolate": (_upsample, "input size scale_factor mode align_corners recompute_scale_factor antialias"),
    "mean": (_reduce("avg"), "input dim keepdim"),
    "pixel_shuffle": (MODULES["PixelShuffle"], "input upscale_factor"),
    "pixel_unshuffle": (MODULES["PixelUnshuffle"], "input downscale_factor"),
    "pad": (_pad, "input pad mode value"),
}
for _rank in "123":
    for _module, _function, _rule, _order in (
        ("Conv", "conv", _conv, _CONV),
        ("ConvTranspose", "conv_transpose", _conv_transpose, _CONV_TRANSPOSE),
        ("MaxPool", "max_pool", _pool("max"), _MAX_POOL),
        ("AvgPool", "avg_pool", _pool("avg"), _AVG_POOL),
        ("LPPool", "lp_pool", _pool("lp"), _LP_POOL),
        ("AdaptiveAvgPool", "adaptive_avg_pool", _adaptive_pool("avg"), "input output_size"),
        ("AdaptiveMaxPool", "adaptive_max_pool", _adaptive_pool("max"), "input output_size return_indices"),
    ):
        MODULES[f"{_module}{_rank}d"] = _rule
        FUNCTIONS[f"{_function}{_rank}d"] = _rule, _order
    for _module in ("ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
        MODULES[f"{_module}{_rank}d"] = _pad
