# SPDX-License-Identifier: Apache-2.0
"""The hardware of hv-a's eth0 keeps its queue, which drops nothing; the wire loses ten datagrams from A to B.

The queue's counter stood still: it was not the queue.
"""
from pathlib import Path

from truth.queues import COUNT, lose, red
from truth.truth import WIRE, Summary, blamed, has_no_words, lost_at


def make(run_dir: Path) -> None:
    lose(run_dir, [red()], [red(packets=143)])


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, COUNT, WIRE) + blamed(summary, WIRE, "") + has_no_words(verdict, "queue red")
