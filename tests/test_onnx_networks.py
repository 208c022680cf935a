"""Published networks as ONNX files, against onnx's own shape inference, onnxruntime and counts made from the files."""

from functools import cache
from math import prod
from pathlib import Path

import numpy as np
import pytest

from convproof.architecture import layers
from convproof.importers.onnx import load
from convproof.symbolic import accepted_sizes, output_shapes, parameters
from convproof.symbolic.shapes import infer

onnx = pytest.importorskip("onnx", reason="onnx is not installed; `pip install '.[onnx]'` brings it")
from onnxmodels import accepts, inferred, keeps_sizes, resized, run, windows_fit, with_sizes  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"

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
    """But for the positions that a file writes out on the way to a shuffle, every layer makes a tensor of the file."""
    found = load(LIGHT / name)
    shapes, expected = output_shapes(found.network), inferred(light(name))
    assert {layer: expected[tensor] for layer, tensor in found.tensors.items()} == {
        layer: shapes[layer] for layer in found.tensors
    }
    apart = [each for each in found.network if each.name not in found.tensors]
    assert all(isinstance(each.layer, layers.Reshape) and each.name.endswith(".positions") for each in apart)
    assert len(apart) == (1 if name == "light_shufflenet.onnx" else 0)
    assert (found.notes, found.undecided) == ({}, ())


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


def around(found, axis):
    """Sizes near where a set begins, and near what the files are made for, with what is said of them."""
    accepted = accepted_sizes(found.network)
    assert (accepted.undecided, accepted.requires) == ((), ())
    whole = [n for n in range(1, 300) if dict(zip("HW", [n, 224] if axis == 0 else [224, n], strict=True)) in accepted]
    places = {n + step for n in (whole[0], 224) for step in (-33, -32, -3, -2, -1, 0, 1, 2, 3, 31, 32)}
    return [(n in whole, [n, 224] if axis == 0 else [224, n]) for n in sorted(places) if n > 0]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("axis", [0, 1])
def test_sizes_of_published_networks(name, axis):
    """A size is accepted just where onnx's inference accepts it and no reshape loses elements."""
    found, whole = load(LIGHT / name), light(name)
    verdicts = set()
    for accepted, sizes in around(found, axis):
        shapes = inferred(resized(whole, *sizes))
        assert accepted == (shapes is not None and windows_fit(whole, shapes) and keeps_sizes(whole, shapes)), sizes
        assert accepted == (not infer(with_sizes(found.network, *sizes)).refused)
        verdicts.add(accepted)
    assert verdicts == {True, False}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("axis", [0, 1])
def test_sizes_of_published_networks_before_their_first_reshape(name, axis):
    """There the windows alone decide."""
    trunk = onnx.ModelProto()
    trunk.CopyFrom(light(name))
    reshape = next((i for i, each in enumerate(trunk.graph.node) if each.op_type == "Reshape"), len(trunk.graph.node))
    end = trunk.graph.node[reshape].input[0] if reshape < len(trunk.graph.node) else trunk.graph.output[0].name
    del trunk.graph.node[reshape:]
    trunk.graph.output[0].name = end
    found = load(LIGHT / name, output=end)
    assert not any(isinstance(each.layer, layers.Reshape) for each in found.network)
    for accepted, sizes in around(found, axis):
        shapes = inferred(resized(trunk, *sizes))
        assert accepted == (shapes is not None and windows_fit(trunk, shapes)), sizes


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
    assert accepts(load(LIGHT / name), *sizes) == accepted
    assert (run(resized(light(name), *sizes), np.ones((1, 3, *sizes), np.float32)) is not None) == accepted
