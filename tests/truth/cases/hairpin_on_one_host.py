# SPDX-License-Identifier: Apache-2.0
"""Two VMs of hv-a talk to each other through its bridge. 10 of 100 packets vanish between the two taps.

They are lost inside hv-a, without a drop and without a free.
"""
from pathlib import Path

from truth.bundle import VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

VNET1 = 4


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        if number % 10 == 5:
            host.seen(second, "dev.rx", VNET0, packet)
        else:
            host.through(second, VNET0, VNET1, packet, took=5e-6)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-a vnet0 > hv-a vnet1", words=A, doubtful=True)
