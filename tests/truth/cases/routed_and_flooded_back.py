# SPDX-License-Identifier: Apache-2.0
"""A sends to B by way of a router on a host that is not traced. What the router sends on, the switch floods: it comes
back to hv-a, whose bridge refuses it, for B lives elsewhere.

All arrived, where nobody looked: no loss is certain.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing, not_silent


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        second, routed = 1 + 0.05 * number, datagram(number, ttl=63)
        fleet.out(fleet.a, second, datagram(number))
        skb = fleet.a.seen(second + 300e-6, "dev.rx", ETH0, routed)
        fleet.a.drop(second + 302e-6, ETH0, routed, skb, BRIDGE, NOT_SPECIFIED)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 100, A + ":40000 >")
