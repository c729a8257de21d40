# SPDX-License-Identifier: Apache-2.0
"""Ways: packets of one group of flows that were seen at the same places in the same order are looked at together.

Within a host the order is that of its own clock. A way over several hosts is made of legs, one for each stretch on one
host; legs follow each other in the order of time, each from the last one that led to other hosts.
"""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..packet.identity import mix
from ..packet.places import TAKEN, Place
from .units import Units

_SAMPLE = 1000   # packets of a way from which the order of its legs is taken


@dataclass
class Way:
    """Packets with the same way."""

    group: int
    codes: list[int]            # places in the order of the rows
    drops: list[int]            # for each: the drop's number, 0 if it is none
    starts: np.ndarray          # first row of each packet
    steps: list[tuple[int, int]]   # rows (from the packet's first) between which the packet went
    legs: list[list[int]]       # rows of each leg, in the order of the way
    last: int                   # row at which the packet was seen last on its way; -1: only a drop was seen
    drop: int                   # row of the drop that ended it; -1: it was not dropped
    arrived: bool               # it was seen at an end

    @property
    def packets(self) -> int:
        """How many packets went this way."""
        return len(self.starts)


def find_ways(units: Units, places: Sequence[Place]) -> list[Way]:
    """Return the ways of all packets; units in the order that in_order() gives."""
    if not len(units):
        return []
    starts = np.flatnonzero(np.append(True, units.packet[1:] != units.packet[:-1]))
    lengths = np.diff(np.append(starts, len(units)))
    position = np.arange(len(units)) - np.repeat(starts, lengths)
    shape = np.add.reduceat(mix(mix(units.place.astype("u8"), units.drop), position), starts)
    shape = mix(shape, units.group[starts])
    _, first, kind, counts = np.unique(shape, return_index=True, return_inverse=True, return_counts=True)
    order = np.argsort(kind, kind="stable")
    ends = np.cumsum(counts)
    return [_way(units, places, starts[order[end - count:end]], int(lengths[one]))
            for one, count, end in zip(first.tolist(), counts.tolist(), ends.tolist(), strict=True)]


def _way(units: Units, places: Sequence[Place], starts: np.ndarray, length: int) -> Way:
    begin = int(starts[0])
    codes, drops = units.place[begin:begin + length].tolist(), units.drop[begin:begin + length].tolist()
    drops = [drop if not places[code].step else 0 for code, drop in zip(codes, drops, strict=True)]
    sample = starts[:: max(1, len(starts) // _SAMPLE)]
    when = (units.time[sample[:, None] + np.arange(length)] - units.time[sample][:, None]).mean(axis=0)
    legs = _legs(codes, places, when)
    steps, last = _steps(codes, places, legs)
    arrived, drop = _outcome(codes, places, legs, steps)
    return Way(int(units.group[begin]), codes, drops, starts, steps, legs, last, drop, arrived)


def _legs(codes: Sequence[int], places: Sequence[Place], when: np.ndarray) -> list[list[int]]:
    """Cut rows into legs: at another host, and where a packet comes back from other hosts."""
    legs: list[list[int]] = []
    for row, code in enumerate(codes):
        here = places[code]
        before = places[codes[row - 1]] if row else None
        back = (before is not None and before.leaving and before.point == "dev.tx"
                and here.point == "dev.rx" and here.uplink)
        if before is None or before.host != here.host or back:
            legs.append([])
        legs[-1].append(row)
    return sorted(legs, key=lambda leg: when[leg[0]])


def _steps(codes: Sequence[int], places: Sequence[Place], legs: Sequence[Sequence[int]],
           ) -> tuple[list[tuple[int, int]], int]:
    """Return (the steps of the way, the last row of it).

    A leg that begins at a VM's device follows the last leg that ended at one; any other leg follows the last one that
    led to other hosts.
    """
    steps: list[tuple[int, int]] = []
    exits: list[int] = []
    last = -1
    for leg in legs:
        rows = [row for row in leg if places[codes[row]].step]
        if not rows:
            continue
        if exits:
            wanted = [row for row in exits if places[codes[row]].local == places[codes[rows[0]]].local]
            steps.append(((wanted or exits)[-1], rows[0]))
        steps += list(zip(rows[:-1], rows[1:], strict=True))
        exits.append(rows[-1])
        last = rows[-1]
    return steps, last


def _outcome(codes: Sequence[int], places: Sequence[Place], legs: Sequence[Sequence[int]],
             steps: Sequence[tuple[int, int]]) -> tuple[bool, int]:
    """Return (whether the packet arrived, the row of the drop that ended it or -1).

    A drop after the arrival at the same device is the end of the packet: the device had taken it, and lost it. Any
    other drop beside an arrival was of a copy.
    """
    arrived, drop = False, -1
    went_on = {one for one, _ in steps}
    for leg in legs:
        reached: dict[tuple[str, str], str] = {}
        for row in leg:
            place = places[codes[row]]
            if place.end and row not in went_on:
                reached[place.netns, place.device] = place.point
            elif not place.step:
                drop = row
                if reached.get((place.netns, place.device)) in TAKEN:
                    del reached[place.netns, place.device]
        arrived = arrived or bool(reached)
    return arrived, -1 if arrived else drop


@dataclass
class Graph:
    """Where the packets of one group went on from each place."""

    onward: dict[int, dict[int, int]]   # place -> next place -> packets
    begins: dict[int, int]              # first place -> packets

    def next_of(self, place: int) -> int | None:
        """Return where most packets went from a place; None if none went on."""
        after = self.onward.get(place)
        return max(after, key=lambda one: after[one]) if after else None


def graph_of(ways: Sequence[Way]) -> Graph:
    """Add up the ways of one group."""
    graph = Graph({}, {})
    for way in ways:
        for one, two in way.steps:
            after = graph.onward.setdefault(way.codes[one], {})
            after[way.codes[two]] = after.get(way.codes[two], 0) + way.packets
        if way.steps or way.last >= 0:
            first = way.codes[way.steps[0][0] if way.steps else way.last]
            graph.begins[first] = graph.begins.get(first, 0) + way.packets
    return graph
