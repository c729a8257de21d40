# SPDX-License-Identifier: Apache-2.0
"""hv-b's tracer looks at drops only. Its bridge floods what is for B to the tap of another VM, C, whose ring is full:
there both are dropped, 50 datagrams for C and 50 copies of datagrams that B gets. The taps' addresses tell nothing.

50 were lost. That C's tap dropped packets for two addresses shows that some may have been flooded; nobody can know
which.
"""
from pathlib import Path

from truth.bundle import VNET0
from truth.fleet import Fleet
from truth.packets import A, B, datagram
from truth.truth import Summary, lost_at

C = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = Fleet(b={"points": ("skb.drop",)})
    fleet.hosts = [fleet.b]
    for number in range(100):
        packet = datagram(number, A, C if number % 2 else B)
        fleet.b.drop(1 + 0.05 * number, VNET0, packet, fleet.b.skb())
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    dropped = sum(loss["wire_packets"] for loss in summary["losses"])
    return lost_at(summary, 50, "hv-b vnet0", doubtful=True) + (
        [] if dropped == 100 else ["100 packets were dropped; %d are named" % dropped])
