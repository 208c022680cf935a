"""A shard of a campaign: so many drawn cases of one seed, checked in a process that does nothing else.

Which cases Hypothesis draws for a seed depends on the modules that are loaded, so every shard has a fresh process,
whatever started it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convproof.errors import ConvproofError, InputError
from convproof.testing.checks import Check
from convproof.testing.dialects import Dialect
from convproof.testing.isolated import Isolated, Target

ROOT = str(Path(__file__).resolve().parents[2])
CODE = f"import sys; sys.path.append({ROOT!r}); from convproof.testing.shard import main; main()"


@dataclass(frozen=True)
class Shard:
    """Which one it is, from 0; how many cases it has; and the first of the seeds that they are drawn from. The corners
    are tried in shard 0 alone.
    """

    number: int
    cases: int
    seed: int


def checked(setup: dict[str, Any], shard: Shard, folder: str) -> dict[str, Any]:
    """The report of a shard, in JSON; `setup` is that of a campaign, whose targets are found from `folder`.

    Raises `InputError` where the kernel cannot be loaded, or where the process ends without a report.
    """
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE],
        input=json.dumps({"setup": setup, "shard": vars(shard)}).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what the kernel prints
        cwd=folder,
        check=False,
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        raise InputError(
            f"shard {shard.number} ended with exit status {done.returncode} and no report; run the campaign again, "
            "with fewer jobs where memory ran out"
        ) from None
    if "error" in found:
        raise InputError(found["error"])
    report: dict[str, Any] = found["report"]
    return report


def main() -> None:
    """Reads a shard from the standard input, and prints its report."""
    given = json.load(sys.stdin)
    setup, shard = given["setup"], Shard(**given["shard"])
    target = Target(**{**setup["target"], "dialect": Dialect(**setup["target"]["dialect"])})
    try:
        with Isolated(target, setup["timeout"], setup["memory"]) as kernel:
            supports = frozenset(setup["supports"])
            check = Check(kernel, setup["rank"], shard.cases, shard.seed, supports, corners=shard.number == 0)
            found: dict[str, Any] = {"report": check.report().to_json()}
    except ConvproofError as error:
        found = {"error": str(error)}
    print(json.dumps(found))
