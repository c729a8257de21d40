# SPDX-License-Identifier: Apache-2.0
"""hv-c routes what A sends to B. The wire to it doubles every tenth packet; hv-c sends both on, and the full tap of B
drops all of them, the doubles, too.

100 packets are lost there, and none between hv-c and hv-b, where as many came as were sent.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.host("hv-c")
    fleet.talk(fleet.a, router)
    fleet.talk(router, fleet.b)
    for number in range(100):
        second, packet, routed = 1 + 0.05 * number, datagram(number), datagram(number, ttl=63)
        fleet.out(fleet.a, second, packet)
        for late in (0.0, 180e-6) if number % 10 == 5 else (0.0,):
            router.through(second + 58e-6 + late, ETH0, ETH0, packet, then=routed)
            skb = fleet.b.seen(second + 120e-6 + late, "dev.rx", ETH0, routed)
            fleet.b.seen(second + 125e-6 + late, "dev.tx", VNET0, routed, skb)
            fleet.b.drop(second + 126e-6 + late, VNET0, routed, skb)
        fleet.send(second + 0.001, datagram(number, B, A), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 100, "hv-b vnet0", words=A + ":40000 >")
