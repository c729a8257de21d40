# SPDX-License-Identifier: Apache-2.0
"""The packets of the cases: as support.bundles makes them, and a few that are needed again and again."""
import struct

from support.bundles import arp, ethernet, icmp, ipv4, ipv6, tcp, udp, vxlan

__all__ = ["A", "B", "arp", "datagram", "echo", "ethernet", "framed", "icmp", "ipv4", "ipv6", "in_vxlan", "length",
           "segment", "tagged", "tcp", "udp", "vxlan"]

A, B = "192.168.32.10", "192.168.32.20"   # the VMs behind hv-a's and hv-b's vnet0


def datagram(number: int, source: str = A, target: str = B, *, ident: int | None = None, size: int = 64,
             port: int = 5001, ttl: int = 64) -> bytes:
    """Return a UDP datagram; its IP id is its number (from 1) if none is given."""
    return ethernet(ipv4(source, target, udp(40000, port, size), ttl=ttl,
                         ident=number % 65535 + 1 if ident is None else ident))


def segment(seq: int, size: int, ident: int, source: str = A, target: str = B, *, ports: tuple[int, int] = (40000, 443),
            flags: int = 16, ack: int = 0, stamp: int | None = None, window: int = 512, ttl: int = 64) -> bytes:
    """Return a TCP segment of IPv4 that says it has `size` bytes of payload, of which only the headers are given.

    flags: FIN 1, SYN 2, ACK 16; stamp: its TCP timestamp.
    """
    options = b"" if stamp is None else struct.pack("!BBBBII", 1, 1, 8, 10, stamp, 0)
    return ethernet(ipv4(source, target, tcp(*ports, seq=seq, ack=ack, flags=flags, options=options, window=window),
                         protocol=6, ident=ident, length=40 + len(options) + size, ttl=ttl))


def length(frame: bytes) -> int:
    """Return the length of a frame of IPv4 as its header says it: what is given of it may be its beginning only."""
    return int(14 + struct.unpack_from("!H", frame, 16)[0])


def in_vxlan(frame: bytes, vni: int, source: str, target: str, ident: int = 0) -> bytes:
    """Return a frame in a VXLAN packet."""
    return ethernet(ipv4(source, target, udp(55555, 4789, vxlan(vni, frame)), ident=ident))


def echo(number: int, source: str, target: str, *, ident: int, asker: int) -> bytes:
    """Return an ICMP echo request; ident: of IP; asker: of ICMP."""
    return ethernet(ipv4(source, target, icmp(8, 0, asker, number), protocol=1, ident=ident))


def framed(frame: bytes, target: int, source: int) -> bytes:
    """Return a frame with other MAC addresses, each of a VM by its number."""
    return b"".join(bytes([0x52, 0x54, 0, 0, 0, number]) for number in (target, source)) + frame[12:]


def tagged(frame: bytes, *tags: int) -> bytes:
    """Put VLAN tags into a frame, outermost first."""
    return frame[:12] + b"".join(struct.pack("!HH", 0x8100, tag) for tag in tags) + frame[12:]
