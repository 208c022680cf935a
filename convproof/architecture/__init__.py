"""Layers and networks as plain frozen data, and the notation that writes them."""

from convproof.architecture import layers
from convproof.architecture.behaviour import Axis, Layer, letters
from convproof.architecture.fields import SAME_LOWER, SAME_UPPER
from convproof.architecture.graph import Network, Node
from convproof.architecture.layers import *  # noqa: F403

KINDS, MERGES = layers.KINDS, layers.MERGES

__all__ = ["KINDS", "MERGES", "SAME_LOWER", "SAME_UPPER", "Axis", "Layer", "Network", "Node", "layers", "letters"]
__all__ += [kind.__name__ for kind in KINDS]
