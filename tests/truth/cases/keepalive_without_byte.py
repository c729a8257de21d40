# SPDX-License-Identifier: Apache-2.0
"""A VM's TCP keep-alives carry no byte, and the sequence number before the next (as Linux does).

Nothing is sent again, and nothing is lost.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, ethernet, ipv4, tcp
from truth.truth import Summary, lost_nothing, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.send(1, ethernet(ipv4(A, B, tcp(40000, 443, seq=1000, payload=100), protocol=6, ident=1)))
    for number in range(5):
        fleet.send(2 + number, ethernet(ipv4(A, B, tcp(40000, 443, seq=1099), protocol=6, ident=2 + number)))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return sent_again(summary, 0, A) + lost_nothing(summary)
