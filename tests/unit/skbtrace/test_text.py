# SPDX-License-Identifier: Apache-2.0
"""Lines and objects that are made of records."""
import io
import json

import pytest
from support.bundles import arp, ethernet, icmp, ipv4, ipv6, tcp, udp, vxlan

from skbtrace.capture import record
from skbtrace.show import headers, text

A4, B4, A6, B6 = "192.168.32.10", "192.168.32.20", "fd00:32::10", "fd00:32::20"
PACKETS = [
    (ethernet(ipv4(A4, B4, tcp(40112, 443, seq=7, flags=2), protocol=6, ident=4711)),
     "192.168.32.10:40112 > 192.168.32.20:443 tcp flags=S seq=7 ack=0 id=4711 len=74"),
    (ethernet(ipv4(A4, B4, icmp(8, 0, 7, 1), protocol=1, ident=5)),
     "192.168.32.10 > 192.168.32.20 icmp type=8 code=0 icmp_id=7 icmp_seq=1 id=5 len=74"),
    (ethernet(ipv4(A4, B4, icmp(3, 4), protocol=1)), "192.168.32.10 > 192.168.32.20 icmp type=3 code=4 id=0 len=74"),
    (ethernet(ipv6(A6, B6, udp(53, 999)), 0x86DD), "[fd00:32::10]:53 > [fd00:32::20]:999 udp len=74"),
    (ethernet(arp(1, A4, B4), 0x0806), "arp 192.168.32.10 > 192.168.32.20 request len=74"),
    (ethernet(bytes(40), 0x88CC), "ethertype 0x88cc len=74"),
    (ethernet(ipv4(A4, B4, udp(1, 2), ident=9), vlan=[100]),
     "192.168.32.10:1 > 192.168.32.20:2 udp id=9 len=74 vlan=100"),
    (ethernet(ipv4(A4, B4, udp(1, 2), ident=9, fragment=1480)),
     "192.168.32.10 > 192.168.32.20 udp id=9 fragment=1480 len=74"),
    (ethernet(ipv4(A4, B4, udp(1, 2), ident=9, more=True)),
     "192.168.32.10:1 > 192.168.32.20:2 udp id=9 fragment=0+ len=74"),
    (ethernet(ipv4(A4, B4, bytes(8), protocol=50, ident=1)),
     "192.168.32.10 > 192.168.32.20 ip-protocol-50 id=1 len=74"),
    (ethernet(ipv4("10.78.0.1", "10.78.0.2", udp(5, 4789, vxlan(100, ethernet(
        ipv4(A4, B4, icmp(8, 0, 7, 1), protocol=1, ident=5), vlan=[7]))))),
     "10.78.0.1:5 > 10.78.0.2:4789 udp id=0 len=74 "
     "vxlan=100 [192.168.32.10 > 192.168.32.20 icmp type=8 code=0 icmp_id=7 icmp_seq=1 id=5 vlan=7]"),
    (ethernet(ipv4(A4, B4, b""))[:30], "ethertype 0x0800 len=74"),
    (ethernet(ipv4(A4, B4, b"\1\2", protocol=6)), "192.168.32.10 > 192.168.32.20 tcp id=0 len=74"),
    (ethernet(ipv6(A6, B6, b"\0", protocol=0), 0x86DD), "fd00:32::10 > fd00:32::20 ip-protocol-0 len=74"),
]


class Names:
    """Devices and symbols of the tests."""

    def name(self, *numbers: int) -> str:
        return "vnet0" if len(numbers) == 2 else "function_%x+0x1" % numbers[0]

    def stack(self, number: int) -> list[str]:
        return ["inner+0x1", "outer+0x2"]


def facts() -> text.Facts:
    return text.Facts("hv-b", {0: "dev.rx", 1: "skb.drop"}, Names(), {7: "hv-b"}, {77: "FULL_RING"}, Names(),
                      1_795_346_871 * 10**9)


def make(packet: bytes, **fields: object) -> record.Record:
    """A record of a packet; what is not given is 0."""
    blank = dict.fromkeys(record.Record._fields, 0)
    blank.update(comm=b"ksoftirqd/0\0", packet=packet.ljust(128, b"\0"), packet_len=len(packet), packet_layer=2,
                 netns=7, ifindex=3, pid=12, stack_id=-1, users=1, len=74, time_ns=123_456_789)
    blank.update(fields)
    return record.Record(**blank)


@pytest.mark.parametrize(("packet", "words"), PACKETS, ids=[words for _packet, words in PACKETS])
def test_packets_as_words(packet: bytes, words: str) -> None:
    assert text.format_packet(headers.decode(packet, 2, 0x0800), 74) == words


def test_a_packet_without_ethernet_header_goes_by_the_skb_s_protocol() -> None:
    assert headers.decode(ipv6(A6, B6, udp(1, 2)), 3, 0x86DD)["dst"] == B6


def printed(records: list, as_json: bool = False, metadata: bool = False) -> list[str]:
    stream = io.StringIO()
    printer = text.Printer(stream, facts(), as_json, metadata)
    for one in records:
        printer.write(one)
    return stream.getvalue().splitlines()


def test_a_drop_with_its_stack() -> None:
    drop = make(PACKETS[0][0], point=1, reason=77, location=0xAB, stack_id=4, skb=0x10, head=0x20)
    assert printed([drop]) == [
        "2026-11-22T11:27:51.123456Z hv-b skb.drop vnet0 netns=hv-b ksoftirqd/0[12] cpu=0 " + PACKETS[0][1] +
        " reason=FULL_RING at=function_ab+0x1" + MACS, "    inner+0x1", "    outer+0x2"]


MACS = " mac=02:00:00:00:00:01 > 02:00:00:00:00:02"


def test_metadata_and_what_changed_since_the_point_before() -> None:
    first = make(PACKETS[1][0], skb=0x10, head=0x20, mark=5)
    second = make(PACKETS[1][0], skb=0x10, head=0x20, mark=6, gso_size=1448, ifindex=4, time_ns=123_469_089)
    other = make(PACKETS[1][0], skb=0x30, head=0x20, mark=9)
    lines = printed([first, other, second], metadata=True)
    assert lines[0].endswith(" mark=5 skb=0x10 head=0x20" + MACS)
    assert lines[1].endswith(" mark=9 skb=0x30 head=0x20" + MACS)
    assert lines[2].endswith(MACS + " +12.3us changed: mark 5->6, gso_size 0->1448")


def test_what_changed_is_told_once() -> None:
    """At the next point only what changed since the one before, and nothing where nothing did."""
    marks = [5, 6, 6, 7]
    records = [make(PACKETS[1][0], skb=0x10, head=0x20, mark=mark, ifindex=3 + number) for number, mark
               in enumerate(marks)]
    lines = printed(records, metadata=True)
    assert [line.partition(" changed: ")[2] for line in lines] == ["", "mark 5->6", "", "mark 6->7"]
    shown = [json.loads(line).get("changed") for line in printed(records, metadata=True, as_json=True)]
    assert shown == [None, ["mark 5->6"], None, ["mark 6->7"]]


def test_how_long_a_packet_took_is_never_told_of_two() -> None:
    first = make(PACKETS[1][0], skb=0x10, head=0x20, time_ns=1_000_000)
    at_the_next = {"skb": 0x10, "head": 0x20, "ifindex": 4}
    again = make(PACKETS[1][0], skb=0x10, head=0x20, time_ns=3_000_000)  # where it was before: the skb was used again
    stranger = make(PACKETS[2][0], time_ns=4_000_000, **at_the_next)
    earlier = make(PACKETS[1][0], time_ns=999_000, **at_the_next)
    for other in (again, stranger, earlier):
        assert printed([first, other])[1].endswith(MACS)
        assert "elapsed_ns" not in json.loads(printed([first, other], as_json=True)[1])
    assert printed([first, make(PACKETS[1][0], time_ns=1_001_500, **at_the_next)])[1].endswith(MACS + " +1.5us")
    next_one = make(PACKETS[1][0], time_ns=1_001_500, **at_the_next)
    assert json.loads(printed([first, next_one], as_json=True)[1])["elapsed_ns"] == 1500


def test_a_packet_that_is_followed_says_so() -> None:
    """And it is the same one, though both of its ends are other ones now: the kernel's side has made sure."""
    first = make(ethernet(ipv4(A4, B4, udp(1000, 53, 10), ident=7)), skb=0x10, head=0x20)
    translated = ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(1, 2, 10), ident=7))
    matching, followed = (make(translated, skb=0x10, head=0x20, ifindex=4, followed=mark) for mark in (0, 1))
    assert printed([first, followed])[1].endswith(" len=74 followed" + MACS + " +0.0us")
    assert printed([first, matching])[1].endswith(" len=74" + MACS)
    assert json.loads(printed([followed], as_json=True)[0])["followed"] is True
    assert "followed" not in json.loads(printed([matching], as_json=True)[0])


def changed(packet: bytes, **fields: object) -> bool:
    """Whether a record after this one, at the next device, is taken for the same packet's."""
    first = make(ethernet(ipv4(A4, B4, udp(1000, 53, 10), ident=7)), skb=0x10, head=0x20, mark=5, payload_hash=11)
    second = make(packet, **{"skb": 0x10, "head": 0x20, "mark": 6, "payload_hash": 11, "ifindex": 4, **fields})
    return "changed" in printed([first, second], metadata=True)[1]


def test_the_same_packet_is_compared_whatever_its_way_may_change() -> None:
    same = ipv4(A4, B4, udp(1000, 53, 10), ident=7)
    assert changed(ethernet(same))
    assert changed(ethernet(ipv4("10.0.0.1", B4, udp(4000, 53, 10), ident=7, ttl=63)))  # source translated
    assert changed(ethernet(ipv4(A4, "10.0.0.2", udp(1000, 5353, 10), ident=7)))        # target translated
    assert changed(ethernet(same, vlan=[5]), payload_hash=0)
    assert changed(ethernet(ipv4("10.0.0.1", "10.0.0.2", udp(5, 4789, vxlan(7, ethernet(same))), ident=99)))


@pytest.mark.parametrize("other", [
    {"packet": ipv4(A4, B4, udp(1000, 53, 10), ident=8)}, {"packet": ipv4(A4, B4, tcp(1000, 53), protocol=6, ident=7)},
    {"packet": ipv4("10.0.0.1", "10.0.0.2", udp(1000, 53, 10), ident=7)}, {"head": 0x21}, {"skb": 0x11},
    {"payload_hash": 12}, {"ifindex": 3}, {"packet": ipv4(B4, A4, udp(53, 1000, 10), ident=7)}], ids=str)
def test_two_packets_are_never_compared(other: dict) -> None:
    packet = other.pop("packet", ipv4(A4, B4, udp(1000, 53, 10), ident=7))
    assert not changed(ethernet(packet), **other)


def test_an_address_that_was_freed_is_a_new_packet() -> None:
    freed = make(PACKETS[1][0], skb=0x10, point=1, mark=5)
    assert "changed" not in printed([freed, make(PACKETS[1][0], skb=0x10, mark=6)], metadata=True)[1]


def test_an_unknown_reason_is_a_bare_number() -> None:
    assert " reason=99 " in printed([make(PACKETS[0][0], point=1, reason=99, location=1)])[0]


def test_json_is_one_object_a_line() -> None:
    (line,) = printed([make(PACKETS[0][0], vlan_present=1, vlan_tci=0x2064)], as_json=True)
    shown = json.loads(line)
    assert (shown["host"], shown["device"], shown["process"], shown["packet"]["dst_port"]) == (
        "hv-b", "vnet0", "ksoftirqd/0", 443)
    assert shown["packet"]["vlan"] == 100
