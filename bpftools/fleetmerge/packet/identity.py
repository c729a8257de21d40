# SPDX-License-Identifier: Apache-2.0
"""What a packet is recognised by: one small row per record, made of what does not change on the way.

That is the innermost packet's addresses, protocol and ports (its flow), the IP id where it is set, the range of TCP's
sequence numbers, the numbers of an ICMP echo, the payload's length and hash; and, for the chains of one host, the skb's
own address and its data's.
"""
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..arrays import numbered, picked
from ..bundle.records import CANONICAL, canonical
from . import headers as parsing
from .headers import ETH_ARP, GENEVE_PORT, ICMP, ICMPV6, IN_GRE, NO_TUNNEL, TCP, UDP, VXLAN_PORTS, Headers, is_echo

ROW = np.dtype([
    ("time", "<i8"),       # CLOCK_MONOTONIC
    ("skb", "<u8"), ("head", "<u8"),
    ("group", "<u8"),      # the two addresses, in this direction
    ("flow", "<u8"),       # addresses, protocol, ports; of an ICMP echo its id
    ("hash", "<u8"),       # of the payload; of a TCP segment without one, the acknowledged byte; 0: unknown
    ("seq", "<u4"),        # of TCP; id and number of an ICMP echo
    ("ident", "<u4"),      # IP id; 0: not set
    ("size", "<u4"),       # payload bytes
    ("bytes", "<u4"),      # from the network header on
    ("mark", "<u4"), ("priority", "<u4"),
    ("record", "<u4"),     # its number in the bundle
    ("place", "<u4"), ("drop", "<u4"),   # entries of the bundle's tables; drop 0: the skb was not freed here
    ("chain", "<u4"),      # of this machine; filled in by journey/chains.py
    ("network", "<u4"),    # what keeps equal addresses apart: see network_of()
    ("toward", "<u4"),     # hash of the MAC address that a frame was for which left the host; 0: not known, or for many
    ("bundle", "<u2"),
    ("vlan", "<i2"),       # -1: none
    ("queue", "<u2"),
    ("unit", "<u2"),       # size of the segments that this packet will be cut into, or was joined from; 0: one packet
    ("ttl", "u1"),         # or hop limit, of the innermost packet
    ("tos", "u1"),         # likewise
    ("flags", "u1"),       # of TCP; of an ICMP echo 1: it is a request
    ("fixed", "u1"),       # 1: all segments of the packet have one IP id; and bits of their own: FOLLOWED, FOR_IT, …
    ("kind", "u1"),
], align=True)   # numpy reads what is not aligned by way of a copy
FLOW = np.dtype([("flow", "<u8"), ("group", "<u8"), ("back", "<u8"), ("from", "<u8"), ("to", "<u8"), ("version", "u1"),
                 ("protocol", "u1"), ("ethertype", "<u2"), ("kind", "u1"), ("ports", "?"), ("source_port", "<u2"),
                 ("target_port", "<u2"), ("source", "u1", 16), ("target", "u1", 16)])
OWNER = np.dtype([("netns", "<u8"), ("ifindex", "<u4"), ("mac", "<u4")])    # a VM's device; its address, as ROW.toward
Columns = dict[str, np.ndarray]   # fields of rows, each by itself
NOT_FOLLOWED, IS_TCP, IS_OTHER, IS_FRAGMENT, IS_ARP, UNREADABLE = range(6)   # the last: its headers are not whole
FOLLOWED = 1 << 6       # in ROW.fixed: it does not match the filter here, and was recorded because it did before
FOR_IT, FOR_OTHERS = 1 << 4, 1 << 5     # in ROW.fixed: the frame was for the device's VM; for none of its addresses
FIXED_ID = 1 << 3       # SKB_GSO_TCP_FIXEDID: all segments of the packet have one IP id
_TO_ALL = 1             # PACKET_BROADCAST (include/uapi/linux/if_packet.h)
_ODD = np.uint64(0x9E3779B97F4A7C15)
_OTHER = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(29)


def columns_of(rows: np.ndarray) -> Columns:
    """Return the fields of rows, each by itself: where many rows are looked at in another order than theirs, a field's
    values lie close together."""
    return {name: np.ascontiguousarray(rows[name]) for name in rows.dtype.names or ()}


def mix(value: np.ndarray, more: np.ndarray | np.uint64 | int) -> np.ndarray:
    """Return a 64-bit hash of both; they do not commute."""
    value = ((value.astype("u8") * _ODD) ^ np.asarray(more).astype("u8")) * _OTHER
    return value ^ (value >> _SHIFT)


@dataclass
class Tables:
    """What the numbers in a bundle's rows stand for; grows as records are read."""

    places: dict[tuple[int, int, int], int] = field(default_factory=dict)  # netns, ifindex, point -> place
    drops: dict[tuple[int, int, int], int] = field(default_factory=dict)   # reason, location, stack of a free -> drop
    flows: np.ndarray = field(default_factory=lambda: np.zeros(0, FLOW))   # by their hash
    broadcast: np.ndarray = field(default_factory=lambda: np.zeros(0, "u8"))   # IPv4 flows whose frames went to all
    owners: np.ndarray = field(default_factory=lambda: np.zeros(0, OWNER))

    def keep_names(self) -> None:
        """Forget of flows all but that they were seen: when the atlas has the rest."""
        flows = np.zeros(len(self.flows), [("flow", "<u8")])
        flows["flow"] = self.flows["flow"]
        self.flows = flows


class Framed(Protocol):
    """Says of records for whom their frames were."""

    def aims(self, raw: np.ndarray) -> np.ndarray:
        """Return bits of ROW.fixed for each of a bundle's next records."""

    def toward(self, raw: np.ndarray) -> np.ndarray:
        """Return ROW.toward for each of some records."""

    def owners(self) -> np.ndarray:
        """Return OWNER: which addresses VMs were heard to send from, of the records so far."""


class Identifier:
    """Turns one bundle's records into rows, chunk after chunk."""

    def __init__(self, drop_points: set[int], free_points: set[int], frames: "Framed | None" = None) -> None:
        """drop_points, free_points: numbers of points; frames: who says for whom frames are."""
        self.tables = Tables()
        self._frames = frames
        self._free_points = list(drop_points | free_points)
        self._new: list[np.ndarray] = []    # flows that are not in the tables yet
        self._waiting = 0

    def rows(self, raw: np.ndarray) -> np.ndarray:
        """Return one row for each record."""
        if set(CANONICAL.names or ()) - set(raw.dtype.names or ()):
            raw = canonical(raw)
        length = raw["len"].astype("i8") - (raw["network_offset"].astype("i8") - raw["data_offset"])
        packet, valid = raw["packet"], np.minimum(raw["packet_len"], raw["packet"].shape[1])
        outer = parsing.parse(packet, valid, raw["packet_layer"], raw["protocol"], length)
        inside, inner = parsing.inner(outer, packet, valid)
        out = np.zeros(len(raw), ROW)
        for name, column in recognise(raw, outer, inside, inner, length).items():
            out[name] = column
        self._remember(out, outer)
        if len(inside):
            self._remember(out[inside], inner)
        self._broadcast(out, raw, outer)
        self._metadata(out, raw, outer)
        self._places(out, raw)
        if self._frames:
            out["fixed"] |= self._frames.aims(raw)
            out["toward"] = np.where(outer.tunnel == NO_TUNNEL, self._frames.toward(raw), 0)
        return out

    def finish(self) -> Tables:
        """Return the tables, complete."""
        self._keep()
        if self._frames:
            self.tables.owners = self._frames.owners()
        return self.tables

    def _remember(self, out: np.ndarray, parsed: Headers) -> None:
        """Keep what each new flow consists of; rows of tunnels have the flow of the packet inside."""
        _, first = numbered(np.ascontiguousarray(out["flow"]))
        first = first[out["kind"][first] != NOT_FOLLOWED]
        first = first[~among(out["flow"][first], self.tables.flows["flow"])]
        if not len(first):
            return
        family = _family(parsed)[first]
        source, target = (_words(getattr(parsed, name)[first]) for name in ("source", "target"))
        own = _addresses(family, source, target) == out["group"][first]
        flows = np.zeros(len(first), FLOW)
        for name in ("flow", "group"):
            flows[name] = out[name][first]
        for name in ("version", "protocol", "ethertype", "kind", "ports", "source_port", "target_port", "source",
                     "target"):
            flows[name] = getattr(parsed, name)[first]
        flows["back"] = _addresses(family, target, source)
        flows["from"], flows["to"] = address_keys(family, source), address_keys(family, target)
        self._new.append(flows[own])
        self._waiting += int(own.sum())
        if self._waiting > max(1 << 12, len(self.tables.flows) // 4):
            self._keep()

    def _broadcast(self, out: np.ndarray, raw: np.ndarray, outer: Headers) -> None:
        """Keep the flows whose frames are for all: of a network's own broadcast address, only its hosts know that."""
        some = np.flatnonzero((raw["pkt_type"] == _TO_ALL) & (outer.version == 4) & (outer.tunnel == NO_TUNNEL))
        if len(some):
            self.tables.broadcast = np.union1d(self.tables.broadcast, out["flow"][some])

    def _keep(self) -> None:
        self.tables.flows = united([self.tables.flows, *self._new])
        self._new, self._waiting = [], 0

    @staticmethod
    def _metadata(out: np.ndarray, raw: np.ndarray, outer: Headers) -> None:
        out["time"], out["skb"], out["head"] = raw["time_ns"], raw["skb"], raw["head"]
        out["vlan"] = np.where(raw["vlan_present"] > 0, (raw["vlan_tci"] & 0xFFF).astype("i2"), outer.vlan)
        out["network"] = network_of(outer, out["vlan"])
        for name, source in (("mark", "mark"), ("priority", "priority"), ("queue", "queue_mapping")):
            out[name] = raw[source]

    def _places(self, out: np.ndarray, raw: np.ndarray) -> None:
        out["place"] = _numbers(self.tables.places, [raw[name] for name in ("netns", "ifindex", "point")], 0)
        drops = np.flatnonzero(np.isin(raw["point"], self._free_points))
        if len(drops):
            out["drop"][drops] = _numbers(self.tables.drops, [raw[name][drops] for name in (
                "reason", "location", "stack_id")], 1)


def united(tables: list[np.ndarray]) -> np.ndarray:
    """Return all flows of several tables, each once, by their hash."""
    flows = np.concatenate(tables) if tables else np.zeros(0, FLOW)
    return flows[np.unique(flows["flow"], return_index=True)[1]]


def among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return which values are among `known`, which is sorted."""
    if not len(known):
        return np.zeros(len(values), bool)
    return known[np.minimum(np.searchsorted(known, values), len(known) - 1)] == values


def network_of(outer: Headers, vlan: np.ndarray) -> np.ndarray:
    """Return what keeps equal addresses apart: the network of a tunnel, else the VLAN, else 0.

    A number of its own for each: a VLAN id is below 4096, a VNI has 24 bits (a GRE key is cut to as many).
    """
    kind = np.where(outer.tunnel == IN_GRE, 2 << 24, 1 << 24)
    tunnel = np.where(outer.tunnel_id > 0, kind | (outer.tunnel_id & 0xFFFFFF), 0)
    return np.where(outer.tunnel == NO_TUNNEL, np.maximum(vlan, 0), tunnel).astype("u4")


def network_text(network: int) -> str:
    """Return the words for a network; empty for none."""
    kind, number = network >> 24, network & 0xFFFFFF
    return ("vlan %d" % number if number else "") if not kind else ("vni %d" if kind == 1 else "gre key %d") % number


def recognise(raw: np.ndarray, outer: Headers, inside: np.ndarray, inner: Headers, length: np.ndarray) -> Columns:
    """Return the fields of rows by which packets are recognised.

    outer, inside, inner: what headers.parse() and headers.inner() said; length: bytes from the network header on.
    """
    out = _fields(outer, raw, length)
    seen = (inner.version > 0) | (_family(inner) == 1)
    hidden = inside[~seen]    # a tunnel's packet of which too little was recorded
    out["kind"][hidden] = np.where(out["kind"][hidden] == IS_OTHER, UNREADABLE, out["kind"][hidden])
    if seen.any():
        rows = inside[seen]
        for name, column in _fields(_subset(inner, seen), picked(raw, rows), inner.payload[seen] + 40).items():
            out[name][rows] = column
    return out


def _fields(parsed: Headers, raw: np.ndarray, length: np.ndarray) -> Columns:
    out: Columns = {}
    family = _family(parsed)
    out["group"] = _addresses(family, parsed.source.view("<u8"), parsed.target.view("<u8"))
    flow = mix(out["group"], parsed.protocol)
    flow = mix(flow, (parsed.source_port.astype("u4") << 16) | parsed.target_port)
    arp = family == 1
    echo = np.isin(parsed.protocol, (ICMP, ICMPV6)) & is_echo(parsed.protocol, parsed.kind)
    out["flow"] = mix(mix(flow, parsed.ports.astype("u1") + 2 * np.where(arp, parsed.kind, 0)),
                      np.where(echo, parsed.echo_id, 0))
    piece = (parsed.fragment > 0) | parsed.more
    tcp = (parsed.protocol == TCP) & parsed.whole & parsed.ports
    nameless = piece & (parsed.fragment == 0) & ~parsed.whole     # a first fragment without its ports
    out["kind"] = np.where(arp, IS_ARP, np.where(parsed.version == 0, NOT_FOLLOWED, np.where(
        piece & ~nameless, IS_FRAGMENT, np.where(tcp, IS_TCP, np.where(_cut(parsed), UNREADABLE, IS_OTHER)))))
    number = np.where(echo, (parsed.echo_id.astype("u4") << 16) | parsed.echo_seq, 0)
    number = np.where(piece, parsed.fragment, number)
    out["seq"] = np.where(tcp & ~piece, parsed.seq, number + (parsed.kind.astype("u4") << 8) * ~piece * ~echo)
    asks = echo & np.isin(parsed.kind, parsing.ECHO_REQUESTS)
    out["ident"], out["flags"] = parsed.ident, np.where(tcp, parsed.flags, asks)
    out["ttl"], out["tos"] = parsed.ttl, parsed.tos
    out["size"] = np.maximum(parsed.payload, 0)
    out["bytes"] = np.maximum(length, 0)
    unit = np.where((tcp | (parsed.protocol == UDP)) & ~piece, raw["gso_size"], 0)
    out["unit"] = np.where(out["size"] > unit, unit, 0)
    out["fixed"] = ((raw["gso_type"] & FIXED_ID) > 0) | (raw["followed"] > 0) * np.uint8(FOLLOWED)
    # of a packet that is not all in the linear part the hash depends on how much of it is
    hashes = np.where(raw["data_len"] > 0, 0, raw["payload_hash"])
    out["hash"] = np.where(out["kind"] != IS_TCP, hashes, np.where(out["size"] > 0, 0, parsed.ack.astype("u8") + 1))
    return {name: column.astype(ROW[name]) for name, column in out.items()}


def _cut(parsed: Headers) -> np.ndarray:
    """Return the packets whose headers were not recorded whole, those inside a tunnel included."""
    tunnel = (parsed.protocol == UDP) & np.isin(parsed.target_port, (*VXLAN_PORTS, GENEVE_PORT)) & (
        parsed.tunnel == NO_TUNNEL)
    return (parsed.version > 0) & (parsed.fragment == 0) & (~parsed.whole | (tunnel & (parsed.payload > 8)))


def _family(parsed: Headers) -> np.ndarray:
    """Return 4, 6, 1 for ARP, or 0."""
    arp = (parsed.ethertype == ETH_ARP) & (parsed.kind > 0) & (parsed.version == 0)
    return np.where(arp, 1, parsed.version).astype("u8")


@dataclass
class Renaming:
    """Flows and their names before address translation."""

    after: np.ndarray    # u8, sorted
    root: np.ndarray     # u8

    def __len__(self) -> int:
        return len(self.after)

    def rename(self, flow: np.ndarray) -> np.ndarray:
        """Return the flows by the names that they had first."""
        if not len(self.after):
            return flow
        place = np.minimum(np.searchsorted(self.after, flow), len(self.after) - 1)
        return np.where(self.after[place] == flow, self.root[place], flow)


def packet_keys(rows: np.ndarray | Columns, renamed: Renaming | None) -> np.ndarray:
    """Return what identifies each packet; of a TCP segment its beginning, so that joined segments are found too."""
    flow = rename(np.ascontiguousarray(rows["flow"]), renamed)
    tcp = rows["kind"] == IS_TCP
    key = mix(mix(flow, rows["seq"]), rows["ident"])
    return mix(mix(key, np.where(tcp, rows["size"] > 0, rows["size"])), np.where(tcp, 0, rows["hash"]))


def rename(flow: np.ndarray, renamed: Renaming | None) -> np.ndarray:
    """Replace flows by the names that they had before address translation."""
    return renamed.rename(flow) if renamed else flow


def _words(addresses: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(addresses).view("<u8")


def _addresses(family: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    value = mix(family + np.uint64(1), source[:, 0])
    return mix(mix(mix(value, source[:, 1]), target[:, 0]), target[:, 1])


def address_keys(family: np.ndarray, address: np.ndarray) -> np.ndarray:
    """Return a number for each address; ARP and IPv4 have the same addresses."""
    return mix(mix(np.where(family == 1, 4, family).astype("u8"), address[:, 0]), address[:, 1])


def _numbers(table: dict[tuple[int, int, int], int], columns: Sequence[np.ndarray], start: int) -> np.ndarray:
    """Return each row's number in a table of combinations of three columns, adding new ones."""
    one, two, three = (column.astype("u8") for column in columns)
    codes, first = numbered(mix(mix(one, two), three))
    rows = zip(*(column[first].tolist() for column in columns), strict=True)
    numbers = [table.setdefault(combination, len(table) + start) for combination in rows]
    return np.array(numbers or [0])[codes]


def _subset(parsed: Headers, rows: np.ndarray) -> Headers:
    return Headers(**{name: np.ascontiguousarray(column[rows]) for name, column in vars(parsed).items()})
