# SPDX-License-Identifier: Apache-2.0
"""Journeys: all records of one packet, over points and hosts, and what they say about where it went.

Groups of flows are independent of each other, so the work is cut into shares that fit into memory.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..packet.identity import IS_FRAGMENT, mix
from .atlas import Atlas
from .outcomes import CONTINUED, DROPPED, ENDED, UNKNOWN, VANISHED, Judge, Trust, appeared, holes, longest
from .steps import Pair, Segment, find_segments
from .tcp import count_retransmissions
from .units import Units, in_order, load, tell_apart
from .ways import Way, find_ways, graph_of

LOSS = np.dtype([("outcome", "u1"), ("why", "u1"), ("last", "<i4"), ("at", "<i4"), ("drop", "<u4"), ("after", "<i4"),
                 ("flow", "<u8")])
_OUTCOMES = 8
_PATHS = 20   # of one group that are reported
Result = tuple[Way, np.ndarray, np.ndarray, int, np.ndarray]


@dataclass
class FlowFound:
    """What became of one flow's packets."""

    packets: int
    bytes: int
    skbs: int
    first: int
    last: int
    outcomes: np.ndarray        # packets by outcome
    unsure: int                 # packets that other packets look like
    retransmitted: int = 0


@dataclass
class Lost:
    """Packets that were lost in the same way."""

    packets: int
    skbs: int
    bytes: int
    first: int
    last: int


@dataclass
class Findings:
    """What one share of the packets shows; shares add up."""

    flows: dict[int, FlowFound] = field(default_factory=dict)
    losses: dict[tuple[int, ...], Lost] = field(default_factory=dict)   # by the values of LOSS
    copies: dict[tuple[int, int], int] = field(default_factory=dict)    # dropped beside an arrival: place, drop
    segments: dict[Pair, Segment] = field(default_factory=dict)
    duplicated: dict[int, int] = field(default_factory=dict)            # place -> packets seen once too often
    holes: dict[str, int] = field(default_factory=dict)
    paths: dict[tuple[int, ...], int] = field(default_factory=dict)     # group, places in their order -> packets
    units: int = 0

    def add(self, other: "Findings") -> None:
        """Add another share's."""
        for flow, found in other.flows.items():
            _add_one(self.flows, flow, found)
        for kind, lost in other.losses.items():
            _add_one(self.losses, kind, lost)
        for pair, segment in other.segments.items():
            self.segments.setdefault(pair, Segment()).add(segment)
        for mine, more in ((self.copies, other.copies), (self.duplicated, other.duplicated), (self.holes, other.holes),
                           (self.paths, other.paths)):
            _add(mine, more)
        self.units += other.units


def _add_one(into: dict, key: Any, more: Any) -> None:
    """Add up two entries: times are widened, everything else is a sum."""
    mine = into.setdefault(key, more)
    if mine is more:
        return
    for name, value in vars(more).items():
        have = getattr(mine, name)
        joined = min(have, value) if name == "first" else max(have, value) if name == "last" else have + value
        setattr(mine, name, joined)


def _add(into: dict, more: dict) -> None:
    for key, count in more.items():
        into[key] = into.get(key, 0) + count


@dataclass
class Setting:
    """What is known beside the rows."""

    atlas: Atlas
    trust: dict[str, Trust]
    flows: np.ndarray            # identity.FLOW, sorted by flow
    partition: np.ndarray        # atlas.PART
    shares: int
    told: dict[int, int] = field(default_factory=dict)   # group -> place where the topology says that it comes in


def explore(setting: Setting, share: int, shares: int) -> Findings:
    """Follow the packets of one share of the groups."""
    units = load(setting.atlas, share, shares, setting.partition)
    out = Findings(units=len(units))
    if not len(units):
        return out
    places = setting.atlas.places
    followed = np.array([place.step or place.drop for place in places])
    received = np.array([place.point in ("dev.rx", "dev.tx") for place in places])
    hosts = {name: number for number, name in enumerate(dict.fromkeys(place.host for place in places))}
    units = tell_apart(units, followed, received)
    units = in_order(units, np.array([hosts[place.host] for place in places]))
    copied, counts = np.unique(units.copies, return_counts=True)
    out.duplicated = dict(zip(copied.tolist(), counts.tolist(), strict=True))
    ways = find_ways(units, places)
    out.segments = find_segments(ways, units, places)
    _judge_all(out, setting, ways, units)
    return out


def _judge_all(out: Findings, setting: Setting, ways: Sequence[Way], units: Units) -> None:
    places, trust = setting.atlas.places, setting.trust
    groups: dict[int, list[Way]] = {}
    for way in ways:
        groups.setdefault(way.group, []).append(way)
    graphs = {group: graph_of(members) for group, members in groups.items()}
    back, multicast = _groups(setting.flows)
    slowest = longest(ways, units)
    results: list[Result] = []
    for group, members in groups.items():
        judge = Judge(units, places, trust, graphs[group], graphs.get(back.get(group, 0)), slowest, group in multicast,
                      setting.told.get(group, -1))
        for found in (holes(members, graphs[group], places), appeared(members, graphs[group], units, places, trust)):
            _add(out.holes, found)
        results += [(way, *judge.judge(way)) for way in members]
        for way in sorted(members, key=lambda way: -way.packets)[:_PATHS]:
            _add(out.paths, {(group, *(way.codes[row] for leg in way.legs for row in leg)): way.packets})
    _copies(out, ways)
    later = _Datagrams(units)
    for place, (way, at, outcome, after, why) in enumerate(results):
        results[place] = (way, at, later.correct(at, outcome), after, why)
    _flows(out, results, units)
    _losses(out, results, units)


def _groups(flows: np.ndarray) -> tuple[dict[int, int], set[int]]:
    """Return (group -> the opposite direction's group, groups that go to many receivers)."""
    back = dict(zip(flows["group"].tolist(), flows["back"].tolist(), strict=True))
    first = flows["target"][:, 0]
    every = (flows["target"][:, :4] == 255).all(axis=1)
    many = np.where(flows["version"] == 6, first == 255, (flows["version"] == 4) & (((first >> 4) == 14) | every))
    return back, set(flows["group"][many].tolist())


def _copies(out: Findings, ways: Sequence[Way]) -> None:
    """Count drops of copies of packets that arrived all the same."""
    for way in ways:
        if way.arrived:
            for code, drop in zip(way.codes, way.drops, strict=True):
                if drop:
                    out.copies[code, drop] = out.copies.get((code, drop), 0) + way.packets




def _flows(out: Findings, results: Sequence[Result], units: Units) -> None:
    starts = np.concatenate([way.starts for way, *_ in results])
    at = np.concatenate([rows for _, rows, *_ in results])
    outcome = np.concatenate([outcomes for _, _, outcomes, *_ in results])
    flows, of = np.unique(units.flow[starts], return_inverse=True)
    table = np.zeros((len(flows), _OUTCOMES), "i8")
    np.add.at(table, (of, outcome), 1)
    packets, skbs = np.bincount(of), np.bincount(of, units.head[starts])
    size, unsure = np.bincount(of, units.bytes[starts]), np.bincount(of, units.unsure[starts])
    first, last = np.full(len(flows), np.iinfo("i8").max), np.full(len(flows), np.iinfo("i8").min)
    np.minimum.at(first, of, units.time[starts])
    np.maximum.at(last, of, units.time[at])
    again = count_retransmissions(units, starts)
    for number, flow in enumerate(flows.tolist()):
        out.flows[flow] = FlowFound(int(packets[number]), int(size[number]), int(skbs[number]), int(first[number]),
                                    int(last[number]), table[number], int(unsure[number]), again.get(flow, 0))


def _losses(out: Findings, results: Sequence[Result], units: Units) -> None:
    parts, rows = [], []
    for way, at, outcome, after, why in results:
        which = np.flatnonzero(np.isin(outcome, (DROPPED, VANISHED, UNKNOWN)))
        if not len(which):
            continue
        part = np.zeros(len(which), LOSS)
        part["outcome"], part["why"], part["after"] = outcome[which], why[which], after
        part["last"] = way.codes[way.last] if way.last >= 0 else -1
        part["at"] = units.place[at[which]]
        part["drop"] = way.drops[way.drop] if way.drop >= 0 else 0
        part["flow"] = units.flow[at[which]]
        parts.append(part)
        rows.append(at[which])
    if not parts:
        return
    table, row = np.concatenate(parts), np.concatenate(rows)
    kinds, of = np.unique(table, return_inverse=True)
    first, last = np.full(len(kinds), np.iinfo("i8").max), np.full(len(kinds), np.iinfo("i8").min)
    np.minimum.at(first, of, units.time[row])
    np.maximum.at(last, of, units.time[row])
    packets, skbs, size = np.bincount(of), np.bincount(of, units.head[row]), np.bincount(of, units.bytes[row])
    for number, kind in enumerate(kinds.tolist()):
        out.losses[kind] = Lost(int(packets[number]), int(skbs[number]), int(size[number]), int(first[number]),
                                int(last[number]))


class _Datagrams:
    """Packets that were cut into fragments, or joined from them, go on under another shape."""

    def __init__(self, units: Units) -> None:
        self._units = units
        kind = units.rows["kind"][units.row]
        piece = kind == IS_FRAGMENT
        self._any = bool(piece.any())
        if not self._any:
            return
        self._piece = piece
        self._identity = mix(units.group, units.rows["ident"][units.row])
        self._seen = {which: _latest(self._identity[piece == which], units.time[piece == which])
                      for which in (False, True)}

    def correct(self, at: np.ndarray, outcome: np.ndarray) -> np.ndarray:
        """Return the outcomes, with CONTINUED for packets that were seen later in the other shape."""
        if not self._any:
            return outcome
        ended = np.isin(outcome, (VANISHED, UNKNOWN, ENDED))
        for which in (False, True):
            known = self._units.rows["ident"][self._units.row[at]] > 0
            rows = np.flatnonzero(ended & known & (self._piece[at] == which))
            keys, latest = self._seen[not which]
            if len(rows) and len(keys):
                place = np.minimum(np.searchsorted(keys, self._identity[at[rows]]), len(keys) - 1)
                on = (keys[place] == self._identity[at[rows]]) & (latest[place] > self._units.time[at[rows]])
                outcome[rows[on]] = CONTINUED
        return outcome


def _latest(keys: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(keys):
        return keys, times
    order = np.lexsort((times, keys))
    last = np.append(keys[order][1:] != keys[order][:-1], True)
    return keys[order][last], times[order][last]

