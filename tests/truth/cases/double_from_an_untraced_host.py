# SPDX-License-Identifier: Apache-2.0
"""The network doubles packets on their way to hv-b: of ten equal datagrams of A, which hv-a saw, one, and of 100
segments that a host sent which is not traced, all with one IP id, ten.

110 came to B from there, at once with another; that they were 110 packets nobody knows.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import B, datagram, segment
from truth.truth import Summary, arrived_at_most, lost_nothing

C = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(10):
        second, packet = 1 + 1e-3 * number, datagram(0)
        fleet.send(second, packet)
        if number == 5:
            fleet.into(fleet.b, second + 90e-6, packet)
    for number in range(100):
        second, packet = 1.02 + 0.05 * number, segment(1 + number, 1, 7, C, B)
        for turn in range(2 if number % 10 == 5 else 1):
            fleet.into(fleet.b, second + 40e-6 * turn, packet, length=len(packet) + 1)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_most(summary, 100, C + ":40000 >")
