# SPDX-License-Identifier: Apache-2.0
"""The packets of some groups of flows, as they are on the wire: one row for each packet at each place that saw it.

A packet that the kernel will cut into segments (GSO), or joined from them (GRO), is taken apart into these segments:
they are the same on both sides of any cutting and joining, so that packets are matched, never counted.
"""
from dataclasses import dataclass

import numpy as np

from ..packet.identity import IS_FRAGMENT, IS_TCP, NOT_FOLLOWED, ROW, mix, rename
from ..packet.survey import Survey, read_rows
from .atlas import Atlas

_COLUMNS = ("time", "packet", "place", "drop", "flow", "group", "row", "number", "bytes", "unsure", "seq", "ident",
            "length")


@dataclass
class Units:
    """Packets at places; rows of one packet are together, in the order of host and time."""

    time: np.ndarray      # s8: wall ns
    packet: np.ndarray    # u8: what the packet is recognised by, different for each time it was sent
    place: np.ndarray     # u2
    drop: np.ndarray      # u2: of a free
    flow: np.ndarray      # u8
    group: np.ndarray     # u8
    row: np.ndarray       # u4: into `rows`
    number: np.ndarray    # u4: which packet of its skb it is, from 0
    bytes: np.ndarray     # s8: from the network header on
    unsure: np.ndarray    # bool: other packets look the same, and not all places saw as many of them
    seq: np.ndarray       # u4: of TCP, or as in ROW
    ident: np.ndarray     # u4: IP id
    length: np.ndarray    # u4: payload bytes
    rows: np.ndarray      # identity.ROW: the records
    copies: np.ndarray    # u2: places that saw a packet once more than was sent, one entry for each time

    @property
    def head(self) -> np.ndarray:
        """Which rows are the first packet of their skb."""
        return self.number == 0

    def __len__(self) -> int:
        return len(self.time)

    def taken(self, rows: np.ndarray) -> "Units":
        """Return some of the rows, in the order given."""
        columns = {name: getattr(self, name)[rows] for name in _COLUMNS if len(getattr(self, name)) == len(self)}
        columns.setdefault("packet", self.packet)   # not there yet
        return Units(**columns, rows=self.rows, copies=self.copies)


def load(atlas: Atlas, share: int, shares: int, partition: np.ndarray) -> Units:
    """Return the packets of one share of the groups, taken apart, each with what it is recognised by."""
    parts = []
    for bundle, survey in enumerate(atlas.surveys):
        if shares > 1 and not _touches(survey, atlas, share, shares, partition):
            continue
        for rows in read_rows(survey):
            _rename(rows, atlas)
            wanted = (rows["kind"] != NOT_FOLLOWED) & atlas.counts[bundle][rows["place"]]
            part = partition[:0]
            if shares > 1:
                part = partition[np.searchsorted(partition["group"], rows["group"])]
                wanted &= (share - part["share"].astype("i8")) % shares < part["parts"]
                part = part[wanted]
            rows = rows[wanted]
            rows["time"] = atlas.clocks[bundle].to_wall(rows["time"])
            rows["place"] = atlas.of_bundle[bundle][rows["place"]]
            rows["drop"] = atlas.drop_of_bundle[bundle][rows["drop"]]
            units = take_apart(rows)
            if shares > 1 and (part["parts"] > 1).any():
                chosen = part[units.row] if len(units) else part[:0]
                turn = _block(units) % np.maximum(chosen["parts"], 1)
                units = units.taken(np.flatnonzero((chosen["share"] + turn) % np.uint64(shares) == share))
                used, units.row = np.unique(units.row, return_inverse=True)
                units.rows, units.row = rows[used], units.row.astype("u4")
            parts.append(units)
    return _recognised(_together(parts))


def _touches(survey: Survey, atlas: Atlas, share: int, shares: int, partition: np.ndarray) -> bool:
    """Whether a bundle has packets of a share."""
    if atlas.renamed:
        return True
    groups = np.array(list(survey.tables.groups), "u8")
    part = partition[np.isin(partition["group"], groups)]
    return bool(((share - part["share"].astype("i8")) % shares < part["parts"]).any())


def _rename(rows: np.ndarray, atlas: Atlas) -> None:
    """Give flows the names that they had before address translation."""
    if not atlas.renamed:
        return
    flow = rename(np.ascontiguousarray(rows["flow"]), atlas.renamed)
    moved = flow != rows["flow"]
    rows["group"][moved] = [atlas.group_of[one] for one in rows["flow"][moved].tolist()]
    rows["flow"] = flow


def _block(units: Units) -> np.ndarray:
    """Return a number that is the same for a packet at all places, and for its neighbours, too: sent again, or out of
    order, they are to be looked at together."""
    rows, row = units.rows, units.row
    numbered = units.ident > 0
    number = np.where(numbered, units.ident >> 6, rows["hash"][row])
    number = np.where(rows["kind"][row] == IS_TCP, units.seq >> 20, number)
    return mix(np.full(len(row), 1, "u8"), number)


def _together(parts: list[Units]) -> Units:
    """Join the packets of several pieces."""
    if not parts:
        return take_apart(np.zeros(0, ROW))
    before = np.cumsum([0] + [len(part.rows) for part in parts[:-1]])
    for part, offset in zip(parts, before.tolist(), strict=True):
        part.row = part.row + np.uint32(offset)
    joined = {}
    for name in _COLUMNS:
        joined[name] = np.concatenate([getattr(part, name) for part in parts])
        for part in parts:
            setattr(part, name, None)
    return Units(**joined, rows=np.concatenate([part.rows for part in parts]), copies=np.zeros(0, "u2"))


def take_apart(rows: np.ndarray) -> Units:
    """Take joined packets apart into those on the wire."""
    size, unit = rows["size"].astype("i8"), rows["unit"].astype("i8")
    row, number = np.arange(len(rows), dtype="u4"), np.zeros(len(rows), "u4")
    if unit.any():
        pieces = np.where(unit > 0, -(-size // np.maximum(unit, 1)), 1)
        row = np.repeat(row, pieces)
        number = (np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)).astype("u4")
        size, unit = size[row], unit[row]
    past = number * unit
    length = np.where(unit > 0, np.minimum(unit, size - past), size)
    ident = rows["ident"][row]
    counted = (ident > 0) & (rows["fixed"][row] == 0) & (unit > 0)
    ident = np.where(counted, (ident + number) & 0xFFFF, ident).astype("u4")
    tcp = rows["kind"][row] == IS_TCP
    seq = (rows["seq"][row] + np.where(tcp, past, 0)).astype("u4")
    return Units(rows["time"][row], np.zeros(0, "u8"), rows["place"][row], rows["drop"][row], rows["flow"][row],
                 rows["group"][row], row, number, np.where(number == 0, rows["bytes"][row] - size + length, length),
                 np.zeros(len(row), bool), seq, ident, length.astype("u4"), rows, np.zeros(0, "u2"))


def _recognised(units: Units) -> Units:
    """Give every packet what it is recognised by."""
    kind, hashes = units.rows["kind"][units.row], units.rows["hash"][units.row]
    key = mix(mix(mix(units.flow, units.seq), units.length), units.ident)
    hashes[(units.ident > 0) | (kind == IS_FRAGMENT)] = 0
    untold = _unhashed(units.rows)
    if len(untold):
        hashes[_within(units.flow, untold) & (kind != IS_TCP)] = 0
    units.packet = mix(key, hashes)
    return units


def _unhashed(rows: np.ndarray) -> np.ndarray:
    """Return the flows some of whose packets have a payload without a hash: it cannot tell their packets apart."""
    return np.unique(rows["flow"][(rows["kind"] != IS_TCP) & (rows["size"] > 0) & (rows["hash"] == 0)])


def tell_apart(units: Units, is_step: np.ndarray, passed: np.ndarray) -> Units:
    """Tell packets apart that look the same, and leave out what a place saw a second time of one packet.

    is_step: bool by place: a step of the way, or a drop; others are left out here. passed: bool by place: a packet
    passes it once, so that a second sight of it means a copy.
    """
    units = units.taken(np.flatnonzero(is_step[units.place]))
    sight = mix(units.packet, units.place)
    ordered = np.sort(sight)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    if not len(twice):
        return units
    suspects = np.unique(units.packet[_within(sight, twice)])
    rows = np.flatnonzero(_within(units.packet, suspects))
    rows = rows[np.lexsort((units.time[rows], units.packet[rows]))]
    turn, unsure, extra = _turns(units.packet[rows], units.place[rows], passed)
    units.unsure[rows] = unsure
    again = turn > 0
    units.packet[rows[again]] = mix(units.packet[rows[again]], turn[again])
    units.copies = units.place[rows[extra]]
    units.copies = units.copies[passed[units.copies]]
    keep = np.ones(len(units), bool)
    keep[rows[extra]] = False
    return units.taken(np.flatnonzero(keep))


def _within(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(among, values), len(among) - 1)
    return among[place] == values


def _turns(packet: np.ndarray, place: np.ndarray,
           passed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (which of the packets that look the same a row belongs to, whether that is unsure, whether it is one too
    many), for rows in the order of packet and time.

    A packet begins each time that the first place that it passes sees it. Where packets overtake each other this
    gives a place two sights of one packet; then they are counted through at each place: nobody can tell them apart,
    but how many are missing is certain.
    """
    starts = np.flatnonzero(np.append(True, packet[1:] != packet[:-1]))
    of = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(packet))))
    first = place == place[_begins(starts, passed[place])][of]
    seen = np.cumsum(first)
    turn = np.maximum(seen - (seen[starts] - first[starts])[of] - 1, 0)
    sent = np.add.reduceat(first, starts)
    clash = _rank(of * 65536 + turn, place) > 0
    mixed = np.zeros(len(starts), bool)
    mixed[of[clash]] = True
    rank = _rank(of, place)
    turn = np.where(mixed[of], rank, turn)
    extra = turn >= sent[of]
    extra |= (_rank(of * 65536 + np.minimum(turn, 65535), place) > 0)
    counts = _counts(of, place)
    uneven = np.zeros(len(starts), bool)
    uneven[of[np.minimum(counts, sent[of]) != sent[of]]] = True
    return turn, (mixed & uneven)[of], extra


def _begins(starts: np.ndarray, passes: np.ndarray) -> np.ndarray:
    """Return, for each packet, its first row at a place that packets pass once; its first row if there is none."""
    rows = np.where(passes, np.arange(len(passes)), len(passes))
    first = np.minimum.reduceat(rows, starts)
    return np.where(first < len(passes), first, starts)


def _rank(of: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return how many earlier rows have the same pair of values."""
    pair = of.astype("i8") * 65536 + place
    order = np.argsort(pair, kind="stable")
    starts = np.append(True, pair[order][1:] != pair[order][:-1])
    begin = np.maximum.accumulate(np.where(starts, np.arange(len(pair)), 0))
    rank = np.empty(len(pair), "i8")
    rank[order] = np.arange(len(pair)) - begin
    return rank


def _counts(of: np.ndarray, place: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(of.astype("i8") * 65536 + place, return_inverse=True, return_counts=True)
    return counts[inverse]


def in_order(units: Units, host: np.ndarray) -> Units:
    """Put the rows of each packet together, in the order of host (by place: `host`) and time."""
    when = units.time - units.time.min() if len(units) else units.time
    return units.taken(np.lexsort((when + (host[units.place].astype("i8") << 52), units.packet)))
