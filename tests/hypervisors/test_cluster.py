# SPDX-License-Identifier: Apache-2.0
"""Two emulated hypervisors, traced by the playbooks over ssh: guest to guest through vhost-net, Open vSwitch, a tunnel.

One run over all that happens, since arming takes its time under emulation; the tests look at what came of it.
"""

import json
import re
import shlex
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from emulated.machine import Machine
from support.playbooks import Play

ROOT = Path(__file__).parent.parent.parent
PINGS, BLOCKED_PORT = 5, 81
RUN_ID = "cluster"
POINTS = ["tun.xmit", "ovs.rx", "ovs.tx"]  # every function more is a second to attach under emulation
TRAFFIC = f"""
guest ping -q -c {PINGS} 192.168.32.20
guest 'dd if=/dev/zero bs=50000 count=10 2>/dev/null | nc 192.168.32.20 9'
guest 'nc -w 8 192.168.32.20 {BLOCKED_PORT} </dev/null 2>/dev/null'
true
"""


@pytest.fixture(scope="module")
def captured(cluster: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A run with a ping, a TCP stream, and a connection that a flow rule of hv-b drops; n: what the rule counted."""
    receiver = cluster[1]
    receiver.run(f"ovs-ofctl add-flow br0 priority=100,tcp,tp_dst={BLOCKED_PORT},actions=drop")
    tool = ROOT / "tests/hypervisors/hypervisors.py"
    play = Play(tmp_path_factory.mktemp("cluster"))
    done = play.run("reproduce.yml", "-i", str(ROOT / "inventories/hypervisors"), timeout=1500,
                    capture_run_id=RUN_ID, capture_src="192.168.32.10", capture_dst="192.168.32.20",
                    capture_bidirectional=True, capture_profile=["nic"], capture_points=POINTS, capture_duration=300,
                    reproduce_command=f"{tool} run hv-a {shlex.quote(TRAFFIC)}")  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    flows = receiver.run(f"sleep 2; ovs-ofctl dump-flows br0 tcp,tp_dst={BLOCKED_PORT}", check=False).stdout
    print(play.output_dir / RUN_ID, flows, (play.output_dir / RUN_ID / "verdict.txt").read_text(), sep="\n")
    return SimpleNamespace(summary=play.summary(RUN_ID), directory=play.output_dir / RUN_ID, flows=flows)


def lines(captured: SimpleNamespace, *words: str) -> list[str]:
    """Return the timeline's lines that have all these words."""
    text = (captured.directory / "timeline.log").read_text().splitlines()
    return [line for line in text if all(f" {word} " in line for word in words)]


def test_both_hosts_are_complete(captured: SimpleNamespace) -> None:
    hosts = captured.summary["hosts"]
    assert {name: host["status"] for name, host in hosts.items()} == {"hv-a": "complete", "hv-b": "complete"}
    assert all(host["lost"] == 0 for host in hosts.values())


def test_every_ping_is_followed_from_guest_to_guest(captured: SimpleNamespace) -> None:
    for host, point, device in (("hv-a", "dev.rx", "vnet0"), ("hv-a", "ovs.rx", "vnet0"), ("hv-a", "dev.tx", None),
                                ("hv-b", "ovs.rx", None), ("hv-b", "dev.tx", "vnet0"),
                                ("hv-b", "tun.xmit", "vnet0")):  # fmt: skip
        words = [word for word in (host, point, device, "type=8") if word]
        seen = Counter(line.split("icmp_seq=")[1].split()[0] for line in lines(captured, *words))
        assert set(seen) == {str(number) for number in range(PINGS)}, (host, point, device)


def test_the_stream_reaches_the_other_machine(captured: SimpleNamespace) -> None:
    flow = ("192.168.32.20:9", "tcp")
    assert lines(captured, "hv-a", "dev.rx", "vnet0", *flow)
    assert lines(captured, "hv-b", "tun.xmit", "vnet0", *flow)


def test_the_drop_of_a_flow_rule_is_named(captured: SimpleNamespace) -> None:
    losses = {loss["kind"]: loss for loss in captured.summary["losses"]}
    print(json.dumps(losses, indent=1))
    assert set(losses) == {"drop", "vanished"}
    assert losses["drop"]["host"] == "hv-b"
    assert losses["drop"]["function"] == "ovs_execute_actions"
    assert losses["drop"]["stack"][0].startswith("ovs_execute_actions+"), "the stack begins where the packet was"
    # the first packet of the flow goes to the daemon, which makes a flow of the rule and keeps the packet
    assert (losses["vanished"]["host"], losses["vanished"]["point"]) == ("hv-b", "ovs.upcall")
    counted = int(re.findall(r"n_packets=(\d+)", captured.flows)[0])
    assert losses["drop"]["packets"] + losses["vanished"]["packets"] == counted > 1


def test_nothing_arrives_before_it_was_sent(captured: SimpleNamespace) -> None:
    """The machines' clocks are 7 s apart; the timeline is in one clock."""
    for number in range(PINGS):
        sequence = f"icmp_seq={number}"
        sent = lines(captured, "hv-a", "dev.rx", "vnet0", "type=8", sequence)[0].split()[0]
        arrived = lines(captured, "hv-b", "tun.xmit", "vnet0", "type=8", sequence)[0].split()[0]
        assert sent < arrived
