# SPDX-License-Identifier: Apache-2.0
"""The kernel itself keeps the queue of hv-a's eth0, which drops ten packets of flows that nobody looked for; the wire
loses ten datagrams from A to B.

What the kernel drops it calls a drop: of the ten datagrams there is none, so it was not the queue.
"""
from pathlib import Path

from truth.queues import COUNT, counted, lose, red
from truth.truth import WIRE, Summary, blamed, lost_at

ROW = {name: value for name, value in red().items() if name != "offloaded"}


def make(run_dir: Path) -> None:
    lose(run_dir, [ROW], [counted(ROW, COUNT)])


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, COUNT, WIRE) + blamed(summary, WIRE, "")
