# SPDX-License-Identifier: Apache-2.0
"""hv-c routes between A on hv-a and B on hv-b. What A sends is lost on the wire to hv-c, all of it; what B sends comes
to A by way of hv-c. Other VMs of hv-a and hv-b talk straight to each other.

A's packets were lost behind hv-a's eth0. That they should have come to hv-b next is not certain, and not true.
"""
from pathlib import Path

from truth.bundle import ETH0
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import WIRE, Summary, lost_at


def make(run_dir: Path) -> None:
    fleet = talking()
    router = fleet.host("hv-c")
    fleet.talk(fleet.b, router)
    for number in range(100):
        second = 1 + 0.05 * number
        fleet.out(fleet.a, second, datagram(number))
        there, routed = (datagram(number, B, A, port=7001, ttl=ttl) for ttl in (64, 63))
        fleet.out(fleet.b, second + 0.01, there)
        router.through(second + 0.01 + 58e-6, ETH0, ETH0, there, then=routed)
        fleet.into(fleet.a, second + 0.01 + 116e-6, routed)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 100, WIRE, words=A + ":40000 >", doubtful=True) + [
        "%s is certain" % loss["between"] for loss in summary["losses"] if loss["certainty"] == "certain"]
