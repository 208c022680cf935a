"""PyTorch's operations on tensors of any rank that no layer kind describes: the shape of what they make, what they
demand of sizes, and what they cost. Which positions they read is not followed.
"""

from __future__ import annotations

from typing import Any

from convproof.importers.calls import Call, Rule
from convproof.importers.sizes import minus
from convproof.importers.tensors.asked import combined, sizes_of
from convproof.importers.tensors.axes import (
    alike,
    expand,
    moved,
    permute,
    repeat,
    repeated_each,
    reshape,
    squeeze,
    transpose,
    unsqueeze,
)
from convproof.importers.tensors.parts import (
    joined,
    narrow,
    part_at,
    sampled,
    select,
    split,
    taken,
    unbind,
    with_part,
)
from convproof.importers.tensors.sums import (
    along,
    attention,
    batch_normalized,
    einsum,
    linear,
    matmul,
    multi_head,
    normalized,
    reduced,
    topk,
)
from convproof.importers.tensors.windows import fold, padded, resized, unfold, unpooled
from convproof.importers.values import Constant, Flow, Inexpressible
from convproof.symbolic.amounts import Formula


def _filled(call: Call) -> Any:
    """A tensor of a shape that is told."""
    sizes = call.settings.get("size", call.args)
    if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
        (sizes,) = sizes
    return call.shaped(list(sizes))


def _counted(call: Call) -> Any:
    """The numbers up to one, or from one up to another."""
    ends = call.args[:2] if len(call.args) > 1 else [0, call.raw("end", *call.args)]
    if len(call.args) > 2 or "step" in call.kwargs:
        raise Inexpressible("it counts in steps")
    if not all(isinstance(each, int | Formula) for each in ends):
        raise Inexpressible("it counts between what is no whole number")
    return call.shaped([minus(ends[1], ends[0])])


def _new(call: Call) -> Any:
    """A tensor beside another one, which depends on no image."""
    if call.op.endswith("_like"):
        return Constant(tuple(sizes_of(call)), None)
    return Constant(tuple(call.rest if call.op != "new_full" else call.raw("size")), None)


def _grid(call: Call) -> Any:
    """Each of several ranges, repeated along the axes of the others."""
    shapes = [sizes_of(call, each) for each in call.reads(Flow | Constant)]
    sizes = [n for (n,) in shapes]
    if call.get("indexing", "ij") == "xy":
        sizes[:2] = reversed(sizes[:2])
    return tuple(call.shaped(sizes) for _ in shapes)


_WINDOW = "input kernel_size dilation padding stride"
_REDUCE = "input dim keepdim"

MODULES: dict[str, Rule] = {
    "Flatten": reshape,
    "Unflatten": reshape,
    "Linear": linear,
    "LayerNorm": normalized,
    **{f"BatchNorm{rank}d": batch_normalized for rank in "123"},
    "RMSNorm": normalized,
    "MultiheadAttention": multi_head,
    "Softmax": along,
    "LogSoftmax": along,
    "Upsample": resized,
    **{f"MaxUnpool{rank}d": unpooled for rank in "123"},
    "Unfold": unfold,
    "Fold": fold,
}
FUNCTIONS: dict[str, tuple[Rule, str]] = {
    **dict.fromkeys(
        ("mean", "sum", "amax", "amin", "max", "min", "prod", "argmax", "argmin", "logsumexp"), (reduced, _REDUCE)
    ),
    **dict.fromkeys(("std", "var", "std_mean", "var_mean"), (reduced, "input dim unbiased keepdim")),
    "norm": (reduced, "input p dim keepdim"),
    "normalize": (along, "input p dim"),
    **dict.fromkeys(("matmul", "bmm"), (matmul, "input other")),
    **dict.fromkeys(("addmm", "baddbmm"), (matmul, "added input other")),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), (joined, "tensors dim")),
    **dict.fromkeys(("softmax", "log_softmax", "cumsum"), (along, "input dim")),
    **dict.fromkeys(("view", "reshape"), (reshape, "input")),
    **dict.fromkeys(("transpose", "swapaxes", "swapdims", "mT"), (transpose, "input dim0 dim1")),
    **dict.fromkeys(
        (
            *("add", "sub", "mul", "multiply", "div", "truediv", "maximum", "minimum", "pow", "addcmul", "addcdiv"),
            *(
                "lerp",
                "where",
                "lt",
                "le",
                "gt",
                "ge",
                "eq",
                "ne",
                "logical_and",
                "logical_or",
                "logical_xor",
                "masked_fill",
                "remainder",
                "fmod",
            ),
        ),
        (combined, "input other"),
    ),
    **dict.fromkeys(
        ("roll", "flip", "logical_not", "scatter", "scatter_add", "index_add", "index_fill"), (alike, "input")
    ),
    **dict.fromkeys(("zeros_like", "ones_like", "rand_like"), (_new, "input")),
    **dict.fromkeys(("repeat", "tile"), (repeat, "input")),
    **dict.fromkeys(("movedim", "moveaxis"), (moved, "input source destination")),
    "split": (split, "input split_size dim"),
    "setitem": (with_part, "input index value"),
    "chunk": (split, "input chunks dim"),
    "einsum": (einsum, "equation"),
    "expand": (expand, "input"),
    "expand_as": (expand, "input other"),
    "reshape_as": (reshape, "input other"),
    "view_as": (reshape, "input other"),
    "flatten": (reshape, "input start_dim end_dim"),
    "unflatten": (reshape, "input dim sizes"),
    "fold": (fold, "input output_size kernel_size dilation padding stride"),
    "getitem": (part_at, "input index"),
    "interpolate": (resized, "input size scale_factor mode align_corners recompute_scale_factor antialias"),
    "layer_norm": (normalized, "input normalized_shape weight bias eps"),
    "rms_norm": (normalized, "input normalized_shape weight eps"),
    "linear": (linear, "input weight bias"),
    **{f"max_unpool{rank}d": (unpooled, "input indices kernel_size stride padding output_size") for rank in "123"},
    "meshgrid": (_grid, ""),
    **dict.fromkeys(("new_zeros", "new_ones", "new_empty", "new_full"), (_new, "input size")),
    "narrow": (narrow, "input dim start length"),
    "pad": (padded, "input pad mode value"),
    "permute": (permute, "input"),
    "repeat_interleave": (repeated_each, "input repeats dim"),
    "scaled_dot_product_attention": (attention, "query key value attn_mask"),
    "select": (select, "input dim index"),
    **dict.fromkeys(("index_select", "take_along"), (taken, "input dim index")),
    "grid_sample": (sampled, "input grid"),
    "squeeze": (squeeze, "input"),
    "topk": (topk, "input k dim"),
    "unbind": (unbind, "input dim"),
    "unfold": (unfold, _WINDOW),
    "unsqueeze": (unsqueeze, "input dim"),
}
MADE: dict[str, tuple[Rule, str]] = {
    **dict.fromkeys(("zeros", "ones", "empty", "rand", "randn"), (_filled, "")),
    "arange": (_counted, "end"),
    "full": (_filled, "size"),
}
"""Functions that read no tensor."""
