# SPDX-License-Identifier: Apache-2.0
"""On hv-a Open vSwitch asks its daemon about each flow's first packet; the daemon sends it on, anew.

40 flows of 5 packets. The sk_buff of an upcalled packet ends at the upcall, and is freed; 300 us later another one,
with equal content, leaves. For 3 flows the upcall fails: the kernel drops the packet. The others are delivered.
"""
from pathlib import Path

from truth.bundle import ELSEWHERE, ETH0, NOT_SPECIFIED, POINTS, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_at


def make(run_dir: Path) -> None:
    fleet = talking(a={"points": (*POINTS, "ovs.upcall")})
    host = fleet.a
    for flow in range(40):
        for number in range(5):
            second = 1 + 0.1 * flow + 0.01 * number
            packet = datagram(5 * flow + number, port=6000 + flow)
            if number:
                fleet.send(second, packet)
                continue
            skb = host.seen(second, "dev.rx", VNET0, packet)
            host.seen(second + 3e-6, "ovs.upcall", VNET0, packet, skb)
            if flow % 15 == 7:
                host.drop(second + 6e-6, VNET0, packet, skb, ELSEWHERE, NOT_SPECIFIED)
                continue
            host.free(second + 6e-6, VNET0, packet, skb)
            host.deliver(second + 300e-6, ETH0, packet, host.skb())
            fleet.into(fleet.b, second + 350e-6, packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 3, "hv-a vnet0", words=A) + arrived_at_least(summary, 197, A + ":40000 >")
