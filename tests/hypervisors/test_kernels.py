# SPDX-License-Identifier: Apache-2.0
"""Both tracers on real distribution kernels: traffic of known amount, compared with what was recorded.

A tracer takes its time to compile under emulation, so each runs once per machine, and the tests look at that run.
"""

import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from emulated import table
from emulated.machine import Machine
from emulated.tracing import TOOLS, leftovers, nothing_new, tracing, trial, workload
from support.reasons import real

from fleetmerge.findings.meaning import dictionary

PASSED, DROPPED, STREAM = 40, 25, 1_000_000
OPEN, CLOSED = 5000, 4321  # ports; the second is what the drop rules are for
FAULTS = {"netem": 4001, "vlan": 4002}  # what loses all datagrams, and the port that they go to meanwhile
# kernels before 5.17 give no reason; Open vSwitch calls a flow's drop a drop from 6.6
NO_REASON, NO_OVS_REASON = {"bullseye"}, {"bullseye", "bookworm"}
TELLS_QDISC_REASON = {"sid"}  # kernels from 7.1 on have the tracepoint qdisc_drop
COUNTS_LOCKED = {"bullseye"}
SHOWN = ("kernel", "bcc", "python", "buffer", "seconds", "attached", "skipped")

REASONS = f"""
import json, sys
sys.path.insert(0, "{TOOLS}")
from skbtrace.kernel import lookup, reasons
print(json.dumps(list(reasons.read(lookup.read_types(reasons.ENUMS)).values())))
"""


@pytest.fixture(scope="module")
def datapath(machine: Machine) -> Iterator[SimpleNamespace]:
    """One run of the datapath tracer over both bridges, with UDP and TCP, ended by SIGINT."""
    before = leftovers(machine)
    options = ("--dst", "192.168.32.0/23", "--profile", "nic", "--profile", "ovs", "--exclude-point", "skb.free")
    with tracing(machine, "datapath_tracing", *options) as run:
        bridge = workload(machine, "udp", "bridge", OPEN, PASSED)
        ovs = workload(machine, "udp", "ovs", OPEN, PASSED)
        tcp = workload(machine, "tcp", "bridge", STREAM)
        run.stop("INT")
    yield SimpleNamespace(run=run, bridge=bridge, ovs=ovs, tcp=tcp, before=before)


@pytest.fixture(scope="module")
def drops(machine: Machine) -> Iterator[SimpleNamespace]:
    """One run of the drop monitor while rules of both bridges drop some datagrams and let others pass; SIGTERM."""
    before, counted = leftovers(machine), workload(machine, "counted")
    points = [word for point in ("skb.drop", "ovs.drop", "qdisc.drop") for word in ("--point", point)]
    with tracing(machine, "drop_monitor", "--protocol", "udp", *points) as run:
        workload(machine, "udp", "bridge", CLOSED, DROPPED)
        workload(machine, "udp", "ovs", CLOSED, DROPPED)
        workload(machine, "udp", "bridge", OPEN, PASSED)
        for fault, port in FAULTS.items():
            assert workload(machine, "fault", fault, port, DROPPED)["arrived"] == 0
        run.stop("TERM")
    now = workload(machine, "counted")
    yield SimpleNamespace(run=run, counted={how: now[how] - counted[how] for how in now}, before=before)


def to_port(drops: SimpleNamespace, port: int) -> list[dict]:
    """Return the drops of datagrams over the bridge to this port."""
    return [record for record in drops.run.records if record["packet"]["dst"] == "192.168.32.20"
            and record["packet"].get("dst_port") == port and record["point"] != "qdisc.drop"]  # fmt: skip


def test_what_attaches(machine: Machine, rows: list[list[str]]) -> None:
    found = trial(machine, "datapath_tracing", "--profile", "full")
    print(json.dumps({key: found[key] for key in SHOWN}))
    rows.append(table.row(trial(machine, "datapath_tracing"), found))
    # newer kernels tell the drops of Open vSwitch as any other drop
    assert set(found["profiles"]["nic"]) <= {"ovs.drop"}, "all of the default profile attaches on every kernel"
    assert found["btf"]
    assert not found["headers"], "the machine has no kernel headers: types come from BTF"
    assert all(found["skipped"].values()), "whatever is skipped has a reason"
    assert {"tun.xmit", "br.rx", "ovs.rx", "ovs.receive", "vxlan.tx", "tunnel.tx"} <= set(found["attached"])


def test_each_datagram_once_at_each_device_point(datapath: SimpleNamespace) -> None:
    assert datapath.bridge["arrived"] == PASSED
    udp = [record for record in datapath.run.records if record["packet"]["dst"] == "192.168.32.20"
           and record["packet"].get("dst_port") == OPEN]  # fmt: skip
    for point, netns, device in (("dev.tx", "src", "eth0"), ("dev.rx", None, "p-src"),
                                 ("dev.tx", None, "p-dst"), ("dev.rx", "dst", "eth0")):  # fmt: skip
        seen = [record["packet"]["id"] for record in udp if record["point"] == point
                and record["device"] == device and netns in (None, record["netns"])]  # fmt: skip
        assert len(seen) == PASSED, (point, device)
        assert len(set(seen)) == PASSED, (point, device)


def test_the_way_through_open_vswitch(datapath: SimpleNamespace) -> None:
    assert datapath.ovs["arrived"] == PASSED
    for point, device in (("dev.rx", "p-osrc"), ("ovs.rx", "p-osrc"), ("ovs.receive", "p-osrc"),
                          ("ovs.process", "p-osrc"), ("ovs.execute", "p-osrc"), ("ovs.output", "p-osrc"),
                          ("ovs.tx", "p-osrc"), ("dev.tx", "p-odst")):  # fmt: skip
        wanted = {"point": point, "device": device, "packet__dst": "192.168.33.20", "packet__dst_port": OPEN}
        assert datapath.run.count(**wanted) == PASSED, (point, device)


def test_the_stream_is_seen_to_its_last_byte(datapath: SimpleNamespace) -> None:
    assert datapath.tcp["arrived"] == STREAM
    seen = [record for record in datapath.run.records if record["device"] == "p-src"
            and record["point"] == "dev.rx" and record["packet"]["protocol"] == "tcp"]  # fmt: skip
    first = seen[0]["packet"]["seq"]  # of the SYN, which counts as one byte
    # the FIN comes alone or with the last bytes; the headers are IPv4's 20 bytes, TCP's 20, and a time stamp's 12
    ends = {(record["packet"]["seq"] + record["len"] - 52 - first) % (1 << 32)
            for record in seen if "F" in record["packet"]["flags"]}  # fmt: skip
    assert ends == {STREAM + 1}


def test_the_datapath_tracer_loses_and_leaves_nothing(machine: Machine, datapath: SimpleNamespace) -> None:
    assert "lost 0" in datapath.run.log
    assert datapath.run.count(point="skb.drop", packet__dst_port=OPEN) == 0
    assert datapath.run.status == 0
    nothing_new(machine, datapath.before)


def test_drops_of_a_rule_are_named(machine: Machine, drops: SimpleNamespace) -> None:
    assert drops.counted["bridge"] == DROPPED
    records = to_port(drops, CLOSED)
    assert len(records) == DROPPED
    for record in records:
        assert record["device"] == "p-dst", "the bridge has chosen the port already"
        assert record.get("reason") == (None if machine.release in NO_REASON else "NETFILTER_DROP")
        # where the packet is freed: newer kernels do it in nf_tables itself
        assert record["at"].split("+")[0] in ("nf_hook_slow", "nft_do_chain")
        assert any(frame.startswith("br_handle_frame") for frame in record["stack"]), record["stack"]
        assert not any(frame.startswith("0x") for frame in record["stack"]), record["stack"]


@pytest.mark.parametrize(("fault", "device", "function", "reasons"), [
    ("netem", "p-dst", "__dev_queue_xmit", {"QDISC_DROP"}),
    ("vlan", "p-src", "br_handle_frame", {"NOT_SPECIFIED"}),
])  # fmt: skip
def test_other_drops_are_named(machine: Machine, drops: SimpleNamespace, fault: str, device: str, function: str,
                               reasons: set[str]) -> None:  # fmt: skip
    records = to_port(drops, FAULTS[fault])
    assert len(records) == DROPPED
    assert {record["device"] for record in records} == {device}
    assert {record.get("reason") for record in records} <= ({None} if machine.release in NO_REASON else reasons)
    for record in records:
        assert any(frame.startswith(function) for frame in (record["at"], *record["stack"])), record


def test_a_qdisc_tells_its_own_reason(machine: Machine, drops: SimpleNamespace) -> None:
    reasons = [record["reason"] for record in drops.run.records if record["point"] == "qdisc.drop"]
    assert reasons == (["QDISC_DROP_GENERIC"] * DROPPED if machine.release in TELLS_QDISC_REASON else [])


def test_every_drop_reason_of_the_kernel_is_in_the_dictionary(machine: Machine) -> None:
    """Open vSwitch and mac80211 have their reasons in modules."""
    machine.run("modprobe openvswitch; modprobe mac80211", check=False)
    names = real(json.loads(machine.run("python3 -", data=REASONS.encode()).stdout))
    assert names - set(dictionary().reasons) == set()
    assert len(names) > 60 or machine.release in NO_REASON
    assert (machine.release in NO_OVS_REASON) == ("OVS_DROP_METER" not in names)
    assert (machine.release in TELLS_QDISC_REASON) == ("QDISC_DROP_GENERIC" in names)


def test_no_other_datagram_is_called_dropped(drops: SimpleNamespace) -> None:
    assert to_port(drops, OPEN) == []


def test_drops_of_an_open_vswitch_flow_are_named(machine: Machine, drops: SimpleNamespace) -> None:
    records = [record for record in drops.run.records if record["packet"]["dst"] == "192.168.33.20"]
    # the first datagram has no flow in the kernel yet: it goes to the daemon, and dies there
    assert DROPPED - 1 <= len(records) <= DROPPED, [(record["point"], record.get("at")) for record in records]
    assert {record["device"] for record in records} == {"p-osrc"}
    if machine.release not in NO_OVS_REASON:
        assert {record["reason"] for record in records} <= {"OVS_DROP_LAST_ACTION", "OVS_DROP_EXPLICIT"}


def test_the_drop_monitor_loses_and_leaves_nothing(machine: Machine, drops: SimpleNamespace) -> None:
    assert "lost 0" in drops.run.log
    assert drops.run.status == 0
    nothing_new(machine, drops.before)


def test_nothing_is_left_of_a_tracer_that_was_killed(machine: Machine) -> None:
    before = leftovers(machine)
    with tracing(machine, "datapath_tracing", "--point", "dev.rx", "--point", "ip.rx", "--point", "br.rx") as run:
        assert leftovers(machine) != before
        run.stop("KILL")
    with tracing(machine, "datapath_tracing", "--point", "dev.rx") as run:
        run.stop("INT")     # it removes the file by which the killed one was seen by others
    nothing_new(machine, before)


def test_a_module_stays_or_its_points_are_said_to_be_blind(machine: Machine) -> None:
    """fentry holds the module of its function; a kprobe dies with it, and does not live again when that comes back."""
    unload = "modprobe -r geneve && modprobe geneve"
    with tracing(machine, "datapath_tracing", "--point", "geneve.tx", "--point", "dev.tx") as run:
        assert "skipped" not in run.log
        done = machine.run(unload, check=False)
        run.stop("INT")
    blind = "the kernel's module geneve was unloaded: from then on nothing was seen at geneve.tx"
    assert (blind in run.log) == (done.returncode == 0), (done, run.log)
    assert done.returncode == 0 or "in use" in done.stderr
    machine.run(unload)


def test_a_limit_of_locked_memory_is_named_where_it_counts(machine: Machine) -> None:
    """Root without CAP_SYS_RESOURCE cannot lift it; kernels from 5.11 on do not count maps as locked memory."""
    limited = "prlimit --memlock=65536:65536 setpriv --bounding-set=-sys_resource"
    done = machine.run(f"{limited} {TOOLS}/packet_datapath_tracing.py --trial --point dev.rx", check=False)
    if machine.release in COUNTS_LOCKED:
        assert done.returncode == 1
        assert "of which this process may have 64 KiB: raise that with ulimit -l" in done.stderr.splitlines()[-1]
    else:
        assert done.returncode == 0, done.stderr
