"""How an ONNX file is read: parameters, names, outputs, limits, and what is wrong with a file."""

import os
import random
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

from convproof.architecture import Node, layers
from convproof.errors import ConvproofError, InputError
from convproof.importers.onnx import load
from convproof.symbolic import accepted_sizes, analyze, output_shapes

onnx = pytest.importorskip("onnx", reason="onnx is not installed; `pip install '.[onnx]'` brings it")
from onnx import TensorProto  # noqa: E402
from onnx import helper as oh  # noqa: E402

from onnxmodels import conv, integers, ints, layers_of, model, node, reader, single  # noqa: E402


@pytest.fixture
def imported(tmp_path):
    """Writes a model to a file and imports it."""
    return reader(tmp_path)


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
    assert found.network.nodes[-1] == Node("fc", layers.Linear(5, in_features=288), ("f",))
    assert (found.tensors["fc"], found.parameters["fc"]) == ("y", ("w", "b"))


def test_but_not_where_something_else_reads_the_product(imported):
    weights = {"w": integers(288, 5), "b": integers(5)}
    found = imported(model(fully_connected((node("Concat", "m s", "y", axis=1),)), weights))
    assert [each.layer for each in found.network][2:] == [
        layers.Linear(5, False, 288),
        layers.Affine(False, True, 5),
        layers.Concat(),
    ]
    assert found.learned == 288 * 5 + 5


def test_one_number_is_no_bias(imported):
    nodes = [node("Flatten", "x", "f"), node("Gemm", "f w b", "y")]
    found = imported(model(nodes, {"w": integers(288, 5), "b": integers(1)}))
    assert (layers_of(found)["y"], found.learned) == (layers.Linear(5, False, 288), 288 * 5)
    found = imported(model(fully_connected(), {"w": integers(288, 1), "b": np.float32(2)}))
    assert [each.layer for each in found.network][2:] == [layers.Linear(1, False, 288), layers.Activation("add")]


def test_quantised_weights_are_weights(imported):
    nodes = [
        node("DequantizeLinear", "q s", "w"),
        node("QuantizeLinear", "x s", "xq"),
        node("DequantizeLinear", "xq s", "xd"),
        node("Conv", "xd w", "y"),
    ]
    found = imported(model(nodes, {"q": np.zeros((6, 4, 3, 3), np.uint8), "s": np.float32(0.1)}))
    assert layers_of(found)["y"] == layers.Conv(6, 3, bias=False, in_channels=4)
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


def test_one_output_is_taken_and_a_tensor_that_is_none_cuts_off_what_it_does_not_need(imported):
    whole = model(
        [node("Conv", "x w", "a"), node("Nonsense", "a", "b"), node("Relu", "a", "c")], {"w": integers(2, 4, 1, 1)}
    )
    whole.graph.output.append(oh.make_tensor_value_info("a", TensorProto.FLOAT, None))
    first = imported(whole)
    assert first.outputs == {"c": "c", "a": "a"}
    assert [each.name for each in first.network] == ["x", "a", "b", "c"]
    assert imported(whole, output="c").network == first.network
    assert list(imported(whole, output="c").notes) == ["b"]
    assert [each.name for each in imported(whole, output="a").network] == ["x", "a", "b", "c"]
    assert imported(whole, output="a").network.output.name == "a"
    assert [each.name for each in imported(whole, output="b").network] == ["x", "a", "b"]
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
    assert layers_of(found)["y"] == layers.Conv(6, 3, bias=False, in_channels=4)


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
    "no image": (model([node("Identity", "c", "y")], {"c": integers(3)}), "it needs an input that is an image with 3 to 5 axes (N, C, H, W); it has none"),
    "flat image": (model(*single("Relu"), image=(1, 4)), "it needs an input that is an image with 3 to 5 axes (N, C, H, W); it has x with 2 axes"),
    "shape not declared": (model(*single("Relu"), image=None), "it needs an input that is an image with 3 to 5 axes (N, C, H, W); it has x with 0 axes"),
    "no size": (dim(2, 0), "input 'x': Input: sizes=0 is too small; it must be at least 1"),
    "negative size": (dim(3, -7), "input 'x': Input: sizes=-7 is too small; it must be at least 1"),
    "negative weights": (stored_dims("w", -6, -4, 3, 2), "node 'y' (Conv): tensor w has shape (-6, -4, 3, 2); no size can be negative"),
    "too many axes": (stored_dims("w", *[1] * 17), "node 'y' (Conv): tensor w has 17 axes; 16 is the limit"),
    "weights of a vector": (stored_dims("w", 144), "node 'y' (Conv): weights of shape (144,) have 0 spatial axes; only 1 to 3 can be"),
    "other rank": (stored_dims("w", 6, 4, 6), "node 'y' (Conv): it needs an input with 3 axes, but x has 4"),
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
    "step 0": (
        model([node("Slice", "s f t a z", "r"), node("Reshape", "x r", "y")], {"s": ints(0, -1), "f": ints(0), "t": ints(2), "a": ints(0), "z": ints(0)}),
        "node 'r' (Slice): it has a step of 0",
    ),
    "constant output": (
        changed(lambda g: (g.node.append(node("Relu", "w", "v")), g.output[0].__setattr__("name", "v"))),
        "it needs an input that is an image with 3 to 5 axes (N, C, H, W); it has none",
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
    assert layers_of(found)["y"] == layers.Conv(6, (3, 2), in_channels=4)
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
    found = imported(model(nodes, {"s0": ints(9), "one": ints(1)}))
    assert layers_of(found)["y"] == layers.Unknown("Reshape")
    assert found.notes["y"] == "not understood: its input 2 is computed"


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
    nodes = [
        node("GlobalMaxPool", "x", "p"),
        node("Squeeze", "p a", "f"),
        node("MatMul", "f w", "m"),
        node("Add", "b m", "y"),
    ]
    whole = model(nodes, {"w": integers(4, 7), "b": integers(7), "a": ints(2, 3)}).SerializeToString()
    ends = []
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        try:
            found = imported(bytes(data))
            output_shapes(found.network)
            accepted_sizes(found.network)
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
