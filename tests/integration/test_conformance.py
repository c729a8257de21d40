# SPDX-License-Identifier: Apache-2.0
"""Every point of the table, on this kernel: what passes it is recorded there, field by field as it is."""
import json
import sys
from collections.abc import Iterator

import pytest
from conformance import scene, table
from conformance.run import OPTIONS, Run
from support.lab import Lab
from support.tracers import tracing

from skbtrace.programs import points

POINTS = [point.name for point in points.TABLE]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """The scene, once, under the eyes of one tracer."""
    here = Lab().here()

    def do(*words: str) -> dict:
        return json.loads(here.run([sys.executable, scene.__file__, *words], timeout=120).stdout)

    missing = do("up")
    try:
        with tracing(here, "datapath_tracing", *OPTIONS, "--filter", table.FILTER) as tracer:
            told = do("run", json.dumps(missing))
            tracer.stop()
    finally:
        do("down")
    assert ", lost 0" in tracer.log[-1]
    assert "shed" not in tracer.log[-1] and "not shown" not in tracer.log[-1]
    yield Run(tracer.records, tracer.log, missing, told)


def test_every_point_has_a_row() -> None:
    assert sorted(table.BY_POINT) == sorted(POINTS)
    assert len(table.ROWS) == len(POINTS)


def test_this_kernel_s_tracepoints_are_all_there(run: Run) -> None:
    tracepoints = {point.name for point in points.TABLE if point.tracepoint and not point.module}
    assert tracepoints - run.attached <= {"qdisc.drop"}, "which is in kernels from 7.1 on"


@pytest.mark.parametrize("point", POINTS)
def test_what_passes_a_point_is_recorded_there(run: Run, point: str) -> None:
    run.check(point)
