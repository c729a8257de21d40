# SPDX-License-Identifier: Apache-2.0
"""A asks for B three times; all answers look the same. On hv-b Open vSwitch asks its daemon about the second one, and
it leaves 84 ms later, as another sk_buff. It arrives soon after it has left: none was lost, and none is in doubt.
"""
from pathlib import Path

from truth.bundle import ETH0, POINTS, VNET0
from truth.fleet import talking
from truth.packets import A, B, arp, ethernet
from truth.truth import Summary, arrived_at_least, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking(b={"points": (*POINTS, "ovs.upcall")})
    question, answer = ethernet(arp(1, A, B), 0x0806), ethernet(arp(2, B, A), 0x0806)
    for number in range(3):
        second = 1.0 + number
        fleet.send(second, question)
        second += 200e-6
        if number != 1:
            fleet.send(second, answer, way="back")
            continue
        skb = fleet.b.seen(second, "dev.rx", VNET0, answer)
        fleet.b.seen(second + 3e-6, "ovs.upcall", VNET0, answer, skb)
        fleet.b.free(second + 6e-6, VNET0, answer, skb)
        fleet.b.deliver(second + 84e-3, ETH0, answer, fleet.b.skb())
        fleet.into(fleet.a, second + 84.05e-3, answer)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_least(summary, 6, "arp")
