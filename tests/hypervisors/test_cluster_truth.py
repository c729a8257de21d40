# SPDX-License-Identifier: Apache-2.0
"""Situations in which copies, translations and large packets mislead, on real kernels: what is said is held against
what the switch and nft counted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from emulated import counters
from emulated.capture import Captured, capture
from emulated.machine import Machine
from truth.truth import arrived_at_least, flow_count, flows, is_certain, losses, lost_at, no_step, total

A, B, SERVICE = "192.168.32.10", "192.168.32.20", "192.168.32.200"  # a packet to the last is translated to B
REQUESTS, REPLIES = f"{A} > {B} icmp", f"{B} > {A} icmp"

# Every packet for B is flooded (to its tap, another one, and the bridge's own), and all is mirrored to mon0. Behind
# that nft eats every third large ping, the first among them, and all of another length.
FLOODING = f"""
ip link add vnet9 type dummy
ip link add mon0 type dummy
ip link set vnet9 up
ip link set mon0 up
ovs-vsctl add-port br0 vnet9 -- add-port br0 mon0 -- --id=@port get port mon0 \
  -- --id=@mirror create mirror name=all select-all=true output-port=@port -- set bridge br0 mirrors=@mirror
ovs-ofctl mod-port br0 mon0 no-flood
ovs-ofctl add-flow br0 priority=100,icmp,nw_dst={B},actions=flood
nft -f - <<END
table netdev guard {{
  counter third {{ }}
  counter every {{ }}
  chain leaving {{
    type filter hook egress device vnet0 priority 0
    icmp type echo-request ip length 1328 numgen inc mod 3 0 counter name third drop
    icmp type echo-request ip length 228 counter name every drop
  }}
}}
END
"""
FLOODED = f"""
guest ping -q -c 12 -W 1 -s 1300 {B}
guest ping -q -c 10 {B}
guest ping -q -c 3 -W 1 -s 200 {B}
true
"""

# What A sends to B comes from another address, and what it sends to SERVICE goes to B; a rule behind conntrack drops a
# port of the service.
SOURCE_NAT = f"""
ovs-ofctl add-flows br0 - <<END
priority=100,ip,in_port=vnet0,nw_dst={B},actions=ct(commit,nat(src=192.168.32.110),table=1)
priority=100,ip,nw_dst=192.168.32.110,actions=ct(nat,table=1)
table=1,priority=0,actions=NORMAL
END
guest arp -s {SERVICE} 52:54:00:32:00:02
"""
TARGET_NAT = f"""
ovs-ofctl add-flows br0 - <<END
priority=100,ip,nw_dst={SERVICE},actions=ct(commit,nat(dst={B}),table=1)
priority=100,ip,in_port=vnet0,nw_src={B},nw_dst={A},actions=ct(nat,table=1)
table=1,priority=10,tcp,tp_dst=81,actions=drop
table=1,priority=0,actions=NORMAL
END
guest arp -s 192.168.32.110 52:54:00:32:00:01
"""
TRANSLATED = f"""
guest ping -q -c 5 {B}
guest ping -q -c 5 {SERVICE}
guest 'dd if=/dev/zero bs=50000 count=4 2>/dev/null | nc {B} 9'
guest 'dd if=/dev/zero bs=50000 count=4 2>/dev/null | nc {SERVICE} 9'
guest 'nc -w 8 {SERVICE} 81 </dev/null 2>/dev/null'
true
"""

# Inside the tunnel nft eats every third ping of 1,300 bytes, and behind it every seventh large skb of a TCP stream,
# which are several segments each.
EATING = """
nft -f - <<END
table inet guard {
  counter pings { }
  chain arriving {
    type filter hook input priority 0
    udp dport { 4789, 6081 } meta length 1378 numgen inc mod 3 0 counter name pings drop
  }
}
table netdev guard {
  counter skbs { }
  chain leaving {
    type filter hook egress device vnet0 priority 0
    tcp dport 9 ip length > 1400 numgen inc mod 7 0 counter name skbs drop
  }
}
END
"""
LARGE = f"""
guest ping -q -c 12 -W 1 -s 1300 {B}
guest ping -q -c 4 -s 4000 {B}
guest 'dd if=/dev/zero bs=50000 count=8 2>/dev/null | nc {B} 9'
true
"""

AS_BEFORE = """
ovs-vsctl clear bridge br0 mirrors -- --if-exists del-port br0 vnet9 -- --if-exists del-port br0 mon0
ovs-ofctl del-flows br0
ovs-ofctl add-flow br0 priority=0,actions=NORMAL
ip link del vnet9 2>/dev/null
ip link del mon0 2>/dev/null
nft flush ruleset
ovs-appctl dpctl/flush-conntrack
"""


@dataclass(frozen=True)
class Seen:
    """A capture, and what else was counted meanwhile: by rules of the switch and of nft on hv-b."""

    captured: Captured
    counted: dict[str, int]


@contextmanager
def situation(cluster: list[Machine], **commands: str) -> Iterator[None]:
    """Make a situation on the machines, with nothing left in the kernels of what the switches knew, and undo it."""
    try:
        for machine, name in zip(cluster, ("a", "b"), strict=True):
            machine.run("set -e\n" + commands.get(name, "") + "\novs-appctl dpctl/del-flows")
        yield
    finally:
        for machine in cluster:
            machine.run(AS_BEFORE, check=False)


def between_guests(output_dir: Path, run_id: str, traffic: str) -> Captured:
    """Capture what goes between the guests, translated or not."""
    return capture(output_dir, run_id, traffic, capture_src="192.168.32.0/24", capture_points=["tun.xmit"])


@pytest.fixture(scope="module")
def flooded(cluster: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    with situation(cluster, b=FLOODING):
        captured = between_guests(tmp_path_factory.mktemp("flooded"), "flooded", FLOODED)
        flooded = counters.of_flow_rules(cluster[1], f"icmp,nw_dst={B}")
        return Seen(captured, {"flooded": flooded, **counters.of_nft(cluster[1])})


@pytest.fixture(scope="module")
def translated(cluster: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    with situation(cluster, a=SOURCE_NAT, b=TARGET_NAT):
        captured = between_guests(tmp_path_factory.mktemp("translated"), "translated", TRANSLATED)
        return Seen(captured, {"dropped": counters.of_flow_rules(cluster[1], "table=1,tcp,tp_dst=81")})


@pytest.fixture(scope="module")
def large(cluster: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Seen:
    if "tunnel0" not in cluster[1].run("ovs-vsctl list-ports br0").stdout:
        pytest.skip("without a tunnel no packet between guests passes the host's own IP")
    with situation(cluster, b=EATING):
        captured = between_guests(tmp_path_factory.mktemp("large"), "large", LARGE)
        return Seen(captured, counters.of_nft(cluster[1]))


def test_what_nft_ate_is_lost_though_other_ports_got_copies(flooded: Seen) -> None:
    eaten = flooded.counted["third"] + flooded.counted["every"]
    assert (flooded.counted["third"], flooded.counted["every"]) == (4, 3)
    assert lost_at(flooded.captured.summary, eaten, "hv-b vnet0", words=REQUESTS) == []
    assert flooded.captured.lines("hv-b", "ovs.upcall", "type=8"), "the first one went to the daemon"


def test_a_flooded_packet_is_one_packet(flooded: Seen) -> None:
    summary, sent = flooded.captured.summary, flooded.counted["flooded"]
    arrived = sent - flooded.counted["third"] - flooded.counted["every"]
    assert flow_count(summary, REQUESTS, sent, sent) + flow_count(summary, REPLIES, arrived, arrived) == []
    assert total(flows(summary, REQUESTS), "arrived") == total(flows(summary, REPLIES), "arrived") == arrived


def test_the_copies_that_a_bridge_keeps_are_no_loss(flooded: Seen) -> None:
    """Its own stack drops each of them, since it is for another MAC."""
    copies = [copy for copy in flooded.captured.summary["copies"] if copy["device"] == "br0"]
    assert total(copies, "packets") == flooded.counted["flooded"]
    assert all(copy["harmless"] for copy in copies)


def test_no_packet_goes_from_one_port_to_the_next(flooded: Seen) -> None:
    """Not even one that the daemon sent on, of which all ports' skbs are clones."""
    summary = flooded.captured.summary
    for one, other in (("mon0", "hv-"), ("vnet9", "hv-"), ("br0", "hv-"), ("vnet0", "hv-b vnet9"),
                       ("vnet0", "hv-b br0")):  # fmt: skip
        assert no_step(summary, f"hv-b {one}", other) == []


def test_translated_streams_arrive(translated: Seen) -> None:
    summary = translated.captured.summary
    for target in (B, SERVICE):
        there, back = (flows(summary, words) for words in (f"> {target}:9 ", f"{B}:9 >"))
        assert there and back
        assert total(there, "arrived") == total(there, "packets") > 100
        assert total(back, "arrived") == total(back, "packets")


def test_translated_pings_arrive(translated: Seen) -> None:
    """Each of them may go up to the daemon on each host, and then no skb shows both of its addresses."""
    summary = translated.captured.summary
    assert losses(summary, "icmp") == []
    assert flow_count(summary, f"{A} > {B} icmp", 5, 5) + flow_count(summary, f"{A} > {SERVICE} icmp", 5, 5) == []
    assert arrived_at_least(summary, 20, "icmp") == []


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
            for loss in losses(summary, REQUESTS)] == [("drop", "hv-b", "eth1", 4, "certain")]  # fmt: skip
    assert total(flows(summary, REQUESTS), "dropped") == 4
    assert total(flows(summary, REPLIES), "packets") == total(flows(summary, REPLIES), "arrived")


def test_what_is_eaten_of_a_stream_is_counted_as_nft_does(large: Seen) -> None:
    """nft counts skbs, of which each is several segments on the wire; they were sent again, and then arrived."""
    summary = large.captured.summary
    mine = losses(summary, f"> {B}:9 ")
    assert {(loss["kind"], loss["host"], loss["device"], loss["certainty"]) for loss in mine} == {
        ("drop", "hv-b", "vnet0", "certain")}  # fmt: skip
    assert total(mine, "packets") == large.counted["skbs"] > 0
    stream = flows(summary, f"> {B}:9 ")
    lost = total(mine, "wire_packets")
    assert total(stream, "dropped") == lost > total(mine, "packets")
    assert total(stream, "arrived") == total(stream, "packets") - lost
    assert total(stream, "retransmitted") >= lost


def test_wrapped_packets_are_not_other_packets(large: Seen) -> None:
    assert [flow["key"] for flow in large.captured.summary["flows"] if "10.78.0." in flow["key"]] == []
    assert arrived_at_least(large.captured.summary, 20, REQUESTS) == []


def test_no_host_is_doubted(flooded: Seen, translated: Seen, large: Seen) -> None:
    """Every host recorded all that it saw."""
    for seen in (flooded, translated, large):
        hosts = seen.captured.summary["hosts"]
        assert {host: entry["status"] for host, entry in hosts.items()} == {"hv-a": "complete", "hv-b": "complete"}
        assert "did not record" not in seen.captured.verdict
