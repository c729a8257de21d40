# SPDX-License-Identifier: Apache-2.0
"""The wire doubles 10 of 100 packets. hv-b could not look at dev.rx: both are seen at its tap only.

The tap's ring has room for one of the two. A packet of which one got in was not lost.
"""
from pathlib import Path

from truth.bundle import POINTS, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, flow_count, lost_nothing


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"points": POINTS[1:]})
    for host in fleet.hosts:
        host.promise(1000)
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        if number % 10 == 5:
            skb = fleet.b.seen(second + 58e-6, "dev.tx", VNET0, packet)
            fleet.b.drop(second + 59e-6, VNET0, packet, skb)
        fleet.b.deliver(second + 90e-6, VNET0, packet, fleet.b.skb())
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, A) + flow_count(summary, A + ":40000 >", 100, 100)
