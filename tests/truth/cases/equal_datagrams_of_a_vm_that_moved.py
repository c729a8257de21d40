# SPDX-License-Identifier: Apache-2.0
"""A lives on hv-a and moves after 5 s to hv-b, which looks at eth0 only, to send from there to B on hv-c. Its datagrams
have no ids, and their payloads cannot be compared; those sent at 1 s and at 8 s are of one size. Nothing tells how far
the clocks of hv-a and hv-b are apart.

No packet went from hv-a to hv-b, and none is lost.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import Fleet
from truth.packets import B, datagram
from truth.truth import Summary, lost_nothing, no_step


def make(run_dir: Path) -> None:
    fleet = Fleet()
    fleet.b.manifest["filter"] = {"interfaces": ["eth0"]}
    other = fleet.host("hv-c")
    for number in range(80):
        second = 1 + 0.1 * number
        packet = datagram(number, ident=0, size=64 + (0 if number in (0, 70) else number + 1))
        if second > 5:
            fleet.b.deliver(second, ETH0, packet, fleet.b.skb())
        else:
            fleet.out(fleet.a, second, packet)
        fleet.into(other, second + 58e-6, packet)
        fleet.out(other, second + 0.01, datagram(number, B, "192.168.32.99", port=7001))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary) + no_step(summary, "hv-a", "hv-b")
