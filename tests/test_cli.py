"""The command line as people use it: output, exit status, and one line for every mistake."""

import json
import math
import os
import re
import subprocess
import sys

import pytest

from cases import VGG16
from convproof.architecture.notation import MERGE_WORDS, WORDS
from terminal import convproof


def test_vgg16_as_json():
    done = convproof("net", VGG16, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["totals"] == {
        "params": 138_357_544, "weights": 138_344_128, "macs": 15_470_264_320, "values": 15_237_608, "bytes": 60_950_432,
    }  # fmt: skip
    pool = [layer for layer in document["layers"] if "pool" in layer["op"].lower()][-1]
    assert (pool["receptive_field"], pool["jump"], pool["output"]) == ([212, 212], [32, 32], [512, 7, 7])
    assert document["exact_sizes"]["H"] == {"below": [], "from": 1, "modulus": 32, "residues": [0]}


def test_vgg16_in_letters():
    done = convproof("net", "vgg16", "--input", "WxWx3", "--format", "json")
    document = json.loads(done.stdout)
    pool = [layer for layer in document["layers"] if "pool" in layer["op"].lower()][-1]
    assert pool["output"] == [512, "W//32", "W//32"]
    assert eval(document["totals"]["params"], {"W": 224}) == 138_357_544  # noqa: S307


def test_text_output():
    done = convproof("net", "INPUT[9x7x2] -> CONV(K=4, F=3x1, S=2)")
    assert done.returncode == 0
    assert done.stdout.splitlines()[:3] == [
        "layer  kind   output WxHxD  parameters  multiply-adds  values  field  jump",
        "input  Input         9x7x2           0              0     126      1     1",
        "conv1  Conv          4x4x4          28            384      64    3x1     2",
    ]
    assert "accepts every H; nothing is cut at odd H" in done.stdout


def test_height_comes_first_in_the_input_option():
    done = convproof("net", "CONV3-1", "--input", "10x20x3", "--format", "json")
    assert json.loads(done.stdout)["layers"][1]["output"] == [1, 10, 20]


def test_a_remainder_is_a_finding_where_that_is_asked():
    done = convproof("net", "INPUT[224x224x3] -> CONV(K=96, F=11, S=4)")
    assert done.returncode == 0
    assert "conv1: along H, W, a remainder of 1 at size 224 (1 real and 0 padding positions unread)" in done.stdout
    for form in ("text", "json"):
        assert (
            convproof("net", "INPUT[224x224x3] -> CONV(K=96, F=11, S=4)", "--exact", "--format", form).returncode == 1
        )
    assert convproof("net", "INPUT[227x227x3] -> CONV(K=96, F=11, S=4)", "--exact").returncode == 0


def test_what_to_do_about_a_remainder():
    done = convproof("net", "INPUT[224x224x3] -> CONV(K=64, F=7, S=2, P=3)")
    assert "1 more of padding would fit (P=3:4 makes 113; P=3:2 keeps 112)" in done.stdout


def test_a_network_that_fits_nowhere_is_a_finding():
    assert convproof("net", "INPUT[WxWx3] -> { POOL2 | ID } ADD").returncode == 1


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["unet", "--input", "572x571x1"],
         ["counted are only 26 of 50 layers",
          "does not fit, concat1: Concat: branches have shapes (512, 71, 71) and (512, 70, 70), which differ on axis 1",
          "nearest accepted: H, W 560 or 576",
          "accepts H, W that are multiples of 16; nothing is ever cut"]),
        (["INPUT[5x8x3] -> CONV(K=8, F=7) -> RELU", "--prove"],
         ["does not fit, conv1: Conv, spatial axis 1: a window spans 7 positions but the padded input has only 5 "
          "(size 5, padding 0+0); give it 7 or more, or pad by 2 more",
          "nearest accepted: H 8; W 7",
          "proved and rechecked for all H, W: the network runs exactly at H, W >= 7"]),
        (["INPUT[5x5x3] -> { CONV3-8 | ID } ADD", "--prove"],
         ["does not fit, add1: Add: branches have shapes (8, 5, 5) and (3, 5, 5), which differ on axis 0",
          "accepts no H, W",
          "proved and rechecked for all H, W: the network runs at no H, W"]),
        (["INPUT[5x5x3] -> CONV(K=4, F=3, G=2)"],
         ["does not fit, conv1: Conv: groups=2 does not divide the 3 input channels"]),
        (["INPUT[224x224x1] -> CONV(K=6, F=5) -> POOL2 -> CONV(K=16, F=5) -> POOL2 -> FLATTEN -> FC(120, IN=400)"],
         ["does not fit, linear1: Linear: in_features=400, but 44944 values come in", "nearest accepted: H, W 35",
          "of square images: only 32 to 35"]),
    ],
    ids=["branches", "window", "channels", "groups", "classifier"],
)  # fmt: skip
def test_an_input_that_is_not_taken_is_a_finding(args, lines):
    done = convproof("net", *args)
    assert (done.returncode, done.stderr) == (1, "")
    found = done.stdout.splitlines()
    assert [line for line in found if line in lines] == lines


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["net", "INPUT[5x5x3] -> KONV3-8"], "network notation, column 17: unknown layer 'KONV3-8'; did you mean CONV3-64?"),
        (["net", "INPUT[0x5x3]"], "network notation, column 1: Input: sizes=0 is too small; it must be at least 1"),
        (["net", "INPUT[nanx5x3]"], "network notation, column 1: Input: sizes='nan' is no letter; use a number or a name such as 'W'"),
        (["net", "vgg61"], "no classic is named 'vgg61'; did you mean vgg19, vgg16, vgg13? Or write the network in notation"),
        (["net", "model.onnx"], "model.onnx: there is no such file"),
        (["net", "vgg16", "--input", "224"], "--input '224' is not HxWxC, height first, in numbers or letters: 224x224x3, HxWx3"),
        (["net", "vgg16", "--input", "224x3"], "--input has 1 spatial axis, the network 2; write it like 224x224x3"),
        (["net", "vgg16", "--input", "-1x5x3"], "--input '-1x5x3' is not HxWxC, height first, in numbers or letters: 224x224x3, HxWx3"),
        (["net", "no_such_module:thing"], "cannot import no_such_module:thing: ModuleNotFoundError: No module named 'no_such_module'"),
        (["net", "os:sep.join"], "os:sep.join is of type builtin_function_or_method; it must be a convproof.Network, notation text or a torch.nn.Module"),
        (["net"], "Missing argument 'SPEC...'. (see convproof --help)"),
        (["net", "vgg16", "--format", "yaml"], "Invalid value for '--format': 'yaml' is not one of 'text', 'json', 'markdown'. (see convproof --help)"),
        (["report", "--cases", "0"], "Invalid value for '--cases': 0 is not in the range 1<=x<=100000. (see convproof --help)"),
        (["nonsense"], "No such command 'nonsense'. (see convproof --help)"),
        (["net", "vgg16", "-o", "/no/such/folder/file"], "cannot write /no/such/folder/file: No such file or directory; "
         "choose another place"),
        (["net", "INPUT[8x8xC] -> PIXELSHUFFLE(S=r)"], "C/r**2: the power r**-2 has no place in a size; give a number for r"),
        (["net", "INPUT[5x5x3] -> [{ID|ID} ADD]*999999999999"],
         "network notation, column 1: this describes more than 20000 layers, the limit"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)  # fmt: skip
def test_a_mistake_is_one_line_and_status_2(args, message):
    done = convproof(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"convproof: {message}\n"


MODULES = """
import torch
from torch import nn

trunk = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2)]
whole = nn.Sequential(*trunk, nn.Flatten(), nn.Linear(8 * 14 * 14, 10))
unknown = nn.Sequential(*trunk, nn.FractionalMaxPool2d(2, 3))
up = nn.Sequential(*trunk, nn.Upsample((30, 30)))
family = "INPUT[WxWx3] -> [CONV3-8 -> POOL2]*M"


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 4, 5)

    def forward(self, x):
        return {"a": self.a(x), "b": self.b(x)}


two = Two()
"""


def test_torch_modules(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed; `pip install '.[torch]'` brings it")
    (tmp_path / "models.py").write_text(MODULES)

    def net(*args):
        done = convproof("net", *args, cwd=tmp_path)
        return done.returncode, done.stdout.splitlines() or done.stderr.splitlines()

    status, lines = net("models:whole")
    assert status == 0
    assert any(line.startswith("accepts H 4, 5 with W 394, 395; or H 6, 7 with W 198, 199; or ") for line in lines)
    assert "of square images: only 30, 31" in lines
    status, lines = net("models.py:whole", "--input", "30x30x3", "--prove")
    assert status == 0
    assert any(
        line.startswith("proved and rechecked for all H, W: the network runs exactly at H 4, 5 with") for line in lines
    )
    status, lines = net("models:whole", "--input", "32x40x3")
    assert status == 1
    assert "does not fit, 4: Linear: in_features=1568, but 2280 values come in" in lines
    status, lines = net("models:unknown", "--prove")
    assert status == 1
    assert "counted are only 4 of 5 layers" in lines
    reason = "3: nothing is known about the operation FractionalMaxPool2d"
    assert [line for line in lines if "nothing" in line] == [f"not proved: {reason}", f"undecided: {reason}"]
    assert any(line.endswith("8x30x30") or "30x30x8" in line for line in net("models:up")[1])
    assert net("models:up", "--input", "32x32x3")[0] == 0
    status, lines = net("models:two")
    assert status == 0
    assert any(line.startswith("returns 2 tensors: a (W - 2)x(H - 2)x8, b ") for line in lines)
    assert net("models:two", "--tensor", "b")[1][3].split()[:2] == ["b", "Conv"]
    assert net("models:nn.Conv2d")[1] == [
        "convproof: models:nn.Conv2d is a class; it must be a convproof.Network, notation text or a torch.nn.Module"
    ]
    assert net("models:family", "--input", "WxWx1")[1][2] == "jump 2**M"
    assert net("models:family", "--prove")[0] == 2


def test_onnx_files(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed; `pip install '.[onnx]'` brings it")
    helper, kinds = onnx.helper, onnx.TensorProto
    weights = [("w", (4, 3, 3, 3)), ("v", (400, 10))]
    stored = [helper.make_tensor(n, kinds.FLOAT, s, b"\0" * 4 * s[0] * math.prod(s[1:]), raw=True) for n, s in weights]
    nodes = [
        helper.make_node(*each)
        for each in (("Conv", ["x", "w"], ["c"]), ("Flatten", ["c"], ["f"]), ("Gemm", ["f", "v"], ["y"]))
    ]
    image, vector = (
        helper.make_tensor_value_info(n, kinds.FLOAT, s) for n, s in (("x", (1, 3, "H", "W")), ("y", (1, 10)))
    )
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [image], [vector], stored)), tmp_path / "m.onnx")
    done = convproof("net", "m.onnx", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "of square images: only 12" in done.stdout
    document = json.loads(convproof("net", "m.onnx", "--input", "12x12x3", "--format", "json", cwd=tmp_path).stdout)
    only = lambda n: {"below": [n], "from": n + 1, "modulus": 1, "residues": []}  # noqa: E731
    assert {"H": only(12), "W": only(12)} in document["accepted_sizes"]
    assert {"H": only(3), "W": only(102)} in document["accepted_sizes"]
    assert convproof("net", "m.onnx", "--input", "12x13x3", cwd=tmp_path).returncode == 1


def test_modules_are_imported_from_the_current_folder(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import convproof as cp\nnet = cp.Network.chain([cp.Input(3, (8, 8)), cp.Conv(4, 3)])\ntext = 'INPUT[8x8x3] -> POOL2'\n"
    )
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    assert "conv1" in convproof("net", "mine:net", cwd=tmp_path).stdout
    assert "maxpool1" in convproof("net", "mine:text", cwd=tmp_path).stdout
    assert json.loads(convproof("net", "mine:net", "--input", "16x16x3", "--format", "json", cwd=tmp_path).stdout)
    done = convproof("net", "leaves:net", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "convproof: cannot import leaves:net: SystemExit: 0\n")


def test_output_goes_to_a_file(tmp_path):
    done = convproof("net", "vgg16", "-o", "out.txt", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "138,357,544" in (tmp_path / "out.txt").read_text()


def test_a_reader_that_stops_early_breaks_nothing():
    command = f"{sys.executable} -m convproof net vgg16 | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("0", "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full on this system")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "convproof", "net", "vgg16"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == 2
    assert re.fullmatch(r"convproof: the output: No space left on device\n", done.stderr)


@pytest.mark.parametrize("args", [["--help"], ["net", "--help"], ["report", "-h"]])
def test_help_teaches(args):
    done = convproof(*args)
    assert done.returncode == 0
    assert "Usage" in done.stdout
    assert args[0] != "net" or "CONV(K=96, F=11, S=4)" in done.stdout


def test_help_names_every_word():
    named = {
        re.sub(r"\d*(-\d+)?$", "", word) for word in re.findall(r"[A-Z][A-Z0-9_-]*", convproof("net", "--help").stdout)
    }
    assert {re.sub(r"\d$", "", word) for word in (*WORDS, *MERGE_WORDS)} <= named


def test_a_proof_in_a_file_is_replayed_alone(tmp_path):
    specs = ["INPUT[WxWx3] -> CONV(K=8, F=3x5)", "INPUT[8x8x1] -> FC(3, IN=6)"]
    done = convproof("net", *specs, "--proof", "proofs.json", "--format", "json", cwd=tmp_path)
    assert done.returncode == 1  # 8x8 has not 6 values
    theorems = [each["theorem"] for each in json.loads(done.stdout)["networks"]]
    replayed = subprocess.run(
        [sys.executable, "-m", "convproof.recheck", "proofs.json"], capture_output=True, text=True, cwd=tmp_path
    )
    assert replayed.returncode == 0
    assert "for all W: [1 <= W]*[0 <= W - 5]*[0 <= W - 3] >= 1 iff [5 <= W] >= 1" in theorems
    assert replayed.stdout.count("holds") >= 2
    proofs = json.loads((tmp_path / "proofs.json").read_text())
    proofs[specs[0]]["conclusion"][2][1][1] = ["le", 4, ["v", "W"]]
    (tmp_path / "wrong.json").write_text(json.dumps(proofs))
    wrong = subprocess.run(
        [sys.executable, "-m", "convproof.recheck", "wrong.json"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (wrong.returncode, "WRONG" in wrong.stdout) == (1, True)


def test_what_the_formats_claim_is_the_same():
    """Text, JSON and Markdown say the same of what is accepted and proved."""
    spec = "INPUT[32x32x1] -> POOL2 -> POOL2 -> FC(10, IN=64)"
    text, data, page = (
        convproof("net", spec, "--prove", "--format", form).stdout for form in ("text", "json", "markdown")
    )
    document = json.loads(data)
    accepts = next(line for line in text.splitlines() if line.startswith("accepts"))
    proved = next(line for line in text.splitlines() if line.startswith("proved"))
    assert document["proofs"] == [proved]
    assert f"theorem: {document['theorem']}" in text
    assert accepts in page
    assert proved in page.replace("\\", "")
    assert len(document["accepted_sizes"]) == accepts.count(" with ")
    assert [each["H"]["below"] for each in document["accepted_sizes"]][:1] == [[4, 5, 6, 7]]


def test_version():
    import convproof as package

    assert convproof("--version").stdout == f"convproof, version {package.__version__}\n"


def test_net_counts_memory():
    given = ("net", "INPUT[8x8x3] -> CONV3-4 -> POOL2 -> GLOBALAVGPOOL -> BN", "--training")
    done = convproof(*given, "--batch", "32", "--dtype", "float16", "--optimizer", "adam")
    assert (
        "a step of training with 32 images in float16 keeps 50,624 bytes: activations 33,280, places of maxima 16,384, "
        in (done.stdout)
    )
    kept = json.loads(convproof(*given, "--batch", "N", "--format", "json").stdout)["memory"]
    assert (kept["indices"], kept["parameters"]) == ("512*N", 480)
    assert "batchnorm1 is refused in training with a batch of 1" in convproof(*given).stdout
    for args, told in (
        (("--batch", "0"), "'0' is no number of images"),
        (("--dtype", "int3"), "'int3' is not one of"),
        (("--optimizer", "x"), "'x' is not one of"),
    ):
        done = convproof(*given, *args)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert told in done.stderr


def test_what_memory_is_counted_for_is_what_the_rule_knows():
    from convproof import cli
    from convproof.symbolic import memory

    assert (set(cli._DTYPES), set(cli._OPTIMIZERS)) == (set(memory.DTYPES), set(memory.OPTIMIZERS))
