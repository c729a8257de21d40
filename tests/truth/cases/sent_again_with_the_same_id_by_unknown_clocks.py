# SPDX-License-Identifier: Apache-2.0
"""A sends with IP id 0 and DF, to B on hv-b; of the hosts' clocks nothing is known. 10 of 100 segments are dropped at
B's tap, sent again 200 ms later, and arrive. Nothing doubles packets.

Which sending was dropped the clocks do not tell; that 10 were is certain, as each drop is of a packet of its own.
"""
from pathlib import Path
from typing import Any

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram, length, segment
from truth.truth import Summary, flow_count, lost_at


def make(run_dir: Path) -> None:
    fleet = Fleet()
    host = fleet.b
    for number in range(100):
        second, packet = 1 + 0.05 * number, segment(1 + 700 * number, 700, 0)
        if number % 10 == 5:
            fields: dict[str, Any] = {"length": length(packet)}
            fleet.out(fleet.a, second, packet, **fields)
            skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet, **fields)
            host.seen(second + 65e-6, "dev.tx", VNET0, packet, skb, **fields)
            host.drop(second + 66e-6, VNET0, packet, skb, **fields)
            second += 0.21
        fleet.send(second, packet, length=length(packet))
        fleet.out(host, 1.02 + 0.05 * number, datagram(number, B, "192.168.32.99"))     # B lives there
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-b vnet0", words=A) + flow_count(summary, A + ":40000 >", 110, 110)
