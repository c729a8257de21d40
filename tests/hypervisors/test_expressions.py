# SPDX-License-Identifier: Apache-2.0
"""Filter expressions on real distribution kernels, whose verifiers differ; the machines need no libpcap."""

import pytest
from emulated.machine import Machine
from emulated.tracing import tracing, trial, workload

from skbtrace.programs import classic, libpcap

PASSED, OPEN, OTHER = 20, 5000, 5001
# as long as expressions get that people write, one with loads at computed offsets, in both places at once
LONG = "geneve and tcp port 80"
INNER = "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x47455420 or (udp and net 192.168.32.0/23 and not portrange 1-1023)"

pytestmark = pytest.mark.skipif(not libpcap.is_there(), reason="libpcap is not installed")


def words(expression: str, option: str = "filter") -> list[str]:
    """The expression as a host without libpcap is given it."""
    program = classic.text_of(libpcap.compile_expression(expression))
    return [f"--{option}={expression}", f"--{option}-code={program}"]


def test_every_point_takes_long_expressions(machine: Machine) -> None:
    plain = trial(machine, "datapath_tracing", "--profile", "full")
    filtered = trial(machine, "datapath_tracing", "--profile", "full", *words(LONG), *words(INNER, "inner-filter"))
    print(plain["kernel"], plain["seconds"], filtered["seconds"])
    assert filtered["attached"] == plain["attached"], filtered["skipped"]


def test_what_fits_is_recorded(machine: Machine) -> None:
    expression = f"udp dst port {OPEN} and src net 192.168.32.0/24 and not vlan"
    with tracing(machine, "datapath_tracing", "--profile", "nic", *words(expression)) as run:
        workload(machine, "udp", "bridge", OTHER, PASSED)
        assert workload(machine, "udp", "bridge", OPEN, PASSED)["arrived"] == PASSED
        run.stop("INT")
    for point, device in (("dev.rx", "p-src"), ("dev.tx", "p-dst")):
        assert run.count(point=point, device=device, packet__dst_port=OPEN) == PASSED
    assert {one["packet"]["dst_port"] for one in run.records} == {OPEN}
    assert "lost 0" in run.log
