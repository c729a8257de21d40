# SPDX-License-Identifier: Apache-2.0
"""hv-b carries B, behind vnet1, and a router VM, behind vnet0: packets from A go in to the router and out again, to B.

The router's ring is full for 10 of 100, of which a mirror port, eth9, gets a copy first. Those are lost at vnet0.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

VNET1, ETH9 = 4, 9
C = "10.77.0.5"


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.b.device(VNET1, "vnet1", "vnet")
    fleet.b.device(ETH9, "eth9", "phy")
    for number in range(100):
        second, packet, routed = 1 + 0.05 * number, datagram(number, A, C), datagram(number, A, C, ttl=63)
        fleet.out(fleet.a, second, packet)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
        fleet.b.deliver(second + 64e-6, ETH9, packet, fleet.b.clone(skb))
        fleet.b.seen(second + 65e-6, "dev.tx", VNET0, packet, skb)
        if number % 10 == 5:
            fleet.b.drop(second + 66e-6, VNET0, packet, skb)
            continue
        fleet.b.free(second + 68e-6, VNET0, packet, skb)
        fleet.b.through(second + 90e-6, VNET0, VNET1, routed)
        answer = datagram(number, C, A)
        fleet.b.through(second + 0.01, VNET1, ETH0, answer)
        fleet.into(fleet.a, second + 0.01 + 58e-6, answer)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-b vnet0", words=A + ":40000 >")
