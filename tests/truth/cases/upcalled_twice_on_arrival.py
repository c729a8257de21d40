# SPDX-License-Identifier: Apache-2.0
"""hv-b's Open vSwitch translates the target by conntrack: a flow's first packet is upcalled, and again after conntrack.

The second upcall is at the same port as the first, in another sk_buff, which nobody saw come in: the daemon sent it.
The others of a flow pass in one sk_buff. All packets arrive, and hv-b recorded all that it must have seen.
"""
from pathlib import Path

from truth.bundle import ETH0, POINTS, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, has_no_words, lost_nothing

SERVICE = "192.168.32.200"


def make(run_dir: Path) -> None:
    fleet = talking(b={"points": (*POINTS, "ovs.upcall")})
    host = fleet.b
    fleet.send(0.5, datagram(900, B, A), way="back")
    for flow in range(10):
        for number in range(5):
            second = 1 + 0.1 * flow + 0.01 * number
            before, after = (datagram(5 * flow + number, A, target, port=6000 + flow) for target in (SERVICE, B))
            fleet.out(fleet.a, second, before)
            if number:
                host.through(second + 58e-6, ETH0, VNET0, before, then=after)
                continue
            for wait, packet, skb in ((61e-6, before, host.seen(second + 58e-6, "dev.rx", ETH0, before)),
                                      (300e-6, after, host.skb())):
                host.seen(second + wait, "ovs.upcall", ETH0, packet, skb)
                host.free(second + wait + 3e-6, ETH0, packet, skb)
            host.deliver(second + 600e-6, VNET0, after, host.skb())
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_least(summary, 50, A + ":40000 >") + has_no_words(verdict, "not record")
