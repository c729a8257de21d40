# SPDX-License-Identifier: Apache-2.0
"""What a run comes to in one word."""
import pytest

from fleetmerge.products.result import result

BOTH = ["datapath_tracing", "drop_monitor"]


def loss(certainty: str, **more: object) -> dict:
    return {"certainty": certainty, **more}


@pytest.mark.parametrize(("losses", "word"), [
    ([], "no loss"), ([loss("unknown")], "unknown"), ([loss("likely")], "loss"), ([loss("certain")], "loss"),
    ([loss("unknown"), loss("certain")], "loss"), ([loss("certain", harmless=True)], "no loss"),
    ([loss("certain", harmless=True), loss("unknown")], "unknown")])
def test_losses(losses: list[dict], word: str) -> None:
    summary = {"hosts": {"hv-a": {"status": "complete"}}, "records": 9, "tracers": BOTH, "unanswered": []}
    assert result(summary, losses) == word
    assert result(dict(summary, hosts={"hv-a": {"status": "complete"}, "hv-b": {"status": "missing"}}),
                  losses) == "partial"


@pytest.mark.parametrize(("tracers", "word"), [
    (BOTH, "nothing matched"), (["datapath_tracing"], "nothing matched"), (["drop_monitor"], "no loss")])
def test_no_record(tracers: list[str], word: str) -> None:
    assert result({"hosts": {"hv-a": {"status": "complete"}}, "records": 0, "tracers": tracers, "unanswered": []},
                  []) == word


@pytest.mark.parametrize(("kind", "outcome", "word"), [
    ("ARP request", "ended", "unknown"), ("ARP request", "arrived", "no loss"), ("echo request", "arrived", "no loss"),
    ("echo request", "ended", "no loss")])
def test_questions_without_an_answer(kind: str, outcome: str, word: str) -> None:
    asked = [{"kind": kind, "outcome": outcome, "packets": 3}]
    assert result({"hosts": {"hv-a": {"status": "complete"}}, "records": 9, "tracers": BOTH, "unanswered": asked},
                  []) == word
