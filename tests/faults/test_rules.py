# SPDX-License-Identifier: Apache-2.0
"""The rule or setting that dropped packets is named: exactly that one, and none of those beside it."""
import pytest
from faults.capture import Capture
from faults.rules import CASES, Case, Told
from faults.scene import Scene

OPTIONS = ["--protocol", "udp", "--evidence"]
DROPS = {"drop_monitor": []}


def named(summary: dict, told: Told) -> dict:
    """What the losses say of the packets of this case: one cause for all."""
    causes = [loss["cause"] for loss in summary["losses"] if loss["host"] == told.host and "cause" in loss]
    assert causes, summary["verdict"]
    assert all(cause == causes[0] for cause in causes), causes
    return causes[0]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_rule_is_named(lab, case: Case, run) -> None:
    if case.elsewhere:
        pytest.skip(f"emulated machine only: {case.elsewhere}")
    capture = Capture(run, list(case.places), OPTIONS, tracers=DROPS)
    told = case.inject(Scene(lab, capture))
    summary = capture.merge()
    cause = named(summary, told)
    assert cause["certainty"] == ("likely" if told.why else "certain"), cause
    assert cause["why"].startswith(told.why)
    (candidate,) = cause["candidates"]
    assert candidate["kind"] == told.kind
    assert {name: candidate.get(name) for name in told.where} == told.where
    assert told.rule in candidate.get("rule", "")
    if told.count:
        assert cause["drops"] == told.count
    if told.rose:
        assert candidate["rose"] >= cause["drops"] > 0
    assert any(cause["words"] in sentence for sentence in summary["verdict"])
    without = [loss for loss in summary["losses"] if loss["kind"] == "drop" and "cause" not in loss]
    assert without == []
