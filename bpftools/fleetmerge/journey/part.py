# SPDX-License-Identifier: Apache-2.0
"""The packets of one part: their trees, where each should go, and what is decided about them so far."""
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..bundle.fields import Recorded
from ..clock.host import HostClock
from ..excerpt.marks import Marks
from ..packet.identity import FOLLOWED, IS_FRAGMENT, UNREADABLE, among, mix
from ..packet.places import FAR
from ..packet.sample import Sample
from .atlas import Atlas
from .choosing import Way
from .evidence import NOWHERE, Homes
from .outcomes import Facts
from .packets import Packets
from .partition import Names, Partition
from .shapes import find_shapes
from .tally import Extra, Results
from .tree import IN_VM, OUT


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
    words: str                          # file of identity.FLOW, in the order of those in the atlas, which tell less
    homes: Homes
    many: np.ndarray                    # u8, sorted: flows to many receivers
    unwanted: np.ndarray                # u1 by drop: BRIDGE, CLOSED, or 0
    recorded: Recorded                  # fields that were asked for by name
    neighbours: np.ndarray              # NEIGHBOURS of all flows
    told: dict[int, int] = field(default_factory=dict)   # address -> place where the topology says that it comes in
    sample: Sample | None = None        # which packets were taken; None: all
    excerpt: Marks | None = None        # what is asked for; None: everything

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return self.partition.parts


class Part:
    """The packets of one part."""

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
        self._stream = self._streams(first)
        self._target = self._targets()
        self._many = among(units.said[first], setting.many)
        self._home, self._stays, self._moves = self._homes()
        self._results = Results.empty(len(self._starts))
        self._extras: list[Extra] = []
        self._ways: list[Way] = []
        self._closed: dict[int, tuple[int, int]] = {}     # see Settling

    def _streams(self, first: np.ndarray) -> np.ndarray:
        """Return keys of the packets that are expected to go the same way. first: the row with which each begins. A
        fragment goes where the first one of its datagram does, which alone has ports."""
        rows = {name: self._packets.units.rows[name][first] for name in ("flow", "network", "group", "ident", "kind",
                                                                         "seq")}
        out = mix(rows["flow"], rows["network"])
        piece = (rows["kind"] == IS_FRAGMENT) & (rows["ident"] > 0)
        begins = piece & (rows["seq"] == 0)
        if not begins.any():
            return out
        datagram = mix(mix(rows["group"], rows["ident"]), rows["network"])
        known, at, of = np.unique(datagram[begins], return_index=True, return_inverse=True)
        streams = out[begins][at]
        alone = np.bincount(of, out[begins] != streams[of]) == 0      # an id comes again
        known, streams = known[alone], streams[alone]
        own = piece & among(datagram, known)
        out[own] = streams[np.searchsorted(known, datagram[own])]
        return out

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

    def _reached(self, way: Way) -> bool:
        """Whether packets went this way to a VM, or were sent on by a host that they had come to: one that had got them
        from another, or that routed them, which it does with nothing that is for others."""
        legs, sights = way.shape.tree.legs, way.shape.sights
        if way.leaf.kind != OUT:
            return way.leaf.kind == IN_VM
        leg = legs[way.leaf.leg]
        return leg.parent >= 0 or (leg.entry == FAR and sights[leg.first].hops < sights[way.leaf.row].hops)

    def _home_hosts(self, packets: np.ndarray) -> np.ndarray:
        table = np.full(int(self._layout.device.max()) + 1, -1, "i4")
        table[self._layout.device] = self._layout.host
        home = self._home[packets]
        return np.where(home >= 0, table[np.maximum(home, 0)], -1)
