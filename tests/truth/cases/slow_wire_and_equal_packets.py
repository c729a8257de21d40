# SPDX-License-Identifier: Apache-2.0
"""All packets take 40 ms from host to host, as those that can be told apart show. A's three questions, which look the
same, do too: that they come late is no reason to take them for others, whose beginning nobody saw.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, arp, datagram, ethernet
from truth.truth import Summary, arrived_at_least, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(50):
        fleet.send(1 + 0.1 * number, datagram(number), delay=40e-3)
    for number in range(3):
        fleet.send(1.03 + number, ethernet(arp(1, A, B), 0x0806), delay=40e-3)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_least(summary, 3, "arp")
