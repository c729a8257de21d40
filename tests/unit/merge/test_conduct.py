# SPDX-License-Identifier: Apache-2.0
"""What flows do beside losing packets: round trips, jitter, keep-alives, other ways; and how losses are spread."""
from pathlib import Path

import numpy as np
import pytest
from support.bundles import Bundle, ethernet, icmp, ipv4, tcp
from support.fleet import ETH0, RING, VNET0, A, B, Fleet, flow, losses, merged, segment, udp_packet

from fleetmerge.findings.flows import spread
from fleetmerge.journey.bursts import bursts_of, join_bursts, worst_bursts
from fleetmerge.journey.trips import TRIP, join_trips
from fleetmerge.products.verdict import missed

SYN, ACK, FIN = 2, 16, 1
HOME = 0xFFFF888177000000


def part(seq: int, payload: int = 0, flags: int = ACK, *, back: bool = False, ident: int = 0, ack: int = 0) -> bytes:
    """A TCP segment from A to B, or back."""
    ends = (B, A, tcp(443, 40000, seq=seq, ack=ack, flags=flags, payload=payload)) if back else (
        A, B, tcp(40000, 443, seq=seq, ack=ack, flags=flags, payload=payload))
    return ethernet(ipv4(*ends, protocol=6, ident=ident))


def echo(number: int, back: bool = False, ident: int = 77) -> bytes:
    ends = (B, A) if back else (A, B)
    return ethernet(ipv4(*ends, icmp(0 if back else 8, 0, ident, number), protocol=1, ident=number + 1))


@pytest.fixture
def fleet() -> Fleet:
    out = Fleet(there=50e-6, back=70e-6)
    out.talk()
    return out


def test_round_trips(tmp_path: Path, fleet: Fleet) -> None:
    """Seen at the tap of the asking VM: from its SYN, or request, until the answer is handed to it."""
    fleet.send(1, part(100, flags=SYN))
    fleet.send(1.001, part(900, flags=SYN | ACK, back=True, ack=101), way="back")
    fleet.send(1.002, part(101, 500, ack=901, ident=3))
    for number in range(3):
        fleet.send(2 + number, echo(number))
        fleet.send(2.002 + number + 0.001 * number, echo(number, back=True), way="back")
    fleet.send(6, echo(9))    # nobody answers
    summary = fleet.merge(tmp_path)
    took = 8 + 70 + 7         # us: until the answer has come to the VM
    assert flow(summary, "192.168.32.10:40000 > 192.168.32.20:443 tcp")["rtt_us"] == pytest.approx(
        dict.fromkeys(("min", "p50", "max"), 1000 + took), abs=1)
    assert flow(summary, "192.168.32.10 > 192.168.32.20 icmp")["rtt_us"] == pytest.approx(
        {"min": 2000 + took, "p50": 3000 + took, "max": 4000 + took}, abs=1)
    assert flow(summary, "192.168.32.20 > 192.168.32.10 icmp")["rtt_us"] is None
    assert flow(summary, "10.9.0.1:40000")["rtt_us"] is None


def test_a_request_sent_again_is_no_round_trip(tmp_path: Path, fleet: Fleet) -> None:
    fleet.send(1, part(100, flags=SYN))
    fleet.send(2, part(100, flags=SYN, ident=1))
    fleet.send(2.001, part(900, flags=SYN | ACK, back=True, ack=101), way="back")
    assert flow(fleet.merge(tmp_path), "40000 > 192.168.32.20:443 tcp")["rtt_us"] is None


def test_trips_of_many_parts() -> None:
    """Few are kept of each flow, the shortest and the longest among them."""
    trips = np.zeros(50_000, TRIP)
    trips["flow"], trips["ns"] = np.arange(50_000) % 2, np.arange(50_000)
    kept = join_trips([trips[:20_000], trips[20_000:]])
    assert 1900 < len(kept) < 2100
    assert spread([kept["ns"][kept["flow"] == 1]]) == pytest.approx({"min": 1e-3, "p50": 25, "max": 49.999}, rel=0.01)


def test_jitter(tmp_path: Path, fleet: Fleet) -> None:
    for number in range(10):
        fleet.send(1 + 0.1 * number, udp_packet(number), delay=20e-6 * (number % 2))
        fleet.send(1.05 + 0.1 * number, udp_packet(number, B, A), way="back")
    steps = fleet.merge(tmp_path)
    wire = segment(steps, "hv-a eth0 dev.tx", "hv-b eth0 dev.rx")
    # 9 of 9 pairs of the flow differ by 20 us; of the 99 pairs of the other flow there none does
    assert wire["jitter_us"] == pytest.approx(9 * 20 / (9 + 99), abs=0.2)
    assert segment(steps, "hv-a vnet0 dev.rx", "hv-a eth0 dev.tx")["jitter_us"] == pytest.approx(0, abs=0.01)


def test_keepalives_are_not_sent_again(tmp_path: Path, fleet: Fleet) -> None:
    """Without a byte, and with the last one again; a last byte that was sent alone is sent again."""
    fleet.send(1, part(1000, 500, ident=1))
    for number in range(3):
        fleet.send(2 + number, part(1499, ident=10 + number))
    fleet.send(5, part(1500, 1, ident=20))
    fleet.send(6, part(1500, 1, ident=21))
    found = flow(fleet.merge(tmp_path), "40000 > 192.168.32.20:443 tcp")
    assert (found["keepalives"], found["retransmitted"], found["packets"]) == (3, 1, 6)


def test_keepalives_with_a_byte(tmp_path: Path, fleet: Fleet) -> None:
    fleet.send(1, part(1000, 500, ident=1))
    for number in range(3):
        fleet.send(2 + number, part(1499, 1, ident=10 + number))
    found = flow(fleet.merge(tmp_path), "40000 > 192.168.32.20:443 tcp")
    assert (found["keepalives"], found["retransmitted"]) == (3, 0)


def moved(fleet: Fleet, turns: list[str]) -> dict[str, Bundle]:
    """hv-a's VM sends to B, which is on hv-b, then on hv-c."""
    third = Bundle("hv-c", boot=900.0)
    third.device(ETH0, "eth0", "phy")
    third.device(VNET0, "vnet0", "vnet")
    hosts = {"b": fleet.b, "c": third}
    for number, where in enumerate(turns):
        second = 1 + 0.1 * number
        fleet.out(fleet.a, second, udp_packet(number))
        fleet.into(hosts[where], second + 60e-6, udp_packet(number))
        fleet.out(hosts[where], second + 0.01, udp_packet(number, B, A))
        fleet.into(fleet.a, second + 0.01006, udp_packet(number, B, A))
    return hosts


@pytest.mark.parametrize(("turns", "changes"), [("bbbbbcccc", 2), ("bcbcbcbcb", 0), ("bbbbbbbbb", 0), ("bbbbbbbbc", 0)])
def test_another_way(tmp_path: Path, fleet: Fleet, turns: str, changes: int) -> None:
    third = moved(fleet, list(turns))["c"]
    run = fleet.write(tmp_path)
    third.write(run)
    summary = merged(run)
    found = summary["path_changes"]
    assert len(found) == changes
    if changes:
        there = next(change for change in found if change["flow"].startswith(A))
        assert there["when"] == "2026-11-22T11:27:51.500000Z"
        assert [(place["host"], place["device"]) for place in there["after"]] == [
            ("hv-a", "vnet0"), ("hv-a", "eth0"), ("hv-c", "eth0"), ("hv-c", "vnet0")]
        assert (there["packets_before"], there["packets_after"]) == (5, 4)
    assert any("took another way: hv-a vnet0 > hv-a eth0 > hv-c eth0 > hv-c vnet0 instead of" in sentence
               for sentence in summary["verdict"]) == bool(changes)


def test_share_and_bursts(tmp_path: Path, fleet: Fleet) -> None:
    for number in range(100):
        fleet.send(1 + 0.05 * number, udp_packet(number), lose=number in (3, 4, 5, 20, 50, 51))
    (loss,) = fleet.merge(tmp_path)["losses"]
    assert loss["share"] == pytest.approx(6.0)
    assert [(burst["first"][17:22], burst["last"][17:22], burst["packets"]) for burst in loss["bursts"]] == [
        ("51.15", "51.25", 3), ("53.50", "53.55", 2)]


def test_bursts_of_parts() -> None:
    second = 1_000_000_000
    kind = np.array([0, 0, 0, 1, 1])
    time = np.array([0, 10, 2 * second, 5, 6])
    assert bursts_of(kind, time, 2) == [[(0, 10, 2), (2 * second, 2 * second, 1)], [(5, 6, 2)]]
    assert join_bursts([(0, 10, 2), (second, second, 1), (20, 40, 3)]) == [(0, 40, 5), (second, second, 1)]
    assert worst_bursts([(0, 1, 2), (2, 2, 1), (5, 6, 9), (8, 9, 3)], 2) == [(5, 6, 9), (8, 9, 3)]
    many = bursts_of(np.zeros(60, "i8"), np.arange(60) * second, 1)[0]
    assert len(many) == 20


@pytest.mark.parametrize(("reason", "harmless"), [("OTHERHOST", True), ("FULL_RING", False)])
def test_harmless_drops(tmp_path: Path, fleet: Fleet, reason: str, harmless: bool) -> None:
    fleet.b.manifest["drop_reasons"]["77"] = reason
    for number in range(10):
        fleet.send(1 + 0.1 * number, udp_packet(number), drop=number == 5, skb=HOME + 256 * number)
        fleet.send(1.05 + 0.1 * number, udp_packet(number, B, A), way="back")
    summary = fleet.merge(tmp_path)
    (loss,) = summary["losses"]
    assert loss.get("harmless", False) == harmless
    assert losses(summary) and summary["lost"] == 1     # they still count
    assert summary["verdict"][0].endswith(" 1 more was dropped, which is harmless.") == harmless
    assert any(sentence.startswith("Harmless: 1 packet dropped on hv-b at vnet0 in tun_net_xmit (OTHERHOST): the frame "
                                   "was for another MAC") for sentence in summary["verdict"]) == harmless
    assert summary["harmless"] == {"certain": int(harmless), "likely": 0, "unknown": 0}
    assert missed(summary) == (int(not harmless), 0, 0)


def test_harmless_drops_of_what_is_not_followed(tmp_path: Path, fleet: Fleet) -> None:
    """They are none of those that were lost, and must not be taken from them."""
    fleet.b.manifest["drop_reasons"]["77"] = "OTHERHOST"
    fleet.send(1, udp_packet(1))
    for number in range(3):
        fleet.b.event(2 + number, "skb.drop", VNET0, ethernet(bytes(40), 0x88CC), protocol=0x88CC, reason=77,
                      location=RING)
    summary = fleet.merge(tmp_path)
    assert [loss["packets"] for loss in summary["losses"] if loss.get("harmless")] == [3]
    assert summary["verdict"][0] == "Of 201 packets in 3 flows, 0 were lost."


