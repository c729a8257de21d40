# SPDX-License-Identifier: Apache-2.0
"""What became of packets that were seen last on their way, and whether a drop was the packet's: what others show."""
from collections.abc import Iterable

import numpy as np

from ..packet.identity import IS_FRAGMENT, UNREADABLE, among, mix
from ..packet.places import FAR, NEAR
from . import branches, grounds
from .atlas import BRIDGE, CLOSED
from .choosing import Way, keyed
from .evidence import NOWHERE, around, onward_of
from .floods import Reach, for_one, reaches
from .found import ARRIVED, DROPPED, ENDED, OF_BRANCH, UNKNOWN, VANISHED
from .outcomes import BY_VM, Entrances, Judge, Pending, Verdicts, routed_key
from .part import Part
from .steps import Pair, Rows
from .tree import DROPPED as IS_DROPPED
from .tree import FREED, IN_VM, OPEN, OUT


class Judging(Part):
    """Judges packets by those before them, behind them, and beside them."""

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
                          self._stream[waiting], self._time[units], *self._times_of_alike(waiting, units),
                          self._home[waiting], self._stays[waiting],
                          np.array([told.get(address, NOWHERE) for address in self._target[1][waiting].tolist()], "i4"),
                          self._packets.units.rows["kind"][self._packets.units.row[units]] == IS_FRAGMENT,
                          self._packets.unsure[self._starts[waiting]]
                          & (self._packets.loose[self._starts[waiting]] | self._contested(waiting)
                             | (self._has_come(waiting, units) & self._doubles())),
                          self._strange[units], among(self._stream[waiting], self._followed_streams()),
                          self._aside(waiting, units))
        judged = Judge(layout, self._setting.facts, self._setting.bounds, onward, slowest, entrances,
                       self._routed()).judge(pending)
        miscounted = self._miscounted(pending, judged)
        judged.gaps[miscounted] |= np.uint32(grounds.ALIKE.bit)
        judged.outcome[miscounted] = UNKNOWN
        self._in_vms(pending, judged)
        results.outcome[waiting], results.after[waiting], results.gaps[waiting] = (judged.outcome, judged.after,
                                                                                 judged.gaps)
        results.last[waiting] = places
        row = self._packets.units.row
        network, hops = (self._packets.units.rows[name][row] for name in ("network", "ttl"))
        self._drops(on_way, reaches(rows, layout, network, hops, self._time))

    def _times_of_alike(self, waiting: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return when the first and the last of those that look the same were seen where a packet was seen last."""
        times = self._time[units]
        first, last = times.copy(), times.copy()
        unsure, key = self._packets.unsure, mix(self._packets.units.key, self._place.astype("u8"))
        some = np.flatnonzero(unsure[self._starts[waiting]])
        if not len(some):
            return first, last
        keys, of = np.unique(key[units[some]], return_inverse=True)
        alike = np.flatnonzero(among(key, keys) & unsure)
        at = np.searchsorted(keys, key[alike])
        earliest, latest = np.full(len(keys), times.max()), np.full(len(keys), times.min())
        np.minimum.at(earliest, at, self._time[alike])
        np.maximum.at(latest, at, self._time[alike])
        first[some], last[some] = np.minimum(first[some], earliest[of]), np.maximum(last[some], latest[of])
        return first, last

    def _aside(self, waiting: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Whether packets' frames were for another MAC address than those that their receivers' VMs send from."""
        owned, home = self._setting.atlas.owned, self._home[waiting]
        toward = self._packets.units.rows["toward"][self._packets.units.row[units]]
        known = np.sort(mix(owned["mac"], owned["device"].astype("u8")))
        return (toward > 0) & among(home, owned["device"]) & ~among(mix(toward, home.astype("u8")), known)

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

    def _miscounted(self, pending: Pending, judged: Verdicts) -> np.ndarray:
        """Return which of those that look the same (positions) would have vanished between two places where fewer of
        them are missing: which is which was taken from their order, and another one was lost elsewhere."""
        units, layout = self._packets.units, self._layout
        some = np.flatnonzero((judged.outcome == VANISHED) & self._packets.unsure[self._starts[pending.packet]])
        if not len(some):
            return some
        keys = np.unique(units.key[pending.unit[some]])
        mine = np.flatnonzero(among(units.key, keys))
        key, place = np.searchsorted(keys, units.key[mine]), self._place[mine].astype("i8")
        # what comes to a host may come by another of its devices
        there = np.where(layout.arrives == FAR, len(layout.host) + layout.host, np.arange(len(layout.host)))
        wide = 2 * len(layout.host) + len(self._setting.facts.here)
        own = np.searchsorted(keys, units.key[pending.unit[some]]) * wide
        left, came = own + pending.place[some], own + there[judged.after[some]]
        seen = np.sort(np.concatenate([key * wide + place, (key * wide + there[place])[there[place] != place]]))

        def count(asked: np.ndarray) -> np.ndarray:
            return np.searchsorted(seen, asked, "right") - np.searchsorted(seen, asked)
        _, of, claims = np.unique(left * wide + came % wide, return_inverse=True, return_counts=True)
        return some[claims[of] > count(left) - count(came)]

    def _has_come(self, packets: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Whether packets were seen last where they had come to. Of those that look the same no fewer are missing
        behind the host where they began than were sent and did not come, however often others came; elsewhere, what
        came may be doubles."""
        began = self._origin[packets]
        return (self._layout.host[self._place[units]] != self._layout.host[self._place[began]]) | (
            self._packets.leg[units] != self._packets.leg[began]) | (self._layout.arrives[self._place[began]] == FAR)

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
        """Yield (key of stream and place, time, next place) of the packets that went on from some places. What a bridge
        refused, or gave to all and was for none of them, was perhaps for another host: that it came shows nothing; nor
        does what may have left a host by a device that nobody looked at, or another host."""
        for way in self._ways:
            rows = way.shape.tree.way(way.leaf.row)
            if self._refused(way) or self._flooded(way):
                last = way.shape.tree.leg_of(rows[-1])
                rows = [row for row in rows if way.shape.tree.leg_of(row) != last]
            streams = None
            doubtful = {leg.first for leg in way.shape.tree.legs if not leg.sure}
            for one, two in zip(rows[:-1], rows[1:], strict=True):
                place = way.shape.place(one)
                if two in doubtful and not self._layout.leaves[place]:
                    continue
                if place in places and self._layout.step[place]:
                    streams = self._stream[way.packets] if streams is None else streams
                    yield (mix(streams, np.full(len(streams), place, "u8")), self._time[way.units(one)],
                           np.full(len(streams), way.shape.place(two), "i4"))

    def _refused(self, way: Way) -> bool:
        """Whether packets came from another host, and a bridge did not want them."""
        if way.leaf.kind != IS_DROPPED or way.leaf.row < 0 or way.shape.tree.legs[way.leaf.leg].parent < 0:
            return False
        units = self._packets.units
        drop = units.rows["drop"][units.row[way.units(way.leaf.mark)[0]]]
        return bool(self._setting.unwanted[drop] == BRIDGE)

    def _flooded(self, way: Way) -> bool:
        """Whether packets came from another host, and their frames were for none of the VMs that they were given to, or
        only got where nothing but copies goes, while their receivers live on other hosts."""
        tree = way.shape.tree
        if way.ground == branches.MIRRORED and way.leaf.kind in (FREED, OPEN):
            host = tree.legs[way.leaf.leg].host
            copies = not (self._home_hosts(way.packets) == host).any()
        else:
            copies = way.ground == branches.UNDECIDED and all(leaf.aim < 0 for leaf in tree.leaves)
        leg = tree.legs[tree.leg_of(way.leaf.row)] if copies else None
        return leg is not None and leg.parent >= 0 and leg.entry == FAR

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
        """What went into a VM arrived, unless the VM sends such packets on, or where more copies may have been made of
        it than were seen."""
        there = pending.how == BY_VM
        ends = there & (judged.after == NOWHERE)
        host = self._layout.host[pending.place]
        whole = (self._setting.facts.here[host] == 0) & ~self._layout.narrow[host]
        judged.outcome[ends & whole] = ARRIVED
        judged.outcome[ends & ~whole] = ENDED

    def _drops(self, on_way: np.ndarray, known: list[Reach]) -> None:
        """A drop is the packet's if its host is on the packet's way. known: to whom bridges gave other packets."""
        results, layout = self._results, self._layout
        rows = np.flatnonzero(results.outcome == DROPPED)
        host = layout.host[self._place[results.unit[rows]]]
        began = self._place[self._origin[rows]]
        own = (host == layout.host[began]) & (layout.arrives[began] != FAR)
        shown = among(mix(self._stream[rows], (host + 1).astype("u8")), on_way)
        lives = np.isin(results.ground[rows], (branches.HOME, branches.SHOWN, branches.ADDRESSED)) & (
            host == self._home_hosts(rows))
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
        wanted = ~refused & np.isin(results.ground[rows], (branches.ONLY, branches.MIRRORED))
        shown |= tap | wanted | layout.vm[host] | (self._packets.units.rows["network"][row] >> 24 > 0)
        entered = self._entered(rows)
        shown |= self._routed_here(rows)
        lossy = (self._setting.facts.here[host] & grounds.LOSSY_HERE.bit > 0) & (entered == 0)
        # whose the VM is nobody knows, and where else the bridge may have sent copies nobody looked
        at = self._place[results.unit[rows]]
        hidden = (layout.narrow[host] & (self._home[rows] == NOWHERE) & layout.local[at]
                  & (layout.device[at] != layout.device[began]) & (results.ground[rows] != branches.ADDRESSED))
        first = self._packets.chain[results.unit[rows]]
        hidden &= (entered != NEAR) | (results.ground[rows] != branches.ONLY) | ~for_one(
            known, layout.device[self._place[first]], layout.device[at],
            self._packets.units.rows["network"][self._packets.units.row[first]], self._time[first])
        results.gaps[rows[~(own | shown | lives) | hidden]] |= np.uint32(grounds.NOT_ON_WAY.bit)
        # what came from another host may be a double of one that got on
        lossy |= (self._packets.units.rows["kind"][row] == UNREADABLE) & (entered != NEAR)
        results.gaps[rows[lossy]] |= np.uint32(grounds.LOSSY_HERE.bit)
        unwatched = ~(np.bincount(layout.host, layout.receives, len(self._setting.facts.here)) > 0)[host]
        if self._doubles():
            results.gaps[rows[unwatched]] |= np.uint32(grounds.DOUBLED.bit)
        flooded = unwatched & (results.ground[rows] == branches.ONLY) & layout.local[at] & self._crowded(rows, at)
        results.gaps[rows[flooded]] |= np.uint32(grounds.NOT_ON_WAY.bit)
        start = self._starts[rows]
        # so may one of several that look the same, where others than those that were seen to be sent may have come
        alike = self._packets.twins[start] & (
            (self._packets.loose[start] & self._doubles()) | self._contested(rows)) & (entered != NEAR)
        results.gaps[rows[alike]] |= np.uint32(grounds.ALIKE.bit)
        away = (unwanted == CLOSED) & ~(self._stays[rows] & (self._home_hosts(rows) == host))
        results.gaps[rows[away]] |= np.uint32(grounds.AWAY.bit)

    def _crowded(self, packets: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Whether packets for other addresses, too, were dropped at the same device. A VM has one, mostly; what is for
        another one's was flooded."""
        device = self._layout.device[places]
        pairs = np.unique(np.stack([device.astype("u8"), self._target[0][packets]], 1), axis=0)
        return np.bincount(pairs[:, 0].astype("i8"), minlength=int(self._layout.device.max()) + 1)[device] > 1

    def _between(self, packets: np.ndarray, hosts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (whether packets of the same flow got to their destination over these hosts both before and after
        each, and came there with as many hops left; whether all that did came there with more or fewer)."""
        ttl, row = self._packets.units.rows["ttl"], self._packets.units.row
        keys, hops, times = [np.zeros(0, "u8")], [np.zeros(0, "u1")], [np.zeros(0, "i8")]
        for way in self._ways if len(packets) else ():
            if self._reached(way):
                came: dict[tuple[int, int], int] = {}      # where a VM sent it, it did not come to the host
                for at in way.shape.tree.way(way.leaf.row):
                    came.setdefault((int(self._layout.host[way.shape.place(at)]), way.shape.sights[at].leg), at)
                for (host, _), at in came.items():
                    if self._layout.arrives[way.shape.place(at)] == NEAR:
                        continue
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

    def _routed_here(self, packets: np.ndarray) -> np.ndarray:
        """Whether packets spent a hop on the host on which they were dropped, or in a VM there out of which they came:
        nobody routes what is for another."""
        ttl, row, unit = self._packets.units.rows["ttl"], self._packets.units.row, self._results.unit[packets]
        left, chain = ttl[row[unit]], self._packets.chain[unit]
        in_a_vm = (self._layout.arrives[self._place[chain]] == NEAR) & (ttl[row[self._origin[packets]]] > left)
        return ((ttl[row[chain]] > left) | in_a_vm) & (left > 0)

    def _entered(self, packets: np.ndarray) -> np.ndarray:
        """Return where a packet was seen to come in to the host on which it was dropped (NEAR, FAR); 0 if it was not.
        """
        first = self._packets.chain[self._results.unit[packets]]
        return self._layout.arrives[self._place[first]]
