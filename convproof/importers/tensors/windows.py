"""Windows, pads and sizes of positions that no layer kind describes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from convproof.errors import InputError
from convproof.importers.calls import Call
from convproof.importers.sizes import combine, minus, plus, times
from convproof.importers.tensors.asked import Sizes, demand_equal, kept_batch, sizes_of
from convproof.importers.values import Indices, Inexpressible, axis_of


def _windows(call: Call, sizes: Sequence[Any], size: Any = None) -> Sizes:
    """How many windows each axis has, which are of a `size` or that of the kernel."""
    kernel = call.spread(size or call.get("kernel_size"), len(sizes))
    dilation, padding, stride = (
        call.spread(call.get(name, default), len(sizes))
        for name, default in (("dilation", 1), ("padding", 0), ("stride", 1))
    )
    return [
        plus(combine("//", plus(n, 2 * p - d * (k - 1) - 1), s), 1)
        for n, k, d, p, s in zip(sizes, kernel, dilation, padding, stride, strict=True)
    ]


def filtered(call: Call) -> Any:
    """A convolution of what depends on no image."""
    sizes, module = sizes_of(call), call.module
    weight = [module.out_channels, 0, *module.kernel_size] if module else sizes_of(call, call.raw("weight"))
    if len(sizes) != call.rank + 2:
        raise InputError(f"it needs an input with {call.rank + 2} axes, but that has {len(sizes)}")
    return call.shaped([sizes[0], weight[0], *_windows(call, sizes[2:], weight[2:])])


def _of_rank(call: Call, rank: int) -> Sizes:
    """The shape of what it reads. Raises `InputError` where that has another number of axes."""
    sizes = sizes_of(call)
    if len(sizes) != rank:
        raise InputError(f"it needs an input with {rank} axes, but {call.x.layer} has {len(sizes)}")
    return sizes


def unfold(call: Call) -> Any:
    """Blocks as columns; the method of that name lays windows along one axis out on a last one."""
    if call.is_method:
        sizes, (dim, size, step) = sizes_of(call), (call.graph.resolved(each) for each in call.rest)
        axis = axis_of(dim, len(sizes))
        sizes[axis] = plus(combine("//", minus(sizes[axis], size), step), 1)
        return call.shaped([*sizes, size])
    sizes = _of_rank(call, 4)
    kernel = call.spread(call.get("kernel_size"), 2)
    counts = _windows(call, sizes[2:])
    return call.shaped([sizes[0], times([sizes[1], kernel[0] * kernel[1]]), call.graph.times(counts)])


def fold(call: Call) -> Any:
    sizes = _of_rank(call, 3)
    kernel = call.spread(call.get("kernel_size"), 2)
    wanted = list(call.spread(call.raw("output_size"), 2))
    channels = call.graph.exactly(sizes[1])
    if channels is None or channels % (kernel[0] * kernel[1]):
        raise InputError("blocks of the kernel do not divide its channels")
    demand_equal(call, sizes[2], call.graph.times(_windows(call, wanted)))
    return call.shaped([sizes[0], channels // (kernel[0] * kernel[1]), *wanted])


def padded(call: Call) -> Any:
    """Any of the axes, in pairs from the last one on; what remains must be something."""
    sizes, pads = sizes_of(call), list(call.raw("pad"))
    for place in range(len(pads) // 2):
        axis = len(sizes) - 1 - place
        if pads[2 * place] != 0 or pads[2 * place + 1] != 0:
            kept_batch(call, sizes, [axis])
            call.may_be_empty(call.flows, [sizes[axis]], "is padded")
            sizes[axis] = plus(sizes[axis], plus(pads[2 * place], pads[2 * place + 1]))
    return call.shaped(sizes)


def resized(call: Call) -> Any:
    """By factors that are sums of powers of 2, whose products with sizes are exact in floating point."""
    sizes = sizes_of(call)
    if call.raw("size") is not None:
        return call.shaped([*sizes[:2], *call.spread(call.raw("size"), len(sizes) - 2)])
    factors = [float(each).as_integer_ratio() for each in call.spread(call.get("scale_factor"), len(sizes) - 2)]
    if any(q > 2**10 for _, q in factors):
        raise Inexpressible("what the framework rounds its factor to is not known")
    made = [combine("//", combine("*", n, p), q) for n, (p, q) in zip(sizes[2:], factors, strict=True)]
    return call.shaped([*sizes[:2], *made])


def unpooled(call: Call) -> Any:
    """Maxima in the places that they had; an output size may be less than a stride off the least one."""
    sizes, indices, rank = sizes_of(call), call.raw("indices"), call.rank
    kernel = call.spread(call.get("kernel_size"), rank)
    stride = call.spread(call.get("stride") or call.get("kernel_size"), rank)
    padding = call.spread(call.get("padding", 0), rank)
    least = [
        plus(combine("*", minus(n, 1), s), k - 2 * p)
        for n, k, s, p in zip(sizes[2:], kernel, stride, padding, strict=True)
    ]
    asked = call.raw("output_size")
    made = least if asked is None else list(asked)[-rank:]
    for n, s, m in zip(least, stride, made, strict=True) if asked is not None else ():
        call.graph.ask("above", m, minus(n, s))
        call.graph.ask("above", plus(n, s), m)
    pooled = indices.x if isinstance(indices, Indices) else None
    of = [None] * rank if pooled is None else sizes_of(call, pooled)[2:]
    if not all(n is not None and call.graph.compared(operator.eq, n, m) for n, m in zip(of, made, strict=True)):
        call.graph.undecide(call.place, "whether all maxima lie in an output of another size depends on their places")
    return call.shaped([*sizes[:2], *made])
