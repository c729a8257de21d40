# SPDX-License-Identifier: Apache-2.0
"""The cases of truth/ and some random fleets, merged in this process: the same as elsewhere, in a tenth of the time."""
import importlib
from pathlib import Path

import pytest
from simulation.features import features_of
from simulation.judge import INFLATED, MISSED
from simulation.merging import Failed, in_process
from simulation.trial import Task, try_task
from truth.bundle import RUN_ID

SLOW = ("scale_many_drop_sites", "shares_split_payload_ipv6")
CASES = sorted(path.stem for path in (Path(__file__).parents[1] / "truth" / "cases").glob("*.py"))
SEEDS = range(12)


@pytest.mark.parametrize("name", [name for name in CASES if name not in SLOW])
def test_what_is_said_is_true(name: str, tmp_path: Path) -> None:
    case = importlib.import_module("truth.cases." + name)
    run_dir = tmp_path / RUN_ID
    run_dir.mkdir()
    case.make(run_dir)
    try:
        merged = in_process(run_dir, [])
    except Failed:
        assert getattr(case, "MAY_REFUSE", False)
        return
    assert not case.check(merged.summary, merged.verdict)


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_false_is_said(seed: int) -> None:
    outcome = try_task(Task(seed, features_of("full")))
    assert not [found for found in outcome.found if found.kind not in (MISSED, INFLATED)]
