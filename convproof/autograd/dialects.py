"""Where frameworks disagree about max pooling, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Dialect:
    """What a maximum is where a window has several, or NaN, or nothing at all.

    - `ties`: which of several equal maxima has the switch, and with it the gradient: the "first" or the "last", row by
      row;
    - `nan`: NaN wins, and the "first" or the "last" of several has the switch; or it "loses" to every number, as in
      kernels that compare with `>` and start from the lowest number;
    - `empty`: a window wholly in padding is "refused", or its maximum is the "lowest" value of the dtype (for floats
      minus infinity), with the switch -1 and no gradient.

    >>> from convproof import autograd as ag
    >>> _, switches = ag.max_pool([[[7, 7, 0]]], 3, return_switches=True, dialect=Dialect("mine", ties="last"))
    >>> switches.tolist()
    [[[1]]]
    """

    name: str
    ties: Literal["first", "last"] = "first"
    nan: Literal["first", "last", "loses"] = "first"
    empty: Literal["refused", "lowest"] = "refused"


STRICT = Dialect("strict")
"""The first maximum, the first NaN, and no windows wholly in padding."""

TORCH = Dialect("torch", nan="last", empty="lowest")
"""PyTorch's max_pool1d to 3d on the CPU."""
