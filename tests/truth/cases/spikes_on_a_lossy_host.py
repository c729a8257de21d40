# SPDX-License-Identifier: Apache-2.0
"""A sends TCP segments to B; hv-a lost records of others. Every tenth segment waits 60 ms behind hv-a's eth0, in a
buffer that is full. None is lost, and none is sent again.

That hv-a lost records is no reason to keep the slow ones from the latency: its 99 % are above 60 ms.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import length, segment
from truth.truth import Summary, lost_nothing, segments

SIZE = 1000


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(200):
        packet = segment(1 + number * SIZE, SIZE, number + 1)
        fleet.send(1 + 0.04 * number, packet, delay=0.06 * (number % 10 == 5), length=length(packet))
    fleet.a.manifest["counters"]["lost"] = 3
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    (step,) = segments(summary, "hv-a eth0", "hv-b eth0")
    slow = step["latency_us"]["p99"]
    return lost_nothing(summary) + ([] if slow >= 60_000 else ["99 %% are said to take %d us" % slow])
