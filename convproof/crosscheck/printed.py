"""Numbers as texts print them, `138M` or `3.2M`, and whether an exact number rounds to one."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from convproof.errors import InputError

_UNITS: dict[str, int] = {
    "": 1,
    **{letter: 1000**power for power, letter in enumerate("KMG", 1)},
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMG", 1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMG", 1)},
}


def printed_value(text: str) -> Fraction:
    """The number that `text` prints; K, M, G are powers of 1000, KiB, MiB, GiB of 1024. Raises `InputError` for other
    text.

    >>> printed_value("3.2M")
    Fraction(3200000, 1)
    """
    number, unit = _parts(text)
    return Fraction(number) * _UNITS[unit]


def rounds_to(value: int | Fraction, text: str) -> bool:
    """Whether `value`, rounded half up to the significant digits of `text`, is the number printed there.

    Zeros at the end of a whole number are not significant: 800K has one significant digit.

    >>> rounds_to(802816, "800K"), rounds_to(15237608, "24M")
    (True, False)
    """
    number, unit = _parts(text)
    whole, _, decimals = number.partition(".")
    unit_of_last_digit = Fraction(1, 10 ** len(decimals))
    if not decimals:
        unit_of_last_digit *= 10 ** (len(whole) - len(whole.rstrip("0") or whole))
    step = unit_of_last_digit * _UNITS[unit]
    return math.floor(Fraction(value) / step + Fraction(1, 2)) * step == printed_value(text)


def _parts(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([KMG]?(?:i?B)?)", text.replace(",", "").strip())
    if not match or match[2] not in _UNITS:
        raise InputError(f"{text!r} is no printed number; write digits and one of {', '.join(filter(None, _UNITS))}")
    return match[1], match[2]
