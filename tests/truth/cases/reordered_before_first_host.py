# SPDX-License-Identifier: Apache-2.0
"""TCP from outside comes to hv-b already out of order: 10 times two segments have changed places.

No byte is sent twice, so no segment was sent again.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import B, ethernet, ipv4, tcp
from truth.truth import Summary, sent_again

OUTSIDE = "198.51.100.9"


def make(run_dir: Path) -> None:
    fleet = talking()
    order = list(range(200))
    for place in range(10, 200, 20):
        order[place], order[place + 1] = order[place + 1], order[place]
    for place, number in enumerate(order):
        fleet.into(fleet.b, 1 + 0.001 * place, ethernet(ipv4(
            OUTSIDE, B, tcp(443, 40000, seq=1 + 60 * number, payload=60), protocol=6, ident=number + 1)))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return sent_again(summary, 0, OUTSIDE)
