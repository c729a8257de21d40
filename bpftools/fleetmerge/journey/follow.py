# SPDX-License-Identifier: Apache-2.0
"""Follow the packets of one part: chains to trees, trees to outcomes, outcomes to findings."""
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..arrays import joined, picked
from ..bundle.fields import Recorded
from ..clock.host import HostClock
from ..packet.identity import FOLLOWED, IS_ARP, IS_FRAGMENT, UNREADABLE, among, mix
from ..packet.places import FAR, NEAR
from ..packet.sample import Sample
from . import branches, grounds
from .atlas import BRIDGE, CLOSED, Atlas
from .changes import ways_used
from .choosing import Way, chosen_ways, dropped_behind, keyed, on_the_way
from .evidence import NOWHERE, Homes, around, onward_of
from .followed import Followed, follow
from .found import ARRIVED, DROPPED, ENDED, OF_BRANCH, OF_COPY, OF_PACKET, OF_RECEIVER, UNKNOWN, Findings
from .outcomes import BY_FREED, BY_OPEN, BY_OUT, BY_VM, Entrances, Facts, Judge, Pending, Verdicts, routed_key
from .packets import Packets, find_packets
from .partition import Names, Partition, read_part
from .sampled import sift
from .shapes import Shape, find_shapes
from .steps import Pair, Rows, measure
from .tally import Extra, Results, tally
from .tree import DROPPED as IS_DROPPED
from .tree import FREED, IN_VM, OPEN, OUT, Leaf
from .trips import round_trips
from .units import make_units

_HOW = {OUT: BY_OUT, FREED: BY_FREED, IN_VM: BY_VM}


@dataclass
class Setting:
    """What is known beside the rows."""

    atlas: Atlas
    facts: Facts
    clocks: Sequence[HostClock]         # of each machine
    host_of: Sequence[int]              # of each machine
    bounds: np.ndarray                  # f8[host, host]: by how much two hosts' clocks may be apart, ns
    names: Names
    final: tuple[np.ndarray, np.ndarray]     # flow -> its last name, as sorted columns
    partition: Partition
    files: Sequence[Sequence[str]]      # of each machine, by part
    words: np.ndarray                   # identity.FLOW, in the order of those in the atlas, which tell less
    homes: Homes
    many: np.ndarray                    # u8, sorted: flows to many receivers
    unwanted: np.ndarray                # u1 by drop: BRIDGE, CLOSED, or 0
    recorded: Recorded                  # fields that were asked for by name
    told: dict[int, int] = field(default_factory=dict)   # address -> place where the topology says that it comes in
    sample: Sample | None = None        # which packets were taken; None: all

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return self.partition.parts


def explore(setting: Setting, part: int, keep: Callable[[Followed], None] | None = None) -> Findings:
    """Follow the packets of one part; keep: is given their journeys."""
    rows, host, own = _load(setting, part)
    if not len(rows):
        return Findings()
    sieve = partial(sift, sample=setting.sample, drops=setting.atlas.layout.drop) if setting.sample else None
    units = make_units(rows, host, own, setting.names, setting.partition, part, setting.atlas.layout.arrives, sieve)
    packets = find_packets(units, setting.atlas.layout, setting.bounds)
    return _Part(setting, packets).findings(keep)


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
    rows, host, clock = joined(parts), np.concatenate(hosts), np.concatenate(own)
    keep = setting.atlas.layout.step[rows["place"]] | setting.atlas.layout.drop[rows["place"]]
    return picked(rows, keep), host[keep], clock[keep]


class _Part:
    """The packets of one part, and what becomes of them."""

    def __init__(self, setting: Setting, packets: Packets) -> None:
        self._setting, self._packets, self._layout = setting, packets, setting.atlas.layout
        units = packets.units
        self._starts = packets.starts
        self._time = units.rows["time"][units.row]
        self._place = units.rows["place"][units.row]
        self._strange = (units.rows["fixed"][units.row] & FOLLOWED) > 0
        self._shapes = find_shapes(packets, self._layout, setting.bounds)
        self._origin = self._origins()
        first = units.row[self._origin]
        self._stream = mix(units.rows["flow"][first], units.rows["network"][first])
        self._target = self._targets()
        self._many = among(units.said[first], setting.many)
        self._home, self._stays, self._moves = self._homes()
        self._results = Results.empty(len(self._starts))
        self._extras: list[Extra] = []
        self._ways: list[Way] = []

    def findings(self, keep: Callable[[Followed], None] | None = None) -> Findings:
        """Return what the part shows."""
        waiting = self._arrivals()
        self._choose(waiting)
        on_way = on_the_way(self._layout, [way for way in self._ways if self._reached(way)], self._stream)[0]
        rows = self._steps()
        steps = measure(rows, self._packets, self._layout, self._setting.recorded)
        slowest = {pair: step.most for pair, step in steps.items()}
        self._judge(on_way, slowest, rows)
        units = self._packets.units
        hidden = units.rows["kind"][units.row[self._origin]] == UNREADABLE
        self._results.outcome[hidden & (self._results.outcome == ARRIVED)] = ENDED   # what it was nobody knows
        out = tally(self._packets, self._origin, self._results, self._extras, self._shapes, self._ways, steps,
                    self._layout)
        out.trips = round_trips(self._packets, self._origin, self._layout, self._setting.atlas.flows)
        out.used = ways_used(self._packets, self._origin, self._results, self._ways, self._layout,
                             self._setting.partition.shared_groups())
        if keep:
            keep(follow(self._packets, self._origin, self._results, self._shapes, self._ways, self._layout,
                        self._setting.bounds))
        return out

    # -- where a packet should go

    def _targets(self) -> list[np.ndarray]:
        """Return the addresses that each packet is for: as it was seen last, as its flow is called last, as it was
        seen first."""
        flows = self._setting.atlas.flows
        units = self._packets.units
        last = np.append(self._starts[1:], len(units)) - 1
        final, name = self._setting.final
        root = units.rows["flow"][units.row[self._origin]]
        known = among(root, final)
        called = np.where(known, name[np.searchsorted(final, root).clip(max=max(len(final) - 1, 0))] if len(final)
                          else root, root)
        views = [units.said[units.row[last]], called, units.said[units.row[self._origin]]]
        return [flows["to"][np.searchsorted(flows["flow"], view).clip(max=len(flows) - 1)] for view in views]

    def _homes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (the device of each packet's destination, -1 if not known; whether it was there before and after;
        where it moved from and to just then, in two columns, -1 if it did not)."""
        when = self._time[self._origin]
        home, stays = np.full(len(when), NOWHERE, "i4"), np.zeros(len(when), bool)
        moves = np.full((len(when), 2), NOWHERE, "i4")
        for target in self._target:
            open_ = np.flatnonzero((home == NOWHERE) & (moves[:, 0] == NOWHERE))
            if not len(open_):
                break
            before, after = self._setting.homes.at(target[open_], when[open_])
            both = (before != NOWHERE) & (after != NOWHERE)
            moved = both & (before != after)
            home[open_] = np.where(moved, NOWHERE, np.where(before != NOWHERE, before, after))
            stays[open_] = both & ~moved
            moves[open_[moved]] = np.stack([before, after], 1)[moved]
        return home, stays, moves

    # -- which branch is the packet

    def _arrivals(self) -> list[tuple[Shape, np.ndarray]]:
        """Settle what arrived at its destination for sure, and what goes to many; return the rest."""
        rest = []
        for shape in self._shapes:
            open_ = np.ones(len(shape.packets), bool)
            many = self._many[shape.packets]
            if many.any():
                self._to_many(shape, np.flatnonzero(many))
                open_ &= ~many
            home = self._home[shape.packets]
            for leaf in shape.tree.leaves:
                if leaf.kind == IN_VM and not dropped_behind(shape, leaf, self._layout):
                    device = self._layout.device[shape.place(leaf.row)]
                    here = open_ & ((home == device) | (self._moves[shape.packets] == device).any(axis=1))
                    if here.any():
                        self._settle(Way(shape, np.flatnonzero(here), leaf, branches.HOME), ARRIVED)
                        open_ &= ~here
            if open_.any():
                rest.append((shape, np.flatnonzero(open_)))
        return rest

    def _settle(self, way: Way, outcome: int, gaps: int | np.ndarray = 0) -> None:
        """Write down the outcome of packets whose way is known to its end."""
        row = way.leaf.mark if way.leaf.mark >= 0 else way.leaf.row
        self._results.put(way.packets, outcome, way.units(row), gaps, way.ground,
                          way.shape.place(way.leaf.row) if way.leaf.row >= 0 else NOWHERE)
        self._ways.append(way)
        self._copies(way.shape, way.which, way.leaf)

    def _copies(self, shape: Shape, which: np.ndarray, main: Leaf) -> None:
        """Write down what was dropped of copies; of packets that others look like, it may have been one of these."""
        unsure = self._packets.unsure[shape.starts[which]]
        for leaf in shape.tree.leaves:
            if leaf is main or leaf.kind != IS_DROPPED or leaf.mark == main.mark:
                continue
            last = shape.place(leaf.row) if leaf.row >= 0 else NOWHERE
            for kind, gap, some in ((OF_COPY, 0, which[~unsure]), (OF_BRANCH, grounds.UNDECIDED.bit, which[unsure])):
                if len(some):
                    self._extras.append(Extra(kind, shape.packets[some], shape.starts[some] + leaf.mark, last, gap))

    def _to_many(self, shape: Shape, which: np.ndarray) -> None:
        """A packet to many has an outcome for each receiver."""
        leaves = shape.tree.leaves
        taken = [leaf for leaf in leaves if leaf.kind == IN_VM]
        dropped = [leaf for leaf in leaves if leaf.kind == IS_DROPPED]
        for leaf in dropped:
            self._extras.append(Extra(OF_RECEIVER, shape.packets[which], shape.starts[which] + leaf.mark,
                                      shape.place(leaf.row) if leaf.row >= 0 else NOWHERE, 0))
        chosen = (taken or dropped or leaves)[0]
        row = chosen.mark if chosen.mark >= 0 else chosen.row
        outcome = ARRIVED if taken else UNKNOWN if dropped else ENDED
        packets = shape.packets[which]
        self._results.put(packets, outcome, shape.starts[which] + row, 0, branches.ONLY, NOWHERE)
        waits = not taken and not dropped and chosen.kind in _HOW
        asked = self._home[packets]
        # who is in a group may change at any time: only questions for one, asked of all, show each other the way
        units = self._packets.units
        shows = which if waits else which[units.rows["kind"][units.row[self._origin[packets]]] == IS_ARP]
        if len(shows):
            self._ways.append(Way(shape, shows, chosen, branches.ONLY))
        if waits:
            self._results.wait(packets, shape.starts[which] + row, _HOW[chosen.kind], grounds.MANY.bit, branches.ONLY)
            return
        # a question for one arrived if he got it
        devices = {int(self._layout.device[shape.place(leaf.row)]) for leaf in taken}
        missed = (asked != NOWHERE) & ~np.isin(asked, list(devices))
        self._results.outcome[packets[missed & (self._results.outcome[packets] == ARRIVED)]] = ENDED

    def _choose(self, waiting: Sequence[tuple[Shape, np.ndarray]]) -> None:
        """Choose the branch of all other packets: where that of some shows the way to the destination's host, with that
        of all."""
        layout, home = self._layout, self._home
        stream = mix(self._stream, home.astype("u8"))    # for as long as the receiver lives there
        chosen = chosen_ways(layout, waiting, stream, home, on_the_way(layout, self._ways, stream))
        sure = [way for way in chosen if way.ground in (branches.HOME, branches.SHOWN) and self._came_home(way)]
        if sure and len(sure) < len(chosen):
            chosen = chosen_ways(layout, waiting, stream, home, on_the_way(layout, [*self._ways, *sure], stream))
        for way in chosen:
            self._took(way)

    def _came_home(self, way: Way) -> bool:
        """Whether packets were seen to come to the host where their destination lives from another one."""
        leg = way.shape.tree.legs[way.leaf.leg]
        return way.leaf.kind != IS_DROPPED and leg.parent >= 0 and leg.entry == FAR and bool(
            (self._home_hosts(way.packets) == leg.host).all())

    def _took(self, way: Way) -> None:
        """Settle a way as far as it goes without knowing what other packets did."""
        leaf, home = way.leaf, self._home[way.packets[0]]
        if way.ground == branches.UNDECIDED:
            self._undecided(way)
        elif leaf.kind == IS_DROPPED:
            self._settle(way, DROPPED, grounds.BRANCHES.bit if way.ground == branches.TRUNK else 0)
        elif self._layout.vm[way.shape.tree.legs[leaf.leg].host] and leaf.kind != OUT:
            self._settle(way, ARRIVED)      # it came into the VM, which was traced itself
        elif leaf.kind == IN_VM and home >= 0:   # elsewhere, only copies of it were seen to come to anybody
            self._settle(way, ARRIVED if self._layout.device[way.shape.place(leaf.row)] == home else ENDED)
        else:
            self._ways.append(way)
            gaps = grounds.BRANCHES.bit if way.ground == branches.TRUNK else 0
            self._results.wait(way.packets, way.units(leaf.row), _HOW.get(leaf.kind, BY_OPEN), gaps, way.ground)
            self._copies(way.shape, way.which, leaf)

    def _undecided(self, way: Way) -> None:
        """Nobody knows which branch is the packet; what was dropped was dropped all the same."""
        shape, which = way.shape, way.which
        dropped = [leaf for leaf in shape.tree.leaves if leaf.kind == IS_DROPPED]
        for leaf in dropped:
            others = [other for other in shape.tree.leaves if other is not leaf]
            # on one host, what stayed in its skb is no copy of what went to VMs in others
            known = leaf.trunk and all(other.kind == IN_VM and other.leg == leaf.leg for other in others)
            known &= shape.tree.legs[leaf.leg].entry > 0 and not self._packets.unsure[shape.starts[which]].any()
            self._extras.append(Extra(OF_BRANCH, shape.packets[which], shape.starts[which] + leaf.mark,
                                      shape.place(leaf.row) if leaf.row >= 0 else NOWHERE,
                                      0 if known else grounds.UNDECIDED.bit))
        common = shape.tree.common()
        if common >= 0:    # so far all branches went together
            self._ways.append(Way(shape, which, Leaf(OPEN, common, -1, True, 0), branches.UNDECIDED))
        row = way.leaf.mark if way.leaf.mark >= 0 else way.leaf.row
        self._results.put(way.packets, UNKNOWN if dropped else ENDED, way.units(row), 0, way.ground, NOWHERE)

    # -- what became of those that were seen last on their way

    def _steps(self) -> dict[Pair, Rows]:
        """Return the units before and after each step of all trees."""
        out: dict[Pair, Rows] = {}
        for shape in self._shapes:
            joined = {leg.first: leg.sure for leg in shape.tree.legs if leg.joint >= 0}
            for one, two in shape.tree.steps:
                if joined.get(two, True):
                    pair = shape.place(one), shape.place(two)
                    out.setdefault(pair, []).append((shape.units(one), shape.units(two)))
        return out

    def _judge(self, on_way: np.ndarray, slowest: dict[Pair, float], rows: dict[Pair, Rows]) -> None:
        """Decide what became of packets that wait for what others show, and whether what was dropped was the packet."""
        results, layout = self._results, self._layout
        waiting = np.flatnonzero(results.how >= 0)
        entrances = Entrances(layout, self._sent_on())
        for (one, two), parts in rows.items():
            if layout.host[one] != layout.host[two]:
                entrances.add(one, two, sum(len(part[0]) for part in parts))
        units = results.unit[waiting]
        places = self._place[units].astype("i4")
        told = self._setting.told
        onward = onward_of(list(self._went(set(places.tolist()))))
        pending = Pending(waiting, units, places, results.how[waiting].astype("u1"), results.gaps[waiting],
                          self._stream[waiting], self._time[units], self._home[waiting], self._stays[waiting],
                          np.array([told.get(address, NOWHERE) for address in self._target[1][waiting].tolist()], "i4"),
                          self._packets.units.rows["kind"][self._packets.units.row[units]] == IS_FRAGMENT,
                          self._packets.unsure[self._starts[waiting]]
                          & (self._packets.loose[self._starts[waiting]] | self._doubles() | self._contested(waiting)),
                          self._strange[units], among(self._stream[waiting], self._followed_streams()))
        judged = Judge(layout, self._setting.facts, self._setting.bounds, onward, slowest, entrances,
                       self._routed()).judge(pending)
        self._in_vms(pending, judged)
        results.outcome[waiting], results.after[waiting], results.gaps[waiting] = (judged.outcome, judged.after,
                                                                                 judged.gaps)
        results.last[waiting] = places
        self._drops(on_way)

    def _sent_on(self) -> set[int]:
        """Return the hosts that sent on what had come to them from other ones."""
        out: set[int] = set()
        for way in self._ways:
            hosts = [int(self._layout.host[way.shape.place(row)]) for row in way.shape.tree.way(way.leaf.row)]
            changes = [host for host, before in zip(hosts, [NOWHERE, *hosts], strict=False) if host != before]
            out.update(changes[1:] if way.leaf.kind == OUT else changes[1:-1])
        return out

    def _followed_streams(self) -> np.ndarray:
        """Return the streams of which packets were recorded where they did not match the filter any more."""
        packet = np.searchsorted(self._starts, np.flatnonzero(self._strange), "right") - 1
        return np.unique(self._stream[packet])

    def _doubles(self) -> bool:
        """Whether packets are doubled on their way: then even the number of those that look the same says little."""
        return any(shape.tree.doubles and not self._packets.twins[shape.starts[0]] for shape in self._shapes)

    def _contested(self, packets: np.ndarray) -> np.ndarray:
        """Whether one that looks the same ended where it came out of a VM, or was dropped, and yet seems to have gone
        on, or came to VMs on two hosts, or came twice: then it may be this one that did."""
        key = self._packets.units.key[self._starts]
        others = [extra.packets for extra in self._extras if extra.kind == OF_BRANCH]
        for shape in self._shapes:
            tree = shape.tree
            hosts = {tree.legs[leaf.leg].host for leaf in tree.leaves if leaf.kind == IN_VM}
            stays = [leaf.kind in (FREED, OPEN) and tree.legs[leaf.leg].entry == NEAR
                     for leaf in tree.leaves if leaf.trunk]
            if len(hosts) > 1 or tree.doubles or (any(stays) and not all(stays)):
                others.append(shape.packets[self._packets.unsure[shape.starts]])
        return among(key[packets], np.unique(key[np.concatenate(others)])) if others else np.zeros(len(packets), bool)

    def _went(self, places: set[int]) -> Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield (key of stream and place, time, next place) of the packets that went on from some places."""
        for way in self._ways:
            rows = way.shape.tree.way(way.leaf.row)
            streams = None
            for one, two in zip(rows[:-1], rows[1:], strict=True):
                place = way.shape.place(one)
                if place in places and self._layout.step[place]:
                    streams = self._stream[way.packets] if streams is None else streams
                    yield (mix(streams, np.full(len(streams), place, "u8")), self._time[way.units(one)],
                           np.full(len(streams), way.shape.place(two), "i4"))

    def _routed(self) -> np.ndarray:
        """Return the keys of streams whose packets spent a hop between two places of two hosts, sorted."""
        keys = [np.zeros(0, "u8")]
        for way in self._ways:
            rows, sights = way.shape.tree.way(way.leaf.row), way.shape.sights
            for one, two in zip(rows[:-1], rows[1:], strict=True):
                places = np.array([way.shape.place(one), way.shape.place(two)])
                if sights[one].hops < sights[two].hops and len(set(self._layout.host[places].tolist())) > 1:
                    keys.append(routed_key(np.unique(self._stream[way.packets]), *places[:, None]))
        return np.unique(np.concatenate(keys))

    def _in_vms(self, pending: Pending, judged: Verdicts) -> None:
        """What went into a VM arrived, unless the VM sends such packets on."""
        there = pending.how == BY_VM
        ends = there & (judged.after == NOWHERE)
        whole = self._setting.facts.here[self._layout.host[pending.place]] == 0
        judged.outcome[ends & whole] = ARRIVED
        judged.outcome[ends & ~whole] = ENDED

    def _reached(self, way: Way) -> bool:
        """Whether packets went this way to a VM, or were sent on by a host that they had come to: one that had got them
        from another, or that routed them, which it does with nothing that is for others."""
        legs, sights = way.shape.tree.legs, way.shape.sights
        if way.leaf.kind != OUT:
            return way.leaf.kind == IN_VM
        leg = legs[way.leaf.leg]
        return leg.parent >= 0 or (leg.entry == FAR and sights[leg.first].hops < sights[way.leaf.row].hops)

    def _drops(self, on_way: np.ndarray) -> None:
        """A drop is the packet's if its host is on the packet's way."""
        results, layout = self._results, self._layout
        rows = np.flatnonzero(results.outcome == DROPPED)
        host = layout.host[self._place[results.unit[rows]]]
        began = self._place[self._origin[rows]]
        own = (host == layout.host[began]) & (layout.arrives[began] != FAR)
        shown = among(mix(self._stream[rows], (host + 1).astype("u8")), on_way)
        lives = np.isin(results.ground[rows], (branches.HOME, branches.SHOWN)) & (host == self._home_hosts(rows))
        # by a tunnel it was sent to this host; and nobody filters, or queues, what is for others
        tap = (results.last[rows] >= 0) & layout.final[results.last[rows]] & layout.local[results.last[rows]]
        row = self._packets.units.row[results.unit[rows]]
        unwanted = self._setting.unwanted[self._packets.units.rows["drop"][row]]
        refused = unwanted == BRIDGE
        # what a bridge refuses was for this host only if that is known of the time before and after, and if it was not
        # on its way to a router
        came = (results.last[rows] >= 0) & (layout.arrives[results.last[rows]] == FAR)
        own &= ~(refused & came)
        shown[refused], otherwise = self._between(rows[refused], host[refused])
        lives &= ~refused | self._stays[rows]
        lives[refused] &= ~otherwise
        wanted = ~refused & (results.ground[rows] == branches.ONLY)
        shown |= tap | wanted | layout.vm[host] | (self._packets.units.rows["network"][row] >> 24 > 0)
        entered = self._entered(rows)
        lossy = (self._setting.facts.here[host] & grounds.LOSSY_HERE.bit > 0) & (entered == 0)
        results.gaps[rows[~(own | shown | lives)]] |= np.uint32(grounds.NOT_ON_WAY.bit)
        # what came from another host may be a double of one that got on
        lossy |= (self._packets.units.rows["kind"][row] == UNREADABLE) & (entered != NEAR)
        results.gaps[rows[lossy]] |= np.uint32(grounds.LOSSY_HERE.bit)
        start = self._starts[rows]
        alike = self._packets.twins[start] & self._packets.loose[start] & (entered != NEAR)
        results.gaps[rows[alike]] |= np.uint32(grounds.ALIKE.bit)
        away = (unwanted == CLOSED) & ~(self._stays[rows] & (self._home_hosts(rows) == host))
        results.gaps[rows[away]] |= np.uint32(grounds.AWAY.bit)

    def _between(self, packets: np.ndarray, hosts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (whether packets of the same flow got to their destination over these hosts both before and after
        each, and came there with as many hops left; whether all that did came there with more or fewer)."""
        ttl, row = self._packets.units.rows["ttl"], self._packets.units.row
        keys, hops, times = [np.zeros(0, "u8")], [np.zeros(0, "u1")], [np.zeros(0, "i8")]
        for way in self._ways if len(packets) else ():
            if self._reached(way):
                came: dict[int, int] = {}
                for at in way.shape.tree.way(way.leaf.row):
                    came.setdefault(int(self._layout.host[way.shape.place(at)]), at)
                for host, at in came.items():
                    keys.append(keyed(self._stream[way.packets], host))
                    hops.append(ttl[row[way.units(at)]])
                    times.append(self._time[self._origin[way.packets]])
        key, time = np.concatenate(keys), np.concatenate(times)
        alike = mix(key, np.concatenate(hops).astype("u8"))
        order = np.lexsort((time, alike))
        own = mix(self._stream[packets], (hosts + 1).astype("u8"))
        before, after = around(alike[order], time[order], np.zeros(len(key), "i4"),
                               mix(own, ttl[row[self._results.unit[packets]]].astype("u8")),
                               self._time[self._origin[packets]])
        return (before != NOWHERE) & (after != NOWHERE), among(own, np.unique(key)) & (before == NOWHERE) & (
            after == NOWHERE)

    def _origins(self) -> np.ndarray:
        """Return the unit with which each packet's tree begins."""
        out = self._starts.copy()
        for shape in self._shapes:
            out[shape.packets] = shape.starts + shape.tree.legs[0].first
        # where it could not be recognised it has no name: take where it could
        units = self._packets.units
        readable = np.flatnonzero(units.rows["kind"][units.row] != UNREADABLE)
        if len(readable) == len(units):
            return out
        at = np.searchsorted(readable, self._starts)
        first = np.append(readable, len(units))[at]
        named = (first < np.append(self._starts[1:], len(units))) & (units.rows["kind"][units.row[out]] == UNREADABLE)
        return np.where(named, first, out)

    def _home_hosts(self, packets: np.ndarray) -> np.ndarray:
        table = np.full(int(self._layout.device.max()) + 1, -1, "i4")
        table[self._layout.device] = self._layout.host
        home = self._home[packets]
        return np.where(home >= 0, table[np.maximum(home, 0)], -1)

    def _entered(self, packets: np.ndarray) -> np.ndarray:
        """Return where a packet was seen to come in to the host on which it was dropped (NEAR, FAR); 0 if it was not.
        """
        first = self._packets.chain[self._results.unit[packets]]
        return self._layout.arrives[self._place[first]]


__all__ = ["OF_PACKET", "Setting", "Way", "explore"]
