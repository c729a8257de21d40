# SPDX-License-Identifier: Apache-2.0
"""A sends 44 segments in one sk_buff; hv-a's NIC cuts it, hv-b's GRO joins. Of each tenth, segment 20 is lost.

GRO cannot join over the gap. A sends the segment again, alone. Of 2,205 segments 5 are lost on the wire.
"""
from pathlib import Path

from truth.bundle import TCPV4
from truth.fleet import Fleet, talking
from truth.packets import A, length, segment
from truth.truth import WIRE, Summary, flow_count, lost_at, sent_again

SIZE = 1448


def _into(fleet: Fleet, second: float, number: int, first: int, count: int) -> None:
    """Let hv-b's GRO deliver some of the segments."""
    packet = segment(1 + (number * 44 + first) * SIZE, count * SIZE, number * 44 + first + 1)
    several = {"gso_size": SIZE, "gso_segs": count, "gso_type": TCPV4} if count > 1 else {}
    fleet.into(fleet.b, second, packet, length=54 + count * SIZE, **several)


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(50):
        second = 1 + 0.1 * number
        fleet.out(fleet.a, second, segment(1 + number * 44 * SIZE, 44 * SIZE, number * 44 + 1), length=54 + 44 * SIZE,
                  gso_size=SIZE, gso_segs=44, gso_type=TCPV4)
        holes = (20,) if number % 10 == 5 else ()
        for first, count in ((0, 17), (17, 3), (21, 13), (34, 10)) if holes else ((0, 17), (17, 17), (34, 10)):
            _into(fleet, second + 58e-6 + first * 1e-6, number, first, count)
        for hole in holes:
            packet = segment(1 + (number * 44 + hole) * SIZE, SIZE, 30000 + number)
            fleet.send(second + 0.03, packet, length=length(packet))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 5, WIRE, words=A) + sent_again(summary, 5, A)
            + flow_count(summary, A + ":40000 >", 2205, 2205))
