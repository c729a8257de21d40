# SPDX-License-Identifier: Apache-2.0
"""Of 100 packets 20 came to hv-b with headers that its tracer's filter could not read: its manifest counts 40 unparsed.

It recorded neither their coming in nor their going out. All were delivered; none may be called lost for certain.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing, not_silent


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        fleet.send(1 + 0.05 * number, datagram(number), lose=number % 5 == 2)
    fleet.b.manifest["counters"].update(unparsed=40)
    fleet.b.counted(ETH0, rx_packets=20)
    fleet.b.counted(VNET0, tx_packets=20)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + not_silent(summary, 20, A)
