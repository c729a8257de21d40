# SPDX-License-Identifier: Apache-2.0
"""Three equal datagrams (IP id 0) at a time, 100 us apart, go to B by a router VM on hv-c. The first of each three ends
on hv-c where it comes out of the router, without a drop. The others arrive.

One of each three was lost on hv-c. That it was the first only a guess would tell; none was lost between hv-c and hv-b.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.host("hv-c")
    fleet.talk(fleet.a, router)
    fleet.talk(router, fleet.b)
    packet, routed = datagram(0, ident=0), datagram(0, ident=0, ttl=63)
    for number in range(60):
        for turn in range(3):
            second = 1 + 0.1 * number + 100e-6 * turn
            fleet.out(fleet.a, second, packet)
            fleet.into(router, second + 58e-6, packet)
            if turn == 0 and number % 3 == 1:
                skb = router.seen(second + 90e-6, "dev.rx", VNET0, routed)
                router.free(second + 95e-6, VNET0, routed, skb)
            else:
                router.through(second + 90e-6, VNET0, ETH0, routed)
                fleet.into(fleet.b, second + 150e-6, routed)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 20, "hv-c vnet0 > hv-c eth0", words=A, doubtful=True)
