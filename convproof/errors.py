"""The one exception tree.

    ConvproofError
    ├── SpecError (ValueError)               a layer or network that contradicts itself
    │   └── NotationError                    text that is not network notation; knows its column
    ├── ShapeError (ValueError)              sizes or arrays that do not go together
    ├── DtypeError (ValueError)              an array of numbers that an operation cannot work on
    ├── InputError (ValueError)              a file, a name or an option that cannot be used
    ├── Undecided (ValueError)               a question outside what can be decided, with the reason
    ├── MissingRule (NotImplementedError)    a concern that has no rule for a layer kind
    └── Disagreement                         two ways to the same result differ: a mistake in convproof

Every message is one line that names the place, the offending value and what to do about it.
"""

from __future__ import annotations


class ConvproofError(Exception):
    """Base of everything that convproof raises on purpose."""


class SpecError(ConvproofError, ValueError):
    """A layer or a network that contradicts itself."""


class NotationError(SpecError):
    """Text that is not network notation; `column` counts from 1."""

    def __init__(self, text: str, column: int, problem: str) -> None:
        self.text, self.column, self.problem = text, column, problem
        super().__init__(f"network notation, column {column}: {problem}")


class ShapeError(ConvproofError, ValueError):
    """Sizes or arrays that do not go together."""


class DtypeError(ConvproofError, ValueError):
    """An array of numbers that an operation cannot work on."""


class InputError(ConvproofError, ValueError):
    """A file, a name or an option that cannot be used."""


class Undecided(ConvproofError, ValueError):
    """A question that lies outside what the program can decide; the message says why."""


class Disagreement(ConvproofError):
    """Two independent ways to the same result differ, so one of them is wrong: a mistake in convproof."""


class MissingRule(ConvproofError, NotImplementedError):
    """A concern (output size, parameters, ...) that has no rule for a layer kind."""

    def __init__(self, concern: str, layer: object) -> None:
        self.concern, self.layer = concern, layer
        super().__init__(f"no rule for {type(layer).__name__} under '{concern}'")
