# SPDX-License-Identifier: Apache-2.0
"""The tracers where the kernel does not tell its types, but its headers are there: kernels of the time before BTF."""

import pytest
from emulated import table
from emulated.machine import Machine
from emulated.tracing import leftovers, nothing_new, tracing, trial, workload

PASSED, DROPPED = 40, 25
OPEN, CLOSED = 5000, 4321


@pytest.fixture(scope="module")
def machine(machine_with_headers: Machine) -> Machine:
    """The machine without a BTF to be seen."""
    machine_with_headers.run("mount -t tmpfs none /sys/kernel/btf")
    return machine_with_headers


def test_what_attaches(machine: Machine, rows: list[list[str]]) -> None:
    found = trial(machine, "datapath_tracing", "--profile", "full")
    print(found["skipped"])
    rows.append(table.row(trial(machine, "datapath_tracing"), found))
    assert (found["btf"], found["headers"]) == (False, True)
    assert found["profiles"]["nic"] == [], "all of the default profile attaches"
    assert all(found["skipped"].values()), "whatever is skipped has a reason"


def test_records_are_as_with_btf(machine: Machine) -> None:
    before = leftovers(machine)
    options = ("--protocol", "udp", "--dst", "192.168.32.20", "--point", "br.forward")
    with tracing(machine, "datapath_tracing", "--profile", "nic", *options) as run:
        assert workload(machine, "udp", "bridge", OPEN, PASSED)["arrived"] == PASSED
        workload(machine, "udp", "bridge", CLOSED, DROPPED)
        run.stop("INT")
    for point, device, port, count in (("dev.rx", "p-src", OPEN, PASSED), ("br.forward", "p-src", OPEN, PASSED),
                                       ("dev.tx", "p-dst", OPEN, PASSED), ("dev.rx", "eth0", OPEN, PASSED),
                                       ("skb.drop", "p-dst", CLOSED, DROPPED),
                                       ("dev.tx", "p-dst", CLOSED, 0)):  # fmt: skip
        ids = [record["packet"]["id"] for record in run.records if record["point"] == point
               and record["device"] == device and record["packet"]["dst_port"] == port]  # fmt: skip
        assert (len(ids), len(set(ids))) == (count, count), (point, device, port)
    sizes = {(record["point"], record["len"]) for record in run.records if record["point"].startswith("dev.")}
    assert sizes == {("dev.rx", 128), ("dev.tx", 142)}, "without and with the Ethernet header"
    assert "lost 0" in run.log
    nothing_new(machine, before)
