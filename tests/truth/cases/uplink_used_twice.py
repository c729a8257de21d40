# SPDX-License-Identifier: Apache-2.0
"""A chain: hv-a's VM > wire > a firewall > wire > hv-a's router VM > wire > hv-b. hv-a's eth0 sends each packet twice.

10 of 100 packets are lost on the last wire, from hv-a eth0, the second time, to hv-b eth0.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import WIRE, Summary, lost_at

VNET1, VNET2 = 4, 5


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    host.device(VNET2, "vnet2", "vnet")
    for number in range(100):
        second = 1 + 0.05 * number
        for wait, came, went, ttl in ((0, VNET0, ETH0, 64), (200e-6, ETH0, VNET1, 63), (300e-6, VNET2, ETH0, 62)):
            host.through(second + wait, came, went, datagram(number, ttl=ttl))
        if number % 10 != 5:
            fleet.into(fleet.b, second + 358e-6, datagram(number, ttl=62))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, WIRE, words=A, doubtful=True)
