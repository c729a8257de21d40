# SPDX-License-Identifier: Apache-2.0
"""What the journeys of one part show. Parts add up."""
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arrays import joined, picked
from .bursts import Burst, join_bursts
from .questions import UNANSWERED, join_unanswered
from .sampled import Drawn
from .steps import Pair, Step
from .trips import TRIP, join_trips

ARRIVED, ENDED, LEFT, DROPPED, VANISHED, UNKNOWN, IN_FLIGHT, CONTINUED = range(8)
NAMES = ("arrived", "ended", "left", "dropped", "vanished", "unknown", "in_flight", "continued")
FLOWS = 1000     # that are listed one by one
_SAMPLES = 3     # journeys of a loss that are named
Node = tuple[int, int, int]     # see branching.py
Used = tuple[int, int, int]     # first and last packet of a way (wall ns, where it began), packets

# of a flow there are fewer packets than 2**31, and of flows there may be millions
FLOW_FOUND = np.dtype([("flow", "<u8"), ("network", "<u4"), ("packets", "<i4"), ("bytes", "<i8"), ("skbs", "<i4"),
                       ("first", "<i8"), ("last", "<i8"), ("unsure", "<i4"), ("again", "<i4"), ("asks", "<i4"),
                       ("beside", "<i4"), ("became", "<i4", 8)])
LOSS = np.dtype([("outcome", "u1"), ("kind", "u1"), ("gaps", "<u4"), ("ground", "u1"), ("last", "<i4"), ("at", "<i4"),
                 ("after", "<i4"), ("drop", "<u4"), ("flow", "<u8"), ("network", "<u4")])
# LOSS.kind: whose loss it is
OF_PACKET, OF_RECEIVER, OF_COPY, OF_BRANCH = range(4)


@dataclass
class Lost:
    """Packets that were lost in the same way."""

    packets: int     # on the wire
    skbs: int
    bytes: int
    first: int       # wall ns
    last: int
    journeys: list[int] = field(default_factory=list)
    bursts: list[Burst] = field(default_factory=list)
    squares: int = 0    # of the sizes of clusters of a sample, as in Drawn
    largest: int = 0

    def add(self, other: "Lost") -> None:
        """Add another part's."""
        self.packets += other.packets
        self.skbs += other.skbs
        self.bytes += other.bytes
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.journeys = sorted([*self.journeys, *other.journeys])[:_SAMPLES]
        self.bursts = join_bursts([*self.bursts, *other.bursts])
        self.squares += other.squares
        self.largest = max(self.largest, other.largest)


@dataclass
class Findings:
    """What one part shows."""

    flows: np.ndarray = field(default_factory=lambda: np.zeros(0, FLOW_FOUND))
    losses: dict[tuple[int, ...], Lost] = field(default_factory=dict)   # by the values of LOSS
    steps: dict[Pair, Step] = field(default_factory=dict)
    doubled: dict[int, int] = field(default_factory=dict)      # place -> packets that came to it once more
    holes: dict[int, int] = field(default_factory=dict)        # host -> packets that it must have seen, unrecorded
    loops: dict[int, int] = field(default_factory=dict)        # place -> packets that came to it again and again
    paths: dict[tuple[int, ...], int] = field(default_factory=dict)     # group, places in their order -> packets
    trees: dict[tuple[int, ...], tuple[int, tuple[Node, ...]]] = field(default_factory=dict)   # by path: packets, nodes
    used: dict[tuple[int, ...], Used] = field(default_factory=dict)     # flow, network, places -> when; see changes.py
    trips: np.ndarray = field(default_factory=lambda: np.zeros(0, TRIP))
    unanswered: np.ndarray = field(default_factory=lambda: np.zeros(0, UNANSWERED))
    pieces: list[str] = field(default_factory=list)     # files with the journeys of each part
    drawn: Drawn = field(default_factory=Drawn)         # of a sample: what was taken
    followed: int = 0                                   # packets, those that an excerpt leaves out included

    def add(self, other: "Findings") -> None:
        """Add another part's."""
        self.flows = add_flows([self.flows, other.flows])
        self.trips = join_trips([self.trips, other.trips])
        self.unanswered = join_unanswered([self.unanswered, other.unanswered])
        for path, tree in other.trees.items():
            self.trees[path] = max(self.trees.get(path, tree), tree)
        for way, (first, last, packets) in other.used.items():
            begin, end, before = self.used.get(way, (first, last, 0))
            self.used[way] = (min(begin, first), max(end, last), before + packets)
        for kind, lost in other.losses.items():
            if kind in self.losses:
                self.losses[kind].add(lost)
            else:
                self.losses[kind] = lost
        for pair, step in other.steps.items():
            self.steps.setdefault(pair, Step()).add(step)
        for mine, more in ((self.doubled, other.doubled), (self.holes, other.holes), (self.loops, other.loops),
                           (self.paths, other.paths)):
            _add(mine, more)
        self.pieces += other.pieces
        self.drawn.add(other.drawn)
        self.followed += other.followed


def _add(into: dict[Any, int], more: dict[Any, int]) -> None:
    for key, count in more.items():
        into[key] = into.get(key, 0) + count


def add_flows(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the flows of several parts, each once, sorted by flow and network."""
    together = joined(list(parts))
    if not len(together):
        return together
    order = np.lexsort((together["network"], together["flow"]))
    together = picked(together, order)
    new = np.append(True, (together["flow"][1:] != together["flow"][:-1])
                    | (together["network"][1:] != together["network"][:-1]))
    starts = np.flatnonzero(new)
    if len(starts) == len(together):
        return together
    out = picked(together, starts)
    for name in ("packets", "bytes", "skbs", "unsure", "again", "asks", "beside"):
        out[name] = np.add.reduceat(together[name], starts)
    out["became"] = np.add.reduceat(together["became"], starts, axis=0)
    out["first"], out["last"] = (np.minimum.reduceat(together["first"], starts),
                                 np.maximum.reduceat(together["last"], starts))
    return out
