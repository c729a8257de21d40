# SPDX-License-Identifier: Apache-2.0
"""hv-b has two uplinks. What A sends to B is lost on the wire, all of it, on its way to hv-b's eth0; what B sends to A
leaves by eth1, and arrives.

Nothing shows by which of the two A's packets should have come: that it was eth1 is not certain.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram
from truth.truth import WIRE, Summary, lost_at

ETH1 = 4


def make(run_dir: Path) -> None:
    fleet = Fleet()
    fleet.b.device(ETH1, "eth1", "phy")
    for host in fleet.hosts:
        host.promise(1000)
    for number in range(100):
        second = 1 + 0.05 * number
        fleet.out(fleet.a, second, datagram(number))
        fleet.b.through(second + 0.01, VNET0, ETH1, datagram(number, B, A, port=7001))
        fleet.a.through(second + 0.01 + 58e-6, ETH0, VNET0, datagram(number, B, A, port=7001))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 100, WIRE, "hv-a eth0 > hv-b eth1", words=A + ":40000 >", doubtful=True) + [
        "%s is certain" % loss["between"] for loss in summary["losses"] if loss["certainty"] == "certain"]
