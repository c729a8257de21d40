# SPDX-License-Identifier: Apache-2.0
"""Units: what can be lost by itself. One row for each unit at each place that saw it.

A joined packet (GSO, GRO) is taken apart into its segments; TCP is cut at every boundary that any place shows, so that
the same bytes are the same units however each hop cuts them. A unit's key is what it is recognised by: the bytes of
TCP, or the packet's numbers and payload; never the IP id of TCP, which is a witness only.
"""
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import by_time
from ..packet.identity import IS_FRAGMENT, IS_OTHER, IS_TCP, UNREADABLE, Columns, among, mix
from .chains import unhashed_flows
from .partition import BLOCK, Names, Partition, turn
from .tree import IN_TUNNEL, IN_VLAN

_SYN, _FIN = 2, 1
_LAP = 36     # bits: further than sequence numbers go in one connection that is captured
_AT_ONCE = 10_000_000   # ns: so long a host may have a packet
_DATA, _ACK = 0xDA7A, 0xACC   # so that keys of different kinds differ


@dataclass
class Units:
    """Units at places."""

    rows: Columns         # identity.ROW: the records, time in wall ns; `flow` is the first name, `said` as recorded
    said: np.ndarray      # u8 by row: the flow as it was recorded there
    host: np.ndarray      # i4 by row
    own: np.ndarray       # i8 by row: time by the machine's own clock, for what happens on one host
    tagged: np.ndarray    # u1 by row: IN_VLAN, IN_TUNNEL, or 0: as what it was there
    row: np.ndarray       # u4 by unit: into rows
    number: np.ndarray    # u4 by unit: which piece of its record it is, from 0
    lead: np.ndarray      # bool by unit: it begins a packet that this record shows
    size: np.ndarray      # u4 by unit: payload bytes, with SYN and FIN as TCP counts them
    ident: np.ndarray     # u4 by unit: IP id, as a witness; 0: none
    key: np.ndarray       # u8 by unit
    marked: np.ndarray    # bool by unit: by its numbers no other packet has this key
    # of a sample (sampled.py), by unit; None if every packet was taken
    draw: np.ndarray | None = None      # u8: what decided whether it was taken
    beside: np.ndarray | None = None    # bool: a drop, which was taken whether its packet was or not
    hidden: int = 0

    def __len__(self) -> int:
        return len(self.row)

    def taken(self, which: np.ndarray) -> "Units":
        """Return some of the units, in the order given."""
        return Units(self.rows, self.said, self.host, self.own, self.tagged, self.row[which], self.number[which],
                     self.lead[which], self.size[which], self.ident[which], self.key[which], self.marked[which],
                     None if self.draw is None else self.draw[which],
                     None if self.beside is None else self.beside[which], self.hidden)

    def with_rows_in_order(self) -> "Units":
        """Return the same units with their rows in the order in which they show them: what is looked at together lies
        together in memory."""
        first = np.full(len(self.host), len(self), "i8")
        first[self.row[::-1]] = np.arange(len(self))[::-1]   # the last to be written is the first in the order
        shown = self.row[first[self.row] == np.arange(len(self))]
        order = np.concatenate([shown, np.flatnonzero(first == len(self))])
        place = np.empty(len(order), "u4")
        place[order] = np.arange(len(order))
        rows = {name: column[order] for name, column in self.rows.items()}
        return replace(self, rows=rows, said=self.said[order], host=self.host[order], own=self.own[order],
                       tagged=self.tagged[order], row=place[self.row])


Sift = Callable[[Units, np.ndarray], np.ndarray]


def make_units(rows: Columns, host: np.ndarray, own: np.ndarray, names: Names, partition: Partition, part: int,
               arrives: np.ndarray, sift: Sift | None = None) -> Units:
    """Return the units of one part; rows: of all hosts, with wall times; own: monotonic ones; arrives: of each place,
    whether packets come in to their host there; sift: is given the units and where they begin, and says which of them
    to keep."""
    said = rows["flow"]
    rows["flow"] = names.rename(said)
    tagged = np.where(rows["network"] >> 24 > 0, IN_TUNNEL, np.where(
        (rows["network"] > 0) | (rows["kind"] == UNREADABLE), IN_VLAN, 0)).astype("u1")
    _fill_networks(rows, host)
    row, number, begin, length = _take_apart(rows)
    tcp = (rows["kind"][row] == IS_TCP) & (length > 0)
    ident = _idents(rows, row, number)
    lead = np.ones(len(row), bool)
    key, marked = np.zeros(len(row), "u8"), ident > 0
    other = np.flatnonzero(~tcp)
    key[other], marked[other] = _plain_keys(rows, row[other], number[other], begin[other], length[other], ident[other])
    data = np.flatnonzero(tcp)
    block = np.zeros(len(row), "i8")
    if len(data):
        position = _positions(rows, row[data], begin[data])
        marked[data] &= ~_one_ident(rows["flow"][row[data]], ident[data], position.astype("u8"))
        of, begin_at, size_at, leads = _atoms(rows["flow"][row[data]], position, length[data])
        of = data[of]
        rest = np.concatenate([other, of])
        row, number, ident, block, marked = (column[rest] for column in (row, number, ident, block, marked))
        begin = np.concatenate([begin[other], begin_at])
        key = np.concatenate([key[other], mix(mix(rows["flow"][row[len(other):]], begin_at.astype("u8")), _DATA)])
        length = np.concatenate([length[other], size_at])
        lead = np.concatenate([lead[other], leads])
        block[len(other):] = (begin_at >> BLOCK) & ((1 << (32 - BLOCK)) - 1)
    key = mix(key, rows["network"][row])
    unreadable = np.flatnonzero(rows["kind"][row] == UNREADABLE)
    if len(unreadable):
        key[unreadable] = _unread_keys(rows, row[unreadable], host, own, arrives)
    units = Units(rows, said, host, own, tagged, row, number, lead, length.astype("u4"), ident, key, marked)
    if sift:
        keep = np.flatnonzero(sift(units, begin))
        units, block, row = units.taken(keep), block[keep], row[keep]
    in_order = np.argsort(row, kind="stable")   # of host and time, as the rows are
    return _of_part(units.taken(in_order), block[in_order], partition, part)


def _of_part(units: Units, block: np.ndarray, partition: Partition, part: int) -> Units:
    """Leave out the units of cut groups that are another part's."""
    if partition.parts == 1:
        return units
    rows = units.rows
    entry = partition.cut(rows["group"][units.row])
    cut = entry["parts"] > 1
    if not cut.any():
        return units
    tcp = (rows["kind"][units.row] == IS_TCP)
    one = {name: column[units.row[cut]] for name, column in rows.items()}
    own = np.where(tcp[cut] & (one["size"] > 0), block[cut], np.where(
        tcp[cut], one["seq"] >> BLOCK, partition.numbers(one, one["flow"], units.ident[cut])))
    keep = np.ones(len(units), bool)
    keep[cut] = entry["first"][cut] + turn(one["flow"], own, entry["parts"][cut]) == part
    return units.taken(np.flatnonzero(keep))


def _fill_networks(rows: Columns, host: np.ndarray) -> None:
    """Let a chain have one network, and a flow with only one have it everywhere: at a VM's tap there is no tag."""
    network = rows["network"]
    if not network.any():
        return
    chain = mix(rows["chain"], host.astype("u8") + np.uint64(1))
    _, of = np.unique(chain, return_inverse=True)
    most = np.zeros(int(of.max()) + 1, "u4")
    np.maximum.at(most, of, network)
    network = most[of]
    flows, of = np.unique(rows["flow"], return_inverse=True)
    least, most = np.full(len(flows), 0xFFFFFFFF, "u4"), np.zeros(len(flows), "u4")
    some = network > 0
    np.minimum.at(least, of[some], network[some])
    np.maximum.at(most, of[some], network[some])
    alone = (least == most)[of] & ~some
    network[alone] = most[of[alone]]
    rows["network"] = network


def _take_apart(rows: Columns) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (row, number, first sequence number, length) of each segment that the records show."""
    size, unit = rows["size"].astype("i8"), rows["unit"].astype("i8")
    row, number = np.arange(len(size), dtype="u4"), np.zeros(len(size), "u4")
    if unit.any():
        pieces = np.where(unit > 0, -(-size // np.maximum(unit, 1)), 1)
        row = np.repeat(row, pieces)
        number = (np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)).astype("u4")
    past = number * unit[row]
    length = np.where(unit[row] > 0, np.minimum(unit[row], size[row] - past), size[row])
    tcp = rows["kind"][row] == IS_TCP
    flags = rows["flags"][row]
    last = past + length >= size[row]
    length = length + (tcp & ((flags & _SYN) > 0) & (number == 0)) + (tcp & ((flags & _FIN) > 0) & last)
    begin = (rows["seq"][row] + np.where(tcp, past, 0)) & 0xFFFFFFFF
    return row, number, begin.astype("i8"), length


def _idents(rows: Columns, row: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return each segment's IP id: within a joined packet ids count up, unless all have the same."""
    ident = rows["ident"][row]
    counted = (rows["fixed"][row] & 1 == 0) & (rows["unit"][row] > 0) & (ident > 0)
    return np.where(counted, (ident + number) & 0xFFFF, ident).astype("u4")


def _plain_keys(rows: Columns, row: np.ndarray, number: np.ndarray, begin: np.ndarray, length: np.ndarray,
                ident: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (the keys of everything but TCP's bytes: datagrams, fragments, ARP, and TCP segments without a byte; which
    of them no other packet has)."""
    one = {name: rows[name][row] for name in ("flow", "group", "kind", "hash", "flags")}
    fragment = one["kind"] == IS_FRAGMENT
    hashes = np.where((ident > 0) | fragment | (number > 0), 0, one["hash"])
    untold = unhashed_flows(rows)
    if len(untold):
        hashes[among(one["flow"], untold) & (one["kind"] != IS_TCP)] = 0
    echo = (one["kind"] == IS_OTHER) & (begin >= 1 << 16)     # with id and number
    marked = (ident > 0) | echo
    # an acknowledgement has no byte of its own: what it acknowledges, and its id where it has one, tell it
    hashes = np.where(one["kind"] == IS_TCP, mix(one["hash"], one["flags"].astype("u8") | _ACK), hashes)
    flow = np.where(fragment, one["group"], one["flow"])
    keys = mix(mix(mix(mix(flow, begin.astype("u8")), length.astype("u8")), ident), hashes)
    bare = np.flatnonzero(one["kind"] == IS_TCP)
    marked[bare] &= ~_one_ident(flow[bare], ident[bare], keys[bare])
    return keys, marked


def _one_ident(flow: np.ndarray, ident: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Return which packets are of flows of which all have the same IP id, though they differ: it tells none of them."""
    flows, of = np.unique(flow, return_inverse=True)
    constant = np.ones(len(flows), bool)
    several = np.zeros(len(flows), bool)
    first = np.zeros(len(flows), "i8")
    first[of[::-1]] = np.arange(len(of))[::-1]
    constant[of[ident != ident[first][of]]] = False
    several[of[key != key[first][of]]] = True
    return (constant & several)[of]


def _unread_keys(rows: Columns, row: np.ndarray, host: np.ndarray, own: np.ndarray,
                 arrives: np.ndarray) -> np.ndarray:
    """Return keys of packets of which nothing but their chain and their data tells what they are: a clone has the data
    of the packet that it was made of, until another one comes in or, at the latest, _AT_ONCE later."""
    order = np.lexsort((own[row], rows["head"][row], host[row]))
    one, where = {name: rows[name][row[order]] for name in ("chain", "head", "place")}, host[row[order]]
    same = (one["head"][1:] == one["head"][:-1]) & (where[1:] == where[:-1]) & (np.diff(own[row[order]]) < _AT_ONCE)
    comes = (arrives[one["place"]] > 0) & np.append(True, one["chain"][1:] != one["chain"][:-1])
    new = np.append(True, ~same) | comes
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    out = np.empty(len(row), "u8")
    out[order] = mix(mix(one["chain"][first], where.astype("u8")), _ACK)
    return out


def _positions(rows: Columns, row: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """Return where in its flow each segment begins: its sequence number, unwrapped; the same modulo 2**32."""
    order = by_time(rows["flow"][row], rows["time"][row])
    flow, seq = rows["flow"][row][order], begin[order]
    new = np.append(True, flow[1:] != flow[:-1])
    # each step to the next in time is the short way round
    step = np.append(0, ((np.diff(seq) + (1 << 31)) & 0xFFFFFFFF) - (1 << 31))
    step[new] = 0
    total = np.cumsum(step)
    start = np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))
    out = np.empty(len(row), "i8")
    out[order] = total - total[start] + seq[start] + (_connections(rows["flags"][row][order], flow, seq, start) << _LAP)
    return out


def _connections(flags: np.ndarray, flow: np.ndarray, seq: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return which connection on the same ports each segment is of, from 0: a SYN with another number begins one."""
    syn = np.flatnonzero(flags & _SYN)
    _, first = np.unique(mix(flow[syn], seq[syn].astype("u8")), return_index=True)
    begins = np.zeros(len(flags), "i8")
    begins[syn[first]] = 1
    count = np.cumsum(begins)
    number = count - count[start]
    return np.maximum(number, 0)


def _atoms(flow: np.ndarray, begin: np.ndarray, length: np.ndarray,
           ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut segments at every boundary of any segment of their flow.

    Return (segment, begin, size, whether it begins the segment) of each piece.
    """
    flows, of = np.unique(flow, return_inverse=True)
    base = np.full(len(flows), np.iinfo("i8").max)
    np.minimum.at(base, of, begin)
    past = begin - base[of]
    bits = int((past + length).max()).bit_length()
    whole = np.arange(len(of)), begin, length, np.ones(len(of), bool)
    if bits + len(flows).bit_length() > 62:   # sequence numbers without any sense
        return whole
    low = (of.astype("i8") << bits) + past
    edges = np.unique(np.concatenate([low, low + length]))
    first = np.searchsorted(edges, low)
    count = np.searchsorted(edges, low + length) - first
    if (count == 1).all():
        return whole
    segment = np.repeat(np.arange(len(of)), count)
    piece = np.arange(len(segment)) - np.repeat(np.cumsum(count) - count, count)
    at = first[segment] + piece
    return segment, begin[segment] + (edges[at] - low[segment]), edges[at + 1] - edges[at], piece == 0
