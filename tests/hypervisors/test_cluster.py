# SPDX-License-Identifier: Apache-2.0
"""Two emulated hypervisors, traced by the playbooks over ssh: guest to guest through vhost-net, Open vSwitch, a tunnel.

One run over all that happens, since arming takes its time under emulation; the tests look at what came of it.
"""

import json
import shlex
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulated import counters
from emulated.capture import Captured, capture
from emulated.machine import Machine
from emulated.situation import situation

TOOL = Path(__file__).with_name("hypervisors.py")
PINGS, BLOCKED_PORT = 5, 81
BLOCKED = f"tcp,tp_dst={BLOCKED_PORT}"
POINTS = ["tun.xmit", "ovs.rx", "ovs.tx"]  # every function more is a second to attach under emulation
TRAFFIC = f"""
guest ping -q -c {PINGS} 192.168.32.20
guest 'dd if=/dev/zero bs=50000 count=10 2>/dev/null | nc 192.168.32.20 9'
guest 'nc -w 8 192.168.32.20 {BLOCKED_PORT} </dev/null 2>/dev/null'
true
"""


@pytest.fixture(scope="module")
def captured(cluster: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Captured]:
    """A run with a ping, a TCP stream, and a connection that a flow rule of hv-b drops."""
    with situation(cluster, b=f"ovs-ofctl add-flow br0 priority=100,{BLOCKED},actions=drop"):
        yield capture(tmp_path_factory.mktemp("cluster"), "cluster", f"{TOOL} run hv-a {shlex.quote(TRAFFIC)}",
                      capture_src="192.168.32.10", capture_dst="192.168.32.20", capture_points=POINTS)  # fmt: skip


def test_both_hosts_are_complete(captured: Captured) -> None:
    hosts = captured.summary["hosts"]
    assert {name: host["status"] for name, host in hosts.items()} == {"hv-a": "complete", "hv-b": "complete"}
    assert all(host["lost"] == 0 for host in hosts.values())


def test_every_ping_is_followed_from_guest_to_guest(captured: Captured) -> None:
    for host, point, device in (("hv-a", "dev.rx", "vnet0"), ("hv-a", "ovs.rx", "vnet0"), ("hv-a", "dev.tx", None),
                                ("hv-b", "ovs.rx", None), ("hv-b", "dev.tx", "vnet0"),
                                ("hv-b", "tun.xmit", "vnet0")):  # fmt: skip
        words = [word for word in (host, point, device, "type=8") if word]
        seen = Counter(line.split("icmp_seq=")[1].split()[0] for line in captured.lines(*words))
        assert set(seen) == {str(number) for number in range(PINGS)}, (host, point, device)


def test_the_stream_reaches_the_other_machine(captured: Captured) -> None:
    flow = ("192.168.32.20:9", "tcp")
    assert captured.lines("hv-a", "dev.rx", "vnet0", *flow)
    assert captured.lines("hv-b", "tun.xmit", "vnet0", *flow)


def test_the_drop_of_a_flow_rule_is_named(captured: Captured, cluster: list[Machine]) -> None:
    losses = {loss["kind"]: loss for loss in captured.summary["losses"]}
    print(json.dumps(losses, indent=1))
    assert set(losses) == {"drop", "vanished"}
    assert losses["drop"]["host"] == "hv-b"
    assert losses["drop"]["function"] == "ovs_execute_actions"
    assert losses["drop"]["stack"][0].startswith("ovs_execute_actions+"), "the stack begins where the packet was"
    # the first packet of the flow goes to the daemon, which makes a flow of the rule and keeps the packet
    assert (losses["vanished"]["host"], losses["vanished"]["point"]) == ("hv-b", "ovs.upcall")
    counted = counters.of_flow_rules(cluster[1], BLOCKED)
    assert losses["drop"]["packets"] + losses["vanished"]["packets"] == counted > 1


def test_nothing_arrives_before_it_was_sent(captured: Captured) -> None:
    """The machines' clocks are 7 s apart; the timeline is in one clock."""
    for number in range(PINGS):
        sequence = f"icmp_seq={number}"
        sent = captured.lines("hv-a", "dev.rx", "vnet0", "type=8", sequence)[0].split()[0]
        arrived = captured.lines("hv-b", "tun.xmit", "vnet0", "type=8", sequence)[0].split()[0]
        assert sent < arrived
