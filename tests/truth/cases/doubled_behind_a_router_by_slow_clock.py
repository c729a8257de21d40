# SPDX-License-Identifier: Apache-2.0
"""hv-a routes datagrams (IP id 0, each with a payload of its own) from a host that was not traced on to hv-b. The wire
between the two doubles every fifth. hv-b's clock is 2 ms behind, within the 3 ms that NTP promises: by clocks, all of
them came to hv-b first.

100 were sent, as hv-a saw, which had them with one hop more: the doubles are no packets of their own.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_most, flow_count, lost_nothing


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"skew": -0.002})
    for host in fleet.hosts:
        host.promise(3000)
    for number in range(100):
        second, (there, routed) = 1 + 0.05 * number, (datagram(number, ident=0, ttl=ttl) for ttl in (64, 63))
        fleet.a.through(second, ETH0, ETH0, there, then=routed, payload_hash=1000 + number)
        for doubled in range(2 if number % 5 == 2 else 1):
            fleet.into(fleet.b, second + 58e-6 + 20e-6 * doubled, routed, payload_hash=1000 + number)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 >"
    return flow_count(summary, words, 100, 100) + arrived_at_most(summary, 100, words) + lost_nothing(summary)
