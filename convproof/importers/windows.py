"""PyTorch's layers with windows: convolutions, pools, pads and upsampling. One rule serves modules and functions."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from convproof.architecture import SAME_UPPER, Layer, layers
from convproof.errors import InputError
from convproof.importers.calls import Call, Rule
from convproof.importers.sizes import Size, combine, is_formula, minus, over, plus
from convproof.importers.values import Constant, Flow, Indices, Inexpressible, axis_of, short, short_pads
from convproof.symbolic import floordiv, normal

# --- convolutions -----------------------------------------------------------------------------------------------------


def weight_shape(call: Call) -> tuple[int, ...]:
    """The shape of the weights that a function is given."""
    weight = call.raw("weight")
    if not isinstance(weight, Constant) or weight.shape is None:
        raise Inexpressible("its weights are computed")
    return weight.shape


def with_weight(call: Call, made: Flow) -> Flow:
    """The layer of a function, with a note if its weights are not as they are stored. Raises `InputError` for a bias of
    another size.
    """
    layer: Any = call.graph.nodes[made.layer].layer
    units, bias = getattr(layer, "out_channels", None) or layer.out_features, call.settings.get("bias")
    if isinstance(bias, Constant) and bias.shape not in (None, (units,)):
        raise InputError(f"the bias has shape {bias.shape}, not ({units},)")
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
        if padding == "same" and call.per_axis("stride", 1) != 1:
            raise InputError("padding='same' goes with stride 1 alone")
        padding = {"same": SAME_UPPER, "valid": 0}[padding]  # of an odd sum, the larger half goes behind
    else:
        padding = call.per_axis("padding", 0)
    call.graph.need(call.x, call.rank + 2, channels)
    strides, dilations, groups = call.per_axis("stride", 1), call.per_axis("dilation", 1), call.get("groups", 1)
    layer = layers.Conv(out, short(kernel), strides, padding, dilations, groups, call.has_bias, channels)
    x, mode = call.x, call.get("padding_mode", "zeros")
    if mode != "zeros":
        if padding == SAME_UPPER:
            raise Inexpressible(f"it pads by {mode}, as much as keeps the size")
        x = call.add(layers.Pad(padding, mode), [x], ".pad")
        layer = replace(layer, padding=0)
    return with_weight(call, call.add(layer, [x]))


def _zeros(call: Call, made: Flow) -> Flow:
    if call.get("value"):
        call.note(made, "pads by another number than 0, which is taken as zeros: sizes and costs are the same")
    return made


def _conv_transpose(call: Call) -> Flow:
    out, channels, kernel = _filters(call, transposed=True)
    call.graph.need(call.x, call.rank + 2, channels)
    read = [call.x]
    layer = layers.ConvTranspose(
        out,
        short(kernel),
        call.per_axis("stride", 1),
        call.per_axis("padding", 0),
        call.per_axis("output_padding", 0) if call.raw("output_size") is None else _lengthened(call, kernel, read),
        call.get("groups", 1),
        call.has_bias,
        call.per_axis("dilation", 1),
        channels,
    )
    return with_weight(call, call.add(layer, read))


def _lengthened(call: Call, kernel: Sequence[int], read: list[Flow]) -> Any:
    """The output padding with which an output has the size that is asked for."""
    strides, pads, dilations = (
        call.spread(call.per_axis(*each), call.rank) for each in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    if any(d > s for d, s in zip(dilations, strides, strict=True)):
        call.graph.undecide(call.place, "torch takes output sizes up to its stride more than the least alone")
    found = []
    wanted = list(call.raw("output_size"))[-call.rank :]
    sizes = call.graph.extents(call.x)[2:]
    for asked, n, k, s, p, d in zip(wanted, sizes, kernel, strides, pads, dilations, strict=True):
        least = plus(combine("*", minus(n, 1), s), d * (k - 1) + 1 - 2 * p)
        found.append(call.graph.amount(minus(asked, least), read))
    return short(found)


# --- pools ------------------------------------------------------------------------------------------------------------


def _pooled(call: Call) -> Flow:
    """What a pool reads."""
    call.graph.need(call.x, call.rank + 2)
    return call.x


def _with_indices(call: Call, made: Flow) -> Any:
    """What a pool makes, and where its maxima are, if that is asked for."""
    if not (call.get("return_indices", False) or call.op.endswith("_with_indices")):
        return made
    return made, Indices("where the maxima are is not looked at", False, call.x)


def _pool(kind: str) -> Rule:
    def rule(call: Call) -> Any:
        x = _pooled(call)
        padding, ceil_mode = call.per_axis("padding", 0), call.get("ceil_mode", False)
        if kind != "lp" and padding == 0 and _covers_all(call) and not call.get("return_indices", False):
            return _over_all(call, x, kind)
        kernel, stride = call.per_axis("kernel_size"), call.per_axis("stride")
        if kind != "max" and call.rank == 3 and (padding != 0 or ceil_mode):
            call.graph.undecide(call.place, "torch wants its window to fit into the volume without padding, too")
        if any(2 * p > k for p, k in zip(call.spread(padding, call.rank), call.spread(kernel, call.rank), strict=True)):
            raise InputError(f"padding={padding} is more than half of kernel_size={kernel}")
        if kind == "max":
            dilation = call.per_axis("dilation", 1)  # dilated windows may read padding alone, and run
            layer = layers.MaxPool(kernel, stride, padding, dilation, ceil_mode, dilation != 1)
            made = call.add(layer, [x])
            return _with_indices(call, made)
        if kind == "lp":
            return call.add(layers.LpPool(call.get("norm_type"), kernel, stride, ceil_mode), [x])
        counted = call.get("count_include_pad", True)
        made = call.add(layers.AvgPool(kernel, stride, padding, ceil_mode, counted), [x])
        if call.get("divisor_override") is not None:
            call.note(made, "divides by a number of its own: sizes and costs are the same")
        return made

    return rule


def _covers_all(call: Call) -> bool:
    """Whether a window is asked for as large as the input, whatever its size."""
    kernel = call.spread(call.raw("kernel_size"), call.rank)
    return any(is_formula(n) for n in kernel) and kernel == call.graph.extents(call.x)[2:]


def _over_all(call: Call, x: Flow, kind: str, part: str = "") -> Flow:
    if kind == "avg" and call.graph.may_be_empty(x):
        call.graph.undecide(call.place, "what is cropped before may be nothing, of which frameworks take a mean, too")
    return call.add(layers.GlobalPool(kind), [x], part)


def _adaptive_pool(kind: str) -> Rule:
    def rule(call: Call) -> Flow:
        x = _pooled(call)
        if call.get("return_indices", False):
            raise Inexpressible("it also returns where the maxima are")
        wanted = call.spread(call.get("output_size"), call.rank)
        if set(wanted) == {1}:
            return _over_all(call, x, kind)
        if None in wanted:
            raise Inexpressible("it keeps the size of an axis")
        return call.add(layers.AdaptivePool(short(wanted), kind), [x])

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
        return call.add(layers.Flatten(), [pooled])

    return rule


# --- pads and upsampling ----------------------------------------------------------------------------------------------


def _pad(call: Call) -> Flow:
    """Zeros around the image; the numbers come in pairs, for the last axis first."""
    x, rank = call.x, len(call.graph.extents(call.x)) - 2
    if (like := _padded_to(call, x)) is not None and call.get("mode", "constant") == "constant":
        return _zeros(call, call.add(layers.PadTo(), [x, like]))
    read = [x]
    given = call.raw("pad", call.raw("padding"))
    asked = call.spread(given, 2 * rank)
    numbers = tuple(call.graph.amount(each, read) for each in asked)
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    if any(pair != (0, 0) for pair in pairs[rank:]):
        raise Inexpressible("it pads the channels or the batch")
    pairs += [(0, 0)] * (rank - len(pairs))
    if not any(map(any, pairs)):
        return x
    mode = call.get("mode", re.sub(r"Pad\dd$", "", call.op).lower())
    mode = {"zero": "zeros", "constant": "zeros", "reflection": "reflect", "replication": "replicate"}.get(mode, mode)
    cropped = any(call.graph.compared(operator.ge, each, 0) is not True for each in asked)
    padded = any(not isinstance(n, int) or n > 0 for pair in pairs for n in pair)
    if mode == "circular" and cropped and padded:
        call.graph.undecide(call.place, "torch crops before it wraps around, and takes fewer sizes")
    if call.graph.may_be_empty(x) and padded:
        call.graph.undecide(call.place, "what is cropped before may be nothing, which torch pads, too")
    made = call.add(layers.Pad(short_pads(pairs[:rank][::-1]), mode), read)
    call.graph.grown.update([] if cropped else [made.layer])
    return _zeros(call, made)


def _padded_to(call: Call, x: Flow) -> Flow | None:
    """What has the size that x is padded or cropped to, half of what is missing before, if that is what is done."""
    raw, have = call.raw("pad"), call.graph.extents(x)[2:]
    if not isinstance(raw, tuple | list) or len(raw) != 2 * len(have):
        return None
    if all(call.graph.exactly(n) is not None for n in raw):
        return None
    wanted = []
    try:
        for before, after, n in zip(raw[-2::-2], raw[::-2], have, strict=True):
            pads = [call.graph.formula(each) for each in (before, after)]
            if normal(pads[0] - floordiv(normal(sum(pads)), 2)) != 0:
                return None
            wanted.append(normal(call.graph.formula(n) + sum(pads)))
    except Inexpressible:
        return None
    return call.graph.like(wanted)


_OF_RANK = {
    1: ("nearest", "nearest-exact", "area", "linear"),
    2: ("nearest", "nearest-exact", "area", "bilinear", "bicubic", "lanczos"),
    3: ("nearest", "nearest-exact", "area", "trilinear"),
}
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
    if call.get("mode", "nearest") not in _OF_RANK.get(len(have), ()):
        call.graph.undecide(call.place, f"torch has no mode {call.get('mode')} for {len(have)} spatial axes")
    size = () if call.raw("size") is None else tuple(call.spread(call.raw("size"), len(have)))
    like = call.graph.like(size) if size else None
    if like is not None and call.graph.extents(like)[2:] != have:
        mode = "other" if call.get("mode") == "nearest-exact" else mode
        return call.add(layers.Resize(mode), [x, like])
    factors = _factors(call, have) if like is None else (1,)
    if any(n != int(n) or n < 1 for n in factors):
        raise Inexpressible("its factors are not whole numbers")
    if set(factors) == {1}:
        return x
    return call.add(layers.Upsample(short([int(n) for n in factors]), mode), [x])


def _factors(call: Call, have: Sequence[Size]) -> tuple[Any, ...]:
    """The factor along each axis; that of a size which is asked for, where it is a multiple of the size at hand."""
    if call.raw("size") is None:
        return call.spread(call.get("scale_factor"), len(have))
    return tuple(_factor(call, *each) for each in zip(call.spread(call.raw("size"), len(have)), have, strict=True))


def _factor(call: Call, wanted: Any, have: Size) -> Any:
    try:
        if isinstance(factor := over(wanted, have), int):
            return factor
    except TypeError:
        pass
    raise Inexpressible("its factor depends on the size")


_CONV = "input weight bias stride padding dilation groups"
_CONV_TRANSPOSE = "input weight bias stride padding output_padding groups dilation"
_MAX_POOL = "input kernel_size stride padding dilation ceil_mode return_indices"
_AVG_POOL = "input kernel_size stride padding ceil_mode count_include_pad divisor_override"
_LP_POOL = "input norm_type kernel_size stride ceil_mode"


def _shuffled(kind: Callable[[int], Layer], name: str) -> Rule:
    def rule(call: Call) -> Flow:
        x = call.x
        if x.shape is not None and len(x.shape) != 4:
            raise Inexpressible("it works on the last three of other than four axes")
        return call.add(kind(call.get(name)), [x])

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
    FUNCTIONS[f"max_pool{_rank}d_with_indices"] = FUNCTIONS[f"max_pool{_rank}d"]
    for _module in ("ZeroPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "CircularPad"):
        MODULES[f"{_module}{_rank}d"] = _pad
