# SPDX-License-Identifier: Apache-2.0
"""A sends datagrams to B, on hv-b, by way of the router VM R on hv-c. The switch floods to hv-b, too, what A sends to
R, and hv-b's bridge refuses that. R sends all on; of every fifth, the queue of hv-c's eth0 drops what R sent.

What was lost are the 20 at hv-c: what hv-b's bridge refused were copies.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, arrived_at_most, lost_at

MAC_A, MAC_B, MAC_R = 1, 2, 5


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.host("hv-c")
    fleet.talk(fleet.a, router, port=5002)
    for number in range(100):
        second = 1 + 0.05 * number
        before = framed(datagram(number), MAC_R, MAC_A)
        behind = framed(datagram(number, ttl=63), MAC_B, MAC_R)
        fleet.out(fleet.a, second, before)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, before)
        fleet.b.drop(second + 60e-6, ETH0, before, skb, BRIDGE, NOT_SPECIFIED)
        fleet.into(router, second + 58e-6, before)
        if number % 5:
            router.through(second + 90e-6, VNET0, ETH0, behind)
            fleet.into(fleet.b, second + 150e-6, behind)
        else:
            skb = router.seen(second + 90e-6, "dev.rx", VNET0, behind)
            router.drop(second + 95e-6, ETH0, behind, skb)
        fleet.send(second + 0.01, framed(datagram(number, B, A, port=7001), MAC_A, MAC_B), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 20, "hv-c eth0", words=A + ":40000 >") + arrived_at_most(
        summary, 80, A + ":40000 > " + B + ":5001")
