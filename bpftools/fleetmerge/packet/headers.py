# SPDX-License-Identifier: Apache-2.0
"""Parse packet headers, all records of a batch at once: link layer and VLAN, ARP, IPv4, IPv6, and what they carry.

Only bytes below packet_len are looked at: a header that was not recorded whole counts as not there.
"""
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

ETH_IPV4, ETH_IPV6, ETH_ARP, ETH_TEB = 0x0800, 0x86DD, 0x0806, 0x6558
VLAN_TYPES = (0x8100, 0x88A8)
ICMP, TCP, UDP, GRE, ICMPV6, SCTP = 1, 6, 17, 47, 58, 132
ECHO_REQUESTS = ICMP_ECHO, ICMPV6_ECHO = 8, 128
IPIP, IP6IP = 4, 41
_NOTHING = np.uint8(255)   # reserved
_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options: next header, length in 8 bytes
_FRAGMENT = 44
VXLAN_PORTS, GENEVE_PORT = (4789, 8472), 6081  # VXLAN: by RFC 7348, and the kernel's own from before it
TUNNELS = ("", "vxlan", "geneve", "gre", "ipip")
NO_TUNNEL, VXLAN, GENEVE, IN_GRE, IN_IP = range(5)


@dataclass
class Headers:
    """One value per record; 0 where a packet has no such field."""

    ethertype: np.ndarray   # u2, behind any VLAN tag
    vlan: np.ndarray        # s4: VLAN id of the outermost tag, -1 without one
    version: np.ndarray     # u1: 4, 6, or 0: not IP
    protocol: np.ndarray    # u1: IP protocol behind extension headers
    source: np.ndarray      # u1[16]: address; IPv4 and ARP in the first four bytes
    target: np.ndarray
    source_port: np.ndarray  # u2
    target_port: np.ndarray
    ports: np.ndarray       # bool: the ports were recorded (not in a later fragment)
    ident: np.ndarray       # u4: IPv4 id, or that of the IPv6 fragment header
    fragment: np.ndarray    # u2: offset in bytes
    more: np.ndarray        # bool: more fragments follow
    dont: np.ndarray        # bool: don't fragment
    ttl: np.ndarray         # u1: or hop limit
    tos: np.ndarray         # u1: or traffic class
    flags: np.ndarray       # u1: of TCP
    seq: np.ndarray         # u4: of TCP
    ack: np.ndarray         # u4: of TCP
    payload: np.ndarray     # s4: bytes behind the TCP or UDP header; -1: unknown
    kind: np.ndarray        # u1: ICMP type, ARP operation
    code: np.ndarray        # u1: ICMP code
    echo_id: np.ndarray     # u2: ICMP echo
    echo_seq: np.ndarray    # u2: ICMP echo
    whole: np.ndarray       # bool: all headers up to the transport were recorded
    tunnel: np.ndarray      # u1: index into TUNNELS
    tunnel_id: np.ndarray   # u4: VNI or GRE key
    inner_offset: np.ndarray     # s4: where the inner packet starts in packet[]; -1: none
    inner_ethertype: np.ndarray  # u2: 0x6558: the inner packet starts with an Ethernet header

    @classmethod
    def empty(cls, count: int) -> "Headers":
        """Return headers of `count` records with nothing in them."""
        types: dict[str, Any] = {"vlan": "i4", "source": ("u1", 16), "target": ("u1", 16), "payload": "i4",
                                 "inner_offset": "i4"}
        u1 = ("version", "protocol", "ttl", "tos", "flags", "kind", "code", "tunnel")
        u4 = ("ident", "seq", "ack", "tunnel_id")
        truth = ("ports", "more", "dont", "whole")
        out = {}
        for item in fields(cls):
            kind = types.get(item.name) or ("u1" if item.name in u1 else "u4" if item.name in u4 else
                                            "?" if item.name in truth else "u2")
            out[item.name] = np.zeros((count, 16), "u1") if isinstance(kind, tuple) else np.zeros(count, kind)
        made = cls(**out)
        for name in ("vlan", "payload", "inner_offset"):
            getattr(made, name)[:] = -1
        return made


def be16(window: np.ndarray, at: int) -> np.ndarray:
    """Return the big-endian 16-bit number at byte `at` of every row."""
    return (window[:, at].astype("u2") << 8) | window[:, at + 1]


def be32(window: np.ndarray, at: int) -> np.ndarray:
    """Return the big-endian 32-bit number at byte `at` of every row."""
    return (be16(window, at).astype("u4") << 16) | be16(window, at + 2)


def window(packet: np.ndarray, rows: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """Return `width` bytes of packet[row] from starts[i] on, for each row; bytes past the end are zero. rows: in their
    order, each once.

    Starts take few different values, so rows are copied group by group with plain slices.
    """
    clipped = np.clip(starts, 0, packet.shape[1])
    different = np.flatnonzero(np.bincount(clipped))
    if len(different) == 1 and different[0] + width <= packet.shape[1]:
        return _taken(packet[:, different[0]:different[0] + width], rows)
    out = np.zeros((len(rows), width), "u1")
    for start in different:
        end = min(start + width, packet.shape[1])
        same = clipped == start
        out[same, :end - start] = _taken(packet[:, start:end], rows[same])
    return out


def _taken(part: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return part[rows] if len(rows) < len(part) else np.ascontiguousarray(part)


def parse(packet: np.ndarray, packet_len: np.ndarray, layer: np.ndarray, protocol: np.ndarray,
          network_len: np.ndarray) -> Headers:
    """Parse the headers at the start of packet[].

    packet u1[n, bytes]; packet_len valid bytes of it; layer 2 or 3 (what it starts with); protocol: skb->protocol,
    used where there is no Ethernet header; network_len: bytes from the network header to the packet's end, as the
    kernel counts them (for GSO packets longer than an IP length field can say).
    """
    out = Headers.empty(len(packet))
    starts = np.zeros(len(packet), "i4")
    valid = packet_len.astype("i4")
    _link(out, packet, valid, layer, protocol, starts)
    _arp(out, packet, valid, starts)
    transport = _ipv4(out, packet, valid, starts, network_len)
    _ipv6(out, packet, valid, starts, network_len, transport)
    _transport(out, packet, valid, transport)
    return out


def inner(out: Headers, packet: np.ndarray, packet_len: np.ndarray) -> tuple[np.ndarray, Headers]:
    """Parse the inner packets of tunnels; return (rows that have one, their headers)."""
    rows = np.flatnonzero(out.inner_offset >= 0)
    starts = out.inner_offset[rows]
    shifted = window(packet, rows, starts, packet.shape[1])
    ethertype = out.inner_ethertype[rows]
    layer = np.where(ethertype == ETH_TEB, 2, 3).astype("u1")
    left = np.maximum(packet_len[rows].astype("i4") - starts, 0)
    return rows, parse(shifted, left, layer, ethertype, np.full(len(rows), -1, "i8"))


def _link(out: Headers, packet: np.ndarray, valid: np.ndarray, layer: np.ndarray, protocol: np.ndarray,
          starts: np.ndarray) -> None:
    """Find the ethertype and the start of the network header, behind VLAN tags in the packet itself."""
    out.ethertype[:] = protocol
    ethernet = np.flatnonzero((layer == 2) & (valid >= 14))
    if len(ethernet):
        out.ethertype[ethernet] = be16(packet[ethernet, 12:14], 0)
        starts[ethernet] = 14
    for _ in range(2):  # a tag, and a tag in a tag
        tagged = np.flatnonzero(np.isin(out.ethertype, VLAN_TYPES) & (valid >= starts + 4))
        if not len(tagged):
            return
        tag = window(packet, tagged, starts[tagged], 4)
        first = tagged[out.vlan[tagged] < 0]
        out.vlan[first] = (be16(tag, 0) & 0xFFF)[out.vlan[tagged] < 0]
        out.ethertype[tagged] = be16(tag, 2)
        starts[tagged] += 4


def _arp(out: Headers, packet: np.ndarray, valid: np.ndarray, starts: np.ndarray) -> None:
    rows = np.flatnonzero((out.ethertype == ETH_ARP) & (valid >= starts + 28))
    if not len(rows):
        return
    head = window(packet, rows, starts[rows], 28)
    plain = (be16(head, 2) == ETH_IPV4) & (head[:, 4] == 6) & (head[:, 5] == 4)
    rows, head = rows[plain], head[plain]
    out.kind[rows] = head[:, 7]
    out.source[rows, :4] = head[:, 14:18]
    out.target[rows, :4] = head[:, 24:28]
    out.whole[rows] = True


def _ipv4(out: Headers, packet: np.ndarray, valid: np.ndarray, starts: np.ndarray,
          network_len: np.ndarray) -> np.ndarray:
    """Parse IPv4; return where the transport header starts, -1 where there is none."""
    transport = np.full(len(packet), -1, "i4")
    rows = np.flatnonzero((out.ethertype == ETH_IPV4) & (valid >= starts + 20))
    head = window(packet, rows, starts[rows], 20)
    good = (head[:, 0] >> 4) == 4
    if not good.all():
        rows, head = rows[good], head[good]
    header = (head[:, 0] & 15).astype("i4") * 4
    flags = be16(head, 6)
    total = be16(head, 2).astype("i8")
    total = np.where(total > 0, total, network_len[rows])
    out.version[rows] = 4
    out.tos[rows], out.ident[rows], out.ttl[rows] = head[:, 1], be16(head, 4), head[:, 8]
    out.fragment[rows] = (flags & 0x1FFF) << 3
    out.more[rows], out.dont[rows] = (flags & 0x2000) != 0, (flags & 0x4000) != 0
    out.protocol[rows] = head[:, 9]
    out.source[rows, :4], out.target[rows, :4] = head[:, 12:16], head[:, 16:20]
    out.payload[rows] = total - header
    transport[rows] = np.where(header >= 20, starts[rows] + header, -1)
    return transport


def _ipv6(out: Headers, packet: np.ndarray, valid: np.ndarray, starts: np.ndarray, network_len: np.ndarray,
          transport: np.ndarray) -> None:
    """Parse IPv6 and its extension headers; fill in where the transport header starts."""
    rows = np.flatnonzero((out.ethertype == ETH_IPV6) & (valid >= starts + 40))
    if not len(rows):
        return
    head = window(packet, rows, starts[rows], 40)
    good = (head[:, 0] >> 4) == 6
    rows, head = rows[good], head[good]
    out.version[rows] = 6
    out.tos[rows] = ((head[:, 0] & 15) << 4) | (head[:, 1] >> 4)
    length = be16(head, 4).astype("i8")
    out.payload[rows] = np.where(length > 0, length, network_len[rows] - 40)
    out.protocol[rows], out.ttl[rows] = head[:, 6], head[:, 7]
    out.source[rows], out.target[rows] = head[:, 8:24], head[:, 24:40]
    transport[rows] = starts[rows] + 40
    for _ in range(6):
        rows = rows[np.isin(out.protocol[rows], (*_EXTENSIONS, _FRAGMENT)) & (valid[rows] >= transport[rows] + 8)]
        if not len(rows):
            return
        extension = window(packet, rows, transport[rows], 8)
        fragment = out.protocol[rows] == _FRAGMENT
        part = rows[fragment]
        field = be16(extension[fragment], 2)
        out.fragment[part], out.more[part] = field & 0xFFF8, (field & 1) != 0
        out.ident[part] = be32(extension[fragment], 4)
        size = np.where(fragment, 8, (extension[:, 1].astype("i4") + 1) * 8)
        out.protocol[rows] = extension[:, 0]
        out.payload[rows] -= size
        transport[rows] += size


def _transport(out: Headers, packet: np.ndarray, valid: np.ndarray, transport: np.ndarray) -> None:
    """Parse what IP carries: TCP, UDP, SCTP, ICMP, and find the inner packets of tunnels."""
    carried = np.where((transport >= 0) & (out.fragment == 0), out.protocol, _NOTHING)
    room = valid - transport

    def rows_of(need: int, *protocols: int) -> np.ndarray:
        fit = carried == protocols[0]
        for protocol in protocols[1:]:
            fit |= carried == protocol
        return np.flatnonzero(fit & (room >= need))

    rows = rows_of(14, TCP)
    head = window(packet, rows, transport[rows], 14)
    out.seq[rows], out.ack[rows] = be32(head, 4), be32(head, 8)
    out.flags[rows] = head[:, 13]
    out.payload[rows] -= (head[:, 12] >> 4).astype("i4") * 4
    out.whole[rows] = True
    rows = rows_of(4, TCP, UDP, SCTP)
    head = window(packet, rows, transport[rows], 4)
    out.source_port[rows], out.target_port[rows] = be16(head, 0), be16(head, 2)
    out.ports[rows] = True
    for protocol, size in ((UDP, 8), (SCTP, 12)):
        rows = rows_of(4, protocol)
        out.payload[rows] -= size
        out.whole[rows] = True
    _udp_tunnel(out, packet, rows_of(16, UDP), transport, room)
    rows = rows_of(4, ICMP, ICMPV6)
    head = window(packet, rows, transport[rows], 8)
    out.kind[rows], out.code[rows] = head[:, 0], head[:, 1]
    echo = is_echo(out.protocol[rows], head[:, 0]) & (room[rows] >= 8)
    out.echo_id[rows[echo]], out.echo_seq[rows[echo]] = be16(head, 4)[echo], be16(head, 6)[echo]
    out.whole[rows] = True
    _gre(out, packet, rows_of(4, GRE), transport, room)
    for protocol, ethertype in ((IPIP, ETH_IPV4), (IP6IP, ETH_IPV6)):
        rows = rows_of(20, protocol)
        out.tunnel[rows], out.inner_offset[rows], out.inner_ethertype[rows] = IN_IP, transport[rows], ethertype
    known = np.isin(out.protocol, (TCP, UDP, SCTP, ICMP, ICMPV6))
    out.whole |= (out.version > 0) & (~known | (out.fragment > 0))
    out.payload[(out.version == 0) | (known & ~out.whole)] = -1


def is_echo(protocol: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """Return which ICMP messages are echo requests or replies: they carry an id and a sequence number."""
    return np.where(protocol == ICMP, (kind == 0) | (kind == ICMP_ECHO), (kind == ICMPV6_ECHO) | (kind == 129))


def _udp_tunnel(out: Headers, packet: np.ndarray, rows: np.ndarray, transport: np.ndarray, room: np.ndarray) -> None:
    """VXLAN: flags with the I bit, VNI; Geneve: version 0, options of 4 bytes, protocol, VNI."""
    rows = rows[np.isin(out.target_port[rows], (*VXLAN_PORTS, GENEVE_PORT)) & ~out.more[rows]]
    if not len(rows):
        return
    head = window(packet, rows, transport[rows] + 8, 8)
    vxlan = np.isin(out.target_port[rows], VXLAN_PORTS) & ((head[:, 0] & 0x08) != 0)
    geneve = (out.target_port[rows] == GENEVE_PORT) & ((head[:, 0] >> 6) == 0)
    options = np.where(geneve, (head[:, 0] & 0x3F).astype("i4") * 4, 0)
    ethertype = np.where(vxlan, ETH_TEB, be16(head, 2)).astype("u2")
    inside = (vxlan | geneve) & np.isin(ethertype, (ETH_TEB, ETH_IPV4, ETH_IPV6)) & (room[rows] > 16 + options)
    chosen = rows[inside]
    out.tunnel[chosen] = np.where(vxlan, VXLAN, GENEVE)[inside]
    out.tunnel_id[chosen] = (be32(head, 4) >> 8)[inside]
    out.inner_offset[chosen] = (transport[rows] + 16 + options)[inside]
    out.inner_ethertype[chosen] = ethertype[inside]


def _gre(out: Headers, packet: np.ndarray, rows: np.ndarray, transport: np.ndarray, room: np.ndarray) -> None:
    """GRE version 0 with optional checksum, key and sequence number."""
    if not len(rows):
        return
    head = window(packet, rows, transport[rows], 12)
    bits = head[:, 0]
    checksum, key, number = ((bits >> shift) & 1 for shift in (7, 5, 4))
    size = 4 + 4 * (checksum.astype("i4") + key + number)
    ethertype = be16(head, 2)
    inside = ((head[:, 1] & 7) == 0) & np.isin(ethertype, (ETH_TEB, ETH_IPV4, ETH_IPV6)) & (room[rows] > size)
    out.tunnel[rows[inside]] = IN_GRE
    out.tunnel_id[rows[inside]] = np.where(key > 0, np.where(checksum > 0, be32(head, 8), be32(head, 4)), 0)[inside]
    out.inner_offset[rows[inside]] = (transport[rows] + size)[inside]
    out.inner_ethertype[rows[inside]] = ethertype[inside]
