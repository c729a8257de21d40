# SPDX-License-Identifier: Apache-2.0
"""A packet's headers as Open vSwitch writes a flow. Each of these texts was taken by ofproto/trace of Open vSwitch 3.1.
"""
import struct

import pytest
from support.bundles import arp, ethernet, icmp, ipv4, ipv6, tcp, udp

from skbtrace.host import openflow

MACS = "dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02,"
ENDS = "nw_src=10.0.0.1,nw_dst=10.0.0.2,"
PLAIN = "nw_tos=0,nw_ecn=0,nw_ttl=64"
ENDS6 = "ipv6_src=fd00::1,ipv6_dst=fd00::2,"
PLAIN6 = PLAIN + ",ipv6_label=0x0"
NEIGHBOUR = struct.pack("!BBHI16s", 135, 0, 0, 0, bytes.fromhex("fe80") + bytes(13) + b"\7")


def of(payload: bytes, **more: object) -> bytes:
    return ethernet(ipv4("10.0.0.1", "10.0.0.2", payload, **more))


def of6(payload: bytes, protocol: int) -> bytes:
    return ethernet(ipv6("fd00::1", "fd00::2", payload, protocol=protocol), 0x86DD)


@pytest.mark.parametrize(("frame", "text"), [
    (of(tcp(40000, 443, flags=2), protocol=6), f"tcp,{ENDS}{PLAIN},tcp_src=40000,tcp_dst=443,tcp_flags=0x002"),
    (of(udp(40000, 53)), f"udp,{ENDS}{PLAIN},udp_src=40000,udp_dst=53"),
    (of(udp(5, 6), protocol=132), f"sctp,{ENDS}{PLAIN},sctp_src=5,sctp_dst=6"),
    (of(icmp(8, 0), protocol=1), f"icmp,{ENDS}{PLAIN},icmp_type=8,icmp_code=0"),
    (of(b"", protocol=47), f"ip,{ENDS}nw_proto=47,{PLAIN}"),
    (of(udp(5, 6), more=True), f"udp,{ENDS}{PLAIN},nw_frag=first,udp_src=5,udp_dst=6"),
    (of(b"abcd", fragment=1480), f"ip,{ENDS}nw_proto=17,{PLAIN},nw_frag=later"),
    (of6(tcp(40000, 443), 6), f"tcp6,{ENDS6}{PLAIN6},tcp_src=40000,tcp_dst=443,tcp_flags=0x010"),
    (of6(bytes([17, 0]) + bytes(6) + udp(5, 6), 0), f"udp6,{ENDS6}{PLAIN6},udp_src=5,udp_dst=6"),
    (of6(struct.pack("!BBHI", 17, 0, 1, 7) + udp(5, 6), 44),
     f"udp6,{ENDS6}{PLAIN6},nw_frag=first,udp_src=5,udp_dst=6"),
    (of6(struct.pack("!BBHI", 17, 0, 1480, 7), 44), f"ipv6,{ENDS6}nw_proto=17,{PLAIN6},nw_frag=later"),
    (of6(NEIGHBOUR, 58), f"icmp6,{ENDS6}{PLAIN6},icmpv6_type=135,icmpv6_code=0,nd_target=fe80::7"),
    (of6(b"", 59), f"ipv6,{ENDS6}nw_proto=59,{PLAIN6}"),
    (ethernet(arp(1, "10.0.0.1", "10.0.0.2"), 0x0806),
     "arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.2,arp_sha=00:00:00:00:00:00,arp_tha=00:00:00:00:00:00"),
    (ethernet(b"\0" * 40, 0x88CC), "dl_type=0x88cc")])
def test_each_protocol(frame: bytes, text: str) -> None:
    assert openflow.text(openflow.fields(frame, None)) == MACS + text


def test_a_tag_in_the_frame_and_one_that_was_taken_out_of_it() -> None:
    packet = ipv4("10.0.0.1", "10.0.0.2", udp(5, 6))
    tagged = f"{MACS}dl_vlan=100,dl_vlan_pcp=5,udp,{ENDS}{PLAIN},udp_src=5,udp_dst=6"
    assert openflow.text(openflow.fields(ethernet(packet, vlan=[0xA064]), None)) == tagged
    assert openflow.text(openflow.fields(ethernet(packet), 0xA064)) == tagged
    assert openflow.fields(ethernet(packet, vlan=[7]), 0xA064) == []    # two tags: not to be told here


@pytest.mark.parametrize("size", [0, 13, 30, 36])
def test_headers_that_end_early_are_not_guessed(size: int) -> None:
    assert openflow.fields(of(udp(5, 6))[:size], None) == []


def test_clients_with_ports_of_their_own_are_one_flow() -> None:
    one, two, other = (openflow.flow_of(openflow.fields(of(tcp(*ports, flags=flags), protocol=6, ttl=ttl), None))
                       for ports, flags, ttl in (((40000, 443), 2, 64), ((51234, 443), 16, 63), ((40000, 80), 2, 64)))
    assert one == two != other
