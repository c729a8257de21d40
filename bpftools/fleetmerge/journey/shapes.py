# SPDX-License-Identifier: Apache-2.0
"""Shapes: packets that were seen at the same places in the same order, in chains that hang together alike. Each shape's
tree is made once."""
from dataclasses import dataclass

import numpy as np

from ..packet.identity import FOR_IT, FOR_OTHERS, mix
from .atlas import Layout
from .chains import FREED
from .packets import Packets
from .tree import Sight, Tree
from .trees import make_tree

_SAMPLE = 1000   # packets of a shape from which the order of its legs is taken


@dataclass
class Shape:
    """Packets that look alike."""

    sights: list[Sight]
    tree: Tree
    packets: np.ndarray    # their numbers
    starts: np.ndarray     # the first unit of each

    def units(self, row: int) -> np.ndarray:
        """Return the units at one row of all packets."""
        return self.starts + row

    def place(self, row: int) -> int:
        """Return the place of a row."""
        return self.sights[row].place


def find_shapes(packets: Packets, layout: Layout, bounds: np.ndarray) -> list[Shape]:
    """Return all shapes; bounds: f8[host, host], by how much their clocks may be apart (ns)."""
    starts = packets.starts
    if not len(starts):
        return []
    units = packets.units
    rows = units.rows
    length = np.diff(np.append(starts, len(units)))
    of = np.repeat(np.arange(len(starts)), length)
    position = np.arange(len(units)) - starts[of]
    # a tree shows where a packet was dropped; why is each packet's own
    place, drop = rows["place"][units.row], (rows["drop"][units.row] > 0).astype("u4")
    hops = rows["ttl"][units.row].astype("i4")
    spent = np.maximum.reduceat(hops, starts)[of] - hops
    tagged = units.tagged[units.row]
    fixed = rows["fixed"][units.row]
    freed = (fixed & FREED) > 0
    aim = ((fixed & FOR_IT) > 0).astype("i1") - ((fixed & FOR_OTHERS) > 0)
    chain, head = packets.chain - starts[of], packets.head - starts[of]
    look = mix(place.astype("u8") | (drop.astype("u8") << np.uint64(32)),
               mix((chain.astype("u8") << np.uint64(32)) | head.astype("u8"),
                   (packets.leg.astype("u8") << np.uint64(16)) | (spent.astype("u8") << np.uint64(5))
                   | ((aim + 1).astype("u8") << np.uint64(3)) | (freed.astype("u8") << np.uint64(2)) | tagged))
    shape = mix(np.add.reduceat(mix(look, position), starts), length)
    _, first, kind, counts = np.unique(shape, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(kind, kind="stable")
    ends = np.cumsum(counts)
    out = []
    time = rows["time"][units.row]
    for one, end, count in zip(first.tolist(), ends.tolist(), counts.tolist(), strict=True):
        members = order[end - count:end]
        begin, many = int(starts[one]), int(length[one])
        some = starts[members[:: max(1, count // _SAMPLE)]]
        when = (time[some[:, None] + np.arange(many)] - time[some][:, None]).mean(axis=0)
        here = slice(begin, begin + many)
        sights = [Sight(*values) for values in zip(
            place[here].tolist(), drop[here].tolist(), chain[here].tolist(), head[here].tolist(),
            packets.leg[here].tolist(), spent[here].tolist(), freed[here].tolist(), when.tolist(),
            tagged[here].tolist(), aim[here].tolist(), strict=True)]
        out.append(Shape(sights, make_tree(sights, layout, bounds), members, starts[members]))
    return out
