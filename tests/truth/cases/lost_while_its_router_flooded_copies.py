# SPDX-License-Identifier: Apache-2.0
"""hv-c routes what A on hv-a sends to B on hv-b, and its bridge floods that, to the VM C of hv-c, too; so does the
switch, to hv-a, whose bridge gives a copy to A. Of every tenth, hv-b's own copy is lost on the wire.

That C got a copy where the packet was sent on does not make C's host the place where it was seen last: 10 were lost
between hv-c and hv-b.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, arrived_at_most, lost_at

C = "192.168.32.30"
MAC_A, MAC_B, MAC_C, MAC_ROUTER = 1, 2, 3, 9


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.third()
    for number in range(100):
        second = 1 + 0.05 * number
        there, routed = framed(datagram(number), MAC_ROUTER, MAC_A), framed(datagram(number, ttl=63), MAC_B, MAC_ROUTER)
        fleet.out(fleet.a, second, there)
        skb = router.seen(second + 58e-6, "dev.rx", ETH0, there)
        router.deliver(second + 62e-6, VNET0, routed, router.clone(skb))
        router.deliver(second + 66e-6, ETH0, routed, skb)
        fleet.into(fleet.a, second + 116e-6, routed)
        if number % 10 != 5:
            fleet.into(fleet.b, second + 117e-6, routed)
        fleet.send(second + 0.01, framed(datagram(number, B, A, port=7001), MAC_A, MAC_B), way="back")
        fleet.heard(router, second + 0.02, framed(datagram(number, C, A, port=7001), MAC_A, MAC_C))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-c eth0 > hv-b eth0", words=A + ":40000 >") + arrived_at_most(
        summary, 90, A + ":40000 > " + B)
