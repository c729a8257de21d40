# SPDX-License-Identifier: Apache-2.0
"""Follow the packets of one part: chains to trees, trees to outcomes, outcomes to findings."""
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..arrays import joined, picked
from ..packet.identity import UNREADABLE, columns_of
from . import grounds
from .changes import ways_used
from .choosing import on_the_way
from .followed import Followed, follow
from .found import ARRIVED, ENDED, Findings
from .judging import Judging
from .narrow import chosen_packets, fitting_chains, narrow, shown_records
from .packets import Packets, find_packets
from .part import Setting
from .partition import read_part
from .questions import answers
from .sampled import sift
from .settling import Settling
from .shapes import Shape
from .steps import Pair, Rows, count, measure
from .tally import finish, tally
from .trips import round_trips
from .unanswered import unanswered
from .units import make_units

Keep = Callable[[Followed, np.ndarray], None]
NO_RECORDS = np.zeros(0, "u8")


def explore(setting: Setting, part: int, keep: Keep) -> Findings:
    """Follow the packets of one part; keep: is given their journeys, and the records that an excerpt shows of them,
    when all the rest of them is out of memory."""
    found, kept = _explored(setting, part)
    if kept:
        keep(*kept)
    return found


def _explored(setting: Setting, part: int) -> tuple[Findings, tuple[Followed, np.ndarray] | None]:
    """Return what a part shows, and what is kept of it, None of a part without packets."""
    rows, host, own = _load(setting, part)
    everywhere = (rows, host) if setting.excerpt else None
    step = setting.atlas.layout.step[rows["place"]] | setting.atlas.layout.drop[rows["place"]]
    if not step.any():
        return Findings(), None
    sieve = partial(sift, sample=setting.sample, drops=setting.atlas.layout.drop) if setting.sample else None
    units = make_units(columns_of(picked(rows, step)), host[step], own[step], setting.names, setting.partition, part,
                       setting.atlas.layout.arrives, sieve)
    del rows
    lossy = setting.facts.here & grounds.LOSSY_HERE.bit > 0
    packets = find_packets(units, setting.atlas.layout, setting.bounds, lossy | setting.atlas.layout.narrow)
    return _Following(setting, packets).findings(everywhere)


def _load(setting: Setting, part: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (the part's rows of all machines, with wall times, in the order of host and time; their hosts; their
    times by their own clocks)."""
    parts, hosts, own = [], [], []
    for machine in sorted(range(len(setting.files)), key=lambda number: setting.host_of[number]):
        rows = read_part(setting.files[machine][part])
        own.append(rows["time"].copy())
        rows["time"] = setting.clocks[machine].to_wall(rows["time"])
        parts.append(rows)
        hosts.append(np.full(len(rows), setting.host_of[machine], "i4"))
    return joined(parts), np.concatenate(hosts), np.concatenate(own)


class _Following(Settling, Judging):
    """What each packet's own tree tells is settled first; the rest is judged by that."""

    def findings(self, everywhere: tuple[np.ndarray, np.ndarray] | None,
                 ) -> tuple[Findings, tuple[Followed, np.ndarray]]:
        """Return what the part shows, and (its journeys, the records that an excerpt shows of them). everywhere: for an
        excerpt, the part's rows at all places, and their hosts."""
        waiting = self._arrivals()
        self._choose(waiting)
        on_way = on_the_way(self._layout, [way for way in self._ways if self._reached(way)], self._stream,
                            self._packets.twins)[0]
        rows = self._steps(self._shapes, self._packets)
        facts = self._setting.facts
        trust = facts.end, facts.here & grounds.LOSSY_HERE.bit > 0
        steps = measure(rows, self._packets, self._layout, self._setting.recorded, *trust)
        slowest = {pair: step.most for pair, step in steps.items()}
        self._judge(on_way, slowest, rows)
        units = self._packets.units
        hidden = units.rows["kind"][units.row[self._origin]] == UNREADABLE
        self._results.outcome[hidden & (self._results.outcome == ARRIVED)] = ENDED   # what it was nobody knows
        judged = finish(self._packets, self._origin, self._results, self._extras, self._shapes, self._ways,
                        self._layout, facts)
        wanted, shown, followed = None, NO_RECORDS, int(judged.counts.sum())
        if self._setting.excerpt and everywhere:
            wanted = chosen_packets(judged, fitting_chains(self._setting.excerpt, *everywhere))
            judged = narrow(judged, wanted)
            shown = shown_records(judged, *everywhere)
            steps = measure(self._steps(judged.shapes, judged.packets), judged.packets, self._layout,
                            self._setting.recorded, *trust)
        count(steps, self._steps(judged.shapes, judged.packets, sure=False), judged.packets)
        out = tally(judged, steps, self._layout)
        out.followed = followed
        answered = answers(self._packets, self._setting.atlas.flows, self._setting.neighbours)
        out.trips = round_trips(self._packets, self._origin, self._layout, self._setting.atlas.flows,
                                self._setting.neighbours, answered, wanted)
        if not self._setting.sample:
            out.unanswered = unanswered(judged, self._setting, answered)
        out.used = ways_used(judged.packets, judged.origin, judged.results, judged.ways, self._layout,
                             self._setting.partition.shared_groups())
        return out, (follow(judged, self._layout, self._setting.bounds), shown)

    def _steps(self, shapes: Sequence[Shape], packets: Packets, sure: bool = True) -> dict[Pair, Rows]:
        """Return the units before and after each step of all trees that surely is one, or of the others; between hosts
        of whose clocks nothing is known, only those of packets that are told from others."""
        host, bounds = self._layout.host, self._setting.bounds
        out: dict[Pair, Rows] = {}
        for shape in shapes:
            joined_at = {leg.first: leg.sure for leg in shape.tree.legs if leg.joint >= 0}
            for one, two in shape.tree.steps:
                if joined_at.get(two, True) != sure:
                    continue
                pair = shape.place(one), shape.place(two)
                units = shape.units(one), shape.units(two)
                if np.isinf(bounds[host[pair[0]], host[pair[1]]]):
                    told = ~(packets.unsure[units[0]] | packets.unsure[units[1]])
                    units = units[0][told], units[1][told]
                if len(units[0]):
                    out.setdefault(pair, []).append(units)
        return out
