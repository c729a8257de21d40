# SPDX-License-Identifier: Apache-2.0
"""hv-a's uplink stalls 100 ms before the window ends: 20 packets wait in its qdisc, and go out after the window.

None is lost, and none is freed before the end. Until then packets took microseconds, which says nothing about a stall.
"""
from pathlib import Path

from truth.bundle import VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing, not_silent


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(898):
        fleet.send(0.9 + 0.01 * number, datagram(number))
    for number in range(20):
        fleet.a.seen(9.9 + 0.004 * number, "dev.rx", VNET0, datagram(2000 + number))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A) + not_silent(summary, 20, A)
