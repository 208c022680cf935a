"""Theories from files: the bundled ones, and those of others."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from convproof.errors import InputError
from convproof.notes.model import Theory


def bundled_folder() -> Path:
    """Where the bundled theories lie: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    return next(folder for folder in (package / "theories", package.parent / "theories") if folder.is_dir())


def load(folder: Path | None = None) -> list[Theory]:
    """The theories of a folder (the bundled ones by default), in their order. Raises `InputError` for a file without
    one.
    """
    theories = [_load_file(path) for path in sorted((folder or bundled_folder()).glob("*.py"))]
    return sorted(theories, key=lambda t: (t.order, t.id))


def find(names: Iterable[str] = ()) -> list[Theory]:
    """Theories by id, file or folder; the bundled ones where nothing is named. Raises `InputError` for other names."""
    names = list(names)
    bundled = load() if not names or any(not Path(name).exists() for name in names) else []
    found: list[Theory] = []
    for name in names:
        known = [each for each in bundled if each.id == name]
        if Path(name).is_dir():
            found += load(Path(name))
        elif Path(name).is_file():
            found.append(_load_file(Path(name)))
        elif known:
            found += known
        else:
            ids = ", ".join(each.id for each in bundled)
            raise InputError(f"no theory, file or folder is named {name!r}; there are {ids}")
    return found if names else bundled


def _load_file(path: Path) -> Theory:
    spec = importlib.util.spec_from_file_location(f"convproof_theory_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, "theory"):
            raise InputError("defines no function theory(); see CONTRIBUTING.md")
        found = module.theory()
        if not isinstance(found, Theory):
            raise InputError("theory() must return a convproof.notes.Theory")
    except (Exception, SystemExit) as error:
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        raise InputError(f"{path}: {kind}{error}") from error
    return found
