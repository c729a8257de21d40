# SPDX-License-Identifier: Apache-2.0
"""Two VMs of hv-a talk by the router VM on hv-b. Of what that sends on, hv-b's bridge refuses 20 of 100 packets.

They came out of a VM that had routed them, so they were on their way: they are lost, though neither end lives there.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_at

VNET1 = 6
OTHER = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = talking()
    host, router = fleet.hosts
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet, routed = 1 + 0.05 * number, datagram(number, A, OTHER), datagram(number, A, OTHER, ttl=63)
        host.through(second - 0.02, VNET1, ETH0, datagram(number, OTHER, A, port=7001))
        fleet.out(host, second, packet)
        fleet.into(router, second + 58e-6, packet)
        if number % 5 == 2:
            skb = router.seen(second + 90e-6, "dev.rx", VNET0, routed)
            router.drop(second + 92e-6, VNET0, routed, skb, BRIDGE, NOT_SPECIFIED)
        else:
            fleet.out(router, second + 90e-6, routed)
            host.through(second + 150e-6, ETH0, VNET1, routed)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 > " + OTHER
    return lost_at(summary, 20, "hv-b vnet0", words=words) + arrived_at_least(summary, 80, words)
