# SPDX-License-Identifier: Apache-2.0
"""A sends datagrams to B, on hv-b, by way of the router VM R on hv-c. The wire doubles every fifth on its way to hv-c;
R sends on what came first, and has no room for the double. No packet has an IP id.

All 100 arrived at B: what R's tap had no room for were doubles. That they were dropped is no loss.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, arrived_at_least, lost_nothing

MAC_A, MAC_B, MAC_R = 1, 2, 5


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.host("hv-c")
    fleet.talk(fleet.a, router, port=5002)
    for number in range(100):
        second = 1 + 0.05 * number
        fleet.heard(router, second + 0.02, framed(datagram(number, "192.168.32.1", A, port=53), MAC_A, MAC_R))
        before = framed(datagram(number, ident=0, size=100 + number), MAC_R, MAC_A)
        behind = framed(datagram(number, ident=0, size=100 + number, ttl=63), MAC_B, MAC_R)
        fleet.out(fleet.a, second, before)
        fleet.into(router, second + 58e-6, before)
        router.through(second + 90e-6, VNET0, ETH0, behind)
        if not number % 5:
            skb = router.seen(second + 300e-6, "dev.rx", ETH0, before)
            router.seen(second + 307e-6, "dev.tx", VNET0, before, skb)
            router.drop(second + 308e-6, VNET0, before, skb)
        fleet.into(fleet.b, second + 150e-6, behind)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_least(summary, 100, A + ":40000 > " + B)
