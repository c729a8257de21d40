# SPDX-License-Identifier: Apache-2.0
"""TCP from outside comes to hv-b out of order: 10 segments come 6 places late. Four others really come twice.

A late segment has an older IP id and TCP timestamp than those before it; what is sent again has newer ones. Four
segments were sent again, and nothing is lost in hv-b.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import B, length, segment
from truth.truth import Summary, lost_nothing, sent_again

OUTSIDE = "198.51.100.9"


def make(run_dir: Path) -> None:
    fleet = talking()
    order = list(range(300))
    for place in range(20, 220, 20):
        order.insert(place + 6, order.pop(place))
    sent = [(number, number) for number in order]               # segment, when it was sent
    sent[250:250] = [(number, 249 + number - 100) for number in range(100, 104)]
    for place, (number, when) in enumerate(sent):
        again = 10000 if when != number else 0
        packet = segment(1 + 100 * number, 100, when + again + 1, OUTSIDE, B, ports=(443, 40000), stamp=70000 + when)
        fleet.into(fleet.b, 1 + 0.001 * place, packet, length=length(packet))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return sent_again(summary, 4, OUTSIDE) + lost_nothing(summary)
