# SPDX-License-Identifier: Apache-2.0
"""hv-a and hv-b talk both ways in the first second only; then A sends to B, one way, to the end. hv-b's clock drifts.

What was measured in one second says less and less about the others: latencies must hold within their bounds.
"""
from pathlib import Path

from truth.fleet import Fleet
from truth.packets import datagram
from truth.truth import Summary, lost_nothing, took


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"skew": 0.2, "drift": 60e-6})
    for number in range(50):
        second, ends = 0.02 * number, ("10.9.0.1", "10.9.0.2")
        fleet.send(second, datagram(number, *ends), delay=1e-6 * (number * 7 % 40))
        fleet.send(second + 0.001, datagram(number, *ends[::-1]), way="back", delay=1e-6 * (number * 11 % 40))
    for number in range(200):
        fleet.send(1.5 + 0.04 * number, datagram(number), delay=1e-6 * (number * 7 % 40))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + took(summary, "hv-a eth0", "hv-b eth0", 50, 90)
