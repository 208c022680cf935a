"""Sizes, costs, receptive fields and accepted sizes in numbers and letters."""

from convproof.symbolic.accepted import Accepted, accepted_sizes
from convproof.symbolic.analysis import Analysis, Row, Totals, analyze
from convproof.symbolic.costs import biases, macs, parameters, values, weights
from convproof.symbolic.field import Field, receptive_field
from convproof.symbolic.floordiv import FloorDiv, floordiv, normal, size, symbol, symbols
from convproof.symbolic.shapes import output_shape, output_shapes
from convproof.symbolic.sizesets import SizeSet, where_at_least, where_zero

__all__ = [
    "Accepted",
    "Analysis",
    "Field",
    "FloorDiv",
    "Row",
    "SizeSet",
    "Totals",
    "accepted_sizes",
    "analyze",
    "biases",
    "floordiv",
    "macs",
    "normal",
    "output_shape",
    "output_shapes",
    "parameters",
    "receptive_field",
    "size",
    "symbol",
    "symbols",
    "values",
    "weights",
    "where_at_least",
    "where_zero",
]
