"""Old import paths give the very objects of the new ones, and warn."""

import importlib
import subprocess
import sys

import pytest

import convproof
from convproof._moved import MOVED

# What was public under each old path.
NAMES = {
    "assemble": "Outcome derive report",
    "check": "RELATIONS Evidence Mismatch Relation examine relation",
    "check.cases": "ConvCase PoolCase chains conv_cases pool_cases",
    "check.evidence": "Evidence Mismatch Relation examine",
    "check.fits": "MOST_LAYERS prove_sizes",
    "check.oracle": "averages conv conv_matrix input_gradient max_pool pool_places",
    "check.printed": "printed_value rounds_to",
    "check.relations": "RELATIONS equal floats integers letters on relation",
    "interop": "onnx torch",
    "interop.graph": "Imported",
    "interop.onnx": "MAX_BYTES MAX_NODES load",
    "interop.torch": "load",
    "lower": "Draw LayerParameters Parameters lower run",
    "spec": """KINDS MERGES SAME_LOWER SAME_UPPER Activation AdaptivePool Add Affine AvgPool Axis BatchNorm
        ChannelShuffle Concat Conv ConvTranspose Dropout Flatten GlobalPool GroupNorm Input InstanceNorm Layer Linear
        LocalResponseNorm LpPool MaxPool Multiply Network Node Pad PadTo PixelShuffle PixelUnshuffle ReLU Resize Scale
        Slice Softmax Unknown Upsample classics layers network notation printing""",
    "spec.classics": "CLASSICS Classic ENTRIES Figure",
    "spec.layers": "KINDS MERGES Axis Conv Input Layer MaxPool Value letters",
    "spec.network": "Builder Network Node",
    "spec.notation": "WORDS Branches Chain Item Optional Repeat built network parse",
    "spec.printing": "to_notation",
    "theory": "Claim Finding Judgement Proof Step Theory bundled_folder find judge load prove summary_table",
}
PATHS = [(f"convproof.{old}", name) for old, names in NAMES.items() for name in names.split()]


def test_every_old_path_is_tried():
    assert {f"convproof.{old}" for old in NAMES} == set(MOVED)


@pytest.mark.parametrize(("old", "name"), [each for each in PATHS if ".".join(each) not in MOVED])
def test_an_old_name_is_the_new_one_and_warns(old, name):
    home, new = MOVED[old], "execute" if name == "lower" else name
    expected = getattr(importlib.import_module(home), new)
    message = f"^{old}.{name} is now {home}.{new}; the old path will go with the next release$"
    with pytest.warns(DeprecationWarning, match=message) as caught:
        exec(f"from {old} import {name} as found", imported := {})  # noqa: S102
    assert imported["found"] is expected
    assert [each.filename for each in caught] == ["<string>"]  # the place that must change
    with pytest.warns(DeprecationWarning, match=message):
        assert eval(f"convproof.{old.partition('.')[2]}.{name}") is expected  # noqa: S307


@pytest.mark.parametrize(("old", "name"), [each for each in PATHS if ".".join(each) in MOVED])
def test_an_old_module_is_found_in_its_package(old, name):
    assert getattr(importlib.import_module(old), name) is importlib.import_module(f"{old}.{name}")


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_can_be_what_is_imported_first(old):
    code = f"import sys, {old} as old; print(*sorted({{'sympy', 'numpy', 'networkx', 'lark'}} & set(sys.modules)), old.__name__)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == old


def test_all_names_of_an_old_path_can_be_imported():
    with pytest.warns(DeprecationWarning, match="is now"):
        exec("from convproof.spec.layers import *", found := {})  # noqa: S102
    assert found["Conv"] is convproof.Conv


def test_what_never_was_is_not_found():
    with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
        exec("from convproof.spec import Nonsense")  # noqa: S102
    with pytest.raises(ModuleNotFoundError, match=r"'convproof\.spec' is not a package"):
        importlib.import_module("convproof.spec.nonsense")
    with pytest.raises(AttributeError, match=r"'convproof\.architecture' has no attribute 'nonsense'"):
        convproof.spec.nonsense  # noqa: B018


def test_sets_axis_by_axis_are_still_told():
    net = convproof.network("INPUT[8x9x3] -> CONV(K=96, F=11, S=4)")
    with pytest.warns(DeprecationWarning, match="use accepted_sizes"):
        valid, exact = convproof.size_sets(net, "H")
    assert (str(valid), str(exact)) == ("all n >= 11", "all n >= 8 with n mod 4 = 3")
    for axis in (-1, 2):
        with (
            pytest.warns(DeprecationWarning, match="use accepted_sizes"),
            pytest.raises(convproof.SpecError, match=f"axis {axis} is none of .*H, W, counted from 0$"),
        ):
            convproof.size_sets(net, axis)
