# SPDX-License-Identifier: Apache-2.0
"""The ways between two addresses as one graph: places, the steps between them, and where packets were lost."""
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ...findings.names import ends_of
from ..basis import about

_PLACES = 60     # of one graph
_HOSTS = 8       # of one graph, of those where packets were lost beside the ways
_LOSSES = 5      # at one place
Place = tuple[str, str, str]    # host, device, point
_Key = tuple[Place, int]        # the n-th time that a way comes there


@dataclass
class Loss:
    """Packets that were lost behind a place, all in one way."""

    kind: str          # drop, vanished
    certainty: str
    words: list[str]   # where, and why
    packets: int = 0
    sentence: int | None = None    # of the verdict
    idle: bool = False             # harmless, or of copies


@dataclass
class Node:
    """A place on the ways; or a loss."""

    place: Place
    loss: Loss | None = None
    row: int = 0
    column: int = 0


@dataclass
class Edge:
    """A step."""

    packets: int = 0
    own: bool = False    # on the packet's own branch


@dataclass
class Graph:
    """The ways between two addresses."""

    addresses: str
    packets: int = 0
    nodes: list[Node] = field(default_factory=list)
    edges: dict[tuple[int, int], Edge] = field(default_factory=dict)
    left_out: int = 0    # packets of ways for which there is no room
    losses: int = 0      # packets
    _known: dict[_Key, int] = field(default_factory=dict)

    def add(self, path: Mapping[str, Any]) -> bool:
        """Add a way; return False if it goes against one that is there."""
        way = list(_way(path))
        fresh = list(dict.fromkeys(key for key, _, _ in way if key not in self._known))
        if len(self._known) + len(fresh) > _PLACES:
            self.left_out += path["packets"]
            return True
        numbers = {**self._known, **{key: len(self.nodes) + number for number, key in enumerate(fresh)}}
        steps = {(numbers[before], numbers[key]): own for key, before, own in way if before}
        if not _is_acyclic([*self.edges, *steps]):
            return False
        self._known = numbers
        self.nodes += [Node(place) for place, _ in fresh]
        self.packets += path["packets"]
        for step, own in steps.items():
            edge = self.edges.setdefault(step, Edge())
            edge.packets += path["packets"]
            edge.own |= own
        return True

    def lose(self, place: Place, loss: Loss) -> None:
        """Add a loss behind a place."""
        known = [key for key in self._known if key[0] == place]
        if not known:
            hosts = {node.place[0] for node in self.nodes} | {place[0]}
            if len(self._known) >= _PLACES or len(hosts) > _HOSTS:
                self.left_out += loss.packets
                return
            known = [(place, 0)]
            self._known[known[0]] = len(self.nodes)
            self.nodes.append(Node(place))
        before = self._known[max(known, key=lambda key: key[1])]
        self.losses += 0 if loss.idle else loss.packets
        self.edges[before, len(self.nodes)] = Edge(loss.packets, not loss.idle)
        self.nodes.append(Node((place[0], "", ""), loss))


def graphs(summary: Mapping[str, Any]) -> list[Graph]:
    """Return a graph for each pair of addresses, those with losses first, then those of most packets."""
    out: dict[str, list[Graph]] = {}
    for path in summary["paths"]:
        same = out.setdefault(path["addresses"], [Graph(path["addresses"])])
        if not any(graph.add(path) for graph in same):
            same.append(Graph(path["addresses"]))
            if not same[-1].add(path):    # copies that passed the same places in another order: the packet alone
                same[-1].add(dict(path, branches=None))
    for (addresses, place), losses in _losses(summary).items():
        same = out.setdefault(addresses, [Graph(addresses)])
        graph = next((one for one in same if any(node.place == place for node in one.nodes)), same[0])
        for loss in losses:
            graph.lose(place, loss)
    every = [graph for same in out.values() for graph in same if graph.nodes]
    pairs: dict[tuple[str, ...], tuple[bool, int]] = {}    # both directions stand together
    for graph in every:
        lost, packets = pairs.get(_pair(graph), (False, 0))
        pairs[_pair(graph)] = lost or graph.losses > 0, max(packets, graph.packets)
    return sorted(every, key=lambda graph: (not pairs[_pair(graph)][0], -pairs[_pair(graph)][1], _pair(graph),
                                            not graph.losses, -graph.packets))


def _pair(graph: Graph) -> tuple[str, ...]:
    return tuple(sorted(graph.addresses.split(" > ")))


def _way(path: Mapping[str, Any]) -> Iterator[tuple[_Key, _Key | None, bool]]:
    """Yield each place of a way, the one before it, and whether it is on the packet's own branch."""
    nodes = path.get("branches") or [dict(place, before=number - 1 if number else None, own=True)
                                     for number, place in enumerate(path["places"])]
    ways: list[list[Place]] = []
    for node in nodes:
        place = node["host"], node["device"], node["point"]
        ways.append([*(ways[node["before"]] if node["before"] is not None else []), place])
        before = ways[-1][:-1]
        yield ((place, before.count(place)),
               (before[-1], before[:-1].count(before[-1])) if before else None, bool(node["own"]))


def _is_acyclic(edges: Iterable[tuple[int, int]]) -> bool:
    sorter: TopologicalSorter[int] = TopologicalSorter()
    for one, two in edges:
        sorter.add(two, one)
    try:
        sorter.prepare()
    except CycleError:
        return False
    return True


def _losses(summary: Mapping[str, Any]) -> dict[tuple[str, Place], list[Loss]]:
    """Return the losses by addresses and last place, most packets first."""
    sentences: dict[str, int] = {}
    for number, basis in enumerate(summary["basis"]):
        sentences.setdefault(json.dumps(basis["about"]), number)
    found: dict[tuple[str, Place], dict[str, Loss]] = {}
    for loss in [*summary["losses"], *summary["copies"]]:
        key = json.dumps([about(loss), loss["of"]])
        at = ends_of(loss["flow"]), _last(loss)
        same = found.setdefault(at, {}).setdefault(key, Loss(
            loss["kind"], loss["certainty"], _words(loss), 0, sentences.get(json.dumps(about(loss))),
            bool(loss.get("harmless") or loss["of"] == "copy")))
        same.packets += loss["wire_packets"]
    return {at: _most(list(losses.values())) for at, losses in found.items()}


def _last(loss: Mapping[str, Any]) -> Place:
    last = loss["between"][0] if loss["kind"] == "vanished" else loss.get("last_seen") or loss
    return last["host"], last["device"], last["point"]


def _words(loss: Mapping[str, Any]) -> list[str]:
    if loss["kind"] == "drop":
        return [part for part in (loss["function"] or loss["point"], loss["reason"]) if part]
    one, two = loss["between"]
    return ["toward %s %s" % (two["host"], two["device"]) if one != two else "nothing behind it"]


def _most(losses: Sequence[Loss]) -> list[Loss]:
    """Return the losses at one place, the small ones summed."""
    ordered = sorted(losses, key=lambda loss: (loss.idle, -loss.packets))
    if len(ordered) <= _LOSSES:
        return ordered
    rest = ordered[_LOSSES - 1:]
    return [*ordered[:_LOSSES - 1], Loss("other", max(loss.certainty for loss in rest), ["in %d ways" % len(rest)],
                                         sum(loss.packets for loss in rest))]
