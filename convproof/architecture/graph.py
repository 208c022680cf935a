"""Networks: layers on a networkx DiGraph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import networkx as nx

from convproof.architecture.behaviour import Layer, Merge
from convproof.architecture.layers import Input
from convproof.errors import SpecError


@dataclass(frozen=True)
class Node:
    """One layer in its place: its name and the names of the layers it reads, in order."""

    name: str
    layer: Layer
    operands: tuple[str, ...] = ()


class Network:
    """A network with one `Input` and one output; immutable.

    `graph` is a frozen `networkx.DiGraph` whose nodes carry `layer` and `operands`. A layer may read the same operand
    twice (x + x), which the edges alone could not say. The output is the one layer that no other reads; where there are
    several, `output` names it, and what the others compute is demanded of the image all the same. Raises `SpecError`
    for a cycle, an unknown operand, a second input or output, and a layer with the wrong number of operands.

    >>> from convproof.architecture import Conv, Input, MaxPool, Network
    >>> net = Network.chain([Input(3, (32, 32)), Conv(12, 3, padding=1), MaxPool(2)])
    >>> [node.name for node in net]
    ['input', 'conv1', 'maxpool1']
    """

    def __init__(self, nodes: Iterable[Node], output: str | None = None) -> None:
        graph: nx.DiGraph[str] = nx.DiGraph()
        nodes = [Node(node.name, node.layer, tuple(node.operands)) for node in nodes]
        for node in nodes:
            if not isinstance(node.layer, Layer):
                raise SpecError(f"{node.name}: {node.layer!r} is not a layer")
            if node.name in graph:
                raise SpecError(f"{node.name}: two layers have this name; rename one")
            graph.add_node(node.name, layer=node.layer, operands=node.operands)
        for node in nodes:
            self._check_operands(node, graph)
            graph.add_edges_from((operand, node.name) for operand in node.operands)
        if not nx.is_directed_acyclic_graph(graph):
            loop = " -> ".join(source for source, _ in nx.find_cycle(graph))
            raise SpecError(f"{loop}: these layers read each other in a circle")
        self.graph: nx.DiGraph[str] = nx.freeze(graph)
        place = {node.name: index for index, node in enumerate(nodes)}
        order = nx.lexicographical_topological_sort(graph, key=place.__getitem__)
        self.nodes: tuple[Node, ...] = tuple(nodes[place[name]] for name in order)
        self.input = self._only((n for n in nodes if isinstance(n.layer, Input)), "Input layer")
        if output is not None and output not in graph:
            raise SpecError(f"the output {output!r} is no layer of this network")
        ends = (n for n in nodes if (graph.out_degree(n.name) == 0 if output is None else n.name == output))
        self.output = self._only(ends, "output")

    @staticmethod
    def _check_operands(node: Node, graph: nx.DiGraph[str]) -> None:
        for operand in node.operands:
            if operand not in graph:
                raise SpecError(f"{node.name}: reads {operand!r}, which is no layer of this network")
        (least, most), found = node.layer.operands, len(node.operands) - node.layer.sizes_read
        if least <= found <= most:
            return
        if isinstance(node.layer, Merge) and found < 2:
            raise SpecError(f"{node.name}: a merge needs two operands or more, got {found}")
        noun = "operands" if isinstance(node.layer, Merge) else "operand(s)"
        raise SpecError(f"{node.name}: {type(node.layer).__name__} takes {least} {noun}, got {found}")

    @staticmethod
    def _only(found: Iterable[Node], what: str) -> Node:
        nodes = list(found)
        if len(nodes) != 1:
            names = ", ".join(node.name for node in nodes) or "none"
            raise SpecError(f"a network has exactly one {what}; found {names}")
        return nodes[0]

    @classmethod
    def chain(cls, layers: Sequence[Layer]) -> Network:
        """The layers one after the other, named by kind and number."""
        builder = Builder()
        for layer in layers:
            builder.add(layer)
        return builder.network()

    @property
    def image(self) -> Input:
        """The Input layer."""
        layer = self.input.layer
        assert isinstance(layer, Input)  # by construction; for the type checker
        return layer

    def with_input(self, layer: Input) -> Network:
        """The same network on another input."""
        return self.mapped(lambda node: layer if node.name == self.input.name else node.layer)

    def mapped(self, change: Callable[[Node], Layer]) -> Network:
        """The same network with other layers in its places."""
        return Network((Node(n.name, change(n), n.operands) for n in self.nodes), self.output.name)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network) and (self.nodes, self.output) == (other.nodes, other.output)

    def __hash__(self) -> int:
        return hash(self.nodes)

    def __repr__(self) -> str:
        shown = [f"{n.name}({', '.join(n.operands)})={n.layer!r}" for n in self.nodes[:8]]
        more = f", ... {len(self) - 8} more" if len(self) > 8 else ""
        return f"<Network {', '.join(shown)}{more}>"


class Builder:
    """Grows a network at its end; `last` is the name of the layer that the next one reads."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.last: str | None = None
        self._counts: dict[str, int] = {}

    def add(self, layer: Layer, operands: Sequence[str] | None = None) -> str:
        """Appends `layer`, reading `operands` (or the last layer), and returns its name."""
        kind = type(layer).__name__.lower()
        self._counts[kind] = number = self._counts.get(kind, 0) + 1
        if operands is None:
            operands = () if self.last is None else (self.last,)
        name = "input" if isinstance(layer, Input) and number == 1 else f"{kind}{number}"
        self.nodes.append(Node(name, layer, tuple(operands)))
        self.last = name
        return name

    def network(self) -> Network:
        """The network built so far."""
        return Network(self.nodes)
