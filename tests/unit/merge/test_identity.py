# SPDX-License-Identifier: Apache-2.0
"""What packets are recognised by."""
from typing import Any

import numpy as np
import pytest
from support.bundles import arp, ethernet, geneve, gre, icmp, ipv4, ipv6, tcp, udp, vxlan
from support.packets import A6, B6, PACKETS, A, B

from fleetmerge.bundle.records import CANONICAL
from fleetmerge.packet.identity import (
    IS_ARP,
    IS_FRAGMENT,
    IS_OTHER,
    IS_TCP,
    NOT_FOLLOWED,
    UNREADABLE,
    Identifier,
    Renaming,
    among,
    mix,
    network_text,
    packet_keys,
    united,
)

INNER = ipv4("10.0.0.1", "10.0.0.2", udp(1000, 2000, 30), ident=3, ttl=9)


def raw_of(*packets: bytes | tuple[bytes, dict[str, Any]]) -> np.ndarray:
    """Return records of Ethernet frames; with fields that differ from plain ones."""
    out = np.zeros(len(packets), CANONICAL)
    for number, packet in enumerate(packets):
        frame, fields = packet if isinstance(packet, tuple) else (packet, {})
        plain = {"len": len(frame), "data_offset": 64, "network_offset": 78, "packet_layer": 2, "payload_hash": 77,
                 "packet": np.frombuffer(frame[:128].ljust(128, b"\0"), "u1"), "packet_len": min(len(frame), 128)}
        for name, value in {**plain, **fields}.items():
            out[name][number] = value
    return out


def rows_of(*packets: bytes | tuple[bytes, dict[str, Any]]) -> np.ndarray:
    return Identifier({5}, {6}).rows(raw_of(*packets))


def row_of(packet: bytes, **fields: Any) -> np.ndarray:
    return rows_of((packet, fields))[0]


@pytest.mark.parametrize(("name", "kind"), [
    ("tcp", IS_TCP), ("tcp6", IS_TCP), ("udp", IS_OTHER), ("icmp echo", IS_OTHER), ("first fragment", IS_FRAGMENT),
    ("later fragment", IS_FRAGMENT), ("last fragment", IS_FRAGMENT), ("later fragment6", IS_FRAGMENT),
    ("arp request", IS_ARP), ("lldp", NOT_FOLLOWED), ("sctp", IS_OTHER), ("other protocol", IS_OTHER)])
def test_kinds(name: str, kind: int) -> None:
    assert row_of(PACKETS[name])["kind"] == kind


@pytest.mark.parametrize(("packet", "length"), [
    (PACKETS["tcp"], 14 + 20 + 10), (PACKETS["udp"], 14 + 20 + 3),
    (ethernet(ipv4(A, B, udp(1, 4789, vxlan(42, ethernet(INNER))))), 14 + 20 + 8),
    (ethernet(ipv4(A, B, udp(1, 4789, vxlan(42, ethernet(INNER))))), 14 + 20 + 8 + 8 + 14 + 10),
    (ethernet(ipv4(A, B, udp(1, 6081, geneve(42, ethernet(INNER))))), 14 + 20 + 8 + 4)])
def test_headers_that_are_not_whole(packet: bytes, length: int) -> None:
    assert row_of(packet, packet_len=length)["kind"] == UNREADABLE


def test_a_tunnel_s_port_alone() -> None:
    """With more than its header, which is 8 bytes, it may be one."""
    for port in (4789, 8472, 6081):
        assert row_of(ethernet(ipv4(A, B, udp(1, port, 9))))["kind"] == UNREADABLE
        assert row_of(ethernet(ipv4(A, B, udp(1, port, 8))))["kind"] == IS_OTHER
    assert row_of(ethernet(ipv4(A, B, udp(4789, 1, 9))))["kind"] == IS_OTHER
    assert row_of(ethernet(ipv4(A, B, tcp(1, 4789, payload=9), protocol=6)))["kind"] == IS_TCP


def test_tcp() -> None:
    row = row_of(ethernet(ipv4(A, B, tcp(1, 2, seq=7, ack=9, flags=18, payload=100), protocol=6, ident=5)))
    assert [int(row[name]) for name in ("seq", "size", "ident", "flags", "hash", "bytes", "ttl", "unit")] == [
        7, 100, 5, 18, 0, 140, 64, 0]
    assert row_of(ethernet(ipv4(A, B, tcp(1, 2, seq=7, ack=9), protocol=6)))["hash"] == 10    # acknowledged, and one


def test_joined_packets() -> None:
    segment = ethernet(ipv4(A, B, tcp(1, 2, payload=2000), protocol=6))
    assert row_of(segment, gso_size=1000)["unit"] == 1000
    assert row_of(segment, gso_size=2000)["unit"] == 0       # it is one only
    assert row_of(ethernet(ipv4(A, B, udp(1, 2, 2000))), gso_size=1000)["unit"] == 1000
    assert row_of(ethernet(ipv4(A, B, icmp(8, 0, payload=2000), protocol=1)), gso_size=1000)["unit"] == 0
    assert row_of(ethernet(ipv4(A, B, udp(1, 2, 2000), more=True)), gso_size=1000)["unit"] == 0
    assert [int(row_of(segment, gso_type=kind)["fixed"]) for kind in (0, 1, 8, 9)] == [0, 0, 1, 1]


def test_payload_hash() -> None:
    assert row_of(PACKETS["udp"])["hash"] == 77
    assert row_of(PACKETS["udp"], data_len=1)["hash"] == 0     # not all of it was there to be hashed


def test_numbers() -> None:
    assert row_of(PACKETS["icmp echo"])["seq"] == 77 << 16 | 3
    assert row_of(PACKETS["icmp unreachable"])["seq"] == 3 << 8
    assert row_of(PACKETS["icmpv6 echo"])["seq"] == 5 << 16 | 6
    assert row_of(PACKETS["later fragment"])["seq"] == 1480
    assert row_of(PACKETS["arp request"])["seq"] == 1 << 8
    assert row_of(PACKETS["udp"])["seq"] == 0
    assert row_of(ethernet(ipv4(A, B, icmp(8, 0, 77, 3), protocol=1, more=True)))["seq"] == 0


def different(*packets: bytes) -> bool:
    """Whether the packets are of flows that differ."""
    flows = rows_of(*packets)["flow"]
    return len(np.unique(flows)) == len(flows)


def test_flows_differ_by_addresses_protocol_and_ports() -> None:
    assert different(*(ethernet(packet) for packet in (
        ipv4(A, B, udp(1, 2)), ipv4(B, A, udp(1, 2)), ipv4(A, B, udp(2, 1)), ipv4(A, B, udp(1, 3)),
        ipv4(A, A, udp(1, 2)), ipv4(A, B, tcp(1, 2), protocol=6), ipv4(A, B, bytes(64), fragment=8),
        ipv4(A, B, udp(0, 0)))))
    six = [ethernet(ipv6(one, two, udp(1, 2)), 0x86DD) for one, two in (
        (A6, B6), (B6, A6), ("fd00:0:0:1::10", B6), (A6, "fd00:0:0:1::20"), ("fd00::11", B6))]
    assert different(*six)
    assert different(*(ethernet(arp(kind, A, B), 0x0806) for kind in (1, 2)))
    assert different(*(ethernet(ipv4(A, B, icmp(8, 0, ident, 1), protocol=1)) for ident in (1, 2)))


def test_flows_do_not_differ_by_what_each_packet_has() -> None:
    flows = rows_of(*(ethernet(ipv4(A, B, udp(1, 2, size), ident=size, ttl=60 + size)) for size in (1, 2, 3)))["flow"]
    assert len(np.unique(flows)) == 1
    echoes = rows_of(*(ethernet(ipv4(A, B, icmp(8, 0, 5, number), protocol=1)) for number in (1, 2)))["flow"]
    assert len(np.unique(echoes)) == 1
    groups = rows_of(ethernet(ipv4(A, B, udp(1, 2))), ethernet(ipv4(A, B, udp(3, 4))), ethernet(ipv4(B, A, udp(1, 2))))
    assert groups["group"][0] == groups["group"][1] != groups["group"][2]


def test_inside_a_tunnel() -> None:
    """Its packet is recognised as it is without one; what is around it says the network."""
    plain = row_of(ethernet(INNER))
    inside = row_of(ethernet(ipv4(A, B, udp(9, 4789, vxlan(42, ethernet(INNER))), ttl=64)))
    for name in ("flow", "group", "ident", "size", "kind", "ttl"):
        assert inside[name] == plain[name], name
    assert (plain["bytes"], inside["bytes"]) == (58, 70)    # its own headers are taken for 40 bytes
    assert inside["ttl"] == 9    # its own, not the tunnel's
    assert network_text(int(inside["network"])) == "vni 42"


@pytest.mark.parametrize(("packet", "fields", "text"), [
    (ethernet(INNER), {}, ""), (ethernet(INNER, vlan=[100]), {}, "vlan 100"),
    (ethernet(INNER), {"vlan_present": 1, "vlan_tci": 0xE064}, "vlan 100"),
    (ethernet(INNER), {"vlan_present": 0, "vlan_tci": 0xE064}, ""),
    (ethernet(INNER, vlan=[100]), {"vlan_present": 1, "vlan_tci": 7}, "vlan 7"),
    (ethernet(ipv4(A, B, udp(9, 6081, geneve(0xFFFFFF, ethernet(INNER))))), {}, "vni 16777215"),
    (ethernet(ipv4(A, B, gre(INNER, key=99), protocol=47)), {}, "gre key 99"),
    (ethernet(ipv4(A, B, gre(INNER), protocol=47)), {}, ""),
    (ethernet(ipv4(A, B, udp(9, 4789, vxlan(1, ethernet(INNER)))), vlan=[100]), {}, "vni 1")])
def test_networks(packet: bytes, fields: dict[str, int], text: str) -> None:
    assert network_text(int(row_of(packet, **fields)["network"])) == text


def test_places_and_drops() -> None:
    identifier = Identifier({5}, {6})
    frame, drop = PACKETS["udp"], {"point": 5, "reason": 9, "location": 4}
    rows = identifier.rows(raw_of((frame, {"ifindex": 2, "point": 1}), (frame, {"ifindex": 3, "point": 1}),
                                  (frame, {"ifindex": 2, "point": 1}), (frame, drop),
                                  (frame, {"point": 6, "location": 4})))
    assert rows["drop"][:3].tolist() == [0, 0, 0]
    assert sorted(rows["drop"][3:].tolist()) == [1, 2]
    again = identifier.rows(raw_of((frame, {"ifindex": 3, "point": 1}), (frame, drop),
                                   (frame, {"ifindex": 4, "point": 1})))
    assert again["place"].tolist() == [rows["place"][1], rows["place"][3], 4]
    assert again["drop"].tolist() == [0, rows["drop"][3], 0]
    tables = identifier.finish()
    assert tables.places[0, 3, 1] == rows["place"][1] and len(tables.places) == 5
    assert tables.drops[9, 4, 0] == rows["drop"][3]


def test_flows_are_remembered_once_with_their_addresses() -> None:
    identifier = Identifier(set(), set())
    for _ in range(2):
        identifier.rows(raw_of(PACKETS["udp"], PACKETS["tcp"], PACKETS["udp"], PACKETS["lldp"]))
    identifier.rows(raw_of(ethernet(ipv4(B, A, udp(53, 5000))), PACKETS["arp request"]))
    flows = identifier.finish().flows
    assert len(flows) == 4 and (np.diff(flows["flow"].astype("f8")) > 0).all()
    there, back = (flows[(flows["protocol"] == 17) & (flows["source_port"] == port)][0] for port in (5000, 53))
    assert (there["group"], there["back"]) == (back["back"], back["group"])
    assert (there["from"], there["to"]) == (back["to"], back["from"])
    asked = flows[flows["ethertype"] == 0x0806][0]
    assert (asked["from"], asked["to"]) == (there["from"], there["to"])    # ARP asks for the same addresses
    assert there["source"][:4].tolist() == [192, 168, 32, 10] and there["target_port"] == 53
    tables = identifier.tables
    tables.keep_names()
    assert tables.flows["flow"].tolist() == flows["flow"].tolist()


def test_many_flows() -> None:
    """Of one port after the other."""
    identifier = Identifier(set(), set())
    raw = np.repeat(raw_of(ethernet(ipv4(A, B, udp(1, 2)))), 9000)
    raw["packet"][:, 34], raw["packet"][:, 35] = np.divmod(np.arange(9000), 256)
    for part in np.split(raw, 3):
        identifier.rows(part)
    assert len(identifier.tables.flows) == 6000      # kept as soon as there are some thousand more
    assert len(identifier.finish().flows) == 9000


def test_keys_of_packets() -> None:
    def key(packet: bytes, renamed: Renaming | None = None, **fields: int) -> int:
        return int(packet_keys(rows_of((packet, fields)), renamed)[0])

    def segment(**fields: Any) -> bytes:
        return ethernet(ipv4(A, B, tcp(1, 2, **{"seq": 5, "payload": 10, **fields}), protocol=6, ident=4))
    assert key(segment()) == key(segment(payload=20))       # joined segments begin where the first of them does
    assert len({key(segment()), key(segment(payload=0)), key(segment(seq=6))}) == 3
    assert key(segment(payload=0, ack=1)) == key(segment(payload=0, ack=2))
    one = ethernet(ipv4(A, B, udp(1, 2, 10), ident=4))
    others = [key(ethernet(ipv4(A, B, udp(1, 2, 11), ident=4))), key(ethernet(ipv4(A, B, udp(1, 2, 10), ident=5))),
              key(one, payload_hash=1), key(ethernet(ipv4(A, B, udp(1, 3, 10), ident=4)))]
    assert len({key(one), *others}) == 5
    flow = rows_of(one)["flow"]
    translated = ethernet(ipv4(A, B, udp(1, 9, 10), ident=4))
    assert key(translated, Renaming(rows_of(translated)["flow"], flow)) == key(one)


def test_renaming() -> None:
    renamed = Renaming(np.array([3, 7], "u8"), np.array([1, 2], "u8"))
    assert renamed.rename(np.array([1, 3, 5, 7, 9], "u8")).tolist() == [1, 1, 5, 2, 9]
    nothing = Renaming(np.zeros(0, "u8"), np.zeros(0, "u8"))
    assert nothing.rename(np.array([3], "u8")).tolist() == [3] and not len(nothing) and len(renamed) == 2


def test_among() -> None:
    assert among(np.array([1, 3, 5, 9]), np.array([3, 5])).tolist() == [False, True, True, False]
    assert among(np.array([1]), np.zeros(0, "i8")).tolist() == [False]
    assert len(united([])) == 0


def test_mixing_does_not_commute() -> None:
    one, two = np.array([1], "u8"), np.array([2], "u8")
    assert mix(one, two)[0] != mix(two, one)[0]
    many = mix(np.repeat(np.arange(300, dtype="u8"), 300), np.tile(np.arange(300, dtype="u8"), 300))
    assert len(np.unique(many)) == 90_000
    assert len(np.unique(many >> np.uint64(32))) > 89_990 and len(np.unique(many & np.uint64(0xFFFFFFFF))) > 89_990
