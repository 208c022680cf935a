"""PyTorch modules become Networks.

torch.fx runs the module's forward once on proxies, which record what is done with the image; rules say which layers
that is. Nothing is computed: parameters are only asked for their shapes, and where a size must be known as a number
behind what no rule describes, torch is asked for it on tensors that hold no data.
Source: the modules and functions of torch.nn, https://docs.pytorch.org/docs/stable/nn.html.
"""

from __future__ import annotations

import builtins
import inspect
import logging
import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from convproof.architecture import layers
from convproof.architecture.amounts import Amount
from convproof.errors import ConvproofError, InputError
from convproof.importers import table
from convproof.importers.calls import Call
from convproof.importers.forward import IMAGE, Forward, Refused, all_cases
from convproof.importers.graph import Imported
from convproof.importers.reshapes import SIZES
from convproof.importers.sizes import OPERATORS, combine, is_formula, minus, rounded
from convproof.importers.tensors import MADE
from convproof.importers.torch_aten import batch_of, module_of
from convproof.importers.torch_tracing import extremes, is_raised, seen_through, tracer
from convproof.importers.values import Comparison, Computed, Constant, Flow, Inexpressible, SizeNeeded, leaves, shown
from convproof.symbolic.shapes import infer

_STRIDED = (
    "T", "as_strided", "chunk", "diagonal", "expand", "expand_as", "flip", "mT", "movedim", "moveaxis", "narrow",
    "permute", "select", "split", "swapaxes", "swapdims", "t", "tensor_split", "transpose", "unbind", "unfold",
)  # fmt: skip
"""Functions whose results need not be contiguous; so are slices."""

_PARTS = ("chunk", "split")
"""Those that take parts along an axis, by their second argument."""

_VIEWS = (
    *_STRIDED,
    "contiguous",
    "detach",
    "flatten",
    "getitem",
    "reshape",
    "squeeze",
    "unflatten",
    "unsqueeze",
    "view",
)
"""Functions whose results may share their elements with what they read."""

_CONTIGUOUS = re.compile(
    "(?i)contiguous|linear|matmul|bmm|cat|concat|concatenate|stack|(lazy)?conv(_?transpose)?[123]d"
)
"""What makes tensors that are contiguous, whatever it reads."""

_ROUNDED = (math.floor, math.ceil)
_IN_PLACE = {
    operator.iadd: operator.add,
    operator.isub: operator.sub,
    operator.imul: operator.mul,
    operator.itruediv: operator.truediv,
    operator.ifloordiv: operator.floordiv,
}
"""What `x += y` and its like do, where x is changed if it is a tensor."""

_EXTREMES = {"sym_max": max, "sym_min": min}
"""What exported programs call for the larger of two sizes."""

_COMPARISONS = (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge)


def load(
    module: Any,
    input_shape: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
    *,
    output: str | None = None,
    training: bool = False,
) -> Imported:
    """The network that a `torch.nn.Module` is in evaluation, or in training, or a `torch.export.ExportedProgram`; its
    output is the tensor `output`, by default the first.

    `input_shape` is (C, H, W), or has one or three sizes, in numbers or letters, without the batch. Left out, the first
    convolution says how many channels and axes there are, and the sizes are letters. A forward that reads several
    images is given a shape for each by its name there, in which the letters of the first image are its sizes. Layers
    are named as the modules are; those whose results are not returned are there too, since what they demand is
    demanded. What no layer kind describes becomes `Unknown`. Where a forward decides by a size, `cases` has what it is
    at others; where it does so too often, it is read at the given size alone, or up to there. Raises `InputError`,
    naming the place, for a forward that cannot be traced or needs an input that is not told, for numbers of axes that
    contradict each other, and where torch is not installed.

    >>> load("resnet18")
    Traceback (most recent call last):
    convproof.errors.InputError: a str is no torch.nn.Module
    """
    module = getattr(module, "_orig_mod", module)  # what torch.compile wraps
    kinds = {(kind.__module__, kind.__name__) for kind in type(module).__mro__}
    if ("torch.export.exported_program", "ExportedProgram") in kinds:
        import torch

        module = module_of(torch, module)
    elif ("torch.nn.modules.module", "Module") not in kinds:
        raise InputError(f"a {type(module).__name__} is no torch.nn.Module")
    try:
        import torch.fx
    except ImportError:
        raise InputError("torch modules need the package torch; pip install 'convproof[torch]'") from None
    try:
        with seen_through(torch) as some:
            return _cases(torch, module, input_shape, output, training)
    except ConvproofError as error:
        told = InputError(f"{type(module).__name__}: {error}")
    if some:  # one of them may do what cannot be followed
        with suppress(ConvproofError):
            return _cases(torch, module, input_shape, output, training)
    raise told from None


def _cases(torch: Any, module: Any, input_shape: Any, output: str | None, training: bool) -> Imported:
    """The network, with what it is in other cases."""

    def read(reading: _Import) -> Imported:
        with _left_alone(module, training):
            return reading.network(output)

    return all_cases(lambda path: _Import(torch, module, input_shape, path), read)


@contextmanager
def _left_alone(module: Any, mode: bool) -> Iterator[None]:
    """The module in evaluation, or in training; afterwards all is as it was, also what a forward keeps for itself."""
    before = [(each, each.training, dict(each.__dict__)) for each in module.modules()]
    caches = [(kept, dict(kept)) for _, _, own in before for kept in own.values() if type(kept) is dict]
    try:
        for each, _, _ in before:
            each.training = mode
        yield
    finally:
        for kept, held in caches:
            kept.clear()
            kept.update(held)
        for each, training, attributes in before:
            for added in each.__dict__.keys() - attributes.keys():
                del each.__dict__[added]
            each.__dict__.update(attributes)
            each.training = training


class _Undecided(Exception):
    """A forward that decides by a size which has no number: its path in the module, and the reason."""


class _Import:
    """One module on its way to a network: what torch.fx records, and what each recorded node makes."""

    def __init__(self, torch: Any, module: Any, input_shape: Any, path: Sequence[bool] | None) -> None:
        self.torch, self.module = torch, module
        self.shapes = dict(input_shape) if isinstance(input_shape, Mapping) else {IMAGE: input_shape}
        """The shapes of images, without the batch; None where the first is not given."""
        self.images: Sequence[str] = list(self.shapes)
        self.input_shape = None if isinstance(input_shape, Mapping) else input_shape
        self.modules: dict[str, Any] = dict(module.named_modules(remove_duplicate=False))
        self.names = {id(each): name for name, each in module.named_parameters()}
        self._check(isinstance(input_shape, Mapping))
        stored = {self.names[id(each)]: tuple(each.shape) for each in module.parameters()}
        self.graph = Forward(self._measured, stored, path)
        self.graph.batch_number = batch_of(module)
        self.values: dict[Any, Any] = {}
        """What each node makes: a `Flow`, a `Constant`, `Computed`, or Python's values with `Size`s among them."""
        self.strided: set[Any] = set()
        """Nodes whose elements may lie in memory otherwise than in the order of their axes."""
        self.shadows: dict[Any, Any] = {}
        self.fake: Any = None
        self.outputs: dict[str, str] = {}
        """The layers whose results the forward returns, by the names of these."""
        self.denied = False
        """Whether something is asserted that does not hold in this case."""
        self.stopped: Exception | None = None
        """Why the forward cannot be followed further, also where it catches the error."""
        self.tracer: Any = tracer(torch, self)

    def network(self, output: str | None) -> Imported:
        """The network with a tensor as its output."""
        try:
            with extremes(self):
                self.tracer.trace(self.module)
            chosen = self._chosen(output)
        except Exception as error:  # a forward may raise anything
            ours = isinstance(error, ConvproofError | _Undecided)
            theirs = self.stopped is None and not ours and is_raised(error, self.modules.values())
            if self.graph.taken and (self.denied or theirs):
                line = next(iter(str(error).splitlines()), "")
                told = InputError(f"{self._where()} raises {type(error).__name__}: {line}")
                raise Refused(told) from None
            if not ours:
                line = next(iter(str(error).splitlines()), "")
                error = InputError(f"{self._where()} cannot be traced: {type(error).__name__}: {line}")
            self.stopped = self.stopped or error
        if isinstance(self.stopped, _Undecided):
            return self._up_to(*self.stopped.args)
        if self.stopped is not None:
            raise self.stopped
        for node, made in self.values.items():
            unread = isinstance(made, Computed) and not node.users and node.target is not operator.getitem
            if unread and self._op(node) not in SIZES:
                self.graph.undecide(self._op(node), f"what it does was not looked at: {made.why}")
        return self._imported(chosen)

    def _up_to(self, path: str, why: str) -> Imported:
        """The network up to where the forward at a path decides by a size; the rest is one unknown operation."""
        *_, last = (made for made in self.values.values() if isinstance(made, Flow))
        used = {name for names in self.graph.parameters.values() for name in names}
        rest = [name for name in dict.fromkeys(self.names.values()) if name not in used]
        op = layers.Unknown(shown(type(self.modules[path]).__name__))
        made = self.graph.place(path or "forward", op, [last], rest)
        self.graph.note(made, f"not understood: {why}")
        self.graph.undecide(made.layer, why)
        return self._imported(made)

    def _check(self, is_named: bool) -> None:
        if isinstance(self.module, self.torch.jit.ScriptModule):
            raise InputError("a ScriptModule cannot be traced; give the module that it was made from")
        for name, each in self.module.named_parameters():
            if self.torch.nn.parameter.is_lazy(each):
                raise InputError(f"the shape of {name} is not known yet; run the module once before")
        given = list(inspect.signature(self.module.forward).parameters.values())
        needed = [p.name for p in given if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if is_named:
            self.images = [p.name for p in given][: len(self.shapes)]
            if not self.shapes or set(self.shapes) != set(self.images) or not set(needed) <= set(self.images):
                inputs = ", ".join(p.name for p in given)
                raise InputError(f"its forward reads {inputs}; input_shape must have the first of them by these names")
            self.input_shape = self.shapes[self.images[0]]
        elif len(needed) > 1:
            example = ", ".join(f"{name!r}: (3, 'H', 'W')" for name in needed)
            typed = " ".join(f"--input {name}=HxWx3" for name in needed)
            told = f"its forward needs {len(needed)} inputs ({', '.join(needed)})"
            raise InputError(f"{told}; give input_shape={{{example}}}, or {typed}")

    # --- while the module is traced -----------------------------------------------------------------------------------

    def _where(self) -> str:
        """The forward that is being traced, in words."""
        path = self._path
        return f"the forward of {path} ({type(self.modules[path]).__name__})" if path else "its forward"

    @property
    def _path(self) -> str:
        """The path of the module that is being traced."""
        *_, path = "", *(str(path) for path, _ in self.tracer.module_stack.values())
        return path

    def _stopped(self, reason: Inexpressible) -> Exception:
        """Why the forward cannot be followed further."""
        if isinstance(reason, SizeNeeded):
            return _Undecided(self._path, str(reason))
        return InputError(f"{self._where()} cannot be traced: {reason}")

    def decided(self, proxy: Any) -> bool:
        """What a forward decides by, which it must not do otherwise, also where it catches errors."""
        try:
            value = self.value(proxy.node)
            if is_formula(value):
                try:
                    return self.graph.decide(operator.ne, value, 0)
                except Inexpressible as reason:
                    raise self._stopped(reason) from None
            return bool(self.known(proxy))
        except (InputError, _Undecided) as error:
            self.stopped = self.stopped or error
            raise

    def known(self, proxy: Any) -> Any:
        """The value of a proxy that a forward, or torch, asks for. Raises `InputError` where it depends on more than
        sizes.
        """
        try:
            value = self.value(proxy.node)
            if isinstance(value, tuple | list):
                return value
            if isinstance(value, Flow | Constant):
                raise Inexpressible("the values of tensors are not computed")
            return self.graph.resolved(value)
        except Inexpressible as reason:
            raise self._stopped(reason) from None

    def count(self, proxy: Any) -> int:
        """How many parts a proxy has that a forward goes through."""
        value = self.value(proxy.node)
        parts = self._shadowed(proxy.node) if isinstance(value, Flow) else self.known(proxy)
        if not isinstance(parts, tuple | list):
            raise self._stopped(self.graph.missing(f"how many tensors {self._op(proxy.node)} returns"))
        return len(parts)

    def is_leaf(self, module: Any) -> bool:
        """Whether there is a rule for what the module does."""
        return _kind(module) in table.MODULES

    # --- what each node makes -----------------------------------------------------------------------------------------

    def value(self, node: Any) -> Any:
        for each in self.tracer.graph.nodes:
            if each not in self.values:
                self.values[each] = self._translated(each)
        return self.values[node]

    def _translated(self, node: Any) -> Any:
        """What a node makes of the values that are there already."""
        if node.op == "placeholder":
            return self._image() if node.target == self.images[0] else self._other_image(node)
        if node.op == "get_attr":
            return self._stored(node.target)
        args, kwargs = self.torch.fx.node.map_arg((node.args, node.kwargs), self.values.__getitem__)
        if node.op == "output":
            return args[0]
        call = self._call(node, args, kwargs)
        try:
            made = self._made(call, node)
        except Inexpressible as reason:
            return Computed(str(reason), isinstance(reason, SizeNeeded))
        except ConvproofError as error:
            raise InputError(f"{call.place} ({call.op}): {error}") from None
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            why = f"its settings are none that torch knows ({error})"
            made = call.unknown(why) if call.flows else Computed(why)
        self.values[node] = made
        if self._is_strided(node):
            self.strided.add(node)
        if call.in_place and isinstance(made, Flow):
            self._changed(node.all_input_nodes[0], made)
        return made

    def _changed(self, node: Any, made: Flow) -> None:
        """Takes note that the tensor of a node was changed in place, and with it all that share elements with it."""
        for each in self._sharing(node):
            if each is not node and isinstance(old := self.values[each], Flow):
                self.values[each] = table.written(self.graph, old, made, each)
        self.values[node] = made

    def _sharing(self, node: Any) -> list[Any]:
        """The nodes that may share elements with a node: what it is a part of, and all parts of that."""
        while self._is_part([node]) and node.all_input_nodes:
            node = node.all_input_nodes[0]
        found = [node]
        for each in found:
            found += [user for user in each.users if user in self.values and self._is_part([user])]
        return found

    def _call(self, node: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call:
        """What a node does."""
        op = self._op(node)
        module = self.modules[node.target] if node.op == "call_module" else None
        *_, path = "", *(path for path, _ in node.meta.get("nn_module_stack", {}).values())
        place = node.target if module is not None else (f"{path}.{op}" if path else op).rstrip("_")
        call = Call(self.graph, op, place, args, kwargs, module, node, node.name)
        stored = module.parameters() if module is not None else ()
        used = [self.names[id(each)] for each in stored]
        used += [name for each in call.reads(Constant) for name in each.sources] if module is None else []
        call.learned = tuple(dict.fromkeys(used))
        call.known, call.is_method = self._is_torch(node), node.op == "call_method"
        call.is_strided = any(each in self.strided for each in node.all_input_nodes[:1])
        return call

    def _op(self, node: Any) -> str:
        """The name of a node in PyTorch."""
        if node.op == "call_module":
            return _kind(self.modules[node.target])
        if node.target in _IN_PLACE:
            return f"{_IN_PLACE[node.target].__name__}_"
        return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "function")

    def _is_strided(self, node: Any) -> bool:
        """Whether what a node makes may not be contiguous, so that a view of it may fail."""
        op = self._op(node)
        index = node.args[1] if op == "getitem" else ()
        parts = index if isinstance(index, tuple) else (index,)
        cut = [place for place, each in enumerate(parts) if isinstance(each, slice) and each != slice(None)]
        of_channels = op in _PARTS and node.kwargs.get("dim", [*node.args, 0, 0][2]) == 1
        if cut == [1] and parts[1].step in (None, 1) and ... not in parts:
            of_channels = True
        x = self.values.get(node.all_input_nodes[0]) if node.all_input_nodes else None
        if of_channels and isinstance(x, Flow) and self.graph.is_batch_first(x):
            cut, op = [], "parts of one image's channels"  # which are contiguous
        if op in _STRIDED or cut:
            return True
        read = any(each in self.strided for each in node.all_input_nodes)
        return read and not _CONTIGUOUS.fullmatch(op) and not self._is_vector(node, op)

    def _is_vector(self, node: Any, op: str) -> bool:
        """Whether a node lays all values of an image out in one row, which makes them contiguous."""
        made = self.values.get(node)
        shape = made.shape if isinstance(made, Flow) else None
        return op in ("flatten", "reshape") and shape is not None and len(shape) == 2 and self.graph.is_batch(shape[0])

    def _is_torch(self, node: Any) -> bool:
        """Whether a function is the one of torch, or of Python, that the table means by its name."""
        op, torch = self._op(node).rstrip("_") if node.target in _IN_PLACE else self._op(node), self.torch
        target = _IN_PLACE.get(node.target, node.target)
        spaces = [torch.nn.functional, torch._C._nn, operator, builtins]
        if op not in ("adaptive_max_pool1d", "batch_norm"):  # torch's own take others
            spaces += [torch, torch._C._VariableFunctions]
        return node.op == "call_method" or any(getattr(space, op, None) == target for space in spaces)

    def _made(self, call: Call, node: Any) -> Any:
        """What a call makes. Raises `Inexpressible` where it makes no tensor of the image, and is not understood."""
        function = node.target
        if isinstance(function, type) and issubclass(function, tuple):
            return function(*call.args, **call.kwargs)
        if function is getattr and call.args[1] in ("dtype", "device") and call.reads(Flow | Constant):
            return getattr(next(self.module.parameters(), self.torch.empty(())), call.args[1])  # as it is given images
        if function is getattr and isinstance(call.args[0], self.torch.dtype | self.torch.device):
            return getattr(*call.args)
        if function is operator.getitem and isinstance(call.args[0], tuple | list):
            return call.args[0][self.graph.resolved(call.args[1])]
        return table.made(call) if call.flows or call.op in SIZES else self._folded(call, node)

    def _is_part(self, read: Sequence[Any]) -> bool:
        """Whether the first that a node reads is a view of something, or was made by a function that may be one."""
        return bool(read) and read[0].op != "call_module" and self._op(read[0]).rstrip("_") in _VIEWS

    def _folded(self, call: Call, node: Any) -> Any:
        """What a node makes that reads no activation."""
        function, args = _EXTREMES.get(call.op, _IN_PLACE.get(node.target, node.target)), call.args
        if call.op == "_assert":
            return self._asserted(*args, *call.kwargs.values())
        if call.reads(Constant) or (call.op in MADE and call.known):
            found = table.of_constants(call)
            return Constant(self._shape_of_constant(call), None, call.learned) if found is None else found
        if function is operator.add and all(isinstance(each, tuple) for each in args):
            return args[0] + args[1]
        if function in (operator.eq, operator.ne) and (args[0] == args[1] or None in args):
            return (function is operator.eq) is bool(args[0] == args[1])
        if function in _COMPARISONS and all(self.graph.is_size(each) for each in args):
            decided = None if isinstance(args[0], tuple) else self.graph.compared(function, *args)
            return Comparison(function, *args) if decided is None else decided
        if function in OPERATORS and any(map(is_formula, args)):
            if function is operator.mul and not any(isinstance(each, Amount | float) for each in args):
                return self.graph.times(args)
            return combine(OPERATORS[function], *args)
        if function is operator.neg and is_formula(args[0]):
            return minus(0, args[0])
        if function in _ROUNDED and is_formula(args[0]):
            return rounded(function, args[0])
        if getattr(function, "__module__", "") not in ("_operator", "builtins", "math"):
            raise Inexpressible(f"the result of {call.op} is not looked at")
        try:
            return function(*self.graph.resolved(args))
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise Inexpressible(f"{call.op}: {error}") from None

    def _asserted(self, condition: Any, message: Any) -> None:
        """Nothing, where what is asserted is known to hold. Raises `InputError` where it does not."""
        holds = self.graph.resolved(condition)
        if not isinstance(holds, bool):
            raise Inexpressible("it is not known whether it holds")
        if not holds:
            self.denied = bool(self.graph.taken)
            raise InputError(f"this does not hold: {shown(str(message))}")

    def _shape_of_constant(self, call: Call) -> tuple[int, ...] | None:
        """The shape of what is made of constants; where sizes count for that, it is read at the given image."""
        try:
            for each in leaves([call.args, call.kwargs]):
                if is_formula(each) or isinstance(each, Computed):
                    self.graph.resolved(each)
        except Inexpressible:
            return None
        return self._measured(call.source)

    def _image(self) -> Flow:
        """The Input layer."""
        given = ("C", *("D", "H", "W")[3 - self._rank() :]) if self.input_shape is None else self.input_shape
        channels, sizes = _parts_of(given)
        return self.graph.image(layers.Input(channels, sizes), self.images[0])

    def _other_image(self, node: Any) -> Flow:
        """Another image that the forward reads."""
        channels, sizes = _parts_of(self.shapes[node.target])
        layers.Input(channels, sizes)  # which says what is wrong with it
        found = self.graph.other_image(node.target, channels, sizes)
        self.graph.makers[found.layer] = node
        return found

    def _rank(self) -> int:
        """How many spatial axes the first convolution or pool has, as far as it is traced; else the first of all."""
        recorded = (self._op(node) for node in self.tracer.graph.nodes)
        for name in (*recorded, *map(_kind, self.modules.values())):
            found = re.search("(?i)(?:conv|pool).*([123])d$", name)
            if found:
                return int(found[1])
        raise InputError("no convolution says how many axes the image has; give input_shape=(C, H, W)")

    def _stored(self, target: str) -> Any:
        """A parameter, a buffer, or something else that the module keeps."""
        found = self._kept(target)
        if not isinstance(found, self.torch.Tensor):
            return Computed(f"{target} is no tensor")
        learned = self.names.get(id(found))
        return Constant(tuple(found.shape), None, () if learned is None else (learned,))

    def _kept(self, target: str) -> Any:
        path, _, name = target.rpartition(".")
        module = self.modules[path]
        return next(
            (kept[name] for kept in (module._parameters, module._buffers, module.__dict__) if name in kept), None
        )

    def _chosen(self, output: str | None) -> Flow:
        """The tensor that is asked for, of those that the forward returns; or the first of them."""
        found = dict(_named(self.value(next(iter(reversed(self.tracer.graph.nodes))))))
        listed = ", ".join(map(shown, list(found)[:10]))
        if not found:
            raise InputError("what its forward returns does not depend on the image")
        if output is not None and output not in found:
            raise InputError(f"its forward returns no tensor {shown(output)!r}; there are {listed}")
        self.outputs = {name: each.layer for name, each in found.items()}
        return next(iter(found.values())) if output is None else found[output]

    def _imported(self, chosen: Flow) -> Imported:
        """The network, with the shapes that torch makes of the given image where no rule tells them."""
        found = self.graph.imported(chosen)
        names, taken = {node.name for node in found.network}, dict[str, tuple[int, ...]]()
        if self.graph.in_numbers:
            known = infer(found.network).shapes
            made = {name: self._measured(self.graph.makers[name]) for name in self.graph.makers if name not in known}
            taken = {name: shape[1:] for name, shape in made.items() if shape and name in names}
        outputs = {name: layer for name, layer in self.outputs.items() if layer in names}
        return replace(found, stored=self.graph.stored, outputs=outputs, taken=taken)

    # --- sizes as numbers ---------------------------------------------------------------------------------------------

    def _measured(self, node: Any) -> tuple[int, ...] | None:
        """The shape that torch makes of a node on tensors without data; None where it makes none, or the image has
        letters."""
        shape = getattr(self._shadowed(node), "shape", None)
        return None if shape is None else tuple(shape)

    def _shadowed(self, node: Any) -> Any:
        """What a node makes on tensors without data, or None."""
        from torch._subclasses.fake_tensor import FakeTensorMode
        from torch.fx._symbolic_trace import _maybe_revert_all_patches

        self.fake = self.fake or FakeTensorMode(allow_non_fake_inputs=True)
        log = logging.getLogger("torch._subclasses.fake_tensor")  # what does not run there is said by layers
        with _maybe_revert_all_patches(), self.torch.no_grad(), self.fake, _silent(log):
            for each in self.tracer.graph.nodes:
                if each not in self.shadows:
                    self.shadows[each] = self._shadow(each)
                if each is node:
                    break
        return self.shadows[node]

    def _shadow(self, node: Any) -> Any:
        """The same, where it is known for all nodes before."""
        if any(self.shadows[each] is None for each in node.all_input_nodes):
            return None
        args, kwargs = self.torch.fx.node.map_arg((node.args, node.kwargs), self.shadows.__getitem__)
        try:
            if node.op == "placeholder":
                like = next(self.module.parameters(), self.torch.empty(()))
                given = self.shapes[node.target] or ("C",)
                return self.torch.empty(1, *given, dtype=like.dtype, device=like.device)
            if node.op == "get_attr":
                return self.fake.from_tensor(self._kept(node.target))
            if node.op == "call_method":
                return getattr(args[0], node.target)(*args[1:], **kwargs)
            return (self.modules[node.target] if node.op == "call_module" else node.target)(*args, **kwargs)
        except Exception:  # the image has letters, or at its size the module does not run
            return None


def _kind(module: Any) -> str:
    """The class of torch.nn with a rule whose forward the module has; else its own class, by another name."""
    own = type(module)
    hooked = "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks
    kinds: tuple[Any, ...] = () if hooked else own.__mro__
    for kind in kinds:
        same = all(getattr(kind, name, None) is getattr(own, name, None) for name in ("forward", "_conv_forward"))
        if same and kind.__name__ in table.MODULES and kind.__module__.startswith("torch.nn."):
            return str(kind.__name__)
    return f"another {own.__name__}" if own.__name__ in table.MODULES else own.__name__


@contextmanager
def _silent(log: logging.Logger) -> Iterator[None]:
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _parts_of(shape: Any) -> tuple[Any, tuple[Any, ...]]:
    """The channels and the sizes of an image."""
    try:
        channels, *sizes = shape
    except (TypeError, ValueError):
        raise InputError(f"input_shape={shape!r} must be like (C, H, W)") from None
    return channels, tuple(sizes)


def _named(value: Any, name: str = "") -> Iterator[tuple[str, Flow]]:
    """The tensors among what a forward returns, by their keys and places."""
    if isinstance(value, Flow):
        yield name or "0", value
    elif isinstance(value, Mapping | list | tuple):
        if hasattr(value, "_asdict"):
            value = value._asdict()
        for key, each in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _named(each, f"{name}.{key}" if name else str(key))
