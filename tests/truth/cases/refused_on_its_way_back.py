# SPDX-License-Identifier: Apache-2.0
"""Two VMs of hv-a talk by a router on a host that is not traced. Of what comes back from there, hv-a's bridge refuses
10 of 100 packets.

They had come to hv-a, with a hop less left, as those do that get to their VM before and after them: they are lost.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_at

VNET1 = 6
OTHER = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = Fleet()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet, routed = 1 + 0.05 * number, datagram(number, A, OTHER), datagram(number, A, OTHER, ttl=63)
        host.through(second - 0.02, VNET1, ETH0, datagram(number, OTHER, A, port=7001))
        host.through(second, VNET0, ETH0, packet)
        if number % 10 == 5:
            skb = host.seen(second + 300e-6, "dev.rx", ETH0, routed)
            host.drop(second + 302e-6, ETH0, routed, skb, BRIDGE, NOT_SPECIFIED)
        else:
            host.through(second + 300e-6, ETH0, VNET1, routed)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 > " + OTHER
    return lost_at(summary, 10, "hv-a eth0", words=words) + arrived_at_least(summary, 90, words)
