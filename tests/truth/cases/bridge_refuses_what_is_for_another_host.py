# SPDX-License-Identifier: Apache-2.0
"""The switch floods to hv-b what is for VM B, while B is on a host that is not traced; hv-b's bridge refuses it. At 5 s
B comes to hv-b (live migration), and gets the rest there.

All arrived, the first half where nobody looked: no loss is certain.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, lost_nothing, not_silent


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(200):
        second, packet = 1 + 0.04 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        if number < 100:
            skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, packet)
            fleet.b.drop(second + 60e-6, ETH0, packet, skb, BRIDGE, NOT_SPECIFIED)
        else:
            fleet.into(fleet.b, second + 58e-6, packet)
            fleet.send(second + 0.01, datagram(number, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 100, A + ":40000 >") + arrived_at_least(
        summary, 100, A + ":40000 >")
