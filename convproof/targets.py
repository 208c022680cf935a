"""What `module:object` or `file.py:object` names on the command line."""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

from convproof.errors import InputError

TARGET = re.compile(r"([^:>\[\]]+\.py|[\w.]+):([\w.]+)")
"""How a target is written: a module or a Python file, and a path of names in it."""


def target(text: str) -> Any:
    """The object that a target names; the module is run, and the current folder counts.

    >>> target("math:pi")
    3.141592653589793

    Raises `InputError` for other text, and where there is no such file, module or object.
    """
    match = TARGET.fullmatch(text)
    if match is None:
        raise InputError(f"{text!r} is neither module:object nor file.py:object")
    module, path = match.groups()
    place = Path(module).parent if module.endswith(".py") else Path()
    name = Path(module).stem if module.endswith(".py") else module
    if module.endswith(".py") and not Path(module).is_file():
        raise InputError(f"{module}: there is no such file")
    sys.path.insert(0, os.path.abspath(place))
    try:
        found: Any = importlib.import_module(name)
        for each in path.split("."):
            found = getattr(found, each)
    except (Exception, SystemExit) as error:
        raise InputError(f"cannot import {module}:{path}: {type(error).__name__}: {error}") from None
    finally:
        sys.path.pop(0)
    return found
