# SPDX-License-Identifier: Apache-2.0
"""The switch does not know B, on hv-b: a copy of each packet comes to hv-c, whose bridge refuses it.

10 of 100 packets are lost on the wire to hv-b. That only copies of them were seen is no doubt: all others had copies,
too.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import WIRE, Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    other = fleet.host("hv-c")
    fleet.talk(fleet.a, other)
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.send(second, packet, lose=number % 10 == 5)
        skb = other.seen(second + 60e-6, "dev.rx", ETH0, packet)
        other.drop(second + 62e-6, ETH0, packet, skb, BRIDGE, NOT_SPECIFIED)
        fleet.send(second + 0.01, datagram(number, B, A), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, WIRE, words=A + ":40000 >")
