# SPDX-License-Identifier: Apache-2.0
"""Steps: what happens to packets between two places that follow each other on a branch."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..arrays import by_time
from ..bundle.fields import Recorded
from ..packet.identity import IS_TCP
from .atlas import Layout
from .packets import Packets

_MOST_TIMES = 50_000   # latencies of a step that are kept for its percentiles
_AGAIN = 200e6         # ns: TCP waits at least that long for an answer before it sends again (TCP_RTO_MIN of
                       # include/net/tcp.h); what it sends again earlier, others behind it have asked for
# fields that mean the same on both sides: on one host, and between hosts
_ON_HOST = ("mark", "priority", "queue", "ttl", "tos", "vlan")
_BETWEEN = ("ttl", "tos", "vlan")
Pair = tuple[int, int]
Rows = list[tuple[np.ndarray, np.ndarray]]    # units before, units after


@dataclass
class Step:
    """One step."""

    packets: int = 0
    bytes: int = 0
    unsure: int = 0                             # packets of which nothing tells for certain that they went there
    reordered: int = 0
    differs: float = 0.0                        # ns by which times of packets that follow each other differ, in all
    pairs: int = 0                              # of packets that follow each other
    least: float = np.inf                       # ns
    most: float = -np.inf
    times: list[np.ndarray] = field(default_factory=list)   # ns; of each part one in `every`
    every: int = 1                              # a power of two
    changed: dict[str, int] = field(default_factory=dict)

    def add(self, other: "Step") -> None:
        """Add what another part's packets did."""
        self.packets += other.packets
        self.bytes += other.bytes
        self.unsure += other.unsure
        self.reordered += other.reordered
        self.differs += other.differs
        self.pairs += other.pairs
        self.least, self.most = min(self.least, other.least), max(self.most, other.most)
        self.every, own, others = max(self.every, other.every), self.every, other.every
        self.times = [*_thinned(self.times, self.every // own), *_thinned(other.times, self.every // others)]
        while sum(map(len, self.times)) > _MOST_TIMES + len(self.times):    # at least one of each part stays
            self.times, self.every = _thinned(self.times, 2), 2 * self.every
        for name, count in other.changed.items():
            self.changed[name] = self.changed.get(name, 0) + count

    def percentiles(self) -> tuple[float, float]:
        """Return the median and the 99th percentile, ns."""
        p50, p99 = np.percentile(np.concatenate(self.times), [50, 99]) if self.times else (np.nan, np.nan)
        return float(p50), float(p99)


def _thinned(times: list[np.ndarray], step: int) -> list[np.ndarray]:
    """Return one in `step` of the times of each part. What is left is the same in whatever order parts are added."""
    return times if step == 1 else [some[::step].copy() for some in times]


def measure(rows: Mapping[Pair, Sequence[tuple[np.ndarray, np.ndarray]]], packets: Packets,
            layout: Layout, recorded: Recorded, ends: np.ndarray, lossy: np.ndarray) -> dict[Pair, Step]:
    """Return the steps; rows: of each pair of places the units before and after, in pieces; ends: of each host, when
    it stopped recording (wall ns); lossy: bool, that it lost records."""
    host = layout.host
    return {pair: _step(np.concatenate([one for one, _ in parts]), np.concatenate([two for _, two in parts]), packets,
                        recorded if host[pair[0]] == host[pair[1]] else None, float(ends[host[pair[0]]]),
                        bool(lossy[host[pair[0]]]))
            for pair, parts in rows.items()}


def count(steps: dict[Pair, Step], rows: Mapping[Pair, Sequence[tuple[np.ndarray, np.ndarray]]],
          packets: Packets) -> None:
    """Add the packets of which nothing tells for certain that they took a step; rows: of these, as for measure()."""
    for pair, parts in rows.items():
        for before, _ in parts:
            steps.setdefault(pair, Step()).add(Step(unsure=int(packets.units.lead[before].sum())))


def _step(one: np.ndarray, two: np.ndarray, packets: Packets, recorded: Recorded | None, end: float,
          lossy: bool) -> Step:
    """Return a step; recorded: fields that were asked for, None between hosts, where they tell nothing; end: when the
    first host stopped recording: what came after that may have been sent again unseen; so may what came so late
    that it was sent again, if that host lost records."""
    units = packets.units
    rows, before, after = units.rows, units.row[one], units.row[two]
    leads = units.lead[one]
    out = Step(int(leads.sum()), int(units.size[one].sum()) + 40 * int(leads.sum()))
    # of those that look the same, and that clocks do not tell apart, nobody knows which one came when
    apart = (units.host[before] != units.host[after]) | (packets.leg[one] != packets.leg[two])
    sure = ~(packets.unsure[one] | packets.unsure[two] | (apart & (packets.twins[one] | packets.twins[two])))
    sure &= (recorded is not None) | (rows["time"][after] <= end)
    time = units.own if recorded else rows["time"]
    came, went = time[before][sure], time[after][sure]
    took = (went - came).astype("f8")
    if lossy and not recorded and len(took):
        prompt = (rows["kind"][before][sure] != IS_TCP) | (took < _AGAIN)
        came, went, took, sure[sure] = came[prompt], went[prompt], took[prompt], prompt
    if len(took):
        out.least, out.most = float(took.min()), float(took.max())
        out.add(Step(times=[took]))
    _in_order(out, rows["flow"][before][sure], came, went)
    for name in _ON_HOST if recorded else _BETWEEN:
        count = int((rows[name][before] != rows[name][after]).sum())
        if count:
            out.changed[name] = count
    if recorded:
        out.changed.update(recorded.changed(rows, before, after))
    return out


def _in_order(out: Step, flow: np.ndarray, before: np.ndarray, after: np.ndarray) -> None:
    """Look at the packets of each flow one after the other: by how much their times differ, and who was overtaken."""
    if len(flow) < 2:
        return
    order = by_time(flow, before)
    flow, before, after = flow[order], before[order], after[order]
    same = flow[1:] == flow[:-1]
    out.pairs = int(same.sum())
    out.differs = float(np.abs(np.diff(after - before)[same]).sum())
    out.reordered = _overtaken(flow, after)


def _overtaken(flow: np.ndarray, after: np.ndarray) -> int:
    """Return how many packets arrived after one of their flow that was sent later; in the order of flow and sending."""
    number = np.cumsum(np.append(0, flow[1:] != flow[:-1]))
    since = after - after.min()
    span = int(since.max()) + 1
    if span * (int(number[-1]) + 1) >= 1 << 62:
        return 0
    level = number * span + since
    return int((level < np.maximum.accumulate(level)).sum())
