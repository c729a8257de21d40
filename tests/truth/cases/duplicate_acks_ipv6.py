# SPDX-License-Identifier: Apache-2.0
"""20 times three equal acknowledgements, 10 us apart, over IPv6, where there is no IP id. One of the 60 is lost.

It is one loss, on the wire; which of three it was nobody can tell. No segment was sent again.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import ethernet, ipv6, tcp
from truth.truth import WIRE, Summary, lost_at, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(20):
        for turn in range(3):
            packet = ethernet(ipv6("fd00::1", "fd00::2", tcp(1, 2, seq=5, ack=100 + number), protocol=6), 0x86DD)
            fleet.send(1 + 0.1 * number + 1e-5 * turn, packet, lose=(number, turn) == (3, 2))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 1, WIRE, doubtful=True) + sent_again(summary, 0)
