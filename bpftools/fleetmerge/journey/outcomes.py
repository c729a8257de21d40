# SPDX-License-Identifier: Apache-2.0
"""What became of each packet: arrived, dropped, vanished between two places, or unknown, and why.

"It never arrived" is said only when the next place's host was recording at that moment, and lost no records.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..packet.places import Place
from .units import Units
from .ways import Graph, Way

ARRIVED, ENDED, LEFT, DROPPED, VANISHED, UNKNOWN, IN_FLIGHT, CONTINUED = range(8)
NAMES = ("arrived", "ended", "left", "dropped", "vanished", "unknown", "in_flight", "continued")
NO_WHY, ALIKE, EARLY, LATE, CLOCKS = range(5)   # why an outcome is unknown
_PATIENCE = 20e6   # ns that a packet may take where nobody knows how long it takes, before it is missing
_HASTE = 5e6       # ns that it may take at least where others were quick
_FARTHEST = 2e9    # ns that clocks of which nothing is known may be apart: a capture corrects what is further off
_EDGE = 0.05       # of the window: if the clocks can be further apart, its ends are no mere edges
_SHORTCUT = 0.2    # a step that this part of the packets make, past a place where the others were seen, is a hole


@dataclass
class Trust:
    """What is known of one host's records."""

    start: float             # wall ns on the one clock: from when on its records are complete
    end: float
    bound: float             # ns; its clock against the others
    late: bool = False       # it began after the others
    early: bool = False      # it ended before the others


def holes(ways: Sequence[Way], graph: Graph, places: Sequence[Place]) -> dict[str, int]:
    """Return host -> packets that it did not record though they were seen before it and behind it."""
    out: dict[str, int] = {}
    for way in ways:
        for one, two in way.steps:
            here, there = way.codes[one], way.codes[two]
            direct = graph.onward[here][there]
            for between, count in graph.onward[here].items():
                if (count * _SHORTCUT > direct and places[between].point in ("dev.rx", "dev.tx")
                        and graph.onward.get(between, {}).get(there, 0) * _SHORTCUT > direct):
                    out[places[between].host] = out.get(places[between].host, 0) + way.packets
                    break
    return out


def longest(ways: Sequence[Way], units: Units) -> dict[tuple[int, int], float]:
    """Return (place, next place) -> the longest time that a packet took between them, ns."""
    out: dict[tuple[int, int], float] = {}
    for way in ways:
        for one, two in way.steps:
            pair = way.codes[one], way.codes[two]
            took = float((units.time[way.starts + two] - units.time[way.starts + one]).max())
            out[pair] = max(out.get(pair, 0.0), took)
    return out


class Judge:
    """Decides what became of the packets of one group of flows."""

    def __init__(self, units: Units, places: Sequence[Place], trust: dict[str, Trust], graph: Graph,
                 back: Graph | None, slowest: dict[tuple[int, int], float], multicast: bool, told: int) -> None:
        """back: the graph of the opposite direction; told: where the topology says that packets come in, or -1."""
        self._units, self._places, self._trust = units, places, trust
        self._graph, self._back, self._slowest, self._multicast = graph, back, slowest, multicast
        self._told = told

    def judge(self, way: Way) -> tuple[np.ndarray, np.ndarray, int, np.ndarray]:
        """Return (row of each packet where it was seen last or dropped, its outcome, the place that should have been
        next or -1, why the outcome is unknown: an index into WHY)."""
        after = -1 if way.arrived else self._expected(way)
        why = np.zeros(way.packets, "u1")
        if way.drop >= 0:
            return way.starts + way.drop, np.full(way.packets, DROPPED, "u1"), after, why
        rows = way.starts + max(way.last, 0)
        if way.arrived:
            outcome = ARRIVED
        elif after < 0 or self._multicast:
            outcome, after = LEFT if self._places[way.codes[way.last]].leaving else ENDED, -1
        else:
            outcomes, after, why = self._missing_ones(way, rows, after, why)
            return rows, outcomes, after, why
        return rows, np.full(way.packets, outcome, "u1"), -1, why

    def _expected(self, way: Way) -> int:
        """Return where packets go from the last place: as others of this direction did, or as those of the opposite
        direction came, or as the topology says; from a daemon of which nobody knows, no further; -1 if nobody knows."""
        if way.last < 0:
            return -1
        here = way.codes[way.last]
        known = self._graph.next_of(here)
        if known is not None:
            return known
        if self._places[here].asks:
            return here
        if not self._places[here].leaving:
            return -1
        mirrored = self._mirrored(here) if self._back is not None else -1
        elsewhere = self._told >= 0 and self._places[self._told].host != self._places[here].host
        return self._told if mirrored < 0 and elsewhere else mirrored

    def _mirrored(self, here: int) -> int:
        """A device that sends to another host receives from the same one: find who sends to it."""
        device = self._places[here]
        senders: dict[int, int] = {}
        for one, after in (self._back.onward if self._back else {}).items():
            for two, count in after.items():
                place = self._places[two]
                if (place.host, place.netns, place.device) == (device.host, device.netns, device.device) and (
                        self._places[one].host != device.host):
                    senders[one] = senders.get(one, 0) + count
        if not senders:
            return -1
        sender = self._places[max(senders, key=lambda one: senders[one])]
        for number, place in enumerate(self._places):
            if (place.host, place.netns, place.device, place.point) == (sender.host, sender.netns, sender.device,
                                                                        "dev.rx"):
                return number
        return -1

    def _missing_ones(self, way: Way, rows: np.ndarray, after: int,
                      why: np.ndarray) -> tuple[np.ndarray, int, np.ndarray]:
        """Packets that should have been seen again: vanished, still on their way, or nobody can tell."""
        here, there = self._places[way.codes[way.last]], self._places[after]
        trust, own = self._trust[there.host], self._trust[here.host]
        bound = 0.0 if here.host == there.host else min(trust.bound + own.bound, _FARTHEST)
        seen = self._units.time[rows].astype("f8")
        slowest = self._slowest.get((way.codes[way.last], after))
        patience = bound + (_PATIENCE if slowest is None else max(4 * slowest, _HASTE))
        outcome = np.full(way.packets, VANISHED, "u1")
        unsure = self._units.unsure[rows]
        outcome[unsure], why[unsure] = UNKNOWN, ALIKE
        apart = bound > _EDGE * (trust.end - trust.start)
        for which, odd, word in ((seen + patience > trust.end, trust.early, EARLY),
                                 (seen - bound < trust.start, trust.late, LATE)):
            outcome[which], why[which] = (UNKNOWN, word) if odd else (UNKNOWN, CLOCKS) if apart else (IN_FLIGHT, NO_WHY)
        return outcome, after, why


def appeared(ways: Sequence[Way], graph: Graph, units: Units, places: Sequence[Place], trust: dict[str, Trust],
             ) -> dict[str, int]:
    """Return host -> packets that began behind it, while it should have seen them first."""
    out: dict[str, int] = {}
    if not graph.begins:
        return out
    begin = max(graph.begins, key=lambda place: graph.begins[place])
    host = places[begin].host
    behind = _behind(graph, begin)
    for way in ways:
        first = way.codes[way.steps[0][0]] if way.steps else way.codes[way.last]
        if way.last < 0 or first == begin or first not in behind or graph.begins[begin] * _SHORTCUT < way.packets:
            continue
        seen, margin = units.time[way.starts].astype("f8"), _PATIENCE + min(trust[host].bound, _FARTHEST)
        count = int(((seen > trust[host].start + margin) & (seen < trust[host].end)).sum())
        if count:
            out[host] = out.get(host, 0) + count
    return out


def _behind(graph: Graph, begin: int) -> set[int]:
    """Return the places that packets reach from a place."""
    reached, waiting = set(), [begin]
    while waiting:
        for place in graph.onward.get(waiting.pop(), {}):
            if place not in reached:
                reached.add(place)
                waiting.append(place)
    return reached
