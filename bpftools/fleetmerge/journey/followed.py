# SPDX-License-Identifier: Apache-2.0
"""What became of each packet of one part, as columns: its journey, and the records that show it."""
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..packet.identity import mix
from .atlas import Layout
from .branches import UNDECIDED
from .notes import notes_of
from .packets import Packets
from .shapes import Shape
from .tally import Judged, Results, bytes_of
from .tree import Leaf
from .ways import Way

UNTOLD = -1   # copies: nobody knows which branch is the packet


@dataclass
class Followed:
    """The journeys of one part, by their number in it; and their places, one journey's after the other's."""

    journey: np.ndarray    # u8: its name, the same in every product
    flow: np.ndarray       # u8
    network: np.ndarray    # u4
    first: np.ndarray      # i8: wall ns
    last: np.ndarray       # i8
    outcome: np.ndarray    # u1: found.NAMES
    gaps: np.ndarray       # u4: grounds that are missing
    alike: np.ndarray      # bool: others look the same, and not all places saw as many of them
    seen: np.ndarray       # i4: the last place on its way; -1: only a drop was seen
    after: np.ndarray      # i4: where it should have been seen next; -1: nobody knows
    branches: np.ndarray   # i4
    copies: np.ndarray     # i4: branches beside the packet; -1: nobody knows which branch is the packet
    before: np.ndarray     # i4: how often the same was sent before
    bytes: np.ndarray      # i8
    places: np.ndarray     # i4: how many places it has
    place: np.ndarray      # i4 by place
    time: np.ndarray       # i8 by place: wall ns
    bound: np.ndarray      # f8 by place: ns that its clock may differ from the first place's; inf: nobody knows
    carrier: np.ndarray    # u8: the journey that the record shows in which it was seen first: of packets joined in one
                           # skb the first; 0: another part has that
    record: np.ndarray     # u8 by record, sorted: bundle << 32 | number of the record
    shown: np.ndarray      # u8 by record: the journey
    notes: np.ndarray      # notes.NOTE: what there is to say of some records

    def __len__(self) -> int:
        return len(self.journey)


def follow(judged: Judged, layout: Layout, bounds: np.ndarray) -> Followed:
    """Return the part's journeys.

    judged: as tally() left it; bounds: f8[host, host], by how much the hosts' clocks may be apart, ns.
    """
    packets, origin, results, shapes = judged.packets, judged.origin, judged.results, judged.shapes
    units = packets.units
    rows = units.rows
    whole = _wholes(packets, origin)
    one = np.flatnonzero(whole == np.arange(len(whole)))
    at = origin[one]
    first = units.row[at]
    time, where = np.ascontiguousarray(rows["time"]), np.ascontiguousarray(rows["place"])
    leaves, way, known = _ways(packets.starts, results, shapes, judged.ways)
    counts = np.array([len(shape.tree.leaves) for shape, _ in leaves] or [0], "i4")
    beside = np.array([sum(other is not leaf for other in shape.tree.leaves) for shape, leaf in leaves] or [0], "i4")
    places, unit = _places(packets.starts[one], way[one], leaves, layout)
    place = where[units.row[unit]].astype("i4")
    host = layout.host[place]
    home = np.repeat(host[(np.cumsum(places) - places).clip(max=max(len(host) - 1, 0))] if len(host) else host, places)
    record, shown, by_row = _records(packets, whole)
    before = judged.before[one]
    return Followed(
        packets.packet[at], rows["flow"][first], rows["network"][first], time[first],
        time[units.row[results.unit[one]]], results.outcome[one], results.gaps[one], packets.unsure[at],
        results.last[one], results.after[one], counts[way[one]],
        np.where(known[one] & (results.ground[one] != UNDECIDED), beside[way[one]], UNTOLD),
        before, _bytes(packets, origin, whole)[one], places, place,
        time[units.row[unit]], bounds[home, host], by_row[first], record, shown,
        notes_of(packets, at, before, shapes, layout, bounds))


def _wholes(packets: Packets, origin: np.ndarray) -> np.ndarray:
    """Return the packet of which each one is a piece: of one that was cut smaller on the way by TCP's bytes only the
    first piece is a packet; all others are packets of their own."""
    lead = packets.units.lead[origin]
    out = np.arange(len(origin))
    if lead.all():
        return out
    key = mix(packets.units.row[origin].astype("u8"), packets.units.number[origin])
    order = np.lexsort((~lead, key))
    new = np.append(True, key[order][1:] != key[order][:-1])
    out[order] = order[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
    return out


def _records(packets: Packets, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (each record of the part, sorted; the journey that it shows, of several packets in one the first's; the
    same by row)."""
    units = packets.units
    number = np.cumsum(np.append(0, packets.packet[1:] != packets.packet[:-1])) if len(units) else np.zeros(0, "i8")
    leads = np.flatnonzero(units.lead & (units.number == 0))
    key = ((units.rows["bundle"].astype("u8") << np.uint64(32)) | units.rows["record"])[units.row[leads]]
    order = np.argsort(key)
    journey = packets.packet[packets.starts[whole[number[leads]]]]
    by_row = np.zeros(len(units.host), "u8")
    by_row[units.row[leads]] = journey
    return key[order], journey[order], by_row


def _bytes(packets: Packets, origin: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return each packet's bytes from the network header on, its pieces' payloads included."""
    out = bytes_of(packets, origin)
    pieces = np.flatnonzero(whole != np.arange(len(whole)))
    np.add.at(out, whole[pieces], packets.units.size[origin[pieces]].astype("i8"))
    return out


def _ways(starts: np.ndarray, results: Results, shapes: Sequence[Shape], ways: Sequence[Way],
          ) -> tuple[list[tuple[Shape, Leaf]], np.ndarray, np.ndarray]:
    """Return (shapes with the end of a branch; which of these each packet went; whether it is known that it did)."""
    leaves = [(way.shape, way.leaf) for way in ways]
    out = np.full(len(starts), -1, "i8")
    for number, way in enumerate(ways):
        out[way.packets] = number
    known = out >= 0
    for shape in shapes:
        # to many receivers, or not decided: the branch that was taken for its outcome stands for all
        rest = shape.packets[~known[shape.packets]]
        if len(rest):
            row = results.unit[rest] - starts[rest]
            for value in np.unique(row).tolist():
                ends = shape.tree.leaves
                leaf = next((leaf for leaf in ends if value in (leaf.mark, leaf.row)), ends[0])
                out[rest[row == value]] = len(leaves)
                leaves.append((shape, leaf))
    return leaves, out, known


def _places(starts: np.ndarray, way: np.ndarray, leaves: Sequence[tuple[Shape, Leaf]], layout: Layout,
            ) -> tuple[np.ndarray, np.ndarray]:
    """Return (how many places each packet passed, their units, one packet's after the other's)."""
    rows: list[int] = []
    count = np.zeros(len(leaves) + 1, "i8")
    for number, (shape, leaf) in enumerate(leaves):
        steps = [row for row in shape.tree.way(leaf.row) if layout.step[shape.place(row)]]
        steps += [leaf.mark] if leaf.mark >= 0 else []
        count[number] = len(steps)
        rows += steps
    begin = np.cumsum(count) - count
    many = count[way]
    within = np.arange(int(many.sum())) - np.repeat(np.cumsum(many) - many, many)
    return many, np.repeat(starts, many) + np.array(rows or [0], "i8")[np.repeat(begin[way], many) + within]
