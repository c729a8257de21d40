# SPDX-License-Identifier: Apache-2.0
"""Segments: what happens to packets between two places that follow each other on their way."""
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..packet.places import Place
from .units import Units
from .ways import Way

_MOST_TIMES = 50_000   # latencies of a segment that are kept for its percentiles, of each share of the packets
# fields that mean the same on both sides: on one host, and between hosts
_ON_HOST = ("mark", "priority", "queue", "ttl", "tos", "vlan")
_BETWEEN = ("ttl", "tos", "vlan")


@dataclass
class Segment:
    """One segment."""

    packets: int = 0
    bytes: int = 0
    reordered: int = 0
    least: float = np.inf                       # ns
    most: float = -np.inf
    times: list[np.ndarray] = field(default_factory=list)   # ns, a part of them
    changed: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Segment") -> None:
        """Add what another share of the packets did."""
        self.packets += other.packets
        self.bytes += other.bytes
        self.reordered += other.reordered
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self.times += other.times
        for name, count in other.changed.items():
            self.changed[name] = self.changed.get(name, 0) + count

    def percentiles(self) -> tuple[float, float]:
        """Return the median and the 99th percentile, ns."""
        p50, p99 = np.percentile(np.concatenate(self.times), [50, 99]) if self.times else (np.nan, np.nan)
        return float(p50), float(p99)


Pair = tuple[int, int]


def find_segments(ways: Sequence[Way], units: Units, places: Sequence[Place]) -> dict[Pair, Segment]:
    """Return the segments of all ways."""
    rows: dict[Pair, list[tuple[np.ndarray, np.ndarray]]] = {}
    for way in ways:
        for one, two in way.steps:
            rows.setdefault((way.codes[one], way.codes[two]), []).append((way.starts + one, way.starts + two))
    return {pair: _segment(np.concatenate([one for one, _ in parts]), np.concatenate([two for _, two in parts]), units,
                           places[pair[0]].host == places[pair[1]].host)
            for pair, parts in rows.items()}


def _segment(one: np.ndarray, two: np.ndarray, units: Units, same_host: bool) -> Segment:
    before, after = units.time[one], units.time[two]
    out = Segment(len(one), int(units.bytes[one].sum()))
    sure = ~(units.unsure[one] | units.unsure[two])
    took = (after - before)[sure].astype("f8")
    if len(took):
        out.least, out.most = float(took.min()), float(took.max())
        out.times = [took[:: -(-len(took) // _MOST_TIMES)]]
    out.reordered = _overtaken(units.flow[one][sure], before[sure], after[sure])
    for name in _ON_HOST if same_host else _BETWEEN:
        column = units.rows[name]
        count = int((column[units.row[one]] != column[units.row[two]]).sum())
        if count:
            out.changed[name] = count
    return out


def _overtaken(flow: np.ndarray, before: np.ndarray, after: np.ndarray) -> int:
    """Return how many packets arrived after one of their flow that was sent later."""
    if len(flow) < 2:
        return 0
    order = np.lexsort((before, flow))
    flow, after = flow[order], after[order]
    number = np.cumsum(np.append(0, flow[1:] != flow[:-1]))
    since = after - after.min()
    span = int(since.max()) + 1
    if span * (int(number[-1]) + 1) >= 1 << 62:
        return 0
    level = number * span + since
    return int((level < np.maximum.accumulate(level)).sum())
