# SPDX-License-Identifier: Apache-2.0
"""Both hosts filter by an expression, and not by the same: hv-a takes all UDP, hv-b only what goes to port 443.

A sends to ports 5001 and 443, and everything arrives. As with options that differ, nothing can be called lost that
hv-b was not looking for.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import datagram
from truth.truth import Summary, lost_nothing


def make(run_dir: Path) -> None:
    fleet = Fleet()
    fleet.talk(port=443)
    fleet.a.manifest["filter"] = {"filter": "udp"}
    fleet.b.manifest["filter"] = {"filter": "udp port 443"}
    for number in range(100):
        fleet.out(fleet.a, 1 + 0.05 * number, datagram(number))
        fleet.send(1.01 + 0.05 * number, datagram(number + 1000, port=443))
    fleet.b.counted(ETH0, rx_packets=100)
    fleet.b.counted(VNET0, tx_packets=100)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary)
