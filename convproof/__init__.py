"""convproof: does a convolutional network fit, what does it cost and see, and is its gradient right.

    >>> import convproof as cp
    >>> found = cp.analyze(cp.network("INPUT[WxWx3] -> [CONV3-64 -> RELU]*2 -> POOL2"))
    >>> found.rows[-1].output
    (64, W//2, W//2)
    >>> print(found.exact_sizes["W"])
    all n >= 1 with n mod 2 = 0

Names are fetched when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from convproof._moved import MOVED

if TYPE_CHECKING:
    from convproof import autograd as autograd

__version__ = "0.1.0"

_HOMES = {
    "convproof.errors": (
        "ConvproofError",
        "DtypeError",
        "InputError",
        "MissingRule",
        "NotationError",
        "ShapeError",
        "SpecError",
        "Undecided",
    ),
    "convproof.architecture.notation": ("network",),
    "convproof.architecture.printing": ("to_notation",),
    "convproof.symbolic": (
        "Accepted",
        "FloorDiv",
        "SizeSet",
        "accepted_sizes",
        "analyze",
        "macs",
        "output_shape",
        "parameters",
        "receptive_field",
        "symbols",
        "values",
        "weights",
    ),
    "convproof._moved": ("size_sets",),
    "convproof.symbolic.dependence": ("reached", "unseen"),
    "convproof.symbolic.remainders": ("borders", "fits"),
    "convproof.symbolic.memory": ("peak", "retained", "training_memory"),
    "convproof.symbolic.patterns": ("pattern", "variants"),
    "convproof.symbolic.solve": ("designs", "solve"),
    "convproof.proof.sizes": ("prove_sizes",),
    "convproof.execute": ("run",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_ROOMS = ("architecture", "autograd", "crosscheck", "execute", "importers", "notes", "proof", "report", "symbolic")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"convproof.{name}")
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    if name == "__all__":
        return sorted({*_HOME, *_ROOMS, *_kinds()})
    if (old := f"convproof.{name}") in MOVED:
        return sys.modules[old]
    if name[0].isupper() and name in _kinds():
        return getattr(import_module("convproof.architecture"), name)
    raise AttributeError(f"module 'convproof' has no attribute {name!r}")


def _kinds() -> list[str]:
    """The layer kinds, and what networks are made of, by name."""
    found: list[str] = import_module("convproof.architecture").__all__
    return [name for name in found if name[0].isupper() and not name.isupper()]


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
