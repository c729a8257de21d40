# SPDX-License-Identifier: Apache-2.0
"""A sends datagrams to the VM C on its own host by way of hv-b, which routes them, and whose qdisc drops them all on
their way out.

None got to C, so that no other packet shows the way. But hv-b spent a hop on each: it was on the way, and all 50 were
lost there for sure.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, arrived_at_most, lost_at

C = "192.168.33.30"
VNET1 = 4


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.a.device(VNET1, "vnet1", "vnet")
    for number in range(50):
        second = 1 + 0.05 * number
        beside = datagram(number, C, A, port=53)
        fleet.a.through(second + 0.01, VNET1, VNET0, beside)
        fleet.out(fleet.a, second, datagram(number, A, C))
        skb = fleet.b.seen(second + 58e-6, "dev.rx", ETH0, datagram(number, A, C))
        fleet.b.drop(second + 70e-6, ETH0, datagram(number, A, C, ttl=63), skb)
        fleet.send(second + 0.02, datagram(number, A, B, port=7001))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 50, "hv-b eth0", words=A + ":40000 > " + C) + arrived_at_most(
        summary, 0, A + ":40000 > " + C)
