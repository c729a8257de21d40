# SPDX-License-Identifier: Apache-2.0
"""Whether a match that Open vSwitch prints fits a packet."""
from dataclasses import replace

import pytest

from fleetmerge.findings.causes.drop import Packet
from fleetmerge.findings.causes.flowmatch import fits

TCP = Packet(1, 4, "tcp", "10.1.2.3", "192.168.32.20", 40000, 5001, 2, ttl=64, tos=0x2E, mark=7, vlan=100,
             mac_src="52:54:00:32:00:01", mac_dst="52:54:00:32:00:02")
ICMP6 = Packet(1, 6, "icmpv6", "fd00::1", "fd00::2", icmp_type=135, icmp_code=0, mark=0)
ARP = Packet(1, 0, "arp", "10.1.2.3", "10.1.2.4", mac_dst="ff:ff:ff:ff:ff:ff")


@pytest.mark.parametrize(("match", "packet", "answer"), [
    ("", TCP, True), ("recirc_id=0,eth,tcp,in_port=1,nw_frag=no,tp_dst=5001", TCP, True), ("udp", TCP, False),
    ("tcp6", TCP, False), ("ip", TCP, True), ("arp", TCP, False), ("tp_dst=5002", TCP, False),
    ("tp_dst=0x1000/0xf000", TCP, True), ("tp_dst=0x0/0xf000", TCP, False), ("tcp_src=40000", TCP, True),
    ("nw_src=10.0.0.0/8", TCP, True), ("nw_src=10.1.2.3", TCP, True), ("nw_src=10.1.2.0/255.255.255.0", TCP, True),
    ("nw_dst=10.0.0.0/8", TCP, False), ("nw_proto=6", TCP, True), ("nw_tos=44", TCP, True), ("nw_ecn=2", TCP, True),
    ("nw_ttl=63", TCP, False), ("nw_ttl=63", replace(TCP, ttl=None), None), ("dl_vlan=100,dl_vlan_pcp=0", TCP, True),
    ("dl_vlan=200", TCP, False), ("dl_vlan=100", replace(TCP, vlan=None), False),
    ("vlan_tci=0x0000", TCP, False), ("vlan_tci=0x0000/0x1fff", replace(TCP, vlan=None), True),
    ("vlan_tci=0x1064/0x1fff", TCP, True), ("vlan_tci=0x1000/0x1000", TCP, True),
    ("dl_src=52:54:00:32:00:01", TCP, True), ("dl_dst=01:00:00:00:00:00/01:00:00:00:00:00", TCP, False),
    ("dl_dst=01:00:00:00:00:00/01:00:00:00:00:00", ARP, True), ("dl_type=0x0800", TCP, True),
    ("dl_type=0x0806", ARP, True),
    ("pkt_mark=0x7", TCP, True), ("pkt_mark=0/0x8", TCP, True), ("nw_frag=later", TCP, False),
    ("nw_frag=first", TCP, False), ("nw_frag=no", replace(TCP, first=True), False),
    ("nw_frag=first", replace(TCP, first=True), True), ("nw_frag=yes", replace(TCP, first=True), True),
    ("nw_frag=not_later", replace(TCP, first=True), True), ("dl_vlan=100/0x64", TCP, True),
    ("dl_vlan=100/0x64", replace(TCP, vlan=None), False),
    ("nw_frag=later", replace(TCP, fragment=True), True), ("nw_frag=no", replace(TCP, fragment=True), False),
    ("icmp6,icmp_type=135,icmp_code=0", ICMP6, True), ("ipv6_dst=fd00::/64", ICMP6, True),
    ("nw_dst=10.0.0.1", ARP, False),
    ("arp,arp_spa=10.1.2.3,arp_tpa=10.1.2.0/24", ARP, True), ("arp_tpa=10.1.2.3", ARP, False),
    ("ct_state=+new+trk", TCP, None), ("reg0=0x1,tp_dst=5002", TCP, False), ("nw_src=300.0.0.1", TCP, None),
    ("tp_dst=many", TCP, None), ("nw_src=fd00::1/120", TCP, False)])
def test_each_field(match: str, packet: Packet, answer: bool | None) -> None:
    assert fits(match, packet) is answer
