# SPDX-License-Identifier: Apache-2.0
"""The branch that is the packet, of many packets at once, by what others of their flows show."""
import collections
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..packet.identity import among, mix
from ..packet.places import FAR, NEAR
from .atlas import Layout
from .branches import MIRRORED, ONLY, UNDECIDED, Shown, choose
from .shapes import Shape
from .tree import DROPPED, IN_VM, Leaf, Tree

_MANY = 3       # times as many copies as packets went to a mirror
_MOST = 15      # hosts and devices of one packet that are looked at


@dataclass
class Way:
    """Packets of one shape whose branch is the same."""

    shape: Shape
    which: np.ndarray     # positions among the shape's packets
    leaf: Leaf
    ground: int

    @property
    def packets(self) -> np.ndarray:
        """Return their numbers."""
        return self.shape.packets[self.which]

    def units(self, row: int) -> np.ndarray:
        """Return their units at a row."""
        return self.shape.starts[self.which] + row


def keyed(streams: np.ndarray, number: int) -> np.ndarray:
    """Return keys of streams with a number (of a host, of a device)."""
    return mix(streams, np.full(len(streams), number + 1, "u8"))


def dropped_behind(shape: Shape, leaf: Leaf, layout: Layout) -> bool:
    """Whether a branch that was dropped at the device of another one's VM had fewer hops left: what came there may be
    a copy that was flooded on its way to a router."""
    device, hops = layout.device[shape.place(leaf.row)], shape.sights[leaf.row].hops
    return any(other.kind == DROPPED and layout.device[shape.place(other.mark)] == device
               and shape.sights[other.mark].hops > hops for other in shape.tree.leaves)


def on_the_way(layout: Layout, ways: Iterable[Way], stream: np.ndarray, twins: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return keys of what packets show that got to their destination: of stream and host, to which they came on their
    way; of stream and device, over which they went; of stream and a VM's device, through which a VM routed them; of
    stream and host, to which only copies of them came; of stream and host, where they began. stream: of each packet;
    twins: units of which others look the same: what went elsewhere may have been another one, and no copy."""
    out: tuple[list[np.ndarray], ...] = tuple([np.zeros(0, "u8")] for _ in range(5))
    for way in ways:
        streams = np.unique(stream[way.packets])
        told = np.unique(stream[way.packets[~twins[way.units(0)]]])
        tree = way.shape.tree
        rows = tree.way(way.leaf.row)
        own = {tree.leg_of(row) for row in rows}
        others = set(range(len(tree.legs))) - own
        places = [way.shape.place(row) for row in rows]
        into = [place for place, then in zip(places[:-1], places[1:], strict=True)
                if layout.ends[place] and layout.arrives[then] == NEAR]
        hosts = _came_to(tree, own)
        for keys, some, numbers in ((out[0], streams, hosts),
                                    (out[1], streams, {int(layout.device[place]) for place in places}),
                                    (out[2], streams, {int(layout.device[place]) for place in into}),
                                    (out[3], told, _came_to(tree, others) - hosts),
                                    (out[4], streams, {tree.legs[0].host} - hosts)):
            keys += [keyed(some, number) for number in numbers]
    return tuple(np.unique(np.concatenate(keys)) for keys in out)


def _came_to(tree: Tree, legs: Iterable[int]) -> set[int]:
    """Return the hosts that a packet came to with some of its legs: where its VM lives at the time it need not have."""
    some = [tree.legs[number] for number in legs]
    return {leg.host for leg in some if leg.parent >= 0 or leg.entry == FAR}


def mirrors(layout: Layout, ways: Iterable[Way], places: np.ndarray, twins: np.ndarray, homes: np.ndarray,
            lossy: np.ndarray) -> set[int]:
    """Return the devices to which nothing but copies goes: of packets that arrived, and never by way of them; from
    which nothing ever came. places: at which packets were seen; twins: units of which others look the same, whose way
    may be another one's; homes: devices of VMs that sent; lossy: bool by host, it lost records: where that of the way
    is lost, few may seem to have gone by way of a copy."""
    aside: collections.Counter[int] = collections.Counter()
    passed: collections.Counter[int] = collections.Counter()
    hosts: dict[int, int] = {}
    for way in ways:
        if way.leaf.kind != IN_VM or twins[way.units(0)].all():
            continue
        count = len(way.packets)
        passed.update({int(layout.device[way.shape.place(row)]): count for row in way.shape.tree.way(way.leaf.row)})
        others = [way.shape.place(leaf.row) for leaf in way.shape.tree.leaves if leaf is not way.leaf and leaf.row >= 0]
        some = [place for place in others if layout.taken[place] or (layout.local[place] and layout.ends[place])]
        aside.update({int(layout.device[place]): count for place in some})
        hosts.update((int(layout.device[place]), int(layout.host[place])) for place in some)
    seen = np.unique(places)
    sent = {*layout.device[seen[layout.receives[seen]]].tolist(), *homes.tolist()}
    return {device for device, count in aside.items() if device not in sent and (
        not passed[device] or (lossy[hosts[device]] and _MANY * passed[device] <= count))}


def chosen_ways(layout: Layout, waiting: Iterable[tuple[Shape, np.ndarray, np.ndarray]], stream: np.ndarray,
                home: np.ndarray, known: tuple[np.ndarray, ...], mirrored: Collection[int]) -> list[Way]:
    """Return the ways of packets. waiting: shapes, positions of packets of each, and whether what was dropped for their
    VM's address is a copy; stream, home: of each packet, and the device of its destination; known: see on_the_way;
    mirrored: see mirrors."""
    out = []
    for shape, which, closed in waiting:
        hosts = sorted({leg.host for leg in shape.tree.legs})[:_MOST]
        devices = sorted({int(layout.device[sight.place]) for sight in shape.sights})[:_MOST]
        streams, homes = stream[shape.packets[which]], home[shape.packets[which]]
        asked = (hosts, devices, devices, hosts, [shape.tree.legs[0].host])
        asked = asked if (homes >= 0).any() else ([],) * 5   # else they do not matter
        shown = [[among(keyed(streams, number), keys) for number in numbers]
                 for numbers, keys in zip(asked, known, strict=True)]
        code = homes.astype("u8")
        for column in (closed, *itertools.chain(*shown)):
            code = mix(code, column.astype("u8"))
        _, first, of = np.unique(code, return_index=True, return_inverse=True)
        for number, one in enumerate(first.tolist()):
            to, by, through, strange, began = (
                {value for value, column in zip(numbers, columns, strict=True) if column[one]}
                for numbers, columns in zip(asked, shown, strict=True))
            others = Shown(to | began, by, through, strange, mirrored)
            chosen = choose(shape.tree, shape.sights, layout, int(homes[one]), others, bool(closed[one]))
            out.append(Way(shape, which[of == number], chosen.leaf, chosen.ground))
    return out


def but_copies(layout: Layout, ways: Sequence[Way], others: Sequence[Way], stream: np.ndarray) -> Iterator[Way]:
    """Yield the ways; a branch that went to a VM, and is the packet only because there is no other to speak of, is in
    doubt where others of its stream had more branches beside the one to this VM: that may have been a copy."""
    keys = [np.zeros(0, "u8")]
    for way in (*others, *ways):
        leaves = way.shape.tree.single()
        if len(leaves) > 1:
            streams = np.unique(stream[way.packets])
            keys += [keyed(streams, int(layout.device[way.shape.place(leaf.row)]))
                     for leaf in leaves if leaf.kind == IN_VM]
    copied = np.unique(np.concatenate(keys))
    for way in ways:
        if way.ground not in (ONLY, MIRRORED) or way.leaf.kind != IN_VM:
            yield way
            continue
        doubted = among(keyed(stream[way.packets], int(layout.device[way.shape.place(way.leaf.row)])), copied)
        for ground, some in ((way.ground, ~doubted), (UNDECIDED, doubted)):
            if some.any():
                yield Way(way.shape, way.which[some], way.leaf, ground)
