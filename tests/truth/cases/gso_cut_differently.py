# SPDX-License-Identifier: Apache-2.0
"""A program on hv-a encapsulates and lowers gso_size for that: the same bytes are cut into 1448s, then into 1398s.

All bytes arrive; segments of another size are not other bytes.
"""
from pathlib import Path

from truth.bundle import ETH0, TCPV4, VNET0
from truth.fleet import talking
from truth.packets import A, segment
from truth.truth import Summary, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    before = {"gso_size": 1448, "gso_segs": 10}
    after = {"gso_size": 1398, "gso_segs": 11}
    for number in range(50):
        second, begin = 1 + 0.05 * number, 1 + number * 20000
        packet = segment(begin, 14480, 100 * number + 1)
        fleet.a.through(second, VNET0, ETH0, packet, before=before, after=after, length=54 + 14480, gso_type=TCPV4)
        fleet.into(fleet.b, second + 58e-6, packet, length=54 + 14480, gso_type=TCPV4, **after)
        fleet.send(second + 0.02, segment(begin + 14480, 100, 100 * number + 50), length=154)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A)
