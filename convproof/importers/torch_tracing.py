"""How a forward is run on proxies: a tracer that enters modules, and Python's functions of sizes."""

from __future__ import annotations

import builtins
import dis
import math
import operator
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from types import FunctionType
from typing import Any, Protocol

from convproof.importers.forward import Forward
from convproof.importers.sizes import letters_of


class Reading(Protocol):
    """What asks for a forward to be run: a module on its way to a network."""

    torch: Any
    module: Any
    graph: Forward
    tracer: Any
    images: Sequence[str]

    def count(self, proxy: Any) -> int:
        """How many parts a proxy has."""

    def known(self, proxy: Any) -> Any:
        """The value of a proxy."""

    def decided(self, proxy: Any) -> bool:
        """Whether what a forward decides by is true."""

    def is_leaf(self, module: Any) -> bool:
        """Whether there is a rule for what a module does."""

    def value(self, node: Any) -> Any:
        """What a node makes."""


def tracer(torch: Any, of: Reading) -> Any:
    """A tracer that enters all modules without a rule, and whose proxies know sizes."""

    class Proxy(torch.fx.Proxy):  # type: ignore[misc]
        def __getattr__(self, name: str) -> Any:
            if name in ("shape", "ndim"):
                return self.tracer.create_proxy("call_function", getattr, (self, name), {})
            return super().__getattr__(name)

        def __iadd__(self, other: Any) -> Any:
            return self._in_place(operator.iadd, other)

        def __isub__(self, other: Any) -> Any:
            return self._in_place(operator.isub, other)

        def __imul__(self, other: Any) -> Any:
            return self._in_place(operator.imul, other)

        def __itruediv__(self, other: Any) -> Any:
            return self._in_place(operator.itruediv, other)

        def __ifloordiv__(self, other: Any) -> Any:
            return self._in_place(operator.ifloordiv, other)

        def _in_place(self, function: Any, other: Any) -> Any:
            return self.tracer.create_proxy("call_function", function, (self, other), {})

        def __setitem__(self, place: Any, value: Any) -> None:
            self.tracer.create_proxy("call_function", operator.setitem, (self, place, value), {})

        def __floor__(self) -> Any:
            return self.tracer.create_proxy("call_function", math.floor, (self,), {})

        def __ceil__(self) -> Any:
            return self.tracer.create_proxy("call_function", math.ceil, (self,), {})

        def __len__(self) -> int:
            return of.count(self)

        def __index__(self) -> int:
            return operator.index(of.known(self))

        def __int__(self) -> int:
            return int(of.known(self))

        def __float__(self) -> float:
            return float(of.known(self))

    class Tracer(torch.fx.Tracer):  # type: ignore[misc]
        proxy_buffer_attributes = True

        def create_args_for_root(self, forward: Any, is_module: bool, concrete_args: Any = None) -> Any:
            images = [self.create_proxy("placeholder", name, (), {}) for name in of.images]
            return forward, [of.module, *images]

        def is_leaf_module(self, module: Any, path: str) -> bool:
            return of.is_leaf(module) or bool(super().is_leaf_module(module, path))

        def proxy(self, node: Any) -> Any:
            return Proxy(node, self)

        def to_bool(self, proxy: Any) -> bool:
            return of.decided(proxy)

        def iter(self, proxy: Any) -> Iterator[Any]:
            return iter([proxy[place] for place in range(of.count(proxy))])

    return Tracer()


@contextmanager
def extremes(of: Reading) -> Iterator[None]:
    """Python's min and max of sizes on several axes are recorded, and not decided at once."""
    before = {function.__name__: function for function in (builtins.min, builtins.max)}

    def recorded(function: Any) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            if len(args) == 1 and isinstance(args[0], of.torch.fx.Proxy) and not kwargs:
                return reduce(called, args[0])
            if len(args) == 2 and not kwargs and any(isinstance(each, of.torch.fx.Proxy) for each in args):
                values = [of.value(each.node) if hasattr(each, "node") else each for each in args]
                weak = operator.ge if function.__name__ == "max" else operator.le
                for one, other in ((0, 1), (1, 0)):  # the larger of two that may be equal is no decision
                    if of.graph.compared(weak, values[one], values[other]):
                        return args[one]
                if len(letters_of(values)) > 1:
                    return of.tracer.create_proxy("call_function", function, args, {})
            return function(*args, **kwargs)

        return called

    try:
        for name, function in before.items():
            setattr(builtins, name, recorded(function))
        yield
    finally:
        for name, function in before.items():
            setattr(builtins, name, function)


@contextmanager
def seen_through(torch: Any) -> Iterator[bool]:
    """Functions that their authors asked torch.fx to leave alone are followed all the same; whether there are some."""
    wrapped = torch.fx._symbolic_trace._wrapped_fns_to_patch
    before = dict(wrapped)
    try:
        for key, names in before.items():
            if isinstance(names.get(key[1]), FunctionType):
                del wrapped[key]
        yield len(wrapped) < len(before)
    finally:
        wrapped.update(before)


def is_raised(error: BaseException, modules: Iterable[Any]) -> bool:
    """Whether a statement of the modules' own raised an error: `raise`, or `assert`. What a library raises may come of
    proxies that it does not know.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    package = trace.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    own = {type(each).__module__.partition(".")[0] for each in modules} - {"torch"}
    libraries = tuple(sysconfig.get_paths()[each] for each in ("stdlib", "purelib", "platlib"))
    if package == "torch" or (package not in own and trace.tb_frame.f_code.co_filename.startswith(libraries)):
        return False
    found = (each for each in dis.get_instructions(trace.tb_frame.f_code) if each.offset == trace.tb_lasti)
    return any(each.opname == "RAISE_VARARGS" for each in found)
