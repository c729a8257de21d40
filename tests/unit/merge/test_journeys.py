# SPDX-License-Identifier: Apache-2.0
"""One packet over points and hosts: recognised, whatever changes on its way."""
import struct
from typing import Any

import duckdb
import numpy as np
import pytest
from support.bundles import Bundle, ethernet, icmp, ipv4, ipv6, tcp, udp
from support.fleet import ETH0, VNET0, A, B, Fleet, flow, losses, merged, segment, talking, udp_packet

WIRE = [{"host": "hv-a", "device": "eth0", "point": "dev.tx"}, {"host": "hv-b", "device": "eth0", "point": "dev.rx"}]


def test_a_packet_has_one_number_in_the_table(tmp_path: Any) -> None:
    """Also over address translation, and segments that were joined: by their beginning."""
    fleet = talking()
    for number in range(20):
        second, skb = 1 + 0.01 * number, {"skb": 0xFFFF888300000000 + 256 * number}
        fleet.a.event(second, "dev.rx", VNET0, udp_packet(number), **skb)
        fleet.a.event(second + 8e-6, "dev.tx", ETH0, udp_packet(number, "203.0.113.7", B), **skb)
        fleet.into(fleet.b, second + 60e-6, udp_packet(number, "203.0.113.7", B))
    run = fleet.write(tmp_path)
    merged(run)
    found = duckdb.sql("""SELECT count(*), list(device ORDER BY time) FROM '%s' WHERE dst = '192.168.32.20'
        GROUP BY packet""" % (run / "events.parquet")).fetchall()
    assert found == [(4, ["vnet0", "eth0", "eth0", "vnet0"])] * 20


def test_identical_packets_are_matched_by_order(tmp_path: Any) -> None:
    """IP id 0 and one payload: how many are missing is certain."""
    fleet = talking()
    for number in range(400):
        fleet.send(1 + 0.01 * number, udp_packet(number, ident=0), lose=number in (50, 200, 201))
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 3, WIRE)]
    assert (flow(summary)["packets"], flow(summary)["ambiguous"]) == (400, 0)
    took = segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")["latency_us"]
    assert took["max"] < 200


def test_identical_packets_that_overtake_each_other_are_ambiguous(tmp_path: Any) -> None:
    """All are sent before the first arrives: nobody can tell which are missing, but how many."""
    fleet = talking()
    fleet.send(4, udp_packet(11, ident=0))
    for number in range(10):
        fleet.out(fleet.a, 5 + 1e-6 * number, udp_packet(number, ident=0))
    for number in range(8):
        fleet.into(fleet.b, 5.001 + 1e-6 * number, udp_packet(number, ident=0))
    fleet.send(6, udp_packet(10, ident=0))
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 2, WIRE)]   # which of them nobody knows, but how many
    assert flow(summary)["ambiguous"] == 10


def test_duplicates_and_reordering(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(300):
        fleet.send(1 + 0.001 * number, udp_packet(number), twice=number % 10 == 0,
                   delay=0.0015 if number % 50 == 7 else 0.0)
    summary = fleet.merge(tmp_path)
    assert summary["losses"] == []
    wire = segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")
    assert (wire["duplicated"], wire["reordered"], wire["packets"]) == (30, 6, 500 - 100)
    assert flow(summary)["arrived"] == 300


def segmented(number: int, size: int, **options: Any) -> bytes:
    """Return the headers of a TCP packet of `size` payload bytes."""
    return ethernet(ipv4(A, B, tcp(40000, 443, seq=number, flags=16), protocol=6, length=40 + size, **options))


def test_segments_are_matched_over_gso_and_gro(tmp_path: Any) -> None:
    """Sent as packets of 10 segments, on the wire single, joined to packets of 4 at the receiver; two are lost."""
    fleet = talking()
    for burst in range(30):
        first = burst * 10
        second = 1 + 0.01 * burst
        large = segmented(first * 1000 + 1, 10_000, ident=first + 1)
        fleet.out(fleet.a, second, large, length=14 + 40 + 10_000, gso_size=1000, gso_segs=10, gso_type=1)
        arrived = [number for number in range(first, first + 10) if number not in (55, 137)]
        runs = [[arrived[0]]]
        for number in arrived[1:]:
            if number == runs[-1][-1] + 1 and len(runs[-1]) < 4:
                runs[-1].append(number)
            else:
                runs.append([number])
        for run in runs:
            size = 1000 * len(run)
            joined = {"gso_size": 1000, "gso_segs": len(run), "gso_type": 1} if len(run) > 1 else {}
            fleet.into(fleet.b, second + 60e-6, segmented(run[0] * 1000 + 1, size, ident=run[0] + 1),
                       length=14 + 40 + size, **joined)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 2, WIRE)]
    assert (flow(summary, "> 192.168.32.20:443")["packets"], flow(summary, "443")["arrived"]) == (300, 298)
    assert summary["losses"][0]["bytes"] == 2000
    assert segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")["missing_bytes"] == 2000


@pytest.mark.parametrize("six", [False, True])
def test_retransmissions_are_counted_and_are_no_duplicates(tmp_path: Any, six: bool) -> None:
    def packet(number: int, ident: int) -> bytes:
        content = tcp(40000, 443, seq=0xFFFFFF00 + number * 100, flags=16, payload=100)
        if six:
            return ethernet(ipv6("fd00::1", "fd00::2", content, protocol=6), 0x86DD)
        return ethernet(ipv4(A, B, content, protocol=6, ident=ident))
    fleet = talking()
    ident = 1
    for number in range(100):   # the sequence numbers wrap
        again = number % 20 == 5
        fleet.send(1 + 0.01 * number, packet(number, ident), lose=again, protocol=0x86DD if six else 0x0800)
        ident += 1
        if again:
            fleet.send(1.005 + 0.01 * number, packet(number, ident), protocol=0x86DD if six else 0x0800)
            ident += 1
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 5, WIRE)]
    found = flow(summary, ":443")
    assert (found["packets"], found["arrived"], found["retransmitted"]) == (105, 100, 5)
    assert segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")["duplicated"] == 0


def test_echo_requests_and_answers(tmp_path: Any) -> None:
    fleet = Fleet()
    for number in range(50):
        request, answer = icmp(8, 0, 7, number), icmp(0, 0, 7, number)
        fleet.send(0.1 * number, ethernet(ipv4(A, B, request, protocol=1)))
        fleet.send(0.1 * number + 1e-3, ethernet(ipv4(B, A, answer, protocol=1)), way="back", lose=number % 5 == 0)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 10, [dict(WIRE[0], host="hv-b"), dict(WIRE[1], host="hv-a")])]


def test_fragments_of_a_packet_are_its_continuation(tmp_path: Any) -> None:
    """hv-a cuts datagrams into two fragments; some second fragments are lost on the wire."""
    fleet = talking()
    for number in range(50):
        second, ident = 1 + 0.01 * number, number + 1
        fleet.a.event(second, "dev.rx", VNET0, ethernet(ipv4(A, B, udp(1, 5001, 2000), ident=ident)))
        first = ethernet(ipv4(A, B, udp(1, 5001, 1472), ident=ident, more=True))
        rest = ethernet(ipv4(A, B, bytes(528), ident=ident, fragment=1480))
        for order, piece in enumerate((first, rest)):
            fleet.a.event(second + (10 + order) * 1e-6, "dev.tx", ETH0, piece)
            if not (order and number % 10 == 5):
                fleet.into(fleet.b, second + (70 + order) * 1e-6, piece)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 5, WIRE)]


def test_address_translation_is_followed_by_the_skb(tmp_path: Any) -> None:
    """hv-a replaces the source address; one flow, seen under its first name."""
    fleet = talking()
    for number in range(100):
        second = 1 + 0.01 * number
        before, after = udp_packet(number), udp_packet(number, "203.0.113.7", B)
        skb = {"skb": 0xFFFF888300000000 + 256 * number}
        fleet.a.event(second, "dev.rx", VNET0, before, **skb)
        fleet.a.event(second + 8e-6, "dev.tx", ETH0, after, **skb)
        fleet.a.event(second + 9e-6, "skb.free", ETH0, after, **skb)
        if number % 4 != 2:
            fleet.into(fleet.b, second + 60e-6, after)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 25, WIRE)]
    assert flow(summary)["arrived"] == 75
    assert not any("203.0.113.7" in entry["key"] for entry in summary["flows"])


def test_changes_on_the_way(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(20):
        packet = udp_packet(number)
        fleet.a.event(1 + 0.1 * number, "dev.rx", VNET0, packet, mark=0)
        fleet.a.event(1 + 0.1 * number + 1e-5, "dev.tx", ETH0, packet, mark=5)
        fleet.into(fleet.b, 1 + 0.1 * number + 8e-5, packet[:22] + b"\x3f" + packet[23:])
    summary = fleet.merge(tmp_path)
    assert segment(summary, "hv-a vnet0 dev.rx", "hv-a eth0 dev.tx")["changed"] == {"mark": 20}
    assert segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")["changed"] == {"ttl": 20}


def test_a_point_that_a_packet_passes_twice_makes_no_second_packet(tmp_path: Any) -> None:
    """Netfilter's hooks judge it three times; two skbs are freed, a clone's and its own."""
    fleet = talking(b={"points": ["dev.rx", "dev.tx", "skb.drop", "skb.free", "nf.hook"]})
    for number in range(100):
        second, packet = 1 + 0.01 * number, udp_packet(number)
        fleet.send(second, packet, lose=number % 10 == 5)
        if number % 10 != 5:
            own = {name: fleet.b.events[-1][name] for name in ("skb", "head")}
            for after in (59e-6, 61e-6, 63e-6):
                fleet.b.event(second + after, "nf.hook", ETH0, packet, **own)
            fleet.b.event(second + 70e-6, "skb.free", VNET0, packet)
            fleet.b.event(second + 71e-6, "skb.free", VNET0, packet, **own)
    summary = fleet.merge(tmp_path)
    assert losses(summary) == [("vanished", 10, WIRE)]
    assert (flow(summary)["packets"], flow(summary)["ambiguous"]) == (100, 0)
    assert segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")["duplicated"] == 0


def test_a_large_run_in_shares_says_the_same(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut into shares, one group of flows into parts, it is the same story."""
    from fleetmerge.journey import prepare
    fleet = talking()
    for number in range(1500):
        fleet.send(0.5 + 0.006 * number, udp_packet(number), lose=number % 9 == 4, drop=number % 50 == 1)
    run = fleet.write(tmp_path)
    whole = merged(run)
    monkeypatch.setattr(prepare, "PART_UNITS", 1500)
    parts = merged(run)
    for summary in (whole, parts):
        for one in summary["segments"]:
            del one["reordered"]
        for loss in summary["losses"]:   # samples, and stretches of what one part saw
            del loss["journeys"], loss["bursts"]
    assert parts["losses"] == whole["losses"]
    assert parts["flows"] == whole["flows"]
    assert parts["paths"] == whole["paths"]
    assert [entry["missing"] for entry in parts["segments"]] == [entry["missing"] for entry in whole["segments"]]


def test_a_vm_traced_as_a_host_of_its_own(tmp_path: Any) -> None:
    """The packet goes on from hv-b's tap into the VM, whose kernel drops some."""
    fleet = talking()
    vm = Bundle("vm-b", boot=3.0, skew=0.5)
    vm.device(2, "eth0", "vnet")
    for number in range(200):
        second, packet = 1 + 0.01 * number, udp_packet(number)
        fleet.send(second, packet)
        vm.event(second + 100e-6, "dev.rx", 2, packet)
        if number % 8 == 0:
            vm.event(second + 101e-6, "skb.drop", 2, packet, reason=5)
        answer = udp_packet(number, B, A)
        vm.event(second + 1e-3, "dev.tx", 2, answer)
        fleet.send(second + 1.03e-3, answer, way="back")
    run = fleet.write(tmp_path)
    vm.write(run)
    summary = merged(run)
    assert [(loss["host"], loss["packets"], loss["reason"]) for loss in summary["losses"]] == [
        ("vm-b", 25, "NETFILTER_DROP")]
    assert summary["hosts"]["vm-b"]["clock"]["method"].startswith("packets both ways")
    assert abs(summary["hosts"]["vm-b"]["clock"]["offset_us"] + 5e5) <= summary["hosts"]["vm-b"]["clock"]["bound_us"]


def test_truncated_headers_and_odd_packets_do_no_harm(tmp_path: Any) -> None:
    fleet = talking()
    random = np.random.default_rng(1)
    for number in range(300):
        length = int(random.integers(0, 128))
        fleet.a.event(1 + 0.01 * number, "dev.rx", VNET0, random.bytes(length), packet_layer=2 + number % 2,
                      protocol=int(random.choice([0x0800, 0x86DD, 0x0806, 0x88CC])))
    whole = ethernet(ipv4(A, B, struct.pack("!HHHH", 1, 2, 3, 4), protocol=17))
    for cut in range(len(whole)):
        fleet.a.event(6 + 0.01 * cut, "dev.rx", VNET0, whole[:cut])
    assert losses(fleet.merge(tmp_path)) == []


def test_a_packet_that_was_not_read_whole_at_first_has_its_name_from_where_it_was(tmp_path: Any) -> None:
    fleet = talking()
    for number in range(10):
        second, skb = 1 + 0.1 * number, {"skb": 0xAAAA0000 + 512 * number, "head": 0xBBBB0000 + 4096 * number}
        short = {"packet_len": 36} if number < 5 else {}     # up to the ports
        fleet.a.event(second, "dev.rx", VNET0, udp_packet(number), **skb, **short)
        fleet.a.event(second + 8e-6, "dev.tx", ETH0, udp_packet(number), **skb)
        if number % 5:
            fleet.into(fleet.b, second + 60e-6, udp_packet(number))
        fleet.send(second + 0.05, udp_packet(number, B, A), way="back")
    summary = fleet.merge(tmp_path)
    assert (flow(summary)["packets"], flow(summary)["arrived"], flow(summary)["unknown"]) == (10, 8, 2)


def test_a_step_from_one_of_two_uplinks_is_not_measured(tmp_path: Any) -> None:
    """The packet leaves by both, and comes to the other host once: nobody knows by which."""
    fleet = talking()
    fleet.a.device(4, "eth1", "phy")
    for number in range(10):
        second, skb = 1 + 0.1 * number, {"skb": 0xAAAA0000 + 512 * number, "head": 0xBBBB0000 + 4096 * number}
        fleet.out(fleet.a, second, udp_packet(number), **skb)
        fleet.a.event(second + 9e-6, "dev.tx", 4, udp_packet(number), **{**skb, "skb": skb["skb"] + 256})
        fleet.into(fleet.b, second + 60e-6, udp_packet(number))
    summary = fleet.merge(tmp_path)
    wire = segment(summary, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")
    assert (wire["packets"], wire["unsure"]) == (flow(summary, "10.9.0.1:40000 >")["packets"], 10)
