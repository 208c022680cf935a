"""Old import paths: what they name is taken from the new ones, with a DeprecationWarning, for one release."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import Any

MOVED = {
    "convproof.assemble": "convproof.notes",
    "convproof.check": "convproof.crosscheck",
    "convproof.check.cases": "convproof.crosscheck.cases",
    "convproof.check.evidence": "convproof.crosscheck.evidence",
    "convproof.check.fits": "convproof.proof.sizes",
    "convproof.check.oracle": "convproof.crosscheck.oracle",
    "convproof.check.printed": "convproof.crosscheck.printed",
    "convproof.check.relations": "convproof.crosscheck.relations",
    "convproof.interop": "convproof.importers",
    "convproof.interop.graph": "convproof.importers.graph",
    "convproof.interop.onnx": "convproof.importers.onnx",
    "convproof.interop.torch": "convproof.importers.torch",
    "convproof.lower": "convproof.execute",
    "convproof.spec": "convproof.architecture",
    "convproof.spec.classics": "convproof.architecture.zoo",
    "convproof.spec.layers": "convproof.architecture.layers",
    "convproof.spec.network": "convproof.architecture.graph",
    "convproof.spec.notation": "convproof.architecture.notation",
    "convproof.spec.printing": "convproof.architecture.printing",
    "convproof.theory": "convproof.notes",
}
RENAMED = {"convproof.lower.lower": "execute"}


class _Moved(ModuleType):
    """A module's old path: its names are looked up in the module at the new one when they are first asked for."""

    def __getattr__(self, name: str) -> Any:
        old, home = f"{self.__name__}.{name}", MOVED[self.__name__]
        if old in MOVED:
            return sys.modules[old]
        if name == "__all__":
            return [each for each in dir(import_module(home)) if not each.startswith("_")]
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        new = RENAMED.get(old, name)
        found = getattr(import_module(home), new)
        message = f"{old} is now {home}.{new}; the old path will go with the next release"
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        return found


sys.modules.update({old: _Moved(old) for old in MOVED})


def size_sets(network: Any, axis: int | str) -> tuple[Any, Any]:
    """(valid, exact) along one axis of the image; now `convproof.accepted_sizes` says it of all."""
    from convproof.errors import SpecError, Undecided
    from convproof.symbolic.accepted import accepted_by
    from convproof.symbolic.shapes import axis_names, infer, of_any_size

    warnings.warn("size_sets will go with the next release; use accepted_sizes", DeprecationWarning, stacklevel=2)
    names = axis_names(network)
    name = names[axis] if isinstance(axis, int) and 0 <= axis < len(names) else axis
    if name not in names:
        listed = ", ".join(names)
        raise SpecError(f"axis {axis} is none of the input's {len(names)} spatial axes, {listed}, counted from 0")
    found = accepted_by(infer(of_any_size(network, letters=True)))
    valid, exact = found.valid[str(name)], found.exact[str(name)]
    if valid is None or exact is None:
        raise Undecided(next(iter((*found.undecided, *found.requires)), f"{name} is tied to the other axes"))
    return valid, exact
