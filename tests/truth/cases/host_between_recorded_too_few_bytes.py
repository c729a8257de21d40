# SPDX-License-Identifier: Apache-2.0
"""Packets go from hv-a through hv-c, a router, to hv-b. Of 100 packets 10 are lost between hv-a and hv-c.

hv-c recorded 34 bytes of each packet: nobody knows from its records which flow they were of. That they vanished after
hv-a is known; between hv-a and hv-b there is no wire on which they can be said to be lost.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, has_words, lost_at

ETH1, SHORT = 3, 34


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.host("hv-c", (ETH0, "eth0", "phy"), (ETH1, "eth1", "phy"))
    for number in range(100):
        second, packet, routed = 1 + 0.05 * number, datagram(number), datagram(number, ttl=63)
        fleet.out(fleet.a, second, packet)
        if number % 10 == 5:
            continue
        router.through(second + 58e-6, ETH0, ETH1, packet, then=routed, took=10e-6, packet_len=SHORT)
        fleet.into(fleet.b, second + 118e-6, routed)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 10, "hv-a eth0 > hv-c eth0", words=A, doubtful=True)
            + has_words(verdict, "hv-c recorded only in part"))
