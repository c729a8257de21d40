# SPDX-License-Identifier: Apache-2.0
"""A closes its connection to B and opens another one on the same ports, whose sequence numbers begin lower.

Nothing is lost, and no segment of the second connection is one of the first that was sent again.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, length, segment
from truth.truth import Summary, flow_count, lost_nothing, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
    ident = 0
    for begin, isn in ((1.0, 50000), (5.0, 20000)):
        for number, (seq, size, flags) in enumerate(
                [(isn, 0, 2), *((isn + 1 + 500 * turn, 500, 16) for turn in range(80)), (isn + 40001, 0, 17)]):
            ident += 1
            packet = segment(seq, size, ident, flags=flags)
            fleet.send(begin + 0.02 * number, packet, length=length(packet))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A) + sent_again(summary, 0, A) + flow_count(summary, A + ":40000 >", 164, 164)
