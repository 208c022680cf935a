"""How fast the autograd is beside torch on the CPU, and how its time grows: `python -m benchmarks.autograd`.

Every figure is a ratio of medians, of two things that took turns (A B A B) in one process: what else the machine does
falls on both. Each number of threads has a process of its own, since BLAS reads it when it is loaded. Memory is that of
a process that does nothing else: the most it ever held, less what it held with the operands made.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convproof import autograd as ag

Run = Callable[[], Any]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Conv:
    """One convolution of a network: `count` layers of it are like this one."""

    channels: int
    filters: int
    size: int
    kernel: int = 3
    stride: int = 1
    count: int = 1

    @property
    def name(self) -> str:
        """For example `64 -> 128, 3x3, 112x112`."""
        step = f"/{self.stride}" if self.stride > 1 else ""
        kernel, size = f"{self.kernel}x{self.kernel}{step}", f"{self.size}x{self.size}"
        return f"{self.channels} -> {self.filters}, {kernel}, {size}"


NETWORKS = {
    "VGG16": (
        Conv(3, 64, 224),
        Conv(64, 64, 224),
        Conv(64, 128, 112),
        Conv(128, 128, 112),
        Conv(128, 256, 56),
        Conv(256, 256, 56, count=2),
        Conv(256, 512, 28),
        Conv(512, 512, 28, count=2),
        Conv(512, 512, 14, count=3),
    ),
    "ResNet-50": (
        Conv(3, 64, 224, 7, 2),
        Conv(64, 64, 56, 1),
        Conv(64, 64, 56, count=3),
        Conv(64, 256, 56, 1, count=4),
        Conv(256, 64, 56, 1, count=2),
        Conv(256, 128, 56, 1),
        Conv(128, 128, 56, 3, 2),
        Conv(128, 512, 28, 1, count=4),
        Conv(256, 512, 56, 1, 2),
        Conv(512, 128, 28, 1, count=3),
        Conv(128, 128, 28, count=3),
        Conv(512, 256, 28, 1),
        Conv(256, 256, 28, 3, 2),
        Conv(256, 1024, 14, 1, count=6),
        Conv(512, 1024, 28, 1, 2),
        Conv(1024, 256, 14, 1, count=5),
        Conv(256, 256, 14, count=5),
        Conv(1024, 512, 14, 1),
        Conv(512, 512, 14, 3, 2),
        Conv(512, 2048, 7, 1, count=3),
        Conv(1024, 2048, 14, 1, 2),
        Conv(2048, 512, 7, 1, count=2),
        Conv(512, 512, 7, count=2),
    ),
}


def normal(*shape: int) -> Any:
    """Random numbers in float32, the same in every process."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


# --- the pairs that are compared --------------------------------------------------------------------------------------


def conv_runs(layer: Conv, backward: bool) -> tuple[Run, Run]:
    """The layer's forward pass, or forward and backward to input, filters and biases: ours and torch's."""
    pad = layer.kernel // 2
    arrays = (
        normal(1, layer.channels, layer.size, layer.size),
        normal(layer.filters, layer.channels, layer.kernel, layer.kernel),
        normal(layer.filters),
    )
    return _runs(
        lambda x, w, b: ag.conv(x, w, b, layer.stride, pad),
        lambda F, x, w, b: F.conv2d(x, w, b, layer.stride, pad),
        arrays,
        backward,
    )


def _runs(
    ours: Callable[..., Any], theirs: Callable[..., Any], arrays: tuple[Any, ...], backward: bool
) -> tuple[Run, Run]:
    """One run of each, with gradients to all the arrays for a random cotangent."""

    def our_run() -> Any:
        tensors = [ag.tensor(a) for a in arrays]
        y = ours(*tensors)
        return [t.numpy() for t in ag.grad(y, tensors, normal_like(y.shape))] if backward else y.numpy()

    def their_run() -> Any:
        torch = _torch()
        F = torch.nn.functional
        if not backward:
            with torch.no_grad():
                return theirs(F, *(torch.from_numpy(a) for a in arrays)).numpy()
        tensors = [torch.from_numpy(a).requires_grad_() for a in arrays]
        y = theirs(F, *tensors)
        return [t.numpy() for t in torch.autograd.grad(y, tensors, torch.from_numpy(normal_like(tuple(y.shape))))]

    cotangents: dict[tuple[int, ...], Any] = {}

    def normal_like(shape: tuple[int, ...]) -> Any:
        if shape not in cotangents:
            cotangents[shape] = normal(*shape)
        return cotangents[shape]

    return our_run, their_run


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        sys.exit("benchmarks.autograd: torch is not installed; `pip install '.[peers]'` brings it")
    torch.set_num_threads(int(os.environ.get(THREADS[0], "1")))
    return torch


def other_layers() -> dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[Any, ...]]]:
    """Layers that are no convolutions, at the sizes of VGG16."""
    plane, image = normal(1, 64, 224, 224), normal(1, 25088)
    return {
        "max pooling, 2x2, 224x224x64": (lambda x: ag.max_pool(x, 2), lambda F, x: F.max_pool2d(x, 2), (plane,)),
        "average pooling, 2x2, 224x224x64": (lambda x: ag.avg_pool(x, 2), lambda F, x: F.avg_pool2d(x, 2), (plane,)),
        "ReLU, 224x224x64": (ag.relu, lambda F, x: F.relu(x), (plane,)),
        "fully connected, 25088 -> 4096": (
            ag.linear,
            lambda F, x, w, b: F.linear(x, w, b),
            (image, normal(4096, 25088), normal(4096)),
        ),
        "fully connected, 4096 -> 1000": (
            ag.linear,
            lambda F, x, w, b: F.linear(x, w, b),
            (image[:, :4096].copy(), normal(1000, 4096), normal(1000)),
        ),
        "1000 additions of one number": (_ours_chain, _their_chain, (normal(1),)),
    }


def _ours_chain(x: Any) -> Any:
    for _ in range(1000):
        x = ag.add(x, 1.0)
    return x


def _their_chain(F: Any, x: Any) -> Any:
    for _ in range(1000):
        x = x + 1.0
    return x


def growth() -> dict[str, tuple[Run, Run]]:
    """Something, and the same at four times the work: its time should be four times as long too."""

    def both(c: int, k: int, n: int, f: int) -> Run:
        return conv_runs(Conv(c, k, n, f), True)[0]

    def chain(length: int) -> Run:
        def run() -> Any:
            x = y = ag.tensor(np.ones(1))
            for _ in range(length):
                y = ag.add(y, x)
            return ag.grad(y, [x], np.ones(1))

        return run

    return {
        "pixels: 64 -> 64, 3x3, from 56x56 to 112x112": (both(64, 64, 112, 3), both(64, 64, 56, 3)),
        "channels: 3x3, 28x28, from 128 -> 128 to 256 -> 256": (both(256, 256, 28, 3), both(128, 128, 28, 3)),
        "kernel: 32 -> 32, 56x56, from 4x4 to 8x8": (both(32, 32, 56, 8), both(32, 32, 56, 4)),
        "graph: from 5,000 to 20,000 additions": (chain(20_000), chain(5_000)),
    }


# --- measuring --------------------------------------------------------------------------------------------------------


def ratio(ours: Run, theirs: Run, rounds: int) -> float:
    """The median time of the first over that of the second, taking turns."""
    times: tuple[list[float], list[float]] = ([], [])
    number = max(1, int(0.005 / max(_seconds(theirs), 1e-6)))
    for run in (ours, theirs):
        run()
    for _ in range(rounds):
        for run, found in zip((ours, theirs), times, strict=True):
            found.append(_seconds(run, number))
    return statistics.median(times[0]) / statistics.median(times[1])


def _seconds(run: Run, number: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(number):
        run()
    return (time.perf_counter() - start) / number


def measure(quick: bool) -> Iterator[dict[str, Any]]:
    """One row a comparison, in the order of the table; `seconds` weigh layers in a network's total."""
    rounds = 3 if quick else 7
    for network, layers in NETWORKS.items():
        if quick and network != "VGG16":
            continue
        for layer in layers:
            for backward in (False, True):
                ours, theirs = conv_runs(layer, backward)
                found = ratio(ours, theirs, rounds)
                weight = layer.count * statistics.median(_seconds(theirs) for _ in range(3))
                yield {
                    "part": f"{network}, convolutions",
                    "name": layer.name,
                    "what": _what(backward),
                    "ratio": found,
                    "weight": weight,
                }
    for name, (ours, theirs, arrays) in other_layers().items():
        for backward in (False, True):
            pair = _runs(ours, theirs, arrays, backward)
            yield {"part": "other layers", "name": name, "what": _what(backward), "ratio": ratio(*pair, rounds)}
    for name, (large, small) in growth().items():
        yield {
            "part": "growth at four times the work",
            "name": name,
            "what": _what(True),
            "ratio": ratio(large, small, rounds),
        }


def _what(backward: bool) -> str:
    return "forward + backward" if backward else "forward"


def peak(layer: Conv, side: int) -> int:
    """The most memory in bytes that a forward and a backward pass of ours (0) or torch's (1) take, in this process."""
    run = conv_runs(layer, True)[side]
    if side:
        _torch()
    before = _high_water()
    run()
    return _high_water() - before


def _high_water() -> int:
    """The most bytes that this process has held in memory (Linux; what a parent held does not count, as it would in
    getrusage).
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


# --- processes and the table ------------------------------------------------------------------------------------------


def in_process(threads: int, *arguments: str) -> Any:
    """What this module prints as JSON in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.autograd", *arguments],
        env={**os.environ, **dict.fromkeys(THREADS, str(threads))},
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.returncode)
    return json.loads(done.stdout)


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        model = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    return {
        "cpu": f"{model}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": _torch().__version__,
    }


def totals(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The ratio of each network's summed times: the mean of its layers' ratios, weighted by torch's times."""
    keys = dict.fromkeys((row["part"], row["what"], row["threads"]) for row in rows if "weight" in row)
    for part, what, threads in keys:
        layers = [row for row in rows if (row["part"], row["what"], row["threads"]) == (part, what, threads)]
        weight = sum(row["weight"] for row in layers)
        total = sum(row["weight"] * row["ratio"] for row in layers) / weight
        yield {"part": part, "name": "all layers", "what": what, "threads": threads, "ratio": total}


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Markdown: a row a layer, a column a measurement."""
    for part in dict.fromkeys(row["part"] for row in rows):
        inside = [row for row in rows if row["part"] == part]
        columns = list(dict.fromkeys(_column(row) for row in inside))
        cells = {(row["name"], _column(row)): f"{row['ratio']:.2f}" for row in inside}
        yield f"\n| {part} | {' | '.join(columns)} |"
        yield f"|---|{'---:|' * len(columns)}"
        for name in dict.fromkeys(row["name"] for row in inside):
            yield f"| {name} | {' | '.join(cells.get((name, column), '') for column in columns)} |"


def _column(row: dict[str, Any]) -> str:
    return f"{row['what']}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}"


def main() -> None:
    """Measures everything and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.autograd", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--quick", action="store_true", help="VGG16 only, fewer rounds, memory of three layers")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default: 1 2)")
    parser.add_argument("--worker", choices=("times", "peak"), help=argparse.SUPPRESS)
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker == "times":
        print(json.dumps(list(measure(options.quick))))
        return
    if options.worker == "peak":
        network, index, side = options.peak
        print(json.dumps(peak(NETWORKS[network][int(index)], int(side))))
        return
    about = machine()
    rows = []
    for threads in options.threads:
        quick = ["--quick"] if options.quick else []
        rows += [{**row, "threads": threads} for row in in_process(threads, "--worker", "times", *quick)]
    rows += list(totals(rows))
    for network in NETWORKS:
        for index, layer in list(enumerate(NETWORKS[network]))[: 3 if options.quick else None]:
            ask = partial(in_process, 1, "--worker", "peak", "--peak", network, str(index))
            ours, theirs = ask("0"), ask("1")
            part = f"{network}, convolutions"
            row = {"part": part, "name": layer.name, "what": "peak memory", "threads": 1}
            rows.append({**row, "ratio": ours / max(theirs, 1)})
        if options.quick:
            break
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")
    print(f"Our time (or memory) as a multiple of torch's, float32, batch 1: {', '.join(map(' '.join, about.items()))}")
    for line in table(rows):
        print(line)


if __name__ == "__main__":
    main()
