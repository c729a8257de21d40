# SPDX-License-Identifier: Apache-2.0
"""Two tenants use the same addresses, ports and IP ids, in VNI 10 and VNI 20; both have a VM on hv-a and one on hv-b.

Of VNI 10, 10 of 100 packets are lost on the wire; of VNI 20, which sends the same 5 ms later, none. Another network's
packet does not make good what is lost.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram, in_vxlan
from truth.truth import WIRE, Summary, lost_at, took

VNET1 = 4
OUTER = ("10.0.0.1", "10.0.0.2")


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        for vni, tap, wait in ((10, VNET0, 0.0), (20, VNET1, 0.005)):
            second, packet = 1 + 0.05 * number + wait, datagram(number)
            outer = in_vxlan(packet, vni, *OUTER)
            fleet.a.through(second, tap, ETH0, packet, then=outer)
            if vni == 20 or number % 10 != 5:
                fleet.b.through(second + 58e-6, ETH0, tap, outer, then=packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, WIRE, words=A) + took(summary, "hv-a eth0", "hv-b eth0", 50, 50)
