# SPDX-License-Identifier: Apache-2.0
"""Which branch of a tree is the packet, and what became of it where its own tree says that."""
from collections.abc import Iterator, Sequence

import numpy as np

from ..packet.identity import IS_ARP, mix
from ..packet.places import FAR, NEAR
from . import branches, grounds
from .atlas import CLOSED
from .choosing import Way, but_copies, chosen_ways, dropped_behind, mirrors, on_the_way
from .evidence import NOWHERE
from .found import ARRIVED, DROPPED, ENDED, OF_BRANCH, OF_COPY, OF_RECEIVER, UNKNOWN
from .outcomes import BY_FREED, BY_OPEN, BY_OUT, BY_VM
from .part import Part
from .shapes import Shape
from .tally import Extra
from .tree import DROPPED as IS_DROPPED
from .tree import FREED, IN_VM, OPEN, OUT, Leaf

_HOW = {OUT: BY_OUT, FREED: BY_FREED, IN_VM: BY_VM}


class Settling(Part):
    """Settles what each packet's own tree tells."""

    def _arrivals(self) -> list[tuple[Shape, np.ndarray]]:
        """Settle what arrived at its destination for sure, and what goes to many; return the rest."""
        rest = []
        self._closed = self._closed_times()
        for shape in self._shapes:
            open_ = ~self._many[shape.packets]
            home = self._home[shape.packets]
            for leaf in shape.tree.leaves:
                if leaf.kind == IN_VM and leaf.aim >= 0 and not dropped_behind(shape, leaf, self._layout):
                    device = self._layout.device[shape.place(leaf.row)]
                    here = open_ & ((home == device) | (self._moves[shape.packets] == device).any(axis=1))
                    here &= ~self._may_be_closed(shape, np.arange(len(here)), leaf)
                    if here.any():
                        self._settle(Way(shape, np.flatnonzero(here), leaf, branches.HOME), ARRIVED)
                        open_ &= ~here
            if open_.any():
                rest.append((shape, np.flatnonzero(open_)))
        mirrored = self._mirrored()
        for shape in self._shapes:
            many = np.flatnonzero(self._many[shape.packets])
            if len(many):
                self._to_many(shape, many, mirrored)
        return rest

    def _mirrored(self) -> set[int]:
        """Return the devices to which nothing but copies goes, as far as is settled."""
        lossy = self._setting.facts.here & grounds.LOSSY_HERE.bit > 0
        return mirrors(self._layout, self._ways, self._place, self._packets.twins, self._setting.homes.device, lossy)

    def _closed_times(self) -> dict[int, tuple[int, int]]:
        """Return, of hosts that lost records, the devices of VMs that nobody had open when a frame was dropped there:
        the first and the last time (wall ns)."""
        units, layout = self._packets.units, self._layout
        drop = units.rows["drop"][units.row]
        some = np.flatnonzero((drop > 0) & (self._setting.unwanted[drop] == CLOSED))
        some = some[self._setting.facts.here[layout.host[self._place[some]]] & grounds.LOSSY_HERE.bit > 0]
        out: dict[int, tuple[int, int]] = {}
        for device in np.unique(layout.device[self._place[some]]).tolist():
            times = self._time[some[layout.device[self._place[some]] == device]]
            out[device] = int(times.min()), int(times.max())
        return out

    def _may_be_closed(self, shape: Shape, which: np.ndarray, leaf: Leaf) -> np.ndarray:
        """Whether what was given to a VM's device may have been dropped there, and the record of that was lost."""
        times = self._closed.get(int(self._layout.device[shape.place(leaf.row)]))
        if not times:
            return np.zeros(len(which), bool)
        when = self._time[shape.starts[which] + leaf.row]
        return (times[0] <= when) & (when <= times[1])

    def _settle(self, way: Way, outcome: int, gaps: int | np.ndarray = 0) -> None:
        """Write down the outcome of packets whose way is known to its end."""
        row = way.leaf.mark if way.leaf.mark >= 0 else way.leaf.row
        self._results.put(way.packets, outcome, way.units(row), gaps, way.ground,
                          way.shape.place(way.leaf.row) if way.leaf.row >= 0 else NOWHERE)
        self._ways.append(way)
        self._copies(way)

    def _copies(self, way: Way) -> None:
        """Write down what was dropped of copies; where others look like the packet, or its way is not sure, it may have
        been the packet."""
        shape, which = way.shape, way.which
        unsure = self._packets.unsure[shape.starts[which]] | (way.ground == branches.ASTRAY)
        stopped = way.ground in (branches.SHOWN, branches.TRUNK) and way.leaf.kind != IN_VM
        if stopped:
            unsure |= ~self._stays[way.packets]     # its receiver may have lived elsewhere then
        if way.leaf.kind == IS_DROPPED and way.ground == branches.TRUNK:    # either may have been the packet
            unsure |= True
        if way.leaf.kind == IS_DROPPED:    # nobody had its receiver's device open: it may have lived elsewhere, too
            row = self._packets.units.row[way.units(way.leaf.mark)]
            unsure |= ~self._stays[way.packets] & (
                self._setting.unwanted[self._packets.units.rows["drop"][row]] == CLOSED)
        for leaf in shape.tree.leaves:
            if leaf is way.leaf or leaf.kind != IS_DROPPED or leaf.mark == way.leaf.mark:
                continue
            last = shape.place(leaf.row) if leaf.row >= 0 else NOWHERE
            # others may have gone on, unseen, from a host that did not record everything, or come to one
            open_ = unsure | (stopped and any(self._setting.facts.partly[shape.tree.legs[number].host]
                                              for number in (leaf.leg, way.leaf.leg)))
            open_ |= self._may_be_another(way, leaf) or self._came_beside(way, leaf)
            # how it came there was not seen, or it came out of a VM, or its frame was for the VM there: it may be the
            # packet, further on its way, or the same sent once more
            root = shape.tree.root(leaf.leg)
            open_ |= root != shape.tree.root(way.leaf.leg) and (
                way.leaf.kind != IN_VM or shape.tree.legs[root].entry != FAR or leaf.aim > 0)
            for kind, gap, some in ((OF_COPY, 0, which[~open_]), (OF_BRANCH, grounds.UNDECIDED.bit, which[open_])):
                if len(some):
                    self._extras.append(Extra(kind, shape.packets[some], shape.starts[some] + leaf.mark, last, gap))

    def _may_be_another(self, way: Way, leaf: Leaf) -> bool:
        """Whether what was dropped has other data than what went on from the same host, which may have lost the record
        of how that came in, or does not look at that: then it may be one that looks the same."""
        tree, sights = way.shape.tree, way.shape.sights
        leg = tree.legs[leaf.leg]
        passed = [row for row in tree.way(way.leaf.row) if row in leg.rows]
        lossy = self._setting.facts.here[leg.host] & grounds.LOSSY_HERE.bit > 0
        unwatched = not self._layout.receives[self._layout.host == leg.host].any()
        return bool(passed and (lossy or unwatched) and sights[passed[-1]].head != sights[leaf.mark].head)

    def _came_beside(self, way: Way, leaf: Leaf) -> bool:
        """Whether the packet and what was dropped both came to one host from others, and neither got on from there."""
        legs = way.shape.tree.legs
        one, two = legs[way.leaf.leg], legs[leaf.leg]
        return way.leaf.kind == IS_DROPPED and one is not two and one.host == two.host and one.entry == two.entry == FAR

    def _to_many(self, shape: Shape, which: np.ndarray, mirrored: set[int]) -> None:
        """A packet to many has an outcome for each receiver. mirrored: devices to which nothing but copies goes."""
        every = shape.tree.leaves
        leaves = [leaf for leaf in every if leaf.kind != IN_VM or int(
            self._layout.device[shape.place(leaf.row)]) not in mirrored]
        taken = [leaf for leaf in leaves if leaf.kind == IN_VM]
        dropped = [leaf for leaf in leaves if leaf.kind == IS_DROPPED]
        if any(leaf.trunk and self._stayed_outside(shape, leaf) for leaf in dropped):
            # nobody gave it to anybody: what got to a device from which nothing ever came went to a mirror
            taken = [leaf for leaf in taken if self._layout.device[shape.place(leaf.row)] in self._setting.homes.device]
        for leaf in dropped:
            self._extras.append(Extra(OF_RECEIVER, shape.packets[which], shape.starts[which] + leaf.mark,
                                      shape.place(leaf.row) if leaf.row >= 0 else NOWHERE, 0))
        chosen = (taken or dropped or leaves or every)[0]
        row = chosen.mark if chosen.mark >= 0 else chosen.row
        outcome = ARRIVED if taken else UNKNOWN if dropped else ENDED
        packets = shape.packets[which]
        self._results.put(packets, outcome, shape.starts[which] + row, 0, branches.ONLY, NOWHERE)
        waits = bool(leaves) and not taken and not dropped and chosen.kind in _HOW
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

    def _stayed_outside(self, shape: Shape, leaf: Leaf) -> bool:
        """Whether a branch was dropped at the device by which it came in to its host."""
        device = self._layout.device
        return bool(device[shape.place(leaf.mark)] == device[shape.place(shape.tree.legs[leaf.leg].first)])

    def _choose(self, rest: Sequence[tuple[Shape, np.ndarray]]) -> None:
        """Choose the branch of all other packets: where that of some shows the way to the destination's host, with that
        of all."""
        chosen = self._chosen(rest)
        if self._leave_homes(chosen):
            chosen = self._chosen(rest)
        for way in but_copies(self._layout, chosen, self._ways[:], self._stream):
            for one in self._at_home(way):
                self._took(one)

    def _chosen(self, rest: Sequence[tuple[Shape, np.ndarray]]) -> list[Way]:
        """Return the ways of packets, by where their destinations live."""
        layout, home = self._layout, self._home
        waiting = [(shape, which, self._is_elsewhere(shape, which)) for shape, which in rest]
        stream = mix(self._stream, home.astype("u8"))    # for as long as the receiver lives there
        twins = self._packets.twins
        mirrored = self._mirrored()
        chosen = chosen_ways(layout, waiting, stream, home, on_the_way(layout, self._ways, stream, twins), mirrored)
        sure = [way for way in chosen if way.ground in (branches.HOME, branches.SHOWN) and self._came_home(way)]
        if sure and len(sure) < len(chosen):
            chosen = chosen_ways(layout, waiting, stream, home, on_the_way(layout, [*self._ways, *sure], stream, twins),
                                 mirrored)
        return chosen

    def _leave_homes(self, ways: Sequence[Way]) -> bool:
        """Forget where receivers live who were heard there at another time only, where no branch leads there, and their
        packets tell otherwise: a VM of the same host sent them, and they came to other hosts, and not to the receiver's
        device. Return whether there are such."""
        layout, before = self._layout, self._home.copy()
        for way in ways:
            tree = way.shape.tree
            host = tree.legs[0].host
            away = tree.legs[0].entry == NEAR and any(leg.parent == 0 and leg.host != host for leg in tree.legs)
            if not away or not _led_nowhere(way) or self._setting.facts.next[host] or layout.narrow[host]:
                continue
            passed = np.unique(layout.device[[sight.place for sight in way.shape.sights]])
            gone = (self._home_hosts(way.packets) == host) & ~self._stays[way.packets]
            self._home[way.packets[gone & ~np.isin(self._home[way.packets], passed)]] = NOWHERE
        return bool((self._home != before).any())

    def _is_elsewhere(self, shape: Shape, which: np.ndarray) -> np.ndarray:
        """Whether packets' VM was seen before and after where it lives, and a frame for it was dropped at a device that
        nobody had open: it is about to move there."""
        out = np.zeros(len(which), bool)
        for leaf in shape.tree.leaves:
            if leaf.kind == IS_DROPPED and leaf.aim > 0:
                row = self._packets.units.row[shape.starts[which] + leaf.mark]
                closed = self._setting.unwanted[self._packets.units.rows["drop"][row]] == CLOSED
                out |= closed & (self._home[shape.packets[which]] != self._layout.device[shape.place(leaf.mark)])
        return out & self._stays[shape.packets[which]]

    def _at_home(self, way: Way) -> Iterator[Way]:
        """Yield a way; in doubt, where nobody had the device open at which its packet arrived, or, if its frame was for
        the VM there, was dropped: the VM had moved away, or was to come."""
        if way.leaf.kind == IN_VM:
            closed = self._may_be_closed(way.shape, way.which, way.leaf)
            yield from self._in_doubt(way, closed)
            return
        if way.ground != branches.ADDRESSED or way.leaf.kind != IS_DROPPED:
            yield way
            return
        row = self._packets.units.row[way.units(way.leaf.mark)]
        yield from self._in_doubt(way, self._setting.unwanted[self._packets.units.rows["drop"][row]] == CLOSED)

    @staticmethod
    def _in_doubt(way: Way, doubtful: np.ndarray) -> Iterator[Way]:
        """Yield a way, its doubtful packets apart."""
        for ground, some in ((way.ground, ~doubtful), (branches.UNDECIDED, doubtful)):
            if some.any():
                yield Way(way.shape, way.which[some], way.leaf, ground)

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
            gaps = grounds.BRANCHES.bit if way.ground in (branches.TRUNK, branches.ASTRAY) else 0
            self._results.wait(way.packets, way.units(leaf.row), _HOW.get(leaf.kind, BY_OPEN), gaps, way.ground)
            self._copies(way)

    def _undecided(self, way: Way) -> None:
        """Nobody knows which branch is the packet; what was dropped was dropped all the same."""
        shape, which = way.shape, way.which
        dropped = [leaf for leaf in shape.tree.leaves if leaf.kind == IS_DROPPED]
        for leaf in dropped:
            others = [other for other in shape.tree.leaves if other is not leaf]
            # on one host, what stayed in its skb is no copy of what went to VMs in others
            known = leaf.trunk and leaf.aim >= 0 and shape.tree.legs[leaf.leg].entry > 0
            known &= all(other.kind == IN_VM and other.leg == leaf.leg for other in others)
            known &= not self._packets.unsure[shape.starts[which]].any()
            doubt = grounds.NOT_FOR_IT if leaf.aim < 0 else grounds.UNDECIDED
            self._extras.append(Extra(OF_BRANCH, shape.packets[which], shape.starts[which] + leaf.mark,
                                      shape.place(leaf.row) if leaf.row >= 0 else NOWHERE, 0 if known else doubt.bit))
        common = shape.tree.common()
        if common >= 0:    # so far all branches went together
            self._ways.append(Way(shape, which, Leaf(OPEN, common, -1, True, 0), branches.UNDECIDED))
        row = way.leaf.mark if way.leaf.mark >= 0 else way.leaf.row
        self._results.put(way.packets, UNKNOWN if dropped else ENDED, way.units(row), 0, way.ground, NOWHERE)


def _led_nowhere(way: Way) -> bool:
    """Whether no branch that was seen to its end may be the packet."""
    to_strangers = way.ground in (branches.TRUNK, branches.ASTRAY) and not any(
        leaf is way.leaf for leaf in way.shape.tree.leaves)
    return way.ground == branches.UNDECIDED or to_strangers
