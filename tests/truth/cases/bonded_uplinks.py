# SPDX-License-Identifier: Apache-2.0
"""Both hosts have two uplinks in a bond; a packet that leaves by eth1 may come in by either.

12 of the 75 packets that left by hv-a's eth1 are lost on the wire, none of the 225 that left by eth0.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

ETH1 = 5


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in (fleet.a, fleet.b):
        host.device(ETH1, "eth1", "phy")
    for number in range(300):
        second, packet = 1 + 0.02 * number, datagram(number)
        fleet.a.through(second, VNET0, ETH0 if number % 4 else ETH1, packet)
        if number % 24 != 12:
            fleet.b.through(second + 58e-6, ETH0 if number % 8 else ETH1, VNET0, packet, took=7e-6)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 12, "hv-a eth1 > hv-b eth0", "hv-a eth1 > hv-b eth1", words=A)
