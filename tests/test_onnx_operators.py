"""ONNX's operators as layers, one by one, against onnx's own shape inference and onnxruntime's results."""

import numpy as np
import pytest

from convproof import execute
from convproof.architecture import Node, layers
from convproof.errors import ConvproofError
from convproof.symbolic import accepted_sizes, output_shapes
from convproof.symbolic.shapes import infer

onnx = pytest.importorskip("onnx", reason="onnx is not installed; `pip install '.[onnx]'` brings it")
from onnx import TensorProto  # noqa: E402
from onnx import helper as oh  # noqa: E402

from onnxmodels import (  # noqa: E402
    conv,
    image_of,
    inferred,
    integers,
    ints,
    keeps_sizes,
    layers_of,
    model,
    node,
    reader,
    run,
    single,
    stored_arrays,
    transposed,
    windows_fit,
    with_sizes,
)


@pytest.fixture
def imported(tmp_path):
    """Writes a model to a file and imports it."""
    return reader(tmp_path)


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
    valid = accepted_sizes(found.network)
    assert (found.undecided, valid.undecided, valid.requires) == ((), (), ())
    verdicts = set()
    for h, w in SIZES:
        sized, whole = with_sizes(found.network, h, w), case(name, (h, w))
        expected = inferred(whole)
        accepted = expected is not None and windows_fit(whole, expected) and keeps_sizes(whole, expected)
        assert ({"H": h, "W": w} in valid) == accepted, (h, w)
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
        ([node("Relu", "x", "a"), node("Sub", "a x", "y")], "sub"),
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
    assert found.network.nodes[-1] == Node("y", layers.Add(broadcast=True), ("a", "a"))


SHAPED = {
    "quotient of branches": ([node("Conv", "x w", "a"), node("Div", "x a", "y")], {"w": integers(4, 4, 1, 1)}),
    "strided slice": ([node("Slice", "x s e a t", "y")], {"s": ints(0), "e": ints(9), "a": ints(1), "t": ints(2)}),
    "slice to a position": ([node("Slice", "x s e a", "y")], {"s": ints(0), "e": ints(5), "a": ints(2)}),
    "one channel made many": (
        [node("Conv", "x w", "a"), node("Mul", "a c", "y")],
        {"w": integers(1, 4, 1, 1), "c": integers(4, 1, 1)},
    ),
    "position weights": ([node("Add", "x c", "y")], {"c": integers(1, 1, 9, 8)}),
    "quotient": ([node("Div", "c x", "y")], {"c": integers(4, 1, 1)}),
    "transposed image": ([node("Transpose", "x", "y", perm=[0, 1, 3, 2])], {}),
    "more axes": ([node("Reshape", "x s", "y")], {"s": ints(1, 1, 4, -1)}),
    "softmax along W": ([node("Softmax", "x", "y")], {}),
    "concat along H": ([node("Concat", "x x", "y", axis=2)], {}),
    "mean of channels": ([node("ReduceMean", "x", "y", axes=[1])], {}),
    "maximum of channels and rows": ([node("ReduceMax", "x", "y", axes=[1, 2], keepdims=0)], {}),
    "padded channels": ([node("Pad", "x p", "y")], {"p": ints(0, 1, 0, 0, 0, 0, 0, 0)}),
    "not whole": ([oh.make_node("Resize", ["x", "", "s"], ["y"])], {"s": np.float32([1, 1, 1.5, 2])}),
    "smaller": ([oh.make_node("Resize", ["x", "", "s"], ["y"])], {"s": np.float32([1, 1, 0.5, 1])}),
    "matrices of pixels": ([node("MatMul", "x w", "y")], {"w": integers(8, 3)}),
    "pixels of channels": (
        [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("MatMul", "t w", "m"), node("Add", "m b", "y")],
        {"w": integers(4, 3), "b": integers(3)},
    ),
    "normalized channels": (
        [node("Transpose", "x", "t", perm=[0, 2, 3, 1]), node("LayerNormalization", "t g g", "y", axis=-1)],
        {"g": integers(4)},
    ),
    "expanded": ([node("ReduceMean", "x", "m", axes=[2]), node("Expand", "m s", "y")], {"s": ints(1, 1, 6, 1)}),
    "expanded where it is one": (
        [node("Slice", "x b e a t", "p"), node("Expand", "p s", "y")],
        {"s": ints(1, 1, 2, 1), "b": ints(0), "e": ints(99), "a": ints(2), "t": ints(4)},
    ),
    "squeezed rows": (
        [node("Slice", "x b e c t", "p"), node("Squeeze", "p a", "y")],
        {"a": ints(2), "b": ints(0), "e": ints(99), "c": ints(2), "t": ints(3)},
    ),
    "the most of three": (
        [
            node("Max", "two five four", "m"),
            node("Concat", "one m m", "s", axis=0),
            node("Expand", "c s", "e"),
            node("Add", "x e", "y"),
        ],
        {"two": ints(2), "four": ints(4), "five": ints(5), "one": ints(1, 1), "c": integers(1)},
    ),
    "tiled": ([node("Tile", "x s", "y")], {"s": ints(1, 2, 1, 3)}),
    "gathered rows": ([node("Gather", "x i", "y", axis=2)], {"i": ints(2, 0)}),
    "one row": ([node("Gather", "x i", "y", axis=2)], {"i": np.array(-3)}),
    "rows of an image": ([node("Split", "x s", "y", axis=2)], {"s": ints(9)}),
    "chosen": ([node("Greater", "x c", "g"), node("Where", "g x c", "y")], {"c": np.float32([0])}),
    "summed products": ([oh.make_node("Einsum", ["x", "w"], ["y"], equation="nchw,cd->ndhw")], {"w": integers(4, 5)}),
    "attention": (
        [
            node("Reshape", "x s", "r"),
            node("Transpose", "r", "t", perm=[0, 2, 1]),
            node("MatMul", "t w", "q"),
            node("Transpose", "q", "k", perm=[0, 2, 1]),
            node("MatMul", "q k", "a"),
            node("Softmax", "a", "p"),
            node("MatMul", "p q", "y"),
        ],
        {"s": ints(0, 0, -1), "w": integers(4, 6)},
    ),
    "flipped": (
        [node("Slice", "x s e a t", "y")],
        {"s": ints(-1), "e": ints(-(2**63) + 1), "a": ints(3), "t": ints(-1)},
    ),
}


@pytest.mark.parametrize("name", SHAPED)
def test_operators_that_no_layer_kind_describes_have_their_shapes(name, imported):
    """At every size; and they are taken where onnxruntime runs."""
    nodes, weights = SHAPED[name]
    found = imported(model(nodes, weights, ("N", 4, "H", "W")))
    assert (found.notes, found.undecided) == ({}, ())
    ran = set()
    for sizes in [(9, 8), (5, 7), (2, 8), (1, 1), (6, 2), (3, 8), (10, 11), (5, 1)]:
        made = run(model(nodes, weights, (1, 4, *sizes)), integers(1, 4, *sizes))
        networks = (found.network, *found.cases)
        accepted = accepted_sizes(networks[0], networks[1:])
        assert (accepted.undecided, dict(zip(("H", "W"), sizes, strict=True)) in accepted) == ((), made is not None)
        ran.add(made is not None)
        for network in networks if made is not None else ():
            shapes = infer(with_sizes(network, *sizes))
            if not shapes.refused:
                assert shapes.shapes[network.output.name] == made.shape[1:]
    assert True in ran


UNKNOWN = {
    "no such operator": ([node("NonMaxSuppression", "x", "y")], {}, "no layer kind does what it does"),
    "other domain": ([node("Relu", "x", "y", domain="com.example")], {}, "no layer kind does what it does"),
    "rows beside images": (
        [node("Reshape", "x s", "rows"), node("Flatten", "x", "f"), node("Add", "rows f", "y")],
        {"s": ints(-1, 24)},
        "the batch with another axis",
    ),
    "rows apart": ([oh.make_node("Split", ["x"], ["y", "u"], axis=2)], {}, "depends on the size"),
    "computed weights": ([node("Conv", "x x", "y")], {}, "its input 2 is computed"),
    "constant image": ([node("Conv", "w x", "y")], {"w": integers(1, 1, 5, 5)}, "its input 2 is computed"),
    "dilated average": ([node("AveragePool", "x", "y", kernel_shape=[2, 2], dilations=[2, 1])], {}, "are dilated"),
    "computed reshape": ([node("Reshape", "x x", "y")], {}, "is computed"),
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
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_no_layer_kind_describes_is_unknown_and_the_rest_goes_on(name, imported):
    nodes, weights, reason = UNKNOWN[name]
    tail = [node("Relu", "y", "r"), node("Conv", "r tail", "z")]
    found = imported(model(nodes + tail, {**weights, "tail": integers(2, 3, 1, 1)}))
    op = nodes[-1].op_type if not nodes[-1].domain else f"{nodes[-1].domain}.{nodes[-1].op_type}"
    assert layers_of(found)["y"] == layers.Unknown(op)
    assert layers_of(found)["z"] == layers.Conv(2, 1, bias=False, in_channels=3)
    assert reason in found.notes["y"]
    with pytest.raises(ConvproofError, match=f"y: nothing is known about the operation {op}"):
        output_shapes(found.network)


def test_a_second_output_is_unknown(imported):
    pool = oh.make_node("MaxPool", ["x"], ["p", "places"], kernel_shape=[2, 2], name="pool")
    found = imported(model([pool, node("Cast", "places", "c", to=1), node("Relu", "c", "y")]))
    assert [(each.name, each.layer, each.operands) for each in found.network][1:] == [
        ("pool", layers.MaxPool(2, 1), ("x",)),
        ("places", layers.Unknown("MaxPool"), ("x",)),
        ("y", layers.ReLU(), ("places",)),
    ]


def test_a_branch_on_values_is_unknown_and_reads_what_its_graphs_read(imported):
    inner = oh.make_graph(
        [node("Relu", "a", "t")], "then", [], [oh.make_tensor_value_info("t", TensorProto.FLOAT, None)]
    )
    nodes = [
        node("Conv", "x w", "a"),
        node("ReduceMax", "x", "m", keepdims=0),
        node("Greater", "m c", "cond"),
        oh.make_node("If", ["cond"], ["y"], then_branch=inner, else_branch=inner),
    ]
    found = imported(model(nodes, {"w": integers(2, 4, 1, 1), "c": np.float32(0)}))
    assert found.network.nodes[-1] == Node("y", layers.Unknown("If"), ("cond", "a"))


def test_a_branch_on_sizes_is_a_case_of_its_own(imported):
    """A pool where the image is tall enough, as onnxruntime runs it; one that is known is no case."""
    value = oh.make_tensor_value_info("t", TensorProto.FLOAT, None)
    pool = oh.make_graph([node("MaxPool", "x", "t", kernel_shape=[5, 1], strides=[2, 1])], "then", [], [value])
    same = oh.make_graph([node("Relu", "x", "t")], "else", [], [value])
    nodes = [
        node("Shape", "x", "n"),
        node("Gather", "n two", "h"),
        node("Greater", "h six", "tall"),
        oh.make_node("If", ["tall"], ["a"], then_branch=pool, else_branch=same),
        node("Relu", "a", "y"),
    ]
    weights = {"two": np.array(2), "six": np.array(6)}
    found = imported(model(nodes, weights, ("N", 4, "H", "W")))
    assert len(found.cases) == 1
    for h in (1, 6, 7, 12):
        made = run(model(nodes, weights, (1, 4, h, 3)), integers(1, 4, h, 3))
        shapes = [infer(with_sizes(each, h, 3)) for each in (found.network, *found.cases)]
        assert [each.shapes["y"] for each in shapes if not each.refused] == [made.shape[1:]]
    fixed = imported(
        model([oh.make_node("If", ["yes"], ["y"], then_branch=pool, else_branch=same)], {"yes": np.array(True)})
    )
    assert [each.layer for each in fixed.network][1:] == [layers.MaxPool((5, 1), (2, 1))]


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
