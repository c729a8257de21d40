# SPDX-License-Identifier: Apache-2.0
"""A record's packet bytes as names and numbers."""
import socket
import struct
from typing import Any, Dict

_VLAN = (0x8100, 0x88A8)
_PROTOCOL_NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
_EXTENSIONS = (0, 43, 44, 60)
_TCP_FLAGS = "FSRPAUEC"
# tunnels: RFC 7348 (and the kernel's own port from before it), RFC 8926, RFC 2784 and 2890, RFC 2003, RFC 4213
_VXLAN_PORTS, _GENEVE_PORT, _GRE, _IP_IN_IP = (4789, 8472), 6081, 47, {4: 0x0800, 41: 0x86DD}
_BRIDGED = 0x6558  # an Ethernet frame follows
_CARRIED = (_BRIDGED, 0x0800, 0x86DD)


def decode(packet: bytes, layer: int, ethertype: int) -> Dict[str, Any]:
    """Return what the headers say: ethertype, src, dst, protocol, ports, …; what is not there has no key.

    What a tunnel carries is under `inner`, beside `tunnel` (vxlan, geneve, gre, ipip) and `tunnel_id` (VNI, key or 0).

    packet: the header bytes of a record; layer: 2 if they begin with Ethernet, 3 if with the network header;
    ethertype: skb->protocol, used where there is no Ethernet header.
    """
    found: Dict[str, Any] = {"ethertype": ethertype}
    try:
        position = 0
        if layer == 2:
            ethertype, position = struct.unpack_from(">H", packet, 12)[0], 14
            while ethertype in _VLAN:
                tag, ethertype = struct.unpack_from(">HH", packet, position)
                found.setdefault("vlan", tag & 0xFFF)
                position += 4
            found["ethertype"] = ethertype
        if ethertype == 0x0800:
            _ipv4(packet, position, found)
        elif ethertype == 0x86DD:
            _ipv6(packet, position, found)
        elif ethertype == 0x0806:
            _arp(packet, position, found)
    except struct.error:  # the headers end early: what was there is told
        pass
    return found


def _protocol_name(protocol: int) -> str:
    return _PROTOCOL_NAMES.get(protocol, "ip-protocol-%d" % protocol)


def _ipv4(packet: bytes, start: int, found: Dict[str, Any]) -> None:
    first, length, identity, fragment, ttl, protocol, src, dst = struct.unpack_from(">BxHHHBBxx4s4s", packet, start)
    found.update(src=socket.inet_ntop(socket.AF_INET, src), dst=socket.inet_ntop(socket.AF_INET, dst),
                 id=identity, ttl=ttl, ip_length=length)
    if fragment & 0x3FFF:
        found.update(fragment_offset=(fragment & 0x1FFF) * 8, more_fragments=bool(fragment & 0x2000))
    _transport(packet, start + (first & 15) * 4, protocol, bool(fragment & 0x1FFF), found)


def _ipv6(packet: bytes, start: int, found: Dict[str, Any]) -> None:
    length, protocol, hops, src, dst = struct.unpack_from(">HBB16s16s", packet, start + 4)
    found.update(src=socket.inet_ntop(socket.AF_INET6, src), dst=socket.inet_ntop(socket.AF_INET6, dst),
                 ttl=hops, ip_length=length + 40, protocol=_protocol_name(protocol))
    position = start + 40
    later = False
    while protocol in _EXTENSIONS and not later:
        following, size, fragment = struct.unpack_from(">BBH", packet, position)
        if protocol == 44:
            later = bool(fragment & 0xFFF8)
            found.update(fragment_offset=fragment & 0xFFF8, more_fragments=bool(fragment & 1),
                         id=struct.unpack_from(">I", packet, position + 4)[0])
            position += 8
        else:
            position += (size + 1) * 8
        protocol = following
    _transport(packet, position, protocol, later, found)


def _transport(packet: bytes, start: int, protocol: int, later: bool, found: Dict[str, Any]) -> None:
    name = _protocol_name(protocol)
    found["protocol"] = name
    if later:
        return
    if name in ("tcp", "udp", "sctp"):
        found["src_port"], found["dst_port"] = struct.unpack_from(">HH", packet, start)
        if name == "tcp":
            found["seq"], found["ack"], flags = struct.unpack_from(">IIxB", packet, start + 4)
            found["flags"] = "".join(letter for bit, letter in enumerate(_TCP_FLAGS) if flags >> bit & 1) or "-"
        elif name == "udp" and not found.get("more_fragments"):
            _udp_tunnel(packet, start, found)
    elif name in ("icmp", "icmpv6"):
        found["type"], found["code"] = struct.unpack_from(">BB", packet, start)
        if found["type"] in ((0, 8) if name == "icmp" else (128, 129)):
            found["icmp_id"], found["icmp_seq"] = struct.unpack_from(">HH", packet, start + 4)
    elif protocol == _GRE:
        _gre(packet, start, found)
    elif protocol in _IP_IN_IP and len(packet) >= start + 20:
        _enter(packet, start, _IP_IN_IP[protocol], "ipip", 0, found)


def _udp_tunnel(packet: bytes, start: int, found: Dict[str, Any]) -> None:
    if found["dst_port"] in _VXLAN_PORTS:
        flags, vni = struct.unpack_from(">B3xI", packet, start + 8)
        if flags & 8:
            _enter(packet, start + 16, _BRIDGED, "vxlan", vni >> 8, found)
    elif found["dst_port"] == _GENEVE_PORT:
        first, ethertype, vni = struct.unpack_from(">BxHI", packet, start + 8)
        if not first >> 6:
            _enter(packet, start + 16 + (first & 0x3F) * 4, ethertype, "geneve", vni >> 8, found)


def _gre(packet: bytes, start: int, found: Dict[str, Any]) -> None:
    flags, ethertype = struct.unpack_from(">HH", packet, start)
    checksum, key, number = (flags >> bit & 1 for bit in (15, 13, 12))
    inner = start + 4 + 4 * (checksum + key + number)
    if not flags & 7 and len(packet) > inner:
        identity = struct.unpack_from(">I", packet, start + 4 + 4 * checksum)[0] if key else 0
        _enter(packet, inner, ethertype, "gre", identity, found)


def _enter(packet: bytes, start: int, ethertype: int, tunnel: str, identity: int, found: Dict[str, Any]) -> None:
    if ethertype in _CARRIED and len(packet) > start:
        inner = decode(packet[start:], 2 if ethertype == _BRIDGED else 3, ethertype)
        for key in ("tunnel", "tunnel_id", "inner"):  # one tunnel is told, not the tunnel in it
            inner.pop(key, None)
        found.update(tunnel=tunnel, tunnel_id=identity, inner=inner)


def _arp(packet: bytes, start: int, found: Dict[str, Any]) -> None:
    operation, src, dst = struct.unpack_from(">H6x4s6x4s", packet, start + 6)
    found.update(protocol="arp", src=socket.inet_ntop(socket.AF_INET, src), dst=socket.inet_ntop(socket.AF_INET, dst),
                 operation={1: "request", 2: "reply"}.get(operation, "operation-%d" % operation))
