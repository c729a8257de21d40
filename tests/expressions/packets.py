# SPDX-License-Identifier: Apache-2.0
"""Random packets, each as a kernel may hold it and as tcpdump would show it."""
import random
import struct
from dataclasses import dataclass

from support.bundles import arp, geneve, gre, icmp, ipv4, ipv6, tcp, udp, vxlan

V4 = ["10.0.0.1", "10.0.0.2", "10.0.1.7", "192.168.32.10", "192.168.32.20", "224.0.0.5", "255.255.255.255"]
V6 = ["fd00:32::10", "fd00:32::20", "fe80::1", "ff02::1", "2001:db8::7"]
PORTS = [22, 53, 80, 443, 4789, 6081, 8080, 40000, 65535]
MACS = ["020000000001", "020000000002", "ffffffffffff", "01005e000005", "333300000001"]
TAGS = [1, 5, 100, 4094, 0x6005]
_TPIDS = [0x8100, 0x8100, 0x88A8]
_IPV4, _ARP, _IPV6 = 0x0800, 0x0806, 0x86DD


@dataclass
class Packet:
    """One packet."""

    frame: bytes             # as tcpdump shows it
    memory: bytes            # as the skb has it
    linear: int              # bytes of that in the linear part
    tag: int                 # beside it: TPID and TCI
    ethertype: int
    has_mac: bool
    pulled: bool
    later: bool              # an IPv4 fragment but the first
    carried: "Packet | None"  # what a tunnel carries, as the tracer lays it out


def _transport(rng: random.Random) -> tuple[int, bytes]:
    ports = rng.choice(PORTS), rng.choice(PORTS)
    kind = rng.randrange(7)
    if kind < 2:
        return 6, tcp(*ports, seq=rng.getrandbits(32), flags=rng.getrandbits(8), payload=rng.randrange(40),
                      options=bytes(rng.randrange(0, 5) * 4))
    if kind < 4:
        return 17, udp(*ports, bytes(rng.getrandbits(8) for _ in range(rng.randrange(40))))
    if kind == 4:
        return 132, struct.pack("!HHII", *ports, rng.getrandbits(32), 0) + bytes(rng.randrange(20))
    if kind == 5:
        return rng.choice([1, 58]), icmp(rng.choice([0, 3, 8, 128, 135]), rng.randrange(3), payload=rng.randrange(30))
    return rng.choice([0, 2, 50, 51, 89, 112]), bytes(rng.getrandbits(8) for _ in range(rng.randrange(30)))


def _v4(rng: random.Random, protocol: int, payload: bytes, whole: bool) -> tuple[bytes, bool]:
    fragment = 0 if whole else rng.choice([0, 0, 0, 0, 8, 1480])
    return ipv4(rng.choice(V4), rng.choice(V4), payload, protocol=protocol, ident=rng.getrandbits(16),
                ttl=rng.choice([1, 64, 255]), fragment=fragment, more=not whole and rng.random() < 0.2,
                options=b"" if whole else bytes([1]) * (4 * rng.choice([0, 0, 0, 1, 5, 10]))), fragment > 0


def _v6(rng: random.Random, protocol: int, payload: bytes, whole: bool) -> bytes:
    for kind in [] if whole else rng.sample([0, 43, 44, 60, 51], rng.choice([0, 0, 0, 1, 2])):
        offset = rng.choice([0, 1, 185 << 3]) if kind == 44 else 0
        payload = bytes([protocol, 0]) + offset.to_bytes(2, "big") + bytes(4) + payload
        protocol = kind
    return ipv6(rng.choice(V6), rng.choice(V6), payload, protocol=protocol, ttl=rng.choice([1, 64, 255]))


def _tunnel(rng: random.Random, depth: int) -> tuple[int, bytes, Packet]:
    """Return protocol, payload and what it carries: bare IP in GRE and Geneve now and then."""
    inner = _packet(rng, depth + 1, has_mac=rng.random() < 0.7)
    if inner.ethertype not in (_IPV4, _IPV6) and not inner.has_mac:
        inner = _packet(rng, depth + 1, has_mac=True)
    bare = not inner.has_mac
    kind = rng.choice(["geneve", "gre", "geneve" if bare else "vxlan"])
    ethertype = inner.ethertype if bare else 0x6558
    if kind == "gre":
        return 47, gre(inner.memory, ethertype, key=rng.choice([None, 7])), inner
    if kind == "geneve":
        return 17, udp(50000, 6081, geneve(7, inner.memory, bytes(rng.choice([0, 8])), ethertype)), inner
    return 17, udp(50000, rng.choice([4789, 8472]), vxlan(7, inner.memory)), inner


def _network(rng: random.Random, depth: int) -> tuple[int, bytes, bool, "Packet | None"]:
    """Return ethertype, packet, whether it is a later fragment, and what it carries."""
    kind = rng.random()
    if kind < 0.06:
        return _ARP, arp(rng.choice([1, 2]), rng.choice(V4), rng.choice(V4)), False, None
    if kind < 0.12:
        other = rng.choice([0x8847, 0x8864, 0x88CC, 0x0026])  # MPLS, PPPoE, LLDP, a length: LLC
        return other, bytes(rng.getrandbits(8) for _ in range(rng.randrange(50))), False, None
    carried = None
    if depth == 0 and rng.random() < 0.25:
        protocol, payload, carried = _tunnel(rng, depth)
    else:
        protocol, payload = _transport(rng)
    if rng.random() < 0.6:
        packet, later = _v4(rng, protocol, payload, carried is not None)
        return _IPV4, packet, later, carried
    return _IPV6, _v6(rng, protocol, payload, carried is not None), False, carried


def _packet(rng: random.Random, depth: int, has_mac: bool) -> Packet:
    ethertype, packet, later, carried = _network(rng, depth)
    addresses = bytes.fromhex(rng.choice(MACS) + rng.choice(MACS)) if has_mac else bytes(12)
    tags = [rng.choice(_TPIDS) << 16 | rng.choice(TAGS) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))]
    if tags and not carried and rng.random() < 0.1:
        tags[0] = 0x9100 << 16 | 5  # which libpcap takes for a tag, and the kernel does not
    if not has_mac:
        tags = tags[:1] if depth == 0 else []
    beside = tags.pop(0) if tags and depth == 0 and (not has_mac or rng.random() < 0.5) else 0
    body = b"".join(tag.to_bytes(4, "big") for tag in tags) + ethertype.to_bytes(2, "big") + packet
    least = 24 if depth else 6 if tags else 2  # where a tunnel's header is followed by less, it is taken for none
    if rng.random() < 0.05 and not carried and len(body) > least:  # cut short
        body = body[:rng.randrange(least, len(body))]
    shown = addresses + (beside.to_bytes(4, "big") if beside else b"") + body
    memory = addresses + body if has_mac else body[2:]
    first = tags[0] >> 16 if tags else ethertype
    # a kernel that hands on a packet has its MAC header in the linear part
    linear = rng.randrange(14, len(memory)) if rng.random() < 0.15 and has_mac and len(memory) > 14 else len(memory)
    return Packet(shown, memory, linear, beside, first, has_mac, has_mac and rng.random() < 0.5, later, carried)


def make(rng: random.Random) -> Packet:
    """Return a random packet; one in eight has no MAC header."""
    return _packet(rng, 0, rng.random() < 0.875)
