# SPDX-License-Identifier: Apache-2.0
"""A sends datagrams to B, which hears none of the first 40: B's tap on hv-b is full. Then B moves to hv-a, where the
others get to it, and it answers.

B was heard on hv-a only. But what A sent before left hv-a, and did not come to B's tap there, so B lived elsewhere: the
40 are lost at hv-b.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, lost_at

VNET1 = 6


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.a.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet, answer = 1 + 0.05 * number, datagram(number), datagram(number, B, A, port=7001)
        if number < 40:
            fleet.out(fleet.a, second, packet)
            skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
            fleet.b.seen(second + 62e-6, "dev.tx", VNET0, packet, skb)
            fleet.b.drop(second + 64e-6, VNET0, packet, skb)
        else:
            fleet.a.through(second, VNET0, VNET1, packet)
            fleet.a.through(second + 0.01, VNET1, VNET0, answer)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 > " + B
    return lost_at(summary, 40, "hv-b vnet0", words=words) + arrived_at_least(summary, 60, words)
