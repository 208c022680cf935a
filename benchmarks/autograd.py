"""How fast the autograd is beside its peers on the CPU, and how its time grows: `python -m benchmarks.autograd`.

Every figure is a ratio of medians, of two things that took turns (A B A B) in one process: what else the machine does
falls on both. Each number of threads has a process of its own, since BLAS reads it when it is loaded, and so has each
measurement of memory. What is compared is first compared for what it computes.

Exit status: 0 measured; 1 results differ, a process died, or nothing is left to measure; 2 bad usage.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import measuring, peers, subjects
from benchmarks.measuring import Disagreement, Effort, Found

PROGRAM = "benchmarks.autograd"
PARTS = ("conv", "networks", "layers", "memory", "growth", "peers")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
FULL, QUICK = Effort(rounds=7, seconds=12), Effort(rounds=3, seconds=3)

ADDITION, MICROSECONDS = "Additions of one number, one after the other", "microseconds an addition takes convproof"

INTRODUCTION = """Time or memory of convproof as a multiple of a peer's, in float32: below 1, convproof takes less.
Times are medians of turns (A B A B) in one process, after a check that both sides compute the same. convproof remembers
in a forward pass too how its results were made; peers need not, and do not."""

NOTES = {
    "Convolutions of VGG16": "Batch 1. Backward is to input, filters and biases; memory is the most that forward + "
    "backward hold beside operands.",
    "Convolutions of ResNet-50": "Batch 1, without biases.",
    "Whole networks": "Backward is to all parameters; batch normalization takes the statistics of the batch there, and "
    "given ones in a forward pass. Memory is the most that forward + backward hold beside parameters and input.",
    ADDITION: "What remembering an operation costs; the microseconds are no ratio, and are this machine's.",
    "Growth": "The exponent of the time of forward + backward in the work, fitted to four sizes: 1 is in proportion.",
}
"""What stands between the heading of a table and the table."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """A cell of a table: what `call` finds; `count` layers of a network are like it."""

    part: str
    table: str
    row: str
    column: str
    peer: str | None
    call: Callable[[Effort], Found]
    count: int = 1


# --- what is measured -------------------------------------------------------------------------------------------------


def plan(quick: bool) -> Iterator[Measurement]:
    """Everything, in the order of the tables."""
    names = [name for name in subjects.networks() if name == "VGG16" or not quick]
    for name in names:
        table = f"Convolutions of {name}"
        for layer in subjects.convolutions(name):
            yield from _timed("conv", table, layer, "torch", (False, True))
        for layer in subjects.convolutions(name)[: 3 if quick else None]:
            yield _memory(table, layer)
    for name in names:
        table = f"Convolutions of {name}, beside others than torch"
        for layer in subjects.convolutions(name):
            if name == "VGG16":
                yield from _timed("peers", table, layer, "MyGrad", (True,))
                yield from _timed("peers", table, layer, "ReferenceEvaluator", (False,))
            yield from _timed("peers", table, layer, "onnxruntime", (False,))
    for name in subjects.networks():
        for batch in (1,) if quick else (1, 8):
            yield from _timed("networks", "Whole networks", subjects.whole(name, batch), "torch", (False, True))
    yield _memory("Whole networks", subjects.whole("VGG16", 1))
    for layer in subjects.others():
        yield from _timed("layers", "Other layers", layer, "torch", (False, True))
        yield from _timed("layers", "Other layers", layer, "onnxruntime", (False,))
    for backward in (False, True):
        column, chain = _passes(backward), "time as a multiple of torch's"
        yield Measurement("layers", ADDITION, MICROSECONDS, column, None, partial(measuring.overhead, backward))
        yield Measurement("layers", ADDITION, chain, column, "torch", partial(measuring.chain_versus, backward))
    for name in (*subjects.growing(), measuring.GRAPH):
        yield Measurement("growth", "Growth", name, "exponent", None, partial(measuring.growth, name))


def _timed(
    part: str, table: str, subject: subjects.Subject, peer: str, passes: tuple[bool, ...]
) -> Iterator[Measurement]:
    for backward in passes:
        call = partial(measuring.versus, subject, peer, backward)
        yield Measurement(part, table, subject.name, f"{peer}, {_passes(backward)}", peer, call, subject.count)


def _memory(table: str, subject: subjects.Subject) -> Measurement:
    call = partial(measuring.memory, subject, "torch")
    return Measurement("memory", table, subject.name, "torch, peak memory", "torch", call)


def _passes(backward: bool) -> str:
    return "forward + backward" if backward else "forward"


def available(measurements: list[Measurement]) -> list[Measurement]:
    """Those whose peer is installed; says which peer is not."""
    absent = {peer: gone for peer in peers.PACKAGES if (gone := peers.missing(peer))}
    for peer in dict.fromkeys(m.peer for m in measurements if m.peer in absent):
        gone = " ".join(absent[peer])
        say(f"{peer} is left out, for want of {gone}; `pip install {gone}` brings it")
    return [m for m in measurements if m.peer not in absent]


# --- measuring --------------------------------------------------------------------------------------------------------


def measured(measurements: list[Measurement], threads: list[int], effort: Effort) -> tuple[list[Row], bool]:
    """A row for each measurement and number of threads, and whether all sides computed the same."""
    rows, agreed = [], True
    with progress(len(measurements) * len(threads)) as tell:
        for n in threads:
            os.environ.update(dict.fromkeys(THREADS, str(n)))
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                for m in measurements:
                    what = f"{_threads(n)}: {m.table}: {m.row}: {m.column}"
                    try:
                        found = pool.submit(m.call, effort).result()
                    except Disagreement as error:
                        say(f"{what}: {error}")
                        tell(f"{what}: left out")
                        agreed = False
                        continue
                    except BrokenProcessPool:
                        sys.exit(f"{PROGRAM}: {what}: the process died; is there enough memory?")
                    place = {"table": m.table, "row": m.row, "column": m.column, "threads": n, "count": m.count}
                    rows.append({**place, **found})
                    tell(f"{what}: {found['value']:.2f}")
    return rows, agreed


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A function that tells what was measured: beside a bar on a terminal, else a line each."""
    if not sys.stderr.isatty():
        numbers = count(1)
        yield lambda text: print(f"[{next(numbers)}/{total}] {text}", file=sys.stderr, flush=True)
        return
    columns = BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, advance=1, description=text)


def say(message: str) -> None:
    """A line on standard error."""
    print(f"{PROGRAM}: {message}", file=sys.stderr, flush=True)


# --- the tables -------------------------------------------------------------------------------------------------------


def totals(rows: list[Row]) -> Iterator[Row]:
    """The ratio of each network's convolutions, every layer as often as it occurs."""
    timed = [row for row in rows if row["table"].startswith("Convolutions") and "seconds" in row]
    keys = ("table", "column", "threads")
    for place in dict.fromkeys(tuple(row[key] for key in keys) for row in timed):
        layers = [row for row in timed if tuple(row[key] for key in keys) == place]
        seconds = [sum(row["count"] * row["seconds"][side] for row in layers) for side in (0, 1)]
        found = {"row": "all layers", "value": seconds[0] / seconds[1], "seconds": seconds}
        yield {**dict(zip(keys, place, strict=True)), **found}


def document(about: dict[str, str], rows: list[Row]) -> Iterator[str]:
    """Markdown: a table a part, with a row a layer and a column a measurement."""
    with_what = ", ".join([about["cpu"], *(f"{name} {value}" for name, value in about.items() if name != "cpu")])
    yield "# Benchmarks\n"
    yield textwrap.fill(INTRODUCTION, 120)
    yield textwrap.fill(f"Measured by `python -m {PROGRAM}` on {with_what}.", 120)
    for table in dict.fromkeys(row["table"] for row in rows):
        inside = [row for row in rows if row["table"] == table]
        columns = list(dict.fromkeys(_column(row) for row in inside))
        cells = {(row["row"], _column(row)): f"{row['value']:.2f}" for row in inside}
        yield f"\n## {table}\n"
        if table in NOTES:
            yield f"{textwrap.fill(NOTES[table], 120)}\n"
        yield f"| | {' | '.join(columns)} |"
        yield f"|---|{'---:|' * len(columns)}"
        for name in dict.fromkeys(row["row"] for row in inside):
            yield f"| {name} | {' | '.join(cells.get((name, column), '') for column in columns)} |"


def _column(row: Row) -> str:
    return f"{row['column']}, {_threads(row['threads'])}"


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"


def machine() -> dict[str, str]:
    """What the figures were measured on, and with."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        model = next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor()
    packages = ["numpy", *dict.fromkeys(p for peer in peers.PACKAGES for p in peers.PACKAGES[peer])]
    gone = {package for peer in peers.PACKAGES for package in peers.missing(peer)}
    versions = {package: version(package) for package in packages if package not in gone}
    return {"cpu": f"{model} with {os.cpu_count()} cores", "Python": platform.python_version(), **versions}


def main() -> int:
    """Measures what is asked for and prints the tables."""
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--quick", action="store_true", help="fewer layers, batch 1 only, fewer rounds")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default: 1 2)")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}"
    )
    options = parser.parse_args()
    if min(options.threads) < 1:
        parser.error(f"--threads: {min(options.threads)} must be at least 1")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json: there is no directory {options.json.parent}")
    wanted = available([m for m in plan(options.quick) if m.part in options.only])
    if not wanted:
        say("nothing is left to measure")
        return 1
    rows, agreed = measured(wanted, options.threads, QUICK if options.quick else FULL)
    rows += totals(rows)
    about = machine()
    if options.json:
        partial_file = options.json.with_name(f"{options.json.name}.part")
        partial_file.write_text(json.dumps({"machine": about, "rows": rows}, indent=1) + "\n")
        partial_file.replace(options.json)
    for line in document(about, rows):
        print(line)
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
