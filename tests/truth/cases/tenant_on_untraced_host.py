# SPDX-License-Identifier: Apache-2.0
"""Two tenants use the same addresses, in VLAN 100 and VLAN 200. B of VLAN 100 is on hv-b, B of VLAN 200 is elsewhere.

All packets are delivered. Those of VLAN 200 leave hv-a for a host that is not traced; that the packets of VLAN 100 go
to hv-b says nothing about them.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing, not_silent

VNET1 = 4


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.a.device(VNET1, "vnet1", "vnet")
    first, other = ({"vlan_present": 1, "vlan_tci": tag} for tag in (100, 200))
    for number in range(200):
        second, packet = 1 + 0.02 * number, datagram(number)
        fleet.a.through(second, VNET0, ETH0, packet, after=first)
        fleet.b.through(second + 58e-6, ETH0, VNET0, packet, before=first)
        if number % 2:
            fleet.a.through(second + 0.01, VNET1, ETH0, datagram(number + 30000), after=other)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 100, A)
