# SPDX-License-Identifier: Apache-2.0
"""hv-a's eth0 stands still for a while, and the kernel's part of its queue, which the hardware keeps, drops twelve
datagrams from A to B; the wire loses ten others.

The queue's counter rose by the twelve that the kernel called drops: the hardware dropped nothing.
"""
from pathlib import Path

from truth.queues import COUNT, DROPPED, counted, lose, red
from truth.truth import WIRE, Summary, blamed, lost_at


def make(run_dir: Path) -> None:
    lose(run_dir, [red()], [counted(red(), DROPPED)], dropped=DROPPED)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, COUNT + DROPPED, WIRE, "hv-a eth0") + blamed(summary, WIRE, "")
            + blamed(summary, "hv-a eth0", "certain", "7:", kind="drop"))
