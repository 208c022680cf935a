"""Exported programs as modules that call PyTorch's functions, where they call the operators of ATen.

Source: the operators of ATen with their schemas, as `torch.export` and its decompositions record them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

_METHODS = {
    "_log_softmax": "log_softmax",
    "_softmax": "softmax",
    "_to_copy": "to",
    "_unsafe_view": "reshape",
    "alias": "clone",
    "mm": "matmul",
    "split_with_sizes": "split",
    "sym_numel": "numel",
    "sym_size": "size",
}
"""Operators that are methods of tensors by another name."""

_FUNCTIONS = {"_adaptive_avg_pool2d": "adaptive_avg_pool2d", "_adaptive_avg_pool3d": "adaptive_avg_pool3d"}
"""Operators that are functions of torch.nn.functional by another name."""

_NORM = ("input", "running_mean", "running_var", "weight", "bias")
Given = Mapping[str, Any]


def module_of(torch: Any, program: Any) -> Any:
    """The module that an exported program is, of which nothing is checked at its entry."""
    module = program.module(check_guards=False)
    for node in module.graph.nodes:
        if node.op == "call_function" and getattr(node.target, "namespace", "") == "aten":
            _rewrite(torch, node)
    module.recompile()
    return module


def batch_of(module: Any) -> int | None:
    """How many images an exported program is for, if that is a number."""
    for node in getattr(getattr(module, "graph", None), "nodes", ()):
        if node.op == "placeholder" and node.meta.get("val") is not None:
            batch = node.meta["val"].shape[:1]
            return int(batch[0]) if batch and type(batch[0]) is int else None
    return None


def _rewrite(torch: Any, node: Any) -> None:
    """Lets a node call PyTorch's function or method that does the same, where there is one."""
    name, schema = node.target._schema.name.partition("::")[2], node.target._schema
    given = dict(zip((each.name for each in schema.arguments), node.args, strict=False)) | dict(node.kwargs)
    for each in schema.arguments:
        if each.default_value is not None:
            given.setdefault(each.name, each.default_value)
    if name in _REWRITTEN:
        node.target, node.args, node.kwargs = _REWRITTEN[name](torch, given)
        for user in [*node.users] if len(schema.returns) > 1 else ():  # a norm and the statistics of what it read
            if user.target is operator.getitem and user.args[1] == 0:
                user.replace_all_uses_with(node)
                node.graph.erase_node(user)
        return
    functions, plain = torch.nn.functional, _FUNCTIONS.get(name, name).rstrip("_")
    if hasattr(functions, plain):
        node.target = getattr(functions, plain)
        node.kwargs = {**node.kwargs, **({"inplace": True} if name.endswith("_") else {})}
        return
    method = _METHODS.get(name, name)
    if hasattr(torch.Tensor, method) and schema.arguments and schema.arguments[0].name == "self":
        node.op, node.target = "call_method", method
        node.kwargs = {key: value for key, value in node.kwargs.items() if name != "_to_copy"}
        node.args = node.args[:2] if name in ("_softmax", "_log_softmax") else node.args
    elif hasattr(torch, name):
        node.target = getattr(torch, name)


def _sliced(torch: Any, given: Given) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    axis: int = given["dim"]
    start, end, step = (given.get(name) for name in ("start", "end", "step"))
    last = None if isinstance(end, int) and end >= 2**31 else end
    part = slice(None if start == 0 else start, last, None if step == 1 else step)
    index = (*[slice(None)] * axis, part) if axis >= 0 else (..., part, *[slice(None)] * (-1 - axis))
    return operator.getitem, (given["self"], index), {}


def _convolution(torch: Any, given: Given) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    kind = "conv_transpose" if given["transposed"] else "conv"
    names = ["input", "weight", "bias", "stride", "padding", "dilation", "groups"]
    names += ["output_padding"] if given["transposed"] else []
    function = getattr(torch.nn.functional, f"{kind}{len(given['stride'])}d")
    return function, (given["input"],), {name: given[name] for name in names[1:]}


def _batch_norm(torch: Any, given: Given) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    settings = {name: given[name] for name in (*_NORM[1:], "eps")}
    return torch.nn.functional.batch_norm, (given["input"],), {**settings, "training": given.get("training", False)}


def _of_names(function: str, *names: str) -> Callable[[Any, Given], Any]:
    """A function of torch.nn.functional that takes these of the arguments, in order."""

    def rewrite(torch: Any, given: Given) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        return getattr(torch.nn.functional, function), tuple(given[name] for name in names), {}

    return rewrite


def _resized(torch: Any, given: Given) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    mode = "nearest" if "align_corners" not in given else "bilinear"
    size, scale = given.get("output_size"), given.get("scale_factors")
    settings = {"size": size, "scale_factor": scale and tuple(scale), "mode": mode}
    settings |= {"align_corners": given["align_corners"]} if "align_corners" in given else {}
    return torch.nn.functional.interpolate, (given["input"],), settings


_REWRITTEN: Mapping[str, Callable[[Any, Given], tuple[Any, tuple[Any, ...], dict[str, Any]]]] = {
    "slice": _sliced,
    "convolution": _convolution,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "batch_norm": _batch_norm,
    "layer_norm": _of_names("layer_norm", "input", "normalized_shape", "weight", "bias", "eps"),
    "native_group_norm": _of_names("group_norm", "input", "group", "weight", "bias", "eps"),
    "native_layer_norm": _of_names("layer_norm", "input", "normalized_shape", "weight", "bias", "eps"),
    "group_norm": _of_names("group_norm", "input", "num_groups", "weight", "bias", "eps"),
    "upsample_nearest2d": _resized,
    "upsample_bilinear2d": _resized,
}
