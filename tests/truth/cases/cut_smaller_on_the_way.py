# SPDX-License-Identifier: Apache-2.0
"""A router between hv-a and hv-b has a smaller MTU towards hv-b, and cuts TCP segments of 1448 bytes into 1348 and 100.

It numbers what it sends anew. The same bytes come to hv-b in other segments: none is lost, none is sent again.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, length, segment
from truth.truth import Summary, lost_nothing, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(200):
        second, begin = 1 + 0.02 * number, 1 + number * 1448
        packet = segment(begin, 1448, number + 1)
        fleet.out(fleet.a, second, packet, length=length(packet))
        for piece, (offset, size) in enumerate(((0, 1348), (1348, 100))):
            packet = segment(begin + offset, size, 20000 + 2 * number + piece)
            fleet.into(fleet.b, second + 80e-6 + 2e-6 * piece, packet, length=length(packet))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A) + sent_again(summary, 0, A)
