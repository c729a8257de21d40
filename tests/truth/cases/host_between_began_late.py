# SPDX-License-Identifier: Apache-2.0
"""Packets go from hv-a through a router VM on hv-c to hv-b. hv-c began to record 4 s late.

Before that, 8 of 60 packets are lost between hv-c and hv-b. That none of these came to hv-b is known; that they were
lost between hv-a and hv-b, without a host between them, is not so.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at

LATE = 4.0


def make(run_dir: Path) -> None:
    fleet = talking()
    between = fleet.host("hv-c")
    for number in range(160):
        second, packet, routed = 1 + 0.05 * number, datagram(number), datagram(number, ttl=63)
        fleet.out(fleet.a, second, packet)
        between.through(second + 58e-6, ETH0, VNET0, packet)
        between.through(second + 98e-6, VNET0, ETH0, routed)
        if second > LATE or number % 7 != 3:
            fleet.into(fleet.b, second + 158e-6, routed)
    between.forget(lambda row: row["time_ns"] < between.monotonic(LATE))
    between.manifest["window"]["late_by_ns"] = int(LATE * 1e9)
    between.manifest.update(status="partial", why="the window was set %.3f s after its start" % LATE)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 8, "hv-c eth0 > hv-b eth0", words=A, doubtful=True)
