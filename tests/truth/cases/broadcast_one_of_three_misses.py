# SPDX-License-Identifier: Apache-2.0
"""A asks for B by ARP. hv-b has three VMs, each of which gets a clone; the third one's tap is full 5 times of 20.

That one misses 5 requests; the 15 others, and all of the two other VMs, arrive. The clones end each for itself.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, arp, ethernet
from truth.truth import Summary, stated_at

VNET1, VNET2 = 4, 5


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    host.device(VNET1, "vnet1", "vnet")
    host.device(VNET2, "vnet2", "vnet")
    request = ethernet(arp(1, A, B), 0x0806)
    for number in range(20):
        second = 1 + 0.3 * number
        fleet.out(fleet.a, second, request)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, request)
        third = host.clone(skb)
        host.deliver(second + 61e-6, VNET0, request, host.clone(skb))
        host.seen(second + 62e-6, "dev.tx", VNET2, request, third)
        if number % 4 == 1:
            host.drop(second + 63e-6, VNET2, request, third)
        else:
            host.free(second + 65e-6, VNET2, request, third)
        host.deliver(second + 66e-6, VNET1, request, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = stated_at(summary, 5, "hv-b vnet2", "arp")
    if summary["lost"] > 5:
        out.append("%d packets are said to be lost; it was 5" % summary["lost"])
    return out
