# SPDX-License-Identifier: Apache-2.0
"""One-way traffic. Both clock daemons promise 2 ms, but hv-b's clock is 300 ms behind. The wire takes 400 us.

The packets show that the promise is broken. How far the clocks are apart then cannot be known exactly: who gives a
bound must give one that holds.
"""
from pathlib import Path

from truth.fleet import Fleet
from truth.packets import datagram
from truth.truth import Summary, lost_nothing, took


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"skew": -0.3}, there=400e-6)
    for host in fleet.hosts:
        host.promise(2000)
    for number in range(200):
        fleet.send(1 + 0.04 * number, datagram(number))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return took(summary, "hv-a eth0", "hv-b eth0", 400, 400) + lost_nothing(summary)
