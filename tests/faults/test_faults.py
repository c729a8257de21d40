# SPDX-License-Identifier: Apache-2.0
"""Every fault of the table: injected, captured, merged, and found where it is, with its exact count."""
import pytest
from faults import healthy, thinned
from faults.capture import BOTH, Capture, NotRecorded
from faults.scene import Scene
from faults.table import FAULTS, HYPERVISORS, UDP, Fault
from faults.truth import Loss, losses, unknown

WITH_BOTH = ("guest-not-polling", "nft-forward", "ttl-expired", "wire-exact-loss", "tap-down", "no-socket", "none")


def false_losses(found: list[Loss], true: list[Loss]) -> int:
    """Packets in places where none were lost, or more than were lost there."""
    lost = {loss._replace(packets=0): loss.packets for loss in true}
    return sum(max(0, loss.packets - lost.get(loss._replace(packets=0), 0)) for loss in found)


def injected(fault: Fault, scene: Scene) -> list[Loss]:
    """Inject a fault; returns the truth. Once more if the kernel did not let the tracers see all of it."""
    for _ in range(3):
        try:
            return sorted(fault.inject(scene))
        except NotRecorded as what:
            print(what)
    pytest.fail("three times the kernel did not run the tracers' programs for every packet")


def crossing(summary: dict) -> dict:
    """The step from hv-a's NIC to hv-b's."""
    (segment,) = [entry for entry in summary["segments"] if (entry["from"]["host"], entry["to"]["host"]) ==
                  ("hv-a", "hv-b")]
    return segment


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_fault(lab, fault: Fault, run, true_losses, record_property) -> None:
    record_property("fault", fault.name)
    if fault.elsewhere:
        pytest.skip(f"emulated machine only: {fault.elsewhere}")
    capture = Capture(run, fault.places, fault.options)
    scene = Scene(lab, capture)
    true = true_losses[fault.name] = injected(fault, scene)
    summary = capture.merge()
    found = losses(summary)
    record_property("located", found == true and not unknown(summary))
    record_property("false", false_losses(found, true))
    assert found == true
    assert unknown(summary) == []
    if scene.crossing:
        assert {name: crossing(summary)[name] for name in scene.crossing} == scene.crossing


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if not fault.elsewhere], ids=lambda fault: fault.name)
def test_nobody_is_accused_for_lost_records(fault: Fault, runs, run, true_losses) -> None:
    """One record in a hundred of every bundle of the fault is thrown away."""
    if fault.name not in true_losses:
        pytest.skip("the fault itself was not tried in this session")
    thinned.copy(runs / "test_fault" / fault.name, run, fault.places)
    for seed, place in enumerate(fault.places):
        thinned.thin(run, place, 100, seed)
    assert false_losses(losses(Capture(run, fault.places, fault.options).merge()), true_losses[fault.name]) == 0


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.name in WITH_BOTH], ids=lambda fault: fault.name)
def test_with_both_tracers(lab, fault: Fault, run) -> None:
    """As playbooks capture: the drops from the drop monitor, the rest from the datapath tracer."""
    capture = Capture(run, fault.places, fault.options, tracers=BOTH)
    true = injected(fault, Scene(lab, capture))
    summary = capture.merge()
    assert losses(summary) == true
    assert unknown(summary) == []


@pytest.mark.parametrize("number", range(10), ids=[f"healthy-{number}" for number in range(10)])
def test_healthy_traffic_loses_nothing(lab, number: int, run, record_property) -> None:
    record_property("fault", f"healthy traffic {number}")
    capture = Capture(run, HYPERVISORS, UDP)
    healthy.fast(Scene(lab, capture))
    assert capture.manifest("hv-b")["counters"]["lost"] == 0
    summary = capture.merge()
    record_property("located", not summary["losses"])
    record_property("false", sum(loss["packets"] for loss in summary["losses"]))
    assert summary["losses"] == []
