# SPDX-License-Identifier: Apache-2.0
"""hv-a's Open vSwitch translates addresses by conntrack: a flow's first packet is upcalled, and again after conntrack.

Each upcall ends an sk_buff, and the daemon's answer is another one; the second already shows the translated address.
The others of a flow pass in one sk_buff. All packets leave, and none is lost.
"""
from pathlib import Path

from truth.bundle import ETH0, POINTS, VNET0
from truth.fleet import talking
from truth.packets import A, ethernet, ipv4, udp
from truth.truth import Summary, lost_nothing

OUTSIDE, SERVER = "203.0.113.7", "8.8.8.8"


def make(run_dir: Path) -> None:
    fleet = talking(a={"points": (*POINTS, "ovs.upcall")})
    host = fleet.a
    for flow in range(40):
        for number in range(5):
            second, ident = 1 + 0.1 * flow + 0.01 * number, 5 * flow + number + 1
            before, after = (ethernet(ipv4(source, SERVER, udp(40000 + flow, 53, 40), ident=ident))
                             for source in (A, OUTSIDE))
            if number:
                host.through(second, VNET0, ETH0, before, then=after)
                continue
            for wait, packet, skb in ((0, before, host.seen(second, "dev.rx", VNET0, before)),
                                      (300e-6, after, host.skb())):
                host.seen(second + wait + 3e-6, "ovs.upcall", VNET0, packet, skb)
                host.free(second + wait + 6e-6, VNET0, packet, skb)
            host.deliver(second + 600e-6, ETH0, after, host.skb())
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
