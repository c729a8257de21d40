# SPDX-License-Identifier: Apache-2.0
"""What the journeys of one part show. Parts add up."""
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from ..arrays import joined, picked
from .steps import Pair, Step

ARRIVED, ENDED, LEFT, DROPPED, VANISHED, UNKNOWN, IN_FLIGHT, CONTINUED = range(8)
NAMES = ("arrived", "ended", "left", "dropped", "vanished", "unknown", "in_flight", "continued")
_Key = TypeVar("_Key")
FLOWS = 1000     # that are listed one by one
_SAMPLES = 3     # journeys of a loss that are named

# of a flow there are fewer packets than 2**31, and of flows there may be millions
FLOW_FOUND = np.dtype([("flow", "<u8"), ("network", "<u4"), ("packets", "<i4"), ("bytes", "<i8"), ("skbs", "<i4"),
                       ("first", "<i8"), ("last", "<i8"), ("unsure", "<i4"), ("again", "<i4"), ("became", "<i4", 8)])
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

    def add(self, other: "Lost") -> None:
        """Add another part's."""
        self.packets += other.packets
        self.skbs += other.skbs
        self.bytes += other.bytes
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.journeys = sorted([*self.journeys, *other.journeys])[:_SAMPLES]


@dataclass
class Findings:
    """What one part shows."""

    flows: np.ndarray = field(default_factory=lambda: np.zeros(0, FLOW_FOUND))
    losses: dict[tuple[int, ...], Lost] = field(default_factory=dict)   # by the values of LOSS
    steps: dict[Pair, Step] = field(default_factory=dict)
    doubled: dict[int, int] = field(default_factory=dict)      # place -> packets that came to it once more
    holes: dict[int, int] = field(default_factory=dict)        # host -> packets that it must have seen, and no record
    paths: dict[tuple[int, ...], int] = field(default_factory=dict)     # group, places in their order -> packets

    def add(self, other: "Findings") -> None:
        """Add another part's."""
        self.flows = add_flows([self.flows, other.flows])
        for kind, lost in other.losses.items():
            if kind in self.losses:
                self.losses[kind].add(lost)
            else:
                self.losses[kind] = lost
        for pair, step in other.steps.items():
            self.steps.setdefault(pair, Step()).add(step)
        for mine, more in ((self.doubled, other.doubled), (self.holes, other.holes)):
            _add_counts(mine, more)
        _add_counts(self.paths, other.paths)


def _add_counts(mine: dict[_Key, int], more: dict[_Key, int]) -> None:
    for key, count in more.items():
        mine[key] = mine.get(key, 0) + count


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
    out = picked(together, starts)
    if len(starts) == len(together):
        return out
    for name in ("packets", "bytes", "skbs", "unsure", "again"):
        out[name] = np.add.reduceat(together[name], starts)
    out["became"] = np.add.reduceat(together["became"], starts, axis=0)
    out["first"], out["last"] = (np.minimum.reduceat(together["first"], starts),
                                 np.maximum.reduceat(together["last"], starts))
    return out
