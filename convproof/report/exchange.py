"""What was found, in the formats that other tools read: JUnit XML and SARIF 2.1.0.

Both say the same for the same results, but for the times in JUnit. Characters that XML cannot hold are left out. Source
of the second: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0" (2020).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree as Tree

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Result:
    """One statement that was looked into: what it belongs to, its verdict, and where it stands, if that is known."""

    group: str
    name: str
    words: str
    holds: bool
    verdict: str
    reason: str
    seconds: float = 0.0
    file: Path | None = None
    line: int | None = None

    @property
    def id(self) -> str:
        """The name with what it belongs to."""
        return printable(f"{self.group}.{self.name}")

    @property
    def message(self) -> str:
        """Why it counts as a failure."""
        return printable(f"{self.verdict}: {self.reason}")


def printable(text: str) -> str:
    """`text` without control characters, except line ends and tabs, and without halves of characters."""
    return _UNPRINTABLE.sub("", text)


def place(file: Path, folder: Path) -> str:
    """A file as a URI: relative where it lies under the folder.

    >>> place(Path("/home/me/theories/one two.py"), Path("/home/me"))
    'theories/one%20two.py'
    """
    path, root = file.resolve(), folder.resolve()
    if path.is_relative_to(root):
        return quote(path.relative_to(root).as_posix(), errors="replace")
    return path.as_uri()


# --- JUnit ------------------------------------------------------------------------------------------------------------


def to_junit(results: Sequence[Result], tool: str) -> str:
    """A test suite for every group of results that stand together, a test case for every result."""
    root = Tree.Element("testsuites", {"name": tool, **_counts(results)})
    for group, members in groupby(results, key=lambda result: result.group):
        cases = list(members)
        suite = Tree.SubElement(root, "testsuite", {"name": printable(group), **_counts(cases)})
        for each in cases:
            named = {"classname": printable(group), "name": printable(each.name), "time": f"{each.seconds:.3f}"}
            case = Tree.SubElement(suite, "testcase", named)
            if not each.holds:
                failure = Tree.SubElement(case, "failure", type=printable(each.verdict), message=each.message)
                failure.text = f"{printable(each.words)}\n{each.message}"
    Tree.indent(root)
    written: bytes = Tree.tostring(root, encoding="us-ascii", xml_declaration=True)
    return written.decode("ascii") + "\n"


def _counts(results: Iterable[Result]) -> dict[str, str]:
    found = list(results)
    failures = sum(not each.holds for each in found)
    seconds = sum(each.seconds for each in found)
    return {"tests": str(len(found)), "failures": str(failures), "errors": "0", "time": f"{seconds:.3f}"}


# --- SARIF ------------------------------------------------------------------------------------------------------------


def to_sarif(results: Sequence[Result], tool: str, version: str, folder: Path) -> str:
    """Every id a rule, and a result of level error for each that does not hold; files are named from the folder on."""
    rules: dict[str, Result] = {}
    for each in results:
        rules.setdefault(each.id, each)
    numbers = {rule: number for number, rule in enumerate(rules)}
    driver = {"name": tool, "version": version, "semanticVersion": version, "rules": [*map(_rule, rules.values())]}
    found = [_finding(each, numbers[each.id], folder) for each in results if not each.holds]
    run = {"tool": {"driver": driver}, "results": found}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(result: Result) -> dict[str, Any]:
    return {
        "id": result.id,
        "shortDescription": {"text": printable(result.words) or result.id},
        "defaultConfiguration": {"level": "error"},
    }


def _finding(result: Result, number: int, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ruleId": result.id,
        "ruleIndex": number,
        "level": "error",
        "message": {"text": f"{printable(result.words)} {result.message}"},
    }
    if result.file is not None:
        physical: dict[str, Any] = {"artifactLocation": {"uri": place(result.file, folder)}}
        if result.line is not None:
            physical["region"] = {"startLine": result.line}
        found["locations"] = [{"physicalLocation": physical}]
    return found
