# SPDX-License-Identifier: Apache-2.0
"""hv-b carries a router VM: packets go in by vnet0, come out by vnet1 and leave by eth1. 20 of 100 never come out.

Coming to the router's tap is not arriving: the 20 were lost between vnet0 and vnet1.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_most, lost_at

VNET1, ETH1 = 4, 5
C = "10.77.0.5"


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.b.device(VNET1, "vnet1", "vnet")
    fleet.b.device(ETH1, "eth1", "phy")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number, A, C)
        fleet.out(fleet.a, second, packet)
        fleet.b.through(second + 58e-6, ETH0, VNET0, packet)
        if number % 5 != 2:
            fleet.b.through(second + 160e-6, VNET1, ETH1, datagram(number, A, C, ttl=63))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return arrived_at_most(summary, 80, C) + lost_at(summary, 20, "hv-b vnet0 > hv-b vnet1", words=C, doubtful=True)
