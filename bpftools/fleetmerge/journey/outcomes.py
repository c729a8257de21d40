# SPDX-License-Identifier: Apache-2.0
"""What became of packets that were seen last on their way: vanished, still under way, gone where nobody looked, or not
to be known, with the grounds that are missing."""
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ..packet.identity import among, mix
from . import grounds
from .atlas import Layout
from .evidence import NOWHERE, Onward
from .found import ENDED, IN_FLIGHT, LEFT, UNKNOWN, VANISHED
from .grounds import Trust

_PATIENCE = 20e6   # ns that a packet may take where nobody knows how long it takes, before it is missing
_HASTE = 5e6       # ns that it may take at least where others were quick
_SETTLED = 5e6     # ns: what was sent so long before had come before; less, it may have come late, and another way
_FARTHEST = 2e9    # ns that clocks of which nothing is known may be apart: a capture corrects what is further off
_EDGE = 0.05       # of the window: if the clocks can be further apart, its ends are no mere edges
BY_OUT, BY_OPEN, BY_FREED, BY_VM = range(4)   # how a packet was seen last


@dataclass
class Pending:
    """Packets that were seen last somewhere."""

    packet: np.ndarray    # i8
    unit: np.ndarray      # i8: where it was seen last
    place: np.ndarray     # i4
    how: np.ndarray       # u1
    gaps: np.ndarray      # u4: what is missing already
    stream: np.ndarray    # u8
    time: np.ndarray      # i8: wall ns
    first: np.ndarray     # i8: likewise, of the first of those that look the same, and of which it may be any
    last: np.ndarray      # i8: of the last of them
    home: np.ndarray      # i4: device of the destination's VM, -1 if not known
    stays: np.ndarray     # bool: the VM was there before and after
    told: np.ndarray      # i4: place where the topology says that it comes in, -1 if it does not
    fragment: np.ndarray  # bool
    unsure: np.ndarray    # bool
    strange: np.ndarray   # bool: it did not match the filter any more: where it went from here nobody looks for it
    followed: np.ndarray  # bool: others of its stream were recorded where they did not match any more
    aside: np.ndarray     # bool: its frame was for another MAC address than those that the destination's VM sends from

    def __len__(self) -> int:
        return len(self.packet)


@dataclass
class Verdicts:
    """The outcome of each pending packet."""

    outcome: np.ndarray   # u1
    after: np.ndarray     # i4: where it should have been seen next, -1 if nobody knows
    gaps: np.ndarray      # u4


@dataclass
class Facts:
    """What is known of the hosts, as columns by host."""

    start: np.ndarray
    end: np.ndarray
    late: np.ndarray
    early: np.ndarray
    here: np.ndarray      # u4: gaps of a packet that was seen last on the host
    next: np.ndarray      # u4: gaps of a packet that should have come to the host
    inside: np.ndarray    # u4: gaps of a packet that should have come to another device of the host
    followed: np.ndarray  # u4: likewise, where its stream is followed to where it does not match
    partly: np.ndarray    # bool: packets may have passed it without being recognised there


def facts_of(trusts: dict[str, Trust], hosts: list[str]) -> Facts:
    """Return the hosts' facts; a host without records never was on a way."""
    blank = Trust(np.inf, -np.inf, np.inf)
    each = [trusts.get(host, blank) for host in hosts]

    def bits(trust: Trust, *which: tuple[str, grounds.Gap]) -> int:
        return sum(gap.bit for words, gap in which if words)
    here = [bits(one, (one.lossy, grounds.LOSSY_HERE), (one.blind, grounds.BLIND)) for one in each]
    after = [bits(one, (one.lossy, grounds.LOSSY_NEXT), (one.blind, grounds.BLIND), (one.filtered, grounds.FILTERED),
                  (one.counted, grounds.COUNTERS)) for one in each]
    return Facts(np.array([one.start for one in each], "f8"), np.array([one.end for one in each], "f8"),
                 np.array([one.late for one in each], bool), np.array([one.early for one in each], bool),
                 np.array(here, "u4"), np.array(after, "u4"),
                 np.array([bits(one, (one.filtered, grounds.FILTERED)) for one in each], "u4"),
                 np.array([bits(one, ("copies", grounds.COPIED), (one.forgotten, grounds.FORGOTTEN)) for one in each],
                          "u4"),
                 np.array([one.partly for one in each], bool))


def routed_key(stream: np.ndarray, place: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return keys of streams that go from a place to another one."""
    return mix(mix(stream, place.astype("u8")), after.astype("u8"))


class Judge:
    """Decides what became of pending packets."""

    def __init__(self, layout: Layout, facts: Facts, bounds: np.ndarray, onward: Onward,
                 slowest: dict[tuple[int, int], float], entrances: "Entrances", routed: np.ndarray) -> None:
        """bounds: f8[host, host], ns; slowest: the longest time that a packet took between two places, ns; routed:
        sorted keys of stream, place and next place, at another host, between which packets spent a hop."""
        self._layout, self._facts, self._bounds = layout, facts, bounds
        self._onward, self._slowest, self._entrances, self._routed = onward, slowest, entrances, routed

    def judge(self, pending: Pending) -> Verdicts:
        """Return what became of them."""
        layout = self._layout
        after, gaps = self._expected(pending)
        gaps |= pending.gaps
        after = np.where(pending.strange & (pending.how == BY_OUT), NOWHERE, after)
        nobody = after == NOWHERE
        asks = nobody & layout.asks[pending.place]
        after = np.where(asks, pending.place, after)
        known = ~nobody | asks
        safe = np.where(known, after, pending.place)
        gaps |= np.where(pending.unsure, grounds.ALIKE.bit, 0).astype("u4")
        here, there = layout.host[pending.place], layout.host[safe]
        inside = here == there
        gaps |= self._facts.here[here]
        gaps |= np.where(inside, self._facts.inside[there], self._facts.next[there]).astype("u4")
        gaps |= np.where(inside & (pending.how == BY_OUT), grounds.ELSEWHERE.bit, 0).astype("u4")
        gaps |= np.where(inside & pending.followed, self._facts.followed[there], 0).astype("u4")
        gaps |= np.where(inside & pending.fragment, grounds.WAITS.bit, 0).astype("u4")
        gaps |= np.where(~inside & self._passes(pending, safe), grounds.BETWEEN.bit, 0).astype("u4")
        outcome = np.full(len(pending), VANISHED, "u1")
        flying, edge = self._edges(pending, safe)
        gaps |= edge
        outcome[gaps > 0] = UNKNOWN
        outcome[flying] = IN_FLIGHT
        left = np.where(pending.how == BY_OUT, LEFT, ENDED)
        return Verdicts(np.where(known, outcome, left).astype("u1"), np.where(known, after, NOWHERE).astype("i4"),
                        np.where(known, gaps, 0).astype("u4"))

    def _expected(self, pending: Pending) -> tuple[np.ndarray, np.ndarray]:
        """Return (where each packet should have been seen next, what is missing for that to be sure)."""
        layout = self._layout
        before, after = self._onward.at(pending.stream, pending.place, pending.time)
        has_before, has_after = before != NOWHERE, after != NOWHERE
        settled = self._onward.at(pending.stream, pending.place, pending.time - int(_SETTLED))[0] != NOWHERE
        settled |= has_before & (layout.host[np.maximum(before, 0)] == layout.host[pending.place])
        gaps = np.zeros(len(pending), "u4")
        out = np.where(has_before, before, after)
        host_before = layout.host[np.maximum(before, 0)]
        host_after = layout.host[np.maximum(after, 0)]
        differ = has_before & has_after & np.where(
            pending.how == BY_OUT, host_before != host_after,
            layout.device[np.maximum(before, 0)] != layout.device[np.maximum(after, 0)])
        home_host = self._host_of_device(pending.home)
        for which, host in ((before, host_before), (after, host_after)):
            chosen = differ & pending.stays & (host == home_host)
            out = np.where(chosen, which, out)
            differ = differ & ~chosen
        gaps[differ] |= np.uint32(grounds.MOVED.bit)
        there = layout.host[np.maximum(out, 0)]
        resident = pending.stays & ((home_host == there) | (layout.host[pending.place] == there))
        gaps[has_before & ~has_after & ~resident] |= np.uint32(grounds.NOT_AFTER.bit)
        gaps[has_after & ~settled & ~resident] |= np.uint32(grounds.NOT_BEFORE.bit)
        gaps[(pending.how == BY_FREED) & ~(has_before & has_after)] |= np.uint32(grounds.FREED.bit)
        gaps[pending.how == BY_VM] |= np.uint32(grounds.IN_VM.bit)
        self._by_home(pending, out, gaps, home_host)
        return out, gaps

    def _passes(self, pending: Pending, after: np.ndarray) -> np.ndarray:
        """Whether packets may have passed a host that did not recognise them, before they came to the next place."""
        host = self._layout.host
        return self._others_partly(host[pending.place], host[after]) & among(
            routed_key(pending.stream, pending.place, after), self._routed)

    def _others_partly(self, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        """Whether another host than these two different ones did not record everything."""
        partly = self._facts.partly.astype("i8")
        return partly.sum() - partly[one] - partly[two] > 0

    def _host_of_device(self, device: np.ndarray) -> np.ndarray:
        """Return the host of each device; -1 for none."""
        table = np.full(int(self._layout.device.max()) + 1, -1, "i4")
        table[self._layout.device] = self._layout.host
        return np.where(device >= 0, table[np.maximum(device, 0)], -1)

    def _by_home(self, pending: Pending, out: np.ndarray, gaps: np.ndarray, home_host: np.ndarray) -> None:
        """Where no packet of the flow shows the way: by where the destination lives, or as the topology says."""
        layout = self._layout
        here = layout.host[pending.place]
        lost = (out == NOWHERE) & (pending.how == BY_OUT)
        for number in np.flatnonzero(lost & (home_host >= 0) & (home_host != here)).tolist():
            place, shown = self._entrances.to(int(pending.place[number]), int(home_host[number]))
            out[number] = place
            if not (shown and pending.stays[number]):
                gaps[number] |= np.uint32(grounds.RESIDENT.bit)
            elif self._others_partly(here[number], home_host[number]):
                gaps[number] |= np.uint32(grounds.BETWEEN.bit)
            if pending.aside[number]:
                gaps[number] |= np.uint32(grounds.ASIDE.bit)
        told = (out == NOWHERE) & lost & (pending.told >= 0)
        told &= layout.host[np.maximum(pending.told, 0)] != here
        out[told] = pending.told[told]
        gaps[told] |= np.uint32(grounds.TOLD.bit)

    def _edges(self, pending: Pending, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (packets that may be under way still, or were when recording began; gaps at the ends of windows)."""
        here, there = self._layout.host[pending.place], self._layout.host[after]
        bound = np.where(here == there, 0.0, np.minimum(self._bounds[here, there], _FARTHEST))
        slowest = np.array([self._slowest.get(pair, -1.0) for pair in zip(
            pending.place.tolist(), after.tolist(), strict=True)])
        patience = bound + np.where(slowest < 0, _PATIENCE, np.maximum(4 * slowest, _HASTE))
        first, last = pending.first.astype("f8"), pending.last.astype("f8")
        facts = self._facts
        apart = bound > _EDGE * (facts.end[there] - facts.start[there])
        flying = np.zeros(len(pending), bool)
        gaps = np.zeros(len(pending), "u4")
        for near, odd, gap in ((last + patience > facts.end[there], facts.early[there], grounds.EARLY),
                               (first - bound < facts.start[there], facts.late[there], grounds.LATE)):
            gaps |= np.where(near & odd, gap.bit, np.where(near & apart, grounds.CLOCKS.bit, 0)).astype("u4")
            flying |= near & ~odd & ~apart
        return flying & (gaps == 0), gaps


class Entrances:
    """By which device packets come in to one host from another's."""

    def __init__(self, layout: Layout, between: Collection[int] = ()) -> None:
        """between: hosts that send on what comes to them from others."""
        self._layout, self._between = layout, set(between)
        self._counts: dict[tuple[int, int], dict[int, int]] = {}    # device, host -> places that were reached
        self._back: dict[tuple[int, int], dict[int, int]] = {}      # device, host -> places that packets came back from

    def add(self, one: int, two: int, packets: int) -> None:
        """Add a step between hosts."""
        layout = self._layout
        there = self._counts.setdefault((int(layout.device[one]), int(layout.host[two])), {})
        there[two] = there.get(two, 0) + packets
        back = self._back.setdefault((int(layout.device[two]), int(layout.host[one])), {})
        back[one] = back.get(one, 0) + packets

    def to(self, place: int, host: int) -> tuple[int, bool]:
        """Return (where packets from a place come in to a host, whether packets showed that, and none took a way over
        another host); -1 if nobody knows."""
        layout = self._layout
        pair = (int(layout.device[place]), host)
        # where several devices lead in, by which one a flow comes only its own packets show
        straight = self._between <= {int(layout.host[place]), host} and not layout.forked[host]
        if pair in self._counts:
            return max(self._counts[pair].items(), key=lambda item: (item[1], -item[0]))[0], straight
        if pair in self._back:
            left = max(self._back[pair].items(), key=lambda item: (item[1], -item[0]))[0]
            same = np.flatnonzero((layout.device == layout.device[left]) & (layout.arrives == 2))
            if len(same):
                return int(same[0]), straight
        return NOWHERE, False
