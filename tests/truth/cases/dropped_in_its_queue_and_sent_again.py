# SPDX-License-Identifier: Apache-2.0
"""A sends with IP id 0 to B, on hv-b; of the hosts' clocks nothing is known. hv-a looks at its queues, too: that of
eth0 drops 10 of 100 segments, which are sent again 200 ms later, and arrive.

What was given to the queue, and dropped there, did not leave: what came to hv-b was what was sent again, and 10 are
lost.
"""
from pathlib import Path
from typing import Any

from truth.bundle import ETH0, POINTS, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram, length, segment
from truth.truth import Summary, arrived_at_least, lost_at


def make(run_dir: Path) -> None:
    fleet = Fleet(a={"points": (*POINTS, "dev.queue")})
    host = fleet.a
    for number in range(100):
        second, packet = 1 + 0.05 * number, segment(1 + 700 * number, 700, 0)
        fields: dict[str, Any] = {"length": length(packet)}
        for turn in range(2 if number % 10 == 5 else 1):
            begin = second + 0.21 * turn
            skb = host.seen(begin, "dev.rx", VNET0, packet, **fields)
            host.seen(begin + 6e-6, "dev.queue", ETH0, packet, skb, **fields)
            if number % 10 == 5 and not turn:
                host.drop(begin + 7e-6, ETH0, packet, skb, **fields)
            else:
                host.deliver(begin + 8e-6, ETH0, packet, skb, **fields)
                fleet.into(fleet.b, begin + 58e-6, packet, **fields)
        fleet.b.through(1.02 + 0.05 * number, VNET0, ETH0, datagram(number, B, "192.168.32.99"))     # B lives there
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-a eth0", words=A) + arrived_at_least(summary, 90, A + ":40000 >")
