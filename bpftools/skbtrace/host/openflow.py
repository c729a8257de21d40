# SPDX-License-Identifier: Apache-2.0
"""A packet's headers as Open vSwitch writes a flow, for `ofproto/trace`: ovs-fields(7), without what it cannot match.

`ofproto/trace` also takes a packet, but then it learns from it, as from a real one. Of a flow it does not.
"""
import socket
import struct
from typing import List, Optional, Tuple

Fields = List[Tuple[str, str]]    # names and values; a protocol has no value

_VLAN = (0x8100, 0x88A8)
_PORTS = {6: "tcp", 17: "udp", 132: "sctp"}
_EXTENSIONS = (0, 43, 60)
_VOLATILE = {"nw_ttl", "nw_ecn", "tcp_flags", "ipv6_label"}    # differ between packets of a flow


def fields(frame: bytes, tag: Optional[int]) -> Fields:
    """Return the fields of an Ethernet frame; none if its headers end early, or are ones that nobody traces here.

    tag: the VLAN tag that was taken out of it (TCI), if one was.
    """
    try:
        return _ethernet(frame, tag)
    except struct.error:
        return []


def text(known: Fields) -> str:
    """Return fields as `ofproto/trace` takes them."""
    return ",".join(name + ("=" + value if value else "") for name, value in known)


def flow_of(known: Fields) -> Fields:
    """Return of a packet's fields what packets of its flow share, as far as rules ask for it: without the higher port,
    which mostly is one that a client drew."""
    ports = [(int(value), name) for name, value in known if name.endswith(("p_src", "p_dst")) and value.isdigit()]
    drawn = max(ports)[1] if len(ports) == 2 else ""
    return [(name, value) for name, value in known if name not in _VOLATILE and name != drawn]


def _ethernet(frame: bytes, tag: Optional[int]) -> Fields:
    known = [("dl_src", _mac(frame[6:12])), ("dl_dst", _mac(frame[:6]))]
    kind, start = struct.unpack_from(">H", frame, 12)[0], 14
    while kind in _VLAN:
        if tag is not None:
            return []
        tag, kind = struct.unpack_from(">HH", frame, start)
        start += 4
    if tag is not None:
        known += [("dl_vlan", "%d" % (tag & 0xFFF)), ("dl_vlan_pcp", "%d" % (tag >> 13))]
    if kind == 0x0800:
        return known + _ipv4(frame, start)
    if kind == 0x86DD:
        return known + _ipv6(frame, start)
    if kind == 0x0806:
        return known + _arp(frame, start)
    return known + [("dl_type", "0x%04x" % kind)] if kind >= 0x600 else []


def _mac(raw: bytes) -> str:
    return ":".join("%02x" % byte for byte in raw)


def _common(version: int, protocol: int, source: bytes, target: bytes, tos: int, ttl: int) -> Fields:
    family, ends = (socket.AF_INET, "nw_%s") if version == 4 else (socket.AF_INET6, "ipv6_%s")
    return [("ip" if version == 4 else "ipv6", ""), (ends % "src", socket.inet_ntop(family, source)),
            (ends % "dst", socket.inet_ntop(family, target)), ("nw_proto", "%d" % protocol),
            ("nw_tos", "%d" % (tos & 0xFC)), ("nw_ecn", "%d" % (tos & 3)), ("nw_ttl", "%d" % ttl)]


def _ipv4(frame: bytes, start: int) -> Fields:
    first, tos, fragment, ttl, protocol, source, target = struct.unpack_from(">BB4xHBB2x4s4s", frame, start)
    known = _common(4, protocol, source, target, tos, ttl)
    if fragment & 0x3FFF:
        known.append(("nw_frag", "later" if fragment & 0x1FFF else "first"))
    return known if fragment & 0x1FFF else _transport(frame, start + (first & 15) * 4, protocol, 4, known)


def _ipv6(frame: bytes, start: int) -> Fields:
    first, protocol, ttl, source, target = struct.unpack_from(">I2xBB16s16s", frame, start)
    position = start + 40
    while protocol in _EXTENSIONS:
        protocol, length = struct.unpack_from(">BB", frame, position)
        position += (length + 1) * 8
    fragment = 0
    if protocol == 44:
        protocol, fragment = struct.unpack_from(">BxH", frame, position)
        position += 8
    known = _common(6, protocol, source, target, first >> 20 & 0xFF, ttl) + [("ipv6_label", "0x%x" % (first & 0xFFFFF))]
    if fragment & 0xFFF9:
        known.append(("nw_frag", "later" if fragment & 0xFFF8 else "first"))
    return known if fragment & 0xFFF8 else _transport(frame, position, protocol, 6, known)


def _transport(frame: bytes, start: int, protocol: int, version: int, known: Fields) -> Fields:
    """Return the fields of IP with those of what it carries: the protocol's name comes first, since the others need
    it."""
    rest: Fields = []
    if protocol in _PORTS:
        name = _PORTS[protocol]
        ports = struct.unpack_from(">HH", frame, start)
        rest = [(name + "_src", "%d" % ports[0]), (name + "_dst", "%d" % ports[1])]
        if name == "tcp":
            rest.append(("tcp_flags", "0x%03x" % (struct.unpack_from(">H", frame, start + 12)[0] & 0xFFF)))
    elif (protocol, version) in ((1, 4), (58, 6)):
        name = "icmp" if version == 4 else "icmpv6"
        kind, code = struct.unpack_from(">BB", frame, start)
        rest = [(name + "_type", "%d" % kind), (name + "_code", "%d" % code)]
        if version == 6 and kind in (135, 136):
            (target,) = struct.unpack_from("16s", frame, start + 8)
            rest.append(("nd_target", socket.inet_ntop(socket.AF_INET6, target)))
    else:
        return known
    word = {4: name, 6: "icmp6" if name == "icmpv6" else name + "6"}[version]
    return [(word, "")] + [pair for pair in known if pair[0] not in ("ip", "ipv6", "nw_proto")] + rest


def _arp(frame: bytes, start: int) -> Fields:
    operation, mac, source, other, target = struct.unpack_from(">H6s4s6s4s", frame, start + 6)
    return [("arp", ""), ("arp_op", "%d" % (operation & 0xFF)), ("arp_spa", socket.inet_ntop(socket.AF_INET, source)),
            ("arp_tpa", socket.inet_ntop(socket.AF_INET, target)), ("arp_sha", _mac(mac)), ("arp_tha", _mac(other))]
