# SPDX-License-Identifier: Apache-2.0
"""A queue of hv-a's eth0, which its hardware keeps, drops twelve datagrams from A to B in the kernel, and ten others in
the hardware.

The queue's counter has both; the kernel called the twelve drops, and the rest are as many as were not seen again.
"""
from pathlib import Path

from truth.queues import COUNT, DROPPED, counted, lose, red
from truth.truth import WIRE, Summary, blamed, has_words, lost_at


def make(run_dir: Path) -> None:
    lose(run_dir, [red()], [counted(red(), COUNT + DROPPED)], dropped=DROPPED)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, COUNT + DROPPED, WIRE, "hv-a eth0") + blamed(summary, WIRE, "likely", "7:")
            + blamed(summary, "hv-a eth0", "certain", "7:", kind="drop")
            + has_words(verdict, "12 drops of it are recorded; beyond those, its drop counter rose by 10"))
