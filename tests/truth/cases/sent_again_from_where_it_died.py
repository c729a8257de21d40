# SPDX-License-Identifier: Apache-2.0
"""A sends with IP id 0 to B, on hv-b; of the hosts' clocks nothing is known. 10 of 100 segments are freed on hv-a
behind A's tap, without a word, sent again 200 ms later, and arrive.

What came to hv-b was what had left hv-a: the 10 that did not were lost there, for sure.
"""
from pathlib import Path
from typing import Any

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram, length, segment
from truth.truth import Summary, arrived_at_least, lost_at


def make(run_dir: Path) -> None:
    fleet = Fleet()
    for number in range(100):
        second, packet = 1 + 0.05 * number, segment(1 + 700 * number, 700, 0)
        fields: dict[str, Any] = {"length": length(packet)}
        if number % 10 == 5:
            skb = fleet.a.seen(second, "dev.rx", VNET0, packet, **fields)
            fleet.a.free(second + 5e-6, VNET0, packet, skb, **fields)
            second += 0.21
        fleet.send(second, packet, **fields)
        fleet.b.through(1.02 + 0.05 * number, VNET0, ETH0, datagram(number, B, "192.168.32.99"))     # B lives there
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-a vnet0 > hv-a eth0", words=A) + arrived_at_least(summary, 90, A + ":40000 >")
