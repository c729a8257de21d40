# SPDX-License-Identifier: Apache-2.0
"""hv-b itself sends to A; its tracer looks at hv-b's own network namespace only.

Its packets leave by a veth to another namespace, and are freed there, unseen. The kernel uses their sk_buff and data
at once for the next one, of which every fifth is dropped by hv-b's filter before it comes to a device.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP, VNET0, Skb
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, flow_count, lost_at

OWN = "192.168.32.254"
NO_DEVICE = 0


def make(run_dir: Path) -> None:
    fleet = talking()
    for host in (fleet.a, fleet.b):
        host.manifest["filter"] = {"netns": "self"}
    skb = Skb(0xFFFF888900000000, 0xFFFF888A00000000)
    for number in range(100):
        second, packet = 1 + 0.0005 * number, datagram(number, OWN, A)
        if number % 5 == 4:
            fleet.b.drop(second, NO_DEVICE, packet, skb, NETFILTER, NETFILTER_DROP)
        else:
            fleet.b.seen(second, "dev.tx", ETH0, packet, skb)
            fleet.a.through(second + 50e-6, ETH0, VNET0, packet)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    mine = OWN + ":40000 >"
    return flow_count(summary, mine, 100, 100) + lost_at(summary, 20, "hv-b -", words=OWN)
