# SPDX-License-Identifier: Apache-2.0
"""Every point of the table, on real distribution kernels: what passes it is recorded there, field by field as it is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import scene, table
from conformance.run import OPTIONS, Run
from emulated.machine import Machine
from emulated.table import Recorded
from emulated.tracing import tracing

from skbtrace.programs import classic, libpcap, points

pytestmark = pytest.mark.skipif(not libpcap.is_there(), reason="libpcap is not installed")


def conform(machine: Machine) -> Run:
    """Run the scene in a machine, once, under the eyes of one tracer."""
    script = "/opt/scene.py"
    machine.run(f"cat > {script}", data=Path(scene.__file__).read_bytes())

    def do(*words: str) -> dict:
        return dict(json.loads(machine.run(" ".join(["python3", script, *words]), timeout=600).stdout) or {})

    missing = do("up")
    program = classic.text_of(libpcap.compile_expression(table.FILTER))
    try:
        with tracing(machine, "datapath_tracing", *OPTIONS, "--filter", table.FILTER, "--filter-code", program) as run:
            told = do("run", f"'{json.dumps(missing)}'")
            run.stop("INT")
    finally:
        do("down")
    assert ", lost 0" in run.log
    assert "shed" not in run.log and "not shown" not in run.log
    return Run(run.records, run.log.splitlines(), missing, told)


@pytest.fixture(scope="module")
def run(machine: Machine) -> Iterator[Run]:
    """What the machine's kernel showed."""
    yield conform(machine)


@pytest.mark.parametrize("point", [point.name for point in points.TABLE])
def test_what_passes_a_point_is_recorded_there(run: Run, point: str, recorded: Recorded) -> None:
    recorded.points += 1
    run.check(point)    # skips what this kernel does not have, with the reason
    recorded.recorded += 1
