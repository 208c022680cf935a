"""Sizes that ONNX files compute or write out, and what they demand of the image, against onnxruntime."""

import numpy as np
import pytest

from convproof import execute
from convproof.architecture import layers
from convproof.resolve import source
from convproof.symbolic import accepted_sizes, output_shapes
from convproof.symbolic.shapes import infer

onnx = pytest.importorskip("onnx", reason="onnx is not installed; `pip install '.[onnx]'` brings it")
from onnx import TensorProto  # noqa: E402
from onnx import helper as oh  # noqa: E402

from onnxmodels import (  # noqa: E402
    accepts,
    inferred,
    integers,
    ints,
    layers_of,
    model,
    node,
    reader,
    resized,
    run,
    single,
    stored_arrays,
    transposed,
    with_sizes,
)


@pytest.fixture
def imported(tmp_path):
    """Writes a model to a file and imports it."""
    return reader(tmp_path)


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
        layers.Conv(5, (3, 2), bias=False, in_channels=4),
    ),
    "scale unsqueezed": (
        [node("Unsqueeze", "c a", "u"), node("Mul", "x u", "y")],
        {"c": integers(4), "a": ints(1, 2)},
        layers.Affine(True, False, 4),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTED)
def test_shapes_that_are_computed_in_the_graph(name, imported):
    nodes, weights, layer = COMPUTED[name]
    found = imported(model(nodes, weights, ("N", 4, "H", "W")))
    assert [each.layer for each in found.network][1:] == (layer if isinstance(layer, list) else [layer])
    assert not found.undecided
    for sizes in ((6, 7), (9, 4)):
        shapes = output_shapes(with_sizes(found.network, *sizes))
        expected = run(model(nodes, weights, (1, 4, *sizes)), integers(1, 4, *sizes)).shape
        assert shapes[found.network.output.name] == expected[1:]


UNCHANGED, FLAT = [], [layers.Flatten()]
RESHAPED = {
    "same, written out": ("x", (1, 8, 9, 7), [layers.Reshape((8, 9, 7))]),
    "same, any batch": ("x", (-1, 8, 9, 7), [layers.Reshape((8, 9, 7), batch=True)]),
    "same, copied": ("x", (0, 0, 0, 0), UNCHANGED),
    "same, one left open": ("x", (1, 8, -1, 7), None),
    "same, one left open among copies": ("x", (0, -1, 0, 0), UNCHANGED),
    "other batch": ("x", (2, 4, 9, 7), None),
    "other channels": ("x", (1, 4, 18, 7), [layers.Reshape((4, 18, 7))]),
    "other channels, left open": ("x", (1, -1, 18, 7), None),
    "other positions": ("x", (1, 8, 7, 9), [layers.Reshape((8, 7, 9))]),
    "flat": ("x", (1, -1), FLAT),
    "flat, written out": ("x", (1, 504), [layers.Reshape((504,))]),
    "flat, any batch": ("x", (-1, 504), [layers.Reshape((504,), batch=True)]),
    "rows": ("x", (-1, 63), [layers.Reshape((63,), batch=True)]),
    "columns": ("x", (8, -1), None),
    "channels kept": ("x", (0, 0, -1), None),
    "channels kept, as a matrix": ("x", (8, 63), None),
    "a vector as it is": ("f", (0, 0), FLAT),
    "a vector, written out": ("f", (1, 504), [*FLAT, layers.Reshape((504,))]),
    "a vector, open": ("f", (0, -1), FLAT),
    "a vector in rows": ("f", (-1, 252), [*FLAT, layers.Reshape((252,), batch=True)]),
    "a vector as an image": ("f", (1, 8, 9, 7), [*FLAT, layers.Reshape((8, 9, 7))]),
    "moved, flat": ("t", (1, -1), FLAT),
    "moved, flat, written out": ("t", (1, 504), [layers.Reshape((504,))]),
    "moved, back": ("t", (1, 8, 9, 7), None),
    "pooled": ("p", (1, 8), [layers.GlobalPool("max"), *FLAT]),
    "pooled, any batch": ("p", (-1, 8), [layers.GlobalPool("max"), *FLAT]),
    "pooled, in rows": ("p", (-1, 2, 2), None),
    "pooled, as a signal": ("p", (0, 1, -1), [layers.GlobalPool("max"), layers.Reshape((1, 8))]),
}


@pytest.mark.parametrize("name", RESHAPED)
def test_reshapes(name, imported):
    """Of an image, a vector, and an image with its channels moved; None for those that are no layer of a kind."""
    read, target, expected = RESHAPED[name]
    before = {
        "f": [node("Flatten", "x", "f")],
        "t": [node("Transpose", "x", "t", perm=[0, 2, 3, 1])],
        "p": [node("GlobalMaxPool", "x", "p")],
    }
    nodes = [*before.get(read, []), node("Reshape", f"{read} s", "r"), node("Relu", "r", "y")]
    whole = model(nodes, {"s": ints(*target)}, (1, 8, 9, 7))
    found = imported(whole)
    made = [each.layer for each in found.network][1:-1]
    if expected is None:
        assert isinstance(made[-1], layers.Shaped)
    else:
        assert made == expected
    ran = run(whole, integers(1, 8, 9, 7)).shape
    rows = read == "p" and ran[0] > 1  # all that are made of one image
    assert output_shapes(found.network)["y"] == (ran if rows or target[0] > 1 else ran[1:])
    assert found.undecided == ()
    for sizes in [(9, 7), (7, 9), (3, 21), (18, 7), (5, 5), (4, 5), (1, 63), (21, 6)]:
        accepted = run(resized(whole, *sizes), integers(1, 8, *sizes)) is not None
        assert (not infer(with_sizes(found.network, *sizes)).refused) == accepted, sizes
        assert expected is None or accepts(found, *sizes) == accepted, sizes


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
        ([node("GlobalMaxPool", "x", "p"), node("Squeeze", "p a", "y")], {"a": ints(3)}, 17, [layers.GlobalPool("max"), layers.Reshape((8, 1))]),
        ([node("Concat", "x", "c", axis=1), node("Sum", "c", "s"), node("Relu", "s", "y")], {}, 17, [layers.ReLU()]),
        ([node("Flatten", "x", "f"), node("Gemm", "f w b", "y")], {"w": integers(504, 5), "b": integers(1, 5)}, 17, [*FLAT, layers.Linear(5, in_features=504)]),
        ([node("Flatten", "x", "f"), node("Gemm", "f w b", "y", beta=0.0)], {"w": integers(504, 5), "b": integers(5)}, 17, [*FLAT, layers.Linear(5, False, 504)]),
        ([node("Dropout", "x r", "y")], {"r": np.float32(0.25)}, 17, [layers.Dropout(0.25)]),
        ([node("Dropout", "x", "y", ratio=0.25)], {}, 10, [layers.Dropout(0.25)]),
        ([node("Reshape", "x", "y", shape=[1, -1])], {}, 1, FLAT),
        ([node("Concat", "x x", "y")], {}, 1, [layers.Concat()]),
        ([node("LpPool", "x", "y", kernel_shape=[2, 2], p=3.0)], {}, 1, [layers.LpPool(3.0, 2, 1)]),
        ([node("LRN", "x", "y", size=5, alpha=0.5, bias=2.0)], {}, 17, [layers.LocalResponseNorm(5, 0.5, 0.75, 2.0)]),
        ([node("SpaceToDepth", "x", "y", blocksize=3)], {}, 13, [layers.PixelUnshuffle(3)]),
        ([node("DepthToSpace", "x", "y", blocksize=2)], {}, 13, [layers.PixelShuffle(2)]),
        ([node("GroupNormalization", "x g g", "y", num_groups=2)], {"g": integers(8)}, 21, [layers.GroupNorm(2, num_channels=8, single_values=True)]),
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
        ((1, -1, 4, 9, 8), (0, 8, 9, 8), None),
        ((0, 4, -1, 9, 8), (1, -1, 9, 8), None),
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
    """And those that only look like it, or are it at this size alone."""
    nodes = [
        node("Reshape", "x s", "a"),
        node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "b t", "y"),
    ]
    whole = model(nodes, {"s": ints(*apart), "t": ints(*together)}, (1, 8, 9, 8))
    found = imported(whole)
    x = integers(1, 8, 9, 8)
    if groups is None:
        assert isinstance(layers_of(found)["y"], layers.Shaped)
        assert output_shapes(found.network)["y"] == run(whole, x).shape[1:]
    else:
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
    assert isinstance(layers_of(found)["y"], layers.Shaped)


@pytest.mark.parametrize("rows", [1, -1])
def test_numbers_written_into_the_file_are_demands_of_its_layers(rows, imported):
    """The pool takes any size; the file's reshape takes one, or whole rows."""
    nodes = [node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Reshape", "p s", "y")]
    found = imported(model(nodes, {"s": ints(rows, 48)}, ("N", 4, "H", "W")))
    assert layers_of(found)["y"] == layers.Reshape((48,), batch=rows == -1)
    for h, w in ((h, w) for h in range(1, 14) for w in range(1, 14)):
        places = (h // 2) * (w // 2)
        assert accepts(found, h, w) == (places == 12 if rows == 1 else places > 0 and places % 12 == 0)
        refused = infer(with_sizes(found.network, h, w)).refused
        if h > 1 and w > 1 and rows == 1 and places != 12:
            assert refused == {"y": f"y: Reshape: a shape of 48 values is asked of {4 * places} (4*{h // 2}*{w // 2})"}
    for sizes in [(6, 8), (7, 9), (12, 8), (4, 6), (6, 6), (2, 24), (3, 48)]:
        whole = model(nodes, {"s": ints(rows, 48)}, (1, 4, *sizes))
        assert accepts(found, *sizes) == (run(whole, integers(1, 4, *sizes)) is not None)


BROADCAST = {
    "product with one channel": (
        [node("Conv", "x w", "a"), node("Mul", "x a", "y")],
        {"w": integers(1, 4, 1, 1)},
        [layers.Conv(1, 1, bias=False, in_channels=4), layers.Multiply(broadcast=True)],
    ),
    "sum with one position": (
        [node("GlobalMaxPool", "x", "a"), node("Add", "x a", "y")],
        {},
        [layers.GlobalPool("max"), layers.Add(broadcast=True)],
    ),
    "sum with a few": (
        [node("MaxPool", "x", "a", kernel_shape=[4, 4], strides=[4, 4]), node("Sum", "a x", "y")],
        {},
        [layers.MaxPool(4), layers.Add(broadcast=True)],
    ),
    "product of few and few": (
        [
            node("MaxPool", "x", "a", kernel_shape=[4, 1], strides=[4, 1]),
            node("MaxPool", "x", "b", kernel_shape=[1, 3], strides=[1, 3]),
            node("Mul", "a b", "y"),
        ],
        {},
        [layers.MaxPool((4, 1), (4, 1)), layers.MaxPool((1, 3), (1, 3)), layers.Multiply(broadcast=True)],
    ),
}


@pytest.mark.parametrize("name", BROADCAST)
def test_sums_and_products_broadcast_as_in_onnxruntime(name, imported):
    nodes, weights, expected = BROADCAST[name]
    found = imported(model(nodes, weights, ("N", 4, "H", "W")))
    assert [each.layer for each in found.network][1:] == expected
    verdicts = set()
    for h, w in [(4, 4), (7, 5), (5, 7), (7, 6), (8, 5), (5, 8), (8, 8), (16, 4), (4, 16)]:
        made = run(model(nodes, weights, (1, 4, h, w)), integers(1, 4, h, w))
        assert accepts(found, h, w) == (made is not None), (h, w)
        assert made is None or output_shapes(with_sizes(found.network, h, w))["y"] == made.shape[1:]
        verdicts.add(made is not None)
    assert True in verdicts


@pytest.mark.parametrize(
    ("nodes", "weights", "refused"),
    [
        ([node("Conv", "x w", "y")], {"w": integers(2, 3, 1, 1)}, "y: Conv: in_channels=3, but 4 come in"),
        (
            [node("ConvTranspose", "x w", "y")],
            {"w": integers(3, 2, 1, 1)},
            "y: ConvTranspose: in_channels=3, but 4 come in",
        ),
        (
            [oh.make_node("BatchNormalization", ["x", *"gggg"], ["y"])],
            {"g": integers(3)},
            "y: BatchNorm: num_features=3, but 4 come in",
        ),
        (
            [node("InstanceNormalization", "x g g", "y")],
            {"g": integers(3)},
            "y: InstanceNorm: num_features=3, but 4 come in",
        ),
        ([node("Mul", "x g", "y")], {"g": integers(3, 1, 1)}, "y: Affine: num_features=3, but 4 come in"),
        (
            [node("Flatten", "x", "f"), node("Gemm", "f w", "y")],
            {"w": integers(8, 3)},
            "y: Linear: in_features=8, but 288 values come in",
        ),
        (
            [node("Conv", "x w", "a"), node("Conv", "x v", "b"), node("Add", "a b", "y")],
            {"w": integers(2, 3, 1, 1), "v": integers(2, 4, 1, 1)},
            "b: Conv: in_channels=4, but 3 come in",
        ),
        (
            [node("DepthToSpace", "x", "y", blocksize=3)],
            {},
            "y: PixelShuffle: blocks of 9 do not divide the 4 channels",
        ),
    ],
)
def test_other_numbers_of_channels_than_the_weights_are_for_fit_no_image(nodes, weights, refused, imported):
    found = imported(model(nodes, weights, (1, "C" if "b: Conv" in refused else 4, 9, 8)))
    assert list(infer(found.network).refused.values()) == [refused]
    if "values come in" not in refused:
        assert accepted_sizes(found.network).empty


def test_all_that_a_file_computes_is_demanded(imported):
    """Also what no output needs: onnxruntime runs it all."""
    nodes = [node("Relu", "x", "y"), node("AveragePool", "x", "p", kernel_shape=[5, 3]), node("Conv", "p w", "unread")]
    whole = model(nodes, {"w": integers(1, 4, 2, 1)}, ("N", 4, "H", "W"), output="y")
    whole.graph.output.append(oh.make_tensor_value_info("p", TensorProto.FLOAT, None))
    for name in ("y", "p", None):
        found = imported(whole, output=name)
        assert [each.name for each in found.network] == ["x", "y", "p", "unread"]
        assert (found.network.output.name, found.learned) == (name or "y", 8)
        for sizes in ((6, 3), (5, 3), (6, 2), (7, 3)):
            accepted = run(whole, integers(1, 4, *sizes)) is not None
            assert accepts(found, *sizes) == accepted == (sizes in ((6, 3), (7, 3)))
    alone = imported(whole, output="unread")
    assert [each.name for each in alone.network] == ["x", "p", "unread"]


def test_what_needs_another_input_leaves_the_sizes_undecided(imported):
    nodes = [node("Relu", "x", "y"), node("Add", "x m", "s"), node("Relu", "s", "z")]
    whole = model(nodes, output="y")
    whole.graph.input.append(oh.make_tensor_value_info("m", TensorProto.FLOAT, (1, 4, 9, 8)))
    whole.graph.output.append(oh.make_tensor_value_info("z", TensorProto.FLOAT, None))
    found = imported(whole)
    assert [each.name for each in found.network] == ["x", "y"]
    assert found.undecided == tuple(
        f"node {name} it runs, too, and needs another input" for name in ("'s' (Add):", "'z' (Relu):")
    )


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Slice", "x s e a", "c"), node("ReduceMean", "c", "y", axes=[2, 3])],
        [node("Slice", "x s e a", "c"), node("ReduceMax", "c", "y", axes=[2, 3])],
        [node("Slice", "x s e a", "c"), node("Pad", "c p", "y")],
    ],
)
def test_what_is_cropped_may_be_nothing_of_which_onnxruntime_makes_something(nodes, imported):
    weights = {"s": ints(2), "e": ints(2**63 - 1), "a": ints(2), "p": ints(0, 0, 0, 0, 0, 0, 1, 0)}
    whole = model(nodes, weights, ("N", 4, "H", "W"))
    found = imported(whole)
    assert len(found.undecided) == 1
    assert {"H": 1, "W": 9} not in accepted_sizes(found.network)
    assert run(whole, integers(1, 4, 1, 9)) is not None


def test_onnxruntime_pads_before_it_crops(imported):
    """So that it takes sizes that PyTorch refuses."""
    whole = model([node("Pad", "x m", "y")], {"m": ints(0, 0, -2, 1, 0, 0, 2, -3)}, ("N", 4, "H", "W"))
    found = imported(whole)
    assert found.undecided == ()
    for sizes in [(1, 2), (1, 3), (1, 4), (2, 3), (3, 9)]:
        try:
            ran = run(whole, integers(1, 4, *sizes)) is not None
        except Exception:  # onnxruntime's own
            ran = False
        assert accepts(found, *sizes) == ran


def test_squeezed_where_there_is_one_position(imported):
    """Whatever the image; or at one size of it."""
    nodes = [node("MaxPool", "x", "p", kernel_shape=[3, 4], strides=[3, 4]), node("Squeeze", "p a", "y")]
    found = imported(model(nodes, {"a": ints(2, 3)}, ("N", 4, "H", "W")))
    assert [each.layer for each in found.network][1:] == [layers.MaxPool((3, 4)), layers.Reshape((4,))]
    for sizes in [(3, 4), (5, 7), (6, 7), (5, 8), (9, 9)]:
        accepted = run(model(nodes, {"a": ints(2, 3)}, (1, 4, *sizes)), integers(1, 4, *sizes)) is not None
        assert accepts(found, *sizes) == accepted


SCALED = {
    "twice": (["n k"], {"k": ints(1, 1, 2, 1)}, ["Mul"]),
    "half, rounded down": (["n k"], {"k": ints(1, 1, 2, 2)}, ["Div"]),
    "one more": (["n k"], {"k": ints(0, 0, 1, 3)}, ["Add"]),
    "half, rounded up": (["f k", "q", "r"], {"k": np.float32([1, 1, 2, 2])}, ["Div", "Ceil", "Cast"]),
    "three halves": (["f k", "q", "r"], {"k": np.float32([1, 1, 1.5, 1])}, ["Mul", "Floor", "Cast"]),
    "a multiple": (["n k", "q j", "r k"], {"k": ints(1, 1, 4, 4), "j": ints(0, 0, 1, 1)}, ["Div", "Add", "Mul"]),
}


@pytest.mark.parametrize("name", SCALED)
def test_sizes_that_are_computed_of_the_image_hold_at_every_size(name, imported):
    reads, weights, ops = SCALED[name]
    made = [*["q", "r"][: len(ops) - 1], "m"]
    steps = [
        node(op, f"{read}", out, **({"to": 7} if op == "Cast" else {}))
        for op, read, out in zip(ops, reads, made, strict=True)
    ]
    nodes = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", "x", "n"),
        node("Cast", "n", "f", to=1),
        *steps,
        oh.make_node("Resize", ["p", "", "", "m"], ["y"]),
    ]
    found = imported(model(nodes, weights, ("N", 4, "H", "W")))
    assert found.undecided == ()
    for sizes in [(8, 6), (5, 7), (4, 9), (3, 3), (12, 2)]:
        expected = run(model(nodes, weights, (1, 4, *sizes)), integers(1, 4, *sizes)).shape[1:]
        assert output_shapes(with_sizes(found.network, *sizes))[found.network.output.name] == expected


@pytest.mark.parametrize("mode", ["NOTSET", "SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize("size", [[16, 14], [17, 14], [15, 13]])
def test_a_given_output_size_of_a_transposed_convolution(mode, size, imported):
    """The padding it stands for, at the size that is declared; onnxruntime says where the rest goes."""
    nodes, weights = transposed((4, 5, 3, 2), strides=[2, 2], output_shape=size, auto_pad=mode)
    whole = model(nodes, weights, (1, 4, 8, 7))
    found, x = imported(whole), integers(1, 4, 8, 7)
    activations, _ = execute.run(found.network, x, stored_arrays(found, whole))
    assert np.array_equal(activations["y"].numpy(), run(whole, x))
    assert found.undecided == ("x: what follows was read at 8x7, the given size, and may differ at others",)


def test_sizes_of_a_resize(imported):
    """Over those of its input, which are declared in the file or those of the image."""
    whole = model([oh.make_node("Resize", ["x", "", "", "s"], ["y"])], {"s": ints(1, 4, 27, 16)})
    found = imported(whole)
    assert layers_of(found)["y"] == layers.Upsample((3, 2))
    assert found.undecided == ("x: what follows was read at 9x8, the given size, and may differ at others",)
    pooled = [
        node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[2, 2]),
        oh.make_node("Resize", ["p", "", "", "s"], ["y"]),
    ]
    declared = oh.make_tensor_value_info("p", TensorProto.FLOAT, (1, 4, 4, 4))
    found = imported(model(pooled, {"s": ints(1, 4, 12, 8)}))
    assert layers_of(found)["y"] == layers.Upsample((3, 2))
    assert found.undecided == ("p: what follows was read at 9x8, the given size, and may differ at others",)
    found = imported(model(pooled, {"s": ints(1, 4, 12, 8)}, (1, 4, "H", "W"), value_info=[declared]))
    assert layers_of(found)["y"] == layers.Upsample((3, 2))
    assert found.undecided == ("p: what follows was read at the size that the file declares of it",)
    undeclared = imported(model(pooled, {"s": ints(1, 4, 12, 8)}, (1, 4, "H", "W")))
    assert output_shapes(with_sizes(undeclared.network, 5, 6))["y"] == (4, 12, 8)


def test_what_was_read_at_the_size_of_the_file_is_so_called_at_another(tmp_path):
    whole = model([oh.make_node("Resize", ["x", "", "", "s"], ["y"])], {"s": ints(1, 4, 27, 16)})
    path = tmp_path / "model.onnx"
    path.write_bytes(whole.SerializeToString())
    assert source(str(path)).remarks == source(str(path), layers.Input(4, (9, 8))).remarks == ()
    (remark,) = source(str(path), layers.Input(4, (18, 8))).remarks
    assert remark == "the network is as it was read at 9x8; at 18x8 the model may be another one"


def test_an_old_softmax_runs_over_all_that_follows(imported):
    """Which is over the channels only where nothing else follows."""
    pooled = [node("GlobalMaxPool", "x", "a"), node("Softmax", "a", "y")]
    assert layers_of(imported(model(pooled, opset=9)))["y"] == layers.Softmax()
    assert isinstance(layers_of(imported(model(*single("Softmax"), opset=9)))["y"], layers.Shaped)


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
