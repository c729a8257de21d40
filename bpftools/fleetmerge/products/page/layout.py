# SPDX-License-Identifier: Apache-2.0
"""Where the places of a graph stand: hosts are lanes, side by side; each step leads down."""
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from .ways import Graph, Node


@dataclass
class Lane:
    """A host; first: its first column."""

    host: str
    first: int
    columns: int


@dataclass
class Layout:
    """Lanes from left to right; by which places each step leads that has other rows between."""

    lanes: list[Lane] = field(default_factory=list)
    routes: dict[tuple[int, int], list[Node]] = field(default_factory=dict)


@dataclass
class _Stop:
    """What wants a column: a node, or a step on its way past other rows."""

    node: Node
    rank: tuple[int, bool, bool, int]
    before: list[tuple[int, Node]] = field(default_factory=list)    # (packets, where they come from)


def place(graph: Graph) -> Layout:
    """Give each node its row and column."""
    before: dict[int, list[int]] = {number: [] for number in range(len(graph.nodes))}
    for one, two in graph.edges:
        before[two].append(one)
    for number in TopologicalSorter(before).static_order():
        graph.nodes[number].row = max((graph.nodes[one].row + 1 for one in before[number]), default=0)
    layout = Layout()
    stops = {number: _Stop(node, _rank(graph, before[number], number)) for number, node in enumerate(graph.nodes)}
    between: list[_Stop] = []
    for (one, two), edge in graph.edges.items():
        source, target = graph.nodes[one], graph.nodes[two]
        route = [Node(target.place, row=row) for row in range(source.row + 1, target.row)]
        layout.routes[one, two] = route
        for last, node in zip([source, *route], route, strict=False):
            between.append(_Stop(node, (node.row, False, not edge.own, -edge.packets), [(edge.packets, last)]))
        stops[two].before.append((edge.packets, route[-1] if route else source))
    taken: set[tuple[str, int, int]] = set()    # host, column, row
    ordered = sorted([*stops.values(), *between], key=lambda stop: stop.rank)
    for stop in ordered:
        _settle(stop, taken)
    layout.lanes = _lanes([stop.node for stop in ordered])
    return layout


def _rank(graph: Graph, before: list[int], number: int) -> tuple[int, bool, bool, int]:
    """Return what tells which of the places in one row comes first: the packet's own way, then that of most."""
    node, into = graph.nodes[number], [graph.edges[one, number] for one in before]
    return (node.row, node.loss is not None, not any(edge.own for edge in into),
            -sum(edge.packets for edge in into))


def _settle(stop: _Stop, taken: set[tuple[str, int, int]]) -> None:
    """Choose a column within the lane: the one of the place before, else the next that is free."""
    node, host = stop.node, stop.node.place[0]
    same = [(packets, last.column) for packets, last in stop.before if last.place[0] == host]
    node.column = max(same)[1] if same else 0
    while (host, node.column, node.row) in taken:
        node.column += 1
    taken.add((host, node.column, node.row))


def _lanes(nodes: list[Node]) -> list[Lane]:
    """Put the lanes in the order in which packets come to them, and count columns over all of them."""
    widths: dict[str, int] = {}
    for node in nodes:
        widths[node.place[0]] = max(widths.get(node.place[0], 0), node.column + 1)
    lanes, first = [], 0
    for host, columns in widths.items():
        lanes.append(Lane(host, first, columns))
        first += columns
    starts = {lane.host: lane.first for lane in lanes}
    for node in nodes:
        node.column += starts[node.place[0]]
    return lanes
