"""A kernel in a process of its own, with limits of time and memory.

The worker calls the kernel and sends arrays back; what it sends is read as numbers and never executed, and everything
is judged here. So a kernel that hangs, exits or crashes the interpreter has failed a case, and what it patches in its
process changes no verdict.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import sys
import zipfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from convproof.errors import ConvproofError, InputError
from convproof.testing.arrays import Library, NoArray, library
from convproof.testing.dialects import Dialect
from convproof.testing.numbers import Array, Arrays, precision
from convproof.testing.operation import Operation
from convproof.testing.operations import operation
from convproof.testing.runner import Gone, Raised, Run, Runner

PARTS = ("first", "second", "again", "later", "inputs")


@dataclass(frozen=True)
class Target:
    """A kernel by name: what the worker loads, and how it calls it."""

    op: str
    forward: str
    vjp: str | None
    xp: str
    dtype: str
    device: str | None
    dialect: Dialect
    rounding: str | None = None


class Isolated:
    """The same as a `Runner`, in a worker that is started anew after each hang or crash."""

    def __init__(self, target: Target, timeout: float, memory: int) -> None:
        self.target, self.timeout, self.memory = target, timeout, memory
        self.operation: Operation = operation(target.op, target.dialect, target.rounding)
        self.library: Library = library(target.xp, precision(target.dtype), target.device)
        self.layout = Runner(self.operation, len, None, self.library, target.dialect)
        self.worker: multiprocessing.process.BaseProcess | None = None
        self.connection: Connection | None = None
        self.keywords: dict[str, set[str]] = {}
        self.both = False
        self._start()

    @property
    def name(self) -> str:
        """The kernel as it was named."""
        return self.target.forward

    def imported(self, part: str) -> str:
        """The lines of Python that name its "forward" or "vjp"."""
        spec = self.target.vjp if part == "vjp" and self.target.vjp else self.target.forward
        place, _, path = spec.rpartition(":")
        module = place.removesuffix(".py").rpartition("/")[2]
        suffix = f".{part}" if self.both else ""
        return f"from {module} import {path.partition('.')[0]}\nkernel = {path}{suffix}"

    def outward(self, name: str, values: Array) -> Array:
        """An input as the kernel gets it."""
        return self.layout.outward(name, values)

    def result(self, part: str, values: Array) -> Array:
        """A result as the kernel returns it."""
        return self.layout.result(part, values)

    def run(self, case: Any, first: Arrays, second: Arrays) -> Run:
        """The three runs. Raises `Raised`, or `NoArray` for a result that is no array."""
        told, arrays = self._asked(("run", case, first, second))
        parts = {part: {n.split("/")[1]: a for n, a in arrays.items() if n.startswith(f"{part}/")} for part in PARTS}
        dtypes = told.get("dtypes")
        return Run(**parts, dtypes={k: str(v) for k, v in dtypes.items()} if isinstance(dtypes, dict) else {})

    def once(self, case: Any, arrays: Arrays) -> Arrays:
        """A single run."""
        return self._asked(("once", case, arrays))[1]

    def close(self) -> None:
        """Ends the worker."""
        if self.worker is not None:
            self.worker.kill()
            self.worker.join()
            self.worker = None

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        self.worker = context.Process(target=_work, args=(there, self.target, self.memory), daemon=True)
        with _bare_main():
            self.worker.start()
        there.close()
        self.connection = here
        try:
            told, _ = self._received(60 + self.timeout)
            if "error" not in told:
                self.keywords = {str(name): set(map(str, taken)) for name, taken in told["keywords"].items()}
                self.both = bool(told["both"])
                return
        except (Gone, LookupError, TypeError, AttributeError, ValueError) as error:
            told = {"error": f"cannot import {self.target.forward}: {error}"}
        self.close()
        raise InputError(str(told["error"]))

    def _asked(self, question: tuple[Any, ...]) -> tuple[dict[str, Any], Arrays]:
        if self.worker is None:
            self._start()
        assert self.connection is not None  # for the type checker
        with contextlib.suppress(OSError):  # a worker that is gone is noticed below
            self.connection.send(question)
        told, arrays = self._received(self.timeout)
        if "raised" in told:
            raise Raised(str(told["raised"]))
        if "no array" in told:
            raise NoArray(str(told["no array"]))
        return told, arrays

    def _received(self, timeout: float) -> tuple[dict[str, Any], Arrays]:
        """What the worker sends; a worker that hangs or is gone is replaced before the next question."""
        assert self.connection is not None
        assert self.worker is not None
        try:
            if not self.connection.poll(timeout):
                self.close()
                raise Gone(f"it hangs: no answer after {timeout:g} seconds")
            return _unpacked(self.connection.recv_bytes())
        except (EOFError, OSError):
            self.worker.join(5)
            code = self.worker.exitcode
            self.close()
            if code is not None and code < 0:
                raise Gone(f"the interpreter crashed with signal {-code}") from None
            raise Gone(f"the kernel left the interpreter, with exit status {code}") from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, zipfile.BadZipFile) as error:
            self.close()
            raise Gone(f"what the worker sent is no answer: {type(error).__name__}") from None


@contextlib.contextmanager
def _bare_main() -> Any:
    """Without the path of the main module, which a spawned process would otherwise run again."""
    main = vars(sys.modules["__main__"])
    kept: dict[str, Any] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(kept)


# --- the worker -------------------------------------------------------------------------------------------------------


def _work(connection: Connection, given: Target, memory: int) -> None:
    """Answers questions until there are none; what the kernel prints goes to the standard error output."""
    os.dup2(2, 1)
    try:
        _limit(memory)
        runner = _runner(given)
    except ConvproofError as error:
        connection.send_bytes(_packed({"error": str(error)}, {}))
        return
    taken = {name: sorted(each) for name, each in runner.keywords.items()}
    both = hasattr(runner.forward, "__self__") and runner.forward.__name__ == "forward"
    connection.send_bytes(_packed({"keywords": taken, "both": both}, {}))
    own = os.getpid()
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            answer = _answered(runner, *connection.recv())
            if os.getpid() != own:  # a kernel that forks comes back twice
                os._exit(0)
            connection.send_bytes(answer)


def _runner(given: Target) -> Runner:
    from convproof.targets import target
    from convproof.testing.checks import callables

    forward, vjp = callables(target(given.forward), None if given.vjp is None else target(given.vjp))
    kind = precision(given.dtype)
    own = library(given.xp, kind, given.device)
    return Runner(operation(given.op, given.dialect), forward, vjp, own, given.dialect)


def _answered(runner: Runner, what: str, case: Any, *arrays: Arrays) -> bytes:
    try:
        if what == "once":
            return _packed({}, runner.once(case, *arrays))
        run = runner.run(case, *arrays)
        named = {f"{part}/{name}": array for part in PARTS for name, array in getattr(run, part).items()}
        return _packed({"dtypes": run.dtypes}, named)
    except Raised as error:
        return _packed({"raised": str(error)}, {})
    except NoArray as error:
        return _packed({"no array": str(error)}, {})


def _limit(memory: int) -> None:
    """Memory in MiB, where the system lets itself be told; 0 for no limit."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (memory * 2**20, memory * 2**20))


def _packed(told: dict[str, Any], arrays: Arrays) -> bytes:
    file = io.BytesIO()
    header = np.frombuffer(json.dumps(told).encode(), np.uint8)
    np.savez(file, allow_pickle=False, **{"told": header, **{f"array/{name}": each for name, each in arrays.items()}})
    return file.getvalue()


def _unpacked(data: bytes) -> tuple[dict[str, Any], Arrays]:
    """Numbers and JSON; nothing is executed. Raises `ValueError` for anything else."""
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        told = json.loads(found["told"].tobytes())
        arrays = {name.removeprefix("array/"): found[name] for name in found.files if name != "told"}
    if not isinstance(told, dict) or any(each.dtype.kind not in "iuf" for each in arrays.values()):
        raise ValueError("no answer")
    return told, arrays
