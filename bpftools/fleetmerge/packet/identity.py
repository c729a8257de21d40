# SPDX-License-Identifier: Apache-2.0
"""What a packet is recognised by: one small row per record, made of what does not change on the way.

That is the innermost packet's addresses, protocol and ports (its flow), the IP id where it is set, the range of TCP's
sequence numbers, the numbers of an ICMP echo, the payload's length and hash. The skb's address links records of one
host across address translation: where the same skb shows the same content under another flow, the flows are one.
"""
from dataclasses import dataclass, field

import numpy as np

from ..arrays import numbered
from ..bundle.records import CANONICAL, canonical
from . import headers as parsing
from .headers import ETH_ARP, ICMP, ICMPV6, TCP, UDP, Headers, is_echo

ROW = np.dtype([
    ("time", "<i8"),       # CLOCK_MONOTONIC
    ("group", "<u8"),      # the two addresses, in this direction
    ("flow", "<u8"),       # addresses, protocol, ports
    ("hash", "<u8"),       # of the payload; of a TCP segment without one, the acknowledged byte; 0: unknown
    ("seq", "<u4"),        # of TCP; id and number of an ICMP echo
    ("ident", "<u4"),      # IP id; 0: not set
    ("size", "<u4"),       # payload bytes
    ("bytes", "<u4"),      # from the network header on
    ("mark", "<u4"), ("priority", "<u4"),
    ("vlan", "<i2"),       # -1: none
    ("queue", "<u2"), ("ttl", "u1"), ("tos", "u1"),
    ("unit", "<u2"),       # size of the segments that this packet will be cut into, or was joined from; 0: one packet
    ("place", "<u2"), ("drop", "<u2"),   # entries of the bundle's tables; drop 0: the skb was not freed here
    ("flags", "u1"),       # of TCP
    ("fixed", "u1"),       # all segments of the packet have one IP id
    ("kind", "u1"),
])
FLOW = np.dtype([("flow", "<u8"), ("group", "<u8"), ("back", "<u8"), ("version", "u1"), ("protocol", "u1"),
                 ("ethertype", "<u2"), ("kind", "u1"), ("ports", "?"), ("source_port", "<u2"), ("target_port", "<u2"),
                 ("source", "u1", 16), ("target", "u1", 16)])
NOT_FOLLOWED, IS_TCP, IS_OTHER, IS_FRAGMENT, IS_ARP = range(5)
FIXED_ID = 1 << 3       # SKB_GSO_TCP_FIXEDID: all segments of the packet have one IP id
LINK_SECONDS = 1        # an skb that was not seen for so long is taken for a new one
_ODD = np.uint64(0x9E3779B97F4A7C15)
_OTHER = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(29)


def mix(value: np.ndarray, more: np.ndarray) -> np.ndarray:
    """Return a 64-bit hash of both; they do not commute."""
    value = ((value.astype("u8") * _ODD) ^ more.astype("u8")) * _OTHER
    return value ^ (value >> _SHIFT)


@dataclass
class Tables:
    """What the numbers in a bundle's rows stand for; grows as records are read."""

    places: dict[tuple[int, int, int], int] = field(default_factory=dict)  # netns, ifindex, point -> place
    drops: dict[tuple[int, int, int], int] = field(default_factory=dict)   # reason, location, stack of a free -> drop
    flows: dict[int, np.void] = field(default_factory=dict)                # hash -> row of FLOW
    groups: dict[int, int] = field(default_factory=dict)                   # group -> packets at places
    aliases: dict[tuple[int, int], int] = field(default_factory=dict)      # flow, its other name -> times seen


class Identifier:
    """Turns one bundle's records into rows, chunk after chunk."""

    def __init__(self, drop_points: set[int], free_points: set[int]) -> None:
        self.tables = Tables()
        self._drop_points, self._free_points = list(drop_points), list(drop_points | free_points)
        self._carried = np.zeros(0, _LINK)  # skbs that may come again

    def rows(self, raw: np.ndarray) -> np.ndarray:
        """Return one row for each record."""
        if set(CANONICAL.names or ()) - set(raw.dtype.names or ()):
            raw = canonical(raw)
        length = raw["len"].astype("i8") - (raw["network_offset"].astype("i8") - raw["data_offset"])
        packet, valid = raw["packet"], np.minimum(raw["packet_len"], raw["packet"].shape[1])
        outer = parsing.parse(packet, valid, raw["packet_layer"], raw["protocol"], length)
        inside, inner = parsing.inner(outer, packet, valid)
        out = recognise(raw, outer, inside, inner, length)
        self._remember(out, outer)
        if len(inside):
            self._remember(out[inside], inner)
        self._metadata(out, raw, outer)
        self._count(out)
        self._places(out, raw)
        self._link(out, raw)
        return out

    def _count(self, out: np.ndarray) -> None:
        """Count each group's packets, joined ones by what they are joined from."""
        pieces = np.where(out["unit"] > 0, -(-out["size"].astype("i8") // np.maximum(out["unit"], 1)), 1)
        of, first = numbered(np.ascontiguousarray(out["group"]))
        counts = np.bincount(of, pieces, len(first)).astype("i8")
        for group, count in zip(out["group"][first].tolist(), counts.tolist(), strict=True):
            self.tables.groups[group] = self.tables.groups.get(group, 0) + count

    def _remember(self, out: np.ndarray, parsed: Headers) -> None:
        """Keep what each new flow consists of; rows of tunnels have the flow of the packet inside."""
        family = _family(parsed)
        _, first = numbered(np.ascontiguousarray(out["flow"]))
        for value, row in zip(out["flow"][first].tolist(), first.tolist(), strict=True):
            if value in self.tables.flows or out["kind"][row] == NOT_FOLLOWED:
                continue
            one = slice(row, row + 1)
            own = _addresses(family[one], parsed.source[one].view("<u8"), parsed.target[one].view("<u8"))[0]
            if own != out["group"][row]:
                continue
            flow = np.zeros(1, FLOW)
            for name in ("flow", "group"):
                flow[name][0] = out[name][row]
            for name in ("version", "protocol", "ethertype", "kind", "ports", "source_port", "target_port", "source",
                         "target"):
                flow[name][0] = getattr(parsed, name)[row]
            flow["back"] = _addresses(family[one], parsed.target[one].view("<u8"), parsed.source[one].view("<u8"))
            self.tables.flows[value] = flow[0]

    @staticmethod
    def _metadata(out: np.ndarray, raw: np.ndarray, outer: Headers) -> None:
        out["time"] = raw["time_ns"]
        out["vlan"] = np.where(raw["vlan_present"] > 0, (raw["vlan_tci"] & 0xFFF).astype("i2"), outer.vlan)
        out["ttl"], out["tos"] = outer.ttl, outer.tos
        for name, source in (("mark", "mark"), ("priority", "priority"), ("queue", "queue_mapping")):
            out[name] = raw[source]

    def _places(self, out: np.ndarray, raw: np.ndarray) -> None:
        out["place"] = _numbers(self.tables.places, raw, ("netns", "ifindex", "point"), 0)
        drops = np.flatnonzero(np.isin(raw["point"], self._free_points))
        if len(drops):
            out["drop"][drops] = _numbers(self.tables.drops, raw[drops], ("reason", "location", "stack_id"), 1)

    def _link(self, out: np.ndarray, raw: np.ndarray) -> None:
        """Find skbs that show one content under two flows: address translation."""
        links = np.zeros(len(out), _LINK)
        for name in ("time", "flow", "hash", "seq", "ident", "size", "kind"):
            links[name] = out[name]
        links["head"] = raw["head"]
        links["skb"], links["end"] = raw["skb"], np.isin(raw["point"], self._free_points)
        links = np.concatenate([self._carried, links])
        links = links[np.argsort(links["skb"], kind="stable")]
        before, after = links[:-1], links[1:]
        same = (before["skb"] == after["skb"]) & ~before["end"]
        last = np.append(~same, True) & ~links["end"]
        newest = int(links["time"].max()) if len(links) else 0
        self._carried = links[last & (links["time"] > newest - LINK_SECONDS * 10**9)]
        moved = np.flatnonzero(same & (before["flow"] != after["flow"]) & np.isin(after["kind"], (IS_TCP, IS_OTHER)))
        if not len(moved):
            return
        before, after = before[moved], after[moved]
        alike = np.ones(len(moved), bool)
        for name in ("seq", "ident", "size", "kind"):
            alike &= before[name] == after[name]
        alike &= (before["hash"] == after["hash"]) | (before["hash"] == 0) | (after["hash"] == 0)
        # an skb that was freed unseen and came again with an answer looks much like one whose addresses were changed
        told = (before["seq"] > 0) | (before["hash"] > 0)
        alike &= (before["ident"] > 0) | (told & (before["head"] == after["head"]))
        for one, other in zip(before["flow"][alike].tolist(), after["flow"][alike].tolist(), strict=True):
            if self.tables.flows[one]["back"] == self.tables.flows[other]["group"]:
                continue
            self.tables.aliases[one, other] = self.tables.aliases.get((one, other), 0) + 1


_LINK = np.dtype([("skb", "<u8"), ("head", "<u8"), ("time", "<i8"), ("flow", "<u8"), ("hash", "<u8"), ("seq", "<u4"),
                  ("ident", "<u4"), ("size", "<u4"), ("kind", "u1"), ("end", "?")])


def recognise(raw: np.ndarray, outer: Headers, inside: np.ndarray, inner: Headers, length: np.ndarray) -> np.ndarray:
    """Return the rows of records, with what their packets are recognised by filled in.

    outer, inside, inner: what headers.parse() and headers.inner() said; length: bytes from the network header on.
    """
    out = np.zeros(len(raw), ROW)
    _fill(out, outer, raw, length)
    seen = inner.version > 0
    if seen.any():
        rows = inside[seen]
        part = out[rows]
        _fill(part, _subset(inner, seen), raw[rows], inner.payload[seen] + 40)
        out[rows] = part
    return out


def _fill(out: np.ndarray, parsed: Headers, raw: np.ndarray, length: np.ndarray) -> None:
    family = _family(parsed)
    out["group"] = _addresses(family, parsed.source.view("<u8"), parsed.target.view("<u8"))
    flow = mix(out["group"], parsed.protocol)
    flow = mix(flow, (parsed.source_port.astype("u4") << 16) | parsed.target_port)
    arp = family == 1
    out["flow"] = mix(flow, parsed.ports.astype("u1") + 2 * np.where(arp, parsed.kind, 0))
    piece = (parsed.fragment > 0) | parsed.more
    tcp = (parsed.protocol == TCP) & parsed.whole & parsed.ports
    out["kind"] = np.where(arp, IS_ARP, np.where(parsed.version == 0, NOT_FOLLOWED, np.where(
        piece, IS_FRAGMENT, np.where(tcp, IS_TCP, IS_OTHER))))
    echo = np.isin(parsed.protocol, (ICMP, ICMPV6)) & is_echo(parsed.protocol, parsed.kind)
    number = np.where(echo, (parsed.echo_id.astype("u4") << 16) | parsed.echo_seq, 0)
    number = np.where(piece, parsed.fragment, number)
    out["seq"] = np.where(tcp & ~piece, parsed.seq, number + (parsed.kind.astype("u4") << 8) * ~piece * ~echo)
    out["ident"], out["flags"] = parsed.ident, np.where(tcp, parsed.flags, 0)
    out["size"] = np.maximum(parsed.payload, 0)
    out["bytes"] = np.maximum(length, 0)
    unit = np.where((tcp | (parsed.protocol == UDP)) & ~piece, raw["gso_size"], 0)
    out["unit"] = np.where(out["size"] > unit, unit, 0)
    out["fixed"] = (raw["gso_type"] & FIXED_ID) > 0
    # of a packet that is not all in the linear part the hash depends on how much of it is
    hashes = np.where(raw["data_len"] > 0, 0, raw["payload_hash"])
    out["hash"] = np.where(out["kind"] != IS_TCP, hashes, np.where(out["size"] > 0, 0, parsed.ack.astype("u8") + 1))


def _family(parsed: Headers) -> np.ndarray:
    """Return 4, 6, 1 for ARP, or 0."""
    arp = (parsed.ethertype == ETH_ARP) & (parsed.kind > 0) & (parsed.version == 0)
    return np.where(arp, 1, parsed.version).astype("u8")


def packet_keys(rows: np.ndarray, renamed: dict[int, int]) -> np.ndarray:
    """Return what identifies each packet; of a TCP segment its beginning, so that joined segments are found too."""
    flow = rename(np.ascontiguousarray(rows["flow"]), renamed)
    tcp = rows["kind"] == IS_TCP
    key = mix(mix(flow, rows["seq"]), rows["ident"])
    return mix(mix(key, np.where(tcp, rows["size"] > 0, rows["size"])), np.where(tcp, 0, rows["hash"]))


def rename(flow: np.ndarray, renamed: dict[int, int]) -> np.ndarray:
    """Replace flows by the names that they had before address translation."""
    if not renamed:
        return flow
    known = np.array(sorted(renamed), "u8")
    names = np.array([renamed[one] for one in known.tolist()], "u8")
    place = np.minimum(np.searchsorted(known, flow), len(known) - 1)
    return np.where(known[place] == flow, names[place], flow)


def _addresses(family: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    value = mix(family + np.uint64(1), source[:, 0])
    return mix(mix(mix(value, source[:, 1]), target[:, 0]), target[:, 1])


def _numbers(table: dict[tuple[int, int, int], int], raw: np.ndarray, names: tuple[str, str, str],
             start: int) -> np.ndarray:
    """Return each row's number in a table of combinations of three fields, adding new ones."""
    one, two, three = (raw[name].astype("u8") for name in names)
    codes, first = numbered(mix(mix(one, two), three))
    rows = zip(*(raw[name][first].tolist() for name in names), strict=True)
    numbers = [table.setdefault(combination, len(table) + start) for combination in rows]
    return np.minimum(np.array(numbers or [0]), 0xFFFF)[codes]


def _subset(parsed: Headers, rows: np.ndarray) -> Headers:
    return Headers(**{name: np.ascontiguousarray(column[rows]) for name, column in vars(parsed).items()})


def roots(aliases: dict[tuple[int, int], int]) -> dict[int, int]:
    """Return flow -> the name it had first, for flows that address translation renamed.

    A name that several flows share (a tunnel, or the pool of a translator) says nothing and is left alone.
    """
    origins: dict[int, set[int]] = {}
    for one, other in aliases:
        origins.setdefault(other, set()).add(one)
    parent = {other: next(iter(ones)) for other, ones in origins.items() if len(ones) == 1}
    out = {}
    for flow in parent:
        root, seen = flow, {flow}
        while root in parent and parent[root] not in seen:
            root = parent[root]
            seen.add(root)
        out[flow] = root
    return out
