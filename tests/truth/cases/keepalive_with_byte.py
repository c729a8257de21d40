# SPDX-License-Identifier: Apache-2.0
"""A VM's TCP keep-alives carry one byte, the last one that was acknowledged (as Windows does). B answers each.

A byte that was acknowledged long ago is not sent again because it was lost: nothing is sent again, nothing is lost.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, length, segment
from truth.truth import Summary, lost_nothing, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(6):
        keepalive = segment(1099, 1, 2 + number)
        packet = segment(1000, 100, 1) if not number else keepalive
        fleet.send(1 + number, packet, length=length(packet))
        answer = segment(500, 0, 7001 + number, B, A, ports=(443, 40000), ack=1100)
        fleet.send(1.001 + number, answer, way="back", length=length(answer))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return sent_again(summary, 0, A) + lost_nothing(summary)
