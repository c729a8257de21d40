# SPDX-License-Identifier: Apache-2.0
"""B is a container on hv-b: a veth pair leads from the bridge into its network namespace, where its packets end.

A's packets change the namespace in one sk_buff, and are freed in B's. 10 of 100 are dropped there by its own filter.
"""
from pathlib import Path

from truth.bundle import ETH0, NETFILTER, NETFILTER_DROP
from truth.fleet import talking
from truth.packets import A, datagram
from truth.truth import Summary, arrived_at_most, lost_at

INSIDE, VETH, INNER = 4026533111, 8, 2


def make(run_dir: Path) -> None:
    fleet = talking()
    host = fleet.b
    host.device(VETH, "veth8", "veth")
    host.manifest["netns"][str(INSIDE)] = "container"
    host.device(INNER, "ceth0", "veth", netns=INSIDE)
    for number in range(100):
        second, packet = 1 + 0.05 * number, datagram(number)
        fleet.out(fleet.a, second, packet)
        skb = host.seen(second + 58e-6, "dev.rx", ETH0, packet)
        host.seen(second + 62e-6, "dev.tx", VETH, packet, skb)
        host.seen(second + 64e-6, "dev.rx", INNER, packet, skb, netns=INSIDE)
        if number % 10 == 5:
            host.drop(second + 66e-6, INNER, packet, skb, NETFILTER, NETFILTER_DROP, netns=INSIDE)
        else:
            host.free(second + 80e-6, INNER, packet, skb, netns=INSIDE)
    fleet.write(run_dir)


def check(summary: Summary, verdict: str) -> list[str]:
    return lost_at(summary, 10, "hv-b ceth0", words=A) + arrived_at_most(summary, 90, A + ":40000 >")
