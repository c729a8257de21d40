# SPDX-License-Identifier: Apache-2.0
"""Neither A nor B is on a traced host: hv-c routes what one says to the other, in by eth0, out by eth1.

Its bridge refuses 10 of 100 packets. As it routed those before and after, these were for it, and not flooded to it.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

ETH1 = 3
C = "10.77.0.5"


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.host("hv-c", (ETH0, "eth0", "phy"), (ETH1, "eth1", "phy"))
    for number in range(100):
        second, packet, routed = 1 + 0.05 * number, datagram(number, A, C), datagram(number, A, C, ttl=63)
        if number % 10 != 5:
            router.through(second, ETH0, ETH1, packet, then=routed)
            continue
        skb = router.seen(second, "dev.rx", ETH0, packet)
        router.drop(second + 2e-6, ETH0, packet, skb, BRIDGE, NOT_SPECIFIED)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-c eth0", words=C)
