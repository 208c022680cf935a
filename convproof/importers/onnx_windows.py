"""ONNX operators with windows as layers, one rule an operator: convolutions, pools, pads and resizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convproof.architecture import SAME_LOWER, SAME_UPPER, Layer, layers
from convproof.errors import InputError
from convproof.importers.onnx_graph import OnnxGraph, Rule
from convproof.importers.onnx_values import Call
from convproof.importers.values import Constant, Flow, Inexpressible, Value, short, short_pads

_SPATIAL = (1, 2, 3)
"""How many spatial axes an image can have."""


# --- windows ----------------------------------------------------------------------------------------------------------


def _auto_pad(call: Call) -> str:
    mode = call.text("auto_pad", "NOTSET") or "NOTSET"
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise InputError(f"auto_pad={mode[:20]!r} is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    return mode


def _explicit_pads(call: Call, rank: int) -> list[tuple[int, int]]:
    """(before, after) of each axis; ONNX lists all the begins and then all the ends."""
    pads = call.integers("pads", 2 * rank, (0,) * (2 * rank)) if _auto_pad(call) == "NOTSET" else (0,) * (2 * rank)
    return list(zip(pads[:rank], pads[rank:], strict=True))


def _padding(call: Call, rank: int) -> Any:
    same = {"SAME_UPPER": SAME_UPPER, "SAME_LOWER": SAME_LOWER}
    return same.get(_auto_pad(call)) or short_pads(_explicit_pads(call, rank))


def _per_axis(call: Call, name: str, rank: int) -> Any:
    return short(call.integers(name, rank, (1,) * rank))


def _kernel(call: Call, w: Constant) -> tuple[int, ...]:
    """The spatial sizes of the weights, with which kernel_shape must agree."""
    kernel = _sizes(w)[2:]
    if len(kernel) not in _SPATIAL:
        raise InputError(f"weights of shape {w.shape} have {len(kernel)} spatial axes; only 1 to 3 can be")
    if call.integers("kernel_shape", None, kernel) != kernel:
        raise InputError(f"kernel_shape is not that of the weights, which have shape {w.shape}")
    return kernel


def _sizes(constant: Constant) -> tuple[int, ...]:
    assert constant.shape is not None  # `Call.constant` sees to it; for the type checker
    return constant.shape


def _bias(call: Call, number: int, size: int) -> list[Constant]:
    """The bias that is given, or none; it must have `size` numbers."""
    if call.given(number) is None:
        return []
    b = call.constant(number)
    if b.shape != (size,):
        raise InputError(f"the bias has shape {b.shape}, not ({size},)")
    return [b]


def _conv(call: Call, graph: OnnxGraph) -> Flow:
    x, w, groups = call.flow(), call.constant(1), call.integer("group", 1)
    kernel = _kernel(call, w)
    rank, out = len(kernel), _sizes(w)[0]
    b, channels = _bias(call, 2, out), _sizes(w)[1] * groups
    layer = layers.Conv(
        out,
        short(kernel),
        _per_axis(call, "strides", rank),
        _padding(call, rank),
        _per_axis(call, "dilations", rank),
        groups,
        bool(b),
        channels,
    )
    graph.need(x, rank + 2, channels)
    return graph.add(call, layer, [x], [w, *b])


def _conv_transpose(call: Call, graph: OnnxGraph) -> Flow:
    x, w, groups = call.flow(), call.constant(1), call.integer("group", 1)
    kernel = _kernel(call, w)
    rank, out = len(kernel), _sizes(w)[1] * groups
    graph.need(x, rank + 2, _sizes(w)[0])
    b = _bias(call, 2, out)
    strides, dilations = call.integers("strides", rank, (1,) * rank), call.integers("dilations", rank, (1,) * rank)
    padding, extra = _transposed_padding(call, graph, kernel, strides, dilations)
    layer = layers.ConvTranspose(
        out, short(kernel), short(strides), padding, short(extra), groups, bool(b), short(dilations), _sizes(w)[0]
    )
    return graph.add(call, layer, [x], [w, *b])


def _transposed_padding(
    call: Call, graph: OnnxGraph, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[Any, Sequence[int]]:
    """Padding and output padding; where the output's size is given, what is left over is halved.

    Of n inputs it is stride*(n - 1) + output_padding + dilation*(kernel - 1) + 1 - size; for SAME the size is stride*n.
    """
    rank, mode = len(kernel), _auto_pad(call)
    extra = call.integers("output_padding", rank, (0,) * rank)
    if not call.has("output_shape") and mode in ("NOTSET", "VALID"):
        return short_pads(_explicit_pads(call, rank)), extra
    spans = [e + d * (k - 1) + 1 for k, d, e in zip(kernel, dilations, extra, strict=True)]
    lacking = [span - s for span, s in zip(spans, strides, strict=True)]
    if call.has("output_shape"):
        wanted, sizes = call.integers("output_shape")[-rank:], graph.sizes(call, rank)
        lacking = [s * n + more - size for s, n, more, size in zip(strides, sizes, lacking, wanted, strict=True)]
    if min(lacking) < 0:
        raise Inexpressible(
            "its output is larger than its windows reach, which the standard and onnxruntime see otherwise"
        )
    halves = [total // 2 for total in lacking]
    rests = [total - half for total, half in zip(lacking, halves, strict=True)]
    pairs = zip(halves, rests, strict=True) if mode == "SAME_UPPER" else zip(rests, halves, strict=True)
    return short_pads(list(pairs)), extra


def _pool(call: Call, graph: OnnxGraph) -> Flow:
    x, kernel = call.flow(), call.integers("kernel_shape")
    rank, mode = len(kernel), _auto_pad(call)
    if rank not in _SPATIAL:
        raise InputError(f"kernel_shape has {rank} numbers; only 1 to 3 can be")
    graph.need(x, rank + 2)
    size, stride, padding = short(kernel), _per_axis(call, "strides", rank), _padding(call, rank)
    dilation = _per_axis(call, "dilations", rank)
    ceil_mode = bool(call.integer("ceil_mode", 0)) and mode in ("NOTSET", "VALID")  # SAME leaves nothing to round
    if call.op == "MaxPool":
        made = graph.add(call, layers.MaxPool(size, stride, padding, dilation, ceil_mode, dilation != 1), [x])
    elif dilation != 1:
        raise Inexpressible("its windows are dilated")
    elif call.op == "AveragePool":
        counted = bool(call.integer("count_include_pad", 0))
        made = graph.add(call, layers.AvgPool(size, stride, padding, ceil_mode, counted), [x])
    else:
        made = _lp_pool(call, graph, x, layers.LpPool(_power(call), size, stride, ceil_mode), padding)
    if ceil_mode and mode == "VALID":
        graph.note(made, "rounds up, as onnx and onnxruntime do; the standard's text rounds down under auto_pad=VALID")
    return made


def _lp_pool(call: Call, graph: OnnxGraph, x: Flow, layer: layers.LpPool, padding: Any) -> Flow:
    """The padding is a layer of its own: zeros add nothing to a sum of powers."""
    if padding in (SAME_UPPER, SAME_LOWER) or (padding != 0 and layer.ceil_mode):
        raise Inexpressible("its padding depends on the size")
    if padding != 0:
        x = graph.add(call, layers.Pad(padding), [x], part="pad")
    return graph.add(call, layer, [x])


def _power(call: Call) -> float:
    return call.integer("p", 2) if call.opset > 1 else call.real("p", 2.0)


def _global_pool(call: Call, graph: OnnxGraph) -> Flow:
    kind = "max" if call.op == "GlobalMaxPool" else "avg"
    return graph.add(call, layers.GlobalPool(kind), [call.flow()])


def _reduce(call: Call, graph: OnnxGraph) -> Flow:
    x = call.flow()
    shape = graph.shape(x)
    if sorted(call.axes(1, len(shape))) != list(range(2, len(shape))) or len(shape) < 3:
        raise Inexpressible("it reduces other axes than all spatial ones")
    if graph.may_be_empty(x):
        graph.undecide(x.layer, "what is cropped may be nothing, which onnxruntime reduces, too")
    kind = "max" if call.op == "ReduceMax" else "avg"
    if call.integer("keepdims", 1):
        return graph.add(call, layers.GlobalPool(kind), [x])
    return graph.add(call, layers.Flatten(), [graph.add(call, layers.GlobalPool(kind), [x], part="pool")])


def _pad(call: Call, graph: OnnxGraph) -> Value:
    x = call.flow()
    attribute = next((name for name in ("pads", "paddings") if call.has(name)), None)
    pads = list(call.integers(attribute)) if attribute else call.numbers(1)
    if not all(isinstance(each, int) for each in pads):
        raise Inexpressible("its pads are computed")
    shape = graph.shape(x)
    axes = call.axes(3, len(shape), range(len(shape)))
    if len(pads) != 2 * len(axes):
        raise InputError(f"{len(pads)} pads are not two for each of {len(axes)} axes")
    pairs = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    if any(pairs.get(axis, (0, 0)) != (0, 0) for axis in (0, 1)):
        raise Inexpressible("it pads the batch or the channels")
    if not any(any(pair) for pair in pairs.values()):
        return x
    padding = short_pads([pairs.get(axis, (0, 0)) for axis in range(2, len(shape))])
    mode = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}.get(
        text := call.text("mode", "constant")
    )
    if mode is None:
        raise Inexpressible(f"it pads by {text[:20]}")
    if graph.may_be_empty(x) and any(n > 0 for pair in pairs.values() for n in pair):
        graph.undecide(x.layer, "what is cropped may be nothing, which onnxruntime pads, too")
    mixed = any(min(pair) < 0 < max(pair) for pair in pairs.values())
    made = graph.add(call, layers.Pad(padding, mode, mixed and mode == "zeros"), [x])
    if mode != "zeros" and any(min(pair) < -1 and max(pair) > 0 for pair in pairs.values()):
        graph.undecide(made.layer, "it crops more than there is, in onnxruntime, where it pads at the other end")
    if mode == "zeros" and not _pads_zeros(call):
        graph.note(made, "pads with another number than 0, which is taken as zeros: sizes and costs are the same")
    return made


def _pads_zeros(call: Call) -> bool:
    given = call.given(2)
    if given is None:
        return call.real("value", 0.0) == 0
    return isinstance(given, Constant) and given.values is not None and all(n == 0 for n in given.values.reshape(-1))


def _resize(call: Call, graph: OnnxGraph) -> Value:
    x = call.flow()
    shape, mode = graph.shape(x), call.text("mode", "nearest")
    if like := _like(call, graph, shape):
        return graph.add(call, layers.Resize(_kind_of(call, mode, whole=False)), [x, like])
    batch, channels, *factors = _factors(call, graph, shape)
    if (batch, channels) != (1, 1):
        raise Inexpressible("it resizes the batch or the channels")
    if set(factors) == {1}:
        return x
    return graph.add(call, layers.Upsample(short(factors), _kind_of(call, mode, whole=True)), [x])


def _like(call: Call, graph: OnnxGraph, shape: tuple[Any, ...]) -> Flow | None:
    """The other activation whose size is asked for, where the sizes are those of one."""
    stretched = call.text("keep_aspect_ratio_policy", "stretch") == "stretch"
    if call.op == "Upsample" or not stretched or not isinstance(call.given(3), Constant):
        return None
    axes = call.axes(None, len(shape), range(len(shape)))
    wanted = _spread(call.numbers(3), axes, list(shape))
    like = graph.like(wanted[2:])
    return like if like is not None and wanted[1] == shape[1] and tuple(wanted[2:]) != shape[2:] else None


def _kind_of(call: Call, mode: str, whole: bool) -> str:
    """The mode of `Upsample` or `Resize` that reads the same positions; `whole` factors are rounded in several ways."""
    old = call.op == "Upsample" or call.opset < 11  # these take every position o/factor, rounded down
    coordinates = "asymmetric" if old else call.text("coordinate_transformation_mode", "half_pixel")
    rounding = "floor" if old else call.text("nearest_mode", "round_prefer_floor")
    half_pixel = coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
    if not old and call.integer("antialias", 0):
        return "other"
    if mode == "nearest" and coordinates == "asymmetric" and rounding == "floor":
        return "nearest"
    if mode == "nearest" and whole and half_pixel and rounding.startswith("round"):
        return "nearest"
    return "bilinear" if mode == "linear" and half_pixel else "other"


def _factors(call: Call, graph: OnnxGraph, shape: tuple[Any, ...]) -> list[int]:
    """The whole factor of every axis: an attribute or an input, or the sizes asked for over those that there are."""
    axes = call.axes(None, len(shape), range(len(shape)))
    if call.has("scales"):
        return [_whole(factor) for factor in _spread(call.reals("scales"), axes, [1.0] * len(shape))]
    number = 2 if call.op == "Resize" and call.opset > 10 else 1
    scales = call.given(number)
    if scales is not None and not (isinstance(scales, Constant) and scales.size == 0):
        return [_whole(factor) for factor in _spread(call.numbers(number), axes, [1.0] * len(shape))]
    if call.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Inexpressible("its factors depend on the size")
    wanted = _spread(call.numbers(3), axes, list(shape))
    if wanted == list(shape):
        return [1 for _ in shape]
    have = [*shape[:2], *graph.sizes(call, len(shape) - 2)]
    axis_by_axis = zip(wanted, shape, have, strict=True)
    return [1 if n == own else _whole(_ratio(graph.number(n), m)) for n, own, m in axis_by_axis]


def _ratio(wanted: Any, have: Any) -> Any:
    whole = isinstance(wanted, int) and isinstance(have, int) and wanted % have == 0
    return wanted // have if whole else None


def _whole(factor: Any) -> int:
    if not isinstance(factor, int | float) or not 1 <= factor < 2**31 or factor != int(factor):
        raise Inexpressible("its factors are not whole numbers")
    return int(factor)


def _spread(values: Sequence[Any], axes: list[int], others: list[Any]) -> list[Any]:
    """One value an axis: those given for some of the axes, those of `others` for the rest."""
    if len(values) != len(axes):
        raise InputError(f"{len(values)} factors or sizes are not one for each of {len(axes)} axes")
    named = dict(zip(axes, values, strict=True))
    return [named.get(axis, other) for axis, other in enumerate(others)]


def _blocks(call: Call, graph: OnnxGraph) -> Flow:
    """Blocks of positions as channels, or the other way round."""
    x, factor = call.flow(), call.integer("blocksize")
    axes = len(graph.shape(x))
    if axes != 4 or factor < 1:
        raise InputError(f"it needs an input with 4 axes, and blocks, but has {axes} axes and blocks of {factor}")
    deeper = call.op == "SpaceToDepth"
    layer: Layer = layers.PixelUnshuffle(factor) if deeper else layers.PixelShuffle(factor)
    made = graph.add(call, layer, [x])
    if deeper or call.text("mode", "DCR") != "CRD":
        graph.note(
            made, f"takes the channels in another order than {type(layer).__name__}: sizes and costs are the same"
        )
    return made


WINDOWS: dict[str, Rule] = {
    "AveragePool": _pool,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _blocks,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "LpPool": _pool,
    "MaxPool": _pool,
    "Pad": _pad,
    "ReduceMax": _reduce,
    "ReduceMean": _reduce,
    "Resize": _resize,
    "SpaceToDepth": _blocks,
    "Upsample": _resize,
}
