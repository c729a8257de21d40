# SPDX-License-Identifier: Apache-2.0
"""A sends a SYN four times. Each goes up to Open vSwitch's daemon on both hosts, which takes 7 ms to send it on.

Each was sent once and arrives once: what the daemon sends on is no packet that came to the host unseen.
"""
from pathlib import Path

from truth.bundle import ETH0, POINTS, VNET0, Bundle
from truth.fleet import talking
from truth.packets import A, B, datagram, segment
from truth.truth import Summary, arrived_at_least, flow_count, has_no_words, lost_nothing

SYN = 2


def upcalled(host: Bundle, second: float, came: int, went: int, packet: bytes) -> None:
    skb = host.seen(second, "dev.rx", came, packet)
    host.seen(second + 3e-6, "ovs.upcall", came, packet, skb)
    host.free(second + 6e-6, came, packet, skb)
    host.deliver(second + 7e-3, went, packet, host.skb())


def make(run_dir: Path) -> None:
    points = {"points": (*POINTS, "ovs.upcall")}
    fleet = talking(a=points, b=points)
    fleet.send(0.5, datagram(900, B, A), way="back")
    for number, second in enumerate((1.0, 2.0, 4.0, 8.0)):
        packet = segment(1000, 0, 7000 + number, flags=SYN)
        upcalled(fleet.a, second, VNET0, ETH0, packet)
        upcalled(fleet.b, second + 7.05e-3, ETH0, VNET0, packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_nothing(summary) + flow_count(summary, A + ":40000 > " + B + ":443", 4, 4)
            + arrived_at_least(summary, 4, A + ":40000 > " + B + ":443") + has_no_words(verdict, "not record"))
