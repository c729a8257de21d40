# SPDX-License-Identifier: Apache-2.0
"""A asks everybody for B, which listens and says nothing. On hv-b the bridge hands a clone to B's tap, vnet1, and the
sk_buff itself to its own host, which has no use for it and drops it.

All 20 questions came to B. What the host dropped was its own copy, though it is the sk_buff that came in.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED
from truth.fleet import talking
from truth.packets import A, arp, ethernet, framed
from truth.truth import Summary, arrived_at_least

SILENT, BR0 = 4, 6
EVERYBODY = bytes([0xFF] * 6)


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.b.device(SILENT, "vnet1", "vnet")
    fleet.b.device(BR0, "br0", "bridge")
    question = EVERYBODY + framed(ethernet(arp(1, A, "192.168.32.77"), 0x0806), 0, 1)[6:]
    for number in range(20):
        second = 1 + 0.3 * number
        fleet.out(fleet.a, second, question)
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, question)
        fleet.b.deliver(second + 63e-6, SILENT, question, fleet.b.clone(skb))
        fleet.b.drop(second + 65e-6, BR0, question, skb, BRIDGE, NOT_SPECIFIED)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return arrived_at_least(summary, 20, "arp")
