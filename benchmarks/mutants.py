"""What the oracle for kernels finds of a corpus of faulty ones, beside what other checks find: `python -m
benchmarks.mutants`.

The corpus is `tests/faulty_kernels`. The peers need PyTorch and JAX. Each gets a configuration as people use it, one
shape with a stride and padding: PyTorch's `gradcheck`, in full and in its fast mode, JAX's `check_grads`, a comparison
of the forward pass up to 1e-2, and one of gradients with cotangents of ones. Exit status: 0 measured; 1 a faulty kernel
was not found; 2 bad usage.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from convproof import testing
from convproof.testing.judge import Judge
from convproof.testing.linear_maps import Conv
from convproof.testing.operations import operation
from convproof.testing.runner import Runner

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

Forward = Callable[..., Any]
SEEDS = range(5)
FILES = ("convolutions", "pools", "others", "cheats", "published")


def corpus() -> Iterator[tuple[str, str, Forward, Forward | None, str]]:
    """(operation, fault, forward, vjp, diagnosis) of every faulty kernel."""
    import importlib

    for name in FILES:
        try:
            yield from importlib.import_module(f"faulty_kernels.{name}").KERNELS
        except ModuleNotFoundError:
            continue


# --- the peers --------------------------------------------------------------------------------------------------------

SHAPES: dict[str, tuple[dict[str, tuple[int, ...]], tuple[Any, ...]]] = {
    "conv": ({"x": (2, 3, 6, 6), "w": (4, 3, 3, 3), "b": (4,)}, ((2, 2), (1, 1), (1, 1), 1)),
    "max_pool": ({"x": (2, 3, 6, 6)}, ((2, 2), (2, 2), (0, 0))),
    "avg_pool": ({"x": (2, 3, 6, 6)}, ((2, 2), (2, 2), (0, 0))),
    "linear": ({"x": (4, 6), "w": (5, 6), "b": (5,)}, ()),
}
"""What a peer looks at: one shape and one setting an operation."""


def right(op: str, arrays: list[Any], options: tuple[Any, ...]) -> Any:
    """PyTorch's own."""
    from torch.nn import functional

    if op == "linear":
        return functional.linear(*arrays)
    if op == "conv":
        return functional.conv2d(*arrays, *options)
    pool: Any = functional.max_pool2d if op == "max_pool" else functional.avg_pool2d
    return pool(*arrays, *options)


def wrapped(op: str, forward: Forward, vjp: Forward, options: tuple[Any, ...]) -> Any:
    """The kernel as a function of tensors that PyTorch can differentiate."""
    import torch

    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            y = forward(*(t.detach().numpy() for t in tensors), *options)
            return torch.from_numpy(np.array(y, np.float64))

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            held = [t.detach().numpy() for t in ctx.saved_tensors]
            given = held[:2] if len(held) == 3 else held
            found = vjp(g.numpy(), *given, *options)
            found = found if isinstance(found, (tuple, list)) else (found,)
            return tuple(torch.from_numpy(np.array(each, np.float64)) for each in found)

    return Kernel.apply


def traced(op: str, forward: Forward, vjp: Forward, options: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    """The kernel as a function of arrays that JAX can differentiate."""
    import jax

    def shaped(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
        return tuple(jax.ShapeDtypeStruct(each, np.float64) for each in shapes)

    def backward(operands: Any, g: Any) -> Any:
        def called(g: Any, *arrays: Any) -> Any:
            given = [np.array(each) for each in arrays]
            found = vjp(np.array(g), *(given[:2] if len(given) == 3 else given), *options)
            found = found if isinstance(found, (tuple, list)) else (found,)
            return tuple(np.array(each, np.float64) for each in found)

        return jax.pure_callback(called, shaped(*(each.shape for each in operands)), g, *operands)

    @jax.custom_vjp
    def kernel(*arrays: Any) -> Any:
        def called(*arrays: Any) -> Any:
            return np.array(forward(*(np.array(each) for each in arrays), *options), np.float64)

        return jax.pure_callback(called, *shaped(shape), *arrays)

    kernel.defvjp(lambda *arrays: (kernel(*arrays), arrays), backward)
    return kernel


def peers(op: str, forward: Forward, vjp: Forward | None) -> dict[str, tuple[bool, float]]:
    """Whether each peer that can look at the kernel finds it wrong, and the seconds that it takes."""
    import jax
    import torch
    from jax.test_util import check_grads

    if op not in SHAPES:
        return {}
    shapes, options = SHAPES[op]
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes.values()]
    expected = right(op, tensors, options)
    checks: dict[str, Callable[[], Any]] = {
        "the forward pass up to 1e-2": lambda: _close(forward(*(t.numpy() for t in tensors), *options), expected, 1e-2)
    }
    if vjp is not None:
        kernel = wrapped(op, forward, vjp, options)
        leaves = [t.clone().requires_grad_() for t in tensors]
        jax.config.update("jax_enable_x64", True)
        function = traced(op, forward, vjp, options, tuple(expected.shape))
        arrays = [jax.numpy.asarray(each.numpy()) for each in tensors]

        def ones() -> bool:
            leaves = [t.clone().requires_grad_() for t in tensors]
            gradients = torch.autograd.grad(right(op, leaves, options).sum(), leaves)
            given = [t.numpy() for t in tensors]
            back = vjp(np.ones(expected.shape), *(given[:2] if len(given) == 3 else given), *options)
            back = back if isinstance(back, (tuple, list)) else (back,)
            return all(_close(a, b, 1e-5) for a, b in zip(back, gradients, strict=True))

        checks |= {
            "gradcheck": lambda: torch.autograd.gradcheck(kernel, leaves),
            "gradcheck, fast mode": lambda: torch.autograd.gradcheck(kernel, leaves, fast_mode=True),
            "check_grads": lambda: check_grads(function, arrays, order=1, modes=["rev"]) is None,
            "gradients for cotangents of ones": ones,
        }
    found = {}
    for name, check in checks.items():
        start = time.perf_counter()
        found[name] = _fails(check), time.perf_counter() - start
    return found


def _fails(check: Callable[[], Any]) -> bool:
    try:
        return not check()
    except Exception:  # whatever a peer or a kernel raises is noticed
        return True


def _close(found: Any, expected: Any, tolerance: float) -> bool:
    value, wanted = np.asarray(found), expected.detach().numpy()
    return value.shape == wanted.shape and bool(np.allclose(value, wanted, rtol=tolerance, atol=tolerance))


# --- the score --------------------------------------------------------------------------------------------------------


def score() -> tuple[list[str], bool]:
    """The lines of the table, and whether every faulty kernel was found with every seed."""
    first, times, named, missed = [], [], 0, []
    beside: dict[str, list[tuple[bool, float]]] = {}
    kernels = list(corpus())
    for op, fault, forward, vjp, told in kernels:
        for seed in SEEDS:
            start = time.perf_counter()
            report = testing.check(op, forward, vjp, seed=seed)
            times.append(time.perf_counter() - start)
            if report.ok:
                missed.append(f"{op}: {fault}, seed {seed}")
            first.append(report.first_failure or 0)
            if seed == 0:
                named += bool(told) and any(told in f"{each.relation}: {each.diagnosis}" for each in report.failures)
        for name, seen in peers(op, forward, vjp).items():
            beside.setdefault(name, []).append(seen)
    late, runs = sum(each > 50 for each in first), len(first)
    lines = [
        f"{len(kernels)} faulty kernels; {named} are named as expected (seed 0). With seeds 0 to {len(SEEDS) - 1} the",
        f"first failing case is number {statistics.median(first):g} (median), beyond 50 in {late} of {runs}.",
        "",
        "| | found | of those that it can look at | seconds a check, median | at most |",
        "|---|---:|---:|---:|---:|",
        _row(f"convproof, 200 cases, {len(SEEDS)} seeds", runs - len(missed), times),
        *(
            _row(name, sum(wrong for wrong, _ in seen), [spent for _, spent in seen])
            for name, seen in sorted(beside.items())
        ),
        *(f"missed: {each}" for each in missed),
    ]
    return lines, not missed


def _row(name: str, found: int, times: list[float]) -> str:
    return f"| {name} | {found} | {len(times)} | {statistics.median(times):.3f} | {max(times):.2f} |"


def shares(rounds: int = 15) -> list[str]:
    """The judge's own time on one case beside gradcheck's, on a convolution of (2, 8, 16, 16)."""
    import torch

    case = testing.cases.conv_case((16, 16), (3, 3), 1, 1, channels=8, filters=8)
    spent = [0.0]

    def timed(function: Forward) -> Forward:
        def call(*arguments: Any) -> Any:
            start = time.perf_counter()
            found = function(*arguments)
            spent[0] += time.perf_counter() - start
            return found

        return call

    def forward(x: Any, w: Any, b: Any, *options: Any) -> Any:
        given = [None if each is None else torch.from_numpy(each) for each in (x, w, b)]
        return torch.nn.functional.conv2d(*given, *options).numpy()  # type: ignore[arg-type]

    def vjp(g: Any, x: Any, w: Any, *options: Any) -> Any:
        leaves = [torch.from_numpy(each).requires_grad_() for each in (x, w)]
        b = torch.zeros(len(w), dtype=torch.float64, requires_grad=True)
        y = torch.nn.functional.conv2d(*leaves, b, *options)
        return tuple(each.numpy() for each in torch.autograd.grad(y, [*leaves, b], torch.from_numpy(g)))

    kind = testing.numbers.PRECISIONS["float64"]
    library = testing.arrays.Library(kind, None)
    judge = Judge(Runner(operation("conv", testing.Dialect()), timed(forward), timed(vjp), library, testing.Dialect()))
    assert isinstance(judge.operation, Conv)
    torch.set_num_threads(1)  # threads that wait for work would disturb the other side
    function = functools.partial(torch.nn.functional.conv2d, padding=1)
    times: dict[str, list[float]] = {"own": [], "full": [], "fast": []}
    judge.judge(case)  # what is imported on the way
    for turn in range(rounds):
        spent[0] = 0.0
        start = time.perf_counter()
        assert not judge.judge(case)
        times["own"].append(time.perf_counter() - start - spent[0])
        for name in ("full", "fast"):
            if name == "full" and turn >= 3:
                continue
            shapes = (2, 8, 16, 16), (8, 8, 3, 3), (8,)
            leaves = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
            start = time.perf_counter()
            torch.autograd.gradcheck(function, leaves, fast_mode=name == "fast")
            times[name].append(time.perf_counter() - start)
    mine, whole, quick = (statistics.median(each) for each in times.values())
    return [
        "a convolution of (2, 8, 16, 16) with 8 filters of 3x3, one case (three runs of the kernel on two draws):",
        f"  the judge's own share: {1e3 * mine:.1f} ms",
        f"  gradcheck: {whole:.2f} s, {whole / mine:.0f} times as long",
        f"  gradcheck in its fast mode: {1e3 * quick:.1f} ms, {quick / mine:.2f} times as long",
        f"  load {os.getloadavg()[0]:.1f}",
    ]


def main() -> int:
    """Prints both tables."""
    parser = argparse.ArgumentParser(prog="benchmarks.mutants", description=__doc__)
    parser.add_argument("--only", choices=["score", "time"], help="one of the two tables")
    chosen = parser.parse_args().only
    warnings.simplefilter("ignore", RuntimeWarning)
    good = True
    if chosen != "time":
        lines, good = score()
        print("\n".join(lines))
    if chosen != "score":
        print("\n".join(shares()))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
