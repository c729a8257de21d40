# SPDX-License-Identifier: Apache-2.0
"""B's window is full. A probes it five times, without a byte, below what was acknowledged (as Linux does).

B answers each probe that its window is still 0. Nothing is sent again, nothing is lost.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, length, segment
from truth.truth import Summary, lost_nothing, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
    seq = 1000
    for number in range(20):
        is_probe = 8 <= number < 13
        packet = segment(seq - 1, 0, number + 1) if is_probe else segment(seq, 500, number + 1)
        seq += 0 if is_probe else 500
        fleet.send(1 + 0.3 * number, packet, length=length(packet))
        answer = segment(500, 0, 7001 + number, B, A, ports=(443, 40000), ack=seq,
                         window=0 if 7 <= number < 12 else 512)
        fleet.send(1.001 + 0.3 * number, answer, way="back", length=length(answer))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return sent_again(summary, 0) + lost_nothing(summary)
