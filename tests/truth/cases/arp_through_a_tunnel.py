# SPDX-License-Identifier: Apache-2.0
"""20 ARP requests from A go to B through VXLAN. All arrive, and nothing is changed on them: the TTL is the tunnel's."""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, arp, ethernet, in_vxlan
from truth.truth import Summary, has_no_words, lost_nothing

VXLAN0 = 7


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(VXLAN0, "vxlan0", "tunnel")
    packet = ethernet(arp(1, A, B), 0x0806)
    for number in range(20):
        second = 1 + 0.1 * number
        outer = in_vxlan(packet, 42, "10.0.0.1", "10.0.0.2", ident=number + 3001)
        skb = fleet.a.seen(second, "dev.rx", VNET0, packet)
        fleet.a.seen(second + 4e-6, "dev.tx", VXLAN0, packet, skb)
        fleet.a.deliver(second + 8e-6, ETH0, outer, skb)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, outer)
        fleet.b.seen(second + 61e-6, "dev.rx", VXLAN0, packet, skb)
        fleet.b.deliver(second + 66e-6, VNET0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + has_no_words(verdict, "Changed between")
