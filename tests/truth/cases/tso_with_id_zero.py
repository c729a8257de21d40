# SPDX-License-Identifier: Apache-2.0
"""A VM sends with IP id 0 and DF (RFC 6864) and TSO; the NIC numbers the segments 0, 1, 2, ... of each packet.

hv-b's GRO joins them to packets of 17, 17 and 10 segments, which begin with the ids 0, 17 and 34. None of the 2200
segments is lost.
"""
from pathlib import Path

from truth.bundle import TCPV4
from truth.fleet import talking
from truth.packets import A, segment
from truth.truth import Summary, flow_count, lost_nothing

SIZE = 1448


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(50):
        second, begin = 1 + 0.05 * number, 1 + number * 44 * SIZE
        fleet.out(fleet.a, second, segment(begin, 44 * SIZE, 0), length=54 + 44 * SIZE, gso_size=SIZE, gso_segs=44,
                  gso_type=TCPV4)
        done = 0
        for count in (17, 17, 10):
            fleet.into(fleet.b, second + 58e-6 + done * 1e-6, segment(begin + done * SIZE, count * SIZE, done),
                       length=54 + count * SIZE, gso_size=SIZE, gso_segs=count, gso_type=TCPV4)
            done += count
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + flow_count(summary, A + ":40000 >", 1, 2200)
