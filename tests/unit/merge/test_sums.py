# SPDX-License-Identifier: Apache-2.0
"""Sums that do not agree become doubts."""
from collections.abc import Callable
from pathlib import Path

import pytest
from support.fleet import Fleet, udp_packet

from fleetmerge import merge
from fleetmerge.findings import sums
from fleetmerge.journey.found import ARRIVED, DROPPED, VANISHED, Findings
from fleetmerge.work import explore_all

WORDS = "The sums do not agree: "


def fleet() -> Fleet:
    out = Fleet()
    out.talk()
    for number in range(50):
        out.send(1 + 0.05 * number, udp_packet(number), lose=number == 5)
    return out


def doubts(summary: dict) -> list[str]:
    return [doubt[len(WORDS):] for doubt in summary["doubts"] if doubt.startswith(WORDS)]


def test_they_agree(tmp_path: Path) -> None:
    assert doubts(fleet().merge(tmp_path)) == []


def one_packet_too_many(findings: Findings) -> None:
    findings.flows["packets"][findings.flows["became"][:, VANISHED] > 0] += 1


def one_loss_too_few(findings: Findings) -> None:
    next(iter(findings.losses.values())).packets = 3


def dropped_by_no_loss(findings: Findings) -> None:
    findings.flows["became"][0, ARRIVED] -= 1
    findings.flows["became"][0, DROPPED] += 1


@pytest.mark.parametrize(("spoil", "words"), [
    (one_packet_too_many, ["1 flows have not as many outcomes as packets, among them 192.168.32.10:40000 > "
                           "192.168.32.20:5001 udp with 51 packets and 50 outcomes.",
                           "there were 251 packets in all, and 250 outcomes.",
                           "the flow 192.168.32.10:40000 > 192.168.32.20:5001 udp has 51 packets and 50 outcomes."]),
    (one_loss_too_few, ["by the flows 1 packets were vanished, by the losses 3."]),
    (dropped_by_no_loss, ["by the flows 1 packets were dropped, by the losses 0."])])
def test_made_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Findings], None],
                      words: list[str]) -> None:
    def explore(workers: object, setting: object) -> Findings:
        findings = explore_all(workers, setting)
        spoil(findings)
        return findings
    monkeypatch.setattr(merge, "explore_all", explore)
    assert doubts(fleet().merge(tmp_path)) == words


def test_totals_of_the_summary() -> None:
    loss = {"wire_packets": 4, "certainty": "certain", "of": "packet"}
    summary = {"lost": 4, "unknown": 2, "packets": 0, "became": {}, "flows": []}
    maybe = {"wire_packets": 2, "certainty": "likely", "of": "branch"}
    assert sums._of_summary([loss, maybe, dict(loss, of="copy")], summary) == []
    assert sums._of_summary([dict(loss, of="branch"), maybe], summary) == []
    assert sums._of_summary([loss, loss], summary) == ["in all 4 packets were lost for certain, and 8 by the losses.",
                                                       "in all 2 packets were perhaps lost, and 0 by the losses."]


@pytest.mark.parametrize(("gained", "filters", "doubt"), [
    (149, {}, False), (100, {}, True), (100, {"protocol": "udp"}, False), (0, {}, False)])
def test_records_against_counters(tmp_path: Path, gained: int, filters: dict, doubt: bool) -> None:
    made = fleet()
    made.b.manifest["filter"] = made.a.manifest["filter"] = filters
    made.b.manifest["devices"][0]["statistics"]["after"]["rx_packets"] = gained
    assert doubts(made.merge(tmp_path)) == ["149 records on hv-b show packets that came in by eth0, whose own counter "
                                            "rose by 100."] * doubt


def test_counters_that_saw_more(tmp_path: Path) -> None:
    made = fleet()
    made.b.manifest["devices"][0]["statistics"]["after"]["rx_packets"] = 5000
    assert ("By its own counter eth0 on hv-b received 5000 packets, and 149 were recorded: hardware may have switched "
            "the others past the kernel.") in made.merge(tmp_path)["doubts"]
