# SPDX-License-Identifier: Apache-2.0
"""hv-b routes between two VMs of hv-a, which reach it through a tunnel. A filter on hv-b drops all that A sends.

A tunnel's ends have addresses: what came through it was sent to hv-b, though none of it got on from there. 100 are
lost.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import talking
from truth.packets import A, datagram, in_vxlan
from truth.truth import Summary, lost_at

VNET1, VXLAN0 = 6, 7
OTHER = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = talking()
    host, router = fleet.hosts
    host.device(VNET1, "vnet1", "vnet")
    for one in fleet.hosts:
        one.device(VXLAN0, "vxlan0", "tunnel")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number, A, OTHER)
        outer = in_vxlan(packet, 42, "10.0.0.1", "10.0.0.2", ident=number + 3001)
        host.through(second - 0.02, VNET1, VNET0, datagram(number, OTHER, A, port=7001))
        skb = host.seen(second, "dev.rx", VNET0, packet)
        host.seen(second + 4e-6, "dev.tx", VXLAN0, packet, skb)
        host.deliver(second + 8e-6, ETH0, outer, skb)
        skb = router.seen(second + 58e-6, "dev.rx", ETH0, outer)
        router.drop(second + 60e-6, ETH0, outer, skb, NETFILTER, NETFILTER_DROP)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 100, "hv-b eth0", words=A + ":40000 > " + OTHER)
