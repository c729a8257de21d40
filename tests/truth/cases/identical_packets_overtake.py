# SPDX-License-Identifier: Apache-2.0
"""200 equal datagrams (IP id 0), 1 ms apart; every 50th takes 1.5 ms longer and is overtaken by the next.

None is lost.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, flow_count, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(200):
        fleet.send(1 + 1e-3 * number, datagram(number, ident=0), delay=0.0015 if number % 50 == 7 else 0.0)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + flow_count(summary, A + ":40000 >", 200, 200)
