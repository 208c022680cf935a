"""ONNX models that the tests of the importer read, and what onnx and onnxruntime say of them; they come in after onnx is
known to be installed.
"""

from math import prod

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from onnx import helper as oh

from convproof.architecture import layers
from convproof.importers.onnx import load
from convproof.symbolic import accepted_sizes


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


def accepts(found, *sizes):
    """Whether the sizes are among those of which it is said that the network accepts them."""
    accepted = accepted_sizes(found.network)
    assert (found.undecided, accepted.undecided, accepted.requires) == ((), (), ())
    return dict(zip(accepted.unknowns, sizes, strict=True)) in accepted


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


def with_sizes(network, *sizes):
    return network.with_input(layers.Input(network.image.channels, sizes))


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


def layers_of(found):
    return {each.name: each.layer for each in found.network}


def reader(folder):
    """What writes a model to a file and imports it."""

    def through_file(given, **options):
        path = folder / "model.onnx"
        path.write_bytes(given if isinstance(given, bytes) else given.SerializeToString())
        return load(path, **options)

    return through_file
