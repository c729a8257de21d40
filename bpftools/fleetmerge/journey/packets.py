# SPDX-License-Identifier: Apache-2.0
"""Packets: the units of all places that are one packet, sent once.

On a host the chain says so, whatever was changed on the way. Between hosts it is the key. What has the same key more
than once (sent again, equal heartbeats, a loop, a service chain) is told apart by the place where it began: as many
times as it was seen there it was sent. The IP id is a witness; else what is nearest in time within the clocks' bound;
and where more than one way fits, only the number is certain.
"""
from dataclasses import dataclass

import numpy as np

from ..arrays import numbered
from ..packet.identity import among, mix
from .atlas import Layout
from .partition import components
from .turns import NEAR_MISS, STRAY, doubtful, slowest_trips, turns
from .units import Units
from .upcalls import ANSWER

_LONG = 200e6        # ns: so long no packet waits on a host before a copy is made of it


@dataclass
class Packets:
    """Units in the order of packet, host and time."""

    units: Units
    packet: np.ndarray    # u8 by unit
    leg: np.ndarray       # i4: how often the packet had come to its host before, by way of the devices
    chain: np.ndarray     # i8: position of the first unit of its chain, in this packet
    head: np.ndarray      # i8: position of the first unit with the same data on its host, in this packet
    unsure: np.ndarray    # bool: other packets look the same, and what was seen may be of one of them
    loose: np.ndarray     # bool: of some that look the same the beginning was not, or may not have been, seen: even
                          # their number is not known
    twins: np.ndarray     # bool: others look the same, and were sent so soon that either may be meant
    stray: np.ndarray     # bool: others look the same, and its beginning was not seen: it may be a part of one of them
    double: np.ndarray    # bool: others look the same, and came with it: where packets are doubled, it may be a double

    @property
    def starts(self) -> np.ndarray:
        """Return the first unit of each packet."""
        return np.flatnonzero(np.append(True, self.packet[1:] != self.packet[:-1])) if len(self.packet) else (
            np.zeros(0, "i8"))


def find_packets(units: Units, layout: Layout, bounds: np.ndarray, lossy: np.ndarray) -> Packets:
    """Return the packets; bounds: f8[host, host], by how much their clocks may be apart (ns); lossy: bool by host, it
    lost records."""
    rows = units.rows
    chain = mix(rows["chain"], units.host.astype("u8") + np.uint64(1))
    _follow_chains(units, chain)
    units = units.taken(np.argsort(units.key, kind="stable"))
    host, time = units.host[units.row], rows["time"][units.row]
    place = rows["place"][units.row]
    first = _firsts(units.key, chain[units.row])
    group = np.append(True, (units.key[1:] != units.key[:-1]) | (host[1:] != host[:-1])) if len(units) else (
        np.zeros(0, bool))
    start = np.maximum.accumulate(np.where(group, np.arange(len(units)), 0))
    # what comes to a tunnel, a bond or a VLAN came to the device below just before
    here = np.arange(len(units))
    enters = (first == here) & (layout.arrives[place] > 0) & (
        ~layout.stacked[place] | (start == here) | ~layout.receives[place[here - 1]])
    data = _firsts(units.key, _data(rows["head"][units.row], group, enters & (first == here)))
    root = np.where(enters[first], first, first[data[first]])    # a copy is with the chain whose data it shares
    # a packet goes out by a device once, or is dropped there; where it was queued, it may be cut first
    out = layout.leaves[place] & layout.taken[place] | layout.drop[place]
    gate = np.where(out, -1 - layout.device[place].astype("i8"), place)
    again, guess = _comes_again(start, root, gate, time, enters, layout.asks[place], units.ident,
                                rows["ttl"][units.row])
    enters |= again
    count = np.cumsum(enters)
    leg = (count - (count - enters)[start])[root].astype("i4") if len(units) else np.zeros(0, "i4")
    packet = units.key.copy()
    unsure, twins, loose, stray, double = (np.zeros(len(units), bool) for _ in range(5))
    many = doubtful(units.key, start, leg, time)
    if len(many):
        slowest = slowest_trips(units, many, start, layout, time, host, place)
        turn, doubt, alike, open_, double[many] = turns(units, many, start, leg, guess, layout, bounds, slowest, lossy,
                                                         time, host, place)
        packet[many] = np.where(turn > 0, mix(packet[many], turn.astype("u8")), packet[many])
        unsure[many], twins[many], stray[many] = doubt, alike, turn >= STRAY
        loose[many] = open_
        loose |= among(units.key, np.unique(units.key[stray]))
        order = np.argsort(packet, kind="stable")
        units, packet, leg = units.taken(order), packet[order], leg[order]
        unsure, twins, loose, stray, double = (column[order] for column in (unsure, twins, loose, stray, double))
    own_host = units.host[units.row].astype("u8") + np.uint64(1)
    return Packets(units.with_rows_in_order(), packet, leg, _firsts(packet, chain[units.row]),
                   _firsts(packet, mix(rows["head"][units.row], own_host)), unsure, loose, twins,
                   stray, double)


def _data(head: np.ndarray, group: np.ndarray, comes: np.ndarray) -> np.ndarray:
    """Return keys of the data that units share; units are in the order of key, host and time. What comes in has data of
    its own, though that may lie where an equal packet's lay before: what a VM sends is often put into the same memory.

    group: whether a unit is the first of its key on its host; comes: whether it is the first of a packet that comes in.
    """
    place = mix(head, np.cumsum(group).astype("u8"))
    if not comes.any():
        return place
    order = np.argsort(place, kind="stable")
    came = np.cumsum(comes[order])
    new = np.append(True, place[order][1:] != place[order][:-1])
    start = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    # what was seen before anything came in belongs to what came in first: one machine's tracers may overtake each other
    turn = np.maximum(came - (came - comes[order])[start], 1)
    out = np.empty(len(place), "u8")
    out[order] = mix(place[order], turn.astype("u8"))
    return out


def _comes_again(start: np.ndarray, root: np.ndarray, gate: np.ndarray, time: np.ndarray,
                 enters: np.ndarray, asks: np.ndarray, ident: np.ndarray, hops: np.ndarray,
                 ) -> tuple[np.ndarray, np.ndarray]:
    """Return (the units with which a packet must have come to its host again, though that was not seen: other data is
    where some was already, or will be, or comes long after the others, or has another IP id, or more hops left; those
    with which one may have).

    start: first unit of the same key on the same host; root: first unit of the same data; gate: what a packet passes
    once; asks: where a daemon is asked, which may send it back to that place in another skb (Open vSwitch asks again
    behind conntrack).
    """
    begins = (root == np.arange(len(root))) & ~enters & (start < np.arange(len(root)))
    out, may = np.zeros(len(root), bool), begins.copy()
    if not begins.any():
        return out, may
    suspects = np.unique(start[begins])
    many = np.flatnonzero(among(start, suspects))
    times = np.bincount(np.searchsorted(suspects, start[many]), enters[many])   # that it was seen to come in
    often = times[np.searchsorted(suspects, start[many])] > 1
    gates: dict[int, set[int]] = {}
    for data, at in zip(root[many].tolist(), gate[many].tolist(), strict=True):
        gates.setdefault(data, set()).add(at)
    seen: set[int] = set()
    own: set[int] = set()         # IP ids of what came last
    group, last, asked, most = -1, 0, False, 0
    for unit, of, data, when, comes, fresh, asking, pause, number, left in zip(
            many.tolist(), start[many].tolist(), root[many].tolist(), time[many].tolist(), enters[many].tolist(),
            begins[many].tolist(), asks[many].tolist(), np.where(often, NEAR_MISS, _LONG).tolist(),
            ident[many].tolist(), hops[many].tolist(), strict=True):
        if of != group:
            group, seen, own, most = of, set(), set(), 0
        other = (number > 0 and len(own) > 0 and 0 not in own and number not in own) or left > most > 0
        again = fresh and (other or (when - last > ANSWER if asked else (
            not seen.isdisjoint(gates[data]) or when - last > pause)))
        if comes or again:
            out[unit], seen, own, most = again, set(), set(), 0
        may[unit] &= not asked
        if data == unit:
            seen |= gates[data]
        own.add(number)
        last, asked, most = when, asking, max(most, left)
    return out, may & ~out


def _firsts(key: np.ndarray, chain: np.ndarray) -> np.ndarray:
    """Return the position of the first unit with the same key and chain; units are in the order of key."""
    if not len(key):
        return np.zeros(0, "i8")
    run = np.append(True, (key[1:] != key[:-1]) | (chain[1:] != chain[:-1]))
    starts = np.flatnonzero(run)
    of = np.cumsum(run) - 1
    codes, first = numbered(mix(key[starts], chain[starts]))
    return starts[first[codes]][of]


def _follow_chains(units: Units, chain: np.ndarray) -> None:
    """Give units of one chain whose content was changed on the way (NAT of a shared address, encryption, a rewritten
    sequence number) the key that the chain had first, at all places."""
    rows = units.rows
    sign = mix(mix(mix(mix(rows["flow"], rows["seq"]), rows["size"]), rows["network"]), rows["ident"])
    order = np.argsort(chain, kind="stable")
    moved = np.append(False, (chain[order][1:] == chain[order][:-1]) & (sign[order][1:] != sign[order][:-1]))
    if not moved.any():
        return
    changed = np.unique(chain[order][moved])
    some = np.flatnonzero(among(chain[units.row], changed))
    count = np.bincount(units.row[some], minlength=len(units.host))
    begin = np.append(True, units.row[some][1:] != units.row[some][:-1])
    place = np.arange(len(some)) - np.maximum.accumulate(np.where(begin, np.arange(len(some)), 0))
    piece = mix(mix(chain[units.row[some]], place.astype("u8")), count[units.row[some]])
    order = np.argsort(piece, kind="stable")   # in time within
    new = np.append(True, piece[order][1:] != piece[order][:-1])
    keys = units.key[some][order]
    original = keys[np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))]
    pairs = np.unique(np.stack([keys, original], 1)[keys != original], axis=0)
    later, ways = np.unique(pairs[:, 0], return_counts=True)
    pairs = pairs[among(pairs[:, 0], later[ways == 1])]
    if not len(pairs):
        return
    known, node = np.unique(pairs, return_inverse=True)
    one, two = node.reshape(-1, 2).T
    name = known[components(len(known), one, two)]   # both ends of an encrypted tunnel rename: no name is the first
    at = np.minimum(np.searchsorted(known, units.key), len(known) - 1)
    units.key = np.where(known[at] == units.key, name[at], units.key)
