# SPDX-License-Identifier: Apache-2.0
"""hv-a has two tenants in two network namespaces, who use the same addresses, ports and IP ids at the same time.

In the second one a filter drops 10 of 100 packets; the first one's are all delivered.
"""
from pathlib import Path

from truth.bundle import NETFILTER, NETFILTER_DROP, VNET0
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, lost_at, no_step

OTHER = 4026532999
VNET1, TAP0, TAP1 = 4, 3, 4


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.a
    host.device(VNET1, "vnet1", "vnet")
    host.manifest["netns"][str(OTHER)] = "tenant-2"
    host.device(TAP0, "tap0", "vnet", netns=OTHER)
    host.device(TAP1, "tap1", "vnet", netns=OTHER)
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        host.through(second, VNET0, VNET1, packet)
        if number % 10 == 5:
            skb = host.seen(second + 2e-6, "dev.rx", TAP0, packet, netns=OTHER)
            host.drop(second + 5e-6, TAP0, packet, skb, NETFILTER, NETFILTER_DROP, netns=OTHER)
        else:
            host.through(second + 2e-6, TAP0, TAP1, packet, netns=OTHER)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return (lost_at(summary, 10, "hv-a tap0", words=A) + no_step(summary, "hv-a vnet", "hv-a tap")
            + no_step(summary, "hv-a tap", "hv-a vnet"))
