# SPDX-License-Identifier: Apache-2.0
"""VM B moves from hv-b to hv-c at 5 s. No packet is lost then; later 10 of 100 are, on the wire to hv-c.

That packets went to hv-b before says nothing about those that went to hv-c.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    target = fleet.host("hv-c")
    fleet.talk(fleet.a, target, port=5002)
    for number in range(200):
        second, packet = 1 + 0.04 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        if number < 100:
            fleet.into(fleet.b, second + 58e-6, packet)
        elif number % 10 != 5:
            fleet.into(target, second + 58e-6, packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-a eth0 > hv-c eth0") + arrived_at_least(summary, 190, A + ":40000 >")
