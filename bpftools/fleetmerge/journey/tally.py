# SPDX-License-Identifier: Apache-2.0
"""From the outcome of each packet to what a part shows: flows, losses, steps, paths."""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..packet.identity import IS_FRAGMENT, IS_TCP, among, mix
from . import grounds
from .atlas import Layout
from .branching import branching
from .bursts import bursts_of
from .chains import INITIAL_HOPS
from .choosing import Way
from .evidence import NOWHERE
from .found import (
    ARRIVED,
    CONTINUED,
    DROPPED,
    ENDED,
    FLOW_FOUND,
    LEFT,
    LOSS,
    OF_BRANCH,
    OF_COPY,
    OF_PACKET,
    UNKNOWN,
    VANISHED,
    Findings,
    Lost,
    add_flows,
)
from .holes import unrecorded
from .keepalives import keepalives
from .outcomes import Facts
from .packets import Packets
from .sampled import alone, clusters, drawn
from .shapes import Shape
from .steps import Pair, Step

_PATHS = 20        # of one part that are reported
_SAMPLES = 3
# of a packet that was cut on the way, the worst that became of its pieces counts
_SEVERITY = np.array([0, 1, 2, 6, 5, 4, 3, 0], "u1")


@dataclass
class Results:
    """What became of each packet, by its number."""

    outcome: np.ndarray   # u1
    unit: np.ndarray      # i8: where it was seen last, or dropped
    gaps: np.ndarray      # u4
    ground: np.ndarray    # u1: see branches.py
    last: np.ndarray      # i4: the last place on its way, -1 if only a drop was seen
    after: np.ndarray     # i4: where it should have been seen next, or -1
    how: np.ndarray       # i1: how it was seen last, where that is still to be judged; -1: settled

    @classmethod
    def empty(cls, count: int) -> "Results":
        """Return nothing known of `count` packets."""
        return cls(np.full(count, ENDED, "u1"), np.zeros(count, "i8"), np.zeros(count, "u4"), np.zeros(count, "u1"),
                   np.full(count, NOWHERE, "i4"), np.full(count, NOWHERE, "i4"), np.full(count, -1, "i1"))

    def put(self, packets: np.ndarray, outcome: int, unit: np.ndarray, gaps: Any, ground: int, last: int) -> None:
        """Settle packets."""
        self.outcome[packets], self.unit[packets], self.gaps[packets] = outcome, unit, gaps
        self.ground[packets], self.last[packets], self.how[packets] = ground, last, -1

    def wait(self, packets: np.ndarray, unit: np.ndarray, how: int, gaps: int, ground: int) -> None:
        """Leave packets for later."""
        self.unit[packets], self.how[packets], self.gaps[packets], self.ground[packets] = unit, how, gaps, ground


@dataclass
class Extra:
    """Drops beside the outcomes: of copies, of single receivers, of branches of which nobody knows what they are."""

    kind: int
    packets: np.ndarray
    units: np.ndarray     # of the drops
    last: int
    gaps: int


@dataclass
class Judged:
    """What became of all packets of one part, and what was found of them side by side."""

    packets: Packets
    origin: np.ndarray    # the first unit of each packet
    results: Results
    extras: list[Extra]
    shapes: list[Shape]
    ways: list[Way]
    counts: np.ndarray    # bool by packet: it is one, not a piece of one
    asks: np.ndarray      # bool by packet: a keep-alive
    before: np.ndarray    # i4 by packet: how often the same was sent before; of TCP: the same bytes
    holes: dict[int, int]     # host -> packets that it must have seen, unrecorded


def finish(packets: Packets, origin: np.ndarray, results: Results, extras: Sequence[Extra], shapes: Sequence[Shape],
           ways: Sequence[Way], layout: Layout, facts: Facts) -> Judged:
    """Return what became of all packets, now that all are known; results are changed."""
    counts = packets.units.lead[origin].copy()
    _join_pieces(packets, origin, results, counts)
    _continue(packets, origin, results)
    _doubt_cut(packets, origin, results)
    taken_back = _doubt_arrivals(packets, origin, results, layout, [shape for shape in shapes if shape.tree.doubles])
    asks = np.zeros(len(origin), bool)
    asks[counts] = keepalives(packets, origin[counts])
    return Judged(packets, origin, results, list(_doubted(extras, taken_back)), list(shapes), list(ways), counts, asks,
                  _sent_before(packets, origin, asks), unrecorded(packets, origin, shapes, layout, facts))


def tally(judged: Judged, steps: dict[Pair, Step], layout: Layout) -> Findings:
    """Return the part's findings."""
    packets, origin, results, counts = judged.packets, judged.origin, judged.results, judged.counts
    out = Findings(steps=steps, holes=dict(judged.holes))
    beside = alone(packets.units, packets.starts)
    results.gaps[beside & (results.outcome == DROPPED)] |= np.uint32(grounds.SAMPLED.bit)
    if packets.units.draw is not None:
        out.drawn = drawn(packets.units, origin[counts & ~beside])
    out.flows = _flows(judged, beside)
    _losses(out, packets, origin, results, counts)
    for extra in judged.extras:
        _add_extra(out, packets, origin, extra, counts)
    for shape in judged.shapes:
        for row in shape.tree.doubles:
            place = shape.place(row)
            out.doubled[place] = out.doubled.get(place, 0) + len(shape.packets)
        for place in shape.tree.loops(shape.sights):
            out.loops[place] = out.loops.get(place, 0) + len(shape.packets)
    _paths(out, packets, origin, judged.ways, layout, counts & ~beside)
    return out


def _doubted(extras: Sequence[Extra], taken_back: np.ndarray) -> Iterator[Extra]:
    """Yield the extras, those dropped as copies of packets whose arrival was taken back as what they may be then."""
    for extra in extras:
        back = np.isin(extra.packets, taken_back) if extra.kind == OF_COPY else np.zeros(len(extra.packets), bool)
        for some, kind, gaps in ((~back, extra.kind, extra.gaps), (back, OF_BRANCH, grounds.UNDECIDED.bit)):
            if some.any():
                yield replace(extra, kind=kind, packets=extra.packets[some], units=extra.units[some], gaps=gaps)


def _doubt_arrivals(packets: Packets, origin: np.ndarray, results: Results, layout: Layout,
                    doubled: Sequence[Shape]) -> np.ndarray:
    """Take back that packets arrived where what arrived may be something else; return of which. doubled: shapes of
    packets that came to a host once more."""
    arrived = results.outcome == ARRIVED
    # where packets are doubled on their way, as many as were sent may have come though some were lost; so, too, where
    # one may have come that was not seen to be sent
    key = packets.units.key
    doubles = any(not packets.twins[shape.starts[0]] for shape in doubled) or among(key[origin], np.unique(
        np.concatenate([np.zeros(0, "u8"), *(key[shape.starts] for shape in doubled)])))
    equal = arrived & packets.twins[origin] & (
        packets.loose[origin] | doubles | (packets.double[origin] & (len(doubled) > 0)))
    results.outcome[equal] = UNKNOWN
    results.outcome[arrived & packets.stray[origin]] = ENDED    # a part of one packet is no other
    flooded = _flooded(packets, origin, results, layout)
    results.outcome[flooded] = ENDED
    return np.append(np.flatnonzero(equal), flooded)


def _flooded(packets: Packets, origin: np.ndarray, results: Results, layout: Layout) -> np.ndarray:
    """Return the packets that came to their VM only as a bridge flooded them, before the router that most others of the
    flow came by: such a frame is addressed to the router, and the VM does not take it."""
    units = packets.units
    hops = units.rows["ttl"][units.row]
    device = layout.device[units.rows["place"][units.row]]
    which = np.repeat(np.arange(len(origin)), np.diff(np.append(packets.starts, len(units))))
    spent = (device == device[results.unit][which]) & (hops > 0) & ~np.isin(hops, INITIAL_HOPS)
    some = np.flatnonzero(results.outcome == ARRIVED)
    by_router = np.bincount(which, spent, len(origin))[some] > 0
    first = units.row[origin[some]]
    _, stream = np.unique(mix(units.rows["flow"][first], units.rows["network"][first]), return_inverse=True)
    routed = 2 * np.bincount(stream, by_router) > np.bincount(stream)
    return some[routed[stream] & ~by_router]


def _join_pieces(packets: Packets, origin: np.ndarray, results: Results, counts: np.ndarray) -> None:
    """A packet that was cut smaller on its way, by TCP's bytes, is lost if any piece is; pieces are no packets."""
    pieces = np.flatnonzero(~counts)
    if not len(pieces):
        return
    units = packets.units
    whole = mix(units.row[origin].astype("u8"), units.number[origin])
    order = np.lexsort((~counts, whole))      # in each run the lead, then the pieces
    runs = np.flatnonzero(np.append(True, whole[order][1:] != whole[order][:-1]))
    length = np.diff(np.append(runs, len(order)))
    rank = _SEVERITY[results.outcome[order]].astype("i8") * len(order) - np.arange(len(order))
    worst = -(np.maximum.reduceat(rank, runs) % -len(order))
    cut = length > 1
    source, target = order[worst[cut]], order[runs[cut]]
    for name in ("outcome", "unit", "gaps", "ground", "last", "after"):
        column = getattr(results, name)
        column[target] = column[source]
    counts[order[runs]] = True    # of a piece whose lead was not seen, it counts itself


def _continue(packets: Packets, origin: np.ndarray, results: Results) -> None:
    """Packets that were cut into fragments, or joined from them, go on under another shape."""
    units = packets.units
    rows = units.rows
    first = units.row[origin]
    piece = rows["kind"][first] == IS_FRAGMENT
    if not piece.any():
        return
    identity = mix(rows["group"][units.row], units.ident)
    kind = rows["kind"][units.row] == IS_FRAGMENT
    time = rows["time"][units.row]
    ended = np.isin(results.outcome, (VANISHED, UNKNOWN, ENDED)) & (units.ident[origin] > 0)
    for which in (False, True):
        keys, latest = _latest(identity[kind != which], time[kind != which])
        some = np.flatnonzero(ended & (piece == which))
        if len(some) and len(keys):
            own = identity[results.unit[some]]
            at = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
            on = (keys[at] == own) & (latest[at] > time[results.unit[some]])
            results.outcome[some[on]] = CONTINUED


def _doubt_cut(packets: Packets, origin: np.ndarray, results: Results) -> None:
    """Doubt that a packet was lost with a drop on the host that cut it into fragments, where it was dropped in another
    skb than it came in: that may be a copy's, made before."""
    units = packets.units
    piece = units.rows["kind"][units.row] == IS_FRAGMENT
    if not piece.any():
        return
    dropped = np.flatnonzero((results.outcome == DROPPED) & (units.ident[origin] > 0) & ~piece[origin])
    if not len(dropped):
        return
    host = units.host[units.row]
    identity = mix(mix(units.rows["group"][units.row], units.ident), host.astype("u8") + np.uint64(1))
    unit = results.unit[dropped]
    visits = np.flatnonzero(np.append(True, (packets.packet[1:] != packets.packet[:-1]) | (host[1:] != host[:-1])))
    came = visits[np.searchsorted(visits, unit, "right") - 1]
    cut = among(identity[unit], np.unique(identity[piece])) & (packets.chain[unit] != packets.chain[came])
    results.gaps[dropped[cut]] |= np.uint32(grounds.UNDECIDED.bit)


def _latest(keys: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(keys):
        return keys, times
    order = np.lexsort((times, keys))
    last = np.append(keys[order][1:] != keys[order][:-1], True)
    return keys[order][last], times[order][last]


def _flows(judged: Judged, beside: np.ndarray) -> np.ndarray:
    packets, origin, results = judged.packets, judged.origin, judged.results
    units = packets.units
    rows = units.rows
    one = np.flatnonzero(judged.counts)
    at = origin[one]
    first = units.row[at]
    out = np.zeros(len(one), FLOW_FOUND)
    out["flow"], out["network"] = rows["flow"][first], rows["network"][first]
    out["packets"], out["unsure"] = 1, packets.unsure[at]
    out["skbs"] = units.number[at] == 0
    out["bytes"] = bytes_of(packets, at)
    out["first"], out["last"] = rows["time"][first], rows["time"][units.row[results.unit[one]]]
    out["asks"], out["beside"] = judged.asks[one], beside[one]
    out["again"] = ((rows["kind"][first] == IS_TCP) & (units.size[at] > 0)
                    & (packets.packet[at] != units.key[at]) & (out["asks"] == 0))
    out["became"][np.arange(len(one)), results.outcome[one]] = 1
    return add_flows([out])


def bytes_of(packets: Packets, at: np.ndarray) -> np.ndarray:
    """Return each packet's bytes from the network header on."""
    units = packets.units
    rows, row = units.rows, units.row[at]
    header = np.where(units.number[at] == 0, rows["bytes"][row].astype("i8") - rows["size"][row], 0)
    return header + units.size[at]


def _losses(out: Findings, packets: Packets, origin: np.ndarray, results: Results, counts: np.ndarray) -> None:
    lost = np.flatnonzero(np.isin(results.outcome, (DROPPED, VANISHED, UNKNOWN)) & counts
                          & ((results.outcome == DROPPED) | (results.after >= 0)))
    table = np.zeros(len(lost), LOSS)
    for name in ("outcome", "gaps", "ground", "last", "after"):
        table[name] = getattr(results, name)[lost]
    table["kind"] = OF_PACKET
    _collect(out, packets, origin, table, lost, results.unit[lost])


def _add_extra(out: Findings, packets: Packets, origin: np.ndarray, extra: Extra, counts: np.ndarray) -> None:
    lead = counts[extra.packets]
    some = extra.packets[lead]
    table = np.zeros(len(some), LOSS)
    table["outcome"], table["kind"], table["gaps"] = DROPPED, extra.kind, extra.gaps
    table["last"], table["after"] = extra.last, NOWHERE
    _collect(out, packets, origin, table, some, extra.units[lead])


def _collect(out: Findings, packets: Packets, origin: np.ndarray, table: np.ndarray, which: np.ndarray,
             unit: np.ndarray) -> None:
    """Add losses that are alike. which: the packets; unit: where each was seen last or dropped."""
    if not len(table):
        return
    units = packets.units
    rows = units.rows
    row, first = units.row[unit], units.row[origin[which]]
    table["at"] = rows["place"][row]
    table["drop"] = np.where(table["outcome"] == DROPPED, rows["drop"][row], 0)
    table["flow"], table["network"] = rows["flow"][first], rows["network"][first]
    kinds, of = np.unique(table, return_inverse=True)
    time = rows["time"][row]
    earliest, latest = np.full(len(kinds), np.iinfo("i8").max), np.full(len(kinds), np.iinfo("i8").min)
    np.minimum.at(earliest, of, time)
    np.maximum.at(latest, of, time)
    count = np.bincount(of)
    skbs = np.bincount(of, units.number[unit] == 0)
    size = np.bincount(of, bytes_of(packets, unit))
    order = np.lexsort((time, of))
    ends = np.cumsum(count)
    bursts = bursts_of(of[order], time[order], len(kinds))
    squares, largest = clusters(units, origin[which], of, len(kinds))
    for number, kind in enumerate(kinds.tolist()):
        sample = order[ends[number] - count[number]:ends[number]][:_SAMPLES]
        lost = Lost(int(count[number]), int(skbs[number]), int(size[number]), int(earliest[number]),
                    int(latest[number]), sorted(packets.packet[origin[which[sample]]].tolist()), bursts[number],
                    int(squares[number]), int(largest[number]))
        if kind in out.losses:
            out.losses[kind].add(lost)
        else:
            out.losses[kind] = lost


def _sent_before(packets: Packets, origin: np.ndarray, asks: np.ndarray) -> np.ndarray:
    """Return how often something that cannot be told from each packet but by time or IP id was sent before it. An
    acknowledgement alone that is like another one, or a keep-alive, sends nothing again."""
    key = packets.units.key[origin]
    again = packets.packet[origin] != key
    out = np.zeros(len(origin), "i4")
    if again.any():
        some = np.flatnonzero(among(key, np.unique(key[again])))
        time = packets.units.rows["time"][packets.units.row[origin[some]]]
        order = some[np.lexsort((time, key[some]))]
        new = np.append(True, key[order][1:] != key[order][:-1])
        out[order] = np.arange(len(order)) - np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    tcp = packets.units.rows["kind"][packets.units.row[origin]] == IS_TCP
    out[asks | (tcp & (packets.units.size[origin] == 0))] = 0
    return out


def _paths(out: Findings, packets: Packets, origin: np.ndarray, ways: Sequence[Way], layout: Layout,
           whole: np.ndarray) -> None:
    groups = packets.units.rows["group"][packets.units.row[origin]]
    found: dict[tuple[int, ...], int] = {}
    trees: dict[tuple[int, ...], tuple[int, Any]] = {}
    for way in ways:
        places = [way.shape.place(row) for row in way.shape.tree.way(way.leaf.row)]
        if not places:      # it was seen as it was dropped, and nowhere else
            continue
        which, counts = np.unique(groups[way.packets][whole[way.packets]], return_counts=True)
        most = np.argsort(-counts, kind="stable")[:_PATHS]
        for group, count in zip(which[most].tolist(), counts[most].tolist(), strict=True):
            key = (group, *places)
            found[key] = found.get(key, 0) + count
            if count > trees.get(key, (0,))[0]:
                trees[key] = count, way
    for key in sorted(found, key=lambda key: (-found[key], key))[:10 * _PATHS]:
        out.paths[key] = found[key]
        count, way = trees[key]
        out.trees[key] = count, branching(way, layout)


__all__ = ["Extra", "Judged", "LEFT", "Results", "bytes_of", "finish", "tally"]
