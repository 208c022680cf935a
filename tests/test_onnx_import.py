"""ONNX files as networks, against onnx's own shape inference, onnxruntime's results and counts made from the files."""

import os
import random
import subprocess
import sys
import time
from functools import cache
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
import pytest

from convproof import execute
from convproof.architecture import Node, layers
from convproof.errors import ConvproofError, InputError
from convproof.importers.onnx import load
from convproof.symbolic import analyze, output_shapes, parameters, size_sets

onnx = pytest.importorskip("onnx", reason="onnx is not installed; `pip install '.[onnx]'` brings it")
from onnx import TensorProto, numpy_helper  # noqa: E402
from onnx import helper as oh  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


# --- what other programs say ------------------------------------------------------------------------------------------


def model(nodes, weights=None, image=(1, 4, 9, 8), opset=17, output=None, **options):
    """A model that makes the last node's output of the image x."""
    stored = [numpy_helper.from_array(np.asarray(w), name) for name, w in (weights or {}).items()]
    x = oh.make_tensor_value_info("x", TensorProto.FLOAT, image)
    y = oh.make_tensor_value_info(output or nodes[-1].output[0], TensorProto.FLOAT, None)
    graph = oh.make_graph(nodes, "g", [x], [y], stored, **options)
    return oh.make_model(graph, opset_imports=[oh.make_opsetid("", opset)], ir_version=8)


def node(op, inputs, output, **attributes):
    return oh.make_node(op, inputs.split(), [output], **attributes)


def image_of(given):
    stored = {tensor.name for tensor in given.graph.initializer}
    return next(each for each in given.graph.input if each.name not in stored)


def resized(given, *sizes):
    """The model with other sizes of its image, and without the shapes that it declares."""
    changed = onnx.ModelProto()
    changed.CopyFrom(given)
    for dim, n in zip(image_of(changed).type.tensor_type.shape.dim[2:], sizes, strict=True):
        dim.dim_value = n
    del changed.graph.value_info[:]
    for each in changed.graph.output:
        each.type.tensor_type.ClearField("shape")
    return changed


def inferred(given):
    """The shape of every tensor by onnx's shape inference, without the batch; None where it refuses the model."""
    try:
        graph = onnx.shape_inference.infer_shapes(given, strict_mode=True, data_prop=True).graph
    except onnx.shape_inference.InferenceError:
        return None
    declared = [*graph.value_info, *graph.input, *graph.output]
    shapes = {v.name: tuple(dim.dim_value for dim in v.type.tensor_type.shape.dim) for v in declared}
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    makes = {name for each in graph.node for name in each.output}
    return None if any(n < 1 for name in makes for n in shapes.get(name, ())) else {n: s[1:] for n, s in shapes.items()}


def keeps_sizes(given, shapes):
    """Whether every Reshape to a shape written in the file makes as many elements as it reads."""
    targets = {tensor.name: numpy_helper.to_array(tensor) for tensor in given.graph.initializer}
    reshapes = [each for each in given.graph.node if each.op_type == "Reshape" and each.input[1] in targets]
    return all(
        prod(abs(n) for n in targets[each.input[1]]) == prod(shapes[each.input[0]])
        for each in reshapes
        if -1 not in targets[each.input[1]]
    )


def windows_fit(given, shapes):
    """Whether every window has room in its padded input.

    onnx's inference and onnxruntime do not see it where they round -1/2 to 0: a window of 3 at stride 2 on 2 positions.
    """
    for each in given.graph.node:
        a = {attribute.name: oh.get_attribute_value(attribute) for attribute in each.attribute}
        if each.op_type in ("Conv", "MaxPool", "AveragePool", "LpPool") and a.get("auto_pad", b"")[:4] != b"SAME":
            kernel = a.get("kernel_shape") or shapes[each.input[1]][1:]
            ones, zeros = [1] * len(kernel), [0] * len(kernel)
            spans = [d * (k - 1) + 1 for k, d in zip(kernel, a.get("dilations", ones), strict=True)]
            beyond = [s - 1 for s in a.get("strides", ones)] if a.get("ceil_mode") and "auto_pad" not in a else zeros
            pads = a.get("pads", zeros + zeros)
            room = zip(shapes[each.input[0]][1:], pads[: len(kernel)], pads[len(kernel) :], beyond, strict=True)
            if any(sum(each) < span for each, span in zip(room, spans, strict=True)):
                return False
    return True


def run(given, x):
    """What onnxruntime makes of the image; None where it refuses to."""
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(given.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found = session.run(None, {image_of(given).name: x})[0]
        return found if found.size else None
    except Exception as error:  # onnxruntime's exceptions share no other base
        if type(error).__module__.startswith("onnxruntime"):
            return None
        raise


@pytest.fixture
def imported(tmp_path):
    """Writes a model to a file and imports it."""

    def through_file(given, **options):
        path = tmp_path / "model.onnx"
        path.write_bytes(given if isinstance(given, bytes) else given.SerializeToString())
        return load(path, **options)

    return through_file


def with_sizes(network, *sizes):
    return network.with_input(layers.Input(network.image.channels, sizes))


# --- published networks -----------------------------------------------------------------------------------------------

MODELS = sorted(path.name for path in LIGHT.glob("light_*.onnx"))
NETWORKS = {
    "light_bvlc_alexnet.onnx": 60_965_224,
    "light_densenet121.onnx": None,
    "light_inception_v1.onnx": 6_998_552,
    "light_inception_v2.onnx": None,
    "light_resnet50.onnx": 25_557_032,
    "light_shufflenet.onnx": None,
    "light_squeezenet.onnx": 1_235_496,
    "light_vgg19.onnx": 143_667_240,
    "light_zfnet512.onnx": None,
}
"""The parameters that are published, where they are."""


@cache
def light(name):
    return onnx.load(LIGHT / name, load_external_data=False)


def test_every_published_network_is_looked_at():
    assert sorted(NETWORKS) == MODELS


@pytest.mark.parametrize("name", MODELS)
def test_shapes_of_published_networks(name):
    found = load(LIGHT / name)
    shapes, expected = output_shapes(found.network), inferred(light(name))
    assert {layer: expected[tensor] for layer, tensor in found.tensors.items()} == shapes
    assert not found.notes
    assert found.conflicts(shapes) == []


@pytest.mark.parametrize("name", MODELS)
def test_parameters_of_published_networks(name):
    """Counted from the sizes of the tensors that the nodes read."""
    whole = onnx.shape_inference.infer_shapes(light(name))
    shapes = {t.name: tuple(t.dims) for t in whole.graph.initializer}
    shapes |= {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in whole.graph.value_info}
    learned = {"Conv": (1, 2), "Gemm": (1, 2), "BatchNormalization": (1, 2), "Mul": (1,), "Add": (1,)}
    read = [
        each.input[i] for each in whole.graph.node for i in learned.get(each.op_type, ()) if i < len(each.input)
    ]  # fmt: skip
    count = sum(prod(shapes[name]) for name in read)
    found = load(LIGHT / name)
    made = output_shapes(found.network)
    by_layers = sum(parameters(n.layer, *(made[operand] for operand in n.operands)) for n in found.network)
    assert by_layers == found.learned == count == (NETWORKS[name] or count)


def around(valid, axis):
    """Sizes near where a set begins, and near what the files are made for."""
    places = {n + step for n in (valid.start, 224) for step in (-33, -32, -3, -2, -1, 0, 1, 2, 3, 31, 32)}
    return [(n, [n, 224] if axis == 0 else [224, n]) for n in sorted(places) if n > 0]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("axis", [0, 1])
def test_sizes_of_published_networks(name, axis):
    """A size is accepted just where onnx's inference accepts it and no reshape loses elements."""
    found, whole = load(LIGHT / name), light(name)
    valid, _ = size_sets(found.network, axis)
    verdicts = set()
    for n, sizes in around(valid, axis):
        accepted = n in valid and not found.conflicts(output_shapes(with_sizes(found.network, *sizes)))
        shapes = inferred(resized(whole, *sizes))
        assert accepted == (shapes is not None and windows_fit(whole, shapes) and keeps_sizes(whole, shapes)), n
        verdicts.add(accepted)
    assert verdicts == {True, False}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("axis", [0, 1])
def test_sizes_of_published_networks_before_their_first_reshape(name, axis):
    """There the layers alone decide."""
    trunk = onnx.ModelProto()
    trunk.CopyFrom(light(name))
    reshape = next((i for i, each in enumerate(trunk.graph.node) if each.op_type == "Reshape"), len(trunk.graph.node))
    end = trunk.graph.node[reshape].input[0] if reshape < len(trunk.graph.node) else trunk.graph.output[0].name
    del trunk.graph.node[reshape:]
    trunk.graph.output[0].name = end
    found = load(LIGHT / name, output=end)
    assert not found.fixed
    valid, _ = size_sets(found.network, axis)
    for n, sizes in around(valid, axis):
        shapes = inferred(resized(trunk, *sizes))
        assert (n in valid) == (shapes is not None and windows_fit(trunk, shapes)), n


@pytest.mark.parametrize(
    ("name", "sizes", "accepted"),
    [
        ("light_squeezenet.onnx", (31, 40), True),
        ("light_shufflenet.onnx", (220, 224), False),
        ("light_shufflenet.onnx", (221, 223), True),
        ("light_shufflenet.onnx", (225, 224), False),
    ],
)
def test_sizes_that_onnxruntime_runs(name, sizes, accepted):
    found = load(LIGHT / name)
    valid = [size_sets(found.network, axis)[0] for axis in (0, 1)]
    fits = all(n in each for n, each in zip(sizes, valid, strict=True))
    assert (fits and not found.conflicts(output_shapes(with_sizes(found.network, *sizes)))) == accepted
    assert (run(resized(light(name), *sizes), np.ones((1, 3, *sizes), np.float32)) is not None) == accepted


# --- one operator at a time -------------------------------------------------------------------------------------------


def integers(*shape):
    """Small whole numbers, with which float32 is exact; the same ones every time."""
    return np.random.default_rng(prod(shape)).integers(-3, 4, shape).astype(np.float32)


def ints(*values):
    return np.array(values, np.int64)


def conv(weights=(6, 4, 3, 2), **attributes):
    return [node("Conv", "x w b", "y", **attributes)], {"w": integers(*weights), "b": integers(weights[0])}


def transposed(weights=(4, 5, 3, 2), **attributes):
    units = weights[1] * attributes.get("group", 1)
    return [node("ConvTranspose", "x w b", "y", **attributes)], {"w": integers(*weights), "b": integers(units)}


def single(op, inputs="x", weights=None, **attributes):
    return [node(op, inputs, "y", **attributes)], weights or {}


MODES = ("VALID", "SAME_UPPER", "SAME_LOWER")
CASES = {
    "conv": conv(),
    "conv, pads": conv(pads=[0, 1, 2, 0], strides=[2, 3]),
    "conv, dilated": conv(dilations=[2, 3], pads=[1, 1, 1, 1]),
    "conv, groups": conv((6, 2, 3, 2), group=2),
    "conv, no bias": ([node("Conv", "x w", "y")], {"w": integers(6, 4, 1, 1)}),
    **{f"conv, {mode}": conv(auto_pad=mode, strides=[2, 1]) for mode in MODES},
    **{f"conv, {mode}, dilated": conv(auto_pad=mode, dilations=[3, 2]) for mode in MODES},
    "transposed": transposed(),
    "transposed, pads": transposed(pads=[1, 0, 0, 1], strides=[2, 3], output_padding=[1, 2]),
    "transposed, dilated": transposed(dilations=[2, 1], pads=[1, 1, 1, 0], strides=[1, 2]),
    "transposed, groups": transposed((4, 3, 2, 2), group=2, strides=[2, 2]),
    "transposed, no bias": ([node("ConvTranspose", "x w", "y")], {"w": integers(4, 5, 1, 2)}),
    **{f"transposed, {mode}": transposed(auto_pad=mode, strides=[2, 2]) for mode in MODES},
    **{f"transposed, {mode}, long": transposed((4, 5, 4, 5), auto_pad=mode, strides=[1, 2]) for mode in MODES},
    "max pool": single("MaxPool", kernel_shape=[3, 2]),
    "max pool, pads": single("MaxPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1]),
    "max pool, dilated": single("MaxPool", kernel_shape=[2, 3], dilations=[3, 2], strides=[1, 2]),
    "max pool, ceil": (
        *single("MaxPool", kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 1, 1], ceil_mode=1),
        {"opset": 22},  # from there on onnx's inference drops windows that begin in the padding at the end
    ),
    **{f"max pool, {mode}": single("MaxPool", kernel_shape=[3, 2], strides=[2, 2], auto_pad=mode) for mode in MODES},
    **{
        f"max pool, {mode}, ceil": single("MaxPool", kernel_shape=[3, 3], strides=[2, 3], auto_pad=mode, ceil_mode=1)
        for mode in MODES[1:]
    },
    "average pool": single("AveragePool", kernel_shape=[4, 2], strides=[3, 1]),
    "average pool, pads": single(
        "AveragePool", kernel_shape=[4, 2], strides=[2, 2], pads=[2, 0, 2, 0], count_include_pad=1
    ),
    "average pool, pads left out": single("AveragePool", kernel_shape=[2, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    "average pool, ceil": single("AveragePool", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    **{
        f"average pool, {mode}": single("AveragePool", kernel_shape=[2, 2], strides=[2, 2], auto_pad=mode)
        for mode in MODES
    },
    "Lp pool": single("LpPool", kernel_shape=[3, 2], strides=[2, 2], p=1),
    "Lp pool, pads": single("LpPool", kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 2, 1], p=1),
    "global average pool": single("GlobalAveragePool"),
    "global max pool": single("GlobalMaxPool"),
    "mean over positions": single("ReduceMean", axes=[2, -1]),
    "mean over positions, flat": single("ReduceMean", axes=[-2, 3], keepdims=0),
    "mean over positions, input": ([node("ReduceMean", "x a", "y")], {"a": ints(2, 3)}, {"opset": 18}),
    "maximum over positions": single("ReduceMax", axes=[2, 3], keepdims=0),
    "pad": single("Pad", "x p", {"p": ints(0, 0, 1, 0, 0, 0, 2, 3)}),
    "pad, crop": single("Pad", "x p", {"p": ints(0, 0, -1, 0, 0, 0, 2, -2)}),
    "pad, none": single("Pad", "x p", {"p": ints(*[0] * 8)}),
    "pad, attribute": (*single("Pad", pads=[0, 0, 1, 0, 0, 0, 2, 3]), {"opset": 10}),
    "pad, axes": (*single("Pad", "x p z a", {"p": ints(1, 2), "z": np.float32(0), "a": ints(-1)}), {"opset": 18}),
    "upsample": (*single("Upsample", scales=[1.0, 1.0, 2.0, 3.0], mode="nearest"), {"opset": 7}),
    "upsample, input": (*single("Upsample", "x s", {"s": np.float32([1, 1, 2, 2])}), {"opset": 9}),
    "resize, 10": (*single("Resize", "x s", {"s": np.float32([1, 1, 3, 2])}), {"opset": 10}),
    "resize": ([oh.make_node("Resize", ["x", "", "s"], ["y"])], {"s": np.float32([1, 1, 3, 2])}),
    "resize, axes": (
        [oh.make_node("Resize", ["x", "", "s"], ["y"], axes=[3, 2])],
        {"s": np.float32([2, 3])},
        {"opset": 18},
    ),
    "resize, floor": (
        [
            oh.make_node(
                "Resize", ["x", "", "s"], ["y"], coordinate_transformation_mode="asymmetric", nearest_mode="floor"
            )
        ],
        {"s": np.float32([1, 1, 3, 5])},
    ),
    "resize, linear": ([oh.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")], {"s": np.float32([1, 1, 2, 2])}),
    "fully connected": (
        [node("GlobalMaxPool", "x", "p"), node("Flatten", "p", "f"), node("Gemm", "f w b", "y", transB=1)],
        {"w": integers(7, 4), "b": integers(7)},
    ),
    "fully connected, untransposed": (
        [node("GlobalMaxPool", "x", "p"), node("Flatten", "p", "f"), node("Gemm", "f w", "y")],
        {"w": integers(4, 7)},
    ),
    "matrix product": (
        [
            node("GlobalMaxPool", "x", "p"),
            node("Squeeze", "p a", "f"),
            node("MatMul", "f w", "m"),
            node("Add", "b m", "y"),
        ],
        {"w": integers(4, 7), "b": integers(7), "a": ints(2, 3)},
    ),
    "batch normalisation": single(
        "BatchNormalization",
        "x g b m v",
        {"g": integers(4), "b": integers(4), "m": integers(4), "v": np.float32([1, 4, 1, 4])},
        epsilon=0.0,
    ),
    "instance normalisation": single(
        "InstanceNormalization", "x g b", {"g": integers(4), "b": integers(4)}, epsilon=1.0
    ),
    "local response normalisation": single("LRN", size=3, alpha=0.0, bias=1.0),
    "relu": single("Relu"),
    "channel scale": single("Mul", "x c", {"c": integers(4, 1, 1)}),
    "channel shift": single("Add", "c x", {"c": integers(1, 4, 1, 1)}),
    "add": ([node("Relu", "x", "a"), node("MaxPool", "x", "b", kernel_shape=[1, 1]), node("Add", "a b", "y")], {}),
    "sum": (
        [node("Relu", "x", "a"), node("MaxPool", "x", "b", kernel_shape=[1, 1]), node("Sum", "a b x", "y")],
        {},
    ),
    "concat": ([node("Relu", "x", "a"), node("Concat", "a x a", "y", axis=-3)], {}),
    **{
        f"split, {opset}": (
            [
                oh.make_node("Split", ["x", *sizes], ["a", "b"], axis=axis, **attributes),
                node("Concat", "b a", "y", axis=1),
            ],
            {"s": ints(3, 1)} if sizes else {},
            {"opset": opset},
        )
        for opset, sizes, axis, attributes in (
            (11, [], 1, {"split": [1, 3]}),
            (12, [], -3, {}),
            (13, ["s"], 1, {}),
            (18, [], 1, {"num_outputs": 2}),
        )
    },
    "slice, channels": single("Slice", "x s e a", {"s": ints(1), "e": ints(-1), "a": ints(1)}),
    "slice, crop": single("Slice", "x s e a", {"s": ints(0, 2), "e": ints(-1, 2**63 - 1), "a": ints(-1, 2)}),
    "slice, both": (*single("Slice", starts=[2, 1], ends=[9, -2], axes=[1, 3]), {"opset": 9}),
    "slice, all": ([node("Slice", "x s e a", "b"), node("Relu", "b", "y")], {"s": ints(0), "e": ints(4), "a": ints(1)}),
    "product": (
        [node("Conv", "x w", "a"), node("Mul", "x a", "y")],
        {"w": integers(4, 4, 1, 1)},
    ),
    "gate": (
        [node("GlobalMaxPool", "x", "p"), node("Conv", "p w", "g"), node("Mul", "g x", "y")],
        {"w": integers(4, 4, 1, 1)},
    ),
    **{
        f"gate of a vector, {op}": (
            [
                node("GlobalMaxPool", "x", "p"),
                node("Flatten", "p", "f"),
                node("Gemm", "f w", "m", transB=1),
                node(op, "m a", "g"),
                node("Mul", order, "y"),
            ],
            {"w": integers(4, 4), "a": axes},
        )
        for op, axes, order in (("Unsqueeze", ints(2, 3), "x g"), ("Reshape", ints(-1, 4, 1, 1), "g x"))
    },
    "flatten": single("Flatten"),
    "reshape": single("Reshape", "x s", {"s": ints(0, -1)}),
    "reshape, to the same": single("Reshape", "x s", {"s": ints(0, 4, 0, -1)}),
    "shuffle": (
        [
            node("Reshape", "x s", "a"),
            node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
            node("Reshape", "b t", "y"),
        ],
        {"s": ints(1, 2, 2, 8, 8), "t": ints(1, -1, 8, 8)},
    ),
    "channels to blocks": single("DepthToSpace", blocksize=2, mode="CRD"),
    "dropout": single("Dropout"),
    "identity": ([node("Identity", "x", "a"), node("Cast", "a", "b", to=1), node("Relu", "b", "y")], {}),
    "channels last": (
        [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y")],
        {"w": integers(6, 4, 3, 2)},
        {"channels_last": True},
    ),
}

SIZES = [(n, 8) for n in range(1, 14)] + [(8, n) for n in range(1, 14)]


def case(name, sizes):
    """The model of a case on an image of these sizes."""
    nodes, weights, *rest = CASES[name]
    options = rest[0] if rest else {}
    image = (1, *sizes, 4) if options.get("channels_last") else (1, 4, *sizes)
    return model(nodes, weights, image, options.get("opset", 17))


@pytest.mark.parametrize("name", CASES)
def test_shapes_of_an_operator_at_many_sizes(name, imported):
    found = imported(case(name, ("H", "W")))
    assert found.network.image == layers.Input(4, ("H", "W"))
    assert not found.notes
    valid = [size_sets(found.network, axis)[0] for axis in (0, 1)]
    verdicts = set()
    for h, w in SIZES:
        sized, whole = with_sizes(found.network, h, w), case(name, (h, w))
        expected = inferred(whole)
        accepted = expected is not None and windows_fit(whole, expected) and keeps_sizes(whole, expected)
        assert (h in valid[0] and w in valid[1] and not found.conflicts(output_shapes(sized))) == accepted, (h, w)
        verdicts.add(accepted)
        if accepted:
            shapes = output_shapes(sized)
            assert shapes[found.network.output.name] == expected["y"]
            tensors = {tensor: layer for layer, tensor in found.tensors.items() if layer != found.network.input.name}
            assert {tensor: shapes[layer] for tensor, layer in tensors.items()} == {t: expected[t] for t in tensors}
    assert True in verdicts


NO_NUMERIC_RUN = {
    "resize, linear": "the autograd interpolates nothing",
    "local response normalisation": "its powers are not exact",
    "instance normalisation": "its roots are not exact",
    "conv, SAME_UPPER, dilated": "onnxruntime refuses it",
    "conv, SAME_LOWER, dilated": "onnxruntime refuses it",
}


def stored_arrays(found, given):
    """The parameters as `execute.run` takes them."""
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in given.graph.initializer}
    made = {}
    for each in found.network:
        fields = ("bias",) if isinstance(each.layer, layers.Affine) and each.layer.shift else ("weight", "bias")
        names = found.parameters.get(each.name, ())
        made[each.name] = dict(zip(fields, (arrays[name] for name in names), strict=False))
        if isinstance(each.layer, layers.Linear) and len(made[each.name]["weight"]) != each.layer.out_features:
            made[each.name]["weight"] = made[each.name]["weight"].T
        if isinstance(each.layer, layers.Affine):
            made[each.name] = {field: array.reshape(-1) for field, array in made[each.name].items()}
        if isinstance(each.layer, layers.BatchNorm):
            made[each.name] |= {"running_mean": arrays["m"], "running_var": arrays["v"]}
    return {layer: fields for layer, fields in made.items() if fields}


@pytest.mark.parametrize("sizes", [(8, 8), (16, 8)], ids=str)
@pytest.mark.parametrize("name", sorted(CASES.keys() - NO_NUMERIC_RUN.keys()))
def test_an_operator_computes_what_onnxruntime_does(name, sizes, imported):
    """On whole numbers, which float32 holds exactly; so every element has come from the right positions."""
    whole = case(name, (8, 8) if name == "shuffle" else sizes)
    found = imported(whole)
    sizes = found.network.image.sizes
    x = integers(1, 4, *sizes)
    activations, _ = execute.run(found.network, x, stored_arrays(found, whole))
    first = x.transpose(0, 2, 3, 1) if image_of(whole).type.tensor_type.shape.dim[3].dim_value == 4 else x
    assert np.array_equal(activations[found.network.output.name].numpy(), run(whole, first))


def layers_of(found):
    return {each.name: each.layer for each in found.network}


@pytest.mark.parametrize(
    ("op", "name", "attributes"),
    [
        ("Sigmoid", "sigmoid", {}),
        ("Tanh", "tanh", {}),
        ("LeakyRelu", "leaky_relu", {"alpha": 0.1}),
        ("Clip", "clip", {}),
        ("Elu", "elu", {}),
        ("HardSwish", "hardswish", {}),
        ("HardSigmoid", "hardsigmoid", {}),
        ("Selu", "selu", {}),
        ("Erf", "erf", {}),
        ("Softplus", "softplus", {}),
        ("Mish", "mish", {}),
        ("Gelu", "gelu", {}),
    ],
)
def test_activations(op, name, attributes, imported):
    found = imported(model(*single(op, **attributes), opset=20))
    assert [each.layer for each in found.network][1:] == [layers.Activation(name)]


def test_softmax_over_channels(imported):
    assert layers_of(imported(model(*single("Softmax", axis=1))))["y"] == layers.Softmax()
    flat = imported(model([node("Flatten", "x", "f"), node("Softmax", "f", "y")]))
    assert layers_of(flat)["y"] == layers.Softmax()
    log = imported(model(*single("LogSoftmax", axis=-3)))
    assert [each.layer for each in log.network][1:] == [layers.Softmax(), layers.Activation("log")]


@pytest.mark.parametrize(
    ("nodes", "name"),
    [
        ([node("Sigmoid", "x", "a"), node("Mul", "x a", "y")], "silu"),
        ([node("HardSigmoid", "x", "a"), node("Mul", "a x", "y")], "hardswish"),
        ([node("Tanh", "x", "a"), node("Exp", "x", "b"), node("Sub", "a b", "y")], "sub"),
        ([node("Div", "x h", "a"), node("Erf", "a", "b"), node("Add", "b h", "c"), node("Mul", "x c", "y")], "mul"),
        ([node("Mul", "h x", "y")], "mul"),
        ([node("Pow", "x h", "y")], "pow"),
        ([node("Relu", "x", "a"), node("Add", "a x", "y")], "add"),
    ],
)
def test_functions_of_each_element_that_are_written_out(nodes, name, imported):
    """One layer, that reads the image; the nodes it is made of are not layers of their own."""
    found = imported(model(nodes, {"h": np.float32(0.5)}))
    assert [each.layer for each in found.network][1:] == [layers.Activation(name)]
    assert found.learned == 0


def test_a_written_out_function_starts_at_the_last_layer_that_all_of_it_comes_from(imported):
    nodes = [node("Relu", "x", "a"), node("Sigmoid", "a", "b"), node("Mul", "a b", "y")]
    found = imported(model(nodes))
    assert [each.layer for each in found.network][1:] == [layers.ReLU(), layers.Activation("silu")]


def test_what_is_read_twice_is_added(imported):
    found = imported(model([node("Relu", "x", "a"), node("Add", "a a", "y")]))
    assert found.network.nodes[-1] == Node("y", layers.Add(), ("a", "a"))


UNKNOWN = {
    "no such operator": ([node("NonMaxSuppression", "x", "y")], {}, "no layer kind does what it does"),
    "other domain": ([node("Relu", "x", "y", domain="com.example")], {}, "no layer kind does what it does"),
    "quotient of branches": (
        [node("Conv", "x w", "a"), node("Div", "x a", "y")],
        {"w": integers(4, 4, 1, 1)},
        "otherwise than by a sum or a product",
    ),
    "product with one channel": (
        [node("Conv", "x w", "a"), node("Mul", "x a", "y")],
        {"w": integers(1, 4, 1, 1)},
        "different shapes",
    ),
    "strided slice": (
        [node("Slice", "x s e a t", "y")],
        {"s": ints(0), "e": ints(9), "a": ints(1), "t": ints(2)},
        "a part of what it reads",
    ),
    "slice to a position": (
        [node("Slice", "x s e a", "y")],
        {"s": ints(0), "e": ints(5), "a": ints(2)},
        "hangs on the size",
    ),
    "rows apart": ([oh.make_node("Split", ["x"], ["y", "u"], axis=2)], {}, "another axis than the channels"),
    "broadcast sum": ([node("GlobalMaxPool", "x", "a"), node("Add", "x a", "y")], {}, "different shapes"),
    "one channel made many": (
        [node("Conv", "x w", "a"), node("Mul", "a c", "y")],
        {"w": integers(1, 4, 1, 1), "c": integers(4, 1, 1)},
        "one for each channel",
    ),
    "position weights": ([node("Add", "x c", "y")], {"c": integers(1, 1, 9, 8)}, "one for each channel"),
    "quotient": ([node("Div", "c x", "y")], {"c": integers(4, 1, 1)}, "one for each channel"),
    "computed weights": ([node("Conv", "x x", "y")], {}, "its input 2 is computed"),
    "constant image": ([node("Conv", "w x", "y")], {"w": integers(1, 1, 5, 5)}, "its input 1 is a constant"),
    "dilated average": ([node("AveragePool", "x", "y", kernel_shape=[2, 2], dilations=[2, 1])], {}, "are dilated"),
    "transposed image": ([node("Transpose", "x", "y", perm=[0, 1, 3, 2])], {}, "the order of the axes"),
    "shuffled space": ([node("Reshape", "x s", "y")], {"s": ints(1, 4, 8, 9)}, "in another way"),
    "computed reshape": ([node("Reshape", "x x", "y")], {}, "is computed"),
    "batch and channels": ([node("Flatten", "x", "y", axis=2)], {}, "more than the batch"),
    "softmax along W": ([node("Softmax", "x", "y")], {}, "another axis than the channels"),
    "concat along H": ([node("Concat", "x x", "y", axis=2)], {}, "another axis than the channels"),
    "mean of channels": ([node("ReduceMean", "x", "y", axes=[1])], {}, "other axes than all spatial ones"),
    "padded channels": ([node("Pad", "x p", "y")], {"p": ints(0, 1, 0, 0, 0, 0, 0, 0)}, "the batch or the channels"),
    "not whole": ([oh.make_node("Resize", ["x", "", "s"], ["y"])], {"s": np.float32([1, 1, 1.5, 2])}, "not whole"),
    "smaller": ([oh.make_node("Resize", ["x", "", "s"], ["y"])], {"s": np.float32([1, 1, 0.5, 1])}, "not whole"),
    "batch too": ([node("GlobalMaxPool", "x", "p"), node("Squeeze", "p", "y")], {}, "the batch too"),
    "statistics of the batch": (
        [oh.make_node("BatchNormalization", ["x", *"gggg"], ["y"], training_mode=1)],
        {"g": integers(4)},
        "by the statistics",
    ),
    "slopes of other channels": ([node("PRelu", "x s", "y")], {"s": integers(3, 1, 1)}, "or one for each channel"),
    "nothing": ([node("Slice", "x s e a", "y")], {"s": ints(2), "e": ints(2), "a": ints(1)}, "an empty tensor"),
    "transposed, too short": (
        *transposed((4, 5, 1, 2), auto_pad="SAME_UPPER", strides=[2, 2]),
        "larger than its windows",
    ),
    "matrices of pixels": ([node("MatMul", "x w", "y")], {"w": integers(8, 3)}, "no matrix times a constant matrix"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_no_layer_kind_describes_is_unknown_and_the_rest_goes_on(name, imported):
    nodes, weights, reason = UNKNOWN[name]
    tail = [node("Relu", "y", "r"), node("Conv", "r tail", "z")]
    found = imported(model(nodes + tail, {**weights, "tail": integers(2, 3, 1, 1)}))
    op = nodes[-1].op_type if not nodes[-1].domain else f"{nodes[-1].domain}.{nodes[-1].op_type}"
    assert layers_of(found)["y"] == layers.Unknown(op)
    assert layers_of(found)["z"] == layers.Conv(2, 1, bias=False)
    assert reason in found.notes["y"]
    with pytest.raises(ConvproofError, match=f"y: nothing is known about the operation {op}"):
        output_shapes(found.network)


def test_a_second_output_is_unknown(imported):
    pool = oh.make_node("MaxPool", ["x"], ["p", "places"], kernel_shape=[2, 2], name="pool")
    found = imported(model([pool, node("Cast", "places", "c", to=1), node("Relu", "c", "y")]))
    assert [(each.name, each.layer, each.operands) for each in found.network][1:] == [
        ("places", layers.Unknown("MaxPool"), ("x",)),
        ("y", layers.ReLU(), ("places",)),
    ]


def test_a_branch_on_a_condition_is_unknown_and_reads_what_its_graphs_read(imported):
    inner = oh.make_graph(
        [node("Relu", "a", "t")], "then", [], [oh.make_tensor_value_info("t", TensorProto.FLOAT, None)]
    )
    nodes = [
        node("Conv", "x w", "a"),
        oh.make_node("If", ["cond"], ["y"], then_branch=inner, else_branch=inner),
    ]
    found = imported(model(nodes, {"w": integers(2, 4, 1, 1), "cond": np.array(True)}))
    assert found.network.nodes[-1] == Node("y", layers.Unknown("If"), ("a",))


@pytest.mark.parametrize(
    ("nodes", "weights", "text"),
    [
        (*single("Pad", "x p v", {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "v": np.float32(2)}), "another number than 0"),
        (*single("PRelu", "x s", {"s": integers(4, 1, 1)}), "4 learned slopes"),
        (*single("MaxPool", kernel_shape=[3, 2], strides=[2, 3], ceil_mode=1, auto_pad="VALID"), "rounds up"),
    ],
)
def test_what_is_taken_for_something_else_is_said(nodes, weights, text, imported):
    """And has the same sizes."""
    for sizes in ((9, 8), (5, 7)):
        whole = model(nodes, weights, (1, 4, *sizes))
        found = imported(whole)
        assert list(found.notes) == ["y"]
        assert text in found.notes["y"]
        assert output_shapes(found.network)["y"] == inferred(whole)["y"]


# --- sizes that the file computes or writes out -----------------------------------------------------------------------

COMPUTED = {
    "resized to the image": (
        [
            node("MaxPool", "x", "p", kernel_shape=[2, 3], strides=[2, 1]),
            node("Shape", "x", "n"),
            oh.make_node("Resize", ["p", "", "", "n"], ["y"], coordinate_transformation_mode="asymmetric",
                         nearest_mode="floor"),
        ],
        {},
        [layers.MaxPool((2, 3), (2, 1)), layers.Resize()],
    ),
    "resized to another": (
        [
            node("MaxPool", "x", "p", kernel_shape=[2, 2]),
            node("Relu", "p", "r"),
            node("MaxPool", "r", "q", kernel_shape=[3, 2], strides=[3, 1]),
            node("Shape", "r", "n"),
            node("Slice", "n two four", "hw"),
            node("Shape", "q", "m"),
            node("Slice", "m zero two", "nc"),
            node("Concat", "nc hw", "s", axis=0),
            oh.make_node("Resize", ["q", "", "", "s"], ["y"], mode="linear"),
        ],
        {"zero": ints(0), "two": ints(2), "four": ints(4)},
        [layers.MaxPool(2, 1), layers.ReLU(), layers.MaxPool((3, 2), (3, 1)), layers.Resize("bilinear")],
    ),
    "flattened by its batch": (
        [
            node("Shape", "x", "n"),
            node("Gather", "n zero", "b", axis=0),
            node("Unsqueeze", "b zeros", "bs"),
            node("Concat", "bs minus", "s", axis=0),
            node("Reshape", "x s", "y"),
        ],
        {"zero": np.array(0), "zeros": ints(0), "minus": ints(-1)},
        layers.Flatten(),
    ),
    "shuffle": (
        [
            node("Shape", "x", "n"),
            node("Gather", "n i", "c"),
            node("Div", "c g", "q"),
            node("Slice", "n two four", "hw"),
            node("Concat", "one g q hw", "s", axis=0),
            node("Reshape", "x s", "a"),
            node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
            node("Reshape", "b n", "y"),
        ],
        {"i": ints(1), "g": ints(2), "two": ints(2), "four": ints(4), "one": ints(1)},
        layers.ChannelShuffle(2),
    ),
    "pads as torch computes them": (
        [
            node("ConstantOfShape", "four", "z", value=oh.make_tensor("v", TensorProto.INT64, [1], [0])),
            node("Concat", "p z", "all", axis=0),
            node("Reshape", "all pairs", "m"),
            node("Slice", "m from to first step", "r"),
            node("Transpose", "r", "t", perm=[1, 0]),
            node("Reshape", "t minus", "f"),
            node("Cast", "f", "g", to=7),
            node("Pad", "x g", "y"),
        ],
        {
            "four": ints(4), "p": ints(1, 2, 0, 3), "pairs": ints(-1, 2), "minus": ints(-1),
            "from": ints(-1), "to": ints(-(2**63) + 1), "first": ints(0), "step": ints(-1),
        },
        layers.Pad(((0, 3), (1, 2))),
    ),
    "weights reshaped": (
        [
            node("Cast", "k", "kf", to=1),
            node("Identity", "kf", "ki"),
            node("Transpose", "ki", "kt", perm=[3, 2, 0, 1]),
            node("Conv", "x kt", "y"),
        ],
        {"k": integers(3, 2, 4, 5)},
        layers.Conv(5, (3, 2), bias=False),
    ),
    "scale unsqueezed": (
        [node("Unsqueeze", "c a", "u"), node("Mul", "x u", "y")],
        {"c": integers(4), "a": ints(1, 2)},
        layers.Affine(True, False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTED)
def test_shapes_that_are_computed_in_the_graph(name, imported):
    nodes, weights, layer = COMPUTED[name]
    found = imported(model(nodes, weights, ("N", 4, "H", "W")))
    assert [each.layer for each in found.network][1:] == (layer if isinstance(layer, list) else [layer])
    assert not found.fixed
    for sizes in ((6, 7), (9, 4)):
        shapes = output_shapes(with_sizes(found.network, *sizes))
        expected = run(model(nodes, weights, (1, 4, *sizes)), integers(1, 4, *sizes)).shape
        assert shapes[found.network.output.name] == expected[1:]


UNCHANGED, FLAT = [], [layers.Flatten()]
RESHAPED = {
    "same, written out": ("x", (1, 8, 9, 7), UNCHANGED),
    "same, any batch": ("x", (-1, 8, 9, 7), UNCHANGED),
    "same, copied": ("x", (0, 0, 0, 0), UNCHANGED),
    "same, one left open": ("x", (1, 8, -1, 7), UNCHANGED),
    "other batch": ("x", (2, 4, 9, 7), None),
    "other channels": ("x", (1, 4, 18, 7), None),
    "other positions": ("x", (1, 8, 7, 9), None),
    "flat": ("x", (1, -1), FLAT),
    "flat, written out": ("x", (1, 504), FLAT),
    "flat, any batch": ("x", (-1, 504), FLAT),
    "rows": ("x", (-1, 63), None),
    "columns": ("x", (8, -1), None),
    "channels kept": ("x", (0, 0, -1), None),
    "channels kept, as a matrix": ("x", (8, 63), None),
    "a vector as it is": ("f", (0, 0), FLAT),
    "a vector, written out": ("f", (1, 504), FLAT),
    "a vector, open": ("f", (0, -1), FLAT),
    "a vector in rows": ("f", (-1, 252), None),
    "a vector as an image": ("f", (1, 8, 9, 7), None),
    "moved, flat": ("t", (1, -1), FLAT),
    "moved, back": ("t", (1, 8, 9, 7), None),
}


@pytest.mark.parametrize("name", RESHAPED)
def test_reshapes(name, imported):
    """Of an image, a vector, and an image with its channels moved; None for those that no layer describes."""
    read, target, expected = RESHAPED[name]
    nodes = [
        node("Flatten", "x", "f"),
        node("Transpose", "x", "t", perm=[0, 2, 3, 1]),
        node("Reshape", f"{read} s", "r"),
        node("Relu", "r", "y"),
    ]
    whole = model(nodes, {"s": ints(*target)}, (1, 8, 9, 7))
    found = imported(whole)
    made = [each.layer for each in found.network][1:-1]
    if expected is None:
        assert made[-1] == layers.Unknown("Reshape")
    else:
        assert made == expected
        assert output_shapes(found.network)["y"] == run(whole, integers(1, 8, 9, 7)).shape[1:]


@pytest.mark.parametrize(
    ("nodes", "weights", "opset", "expected"),
    [
        ([node("Transpose", "x", "t", perm=[0, 1, 2, 3]), node("Relu", "t", "y")], {}, 17, [layers.ReLU()]),
        ([node("Transpose", "x", "t", perm=[0, 3, 2, 1]), node("Flatten", "t", "y")], {}, 17, FLAT),
        ([node("Flatten", "x", "y", axis=0)], {}, 17, FLAT),
        ([node("Flatten", "x", "y", axis=-3)], {}, 17, FLAT),
        ([node("Flatten", "x", "f"), node("Flatten", "f", "y")], {}, 17, FLAT),
        *(([oh.make_node("Resize", ["x", "", "s"], ["y"], **more)], {"s": np.float32([1, 1, 2, 2])}, 18, [layers.Upsample(2, "other")])
          for more in ({"mode": "cubic"}, {"mode": "linear", "coordinate_transformation_mode": "align_corners"}, {"mode": "linear", "antialias": 1},
                       {"coordinate_transformation_mode": "asymmetric"})),
        *(([node("Pad", "x p", "y", mode=mode)], {"p": ints(0, 0, 1, 2, 0, 0, 1, 0)}, 19, [layers.Pad(((1, 1), (2, 0)), ours)])
          for mode, ours in (("reflect", "reflect"), ("edge", "replicate"), ("wrap", "circular"))),
        ([node("GlobalMaxPool", "x", "p"), node("Squeeze", "p a", "y")], {"a": ints(3)}, 17, [layers.GlobalPool("max"), layers.Unknown("Squeeze")]),
        ([node("Concat", "x", "c", axis=1), node("Sum", "c", "s"), node("Relu", "s", "y")], {}, 17, [layers.ReLU()]),
        ([node("Flatten", "x", "f"), node("Gemm", "f w b", "y")], {"w": integers(504, 5), "b": integers(1, 5)}, 17, [*FLAT, layers.Linear(5)]),
        ([node("Flatten", "x", "f"), node("Gemm", "f w b", "y", beta=0.0)], {"w": integers(504, 5), "b": integers(5)}, 17, [*FLAT, layers.Linear(5, False)]),
        ([node("Mul", "x c", "y")], {"c": integers(1, 1, 8, 1, 1)}, 17, [layers.Unknown("Mul")]),
        ([node("Dropout", "x r", "y")], {"r": np.float32(0.25)}, 17, [layers.Dropout(0.25)]),
        ([node("Dropout", "x", "y", ratio=0.25)], {}, 10, [layers.Dropout(0.25)]),
        ([node("Reshape", "x", "y", shape=[1, -1])], {}, 1, FLAT),
        ([node("Concat", "x x", "y")], {}, 1, [layers.Concat()]),
        ([node("LpPool", "x", "y", kernel_shape=[2, 2], p=3.0)], {}, 1, [layers.LpPool(3.0, 2, 1)]),
        ([node("LRN", "x", "y", size=5, alpha=0.5, bias=2.0)], {}, 17, [layers.LocalResponseNorm(5, 0.5, 0.75, 2.0)]),
        ([node("SpaceToDepth", "x", "y", blocksize=3)], {}, 13, [layers.PixelUnshuffle(3)]),
        ([node("DepthToSpace", "x", "y", blocksize=2)], {}, 13, [layers.PixelShuffle(2)]),
        ([node("GroupNormalization", "x g g", "y", num_groups=2)], {"g": integers(8)}, 21, [layers.GroupNorm(2)]),
        ([node("GroupNormalization", "x g g", "y", num_groups=2)], {"g": integers(2)}, 18, [layers.Unknown("GroupNormalization")]),
        ([node("BatchNormalization", "x g g g g", "y", spatial=0)], {"g": integers(8)}, 8, [layers.Unknown("BatchNormalization")]),
    ],
)  # fmt: skip
def test_what_versions_and_attributes_make(nodes, weights, opset, expected, imported):
    found = imported(model(nodes, weights, (1, 8, 9, 7), opset))
    assert [each.layer for each in found.network][1:] == expected


@pytest.mark.parametrize(
    ("apart", "together", "groups"),
    [
        ((1, 2, 4, 9, 8), (1, 8, 9, 8), 2),
        ((1, -1, 4, 9, 8), (0, 8, 9, 8), 2),
        ((0, 4, -1, 9, 8), (1, -1, 9, 8), 4),
        ((-1, 4, 2, 9, 8), (-1, 8, 9, 8), 4),
        ((1, 4, 2, 9, 8), (1, 8, 9, -1), 4),
        ((1, 2, 4, 8, 9), (1, 8, 9, 8), None),
        ((1, 2, 4, 9, 8), (1, 8, 8, 9), None),
        ((1, 2, 4, 9, 8), (1, 4, 18, 8), None),
        ((1, 3, 2, 12, 8), (1, 8, 9, 8), None),
        ((1, 2, 2, 18, 8), (1, 8, 9, 8), None),
    ],
)
def test_reshapes_that_are_a_channel_shuffle(apart, together, groups, imported):
    """And those that only look like it."""
    nodes = [
        node("Reshape", "x s", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "b t", "y"),
    ]
    whole = model(nodes, {"s": ints(*apart), "t": ints(*together)}, (1, 8, 9, 8))
    found = imported(whole)
    if groups is None:
        assert layers_of(found)["y"] == layers.Unknown("Reshape")
    else:
        x = integers(1, 8, 9, 8)
        assert layers_of(found)["y"] == layers.ChannelShuffle(groups)
        assert np.array_equal(execute.run(found.network, x)[0]["y"].numpy(), run(whole, x))


def test_groups_that_are_not_all_channels_are_no_shuffle(imported):
    """Whatever the sizes, which are not known behind the pool."""
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[2, 1]),
        node("Reshape", "p s", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "b t", "y"),
    ]
    found = imported(model(nodes, {"s": ints(1, 2, 2, 16, 8), "t": ints(1, 8, 16, 8)}, (1, 8, 9, 8)))
    assert layers_of(found)["y"] == layers.Unknown("Reshape")


def test_numbers_written_into_the_file_are_told_apart_from_the_layers(imported):
    """The layers take any size; the file's reshape takes one."""
    nodes = [node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Reshape", "p s", "y")]
    found = imported(model(nodes, {"s": ints(-1, 48)}, ("N", 4, "H", "W")))
    assert found.fixed == {"y": (48,)}
    assert str(size_sets(found.network, "H")[0]) == "all n >= 2"
    accepted = [(h, w) for h in range(2, 14) for w in range(2, 14) if (h // 2) * (w // 2) == 12]
    for h, w in ((h, w) for h in range(2, 14) for w in range(2, 14)):
        conflicts = found.conflicts(output_shapes(with_sizes(found.network, h, w)))
        values = 4 * (h // 2) * (w // 2)
        assert conflicts == ([] if (h, w) in accepted else [f"y: the model has 48 values, not {values}"])


@pytest.mark.parametrize("mode", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("size", [[16, 14], [17, 14], [15, 13]])
def test_a_given_output_size_of_a_transposed_convolution(mode, size, imported):
    """The padding it stands for, at the size that is declared; onnxruntime says where the rest goes."""
    nodes, weights = transposed((4, 5, 3, 2), strides=[2, 2], output_shape=size, auto_pad=mode)
    whole = model(nodes, weights, (1, 4, 8, 7))
    found, x = imported(whole), integers(1, 4, 8, 7)
    activations, _ = execute.run(found.network, x, stored_arrays(found, whole))
    assert np.array_equal(activations["y"].numpy(), run(whole, x))


def test_sizes_of_a_resize(imported):
    """Over those of its input, which are declared in the file or those of the image."""
    whole = model([oh.make_node("Resize", ["x", "", "", "s"], ["y"])], {"s": ints(1, 4, 27, 16)})
    assert layers_of(imported(whole))["y"] == layers.Upsample((3, 2))
    pooled = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
        oh.make_node("Resize", ["p", "", "", "s"], ["y"]),
    ]
    declared = oh.make_tensor_value_info("p", TensorProto.FLOAT, (1, 4, 4, 4))
    found = imported(model(pooled, {"s": ints(1, 4, 12, 8)}, value_info=[declared]))
    assert layers_of(found)["y"] == layers.Upsample((3, 2))
    assert found.fixed == {"p": (None, 4, 4)}
    undeclared = imported(model(pooled, {"s": ints(1, 4, 12, 8)}))
    assert layers_of(undeclared)["y"] == layers.Unknown("Resize")


def test_an_old_softmax_runs_over_all_that_follows(imported):
    """Which is over the channels only where nothing else follows."""
    pooled = [node("GlobalMaxPool", "x", "a"), node("Softmax", "a", "y")]
    assert layers_of(imported(model(pooled, opset=9)))["y"] == layers.Softmax()
    assert layers_of(imported(model(*single("Softmax"), opset=9)))["y"] == layers.Unknown("Softmax")


@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks(rank, imported):
    """A signal and a volume."""
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 0, 2, 1, 1, 0][: 2 * rank], strides=[2, 1, 3][:rank]),
        node("MaxPool", "c", "p", kernel_shape=[2] * rank, auto_pad="SAME_UPPER", strides=[2] * rank),
        node("GlobalAveragePool", "p", "y"),
    ]
    weights = {"w": integers(6, 4, *[3] * rank), "b": integers(6)}
    for n in range(3, 12):
        whole = model(nodes, weights, (1, 4, *[n] * rank))
        found = imported(whole)
        expected = inferred(whole)
        assert output_shapes(found.network) == {name: expected[name] for name in "xcpy"}


# --- parameters, names, outputs ---------------------------------------------------------------------------------------


def test_weights_that_layers_share_are_counted_once(imported):
    nodes = [node("Conv", "x w b", "a"), node("Conv", "a w b", "c"), node("Conv", "c w", "y")]
    found = imported(model(nodes, {"w": integers(4, 4, 1, 1), "b": integers(4)}))
    assert found.parameters == {"a": ("w", "b"), "c": ("w", "b"), "y": ("w",)}
    assert found.stored == {"w": (4, 4, 1, 1), "b": (4,)}
    assert found.learned == 4 * 4 + 4
    totals = analyze(found.network, found.parameters).totals
    assert (totals.params, totals.weights) == (20, 16)


def fully_connected(reader=()):
    return [
        node("Flatten", "x", "f"),
        oh.make_node("MatMul", ["f", "w"], ["m"], name="fc"),
        node("Add", "m b", "y" if not reader else "s"),
        *reader,
    ]


def test_a_vector_added_to_a_matrix_product_is_its_bias(imported):
    weights = {"w": integers(288, 5), "b": integers(5)}
    found = imported(model(fully_connected(), weights))
    assert found.network.nodes[-1] == Node("fc", layers.Linear(5), ("f",))
    assert (found.tensors["fc"], found.parameters["fc"]) == ("y", ("w", "b"))


def test_but_not_where_something_else_reads_the_product(imported):
    weights = {"w": integers(288, 5), "b": integers(5)}
    found = imported(model(fully_connected((node("Concat", "m s", "y", axis=1),)), weights))
    assert [each.layer for each in found.network][2:] == [
        layers.Linear(5, bias=False),
        layers.Affine(False, True),
        layers.Concat(),
    ]
    assert found.learned == 288 * 5 + 5


def test_one_number_is_no_bias(imported):
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f w b", "y")]
    found = imported(model(nodes, {"w": integers(288, 5), "b": integers(1)}))
    assert (layers_of(found)["y"], found.learned) == (layers.Linear(5, bias=False), 288 * 5)
    found = imported(model(fully_connected(), {"w": integers(288, 1), "b": np.float32(2)}))
    assert [each.layer for each in found.network][2:] == [layers.Linear(1, bias=False), layers.Activation("add")]


def test_quantised_weights_are_weights(imported):
    nodes = [
        node("DequantizeLinear", "q s", "w"),
        node("QuantizeLinear", "x s", "xq"),
        node("DequantizeLinear", "xq s", "xd"),
        node("Conv", "xd w", "y"),
    ]
    found = imported(model(nodes, {"q": np.zeros((6, 4, 3, 3), np.uint8), "s": np.float32(0.1)}))
    assert layers_of(found)["y"] == layers.Conv(6, 3, bias=False)
    assert found.parameters == {"y": ("q",)}
    assert found.learned == 216


def test_names_are_unique_and_printable(imported):
    nodes = [
        oh.make_node("Relu", ["x"], ["a"], name="same"),
        oh.make_node("Tanh", ["a"], ["b"], name="same"),
        oh.make_node("Tanh", ["b"], ["same_2"], name="line\nbreak\x1b[31m"),
        oh.make_node("Tanh", ["same_2"], ["y"], name=""),
        oh.make_node("Tanh", ["y"], ["x" * 300], name=""),
    ]
    found = imported(model(nodes))
    assert [each.name for each in found.network] == ["x", "same", "same_2", "line?break?[31m", "y", "x" * 97 + "..."]


def test_layers_stand_in_the_order_of_the_file(imported):
    """Which need not be that in which they are found; a file whose nodes stand in no order at all is read, too."""
    nodes = [node("Conv", f"x w{i}", f"c{i}") for i in range(4)] + [node("Sum", "c3 c1 c0 c2", "y")]
    weights = {f"w{i}": integers(2, 4, 1, 1) for i in range(4)}
    found = imported(model(nodes, weights))
    assert [each.name for each in found.network] == ["x", "c0", "c1", "c2", "c3", "y"]
    assert found.network.output.operands == ("c3", "c1", "c0", "c2")
    turned = imported(model(nodes[::-1], weights, output="y"))
    assert {each.name: each for each in turned.network} == {each.name: each for each in found.network}


def test_one_output_is_taken_and_what_it_does_not_need_is_left(imported):
    whole = model(
        [node("Conv", "x w", "a"), node("Nonsense", "a", "b"), node("Relu", "a", "c")], {"w": integers(2, 4, 1, 1)}
    )
    whole.graph.output.append(oh.make_tensor_value_info("a", TensorProto.FLOAT, None))
    with pytest.raises(
        InputError, match=r"model.onnx: it has 2 outputs \(c, a\); name one of them \(output=, or --tensor\)"
    ):
        imported(whole)
    assert [each.name for each in imported(whole, output="c").network] == ["x", "a", "c"]
    assert [each.name for each in imported(whole, output="a").network] == ["x", "a"]
    assert [each.name for each in imported(whole, output="x").network] == ["x"]
    with pytest.raises(InputError, match="it has no tensor 'd'; its outputs are c, a"):
        imported(whole, output="d")


@pytest.mark.parametrize(
    ("dims", "image"),
    [
        ((1, 3, 224, 224), layers.Input(3, (224, 224))),
        (("N", 3, "height", "width"), layers.Input(3, ("height", "width"))),
        ((None, 3, None, None), layers.Input(3, ("H", "W"))),
        ((-1, 3, -1, -1), layers.Input(3, ("H", "W"))),
        (("b", 3, "s", "s"), layers.Input(3, ("s", "s"))),
        (("b", 3, "W", None), layers.Input(3, ("W", "W_"))),
        (("b", 3, "2*h", "Px"), layers.Input(3, ("H", "W"))),
        ((1, "ch", 8, 8), layers.Input(3, (8, 8))),
        ((1, 3, None), layers.Input(3, ("W",))),
        ((1, 3, 4, None, 6), layers.Input(3, (4, "H", 6))),
    ],
)
def test_open_sizes_are_letters(dims, image, imported):
    """And open channels those that the weights ask for."""
    rank = len(dims) - 2
    found = imported(model([node("Conv", "x w", "y")], {"w": integers(2, 3, *[1] * rank)}, dims))
    assert found.network.image == image


def test_a_large_constant_is_a_shape(imported):
    nodes = [node("ConstantOfShape", "n", "w"), node("Conv", "x w", "y")]
    found = imported(model(nodes, {"n": ints(10**6, 4, 1000, 1000)}, ("N", 4, "H", "W")))
    assert found.learned == 4 * 10**12


def test_a_sparse_tensor_is_a_shape(imported):
    values = oh.make_tensor("w", TensorProto.FLOAT, [1], [2.0])
    sparse = oh.make_sparse_tensor(values, oh.make_tensor("i", TensorProto.INT64, [1], [3]), [6, 4, 3, 3])
    found = imported(model([node("Conv", "x w", "y")], sparse_initializer=[sparse]))
    assert layers_of(found)["y"] == layers.Conv(6, 3, bias=False)


def test_a_long_network(imported):
    """In a time that grows with its length; 20,000 nodes are the limit."""
    names = ["x", *(f"t{i}" for i in range(20_000))]
    nodes = [oh.make_node("Relu", [a], [b], name="relu") for a, b in pairwise(names)]
    begun = time.perf_counter()
    assert len(imported(model(nodes)).network) == 20_001
    assert time.perf_counter() - begun < 20
    with pytest.raises(InputError, match="it has 20001 nodes; 20000 is the limit"):
        imported(model([*nodes, node("Relu", names[-1], "y")]))


# --- files that are not what they should be ---------------------------------------------------------------------------

PLAIN = model(*conv())


def changed(change):
    """A model with one convolution, after a change."""
    whole = onnx.ModelProto()
    whole.CopyFrom(PLAIN)
    change(whole.graph)
    return whole


def attribute(name, value):
    def change(graph):
        graph.node[0].attribute.append(oh.make_attribute(name, value))

    return changed(change)


def dim(axis, n):
    def change(graph):
        graph.input[0].type.tensor_type.shape.dim[axis].dim_value = n

    return changed(change)


def stored_dims(name, *dims):
    def change(graph):
        (tensor,) = [each for each in graph.initializer if each.name == name]
        tensor.dims[:] = dims

    return changed(change)


def small(**weights):
    """A reshape by stored numbers."""
    return model([node("Reshape", "x s", "y")], weights)


HOSTILE = {
    "empty": (b"", "this is no ONNX file: there is no graph with an output in it"),
    "text": (b"hello, world\n" * 20, "this is no ONNX file, or a damaged one"),
    "cut short": (PLAIN.SerializeToString()[:-40], "this is no ONNX file, or a damaged one"),
    "names that are no text": (
        PLAIN.SerializeToString().replace(b"Conv", b"\xff\xfe\xff\xfe"),
        "this is a damaged ONNX file: a name in it is no text",
    ),
    "circle": (
        model([node("Add", "x b", "a"), node("Relu", "a", "b")]),
        "node 'a' (Add) reads 'b', which is made of what it makes: a circle",
    ),
    "own output": (model([node("Add", "x y", "y")]), "node 'y' (Add) reads 'y', which is made of what it makes: a circle"),
    "nothing makes it": (model([node("Relu", "z", "y")]), "node 'y' (Relu) reads 'z', which nothing makes"),
    "made twice": (model([node("Relu", "x", "y"), node("Tanh", "x", "y")]), "node 'y' (Tanh) makes 'y', which is there already"),
    "no image": (model([node("Identity", "c", "y")], {"c": integers(3)}), "it needs one input, an image with 3 to 5 axes (N, C, H, W); it has none"),
    "flat image": (model(*single("Relu"), image=(1, 4)), "it needs one input, an image with 3 to 5 axes (N, C, H, W); it has x with 2 axes"),
    "shape not declared": (model(*single("Relu"), image=None), "it needs one input, an image with 3 to 5 axes (N, C, H, W); it has x with 0 axes"),
    "two images": (
        changed(lambda g: (g.node[0].input.__setitem__(1, "v"), g.input.append(oh.make_tensor_value_info("v", TensorProto.FLOAT, (6, 4, 3, 2))))),
        "it needs one input, an image with 3 to 5 axes (N, C, H, W); it has x with 4 axes, v with 4 axes",
    ),
    "no size": (dim(2, 0), "input 'x': Input: sizes=0 is too small; it must be at least 1"),
    "negative size": (dim(3, -7), "input 'x': Input: sizes=-7 is too small; it must be at least 1"),
    "negative weights": (stored_dims("w", -6, -4, 3, 2), "node 'y' (Conv): tensor w has shape (-6, -4, 3, 2); no size can be negative"),
    "too many axes": (stored_dims("w", *[1] * 17), "node 'y' (Conv): tensor w has 17 axes; 16 is the limit"),
    "weights of a vector": (stored_dims("w", 144), "node 'y' (Conv): weights of shape (144,) have 0 spatial axes; only 1 to 3 can be"),
    "other rank": (stored_dims("w", 6, 4, 6), "node 'y' (Conv): it needs an input with 3 axes, but x has 4"),
    "other channels": (stored_dims("w", 6, 2, 3, 4), "node 'y' (Conv): it needs 2 on axis 1 of x, which has 4 there"),
    "other bias": (stored_dims("w", 12, 4, 3, 1), "node 'y' (Conv): the bias has shape (6,), not (12,)"),
    "lost data": (stored_dims("b", 7), "node 'y' (Conv): tensor b has shape (7,) but 6 values; the file is damaged"),
    "stride 0": (attribute("strides", [0, 1]), "node 'y' (Conv): Conv: stride=0 is too small; it must be at least 1"),
    "negative pads": (attribute("pads", [-1, 0, 0, 0]), "node 'y' (Conv): Conv: padding=-1 is too small; it must be at least 0"),
    "group 0": (attribute("group", 0), "node 'y' (Conv): Conv: groups=0 is too small; it must be at least 1"),
    "group 4": (attribute("group", 4), "node 'y' (Conv): Conv: out_channels=6 is not divisible by groups=4"),
    "one stride": (attribute("strides", [1]), "node 'y' (Conv): the attribute strides has 1 numbers, not 2"),
    "strides that are no list": (attribute("strides", 1), "node 'y' (Conv): the attribute strides is no list of whole numbers"),
    "strides that are not whole": (attribute("strides", [1.5, 1.0]), "node 'y' (Conv): the attribute strides is no list of whole numbers"),
    "group in words": (attribute("group", "two"), "node 'y' (Conv): the attribute group is no whole number"),
    "unknown padding": (attribute("auto_pad", "SOME"), "node 'y' (Conv): auto_pad='SOME' is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER"),
    "other kernel": (attribute("kernel_shape", [3, 3]), "node 'y' (Conv): kernel_shape is not that of the weights, which have shape (6, 4, 3, 2)"),
    "no kernel": (model(*single("MaxPool")), "node 'y' (MaxPool): the attribute kernel_shape is missing"),
    "no weights": (model(*single("Conv")), "node 'y' (Conv): its input 2 is missing"),
    "no axis": (model([node("Concat", "x x", "y")]), "node 'y' (Concat): the attribute axis is missing"),
    "axis 9": (model([node("Concat", "x x", "y", axis=9)]), "node 'y' (Concat): axis 9 is none of 4 axes"),
    "two -1": (small(s=ints(-1, -1)), "node 'y' (Reshape): its shape has more than one -1"),
    "a copy of nothing": (small(s=ints(1, 4, 0, 0, 0)), "node 'y' (Reshape): its shape copies an axis that an input with 4 axes has not"),
    "Gemm of an image": (
        model([node("Gemm", "x w", "y")], {"w": integers(8, 3)}),
        "node 'y' (Gemm): it needs an input with 2 axes, but x has 4",
    ),
    "Gemm of another size": (
        model([node("Flatten", "x", "f"), node("Gemm", "f w", "y")], {"w": integers(8, 3)}),
        "node 'y' (Gemm): it needs 8 on axis 1 of f, which has 288 there",
    ),
    "channels that disagree": (
        model([node("Conv", "x w", "a"), node("Conv", "x v", "b"), node("Add", "a b", "y")], {"w": integers(2, 3, 1, 1), "v": integers(2, 4, 1, 1)}, (1, "C", 8, 8)),
        "node 'b' (Conv): it needs 4 on axis 1 of x, which has 3 there",
    ),
    "step 0": (
        model([node("Slice", "s f t a z", "r"), node("Reshape", "x r", "y")], {"s": ints(0, -1), "f": ints(0), "t": ints(2), "a": ints(0), "z": ints(0)}),
        "node 'r' (Slice): it has a step of 0",
    ),
    "constant output": (
        changed(lambda g: (g.node.append(node("Relu", "w", "v")), g.output[0].__setattr__("name", "v"))),
        "it needs one input, an image with 3 to 5 axes (N, C, H, W); it has none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_wrong_is_said_in_one_line(name, imported, tmp_path, capfd):
    given, problem = HOSTILE[name]
    with pytest.raises(InputError) as raised:
        imported(given)
    assert str(raised.value) == f"{tmp_path / 'model.onnx'}: {problem}"
    assert capfd.readouterr() == ("", "")


def test_data_outside_the_file_are_never_read(imported):
    def change(graph):
        for tensor in graph.initializer:
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../../../../etc/passwd")

    found = imported(changed(change))
    assert layers_of(found)["y"] == layers.Conv(6, (3, 2))
    reshape = model([node("Reshape", "x s", "y")], {"s": ints(0, -1)})
    change(reshape.graph)
    assert layers_of(imported(reshape))["y"] == layers.Unknown("Reshape")


def test_a_huge_image_is_a_number(imported):
    found = imported(dim(2, 10**9))
    assert output_shapes(found.network)["y"] == (6, 10**9 - 2, 7)


def test_numbers_do_not_grow_without_end(imported):
    """A chain of squares would have 2^40 digits."""
    squares = [node("Mul", f"s{i} s{i}", f"s{i + 1}") for i in range(40)]
    nodes = [*squares, node("Concat", "one s40", "s", axis=0), node("Reshape", "x s", "y")]
    assert layers_of(imported(model(nodes, {"s0": ints(9), "one": ints(1)})))["y"] == layers.Flatten()


def test_limits(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(PLAIN.SerializeToString())
    with pytest.raises(InputError, match=f"the file has {path.stat().st_size} bytes; 10 is the limit"):
        load(path, max_bytes=10)
    with pytest.raises(InputError, match="it has 1 nodes; 0 is the limit"):
        load(path, max_nodes=0)
    with pytest.raises(InputError, match="there is no such file"):
        load(tmp_path / "missing.onnx")
    with pytest.raises(InputError, match="there is no such file"):
        load(os.devnull)
    with pytest.raises(InputError, match="the file cannot be read: File name too long"):
        load("x" * 5000 + ".onnx")


def test_damaged_files_end_in_one_line(imported):
    """Bytes changed at random: a network or one line, never anything else."""
    draw = random.Random(0)
    whole = model(*CASES["matrix product"][:2]).SerializeToString()
    ends = []
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            found = imported(bytes(data))
            found.conflicts(output_shapes(found.network))
            ends.append("a network")
        except ConvproofError as error:
            ends.append(str(error))
    assert all(end.isprintable() for end in ends)
    assert len(set(ends)) > 20


def test_onnx_is_loaded_only_when_a_file_is_read(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(PLAIN.SerializeToString())
    code = (
        "import sys; from convproof.importers.onnx import load; assert 'onnx' not in sys.modules\n"
        "sys.modules['onnx'] = None\n"
        f"try: load({str(path)!r})\n"
        "except ValueError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: ONNX files need the package onnx; pip install 'convproof[onnx]'\n"
