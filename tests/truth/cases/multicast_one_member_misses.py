# SPDX-License-Identifier: Apache-2.0
"""Multicast to two VMs of hv-b. The tap of one, vnet1, is full for the first 40 of 100 datagrams.

That VM misses 40 datagrams of the group; that the other one gets them does not make it good.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, stated_at

VNET1 = 4
GROUP = "239.1.2.3"


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number, A, GROUP)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        copy = host.clone(skb)
        host.seen(second + 61e-6, "dev.tx", VNET1, packet, copy)
        if number < 40:
            host.drop(second + 62e-6, VNET1, packet, copy)
        else:
            host.free(second + 64e-6, VNET1, packet, copy)
        host.deliver(second + 65e-6, VNET0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return stated_at(summary, 40, "hv-b vnet1", GROUP)
