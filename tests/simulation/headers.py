# SPDX-License-Identifier: Apache-2.0
"""The bytes of a packet's headers, and the names that a reader of them gives to its flow."""
import ipaddress
import struct
from functools import cache

from .packets import Packet, View

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
PROTOCOLS = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMP6: "icmpv6"}
IPV4, IPV6, ARP = 0x0800, 0x86DD, 0x0806
TUNNELS = {"vxlan": 4789, "geneve": 6081}
UNDERLAY = bytes.fromhex("020000000002020000000001")    # addresses of frames between hosts' tunnels


@cache
def packed(address: str) -> bytes:
    """Return an address in bytes; they are asked for often."""
    return ipaddress.ip_address(address).packed


def transport(packet: Packet, view: View, size: int) -> bytes:
    """Return the transport header of a packet whose payload has `size` bytes."""
    if packet.proto == UDP:
        return struct.pack("!HHHH", view[1], view[3], min(8 + size, 65535), 0)
    if packet.proto == TCP:
        return struct.pack("!HHIIBBHHH", view[1], view[3], packet.seq & 0xFFFFFFFF, packet.ack & 0xFFFFFFFF, 5 << 4,
                           packet.flags, 512, 0, 0)
    return struct.pack("!BBHHH", packet.flags, 0, 0, packet.ack, packet.seq)   # ICMP echo


def network(packet: Packet, view: View, ttl: int, size: int) -> tuple[int, bytes, int]:
    """Return (EtherType, headers from the network header on, bytes from there to the end)."""
    if packet.proto == ARP:
        body = struct.pack("!HHBBH6s4s6s4s", 1, IPV4, 6, 4, packet.flags, UNDERLAY[6:], packed(view[0]), bytes(6),
                           packed(view[2]))
        return ARP, body, len(body)
    head = transport(packet, view, size) if not packet.offset else b""
    total = len(head) + size
    if ":" in view[0]:
        return IPV6, struct.pack("!IHBB16s16s", 6 << 28, total, packet.proto, ttl, packed(view[0]),
                                 packed(view[2])) + head, 40 + total
    bits = (0x2000 if packet.more else 0) | packet.offset >> 3
    return IPV4, struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + total, packet.ident, bits, ttl, packet.proto, 0,
                             packed(view[0]), packed(view[2])) + head, 20 + total


def wrapped(outer: tuple[str, str, str, int, int], macs: bytes, ethertype: int, inner: bytes,
            length: int) -> tuple[int, bytes, int]:
    """Return the headers of a VXLAN or Geneve packet around an inner frame, and its length, as network() does."""
    kind, source, target, port, vni = outer
    shim = (struct.pack("!II", 0x08000000, vni << 8) if kind == "vxlan" else
            struct.pack("!BBHI", 0, 0, 0x6558, vni << 8))
    frame = macs + struct.pack("!H", ethertype) + inner
    length += 14 + 8 + 8
    udp = struct.pack("!HHHH", port, TUNNELS[kind], min(length, 65535), 0) + shim
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, min(20 + length, 65535), 0, 0x4000, 64, UDP, 0, packed(source),
                     packed(target))
    return IPV4, ip + udp + frame, 20 + length


def key_texts(frame: bytes) -> list[str]:
    """Return the flows under which a reader of these bytes of a frame may know the packet, innermost first."""
    return _key_texts(frame[14:], struct.unpack("!H", frame[12:14])[0]) if len(frame) >= 14 else []


def _key_texts(data: bytes, ethertype: int) -> list[str]:
    if ethertype == ARP and len(data) >= 28:
        source, target = (ipaddress.ip_address(data[at:at + 4]) for at in (14, 24))
        return ["arp %s > %s %s" % (source, target, {1: "request", 2: "reply"}[data[7]])]
    if ethertype == IPV4 and len(data) >= 20:
        ends, protocol, at = (data[12:16], data[16:20]), data[9], 20
        is_first = not struct.unpack("!H", data[6:8])[0] & 0x1FFF
    elif ethertype == IPV6 and len(data) >= 40:
        ends, protocol, at, is_first = (data[8:24], data[24:40]), data[6], 40, True
    else:
        return []
    names = [str(ipaddress.ip_address(end)) for end in ends]
    inner: list[str] = []
    if is_first and protocol in (TCP, UDP) and len(data) >= at + 4:
        ports = struct.unpack("!HH", data[at:at + 4])
        if protocol == UDP and ports[1] in TUNNELS.values() and len(data) >= at + 30:
            inner = _key_texts(data[at + 30:], struct.unpack("!H", data[at + 28:at + 30])[0])
            if inner and not inner[0].startswith("arp"):
                return inner
        names = ["[%s]:%d" % end if ":" in end[0] else "%s:%d" % end for end in zip(names, ports, strict=True)]
    return [*inner, "%s > %s %s" % (*names, PROTOCOLS.get(protocol, "ip-protocol-%d" % protocol))]
