# SPDX-License-Identifier: Apache-2.0
"""A asks for B, which was never heard, ten times. A mirror hands each frame to a monitor VM's tap; then hv-a's bridge
refuses it, and nobody else gets it.

The ten questions were dropped, and reached nobody who could answer: none arrived.
"""
from pathlib import Path

from truth.bundle import BRIDGE, NOT_SPECIFIED, VNET0
from truth.fleet import talking
from truth.packets import A, B, arp, ethernet, framed
from truth.truth import Summary, arrived_at_most, stated_at

MONITOR = 4
EVERYBODY = bytes([0xFF] * 6)


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.a.device(MONITOR, "monitor0", "vnet")
    for number in range(10):
        second = 1 + 0.5 * number
        question = EVERYBODY + framed(ethernet(arp(1, A, B), 0x0806), 0, 1)[6:]
        skb = fleet.a.seen(second, "dev.rx", VNET0, question)
        fleet.a.deliver(second + 1e-6, MONITOR, question, fleet.a.clone(skb))
        fleet.a.drop(second + 2e-6, VNET0, question, skb, BRIDGE, NOT_SPECIFIED)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return stated_at(summary, 10, "hv-a vnet0", words="arp") + arrived_at_most(summary, 0, "arp")
