# SPDX-License-Identifier: Apache-2.0
"""Both hosts filter by an expression, and not by the same: hv-a takes all UDP, hv-b only what has an even IP id.

All packets of one flow arrive, of which hv-b was not looking for every second one. Its manifest says so: none of them
can be called lost, although others of the flow were seen there before and after.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import datagram
from truth.truth import Summary, losses, lost_nothing


def make(run_dir: Path) -> None:
    fleet = Fleet()
    fleet.talk()
    fleet.a.manifest["filter"] = {"filter": "udp"}
    fleet.b.manifest["filter"] = {"filter": "udp and ip[4:2] & 1 = 0"}
    for number in range(100):
        fleet.out(fleet.a, 1 + 0.05 * number, datagram(2 * number + 1))
        fleet.send(1.01 + 0.05 * number, datagram(2 * number + 2))
    fleet.b.counted(ETH0, rx_packets=200)
    fleet.b.counted(VNET0, tx_packets=200)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    other = 'hv-b looked for filter="udp and ip[4:2] & 1 = 0" only'
    return lost_nothing(summary) + ["a loss is not said to be one of %s" % other for loss in losses(summary)
                                    if other not in loss["why"]]
