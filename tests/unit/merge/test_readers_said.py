# SPDX-License-Identifier: Apache-2.0
"""From the looks in a bundle's evidence.json to the verdict: a reading in place of advice, or beside it."""
import json
import pathlib
from typing import Any

import pytest
from support.bundles import NETNS
from support.fleet import Fleet, add_evidence, merged, udp_packet

MS = 1_000_000
COUNT = 60        # looks, one every 10 ms


def looks(fleet: Fleet, state: str, ran: int) -> dict[str, Any]:
    """What hv-b saw of the process that has vnet0 open; ran: ms between two looks."""
    task = {"tid": 2211, "comm": "qemu-kvm", "vhost": False, "states": state * COUNT,
            "ran": [ran * MS * look for look in range(COUNT)], "waited": [0] * COUNT}
    holder = {"pid": 2211, "comm": "qemu-kvm", "netns": NETNS, "taps": [{"name": "vnet0", "netns": NETNS}],
              "sockets": [], "tasks": [task]}
    return {"times": [fleet.b.monotonic(0.9 + look / 100) for look in range(COUNT)], "holders": [holder], "cpus": {},
            "memory_us": [0] * COUNT, "left_out": 0, "unread": 0, "whole": True, "everybody": True}


def told(tmp_path: pathlib.Path, state: str = "T", ran: int = 0, **changed: Any) -> dict[str, Any]:
    """A run in which the ring of hv-b's vnet0 was full for four of thirty packets, and what hv-b saw meanwhile."""
    fleet = Fleet()
    fleet.talk()
    for number in range(30):
        fleet.send(1 + 0.01 * number, udp_packet(number), drop=number in (3, 9, 10, 20))
    run = fleet.write(tmp_path)
    reading = {"began_ns": 1, "ended_ns": 2, "host": {}, "namespaces": {str(NETNS): {}}}
    add_evidence(run, "hv-b", {"format": "skbfleet-evidence/1", "before": reading, "after": reading,
                               "during": {**looks(fleet, state, ran), **changed}})
    return merged(run)


def sentence(summary: dict[str, Any]) -> str:
    (said,) = [one for one in summary["verdict"] if "FULL_RING" in one]
    return said


def test_a_reading_takes_the_place_of_advice(tmp_path: pathlib.Path) -> None:
    summary = told(tmp_path)
    (cause,) = {json.dumps(loss["cause"]) for loss in summary["losses"] if loss["kind"] == "drop"}
    assert json.loads(cause)["certainty"] == "certain" and json.loads(cause)["drops"] == 4
    said = sentence(summary)
    # four drops between two looks each; two of them have a look in common
    assert 'By "qemu-kvm" (pid 2211), which has vnet0 open: it was stopped in 7 of 7 looks, ran 0 ms and' in said
    assert "Usually: " in said and "Look at:" not in said and "Causes:" not in said


def test_where_nothing_unusual_was_read_advice_is_left(tmp_path: pathlib.Path) -> None:
    said = sentence(told(tmp_path, "S", 5))
    assert 'Nothing unusual was read: "qemu-kvm" (pid 2211), which has vnet0 open: it was asleep in ' in said
    assert "Look at:" in said


@pytest.mark.parametrize(("changed", "why"), [
    ({"times": 7}, "what it says has not the shape of looks"), ({"holders": [7]}, "what it says has not the shape of"),
    ({"why": "it ended with status 1"}, "it ended with status 1")])
def test_looks_that_are_none_are_a_doubt(tmp_path: pathlib.Path, changed: dict[str, Any], why: str) -> None:
    summary = told(tmp_path, **changed)
    assert all("cause" not in loss for loss in summary["losses"])
    (doubt,) = [doubt for doubt in summary["doubts"] if "queues" in doubt]
    assert doubt.startswith("On hv-b, who takes packets from its queues was not seen: " + why)
    assert "Look at:" in sentence(summary)
