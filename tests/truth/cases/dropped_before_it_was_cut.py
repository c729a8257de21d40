# SPDX-License-Identifier: Apache-2.0
"""hv-a's qdisc drops 4 of 50 sk_buffs of ten TCP segments each, before the NIC cuts them: 40 packets of the wire.

A sends those bytes again, in segments of their own, 20 ms later.
"""
from pathlib import Path
from typing import Any

from truth.bundle import ELSEWHERE, ETH0, NOT_SPECIFIED, TCPV4, VNET0
from truth.fleet import talking
from truth.packets import A, length, segment
from truth.truth import Summary, flow_count, lost_at, sent_again

SIZE = 1448


def make(run_dir: Path) -> None:
    fleet = talking()
    several: dict[str, Any] = {"gso_size": SIZE, "gso_segs": 10, "gso_type": TCPV4, "length": 54 + 10 * SIZE}
    for number in range(50):
        second, begin = 1 + 0.1 * number, 1 + number * 10 * SIZE
        packet = segment(begin, 10 * SIZE, 10 * number + 1)
        if number % 12 != 6:
            fleet.send(second, packet, **several)
            continue
        skb = fleet.a.seen(second, "dev.rx", VNET0, packet, **several)
        fleet.a.drop(second + 8e-6, ETH0, packet, skb, ELSEWHERE, NOT_SPECIFIED, **several)
        for piece in range(10):
            again = segment(begin + piece * SIZE, SIZE, 20000 + 10 * number + piece)
            fleet.send(second + 0.02 + 1e-5 * piece, again, length=length(again))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 40, "hv-a eth0", words=A) + sent_again(summary, 40, A)
            + flow_count(summary, A + ":40000 >", 540, 540))
