"""ONNX operators with windows as layers, one rule an operator: convolutions, pools, pads and resizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convproof.architecture import SAME_LOWER, SAME_UPPER, Layer, layers
from convproof.errors import InputError
from convproof.importers import table
from convproof.importers.onnx_values import OnnxNode, Rule
from convproof.importers.sizes import over
from convproof.importers.values import Constant, Flow, Inexpressible, Value, short, short_pads

_SPATIAL = (1, 2, 3)
"""How many spatial axes an image can have."""


# --- windows ----------------------------------------------------------------------------------------------------------


def _auto_pad(node: OnnxNode) -> str:
    mode = node.text("auto_pad", "NOTSET") or "NOTSET"
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise InputError(f"auto_pad={mode[:20]!r} is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER")
    return mode


def _explicit_pads(node: OnnxNode, rank: int) -> list[tuple[int, int]]:
    """(before, after) of each axis; ONNX lists all the begins and then all the ends."""
    pads = node.integers("pads", 2 * rank, (0,) * (2 * rank)) if _auto_pad(node) == "NOTSET" else (0,) * (2 * rank)
    return list(zip(pads[:rank], pads[rank:], strict=True))


def _padding(node: OnnxNode, rank: int) -> Any:
    same = {"SAME_UPPER": SAME_UPPER, "SAME_LOWER": SAME_LOWER}
    return same.get(_auto_pad(node)) or short_pads(_explicit_pads(node, rank))


def _per_axis(node: OnnxNode, name: str, rank: int) -> Any:
    return short(node.integers(name, rank, (1,) * rank))


def _kernel(node: OnnxNode, w: Constant) -> tuple[int, ...]:
    """The spatial sizes of the weights, with which kernel_shape must agree."""
    kernel = _sizes(w)[2:]
    if len(kernel) not in _SPATIAL:
        raise InputError(f"weights of shape {w.shape} have {len(kernel)} spatial axes; only 1 to 3 can be")
    if node.integers("kernel_shape", None, kernel) != kernel:
        raise InputError(f"kernel_shape is not that of the weights, which have shape {w.shape}")
    return kernel


def _sizes(constant: Constant) -> tuple[int, ...]:
    assert constant.shape is not None  # `Call.constant` sees to it; for the type checker
    return constant.shape


def _bias(node: OnnxNode, number: int, size: int) -> list[Constant]:
    """The bias that is given, or none; it must have `size` numbers."""
    if node.given(number) is None:
        return []
    b = node.constant(number)
    if b.shape != (size,):
        raise InputError(f"the bias has shape {b.shape}, not ({size},)")
    return [b]


_PLACES = {"QLinearConv": (3, 8), "ConvInteger": (1, 99)}
"""Where the weights and the bias of quantized convolutions are among the inputs; elsewhere 1 and 2."""


def _conv(node: OnnxNode) -> Any:
    weights, bias = _PLACES.get(node.op, (1, 2))
    w, groups = node.constant(weights), node.integer("group", 1)
    kernel = _kernel(node, w)
    rank, out = len(kernel), _sizes(w)[0]
    if isinstance(node.value(0), Constant):
        return _of_constant(node, w, rank)
    x = node.flow()
    b, channels = _bias(node, bias, out), _sizes(w)[1] * groups
    layer = layers.Conv(
        out,
        short(kernel),
        _per_axis(node, "strides", rank),
        _padding(node, rank),
        _per_axis(node, "dilations", rank),
        groups,
        bool(b),
        channels,
    )
    node.graph.need(x, rank + 2, channels)
    return node.add(layer, [x], [w, *b])


def _of_constant(node: OnnxNode, w: Constant, rank: int) -> Any:
    """A convolution of what depends on no image."""
    pads = _explicit_pads(node, rank)
    if _auto_pad(node) not in ("NOTSET", "VALID") or any(before != after for before, after in pads):
        raise Inexpressible("its input 1 is a constant")
    names = (("stride", "strides"), ("dilation", "dilations"))
    settings = {name: node.integers(given, rank, (1,) * rank) for name, given in names}
    settings["padding"] = tuple(before for before, _ in pads)
    call = node.call(f"conv{rank}d", [node.value(0), w], settings)
    return table.of_constants(call) or Constant()


def _conv_transpose(node: OnnxNode) -> Flow:
    x, w, groups = node.flow(), node.constant(1), node.integer("group", 1)
    kernel = _kernel(node, w)
    rank, out = len(kernel), _sizes(w)[1] * groups
    node.graph.need(x, rank + 2, _sizes(w)[0])
    b = _bias(node, 2, out)
    strides, dilations = node.integers("strides", rank, (1,) * rank), node.integers("dilations", rank, (1,) * rank)
    padding, extra = _transposed_padding(node, kernel, strides, dilations)
    layer = layers.ConvTranspose(
        out, short(kernel), short(strides), padding, short(extra), groups, bool(b), short(dilations), _sizes(w)[0]
    )
    return node.add(layer, [x], [w, *b])


def _transposed_padding(
    node: OnnxNode, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[Any, Sequence[int]]:
    """Padding and output padding; where the output's size is given, what is left over is halved.

    Of n inputs it is stride*(n - 1) + output_padding + dilation*(kernel - 1) + 1 - size; for SAME the size is stride*n.
    """
    rank, mode = len(kernel), _auto_pad(node)
    extra = node.integers("output_padding", rank, (0,) * rank)
    if not node.has("output_shape") and mode in ("NOTSET", "VALID"):
        return short_pads(_explicit_pads(node, rank)), extra
    spans = [e + d * (k - 1) + 1 for k, d, e in zip(kernel, dilations, extra, strict=True)]
    lacking = [span - s for span, s in zip(spans, strides, strict=True)]
    if node.has("output_shape"):
        wanted, sizes = node.integers("output_shape")[-rank:], node.sizes(rank)
        lacking = [s * n + more - size for s, n, more, size in zip(strides, sizes, lacking, wanted, strict=True)]
    if min(lacking) < 0:
        raise Inexpressible(
            "its output is larger than its windows reach, which the standard and onnxruntime see otherwise"
        )
    halves = [total // 2 for total in lacking]
    rests = [total - half for total, half in zip(lacking, halves, strict=True)]
    pairs = zip(halves, rests, strict=True) if mode == "SAME_UPPER" else zip(rests, halves, strict=True)
    return short_pads(list(pairs)), extra


def _pool(node: OnnxNode) -> Flow:
    x, kernel = node.flow(), node.integers("kernel_shape")
    rank, mode = len(kernel), _auto_pad(node)
    if rank not in _SPATIAL:
        raise InputError(f"kernel_shape has {rank} numbers; only 1 to 3 can be")
    node.graph.need(x, rank + 2)
    size, stride, padding = short(kernel), _per_axis(node, "strides", rank), _padding(node, rank)
    dilation = _per_axis(node, "dilations", rank)
    ceil_mode = bool(node.integer("ceil_mode", 0)) and mode in ("NOTSET", "VALID")  # SAME leaves nothing to round
    if node.op == "MaxPool":
        made = node.add(layers.MaxPool(size, stride, padding, dilation, ceil_mode, dilation != 1), [x])
    elif dilation != 1:
        raise Inexpressible("its windows are dilated")
    elif node.op in ("AveragePool", "QLinearAveragePool"):
        counted = bool(node.integer("count_include_pad", 0))
        made = node.add(layers.AvgPool(size, stride, padding, ceil_mode, counted), [x])
    else:
        made = _lp_pool(node, x, layers.LpPool(_power(node), size, stride, ceil_mode), padding)
    if ceil_mode and mode == "VALID":
        node.graph.note(
            made, "rounds up, as onnx and onnxruntime do; the standard's text rounds down under auto_pad=VALID"
        )
    return made


def _lp_pool(node: OnnxNode, x: Flow, layer: layers.LpPool, padding: Any) -> Flow:
    """The padding is a layer of its own: zeros add nothing to a sum of powers."""
    if padding in (SAME_UPPER, SAME_LOWER) or (padding != 0 and layer.ceil_mode):
        raise Inexpressible("its padding depends on the size")
    if padding != 0:
        x = node.add(layers.Pad(padding), [x], part="pad")
    return node.add(layer, [x])


def _power(node: OnnxNode) -> float:
    return node.integer("p", 2) if node.opset > 1 else node.real("p", 2.0)


def _global_pool(node: OnnxNode) -> Flow:
    kind = "max" if node.op == "GlobalMaxPool" else "avg"
    return node.add(layers.GlobalPool(kind), [node.flow()])


def _pad(node: OnnxNode) -> Any:
    x = node.flow()
    attribute = next((name for name in ("pads", "paddings") if node.has(name)), None)
    pads = list(node.integers(attribute)) if attribute else node.numbers(1)
    shape = node.graph.shape(x)
    axes = node.axes(3, len(shape), range(len(shape)))
    if len(pads) != 2 * len(axes):
        raise InputError(f"{len(pads)} pads are not two for each of {len(axes)} axes")
    pairs = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    mode = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}.get(
        text := node.text("mode", "constant")
    )
    if mode is None:
        raise Inexpressible(f"it pads by {text[:20]}")
    computed = not all(isinstance(each, int) for each in pads)
    if computed or any(pairs.get(axis, (0, 0)) != (0, 0) for axis in (0, 1)):
        listed = [n for axis in reversed(range(len(shape))) for n in pairs.get(axis, (0, 0))]
        return node.made("pad", x, tuple(listed), "constant" if mode == "zeros" else mode)
    if not any(any(pair) for pair in pairs.values()):
        return x
    padding = short_pads([pairs.get(axis, (0, 0)) for axis in range(2, len(shape))])
    if node.graph.may_be_empty(x) and any(n > 0 for pair in pairs.values() for n in pair):
        node.graph.undecide(x.layer, "what is cropped may be nothing, which onnxruntime pads, too")
    mixed = any(min(pair) < 0 < max(pair) for pair in pairs.values())
    made = node.add(layers.Pad(padding, mode, mixed and mode == "zeros"), [x])
    if mode != "zeros" and any(min(pair) < -1 and max(pair) > 0 for pair in pairs.values()):
        node.graph.undecide(made.layer, "it crops more than there is, in onnxruntime, where it pads at the other end")
    if mode == "zeros" and not _pads_zeros(node):
        node.graph.note(made, "pads with another number than 0, which is taken as zeros: sizes and costs are the same")
    return made


def _pads_zeros(node: OnnxNode) -> bool:
    given = node.given(2)
    if given is None:
        return node.real("value", 0.0) == 0
    return isinstance(given, Constant) and given.values is not None and all(n == 0 for n in given.values.reshape(-1))


def _resize(node: OnnxNode) -> Any:
    x = node.value(0)
    shape, mode = node.graph.extents(x), node.text("mode", "nearest")
    if isinstance(x, Constant):
        return _resized(node, x, shape)
    if like := _like(node, shape):
        return node.add(layers.Resize(_kind_of(node, mode, whole=False)), [x, like])
    try:
        batch, channels, *factors = _factors(node, shape)
    except Inexpressible:
        return _resized(node, x, shape)
    if (batch, channels) != (1, 1):
        raise Inexpressible("it resizes the batch or the channels")
    if set(factors) == {1}:
        return x
    return node.add(layers.Upsample(short(factors), _kind_of(node, mode, whole=True)), [x])


def _resized(node: OnnxNode, x: Value, shape: tuple[Any, ...]) -> Any:
    """What is resized by other factors than whole ones, or to sizes that do not depend on those that there are."""
    stretched = node.text("keep_aspect_ratio_policy", "stretch") == "stretch"
    if not stretched or "crop" in node.text("coordinate_transformation_mode", ""):
        raise Inexpressible("its factors depend on the size, or on a part that it takes")
    axes = node.axes(None, len(shape), range(len(shape)))
    if (scales := _scales(node)) is not None:
        factors = _spread(scales, axes, [1.0] * len(shape))
        if factors[:2] != [1, 1]:
            raise Inexpressible("it resizes the batch or the channels")
        return node.made("interpolate", x, None, tuple(factors[2:]), "bilinear")
    wanted = _spread(node.numbers(3), axes, list(shape))
    return node.made("interpolate", x, tuple(wanted[2:]), None, "bilinear")


def _scales(node: OnnxNode) -> list[Any] | None:
    """The factors that are given, of the axes that are named; None where sizes are."""
    if node.has("scales"):
        return list(node.reals("scales"))
    number = 2 if node.op == "Resize" and node.opset > 10 else 1
    scales = node.given(number)
    return (
        node.numbers(number) if scales is not None and not (isinstance(scales, Constant) and scales.size == 0) else None
    )


def _like(node: OnnxNode, shape: tuple[Any, ...]) -> Flow | None:
    """The other activation whose size is asked for, where the sizes are those of one."""
    stretched = node.text("keep_aspect_ratio_policy", "stretch") == "stretch"
    if node.op == "Upsample" or not stretched or not isinstance(node.given(3), Constant):
        return None
    axes = node.axes(None, len(shape), range(len(shape)))
    wanted = _spread(node.numbers(3), axes, list(shape))
    like = node.graph.like(wanted[2:])
    return like if like is not None and wanted[1] == shape[1] and tuple(wanted[2:]) != shape[2:] else None


def _kind_of(node: OnnxNode, mode: str, whole: bool) -> str:
    """The mode of `Upsample` or `Resize` that reads the same positions; `whole` factors are rounded in several ways."""
    old = node.op == "Upsample" or node.opset < 11  # these take every position o/factor, rounded down
    coordinates = "asymmetric" if old else node.text("coordinate_transformation_mode", "half_pixel")
    rounding = "floor" if old else node.text("nearest_mode", "round_prefer_floor")
    half_pixel = coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
    if not old and node.integer("antialias", 0):
        return "other"
    if mode == "nearest" and coordinates == "asymmetric" and rounding == "floor":
        return "nearest"
    if mode == "nearest" and whole and half_pixel and rounding.startswith("round"):
        return "nearest"
    return "bilinear" if mode == "linear" and half_pixel else "other"


def _factors(node: OnnxNode, shape: tuple[Any, ...]) -> list[int]:
    """The whole factor of every axis: an attribute or an input, or the sizes asked for over those that there are."""
    axes = node.axes(None, len(shape), range(len(shape)))
    if (scales := _scales(node)) is not None:
        return [_whole(factor) for factor in _spread(scales, axes, [1.0] * len(shape))]
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Inexpressible("its factors depend on the size")
    wanted = _spread(node.numbers(3), axes, list(shape))
    if wanted == list(shape):
        return [1 for _ in shape]
    return [_factor(node, place, *each) for place, each in enumerate(zip(wanted, shape, strict=True))]


def _factor(node: OnnxNode, axis: int, wanted: Any, own: Any) -> int:
    """The whole number by which an axis grows; of sizes that are no multiples of each other, at the given image."""
    if wanted == own or (axis == 0 and node.graph.is_batch(wanted)):
        return 1
    try:
        return _whole(over(wanted, own))
    except Inexpressible:
        if not isinstance(wanted, int):
            raise
    have = node.sizes(len(node.graph.shape(node.flow())) - 2)[axis - 2] if axis > 1 else own
    return _whole(wanted // have if isinstance(have, int) and have and wanted % have == 0 else None)


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


def _blocks(node: OnnxNode) -> Flow:
    """Blocks of positions as channels, or the other way round."""
    x, factor = node.flow(), node.integer("blocksize")
    axes = len(node.graph.shape(x))
    if axes != 4 or factor < 1:
        raise InputError(f"it needs an input with 4 axes, and blocks, but has {axes} axes and blocks of {factor}")
    deeper = node.op == "SpaceToDepth"
    layer: Layer = layers.PixelUnshuffle(factor) if deeper else layers.PixelShuffle(factor)
    made = node.add(layer, [x])
    if deeper or node.text("mode", "DCR") != "CRD":
        node.graph.note(
            made, f"takes the channels in another order than {type(layer).__name__}: sizes and costs are the same"
        )
    return made


WINDOWS: dict[str, Rule] = {
    "AveragePool": _pool,
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _blocks,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "LpPool": _pool,
    "MaxPool": _pool,
    "Pad": _pad,
    "QLinearAveragePool": _pool,
    "QLinearConv": _conv,
    "QLinearGlobalAveragePool": _global_pool,
    "Resize": _resize,
    "SpaceToDepth": _blocks,
    "Upsample": _resize,
}
