# SPDX-License-Identifier: Apache-2.0
"""The workers: what a seed does to one of them costs that seed only."""
import os
import time

from simulation.pool import try_all
from simulation.trial import Outcome, Task


def found(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(kind, text) for outcome in outcomes for kind, text in outcome.found]


def test_a_worker_that_dies() -> None:
    tasks: list[Task] = [3, 4]  # type: ignore[list-item]
    assert found(list(try_all(os._exit, tasks, 1, 60))) == [  # type: ignore[arg-type]
        ("crash", "the process ended with status 3"), ("crash", "the process ended with status 4")]


def test_a_seed_that_takes_too_long() -> None:
    tasks: list[Task] = [1000, 1001]  # type: ignore[list-item]
    outcomes = list(try_all(time.sleep, tasks, 2, 0.5))  # type: ignore[arg-type]
    assert found(outcomes) == [("crash", "took more than 0.5 s")] * 2
