"""Modules that are exported to ONNX, as people do, for any size and for one; read, and held against onnxruntime."""

import io
import itertools
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed; `pip install '.[peers]'` brings it")
onnx = pytest.importorskip("onnx", reason="onnx is not installed; `pip install '.[onnx]'` brings it")
ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; `pip install '.[peers]'` brings it")

from exported import MODULES, SIZES  # noqa: E402
from test_torch_forwards import COUNT, Turned, is_of_one  # noqa: E402

from convproof.architecture import Input  # noqa: E402
from convproof.errors import ConvproofError  # noqa: E402
from convproof.importers.onnx import load  # noqa: E402
from convproof.symbolic import accepted_sizes, analyze  # noqa: E402
from convproof.symbolic.shapes import infer  # noqa: E402
from onnxmodels import with_sizes  # noqa: E402


def exported(module, tmp_path, open_sizes, channels=3):
    file = io.BytesIO()
    axes = {"x": {0: "N", 2: "H", 3: "W"}} if open_sizes else None
    names = {"input_names": ["x"], "output_names": ["y"], "dynamic_axes": axes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the older one, which writes down how sizes are computed
        torch.onnx.export(
            module.eval(), (torch.zeros(1, channels, 16, 16),), file, dynamo=False, opset_version=17, **names
        )
    path = tmp_path / "model.onnx"
    path.write_bytes(file.getvalue())
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # one of them fails where -1 is left
    return load(path), ort.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])


def ran(session, *sizes, channels=3):
    try:
        return session.run(None, {"x": np.zeros((1, channels, *sizes), np.float32)})[0].shape
    except Exception as error:  # onnxruntime's exceptions share no other base
        assert type(error).__module__.startswith("onnxruntime")  # noqa: PT017
        return None


@pytest.mark.parametrize("kind", MODULES)
def test_files_for_any_size(kind, tmp_path):
    found, session = exported(kind(), tmp_path, open_sizes=True)
    accepted = accepted_sizes(found.network, found.cases)
    assert (found.notes, found.undecided, accepted.undecided) == ({}, (), ())
    verdicts = set()
    for sizes in SIZES:
        made = ran(session, *sizes)
        assert (dict(zip("HW", sizes, strict=True)) in accepted) == (made is not None), sizes
        verdicts.add(made is not None)
        shapes = [infer(with_sizes(each, *sizes)) for each in (found.network, *found.cases)]
        one = [each.shapes[found.network.output.name] for each in shapes if not each.refused]
        assert one == ([] if made is None else [made[1:]]), sizes
    assert True in verdicts


@pytest.mark.parametrize("kind", MODULES)
def test_files_for_one_size(kind, tmp_path):
    found, session = exported(kind(), tmp_path, open_sizes=False)
    assert found.notes == {}
    assert infer(found.network).shapes[found.network.output.name] == ran(session, 16, 16)[1:]


def test_drawn_modules(tmp_path):
    """Of tensors of any rank: the accepted sizes are those at which onnxruntime runs the file, and shapes are its."""
    known = 0
    for seed in range(COUNT):
        try:
            read, session = exported(Turned(seed).requires_grad_(False), tmp_path, True, channels=2)
        except (ConvproofError, RuntimeError, IndexError, ValueError, torch.onnx.errors.OnnxExporterError):
            continue  # it does not run at the size of the export, or what it makes is not that of an image
        found = analyze(read.network, None, False, read.undecided, read.cases)
        if found.accepted.boxes is None:
            continue
        known += 1
        for h, w in itertools.product((1, 2, 3, 4, 6, 9), (1, 2, 3, 5, 8)):
            shape, accepted = ran(session, h, w, channels=2), {"H": h, "W": w} in found.accepted
            if shape is not None and 0 in shape:
                continue  # nothing is returned
            assert accepted == (shape is not None), (seed, h, w, shape)
            if accepted:
                cases = (infer(each, Input(2, (h, w))) for each in (read.network, *read.cases))
                made = next(each for each in cases if not each.refused)
                assert is_of_one(shape, made.shapes[made.network.output.name]), (seed, h, w, shape)
    assert known > COUNT // 5


class Quantized(torch.nn.Module):
    """What is quantized mostly."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.Conv2d(8, 8, 3, 1, 1, groups=2)
        self.out = torch.nn.Linear(16, 5)

    def forward(self, x):
        y = self.a(x).relu()
        y = torch.cat([y, y + self.b(y).sigmoid()], 1)
        return self.out(torch.nn.functional.max_pool2d(y, 2).mean((2, 3)))


class Images:
    """Two images to calibrate by."""

    def __init__(self):
        self.left = 2

    def get_next(self):
        self.left -= 1
        return {"x": np.random.default_rng(self.left).random((1, 3, 16, 16), np.float32)} if self.left >= 0 else None


@pytest.mark.parametrize("how", ["dynamic", "QDQ", "QOperator", "half"])
def test_quantized_files(how, tmp_path, caplog):
    """As onnxruntime writes them, they have the layers, the parameters and the sizes of what they are made from."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    plain, _ = exported(Quantized(), tmp_path, open_sizes=True)
    path, made = tmp_path / "model.onnx", tmp_path / "made.onnx"
    if how == "half":
        float16 = pytest.importorskip("onnxruntime.transformers.float16")
        onnx.save(float16.convert_float_to_float16(onnx.load(path)), made)
    elif how == "dynamic":
        quantization.quantize_dynamic(path, made, weight_type=quantization.QuantType.QUInt8)
    else:
        quantization.quantize_static(path, made, Images(), quant_format=quantization.QuantFormat[how])
    found = load(made)
    assert (found.notes, found.undecided, found.learned) == ({}, (), plain.learned)
    for each in (found, plain):
        assert str(accepted_sizes(each.network).boxes) == str(accepted_sizes(plain.network).boxes)
        assert infer(with_sizes(each.network, 17, 9)).shapes[each.network.output.name] == (5,)
    kinds = [[type(n.layer).__name__ for n in each.network if type(n.layer).__name__ in ("Conv", "MaxPool", "Linear")]
             for each in (found, plain)]  # fmt: skip
    assert kinds[0] == kinds[1]


class Depth(torch.nn.Module):
    """Two images, whose features are joined."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(3, 8, 3, 2), torch.nn.Conv2d(1, 8, 3, 2)

    def forward(self, rgb, depth):
        return torch.cat([self.a(rgb), self.b(depth)], 1)


@pytest.mark.parametrize("axes", ["HW", "AB"])
def test_files_that_read_two_images(axes, tmp_path):
    """Of one size, or of sizes of their own, which are tied."""
    path, images = tmp_path / "two.onnx", (torch.zeros(1, 3, 16, 16), torch.zeros(1, 1, 16, 16))
    named = {"rgb": {0: "N", 2: "H", 3: "W"}, "depth": {0: "N", 2: axes[0], 3: axes[1]}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the exporter is the older one
        torch.onnx.export(Depth().eval(), images, path, dynamo=False, input_names=[*named], dynamic_axes=named)
    found = load(path)
    accepted = accepted_sizes(found.network)
    session = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    if axes == "AB":
        assert any("(H + 1)//2 - 1 = (A + 1)//2 - 1" in why for why in accepted.undecided)
        return
    for h, w in ((3, 3), (4, 9), (16, 5)):
        given = {"rgb": np.zeros((1, 3, h, w), np.float32), "depth": np.zeros((1, 1, h, w), np.float32)}
        made = session.run(None, given)[0]
        assert {"H": h, "W": w} in accepted
        assert infer(with_sizes(found.network, h, w)).shapes[found.network.output.name] == made.shape[1:]
    assert {"H": 2, "W": 9} not in accepted
