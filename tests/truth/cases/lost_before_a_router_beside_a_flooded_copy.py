# SPDX-License-Identifier: Apache-2.0
"""A and V, VMs of hv-a, talk by the router VM R on hv-b. hv-a's bridge floods what is for R: V gets a copy of what A
sends before it is routed. Of every tenth, what goes to R is lost on the wire.

The copies were not for V, and all others of the flow left by hv-a's eth0, too: 10 are lost behind it.
"""
from pathlib import Path

from truth.bundle import ETH0, VNET0
from truth.fleet import talking
from truth.packets import A, datagram, framed
from truth.truth import WIRE, Summary, arrived_at_least, lost_at

VNET1 = 6
V = "192.168.32.30"
MAC_A, MAC_V, MAC_R = 1, 3, 9


def make(run_dir: Path) -> None:
    fleet = talking()
    host, router = fleet.hosts
    host.device(VNET1, "vnet1", "vnet")
    for number in range(100):
        second = 1 + 0.05 * number
        there, routed = framed(datagram(number, A, V), MAC_R, MAC_A), framed(datagram(number, A, V, ttl=63), MAC_V,
                                                                          MAC_R)
        skb = host.seen(second, "dev.rx", VNET0, there)
        host.deliver(second + 4e-6, VNET1, there, host.clone(skb))
        host.deliver(second + 5e-6, ETH0, there, skb)
        if number % 10 != 5:
            fleet.into(router, second + 58e-6, there)
            fleet.out(router, second + 90e-6, routed)
            host.through(second + 150e-6, ETH0, VNET1, routed)
        host.through(second + 0.01, VNET1, VNET0, framed(datagram(number, V, A, port=7001), MAC_A, MAC_V))
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    words = A + ":40000 > " + V
    return lost_at(summary, 10, WIRE, words=words) + arrived_at_least(summary, 90, words)
