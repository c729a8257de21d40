# SPDX-License-Identifier: Apache-2.0
"""Two VMs of hv-a talk by way of a router on hv-b, whose wall clock is 3 s ahead. Of 100 packets 10 are lost on their
way back from there.

Nothing begins on hv-b; but what left hv-a and came back with fewer hops left was there between.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import Fleet
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_least, lost_at

AHEAD = 3.0     # s
VNET1 = 4


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"skew": AHEAD})
    fleet.a.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second = 1 + 0.05 * number
        packet, routed = datagram(number), datagram(number, ttl=63)
        fleet.a.through(second, VNET0, ETH0, packet)
        fleet.b.through(second + 58e-6, ETH0, ETH0, packet, then=routed)
        if number % 10 != 5:
            fleet.a.through(second + 116e-6, ETH0, VNET1, routed)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_at(summary, 10, "hv-b eth0 > hv-a eth0") + arrived_at_least(summary, 90, A)
    apart = summary["hosts"]["hv-b"]["clock"]["offset_us"] - summary["hosts"]["hv-a"]["clock"]["offset_us"]
    if abs(abs(apart) - AHEAD * 1e6) > 100:
        out.append("hv-b's clock is said to be %.0f us from hv-a's; it is %.0f s ahead" % (apart, AHEAD))
    return out
