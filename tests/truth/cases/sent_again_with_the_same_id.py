# SPDX-License-Identifier: Apache-2.0
"""A sends with IP id 0 and DF. 10 of 100 segments are dropped at B's tap, sent again 200 ms later, and arrive.

A segment and its second sending look alike. 10 packets are lost, at hv-b's vnet0; 10 segments were sent again; of 110,
100 arrive.
"""
from pathlib import Path
from typing import Any

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, length, segment
from truth.truth import Summary, arrived_at_least, flow_count, lost_at, sent_again


def make(run_dir: Path) -> None:
    fleet = talking()
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
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 10, "hv-b vnet0") + sent_again(summary, 10, A)
            + flow_count(summary, A + ":40000 >", 110, 110) + arrived_at_least(summary, 100, A + ":40000 >"))
