# SPDX-License-Identifier: Apache-2.0
"""Which queue's hardware dropped what vanished behind its device, by what tc printed before the window and after it."""
import random
from pathlib import Path
from typing import Any

import pytest
from support.bundles import NETNS
from support.fleet import add_evidence, losses, merged, talking, udp_packet
from support.spoilt import spoilt

from fleetmerge.bundle.evidence import Reading
from fleetmerge.findings.causes import MALFORMED
from fleetmerge.findings.causes.drop import Cause, sentence
from fleetmerge.findings.causes.offloaded import find_offloaded

LOST = 10
# as iproute2 6.1 prints it of a device that takes RED
RED = {"kind": "red", "handle": "7:", "dev": "eth0", "root": True, "refcnt": 2, "offloaded": True,
       "options": {"limit": 10000, "min": 1500, "max": 4500, "ecn": False, "harddrop": False, "adaptive": False,
                   "nodrop": False}, "bytes": 40294, "packets": 43, "drops": 20, "overlimits": 0, "requeues": 0,
       "backlog": 0, "qlen": 0, "marked": 0, "early": 0, "pdrop": 0, "other": 0}
# those that a device with several queues has without being told
MQ = [{"kind": "mq", "handle": "0:", "dev": "eth0", "root": True, "offloaded": True, "options": {}, "drops": 0},
      *({"kind": "fq_codel", "handle": "0:", "dev": "eth0", "parent": ":%d" % number, "options": {"limit": 10240},
         "drops": 0} for number in (1, 2))]


def more(row: dict[str, Any], drops: int, **changed: Any) -> dict[str, Any]:
    """What tc prints of a queue after so many more drops."""
    return {**row, "drops": row["drops"] + drops, **changed}


def found(before: list[Any], after: list[Any], recorded: int = 0, count: int = LOST) -> Cause | None:
    return find_offloaded(Reading({"qdiscs": before}, {"qdiscs": after}), "eth0", recorded, count)


def test_as_many_as_vanished() -> None:
    cause = found([RED], [more(RED, LOST)])
    assert cause
    assert sentence(cause) == (
        "Probably by the queue red (handle 7:) of eth0, with limit 10000, which the device's hardware keeps: no drop "
        "of it is recorded; its drop counter rose by 10, with 10 of these. That is not certain: no record has what the "
        "hardware dropped, and the counter has the kernel's own drops of packets that nobody looked for, too.")
    (one,) = cause.entry()["candidates"]
    assert (one["kind"], one["qdisc"], one["handle"], one["device"], one["offloaded"], one["options"]["limit"]) == (
        "tc", "red", "7:", "eth0", True, 10000)


@pytest.mark.parametrize(("rose", "recorded", "hardware"), [
    (LOST, 0, LOST), (LOST + 1, 0, LOST + 1), (LOST + 3, 3, LOST), (LOST - 1, 0, None), (LOST, 1, None), (0, 0, None),
    (-20, 0, None)])
def test_the_numbers_must_fit(rose: int, recorded: int, hardware: int | None) -> None:
    cause = found([RED], [more(RED, rose)], recorded)
    assert (cause and (cause.certainty, cause.candidates[0].rose)) == (hardware and ("likely", hardware))


@pytest.mark.parametrize(("before", "after"), [
    ([{**RED, "offloaded": False}], [more(RED, LOST)]), ([RED], [more(RED, LOST, offloaded=False)]),
    ([], [more(RED, LOST)]), ([RED], []), ([{**RED, "handle": "8:"}], [more(RED, LOST)]),
    ([{**RED, "dev": "eth1"}], [more(RED, LOST, dev="eth1")])])
def test_who_is_not_known_to_have_kept_it(before: list[Any], after: list[Any]) -> None:
    assert found(before, after) is None


def test_a_limit_that_was_changed_meanwhile() -> None:
    cause = found([RED], [more(RED, LOST, options={**RED["options"], "limit": 5000})])
    assert cause and cause.why == "it was not the same before the window and after it"


@pytest.mark.parametrize(("drops", "kinds"), [((LOST, LOST, 0), None), ((LOST + 2, 1, 1), ["mq"])])
def test_what_queues_in_it_dropped_is_not_its_own(drops: tuple[int, ...], kinds: list[str] | None) -> None:
    cause = found(MQ, [more(row, rose) for row, rose in zip(MQ, drops, strict=True)])
    assert (cause and [one.where["qdisc"] for one in cause.candidates]) == kinds


def told(tmp_path: Path, status: str = "complete", reason: int | None = None) -> dict[str, Any]:
    """A run in which ten of a hundred datagrams vanish between the hosts, and the queue of hv-a's eth0 dropped so many.
    status: of hv-a's bundle; reason: for which eth0 drops another one, if it does."""
    fleet = talking()
    for number in range(100):
        fleet.send(1 + 0.05 * number, udp_packet(number), lose=number % 10 == 5)
    if reason is not None:
        fleet.a.event(1.01, "skb.drop", 2, udp_packet(200), reason=reason, skb=1 << 40, head=1 << 41)
    fleet.a.manifest["status"] = status
    if status == "partial":
        fleet.a.manifest["counters"]["lost"] = 50
    run = fleet.write(tmp_path)
    readings = {when: {"began_ns": 1, "ended_ns": 2, "host": {}, "namespaces": {str(NETNS): {
        "qdiscs": {"value": [row]}}}} for when, row in (("before", RED), ("after", more(RED, LOST)))}
    add_evidence(run, "hv-a", {"format": "skbfleet-evidence/1", **readings})
    return merged(run)


def test_it_stands_behind_the_loss(tmp_path: Path) -> None:
    summary = told(tmp_path)
    assert [(kind, count) for kind, count, _ in losses(summary)] == [("vanished", LOST)]
    assert [loss["cause"]["drops"] for loss in summary["losses"]] == [LOST]
    assert any("which the device's hardware keeps" in sentence for sentence in summary["verdict"])


def test_not_where_records_are_missing(tmp_path: Path) -> None:
    """What was the kernel's own drop may be among those."""
    summary = told(tmp_path, "partial")
    assert {loss["certainty"] for loss in summary["losses"]} == {"unknown"}
    assert all("cause" not in loss for loss in summary["losses"])


@pytest.mark.parametrize(("reason", "is_told"), [(2, False), (77, True)])
def test_a_drop_that_may_have_been_the_queue_s(tmp_path: Path, reason: int, is_told: bool) -> None:
    """Older kernels give a queue's drops a general reason."""
    summary = told(tmp_path, reason=reason)
    assert {"cause" in loss for loss in summary["losses"] if loss["kind"] == "vanished"} == {is_told}


@pytest.mark.parametrize("seed", range(100))
def test_what_no_command_prints_is_survived(seed: int) -> None:
    chance = random.Random(seed)
    rows = [RED, *MQ]
    try:
        found(spoilt(rows, chance), spoilt([more(row, LOST) for row in rows], chance))
    except MALFORMED:
        pass
