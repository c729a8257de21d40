# SPDX-License-Identifier: Apache-2.0
"""VM B comes to hv-b at 5 s (live migration) from a host that is not traced; its tap is there before, and nobody has it
open. The switch does not know B and floods, so that hv-b gets copies all the time, and its tap drops them until then.

All arrived, the first half where nobody looked: no loss is certain, and the drops are not passed over.
"""
from pathlib import Path

from truth.bundle import DEV_READY, ETH0, RING_FULL, VNET0
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
            fleet.b.drop(second + 60e-6, VNET0, packet, skb, RING_FULL, DEV_READY)
        else:
            fleet.into(fleet.b, second + 58e-6, packet)
            fleet.send(second + 0.01, datagram(number, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 100, A + ":40000 >") + arrived_at_least(
        summary, 100, A + ":40000 >")
