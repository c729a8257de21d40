# SPDX-License-Identifier: Apache-2.0
"""Both hosts have two uplinks. A's packets take eth0, B's answers eth1; 10 of 100 answers are lost on that wire.
"""
from pathlib import Path

from truth.bundle import VNET0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, lost_at, took

ETH1 = 5


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in fleet.hosts:
        host.device(ETH1, "eth1", "phy")
    for number in range(100):
        second, answer = 1 + 0.05 * number, datagram(number, B, A)
        fleet.send(second, datagram(number))
        fleet.b.through(second + 0.001, VNET0, ETH1, answer)
        if number % 10 != 5:
            fleet.a.through(second + 0.001158, ETH1, VNET0, answer)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 10, "hv-b eth1 > hv-a eth1") + took(summary, "hv-b eth1", "hv-a eth1", 150, 150)
            + took(summary, "hv-a eth0", "hv-b eth0", 50, 50))
