# SPDX-License-Identifier: Apache-2.0
"""On hv-b nft drops every packet to B; a mirror, before it, copies each to a monitor's tap, vnet9, where it is taken.

B answers others from vnet0: it lives there. All 100 packets are lost; that the monitor got copies is no arrival.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_most, has_no_words, lost_at

VNET9 = 9


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    host.device(VNET9, "vnet9", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        host.deliver(second + 61e-6, VNET9, packet, host.clone(skb))
        host.drop(second + 63e-6, ETH0, packet, skb, NETFILTER, NETFILTER_DROP)
        fleet.send(second + 0.01, datagram(number, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 100, "hv-b eth0", words=A) + arrived_at_most(summary, 0, A + ":40000 >")
            + has_no_words(verdict, "No packet was lost"))
