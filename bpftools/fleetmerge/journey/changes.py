# SPDX-License-Identifier: Apache-2.0
"""The ways by which the packets of a flow arrived, where there was more than one, and from when to when."""
from collections.abc import Sequence

import numpy as np

from ..packet.identity import among, mix
from .atlas import Layout
from .found import ARRIVED, Used
from .packets import Packets
from .tally import Results
from .ways import Way

MOST = 1000     # ways of one part that are kept, those with most packets


def ways_used(packets: Packets, origin: np.ndarray, results: Results, ways: Sequence[Way], layout: Layout,
              apart: np.ndarray) -> dict[tuple[int, ...], Used]:
    """Return (flow, network, places) -> when it was used.

    apart: groups of which other parts have packets, too; their flows may have other ways there.
    """
    known: dict[tuple[int, ...], int] = {}
    sign = np.full(len(origin), -1, "i8")
    for way in ways:
        places = _devices(way, layout)
        if places:
            sign[way.packets] = known.setdefault(places, len(known))
    rows, row = packets.units.rows, packets.units.row[origin]
    some = np.flatnonzero((results.outcome == ARRIVED) & (sign >= 0) & ~packets.unsure[origin]
                          & packets.units.lead[origin])
    flow, network = rows["flow"][row[some]], rows["network"][row[some]]
    stream = mix(flow, network)
    order = np.lexsort((sign[some], stream))
    some, stream = some[order], stream[order]
    new = np.append(True, (stream[1:] != stream[:-1]) | (sign[some][1:] != sign[some][:-1]))[:len(some)]
    starts = np.flatnonzero(new)
    several = _several(stream[starts]) | among(rows["group"][row[some[starts]]], apart)
    if not several.any():
        return {}
    count = np.diff(np.append(starts, len(some)))
    time = rows["time"][row[some]]
    first, last = np.minimum.reduceat(time, starts), np.maximum.reduceat(time, starts)
    chosen = np.flatnonzero(several)
    chosen = chosen[np.argsort(-count[chosen], kind="stable")[:MOST]]
    places_of = list(known)
    at = some[starts[chosen]]
    return {(one, net, *places_of[which]): used for one, net, which, used in zip(
        rows["flow"][row[at]].tolist(), rows["network"][row[at]].tolist(), sign[at].tolist(),
        zip(first[chosen].tolist(), last[chosen].tolist(), count[chosen].tolist(), strict=True), strict=True)}


def _devices(way: Way, layout: Layout) -> tuple[int, ...]:
    """Return the places at which the way comes to another device: whether a packet was looked at in between, or was
    asked about, makes no other way."""
    out: list[int] = []
    for row in way.shape.tree.way(way.leaf.row):
        place = way.shape.place(row)
        if (layout.receives[place] or layout.taken[place]) and (
                not out or layout.device[out[-1]] != layout.device[place]):
            out.append(place)
    return tuple(out)


def _several(streams: np.ndarray) -> np.ndarray:
    """Return which values, sorted, are there more than once."""
    same = streams[1:] == streams[:-1]
    return (np.append(same, False) | np.append(False, same))[:len(streams)]
