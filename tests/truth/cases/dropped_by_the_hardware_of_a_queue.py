# SPDX-License-Identifier: Apache-2.0
"""The hardware of hv-a's eth0 keeps its queue, and drops ten datagrams from A to B for which it has no room.

To the kernel they are sent. The queue's own counter has them, and says what did it; which ones they were it does not.
"""
from pathlib import Path

from truth.queues import COUNT, counted, lose, red
from truth.truth import WIRE, Summary, blamed, has_words, lost_at

SAID = ("probably by the queue red (handle 7:) of eth0, with limit 10000, which the device's hardware keeps: no "
        "drop of it is recorded; its drop counter rose by 10, with 10 of these")


def make(run_dir: Path) -> None:
    lose(run_dir, [red()], [counted(red(), COUNT)])


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, COUNT, WIRE) + blamed(summary, WIRE, "likely", "7:") + has_words(verdict, SAID)
