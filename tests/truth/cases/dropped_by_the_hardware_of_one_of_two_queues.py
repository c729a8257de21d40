# SPDX-License-Identifier: Apache-2.0
"""The hardware of hv-a's eth0 keeps two queues, in a third one that counts what both drop. The first drops ten
datagrams from A to B, the second four others.

Which of the two had the ten is in no record: both are named, and the third is not.
"""
from pathlib import Path

from truth.queues import COUNT, PRIO, counted, leaf, lose
from truth.truth import WIRE, Summary, blamed, lost_at

ROWS = [PRIO, leaf("7:", "1:1"), leaf("8:", "1:2")]


def make(run_dir: Path) -> None:
    drops = COUNT + 4, COUNT, 4
    lose(run_dir, ROWS, [counted(row, more) for row, more in zip(ROWS, drops, strict=True)])


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, COUNT, WIRE) + blamed(summary, WIRE, "likely", "7:", "8:")
