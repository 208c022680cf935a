"""The journal of a campaign: a file of JSON lines to which finished shards are added, so that no result is lost.

The first line has the version of the format and the campaign's parameters; each further line a shard and its report. A
line counts from when it is on the disk, with the end of line. What a process that was killed left of a line is cut off.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from convproof.errors import InputError

FORMAT = 1
"""Raised whenever lines change their meaning."""


class Journal:
    """An open journal, which no other process may open, and the reports of the shards that are in it."""

    def __init__(self, path: Path, parameters: dict[str, Any]) -> None:
        self.path, self.finished = path, dict[int, dict[str, Any]]()
        header = _line({"convproof campaign": FORMAT, "parameters": parameters})
        new = not path.exists()
        self.file = open(path, "a+b", buffering=0)  # noqa: SIM115 (closed by __exit__)
        try:
            self._lock()
            self.file.seek(0)
            data = self.file.read()
            lines = data.split(b"\n")
            torn = lines.pop()
            if lines:
                self._compared(lines[0], parameters)
            elif not header.startswith(torn):
                raise InputError(f"{path} is no journal of a campaign; name a file that is not there yet")
            for number, line in enumerate(lines[1:], 2):
                self._read(number, line)
            if torn:
                self.file.truncate(len(data) - len(torn))
            if not lines:
                self._write(header)
            if new:
                _sync_folder(path)
        except BaseException:
            self.file.close()
            raise

    def add(self, shard: int, report: dict[str, Any]) -> None:
        """A finished shard, on the disk once this returns."""
        self._write(_line({"shard": shard, "report": report}))
        self.finished[shard] = report

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _write(self, line: bytes) -> None:
        while line:
            line = line[self.file.write(line) :]
        os.fsync(self.file.fileno())

    def _compared(self, line: bytes, parameters: dict[str, Any]) -> None:
        """Refuses a header of another format or campaign."""
        try:
            header = json.loads(line)
            version, there = header["convproof campaign"], header["parameters"].items()
        except (ValueError, TypeError, KeyError, AttributeError):
            raise InputError(f"{self.path} is no journal of a campaign; name a file that is not there yet") from None
        if version != FORMAT:
            raise InputError(f"{self.path} is a journal of format {version!r}, not {FORMAT}; name another file")
        for name, value in {**dict(there), **parameters}.items():
            before = dict(there).get(name)
            if before != value or name not in parameters:
                raise InputError(
                    f"{self.path} is the journal of another campaign: {name} is {json.dumps(before)} there and "
                    f"{json.dumps(parameters.get(name))} here; name another file"
                )

    def _read(self, number: int, line: bytes) -> None:
        try:
            found = json.loads(line)
            self.finished.setdefault(int(found["shard"]), dict(found["report"]))
        except (ValueError, TypeError, KeyError):
            raise InputError(f"{self.path}, line {number}: this is no finished shard; name another file") from None

    def _lock(self) -> None:
        try:
            import fcntl
        except ImportError:  # not on Windows
            return
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"{self.path} is in use by another campaign; wait for it or name another file") from None


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode() + b"\n"


def _sync_folder(path: Path) -> None:
    """Puts the name of a new file on the disk, where a folder can be opened."""
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
