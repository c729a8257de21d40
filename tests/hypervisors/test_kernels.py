# SPDX-License-Identifier: Apache-2.0
"""Both tracers on real distribution kernels: traffic of known amount, compared with what was recorded."""

import json

import pytest
from emulated.machine import Machine
from emulated.tracing import leftovers, tracing, trial

PASSED, DROPPED = 40, 25
SHOWN = ("kernel", "bcc", "python", "buffer", "seconds", "attached", "skipped")
OPEN, CLOSED = 5000, 4321  # ports; the second is what the drop rules are for
# kernels before 5.17 give no reason; Open vSwitch names its own from 6.6
REASONS = {"bullseye": {"bridge": None, "ovs": None}, "bookworm": {"bridge": "NETFILTER_DROP", "ovs": None}}


def workload(machine: Machine, *words: object) -> dict:
    """Run the workload in the machine and return what it says."""
    return dict(json.loads(machine.run("python3 /opt/workload.py " + " ".join(map(str, words)), timeout=600).stdout))


def test_what_attaches(machine: Machine) -> None:
    for tracer in ("drop_monitor", "datapath_tracing"):
        found = trial(machine, tracer, "--profile", "full")
        print(json.dumps({key: found[key] for key in SHOWN}))
        assert not found["profiles"]["nic"], "all of the default profile attaches on every kernel"
        assert found["btf"]
        assert not found["headers"], "the machine has no kernel headers: types come from BTF"
        assert all(found["skipped"].values()), "whatever is skipped has a reason"
        assert {"tun.xmit", "br.rx", "ovs.receive", "vxlan.tx"} <= set(found["attached"])


def test_each_datagram_once_at_each_device_point(machine: Machine) -> None:
    with tracing(machine, "datapath_tracing", "--protocol", "udp", "--dst-port", OPEN) as run:
        done = workload(machine, "udp", "bridge", OPEN, PASSED)
        run.stop()
    assert done["arrived"] == PASSED
    for point, device in (("dev.tx", "eth0"), ("dev.rx", "p-src"), ("dev.tx", "p-dst"), ("dev.rx", "eth0")):
        seen = [record["packet"]["id"] for record in run.records
                if record["point"] == point and record["device"] == device]  # fmt: skip
        assert len(seen) == PASSED, (point, device)
        assert len(set(seen)) == PASSED, (point, device)
    assert {record["packet"]["dst_port"] for record in run.records} == {OPEN}
    assert run.count(point="skb.drop") == 0
    assert "lost 0" in run.log
    assert run.status == 0


def test_drops_of_a_rule_are_named(machine: Machine) -> None:
    before = workload(machine, "counted")["bridge"]
    with tracing(machine, "drop_monitor", "--src", "192.168.32.10", "--protocol", "udp") as run:
        workload(machine, "udp", "bridge", CLOSED, DROPPED)
        workload(machine, "udp", "bridge", OPEN, PASSED)
        run.stop()
    assert workload(machine, "counted")["bridge"] - before == DROPPED
    assert len(run.records) == DROPPED
    for record in run.records:
        assert record["packet"]["dst_port"] == CLOSED
        assert record["device"] == "p-dst", "the bridge has chosen the port already"
        assert record.get("reason") == REASONS.get(machine.name, {"bridge": "NETFILTER_DROP"})["bridge"]
        assert record["at"].startswith("nf_hook_slow+")
        assert any(frame.startswith("br_handle_frame") for frame in record["stack"]), record["stack"]
        assert not any(frame.startswith("0x") for frame in record["stack"]), record["stack"]


def test_drops_of_an_open_vswitch_flow_are_named(machine: Machine) -> None:
    options = ("--src", "192.168.33.10", "--protocol", "udp", "--profile", "drop", "--profile", "ovs")
    with tracing(machine, "drop_monitor", *options) as run:
        workload(machine, "udp", "ovs", CLOSED, DROPPED)
        run.stop()
    assert workload(machine, "counted")["ovs"] >= DROPPED
    drops = [record for record in run.records if record["point"] in ("skb.drop", "ovs.drop")]
    # the first datagram asks the daemon, which drops it there: it is seen as an upcall
    assert DROPPED - 1 <= len(drops) <= DROPPED, [record["point"] for record in run.records]
    if machine.name not in REASONS:
        assert {record["reason"] for record in drops} <= {"OVS_DROP_LAST_ACTION", "OVS_DROP_EXPLICIT"}
    assert all(record["device"] == "p-osrc" for record in drops)


def test_the_way_through_open_vswitch(machine: Machine) -> None:
    options = ("--protocol", "udp", "--dst-port", OPEN, "--profile", "ovs")
    with tracing(machine, "datapath_tracing", *options) as run:
        done = workload(machine, "udp", "ovs", OPEN, PASSED)
        run.stop()
    assert done["arrived"] == PASSED
    for point in ("ovs.rx", "ovs.receive", "ovs.process"):
        assert run.count(point=point, device="p-osrc") == PASSED, point
    assert run.count(point="ovs.tx") == PASSED
    assert run.count(point="dev.tx", device="p-odst") == PASSED


def test_tcp_bytes_are_all_seen(machine: Machine) -> None:
    amount = 2_000_000
    options = ("--protocol", "tcp", "--dst-port", 5001, "--point", "dev.rx")
    with tracing(machine, "datapath_tracing", *options) as run:
        assert workload(machine, "tcp", "bridge", amount)["arrived"] == amount
        run.stop()
    assert "lost 0" in run.log
    # GSO packets and single segments alike: the sequence numbers that they cover are the bytes that were sent
    numbers = [record["packet"]["seq"] for record in run.records if record["device"] == "p-src"]
    first = numbers[0]  # of the SYN, which counts as one, as does the FIN at the end
    assert max((number - first) % (1 << 32) for number in numbers) == amount + 1


@pytest.mark.parametrize("tracer", ["drop_monitor", "datapath_tracing"])
@pytest.mark.parametrize("signal", ["INT", "TERM", "KILL"])
def test_nothing_is_left(machine: Machine, tracer: str, signal: str) -> None:
    before = leftovers(machine)
    with tracing(machine, tracer, "--profile", "full") as run:
        assert leftovers(machine) != before
        run.stop(signal)
    assert run.status == (255 if signal == "KILL" else 0) or signal == "KILL"
    end = 100
    while leftovers(machine) != before and end:  # the kernel frees programs a little after their last user
        end -= 1
    assert leftovers(machine) == before
