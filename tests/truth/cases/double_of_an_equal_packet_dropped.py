# SPDX-License-Identifier: Apache-2.0
"""Ten equal datagrams (IP id 0, the same payload) at a time, 100 us apart. The wire doubles the third, and delays
the eighth: the double comes in its place, and is dropped at B's tap.

All ten arrived. That one more came than was sent shows that any of them may be a double: no loss is certain.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    packet = datagram(0, ident=0)
    for number in range(50):
        first = 1 + 0.15 * number
        for turn in range(10):
            fleet.out(fleet.a, first + 100e-6 * turn, packet, payload_hash=7)
            late = 250e-6 if turn == 7 else 0.0
            fleet.into(fleet.b, first + 100e-6 * turn + 58e-6 + late, packet, payload_hash=7)
        second = first + 700e-6 + 58e-6
        skb = fleet.b.seen(second, "dev.rx", ETH0, packet, payload_hash=7)
        fleet.b.seen(second + 7e-6, "dev.tx", VNET0, packet, skb, payload_hash=7)
        fleet.b.drop(second + 8e-6, VNET0, packet, skb, payload_hash=7)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A)
