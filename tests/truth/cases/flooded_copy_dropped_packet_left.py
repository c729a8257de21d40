# SPDX-License-Identifier: Apache-2.0
"""hv-a's bridge floods each packet to the tap of a paused VM and to the uplink, where the gateway is.

The copy for the tap is dropped (its ring is full), the packet itself leaves by eth0. No packet is lost.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_nothing

VNET1 = 4
SERVER = "8.8.8.8"


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number, A, SERVER)
        skb = host.seen(second, "dev.rx", VNET0, packet)
        copy = host.clone(skb)
        host.seen(second + 5e-6, "dev.tx", VNET1, packet, copy)
        host.drop(second + 6e-6, VNET1, packet, copy)
        host.deliver(second + 8e-6, ETH0, packet, skb)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_nothing(summary, SERVER)
