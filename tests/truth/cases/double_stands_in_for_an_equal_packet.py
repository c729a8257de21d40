# SPDX-License-Identifier: Apache-2.0
"""A sends equal datagrams to B, in 40 bursts of three. Of every fourth burst, the wire loses one and doubles another;
of every fifth one, it only doubles one.

110 of 120 arrive. Where as many come as were sent, one may all the same be missing: others of them came once more.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_most


def make(run_dir: Path) -> None:
    fleet = talking()
    for burst in range(40):
        for number in range(3):
            second, packet = 1 + 0.2 * burst + 1e-4 * number, datagram(number, ident=0)
            fleet.send(second, packet, lose=burst % 4 == 1 and number == 1, payload_hash=7)
            if number == 2 and (burst % 4 == 1 or burst % 5 == 3):
                fleet.into(fleet.b, second + 90e-6, packet, payload_hash=7)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return arrived_at_most(summary, 110, A + ":40000 >")
