# SPDX-License-Identifier: Apache-2.0
"""A sends four segments in one sk_buff. hv-a queues it at eth0 and cuts it only then, into sk_buffs with data of their
own. Of every tenth, the third segment is lost on the wire; A sends it again, alone, and that is lost, too, every other
time.

Ten segments were lost between the hosts, at first, and five when they were sent again: all behind eth0, in no queue.
"""
from pathlib import Path
from typing import Any

from truth.bundle import ETH0, POINTS, TCPV4, VNET0
from truth.fleet import Fleet, talking
from truth.packets import A, length, segment
from truth.truth import WIRE, Summary, flow_count, lost_at

SIZE, SEGMENTS = 1448, 4


def _whole(fleet: Fleet, second: float, number: int) -> None:
    """Let four segments leave hv-a, one after the other, and all but the lost one arrive."""
    first = 1 + number * SEGMENTS * SIZE
    several: dict[str, Any] = {"gso_size": SIZE, "gso_segs": SEGMENTS, "gso_type": TCPV4,
                               "length": 54 + SEGMENTS * SIZE}
    whole = segment(first, SEGMENTS * SIZE, 0)
    skb = fleet.a.seen(second, "dev.rx", VNET0, whole, **several)
    fleet.a.seen(second + 6e-6, "dev.queue", ETH0, whole, skb, **several)
    for piece in range(SEGMENTS):
        _piece(fleet, second + 7e-6 + 1e-7 * piece, first + piece * SIZE, number % 10 == 5 and piece == 2)


def _piece(fleet: Fleet, second: float, seq: int, lose: bool) -> None:
    packet = segment(seq, SIZE, 0)
    fleet.a.deliver(second, ETH0, packet, fleet.a.skb(), length=length(packet))
    if not lose:
        fleet.into(fleet.b, second + 50e-6, packet, length=length(packet))


def make(run_dir: Path) -> None:
    fleet = talking(a={"points": (*POINTS, "dev.queue")})
    for number in range(100):
        second = 1 + 0.05 * number
        _whole(fleet, second, number)
        if number % 10 == 5:
            for again in range(1 + (number % 20 == 5)):
                at, seq = second + 0.01 * (again + 1), 1 + (number * SEGMENTS + 2) * SIZE
                packet = segment(seq, SIZE, 0)
                skb = fleet.a.seen(at, "dev.rx", VNET0, packet, length=length(packet))
                fleet.a.seen(at + 6e-6, "dev.queue", ETH0, packet, skb, length=length(packet))
                fleet.a.deliver(at + 7e-6, ETH0, packet, skb, length=length(packet))
                if again or number % 20 != 5:
                    fleet.into(fleet.b, at + 57e-6, packet, length=length(packet))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 15, WIRE, words=A + ":40000 >") + flow_count(summary, A + ":40000 >", 415, 415)
