# SPDX-License-Identifier: Apache-2.0
"""A sends 50 datagrams to B's port 5001 by way of a router on hv-c, and 50 to port 7001 straight. All are lost on the
wire. B, whose MAC address is known from what it sends, lives on hv-b.

That the straight ones should have come to hv-b is certain. The others were for the router's MAC address: nothing shows
where they should have come, and least of all that hv-b was next.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import WIRE, Summary, is_certain, losses, lost_at, packets_of

MAC_A, MAC_B, MAC_ROUTER = 1, 2, 99


def make(run_dir: Path) -> None:
    fleet = talking()
    fleet.talk(fleet.a, fleet.host("hv-c"), port=5002)
    for number in range(100):
        second, straight = 1 + 0.05 * number, number % 2
        fleet.out(fleet.a, second, framed(datagram(number, port=7001 if straight else 5001),
                                          MAC_B if straight else MAC_ROUTER, MAC_A))
        fleet.send(second + 0.01, framed(datagram(number, B, A, port=8001), MAC_A, MAC_B), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    routed = [loss for loss in losses(summary, B + ":5001") if is_certain(loss)]
    return lost_at(summary, 50, WIRE, words=B + ":7001") + [
        "%d that were for the router are certain" % packets_of(loss) for loss in routed]
