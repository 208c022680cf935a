"""Files and modules of others become Networks: `convproof.importers.onnx.load` and `convproof.importers.torch.load`.

Neither onnx nor torch is imported until something is read.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("onnx", "torch"):
        return import_module(f"convproof.importers.{name}")
    raise AttributeError(f"module 'convproof.importers' has no attribute {name!r}")
