"""A subject as it is run by convproof and by each of its peers: functions that return the arrays that they compute.

All of them read the same arrays. A forward pass returns the output; with a backward pass there are also the gradients
to the input, where the subject is a single layer, and to all parameters. convproof always remembers how its results
were made; torch does not for a forward pass alone, works in place where its own networks do, and drops what nobody
reads any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from benchmarks import subjects
from benchmarks.subjects import Subject
from convproof import autograd as ag
from convproof import execute
from convproof.architecture import Add, AvgPool, BatchNorm, Conv, GlobalPool, Layer, Linear, MaxPool, ReLU

Run = Callable[[], list[Any]]
CHAIN = 1000
"""Additions in a chain."""


def threads() -> int:
    """How many threads each side may use; set before the process begins, since BLAS reads it when it is loaded."""
    return int(os.environ.get("OMP_NUM_THREADS", "1"))


# --- convproof --------------------------------------------------------------------------------------------------------


def with_convproof(subject: Subject, backward: bool) -> Run:
    """convproof, by `execute.run`."""
    net, x = subject.network, subjects.image(subject)
    held = {
        layer: {field: ag.tensor(array) for field, array in own.items()}
        for layer, own in subjects.parameters(subject, statistics=not backward).items()
    }
    g = subjects.cotangent(subject) if backward else None

    def run() -> list[Any]:
        image = ag.tensor(x)
        y = execute.run(net, image, held)[0][net.output.name]
        if not backward:
            return [y.numpy()]
        wanted = [t for own in held.values() for t in own.values()]
        gradients = ag.grad(y, [image, *wanted] if subject.layer else wanted, g)
        return [t.numpy() for t in (y, *gradients)]

    return run


def chain_with_convproof(backward: bool, length: int = CHAIN) -> Run:
    """Additions of a number to one number, one after the other."""

    def run() -> list[Any]:
        x = y = ag.tensor(subjects.normal((1,)))
        for _ in range(length):
            y = ag.add(y, 1.0)
        return [t.numpy() for t in ag.grad(y, [x])] if backward else [y.numpy()]

    return run


# --- torch ------------------------------------------------------------------------------------------------------------


def with_torch(subject: Subject, backward: bool) -> Run:
    """torch; with gradients in training mode, else in inference mode."""
    torch = _torch()
    net, x = subject.network, torch.from_numpy(subjects.image(subject))
    held = {
        layer: {field: torch.from_numpy(array).requires_grad_(backward) for field, array in own.items()}
        for layer, own in subjects.parameters(subject, statistics=not backward).items()
    }
    g = torch.from_numpy(subjects.cotangent(subject)) if backward else None
    last_reader = {name: node.name for node in net for name in node.operands}

    def forward(image: Any) -> Any:
        values = {net.input.name: image}
        for node in net.nodes[1:]:
            operands = [values[name] for name in node.operands]
            for name in node.operands:
                if last_reader[name] == node.name:
                    del values[name]
            in_place = net.input.name not in node.operands
            values[node.name] = _torch_layer(
                torch.nn.functional, node.layer, operands, held.get(node.name, {}), in_place
            )
        return values[net.output.name]

    def run() -> list[Any]:
        if not backward:
            with torch.no_grad():
                return [forward(x).numpy()]
        image = x.detach().requires_grad_(subject.layer is not None)
        wanted = [t for own in held.values() for t in own.values()]
        y = forward(image)
        gradients = torch.autograd.grad(y, [image, *wanted] if subject.layer else wanted, g)
        return [t.detach().numpy() for t in (y, *gradients)]

    return run


def _torch() -> Any:
    import torch

    torch.set_num_threads(threads())
    return torch


def _torch_layer(F: Any, layer: Layer, operands: list[Any], own: dict[str, Any], in_place: bool) -> Any:
    """The tensor that torch makes of the layer's operands."""
    x = operands[0]
    match layer:
        case Conv():
            return F.conv2d(x, own["weight"], own.get("bias"), layer.stride, layer.padding)
        case Linear():
            return F.linear(x.flatten(1), own["weight"], own["bias"])
        case BatchNorm():
            mean, variance = own.get("running_mean"), own.get("running_var")
            return F.batch_norm(x, mean, variance, own["weight"], own["bias"], mean is None, eps=layer.eps)
        case ReLU():
            return F.relu(x, inplace=in_place)
        case MaxPool():
            return F.max_pool2d(x, layer.kernel_size, layer.stride, layer.padding)
        case AvgPool():
            return F.avg_pool2d(x, layer.kernel_size, layer.stride, layer.padding)
        case GlobalPool():
            return F.adaptive_avg_pool2d(x, 1)
        case Add():
            return x.add_(operands[1])
    raise NotImplementedError(f"torch: {layer}")


def chain_with_torch(backward: bool) -> Run:
    """The same additions."""
    torch = _torch()

    def run() -> list[Any]:
        with torch.set_grad_enabled(backward):
            x = y = torch.from_numpy(subjects.normal((1,))).requires_grad_(backward)
            for _ in range(CHAIN):
                y = y + 1.0
            return [t.numpy() for t in torch.autograd.grad(y, [x])] if backward else [y.numpy()]

    return run


# --- MyGrad and ONNX --------------------------------------------------------------------------------------------------


def with_mygrad(subject: Subject, backward: bool) -> Run:
    """MyGrad on a convolution with biases, without its guard against writes, which costs time."""
    import mygrad
    from mygrad.nnet.layers import conv_nd

    mygrad.turn_memory_guarding_off()
    layer, arrays, g = subject.layer, _arrays(subject), subjects.cotangent(subject)

    def run() -> list[Any]:
        x, w, b = tensors = [mygrad.tensor(array, copy=False) for array in arrays]
        y = conv_nd(x, w, stride=layer.stride, padding=layer.padding) + b.reshape(-1, 1, 1)
        if not backward:
            return [y.data]
        y.backward(g)
        return [y.data, *(t.grad for t in tensors)]

    return run


def with_reference_evaluator(subject: Subject, backward: bool) -> Run:
    """ONNX's own evaluator in Python; forward only."""
    from onnx.reference import ReferenceEvaluator

    x, session = subjects.image(subject), ReferenceEvaluator(_model(subject))
    return lambda: session.run(None, {"x": x})


def with_onnxruntime(subject: Subject, backward: bool) -> Run:
    """onnxruntime; forward only."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads(), 1
    x, model = subjects.image(subject), _model(subject).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": x})


def _arrays(subject: Subject) -> list[Any]:
    """A single layer's input and parameters."""
    own = subjects.parameters(subject, statistics=True).get(subject.network.output.name, {})
    return [subjects.image(subject), *own.values()]


def _model(subject: Subject) -> Any:
    """A layer as an ONNX model of one node, or two where flattening is a node of its own."""
    from onnx import TensorProto, helper, numpy_helper

    x, *own = _arrays(subject)
    names = [f"parameter{i}" for i in range(len(own))]
    op, attributes = _operator(subject.layer)
    nodes = [helper.make_node(op, ["x", *names], ["y"], **attributes)]
    if isinstance(subject.layer, Linear):
        nodes = [
            helper.make_node("Flatten", ["x"], ["flat"]),
            helper.make_node(op, ["flat", *names], ["y"], **attributes),
        ]
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for array, name in zip(own, names, strict=True)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def _operator(layer: Layer | None) -> tuple[str, dict[str, Any]]:
    """The operator that does what the layer does, and its attributes."""
    match layer:
        case Conv() | MaxPool() | AvgPool():
            op = {Conv: "Conv", MaxPool: "MaxPool", AvgPool: "AveragePool"}[type(layer)]
            both = {"kernel_shape": layer.kernel_size, "strides": layer.stride}
            attributes = {name: [value] * 2 for name, value in both.items()}
            return op, {**attributes, "pads": [layer.padding] * 4}
        case Linear():
            return "Gemm", {"transB": 1}
        case BatchNorm():
            return "BatchNormalization", {"epsilon": layer.eps}
        case GlobalPool():
            return "GlobalAveragePool", {}
        case ReLU():
            return "Relu", {}
    raise NotImplementedError(f"ONNX: {layer}")


SIDES: dict[str, Callable[[Subject, bool], Run]] = {
    "convproof": with_convproof,
    "torch": with_torch,
    "MyGrad": with_mygrad,
    "ReferenceEvaluator": with_reference_evaluator,
    "onnxruntime": with_onnxruntime,
}

PACKAGES = {
    "torch": ("torch",),
    "MyGrad": ("mygrad",),
    "ReferenceEvaluator": ("onnx",),
    "onnxruntime": ("onnx", "onnxruntime"),
}


def missing(peer: str) -> list[str]:
    """The packages that a peer needs and that are not installed."""
    return [package for package in PACKAGES[peer] if find_spec(package) is None]
