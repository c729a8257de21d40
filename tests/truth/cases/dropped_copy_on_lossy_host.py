# SPDX-License-Identifier: Apache-2.0
"""hv-b drops a copy of every packet at eth0 and delivers the packet itself. Its ring lost the records of 10 deliveries.

Its manifest says that records were lost. No packet is lost, and hv-b's bundle can prove no loss.
"""
from pathlib import Path

from truth.bundle import ELSEWHERE, ETH0, NOT_SPECIFIED, VNET0
from truth.fleet import talking
from truth.packets import datagram
from truth.truth import Summary, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        host.drop(second + 60e-6, ETH0, packet, host.clone(skb), ELSEWHERE, NOT_SPECIFIED)
        if number % 10:
            host.deliver(second + 65e-6, VNET0, packet, skb)
        else:
            host.counted(VNET0, tx_packets=1)
    host.manifest["counters"]["lost"] = 2 * 10    # out, freed
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
