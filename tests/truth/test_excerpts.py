# SPDX-License-Identifier: Apache-2.0
"""Parts of a run that was merged: what is said of a part is what is said of it in the whole, and never more."""
import importlib
from pathlib import Path
from typing import Any

import pytest
from truth.bundle import RUN_ID
from truth.excerpts import flow_filter, more_than_the_whole

from fleetmerge import merge
from fleetmerge.bundle import find
from fleetmerge.excerpt.asked import asked
from fleetmerge.findings import topology
from fleetmerge.products.summary import Request
from skbtrace.programs import libpcap

# NAT, tunnels, pieces, copies, packets that look alike, hosts that did not record all
CASES = ("masquerade_two_vms", "broadcast_one_of_three_misses", "fragments_lost_in_part",
         "host_between_recorded_too_few_bytes", "guest_that_does_not_answer")


def merged(run: Path, expression: str | None = None, after: str | None = None,
           before: str | None = None) -> dict[str, Any]:
    found, excerpt = find.find([str(run)], None), asked(expression, after, before)
    homes, (expected, facts) = topology.read(found.output), find.outcome([], None, found.output)
    if excerpt:
        found.output, found.whole_run = excerpt.directory(found.output), False
    return merge.merge(Request(found, expected, homes, facts, packets=False, report=False, excerpt=excerpt))


@pytest.mark.skipif(not libpcap.is_there(), reason="there is no libpcap")
@pytest.mark.parametrize("name", CASES)
def test_a_part_says_no_more_than_the_whole(name: str, tmp_path: Path) -> None:
    run = tmp_path / RUN_ID
    run.mkdir()
    importlib.import_module("truth.cases." + name).make(run)
    whole = merged(run)
    flow = flow_filter(next((loss["flow"] for loss in whole["losses"]), whole["flows"][0]["key"]))
    for question in ((flow, None, None), (None, "+2.5", "+4")):
        part = merged(run, *question)
        assert 0 < part["packets"] < whole["packets"]
        assert not list(more_than_the_whole(part, whole)), question


@pytest.mark.skipif(not libpcap.is_there(), reason="there is no libpcap")
def test_answers_outside_a_part_are_answers(tmp_path: Path) -> None:
    run = tmp_path / RUN_ID
    run.mkdir()
    importlib.import_module("truth.cases.guest_that_does_not_answer").make(run)
    part = merged(run, "src host 192.168.32.10 and (icmp or tcp)")    # no answer fits
    assert {(entry["kind"], entry["packets"]) for entry in part["unanswered"]} == {("echo request", 29), ("SYN", 6)}
