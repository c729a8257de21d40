# SPDX-License-Identifier: Apache-2.0
"""VXLAN between hv-a and hv-b. On hv-b a filter drops 10 of 100 packets after their outer headers were taken off.

It is one packet, outside and inside: 10 are lost, at vxlan0, and 90 arrive.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import talking
from truth.packets import A, datagram, in_vxlan
from truth.truth import Summary, arrived_at_least, lost_at

VXLAN0 = 7


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(VXLAN0, "vxlan0", "tunnel")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        outer = in_vxlan(packet, 42, "10.0.0.1", "10.0.0.2", ident=number + 3001)
        skb = fleet.a.seen(second, "dev.rx", VNET0, packet)
        fleet.a.seen(second + 4e-6, "dev.tx", VXLAN0, packet, skb)
        fleet.a.deliver(second + 8e-6, ETH0, outer, skb)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, outer)
        fleet.b.seen(second + 61e-6, "dev.rx", VXLAN0, packet, skb)
        if number % 10 == 5:
            fleet.b.drop(second + 63e-6, VXLAN0, packet, skb, NETFILTER, NETFILTER_DROP)
        else:
            fleet.b.deliver(second + 66e-6, VNET0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-b vxlan0") + arrived_at_least(summary, 90, A + ":40000 >")
