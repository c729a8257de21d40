# SPDX-License-Identifier: Apache-2.0
"""20 ARP requests from A; 5 do not come to hv-b. Lost on the wire, or unknown: they must be seen to be missing."""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, arp, ethernet
from truth.truth import WIRE, Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(20):
        fleet.send(1 + 0.1 * number, ethernet(arp(1, A, B), 0x0806), lose=number % 4 == 1)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 5, WIRE, words="arp", doubtful=True)
