# SPDX-License-Identifier: Apache-2.0
"""Frames from `a` to `b`, with right checksums unless something is asked to be wrong."""
import ipaddress
import struct

from faults.frames import checksum
from support import bundles

from .pair import B4, B6, MAC_A, MAC_B


def mac(text: str) -> bytes:
    """Return a MAC address's bytes."""
    return bytes.fromhex(text.replace(":", ""))


def frame(payload: bytes, ethertype: int = 0x0800, *, to: str = MAC_B, source: str = MAC_A) -> bytes:
    """Return an Ethernet frame."""
    return mac(to) + mac(source) + struct.pack("!H", ethertype) + payload


def summed(segment: bytes, at: int, source: str, target: str, protocol: int) -> bytes:
    """Return a segment with its checksum, which has its place `at`, over the pseudo header, too."""
    ends = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    whole = bytearray(segment)
    value = checksum(ends + struct.pack("!II", len(segment), protocol) + segment) or 0xFFFF
    whole[at:at + 2] = value.to_bytes(2, "big")
    return bytes(whole)


def ip(source: str, payload: bytes, protocol: int = 17, *, target: str = B4, tos: int = 0, wrong: int = 0,
       **options: int) -> bytes:
    """Return an IPv4 packet; wrong: added to its header's checksum."""
    packet = bytearray(bundles.ipv4(source, target, payload, protocol=protocol, **options))
    packet[1] = tos
    packet[10:12] = (checksum(bytes(packet[:20])) ^ wrong).to_bytes(2, "big")
    return bytes(packet)


def udp(source: str, port: int, payload: bytes = b"x" * 32, *, target: str = B4, sport: int = 4000,
        **options: int) -> bytes:
    """Return a UDP datagram in an IPv4 packet, without checksum."""
    return ip(source, bundles.udp(sport, port, payload), target=target, **options)


def ip6(source: str, payload: bytes, protocol: int = 17, *, target: str = B6, ttl: int = 64) -> bytes:
    """Return an IPv6 packet in a frame."""
    return frame(bundles.ipv6(source, target, payload, protocol=protocol, ttl=ttl), 0x86DD)


def icmp6(source: str, kind: int, code: int, rest: bytes, *, target: str = B6, ttl: int = 255) -> bytes:
    """Return an ICMPv6 message in a frame; rest: what follows the checksum."""
    message = summed(struct.pack("!BBH", kind, code, 0) + rest, 2, source, target, 58)
    return ip6(source, message, 58, target=target, ttl=ttl)
