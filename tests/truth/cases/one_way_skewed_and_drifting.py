# SPDX-License-Identifier: Apache-2.0
"""One-way traffic, no clock daemon; hv-b's clock is 300 ms ahead and gains 80 us each second. 1 of 200 packets is lost.

It is lost in the middle of the window, while packets before and behind it arrive: no clock can make that undecided.
"""
from pathlib import Path

from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import WIRE, Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"skew": 0.3, "drift": 80e-6})
    for number in range(200):
        fleet.send(1 + 0.04 * number, datagram(number), lose=number == 77)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 1, WIRE, words=A, doubtful=True)
