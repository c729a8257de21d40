# SPDX-License-Identifier: Apache-2.0
"""The wire loses ten datagrams from A to B; the hardware of hv-a's eth0, which keeps its queue, drops nine of others.

No record is of those. The queue cannot have dropped all ten: what did it is not to be said.
"""
from pathlib import Path

from truth.queues import COUNT, counted, lose, red
from truth.truth import WIRE, Summary, blamed, lost_at


def make(run_dir: Path) -> None:
    lose(run_dir, [red()], [counted(red(), COUNT - 1)])


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, COUNT, WIRE) + blamed(summary, WIRE, "")
