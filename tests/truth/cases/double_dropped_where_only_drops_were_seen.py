# SPDX-License-Identifier: Apache-2.0
"""The wire doubles packets, as those show that A and B exchange. hv-c's tracer looks at drops only: of 100 packets from
A to its VM 20 are dropped, and of 10 of these a double gets on.

10 are lost. Nobody can know which, or how many, but that they were dropped must be told.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP
from truth.fleet import talking
from truth.packets import A, B, datagram
from truth.truth import Summary, lost_at

OTHER = "192.168.32.30"


def make(run_dir: Path) -> None:
    fleet = talking()
    other = fleet.host("hv-c", points=("skb.drop",))
    for number in range(100):
        second, packet, known = 1 + 0.05 * number, datagram(number, A, OTHER), datagram(number, port=6001)
        fleet.out(fleet.a, second, packet)
        if number % 5 == 2:
            other.drop(second + 60e-6, ETH0, packet, other.skb(), NETFILTER, NETFILTER_DROP)
        fleet.send(second + 0.01, known)
        if number % 10 == 5:
            fleet.into(fleet.b, second + 0.01 + 90e-6, known)
        fleet.send(second + 0.02, datagram(number, B, A, port=7001), way="back")
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    out = lost_at(summary, 10, "hv-c eth0", words=OTHER, doubtful=True)
    dropped = sum(loss["wire_packets"] for loss in summary["losses"] if loss["host"] == "hv-c")
    return out + ([] if dropped == 20 else ["20 packets were dropped on hv-c; %d are named" % dropped])
