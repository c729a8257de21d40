# SPDX-License-Identifier: Apache-2.0
"""Packets of every kind that the tracers can meet, for the tests of whoever parses them."""
import struct

from .bundles import arp, ethernet, geneve, gre, icmp, ipv4, ipv6, tcp, udp, vxlan

A, B, A6, B6 = "192.168.32.10", "192.168.32.20", "fd00::10", "fd00::20"
HOP_BY_HOP = struct.pack("!BB6x", 17, 0)
FRAGMENT6 = struct.pack("!BBHI", 17, 0, 1, 0xABCD1234)
LATER6 = struct.pack("!BBHI", 17, 0, 1480 | 1, 0xABCD1234)
PACKETS = {
    "tcp": ethernet(ipv4(A, B, tcp(40112, 443, seq=7, ack=9, flags=2), protocol=6, ident=4711)),
    "tcp all flags": ethernet(ipv4(A, B, tcp(1, 65535, seq=0xFFFFFFFF, ack=0xFFFFFFFE, flags=255), protocol=6)),
    "tcp no flags": ethernet(ipv4(A, B, tcp(1, 2, flags=0), protocol=6)),
    "ip options": ethernet(ipv4(A, B, tcp(40112, 443, seq=7), protocol=6, options=bytes(8))),
    "udp": ethernet(ipv4(A, B, udp(5000, 53, 20))),
    "sctp": ethernet(ipv4(A, B, struct.pack("!HHII", 7, 8, 1, 0), protocol=132)),
    "icmp echo": ethernet(ipv4(A, B, icmp(8, 0, 77, 3), protocol=1)),
    "icmp reply": ethernet(ipv4(A, B, icmp(0, 0, 77, 65535), protocol=1)),
    "icmp unreachable": ethernet(ipv4(A, B, icmp(3, 4), protocol=1)),
    "icmpv6 echo": ethernet(ipv6(A6, B6, icmp(128, 0, 5, 6), protocol=58), 0x86DD),
    "icmpv6 type 8 is no echo": ethernet(ipv6(A6, B6, icmp(8, 0, 5, 6), protocol=58), 0x86DD),
    "other protocol": ethernet(ipv4(A, B, bytes(8), protocol=112)),
    "vlan": ethernet(ipv4(A, B, udp(1, 2)), vlan=[100]),
    "vlan priority": ethernet(ipv4(A, B, udp(1, 2)), vlan=[0xE064]),
    "two vlans": ethernet(ipv4(A, B, udp(1, 2)), vlan=[100, 200]),
    "first fragment": ethernet(ipv4(A, B, udp(1, 2, 64), ident=99, more=True)),
    "later fragment": ethernet(ipv4(A, B, bytes(64), ident=99, fragment=1480, more=True)),
    "last fragment": ethernet(ipv4(A, B, bytes(64), ident=99, fragment=2960)),
    "tcp6": ethernet(ipv6(A6, B6, tcp(40112, 443, seq=7, ack=9, flags=18), protocol=6), 0x86DD),
    "hop by hop": ethernet(ipv6(A6, B6, HOP_BY_HOP + udp(1, 2), protocol=0), 0x86DD),
    "first fragment6": ethernet(ipv6(A6, B6, FRAGMENT6 + udp(1, 2), protocol=44), 0x86DD),
    "later fragment6": ethernet(ipv6(A6, B6, LATER6 + bytes(16), protocol=44), 0x86DD),
    "arp request": ethernet(arp(1, A, B), 0x0806),
    "arp reply": ethernet(arp(2, A, B), 0x0806),
    "arp other": ethernet(arp(8, A, B), 0x0806),
    "lldp": ethernet(bytes(40), 0x88CC),
}

INNER = ipv4("10.0.0.1", "10.0.0.2", tcp(1000, 2000, seq=5), protocol=6, ident=3)
TUNNELS = {
    "vxlan": (ethernet(ipv4(A, B, udp(12345, 4789, vxlan(42, ethernet(INNER))))), 42),
    "vxlan, the kernel's own port": (ethernet(ipv4(A, B, udp(12345, 8472, vxlan(44, ethernet(INNER))))), 44),
    "gre in vxlan": (ethernet(ipv4(A, B, udp(1, 4789, vxlan(45, ethernet(
        ipv4("10.0.0.1", "10.0.0.2", gre(ipv4(B, A, udp(1, 2))), protocol=47, ident=3)))))), 45),
    "geneve": (ethernet(ipv4(A, B, udp(12345, 6081, geneve(43, ethernet(INNER))))), 43),
    "geneve options": (ethernet(ipv4(A, B, udp(12345, 6081, geneve(43, ethernet(INNER), bytes(8))))), 43),
    "geneve ip": (ethernet(ipv4(A, B, udp(12345, 6081, geneve(7, INNER, ethertype=0x0800)))), 7),
    "gre": (ethernet(ipv4(A, B, gre(INNER), protocol=47)), 0),
    "gre key": (ethernet(ipv4(A, B, gre(INNER, key=99), protocol=47)), 99),
    "gretap": (ethernet(ipv4(A, B, gre(ethernet(INNER), 0x6558), protocol=47)), 0),
    "ipip": (ethernet(ipv4(A, B, INNER, protocol=4)), 0),
    "vxlan over ipv6": (ethernet(ipv6(A6, B6, udp(1, 4789, vxlan(1, ethernet(INNER)))), 0x86DD), 1),
}
