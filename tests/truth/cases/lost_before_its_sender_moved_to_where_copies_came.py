# SPDX-License-Identifier: Apache-2.0
"""A sends datagrams to B, on hv-b; the switch floods them to hv-c, too, whose bridge refuses them. Of every tenth,
hv-b's own copy is lost on the wire. Then A moves to hv-c, and all that it sends arrives.

That A sends from hv-c later does not put hv-c on the way of what came there before: 6 were lost on the wire.
"""
from pathlib import Path

from truth.bundle import BRIDGE, ETH0, NOT_SPECIFIED
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import WIRE, Summary, arrived_at_least, lost_at

MAC_A, MAC_B = 1, 2


def make(run_dir: Path) -> None:
    fleet = talking()
    other = fleet.third()
    for number in range(100):
        second, packet, moved = 1 + 0.05 * number, framed(datagram(number), MAC_B, MAC_A), number >= 60
        answer = framed(datagram(number, B, A, port=7001), MAC_A, MAC_B)
        home = other if moved else fleet.a
        fleet.out(home, second, packet)
        if moved or number % 10 != 5:
            fleet.into(fleet.b, second + 58e-6, packet)
            fleet.out(fleet.b, second + 0.01, answer)
            fleet.into(home, second + 0.01 + 58e-6, answer)
        if not moved:
            skb = other.seen(second + 60e-6, "dev.rx", ETH0, packet)
            other.drop(second + 62e-6, ETH0, packet, skb, BRIDGE, NOT_SPECIFIED)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 > " + B
    return lost_at(summary, 6, WIRE, words=words) + arrived_at_least(summary, 94, words)
