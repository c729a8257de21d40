# SPDX-License-Identifier: Apache-2.0
"""Packets that a host must have seen and did not record: they came in, or went out, unseen."""
from collections.abc import Iterable, Sequence

import numpy as np

from ..packet.identity import IS_FRAGMENT, among, mix
from ..packet.places import FAR
from .atlas import Layout
from .outcomes import Facts
from .packets import Packets
from .shapes import Shape
from .tree import FREED, OPEN

_EDGE = 200e6     # ns: what is that near to the end of a host's window may have come, or gone on, outside it


def unrecorded(packets: Packets, origin: np.ndarray, shapes: Sequence[Shape], layout: Layout,
               facts: Facts) -> dict[int, int]:
    """Return how many packets each host, by its number, must have seen unrecorded, of those that others do not look
    like. origin: the first unit of each packet."""
    out: dict[int, int] = {}
    told, time = _told(packets, origin), packets.units.rows["time"]
    for shape in shapes:
        for row in _odd_ends(shape):
            host = int(layout.host[shape.place(row)])
            when = time[packets.units.row[shape.units(row)]]
            inside = (when - _EDGE > facts.start[host]) & (when + _EDGE < facts.end[host])
            count = int((told[shape.packets] & inside).sum())
            if count:
                out[host] = out.get(host, 0) + count
    return out


def _odd_ends(shape: Shape) -> Iterable[int]:
    """Yield the rows at which packets turned up on a host, or were seen last, with the record before or behind missing.
    """
    tree = shape.tree
    for leg in tree.legs:
        if leg.joint >= 0 and leg.entry == 0:
            yield leg.first
    strangers = {tree.legs[number].host for number in tree.orphans if tree.legs[number].entry == FAR}
    if strangers:
        for leaf in tree.leaves:
            if leaf.kind in (OPEN, FREED) and tree.legs[leaf.leg].host not in strangers and leaf.row >= 0:
                yield leaf.row


def _told(packets: Packets, origin: np.ndarray) -> np.ndarray:
    """Return which packets' records are theirs alone: no other looks the same, and no fragments were made of them, as
    which they may have come in, or gone out, unseen."""
    units = packets.units
    identity = mix(units.rows["group"][units.row], units.ident)
    fragment = units.rows["kind"][units.row] == IS_FRAGMENT
    cut = among(identity[origin], np.unique(identity[fragment])) if fragment.any() else np.zeros(len(origin), bool)
    return ~(packets.twins[origin] | packets.unsure[origin] | packets.stray[origin] | cut)
