# SPDX-License-Identifier: Apache-2.0
"""A sends two flows to B. The network takes one to hv-b, the other, by its port, to a gateway that is not traced.

That the one goes to hv-b says nothing about the other, though they have the same addresses. All packets are delivered.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import B, datagram
from truth.truth import Summary, lost_nothing, not_silent


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(200):
        second = 1 + 0.02 * number
        fleet.send(second, datagram(number))
        fleet.send(second + 0.01, datagram(number + 1000, port=6001), lose=True)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 200, B + ":6001")
