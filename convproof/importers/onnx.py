"""ONNX files become Networks.

Only shapes are read: weights stay in the file, data that lie outside of it are never opened, and nothing is run.
Source: the operators of ONNX as its schemas describe them, https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convproof.architecture import Input
from convproof.architecture.fields import is_letter
from convproof.errors import ConvproofError, InputError
from convproof.importers import table
from convproof.importers.calls import Call
from convproof.importers.forward import Forward, Refused, all_cases
from convproof.importers.graph import Imported
from convproof.importers.onnx_folding import decided, folded
from convproof.importers.onnx_operators import RULES
from convproof.importers.onnx_values import OnnxNode, checked_shape, decoded
from convproof.importers.sizes import BATCH
from convproof.importers.values import Constant, Flow, Inexpressible, Value, shown
from convproof.symbolic.shapes import infer

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, ValueInfoProto

MAX_BYTES, MAX_NODES = 2**31, 20_000


def load(
    path: str | os.PathLike[str],
    *,
    output: str | None = None,
    max_bytes: int = MAX_BYTES,
    max_nodes: int = MAX_NODES,
) -> Imported:
    """The network in an ONNX file; its output is the tensor `output`, by default the first that the file names.

    The batch is dropped, and dynamic sizes become letters. What no output needs is there, too, since all of a file
    runs; but a tensor that is no output of the file cuts off what it does not need. Operators that no layer kind
    describes become `Unknown`.
    Raises `InputError`, naming the file and the node, for a file that is no ONNX model or contradicts itself, has
    no image as its only input, or exceeds a limit; and where onnx is not installed.

    >>> load("missing.onnx")
    Traceback (most recent call last):
    convproof.errors.InputError: missing.onnx: there is no such file
    """
    name = shown(os.fspath(path))
    try:
        model = _read(Path(path), max_bytes)
        if len(model.graph.node) > max_nodes:
            raise InputError(f"it has {len(model.graph.node)} nodes; {max_nodes} is the limit")
        return all_cases(lambda path: _Import(model, path), lambda reading: reading.network(output))
    except ConvproofError as error:
        raise InputError(f"{name}: {error}") from None


def _read(path: Path, max_bytes: int) -> ModelProto:
    data = _bytes(path, max_bytes)
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise InputError("ONNX files need the package onnx; pip install 'convproof[onnx]'") from None
    try:
        model: ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise InputError("this is no ONNX file, or a damaged one") from None
    if not model.graph.output:
        raise InputError("this is no ONNX file: there is no graph with an output in it")
    if not all(isinstance(text, str) for text in _texts(model.graph)):  # protobuf leaves what is no UTF-8 as bytes
        raise InputError("this is a damaged ONNX file: a name in it is no text")
    return model


def _bytes(path: Path, max_bytes: int) -> bytes:
    try:
        if not path.is_file():
            raise InputError("there is no such file")
        if (size := path.stat().st_size) > max_bytes:
            raise InputError(f"the file has {size} bytes; {max_bytes} is the limit")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"the file cannot be read: {error.strerror}") from None


def _texts(file: GraphProto) -> Iterator[Any]:
    for node in file.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
    for declared in (*file.initializer, *file.input, *file.output, *file.value_info):
        yield declared.name
    yield from (sparse.values.name for sparse in file.sparse_initializer)


class _Import:
    """One graph on its way to a network."""

    def __init__(self, model: ModelProto, path: Sequence[bool] | None) -> None:
        self.file = model.graph
        self.opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=1)
        self.stored = _stored(self.file)
        self.makers = _makers(self.file, self.stored)
        self.inputs = {each.name: each for each in self.file.input if each.name not in self.stored}
        self.declared = _declared(self.file)
        self.values: dict[str, Value] = {}
        self.uses: dict[str, int] = {}
        """How many nodes read a tensor."""
        self.graph = Forward(self._measured, {}, path)
        self.graph.remedy = "export the model for one size"

    def _measured(self, tensor: str | None) -> tuple[int, ...] | None:
        """The shape that the file tells of a tensor, batch first."""
        shape = self.declared.get(tensor or "", (None,))
        return (
            None if None in shape or not shape else (self.graph.batch_number or 1, *(n for n in shape if n is not None))
        )

    def network(self, output: str | None) -> Imported:
        """The network with a tensor as its output."""
        wanted, outputs = self._output(output), [each.name for each in self.file.output]
        order, roots = self._needed([wanted])
        left: list[NodeProto] = []
        if wanted in outputs:
            order, left = self._along(wanted, roots)
        self._count([*outputs, wanted], order)
        self._place_image(roots, order)
        try:
            for node in order:
                self._translate(node)
        except InputError as error:
            raise Refused(error) if self.graph.taken else error from None
        for node in left:
            self.graph.undecide(_place(node), "it runs, too, and needs another input")
        end = self.values[wanted]
        if isinstance(end, Constant):
            raise InputError(f"the output {shown(wanted)!r} does not depend on the image")
        kept = [name for name in self.graph.nodes if wanted in outputs and name not in self.graph.parts]
        return self._imported(end, kept, outputs)

    def _imported(self, end: Flow, kept: list[str], outputs: list[str]) -> Imported:
        """The network, with the shapes that the file tells where no rule does, and what it tells otherwise."""
        found = self.graph.network(end, kept)
        made = {name: each.layer for name in outputs if isinstance(each := self.values.get(name), Flow)}
        names = {node.name for node in found.network}
        taken = dict[str, tuple[int, ...]]()
        if self.graph.in_numbers:
            known = infer(found.network).shapes
            told = {layer: self._measured(tensor) for layer, tensor in found.tensors.items() if layer in names}
            taken = {layer: shape[1:] for layer, shape in told.items() if shape and layer not in known}
            for layer, shape in told.items():
                if shape and layer in known and known[layer] != shape[1:]:
                    wrong = f"the file says that it makes {shape[1:]}, and contradicts itself: it makes {known[layer]}"
                    self.graph.note(self.graph.flows[layer], wrong)
        notes = {name: text for name, text in self.graph.notes.items() if name in names}
        kept_outputs = {name: layer for name, layer in made.items() if layer in names}
        return replace(found, outputs=kept_outputs, taken=taken, notes=notes)

    def _count(self, wanted: Sequence[str], order: Sequence[NodeProto]) -> None:
        """Counts how many nodes read each tensor, and that the tensors that are wanted are read, too."""
        self.uses |= dict.fromkeys(wanted, 1)
        for node in order:
            for tensor in set(self._reads(node)):
                self.uses[tensor] = self.uses.get(tensor, 0) + 1

    def _along(self, wanted: str, roots: Sequence[str]) -> tuple[list[NodeProto], list[NodeProto]]:
        """All nodes that run on some inputs of the graph, whether an output needs them or not; and those that need
        others, too.
        """
        order, _ = self._needed([wanted, *(name for node in self.file.node for name in node.output if name)])
        other = {name for name in self.inputs if name not in roots}
        left = []
        for node in order:
            if not other.isdisjoint(self._reads(node)):
                other.update(node.output)
                left.append(node)
        return [node for node in order if other.isdisjoint(self._reads(node))], left

    def _output(self, output: str | None) -> str:
        names: list[str] = [each.name for each in self.file.output]
        if output is None:
            return names[0]
        if output not in self.makers and output not in self.inputs:
            raise InputError(f"it has no tensor {shown(output)!r}; its outputs are {', '.join(map(shown, names[:10]))}")
        return output

    def _needed(self, wanted: Sequence[str]) -> tuple[list[NodeProto], list[str]]:
        """The nodes that tensors depend on, each after those that it reads; and the inputs of the graph among them.

        In the order of the file, where that is such an order, as it has to be.
        """
        order: list[int] = []
        roots: dict[str, None] = {}
        begun: set[int] = set()
        done: set[int] = set()
        waiting = [(name, "the output") for name in reversed(wanted)]
        while waiting:
            tensor, reader = waiting[-1]
            number = self.makers.get(tensor)
            if number is not None and number not in begun:
                begun.add(number)
                place = _place(self.file.node[number])
                reads = self._reads(self.file.node[number])
                for read in reads:
                    if (maker := self.makers.get(read)) in begun and maker not in done:
                        raise InputError(f"{place} reads {shown(read)!r}, which is made of what it makes: a circle")
                waiting += [(read, place) for read in reversed(reads)]
                continue
            waiting.pop()
            if number is None:
                self._root(tensor, reader, roots)
            elif number not in done:
                done.add(number)
                order.append(number)
        makers = (
            (number, self.makers.get(read, -1)) for number in order for read in self._reads(self.file.node[number])
        )
        if all(maker < number for number, maker in makers):
            order.sort()
        return [self.file.node[number] for number in order], list(roots)

    def _reads(self, node: NodeProto) -> list[str]:
        return [*(name for name in node.input if name), *self._outer(node)]

    def _root(self, tensor: str, reader: str, roots: dict[str, None]) -> None:
        if tensor in self.inputs:
            roots[tensor] = None
        elif tensor not in self.stored:
            raise InputError(f"{reader} reads {shown(tensor)!r}, which nothing makes")

    def _outer(self, node: NodeProto) -> list[str]:
        """The tensors of this graph that the graphs inside a node read."""
        graphs = [g for each in node.attribute for g in (*each.graphs, *([each.g] if each.HasField("g") else []))]
        found: dict[str, None] = {}
        while graphs:
            inner = graphs.pop()
            for each in inner.node:
                found |= dict.fromkeys(each.input)
                graphs += [g for a in each.attribute for g in (*a.graphs, *([a.g] if a.HasField("g") else []))]
            found |= dict.fromkeys(output.name for output in inner.output)
        return [name for name in found if name in self.makers or name in self.stored or name in self.inputs]

    def _place_image(self, roots: list[str], order: list[NodeProto]) -> None:
        """The Input layer, from the first input that is an image, and others beside it."""
        images = [name for name in roots if len(_dims(self.inputs[name])) in (3, 4, 5)]
        if not images:
            listed = ", ".join(f"{shown(name)} with {len(_dims(self.inputs[name]))} axes" for name in roots[:10])
            raise InputError(
                f"it needs an input that is an image with 3 to 5 axes (N, C, H, W); it has {listed or 'none'}"
            )
        name, *more = [each.name for each in self.file.input if each.name in images]
        dims = _dims(self.inputs[name])
        readers = [node for node in order if name in self._reads(node)]
        last = len(dims) - 1
        to_front = [0, last, *range(1, last)]
        is_last = any(each.op_type == "Transpose" and _perm(each) == to_front for each in readers)
        if is_last:
            dims = [dims[axis] for axis in to_front]
        batch, channels, *sizes = _letters(dims)
        try:
            layer = Input(channels, tuple(sizes))
        except ConvproofError as error:
            raise InputError(f"input {shown(name)!r}: {error}") from None
        self.graph.batch_number = batch if isinstance(batch, int) else None
        image = self.graph.image(layer, name)
        self.values[name] = image
        if is_last:
            lying = Call(self.graph, "permute", f"{name}.channels_last", [image, 0, *range(2, last + 1), 1])
            self.values[name] = table.made(lying)
        for number, other in enumerate(more, 2):
            own = _own_letters(_dims(self.inputs[other])[1:], number, dims, [channels, *sizes])
            self.values[other] = self.graph.other_image(other, own[0], own[1:])
        for other in set(roots) - {name, *more}:  # they depend on no image; their values are not looked at
            rows, *rest = [n if isinstance(n, int) and n > 0 else None for n in _dims(self.inputs[other])] or [None]
            first = BATCH if _dims(self.inputs[other])[:1] == [_dims(self.inputs[name])[0]] else rows
            self.values[other] = Constant(None if None in (first, *rest) else (first, *rest))

    def _value(self, name: str) -> Value | None:
        if name and name not in self.values:
            self.values[name] = found = self.stored[name]()
            self.graph.stored[name] = found.shape or ()
        return self.values.get(name)

    def _translate(self, node: NodeProto) -> None:
        """What a node makes: a constant, a layer, or a layer that nothing is known about."""
        tensors = [name for name in node.output if name]
        if not tensors:
            return
        try:
            read = [self._value(name) for name in node.input]
            self._made(OnnxNode(node, read, self.opset, self.graph, self.uses), tensors)
        except ConvproofError as error:
            raise InputError(f"{_place(node)}: {error}") from None

    def _made(self, call: OnnxNode, tensors: list[str]) -> None:
        node = call.node
        if node.op_type == "If" and self._chosen(call):
            return
        outer = [self._value(name) for name in self._outer(node)]
        flows = [each for each in (*call.inputs, *outer) if isinstance(each, Flow)]
        made: Any = _layer(call, flows) if flows else folded(call)
        if not flows and made.shape is None:
            made = _of_constants(call)
        if isinstance(made, tuple):
            named = {name: each for name, each in zip(node.output, made, strict=True) if name}
            self.graph.tensors |= {each.layer: name for name, each in named.items() if isinstance(each, Flow)}
            self.values |= named
            return
        self.values[tensors[0]] = made
        if flows:
            why = "no layer kind has a second output"
            self.values |= {name: call.unknown(flows, why, name) for name in tensors[1:] if name in self.uses}
        else:
            self.values |= {name: Constant() for name in tensors[1:]}
            if tensors[0] in made.sources:
                self.graph.stored[tensors[0]] = made.shape or ()

    def _chosen(self, call: OnnxNode) -> bool:
        """Reads the branch that an If takes, where that is known, or is one of several cases of the image's size."""
        asked = call.inputs[0]
        if not isinstance(asked, Constant) or asked.values is None or asked.size != 1:
            return False
        try:
            taken = "then_branch" if decided(call, asked.values.reshape(-1)[0]) else "else_branch"
        except Inexpressible:
            return False
        inner = next((each.g for each in call.node.attribute if each.name == taken), None)
        if inner is None or len(inner.output) != len(call.node.output):
            raise InputError(f"its {taken} is missing, or makes other tensors")
        self.stored |= _stored(inner)
        self._count([each.name for each in inner.output], inner.node)
        for node in inner.node:
            for name in node.input:
                self._known(name, node)
            self._translate(node)
        for name, result in zip(call.node.output, inner.output, strict=True):
            self.values[name] = self._known(result.name, call.node)
        return True

    def _known(self, name: str, reader: NodeProto) -> Any:
        if name and name not in self.values and name not in self.stored:
            raise InputError(f"{_place(reader)} reads {shown(name)!r}, which nothing makes before it")
        return self._value(name)


def _layer(call: OnnxNode, flows: list[Flow]) -> Any:
    rule = RULES.get(call.op) if call.node.domain in _DOMAINS else None
    try:
        if rule is None:
            raise Inexpressible("no layer kind does what it does")
        return rule(call)
    except Inexpressible as reason:
        return call.unknown(flows, str(reason))
    except ConvproofError:
        raise
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return call.unknown(flows, f"its inputs are none that the operator has ({error})")


def _of_constants(call: OnnxNode) -> Any:
    """What is made of constants whose values are not there, as far as shapes say it."""
    rule = RULES.get(call.op) if call.node.domain in _DOMAINS else None
    try:
        return Constant() if rule is None else rule(call)
    except (Inexpressible, ArithmeticError, LookupError, TypeError, ValueError):
        return Constant()


_DOMAINS = ("", "ai.onnx", "com.microsoft")


def _place(node: NodeProto) -> str:
    name = node.name or next((each for each in node.output if each), "")
    return f"node {shown(name)!r} ({shown(node.op_type)})"


def _stored(file: GraphProto) -> dict[str, Callable[[], Constant]]:
    """The stored tensors, decoded when they are asked for."""
    found: dict[str, Callable[[], Constant]] = {}
    for each in file.initializer:
        found[each.name] = partial(decoded, each, each.name)
    for sparse in file.sparse_initializer:
        name = sparse.values.name
        found[name] = partial(_sparse, sparse)
    if len(found) != len(file.initializer) + len(file.sparse_initializer):
        raise InputError("two stored tensors have the same name")
    return found


def _sparse(tensor: SparseTensorProto) -> Constant:
    name = tensor.values.name
    return Constant(checked_shape(tensor.dims, name), None, (name,))


def _makers(file: GraphProto, stored: Mapping[str, Any]) -> dict[str, int]:
    """The number of the node that makes each tensor."""
    found: dict[str, int] = {}
    taken = {*stored, *(each.name for each in file.input)}
    for number, node in enumerate(file.node):
        for name in node.output:
            if name in found or name in taken:
                raise InputError(f"{_place(node)} makes {shown(name)!r}, which is there already")
            if name:
                found[name] = number
    return found


def _dims(declared: ValueInfoProto) -> list[Any]:
    """The declared shape: numbers, names, or None where nothing is said; [] where no shape is declared."""
    return [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value != -1 else dim.dim_param or None
        for dim in declared.type.tensor_type.shape.dim
    ]


def _declared(file: GraphProto) -> dict[str, tuple[int | None, ...]]:
    """The shapes of activations that the file tells, without the batch."""
    return {
        each.name: tuple(n if isinstance(n, int) and n > 0 else None for n in _dims(each)[1:])
        for each in (*file.value_info, *file.output)
    }


def _letters(dims: list[Any]) -> list[Any]:
    """(batch, channels, *sizes): numbers as they are, letters for what is open, the file's own where it has some."""
    usual = ["N", "C", *("D", "H", "W")[5 - len(dims) :]]
    own = [n if isinstance(n, str) and is_letter(n) and n[0] not in "Pp" and len(n) <= 20 else None for n in dims]
    found = []
    for dim, name, other in zip(dims, own, usual, strict=True):
        while name is None and other in own:
            other += "_"
        found.append(dim if isinstance(dim, int) else name or other)
    return found


def _own_letters(dims: list[Any], number: int, of_first: list[Any], taken: list[Any]) -> list[Any]:
    """[channels, *sizes] of another image: letters of the file, which it may share with the first, or of its own."""
    found = []
    for dim, own in zip(dims, ["C", *("D", "H", "W")[4 - len(dims) :]], strict=True):
        letter = dim if isinstance(dim, str) and is_letter(dim) and len(dim) <= 20 else f"{own}{number}"
        while letter in taken and letter not in of_first:  # the first has it for what the file does not name
            letter += "_"
        found.append(dim if isinstance(dim, int) else letter)
    return found


def _perm(node: NodeProto) -> list[int]:
    return [n for each in node.attribute if each.name == "perm" for n in each.ints]
