"""How much of real networks is read, and whether it is right: `python -m benchmarks.models`.

The networks of `models.txt` are built without their weights by the libraries that are installed (timm, torchvision,
segmentation_models_pytorch, ultralytics; their definitions are enough), read with sizes in letters, and run by PyTorch
on tensors without data at the sizes below: whether they run, and the shape of what every module makes, must be as
derived. Each has a process of its own. A network is whole where every layer has a shape in letters and the set of
accepted sizes is known.

Exit status: 0 measured; 1 something is wrong; 2 bad usage.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import autograd

LISTED = Path(__file__).with_name("models.txt")
LIMIT = 120
"""Seconds that one network may take, with all its runs."""

SIZES = (
    *((224, 224), (224, 256), (225, 224), (223, 227), (32, 32), (64, 48), (96, 96), (33, 65), (1, 1), (17, 64)),
    *((40, 40), (128, 160), (299, 299), (200, 300), (7, 7), (63, 63), (75, 75), (100, 99), (256, 128), (31, 200)),
    (320, 384),
)
"""Heights and widths at which networks are run."""

Found = dict[str, Any]


# --- one network ------------------------------------------------------------------------------------------------------


def built(library: str, name: str) -> Any:
    """A network in evaluation, without data where its library can do that."""
    import torch

    kept = None if hasattr(torch.ops.torchvision, "nms") else torch.library.Library("torchvision", "DEF")
    for op in ("nms", "qnms") if kept else ():  # of torchvision the definitions may be there alone
        kept.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    with nullcontext() if library == "ultralytics" or "regnet_" in name else torch.device("meta"):
        return _built(library, name).eval()


def _built(library: str, name: str) -> Any:
    if library == "timm":
        import timm

        return timm.create_model(name, pretrained=False)
    if library == "torchvision":
        from torchvision import models

        backbone = {"weights_backbone": None} if name.startswith(("deeplab", "fcn", "lraspp")) else {}
        return models.get_model(name, weights=None, **backbone)
    if library == "segmentation_models_pytorch":
        import segmentation_models_pytorch as segmentation

        architecture, encoder = name.split("+")
        return getattr(segmentation, architecture)(encoder, encoder_weights=None, classes=3)
    from ultralytics.nn import tasks

    document = tasks.yaml_model_load(f"{name}.yaml")
    kinds = {"detect": "Detection", "segment": "Segmentation", "pose": "Pose", "classify": "Classification"}
    kind = kinds.get(tasks.guess_model_task(document), "OBB")
    return getattr(tasks, f"{kind}Model")(document, verbose=False)


def examined(library: str, name: str) -> Found:
    """What is found out about one network, and what of it is wrong."""
    from convproof.importers.torch import load
    from convproof.symbolic import analyze

    module = built(library, name)
    start = time.perf_counter()
    read = load(module)
    found = analyze(
        read.network, read.parameters, False, read.undecided, read.cases, stored=read.stored, taken=read.taken
    )
    seconds = time.perf_counter() - start
    learned = sum(each.numel() for each in module.parameters())
    unknown = [row.name for row in found.rows if row.output is None]
    sizes = [each for each in found.undecided if not each.startswith("receptive field")]
    reasons = [note for note in read.notes.values() if "not understood" in note] or sizes or unknown
    known = found.accepted.boxes is not None or bool(found.requires)
    wrong, compared = [], 0
    for h, w in SIZES:
        for right, what in _differences(module, read, found, h, w):
            compared += 1
            wrong += [] if right else [what]
    return {
        "seconds": seconds,
        "layers": len(found.rows),
        "whole": not unknown and known and not sizes,
        "why": str(reasons[0]) if reasons else "",
        "parameters": found.totals.params == learned,
        "field": all(row.receptive_field is not None for row in found.rows),
        "compared": compared,
        "wrong": wrong[:5],
        "wrongs": len(wrong),
    }


def _differences(module: Any, read: Any, found: Any, h: int, w: int) -> Iterator[tuple[bool, str]]:
    """What is compared at one size: whether it is right, and what it is."""
    from convproof.architecture import Condition, Input
    from convproof.symbolic.shapes import infer

    channels = read.network.image.channels
    channels = channels if isinstance(channels, int) else 3
    shapes = _run(module, channels, h, w)
    if found.accepted.boxes is not None and found.accepted.unknowns == ("H", "W"):
        yield ({"H": h, "W": w} in found.accepted) == (shapes is not None), f"accepts {h}x{w}"
    if shapes is None:
        return
    for network in (read.network, *read.cases):
        made = infer(network, Input(channels, (h, w)))
        if not any(isinstance(node.layer, Condition) and node.name in made.refused for node in network):
            break
    for name, shape in shapes.items():
        if name in made.shapes and len(shape) > 1 and shape[0] == 1:
            right = tuple(made.shapes[name]) in (shape[1:], shape)  # windows may be more than one for an image
            yield right, f"{name} at {h}x{w}: {made.shapes[name]} for {shape[1:]}"


def _run(module: Any, channels: int, h: int, w: int) -> dict[str, tuple[int, ...]] | None:
    """The shapes of what the modules that run once make, by their paths; None where the network does not run."""
    import torch

    shapes: dict[str, list[tuple[int, ...]]] = {}

    def noted(path: str) -> Any:
        def hook(module: Any, given: Any, made: Any) -> None:
            if isinstance(made, torch.Tensor):
                shapes.setdefault(path, []).append(tuple(made.shape))

        return hook

    hooks = [each.register_forward_hook(noted(path)) for path, each in module.named_modules()]
    try:
        with torch.no_grad():
            module(torch.empty(1, channels, h, w, device=next(module.parameters()).device))
    except Exception:  # whatever a network raises, it does not take the size
        return None
    finally:
        for each in hooks:
            each.remove()
    return {path: made[0] for path, made in shapes.items() if len(made) == 1}


# --- all of them ------------------------------------------------------------------------------------------------------


def listed(only: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """(library, group, name) of the networks of the libraries that are installed."""
    lines = [line.split() for line in LISTED.read_text().splitlines()]
    there = {library: find_spec(library) is not None for library, _, _ in lines}
    named = ((library, group, name) for library, group, name in lines if there[library])
    return [each for each in named if not only or any(word in "/".join(each) for word in only)]


def in_a_process(library: str, name: str) -> Found:
    """The same in a process of its own, which may take its time."""
    command = [sys.executable, "-m", "benchmarks.models", "--one", library, name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {"failed": f"takes more than {LIMIT} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["died"])[-1]}
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def table(results: Sequence[tuple[tuple[str, str, str], Found]]) -> list[str]:
    """What was found, a row for each library and group."""
    lines = [
        "| library | networks | whole | same parameters | with fields | layers | compared | wrong | median | longest |",
        "|---|" + 9 * "---:|",
    ]
    groups = dict.fromkeys((library, group) for (library, group, _), _ in results)
    for library, group in groups:
        own = [found for (one, other, _), found in results if (one, other) == (library, group)]
        read = [each for each in own if "failed" not in each]
        seconds = [each["seconds"] for each in read] or [0]
        sums = {key: sum(each[key] for each in read) for key in ("whole", "parameters", "field", "layers", "compared")}
        wrong = sum(each["wrongs"] for each in read)
        lines.append(
            f"| {library} {_version(library)}, {group} | {len(own)} | {sums['whole']} | {sums['parameters']} | "
            f"{sums['field']} | {sums['layers']:,} | {sums['compared']:,} | {wrong} | "
            f"{statistics.median(seconds):.2f} s | {max(seconds):.1f} s |"
        )
    lines.append("")
    for (library, _, name), found in results:
        if "failed" in found:
            lines.append(f"- {library} {name}: {found['failed']}")
        elif found["wrongs"]:
            lines.append(f"- {library} {name}: WRONG {found['wrongs']} times, as in {'; '.join(found['wrong'])}")
        elif found["seconds"] > 10:
            lines.append(f"- {library} {name}: takes {found['seconds']:.0f} s")
        if "failed" not in found and not found["whole"]:
            lines.append(f"- {library} {name}: {found['why']}")
    return lines


def _version(library: str) -> str:
    try:
        return version(library.replace("_", "-"))
    except PackageNotFoundError:
        return ""


def main() -> int:
    """Examines the networks, and prints the table."""
    about = __doc__.splitlines()[0] if __doc__ else ""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.models", description=about)
    parser.add_argument("only", nargs="*", help="parts of names (timm, attention, resnet50); all where there is none")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--one", nargs=2, metavar=("LIBRARY", "NAME"), help="one network, as JSON")
    given = parser.parse_args()
    if given.one:
        print(json.dumps(examined(*given.one)))
        return 0
    networks = listed(given.only)
    if not networks:
        parser.error("no library with such a network is installed")
    with ThreadPoolExecutor(given.jobs) as pool:
        results = []
        for each, found in zip(networks, pool.map(lambda each: in_a_process(each[0], each[2]), networks), strict=True):
            results.append((each, found))
            print(f"{len(results)} of {len(networks)}: {each[0]} {each[2]}", end="\n", file=sys.stderr, flush=True)
    print("\n".join(table(results)))
    about = autograd.machine()
    print(f"\nMeasured by `python -m benchmarks.models` on {about['cpu']}, Python {about['Python']}.")
    return int(any("failed" in found or found["wrongs"] for _, found in results))


if __name__ == "__main__":
    sys.exit(main())
