# SPDX-License-Identifier: Apache-2.0
"""Every fault of the table: injected, captured, merged, and found where it is, with its exact count."""
import pytest
from faults import healthy
from faults.capture import Capture
from faults.scene import Scene
from faults.table import FAULTS, HYPERVISORS, UDP, Fault
from faults.truth import Loss, losses, unknown


def false_losses(found: list[Loss], true: list[Loss]) -> int:
    """Packets in places where none were lost, or more than were lost there."""
    lost = {loss._replace(packets=0): loss.packets for loss in true}
    return sum(max(0, loss.packets - lost.get(loss._replace(packets=0), 0)) for loss in found)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_fault(lab, fault: Fault, run, record_property) -> None:
    record_property("fault", fault.name)
    if fault.elsewhere:
        pytest.skip(f"emulated machine only: {fault.elsewhere}")
    capture = Capture(run, fault.places, fault.options)
    true = sorted(fault.inject(Scene(lab, capture.window)))
    summary = capture.merge()
    found = losses(summary)
    record_property("located", found == true and not unknown(summary))
    record_property("false", false_losses(found, true))
    assert found == true
    assert unknown(summary) == []


@pytest.mark.parametrize("number", range(10), ids=[f"healthy-{number}" for number in range(10)])
def test_healthy_traffic_loses_nothing(lab, number: int, run, record_property) -> None:
    record_property("fault", f"healthy traffic {number}")
    capture = Capture(run, HYPERVISORS, UDP)
    healthy.fast(Scene(lab, capture.window))
    assert capture.manifest("hv-b")["counters"]["lost"] == 0
    summary = capture.merge()
    record_property("located", not summary["losses"])
    record_property("false", sum(loss["packets"] for loss in summary["losses"]))
    assert summary["losses"] == []
