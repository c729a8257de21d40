# SPDX-License-Identifier: Apache-2.0
"""Packets go from hv-a through hv-c, a router, to hv-b, and answers come back the same way.

Of 300 packets 10 are lost between hv-a and hv-c and 10 between hv-c and hv-b. The last traffic ends long before the
window: by then the clocks' bound is wider than the wire is slow, so no time tells that hv-b came after hv-c.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import Fleet
from truth.packets import A, B, datagram
from truth.truth import Summary, lost_at, segments

ETH1 = 3
PASSED = {"hv-a eth0 > hv-c eth0": (290, 0), "hv-c eth1 > hv-b eth0": (0, 280)}    # surely, perhaps


def make(run_dir: Path) -> None:
    fleet = Fleet()
    router = fleet.host("hv-c", (ETH0, "eth0", "phy"), (ETH1, "eth1", "phy"))
    for number in range(300):
        second, packet, answer = 1 + 0.02 * number, datagram(number), datagram(number, B, A)
        fleet.out(fleet.a, second, packet)
        if number % 30 == 11:
            continue
        router.through(second + 58e-6, ETH0, ETH1, packet, took=10e-6)
        if number % 30 == 12:
            continue
        fleet.into(fleet.b, second + 118e-6, packet)
        fleet.out(fleet.b, second + 0.001, answer)
        router.through(second + 0.001058, ETH1, ETH0, answer, took=10e-6)
        fleet.into(fleet.a, second + 0.001118, answer)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_at(summary, 20, *PASSED)
    for place, passed in PASSED.items():
        found = [(segment["packets"], segment["unsure"], segment["missing"])
                 for segment in segments(summary, *place.split(" > "))]
        if found != [(*passed, 10)]:
            out.append("%d packets went %s, and 10 were lost there; the segments say %s" % (sum(passed), place, found))
    return out
