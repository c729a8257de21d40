# SPDX-License-Identifier: Apache-2.0
"""Situations in which copies, translations and large packets mislead, on real kernels: what is said is held against
what the switch and nft counted. One run over all of them, as in test_cluster.py.
"""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from emulated.capture import Captured, capture
from emulated.machine import Machine
from situations import FLOODED, LARGE, PORTS, SERVICE, SITUATIONS, SOURCE, TRANSLATED
from truth.truth import arrived_at_least, flow_count, flows, is_certain, losses, no_step, place_of, total

A, B = FLOODED
REQUESTS, REPLIES = f"{A} > {B} icmp", f"{B} > {A} icmp"
LARGE_REQUESTS, LARGE_REPLIES = (f"{one} > {other} icmp" for one, other in (LARGE, LARGE[::-1]))


@dataclass(frozen=True)
class Seen:
    """A capture, and what rules of the switch and of nft on hv-b counted in a situation."""

    captured: Captured
    counted: dict[str, int]


@pytest.fixture(scope="module")
def seen(cluster: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    """All situations that this cluster can be in."""
    tunnel = "tunnel0" in cluster[1].run("ovs-vsctl list-ports br0").stdout
    names = [name for name in SITUATIONS if name != "large" or tunnel]
    cluster[1].run(PORTS)
    directory = tmp_path_factory.mktemp("situations")
    counted = directory / "counted.json"
    program = Path(__file__).with_name("situations.py")
    captured = capture(directory, "situations", shlex.join([sys.executable, str(program), str(counted), *names]),
                       capture_src="192.168.32.0/24", capture_points=["tun.xmit"])  # fmt: skip
    return {name: Seen(captured, counts) for name, counts in json.loads(counted.read_text()).items()}


@pytest.fixture(scope="module")
def flooded(seen: dict[str, Seen]) -> Seen:
    return seen["flooded"]


@pytest.fixture(scope="module")
def translated(seen: dict[str, Seen]) -> Seen:
    return seen["translated"]


@pytest.fixture(scope="module")
def large(seen: dict[str, Seen]) -> Seen:
    if "large" not in seen:
        pytest.skip("without a tunnel no packet between guests passes the host's own IP")
    return seen["large"]


def test_what_nft_ate_is_lost_though_other_ports_got_copies(flooded: Seen) -> None:
    eaten = flooded.counted["third"] + flooded.counted["every"]
    assert (flooded.counted["third"], flooded.counted["every"]) == (4, 3)
    mine = losses(flooded.captured.summary, REQUESTS)
    assert {(place_of(loss), loss["certainty"]) for loss in mine} == {("hv-b vnet0", "certain")}
    assert total(mine, "packets") == eaten
    assert flooded.captured.lines("hv-b", "ovs.upcall", "type=8"), "the first one went to the daemon"


def test_a_flooded_packet_is_one_packet(flooded: Seen) -> None:
    summary, sent = flooded.captured.summary, flooded.counted["flooded"]
    arrived = sent - flooded.counted["third"] - flooded.counted["every"]
    assert flow_count(summary, REQUESTS, sent, sent) + flow_count(summary, REPLIES, arrived, arrived) == []
    assert total(flows(summary, REQUESTS), "arrived") == total(flows(summary, REPLIES), "arrived") == arrived


def test_the_copies_that_a_bridge_keeps_are_no_loss(flooded: Seen) -> None:
    """Its own stack drops each of them, since it is for another MAC."""
    copies = flooded.captured.summary["copies"]
    mine = [copy for copy in copies if copy["flow"] == REQUESTS and place_of(copy) == "hv-b br0"]
    assert total(mine, "packets") == flooded.counted["flooded"]
    assert all(copy["harmless"] for copy in copies)


def test_no_packet_goes_from_one_port_to_the_next(flooded: Seen) -> None:
    """Not even one that the daemon sent on, of which all ports' skbs are clones."""
    summary = flooded.captured.summary
    for one in ("mon0", "vnet9", "br0"):
        assert no_step(summary, f"hv-b {one}", "hv-") == []
    # what vm-b itself sends is flooded until the switch knows where vm-a is
    behind = [segment for segment in summary["segments"] if segment["from"]["host"] == "hv-b"
              and segment["from"]["device"] == "vnet0" and segment["from"]["point"] in ("dev.tx", "tun.xmit")
              and segment["to"]["device"] in ("vnet9", "br0")]  # fmt: skip
    assert behind == []


def test_translated_streams_arrive(translated: Seen) -> None:
    summary = translated.captured.summary
    for target in (TRANSLATED[1], SERVICE):
        there, back = (flows(summary, words) for words in (f"> {target}:9 ", f"{TRANSLATED[1]}:9 >"))
        assert there and back
        assert total(there, "arrived") == total(there, "packets") > 100
        assert total(back, "arrived") == total(back, "packets")


def test_translated_pings_arrive(translated: Seen) -> None:
    """Each of them may go up to the daemon on each host, and then no skb shows both of its addresses."""
    summary, (one, other) = translated.captured.summary, TRANSLATED
    requests = f"{one} > {other} icmp", f"{one} > {SERVICE} icmp"
    replies = f"{other} > {SOURCE} icmp", f"{other} > {one} icmp"
    assert [losses(summary, words) for words in (*requests, *replies)] == [[], [], [], []]
    assert [flow_count(summary, words, 5, 5) for words in requests] == [[], []]
    assert sum(total(flows(summary, words), "arrived") for words in (*requests, *replies)) == 20


def test_a_drop_behind_conntrack_is_exact(translated: Seen) -> None:
    """The first packet goes to the daemon twice, which keeps it; the others are dropped by the flow that it makes."""
    mine = losses(translated.captured.summary, ":81 ")
    dropped = [loss for loss in mine if loss["kind"] == "drop"]
    kept = [loss for loss in mine if loss["kind"] == "vanished"]
    assert [(loss["host"], loss["function"], loss["certainty"]) for loss in dropped] == [
        ("hv-b", "ovs_execute_actions", "certain")]  # fmt: skip
    assert [(loss["host"], loss["point"], loss["packets"]) for loss in kept] == [("hv-b", "ovs.upcall", 1)]
    assert not is_certain(kept[0])
    assert total(dropped, "packets") + 1 == translated.counted["dropped"] > 1


def test_every_third_ping_is_dropped_in_the_tunnel(large: Seen) -> None:
    summary = large.captured.summary
    assert large.counted["pings"] == 4
    assert [(loss["kind"], loss["host"], loss["device"], loss["packets"], loss["certainty"])
            for loss in losses(summary, LARGE_REQUESTS)] == [("drop", "hv-b", "eth1", 4, "certain")]  # fmt: skip
    assert total(flows(summary, LARGE_REQUESTS), "dropped") == 4
    assert total(flows(summary, LARGE_REPLIES), "packets") == total(flows(summary, LARGE_REPLIES), "arrived")


def test_what_is_eaten_of_a_stream_is_counted_as_nft_does(large: Seen) -> None:
    """nft counts skbs, of which each is several segments on the wire; they were sent again, and then arrived."""
    summary = large.captured.summary
    mine = losses(summary, f"> {LARGE[1]}:9 ")
    assert {(loss["kind"], loss["host"], loss["device"], loss["certainty"]) for loss in mine} == {
        ("drop", "hv-b", "vnet0", "certain")}  # fmt: skip
    assert total(mine, "packets") == large.counted["skbs"] > 0
    stream = flows(summary, f"> {LARGE[1]}:9 ")
    lost = total(mine, "wire_packets")
    assert total(stream, "dropped") == lost > total(mine, "packets")
    assert total(stream, "arrived") == total(stream, "packets") - lost
    assert total(stream, "retransmitted") >= lost


def test_wrapped_packets_are_not_other_packets(large: Seen) -> None:
    assert [flow["key"] for flow in large.captured.summary["flows"] if "10.78.0." in flow["key"]] == []
    assert arrived_at_least(large.captured.summary, 20, LARGE_REQUESTS) == []


def test_nothing_else_is_lost(translated: Seen) -> None:
    """What is not named above got on, questions for addresses and the answers among it."""
    summary = translated.captured.summary
    others = [loss for loss in summary["losses"]
              if loss["flow"] not in (REQUESTS, LARGE_REQUESTS) and f"> {LARGE[1]}:9 " not in loss["flow"]
              and ":81 " not in loss["flow"]]  # fmt: skip
    assert others == []
    assert total(flows(summary, "arp"), "unknown") == 0


def test_no_host_is_doubted(flooded: Seen) -> None:
    """Every host recorded all that it saw."""
    hosts = flooded.captured.summary["hosts"]
    assert {host: entry["status"] for host, entry in hosts.items()} == {"hv-a": "complete", "hv-b": "complete"}
    assert "did not record" not in flooded.captured.verdict
