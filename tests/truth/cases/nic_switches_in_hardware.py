# SPDX-License-Identifier: Apache-2.0
"""hv-b's NIC takes over a flow after its first packet and switches it in hardware: the kernel sees the others no more.

All 100 packets are delivered, and the counters of hv-b's eth0 and vnet0 show them. None may be called lost.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import datagram
from truth.truth import Summary, lost_nothing


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        fleet.send(1 + 0.05 * number, datagram(number), lose=number > 0)
    fleet.b.counted(ETH0, rx_packets=99)
    fleet.b.counted(VNET0, tx_packets=99)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
