# SPDX-License-Identifier: Apache-2.0
"""A switch doubles each tenth of 100 packets; hv-b loses the first one of each two without a word, and its VM gets the
second one. Nothing is lost.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        if number % 10 == 5:
            fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
        fleet.into(fleet.b, second + 70e-6, packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_least(summary, 100, A + ":40000 >")
