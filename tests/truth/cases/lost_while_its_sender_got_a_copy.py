# SPDX-License-Identifier: Apache-2.0
"""hv-c routes what A on hv-a sends to B on hv-b. The switch floods what hv-c sends on: a copy comes back to hv-a, whose
bridge gives it to A. Of every tenth, hv-b's own copy is lost on the wire.

That hv-a is on the packet's way, where it begins, does not make what comes back there the packet: 10 were lost.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import Summary, arrived_at_most, lost_at

MAC_A, MAC_B, MAC_C = 1, 2, 9


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.third()
    for number in range(100):
        second = 1 + 0.05 * number
        there, routed = framed(datagram(number), MAC_C, MAC_A), framed(datagram(number, ttl=63), MAC_B, MAC_C)
        fleet.out(fleet.a, second, there)
        router.through(second + 58e-6, ETH0, ETH0, there, then=routed)
        fleet.into(fleet.a, second + 116e-6, routed)
        if number % 10 != 5:
            fleet.into(fleet.b, second + 117e-6, routed)
        fleet.send(second + 0.01, framed(datagram(number, B, A, port=7001), MAC_A, MAC_B), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-c eth0 > hv-b eth0", words=A + ":40000 >") + arrived_at_most(
        summary, 90, A + ":40000 > " + B)
