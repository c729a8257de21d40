# SPDX-License-Identifier: Apache-2.0
"""A's first SYN is lost on the wire, and sent again after 1 s: one segment was sent again, in a connection that opens.

No packet of the flow came to hv-b before the one that was lost: it need not be called lost for certain.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, length, segment
from truth.truth import WIRE, Summary, lost_at, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
    for number, second in enumerate((2.0, 3.0)):
        packet = segment(1000, 0, number + 1, flags=2)
        fleet.send(second, packet, lose=not number, length=length(packet))
    answer = segment(5000, 0, 1, B, A, ports=(443, 40000), flags=18, ack=1001)
    fleet.send(3.0005, answer, way="back", length=length(answer))
    for number in range(50):
        packet = segment(1001 + 400 * number, 400, number + 3)
        fleet.send(3.001 + 0.05 * number, packet, length=length(packet))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 1, WIRE, doubtful=True) + sent_again(summary, 1)
