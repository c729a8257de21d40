# SPDX-License-Identifier: Apache-2.0
"""B lives on a host that is not traced, and moves to hv-b at 5 s, where it answers from 6 s on. A sends bursts of 10
datagrams; of the burst that is under way as B moves, the old host sends the third one on, which came late, to hv-b.

None is lost: that the third one came to hv-b does not show that those sent just behind it should have.
"""
from pathlib import Path

from truth.fleet import Fleet
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_least, lost_nothing


def make(run_dir: Path) -> None:
    fleet = Fleet()
    for host in fleet.hosts:
        host.promise(1000)
    for burst in range(16):
        for number in range(10):
            second, packet = 1 + 0.5 * burst + 1e-5 * number, datagram(10 * burst + number)
            fleet.out(fleet.a, second, packet)
            if burst > 8 or (burst == 8 and number == 2):
                fleet.into(fleet.b, second + (58e-6 if burst > 8 else 8e-4), packet)
        if burst > 9:
            fleet.send(1 + 0.5 * burst + 0.01, datagram(burst, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + arrived_at_least(summary, 71, A + ":40000 >")
