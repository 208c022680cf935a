"""How long analyzing whole networks in letters takes, beside what else infers sizes: `python -m benchmarks.symbolic`.

Each comparison has a process of its own, takes turns (A B A B), and first checks that both sides find the same sizes.

Exit status: 0 measured; 1 sizes differ, or a process died; 2 bad usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import chdir
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import autograd, measuring, peers
from benchmarks.measuring import Disagreement, Effort, Found
from convproof.architecture import Add, BatchNorm, Conv, GlobalPool, Input, Layer, Linear, MaxPool, Network, ReLU
from convproof.architecture.notation import network
from convproof.architecture.zoo import CLASSICS
from convproof.symbolic import analyze, output_shapes, size

PROGRAM = "benchmarks.symbolic"
FULL, QUICK = Effort(rounds=7, seconds=60), Effort(rounds=3, seconds=3)
LETTERS = ("H", "W")
NUMBERS = ((224, 224), (256, 256), (193, 330))
"""The sizes (H, W) of images at which both sides must agree."""

RESNET = network(CLASSICS["resnet152"], Input(3, LETTERS))
CHAIN, LENGTHS = "INPUT[WxWx3] -> [CONV3-8 -> RELU]*{}", (1_250, 2_500, 5_000, 10_000)
LIMITS = {"ResNet-152": 0.1, "10,000 layers": 2.0, "10,000 layers, parsed from text": 2.0}
"""Seconds that an analysis may take."""

ALONE = "convproof alone"
BESIDE_TEXT = """ResNet-152 on images of H x W. convproof finds sizes, parameters, multiply-adds and receptive fields of
all layers, and which H and which W fit, with and without remainder; the others find sizes. Medians of turns in one
process, warm, after a check that both find the same sizes of all layers at {numbers}. Above 1, convproof takes less.
The last column counts the layers, with the input, to which the peer gives a size in H and W, not a number or an
unknown; convproof does so to {layers}."""
ALONE_TEXT = """All that convproof finds above, in letters, warm. The 10,000 layers are `{chain}`. From 1,250 to 10,000
of them, without parsing, the time grows with an exponent of {exponent:.2f}: 1 is in proportion."""

Sizes = dict[str, tuple[Any, ...]]
"""(C, H, W) of every layer's output, or (units,)."""
Side = tuple[Callable[[], Any], Callable[[Any, Any], Sizes], bool]
"""What is timed; the sizes that it finds for images of H x W; whether these may be letters."""


# --- the networks -----------------------------------------------------------------------------------------------------


def sizes_at(h: int, w: int, net: Network) -> Sizes:
    """The sizes that convproof finds in letters, with numbers for the letters."""
    numbers, shapes = dict(zip(map(size, LETTERS), (h, w), strict=True)), output_shapes(net).items()
    return {name: tuple(s if isinstance(s, int) else int(s.xreplace(numbers)) for s in shape) for name, shape in shapes}


def in_letters(sizes: Sizes) -> int:
    """How many layers have a size in both letters."""
    return sum(all(letter in str(shape[1:]) for letter in LETTERS) for shape in sizes.values())


def parameters(net: Network) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of stored parameters, {layer: {field: shape}}, in ONNX's order; for the kinds that a ResNet has."""
    shapes, found = output_shapes(net), {}
    for node in net.nodes[1:]:
        channels: int = shapes[node.operands[0]][0]
        own: dict[str, tuple[int, ...]] = {}
        match node.layer:
            case Conv(out_channels=units, kernel_size=k):
                own = {"weight": (units, channels, k, k)}
            case Linear(out_features=units):
                own = {"weight": (units, channels), "bias": (units,)}
            case BatchNorm():
                own = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (channels,))
        found[node.name] = own
    return found


def values(net: Network, rule: Callable[[Layer, list[Any], Any], Any], held: Any, x: Any) -> dict[str, Any]:
    """What each layer makes of x, by a rule that takes the layer, its operands and its parameters."""
    found = {net.input.name: x}
    for node in net.nodes[1:]:
        found[node.name] = rule(node.layer, [found[name] for name in node.operands], held[node.name])
    return found


# --- the peers --------------------------------------------------------------------------------------------------------


def _torch_module(net: Network) -> Any:
    """The network with its parameters on the meta device."""
    from torch import empty, nn

    rule = partial(peers._torch_layer, nn.functional, in_place=False)
    held = {
        layer: nn.ParameterDict({field: empty(shape, device="meta") for field, shape in own.items()})
        for layer, own in parameters(net).items()
    }

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.held = nn.ModuleDict(held)

        def forward(self, x: Any, every: bool = False) -> Any:
            found = values(net, rule, self.held, x)
            return found if every else found[net.output.name]

    return Module().eval().requires_grad_(False)


def torch_meta(net: Network) -> Side:
    """A forward pass without data, on an image of one size."""
    import torch

    module, image = _torch_module(net), partial(torch.empty, device="meta")

    def sizes(h: int, w: int) -> Sizes:
        return {name: tuple(y.shape[1:]) for name, y in module(image(1, 3, h, w), every=True).items()}

    return partial(module, image(1, 3, 224, 224)), sizes, False


def torch_export(net: Network) -> Side:
    """Tracing on an image of which H and W are dynamic; each layer becomes a call, beside one that flattens."""
    import torch

    free, image = torch.export.Dim.DYNAMIC, torch.empty(1, 3, 224, 224, device="meta")
    run = partial(torch.export.export, _torch_module(net), (image,), dynamic_shapes=({2: free, 3: free},))
    program = run()

    def sizes(h: int | str, w: int | str) -> Sizes:
        calls = [n for n in program.graph.nodes if n.name == "x" or n.op == "call_function"]
        made = [n.meta["val"] for n in calls if n.target is not torch.ops.aten.flatten.using_ints]
        shapes: list[Any] = [y.shape[1:] for y in made if isinstance(y, torch.Tensor)]
        chosen = {s.node.expr: size(n) for s, n in zip(shapes[0][1:], (h, w), strict=True)}
        found = (tuple(s if isinstance(s, int) else s.node.expr.xreplace(chosen) for s in shape) for shape in shapes)
        return dict(zip((node.name for node in net), found, strict=True))

    return run, sizes, True


def onnx_inference(function: str, net: Network) -> Side:
    """A function that adds the sizes to an ONNX model."""
    infer = resolve_name(function)

    def sizes(h: int | str, w: int | str) -> Sizes:
        graph = infer(_onnx_model(net, h, w)).graph
        dims = {v.name: v.type.tensor_type.shape.dim for v in (*graph.input, *graph.value_info, *graph.output)}
        return {node.name: tuple(d.dim_param or d.dim_value for d in dims[node.name])[1:] for node in net}

    return partial(infer, _onnx_model(net, *LETTERS)), sizes, True


def _onnx_model(net: Network, h: int | str, w: int | str) -> Any:
    """The network as a model; its parameters are inputs, so that it holds no data."""
    from onnx import TensorProto, helper

    nodes, stored = [], parameters(net)
    inputs: dict[str, tuple[int | str, ...]] = {net.input.name: (1, 3, h, w)}
    for node in net.nodes[1:]:
        own = {f"{node.name}.{field}": shape for field, shape in stored[node.name].items()}
        inputs.update(own)
        operands = node.operands
        if isinstance(node.layer, Linear):
            nodes.append(helper.make_node("Flatten", operands, ["flat"]))
            operands = ("flat",)
        op, attributes = ("Add", {}) if isinstance(node.layer, Add) else peers._operator(node.layer)
        nodes.append(helper.make_node(op, [*operands, *own], [node.name], **attributes))
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    output = helper.make_tensor_value_info(net.output.name, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", given, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def jax_polymorphism(net: Network) -> Side:
    """Abstract evaluation with symbolic dimensions."""
    import jax
    from jax import lax
    from jax.export import symbolic_shape

    def normalized(x: Any, eps: float, weight: Any, bias: Any, running_mean: Any, running_var: Any) -> Any:
        return (x - running_mean) * lax.rsqrt(running_var + eps) * weight + bias

    def pooled(x: Any, k: int, s: int, p: int) -> Any:
        return lax.reduce_window(x, -np.inf, lax.max, (1, 1, k, k), (1, 1, s, s), ((0, 0), (0, 0), (p, p), (p, p)))

    rules: dict[type, Callable[..., Any]] = {
        Conv: lambda l, own, x: lax.conv_general_dilated(x, own["weight"], [l.stride] * 2, [(l.padding,) * 2] * 2),
        BatchNorm: lambda l, own, x: normalized(x, l.eps, **{f: p[:, None, None] for f, p in own.items()}),
        MaxPool: lambda l, own, x: pooled(x, l.kernel_size, l.stride, l.padding),
        ReLU: lambda l, own, x: jax.nn.relu(x),
        Add: lambda l, own, x, y: x + y,
        GlobalPool: lambda l, own, x: x.mean((2, 3), keepdims=True),
        Linear: lambda l, own, x: x.reshape(1, -1) @ own["weight"].T + own["bias"],
    }

    def typed(shape: tuple[Any, ...]) -> Any:
        return jax.ShapeDtypeStruct(shape, "float32")

    held = {layer: {field: typed(shape) for field, shape in own.items()} for layer, own in parameters(net).items()}
    rule = partial(values, net, lambda layer, operands, own: rules[type(layer)](layer, own, *operands))

    def sizes(h: int | str, w: int | str) -> Sizes:
        made = jax.eval_shape(rule, held, typed((1, 3, *symbolic_shape(f"{h}, {w}"))))
        return {name: y.shape[1:] for name, y in made.items()}

    return partial(sizes, *LETTERS), sizes, True


PEERS: dict[str, tuple[tuple[str, ...], Callable[[Network], Side]]] = {
    "torch, forward on the meta device, 224x224": (("torch",), torch_meta),
    "torch.export, H and W dynamic": (("torch",), torch_export),
    "onnx.shape_inference": (("onnx",), partial(onnx_inference, "onnx.shape_inference:infer_shapes")),
    "onnxruntime, SymbolicShapeInference": (
        ("onnx", "onnxruntime"),
        partial(onnx_inference, "onnxruntime.tools.symbolic_shape_infer:SymbolicShapeInference.infer_shapes"),
    ),
    "JAX, shape polymorphism": (("jax",), jax_polymorphism),
}
"""The packages that each peer needs, and what makes it."""


# --- measuring --------------------------------------------------------------------------------------------------------


def beside(peer: str, effort: Effort) -> Found:
    """The peer's time as a multiple of convproof's, or how it fails; raises `Disagreement` where sizes differ."""
    with TemporaryDirectory() as place, chdir(place):  # one that fails may leave a file
        try:
            run, sizes, letters = PEERS[peer][1](RESNET)
            found = {image: sizes(*image) for image in NUMBERS}
            layers = in_letters(sizes(*LETTERS)) if letters else 0
        except Exception as error:  # whatever it is, it is the finding
            return {"failed": f"{type(error).__name__}: {error}".splitlines()[0][:90]}
        for image in NUMBERS:
            for layer, ours in sizes_at(*image, RESNET).items():
                if (theirs := found[image].get(layer)) != ours:
                    raise Disagreement(f"{layer} at {image}: {ours} for convproof, {theirs} for the peer")
        sides: list[Any] = [partial(analyze, RESNET), run]
        seconds = measuring.medians(sides, effort)
    return {"value": seconds[1] / seconds[0], "seconds": seconds, "layers": layers}


def alone(effort: Effort) -> Found:
    """The exponent of convproof's time in the number of layers, and the seconds of what has a limit."""
    texts = [CHAIN.format(length // 2) for length in LENGTHS]
    nets = [RESNET, *map(network, texts)]
    runs: list[Any] = [*(partial(analyze, net) for net in nets), lambda: analyze(network(texts[-1]))]
    whole, *growing, parsed = measuring.medians(runs, effort)
    slope, _ = np.polyfit(np.log(LENGTHS), np.log(growing), 1)
    limited = dict(zip(LIMITS, (whole, growing[-1], parsed), strict=True))
    return {"value": float(slope), "seconds": growing, "limited": limited}


# --- the tables -------------------------------------------------------------------------------------------------------


def document(about: dict[str, str], rows: dict[str, Found]) -> Iterator[str]:
    """Markdown: a table of the peers, and one of convproof alone."""
    with_what = ", ".join([about["cpu"], *(f"{name} {value}" for name, value in about.items() if name != "cpu")])
    yield textwrap.fill(f"Measured by `python -m {PROGRAM}` on {with_what}.", 120)
    numbers = ", ".join(f"{h}x{w}" for h, w in NUMBERS)
    text = BESIDE_TEXT.format(numbers=numbers, layers=in_letters(output_shapes(RESNET)))
    yield f"\n## Analysis in letters, beside others\n\n{textwrap.fill(text, 120)}\n"
    yield "| | convproof, ms | peer, ms | peer / convproof | layers with a size in H and W |"
    yield "|---|---:|---:|---:|---:|"
    yield from (f"| {name} | {' | '.join(_cells(found))} |" for name, found in rows.items() if name != ALONE)
    text = ALONE_TEXT.format(chain=CHAIN.format(LENGTHS[-1] // 2), exponent=rows[ALONE]["value"])
    yield f"\n## Analysis in letters, beside its limits\n\n{textwrap.fill(text, 120)}\n"
    yield "| | time | limit |\n|---|---:|---:|"
    spent = rows[ALONE]["limited"]
    yield from (f"| {name} | {_time(spent[name])} | {_time(limit)} |" for name, limit in LIMITS.items())


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.2 else f"{1e3 * seconds:.0f} ms"


def _cells(found: Found) -> list[str]:
    """A peer's row."""
    if "failed" in found:
        return ["", found["failed"].replace("|", "/"), "", ""]
    return [*(f"{1e3 * spent:,.1f}" for spent in found["seconds"]), f"{found['value']:.2f}", str(found["layers"])]


def main() -> int:
    """Measures, and prints the tables."""
    parser = argparse.ArgumentParser(prog=f"python -m {PROGRAM}", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args()
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json: there is no directory {options.json.parent}")
    effort = QUICK if options.quick else FULL
    packages = list(dict.fromkeys(package for needed, _ in PEERS.values() for package in needed))
    absent = [package for package in packages if find_spec(package) is None]
    wanted = {ALONE: partial(alone, effort)}
    wanted |= {peer: partial(beside, peer, effort) for peer, (needed, _) in PEERS.items() if not {*needed} & {*absent}}
    if absent:
        say(f"left out, for want of {', '.join(absent)}: {'; '.join(peer for peer in PEERS if peer not in wanted)}")
    rows: dict[str, Found] = {}
    with autograd.progress(len(wanted)) as tell:
        for name, call in wanted.items():
            try:
                rows[name] = measuring.in_process(call)
            except Disagreement as error:
                say(f"{name} is left out: {error}")
            except BrokenProcessPool:
                sys.exit(f"{PROGRAM}: {name}: the process died; is there enough memory?")
            tell(name)
    machine = autograd.machine()
    about = {"cpu": machine["cpu"], "Python": machine["Python"]}
    about |= {package: version(package) for package in ("sympy", *packages) if package not in absent}
    if options.json:
        partial_file = options.json.with_name(f"{options.json.name}.part")
        content = {"machine": about, "rows": [{"row": name, **found} for name, found in rows.items()]}
        partial_file.write_text(json.dumps(content, indent=1) + "\n")
        partial_file.replace(options.json)
    print(*document(about, rows), sep="\n")
    return 0 if len(rows) == len(wanted) else 1


def say(message: str) -> None:
    """A line on standard error."""
    print(f"{PROGRAM}: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
