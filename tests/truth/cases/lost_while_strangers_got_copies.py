# SPDX-License-Identifier: Apache-2.0
"""A sends datagrams to B, on hv-b; the switch floods them to hv-c, too, whose bridge gives them to the VM C. Of every
tenth, hv-b's copy is lost on the wire, and hv-c's is not.

That C got a frame that was not for it is no arrival: 10 were lost between hv-a and hv-b, for sure.
"""
from pathlib import Path

from truth.fleet import talking
from truth.packets import A, B, datagram, framed
from truth.truth import WIRE, Summary, arrived_at_most, lost_at

C = "192.168.32.30"
MAC_A, MAC_B, MAC_C = 1, 2, 3


def make(run_dir: Path) -> None:
    fleet = talking()
    other = fleet.host("hv-c")
    fleet.talk(fleet.a, other, port=5002)
    for number in range(100):
        second = 1 + 0.05 * number
        packet = framed(datagram(number), MAC_B, MAC_A)
        fleet.send(second, packet, lose=number % 10 == 5)
        fleet.into(other, second + 60e-6, packet)
        fleet.send(second + 0.01, framed(datagram(number, B, A, port=7001), MAC_A, MAC_B), way="back")
        fleet.heard(other, second + 0.02, framed(datagram(number, C, A, port=7001), MAC_A, MAC_C))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, WIRE, words=A + ":40000 >") + arrived_at_most(summary, 90, A + ":40000 > " + B)
