# SPDX-License-Identifier: Apache-2.0
"""A, on a host that is not traced, sends to B, on hv-b, by a router VM on hv-a that takes 2.5 ms. The switch floods to
hv-b's eth1, too, what A sends to the router; hv-b's bridge refuses that.

hv-b saw each packet before hv-a sent it on, but with a hop more left: that tells nothing about their clocks, which are
promised to be within 2 ms. From hv-a to hv-b it takes 50 us, and none is lost.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED, VNET0
from truth.fleet import Fleet
from truth.packets import B, datagram
from truth.truth import Summary, lost_nothing, took

ETH1 = 9
OTHER = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = Fleet()
    for host in fleet.hosts:
        host.device(ETH1, "eth1", "phy")
        host.promise(1000)
    for number in range(100):
        second, packet, routed = 1 + 0.05 * number, datagram(number, OTHER, B), datagram(number, OTHER, B, ttl=63)
        skb = fleet.b.seen(second, "dev.rx", ETH1, packet)
        fleet.b.drop(second + 2e-6, ETH1, packet, skb, BRIDGE, NOT_SPECIFIED)
        fleet.into(fleet.a, second, packet)
        fleet.out(fleet.a, second + 0.0025, routed)
        fleet.into(fleet.b, second + 0.0025 + 58e-6, routed)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + took(summary, "hv-a eth0", "hv-b eth0", 50, 50)
