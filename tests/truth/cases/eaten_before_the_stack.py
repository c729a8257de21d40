# SPDX-License-Identifier: Apache-2.0
"""An XDP program on hv-b eats 10 of 100 packets. Its eth0 counted them as they came in; no tracer's point saw them.

They were not lost on the wire, though hv-a's eth0 is the last that saw them: hv-b's own counters say so.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    for number in range(100):
        fleet.send(1 + 0.05 * number, datagram(number), lose=number % 10 == 5)
    fleet.b.counted(ETH0, rx_packets=10, rx_bytes=1060)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-b eth0", "hv-b eth0 > hv-b vnet0", words=A, doubtful=True)
