"""The command: files of proofs in, what they state and whether it holds out."""

import json
import sys
from typing import Any

from convproof.recheck.printing import READING
from convproof.recheck.replay import check, statement
from convproof.recheck.terms import Wrong


def main(arguments: list[str]) -> int:
    """Checks the files named; 0 if every proof holds, 1 if one does not or a file has none, 2 for one that cannot be
    read.
    """
    if not arguments:
        print("usage: python -m convproof.recheck FILE...", file=sys.stderr)
        return 2
    found = []
    for name in arguments:
        try:
            with open(name, encoding="utf-8") as file:
                data = json.load(file, object_pairs_hook=_object)
        except (OSError, ValueError, RecursionError) as error:
            shown = name if name.isprintable() else ascii(name)
            print(f"convproof.recheck: cannot read {shown}: {error}", file=sys.stderr)
            continue
        if len(arguments) > 1:
            print(f"{name!a}:")
        found.append(_checked(data))
    if any(held for held, _ in found):
        print(READING)
    return 2 if len(found) < len(arguments) else int(any(held < proofs or not proofs for held, proofs in found))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of two values under one name another reader may take the other one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("two values have the same name")
    return found


def _checked(data: Any) -> tuple[int, int]:
    """Prints a line for every proof of a file and how many hold; returns that, and how many there are."""
    data = {"proof": data} if type(data) is dict and "steps" in data else data
    proofs = data if type(data) is dict else dict(enumerate(data if type(data) is list else []))
    held = 0
    for name, proof in proofs.items():
        try:
            check(proof)
            print(f"holds  {name!a}: {statement(proof)}")
            held += 1
        except Wrong as error:
            print(f"WRONG  {name!a}: {error}")
    print(f"{held} of {len(proofs)} proofs hold")
    return held, len(proofs)
