# SPDX-License-Identifier: Apache-2.0
"""The wire doubles 10 of 100 TCP segments: the same bytes, IP id and timestamp come to hv-b twice, and to B.

100 segments were sent, none of them again, and none was lost.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, length, segment
from truth.truth import Summary, flow_count, lost_nothing, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        second, packet = 1 + 0.05 * number, segment(1 + 1000 * number, 1000, number + 1, stamp=70000 + 50 * number)
        fleet.send(second, packet, length=length(packet))
        if number % 10 == 5:
            fleet.into(fleet.b, second + 90e-6, packet, length=length(packet))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_nothing(summary) + sent_again(summary, 0, A) + flow_count(summary, A + ":40000 >", 100, 100))
