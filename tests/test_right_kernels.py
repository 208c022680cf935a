"""No false alarms: kernels of libraries that are right, and say what they support, pass with every seed."""

import importlib
import os
from importlib.util import find_spec

import pytest

from convproof import testing

NEEDS = {
    "own": (),
    "pytorch": ("torch",),
    "of_jax": ("jax",),
    "onnx_runtime": ("onnx", "onnxruntime"),
    "my_grad": ("mygrad",),
    "hips_autograd": ("autograd",),
}
"""The files of `right_kernels`, and the modules that each imports."""

SEEDS = range(int(os.environ.get("CONVPROOF_SEEDS", "1")))


def kernels():
    for name, modules in NEEDS.items():
        if all(find_spec(each) for each in modules):
            listed = importlib.import_module(f"right_kernels.{name}").KERNELS
            for place, (op, *_, options, ranks) in enumerate(listed):
                for rank in ranks:
                    told = "-".join(map(str, (name, place, op, options.get("dtype", "float64"), rank)))
                    yield pytest.param(name, place, rank, id=told)
        else:
            reason = f"needs {' and '.join(modules)}, not installed"
            yield pytest.param(name, 0, 0, id=name, marks=pytest.mark.skip(reason=reason))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # some libraries warn of NaN that they are given
@pytest.mark.parametrize(("name", "place", "rank"), list(kernels()))
def test_what_is_right_passes(name, place, rank):
    op, forward, vjp, options, _ = importlib.import_module(f"right_kernels.{name}").KERNELS[place]
    for seed in SEEDS:
        report = testing.check(op, forward, vjp, **{"rank": rank, "seed": seed} | options)
        assert report.ok, f"seed {seed}: {report}"
