# SPDX-License-Identifier: Apache-2.0
"""hv-b's bridge is promiscuous: its own stack gets a clone of each packet to B, and drops it, for it is not for it.

The kernel calls that a drop (OTHERHOST, in ip_rcv_core). All 100 packets are delivered: no packet is lost.
"""
from pathlib import Path

from truth.bundle import ETH0, OTHER_MAC, OTHERHOST, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_nothing

BR0 = 6


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    host.device(BR0, "br0", "bridge")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        own = host.clone(skb)
        host.seen(second + 60e-6, "dev.rx", BR0, packet, own, pkt_type=3)
        host.drop(second + 61e-6, BR0, packet, own, OTHER_MAC, OTHERHOST, pkt_type=3)
        host.deliver(second + 65e-6, VNET0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_least(summary, 100, A + ":40000 >")
